/// \file
/// Polynomials in the place of e^x, and the features that turn them into linear attention. Softmax attention
/// needs e^(q . k) for all pairs. A polynomial of q . k is an ordinary inner product of the *monomials* of q
/// and those of k, so attention with a polynomial needs no pairs at all. Two questions remain: which degree
/// is needed for scores between -B and B, and what are the features? Both have exact answers.
///
/// Source: degrees \cite aggarwal2022exponentials, use in attention \cite alman2023bounded, degree 2 with all
/// ordered products \cite arora2024based; the feature map is the multinomial theorem.
/// \f[ p(x) = \sum_{t=0}^g c_t x^t \approx e^x, \qquad
///     w_\mu = c_{|\mu|}\, \sigma^{|\mu|}\, \frac{|\mu|!}{\mu!}, \qquad
///     \langle (w_\mu q^\mu)_\mu, (k^\mu)_\mu \rangle = p(\sigma\, q^\top k) \f]
/// \f[ o_i = \frac{\sum_j p(\sigma q_i^\top k_j)\, v_j}{\sum_j p(\sigma q_i^\top k_j)} \f]
/// mu runs over all exponents (mu_1, ..., mu_d) of total degree |mu| at most g: by degree, and within a
/// degree larger exponents of the first channel first. The Taylor polynomial has c_t = 1 / t!; the Chebyshev
/// expansion in y = x / B has the coefficients a_0 = I_0(B), a_k = 2 I_k(B) with the modified Bessel
/// functions I_k.
///
/// The definition of attention is `direct`; the other forms compute the same numbers.
///
/// Shapes: n tokens, d channels of queries and keys, d_v of values, r = (d + g choose g) monomials.
/// \symbol{c_t} coefficients of the polynomial, g + 1 numbers
/// \symbol{a_k} coefficients of its Chebyshev expansion, g + 1 numbers
/// \symbol{I_k} modified Bessel function of order k
/// \symbol{B} radius: scores lie between -B and B
/// \symbol{sigma} scale of the scores
/// \symbol{w_mu} weight of a monomial, r numbers
/// \symbol{q_i} query i, d channels
/// \symbol{k_j} key j, d channels
/// \symbol{v_j} value j, d_v channels
/// \symbol{N_i} sum of the values, each with its weight, d_v channels
/// \symbol{D_i} sum of the weights of query i
/// \symbol{o_i} output of query i, d_v channels
#pragma once

#include <stdexcept>
#include <utility>
#include <vector>

#include "reference/array.hpp"
#include "reference/linear_attention/linear_attention.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::polynomial_exp {

/// The coefficients c_0, ..., c_g.
template <class T>
using Polynomial = std::vector<T>;

/// Throws unless the degree is 0 or more.
/// \throws std::invalid_argument
inline void require_degree(Index degree) {
  require(degree >= 0, "polynomial_exp", "degree", std::to_string(degree), "0 or more");
}

/// \name Polynomials and their values
/// \{

/// p(x) by Horner's rule: g multiplications and g additions.
/// \throws std::invalid_argument for no coefficient at all
template <Ring T>
T horner(const Polynomial<T>& c, const T& x) {
  require(!c.empty(), "polynomial_exp", "c", "empty", "at least one coefficient");
  T sum = c.back();
  for (std::size_t t = c.size() - 1; t > 0; --t) sum = sum * x + c[t - 1];  // [c_t]
  return sum;
}

/// c_t = 1 / t!. Even degrees are positive everywhere; odd ones have one root and are negative below it.
template <Field T>
Polynomial<T> taylor(Index degree) {
  require_degree(degree);
  Polynomial<T> c{T(1)};
  for (Index t = 1; t <= degree; ++t) c.push_back(c.back() / T(t));
  return c;
}

/// p'. The derivative of the Taylor polynomial of degree g is that of degree g - 1.
template <Ring T>
Polynomial<T> derivative(const Polynomial<T>& c) {
  Polynomial<T> d;
  for (std::size_t t = 1; t < c.size(); ++t) d.push_back(T(static_cast<Index>(t)) * c[t]);
  if (d.empty()) d.push_back(T(0));
  return d;
}

/// The first `terms` terms of the series I_k(x) = sum (x / 2)^(2 m + k) / (m! (m + k)!).
template <Field T>
T bessel(Index order, const T& x, Index terms) {
  require(order >= 0, "polynomial_exp", "order", std::to_string(order), "0 or more");
  T term(1), sum(0);
  for (Index i = 1; i <= order; ++i) term = term * x / T(2 * i);
  for (Index m = 0; m < terms; ++m) {
    sum += term;  // [I_k]
    term = term * x * x / T(4 * (m + 1) * (m + 1 + order));
  }
  return sum;
}

/// a_k: the expansion of e^(B y) in Chebyshev polynomials T_k(y), cut after the degree.
/// \param terms of the series of the Bessel functions
template <Field T>
std::vector<T> chebyshev(const T& radius, Index degree, Index terms) {
  require_degree(degree);
  std::vector<T> a;
  for (Index k = 0; k <= degree; ++k) {
    a.push_back(T(k == 0 ? 1 : 2) * bessel(k, radius, terms));  // [a_k] [B]
  }
  return a;
}

/// sum a_k T_k(y) by Clenshaw's rule, from T_{k+1} = 2 y T_k - T_{k-1}.
template <Ring T>
T clenshaw(const std::vector<T>& a, const T& y) {
  require(!a.empty(), "polynomial_exp", "a", "empty", "at least one coefficient");
  T next(0), after_next(0);
  for (std::size_t k = a.size() - 1; k > 0; --k) {
    const T current = a[k] + T(2) * y * next - after_next;
    after_next = next;
    next = current;
  }
  return a[0] + y * next - after_next;
}

/// The same polynomial by powers of x = B y. Loses about one bit a degree in floating point.
template <Field T>
Polynomial<T> to_monomials(const std::vector<T>& a, const T& radius) {
  Polynomial<T> c(a.size(), T(0)), before(a.size(), T(0)), current(a.size(), T(0));
  current[0] = T(1);  // T_0
  for (std::size_t k = 0; k < a.size(); ++k) {
    for (std::size_t t = 0; t < a.size(); ++t) c[t] += a[k] * current[t];
    Polynomial<T> next(a.size(), T(0));  // T_1 = y, later T_{k+1} = 2 y T_k - T_{k-1}
    for (std::size_t t = 0; t + 1 < a.size(); ++t) next[t + 1] = T(k == 0 ? 1 : 2) * current[t];
    for (std::size_t t = 0; t < a.size(); ++t) next[t] -= before[t];
    before = std::move(current);
    current = std::move(next);
  }
  T power(1);
  for (T& coefficient : c) {
    coefficient /= power;
    power *= radius;
  }
  return c;
}

/// c_t sigma^t: the polynomial sigma -> p(sigma x), so that scores need no scale of their own.
template <Ring T>
Polynomial<T> scaled(Polynomial<T> c, const T& scale) {
  T power(1);
  for (T& coefficient : c) {
    coefficient = coefficient * power;  // [sigma]
    power = power * scale;
  }
  return c;
}
/// \}

/// \name How far they are from e^x
/// \{

/// |x|^(g+1) / (g+1)! times the larger of 1 and e^x: at least |e^x - T_g(x)|.
template <Exponential T>
T taylor_remainder(const T& x, Index degree) {
  T term(1);
  for (Index t = 1; t <= degree + 1; ++t) term = term * maximum(x, T(-x)) / T(t);
  return term * maximum(T(1), T(exp(x)));
}

/// The largest |T_g(x) - e^x| for |x| <= B. It is that at x = B, where the remainder is a sum of positive
/// terms, and that sum is what is added up here: e^B - T_g(B) would lose all digits.
template <Field T>
T taylor_error(const T& radius, Index degree, Index terms) {
  require_degree(degree);
  T term(1), sum(0);
  for (Index t = 1; t <= degree + terms; ++t) {
    term = term * radius / T(t);
    if (t > degree) sum += term;
  }
  return sum;
}

/// The largest |T_g(x) e^-x - 1| for |x| <= B. It is that at x = -B, for every degree: T_g(x) e^-x - 1 is
/// the integral of -e^-s s^g / g! from 0 to x, and e^-s is larger on the left.
template <Exponential T>
T taylor_relative_error(const T& radius, Index degree) {
  const T error = exp(radius) * horner(taylor<T>(degree), T(-radius)) - T(1);
  return maximum(error, T(-error));
}

/// The largest |p(x) - e^x| for |x| <= B of the Chebyshev expansion: exactly 2 (I_{g+1}(B) + I_{g+2}(B) +
/// ...), at x = B. \param terms of that sum, and of the series of each
template <Field T>
T chebyshev_error(const T& radius, Index degree, Index terms) {
  require_degree(degree);
  T sum(0);
  for (Index k = degree + 1; k <= degree + terms; ++k) sum += T(2) * bessel(k, radius, terms);
  return sum;
}

/// |p(-B) e^B - 1| of the Chebyshev expansion: its largest relative error. No theorem says so; the entry
/// certifies it for B up to 4 and degrees up to 12.
template <Exponential T>
T chebyshev_relative_error(const T& radius, Index degree, Index terms) {
  const T error = exp(radius) * clenshaw(chebyshev(radius, degree, terms), T(-1)) - T(1);
  return maximum(error, T(-error));
}

/// (B/2)^k / k! times e^(B^2 / (4 (k + 1))): at least I_k(B).
template <Exponential T>
T bessel_bound(Index order, const T& x) {
  T term(1);
  for (Index i = 1; i <= order; ++i) term = term * x / T(2 * i);
  return term * exp(x * x / T(4 * (order + 1)));
}

/// The square root of 2 (I_{g+1}^2 + I_{g+2}^2 + ...): no polynomial of degree g is nearer to e^x on [-B, B].
template <Real T>
T least_possible_error(const T& radius, Index degree, Index terms) {
  T sum(0);
  for (Index k = degree + 1; k <= degree + terms; ++k) {
    const T one = bessel(k, radius, terms);
    sum += T(2) * one * one;
  }
  return sqrt(sum);
}

/// The least degree whose error, a falling function of the degree, is at most epsilon.
/// \throws std::invalid_argument when no degree up to `limit` is enough
template <OrderedField T, class Error>
Index least_degree(const Error& error, const T& epsilon, Index limit) {
  for (Index degree = 0; degree <= limit; ++degree) {
    if (!(epsilon < error(degree))) return degree;
  }
  throw std::invalid_argument("polynomial_exp: epsilon needs a degree above " + std::to_string(limit) +
                              ", expected one that this is enough for");
}

/// The theorem's order of growth for e^x on [0, B] to absolute delta, without its constants: the larger of B
/// and log(1/delta) / log(log(1/delta) / B). Taken literally the second term has a pole at log(1/delta) = B,
/// which no degree has; from there on B is returned. (\cite aggarwal2022exponentials)
template <Real T>
T degree_growth(const T& radius, const T& delta) {
  const T digits = -log(delta);
  if (!(radius < digits)) return radius;
  return maximum(radius, T(digits / log(digits / radius)));
}

/// The same for e^-x on [0, B]: the larger of sqrt(B log(1/delta)) and the same second term. Falling
/// exponentials are easier. (\cite aggarwal2022exponentials)
template <Real T>
T degree_growth_falling(const T& radius, const T& delta) {
  const T digits = -log(delta), root = sqrt(radius * digits);
  if (!(radius < digits)) return root;
  return maximum(root, T(digits / log(digits / radius)));
}

/// Where the Taylor polynomial of an even degree g >= 2 is least: at the root x of the one before it, with
/// the value x^g / g!. By bisection. \return x and the value
template <OrderedField T>
std::pair<T, T> taylor_minimum(Index degree, Index bisections) {
  require(degree >= 2 && degree % 2 == 0, "polynomial_exp", "degree", std::to_string(degree),
          "even and 2 or more");
  const Polynomial<T> slope = taylor<T>(degree - 1);
  T below(-degree), above(0);
  for (Index i = 0; i < bisections; ++i) {
    const T middle = (below + above) / T(2);
    (horner(slope, middle) < T(0) ? below : above) = middle;
  }
  T value(1);
  for (Index t = 1; t <= degree; ++t) value = value * above / T(t);
  return {above, value};
}
/// \}

/// \name The best polynomial, by Remez's exchange
/// \{

constexpr Index kCellsPerHill = 32;  // of the grid on which the hills of the error are seen
constexpr Index kSearchSteps = 100;  // for one hilltop; each leaves two thirds of its bracket

/// A polynomial whose error has the same size and alternating signs at g + 2 points.
template <class T>
struct Levelled {
  Polynomial<T> c;
  T level = T(0);         // the error at the first point; -level at the second, and so on
  std::vector<T> points;  // ascending
};

/// Solves p(x_i) - e^(x_i) = (-1)^i E (times e^(x_i) where `relative`) for c_0, ..., c_g and E: elimination
/// with pivots.
template <Real T>
Levelled<T> levelled(const std::vector<T>& points, bool relative) {
  const auto size = static_cast<Index>(points.size());
  Array<T> system({size, size + 1});
  for (Index i = 0; i < size; ++i) {
    const T& x = points[static_cast<std::size_t>(i)];
    T power(1);
    for (Index t = 0; t + 1 < size; ++t) {
      system(i, t) = power;
      power *= x;
    }
    const T weight = relative ? T(exp(x)) : T(1);
    system(i, size - 1) = i % 2 == 0 ? T(-weight) : weight;
    system(i, size) = exp(x);
  }
  for (Index column = 0; column < size; ++column) {
    Index pivot = column;
    for (Index i = column + 1; i < size; ++i) {
      const T best = maximum(system(pivot, column), T(-system(pivot, column)));
      if (best < maximum(system(i, column), T(-system(i, column)))) pivot = i;
    }
    for (Index j = 0; j <= size; ++j) std::swap(system(pivot, j), system(column, j));
    for (Index i = 0; i < size; ++i) {
      if (i == column) continue;
      const T factor = system(i, column) / system(column, column);
      for (Index j = column; j <= size; ++j) system(i, j) -= factor * system(column, j);
    }
  }
  Levelled<T> found;
  found.points = points;
  for (Index t = 0; t + 1 < size; ++t) found.c.push_back(system(t, size) / system(t, t));
  found.level = system(size - 1, size) / system(size - 1, size - 1);
  return found;
}

/// p(x) - e^x, over e^x where `relative`.
template <Real T>
T error_at(const Polynomial<T>& c, const T& x, bool relative) {
  const T error = horner(c, x) - exp(x);
  return relative ? T(error / exp(x)) : error;
}

/// Where |error| is largest between two points, by ternary search: it has one hill there.
template <Real T>
T hilltop(const Polynomial<T>& c, T left, T right, bool relative) {
  const auto height = [&](const T& x) {
    const T error = error_at(c, x, relative);
    return maximum(error, T(-error));
  };
  for (Index i = 0; i < kSearchSteps; ++i) {
    const T a = (T(2) * left + right) / T(3), b = (left + T(2) * right) / T(3);
    (height(a) < height(b) ? left : right) = height(a) < height(b) ? a : b;
  }
  return (left + right) / T(2);
}

/// The polynomial of degree g nearest to e^x on [-B, B], absolutely or relatively. Starting from the points
/// of the Chebyshev polynomial, each round levels the error at g + 2 points and moves these to the hilltops
/// of the error, of which there are exactly as many: p - e^x has at most g + 1 roots.
template <Real T>
Levelled<T> minimax(const T& radius, Index degree, bool relative, Index rounds) {
  require_degree(degree);
  const Index steps = kCellsPerHill * (degree + 1);
  std::vector<T> grid, points;
  for (Index j = 0; j <= steps; ++j) grid.push_back(-radius * cos(pi<T>() * T(j) / T(steps)));
  for (Index i = 0; i <= degree + 1; ++i) points.push_back(grid[static_cast<std::size_t>(kCellsPerHill * i)]);
  Levelled<T> best = levelled(points, relative);
  for (Index round = 0; round < rounds; ++round) {
    points.clear();
    T highest(0);  // with its sign
    std::size_t where = 0;
    const auto climb = [&] {
      const std::size_t left = where == 0 ? 0 : where - 1, right = std::min(where + 1, grid.size() - 1);
      const bool end = where == 0 || where + 1 == grid.size();
      points.push_back(end ? grid[where] : hilltop(best.c, grid[left], grid[right], relative));
    };
    for (std::size_t j = 0; j < grid.size(); ++j) {
      const T error = error_at(best.c, grid[j], relative);
      if (error * highest < T(0)) {  // the sign has changed: one hill is behind us
        climb();
        highest = T(0);
      }
      if (maximum(highest, T(-highest)) < maximum(error, T(-error))) {
        highest = error;
        where = j;
      }
    }
    climb();
    best = levelled(points, relative);
  }
  return best;
}
/// \}

/// \name Features
/// \{

/// (d + g choose g): the number of monomials of degree at most g in d variables.
inline Index monomial_count(Index channels, Index degree) {
  Index count = 1;
  for (Index t = 1; t <= degree; ++t) count = count * (channels + t) / t;
  return count;
}

/// All monomials of x of degree at most g, in order. Each is one of a degree below times one channel, so it
/// costs one multiplication: those that do not contain an earlier channel come last there.
template <Ring T>
std::vector<T> monomials(std::span<const T> x, Index degree) {
  require_degree(degree);
  const std::size_t channels = x.size();
  std::vector<T> all{T(1)};
  std::vector<std::size_t> start(channels,
                                 0);  // of the last degree, where those begin that lack channels < l
  for (Index t = 1; t <= degree; ++t) {
    const std::size_t end = all.size();
    std::vector<std::size_t> next;
    for (std::size_t l = 0; l < channels; ++l) {
      next.push_back(all.size());
      for (std::size_t a = start[l]; a < end; ++a) all.push_back(all[a] * x[l]);
    }
    start = std::move(next);
  }
  return all;
}

/// The exponents mu of the same monomials, r x d.
inline Array<Index> exponents(Index channels, Index degree) {
  require_degree(degree);
  Array<Index> mu({monomial_count(channels, degree), channels});
  std::vector<Index> start(static_cast<std::size_t>(channels), 0);
  Index count = 1;
  for (Index t = 1; t <= degree; ++t) {
    const Index end = count;
    for (Index l = 0; l < channels; ++l) {
      const Index first = std::exchange(start[static_cast<std::size_t>(l)], count);
      for (Index a = first; a < end; ++a, ++count) {
        for (Index i = 0; i < channels; ++i) mu(count, i) = mu(a, i) + (i == l ? 1 : 0);
      }
    }
  }
  return mu;
}

/// w_mu = c_|mu| |mu|! / mu! for every monomial; a scale of the scores is already in the c_t, see `scaled`.
/// The multinomial coefficients are integers of the text. \throws std::invalid_argument from degree 21 on,
/// whose factorials overflow
template <Ring T>
std::vector<T> monomial_weights(const Polynomial<T>& c, Index channels) {
  const Index degree = static_cast<Index>(c.size()) - 1;
  require(degree <= 20, "polynomial_exp", "degree", std::to_string(degree), "20 or less");
  std::vector<Index> factorial{1};
  for (Index t = 1; t <= degree; ++t) factorial.push_back(factorial.back() * t);
  const Array<Index> mu = exponents(channels, degree);
  std::vector<T> weights;
  for (Index a = 0; a < mu.extent(0); ++a) {
    Index total = 0, orders = 1;
    for (Index i = 0; i < channels; ++i) {
      total += mu(a, i);
      orders *= factorial[static_cast<std::size_t>(mu(a, i))];
    }
    const auto t = static_cast<std::size_t>(total);
    weights.push_back(c[t] * T(factorial[t] / orders));  // [w_mu] [c_t]
  }
  return weights;
}

/// The feature map of keys, psi(k)_mu = k^mu.
struct KeyFeatures {
  Index degree = 0;
  template <Ring T>
  std::vector<T> operator()(std::span<const T> x) const {
    return monomials(x, degree);  // [k_j]
  }
};

/// Throws unless there is a weight for every monomial.
/// \throws std::invalid_argument
template <Ring T>
void require_weights(const std::vector<T>& weights, const std::vector<T>& all) {
  require(weights.size() == all.size(), "polynomial_exp", "weights",
          std::to_string(weights.size()) + " numbers",
          std::to_string(all.size()) + ", one for each monomial");
}

/// The feature map of queries, phi(q)_mu = w_mu q^mu: all weights on one side, so that no root is taken and
/// coefficients may have any sign.
/// \throws std::invalid_argument when there are more or fewer weights than monomials
template <Ring T>
struct QueryFeatures {
  std::vector<T> weights;
  Index degree = 0;
  std::vector<T> operator()(std::span<const T> x) const {
    std::vector<T> all = monomials(x, degree);
    require_weights(weights, all);
    for (std::size_t a = 0; a < all.size(); ++a) all[a] = weights[a] * all[a];  // [q_i] [w_mu]
    return all;
  }
};

/// One map for queries and keys, sqrt(w_mu) x^mu. Domain: all c_t >= 0.
/// \throws std::invalid_argument when there are more or fewer weights than monomials
template <Real T>
struct SymmetricFeatures {
  std::vector<T> weights;
  Index degree = 0;
  std::vector<T> operator()(std::span<const T> x) const {
    std::vector<T> all = monomials(x, degree);
    require_weights(weights, all);
    for (std::size_t a = 0; a < all.size(); ++a) all[a] = sqrt(weights[a]) * all[a];
    return all;
  }
};

/// All ordered products of up to g channels, 1 + d + d^2 + ... of them, as Based has them for g = 2: the same
/// kernel, each monomial as often as it can be ordered. The weight c_t stands with the queries.
template <Ring T>
std::vector<T> ordered_products(std::span<const T> x, Index degree) {
  require_degree(degree);
  std::vector<T> all{T(1)};
  std::size_t first = 0;
  for (Index t = 1; t <= degree; ++t) {
    const std::size_t end = all.size();
    for (std::size_t a = first; a < end; ++a) {
      for (const T& entry : x) all.push_back(all[a] * entry);
    }
    first = end;
  }
  return all;
}
/// \}

/// \name Attention with a polynomial
/// \{

/// What enters: query and key n x d, value n x d_v, the polynomial and the scale of the scores.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Polynomial<T> c;
  T scale = T(1);
};

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Input<T>& in) {
  const char* self = "polynomial_exp";
  require_rank(self, "key", in.key, 2);
  require_rank(self, "value", in.value, 2);
  const Index n = in.key.extent(0);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape(self, "query", in.query, in.key.shape(), because);
  require_shape(self, "value", in.value, {n, in.value.extent(1)}, because);
  require(!in.c.empty(), self, "c", "empty", "at least one coefficient");
}

/// True for a number that is neither above nor below 0, in a field whose numbers lie on a line.
template <Field T>
bool vanishes(const T& x) {
  if constexpr (OrderedField<T>) {
    return !(T(0) < x) && !(x < T(0)) && finite(x);
  } else {
    return false;  // the division reports it
  }
}

/// o_i = N_i / D_i. A polynomial that is not positive on all scores can have D_i < 0, and then the output is
/// no average any more: `linear_attention::Sums` keeps D_i for those who must know.
/// \throws std::domain_error where D_i is 0
template <Field T>
Array<T> divided(const linear_attention::Sums<T>& sums, Index degree) {
  Array<T> output(sums.numerator.shape());
  for (Index i = 0; i < output.extent(0); ++i) {
    const T& sum = sums.denominator(i);
    if (vanishes(sum)) {
      throw std::domain_error("polynomial_exp: the weights of query " + std::to_string(i) +
                              " add up to 0, expected another number" +
                              (degree % 2 == 1
                                   ? " (the degree " + std::to_string(degree) +
                                         " is odd, and such polynomials are negative for small scores)"
                                   : " (the polynomial is not positive on all scores)"));
    }
    for (Index j = 0; j < output.extent(1); ++j) {
      output(i, j) = stored(sums.numerator(i, j) / sum);  // [o_i] [N_i] [D_i]
    }
  }
  return output;
}

/// Every query with the keys before `end(i)`, each weighted by p of its score.
template <Ring T, class End>
linear_attention::Sums<T> compared(const Input<T>& in, const End& end) {
  check(in);
  const Index n = in.key.extent(0), d = in.key.extent(1), d_v = in.value.extent(1);
  const Polynomial<T> c = scaled(in.c, in.scale);
  linear_attention::Sums<T> sums{Array<T>({n, d_v}), Array<T>({n})};
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < end(i); ++j) {
      T score(0);
      for (Index l = 0; l < d; ++l) score += in.query(i, l) * in.key(j, l);  // [q_i] [k_j]
      const T weight = stored(horner(c, score));
      for (Index l = 0; l < d_v; ++l) sums.numerator(i, l) += weight * in.value(j, l);  // [N_i] [v_j]
      sums.denominator(i) += weight;                                                    // [D_i]
    }
  }
  return sums;
}

template <class T>
Index degree_of(const Input<T>& in) {
  return static_cast<Index>(in.c.size()) - 1;
}

/// The definition: every query with every key. O(n^2 (d + g + d_v)) operations.
template <Field T>
Array<T> direct(const Input<T>& in) {
  return divided(compared(in, [&](Index) { return in.key.extent(0); }), degree_of(in));
}

/// The same with a causal mask.
template <Field T>
Array<T> direct_causal(const Input<T>& in) {
  return divided(compared(in, [](Index i) { return i + 1; }), degree_of(in));
}

/// The memory of a stream that has not begun.
template <Ring T>
linear_attention::Memory<T> empty_memory(const Input<T>& in) {
  const Index r = monomial_count(in.key.extent(1), degree_of(in));
  return {Array<T>({r, in.value.extent(1)}), Array<T>({r})};
}

/// Features in the place of queries and keys: from here on this is linear attention.
template <Ring T>
linear_attention::Input<T> featured(const Input<T>& in) {
  check(in);
  const Index g = degree_of(in), d = in.key.extent(1);
  const QueryFeatures<T> of_query{monomial_weights(scaled(in.c, in.scale), d), g};
  return {linear_attention::mapped(of_query, in.query), linear_attention::mapped(KeyFeatures{g}, in.key),
          in.value, empty_memory(in)};
}

/// Without a mask: one matrix of r (d_v + 1) numbers first, then every query reads it. O(n r d_v) operations.
template <Field T>
Array<T> factored(const Input<T>& in) {
  return divided(linear_attention::noncausal(featured(in)).sums, degree_of(in));
}

/// What leaves a causal form: the output n x d_v, and what a stream goes on from.
template <Ring T>
struct Output {
  Array<T> output;
  linear_attention::Memory<T> memory;
};

/// Token after token, from a memory (r x d_v and r numbers, zero at first). O(n r d_v) operations.
template <Field T>
Output<T> recurrent(const Input<T>& in, const linear_attention::Memory<T>& memory) {
  linear_attention::Input<T> features = featured(in);
  features.memory = memory;
  const auto out = linear_attention::recurrent(features);
  return {divided(out.sums, degree_of(in)), out.memory};
}

/// Chunks of `chunk` tokens: all pairs inside, the memory from one to the next.
/// \throws std::invalid_argument for chunk below 1
template <Field T>
Output<T> chunked(const Input<T>& in, Index chunk) {
  const auto out = linear_attention::chunked(featured(in), chunk);
  return {divided(out.sums, degree_of(in)), out.memory};
}
/// \}

}  // namespace etalon::polynomial_exp
