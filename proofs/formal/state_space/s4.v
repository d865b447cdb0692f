(** * S4: one linear system, as a recurrence, as a convolution, and through its generating function

    The twin of [reference/state_space/s4.hpp]. The system has N states, a matrix [a], an input column [b], a
    read-out row [c] and a skip connection. Over complex numbers, whose laws are those of a ring, the real
    part is taken of the output. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums triangular.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R}.
  Variable size : nat.

  Definition apply (a : nat -> nat -> R) (x : nat -> R) (i : nat) : R := sum size (fun l => a i l * x l).
  Definition dot (c x : nat -> R) : R := sum size (fun i => c i * x i).

  (** a^l x *)
  Fixpoint apply_power (a : nat -> nat -> R) (l : nat) (x : nat -> R) : nat -> R :=
    match l with
    | O => x
    | S l => apply a (apply_power a l x)
    end.

  Variables (a : nat -> nat -> R) (b c : nat -> R) (skip : R) (input initial_state : nat -> R).

  (** The recurrence: h_t = a h_(t-1) + b u_t, y_t = c h_t + D u_t. *)
  Fixpoint state (t : nat) : nat -> R :=
    match t with
    | O => initial_state
    | S t => fun i => apply a (state t) i + b i * input t
    end.
  Definition recurrent (t : nat) : R := dot c (state (S t)) + skip * input t.

  (** The convolution: kernel_l = c a^l b, and what is left of the initial state. *)
  Definition kernel (l : nat) : R := dot c (apply_power a l b).
  Definition convolution (t : nat) : R :=
    sum (S t) (fun l => kernel l * input (t - l)%nat) + dot c (apply_power a (S t) initial_state) +
    skip * input t.

  (** The generating function of a kernel of finite length, as a polynomial. *)
  Definition generating_function (length : nat) (z : R) : R :=
    sum length (fun l => kernel l * power z l).
End Text.

Section Ring.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variable size : nat.
  Implicit Types (a : nat -> nat -> R) (x y : nat -> R).

  Notation apply := (apply size).
  Notation apply_power := (apply_power size).
  Notation dot := (dot size).

  Lemma apply_add a x y i : apply a (fun l => x l + y l) i = apply a x i + apply a y i.
  Proof. by rewrite -sum_add; apply: eq_sum => l _; ring. Qed.

  Lemma apply_sub a x y i : apply a (fun l => x l - y l) i = apply a x i - apply a y i.
  Proof. by rewrite -sum_sub; apply: eq_sum => l _; ring. Qed.

  Lemma apply_scale a z x i : apply a (fun l => z * x l) i = z * apply a x i.
  Proof. by rewrite /s4.apply mul_sum; apply: eq_sum => l _; ring. Qed.

  Lemma apply_sum a n (f : nat -> nat -> R) i :
    apply a (fun l => sum n (fun k => f k l)) i = sum n (fun k => apply a (f k) i).
  Proof. by rewrite -sum_exchange; apply: eq_sum => l _; rewrite mul_sum. Qed.

  Lemma eq_apply a x y i : (forall l, (l < size)%nat -> x l = y l) -> apply a x i = apply a y i.
  Proof. by move=> same; apply: eq_sum => l small; rewrite same. Qed.

  Section System.
    Variables (a : nat -> nat -> R) (b c : nat -> R) (skip : R) (input initial_state : nat -> R).

    (** The state is what each sample has become since, and what the initial state has. *)
    Lemma state_unrolled t i :
      state size a b input initial_state t i =
        sum t (fun l => apply_power a l b i * input (t - S l)%nat) + apply_power a t initial_state i.
    Proof.
      elim: t i => [| t IH] i; first by rewrite /=; ring.
      rewrite sum_first Nat.sub_succ Nat.sub_0_r [LHS]/=.
      under eq_apply => l _ do rewrite IH.
      rewrite apply_add apply_sum.
      have -> : sum t (fun k => apply a (fun l => apply_power a k b l * input (t - S k)%nat) i) =
                sum t (fun l => apply_power a (S l) b i * input (S t - S (S l))%nat).
        apply: eq_sum => k _; rewrite Nat.sub_succ /= /s4.apply sum_mul.
        by apply: eq_sum => l _; ring.
      by rewrite [apply_power a 0 b]/= [apply_power a (S t) _]/=; ring.
    Qed.

    (** Running the recurrence is convolving with the kernel. *)
    Theorem convolution_same_recurrent t :
      convolution size a b c skip input initial_state t = recurrent size a b c skip input initial_state t.
    Proof.
      rewrite /recurrent /convolution; congr add; rewrite /s4.dot.
      under [RHS]eq_sum => i _ do rewrite state_unrolled.
      have -> : sum (S t) (fun l => kernel size a b c l * input (t - l)%nat) =
        sum size (fun i => c i * sum (S t) (fun l => apply_power a l b i * input (S t - S l)%nat)).
        under [RHS]eq_sum => i _ do rewrite mul_sum.
        rewrite sum_exchange; apply: eq_sum => l _.
        by rewrite /kernel /s4.dot sum_mul Nat.sub_succ; apply: eq_sum => i _; ring.
      by rewrite -sum_add; apply: eq_sum => i _; ring.
    Qed.

    (** ** The generating function

        If x solves (I - z a) x = b, the finite sum of kernel_l z^l telescopes: it is c x, less what a kernel
        that never ends would add from [length] on. Nothing is divided, so z may be any number. *)
    Lemma power_of_resolvent z x l i :
      (forall i, (i < size)%nat -> x i - z * apply a x i = b i) -> (i < size)%nat ->
      apply_power a l b i = apply_power a l x i - z * apply_power a (S l) x i.
    Proof.
      move=> resolvent; elim: l i => [| l IH] i bound; first by rewrite [LHS]/= -resolvent.
      rewrite [LHS]/= (eq_apply a _ (fun i => apply_power a l x i - z * apply_power a (S l) x i)) //.
      by rewrite apply_sub apply_scale.
    Qed.

    Theorem generating_function_truncated z x length :
      (forall i, (i < size)%nat -> x i - z * apply a x i = b i) ->
      generating_function size a b c length z = dot c x - power z length * dot c (apply_power a length x).
    Proof.
      move=> resolvent; rewrite /generating_function.
      elim: length => [| length IH]; first by rewrite /=; ring.
      rewrite sum_last IH /kernel /s4.dot.
      have -> : sum size (fun i => c i * apply_power a length b i) =
        sum size (fun i => c i * apply_power a length x i) -
        z * sum size (fun i => c i * apply_power a (S length) x i).
        rewrite mul_sum -sum_sub; apply: eq_sum => i small.
        by rewrite (power_of_resolvent z x) //; ring.
      by rewrite [power z (S length)]/=; ring.
    Qed.

    (** At a root of unity the correction belongs to the read-out: c' = c (I - a^L). *)
    Fixpoint row_power (l : nat) : nat -> R :=
      match l with O => c | S l => fun i => sum size (fun m => row_power l m * a m i) end.

    Lemma row_power_dot l x : dot (row_power l) x = dot c (apply_power a l x).
    Proof.
      elim: l x => [// | l IH] x.
      have -> : apply_power a (S l) x = apply_power a l (apply a x).
        by elim: l {IH} => [// | l IH]; rewrite [RHS]/= -IH.
      rewrite -IH /s4.dot /s4.apply.
      under [RHS]eq_sum => i _ do rewrite mul_sum.
      rewrite sum_exchange; apply: eq_sum => i _.
      by rewrite /= sum_mul; apply: eq_sum => m _; ring.
    Qed.

    Theorem generating_function_at_root_of_unity z x length :
      (forall i, (i < size)%nat -> x i - z * apply a x i = b i) -> power z length = 1 ->
      generating_function size a b c length z = dot (fun i => c i - row_power length i) x.
    Proof.
      move=> resolvent root; rewrite (generating_function_truncated z x) // root -row_power_dot /s4.dot.
      transitivity (sum size (fun i => c i * x i) - sum size (fun i => row_power length i * x i)).
        by ring.
      by rewrite -sum_sub; apply: eq_sum => i _; ring.
    Qed.
  End System.
End Ring.

(** A sequence may be cut anywhere. *)
Theorem split_state {R : Type} {ops : operations R} size (a : nat -> nat -> R) b input initial_state m t i :
  state size a b (fun t => input (m + t)%nat) (state size a b input initial_state m) t i =
    state size a b input initial_state (m + t) i.
Proof.
  elim: t i => [| t IH] i; rewrite ?Nat.add_0_r ?Nat.add_succ_r //=; congr add.
  by apply: eq_sum => l _; rewrite IH.
Qed.

(** ** Diagonal plus low rank

    [diagonal x + p q^T x = right] costs no more than a diagonal system: Woodbury's identity solves it once
    the small matrix I + q^T diagonal^-1 p is inverted; [small_inverse] is that inverse. *)
Section Woodbury.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field woodbury_numbers : (@field_laws R ops div laws).
  Variables (size rank : nat) (diagonal : nat -> R) (p q : nat -> nat -> R).
  Variable small_inverse : nat -> nat -> R.

  (** The Cauchy sums k_xy, without conjugation. *)
  Definition cauchy (x y : nat -> R) : R := sum size (fun i => x i * y i / diagonal i).
  Definition column (x : nat -> nat -> R) (s i : nat) : R := x i s.

  Definition woodbury (right : nat -> R) (i : nat) : R :=
    (right i - sum rank (fun s => p i s *
       sum rank (fun s' => small_inverse s s' * cauchy (column q s') right))) / diagonal i.

  Hypothesis not_0 : forall i, (i < size)%nat -> diagonal i <> 0.
  Hypothesis inverts : forall s s', (s < rank)%nat -> (s' < rank)%nat ->
    sum rank (fun m => (identity s m + cauchy (column q s) (column p m)) * small_inverse m s') =
      identity s s'.

  Variable right : nat -> R.
  Notation middle s := (sum rank (fun s' => small_inverse s s' * cauchy (column q s') right)).

  (** The read-out through the low rank: k_xB - k_xP (I + k_QP)^-1 k_QB. *)
  Theorem woodbury_read_out x :
    sum size (fun i => x i * woodbury right i) =
      cauchy x right - sum rank (fun s => cauchy x (column p s) * middle s).
  Proof.
    have -> : sum rank (fun s => cauchy x (column p s) * middle s) =
      sum size (fun i => sum rank (fun s => x i * (p i s * middle s) / diagonal i)).
      rewrite sum_exchange; apply: eq_sum => s _; rewrite sum_mul; apply: eq_sum => i small.
      by rewrite /column; field; exact: not_0.
    rewrite /cauchy -sum_sub; apply: eq_sum => i small.
    have -> : sum rank (fun s => x i * (p i s * middle s) / diagonal i) =
      x i * sum rank (fun s => p i s * middle s) / diagonal i.
      rewrite /divide mul_sum sum_mul; apply: eq_sum => s _; ring.
    by rewrite /woodbury /cauchy; field; exact: not_0.
  Qed.

  Theorem woodbury_solves i :
    (i < size)%nat ->
    diagonal i * woodbury right i +
      sum rank (fun s => p i s * sum size (fun l => q l s * woodbury right l)) = right i.
  Proof.
    move=> small.
    have read s : (s < rank)%nat -> sum size (fun l => q l s * woodbury right l) = middle s.
      move=> bound; rewrite (woodbury_read_out (column q s)).
      have -> : cauchy (column q s) right =
        sum rank (fun s' => identity s s' * cauchy (column q s') right).
        by rewrite (sum_identity _ s (fun s' => cauchy (column q s') right)).
      have -> : sum rank (fun s' => identity s s' * cauchy (column q s') right) =
        sum rank (fun m => (identity s m + cauchy (column q s) (column p m)) * middle m).
        under [RHS]eq_sum => m _ do rewrite mul_sum.
        rewrite sum_exchange; apply: eq_sum => s' bound'.
        by rewrite -inverts // sum_mul; apply: eq_sum => m _; ring.
      rewrite -sum_sub -(sum_identity rank s (fun m => middle m)) //.
      by apply: eq_sum => m _; ring.
    under eq_sum => s bound do rewrite read //.
    by rewrite /woodbury; field; exact: not_0.
  Qed.
End Woodbury.

(** ** The bilinear step

    [(I - step/2 a) h' = (I + step/2 a) h + step b u], with [inverse_of] the inverse of I - step/2 a. *)
Section Bilinear.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field bilinear_numbers : (@field_laws R ops div laws).
  Variables (size : nat) (step : R) (a inverse_of : nat -> nat -> R) (b c : nat -> R).

  Definition half : R := step / (1 + 1).
  Definition a_bar (i j : nat) : R :=
    sum size (fun l => inverse_of i l * (identity l j + half * a l j)).
  Definition b_bar (i : nat) : R := sum size (fun l => inverse_of i l * (step * b l)).

  Hypothesis two_not_0 : (1 + 1 : R) <> 0.
  Hypothesis inverts : forall i j, (i < size)%nat -> (j < size)%nat ->
    sum size (fun l => inverse_of i l * (identity l j - half * a l j)) = identity i j.

  Lemma a_bar_applied x i :
    apply size a_bar x i = sum size (fun l => inverse_of i l * (x l + half * apply size a x l)).
  Proof.
    rewrite /apply /a_bar; under eq_sum => l _ do rewrite sum_mul.
    rewrite sum_exchange; apply: eq_sum => l bound.
    rewrite -{1}(sum_identity size l x) // mul_sum -sum_add mul_sum.
    by apply: eq_sum => k _; ring.
  Qed.

  Lemma inverse_applied x i :
    (i < size)%nat -> sum size (fun l => inverse_of i l * (x l - half * apply size a x l)) = x i.
  Proof.
    move=> small; rewrite -[RHS](sum_identity size i x) //.
    under [RHS]eq_sum => j bound do rewrite -inverts // sum_mul.
    rewrite sum_exchange; apply: eq_sum => l bound.
    rewrite -{1}(sum_identity size l x) // /apply mul_sum -sum_sub mul_sum.
    by apply: eq_sum => k _; ring.
  Qed.

  (** Whatever solves the implicit step is the explicit one. *)
  Theorem implicit_step_is_explicit h h' u :
    (forall i, (i < size)%nat ->
       h' i - half * apply size a h' i = h i + half * apply size a h i + step * b i * u) ->
    forall i, (i < size)%nat -> h' i = apply size a_bar h i + b_bar i * u.
  Proof.
    move=> implicit i small; rewrite -(inverse_applied h' i) // a_bar_applied /b_bar sum_mul -sum_add.
    by apply: eq_sum => l bound; rewrite implicit //; ring.
  Qed.

  (** The generating function of the discrete system is the transfer function of the continuous one, at
      [g = 2/step (1 - z)/(1 + z)]: no power of a_bar and no inverse of it is needed but that of g - a. *)
  Variables (z : R) (x : nat -> R).
  Hypothesis step_not_0 : step <> 0.
  Hypothesis z_not_minus_1 : 1 + z <> 0.
  Definition node : R := (1 + 1) / step * ((1 - z) / (1 + z)).
  Hypothesis x_solves : forall i, (i < size)%nat -> node * x i - apply size a x i = b i.

  Definition discrete_resolvent (i : nat) : R := (1 + 1) / (1 + z) * x i.

  Lemma discrete_resolvent_solves i :
    (i < size)%nat ->
    discrete_resolvent i - z * apply size a_bar discrete_resolvent i = b_bar i.
  Proof.
    move=> small; rewrite -{1}(inverse_applied discrete_resolvent i) // a_bar_applied mul_sum -sum_sub.
    apply: eq_sum => l bound; rewrite -x_solves // /discrete_resolvent (apply_scale size a) /node /half.
    by field.
  Qed.

  Theorem generating_function_of_bilinear length :
    generating_function size a_bar b_bar c length z =
      (1 + 1) / (1 + z) *
      (dot size c x - power z length * dot size c (apply_power size a_bar length x)).
  Proof.
    rewrite (generating_function_truncated size a_bar b_bar c z discrete_resolvent) //.
      exact: discrete_resolvent_solves.
    have scaled l i : apply_power size a_bar l discrete_resolvent i =
                      (1 + 1) / (1 + z) * apply_power size a_bar l x i.
      by elim: l i => [| l IH] i //=; rewrite -(apply_scale size a_bar); apply: eq_apply => k _.
    have -> : dot size c discrete_resolvent = (1 + 1) / (1 + z) * dot size c x.
      by rewrite /dot mul_sum; apply: eq_sum => i _; rewrite /discrete_resolvent; ring.
    have -> : dot size c (apply_power size a_bar length discrete_resolvent) =
              (1 + 1) / (1 + z) * dot size c (apply_power size a_bar length x).
      by rewrite /dot mul_sum; apply: eq_sum => i _; rewrite scaled; ring.
    by ring.
  Qed.
End Bilinear.

(** ** DPLR systems: a = Lambda - P Q^T *)
Section DPLR.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field dplr_numbers : (@field_laws R ops div laws).
  Variables (size rank : nat) (lambda : nat -> R) (p q : nat -> nat -> R).
  Variable small_inverse : nat -> nat -> R.

  Definition dplr (i j : nat) : R := identity i j * lambda i - sum rank (fun s => p i s * q j s).

  Lemma dplr_applied x i :
    (i < size)%nat ->
    apply size dplr x i =
      lambda i * x i - sum rank (fun s => p i s * sum size (fun l => q l s * x l)).
  Proof.
    move=> small; rewrite -(sum_identity size i x) // mul_sum.
    under [X in _ - X]eq_sum => s _ do rewrite mul_sum.
    rewrite sum_exchange -sum_sub; apply: eq_sum => l _; rewrite /dplr.
    have -> : sum rank (fun s => p i s * (q l s * x l)) = sum rank (fun s => p i s * q l s) * x l.
      by rewrite sum_mul; apply: eq_sum => s _; ring.
    by ring.
  Qed.

  Section AtNode.
    Variable g : R.
    Definition shifted (i : nat) : R := g - lambda i.
    Hypothesis not_0 : forall i, (i < size)%nat -> shifted i <> 0.
    Hypothesis inverts : forall s s', (s < rank)%nat -> (s' < rank)%nat ->
      sum rank (fun m => (identity s m + cauchy size shifted (column q s) (column p m)) *
                         small_inverse m s') = identity s s'.

    (** Woodbury's identity solves (g - a) x = right. *)
    Theorem dplr_resolvent right i :
      (i < size)%nat ->
      g * woodbury size rank shifted p q small_inverse right i -
        apply size dplr (woodbury size rank shifted p q small_inverse right) i = right i.
    Proof.
      move=> small.
      rewrite dplr_applied // -[RHS](woodbury_solves size rank shifted p q small_inverse not_0 inverts) //.
      by rewrite /shifted; ring.
    Qed.
  End AtNode.

  (** The O(N) step: the right side of the implicit step is diagonal plus low rank, and so is its inverse. *)
  Variables (step : R) (b : nat -> R).
  Hypothesis two_not_0 : (1 + 1 : R) <> 0.
  Hypothesis step_not_0 : step <> 0.
  Definition rate : R := (1 + 1) / step.

  Definition dplr_step (h : nat -> R) (u : R) : nat -> R :=
    woodbury size rank (shifted rate) p q small_inverse
      (fun i => (rate + lambda i) * h i - sum rank (fun s => p i s * sum size (fun l => q l s * h l)) +
                (1 + 1) * b i * u).

  Theorem dplr_step_same_implicit h u i :
    (forall i, (i < size)%nat -> shifted rate i <> 0) ->
    (forall s s', (s < rank)%nat -> (s' < rank)%nat ->
      sum rank (fun m => (identity s m + cauchy size (shifted rate) (column q s) (column p m)) *
                         small_inverse m s') = identity s s') ->
    (i < size)%nat ->
    dplr_step h u i - half step * apply size dplr (dplr_step h u) i =
      h i + half step * apply size dplr h i + step * b i * u.
  Proof.
    move=> not_0 inverts small.
    transitivity (half step * (rate * dplr_step h u i - apply size dplr (dplr_step h u) i)).
      by rewrite /half /rate; field.
    rewrite /dplr_step (dplr_resolvent rate not_0 inverts) // (dplr_applied h) // /half /rate.
    by field.
  Qed.

  (** Everything together: at a root of unity z the kernel's generating function is four Cauchy sums, for the
      read-out c' = c (I - a_bar^L). *)
  Theorem cauchy_sums_same_generating_function (inverse_of : nat -> nat -> R) (c : nat -> R) z length :
    let g := node step z in
    let corrected := fun i => c i - row_power size (a_bar size step dplr inverse_of) c length i in
    let k := cauchy size (shifted g) in
    (forall i j, (i < size)%nat -> (j < size)%nat ->
       sum size (fun l => inverse_of i l * (identity l j - half step * dplr l j)) = identity i j) ->
    (forall i, (i < size)%nat -> shifted g i <> 0) ->
    (forall s s', (s < rank)%nat -> (s' < rank)%nat ->
      sum rank (fun m => (identity s m + k (column q s) (column p m)) * small_inverse m s') =
        identity s s') ->
    1 + z <> 0 -> power z length = 1 ->
    generating_function size (a_bar size step dplr inverse_of) (b_bar size step inverse_of b) c length z =
      (1 + 1) / (1 + z) *
      (k corrected b - sum rank (fun s => k corrected (column p s) *
         sum rank (fun s' => small_inverse s s' * k (column q s') b))).
  Proof.
    move=> g corrected k inverse_right not_0 inverts z_not_minus_1 root.
    rewrite -(woodbury_read_out size rank (shifted g) p q small_inverse not_0).
    rewrite (generating_function_of_bilinear size step dplr inverse_of b c two_not_0 inverse_right z
               (woodbury size rank (shifted g) p q small_inverse b)) //.
      by move=> i small; rewrite dplr_resolvent.
    rewrite root -(row_power_dot size) /corrected /dot; congr mul.
    set x := woodbury _ _ _ _ _ _ _.
    set row := row_power _ _ _ _.
    transitivity (sum size (fun i => c i * x i) - sum size (fun i => row i * x i)); first by ring.
    by rewrite -sum_sub; apply: eq_sum => i _; ring.
  Qed.
End DPLR.
