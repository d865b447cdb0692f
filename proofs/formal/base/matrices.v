(** * Matrices of any size, as functions of row and column *)
From Coq Require Import ssreflect Ring Arith Lia.
From Etalon.base Require Import operations sums.
Open Scope number_scope.

Section Matrices.
  Context {R : Type} {ops : operations R}.

  (** The entry of the identity matrix. *)
  Definition identity (r c : nat) : R := if (r =? c)%nat then 1 else 0.

  (** The product, over n columns of the first and rows of the second. *)
  Definition times (n : nat) (a b : nat -> nat -> R) (i j : nat) : R := sum n (fun l => a i l * b l j).

  Lemma identity_same n : identity n n = 1.
  Proof. by rewrite /identity Nat.eqb_refl. Qed.

  Lemma identity_other n k : n <> k -> identity n k = 0.
  Proof. by move=> other; rewrite /identity (proj2 (Nat.eqb_neq _ _)). Qed.

  Lemma eq_times n a a' b b' i j :
    (forall l, (l < n)%nat -> a i l = a' i l) -> (forall l, (l < n)%nat -> b l j = b' l j) ->
    times n a b i j = times n a' b' i j.
  Proof.
    move=> same_a same_b; apply: eq_sum => l bound.
    by rewrite same_a ?same_b.
  Qed.

  Context {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  Lemma sum_identity n k (f : nat -> R) : (k < n)%nat -> sum n (fun i => identity k i * f i) = f k.
  Proof.
    move=> bound; rewrite (sum_single n k) //.
    - by move=> i _ different; rewrite identity_other; [lia | ring].
    - by rewrite identity_same; ring.
  Qed.

  Lemma sum_identity_right n k (f : nat -> R) :
    (k < n)%nat -> sum n (fun i => f i * identity i k) = f k.
  Proof.
    move=> bound; rewrite -(sum_identity n k f) //; apply: eq_sum => i _.
    by rewrite /identity Nat.eqb_sym; ring.
  Qed.

  Lemma times_associative n a b c i j : times n (times n a b) c i j = times n a (times n b c) i j.
  Proof.
    rewrite /times; under eq_sum => l _ do rewrite sum_mul.
    rewrite sum_exchange; apply: eq_sum => m _.
    by rewrite mul_sum; apply: eq_sum => l _; ring.
  Qed.

  Lemma times_add n a b c i j :
    times n a (fun i j => b i j + c i j) i j = times n a b i j + times n a c i j.
  Proof. by rewrite /times -sum_add; apply: eq_sum => l _; ring. Qed.

  Lemma add_times n a b c i j :
    times n (fun i j => a i j + b i j) c i j = times n a c i j + times n b c i j.
  Proof. by rewrite /times -sum_add; apply: eq_sum => l _; ring. Qed.

  (** Powers, and the sum of the powers below k. *)
  Fixpoint matrix_power (n : nat) (a : nat -> nat -> R) (k : nat) : nat -> nat -> R :=
    match k with O => identity | S k => times n a (matrix_power n a k) end.
  Definition geometric_sum (n : nat) (a : nat -> nat -> R) (k i j : nat) : R :=
    sum k (fun l => matrix_power n a l i j).

  Lemma matrix_power_add n a k l i j :
    (i < n)%nat -> matrix_power n a (k + l) i j = times n (matrix_power n a k) (matrix_power n a l) i j.
  Proof.
    elim: k i => [| k IH] i bound.
      by rewrite /times (sum_identity n i (fun m => matrix_power n a l m j)).
    by rewrite [LHS]/= times_associative; apply: eq_times => // m; apply: IH.
  Qed.

  Lemma geometric_sum_double n a k i j :
    (i < n)%nat ->
    geometric_sum n a (k + k) i j =
      geometric_sum n a k i j + times n (geometric_sum n a k) (matrix_power n a k) i j.
  Proof.
    move=> bound; rewrite /geometric_sum sum_split; congr add.
    rewrite /times; under [RHS]eq_sum => m _ do rewrite sum_mul.
    rewrite sum_exchange; apply: eq_sum => l _.
    by rewrite Nat.add_comm matrix_power_add.
  Qed.

  (** (I - a) (I + a + ... + a^(k-1)) telescopes. *)
  Lemma geometric_sum_telescopes n a k i j :
    (i < n)%nat ->
    geometric_sum n a k i j - times n a (geometric_sum n a k) i j = identity i j - matrix_power n a k i j.
  Proof.
    move=> bound; rewrite /geometric_sum; elim: k => [| k IH].
      rewrite /times (sum_of_zeros n); first by move=> l _ /=; ring.
      by rewrite /=; ring.
    have -> : times n a (fun i j => sum (S k) (fun l => matrix_power n a l i j)) i j =
      times n a (fun i j => sum k (fun l => matrix_power n a l i j)) i j + matrix_power n a (S k) i j.
      by rewrite -times_add; apply: eq_times => // l _; rewrite sum_last.
    rewrite sum_last.
    transitivity (sum k (fun l => matrix_power n a l i j) -
      times n a (fun i j => sum k (fun l => matrix_power n a l i j)) i j +
      matrix_power n a k i j - matrix_power n a (S k) i j); first by ring.
    by rewrite IH; ring.
  Qed.
End Matrices.
