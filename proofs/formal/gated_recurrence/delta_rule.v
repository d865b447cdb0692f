(** * The delta rule

    The twin of [reference/gated_recurrence/delta_rule.hpp]. A token first reads what the memory returns for
    its key, and writes only the correction, beta times the difference to its value. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums chunks triangular dual.
From Etalon.linear_attention Require linear_attention.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R}.
  Variables (d_k : nat) (scale : R) (query key value : nat -> nat -> R) (beta : nat -> R).

  Fixpoint state (initial_state : nat -> nat -> R) (t : nat) : nat -> nat -> R :=
    match t with
    | O => initial_state
    | S t => fun i j =>
        let recalled := sum d_k (fun l => state initial_state t l j * key t l) in
        state initial_state t i j + beta t * key t i * (value t j - recalled)
    end.

  Variable initial_state : nat -> nat -> R.

  Definition recurrent (t j : nat) : R :=
    scale * sum d_k (fun i => query t i * state initial_state (S t) i j).

  Definition inner (a b : nat -> R) : R := sum d_k (fun i => a i * b i).

  (** The second reading of the recurrence: multiply by H = I - beta k k^T, then write. *)
  Definition householder (t i m : nat) : R := identity i m - beta t * key t i * key t m.
  Fixpoint dense_state (t : nat) : nat -> nat -> R :=
    match t with
    | O => initial_state
    | S t => fun i j =>
        sum d_k (fun m => householder t i m * dense_state t m j) + beta t * key t i * value t j
    end.
  Definition dense (t j : nat) : R := scale * sum d_k (fun i => query t i * dense_state (S t) i j).

  (** Every query with every earlier key: the query moves back from token to token, and leaves out at each
      what that token has replaced. *)
  Fixpoint recall (tokens : nat) (q : nat -> R) (j : nat) : R :=
    match tokens with
    | O => sum d_k (fun i => q i * initial_state i j)
    | S s => let score := beta s * inner q (key s) in
             score * value s j + recall s (fun i => q i - score * key s i) j
    end.
  Definition pairwise (t j : nat) : R := recall (S t) (fun i => scale * query t i) j.

  (** Inside a chunk: the corrections solve a triangular system, since each recalls those before it. *)
  Definition lower (first r s : nat) : R :=
    beta (first + r)%nat * inner (key (first + r)%nat) (key (first + s)%nat).

  Definition corrections (first : nat) (carried : nat -> nat -> R) : nat -> nat -> R :=
    forward_substitution (lower first)
      (fun r j => beta (first + r)%nat *
                  (value (first + r)%nat j - sum d_k (fun l => carried l j * key (first + r)%nat l))).

  (** The product of the transitions I - beta k k^T of [length] tokens, later ones on the left. *)
  Fixpoint transition (first length : nat) : nat -> nat -> R :=
    match length with
    | O => identity
    | S r => fun i l =>
        transition first r i l -
        beta (first + r)%nat * key (first + r)%nat i *
        sum d_k (fun m => key (first + r)%nat m * transition first r m l)
    end.

  (** The two matrices of the WY form. *)
  Definition wy_keys (first : nat) : nat -> nat -> R :=
    forward_substitution (lower first) (fun r l => beta (first + r)%nat * key (first + r)%nat l).
  Definition wy_values (first : nat) : nat -> nat -> R :=
    forward_substitution (lower first) (fun r j => beta (first + r)%nat * value (first + r)%nat j).

  (** The corrections from the WY form: R = U - W S. *)
  Definition corrections_wy (first : nat) (carried : nat -> nat -> R) (r j : nat) : R :=
    wy_values first r j - sum d_k (fun l => wy_keys first r l * carried l j).

  (** The UT transform (I + L)^-1 diag(beta). *)
  Definition ut_transform (first r s : nat) : R :=
    unit_lower_inverse (lower first) r s * beta (first + s)%nat.

  (** W = T K, U = T V, and again R = U - W S. *)
  Definition corrections_ut (first : nat) (carried : nat -> nat -> R) (r j : nat) : R :=
    sum (S r) (fun s => ut_transform first r s * value (first + s)%nat j) -
    sum d_k (fun l => sum (S r) (fun s => ut_transform first r s * key (first + s)%nat l) * carried l j).

  (** Chunks, whose corrections are found in one of these ways. *)
  Section Chunks.
    Variable correct : nat -> (nat -> nat -> R) -> nat -> nat -> R.

    Definition read_chunk (first r : nat) (carried : nat -> nat -> R) (j : nat) : R :=
      scale * (sum d_k (fun i => query (first + r)%nat i * carried i j) +
               sum (S r) (fun s => inner (query (first + r)%nat) (key (first + s)%nat) *
                                   correct first carried s j)).
    Definition advance_chunk (first length : nat) (carried : nat -> nat -> R) (i j : nat) : R :=
      carried i j + sum length (fun r => key (first + r)%nat i * correct first carried r j).
    Definition over_chunks (chunk t j : nat) : R :=
      in_chunk advance_chunk chunk initial_state (fun first r carried => read_chunk first r carried j) t.
    Definition state_over_chunks (chunk n : nat) : nat -> nat -> R :=
      carried_to advance_chunk chunk initial_state n.
  End Chunks.

  Definition chunked : nat -> nat -> nat -> R := over_chunks corrections.
  Definition chunked_wy : nat -> nat -> nat -> R := over_chunks corrections_wy.
  Definition chunked_ut : nat -> nat -> nat -> R := over_chunks corrections_ut.

  (** All tokens as one chunk: a query meets the keys by A = tril(Q K^T) T, and the initial state without
      what they have replaced. Or blocks of queries, each sweeping the blocks of keys before it from right
      to left. *)
  Definition block_score (first length : nat) (q : nat -> R) (s : nat) : R :=
    sum length (fun r => inner q (key (first + r)%nat) * ut_transform first r s).
  Definition block_read (first length : nat) (q : nat -> R) (j : nat) : R :=
    sum length (fun s => block_score first length q s * value (first + s)%nat j).
  Definition moved_query (first length : nat) (q : nat -> R) (i : nat) : R :=
    q i - sum length (fun s => block_score first length q s * key (first + s)%nat i).

  Definition parallel (t j : nat) : R :=
    scale * (block_read 0 (S t) (query t) j +
             sum d_k (fun i => moved_query 0 (S t) (query t) i * initial_state i j)).
  Definition parallel_state (n i j : nat) : R :=
    initial_state i j + sum n (fun s => key s i * corrections_ut 0 initial_state s j).

  Fixpoint recall_blocks (block blocks : nat) (q : nat -> R) (j : nat) : R :=
    match blocks with
    | O => sum d_k (fun i => q i * initial_state i j)
    | S b => block_read (b * block) block q j +
             recall_blocks block b (moved_query (b * block) block q) j
    end.
  Definition recall_by_blocks (block tokens : nat) (q : nat -> R) (j : nat) : R :=
    let first := (tokens / block * block)%nat in
    let length := (tokens mod block)%nat in
    block_read first length q j + recall_blocks block (tokens / block) (moved_query first length q) j.
  Definition blocked (block t j : nat) : R :=
    let first := (t / block * block)%nat in
    let length := S (t mod block) in
    scale * (block_read first length (query t) j +
             recall_blocks block (t / block) (moved_query first length (query t)) j).
End Text.

Section Theorems.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variables (d_k : nat) (scale : R) (query key value : nat -> nat -> R) (beta : nat -> R).
  Variable initial_state : nat -> nat -> R.

  Notation state := (state d_k key value beta initial_state).
  Notation recurrent := (recurrent d_k scale query key value beta initial_state).
  Notation dot := (inner d_k).
  Notation weight := (lower d_k key beta).
  Notation corrections := (corrections d_k key value beta).

  (** What token t writes under its key. *)
  Definition correction (t j : nat) : R :=
    beta t * (value t j - sum d_k (fun l => state t l j * key t l)).

  (** The delta rule is linear attention on corrections. *)
  Lemma state_unrolled first length i j :
    state (first + length) i j =
      state first i j + sum length (fun r => key (first + r)%nat i * correction (first + r) j).
  Proof.
    elim: length => [| length IH]; first by rewrite Nat.add_0_r /=; ring.
    by rewrite Nat.add_succ_r sum_last /= IH /correction; ring.
  Qed.

  (** A correction in terms of the state before the chunk and of the corrections before it. *)
  Lemma correction_row first r j :
    correction (first + r) j =
      beta (first + r)%nat *
        (value (first + r)%nat j - sum d_k (fun l => state first l j * key (first + r)%nat l)) -
      sum r (fun s => weight first r s * correction (first + s) j).
  Proof.
    rewrite {1}/correction.
    under eq_sum => l _ do rewrite state_unrolled.
    have -> : sum r (fun s => weight first r s * correction (first + s) j) =
      beta (first + r)%nat * sum d_k (fun l =>
        sum r (fun s => key (first + s)%nat l * correction (first + s) j) * key (first + r)%nat l).
      under [X in beta _ * X]eq_sum => l _ do rewrite sum_mul.
      rewrite sum_exchange mul_sum; apply: eq_sum => s _.
      rewrite /lower /inner.
      have -> : sum d_k (fun l => key (first + s)%nat l * correction (first + s) j * key (first + r)%nat l) =
        sum d_k (fun l => key (first + r)%nat l * key (first + s)%nat l) * correction (first + s) j.
        by rewrite sum_mul; apply: eq_sum => l _; ring.
      by ring.
    have -> : sum d_k (fun l => (state first l j +
        sum r (fun s => key (first + s)%nat l * correction (first + s) j)) * key (first + r)%nat l) =
      sum d_k (fun l => state first l j * key (first + r)%nat l) +
      sum d_k (fun l => sum r (fun s => key (first + s)%nat l * correction (first + s) j) *
                        key (first + r)%nat l).
      by rewrite -sum_add; apply: eq_sum => l _; ring.
    by ring.
  Qed.

  (** Forward substitution inside a chunk finds them. *)
  Lemma corrections_right first carried r j :
    same_matrix carried (state first) -> corrections first carried r j = correction (first + r) j.
  Proof.
    move=> right.
    apply: (forward_substitution_unique _ _ (S r) (fun r j => correction (first + r) j)) => // s _.
    rewrite correction_row; congr (_ * (_ - _) - _).
    by apply: eq_sum => l _; rewrite right.
  Qed.

  (** Reading an unrolled state is reading the state before, and every correction by the score of its key. *)
  Lemma recurrent_unrolled first r j :
    recurrent (first + r) j =
      scale * (sum d_k (fun i => query (first + r)%nat i * state first i j) +
               sum (S r) (fun s => dot (query (first + r)%nat) (key (first + s)%nat) *
                                   correction (first + s) j)).
  Proof.
    rewrite /recurrent -Nat.add_succ_r; congr mul.
    under eq_sum => i _ do rewrite state_unrolled.
    have -> : sum (S r) (fun s => dot (query (first + r)%nat) (key (first + s)%nat) *
                                  correction (first + s) j) =
      sum d_k (fun i => query (first + r)%nat i *
                        sum (S r) (fun s => key (first + s)%nat i * correction (first + s) j)).
      under [RHS]eq_sum => i _ do rewrite mul_sum.
      rewrite sum_exchange; apply: eq_sum => s _.
      by rewrite /inner sum_mul; apply: eq_sum => i _; ring.
    by rewrite -sum_add; apply: eq_sum => i _; ring.
  Qed.

  (** Chunks of any size are right, dividing the length or not, if every chunk finds its corrections whenever
      the state before it is right. *)
  Section Chunks.
    Variable correct : nat -> (nat -> nat -> R) -> nat -> nat -> R.
    Hypothesis correct_right : forall first carried r j,
      same_matrix carried (state first) -> correct first carried r j = correction (first + r) j.

    Lemma advance_chunk_right first length carried :
      same_matrix carried (state first) ->
      same_matrix (advance_chunk key correct first length carried) (state (first + length)).
    Proof.
      move=> right i j; rewrite state_unrolled /advance_chunk right; congr add.
      by apply: eq_sum => r _; rewrite correct_right.
    Qed.

    Lemma read_chunk_right j first r carried :
      same_matrix carried (state first) ->
      read_chunk d_k scale query key correct first r carried j = recurrent (first + r) j.
    Proof.
      move=> right; rewrite recurrent_unrolled /read_chunk; congr (_ * (_ + _)).
      - by apply: eq_sum => i _; rewrite right.
      - by apply: eq_sum => s _; rewrite correct_right.
    Qed.

    Lemma over_chunks_right chunk t j :
      over_chunks d_k scale query key initial_state correct chunk t j = recurrent t j.
    Proof.
      apply: (in_chunk_right _ _ _ same_matrix (fun t => state t) _ advance_chunk_right _
                (fun t => recurrent t j)) => //.
      exact: read_chunk_right.
    Qed.

    Lemma state_over_chunks_right chunk n i j :
      state_over_chunks key initial_state correct chunk n i j = state n i j.
    Proof. exact: (carried_to_right _ _ _ same_matrix (fun t => state t) _ advance_chunk_right). Qed.
  End Chunks.

  (** A triangular system inside every chunk, a state from one to the next. *)
  Theorem chunked_same_recurrent chunk t j :
    chunked d_k scale query key value beta initial_state chunk t j = recurrent t j.
  Proof. exact/over_chunks_right/corrections_right. Qed.

  Theorem chunked_state_same_recurrent chunk n i j :
    state_over_chunks key initial_state corrections chunk n i j = state n i j.
  Proof. exact/state_over_chunks_right/corrections_right. Qed.

  (** ** The WY form *)

  Notation transition := (transition d_k key beta).
  Notation wy_keys := (wy_keys d_k key beta).
  Notation wy_values := (wy_values d_k key value beta).

  Lemma transition_unrolled first length i l :
    transition first length i l =
      identity i l -
      sum length (fun r => key (first + r)%nat i *
        (beta (first + r)%nat * sum d_k (fun m => key (first + r)%nat m * transition first r m l))).
  Proof.
    elim: length => [| length IH]; first by rewrite /=; ring.
    by rewrite sum_last /= IH; ring.
  Qed.

  (** A product of generalised Householder matrices I - beta k k^T is I - K^T W. *)
  Theorem householder_product_is_wy first length i l :
    (l < d_k)%nat ->
    transition first length i l =
      identity i l - sum length (fun r => key (first + r)%nat i * wy_keys first r l).
  Proof.
    move=> bound; rewrite transition_unrolled; congr sub; apply: eq_sum => r _; congr mul.
    symmetry; rewrite /wy_keys; move: r.
    have row r : beta (first + r)%nat * sum d_k (fun m => key (first + r)%nat m * transition first r m l) =
      beta (first + r)%nat * key (first + r)%nat l -
      sum r (fun s => weight first r s * (beta (first + s)%nat *
        sum d_k (fun m => key (first + s)%nat m * transition first s m l))).
      under eq_sum => m _ do rewrite transition_unrolled.
      set w := fun s => beta (first + s)%nat *
        sum d_k (fun m => key (first + s)%nat m * transition first s m l).
      have -> : sum r (fun s => weight first r s * w s) = beta (first + r)%nat *
        sum d_k (fun m => key (first + r)%nat m * sum r (fun s => key (first + s)%nat m * w s)).
        under [in RHS]eq_sum => m _ do rewrite mul_sum.
        rewrite sum_exchange mul_sum; apply: eq_sum => s _.
        rewrite /lower /inner.
        have -> : sum d_k (fun m => key (first + r)%nat m * (key (first + s)%nat m * w s)) =
          sum d_k (fun m => key (first + r)%nat m * key (first + s)%nat m) * w s.
          by rewrite sum_mul; apply: eq_sum => m _; ring.
        by ring.
      have -> : key (first + r)%nat l = sum d_k (fun m => key (first + r)%nat m * identity m l).
        by rewrite sum_identity_right.
      have -> : sum d_k (fun m => key (first + r)%nat m *
          (identity m l - sum r (fun s => key (first + s)%nat m * w s))) =
        sum d_k (fun m => key (first + r)%nat m * identity m l) -
        sum d_k (fun m => key (first + r)%nat m * sum r (fun s => key (first + s)%nat m * w s)).
        by rewrite -sum_sub; apply: eq_sum => m _; ring.
      by ring.
    move=> r; exact: (forward_substitution_unique _ _ (S r) (fun r l => beta (first + r)%nat *
      sum d_k (fun m => key (first + r)%nat m * transition first r m l))).
  Qed.

  (** W and U need no state: R = U - W S is what forward substitution finds. *)
  Theorem corrections_wy_same_substitution first carried r j :
    corrections_wy d_k key value beta first carried r j = corrections first carried r j.
  Proof.
    rewrite /corrections_wy /delta_rule.corrections /wy_values.
    rewrite !(forward_substitution_is_inverse _ _ (S r)) //.
    have -> : sum d_k (fun l => wy_keys first r l * carried l j) = sum (S r) (fun s =>
        unit_lower_inverse (weight first) r s *
        (beta (first + s)%nat * sum d_k (fun l => carried l j * key (first + s)%nat l))).
      under [RHS]eq_sum => s _ do rewrite !mul_sum.
      rewrite sum_exchange; apply: eq_sum => l _.
      rewrite /wy_keys (forward_substitution_is_inverse _ _ (S r)) // sum_mul.
      by apply: eq_sum => s _; ring.
    by rewrite -sum_sub; apply: eq_sum => s _; ring.
  Qed.

  Lemma corrections_wy_right first carried r j :
    same_matrix carried (state first) ->
    corrections_wy d_k key value beta first carried r j = correction (first + r) j.
  Proof. by move=> right; rewrite corrections_wy_same_substitution corrections_right. Qed.

  Theorem chunked_wy_same_recurrent chunk t j :
    chunked_wy d_k scale query key value beta initial_state chunk t j = recurrent t j.
  Proof. exact/over_chunks_right/corrections_wy_right. Qed.

  Theorem chunked_wy_state_same_recurrent chunk n i j :
    state_over_chunks key initial_state (corrections_wy d_k key value beta) chunk n i j = state n i j.
  Proof. exact/state_over_chunks_right/corrections_wy_right. Qed.

  (** What token r writes is u_r, less what w_r finds in the state before the chunk. *)
  Lemma correction_is_wy first r j :
    correction (first + r) j = wy_values first r j - sum d_k (fun l => wy_keys first r l * state first l j).
  Proof. by rewrite -(corrections_wy_right first (state first)). Qed.

  (** The state after a chunk: the product of its transitions on the state before it, and K^T U. *)
  Theorem state_in_wy_form first length i j :
    (i < d_k)%nat ->
    state (first + length) i j =
      sum d_k (fun l => transition first length i l * state first l j) +
      sum length (fun r => key (first + r)%nat i * wy_values first r j).
  Proof.
    move=> bound; rewrite state_unrolled.
    have -> : sum d_k (fun l => transition first length i l * state first l j) =
      state first i j -
      sum length (fun r => key (first + r)%nat i * sum d_k (fun l => wy_keys first r l * state first l j)).
      under eq_sum => l small do rewrite householder_product_is_wy //.
      rewrite -(sum_identity d_k i (fun l => state first l j)) //.
      under [X in _ - X]eq_sum => r _ do rewrite mul_sum.
      rewrite sum_exchange -sum_sub; apply: eq_sum => l _.
      have -> : sum length (fun r => key (first + r)%nat i * (wy_keys first r l * state first l j)) =
        sum length (fun r => key (first + r)%nat i * wy_keys first r l) * state first l j.
        by rewrite sum_mul; apply: eq_sum => r _; ring.
      by ring.
    under eq_sum => r _ do rewrite correction_is_wy.
    have -> : sum length (fun r => key (first + r)%nat i *
        (wy_values first r j - sum d_k (fun l => wy_keys first r l * state first l j))) =
      sum length (fun r => key (first + r)%nat i * wy_values first r j) -
      sum length (fun r => key (first + r)%nat i * sum d_k (fun l => wy_keys first r l * state first l j)).
      by rewrite -sum_sub; apply: eq_sum => r _; ring.
    by ring.
  Qed.

  (** ** The UT transform *)

  Notation transform := (ut_transform d_k key beta).

  (** T = (I + L)^-1 diag(beta): multiplying it by I + L leaves diag(beta). *)
  Theorem ut_transform_inverts first n r s :
    (r < n)%nat ->
    sum n (fun m => unit_lower (weight first) r m * transform first m s) =
      identity r s * beta (first + s)%nat.
  Proof.
    move=> bound; rewrite -(inverse_on_the_right (weight first) n r s) // sum_mul.
    by apply: eq_sum => m _; rewrite /ut_transform; ring.
  Qed.

  (** W = T K and U = T V. *)
  Theorem wy_keys_is_ut_transform first r l :
    wy_keys first r l = sum (S r) (fun s => transform first r s * key (first + s)%nat l).
  Proof.
    rewrite /wy_keys (forward_substitution_is_inverse _ _ (S r)) //.
    by apply: eq_sum => s _; rewrite /ut_transform; ring.
  Qed.

  Theorem wy_values_is_ut_transform first r j :
    wy_values first r j = sum (S r) (fun s => transform first r s * value (first + s)%nat j).
  Proof.
    rewrite /wy_values (forward_substitution_is_inverse _ _ (S r)) //.
    by apply: eq_sum => s _; rewrite /ut_transform; ring.
  Qed.

  Lemma corrections_ut_right first carried r j :
    same_matrix carried (state first) ->
    corrections_ut d_k key value beta first carried r j = correction (first + r) j.
  Proof.
    move=> right; rewrite -(corrections_wy_right first carried) // /corrections_ut /corrections_wy.
    rewrite -wy_values_is_ut_transform; congr sub.
    by apply: eq_sum => l _; rewrite -wy_keys_is_ut_transform.
  Qed.

  Theorem chunked_ut_same_recurrent chunk t j :
    chunked_ut d_k scale query key value beta initial_state chunk t j = recurrent t j.
  Proof. exact/over_chunks_right/corrections_ut_right. Qed.

  Theorem chunked_ut_state_same_recurrent chunk n i j :
    state_over_chunks key initial_state (corrections_ut d_k key value beta) chunk n i j = state n i j.
  Proof. exact/state_over_chunks_right/corrections_ut_right. Qed.

  (** ** Dense, pair by pair, block by block *)

  Theorem dense_state_same_recurrent t i j :
    (i < d_k)%nat -> dense_state d_k key value beta initial_state t i j = state t i j.
  Proof.
    elim: t i => [// | t IH] i small /=.
    under eq_sum => m bound do rewrite IH //.
    have -> : sum d_k (fun m => householder key beta t i m * state t m j) =
      sum d_k (fun m => identity i m * state t m j) -
      beta t * key t i * sum d_k (fun l => state t l j * key t l).
      by rewrite mul_sum -sum_sub; apply: eq_sum => m _; rewrite /householder; ring.
    by rewrite (sum_identity d_k i (fun m => state t m j)) //; ring.
  Qed.

  Theorem dense_same_recurrent t j :
    dense d_k scale query key value beta initial_state t j = recurrent t j.
  Proof.
    congr mul; apply: eq_sum => i small.
    by rewrite dense_state_same_recurrent.
  Qed.

  (** What a query reads of a state, when it moves back through the tokens instead of the keys forward. *)
  Theorem recall_same_read n q j :
    recall d_k key value beta initial_state n q j = sum d_k (fun i => q i * state n i j).
  Proof.
    elim: n q => [// | n IH] q /=; rewrite IH.
    set found := sum d_k (fun l => state n l j * key n l).
    have -> : sum d_k (fun i => q i * (state n i j + beta n * key n i * (value n j - found))) =
      sum d_k (fun i => q i * state n i j) + beta n * dot q (key n) * (value n j - found).
      by rewrite /inner mul_sum sum_mul -sum_add; apply: eq_sum => i _; ring.
    have -> : sum d_k (fun i => (q i - beta n * dot q (key n) * key n i) * state n i j) =
      sum d_k (fun i => q i * state n i j) - beta n * dot q (key n) * found.
      by rewrite /found mul_sum -sum_sub; apply: eq_sum => i _; ring.
    by ring.
  Qed.

  (** The final state is what unit queries read. *)
  Theorem recall_state_same_recurrent n i j :
    (i < d_k)%nat -> recall d_k key value beta initial_state n (identity i) j = state n i j.
  Proof. by move=> small; rewrite recall_same_read (sum_identity d_k i (fun i => state n i j)). Qed.

  Theorem pairwise_same_recurrent t j :
    pairwise d_k scale query key value beta initial_state t j = recurrent t j.
  Proof.
    rewrite /pairwise recall_same_read /recurrent mul_sum.
    by apply: eq_sum => i _; ring.
  Qed.

  (** One block: read it, and move on to the state before it. *)
  Lemma block_recall first length q j :
    sum d_k (fun i => q i * state (first + length) i j) =
      block_read d_k key value beta first length q j +
      sum d_k (fun i => moved_query d_k key beta first length q i * state first i j).
  Proof.
    have reads : sum d_k (fun i => q i * state (first + length) i j) =
      sum d_k (fun i => q i * state first i j) +
      sum length (fun s => block_score d_k key beta first length q s *
        (value (first + s)%nat j - sum d_k (fun l => state first l j * key (first + s)%nat l))).
      have -> : sum length (fun s => block_score d_k key beta first length q s *
          (value (first + s)%nat j - sum d_k (fun l => state first l j * key (first + s)%nat l))) =
        sum length (fun r => dot q (key (first + r)%nat) * correction (first + r) j).
        rewrite /block_score; under eq_sum => s _ do rewrite sum_mul.
        rewrite sum_exchange; apply: eq_sum => r small.
        rewrite -(corrections_right first (state first)) // /delta_rule.corrections.
        rewrite (forward_substitution_is_inverse _ _ length) // mul_sum.
        by apply: eq_sum => s _; rewrite /ut_transform; ring.
      have -> : sum length (fun r => dot q (key (first + r)%nat) * correction (first + r) j) =
        sum d_k (fun i => q i * sum length (fun r => key (first + r)%nat i * correction (first + r) j)).
        under [RHS]eq_sum => i _ do rewrite mul_sum.
        rewrite sum_exchange; apply: eq_sum => r _.
        by rewrite /inner sum_mul; apply: eq_sum => i _; ring.
      by rewrite -sum_add; apply: eq_sum => i _; rewrite state_unrolled; ring.
    rewrite reads /block_read /moved_query.
    set score := block_score _ _ _ _ _ _.
    have -> : sum d_k (fun i => (q i - sum length (fun s => score s * key (first + s)%nat i)) *
                                state first i j) =
      sum d_k (fun i => q i * state first i j) -
      sum length (fun s => score s * sum d_k (fun l => state first l j * key (first + s)%nat l)).
      under [X in _ - X]eq_sum => s _ do rewrite mul_sum.
      rewrite sum_exchange -sum_sub; apply: eq_sum => i _.
      have -> : sum length (fun s => score s * (state first i j * key (first + s)%nat i)) =
        sum length (fun s => score s * key (first + s)%nat i) * state first i j.
        by rewrite sum_mul; apply: eq_sum => s _; ring.
      by ring.
    have -> : sum length (fun s => score s *
        (value (first + s)%nat j - sum d_k (fun l => state first l j * key (first + s)%nat l))) =
      sum length (fun s => score s * value (first + s)%nat j) -
      sum length (fun s => score s * sum d_k (fun l => state first l j * key (first + s)%nat l)).
      by rewrite -sum_sub; apply: eq_sum => s _; ring.
    by ring.
  Qed.

  (** All tokens as one block: the masked scores times T. *)
  Theorem parallel_same_recurrent t j :
    parallel d_k scale query key value beta initial_state t j = recurrent t j.
  Proof. by rewrite /parallel -(block_recall 0 (S t)). Qed.

  Theorem parallel_state_same_recurrent n i j :
    parallel_state d_k key value beta initial_state n i j = state n i j.
  Proof.
    rewrite (state_unrolled 0 n) /parallel_state; congr add.
    by apply: eq_sum => s _; rewrite corrections_ut_right.
  Qed.

  Lemma recall_blocks_same_read block blocks q j :
    recall_blocks d_k key value beta initial_state block blocks q j =
      sum d_k (fun i => q i * state (blocks * block) i j).
  Proof.
    elim: blocks q => [// | b IH] q; rewrite [LHS]/= IH.
    have -> : (S b * block = b * block + block)%nat by lia.
    by rewrite block_recall.
  Qed.

  Theorem recall_by_blocks_same_read block n q j :
    recall_by_blocks d_k key value beta initial_state block n q j = sum d_k (fun i => q i * state n i j).
  Proof. by rewrite /recall_by_blocks recall_blocks_same_read -block_recall position. Qed.

  Theorem recall_by_blocks_state_same_recurrent block n i j :
    (i < d_k)%nat ->
    recall_by_blocks d_k key value beta initial_state block n (identity i) j = state n i j.
  Proof. by move=> small; rewrite recall_by_blocks_same_read (sum_identity d_k i (fun i => state n i j)). Qed.

  Theorem blocked_same_recurrent block t j :
    blocked d_k scale query key value beta initial_state block t j = recurrent t j.
  Proof.
    rewrite /blocked /recurrent recall_blocks_same_read -block_recall Nat.add_succ_r position.
    by [].
  Qed.

  (** ** Entries of the attention matrix *)

  (** While nothing is written, the state is only multiplied by the transitions. *)
  Lemma nothing_written first length i j :
    (i < d_k)%nat -> (forall r, (r < length)%nat -> value (first + r)%nat j = 0) ->
    state (first + length) i j = sum d_k (fun l => transition first length i l * state first l j).
  Proof.
    move=> small nothing; rewrite state_in_wy_form // (sum_of_zeros length); last by ring.
    move=> r bound; rewrite wy_values_is_ut_transform sum_of_zeros; last by ring.
    by move=> s below; rewrite nothing; [lia | ring].
  Qed.

  (** ** What the memory returns *)

  Definition recalled (t : nat) (k : nat -> R) (j : nat) : R := sum d_k (fun i => state t i j * k i).

  Lemma recalled_after_write t k j :
    recalled (S t) k j = recalled t k j + dot (key t) k * correction t j.
  Proof.
    rewrite /recalled /inner sum_mul -sum_add.
    by apply: eq_sum => i _; rewrite /= /correction; ring.
  Qed.

  (** With beta = 1 / |k|^2 the last value written under a key is returned exactly. *)
  Theorem last_write_is_recalled t j :
    beta t * dot (key t) (key t) = 1 -> recalled (S t) (key t) j = value t j.
  Proof.
    move=> whole; rewrite recalled_after_write /correction -/(recalled t (key t) j).
    transitivity (recalled t (key t) j +
                  beta t * dot (key t) (key t) * (value t j - recalled t (key t) j)); first by ring.
    by rewrite whole; ring.
  Qed.

  (** With orthonormal keys and beta = 1 every value is returned exactly, however many were written since. *)
  Theorem orthonormal_keys_are_recalled n :
    (forall s, (s < n)%nat -> beta s = 1) ->
    (forall s t, (s < n)%nat -> (t < n)%nat -> dot (key s) (key t) = identity s t) ->
    forall s j, (s < n)%nat -> recalled n (key s) j = value s j.
  Proof.
    elim: n => [| n IH] ones orthonormal s j bound; first lia.
    have [-> | older] : s = n \/ (s < n)%nat by lia.
    - by apply: last_write_is_recalled; rewrite ones ?orthonormal /identity ?Nat.eqb_refl; [lia .. | ring].
    - rewrite recalled_after_write orthonormal /identity; [lia .. |].
      rewrite (proj2 (Nat.eqb_neq _ _)) ?IH //; try lia.
      + by move=> r small; apply: ones; lia.
      + by move=> r t small small'; apply: orthonormal; lia.
      + by ring.
  Qed.
End Theorems.

Lemma state_respects {R} {ops : operations R} d_k (key value : nat -> nat -> R) beta a b t :
  same_matrix a b -> same_matrix (state d_k key value beta a t) (state d_k key value beta b t).
Proof.
  move=> same; elim: t => [// | t IH] i j /=; rewrite IH; congr (_ + _ * (_ - _)).
  by apply: eq_sum => l _; rewrite IH.
Qed.

(** A sequence may be cut anywhere. *)
Section Split.
  Context {R : Type} {ops : operations R}.
  Variables (d_k : nat) (scale : R) (query key value : nat -> nat -> R) (beta : nat -> R).
  Variable initial_state : nat -> nat -> R.

  Theorem split_state m t i j :
    state d_k (from m key) (from m value) (from m beta) (state d_k key value beta initial_state m) t i j =
      state d_k key value beta initial_state (m + t) i j.
  Proof.
    elim: t i j => [| t IH] i j; rewrite ?Nat.add_0_r ?Nat.add_succ_r //= IH; congr (_ + _ * (_ - _)).
    by apply: eq_sum => l _; rewrite IH.
  Qed.

  Theorem split_recurrent m t j :
    recurrent d_k scale (from m query) (from m key) (from m value) (from m beta)
      (state d_k key value beta initial_state m) t j =
    recurrent d_k scale query key value beta initial_state (m + t) j.
  Proof.
    rewrite /recurrent; congr mul.
    by apply: eq_sum => i _; rewrite split_state Nat.add_succ_r.
  Qed.

  Context {laws : commutative_ring R}.

  (** Whatever way finds the corrections, the chunks of the rest may start from the chunked state. *)
  Lemma split_from m t j start :
    same_matrix start (state d_k key value beta initial_state m) ->
    recurrent d_k scale (from m query) (from m key) (from m value) (from m beta) start t j =
      recurrent d_k scale query key value beta initial_state (m + t) j.
  Proof.
    move=> right; rewrite -split_recurrent /recurrent; congr mul; apply: eq_sum => i _; congr mul.
    exact: (state_respects _ _ _ _ _ _ (S t) right i j).
  Qed.

  Theorem split_chunked m chunk t j :
    chunked d_k scale (from m query) (from m key) (from m value) (from m beta)
      (state_over_chunks key initial_state (corrections d_k key value beta) chunk m) chunk t j =
    chunked d_k scale query key value beta initial_state chunk (m + t) j.
  Proof.
    rewrite !chunked_same_recurrent; apply: split_from => i' j'.
    exact: chunked_state_same_recurrent.
  Qed.

  Theorem split_chunked_ut m chunk t j :
    chunked_ut d_k scale (from m query) (from m key) (from m value) (from m beta)
      (state_over_chunks key initial_state (corrections_ut d_k key value beta) chunk m) chunk t j =
    chunked_ut d_k scale query key value beta initial_state chunk (m + t) j.
  Proof.
    rewrite !chunked_ut_same_recurrent; apply: split_from => i' j'.
    exact: chunked_ut_state_same_recurrent.
  Qed.
End Split.

(** Orthogonal keys do not disturb each other: what is left is linear attention on beta times the values. *)
Section Orthogonal.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring orthogonal_numbers : (@ring_laws R ops laws).
  Variables (d_k : nat) (scale : R) (query key value : nat -> nat -> R) (beta : nat -> R).
  Hypothesis orthogonal : forall s t, s <> t -> inner d_k (key s) (key t) = 0.

  Notation linear := (linear_attention.state key (fun t j => beta t * value t j) (fun _ _ => 0)).

  (** A key finds nothing in a memory that holds only keys orthogonal to it. *)
  Lemma nothing_found t later j : (t <= later)%nat -> sum d_k (fun l => linear t l j * key later l) = 0.
  Proof.
    elim: t => [_ | t IH order] /=; first by apply: sum_of_zeros => l _; ring.
    transitivity (sum d_k (fun l => linear t l j * key later l) +
                  inner d_k (key t) (key later) * (beta t * value t j)).
      by rewrite /inner sum_mul -sum_add; apply: eq_sum => l _; ring.
    by rewrite IH ?orthogonal; [lia | lia | ring].
  Qed.

  Lemma state_is_linear t i j : state d_k key value beta (fun _ _ => 0) t i j = linear t i j.
  Proof.
    elim: t i j => [// | t IH] i j /=; rewrite IH.
    have -> : sum d_k (fun l => state d_k key value beta (fun _ _ => 0) t l j * key t l) = 0.
      transitivity (sum d_k (fun l => linear t l j * key t l)); last exact: nothing_found.
      by apply: eq_sum => l _; rewrite IH.
    by ring.
  Qed.

  Theorem limit_linear_attention t j :
    recurrent d_k scale query key value beta (fun _ _ => 0) t j =
      scale * linear_attention.recurrent d_k query key (fun t j => beta t * value t j) (fun _ _ => 0) t j.
  Proof.
    rewrite /recurrent; congr mul.
    by apply: eq_sum => i _; rewrite state_is_linear.
  Qed.
End Orthogonal.

(** A token takes one step of gradient descent, of length beta / 2, on the squared error |S^T k - v|^2. The
    gradient with respect to one number of the state is what the error, read in dual numbers, changes by when
    that number alone changes at rate 1. *)
Section GradientDescent.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring descent_numbers : (@ring_laws R ops laws).
  Variables (d_k d_v : nat) (key value : nat -> nat -> R) (beta : nat -> R) (initial_state : nat -> nat -> R).

  Notation memory := (state d_k key value beta initial_state).

  Definition varied (t i j a b : nat) : dual R := Dual (memory t a b) (identity a i * identity b j).
  Definition error (t i j b : nat) : dual R :=
    sum d_k (fun a => varied t i j a b * constant (key t a)) - constant (value t b).
  Definition gradient (t i j : nat) : R :=
    tangent (sum d_v (fun b => error t i j b * error t i j b)).

  Theorem one_step_of_gradient_descent t i j :
    (i < d_k)%nat -> (j < d_v)%nat ->
    (1 + 1) * (memory (S t) i j - memory t i j) = - (beta t * gradient t i j).
  Proof.
    move=> i_small j_small.
    have value_of b : primal (error t i j b) = sum d_k (fun l => memory t l b * key t l) - value t b.
      by rewrite /error /= primal_sum /sub.
    have rate_of b : tangent (error t i j b) = key t i * identity b j.
      rewrite /error /= tangent_sum.
      have -> : sum d_k (fun a => tangent (varied t i j a b * constant (key t a))) =
                sum d_k (fun a => key t a * identity b j * identity a i).
        by apply: eq_sum => a _ /=; ring.
      by rewrite (sum_identity_right d_k i (fun a => key t a * identity b j)) //; ring.
    have -> : gradient t i j = (1 + 1) * key t i * (sum d_k (fun l => memory t l j * key t l) - value t j).
      rewrite /gradient tangent_sum.
      transitivity (sum d_v (fun b => (1 + 1) * key t i * primal (error t i j b) * identity b j)).
        apply: eq_sum => b _; transitivity ((1 + 1) * primal (error t i j b) * tangent (error t i j b)).
          by rewrite /=; ring.
        by rewrite rate_of; ring.
      rewrite (sum_identity_right d_v j (fun b => (1 + 1) * key t i * primal (error t i j b))) //.
      by rewrite value_of.
    by rewrite /=; ring.
  Qed.
End GradientDescent.

(** The attention of a query to token s: its score for the key after all later tokens have been at it. *)
Section Entries.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring entry_numbers : (@ring_laws R ops laws).
  Variables (d_k : nat) (key : nat -> nat -> R) (beta : nat -> R).

  (** Only token s has a value, 1, and the memory starts empty. *)
  Definition only (s t : nat) : nat -> R := fun _ => identity s t.
  Notation memory s := (state d_k key (only s) beta (fun _ _ => 0)).

  Lemma still_empty s t : (t <= s)%nat -> same_matrix (memory s t) (fun _ _ => 0).
  Proof.
    elim: t => [// | t IH] early i j /=; rewrite IH; first lia.
    rewrite /only identity_other; first lia.
    rewrite sum_of_zeros; last by ring.
    by move=> l _; rewrite IH; [lia | ring].
  Qed.

  Definition carried_key (s t i : nat) : R :=
    sum d_k (fun l => transition d_k key beta (S s) (t - S s) i l * key s l).

  Lemma memory_of_one s t i :
    (s < t)%nat -> (i < d_k)%nat -> memory s t i 0 = beta s * carried_key s t i.
  Proof.
    move=> later small; have -> : (t = S s + (t - S s))%nat by lia.
    rewrite nothing_written // => [r bound|]; first by rewrite /only identity_other //; lia.
    rewrite /carried_key mul_sum; have -> : (S s + (t - S s) - S s = t - S s)%nat by lia.
    apply: eq_sum => l _ /=.
    rewrite (still_empty s s (le_n s)) /only identity_same sum_of_zeros; last by ring.
    by move=> m _; rewrite (still_empty s s (le_n s)); ring.
  Qed.

  Lemma sum_only n s (f : nat -> R) : (s < n)%nat -> sum n (fun m => f m * only s m 0) = f s.
  Proof.
    move=> bound; rewrite -(sum_identity n s f) //.
    by apply: eq_sum => m _; rewrite /only; ring.
  Qed.

  Theorem attention_entry (q : nat -> R) t s :
    (s < t)%nat ->
    block_score d_k key beta 0 t q s = beta s * sum d_k (fun i => q i * carried_key s t i).
  Proof.
    move=> later.
    transitivity (sum d_k (fun i => q i * memory s t i 0)).
      symmetry; etransitivity; first exact: (block_recall d_k key (only s) beta (fun _ _ => 0) 0 t q 0).
      rewrite (sum_of_zeros d_k); first by move=> i _ /=; ring.
      rewrite -(sum_only t s (block_score d_k key beta 0 t q)) // /block_read /=.
      by ring.
    by rewrite mul_sum; apply: eq_sum => i small; rewrite memory_of_one //; ring.
  Qed.

  (** And T holds, below its diagonal, what a token corrects of an earlier one. *)
  Theorem ut_transform_entry r s :
    (s < r)%nat ->
    ut_transform d_k key beta 0 r s =
      - (beta r * beta s * sum d_k (fun i => key r i * carried_key s r i)).
  Proof.
    move=> later.
    transitivity (corrections_ut d_k key (only s) beta 0 (fun _ _ => 0) r 0).
      rewrite /corrections_ut (sum_of_zeros d_k); first by move=> l _; ring.
      rewrite -(sum_only (S r) s (ut_transform d_k key beta 0 r)) /=; first lia.
      by ring.
    rewrite (corrections_ut_right d_k key (only s) beta (fun _ _ => 0)) // /correction Nat.add_0_l.
    have -> : only s r 0 = 0 :> R by apply: identity_other; lia.
    have -> : sum d_k (fun l => memory s r l 0 * key r l) =
      beta s * sum d_k (fun i => key r i * carried_key s r i).
      by rewrite mul_sum; apply: eq_sum => i small; rewrite memory_of_one //; ring.
    by ring.
  Qed.
End Entries.
