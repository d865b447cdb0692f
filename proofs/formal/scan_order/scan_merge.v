(** * Scan and merge

    An order of n cells is a list [g] of the cell in each slot, with the list [q] of the slot of each cell. A
    scan reads the cells in that order, a merge puts what comes out of a mixer back at the cells. For any
    order, and for those of VMamba: rows, columns, both backwards, and the snake. *)
From Coq Require Import ssreflect Ring Arith Lia.
From Etalon.base Require Import operations sums digits permutations.
Open Scope nat_scope.

(** ** Orders of a grid of [height] by [width] cells; cell (r, c) is number r width + c *)

Section Orders.
  Variables height width : nat.

  (** Row by row, slot and cell are the same number. Column by column: *)
  Definition column_major (slot : nat) : nat := slot mod height * width + slot / height.
  Definition column_major_position (cell : nat) : nat := cell mod width * height + cell / width.

  (** Odd rows are read from right to left. *)
  Definition snake (slot : nat) : nat :=
    let r := slot / width in let c := slot mod width in
    r * width + if Nat.even r then c else width - 1 - c.

  (** Any order backwards. *)
  Definition reversed (n : nat) (g : nat -> nat) (slot : nat) : nat := g (n - 1 - slot).
  Definition reversed_position (n : nat) (q : nat -> nat) (cell : nat) : nat := n - 1 - q cell.

  Theorem column_major_permutes : permutation (height * width) column_major column_major_position.
  Proof.
    split=> i small; rewrite /column_major /column_major_position.
    - have [|? [? _]] := digits_of width height i; first lia.
      by apply: digits_below.
    - have [|slow [fast same]] := digits_of width height i; first lia.
      by have [-> ->] := two_digits width (i mod height) (i / height) slow.
    - have [slow [fast _]] := digits_of height width i small.
      by rewrite (Nat.mul_comm height); apply: digits_below.
    - have [slow [fast same]] := digits_of height width i small.
      by have [-> ->] := two_digits height (i mod width) (i / width) slow.
  Qed.

  (** The snake turns every second row round: doing it twice does nothing. *)
  Theorem snake_permutes : permutation (height * width) snake snake.
  Proof.
    suff back i : i < height * width -> snake i < height * width /\ snake (snake i) = i.
      by split=> i /back [].
    move=> small; have [slow [fast same]] := digits_of height width i small.
    have turned : (if Nat.even (i / width) then i mod width else width - 1 - i mod width) < width.
      by case: (Nat.even _); lia.
    split; first by apply: digits_below.
    rewrite {1}/snake; have [-> ->] := two_digits width (i / width) _ turned.
    by case: (Nat.even _); lia.
  Qed.

  Theorem reversed_permutes n g q :
    permutation n g q -> permutation n (reversed n g) (reversed_position n q).
  Proof.
    case=> below back below' back'; split=> i small; rewrite /reversed /reversed_position.
    - by apply: below; lia.
    - by rewrite back; lia.
    - by lia.
    - have -> : n - 1 - (n - 1 - q i) = q i by have := below' i small; lia.
      exact: back'.
  Qed.
End Orders.

(** ** Scan and merge *)

Section Routes.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Open Scope number_scope.

  (** What the mixer of a route reads, and where its outputs go. *)
  Definition scan (g : nat -> nat) (x : nat -> R) (slot : nat) : R := x (g slot).
  Definition unscan (q : nat -> nat) (o : nat -> R) (cell : nat) : R := o (q cell).

  (** All routes together: each cell adds up what the routes bring to it. *)
  Definition cross_merge (routes : nat) (q : nat -> nat -> nat) (o : nat -> nat -> R) (cell : nat) : R :=
    sum routes (fun k => unscan (q k) (o k) cell).

  Section Route.
    Variables (n : nat) (g q : nat -> nat).
    Hypothesis order : permutation n g q.

    Theorem unscan_of_scan x cell : (cell < n)%nat -> unscan q (scan g x) cell = x cell.
    Proof. by move=> small; rewrite /unscan /scan (inverse_back _ _ _ order). Qed.

    Theorem scan_of_unscan o slot : (slot < n)%nat -> scan g (unscan q o) slot = o slot.
    Proof. by move=> small; rewrite /unscan /scan (permutation_back _ _ _ order). Qed.

    (** Putting back is the transpose of reading: each is the backward pass of the other. *)
    Theorem unscan_is_adjoint x o :
      sum n (fun slot => o slot * scan g x slot) = sum n (fun cell => unscan q o cell * x cell).
    Proof.
      rewrite -[RHS](sum_permuted n g q _ order); apply: eq_sum => slot small.
      by rewrite /unscan /scan (permutation_back _ _ _ order).
    Qed.
  End Route.

  Variables (routes n : nat) (g q : nat -> nat -> nat).
  Hypothesis orders : forall k, (k < routes)%nat -> permutation n (g k) (q k).

  (** Routes that mix nothing give every cell back once for each route. *)
  Theorem cross_merge_of_scans x cell :
    (cell < n)%nat -> cross_merge routes q (fun k => scan (g k) x) cell = of_nat routes * x cell.
  Proof.
    move=> small; rewrite /cross_merge.
    have -> : sum routes (fun k => unscan (q k) (scan (g k) x) cell) = sum routes (fun _ => x cell).
      by apply: eq_sum => k route; apply: unscan_of_scan (orders k route) _ _ small.
    by elim: routes => [| k IH] /=; [ring | rewrite IH; ring].
  Qed.

  Theorem cross_merge_is_adjoint x o :
    sum routes (fun k => sum n (fun slot => o k slot * scan (g k) x slot)) =
    sum n (fun cell => cross_merge routes q o cell * x cell).
  Proof.
    rewrite /cross_merge; under [RHS]eq_sum => cell _ do rewrite sum_mul.
    by rewrite [RHS]sum_exchange; apply: eq_sum => k route; apply: unscan_is_adjoint (orders k route) _ _.
  Qed.
End Routes.

(** ** Joined routes

    The channels are cut into as many groups as there are routes, group k is read by route k, and the
    sequences are laid one after the other: place k n + slot. *)

Section Joined.
  Context {A : Type}.
  Variables (routes n width : nat) (g q : nat -> nat -> nat).
  Hypothesis orders : forall k, k < routes -> permutation n (g k) (q k).

  Definition join_routes (tokens : nat -> nat -> A) (place c : nat) : A :=
    tokens (g (place / n) (place mod n)) (place / n * width + c).
  Definition split_routes (joined : nat -> nat -> A) (cell channel : nat) : A :=
    joined (channel / width * n + q (channel / width) cell) (channel mod width).

  Theorem split_of_joined tokens cell channel :
    cell < n -> channel < routes * width ->
    split_routes (join_routes tokens) cell channel = tokens cell channel.
  Proof.
    move=> small channels; have [route [inside same]] := digits_of routes width channel channels.
    have order := orders _ route; rewrite /split_routes /join_routes.
    have [-> ->] := two_digits n (channel / width) _ (inverse_below _ _ _ order cell small).
    by rewrite (inverse_back _ _ _ order) // -same.
  Qed.

  Theorem joined_of_split joined place c :
    place < routes * n -> c < width -> join_routes (split_routes joined) place c = joined place c.
  Proof.
    move=> small inside; have [route [slot same]] := digits_of routes n place small.
    have order := orders _ route; rewrite /split_routes /join_routes.
    have [-> ->] := two_digits width (place / n) c inside.
    by rewrite (permutation_back _ _ _ order) // -same.
  Qed.
End Joined.
