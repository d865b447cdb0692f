/// \file
/// The entry of HyperAttention: forms, laws, costs. Its text is
/// `reference/approximation/hyper_attention.hpp`. Expectations are sums over all lists of samples, exact at
/// integer logits and base 2.
#include "reference/approximation/hyper_attention.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

namespace ha = hyper_attention;
namespace sa = softmax_attention;
namespace sketch = approximate_matmul_and_sketch;

const Expression n = symbol("n"), d_k = symbol("d_k"), d_v = symbol("d_v"), m = symbol("m"), t = symbol("t"),
                 v = symbol("v"), block = symbol("block");

/// A number type that a form is read in which is here to be compared with others: double precision, the
/// oracle, and those that laws are decided in. Any further type would be compiled and decide nothing.
template <class T, class... Also>
concept ForTool =
    contains<T,
             TypeList<double, Real50, Real100, Bounded<Real50>, RationalExp2, Dual<RationalExp2>, Also...>>;

/// The same for a form that kernels run: also in all formats that numbers are stored in.
template <class T, class... Also>
concept ForKernel = ForTool<T, float, Also...> || contains<T, StorageScalars>;

enum PositionChoice { kGray, kCode, kBinary };

ha::Position position_of(const Settings& settings) {
  switch (at(settings, "position")) {
    case kCode:
      return ha::order_of_code();
    case kBinary:
      return ha::binary_order();
    default:
      return ha::gray_order();
  }
}

template <class T>
ha::Input<T> input_of(const Arrays<T>& in) {
  return {in["query"], in["key"], in["value"], in.number("scale", T(1))};
}

template <class T>
ha::Blocks blocks_of(const Arrays<T>& in, const Settings& settings) {
  return ha::sort_lsh(in.index.at("query_code"), in.index.at("key_code"), at(settings, "block"),
                      position_of(settings));
}

template <class T>
sa::Mask mask_of(const Arrays<T>& in, const Settings& settings) {
  return ha::mask_of(blocks_of(in, settings));
}

/// 1 / kappa: of the data where the setting is 0.
template <Exponential T>
T floor_share(const Arrays<T>& in, const Settings& settings) {
  const Index kappa = at(settings, "kappa");
  return kappa == 0 ? ha::inverse_kappa(input_of(in), mask_of(in, settings)) : T(1) / T(kappa);
}

template <Exponential T>
std::optional<T> cap_of(const Settings& settings) {
  const Index cap = at(settings, "cap");
  return cap == 0 ? std::optional<T>() : std::optional<T>(T(cap) / T(4));
}

template <Exponential T>
Array<T> normaliser_of(const Arrays<T>& in, const Settings& settings) {
  return ha::approximate_normaliser(input_of(in), mask_of(in, settings), in.index.at("samples"),
                                    in.index.at("reference_rows"), floor_share(in, settings),
                                    cap_of<T>(settings));
}

template <class T>
ha::Recursion recursion_of(const Arrays<T>& in, const Settings& settings) {
  const Array<Index> samples = in.index.at("samples");
  return {in.index.at("query_code"),
          in.index.at("key_code"),
          at(settings, "block"),
          at(settings, "exact_up_to"),
          at(settings, "exact_below"),
          [samples](Index first, Index keys) {
            Array<Index> part = samples;
            for (Index& key : part.values()) key = (key + first) % keys;
            return part;
          },
          position_of(settings)};
}

Array<Index> draw_indices(const Case& one, const char* name, const char* size, Index choices) {
  Array<Index> drawn({at(one.settings, size)});
  for (Index i = 0; i < drawn.extent(0); ++i) {
    drawn(i) = static_cast<Index>(hash({one.seed, name, i}, 1) % static_cast<std::uint64_t>(choices));
  }
  return drawn;
}

void describe(EntryBuilder& entry) {
  const auto codes = [](const char* name) {
    return [name](const Case& one) {
      return draw_indices(one, name, "n", Index{1} << at(one.settings, "bits"));
    };
  };
  const auto tokens = [](const char* name, const char* size) {
    return [name, size](const Case& one) { return draw_indices(one, name, size, at(one.settings, "n")); };
  };
  entry
      .about("approximation", "HyperAttention",
             "Softmax attention over the keys that hash like the query, exactly, and over a few sampled keys "
             "for the rest.",
             {"han2023hyperattention", "zandieh2023kdeformer"})
      .size("n", 40, 7)
      .size("d_k", 3, 2)
      .size("d_v", 3, 2)
      .size("m", 6, 4)
      .size("t", 3, 2)
      .size("v", 6, 3)
      .parameter({"block", ha::kDefaults.block, 1, n + 1, "keys in a block", {}})
      .parameter({"bits", ha::kDefaults.bits, 1, 5, "bits of the hash codes that are drawn", {}})
      .parameter({"position",
                  kGray,
                  kGray,
                  kBinary,
                  "where a hash code stands in the sorted order",
                  {"gray", "code", "binary"}})
      .parameter({"kappa", 0, 0, 3, "assumed ratio of residuals; 0 for the true one", {}})
      .parameter({"cap", 0, 0, 3, "four times the factor that caps sampled weights; 0 for no cap", {}})
      .parameter({"exact_up_to", ha::kDefaults.exact_up_to, 1, n + 1, "causal: tokens attended exactly", {}})
      .parameter({"exact_below", 0, 0, n + 1, "causal: off-diagonal parts of fewer keys are exact", {}})
      .input("query", {n, d_k}, Domain::logit, "what each token asks")
      .input("key", {n, d_k}, Domain::logit, "under which label each token can be found")
      .input("value", {n, d_v}, Domain::any, "what each token offers")
      .input("scale", {}, Domain::logit, "factor of the scores; 1 when left out")
      .index_input("query_code", {n}, "hash code of each query", codes("query_code"))
      .index_input("key_code", {n}, "hash code of each key", codes("key_code"))
      .index_input("samples", {m}, "keys drawn uniformly, the same for all queries", tokens("samples", "m"))
      .index_input("reference_rows", {t}, "queries whose residual is computed exactly",
                   tokens("reference_rows", "t"))
      .index_input("value_samples", {v}, "keys drawn in proportion to their squared values",
                   tokens("value_samples", "v"))
      .output("output", {n, d_v}, "the average that each query reads");
}

void forms(EntryBuilder& entry) {
  entry
      .form("paper", "the definition, Algorithm 3: value sampling over ApproxD",
            []<ForKernel T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(
                  ha::value_sampled(input_of(in), in.index.at("value_samples"), normaliser_of(in, settings)));
            })
      .form("paper_dense", "the same with all of the attention matrix",
            []<ForTool T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(
                  ha::paper_dense(input_of(in), in.index.at("value_samples"), normaliser_of(in, settings)));
            })
      .form("self_normalised", "the released code: numerator and denominator from the same samples",
            []<ForKernel T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(
                  ha::self_normalised(input_of(in), mask_of(in, settings), in.index.at("samples")));
            })
      .form("sorted", "the same in sorted order with dense blocks",
            []<ForKernel T>(const Arrays<T>& in, const Settings& settings) {
              const auto position = position_of(settings);
              const auto key_order = ha::sorted(in.index.at("key_code"), position);
              std::vector<Index> rank(key_order.size());
              for (std::size_t r = 0; r < rank.size(); ++r) {
                rank[static_cast<std::size_t>(key_order[r])] = static_cast<Index>(r);
              }
              Array<Index> ranks = in.index.at("samples");
              for (Index& key : ranks.values()) key = rank.at(static_cast<std::size_t>(key));
              return output_of(ha::self_normalised_sorted(input_of(in),
                                                          ha::sorted(in.index.at("query_code"), position),
                                                          key_order, at(settings, "block"), ranks));
            })
      .form("subtracted", "the same with samples inside the block subtracted instead of masked",
            []<ForTool T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(ha::subtracted(input_of(in), mask_of(in, settings), in.index.at("samples")));
            })
      .form("block_only", "attention inside the blocks",
            []<ForKernel<Counted<double>> T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(ha::block_only(input_of(in), mask_of(in, settings)));
            })
      .form("causal", "Algorithm 4: exact on the diagonal, self_normalised off it",
            []<ForKernel T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(ha::causal(input_of(in), recursion_of(in, settings)));
            })
      .form("exact", "what is approximated: softmax attention",
            []<ForTool<Traced, Counted<double>> T>(const Arrays<T>& in, const Settings&) {
              return output_of(ha::block_only(input_of(in), sa::full_mask()));
            });
}

// ---- laws --------------------------------------------------------------------------------------

/// 0, 1 ... n - 1.
Array<Index> every_key(Index count) {
  Array<Index> keys({count});
  std::iota(keys.values().begin(), keys.values().end(), Index{0});
  return keys;
}

/// Calls with every list of `length` numbers below `choices`.
template <class F>
void for_each_list(Index choices, Index length, F&& with_list) {
  Array<Index> list({length});
  for (;;) {
    with_list(std::as_const(list));
    Index place = 0;
    while (place < length && ++list(place) == choices) list(place++) = 0;
    if (place == length) return;
  }
}

/// The drawn inputs cut down to `count` tokens, so that all lists of samples can be tried.
template <class AnyTrial>
auto few_tokens(const AnyTrial& trial, Index count) {
  auto in = trial.in;
  for (const char* name : {"query", "key", "value"}) in.real[name] = ha::rows(trial.in[name], 0, count);
  for (const char* name : {"query_code", "key_code"}) {
    in.index[name] = ha::part_of(trial.in.index.at(name), 0, count);
  }
  return in;
}

/// Exact row sums of the weights.
template <Exponential T>
Array<T> true_normaliser(const ha::Input<T>& in) {
  const Array<T> A = ha::weights(in);
  Array<T> D({A.extent(0)});
  for (Index i = 0; i < A.extent(0); ++i) {
    for (Index j = 0; j < A.extent(1); ++j) D(i) += A(i, j);
  }
  return D;
}

/// The inputs of `softmax_attention` from those of this entry.
template <class T>
Arrays<T> attention_inputs(const Arrays<T>& in) {
  Arrays<T> other;
  for (const char* name : {"query", "key", "value", "scale"}) other.real[name] = in[name];
  const Index count = in["key"].extent(0);
  other.real["bias"] = Array<T>({count, count});
  other.real["sink"] = Array<T>();
  other.index["allowed"] = Array<Index>({count, count}, 1);
  return other;
}

/// Softmax attention on the same inputs; `mask` is its choice: 0 full, 1 causal, 5 given.
template <class AnyTrial, class T>
Array<T> attention(const AnyTrial& trial, const Arrays<T>& in, Index mask) {
  return trial.run_other("softmax_attention", "safe", in,
                         {{"mask", mask}, {"n_k", in["key"].extent(0)}})["output"];
}

void identities(EntryBuilder& entry) {
  entry.standard(laws::same("paper_dense", "paper"))
      .standard(laws::same("sorted", "self_normalised"))
      .standard(laws::same("subtracted", "self_normalised"))
      .law<RationalExp2>(
          Kind::same, "parts merge",
          "Any split of the keys into parts gives the same (m, l, o); a factor 2 equals every key twice",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto in = input_of(trial.in);
            std::vector<Index> all, twice, parts[3];
            for (Index j = 0; j < trial.size("n"); ++j) {
              all.push_back(j);
              twice.insert(twice.end(), {j, j});
              parts[hash({trial.drawn().seed, "part", j}, 1) % 3].push_back(j);
            }
            const auto whole = ha::over(in, 0, all), doubled = ha::over(in, 0, twice);
            const auto merged = sa::merge(ha::over(in, 0, parts[2]),
                                          sa::merge(ha::over(in, 0, parts[0]), ha::over(in, 0, parts[1])));
            const auto scaled = ha::times(T(2), whole);
            trial.equal(merged.m, whole.m, "m");
            trial.equal(merged.l, whole.l, "l");
            trial.equal(scaled.l, doubled.l, "l, twice");
            for (std::size_t c = 0; c < whole.o.size(); ++c) {
              trial.equal(merged.o[c], whole.o[c], "o");
              trial.equal(scaled.o[c], doubled.o[c], "o, twice");
            }
          });
}

void limits(EntryBuilder& entry) {
  entry
      .limit<RationalExp2>(
          "softmax_attention", "one block",
          "With a block of all keys every form but the paper's is softmax attention, whatever the samples",
          [](auto& trial) {
            const Settings one = with(trial, {{"block", trial.size("n")}});
            const auto truth = attention(trial, attention_inputs(trial.in), 0);
            for (const char* form : {"self_normalised", "sorted", "subtracted", "block_only", "exact"}) {
              trial.equal(trial.run(form, trial.in, one)["output"], truth, form);
            }
          })
      .limit<RationalExp2>(
          "softmax_attention", "every key sampled once",
          "With m = n and each key once the code's variant is softmax attention, for every block size",
          [](auto& trial) {
            auto in = trial.in;
            in.index["samples"] = every_key(trial.size("n"));
            const auto truth = attention(trial, attention_inputs(trial.in), 0);
            for (const char* form : {"self_normalised", "sorted", "subtracted"}) {
              trial.equal(trial.run(form, in)["output"], truth, form);
            }
          })
      .limit<RationalExp2>("softmax_attention", "the paper's algorithm with every key sampled once",
                           "Without a cap and with the true kappa ApproxD is then exact, and so is value "
                           "sampling when all values have the same norm",
                           [](auto& trial) {
                             using T = ScalarOf<decltype(trial)>;
                             auto in = trial.in;
                             in.index["samples"] = in.index["value_samples"] = every_key(trial.size("n"));
                             for (T& x : in.real["value"].values()) x = x < T(0) ? T(-1) : T(1);
                             trial.equal(
                                 trial.run("paper", in, with(trial, {{"cap", 0}, {"kappa", 0}}))["output"],
                                 attention(trial, attention_inputs(in), 0), "output");
                           })
      .limit<RationalExp2>("softmax_attention", "blocks are a mask",
                           "Without samples it is softmax attention under the sortLSH mask",
                           [](auto& trial) {
                             auto other = attention_inputs(trial.in);
                             const auto mask = mask_of(trial.in, with(trial, {}));
                             for (Index i = 0; i < trial.size("n"); ++i) {
                               for (Index j = 0; j < trial.size("n"); ++j) {
                                 other.index["allowed"](i, j) = mask(i, j) ? 1 : 0;
                               }
                             }
                             trial.equal(trial.run("block_only")["output"], attention(trial, other, 5),
                                         "output");
                           })
      .limit<RationalExp2>(
          "softmax_attention", "causal",
          "The recursion is causal softmax attention when its parts are exact: by one block, by short parts, "
          "or by every key sampled once",
          [](auto& trial) {
            const Index length = trial.size("n");
            const auto truth = attention(trial, attention_inputs(trial.in), 1);
            const auto causal = [&](const Settings& changes) {
              return trial.run("causal", trial.in, with(trial, changes))["output"];
            };
            trial.equal(causal({{"block", length}}), truth, "one block");
            trial.equal(causal({{"exact_up_to", length}}), truth, "short");
            trial.equal(causal({{"exact_below", length}}), truth, "short parts off the diagonal");
            auto recursion = recursion_of(trial.in, with(trial, {}));
            recursion.sampler = [](Index, Index keys) { return every_key(keys); };
            trial.equal(ha::causal(input_of(trial.in), recursion), truth, "every key");
            const auto D =
                ha::causal_normaliser(input_of(trial.in), recursion, 0, length, ScalarOf<decltype(trial)>(0));
            const auto A = ha::weights(input_of(trial.in));
            for (Index i = 0; i < length; ++i) {
              ScalarOf<decltype(trial)> sum(0);
              for (Index j = 0; j <= i; ++j) sum += A(i, j);
              trial.equal(D[static_cast<std::size_t>(i)], sum, "normaliser");
            }
          })
      .limit<RationalExp2>(
          "approximate_matmul_and_sketch", "an exact normaliser leaves value sampling",
          "With one block the paper's output is the product of the exact weights and the values, sampled by "
          "row norms",
          [](auto& trial) {
            const Settings one = with(trial, {{"block", trial.size("n")}, {"cap", 0}});
            auto other = trial.in;
            other.real.clear();
            other.real["X"] = ha::stochastic(input_of(trial.in));
            other.real["Y"] = trial.in["value"];
            other.index["samples"] = trial.in.index.at("value_samples");
            trial.equal(trial.run("paper", trial.in, one)["output"],
                        trial.run_other("approximate_matmul_and_sketch", "row_norm", other)["product"],
                        "output");
          });
  entry.once(Kind::same, "causal recursion of every length",
             "With exact parts the recursion is causal attention for n = 1 ... 65 and parts of up to 1, 2 or "
             "5 tokens",
             [](auto& check) {
               using T = RationalExp2;
               for (Index length = 1; length <= 65; ++length) {
                 const auto numbers = [&](const char* name) {
                   Array<T> array({length, 1});
                   for (Index i = 0; i < length; ++i) {
                     array(i, 0) = draw<T>({7, name, i}, Domain::logit, Pattern::generic);
                   }
                   return array;
                 };
                 const ha::Input<T> in{numbers("query"), numbers("key"), numbers("value"), T(1)};
                 const std::vector<sa::Partial<T>> truth = [&] {
                   ha::Recursion all{Array<Index>({length}), Array<Index>({length}), 1, length, 0, {}};
                   return ha::causal_partials(in, all, 0, length);
                 }();
                 for (const Index base : {1, 2, 5}) {
                   ha::Recursion recursion{
                       Array<Index>({length}), Array<Index>({length}), length, base, 0, [](Index, Index) {
                         return Array<Index>({0});
                       }};
                   const auto found = ha::causal_partials(in, recursion, 0, length);
                   for (std::size_t i = 0; i < found.size(); ++i) {
                     check.equal(found[i].l, truth[i].l, "l");
                     check.equal(found[i].o[0], truth[i].o[0], "o");
                   }
                 }
               }
             });
}

void blocks(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(
          Kind::invariant, "blocks",
          "Rows and columns of the mask have `block` ones where it divides n; the last block of keys is "
          "shorter otherwise; within a block positions never go back",
          [](auto& trial) {
            const Settings settings = with(trial, {});
            const Index length = trial.size("n"), size = at(settings, "block");
            const auto made = blocks_of(trial.in, settings);
            const auto position = position_of(settings);
            for (Index i = 0; i < length; ++i) {
              Index in_row = 0, in_column = 0;
              for (Index j = 0; j < length; ++j) {
                in_row += ha::mask_of(made)(i, j) ? 1 : 0;
                in_column += ha::mask_of(made)(j, i) ? 1 : 0;
                const Index a = position(trial.in.index.at("key_code")(i));
                const Index b = position(trial.in.index.at("key_code")(j));
                trial.expect(made.key(i) <= made.key(j) || a >= b, "a later block has an earlier position");
              }
              const auto ones = [&](Index number) { return std::min(size, length - number * size); };
              trial.equal(in_row, ones(made.query(i)), "ones in a row");
              trial.equal(in_column, ones(made.key(i)), "ones in a column");
            }
          })
      .law<RationalExp2>(Kind::statistical, "a random order captures b / n",
                         "Over all orders of the keys the mean share of the attention of a query inside its "
                         "block is the share of the keys that are in it",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index length = std::min(trial.size("n"), Index{4});
                           const auto in = few_tokens(trial, length);
                           const auto P = ha::stochastic(input_of(in));
                           const Index size = std::min(trial.size("block"), length);
                           Array<Index> rank = every_key(length);
                           Array<T> captured({length});
                           T orders(0);
                           do {
                             const auto made =
                                 ha::sort_lsh(in.index.at("query_code"), rank, size, ha::binary_order());
                             for (Index i = 0; i < length; ++i) {
                               for (Index j = 0; j < length; ++j) {
                                 if (ha::mask_of(made)(i, j)) captured(i) += P(i, j);
                               }
                             }
                             orders += T(1);
                           } while (std::next_permutation(rank.values().begin(), rank.values().end()));
                           const auto made = ha::sort_lsh(in.index.at("query_code"), every_key(length), size,
                                                          ha::binary_order());
                           for (Index i = 0; i < length; ++i) {
                             const Index keys = std::min(size, length - made.query(i) * size);
                             trial.equal(captured(i) / orders, T(keys) / T(length), "captured share");
                           }
                         })
      .law<RationalExp2>(
          Kind::invariant, "the order of the keys",
          "Reversing keys, values, codes and samples together changes no form, as long as no two keys share "
          "a position",
          [](auto& trial) {
            const Index length = trial.size("n");
            auto in = trial.in;
            for (Index j = 0; j < length; ++j) {  // as different positions as there are keys
              in.index["key_code"](j) = (j * 5 + trial.integer("shift", 0, 7)) % 32;
            }
            auto reversed = in;
            for (Index j = 0; j < length; ++j) {
              const Index from = length - 1 - j;
              reversed.index["key_code"](j) = in.index["key_code"](from);
              for (Index c = 0; c < trial.size("d_k"); ++c) reversed.real["key"](j, c) = in["key"](from, c);
              for (Index c = 0; c < trial.size("d_v"); ++c)
                reversed.real["value"](j, c) = in["value"](from, c);
            }
            for (const char* list : {"samples", "value_samples"}) {
              for (Index& key : reversed.index[list].values()) key = length - 1 - key;
            }
            for (const char* form : {"paper", "self_normalised", "sorted", "block_only", "exact"}) {
              trial.equal(trial.run(form, reversed), trial.run(form, in), form);
            }
          })
      .once(
          Kind::erratum, "ties are broken by place",
          "Two keys with one code, in blocks of one: exchanging them changes the output, although attention "
          "itself does not see their order. The sorts of the code are stable, those of KDEformer are not",
          [](auto& check) {
            const Array<double> ones({2, 1}, 1.0);
            const auto of = [&](double first, double second) {
              const ha::Input<double> in{ones, ones, Array<double>({2, 1}, {first, second}), 1.0};
              const auto made = ha::sort_lsh(Array<Index>::vector({0, 1}), Array<Index>::vector({0, 0}), 1,
                                             ha::gray_order());
              return ha::block_only(in, ha::mask_of(made))(0, 0);
            };
            check.equal(of(3, 5), 3.0, "as given");
            check.equal(of(5, 3), 5.0, "exchanged");
          })
      .law<RationalExp2>(Kind::invariant, "an output is an average",
                         "Every output of the code's variant lies between the least and the largest value",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto output = trial.run("self_normalised")["output"];
                           for (Index c = 0; c < trial.size("d_v"); ++c) {
                             T least = trial.in["value"](0, c), largest = least;
                             for (Index j = 0; j < trial.size("n"); ++j) {
                               largest = maximum(largest, trial.in["value"](j, c));
                               least = ha::minimum(least, trial.in["value"](j, c));
                             }
                             for (Index i = 0; i < trial.size("n"); ++i) {
                               trial.expect(least <= output(i, c) && output(i, c) <= largest, "outside");
                             }
                           }
                         })
      .law<RationalExp2>(
          Kind::invariant, "scale 0",
          "All weights are 1: P = 1/n, alpha = 1, and kappa = 1 when all blocks have the same size",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto in = trial.in;
            in.real["scale"] = Array<T>(Shape{}, T(0));
            const Index length = trial.size("n"), size = trial.size("block");
            const auto P = ha::stochastic(input_of(in));
            for (const T& x : P.values()) trial.equal(x, T(1) / T(length), "P");
            trial.equal(ha::alpha(P), T(1), "alpha");
            if (size <= length && length % size == 0) {
              trial.equal(ha::inverse_kappa(input_of(in), mask_of(in, with(trial, {}))), T(1), "kappa");
            }
          })
      .law<RationalExp2>(Kind::invariant, "equal keys",
                         "When all keys are equal and nothing is in a block, every list of samples gives the "
                         "exact normaliser",
                         [](auto& trial) {
                           auto in = trial.in;
                           for (Index j = 0; j < trial.size("n"); ++j) {
                             for (Index c = 0; c < trial.size("d_k"); ++c) {
                               in.real["key"](j, c) = trial.in["key"](0, c);
                             }
                           }
                           const sa::Mask none = [](Index, Index) { return false; };
                           const auto truth = true_normaliser(input_of(in));
                           const auto partials =
                               ha::self_normalised_partials(input_of(in), none, in.index.at("samples"));
                           for (Index i = 0; i < trial.size("n"); ++i) {
                             const auto& one = partials[static_cast<std::size_t>(i)];
                             trial.equal(exp(one.m) * one.l, truth(i), "Z");
                           }
                         })
      .once(Kind::invariant, "every sample inside the block",
            "Then the residual is empty, the block alone answers, and no form yields a NaN; n = 1 and zero "
            "vectors included",
            [](auto& check) {
              const Array<double> zero({1, 1});
              const ha::Input<double> in{zero, zero, Array<double>({1, 1}, 3.0), 1.0};
              const auto code = ha::codes(zero, Array<double>({1, 1}, 1.0));
              check.equal(code(0), Index{0}, "code of a zero vector");
              const auto mask = ha::mask_of(ha::sort_lsh(code, code, 1, ha::gray_order()));
              const Array<Index> samples({3});
              check.equal(ha::self_normalised(in, mask, samples)(0, 0), 3.0, "self_normalised");
              check.equal(ha::subtracted(in, mask, samples)(0, 0), 3.0, "subtracted");
              check.equal(ha::paper(in, mask, samples, samples, samples, ha::inverse_kappa(in, mask),
                                    std::optional<double>())(0, 0),
                          3.0, "paper");
            });
}

// ---- moments and bounds ------------------------------------------------------------------------

void moments(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(Kind::statistical, "numerator and denominator are unbiased",
                         "Over all n^m lists of samples the means of N_i and Z_i are the exact sums",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index length = std::min(trial.size("n"), Index{3}),
                                       count = trial.integer("count", 1, 3);
                           const auto in = few_tokens(trial, length);
                           const auto mask = mask_of(in, with(trial, {}));
                           Array<T> N({length, trial.size("d_v")}), Z({length});
                           T lists(0);
                           for_each_list(length, count, [&](const Array<Index>& samples) {
                             const auto partials = ha::self_normalised_partials(input_of(in), mask, samples);
                             for (Index i = 0; i < length; ++i) {
                               const auto& one = partials[static_cast<std::size_t>(i)];
                               Z(i) += exp(one.m) * one.l;
                               for (Index c = 0; c < N.extent(1); ++c)
                                 N(i, c) += exp(one.m) * one.o[static_cast<std::size_t>(c)];
                             }
                             lists += T(1);
                           });
                           const auto A = ha::weights(input_of(in)), D = true_normaliser(input_of(in));
                           const auto truth = sketch::product(A, in["value"]);
                           for (Index i = 0; i < length; ++i) {
                             trial.equal(Z(i) / lists, D(i), "mean of Z");
                             for (Index c = 0; c < N.extent(1); ++c)
                               trial.equal(N(i, c) / lists, truth(i, c), "mean of N");
                           }
                         })
      .law<RationalExp2>(
          Kind::statistical, "the residual's estimate: mean and variance (E5)",
          "Without cap and floor E d_i = R_i and Var d_i = (n sum (1 - M) A^2 - R^2) / m, over all lists",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = std::min(trial.size("n"), Index{4}), count = trial.integer("count", 1, 2);
            const auto in = few_tokens(trial, length);
            const auto mask = mask_of(in, with(trial, {}));
            const auto A = ha::weights(input_of(in)), D = true_normaliser(input_of(in));
            Array<T> mean({length}), square({length});
            T lists(0);
            for_each_list(length, count, [&](const Array<Index>& samples) {
              const auto found = ha::approximate_normaliser(input_of(in), mask, samples, Array<Index>({1}),
                                                            T(0), std::optional<T>());
              for (Index i = 0; i < length; ++i) {
                mean(i) += found(i);
                square(i) += (found(i) - D(i)) * (found(i) - D(i));
              }
              lists += T(1);
            });
            for (Index i = 0; i < length; ++i) {
              const T R = ha::residual(input_of(in), mask, i);
              T squares(0);
              for (Index j = 0; j < length; ++j) {
                if (!mask(i, j)) squares += A(i, j) * A(i, j);
              }
              trial.equal(mean(i) / lists, D(i), "mean");
              trial.equal(square(i) / lists, (T(length) * squares - R * R) / T(count), "variance");
            }
          })
      .law<RationalExp2>(
          Kind::statistical, "value sampling: mean and error (E3)",
          "Over the exact normaliser the mean output is P V, and E |.|_F^2 = (|P|^2 |V|^2 - |P V|^2) / m', "
          "over all lists",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = std::min(trial.size("n"), Index{3}), count = trial.integer("count", 1, 3);
            auto in = few_tokens(trial, length);
            in.real["value"] = trial.array("values", {length, trial.size("d_v")}, Domain::nonzero);
            const auto P = ha::stochastic(input_of(in)), D = true_normaliser(input_of(in));
            const auto probability = sketch::row_norm_probability(in["value"]);
            const auto truth = sketch::product(P, in["value"]);
            Array<T> mean(truth.shape());
            T error(0);
            for_each_list(length, count, [&](const Array<Index>& list) {
              T chance(1);
              for (const Index j : list.values()) chance *= probability(j);
              const auto found = ha::value_sampled(input_of(in), list, D);
              for (std::size_t i = 0; i < truth.values().size(); ++i) {
                const T off = found.values()[i] - truth.values()[i];
                mean.values()[i] += chance * found.values()[i];
                error += chance * off * off;
              }
            });
            trial.equal(mean, truth, "mean");
            trial.equal(error * T(count),
                        sketch::squared_frobenius(P) * sketch::squared_frobenius(in["value"]) -
                            sketch::squared_frobenius(truth),
                        "error");
          })
      .once(Kind::converges, "the bias of the code's variant (E6)",
            "E o - o approaches (o Var Z - Cov(N, Z)) / D^2, which falls as 1 / m: the ratio of the two "
            "differs from 1 by half as much, to a tenth, when m doubles; exactly over all outcomes, m = 16 "
            "... 256",
            [](auto& check) {
              // one query, the weights and values of its block and of two keys outside
              const Real50 inside_l = 3, inside_o = 1, A[] = {2, 5}, V[] = {1, -2};
              const Index n_keys = 4;
              const Real50 D = inside_l + A[0] + A[1], N = inside_o + A[0] * V[0] + A[1] * V[1], o = N / D;
              Real50 before = 0;
              for (Index count = 16; count <= 256; count *= 2) {
                Real50 mean = 0, var = 0, cov = 0;
                const Real50 share = Real50(n_keys) / count;
                Real50 first = 1;  // probability of a samples of key 0, by its recurrence
                for (Index i = 0; i < count; ++i) first *= Real50(3) / 4;
                for (Index a = 0; a <= count; ++a) {
                  Real50 chance = first;  // b of the rest are key 1, each with probability 1/3
                  for (Index i = 0; i < count - a; ++i) chance *= Real50(2) / 3;
                  for (Index b = 0; b <= count - a; ++b) {
                    const Real50 z = inside_l + share * (a * A[0] + b * A[1]);
                    const Real50 x = inside_o + share * (a * A[0] * V[0] + b * A[1] * V[1]);
                    mean += chance * x / z;
                    var += chance * (z - D) * (z - D);
                    cov += chance * (x - N) * (z - D);
                    chance *= Real50(count - a - b) / (b + 1) / 2;
                  }
                  first *= Real50(count - a) / (a + 1) / 3;
                }
                const Real50 predicted = (o * var - cov) / (D * D);
                const Real50 off = abs((mean - o) / predicted - 1);
                check.expect(off > 0, "the first order is not all");
                if (before > 0) {
                  check.expect(off / before > Real50("0.45") && off / before < Real50("0.55"),
                               "falls by " + show(Real50(off / before)));
                }
                before = off;
              }
            });
}

void bounds(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(
          Kind::bound, "floor and cap (E5)",
          "With the true kappa the floor moves every estimate towards the truth, for every T; the cap only "
          "lowers",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto mask = mask_of(trial.in, with(trial, {}));
            const auto in = input_of(trial.in);
            const auto D = true_normaliser(in);
            const auto estimate = [&](const T& share, const std::optional<T>& cap) {
              return ha::approximate_normaliser(in, mask, trial.in.index.at("samples"),
                                                trial.in.index.at("reference_rows"), share, cap);
            };
            const T share = ha::inverse_kappa(in, mask);
            const auto plain = estimate(T(0), std::nullopt), floored = estimate(share, std::nullopt);
            const auto capped = estimate(share, T(1) / T(3));
            for (Index i = 0; i < trial.size("n"); ++i) {
              const T off = floored(i) - D(i), plain_off = plain(i) - D(i);
              trial.expect(off * off <= plain_off * plain_off, "the floor moves away");
              trial.expect(plain(i) <= floored(i), "the floor lowers");
              trial.expect(capped(i) <= floored(i), "the cap raises");
            }
          })
      .law<RationalExp2>(
          Kind::bound, "an error of the normaliser scales rows (E1)",
          "((1/D~ - 1/D) A w)_i = (D_i / D~_i - 1) (P w)_i for every w, so the operator norm of the error is "
          "at most eta |P|, eta = max |D / D~ - 1| (derived)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto in = input_of(trial.in);
            const auto D = true_normaliser(in), found = normaliser_of(trial.in, with(trial, {}));
            const auto w = trial.array("w", {trial.size("n"), 1});
            const auto Aw = sketch::product(ha::weights(in), w), Pw = sketch::product(ha::stochastic(in), w);
            T eta2(0), error(0);
            for (Index i = 0; i < trial.size("n"); ++i) {
              const T off = D(i) / found(i) - T(1), moved = Aw(i, 0) / found(i) - Aw(i, 0) / D(i);
              trial.equal(moved, off * Pw(i, 0), "row");
              eta2 = maximum(eta2, T(off * off));
              error += moved * moved;
            }
            trial.expect(error <= eta2 * sketch::squared_frobenius(Pw), "beyond eta |P w|");
          })
      .law<Bounded<Real50>>(
          Kind::bound, "the two errors add up (E2)",
          "|(paper - P V) w| <= (1 + eta) |(P S^T S V - P V) w| + eta |P V w| for every w (derived): in "
          "operator norms the paper's Theorem 1 with explicit constants",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto in = input_of(trial.in);
            const auto D = true_normaliser(in), found = normaliser_of(trial.in, with(trial, {}));
            const auto& list = trial.in.index.at("value_samples");
            const auto w = trial.array("w", {trial.size("d_v"), 1});
            const auto truth = sketch::product(sketch::product(ha::stochastic(in), in.value), w);
            auto whole = sketch::product(ha::value_sampled(in, list, found), w);
            auto values = sketch::product(ha::value_sampled(in, list, D), w);
            T eta(0);
            for (Index i = 0; i < trial.size("n"); ++i) {
              const T off = D(i) / found(i) - T(1);
              eta = maximum(eta, maximum(off, -off));
              whole(i, 0) -= truth(i, 0);
              values(i, 0) -= truth(i, 0);
            }
            const auto norm = [](const Array<T>& x) {  // the root of an exact 0 is 0
              const T square = sketch::squared_frobenius(x);
              return square.value() == 0 ? T::with_error(Real50(0), std::sqrt(square.error_bound()))
                                         : T(sqrt(square));
            };
            trial.at_most(norm(whole), (T(1) + eta) * norm(values) + eta * norm(truth), "beyond");
          })
      .law<RationalExp2>(
          Kind::bound, "alpha (E4)",
          "1 <= |P|_F^2 <= alpha <= n^2, P 1 = 1 so that |P|_op >= 1, and |V|_F^2 <= d_v times the largest "
          "squared column; so m' >= 100 alpha d_v / eps^2 brings the expected squared error below eps^2 / "
          "100 times |P|_op^2 |V|_op^2 (derived: with Markov's inequality the paper's Lemma 2 with a "
          "constant)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), width = trial.size("d_v");
            const auto P = ha::stochastic(input_of(trial.in));
            const T squares = sketch::squared_frobenius(P), alpha = ha::alpha(P);
            trial.expect(T(1) <= squares && squares <= alpha && alpha <= T(length * length), "alpha");
            for (Index i = 0; i < length; ++i) {
              T sum(0);
              for (Index j = 0; j < length; ++j) sum += P(i, j);
              trial.equal(sum, T(1), "row sum");
            }
            const auto V = trial.in["value"];
            T largest(0);  // a lower bound of |V|_op^2
            for (Index c = 0; c < width; ++c) {
              T column(0);
              for (Index j = 0; j < length; ++j) column += V(j, c) * V(j, c);
              largest = maximum(largest, column);
            }
            const T whole = sketch::squared_frobenius(V);
            trial.expect(whole <= T(width) * largest, "|V|_F^2");
            const T eps2 = T(1) / T(trial.integer("1 / eps^2", 1, 100));
            Index count = 1;
            while (T(count) * eps2 < T(100) * alpha * T(width)) count *= 2;
            const T error = (squares * whole - sketch::squared_frobenius(sketch::product(P, V))) / T(count);
            trial.expect(error <= eps2 / T(100) * largest, "expected error");
          })
      .once(
          Kind::bound, "the cap of the paper",
          "C_i = c eps^2 m / (n log n) (B_i + tau / kappa): the factor at c = 1, eps = 1/2, m = 64, n = 256",
          [](auto& check) {
            check.digits(ha::cap_factor(Real50(1), Real50("0.5"), 64, 256), "0.011271055006945", "factor");
            const Real50 with_log = ha::cap_factor(Real50(3), Real50("0.25"), 10, 100);
            check.digits(with_log * log(Real50(100)), "0.01875", "c eps^2 m / n");
          });
}

void errata(EntryBuilder& entry) {
  entry
      .once(Kind::erratum, "the Gray order is inverted in the code",
            "The code sorts by G(code) instead of its inverse. Up to two bits they agree; for r >= 3 only "
            "3/4 of the neighbours on the circle differ in one bit (r = 7: 96 of 128, 24 in two, 6 in three, "
            "2 in four), and with bits that differ with probability 0.1 neighbours come with probability "
            "0.0820 instead of 0.1063; in plain binary order 0.0563",
            [](auto& check) {
              const auto neighbours = [](const ha::Position& position, Index bits) {
                const Index count = Index{1} << bits;
                std::vector<Index> code(static_cast<std::size_t>(count)), histogram(8, 0);
                for (Index c = 0; c < count; ++c) code[static_cast<std::size_t>(position(c))] = c;
                for (Index h = 0; h < count; ++h) {
                  ++histogram[static_cast<std::size_t>(sketch::hamming(
                      code[static_cast<std::size_t>(h)], code[static_cast<std::size_t>((h + 1) % count)]))];
                }
                return histogram;
              };
              for (Index bits = 1; bits <= 7; ++bits) {
                const Index count = Index{1} << bits;
                check.equal(neighbours(ha::gray_order(), bits)[1], count, "the definition");
                check.equal(neighbours(ha::order_of_code(), bits)[1], bits <= 2 ? count : count * 3 / 4,
                            "code");
              }
              check.expect(neighbours(ha::order_of_code(), 7) == std::vector<Index>{0, 96, 24, 6, 2, 0, 0, 0},
                           "distances");
              const auto chance = [&](const ha::Position& position) {
                const auto histogram = neighbours(position, 7);
                const RationalExp2 differ = RationalExp2(1) / 10;
                RationalExp2 sum = 0;
                for (Index d = 0; d <= 7; ++d) {
                  sum += RationalExp2(histogram[static_cast<std::size_t>(d)]) / 64 *
                         sketch::power(differ, d) * sketch::power(RationalExp2(9) / 10, 7 - d);
                }
                return sum;
              };
              check.equal(chance(ha::gray_order()),
                          sketch::gray_neighbour_probability(RationalExp2(RationalExp2(1) / 10), 7),
                          "the definition");
              check.digits(Real50(chance(ha::gray_order()).value()), "0.1063", "the definition");
              check.digits(Real50(chance(ha::order_of_code()).value()), "0.0820", "the code");
              check.digits(Real50(chance(ha::binary_order()).value()), "0.0563", "plain binary");
            })
      .law<RationalExp2>(Kind::erratum, "samples counted twice",
                         "Without the mask, which two of the code's three paths leave out, the mean "
                         "denominator over all lists is D_i + B_i: the block counts twice",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index length = std::min(trial.size("n"), Index{3});
                           const auto in = input_of(few_tokens(trial, length));
                           const auto mask = mask_of(few_tokens(trial, length), with(trial, {}));
                           const auto A = ha::weights(in), D = true_normaliser(in);
                           Array<T> mean({length});
                           for (Index key = 0; key < length; ++key) {
                             for (Index i = 0; i < length; ++i) {
                               const auto own = ha::over(in, i, ha::inside(mask, i, length));
                               const auto one = sa::merge(own, ha::times(T(length), ha::over(in, i, {key})));
                               mean(i) += exp(one.m) * one.l / T(length);
                               const auto output = ha::double_counted(in, mask, Array<Index>({1}, key));
                               for (Index c = 0; c < output.extent(1); ++c) {
                                 trial.equal(output(i, c) * one.l, one.o[static_cast<std::size_t>(c)],
                                             "output");
                               }
                             }
                           }
                           for (Index i = 0; i < length; ++i) {
                             trial.equal(mean(i), D(i) + D(i) - ha::residual(in, mask, i), "mean");
                           }
                         })
      .law<RationalExp2>(Kind::erratum, "phantom keys",
                         "Zero padding without a mask is attention with keys and values of 0 in the last "
                         "block; it changes nothing when the block size divides n",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index length = trial.size("n"), size = trial.size("block");
                           const Settings settings = with(trial, {});
                           const auto made = blocks_of(trial.in, settings);
                           const auto in = input_of(trial.in);
                           const auto padded = ha::block_only_padded(in, made, size),
                                      masked = ha::block_only(in, ha::mask_of(made));
                           const Index last = (length - 1) / size, missing = (last + 1) * size - length;
                           auto longer = in;
                           auto blocks = made;
                           longer.key = Array<T>({length + missing, trial.size("d_k")});
                           longer.value = Array<T>({length + missing, trial.size("d_v")});
                           blocks.key = Array<Index>({length + missing}, last);
                           for (Index j = 0; j < length; ++j) {
                             blocks.key(j) = made.key(j);
                             for (Index c = 0; c < trial.size("d_k"); ++c) longer.key(j, c) = in.key(j, c);
                             for (Index c = 0; c < trial.size("d_v"); ++c)
                               longer.value(j, c) = in.value(j, c);
                           }
                           trial.equal(padded, ha::block_only(longer, ha::mask_of(blocks)), "padded");
                           if (missing == 0) trial.equal(padded, masked, "nothing missing");
                           for (Index i = 0; missing > 0 && i < length; ++i) {
                             if (made.query(i) != last) continue;
                             const auto one = ha::over(in, i, ha::inside(ha::mask_of(made), i, length));
                             const T B = exp(one.m) * one.l;
                             for (Index c = 0; c < trial.size("d_v"); ++c) {
                               trial.equal(padded(i, c) * (B + T(missing)), masked(i, c) * B,
                                           "shrunk towards 0");
                             }
                           }
                         })
      .law<RationalExp2>(Kind::erratum, "no blocks, but samples deleted",
                         "With block size -1 the code deletes samples whose rank is the query's own: the "
                         "mean denominator over all samples lacks the weight of that key",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index length = std::min(trial.size("n"), Index{4});
                           const auto in = few_tokens(trial, length);
                           const auto ranks = blocks_of(in, with(trial, {{"block", 1}}));
                           const auto A = ha::weights(input_of(in)), D = true_normaliser(input_of(in));
                           Array<T> mean({length});
                           for (Index key = 0; key < length; ++key) {
                             const auto partials =
                                 ha::samples_without_own_rank(input_of(in), ranks, Array<Index>({1}, key));
                             for (Index i = 0; i < length; ++i) {
                               const auto& one = partials[static_cast<std::size_t>(i)];
                               if (!one.empty) mean(i) += exp(one.m) * one.l / T(length);
                             }
                           }
                           for (Index i = 0; i < length; ++i) {
                             for (Index j = 0; j < length; ++j) {
                               if (ranks.key(j) == ranks.query(i))
                                 trial.equal(mean(i), D(i) - A(i, j), "mean");
                             }
                           }
                         })
      .once(Kind::erratum, "the code's merge saturates",
            "In float32 its log-sum-exp cannot exceed L_1 + 15.94: a true 15 above gives 14.671, 20 gives "
            "15.925, 40 gives 15.942",
            [](auto& check) {
              const auto merged = [](float above) {
                return Real50(double{ha::merged_log_sum_of_code(0.0F, above, 0x1p-23F)});
              };
              check.digits(merged(15), "14.671", "15 above");
              check.digits(merged(20), "15.925", "20 above");
              check.digits(merged(40), "15.942", "40 above");
              check.digits(merged(1), "1.31326", "1 above: right");
            })
      .law<RationalExp2>(Kind::erratum, "odd lengths",
                         "The code pads an odd length by one zero row at the end and trims it: harmless "
                         "under causality when the parts are exact",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index length = trial.size("n");
                           auto longer = trial.in;
                           for (const char* name : {"query", "key", "value"}) {
                             const auto& own = trial.in[name];
                             Array<T> padded({length + 1, own.extent(1)});
                             for (Index i = 0; i < length; ++i) {
                               for (Index c = 0; c < own.extent(1); ++c) padded(i, c) = own(i, c);
                             }
                             longer.real[name] = padded;
                           }
                           longer.index["query_code"] = longer.index["key_code"] = Array<Index>({length + 1});
                           const auto exact = with(trial, {{"block", length + 1}});
                           trial.equal(ha::rows(trial.run("causal", longer, exact)["output"], 0, length),
                                       trial.run("causal", trial.in, exact)["output"], "trimmed");
                         })
      .once(Kind::erratum, "settings of the released programs",
            "PyTorch: 7 bits, blocks and samples of 256, exact up to 4096; JAX: 32 bits, blocks of n/32 in "
            "[128, 512], samples n/64 in [128, 256], exact up to 1024, no Gray step",
            [](auto& check) {
              check.expect(ha::kDefaults == ha::Defaults{7, 256, 256, 4096}, "PyTorch");
              check.expect(ha::jax_defaults(1024) == ha::Defaults{32, 128, 128, 1024}, "JAX, short");
              check.expect(ha::jax_defaults(12288) == ha::Defaults{32, 384, 192, 1024}, "JAX, middle");
              check.expect(ha::jax_defaults(131072) == ha::Defaults{32, 512, 256, 1024}, "JAX, long");
            })
      .once(Kind::erratum, "subtracting cancels",
            "The only sample of 1024 keys stands in the block of one: added 1024 times and subtracted again "
            "it costs float32 three digits, masked it costs nothing",
            [](auto& check) {
              const Index length = 1024;
              ha::Input<float> in{Array<float>({1, 1}, 1.0F), Array<float>({length, 1}, -20.0F),
                                  Array<float>({length, 1}, 1.0F), 1.0F};
              in.key(0, 0) = 0.0F;
              in.value(0, 0) = 0.001F;
              const sa::Mask mask = [](Index, Index j) { return j == 0; };
              const Array<Index> samples({1});
              check.equal(ha::self_normalised(in, mask, samples)(0, 0), 0.001F, "masked");
              const double off =
                  std::abs(double{ha::subtracted(in, mask, samples)(0, 0)} / double{0.001F} - 1);
              check.expect(off > 100 * 0x1p-24, "subtracting is as good");
              check.measure("relative error of subtracting", off);
            });
}

void costs(EntryBuilder& entry) {
  const Expression full = ceil_div(n, block) - 1, last = n - full * block;
  Cost block_only("block_only");
  block_only.without = {"scale"};
  const Expression pairs = full * block * block + last * last;
  block_only.multiplications = pairs * (d_k + d_v);
  block_only.additions = pairs * d_k + (pairs - n) * (d_v + 1);
  block_only.divisions = n * d_v;
  block_only.exponentials = pairs;
  block_only.comparisons = pairs - n;
  Cost exact = block_only;
  exact.form = "exact";
  const Expression all = n * n;
  exact.multiplications = all * (d_k + d_v);
  exact.additions = all * d_k + (all - n) * (d_v + 1);
  exact.exponentials = all;
  exact.comparisons = all - n;
  exact.depth = d_k + 2 * n + 2;
  entry.cost(block_only).cost(exact);
  std::vector<Settings> grid;
  for (Index length = 32; length <= 1024; length *= 2) {
    grid.push_back(
        {{"n", length}, {"d_k", 16}, {"d_v", 16}, {"m", 16}, {"t", 1}, {"v", 1}, {"block", 16}, {"bits", 7}});
  }
  entry.scale("blocks of 16", grid);
  const auto counted = [](Index length, Index d_key, Index d_value) {
    using T = Counted<double>;
    const auto data = [&](Index columns) { return Array<T>({length, columns}, T(0.5)); };
    return ha::Input<T>{data(d_key), data(d_key), data(d_value), T(1)};
  };
  entry
      .once(Kind::cost, "cost: self_normalised",
            "A pair costs d_k + d_v multiplications and one exponential; there are n b in the blocks and n m "
            "less those in the own block beside them; a merge costs two exponentials and 3 (d_v + 1) "
            "multiplications with the weight n / m; d_v divisions a query",
            [counted](auto& check) {
              for (const Index length : {4, 12, 40}) {
                for (const Index size : {2, 4}) {
                  const Index d_key = 3, d_value = 2, count = 3;
                  Array<Index> samples({count});
                  for (Index s = 0; s < count; ++s) samples(s) = (s * 5) % length;
                  const auto order = every_key(length);
                  const auto mask = ha::mask_of(ha::sort_lsh(order, order, size, ha::binary_order()));
                  Index far = 0, merges = 0;
                  for (Index i = 0; i < length; ++i) {
                    const auto own = static_cast<Index>(ha::outside(mask, i, samples).size());
                    far += own;
                    merges += own > 0 ? 1 : 0;
                  }
                  const auto in = counted(length, d_key, d_value);
                  const CountOperations scope;
                  ha::self_normalised(in, mask, samples);
                  const Index pairs_touched = length * size + far;
                  check.equal(scope.counts().multiplications,
                              pairs_touched * (d_key + d_value) + merges * 3 * (d_value + 1),
                              "multiplications");
                  check.equal(scope.counts().exponentials, pairs_touched + 2 * merges, "exponentials");
                  check.equal(scope.counts().divisions, length * d_value, "divisions");
                  check.expect(far <= length * count, "n m");
                }
              }
            })
      .once(Kind::cost, "cost: the paper's algorithm",
            "tau takes n weights for each reference row outside of its block, the block and the samples n b "
            "+ n m less those in the own block, value sampling n m' weights: one exponential each",
            [counted](auto& check) {
              const Index length = 12, size = 3;
              const auto order = every_key(length);
              const auto mask = ha::mask_of(ha::sort_lsh(order, order, size, ha::binary_order()));
              const auto samples = Array<Index>::vector({0, 5, 5, 11}),
                         reference = Array<Index>::vector({2, 7});
              Index far = 0;
              for (Index i = 0; i < length; ++i) {
                far += static_cast<Index>(ha::outside(mask, i, samples).size());
              }
              const auto in = counted(length, 2, 2);
              const CountOperations scope;
              ha::paper(in, mask, samples, reference, samples, Counted<double>(0.5), {});
              check.equal(scope.counts().exponentials,
                          2 * (length - size) + length * size + far + length * samples.extent(0),
                          "exponentials");
            })
      .once(Kind::cost, "cost: causal",
            "n (base + 1) / 2 pairs on the diagonal and n / 2 (b + m) off it for each of log2(n / base) "
            "levels, counted without samples; 131072 tokens with the code's settings: 2.69e8 + 1.68e8 pairs, "
            "19.7 times fewer than exact causal attention",
            [counted](auto& check) {
              for (Index levels = 0; levels <= 4; ++levels) {
                const Index base = 4, size = 2, length = base << levels;
                const auto in = counted(length, 1, 1);
                ha::Recursion recursion{every_key(length),
                                        every_key(length),
                                        size,
                                        base,
                                        0,
                                        [](Index, Index) { return Array<Index>({0}); },
                                        ha::binary_order()};
                const CountOperations scope;
                ha::causal(in, recursion);
                const auto pairs_touched = ha::causal_pairs(base, levels, size, 0);
                check.equal(scope.counts().exponentials,
                            pairs_touched.exact + pairs_touched.approximate + 2 * (length / 2) * levels,
                            "exponentials: pairs and two for each merge");
              }
              const auto large = ha::causal_pairs(4096, 5, 256, 256);
              check.equal(large.exact, Index{268500992}, "exact pairs");
              check.equal(large.approximate, Index{167772160}, "approximate pairs");
              const Index length = 131072;
              check.digits(Real50(length * (length + 1) / 2) / (large.exact + large.approximate), "19.7",
                           "fewer");
            });
}

void examples(EntryBuilder& entry) {
  entry.once(
      Kind::example, "worked example",
      "Four tokens, two bits, blocks of two: codes, order, blocks, and all variants to 13 digits",
      [](auto& check) {
        using R = Real50;
        const ha::Input<R> in{Array<R>::matrix({{1, 1}, {-1, 1}, {1, -1}, {-1, -1}}),
                              Array<R>::matrix({{-1, -2}, {1, 2}, {2, -1}, {-2, 1}}),
                              Array<R>::matrix({{1, 0}, {0, 1}, {2, 1}, {-1, 3}}), R(1) / 2};
        const auto W = Array<R>::matrix({{1, 0}, {0, 1}});
        const auto query_code = ha::codes(in.query, W), key_code = ha::codes(in.key, W);
        check.equal(query_code, Array<Index>::vector({3, 2, 1, 0}), "query codes");
        check.equal(key_code, Array<Index>::vector({0, 3, 1, 2}), "key codes");
        const auto query_order = ha::sorted(query_code, ha::gray_order());
        const auto key_order = ha::sorted(key_code, ha::gray_order());
        check.expect(query_order == std::vector<Index>{3, 2, 0, 1}, "query order");
        check.expect(key_order == std::vector<Index>{0, 2, 1, 3}, "key order");
        const auto mask = ha::mask_of(ha::sort_lsh(query_code, key_code, 2, ha::gray_order()));
        for (Index i = 0; i < 4; ++i) {
          for (Index j = 0; j < 4; ++j) check.equal(mask(i, j), (i < 2) == (j % 2 == 1), "mask");
        }
        const auto expect = [&](const Array<R>& output, const std::vector<std::string>& printed,
                                const std::string& what) {
          for (std::size_t i = 0; i < printed.size(); ++i) check.digits(output.values()[i], printed[i], what);
        };
        const auto D = true_normaliser(in);
        for (Index i = 0; i < 4; ++i) check.digits(D(i), "6.960071160899", "D");
        expect(ha::block_only(in, sa::full_mask()),
               {"0.4186799207179", "1.142230034204", "-0.4926527345858", "2.200684201034", "1.492652734586",
                "0.8272343884703", "0.5813200792821", "0.8298513762918"},
               "exact");
        expect(ha::block_only(in, mask),
               {"-0.1192029220221", "1.238405844044", "-0.73105857863", "2.46211715726", "1.73105857863",
                "0.73105857863", "1.119202922022", "0.1192029220221"},
               "block");
        const auto samples = Array<Index>::vector({1, 0});
        const std::vector<std::string> sampled = {"-0.02895851786578", "1.138549781037", "-0.4451066065266",
                                                  "2.05540229194",     "1.445106606527", "0.7754847643007",
                                                  "1.028958517866",    "0.1902240084763"};
        expect(ha::self_normalised(in, mask, samples), sampled, "code");
        expect(ha::self_normalised_sorted(in, query_order, key_order, 2, Array<Index>::vector({2, 0})),
               sampled, "sorted");
        const auto partials = ha::self_normalised_partials(in, mask, samples);
        for (const std::size_t i : {std::size_t{0}, std::size_t{3}}) {
          check.digits(sa::log_sum_exp(partials[i]), "1.710997623238", "lse");
          check.digits(sa::log_sum_exp(partials[i == 0 ? 1 : 2]), "1.993811709072", "lse");
        }
        expect(ha::double_counted(in, mask, samples), {"-0.01105475976548", "1.052890640054"}, "double");
        Array<R> mean({2});
        for_each_list(4, 2, [&](const Array<Index>& list) {
          const auto output = ha::self_normalised(in, mask, list);
          for (Index c = 0; c < 2; ++c) mean(c) += output(0, c) / 16;
        });
        expect(mean, {"0.3028636358629", "1.15109545823"}, "mean of the code's variant: biased");
        const char* const residuals[] = {"1.871851430849", "0.8296608198611", "0.8296608198611",
                                         "1.871851430849"};
        for (Index i = 0; i < 4; ++i) check.digits(ha::residual(in, mask, i), residuals[i], "R");
        check.digits(1 / ha::inverse_kappa(in, mask), "2.256164671199", "kappa");
        check.digits(ha::alpha(ha::stochastic(in)), "1.917443719706", "alpha");
        const auto normaliser = ha::approximate_normaliser(in, mask, samples, Array<Index>::vector({0, 2}),
                                                           ha::inverse_kappa(in, mask), std::optional<R>());
        expect(normaliser, {"5.917880549912", "7.343471660463", "7.343471660463", "5.917880549912"}, "D~");
        const auto value_samples = Array<Index>::vector({3, 2, 3});
        const std::vector<std::string> printed = {"0.5153365477485",   "0.6642166876014", "-0.622796155303",
                                                  "2.109441474489",    "1.348900742855",  "0.7949768757174",
                                                  "-0.08343323941973", "1.063396545714"};
        expect(ha::value_sampled(in, value_samples, normaliser), printed, "Algorithm 3");
        expect(ha::paper_dense(in, value_samples, normaliser), printed, "Algorithm 3, dense");
      });
}

const Registration<EntryBuilder> registration{"hyper_attention", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                limits(entry);
                                                blocks(entry);
                                                moments(entry);
                                                bounds(entry);
                                                errata(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
