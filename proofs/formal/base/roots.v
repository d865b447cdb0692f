(** * Roots of unity and the inverse Fourier transform

    A polynomial of degree below L is determined by its values at the L-th roots of unity. *)
From Coq Require Import ssreflect Ring Arith Lia.
From Etalon.base Require Import operations sums.
Open Scope number_scope.

Section Powers.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).

  Lemma power_succ (x : R) n : power x (S n) = power x n * x.
  Proof. by []. Qed.

  Lemma power_power (x : R) m n : power (power x m) n = power x (m * n).
  Proof.
    elim: n => [| n IH]; first by rewrite Nat.mul_0_r.
    by rewrite power_succ IH -power_add; congr power; lia.
  Qed.

  Lemma power_one n : power 1 n = 1 :> R.
  Proof. by elim: n => [// | n IH]; rewrite power_succ IH; ring. Qed.

  Lemma power_mul (x y : R) n : power (x * y) n = power x n * power y n.
  Proof. by elim: n => [| n IH]; [rewrite /=; ring | rewrite !power_succ IH; ring]. Qed.

  (** The geometric sum. *)
  Lemma geometric (x : R) n : (1 - x) * sum n (fun l => power x l) = 1 - power x n.
  Proof.
    elim: n => [| n IH]; first by rewrite /=; ring.
    rewrite sum_last power_succ.
    transitivity ((1 - x) * sum n (fun l => power x l) + (1 - x) * power x n); first by ring.
    by rewrite IH; ring.
  Qed.

  Lemma sum_of_ones n : sum n (fun _ => 1) = of_nat n :> R.
  Proof. by elim: n => [// | n IH] /=; rewrite IH. Qed.
End Powers.

Section Fourier.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring fourier_numbers : (@ring_laws R ops laws).
  Variables (root : R) (length : nat).
  Hypothesis returns : power root length = 1.
  (** The root is primitive, and 1 less a power of it can be divided by. *)
  Hypothesis primitive : forall k, (0 < k < length)%nat -> exists y, y * (1 - power root k) = 1.

  Lemma returns_often k : power root (length * k) = 1.
  Proof. by rewrite -power_power returns power_one. Qed.

  Lemma power_mod k : (length <> 0)%nat -> power root (k mod length) = power root k.
  Proof.
    move=> positive; rewrite {2}(Nat.div_mod_eq k length) power_add returns_often.
    by ring.
  Qed.

  Lemma roots_add_up_to_0 k :
    (0 < k < length)%nat -> sum length (fun j => power root (k * j)) = 0.
  Proof.
    move=> /primitive [y inverts].
    have -> : sum length (fun j => power root (k * j)) = sum length (fun j => power (power root k) j).
      by apply: eq_sum => j _; rewrite power_power.
    transitivity (y * (1 - power root k) * sum length (fun j => power (power root k) j)).
      by rewrite inverts; ring.
    transitivity (y * ((1 - power root k) * sum length (fun j => power (power root k) j))); first by ring.
    rewrite geometric power_power Nat.mul_comm returns_often.
    by ring.
  Qed.

  (** The values of a polynomial at all roots, weighed by the inverse roots, give back a coefficient. *)
  Theorem inverse_fourier (coefficient : nat -> R) m :
    (m < length)%nat ->
    sum length (fun j => sum length (fun l => coefficient l * power root (j * l)) *
                         power root (j * (length - m))) = of_nat length * coefficient m.
  Proof.
    move=> bound; under eq_sum => j _ do rewrite sum_mul.
    rewrite sum_exchange.
    have term l : sum length (fun j => coefficient l * power root (j * l) * power root (j * (length - m))) =
                  coefficient l * sum length (fun j => power root ((l + (length - m)) * j)).
      rewrite mul_sum; apply: eq_sum => j _.
      have -> : ((l + (length - m)) * j = j * l + j * (length - m))%nat by lia.
      by rewrite power_add; ring.
    rewrite (sum_single length m) //.
    - move=> l small different; rewrite term.
      have -> : sum length (fun j => power root ((l + (length - m)) * j)) = 0; last by ring.
      have [above | below] : (m < l \/ l < m)%nat by lia.
      + rewrite -(roots_add_up_to_0 (l - m)); first lia.
        apply: eq_sum => j _.
        have -> : ((l + (length - m)) * j = length * j + (l - m) * j)%nat by nia.
        by rewrite power_add returns_often; ring.
      + rewrite -(roots_add_up_to_0 (l + (length - m))); first lia.
        by [].
    - rewrite term; have -> : (m + (length - m) = length)%nat by lia.
      under eq_sum => j _ do rewrite returns_often.
      by rewrite sum_of_ones; ring.
  Qed.
End Fourier.
