(** * Gated linear attention

    The twin of [reference/gated_recurrence/gated_linear_attention.hpp]: the same forms, in the same order,
    and the theorems that they are equal for every length, every width and every chunk size. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums recurrence chunks dual.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R} {div : division R}.
  Variables (d_k : nat) (scale : R) (query key value decay : nat -> nat -> R).

  (** The state after t tokens. A token fades the rows, then adds its outer product. *)
  Fixpoint state (initial_state : nat -> nat -> R) (t : nat) : nat -> nat -> R :=
    match t with
    | O => initial_state
    | S t => fun i j => decay t i * state initial_state t i j + key t i * value t j
    end.

  Variable initial_state : nat -> nat -> R.

  (** The definition: token t reads the state after its own step. *)
  Definition recurrent (t j : nat) : R :=
    sum d_k (fun i => scale * query t i * state initial_state (S t) i j).

  (** The decay of channel i from before token [first] to before token [last]. *)
  Definition rho (first last i : nat) : R := between (fun t => decay t i) first last.

  (** Every query with every earlier key; the initial state is a memory older than the first token. *)
  Definition pairwise (t j : nat) : R :=
    sum (S t) (fun s => sum d_k (fun i => scale * query t i * key s i * rho (S s) (S t) i) * value s j) +
    sum d_k (fun i => scale * query t i * rho 0 (S t) i * initial_state i j).

  Definition pairwise_state (n i j : nat) : R :=
    sum n (fun s => rho (S s) n i * key s i * value s j) + rho 0 n i * initial_state i j.

  (** One masked matrix product, with the decays from the start in the query and divided out of the key. *)
  Definition cumulative (t i : nat) : R := product (S t) (fun x => decay x i).
  Definition gated_query (t i : nat) : R := scale * query t i * cumulative t i.
  Definition gated_key (t i : nat) : R := key t i / cumulative t i.

  Definition parallel (t j : nat) : R :=
    sum (S t) (fun s => sum d_k (fun i => gated_query t i * gated_key s i) * value s j) +
    sum d_k (fun i => gated_query t i * initial_state i j).

  Definition parallel_state (n i j : nat) : R :=
    cumulative (n - 1) i * (initial_state i j + sum n (fun s => gated_key s i * value s j)).

  (** The score of key s for query r of a chunk. Inside a block of [sub_chunk] tokens, pair by pair; from
      earlier blocks, a product of two factors around the start of the block of r. *)
  Definition score_within_chunk (sub_chunk first r s : nat) : R :=
    let block := (r / sub_chunk * sub_chunk)%nat in
    if (s <? block)%nat then
      sum d_k (fun i => (scale * query (first + r)%nat i * rho (first + block) (S (first + r)) i) *
                        (key (first + s)%nat i * rho (S (first + s)) (first + block) i))
    else
      sum d_k (fun i => scale * query (first + r)%nat i * key (first + s)%nat i *
                        rho (S (first + s)) (S (first + r)) i).

  Definition read_chunk (sub_chunk first r : nat) (carried : nat -> nat -> R) (j : nat) : R :=
    sum d_k (fun i => scale * query (first + r)%nat i * rho first (S (first + r)) i * carried i j) +
    sum (S r) (fun s => score_within_chunk sub_chunk first r s * value (first + s)%nat j).

  Definition advance_chunk (first length : nat) (carried : nat -> nat -> R) (i j : nat) : R :=
    rho first (first + length) i * carried i j +
    sum length (fun r => key (first + r)%nat i * rho (S (first + r)) (first + length) i *
                         value (first + r)%nat j).

  Definition chunked (chunk sub_chunk t j : nat) : R :=
    in_chunk advance_chunk chunk initial_state
      (fun first r carried => read_chunk sub_chunk first r carried j) t.

  Definition chunked_state (chunk n : nat) : nat -> nat -> R :=
    carried_to advance_chunk chunk initial_state n.

  (** The backward pass: the gradients [d_output] of the outputs of n tokens and [d_state] of the state after
      them go back through the recurrence. [reverse k] is the gradient of the state k tokens before the end,
      [arrived t] that of the state after token t, the reading of token t included. *)
  Variables (n d_v : nat) (d_output d_state : nat -> nat -> R).

  Fixpoint reverse (k : nat) : nat -> nat -> R :=
    match k with
    | O => d_state
    | S k => fun i j =>
        let t := (n - S k)%nat in decay t i * (reverse k i j + scale * query t i * d_output t j)
    end.
  Definition arrived (t i j : nat) : R := reverse (n - S t) i j + scale * query t i * d_output t j.

  Definition d_query (t i : nat) : R :=
    sum d_v (fun j => scale * state initial_state (S t) i j * d_output t j).
  Definition d_key (t i : nat) : R := sum d_v (fun j => arrived t i j * value t j).
  Definition d_value (t j : nat) : R := sum d_k (fun i => arrived t i j * key t i).
  Definition d_decay (t i : nat) : R := sum d_v (fun j => arrived t i j * state initial_state t i j).
  Definition d_initial_state : nat -> nat -> R := reverse n.
End Text.

Section Ring.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variables (d_k : nat) (scale : R) (query key value decay initial_state : nat -> nat -> R).

  Notation state := (state key value decay initial_state).
  Notation recurrent := (recurrent d_k scale query key value decay initial_state).
  Notation pairwise := (pairwise d_k scale query key value decay initial_state).

  (** The heart of everything below: a number of the state is a linear recurrence, so it unrolls. *)
  Lemma state_unrolled first length i j :
    state (first + length) i j =
      rho decay first (first + length) i * state first i j +
      sum length (fun r => rho decay (S (first + r)) (first + length) i *
                           (key (first + r)%nat i * value (first + r)%nat j)).
  Proof.
    exact: (unrolled (fun t => state t i j) (fun t => decay t i) (fun t => key t i * value t j)).
  Qed.

  Lemma state_from_start n i j :
    state n i j =
      rho decay 0 n i * initial_state i j + sum n (fun s => rho decay (S s) n i * (key s i * value s j)).
  Proof. exact: (state_unrolled 0 n). Qed.

  Theorem pairwise_state_same_recurrent n i j :
    pairwise_state key value decay initial_state n i j = state n i j.
  Proof.
    rewrite state_from_start /pairwise_state.
    have -> : sum n (fun s => rho decay (S s) n i * key s i * value s j) =
              sum n (fun s => rho decay (S s) n i * (key s i * value s j)).
      by apply: eq_sum => s _; ring.
    by ring.
  Qed.

  (** A query that reads an unrolled state reads every earlier value, weighted by its score. *)
  Lemma read_unrolled (q fade left : nat -> R) length (rho_of k : nat -> nat -> R) (v : nat -> R) :
    sum d_k (fun i => q i * (fade i * left i + sum length (fun s => rho_of s i * (k s i * v s)))) =
    sum d_k (fun i => q i * fade i * left i) +
    sum length (fun s => sum d_k (fun i => q i * k s i * rho_of s i) * v s).
  Proof.
    have -> : sum length (fun s => sum d_k (fun i => q i * k s i * rho_of s i) * v s) =
              sum d_k (fun i => sum length (fun s => q i * k s i * rho_of s i * v s)).
      by rewrite sum_exchange; apply: eq_sum => s _; rewrite sum_mul.
    rewrite -sum_add; apply: eq_sum => i _.
    have -> : sum length (fun s => q i * k s i * rho_of s i * v s) =
              q i * sum length (fun s => rho_of s i * (k s i * v s)).
      by rewrite mul_sum; apply: eq_sum => s _; ring.
    by ring.
  Qed.

  (** Every query with every earlier key gives what the recurrence gives: for all lengths and widths, for
      all decays, 0 included. *)
  Theorem pairwise_same_recurrent t j : pairwise t j = recurrent t j.
  Proof.
    rewrite /recurrent /pairwise.
    under [RHS]eq_sum => i _ do rewrite state_from_start.
    by rewrite read_unrolled; ring.
  Qed.

  (** Both ways to compute a score inside a chunk are the decay from key to query: it may be cut at the
      start of the block. *)
  Lemma score_within_chunk_right sub_chunk first r s :
    (s <= r)%nat ->
    score_within_chunk d_k scale query key decay sub_chunk first r s =
      sum d_k (fun i => scale * query (first + r)%nat i * key (first + s)%nat i *
                        rho decay (S (first + s)) (S (first + r)) i).
  Proof.
    move=> causal; rewrite /score_within_chunk; case: Nat.ltb_spec => // before.
    have [block_low block_high] : (s < r / sub_chunk * sub_chunk <= r)%nat.
      by have := Nat.div_mod_eq r sub_chunk; lia.
    apply: eq_sum => i _; rewrite /rho.
    set middle := (first + r / sub_chunk * sub_chunk)%nat.
    by rewrite (between_split _ (S (first + s)) middle (S (first + r))); [lia | ring].
  Qed.

  Lemma advance_chunk_right first length carried :
    same_matrix carried (state first) ->
    same_matrix (advance_chunk key value decay first length carried) (state (first + length)).
  Proof.
    move=> right i j; rewrite /advance_chunk state_unrolled right; congr add.
    by apply: eq_sum => r _; ring.
  Qed.

  Lemma read_chunk_right sub_chunk j first r carried :
    same_matrix carried (state first) ->
    read_chunk d_k scale query key value decay sub_chunk first r carried j = recurrent (first + r) j.
  Proof.
    move=> right; rewrite /read_chunk /recurrent -Nat.add_succ_r.
    under [RHS]eq_sum => i _ do rewrite state_unrolled -right.
    rewrite read_unrolled; congr add; apply: eq_sum => s small.
    by rewrite score_within_chunk_right -?Nat.add_succ_r; first lia.
  Qed.

  (** Matrix products inside chunks, a recurrence over chunks: the same numbers for every size of the chunks
      and of the blocks in them, whether or not it divides the length. *)
  Theorem chunked_same_recurrent chunk sub_chunk t j :
    chunked d_k scale query key value decay initial_state chunk sub_chunk t j = recurrent t j.
  Proof.
    apply: (in_chunk_right _ _ _ same_matrix (fun t => state t) _ advance_chunk_right _
              (fun t => recurrent t j)) => //.
    exact: read_chunk_right.
  Qed.

  Theorem chunked_state_same_recurrent chunk n i j :
    chunked_state key value decay initial_state chunk n i j = state n i j.
  Proof. exact: (carried_to_right _ _ _ same_matrix (fun t => state t) _ advance_chunk_right). Qed.
End Ring.

Lemma state_respects {R} {ops : operations R} (key value decay a b : nat -> nat -> R) t :
  same_matrix a b -> same_matrix (state key value decay a t) (state key value decay b t).
Proof. by move=> same i j; elim: t => [| t IH] /=; rewrite ?IH. Qed.

Section Split.
  Context {R : Type} {ops : operations R}.
  Variables (d_k : nat) (scale : R) (query key value decay initial_state : nat -> nat -> R).

  (** A sequence may be cut anywhere: the tokens from m on, started from the state after m tokens, give the
      same states and outputs. *)
  Theorem split_state m t i j :
    state (from m key) (from m value) (from m decay) (state key value decay initial_state m) t i j =
      state key value decay initial_state (m + t) i j.
  Proof. by elim: t i j => [| t IH] i j; rewrite ?Nat.add_0_r ?Nat.add_succ_r //= IH. Qed.

  Theorem split_recurrent m t j :
    recurrent d_k scale (from m query) (from m key) (from m value) (from m decay)
      (state key value decay initial_state m) t j =
    recurrent d_k scale query key value decay initial_state (m + t) j.
  Proof. by apply: eq_sum => i _; rewrite split_state Nat.add_succ_r. Qed.

  Context {laws : commutative_ring R}.

  (** The chunks of the parts need not be those of the whole. *)
  Theorem split_chunked m chunk sub_chunk t j :
    chunked d_k scale (from m query) (from m key) (from m value) (from m decay)
      (chunked_state key value decay initial_state chunk m) chunk sub_chunk t j =
    chunked d_k scale query key value decay initial_state chunk sub_chunk (m + t) j.
  Proof.
    rewrite !chunked_same_recurrent -split_recurrent; apply: eq_sum => i _; congr mul.
    by apply: (state_respects _ _ _ _ _ (S t) _ i j) => i' j'; rewrite chunked_state_same_recurrent.
  Qed.

  Theorem split_chunked_state m chunk t i j :
    chunked_state (from m key) (from m value) (from m decay)
      (chunked_state key value decay initial_state chunk m) chunk t i j =
    chunked_state key value decay initial_state chunk (m + t) i j.
  Proof.
    rewrite !chunked_state_same_recurrent -split_state.
    by apply: (state_respects _ _ _ _ _ t _ i j) => i' j'; rewrite chunked_state_same_recurrent.
  Qed.
End Split.

Section Field.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field field_numbers : (@field_laws R ops div laws).
  Variables (d_k : nat) (scale : R) (query key value decay initial_state : nat -> nat -> R).
  Hypothesis no_decay_is_0 : forall t i, decay t i <> 0.

  Lemma cumulative_not_0 t i : cumulative decay t i <> 0.
  Proof. by apply: product_not_zero. Qed.

  (** Dividing the decays from the start gives the decay from key to query. *)
  Lemma gated_score t s i :
    (s <= t)%nat ->
    gated_query scale query decay t i * gated_key key decay s i =
      scale * query t i * key s i * rho decay (S s) (S t) i.
  Proof.
    move=> causal; rewrite /gated_query /gated_key /rho between_quotient //; first lia.
    have := cumulative_not_0 s i; rewrite /cumulative => not_0.
    by field.
  Qed.

  (** One masked matrix product gives what all pairs give, as long as no decay is 0. *)
  Theorem parallel_same_recurrent t j :
    parallel d_k scale query key value decay initial_state t j =
      recurrent d_k scale query key value decay initial_state t j.
  Proof.
    rewrite -pairwise_same_recurrent /parallel /pairwise; congr add.
    apply: eq_sum => s small; congr mul; apply: eq_sum => i _.
    by rewrite gated_score; [lia | ring].
  Qed.

  Theorem parallel_state_same_recurrent n i j :
    parallel_state key value decay initial_state (S n) i j = state key value decay initial_state (S n) i j.
  Proof.
    rewrite -pairwise_state_same_recurrent /parallel_state /pairwise_state.
    rewrite /rho between_from_start -/(cumulative decay n i) Nat.sub_succ Nat.sub_0_r.
    have -> : sum (S n) (fun s => between (fun t => decay t i) (S s) (S n) * key s i * value s j) =
              cumulative decay n i * sum (S n) (fun s => gated_key key decay s i * value s j).
      rewrite mul_sum; apply: eq_sum => s small.
      rewrite between_quotient // -!/(cumulative decay _ i) /gated_key.
      by have not_0 := cumulative_not_0 s i; field.
    by ring.
  Qed.
End Field.

(** The closed-form backward pass is the adjoint of the recurrence: whatever the rates of change of the
    inputs, weighing the rates of the outputs by [d_output] and [d_state] is weighing the rates of the inputs
    by the gradients. The rates of the outputs come from the text itself, read in dual numbers. *)
Section Gradient.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring gradient_numbers : (@ring_laws R ops laws).
  Variables (n d_k d_v : nat) (scale : R) (query key value decay initial_state : nat -> nat -> dual R).
  Variables (d_output d_state : nat -> nat -> R).

  Notation moving := (state key value decay initial_state).
  Notation still := (state (primals key) (primals value) (primals decay) (primals initial_state)).
  Notation reverse := (reverse scale (primals query) (primals decay) n d_output d_state).
  Notation arrived := (arrived scale (primals query) (primals decay) n d_output d_state).

  Lemma primal_state t i j : primal (moving t i j) = still t i j.
  Proof. by elim: t => [| t IH] //=; rewrite IH. Qed.

  Lemma reverse_step t i j : (t < n)%nat -> reverse (n - t) i j = primal (decay t i) * arrived t i j.
  Proof.
    move=> small; have -> : (n - t = S (n - S t))%nat by lia.
    by rewrite /=; have -> : (n - S (n - S t) = t)%nat by lia.
  Qed.

  (** One token, one number of the state. *)
  Lemma one_step t i j :
    (t < n)%nat ->
    reverse (n - S t) i j * tangent (moving (S t) i j) +
    d_output t j * tangent (constant scale * query t i * moving (S t) i j) =
      reverse (n - t) i j * tangent (moving t i j) +
      (scale * still (S t) i j * d_output t j * tangent (query t i) +
       arrived t i j * primal (value t j) * tangent (key t i) +
       arrived t i j * primal (key t i) * tangent (value t j) +
       arrived t i j * still t i j * tangent (decay t i)).
  Proof. by move=> small; rewrite (reverse_step t) // /arrived /= primal_state /primals; ring. Qed.

  (** Sums over rows or columns of weights that are sums themselves are sums over all numbers of a state. *)
  Notation all f := (sum d_k (fun i => sum d_v (fun j => f i j))).

  Lemma by_rows (f : nat -> nat -> R) (rate : nat -> R) :
    sum d_k (fun i => sum d_v (fun j => f i j) * rate i) = all (fun i j => f i j * rate i).
  Proof. by apply: eq_sum => i _; rewrite sum_mul. Qed.

  Lemma by_columns (f : nat -> nat -> R) (rate : nat -> R) :
    sum d_v (fun j => sum d_k (fun i => f i j) * rate j) = all (fun i j => f i j * rate j).
  Proof. by rewrite sum_exchange; apply: eq_sum => j _; rewrite sum_mul. Qed.

  Notation outputs :=
    (recurrent d_k (constant scale) query key value decay initial_state).
  Notation d_query := (d_query scale (primals key) (primals value) (primals decay) (primals initial_state)
                         d_v d_output).
  Notation d_key := (d_key scale (primals query) (primals value) (primals decay) n d_v d_output d_state).
  Notation d_value := (d_value d_k scale (primals query) (primals key) (primals decay) n d_output d_state).
  Notation d_decay := (d_decay scale (primals query) (primals key) (primals value) (primals decay)
                         (primals initial_state) n d_v d_output d_state).

  (** One token, all numbers of the state. *)
  Lemma one_token t :
    (t < n)%nat ->
    inner d_k d_v (reverse (n - S t)) (moving (S t)) +
    sum d_v (fun j => d_output t j * tangent (outputs t j)) =
      inner d_k d_v (reverse (n - t)) (moving t) +
      (sum d_k (fun i => d_query t i * tangent (query t i)) +
       sum d_k (fun i => d_key t i * tangent (key t i)) +
       sum d_v (fun j => d_value t j * tangent (value t j)) +
       sum d_k (fun i => d_decay t i * tangent (decay t i))).
  Proof.
    move=> small; rewrite !by_rows by_columns.
    have -> : sum d_v (fun j => d_output t j * tangent (outputs t j)) =
      all (fun i j => d_output t j * tangent (constant scale * query t i * moving (S t) i j)).
      rewrite sum_exchange; apply: eq_sum => j _.
      by rewrite tangent_sum mul_sum.
    rewrite /inner -!sum_add; apply: eq_sum => i _; rewrite -!sum_add; apply: eq_sum => j _.
    by rewrite one_step.
  Qed.

  Theorem backward_is_the_adjoint :
    inner n d_v d_output outputs + inner d_k d_v d_state (moving n) =
      inner n d_k d_query query + inner n d_k d_key key + inner n d_v d_value value +
      inner n d_k d_decay decay + inner d_k d_v (reverse n) initial_state.
  Proof.
    (* the gradient of the state carries, from the end, all that is still to come *)
    have telescope : forall u, (u <= n)%nat ->
      inner d_k d_v (reverse (n - u)) (moving u) + inner u d_v d_output outputs =
        inner d_k d_v (reverse n) initial_state +
        (inner u d_k d_query query + inner u d_k d_key key + inner u d_v d_value value +
         inner u d_k d_decay decay).
      elim=> [_ | u IH bound]; first by rewrite Nat.sub_0_r /inner /=; ring.
      rewrite /inner !(sum_last u) -/(inner _ _ _ _).
      set old := sum u (fun r => sum d_v (fun c => d_output r c * tangent (outputs r c))).
      set now := sum d_v (fun c => d_output u c * tangent (outputs u c)).
      transitivity (inner d_k d_v (reverse (n - S u)) (moving (S u)) + now + old); first by ring.
      rewrite one_token //.
      transitivity (inner d_k d_v (reverse (n - u)) (moving u) + old +
        (sum d_k (fun i => d_query u i * tangent (query u i)) +
         sum d_k (fun i => d_key u i * tangent (key u i)) +
         sum d_v (fun j => d_value u j * tangent (value u j)) +
         sum d_k (fun i => d_decay u i * tangent (decay u i)))); first by ring.
      by rewrite IH; [lia | rewrite /inner; ring].
    have := telescope n (le_n n); rewrite Nat.sub_diag /= => whole.
    transitivity (inner d_k d_v d_state (moving n) + inner n d_v d_output outputs); first by ring.
    by rewrite whole; ring.
  Qed.
End Gradient.

(** The gradient of the gate from those of query and key alone: no state needs to be kept. *)
Section LogDecay.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring log_decay_numbers : (@ring_laws R ops laws).
  Variables (n d_v : nat) (scale : R) (query key value decay initial_state : nat -> nat -> R).
  Variables (d_output d_state : nat -> nat -> R).

  Notation state := (state key value decay initial_state).
  Notation reverse := (reverse scale query decay n d_output d_state).
  Notation d_query := (d_query scale key value decay initial_state d_v d_output).
  Notation d_key := (d_key scale query value decay n d_v d_output d_state).
  Notation d_decay := (d_decay scale query key value decay initial_state n d_v d_output d_state).

  (** The gradient of log decay t: what queries and keys from t on give, and the final state. *)
  Definition d_log_decay (t i : nat) : R :=
    sum (n - t) (fun r => query (t + r)%nat i * d_query (t + r)%nat i -
                          key (t + r)%nat i * d_key (t + r)%nat i) +
    sum d_v (fun j => d_state i j * state n i j).

  Lemma weighed_state m i :
    (m <= n)%nat ->
    sum d_v (fun j => reverse m i j * state (n - m) i j) = d_log_decay (n - m) i.
  Proof.
    rewrite /d_log_decay; elim: m => [_ | m IH bound].
      by rewrite Nat.sub_0_r Nat.sub_diag /=; ring.
    have next : (n - m = S (n - S m))%nat by lia.
    have -> : (n - (n - S m) = S (n - (n - m)))%nat by lia.
    move: IH => /(_ ltac:(lia)); rewrite next; set t := (n - S m)%nat => IH.
    have t_is : (n - S t = m)%nat by rewrite /t; lia.
    rewrite sum_first Nat.add_0_r.
    have -> : sum (n - S t) (fun r => query (t + S r)%nat i * d_query (t + S r)%nat i -
                                      key (t + S r)%nat i * d_key (t + S r)%nat i) =
              sum (n - S t) (fun r => query (S t + r)%nat i * d_query (S t + r)%nat i -
                                      key (S t + r)%nat i * d_key (S t + r)%nat i).
      by apply: eq_sum => r _; rewrite Nat.add_succ_r.
    transitivity (query t i * d_query t i - key t i * d_key t i +
                  sum d_v (fun j => reverse m i j * state (S t) i j)); last by rewrite IH /d_log_decay; ring.
    rewrite /d_query /d_key mul_sum mul_sum -sum_sub -sum_add; apply: eq_sum => j _.
    rewrite /arrived t_is /=.
    have -> : (n - S m = t)%nat by rewrite /t; lia.
    by rewrite /d_query; ring.
  Qed.

  Theorem backward_log_decay_same_backward t i :
    (t < n)%nat -> decay t i * d_decay t i = d_log_decay t i.
  Proof.
    move=> small; have weighed := weighed_state (n - t) i (Nat.le_sub_l _ _).
    have position : (n - (n - t) = t)%nat by lia.
    rewrite position in weighed; rewrite -weighed.
    have -> : (n - t = S (n - S t))%nat by lia.
    have t_is : (n - S (n - S t) = t)%nat by lia.
    rewrite /d_decay mul_sum; apply: eq_sum => j _.
    by rewrite /arrived /= !t_is; ring.
  Qed.
End LogDecay.

