(** * What a theorem says in the Mathematical Components library

    The theorems are about every [commutative_ring] and every [field] of [operations.v]. Two of them, said of
    the [comRingType] and [fieldType] that readers of that library know; all others read alike. *)
From mathcomp Require Import ssreflect ssralg.
From Etalon.base Require Import operations mathcomp.
From Etalon.gated_recurrence Require Import gated_linear_attention.

Theorem chunked_same_recurrent_in_any_ring (R : comRingType) d_k (scale : R) query key value decay
    initial_state chunk sub_chunk t j :
  chunked d_k scale query key value decay initial_state chunk sub_chunk t j =
    recurrent d_k scale query key value decay initial_state t j.
Proof. exact: chunked_same_recurrent. Qed.

Theorem parallel_same_recurrent_in_any_field (F : fieldType) d_k (scale : F) query key value decay
    initial_state t j :
  (forall t i, decay t i <> 0%R) ->
  parallel d_k scale query key value decay initial_state t j =
    recurrent d_k scale query key value decay initial_state t j.
Proof. by move=> no_decay_is_0; apply: parallel_same_recurrent. Qed.
