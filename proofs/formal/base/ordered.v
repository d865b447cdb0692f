(** * Numbers that can be compared, and exponentials

    What a text of concept [OrderedField] or [Exponential] may use beside. As for [RationalExp2], nothing is
    assumed of exp but exp (a + b) = exp a * exp b and exp a > 0. Logits and weights need not be of one type:
    integers with exp = 2^x, whose weights are fractions, are exponentials, and they compute. *)
From Coq Require Import ssreflect ssrbool Ring Field ZArith QArith Qcanon Qpower Lia.
From mathcomp Require Import ssralg ssrnum order.
From Etalon.base Require Import operations mathcomp.

Class ordering (T : Type) := { less : T -> T -> bool }.
Definition maximum {T} {ord : ordering T} (a b : T) : T := if less a b then b else a.

Class exponential (Logit R : Type) := { exp : Logit -> R }.

Class total_order (T : Type) {ord : ordering T} : Prop := {
  less_irreflexive : forall a : T, less a a = false;
  less_transitive : forall a b c : T, less a b = true -> less b c = true -> less a c = true;
  less_total : forall a b : T, less a b = false -> less b a = false -> a = b;
}.

Definition positive {R} {ops : operations R} {ord : ordering R} (x : R) : Prop := less zero x = true.

(** All that is needed of the order of weights. *)
Class positive_numbers (R : Type) {ops : operations R} {ord : ordering R} : Prop := {
  zero_not_positive : ~ positive (zero : R);
  add_positive : forall x y : R, positive x -> positive y -> positive (add x y);
}.

Class exponential_laws (Logit R : Type) {logit_ops : operations Logit} {ops : operations R}
    {ord : ordering R} {e : exponential Logit R} : Prop := {
  exp_add : forall a b : Logit, exp (add a b) = mul (exp a) (exp b);
  exp_positive : forall a : Logit, positive (exp a);
}.

Section Order.
  Context {T : Type} {ord : ordering T} {order : total_order T}.

  Lemma maximum_commutative (a b : T) : maximum a b = maximum b a.
  Proof.
    rewrite /maximum; case ab: (less a b); case ba: (less b a) => //.
    - have loop : less a a = true by apply: less_transitive ab ba.
      by rewrite less_irreflexive in loop.
    - by symmetry; apply: less_total.
  Qed.

  Lemma maximum_associative (a b c : T) : maximum (maximum a b) c = maximum a (maximum b c).
  Proof.
    rewrite /maximum; case ab: (less a b); case bc: (less b c) => //=; rewrite ?ab ?bc //.
    - have ac : less a c = true by exact (less_transitive a b c ab bc).
      by rewrite ac.
    - destruct (less a c) eqn:ac => //; destruct (less c b) eqn:cb.
      + by rewrite (less_transitive a c b ac cb) in ab.
      + by rewrite -(less_total b c bc cb) ab in ac.
  Qed.
End Order.

Section Exponential.
  Context {Logit R : Type} {logit_ops : operations Logit} {logit_laws : commutative_ring Logit}.
  Context {ops : operations R} {div : division R} {laws : field R}.
  Context {ord : ordering R} {pos : positive_numbers R}.
  Context {e : exponential Logit R} {exp_laws : exponential_laws Logit R}.
  Add Ring logits : (@ring_laws Logit logit_ops logit_laws).
  Add Field numbers : (@field_laws R ops div laws).
  Open Scope number_scope.

  Lemma positive_not_zero (x : R) : positive x -> x <> 0.
  Proof. by move=> x_positive x_0; apply: zero_not_positive; rewrite -x_0. Qed.

  Lemma exp_not_zero (a : Logit) : exp a <> (0 : R).
  Proof. exact/positive_not_zero/exp_positive. Qed.

  Lemma exp_zero : exp (0 : Logit) = (1 : R).
  Proof.
    have not_0 : exp (0 : Logit) <> (0 : R) by exact: exp_not_zero.
    have -> : exp (0 : Logit) = (exp (0 : Logit) * exp (0 : Logit)) / exp (0 : Logit) :> R by field.
    by rewrite -exp_add; have -> : (0 + 0 : Logit) = 0 by [ring]; field.
  Qed.

  (** A weight relative to a reference, times what the reference stands for, is the weight itself. *)
  Lemma exp_reference (s m : Logit) : exp m * exp (s - m) = exp s :> R.
  Proof. by rewrite -exp_add; congr exp; ring. Qed.
End Exponential.

(** ** Real fields of the Mathematical Components library *)
Section MathComp.
  Variable F : realFieldType.
  Import Order.Theory Num.Theory.

  #[export] Instance mathcomp_ordering : ordering F := {| less := fun x y => (x < y)%R |}.

  #[export] Instance mathcomp_order : total_order F.
  Proof.
    split=> /= [a | a b c | a b].
    - exact: ltxx.
    - exact: lt_trans.
    - by case: (ltgtP a b).
  Qed.

  #[export] Instance mathcomp_positive : positive_numbers F.
  Proof.
    split; rewrite /positive /=; first by rewrite ltxx.
    exact: addr_gt0.
  Qed.
End MathComp.

(** ** Integers with exp = 2^x, in exact fractions *)
#[export] Instance integer_operations : operations Z :=
  {| zero := 0%Z; one := 1%Z; add := Z.add; mul := Z.mul; opp := Z.opp |}.
#[export] Instance integers : commutative_ring Z := InitialRing.Zth.
#[export] Instance integer_ordering : ordering Z := {| less := Z.ltb |}.
#[export] Instance integer_order : total_order Z.
Proof. by split=> /= *; lia. Qed.

#[export] Instance fraction_ordering : ordering Qc :=
  {| less x y := match (x ?= y)%Qc with Lt => true | _ => false end |}.
#[export] Instance fraction_positive : positive_numbers Qc.
Proof.
  have as_order (x : Qc) : positive x <-> (0 < x)%Qc.
    by rewrite /positive /= /Qclt Qlt_alt /Qccompare; case: (_ ?= _)%Q.
  split=> [| x y]; rewrite !as_order; first by move=> /Qclt_not_eq.
  move=> x_positive y_positive; apply: Qclt_le_trans x_positive _.
  by rewrite -[X in (X <= _)%Qc]Qcplus_0_r; apply: Qcplus_le_compat; [exact: Qcle_refl | exact: Qclt_le_weak].
Qed.

#[export] Instance powers_of_two : exponential Z Qc := {| exp x := Q2Qc (2 ^ x)%Q |}.
#[export] Instance powers_of_two_laws : exponential_laws Z Qc.
Proof.
  split=> [a b | a] /=.
  - apply: Qc_is_canon; change (Qred (2 ^ (a + b)) == Qred (Qred (2 ^ a) * Qred (2 ^ b)))%Q.
    by rewrite !Qred_correct; apply: Qpower_plus.
  - have : (0 < Qred (2 ^ a))%Q by rewrite Qred_correct; apply: Qpower_0_lt.
    by rewrite Qlt_alt /positive /less /= /Qccompare => ->.
Qed.
