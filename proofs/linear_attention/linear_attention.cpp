/// \file
/// The entry of linear attention: forms, laws, costs. Its text is
/// `reference/linear_attention/linear_attention.hpp`.
#include "reference/linear_attention/linear_attention.hpp"

#include <cmath>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

namespace la = linear_attention;

const Expression n = symbol("n"), m = symbol("m"), d_v = symbol("d_v"), chunk = symbol("chunk");

/// A named input, or literal zeros where it was left out.
template <Ring T>
Array<T> or_zeros(const Arrays<T>& in, const std::string& name, const Shape& shape) {
  return in.real.contains(name) ? in[name] : Array<T>(shape);
}

template <Ring T>
la::Input<T> input_of(const Arrays<T>& in) {
  const Array<T>& key = in["key"];
  require_rank("linear_attention", "key", key, 2);
  require_rank("linear_attention", "value", in["value"], 2);
  const Index features = key.extent(1);
  return {in["query"],
          key,
          in["value"],
          {or_zeros(in, "initial_state", {features, in["value"].extent(1)}),
           or_zeros(in, "initial_normaliser", {features})}};
}

template <Field T>
Array<T> output_of(const la::Sums<T>& sums, const Arrays<T>& in, const Settings& settings) {
  return at(settings, "normalised") == 1 ? la::normalised(sums, in.number("epsilon", T(0)))
                                         : la::unnormalised(sums);
}

template <Field T>
Arrays<T> arrays_of(const la::Sums<T>& sums, const Arrays<T>& in, const Settings& settings) {
  Arrays<T> arrays;
  arrays.real["output"] = output_of(sums, in, settings);
  return arrays;
}

template <Field T>
Arrays<T> arrays_of(const la::Result<T>& out, const Arrays<T>& in, const Settings& settings) {
  Arrays<T> arrays = arrays_of(out.sums, in, settings);
  arrays.real["state"] = out.memory.state;
  arrays.real["normaliser"] = out.memory.normaliser;
  return arrays;
}

/// Gradients of all inputs by one of the two backward passes, which `pass(d_sums, d_memory, memory)` runs
/// given the memory after the last token.
template <Field T, class Pass>
Arrays<T> gradients_of(const Arrays<T>& in, const Settings& settings, Pass pass) {
  const la::Result<T> out = la::recurrent(input_of(in));
  const la::SumsGradient<T> d =
      at(settings, "normalised") == 1
          ? la::backward_of_normalised(out.sums, in.number("epsilon", T(0)), in["d_output"])
          : la::backward_of_unnormalised(in["d_output"]);
  const la::Memory<T> d_memory{in["d_state"], in["d_normaliser"]};
  const la::Gradient<T> gradient = pass(d.sums, d_memory, out.memory);
  Arrays<T> arrays;
  arrays.real["d_query"] = gradient.query;
  arrays.real["d_key"] = gradient.key;
  arrays.real["d_value"] = gradient.value;
  arrays.real["d_initial_state"] = gradient.memory.state;
  arrays.real["d_initial_normaliser"] = gradient.memory.normaliser;
  arrays.real["d_epsilon"] = Array<T>(Shape{}, d.epsilon);
  return arrays;
}

void describe(EntryBuilder& entry) {
  entry
      .about("linear_attention", "Linear attention",
             "Attention whose weights are inner products of features, so that all keys and values fit in one "
             "matrix.",
             {"katharopoulos2020linear", "arora2024based", "zhang2024hedgehog", "zhang2024lolcats",
              "kasai2021t2r", "choromanski2020performer"})
      .size("n", 100, 6)
      .size("m", 4, 3)
      .size("d_v", 3, 2)
      .parameter({"chunk", 64, 1, n + 2, "tokens in a chunk; the last one may be shorter", {}})
      .parameter({"normalised", 1, 0, 1, "whether outputs are divided by the sum of weights", {"no", "yes"}})
      .input("query", {n, m}, Domain::positive, "features of each query (for elu, the query itself)")
      .input("key", {n, m}, Domain::positive, "features of each key (for elu, the key itself)")
      .input("value", {n, d_v}, Domain::any, "what is remembered of each token")
      .input("initial_state", {m, d_v}, Domain::any, "the state before the first token; 0 when left out")
      .input("initial_normaliser", {m}, Domain::positive,
             "the sum of key features before the first token; 0 when left out")
      .input("epsilon", {}, Domain::positive, "added to the sum of weights; 0 when left out")
      .output("output", {n, d_v}, "what each token reads")
      .output("state", {m, d_v}, "the sum of all key features times values")
      .output("normaliser", {m}, "the sum of all key features");
}

void forms(EntryBuilder& entry) {
  entry
      .form("quadratic", "the definition: every query with every key that is not later",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(la::quadratic(input_of(in)), in, settings);
            })
      .form("recurrent", "token after token, all keys in one matrix",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(la::recurrent(input_of(in)), in, settings);
            })
      .form("chunked", "all pairs inside chunks, the matrix from chunk to chunk",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(la::chunked(input_of(in), at(settings, "chunk")), in, settings);
            })
      .form("noncausal_quadratic", "without a mask: every query with every key",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(la::noncausal_quadratic(input_of(in)), in, settings);
            })
      .form("noncausal", "without a mask: one matrix first, then every query reads it",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(la::noncausal(input_of(in)), in, settings);
            })
      .form("elu", "the layer of the paper: recurrent on elu(x) + 1 of queries and keys",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              la::Input<T> input = input_of(in);
              input.query = la::mapped(la::Elu(), input.query);
              input.key = la::mapped(la::Elu(), input.key);
              return arrays_of(la::recurrent(input), in, settings);
            })
      .backward("backward", "closed form: the state forward, its gradient backward",
                []<Field T>(const Arrays<T>& in, const Settings& settings) {
                  return gradients_of(
                      in, settings,
                      [&](const la::Sums<T>& d, const la::Memory<T>& d_memory, const la::Memory<T>&) {
                        return la::backward(input_of(in), d, d_memory);
                      });
                })
      .backward("backward_reversible", "closed form, the states recovered by subtraction",
                []<Field T>(const Arrays<T>& in, const Settings& settings) {
                  return gradients_of(
                      in, settings,
                      [&](const la::Sums<T>& d, const la::Memory<T>& d_memory, const la::Memory<T>& memory) {
                        return la::backward_reversible(input_of(in), memory, d, d_memory);
                      });
                });
}

// ---- what the laws share -----------------------------------------------------------------------

/// The inputs without a memory and without epsilon.
template <class T>
Arrays<T> from_nothing(Arrays<T> in) {
  for (const char* name : {"initial_state", "initial_normaliser", "epsilon"}) in.real.erase(name);
  return in;
}

/// 0 ... n - 1 in a drawn order.
template <class AnyTrial>
std::vector<Index> drawn_order(const AnyTrial& trial, Index length) {
  std::vector<Index> order;
  for (Index t = 0; t < length; ++t) order.push_back(t);
  for (Index t = 0; t < length; ++t) {
    std::swap(order[static_cast<std::size_t>(t)],
              order[static_cast<std::size_t>(trial.integer("swap " + std::to_string(t), t, length - 1))]);
  }
  return order;
}

/// The rows in another order: row t of the result is row order[t].
template <class T>
Array<T> reordered(const Array<T>& rows, const std::vector<Index>& order) {
  Array<T> result(rows.shape());
  for (Index t = 0; t < rows.extent(0); ++t) {
    for (Index i = 0; i < rows.extent(1); ++i) result(t, i) = rows(order[static_cast<std::size_t>(t)], i);
  }
  return result;
}

/// Row operations until nothing is left: the number of pivots.
template <class T>
Index rank_of(Array<T> a) {
  Index rank = 0;
  for (Index column = 0; column < a.extent(1) && rank < a.extent(0); ++column) {
    Index pivot = rank;
    while (pivot < a.extent(0) && a(pivot, column) == T(0)) ++pivot;
    if (pivot == a.extent(0)) continue;
    for (Index j = 0; j < a.extent(1); ++j) std::swap(a(pivot, j), a(rank, j));
    for (Index i = rank + 1; i < a.extent(0); ++i) {
      const T factor = a(i, column) / a(rank, column);
      for (Index j = column; j < a.extent(1); ++j) a(i, j) -= factor * a(rank, j);
    }
    ++rank;
  }
  return rank;
}

/// Features without a memory, for texts that are called directly.
template <class T>
la::Input<T> tokens(const Array<T>& query, const Array<T>& key, const Array<T>& value) {
  return {query, key, value, {Array<T>({key.extent(1), value.extent(1)}), Array<T>({key.extent(1)})}};
}

template <class T>
std::vector<T> features(const auto& map, const std::vector<T>& x) {
  return map(std::span<const T>(x));
}

void identities(EntryBuilder& entry) {
  entry.standard(laws::same("recurrent", "quadratic"))
      .standard(laws::same("chunked", "quadratic"))
      .standard(laws::same("chunked", "recurrent"))
      .standard(laws::same("noncausal", "noncausal_quadratic"))
      .standard(laws::same("backward_reversible", "backward"))
      .standard(laws::gradient("recurrent", "backward"))
      .standard(laws::gradient("chunked", "backward"))
      .standard(laws::causal("quadratic", "n"))
      .standard(laws::causal("chunked", "n"))
      .standard(
          laws::split("recurrent", "n", {{"state", "initial_state"}, {"normaliser", "initial_normaliser"}}))
      .standard(
          laws::split("chunked", "n", {{"state", "initial_state"}, {"normaliser", "initial_normaliser"}}))
      .law<PrimeField, Rational>(Kind::same, "the last token sees all",
                                 "The last causal output is the last non-causal one",
                                 [](auto& trial) {
                                   const auto causal = trial.run("recurrent"), all = trial.run("noncausal");
                                   const Index last = trial.size("n") - 1;
                                   for (Index j = 0; j < trial.size("d_v"); ++j) {
                                     trial.equal(causal["output"](last, j), all["output"](last, j), "output");
                                   }
                                   trial.equal(causal["state"], all["state"], "state");
                                 })
      .law<RationalExp2>(
          Kind::same, "the elu form", "elu is the quadratic form on max(x, 0) + e^min(x, 0)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto other = trial.in;
            for (const char* name : {"query", "key"}) {
              trial.in.real[name] =
                  trial.array(std::string("raw ") + name, trial.in[name].shape(), Domain::logit);
              for (std::size_t i = 0; i < other[name].values().size(); ++i) {
                const T x = trial.in[name].values()[i];
                other.real[name].values()[i] = maximum(x, T(0)) + exp(T(-maximum(T(-x), T(0))));
              }
            }
            trial.equal(trial.run("elu")["output"], trial.run("quadratic", other)["output"], "output");
          });
}

void limits(EntryBuilder& entry) {
  entry
      .limit<PrimeField, Rational>(
          "gated_linear_attention", "is gated linear attention whose gates are all 1",
          "Numerators are gated linear attention without decay; a value of 1 beside the others gives "
          "denominators and normaliser",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), width = trial.size("d_v"), channels = trial.size("m");
            Arrays<T> gla;
            gla.real["query"] = trial.in["query"];
            gla.real["key"] = trial.in["key"];
            gla.real["decay"] = Array<T>({length, channels}, T(1));
            gla.real["value"] = Array<T>({length, width + 1}, T(1));
            gla.real["initial_state"] = Array<T>({channels, width + 1});
            for (Index j = 0; j < width; ++j) {
              for (Index t = 0; t < length; ++t) gla.real["value"](t, j) = trial.in["value"](t, j);
              for (Index i = 0; i < channels; ++i) {
                gla.real["initial_state"](i, j) = trial.in["initial_state"](i, j);
              }
            }
            for (Index i = 0; i < channels; ++i) {
              gla.real["initial_state"](i, width) = trial.in["initial_normaliser"](i);
            }
            const auto out = trial.run_other("gated_linear_attention", "recurrent", gla);
            const auto plain = trial.run("quadratic", trial.in, with(trial, {{"normalised", 0}}));
            const auto divided = trial.run("quadratic", trial.in, with(trial, {{"normalised", 1}}));
            const auto memory = trial.run("recurrent");
            for (Index i = 0; i < channels; ++i) {
              for (Index j = 0; j < width; ++j) {
                trial.equal(memory["state"](i, j), out["state"](i, j), "state");
              }
              trial.equal(memory["normaliser"](i), out["state"](i, width), "normaliser");
            }
            const T epsilon = trial.in["epsilon"]();
            for (Index t = 0; t < length; ++t) {
              for (Index j = 0; j < width; ++j) {
                trial.equal(plain["output"](t, j), out["output"](t, j), "unnormalised");
                trial.equal(divided["output"](t, j) * (out["output"](t, width) + epsilon),
                            out["output"](t, j), "normalised");
              }
            }
          })
      .limit<PrimeField, Rational>(
          "retention", "is retention that neither fades nor turns",
          "Unnormalised linear attention is retention with decay 1 and no rotation, two channels a feature",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), channels = trial.size("m");
            Arrays<T> other;
            for (const char* name : {"query", "key"}) {
              other.real[name] = Array<T>({length, 2 * channels});
              for (Index t = 0; t < length; ++t) {
                for (Index i = 0; i < channels; ++i) other.real[name](t, 2 * i) = trial.in[name](t, i);
              }
            }
            other.real["value"] = trial.in["value"];
            other.real["half_tangent"] = Array<T>({channels});
            other.real["decay"] = Array<T>(Shape{}, T(1));
            other.real["initial_state"] = Array<T>({2 * channels, trial.size("d_v")});
            for (Index i = 0; i < channels; ++i) {
              for (Index j = 0; j < trial.size("d_v"); ++j) {
                other.real["initial_state"](2 * i, j) = trial.in["initial_state"](i, j);
              }
            }
            const auto out = trial.run_other("retention", "parallel", other);
            const auto mine = trial.run("chunked", trial.in, with(trial, {{"normalised", 0}}));
            trial.equal(mine["output"], out["output"], "output");
            for (Index i = 0; i < channels; ++i) {
              for (Index j = 0; j < trial.size("d_v"); ++j) {
                trial.equal(mine["state"](i, j), out["state"](2 * i, j), "state");
                trial.equal(out["state"](2 * i + 1, j), T(0), "the channel that no key uses");
              }
            }
          })
      .limit<PrimeField, Rational>(
          "delta_rule", "is the delta rule for orthonormal keys",
          "Under keys that are different unit vectors, beta 1 and no initial state the delta rule has "
          "nothing to correct",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n");
            auto mine = from_nothing(trial.in);
            mine.real["query"] = trial.array("wide query", {length, length});
            mine.real["key"] = identity<T>(length);
            Arrays<T> other;
            for (const char* name : {"query", "key", "value"}) other.real[name] = mine[name];
            other.real["beta"] = Array<T>({length}, T(1));
            other.real["initial_state"] = Array<T>({length, trial.size("d_v")});
            const auto out = trial.run_other("delta_rule", "recurrent", other);
            const auto linear = trial.run("recurrent", mine, with(trial, {{"normalised", 0}}));
            trial.equal(linear["output"], out["output"], "output");
            trial.equal(linear["state"], out["state"], "state");
          })
      .limit<RationalExp2>(
          "softmax_attention", "as many features as keys make softmax attention",
          "With the unit vector e_j as feature of key j, and e^{q . k_j} as feature j of a query, normalised "
          "linear attention is softmax attention, with and without a mask",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), channels = trial.size("m");
            Arrays<T> softmax;
            softmax.real["query"] = trial.array("softmax query", {length, channels}, Domain::logit);
            softmax.real["key"] = trial.array("softmax key", {length, channels}, Domain::logit);
            softmax.real["value"] = trial.in["value"];
            auto mine = from_nothing(trial.in);
            mine.real["key"] = identity<T>(length);
            mine.real["query"] = Array<T>({length, length});
            for (Index t = 0; t < length; ++t) {
              for (Index s = 0; s < length; ++s) {
                T score(0);
                for (Index i = 0; i < channels; ++i) score += softmax["query"](t, i) * softmax["key"](s, i);
                mine.real["query"](t, s) = exp(score);
              }
            }
            const Settings divided = with(trial, {{"normalised", 1}});
            for (const Index mask : {0, 1}) {
              trial.equal(trial.run(mask == 1 ? "recurrent" : "noncausal", mine, divided)["output"],
                          trial.run_other("softmax_attention", "safe", softmax, {{"mask", mask}})["output"],
                          mask == 1 ? "causal" : "without a mask");
            }
          })
      .limit<RationalExp2>(
          "softmax_attention", "equal keys make an average",
          "Where all keys are equal, every normalised map gives the mean of the values so far, as softmax "
          "attention does",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), channels = trial.size("m");
            auto equal_keys = from_nothing(trial.in);
            Arrays<T> softmax;
            softmax.real["query"] = trial.array("softmax query", {length, channels}, Domain::logit);
            softmax.real["key"] = Array<T>({length, channels}, trial.number("entry", Domain::logit));
            softmax.real["value"] = trial.in["value"];
            for (Index t = 0; t < length; ++t) {
              for (Index i = 0; i < channels; ++i) equal_keys.real["key"](t, i) = trial.in["key"](0, i);
            }
            trial.equal(trial.run("chunked", equal_keys, with(trial, {{"normalised", 1}}))["output"],
                        trial.run_other("softmax_attention", "safe", softmax, {{"mask", 1}})["output"],
                        "mean");
          });
}

void invariants(EntryBuilder& entry) {
  entry
      .law<PrimeField, Rational>(Kind::invariant, "weights add up to 1",
                                 "A constant value comes back as it is, and the first token reads its own "
                                 "value; without memory and epsilon",
                                 [](auto& trial) {
                                   using T = ScalarOf<decltype(trial)>;
                                   const Settings divided = with(trial, {{"normalised", 1}});
                                   auto constant = from_nothing(trial.in);
                                   const auto first = trial.run("quadratic", constant, divided)["output"];
                                   for (Index j = 0; j < trial.size("d_v"); ++j) {
                                     trial.equal(first(0, j), trial.in["value"](0, j), "first output");
                                   }
                                   const T value = trial.number("constant");
                                   constant.real["value"] = Array<T>(trial.in["value"].shape(), value);
                                   for (const char* form : {"recurrent", "noncausal"}) {
                                     trial.equal(trial.run(form, constant, divided)["output"],
                                                 Array<T>(trial.in["value"].shape(), value), form);
                                   }
                                 })
      .law<PrimeField, Rational>(
          Kind::invariant, "a factor of a query's features cancels",
          "Multiplying the features of every query by a number of its own changes no normalised output "
          "(epsilon 0): identity and relu do not see how long a query is",
          [](auto& trial) {
            auto scaled = from_nothing(trial.in);
            const auto factor = trial.array("factor", {trial.size("n")}, Domain::positive);
            for (Index t = 0; t < trial.size("n"); ++t) {
              for (Index i = 0; i < trial.size("m"); ++i) scaled.real["query"](t, i) *= factor(t);
            }
            const Settings divided = with(trial, {{"normalised", 1}});
            trial.equal(trial.run("recurrent", scaled, divided)["output"],
                        trial.run("recurrent", from_nothing(trial.in), divided)["output"], "output");
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "the order of the tokens",
          "Without a mask, a drawn permutation of all tokens permutes the outputs and leaves the memory "
          "alone",
          [](auto& trial) {
            const auto order = drawn_order(trial, trial.size("n"));
            auto permuted = trial.in;
            for (const char* name : {"query", "key", "value"}) {
              permuted.real[name] = reordered(trial.in[name], order);
            }
            const auto truth = trial.run("noncausal"), found = trial.run("noncausal", permuted);
            trial.equal(found["output"], reordered(truth["output"], order), "noncausal");
            trial.equal(found["state"], truth["state"], "state");
            trial.equal(found["normaliser"], truth["normaliser"], "normaliser");
            trial.equal(trial.run("noncausal_quadratic", permuted)["output"],
                        reordered(truth["output"], order), "noncausal_quadratic");
          })
      .law<PrimeField, Rational>(Kind::invariant, "where epsilon may be added",
                                 "Adding epsilon to every entry of the normaliser adds epsilon times the sum "
                                 "of a query's features to its denominator",
                                 [](auto& trial) {
                                   using T = ScalarOf<decltype(trial)>;
                                   const T epsilon = trial.in["epsilon"]();
                                   auto ported = trial.in;
                                   ported.real.erase("epsilon");
                                   for (T& number : ported.real["initial_normaliser"].values())
                                     number += epsilon;
                                   const Settings divided = with(trial, {{"normalised", 1}});
                                   const auto port = trial.run("recurrent", ported, divided)["output"];
                                   const la::Sums<T> sums = la::quadratic(input_of(trial.in));
                                   for (Index t = 0; t < trial.size("n"); ++t) {
                                     T features(0);
                                     for (Index i = 0; i < trial.size("m"); ++i)
                                       features += trial.in["query"](t, i);
                                     for (Index j = 0; j < trial.size("d_v"); ++j) {
                                       trial.equal(port(t, j) * (sums.denominator(t) + epsilon * features),
                                                   sums.numerator(t, j), "output");
                                     }
                                   }
                                 })
      .law<PrimeField, Rational>(
          Kind::invariant, "padding is a mask on features",
          "Padded tokens whose key features are 0 are as good as absent",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), kept = trial.integer("kept", 1, length);
            Array<T> mask({length});
            for (Index t = 0; t < kept; ++t) mask(t) = T(1);
            auto padded = trial.in, cut = trial.in;
            padded.real["key"] = la::masked(trial.in["key"], mask);
            for (const char* name : {"query", "key", "value"})
              cut.real[name] = la::fitted(trial.in[name], kept);
            const auto with_padding = trial.run("noncausal", padded), without = trial.run("noncausal", cut);
            trial.equal(la::fitted(with_padding["output"], kept), without["output"], "output");
            trial.equal(with_padding["state"], without["state"], "state");
            trial.equal(with_padding["normaliser"], without["normaliser"], "normaliser");
          })
      .law<Rational>(Kind::bound, "rank",
                     "The matrix of weights has at most the rank m, the number of features: read off by "
                     "values that are the unit vectors",
                     [](auto& trial) {
                       using T = ScalarOf<decltype(trial)>;
                       const Index length = trial.size("n");
                       auto in = from_nothing(trial.in);
                       in.real["value"] = identity<T>(length);
                       const auto weights =
                           trial.run("noncausal", in, with(trial, {{"normalised", 0}, {"d_v", length}}));
                       trial.expect(rank_of(weights["output"]) <= trial.size("m"), "rank above m");
                     })
      .once(Kind::bound, "softmax has no finite map",
            "With a single channel, queries and keys 0, 1, ..., n - 1 give the weights e^(t s), a "
            "Vandermonde matrix of rank n: no map with fewer than n features has these weights, whatever n "
            "is. Features of degree up to 2 stop at rank 3",
            [](auto& check) {
              using R = RationalExp2;
              for (Index length = 1; length <= 7; ++length) {
                Array<R> softmax({length, length}), polynomial({length, length});
                for (Index t = 0; t < length; ++t) {
                  for (Index s = 0; s < length; ++s) {
                    softmax(t, s) = exp(R(t * s));
                    polynomial(t, s) = la::taylor_exponential(R(t * s), 2);
                  }
                }
                check.equal(rank_of(softmax), length, "softmax");
                check.equal(rank_of(polynomial), std::min(length, Index{3}), "Taylor");
              }
            });
}

void feature_maps(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(
          Kind::invariant, "what the maps are",
          "relu(x) - relu(-x) = x; e^x e^-x = 1; the softmax adds up to 1 with ratios e^(x_i - x_j); the "
          "three Hedgehogs swap their halves with the sign of x and hold e^x, a softmax a half, a softmax "
          "over both; T2R and the product of linear maps without weights are relu(x) and x^2",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index d = trial.size("m");
            const auto size = static_cast<std::size_t>(d);
            std::vector<T> x, minus_x;
            for (Index i = 0; i < d; ++i) {
              x.push_back(trial.array("x", {d}, Domain::logit)(i));
              minus_x.push_back(-x.back());
            }
            const auto relu = features(la::Relu(), x), relu_of_minus = features(la::Relu(), minus_x);
            const auto exponential = features(la::Exp(), x), inverse = features(la::Exp(), minus_x);
            const auto soft = features(la::SoftmaxOverFeatures(), x);
            const Array<T> one = identity<T>(d), none({d});
            const auto hedgehog = features(la::Hedgehog<T>{one, none}, x);
            const auto halves = features(la::HedgehogByHalves<T>{one, T(0)}, x);
            const auto halves_of_minus = features(la::HedgehogByHalves<T>{one, T(0)}, minus_x);
            const auto joint = features(la::HedgehogJoint<T>{one, none}, x);
            const auto t2r = features(la::ReluOfAffine<T>{one, none}, x);
            const auto squares = features(la::ProductOfLinear<T>{one, one}, x);
            trial.equal(T(static_cast<Index>(hedgehog.size())), T(2 * d), "width of Hedgehog");
            T sum(0), half(0), both(0);
            for (std::size_t i = 0; i < size; ++i) {
              trial.equal(features(la::Identity(), x)[i], x[i], "identity");
              trial.equal(relu[i] - relu_of_minus[i], x[i], "relu");
              trial.equal(relu[i] * relu_of_minus[i], T(0), "one relu is 0");
              trial.equal(exponential[i] * inverse[i], T(1), "exp");
              trial.equal(soft[i] * exponential[0], soft[0] * exponential[i], "softmax, ratio");
              trial.equal(hedgehog[i], exponential[i], "Hedgehog");
              trial.equal(hedgehog[size + i], inverse[i], "Hedgehog, second half");
              trial.equal(halves[i], soft[i], "Hedgehog by halves");
              trial.equal(halves[size + i], halves_of_minus[i], "Hedgehog by halves, second half");
              trial.equal(joint[i] * exp(T(-4) * x[i]), joint[size + i], "joint Hedgehog, ratio of halves");
              trial.equal(joint[i] * exp(T(2) * x[0]), joint[0] * exp(T(2) * x[i]), "joint Hedgehog, ratio");
              trial.equal(t2r[i], relu[i], "T2R");
              trial.equal(squares[i], x[i] * x[i], "product of linear maps");
              sum += soft[i];
              half += halves[size + i];
              both += joint[i] + joint[size + i];
            }
            trial.equal(sum, T(1), "softmax");
            trial.equal(half, T(1), "second half");
            trial.equal(both, T(1), "both halves");
          })
      .law<RationalExp2>(
          Kind::invariant, "learned maps see W x + b",
          "Hedgehog, by halves, joint and T2R on tokens are the same maps without weights on W x + b, and "
          "the product of linear maps is W x times U x",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index d = trial.size("m");
            const auto weight = trial.array("weight", {d, d}, Domain::logit);
            const auto other = trial.array("other weight", {d, d}, Domain::logit);
            const auto bias = trial.array("bias", {d}, Domain::logit),
                       x = trial.array("x", {d}, Domain::logit);
            std::vector<T> input, wx, ux, moved;
            for (Index i = 0; i < d; ++i) {
              T w(0), u(0);
              for (Index j = 0; j < d; ++j) w += weight(i, j) * x(j);
              for (Index j = 0; j < d; ++j) u += other(i, j) * x(j);
              input.push_back(x(i));
              wx.push_back(w);
              ux.push_back(u);
              moved.push_back(w + bias(i));
            }
            const Array<T> one = identity<T>(d), none({d});
            const auto equal = [&](const std::vector<T>& a, const std::vector<T>& b, const char* what) {
              trial.equal(T(static_cast<Index>(a.size())), T(static_cast<Index>(b.size())), what);
              for (std::size_t i = 0; i < a.size(); ++i) trial.equal(a[i], b[i], what);
            };
            equal(features(la::Hedgehog<T>{weight, bias}, input), features(la::Hedgehog<T>{one, none}, moved),
                  "Hedgehog");
            equal(features(la::HedgehogByHalves<T>{weight, T(0)}, input),
                  features(la::HedgehogByHalves<T>{one, T(0)}, wx), "Hedgehog by halves");
            equal(features(la::HedgehogJoint<T>{weight, bias}, input),
                  features(la::HedgehogJoint<T>{one, none}, moved), "joint Hedgehog");
            equal(features(la::HedgehogShiftedApart<T>{weight}, input),
                  features(la::HedgehogShiftedApart<T>{one}, wx), "shifted apart");
            equal(features(la::ReluOfAffine<T>{weight, bias}, input),
                  features(la::ReluOfAffine<T>{one, none}, moved), "T2R");
            const auto products = features(la::ProductOfLinear<T>{weight, other}, input);
            for (std::size_t i = 0; i < products.size(); ++i)
              trial.equal(products[i], wx[i] * ux[i], "product");
            for (const T& feature : features(la::HedgehogByHalves<T>{weight, T(1) / T(3)}, input)) {
              trial.expect(!(feature < T(1) / T(3)), "no feature below the floor");
            }
          })
      .law<RationalExp2>(
          Kind::invariant, "which shifts the exponential map forgives",
          "Normalised outputs do not change when each query subtracts a number of its own, nor when all keys "
          "subtract one number; a joint Hedgehog on queries is a Hedgehog of 2 (W x + b)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), d = trial.size("m");
            const auto query = trial.array("raw query", {length, d}, Domain::logit);
            const auto key = trial.array("raw key", {length, d}, Domain::logit);
            const auto shift = trial.array("shift", {length}, Domain::logit);
            const T common = trial.number("common shift", Domain::logit);
            Array<T> shifted_query = query, shifted_key = key, doubled = query;
            for (Index t = 0; t < length; ++t) {
              for (Index i = 0; i < d; ++i) {
                shifted_query(t, i) -= shift(t);
                shifted_key(t, i) -= common;
                doubled(t, i) *= T(2);
              }
            }
            const auto output = [&](const auto& query_map, const Array<T>& q, const auto& key_map,
                                    const Array<T>& k) {
              const auto in = tokens(la::mapped(query_map, q), la::mapped(key_map, k), trial.in["value"]);
              return la::normalised(la::recurrent(in).sums, T(0));
            };
            const la::Exp map;
            const auto truth = output(map, query, map, key);
            trial.equal(output(map, shifted_query, map, key), truth, "shift of every query");
            trial.equal(output(map, query, map, shifted_key), truth, "shift of all keys");
            trial.equal(output(la::SoftmaxOverFeatures(), query, map, key), truth, "softmax of queries");
            const la::Hedgehog<T> hedgehog{identity<T>(d), Array<T>({d})};
            const la::HedgehogJoint<T> joint{identity<T>(d), Array<T>({d})};
            trial.equal(output(joint, query, hedgehog, key), output(hedgehog, doubled, hedgehog, key),
                        "joint");
          })
      .once(Kind::invariant, "elu + 1 is smooth at 0", "At 0 both branches have the value 1 and the slope 1",
            [](auto& check) {
              using D = Dual<RationalExp2>;
              const auto at = [](const RationalExp2& x) {
                return features(la::Elu(), std::vector<D>{D(x, RationalExp2(1))}).front();
              };
              const RationalExp2 step = RationalExp2(1) / RationalExp2(1024);
              check.equal(at(RationalExp2(0)).value, RationalExp2(1), "value at 0");
              check.equal(at(RationalExp2(0)).tangent, RationalExp2(1), "slope at 0");
              check.equal(at(step).value, RationalExp2(1) + step, "value above 0");
              check.equal(at(step).tangent, RationalExp2(1), "slope above 0");
            })
      .once(Kind::cost, "what the maps cost",
            "elu + 1 takes an exponential for each channel at or below 0, the Taylor map d + 2 d^2 "
            "multiplications (d above 1), a joint Hedgehog 2 d exponentials and 2 d divisions",
            [](auto& check) {
              using C = Counted<double>;
              for (Index d = 2; d <= 8; ++d) {
                std::vector<C> x;
                for (Index i = 0; i < d; ++i) x.emplace_back(i % 2 == 0 ? 0.5 : -0.5);
                const CountOperations elu;
                features(la::Elu(), x);
                check.equal(Index{elu.counts().exponentials}, d / 2, "elu, exponentials");
                check.equal(Index{elu.counts().comparisons}, d, "elu, comparisons");
                const CountOperations taylor;
                features(la::Taylor(), x);
                check.equal(Index{taylor.counts().multiplications}, d + 2 * d * d, "Taylor, multiplications");
                const CountOperations hedgehog;
                features(la::HedgehogJoint<C>{identity<C>(d), Array<C>({d})}, x);
                check.equal(Index{hedgehog.counts().exponentials}, 2 * d, "Hedgehog, exponentials");
                check.equal(Index{hedgehog.counts().divisions}, 2 * d, "Hedgehog, divisions");
              }
            });
}

void taylor(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::same, "Taylor features give the Taylor polynomial",
          "Both layouts, 1 + d + d^2 and 1 + d + d (d + 1) / 2 wide, have the inner product 1 + s + s^2 / 2 "
          "at s = q . k / sqrt(d); so the layer on features is the layer on the kernel",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), d = trial.size("m");
            const auto query = trial.array("raw query", {length, d}),
                       key = trial.array("raw key", {length, d});
            const T scale = T(1) / sqrt(T(d));
            const auto kernel = la::taylor_quadratic(query, key, trial.in["value"], scale);
            const auto compare = [&](const auto& map, Index width, const char* what) {
              const auto in = tokens(la::mapped(map, query), la::mapped(map, key), trial.in["value"]);
              trial.equal(T(in.key.extent(1)), T(width), "width");
              trial.equal(la::normalised(la::recurrent(in).sums, T(0)), kernel, what);
            };
            compare(la::Taylor(), 1 + d + d * d, "full");
            compare(la::TaylorCompact(), 1 + d + d * (d + 1) / 2, "compact");
          })
      .law<PrimeField, Rational>(Kind::invariant, "the Taylor polynomial of degree 2 is a square and a half",
                                 "1 + s + s^2 / 2 = ((s + 1)^2 + 1) / 2",
                                 [](auto& trial) {
                                   using T = ScalarOf<decltype(trial)>;
                                   const T s = trial.number("s");
                                   trial.equal(T(2) * la::taylor_exponential(s, 2),
                                               (s + T(1)) * (s + T(1)) + T(1), "polynomial");
                                 })
      .law<Rational>(Kind::bound, "Taylor weights are positive and lose their order",
                     "Polynomials of even degree are positive, that of degree 2 is at least 1/2; below -1 it "
                     "falls as s grows, so the worst keys weigh most; odd degrees are negative somewhere",
                     [](auto& trial) {
                       using T = ScalarOf<decltype(trial)>;
                       const T s = T(3) * trial.number("s"), gap = trial.number("gap", Domain::positive);
                       trial.expect(la::taylor_exponential(s, 2) >= T(1) / T(2), "at least 1/2");
                       for (const Index degree : {4, 6, 8}) {
                         trial.expect(T(0) < la::taylor_exponential(s, degree), "even degree");
                       }
                       const T low = T(-1) - magnitude(s) - gap, high = T(-1) - magnitude(s);
                       trial.expect(la::taylor_exponential(high, 2) < la::taylor_exponential(low, 2),
                                    "order lost");
                       for (const Index degree : {1, 3, 5, 7}) {
                         trial.expect(la::taylor_exponential(T(-degree - 1), degree) < T(0), "odd degree");
                       }
                     })
      .law<Bounded<Real50>>(
          Kind::bound, "how far the Taylor polynomial is off",
          "|e^s - T| <= |s|^(p+1) / (p+1)! max(1, e^s) for degree p (Lagrange); for degree 2 and |s| <= r "
          "the relative error is at most delta(r), reached at -r; T e^-s falls",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const T s = T(4) * (trial.number("s", Domain::gate) - T(1) / T(2));
            const T less = s - trial.number("gap", Domain::gate);
            T term(1);
            for (Index degree = 0; degree <= 6; ++degree) {
              term = term * magnitude(s) / T(degree + 1);
              const T error = magnitude(T(exp(s) - la::taylor_exponential(s, degree)));
              trial.at_most(error, term * maximum(T(1), exp(s)), "Lagrange");
            }
            const T r = magnitude(s);
            const T relative = magnitude(T(la::taylor_exponential(s, 2) * exp(T(-s)) - T(1)));
            trial.at_most(relative, la::taylor_relative_error(r), "relative error");
            trial.equal(la::taylor_exponential(T(-r), 2) * exp(r) - T(1), la::taylor_relative_error(r),
                        "reached at -r");
            trial.at_most(la::taylor_exponential(s, 2) * exp(T(-s)),
                          la::taylor_exponential(less, 2) * exp(T(-less)), "T e^-s falls");
          })
      .law<Bounded<Real50>>(
          Kind::bound, "how far Taylor attention is off",
          "With all scores in [-r, r], r <= 1.3, causal Taylor attention and softmax attention differ by at "
          "most 2 delta / (1 - delta) times the largest value (derived in the text)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), d = trial.size("m");
            Arrays<T> in;
            in.real["query"] = trial.array("raw query", {length, d});
            in.real["key"] = trial.array("raw key", {length, d});
            in.real["value"] = trial.in["value"];
            T largest_score(0), largest_value(0);
            const auto raw = tokens(in["query"], in["key"], in["value"]);
            for (Index t = 0; t < length; ++t) {
              for (Index s = 0; s <= t; ++s) {
                largest_score = maximum(largest_score, magnitude(la::weight(raw, t, s)));
              }
              for (Index j = 0; j < trial.size("d_v"); ++j) {
                largest_value = maximum(largest_value, magnitude(in["value"](t, j)));
              }
            }
            if (largest_score.value() == 0) largest_score = T(1);
            const T r = trial.number("r", Domain::gate) * T(13) / T(10);
            in.real["scale"] = Array<T>(Shape{}, r / largest_score);
            const auto softmax = trial.run_other("softmax_attention", "safe", in, {{"mask", 1}})["output"];
            const auto polynomial = la::taylor_quadratic(in["query"], in["key"], in["value"], in["scale"]());
            const T allowed = la::taylor_output_error(r) * largest_value;
            for (std::size_t i = 0; i < softmax.values().size(); ++i) {
              const T error = magnitude(T(polynomial.values()[i] - softmax.values()[i]));
              trial.at_most(error, allowed, "output");
            }
          })
      .once(Kind::bound, "the numbers of the Taylor bound", "delta at 1/2, 1 and where it reaches 1",
            [](auto& check) {
              const Real50 half = Real50(1) / 2;
              check.digits(la::taylor_relative_error(half), "0.030450794187580", "delta(1/2)");
              check.digits(la::taylor_relative_error(Real50(1)), "0.359140914229523", "delta(1)");
              check.expect(la::taylor_relative_error(Real50("1.300075242598585")) < 1, "delta below 1");
              check.expect(la::taylor_relative_error(Real50("1.300075242598595")) > 1, "delta above 1");
            })
      .once(Kind::converges, "Taylor weights of growing degree tend to softmax",
            "For even degrees p and scores in [-1, 1] the outputs differ by at most 2 d / (1 - d) times the "
            "largest value, d = e / (p + 1)!, and by more than nothing",
            [](auto& check) {
              const std::vector<Real50> scores{Real50(-1), Real50("0.25"), Real50("0.75"), Real50(1)};
              const std::vector<Real50> values{Real50(3), Real50(-1), Real50(2), Real50(-3)};
              Real50 factorial = 1;
              for (Index degree = 1; degree <= 24; ++degree) {
                factorial *= degree + 1;  // (degree + 1)!
                if (degree % 2 == 1) continue;
                Real50 above = 0, below = 0, exact_above = 0, exact_below = 0;
                for (std::size_t j = 0; j < scores.size(); ++j) {
                  above += la::taylor_exponential(scores[j], degree) * values[j];
                  below += la::taylor_exponential(scores[j], degree);
                  exact_above += exp(scores[j]) * values[j];
                  exact_below += exp(scores[j]);
                }
                const Real50 error = abs(above / below - exact_above / exact_below);
                const Real50 delta = exp(Real50(1)) / factorial;
                if (delta < 1)
                  check.expect(error <= 2 * delta / (1 - delta) * 3, "degree " + std::to_string(degree));
                check.expect(error > 0, "not reached at a finite degree");
              }
            });
}

/// Outputs of one query over one key of value 1 and another of value 0: the weight of the first.
double share(const std::vector<double>& query, const std::vector<double>& first,
             const std::vector<double>& second) {
  double a = 0, b = 0;
  for (std::size_t i = 0; i < query.size(); ++i) {
    a += query[i] * first[i];
    b += query[i] * second[i];
  }
  return a / (a + b);
}

void errata(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(Kind::erratum, "a mask on keys instead of features",
                         "A padded key set to 0 still has the elu features 1: it weighs as much as the sum "
                         "of the query's features, where a mask on features gives it none",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index length = trial.size("n"), channels = trial.size("m");
                           const auto raw = trial.array("raw key", {length, channels}, Domain::logit);
                           Array<T> mask({length}, T(1));
                           mask(length - 1) = T(0);
                           auto in = from_nothing(trial.in);
                           const auto sums_with = [&](const Array<T>& key) {
                             in.real["key"] = key;
                             return la::noncausal(input_of(in)).sums;
                           };
                           const auto right = sums_with(la::masked(la::mapped(la::Elu(), raw), mask));
                           const auto wrong = sums_with(la::mapped(la::Elu(), la::masked(raw, mask)));
                           for (Index t = 0; t < length; ++t) {
                             T features(0);
                             for (Index i = 0; i < channels; ++i) features += in["query"](t, i);
                             trial.equal(wrong.denominator(t) - right.denominator(t), features,
                                         "weight of the padding");
                             trial.expect(!(features == T(0)), "the padding has a weight");
                           }
                         })
      .law<RationalExp2>(
          Kind::erratum, "a hybrid that forgets what its weights are relative to",
          "With linear weights beside softmax weights, the mix is right relative to any reference shared by "
          "both; the released code shifts the softmax weights alone, so a constant added to all its scores "
          "changes nothing, where it should multiply their share by its exponential",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index near_keys = trial.size("n"), far_keys = trial.size("m"), width = trial.size("d_v");
            const auto near = trial.array("near", {near_keys, width}),
                       far = trial.array("far", {far_keys, width});
            std::vector<T> score, raised, linear, raised_linear;
            const T constant = T(trial.integer("constant", 1, 3));
            T largest = trial.array("scores", {near_keys}, Domain::logit)(0);
            for (Index s = 0; s < near_keys; ++s) {
              score.push_back(trial.array("scores", {near_keys}, Domain::logit)(s));
              raised.push_back(score.back() + constant);
              largest = maximum(largest, score.back());
            }
            for (Index s = 0; s < far_keys; ++s) {
              linear.push_back(trial.array("linear", {far_keys}, Domain::positive)(s));
              raised_linear.push_back(linear.back() * exp(constant));
            }
            const auto equal = [&](const std::vector<T>& a, const std::vector<T>& b, const char* what) {
              for (std::size_t j = 0; j < a.size(); ++j) trial.equal(a[j], b[j], what);
            };
            const auto truth = la::hybrid(score, near, linear, far, T(0));
            equal(la::hybrid(score, near, linear, far, largest), truth, "any reference");
            equal(la::hybrid(raised, near, raised_linear, far, T(0)), truth, "both weights raised");
            const auto code = la::hybrid_code(score, near, linear, far);
            equal(la::hybrid_code(raised, near, linear, far), code, "the code does not see the constant");
            for (T& weight : raised_linear) weight = weight / exp(constant) * exp(largest);
            equal(la::hybrid(score, near, raised_linear, far, T(0)), code, "what the code computes");
          })
      .once(Kind::erratum, "epsilon in code, none in the paper",
            "With epsilon a constant value 1 comes back as D / (D + epsilon)",
            [](auto& check) {
              using R = Rational;
              const Array<R> one({1, 1}, R(1));
              const auto sums = la::quadratic(tokens(one, one, one));
              const R epsilon = R(1) / R(1000000);
              check.equal(la::normalised(sums, R(0))(0, 0), R(1), "paper");
              check.equal(la::normalised(sums, epsilon)(0, 0), R(R(1000000) / R(1000001)), "code");
            })
      .once(Kind::erratum, "more or fewer keys than queries",
            "The official causal kernel cuts surplus keys off and fills missing ones up with zeros, so a "
            "query past the last key still reads all keys",
            [](auto& check) {
              using R = Rational;
              const auto key = Array<R>::matrix({{R(1)}, {R(2)}, {R(4)}});
              const auto run = [&](Index queries) {
                const auto fitted = la::fitted(key, queries);
                return la::recurrent(tokens(Array<R>({queries, 1}, R(1)), fitted, fitted));
              };
              check.equal(run(2).memory.normaliser(0), R(3), "the third key is lost");
              check.equal(run(4).sums.denominator(3), R(7), "the fourth query reads three keys");
              check.equal(run(4).sums.numerator(3, 0), R(21), "the fourth query reads three values");
            })
      .once(Kind::erratum, "the default layer of a kernel library is another one",
            "Unnormalised, scaled by 1 / sqrt(d) and followed by an RMS norm, a constant value 3 comes back "
            "as 1; the scale cancels in the norm",
            [](auto& check) {
              const auto query = Array<double>::matrix({{1, 0}, {0, 2}});
              const Array<double> value({2, 1}, 3.0);
              const auto sums = la::quadratic(tokens(query, query, value));
              const auto scaled = la::quadratic(tokens(la::scaled(query, 0.5), query, value));
              check.equal(la::normalised(sums, 0.0)(1, 0), 3.0, "linear attention");
              check.equal(la::rms_normalised(la::unnormalised(sums), 0.0)(1, 0), 1.0, "the library's layer");
              check.equal(la::rms_normalised(la::unnormalised(scaled), 0.0),
                          la::rms_normalised(la::unnormalised(sums), 0.0), "the scale cancels");
            })
      .once(Kind::erratum, "two modes of one layer disagree",
            "A kernel library's chunked Based has scores q . k / sqrt(d), its parallel mode q . k: the third "
            "output of the worked example is 73/30 in one and not in the other",
            [](auto& check) {
              using R = Rational;
              const auto query = Array<R>::matrix(
                  {{R(1), R(0), R(0), R(0)}, {R(0), R(1), R(0), R(1)}, {R(1), R(1), R(0), R(-1)}});
              const auto key = Array<R>::matrix(
                  {{R(1), R(0), R(1), R(0)}, {R(0), R(-2), R(0), R(0)}, {R(1), R(1), R(1), R(1)}});
              const auto value = Array<R>::matrix({{R(1)}, {R(2)}, {R(4)}});
              check.equal(la::taylor_quadratic(query, key, value, R(R(1) / R(2)))(2, 0), R(R(73) / R(30)),
                          "chunked");
              check.equal(la::taylor_quadratic(query, key, value, R(1))(2, 0), R(R(29) / R(12)), "parallel");
            })
      .once(Kind::erratum, "channels cut by the value's width",
            "Two heads of 2 features cut into heads of 4, the width of a value, become one head with the "
            "weights of both",
            [](auto& check) {
              const auto channels = Array<double>::matrix({{1, 2, 3, 4}});
              const Array<double> value({1, 1}, 1.0);
              const auto weight = [&](Index h, Index width) {
                const auto part = la::head(channels, h, width);
                return la::weight(tokens(part, part, value), 0, 0);
              };
              check.equal(weight(0, 2), 5.0, "first head");
              check.equal(weight(1, 2), 25.0, "second head");
              check.equal(weight(0, 4), 30.0, "both as one");
            })
      .once(Kind::erratum, "four layers called Hedgehog",
            "For one query and two keys the paper's map, a softmax a half, one softmax over both halves and "
            "the halves shifted apart give four different shares",
            [](auto& check) {
              const std::vector<double> query{1, -0.5}, first{2, 0.5}, second{0, -1};
              const Array<double> one = identity<double>(2), none({2});
              const auto share_under = [&](const auto& map) {
                return share(features(map, query), features(map, first), features(map, second));
              };
              const double shares[] = {share_under(la::Hedgehog<double>{one, none}),
                                       share_under(la::HedgehogByHalves<double>{one, 1e-12}),
                                       share_under(la::HedgehogJoint<double>{one, none}),
                                       share_under(la::HedgehogShiftedApart<double>{one})};
              for (int i = 0; i < 4; ++i) {
                for (int j = 0; j < i; ++j) {
                  check.expect(std::abs(shares[i] - shares[j]) > 0.01, "shares differ");
                }
              }
            })
      .once(Kind::erratum, "halves shifted apart do not cancel",
            "The option exp_dim shifts e^z by max z and e^-z by min z: on queries alone, where any common "
            "factor would cancel, it changes the output",
            [](auto& check) {
              using R = RationalExp2;
              const Array<R> one = identity<R>(1), none({1});
              const la::Hedgehog<R> hedgehog{one, none};
              const la::HedgehogShiftedApart<R> apart{one};
              const auto query = Array<R>::matrix({{R(1)}, {R(1)}});
              const auto key = Array<R>::matrix({{R(1)}, {R(0)}}), value = Array<R>::matrix({{R(1)}, {R(0)}});
              const auto last = [&](const auto& query_map) {
                const auto in = tokens(la::mapped(query_map, query), la::mapped(hedgehog, key), value);
                return la::normalised(la::quadratic(in), R(0))(1, 0);
              };
              check.equal(last(hedgehog), R(R(17) / R(27)),
                          "Hedgehog on queries");                         // (4 + 1/4) / (4 + 1/4 + 2 + 1/2)
              check.equal(last(apart), R(R(5) / R(9)), "shifted apart");  // (2 + 1/2) / (2 + 1/2 + 2)
            });
}

void traps(EntryBuilder& entry) {
  entry
      .once(
          Kind::invariant, "signed features have denominators of any sign",
          "For the identity map the weights of a row may add up to less than 0: the normalised output is "
          "then a number, but no average of the values",
          [](auto& check) {
            using R = Rational;
            const auto key = Array<R>::matrix({{R(1)}, {R(-3)}}), value = Array<R>::matrix({{R(0)}, {R(1)}});
            const auto sums = la::quadratic(tokens(Array<R>({2, 1}, R(1)), key, value));
            check.equal(sums.denominator(1), R(-2), "denominator");
            check.equal(la::normalised(sums, R(0))(1, 0), R(R(3) / R(2)), "above both values");
          })
      .once(Kind::invariant, "what does not cancel",
            "Doubling a query changes the output under elu + 1, which is not homogeneous; under the "
            "exponential map a number taken from one key alone changes it",
            [](auto& check) {
              using R = RationalExp2;
              const auto key = Array<R>::matrix({{R(1), R(2)}, {R(3), R(1)}}),
                         value = Array<R>::matrix({{R(0)}, {R(1)}});
              const auto last = [&](const auto& map, const Array<R>& query, const Array<R>& keys) {
                const auto in = tokens(la::mapped(map, query), la::mapped(map, keys), value);
                return la::normalised(la::quadratic(in), R(0))(1, 0);
              };
              const auto query = Array<R>::matrix({{R(1), R(2)}, {R(1), R(2)}}),
                         twice = la::scaled(query, R(2));
              check.equal(last(la::Elu(), query, key), R(R(14) / R(27)), "elu");      // 14 to 13
              check.equal(last(la::Elu(), twice, key), R(R(22) / R(43)), "doubled");  // 22 to 21
              const auto shifted = Array<R>::matrix({{R(1), R(2)}, {R(2), R(0)}});
              check.equal(last(la::Exp(), query, key), R(R(24) / R(44)), "exp");          // 24 to 20
              check.equal(last(la::Exp(), query, shifted), R(R(12) / R(32)), "one key");  // 12 to 20
            })
      .once(Kind::invariant, "arguments that do not fit are named",
            "Every argument of another shape is an error that names the argument, its shape and the expected "
            "one",
            [](auto& check) {
              const auto expect_message = [&](const auto& call, const std::string& wanted) {
                std::string message = "nothing was thrown";
                try {
                  call();
                } catch (const std::invalid_argument& error) {
                  message = error.what();
                }
                check.expect(message.find(wanted) != std::string::npos,
                             "\"" + message + "\" says: " + wanted);
              };
              using A = Array<double>;
              const A wide({3, 2}), tall({4, 2}), row({3});
              const la::Input<double> right = tokens(wide, wide, wide);
              la::Input<double> in = right;
              in.query = tall;
              expect_message([&] { la::quadratic(in); }, "query is 4 x 2, expected 3 x 2");
              in = right;
              in.value = tall;
              expect_message([&] { la::recurrent(in); }, "value is 4 x 2, expected 3 x 2");
              in = right;
              in.memory.state = A({2, 3});
              expect_message([&] { la::noncausal(in); }, "initial state is 2 x 3, expected 2 x 2");
              in = right;
              in.memory.normaliser = row;
              expect_message([&] { la::noncausal_quadratic(in); }, "initial normaliser is 3, expected 2");
              expect_message([&] { la::chunked(right, 0); }, "chunk is 0, expected 1 or more");
              const la::Sums<double> d{wide, row};
              expect_message(
                  [&] {
                    la::backward(right, {tall, row}, right.memory);
                  },
                  "gradient of the numerator is 4 x 2, expected 3 x 2");
              expect_message(
                  [&] {
                    la::backward(right, {wide, A({4})}, right.memory);
                  },
                  "gradient of the denominator is 4, expected 3");
              expect_message(
                  [&] {
                    la::backward(right, d, {A({1, 2}), A({2})});
                  },
                  "gradient of the final state is 1 x 2, expected 2 x 2");
              expect_message(
                  [&] {
                    la::backward_reversible(right, {A({2, 2}), row}, d, right.memory);
                  },
                  "final normaliser is 3, expected 2");
              expect_message([&] { la::normalised({wide, A({4})}, 0.0); }, "denominator is 4, expected 3");
              expect_message([&] { la::backward_of_normalised(d, 0.0, tall); },
                             "numerator is 3 x 2, expected 4 x 2");
              expect_message([&] { la::mapped(la::Relu(), row); }, "tokens is 3, expected 2 axes");
              expect_message(
                  [&] {
                    la::mapped(la::Hedgehog<double>{A({5, 3}), A({5})}, wide);
                  },
                  "weight is 5 x 3, expected 5 x 2");
              expect_message([&] { la::mapped(la::HedgehogByHalves<double>{row}, wide); },
                             "weight is 3, expected 2 axes");
              expect_message(
                  [&] {
                    la::mapped(la::ProductOfLinear<double>{wide, tall}, wide);
                  },
                  "right is 4 x 2, expected 3 x 2");
              expect_message([&] { la::taylor_output_error(1.5); }, "r is too large");
              expect_message([&] { la::taylor_output_error(-0.5); }, "r is negative");
              expect_message([&] { la::hybrid({1.0}, wide, {1.0}, wide, 0.0); },
                             "near is 3 x 2, expected 1 x 2");
              expect_message([&] { la::hybrid_code<double>({}, wide, {1.0}, wide); }, "score is empty");
              expect_message([&] { la::masked(wide, A({2})); }, "mask is 2, expected 3");
              expect_message([&] { la::fitted(wide, 0); }, "n is 0, expected 1 or more");
              expect_message([&] { la::head(wide, 1, 2); }, "head is 1 of width 2, expected within the 2");
            })
      .once(Kind::invariant, "a sum that stands still",
            "In half precision the normaliser stops at 2048: adding 1 to it changes nothing",
            [](auto& check) {
              const Array<Float16> ones({3000, 1}, Float16(1.0));
              check.equal(static_cast<double>(la::recurrent(tokens(ones, ones, ones)).memory.normaliser(0)),
                          2048.0, "normaliser after 3000 tokens");
            })
      .once(Kind::invariant, "subtraction does not bring a state back",
            "In float32 the reversible backward pass loses a first key of 2^-10 behind one of 2^20; the pass "
            "that goes forward again does not",
            [](auto& check) {
              const auto key = Array<float>::matrix({{0x1p-10F}, {0x1p20F}});
              const Array<float> ones({2, 1}, 1.0F);
              const auto in = tokens(ones, key, ones);
              const la::Sums<float> d{ones, Array<float>({2})};
              const la::Memory<float> none{Array<float>({1, 1}), Array<float>({1})};
              check.equal(la::backward(in, d, none).query(0, 0), 0x1p-10F, "forward again");
              check.equal(la::backward_reversible(in, la::recurrent(in).memory, d, none).query(0, 0), 0.0F,
                          "reversible");
            })
      .once(Kind::invariant, "denominators that vanish",
            "A query orthogonal to all keys makes the identity map divide by 0; relu of negative channels is "
            "0 everywhere, which an epsilon above 0 turns into the output 0",
            [](auto& check) {
              const auto query = Array<double>::matrix({{1, 0}}), key = Array<double>::matrix({{0, 1}});
              const Array<double> value({1, 1}, 5.0), negative({1, 2}, -1.0);
              const auto orthogonal = la::quadratic(tokens(query, key, value));
              check.expect(!finite(la::normalised(orthogonal, 0.0)(0, 0)), "identity");
              const auto silent = la::mapped(la::Relu(), negative);
              const auto sums = la::quadratic(tokens(silent, silent, value));
              check.expect(!finite(la::normalised(sums, 0.0)(0, 0)), "relu without epsilon");
              check.equal(la::normalised(sums, 1e-6)(0, 0), 0.0, "relu with epsilon");
            })
      .once(Kind::invariant, "the exponential map overflows without a shift",
            "e^100 is too large for float32; shifted by the query's own maximum and one number for all keys "
            "the output is finite",
            [](auto& check) {
              const auto raw = Array<float>::matrix({{100, 99}, {98, 100}}),
                         value = Array<float>::matrix({{1}, {2}});
              Array<float> shifted = raw;
              for (float& x : shifted.values()) x -= 100;
              const auto last = [&](const Array<float>& x) {
                const auto features_of_x = la::mapped(la::Exp(), x);
                return la::normalised(la::recurrent(tokens(features_of_x, features_of_x, value)).sums, 0.0F)(
                    1, 0);
              };
              check.expect(!finite(last(raw)), "without a shift");
              check.expect(finite(last(shifted)), "with a shift");
            });
}

/// Counts of one call.
template <class Call>
OperationCounts counts_of(const Call& call) {
  const CountOperations scope;
  call();
  return scope.counts();
}

void costs(EntryBuilder& entry) {
  entry.once(
      Kind::cost, "what the backward passes cost",
      "Without an initial memory and its gradient: n (5 m d_v + 2 m) multiplications for both passes, n d_v "
      "+ n divisions and n d_v multiplications for the normalised read-out. Recovering the states by "
      "subtraction takes as many operations as carrying them; only the additions of the first token, to "
      "stored zeros, are free on the way forward",
      [](auto& check) {
        using C = Counted<double>;
        for (const Shape& shape : {Shape{1, 1, 1}, Shape{1, 3, 2}, Shape{2, 3, 4}, Shape{7, 2, 5}}) {
          const Index length = shape[0], width = shape[1], channels = shape[2];
          const Index cell = width * channels;
          const Array<C> features({length, width}, C(0.5)), values({length, channels}, C(0.25));
          const auto in = tokens(features, features, values);
          const la::Result<C> out = la::recurrent(in);
          la::SumsGradient<C> d;
          const auto read_out = counts_of([&] { d = la::backward_of_normalised(out.sums, C(0), values); });
          check.equal(Index{read_out.divisions}, length * channels + length, "divisions");
          check.equal(Index{read_out.multiplications}, length * channels, "read-out");
          const auto both = counts_of([&] { la::backward(in, d.sums, in.memory); });
          check.equal(Index{both.multiplications}, length * (5 * cell + 2 * width), "backward");
          const auto back = counts_of([&] { la::backward_reversible(in, out.memory, d.sums, in.memory); });
          check.equal(Index{back.multiplications}, length * (5 * cell + 2 * width), "reversible");
          check.equal(Index{back.additions}, both.additions + cell + width, "additions");
        }
      });
  const auto divided = [](Settings& settings) { settings["normalised"] = 1; };
  const Expression pairs = n * (n + 1) / 2;
  Cost quadratic("quadratic");
  quadratic.without = {"initial_state", "initial_normaliser", "epsilon"};
  quadratic.fixed = divided;
  quadratic.multiplications = pairs * (m + d_v);
  quadratic.additions = pairs * (m - 1) + (pairs - n) * (d_v + 1);
  quadratic.divisions = n * d_v;
  quadratic.depth = n + m + 1;
  quadratic.free_depth = ceil_log2(m) + ceil_log2(n) + 3;
  quadratic.state = 0;
  Cost all_pairs = quadratic;
  all_pairs.form = "noncausal_quadratic";
  all_pairs.multiplications = n * n * (m + d_v);
  all_pairs.additions = n * n * (m - 1) + n * (n - 1) * (d_v + 1);
  Cost noncausal = quadratic;
  noncausal.form = "noncausal";
  noncausal.multiplications = 2 * n * m * d_v + n * m;
  noncausal.additions = (n - 1) * m * (d_v + 1) + n * (m - 1) * (d_v + 1);
  noncausal.depth = n + m + 1;
  noncausal.free_depth = ceil_log2(n) + ceil_log2(m) + 3;
  noncausal.state = m * (d_v + 1);
  Cost recurrent("recurrent");
  recurrent.without = {"epsilon"};
  recurrent.fixed = divided;
  recurrent.multiplications = n * (2 * m * d_v + m);
  recurrent.additions = n * (2 * m * d_v + 2 * m - d_v - 1);
  recurrent.divisions = n * d_v;
  recurrent.depth = n + m + 2;
  recurrent.free_depth = ceil_log2(2 * n + 1) + ceil_log2(m) + 2;
  recurrent.state = m * (d_v + 1);
  const Expression full = ceil_div(n, chunk) - 1, last = n - full * chunk;
  const Expression inside = full * (chunk * (chunk + 1) / 2) + last * (last + 1) / 2;
  Cost chunked = recurrent;
  chunked.form = "chunked";
  chunked.multiplications = n * (2 * m * d_v + m) + inside * (m + d_v);
  chunked.additions = n * (m - 1) * (d_v + 1) + inside * (m + d_v) + n * m * (d_v + 1);
  chunked.free_depth.reset();  // the logarithm of a sum of powers of two: no formula here
  entry.cost(quadratic).cost(all_pairs).cost(noncausal).cost(recurrent).cost(chunked);
  std::vector<Settings> grid;
  for (Index length = 16; length <= 1024; length *= 2) {
    grid.push_back({{"n", length}, {"m", 64}, {"d_v", 64}, {"chunk", 64}});
  }
  entry.scale("64 features", grid);
}

void examples(EntryBuilder& entry) {
  entry
      .example(
          "worked example", "Four tokens, elu + 1 features, all outputs and all gradients",
          [](auto& check) {
            using R = RationalExp2;
            const auto over = [](Index a, Index b) { return R(a) / R(b); };
            const auto query = Array<R>::matrix({{R(1), R(0)}, {R(0), R(2)}, {R(1), R(1)}, {R(2), R(0)}});
            const auto key = Array<R>::matrix({{R(0), R(1)}, {R(1), R(0)}, {R(2), R(1)}, {R(0), R(0)}});
            const auto value = Array<R>::matrix({{R(1), R(0)}, {R(0), R(1)}, {R(2), R(-1)}, {R(3), R(4)}});
            const Array<R> p = la::mapped(la::Elu(), query);
            Array<R> f = la::mapped(la::Elu(), key);
            for (Index i = 0; i < 2; ++i) f(3, i) = key(3, i) + R(1);  // 2^0 = e^0
            const auto in = tokens(p, f, value);
            const auto out = la::recurrent(in);
            check.equal(la::normalised(out.sums, R(0)),
                        Array<R>::matrix({{R(1), R(0)},
                                          {over(7, 12), over(5, 12)},
                                          {over(13, 11), over(-2, 11)},
                                          {over(13, 9), over(4, 9)}}),
                        "causal, normalised");
            check.equal(la::unnormalised(out.sums),
                        Array<R>::matrix({{R(4), R(0)}, {R(7), R(5)}, {R(26), R(-4)}, {R(39), R(12)}}),
                        "causal, unnormalised");
            check.equal(out.memory.state, Array<R>::matrix({{R(10), R(3)}, {R(9), R(3)}}), "S");
            check.equal(out.memory.normaliser, Array<R>::vector({R(7), R(6)}), "z");
            check.equal(la::normalised(la::noncausal(in).sums, R(0)),
                        Array<R>::matrix({{over(29, 20), over(9, 20)},
                                          {over(37, 25), over(12, 25)},
                                          {over(19, 13), over(6, 13)},
                                          {over(13, 9), over(4, 9)}}),
                        "without a mask");
            const auto g = Array<R>::matrix({{R(1), R(0)}, {R(0), R(1)}, {R(1), R(-1)}, {R(2), R(1)}});
            const la::Memory<R> none{Array<R>({2, 2}), Array<R>({2})};
            const auto d = la::backward(in, la::backward_of_normalised(out.sums, R(0), g).sums, none);
            check.equal(d.query,
                        Array<R>::matrix({{R(0), R(0)},
                                          {over(1, 16), over(-1, 48)},
                                          {over(-1, 121), over(1, 121)},
                                          {over(-1, 81), over(1, 27)}}),
                        "dp, normalised");
            check.equal(d.key,
                        Array<R>::matrix({{over(-11287, 52272), over(-29263, 156816)},
                                          {over(-22243, 52272), over(-24379, 156816)},
                                          {over(365, 3267), over(1337, 9801)},
                                          {over(20, 27), over(20, 81)}}),
                        "df, normalised");
            check.equal(d.value,
                        Array<R>::matrix({{over(488, 297), over(589, 1188)},
                                          {over(235, 297), over(479, 1188)},
                                          {over(377, 297), over(-14, 297)},
                                          {over(8, 27), over(4, 27)}}),
                        "dv, normalised");
            const auto plain = la::backward(in, la::backward_of_unnormalised(g).sums, none);
            check.equal(plain.query,
                        Array<R>::matrix({{R(1), R(2)}, {R(2), R(1)}, {R(8), R(7)}, {R(23), R(21)}}),
                        "dp, unnormalised");
            check.equal(plain.key,
                        Array<R>::matrix({{R(10), R(5)}, {R(2), R(2)}, {R(15), R(9)}, {R(30), R(10)}}),
                        "df, unnormalised");
            check.equal(plain.value,
                        Array<R>::matrix({{R(20), R(6)}, {R(20), R(6)}, {R(32), R(1)}, {R(8), R(4)}}),
                        "dv, unnormalised");
          })
      .example("worked example with Taylor weights",
               "Four channels, one value: outputs of Taylor and of softmax attention", [](auto& check) {
                 using R = Real50;
                 const auto query = Array<R>::matrix({{1, 0, 0, 0}, {0, 1, 0, 1}, {1, 1, 0, -1}});
                 const auto key = Array<R>::matrix({{1, 0, 1, 0}, {0, -2, 0, 0}, {1, 1, 1, 1}});
                 const auto value = Array<R>::matrix({{1}, {2}, {4}});
                 const auto in =
                     tokens(la::mapped(la::Taylor(), query), la::mapped(la::Taylor(), key), value);
                 const auto output = la::normalised(la::quadratic(in), R(0));
                 check.digits(output(1, 0), "1.33333333333333333333", "second");
                 check.digits(output(2, 0), "2.43333333333333333333", "third");
                 check.digits(la::weight(in, 0, 0), "1.62500000000000000000", "weight 13/8");
                 Arrays<R> softmax;
                 softmax.real["query"] = query;
                 softmax.real["key"] = key;
                 softmax.real["value"] = value;
                 softmax.real["scale"] = Array<R>(Shape{}, R(1) / 2);
                 const Entry& other = Registry::instance().entry("softmax_attention");
                 const auto exact = other.form("safe").run<R>(
                     softmax, other.with_defaults({{"n_q", 3}, {"n_k", 3}, {"mask", 1}}));
                 check.digits(exact["output"](1, 0), "1.268941421370", "softmax, second");
                 check.digits(exact["output"](2, 0), "2.449816217658", "softmax, third");
               });
}

const Registration<EntryBuilder> registration{"linear_attention", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                limits(entry);
                                                invariants(entry);
                                                feature_maps(entry);
                                                taylor(entry);
                                                errata(entry);
                                                traps(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
