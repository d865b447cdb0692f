(** Cases of Mamba-2's state space duality. The form scan is the doubling that [scan_operators] speaks of, one
    affine map for each number of the state. The forms four_steps and by_halves have no twin. *)
From Coq Require Import List String Arith QArith Qcanon.
From Etalon.base Require Import operations sums scan.
From Etalon.state_space Require Import scan_operators mamba2_ssd.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

Definition one (n d_k d_v chunk seed : nat) (draw draw_decay : nat -> nat -> nat -> nat -> Qc) : string :=
  let query := draw seed 1 in
  let key := draw seed 2 in
  let value := draw seed 3 in
  let decay t := draw_decay seed 4 t 0 in
  let initial_state := draw seed 5 in
  let skip := draw seed 6 0 0 in
  let rounds := Nat.log2_up n in
  let token i j t := Affine (decay t) (mul (key t i) (value t j)) in
  let scanned t i j := affine_act (doubling affine_combine (token i j) rounds t) (initial_state i j) in
  let scan t j := add (sum d_k (fun i => mul (query t i) (scanned t i j))) (mul skip (value t j)) in
  let outputs output state := [("output", matrix n d_v output); ("state", matrix d_k d_v state)] in
  case
    [("n", n); ("d_k", d_k); ("d_v", d_v); ("chunk", chunk)]
    [("query", matrix n d_k query); ("key", matrix n d_k key); ("value", matrix n d_v value);
     ("decay", vector n decay); ("initial_state", matrix d_k d_v initial_state); ("skip", number skip)]
    [("recurrent", outputs (recurrent d_k query key value decay skip initial_state)
                           (state key value decay initial_state n));
     ("quadratic", [("output", matrix n d_v (quadratic d_k query key value decay skip initial_state n))]);
     ("chunked", outputs (chunked d_k query key value decay skip initial_state chunk)
                         (chunked_state key value decay initial_state chunk n));
     ("scan", outputs scan (scanned (n - 1)))].

Eval vm_compute in one 1 1 1 1 1 any gate.
Eval vm_compute in one 2 2 1 2 2 any gate.
Eval vm_compute in one 3 2 2 1 3 any gate.
Eval vm_compute in one 3 1 2 2 4 any any.
Eval vm_compute in one 4 2 1 3 5 any gate.
Eval vm_compute in one 4 3 2 4 6 bit gate.
Eval vm_compute in one 5 2 2 2 7 any gate.
Eval vm_compute in one 5 1 1 8 8 any bit.
Eval vm_compute in one 6 2 1 4 9 any bit.
Eval vm_compute in one 7 2 2 3 10 bit any.
