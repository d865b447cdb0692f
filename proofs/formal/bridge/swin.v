(** Cases of shifted windows, with exp = 2^x: integer logits and biases. The twins are about images of whole
    windows, so there is no padding; the shift is 0 where one window spans the shorter side, as the text would
    make it. The form dense, full attention with a mask, is the definition of the explicit windows. *)
From Coq Require Import List String ZArith QArith Qcanon.
From Etalon.base Require Import operations ordered.
From Etalon.softmax_attention Require Import softmax_attention swin.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

(** Integers from -3 to 3. *)
Definition logit (seed salt a b : nat) : Z := (Z.of_nat (hash seed salt a b mod 7) - 3)%Z.
Definition as_fraction (z : Z) : Qc := Q2Qc (inject_Z z).

(** An image of [height] x [width] tokens, side of the windows and shift. *)
Definition one (height width side shift d_k d_v seed : nat) : string :=
  let query := logit seed 1 in
  let key := logit seed 2 in
  let value := any seed 3 in
  let offsets := (2 * side - 1)%nat in
  let table b := logit seed 4 (b / offsets) (b mod offsets) in
  let scale := logit seed 5 0 0 in
  let score := dot_product d_k query key scale in
  let image channels (f : nat -> nat -> Qc) := cube height width channels (fun y x => f (y * width + x)%nat) in
  let logits f t c := as_fraction (f t c) in
  let form (name : string) (output : nat -> nat -> Qc) := (name, [("output", image d_v output)]) in
  let cut_elsewhere := explicit_windows height width side shift score table value in
  case
    [("height", height); ("width", width); ("window", side); ("shift", shift); ("d_k", d_k); ("d_v", d_v)]
    [("query", image d_k (logits query)); ("key", image d_k (logits key)); ("value", image d_v value);
     ("bias", matrix offsets offsets (logits (logit seed 4))); ("scale", number (as_fraction scale))]
    [form "cyclic" (shifted_windows height width side shift score table value);
     form "explicit_windows" cut_elsewhere;
     form "dense" cut_elsewhere].

Eval vm_compute in one 1 1 1 0 1 1 1.
Eval vm_compute in one 2 2 1 0 1 2 2.
Eval vm_compute in one 2 2 2 0 2 1 3.
Eval vm_compute in one 2 4 2 0 1 1 4.
Eval vm_compute in one 4 4 2 0 1 1 5.
Eval vm_compute in one 4 4 2 1 1 1 6.
Eval vm_compute in one 4 4 2 1 2 2 7.
Eval vm_compute in one 4 6 2 1 1 1 8.
Eval vm_compute in one 6 4 2 1 2 1 9.
Eval vm_compute in one 6 6 3 1 1 1 10.
Eval vm_compute in one 6 6 3 2 1 1 11.
