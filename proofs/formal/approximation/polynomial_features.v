(** * Polynomials of inner products are inner products of features

    p(<q, k>) for a polynomial p, once with all d^t products of t channels (tensor features), once with the
    monomials, each taken as often as it occurs (the multinomial theorem). Beside it the two identities behind
    products of such features: the Khatri-Rao product, and the Schur product of Gram matrices. *)
From Coq Require Import ssreflect ssrbool Ring List Arith Lia.
From mathcomp Require Import ssralg ssrnum.
From Etalon.base Require Import operations sums digits permutations mathcomp.
Import ListNotations.
Open Scope number_scope.

Section Text.
  Context {R : Type} {ops : operations R}.
  Implicit Types (x y : nat -> R) (mu : list nat).

  Definition inner_product (d : nat) x y : R := sum d (fun l => x l * y l).

  (** c_0 + c_1 z + ... + c_g z^g *)
  Definition polynomial (c : nat -> R) (g : nat) (z : R) : R := sum (S g) (fun t => c t * power z t).

  (** All products of t of d channels: feature i has the digits of i in base d as its channels. *)
  Fixpoint tensor_features (d t : nat) x (i : nat) : R :=
    match t with
    | O => 1
    | S t => tensor_features d t x (i / d)%nat * x (i mod d)
    end.

  (** The exponents of all monomials of degree t in d variables, larger exponents of the first variable
      first. *)
  Fixpoint monomials (d t : nat) : list (list nat) :=
    match d with
    | O => match t with O => [[]] | S _ => [] end
    | S d => flat_map (fun s => map (cons (t - s)%nat) (monomials d s)) (seq 0 (S t))
    end.

  (** The product of x_l to the power mu_l. *)
  Fixpoint monomial x mu : R :=
    match mu with
    | [] => 1
    | a :: mu => power (x O) a * monomial (fun l => x (S l)) mu
    end.

  Definition degree mu : nat := list_sum mu.

  Fixpoint choose (n k : nat) : nat :=
    match n, k with
    | _, O => 1%nat
    | O, S _ => 0%nat
    | S n, S k => (choose n k + choose n (S k))%nat
    end.

  (** How often a monomial occurs in a power of the sum of all variables: |mu|! / prod mu_l!. *)
  Fixpoint multinomial mu : nat :=
    match mu with
    | [] => 1%nat
    | a :: mu => (choose (a + degree mu) (degree mu) * multinomial mu)%nat
    end.
End Text.

(** ** Numbers of things *)

Lemma choose_above n k : (n < k)%nat -> choose n k = 0%nat.
Proof. by elim: n k => [| n IH] [| k] //= high; rewrite ?IH; lia. Qed.

Lemma choose_all n : choose n n = 1%nat.
Proof. by elim: n => [// | n IH] /=; rewrite IH choose_above; lia. Qed.

Lemma choose_factorials a b : (choose (a + b) b * (fact a * fact b) = fact (a + b))%nat.
Proof.
  elim: a b => [| a IHa] b; first by rewrite choose_all /=; lia.
  elim: b => [| b IHb]; first by rewrite Nat.add_0_r /=; lia.
  have := IHa (S b); have := IHb.
  rewrite !Nat.add_succ_r !Nat.add_succ_l.
  rewrite -[choose (S (S (a + b))) (S b)]/(choose (S (a + b)) b + choose (S (a + b)) (S b))%nat.
  have -> : fact (S (S (a + b))) = (S (S (a + b)) * fact (S (a + b)))%nat by [].
  have -> : fact (S a) = (S a * fact a)%nat by [].
  have -> : fact (S b) = (S b * fact b)%nat by [].
  by nia.
Qed.

(** The multinomial coefficient is what it is called. *)
Theorem multinomial_factorials mu :
  (multinomial mu * fold_right (fun a f => fact a * f) 1 mu = fact (degree mu))%nat.
Proof.
  elim: mu => [// | a mu IH].
  have := choose_factorials a (degree mu); rewrite -[degree (a :: mu)]/(a + degree mu)%nat /= => <-.
  by rewrite -IH; lia.
Qed.

Lemma degree_of_monomials d t mu : In mu (monomials d t) -> degree mu = t.
Proof.
  elim: d t mu => [| d IH] t mu; first by case: t => [[<- |] | ].
  move=> /in_flat_map [s [/in_seq [_ small] /in_map_iff [nu [<- /IH same]]]].
  by rewrite -[degree _]/(t - s + degree nu)%nat same; lia.
Qed.

(** There are (d + g choose g) monomials of degree up to g. *)
Definition monomials_up_to (d g : nat) : list (list nat) := flat_map (monomials d) (seq 0 (S g)).

Lemma length_flat_map {A B : Type} (h h' : A -> list B) (l : list A) :
  (forall a, length (h a) = length (h' a)) -> length (flat_map h l) = length (flat_map h' l).
Proof. by move=> same; elim: l => [// | a l IH] /=; rewrite !app_length same IH. Qed.

Lemma number_of_monomials d t : length (monomials (S d) t) = length (monomials_up_to d t).
Proof. by apply: length_flat_map => s; exact: map_length. Qed.

Theorem number_of_monomials_up_to d g : length (monomials_up_to d g) = choose (d + g) g.
Proof.
  elim: d g => [| d IHd] g.
    rewrite choose_all /monomials_up_to -[seq 0 (S g)]/(0%nat :: seq 1 g) /=; congr S.
    elim: g {1}0%nat => [// | g IH] first /=; exact: IH.
  elim: g => [| g IHg].
    have := IHd O; rewrite /monomials_up_to -![flat_map _ (seq 0 1)]/(_ ++ []) !app_nil_r number_of_monomials.
    by rewrite /monomials_up_to -[flat_map _ (seq 0 1)]/(_ ++ []) app_nil_r => ->; case: (d + 0)%nat.
  have -> : monomials_up_to (S d) (S g) = monomials_up_to (S d) g ++ monomials (S d) (S g).
    by rewrite {1}/monomials_up_to (seq_S (S g)) flat_map_app -[flat_map _ [_]]/(_ ++ []) app_nil_r.
  by rewrite app_length IHg number_of_monomials IHd Nat.add_succ_comm.
Qed.

(** ** Tensor features *)

Section Tensors.
  Context {R : Type} {ops : operations R} {laws : commutative_ring R}.
  Add Ring numbers : (@ring_laws R ops laws).
  Implicit Types x y z : nat -> R.

  Theorem tensor_features_power d t x y :
    (0 < d)%nat ->
    inner_product (d ^ t) (tensor_features d t x) (tensor_features d t y) = power (inner_product d x y) t.
  Proof.
    move=> some; elim: t => [| t IH]; first by rewrite /inner_product /=; ring.
    rewrite /inner_product Nat.pow_succ_r' Nat.mul_comm sum_pairs.
    rewrite -[RHS]/(power (inner_product d x y) t * inner_product d x y) -IH /inner_product sum_mul.
    apply: eq_sum => a _; rewrite mul_sum; apply: eq_sum => b small.
    rewrite /=; have [-> ->] := two_digits d a b small; ring.
  Qed.

  Theorem tensor_features_polynomial c g d x y :
    (0 < d)%nat ->
    polynomial c g (inner_product d x y) =
    sum (S g) (fun t => c t * inner_product (d ^ t) (tensor_features d t x) (tensor_features d t y)).
  Proof. by move=> some; apply: eq_sum => t _; rewrite tensor_features_power. Qed.

  (** ** Monomials *)

  Lemma of_nat_add a b : of_nat (a + b) = of_nat a + of_nat b :> R.
  Proof. by elim: a => [| a IH] /=; [ring | rewrite IH; ring]. Qed.

  Lemma of_nat_mul a b : of_nat (a * b) = of_nat a * of_nat b :> R.
  Proof. by elim: a => [| a IH] /=; [ring | rewrite of_nat_add IH; ring]. Qed.

  Theorem binomial_theorem (a b : R) t :
    power (a + b) t = sum (S t) (fun s => of_nat (choose t s) * power a (t - s) * power b s).
  Proof.
    elim: t => [| t IH]; first by rewrite /=; ring.
    rewrite -[LHS]/(power (a + b) t * (a + b)) IH [RHS]sum_first.
    transitivity (sum (S t) (fun s => of_nat (choose t s) * power a (S t - s) * power b s) +
                  sum (S t) (fun s => of_nat (choose t s) * power a (t - s) * power b (S s))).
      transitivity (sum (S t) (fun s => of_nat (choose t s) * power a (t - s) * power b s) * a +
                    sum (S t) (fun s => of_nat (choose t s) * power a (t - s) * power b s) * b).
        by ring.
      rewrite !sum_mul; congr add; apply: eq_sum => s small; last by rewrite [power b (S s)]/=; ring.
      have -> : (S t - s = S (t - s))%nat by lia.
      by rewrite [power a (S _)]/=; ring.
    have -> : sum (S t) (fun s => of_nat (choose t s) * power a (S t - s) * power b s) =
      of_nat (choose (S t) 0) * power a (S t - 0) * power b 0 +
      sum (S t) (fun s => of_nat (choose t (S s)) * power a (t - s) * power b (S s)).
      rewrite sum_first sum_last (choose_above t (S t)); last lia.
      by case: t {IH} => [| t] /=; ring.
    rewrite -[RHS]/(_ + _).
    set first := _ * power b 0.
    transitivity (first + (sum (S t) (fun s => of_nat (choose t (S s)) * power a (t - s) * power b (S s)) +
      sum (S t) (fun s => of_nat (choose t s) * power a (t - s) * power b (S s)))); first by ring.
    rewrite -sum_add; congr add; apply: eq_sum => s _.
    by rewrite -[choose (S t) (S s)]/(choose t s + choose t (S s))%nat of_nat_add Nat.sub_succ; ring.
  Qed.

  Lemma sum_over_flat_map {A B : Type} (h : A -> list B) (l : list A) (f : B -> R) :
    sum_over (flat_map h l) f = sum_over l (fun a => sum_over (h a) f).
  Proof. by elim: l => [// | a l IH] /=; rewrite sum_over_app IH. Qed.

  (** The power of a sum is the sum of all monomials, each as often as it occurs. *)
  Theorem multinomial_theorem d t z :
    power (sum d z) t = sum_over (monomials d t) (fun mu => of_nat (multinomial mu) * monomial z mu).
  Proof.
    elim: d t z => [| d IH] t z; first by case: t => [| t] /=; ring.
    rewrite sum_first binomial_theorem -[monomials (S d) t]/(
      flat_map (fun s => map (cons (t - s)%nat) (monomials d s)) (seq 0 (S t))).
    rewrite sum_over_flat_map sum_over_seq; apply: eq_sum => s small.
    rewrite sum_over_map IH mul_sum_over; apply: eq_sum_over => mu /degree_of_monomials same.
    rewrite -[multinomial (_ :: mu)]/(choose (t - s + degree mu) (degree mu) * multinomial mu)%nat.
    rewrite same of_nat_mul; have -> : (t - s + s = t)%nat by lia.
    by rewrite /=; ring.
  Qed.

  Lemma power_mul (a b : R) n : power (a * b) n = power a n * power b n.
  Proof. by elim: n => [| n IH] /=; [ring | rewrite IH; ring]. Qed.

  Lemma monomial_mul x y mu : monomial (fun l => x l * y l) mu = monomial x mu * monomial y mu.
  Proof. by elim: mu x y => [| a mu IH] x y /=; [ring | rewrite IH power_mul; ring]. Qed.

  (** The features of q and k, with the multinomial weights on either side. *)
  Theorem monomial_features d t x y :
    power (inner_product d x y) t =
    sum_over (monomials d t) (fun mu => of_nat (multinomial mu) * (monomial x mu * monomial y mu)).
  Proof.
    rewrite /inner_product multinomial_theorem; apply: eq_sum_over => mu _.
    by rewrite monomial_mul.
  Qed.

  Theorem monomial_features_polynomial c g d x y :
    polynomial c g (inner_product d x y) =
    sum_over (monomials_up_to d g)
      (fun mu => c (degree mu) * of_nat (multinomial mu) * (monomial x mu * monomial y mu)).
  Proof.
    rewrite /monomials_up_to sum_over_flat_map sum_over_seq; apply: eq_sum => t _.
    rewrite monomial_features mul_sum_over.
    by apply: eq_sum_over => mu /degree_of_monomials ->; ring.
  Qed.

  (** There are d^t products, counted with their multiplicities, of degree t. *)
  Theorem multiplicities d t :
    sum_over (monomials d t) (fun mu => of_nat (multinomial mu)) = power (of_nat d) t :> R.
  Proof.
    have -> : of_nat d = sum d (fun _ => 1) :> R by elim: d => [// | d /= ->].
    rewrite multinomial_theorem; apply: eq_sum_over => mu _.
    have -> : monomial (fun _ => 1) mu = 1 :> R; last by ring.
    elim: mu => [// | a mu /= ->]; have -> : power 1 a = 1 :> R; last by ring.
    by elim: a => [// | a /= ->]; ring.
  Qed.

  (** ** Products of features *)

  (** The Khatri-Rao product has a row for each pair of rows; pair (a, b) is row a n + b. *)
  Definition khatri_rao (n : nat) (U V : nat -> nat -> R) (row column : nat) : R :=
    U (row / n)%nat column * V (row mod n) column.

  (** U^T V, for matrices with n rows. *)
  Definition transpose_product (n : nat) (U V : nat -> nat -> R) (i j : nat) : R :=
    sum n (fun row => U row i * V row j).

  (** The mixed product: a sum over all pairs factors. *)
  Theorem khatri_rao_mixed_product m n U2 U3 V1 V2 i j :
    transpose_product (m * n) (khatri_rao n U2 U3) (khatri_rao n V1 V2) i j =
    transpose_product m U2 V1 i j * transpose_product n U3 V2 i j.
  Proof.
    rewrite /transpose_product /khatri_rao sum_pairs sum_mul; apply: eq_sum => a _.
    rewrite mul_sum; apply: eq_sum => b small; have [-> ->] := two_digits n a b small; ring.
  Qed.

  (** The tensor product of two vectors, entry (a, b) at a e + b. *)
  Definition tensor (e : nat) x y (i : nat) : R := x (i / e)%nat * y (i mod e).

  Theorem inner_product_of_tensors d e x x' y y' :
    inner_product (d * e) (tensor e x y) (tensor e x' y') = inner_product d x x' * inner_product e y y'.
  Proof.
    rewrite /inner_product /tensor sum_pairs sum_mul; apply: eq_sum => a _.
    rewrite mul_sum; apply: eq_sum => b small; have [-> ->] := two_digits e a b small; ring.
  Qed.

  (** The quadratic form of a Gram matrix is a sum of squares. *)
  Theorem gram_form n d (x : nat -> nat -> R) (c : nat -> R) :
    sum n (fun i => sum n (fun j => c i * c j * inner_product d (x i) (x j))) =
    sum d (fun l => sum n (fun i => c i * x i l) * sum n (fun i => c i * x i l)).
  Proof.
    under [RHS]eq_sum => l _ do rewrite sum_mul.
    rewrite [RHS]sum_exchange; apply: eq_sum => i _.
    under [RHS]eq_sum => l _ do rewrite mul_sum.
    rewrite [RHS]sum_exchange; apply: eq_sum => j _.
    by rewrite mul_sum; apply: eq_sum => l _; ring.
  Qed.

  (** So is that of the elementwise product of two Gram matrices, the Gram matrix of the tensors. *)
  Theorem schur_product n d e (x y : nat -> nat -> R) (c : nat -> R) :
    sum n (fun i => sum n (fun j =>
      c i * c j * (inner_product d (x i) (x j) * inner_product e (y i) (y j)))) =
    sum (d * e) (fun l => sum n (fun i => c i * tensor e (x i) (y i) l) *
                          sum n (fun i => c i * tensor e (x i) (y i) l)).
  Proof.
    rewrite -gram_form; apply: eq_sum => i _; apply: eq_sum => j _.
    by rewrite inner_product_of_tensors.
  Qed.
End Tensors.

(** Over the real numbers: the elementwise product of two Gram matrices is positive semidefinite. *)
Theorem schur_product_positive (F : realFieldType) n d e (x y : nat -> nat -> F) (c : nat -> F) :
  (0 <= sum n (fun i => sum n (fun j =>
          c i * c j * (inner_product d (x i) (x j) * inner_product e (y i) (y j)))%num))%R.
Proof.
  rewrite schur_product; elim: (d * e)%nat => [| l IH] //=.
  by apply: Num.Theory.addr_ge0 => //; rewrite -GRing.expr2; apply: Num.Theory.sqr_ge0.
Qed.
