(** * Linear attention

    The twin of [reference/linear_attention/linear_attention.hpp], from the features on: [query] and [key]
    stand for the feature vectors of the queries and keys, whatever map made them. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums recurrence chunks dual.
From Etalon.gated_recurrence Require gated_linear_attention.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R} {div : division R}.
  Variables (m : nat) (query key value : nat -> nat -> R).

  (** ** Without normalisation *)

  (** Every query with every key that it may see, as many as [visible]: t + 1 where attention is causal, n
      where it is not. *)
  Definition score (t s : nat) : R := sum m (fun i => query t i * key s i).
  Definition quadratic (visible t j : nat) : R := sum visible (fun s => score t s * value s j).

  (** All keys are summed into one matrix first; then every query reads that matrix. *)
  Definition summary (visible i j : nat) : R := sum visible (fun s => key s i * value s j).
  Definition linear (visible t j : nat) : R := sum m (fun i => query t i * summary visible i j).

  (** Token after token: the matrix is carried along. *)
  Fixpoint state (initial_state : nat -> nat -> R) (t : nat) : nat -> nat -> R :=
    match t with
    | O => initial_state
    | S t => fun i j => state initial_state t i j + key t i * value t j
    end.

  Variable initial_state : nat -> nat -> R.

  Definition recurrent (t j : nat) : R :=
    sum m (fun i => query t i * state initial_state (S t) i j).

  (** All pairs inside a chunk, a state from one chunk to the next. *)
  Definition read_chunk (first r : nat) (carried : nat -> nat -> R) (j : nat) : R :=
    sum m (fun i => query (first + r)%nat i * carried i j) +
    sum (S r) (fun s => score (first + r) (first + s) * value (first + s)%nat j).

  Definition advance_chunk (first length : nat) (carried : nat -> nat -> R) (i j : nat) : R :=
    carried i j + sum length (fun r => key (first + r)%nat i * value (first + r)%nat j).

  Definition chunked (chunk t j : nat) : R :=
    in_chunk advance_chunk chunk initial_state (fun first r carried => read_chunk first r carried j) t.

  Definition chunked_state (chunk n : nat) : nat -> nat -> R :=
    carried_to advance_chunk chunk initial_state n.

  (** ** Normalised: divided by the sum of the weights, plus epsilon *)

  Variables (initial_normaliser : nat -> R) (epsilon : R).

  Definition quadratic_weight (visible t : nat) : R := sum visible (fun s => score t s).
  Definition quadratic_normalised (visible t j : nat) : R :=
    quadratic visible t j / (quadratic_weight visible t + epsilon).

  Definition linear_weight (visible t : nat) : R :=
    sum m (fun i => query t i * sum visible (fun s => key s i)).
  Definition linear_normalised (visible t j : nat) : R :=
    linear visible t j / (linear_weight visible t + epsilon).

  Fixpoint normaliser (t : nat) : nat -> R :=
    match t with
    | O => initial_normaliser
    | S t => fun i => normaliser t i + key t i
    end.
  Definition recurrent_weight (t : nat) : R := sum m (fun i => query t i * normaliser (S t) i).
  Definition recurrent_normalised (t j : nat) : R := recurrent t j / (recurrent_weight t + epsilon).

  Definition chunked_weight (chunk t : nat) : R :=
    in_chunk (fun first length carried i => carried i + sum length (fun r => key (first + r)%nat i))
      chunk initial_normaliser
      (fun first r carried => sum m (fun i => query (first + r)%nat i * carried i) +
                              sum (S r) (fun s => score (first + r) (first + s))) t.
  Definition chunked_normalised (chunk t j : nat) : R :=
    chunked chunk t j / (chunked_weight chunk t + epsilon).

  (** ** Backward, without normalisation: [reverse k] is the gradient of the state k tokens before the end *)

  Variables (n d_v : nat) (d_output d_state : nat -> nat -> R).

  Fixpoint reverse (k : nat) : nat -> nat -> R :=
    match k with
    | O => d_state
    | S k => fun i j => let t := (n - S k)%nat in reverse k i j + query t i * d_output t j
    end.
  Definition d_query (t i : nat) : R := sum d_v (fun j => state initial_state (S t) i j * d_output t j).
  Definition d_key (t i : nat) : R := sum d_v (fun j => reverse (n - t) i j * value t j).
  Definition d_value (t j : nat) : R := sum m (fun i => reverse (n - t) i j * key t i).
  Definition d_initial_state : nat -> nat -> R := reverse n.
End Text.

Section Ring.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variables (m : nat) (query key value initial_state : nat -> nat -> R).

  Notation quadratic := (quadratic m query key value).
  Notation linear := (linear m query key value).
  Notation state := (state key value initial_state).
  Notation recurrent := (recurrent m query key value initial_state).

  (** Without the causal mask: summing first and reading then is the sum over all pairs. Only the brackets
      move, (q k) v = q (k v). *)
  Theorem linear_same_quadratic visible t j : linear visible t j = quadratic visible t j.
  Proof.
    rewrite /linear /quadratic /summary /score.
    under eq_sum => i _ do rewrite mul_sum.
    rewrite sum_exchange; apply: eq_sum => s _.
    by rewrite sum_mul; apply: eq_sum => i _; ring.
  Qed.

  (** The state is the initial state and the sum of all outer products so far. *)
  Lemma state_is_summary first length i j :
    state (first + length) i j =
      state first i j + sum length (fun r => key (first + r)%nat i * value (first + r)%nat j).
  Proof.
    elim: length => [| length IH] /=; first by rewrite Nat.add_0_r; ring.
    by rewrite Nat.add_succ_r /= IH; ring.
  Qed.

  (** The recurrence reads the initial state, and every value up to its own by the score of its key. *)
  Theorem recurrent_same_quadratic t j :
    recurrent t j = sum m (fun i => query t i * initial_state i j) + quadratic (S t) t j.
  Proof.
    rewrite -linear_same_quadratic -sum_add; apply: eq_sum => i _.
    by rewrite (state_is_summary 0 (S t)) /summary /=; ring.
  Qed.

  Lemma advance_chunk_right first length carried :
    same_matrix carried (state first) ->
    same_matrix (advance_chunk key value first length carried) (state (first + length)).
  Proof. by move=> right i j; rewrite state_is_summary -right. Qed.

  Lemma read_chunk_right j first r carried :
    same_matrix carried (state first) ->
    read_chunk m query key value first r carried j = recurrent (first + r) j.
  Proof.
    move=> right; rewrite /recurrent -Nat.add_succ_r.
    under [RHS]eq_sum => i _ do rewrite state_is_summary -right.
    rewrite /read_chunk.
    have -> : sum (S r) (fun s => score m query key (first + r) (first + s) * value (first + s)%nat j) =
      sum m (fun i => query (first + r)%nat i *
                      sum (S r) (fun s => key (first + s)%nat i * value (first + s)%nat j)).
      under [RHS]eq_sum => i _ do rewrite mul_sum.
      rewrite sum_exchange; apply: eq_sum => s _.
      by rewrite /score sum_mul; apply: eq_sum => i _; ring.
    by rewrite -sum_add; apply: eq_sum => i _; ring.
  Qed.

  (** Chunks of any size, dividing the length or not. *)
  Theorem chunked_same_recurrent chunk t j :
    chunked m query key value initial_state chunk t j = recurrent t j.
  Proof.
    apply: (in_chunk_right _ _ _ same_matrix (fun t => state t) _ advance_chunk_right _
              (fun t => recurrent t j)) => //.
    exact: read_chunk_right.
  Qed.

  Theorem chunked_state_same_recurrent chunk n i j :
    chunked_state key value initial_state chunk n i j = state n i j.
  Proof. exact: (carried_to_right _ _ _ same_matrix (fun t => state t) _ advance_chunk_right). Qed.
End Ring.

(** The weights are the same sums as the outputs, with 1 in the place of every value. *)
Section Normalised.
  Context {R : Type} {ops : operations R} {div : division R} {laws : commutative_ring R}.
  Add Ring normalised_numbers : (@ring_laws R ops laws).
  Variables (m : nat) (query key value initial_state : nat -> nat -> R).
  Variables (initial_normaliser : nat -> R) (epsilon : R).

  Notation weight := (quadratic_weight m query key).
  Notation normaliser := (normaliser key initial_normaliser).
  Notation recurrent_weight := (recurrent_weight m query key initial_normaliser).

  Lemma linear_weight_same visible t : linear_weight m query key visible t = weight visible t.
  Proof.
    rewrite /linear_weight /quadratic_weight /score.
    under eq_sum => i _ do rewrite mul_sum.
    exact: sum_exchange.
  Qed.

  Theorem linear_normalised_same_quadratic visible t j :
    linear_normalised m query key value epsilon visible t j =
      quadratic_normalised m query key value epsilon visible t j.
  Proof. by rewrite /linear_normalised linear_same_quadratic linear_weight_same. Qed.

  Lemma normaliser_is_sum first length i :
    normaliser (first + length) i = normaliser first i + sum length (fun r => key (first + r)%nat i).
  Proof.
    elim: length => [| length IH] /=; first by rewrite Nat.add_0_r; ring.
    by rewrite Nat.add_succ_r /= IH; ring.
  Qed.

  Lemma recurrent_weight_same t :
    recurrent_weight t = sum m (fun i => query t i * initial_normaliser i) + weight (S t) t.
  Proof.
    rewrite -linear_weight_same -sum_add; apply: eq_sum => i _.
    by rewrite (normaliser_is_sum 0 (S t)) /=; ring.
  Qed.

  (** Started from nothing, the recurrence gives the normalised quadratic form. *)
  Theorem recurrent_normalised_same_quadratic t j :
    (forall i, initial_normaliser i = 0) -> (forall i j, initial_state i j = 0) ->
    recurrent_normalised m query key value initial_state initial_normaliser epsilon t j =
      quadratic_normalised m query key value epsilon (S t) t j.
  Proof.
    move=> no_weight no_state.
    rewrite /recurrent_normalised recurrent_weight_same recurrent_same_quadratic.
    under eq_sum => i _ do rewrite no_state.
    under [X in (X + weight _ _)]eq_sum => i _ do rewrite no_weight.
    rewrite (sum_of_zeros m); first by move=> i _; ring.
    by rewrite /quadratic_normalised; congr divide; ring.
  Qed.

  Lemma chunked_weight_same chunk t :
    chunked_weight m query key initial_normaliser chunk t = recurrent_weight t.
  Proof.
    apply: (in_chunk_right _ _ _ (fun a b => forall i, a i = b i) normaliser _ _ _ recurrent_weight) => //.
    - by move=> first length carried right i; rewrite normaliser_is_sum right.
    - move=> first r carried right; rewrite /recurrent_weight -Nat.add_succ_r.
      under [RHS]eq_sum => i _ do rewrite normaliser_is_sum -right.
      have -> : sum (S r) (fun s => score m query key (first + r) (first + s)) =
        sum m (fun i => query (first + r)%nat i * sum (S r) (fun s => key (first + s)%nat i)).
        under [RHS]eq_sum => i _ do rewrite mul_sum.
        by rewrite sum_exchange.
      by rewrite -sum_add; apply: eq_sum => i _; ring.
  Qed.

  Theorem chunked_normalised_same_recurrent chunk t j :
    chunked_normalised m query key value initial_state initial_normaliser epsilon chunk t j =
      recurrent_normalised m query key value initial_state initial_normaliser epsilon t j.
  Proof. by rewrite /chunked_normalised chunked_same_recurrent chunked_weight_same. Qed.
End Normalised.

Lemma state_respects {R} {ops : operations R} (key value a b : nat -> nat -> R) t :
  same_matrix a b -> same_matrix (state key value a t) (state key value b t).
Proof. by move=> same i j; elim: t => [| t IH] /=; rewrite ?IH. Qed.

(** A sequence may be cut anywhere: the state is all that the rest needs to know of the beginning. *)
Section Split.
  Context {R : Type} {ops : operations R}.
  Variables (m : nat) (query key value initial_state : nat -> nat -> R).

  Theorem split_state cut t i j :
    state (from cut key) (from cut value) (state key value initial_state cut) t i j =
      state key value initial_state (cut + t) i j.
  Proof. by elim: t i j => [| t IH] i j; rewrite ?Nat.add_0_r ?Nat.add_succ_r //= IH. Qed.

  Theorem split_recurrent cut t j :
    recurrent m (from cut query) (from cut key) (from cut value) (state key value initial_state cut) t j =
      recurrent m query key value initial_state (cut + t) j.
  Proof. by apply: eq_sum => i _; rewrite split_state Nat.add_succ_r. Qed.

  Context {laws : commutative_ring R}.

  Theorem split_chunked cut chunk t j :
    chunked m (from cut query) (from cut key) (from cut value)
      (chunked_state key value initial_state chunk cut) chunk t j =
    chunked m query key value initial_state chunk (cut + t) j.
  Proof.
    rewrite !chunked_same_recurrent -split_recurrent; apply: eq_sum => i _; congr mul.
    by apply: (state_respects _ _ _ _ (S t) _ i j) => i' j'; rewrite chunked_state_same_recurrent.
  Qed.
End Split.

(** Linear attention is gated linear attention that never forgets. *)
Section NeverForgets.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring limit_numbers : (@ring_laws R ops laws).
  Variables (m : nat) (query key value initial_state : nat -> nat -> R).

  Lemma state_is_gated t i j :
    gated_linear_attention.state key value (fun _ _ => 1) initial_state t i j =
      state key value initial_state t i j.
  Proof. by elim: t => [| t IH] //=; rewrite IH; ring. Qed.

  Theorem limit_gated_linear_attention t j :
    gated_linear_attention.recurrent m 1 query key value (fun _ _ => 1) initial_state t j =
      recurrent m query key value initial_state t j.
  Proof. by apply: eq_sum => i _; rewrite state_is_gated; ring. Qed.

  Lemma reverse_is_gated n d_output d_state k i j :
    gated_linear_attention.reverse 1 query (fun _ _ => 1) n d_output d_state k i j =
      reverse query n d_output d_state k i j.
  Proof. by elim: k => [| k IH] //=; rewrite IH; ring. Qed.

  Lemma arrived_is_gated n d_output d_state t i j :
    (t < n)%nat ->
    gated_linear_attention.arrived 1 query (fun _ _ => 1) n d_output d_state t i j =
      reverse query n d_output d_state (n - t) i j.
  Proof.
    move=> small; have -> : (n - t = S (n - S t))%nat by lia.
    rewrite /gated_linear_attention.arrived /= reverse_is_gated.
    have -> : (n - S (n - S t) = t)%nat by lia.
    by ring.
  Qed.

  Lemma d_query_is_gated d_v d_output t i :
    gated_linear_attention.d_query 1 key value (fun _ _ => 1) initial_state d_v d_output t i =
      d_query key value initial_state d_v d_output t i.
  Proof. by apply: eq_sum => j _; rewrite state_is_gated; ring. Qed.

  Lemma d_key_is_gated n d_v d_output d_state t i :
    (t < n)%nat ->
    gated_linear_attention.d_key 1 query value (fun _ _ => 1) n d_v d_output d_state t i =
      d_key query value n d_v d_output d_state t i.
  Proof. by move=> small; apply: eq_sum => j _; rewrite arrived_is_gated. Qed.

  Lemma d_value_is_gated n d_output d_state t j :
    (t < n)%nat ->
    gated_linear_attention.d_value m 1 query key (fun _ _ => 1) n d_output d_state t j =
      d_value m query key n d_output d_state t j.
  Proof. by move=> small; apply: eq_sum => i _; rewrite arrived_is_gated. Qed.
End NeverForgets.

(** The closed-form backward pass is the adjoint of the recurrence, and so of the quadratic form: weighing the
    rates of change of the outputs is weighing those of the inputs by the gradients. *)
Section Gradient.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring gradient_numbers : (@ring_laws R ops laws).
  Add Ring gradient_dual_numbers : (@ring_laws (dual R) _ dual_ring).
  Variables (n m d_v : nat) (query key value initial_state : nat -> nat -> dual R).
  Variables (d_output d_state : nat -> nat -> R).

  Notation still := (state (primals key) (primals value) (primals initial_state)).
  Notation reverse := (reverse (primals query) n d_output d_state).
  Notation gradients :=
    (inner n m (d_query (primals key) (primals value) (primals initial_state) d_v d_output) query +
     inner n m (d_key (primals query) (primals value) n d_v d_output d_state) key +
     inner n d_v (d_value m (primals query) (primals key) n d_output d_state) value +
     inner m d_v (d_initial_state (primals query) n d_output d_state) initial_state).

  Theorem backward_is_the_adjoint :
    inner n d_v d_output (recurrent m query key value initial_state) +
    inner m d_v d_state (state key value initial_state n) = gradients.
  Proof.
    pose proof (gated_linear_attention.backward_is_the_adjoint n m d_v 1 query key value
                  (fun _ _ => 1) initial_state d_output d_state) as gated.
    set no_rate := inner n m (gated_linear_attention.d_decay _ _ _ _ _ _ _ _ _ _) _ in gated.
    have no_rate_0 : no_rate = 0.
      by apply: sum_of_zeros => t _; apply: sum_of_zeros => i _ /=; ring.
    transitivity (inner n d_v d_output (gated_linear_attention.recurrent m (constant 1) query key value
        (fun _ _ => 1) initial_state) +
      inner m d_v d_state (gated_linear_attention.state key value (fun _ _ => 1) initial_state n)).
      by congr add; apply: eq_inner => // r c; rewrite -?state_is_gated -?limit_gated_linear_attention.
    rewrite {}gated no_rate_0; transitivity (
      inner n m (d_query (primals key) (primals value) (primals initial_state) d_v d_output) query +
      inner n m (d_key (primals query) (primals value) n d_v d_output d_state) key +
      inner n d_v (d_value m (primals query) (primals key) n d_output d_state) value + 0 +
      inner m d_v (d_initial_state (primals query) n d_output d_state) initial_state); last by ring.
    congr (_ + _ + _ + _ + _); apply: eq_inner => // t i small.
    - exact: d_query_is_gated.
    - exact: d_key_is_gated.
    - exact: d_value_is_gated.
    - exact: reverse_is_gated.
  Qed.

  Theorem backward_is_the_adjoint_of_quadratic :
    (forall i j, initial_state i j = 0) ->
    inner n d_v d_output (fun t => quadratic m query key value (S t) t) +
    inner m d_v d_state (summary key value n) = gradients.
  Proof.
    move=> no_state; rewrite -backward_is_the_adjoint; congr add; apply: eq_inner => // r c.
    - rewrite recurrent_same_quadratic sum_of_zeros; first by move=> i _; rewrite no_state; ring.
      by ring.
    - transitivity (initial_state r c + summary key value n r c); first by rewrite no_state; ring.
      by symmetry; exact: (state_is_summary key value initial_state 0 n).
  Qed.
End Gradient.
