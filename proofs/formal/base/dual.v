(** * Dual numbers: a text that differentiates itself

    [x + x' e] with [e * e = 0]. A text that is read in dual numbers computes, beside its value, how fast the
    value changes when its inputs change at the given rates. Dual numbers over a commutative ring are a
    commutative ring, so every theorem about rings is also one about derivatives. *)
From Coq Require Import ssreflect Ring.
From Etalon.base Require Import operations sums.
Open Scope number_scope.

Record dual (R : Type) := Dual { primal : R; tangent : R }.
Arguments Dual {R}.
Arguments primal {R}.
Arguments tangent {R}.

Section Dual.
  Context {R : Type} {ops : operations R}.

  #[export] Instance dual_operations : operations (dual R) := {|
    zero := Dual 0 0;
    one := Dual 1 0;
    add x y := Dual (primal x + primal y) (tangent x + tangent y);
    mul x y := Dual (primal x * primal y) (tangent x * primal y + primal x * tangent y);
    opp x := Dual (- primal x) (- tangent x);
  |}.

  (** A number that does not change. *)
  Definition constant (c : R) : dual R := Dual c 0.

  Lemma primal_sum n (f : nat -> dual R) : primal (sum n f) = sum n (fun i => primal (f i)).
  Proof. by elim: n => [| n IH] //=; rewrite IH. Qed.

  Lemma tangent_sum n (f : nat -> dual R) : tangent (sum n f) = sum n (fun i => tangent (f i)).
  Proof. by elim: n => [| n IH] //=; rewrite IH. Qed.

  (** The values of the numbers of a matrix, and their rates of change weighed by the numbers of another. *)
  Definition primals (b : nat -> nat -> dual R) : nat -> nat -> R := fun r c => primal (b r c).
  Definition inner (rows columns : nat) (a : nat -> nat -> R) (b : nat -> nat -> dual R) : R :=
    sum rows (fun r => sum columns (fun c => a r c * tangent (b r c))).

  Context {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  #[export] Instance dual_ring : commutative_ring (dual R).
  Proof.
    by split; repeat case=> ? ?; rewrite /sub /=; congr Dual; ring.
  Qed.

  Lemma eq_inner rows columns (a a' : nat -> nat -> R) (b b' : nat -> nat -> dual R) :
    (forall r c, (r < rows)%nat -> a r c = a' r c) -> (forall r c, b r c = b' r c) ->
    inner rows columns a b = inner rows columns a' b'.
  Proof.
    move=> same_a same_b; apply: eq_sum => r small; apply: eq_sum => c _.
    by rewrite same_a ?same_b.
  Qed.
End Dual.
