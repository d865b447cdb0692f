(** * The rings and fields of the Mathematical Components library

    What is proved for every [commutative_ring] or [field] holds for every [comRingType] or [fieldType]. *)
From Coq Require Import ssreflect ssrbool.
From mathcomp Require Import eqtype ssralg.
From Etalon.base Require Import operations.
Import GRing.Theory.

#[export] Instance mathcomp_operations (R : comRingType) : operations R :=
  {| zero := 0%R; one := 1%R; add := @GRing.add R; mul := @GRing.mul R; opp := @GRing.opp R |}.
#[export] Instance mathcomp_division (F : fieldType) : division F := {| inverse := @GRing.inv F |}.

#[export] Instance mathcomp_ring (R : comRingType) : commutative_ring R.
Proof.
  split; rewrite /sub /=.
  - exact: add0r.
  - exact: addrC.
  - exact: addrA.
  - exact: mul1r.
  - exact: mulrC.
  - exact: mulrA.
  - exact: mulrDl.
  - by [].
  - exact: addrN.
Qed.

#[export] Instance mathcomp_field (F : fieldType) : @field F (mathcomp_operations F) _.
Proof.
  split; [exact: mathcomp_ring | | by [] |].
  - exact/eqP/oner_neq0.
  - by move=> x /= x_not_0; apply: mulVf; apply/eqP.
Qed.
