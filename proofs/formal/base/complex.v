(** * Complex numbers over any ring *)
From Coq Require Import ssreflect Ring Field.
From Etalon.base Require Import operations.
Open Scope number_scope.

Record complex (R : Type) := Complex { re : R; im : R }.
Arguments Complex {R}.
Arguments re {R}.
Arguments im {R}.

Section Complex.
  Context {R : Type} {ops : operations R}.

  #[export] Instance complex_operations : operations (complex R) := {|
    zero := Complex 0 0;
    one := Complex 1 0;
    add x y := Complex (re x + re y) (im x + im y);
    mul x y := Complex (re x * re y - im x * im y) (re x * im y + im x * re y);
    opp x := Complex (- re x) (- im x);
  |}.

  Definition conj (x : complex R) : complex R := Complex (re x) (- im x).

  (** A number that turns and does not stretch. *)
  Definition is_unit (x : complex R) : Prop := re x * re x + im x * im x = 1.

  Context {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  #[export] Instance complex_ring : commutative_ring (complex R).
  Proof.
    by split; repeat case=> ? ?; rewrite /sub /=; congr Complex; ring.
  Qed.

  Lemma unit_power (x : complex R) n : is_unit x -> is_unit (power x n).
  Proof.
    move=> unit; elim: n => [| n]; rewrite /is_unit /=; first by ring.
    move: (power x n) => y; rewrite {}/is_unit in unit * => turned.
    transitivity ((re y * re y + im y * im y) * (re x * re x + im x * im x)); first by ring.
    by rewrite unit turned; ring.
  Qed.
End Complex.

(** Dividing by a complex number is multiplying by its conjugate over the square of its length. *)
Section Division.
  Context {R : Type} {ops : operations R} {div : division R}.

  Definition square_length (z : complex R) : R := re z * re z + im z * im z.

  #[export] Instance complex_division : division (complex R) := {|
    inverse z := Complex (re z / square_length z) (- im z / square_length z);
  |}.

  Context {laws : field R}.
  Add Field field_numbers : (@field_laws R ops div laws).

  Lemma complex_inverse (z : complex R) : square_length z <> 0 -> z * inverse z = 1.
  Proof.
    case: z => x y; rewrite /= /square_length /= => not_0.
    by congr Complex; field.
  Qed.
End Division.
