(** * Mamba-2: state space duality

    The twin of [reference/state_space/mamba2_ssd.hpp], one head. In the names of attention, its C is [query],
    its B is [key] and its x is [value]; a token fades the whole state by one number [decay t]. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums recurrence chunks.
From Etalon.gated_recurrence Require gated_linear_attention.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R}.
  Variables (d_k : nat) (query key value : nat -> nat -> R) (decay : nat -> R) (skip : R).
  Variable initial_state : nat -> nat -> R.

  Fixpoint state (t : nat) : nat -> nat -> R :=
    match t with
    | O => initial_state
    | S t => fun i j => decay t * state t i j + key t i * value t j
    end.

  Definition recurrent (t j : nat) : R :=
    sum d_k (fun i => query t i * state (S t) i j) + skip * value t j.

  (** The mask: L_ts is the product of the decays after s up to t, and 0 above the diagonal. *)
  Definition mask (t s : nat) : R := if (s <=? t)%nat then between decay (S s) (S t) else 0.

  (** The dual: attention without softmax, times the mask; as a matrix over all n keys. *)
  Definition quadratic (n t j : nat) : R :=
    sum n (fun s => mask t s * sum d_k (fun i => query t i * key s i) * value s j) +
    between decay 0 (S t) * sum d_k (fun i => query t i * initial_state i j) + skip * value t j.

  Definition read_chunk (first r : nat) (carried : nat -> nat -> R) (j : nat) : R :=
    sum (S r) (fun s => mask (first + r) (first + s) *
                        sum d_k (fun i => query (first + r)%nat i * key (first + s)%nat i) *
                        value (first + s)%nat j) +
    between decay first (S (first + r)) * sum d_k (fun i => query (first + r)%nat i * carried i j) +
    skip * value (first + r)%nat j.

  Definition advance_chunk (first length : nat) (carried : nat -> nat -> R) (i j : nat) : R :=
    between decay first (first + length) * carried i j +
    sum length (fun r => between decay (S (first + r)) (first + length) * key (first + r)%nat i *
                         value (first + r)%nat j).

  Definition chunked (chunk t j : nat) : R :=
    in_chunk advance_chunk chunk initial_state (fun first r carried => read_chunk first r carried j) t.
  Definition chunked_state (chunk n : nat) : nat -> nat -> R :=
    carried_to advance_chunk chunk initial_state n.
End Text.

Section Theorems.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variables (d_k : nat) (query key value : nat -> nat -> R) (decay : nat -> R) (skip : R).
  Variable initial_state : nat -> nat -> R.

  Notation state := (state key value decay initial_state).
  Notation recurrent := (recurrent d_k query key value decay skip initial_state).
  Notation mask := (mask decay).

  (** Gated linear attention whose gate is the same for all channels, and the skip connection. *)
  Lemma state_is_gated t i j :
    gated_linear_attention.state key value (fun t _ => decay t) initial_state t i j = state t i j.
  Proof. by elim: t => [| t IH] //=; rewrite IH. Qed.

  Theorem limit_gated_linear_attention t j :
    gated_linear_attention.recurrent d_k 1 query key value (fun t _ => decay t) initial_state t j +
      skip * value t j = recurrent t j.
  Proof. by congr add; apply: eq_sum => i _; rewrite state_is_gated; ring. Qed.

  Lemma state_unrolled first length i j :
    state (first + length) i j =
      between decay first (first + length) * state first i j +
      sum length (fun r => between decay (S (first + r)) (first + length) *
                           (key (first + r)%nat i * value (first + r)%nat j)).
  Proof. exact: (unrolled (fun t => state t i j) decay (fun t => key t i * value t j)). Qed.

  Lemma advance_chunk_right first length carried :
    same_matrix carried (state first) ->
    same_matrix (advance_chunk key value decay first length carried) (state (first + length)).
  Proof.
    move=> right i j; rewrite state_unrolled /advance_chunk right; congr add.
    by apply: eq_sum => r _; ring.
  Qed.

  Lemma read_chunk_right j first r carried :
    same_matrix carried (state first) ->
    read_chunk d_k query key value decay skip first r carried j = recurrent (first + r) j.
  Proof.
    move=> right; rewrite /recurrent /read_chunk; congr add; rewrite -Nat.add_succ_r.
    under [RHS]eq_sum => i _ do rewrite state_unrolled -right.
    have -> : sum (S r) (fun s => mask (first + r) (first + s) *
        sum d_k (fun i => query (first + r)%nat i * key (first + s)%nat i) * value (first + s)%nat j) =
      sum d_k (fun i => query (first + r)%nat i *
        sum (S r) (fun s => between decay (S (first + s)) (first + S r) *
                            (key (first + s)%nat i * value (first + s)%nat j))).
      under [RHS]eq_sum => i _ do rewrite mul_sum.
      rewrite sum_exchange; apply: eq_sum => s small.
      rewrite /mask; have -> : (first + s <=? first + r = true)%nat by apply/Nat.leb_le; lia.
      by rewrite Nat.add_succ_r mul_sum sum_mul; apply: eq_sum => i _; ring.
    by rewrite mul_sum -sum_add; apply: eq_sum => i _; ring.
  Qed.

  (** The dual form: keys after t are masked out, and the others are one chunk that is never left. *)
  Theorem quadratic_same_recurrent n t j :
    (t < n)%nat -> quadratic d_k query key value decay skip initial_state n t j = recurrent t j.
  Proof.
    move=> small; rewrite -(read_chunk_right j 0 t initial_state) // /quadratic /read_chunk.
    have -> : (n = S t + (n - S t))%nat by lia.
    rewrite sum_split; set beyond := sum (n - S t) _.
    have -> : beyond = 0.
      apply: sum_of_zeros => s _; rewrite /mask.
      have -> : (S t + s <=? t = false)%nat by apply/Nat.leb_gt; lia.
      by ring.
    by rewrite /=; ring.
  Qed.

  Theorem chunked_same_recurrent chunk t j :
    chunked d_k query key value decay skip initial_state chunk t j = recurrent t j.
  Proof.
    apply: (in_chunk_right _ _ _ same_matrix (fun t => state t) _ advance_chunk_right _
              (fun t => recurrent t j)) => //.
    exact: read_chunk_right.
  Qed.

  Theorem chunked_state_same_recurrent chunk n i j :
    chunked_state key value decay initial_state chunk n i j = state n i j.
  Proof. exact: (carried_to_right _ _ _ same_matrix (fun t => state t) _ advance_chunk_right). Qed.

  (** ** The mask is 1-semiseparable *)

  (** Below the diagonal every block is a column times a row: what decays to a token m in between, and from
      it. Log-depth and dilated algorithms rest on this. *)
  Theorem mask_has_rank_one t m s :
    (s <= m <= t)%nat -> mask t s = mask t m * mask m s.
  Proof.
    move=> ordered; rewrite /mask.
    rewrite !(proj2 (Nat.leb_le _ _)); try lia.
    by rewrite (between_split decay (S s) (S m) (S t)); [lia | ring].
  Qed.

  (** Its inverse has two diagonals, 1 and - decay t: multiplying by the mask is running the recurrence. *)
  Theorem mask_inverse t s :
    mask t s - (match t with O => 0 | S before => decay t * mask before s end) =
      if (s =? t)%nat then 1 else 0.
  Proof.
    rewrite /mask; case: t => [| t].
      by case: s => [| s]; rewrite /= ?between_nothing; ring.
    case: (Nat.leb_spec s (S t)) => bound; case: (Nat.leb_spec s t) => bound'; try lia;
      case: (Nat.eqb_spec s (S t)) => same; try lia.
    - by rewrite (between_last decay (S s) (S t)); [lia | ring].
    - by rewrite same between_nothing; ring.
    - by ring.
  Qed.

  (** A token that pads a short chunk, decay 1 and value 0, leaves the state as it is. *)
  Theorem padding_keeps_state t i j :
    decay t = 1 -> value t j = 0 -> state (S t) i j = state t i j.
  Proof. by move=> keeps nothing; rewrite /= keeps nothing; ring. Qed.
End Theorems.

Lemma state_respects {R} {ops : operations R} (key value : nat -> nat -> R) decay a b t :
  same_matrix a b -> same_matrix (state key value decay a t) (state key value decay b t).
Proof. by move=> same i j; elim: t => [| t IH] /=; rewrite ?IH. Qed.

(** A sequence may be cut anywhere. *)
Section Split.
  Context {R : Type} {ops : operations R}.
  Variables (d_k : nat) (query key value : nat -> nat -> R) (decay : nat -> R) (skip : R).
  Variable initial_state : nat -> nat -> R.

  Theorem split_state m t i j :
    state (from m key) (from m value) (from m decay) (state key value decay initial_state m) t i j =
      state key value decay initial_state (m + t) i j.
  Proof. by elim: t i j => [| t IH] i j; rewrite ?Nat.add_0_r ?Nat.add_succ_r //= IH. Qed.

  Theorem split_recurrent m t j :
    recurrent d_k (from m query) (from m key) (from m value) (from m decay) skip
      (state key value decay initial_state m) t j =
    recurrent d_k query key value decay skip initial_state (m + t) j.
  Proof.
    rewrite /recurrent; congr add.
    by apply: eq_sum => i _; rewrite split_state Nat.add_succ_r.
  Qed.

  Context {laws : commutative_ring R}.

  Theorem split_chunked m chunk t j :
    chunked d_k (from m query) (from m key) (from m value) (from m decay) skip
      (chunked_state key value decay initial_state chunk m) chunk t j =
    chunked d_k query key value decay skip initial_state chunk (m + t) j.
  Proof.
    rewrite !chunked_same_recurrent -split_recurrent /recurrent; congr add; apply: eq_sum => i _; congr mul.
    by apply: (state_respects _ _ _ _ _ (S t) _ i j) => i' j'; rewrite chunked_state_same_recurrent.
  Qed.
End Split.
