(** * Tensor attention with a polynomial in the place of exp

    A query scores every tuple of keys, one from each of several key matrices. With a polynomial of the score
    the sum over all tuples factors into sums over single keys, whatever the number of key matrices. *)
From Coq Require Import ssreflect Ring List Permutation Arith Lia.
From Etalon.base Require Import operations sums permutations.
From Etalon.approximation Require Import polynomial_features.
Import ListNotations.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R} {div : division R}.
  Variables (n d : nat) (scale : R).

  (** The keys and values that a tuple takes its parts from: n x d and n x d_v. *)
  Definition source : Type := (nat -> nat -> R) * (nat -> nat -> R).

  (** The sum over all tuples of weight (score) times values. Score and values of a tuple are those of the
      query and of all its parts, multiplied channel by channel. *)
  Fixpoint direct_sum (weight : R -> R) (sources : list source) (query : nat -> R) (value : R)
      (l : nat) : R :=
    match sources with
    | [] => weight (scale * sum d query) * value
    | (key, values) :: sources =>
        sum n (fun j => direct_sum weight sources (fun c => query c * key j c) (value * values j l) l)
    end.

  Definition ones (source : source) : nat -> nat -> R := fun _ _ => 1.
  Definition weights_only (s : source) : source := (fst s, ones s).

  Definition direct (weight : R -> R) (sources : list source) (query : nat -> nat -> R) (i l : nat) : R :=
    direct_sum weight sources (query i) 1 l / direct_sum weight (map weights_only sources) (query i) 1 l.

  (** ** The polynomial c_0 + ... + c_g x^g, by monomials *)

  Variables (c : nat -> R) (g : nat).

  Definition monomial_weight (mu : list nat) : R :=
    c (degree mu) * power scale (degree mu) * of_nat (multinomial mu).

  (** One pass over the tokens for each source: G = U^T V. *)
  Definition summary (s : source) (mu : list nat) (l : nat) : R :=
    sum n (fun j => monomial (fst s j) mu * snd s j l).

  Definition factored_sum (sources : list source) (query : nat -> R) (l : nat) : R :=
    sum_over (monomials_up_to d g) (fun mu =>
      monomial_weight mu * monomial query mu * fold_right (fun s rest => summary s mu l * rest) 1 sources).

  Definition factored (sources : list source) (query : nat -> nat -> R) (i l : nat) : R :=
    factored_sum sources (query i) l / factored_sum (map weights_only sources) (query i) l.

  (** The polynomial algorithm for two key matrices, as it is usually written. *)
  Definition tensor_attention (query key1 key2 value1 value2 : nat -> nat -> R) : nat -> nat -> R :=
    factored [(key1, value1); (key2, value2)] query.
End Text.

Section Laws.
  Context {R : Type} {ops : operations R} {div : division R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variables (n d : nat) (scale : R) (c : nat -> R) (g : nat).

  Notation source := (@source R).
  Implicit Types (sources : list source) (query : nat -> R).

  Lemma polynomial_of_score query :
    polynomial c g (scale * sum d query) =
    sum_over (monomials_up_to d g) (fun mu => monomial_weight scale c mu * monomial query mu).
  Proof.
    rewrite /monomials_up_to sum_over_flat_map sum_over_seq; apply: eq_sum => t _.
    rewrite power_mul multinomial_theorem mul_sum_over mul_sum_over.
    apply: eq_sum_over => mu /degree_of_monomials same.
    by rewrite /monomial_weight same; ring.
  Qed.

  Lemma direct_sum_factors sources query value l :
    direct_sum n d scale (polynomial c g) sources query value l =
    value * factored_sum n d scale c g sources query l.
  Proof.
    elim: sources query value => [| [key values] sources IH] query value.
      rewrite -[LHS]/(polynomial c g (scale * sum d query) * value) polynomial_of_score /factored_sum.
      transitivity (value * sum_over (monomials_up_to d g)
                              (fun mu => monomial_weight scale c mu * monomial query mu)).
        by ring.
      by congr mul; apply: eq_sum_over => mu _ /=; ring.
    rewrite -[LHS]/(sum n (fun j => direct_sum n d scale (polynomial c g) sources
                                      (fun c => query c * key j c) (value * values j l) l)).
    under eq_sum => j _ do rewrite IH /factored_sum mul_sum_over.
    rewrite sum_over_exchange /factored_sum mul_sum_over; apply: eq_sum_over => mu _.
    rewrite -[fold_right _ _ (_ :: _)]/(sum n (fun j => monomial (key j) mu * values j l) *
      fold_right (fun s rest => summary n s mu l * rest) 1 sources).
    set rest := fold_right _ _ sources.
    transitivity (value * (monomial_weight scale c mu * monomial query mu) *
      sum n (fun j => monomial (key j) mu * values j l) * rest); last by ring.
    by rewrite !mul_sum sum_mul; apply: eq_sum => j _; rewrite monomial_mul; ring.
  Qed.

  (** With a polynomial in the place of exp, all tuples of tokens at once cost one pass over the tokens. *)
  Theorem factored_same_direct sources (query : nat -> nat -> R) i l :
    factored n d scale c g sources query i l = direct n d scale (polynomial c g) sources query i l.
  Proof.
    have no_value (x : R) : 1 * x = x by ring.
    by rewrite /factored /direct !direct_sum_factors !no_value.
  Qed.

  (** For two key matrices this is a sum over all pairs. *)
  Theorem tensor_attention_over_pairs (query key1 key2 value1 value2 : nat -> nat -> R) i l :
    let weight j1 j2 := polynomial c g (scale * sum d (fun e => query i e * key1 j1 e * key2 j2 e)) in
    tensor_attention n d scale c g query key1 key2 value1 value2 i l =
      sum n (fun j1 => sum n (fun j2 => weight j1 j2 * (value1 j1 l * value2 j2 l))) /
      sum n (fun j1 => sum n (fun j2 => weight j1 j2)).
  Proof.
    move=> weight; rewrite /tensor_attention factored_same_direct /direct /=.
    by congr divide; apply: eq_sum => j1 _; apply: eq_sum => j2 _; rewrite /weight /ones; ring.
  Qed.

  (** The key matrices, each with its values, may change places: for every weight, exp included. *)
  Theorem sources_may_change_places weight sources sources' query value l :
    Permutation sources sources' ->
    direct_sum n d scale weight sources query value l = direct_sum n d scale weight sources' query value l.
  Proof.
    have query_matters q q' v v' srcs : (forall e, q e = q' e) -> v = v' ->
      direct_sum n d scale weight srcs q v l = direct_sum n d scale weight srcs q' v' l.
      elim: srcs q q' v v' => [| [key values] srcs IH] q q' v v' same_q -> /=.
        by rewrite (eq_sum d q q').
      by apply: eq_sum => j _; apply: IH => // e; rewrite same_q.
    move=> permuted; elim: permuted query value => {sources sources'}
      [| [key values] s s' _ IH | [key values] [key' values'] s | s s' s'' _ IH _ IH'] query value //=.
    - by apply: eq_sum => j _; apply: IH.
    - rewrite sum_exchange; apply: eq_sum => j _; apply: eq_sum => j' _.
      by apply: query_matters => [e |]; ring.
    - by rewrite IH.
  Qed.

  (** ** Causal: the tuples of the first t tokens; the summaries are then states that a stream carries *)

  Fixpoint state (s : source) (t : nat) (mu : list nat) (l : nat) : R :=
    match t with
    | O => 0
    | S t => state s t mu l + monomial (fst s t) mu * snd s t l
    end.

  Theorem state_is_summary s t mu l : state s t mu l = summary t s mu l.
  Proof. by elim: t => [// | t IH] /=; rewrite IH. Qed.
End Laws.
