(** * Chimera: a recurrence on a grid

    The twin of [reference/state_space/chimera.hpp]. Cell (v, t) has two states: h1 comes along time from cell
    (v, t - 1), h2 along variates from cell (v - 1, t), and both cells feed both. A cell has two parents, so
    the grid is no chain of steps; but each row is one, given the row above. *)
From Coq Require Import ssreflect Ring Arith Lia List QArith Qcanon.
From Etalon.base Require Import operations sums chunks matrices scan.
From Etalon.state_space Require Import scan_operators.
Import ListNotations.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R}.
  Variables (n1 n2 : nat).  (* numbers in h1 and in h2 *)
  (* the coefficients of the cell that is computed: matrices, and the weights of its input *)
  Variables (a1 a2 a3 a4 : nat -> nat -> nat -> nat -> R) (b1 b2 : nat -> nat -> nat -> R).
  Variable input : nat -> nat -> R.

  Definition apply (n : nat) (matrix : nat -> nat -> R) (h : nat -> R) (i : nat) : R :=
    sum n (fun l => matrix i l * h l).

  (** What stands before position t; nothing stands before the first. *)
  Definition previous (h : nat -> nat -> R) (t : nat) : nat -> R :=
    match t with O => fun _ => 0 | S t => h t end.

  (** The two equations of a cell, given its neighbours. *)
  Definition along_time (v t : nat) (h1_before h2_before : nat -> R) (i : nat) : R :=
    apply n1 (a1 v t) h1_before i + apply n2 (a2 v t) h2_before i + b1 v t i * input v t.
  Definition along_variates (v t : nat) (h1_above h2_above : nat -> R) (i : nat) : R :=
    apply n1 (a3 v t) h1_above i + apply n2 (a4 v t) h2_above i + b2 v t i * input v t.

  (** The definition: states of all cells that satisfy both equations everywhere. *)
  Definition grid := nat -> nat -> nat -> R.
  Definition solves (h1 h2 : grid) : Prop := forall v t i,
    h1 v t i = along_time v t (previous (h1 v) t) (previous (h2 v) t) i /\
    h2 v t i = along_variates v t (previous (fun v => h1 v t) v) (previous (fun v => h2 v t) v) i.

  (** Row scans: h2 of a row comes from the row above; then h1 is one recurrence along the row. *)
  Fixpoint scan_row (v : nat) (h2_row : nat -> nat -> R) (t : nat) : nat -> R :=
    match t with
    | O => fun _ => 0
    | S t => along_time v t (scan_row v h2_row t) (previous h2_row t)
    end.

  (** The states of row v - 1. *)
  Fixpoint row_above (v : nat) : (nat -> nat -> R) * (nat -> nat -> R) :=
    match v with
    | O => (fun _ _ => 0, fun _ _ => 0)
    | S v =>
        let h2_row := fun t => along_variates v t (fst (row_above v) t) (snd (row_above v) t) in
        (fun t => scan_row v h2_row (S t), h2_row)
    end.
  Definition rows_h1 : grid := fun v t => fst (row_above (S v)) t.
  Definition rows_h2 : grid := fun v t => snd (row_above (S v)) t.

  (** Wavefront: all cells with v + t = s at once, from those with v + t = s - 1; a front is indexed by v. *)
  Fixpoint front_before (s : nat) : (nat -> nat -> R) * (nat -> nat -> R) :=
    match s with
    | O => (fun _ _ => 0, fun _ _ => 0)
    | S s =>
        let h1 := fst (front_before s) in
        let h2 := snd (front_before s) in
        let from_left (h : nat -> nat -> R) v := if (v <? s)%nat then h v else fun _ => 0 in
        (fun v => along_time v (s - v) (from_left h1 v) (from_left h2 v),
         fun v => along_variates v (s - v) (previous h1 v) (previous h2 v))
    end.
  Definition wavefront_h1 : grid := fun v t => fst (front_before (S (v + t))) v.
  Definition wavefront_h2 : grid := fun v t => snd (front_before (S (v + t))) v.
End Text.

Section Theorems.
  Context {R : Type} {ops : operations R}.
  Variables (n1 n2 : nat) (a1 a2 a3 a4 : nat -> nat -> nat -> nat -> R) (b1 b2 : nat -> nat -> nat -> R).
  Variable input : nat -> nat -> R.

  Notation solves := (solves n1 n2 a1 a2 a3 a4 b1 b2 input).
  Notation rows_h1 := (rows_h1 n1 n2 a1 a2 a3 a4 b1 b2 input).
  Notation rows_h2 := (rows_h2 n1 n2 a1 a2 a3 a4 b1 b2 input).
  Notation wavefront_h1 := (wavefront_h1 n1 n2 a1 a2 a3 a4 b1 b2 input).
  Notation wavefront_h2 := (wavefront_h2 n1 n2 a1 a2 a3 a4 b1 b2 input).

  Lemma eq_apply n matrix (h h' : nat -> R) i :
    (forall l, h l = h' l) -> apply n matrix h i = apply n matrix h' i.
  Proof. by move=> same; apply: eq_sum => l _; rewrite same. Qed.

  (** Whatever the order in which the cells are computed, as long as neighbours come first: there is only one
      solution. *)
  Theorem only_one_solution (h1 h2 g1 g2 : grid) :
    solves h1 h2 -> solves g1 g2 -> forall v t i, h1 v t i = g1 v t i /\ h2 v t i = g2 v t i.
  Proof.
    move=> h_solves g_solves.
    suff by_front s : forall v t, (v + t < s)%nat -> forall i, h1 v t i = g1 v t i /\ h2 v t i = g2 v t i.
      by move=> v t; apply: (by_front (S (v + t))); lia.
    elim: s => [| s IH] v t bound i; first lia.
    have [-> ->] := h_solves v t i; have [-> ->] := g_solves v t i.
    split; congr (_ + _ + _); apply: eq_apply => l.
    - by case: t bound => [| t] bound //=; have [-> _] := IH v t ltac:(lia) l.
    - by case: t bound => [| t] bound //=; have [_ ->] := IH v t ltac:(lia) l.
    - by case: v bound => [| v] bound //=; have [-> _] := IH v t ltac:(lia) l.
    - by case: v bound => [| v] bound //=; have [_ ->] := IH v t ltac:(lia) l.
  Qed.

  Theorem row_scans_solve : solves rows_h1 rows_h2.
  Proof.
    move=> v t i; split; first by case: t.
    by case: v.
  Qed.

  Theorem wavefront_solves : solves wavefront_h1 wavefront_h2.
  Proof.
    move=> v t i.
    have position : (v + t - v = t)%nat by lia.
    split; [unfold chimera.wavefront_h1 at 1 | unfold chimera.wavefront_h2 at 1];
      rewrite [LHS]/= position; congr (_ + _ + _); apply: eq_apply => l.
    - case: t {position} => [| t]; first by rewrite Nat.add_0_r Nat.ltb_irrefl.
      by rewrite (proj2 (Nat.ltb_lt _ _)) ?Nat.add_succ_r //; lia.
    - case: t {position} => [| t]; first by rewrite Nat.add_0_r Nat.ltb_irrefl.
      by rewrite (proj2 (Nat.ltb_lt _ _)) ?Nat.add_succ_r //; lia.
    - by case: v {position}.
    - by case: v {position}.
  Qed.

  (** Rows one after the other, or all cells of an antidiagonal at once: the same states. *)
  Theorem wavefront_same_row_scans v t i :
    wavefront_h1 v t i = rows_h1 v t i /\ wavefront_h2 v t i = rows_h2 v t i.
  Proof. exact: only_one_solution wavefront_solves row_scans_solve v t i. Qed.

End Theorems.

(** Exchanging the axes, and with them the two states, gives the same kind of system; so column scans are the
    row scans of the transposed grid. *)
Definition transposed {A : Type} (cells : nat -> nat -> A) : nat -> nat -> A := fun v t => cells t v.

Section Columns.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variables (n1 n2 : nat) (a1 a2 a3 a4 : nat -> nat -> nat -> nat -> R) (b1 b2 : nat -> nat -> nat -> R).
  Variable input : nat -> nat -> R.

  Lemma transposed_solves (h1 h2 : grid) :
    solves n1 n2 a1 a2 a3 a4 b1 b2 input h1 h2 ->
    solves n2 n1 (transposed a4) (transposed a3) (transposed a2) (transposed a1) (transposed b2)
      (transposed b1) (transposed input) (transposed h2) (transposed h1).
  Proof.
    move=> solution v t i; have [one two] := solution t v i; split.
    - by rewrite /transposed two /along_time /along_variates /transposed; case: (t) => [| t'] /=; ring.
    - by rewrite /transposed one /along_time /along_variates /transposed; case: (v) => [| v'] /=; ring.
  Qed.

  Definition columns_h1 : grid := transposed (rows_h2 n2 n1 (transposed a4) (transposed a3) (transposed a2)
    (transposed a1) (transposed b2) (transposed b1) (transposed input)).
  Definition columns_h2 : grid := transposed (rows_h1 n2 n1 (transposed a4) (transposed a3) (transposed a2)
    (transposed a1) (transposed b2) (transposed b1) (transposed input)).

  Theorem column_scans_same_row_scans v t i :
    columns_h1 v t i = rows_h1 n1 n2 a1 a2 a3 a4 b1 b2 input v t i /\
    columns_h2 v t i = rows_h2 n1 n2 a1 a2 a3 a4 b1 b2 input v t i.
  Proof.
    have [same2 same1] := only_one_solution _ _ _ _ _ _ _ _ _ _ _ _ _
      (row_scans_solve n2 n1 (transposed a4) (transposed a3) (transposed a2) (transposed a1) (transposed b2)
         (transposed b1) (transposed input))
      (transposed_solves _ _ (row_scans_solve n1 n2 a1 a2 a3 a4 b1 b2 input)) t v i.
    by rewrite /columns_h1 /columns_h2 /transposed same1 same2.
  Qed.

  (** ** What is associative

      Along one row, given the h2 of that row, the steps are affine maps, and those combine associatively
      when matrices are multiplied as matrices: any bracketing of a row's steps gives its h1. *)
  Definition row_step (v : nat) (h2_row : nat -> nat -> R) (t : nat) : matrix_affine :=
    MatrixAffine (a1 v t) (fun i _ => apply n2 (a2 v t) (previous h2_row t) i + b1 v t i * input v t).

  Theorem any_bracketing_same_row_scan v h2_row n t i :
    steps t = map (row_step v h2_row) (seq 0 n) ->
    matrix_act n1 (combined (matrix_combine n1) t) (fun _ _ => 0) i 0 =
      scan_row n1 n2 a1 a2 b1 input v h2_row n i.
  Proof.
    move=> in_order.
    rewrite (any_bracketing_of_matrices_same_recurrence n1 t) in_order /run.
    elim: n i {in_order} => [| n IH] i //.
    rewrite seq_S map_app fold_left_app /= /matrix_act /along_time /=.
    have -> : times n1 (a1 v n)
        (fold_left (fun s e => matrix_act n1 e s) (map (row_step v h2_row) (seq 0 n)) (fun _ _ => 0)) i 0 =
      apply n1 (a1 v n) (scan_row n1 n2 a1 a2 b1 input v h2_row n) i.
      by apply: eq_sum => l _; rewrite IH.
    by ring.
  Qed.
End Columns.

(** ** What is not

    An operator on six numbers, two by two "matrices" [p1 p2; p4 p5] with offsets [p3; p6], that multiplies
    the four blocks entry by entry. Three steps of ones, bracketed in both ways, differ. *)
Section Counterexample.
  Context {R : Type} {ops : operations R}.

  Record six := Six { p1 : R; p2 : R; p3 : R; p4 : R; p5 : R; p6 : R }.

  Definition entrywise (p q : six) : six :=
    Six (p1 q * p1 p) (p2 q * p2 p) (p1 q * p3 p + p2 q * p6 p + p3 q)
        (p4 q * p4 p) (p5 q * p5 p) (p4 q * p3 p + p5 q * p6 p + p6 q).

  (** With the product of two by two matrices in the place of the entrywise one, it is associative. *)
  Definition by_matrices (p q : six) : six :=
    Six (p1 q * p1 p + p2 q * p4 p) (p1 q * p2 p + p2 q * p5 p) (p1 q * p3 p + p2 q * p6 p + p3 q)
        (p4 q * p1 p + p5 q * p4 p) (p4 q * p2 p + p5 q * p5 p) (p4 q * p3 p + p5 q * p6 p + p6 q).

  Context {laws : commutative_ring R}.
  Add Ring six_numbers : (@ring_laws R ops laws).

  Theorem by_matrices_is_associative p q r :
    by_matrices (by_matrices p q) r = by_matrices p (by_matrices q r).
  Proof. by rewrite /by_matrices /=; congr Six; ring. Qed.
End Counterexample.

Definition ones : six (R := Qc) := Six 1 1 1 1 1 1.

Theorem entrywise_is_not_associative :
  entrywise (entrywise ones ones) ones <> entrywise ones (entrywise ones ones).
Proof. by move=> /(f_equal (fun s => this (p3 s))); vm_compute. Qed.

(** Seven on one side, five on the other. *)
Example entrywise_brackets :
  p3 (entrywise ones (entrywise ones ones)) = of_nat 5 /\
  p3 (entrywise (entrywise ones ones) ones) = of_nat 7.
Proof. by split; apply: Qc_is_canon; vm_compute. Qed.
