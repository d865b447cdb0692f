(** * Numbers: one text, many arithmetics

    A text of [reference/] is a template over its number type. Its twin here is a definition over any type
    with the [operations] below. It can then be read in three ways:
    - in any commutative ring, where theorems are proved ([commutative_ring], [field]);
    - in exact fractions [Qc], where [vm_compute] evaluates it;
    - in dual numbers (see [dual.v]), where it differentiates itself. *)
From Coq Require Import ssreflect Ring Field QArith Qcanon.

(** What a text of concept [Ring] may use. *)
Class operations (R : Type) := {
  zero : R;
  one : R;
  add : R -> R -> R;
  mul : R -> R -> R;
  opp : R -> R;
}.

(** What a text of concept [Field] may use beside. The inverse of 0 is some number that nobody relies on. *)
Class division (R : Type) := { inverse : R -> R }.

Definition sub {R} {ops : operations R} (x y : R) : R := add x (opp y).
Definition divide {R} {ops : operations R} {div : division R} (x y : R) : R := mul x (inverse y).

Declare Scope number_scope.
Delimit Scope number_scope with num.
Notation "0" := zero : number_scope.
Notation "1" := one : number_scope.
Notation "x + y" := (add x y) : number_scope.
Notation "x * y" := (mul x y) : number_scope.
Notation "- x" := (opp x) : number_scope.
Notation "x - y" := (sub x y) : number_scope.
Notation "x / y" := (divide x y) : number_scope.

(** ** Laws

    A theorem assumes nothing of its numbers but these. A section that starts with
    [Context {R : Type} {ops : operations R} {laws : commutative_ring R}.  Add Ring numbers : laws.]
    can use the tactic [ring], and likewise [Add Field numbers : laws.] gives [field]. *)
Class commutative_ring (R : Type) {ops : operations R} : Prop :=
  ring_laws : ring_theory zero one add mul sub opp (@eq R).

Class field (R : Type) {ops : operations R} {div : division R} : Prop :=
  field_laws : field_theory zero one add mul sub opp divide inverse (@eq R).

#[export] Instance ring_of_field {R} {ops : operations R} {div : division R} (laws : field R) :
  commutative_ring R := F_R laws.

Fixpoint power {R} {ops : operations R} (x : R) (n : nat) : R :=
  match n with O => one | S n => mul (power x n) x end.

(** The number n, as the sum of n ones. *)
Fixpoint of_nat {R} {ops : operations R} (n : nat) : R :=
  match n with O => zero | S n => add (of_nat n) one end.

Section Consequences.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field numbers : (@field_laws R ops div laws).
  Open Scope number_scope.

  Lemma one_not_zero : (1 : R) <> 0.
  Proof. exact: F_1_neq_0 laws. Qed.

  (** A product of numbers that are not 0 is not 0. *)
  Lemma mul_not_zero (x y : R) : x <> 0 -> y <> 0 -> x * y <> 0.
  Proof.
    move=> x_not_0 y_not_0 xy_0; apply: y_not_0.
    have -> : y = inverse x * (x * y) by field.
    by rewrite xy_0; ring.
  Qed.
End Consequences.

(** ** Fractions in lowest terms, which compute

    [mathcomp.v] has the rings and fields of the Mathematical Components library. *)
#[export] Instance fraction_operations : operations Qc :=
  {| zero := 0%Qc; one := 1%Qc; add := Qcplus; mul := Qcmult; opp := Qcopp |}.
#[export] Instance fraction_division : division Qc := {| inverse := Qcinv |}.
#[export] Instance fractions : field Qc := Qcft.
