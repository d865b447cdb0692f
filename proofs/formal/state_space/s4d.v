(** * S4D: diagonal systems

    The twin of [reference/state_space/s4d.hpp], whose forms all take a system that is already discrete: each
    state is one complex number that is multiplied by [lambda n] in a step. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums recurrence chunks complex scan roots.
From Etalon.gated_recurrence Require gated_linear_attention.
From Etalon.state_space Require Import scan_operators.
From Etalon.state_space Require s4 hippo.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R}.
  Variables (states : nat) (lambda b c : nat -> complex R) (skip : R) (input : nat -> R).

  Definition real (x : R) : complex R := Complex x 0.

  (** Twice the real part of a sum over half of the conjugate pairs. *)
  Definition paired (z : complex R) : R := (1 + 1) * re z.

  Variable initial_state : nat -> complex R.

  Fixpoint state (t : nat) : nat -> complex R :=
    match t with
    | O => initial_state
    | S t => fun n => lambda n * state t n + b n * real (input t)
    end.
  Definition recurrent (t : nat) : R :=
    paired (sum states (fun n => c n * state (S t) n)) + skip * input t.

  (** The kernel, and what a state before the first token adds [l] tokens later. *)
  Definition kernel (l : nat) : R := paired (sum states (fun n => c n * b n * power (lambda n) l)).
  Definition echo (from : nat -> complex R) (l : nat) : R :=
    paired (sum states (fun n => c n * (lambda n * from n) * power (lambda n) l)).

  Definition read_chunk (first r : nat) (carried : nat -> complex R) : R :=
    sum (S r) (fun l => kernel l * input (first + (r - l))%nat) + echo carried r +
    skip * input (first + r)%nat.
  Definition convolution (t : nat) : R := read_chunk 0 t initial_state.

  Definition advance_chunk (first length : nat) (carried : nat -> complex R) (n : nat) : complex R :=
    power (lambda n) length * carried n +
    sum length (fun r => power (lambda n) (length - 1 - r) * b n * real (input (first + r)%nat)).
  Definition chunked (chunk t : nat) : R := in_chunk advance_chunk chunk initial_state read_chunk t.
  Definition chunked_state (chunk length : nat) : nat -> complex R :=
    carried_to advance_chunk chunk initial_state length.

  (** An associative scan in [rounds] rounds of doubling. *)
  Definition scan_state (rounds t n : nat) : complex R :=
    affine_act (doubling affine_combine (fun t => Affine (lambda n) (b n * real (input t))) rounds t)
      (initial_state n).
  Definition scan (rounds t : nat) : R :=
    paired (sum states (fun n => c n * scan_state rounds t n)) + skip * input t.

  (** The sum of kernel_l z^l as a sum of geometric series. Both halves of the pairs are written out, since
      z is complex. *)
  Context {div : division R}.
  Definition series (weight factor z : complex R) (length : nat) : complex R :=
    weight * (1 - power (z * factor) length) / (1 - z * factor).
  Definition generating_function (z : complex R) (length : nat) : complex R :=
    sum states (fun n => series (c n * b n) (lambda n) z length +
                         series (conj (c n * b n)) (conj (lambda n)) z length).

  (** The kernel from the values at all roots of unity, by the inverse Fourier transform. *)
  Definition kernel_by_generating_function (root : complex R) (length l : nat) : R :=
    re (sum length (fun j => generating_function (power root j) length *
                             power root ((length - j * l mod length) mod length))) / of_nat length.
End Text.

Section Theorems.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Add Ring complex_numbers : (@ring_laws (complex R) _ complex_ring).
  Variables (states : nat) (lambda b c : nat -> complex R) (skip : R) (input : nat -> R).
  Variable initial_state : nat -> complex R.

  Notation state := (state lambda b input initial_state).
  Notation recurrent := (recurrent states lambda b c skip input initial_state).

  Lemma paired_add x y : paired (x + y) = paired x + paired y :> R.
  Proof. by rewrite /paired /=; ring. Qed.

  Lemma paired_mul x u : paired (x * real u) = paired x * u :> R.
  Proof. by rewrite /paired /=; ring. Qed.

  Lemma paired_sum n f : paired (sum n f) = sum n (fun i => paired (f i)) :> R.
  Proof. by elim: n => [| n IH] /=; [rewrite /paired /=; ring | rewrite -IH paired_add]. Qed.

  Lemma state_unrolled first length n :
    state (first + length) n =
      power (lambda n) length * state first n +
      sum length (fun r => power (lambda n) (length - 1 - r) * b n * real (input (first + r)%nat)).
  Proof.
    rewrite (unrolled (fun t => state t n) (fun _ => lambda n) (fun t => b n * real (input t))) //.
    rewrite between_constant; congr (power _ _ * _ + _); first by lia.
    apply: eq_sum => r small; rewrite between_constant.
    have -> : (first + length - S (first + r) = length - 1 - r)%nat by lia.
    by ring.
  Qed.

  Lemma advance_chunk_right first length carried :
    (forall n, carried n = state first n) ->
    forall n, advance_chunk lambda b input first length carried n = state (first + length) n.
  Proof. by move=> right n; rewrite state_unrolled -right. Qed.

  Lemma read_chunk_right first r carried :
    (forall n, carried n = state first n) ->
    read_chunk states lambda b c skip input first r carried = recurrent (first + r).
  Proof.
    move=> right; rewrite /recurrent /read_chunk; congr add; rewrite -Nat.add_succ_r.
    have -> : sum (S r) (fun l => kernel states lambda b c l * input (first + (r - l))%nat) =
      paired (sum states (fun n => c n *
        sum (S r) (fun s => power (lambda n) (S r - 1 - s) * b n * real (input (first + s)%nat)))).
      under [X in paired X]eq_sum => n _ do rewrite mul_sum.
      rewrite sum_exchange paired_sum [RHS]sum_reversed; apply: eq_sum => l small.
      rewrite Nat.sub_succ Nat.sub_0_r; have -> : (r - (r - l) = l)%nat by lia.
      rewrite /kernel -paired_mul sum_mul; congr paired; apply: eq_sum => n _; ring.
    rewrite /echo -paired_add -sum_add; congr paired; apply: eq_sum => n _.
    rewrite state_unrolled -right; have -> : power (lambda n) (S r) = power (lambda n) r * lambda n by [].
    by ring.
  Qed.

  (** The recurrence is a convolution with the kernel, and what is left of the initial state. *)
  Theorem convolution_same_recurrent t :
    convolution states lambda b c skip input initial_state t = recurrent t.
  Proof. exact: (read_chunk_right 0 t initial_state). Qed.

  Theorem chunked_same_recurrent chunk t :
    chunked states lambda b c skip input initial_state chunk t = recurrent t.
  Proof.
    apply: (in_chunk_right _ _ _ (fun a b => forall n, a n = b n) (fun t => state t) _ advance_chunk_right _
              recurrent) => //.
    exact: read_chunk_right.
  Qed.

  Theorem chunked_state_same_recurrent chunk length n :
    chunked_state lambda b input initial_state chunk length n = state length n.
  Proof.
    exact: (carried_to_right _ _ _ (fun a b => forall n, a n = b n) (fun t => state t) _ advance_chunk_right).
  Qed.

  Theorem scan_state_same_recurrent rounds t n :
    (t < 2 ^ rounds)%nat -> scan_state lambda b input initial_state rounds t n = state (S t) n.
  Proof.
    exact: (doubling_same_recurrence (fun _ => lambda n) (fun t => b n * real (input t))
              (fun t => state t n)).
  Qed.

  (** log2 of the length rounds of an associative scan give all outputs. *)
  Theorem scan_same_recurrent rounds t :
    (t < 2 ^ rounds)%nat -> scan states lambda b c skip input initial_state rounds t = recurrent t.
  Proof.
    move=> enough; rewrite /scan /recurrent; congr (paired _ + _); apply: eq_sum => n _.
    by rewrite scan_state_same_recurrent.
  Qed.
End Theorems.

(** A sequence may be cut anywhere. *)
Lemma state_respects {R} {ops : operations R} (lambda b : nat -> complex R) input x y t :
  (forall n, x n = y n) -> forall n, state lambda b input x t n = state lambda b input y t n.
Proof. by move=> same n; elim: t => [| t IH] /=; rewrite ?IH. Qed.

Section Split.
  Context {R : Type} {ops : operations R}.
  Variables (states : nat) (lambda b c : nat -> complex R) (skip : R) (input : nat -> R).
  Variable initial_state : nat -> complex R.

  Notation state_at := (state lambda b input initial_state).

  Theorem split_state m t n : state lambda b (from m input) (state_at m) t n = state_at (m + t) n.
  Proof. by elim: t => [| t IH]; rewrite ?Nat.add_0_r ?Nat.add_succ_r //= IH. Qed.

  Lemma split_from m t x :
    (forall n, x n = state_at m n) ->
    recurrent states lambda b c skip (from m input) x t =
      recurrent states lambda b c skip input initial_state (m + t).
  Proof.
    move=> right; rewrite /recurrent; congr (paired _ + _); apply: eq_sum => n _.
    by rewrite (state_respects _ _ _ _ _ _ right) split_state Nat.add_succ_r.
  Qed.

  Theorem split_recurrent m t :
    recurrent states lambda b c skip (from m input) (state_at m) t =
      recurrent states lambda b c skip input initial_state (m + t).
  Proof. exact: split_from. Qed.

  Context {laws : commutative_ring R}.

  Theorem split_chunked m chunk t :
    chunked states lambda b c skip (from m input)
      (chunked_state lambda b input initial_state chunk m) chunk t =
    chunked states lambda b c skip input initial_state chunk (m + t).
  Proof.
    rewrite !chunked_same_recurrent; apply: split_from => n.
    exact: chunked_state_same_recurrent.
  Qed.

  (** The scan of m + 1 tokens hands on the state after them. *)
  Theorem split_scan rounds m t :
    (S m + t < 2 ^ rounds)%nat ->
    scan states lambda b c skip (from (S m) input)
      (scan_state lambda b input initial_state rounds m) rounds t =
      scan states lambda b c skip input initial_state rounds (S m + t).
  Proof.
    move=> enough; rewrite !scan_same_recurrent //; first lia.
    by apply: split_from => n; rewrite scan_state_same_recurrent //; lia.
  Qed.
End Split.

(** The kernel through its generating function. *)
Section GeneratingFunction.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field field_numbers : (@field_laws R ops div laws).
  Add Ring generating_complex_numbers : (@ring_laws (complex R) _ (@complex_ring R ops (ring_of_field laws))).
  Variables (states : nat) (lambda b c : nat -> complex R).

  Lemma series_is_geometric weight factor z length :
    square_length (1 - z * factor) <> 0 ->
    series weight factor z length = sum length (fun l => weight * power factor l * power z l).
  Proof.
    move=> not_0; rewrite /series -geometric.
    transitivity (weight * sum length (fun l => power (z * factor) l) *
                  ((1 - z * factor) * inverse (1 - z * factor))).
      by rewrite /divide; ring.
    rewrite complex_inverse // mul_sum sum_mul; apply: eq_sum => l _.
    by rewrite power_mul; ring.
  Qed.

  Lemma conj_power (x : complex R) l : conj (power x l) = power (conj x) l.
  Proof.
    elim: l => [| l IH]; first by rewrite /conj /=; congr Complex; ring.
    by rewrite !power_succ -IH /conj /=; congr Complex; ring.
  Qed.

  (** Both halves of the pairs add up to the real kernel. *)
  Lemma pairs_are_real (x : complex R) : x + conj x = real (paired x).
  Proof. by rewrite /conj /real /paired /=; congr Complex; ring. Qed.

  Definition complex_kernel (l : nat) : complex R := real (kernel states lambda b c l).

  Lemma generating_function_is_sum z length :
    (forall n, (n < states)%nat -> square_length (1 - z * lambda n) <> 0) ->
    (forall n, (n < states)%nat -> square_length (1 - z * conj (lambda n)) <> 0) ->
    generating_function states lambda b c z length = sum length (fun l => complex_kernel l * power z l).
  Proof.
    move=> not_0 conj_not_0; rewrite /generating_function.
    transitivity (sum states (fun n => sum length (fun l =>
        (c n * b n * power (lambda n) l + conj (c n * b n) * power (conj (lambda n)) l) * power z l))).
      apply: eq_sum => n small.
      rewrite (series_is_geometric _ _ _ _ (not_0 n small))
        (series_is_geometric _ _ _ _ (conj_not_0 n small)).
      by rewrite -sum_add; apply: eq_sum => l _; ring.
    rewrite sum_exchange; apply: eq_sum => l _.
    have -> : complex_kernel l = sum states (fun n => c n * b n * power (lambda n) l +
                                                      conj (c n * b n) * power (conj (lambda n)) l).
      rewrite /complex_kernel /kernel -pairs_are_real.
      elim: states => [| n IH]; first by rewrite /conj /=; congr Complex; ring.
      rewrite !sum_last -IH -conj_power.
      by move: (power _ l) => p; rewrite /conj /=; congr Complex; ring.
    by rewrite sum_mul; apply: eq_sum => n _; ring.
  Qed.

  (** At the roots of unity of any field that has them, the inverse transform gives the kernel back. *)
  Theorem kernel_by_generating_function_same_kernel root length l :
    power root length = 1 ->
    (forall k, (0 < k < length)%nat -> square_length (1 - power root k) <> 0) ->
    (forall j n, (j < length)%nat -> (n < states)%nat -> square_length (1 - power root j * lambda n) <> 0) ->
    (forall j n, (j < length)%nat -> (n < states)%nat ->
       square_length (1 - power root j * conj (lambda n)) <> 0) ->
    of_nat length <> 0 :> R -> (l < length)%nat ->
    kernel_by_generating_function states lambda b c root length l = kernel states lambda b c l.
  Proof.
    move=> returns primitive not_0 conj_not_0 length_not_0 small.
    have distinct k : (0 < k < length)%nat -> exists y, y * (1 - power root k) = 1.
      move=> bound; exists (inverse (1 - power root k)).
      transitivity ((1 - power root k) * inverse (1 - power root k)); first by ring.
      exact/complex_inverse/primitive.
    rewrite /kernel_by_generating_function.
    have -> : sum length (fun j => generating_function states lambda b c (power root j) length *
                                   power root ((length - j * l mod length) mod length)) =
      of_nat length * complex_kernel l.
      rewrite -(inverse_fourier root length returns distinct) //; apply: eq_sum => j bound.
      rewrite generating_function_is_sum; [by move=> n ?; apply: not_0 | by move=> n ?; apply: conj_not_0 |].
      congr mul; first by apply: eq_sum => m _; rewrite power_power.
      have positive : (length <> 0)%nat by lia.
      rewrite power_mod //.
      have undone : power root (length - j * l mod length) * power root (j * l mod length) = 1.
        have := Nat.mod_upper_bound (j * l) length positive => below.
        by rewrite -power_add Nat.sub_add //; lia.
      have undone' : power root (j * (length - l)) * power root (j * l mod length) = 1.
        rewrite power_mod // -power_add.
        have -> : (j * (length - l) + j * l = length * j)%nat by nia.
        exact: returns_often.
      transitivity (power root (length - j * l mod length) *
                    (power root (j * (length - l)) * power root (j * l mod length))).
        by rewrite undone'; ring.
      transitivity (power root (length - j * l mod length) * power root (j * l mod length) *
                    power root (j * (length - l))); first by ring.
      by rewrite undone; ring.
    have scaled : re (of_nat length * complex_kernel l) = of_nat length * kernel states lambda b c l.
      rewrite /complex_kernel; elim: (length) => [| k IH]; first by rewrite /=; ring.
      move: IH; rewrite /real /= => IH.
      transitivity (re (of_nat k) * kernel states lambda b c l - im (of_nat k) * 0 +
                    kernel states lambda b c l).
        by ring.
      by rewrite IH; ring.
    by rewrite scaled; field.
  Qed.
End GeneratingFunction.

(** With real numbers it is gated linear attention on one value channel, whose gates never change. *)
Section Real.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring real_numbers : (@ring_laws R ops laws).
  Variables (states : nat) (lambda b c : nat -> R) (skip : R) (input initial_state : nat -> R).

  Theorem limit_gated_linear_attention t :
    recurrent states (fun n => real (lambda n)) (fun n => real (b n)) (fun n => real (c n)) skip input
      (fun n => real (initial_state n)) t =
    gated_linear_attention.recurrent states (1 + 1) (fun _ n => c n) (fun _ n => b n) (fun t _ => input t)
      (fun _ n => lambda n) (fun n _ => initial_state n) t 0 + skip * input t.
  Proof.
    have same u n : state (fun n => real (lambda n)) (fun n => real (b n)) input
        (fun n => real (initial_state n)) u n =
      real (gated_linear_attention.state (fun _ n => b n) (fun t _ => input t) (fun _ n => lambda n)
              (fun n _ => initial_state n) u n 0).
      by elim: u => [// | u IH] /=; rewrite IH /real /=; congr Complex; ring.
    congr add; rewrite paired_sum; apply: eq_sum => n _.
    by rewrite same /paired /real /=; ring.
  Qed.
End Real.

(** ** The distance from LegS

    S4D-LegS leaves out the rank-one part of LegS and takes half of its input. In the integer basis, where
    the input of LegS is 1, both systems are solved in closed form. *)
Section Defect.
  Context {R : Type} {ops : operations R} {div : division R}.

  (** LegS without its rank-one part. *)
  Definition legs_normal (n k : nat) : R := hippo.legs_rational n k + hippo.odd k / (1 + 1).

  (** rho_N(s), the product of (s - n) / (s + n + 1) over n < N. *)
  Definition legs_defect (size : nat) (s : R) : R :=
    product size (fun n => (s - of_nat n) / (s + of_nat (n + 1))).

  (** The resolvent of LegS. *)
  Definition legs_resolvent (s : R) (n : nat) : R := legs_defect n s / (s + of_nat (n + 1)).

  Context {laws : field R}.
  Add Field defect_numbers : (@field_laws R ops div laws).
  Variables (size : nat) (s : R).
  Hypothesis no_pole : forall n, s + of_nat (n + 1) <> 0.

  Lemma defect_is_what_is_left n :
    sum n (fun k => hippo.odd k * legs_resolvent s k) = 1 - legs_defect n s.
  Proof.
    elim: n => [| n IH]; first by rewrite /legs_defect /=; ring.
    rewrite sum_last IH {2}/legs_defect product_last -/(legs_defect n s) /legs_resolvent hippo.odd_is.
    have next : of_nat (n + 1) = of_nat n + 1 :> R by rewrite Nat.add_1_r.
    by have := no_pole n; rewrite next => not_0; field.
  Qed.

  Theorem legs_resolvent_solves n :
    (n < size)%nat ->
    s * legs_resolvent s n - s4.apply size hippo.legs_rational (legs_resolvent s) n = 1.
  Proof.
    move=> small; rewrite hippo.legs_rational_applied // defect_is_what_is_left /legs_resolvent.
    by have not_0 := no_pole n; field.
  Qed.

  (** The diagonal system with half of the input, times 1 + rho_N, is LegS. *)
  Theorem legs_defect_relates n :
    (n < size)%nat -> (1 + 1 : R) <> 0 -> 1 + legs_defect size s <> 0 ->
    let y := fun k => legs_resolvent s k / (1 + legs_defect size s) in
    s * y n - s4.apply size legs_normal y n = 1 / (1 + 1).
  Proof.
    move=> small two_not_0 not_0 y.
    have -> : s4.apply size legs_normal y n =
      (s4.apply size hippo.legs_rational (legs_resolvent s) n + (1 - legs_defect size s) / (1 + 1)) /
      (1 + legs_defect size s).
      rewrite -defect_is_what_is_left /s4.apply /divide !sum_mul -sum_add sum_mul.
      by apply: eq_sum => k _; rewrite /legs_normal /y /divide; ring.
    have := legs_resolvent_solves n small.
    set applied := s4.apply _ _ _ _; set x := legs_resolvent s n => solved.
    have -> : applied = s * x - 1 by rewrite -solved; ring.
    by rewrite /y -/x; field.
  Qed.
End Defect.

(** How large rho_N is on two lines of the complex plane: at i w, and at -1/2 + i w, where the eigenvalues of
    S4D-LegS are. *)
Section DefectSize.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field size_numbers : (@field_laws R ops div laws).

  Lemma square_length_mul (x y : complex R) : square_length (x * y) = square_length x * square_length y.
  Proof. by rewrite /square_length /=; ring. Qed.

  Lemma square_length_divide (x y : complex R) :
    square_length y <> 0 -> square_length (x / y) = square_length x / square_length y.
  Proof.
    move=> not_0; rewrite square_length_mul /divide; congr mul.
    by move: not_0; case: y => a b; rewrite /square_length /= /square_length /= => not_0; field.
  Qed.

  Lemma of_nat_is_real n : of_nat n = real (of_nat n) :> complex R.
  Proof. by elim: n => [// | n IH] /=; rewrite IH /real /=; congr Complex; ring. Qed.

  Lemma square_length_defect (size : nat) (z : complex R) :
    (forall n, square_length (z + of_nat (n + 1)) <> 0) ->
    square_length (legs_defect size z) =
      product size (fun n => square_length (z - of_nat n) / square_length (z + of_nat (n + 1))).
  Proof.
    move=> no_pole; rewrite /legs_defect; elim: size => [| n IH].
      by rewrite /square_length /=; ring.
    by rewrite !product_last square_length_mul IH square_length_divide.
  Qed.

  Theorem defect_on_the_imaginary_axis size w :
    (forall n, of_nat (n + 1) * of_nat (n + 1) + w * w <> 0) -> w * w <> 0 ->
    square_length (legs_defect size (Complex 0 w)) = w * w / (of_nat size * of_nat size + w * w).
  Proof.
    move=> no_pole w_not_0.
    have below n : square_length (Complex 0 w + of_nat (n + 1)) = of_nat (n + 1) * of_nat (n + 1) + w * w.
      by rewrite of_nat_is_real /square_length /=; ring.
    have above n : square_length (Complex 0 w - of_nat n) = of_nat n * of_nat n + w * w.
      by rewrite of_nat_is_real /square_length /=; ring.
    have all_not_0 n : of_nat n * of_nat n + w * w <> 0.
      case: n => [| n]; last by have := no_pole n; rewrite Nat.add_1_r.
      by move=> sum_0; apply: w_not_0; rewrite -sum_0 /=; ring.
    rewrite square_length_defect; first by move=> n; rewrite below.
    have w_itself_not_0 : w <> 0 by move=> w_0; apply: w_not_0; rewrite w_0; ring.
    elim: size => [| n IH]; first by rewrite /=; field.
    rewrite product_last IH below above Nat.add_1_r.
    by have not_0 := all_not_0 n; have not_0' := all_not_0 (S n); field.
  Qed.

  Theorem defect_at_half_damping size half w :
    half + half = 1 -> (forall n, (of_nat n + half) * (of_nat n + half) + w * w <> 0) ->
    square_length (legs_defect size (Complex (- half) w)) = 1.
  Proof.
    move=> is_half no_pole.
    have below n : square_length (Complex (- half) w + of_nat (n + 1)) =
                   (of_nat n + half) * (of_nat n + half) + w * w.
      rewrite of_nat_is_real /square_length /= Nat.add_1_r /= -is_half.
      by ring.
    have above n : square_length (Complex (- half) w - of_nat n) =
                   (of_nat n + half) * (of_nat n + half) + w * w.
      by rewrite of_nat_is_real /square_length /=; ring.
    rewrite square_length_defect; first by move=> n; rewrite below.
    apply: product_of_ones => n _; rewrite below above.
    by have not_0 := no_pole n; field.
  Qed.
End DefectSize.

