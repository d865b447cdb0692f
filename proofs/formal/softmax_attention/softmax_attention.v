(** * Softmax attention

    The twin of [reference/softmax_attention/softmax_attention.hpp]: the forms that compute the same number,
    and the theorems that they do, for every number of keys, every mask, with and without a sink, for every
    tile, every number of parts and every slack.

    Logits and weights may be of two types (see [ordered.v]); nothing is assumed of exp but
    exp (a + b) = exp a * exp b > 0. *)
From Coq Require Import ssreflect Ring Field List Permutation Arith Lia.
From Etalon.base Require Import operations sums chunks permutations ordered.
Import ListNotations.
Open Scope number_scope.

(** ** Scores and masks *)

Section Scores.
  Context {Logit : Type} {logit_ops : operations Logit}.
  Implicit Type score : nat -> nat -> Logit.

  (** s_ij = sigma q_i . k_j *)
  Definition dot_product (d_k : nat) (query key : nat -> nat -> Logit) (scale : Logit) (i j : nat) : Logit :=
    scale * sum d_k (fun c => query i c * key j c).

  Definition biased score (bias : nat -> nat -> Logit) (i j : nat) : Logit := score i j + bias i j.
End Scores.

Definition full_mask (i j : nat) : bool := true.

(** A query sees the keys up to its own position; the last query stands at the last key. *)
Definition causal_mask (queries keys i j : nat) : bool := j + queries <=? i + keys.

Definition causal_mask_top_left (i j : nat) : bool := j <=? i.

(** [left] keys before its own position, that position, and [right] keys after it. *)
Definition window_mask (queries keys left right i j : nat) : bool :=
  (i + keys <=? j + queries + left) && (j + queries <=? i + keys + right).

Definition streaming_mask (sinks window i j : nat) : bool := (j <=? i) && ((j <? sinks) || (i <? j + window)).

(** ** Forms *)

Section Text.
  Context {Logit R : Type} {logit_ops : operations Logit} {logit_ord : ordering Logit}.
  Context {ops : operations R} {div : division R} {e : exponential Logit R}.

  (** A key as the softmax sees it: its score and its value. *)
  Definition scored : Type := Logit * (nat -> R).

  (** A partial result over some keys: their maximum m, the sum l of their weights and the unnormalised output
      o, both relative to m. *)
  Inductive partial := no_keys | Partial (m : Logit) (l : R) (o : nat -> R).

  (** o / l, or 0 where there was no key. *)
  Definition finish (p : partial) (c : nat) : R :=
    match p with no_keys => 0 | Partial m l o => o c / l end.

  Variables (score : nat -> nat -> Logit) (mask : nat -> nat -> bool) (value : nat -> nat -> R).
  Variables (sink : option Logit) (n_k : nat).

  (** The keys of query i among the [length] ones from [first] on. *)
  Definition keys_of (i first length : nat) : list scored :=
    map (fun j => (score i j, value j)) (filter (mask i) (seq first length)).

  (** The sink is one more key, whose value is 0. *)
  Definition sink_key : list scored :=
    match sink with None => [] | Some beta => [(beta, fun _ => 0)] end.

  Definition all_keys (i : nat) : list scored := sink_key ++ keys_of i 0 n_k.

  (** The keys with their weights relative to a reference m. *)
  Definition relative_to (m : Logit) (keys : list scored) : partial :=
    match keys with
    | [] => no_keys
    | _ => Partial m (sum_over keys (fun key => exp (fst key - m)))
                     (fun c => sum_over keys (fun key => exp (fst key - m) * snd key c))
    end.

  (** The definition without a reference. *)
  Definition direct_of (keys : list scored) (c : nat) : R :=
    match keys with
    | [] => 0
    | _ => sum_over keys (fun key => exp (fst key) * snd key c) / sum_over keys (fun key => exp (fst key))
    end.
  Definition direct (i c : nat) : R := direct_of (all_keys i) c.

  (** The definition: two passes over the keys, the first for the maximum. *)
  Definition largest (keys : list scored) : Logit :=
    match keys with
    | [] => 0
    | key :: keys => fold_left (fun m key => maximum m (fst key)) keys (fst key)
    end.
  Definition safe (i c : nat) : R := finish (relative_to (largest (all_keys i)) (all_keys i)) c.

  (** One key more: the online softmax. *)
  Definition step (p : partial) (key : scored) : partial :=
    let '(s, v) := key in
    match p with
    | no_keys => Partial s 1 v
    | Partial m l o =>
        if less m s then
          let fade := exp (m - s) in Partial s (fade * l + 1) (fun c => fade * o c + v c)
        else
          let weight := exp (s - m) in Partial m (l + weight) (fun c => o c + weight * v c)
    end.

  Definition start : partial :=
    match sink with None => no_keys | Some beta => Partial beta 1 (fun _ => 0) end.

  Definition online (i c : nat) : R := finish (fold_left step (keys_of i 0 n_k) start) c.

  (** Tiles of [width] keys, the last perhaps shorter. The reference stays as long as no score exceeds it by
      more than [slack]. *)
  Definition add_tile (slack : Logit) (p : partial) (tile : list scored) : partial :=
    match tile with
    | [] => p
    | _ =>
        let '(m, l, o) :=
          match p with
          | no_keys => (largest tile, 0, fun _ => 0)
          | Partial m l o =>
              if less (m + slack) (largest tile) then
                let fade := exp (m - largest tile) in (largest tile, fade * l, fun c => fade * o c)
              else (m, l, o)
          end in
        Partial m (l + sum_over tile (fun key => exp (fst key - m)))
                  (fun c => o c + sum_over tile (fun key => exp (fst key - m) * snd key c))
    end.

  Definition tiled (width : nat) (slack : Logit) (i c : nat) : R :=
    finish (carried_to (fun first length p => add_tile slack p (keys_of i first length)) width start n_k) c.

  (** The output is kept normalised after every tile. *)
  Definition add_tile_normalised (p : partial) (tile : list scored) : partial :=
    match tile with
    | [] => p
    | _ =>
        let '(m, kept, normalised) :=
          match p with
          | no_keys => (largest tile, 0, fun _ => 0)
          | Partial m l o =>
              let m' := maximum m (largest tile) in (m', exp (m - m') * l, o)
          end in
        let l := kept + sum_over tile (fun key => exp (fst key - m)) in
        Partial m l (fun c =>
          (kept * normalised c + sum_over tile (fun key => exp (fst key - m) * snd key c)) / l)
    end.

  Definition read_normalised (p : partial) (c : nat) : R :=
    match p with no_keys => 0 | Partial m l o => o c end.

  Definition tiled_normalised (width : nat) (i c : nat) : R :=
    read_normalised
      (carried_to (fun first length p => add_tile_normalised p (keys_of i first length)) width start n_k) c.

  (** The partial result that a normalised one stands for. *)
  Definition denormalised (p : partial) : partial :=
    match p with no_keys => no_keys | Partial m l o => Partial m l (fun c => l * o c) end.

  (** What two disjoint sets of keys give together. *)
  Definition merge (a b : partial) : partial :=
    match a, b with
    | no_keys, _ => b
    | _, no_keys => a
    | Partial m l o, Partial m' l' o' =>
        let both := maximum m m' in
        let of_a := exp (m - both) in
        let of_b := exp (m' - both) in
        Partial both (of_a * l + of_b * l') (fun c => of_a * o c + of_b * o' c)
    end.

  (** The partial result over some keys. *)
  Definition over_keys (keys : list scored) : partial := fold_left step keys no_keys.

  (** Neighbours merge, until one is left. *)
  Fixpoint round (players : list partial) : list partial :=
    match players with
    | a :: b :: others => merge a b :: round others
    | _ => players
    end.
  Fixpoint tournament (rounds : nat) (players : list partial) : partial :=
    match rounds, players with
    | _, [] => no_keys
    | O, winner :: _ | S _, [winner] => winner
    | S rounds, _ => tournament rounds (round players)
    end.

  Definition part (parts i p : nat) : list scored :=
    let first := (p * n_k / parts)%nat in keys_of i first (S p * n_k / parts - first)%nat.

  Definition split (parts i c : nat) : R :=
    let players := start :: map (fun p => over_keys (part parts i p)) (seq 0 parts) in
    finish (tournament parts players) c.
End Text.

(** ** The theorems *)

Section Laws.
  Context {Logit R : Type} {logit_ops : operations Logit} {logit_laws : commutative_ring Logit}.
  Context {logit_ord : ordering Logit}.
  Context {ops : operations R} {div : division R} {laws : field R}.
  Context {ord : ordering R} {pos : positive_numbers R}.
  Context {e : exponential Logit R} {exp_laws : exponential_laws Logit R}.
  Add Ring logits : (@ring_laws Logit logit_ops logit_laws).
  Add Field numbers : (@field_laws R ops div laws).

  Notation scored := (@scored Logit R).
  Notation partial := (@partial Logit R).
  Implicit Types (keys tile : list scored) (key : scored) (p q : partial) (m : Logit).

  Definition total keys : R := sum_over keys (fun key => exp (fst key)).
  Definition total_value keys c : R := sum_over keys (fun key => exp (fst key) * snd key c).

  Lemma total_positive keys : keys <> [] -> positive (total keys).
  Proof.
    case: keys => [// | key keys] _; elim: keys key => [| key' keys IH] key.
    - have -> : total [key] = exp (fst key) by rewrite /total /=; ring.
      exact: exp_positive.
    - have -> : total (key :: key' :: keys) = exp (fst key) + total (key' :: keys) by [].
      by apply: add_positive; [exact: exp_positive | exact: IH].
  Qed.

  Lemma total_not_zero keys : keys <> [] -> total keys <> 0.
  Proof. by move=> /total_positive; apply: positive_not_zero. Qed.

  Lemma total_app keys tile : total (keys ++ tile) = total keys + total tile.
  Proof. exact: sum_over_app. Qed.

  Lemma total_value_app keys tile c : total_value (keys ++ tile) c = total_value keys c + total_value tile c.
  Proof. exact: sum_over_app. Qed.

  (** Whatever the reference, (e^m l, e^m o) are the sums over the keys: this is what a partial result stands
      for, and all that the output depends on. *)
  Definition stands_for p keys : Prop :=
    match p with
    | no_keys => keys = []
    | Partial m l o =>
        keys <> [] /\ exp m * l = total keys /\ forall c, exp m * o c = total_value keys c
    end.

  Lemma finish_stands_for p keys c : stands_for p keys -> finish p c = direct_of keys c.
  Proof.
    case: p => [-> // | m l o [some [weight output]]].
    have total_not_0 := total_not_zero keys some.
    have l_not_0 : l <> 0.
      by move=> l_0; apply: total_not_0; rewrite -weight l_0; ring.
    have exp_not_0 : exp m <> (0 : R) by exact: exp_not_zero.
    have -> : direct_of keys c = total_value keys c / total keys.
      by case: keys some {weight output total_not_0}.
    by rewrite -weight -output /=; field.
  Qed.

  (** Sums relative to a reference, seen from no reference. *)
  Lemma weights_relative_to m keys : exp m * sum_over keys (fun key => exp (fst key - m)) = total keys.
  Proof. by rewrite mul_sum_over; apply: eq_sum_over => key _; exact: exp_reference. Qed.

  Lemma values_relative_to m keys c :
    exp m * sum_over keys (fun key => exp (fst key - m) * snd key c) = total_value keys c.
  Proof.
    rewrite mul_sum_over; apply: eq_sum_over => key _.
    by rewrite -(exp_reference (fst key) m); ring.
  Qed.

  Lemma relative_to_stands_for m keys : stands_for (relative_to m keys) keys.
  Proof.
    case: keys => [// | key keys]; split=> //; split=> [| c]; [exact: weights_relative_to |].
    exact: values_relative_to.
  Qed.

  (** Any number may be the reference that is subtracted from the scores. *)
  Theorem any_reference_same_direct m keys c : finish (relative_to m keys) c = direct_of keys c.
  Proof. exact/finish_stands_for/relative_to_stands_for. Qed.

  Lemma app_not_nil (keys tile : list scored) : tile <> [] -> keys ++ tile <> [].
  Proof. by move=> some /app_eq_nil []. Qed.

  Lemma step_stands_for p keys key : stands_for p keys -> stands_for (step p key) (keys ++ [key]).
  Proof.
    case: key => s v; have one_key c : total [(s, v)] = exp s /\ total_value [(s, v)] c = exp s * v c.
      by rewrite /total /total_value /=; split; ring.
    case: p => [-> | m l o [some [weight output]]] /=.
      split=> //; split=> [| c]; first by have [-> _] := one_key 0%nat; ring.
      by have [_ ->] := one_key c; ring.
    have fade : exp s * exp (m - s) = exp m :> R := exp_reference m s.
    have fresh : exp m * exp (s - m) = exp s :> R := exp_reference s m.
    case: (less m s); (split; first by apply: app_not_nil); split=> [| c];
      rewrite ?total_app ?total_value_app -?weight -?output.
    - by have [-> _] := one_key 0%nat; rewrite -{1}fade; ring.
    - by have [_ ->] := one_key c; rewrite -{1}fade; ring.
    - by have [-> _] := one_key 0%nat; rewrite -fresh; ring.
    - by have [_ ->] := one_key c; rewrite -fresh; ring.
  Qed.

  Lemma fold_stands_for p keys tile : stands_for p keys -> stands_for (fold_left step tile p) (keys ++ tile).
  Proof.
    elim: tile p keys => [| key tile IH] p keys stands /=; first by rewrite app_nil_r.
    have -> : keys ++ key :: tile = (keys ++ [key]) ++ tile by rewrite -app_assoc.
    exact/IH/step_stands_for.
  Qed.

  Lemma over_keys_stands_for keys : stands_for (over_keys keys) keys.
  Proof. exact: (fold_stands_for no_keys []). Qed.

  Lemma add_tile_stands_for slack p keys tile :
    stands_for p keys -> stands_for (add_tile slack p tile) (keys ++ tile).
  Proof.
    case: tile => [| key tile']; first by rewrite app_nil_r.
    set tile := key :: tile'; have some_tile : tile <> [] by [].
    rewrite -[add_tile _ _ _]/(
      let '(m, l, o) :=
        match p with
        | no_keys => (largest tile, 0, fun _ => 0)
        | Partial m l o =>
            if less (m + slack) (largest tile) then
              (largest tile, exp (m - largest tile) * l, fun c => exp (m - largest tile) * o c)
            else (m, l, o)
        end in
      Partial m (l + sum_over tile (fun key => exp (fst key - m)))
                (fun c => o c + sum_over tile (fun key => exp (fst key - m) * snd key c))).
    move: tile some_tile => tile some_tile; move: (largest tile) => top.
    have both m l o : exp m * l = total keys -> (forall c, exp m * o c = total_value keys c) ->
      stands_for (Partial m (l + sum_over tile (fun key => exp (fst key - m)))
        (fun c => o c + sum_over tile (fun key => exp (fst key - m) * snd key c))) (keys ++ tile).
      move=> weight output; split; first exact: app_not_nil.
      rewrite total_app -weight -(weights_relative_to m); split=> [| c]; first by ring.
      by rewrite total_value_app -output -(values_relative_to m); ring.
    case: p => [nothing | m l o [_ [weight output]]].
      by apply: both => [| c]; rewrite nothing /total /total_value /=; ring.
    have fade : exp top * exp (m - top) = exp m :> R := exp_reference m top.
    case: (less _ _); apply: both => // [| c]; rewrite -?weight -?output -fade; ring.
  Qed.

  Lemma merge_stands_for p q keys tile :
    stands_for p keys -> stands_for q tile -> stands_for (merge p q) (keys ++ tile).
  Proof.
    case: p q => [| m l o] [| m' l' o'] /=.
    - by move=> -> ->.
    - by move=> -> [].
    - by move=> + ->; rewrite app_nil_r.
    - move=> [some [weight output]] [_ [weight' output']]; set both := maximum m m'.
      have of_a : exp both * exp (m - both) = exp m :> R := exp_reference m both.
      have of_b : exp both * exp (m' - both) = exp m' :> R := exp_reference m' both.
      split; first by move=> /app_eq_nil [].
      rewrite total_app -weight -weight' -of_a -of_b; split=> [| c]; first by ring.
      by rewrite total_value_app -output -output' -of_a -of_b; ring.
  Qed.

  Lemma stands_for_permuted p keys keys' : Permutation keys keys' -> stands_for p keys -> stands_for p keys'.
  Proof.
    case: p => [same empty | m l o same [some [weight output]]].
      by rewrite empty in same; exact: Permutation_nil.
    split; first by move=> nothing; rewrite nothing in same; apply/some/Permutation_nil/Permutation_sym.
    rewrite weight; split=> [| c]; last rewrite output; exact: sum_over_permuted.
  Qed.

  (** The order of the keys does not matter. *)
  Theorem direct_of_permuted keys keys' c : Permutation keys keys' -> direct_of keys c = direct_of keys' c.
  Proof.
    move=> same; rewrite -(any_reference_same_direct 0 keys); apply: finish_stands_for.
    exact/(stands_for_permuted _ _ _ same)/relative_to_stands_for.
  Qed.

  (** Two partial results over disjoint keys merge into the result over all of them. *)
  Theorem merge_of_parts keys tile all c :
    Permutation (keys ++ tile) all -> finish (merge (over_keys keys) (over_keys tile)) c = direct_of all c.
  Proof.
    move=> parts; apply/finish_stands_for/(stands_for_permuted _ _ _ parts).
    by apply: merge_stands_for; exact: over_keys_stands_for.
  Qed.

  (** A constant may be added to all scores of a query. *)
  Theorem shift_invariance keys a c :
    direct_of (map (fun key => (fst key + a, snd key)) keys) c = direct_of keys c.
  Proof.
    set shifted := map _ keys.
    rewrite -(any_reference_same_direct (0 + a) shifted) -(any_reference_same_direct 0 keys).
    rewrite /shifted; case: keys {shifted} => [// | key keys] /=.
    rewrite !sum_over_map; have same (k : scored) : fst k + a - (0 + a) = fst k - 0 by ring.
    congr ((_ * _ + _) / (_ + _)); rewrite ?same //; apply: eq_sum_over => key' _ /=; by rewrite same.
  Qed.

  (** Where all values are the same, so is the output: the weights sum to one. *)
  Theorem weights_sum_to_one keys v c :
    keys <> [] -> (forall key, In key keys -> snd key c = v) -> direct_of keys c = v.
  Proof.
    move=> some same; have -> : direct_of keys c = total_value keys c / total keys by case: keys some same.
    have -> : total_value keys c = v * total keys.
      by rewrite mul_sum_over; apply: eq_sum_over => key /same ->; ring.
    by have := total_not_zero keys some; move=> ?; field.
  Qed.

  Section Forms.
    Variables (score : nat -> nat -> Logit) (mask : nat -> nat -> bool) (value : nat -> nat -> R).
    Variables (sink : option Logit) (n_k : nat).

    Notation keys_of := (keys_of score mask value).
    Notation start := (start sink).
    Notation direct := (direct score mask value sink n_k).

    Lemma start_stands_for : stands_for start (sink_key sink).
    Proof.
      rewrite /start /sink_key; case: sink => [beta |] //; split=> //.
      by rewrite /total /total_value /=; split=> [| c]; ring.
    Qed.

    Lemma keys_of_split i first a b : keys_of i first (a + b) = keys_of i first a ++ keys_of i (first + a) b.
    Proof. by rewrite /softmax_attention.keys_of seq_app filter_app map_app. Qed.

    Theorem safe_same_direct i c : safe score mask value sink n_k i c = direct i c.
    Proof. exact: any_reference_same_direct. Qed.

    Theorem online_same_direct i c : online score mask value sink n_k i c = direct i c.
    Proof. exact/finish_stands_for/fold_stands_for/start_stands_for. Qed.

    Lemma all_keys_split i first length :
      sink_key sink ++ keys_of i 0 (first + length) =
      (sink_key sink ++ keys_of i 0 first) ++ keys_of i first length.
    Proof. by rewrite keys_of_split app_assoc. Qed.

    (** If a tile is right whenever what came before it is, so are all tiles. *)
    Lemma tiles_stand_for (add : partial -> list scored -> partial) (seen : partial -> partial) width i :
      (forall p keys tile, stands_for (seen p) keys -> stands_for (seen (add p tile)) (keys ++ tile)) ->
      stands_for (seen start) (sink_key sink) ->
      stands_for (seen (carried_to (fun first length p => add p (keys_of i first length)) width start n_k))
                 (all_keys score mask value sink n_k i).
    Proof.
      move=> add_right start_right.
      have advance first length p : stands_for (seen p) (sink_key sink ++ keys_of i 0 first) ->
        stands_for (seen (add p (keys_of i first length))) (sink_key sink ++ keys_of i 0 (first + length)).
        by rewrite all_keys_split; exact: add_right.
      have carried_right c : stands_for
        (seen (carried (fun first length p => add p (keys_of i first length)) width start c))
        (sink_key sink ++ keys_of i 0 (c * width)).
        elim: c => [| c IH] /=; first by rewrite app_nil_r.
        by rewrite Nat.add_comm; exact: advance.
      by rewrite /all_keys -[in X in stands_for _ X](position width n_k); exact: advance.
    Qed.

    (** Tiles of any width, dividing the number of keys or not, with any slack. *)
    Theorem tiled_same_direct width slack i c :
      tiled score mask value sink n_k width slack i c = direct i c.
    Proof.
      apply/finish_stands_for/(tiles_stand_for _ (fun p => p)); last exact: start_stands_for.
      by move=> p keys tile; exact: add_tile_stands_for.
    Qed.

    (** FlashAttention-1 keeps o / l; the partial result that it stands for has o. *)
    Lemma add_tile_normalised_stands_for p keys tile :
      stands_for (denormalised p) keys ->
      stands_for (denormalised (add_tile_normalised p tile)) (keys ++ tile).
    Proof.
      case: tile => [| key tile']; first by rewrite app_nil_r.
      rewrite /add_tile_normalised; set tile := key :: tile'; have : tile <> [] by [].
      move: tile => tile some_tile; move: (largest tile) => top {key tile'}.
      have both m kept normalised : exp m * kept = total keys ->
        (forall c, exp m * (kept * normalised c) = total_value keys c) ->
        let l := kept + sum_over tile (fun key => exp (fst key - m)) in
        stands_for (denormalised (Partial m l (fun c =>
          (kept * normalised c + sum_over tile (fun key => exp (fst key - m) * snd key c)) / l)))
          (keys ++ tile).
        move=> weight output l.
        have some : keys ++ tile <> [] by exact: app_not_nil.
        have right : exp m * l = total (keys ++ tile).
          by rewrite total_app -weight -(weights_relative_to m) /l; ring.
        have l_not_0 : l <> 0 by move=> l_0; apply: (total_not_zero _ some); rewrite -right l_0; ring.
        split=> //; split=> // c.
        by rewrite total_value_app -output -(values_relative_to m); field.
      case: p => [nothing | m l o [_ [weight output]]].
        by apply: both => [| c]; rewrite nothing /total /total_value /=; ring.
      have fade : exp (maximum m top) * exp (m - maximum m top) = exp m :> R := exp_reference m _.
      by apply: both => [| c]; rewrite -?weight -?output -fade; ring.
    Qed.

    Lemma read_normalised_stands_for p keys c :
      stands_for (denormalised p) keys -> read_normalised p c = direct_of keys c.
    Proof.
      move=> stands; rewrite -(finish_stands_for _ _ _ stands).
      case: p stands => [// | m l o [some [weight _]]] /=.
      have l_not_0 : l <> 0 by move=> l_0; apply: (total_not_zero _ some); rewrite -weight l_0; ring.
      by field.
    Qed.

    Theorem tiled_normalised_same_direct width i c :
      tiled_normalised score mask value sink n_k width i c = direct i c.
    Proof.
      apply/read_normalised_stands_for/(tiles_stand_for _ denormalised).
        by move=> p keys tile; exact: add_tile_normalised_stands_for.
      move: start_stands_for; rewrite /start; case: sink => // beta [some [weight output]].
      by split=> //; split=> //= c'; rewrite -output; ring.
    Qed.

    (** ** Parts on their own, then merged *)

    (** A tournament stands for the keys of all its players. *)
    Fixpoint all_stand_for (players : list partial) (parts : list (list scored)) : Prop :=
      match players, parts with
      | [], [] => True
      | p :: players, keys :: parts => stands_for p keys /\ all_stand_for players parts
      | _, _ => False
      end.

    Lemma round_stands_for players parts :
      all_stand_for players parts ->
      exists parts', all_stand_for (round players) parts' /\ concat parts' = concat parts.
    Proof.
      move: parts; move: players; fix IH 1.
      move=> [| a [| b players]] parts stand; first by exists parts.
        by exists parts.
      case: parts stand => [| keys [| keys' parts]] //=; first by case.
      move=> [first [second others]].
      have [parts' [stand same]] := IH players parts others.
      exists ((keys ++ keys') :: parts'); split; last by rewrite /= same app_assoc.
      by split; first exact: merge_stands_for.
    Qed.

    Lemma round_shorter (players : list partial) : (2 * length (round players) <= S (length players))%nat.
    Proof.
      move: players; fix IH 1; move=> [| a [| b players]] /=; [lia | lia |].
      by have := IH players; lia.
    Qed.

    Lemma tournament_stands_for rounds players parts :
      (length players <= S rounds)%nat -> all_stand_for players parts ->
      stands_for (tournament rounds players) (concat parts).
    Proof.
      elim: rounds players parts => [| rounds IH] [| a players] [| keys parts] //= enough [first others].
      - have none : players = [] by case: players enough {others} => //=; lia.
        by rewrite none in others; case: parts others => // _; rewrite app_nil_r.
      - case: players enough others => [| b players] enough others.
          by case: parts others => // _; rewrite app_nil_r.
        have [parts' [stand same]] :=
          round_stands_for (a :: b :: players) (keys :: parts) (conj first others).
        rewrite -[keys ++ _]same; apply: IH stand; have := round_shorter (a :: b :: players).
        by move: enough => /=; lia.
    Qed.

    (** The parts are all keys. *)
    Lemma parts_are_all parts i k :
      (0 < parts)%nat ->
      concat (map (part score mask value n_k parts i) (seq 0 k)) = keys_of i 0 (k * n_k / parts).
    Proof.
      move=> some; elim: k => [| k IH]; first by rewrite Nat.mul_0_l Nat.div_0_l //; lia.
      rewrite seq_S map_app concat_app IH [map _ _]/= [concat _]/= app_nil_r /part.
      set last := (S k * n_k / parts)%nat.
      have ordered : (k * n_k / parts <= last)%nat by apply: Nat.div_le_mono; nia.
      have parted := keys_of_split i 0 (k * n_k / parts) (last - k * n_k / parts).
      by rewrite -parted Nat.add_comm Nat.sub_add.
    Qed.

    (** Any number of parts, also more than there are keys. *)
    Theorem split_same_direct parts i c :
      (0 < parts)%nat -> split score mask value sink n_k parts i c = direct i c.
    Proof.
      move=> some; apply: finish_stands_for.
      have -> : all_keys score mask value sink n_k i =
        concat (sink_key sink :: map (part score mask value n_k parts i) (seq 0 parts)).
        by rewrite /= parts_are_all // Nat.mul_comm Nat.div_mul //; lia.
      apply: tournament_stands_for; first by rewrite /= map_length seq_length; lia.
      split; first exact: start_stands_for.
      by elim: (seq 0 parts) => [| p ps IH] //; split; first exact: over_keys_stands_for.
    Qed.
  End Forms.
End Laws.

(** ** Merging is associative and commutative, number by number *)

Section Merge.
  Context {Logit R : Type} {logit_ops : operations Logit} {logit_laws : commutative_ring Logit}.
  Context {logit_ord : ordering Logit} {logit_order : total_order Logit}.
  Context {ops : operations R} {div : division R} {laws : field R}.
  Context {ord : ordering R} {pos : positive_numbers R}.
  Context {e : exponential Logit R} {exp_laws : exponential_laws Logit R}.
  Add Ring merge_logits : (@ring_laws Logit logit_ops logit_laws).
  Add Field merge_numbers : (@field_laws R ops div laws).

  Notation partial := (@partial Logit R).
  Implicit Types p q r : partial.

  Definition same_partial p q : Prop :=
    match p, q with
    | no_keys, no_keys => True
    | Partial m l o, Partial m' l' o' => m = m' /\ l = l' /\ forall c, o c = o' c
    | _, _ => False
    end.

  Theorem merge_commutative p q : same_partial (merge p q) (merge q p).
  Proof.
    case: p q => [| m l o] [| m' l' o'] //=.
    by rewrite (maximum_commutative m' m); split=> //; split=> [| c]; ring.
  Qed.

  (** Fading twice is fading once. *)
  Lemma fade_twice (m both all : Logit) : exp (both - all) * exp (m - both) = exp (m - all) :> R.
  Proof. by rewrite -exp_add; congr exp; ring. Qed.

  Lemma faded_sum (m m' both all : Logit) (x y : R) :
    exp (both - all) * (exp (m - both) * x + exp (m' - both) * y) = exp (m - all) * x + exp (m' - all) * y.
  Proof. by rewrite -(fade_twice m both all) -(fade_twice m' both all); ring. Qed.

  Theorem merge_associative p q r : same_partial (merge (merge p q) r) (merge p (merge q r)).
  Proof.
    case: p q r => [| m l o] [| m' l' o'] [| m'' l'' o''] //=.
    rewrite (maximum_associative m m' m''); split=> //.
    by split=> [| c]; rewrite !faded_sum; ring.
  Qed.

  (** One key more is a merge with a partial result over that key alone, and so over_keys is a homomorphism:
      keys in a row become merges in a row. *)
  Theorem step_is_merge p key : same_partial (step p key) (merge p (Partial (fst key) 1 (snd key))).
  Proof.
    have no_fade (a : Logit) : exp (a - a) = 1 :> R by rewrite -exp_zero; congr exp; ring.
    case: key p => s v [| m l o] //=; rewrite /maximum.
    by case: (less m s) => /=; split=> //; rewrite no_fade; split=> [| c]; ring.
  Qed.
End Merge.

(** A query depends only on the keys that it may see, on their scores and on their values. *)
Lemma eq_direct {Logit R : Type} {ops : operations R} {div : division R} {e : exponential Logit R}
    (score score' : nat -> nat -> Logit) mask mask' (value : nat -> nat -> R) sink n_k i i' c :
  (forall j, (j < n_k)%nat -> mask i j = mask' i' j /\ (mask i j = true -> score i j = score' i' j)) ->
  direct score mask value sink n_k i c = direct score' mask' value sink n_k i' c.
Proof.
  move=> same; rewrite /direct /all_keys /keys_of; congr (direct_of (_ ++ _)).
  have -> : filter (mask' i') (seq 0 n_k) = filter (mask i) (seq 0 n_k).
    by apply: filter_ext_in => j /in_seq [_ small]; case: (same j small).
  apply: map_ext_in => j /filter_In [/in_seq [_ small] seen].
  by case: (same j small) => _ ->.
Qed.

(** ** Attention does not know the order of its tokens *)

Section Equivariance.
  Context {Logit R : Type} {logit_ops : operations Logit} {logit_laws : commutative_ring Logit}.
  Context {logit_ord : ordering Logit}.
  Context {ops : operations R} {div : division R} {laws : field R}.
  Context {ord : ordering R} {pos : positive_numbers R}.
  Context {e : exponential Logit R} {exp_laws : exponential_laws Logit R}.
  Variables (score : nat -> nat -> Logit) (mask : nat -> nat -> bool) (value : nat -> nat -> R).
  Variables (sink : option Logit) (n_k : nat) (p q : nat -> nat).
  Hypothesis permuted : permutation n_k p q.

  (** Keys and values may be permuted together. *)
  Theorem permuted_keys i c :
    direct (fun i j => score i (p j)) (fun i j => mask i (p j)) (fun j => value (p j)) sink n_k i c =
    direct score mask value sink n_k i c.
  Proof.
    apply/direct_of_permuted/Permutation_app_head; rewrite /keys_of.
    rewrite -(map_map p (fun j => (score i j, value j))).
    have -> : map p (filter (fun j => mask i (p j)) (seq 0 n_k)) = filter (mask i) (map p (seq 0 n_k)).
      by elim: (seq 0 n_k) => [// | j js IH] /=; case: (mask i (p j)); rewrite /= IH.
    exact/Permutation_map/permuted_filter/(permuted_numbers _ _ _ permuted).
  Qed.

  (** If all tokens are permuted, so are the outputs. *)
  Theorem permutation_equivariance i c :
    direct (fun i j => score (p i) (p j)) (fun i j => mask (p i) (p j)) (fun j => value (p j)) sink n_k i c =
    direct score mask value sink n_k (p i) c.
  Proof. exact: (permuted_keys (p i)). Qed.
End Equivariance.

(** A causal query does not see later keys: more of them change nothing. *)
Section Causal.
  Context {Logit R : Type} {ops : operations R} {div : division R} {e : exponential Logit R}.
  Variables (score : nat -> nat -> Logit) (value : nat -> nat -> R) (sink : option Logit).

  Lemma later_keys_hidden i first length :
    (i < first)%nat -> filter (causal_mask_top_left i) (seq first length) = [].
  Proof.
    elim: length first => [// | length IH] first late /=.
    have -> : causal_mask_top_left i first = false by apply/Nat.leb_gt.
    by apply: IH; lia.
  Qed.

  Theorem causal n i c :
    (i < n)%nat ->
    direct score causal_mask_top_left value sink n i c =
    direct score causal_mask_top_left value sink (S i) i c.
  Proof.
    move=> small; rewrite /direct /all_keys /keys_of.
    have -> : (n = S i + (n - S i))%nat by lia.
    by rewrite seq_app filter_app (later_keys_hidden i (0 + S i)) ?app_nil_r //; lia.
  Qed.
End Causal.
