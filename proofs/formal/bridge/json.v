(** * Printing cases as JSON

    A bridge file prints, for small inputs in exact fractions, what the Coq definitions compute from them. A
    test of the C++ texts reads these lines and demands the same fractions. *)
From Coq Require Import List String Ascii ZArith QArith Qcanon DecimalString.
From Etalon.base Require Import operations complex.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

Definition quote : string := String (ascii_of_nat 34) EmptyString.
Definition quoted (s : string) : string := quote ++ s ++ quote.
Definition listed (items : list string) : string := "[" ++ concat ", " items ++ "]".
Definition object (members : list (string * string)) : string :=
  "{" ++ concat ", " (map (fun m => quoted (fst m) ++ ": " ++ snd m) members) ++ "}".

Definition integer (z : Z) : string := NilZero.string_of_int (Z.to_int z).
Definition natural (n : nat) : string := integer (Z.of_nat n).
Definition fraction (q : Qc) : string :=
  quoted (integer (Qnum q) ++ match Qden q with 1%positive => "" | d => "/" ++ integer (Zpos d) end).

(** Arrays, with their shape and their numbers row by row. *)
Definition array (shape : list nat) (values : list Qc) : string :=
  object [("shape", listed (map natural shape)); ("values", listed (map fraction values))].
Definition number (x : Qc) : string := array [] [x].
Definition vector (n : nat) (f : nat -> Qc) : string := array [n] (map f (seq 0 n)).
Definition matrix (rows columns : nat) (f : nat -> nat -> Qc) : string :=
  array [rows; columns] (flat_map (fun i => map (f i) (seq 0 columns)) (seq 0 rows)).
Definition cube (layers rows columns : nat) (f : nat -> nat -> nat -> Qc) : string :=
  array [layers; rows; columns]
    (flat_map (fun a => flat_map (fun i => map (f a i) (seq 0 columns)) (seq 0 rows)) (seq 0 layers)).
Definition complex_vector (n : nat) (f : nat -> complex Qc) : string :=
  object [("shape", listed [natural n]);
          ("values", listed (map (fun i => fraction (re (f i))) (seq 0 n)));
          ("imaginary", listed (map (fun i => fraction (im (f i))) (seq 0 n)))].

(** One case: sizes and parameters, inputs, and for each form its outputs. *)
Definition case (settings : list (string * nat)) (inputs : list (string * string))
    (forms : list (string * list (string * string))) : string :=
  object [("settings", object (map (fun s => (fst s, natural (snd s))) settings));
          ("inputs", object inputs);
          ("forms", object (map (fun f => (fst f, object (snd f))) forms))].

(** ** Inputs: small fractions by a formula

    [salt] tells arrays apart, [seed] cases. *)
Definition hash (seed salt a b : nat) : nat :=
  ((7 * a + 5 * b + 3 * a * b + 11 * salt + 13 * seed + 2 * a * a + seed * b) mod 17)%nat.

Definition quotient (numerator : Z) (denominator : nat) : Qc :=
  Q2Qc (Qmake numerator (Pos.of_nat denominator)).

(** Between -8/1 and 8/3, zeros among them. *)
Definition any (seed salt a b : nat) : Qc :=
  quotient (Z.of_nat (hash seed salt a b) - 8) (1 + hash (seed + 1) salt b a mod 3).

(** Above 0, up to 1. *)
Definition gate (seed salt a b : nat) : Qc :=
  quotient (1 + Z.of_nat (hash seed salt a b mod 4)) (4 + hash (seed + 2) salt b a mod 2).

(** 0 or 1. *)
Definition bit (seed salt a b : nat) : Qc := quotient (Z.of_nat (hash seed salt a b mod 2)) 1.
