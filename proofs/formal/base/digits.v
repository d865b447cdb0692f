(** * Two numbers in one: i = a base + b

    How pairs are numbered: the cells of a grid, the entries of a flattened matrix, the channels of heads. *)
From Coq Require Import ssreflect Ring Arith Lia.
From Etalon.base Require Import operations sums.
Open Scope nat_scope.

Lemma two_digits base a b : b < base -> (a * base + b) / base = a /\ (a * base + b) mod base = b.
Proof.
  move=> small; rewrite Nat.div_add_l ?Nat.div_small ?Nat.add_0_r; try lia.
  by rewrite Nat.add_comm Nat.mod_add ?Nat.mod_small; lia.
Qed.

Lemma digits_below a b n base : a < n -> b < base -> a * base + b < n * base.
Proof. nia. Qed.

Lemma digits_of n base i :
  i < n * base -> i / base < n /\ i mod base < base /\ i = i / base * base + i mod base.
Proof.
  move=> small; have some : base <> 0 by lia.
  have := Nat.div_mod i base some; have := Nat.mod_upper_bound i base some.
  by have : i / base < n by [apply: Nat.div_lt_upper_bound; lia]; lia.
Qed.

(** Two nested loops are one loop over pairs. *)
Lemma sum_pairs {R : Type} {ops : operations R} {laws : commutative_ring R} m n (f : nat -> R) :
  sum (m * n) f = sum m (fun a => sum n (fun b => f (a * n + b))).
Proof. by elim: m => [// | m IH]; rewrite Nat.mul_succ_l sum_split IH. Qed.
