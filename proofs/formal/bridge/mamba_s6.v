(** Cases of Mamba's selective scan, with exp = 2^x and no gate. The twin is one channel whose coefficients are
    given; here they are made as the registered entry makes them where there is no logarithm: the step is
    4 (1 + x^2) for x the raw step and its bias, and the rate of a state is - 2^k with k of -2 or more, so that
    every exponent is an integer. The form hillis_steele is the doubling scan; blelloch, another bracketing of
    the same scan, has no definition of its own. *)
From Coq Require Import List String Arith ZArith QArith Qcanon.
From Etalon.base Require Import operations ordered.
From Etalon.state_space Require Import mamba_s6.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

(** Integers from [least] on, [count] of them. *)
Definition between (least : Z) (count seed salt a b : nat) : Z :=
  (least + Z.of_nat (hash seed salt a b mod count))%Z.
Definition as_fraction (z : Z) : Qc := Q2Qc (inject_Z z).
Definition power_of_two (z : Z) : Qc := ordered.exp z.

Definition one_case (n groups width states chunk seed : nat) (draw : nat -> nat -> nat -> nat -> Qc) : string :=
  let channels := (groups * width)%nat in
  let group d := (d / width)%nat in
  let signal := draw seed 1 in
  let raw_step := between (-1) 3 seed 2 in
  let step_bias d := between (-1) 2 seed 3 d 0 in
  let log_rate := between (-2) 4 seed 4 in
  let drives t g := draw seed (5 + 10 * g) t in
  let reads t g := draw seed (6 + 10 * g) t in
  let skip d := draw seed 7 d 0 in
  let initial_state := draw seed 8 in
  let squared t d := let x := (raw_step t d + step_bias d)%Z in (1 + x * x)%Z in
  let step t d := as_fraction (4 * squared t d) in
  let decay d t i := power_of_two (- (squared t d * 2 ^ (log_rate d i + 2))) in
  let rate d i := opp (power_of_two (log_rate d i)) in
  let euler d t i := mul (step t d) (drives t (group d) i) in
  let held d t i := mul (divide (sub (decay d t i) 1%Qc) (rate d i)) (drives t (group d) i) in
  let readout d t := reads t (group d) in
  let input d t := signal t d in
  let over_channels form (written : nat -> nat -> nat -> Qc) :=
    ("output", matrix n channels (fun t d =>
       form states (decay d) (written d) (readout d) (skip d) (input d) (initial_state d) t)) in
  let final (written : nat -> nat -> nat -> Qc) :=
    ("state", matrix channels states (fun d => state (decay d) (written d) (input d) (initial_state d) n)) in
  case
    [("n", n); ("groups", groups); ("width", width); ("N", states); ("chunk", chunk)]
    [("signal", matrix n channels signal);
     ("raw_step", matrix n channels (fun t d => as_fraction (raw_step t d)));
     ("step_bias", vector channels (fun d => as_fraction (step_bias d)));
     ("log_rate", matrix channels states (fun d i => as_fraction (log_rate d i)));
     ("B", cube n groups states drives); ("C", cube n groups states reads);
     ("skip", vector channels skip); ("initial_state", matrix channels states initial_state)]
    [("recurrent", [over_channels recurrent euler; final euler]);
     ("quadratic", [over_channels mamba_s6.matrix euler]);
     ("hillis_steele",
      [over_channels (fun states decay drive readout skip input initial_state =>
         scan states decay drive readout skip input initial_state (Nat.log2_up n)) euler]);
     ("chunked",
      [over_channels (fun states decay drive readout skip input initial_state =>
         chunked states decay drive readout skip input initial_state chunk) euler;
       ("state", matrix channels states (fun d =>
          chunked_state (decay d) (euler d) (input d) (initial_state d) chunk n))]);
     ("zoh_recurrent", [over_channels recurrent held; final held])].

Eval vm_compute in one_case 1 1 1 1 1 1 any.
Eval vm_compute in one_case 2 1 1 2 2 2 any.
Eval vm_compute in one_case 2 1 2 1 1 3 any.
Eval vm_compute in one_case 3 1 1 2 2 4 any.
Eval vm_compute in one_case 3 2 1 1 2 5 any.
Eval vm_compute in one_case 3 2 2 2 1 6 bit.
Eval vm_compute in one_case 4 1 2 1 3 7 any.
Eval vm_compute in one_case 4 2 1 2 4 8 gate.
Eval vm_compute in one_case 5 1 1 2 2 9 any.
Eval vm_compute in one_case 5 2 2 1 7 10 bit.
Eval vm_compute in one_case 6 1 1 1 4 11 any.
