(** Cases of retention. The registered entry takes the tangent of half of each angle, so that rotations are
    rational. *)
From Coq Require Import List String QArith Qcanon.
From Etalon.base Require Import operations complex.
From Etalon.linear_attention Require Import retention.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

(** (1 - h^2 + 2 h i) / (1 + h^2) *)
Definition unit (h : Qc) : complex Qc :=
  let below := add one (mul h h) in
  Complex (divide (sub one (mul h h)) below) (divide (mul (add one one) h) below).

Definition one (n pairs d_v chunk seed : nat) (draw : nat -> nat -> nat -> nat -> Qc) (decay : Qc) : string :=
  let query := draw seed 1 in
  let key := draw seed 2 in
  let value := draw seed 3 in
  let half_tangent a := gate seed 4 a 0 in
  let rotation a := unit (half_tangent a) in
  let initial_state := draw seed 5 in
  let d_k := (2 * pairs)%nat in
  let outputs output state := [("output", matrix n d_v output); ("state", matrix d_k d_v state)] in
  case
    [("n", n); ("pairs", pairs); ("d_v", d_v); ("chunk", chunk)]
    [("query", matrix n d_k query); ("key", matrix n d_k key); ("value", matrix n d_v value);
     ("half_tangent", vector pairs half_tangent); ("decay", number decay);
     ("initial_state", matrix d_k d_v initial_state)]
    [("parallel", outputs (parallel pairs query key value rotation decay initial_state)
                          (parallel_state key value rotation decay initial_state n));
     ("recurrent", outputs (recurrent pairs query key value rotation decay initial_state)
                           (recurrent_state key value rotation decay initial_state n));
     ("rotating_state", outputs (rotating_state pairs query key value rotation decay initial_state)
                                (turning_state key value rotation decay initial_state n));
     ("chunked", outputs (chunked pairs query key value rotation decay initial_state chunk)
                         (chunked_state key value rotation decay initial_state chunk n))].

Eval vm_compute in one 1 1 1 1 1 any (gate 1 6 0 0).
Eval vm_compute in one 2 1 1 2 2 any (gate 2 6 0 0).
Eval vm_compute in one 2 2 1 1 3 any (gate 3 6 0 0).
Eval vm_compute in one 3 1 2 2 4 any (gate 4 6 0 0).
Eval vm_compute in one 3 2 1 2 5 any (gate 5 6 0 0).
Eval vm_compute in one 4 1 1 3 6 any (gate 6 6 0 0).
Eval vm_compute in one 4 1 2 4 7 bit (gate 7 6 0 0).
Eval vm_compute in one 5 1 1 2 8 any (gate 8 6 0 0).
Eval vm_compute in one 3 1 1 2 9 any 0%Qc.
Eval vm_compute in one 3 1 1 2 10 any 1%Qc.
