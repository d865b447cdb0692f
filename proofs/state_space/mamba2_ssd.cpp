/// \file
/// The entry of Mamba-2's state space duality: forms, laws, costs. Its text is
/// `reference/state_space/mamba2_ssd.hpp`.
#include "reference/state_space/mamba2_ssd.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

namespace ssd = mamba2_ssd;

const Expression n = symbol("n"), d_k = symbol("d_k"), d_v = symbol("d_v"), chunk = symbol("chunk");

template <Ring T>
ssd::Input<T> input_of(const Arrays<T>& in) {
  const bool started = in.real.contains("initial_state");
  return {in["query"],
          in["key"],
          in["value"],
          in["decay"],
          started ? in["initial_state"] : Array<T>({in["key"].extent(1), in["value"].extent(1)}),
          in.number("skip", T(0))};
}

template <Ring T>
Arrays<T> arrays_of(const ssd::Output<T>& out) {
  Arrays<T> arrays;
  arrays.real["output"] = out.output;
  arrays.real["state"] = out.state;
  return arrays;
}

template <Ring T>
Arrays<T> arrays_of(const Array<T>& output) {
  Arrays<T> arrays;
  arrays.real["output"] = output;
  return arrays;
}

/// The sum of a_i b_i.
template <Ring T>
T inner(const Array<T>& a, const Array<T>& b) {
  T sum(0);
  for (std::size_t i = 0; i < a.values().size(); ++i) sum += a.values()[i] * b.values()[i];
  return sum;
}

/// The drawn inputs without skip, and without initial state unless that is to stay.
template <class AnyTrial>
auto core_of(const AnyTrial& trial, bool started) {
  using T = ScalarOf<AnyTrial>;
  auto in = trial.in;
  in.real["skip"] = Array<T>(Shape{}, T(0));
  if (!started) in.real["initial_state"] = Array<T>(in["initial_state"].shape());
  return in;
}

void describe(EntryBuilder& entry) {
  entry
      .about("state_space", "Mamba-2 (SSD)",
             "A state space model whose states fade together, by a number that every token chooses; it is "
             "also attention with a mask of decays.",
             {"dao2024mamba2"})
      .size("n", 60, 6)
      .size("d_k", 3, 2)
      .size("d_v", 3, 2)
      .parameter({"chunk", 64, 1, n + 2, "tokens in a chunk; the last one may be shorter", {}})
      .input("query", {n, d_k}, Domain::any, "what each token asks (C)")
      .input("key", {n, d_k}, Domain::any, "under which label each token is remembered (B)")
      .input("value", {n, d_v}, Domain::any, "what is remembered of each token (x, times its step)")
      .input("decay", {n}, Domain::gate, "how much of the past each token keeps (a)")
      .input("initial_state", {d_k, d_v}, Domain::any, "the state before the first token; 0 when left out")
      .input("skip", {}, Domain::any, "how the value reaches the output past the state (D); 0 when left out")
      .output("output", {n, d_v}, "what each token reads")
      .output("state", {d_k, d_v}, "the state after the last token");
}

void forms(EntryBuilder& entry) {
  entry
      .form("recurrent", "the definition: token after token",
            []<Ring T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(ssd::recurrent(input_of(in)));
            })
      .form("quadratic", "the dual: one masked matrix product",
            []<Ring T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(ssd::quadratic(input_of(in)));
            })
      .form("chunked", "the dual inside chunks, a state from one to the next",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(ssd::chunked(input_of(in), at(settings, "chunk")));
            })
      .form("four_steps", "all chunks at once, their states handed on by a mask of chunks",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(ssd::four_steps(input_of(in), at(settings, "chunk")));
            })
      .form("scan", "an associative scan over the tokens",
            []<Ring T>(const Arrays<T>& in, const Settings&) { return arrays_of(ssd::scan(input_of(in))); })
      .form("by_halves", "the mask by halves, whose coupling has rank one",
            []<Ring T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(ssd::by_halves(input_of(in)));
            })
      .backward("backward", "closed form by the reversed recurrence",
                []<Ring T>(const Arrays<T>& in, const Settings&) {
                  const auto d = ssd::backward(input_of(in), in["d_output"], in["d_state"]);
                  Arrays<T> arrays;
                  arrays.real["d_query"] = d.query;
                  arrays.real["d_key"] = d.key;
                  arrays.real["d_value"] = d.value;
                  arrays.real["d_decay"] = d.decay;
                  arrays.real["d_initial_state"] = d.initial_state;
                  arrays.real["d_skip"] = Array<T>(Shape{}, d.skip);
                  return arrays;
                });
}

void identities(EntryBuilder& entry) {
  for (const char* form : {"quadratic", "chunked", "four_steps", "scan", "by_halves"}) {
    entry.standard(laws::same(form, "recurrent")).standard(laws::causal(form, "n"));
  }
  for (const char* form : {"recurrent", "chunked", "four_steps", "scan"}) {
    entry.standard(laws::split(form, "n", {{"state", "initial_state"}}));
  }
  for (const char* form : {"recurrent", "chunked"}) entry.standard(laws::gradient(form, "backward"));
}

// ---- other entries -----------------------------------------------------------------------------

/// The drawn inputs without skip and with the same decay at every token.
template <class AnyTrial, class T>
Arrays<T> with_constant_decay(const AnyTrial& trial, const T& decay) {
  auto in = core_of(trial, true);
  in.real["decay"] = Array<T>(in["decay"].shape(), decay);
  return in;
}

void limits(EntryBuilder& entry) {
  entry
      .limit<PrimeField>(
          "gated_linear_attention", "is gated linear attention with one gate for all channels",
          "With alpha_t = a_t in every channel, k = B, v = xbar and q = C the two agree, but for the skip",
          [](auto& trial) {
            auto in = core_of(trial, true), other = in;
            for (Index t = 0; t < trial.size("n"); ++t) {
              other.real["decay"] = Array(in["key"].shape(), in["decay"](0));
            }
            for (Index t = 0; t < trial.size("n"); ++t) {
              for (Index i = 0; i < trial.size("d_k"); ++i) {
                other.real["decay"](t, i) = in["decay"](t);
              }
            }
            trial.equal(trial.run("chunked", in),
                        trial.run_other("gated_linear_attention", "recurrent", other));
          })
      .limit<PrimeField>("retention", "with one constant decay it is retention without rotation",
                         "a = gamma at every token; an odd channel of keys gets a partner that is 0",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto in = with_constant_decay(trial, trial.in["decay"](0));
                           const Index channels = trial.size("d_k"), pairs = (channels + 1) / 2;
                           Arrays<T> other;
                           const auto padded = [&](const Array<T>& array, Index rows, Index columns) {
                             Array<T> wide({rows, columns});
                             for (Index r = 0; r < array.extent(0); ++r) {
                               for (Index c = 0; c < array.extent(1); ++c) wide(r, c) = array(r, c);
                             }
                             return wide;
                           };
                           for (const char* name : {"query", "key"}) {
                             other.real[name] = padded(in[name], trial.size("n"), 2 * pairs);
                           }
                           other.real["initial_state"] =
                               padded(in["initial_state"], 2 * pairs, trial.size("d_v"));
                           other.real["value"] = in["value"];
                           other.real["decay"] = Array<T>(Shape{}, in["decay"](0));
                           other.real["half_tangent"] = Array<T>({pairs});
                           trial.equal(trial.run("chunked", in)["output"],
                                       trial.run_other("retention", "parallel", other)["output"], "output");
                         })
      .limit<PrimeField>("linear_attention", "without decay it is linear attention",
                         "a = 1 leaves the unnormalised running sum",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto in = with_constant_decay(trial, T(1));
                           auto other = in;
                           other.real["initial_normaliser"] = Array<T>({trial.size("d_k")});
                           trial.equal(
                               trial.run("chunked", in),
                               trial.run_other("linear_attention", "recurrent", other, {{"normalised", 0}}));
                         })
      .limit<Bounded<Real50>>(
          "mamba_s6", "is Mamba with one rate and one step length for all channels",
          "The layer is S6 (Euler step) whose rates and step lengths are the same in every channel and state",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), states = trial.size("d_k"), channels = trial.size("d_v");
            const auto& in = trial.in;
            const auto raw = trial.array("raw step", {length}, Domain::logit);
            const T bias = trial.number("bias", Domain::logit), log_rate = trial.number("log rate");
            const auto skip = trial.array("skips", {channels});
            Arrays<T> other;
            other.real = {
                {"signal", in["value"]},
                {"raw_step", Array<T>({length, channels})},
                {"step_bias", Array<T>({channels}, bias)},
                {"log_rate", Array<T>({channels, states}, log_rate)},
                {"B", Array<T>({length, 1, states}, {in["key"].values().begin(), in["key"].values().end()})},
                {"C",
                 Array<T>({length, 1, states}, {in["query"].values().begin(), in["query"].values().end()})},
                {"skip", skip},
                {"initial_state", Array<T>({channels, states})}};
            Array<T> steps({length});
            for (Index t = 0; t < length; ++t) {
              steps(t) = ssd::step_length(raw(t), bias);
              for (T& x : other.real["raw_step"].row(t)) x = raw(t);
            }
            for (Index i = 0; i < states; ++i) {
              for (Index j = 0; j < channels; ++j) {
                other.real["initial_state"](j, i) = in["initial_state"](i, j);
              }
            }
            const auto out = ssd::layer(ssd::Layer<T>{in["query"], in["key"], in["value"], steps,
                                                      in["initial_state"], T(-exp(log_rate)), skip},
                                        trial.size("chunk"));
            const auto s6 = trial.run_other("mamba_s6", "recurrent", other);
            trial.equal(out.output, s6["output"], "output");
            for (Index i = 0; i < states; ++i) {
              for (Index j = 0; j < channels; ++j) trial.equal(out.state(i, j), s6["state"](j, i), "state");
            }
          })
      .limit<PrimeField>("s4d", "with constant coefficients it is S4D with equal real eigenvalues",
                         "Where a, B and C are the same at every token each value channel is a convolution: "
                         "S4D by the bilinear transform with -lambda = (1 - a) / (1 + a), step 2, B / (1 + "
                         "a) and C / 2, half of each conjugate pair being itself",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const T a = trial.in["decay"](0);
                           auto in = with_constant_decay(trial, a);
                           in.real["skip"] = trial.in["skip"];
                           Arrays<T> other;
                           const Index states = trial.size("d_k");
                           for (const char* name : {"minus_lambda", "B", "C", "initial_state"}) {
                             other.complex[name] = Array<Complex<T>>({states});
                           }
                           for (Index i = 0; i < states; ++i) {
                             for (Index t = 0; t < trial.size("n"); ++t) {
                               for (const char* name : {"query", "key"})
                                 in.real[name](t, i) = trial.in[name](0, i);
                             }
                             other.complex["minus_lambda"](i) = Complex<T>((T(1) - a) / (T(1) + a));
                             other.complex["B"](i) = Complex<T>(in["key"](0, i) / (T(1) + a));
                             other.complex["C"](i) = Complex<T>(in["query"](0, i) / T(2));
                           }
                           other.real["D"] = in["skip"];
                           other.real["step"] = Array<T>(Shape{}, T(2));
                           const auto out = trial.run("chunked", in);
                           for (Index j = 0; j < trial.size("d_v"); ++j) {
                             other.real["signal"] = Array<T>({trial.size("n")});
                             for (Index t = 0; t < trial.size("n"); ++t)
                               other.real["signal"](t) = in["value"](t, j);
                             for (Index i = 0; i < states; ++i) {
                               other.complex["initial_state"](i) = Complex<T>(in["initial_state"](i, j));
                             }
                             const auto y = trial.run_other("s4d", "recurrent", other);
                             for (Index t = 0; t < trial.size("n"); ++t)
                               trial.equal(out["output"](t, j), y["y"](t), "y");
                             for (Index i = 0; i < states; ++i) {
                               trial.equal(Complex<T>(out["state"](i, j)), y.complex.at("state")(i), "state");
                             }
                           }
                         });
}

// ---- the mask ----------------------------------------------------------------------------------

/// Rank of the rows from `row` on and the columns before `column`, by elimination.
template <Field T>
Index rank_below(Array<T> matrix, Index row, Index column) {
  Index rank = 0;
  for (Index c = 0; c < column; ++c) {
    const Index top = row + rank;
    Index pivot = top;
    while (pivot < matrix.extent(0) && matrix(pivot, c) == T(0)) ++pivot;
    if (pivot == matrix.extent(0)) continue;
    for (Index r = top; r < matrix.extent(0); ++r) {
      if (r == pivot) continue;
      const T factor = matrix(r, c) / matrix(pivot, c);
      for (Index d = c; d < column; ++d) matrix(r, d) -= factor * matrix(pivot, d);
    }
    for (Index d = 0; d < column; ++d) std::swap(matrix(pivot, d), matrix(top, d));
    ++rank;
  }
  return rank;
}

void masks(EntryBuilder& entry) {
  entry
      .law<PrimeField>(
          Kind::invariant, "the mask is 1-semiseparable",
          "L_ts = L_tm L_ms for s <= m <= t; its inverse has the diagonals 1 and -a_t; multiplying by it is "
          "the scalar recurrence, which is also the mixer with d_k = 1 and B = C = 1",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto& a = trial.in["decay"];
            const Index length = trial.size("n"), m = trial.integer("between", 0, length - 1);
            const Array<T> L = ssd::mask(a, 0, length), inverse = ssd::mask_inverse(a);
            const Array<T> b = trial.array("b", {length, 1});
            const Array<T> h =
                ssd::mask_product(a, Array<T>({length}, {b.values().begin(), b.values().end()}));
            for (Index t = 0; t < length; ++t) {
              T product(0);
              for (Index s = 0; s < length; ++s) {
                if (s <= m && m <= t) trial.equal(L(t, s), L(t, m) * L(m, s), "rank one");
                T entry_of_unit = L(t, s);
                if (t > 0) entry_of_unit += inverse(t, t - 1) * L(t - 1, s);
                trial.equal(entry_of_unit * inverse(t, t), s == t ? T(1) : T(0), "inverse times mask");
                product += L(t, s) * b(s, 0);
              }
              trial.equal(h(t), product, "product");
            }
            const Array<T> ones({length, 1}, T(1));
            const auto y = ssd::recurrent(ssd::Input<T>{ones, ones, b, a, Array<T>({1, 1}), T(0)}).output;
            for (Index t = 0; t < length; ++t) trial.equal(y(t, 0), h(t), "mixer with one state");
          })
      .law<RationalExp2>(
          Kind::invariant, "blocks of the masked matrix have rank at most d_k",
          "On and below the diagonal, L * C B^T has blocks of rank d_k or less, by elimination",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n");
            auto in = core_of(trial, false);
            in.real["value"] = Array<T>({length, length});
            in.real["initial_state"] = Array<T>({trial.size("d_k"), length});
            for (Index t = 0; t < length; ++t) in.real["value"](t, t) = T(1);
            const auto M = trial.run("recurrent", in)["output"];  // applied to the unit matrix
            for (Index m = 0; m < length; ++m) {
              trial.expect(rank_below(M, m, m + 1) <= trial.size("d_k"), "rank of a block");
            }
          })
      .law<RationalExp2>(
          Kind::same, "masks from segment sums",
          "For decays at most 1 all ways to make the mask agree: products, stable sums, differences, "
          "clamped, and on and below the diagonal multiplied; the stable sums are the differences exactly",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            Array<T> logs = trial.array("log decay", {trial.size("n")}, Domain::logit), decay(logs.shape());
            for (Index t = 0; t < trial.size("n"); ++t) {
              logs(t) = -maximum(logs(t), T(-logs(t)));
              decay(t) = exp(logs(t));
            }
            const auto L = ssd::mask(decay, 0, trial.size("n"));
            const auto sums = ssd::segment_sums(logs), differences = ssd::segment_sums_by_difference(logs);
            trial.equal(ssd::mask_of(sums), L, "stable");
            trial.equal(ssd::mask_of(differences), L, "difference");
            trial.equal(ssd::mask_of_clamped(differences), L, "clamped");
            trial.equal(ssd::mask_by_multiplication(differences), L, "multiplied");
            for (Index t = 0; t < trial.size("n"); ++t) {
              for (Index s = 0; s < t; ++s) trial.equal(sums(t, s), differences(t, s), "sums");
            }
          });
}

// ---- the mixer ---------------------------------------------------------------------------------

void invariants(EntryBuilder& entry) {
  entry
      .law<PrimeField>(
          Kind::invariant, "linear in value, key and query",
          "Without skip the output is linear in (value, initial state), in (key, initial state) and in query",
          [](auto& trial) {
            const std::vector<std::vector<std::string>> groups{
                {"value", "initial_state"}, {"key", "initial_state"}, {"query"}};
            const auto x = trial.number("x"), y = trial.number("y");
            const auto in = core_of(trial, true);
            for (const auto& names : groups) {
              auto other = in, mixed = in;
              for (const std::string& name : names) {
                other.real[name] = trial.array("other " + name, in[name].shape());
                for (std::size_t i = 0; i < in[name].values().size(); ++i) {
                  mixed.real[name].values()[i] = x * in[name].values()[i] + y * other[name].values()[i];
                }
              }
              const auto a = trial.run("recurrent", in)["output"];
              const auto b = trial.run("recurrent", other)["output"];
              const auto both = trial.run("recurrent", mixed)["output"];
              for (std::size_t i = 0; i < a.values().size(); ++i) {
                trial.equal(both.values()[i], x * a.values()[i] + y * b.values()[i], names.front());
              }
            }
          })
      .law<PrimeField>(Kind::invariant, "a decay of 0 restarts the mixer",
                       "From the token with a_t = 0 on, all is as if the sequence began there, whatever came "
                       "before; with a = 0 everywhere y_t = (C_t . B_t + D) xbar_t",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         const Index length = trial.size("n"), t = trial.integer("reset", 0, length - 1);
                         auto reset = trial.in;
                         reset.real["decay"](t) = T(0);
                         auto rest = reset;
                         for (const char* name : {"query", "key", "value", "decay"})
                           rest.real[name] = rows(reset[name], t, reset[name].extent(0));
                         rest.real["initial_state"] = Array<T>(reset["initial_state"].shape());
                         const auto out = trial.run("chunked", reset), tail = trial.run("chunked", rest);
                         trial.equal(rows(out["output"], t, length), tail["output"], "output");
                         trial.equal(out["state"], tail["state"], "state");
                         auto forgetful = trial.in;
                         forgetful.real["decay"] = Array<T>({length});
                         const auto output = trial.run("chunked", forgetful)["output"];
                         for (Index r = 0; r < length; ++r) {
                           T score = trial.in["skip"]();
                           for (Index i = 0; i < trial.size("d_k"); ++i)
                             score += trial.in["query"](r, i) * trial.in["key"](r, i);
                           for (Index j = 0; j < trial.size("d_v"); ++j) {
                             trial.equal(output(r, j), score * trial.in["value"](r, j), "without memory");
                           }
                         }
                       })
      .law<PrimeField>(Kind::invariant, "padding",
                       "Tokens with a = 1 and xbar = 0 at the end, as the released kernels pad (Delta = 0), "
                       "keep the state; with xbar = 0 alone it fades by their decays",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         const Index more = trial.integer("padding", 1, 4);
                         const T factor = trial.number("factor");
                         for (const T& decay : {T(1), factor}) {
                           auto in = input_of(trial.in);
                           const auto grown = [&](const Array<T>& array, const T& fill) {
                             Shape shape = array.shape();
                             shape[0] += more;
                             Array<T> longer(shape, fill);
                             for (std::size_t i = 0; i < array.values().size(); ++i)
                               longer.values()[i] = array.values()[i];
                             return longer;
                           };
                           in.query = grown(in.query, factor);
                           in.key = grown(in.key, factor);
                           in.value = grown(in.value, T(0));
                           in.decay = grown(in.decay, decay);
                           const auto state = ssd::chunked(in, trial.size("chunk")).state;
                           T left(1);
                           for (Index r = 0; r < more; ++r) left *= decay;
                           const auto before = trial.run("recurrent")["state"];
                           for (std::size_t i = 0; i < before.values().size(); ++i) {
                             trial.equal(state.values()[i], left * before.values()[i], "state");
                           }
                         }
                       })
      .law<PrimeField>(
          Kind::invariant, "a column of ones gives the row sums",
          "With a value channel of ones that channel reads the sum of the row of L * C B^T, and normalised "
          "outputs times it are the others",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto in = input_of(core_of(trial, false));
            for (T& x : in.query.values()) x = x * x + T(1);  // row sums may not be 0
            for (T& x : in.key.values()) x = x * x + T(1);
            const Index length = trial.size("n"), width = trial.size("d_v");
            const auto wide =
                ssd::chunked(ssd::with_ones(in, Array<T>({trial.size("d_k")})), trial.size("chunk")).output;
            const auto L = ssd::mask(in.decay, 0, length), normalised = ssd::normalised(in);
            for (Index t = 0; t < length; ++t) {
              T sum(0);
              for (Index s = 0; s <= t; ++s) {
                for (Index i = 0; i < trial.size("d_k"); ++i) sum += L(t, s) * in.query(t, i) * in.key(s, i);
              }
              trial.equal(wide(t, width), sum, "row sum");
              for (Index j = 0; j < width; ++j) trial.equal(normalised(t, j) * sum, wide(t, j), "normalised");
            }
          })
      .law<PrimeField>(
          Kind::invariant, "head patterns",
          "Heads that share values, keys or queries, in the five patterns of the paper, are independent "
          "heads with copies: head h takes group floor(h G / H)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index groups = trial.integer("groups", 1, 2), H = groups * trial.integer("group", 1, 3);
            const Index length = std::min<Index>(trial.size("n"), 5), N = trial.size("d_k"),
                        P = trial.size("d_v");
            struct Pattern {
              Index value, key, query;
            };
            for (const Pattern& shared :
                 {Pattern{H, H, H}, {1, 1, H}, {1, H, 1}, {H, 1, 1}, {H, groups, groups}}) {
              const ssd::Heads<T> in{
                  trial.array("q", {shared.query, length, N}), trial.array("k", {shared.key, length, N}),
                  trial.array("v", {shared.value, length, P}), trial.array("a", {H, length})};
              const auto together = ssd::multi_head(in, trial.size("chunk"));
              for (Index h = 0; h < H; ++h) {
                const auto own = [&](const Array<T>& array, Index count) {
                  return heads::head(array, h / (H / count));
                };
                ssd::Input<T> one{
                    own(in.query, shared.query), own(in.key, shared.key), own(in.value, shared.value),
                    Array<T>({length}),          Array<T>({N, P}),        T(0)};
                for (Index t = 0; t < length; ++t) one.decay(t) = in.decay(h, t);
                trial.equal(heads::head(together, h), ssd::recurrent(one).output, "head");
              }
            }
          });
}

void bounds(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(Kind::bound, "the state is bounded",
                         "|S_n[i,j]| <= |S_0[i,j]| + sum |B_t[i] xbar_t[j]| for decays in [0, 1], and so "
                         "||S_n|| <= ||S_0|| + sum ||B_t|| ||xbar_t||",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto size = [](const T& x) { return maximum(x, T(-x)); };
                           const auto state = trial.run("chunked")["state"];
                           for (Index i = 0; i < trial.size("d_k"); ++i) {
                             for (Index j = 0; j < trial.size("d_v"); ++j) {
                               T most = size(trial.in["initial_state"](i, j));
                               for (Index t = 0; t < trial.size("n"); ++t) {
                                 most += size(trial.in["key"](t, i) * trial.in["value"](t, j));
                               }
                               trial.expect(size(state(i, j)) <= most, "state bound");
                             }
                           }
                         })
      .law<RationalExp2>(Kind::bound, "gated RNN and normalised outputs are averages",
                         "With d_k = 1, B = C = 1 and xbar = (1 - a) x the mixer is a gated RNN, whose "
                         "output lies between the least and largest of 0 and the x so far; so do, of the x "
                         "alone, normalised outputs for positive queries and keys",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index length = trial.size("n");
                           const Array<T> x = trial.array("x", {length, 1}), ones({length, 1}, T(1));
                           const auto& a = trial.in["decay"];
                           Array<T> written(x.shape());
                           for (Index t = 0; t < length; ++t) written(t, 0) = (T(1) - a(t)) * x(t, 0);
                           const auto rnn =
                               ssd::chunked(ssd::Input<T>{ones, ones, written, a, Array<T>({1, 1}), T(0)},
                                            trial.size("chunk"))
                                   .output;
                           const auto mean = ssd::normalised(ssd::Input<T>{
                               trial.array("q", x.shape(), Domain::positive),
                               trial.array("k", x.shape(), Domain::positive), x, a, Array<T>({1, 1}), T(5)});
                           T h(0), least = x(0, 0), largest = x(0, 0);
                           for (Index t = 0; t < length; ++t) {
                             h = a(t) * h + (T(1) - a(t)) * x(t, 0);
                             trial.equal(rnn(t, 0), h, "gated RNN");
                             least = -maximum(T(-least), T(-x(t, 0)));
                             largest = maximum(largest, x(t, 0));
                             trial.expect(least <= mean(t, 0) && mean(t, 0) <= largest, "normalised output");
                             trial.expect(-maximum(T(-least), T(0)) <= h && h <= maximum(largest, T(0)),
                                          "gated RNN is an average");
                           }
                         });
  entry.law<PrimeField>(
      Kind::gradient, "inner products of gradients",
      "Without initial state and gradient of the last state <x, dx> = <y, dy>, without skip <C, dC> = <B, "
      "dB> too, and a_t da_t is the sum of C dC - B dB from t on",
      [](auto& trial) {
        using T = ScalarOf<decltype(trial)>;
        trial.in = draw_inputs<T>(trial.entry(), trial.drawn(), true);
        trial.in.real["d_state"] = Array<T>(trial.in["d_state"].shape());
        trial.in.real["initial_state"] = Array<T>(trial.in["initial_state"].shape());
        const auto full = trial.run("backward");
        trial.equal(inner(trial.in["value"], full["d_value"]),
                    inner(trial.run("recurrent")["output"], trial.in["d_output"]), "<x, dx>");
        const auto in = core_of(trial, false);
        const auto d = trial.run("backward", in);
        T rest(0);
        for (Index t = trial.size("n") - 1; t >= 0; --t) {
          for (Index i = 0; i < trial.size("d_k"); ++i) {
            rest += in["query"](t, i) * d["d_query"](t, i) - in["key"](t, i) * d["d_key"](t, i);
          }
          trial.equal(in["decay"](t) * d["d_decay"](t), rest, "a da");
        }
        trial.equal(rest, T(0), "<C, dC> and <B, dB>");
      });
}

// ---- the layer around it -----------------------------------------------------------------------

void layers(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(Kind::same, "the step length may go with the key",
                         "The layer, whose values are Delta x and whose skip sees x, is the mixer with keys "
                         "Delta B, values x and decays e^{Delta A}",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto& in = trial.in;
                           const T skip = in["skip"](), rate = trial.number("rate", Domain::logit);
                           const Array<T> steps = trial.array("step", {trial.size("n")}, Domain::logit);
                           const ssd::Layer<T> layer{in["query"],
                                                     in["key"],
                                                     in["value"],
                                                     steps,
                                                     in["initial_state"],
                                                     rate,
                                                     Array<T>({trial.size("d_v")}, skip)};
                           auto other = input_of(in);
                           for (Index t = 0; t < trial.size("n"); ++t) {
                             other.decay(t) = exp(rate * steps(t));
                             for (Index i = 0; i < trial.size("d_k"); ++i) other.key(t, i) *= steps(t);
                           }
                           trial.equal(arrays_of(ssd::layer(layer, trial.size("chunk"))),
                                       arrays_of(ssd::recurrent(other)));
                         })
      .law<Bounded<Real50>>(
          Kind::invariant, "step lengths",
          "e^Delta = 1 + e^{raw + bias}; the decoding kernel's formula is the same function; limits hold, "
          "and limits of 0 and above Delta change nothing",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const T raw = trial.number("raw"), bias = trial.number("bias");
            const T step = ssd::step_length(raw, bias);
            trial.equal(exp(step), T(1) + exp(raw + bias), "softplus");
            trial.equal(ssd::step_length_decoding(raw, bias), step, "decoding");
            trial.equal(ssd::limited(step, T(0), T(step + T(1))), step, "no limit");
            trial.equal(ssd::limited(step, T(step + T(1)), T(step + T(2))), T(step + T(1)), "shortest");
            trial.equal(ssd::limited(step, T(0), T(step / T(2))), T(step / T(2)), "longest");
          })
      .law<Bounded<Real50>>(
          Kind::erratum, "gate and norm do not commute",
          "Normalised channels have mean square m / (m + epsilon) in each group, where theirs was m: 1 "
          "without epsilon, whatever their scale. So a gate that all channels share then has no effect "
          "before the norm (the released default), but is a factor after it (its option)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index groups = trial.integer("groups", 1, 2), width = trial.integer("width", 1, 3);
            const auto y = trial.array("y", {2, groups * width}, Domain::nonzero);
            const auto weight = trial.array("weight", {groups * width}, Domain::nonzero);
            const T common = trial.number("gate", Domain::positive), zero(0);
            const T epsilon = trial.number("epsilon", Domain::positive);
            const Array<T> z(y.shape(), common), ones({groups * width}, T(1));
            const T silu = common / (T(1) + exp(-common));
            const auto before = ssd::gated_norm(y, z, weight, zero, groups);
            const auto after = ssd::norm_then_gate(y, z, weight, zero, groups);
            const auto plain = ssd::rms_norm(y, ones, zero, groups);
            const auto smaller = ssd::rms_norm(y, ones, epsilon, groups);
            for (Index t = 0; t < 2; ++t) {
              for (Index g = 0; g < groups; ++g) {
                T squares(0), given(0), left(0);
                for (Index c = g * width; c < (g + 1) * width; ++c) {
                  squares += plain(t, c) * plain(t, c);
                  given += y(t, c) * y(t, c);
                  left += smaller(t, c) * smaller(t, c);
                  trial.equal(before(t, c), plain(t, c) * weight(c), "gate without effect");
                  trial.equal(after(t, c), silu * before(t, c), "gate as a factor");
                }
                trial.equal(squares, T(width), "mean square");
                trial.equal(left * (given / T(width) + epsilon), given, "mean square with epsilon");
              }
            }
          });
}

// ---- fixed checks ------------------------------------------------------------------------------

void errata(EntryBuilder& entry) {
  entry
      .once(Kind::erratum, "the segment sums of Listing 1",
            "The paper prints differences of one running sum, the file said to be the same listing the "
            "stable sums. After a strong reset (log a = -60) float32 differences leave the rounding budget "
            "of the stable sums, and log a = -infinity makes them no number",
            [](auto& check) {
              constexpr Index kLength = 64, kReset = 5;
              const auto logs = [&]<class T>(T) {
                Array<T> all({kLength});
                for (Index t = 0; t < kLength; ++t) {
                  const auto drawn = static_cast<float>(
                      -std::abs(draw_real({7, "log decay", t}, Domain::any, Pattern::generic)) / 64);
                  all(t) = T(static_cast<double>(t == kReset ? -60.0F : drawn));
                }
                return all;
              };
              Array<float> drawn({kLength});
              for (Index t = 0; t < kLength; ++t) drawn(t) = static_cast<float>(logs(double{})(t));
              const auto stable = ssd::segment_sums(drawn), naive = ssd::segment_sums_by_difference(drawn);
              const UseRounding rounding(float32_arithmetic());
              const auto bounded = ssd::segment_sums(logs(Bounded<Real50>{}));
              double worst = 0;  // error of a difference, in budgets of the stable sum
              for (Index t = kReset + 2; t < kLength; ++t) {
                const auto& truth = bounded(t, t - 2);
                check.within(Real50(stable(t, t - 2)), truth.value(), truth.error_bound(), "stable");
                const Real50 error = abs(Real50(naive(t, t - 2)) - truth.value());
                worst = std::max(worst, static_cast<double>(error) / truth.error_bound());
              }
              check.expect(worst > 1, "differences stay within the budget of the stable sums");
              check.measure("error of a difference, in budgets of the stable sum", worst);
              drawn(kReset) = -std::numeric_limits<float>::infinity();
              const auto reset = ssd::mask_of(ssd::segment_sums(drawn));
              check.equal(reset(kLength - 1, 0), 0.0F, "stable mask across a decay of 0");
              check.expect(finite(reset(kLength - 1, kReset)), "stable mask after it");
              const auto lost = ssd::mask_of(ssd::segment_sums_by_difference(drawn));
              check.expect(!finite(lost(kLength - 1, kReset)), "differences of infinities");
            })
      .once(Kind::erratum, "clamped and multiplied masks",
            "The released forward kernel lets no exponent be positive: with a decay of 2 its mask has 1 in "
            "the place of 2. The backward kernel warns of exponentials above the diagonal: with decays of "
            "e^-100 in float32 infinity times 0 is no number, while selecting gives 0",
            [](auto& check) {
              const auto logs = Array<RationalExp2>::vector({RationalExp2(0), RationalExp2(1)});
              const auto sums = ssd::segment_sums(logs);
              check.equal(ssd::mask_of(sums)(1, 0), RationalExp2(2), "mask");
              check.equal(ssd::mask_of_clamped(sums)(1, 0), RationalExp2(1), "clamped");
              const auto small = ssd::segment_sums_by_difference(Array<float>({3}, -100.0F));
              check.expect(!finite(ssd::mask_by_multiplication(small)(0, 2)), "multiplied");
              check.equal(ssd::mask_of(small)(0, 2), 0.0F, "selected");
            })
      .once(Kind::erratum, "X, B, C correspond to V, K, Q",
            "The paper's text once names X, B, C in the order Q, K, V (and its feature maps act on K and V). "
            "Read that way it is another function, already on two tokens with two channels",
            [](auto& check) {
              using R = RationalExp2;
              const auto X = Array<R>::matrix({{R(1), R(2)}, {R(3), R(-1)}});
              const auto B = Array<R>::matrix({{R(0), R(1)}, {R(1), R(1)}});
              const auto C = Array<R>::matrix({{R(2), R(1)}, {R(1), R(-1)}});
              const Array<R> a({2}, R(1)), none({2, 2});
              const auto right = ssd::recurrent(ssd::Input<R>{C, B, X, a, none, R(0)}).output;
              const auto slip = ssd::recurrent(ssd::Input<R>{X, B, C, a, none, R(0)}).output;
              check.equal(right, Array<R>::matrix({{R(1), R(2)}, {R(-1), R(-2)}}), "C as queries");
              check.expect(!(slip(0, 0) == right(0, 0)), "X as queries");
            })
      .once(
          Kind::erratum, "the cost of the second product",
          "The paper's text gives the product of scores and values as Q x P x N in each chunk of Q tokens; "
          "it is Q x Q x P: one value channel more costs Q (Q + 1) / 2 multiplications, whatever N is",
          [](auto& check) {
            using T = Counted<double>;
            const auto count = [](Index Q, Index N, Index P) {
              const Array<T> queries({Q, N}, T(2.0)), values({Q, P}, T(3.0));
              const ssd::Input<T> in{queries, queries, values, Array<T>({Q}, T(0.5)), Array<T>({N, P}), T(0)};
              Array<T> output({Q, P});
              const Array<T> L = ssd::mask(in.decay, 0, Q);
              const CountOperations scope;
              ssd::attend(in, 0, L, output);
              return scope.counts().multiplications;
            };
            for (const Index Q : {1, 4, 7}) {
              for (const Index N : {1, 3}) {
                check.equal(count(Q, N, 3) - count(Q, N, 2), Q * (Q + 1) / 2, "one channel more");
              }
            }
          });
}

void traps(EntryBuilder& entry) {
  entry
      .once(Kind::invariant, "what is not finite does not reach earlier tokens",
            "A NaN in one token reaches its own output and the later ones in all forms, and no earlier one, "
            "of the same chunk or another",
            [](auto& check) {
              const Array<double> ones({5, 1}, 1.0);
              ssd::Input<double> in{ones, ones, ones, Array<double>({5}, 0.5), Array<double>({1, 1}), 0.0};
              in.value(2, 0) = std::numeric_limits<double>::quiet_NaN();
              for (const auto& output :
                   {ssd::recurrent(in).output, ssd::quadratic(in), ssd::chunked(in, 4).output,
                    ssd::four_steps(in, 2).output, ssd::scan(in).output, ssd::by_halves(in)}) {
                for (Index t = 0; t < 5; ++t) check.expect(finite(output(t, 0)) == (t < 2), "token");
              }
            })
      .once(Kind::erratum, "step lengths and rates in low precision",
            "log(e^x + 1), as one decoding kernel has it, is exactly 0 in float32 at x = -18, where softplus "
            "keeps its digits; a rate of -e^12 overflows float16",
            [](auto& check) {
              check.equal(ssd::step_length_decoding(-18.0F, 0.0F), 0.0F, "decoding");
              const UseRounding rounding(float32_arithmetic());
              const auto truth = ssd::step_length(Bounded<Real50>(-18.0), Bounded<Real50>(0));
              check.within(Real50(ssd::step_length(-18.0F, 0.0F)), truth.value(), truth.error_bound(),
                           "softplus");
              check.expect(truth.value() > Real50(truth.error_bound()), "softplus is above 0");
              check.expect(!finite(exp(Float16(12.0))), "e^12 in float16");
              check.equal(ssd::initial_rate(0.0), -1.0, "slowest rate");
              check.equal(ssd::initial_rate(1.0), -16.0, "fastest rate");
            });
}

/// Operations of one chunk of `length` tokens that starts from zero.
Expression chunk_multiplications(const Expression& length) {
  return length * (length + 1) / 2 * (d_k + d_v) + length * (length - 1) / 2 +
         max(length - 1, 0) * max(length - 2, 0) / 2 + (length - 1) + (length - 1) * d_k + length * d_k * d_v;
}
Expression chunk_additions(const Expression& length) {
  return length * (length + 1) / 2 * (d_k - 1) + length * (length - 1) / 2 * d_v + (length - 1) * d_k * d_v;
}

void costs(EntryBuilder& entry) {
  const Expression pairs = n * (n + 1) / 2;
  Cost recurrent("recurrent");
  recurrent.without = {"initial_state", "skip"};
  recurrent.multiplications = 3 * n * d_k * d_v - d_k * d_v;
  recurrent.additions = (2 * n - 1) * d_k * d_v - n * d_v;
  recurrent.divisions = 0;
  recurrent.depth = 2 * n - 1 + d_k;
  recurrent.free_depth = 2 * n + ceil_log2(d_k);
  recurrent.state = d_k * d_v;
  Cost quadratic = recurrent;
  quadratic.form = "quadratic";
  quadratic.multiplications = pairs * (d_k + d_v) + n * (n - 1) / 2 + max(n - 1, 0) * max(n - 2, 0) / 2;
  quadratic.additions = pairs * (d_k - 1) + (pairs - n) * d_v;
  quadratic.depth.reset();
  quadratic.free_depth.reset();
  quadratic.state = n * n;
  Cost chunked = quadratic;
  chunked.form = "chunked";
  const Expression full = ceil_div(n, chunk) - 1, last = n - full * chunk;
  // The first chunk meets no state; after it come the other full ones and the last one.
  const Expression carried = max(full - 1, 0), end = min(full, 1);
  chunked.multiplications = full * chunk_multiplications(chunk) + chunk_multiplications(last) +
                            carried * (chunk * d_k * d_v + chunk * d_v + d_k * d_v) +
                            end * (last * d_k * d_v + last * d_v + d_k * d_v);
  chunked.additions = full * chunk_additions(chunk) + chunk_additions(last) +
                      carried * (chunk * (d_k - 1) * d_v + chunk * d_v + d_k * d_v) +
                      end * (last * (d_k - 1) * d_v + last * d_v + d_k * d_v);
  chunked.state = d_k * d_v + chunk * chunk;
  // A round adds 2 to what comes from the earlier stretch and 1 to what was there; of the ceil(log2 n) rounds
  // at most floor(log2 n) can be of the first kind on one path.
  Cost scan("scan");
  scan.without = {"skip"};
  scan.divisions = 0;
  scan.depth = ceil_log2(n) + ceil_log2(n + 1) + 1 + d_k;
  scan.state = n * d_k * d_v;
  entry.cost(recurrent).cost(quadratic).cost(chunked).cost(scan);
  std::vector<Settings> grid;
  for (Index length = 16; length <= 1024; length *= 2) {
    grid.push_back({{"n", length}, {"d_k", 64}, {"d_v", 64}, {"chunk", 64}});
  }
  entry.scale("64 channels", grid);
  entry
      .law<Counted<double>>(
          Kind::cost, "cost of the scan",
          "The sum of n - 2^r over the rounds r joins stretches, each for 1 + d_k d_v multiplications and "
          "d_k d_v additions; around them 3 n d_k d_v multiplications and n (2 d_k - 1) d_v additions",
          [](auto& trial) {
            auto in = trial.in;
            in.real.erase("skip");
            const Index tokens = trial.size("n"), states = trial.size("d_k") * trial.size("d_v");
            Index joins = 0;
            for (Index reach = 1; reach < tokens; reach *= 2) joins += tokens - reach;
            CountOperations scope;
            trial.run("scan", in);
            const OperationCounts counts = scope.counts();
            trial.check().equal(Index(counts.multiplications), joins * (1 + states) + 3 * tokens * states,
                                "multiplications");
            trial.check().equal(Index(counts.additions),
                                joins * states + tokens * (2 * states - trial.size("d_v")), "additions");
          })
      .once(Kind::cost, "cost: layer and masks",
            "Discretising n tokens takes n exponentials and n + n d_v multiplications, the skip n d_v "
            "multiplications and additions; a mask from logarithms Q (Q - 1) / 2 exponentials; a softplus "
            "with bias one exponential, one logarithm, two additions and two maxima",
            [](auto& check) {
              using T = Counted<double>;
              const Index tokens = 5, width = 3;
              const Array<T> queries({tokens, 2}, T(2.0)), values({tokens, width}, T(3.0)),
                  steps({tokens}, T(0.5));
              const ssd::Layer<T> layer{
                  queries, queries, values, steps, Array<T>({2, width}), T(-1.5), Array<T>({width}, T(0.5))};
              const auto counted = [](auto&& run) {
                const CountOperations scope;
                run();
                return scope.counts();
              };
              const auto core = counted([&] { ssd::discretised(layer); });
              check.equal(core.exponentials, tokens, "exponentials");
              check.equal(core.multiplications, tokens + tokens * width, "multiplications");
              const auto input = ssd::discretised(layer);
              const auto mixed = counted([&] { ssd::chunked(input, 2); }),
                         whole = counted([&] { ssd::layer(layer, 2); });
              check.equal((whole - core - mixed).multiplications, tokens * width, "skip, multiplications");
              check.equal((whole - core - mixed).additions, tokens * width, "skip, additions");
              const auto mask = counted([&] { ssd::mask_of(ssd::segment_sums(steps)); });
              check.equal(mask.exponentials, tokens * (tokens - 1) / 2, "mask, exponentials");
              check.equal(mask.multiplications, Index{0}, "mask, multiplications");
              const OperationCounts softplus{
                  .additions = 2, .exponentials = 1, .functions = 1, .comparisons = 2};
              check.expect(counted([&] { ssd::step_length(T(0.5), T(0.25)); }) == softplus, "softplus");
            })
      .example("golden counts", "The stated costs at two shapes", [=](auto& check) {
        const Settings small{{"n", 12}, {"chunk", 4}, {"d_k", 2}, {"d_v", 2}};
        const Settings large{{"n", 1024}, {"chunk", 64}, {"d_k", 64}, {"d_v", 64}};
        check.equal((*chunked.multiplications)(small), Index{278}, "chunked, multiplications");
        check.equal((*chunked.additions)(small), Index{142}, "chunked, additions");
        check.equal((*recurrent.multiplications)(small), Index{140}, "recurrent, multiplications");
        check.equal((*recurrent.additions)(small), Index{68}, "recurrent, additions");
        check.equal((*quadratic.multiplications)(small), Index{433}, "quadratic, multiplications");
        check.equal((*quadratic.additions)(small), Index{210}, "quadratic, additions");
        check.equal((*chunked.multiplications)(large), Index{12638208}, "chunked, large");
        check.equal((*recurrent.multiplications)(large), Index{12578816}, "recurrent, large");
        check.equal((*quadratic.multiplications)(large), Index{68220929}, "quadratic, large");
      });
}

void examples(EntryBuilder& entry) {
  entry.example(
      "worked example", "Four tokens, two states: mask, masked matrix, outputs, state", [](auto& check) {
        using R = Rational;
        const auto over = [](Index a, Index b) { return R(a) / R(b); };
        const ssd::Input<R> in{Array<R>::matrix({{R(1), R(1)}, {R(2), R(0)}, {R(1), R(1)}, {R(0), R(1)}}),
                               Array<R>::matrix({{R(1), R(0)}, {R(1), R(1)}, {R(0), R(2)}, {R(1), R(-1)}}),
                               Array<R>::matrix({{R(1)}, {R(2)}, {R(-1)}, {R(3)}}),
                               Array<R>::vector({over(1, 2), over(1, 2), over(1, 4), R(1)}),
                               Array<R>({2, 1}),
                               R(0)};
        const R zero(0), one(1);
        check.equal(ssd::mask(in.decay, 0, 4),
                    Array<R>::matrix({{one, zero, zero, zero},
                                      {over(1, 2), one, zero, zero},
                                      {over(1, 8), over(1, 4), one, zero},
                                      {over(1, 8), over(1, 4), one, one}}),
                    "mask");
        const auto output = Array<R>::matrix({{R(1)}, {R(5)}, {over(-7, 8)}, {over(-9, 2)}});
        const auto state = Array<R>::matrix({{over(29, 8)}, {over(-9, 2)}});
        check.equal(ssd::quadratic(in), output, "quadratic");
        check.equal(ssd::recurrent(in).output, output, "recurrent");
        check.equal(ssd::chunked(in, 3).output, output, "chunked");
        check.equal(ssd::chunked(in, 3).state, state, "state");
        check.equal(ssd::normalised(in),
                    Array<R>::matrix({{R(1)}, {over(5, 3)}, {over(-1, 3)}, {over(-18, 5)}}), "normalised");
      });
}

const Registration<EntryBuilder> registration{"mamba2_ssd", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                limits(entry);
                                                masks(entry);
                                                invariants(entry);
                                                bounds(entry);
                                                layers(entry);
                                                errata(entry);
                                                traps(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
