(** * Unit lower triangular matrices and forward substitution

    [(I + lower) x = right], where only the entries of [lower] below the diagonal matter. Row r of x needs the
    rows before it and nothing else, so the system is solved from the top. *)
From Coq Require Import ssreflect Ring Arith Lia Wf_nat.
From Etalon.base Require Import operations sums.
From Etalon.base Require Export matrices.
Open Scope number_scope.

Section Triangular.
  Context {R : Type} {ops : operations R}.
  Variable lower : nat -> nat -> R.

  (** The first [rows] rows of the solution. *)
  Fixpoint solved (right : nat -> nat -> R) (rows : nat) : nat -> nat -> R :=
    match rows with
    | O => fun _ _ => 0
    | S r => fun row c =>
        if (row =? r)%nat then right r c - sum r (fun s => lower r s * solved right r s c)
        else solved right r row c
    end.

  Definition forward_substitution (right : nat -> nat -> R) (r c : nat) : R := solved right (S r) r c.

  (** [I + lower], applied to the rows of x. *)
  Definition unit_lower (r s : nat) : R := if (s <? r)%nat then lower r s else identity r s.

  Lemma solved_row right rows r c :
    (r < rows)%nat -> solved right rows r c = forward_substitution right r c.
  Proof.
    elim: rows => [| rows IH] bound /=; first lia.
    case: Nat.eqb_spec => [-> | different]; last by apply: IH; lia.
    by rewrite /forward_substitution /= Nat.eqb_refl.
  Qed.

  (** The line of the algorithm. *)
  Lemma forward_substitution_row right r c :
    forward_substitution right r c =
      right r c - sum r (fun s => lower r s * forward_substitution right s c).
  Proof.
    rewrite {1}/forward_substitution /= Nat.eqb_refl; congr sub.
    by apply: eq_sum => s small; rewrite solved_row.
  Qed.

  (** Only one x satisfies all lines. *)
  Lemma forward_substitution_unique right n (x : nat -> nat -> R) c :
    (forall r, (r < n)%nat -> x r c = right r c - sum r (fun s => lower r s * x s c)) ->
    forall r, (r < n)%nat -> forward_substitution right r c = x r c.
  Proof.
    move=> rows; elim/lt_wf_ind => r IH bound.
    rewrite forward_substitution_row rows //; congr sub.
    by apply: eq_sum => s small; rewrite IH //; lia.
  Qed.

  Context {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  (** Row r of a product with [I + lower]. *)
  Lemma unit_lower_row n r (x : nat -> R) :
    (r < n)%nat -> sum n (fun s => unit_lower r s * x s) = x r + sum r (fun s => lower r s * x s).
  Proof.
    move=> bound; have -> : (n = r + (1 + (n - S r)))%nat by lia.
    rewrite !sum_split /= Nat.add_0_r.
    have -> : sum r (fun s => unit_lower r s * x s) = sum r (fun s => lower r s * x s).
      by apply: eq_sum => s small; rewrite /unit_lower (proj2 (Nat.ltb_lt _ _)).
    have -> : unit_lower r r = 1 by rewrite /unit_lower /identity Nat.ltb_irrefl Nat.eqb_refl.
    rewrite (sum_of_zeros (n - S r)); last by ring.
    move=> s _; rewrite /unit_lower /identity (proj2 (Nat.ltb_ge _ _)); first lia.
    by rewrite (proj2 (Nat.eqb_neq _ _)); [lia | ring].
  Qed.

  (** Forward substitution solves the system. *)
  Theorem forward_substitution_solves right n r c :
    (r < n)%nat ->
    sum n (fun s => unit_lower r s * forward_substitution right s c) = right r c.
  Proof.
    by move=> bound; rewrite unit_lower_row // forward_substitution_row; ring.
  Qed.

  (** Applied to the identity it gives the inverse, from either side. *)
  Definition unit_lower_inverse : nat -> nat -> R := forward_substitution identity.

  Theorem inverse_on_the_right n r c :
    (r < n)%nat -> sum n (fun s => unit_lower r s * unit_lower_inverse s c) = identity r c.
  Proof. exact: forward_substitution_solves. Qed.

  (** Forward substitution is multiplication by the inverse, in which only rows up to r count. *)
  Lemma inverse_above r c : (r < c)%nat -> unit_lower_inverse r c = 0.
  Proof.
    elim/lt_wf_ind: r => r IH bound; rewrite /unit_lower_inverse forward_substitution_row.
    rewrite sum_of_zeros => [s small|].
      by rewrite -/(unit_lower_inverse s c) IH; [lia | lia | ring].
    by rewrite /identity (proj2 (Nat.eqb_neq _ _)); [lia | ring].
  Qed.

  Theorem forward_substitution_is_inverse right n r c :
    (r < n)%nat ->
    forward_substitution right r c = sum n (fun s => unit_lower_inverse r s * right s c).
  Proof.
    pose proof (forward_substitution_unique right n
      (fun r c => sum n (fun s => unit_lower_inverse r s * right s c)) c) as unique.
    apply: unique => {}r bound.
    rewrite -{1}(sum_identity n r (fun s => right s c)) //.
    under [X in _ - X]eq_sum => m _ do rewrite mul_sum.
    rewrite sum_exchange -sum_sub; apply: eq_sum => s _.
    rewrite {1}/unit_lower_inverse forward_substitution_row -/unit_lower_inverse.
    have -> : sum r (fun m => lower r m * (unit_lower_inverse m s * right s c)) =
      sum r (fun m => lower r m * unit_lower_inverse m s) * right s c.
      by rewrite sum_mul; apply: eq_sum => m _; ring.
    by rewrite /unit_lower_inverse; ring.
  Qed.

  Definition inverse_times_matrix (n r c : nat) : R :=
    sum n (fun s => unit_lower_inverse r s * unit_lower s c).

  Theorem inverse_on_the_left n r c :
    (r < n)%nat -> (c < n)%nat -> inverse_times_matrix n r c = identity r c.
  Proof.
    move=> r_bound c_bound.
    have solution x :
      (forall r, (r < n)%nat -> sum n (fun s => unit_lower r s * x s c) = unit_lower r c) ->
      forward_substitution unit_lower r c = x r c.
      move=> solves; apply: (forward_substitution_unique _ n) => // r' bound.
      by rewrite -solves // unit_lower_row //; ring.
    rewrite -(solution (inverse_times_matrix n)) ?(solution identity) // => r' bound.
    - rewrite /inverse_times_matrix.
      under eq_sum => s _ do rewrite mul_sum.
      rewrite sum_exchange.
      transitivity (sum n (fun m => identity r' m * unit_lower m c)); last by rewrite sum_identity.
      apply: eq_sum => m _; rewrite -(inverse_on_the_right n r' m) // sum_mul.
      by apply: eq_sum => s _; ring.
    - by rewrite sum_identity_right.
  Qed.
End Triangular.

(** ** The inverse by blocks: [A 0; B D]^-1 = [A^-1 0; -D^-1 B A^-1 D^-1] *)
Section Blocks.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring block_numbers : (@ring_laws R ops laws).
  Variables (lower : nat -> nat -> R) (first : nat).

  Notation inverse := (unit_lower_inverse lower).
  Definition diagonal_block (r c : nat) : R := lower (first + r) (first + c).

  Theorem inverse_diagonal_block r c :
    inverse (first + r) (first + c) = unit_lower_inverse diagonal_block r c.
  Proof.
    symmetry.
    apply: (forward_substitution_unique _ _ (S r) (fun r c => inverse (first + r) (first + c))) => //.
    move=> r' _; rewrite {1}/unit_lower_inverse forward_substitution_row sum_split sum_of_zeros.
      by move=> s small; rewrite -/(inverse s (first + c)) inverse_above; [lia | ring].
    have -> : identity (first + r') (first + c) = identity r' c :> R.
      by rewrite /identity; case: (Nat.eqb_spec r' c) => same; case: Nat.eqb_spec => //; lia.
    by rewrite /diagonal_block /unit_lower_inverse; ring.
  Qed.

  Theorem inverse_left_block r c :
    (c < first)%nat ->
    inverse (first + r) c =
      - sum (S r) (fun s => unit_lower_inverse diagonal_block r s *
                            sum first (fun m => lower (first + s) m * inverse m c)).
  Proof.
    move=> left.
    pose proof (forward_substitution_unique diagonal_block
      (fun s c => - sum first (fun m => lower (first + s) m * inverse m c)) (S r)
      (fun r c => inverse (first + r) c) c) as unique.
    rewrite -unique //.
    - move=> r' _; rewrite {1}/unit_lower_inverse forward_substitution_row sum_split.
      rewrite identity_other; first lia.
      by rewrite /diagonal_block /unit_lower_inverse; ring.
    - rewrite (forward_substitution_is_inverse _ _ (S r)) // -sum_opp.
      by apply: eq_sum => s _; ring.
  Qed.
End Blocks.

(** ** The inverse by doubling: (I - L) (I + L^2) (I + L^4) ... *)
Section Doubling.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring doubling_numbers : (@ring_laws R ops laws).
  Variables (lower : nat -> nat -> R) (n : nat).

  (** Minus L, with nothing on or above the diagonal. *)
  Definition strict (r c : nat) : R := if (c <? r)%nat then - lower r c else 0.

  (** A power of L and what it has been multiplied into so far, after some rounds. *)
  Fixpoint doubled (rounds : nat) : (nat -> nat -> R) * (nat -> nat -> R) :=
    match rounds with
    | O => (strict, fun r c => identity r c + strict r c)
    | S k =>
        let power := times n (fst (doubled k)) (fst (doubled k)) in
        (power, fun r c => snd (doubled k) r c + times n (snd (doubled k)) power r c)
    end.
  Definition inverse_by_doubling (rounds : nat) : nat -> nat -> R := snd (doubled rounds).

  Lemma doubled_is_power k r c :
    (r < n)%nat -> (c < n)%nat ->
    fst (doubled k) r c = matrix_power n strict (2 ^ k) r c /\
    snd (doubled k) r c = geometric_sum n strict (2 ^ S k) r c.
  Proof.
    elim: k r c => [| k IH] r c r_bound c_bound.
      rewrite /geometric_sum /= /times (sum_identity_right n c (fun l => strict r l)) //.
      by split; ring.
    have power l : (l < n)%nat ->
      times n (fst (doubled k)) (fst (doubled k)) l c = matrix_power n strict (2 ^ S k) l c.
      move=> l_bound.
      have -> : (2 ^ S k = 2 ^ k + 2 ^ k)%nat by rewrite /=; lia.
      rewrite matrix_power_add //.
      by apply: eq_times => m bound;
        [have [-> _] := IH l m l_bound bound | have [-> _] := IH m c bound c_bound].
    split; first exact: power.
    have -> : (2 ^ S (S k) = 2 ^ S k + 2 ^ S k)%nat by rewrite /=; lia.
    rewrite geometric_sum_double //; have [_ so_far] := IH r c r_bound c_bound.
    rewrite [LHS]/= so_far; congr add; apply: eq_times => m bound; last exact: power.
    by have [_ ->] := IH r m r_bound bound.
  Qed.

  (** Each power of a strictly lower matrix has one more empty diagonal, so the n-th is 0. *)
  Lemma strict_power_empty k r c : (r < c + k)%nat -> matrix_power n strict k r c = 0.
  Proof.
    elim: k r => [| k IH] r near /=; first by apply: identity_other; lia.
    apply: sum_of_zeros => l _; rewrite /strict.
    case: Nat.ltb_spec => below; last by ring.
    by rewrite IH; [lia | ring].
  Qed.

  (** When the powers have run out, what has been multiplied is the inverse. *)
  Theorem inverse_by_doubling_same_inverse rounds r c :
    (n <= 2 ^ S rounds)%nat -> (r < n)%nat -> (c < n)%nat ->
    inverse_by_doubling rounds r c = unit_lower_inverse lower r c.
  Proof.
    move=> enough r_bound c_bound; symmetry.
    apply: (forward_substitution_unique lower identity n (inverse_by_doubling rounds)) => // {}r {}r_bound.
    have sum_is l :
      (l < n)%nat -> inverse_by_doubling rounds l c = geometric_sum n strict (2 ^ S rounds) l c.
      by move=> bound; have [_] := doubled_is_power rounds l c bound c_bound.
    have product : times n strict (geometric_sum n strict (2 ^ S rounds)) r c =
      - sum r (fun s => lower r s * inverse_by_doubling rounds s c).
      rewrite /times -sum_opp.
      transitivity (sum (r + (n - r)) (fun l => strict r l * geometric_sum n strict (2 ^ S rounds) l c)).
        by congr sum; lia.
      rewrite sum_split (sum_of_zeros (n - r)).
        by move=> l _; rewrite /strict (proj2 (Nat.ltb_ge _ _)); [lia | ring].
      transitivity (sum r (fun l => strict r l * geometric_sum n strict (2 ^ S rounds) l c)); first by ring.
      apply: eq_sum => l small; rewrite sum_is; first lia.
      by rewrite /strict (proj2 (Nat.ltb_lt _ _)) //; ring.
    have empty : matrix_power n strict (2 ^ S rounds) r c = 0 by apply: strict_power_empty; lia.
    pose proof (geometric_sum_telescopes n strict (2 ^ S rounds) r c r_bound) as telescoped.
    rewrite product empty -sum_is // in telescoped.
    transitivity (inverse_by_doubling rounds r c -
      - sum r (fun s => lower r s * inverse_by_doubling rounds s c) -
      sum r (fun s => lower r s * inverse_by_doubling rounds s c)); first by ring.
    by rewrite telescoped; ring.
  Qed.
End Doubling.
