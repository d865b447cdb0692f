(** * Mamba: the selective scan (S6)

    The twin of [reference/state_space/mamba_s6.hpp], one channel, with its discrete coefficients given:
    token t multiplies state i by [decay t i] and adds [drive t i] times the input. How these numbers come
    from a step length needs an exponential and is no matter of the scan. *)
From Coq Require Import ssreflect Ring Arith Lia.
From Etalon.base Require Import operations sums recurrence chunks scan.
From Etalon.state_space Require Import scan_operators.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R}.
  Variables (states : nat) (decay drive readout : nat -> nat -> R) (skip : R).
  Variables (input initial_state : nat -> R).

  Fixpoint state (t : nat) : nat -> R :=
    match t with
    | O => initial_state
    | S t => fun i => decay t i * state t i + drive t i * input t
    end.
  Definition recurrent (t : nat) : R := sum states (fun i => readout t i * state (S t) i) + skip * input t.

  (** The matrix that the scan multiplies the input with, and what is left of the initial state. *)
  Definition fade (first last i : nat) : R := between (fun t => decay t i) first last.
  Definition entry (t s : nat) : R := sum states (fun i => readout t i * fade (S s) (S t) i * drive s i).
  Definition matrix (t : nat) : R :=
    sum (S t) (fun s => entry t s * input s) +
    sum states (fun i => readout t i * (fade 0 (S t) i * initial_state i)) + skip * input t.

  (** The associative scan, by doubling. *)
  Definition token (i t : nat) : affine := Affine (decay t i) (drive t i * input t).
  Definition scan (rounds t : nat) : R :=
    sum states (fun i => readout t i *
      affine_act (doubling affine_combine (token i) rounds t) (initial_state i)) + skip * input t.

  (** A scan inside each chunk, continued from the state before it. *)
  Definition read_chunk (first r : nat) (carried : nat -> R) : R :=
    sum states (fun i => readout (first + r)%nat i *
      affine_act (chain affine_combine (token i) first r) (carried i)) + skip * input (first + r)%nat.
  Definition advance_chunk (first length : nat) (carried : nat -> R) (i : nat) : R :=
    match length with
    | O => carried i
    | S more => affine_act (chain affine_combine (token i) first more) (carried i)
    end.
  Definition chunked (chunk t : nat) : R := in_chunk advance_chunk chunk initial_state read_chunk t.
  Definition chunked_state (chunk n : nat) : nat -> R := carried_to advance_chunk chunk initial_state n.
End Text.

Section Theorems.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variables (states : nat) (decay drive readout : nat -> nat -> R) (skip : R).
  Variables (input initial_state : nat -> R).

  Notation memory := (state decay drive input initial_state).
  Notation recurrent := (recurrent states decay drive readout skip input initial_state).

  Theorem matrix_same_recurrent t :
    matrix states decay drive readout skip input initial_state t = recurrent t.
  Proof.
    rewrite /matrix /recurrent; congr add; rewrite /entry.
    under eq_sum => s _ do rewrite sum_mul.
    rewrite sum_exchange -sum_add; apply: eq_sum => i _.
    rewrite (unrolled_from_start (fun t => memory t i) (fun t => decay t i)
               (fun t => drive t i * input t)) // /fade.
    have -> : sum (S t) (fun s =>
        readout t i * between (fun t => decay t i) (S s) (S t) * drive s i * input s) =
      readout t i * sum (S t) (fun s => between (fun t => decay t i) (S s) (S t) * (drive s i * input s)).
      by rewrite mul_sum; apply: eq_sum => s _; ring.
    by rewrite [memory 0 i]/=; ring.
  Qed.

  (** log2 n rounds of doubling give all outputs. *)
  Theorem scan_same_recurrent rounds t :
    (t < 2 ^ rounds)%nat ->
    scan states decay drive readout skip input initial_state rounds t = recurrent t.
  Proof.
    move=> enough; congr add; apply: eq_sum => i _; congr mul.
    exact: (doubling_same_recurrence (fun t => decay t i) (fun t => drive t i * input t)
              (fun t => memory t i)).
  Qed.

  (** A chain of tokens, applied to the state before it. *)
  Lemma chain_acts i first more :
    affine_act (chain affine_combine (token decay drive input i) first more) (memory first i) =
      memory (S (first + more)) i.
  Proof.
    elim: more => [| more IH]; first by rewrite Nat.add_0_r.
    by rewrite [chain _ _ _ _]/= affine_combine_acts IH Nat.add_succ_r.
  Qed.

  Lemma advance_chunk_right first length carried :
    (forall i, carried i = memory first i) ->
    forall i, advance_chunk decay drive input first length carried i = memory (first + length) i.
  Proof.
    move=> right i; case: length => [| more] /=; first by rewrite Nat.add_0_r.
    by rewrite right chain_acts Nat.add_succ_r.
  Qed.

  Lemma read_chunk_right first r carried :
    (forall i, carried i = memory first i) ->
    read_chunk states decay drive readout skip input first r carried = recurrent (first + r).
  Proof.
    move=> right; congr add; apply: eq_sum => i _.
    by rewrite right chain_acts.
  Qed.

  Theorem chunked_same_recurrent chunk t :
    chunked states decay drive readout skip input initial_state chunk t = recurrent t.
  Proof.
    apply: (in_chunk_right _ _ _ (fun a b => forall i, a i = b i) (fun t => memory t) _ advance_chunk_right _
              recurrent) => //.
    exact: read_chunk_right.
  Qed.

  Theorem chunked_state_same_recurrent chunk n i :
    chunked_state decay drive input initial_state chunk n i = memory n i.
  Proof.
    exact: (carried_to_right _ _ _ (fun a b => forall i, a i = b i) (fun t => memory t) _
              advance_chunk_right).
  Qed.

  (** A token with decay 1 and drive 0 pads a chunk: it leaves the state as it is. *)
  Theorem padding_keeps_state t i : decay t i = 1 -> drive t i = 0 -> memory (S t) i = memory t i.
  Proof. by move=> keeps nothing; rewrite /= keeps nothing; ring. Qed.
End Theorems.

(** A sequence may be cut anywhere. *)
Theorem split_state {R : Type} {ops : operations R} (decay drive : nat -> nat -> R) input
    initial_state m t i :
  state (from m decay) (from m drive) (from m input) (state decay drive input initial_state m) t i =
    state decay drive input initial_state (m + t) i.
Proof. by elim: t => [| t IH]; rewrite ?Nat.add_0_r ?Nat.add_succ_r //= IH. Qed.
