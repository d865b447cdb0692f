(** Cases of the height-prioritised Hilbert order: places and gather lists of small grids. *)
From Coq Require Import List String ZArith QArith Qcanon.
From Etalon.base Require Import operations permutations.
From Etalon.scan_order Require Import hilbert_height_prioritized.
From Etalon.bridge Require Import json.
Import ListNotations.
Open Scope nat_scope.
Open Scope string_scope.

(** The ids of the columns in the order of the visit. *)
Definition ids (columns : list cell) (size_y : nat) : list nat :=
  map (fun column => Z.to_nat (fst column * Z.of_nat size_y + snd column)) columns.

Definition one (order size_x size_y size_z : nat) : string :=
  let voxels := (size_x * size_y * size_z)%nat in
  let numbers (f : nat -> nat) := vector voxels (fun i => quotient (Z.of_nat (f i)) 1) in
  let columns (plane : list cell) := nth_default 0 (ids plane size_y) in
  let outputs position gather := [("positions", numbers position); ("gather", numbers gather)] in
  let from_plane (columns : nat -> nat) :=
    let position := positions (argsort (size_x * size_y) columns) size_z in
    outputs position (argsort voxels position) in
  let walked := columns (hilbert_plane order (Z.of_nat size_x) (Z.of_nat size_y)) in
  let sorted := columns (hilbert_plane_sorted order (Z.of_nat size_x) (Z.of_nat size_y)) in
  let expanded := expand_columns walked size_z in
  case [("X", size_x); ("Y", size_y); ("Z", size_z); ("curve", 0)] []
       [("recursive", from_plane walked); ("sorted", from_plane sorted);
        ("expanded", outputs (argsort voxels expanded) expanded)].

Eval vm_compute in one 0 1 1 1.
Eval vm_compute in one 0 1 1 4.
Eval vm_compute in one 1 2 2 1.
Eval vm_compute in one 1 1 2 3.
Eval vm_compute in one 1 2 1 2.
Eval vm_compute in one 2 4 4 1.
Eval vm_compute in one 2 3 4 2.
Eval vm_compute in one 2 2 3 2.
Eval vm_compute in one 3 8 8 1.
Eval vm_compute in one 3 5 3 2.
Eval vm_compute in one 3 7 1 1.
