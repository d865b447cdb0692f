(** * Scans: a recurrence, bracketed in any way

    [combine a b] is first a, then b. Where it is associative, a long chain of steps can be cut anywhere and
    the parts combined in any order of brackets: that is what makes a recurrence parallel. *)
From Coq Require Import ssreflect Arith Lia List.
Import ListNotations.

(** A way to bracket a chain of steps. *)
Inductive tree (E : Type) := leaf (e : E) | node (before after : tree E).
Arguments leaf {E}.
Arguments node {E}.

Section Scan.
  Context {E : Type} (combine : E -> E -> E).

  Fixpoint combined (t : tree E) : E :=
    match t with
    | leaf e => e
    | node before after => combine (combined before) (combined after)
    end.

  Fixpoint steps (t : tree E) : list E :=
    match t with
    | leaf e => [e]
    | node before after => steps before ++ steps after
    end.

  (** The steps from [first] on, [more] after it, one after the other. *)
  Fixpoint chain (e : nat -> E) (first more : nat) : E :=
    match more with
    | O => e first
    | S more => combine (chain e first more) (e (first + S more))
    end.

  (** Doubling (Hillis and Steele): in round k each position combines what stands 2^k to its left. *)
  Fixpoint doubling (e : nat -> E) (rounds t : nat) : E :=
    match rounds with
    | O => e t
    | S k => if 2 ^ k <=? t then combine (doubling e k (t - 2 ^ k)) (doubling e k t) else doubling e k t
    end.

  (** ** Steps that act on a state

      States are compared by [same], since a state may be a function whose values are all that matters. *)
  Section Action.
    Context {State : Type} (same : State -> State -> Prop) (act : E -> State -> State).
    Hypothesis same_refl : forall s, same s s.
    Hypothesis same_trans : forall s s' s'', same s s' -> same s' s'' -> same s s''.
    Hypothesis act_respects : forall e s s', same s s' -> same (act e s) (act e s').
    Hypothesis combine_acts : forall a b s, same (act (combine a b) s) (act b (act a s)).

    (** The recurrence: one step after the other. *)
    Definition run (steps : list E) (s : State) : State := fold_left (fun s e => act e s) steps s.

    Lemma run_respects rest s s' : same s s' -> same (run rest s) (run rest s').
    Proof. by elim: rest s s' => [| e rest IH] s s' //= close; apply/IH/act_respects. Qed.

    (** Any bracketing, applied to a state, is the recurrence. *)
    Theorem any_bracketing_is_the_recurrence t s : same (act (combined t) s) (run (steps t) s).
    Proof.
      elim: t s => [e | before IHb after IHa] s /=; first exact: same_refl.
      apply: same_trans (combine_acts _ _ _) _.
      rewrite /run fold_left_app -/(run (steps before) s).
      by apply: same_trans (IHa _) _; apply: run_respects.
    Qed.
  End Action.

  (** ** Steps that combine associatively *)
  Section Associative.
    Hypothesis associative : forall a b c, combine (combine a b) c = combine a (combine b c).

    Lemma fold_combine e rest tail :
      fold_left combine (rest ++ tail) e = fold_left combine tail (fold_left combine rest e).
    Proof. exact: fold_left_app. Qed.

    Lemma combine_fold a e rest :
      combine a (fold_left combine rest e) = fold_left combine rest (combine a e).
    Proof. by elim: rest e => [| r rest IH] e //=; rewrite IH associative. Qed.

    (** Every bracketing is the one that combines from the left, one step at a time. *)
    Theorem any_bracketing_same t :
      match steps t with
      | [] => False
      | e :: rest => combined t = fold_left combine rest e
      end.
    Proof.
      elim: t => [e | before IHl after IHr] //=.
      case: (steps before) IHl => [| e rest] //= ->.
      case: (steps after) IHr => [| e' rest'] //= ->.
      by rewrite fold_combine combine_fold.
    Qed.

    Theorem any_two_bracketings_same t u : steps t = steps u -> combined t = combined u.
    Proof.
      move=> same; have := any_bracketing_same t; have := any_bracketing_same u.
      by rewrite same; case: (steps u) => [| e rest] // -> ->.
    Qed.

    Lemma chain_split e first m n :
      chain e first (m + S n) = combine (chain e first m) (chain e (first + S m) n).
    Proof.
      elim: n => [| n IH]; first by rewrite Nat.add_1_r.
      rewrite Nat.add_succ_r [LHS]/= IH [in RHS]/= associative.
      by have -> : first + S m + S n = first + S (m + S n) by lia.
    Qed.

    (** After k rounds a position has combined the 2^k steps up to its own, or all there are. *)
    Lemma doubling_window e k t :
      doubling e k t = if 2 ^ k <=? t then chain e (t - (2 ^ k - 1)) (2 ^ k - 1) else chain e 0 t.
    Proof.
      elim: k t => [| k IH] t.
        by case: t.
      have positive : 0 < 2 ^ k by apply/Nat.neq_0_lt_0/Nat.pow_nonzero.
      rewrite [LHS]/= !IH Nat.pow_succ_r'.
      case: (Nat.leb_spec (2 ^ k) t) => far; last by rewrite (proj2 (Nat.leb_gt _ _)) //; lia.
      case: (Nat.leb_spec (2 ^ k) (t - 2 ^ k)) => farther;
        case: (Nat.leb_spec (2 * 2 ^ k) t) => bound; try lia.
      - have -> : 2 * 2 ^ k - 1 = (2 ^ k - 1) + S (2 ^ k - 1) by lia.
        by rewrite chain_split; congr combine; congr chain; lia.
      - have {3}-> : t = (t - 2 ^ k) + S (2 ^ k - 1) by lia.
        by rewrite chain_split; congr combine; congr chain; lia.
    Qed.

    (** So log2 n rounds compute all prefixes of n steps. *)
    Theorem doubling_same_chain e k t : t < 2 ^ k -> doubling e k t = chain e 0 t.
    Proof. by move=> small; rewrite doubling_window (proj2 (Nat.leb_gt _ _)). Qed.
  End Associative.
End Scan.
