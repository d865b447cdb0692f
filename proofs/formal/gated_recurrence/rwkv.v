(** * RWKV-5 and RWKV-6

    The same state as gated linear attention, read before the token is added; the token itself gets a bonus
    [bonus i] instead. RWKV-5 is the case of a constant decay. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums recurrence chunks.
From Etalon.gated_recurrence Require gated_linear_attention.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R} {div : division R}.
  Variables (d_k : nat) (receptance key value decay : nat -> nat -> R) (bonus : nat -> R).
  Variable initial_state : nat -> nat -> R.

  Definition state : nat -> nat -> nat -> R :=
    gated_linear_attention.state key value decay initial_state.

  (** Read first, then update. *)
  Definition recurrent (t j : nat) : R :=
    sum d_k (fun i => receptance t i * (state t i j + bonus i * key t i * value t j)).

  (** The bonus as one number a token. *)
  Definition bonus_score (t : nat) : R := sum d_k (fun i => receptance t i * bonus i * key t i).
  Definition factored (t j : nat) : R :=
    sum d_k (fun i => receptance t i * state t i j) + bonus_score t * value t j.

  Definition rho (first last i : nat) : R := between (fun t => decay t i) first last.

  (** Every earlier key, decayed by the tokens strictly between. *)
  Definition pairwise (t j : nat) : R :=
    sum t (fun s => sum d_k (fun i => receptance t i * key s i * rho (S s) t i) * value s j) +
    sum d_k (fun i => receptance t i * rho 0 t i * initial_state i j) +
    bonus_score t * value t j.

  Definition read_chunk (first r : nat) (carried : nat -> nat -> R) (j : nat) : R :=
    sum d_k (fun i => receptance (first + r)%nat i * rho first (first + r) i * carried i j) +
    sum r (fun s => sum d_k (fun i => receptance (first + r)%nat i * key (first + s)%nat i *
                                      rho (S (first + s)) (first + r) i) * value (first + s)%nat j) +
    bonus_score (first + r) * value (first + r)%nat j.

  Definition chunked (chunk t j : nat) : R :=
    in_chunk (gated_linear_attention.advance_chunk key value decay) chunk initial_state
      (fun first r carried => read_chunk first r carried j) t.
End Text.

Section Ring.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variables (d_k : nat) (receptance key value decay : nat -> nat -> R) (bonus : nat -> R).
  Variable initial_state : nat -> nat -> R.

  Notation recurrent := (recurrent d_k receptance key value decay bonus initial_state).

  (** The bonus may be computed once for all channels of the value. *)
  Theorem factored_same_recurrent t j :
    factored d_k receptance key value decay bonus initial_state t j = recurrent t j.
  Proof.
    rewrite /factored /bonus_score sum_mul -sum_add.
    by apply: eq_sum => i _; ring.
  Qed.

  Lemma read_chunk_right j first r carried :
    same_matrix carried (gated_linear_attention.state key value decay initial_state first) ->
    read_chunk d_k receptance key value decay bonus first r carried j = recurrent (first + r) j.
  Proof.
    move=> right; rewrite -factored_same_recurrent /factored /read_chunk /state; congr add.
    under [RHS]eq_sum => i _ do rewrite gated_linear_attention.state_unrolled -right.
    by rewrite gated_linear_attention.read_unrolled.
  Qed.

  Theorem pairwise_same_recurrent t j :
    pairwise d_k receptance key value decay bonus initial_state t j = recurrent t j.
  Proof.
    rewrite -(read_chunk_right j 0 t initial_state) // /pairwise /read_chunk /=; congr add.
    by ring.
  Qed.

  Theorem chunked_same_recurrent chunk t j :
    chunked d_k receptance key value decay bonus initial_state chunk t j = recurrent t j.
  Proof.
    apply: (in_chunk_right _ _ _ same_matrix _ _
              (gated_linear_attention.advance_chunk_right _ _ _ _) _ (fun t => recurrent t j)) => //.
    exact: read_chunk_right.
  Qed.
End Ring.

Section Field.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field field_numbers : (@field_laws R ops div laws).
  Variables (d_k : nat) (receptance key value decay : nat -> nat -> R) (bonus : nat -> R).
  Variable initial_state : nat -> nat -> R.

  (** Where no decay is 0: gated linear attention with the query divided by the decay, and a bonus that
      takes the current token back out. *)
  Theorem limit_gated_linear_attention t j :
    (forall i, decay t i <> 0) ->
    gated_linear_attention.recurrent d_k 1 (fun t i => receptance t i / decay t i) key value decay
        initial_state t j +
      sum d_k (fun i => receptance t i * (bonus i - 1 / decay t i) * key t i) * value t j =
    recurrent d_k receptance key value decay bonus initial_state t j.
  Proof.
    move=> not_0; rewrite /gated_linear_attention.recurrent sum_mul -sum_add.
    by apply: eq_sum => i _ /=; rewrite /state; field.
  Qed.
End Field.
