(** Cases of the gated delta rule, with one gate a token or one a channel, and of transitions that are diagonal
    plus rank one. The form pairwise and DeltaProduct have no twin. *)
From Coq Require Import List String QArith Qcanon.
From Etalon.base Require Import operations.
From Etalon.gated_recurrence Require Import gated_delta.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

(** A gate for every token ([transition] 0) or for every token and channel (1). The form embedded is the
    transition that [kda_is_dplr] speaks of. *)
Definition gated (by_channel : bool) (n d_k d_v chunk seed : nat)
    (draw draw_beta draw_decay : nat -> nat -> nat -> nat -> Qc) : string :=
  let query := draw seed 1 in
  let key := draw seed 2 in
  let value := draw seed 3 in
  let beta t := draw_beta seed 4 t 0 in
  let decay t i := draw_decay seed 5 t (if by_channel then i else 0) in
  let initial_state := draw seed 6 in
  let scale := gate seed 7 0 0 in
  let written t i := mul (beta t) (key t i) in
  let removal t i := mul (decay t i) (key t i) in
  let erase t i := opp (written t i) in
  let outputs output state := [("output", matrix n d_v output); ("state", matrix d_k d_v state)] in
  case
    [("n", n); ("d_k", d_k); ("d_v", d_v); ("transition", if by_channel then 1 else 0); ("chunk", chunk)]
    [("query", matrix n d_k query); ("key", matrix n d_k key); ("value", matrix n d_v value);
     ("beta", vector n beta);
     (if by_channel then ("channel_decay", matrix n d_k decay) else ("decay", vector n (fun t => decay t 0)));
     ("initial_state", matrix d_k d_v initial_state); ("scale", number scale)]
    [("recurrent", outputs (recurrent d_k scale query key value decay beta initial_state)
                           (state d_k key value decay beta initial_state n));
     ("chunked", outputs (chunked d_k scale query key value decay beta initial_state chunk)
                         (chunked_state d_k key value decay beta initial_state chunk n));
     ("embedded", outputs (dplr_recurrent d_k scale query written value decay removal erase initial_state)
                          (dplr_state d_k written value decay removal erase initial_state n))].

(** The identity ([transition] 2) or any diagonal (3), plus rank one. *)
Definition low_rank (identity : bool) (n d_k d_v chunk seed : nat)
    (draw draw_decay : nat -> nat -> nat -> nat -> Qc) : string :=
  let query := draw seed 1 in
  let key := draw seed 2 in
  let value := draw seed 3 in
  let decay t i := if identity then 1%Qc else draw_decay seed 4 t i in
  let removal := draw seed 5 in
  let erase := draw seed 6 in
  let initial_state := draw seed 7 in
  let scale := gate seed 8 0 0 in
  let outputs output state := [("output", matrix n d_v output); ("state", matrix d_k d_v state)] in
  let token_by_token :=
    outputs (dplr_recurrent d_k scale query key value decay removal erase initial_state)
            (dplr_state d_k key value decay removal erase initial_state n) in
  case
    [("n", n); ("d_k", d_k); ("d_v", d_v); ("transition", if identity then 2 else 3); ("chunk", chunk)]
    ([("query", matrix n d_k query); ("key", matrix n d_k key); ("value", matrix n d_v value);
      ("reader", matrix n d_k removal); ("writer", matrix n d_k erase);
      ("initial_state", matrix d_k d_v initial_state); ("scale", number scale)] ++
     (if identity then [] else [("channel_decay", matrix n d_k decay)]))%list
    [("recurrent", token_by_token);
     ("chunked", outputs (dplr_chunked d_k scale query key value decay removal erase initial_state chunk)
                         (dplr_chunked_state d_k key value decay removal erase initial_state chunk n));
     ("embedded", token_by_token)].

Eval vm_compute in gated false 1 1 1 1 1 any gate gate.
Eval vm_compute in gated false 2 2 1 2 2 any gate gate.
Eval vm_compute in gated false 3 2 2 2 3 any any gate.
Eval vm_compute in gated false 4 2 1 3 4 any gate bit.
Eval vm_compute in gated true 2 2 2 1 5 any gate gate.
Eval vm_compute in gated true 3 2 1 2 6 any any gate.
Eval vm_compute in gated true 4 2 1 4 7 bit gate any.
Eval vm_compute in gated true 3 3 2 2 8 any bit bit.
Eval vm_compute in low_rank true 2 2 1 1 9 any any.
Eval vm_compute in low_rank true 3 2 2 2 10 any any.
Eval vm_compute in low_rank true 4 1 2 3 11 bit any.
Eval vm_compute in low_rank false 3 2 1 2 12 any gate.
Eval vm_compute in low_rank false 4 2 1 3 13 bit any.
Eval vm_compute in low_rank false 3 2 2 5 14 any bit.
