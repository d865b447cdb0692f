/// \file
/// The entry of the random tools: forms, laws, costs. Its text is
/// `reference/approximation/approximate_matmul_and_sketch.hpp`. Expectations are sums over all outcomes.
#include "reference/approximation/approximate_matmul_and_sketch.hpp"

#include <cmath>
#include <limits>
#include <numbers>
#include <set>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

namespace sketch = approximate_matmul_and_sketch;

const Expression n = symbol("n"), p = symbol("p"), q = symbol("q"), m = symbol("m");

/// A field that a form is read in which is here to be compared with others: double precision, the oracle, and
/// the types `Also` that its laws are decided in. Any further type would be compiled and decide nothing.
template <class T, class... Also>
concept ForTool = Field<T> && contains<T, TypeList<double, Real50, Real100, Bounded<Real50>, Also...>>;

/// The same for a form that kernels run: also in all formats that numbers are stored in.
template <class T, class... Also>
concept ForKernel =
    ForTool<T, Also...> || contains<T, StorageScalars> || contains<T, TypeList<float, Counted<double>>>;

/// Whole numbers between low and high, drawn from the seed of the case.
Array<Index> draw_indices(const Case& one, const char* name, const Shape& shape, Index low, Index high) {
  Array<Index> drawn(shape);
  for (Index i = 0; i < drawn.size(); ++i) {
    const auto range = static_cast<std::uint64_t>(high - low + 1);
    drawn.values()[static_cast<std::size_t>(i)] =
        low + static_cast<Index>(hash({one.seed, name, i}, 1) % range);
  }
  return drawn;
}

/// Signs, 1 or -1.
Array<Index> draw_signs(const Case& one, const char* name, const Shape& shape) {
  Array<Index> drawn = draw_indices(one, name, shape, 0, 1);
  for (Index& sign : drawn.values()) sign = 2 * sign - 1;
  return drawn;
}

/// The first `count` of 0 ... length - 1 after a shuffle.
Array<Index> draw_subset(const Case& one, Index length, Index count) {
  std::vector<Index> order;
  for (Index i = 0; i < length; ++i) order.push_back(i);
  for (Index i = 0; i < count; ++i) {
    const auto rest = static_cast<std::uint64_t>(length - i);
    const auto swap = static_cast<std::size_t>(i) + hash({one.seed, "subset", i}, 1) % rest;
    std::swap(order[static_cast<std::size_t>(i)], order[swap]);
  }
  return Array<Index>({count}, std::vector<Index>(order.begin(), order.begin() + count));
}

void describe(EntryBuilder& entry) {
  const auto size = [](const Case& one, const char* name) { return at(one.settings, name); };
  entry
      .about("approximation", "Sampled products, sketches and hashes",
             "A product of matrices from a few of its terms or from short projections, and hashes that bring "
             "similar vectors together: the random tools of approximate attention.",
             {"drineas2006matrix", "johnson1984extensions", "ailon2009fast", "tropp2011srht",
              "charikar2002similarity", "andoni2015lsh", "nemirovsky1983problem"})
      .size("n", 60, 6)
      .size("p", 3, 2)
      .size("q", 3, 2)
      .size("m", 7, 4)
      .input("X", {p, n}, Domain::any, "left factor")
      .input("Y", {n, q}, Domain::any, "right factor")
      .index_input("samples", {m}, "inner indices that were drawn, with replacement",
                   [size](const Case& one) {
                     return draw_indices(one, "samples", {size(one, "m")}, 0, size(one, "n") - 1);
                   })
      .index_input("weights", {n}, "whole numbers above 0; indices are drawn in proportion to them",
                   [size](const Case& one) { return draw_indices(one, "weights", {size(one, "n")}, 1, 4); })
      .index_input("subset", {min(m, n)}, "different inner indices",
                   [size](const Case& one) {
                     return draw_subset(one, size(one, "n"), std::min(size(one, "m"), size(one, "n")));
                   })
      .index_input("signs", {m, n}, "1 or -1: the sign sketch",
                   [size](const Case& one) {
                     return draw_signs(one, "signs", {size(one, "m"), size(one, "n")});
                   })
      .index_input("flips", {n}, "1 or -1: the signs of the Hadamard sketch",
                   [size](const Case& one) { return draw_signs(one, "flips", {size(one, "n")}); })
      .index_input("rows", {m}, "rows of the Hadamard matrix, below the next power of two of n",
                   [size](const Case& one) {
                     const Index length = sketch::padded_length(size(one, "n"));
                     return draw_indices(one, "rows", {size(one, "m")}, 0, length - 1);
                   })
      .output("product", {p, q}, "the product or its approximation");
}

void forms(EntryBuilder& entry) {
  entry
      .form("sampled", "the definition: drawn terms over their probabilities, averaged",
            []<ForKernel<Traced, PrimeField, Degree, Rational, RationalExp2, Dual<PrimeField>> T>(
                const Arrays<T>& in, const Settings&) {
              const auto probability = sketch::weights_probability<T>(in.index.at("weights"));
              return output_of(sketch::sampled(in["X"], in["Y"], in.index.at("samples"), probability),
                               "product");
            })
      .form("by_counts", "the same by how often each index was drawn",
            []<ForTool<PrimeField, Degree, Rational, Dual<PrimeField>> T>(const Arrays<T>& in,
                                                                          const Settings&) {
              const auto probability = sketch::weights_probability<T>(in.index.at("weights"));
              return output_of(sketch::by_counts(in["X"], in["Y"], in.index.at("samples"), probability),
                               "product");
            })
      .form("matrix", "the same as X S^T S Y",
            []<ForTool<Dual<Bounded<Real50>>> T>(const Arrays<T>& in, const Settings&) {
              const auto S = sketch::sampling_matrix(in.index.at("samples"),
                                                     sketch::weights_probability<T>(in.index.at("weights")));
              return output_of(sketch::product(sketch::product(in["X"], sketch::transposed(S)),
                                               sketch::product(S, in["Y"])),
                               "product");
            })
      .form("row_norm", "sampled with probabilities from the squared rows of Y",
            []<ForKernel<RationalExp2, Dual<RationalExp2>> T>(const Arrays<T>& in, const Settings&) {
              return output_of(sketch::row_norm_sampled(in["X"], in["Y"], in.index.at("samples")), "product");
            })
      .form("without_replacement", "uniform, no index twice",
            []<ForKernel<RationalExp2, Dual<PrimeField>> T>(const Arrays<T>& in, const Settings&) {
              return output_of(sketch::without_replacement(in["X"], in["Y"], in.index.at("subset")),
                               "product");
            })
      .form("sign_sketch", "both factors projected by random signs",
            []<ForKernel<Traced, RationalExp2, Dual<PrimeField>> T>(const Arrays<T>& in, const Settings&) {
              return output_of(sketch::sign_sketched(in["X"], in["Y"], in.index.at("signs")), "product");
            })
      .form("srht", "both factors projected by rows of a randomised Hadamard transform, by butterflies",
            []<ForKernel<PrimeField, Degree, Rational, RationalExp2, Dual<PrimeField>> T>(const Arrays<T>& in,
                                                                                          const Settings&) {
              return output_of(sketch::srht(in["X"], in["Y"], in.index.at("flips"), in.index.at("rows")),
                               "product");
            })
      .form("srht_dense", "the same with the rows written out",
            []<ForTool<Traced, Counted<double>, PrimeField, Degree, Rational, Dual<PrimeField>> T>(
                const Arrays<T>& in, const Settings&) {
              return output_of(
                  sketch::srht_dense(in["X"], in["Y"], in.index.at("flips"), in.index.at("rows")), "product");
            })
      .form("exact", "the product itself",
            []<ForTool<Traced, Counted<double>, RationalExp2, Dual<PrimeField>> T>(const Arrays<T>& in,
                                                                                   const Settings&) {
              return output_of(sketch::product(in["X"], in["Y"]), "product");
            });
}

// ---- all outcomes ------------------------------------------------------------------------------

/// Calls with every list of `length` numbers below `n`.
template <class F>
void for_each_list(Index choices, Index length, F&& with) {
  Array<Index> list({length});
  for (;;) {
    with(std::as_const(list));
    Index place = 0;
    while (place < length && ++list(place) == choices) list(place++) = 0;
    if (place == length) return;
  }
}

/// Calls with every set of `count` of the numbers below `n`, in rising order.
template <class F>
void for_each_subset(Index choices, Index count, F&& with) {
  for_each_list(2, choices, [&](const Array<Index>& chosen) {
    std::vector<Index> members;
    for (Index k = 0; k < choices; ++k) {
      if (chosen(k) == 1) members.push_back(k);
    }
    if (static_cast<Index>(members.size()) == count) with(Array<Index>({count}, members));
  });
}

/// Exact moments of a random matrix around the truth, from its outcomes and their probabilities.
template <class T>
class Moments {
 public:
  explicit Moments(const Array<T>& truth)
      : truth_(truth), mean_(truth.shape()), entry_squares_(truth.shape()) {}

  void add(const T& probability, const Array<T>& outcome) {
    mass_ += probability;
    for (std::size_t i = 0; i < truth_.values().size(); ++i) {
      const T error = outcome.values()[i] - truth_.values()[i];
      mean_.values()[i] += probability * outcome.values()[i];
      entry_squares_.values()[i] += probability * error * error;
    }
  }

  /// All outcomes were there, and their mean is the truth.
  template <class AnyTrial>
  void expect_unbiased(const AnyTrial& trial, const std::string& what) const {
    trial.equal(mass_, T(1), what + ", probability of all outcomes");
    trial.equal(mean_, truth_, what + ", mean");
  }
  T squared_error() const { return sketch::total(entry_squares_); }
  const Array<T>& entry_squares() const { return entry_squares_; }

 private:
  Array<T> truth_, mean_, entry_squares_;
  T mass_ = T(0);
};

/// Vectors of rational length: |size| times a rational point of the unit circle.
template <class AnyTrial>
auto rational_vectors(const AnyTrial& trial, const std::string& name, Index count) {
  using T = ScalarOf<AnyTrial>;
  struct Vectors {
    Array<T> row, norm;
  } vectors{Array<T>({count, 2}), Array<T>({count})};
  const auto size = trial.array(name + " size", {count}), h = trial.array(name + " half tangent", {count});
  for (Index k = 0; k < count; ++k) {
    const T below = T(1) + h(k) * h(k);
    vectors.row(k, 0) = size(k) * (T(1) - h(k) * h(k)) / below;
    vectors.row(k, 1) = size(k) * T(2) * h(k) / below;
    vectors.norm(k) = size(k) < T(0) ? -size(k) : size(k);
  }
  return vectors;
}

template <class T>
T probability_of(const Array<T>& probability, const Array<Index>& list) {
  T mass(1);
  for (const Index k : list.values()) mass *= probability(k);
  return mass;
}

/// The exact moments of independent samples.
template <class T>
Moments<T> sampling_moments(const Array<T>& X, const Array<T>& Y, const Array<T>& probability, Index count) {
  Moments<T> moments(sketch::product(X, Y));
  for_each_list(Y.extent(0), count, [&](const Array<Index>& list) {
    const T mass = probability_of(probability, list);
    if (T(0) < mass) moments.add(mass, sketch::sampled(X, Y, list, probability));
  });
  return moments;
}

/// What |X|^2 |Y|^2 counts and the error of sampling by row norms does not: a_k |Y|^2 for rows of zeros.
template <class T>
T unseen(const Array<T>& X, const Array<T>& Y) {
  const Array<T> a = sketch::squared_row_norms(sketch::transposed(X)), b = sketch::squared_row_norms(Y);
  T sum(0);
  for (Index k = 0; k < Y.extent(0); ++k) {
    if (!(T(0) < b(k))) sum += a(k) * sketch::squared_frobenius(Y);
  }
  return sum;
}

void sampling_laws(EntryBuilder& entry) {
  entry.standard(laws::same("by_counts", "sampled"))
      .standard(laws::same("matrix", "sampled"))
      .standard(laws::same("srht", "srht_dense"))
      .law<Bounded<Real50>>(Kind::same, "the sampling matrix",
                            "Row s of S has one entry, 1 / sqrt(m pi_k) at the index k that sample s drew: "
                            "its square times m pi_k is 1",
                            [](auto& trial) {
                              using T = ScalarOf<decltype(trial)>;
                              const auto& samples = trial.in.index.at("samples");
                              const auto probability =
                                  sketch::weights_probability<T>(trial.in.index.at("weights"));
                              const auto S = sketch::sampling_matrix(samples, probability);
                              for (Index s = 0; s < trial.size("m"); ++s) {
                                for (Index k = 0; k < trial.size("n"); ++k) {
                                  const T drawn = S(s, k) * S(s, k) * T(trial.size("m")) * probability(k);
                                  trial.equal(drawn, T(samples(s) == k ? 1 : 0), "entry");
                                }
                              }
                            })
      .law<RationalExp2>(
          Kind::statistical, "sampling: mean, error, variance of an entry",
          "Over all n^m lists of samples the mean is X Y, the mean squared error (sum a b / pi - |X Y|^2) / "
          "m, and the variance of each entry as stated, for four choices of probabilities",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.integer("length", 1, 3), count = trial.integer("count", 1, 3);
            const auto x = rational_vectors(trial, "x", length), y = rational_vectors(trial, "y", length);
            const auto X = sketch::transposed(x.row), Y = y.row;
            const Array<T> uniform({length}, T(1) / T(length));
            const auto given = sketch::normalised(trial.array("weights", {length}, Domain::positive));
            const auto row_norm = sketch::row_norm_probability(Y);
            const auto optimal = sketch::optimal_probability(x.norm, y.norm);
            for (const auto& probability : {uniform, given, row_norm, optimal}) {
              const auto moments = sampling_moments(X, Y, probability, count);
              moments.expect_unbiased(trial, "sampled");
              trial.equal(moments.squared_error(), sketch::sampling_error(X, Y, probability, count), "error");
              for (Index i = 0; i < 2; ++i) {
                for (Index j = 0; j < 2; ++j) {
                  trial.equal(moments.entry_squares()(i, j),
                              sketch::entry_variance(X, Y, probability, count, i, j), "variance");
                }
              }
            }
          })
      .law<RationalExp2>(
          Kind::statistical, "sampling: closed forms of the error",
          "With row norms m times the error is |X|^2 |Y|^2 - |X Y|^2, with the optimal choice (sum |X_k| "
          "|Y_k|)^2 - |X Y|^2, which no other choice undercuts",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), count = trial.size("m");
            const auto x = rational_vectors(trial, "x", length), y = rational_vectors(trial, "y", length);
            const auto X = sketch::transposed(x.row), Y = y.row;
            const T squares = sketch::squared_frobenius(sketch::product(X, Y));
            const auto row_norm = sketch::row_norm_probability(Y);
            trial.equal(sketch::sampling_error(X, Y, row_norm, count) * T(count),
                        sketch::squared_frobenius(X) * sketch::squared_frobenius(Y) - squares - unseen(X, Y),
                        "row norms");
            T sum(0);
            for (Index k = 0; k < length; ++k) sum += x.norm(k) * y.norm(k);
            const auto optimal = sketch::optimal_probability(x.norm, y.norm);
            const T least = sketch::sampling_error(X, Y, optimal, count);
            trial.equal(least * T(count), sum * sum - squares, "optimal");
            const auto other = sketch::normalised(trial.array("weights", {length}, Domain::positive));
            trial.expect(least <= sketch::sampling_error(X, Y, other, count), "another choice is better");
            trial.expect(least <= sketch::sampling_error(X, Y, row_norm, count), "row norms are better");
          })
      .law<RationalExp2>(
          Kind::same, "row norms",
          "The form row_norm is sampling with the probabilities b_k / |Y|^2, wherever these are not 0; rows "
          "of zeros add nothing, and counting bears indices of probability 0 that nobody drew",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto probability = sketch::row_norm_probability(trial.in["Y"]);
            auto in = trial.in;
            Index zeros = 0;
            std::vector<Index> drawn;
            for (const Index k : trial.in.index.at("samples").values()) {
              if (T(0) < sketch::squared_row_norms(trial.in["Y"])(k)) {
                drawn.push_back(k);
              } else {
                ++zeros;
              }
            }
            const auto all = trial.run("row_norm")["product"];
            if (drawn.empty()) {
              trial.equal(all, Array<T>(all.shape()), "no term");
              return;
            }
            const auto count = static_cast<Index>(drawn.size());
            const Array<Index> possible({count}, drawn);
            auto expected = sketch::sampled(in["X"], in["Y"], possible, probability);
            trial.equal(sketch::by_counts(in["X"], in["Y"], possible, probability), expected, "by_counts");
            for (T& c : expected.values()) c *= T(count) / T(count + zeros);
            trial.equal(all, expected, "row_norm");
          })
      .law<RationalExp2>(
          Kind::statistical, "without replacement: mean and error",
          "Over all subsets the mean is X Y and the error (n - m) / (n - 1) of that of uniform sampling with "
          "replacement",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.integer("length", 1, 5), count = trial.integer("count", 1, length);
            const auto X = trial.array("left", {2, length}), Y = trial.array("right", {length, 2});
            Index subsets = 0;
            for_each_subset(length, count, [&](const Array<Index>&) { ++subsets; });
            Moments<T> moments(sketch::product(X, Y));
            for_each_subset(length, count, [&](const Array<Index>& subset) {
              moments.add(T(1) / T(subsets), sketch::without_replacement(X, Y, subset));
            });
            moments.expect_unbiased(trial, "without replacement");
            trial.equal(moments.squared_error(), sketch::without_replacement_error(X, Y, count), "error");
          })
      .law<RationalExp2>(Kind::invariant, "sampling without replacement can be exact",
                         "All indices once give X Y, in whatever order",
                         [](auto& trial) {
                           auto in = trial.in;
                           in.index["subset"] = draw_subset(trial.drawn(), trial.size("n"), trial.size("n"));
                           trial.equal(trial.run("without_replacement", in), trial.run("exact"));
                         })
      .law<RationalExp2>(Kind::invariant, "a single term",
                         "When only one term of the sum is not 0, sampling by row norms is exact for every "
                         "list that can be drawn",
                         [](auto& trial) {
                           auto in = trial.in;
                           const Index only = trial.integer("only", 0, trial.size("n") - 1);
                           for (Index k = 0; k < trial.size("n"); ++k) {
                             for (Index j = 0; j < trial.size("q"); ++j) {
                               in.real["Y"](k, j) = ScalarOf<decltype(trial)>(k == only ? j + 1 : 0);
                             }
                           }
                           for (Index& k : in.index["samples"].values()) k = only;
                           trial.equal(trial.run("row_norm", in), trial.run("exact", in));
                         });
}

void tail_laws(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(
          Kind::bound, "sampling: Markov",
          "Row norms: Pr[|C - X Y|_F > eps |X|_F |Y|_F] <= 1 / (m eps^2), over all lists (derived: Markov's "
          "inequality and the exact error)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.integer("length", 1, 3), count = trial.integer("count", 1, 4);
            const auto X = trial.array("left", {2, length}), Y = trial.array("right", {length, 2});
            const auto probability = sketch::row_norm_probability(Y);
            const T size = sketch::squared_frobenius(X) * sketch::squared_frobenius(Y);
            const Array<T> truth = sketch::product(X, Y);
            for (Index eighths = 1; eighths <= 8; ++eighths) {
              const T eps2 = T(eighths * eighths) / T(16);
              T mass(0);
              for_each_list(length, count, [&](const Array<Index>& list) {
                const T chance = probability_of(probability, list);
                if (!(T(0) < chance)) return;
                Array<T> error = sketch::row_norm_sampled(X, Y, list);
                for (std::size_t i = 0; i < error.values().size(); ++i)
                  error.values()[i] -= truth.values()[i];
                if (eps2 * size < sketch::squared_frobenius(error)) mass += chance;
              });
              trial.expect(mass * T(count) * eps2 <= T(1), "probability " + show(mass));
            }
          })
      .once(Kind::bound, "sampling: bounded differences",
            "Pr[|C - X Y|_F > M (1 + sqrt(2 log(1 / delta))) / sqrt(m)] <= delta with M = max |X_k| |Y_k| / "
            "pi_k (derived: McDiarmid's inequality), so also the published constant sqrt(8 log(1 / delta)), "
            "over all lists of up to 5 samples",
            [](auto& check) {
              using T = Real50;
              for (Index count = 1; count <= 5; ++count) {
                const auto numbers = [&](const char* name, const Shape& shape) {
                  Array<T> array(shape);
                  for (Index i = 0; i < array.size(); ++i) {
                    array.values()[static_cast<std::size_t>(i)] =
                        draw<T>({static_cast<std::uint64_t>(count), name, i}, Domain::any, Pattern::generic);
                  }
                  return array;
                };
                const Index length = 3;
                const auto X = numbers("left", {2, length}), Y = numbers("right", {length, 2});
                const auto a = sketch::norms(sketch::squared_row_norms(sketch::transposed(X)));
                const auto b = sketch::norms(sketch::squared_row_norms(Y));
                const auto probability = sketch::optimal_probability(a, b);
                T largest(0);
                for (Index k = 0; k < length; ++k) {
                  largest = maximum(largest, T(a(k) * b(k) / probability(k)));
                }
                const Array<T> truth = sketch::product(X, Y);
                std::vector<std::pair<T, T>> outcomes;  // error in units of M / sqrt(m), and its probability
                for_each_list(length, count, [&](const Array<Index>& list) {
                  Array<T> error = sketch::sampled(X, Y, list, probability);
                  for (std::size_t i = 0; i < error.values().size(); ++i)
                    error.values()[i] -= truth.values()[i];
                  outcomes.emplace_back(sqrt(sketch::squared_frobenius(error) * count) / largest,
                                        probability_of(probability, list));
                });
                for (const char* const share : {"0.9", "0.5", "0.1", "0.01"}) {
                  const T delta(share), derived = 1 + sqrt(-2 * log(delta)),
                                        published = 1 + sqrt(-8 * log(delta));
                  T beyond_derived(0), beyond_published(0);
                  for (const auto& [units, chance] : outcomes) {
                    if (units > derived) beyond_derived += chance;
                    if (units > published) beyond_published += chance;
                  }
                  check.expect(beyond_derived <= delta, "beyond the derived bound: " + show(beyond_derived));
                  check.expect(beyond_published <= delta,
                               "beyond the published one: " + show(beyond_published));
                }
              }
            })
      .law<RationalExp2>(
          Kind::bound, "operator norm",
          "|(C - X Y) w| <= |C - X Y|_F |w| for every w: the operator norm never exceeds the Frobenius norm",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto error = trial.run("sampled")["product"];
            const auto truth = trial.run("exact")["product"];
            for (std::size_t i = 0; i < error.values().size(); ++i) {
              error.values()[i] -= truth.values()[i];
            }
            const auto w = trial.array("w", {trial.size("q"), 1});
            const T moved = sketch::squared_frobenius(sketch::product(error, w));
            trial.expect(moved <= sketch::squared_frobenius(error) * sketch::squared_frobenius(w),
                         "operator norm");
          });
}

void drawing_laws(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(
          Kind::statistical, "inverse CDF: each index in its proportion",
          "With u on the grid 0, 1/N ... and pi_k = c_k / N index k comes exactly c_k times",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto weights = trial.in.index.at("weights");
            const auto probability = sketch::weights_probability<T>(weights);
            Index whole = 0;
            for (const Index weight : weights.values()) whole += weight;
            std::vector<Index> count(static_cast<std::size_t>(weights.extent(0)), 0);
            for (Index i = 0; i < whole; ++i) {
              ++count[static_cast<std::size_t>(sketch::inverse_cdf(probability, T(T(i) / T(whole))))];
            }
            for (Index k = 0; k < weights.extent(0); ++k) {
              trial.equal(count[static_cast<std::size_t>(k)], weights(k), "times that an index came");
            }
          })
      .law<RationalExp2>(Kind::statistical, "alias table: each index in its proportion",
                         "The shares of the cells that an index owns add up to n pi_k, and a draw hits a "
                         "cell's owner and its alias where the table says",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto probability =
                               sketch::normalised(trial.array("chances", {trial.size("n")}, Domain::gate));
                           const auto table = sketch::alias_table(probability);
                           const Index length = trial.size("n");
                           Array<T> share({length});
                           for (Index k = 0; k < length; ++k) {
                             const T keep = table.keep(k);
                             share(k) += keep;
                             share(table.alias(k)) += T(1) - keep;
                             trial.expect(T(0) <= keep && keep <= T(1), "share of a cell outside of [0, 1]");
                             if (T(0) < keep)
                               trial.equal(sketch::alias_draw(table, T((T(k) + keep / T(2)) / T(length))), k,
                                           "owner");
                             if (keep < T(1)) {
                               const T middle = (keep + T(1)) / T(2);
                               trial.equal(sketch::alias_draw(table, T((T(k) + middle) / T(length))),
                                           table.alias(k), "alias");
                             }
                           }
                           for (Index k = 0; k < length; ++k)
                             trial.equal(share(k), T(length) * probability(k), "share");
                         })
      .law<RationalExp2>(
          Kind::statistical, "systematic sampling",
          "Index k comes m pi_k times up to less than one, and exactly so on average over u",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto weights = trial.in.index.at("weights");
            const auto probability = sketch::weights_probability<T>(weights);
            const Index length = trial.size("n"), count = trial.size("m");
            Index whole = 0;
            for (const Index weight : weights.values()) whole += weight;
            Array<T> mean({length});
            for (Index cell = 0; cell < whole; ++cell) {  // the lists change at multiples of 1 / N only
              const auto list = sketch::systematic(probability, T((T(cell) + T(1) / T(2)) / T(whole)), count);
              Array<T> came({length});
              for (const Index k : list.values()) came(k) += T(1);
              for (Index k = 0; k < length; ++k) {
                const T excess = came(k) - T(count) * probability(k);
                trial.expect(T(-1) < excess && excess < T(1), "off by one or more");
                mean(k) += came(k) / T(whole);
              }
            }
            for (Index k = 0; k < length; ++k) trial.equal(mean(k), T(count) * probability(k), "mean");
          })
      .law<RationalExp2>(
          Kind::invariant, "systematic sampling is not independent sampling",
          "With equal probabilities and m = n it draws each index once, so the product is exact",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n");
            const Array<T> uniform({length}, T(1) / T(length));
            const T u = trial.number("u", Domain::gate) * T(15) / T(16);
            const auto list = sketch::systematic(uniform, u, length);
            trial.equal(sketch::sampled(trial.in["X"], trial.in["Y"], list, uniform),
                        trial.run("exact")["product"], "product");
          })
      .once(Kind::invariant, "the last index takes what rounding left",
            "Ten times 0.1 is less than 1 in double precision; a u beyond that sum draws the last index",
            [](auto& check) {
              const Array<double> tenths({10}, 0.1);
              const double beyond = std::nextafter(1.0, 0.0);
              check.expect(sketch::total(tenths) <= beyond, "the sum is 1");
              check.equal(sketch::inverse_cdf(tenths, beyond), Index{9}, "drawn");
              const auto padded = Array<double>::vector({0.5, 0.25, 0.0});
              check.equal(sketch::inverse_cdf(padded, 0.9), Index{1},
                          "an index of probability 0 is never drawn");
            })
      .once(Kind::statistical, "uniform indices need rejection",
            "Over all words below 16 each of 3 indices comes 5 times among those kept, 6, 5 and 5 times by "
            "the plain remainder",
            [](auto& check) {
              std::vector<Index> kept(3, 0), plain(3, 0);
              for (Index word = 0; word < 16; ++word) {
                ++plain[static_cast<std::size_t>(word % 3)];
                if (word < 15)
                  ++kept[static_cast<std::size_t>(sketch::uniform_index(std::vector{word}, 16, 3))];
              }
              check.expect(kept == std::vector<Index>{5, 5, 5}, "with rejection");
              check.expect(plain == std::vector<Index>{6, 5, 5}, "without");
              check.equal(sketch::uniform_index(std::vector<Index>{15, 4}, 16, 3), Index{1}, "second word");
            })
      .once(Kind::invariant, "tiny probabilities overflow",
            "1 / pi is infinite in float32 for pi = 1e-39, although the sampled term itself is small",
            [](auto& check) {
              const Array<float> X({1, 1}, 1e-20F), Y({1, 1}, 1e-20F);
              const Array<float> probability({1}, 1e-39F);
              const Array<Index> samples({1});
              check.expect(!finite(sketch::sampled(X, Y, samples, probability)(0, 0)), "finite");
            });
}

// ---- sketches ----------------------------------------------------------------------------------

/// A distribution on five whole numbers whose moments up to the fifth are those of a standard normal number:
/// 0, 1, 0, 3, 0. Second moments of sketches see nothing else, so it decides the formulas for normal ones.
struct NormalStandIn {
  Index value;
  Index twelfths;
};
constexpr NormalStandIn kNormal[] = {{0, 6}, {1, 2}, {-1, 2}, {2, 1}, {-2, 1}};

void sketch_laws(EntryBuilder& entry) {
  entry
      .once(Kind::statistical, "the stand-in for normal numbers",
            "Its moments from the first to the fifth are 0, 1, 0, 3, 0",
            [](auto& check) {
              const RationalExp2 moments[] = {1, 0, 1, 0, 3, 0};
              for (Index order = 0; order <= 5; ++order) {
                RationalExp2 sum = 0;
                for (const auto& [value, twelfths] : kNormal) {
                  sum += RationalExp2(twelfths) / 12 * sketch::power(RationalExp2(value), order);
                }
                check.equal(sum, moments[order], "moment");
              }
            })
      .law<RationalExp2>(
          Kind::statistical, "normal sketch: mean and error",
          "E C = X Y and E |C - X Y|^2 = (|X|^2 |Y|^2 + |X Y|^2) / m for independent normal entries, over "
          "all outcomes of a stand-in with the same first five moments",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index rows = trial.integer("sketch rows", 1, 2);
            const Index length = trial.integer("length", 1, rows == 1 ? 3 : 2);
            const auto X = trial.array("left", {2, length}), Y = trial.array("right", {length, 1});
            Moments<T> moments(sketch::product(X, Y));
            for_each_list(5, rows * length, [&](const Array<Index>& list) {
              Array<T> projection({rows, length});
              T mass(1);
              for (Index i = 0; i < list.extent(0); ++i) {
                const auto& [value, twelfths] = kNormal[list(i)];
                projection.values()[static_cast<std::size_t>(i)] = T(value);
                mass *= T(twelfths) / T(12);
              }
              moments.add(mass, sketch::sketched(X, Y, projection));
            });
            moments.expect_unbiased(trial, "normal sketch");
            trial.equal(moments.squared_error(), sketch::gaussian_sketch_error(X, Y, rows), "error");
          })
      .law<RationalExp2>(
          Kind::statistical, "sketch of vectors",
          "Var <S x, S y> = (|x|^2 |y|^2 + <x, y>^2) / m, so Var |S x|^2 = 2 |x|^4 / m; signs: less 2 sum "
          "x^2 y^2 / m. The formulas for matrices at p = q = 1",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), rows = trial.size("m");
            const auto x = trial.array("x", {1, length}), y = trial.array("y", {length, 1});
            T fourth(0), mixed(0);
            for (Index k = 0; k < length; ++k) {
              fourth += x(0, k) * x(0, k) * x(0, k) * x(0, k);
              mixed += x(0, k) * x(0, k) * y(k, 0) * y(k, 0);
            }
            const T inner = sketch::product(x, y)(0, 0), square = sketch::squared_frobenius(x);
            trial.equal(sketch::gaussian_sketch_error(x, y, rows),
                        (square * sketch::squared_frobenius(y) + inner * inner) / T(rows), "inner product");
            const auto same = sketch::transposed(x);
            trial.equal(sketch::gaussian_sketch_error(x, same, rows), T(2) * square * square / T(rows),
                        "norm");
            trial.equal(sketch::sign_sketch_error(x, same, rows), T(2) * (square * square - fourth) / T(rows),
                        "norm, signs");
            trial.equal(sketch::gaussian_sketch_error(x, y, rows) - sketch::sign_sketch_error(x, y, rows),
                        T(2) * mixed / T(rows), "inner product, signs");
          })
      .law<RationalExp2>(
          Kind::statistical, "sign sketch: mean and error",
          "Over all 2^(m n) patterns the mean is X Y and the error that of a normal sketch less 2 sum a b / "
          "m",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index rows = trial.integer("sketch rows", 1, 2);
            const Index length = trial.integer("length", 1, rows == 1 ? 5 : 3);
            const auto X = trial.array("left", {2, length}), Y = trial.array("right", {length, 2});
            Moments<T> moments(sketch::product(X, Y));
            for_each_list(2, rows * length, [&](const Array<Index>& list) {
              Array<Index> signs({rows, length});
              for (Index i = 0; i < list.extent(0); ++i) {
                signs.values()[static_cast<std::size_t>(i)] = 1 - 2 * list(i);
              }
              moments.add(T(1) / T(Index{1} << (rows * length)), sketch::sign_sketched(X, Y, signs));
            });
            moments.expect_unbiased(trial, "sign sketch");
            trial.equal(moments.squared_error(), sketch::sign_sketch_error(X, Y, rows), "error");
          })
      .law<RationalExp2>(Kind::same, "a sign sketch is a sketch",
                         "sign_sketch equals the sketch with the signs as numbers",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto& signs = trial.in.index.at("signs");
                           Array<T> projection(signs.shape());
                           for (std::size_t i = 0; i < signs.values().size(); ++i) {
                             projection.values()[i] = T(signs.values()[i]);
                           }
                           trial.equal(trial.run("sign_sketch")["product"],
                                       sketch::sketched(trial.in["X"], trial.in["Y"], projection), "product");
                         })
      .law<RationalExp2>(
          Kind::statistical, "Hadamard sketch: mean, and variance of a norm",
          "Over all signs and rows the mean of C is X Y and Var |S x|^2 = (2 |x|_2^4 - 2 |x|_4^4) / m with "
          "replacement, (N - m) / (N - 1) of that without",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.integer("length", 1, 4), padded = sketch::padded_length(length);
            const Index rows = trial.integer("rows", 1, std::min(padded, Index{3}));
            const auto x = trial.array("x", {1, length}), y = trial.array("y", {length, 1});
            const auto same = sketch::transposed(x);
            Array<T> numbers({length});
            for (Index k = 0; k < length; ++k) numbers(k) = x(0, k);
            Index subsets = 0, lists = 0;
            for_each_subset(padded, rows, [&](const Array<Index>&) { ++subsets; });
            for_each_list(padded, rows, [&](const Array<Index>&) { ++lists; });
            for (const bool replaced : {true, false}) {
              Moments<T> product(sketch::product(x, y)), norm(sketch::product(x, same));
              const T chance = T(1) / T((replaced ? lists : subsets) * (Index{1} << length));
              for_each_list(2, length, [&](const Array<Index>& list) {
                Array<Index> flips({length});
                for (Index k = 0; k < length; ++k) flips(k) = 1 - 2 * list(k);
                const auto add = [&](const Array<Index>& picked) {
                  product.add(chance, sketch::srht(x, y, flips, picked));
                  norm.add(chance, sketch::srht(x, same, flips, picked));
                };
                if (replaced) {
                  for_each_list(padded, rows, add);
                } else {
                  for_each_subset(padded, rows, add);
                }
              });
              product.expect_unbiased(trial, "product");
              norm.expect_unbiased(trial, "norm");
              trial.equal(norm.squared_error(), sketch::srht_variance(numbers, rows, replaced), "variance");
            }
          })
      .law<RationalExp2>(
          Kind::invariant, "a Hadamard sketch can be exact",
          "With every row once the transform is orthogonal: the product is exact, whatever the signs",
          [](auto& trial) {
            auto in = trial.in;
            const Index length = sketch::padded_length(trial.size("n"));
            in.index["rows"] = draw_subset(trial.drawn(), length, length);
            trial.equal(trial.run("srht", in), trial.run("exact"));
          })
      .law<PrimeField>(
          Kind::same, "Hadamard transform: butterflies = dense",
          "The butterflies multiply by the matrix of signs; twice is N times; the rows are orthogonal",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = sketch::padded_length(trial.size("n"));
            const auto x = trial.array("x", {length});
            const auto once = sketch::walsh_hadamard(std::vector<T>(x.values().begin(), x.values().end()));
            const auto twice = sketch::walsh_hadamard(once);
            const Index row = trial.integer("row", 0, length - 1);
            for (Index i = 0; i < length; ++i) {
              T dense(0);
              Index inner = 0;
              for (Index k = 0; k < length; ++k) {
                dense += T(sketch::hadamard_sign(i, k)) * x(k);
                inner += sketch::hadamard_sign(i, k) * sketch::hadamard_sign(row, k);
              }
              trial.equal(once[static_cast<std::size_t>(i)], dense, "dense");
              trial.equal(twice[static_cast<std::size_t>(i)], T(length) * x(i), "twice");
              trial.equal(inner, i == row ? length : 0, "rows");
            }
          })
      .once(Kind::cost, "cost: butterflies", "N log2(N) additions and no multiplication, N = 1 ... 1024",
            [](auto& check) {
              for (Index bits = 0; bits <= 10; ++bits) {
                const Index length = Index{1} << bits;
                std::vector<Counted<double>> x;
                for (Index i = 0; i < length; ++i) x.emplace_back(0.5);
                const CountOperations scope;
                sketch::walsh_hadamard(x);
                check.equal(scope.counts().additions, length * bits, "additions");
                check.equal(scope.counts().total(), length * bits, "all operations");
              }
            })
      .once(Kind::bound, "Johnson-Lindenstrauss",
            "Pr[| |S x|^2 / |x|^2 - 1 | > eps] <= 2 exp(-m (eps^2 - eps^3) / 4) and <= 2 exp(-m eps^2 / 8), "
            "against the exact chi-square tails for even m: two published constants, the first the sharper "
            "one below eps = 1/2",
            [](auto& check) {
              const auto above = [](Index rows, const Real50& x) {  // Pr[chi-square with m degrees > x]
                Real50 term = 1, sum = 0;
                for (Index k = 0; k < rows / 2; ++k) {
                  sum += term;
                  term *= x / 2 / (k + 1);
                }
                return Real50(exp(-x / 2) * sum);
              };
              for (Index rows = 2; rows <= 256; rows *= 2) {
                for (Index tenths = 1; tenths <= 9; ++tenths) {
                  const Real50 eps = Real50(tenths) / 10;
                  const Real50 tail = above(rows, rows * (1 + eps)) + 1 - above(rows, rows * (1 - eps));
                  const Real50 cubic = 2 * exp(-Real50(rows) / 4 * (eps * eps - eps * eps * eps));
                  const Real50 square = 2 * exp(-Real50(rows) / 8 * eps * eps);
                  check.expect(tail <= cubic && tail <= square, "tail " + show(tail));
                  if (tenths != 5)
                    check.expect((cubic < square) == (tenths < 5), "which constant is sharper");
                }
              }
            });
}

// ---- hashes ------------------------------------------------------------------------------------

/// The probability that a statement about two codes holds when each bit of them differs with probability p.
template <class F>
RationalExp2 code_probability(Index bits, const RationalExp2& differ, F&& holds) {
  RationalExp2 sum = 0;
  const Index codes = Index{1} << bits;
  for (Index mask = 0; mask < codes; ++mask) {
    Index count = 0;
    for (Index code = 0; code < codes; ++code) count += holds(code, code ^ mask) ? 1 : 0;
    const Index ones = sketch::hamming(mask, 0);
    sum += sketch::power(differ, ones) * sketch::power(RationalExp2(1 - differ), bits - ones) * count / codes;
  }
  return sum;
}

/// The half width around p that the frequency in N trials leaves with a probability of at most 1e-9, by
/// Chernoff's bound: exp(-N KL) on each side.
double chernoff_margin(double chance, double trials) {
  const auto divergence = [&](double x) {
    const double up = x > 0 ? x * std::log(x / chance) : 0;
    return up + (x < 1 ? (1 - x) * std::log((1 - x) / (1 - chance)) : 0);
  };
  double low = 0, high = 1;
  for (int step = 0; step < 60; ++step) {
    const double middle = (low + high) / 2;
    double least = std::numeric_limits<double>::infinity();
    for (const double x : {chance - middle, chance + middle}) {
      if (x >= 0 && x <= 1) least = std::min(least, divergence(x));
    }
    (trials * least >= std::log(2e9) ? high : low) = middle;
  }
  return high;
}

/// Two vectors at an angle, hashed by r normal directions each of `trials` times.
struct Codes {
  Index x, y;
};
std::vector<Codes> hashed_pairs(double angle, Index bits, Index trials) {
  const double x[] = {1, 0}, y[] = {std::cos(angle), std::sin(angle)};
  std::vector<Codes> codes;
  for (Index trial = 0; trial < trials; ++trial) {
    Array<double> directions({2, bits});
    for (Index i = 0; i < 2 * bits; ++i) {
      directions.values()[static_cast<std::size_t>(i)] =
          draw_real({static_cast<std::uint64_t>(trial), "directions", i}, Domain::any, Pattern::generic);
    }
    codes.push_back({sketch::simhash<double>(x, directions), sketch::simhash<double>(y, directions)});
  }
  return codes;
}

void frequency(Check& check, double count, double trials, double chance, const std::string& what) {
  check.within(count / trials, chance, chernoff_margin(chance, trials), what);
}

void hash_laws(EntryBuilder& entry) {
  entry
      .once(Kind::invariant, "Gray code",
            "gray_position undoes gray_word, and neighbours on the circle of 2^r differ in one bit, r = 1 "
            "... 12",
            [](auto& check) {
              for (Index bits = 1; bits <= 12; ++bits) {
                const Index codes = Index{1} << bits;
                for (Index i = 0; i < codes; ++i) {
                  check.equal(sketch::gray_position(sketch::gray_word(i)), i, "inverse");
                  const Index next = sketch::gray_word((i + 1) % codes);
                  check.equal(sketch::hamming(sketch::gray_word(i), next), Index{1}, "distance to the next");
                }
              }
            })
      .once(Kind::statistical, "hash collisions: exact probabilities",
            "With independent bits: all agree, Hamming balls and Gray neighbours as stated, over all pairs "
            "of codes, r = 1 ... 8",
            [](auto& check) {
              for (Index bits = 1; bits <= 8; ++bits) {
                const Index codes = Index{1} << bits;
                for (const RationalExp2& differ : {RationalExp2(1) / 10, RationalExp2(2) / 3}) {
                  check.equal(code_probability(bits, differ, [](Index a, Index b) { return a == b; }),
                              sketch::collision_probability(differ, bits), "all bits");
                  check.equal(code_probability(bits, differ,
                                               [&](Index a, Index b) {
                                                 const Index apart = sketch::gray_position(a) -
                                                                     sketch::gray_position(b) + codes;
                                                 return apart % codes == 1 || apart % codes == codes - 1;
                                               }),
                              sketch::gray_neighbour_probability(differ, bits), "Gray neighbours");
                  for (Index radius = 0; radius <= bits; ++radius) {
                    check.equal(
                        code_probability(bits, differ,
                                         [&](Index a, Index b) { return sketch::hamming(a, b) <= radius; }),
                        sketch::hamming_ball_probability(differ, bits, radius), "Hamming ball");
                  }
                }
              }
            })
      .once(Kind::statistical, "an unbiased and a biased kernel estimate",
            "The share of agreeing bits has the mean 1 - theta / pi exactly; cos(pi times the share that "
            "differs) has not the mean cos(theta)",
            [](auto& check) {
              for (Index bits = 1; bits <= 8; ++bits) {
                const RationalExp2 differ = RationalExp2(1) / 3;
                RationalExp2 mean = 0, ways = 1;
                using B = Bounded<Real50>;
                B cosine(0);
                for (Index i = 0; i <= bits; ++i) {
                  const RationalExp2 chance =
                      ways * sketch::power(differ, i) * sketch::power(RationalExp2(1 - differ), bits - i);
                  mean += chance * (1 - RationalExp2(i) / bits);
                  const B share = B(static_cast<Index>(numerator(chance.value()))) /
                                  B(static_cast<Index>(denominator(chance.value())));
                  cosine += share * cos(pi<B>() * B(i) / B(bits));
                  ways = ways * (bits - i) / (i + 1);
                }
                check.equal(mean, RationalExp2(1 - differ), "share of agreeing bits");
                const B bias = cosine - B(1) / B(2);  // cos(pi / 3) = 1 / 2
                check.expect(abs(bias.value()) > Real50(bias.error_bound()), "the cosine is unbiased");
                check.measure("bias of the cosine", std::abs(static_cast<double>(bias)));
              }
            })
      .law<RationalExp2>(
          Kind::invariant, "hashes see directions only",
          "A factor above 0 changes no code; a zero vector has code 0; -x has every bit flipped unless a "
          "projection is exactly 0",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index channels = trial.size("n"), bits = trial.size("m");
            const auto x = trial.array("x", {channels});
            const auto W = trial.array("W", {channels, bits});
            const T factor = trial.number("factor", Domain::positive);
            std::vector<T> own(x.values().begin(), x.values().end()), scaled, minus;
            for (const T& number : own) {
              scaled.push_back(factor * number);
              minus.push_back(-number);
            }
            const Index code = sketch::simhash<T>(own, W);
            trial.equal(sketch::simhash<T>(scaled, W), code, "scaled");
            trial.equal(sketch::simhash<T>(std::vector<T>(own.size(), T(0)), W), Index{0}, "zero vector");
            Index zeros = 0;
            for (Index c = 0; c < bits; ++c) {
              T projection(0);
              for (Index i = 0; i < channels; ++i) projection += own[i] * W(i, c);
              const bool bit = (code >> c) % 2 == 1;
              trial.equal(bit, T(0) < projection, "bit");
              if (!(T(0) < projection) && !(projection < T(0))) zeros += Index{1} << c;
            }
            trial.equal(sketch::simhash<T>(minus, W), (Index{1} << bits) - 1 - code - zeros, "minus x");
          })
      .law<RationalExp2>(Kind::same, "cross-polytope hash and Reformer's bucket",
                         "The argmax of (G x, -G x) is the same partition, and with one direction both are "
                         "one bit of SimHash",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto x = trial.array("x", {trial.size("n")});
                           const std::vector<T> rotated(x.values().begin(), x.values().end());
                           Index ties = 0;
                           const auto hash = sketch::cross_polytope<T>(rotated);
                           const T largest = hash.negative ? -x(hash.axis) : x(hash.axis);
                           for (const T& number : rotated)
                             ties += largest < number || largest < -number ? 100 : 0;
                           for (const T& number : rotated)
                             ties += number * number < largest * largest ? 0 : 1;
                           trial.expect(ties == 1 || ties < 100, "a larger entry was left");
                           if (ties == 1) {
                             const Index bucket = sketch::reformer_bucket<T>(rotated);
                             const auto length = static_cast<Index>(rotated.size());
                             trial.equal(bucket, hash.axis + (hash.negative ? length : 0), "bucket");
                           }
                           const T one[] = {x(0)};
                           const bool bit = sketch::simhash<T>(one, Array<T>({1, 1}, T(1))) == 1;
                           if (T(0) < one[0] || one[0] < T(0)) {
                             trial.equal(sketch::cross_polytope<T>(one).negative, !bit, "one direction");
                           }
                         })
      .once(Kind::statistical, "SimHash of normal directions",
            "Frequencies of bits, collisions, Gray neighbours and Hamming balls in 40000 draws, within a "
            "margin that a right program leaves with probability below 1e-9 (Chernoff); formulas for one bit "
            "more or less lie outside of it",
            [](auto& check) {
              const Index bits = 7, trials = 40000, codes = Index{1} << bits;
              for (const double angle : {0.3, 1.0, 2.0}) {
                const double differ = angle / std::numbers::pi;
                double bit = 0, all = 0, neighbours = 0, ball = 0;
                for (const auto& [x, y] : hashed_pairs(angle, bits, trials)) {
                  const Index apart = (sketch::gray_position(x) - sketch::gray_position(y) + codes) % codes;
                  bit += static_cast<double>(sketch::hamming(x, y));
                  all += x == y ? 1 : 0;
                  neighbours += apart == 1 || apart == codes - 1 ? 1 : 0;
                  ball += sketch::hamming(x, y) <= 1 ? 1 : 0;
                }
                frequency(check, bit, static_cast<double>(trials * bits), differ, "bits that differ");
                frequency(check, all, trials, sketch::collision_probability(differ, bits), "collisions");
                frequency(check, neighbours, trials, sketch::gray_neighbour_probability(differ, bits),
                          "Gray neighbours");
                frequency(check, ball, trials, sketch::hamming_ball_probability(differ, bits, 1), "balls");
                const double chance = sketch::collision_probability(differ, bits);
                for (const Index other : {bits - 1, bits + 1}) {
                  const double wrong = sketch::collision_probability(differ, other);
                  check.expect(angle == 2.0 || std::abs(wrong - chance) > 2 * chernoff_margin(chance, trials),
                               "the margin is too wide to tell the number of bits");
                }
              }
            })
      .once(Kind::statistical, "cross-polytope hash of normal rotations",
            "Collisions in 30000 draws: 1 - p for one axis, (1 - p)^2 for two, and the integral for 3 and 8, "
            "within a margin of false alarm below 1e-9 (Chernoff)",
            [](auto& check) {
              struct Known {
                double angle;
                Index axes;
                double chance;
              };
              std::vector<Known> known{{0.3, 3, 0.786634501}, {1, 3, 0.384499821}, {2, 3, 0.067860470},
                                       {0.3, 8, 0.721911876}, {1, 8, 0.254756592}, {2, 8, 0.010988151}};
              for (const double angle : {0.3, 1.0, 2.0}) {
                const double agree = 1 - angle / std::numbers::pi;
                known.push_back({angle, 1, agree});
                known.push_back({angle, 2, agree * agree});
              }
              const Index trials = 30000;
              for (const auto& [angle, axes, chance] : known) {
                const double cosine = std::cos(angle), sine = std::sin(angle);
                double count = 0;
                std::vector<double> u(static_cast<std::size_t>(axes)), v(u.size());
                for (Index trial = 0; trial < trials; ++trial) {
                  for (Index i = 0; i < axes; ++i) {
                    const auto seed = static_cast<std::uint64_t>(trial);
                    u[i] = draw_real({seed, "first", i}, Domain::any, Pattern::generic);
                    const double second = draw_real({seed, "second", i}, Domain::any, Pattern::generic);
                    v[i] = cosine * u[i] + sine * second;
                  }
                  count += sketch::cross_polytope<double>(u) == sketch::cross_polytope<double>(v) ? 1 : 0;
                }
                frequency(check, count, trials, chance, std::to_string(axes) + " axes");
              }
            })
      .once(Kind::invariant, "codes do not fit into float32",
            "A code of 25 bits kept as a float32 loses its lowest bit: 2^24 and 2^24 + 1 become one",
            [](auto& check) {
              const Array<double> all_negative({1, 25}, -1.0);
              Array<double> top = all_negative, both = all_negative;
              top(0, 24) = both(0, 24) = both(0, 0) = 1.0;
              const double x[] = {1.0};
              const Index a = sketch::simhash<double>(x, top), b = sketch::simhash<double>(x, both);
              check.equal(b - a, Index{1}, "codes as integers");
              check.equal(static_cast<float>(a), static_cast<float>(b), "codes as float32");
            });
}

void median_laws(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(Kind::invariant, "median of means",
                         "Lies between the least and the largest group mean, half of them on either side; "
                         "the order inside a group does not matter; one group gives the mean",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index groups = 2 * trial.integer("half", 0, 3) + 1, size = trial.size("m");
                           const auto numbers = trial.array("numbers", {groups * size});
                           const T median = sketch::median_of_means(numbers, groups);
                           Index below = 0, above = 0;
                           for (Index group = 0; group < groups; ++group) {
                             T sum(0);
                             for (Index i = 0; i < size; ++i) sum += numbers(group * size + i);
                             below += median * T(size) < sum ? 0 : 1;
                             above += sum < median * T(size) ? 0 : 1;
                           }
                           trial.expect(2 * below > groups && 2 * above > groups, "not a median");
                           auto turned = numbers;
                           for (Index group = 0; group < groups; ++group) {
                             for (Index i = 0; i < size; ++i) {
                               turned(group * size + i) = numbers(group * size + (i + 1) % size);
                             }
                           }
                           trial.equal(sketch::median_of_means(turned, groups), median,
                                       "order inside a group");
                           trial.equal(sketch::median_of_means(numbers, 1),
                                       sketch::total(numbers) / T(groups * size), "one group");
                         })
      .once(Kind::bound, "median of means: tail",
            "When each group is off with probability 1/4 at most (Chebyshev), the median is off with "
            "probability below exp(-k / 8), exactly by the binomial tail, k = 1, 3 ... 161; 161 groups bring "
            "that below 2e-9",
            [](auto& check) {
              for (Index groups = 1; groups <= 161; groups += 2) {
                RationalExp2 tail = 0, ways = 1;
                for (Index off = 0; off <= groups; ++off) {
                  if (2 * off > groups) {
                    tail += ways * sketch::power(RationalExp2(1) / 4, off) *
                            sketch::power(RationalExp2(3) / 4, groups - off);
                  }
                  ways = ways * (groups - off) / (off + 1);
                }
                check.expect(Real50(tail.value()) <= exp(-Real50(groups) / 8),
                             "k = " + std::to_string(groups));
              }
              check.expect(exp(-Real50(161) / 8) < Real50("2e-9"), "161 groups");
              check.expect(exp(-Real50(159) / 8) > Real50("2e-9"), "159 groups");
            });
}

void errata(EntryBuilder& entry) {
  entry.once(Kind::erratum, "KDEformer's code divides by the squared norm",
             "The released code normalises the row norms by the operator norm of the Gram matrix, the square "
             "of that of the rows: with 4 equal rows of norm 2 the share of the norms in a probability falls "
             "from 4/5 to 1/2",
             [](auto& check) {
               // rows (v, 1) = (sqrt(3), 1): norm 2, operator norm 4, Gram matrix 16
               Array<Real50> value({4, 1}, sqrt(Real50(3)));
               value(3, 0) = 0;  // and one row (0, 1), of norm 1
               const auto by_norm = sketch::kdeformer_probability(value, Real50(4));
               const auto by_gram = sketch::kdeformer_probability(value, Real50(16));
               // norms 2, 2, 2, 1 over lambda, plus 1/4
               check.digits(by_norm(0), "0.272727272727273", "norm: (1/2 + 1/4) / (11/4)");
               check.digits(by_norm(3), "0.181818181818182", "norm: (1/4 + 1/4) / (11/4)");
               check.digits(by_gram(0), "0.260869565217391", "Gram: (1/8 + 1/4) / (23/16)");
               check.digits(by_gram(3), "0.217391304347826", "Gram: (1/16 + 1/4) / (23/16)");
             });
}

void costs(EntryBuilder& entry) {
  const Expression averaged = p * q * min(m - 1, 1);  // dividing by m = 1 is free
  Cost sampled("sampled");
  sampled.multiplications = m * q * min(n - 1, 1) + m * p * q;
  sampled.additions = (m - 1) * p * q;
  sampled.divisions = averaged;
  sampled.depth = m + min(n - 1, 1) + min(m - 1, 1);
  Cost subset("without_replacement");
  subset.multiplications = min(m, n) * p * q + p * q * min(max(n - m, 0), 1);
  subset.additions = (min(m, n) - 1) * p * q;
  subset.divisions = 0;
  Cost signs("sign_sketch");
  signs.multiplications = m * p * q;
  signs.additions = m * (n - 1) * (p + q) + (m - 1) * p * q;
  signs.divisions = averaged;
  signs.depth = n + m - 1 + min(m - 1, 1);
  Cost dense = signs;
  dense.form = "srht_dense";
  Cost exact("exact");
  exact.multiplications = n * p * q;
  exact.additions = (n - 1) * p * q;
  exact.divisions = 0;
  exact.depth = n;
  exact.free_depth = 1 + ceil_log2(n);
  entry.cost(sampled).cost(subset).cost(signs).cost(dense).cost(exact);
  std::vector<Settings> grid;
  for (Index length = 32; length <= 1024; length *= 2) {
    grid.push_back({{"n", length}, {"p", 32}, {"q", 32}, {"m", 32}});
  }
  entry.scale("32 samples", grid);
  entry.once(Kind::cost, "cost: row_norm",
             "n q + m q + m p q multiplications, n q - 1 + (m - 1) p q additions, m + p q divisions and m "
             "comparisons, when no row is 0",
             [](auto& check) {
               for (Index length = 2; length <= 16; length *= 2) {
                 using T = Counted<double>;
                 const Index left = 3, right = 2, count = length + 1;
                 Array<Index> samples({count});
                 for (Index s = 0; s < count; ++s) samples(s) = s % length;
                 const Array<T> X({left, length}, T(0.5)), Y({length, right}, T(0.5));
                 const CountOperations scope;
                 sketch::row_norm_sampled(X, Y, samples);
                 const OperationCounts counts = scope.counts();
                 check.equal(counts.multiplications, length * right + count * right + count * left * right,
                             "multiplications");
                 check.equal(counts.additions, length * right - 1 + (count - 1) * left * right, "additions");
                 check.equal(counts.divisions, count + left * right, "divisions");
                 check.equal(counts.comparisons, count, "comparisons");
               }
             });
}

// ---- examples ----------------------------------------------------------------------------------

/// Pr[both vectors of cosine rho fall to the same end of the same of `axes` axes], by quadrature: Gauss-
/// Legendre nodes on panels, with the inner probability summed up along the way.
double cross_polytope_collision(Index axes, double rho) {
  constexpr double kNodes[] = {-0.9061798459386640, -0.5384693101056831, 0, 0.5384693101056831,
                               0.9061798459386640};
  constexpr double kWeights[] = {0.2369268850561891, 0.4786286704993665, 0.5688888888888889,
                                 0.4786286704993665, 0.2369268850561891};
  const double root = std::sqrt(1 - rho * rho);
  const auto density = [](double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); };
  const auto below = [](double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; };
  constexpr int kPanels = 80;
  constexpr double kWidth = 0.1;
  double sum = 0;
  for (int panel = 0; panel < kPanels; ++panel) {
    for (int node = 0; node < 5; ++node) {
      const double v = kWidth * (panel + (1 + kNodes[node]) / 2);
      // d/du Pr[|U| < u, |V| < v] = 2 density(u) Pr[|V| < v given U = u]
      const auto slope = [&](double u) {
        return 2 * density(u) * (below((v - rho * u) / root) - below((-v - rho * u) / root));
      };
      const auto joint = [&](double u) { return density(u) * density((v - rho * u) / root) / root; };
      double inside = 0, at = 0;
      for (int other = 0; other < kPanels; ++other) {
        for (int step = 0; step < 5; ++step) {
          const double u = kWidth * (other + (1 + kNodes[step]) / 2);
          for (int inner = 0; inner < 5; ++inner) {
            inside += (u - at) / 2 * kWeights[inner] * slope(at + (u - at) * (1 + kNodes[inner]) / 2);
          }
          at = u;
          sum += kWidth / 2 * kWeights[node] * kWidth / 2 * kWeights[step] * joint(u) *
                 std::pow(inside, static_cast<double>(axes - 1));
        }
      }
    }
  }
  return 2 * static_cast<double>(axes) * sum;
}

/// The exact probability that N trials succeed `reach` times more or less often than N p = `mean`, or farther
/// from it.
Real50 binomial_tail(Index trials, Index mean, Index reach) {
  const Real50 chance = Real50(mean) / trials;
  Real50 term = 1, tail = 0;
  for (Index i = 0; i < trials; ++i) term *= 1 - chance;
  for (Index k = 0; k <= trials; ++k) {
    if (std::abs(k - mean) >= reach) tail += term;
    term *= chance / (1 - chance) * Real50(trials - k) / (k + 1);
  }
  return tail;
}

void examples(EntryBuilder& entry) {
  entry
      .once(
          Kind::example, "worked example",
          "Exact errors by enumeration: uniform, row norms, subsets, signs, normal numbers",
          [](auto& check) {
            using R = RationalExp2;
            const auto X = Array<R>::matrix({{1, 2, -1}, {0, 1, 3}});
            const auto Y = Array<R>::matrix({{1, 1}, {2, -1}, {0, 3}});
            check.equal(sketch::product(X, Y), Array<R>::matrix({{5, -4}, {2, 8}}), "product");
            const Array<R> uniform({3}, R(1) / 3);
            const auto row_norm = sketch::row_norm_probability(Y);
            for (Index count = 1; count <= 3; ++count) {
              check.equal(sampling_moments(X, Y, uniform, count).squared_error(), R(242) / count, "uniform");
              check.equal(sampling_moments(X, Y, row_norm, count).squared_error(), R(147) / count,
                          "row norms");
            }
            const R subsets[] = {R(242), R(121) / 2, R(0)};
            for (Index count = 1; count <= 3; ++count) {
              check.equal(sketch::without_replacement_error(X, Y, count), subsets[count - 1], "subsets");
            }
            check.equal(sketch::sign_sketch_error(X, Y, 1), R(131), "signs");
            check.equal(sketch::gaussian_sketch_error(X, Y, 1), R(365), "normal numbers");
            const auto X50 = Array<Real50>::matrix({{1, 2, -1}, {0, 1, 3}});
            const auto Y50 = Array<Real50>::matrix({{1, 1}, {2, -1}, {0, 3}});
            const auto optimal =
                sketch::optimal_probability(sketch::norms(sketch::squared_row_norms(sketch::transposed(X50))),
                                            sketch::norms(sketch::squared_row_norms(Y50)));
            check.digits(sketch::sampling_error(X50, Y50, optimal, 1), "143.84328115878", "optimal");
            const auto x = Array<R>::vector({1, 2, -1, 3});
            const R replaced[] = {252, 126, 84, 63}, kept[] = {252, 84, 28, 0};
            for (Index count = 1; count <= 4; ++count) {
              check.equal(sketch::srht_variance(x, count, true), replaced[count - 1], "with replacement");
              check.equal(sketch::srht_variance(x, count, false), kept[count - 1], "without");
            }
          })
      .once(Kind::example, "hash probabilities",
            "Collisions, Gray neighbours and Hamming balls at three angles, 12 digits",
            [](auto& check) {
              const auto collisions = [&](const char* angle, const std::vector<std::string>& printed) {
                const Index bits[] = {1, 2, 6, 7, 8};
                const Real50 differ = Real50(angle) / pi<Real50>();
                for (std::size_t i = 0; i < printed.size(); ++i) {
                  check.digits(sketch::collision_probability(differ, bits[i]), printed[i], "collision");
                }
              };
              collisions("0.3", {"0.904507034145", "0.818132974818", "0.547610405320", "0.495317463583",
                                 "0.448018129946"});
              collisions("1", {"0.681690113816", "0.464701411275", "0.100351062304", "0.068408327083",
                               "0.046633280275"});
              const auto others = [&](const char* angle, const char* neighbour, const char* ball) {
                const Real50 differ = Real50(angle) / pi<Real50>();
                check.digits(sketch::gray_neighbour_probability(differ, 7), neighbour, "Gray neighbours");
                check.digits(sketch::hamming_ball_probability(differ, 7, 1), ball, "Hamming ball");
              };
              others("0.3", "0.104585883474", "0.861368055743");
              others("1", "0.063885470441", "0.292007473625");
              others("2", "0.00293141883835", "0.0110965874868");
              check.digits(sketch::collision_probability(Real50(2 / pi<Real50>()), 7), "0.000836621552612",
                           "collision");
            })
      .once(Kind::example, "cross-polytope probabilities",
            "The integral for 1, 2, 3 and 8 axes at three angles: 1 - p, (1 - p)^2 and nine printed digits",
            [](auto& check) {
              const char* const angles[] = {"0.3", "1", "2"};
              const char* const one[] = {"0.904507034", "0.681690114", "0.363380228"};
              const char* const two[] = {"0.818132975", "0.464701411", "0.132045190"};
              const char* const three[] = {"0.786634501", "0.384499821", "0.067860470"};
              const char* const eight[] = {"0.721911876", "0.254756592", "0.010988151"};
              for (std::size_t i = 0; i < 3; ++i) {
                const double rho = std::cos(std::stod(angles[i]));
                check.digits(Real50(cross_polytope_collision(1, rho)), one[i], "1 axis");
                check.digits(Real50(cross_polytope_collision(2, rho)), two[i], "2 axes");
                check.digits(Real50(cross_polytope_collision(3, rho)), three[i], "3 axes");
                check.digits(Real50(cross_polytope_collision(8, rho)), eight[i], "8 axes");
              }
            })
      .once(Kind::example, "sample sizes",
            "How many trials tell a frequency to +-delta: six sigma, Chernoff, Hoeffding", [](auto& check) {
              struct Row {
                double chance, delta;
                Index sigma, chernoff, hoeffding;
              };
              for (const Row& row :
                   {Row{0.5, 0.01, 90000, 103610, 103617}, Row{0.3, 0.01, 75600, 87582, 103617},
                    Row{0.1, 0.01, 32400, 38385, 103617}, Row{0.01, 0.001, 356400, 423640, 10361633}}) {
                const double logarithm = std::log(1e9), d2 = row.delta * row.delta;
                double least = std::numeric_limits<double>::infinity();
                for (const double x : {row.chance - row.delta, row.chance + row.delta}) {
                  least = std::min(
                      least, x * std::log(x / row.chance) + (1 - x) * std::log((1 - x) / (1 - row.chance)));
                }
                check.equal(static_cast<Index>(std::lround(36 * row.chance * (1 - row.chance) / d2)),
                            row.sigma, "six sigma");
                check.equal(static_cast<Index>(std::ceil(logarithm / least)), row.chernoff, "Chernoff");
                check.equal(static_cast<Index>(std::ceil(logarithm / (2 * d2))), row.hoeffding, "Hoeffding");
              }
              check.digits(binomial_tail(90000, 45000, 900) * 1000000000, "2.01", "tail at p = 0.5");
              check.digits(binomial_tail(32400, 3240, 324) * 1000000000, "2.33", "tail at p = 0.1");
              check.digits(binomial_tail(356400, 3564, 357) * 1000000000, "2.24", "tail at p = 0.01");
            });
}

const Registration<EntryBuilder> registration{"approximate_matmul_and_sketch", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                sampling_laws(entry);
                                                tail_laws(entry);
                                                drawing_laws(entry);
                                                sketch_laws(entry);
                                                hash_laws(entry);
                                                median_laws(entry);
                                                errata(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
