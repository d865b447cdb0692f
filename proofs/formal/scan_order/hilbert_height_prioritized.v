(** * The Hilbert curve

    The twin of the curve in [reference/scan_order/hilbert_height_prioritized.hpp]. For every order k the
    curve visits each cell of the square of side 2^k once and always steps to a neighbour. The order that the
    released code calls Hilbert, the Gray-Morton order, visits each cell once too. *)
From Coq Require Import ssreflect ZArith List Sorting Permutation Lia.
From Etalon.base Require Import digits permutations.
Import ListNotations.
Open Scope Z_scope.

Definition cell : Type := Z * Z.

(** ** The text *)

(** A cell of the smaller curve, turned into its place in quadrant [quarter]. The first and the last quadrant
    are reflected in a diagonal. *)
Definition turned_into_quadrant (quarter side : Z) (inner : cell) : cell :=
  let '(a, b) := inner in
  if quarter =? 0 then (b, a) else
  if quarter =? 1 then (a, b + side) else
  if quarter =? 2 then (a + side, b + side) else
  (2 * side - 1 - b, side - 1 - a).

(** The side of the square of an order. *)
Definition side_of (order : nat) : Z := 2 ^ Z.of_nat order.

(** The cell of the curve at a distance. *)
Fixpoint curve_point (order : nat) (distance : Z) : cell :=
  match order with
  | O => (0, 0)
  | S order =>
      let side := side_of order in
      let quarter_length := side * side in
      let quarter := distance / quarter_length in
      let rest := distance mod quarter_length in
      turned_into_quadrant quarter side (curve_point order rest)
  end.

(** The distance at which the curve visits (x, y): the bits of the cell are read from the top; each pair of
    bits names a quadrant, whose turn is then undone. [distance] is what has been found so far. *)
Fixpoint index_from (distance : Z) (order : nat) (x y : Z) : Z :=
  match order with
  | O => distance
  | S order =>
      let side := side_of order in
      let x_bit := x / side in
      let y_bit := y / side in
      let quarter := 2 * x_bit + Z.lxor x_bit y_bit in
      let further := index_from (4 * distance + quarter) order in
      let x := x - x_bit * side in
      let y := y - y_bit * side in
      if quarter =? 0 then further y x else
      if quarter =? 3 then further (side - 1 - y) (side - 1 - x) else
      further x y
  end.
Definition curve_index : nat -> Z -> Z -> Z := index_from 0.

(** The key of the order of the released code: the bits of x and of x xor y in turn. *)
Fixpoint gray_morton_key (order : nat) (x y : Z) : Z :=
  match order with
  | O => 0
  | S order =>
      let x_bit := x mod 2 in
      let y_bit := y mod 2 in
      2 * x_bit + Z.lxor x_bit y_bit + 4 * gray_morton_key order (x / 2) (y / 2)
  end.
Fixpoint gray_morton_point (order : nat) (key : Z) : cell :=
  match order with
  | O => (0, 0)
  | S order =>
      let digit := key mod 4 in
      let x_bit := digit / 2 in
      let y_bit := Z.lxor x_bit (digit mod 2) in
      let '(x, y) := gray_morton_point order (key / 4) in
      (x_bit + 2 * x, y_bit + 2 * y)
  end.

(** The order of a plane of [size_x] by [size_y] cells: walk a curve over the square that covers it, and keep
    the cells that lie in the plane. *)
Definition distances (order : nat) : list Z :=
  map Z.of_nat (seq 0 (Z.to_nat (side_of order * side_of order))).
Definition plane_by_walk (point : nat -> Z -> cell) (order : nat) (size_x size_y : Z) : list cell :=
  filter (fun cell => (fst cell <? size_x) && (snd cell <? size_y))%bool
         (map (point order) (distances order)).
Definition hilbert_plane : nat -> Z -> Z -> list cell := plane_by_walk curve_point.

(** Or sort the cells of the plane by a key. *)
Definition plane (size_x size_y : Z) : list cell :=
  let below size := map Z.of_nat (seq 0 (Z.to_nat size)) in list_prod (below size_x) (below size_y).
Fixpoint insert (key : cell -> Z) (c : cell) (sorted : list cell) : list cell :=
  match sorted with
  | [] => [c]
  | first :: others => if key c <? key first then c :: sorted else first :: insert key c others
  end.
Definition plane_by_sort (key : cell -> Z) (size_x size_y : Z) : list cell :=
  fold_right (insert key) [] (plane size_x size_y).
Definition hilbert_plane_sorted (order : nat) : Z -> Z -> list cell :=
  plane_by_sort (fun c => curve_index order (fst c) (snd c)).

(** ** The theorems *)

#[local] Arguments Z.mul : simpl never.
#[local] Arguments Z.add : simpl never.
#[local] Arguments Z.sub : simpl never.

Lemma side_positive order : 0 < side_of order.
Proof. by apply: Z.pow_pos_nonneg; lia. Qed.

Lemma side_S order : side_of (S order) = 2 * side_of order.
Proof. by rewrite /side_of Nat2Z.inj_succ Z.pow_succ_r; lia. Qed.

(** A distance is a quarter and a rest. *)
Lemma quarter_and_rest order distance :
  let side := side_of order in
  0 <= distance < side_of (S order) * side_of (S order) ->
  exists quarter rest, distance = quarter * (side * side) + rest /\
    (quarter = 0 \/ quarter = 1 \/ quarter = 2 \/ quarter = 3) /\ 0 <= rest < side * side.
Proof.
  move=> side; rewrite side_S -/side => range.
  have side_above_0 : 0 < side by exact: side_positive.
  exists (distance / (side * side)), (distance mod (side * side)).
  have := Z.div_mod distance (side * side); have := Z.mod_pos_bound distance (side * side); nia.
Qed.

Lemma divided length quarter rest :
  0 <= rest < length ->
  (quarter * length + rest) / length = quarter /\ (quarter * length + rest) mod length = rest.
Proof.
  move=> range; split.
  - by rewrite Z.div_add_l ?Z.div_small; lia.
  - by rewrite Z.add_comm Z.mod_add ?Z.mod_small; lia.
Qed.

Lemma curve_point_S order quarter rest :
  let side := side_of order in
  0 <= rest < side * side ->
  curve_point (S order) (quarter * (side * side) + rest) =
    turned_into_quadrant quarter side (curve_point order rest).
Proof. by move=> side range /=; have [-> ->] := divided (side * side) quarter rest range. Qed.

(** The curve stays inside its square. *)
Theorem curve_point_in_square order distance :
  0 <= distance < side_of order * side_of order ->
  let '(x, y) := curve_point order distance in 0 <= x < side_of order /\ 0 <= y < side_of order.
Proof.
  elim: order distance => [| order IH] distance range; first by rewrite /side_of.
  have [quarter [rest [-> [quarters rest_range]]]] := quarter_and_rest order distance range.
  rewrite curve_point_S // side_S.
  case: (curve_point order rest) (IH rest rest_range) => a b.
  by case: quarters => [-> | [-> | [-> | ->]]] /=; lia.
Qed.

(** It begins in the first corner and ends in the one to its right. *)
Lemma curve_begins order : curve_point order 0 = (0, 0).
Proof.
  elim: order => [// | order IH].
  have := side_positive order => side_above_0.
  by rewrite -[X in curve_point _ X]/(0 * (side_of order * side_of order) + 0) curve_point_S ?IH; first nia.
Qed.

Lemma curve_ends order : curve_point order (side_of order * side_of order - 1) = (side_of order - 1, 0).
Proof.
  elim: order => [// | order IH].
  have := side_positive order => side_above_0.
  have -> : side_of (S order) * side_of (S order) - 1 =
    3 * (side_of order * side_of order) + (side_of order * side_of order - 1) by rewrite side_S; lia.
  by rewrite curve_point_S ?IH ?side_S /=; first nia; congr pair; lia.
Qed.

Definition neighbours (a b : cell) : Prop := Z.abs (fst a - fst b) + Z.abs (snd a - snd b) = 1.

(** A turn keeps neighbours neighbours. *)
Lemma turned_neighbours quarter side a b :
  neighbours a b ->
  neighbours (turned_into_quadrant quarter side a) (turned_into_quadrant quarter side b).
Proof.
  case: a b => [a1 a2] [b1 b2]; rewrite /neighbours /turned_into_quadrant.
  by case: (quarter =? 0); case: (quarter =? 1); case: (quarter =? 2); cbn; lia.
Qed.

(** Successive cells of the curve are neighbours, for every order. *)
Theorem unit_steps order distance :
  0 <= distance -> distance + 1 < side_of order * side_of order ->
  neighbours (curve_point order distance) (curve_point order (distance + 1)).
Proof.
  elim: order distance => [| order IH] distance low high.
    by move: high; rewrite /side_of /=; lia.
  have side_above_0 := side_positive order.
  have [| quarter [rest [parts [quarters range]]]] := quarter_and_rest order distance; first lia.
  subst distance.
  have [inside | last] : rest + 1 < side_of order * side_of order \/ rest = side_of order * side_of order - 1
    by lia.
  - rewrite -Z.add_assoc !curve_point_S; [lia | lia |].
    by apply/turned_neighbours/IH; lia.
  - have -> : quarter * (side_of order * side_of order) + rest + 1 =
      (quarter + 1) * (side_of order * side_of order) + 0 by lia.
    rewrite !curve_point_S; [lia | nia |].
    rewrite {1}last curve_ends curve_begins /neighbours.
    move: high; rewrite side_S last.
    by case: quarters => [-> | [-> | [-> | ->]]] /=; lia.
Qed.

(** [curve_index] undoes [curve_point], and the other way round: every cell is visited once. *)
Lemma index_of_turned distance order quarter a b :
  let side := side_of order in
  quarter = 0 \/ quarter = 1 \/ quarter = 2 \/ quarter = 3 ->
  0 <= a < side -> 0 <= b < side ->
  let '(x, y) := turned_into_quadrant quarter side (a, b) in
  index_from distance (S order) x y = index_from (4 * distance + quarter) order a b.
Proof.
  move=> side quarters range_a range_b.
  have low c : 0 <= c < side -> c / side = 0 by exact: Z.div_small.
  have high c : side <= c < 2 * side -> c / side = 1.
    by move=> range; symmetry; apply: (Z.div_unique _ _ _ (c - side)); lia.
  case: quarters => [-> | [-> | [-> | ->]]] /=; rewrite -/side.
  - by rewrite !low //= !Z.sub_0_r.
  - by rewrite low // high /= ?Z.sub_0_r; [lia | congr index_from; lia].
  - by rewrite !high /=; try lia; congr index_from; lia.
  - by rewrite high ?low /=; try lia; congr index_from; lia.
Qed.

Theorem index_of_point order distance :
  0 <= distance < side_of order * side_of order ->
  let '(x, y) := curve_point order distance in curve_index order x y = distance.
Proof.
  suff general before : 0 <= distance < side_of order * side_of order ->
    let '(x, y) := curve_point order distance in
    index_from before order x y = before * (side_of order * side_of order) + distance.
    by move=> /(general 0); rewrite /curve_index; case: (curve_point order distance).
  elim: order before distance => [| order IH] before distance range.
    by move: range; rewrite /side_of /=; lia.
  have [quarter [rest [-> [quarters rest_range]]]] := quarter_and_rest order distance range.
  rewrite curve_point_S //.
  have := curve_point_in_square order rest rest_range.
  have := IH (4 * before + quarter) rest rest_range.
  case: (curve_point order rest) => a b inner [range_a range_b].
  have := index_of_turned before order quarter a b quarters range_a range_b.
  case: (turned_into_quadrant _ _ _) => x y ->; rewrite inner side_S; lia.
Qed.

(** Every cell of the square lies in one of the quadrants. *)
Lemma cell_of_quadrant order x y :
  let side := side_of order in
  0 <= x < side_of (S order) -> 0 <= y < side_of (S order) ->
  exists quarter a b, (quarter = 0 \/ quarter = 1 \/ quarter = 2 \/ quarter = 3) /\
    0 <= a < side /\ 0 <= b < side /\ turned_into_quadrant quarter side (a, b) = (x, y).
Proof.
  move=> side; rewrite side_S -/side => range_x range_y.
  case: (Z.lt_ge_cases x side) (Z.lt_ge_cases y side) => [left | right] [low | high].
  - by exists 0, y, x; do !split; auto; lia.
  - by exists 1, x, (y - side); do !split; auto; try lia; rewrite /=; congr pair; lia.
  - by exists 3, (side - 1 - y), (2 * side - 1 - x); do !split; auto; try lia; rewrite /=; congr pair; lia.
  - by exists 2, (x - side), (y - side); do !split; auto; try lia; rewrite /=; congr pair; lia.
Qed.

Theorem point_of_index order x y :
  0 <= x < side_of order -> 0 <= y < side_of order ->
  0 <= curve_index order x y < side_of order * side_of order /\
  curve_point order (curve_index order x y) = (x, y).
Proof.
  suff visited : forall x y, 0 <= x < side_of order -> 0 <= y < side_of order ->
    exists distance, 0 <= distance < side_of order * side_of order /\ curve_point order distance = (x, y).
    move=> range_x range_y; have [distance [range point]] := visited x y range_x range_y.
    by have := index_of_point order distance range; rewrite point => ->.
  elim: order {x y} => [| order IH] x y range_x range_y.
    by exists 0; move: range_x range_y; rewrite /side_of /= => *; split; [| congr pair]; lia.
  have [quarter [a [b [quarters [range_a [range_b <-]]]]]] := cell_of_quadrant order x y range_x range_y.
  have [rest [range point]] := IH a b range_a range_b.
  exists (quarter * (side_of order * side_of order) + rest); rewrite curve_point_S // point side_S.
  by split; first nia.
Qed.

(** ** The order of the released code *)

(** From here on [lia] knows what a quotient and a remainder are. *)
#[local] Ltac Zify.zify_post_hook ::= Z.div_mod_to_equations.

(** Bit by bit, or two bits at a time. *)
Lemma bit_and_rest bit rest :
  bit = 0 \/ bit = 1 -> (bit + 2 * rest) mod 2 = bit /\ (bit + 2 * rest) / 2 = rest.
Proof. lia. Qed.

Lemma digit_and_rest digit rest :
  0 <= digit < 4 -> (digit + 4 * rest) mod 4 = digit /\ (digit + 4 * rest) / 4 = rest.
Proof. lia. Qed.

Theorem gray_morton_point_of_key order x y :
  0 <= x < side_of order -> 0 <= y < side_of order ->
  0 <= gray_morton_key order x y < side_of order * side_of order /\
  gray_morton_point order (gray_morton_key order x y) = (x, y).
Proof.
  elim: order x y => [| order IH] x y.
    by rewrite /side_of /= => *; split; [| congr pair]; lia.
  rewrite side_S => range_x range_y /=.
  have [|| range point] := IH (x / 2) (y / 2); try lia.
  have x_bits : x mod 2 = 0 \/ x mod 2 = 1 by lia.
  have y_bits : y mod 2 = 0 \/ y mod 2 = 1 by lia.
  have digits : 0 <= 2 * (x mod 2) + Z.lxor (x mod 2) (y mod 2) < 4.
    by case: x_bits y_bits => -> [] ->.
  have [-> ->] := digit_and_rest _ (gray_morton_key order (x / 2) (y / 2)) digits.
  rewrite point; split; first nia.
  by case: x_bits y_bits => x_bit [] y_bit; rewrite x_bit y_bit /=; congr pair; lia.
Qed.

Theorem gray_morton_key_of_point order key :
  0 <= key < side_of order * side_of order ->
  let '(x, y) := gray_morton_point order key in
  0 <= x < side_of order /\ 0 <= y < side_of order /\ gray_morton_key order x y = key.
Proof.
  elim: order key => [| order IH] key.
    by rewrite /side_of /=; lia.
  rewrite side_S => range /=.
  have := IH (key / 4); case: (gray_morton_point order (key / 4)) => x y inner.
  have {inner} [| range_x [range_y key_of_point]] := inner; first lia.
  have cases : key mod 4 = 0 \/ key mod 4 = 1 \/ key mod 4 = 2 \/ key mod 4 = 3 by lia.
  have [zero_mod zero_div] := bit_and_rest 0 x (or_introl eq_refl).
  have [one_mod one_div] := bit_and_rest 1 x (or_intror eq_refl).
  have [zero_mod' zero_div'] := bit_and_rest 0 y (or_introl eq_refl).
  have [one_mod' one_div'] := bit_and_rest 1 y (or_intror eq_refl).
  case: cases => [digit | [digit | [digit | digit]]]; rewrite digit.
  - by rewrite /= zero_mod zero_div zero_mod' zero_div' key_of_point /=; lia.
  - by rewrite /= zero_mod zero_div one_mod' one_div' key_of_point /=; lia.
  - by rewrite /= one_mod one_div one_mod' one_div' key_of_point /=; lia.
  - by rewrite /= one_mod one_div zero_mod' zero_div' key_of_point /=; lia.
Qed.

(** ** Orders of a plane whose sides need not be powers of two *)

Lemma in_distances order distance :
  In distance (distances order) <-> 0 <= distance < side_of order * side_of order.
Proof.
  rewrite /distances in_map_iff; have := side_positive order; split.
  - by case=> k [<- /in_seq]; nia.
  - by move=> range; exists (Z.to_nat distance); rewrite in_seq; lia.
Qed.

Section Plane.
  Variables (point : nat -> Z -> cell) (order : nat) (size_x size_y : Z).
  Hypothesis covered : size_x <= side_of order /\ size_y <= side_of order.
  (** A curve visits each cell of its square once. *)
  Variable index : Z -> Z -> Z.
  Hypothesis index_of_point : forall distance, 0 <= distance < side_of order * side_of order ->
    let '(x, y) := point order distance in
    0 <= x < side_of order /\ 0 <= y < side_of order /\ index x y = distance.
  Hypothesis point_of_index : forall x y, 0 <= x < side_of order -> 0 <= y < side_of order ->
    0 <= index x y < side_of order * side_of order /\ point order (index x y) = (x, y).

  (** Then the order of a plane visits each cell of the plane once, and nothing else. *)
  Theorem plane_by_walk_visits x y :
    In (x, y) (plane_by_walk point order size_x size_y) <-> 0 <= x < size_x /\ 0 <= y < size_y.
  Proof.
    rewrite /plane_by_walk filter_In in_map_iff /= Bool.andb_true_iff !Z.ltb_lt; split.
    - by case=> [[distance [found /in_distances /index_of_point]]]; rewrite found; lia.
    - move=> ranges; split; last lia.
      have [|| range found] := point_of_index x y; try lia.
      by exists (index x y); split; last exact/in_distances.
  Qed.

  Theorem plane_by_walk_visits_once : NoDup (plane_by_walk point order size_x size_y).
  Proof.
    apply/NoDup_filter/NoDup_map; last first.
      by apply: FinFun.Injective_map_NoDup; [exact: Nat2Z.inj | exact: seq_NoDup].
    clear point_of_index; move=> a b /in_distances /index_of_point + /in_distances /index_of_point.
    by case: (point order a) => x y + + same; rewrite -same; lia.
  Qed.
End Plane.

Theorem hilbert_plane_visits_once order size_x size_y :
  size_x <= side_of order /\ size_y <= side_of order ->
  NoDup (hilbert_plane order size_x size_y) /\
  forall x y, In (x, y) (hilbert_plane order size_x size_y) <-> 0 <= x < size_x /\ 0 <= y < size_y.
Proof.
  move=> covered.
  have back distance : 0 <= distance < side_of order * side_of order ->
    let '(x, y) := curve_point order distance in
    0 <= x < side_of order /\ 0 <= y < side_of order /\ curve_index order x y = distance.
    move=> range; have := curve_point_in_square order distance range.
    by have := index_of_point order distance range; case: (curve_point order distance) => x y -> [].
  split; first exact: (plane_by_walk_visits_once _ _ _ _ (curve_index order) back).
  exact: (plane_by_walk_visits _ _ _ _ covered (curve_index order) back (point_of_index order)).
Qed.

(** ** Sorting gives what walking gives *)

Section Sorted.
  Variable key : cell -> Z.
  Notation ascending := (StronglySorted (fun a b => key a < key b)).

  Lemma in_insert c a l : In a (insert key c l) <-> a = c \/ In a l.
  Proof.
    elim: l => [| b l IH] /=; first by split; intuition.
    case: (key c <? key b); rewrite /= ?IH; split; intuition (subst; auto).
  Qed.

  (** Insertion keeps a list ascending, if the key of what is inserted is new. *)
  Lemma insert_ascending c l :
    (forall a, In a l -> key a <> key c) -> ascending l -> ascending (insert key c l).
  Proof.
    elim: l => [| b l IH] fresh up /=; first by constructor.
    inversion up as [| x y up' above]; subst.
    have differ : key b <> key c by apply: fresh; left.
    case: (Z.ltb_spec (key c) (key b)) => [less | more].
    - constructor=> //; constructor=> //.
      by apply: Forall_impl above => a; lia.
    - constructor; first by apply: IH => // a inside; apply: fresh; right.
      apply/Forall_forall => a /in_insert [-> | inside]; first lia.
      by move/Forall_forall: above; exact.
  Qed.

  (** Ascending lists of the same cells are the same list. *)
  Lemma ascending_unique l l' :
    ascending l -> ascending l' -> (forall a, In a l <-> In a l') -> l = l'.
  Proof.
    elim: l l' => [| a l IH] [| a' l'] up up' same; first by [].
        by case: (proj2 (same a')); left.
      by case: (proj1 (same a)); left.
    inversion up as [| x y up_l above_a]; inversion up' as [| x' y' up_l' above_a']; subst.
    have above := proj1 (Forall_forall _ _) above_a; have above' := proj1 (Forall_forall _ _) above_a'.
    have first : a = a'.
      case: (proj1 (same a) (or_introl eq_refl)) => [// | /above' after].
      by case: (proj2 (same a') (or_introl eq_refl)) => [// | /above]; lia.
    subst a'; congr cons; apply: IH => // b; split=> inside.
    - case: (proj1 (same b) (or_intror inside)) => // is_first.
      by have := above b inside; rewrite is_first; lia.
    - case: (proj2 (same b) (or_intror inside)) => // is_first.
      by have := above' b inside; rewrite is_first; lia.
  Qed.

  Lemma sort_ascending l :
    NoDup (map key l) -> ascending (fold_right (insert key) [] l) /\
    forall a, In a (fold_right (insert key) [] l) <-> In a l.
  Proof.
    elim: l => [_ | c l IH] /=; first by split; [constructor |].
    move=> /NoDup_cons_iff [fresh /IH [up same]]; split.
    - apply: insert_ascending => // a /same inside equal; apply: fresh.
      by rewrite -equal; exact: in_map.
    - by move=> a; rewrite in_insert same; intuition.
  Qed.
End Sorted.

(** A walk visits the cells in the order of their distances. *)
Lemma walk_ascending (keep : cell -> bool) (key : cell -> Z) (point : Z -> cell) first length :
  (forall d, 0 <= d < Z.of_nat (first + length) -> key (point d) = d) ->
  StronglySorted (fun a b => key a < key b)
    (filter keep (map point (map Z.of_nat (seq first length)))).
Proof.
  elim: length first => [| length IH] first back /=; first by constructor.
  have rest : StronglySorted (fun a b => key a < key b)
    (filter keep (map point (map Z.of_nat (seq (S first) length)))) by apply: IH => d range; apply: back; lia.
  case: (keep _) => //; constructor=> //; apply/Forall_forall => c.
  move=> /filter_In [/in_map_iff [d [<- /in_map_iff [i [<- /in_seq range]]]] _].
  by rewrite !back; lia.
Qed.

Theorem sorted_same_recursive order size_x size_y :
  size_x <= side_of order /\ size_y <= side_of order ->
  hilbert_plane_sorted order size_x size_y = hilbert_plane order size_x size_y.
Proof.
  move=> covered; have [distinct visits] := hilbert_plane_visits_once order size_x size_y covered.
  have in_plane x y : In (x, y) (plane size_x size_y) <-> 0 <= x < size_x /\ 0 <= y < size_y.
    rewrite /plane in_prod_iff !in_map_iff.
    split=> [[[i [<- /in_seq low]] [j [<- /in_seq low']]] | ranges]; first by lia.
    by split; [exists (Z.to_nat x) | exists (Z.to_nat y)]; rewrite in_seq; lia.
  set key := fun c : cell => curve_index order (fst c) (snd c).
  have keys_differ : NoDup (map key (plane size_x size_y)).
    apply: NoDup_map => [[x y] [x' y'] /in_plane here /in_plane there same |].
      have [||_ point] := point_of_index order x y; try lia.
      have [||_ point'] := point_of_index order x' y'; try lia.
      by rewrite -point -point'; congr curve_point.
    have numbers size : NoDup (map Z.of_nat (seq 0 (Z.to_nat size))).
      by apply: FinFun.Injective_map_NoDup; [exact: Nat2Z.inj | exact: seq_NoDup].
    exact: NoDup_pairs.
  have [up same] := sort_ascending key (plane size_x size_y) keys_differ.
  apply: (ascending_unique key) => //; last by move=> [x y]; rewrite same in_plane visits.
  apply: walk_ascending => d range.
  have := index_of_point order d; rewrite /key; case: (curve_point order d) => x y /=.
  by apply; have := side_positive order; nia.
Qed.

(** ** From the plane to the grid *)

Open Scope nat_scope.

(** The place of every voxel, by its flat id: whole columns follow each other by their rank. *)
Definition positions (rank : nat -> nat) (size_z id : nat) : nat :=
  rank (id / size_z) * size_z + id mod size_z.

(** The flat id at each place: what to gather by. *)
Definition expand_columns (columns : nat -> nat) (size_z place : nat) : nat :=
  columns (place / size_z) * size_z + place mod size_z.

(** The same with the columns of odd rank read downwards. *)
Definition serpentine_gather (columns : nat -> nat) (size_z place : nat) : nat :=
  let rank := place / size_z in
  let step := place mod size_z in
  columns rank * size_z + if Nat.even rank then step else size_z - 1 - step.

(** If the columns of the plane are visited once each, so are the voxels of the grid. *)
Theorem expanded_permutation plane rank columns size_z :
  permutation plane rank columns ->
  permutation (plane * size_z) (positions rank size_z) (expand_columns columns size_z).
Proof.
  suff half p q : permutation plane p q -> forall i, i < plane * size_z ->
    positions p size_z i < plane * size_z /\ positions q size_z (positions p size_z i) = i.
    move=> order; have back := half _ _ (permutation_inverse _ _ _ order).
    by split=> i small; case: (half _ _ order i small); case: (back i small).
  move=> order i small; have [slow [fast same]] := digits_of _ _ _ small.
  have slow' := permutation_below _ _ _ order _ slow.
  split; first exact: digits_below.
  rewrite /positions; have [-> ->] := two_digits size_z (p (i / size_z)) (i mod size_z) fast.
  by rewrite (permutation_back _ _ _ order).
Qed.

Theorem serpentine_permutation plane rank columns size_z :
  permutation plane rank columns ->
  let place id :=
    let r := rank (id / size_z) in
    r * size_z + if Nat.even r then id mod size_z else size_z - 1 - id mod size_z in
  permutation (plane * size_z) (serpentine_gather columns size_z) place.
Proof.
  move=> order place.
  have turned r step : step < size_z -> (if Nat.even r then step else size_z - 1 - step) < size_z.
    by case: (Nat.even r); lia.
  have twice r step : step < size_z ->
    (if Nat.even r then if Nat.even r then step else size_z - 1 - step
     else size_z - 1 - (if Nat.even r then step else size_z - 1 - step)) = step.
    by case: (Nat.even r); lia.
  split=> i small; have [slow [fast same]] := digits_of _ _ _ small.
  - exact: digits_below (inverse_below _ _ _ order _ slow) (turned _ _ fast).
  - rewrite /place /serpentine_gather.
    have [-> ->] := two_digits size_z (columns (i / size_z)) _ (turned (i / size_z) _ fast).
    by rewrite (inverse_back _ _ _ order) // twice.
  - exact: digits_below (permutation_below _ _ _ order _ slow) (turned _ _ fast).
  - rewrite /place /serpentine_gather.
    have [-> ->] := two_digits size_z (rank (i / size_z)) _ (turned (rank (i / size_z)) _ fast).
    by rewrite (permutation_back _ _ _ order) // twice.
Qed.

(** The gather list without the list of positions. *)
Theorem expanded_same_recursive plane rank columns size_z place :
  permutation plane rank columns -> place < plane * size_z ->
  argsort (plane * size_z) (positions rank size_z) place = expand_columns columns size_z place.
Proof. by move=> order; apply/argsort_inverse/expanded_permutation. Qed.
