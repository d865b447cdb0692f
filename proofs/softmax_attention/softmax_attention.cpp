/// \file
/// The entry of softmax attention, the oracle: forms, laws, costs. Its text is
/// `reference/softmax_attention/softmax_attention.hpp`.
#include "reference/softmax_attention/softmax_attention.hpp"

#include <limits>

#include "proofs/engine/group.hpp"
#include "reference/heads.hpp"

namespace etalon {
namespace {

namespace sa = softmax_attention;

const Expression n_q = symbol("n_q"), n_k = symbol("n_k"), d_k = symbol("d_k"), d_v = symbol("d_v"),
                 tile = symbol("tile");

enum MaskChoice { kFull, kCausal, kTopLeft, kWindow, kStreaming, kGiven };

template <class T>
sa::Mask mask_of(const Arrays<T>& in, const Settings& settings) {
  const Index queries = in["query"].extent(0), keys = in["key"].extent(0);
  switch (at(settings, "mask")) {
    case kCausal:
      return sa::causal_mask(queries, keys);
    case kTopLeft:
      return sa::causal_mask_top_left();
    case kWindow:
      return sa::window_mask(queries, keys, at(settings, "left"), at(settings, "right"));
    case kStreaming:
      return sa::streaming_mask(at(settings, "left"), at(settings, "right") + 1);
    case kGiven:
      return sa::given_mask(in.index.at("allowed"));
    default:
      return sa::full_mask();
  }
}

template <Exponential T>
sa::Problem<T> problem_of(const Arrays<T>& in, const Settings& settings) {
  sa::Problem<T> problem;
  problem.queries = in["query"].extent(0);
  problem.score = sa::dot_product(in["query"], in["key"], in.number("scale", T(1)));
  if (at(settings, "bias_given") == 1) problem.score = sa::biased(problem.score, in["bias"]);
  problem.mask = mask_of(in, settings);
  problem.value = in["value"];
  if (at(settings, "sink_given") == 1) problem.sink = in["sink"]();
  return problem;
}

/// Draws a mask in which some row may be empty.
Array<Index> draw_mask(const Case& one) {
  Array<Index> allowed({at(one.settings, "n_q"), at(one.settings, "n_k")});
  for (Index i = 0; i < allowed.size(); ++i) {
    allowed.values()[static_cast<std::size_t>(i)] =
        static_cast<Index>(hash({one.seed, "allowed", i}, 1) % 3 != 0);
  }
  return allowed;
}

void describe(EntryBuilder& entry) {
  entry
      .about("softmax_attention", "Softmax attention",
             "Every query averages the values, weighted by how well its key fits: the exact mixer that all "
             "others replace or approximate.",
             {"vaswani2017attention", "milakov2018online", "dao2022flashattention", "dao2023flashattention2"})
      .size("n_q", 60, 6)
      .size("n_k", 60, 7)
      .size("d_k", 4, 3)
      .size("d_v", 3, 2)
      .parameter({"mask",
                  kFull,
                  kFull,
                  kGiven,
                  "which keys a query may attend to",
                  {"full", "causal", "top_left", "window", "streaming", "given"}})
      .parameter({"left", 4, 0, n_k, "keys before a query in a window; first keys kept in a stream", {}})
      .parameter(
          {"right", 0, 0, n_k, "keys after a query in a window; in a stream, one less than its window", {}})
      .parameter({"bias_given", 0, 0, 1, "whether the bias is added to the scores", {"no", "yes"}})
      .parameter({"sink_given", 0, 0, 1, "whether there is a sink", {"no", "yes"}})
      .parameter({"tile", 64, 1, n_k + 1, "keys in a tile; the last one may be narrower", {}})
      .parameter({"slack", 0, 0, 4, "how far a score may exceed the reference before a tile rescales", {}})
      .parameter({"parts", 2, 1, n_k + 2, "parts that the keys are split into; some may be empty", {}})
      .input("query", {n_q, d_k}, Domain::logit, "what each token asks")
      .input("key", {n_k, d_k}, Domain::logit, "under which label each token can be found")
      .input("value", {n_k, d_v}, Domain::any, "what each token offers")
      .input("scale", {}, Domain::logit, "factor of the scores; 1 when left out")
      .input("bias", {n_q, n_k}, Domain::logit, "added to the scores where bias_given is yes")
      .input("sink", {}, Domain::logit, "logit of the sink where sink_given is yes")
      .index_input("allowed", {n_q, n_k}, "0 or 1: the mask where mask is given", draw_mask)
      .output("output", {n_q, d_v}, "the average that each query reads");
}

void forms(EntryBuilder& entry) {
  entry
      .form("safe", "the definition: maximum first, then the weighted sum",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(sa::safe(problem_of(in, settings)));
            })
      .form("direct", "without a reference; overflows in floating point",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(sa::direct(problem_of(in, settings)));
            })
      .form("online", "one pass over the keys, one at a time",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(sa::online(problem_of(in, settings)));
            })
      .form("tiled", "FlashAttention-2: tiles of keys, one division at the end, lazy rescaling",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(
                  sa::tiled(problem_of(in, settings), at(settings, "tile"), T(at(settings, "slack"))));
            })
      .form("tiled_normalised", "FlashAttention-1: tiles of keys, normalised after each",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(sa::tiled_normalised(problem_of(in, settings), at(settings, "tile")));
            })
      .form("split", "parts of the keys on their own, then merged",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(sa::split(problem_of(in, settings), at(settings, "parts")));
            })
      .backward("backward", "closed form from the weights and outputs",
                []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
                  const sa::Problem<T> problem = problem_of(in, settings);
                  sa::Gradient<T> d = sa::backward_of_scores(problem, in["d_output"]);
                  sa::backward_of_dot_product(in["query"], in["key"], in.number("scale", T(1)), d);
                  Arrays<T> arrays;
                  arrays.real["d_query"] = d.query;
                  arrays.real["d_key"] = d.key;
                  arrays.real["d_value"] = d.value;
                  arrays.real["d_scale"] = Array<T>(Shape{}, d.scale);
                  const bool bias = at(settings, "bias_given") == 1;
                  arrays.real["d_bias"] = bias ? d.score : Array<T>(d.score.shape());
                  arrays.real["d_sink"] = Array<T>(Shape{}, d.sink);
                  return arrays;
                });
}

// ---- laws --------------------------------------------------------------------------------------

/// A partial result over drawn scores and values.
template <class AnyTrial>
auto drawn_partial(const AnyTrial& trial, const std::string& name, Index keys) {
  using T = ScalarOf<AnyTrial>;
  const Index width = trial.size("d_v");
  const auto scores = trial.array(name + " scores", {keys}, Domain::logit);
  const auto values = trial.array(name + " values", {keys, width});
  sa::Partial<T> partial = sa::no_keys<T>(width);
  for (Index j = 0; j < keys; ++j) sa::step(partial, scores(j), values.row(j));
  return partial;
}

template <class AnyTrial, class T>
void equal_partials(const AnyTrial& trial, const sa::Partial<T>& a, const sa::Partial<T>& b,
                    const std::string& what) {
  trial.expect(a.empty == b.empty, what + ": one side is empty");
  trial.equal(a.m, b.m, what + ", m");
  trial.equal(a.l, b.l, what + ", l");
  for (std::size_t c = 0; c < a.o.size(); ++c) trial.equal(a.o[c], b.o[c], what + ", o");
}

void identities(EntryBuilder& entry) {
  for (const char* form : {"direct", "online", "tiled", "tiled_normalised", "split"}) {
    entry.standard(laws::same(form, "safe"));
  }
  for (const char* form : {"safe", "online", "tiled", "tiled_normalised", "split"}) {
    entry.standard(laws::gradient(form, "backward"));
  }
  entry
      .law<RationalExp2>(Kind::same, "partial results form a commutative monoid",
                         "merge is associative and commutative as triples (m, l, o), and no keys are neutral",
                         [](auto& trial) {
                           const auto a = drawn_partial(trial, "a", trial.integer("a keys", 0, 4));
                           const auto b = drawn_partial(trial, "b", trial.integer("b keys", 0, 4));
                           const auto c = drawn_partial(trial, "c", trial.integer("c keys", 0, 4));
                           equal_partials(trial, merge(merge(a, b), c), merge(a, merge(b, c)), "associative");
                           equal_partials(trial, merge(a, b), merge(b, a), "commutative");
                           const auto none = drawn_partial(trial, "none", 0);
                           equal_partials(trial, merge(a, none), a, "neutral on the right");
                           equal_partials(trial, merge(none, a), a, "neutral on the left");
                         })
      .law<RationalExp2>(
          Kind::same, "causal attention is full attention on prefixes",
          "Row i of causal attention equals full attention of query i to the keys up to it; rows before the "
          "first key are 0",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Settings causal = with(trial, {{"mask", kCausal}, {"bias_given", 0}});
            const auto whole = trial.run("safe", trial.in, causal)["output"];
            const Index queries = trial.size("n_q"), keys = trial.size("n_k");
            for (Index i = 0; i < queries; ++i) {
              const Index visible = std::min(keys, i + keys - queries + 1);
              auto in = trial.in;
              in.real["query"] = heads::rows(trial.in["query"], i, i + 1);
              if (visible <= 0) {
                for (Index c = 0; c < trial.size("d_v"); ++c)
                  trial.equal(whole(i, c), T(0), "row without a key");
                continue;
              }
              in.real["key"] = heads::rows(trial.in["key"], 0, visible);
              in.real["value"] = heads::rows(trial.in["value"], 0, visible);
              const Settings full =
                  with(trial, {{"mask", kFull}, {"bias_given", 0}, {"n_q", 1}, {"n_k", visible}});
              trial.equal(trial.run("safe", in, full)["output"], heads::rows(whole, i, i + 1), "row");
            }
          })
      .law<RationalExp2>(
          Kind::same, "grouped heads are repeated heads",
          "Query heads that share a key and value head give what they give with their own copies of it",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index groups = trial.integer("groups", 1, 3), group = trial.integer("group", 1, 3);
            const Index queries = trial.size("n_q"), keys = trial.size("n_k"), width = trial.size("d_k");
            const auto query = trial.array("queries", {groups * group, queries, width}, Domain::logit);
            const auto key = trial.array("keys", {groups, keys, width}, Domain::logit);
            const auto value = trial.array("values", {groups, keys, trial.size("d_v")});
            Array<T> own_key({groups * group, keys, width}),
                own_value({groups * group, keys, value.extent(2)});
            for (Index h = 0; h < groups * group; ++h) {
              for (Index j = 0; j < keys; ++j) {
                for (Index c = 0; c < width; ++c) own_key(h, j, c) = key(h / group, j, c);
                for (Index c = 0; c < value.extent(2); ++c) own_value(h, j, c) = value(h / group, j, c);
              }
            }
            const auto mix = [](const Array<T>& q, const Array<T>& k, const Array<T>& v) {
              sa::Problem<T> problem;
              problem.queries = q.extent(0);
              problem.score = sa::dot_product(q, k, T(1));
              problem.value = v;
              return sa::safe(problem);
            };
            trial.equal(heads::grouped(query, key, value, mix),
                        heads::grouped(query, own_key, own_value, mix), "grouped");
          })
      .law<RationalExp2>(
          Kind::same, "a sink is a key whose value is 0",
          "A sink equals one more key with that logit and value 0, in every form", [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index queries = trial.size("n_q"), keys = trial.size("n_k");
            const auto scores = trial.array("scores", {queries, keys}, Domain::logit);
            const T sink = trial.number("sink logit", Domain::logit);
            sa::Problem<T> with_sink, with_key;
            with_sink.queries = with_key.queries = queries;
            with_sink.value = trial.in["value"];
            with_sink.sink = sink;
            with_sink.score = [&](Index i, Index j) { return scores(i, j); };
            with_key.score = [&](Index i, Index j) { return j < keys ? scores(i, j) : sink; };
            with_key.value = Array<T>({keys + 1, trial.size("d_v")});
            for (Index j = 0; j < keys; ++j) {
              for (Index c = 0; c < trial.size("d_v"); ++c) with_key.value(j, c) = trial.in["value"](j, c);
            }
            const auto truth = sa::safe(with_key);
            trial.equal(sa::safe(with_sink), truth, "safe");
            trial.equal(sa::online(with_sink), truth, "online");
            trial.equal(sa::tiled(with_sink, trial.size("tile"), T(trial.size("slack"))), truth, "tiled");
            trial.equal(sa::tiled_normalised(with_sink, trial.size("tile")), truth, "tiled_normalised");
            trial.equal(sa::split(with_sink, trial.size("parts")), truth, "split");
          });
}

void invariants(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(Kind::invariant, "a constant added to a row of scores",
                         "Adding the same number to all scores of a query changes nothing",
                         [](auto& trial) {
                           auto shifted = trial.in;
                           const auto row = trial.array("row constants", {trial.size("n_q")}, Domain::logit);
                           for (Index i = 0; i < trial.size("n_q"); ++i) {
                             for (Index j = 0; j < trial.size("n_k"); ++j)
                               shifted.real["bias"](i, j) += row(i);
                           }
                           const Settings biased = with(trial, {{"bias_given", 1}, {"sink_given", 0}});
                           trial.equal(trial.run("safe", shifted, biased),
                                       trial.run("safe", trial.in, biased));
                         })
      .law<RationalExp2>(
          Kind::invariant, "the order of the keys", "Reversing keys and values together changes nothing",
          [](auto& trial) {
            auto reversed = trial.in;
            const Index keys = trial.size("n_k");
            for (Index j = 0; j < keys; ++j) {
              for (Index c = 0; c < trial.size("d_k"); ++c) {
                reversed.real["key"](j, c) = trial.in["key"](keys - 1 - j, c);
              }
              for (Index c = 0; c < trial.size("d_v"); ++c) {
                reversed.real["value"](j, c) = trial.in["value"](keys - 1 - j, c);
              }
            }
            const Settings full = with(trial, {{"mask", kFull}, {"bias_given", 0}});
            for (const char* form : {"safe", "online", "tiled", "split"}) {
              trial.equal(trial.run(form, reversed, full), trial.run("safe", trial.in, full), form);
            }
          })
      .law<RationalExp2>(Kind::invariant, "a change of basis of the channels",
                         "q -> A^T q and k -> A^-1 k change nothing, here with a shear A",
                         [](auto& trial) {
                           auto sheared = trial.in;
                           const Index last = trial.size("d_k") - 1;
                           const auto amount = trial.number("shear", Domain::logit);
                           for (Index i = 0; last > 0 && i < trial.size("n_q"); ++i) {
                             sheared.real["query"](i, last) += amount * trial.in["query"](i, 0);
                           }
                           for (Index j = 0; last > 0 && j < trial.size("n_k"); ++j) {
                             sheared.real["key"](j, 0) -= amount * trial.in["key"](j, last);
                           }
                           trial.equal(trial.run("safe", sheared), trial.run("safe"));
                         })
      .law<RationalExp2>(
          Kind::invariant, "a repeated key",
          "Repeating a key and its value 2^r times adds r to its base-2 score",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index keys = trial.size("n_k"), r = trial.integer("r", 0, 3), copies = Index{1} << r;
            const auto scores = trial.array("scores", {trial.size("n_q"), keys}, Domain::logit);
            sa::Problem<T> repeated, raised;
            repeated.queries = raised.queries = trial.size("n_q");
            raised.value = trial.in["value"];
            raised.score = [&](Index i, Index j) { return scores(i, j) + (j == keys - 1 ? T(r) : T(0)); };
            repeated.score = [&](Index i, Index j) { return scores(i, std::min(j, keys - 1)); };
            repeated.value = Array<T>({keys - 1 + copies, trial.size("d_v")});
            for (Index j = 0; j < keys - 1 + copies; ++j) {
              for (Index c = 0; c < trial.size("d_v"); ++c) {
                repeated.value(j, c) = raised.value(std::min(j, keys - 1), c);
              }
            }
            trial.equal(sa::online(repeated), sa::safe(raised), "output");
          })
      .law<RationalExp2>(Kind::invariant, "an output is an average",
                         "Without a sink every output lies between the least and the largest value, and "
                         "equal values come back unchanged",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Settings plain = with(trial, {{"mask", kFull}, {"sink_given", 0}});
                           const auto output = trial.run("tiled", trial.in, plain)["output"];
                           for (Index c = 0; c < trial.size("d_v"); ++c) {
                             T least = trial.in["value"](0, c), largest = least;
                             for (Index j = 0; j < trial.size("n_k"); ++j) {
                               largest = maximum(largest, trial.in["value"](j, c));
                               least = -maximum(-least, -trial.in["value"](j, c));
                             }
                             for (Index i = 0; i < trial.size("n_q"); ++i) {
                               trial.expect(least <= output(i, c) && output(i, c) <= largest,
                                            "output outside of the values");
                             }
                           }
                           auto constant = trial.in;
                           constant.real["value"] = Array<T>(trial.in["value"].shape(), T(7));
                           const auto sevens = trial.run("split", constant, plain);
                           for (const T& x : sevens["output"].values()) trial.equal(x, T(7), "7");
                         })
      .law<RationalExp2>(
          Kind::invariant, "scale 0 gives the mean", "With scale 0 every query reads the mean of the values",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto flat = trial.in;
            flat.real["scale"] = Array<T>(Shape{}, T(0));
            const Settings plain = with(trial, {{"mask", kFull}, {"bias_given", 0}, {"sink_given", 0}});
            const auto output = trial.run("online", flat, plain)["output"];
            for (Index c = 0; c < trial.size("d_v"); ++c) {
              T sum(0);
              for (Index j = 0; j < trial.size("n_k"); ++j) sum += trial.in["value"](j, c);
              for (Index i = 0; i < trial.size("n_q"); ++i) {
                trial.equal(output(i, c), sum / T(trial.size("n_k")), "mean");
              }
            }
          })
      .law<RationalExp2>(Kind::gradient, "gradients of the scores add up to 0",
                         "Without a sink the gradients of the scores of a query add up to 0, because a "
                         "common constant has no effect",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           trial.in = draw_inputs<T>(trial.entry(), trial.drawn(), true);
                           const auto d = trial.run("backward", trial.in,
                                                    with(trial, {{"bias_given", 1}, {"sink_given", 0}}));
                           for (Index i = 0; i < trial.size("n_q"); ++i) {
                             T sum(0);
                             for (Index j = 0; j < trial.size("n_k"); ++j) sum += d["d_bias"](i, j);
                             trial.equal(sum, T(0), "sum of a row");
                           }
                         });
}

/// Softmax weights of some scores, and their log-sum-exp.
struct Weights {
  std::vector<Bounded<Real50>> p;
  Bounded<Real50> log_sum_exp;
};

Weights weights_of(const Array<Bounded<Real50>>& scores) {
  using T = Bounded<Real50>;
  sa::Partial<T> partial = sa::no_keys<T>(0);
  for (const T& score : scores.values()) sa::step(partial, score, std::span<const T>{});
  Weights weights{{}, sa::log_sum_exp(partial)};
  for (const T& score : scores.values()) weights.p.push_back(exp(score - partial.m) / partial.l);
  return weights;
}

void real_laws(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::invariant, "facts about log-sum-exp",
          "max s <= L <= max s + log n, L = sum p s + entropy(p), and L moves by at most the largest change "
          "of a score",
          [](auto& trial) {
            using T = Bounded<Real50>;
            const Index keys = trial.size("n_k");
            const auto x = trial.array("x", {keys}, Domain::logit), change = trial.array("change", {keys});
            Array<T> y(x.shape());
            T largest = x(0), largest_change(0), mean_plus_entropy(0);
            const Weights of_x = weights_of(x);
            for (Index j = 0; j < keys; ++j) {
              y(j) = x(j) + change(j);
              largest = maximum(largest, x(j));
              largest_change = maximum(largest_change, maximum(change(j), -change(j)));
              mean_plus_entropy += of_x.p[j] * (x(j) - log(of_x.p[j]));
            }
            const Weights of_y = weights_of(y);
            trial.at_most(largest, of_x.log_sum_exp, "max s <= L");
            trial.at_most(of_x.log_sum_exp, largest + log(T(keys)), "L <= max s + log n");
            trial.equal(of_x.log_sum_exp, mean_plus_entropy, "L = sum p s + entropy");
            const T moved = of_y.log_sum_exp - of_x.log_sum_exp;
            trial.at_most(maximum(moved, -moved), largest_change, "L is 1-Lipschitz");
            for (Index j = 0; j < keys; ++j) {
              const T ratio = of_y.p[j] / of_x.p[j];
              trial.at_most(ratio, exp(T(2) * largest_change), "p grows by at most e^(2 eta)");
              trial.at_most(exp(T(-2) * largest_change), ratio, "p shrinks by at most e^(-2 eta)");
            }
          })
      .law<Bounded<Real50>>(
          Kind::bound, "soft cap",
          "Capped scores stay within the cap, and their gradient is 1 - (s / c)^2 times it",
          [](auto& trial) {
            using T = Bounded<Real50>;
            const T cap = trial.number("cap", Domain::positive), score = trial.number("score", Domain::logit);
            const auto capped = sa::soft_capped<T>([&](Index, Index) { return score; }, cap)(0, 0);
            trial.at_most(maximum(capped, -capped), cap, "|score| <= cap");
            using D = Dual<T>;
            const auto moved = sa::soft_capped<D>([&](Index, Index) { return D(score, T(1)); }, D(cap))(0, 0);
            trial.equal(moved.tangent, T(1) - (capped / cap) * (capped / cap), "derivative");
          })
      .once(Kind::converges, "a large scale picks the best key",
            "With a unique best key, o - v_best is at most (n - 1) e^(-sigma gap) times the range of the "
            "values",
            [](auto& check) {
              const auto scores = Array<Real50>::vector({Real50(1), Real50(3), Real50("2.5"), Real50(-2)});
              for (Index doubling = 0; doubling < 7; ++doubling) {
                const Real50 scale = Real50(Index{1} << doubling);
                sa::Problem<Real50> in;
                in.queries = 1;
                in.score = [&](Index, Index j) { return scale * scores(j); };
                in.value = Array<Real50>({4, 1}, {Real50(5), Real50(-1), Real50(4), Real50(9)});
                const Real50 error = abs(sa::safe(in)(0, 0) + 1);
                const Real50 bound = 3 * exp(-scale / 2) * 10;
                check.expect(error <= bound, "error " + show(error) + " above " + show(bound));
                check.expect(error > 0, "the limit is not reached at a finite scale");
              }
            })
      .once(Kind::bound, "published rounding bound of the shifted softmax",
            "float weights differ from the exact ones by at most (n + 2 + 2 (max - min)) u times the largest "
            "weight: \\cite blanchard2021softmax, Theorem 4.3, as quoted there to first order",
            [](auto& check) {
              const Index keys = 33;
              for (Index seed = 1; seed <= 400; ++seed) {
                std::vector<float> x;
                float least = 1e9F, largest = -1e9F;
                for (Index j = 0; j < keys; ++j) {
                  const double drawn =
                      draw_real({static_cast<std::uint64_t>(seed), "x", j}, Domain::any, Pattern::generic);
                  x.push_back(static_cast<float>(drawn * static_cast<double>(1 + seed % 9)));
                  least = std::min(least, x.back());
                  largest = std::max(largest, x.back());
                }
                float sum = 0;
                Real50 true_sum = 0;
                for (const float s : x) {
                  sum += exp(s - largest);
                  true_sum += exp(Real50(s) - Real50(largest));
                }
                const double allowed =
                    (static_cast<double>(keys) + 2 + 2 * (double{largest} - double{least})) * 0x1p-24;
                for (const float s : x) {  // the largest weight is 1 / true_sum
                  check.within(Real50(exp(s - largest) / sum) * true_sum,
                               Real50(exp(Real50(s) - Real50(largest))), allowed, "weight");
                }
              }
            });
}

/// What float32 may be off by in e^{s_0 - m} / l, whatever the order of the sum.
double two_step_budget(const float (&s)[3]) {
  using T = Bounded<Real50>;
  const UseRounding rounding(float32_arithmetic());
  const T m(double{s[1]});
  T l(0);
  for (const float x : s) l += exp(T(double{x}) - m);
  return (exp(T(double{s[0]}) - m) / l).error_bound();
}

void errata(EntryBuilder& entry) {
  entry
      .once(Kind::erratum, "where a causal mask is anchored",
            "With 2 queries and 3 keys the bottom-right alignment shows the first query two keys, the "
            "top-left one only one: a library changed from one to the other between versions",
            [](auto& check) {
              const auto bottom_right = sa::causal_mask(2, 3), top_left = sa::causal_mask_top_left();
              check.expect(bottom_right(0, 1) && !top_left(0, 1), "first query, second key");
              check.expect(bottom_right(1, 2) && !top_left(1, 2), "second query, third key");
            })
      .once(
          Kind::erratum, "a large negative number is no mask",
          "With -10^9 added instead of a mask, a row without keys reads the mean of all values instead of 0",
          [](auto& check) {
            sa::Problem<double> masked, penalised;
            masked.queries = penalised.queries = 1;
            masked.value = penalised.value = Array<double>({2, 1}, {3.0, 5.0});
            masked.score = [](Index, Index) { return 0.0; };
            masked.mask = [](Index, Index) { return false; };
            penalised.score = [](Index, Index) { return -1e9; };
            check.equal(sa::safe(masked)(0, 0), 0.0, "masked");
            check.equal(sa::safe(penalised)(0, 0), 4.0, "penalised");
          })
      .once(
          Kind::erratum, "key heads repeated in the other order",
          "floor(h / g) and h mod H_kv pair the 4 query heads with 2 key heads differently: same shapes, "
          "another function",
          [](auto& check) {
            Array<double> query({4, 1, 1}, 1.0), key({2, 1, 1}, 1.0), value({2, 1, 1});
            value(0, 0, 0) = 10;
            value(1, 0, 0) = 20;
            const auto output =
                heads::grouped(query, key, value, [](const auto&, const auto&, const auto& v) { return v; });
            const double paired[] = {10, 10, 20, 20};
            for (Index h = 0; h < 4; ++h) check.equal(output(h, 0, 0), paired[h], "query head");
            check.expect(output(1, 0, 0) != value(1 % 2, 0, 0), "the interleaved pairing differs at head 1");
          })
      .once(Kind::erratum, "weights rebuilt from log-sum-exp lose digits",
            "e^(s - L) has a relative error that grows with |L|: with scores shifted by 1000, float32 is off "
            "by more than 10^-5 while the two-step form is not",
            [](auto& check) {
              const float s[] = {1000.3F, 1001.1F, 999.7F};
              const float m = s[1];
              float l = 0;
              for (const float x : s) l += exp(x - m);
              const float rebuilt = exp(s[0] - (m + log(l))), two_steps = exp(s[0] - m) / l;
              Real50 true_l = 0;
              for (const float x : s) true_l += exp(Real50(x) - Real50(m));
              const Real50 truth = exp(Real50(s[0]) - Real50(m)) / true_l;
              check.expect(abs(Real50(rebuilt) / truth - 1) > Real50("1e-5"), "rebuilt weight is off");
              check.within(Real50(two_steps), truth, two_step_budget(s), "two-step weight");
            });
}

void degenerate(EntryBuilder& entry) {
  entry
      .once(Kind::invariant, "what is masked cannot leak",
            "A NaN in a masked key or value row changes nothing; in a visible row it reaches exactly the "
            "queries that attend to it",
            [](auto& check) {
              const double nan = std::numeric_limits<double>::quiet_NaN();
              const Array<double> query({2, 1}, 1.0);
              Array<double> key({2, 1}, 1.0);
              key(1, 0) = nan;
              sa::Problem<double> in;
              in.queries = 2;
              in.score = sa::dot_product(query, key, 1.0);
              in.mask = sa::causal_mask(2, 2);
              in.value = Array<double>({2, 1}, {3.0, nan});
              for (const auto& output :
                   {sa::safe(in), sa::direct(in), sa::online(in), sa::tiled(in, 2, 0.0), sa::split(in, 2)}) {
                check.equal(output(0, 0), 3.0, "query that does not attend to it");
                check.expect(!finite(output(1, 0)), "query that attends to it");
              }
            })
      .once(Kind::invariant, "huge scores", "Scores of +-10^4 neither overflow nor underflow the safe forms",
            [](auto& check) {
              sa::Problem<float> in;
              in.queries = 1;
              in.score = [](Index, Index j) { return j == 1 ? 1e4F : -1e4F; };
              in.value = Array<float>({3, 1}, {1.0F, 2.0F, 3.0F});
              for (const auto& output :
                   {sa::safe(in), sa::online(in), sa::tiled(in, 1, 0.0F), sa::split(in, 3)}) {
                check.equal(output(0, 0), 2.0F, "output");
              }
              check.expect(!finite(sa::direct(in)(0, 0)), "the direct form overflows");
            });
}

void costs(EntryBuilder& entry) {
  const auto plain = [](Settings& settings) {
    settings["mask"] = kFull;
    settings["bias_given"] = settings["sink_given"] = 0;
  };
  const Expression pairs = n_q * n_k, tiles = ceil_div(n_k, tile);
  Cost safe("safe");
  safe.without = {"scale"};
  safe.fixed = plain;
  safe.multiplications = pairs * d_k + pairs * d_v;
  safe.additions = pairs * (d_k - 1) + pairs + n_q * (n_k - 1) + n_q * (n_k - 1) * d_v;
  safe.divisions = n_q * d_v;
  safe.exponentials = pairs;
  safe.comparisons = n_q * (n_k - 1);
  safe.depth = d_k + 2 * n_k + 2;
  safe.free_depth = ceil_log2(d_k) + 2 * ceil_log2(n_k) + 5;
  safe.state = n_k;
  Cost causal = safe;
  causal.under = "causal";
  causal.fixed = [plain](Settings& settings) {
    plain(settings);
    settings["mask"] = kCausal;
  };
  const Expression first = max(n_q - n_k, 0), rows = n_q - first;  // rows before the first key cost nothing
  const Expression visible = rows * (2 * n_k - rows + 1) / 2;
  causal.multiplications = visible * d_k + visible * d_v;
  causal.additions = visible * (d_k - 1) + visible + (visible - rows) + (visible - rows) * d_v;
  causal.divisions = rows * d_v;
  causal.exponentials = visible;
  causal.comparisons = visible - rows;
  causal.free_depth.reset();
  Cost direct = safe;
  direct.form = "direct";
  direct.additions = pairs * (d_k - 1) + n_q * (n_k - 1) + n_q * (n_k - 1) * d_v;
  direct.comparisons = 0;
  direct.depth = d_k + n_k + 2;
  direct.free_depth = ceil_log2(d_k) + ceil_log2(n_k) + 4;
  direct.state = 1 + d_v;
  Cost normalised = safe;
  normalised.form = "tiled_normalised";
  normalised.multiplications = pairs * d_k + pairs * d_v + n_q * (tiles - 1) * (d_v + 1);
  normalised.additions =
      pairs * (d_k - 1) + pairs + n_q * (tiles - 1) + n_q * (n_k - 1) + n_q * (n_k - 1) * d_v;
  normalised.divisions = n_q * tiles * d_v;
  normalised.exponentials = pairs + n_q * (tiles - 1);
  normalised.depth.reset();
  normalised.free_depth.reset();
  normalised.state = d_v + 2 + tile;
  entry.cost(safe).cost(causal).cost(direct).cost(normalised);
  std::vector<Settings> grid;
  for (Index n = 16; n <= 1024; n *= 2) {
    grid.push_back({{"n", n}, {"n_q", n}, {"n_k", n}, {"d_k", 64}, {"d_v", 64}, {"tile", 64}});
  }
  entry.scale("64 channels", grid);
}

void examples(EntryBuilder& entry) {
  entry
      .example(
          "worked example in base 2", "Three tokens, exact fractions, with a trace of the tiles",
          [](auto& check) {
            using X = RationalExp2;
            const auto whole = [](Index a) { return X(a); };
            const auto over = [](Index a, Index b) { return X(a) / X(b); };
            const auto query =
                Array<X>::matrix({{whole(1), whole(0)}, {whole(0), whole(1)}, {whole(1), whole(1)}});
            const auto key =
                Array<X>::matrix({{whole(1), whole(0)}, {whole(0), whole(1)}, {whole(1), whole(-1)}});
            sa::Problem<X> in;
            in.queries = 3;
            in.score = sa::dot_product(query, key, whole(1));
            in.value = Array<X>::matrix({{whole(1), whole(0)}, {whole(0), whole(1)}, {whole(2), whole(3)}});
            const auto full =
                Array<X>::matrix({{over(6, 5), over(7, 5)}, {over(4, 7), whole(1)}, {over(4, 5), whole(1)}});
            check.equal(sa::safe(in), full, "full");
            check.equal(sa::tiled(in, 2, whole(0)), full, "full, tiles of 2");
            const auto first_tile = sa::over_keys(in, 2, 0, 2);
            check.equal(first_tile.m, whole(1), "m after tile 1");
            check.equal(first_tile.l, whole(2), "l after tile 1");
            check.equal(first_tile.o[0], whole(1), "o after tile 1");
            const auto both = merge(first_tile, sa::over_keys(in, 2, 2, 3));
            check.equal(both.l, over(5, 2), "l after tile 2");
            check.equal(both.o[1], over(5, 2), "o after tile 2");
            in.mask = sa::causal_mask(3, 3);
            const auto causal =
                Array<X>::matrix({{whole(1), whole(0)}, {over(1, 3), over(2, 3)}, {over(4, 5), whole(1)}});
            check.equal(sa::safe(in), causal, "causal");
          })
      .example("worked example in base e", "The same tokens with scale 1 / sqrt(2), to 15 digits",
               [](auto& check) {
                 using R = Real50;
                 const auto query = Array<R>::matrix({{1, 0}, {0, 1}, {1, 1}});
                 const auto key = Array<R>::matrix({{1, 0}, {0, 1}, {1, -1}});
                 const R scale = 1 / sqrt(R(2));
                 sa::Problem<R> in;
                 in.queries = 3;
                 in.score = sa::dot_product(query, key, scale);
                 in.value = Array<R>::matrix({{1, 0}, {0, 1}, {2, 3}});
                 const auto expect = [&](const Array<R>& output, const std::vector<std::string>& printed,
                                         const std::string& what) {
                   for (std::size_t i = 0; i < printed.size(); ++i)
                     check.digits(output.values()[i], printed[i], what);
                 };
                 expect(sa::safe(in),
                        {"1.20333627803936", "1.40111209267979", "0.564053899828016", "0.996063080345496",
                         "0.796663721960642", "0.994439536601070"},
                        "full");
                 check.digits(sa::log_sum_exp(sa::over_keys(in, 0, 0, 3)), "1.62062113905685", "L of row 1");
                 in.sink = R(0);
                 expect(sa::safe(in),
                        {"1.00464232398999", "1.16976154932666", "0.439295884976473", "0.775752835865834",
                         "0.665119225336672", "0.830238450673343"},
                        "with a sink");
                 in.sink.reset();
                 in.mask = sa::causal_mask(3, 3);
                 const auto d_output = Array<R>::matrix({{1, 0}, {0, 1}, {1, -1}});
                 sa::Gradient<R> d = sa::backward_of_scores(in, d_output);
                 sa::backward_of_dot_product(query, key, scale, d);
                 expect(d.query,
                        {"0", "0", "-0.156398596545110", "0.156398596545110", "0.227534108248795",
                         "-0.115344163246779"},
                        "dQ");
                 expect(d.key,
                        {"0.339724053250812", "0.183325456705701", "-0.227534108248795", "-0.071135511703685",
                         "-0.112189945002016", "-0.112189945002016"},
                        "dK");
                 expect(d.value,
                        {"1.40111209267979", "-0.0708736420064428", "0.401112092679786", "0.268649456646871",
                         "0.197775814640428", "-0.197775814640428"},
                        "dV");
               });
}

const Registration<EntryBuilder> registration{"softmax_attention", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                invariants(entry);
                                                real_laws(entry);
                                                errata(entry);
                                                degenerate(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
