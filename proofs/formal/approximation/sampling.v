(** * Sampling a product of matrices

    P V is a sum over keys j of a column of P times a row of V. Drawing m keys with probabilities p_j and
    dividing each term by m p_j gives an estimate that is right on average; how far it is off on average is
    known exactly too. *)
From Coq Require Import ssreflect Ring Field List Arith Lia.
From Etalon.base Require Import operations sums permutations.
Import ListNotations.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R} {div : division R}.
  Variables (n : nat) (p : nat -> R).

  (** The mean of f over all lists of m keys that are drawn one by one: the sum over all n^m lists, each with
      its probability. *)
  Fixpoint mean (m : nat) (f : list nat -> R) : R :=
    match m with
    | O => f []
    | S m => sum n (fun j => p j * mean m (fun drawn => f (j :: drawn)))
    end.

  (** The estimate of the sum of all x_j from m drawn keys. *)
  Definition estimate (m : nat) (x : nat -> R) (drawn : list nat) : R :=
    sum_over drawn (fun j => x j / (of_nat m * p j)).
End Text.

Definition square {R} {ops : operations R} (x : R) : R := x * x.

(** The squared Frobenius norm. *)
Definition norm2 {R} {ops : operations R} (rows columns : nat) (a : nat -> nat -> R) : R :=
  sum rows (fun i => sum columns (fun j => square (a i j))).

Section Laws.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field numbers : (@field_laws R ops div laws).
  Variables (n : nat) (p : nat -> R).
  Hypothesis probabilities : sum n p = 1.
  Hypothesis possible : forall j, (j < n)%nat -> p j <> 0.

  Notation mean := (mean n p).

  Lemma eq_mean m f g : (forall drawn, f drawn = g drawn) -> mean m f = mean m g.
  Proof.
    elim: m f g => [| m IH] f g same /=; first exact: same.
    by apply: eq_sum => j _; congr mul; apply: IH.
  Qed.

  Lemma mean_constant m c : mean m (fun _ => c) = c.
  Proof.
    elim: m => [// | m IH] /=; rewrite -(sum_mul n _ p).
    by rewrite IH probabilities; ring.
  Qed.

  Lemma mean_add m f g : mean m (fun drawn => f drawn + g drawn) = mean m f + mean m g.
  Proof.
    elim: m f g => [// | m IH] f g /=; rewrite -sum_add.
    by apply: eq_sum => j _; rewrite IH; ring.
  Qed.

  Lemma mean_mul m c f : mean m (fun drawn => c * f drawn) = c * mean m f.
  Proof.
    elim: m f => [// | m IH] f /=; rewrite mul_sum.
    by apply: eq_sum => j _; rewrite IH; ring.
  Qed.

  Lemma mean_sum m k (f : nat -> list nat -> R) :
    mean m (fun drawn => sum k (fun i => f i drawn)) = sum k (fun i => mean m (f i)).
  Proof.
    elim: k => [| k IH] /=; first exact: mean_constant.
    by rewrite mean_add IH.
  Qed.

  (** The first two moments of a sum over m drawn keys. *)
  Lemma first_moment m (g : nat -> R) :
    mean m (fun drawn => sum_over drawn g) = of_nat m * sum n (fun j => p j * g j).
  Proof.
    elim: m => [| m IH] /=; first by ring.
    under eq_sum => j _ do rewrite mean_add mean_constant IH.
    have -> : sum n (fun j => p j * (g j + of_nat m * sum n (fun j => p j * g j))) =
      sum n (fun j => p j * g j) + sum n p * (of_nat m * sum n (fun j => p j * g j)).
      by rewrite sum_mul -sum_add; apply: eq_sum => j _; ring.
    by rewrite probabilities; ring.
  Qed.

  Lemma second_moment m (g : nat -> R) :
    let first := sum n (fun j => p j * g j) in
    mean m (fun drawn => square (sum_over drawn g)) =
      of_nat m * sum n (fun j => p j * square (g j)) + (square (of_nat m) - of_nat m) * square first.
  Proof.
    move=> first; elim: m => [| m IH] /=; first by rewrite /square; ring.
    have expand j : mean m (fun drawn => square (g j + sum_over drawn g)) =
      square (g j) + (1 + 1) * g j * (of_nat m * first) + mean m (fun drawn => square (sum_over drawn g)).
      rewrite -first_moment -mean_mul -(mean_constant m (square (g j))) -!mean_add.
      by apply: eq_mean => drawn; rewrite /square; ring.
    under eq_sum => j _ do rewrite expand IH.
    set rest := of_nat m * _ + _.
    have -> : sum n (fun j => p j * (square (g j) + (1 + 1) * g j * (of_nat m * first) + rest)) =
      sum n (fun j => p j * square (g j)) + (1 + 1) * (of_nat m * first) * first + sum n p * rest.
      by rewrite {3}/first mul_sum sum_mul -!sum_add; apply: eq_sum => j _; ring.
    by rewrite probabilities /rest /square; ring.
  Qed.

  Variable m : nat.
  Hypothesis some : of_nat m <> 0 :> R.

  Lemma mean_of_term (x : nat -> R) :
    sum n (fun j => p j * (x j / (of_nat m * p j))) = sum n x / of_nat m.
  Proof.
    rewrite /divide sum_mul; apply: eq_sum => j small; have := possible j small => possible_j.
    by field.
  Qed.

  (** The estimate is unbiased. *)
  Theorem unbiased (x : nat -> R) : mean m (estimate p m x) = sum n x.
  Proof. by rewrite first_moment mean_of_term; field. Qed.

  (** Its mean squared error. *)
  Theorem mean_squared_error (x : nat -> R) :
    mean m (fun drawn => square (estimate p m x drawn - sum n x)) =
      (sum n (fun j => square (x j) / p j) - square (sum n x)) / of_nat m.
  Proof.
    have expand : mean m (fun drawn => square (estimate p m x drawn - sum n x)) =
      mean m (fun drawn => square (estimate p m x drawn)) - square (sum n x).
      transitivity (mean m (fun drawn => square (estimate p m x drawn)) +
        - (1 + 1) * sum n x * mean m (estimate p m x) + square (sum n x)); last first.
        by rewrite unbiased /square; ring.
      rewrite -mean_mul -(mean_constant m (square (sum n x))) -!mean_add.
      by apply: eq_mean => drawn; rewrite /square; ring.
    rewrite {}expand second_moment mean_of_term.
    have -> : sum n (fun j => p j * square (x j / (of_nat m * p j))) =
      sum n (fun j => square (x j) / p j) / square (of_nat m).
      rewrite [RHS]/divide sum_mul; apply: eq_sum => j small; have := possible j small => possible_j.
      by rewrite /square; field.
    by rewrite /square; field.
  Qed.

  (** ** Row norms: P is rows x n, V is n x columns *)

  Variables (rows columns : nat) (P V : nat -> nat -> R).

  Definition product_entry (i l : nat) : R := sum n (fun j => P i j * V j l).
  Definition estimated_entry (drawn : list nat) (i l : nat) : R :=
    estimate p m (fun j => P i j * V j l) drawn.

  Theorem product_unbiased i l : mean m (fun drawn => estimated_entry drawn i l) = product_entry i l.
  Proof. exact: unbiased. Qed.

  (** With probabilities in proportion to the squared row norms of V the mean squared error is
      (|P|^2 |V|^2 - |P V|^2) / m. *)
  Theorem product_mean_squared_error :
    (forall j, (j < n)%nat -> sum columns (fun l => square (V j l)) = p j * norm2 n columns V) ->
    mean m (fun drawn => norm2 rows columns (fun i l => estimated_entry drawn i l - product_entry i l)) =
      (norm2 rows n P * norm2 n columns V - norm2 rows columns product_entry) / of_nat m.
  Proof.
    move=> in_proportion; rewrite /norm2 mean_sum.
    under eq_sum => i _ do rewrite mean_sum.
    under eq_sum => i _ do under eq_sum => l _ do rewrite mean_squared_error /divide.
    under eq_sum => i _ do rewrite -sum_mul sum_sub.
    rewrite -sum_mul sum_sub -/(norm2 rows columns product_entry); congr ((_ - _) * _).
    rewrite sum_mul; apply: eq_sum => i _; rewrite sum_exchange sum_mul; apply: eq_sum => j small.
    have possible_j := possible j small.
    transitivity (square (P i j) / p j * sum columns (fun l => square (V j l))).
      by rewrite mul_sum; apply: eq_sum => l _; rewrite /square; field.
    by rewrite in_proportion // /norm2; field.
  Qed.
End Laws.
