(** * HyperAttention

    What is exact in it: the buckets that sorting makes neighbours, the block structure of the mask after
    sorting, the sorted view of the block part, the sampled part on average, and the causal recursion. *)
From Coq Require Import ssreflect Ring Field NArith List Permutation Arith Bool Lia.
From Etalon.base Require Import operations sums permutations ordered.
From Etalon.softmax_attention Require Import softmax_attention.
From Etalon.approximation Require Import gray_code sampling.
Import ListNotations.
Open Scope nat_scope.

(** ** Hashing *)

(** The bits of a hash, the first one lowest, and the position of the code in the order of Gray. *)
Fixpoint code (r : nat) (bits : nat -> bool) : N :=
  match r with
  | O => 0%N
  | S r => ((if bits r then 2 ^ N.of_nat r else 0) + code r bits)%N
  end.
Definition bucket (r : nat) (bits : nat -> bool) : N := gray_position r (code r bits).

Lemma code_bound r bits : (code r bits < 2 ^ N.of_nat r)%N.
Proof.
  elim: r => [| r IH]; first by [].
  rewrite Nat2N.inj_succ N.pow_succ_r' [code _ _]/=.
  by case: (bits r); lia.
Qed.

Lemma code_below r bits : below r (code r bits).
Proof.
  move=> j high; have := code_bound r bits.
  have [-> _ | some small] := N.eq_dec (code r bits) 0; first exact: N.bits_0.
  by apply: N.bits_above_log2; apply/N.log2_lt_pow2; [lia | have := N.pow_le_mono_r 2 _ _ _ high; lia].
Qed.

(** Tokens of neighbouring buckets have codes that differ in exactly one bit. *)
Theorem neighbouring_buckets r bits bits' :
  bucket r bits' = N.succ (bucket r bits) -> exists k, differ_in_bit k (code r bits) (code r bits').
Proof.
  move=> next; have [k step] := gray_steps (bucket r bits); exists k.
  by move: step; rewrite -next !gray_of_gray_position //; exact: code_below.
Qed.

(** ** Sorting *)

Section Sorting.
  Variables (n : nat) (key : nat -> N).

  (** Smaller keys first; of equal keys the earlier token first: the sort is stable. *)
  Definition before (j i : nat) : bool := (key j <? key i)%N || (key j =? key i)%N && (j <? i).

  (** The rank of a token: how many come before it. *)
  Definition rank (i : nat) : nat := length (filter (fun j => before j i) (seq 0 n)).

  Lemma beforeP j i : before j i = true <-> (key j < key i)%N \/ key j = key i /\ j < i.
  Proof. by rewrite /before orb_true_iff andb_true_iff N.ltb_lt N.eqb_eq Nat.ltb_lt. Qed.

  Lemma rank_below i : i < n -> rank i < n.
  Proof.
    move=> small; have : rank i < length (filter (fun _ => true) (seq 0 n)).
      apply: (filter_fewer _ _ _ i) => //; first by apply/in_seq; lia.
      by apply/not_true_iff_false => /beforeP; lia.
    have -> : filter (fun _ => true) (seq 0 n) = seq 0 n by elim: (seq 0 n) => [// | j js /= ->].
    by rewrite seq_length.
  Qed.

  (** Who comes earlier has the smaller rank. *)
  Lemma rank_ordered i j : i < n -> before i j = true -> rank i < rank j.
  Proof.
    move=> small first; apply: (filter_fewer _ _ _ i) => //.
    - by move=> k /beforeP ki; apply/beforeP; move: first => /beforeP; lia.
    - by apply/in_seq; lia.
    - by apply/not_true_iff_false => /beforeP; lia.
  Qed.

  (** The ranks are a permutation: sorting loses nothing. *)
  Theorem rank_permutation : permutation n rank (argsort n rank).
  Proof.
    apply: argsort_permutation => [i | i j small_i small_j same]; first exact: rank_below.
    have [// | different] := Nat.eq_dec i j.
    have [/rank_ordered | /rank_ordered] : before i j = true \/ before j i = true.
      by rewrite !beforeP; lia.
    - by move=> /(_ small_i); lia.
    - by move=> /(_ small_j); lia.
  Qed.

  (** After sorting, the keys ascend. *)
  Theorem sorted i j : i < n -> j < n -> rank i <= rank j -> (key i <= key j)%N.
  Proof.
    move=> small_i small_j ranks; have [// | later] := N.le_gt_cases (key i) (key j).
    have : before j i = true by apply/beforeP; left.
    by move=> /(rank_ordered _ _ small_j); lia.
  Qed.
End Sorting.

(** ** The mask: tokens of the same block of [b] places in sorted order *)

Section Mask.
  Variables (n b : nat) (query_key key_key : nat -> N).

  Notation query_rank := (rank n query_key).
  Notation key_rank := (rank n key_key).
  Notation sorted_query := (argsort n query_rank).
  Notation sorted_key := (argsort n key_rank).

  Definition same_block (a c : nat) : bool := a / b =? c / b.
  Definition mask (i j : nat) : bool := same_block (query_rank i) (key_rank j).

  (** In sorted order the mask is block diagonal. *)
  Theorem mask_block_diagonal a c :
    a < n -> c < n -> mask (sorted_query a) (sorted_key c) = same_block a c.
  Proof.
    move=> small_a small_c; rewrite /mask.
    by rewrite !(inverse_back _ _ _ (rank_permutation _ _)).
  Qed.

  (** A row has as many ones as its block has places: [b], or what is left of n in the last block. *)
  Lemma block_size block : 0 < b ->
    length (filter (fun c => block =? c / b) (seq 0 n)) = Nat.min (n - block * b) b.
  Proof.
    move=> some; elim: n => [| m IH]; first by rewrite Nat.min_0_l.
    rewrite seq_S filter_app app_length IH Nat.add_0_l [filter _ [m]]/=.
    have [-> | other] := Nat.eqb_spec block (m / b).
    - by have := Nat.div_mod m b; have := Nat.mod_upper_bound m b; rewrite [length _]/=; lia.
    - have [early | late] : block < m / b \/ m / b < block by lia.
      + by have := Nat.div_mod m b; have := Nat.mod_upper_bound m b; rewrite [length _]/=; nia.
      + by have := Nat.div_mod m b; have := Nat.mod_upper_bound m b; rewrite [length _]/=; nia.
  Qed.

  Theorem mask_row_sum i : 0 < b ->
    length (filter (mask i) (seq 0 n)) = Nat.min (n - query_rank i / b * b) b.
  Proof.
    move=> some; rewrite -block_size // /mask /same_block.
    have same := permuted_numbers _ _ _ (rank_permutation n key_key).
    rewrite -(Permutation_length (permuted_filter (fun c => query_rank i / b =? c / b) _ _ same)).
    elim: (seq 0 n) => [// | j js IH] /=.
    by case: (_ =? _) => /=; rewrite IH.
  Qed.
End Mask.

(** ** The block part *)

Section Blocks.
  Context {Logit R : Type} {logit_ops : operations Logit} {logit_laws : commutative_ring Logit}.
  Context {logit_ord : ordering Logit}.
  Context {ops : operations R} {div : division R} {laws : field R}.
  Context {ord : ordering R} {pos : positive_numbers R}.
  Context {e : exponential Logit R} {exp_laws : exponential_laws Logit R}.
  Variables (n b : nat) (query_key key_key : nat -> N).
  Variables (score : nat -> nat -> Logit) (value : nat -> nat -> R).

  (** Attention with the mask is attention inside the diagonal blocks of the sorted tokens, put back. *)
  Theorem sorted_same_masked i c : i < n ->
    let sorted_query := argsort n (rank n query_key) in
    let sorted_key := argsort n (rank n key_key) in
    direct (fun a d => score (sorted_query a) (sorted_key d)) (same_block b)
           (fun d => value (sorted_key d)) None n (rank n query_key i) c =
    direct score (mask n b query_key key_key) value None n i c.
  Proof.
    move=> small sorted_query sorted_key.
    have queries := rank_permutation n query_key; have keys := rank_permutation n key_key.
    rewrite -(permuted_keys score _ value None n _ _ (permutation_inverse _ _ _ keys) i).
    apply: eq_direct => d small_d; rewrite /sorted_query (permutation_back _ _ _ queries) //.
    by rewrite /mask (inverse_back _ _ _ keys).
  Qed.

  (** ** Causal attention by halves

      The two halves on their own, and the first half for the queries of the second; [fuel] bounds the
      depth. *)
  Variables (n_min : nat) (visible : nat -> nat -> bool).

  Notation keys_of := (keys_of score visible value).

  Fixpoint causal_by_halves (fuel i first length : nat) : partial :=
    match fuel with
    | O => over_keys (keys_of i first (S i - first))
    | S fuel =>
        if length <=? n_min then over_keys (keys_of i first (S i - first)) else
        let half := (S length / 2) in
        if i <? first + half then causal_by_halves fuel i first half
        else merge (causal_by_halves fuel i (first + half) (length - half)) (over_keys (keys_of i first half))
    end.

  Theorem causal_by_halves_same_causal fuel i first length c :
    first <= i < first + length ->
    finish (causal_by_halves fuel i first length) c = direct_of (keys_of i first (S i - first)) c.
  Proof.
    move=> inside; apply: finish_stands_for.
    elim: fuel first length inside => [| fuel IH] first length inside; first exact: over_keys_stands_for.
    cbn [causal_by_halves]; case: (length <=? n_min); first exact: over_keys_stands_for.
    set half := S length / 2.
    have half_inside : half <= length by have := Nat.div_mod (S length) 2; lia.
    have [early | late] := Nat.ltb_spec i (first + half); first by apply: IH; lia.
    have -> : S i - first = half + (S i - (first + half)) by lia.
    rewrite keys_of_split; apply: stands_for_permuted; first exact: Permutation_app_comm.
    by apply: merge_stands_for; [apply: IH; lia | exact: over_keys_stands_for].
  Qed.
End Blocks.

(** ** The sampled part: keys outside the mask, estimated from a list of m keys, drawn alike *)

Section Sampled.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field numbers : (@field_laws R ops div laws).
  Open Scope number_scope.
  Variables (n m : nat) (mask : nat -> bool) (x : nat -> R).
  Hypothesis keys : of_nat n <> 0 :> R.
  Hypothesis samples : of_nat m <> 0 :> R.

  Definition inside (j : nat) : R := if mask j then x j else 0.
  Definition outside (j : nat) : R := if mask j then 0 else x j.
  Definition approximate_sum (drawn : list nat) : R :=
    sum n inside + of_nat n / of_nat m * sum_over drawn outside.

  Lemma sum_of_constant k (c : R) : sum k (fun _ => c) = of_nat k * c.
  Proof. by elim: k => [| k IH] /=; [ring | rewrite IH; ring]. Qed.

  (** Both the numerator (x = weight times value) and the denominator (x = weight) are right on average; their
      quotient is not. *)
  Theorem approximate_sum_unbiased : mean n (fun _ => 1 / of_nat n) m approximate_sum = sum n x.
  Proof.
    have probabilities : sum n (fun _ => 1 / of_nat n) = 1 :> R by rewrite sum_of_constant; field.
    have possible j : (j < n)%nat -> 1 / of_nat n <> 0 :> R.
      move=> _ is_0; apply: one_not_zero; have -> : 1 = 1 / of_nat n * of_nat n :> R by field.
      by rewrite is_0; ring.
    rewrite mean_add mean_constant // mean_mul first_moment // -mul_sum.
    transitivity (sum n inside + sum n outside); first by congr add; field.
    by rewrite -sum_add; apply: eq_sum => j _; rewrite /inside /outside; case: (mask j); ring.
  Qed.
End Sampled.
