(** * L-Mul

    The twin of [reference/approximation/l_mul.hpp]: the product of two floating-point numbers from one
    integer addition of their bit patterns. What that addition computes, for every format; where it is the
    equation of the paper; and its exact mean error over all mantissas, for every width and constant. *)
From Coq Require Import ssreflect ZArith QArith Qpower Lia.
From Etalon.base Require Import operations sums ordered.
Open Scope Z_scope.

(** ** The text *)

(** A floating-point format. [infinities]: whether the largest exponent field holds infinity and NaNs. *)
Record format := Format { exponent_bits : Z; mantissa_bits : Z; infinities : bool }.

Definition bias (f : format) : Z := Z.shiftl 1 (exponent_bits f - 1) - 1.
Definition sign_bit (f : format) : Z := Z.shiftl 1 (exponent_bits f + mantissa_bits f).
Definition magnitude (f : format) (code : Z) : Z := Z.land code (sign_bit f - 1).
Definition min_normal (f : format) : Z := Z.shiftl 1 (mantissa_bits f).
Definition infinity (f : format) : Z := sign_bit f - min_normal f.
Definition max_finite (f : format) : Z := if infinities f then infinity f - 1 else sign_bit f - 2.
Definition nan (f : format) : Z := if infinities f then infinity f + min_normal f / 2 else sign_bit f - 1.
Definition beyond (f : format) : Z := max_finite f + 1.
Definition is_nan (f : format) (magnitude : Z) : bool :=
  if infinities f then infinity f <? magnitude else max_finite f <? magnitude.
Definition is_infinity (f : format) (magnitude : Z) : bool := infinities f && (magnitude =? infinity f).

Definition e5m2 := Format 5 2 true.
Definition e4m3fn := Format 4 3 false.
Definition bf16 := Format 8 7 true.
Definition fp16 := Format 5 10 true.
Definition fp32 := Format 8 23 true.

(** The paper's l(m), and the constant 2^-l(m) in units of the last mantissa bit. *)
Definition offset_bits (m : Z) : Z := if m <=? 3 then m else if m =? 4 then 3 else 4.
Definition offset_ulps (m : Z) : Z := Z.shiftl 1 (m - offset_bits m).

(** What is subtracted from the sum of the patterns. *)
Definition identity_code (f : format) (ulps : Z) : Z := Z.shiftl (bias f) (mantissa_bits f) - ulps.

(** The product of two patterns by integer addition. [saturate]: what becomes of an overflow. *)
Definition multiply_codes (f : format) (saturate : bool) (ulps x y : Z) : Z :=
  let sign := Z.land (Z.lxor x y) (sign_bit f) in
  let x_code := magnitude f x in
  let y_code := magnitude f y in
  if is_nan f x_code || is_nan f y_code then nan f else
  let is_zero := (x_code <? min_normal f) || (y_code <? min_normal f) in
  if is_infinity f x_code || is_infinity f y_code then
    if is_zero then nan f else Z.lor sign (infinity f) else
  if is_zero then sign else
  let z_code := x_code + y_code - identity_code f ulps in
  if z_code <? min_normal f then sign else
  if max_finite f <? z_code then Z.lor sign (if saturate then max_finite f else beyond f) else
  Z.lor sign z_code.

(** The equation of the paper, in units of 2^-m. *)
Definition equation_significand (m x_mantissa y_mantissa ulps : Z) : Z :=
  Z.shiftl 1 m + x_mantissa + y_mantissa + ulps.

(** What the integer addition computes: a carry out of the mantissa goes into the exponent. *)
Definition integer_significand (m x_mantissa y_mantissa ulps : Z) : Z :=
  let one := Z.shiftl 1 m in
  let sum := x_mantissa + y_mantissa + ulps in
  if sum <? one then one + sum else if sum <? 2 * one then 2 * sum else 4 * (sum - one).

(** The significand of the exact product, in units of 2^-2m. *)
Definition exact_significand (m x_mantissa y_mantissa : Z) : Z :=
  let one := Z.shiftl 1 m in (one + x_mantissa) * (one + y_mantissa).

(** ** What the addition computes *)

Lemma unit_shift m : 0 <= m -> Z.shiftl 1 m = 2 ^ m.
Proof. by move=> some; rewrite Z.shiftl_mul_pow2 //; lia. Qed.

(** The fields of a pattern without its sign, and the number that it stands for. *)
Definition exponent (f : format) (code : Z) : Z := code / min_normal f - bias f.
Definition mantissa (f : format) (code : Z) : Z := code mod min_normal f.
Definition value (f : format) (code : Z) : Q :=
  inject_Z (min_normal f + mantissa f code) * 2 ^ (exponent f code - mantissa_bits f).

Section Addition.
  Variables (f : format) (ulps x y : Z).
  Hypothesis width : 0 <= mantissa_bits f.
  Hypothesis constant : 0 <= ulps < min_normal f.

  Notation m := (mantissa_bits f).
  Notation one := (min_normal f).
  Notation sum := (mantissa f x + mantissa f y + ulps).
  Notation z := (x + y - identity_code f ulps).

  Lemma one_is_power : one = 2 ^ m.
  Proof. exact: unit_shift. Qed.

  Lemma one_positive : 0 < one.
  Proof. by rewrite one_is_power; apply: Z.pow_pos_nonneg; lia. Qed.

  Lemma mantissa_range code : 0 <= mantissa f code < one.
  Proof. by apply: Z.mod_pos_bound; exact: one_positive. Qed.

  (** Exponents and mantissas add side by side: the sum of the patterns is the sum of the exponents, and the
      sum of the mantissas and the constant behind it. *)
  Lemma fields_add : z = (exponent f x + exponent f y + bias f) * one + sum.
  Proof.
    have above_0 := one_positive.
    have := Z.div_mod x one; have := Z.div_mod y one.
    rewrite /exponent /mantissa /identity_code Z.shiftl_mul_pow2 // -one_is_power; nia.
  Qed.

  (** A carry moves from the mantissa to the exponent. *)
  Lemma carried carry : carry * one <= sum < (carry + 1) * one ->
    exponent f z = exponent f x + exponent f y + carry /\ mantissa f z = sum - carry * one.
  Proof.
    have above_0 := one_positive; move=> range.
    have parts : z = one * (exponent f x + exponent f y + bias f + carry) + (sum - carry * one)
      by rewrite fields_add; lia.
    have inside : 0 <= sum - carry * one < one by lia.
    split; rewrite /exponent /mantissa -/(mantissa f x) -/(mantissa f y).
    - by rewrite -(Z.div_unique_pos _ _ _ _ inside parts) /exponent; lia.
    - by rewrite -(Z.mod_unique_pos _ _ _ _ inside parts).
  Qed.

  Lemma shifted_value significand e carry :
    0 <= carry ->
    inject_Z significand * 2 ^ (e + carry - m) == inject_Z (significand * 2 ^ carry) * 2 ^ (e - m).
  Proof.
    move=> some; have -> : e + carry - m = carry + (e - m) by lia.
    by rewrite Qpower_plus // inject_Z_mult Qmult_assoc Zpower_Qpower.
  Qed.

  (** The number that the sum of the patterns stands for, with a carry or without. *)
  Theorem addition_is_integer_significand :
    value f z == inject_Z (integer_significand m (mantissa f x) (mantissa f y) ulps) *
                 2 ^ (exponent f x + exponent f y - m).
  Proof.
    have above_0 := one_positive; have := mantissa_range x; have := mantissa_range y => range_y range_x.
    rewrite /value /integer_significand -/one.
    have [small | large] := Z.ltb_spec sum one.
    - have [|-> ->] := carried 0; first lia.
      by rewrite Z.add_0_r; have -> : one + (sum - 0 * one) = one + sum by lia.
    - have [once | twice] := Z.ltb_spec sum (2 * one).
      + have [|-> ->] := carried 1; first lia.
        rewrite shifted_value //.
        by have -> : (one + (sum - 1 * one)) * 2 ^ 1 = 2 * sum by lia.
      + have [|-> ->] := carried 2; first lia.
        rewrite shifted_value //.
        by have -> : (one + (sum - 2 * one)) * 2 ^ 2 = 4 * (sum - one) by lia.
  Qed.

  (** It is the equation of the paper as long as the mantissas and the constant do not exceed 1, and only
      then. *)
  Theorem equation_iff_no_carry :
    integer_significand m (mantissa f x) (mantissa f y) ulps =
    equation_significand m (mantissa f x) (mantissa f y) ulps <-> sum <= one.
  Proof.
    have := mantissa_range x; have := mantissa_range y.
    rewrite /integer_significand /equation_significand -/one.
    by case: (Z.ltb_spec sum one); case: (Z.ltb_spec sum (2 * one)); lia.
  Qed.
End Addition.

(** ** Signs and range: where neither operand nor result is special, [multiply_codes] is that addition *)

Section InRange.
  Variables (f : format) (saturate : bool) (ulps x y : Z).
  Hypothesis widths : 0 <= mantissa_bits f /\ 0 <= exponent_bits f.

  Notation bits := (exponent_bits f + mantissa_bits f).
  Notation x_code := (magnitude f x).
  Notation y_code := (magnitude f y).
  Notation z_code := (x_code + y_code - identity_code f ulps).
  Notation normal code := (min_normal f <= code <= max_finite f).

  Lemma sign_bit_is_power : sign_bit f = 2 ^ bits.
  Proof. by apply: unit_shift; lia. Qed.

  Lemma finite_below_sign : max_finite f < sign_bit f.
  Proof.
    have some : 0 < 2 ^ mantissa_bits f by apply: Z.pow_pos_nonneg; lia.
    by rewrite /max_finite /infinity /min_normal unit_shift; case: (infinities f); lia.
  Qed.

  Lemma magnitude_below code : 0 <= code < sign_bit f -> magnitude f code = code.
  Proof.
    move=> range; rewrite /magnitude; have -> : sign_bit f - 1 = Z.ones bits.
      by rewrite sign_bit_is_power Z.ones_equiv; lia.
    by rewrite Z.land_ones ?Z.mod_small -?sign_bit_is_power; lia.
  Qed.

  (** A sign and a magnitude side by side are read back. *)
  Lemma sign_and_magnitude a code :
    0 <= code < sign_bit f ->
    magnitude f (Z.lor (Z.land a (sign_bit f)) code) = code /\
    Z.testbit (Z.lor (Z.land a (sign_bit f)) code) bits = Z.testbit a bits.
  Proof.
    move=> range; have same := magnitude_below code range.
    have ones : sign_bit f - 1 = Z.ones bits by rewrite sign_bit_is_power Z.ones_equiv; lia.
    have above_0 : 0 < 2 ^ bits by apply: Z.pow_pos_nonneg; lia.
    rewrite /magnitude ones in same *; split.
    - rewrite Z.land_lor_distr_l same -Z.land_assoc; have -> : Z.land (sign_bit f) (Z.ones bits) = 0.
        by rewrite Z.land_ones ?sign_bit_is_power ?Z.mod_same; lia.
      by rewrite Z.land_0_r.
    - rewrite Z.lor_spec Z.land_spec -same Z.land_spec Z.ones_spec_high ?andb_false_r; last lia.
      by rewrite sign_bit_is_power Z.pow2_bits_true ?andb_true_r ?orb_false_r //; lia.
  Qed.

  Theorem multiply_codes_is_addition :
    normal x_code -> normal y_code -> normal z_code ->
    magnitude f (multiply_codes f saturate ulps x y) = z_code /\
    Z.testbit (multiply_codes f saturate ulps x y) bits = xorb (Z.testbit x bits) (Z.testbit y bits).
  Proof.
    move=> normal_x normal_y normal_z; have := finite_below_sign => below.
    have not_nan code : normal code -> is_nan f code = false.
      rewrite /is_nan /max_finite; case: (infinities f) => range; apply/Z.ltb_ge; lia.
    have not_infinity code : normal code -> is_infinity f code = false.
      rewrite /is_infinity /max_finite; case: (infinities f) => //= range; apply/Z.eqb_neq; lia.
    have not_zero code : normal code -> (code <? min_normal f) = false by move=> range; apply/Z.ltb_ge; lia.
    have not_beyond code : normal code -> (max_finite f <? code) = false by move=> range; apply/Z.ltb_ge; lia.
    rewrite /multiply_codes !not_nan // !not_infinity // !not_zero //= not_beyond // -Z.lxor_spec.
    have some : 0 <= min_normal f by apply/Z.shiftl_nonneg.
    by apply: sign_and_magnitude; lia.
  Qed.
End InRange.

(** ** The algebra of the addition: it has all the laws of a product but x 1 = x *)

Definition add_codes (off x y : Z) : Z := x + y - off.

Theorem commutative off x y : add_codes off x y = add_codes off y x.
Proof. by rewrite /add_codes; lia. Qed.

Theorem associative off x y w : add_codes off (add_codes off x y) w = add_codes off x (add_codes off y w).
Proof. by rewrite /add_codes; lia. Qed.

(** The neutral number is the one with the pattern OFF; it is below 1. *)
Theorem identity off x : add_codes off off x = x.
Proof. by rewrite /add_codes; lia. Qed.

Theorem inverse_code off x : add_codes off x (2 * off - x) = off.
Proof. by rewrite /add_codes; lia. Qed.

(** ** The mean error over all pairs of mantissas *)

Lemma sum_S n (f : nat -> Z) : sum (S n) f = sum n f + f n.
Proof. by []. Qed.

Lemma scale_sum n c (f : nat -> Z) : c * sum n f = sum n (fun i => c * f i).
Proof. exact: mul_sum. Qed.

Lemma sum_minus n (f g : nat -> Z) : sum n f - sum n g = sum n (fun i => f i - g i).
Proof. by symmetry; exact: sum_sub. Qed.

Lemma sum_integers n : 2 * sum n Z.of_nat = Z.of_nat n * (Z.of_nat n - 1).
Proof. by elim: n => [// | n IH]; rewrite sum_S Nat2Z.inj_succ; lia. Qed.

Lemma sum_same n (c : Z) : sum n (fun _ => c) = Z.of_nat n * c.
Proof. by elim: n => [// | n IH]; rewrite sum_S Nat2Z.inj_succ IH; lia. Qed.

(** What exceeds 0, and the sums of it: triangular and tetrahedral numbers (times 2 and times 6). *)
Definition excess (x : Z) : Z := Z.max 0 x.
Definition triangular (x : Z) : Z := excess x * (excess x + 1).
Definition tetrahedral (x : Z) : Z := triangular x * (excess x + 2).

Lemma sum_of_excess n a :
  2 * sum n (fun j => excess (Z.of_nat j + a)) = triangular (a + Z.of_nat n - 1) - triangular (a - 1).
Proof.
  elim: n => [| n IH]; first by rewrite Z.add_0_r Z.sub_diag.
  by rewrite sum_S Z.mul_add_distr_l IH Nat2Z.inj_succ /triangular /excess; nia.
Qed.

Lemma sum_of_triangular n a :
  3 * sum n (fun i => triangular (Z.of_nat i + a)) = tetrahedral (a + Z.of_nat n - 1) - tetrahedral (a - 1).
Proof.
  elim: n => [| n IH]; first by rewrite Z.add_0_r Z.sub_diag.
  rewrite sum_S Z.mul_add_distr_l IH Nat2Z.inj_succ.
  have -> : a + Z.succ (Z.of_nat n) - 1 = Z.of_nat n + a by lia.
  rewrite /tetrahedral /triangular /excess.
  have [above | below] : 0 < Z.of_nat n + a \/ Z.of_nat n + a <= 0 by lia.
  - have -> : Z.max 0 (Z.of_nat n + a) = Z.of_nat n + a by lia.
    have -> : Z.max 0 (a + Z.of_nat n - 1) = Z.of_nat n + a - 1 by lia.
    by lia.
  - have -> : Z.max 0 (Z.of_nat n + a) = 0 by lia.
    have -> : Z.max 0 (a + Z.of_nat n - 1) = 0 by lia.
    by lia.
Qed.

(** The sum over all pairs of n mantissas. *)
Definition pairs (n : nat) (f : Z -> Z -> Z) : Z :=
  sum n (fun i => sum n (fun j => f (Z.of_nat i) (Z.of_nat j))).

Section Pairs.
  Variable n : nat.
  Implicit Types f g : Z -> Z -> Z.

  Lemma eq_pairs f g : (forall i j, f i j = g i j) -> pairs n f = pairs n g.
  Proof. by move=> same; apply: eq_sum => i _; apply: eq_sum => j _. Qed.

  Lemma pairs_sub f g : pairs n f - pairs n g = pairs n (fun i j => f i j - g i j).
  Proof. by rewrite /pairs sum_minus; apply: eq_sum => i _; rewrite sum_minus. Qed.

  Lemma scale_pairs c f : c * pairs n f = pairs n (fun i j => c * f i j).
  Proof. by rewrite /pairs scale_sum; apply: eq_sum => i _; rewrite scale_sum. Qed.

  Lemma pairs_same c : pairs n (fun _ _ => c) = Z.of_nat n * (Z.of_nat n * c).
  Proof. by rewrite /pairs (eq_sum _ _ _ (fun i _ => sum_same n c)) sum_same. Qed.

  Lemma pairs_of_products :
    4 * pairs n Z.mul = (Z.of_nat n * (Z.of_nat n - 1)) * (Z.of_nat n * (Z.of_nat n - 1)).
  Proof.
    have -> : pairs n Z.mul = sum n Z.of_nat * sum n Z.of_nat.
      transitivity (mul (sum n Z.of_nat) (sum n Z.of_nat)); last by [].
      by rewrite sum_mul; apply: eq_sum => i _; rewrite mul_sum.
    by rewrite -sum_integers; lia.
  Qed.

  Lemma pairs_of_excess c :
    6 * pairs n (fun i j => excess (i + j + c)) =
    tetrahedral (c + 2 * Z.of_nat n - 2) - 2 * tetrahedral (c + Z.of_nat n - 2) + tetrahedral (c - 2).
  Proof.
    have inner i : 2 * sum n (fun j => excess (Z.of_nat i + Z.of_nat j + c)) =
      triangular (Z.of_nat i + (c + Z.of_nat n - 1)) - triangular (Z.of_nat i + (c - 1)).
      have -> : sum n (fun j => excess (Z.of_nat i + Z.of_nat j + c)) =
        sum n (fun j => excess (Z.of_nat j + (Z.of_nat i + c))) by apply: eq_sum => j _; congr excess; lia.
      by rewrite sum_of_excess; congr (triangular _ - triangular _); lia.
    have six a : 6 * a = 3 * (2 * a) by lia.
    rewrite six scale_sum (eq_sum _ _ _ (fun i _ => inner i)) -sum_minus Z.mul_sub_distr_l.
    rewrite !sum_of_triangular.
    have -> : c + Z.of_nat n - 1 + Z.of_nat n - 1 = c + 2 * Z.of_nat n - 2 by lia.
    have -> : c + Z.of_nat n - 1 - 1 = c + Z.of_nat n - 2 by lia.
    have -> : c - 1 + Z.of_nat n - 1 = c + Z.of_nat n - 2 by lia.
    have -> : c - 1 - 1 = c - 2 by lia.
    by lia.
  Qed.
End Pairs.

Section MeanError.
  Variable m : nat.
  Notation N := (2 ^ Z.of_nat m).

  Lemma mantissas : Z.of_nat (2 ^ m) = N.
  Proof. by rewrite Nat2Z.inj_pow. Qed.

  (** The exact product less what is computed, in units of 2^-2m. *)
  Definition equation_error (ulps i j : Z) : Z :=
    exact_significand (Z.of_nat m) i j - N * equation_significand (Z.of_nat m) i j ulps.
  Definition integer_error (ulps i j : Z) : Z :=
    exact_significand (Z.of_nat m) i j - N * integer_significand (Z.of_nat m) i j ulps.

  (** The equation: in units of the product and with c = 2^-m ulps, (1 - 2^-m)^2 / 4 - c on average. *)
  Theorem equation_mean_error ulps :
    4 * pairs (2 ^ m) (equation_error ulps) = (N * (N - 1)) * (N * (N - 1)) - 4 * (N * N * (N * ulps)).
  Proof.
    have -> : pairs (2 ^ m) (equation_error ulps) = pairs (2 ^ m) Z.mul - pairs (2 ^ m) (fun _ _ => N * ulps).
      rewrite pairs_sub; apply: eq_pairs => i j.
      by rewrite /equation_error /exact_significand /equation_significand unit_shift; lia.
    by rewrite Z.mul_sub_distr_l pairs_of_products pairs_same mantissas; lia.
  Qed.

  (** What carries past 1, and past 2, is charged once more, and twice more. *)
  Lemma integer_error_by_excess ulps i j :
    integer_error ulps i j =
      i * j - N * ulps - N * excess (i + j + (ulps - N)) - 2 * N * excess (i + j + (ulps - 2 * N)).
  Proof.
    rewrite /integer_error /exact_significand /integer_significand unit_shift; last lia.
    have some : 0 < N by apply: Z.pow_pos_nonneg; lia.
    rewrite /excess; case: (Z.ltb_spec (i + j + ulps) N); case: (Z.ltb_spec (i + j + ulps) (2 * N)) => *.
    - by rewrite !Z.max_l; lia.
    - by lia.
    - by rewrite Z.max_r ?Z.max_l; lia.
    - by rewrite !Z.max_r; lia.
  Qed.

  (** The addition: in units of the product and with c = 2^-m ulps,
      (1 - 2^-m)^2 / 4 - c - (1 + c) (1 + c - 2^-m) (1 + c - 2 2^-m) / 6 on average. *)
  Theorem integer_mean_error ulps :
    0 <= ulps <= N ->
    12 * pairs (2 ^ m) (integer_error ulps) =
      3 * ((N * (N - 1)) * (N * (N - 1))) - 12 * (N * N * (N * ulps)) -
      2 * N * ((N + ulps) * (N + ulps - 1) * (N + ulps - 2)).
  Proof.
    move=> range; have some : 0 < N by apply: Z.pow_pos_nonneg; lia.
    have once := pairs_of_excess (2 ^ m) (ulps - N); have twice := pairs_of_excess (2 ^ m) (ulps - 2 * N).
    have products := pairs_of_products (2 ^ m); have constants := pairs_same (2 ^ m) (N * ulps).
    rewrite mantissas in once twice products constants.
    have below a : a <= 0 -> tetrahedral a = 0.
      by move=> low; rewrite /tetrahedral /triangular /excess Z.max_l.
    rewrite (below (ulps - N - 2)) in once; last lia.
    rewrite (below (ulps - 2 * N + N - 2)) ?(below (ulps - 2 * N - 2)) in twice; try lia.
    have top : tetrahedral (ulps - N + 2 * N - 2) = (N + ulps) * (N + ulps - 1) * (N + ulps - 2).
      have -> : ulps - N + 2 * N - 2 = N + ulps - 2 by lia.
      rewrite /tetrahedral /triangular /excess.
      have [low | high] : N + ulps - 2 = - 1 \/ 0 <= N + ulps - 2 by lia.
      - by rewrite low; have -> : N + ulps - 1 = 0 by [lia]; lia.
      - by rewrite Z.max_r; lia.
    rewrite {}top in once.
    have same : ulps - N + N - 2 = ulps - 2 * N + 2 * N - 2 by lia.
    rewrite {}same in once; move: (tetrahedral _) once twice => middle once twice.
    have -> : pairs (2 ^ m) (integer_error ulps) =
      pairs (2 ^ m) Z.mul - pairs (2 ^ m) (fun _ _ => N * ulps) -
      N * pairs (2 ^ m) (fun i j => excess (i + j + (ulps - N))) -
      2 * N * pairs (2 ^ m) (fun i j => excess (i + j + (ulps - 2 * N))).
      rewrite !scale_pairs !pairs_sub; apply: eq_pairs => i j; exact: integer_error_by_excess.
    move: (pairs _ _) (pairs _ _) (pairs _ _) (pairs _ _) once twice products constants; nia.
  Qed.

  (** Without the constant (Mitchell): (1 - 4^-m) / 12. *)
  Theorem mitchell_mean_error : 12 * pairs (2 ^ m) (integer_error 0) = N * N * (N * N - 1).
  Proof.
    have some : 0 < N by apply: Z.pow_pos_nonneg; lia.
    by rewrite integer_mean_error; lia.
  Qed.

  (** ** Bounds of the relative error, for every pair of mantissas *)

  (** Mitchell never exceeds the product, and loses at most a ninth of it. *)
  Theorem mitchell_bound i j :
    0 <= i < N -> 0 <= j < N ->
    0 <= integer_error 0 i j /\ 9 * integer_error 0 i j <= exact_significand (Z.of_nat m) i j.
  Proof.
    move=> range_i range_j; rewrite integer_error_by_excess /exact_significand unit_shift; last lia.
    rewrite /excess (Z.max_l 0 (i + j + (0 - 2 * N))); last lia.
    move: (2 ^ _) range_i range_j => one range_i range_j.
    have squares := Z.square_nonneg (i - j).
    have [below | above] : i + j <= one \/ one <= i + j by lia.
    - rewrite (Z.max_l 0 (i + j + (0 - one))); last lia.
      have product : 0 <= i * j by nia.
      have slack : 0 <= (one - (i + j)) * (one + 2 * (i + j)) by apply: Z.mul_nonneg_nonneg; lia.
      by split; lia.
    - rewrite (Z.max_r 0 (i + j + (0 - one))); last lia.
      have product : 0 <= (one - i) * (one - j) by nia.
      have slack : 0 <= (i + j - one) * (6 * (one - i + (one - j)) + 4 * (i + j - one))
        by apply: Z.mul_nonneg_nonneg; lia.
      by split; lia.
  Qed.

  (** With the constant 1/16, that of all widths above 4 bits: at most 161 / 2209 too small, and at most
      1 / 16 too large. *)
  Theorem paper_bound ulps i j :
    N = 16 * ulps -> 0 <= i < N -> 0 <= j < N ->
    2209 * integer_error ulps i j <= 161 * exact_significand (Z.of_nat m) i j /\
    - exact_significand (Z.of_nat m) i j <= 16 * integer_error ulps i j.
  Proof.
    move=> constant range_i range_j; rewrite integer_error_by_excess /exact_significand unit_shift; last lia.
    rewrite /excess constant in range_i range_j *; move: ulps range_i range_j {constant} => u range_i range_j.
    have squares := Z.square_nonneg (i - j); have products : 0 <= i * j by nia.
    have [once | carried] : i + j <= 15 * u \/ 15 * u <= i + j by lia.
    - rewrite !Z.max_l; try lia.
      have tangent : 0 <= (15 * u - (i + j)) * (512 * (i + j) + 5104 * u) by apply: Z.mul_nonneg_nonneg; lia.
      by split; nia.
    - rewrite (Z.max_r 0 (i + j + (u - 16 * u))); last lia.
      have missing : 0 <= (16 * u - i) * (16 * u - j) by nia.
      pose left := 16 * u - i + (16 * u - j).
      have [twice | more] : u <= left \/ left <= u by lia.
      + rewrite Z.max_l; last lia.
        have tangent : 0 <= (17 * u - left) * (512 * left + 13856 * u).
          by apply: Z.mul_nonneg_nonneg; rewrite /left; lia.
        by rewrite /left in tangent; split; lia.
      + rewrite Z.max_r; last lia.
        by rewrite /left in more; split; nia.
  Qed.
End MeanError.
