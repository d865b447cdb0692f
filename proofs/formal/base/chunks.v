(** * Sequences in chunks

    [for (first = 0; first < n; first += chunk)]: a state goes from chunk to chunk, and the last chunk may be
    shorter. An algorithm gives two things: [advance first length], which takes the state before token
    [first] to the state [length] tokens later, and [read first r], which computes the output of the r-th
    token of the chunk that starts at [first]. *)
From Coq Require Import ssreflect Arith Lia.

Section Chunks.
  Context {State : Type} (advance : nat -> nat -> State -> State) (chunk : nat) (initial : State).

  (** The state before chunk c. *)
  Fixpoint carried (c : nat) : State :=
    match c with
    | O => initial
    | S c => advance (c * chunk) chunk (carried c)
    end.

  (** The state after n tokens: the chunks that are full, and what is left. *)
  Definition carried_to (n : nat) : State :=
    advance (n / chunk * chunk) (n mod chunk) (carried (n / chunk)).

  (** The output of token t. *)
  Definition in_chunk {A : Type} (read : nat -> nat -> State -> A) (t : nat) : A :=
    read (t / chunk * chunk) (t mod chunk) (carried (t / chunk)).

  (** If a chunk is right whenever the state before it is, all chunks are right, whatever their size.
      States are compared by [same], since they are functions and only their values matter. *)
  Context (same : State -> State -> Prop) (truth : nat -> State).
  Hypothesis initial_right : same initial (truth 0).
  Hypothesis advance_right :
    forall first length state,
      same state (truth first) -> same (advance first length state) (truth (first + length)).

  Lemma carried_right c : same (carried c) (truth (c * chunk)).
  Proof.
    elim: c => [| c IH] //=.
    have -> : chunk + c * chunk = c * chunk + chunk by lia.
    exact: advance_right.
  Qed.

  Lemma position t : t / chunk * chunk + t mod chunk = t.
  Proof. by rewrite {3}(Nat.div_mod_eq t chunk); lia. Qed.

  Lemma carried_to_right n : same (carried_to n) (truth n).
  Proof. by rewrite -{2}(position n); apply/advance_right/carried_right. Qed.

  Lemma in_chunk_right {A} (read : nat -> nat -> State -> A) (output : nat -> A) :
    (forall first r state, same state (truth first) -> read first r state = output (first + r)) ->
    forall t, in_chunk read t = output t.
  Proof. by move=> read_right t; rewrite -{2}(position t); apply/read_right/carried_right. Qed.
End Chunks.

(** States that are matrices are equal when all their numbers are. *)
Definition same_matrix {R : Type} (a b : nat -> nat -> R) : Prop := forall i j, a i j = b i j.

(** A sequence without its first m tokens. *)
Definition from {A : Type} (m : nat) (tokens : nat -> A) : nat -> A := fun t => tokens (m + t).
