(** * Gated delta rules

    The twin of [reference/gated_recurrence/gated_delta.hpp]: a delta rule whose memory also fades. KDA fades
    channel by channel, gated DeltaNet (GDN) by one number a token; diagonal plus rank one (DPLR), the core of
    RWKV-7, contains both. *)
From Coq Require Import ssreflect Ring Arith Lia.
From Etalon.base Require Import operations sums recurrence chunks triangular.
From Etalon.gated_recurrence Require gated_linear_attention delta_rule.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R}.
  Variables (d_k : nat) (scale : R) (query key value decay : nat -> nat -> R).

  Definition rho (first last i : nat) : R := between (fun t => decay t i) first last.
  Definition read (q : nat -> R) (s : nat -> nat -> R) (j : nat) : R := sum d_k (fun i => q i * s i j).

  (** The score of two vectors whose channels have faded between them. *)
  Definition faded (x y fade : nat -> R) : R := sum d_k (fun i => x i * y i * fade i).

  (** ** KDA: fade, then correct *)
  Section KDA.
    Variable beta : nat -> R.

    Fixpoint state (initial_state : nat -> nat -> R) (t : nat) : nat -> nat -> R :=
      match t with
      | O => initial_state
      | S t => fun i j =>
          let fading l := decay t l * state initial_state t l j in
          fading i + beta t * key t i * (value t j - sum d_k (fun l => key t l * fading l))
      end.

    Variable initial_state : nat -> nat -> R.
    Definition recurrent (t j : nat) : R := scale * read (query t) (state initial_state (S t)) j.

    (** Inside a chunk the corrections solve a triangular system. *)
    Definition lower (first r s : nat) : R :=
      beta (first + r)%nat *
      faded (key (first + r)%nat) (key (first + s)%nat) (rho (S (first + s)) (S (first + r))).
    Definition corrections (first : nat) (carried : nat -> nat -> R) : nat -> nat -> R :=
      forward_substitution (lower first)
        (fun r j => beta (first + r)%nat *
           (value (first + r)%nat j -
            sum d_k (fun l => key (first + r)%nat l * (rho first (S (first + r)) l * carried l j)))).

    Definition read_chunk (first r : nat) (carried : nat -> nat -> R) (j : nat) : R :=
      scale * (sum d_k (fun i => query (first + r)%nat i * rho first (S (first + r)) i * carried i j) +
               sum (S r) (fun s =>
                 faded (query (first + r)%nat) (key (first + s)%nat) (rho (S (first + s)) (S (first + r))) *
                 corrections first carried s j)).
    Definition advance_chunk (first length : nat) (carried : nat -> nat -> R) (i j : nat) : R :=
      rho first (first + length) i * carried i j +
      sum length (fun r => rho (S (first + r)) (first + length) i *
                           (key (first + r)%nat i * corrections first carried r j)).
    Definition chunked (chunk t j : nat) : R :=
      in_chunk advance_chunk chunk initial_state (fun first r carried => read_chunk first r carried j) t.
    Definition chunked_state (chunk n : nat) : nat -> nat -> R :=
      carried_to advance_chunk chunk initial_state n.
  End KDA.

  (** ** DPLR: [removal t] reads the state before it fades; what it finds is written along [erase t] *)
  Section DPLR.
    Variables (removal erase : nat -> nat -> R).

    Fixpoint dplr_state (initial_state : nat -> nat -> R) (t : nat) : nat -> nat -> R :=
      match t with
      | O => initial_state
      | S t => fun i j =>
          decay t i * dplr_state initial_state t i j +
          erase t i * read (removal t) (dplr_state initial_state t) j + key t i * value t j
      end.

    Variable initial_state : nat -> nat -> R.
    Definition dplr_recurrent (t j : nat) : R := scale * read (query t) (dplr_state initial_state (S t)) j.

    Definition dplr_lower (first r s : nat) : R :=
      - faded (removal (first + r)%nat) (erase (first + s)%nat) (rho (S (first + s)) (first + r)).
    Definition dplr_found (first : nat) (carried : nat -> nat -> R) : nat -> nat -> R :=
      forward_substitution (dplr_lower first)
        (fun r j =>
           sum d_k (fun l => removal (first + r)%nat l * rho first (first + r) l * carried l j) +
           sum r (fun s => faded (removal (first + r)%nat) (key (first + s)%nat)
                             (rho (S (first + s)) (first + r)) * value (first + s)%nat j)).

    Definition dplr_read_chunk (first r : nat) (carried : nat -> nat -> R) (j : nat) : R :=
      let score x s :=
        faded (query (first + r)%nat) (x (first + s)%nat) (rho (S (first + s)) (S (first + r))) in
      scale * (sum d_k (fun i => query (first + r)%nat i * rho first (S (first + r)) i * carried i j) +
               (sum (S r) (fun s => score erase s * dplr_found first carried s j) +
                sum (S r) (fun s => score key s * value (first + s)%nat j))).
    Definition dplr_advance_chunk (first length : nat) (carried : nat -> nat -> R) (i j : nat) : R :=
      rho first (first + length) i * carried i j +
      sum length (fun r => rho (S (first + r)) (first + length) i *
        (erase (first + r)%nat i * dplr_found first carried r j +
         key (first + r)%nat i * value (first + r)%nat j)).
    Definition dplr_chunked (chunk t j : nat) : R :=
      in_chunk dplr_advance_chunk chunk initial_state
        (fun first r carried => dplr_read_chunk first r carried j) t.
    Definition dplr_chunked_state (chunk n : nat) : nat -> nat -> R :=
      carried_to dplr_advance_chunk chunk initial_state n.
  End DPLR.
End Text.

(** What a row finds in a sum of faded outer products: scores times what they hold. *)
Section Reading.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring reading_numbers : (@ring_laws R ops laws).
  Variable d_k : nat.

  Lemma read_sum length (q : nat -> R) (x fade : nat -> nat -> R) (held : nat -> R) :
    sum d_k (fun i => q i * sum length (fun s => fade s i * (x s i * held s))) =
      sum length (fun s => faded d_k q (x s) (fade s) * held s).
  Proof.
    under eq_sum => i _ do rewrite mul_sum.
    rewrite sum_exchange; apply: eq_sum => s _.
    by rewrite /faded sum_mul; apply: eq_sum => i _; ring.
  Qed.

  Lemma read_faded length (q first left : nat -> R) (x fade : nat -> nat -> R) (held : nat -> R) :
    sum d_k (fun i => q i * (first i * left i + sum length (fun s => fade s i * (x s i * held s)))) =
      sum d_k (fun i => q i * first i * left i) + sum length (fun s => faded d_k q (x s) (fade s) * held s).
  Proof. by rewrite -read_sum -sum_add; apply: eq_sum => i _; ring. Qed.

  Lemma read_faded_twice length (q first left : nat -> R) (x y fade : nat -> nat -> R)
      (held kept : nat -> R) :
    sum d_k (fun i => q i * (first i * left i +
      sum length (fun s => fade s i * (x s i * held s + y s i * kept s)))) =
      sum d_k (fun i => q i * first i * left i) +
      (sum length (fun s => faded d_k q (x s) (fade s) * held s) +
       sum length (fun s => faded d_k q (y s) (fade s) * kept s)).
  Proof.
    rewrite -!read_sum -!sum_add; apply: eq_sum => i _.
    have -> : sum length (fun s => fade s i * (x s i * held s + y s i * kept s)) =
      sum length (fun s => fade s i * (x s i * held s)) + sum length (fun s => fade s i * (y s i * kept s)).
      by rewrite -sum_add; apply: eq_sum => s _; ring.
    by ring.
  Qed.
End Reading.

Section KDATheorems.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring kda_numbers : (@ring_laws R ops laws).
  Variables (d_k : nat) (scale : R) (query key value decay : nat -> nat -> R) (beta : nat -> R).
  Variable initial_state : nat -> nat -> R.

  Notation memory := (state d_k key value decay beta initial_state).

  Definition correction (t j : nat) : R :=
    beta t * (value t j - sum d_k (fun l => key t l * (decay t l * memory t l j))).

  (** Gated linear attention on corrections. *)
  Lemma memory_unrolled first length i j :
    memory (first + length) i j =
      rho decay first (first + length) i * memory first i j +
      sum length (fun r => rho decay (S (first + r)) (first + length) i *
                           (key (first + r)%nat i * correction (first + r) j)).
  Proof.
    apply: (unrolled (fun t => memory t i j) (fun t => decay t i) (fun t => key t i * correction t j)) => t.
    by rewrite /= /correction; ring.
  Qed.

  Lemma correction_row first r j :
    correction (first + r) j =
      beta (first + r)%nat * (value (first + r)%nat j -
        sum d_k (fun l => key (first + r)%nat l * (rho decay first (S (first + r)) l * memory first l j))) -
      sum r (fun s => lower d_k key decay beta first r s * correction (first + s) j).
  Proof.
    rewrite {1}/correction.
    have -> : sum d_k (fun l => key (first + r)%nat l * (decay (first + r)%nat l * memory (first + r) l j)) =
      sum d_k (fun l => key (first + r)%nat l * (rho decay first (S (first + r)) l * memory first l j +
        sum r (fun s => rho decay (S (first + s)) (S (first + r)) l *
                        (key (first + s)%nat l * correction (first + s) j)))).
      apply: eq_sum => l _; rewrite memory_unrolled /rho; congr mul.
      rewrite between_last; first lia.
      have -> : sum r (fun s => between (fun t => decay t l) (S (first + s)) (S (first + r)) *
                                (key (first + s)%nat l * correction (first + s) j)) =
        decay (first + r)%nat l * sum r (fun s => between (fun t => decay t l) (S (first + s)) (first + r) *
                                (key (first + s)%nat l * correction (first + s) j)).
        by rewrite mul_sum; apply: eq_sum => s small; rewrite between_last; [lia | ring].
      by ring.
    have -> : sum r (fun s => lower d_k key decay beta first r s * correction (first + s) j) =
      beta (first + r)%nat * sum r (fun s => faded d_k (key (first + r)%nat) (key (first + s)%nat)
        (rho decay (S (first + s)) (S (first + r))) * correction (first + s) j).
      by rewrite mul_sum; apply: eq_sum => s _; rewrite /lower; ring.
    have -> : sum d_k (fun l => key (first + r)%nat l *
                                (rho decay first (S (first + r)) l * memory first l j)) =
      sum d_k (fun l => key (first + r)%nat l * rho decay first (S (first + r)) l * memory first l j).
      by apply: eq_sum => l _; ring.
    have distribute (b v x y : R) : b * (v - (x + y)) = b * (v - x) - b * y by ring.
    by rewrite read_faded distribute.
  Qed.

  Lemma corrections_right first carried r j :
    same_matrix carried (memory first) ->
    corrections d_k key value decay beta first carried r j = correction (first + r) j.
  Proof.
    move=> right.
    apply: (forward_substitution_unique _ _ (S r) (fun r j => correction (first + r) j)) => // s _.
    rewrite correction_row; congr (_ * (_ - _) - _).
    by apply: eq_sum => l _; rewrite right.
  Qed.

  Lemma advance_chunk_right first length carried :
    same_matrix carried (memory first) ->
    same_matrix (advance_chunk d_k key value decay beta first length carried) (memory (first + length)).
  Proof.
    move=> right i j; rewrite memory_unrolled /advance_chunk right; congr add.
    by apply: eq_sum => r _; rewrite corrections_right.
  Qed.

  Notation recurrent := (recurrent d_k scale query key value decay beta initial_state).

  Lemma read_chunk_right j first r carried :
    same_matrix carried (memory first) ->
    read_chunk d_k scale query key value decay beta first r carried j = recurrent (first + r) j.
  Proof.
    move=> right; rewrite /recurrent /read_chunk /read -Nat.add_succ_r; congr mul.
    under [RHS]eq_sum => i _ do rewrite memory_unrolled -right.
    rewrite read_faded; congr add.
    by apply: eq_sum => s _; rewrite corrections_right // Nat.add_succ_r.
  Qed.

  (** A triangular system inside every chunk, for every chunk size; a gate may be exactly 0. *)
  Theorem chunked_same_recurrent chunk t j :
    chunked d_k scale query key value decay beta initial_state chunk t j = recurrent t j.
  Proof.
    apply: (in_chunk_right _ _ _ same_matrix (fun t => memory t) _ advance_chunk_right _
              (fun t => recurrent t j)) => //.
    exact: read_chunk_right.
  Qed.

  Theorem chunked_state_same_recurrent chunk n i j :
    chunked_state d_k key value decay beta initial_state chunk n i j = memory n i j.
  Proof. exact: (carried_to_right _ _ _ same_matrix (fun t => memory t) _ advance_chunk_right). Qed.

  (** ** Embeddings *)

  (** KDA, and with one gate for all channels GDN, is diagonal plus rank one. *)
  Theorem kda_is_dplr t i j :
    dplr_state d_k (fun t i => beta t * key t i) value decay (fun t i => decay t i * key t i)
      (fun t i => - (beta t * key t i)) initial_state t i j = memory t i j.
  Proof.
    elim: t i j => [// | t IH] i j /=; rewrite IH /read.
    have -> : sum d_k (fun l => decay t l * key t l *
        dplr_state d_k (fun t i => beta t * key t i) value decay (fun t i => decay t i * key t i)
          (fun t i => - (beta t * key t i)) initial_state t l j) =
      sum d_k (fun l => key t l * (decay t l * memory t l j)).
      by apply: eq_sum => l _; rewrite IH; ring.
    by ring.
  Qed.

  (** Without forgetting it is the delta rule. *)
  Theorem limit_delta_rule t i j :
    (forall t i, decay t i = 1) ->
    memory t i j = delta_rule.state d_k key value beta initial_state t i j.
  Proof.
    move=> keeps; elim: t i j => [// | t IH] i j /=; rewrite keeps IH.
    have -> : sum d_k (fun l => key t l * (decay t l * memory t l j)) =
      sum d_k (fun l => delta_rule.state d_k key value beta initial_state t l j * key t l).
      by apply: eq_sum => l _; rewrite keeps IH; ring.
    by ring.
  Qed.
End KDATheorems.

Section DPLRTheorems.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring dplr_numbers : (@ring_laws R ops laws).
  Variables (d_k : nat) (scale : R) (query key value decay removal erase : nat -> nat -> R).
  Variable initial_state : nat -> nat -> R.

  Notation memory := (dplr_state d_k key value decay removal erase initial_state).
  Notation found t j := (read d_k (removal t) (memory t) j).

  Lemma dplr_unrolled first length i j :
    memory (first + length) i j =
      rho decay first (first + length) i * memory first i j +
      sum length (fun r => rho decay (S (first + r)) (first + length) i *
        (erase (first + r)%nat i * found (first + r)%nat j +
         key (first + r)%nat i * value (first + r)%nat j)).
  Proof.
    apply: (unrolled (fun t => memory t i j) (fun t => decay t i)
              (fun t => erase t i * found t j + key t i * value t j)) => t.
    by rewrite /=; ring.
  Qed.

  Lemma found_right first carried r j :
    same_matrix carried (memory first) ->
    dplr_found d_k key value decay removal erase first carried r j = found (first + r)%nat j.
  Proof.
    move=> right.
    apply: (forward_substitution_unique _ _ (S r) (fun r j => found (first + r)%nat j)) => // s _.
    rewrite {1}/read; under eq_sum => i _ do rewrite dplr_unrolled -right.
    rewrite /dplr_lower.
    have -> : sum s (fun m => - faded d_k (removal (first + s)%nat) (erase (first + m)%nat)
        (rho decay (S (first + m)) (first + s)) * found (first + m)%nat j) =
      - sum s (fun m => faded d_k (removal (first + s)%nat) (erase (first + m)%nat)
        (rho decay (S (first + m)) (first + s)) * found (first + m)%nat j).
      by rewrite -sum_opp; apply: eq_sum => m _; ring.
    have regroup (x y z : R) : x + (y + z) = x + z - - y by ring.
    by rewrite read_faded_twice regroup.
  Qed.

  Lemma dplr_advance_chunk_right first length carried :
    same_matrix carried (memory first) ->
    same_matrix (dplr_advance_chunk d_k key value decay removal erase first length carried)
                (memory (first + length)).
  Proof.
    move=> right i j; rewrite dplr_unrolled /dplr_advance_chunk right; congr add.
    by apply: eq_sum => r _; rewrite found_right.
  Qed.

  Notation recurrent := (dplr_recurrent d_k scale query key value decay removal erase initial_state).

  Lemma dplr_read_chunk_right j first r carried :
    same_matrix carried (memory first) ->
    dplr_read_chunk d_k scale query key value decay removal erase first r carried j = recurrent (first + r) j.
  Proof.
    move=> right; rewrite /recurrent /dplr_read_chunk {1}/read -Nat.add_succ_r; congr mul.
    under [RHS]eq_sum => i _ do rewrite dplr_unrolled -right.
    rewrite read_faded_twice Nat.add_succ_r; congr (_ + (_ + _)).
    by apply: eq_sum => s _; rewrite found_right.
  Qed.

  Theorem dplr_chunked_same_recurrent chunk t j :
    dplr_chunked d_k scale query key value decay removal erase initial_state chunk t j = recurrent t j.
  Proof.
    apply: (in_chunk_right _ _ _ same_matrix (fun t => memory t) _ dplr_advance_chunk_right _
              (fun t => recurrent t j)) => //.
    exact: dplr_read_chunk_right.
  Qed.

  Theorem dplr_chunked_state_same_recurrent chunk n i j :
    dplr_chunked_state d_k key value decay removal erase initial_state chunk n i j = memory n i j.
  Proof. exact: (carried_to_right _ _ _ same_matrix (fun t => memory t) _ dplr_advance_chunk_right). Qed.

  (** Without removal it is gated linear attention. *)
  Theorem limit_gated_linear_attention t i j :
    (forall t i, removal t i = 0) ->
    memory t i j = gated_linear_attention.state key value decay initial_state t i j.
  Proof.
    move=> nothing; elim: t i j => [// | t IH] i j /=; rewrite IH.
    have -> : found t j = 0 by apply: sum_of_zeros => l _; rewrite nothing; ring.
    by ring.
  Qed.
End DPLRTheorems.
