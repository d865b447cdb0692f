(** * Shifted windows

    Swin cuts an image of [height] by [width] tokens into windows of [side] by [side] and attends inside each.
    To move the windows by [shift] it rolls the image, keeps the regular windows and masks pairs that the roll
    has made neighbours. That is the same as windows that are cut at other places: no roll, no mask. *)
From Coq Require Import ssreflect Ring Field Arith Bool Lia.
From Etalon.base Require Import operations sums digits permutations ordered.
From Etalon.softmax_attention Require Import softmax_attention.
Open Scope nat_scope.

(** ** One axis of [size] places *)

Section Axis.
  Variables (size side shift : nat).

  (** Which place the roll brings to place p, and the way back. *)
  Definition roll (p : nat) : nat := (p + shift) mod size.
  Definition unroll (p : nat) : nat := (p + (size - shift)) mod size.

  (** The regular windows, and the labels that tell apart what the roll has put into one window. *)
  Definition window (p : nat) : nat := p / side.
  Definition region (p : nat) : nat := if p <? size - side then 0 else if p <? size - shift then 1 else 2.
  Definition together (p q : nat) : bool := (window p =? window q) && (region p =? region q).

  (** The explicit pieces: cut at shift, shift + side, shift + 2 side, ... *)
  Definition piece (p : nat) : nat := if p <? shift then 0 else S ((p - shift) / side).
  Definition same_piece (p q : nat) : bool := piece p =? piece q.

  Hypothesis some : 0 < size.
  Hypothesis shifted : shift < side.

  Lemma mod_once p : p < size -> forall a, a = p \/ a = p + size -> a mod size = p.
  Proof.
    move=> small a [-> | ->]; first exact: Nat.mod_small.
    by rewrite -{1}(Nat.mul_1_l size) Nat.mod_add ?Nat.mod_small; lia.
  Qed.

  Hypothesis whole : exists windows, size = windows * side.

  Lemma side_fits : side <= size.
  Proof. by move: whole some => -[[| windows] ->]; nia. Qed.

  Lemma unrolled p : p < size -> unroll p = if p <? shift then p + (size - shift) else p - shift.
  Proof.
    have fits := side_fits; move=> small; rewrite /unroll.
    by case: (Nat.ltb_spec p shift) => *; apply: mod_once; lia.
  Qed.

  Theorem roll_permutes : permutation size roll unroll.
  Proof.
    have fits := side_fits.
    have rolled p : p < size -> roll p = if p <? size - shift then p + shift else p - (size - shift).
      by move=> small; rewrite /roll; case: (Nat.ltb_spec p (size - shift)) => *; apply: mod_once; lia.
    split=> p small.
    - by apply: Nat.mod_upper_bound; lia.
    - rewrite rolled //; case: (Nat.ltb_spec p (size - shift)) => *; rewrite unrolled; try lia;
        by case: Nat.ltb_spec; lia.
    - by apply: Nat.mod_upper_bound; lia.
    - rewrite unrolled //; case: (Nat.ltb_spec p shift) => *; rewrite rolled; try lia;
        by case: Nat.ltb_spec; lia.
  Qed.

  (** After the roll two places share window and label if and only if they are in one piece. *)
  Theorem together_is_same_piece p q :
    p < size -> q < size -> together (unroll p) (unroll q) = same_piece p q.
  Proof.
    move=> small_p small_q; have fits := side_fits; have [windows size_is] := whole.
    (* a place behind the cut: its window and label follow from its piece *)
    have behind a : shift <= a < size -> let w := (a - shift) / side in
      w < windows /\ region (a - shift) = if w =? windows - 1 then 1 else 0.
      move=> range w; have div := Nat.div_mod (a - shift) side.
      have rest := Nat.mod_upper_bound (a - shift) side.
      have w_below : w < windows by apply: Nat.div_lt_upper_bound; lia.
      split=> //; rewrite /region; have -> : (a - shift <? size - shift) = true by apply/Nat.ltb_lt; lia.
      case: (Nat.eqb_spec w (windows - 1)) => last.
      - have -> // : (a - shift <? size - side) = false.
        by apply/Nat.ltb_ge; rewrite /w in last; nia.
      - have -> // : (a - shift <? size - side) = true.
        by apply/Nat.ltb_lt; rewrite /w in last w_below; nia.
    have before a : a < shift -> region (a + (size - shift)) = 2 /\ window (a + (size - shift)) = windows - 1.
      move=> low; rewrite /region /window.
      have -> : (a + (size - shift) <? size - side) = false by apply/Nat.ltb_ge; lia.
      have -> : (a + (size - shift) <? size - shift) = false by apply/Nat.ltb_ge; lia.
      split=> //; symmetry; apply: (Nat.div_unique _ _ _ (side - shift + a)); first lia.
      by rewrite size_is; nia.
    rewrite /together /same_piece /piece !unrolled //.
    case: (Nat.ltb_spec p shift) => cut_p; case: (Nat.ltb_spec q shift) => cut_q.
    - by have [-> ->] := before p cut_p; have [-> ->] := before q cut_q; rewrite !Nat.eqb_refl.
    - have [-> _] := before p cut_p; have [|_ ->] := behind q; first lia.
      by rewrite andb_comm; case: (_ =? windows - 1).
    - have [-> _] := before q cut_q; have [|_ ->] := behind p; first lia.
      by rewrite andb_comm; case: (_ =? windows - 1).
    - have [|_ ->] := behind p; first lia; have [|_ ->] := behind q; first lia.
      rewrite /window; case: (Nat.eqb_spec (_ / _) (_ / _)) => [-> | other]; first by rewrite !Nat.eqb_refl.
      by symmetry; apply/Nat.eqb_neq => - [].
  Qed.

  (** And then their distance in the window is their true distance. *)
  Theorem true_distance p q :
    p < size -> q < size -> same_piece p q = true ->
    unroll p mod side + q = unroll q mod side + p /\ p < q + side /\ q < p + side.
  Proof.
    move=> small_p small_q same; have := together_is_same_piece p q small_p small_q.
    rewrite same /together => /andb_prop [/Nat.eqb_eq same_window _].
    have := Nat.div_mod (unroll p) side; have := Nat.div_mod (unroll q) side.
    have := Nat.mod_upper_bound (unroll p) side; have := Nat.mod_upper_bound (unroll q) side.
    move: same same_window; rewrite /window /same_piece /piece !unrolled // => /Nat.eqb_eq.
    by case: (Nat.ltb_spec p shift) => ?; case: (Nat.ltb_spec q shift) => ?; try lia; move=> _ ->; lia.
  Qed.
End Axis.

(** ** The image: token (y, x) is number y width + x *)

Section Image.
  Context {Logit R : Type} {logit_ops : operations Logit} {logit_laws : commutative_ring Logit}.
  Context {logit_ord : ordering Logit}.
  Context {ops : operations R} {div : division R} {laws : field R}.
  Context {ord : ordering R} {pos : positive_numbers R}.
  Context {e : exponential Logit R} {exp_laws : exponential_laws Logit R}.
  Variables (height width side shift : nat).
  Variables (score : nat -> nat -> Logit) (table : nat -> Logit) (value : nat -> nat -> R).

  Notation row t := (t / width).
  Notation column t := (t mod width).

  (** The number of an offset in the table of (2 side - 1)^2 biases. *)
  Definition bias_index (y x y' x' : nat) : nat :=
    (y + (side - 1) - y') * (2 * side - 1) + (x + (side - 1) - x').

  (** Roll, regular windows with labels, roll back. *)
  Definition rolled_token (t : nat) : nat :=
    roll height shift (row t) * width + roll width shift (column t).
  Definition unrolled_token (t : nat) : nat :=
    unroll height shift (row t) * width + unroll width shift (column t).
  Definition rolled_mask (t u : nat) : bool :=
    together height side shift (row t) (row u) && together width side shift (column t) (column u).
  Definition rolled_score (t u : nat) : Logit :=
    add (score (rolled_token t) (rolled_token u))
        (table (bias_index (row t mod side) (column t mod side) (row u mod side) (column u mod side))).
  Definition shifted_windows (t c : nat) : R :=
    direct rolled_score rolled_mask (fun u => value (rolled_token u)) None (height * width)
           (unrolled_token t) c.

  (** Windows that are cut elsewhere; biases by the true offset. *)
  Definition explicit_mask (t u : nat) : bool :=
    same_piece side shift (row t) (row u) && same_piece side shift (column t) (column u).
  Definition explicit_score (t u : nat) : Logit :=
    add (score t u) (table (bias_index (row t) (column t) (row u) (column u))).
  Definition explicit_windows (t c : nat) : R :=
    direct explicit_score explicit_mask value None (height * width) t c.

  Hypothesis whole_rows : exists windows, height = windows * side.
  Hypothesis whole_columns : exists windows, width = windows * side.
  Hypothesis shifted : shift < side.

  (** Every image whose sides are multiples of the window's, every shift below the window's side. *)
  Theorem shifted_same_explicit t c : t < height * width -> shifted_windows t c = explicit_windows t c.
  Proof.
    move=> small; have some_rows : 0 < height by case: height small; lia.
    have some_columns : 0 < width by case: width small; lia.
    have rows := roll_permutes height side shift some_rows shifted whole_rows.
    have columns := roll_permutes width side shift some_columns shifted whole_columns.
    have tokens : permutation (height * width) rolled_token unrolled_token :=
      grid_permutation _ _ _ _ _ _ rows columns.
    rewrite /shifted_windows /explicit_windows.
    rewrite -(permuted_keys explicit_score explicit_mask value None _ _ _ tokens t).
    symmetry; apply: eq_direct => u small_u.
    have [row_t [column_t same_t]] := digits_of _ _ _ small.
    have [row_u [column_u same_u]] := digits_of _ _ _ small_u.
    set y := row (rolled_token u); set x := column (rolled_token u).
    have [y_is x_is] : y = roll height shift (row u) /\ x = roll width shift (column u).
      by apply: two_digits; exact: permutation_below columns _ column_u.
    have y_below : y < height by rewrite y_is; exact: permutation_below rows _ row_u.
    have x_below : x < width by rewrite x_is; exact: permutation_below columns _ column_u.
    have back_y : row u = unroll height shift y by rewrite y_is (permutation_back _ _ _ rows).
    have back_x : column u = unroll width shift x by rewrite x_is (permutation_back _ _ _ columns).
    have [row_there column_there] : row (unrolled_token t) = unroll height shift (row t) /\
        column (unrolled_token t) = unroll width shift (column t).
      by apply: two_digits; exact: inverse_below columns _ column_t.
    rewrite /explicit_mask /rolled_mask /explicit_score /rolled_score.
    rewrite row_there column_there -/y -/x back_y back_x.
    rewrite !(together_is_same_piece _ side) //; split=> // /andb_prop [same_y same_x].
    rewrite (inverse_back _ _ _ tokens) //; congr (add _ (table _)).
    have [] := true_distance height side shift some_rows shifted whole_rows _ y row_t y_below same_y.
    have [] := true_distance width side shift some_columns shifted whole_columns _ x column_t x_below same_x.
    have := Nat.mod_upper_bound (unroll height shift (row t)) side.
    have := Nat.mod_upper_bound (unroll height shift y) side.
    have := Nat.mod_upper_bound (unroll width shift (column t)) side.
    have := Nat.mod_upper_bound (unroll width shift x) side.
    by move=> *; congr (_ * _ + _); lia.
  Qed.
End Image.
