(** * Sums and products over 0 <= i < n

    They are the loops of a text, [T sum(0); for (i = 0; i < n; ++i) sum += f(i);], and add in that order. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations.
Open Scope number_scope.

Fixpoint sum {R} {ops : operations R} (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S n => sum n f + f n end.

Fixpoint product {R} {ops : operations R} (n : nat) (f : nat -> R) : R :=
  match n with O => 1 | S n => product n f * f n end.

Section Sums.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  Lemma eq_sum n (f g : nat -> R) : (forall i, (i < n)%nat -> f i = g i) -> sum n f = sum n g.
  Proof.
    elim: n => [// | n IH] same /=.
    congr add; last by apply: same; lia.
    by apply: IH => i small; apply: same; lia.
  Qed.

  Lemma sum_last n (f : nat -> R) : sum (S n) f = sum n f + f n.
  Proof. by []. Qed.

  Lemma sum_of_zeros n (f : nat -> R) : (forall i, (i < n)%nat -> f i = 0) -> sum n f = 0.
  Proof.
    elim: n => [// | n IH] zeros /=.
    have -> : f n = 0 by apply: zeros; lia.
    have -> : sum n f = 0 by apply: IH => i small; apply: zeros; lia.
    by ring.
  Qed.

  Lemma sum_add n (f g : nat -> R) : sum n (fun i => f i + g i) = sum n f + sum n g.
  Proof. by elim: n => [| n IH] /=; [ring | rewrite IH; ring]. Qed.

  Lemma sum_sub n (f g : nat -> R) : sum n (fun i => f i - g i) = sum n f - sum n g.
  Proof. by elim: n => [| n IH] /=; [ring | rewrite IH; ring]. Qed.

  Lemma sum_opp n (f : nat -> R) : sum n (fun i => - f i) = - sum n f.
  Proof. by elim: n => [| n IH] /=; [ring | rewrite IH; ring]. Qed.

  (** A common factor moves in and out of a sum. *)
  Lemma mul_sum n c (f : nat -> R) : c * sum n f = sum n (fun i => c * f i).
  Proof. by elim: n => [| n IH] /=; [ring | rewrite -IH; ring]. Qed.

  Lemma sum_mul n c (f : nat -> R) : sum n f * c = sum n (fun i => f i * c).
  Proof. by elim: n => [| n IH] /=; [ring | rewrite -IH; ring]. Qed.

  (** Two nested loops may be exchanged. *)
  Lemma sum_exchange m n (f : nat -> nat -> R) :
    sum m (fun i => sum n (fun j => f i j)) = sum n (fun j => sum m (fun i => f i j)).
  Proof.
    elim: m => [| m IH] /=; first by rewrite sum_of_zeros.
    by rewrite IH sum_add.
  Qed.

  (** A loop may be cut in two. *)
  Lemma sum_split m n (f : nat -> R) : sum (m + n) f = sum m f + sum n (fun i => f (m + i)%nat).
  Proof.
    elim: n => [| n IH] /=; first by rewrite Nat.add_0_r; ring.
    by rewrite Nat.add_succ_r /= IH; ring.
  Qed.

  Lemma sum_first n (f : nat -> R) : sum (S n) f = f O + sum n (fun i => f (S i)).
  Proof. by rewrite (sum_split 1 n) /=; ring. Qed.

  (** A sum with a single term. *)
  Lemma sum_single n k (f : nat -> R) :
    (k < n)%nat -> (forall i, (i < n)%nat -> i <> k -> f i = 0) -> sum n f = f k.
  Proof.
    elim: n => [| n IH] bound zeros /=; first lia.
    have [-> | different] := Nat.eq_dec n k.
    - have -> : sum k f = 0 by apply: sum_of_zeros => i small; apply: zeros; lia.
      by ring.
    - have -> : f n = 0 by apply: zeros; lia.
      have -> : sum n f = f k by apply: IH => [| i small other]; [lia | apply: zeros; lia].
      by ring.
  Qed.

  (** A loop may run backwards. *)
  Lemma sum_reversed n (f : nat -> R) : sum n f = sum n (fun i => f (n - 1 - i)%nat).
  Proof.
    elim: n => [// | n IH]; rewrite sum_last sum_first IH Nat.sub_succ !Nat.sub_0_r.
    have -> : sum n (fun i => f (n - S i)%nat) = sum n (fun i => f (n - 1 - i)%nat).
      by apply: eq_sum => i _; congr f; lia.
    by ring.
  Qed.

  (** A loop over pairs. *)
  Lemma sum_pairs n (f : nat -> R) :
    sum (2 * n) f = sum n (fun a => f (2 * a)%nat + f (2 * a + 1)%nat).
  Proof.
    elim: n => [// | n IH]; rewrite sum_last -IH.
    have -> : (2 * S n = S (S (2 * n)))%nat by lia.
    have -> : (2 * n + 1 = S (2 * n))%nat by lia.
    by rewrite !sum_last; ring.
  Qed.
End Sums.

Section Products.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  Lemma eq_product n (f g : nat -> R) : (forall i, (i < n)%nat -> f i = g i) -> product n f = product n g.
  Proof.
    elim: n => [// | n IH] same /=.
    congr mul; last by apply: same; lia.
    by apply: IH => i small; apply: same; lia.
  Qed.

  Lemma product_last n (f : nat -> R) : product (S n) f = product n f * f n.
  Proof. by []. Qed.

  Lemma product_split m n (f : nat -> R) :
    product (m + n) f = product m f * product n (fun i => f (m + i)%nat).
  Proof.
    elim: n => [| n IH] /=; first by rewrite Nat.add_0_r; ring.
    by rewrite Nat.add_succ_r /= IH; ring.
  Qed.

  Lemma product_of_ones n (f : nat -> R) : (forall i, (i < n)%nat -> f i = 1) -> product n f = 1.
  Proof.
    elim: n => [// | n IH] ones /=.
    have -> : f n = 1 by apply: ones; lia.
    have -> : product n f = 1 by apply: IH => i small; apply: ones; lia.
    by ring.
  Qed.

  (** Equal factors make a power. *)
  Lemma product_constant n (c : R) : product n (fun _ => c) = power c n.
  Proof. by elim: n => [// | n IH] /=; rewrite IH. Qed.

  Lemma power_add (c : R) m n : power c (m + n) = power c m * power c n.
  Proof. by rewrite -!product_constant product_split. Qed.
End Products.

(** Where one divides: a product without a factor 0 is not 0. *)
Lemma product_not_zero {R} {ops : operations R} {div : division R} {laws : field R} n (f : nat -> R) :
  (forall i, (i < n)%nat -> f i <> 0) -> product n f <> 0.
Proof.
  elim: n => [_ | n IH not_zero] /=; first exact: one_not_zero.
  apply: mul_not_zero; [apply: IH => i small; apply: not_zero; lia | apply: not_zero; lia].
Qed.
