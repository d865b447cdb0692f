(** * HiPPO: the matrices behind S4

    The twin of [reference/state_space/hippo.hpp] where it needs no real functions. LegS has square roots,
    [sqrt(2n + 1)]: here they are numbers [s n] of a field with [s n * s n = 2n + 1]. In the basis d, which
    divides them out, all entries are integers and no root is needed. *)
From Coq Require Import ssreflect Ring Field Arith Lia Wf_nat.
From Etalon.base Require Import operations sums triangular.
From Etalon.state_space Require Import s4.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R} {div : division R}.

  (** A lower triangular matrix from its entries below and on the diagonal. *)
  Definition triangle (below : nat -> nat -> R) (diagonal : nat -> R) (n k : nat) : R :=
    if (k <? n)%nat then below n k else if (k =? n)%nat then diagonal n else 0.

  Definition odd (n : nat) : R := of_nat (2 * n + 1).

  (** LegS: A and B. *)
  Section Roots.
    Variable s : nat -> R.
    Definition legs : nat -> nat -> R := triangle (fun n k => - (s n * s k)) (fun n => - of_nat (n + 1)).
    Definition legs_input (n : nat) : R := s n.
  End Roots.

  (** LegS in the basis d: M, with input 1. *)
  Definition legs_rational : nat -> nat -> R := triangle (fun n k => - odd k) (fun n => - of_nat (n + 1)).

  (** The O(N) step of LegS. [h] is the step of the explicit side, [h'] that of the implicit one: the code
      takes both at the same time, the paper does not. [before n] sums (2k + 1) d_k over k < n; [after n]
      does the same for the new coefficients, while it makes them. *)
  Section Step.
    Variables (h h' alpha f : R) (d : nat -> R).
    Definition before (n : nat) : R := sum n (fun k => odd k * d k).
    Definition explicit_part (n : nat) : R :=
      d n - (1 - alpha) * h * (before n + of_nat (n + 1) * d n) + h * f.

    Definition new_coefficient (n : nat) (sum_before : R) : R :=
      (explicit_part n - alpha * h' * sum_before) / (1 + alpha * h' * of_nat (n + 1)).
    Fixpoint after (n : nat) : R :=
      match n with O => 0 | S n => after n + odd n * new_coefficient n (after n) end.
    Definition legs_step (n : nat) : R := new_coefficient n (after n).

    (** Forward Euler: no division and no second sum. *)
    Definition legs_step_forward_euler (n : nat) : R := d n - h * (before n + of_nat (n + 1) * d n) + h * f.
  End Step.

  (** LegT in the basis of the Legendre memory unit. *)
  Section LMU.
    Variable theta : R.
    Definition sign (n : nat) : R := if Nat.even n then 1 else - (1).
    Definition lmu (n k : nat) : R := - ((if (n <=? k)%nat then 1 else sign (n - k)) * odd n / theta).

    (** Applied in O(N): one alternating sum from the front, one plain sum from the back. *)
    Fixpoint alternating (c : nat -> R) (n : nat) : R :=
      match n with O => c O | S n => c (S n) - alternating c n end.
    Definition behind (size : nat) (c : nat -> R) (n : nat) : R :=
      sum (size - S n) (fun r => c (S n + r)%nat).
    Definition lmu_product (size : nat) (c : nat -> R) (n : nat) : R :=
      - ((alternating c n + behind size c n) * odd n / theta).
  End LMU.

  (** LagT: minus the lower triangle of ones and a times the identity. *)
  Section LagT.
    Variables (h a : R).
    Definition delta : R := 1 + a * h + h.
    Definition implicit_lagt : nat -> nat -> R := triangle (fun _ _ => h) (fun _ => delta).

    (** The inverse of I - hA is constant along diagonals. *)
    Definition ratio : R := (1 + a * h) / delta.
    Fixpoint lagt_column (j : nat) : R :=
      match j with
      | O => 1 / delta
      | S O => - h / (delta * delta)
      | S j => lagt_column j * ratio
      end.
    Definition lagt_inverse (n k : nat) : R := if (k <=? n)%nat then lagt_column (n - k) else 0.
  End LagT.
End Text.

(** ** LegS is normal plus rank one *)
Section Ring.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  Lemma of_nat_add m n : of_nat (m + n) = of_nat m + of_nat n :> R.
  Proof.
    elim: n => [| n IH]; first by rewrite Nat.add_0_r /=; ring.
    by rewrite Nat.add_succ_r /= IH; ring.
  Qed.

  Lemma odd_is n : odd n = of_nat n + of_nat n + 1 :> R.
  Proof.
    have -> : odd n = of_nat (n + n + 1) :> R by congr of_nat; lia.
    by rewrite !of_nat_add /=; ring.
  Qed.

  Lemma triangle_below below diagonal n k : (k < n)%nat -> triangle below diagonal n k = below n k :> R.
  Proof. by move=> order; rewrite /triangle (proj2 (Nat.ltb_lt _ _)). Qed.

  Lemma triangle_diagonal below diagonal n : triangle below diagonal n n = diagonal n :> R.
  Proof. by rewrite /triangle Nat.ltb_irrefl Nat.eqb_refl. Qed.

  Lemma triangle_above below diagonal n k : (n < k)%nat -> triangle below diagonal n k = 0 :> R.
  Proof.
    by move=> order; rewrite /triangle (proj2 (Nat.ltb_ge _ _)) ?(proj2 (Nat.eqb_neq _ _)) //; lia.
  Qed.

  (** Twice LegS plus the rank-one matrix s s^T: minus the identity, plus a skew matrix. *)
  Section Roots.
    Variable s : nat -> R.
    Hypothesis square : forall n, s n * s n = odd n.

    Definition twice_normal (n k : nat) : R := legs s n k + legs s n k + s n * s k.

    Theorem legs_plus_rank_one_is_skew n k :
      twice_normal n k + twice_normal k n = - (identity n k + identity n k).
    Proof.
      rewrite /twice_normal /legs.
      have [order | [-> | order]] : (k < n \/ n = k \/ n < k)%nat by lia.
      - by rewrite triangle_below // triangle_above // identity_other; [lia | ring].
      - by rewrite !triangle_diagonal identity_same square odd_is of_nat_add /=; ring.
      - by rewrite triangle_above // triangle_below // identity_other; [lia | ring].
    Qed.

    (** A matrix whose symmetric part is a multiple of the identity commutes with its transpose. *)
    Theorem legs_plus_rank_one_is_normal size n k :
      (n < size)%nat -> (k < size)%nat ->
      sum size (fun m => twice_normal n m * twice_normal k m) =
      sum size (fun m => twice_normal m n * twice_normal m k).
    Proof.
      move=> n_small k_small.
      have turned i j : twice_normal i j = - twice_normal j i - (identity i j + identity i j).
        transitivity (twice_normal i j + twice_normal j i - twice_normal j i); first by ring.
        by rewrite legs_plus_rank_one_is_skew; ring.
      transitivity (sum size (fun m => twice_normal n m * - twice_normal m k) -
                    (twice_normal n k + twice_normal n k)).
        rewrite -(sum_identity size k (fun m => twice_normal n m)) // -sum_add -sum_sub.
        by apply: eq_sum => m _; rewrite (turned k m); ring.
      symmetry; transitivity (sum size (fun m => - twice_normal n m * twice_normal m k) -
                              (twice_normal n k + twice_normal n k)).
        rewrite -(sum_identity size n (fun m => twice_normal m k)) // -sum_add -sum_sub.
        apply: eq_sum => m _; rewrite (turned m n) /identity Nat.eqb_sym; ring.
      by congr sub; apply: eq_sum => m _; ring.
    Qed.

    (** A constant input 1 is held by the first coefficient alone. *)
    Theorem legs_of_constant n : s 0%nat = 1 -> legs s n 0 = - legs_input s n.
    Proof.
      move=> one; rewrite /legs /legs_input.
      case: n => [| n]; first by rewrite triangle_diagonal one /=; ring.
      by rewrite triangle_below ?one; [lia | ring].
    Qed.

    (** The basis d: c_n = s_n d_n turns LegS into M. *)
    Theorem legs_rational_is_conjugate n k : s n * legs_rational n k = legs s n k * s k.
    Proof.
      rewrite /legs /legs_rational.
      have [order | [-> | order]] : (k < n \/ n = k \/ n < k)%nat by lia.
      - by rewrite !triangle_below // -square; ring.
      - by rewrite !triangle_diagonal; ring.
      - by rewrite !triangle_above //; ring.
    Qed.
  End Roots.

  (** The same identity without roots, weighed by the squares 2n + 1 of the basis d. *)
  Theorem legs_rational_plus_rank_one_is_skew n k :
    odd n * (legs_rational n k + legs_rational n k + odd k) +
    odd k * (legs_rational k n + legs_rational k n + odd n) =
      - (odd n * (identity n k + identity n k)) :> R.
  Proof.
    rewrite /legs_rational.
    have [order | [-> | order]] : (k < n \/ n = k \/ n < k)%nat by lia.
    - by rewrite triangle_below // triangle_above // identity_other; [lia | ring].
    - by rewrite !triangle_diagonal identity_same odd_is of_nat_add /=; ring.
    - by rewrite triangle_above // triangle_below // identity_other; [lia | ring].
  Qed.
End Ring.

(** ** The O(N) step *)
Section Field.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field field_numbers : (@field_laws R ops div laws).

  (** The matrix of LegS, applied with a running sum. *)
  Lemma legs_rational_applied size x n :
    (n < size)%nat ->
    apply size legs_rational x n = - (sum n (fun k => odd k * x k) + of_nat (n + 1) * x n) :> R.
  Proof.
    move=> small; rewrite /apply; have -> : (size = n + (1 + (size - S n)))%nat by lia.
    rewrite !sum_split /= Nat.add_0_r.
    have -> : sum n (fun l => legs_rational n l * x l) = - sum n (fun k => odd k * x k).
      by rewrite -sum_opp; apply: eq_sum => l bound; rewrite /legs_rational triangle_below //; ring.
    rewrite (sum_of_zeros (size - S n)) /legs_rational ?triangle_diagonal; last by ring.
    by move=> l _; rewrite triangle_above; [lia | ring].
  Qed.

  Section Step.
    Variables (h h' alpha f : R) (d : nat -> R).
    Notation legs_step := (legs_step h h' alpha f d).

    Lemma after_is_sum n : after h h' alpha f d n = sum n (fun k => odd k * legs_step k).
    Proof. by elim: n => [| n IH] //=; rewrite -IH. Qed.

    (** It solves the dense system (I - alpha h' M) y = (I + (1 - alpha) h M) d + h f. *)
    Theorem legs_step_solves_dense size n :
      (n < size)%nat -> 1 + alpha * h' * of_nat (n + 1) <> 0 ->
      legs_step n - alpha * h' * apply size legs_rational legs_step n =
        d n + (1 - alpha) * h * apply size legs_rational d n + h * f.
    Proof.
      move=> small not_0; rewrite !legs_rational_applied // -after_is_sum.
      by rewrite /hippo.legs_step /new_coefficient /explicit_part /before; field.
    Qed.

    (** And nothing else does. *)
    Theorem legs_step_same_dense size (y : nat -> R) :
      (forall n, (n < size)%nat -> 1 + alpha * h' * of_nat (n + 1) <> 0) ->
      (forall n, (n < size)%nat ->
         y n - alpha * h' * apply size legs_rational y n =
           d n + (1 - alpha) * h * apply size legs_rational d n + h * f) ->
      forall n, (n < size)%nat -> y n = legs_step n.
    Proof.
      move=> not_0 dense; elim/lt_wf_ind => n IH small.
      have := dense n small; rewrite !legs_rational_applied //.
      have -> : sum n (fun k => odd k * y k) = after h h' alpha f d n.
        by rewrite after_is_sum; apply: eq_sum => k bound; rewrite IH //; lia.
      rewrite /hippo.legs_step /new_coefficient /explicit_part /before => line.
      have not_0' := not_0 n small.
      have solved : y n * (1 + alpha * h' * of_nat (n + 1)) =
        d n + (1 - alpha) * h * - (sum n (fun k => odd k * d k) + of_nat (n + 1) * d n) + h * f -
        alpha * h' * after h h' alpha f d n.
        by rewrite -line; ring.
      transitivity (y n * (1 + alpha * h' * of_nat (n + 1)) / (1 + alpha * h' * of_nat (n + 1))).
        by field.
      by rewrite solved; field.
    Qed.

    (** With alpha = 0 it is forward Euler, whatever the implicit step. *)
    Theorem forward_euler n : alpha = 0 -> legs_step n = legs_step_forward_euler h f d n.
    Proof.
      move=> explicit; rewrite /hippo.legs_step /new_coefficient /explicit_part explicit.
      have -> : 1 + 0 * h' * of_nat (n + 1) = 1 by ring.
      by rewrite /legs_step_forward_euler; field; exact: one_not_zero.
    Qed.
  End Step.

  (** ** LegT in O(N) *)
  Lemma sign_succ n : sign (S n) = - sign n :> R.
  Proof. by rewrite /sign Nat.even_succ -Nat.negb_even; case: Nat.even => /=; ring. Qed.

  Lemma alternating_is_sum (c : nat -> R) n :
    alternating c n = sum n (fun k => sign (n - k) * c k) + c n.
  Proof.
    elim: n => [| n IH]; first by rewrite /=; ring.
    rewrite [alternating c (S n)]/= IH sum_last.
    have -> : sum n (fun k => sign (S n - k) * c k) = - sum n (fun k => sign (n - k) * c k).
      rewrite -sum_opp; apply: eq_sum => k small.
      have -> : (S n - k = S (n - k))%nat by lia.
      by rewrite sign_succ; ring.
    have -> : (S n - n = 1)%nat by lia.
    by rewrite /sign /=; ring.
  Qed.

  Theorem lmu_product_same_dense theta size (c : nat -> R) n :
    (n < size)%nat -> lmu_product theta size c n = apply size (lmu theta) c n.
  Proof.
    move=> small; rewrite /apply; have {2}-> : (size = n + (1 + (size - S n)))%nat by lia.
    rewrite !sum_split /= Nat.add_0_r.
    have -> : sum n (fun k => lmu theta n k * c k) =
              - (sum n (fun k => sign (n - k) * c k) * odd n / theta).
      rewrite /divide !sum_mul -sum_opp; apply: eq_sum => k bound.
      by rewrite /lmu (proj2 (Nat.leb_gt _ _)) // /divide; ring.
    have -> : sum (size - S n) (fun i => lmu theta n (n + S i) * c (n + S i)%nat) =
              - (behind size c n * odd n / theta).
      rewrite /behind /divide !sum_mul -sum_opp; apply: eq_sum => k bound.
      rewrite /lmu (proj2 (Nat.leb_le _ _)); first lia.
      by rewrite Nat.add_succ_r /divide /=; ring.
    rewrite /lmu_product alternating_is_sum /lmu Nat.leb_refl /divide; ring.
  Qed.

  (** ** LagT: the closed form of the inverse *)
  Section LagT.
    Variables (h a : R).
    Hypothesis delta_not_0 : delta h a <> 0.
    Notation weight := (fun _ _ : nat => h / delta h a).

    Lemma implicit_lagt_is_unit_lower n k :
      implicit_lagt h a n k = delta h a * unit_lower weight n k.
    Proof.
      rewrite /implicit_lagt /triangle /unit_lower /identity Nat.eqb_sym.
      by case: Nat.ltb; [field | case: Nat.eqb; ring].
    Qed.

    Lemma column_is_power j :
      lagt_column h a (S j) = - h / (delta h a * delta h a) * power (ratio h a) j.
    Proof.
      elim: j => [| j IH]; first by rewrite /=; ring.
      by rewrite [LHS]/= -/(lagt_column h a (S j)) IH /=; ring.
    Qed.

    Lemma column_sum j : sum (S j) (lagt_column h a) = power (ratio h a) j / delta h a.
    Proof.
      elim: j => [| j IH]; first by rewrite /=; field.
      rewrite sum_last IH [power _ (S j)]/=.
      rewrite column_is_power.
      have not_0 : 1 + a * h + h <> 0 := delta_not_0.
      by move: (power _ j) => p; rewrite /ratio /delta; field.
    Qed.

    Lemma inverse_row n k :
      delta h a * lagt_inverse h a n k =
        identity n k - sum n (fun s => h / delta h a * (delta h a * lagt_inverse h a s k)).
    Proof.
      have rows m : sum (k + m) (fun s => lagt_inverse h a s k) = sum m (lagt_column h a).
        rewrite sum_split sum_of_zeros.
          by move=> s small; rewrite /lagt_inverse (proj2 (Nat.leb_gt _ _)).
        transitivity (sum m (fun i => lagt_inverse h a (k + i) k)); first by ring.
        apply: eq_sum => i _; rewrite /lagt_inverse (proj2 (Nat.leb_le _ _)); first lia.
        by congr lagt_column; lia.
      have -> : sum n (fun s => h / delta h a * (delta h a * lagt_inverse h a s k)) =
                h * sum n (fun s => lagt_inverse h a s k).
        by rewrite mul_sum; apply: eq_sum => s _; field.
      have [above | [-> | below]] : (n < k \/ n = k \/ k < n)%nat by lia.
      - rewrite identity_other; first lia.
        rewrite sum_of_zeros => [s small|]; last by rewrite /lagt_inverse (proj2 (Nat.leb_gt _ _)) //; ring.
        by rewrite /lagt_inverse (proj2 (Nat.leb_gt _ _)) //; lia.
      - have := rows 0%nat; rewrite Nat.add_0_r => -> /=.
        by rewrite identity_same /lagt_inverse Nat.leb_refl Nat.sub_diag /=; field.
      - have [j ->] : exists j, (n = k + S j)%nat by exists (n - k - 1)%nat; lia.
        rewrite rows column_sum identity_other; first lia.
        rewrite /lagt_inverse (proj2 (Nat.leb_le _ _)); first lia.
        have -> : (k + S j - k = S j)%nat by lia.
        rewrite column_is_power.
        by field.
    Qed.

    (** The closed form times I - hA is the identity. *)
    Theorem lagt_inverse_inverts size n k :
      (n < size)%nat -> (k < size)%nat ->
      sum size (fun m => lagt_inverse h a n m * implicit_lagt h a m k) = identity n k.
    Proof.
      move=> n_small k_small; rewrite -(inverse_on_the_left weight size n k) //.
      apply: eq_sum => m _; rewrite implicit_lagt_is_unit_lower /unit_lower_inverse.
      rewrite (forward_substitution_unique weight identity (S n)
                 (fun n k => delta h a * lagt_inverse h a n k)) //.
        by move=> r _; exact: inverse_row.
      by ring.
    Qed.

    (** So multiplying by it solves the implicit step. *)
    Theorem lagt_toeplitz_same_dense size (y right : nat -> R) :
      (forall n, (n < size)%nat -> apply size (implicit_lagt h a) y n = right n) ->
      forall n, (n < size)%nat -> y n = apply size (lagt_inverse h a) right n.
    Proof.
      move=> dense n small; rewrite -[LHS](sum_identity size n y) //.
      have -> : apply size (lagt_inverse h a) right n =
        sum size (fun m => lagt_inverse h a n m * apply size (implicit_lagt h a) y m).
        by apply: eq_sum => m bound; rewrite dense.
      under [RHS]eq_sum => m _ do rewrite mul_sum.
      rewrite sum_exchange; apply: eq_sum => k bound.
      by rewrite -(lagt_inverse_inverts size n k) // sum_mul; apply: eq_sum => m _; ring.
    Qed.
  End LagT.
End Field.
