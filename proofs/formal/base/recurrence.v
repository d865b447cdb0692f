(** * Linear recurrences, unrolled

    [x (t + 1) = a t * x t + u t]: what every mixer with a fading memory does to each number of its state. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums.
Open Scope number_scope.

(** The decay from before token [first] to before token [last]: the product of a over first <= t < last. *)
Definition between {R} {ops : operations R} (a : nat -> R) (first last : nat) : R :=
  product (last - first) (fun x => a (first + x)%nat).

Section Recurrence.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Implicit Type a : nat -> R.

  Lemma between_nothing a first : between a first first = 1.
  Proof. by rewrite /between Nat.sub_diag. Qed.

  Lemma between_from_start a last : between a 0 last = product last a.
  Proof. by rewrite /between Nat.sub_0_r. Qed.

  Lemma between_last a first last :
    (first <= last)%nat -> between a first (S last) = a last * between a first last.
  Proof.
    move=> ordered; rewrite /between.
    have -> : (S last - first = S (last - first))%nat by lia.
    rewrite product_last; have -> : (first + (last - first) = last)%nat by lia.
    by ring.
  Qed.

  Lemma between_split a first middle last :
    (first <= middle <= last)%nat ->
    between a first last = between a first middle * between a middle last.
  Proof.
    move=> ordered; rewrite /between.
    have -> : (last - first = (middle - first) + (last - middle))%nat by lia.
    rewrite product_split; congr mul; apply: eq_product => x _.
    by congr a; lia.
  Qed.

  Lemma between_constant (c : R) first last : between (fun _ => c) first last = power c (last - first).
  Proof. exact: product_constant. Qed.

  (** What is left of the state [first] is faded by all later decays; what token first + r wrote, only by
      the decays after it. *)
  Lemma unrolled (x a u : nat -> R) :
    (forall t, x (S t) = a t * x t + u t) -> forall first length,
    x (first + length)%nat =
      between a first (first + length) * x first +
      sum length (fun r => between a (S (first + r)) (first + length) * u (first + r)%nat).
  Proof.
    move=> step first; elim=> [| length IH] /=.
      by rewrite Nat.add_0_r between_nothing; ring.
    rewrite Nat.add_succ_r step IH between_last; first lia.
    have -> : sum length (fun r => between a (S (first + r)) (S (first + length)) * u (first + r)%nat) =
      a (first + length)%nat *
      sum length (fun r => between a (S (first + r)) (first + length) * u (first + r)%nat).
      by rewrite mul_sum; apply: eq_sum => r small; rewrite between_last; [lia | ring].
    by rewrite between_nothing; ring.
  Qed.

  (** From the start. *)
  Lemma unrolled_from_start (x a u : nat -> R) :
    (forall t, x (S t) = a t * x t + u t) -> forall n,
    x n = between a 0 n * x 0%nat + sum n (fun s => between a (S s) n * u s).
  Proof. by move=> step n; rewrite -[n]/(0 + n)%nat (unrolled x a u step). Qed.
End Recurrence.

Section Inverses.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field numbers : (@field_laws R ops div laws).

  (** Where no decay is 0, the decay between two tokens is a quotient of decays from the start. *)
  Lemma between_quotient (a : nat -> R) first last :
    (forall t, a t <> 0) -> (first <= last)%nat ->
    between a first last = product last a / product first a.
  Proof.
    move=> invertible ordered.
    have first_not_0 : product first a <> 0 by apply: product_not_zero.
    by rewrite -!between_from_start (between_split a 0 first last) ?between_from_start; [lia | field].
  Qed.
End Inverses.
