(** Cases of the delta rule. *)
From Coq Require Import List String QArith Qcanon.
From Etalon.base Require Import operations triangular.
From Etalon.gated_recurrence Require Import delta_rule.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

Definition one (n d_k d_v chunk block seed : nat) (draw draw_beta : nat -> nat -> nat -> nat -> Qc)
    : string :=
  let query := draw seed 1 in
  let key := draw seed 2 in
  let value := draw seed 3 in
  let beta t := draw_beta seed 4 t 0 in
  let initial_state := draw seed 5 in
  let scale := gate seed 6 0 0 in
  let outputs output state := [("output", matrix n d_v output); ("state", matrix d_k d_v state)] in
  let over_chunks correct := state_over_chunks key initial_state (correct d_k key value beta) chunk n in
  case
    [("n", n); ("d_k", d_k); ("d_v", d_v); ("chunk", chunk); ("block", block)]
    [("query", matrix n d_k query); ("key", matrix n d_k key); ("value", matrix n d_v value);
     ("beta", vector n beta); ("initial_state", matrix d_k d_v initial_state); ("scale", number scale)]
    [("recurrent", outputs (recurrent d_k scale query key value beta initial_state)
                           (state d_k key value beta initial_state n));
     ("dense", outputs (dense d_k scale query key value beta initial_state)
                       (dense_state d_k key value beta initial_state n));
     ("pairwise", outputs (pairwise d_k scale query key value beta initial_state)
                          (fun i => recall d_k key value beta initial_state n (identity i)));
     ("chunked", outputs (chunked d_k scale query key value beta initial_state chunk)
                         (over_chunks corrections));
     ("chunked_wy", outputs (chunked_wy d_k scale query key value beta initial_state chunk)
                            (over_chunks corrections_wy));
     ("chunked_ut", outputs (chunked_ut d_k scale query key value beta initial_state chunk)
                            (over_chunks corrections_ut));
     ("parallel", outputs (parallel d_k scale query key value beta initial_state)
                          (parallel_state d_k key value beta initial_state n));
     ("blocked", outputs (blocked d_k scale query key value beta initial_state chunk)
                         (fun i => recall_by_blocks d_k key value beta initial_state chunk n (identity i)))].

Eval vm_compute in one 1 1 1 1 1 1 any gate.
Eval vm_compute in one 2 2 1 2 1 2 any gate.
Eval vm_compute in one 2 2 2 1 1 3 any any.
Eval vm_compute in one 3 1 2 2 2 4 any gate.
Eval vm_compute in one 3 2 1 2 1 5 any gate.
Eval vm_compute in one 3 2 1 4 2 6 bit gate.
Eval vm_compute in one 4 2 1 3 1 7 any gate.
Eval vm_compute in one 4 1 1 2 2 8 any any.
Eval vm_compute in one 3 2 1 2 1 9 any bit.
Eval vm_compute in one 4 2 1 4 2 10 bit bit.
