(** Cases of gated linear attention. *)
From Coq Require Import List String QArith Qcanon.
From Etalon.base Require Import operations.
From Etalon.gated_recurrence Require Import gated_linear_attention.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

(** [decay] and the other numbers are drawn by the given functions; the parallel form divides by decays, so it
    is left out where a decay may be 0. *)
Definition one (n d_k d_v chunk sub_chunk seed : nat) (draw draw_decay : nat -> nat -> nat -> nat -> Qc)
    (divides : bool) : string :=
  let query := draw seed 1 in
  let key := draw seed 2 in
  let value := draw seed 3 in
  let decay := draw_decay seed 4 in
  let initial_state := draw seed 5 in
  let scale := gate seed 6 0 0 in
  let outputs output state := [("output", matrix n d_v output); ("state", matrix d_k d_v state)] in
  case
    [("n", n); ("d_k", d_k); ("d_v", d_v); ("chunk", chunk); ("sub_chunk", sub_chunk)]
    [("query", matrix n d_k query); ("key", matrix n d_k key); ("value", matrix n d_v value);
     ("decay", matrix n d_k decay); ("initial_state", matrix d_k d_v initial_state); ("scale", number scale)]
    ([("recurrent", outputs (recurrent d_k scale query key value decay initial_state)
                            (state key value decay initial_state n));
      ("pairwise", outputs (pairwise d_k scale query key value decay initial_state)
                           (pairwise_state key value decay initial_state n));
      ("chunked", outputs (chunked d_k scale query key value decay initial_state chunk sub_chunk)
                          (chunked_state key value decay initial_state chunk n))] ++
     if divides then
       [("parallel", outputs (parallel d_k scale query key value decay initial_state)
                             (parallel_state key value decay initial_state n))]
     else [])%list.

Eval vm_compute in one 1 1 1 1 1 1 any gate true.
Eval vm_compute in one 2 2 1 2 1 2 any gate true.
Eval vm_compute in one 3 2 2 2 2 3 any gate true.
Eval vm_compute in one 4 1 2 3 2 4 any gate true.
Eval vm_compute in one 4 3 1 4 3 5 any gate true.
Eval vm_compute in one 5 2 2 3 1 6 any gate true.
Eval vm_compute in one 6 2 1 4 2 7 any gate true.
Eval vm_compute in one 3 2 2 5 2 8 bit gate true.
Eval vm_compute in one 4 2 2 3 2 9 any bit false.
Eval vm_compute in one 5 2 1 2 2 10 any bit false.
