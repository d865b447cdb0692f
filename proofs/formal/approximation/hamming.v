(** * Binary codes

    The inner product of two codes of b signs counts the places where they agree, less those where they do
    not: it is b - 2 times their Hamming distance. So the distance of bit patterns, which costs an exclusive
    or, is a kernel. *)
From Coq Require Import ssreflect ssrbool Ring Arith.
From Etalon.base Require Import operations sums.
Open Scope number_scope.

(** The number of the first b places where two codes differ. *)
Fixpoint hamming (b : nat) (x y : nat -> bool) : nat :=
  match b with
  | O => O
  | S b => ((if xorb (x b) (y b) then 1 else 0) + hamming b x y)%nat
  end.

Section Codes.
  Context {R : Type} {ops : operations R}.
  Implicit Types x y : nat -> bool.

  (** A bit as a sign, +1 or -1, and as a number, 1 or 0. *)
  Definition sign (bit : bool) : R := if bit then 1 else opp 1.
  Definition digit (bit : bool) : R := if bit then 1 else 0.

  Context {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  Theorem inner_product_of_signs b x y :
    sum b (fun i => sign (x i) * sign (y i)) = of_nat b - (1 + 1) * of_nat (hamming b x y).
  Proof.
    elim: b => [| b IH] /=; first by ring.
    by rewrite IH; case: (x b); case: (y b) => /=; ring.
  Qed.

  (** For codes of zeros and ones: places with a 1 in one code, less twice those with a 1 in both. *)
  Theorem hamming_of_digits b x y :
    of_nat (hamming b x y) =
      sum b (fun i => digit (x i)) + sum b (fun i => digit (y i)) -
      (1 + 1) * sum b (fun i => digit (x i) * digit (y i)).
  Proof.
    elim: b => [| b IH] /=; first by ring.
    have -> : of_nat ((if xorb (x b) (y b) then 1 else 0) + hamming b x y)%nat =
      digit (xorb (x b) (y b)) + of_nat (hamming b x y) :> R by case: (xorb _ _) => /=; ring.
    by rewrite IH; case: (x b); case: (y b) => /=; ring.
  Qed.
End Codes.
