(** Cases of softmax attention, with exp = 2^x: integer logits, weights and outputs in exact fractions. The
    texts read them in RationalExp2. *)
From Coq Require Import List String ZArith QArith Qcanon.
From Etalon.base Require Import operations ordered.
From Etalon.softmax_attention Require Import softmax_attention.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

(** Integers from -3 to 3. *)
Definition logit (seed salt a b : nat) : Z := (Z.of_nat (hash seed salt a b mod 7) - 3)%Z.
Definition as_fraction (z : Z) : Qc := Q2Qc (inject_Z z).
Definition integer_matrix (rows columns : nat) (f : nat -> nat -> Z) : string :=
  matrix rows columns (fun i j => as_fraction (f i j)).

(** The masks in the order in which the entry numbers them. *)
Definition mask_of (choice n_q n_k left right : nat) : nat -> nat -> bool :=
  match choice with
  | 0 => full_mask
  | 1 => causal_mask n_q n_k
  | 2 => causal_mask_top_left
  | 3 => window_mask n_q n_k left right
  | _ => streaming_mask left (S right)
  end.

Definition one (n_q n_k d_k d_v mask left right bias_given sink_given tile slack parts seed : nat) : string :=
  let query := logit seed 1 in
  let key := logit seed 2 in
  let value := any seed 3 in
  let scale := logit seed 4 0 0 in
  let bias := logit seed 5 in
  let beta := logit seed 6 0 0 in
  let product := dot_product d_k query key scale in
  let score := if Nat.eqb bias_given 1 then biased product bias else product in
  let seen := mask_of mask n_q n_k left right in
  let sink := if Nat.eqb sink_given 1 then Some beta else None in
  let form (name : string) (output : nat -> nat -> Qc) := (name, [("output", matrix n_q d_v output)]) in
  case
    [("n_q", n_q); ("n_k", n_k); ("d_k", d_k); ("d_v", d_v);
     ("mask", mask); ("left", left); ("right", right); ("bias_given", bias_given);
     ("sink_given", sink_given); ("tile", tile); ("slack", slack); ("parts", parts)]
    [("query", integer_matrix n_q d_k query); ("key", integer_matrix n_k d_k key);
     ("value", matrix n_k d_v value);
     ("scale", number (as_fraction scale)); ("bias", integer_matrix n_q n_k bias);
     ("sink", number (as_fraction beta))]
    [form "safe" (safe score seen value sink n_k);
     form "direct" (direct score seen value sink n_k);
     form "online" (online score seen value sink n_k);
     form "tiled" (tiled score seen value sink n_k tile (Z.of_nat slack));
     form "tiled_normalised" (tiled_normalised score seen value sink n_k tile);
     form "split" (split score seen value sink n_k parts)].

Eval vm_compute in one 1 1 1 1 0 0 0 0 0 1 0 1 1.
Eval vm_compute in one 2 3 1 2 0 0 0 0 0 2 0 2 2.
Eval vm_compute in one 3 4 2 1 0 0 0 1 0 3 1 3 3.
Eval vm_compute in one 2 5 1 2 0 0 0 0 1 2 2 4 4.
Eval vm_compute in one 4 4 2 2 1 0 0 0 0 3 0 2 5.
Eval vm_compute in one 4 3 1 1 1 0 0 1 0 2 0 2 6.
Eval vm_compute in one 3 5 2 1 1 0 0 0 1 4 1 6 7.
Eval vm_compute in one 4 3 1 2 2 0 0 0 0 2 0 3 8.
Eval vm_compute in one 5 5 1 1 3 1 1 0 0 2 0 2 9.
Eval vm_compute in one 5 3 2 1 3 1 0 0 1 1 0 3 10.
Eval vm_compute in one 5 5 1 2 4 1 1 0 0 2 3 2 11.
Eval vm_compute in one 4 6 1 1 4 2 0 1 1 7 0 5 12.
