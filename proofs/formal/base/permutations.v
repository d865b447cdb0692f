(** * Sums over lists, and permutations

    A loop over some of the tokens, [for (j : keys) sum += f(j)], is a sum over a list. It does not depend on
    the order of the list, so neither does a loop over all tokens. *)
From Coq Require Import ssreflect Ring List Permutation Arith Lia.
From Etalon.base Require Import operations sums digits.
Import ListNotations.
Open Scope number_scope.

(** A function that keeps the elements of a list apart maps a list without duplicates to one. *)
Lemma NoDup_map {A B : Type} (f : A -> B) (l : list A) :
  (forall a b, In a l -> In b l -> f a = f b -> a = b) -> NoDup l -> NoDup (map f l).
Proof.
  elim: l => [| a l IH] injective; first by constructor.
  move=> /NoDup_cons_iff [fresh distinct] /=; constructor.
  - rewrite in_map_iff => - [b [same inside]]; apply: fresh.
    by rewrite -(injective b a) //; [right | left].
  - by apply: IH => // b c ? ?; apply: injective; right.
Qed.

Lemma NoDup_append {A : Type} (l l' : list A) :
  NoDup l -> NoDup l' -> (forall a, In a l -> ~ In a l') -> NoDup (l ++ l').
Proof.
  elim: l => [// | a l IH] /NoDup_cons_iff [fresh distinct] distinct' apart /=; constructor.
  - by rewrite in_app_iff => -[// | inside]; apply: (apart a) => //; left.
  - by apply: IH => // b inside; apply: apart; right.
Qed.

Lemma NoDup_pairs {A B : Type} (l : list A) (l' : list B) : NoDup l -> NoDup l' -> NoDup (list_prod l l').
Proof.
  move=> + distinct'; elim: l => [_ | a l IH]; first by constructor.
  move=> /NoDup_cons_iff [fresh distinct] /=; apply: NoDup_append; last 1 first.
  - by move=> [x y] /in_map_iff [b [[<- _] _]] /in_prod_iff [].
  - by apply: NoDup_map => // b c _ _ [].
  - exact: IH.
Qed.

Fixpoint sum_over {A R : Type} {ops : operations R} (l : list A) (f : A -> R) : R :=
  match l with
  | [] => 0
  | a :: l => f a + sum_over l f
  end.

(** [p] and [q] permute the numbers below n and undo each other. *)
Record permutation (n : nat) (p q : nat -> nat) : Prop := {
  permutation_below : forall i, (i < n)%nat -> (p i < n)%nat;
  permutation_back : forall i, (i < n)%nat -> q (p i) = i;
  inverse_below : forall i, (i < n)%nat -> (q i < n)%nat;
  inverse_back : forall i, (i < n)%nat -> p (q i) = i;
}.

Lemma permutation_inverse n p q : permutation n p q -> permutation n q p.
Proof. by case. Qed.

(** A permutation only reorders the numbers below n. *)
Lemma permuted_numbers n p q : permutation n p q -> Permutation (map p (seq 0 n)) (seq 0 n).
Proof.
  case=> below back below' back'; apply: NoDup_Permutation; last 1 first.
  - move=> i; rewrite in_map_iff in_seq; split.
    + by case=> j [<- /in_seq [_ small]]; have := below j small; lia.
    + by move=> [_ small]; exists (q i); rewrite in_seq back' //; have := below' i small; lia.
  - apply: NoDup_map; last exact: seq_NoDup.
    by move=> i j /in_seq [_ ?] /in_seq [_ ?] same; rewrite -(back i) // same back.
  - exact: seq_NoDup.
Qed.

(** Rows and columns of a grid may be permuted at once. *)
Lemma grid_permutation height width p q p' q' :
  permutation height p q -> permutation width p' q' ->
  permutation (height * width)
    (fun cell => p (cell / width) * width + p' (cell mod width))%nat
    (fun cell => q (cell / width) * width + q' (cell mod width))%nat.
Proof.
  suff half r s r' s' : permutation height r s -> permutation width r' s' ->
    forall cell, (cell < height * width)%nat ->
    let to := (r (cell / width) * width + r' (cell mod width))%nat in
    (to < height * width)%nat /\ (s (to / width) * width + s' (to mod width) = cell)%nat.
    move=> rows columns; have there := half _ _ _ _ rows columns.
    have back := half _ _ _ _ (permutation_inverse _ _ _ rows) (permutation_inverse _ _ _ columns).
    by split=> cell small; case: (there cell small); case: (back cell small).
  move=> rows columns cell small; have [row [column same]] := digits_of _ _ _ small.
  have column' := permutation_below _ _ _ columns _ column.
  have row' := permutation_below _ _ _ rows _ row; split; first exact: digits_below.
  have [-> ->] := two_digits width (r (cell / width)%nat) _ column'.
  by rewrite (permutation_back _ _ _ rows) // (permutation_back _ _ _ columns).
Qed.

(** A stricter filter keeps fewer elements. *)
Lemma filter_fewer {A : Type} (keep keep' : A -> bool) (l : list A) (a : A) :
  (forall b, keep b = true -> keep' b = true) -> In a l -> keep a = false -> keep' a = true ->
  length (filter keep l) < length (filter keep' l).
Proof.
  move=> stricter.
  have fewer l' : length (filter keep l') <= length (filter keep' l').
    elim: l' => [// | b l' IH] /=; case kept: (keep b); first by rewrite (stricter b) //=; lia.
    by case: (keep' b) => /=; lia.
  elim: l => [// | b l IH] /= [-> | inside] dropped kept.
  - by rewrite dropped kept /=; have := fewer l; lia.
  - have {}IH := IH inside dropped kept.
    case kept_b: (keep b); first by rewrite (stricter b) //=; lia.
    by case: (keep' b) => /=; lia.
Qed.

(** The inverse of a list of places: which of the first n stands at place a. *)
Fixpoint argsort (n : nat) (place : nat -> nat) (a : nat) : nat :=
  match n with
  | O => O
  | S n => if Nat.eqb (place n) a then n else argsort n place a
  end.

Lemma argsort_found n place a i :
  (i < n)%nat -> place i = a -> (argsort n place a < n)%nat /\ place (argsort n place a) = a.
Proof.
  elim: n => [| n IH] small here /=; first lia.
  have [there | different] := Nat.eqb_spec (place n) a; first by split; [lia |].
  have [| below found] := IH _ here; last by split; [lia |].
  by have : i <> n by [move=> same; apply: different; rewrite -same]; lia.
Qed.

(** A permutation has only one inverse. *)
Lemma argsort_inverse n place inverse a :
  permutation n place inverse -> (a < n)%nat -> argsort n place a = inverse a.
Proof.
  move=> permuted small.
  have below := inverse_below _ _ _ permuted a small.
  have [found same] := argsort_found n place a _ below (inverse_back _ _ _ permuted a small).
  by rewrite -{2}same (permutation_back _ _ _ permuted).
Qed.

(** Places that are below n and differ are a permutation, and [argsort] is its inverse. *)
Lemma argsort_permutation n place :
  (forall i, (i < n)%nat -> (place i < n)%nat) ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> place i = place j -> i = j) ->
  permutation n place (argsort n place).
Proof.
  move=> below injective.
  have distinct : NoDup (map place (seq 0 n)).
    by apply: NoDup_map; [move=> i j /in_seq [_ ?] /in_seq [_ ?]; exact: injective | exact: seq_NoDup].
  have inside : incl (map place (seq 0 n)) (seq 0 n).
    by move=> a /in_map_iff [i [<- /in_seq [_ small]]]; apply/in_seq; have := below i small; lia.
  have onto a : (a < n)%nat -> (argsort n place a < n)%nat /\ place (argsort n place a) = a.
    move=> small; have : In a (map place (seq 0 n)).
      by apply: (NoDup_length_incl distinct _ inside); [rewrite map_length | apply/in_seq; lia].
    by move=> /in_map_iff [i [here /in_seq [_ small']]]; apply: (argsort_found _ _ _ i).
  split=> [// | i small | i small | i small]; try by case: (onto i small).
  by have [low same] := onto (place i) (below i small); exact: injective.
Qed.

Lemma permuted_filter {A : Type} (keep : A -> bool) (l l' : list A) :
  Permutation l l' -> Permutation (filter keep l) (filter keep l').
Proof.
  elim=> [// | a m m' _ same | a b m | m m' m'' _ same _ same'] /=.
  - by case: (keep a) => //; apply: perm_skip.
  - by case: (keep a); case: (keep b) => //; apply: perm_swap.
  - exact: perm_trans same'.
Qed.

Section Sums.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Context {A : Type}.
  Implicit Types (l : list A) (f g : A -> R).

  Lemma eq_sum_over l f g : (forall a, In a l -> f a = g a) -> sum_over l f = sum_over l g.
  Proof.
    elim: l => [// | a l IH] same /=; rewrite same; first by left.
    by rewrite IH // => b inside; apply: same; right.
  Qed.

  Lemma sum_over_app l l' f : sum_over (l ++ l') f = sum_over l f + sum_over l' f.
  Proof. by elim: l => [| a l IH] /=; [ring | rewrite IH; ring]. Qed.

  Lemma sum_over_map {B : Type} (h : B -> A) (l : list B) f :
    sum_over (map h l) f = sum_over l (fun b => f (h b)).
  Proof. by elim: l => [| b l IH] //=; rewrite IH. Qed.

  Lemma mul_sum_over l c f : c * sum_over l f = sum_over l (fun a => c * f a).
  Proof. by elim: l => [| a l IH] /=; [ring | rewrite -IH; ring]. Qed.

  Lemma sum_over_permuted l l' f : Permutation l l' -> sum_over l f = sum_over l' f.
  Proof. by elim=> [| a m m' _ /= -> | a b m /= | m m' m'' _ -> _ ->] //; ring. Qed.
End Sums.

Section Loops.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring loop_numbers : (@ring_laws R ops laws).

  Lemma sum_over_seq n (f : nat -> R) : sum_over (seq 0 n) f = sum n f.
  Proof. by elim: n => [// | n IH]; rewrite seq_S sum_over_app IH /=; ring. Qed.

  Lemma sum_over_exchange {A : Type} n (l : list A) (f : nat -> A -> R) :
    sum n (fun i => sum_over l (f i)) = sum_over l (fun a => sum n (fun i => f i a)).
  Proof.
    elim: l => [| a l IH] /=; first exact: sum_of_zeros.
    by rewrite sum_add IH.
  Qed.

  (** The order of a loop does not matter. *)
  Lemma sum_permuted n p q (f : nat -> R) : permutation n p q -> sum n (fun i => f (p i)) = sum n f.
  Proof.
    move=> /permuted_numbers same; rewrite -!sum_over_seq -(sum_over_permuted _ _ f same).
    by rewrite sum_over_map.
  Qed.
End Loops.
