(** Cases of tensor attention with the Taylor polynomial of e^x of an even degree, which is positive. Causally
    query i sees the first i + 1 tokens of every source, and the recurrence is the factored sum with the states
    in the place of the summaries. The forms with e^x itself have no twin but the sum over all tuples. *)
From Coq Require Import List String Arith QArith Qcanon.
From Etalon.base Require Import operations sums permutations.
From Etalon.approximation Require Import polynomial_features tensor_attention.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

Definition one (n d d_v sources half_degree seed : nat) (draw : nat -> nat -> nat -> nat -> Qc) : string :=
  let query := draw seed 1 in
  let keys j s := draw seed (2 + 3 * s) j in
  let values j s := draw seed (3 + 3 * s) j in
  let scale := gate seed 4 0 0 in
  let g := (2 * half_degree)%nat in
  let taylor t : Qc := inverse (of_nat (fact t)) in
  let all : list source := map (fun s => (fun j => keys j s, fun j => values j s)) (seq 0 sources) in
  let carried_sum (all : list source) t l :=
    sum_over (monomials_up_to d g) (fun mu =>
      mul (mul (monomial_weight scale taylor mu) (monomial (query t) mu))
          (fold_right (fun s rest => mul (state s (S t) mu l) rest) 1%Qc all)) in
  let form (name : string) (output : nat -> nat -> Qc) := (name, [("output", matrix n d_v output)]) in
  case
    [("n", n); ("d", d); ("d_v", d_v); ("sources", sources); ("half_degree", half_degree)]
    [("query", matrix n d query); ("key", cube n sources d keys); ("value", cube n sources d_v values);
     ("scale", number scale)]
    [form "polynomial_direct" (direct n d scale (polynomial taylor g) all query);
     form "factored" (factored n d scale taylor g all query);
     form "polynomial_causal" (fun i => direct (S i) d scale (polynomial taylor g) all query i);
     form "recurrent" (fun i l => divide (carried_sum all i l) (carried_sum (map weights_only all) i l))].

Eval vm_compute in one 1 1 1 1 1 1 any.
Eval vm_compute in one 2 1 2 1 2 2 any.
Eval vm_compute in one 3 2 1 1 1 3 any.
Eval vm_compute in one 4 3 1 1 1 4 gate.
Eval vm_compute in one 2 2 2 2 0 5 any.
Eval vm_compute in one 2 2 1 2 1 6 any.
Eval vm_compute in one 3 2 2 2 1 7 any.
Eval vm_compute in one 3 1 1 2 2 8 gate.
Eval vm_compute in one 4 2 1 2 1 9 bit.
Eval vm_compute in one 2 2 1 3 1 10 any.
Eval vm_compute in one 3 1 2 3 1 11 gate.
