/// \file
/// The entry of polynomials in the place of e^x: forms, laws, costs. Its text is
/// `reference/approximation/polynomial_exp.hpp`.
#include "reference/approximation/polynomial_exp.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "proofs/engine/group.hpp"
#include "reference/approximation/error_metrics.hpp"
#include "reference/softmax_attention/softmax_attention.hpp"

namespace etalon {
namespace {

namespace px = polynomial_exp;
namespace la = linear_attention;

const Expression n = symbol("n"), d = symbol("d"), d_v = symbol("d_v"), g = symbol("degree"),
                 chunk = symbol("chunk");
constexpr Index kTerms = 80;  // of a Bessel series: for radii up to 16 the rest is below 10^-60
constexpr Index kRounds = 6;  // of Remez's exchange

/// The polynomial of a case: c_0 is 1, since attention does not notice a common factor.
template <Ring T>
px::Input<T> input_of(const Arrays<T>& in) {
  px::Polynomial<T> c{T(1)};
  const Array<T>& coefficients = in["coefficient"];
  for (const T& one : coefficients.values()) c.push_back(one);
  return {in["query"], in["key"], in["value"], c, in.number("scale", T(1))};
}

void describe(EntryBuilder& entry) {
  entry
      .about("approximation", "Polynomials in the place of exp",
             "A polynomial of a score is an inner product of monomials: attention without pairs, at the "
             "price of a degree.",
             {"aggarwal2022exponentials", "alman2023bounded", "arora2024based"})
      .size("n", 30, 6)
      .size("d", 4, 3)
      .size("d_v", 3, 2)
      .parameter({"degree", 2, 0, 5, "the degree g of the polynomial", {}})
      .parameter({"chunk", 64, 1, n + 2, "tokens in a chunk; the last one may be shorter", {}})
      .input("query", {n, d}, Domain::positive, "what each token asks")
      .input("key", {n, d}, Domain::positive, "under which label each token is remembered")
      .input("value", {n, d_v}, Domain::any, "what is remembered of each token")
      .input("coefficient", {g}, Domain::positive, "c_1 ... c_g; c_0 is 1")
      .input("scale", {}, Domain::positive, "factor of the scores; 1 when left out")
      .output("output", {n, d_v}, "the average that each query reads");
}

void forms(EntryBuilder& entry) {
  entry
      .form("direct", "the definition: p of every score",
            []<Field T>(const Arrays<T>& in, const Settings&) { return output_of(px::direct(input_of(in))); })
      .form(
          "factored", "monomials of keys times values first, then every query reads them",
          []<Field T>(const Arrays<T>& in, const Settings&) { return output_of(px::factored(input_of(in))); })
      .form("direct_causal", "p of every score with a key that is not later",
            []<Field T>(const Arrays<T>& in, const Settings&) {
              return output_of(px::direct_causal(input_of(in)));
            })
      .form("recurrent", "token after token, all keys in one matrix of monomials",
            []<Field T>(const Arrays<T>& in, const Settings&) {
              const px::Input<T> input = input_of(in);
              return output_of(px::recurrent(input, px::empty_memory(input)).output);
            })
      .form("chunked", "all pairs inside chunks, the matrix from chunk to chunk",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return output_of(px::chunked(input_of(in), at(settings, "chunk")).output);
            });
}

// ---- what the laws share -----------------------------------------------------------------------

template <class T>
T inner_product(const std::vector<T>& a, const std::vector<T>& b) {
  T sum(0);
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Queries and keys whose scores lie in [-1/2, 1/2] with the scale 1 / d.
template <class AnyTrial>
auto small_scores(const AnyTrial& trial, px::Polynomial<ScalarOf<AnyTrial>> c) {
  using T = ScalarOf<AnyTrial>;
  const Index length = trial.size("n"), channels = trial.size("d");
  px::Input<T> in{trial.array("gates of queries", {length, channels}, Domain::gate),
                  trial.array("gates of keys", {length, channels}, Domain::gate), trial.in["value"],
                  std::move(c), T(1) / T(channels)};
  for (T& x : in.key.values()) x -= T(1) / T(2);
  return in;
}

/// The monomial of a row of exponents, from powers.
template <class T>
T power_product(std::span<const T> x, const Array<Index>& mu, Index a) {
  T product(1);
  for (Index i = 0; i < mu.extent(1); ++i) {
    for (Index k = 0; k < mu(a, i); ++k) product = product * x[static_cast<std::size_t>(i)];
  }
  return product;
}

/// Three tokens, d = 2 and d_v = 1, with scale 1/2; scores from -1 to 1.
template <Field T>
px::Input<T> example_tokens(px::Polynomial<T> c) {
  return {Array<T>::matrix({{T(1), T(1)}, {T(0), T(2)}, {T(-1), T(1)}}),
          Array<T>::matrix({{T(1), T(0)}, {T(1), T(-1)}, {T(2), T(1)}}),
          Array<T>::matrix({{T(1)}, {T(2)}, {T(-1)}}), std::move(c), T(1) / T(2)};
}

/// Causal softmax attention of the same queries, keys and values.
Array<Real50> softmax_of(const px::Input<Real50>& in) {
  softmax_attention::Problem<Real50> problem;
  problem.queries = in.query.extent(0);
  problem.score = softmax_attention::dot_product(in.query, in.key, in.scale);
  problem.mask = softmax_attention::causal_mask(in.query.extent(0), in.key.extent(0));
  problem.value = in.value;
  return softmax_attention::safe(problem);
}

// ---- features ----------------------------------------------------------------------------------

void features(EntryBuilder& entry) {
  entry.standard(laws::same("factored", "direct"))
      .standard(laws::same("recurrent", "direct_causal"))
      .standard(laws::same("chunked", "direct_causal"))
      .standard(laws::causal("recurrent", "n"))
      .law<PrimeField>(
          Kind::same, "features give the polynomial",
          "<(w q^mu), (k^mu)> = p(sigma q . k) for coefficients of any sign, with monomials and with all "
          "ordered products",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index channels = trial.size("d"), degree = trial.size("degree");
            const auto x = trial.array("x", {1, channels}), y = trial.array("y", {1, channels});
            const auto drawn = trial.array("signed", {degree + 1});
            const px::Polynomial<T> c(drawn.values().begin(), drawn.values().end());
            const T scale = trial.number("any scale");
            T score(0);
            for (Index i = 0; i < channels; ++i) score += x(0, i) * y(0, i);
            const T truth = px::horner(c, T(scale * score));
            const px::QueryFeatures<T> of_query{px::monomial_weights(px::scaled(c, scale), channels), degree};
            const auto key = px::KeyFeatures{degree}(y.row(0));
            trial.equal(inner_product(of_query(x.row(0)), key), truth, "monomials");
            auto left = px::ordered_products(x.row(0), degree);
            const auto scaled = px::scaled(c, scale);
            std::size_t a = 0;
            Index products = 1;
            for (const T& coefficient : scaled) {
              for (Index i = 0; i < products; ++i) left[a++] *= coefficient;
              products *= channels;
            }
            trial.expect(a == left.size(), "the number of ordered products");
            trial.equal(inner_product(left, px::ordered_products(y.row(0), degree)), truth, "ordered");
          })
      .law<PrimeField>(Kind::same, "monomials are powers",
                       "Feature number mu is the product of x_l to the power mu_l, 0^0 being 1",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         const Index channels = trial.size("d"), degree = trial.size("degree");
                         auto x = trial.array("x", {1, channels});
                         if (trial.integer("some are 0", 0, 1) == 1) x(0, 0) = T(0);
                         const auto all = px::monomials(std::as_const(x).row(0), degree);
                         const auto mu = px::exponents(channels, degree);
                         trial.expect(static_cast<Index>(all.size()) == mu.extent(0), "as many as exponents");
                         for (Index a = 0; a < mu.extent(0); ++a) {
                           trial.equal(all[static_cast<std::size_t>(a)],
                                       power_product(std::as_const(x).row(0), mu, a), "monomial");
                         }
                       })
      .law<PrimeField>(
          Kind::same, "split: recurrent",
          "recurrent run in two parts, the second from the memory that the first left, equals one run",
          [](auto& trial) {
            const auto in = input_of(trial.in);
            const Index length = trial.size("n"), cut = trial.integer("cut", 1, length);
            const auto whole = px::recurrent(in, px::empty_memory(in));
            auto part = in;
            const auto take = [&](Index first, Index last) {
              part.query = rows(in.query, first, last);
              part.key = rows(in.key, first, last);
              part.value = rows(in.value, first, last);
            };
            take(0, cut);
            const auto head = px::recurrent(part, px::empty_memory(in));
            trial.equal(head.output, rows(whole.output, 0, cut), "first part");
            if (cut == length) return;
            take(cut, length);
            const auto tail = px::recurrent(part, head.memory);
            trial.equal(tail.output, rows(whole.output, cut, length), "second part");
            trial.equal(tail.memory.state, whole.memory.state, "state");
            trial.equal(tail.memory.normaliser, whole.memory.normaliser, "normaliser");
          })
      .once(Kind::invariant, "monomials are counted and in order",
            "There are (d + g choose g) of them, each once, by degree and then larger exponents of the first "
            "channel first; of degree t they have weights t! / mu! that add up to d^t; the rank bound of the "
            "paper, (2 (g + d) choose 2 g), is larger",
            [](auto& check) {
              for (Index channels = 1; channels <= 5; ++channels) {
                for (Index degree = 0; degree <= 6; ++degree) {
                  const Array<Index> mu = px::exponents(channels, degree);
                  check.equal(mu.extent(0), px::monomial_count(channels, degree), "count");
                  std::vector<Index> last;
                  std::vector<Rational> sums(static_cast<std::size_t>(degree + 1), Rational(0));
                  const px::Polynomial<Rational> ones(static_cast<std::size_t>(degree + 1), Rational(1));
                  const auto weights = px::monomial_weights(ones, channels);
                  for (Index a = 0; a < mu.extent(0); ++a) {
                    std::vector<Index> key{0};
                    for (Index i = 0; i < channels; ++i) {
                      key[0] += mu(a, i);
                      key.push_back(-mu(a, i));
                    }
                    check.expect(a == 0 || last < key, "order");
                    last = key;
                    sums[static_cast<std::size_t>(key[0])] += weights[static_cast<std::size_t>(a)];
                  }
                  Rational power(1);
                  for (const Rational& sum : sums) {
                    check.equal(sum, power, "sum of multinomials");
                    power *= Rational(channels);
                  }
                  const Index paper = px::monomial_count(2 * channels, 2 * degree);
                  check.expect(degree == 0 || mu.extent(0) < paper, "the paper's rank bound");
                }
              }
              check.equal(px::monomial_count(8, 3), Index{165}, "d = 8, g = 3");
              check.equal(px::monomial_count(16, 6), Index{74613}, "d = 8, g = 3 in the paper's bound");
            })
      .law<Bounded<Real50>>(
          Kind::same, "one map for both sides",
          "For c_t >= 0 the features sqrt(w) x^mu of query and key have the same inner product",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index channels = trial.size("d"), degree = trial.size("degree");
            const px::Input<T> in = input_of(trial.in);
            const px::SymmetricFeatures<T> map{px::monomial_weights(in.c, channels), degree};
            T score(0);
            for (Index i = 0; i < channels; ++i) score += in.query(0, i) * in.key(0, i);
            trial.equal(inner_product(map(in.query.row(0)), map(in.key.row(0))), px::horner(in.c, score),
                        "polynomial");
          });
}

// ---- polynomials -------------------------------------------------------------------------------

/// r(x) = p(x) / e^x - 1 for the Chebyshev expansion p on [-B, B], and how fast it and its slope can change.
class RelativeError {
 public:
  using T = Bounded<Real50>;

  RelativeError(const Real50& radius, Index degree)
      : radius_(radius),
        c_(px::to_monomials(px::chebyshev(T(radius), degree, kTerms), T(radius))),
        derivative_(px::derivative(c_)),
        at_end_(px::chebyshev_relative_error(T(radius), degree, kTerms)) {
    // With R = e^x - p = 2 sum of I_k(B) T_k(x / B) over k > g, r = -R / e^x, so that r' = (R - R') / e^x and
    // r'' = (2 R' - R - R'') / e^x; on [-1, 1], |T_k| <= 1, |T_k'| <= k^2 and |T_k''| <= k^2 (k^2 - 1) / 3.
    const T B(radius);
    T slope(0), curvature(0);
    for (Index k = degree + 1; k <= degree + kTerms; ++k) {
      const T one = T(2) * px::bessel(k, B, kTerms), first = T(k * k) / B,
              second = T(k * k * (k * k - 1)) / (T(3) * B * B);
      slope += one * (T(1) + first);
      curvature += one * (T(1) + T(2) * first + second);
    }
    slope_ = slope * exp(B);
    curvature_ = curvature * exp(B);
  }

  /// True when |r| <= |r(-B)| on all of [-B, B] for certain, all rounding errors counted.
  bool is_largest_at_left_end() const { return is_within(-radius_, radius_, 100); }

 private:
  T value(const Real50& x) const { return magnitude(T(px::horner(c_, T(x)) / exp(T(x)) - T(1))); }

  bool is_within(const Real50& x) const { return x == -radius_ || surely_at_most(value(x), at_end_); }

  /// On [left, right]: |r| cannot climb from the middle to |r(-B)|; or r cannot turn, so that |r| is
  /// largest at an end; or both halves can be decided.
  bool is_within(const Real50& left, const Real50& right, int halvings) const {
    const Real50 middle = (left + right) / 2;
    const T half = T(Real50((right - left) / 2)), x(middle);
    if (surely_at_most(value(middle) + slope_ * half, at_end_)) return true;
    const T slope = magnitude(T((px::horner(derivative_, x) - px::horner(c_, x)) / exp(x)));
    if (surely_at_most(curvature_ * half, slope)) return is_within(left) && is_within(right);
    return halvings > 0 && is_within(left, middle, halvings - 1) && is_within(middle, right, halvings - 1);
  }

  Real50 radius_;
  px::Polynomial<T> c_, derivative_;
  T at_end_, slope_, curvature_;
};

/// At least how far the largest error of Remez's polynomial p on [-B, B] lies above its level. With q from
/// one round before: the points of p are hilltops of q, each up to the width w of the last bracket of the
/// search, so q exceeds its errors at them by at most max|e_q''| w^2 / 2; and p differs from q by at most sum
/// |c_t - c_t'| B^t, here and there. Relative errors have a factor e^-x, of which every derivative is at most
/// e^B.
Real50 excess(const px::Polynomial<Real50>& p, const px::Polynomial<Real50>& q, const Real50& radius,
              bool relative) {
  const auto degree = static_cast<Index>(p.size()) - 1;
  Real50 between = 0, value = 0, slope = 0, curvature = 0, power = 1;  // power is B^t
  for (Index t = 0; t <= degree; ++t, power *= radius) {
    const auto at = static_cast<std::size_t>(t);
    const Real50 size = abs(q[at]) * power;
    between += abs(Real50(p[at] - q[at])) * power;
    value += size;
    slope += t * size / radius;
    curvature += t * (t - 1) * size / (radius * radius);
  }
  const Real50 bend = relative ? exp(radius) * (value + 2 * slope + curvature) : curvature + exp(radius);
  const Real50 cell = radius * pi<Real50>() / (px::kCellsPerHill * (degree + 1));
  const Real50 width = 2 * cell * pow(Real50(2) / 3, px::kSearchSteps);
  return (relative ? exp(radius) : Real50(1)) * 2 * between + bend * width * width / 2;
}

void polynomials(EntryBuilder& entry) {
  entry
      .law<PrimeField>(Kind::same, "Clenshaw, Horner and the change of basis",
                       "sum a_k T_k(x / B) by Clenshaw's rule equals Horner's on the converted coefficients",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         const auto drawn = trial.array("a", {trial.size("degree") + 1});
                         const std::vector<T> a(drawn.values().begin(), drawn.values().end());
                         const T radius = trial.number("radius", Domain::nonzero), x = trial.number("x");
                         trial.equal(px::clenshaw(a, T(x / radius)),
                                     px::horner(px::to_monomials(a, radius), x), "value");
                         const Index k = trial.size("degree");
                         std::vector<T> one(static_cast<std::size_t>(k + 1), T(0)), other(one);
                         one.back() = T(1);
                         T before(1), current = x;  // T_0 and T_1
                         for (Index i = 1; i < k; ++i) {
                           const T next = T(2) * x * current - before;
                           before = current;
                           current = next;
                         }
                         trial.equal(px::clenshaw(one, x), k == 0 ? T(1) : current, "T_k");
                       })
      .law<Rational>(
          Kind::invariant, "facts about Taylor polynomials",
          "The derivative of T_g is T_(g-1); T_g(0) = 1; the series of T_g(B) goes on with the stated error",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index degree = trial.size("degree");
            const T x = trial.number("x", Domain::positive);
            const auto p = px::taylor<T>(degree);
            trial.equal(px::horner(p, T(0)), T(1), "at 0");
            if (degree >= 1) {
              trial.equal(px::horner(px::derivative(p), x), px::horner(px::taylor<T>(degree - 1), x),
                          "derivative");
            }
            trial.equal(px::horner(px::taylor<T>(degree + 7), x),
                        px::horner(p, x) + px::taylor_error(x, degree, 7), "the rest");
          })
      .law<Bounded<Real50>>(
          Kind::bound, "Taylor's remainder",
          "|e^x - T_g(x)| <= |x|^(g+1) / (g+1)! max(1, e^x); for x <= 0 odd degrees lie below and even ones "
          "above; even degrees are positive, and nowhere below their stated minimum",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index degree = trial.size("degree");
            const T x = trial.number("x", Domain::logit), below = -magnitude(x);
            const T p = px::horner(px::taylor<T>(degree), x);
            trial.at_most(magnitude(T(p - exp(x))), px::taylor_remainder(x, degree), "remainder");
            const T left = px::horner(px::taylor<T>(degree), below);
            const T exact = exp(below);
            trial.at_most(degree % 2 == 0 ? exact : left, degree % 2 == 0 ? left : exact, "sandwich");
            if (degree % 2 == 0 && degree > 0) {
              const Index halvings = 100;
              const auto [where, least] = px::taylor_minimum<T>(degree, halvings);
              // T_g(x) - x^g / g! is T_(g-1)(x). Its root is no further from x than the last bracket is
              // wide, and its slope on [-g, 0] is at most e^g.
              T width(degree);
              for (Index i = 0; i < halvings; ++i) width /= T(2);
              const T off = width * exp(T(degree));
              trial.at_most(magnitude(T(px::horner(px::taylor<T>(degree), where) - least)), off,
                            "the minimum is taken where it is said to be");
              trial.at_most(least, p + off, "minimum");
            }
          })
      .law<Bounded<Real50>>(
          Kind::bound, "largest errors of Taylor polynomials",
          "On [-B, B] the absolute error is largest at B, the relative one at -B, for every degree",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index degree = trial.size("degree");
            const T radius = magnitude(trial.number("radius")) / T(2);
            const T x = radius * (T(2) * trial.number("place", Domain::gate) - T(1));
            const auto p = px::taylor<T>(degree);
            trial.at_most(magnitude(T(px::horner(p, x) - exp(x))),
                          px::taylor_error(radius, degree, kTerms * 4), "absolute");
            trial.at_most(magnitude(T(px::horner(p, x) / exp(x) - T(1))),
                          px::taylor_relative_error(radius, degree), "relative");
            trial.equal(exp(radius) - px::horner(p, radius), px::taylor_error(radius, degree, kTerms * 4),
                        "attained at B");
          })
      .law<Bounded<Real50>>(
          Kind::bound, "the Chebyshev expansion",
          "Its error is the tail of the Bessel series, attained at B; I_k is below its stated bound",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index degree = trial.size("degree");
            const T radius = T(4) * trial.number("radius of at most 4", Domain::open_gate);
            const T y = T(2) * trial.number("place", Domain::gate) - T(1), x = radius * y;
            const auto a = px::chebyshev(radius, degree, kTerms);
            const T error = px::chebyshev_error(radius, degree, kTerms);
            trial.at_most(magnitude(T(px::clenshaw(a, y) - exp(x))), error, "error");
            trial.equal(exp(radius) - px::clenshaw(a, T(1)), error, "attained at B");
            trial.at_most(px::bessel(degree, radius, kTerms), px::bessel_bound(degree, radius),
                          "Bessel bound");
          })
      .once(Kind::bound, "the relative error of the Chebyshev expansion",
            "It is largest at -B, for B from 1/2 to 4 and degrees up to 12: certified on all of [-B, B] by "
            "halving it until the error of a part cannot climb that high or cannot turn",
            [](auto& check) {
              for (const char* const radius : {"0.5", "1", "2", "4"}) {
                for (Index degree = 0; degree <= 12; ++degree) {
                  check.expect(RelativeError(Real50(radius), degree).is_largest_at_left_end(),
                               std::string("B = ") + radius + ", degree " + std::to_string(degree));
                }
              }
            })
      .once(Kind::bound, "the best polynomial",
            "Remez's polynomial has errors of equal size, its level, and of alternating sign at g + 2 "
            "points, so that no other of degree g does better (de la Vallee Poussin). Its error is nowhere "
            "above the level by more than the last round changed and a search for hilltops leaves; the level "
            "lies between the least possible error and that of the Chebyshev expansion",
            [](auto& check) {
              using T = Bounded<Real50>;
              for (const Index radius : {1, 2, 4}) {
                for (Index degree = 0; degree <= 8; ++degree) {
                  const Real50 B(radius);
                  for (const bool relative : {false, true}) {
                    const auto best = px::minimax(B, degree, relative, kRounds);
                    const auto before = px::minimax(B, degree, relative, kRounds - 1);
                    check.expect(static_cast<Index>(best.points.size()) == degree + 2, "points");
                    // The same polynomial again, from its points, with all roundings counted.
                    const auto bounded =
                        px::levelled(std::vector<T>(best.points.begin(), best.points.end()), relative);
                    for (std::size_t i = 0; i < best.points.size(); ++i) {
                      check.expect(i == 0 || best.points[i - 1] < best.points[i], "ascending");
                      check.equal(px::error_at(bounded.c, bounded.points[i], relative),
                                  i % 2 == 0 ? bounded.level : -bounded.level, "levelled");
                    }
                    const T level = magnitude(bounded.level);
                    check.expect(level.value() > Real50(level.error_bound()), "the level is not 0");
                    const T highest = level + T(excess(best.c, before.c, B, relative));
                    for (Index j = 0; j <= 100; ++j) {
                      const T x(Real50(B * (Real50(2 * j) / 100 - 1)));
                      check.at_most(magnitude(px::error_at(bounded.c, x, relative)), highest,
                                    "nowhere above its level");
                    }
                    if (relative) continue;
                    check.at_most(px::least_possible_error(T(radius), degree, kTerms), level,
                                  "least possible");
                    check.at_most(level, px::chebyshev_error(T(radius), degree, kTerms),
                                  "better than Chebyshev");
                  }
                }
              }
            });
}

// ---- attention ---------------------------------------------------------------------------------

/// The polynomial of least degree that agrees with f at all points, by Newton's divided differences.
template <class T, class F>
px::Polynomial<T> interpolating(const std::vector<T>& points, const F& f) {
  std::vector<T> difference;
  for (const T& x : points) difference.push_back(f(x));
  for (std::size_t order = 1; order < points.size(); ++order) {
    for (std::size_t i = points.size() - 1; i >= order; --i) {
      difference[i] = (difference[i] - difference[i - 1]) / (points[i] - points[i - order]);
    }
  }
  px::Polynomial<T> c(points.size(), T(0));
  for (std::size_t i = points.size(); i-- > 0;) {  // c <- c (x - x_i) + difference_i
    for (std::size_t t = c.size() - 1; t > 0; --t) c[t] = c[t - 1] - points[i] * c[t];
    c[0] = difference[i] - points[i] * c[0];
  }
  return c;
}

void limits(EntryBuilder& entry) {
  entry
      .limit<RationalExp2>(
          "softmax_attention", "is softmax attention for the scores that it interpolates",
          "With the polynomial that agrees with exp at 0 and at all scores that occur, direct is softmax "
          "attention and direct_causal its causal form, exactly",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), channels = trial.size("d");
            auto in = trial.in;
            for (const char* name : {"query", "key"}) {
              in.real[name] = trial.array(std::string("whole ") + name, {length, channels}, Domain::logit);
            }
            in.real["scale"] = Array<T>(Shape{}, T(1));
            std::set<Rational> scores{Rational(0)};
            for (Index i = 0; i < length; ++i) {
              for (Index j = 0; j < length; ++j) {
                T score(0);
                for (Index l = 0; l < channels; ++l) score += in["query"](i, l) * in["key"](j, l);
                scores.insert(score.value());
              }
            }
            const std::vector<T> points(scores.begin(), scores.end());
            const auto c = interpolating(points, [](const T& x) { return exp(x); });
            trial.equal(c.front(), T(1), "p(0)");
            in.real["coefficient"] =
                Array<T>({static_cast<Index>(c.size()) - 1}, std::vector<T>(c.begin() + 1, c.end()));
            Arrays<T> other;
            for (const char* name : {"query", "key", "value", "scale"}) other.real[name] = in[name];
            const auto size_settings = [&](Index mask) {
              return Settings{{"n_q", length}, {"n_k", length}, {"mask", mask}};
            };
            trial.equal(trial.run("direct", in)["output"],
                        trial.run_other("softmax_attention", "safe", other, size_settings(0))["output"],
                        "all keys");
            trial.equal(trial.run("direct_causal", in)["output"],
                        trial.run_other("softmax_attention", "safe", other, size_settings(1))["output"],
                        "causal");
          })
      .limit<PrimeField>(
          "linear_attention", "of degree 1 is linear attention with the features 1 and q",
          "With p = 1 + c_1 x the weights are 1 + c_1 sigma q . k: d + 1 features, the first of them 1",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), channels = trial.size("d");
            auto in = trial.in;
            const T slope = trial.number("slope", Domain::positive);
            in.real["coefficient"] = Array<T>({1}, slope);
            Arrays<T> other;
            other.real["value"] = in["value"];
            for (const char* name : {"query", "key"}) {
              other.real[name] = Array<T>({length, channels + 1}, T(1));
              const T factor = std::string(name) == "query" ? T(slope * in["scale"]()) : T(1);
              for (Index t = 0; t < length; ++t) {
                for (Index i = 0; i < channels; ++i) other.real[name](t, i + 1) = factor * in[name](t, i);
              }
            }
            trial.equal(trial.run("recurrent", in)["output"],
                        trial.run_other("linear_attention", "quadratic", other)["output"], "causal");
            trial.equal(trial.run("direct", in)["output"],
                        trial.run_other("linear_attention", "noncausal_quadratic", other)["output"], "full");
            in.real["coefficient"] = Array<T>({2}, T(1));
            in.real["coefficient"](1) = T(1) / T(2);
            trial.equal(trial.run("recurrent", in)["output"],
                        la::taylor_quadratic(in["query"], in["key"], in["value"], in["scale"]()),
                        "1 + s + s^2 / 2");
          })
      .limit<PrimeField>("gated_linear_attention", "is gated linear attention on monomials with gates 1",
                         "Sums of weights times values are gated linear attention on the features, and a "
                         "value of 1 beside the others gives the sums of weights",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const px::Input<T> in = input_of(trial.in);
                           const Index length = trial.size("n"), width = trial.size("d_v");
                           const auto features = px::featured(in);
                           Arrays<T> gla;
                           gla.real["query"] = features.query;
                           gla.real["key"] = features.key;
                           gla.real["decay"] = Array<T>(features.key.shape(), T(1));
                           gla.real["value"] = Array<T>({length, width + 1}, T(1));
                           gla.real["initial_state"] = Array<T>({features.key.extent(1), width + 1});
                           for (Index t = 0; t < length; ++t) {
                             for (Index j = 0; j < width; ++j) gla.real["value"](t, j) = in.value(t, j);
                           }
                           const auto sums =
                               trial.run_other("gated_linear_attention", "recurrent", gla)["output"];
                           const auto mine = trial.run("direct_causal")["output"];
                           for (Index t = 0; t < length; ++t) {
                             for (Index j = 0; j < width; ++j) {
                               trial.equal(mine(t, j) * sums(t, width), sums(t, j), "output");
                             }
                           }
                         });
}

void attention(EntryBuilder& entry) {
  entry
      .law<PrimeField, Rational>(
          Kind::invariant, "degree 0 and queries of 0 give the mean",
          "Where p is a number, and where all scores are 0, every query reads the mean of the values",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto constant = trial.in, silent = trial.in;
            constant.real["coefficient"] = Array<T>({0});
            silent.real["query"] = Array<T>(trial.in["query"].shape());
            for (const char* form : {"direct", "factored"}) {
              for (const auto& in : {constant, silent}) {
                const auto output = trial.run(form, in)["output"];
                for (Index j = 0; j < trial.size("d_v"); ++j) {
                  T sum(0);
                  for (Index t = 0; t < trial.size("n"); ++t) sum += in["value"](t, j);
                  for (Index t = 0; t < trial.size("n"); ++t) {
                    trial.equal(output(t, j), sum / T(trial.size("n")), form);
                  }
                }
              }
            }
          })
      .law<PrimeField, Rational>(Kind::invariant, "the scale belongs to the coefficients",
                                 "c_t sigma^t without a scale gives what c_t gives with it",
                                 [](auto& trial) {
                                   using T = ScalarOf<decltype(trial)>;
                                   auto in = trial.in;
                                   in.real["scale"] = Array<T>(Shape{}, T(1));
                                   T power = trial.in["scale"]();
                                   for (Index t = 0; t < trial.size("degree"); ++t) {
                                     in.real["coefficient"](t) = power * trial.in["coefficient"](t);
                                     power *= trial.in["scale"]();
                                   }
                                   trial.equal(trial.run("factored", in), trial.run("direct"), "output");
                                 })
      .law<Bounded<Real50>>(
          Kind::bound, "from the exponential to the output",
          "When p is e^x up to a factor within 1 +- epsilon, the output is off softmax attention by at most "
          "(1 - sqrt(1 - epsilon^2)) / epsilon times the range of the values; here with the Taylor "
          "polynomial, whose measured epsilon is below its stated largest relative error",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index degree = trial.size("degree"), length = trial.size("n");
            const px::Input<T> in = small_scores(trial, px::taylor<T>(degree));
            Arrays<T> exact;
            exact.real["query"] = in.query;
            exact.real["key"] = in.key;
            exact.real["value"] = in.value;
            exact.real["scale"] = Array<T>(Shape{}, in.scale);
            const auto truth = trial.run_other("softmax_attention", "safe", exact,
                                               {{"n_q", length}, {"n_k", length}})["output"];
            const auto found = px::factored(in);
            T epsilon(0);
            for (Index i = 0; i < length; ++i) {
              for (Index j = 0; j < length; ++j) {
                T score(0);
                for (Index l = 0; l < trial.size("d"); ++l) score += in.query(i, l) * in.key(j, l);
                score = in.scale * score;
                epsilon = maximum(epsilon, magnitude(T(px::horner(in.c, score) / exp(score) - T(1))));
              }
            }
            const T half = T(1) / T(2);
            trial.at_most(epsilon, px::taylor_relative_error(half, degree), "epsilon");
            for (Index l = 0; l < trial.size("d_v"); ++l) {
              T least = in.value(0, l), largest = least;
              for (Index j = 0; j < length; ++j) {
                largest = maximum(largest, in.value(j, l));
                least = -maximum(T(-least), T(-in.value(j, l)));
              }
              for (Index i = 0; i < length; ++i) {
                trial.at_most(magnitude(T(found(i, l) - truth(i, l))),
                              error_metrics::average_error_of_exponentials(epsilon) * (largest - least),
                              "output");
                if (degree % 2 == 0) {
                  trial.at_most(least, found(i, l), "an average");
                  trial.at_most(found(i, l), largest, "an average");
                }
              }
            }
          })
      .law<Bounded<Real50>>(
          Kind::bound, "an upper bound of the scores makes absolute errors enough",
          "Let no score exceed M. If p is e^(x - M) up to delta, then the sum of n weights is off by at most "
          "n delta; that p, on [M - 2 B, M], may have the degree of absolute error delta e^B on [-B, B]",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), degree = trial.size("degree");
            const T radius = T(2) * trial.number("radius", Domain::open_gate);
            const auto a = px::chebyshev(radius, degree, kTerms);
            const T delta = px::chebyshev_error(radius, degree, kTerms) * exp(-radius);
            T exact(0), found(0);
            for (Index j = 0; j < length; ++j) {
              const T y = T(2) * trial.number("score " + std::to_string(j), Domain::gate) - T(1);
              exact += exp(radius * y - radius);  // M = radius
              found += px::clenshaw(a, y) * exp(-radius);
            }
            trial.at_most(magnitude(T(found - exact)), T(length) * delta, "sum of weights");
          })
      .once(Kind::converges, "higher degrees converge to softmax attention",
            "Once the degree exceeds the largest score the error of Taylor attention falls with every "
            "degree, below the bound from |x|^(g+1) e^|x| / (g+1)!",
            [](auto& check) {
              px::Input<Real50> in = example_tokens<Real50>({});
              const Array<Real50> truth = softmax_of(in);
              const Real50 largest = 1;  // |score|, see below
              Real50 before = 0;
              for (Index degree = 0; degree <= 30; ++degree) {
                in.c = px::taylor<Real50>(degree);
                Real50 error = 0;
                const Array<Real50> found = px::direct_causal(in);
                for (Index i = 0; i < 3; ++i) error = maximum(error, Real50(abs(found(i, 0) - truth(i, 0))));
                const Real50 epsilon = px::taylor_remainder(largest, degree);  // times e^-x at x = -1
                if (epsilon < 1) {
                  const Real50 bound = 3 * error_metrics::average_error_of_exponentials(epsilon);
                  check.expect(error <= bound, "degree " + std::to_string(degree) + ": " + show(error));
                }
                check.expect(degree < 2 || error < before, "falls at degree " + std::to_string(degree));
                before = error;
              }
            });
}

// ---- what can go wrong, and the tables ---------------------------------------------------------

void traps(EntryBuilder& entry) {
  entry
      .once(Kind::invariant, "odd degrees can fail, and say so",
            "Weights that add up to 0 are an error that names the query and the odd degree; weights that add "
            "up to less than 0 give a number that is no average of the values",
            [](auto& check) {
              using R = Rational;
              px::Input<R> in{Array<R>({1, 1}, R(-1)), Array<R>({1, 1}, R(1)), Array<R>({1, 1}, R(5)),
                              px::taylor<R>(1), R(1)};
              for (const bool causal : {false, true}) {
                std::string message;
                try {
                  causal ? px::recurrent(in, px::empty_memory(in)).output : px::factored(in);
                } catch (const std::domain_error& error) {
                  message = error.what();
                }
                check.expect(message.find("query 0") != std::string::npos, "names the query: " + message);
                check.expect(message.find("degree 1 is odd") != std::string::npos, "names the degree");
              }
              px::Input<R> two = in;
              two.query = Array<R>({2, 1}, R(-3));
              two.key = Array<R>::matrix({{R(1)}, {R(0)}});
              two.value = Array<R>::matrix({{R(0)}, {R(1)}});
              check.expect(px::compared(two, [](Index) { return Index{2}; }).denominator(0) < R(0),
                           "negative");
              check.equal(px::direct(two)(0, 0), R(-1), "no average of 0 and 1");
            })
      .once(
          Kind::invariant, "alternating terms cost digits, whatever the degree",
          "In float the Taylor polynomial of degree 60 is off e^x by more than e^x itself at x = -12, as a "
          "sum of alternating terms of up to 2 * 10^4; at x = 12 all terms are positive, and it is right up "
          "to what each term meets: a rounding of its coefficient and two of Horner's rule in every degree",
          [](auto& check) {
            const auto p = px::taylor<float>(60);
            const double below = double{px::horner(p, -12.0F)}, above = double{px::horner(p, 12.0F)};
            check.expect(std::abs(below / std::exp(-12.0) - 1) > 1, "x = -12");
            const double roundings = 3 * 60 + 2;  // with one more for this check, which adds up in double
            const double gamma = roundings * 0x1p-24 / (1 - roundings * 0x1p-24);
            double terms = 0, underflown = 0, coefficient = 1, power = 1;
            for (int t = 0; t <= 60; ++t, coefficient /= t, power *= 12) {
              const bool is_normal = coefficient >= double{std::numeric_limits<float>::min()};
              (is_normal ? terms : underflown) += coefficient * power;  // the latter may be lost altogether
            }
            const double budget = gamma * terms + underflown;
            check.within(above, std::exp(12.0), budget + std::abs(std::exp(12.0) - terms - underflown),
                         "x = 12");
          })
      .once(Kind::erratum, "an order of growth is no degree",
            "Over B = 1/2, 1, ... 16 and epsilon = 10^-2, 10^-3, 10^-6, 10^-9, 10^-12 the least degrees of "
            "the Chebyshev expansion for relative error epsilon are 0.4542 to 1.417 times the published "
            "order of growth at delta = epsilon e^-B; taken literally it grows without bound towards "
            "log(1/delta) = B, and degrees do not: at 1.001 B it is more than 20 times the degree; absolute "
            "error epsilon for e^(x - M) never needs a larger "
            "degree than relative error epsilon",
            [](auto& check) {
              std::vector<Real50> ratios;
              for (const char* const radius : {"0.5", "1", "2", "4", "8", "16"}) {
                const Real50 B(radius);
                const auto least = [&](auto error, const Real50& epsilon) {
                  return px::least_degree(error, epsilon, 100);
                };
                const auto relative = [&](Index k) { return px::chebyshev_relative_error(B, k, kTerms); };
                const auto absolute = [&](Index k) { return px::chebyshev_error(B, k, kTerms); };
                for (const char* const accuracy : {"1e-2", "1e-3", "1e-6", "1e-9", "1e-12"}) {
                  const Real50 epsilon(accuracy);
                  const Index degree = least(relative, epsilon);
                  ratios.push_back(degree / px::degree_growth(B, Real50(epsilon * exp(-B))));
                  check.expect(least(absolute, Real50(epsilon * exp(B))) <= degree, "below a known maximum");
                }
                const Real50 near = exp(-B * Real50("1.001"));
                check.expect(px::degree_growth(B, near) > 20 * least(absolute, near), "the pole");
              }
              const auto [lowest, highest] = std::minmax_element(ratios.begin(), ratios.end());
              check.digits(*lowest, "0.4542196006", "B = 16, epsilon = 10^-2: degree 37");
              check.digits(*highest, "1.417090721", "B = 1, epsilon = 10^-9: degree 10");
            });
}

void costs(EntryBuilder& entry) {
  // 1 where the degree is at least t, else 0: the number of monomials is a polynomial for each degree.
  const auto reaches = [](int t) { return min(1, max(0, g - (t - 1))); };
  const Expression of_two = d * (d + 1) / 2, of_three = d * (d + 1) * (d + 2) / 6,
                   of_four = d * (d + 1) * (d + 2) * (d + 3) / 24,
                   of_five = d * (d + 1) * (d + 2) * (d + 3) * (d + 4) / 120;
  const Expression some = reaches(1);  // 0 for degree 0, whose weights are literals
  const Expression others =            // r - 1
      reaches(1) * d + reaches(2) * of_two + reaches(3) * of_three + reaches(4) * of_four +
      reaches(5) * of_five;
  const Expression products = others - some * d;                  // r - d - 1: made by a product
  const Expression weights = products - max(0, g - 1) * d;        // multinomials other than 1
  const Expression one_token = (1 - some) * (1 - min(1, n - 1));  // n = 1 and g = 0: divided by 1
  const Expression features = weights + 2 * n * products + n * others;
  Cost direct("direct");
  direct.without = {"scale"};
  direct.multiplications = n * n * (d + g + some * d_v);
  direct.additions = n * n * (d - 1 + g) + n * (n - 1) * (d_v + some);
  direct.divisions = n * d_v - one_token * d_v;
  direct.exponentials = direct.functions = 0;
  direct.comparisons = some * n;
  direct.depth = some * (d + 2 * g + 1) + n - one_token;
  direct.free_depth = some * (ceil_log2(d) + 2 * g + 2) + ceil_log2(n) + 1 - one_token;
  direct.state = 0;
  Cost causal = direct;
  causal.form = "direct_causal";
  const Expression pairs = n * (n + 1) / 2;
  causal.multiplications = pairs * (d + g + some * d_v);
  causal.additions = pairs * (d - 1 + g) + (pairs - n) * (d_v + some);
  causal.divisions = n * d_v - (1 - some) * d_v;  // the first token of degree 0
  causal.depth.reset();
  causal.free_depth.reset();
  Cost factored("factored");
  factored.without = {"scale"};
  factored.multiplications = features + n * others * d_v + n * others * d_v + n * others;
  factored.additions = (n - 1) * (others + 1) * d_v + (n - 1) * others + n * others * d_v + n * others;
  factored.divisions = direct.divisions;
  factored.exponentials = factored.functions = 0;
  factored.comparisons = some * n;
  factored.state = (others + 1) * (d_v + 1);
  Cost recurrent = factored;
  recurrent.form = "recurrent";
  recurrent.divisions = causal.divisions;
  entry.cost(direct).cost(causal).cost(factored).cost(recurrent);
  std::vector<Settings> grid, degrees;
  for (Index length = 16; length <= 1024; length *= 2) {
    grid.push_back({{"n", length}, {"d", 16}, {"d_v", 16}, {"degree", 2}, {"chunk", 64}});
  }
  for (Index degree = 0; degree <= 5; ++degree) {
    degrees.push_back({{"n", 64}, {"d", 8}, {"d_v", 8}, {"degree", degree}, {"chunk", 16}});
  }
  entry.scale("degree 2, 16 channels", grid).scale("by degree, 8 channels", degrees);
}

void examples(EntryBuilder& entry) {
  entry
      .example(
          "worked example", "Three tokens, causal, sigma = 1/2, exactly, and e^x beside it",
          [](auto& check) {
            using R = Rational;
            const auto of = [](int a, int b) { return R(a) / R(b); };
            px::Input<R> in = example_tokens<R>(px::taylor<R>(2));
            const auto weights = px::monomial_weights(px::scaled(in.c, in.scale), 2);
            const R expected[] = {R(1), of(1, 2), of(1, 2), of(1, 8), of(1, 4), of(1, 8)};
            for (std::size_t i = 0; i < 6; ++i) check.equal(weights[i], expected[i], "w");
            const auto end = [](Index i) { return i + 1; };
            auto sums = px::compared(in, end);
            check.equal(sums.denominator, Array<R>::vector({of(13, 8), of(3, 2), of(7, 4)}), "D, g = 2");
            check.equal(px::direct_causal(in), Array<R>::matrix({{R(1)}, {of(4, 3)}, {of(4, 7)}}), "g = 2");
            in.c = px::taylor<R>(4);
            sums = px::compared(in, end);
            check.equal(sums.denominator, Array<R>::vector({of(211, 128), of(11, 8), of(305, 192)}),
                        "D, g = 4");
            check.equal(px::direct_causal(in), Array<R>::matrix({{R(1)}, {of(14, 11)}, {of(144, 305)}}),
                        "g = 4");
            const Array<Real50> truth = softmax_of(example_tokens<Real50>({}));
            check.digits(truth(1, 0), "1.26894142137", "softmax, token 2");
            check.digits(truth(2, 0), "0.4653930752378", "softmax, token 3");
          })
      .example("table of least degrees", "Taylor and Chebyshev, absolute and relative, 50 digits",
               [](auto& check) {
                 const char* const radii[] = {"0.5", "1", "2", "4", "8", "16"};
                 const char* const accuracies[] = {"1e-2", "1e-3", "1e-6", "1e-9", "1e-12"};
                 const Index absolute[6][10] = {
                     {3, 2, 4, 3, 7, 5, 9, 7, 11, 9},          {4, 3, 6, 4, 9, 7, 12, 9, 14, 12},
                     {7, 5, 9, 6, 13, 9, 16, 12, 19, 15},      {13, 8, 15, 9, 19, 13, 23, 17, 27, 20},
                     {24, 14, 26, 16, 31, 20, 36, 24, 40, 27}, {45, 26, 47, 28, 53, 33, 59, 37, 64, 41}};
                 const Index relative[6][10] = {
                     {3, 2, 4, 3, 7, 6, 9, 8, 11, 9},          {5, 4, 6, 5, 9, 7, 12, 10, 15, 12},
                     {8, 6, 10, 7, 14, 10, 17, 13, 20, 15},    {15, 10, 17, 12, 21, 15, 25, 18, 29, 21},
                     {30, 19, 31, 20, 36, 24, 40, 28, 44, 31}, {58, 37, 60, 38, 65, 42, 70, 46, 74, 50}};
                 for (std::size_t b = 0; b < 6; ++b) {
                   for (std::size_t e = 0; e < 5; ++e) {
                     const Real50 B(radii[b]), epsilon(accuracies[e]);
                     const auto least = [&](auto error) { return px::least_degree(error, epsilon, 100); };
                     const std::string what = std::string("B = ") + radii[b] + ", " + accuracies[e];
                     check.equal(least([&](Index k) { return px::taylor_error(B, k, kTerms); }),
                                 absolute[b][2 * e], what + ", Taylor");
                     check.equal(least([&](Index k) { return px::chebyshev_error(B, k, kTerms); }),
                                 absolute[b][2 * e + 1], what + ", Chebyshev");
                     check.equal(least([&](Index k) { return px::taylor_relative_error(B, k); }),
                                 relative[b][2 * e], what + ", Taylor, relative");
                     check.equal(least([&](Index k) { return px::chebyshev_relative_error(B, k, kTerms); }),
                                 relative[b][2 * e + 1], what + ", Chebyshev, relative");
                   }
                 }
               })
      .example("table of largest errors", "Taylor, Chebyshev, minimax, minimax relative", [](auto& check) {
        struct Row {
          Index radius, degree;
          const char *taylor, *chebyshev, *minimax, *relative;
        };
        const Row table[] = {{1, 1, "0.71828183", "0.32189774", "0.27880159", "0.23288459"},
                             {1, 2, "0.21828183", "0.050402403", "0.045017388", "0.03974012"},
                             {1, 3, "0.051615162", "0.0060655533", "0.0055283701", "0.0050038837"},
                             {1, 4, "0.0099484951", "0.0005913129", "0.0005466676", "0.00050304069"},
                             {1, 6, "2.262729e-4", "3.4092624e-6", "3.2108771e-6", "3.0165023e-6"},
                             {2, 2, "2.3890561", "0.55030019", "0.45033137", "0.27047196"},
                             {2, 4, "0.3890561", "0.023363133", "0.020181001", "0.014496125"},
                             {2, 6, "0.033500543", "5.1142811e-4", "4.5618101e-4", "3.555732e-4"},
                             {4, 4, "20.264817", "1.4258161", "1.1098679", "0.29560846"},
                             {4, 8, "1.166404", "0.0051579427", "0.00434097", "0.0019608323"}};
        for (const Row& row : table) {
          const Real50 B(row.radius);
          check.digits(px::taylor_error(B, row.degree, kTerms), row.taylor, "Taylor");
          check.digits(px::chebyshev_error(B, row.degree, kTerms), row.chebyshev, "Chebyshev");
          for (const bool relative : {false, true}) {
            const auto best = px::minimax(B, row.degree, relative, kRounds);
            const auto before = px::minimax(B, row.degree, relative, kRounds - 1);
            const char* const printed = relative ? row.relative : row.minimax;
            const Real50 level = abs(best.level);  // the least error lies between this and the largest
            check.digits(level, printed, relative ? "relative" : "minimax");
            check.digits(level + excess(best.c, before.c, B, relative), printed,
                         "with all that it may exceed");
          }
        }
        const auto c = px::to_monomials(px::chebyshev(Real50(1), 4, kTerms), Real50(1));
        const char* const printed[] = {"1.00004477866", "0.997307658439", "0.4991967555314",
                                       "0.1773473993947", "0.04379392353675"};
        for (std::size_t t = 0; t < 5; ++t) check.digits(c[t], printed[t], "c");
        const char* const minima[] = {"0.5", "0.270394765205", "0.149324841731", "0.0832715201641",
                                      "0.0466991135903"};
        for (Index i = 0; i < 5; ++i) {
          check.digits(px::taylor_minimum<Real50>(2 * i + 2, 170).second, minima[i], "minimum");
        }
      });
}

const Registration<EntryBuilder> registration{"polynomial_exp", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                features(entry);
                                                traps(entry);
                                                polynomials(entry);
                                                limits(entry);
                                                attention(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
