(** Cases of attention with a polynomial in the place of e^x: a polynomial of every score, and linear attention
    on the monomials of queries and keys. As in the registered entry c_0 is 1, and the scale goes into the
    coefficients. *)
From Coq Require Import List String Arith QArith Qcanon.
From Etalon.base Require Import operations sums.
From Etalon.approximation Require Import polynomial_features.
From Etalon.linear_attention Require Import linear_attention.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

Definition one (n d d_v g chunk seed : nat) (draw : nat -> nat -> nat -> nat -> Qc) : string :=
  let query := draw seed 1 in
  let key := draw seed 2 in
  let value := any seed 3 in
  let coefficient t := gate seed 4 t 0 in
  let scale := gate seed 5 0 0 in
  let c t := mul (match t with O => 1%Qc | S t => coefficient t end) (power scale t) in
  let all := monomials_up_to d g in
  let r := List.length all in
  let mu a := nth a all [] in
  let weight a := mul (c (degree (mu a))) (of_nat (multinomial (mu a))) in
  let query_feature t a := mul (weight a) (monomial (query t) (mu a)) in
  let key_feature t a := monomial (key t) (mu a) in
  let compared visible t j :=
    let weight s := polynomial c g (inner_product d (query t) (key s)) in
    divide (sum visible (fun s => mul (weight s) (value s j))) (sum visible weight) in
  let nothing (i j : nat) := 0%Qc in
  let form (name : string) (output : nat -> nat -> Qc) := (name, [("output", matrix n d_v output)]) in
  case
    [("n", n); ("d", d); ("d_v", d_v); ("degree", g); ("chunk", chunk)]
    [("query", matrix n d query); ("key", matrix n d key); ("value", matrix n d_v value);
     ("coefficient", vector g coefficient); ("scale", number scale)]
    [form "direct" (compared n);
     form "factored" (linear_normalised r query_feature key_feature value 0%Qc n);
     form "direct_causal" (fun t => compared (S t) t);
     form "recurrent" (recurrent_normalised r query_feature key_feature value nothing (nothing 0) 0%Qc);
     form "chunked" (chunked_normalised r query_feature key_feature value nothing (nothing 0) 0%Qc chunk)].

Eval vm_compute in one 1 1 1 0 1 1 gate.
Eval vm_compute in one 2 1 2 1 2 2 gate.
Eval vm_compute in one 3 2 1 1 1 3 gate.
Eval vm_compute in one 3 2 2 2 2 4 gate.
Eval vm_compute in one 3 1 1 5 2 5 gate.
Eval vm_compute in one 4 3 1 2 3 6 gate.
Eval vm_compute in one 4 2 2 3 2 7 bit.
Eval vm_compute in one 5 2 1 2 6 8 any.
Eval vm_compute in one 3 3 1 3 2 9 bit.
Eval vm_compute in one 5 1 2 4 3 10 any.
Eval vm_compute in one 6 2 1 2 4 11 gate.
