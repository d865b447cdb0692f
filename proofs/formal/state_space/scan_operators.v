(** * The operators of associative scans

    What one token does to the state is an affine map, and doing one after the other is an affine map again.
    Here: which descriptions of such maps can be combined, and that combining them in any order of brackets
    gives the recurrence. *)
From Coq Require Import ssreflect Ring Arith Lia List.
From Etalon.base Require Import operations sums chunks scan triangular.
From Etalon.gated_recurrence Require delta_rule.
Import ListNotations.
Open Scope number_scope.

(** ** One number (or one channel of a diagonal): x becomes [factor * x + offset] *)
Section Diagonal.
  Context {R : Type} {ops : operations R}.

  Record affine := Affine { factor : R; offset : R }.
  Definition affine_combine (a b : affine) : affine :=
    Affine (factor b * factor a) (factor b * offset a + offset b).
  Definition affine_act (a : affine) (x : R) : R := factor a * x + offset a.

  Context {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  Theorem affine_associative a b c :
    affine_combine (affine_combine a b) c = affine_combine a (affine_combine b c).
  Proof. by rewrite /affine_combine /=; congr Affine; ring. Qed.

  Lemma affine_combine_acts a b x : affine_act (affine_combine a b) x = affine_act b (affine_act a x).
  Proof. by rewrite /affine_act /=; ring. Qed.

  (** Any bracketing of the steps of [x (t + 1) = a t * x t + u t] gives x. *)
  Theorem any_bracketing_same_recurrence (a u x : nat -> R) n t :
    (forall t, x (S t) = a t * x t + u t) ->
    steps t = map (fun t => Affine (a t) (u t)) (seq 0 n) ->
    affine_act (combined affine_combine t) (x 0%nat) = x n.
  Proof.
    move=> step in_order.
    rewrite (any_bracketing_is_the_recurrence affine_combine eq affine_act) //.
    - by move=> ? ? ? -> ->.
    - by move=> ? ? ? ->.
    - exact: affine_combine_acts.
    - rewrite in_order /run; elim: n {in_order} => [| n IH] //.
      by rewrite seq_S map_app fold_left_app IH /= step.
  Qed.

  (** So does doubling, for all prefixes at once: after k rounds, all states up to 2^k are right. *)
  Theorem doubling_same_recurrence (a u x : nat -> R) k t :
    (forall t, x (S t) = a t * x t + u t) -> (t < 2 ^ k)%nat ->
    affine_act (doubling affine_combine (fun t => Affine (a t) (u t)) k t) (x 0%nat) = x (S t).
  Proof.
    move=> step small; rewrite doubling_same_chain //; first exact: affine_associative.
    elim: t {small} => [| t IH]; first by rewrite step.
    by rewrite [chain _ _ _ _]/= affine_combine_acts IH (step (S t)).
  Qed.
End Diagonal.

(** ** A matrix that acts on all columns of a state: S becomes [matrix S + offset] *)
Section Matrix.
  Context {R : Type} {ops : operations R}.
  Variable n : nat.

  Record matrix_affine := MatrixAffine { matrix : nat -> nat -> R; added : nat -> nat -> R }.
  Definition matrix_combine (a b : matrix_affine) : matrix_affine :=
    MatrixAffine (times n (matrix b) (matrix a))
                 (fun i j => times n (matrix b) (added a) i j + added b i j).
  Definition matrix_act (a : matrix_affine) (s : nat -> nat -> R) (i j : nat) : R :=
    times n (matrix a) s i j + added a i j.

  Context {laws : commutative_ring R}.
  Add Ring matrix_numbers : (@ring_laws R ops laws).

  Theorem matrix_associative a b c :
    same_matrix (matrix (matrix_combine (matrix_combine a b) c))
                (matrix (matrix_combine a (matrix_combine b c))) /\
    same_matrix (added (matrix_combine (matrix_combine a b) c))
                (added (matrix_combine a (matrix_combine b c))).
  Proof.
    split=> i j /=; first by rewrite times_associative.
    by rewrite times_add times_associative; ring.
  Qed.

  Lemma matrix_combine_acts a b s :
    same_matrix (matrix_act (matrix_combine a b) s) (matrix_act b (matrix_act a s)).
  Proof. by move=> i j; rewrite /matrix_act /= times_add times_associative; ring. Qed.

  Theorem any_bracketing_of_matrices_same_recurrence t s :
    same_matrix (matrix_act (combined matrix_combine t) s) (run matrix_act (steps t) s).
  Proof.
    apply: (any_bracketing_is_the_recurrence matrix_combine same_matrix matrix_act) => //.
    - by move=> a b c same_ab same_bc i j; rewrite same_ab same_bc.
    - move=> e a b same_ab i j; rewrite /matrix_act /times; congr add.
      by apply: eq_sum => l _; rewrite same_ab.
    - exact: matrix_combine_acts.
  Qed.
End Matrix.

(** ** Identity minus low rank, as in the delta rule: S becomes [S + K^T (U - W S)]

    A map is a list of rows (k, w, u). The second map must first be told what the first has written: its w and
    u lose what they find there. Ranks add up, so a chunk of m tokens has rank m. *)
Section LowRank.
  Context {R : Type} {ops : operations R}.
  Variable d_k : nat.

  Record row := Row { k : nat -> R; w : nat -> R; u : nat -> R }.
  Definition low_rank := list row.

  Definition dot (a b : nat -> R) : R := sum d_k (fun i => a i * b i).
  Fixpoint total (rows : low_rank) (f : row -> R) : R :=
    match rows with [] => 0 | r :: rest => f r + total rest f end.

  Definition low_rank_act (a : low_rank) (s : nat -> nat -> R) (i j : nat) : R :=
    s i j + total a (fun r => k r i * (u r j - dot (w r) (fun l => s l j))).

  Definition told (a : low_rank) (r : row) : row :=
    Row (k r) (fun l => w r l - total a (fun e => dot (w r) (k e) * w e l))
              (fun j => u r j - total a (fun e => dot (w r) (k e) * u e j)).
  Definition low_rank_combine (a b : low_rank) : low_rank := a ++ map (told a) b.

  Context {laws : commutative_ring R}.
  Add Ring low_rank_numbers : (@ring_laws R ops laws).

  Lemma total_app a b f : total (a ++ b) f = total a f + total b f.
  Proof. by elim: a => [| r a IH] /=; [ring | rewrite IH; ring]. Qed.

  Lemma total_map a g f : total (map g a) f = total a (fun r => f (g r)).
  Proof. by elim: a => [| r a IH] //=; rewrite IH. Qed.

  Lemma eq_total a f g : (forall r, f r = g r) -> total a f = total a g.
  Proof. by move=> same; elim: a => [| r a IH] //=; rewrite same IH. Qed.

  (** What a row finds in the state that [a] leaves. *)
  Lemma dot_after a (s : nat -> nat -> R) x j :
    dot x (fun l => low_rank_act a s l j) =
      dot x (fun l => s l j) + total a (fun e => dot x (k e) * (u e j - dot (w e) (fun l => s l j))).
  Proof.
    rewrite /low_rank_act; elim: a => [| r a IH] /=.
      transitivity (dot x (fun l => s l j)); last by ring.
      by apply: eq_sum => l _; ring.
    rewrite /dot in IH *.
    set found := u r j - _.
    transitivity (sum d_k (fun i => x i * (s i j + total a (fun e => k e i *
        (u e j - sum d_k (fun l => w e l * s l j))))) + sum d_k (fun i => x i * k r i) * found).
      by rewrite sum_mul -sum_add; apply: eq_sum => i _; ring.
    by rewrite IH; ring.
  Qed.

  Lemma dot_told a (s : nat -> nat -> R) r j :
    dot (w (told a r)) (fun l => s l j) =
      dot (w r) (fun l => s l j) - total a (fun e => dot (w r) (k e) * dot (w e) (fun l => s l j)).
  Proof.
    rewrite /told /=; move: (w r) => x.
    have -> : total a (fun e => dot x (k e) * dot (w e) (fun l => s l j)) =
      dot (fun l => total a (fun e => dot x (k e) * w e l)) (fun l => s l j).
      elim: a => [| e a IH] /=; first by rewrite /dot sum_of_zeros // => l _; ring.
      by rewrite IH /dot mul_sum -sum_add; apply: eq_sum => l _; ring.
    by rewrite /dot -sum_sub; apply: eq_sum => l _; ring.
  Qed.

  Theorem low_rank_combine_acts a b s :
    same_matrix (low_rank_act (low_rank_combine a b) s) (low_rank_act b (low_rank_act a s)).
  Proof.
    move=> i j; rewrite {1}/low_rank_act /low_rank_combine total_app total_map.
    have -> : total b (fun r => k (told a r) i * (u (told a r) j - dot (w (told a r)) (fun l => s l j))) =
      total b (fun r => k r i * (u r j - dot (w r) (fun l => low_rank_act a s l j))).
      apply: eq_total => r; rewrite dot_told dot_after /=; congr mul.
      have -> : total a (fun e => dot (w r) (k e) * (u e j - dot (w e) (fun l => s l j))) =
        total a (fun e => dot (w r) (k e) * u e j) -
        total a (fun e => dot (w r) (k e) * dot (w e) (fun l => s l j)).
        by elim: (a) => [| e rest IH] /=; [ring | rewrite IH; ring].
      by ring.
    by rewrite /low_rank_act; ring.
  Qed.

  Lemma low_rank_act_respects a s s' :
    same_matrix s s' -> same_matrix (low_rank_act a s) (low_rank_act a s').
  Proof.
    move=> same i j; rewrite /low_rank_act same; congr add; apply: eq_total => r.
    by congr (_ * (_ - _)); apply: eq_sum => l _; rewrite same.
  Qed.

  (** The maps combine associatively, even though their lists are written differently. *)
  Theorem low_rank_associative a b c s :
    same_matrix (low_rank_act (low_rank_combine (low_rank_combine a b) c) s)
                (low_rank_act (low_rank_combine a (low_rank_combine b c)) s).
  Proof.
    move=> i j; rewrite !low_rank_combine_acts.
    by apply: low_rank_act_respects; exact: low_rank_combine_acts.
  Qed.

  (** The delta rule is such a recurrence, so its tokens may be combined in any order of brackets. *)
  Definition delta_rule_step (key value : nat -> nat -> R) (beta : nat -> R) (t : nat) : low_rank :=
    [Row (key t) (fun l => beta t * key t l) (fun j => beta t * value t j)].

  Theorem any_bracketing_same_delta_rule key value beta initial_state n t :
    steps t = map (delta_rule_step key value beta) (seq 0 n) ->
    same_matrix (low_rank_act (combined low_rank_combine t) initial_state)
                (delta_rule.state d_k key value beta initial_state n).
  Proof.
    move=> in_order i j.
    rewrite (any_bracketing_is_the_recurrence low_rank_combine same_matrix low_rank_act) //.
    - by move=> a b c same_ab same_bc i' j'; rewrite same_ab same_bc.
    - exact: low_rank_act_respects.
    - exact: low_rank_combine_acts.
    - rewrite in_order /run; elim: n i j {in_order} => [| n IH] i j //.
      rewrite seq_S map_app fold_left_app [in LHS]/= /low_rank_act /= IH.
      have -> : dot (fun l => beta n * key n l) (fun l =>
          fold_left (fun s e => low_rank_act e s) (map (delta_rule_step key value beta) (seq 0 n))
            initial_state l j) =
        beta n * sum d_k (fun l => delta_rule.state d_k key value beta initial_state n l j * key n l).
        by rewrite /dot mul_sum; apply: eq_sum => l _; rewrite IH; ring.
      by ring.
  Qed.
End LowRank.
