(** * Retention

    The twin of [reference/linear_attention/retention.hpp]. Channels 2a and 2a + 1 of a query or key are the
    complex number that is turned by the position. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums recurrence chunks complex.
From Etalon.gated_recurrence Require gated_linear_attention.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R}.
  Variables (pairs : nat) (query key value : nat -> nat -> R) (rotation : nat -> complex R).
  Variables (decay : R) (initial_state : nat -> nat -> R).

  Notation d_k := (2 * pairs)%nat.

  (** Multiplies channel pair a by [turn a]. *)
  Definition turned (channels : nat -> R) (turn : nat -> complex R) (i : nat) : R :=
    let a := (i / 2)%nat in
    let z := Complex (channels (2 * a)%nat) (channels (2 * a + 1)%nat) * turn a in
    if Nat.even i then re z else im z.

  (** Token t stands at position t + 1; the initial state stands at position 0. *)
  Definition rotated (tokens : nat -> nat -> R) (t : nat) : nat -> R :=
    turned (tokens t) (fun a => power (rotation a) (S t)).

  (** Turns the rows of a state back. The inverse of a unit number is its conjugate. *)
  Definition turned_back (state : nat -> nat -> R) (steps i j : nat) : R :=
    turned (fun i => state i j) (fun a => conj (power (rotation a) steps)) i.

  Fixpoint state (t : nat) : nat -> nat -> R :=
    match t with
    | O => initial_state
    | S t => fun i j => decay * state t i j + rotated key t i * value t j
    end.

  (** Token after token on rotated queries and keys. *)
  Definition recurrent (t j : nat) : R := sum d_k (fun i => rotated query t i * state (S t) i j).
  Definition recurrent_state (n : nat) : nat -> nat -> R := turned_back (state n) n.

  (** Nothing is rotated but the state, one step back a token. *)
  Fixpoint turning_state (t : nat) : nat -> nat -> R :=
    match t with
    | O => initial_state
    | S t => fun i j => decay * turned_back (turning_state t) 1 i j + key t i * value t j
    end.
  Definition rotating_state (t j : nat) : R := sum d_k (fun i => query t i * turning_state (S t) i j).

  (** The definition: every query with every earlier key. *)
  Definition score (t s : nat) : R := sum d_k (fun i => rotated query t i * rotated key s i).
  Definition parallel (t j : nat) : R :=
    sum (S t) (fun s => power decay (t - s) * score t s * value s j) +
    power decay (S t) * sum d_k (fun i => rotated query t i * initial_state i j).
  Definition parallel_state (n : nat) : nat -> nat -> R :=
    turned_back (fun i j => power decay n * initial_state i j +
      sum n (fun s => power decay (n - 1 - s) * rotated key s i * value s j)) n.

  (** All pairs inside a chunk, a state from one chunk to the next. *)
  Definition read_chunk (first r : nat) (carried : nat -> nat -> R) (j : nat) : R :=
    sum (S r) (fun s => power decay (r - s) * score (first + r) (first + s) * value (first + s)%nat j) +
    power decay (S r) * sum d_k (fun i => rotated query (first + r) i * carried i j).
  Definition advance_chunk (first length : nat) (carried : nat -> nat -> R) (i j : nat) : R :=
    power decay length * carried i j +
    sum length (fun r => power decay (length - 1 - r) * rotated key (first + r) i *
                         value (first + r)%nat j).

  Definition chunked (chunk t j : nat) : R :=
    in_chunk advance_chunk chunk initial_state (fun first r carried => read_chunk first r carried j) t.
  Definition chunked_state (chunk n : nat) : nat -> nat -> R :=
    turned_back (carried_to advance_chunk chunk initial_state n) n.
End Text.

Section Theorems.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Variables (pairs : nat) (query key value : nat -> nat -> R) (rotation : nat -> complex R).
  Variables (decay : R) (initial_state : nat -> nat -> R).

  Notation d_k := (2 * pairs)%nat.
  Notation state := (state key value rotation decay initial_state).
  Notation recurrent := (recurrent pairs query key value rotation decay initial_state).
  Notation rotated := (rotated rotation).

  (** On rotated queries and keys, retention is gated linear attention with one constant gate. *)
  Theorem limit_gated_linear_attention t j :
    recurrent t j =
      gated_linear_attention.recurrent d_k 1 (rotated query) (rotated key) value (fun _ _ => decay)
        initial_state t j.
  Proof.
    have state_same i : state (S t) i j =
      gated_linear_attention.state (rotated key) value (fun _ _ => decay) initial_state (S t) i j.
      by elim: (S t) => [| u IH] //=; rewrite IH.
    by apply: eq_sum => i _; rewrite state_same; ring.
  Qed.

  Lemma state_unrolled first length i j :
    state (first + length) i j =
      power decay length * state first i j +
      sum length (fun r => power decay (length - 1 - r) *
                           (rotated key (first + r) i * value (first + r)%nat j)).
  Proof.
    rewrite (unrolled (fun t => state t i j) (fun _ => decay) (fun t => rotated key t i * value t j)) //.
    rewrite between_constant; congr (power _ _ * _ + _); first by lia.
    by apply: eq_sum => r small; rewrite between_constant; congr (power _ _ * _); lia.
  Qed.

  Lemma advance_chunk_right first length carried :
    same_matrix carried (state first) ->
    same_matrix (advance_chunk key value rotation decay first length carried) (state (first + length)).
  Proof.
    move=> right i j; rewrite state_unrolled /advance_chunk right; congr add.
    by apply: eq_sum => r _; ring.
  Qed.

  Lemma read_chunk_right j first r carried :
    same_matrix carried (state first) ->
    read_chunk pairs query key value rotation decay first r carried j = recurrent (first + r) j.
  Proof.
    move=> right; rewrite /recurrent -Nat.add_succ_r /read_chunk.
    under [RHS]eq_sum => i _ do rewrite state_unrolled -right.
    have -> : sum (S r) (fun s => power decay (r - s) *
        score pairs query key rotation (first + r) (first + s) * value (first + s)%nat j) =
      sum d_k (fun i => rotated query (first + r) i *
        sum (S r) (fun s => power decay (S r - 1 - s) *
                            (rotated key (first + s) i * value (first + s)%nat j))).
      under [RHS]eq_sum => i _ do rewrite mul_sum.
      rewrite sum_exchange; apply: eq_sum => s _.
      rewrite Nat.sub_succ Nat.sub_0_r /score mul_sum sum_mul.
      by apply: eq_sum => i _; ring.
    by rewrite mul_sum -sum_add; apply: eq_sum => i _; ring.
  Qed.

  (** All pairs at once are one chunk that is never left. *)
  Theorem parallel_same_recurrent t j :
    parallel pairs query key value rotation decay initial_state t j = recurrent t j.
  Proof. exact: (read_chunk_right j 0 t initial_state). Qed.

  Theorem parallel_state_same_recurrent n i j :
    parallel_state key value rotation decay initial_state n i j =
      recurrent_state key value rotation decay initial_state n i j.
  Proof.
    have right := advance_chunk_right 0 n initial_state (fun _ _ => eq_refl).
    by rewrite /recurrent_state /turned_back /turned -!right.
  Qed.

  Theorem chunked_same_recurrent chunk t j :
    chunked pairs query key value rotation decay initial_state chunk t j = recurrent t j.
  Proof.
    apply: (in_chunk_right _ _ _ same_matrix (fun t => state t) _ advance_chunk_right _
              (fun t => recurrent t j)) => //.
    exact: read_chunk_right.
  Qed.

  Theorem chunked_state_same_recurrent chunk n i j :
    chunked_state key value rotation decay initial_state chunk n i j =
      recurrent_state key value rotation decay initial_state n i j.
  Proof.
    have right := carried_to_right _ chunk initial_state same_matrix (fun t => state t)
                    (fun _ _ => eq_refl) advance_chunk_right n.
    by rewrite /chunked_state /recurrent_state /turned_back /turned !right.
  Qed.

  (** ** Turning the state instead of queries and keys *)

  Lemma by_pairs (P : nat -> Prop) :
    (forall a, P (2 * a)%nat) -> (forall a, P (2 * a + 1)%nat) -> forall i, P i.
  Proof.
    move=> even odd i; rewrite (Nat.div_mod_eq i 2).
    have := Nat.mod_upper_bound i 2; case: (i mod 2) => [| [| ?]] bound; last lia.
    - by rewrite Nat.add_0_r.
    - exact: odd.
  Qed.

  Lemma turned_even (f : nat -> R) turn a :
    turned f turn (2 * a) = re (Complex (f (2 * a)%nat) (f (2 * a + 1)%nat) * turn a).
  Proof.
    rewrite /turned; have -> : (2 * a / 2 = a)%nat by symmetry; apply: (Nat.div_unique _ _ _ 0); lia.
    by rewrite Nat.even_mul.
  Qed.

  Lemma turned_odd (f : nat -> R) turn a :
    turned f turn (2 * a + 1) = im (Complex (f (2 * a)%nat) (f (2 * a + 1)%nat) * turn a).
  Proof.
    rewrite /turned; have -> : ((2 * a + 1) / 2 = a)%nat by symmetry; apply: (Nat.div_unique _ _ _ 1); lia.
    by rewrite Nat.add_1_r Nat.even_succ Nat.odd_mul.
  Qed.

  Hypothesis unit_rotation : forall a, is_unit (rotation a).

  Notation turned_back := (turned_back rotation).
  Notation turning_state := (turning_state key value rotation decay initial_state).

  Lemma state_step t i j : state (S t) i j = decay * state t i j + rotated key t i * value t j.
  Proof. by []. Qed.

  (** The state that turns is the fixed state, seen from where the last token stands. *)
  Lemma turning_state_is_turned_back t i j : turning_state t i j = turned_back (state t) t i j.
  Proof.
    elim: t i => [| t IH]; apply: by_pairs => a.
    - by rewrite /turned_back turned_even /=; ring.
    - by rewrite /turned_back turned_odd /=; ring.
    - have unit := unit_power (rotation a) (S t) (unit_rotation a).
      set w := power (rotation a) (S t) in unit.
      transitivity (decay * turned_back (turning_state t) 1 (2 * a) j +
                    key t (2 * a)%nat * (re w * re w + im w * im w) * value t j);
        first by rewrite unit /=; ring.
      rewrite /turned_back !turned_even !IH !state_step /turned_back /rotated !turned_even !turned_odd.
      by rewrite /w /=; ring.
    - have unit := unit_power (rotation a) (S t) (unit_rotation a).
      set w := power (rotation a) (S t) in unit.
      transitivity (decay * turned_back (turning_state t) 1 (2 * a + 1) j +
                    key t (2 * a + 1)%nat * (re w * re w + im w * im w) * value t j);
        first by rewrite unit /=; ring.
      rewrite /turned_back !turned_odd !IH !state_step /turned_back /rotated !turned_even !turned_odd.
      by rewrite /w /=; ring.
  Qed.

  (** Turning a query forward by its position is turning the state back. *)
  Theorem rotating_state_same_recurrent t j :
    rotating_state pairs query key value rotation decay initial_state t j = recurrent t j.
  Proof.
    rewrite /rotating_state /recurrent.
    under eq_sum => i _ do rewrite turning_state_is_turned_back.
    rewrite !sum_pairs; apply: eq_sum => a _.
    rewrite /turned_back /rotated !turned_even !turned_odd.
    by set w := power _ _; rewrite /=; ring.
  Qed.
End Theorems.

(** A sequence may be cut anywhere. The state that is handed on is the one that turns, so the rest may count
    its positions from its own beginning. *)
Lemma turning_state_respects {R} {ops : operations R} (key value : nat -> nat -> R) rotation decay a b t :
  same_matrix a b ->
  same_matrix (turning_state key value rotation decay a t) (turning_state key value rotation decay b t).
Proof.
  move=> same; elim: t => [// | t IH] i j.
  by rewrite /= /turned_back /turned !IH.
Qed.

Section Split.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Variables (pairs : nat) (query key value : nat -> nat -> R) (rotation : nat -> complex R).
  Variables (decay : R) (initial_state : nat -> nat -> R).
  Hypothesis unit_rotation : forall a, is_unit (rotation a).

  Notation handed_on := (recurrent_state key value rotation decay initial_state).

  Lemma split_turning_state m t i j :
    turning_state (from m key) (from m value) rotation decay (handed_on m) t i j =
      turning_state key value rotation decay initial_state (m + t) i j.
  Proof.
    elim: t i j => [| t IH] i j; rewrite ?Nat.add_0_r ?Nat.add_succ_r.
    - by symmetry; exact: turning_state_is_turned_back.
    - by rewrite /= /turned_back /turned !IH.
  Qed.

  Theorem split_recurrent m t j :
    recurrent pairs (from m query) (from m key) (from m value) rotation decay (handed_on m) t j =
      recurrent pairs query key value rotation decay initial_state (m + t) j.
  Proof.
    rewrite -!rotating_state_same_recurrent //.
    by apply: eq_sum => i _; rewrite split_turning_state Nat.add_succ_r.
  Qed.

  Theorem split_chunked m chunk t j :
    chunked pairs (from m query) (from m key) (from m value) rotation decay
      (chunked_state key value rotation decay initial_state chunk m) chunk t j =
    chunked pairs query key value rotation decay initial_state chunk (m + t) j.
  Proof.
    rewrite !chunked_same_recurrent -split_recurrent -!rotating_state_same_recurrent //.
    apply: eq_sum => i _; congr mul.
    by apply: (turning_state_respects _ _ _ _ _ _ (S t) _ i j) => i' j'; rewrite chunked_state_same_recurrent.
  Qed.
End Split.
