(** Cases of linear attention, from the features on. The definitions of the forms over all pairs and of the
    forms without a mask start from nothing, so these are compared where no initial state is given; the backward
    pass is that of the sums, so it is compared where outputs are not normalised. *)
From Coq Require Import List String QArith Qcanon.
From Etalon.base Require Import operations sums.
From Etalon.linear_attention Require Import linear_attention.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

(** Features are drawn by [draw]; where outputs are normalised it must keep the sums of weights from 0. *)
Definition one (n m d_v chunk : nat) (normalised started : bool) (seed : nat)
    (draw : nat -> nat -> nat -> nat -> Qc) (epsilon : Qc) : string :=
  let query := draw seed 1 in
  let key := draw seed 2 in
  let value := any seed 3 in
  let initial_state i j := if started then any seed 4 i j else 0%Qc in
  let initial_normaliser i := if started then gate seed 5 i 0 else 0%Qc in
  let d_output := any seed 6 in
  let d_state := any seed 7 in
  let outputs plain divided state :=
    [("output", matrix n d_v (if normalised then divided else plain)); ("state", matrix m d_v state)] in
  let all_pairs visible :=
    [("output", matrix n d_v (fun t => if normalised
                                       then quadratic_normalised m query key value epsilon (visible t) t
                                       else quadratic m query key value (visible t) t))] in
  case
    [("n", n); ("m", m); ("d_v", d_v); ("chunk", chunk); ("normalised", if normalised then 1 else 0)]
    ([("query", matrix n m query); ("key", matrix n m key); ("value", matrix n d_v value);
      ("epsilon", number epsilon)] ++
     (if started then
        [("initial_state", matrix m d_v initial_state); ("initial_normaliser", vector m initial_normaliser)]
      else []) ++
     (if normalised then []
      else [("d_output", matrix n d_v d_output); ("d_state", matrix m d_v d_state);
            ("d_normaliser", vector m (fun _ => 0%Qc))]))%list
    ([("recurrent",
       outputs (recurrent m query key value initial_state)
               (recurrent_normalised m query key value initial_state initial_normaliser epsilon)
               (state key value initial_state n) ++ [("normaliser", vector m (normaliser key initial_normaliser n))]);
      ("chunked",
       outputs (chunked m query key value initial_state chunk)
               (chunked_normalised m query key value initial_state initial_normaliser epsilon chunk)
               (chunked_state key value initial_state chunk n))] ++
     (if started then []
      else [("quadratic", all_pairs S); ("noncausal_quadratic", all_pairs (fun _ => n));
            ("noncausal",
             outputs (linear m query key value n) (linear_normalised m query key value epsilon n)
                     (summary key value n))]) ++
     (if normalised then []
      else [("backward",
             [("d_query", matrix n m (d_query key value initial_state d_v d_output));
              ("d_key", matrix n m (d_key query value n d_v d_output d_state));
              ("d_value", matrix n d_v (d_value m query key n d_output d_state));
              ("d_initial_state", matrix m d_v (d_initial_state query n d_output d_state))])]))%list.

Eval vm_compute in one 1 1 1 1 true false 1 gate 0%Qc.
Eval vm_compute in one 2 2 1 2 true false 2 gate (gate 2 8 0 0).
Eval vm_compute in one 3 2 2 2 true true 3 gate (gate 3 8 0 0).
Eval vm_compute in one 4 1 2 3 true false 4 gate 0%Qc.
Eval vm_compute in one 4 3 1 1 true true 5 gate 0%Qc.
Eval vm_compute in one 5 2 2 2 true true 6 gate (gate 6 8 0 0).
Eval vm_compute in one 6 2 1 4 true false 7 gate (gate 7 8 0 0).
Eval vm_compute in one 1 2 2 3 false true 8 any 0%Qc.
Eval vm_compute in one 3 2 2 2 false false 9 any 0%Qc.
Eval vm_compute in one 4 3 1 3 false true 10 any 0%Qc.
Eval vm_compute in one 5 1 2 7 false true 11 bit 0%Qc.
Eval vm_compute in one 5 2 2 2 false false 12 any 0%Qc.
