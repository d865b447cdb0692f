(** * The reflected Gray code

    Successive code words differ in one bit. HyperAttention sorts its buckets by the position of their code
    in this order, so that neighbouring buckets are close in Hamming distance. *)
From Coq Require Import ssreflect NArith Bool Lia.
Open Scope N_scope.

(** The i-th Gray word. *)
Definition gray (i : N) : N := N.lxor i (N.shiftr i 1).

(** The position of a word: g xor (g >> 1) xor (g >> 2) xor ..., for words of at most [bits] bits. *)
Fixpoint gray_position (bits : nat) (g : N) : N :=
  match bits with
  | O => 0
  | S bits => N.lxor (gray_position bits g) (N.shiftr g (N.of_nat bits))
  end.

(** The exclusive or of the bits from [first] on, [length] of them. *)
Fixpoint parity (g : N) (first : N) (length : nat) : bool :=
  match length with
  | O => false
  | S length => xorb (parity g first length) (N.testbit g (first + N.of_nat length))
  end.

(** The position, bit by bit: bit j is the parity of the bits from j on. *)
Theorem gray_position_is_prefix_parity bits g j : N.testbit (gray_position bits g) j = parity g j bits.
Proof.
  elim: bits => [| bits IH] /=; first exact: N.bits_0.
  by rewrite N.lxor_spec IH N.shiftr_spec' .
Qed.

Definition below (bits : nat) (i : N) : Prop := forall j, N.of_nat bits <= j -> N.testbit i j = false.

Lemma parity_first g first length :
  parity g first (S length) = xorb (N.testbit g first) (parity g (N.succ first) length).
Proof.
  elim: length => [| length IH]; first by rewrite /= N.add_0_r xorb_comm.
  rewrite -[LHS]/(xorb (parity g first (S length)) (N.testbit g (first + N.of_nat (S length)))) IH.
  have -> : first + N.of_nat (S length) = N.succ first + N.of_nat length by lia.
  exact: xorb_assoc.
Qed.

Lemma gray_bit i j : N.testbit (gray i) j = xorb (N.testbit i j) (N.testbit i (N.succ j)).
Proof. by rewrite /gray N.lxor_spec N.shiftr_spec' N.add_1_r. Qed.

(** Parities of Gray words telescope. *)
Lemma parity_gray i first length :
  parity (gray i) first length = xorb (N.testbit i first) (N.testbit i (first + N.of_nat length)).
Proof.
  elim: length => [| length IH] /=; first by rewrite N.add_0_r xorb_nilpotent.
  rewrite IH gray_bit xorb_assoc -(xorb_assoc (N.testbit i (first + N.of_nat length))) xorb_nilpotent.
  by rewrite xorb_false_l; congr (xorb _ (N.testbit i _)); lia.
Qed.

Theorem gray_position_of_gray bits i : below bits i -> gray_position bits (gray i) = i.
Proof.
  move=> small; apply: N.bits_inj => j; rewrite gray_position_is_prefix_parity parity_gray.
  by rewrite (small (j + _)) ?xorb_false_r //; lia.
Qed.

Theorem gray_of_gray_position bits g : below bits g -> gray (gray_position bits g) = g.
Proof.
  move=> small; apply: N.bits_inj => j; rewrite gray_bit !gray_position_is_prefix_parity.
  case: bits small => [| bits] small; first by rewrite /= small //; lia.
  rewrite parity_first -[parity g (N.succ j) (S bits)]/(
    xorb (parity g (N.succ j) bits) (N.testbit g (N.succ j + N.of_nat bits))).
  rewrite (small (N.succ j + _)); first lia.
  by rewrite xorb_false_r xorb_assoc xorb_nilpotent xorb_false_r.
Qed.

(** Two words differ in bit k and in no other. *)
Definition differ_in_bit (k a b : N) : Prop := N.lxor a b = 2 ^ k.

Lemma differ_bits k a b :
  (forall j, xorb (N.testbit a j) (N.testbit b j) = (k =? j)) -> differ_in_bit k a b.
Proof. by move=> bits; apply: N.bits_inj => j; rewrite N.lxor_spec bits N.pow2_bits_eqb. Qed.

Lemma even_bit_succ m j : N.testbit (2 * m) (N.succ j) = N.testbit m j.
Proof. by apply: N.testbit_even_succ; lia. Qed.

Lemma odd_bit_succ m j : N.testbit (2 * m + 1) (N.succ j) = N.testbit m j.
Proof. by apply: N.testbit_odd_succ; lia. Qed.

Lemma zero_or_later j : j = 0 \/ exists j', j = N.succ j'.
Proof. by case: (N.zero_or_succ j); auto. Qed.

(** Successive words differ in exactly one bit. From an even position only the last bit changes; from an odd
    one the last bit stays, and the others change as they do half as far on. *)
Theorem gray_steps i : exists k, differ_in_bit k (gray i) (gray (N.succ i)).
Proof.
  suff [k bits] : exists k, forall j, xorb (N.testbit (gray i) j) (N.testbit (gray (N.succ i)) j) = (k =? j).
    by exists k; exact: differ_bits.
  elim/N.binary_ind: i => [| m _ | m [k bits]]; first by exists 0 => -[].
  - exists 0; rewrite N.double_spec -N.add_1_r => j; rewrite !gray_bit even_bit_succ odd_bit_succ.
    case: (zero_or_later j) => [-> | [j' ->]].
    + by rewrite N.testbit_even_0 N.testbit_odd_0; case: (N.testbit m 0).
    + by rewrite even_bit_succ odd_bit_succ xorb_nilpotent; symmetry; apply/N.eqb_neq; lia.
  - exists (N.succ k); rewrite N.succ_double_spec => j.
    have -> : N.succ (2 * m + 1) = 2 * N.succ m by lia.
    rewrite !gray_bit even_bit_succ odd_bit_succ.
    case: (zero_or_later j) => [-> | [j' ->]].
    + rewrite N.testbit_even_0 N.testbit_odd_0 !N.bit0_odd N.odd_succ -N.negb_odd.
      by case: (N.odd m); symmetry; apply/N.eqb_neq; lia.
    + rewrite even_bit_succ odd_bit_succ -!gray_bit bits.
      by apply/eq_true_iff_eq; rewrite !N.eqb_eq; lia.
Qed.

(** The order is a cycle: the last word of [bits] bits and the first differ in one bit too. *)
Theorem gray_closes bits : differ_in_bit (N.of_nat bits) (gray (N.ones (N.of_nat (S bits)))) (gray 0).
Proof.
  apply: differ_bits => j; rewrite !gray_bit !N.bits_0 xorb_false_r.
  have [far | near] := N.le_gt_cases (N.succ (N.of_nat bits)) j.
  - rewrite !N.ones_spec_high; try lia.
    by symmetry; apply/N.eqb_neq; lia.
  - rewrite N.ones_spec_low; first lia.
    have [-> | inside] := N.eq_dec j (N.of_nat bits).
    + by rewrite N.ones_spec_high ?N.eqb_refl //; lia.
    + by rewrite N.ones_spec_low; [lia | symmetry; apply/N.eqb_neq; lia].
Qed.
