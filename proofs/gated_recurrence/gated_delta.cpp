/// \file
/// The entry of the gated delta rule and its relatives: forms, laws, costs. Its text is
/// `reference/gated_recurrence/gated_delta.hpp`.
#include "reference/gated_recurrence/gated_delta.hpp"

#include <cmath>
#include <limits>

#include "proofs/engine/group.hpp"
#include "reference/heads.hpp"

namespace etalon {
namespace {

namespace gd = gated_delta;

enum TransitionChoice { kScalarGate, kChannelGates, kIdentityPlusLowRank, kDiagonalPlusLowRank };

bool is_low_rank(const Settings& settings) {
  return at(settings, "transition") >= kIdentityPlusLowRank;
}

/// The gated delta rule, with one gate a token or one a channel.
template <Ring T>
gd::Input<T> gated_of(const Arrays<T>& in, const Settings& settings) {
  const bool by_channel = at(settings, "transition") == kChannelGates;
  return {in["query"],
          in["key"],
          in["value"],
          in["beta"],
          by_channel ? in["channel_decay"] : in["decay"],
          in["initial_state"],
          in.number("scale", T(1))};
}

/// Any transition as diagonal plus rank one.
template <Ring T>
gd::low_rank::Input<T> low_rank_of(const Arrays<T>& in, const Settings& settings) {
  if (!is_low_rank(settings)) return gd::embedded(gated_of(in, settings));
  const bool identity = at(settings, "transition") == kIdentityPlusLowRank;
  return {in["query"],         in["key"],
          in["value"],         identity ? Array<T>(in["key"].shape(), T(1)) : in["channel_decay"],
          in["reader"],        in["writer"],
          in["initial_state"], in.number("scale", T(1))};
}

template <Ring T>
Arrays<T> arrays_of(const gd::Output<T>& out) {
  Arrays<T> arrays;
  arrays.real["output"] = out.output;
  arrays.real["state"] = out.state;
  return arrays;
}

/// Gradients of all inputs; those that the transition does not use stay 0.
template <Ring T>
Arrays<T> gradients_of(const Arrays<T>& in, const Settings& settings) {
  Arrays<T> d;
  for (const char* name : {"beta", "decay", "channel_decay", "reader", "writer"}) {
    d.real[std::string("d_") + name] = Array<T>(in[name].shape());
  }
  const auto keep = [&d](const auto& gradient) {
    d.real["d_query"] = gradient.query;
    d.real["d_key"] = gradient.key;
    d.real["d_value"] = gradient.value;
    d.real["d_initial_state"] = gradient.initial_state;
    d.real["d_scale"] = Array<T>(Shape{}, gradient.scale);
  };
  if (is_low_rank(settings)) {
    const auto gradient = gd::low_rank::backward(low_rank_of(in, settings), in["d_output"], in["d_state"]);
    keep(gradient);
    d.real["d_reader"] = gradient.reader;
    d.real["d_writer"] = gradient.writer;
    if (at(settings, "transition") == kDiagonalPlusLowRank) d.real["d_channel_decay"] = gradient.decay;
  } else {
    const auto gradient = gd::backward(gated_of(in, settings), in["d_output"], in["d_state"]);
    keep(gradient);
    d.real["d_beta"] = gradient.beta;
    d.real[at(settings, "transition") == kChannelGates ? "d_channel_decay" : "d_decay"] = gradient.decay;
  }
  return d;
}

const Expression n = symbol("n"), d_k = symbol("d_k"), d_v = symbol("d_v"), chunk = symbol("chunk");

void describe(EntryBuilder& entry) {
  entry
      .about("gated_recurrence", "Gated delta rule (Gated DeltaNet, KDA, DeltaProduct, DPLR)",
             "The delta rule on a memory that also fades, by one gate a token or one a channel, and its "
             "generalisation to any transition that is diagonal plus rank one.",
             {"yang2024gateddeltanet", "kimi2025linear", "siems2025deltaproduct", "peng2025rwkv7",
              "liu2024longhorn"})
      .size("n", 80, 6)
      .size("d_k", 4, 3)
      .size("d_v", 3, 2)
      .parameter({"transition",
                  kScalarGate,
                  kScalarGate,
                  kDiagonalPlusLowRank,
                  "what a token does to the state before it writes",
                  {"scalar_gate", "channel_gates", "identity_plus_low_rank", "diagonal_plus_low_rank"}})
      .parameter({"chunk", 64, 1, n + 2, "tokens in a chunk; the last one may be shorter", {}})
      .input("query", {n, d_k}, Domain::any, "what each token asks")
      .input("key", {n, d_k}, Domain::any, "under which label each token is remembered")
      .input("value", {n, d_v}, Domain::any, "what is to be remembered of each token")
      .input("beta", {n}, Domain::any, "how much of the difference each token writes (gates)")
      .input("decay", {n}, Domain::open_gate, "how much of the past each token keeps (scalar gate)")
      .input("channel_decay", {n, d_k}, Domain::gate,
             "the same by key channel (channel gates, diagonal plus low rank)")
      .input("reader", {n, d_k}, Domain::any, "what each transition reads (low rank)")
      .input("writer", {n, d_k}, Domain::any, "where it writes what it read (low rank)")
      .input("initial_state", {d_k, d_v}, Domain::any, "the memory before the first token")
      .input("scale", {}, Domain::positive, "factor of the read-out; 1 when left out")
      .output("output", {n, d_v}, "what each token reads")
      .output("state", {d_k, d_v}, "the memory after the last token");
}

void forms(EntryBuilder& entry) {
  entry
      .form("recurrent", "the definition: token after token",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              if (is_low_rank(settings)) return arrays_of(gd::low_rank::recurrent(low_rank_of(in, settings)));
              const auto input = gated_of(in, settings);
              return arrays_of(input.decay.rank() == 2 ? gd::by_channel::recurrent(input)
                                                       : gd::recurrent(input));
            })
      .form("chunked", "chunks, what is corrected or read by forward substitution",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              const Index length = at(settings, "chunk");
              if (is_low_rank(settings)) {
                return arrays_of(gd::low_rank::chunked(low_rank_of(in, settings), length));
              }
              const auto input = gated_of(in, settings);
              return arrays_of(input.decay.rank() == 2 ? gd::by_channel::chunked(input, length)
                                                       : gd::chunked(input, length));
            })
      .form("embedded", "every transition as diagonal plus rank one, token after token",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(gd::low_rank::recurrent(low_rank_of(in, settings)));
            })
      .form("pairwise", "every query walks back over the earlier keys",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(gd::low_rank::pairwise(low_rank_of(in, settings)));
            })
      .backward(
          "backward", "closed form by the reversed recurrence",
          []<Ring T>(const Arrays<T>& in, const Settings& settings) { return gradients_of(in, settings); });
}

// ---- what the laws share -----------------------------------------------------------------------

/// I - 2 x x^T / |x|^2: an orthogonal matrix with rational entries. Its rows are unit keys.
template <class T>
Array<T> reflection(const Array<T>& x) {
  const Index size = x.size();
  const T factor = T(2) / squares<T>(x.values());
  Array<T> matrix = identity<T>(size);
  for (Index i = 0; i < size; ++i) {
    for (Index m = 0; m < size; ++m)
      matrix(i, m) -=
          factor * x.values()[static_cast<std::size_t>(i)] * x.values()[static_cast<std::size_t>(m)];
  }
  return matrix;
}

/// A unit vector with rational entries.
template <class AnyTrial>
auto unit_key(const AnyTrial& trial, const std::string& name) {
  using T = ScalarOf<AnyTrial>;
  const Array<T> matrix = reflection(trial.array(name, {trial.size("d_k")}, Domain::nonzero));
  Array<T> key({1, trial.size("d_k")});
  for (Index i = 0; i < key.extent(1); ++i) key(0, i) = matrix(0, i);
  return key;
}

/// Input for a single token, the first, without a value: what it does to the state.
template <class T>
Arrays<T> one_transition(const Arrays<T>& in) {
  Arrays<T> one = in;
  for (const char* name : {"query", "key", "reader", "writer", "channel_decay"}) {
    one.real[name] = heads::rows(in[name], 0, 1);
  }
  one.real["value"] = Array<T>({1, in["value"].extent(1)});
  for (const char* name : {"beta", "decay"}) one.real[name] = Array<T>({1}, in[name](0));
  return one;
}

template <class AnyTrial>
auto drawn_product(const AnyTrial& trial, Index sub_steps) {
  using T = ScalarOf<AnyTrial>;
  const Index length = trial.size("n"), keys = trial.size("d_k"), values = trial.size("d_v");
  return gd::product::Input<T>{trial.in["query"],
                               trial.array("keys", {length, sub_steps, keys}),
                               trial.array("values", {length, sub_steps, values}),
                               trial.array("betas", {length, sub_steps}),
                               trial.in["decay"],
                               trial.in["initial_state"],
                               trial.in.number("scale", T(1))};
}

/// The arrays of a gated delta rule with one gate a token, for the forms.
template <class T>
Arrays<T> arrays_of(const gd::Input<T>& in) {
  Arrays<T> arrays;
  arrays.real = {{"query", in.query},
                 {"key", in.key},
                 {"value", in.value},
                 {"beta", in.beta},
                 {"decay", in.decay},
                 {"initial_state", in.initial_state},
                 {"scale", Array<T>(Shape{}, in.scale)}};
  return arrays;
}

// ---- laws --------------------------------------------------------------------------------------

void identities(EntryBuilder& entry) {
  for (const char* form : {"chunked", "embedded", "pairwise"}) {
    entry.standard(laws::same(form, "recurrent"));
  }
  for (const char* form : {"recurrent", "chunked"}) {
    entry.standard(laws::split(form, "n", {{"state", "initial_state"}}));
    entry.standard(laws::causal(form, "n"));
    entry.standard(laws::gradient(form, "backward"));
  }
  entry
      .law<PrimeField>(
          Kind::same, "the paper's W comes from the ungated rule",
          "T = Diag(gamma) T_0 Diag(gamma)^-1, so chunks with W = Diag(gamma) T_0 K equal the recurrence, "
          "and so does the delta rule on v / gamma",
          [](auto& trial) {
            const Settings scalar = with(trial, {{"transition", kScalarGate}});
            const auto truth = trial.run("recurrent", trial.in, scalar);
            const auto input = gated_of(trial.in, scalar);
            trial.equal(arrays_of(gd::chunked_wy(input, trial.size("chunk"))), truth, "chunked_wy");
            auto open = input;
            open.decay = trial.array("open gates", {trial.size("n")}, Domain::nonzero);
            auto in = trial.in;
            in.real["decay"] = open.decay;
            trial.equal(arrays_of(gd::rescaled(open)), trial.run("recurrent", in, scalar), "rescaled");
          })
      .law<PrimeField>(
          Kind::same, "gates exactly 0",
          "All forms stay equal when gates are 0 or 1, because they multiply decays and never divide them",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            for (const char* name : {"decay", "channel_decay"}) {
              for (T& gate : trial.in.real[name].values()) {
                const Index pick =
                    trial.integer(name + std::to_string(&gate - trial.in.real[name].values().data()), 0, 3);
                if (pick <= 1) gate = T(pick);
              }
            }
            const auto truth = trial.run("recurrent");
            trial.equal(trial.run("chunked"), truth, "chunked");
            trial.equal(trial.run("pairwise"), truth, "pairwise");
          })
      .law<PrimeField>(Kind::same, "equal gates in all channels are one gate",
                       "KDA with the same gate in every channel is Gated DeltaNet",
                       [](auto& trial) {
                         auto in = trial.in;
                         for (Index t = 0; t < trial.size("n"); ++t) {
                           for (auto& gate : in.real["channel_decay"].row(t)) gate = in["decay"](t);
                         }
                         trial.equal(trial.run("chunked", in, with(trial, {{"transition", kChannelGates}})),
                                     trial.run("chunked", in, with(trial, {{"transition", kScalarGate}})));
                       })
      .law<PrimeField>(
          Kind::same, "DeltaProduct is the gated delta rule on sub-steps",
          "Gate on the first sub-step, query on the last: recurrence and chunks of any length, which may cut "
          "a token; with one sub-step it is the gated delta rule",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index sub_steps = trial.integer("sub-steps", 1, 3);
            const auto in = drawn_product(trial, sub_steps);
            const auto truth = gd::product::recurrent(in);
            const auto all = arrays_of(gd::product::expanded(in));
            for (const char* form : {"recurrent", "chunked"}) {
              const auto whole = trial.run(form, all, with(trial, {{"transition", kScalarGate}}));
              const auto out = gd::product::collected<T>({whole["output"], whole["state"]}, sub_steps);
              trial.equal(out.output, truth.output, form);
              trial.equal(out.state, truth.state, form);
            }
          })
      .law<PrimeField>(Kind::erratum, "naive DeltaProduct ignores its scale",
                       "The released reference takes a scale and does not use it: outputs differ by that "
                       "factor, states not at all",
                       [](auto& trial) {
                         const auto in = drawn_product(trial, 2);
                         const auto naive = gd::product::recurrent_without_scale(in);
                         auto truth = gd::product::recurrent(in);
                         trial.equal(naive.state, truth.state, "state");
                         for (Index i = 0; i < truth.output.size(); ++i) {
                           const auto at = static_cast<std::size_t>(i);
                           trial.equal(in.scale * naive.output.values()[at], truth.output.values()[at],
                                       "output");
                         }
                       });
}

void transitions(EntryBuilder& entry) {
  entry
      .law<PrimeField>(
          Kind::invariant, "energy balance",
          "Without a value a token turns |S|^2 into alpha^2 (|S|^2 - beta (2 - beta |k|^2) |S^T k|^2)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto one = one_transition(trial.in);
            const Array<T> before = one["initial_state"];
            const auto after = trial.run("chunked", one, with(trial, {{"transition", kScalarGate}}))["state"];
            const T beta = one["beta"](0), gate = one["decay"](0), length = squares<T>(one["key"].row(0));
            const Array<T> met = times(one["key"], before);
            trial.equal(
                squares<T>(after.values()),
                gate * gate *
                    (squares<T>(before.values()) - beta * (T(2) - beta * length) * squares<T>(met.values())),
                "|S|^2");
          })
      .law<RationalExp2>(
          Kind::bound, "what is stable",
          "Without values, for unit keys and beta between 0 and 2: |S_t| <= max gate |S_{t-1}| with one gate "
          "and with many; and I + b a^T with b = -eta a, 0 <= eta |a|^2 <= 2, never grows",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto one = one_transition(trial.in);
            one.real["key"] = unit_key(trial, "direction");
            one.real["beta"](0) = T(2) * trial.number("half of beta", Domain::gate);
            const T before = squares<T>(one["initial_state"].values());
            T gate = one["decay"](0);
            auto after = trial.run("recurrent", one, with(trial, {{"transition", kScalarGate}}))["state"];
            trial.expect(squares<T>(after.values()) <= gate * gate * before, "one gate");
            gate = T(0);
            for (const T& x : one["channel_decay"].values()) gate = maximum(gate, x);
            after = trial.run("recurrent", one, with(trial, {{"transition", kChannelGates}}))["state"];
            trial.expect(squares<T>(after.values()) <= gate * gate * before, "gates by channel");
            const T length = squares<T>(one["reader"].row(0));
            if (length == T(0)) return;
            const T eta = one["beta"](0) / length;
            for (Index i = 0; i < trial.size("d_k"); ++i) {
              one.real["writer"](0, i) = -eta * one["reader"](0, i);
            }
            after = trial.run("recurrent", one, with(trial, {{"transition", kIdentityPlusLowRank}}))["state"];
            trial.expect(squares<T>(after.values()) <= before, "identity plus low rank");
          })
      .law<PrimeField>(
          Kind::invariant, "the moving eigenvalue",
          "I + b a^T multiplies b by 1 + a . b and keeps what is orthogonal to a; so one gate multiplies k "
          "by alpha (1 - beta |k|^2) and what is orthogonal to k by alpha",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto one = one_transition(trial.in);
            one.real["value"] = Array<T>({1, 2});
            one.real["reader"] = trial.array("nonzero reader", {1, trial.size("d_k")}, Domain::nonzero);
            const T length = squares<T>(one["reader"].row(0));
            const auto other = trial.array("other", {trial.size("d_k"), 1});
            const T along = times(one["reader"], other)(0, 0) / length;
            const T product = times(one["reader"], transposed(one["writer"]))(0, 0);
            Array<T> state({trial.size("d_k"), 2}), expected = state;
            for (Index i = 0; i < trial.size("d_k"); ++i) {
              state(i, 0) = one["writer"](0, i);
              expected(i, 0) = (T(1) + product) * state(i, 0);
              state(i, 1) = expected(i, 1) = other(i, 0) - along * one["reader"](0, i);
            }
            one.real["initial_state"] = state;
            trial.equal(
                trial.run("chunked", one, with(trial, {{"transition", kIdentityPlusLowRank}}))["state"],
                expected, "state");
            one.real["key"] = one["reader"];
            const T gate = one["decay"](0), left = gate * (T(1) - one["beta"](0) * length);
            for (Index i = 0; i < trial.size("d_k"); ++i) {
              state(i, 0) = one["key"](0, i);
              expected(i, 0) = left * state(i, 0);
              expected(i, 1) = gate * state(i, 1);
            }
            one.real["initial_state"] = state;
            trial.equal(trial.run("chunked", one, with(trial, {{"transition", kScalarGate}}))["state"],
                        expected, "one gate");
          })
      .law<RationalExp2>(
          Kind::bound, "one step of RWKV-7",
          "Its transition is similar to Diag(w) - r r^T with r = sqrt(eta) kappa, which is symmetric with "
          "eigenvalues between min w - 1 and max w",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index keys = trial.size("d_k");
            const auto root = trial.array("root of eta", {1, keys}, Domain::open_gate);
            const auto kappa = unit_key(trial, "direction");
            const auto decay = trial.array("w", {1, keys}, Domain::gate);
            auto eta = root;
            for (auto& x : eta.values()) x *= x;
            // Row i scaled by 1 / root_i and column m by root_m is the similar matrix.
            auto state = identity<T>(keys);
            for (Index i = 0; i < keys; ++i) state(i, i) = root(0, i);
            const Array<T> none({1, keys});
            const auto step = gd::low_rank::rwkv7(none, none, Array<T>({1, keys}), decay, kappa, eta, state);
            Array<T> similar = gd::low_rank::recurrent(step).state;
            const auto x = trial.array("x", {keys});
            T form(0), least = decay(0, 0), largest = decay(0, 0);
            for (Index i = 0; i < keys; ++i) {
              largest = maximum(largest, decay(0, i));
              least = -maximum(-least, -decay(0, i));
              for (Index m = 0; m < keys; ++m) {
                similar(i, m) /= root(0, i);
                const T expected =
                    (i == m ? decay(0, i) : T(0)) - root(0, i) * kappa(0, i) * root(0, m) * kappa(0, m);
                trial.equal(similar(i, m), expected, "similar matrix");
                form += x(i) * similar(i, m) * x(m);
              }
            }
            const T length = squares<T>(x.values());
            trial.expect((least - T(1)) * length <= form && form <= largest * length, "eigenvalues");
          })
      .law<RationalExp2>(
          Kind::invariant, "sub-steps reach the orthogonal matrices",
          "A product Q of h reflections is one token of DeltaProduct with as many sub-steps as Q - I has "
          "rank, at most h: x with Q x not x gives the key Q x - x, whose reflection fixes one direction "
          "more",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index keys = trial.size("d_k");
            Array<T> target = identity<T>(keys);
            const Index drawn = trial.integer("reflections", 0, keys);
            for (Index a = 0; a < drawn; ++a) {
              const auto axis = trial.array("axis " + std::to_string(a), {keys}, Domain::nonzero);
              target = times(reflection(axis), target);
            }
            trial.equal(times(target, transposed(target)), identity<T>(keys), "orthogonal");
            gd::product::Input<T> in{Array<T>({1, keys}),       Array<T>({1, keys, keys}),
                                     Array<T>({1, keys, keys}), Array<T>({1, keys}),
                                     Array<T>({1}, T(1)),       identity<T>(keys)};
            Index used = 0;
            Array<T> rest = target;  // the reflections found so far turn its first columns into unit vectors
            for (Index c = 0; c < keys; ++c) {
              Array<T> axis({keys});
              for (Index i = 0; i < keys; ++i) axis(i) = rest(i, c) - T(i == c ? 1 : 0);
              const T length = squares<T>(axis.values());
              if (length == T(0)) continue;
              rest = times(reflection(axis), rest);
              ++used;
              const Index place = keys - 1 - c;  // what was taken off last is put on first
              in.beta(0, place) = T(2) / length;
              for (Index i = 0; i < keys; ++i) in.key(0, place, i) = axis(i);
            }
            trial.equal(rest, identity<T>(keys), "taken apart");
            trial.expect(used <= drawn, "more reflections than it was drawn from");
            trial.equal(gd::product::recurrent(in).state, target, "put together");
          })
      .law<PrimeField>(
          Kind::invariant, "degenerate tokens",
          "alpha = 0 erases and leaves beta k v^T; beta = 0 or k = 0 only fades; one channel with beta 2 and "
          "k = 1 changes the sign of the state",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Settings scalar = with(trial, {{"transition", kScalarGate}});
            auto one = one_transition(trial.in);
            for (Index j = 0; j < trial.size("d_v"); ++j) one.real["value"](0, j) = trial.in["value"](0, j);
            const Array<T> before = one["initial_state"];
            auto erased = one;
            erased.real["decay"](0) = T(0);
            const auto after = trial.run("chunked", erased, scalar)["state"];
            auto still = one;
            if (trial.integer("which", 0, 1) == 0) {
              still.real["beta"](0) = T(0);
            } else {
              still.real["key"] = Array<T>(one["key"].shape());
            }
            const auto faded = trial.run("chunked", still, scalar)["state"];
            const auto by_channel =
                trial.run("chunked", still, with(trial, {{"transition", kChannelGates}}))["state"];
            for (Index i = 0; i < trial.size("d_k"); ++i) {
              for (Index j = 0; j < trial.size("d_v"); ++j) {
                trial.equal(after(i, j), one["beta"](0) * one["key"](0, i) * one["value"](0, j), "erased");
                trial.equal(faded(i, j), one["decay"](0) * before(i, j), "faded");
                trial.equal(by_channel(i, j), one["channel_decay"](0, i) * before(i, j), "faded by channel");
              }
            }
            const Index length = trial.size("n");
            const Array<T> ones({length, 1}, T(1));
            const gd::Input<T> parity{ones,
                                      ones,
                                      Array<T>({length, 1}),
                                      Array<T>({length}, T(2)),
                                      Array<T>({length}, T(1)),
                                      Array<T>({1, 1}, T(1))};
            const auto output = trial.run("recurrent", arrays_of(parity), scalar)["output"];
            for (Index t = 0; t < length; ++t) trial.equal(output(t, 0), T(t % 2 == 0 ? -1 : 1), "parity");
          });
}

void limits(EntryBuilder& entry) {
  entry
      .limit<PrimeField>("delta_rule", "without decay it is the delta rule",
                         "Gates of 1 leave the delta rule, and so does IPLR with a = k, b = -beta k and the "
                         "pair (beta k, v)",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto truth = trial.run_other("delta_rule", "recurrent", trial.in);
                           auto in = trial.in;
                           in.real["decay"] = Array<T>(in["decay"].shape(), T(1));
                           in.real["channel_decay"] = Array<T>(in["channel_decay"].shape(), T(1));
                           trial.equal(trial.run("chunked", in, with(trial, {{"transition", kScalarGate}})),
                                       truth, "one gate");
                           trial.equal(trial.run("chunked", in, with(trial, {{"transition", kChannelGates}})),
                                       truth, "gates");
                           in.real["reader"] = in["key"];
                           for (Index t = 0; t < trial.size("n"); ++t) {
                             for (T& x : in.real["key"].row(t)) x *= in["beta"](t);
                           }
                           in.real["writer"] = in["key"];
                           for (T& x : in.real["writer"].values()) x = -x;
                           trial.equal(
                               trial.run("chunked", in, with(trial, {{"transition", kIdentityPlusLowRank}})),
                               truth, "IPLR");
                         })
      .limit<PrimeField>("gated_linear_attention", "DPLR with a = 0 or b = 0 is gated linear attention",
                         "Without the rank-one part only the diagonal is left",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           auto in = trial.in;
                           const char* name = trial.integer("which", 0, 1) == 0 ? "reader" : "writer";
                           in.real[name] = Array<T>(in[name].shape());
                           Arrays<T> gla = in;
                           gla.real["decay"] = in["channel_decay"];
                           trial.equal(
                               trial.run("chunked", in, with(trial, {{"transition", kDiagonalPlusLowRank}})),
                               trial.run_other("gated_linear_attention", "recurrent", gla));
                         })
      .limit<PrimeField>(
          "gated_linear_attention", "with orthogonal keys it is scalar-gated linear attention",
          "While keys are orthogonal to all before them, and nothing is stored yet, only the gate remains, "
          "on values beta v",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index count = std::min(trial.size("n"), trial.size("d_k"));
            const Array<T> keys = reflection(trial.array("axis", {trial.size("d_k")}, Domain::nonzero));
            const auto length = trial.array("length", {count});
            gd::Input<T> in{heads::rows(trial.in["query"], 0, count),
                            Array<T>({count, trial.size("d_k")}),
                            heads::rows(trial.in["value"], 0, count),
                            Array<T>({count}),
                            Array<T>({count}),
                            Array<T>(trial.in["initial_state"].shape())};
            Arrays<T> gla;
            gla.real["decay"] = Array<T>(in.key.shape());
            gla.real["value"] = in.value;
            for (Index t = 0; t < count; ++t) {
              in.beta(t) = trial.in["beta"](t);
              in.decay(t) = trial.in["decay"](t);
              for (T& x : gla.real["value"].row(t)) x *= in.beta(t);
              for (Index i = 0; i < trial.size("d_k"); ++i) {
                in.key(t, i) = length(t) * keys(t, i);
                gla.real["decay"](t, i) = in.decay(t);
              }
            }
            gla.real["query"] = in.query;
            gla.real["key"] = in.key;
            gla.real["initial_state"] = in.initial_state;
            trial.equal(trial.run("chunked", arrays_of(in), with(trial, {{"transition", kScalarGate}})),
                        trial.run_other("gated_linear_attention", "recurrent", gla));
          })
      .limit<PrimeField>(
          "retention", "DPLR with one constant gate and a = 0 is retention",
          "With a constant decay in all channels and nothing read it is retention without rotation",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index channels = trial.size("d_k") - trial.size("d_k") % 2;
            if (channels == 0) return;
            Arrays<T> in;
            for (const char* name : {"query", "key", "channel_decay", "reader", "writer"}) {
              in.real[name] = Array<T>({trial.size("n"), channels});
              for (Index t = 0; t < trial.size("n"); ++t) {
                for (Index i = 0; i < channels; ++i) in.real[name](t, i) = trial.in[name](t, i);
              }
            }
            in.real["value"] = trial.in["value"];
            in.real["reader"] = Array<T>(in["reader"].shape());
            in.real["channel_decay"] = Array<T>(in["reader"].shape(), trial.in["decay"](0));
            in.real["initial_state"] = heads::rows(trial.in["initial_state"], 0, channels);
            Arrays<T> retention = in;
            retention.real["decay"] = Array<T>(Shape{}, trial.in["decay"](0));
            retention.real["half_tangent"] = Array<T>({channels / 2});
            trial.equal(trial.run("recurrent", in, with(trial, {{"transition", kDiagonalPlusLowRank}})),
                        trial.run_other("retention", "recurrent", retention));
          });
}

void gates(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::bound, "the gates of the layers",
          "softplus(x) - softplus(-x) = x; a gate starts at e^(-step e^A); KDA's other gate keeps a block of "
          "16 tokens above e^-80, which float32 holds",
          [](auto& trial) {
            using T = Bounded<Real50>;
            const T x = trial.number("x", Domain::logit), rate = trial.number("rate", Domain::gate);
            trial.equal(gd::softplus(x) - gd::softplus(-x), x, "softplus");
            const T step = T(1) / T(trial.integer("step", 10, 1000));
            trial.equal(gd::softplus(gd::inverse_softplus(step)), step, "inverse");
            trial.equal(gd::log_gate(T(0), rate, gd::inverse_softplus(step)), -(step * exp(rate)),
                        "first gate");
            T block(0);
            for (Index t = 0; t < 16; ++t) {
              const T input = trial.number("input " + std::to_string(t), Domain::logit);
              const T log_gate = gd::log_gate_above(input, rate, x, T(-5));
              trial.equal(log_gate, T(-5) / (T(1) + exp(-(exp(rate) * (input + x)))), "gate");
              trial.at_most(T(-5), log_gate, "not below -5");
              trial.at_most(log_gate, T(0), "not above 0");
              block += log_gate;
            }
            trial.at_most(T(-80), block, "block of 16");
            trial.expect(exp(Real50(80)) < Real50(std::numeric_limits<float>::max()), "float32 holds e^80");
          })
      .law<PrimeField>(Kind::invariant, "an implicit step",
                       "beta / (1 + beta |k|^2) moves the state by -beta times the gradient of |S^T k - v|^2 "
                       "/ 2 at the *new* state",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         auto one = one_transition(trial.in);
                         for (Index j = 0; j < trial.size("d_v"); ++j)
                           one.real["value"](0, j) = trial.in["value"](0, j);
                         one.real["decay"](0) = T(1);
                         const T beta = trial.number("positive beta", Domain::positive);
                         one.real["beta"](0) = gd::implicit_strength<T>(beta, one["key"].row(0));
                         const auto after =
                             trial.run("recurrent", one, with(trial, {{"transition", kScalarGate}}))["state"];
                         const auto met = times(one["key"], after);
                         for (Index i = 0; i < trial.size("d_k"); ++i) {
                           for (Index j = 0; j < trial.size("d_v"); ++j) {
                             const T gradient = one["key"](0, i) * (met(0, j) - one["value"](0, j));
                             trial.equal(after(i, j), one["initial_state"](i, j) - beta * gradient, "state");
                           }
                         }
                       })
      .once(
          Kind::invariant, "a gate that underflows",
          "float32 gates of e^-120 are 0: the forms stay finite and equal, the rescaled one is not a number",
          [](auto& check) {
            gd::Input<float> in{Array<float>({3, 1}, 1.0F),
                                Array<float>({3, 1}, 1.0F),
                                Array<float>({3, 1}, {1.0F, 2.0F, 3.0F}),
                                Array<float>({3}, 0.5F),
                                Array<float>({3}, std::exp(-120.0F)),
                                Array<float>({1, 1}, 1.0F)};
            check.equal(in.decay(0), 0.0F, "gate");
            check.equal(gd::recurrent(in).output(2, 0), 1.5F, "recurrent");
            check.equal(gd::chunked(in, 3).output(2, 0), 1.5F, "chunked");
            check.expect(!finite(gd::rescaled(in).output(2, 0)), "the rescaled form is finite");
          })
      .once(Kind::erratum, "a decay or its logarithm",
            "The note on RWKV-7 takes w = e^(-e^x) inside the operator, the fast operator takes the "
            "logarithm -e^x: fed with x where the other is expected, a gate of e^-1 becomes 1",
            [](auto& check) {
              const Real50 x = 0;
              check.digits(exp(-exp(x)), "0.36787944117144", "from x");
              check.digits(exp(x), "1", "x taken for a logarithm");
            })
      .once(
          Kind::erratum, "names of the rank-one part",
          "Comments of the released code write S (I + alpha beta^T): their alpha reads and their beta "
          "writes; exchanged, the state is another",
          [](auto& check) {
            using R = RationalExp2;
            const Array<R> a = Array<R>::matrix({{R(1), R(2)}}), b = Array<R>::matrix({{R(3), R(0)}});
            const Array<R> none({1, 2}), ones({1, 2}, R(1)), start = identity<R>(2);
            using Transition = gd::low_rank::Input<R>;
            const auto state = gd::low_rank::recurrent(Transition{none, none, none, ones, a, b, start}).state;
            check.equal(state, Array<R>::matrix({{R(4), R(6)}, {R(0), R(1)}}), "I + b a^T");
            check.equal(gd::low_rank::recurrent(Transition{none, none, none, ones, b, a, start}).state,
                        transposed(state), "exchanged");
          })
      .once(Kind::bound, "products of RWKV-7 steps may grow",
            "Three steps, each similar to a contraction, whose product has spectral radius 1.3485: after 20 "
            "rounds the state is longer than 100",
            [](auto& check) {
              using R = RationalExp2;
              constexpr Index kTokens = 60;
              const R kappa[3][2] = {{R(7) / R(25), R(-24) / R(25)},
                                     {R(5) / R(13), R(-12) / R(13)},
                                     {R(12) / R(13), R(-5) / R(13)}};
              const Array<R> none({kTokens, 2}), ones({kTokens, 2}, R(1));
              Array<R> along = none, eta = none;
              for (Index t = 0; t < kTokens; ++t) {
                for (Index i = 0; i < 2; ++i) along(t, i) = kappa[t % 3][i];
                eta(t, t % 3 == 2 ? 1 : 0) = R(1);
              }
              const Array<R> state = gd::low_rank::recurrent(gd::low_rank::rwkv7(none, none, none, ones,
                                                                                 along, eta, identity<R>(2)))
                                         .state;
              check.expect(squares<R>(state.values()) > R(10000), "the state stays short");
            })
      .once(Kind::invariant, "value heads share queries and keys",
            "With 4 value heads and 2 key heads, head j uses keys of head floor(j / 2), not j mod 2",
            [](auto& check) {
              Array<double> key({2, 1, 1});
              key(0, 0, 0) = 10;
              key(1, 0, 0) = 20;
              const auto used = heads::grouped(Array<double>({4, 1, 1}, 1.0), key, key,
                                               [](const auto&, const auto& k, const auto&) { return k; });
              const double expected[] = {10, 10, 20, 20};
              for (Index j = 0; j < 4; ++j) check.equal(used(j, 0, 0), expected[j], "key head");
            });
}

// ---- costs -------------------------------------------------------------------------------------

/// A sum over all chunks: the full ones and the last.
template <class Formula>
Expression over_chunks(Formula formula) {
  const Expression full = ceil_div(n, chunk) - 1, last = n - full * chunk;
  return full * formula(chunk) + formula(last);
}

Cost cost_of(const std::string& form, const std::string& under, TransitionChoice transition) {
  Cost cost(form);
  cost.under = under;
  cost.without = {"scale"};
  cost.divisions = 0;
  cost.state = d_k * d_v;
  cost.fixed = [transition](Settings& settings) { settings["transition"] = transition; };
  return cost;
}

void costs(EntryBuilder& entry) {
  Cost scalar = cost_of("recurrent", "one gate", kScalarGate);
  scalar.multiplications = n * (4 * d_k * d_v + d_v);
  scalar.additions = n * (3 * d_k * d_v - d_v);
  scalar.depth = n * (d_k + 5) + d_k;
  scalar.free_depth = n * (ceil_log2(d_k + 1) + 5) + ceil_log2(d_k) + 1;
  Cost channel = scalar;
  channel.under = "gates by channel";
  channel.fixed = cost_of("", "", kChannelGates).fixed;
  Cost diagonal = cost_of("recurrent", "diagonal plus low rank", kDiagonalPlusLowRank);
  diagonal.multiplications = 5 * n * d_k * d_v;
  diagonal.additions = n * (4 * d_k * d_v - 2 * d_v);
  diagonal.depth = n * (d_k + 3) + d_k;
  Cost identity = cost_of("recurrent", "identity plus low rank", kIdentityPlusLowRank);
  identity.multiplications = 4 * n * d_k * d_v;
  identity.additions = n * (4 * d_k * d_v - 2 * d_v);
  Cost scalar_chunks = cost_of("chunked", "one gate", kScalarGate);
  scalar_chunks.multiplications = over_chunks([](const Expression& m) {
    const Expression pairs = m * (m - 1) / 2;
    return (m - 1) * (m - 2) / 2 + (m - 1) * (d_k + 1) + pairs * (2 * d_k + 2 * d_v + 3) +
           m * (d_k + 4 * d_v) + (3 * m + 1) * d_k * d_v;
  });
  scalar_chunks.additions = over_chunks([](const Expression& m) {
    const Expression pairs = m * (m - 1) / 2;
    return (2 * pairs + m) * (d_k - 1) + 2 * pairs * d_v + 3 * m * d_k * d_v;
  });
  Cost channel_chunks = cost_of("chunked", "gates by channel", kChannelGates);
  channel_chunks.multiplications = over_chunks([](const Expression& m) {
    const Expression pairs = m * (m - 1) / 2;
    return (m - 1) * (m - 2) / 2 * d_k + (m - 1) * d_k + pairs * (3 * d_k + 1 + 2 * d_v) +
           m * (3 * d_k + 2 * d_v) + (3 * m + 1) * d_k * d_v;
  });
  channel_chunks.additions = scalar_chunks.additions;
  Cost diagonal_chunks = cost_of("chunked", "diagonal plus low rank", kDiagonalPlusLowRank);
  diagonal_chunks.multiplications = over_chunks([](const Expression& m) {
    const Expression pairs = m * (m - 1) / 2, ahead = max(m - 2, 0) * max(m - 3, 0) / 2;
    return ahead * d_k + (m - 1) * (m - 2) * d_k + 6 * pairs * d_k + 2 * m * d_k + 2 * (m - 1) * d_k +
           m * d_k + (4 * pairs + 2 * m) * d_v + (4 * m + 1) * d_k * d_v;
  });
  diagonal_chunks.additions = over_chunks([](const Expression& m) {
    const Expression pairs = m * (m - 1) / 2;
    return (4 * pairs + 2 * m) * (d_k - 1) + 2 * m * (d_k - 1) * d_v + (4 * pairs + 2 * m) * d_v +
           2 * m * d_k * d_v;
  });
  entry.cost(scalar).cost(channel).cost(diagonal).cost(identity);
  entry.cost(scalar_chunks).cost(channel_chunks).cost(diagonal_chunks);
  entry.law<Counted<double>>(
      Kind::cost, "cost of DeltaProduct",
      "n (h (2 d_k d_v + d_v) + 2 d_k d_v) multiplications and n (2 h d_k d_v + (d_k - 1) d_v) additions",
      [](auto& trial) {
        const Index h = trial.integer("sub-steps", 1, 4), tokens = trial.size("n");
        const Index keys = trial.size("d_k"), values = trial.size("d_v");
        auto in = drawn_product(trial, h);
        in.scale = Counted<double>(1);
        CountOperations scope;
        gd::product::recurrent(in);
        const OperationCounts counts = scope.counts();
        trial.expect(
            counts.multiplications == tokens * (h * (2 * keys * values + values) + 2 * keys * values),
            "multiplications");
        trial.expect(counts.additions == tokens * (2 * h * keys * values + (keys - 1) * values), "additions");
      });
  std::vector<Settings> grid;
  for (Index length = 16; length <= 1024; length *= 2) {
    grid.push_back({{"n", length}, {"d_k", 64}, {"d_v", 64}, {"chunk", 64}});
  }
  entry.scale("64 channels", grid);
}

void examples(EntryBuilder& entry) {
  entry.example("worked example", "Four tokens, two channels, by hand; two reflections", [](auto& check) {
    using R = RationalExp2;
    const auto over = [](Index a, Index b) { return R(a) / R(b); };
    const R half = over(1, 2), quarter = over(1, 4), one(1), two(2), zero(0);
    Arrays<R> in;
    in.real["query"] = Array<R>::matrix({{one, zero}, {zero, one}, {one, one}, {two, -one}});
    in.real["key"] = Array<R>::matrix({{one, zero}, {over(3, 5), over(4, 5)}, {zero, one}, {one, zero}});
    in.real["value"] = Array<R>::matrix({{one, two}, {two, zero}, {-one, one}, {R(4), R(4)}});
    in.real["beta"] = Array<R>::vector({one, half, one, half});
    in.real["decay"] = Array<R>::vector({half, half, quarter, one});
    in.real["channel_decay"] = Array<R>::matrix({{half, one}, {one, half}, {quarter, one}, {one, half}});
    in.real["initial_state"] = Array<R>({2, 2});
    in.real["reader"] = in.real["writer"] = in["key"];
    const auto eta = Array<R>::matrix({{half, quarter}, {one, half}, {half, one}, {quarter, one}});
    for (Index t = 0; t < 4; ++t) {
      for (Index i = 0; i < 2; ++i) {
        in.real["reader"](t, i) = -in["key"](t, i);
        in.real["writer"](t, i) = in["key"](t, i) * eta(t, i);
      }
    }
    const auto expect = [&](TransitionChoice transition, const Array<R>& output, const Array<R>& state) {
      for (const char* form : {"recurrent", "chunked", "pairwise"}) {
        const auto out = Registry::instance()
                             .entry("gated_delta")
                             .form(form)
                             .run<R>(in, {{"transition", transition}, {"chunk", 3}});
        check.equal(out["output"], output, form);
        check.equal(out["state"], state, form);
      }
    };
    expect(kScalarGate,
           Array<R>::matrix({{one, two},
                             {over(17, 25), over(-6, 25)},
                             {over(-299, 400), over(241, 200)},
                             {over(2101, 400), over(641, 200)}}),
           Array<R>::matrix({{over(1701, 800), over(841, 400)}, {-one, one}}));
    expect(kChannelGates,
           Array<R>::matrix({{one, two},
                             {over(14, 25), over(-12, 25)},
                             {over(-129, 200), over(141, 100)},
                             {over(971, 200), over(391, 100)}}),
           Array<R>::matrix({{over(871, 400), over(441, 200)}, {-half, half}}));
    expect(kDiagonalPlusLowRank,
           Array<R>::matrix({{one, two},
                             {over(34, 25), over(-12, 25)},
                             {over(-27, 50), over(33, 25)},
                             {over(919, 100), over(399, 50)}}),
           Array<R>::matrix({{over(869, 200), over(106, 25)}, {-half, half}}));
    const auto split = [](const Array<R>& rows) {  // two sub-steps a token
      return Array<R>({2, 2, 2}, std::vector<R>(rows.values().begin(), rows.values().end()));
    };
    const gd::product::Input<R> product{Array<R>::matrix({{one, zero}, {one, one}}),
                                        split(in["key"]),
                                        split(in["value"]),
                                        Array<R>({2, 2}, {one, half, one, half}),
                                        Array<R>::vector({half, half}),
                                        Array<R>({2, 2})};
    const auto out = gd::product::recurrent(product);
    check.equal(out.output,
                Array<R>::matrix({{over(71, 50), over(41, 25)}, {over(271, 200), over(341, 100)}}),
                "DeltaProduct, output");
    check.equal(out.state, Array<R>::matrix({{over(471, 200), over(241, 100)}, {-one, one}}),
                "DeltaProduct, state");
    const gd::product::Input<R> rotation{
        Array<R>({1, 2}),    Array<R>({1, 2, 2}, {one, zero, over(4, 5), over(3, 5)}),
        Array<R>({1, 2, 2}), Array<R>({1, 2}, two),
        Array<R>({1}, one),  identity<R>(2)};
    check.equal(gd::product::recurrent(rotation).state,
                Array<R>::matrix({{over(7, 25), over(-24, 25)}, {over(24, 25), over(7, 25)}}),
                "two reflections are a rotation");
  });
}

const Registration<EntryBuilder> registration{"gated_delta", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                transitions(entry);
                                                limits(entry);
                                                gates(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
