(** * The Haar transform of an image

    Each 2 x 2 block becomes four numbers with the entries +1/2 and -1/2: an average and three differences. As
    in the wavelet branch of MobileMamba. Synthesis undoes analysis, on one level and on several. *)
From Coq Require Import ssreflect Ring Field Arith Lia.
From Etalon.base Require Import operations sums.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R} {div : division R}.
  Implicit Types image : nat -> nat -> R.

  Definition half : R := 1 / (1 + 1).

  (** The sign of band b (0 average, 1 rows, 2 columns, 3 both) at row r, column c of a block. *)
  Definition row_sign (r : nat) : R := if Nat.even r then 1 else opp 1.
  Definition band_sign (b r c : nat) : R :=
    (if Nat.leb 2 b then row_sign c else 1) * (if Nat.odd b then row_sign r else 1).

  (** Band b of the block in block row y and block column x. *)
  Definition analysis image (b y x : nat) : R :=
    half * sum 2 (fun r => sum 2 (fun c => band_sign b r c * image (2 * y + r)%nat (2 * x + c)%nat)).

  Definition synthesis (bands : nat -> nat -> nat -> R) (r c : nat) : R :=
    half * sum 4 (fun b => band_sign b (r mod 2) (c mod 2) * bands b (r / 2)%nat (c / 2)%nat).

  (** Several levels: the average is decomposed again. *)
  Fixpoint average image (level : nat) : nat -> nat -> R :=
    match level with
    | O => image
    | S level => analysis (average image level) 0
    end.
  Definition details image (level b : nat) : nat -> nat -> R := analysis (average image level) b.

  (** Back up from the average of the last level. *)
  Fixpoint rebuilt (top : nat -> nat -> R) (details : nat -> nat -> nat -> nat -> R) (first levels : nat) :
      nat -> nat -> R :=
    match levels with
    | O => top
    | S levels =>
        synthesis (fun b => match b with
                            | O => rebuilt top details (S first) levels
                            | _ => details first b
                            end)
    end.
End Text.

Section Laws.
  Context {R : Type} {ops : operations R} {div : division R} {laws : field R}.
  Add Field numbers : (@field_laws R ops div laws).
  Hypothesis two_not_zero : 1 + 1 <> 0 :> R.
  Implicit Types image : nat -> nat -> R.

  Lemma inside_block k d : (d < 2)%nat -> ((2 * k + d) / 2 = k)%nat /\ ((2 * k + d) mod 2 = d)%nat.
  Proof.
    move=> small; have := Nat.div_mod (2 * k + d) 2.
    by have := Nat.mod_upper_bound (2 * k + d) 2; lia.
  Qed.

  Lemma block_and_place r : exists k d, r = (2 * k + d)%nat /\ (d = 0 \/ d = 1)%nat.
  Proof.
    exists (r / 2)%nat, (r mod 2)%nat.
    by have := Nat.div_mod r 2; have := Nat.mod_upper_bound r 2; lia.
  Qed.

  Theorem synthesis_of_analysis image r c : synthesis (analysis image) r c = image r c.
  Proof.
    have [y [dr [-> rows]]] := block_and_place r; have [x [dc [-> columns]]] := block_and_place c.
    rewrite /synthesis; have [|-> ->] := inside_block y dr; first lia.
    have [|-> ->] := inside_block x dc; first lia.
    rewrite /analysis /half /band_sign /row_sign.
    by case: rows columns => -> [] -> /=; field.
  Qed.

  Theorem analysis_of_synthesis (bands : nat -> nat -> nat -> R) b y x :
    (b < 4)%nat -> analysis (synthesis bands) b y x = bands b y x.
  Proof.
    move=> small; rewrite /analysis /synthesis; cbn [sum].
    have [|-> ->] := inside_block y 0; first lia.
    have [|-> ->] := inside_block y 1; first lia.
    have [|-> ->] := inside_block x 0; first lia.
    have [|-> ->] := inside_block x 1; first lia.
    rewrite /half /band_sign /row_sign.
    have : (b = 0 \/ b = 1 \/ b = 2 \/ b = 3)%nat by lia.
    by case=> [-> | [-> | [-> | ->]]] /=; field.
  Qed.

  (** No energy is lost: in every block the squares have the same sum. *)
  Theorem energy image y x :
    sum 4 (fun b => analysis image b y x * analysis image b y x) =
    sum 2 (fun r => sum 2 (fun c =>
      image (2 * y + r)%nat (2 * x + c)%nat * image (2 * y + r)%nat (2 * x + c)%nat)).
  Proof. by rewrite /analysis /half /band_sign /row_sign /=; field. Qed.

  (** Synthesis depends only on the numbers of the bands. *)
  Lemma eq_synthesis (bands bands' : nat -> nat -> nat -> R) r c :
    (forall b y x, bands b y x = bands' b y x) -> synthesis bands r c = synthesis bands' r c.
  Proof. by move=> same; congr mul; apply: eq_sum => b _; rewrite same. Qed.

  Theorem rebuilt_of_levels image first levels r c :
    rebuilt (average image (first + levels)) (details image) first levels r c = average image first r c.
  Proof.
    elim: levels first r c => [| levels IH] first r c /=; first by rewrite Nat.add_0_r.
    rewrite -[RHS](synthesis_of_analysis (average image first)).
    by apply: eq_synthesis => -[| b] y x //; rewrite -Nat.add_succ_comm IH.
  Qed.
End Laws.
