/// \file
/// The entry of tensor attention: forms, laws, costs. Its text is
/// `reference/approximation/tensor_attention.hpp`.
#include "reference/approximation/tensor_attention.hpp"

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

namespace ta = tensor_attention;
namespace px = polynomial_exp;

const Expression n = symbol("n"), sources = symbol("sources"), d = symbol("d"), d_v = symbol("d_v"),
                 half = symbol("half_degree");

/// A number type that a form is read in which is here to be compared with others: double precision, the
/// oracle, and the types `Also` that its laws are decided in. Any further type would be compiled and decide
/// nothing.
template <class T, class... Also>
concept ForTool = contains<T, TypeList<double, Real50, Real100, Bounded<Real50>, Also...>>;

/// The same for a form that kernels run: also in all formats that numbers are stored in.
template <class T, class... Also>
concept ForKernel = ForTool<T, float, Also...> || contains<T, StorageScalars>;

template <Field T>
ta::Input<T> input_of(const Arrays<T>& in) {
  const Array<T>&key = in["key"], &value = in["value"];
  require_rank("tensor_attention", "key", key, 3);
  require_rank("tensor_attention", "value", value, 3);
  require(key.extent(1) == value.extent(1), "tensor_attention", "value", to_string(value.shape()),
          "as many sources as key, which is " + to_string(key.shape()));
  ta::Input<T> input{in["query"], {}, in.number("scale", ta::paper_scale<T>(key.extent(2)))};
  for (Index s = 0; s < key.extent(1); ++s) {
    ta::Source<T> source{Array<T>({key.extent(0), key.extent(2)}),
                         Array<T>({value.extent(0), value.extent(2)})};
    for (Index j = 0; j < key.extent(0); ++j) {
      for (Index l = 0; l < key.extent(2); ++l) source.key(j, l) = key(j, s, l);
    }
    for (Index j = 0; j < value.extent(0); ++j) {
      for (Index l = 0; l < value.extent(2); ++l) source.value(j, l) = value(j, s, l);
    }
    input.sources.push_back(std::move(source));
  }
  return input;
}

template <Field T>
px::Polynomial<T> polynomial_of(const Settings& settings) {
  return px::taylor<T>(2 * at(settings, "half_degree"));
}

void describe(EntryBuilder& entry) {
  entry
      .about("approximation", "Tensor attention",
             "Attention of queries to tuples of keys, and the polynomial that makes its price that of linear "
             "attention.",
             {"alman2023tensor", "alman2023bounded", "aggarwal2022exponentials"})
      .size("n", 9, 4)
      .size("d", 3, 2)
      .size("d_v", 2, 2)
      .parameter({"sources", 2, 1, 3, "keys and values that a tuple takes its parts from; order less 1", {}})
      .parameter(
          {"half_degree", 1, 0, 2, "half the degree of the Taylor polynomial: even ones are positive", {}})
      .input("query", {n, d}, Domain::logit, "what each token asks")
      .input("key", {n, sources, d}, Domain::logit, "the keys of each token, one for each source")
      .input("value", {n, sources, d_v}, Domain::any, "the values of each token, one for each source")
      .input("scale", {}, Domain::logit, "factor of the scores; 1 / d when left out")
      .output("output", {n, d_v}, "the average that each query reads");
}

void forms(EntryBuilder& entry) {
  entry
      .form("direct", "the definition: e^x of every tuple",
            []<Exponential T>(const Arrays<T>& in, const Settings&) {
              return output_of(ta::direct(input_of(in)));
            })
      .form("safe", "the largest score subtracted first",
            []<ForKernel<Counted<double>, RationalExp2, Dual<RationalExp2>> T>(
                const Arrays<T>& in, const Settings&) { return output_of(ta::safe(input_of(in))); })
      .form("online", "one pass over the tuples",
            []<ForKernel<RationalExp2, Dual<RationalExp2>> T>(const Arrays<T>& in, const Settings&) {
              return output_of(ta::online(input_of(in)));
            })
      .form("materialised", "softmax attention to all tuples of keys, stored",
            []<ForTool<RationalExp2, Dual<RationalExp2>> T>(const Arrays<T>& in, const Settings&) {
              return output_of(ta::materialised(input_of(in)));
            })
      .form("causal", "e^x of every tuple of tokens that are not later",
            []<ForTool<RationalExp2, Dual<RationalExp2>> T>(const Arrays<T>& in, const Settings&) {
              return output_of(ta::causal(input_of(in)));
            })
      .form("polynomial_direct", "a polynomial of every score",
            []<ForTool<Counted<double>, PrimeField, Degree, Rational, Dual<PrimeField>> T>(
                const Arrays<T>& in, const Settings& settings) {
              return output_of(ta::polynomial_direct(input_of(in), polynomial_of<T>(settings)));
            })
      .form("factored", "sums over single tokens of each source, multiplied",
            []<ForKernel<Counted<double>, PrimeField, Degree, Rational, RationalExp2, Dual<PrimeField>> T>(
                const Arrays<T>& in, const Settings& settings) {
              return output_of(ta::factored(input_of(in), polynomial_of<T>(settings)));
            })
      .form("polynomial_causal", "a polynomial of every score of tokens that are not later",
            []<ForTool<PrimeField, Degree, Rational, Dual<PrimeField>> T>(const Arrays<T>& in,
                                                                          const Settings& settings) {
              return output_of(ta::polynomial_causal(input_of(in), polynomial_of<T>(settings)));
            })
      .form("recurrent", "causal: prefix sums of each source, multiplied",
            []<ForKernel<Counted<double>, PrimeField, Degree, Rational, Dual<PrimeField>> T>(
                const Arrays<T>& in, const Settings& settings) {
              const ta::Input<T> input = input_of(in);
              const px::Polynomial<T> c = polynomial_of<T>(settings);
              return output_of(ta::recurrent(input, c, ta::empty_memory(input, c)).output);
            });
}

// ---- what the laws share -----------------------------------------------------------------------

/// Positive coefficients of any size.
template <class AnyTrial>
auto drawn_polynomial(const AnyTrial& trial, const std::string& name, Index degree) {
  using T = ScalarOf<AnyTrial>;
  const auto drawn = trial.array(name, {degree + 1}, Domain::positive);
  return px::Polynomial<T>(drawn.values().begin(), drawn.values().end());
}

/// Positive queries and keys, of sources of different lengths: any polynomial with positive coefficients has
/// positive weights.
template <class AnyTrial>
auto positive_input(const AnyTrial& trial, bool equal_lengths) {
  using T = ScalarOf<AnyTrial>;
  const Index length = trial.size("n"), channels = trial.size("d"), width = trial.size("d_v");
  ta::Input<T> in{trial.array("positive query", {length, channels}, Domain::positive),
                  {},
                  trial.number("positive scale", Domain::positive)};
  for (Index s = 0; s < trial.size("sources"); ++s) {
    const std::string name = "source " + std::to_string(s);
    const Index tokens = equal_lengths ? length : trial.integer(name + " length", 1, length);
    in.sources.push_back({trial.array(name + " key", {tokens, channels}, Domain::positive),
                          trial.array(name + " value", {tokens, width})});
  }
  return in;
}

/// The rows of a matrix in the order first, first + 1, ..., wrapped around.
template <class T>
Array<T> rotated(const Array<T>& array, Index first) {
  Array<T> result(array.shape());
  for (Index t = 0; t < array.extent(0); ++t) {
    for (Index l = 0; l < array.extent(1); ++l) result(t, l) = array((t + first) % array.extent(0), l);
  }
  return result;
}

template <class T>
ta::Source<T> ones(Index tokens, Index channels, Index width) {
  return {Array<T>({tokens, channels}, T(1)), Array<T>({tokens, width}, T(1))};
}

/// Two tokens, two sources, two channels of keys and of values.
template <Field T>
ta::Input<T> example_input() {
  return {Array<T>::matrix({{T(1), T(2)}, {T(-1), T(1)}}),
          {{Array<T>::matrix({{T(1), T(0)}, {T(1), T(1)}}), Array<T>::matrix({{T(1), T(2)}, {T(3), T(-1)}})},
           {Array<T>::matrix({{T(1), T(1)}, {T(0), T(-1)}}), Array<T>::matrix({{T(2), T(1)}, {T(1), T(1)}})}},
          ta::paper_scale<T>(2)};
}

void identities(EntryBuilder& entry) {
  entry.standard(laws::same("safe", "direct"))
      .standard(laws::same("online", "direct"))
      .standard(laws::same("materialised", "direct"))
      .standard(laws::same("factored", "polynomial_direct"))
      .standard(laws::same("recurrent", "polynomial_causal"))
      .standard(laws::causal("causal", "n"))
      .standard(laws::causal("recurrent", "n"))
      .law<PrimeField>(
          Kind::same, "any polynomial, sources of different lengths",
          "factored equals polynomial_direct, and recurrent polynomial_causal, for any coefficients",
          [](auto& trial) {
            const auto c = drawn_polynomial(trial, "c", trial.integer("degree", 0, 4));
            const auto in = positive_input(trial, false), equal = positive_input(trial, true);
            trial.equal(ta::factored(in, c), ta::polynomial_direct(in, c), "factored");
            trial.equal(ta::recurrent(equal, c, ta::empty_memory(equal, c)).output,
                        ta::polynomial_causal(equal, c), "recurrent");
          })
      .law<PrimeField>(
          Kind::same, "split: recurrent",
          "recurrent run in two parts, the second from the memories that the first left, equals one run",
          [](auto& trial) {
            const auto c = drawn_polynomial(trial, "c", trial.integer("degree", 0, 3));
            const auto in = positive_input(trial, true);
            const Index length = trial.size("n"), cut = trial.integer("cut", 1, length);
            const auto whole = ta::recurrent(in, c, ta::empty_memory(in, c));
            auto part = in;
            const auto take = [&](Index first, Index last) {
              part.query = rows(in.query, first, last);
              for (std::size_t s = 0; s < in.sources.size(); ++s) {
                part.sources[s] = {rows(in.sources[s].key, first, last),
                                   rows(in.sources[s].value, first, last)};
              }
            };
            take(0, cut);
            const auto head = ta::recurrent(part, c, ta::empty_memory(in, c));
            trial.equal(head.output, rows(whole.output, 0, cut), "first part");
            if (cut == length) return;
            take(cut, length);
            const auto tail = ta::recurrent(part, c, head.memory);
            trial.equal(tail.output, rows(whole.output, cut, length), "second part");
            for (std::size_t s = 0; s < in.sources.size(); ++s) {
              trial.equal(tail.memory[s].state, whole.memory[s].state, "G");
              trial.equal(tail.memory[s].normaliser, whole.memory[s].normaliser, "z");
            }
          })
      .law<PrimeField>(
          Kind::same, "a score tensor of low rank",
          "p(x) is the sum over all monomials of U_0 U_1 ... U_(k-1), and the weights may stand with a key",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index degree = trial.integer("degree", 0, 4), channels = trial.size("d");
            const auto signed_c = trial.array("signed c", {degree + 1});
            const px::Polynomial<T> c(signed_c.values().begin(), signed_c.values().end());
            const ta::Input<T> in = input_of(trial.in);
            const auto weights = px::monomial_weights(c, channels);
            const Array<T> scaled = ta::scaled_query(in), weighted = ta::query_features(in, c);
            std::vector<T> with_query, with_key = px::monomials(std::as_const(scaled).row(0), degree);
            for (const T& x : weighted.row(0)) with_query.push_back(x);
            std::vector<T> product(scaled.row(0).begin(), scaled.row(0).end());
            for (std::size_t s = 0; s < in.sources.size(); ++s) {
              const auto key = px::monomials(in.sources[s].key.row(0), degree);
              for (std::size_t a = 0; a < key.size(); ++a) {
                with_query[a] *= key[a];
                with_key[a] *= s == 0 ? T(weights[a] * key[a]) : key[a];
              }
              for (Index l = 0; l < channels; ++l) product[l] *= in.sources[s].key(0, l);
            }
            T score(0), by_query(0), by_key(0);
            for (const T& x : product) score += x;
            for (const T& x : with_query) by_query += x;
            for (const T& x : with_key) by_key += x;
            trial.equal(by_query, px::horner(c, score), "weights with the query");
            trial.equal(by_key, px::horner(c, score), "weights with a key");
          })
      .law<PrimeField>(Kind::same, "products of Khatri-Rao products",
                       "(U_2 o U_3)^T (V_1 o V_2) = (U_2^T V_1) * (U_3^T V_2): the sum over pairs factors",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         const Index n_1 = trial.size("n"), n_2 = trial.integer("other length", 1, n_1);
                         const Index r = trial.size("d"), width = trial.size("d_v");
                         const auto u = trial.array("u", {n_1, r}), w = trial.array("w", {n_2, r});
                         const auto a = trial.array("a", {n_1, width}), b = trial.array("b", {n_2, width});
                         const Array<T> pairs = ta::khatri_rao(u, w);
                         for (Index j_1 = 0; j_1 < n_1; ++j_1) {
                           for (Index j_2 = 0; j_2 < n_2; ++j_2) {
                             trial.equal(pairs(j_1 + j_2 * n_1, 0), u(j_1, 0) * w(j_2, 0),
                                         "j_1 runs fastest");
                           }
                         }
                         const auto cross = [](const Array<T>& x, const Array<T>& y, Index i, Index j) {
                           T sum(0);
                           for (Index t = 0; t < x.extent(0); ++t) sum += x(t, i) * y(t, j);
                           return sum;
                         };
                         for (Index i = 0; i < r; ++i) {
                           for (Index j = 0; j < width; ++j) {
                             trial.equal(cross(pairs, ta::khatri_rao(a, b), i, j),
                                         cross(u, a, i, j) * cross(w, b, i, j), "entry");
                           }
                         }
                       });
}

void limits(EntryBuilder& entry) {
  const auto attention_inputs = []<class T>(const ta::Input<T>& input, const ta::Source<T>& source) {
    Arrays<T> other;
    other.real["query"] = input.query;
    other.real["key"] = source.key;
    other.real["value"] = source.value;
    other.real["scale"] = Array<T>(Shape{}, input.scale);
    return other;
  };
  entry
      .limit<RationalExp2>(
          "softmax_attention", "of order 2 is softmax attention",
          "One source: direct is softmax attention with the scale of the scores, and causal its causal form",
          [attention_inputs](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            ta::Input<T> in = input_of(trial.in);
            in.sources.resize(1);
            const Index length = trial.size("n");
            const auto other = attention_inputs(in, in.sources.front());
            for (const Index mask : {0, 1}) {
              const auto truth = trial.run_other("softmax_attention", "safe", other,
                                                 {{"n_q", length}, {"n_k", length}, {"mask", mask}});
              trial.equal(mask == 0 ? ta::direct(in) : ta::causal(in), truth["output"], "output");
            }
          })
      .limit<RationalExp2>(
          "softmax_attention", "with a second source of ones is softmax attention",
          "A source whose keys and values are all 1 has no effect, wherever it stands",
          [attention_inputs](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const ta::Input<T> drawn = input_of(trial.in);
            const Index length = trial.size("n");
            const auto one = ones<T>(trial.integer("other length", 1, 3), trial.size("d"), trial.size("d_v"));
            const auto truth =
                trial.run_other("softmax_attention", "safe", attention_inputs(drawn, drawn.sources.front()),
                                {{"n_q", length}, {"n_k", length}})["output"];
            trial.equal(ta::direct(ta::Input<T>{drawn.query, {drawn.sources.front(), one}, drawn.scale}),
                        truth, "after");
            trial.equal(ta::direct(ta::Input<T>{drawn.query, {one, drawn.sources.front()}, drawn.scale}),
                        truth, "before");
          })
      .limit<PrimeField>(
          "polynomial_exp", "of order 2 with a polynomial is attention with that polynomial",
          "One source: factored and recurrent are those of polynomial_exp",
          [attention_inputs](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index degree = trial.integer("degree", 0, 4);
            auto c = drawn_polynomial(trial, "c", degree);
            c[0] = T(1);
            auto in = positive_input(trial, true);
            in.sources.resize(1);
            auto other = attention_inputs(in, in.sources.front());
            other.real["coefficient"] = Array<T>({degree}, std::vector<T>(c.begin() + 1, c.end()));
            trial.equal(ta::factored(in, c), trial.run_other("polynomial_exp", "direct", other)["output"],
                        "all");
            trial.equal(ta::recurrent(in, c, ta::empty_memory(in, c)).output,
                        trial.run_other("polynomial_exp", "direct_causal", other)["output"], "causal");
          })
      .limit<PrimeField>(
          "linear_attention", "of order 2 with a polynomial is linear attention on monomials",
          "One source: the weights are inner products of monomials", [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto c = drawn_polynomial(trial, "c", trial.integer("degree", 1, 3));
            auto in = positive_input(trial, true);
            in.sources.resize(1);
            Arrays<T> other;
            other.real["query"] = ta::query_features(in, c);
            other.real["key"] =
                linear_attention::mapped(px::KeyFeatures{ta::degree_of(c)}, in.sources.front().key);
            other.real["value"] = in.sources.front().value;
            trial.equal(ta::polynomial_direct(in, c),
                        trial.run_other("linear_attention", "noncausal", other)["output"], "all");
            trial.equal(ta::polynomial_causal(in, c),
                        trial.run_other("linear_attention", "recurrent", other)["output"], "causal");
          });
}

void invariants(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(
          Kind::invariant, "the order of tokens and sources",
          "Rotating the tokens of each source by its own amount, or reversing the sources, changes nothing; "
          "rotating queries rotates outputs",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const ta::Input<T> in = input_of(trial.in);
            const Array<T> truth = ta::direct(in);
            ta::Input<T> changed = in;
            for (std::size_t s = 0; s < in.sources.size(); ++s) {
              const Index by = trial.integer("rotation " + std::to_string(s), 0, 3);
              changed.sources[s] = {rotated(in.sources[s].key, by), rotated(in.sources[s].value, by)};
            }
            trial.equal(ta::direct(changed), truth, "each source rotated");
            changed.sources.assign(in.sources.rbegin(), in.sources.rend());
            trial.equal(ta::direct(changed), truth, "sources reversed");
            changed = in;
            changed.query = rotated(in.query, 1);
            trial.equal(ta::direct(changed), rotated(truth, 1), "queries");
          })
      .law<RationalExp2>(
          Kind::invariant, "a number added to all scores of a query",
          "One more channel, 1 in every key, adds its query entry times the scale to every score: no effect",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const ta::Input<T> in = input_of(trial.in);
            const auto wider = [&](const Array<T>& from, const auto& entry_of) {
              Array<T> to({from.extent(0), from.extent(1) + 1});
              for (Index t = 0; t < to.extent(0); ++t) {
                for (Index l = 0; l < from.extent(1); ++l) to(t, l) = from(t, l);
                to(t, from.extent(1)) = entry_of(t);
              }
              return to;
            };
            ta::Input<T> shifted = in;
            const auto amount = trial.array("amount", {trial.size("n")}, Domain::logit);
            shifted.query = wider(in.query, [&](Index t) { return amount(t); });
            for (auto& source : shifted.sources) {
              source.key = wider(source.key, [](Index) { return T(1); });
            }
            trial.equal(ta::direct(shifted), ta::direct(in), "output");
          })
      .law<RationalExp2>(Kind::invariant, "queries of 0, and a single token",
                         "Queries of 0 read the product of the means of all sources; with one token a query "
                         "reads the product of its values",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           ta::Input<T> in = input_of(trial.in);
                           const auto c = px::taylor<T>(2 * trial.size("half_degree"));
                           Array<T> product({1, trial.size("d_v")}, T(1)), means = product;
                           for (const auto& source : in.sources) {
                             for (Index l = 0; l < trial.size("d_v"); ++l) {
                               T sum(0);
                               for (Index j = 0; j < trial.size("n"); ++j) sum += source.value(j, l);
                               means(0, l) *= sum / T(trial.size("n"));
                               product(0, l) *= source.value(0, l);
                             }
                           }
                           ta::Input<T> silent = in;
                           silent.query = Array<T>({1, trial.size("d")});
                           trial.equal(ta::direct(silent), means, "queries of 0");
                           trial.equal(ta::factored(silent, c), means, "queries of 0, polynomial");
                           in.query = rows(in.query, 0, 1);
                           for (auto& source : in.sources)
                             source = {rows(source.key, 0, 1), rows(source.value, 0, 1)};
                           trial.equal(ta::online(in), product, "one token");
                           trial.equal(ta::factored(in, c), product, "one token, polynomial");
                         })
      .law<RationalExp2>(Kind::invariant, "an output is an average",
                         "With an even Taylor polynomial weights are positive, so that every output lies "
                         "between the least and the largest product of values",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const ta::Input<T> in = input_of(trial.in);
                           const auto output = trial.run("factored")["output"];
                           for (Index l = 0; l < trial.size("d_v"); ++l) {
                             T least(0), largest(0);
                             bool first = true;
                             const std::vector<T> one(static_cast<std::size_t>(trial.size("d_v")), T(1));
                             ta::for_each_tuple(in, 0, trial.size("n"), {}, one,
                                                [&](const T&, const std::vector<T>& value) {
                                                  const T& v = value[static_cast<std::size_t>(l)];
                                                  least = first || v < least ? v : least;
                                                  largest = first || largest < v ? v : largest;
                                                  first = false;
                                                });
                             for (Index i = 0; i < trial.size("n"); ++i) {
                               trial.expect(least <= output(i, l) && output(i, l) <= largest, "outside");
                             }
                           }
                         });
}

void bounds(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::bound, "small entries need small degrees",
          "Entries of modulus at most B have scores up to B^k with the scale 1 / d; then every output of "
          "degree g is off by at most the stated fraction of the range of the products of values",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), channels = trial.size("d");
            const T entry_bound = T(7) / T(8) * trial.number("B", Domain::open_gate);
            const auto small = [&](const std::string& name, const Shape& shape) {
              Array<T> array = trial.array(name, shape, Domain::gate);
              for (T& x : array.values()) x = entry_bound * (T(2) * x - T(1));
              return array;
            };
            ta::Input<T> in{small("small query", {length, channels}), {}, ta::paper_scale<T>(channels)};
            for (Index s = 0; s < trial.size("sources"); ++s) {
              const std::string name = "small source " + std::to_string(s);
              in.sources.push_back({small(name + " key", {length, channels}),
                                    small(name + " value", {length, trial.size("d_v")})});
            }
            const T score = ta::largest_score(entry_bound, trial.size("sources") + 1);
            const Array<T> query = ta::scaled_query(in);
            const std::vector<T> one(static_cast<std::size_t>(trial.size("d_v")), T(1));
            std::vector<T> least = one, largest;
            bool first = true;
            for (Index i = 0; i < length; ++i) {
              ta::for_each_tuple(in, 0, length, std::vector<T>(query.row(i).begin(), query.row(i).end()), one,
                                 [&](const T& x, const std::vector<T>& value) {
                                   trial.at_most(maximum(x, T(-x)), score, "score");
                                   if (first) least = largest = value;
                                   first = false;
                                   for (std::size_t l = 0; l < value.size(); ++l) {
                                     largest[l] = maximum(largest[l], value[l]);
                                     least[l] = -maximum(T(-least[l]), T(-value[l]));
                                   }
                                 });
            }
            const Array<T> truth = ta::safe(in);
            for (Index degree = 1; degree <= 4; ++degree) {
              if (!(px::taylor_relative_error(score, degree) < T(1))) continue;
              const Array<T> found = ta::factored(in, px::taylor<T>(degree));
              const T fraction = ta::output_error(score, degree);
              for (Index i = 0; i < length; ++i) {
                for (Index l = 0; l < trial.size("d_v"); ++l) {
                  const T error = found(i, l) - truth(i, l);
                  const T range = largest[static_cast<std::size_t>(l)] - least[static_cast<std::size_t>(l)];
                  trial.at_most(maximum(error, T(-error)), fraction * range, "output");
                }
              }
            }
          })
      .once(Kind::bound, "the bound is attained",
            "Scores +-X, where the Taylor polynomial of even degree errs most and least: with weights chosen "
            "to balance, the error is within a hundredth of what relative errors of that size can do at best",
            [](auto& check) {
              // Two tuples with relative errors e_1 > 0 at -X and e_2 < 0 at X and true weights w and 1 - w;
              // the best w makes the error largest: a grid finds it.
              const Real50 score = 1;
              for (const Index degree : {2, 4}) {
                const auto c = px::taylor<Real50>(degree);
                const Real50 low = px::horner(c, Real50(-score)) / exp(-score) - 1;
                const Real50 high = px::horner(c, score) / exp(score) - 1;
                Real50 worst = 0;
                for (Index i = 1; i < 1000; ++i) {
                  const Real50 w = Real50(i) / 1000;
                  const Real50 found = w * (1 + low) / (w * (1 + low) + (1 - w) * (1 + high));
                  worst = maximum(worst, Real50(abs(found - w)));
                }
                const Real50 ratio = sqrt((1 + low) / (1 + high));  // e^eta of the lemma
                const Real50 best = (ratio - 1) / (ratio + 1);
                check.expect(worst <= best && worst > best * Real50("0.99"), "balanced weights");
                check.expect(best <= ta::output_error(score, degree), "the lemma covers it");
              }
            })
      .once(Kind::converges, "higher degrees converge to the exponential",
            "Once the degree exceeds the largest score the error falls with every degree, below the stated "
            "bound",
            [](auto& check) {
              const auto in = example_input<Real50>();
              const Array<Real50> truth = ta::direct(in);
              const Real50 score("1.5"), range = 7;  // products of values from -1 to 6
              Real50 before = 0;
              for (Index degree = 0; degree <= 20; ++degree) {
                const Real50 error = error_metrics::largest_entry(
                    error_metrics::difference(ta::factored(in, px::taylor<Real50>(degree)), truth));
                check.expect(degree < 3 || error < before, "falls at degree " + std::to_string(degree));
                if (px::taylor_relative_error(score, degree) < 1) {
                  check.expect(error <= ta::output_error(score, degree) * range, "bound");
                }
                before = error;
              }
            });
}

void traps(EntryBuilder& entry) {
  entry
      .once(Kind::invariant, "a polynomial notices a common shift of the scores",
            "e^(x + a) = e^a e^x, so exact attention does not change when a number is added to all scores; "
            "with degree 2 it does",
            [](auto& check) {
              using R = RationalExp2;
              ta::Input<R> in{
                  Array<R>::matrix({{R(1), R(0)}}),
                  {{Array<R>::matrix({{R(1), R(1)}, {R(2), R(1)}}), Array<R>::matrix({{R(1)}, {R(0)}})}},
                  R(1)};
              const auto c = px::taylor<R>(2);
              const R before = ta::factored(in, c)(0, 0);
              in.query(0, 1) = R(1);
              check.expect(ta::factored(in, c)(0, 0) != before, "shifted by 1");
            })
      .once(Kind::invariant, "odd degrees can fail, and say so",
            "Weights that add up to 0 are an error that names the query and the degree",
            [](auto& check) {
              using R = RationalExp2;
              const ta::Source<R> source{Array<R>({1, 1}, R(1)), Array<R>({1, 1}, R(5))};
              const ta::Input<R> in{Array<R>({1, 1}, R(-1)), {source, source}, R(1)};
              for (const bool direct : {true, false}) {
                std::string message;
                try {
                  direct ? ta::polynomial_direct(in, px::taylor<R>(1)) : ta::factored(in, px::taylor<R>(1));
                } catch (const std::domain_error& error) {
                  message = error.what();
                }
                check.expect(message.find("query 0") != std::string::npos &&
                                 message.find("degree 1 is odd") != std::string::npos,
                             "message: " + message);
              }
            })
      .once(Kind::erratum, "the rank in the paper and the monomials that occur",
            "For 8 channels and degree 3 the paper's bounds on the rank are 74 613 for order 2 and 38 567 "
            "100 for order 3; 165 monomials occur",
            [](auto& check) {
              check.equal(px::monomial_count(8, 3), Index{165}, "monomials");
              check.equal(ta::paper_rank(8, 3, 2), Index{74613}, "order 2");
              check.equal(ta::paper_rank(8, 3, 3), Index{38567100}, "order 3");
            })
      .once(Kind::erratum, "the scale that the abstract omits",
            "Without 1 / d, as in the abstract's formula, the worked example has other outputs",
            [](auto& check) {
              auto in = example_input<Real50>();
              const Real50 with = ta::direct(in)(0, 0);
              in.scale = 1;
              check.expect(abs(Real50(ta::direct(in)(0, 0) - with)) > 1, "differs by more than 1");
            });
}

void costs(EntryBuilder& entry) {
  const Expression two = min(1, sources - 1), three = max(0, sources - 2);      // 1 where there are as many
  const Expression tuples = n * n * (1 + two * (n - 1) + three * n * (n - 1));  // n^k
  const Expression partial = n * n * (1 + two * n + three * n * n);             // n^2 + ... + n^k
  const Expression some = min(1, half), more = max(0, half - 1);
  const Expression of_two = d * (d + 1) / 2, of_three = d * (d + 1) * (d + 2) / 6,
                   of_four = d * (d + 1) * (d + 2) * (d + 3) / 24;
  const Expression products = some * of_two + more * (of_three + of_four);  // monomials made by a product
  const Expression others = some * d + products;                            // r - 1
  // Of the weights 1 / mu! those of monomials without a repeated channel are 1.
  const Expression plain =
      some * (d * (d - 1) / 2) + more * (d * (d - 1) * (d - 2) / 6 + d * (d - 1) * (d - 2) * (d - 3) / 24);
  const Expression weighted = products - plain;
  const Expression literal = (1 - some) * (1 - min(1, n - 1));  // one token and degree 0: divided by 1
  Cost direct("direct");
  direct.multiplications = n * d + (d + d_v) * partial;
  direct.additions = tuples * (d - 1) + (d_v + 1) * (tuples - n);
  direct.divisions = n * d_v;
  direct.exponentials = tuples;
  direct.functions = 0;
  direct.comparisons = 0;
  direct.depth = d + 2 + 2 * sources + sources * (n - 1);
  direct.free_depth = ceil_log2(d) + 3 + 2 * sources + sources * ceil_log2(n);
  direct.state = d_v + 1;
  Cost safe = direct;
  safe.form = "safe";
  safe.multiplications = n * d + (2 * d + d_v) * partial;
  safe.additions = 2 * tuples * (d - 1) + (d_v + 1) * (tuples - n) + tuples;
  safe.comparisons = tuples - n;
  safe.depth.reset();
  safe.free_depth.reset();
  Cost by_polynomial = safe;
  by_polynomial.form = "polynomial_direct";
  by_polynomial.multiplications =
      n * d + d * partial + d_v * (partial - tuples + some * tuples) + 2 * half * tuples;
  by_polynomial.additions = tuples * (d - 1) + d_v * (tuples - n) + some * (tuples - n) + 2 * half * tuples;
  by_polynomial.exponentials = 0;
  by_polynomial.comparisons = some * n;
  by_polynomial.divisions = n * d_v - literal * d_v;
  Cost factored("factored");
  factored.multiplications = n * d + n * (products + weighted)          // features of queries
                             + sources * n * (products + others * d_v)  // those of keys, and G
                             + (sources - 1) * ((others + 1) * d_v + others) + n * others * (d_v + 1);
  factored.additions = sources * (n - 1) * ((others + 1) * d_v + others) + n * others * (d_v + 1);
  factored.divisions = n * d_v - literal * d_v;
  factored.exponentials = factored.functions = 0;
  factored.comparisons = some * n;
  factored.state = sources * (others + 1) * (d_v + 1);
  Cost recurrent = factored;
  recurrent.form = "recurrent";
  recurrent.multiplications = n * d + n * (products + weighted) + sources * n * (products + others * d_v) +
                              n * (sources - 1) * ((others + 1) * d_v + others) + n * others * (d_v + 1);
  recurrent.divisions = n * d_v - (1 - some) * d_v;  // the first token of degree 0
  entry.cost(direct).cost(safe).cost(by_polynomial).cost(factored).cost(recurrent);
  std::vector<Settings> grid;
  for (Index length = 4; length <= 64; length *= 2) {
    grid.push_back({{"n", length}, {"sources", 2}, {"d", 8}, {"d_v", 8}, {"half_degree", 1}});
  }
  entry.scale("pairs of keys, 8 channels, degree 2", grid);
}

void examples(EntryBuilder& entry) {
  entry.example("worked example", "Two tokens, two sources, scale 1/2", [](auto& check) {
    const auto exact = example_input<RationalExp2>();
    const auto of = [](int a, int b) { return RationalExp2(a) / RationalExp2(b); };
    check.equal(ta::factored(exact, px::taylor<RationalExp2>(2)),
                Array<RationalExp2>::matrix({{of(110, 27), of(1, 6)}, {of(81, 26), of(1, 2)}}), "degree 2");
    check.equal(ta::factored(exact, px::taylor<RationalExp2>(4)),
                Array<RationalExp2>::matrix({{of(2036, 475), of(67, 950)}, {of(3853, 1234), of(1, 2)}}),
                "degree 4");
    const auto weight = [](const RationalExp2& x) { return px::horner(px::taylor<RationalExp2>(2), x); };
    check.equal(ta::sums_over_tuples(exact, weight, ta::all_tokens(exact)).denominator,
                Array<RationalExp2>::vector({of(27, 4), of(13, 4)}), "D, degree 2");
    const auto in = example_input<Real50>();
    const Array<Real50> output = ta::direct(in);
    const char* const printed[] = {"4.306477373488", "0.05973015752917", "3.122459331202", "0.5"};
    for (std::size_t i = 0; i < 4; ++i) check.digits(output.values()[i], printed[i], "o");
    const auto sums = ta::sums_over_tuples(in, ta::Exponentials(), ta::all_tokens(in));
    check.digits(sums.denominator(0), "7.49828978221", "D of query 1");
    check.digits(sums.denominator(1), "3.213061319425", "D of query 2");
    const std::pair<Index, const char*> errors[] = {
        {2, "0.2324"}, {4, "0.02016"}, {6, "9.680e-4"}, {10, "5.625e-7"}};
    for (const auto& [degree, error] : errors) {
      check.digits(error_metrics::largest_entry(
                       error_metrics::difference(ta::factored(in, px::taylor<Real50>(degree)), output)),
                   error, "worst error of degree " + std::to_string(degree));
    }
  });
}

const Registration<EntryBuilder> registration{"tensor_attention", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                limits(entry);
                                                invariants(entry);
                                                bounds(entry);
                                                traps(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
