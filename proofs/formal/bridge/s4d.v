(** Cases of S4D with the bilinear step, which the registered entry takes before it runs a form. *)
From Coq Require Import List String Arith QArith Qcanon.
From Etalon.base Require Import operations complex.
From Etalon.state_space Require Import s4d.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

Definition inverse_complex (z : complex Qc) : complex Qc :=
  let norm := add (mul (re z) (re z)) (mul (im z) (im z)) in
  Complex (divide (re z) norm) (divide (opp (im z)) norm).

Definition one_case (n states chunk seed : nat) (draw : nat -> nat -> nat -> nat -> Qc)
    (step : Qc) : string :=
  let minus_lambda m := Complex (gate seed 1 m 0) (gate seed 2 m 0) in
  let b m := Complex (draw seed 3 m 0) (draw seed 4 m 0) in
  let c m := Complex (draw seed 5 m 0) (draw seed 6 m 0) in
  let initial_state m := Complex (draw seed 7 m 0) (draw seed 8 m 0) in
  let skip := draw seed 9 0 0 in
  let signal t := draw seed 10 t 0 in
  let half m := mul (real (divide step (add one one))) (opp (minus_lambda m)) in
  let lambda_bar m := mul (add one (half m)) (inverse_complex (sub one (half m))) in
  let b_bar m := mul (mul (real step) (b m)) (inverse_complex (sub one (half m))) in
  let rounds := Nat.log2_up n in
  case
    [("n", n); ("M", states); ("chunk", chunk)]
    [("minus_lambda", complex_vector states minus_lambda); ("B", complex_vector states b);
     ("C", complex_vector states c); ("initial_state", complex_vector states initial_state);
     ("D", number skip); ("step", number step); ("signal", vector n signal)]
    [("recurrent", [("y", vector n (recurrent states lambda_bar b_bar c skip signal initial_state));
                    ("state", complex_vector states (state lambda_bar b_bar signal initial_state n))]);
     ("convolution", [("y", vector n (convolution states lambda_bar b_bar c skip signal initial_state))]);
     ("chunked", [("y", vector n (chunked states lambda_bar b_bar c skip signal initial_state chunk));
                  ("state", complex_vector states
                              (chunked_state lambda_bar b_bar signal initial_state chunk n))]);
     ("scan", [("y", vector n (scan states lambda_bar b_bar c skip signal initial_state rounds));
               ("state", complex_vector states
                           (scan_state lambda_bar b_bar signal initial_state rounds (n - 1)))])].

Eval vm_compute in one_case 1 1 1 1 any (gate 1 11 0 0).
Eval vm_compute in one_case 2 1 1 2 any (gate 2 11 0 0).
Eval vm_compute in one_case 2 2 2 3 any (gate 3 11 0 0).
Eval vm_compute in one_case 3 1 2 4 any (gate 4 11 0 0).
Eval vm_compute in one_case 3 2 2 5 any (gate 5 11 0 0).
Eval vm_compute in one_case 4 1 3 6 any (gate 6 11 0 0).
Eval vm_compute in one_case 4 2 3 7 bit (gate 7 11 0 0).
Eval vm_compute in one_case 5 1 2 8 any (gate 8 11 0 0).
Eval vm_compute in one_case 5 1 7 9 any 1%Qc.
Eval vm_compute in one_case 6 1 4 10 any (gate 10 11 0 0).
