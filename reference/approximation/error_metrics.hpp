/// \file
/// Error metrics: what a verdict "this result is right" rests on. Nobody has to guess a tolerance. The true
/// value comes from an oracle that is given the same, already rounded inputs, and the theory of rounding
/// errors gives a bound from those inputs. A correct program is always inside; a wrong index or a missing
/// scale is almost always far outside.
///
/// Source: \cite higham2002accuracy (chapters 3 and 4), \cite higham2019probabilistic,
/// compensated sums \cite ogita2005accurate; formats \cite micikevicius2022fp8. What rounding does to a
/// softmax itself, after \cite blanchard2021softmax, is a law of softmax attention.
/// \f[ \hat s = \sum_j x_j (1 + \theta_j), \qquad |\theta_j| \le \gamma_k = \frac{k u}{1 - k u}, \qquad
///     |\hat s - s| \le \kappa \sum_j |x_j| \f]
/// \f[ \Gamma_{il} = \sum_j w_{ij} |v_{jl}|, \qquad
///     \rho = \max_{il} \frac{|\hat y_{il} - y_{il}|}{B_{il}}, \qquad \text{pass if and only if } \rho \le 1
///     \f]
/// Every operation is charged |delta| <= u, the unit roundoff; exp is charged c_e u, where c_e is 1 for a
/// correctly rounded function and 2 for one that is good to one unit in the last place. k counts the
/// roundings that a term meets, and depends on the order of the sum; kappa is the factor of that order.
///
/// `Bounded` (reference/scalar/bounded.hpp) derives such bounds for whole texts and any order of their sums.
/// Here are the closed forms by hand, the measures themselves, and the rules that test suites use instead.
///
/// \symbol{x_j} terms of a sum, n numbers
/// \symbol{u} unit roundoff: half the distance from 1 to the next number
/// \symbol{gamma_k} the relative error of k roundings
/// \symbol{kappa} the error of a sum in units of the sum of |x_j|
/// \symbol{y} true value, or truth in the code
/// \symbol{B_il} bound on the error of an entry
/// \symbol{rho} the largest fraction of its bound that an error uses
/// \symbol{w_ij} weight of key j for query i; the weights of a query add up to 1
/// \symbol{v_jl} values
/// \symbol{Gamma_il} the average of |v|: the yardstick of an attention error
/// \symbol{eta} the largest change of a logit
/// \symbol{epsilon} the largest relative change of an exponential
/// \symbol{E_t} bound on the error of step t of a recurrence
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "reference/approximation/l_mul.hpp"
#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::error_metrics {

template <OrderedField T>
T magnitude(const T& x) {
  return maximum(x, T(-x));
}

/// \name Measures
/// \{

/// A place on the line of all numbers of a format: its pattern without the sign, negated for negative
/// numbers. Neighbours differ by 1 and -0 is 0, so differences count the numbers in between.
/// \param code not NaN
inline l_mul::Code line_position(const l_mul::Format& format, l_mul::Code code) {
  const l_mul::Code size = format.magnitude(code);
  return (code & format.sign_bit()) != 0 ? -size : size;
}

/// How many steps from number to number lie between two patterns of a format, neither of them NaN.
inline l_mul::Code ulp_distance(const l_mul::Format& format, l_mul::Code a, l_mul::Code b) {
  const l_mul::Code steps = line_position(format, a) - line_position(format, b);
  return steps < 0 ? -steps : steps;
}

/// The same for two floats.
inline l_mul::Code ulp_distance(float a, float b) {
  return ulp_distance(l_mul::fp32, std::bit_cast<std::uint32_t>(a), std::bit_cast<std::uint32_t>(b));
}

/// |value - truth| in units of the last of m mantissa bits of the truth: of 2^(e - m), where 2^e is the
/// largest power of two up to |truth|, or 2^min_exponent where that is larger (subnormal numbers).
template <OrderedField T>
T ulp_error(const T& value, const T& truth, Index mantissa_bits, Index min_exponent) {
  T unit(1);
  Index exponent = 0;
  while (exponent < min_exponent || !(magnitude(truth) < T(2) * unit)) {
    unit = T(2) * unit;
    ++exponent;
  }
  while (exponent > min_exponent && magnitude(truth) < unit) {
    unit = unit / T(2);
    --exponent;
  }
  for (Index i = 0; i < mantissa_bits; ++i) unit = unit / T(2);
  return magnitude(T(value - truth)) / unit;  // [y]
}

/// The sum of all squares: the Frobenius norm, squared, without a root.
template <Ring T>
T square_sum(const Array<T>& matrix) {
  T sum(0);
  for (const T& x : matrix.values()) sum += x * x;
  return sum;
}

template <Ring T>
Array<T> difference(const Array<T>& a, const Array<T>& b) {
  require_shape("error_metrics", "value", a, b.shape(), "the shape of the truth");
  Array<T> result = a;
  for (std::size_t i = 0; i < result.values().size(); ++i) result.values()[i] -= b.values()[i];
  return result;
}

/// ||value - truth|| / ||truth|| in the Frobenius norm: the ratio of root mean squares. Domain: truth is not
/// all 0.
template <Real T>
T relative_frobenius(const Array<T>& value, const Array<T>& truth) {
  return sqrt(square_sum(difference(value, truth)) / square_sum(truth));
}

/// The largest |entry|.
template <OrderedField T>
T largest_entry(const Array<T>& matrix) {
  T largest(0);
  for (const T& x : matrix.values()) largest = maximum(largest, magnitude(x));
  return largest;
}

/// max |value - truth| / max |truth|. Hides what goes wrong in rows of small entries.
template <OrderedField T>
T relative_worst_entry(const Array<T>& value, const Array<T>& truth) {
  return largest_entry(difference(value, truth)) / largest_entry(truth);
}

/// The square of the largest singular value of a matrix, from below: `rounds` steps of power iteration on A^T
/// A from a start of as many numbers as A has columns. No step makes it smaller.
template <Field T>
T spectral_square_below(const Array<T>& matrix, std::vector<T> start, Index rounds) {
  require_rank("error_metrics", "matrix", matrix, 2);
  const Index rows = matrix.extent(0), columns = matrix.extent(1);
  require(static_cast<Index>(start.size()) == columns, "error_metrics", "start",
          std::to_string(start.size()) + " numbers", std::to_string(columns));
  T quotient(0);
  for (Index round = 0; round < rounds; ++round) {
    T length(0), image_length(0);
    for (const T& x : start) length += x * x;
    std::vector<T> image, next(start.size(), T(0));
    for (Index i = 0; i < rows; ++i) {
      T sum(0);
      for (Index j = 0; j < columns; ++j) sum += matrix(i, j) * start[static_cast<std::size_t>(j)];
      image.push_back(sum);
      image_length += sum * sum;
    }
    quotient = image_length / length;
    for (Index j = 0; j < columns; ++j) {
      for (Index i = 0; i < rows; ++i) {
        next[static_cast<std::size_t>(j)] += matrix(i, j) * image[static_cast<std::size_t>(i)] / length;
      }
    }
    start = std::move(next);
  }
  return quotient;
}

/// ||A||_1 ||A||_inf, the largest column sum times the largest row sum of |A|: the square of the largest
/// singular value from above.
template <OrderedField T>
T spectral_square_above(const Array<T>& matrix) {
  require_rank("error_metrics", "matrix", matrix, 2);
  T row(0), column(0);
  for (Index i = 0; i < matrix.extent(0); ++i) {
    T sum(0);
    for (Index j = 0; j < matrix.extent(1); ++j) sum += magnitude(matrix(i, j));
    row = maximum(row, sum);
  }
  for (Index j = 0; j < matrix.extent(1); ++j) {
    T sum(0);
    for (Index i = 0; i < matrix.extent(0); ++i) sum += magnitude(matrix(i, j));
    column = maximum(column, sum);
  }
  return row * column;
}

/// sum |x_j| / |sum x_j|: how much harder a sum is than one of positive terms. Domain: the sum is not 0.
template <OrderedField T>
T condition(const std::vector<T>& terms) {
  T sum(0), absolute(0);
  for (const T& x : terms) {
    sum += x;
    absolute += magnitude(x);
  }
  return absolute / magnitude(sum);
}

/// Gamma_il: the weighted averages of |v|, n_q x d_v. \param weights n_q x n_k, \param value n_k x d_v
/// \throws std::invalid_argument for other shapes
template <OrderedField T>
Array<T> yardstick(const Array<T>& weights, const Array<T>& value) {
  require_rank("error_metrics", "weights", weights, 2);
  require_rank("error_metrics", "value", value, 2);
  require_shape("error_metrics", "value", value, {weights.extent(1), value.extent(1)},
                "weights is " + to_string(weights.shape()));
  Array<T> gamma({weights.extent(0), value.extent(1)});
  for (Index i = 0; i < weights.extent(0); ++i) {
    for (Index l = 0; l < value.extent(1); ++l) {
      for (Index j = 0; j < weights.extent(1); ++j) {
        gamma(i, l) += weights(i, j) * magnitude(value(j, l));  // [Gamma_il] [w_ij] [v_jl]
      }
    }
  }
  return gamma;
}

/// rho: the largest error in units of its bound. An entry with bound 0 must be exact. The verdict is rho <=
/// 1. \throws std::invalid_argument for an error where the bound is 0
template <OrderedField T>
T bound_ratio(const Array<T>& value, const Array<T>& truth, const Array<T>& bound) {
  const Array<T> error = difference(value, truth);
  require_shape("error_metrics", "bound", bound, truth.shape());
  T ratio(0);
  for (std::size_t i = 0; i < error.values().size(); ++i) {
    const T size = magnitude(error.values()[i]), allowed = bound.values()[i];  // [B_il]
    if (!(T(0) < size)) continue;
    require(T(0) < allowed, "error_metrics", "bound", "0 where there is an error", "a number above 0");
    ratio = maximum(ratio, T(size / allowed));  // [rho]
  }
  return ratio;
}
/// \}

/// \name Sums
/// \{

/// One after the other.
template <Ring T>
T naive_sum(const std::vector<T>& terms) {
  T sum(0);
  for (const T& x : terms) sum += x;  // [x_j]
  return sum;
}

/// The sum of terms first ... last - 1 in a balanced tree.
template <Ring T>
T pairwise_sum(const std::vector<T>& terms, std::size_t first, std::size_t last) {
  if (last == first) return T(0);
  if (last - first == 1) return terms[first];
  std::size_t half = 1;  // the largest power of two below the number of terms
  while (2 * half < last - first) half *= 2;
  return pairwise_sum(terms, first, first + half) + pairwise_sum(terms, first + half, last);
}

/// Blocks of `block` terms, then the sums of the blocks. \throws std::invalid_argument for block below 1
template <Ring T>
T blocked_sum(const std::vector<T>& terms, Index block) {
  require(block >= 1, "error_metrics", "block", std::to_string(block), "1 or more");
  T sum(0);
  for (std::size_t first = 0; first < terms.size(); first += static_cast<std::size_t>(block)) {
    T part(0);
    const std::size_t last = std::min(first + static_cast<std::size_t>(block), terms.size());
    for (std::size_t j = first; j < last; ++j) part += terms[j];
    sum += part;
  }
  return sum;
}

/// Kahan: what an addition lost is taken from the next term. In exact arithmetic nothing is ever lost.
template <Ring T>
T kahan_sum(const std::vector<T>& terms) {
  T sum(0), lost(0);
  for (const T& x : terms) {
    const T term = x - lost, next = sum + term;
    lost = (next - sum) - term;
    sum = next;
  }
  return sum;
}

/// All losses are added up beside the sum and returned to it at the end. Each loss is exact, whatever the
/// sizes of the two operands (Knuth's two-sum). \cite ogita2005accurate, Algorithm 4.4
template <Ring T>
T compensated_sum(const std::vector<T>& terms) {
  T sum(0), lost(0);
  for (const T& x : terms) {
    const T next = sum + x, part = next - sum;
    lost += (sum - (next - part)) + (x - part);
    sum = next;
  }
  return sum + lost;
}

/// gamma_k = k u / (1 - k u). \throws std::invalid_argument from k u = 1 on, where nothing can be said: 256
/// terms in bfloat16, 16 in e4m3
template <OrderedField T>
T gamma(Index k, const T& u) {
  const T ku = T(k) * u;
  require(ku < T(1), "error_metrics", "k u", "1 or more", "below 1");
  return ku / (T(1) - ku);  // [gamma_k] [u]
}

inline Index ceil_log2(Index n) {
  Index k = 0;
  while ((Index{1} << k) < n) ++k;
  return k;
}

/// kappa of each order: |computed - exact| <= kappa sum |x_j|. The naive factor holds for *every* order.
template <OrderedField T>
T naive_factor(Index n, const T& u) {
  return gamma(std::max(n - 1, Index{0}), u);  // [kappa]
}
template <OrderedField T>
T pairwise_factor(Index n, const T& u) {
  return gamma(ceil_log2(n), u);
}
template <OrderedField T>
T blocked_factor(Index n, Index block, const T& u) {
  const Index blocks = (n + block - 1) / block;
  return gamma(std::min(block, n) - 1 + blocks - 1, u);
}

/// Kahan's factor with all its terms, 4 u + O(n u^2); the books have 2 u + O(n u^2) without the constant.
/// With all in units of sum |x_j|: let no partial sum exceed M and no loss C. The loss is c = e + (c - e)
/// with the exact loss |e| <= u M and |c - e| <= u |e| + u (1 + u) (|term| + |e|), where |term| <= (1 + u)
/// (|x| + C). So C <= u (1+u)^2 (M + 1) / (1 - u (1+u)^2). The sum errs by the last loss, by the rounding of
/// every term, and by all c - e. M = 2 is enough where this comes out below 1.
/// \throws std::invalid_argument where it does not
template <OrderedField T>
T kahan_factor(Index n, const T& u) {
  const T count(n), once = (T(1) + u) * (T(1) + u);
  const auto factor = [&](const T& largest) {
    const T loss = u * once * (largest + T(1)) / (T(1) - u * once);
    return loss + u * (T(1) + count * loss) + count * u * largest * u * (T(2) + u) +
           u * once * (T(1) + count * loss);
  };
  const T at_first = factor(T(2));
  require(at_first < T(1), "error_metrics", "n u", "too large for Kahan's bound", "a factor below 1");
  return factor(T(1) + at_first);
}

/// Of the compensated sum: u |sum| + gamma_{n-1}^2 sum |x_j| (\cite ogita2005accurate, Proposition 4.5).
template <OrderedField T>
T compensated_bound(Index n, const T& u, const T& sum, const T& absolute_sum) {
  const T factor = gamma(std::max(n - 1, Index{0}), u);
  return u * magnitude(sum) + factor * factor * absolute_sum;
}

/// What stands in the place of gamma_n if roundings are independent with mean 0: e^(lambda sqrt(n) u + n u^2
/// / (1 - u)) - 1, with probability at least `confidence`. Not so for equal or monotone terms, whose
/// roundings are not independent. \cite higham2019probabilistic, Theorem 2.4
template <Real T>
T probable_gamma(Index n, const T& u, const T& lambda) {
  return expm1(lambda * sqrt(T(n)) * u + T(n) * u * u / (T(1) - u));
}

/// 1 - 2 n e^(-lambda^2 (1 - u)^2 / 2): for a sum or an inner product of n terms. May be negative, and then
/// says nothing.
template <Exponential T>
T confidence(Index n, const T& u, const T& lambda) {
  return T(1) - T(2 * n) * exp(-(lambda * lambda * (T(1) - u) * (T(1) - u) / T(2)));
}
/// \}

/// \name Running errors
/// \{

/// A computed value and a bound on its error, carried along: the bound is computed from computed values,
/// after the fact, for the order in which the program really ran. R is a type in which the bounds' own
/// roundings do not matter. `unit` is u (1 + 2 u): the models of Higham have the exact result in the u term,
/// and the computed one is at most that much smaller.
template <class R>
struct Running {
  R value;
  R bound = R(0);
};

template <OrderedField R>
R rounding_of(const R& computed, const R& unit) {
  return unit * magnitude(computed);
}

/// a + b or a - b. \param computed what the program got
template <OrderedField R>
Running<R> running_sum(const Running<R>& a, const Running<R>& b, const R& computed, const R& unit) {
  return {computed, a.bound + b.bound + rounding_of(computed, unit)};
}
template <OrderedField R>
Running<R> running_product(const Running<R>& a, const Running<R>& b, const R& computed, const R& unit) {
  return {computed, magnitude(a.value) * b.bound + magnitude(b.value) * a.bound + a.bound * b.bound +
                        rounding_of(computed, unit)};
}
/// Domain: |b| above its bound.
template <OrderedField R>
Running<R> running_quotient(const Running<R>& a, const Running<R>& b, const R& computed, const R& unit) {
  require(b.bound < magnitude(b.value), "error_metrics", "divisor", "possibly 0", "above its error");
  // The quotient of the computed operands is off the computed one by a rounding.
  const R size = magnitude(computed) + rounding_of(computed, unit);
  return {computed,
          (a.bound + size * b.bound) / (magnitude(b.value) - b.bound) + rounding_of(computed, unit)};
}
/// \param unit c_e u (1 + 2 c_e u)
template <Real R>
Running<R> running_exp(const Running<R>& a, const R& computed, const R& unit) {
  return {computed, computed * expm1(a.bound) * (R(1) + unit) + unit * computed};
}
/// Domain: a above its bound. \param unit c_l u (1 + 2 c_l u)
template <Real R>
Running<R> running_log(const Running<R>& a, const R& computed, const R& unit) {
  return {computed, -log1p(-a.bound / a.value) + rounding_of(computed, unit)};
}
template <OrderedField R>
Running<R> running_maximum(const Running<R>& a, const Running<R>& b) {
  return {maximum(a.value, b.value), maximum(a.bound, b.bound)};
}
/// \}

/// \name Softmax and attention
/// \{

/// How far an average can move when logits move by at most eta, in units of max v - min v: tanh(eta / 2).
/// Attained by two values with weights e^eta : 1, whose logits move towards each other by eta each.
template <Real T>
T average_error_of_logits(const T& eta) {
  return tanh(eta / T(2));  // [eta]
}

/// The same when every exponential is off by a factor between 1 - epsilon and 1 + epsilon: (1 - sqrt(1 -
/// epsilon^2)) / epsilon, written without cancellation; about epsilon / 2. Domain: 0 <= epsilon <= 1.
template <Real T>
T average_error_of_exponentials(const T& epsilon) {
  return epsilon / (T(1) + sqrt(T(1) - epsilon * epsilon));  // [epsilon]
}

/// A rule of thumb for attention in one arithmetic where no bound was derived, in units of Gamma_il: 8
/// sqrt(2 n + d) u + 8 u spread, where the spread is the largest logit less the least. No theorem.
template <Real T>
T rule_of_thumb(Index keys, Index channels, const T& spread, const T& u) {
  return T(8) * sqrt(T(2 * keys + channels)) * u + T(8) * u * spread;
}

/// What a kernel rounds. \var exp_units c_e; \var u_p of the stored weights in the numerator, 0 when they are
/// not stored; \var u_out of the stored output
template <class T>
struct AttentionRounding {
  T u = T(0);
  T exp_units = T(1);
  T u_p = T(0);
  T u_out = T(0);
};

/// B_il: how far the attention output of query i can be off, n_q x d_v: logits with d_k + 1 roundings in any
/// order, any reference in the exponent, two sums in any order, one division. No higher order is dropped: a
/// weight is off by a factor 1 + theta_j with |theta_j| <= t_j = e^(a_j + u |x_j - m|) (1 + c_e u) - 1,
/// where a_j bounds the error of the logit and |x_j - m| is taken as large as that error allows; with the n
/// roundings of the sums numerator and denominator move by at most
/// P_l = sum w_j |v_jl| ((1 + t_j) (1 + u_p) (1 + gamma_n) - 1) and
/// Q = sum w_j ((1 + t_j) (1 + gamma_{n-1}) - 1), and
/// |error| <= (P_l + |o_l| Q) / (1 - Q), then two roundings more. Domain: Q < 1.
/// \param scale of the logits. \throws std::invalid_argument where the bound says nothing
template <Real T>
Array<T> attention_bound(const Array<T>& query, const Array<T>& key, const Array<T>& value, const T& scale,
                         const AttentionRounding<T>& rounding) {
  require_rank("error_metrics", "query", query, 2);
  require_rank("error_metrics", "key", key, 2);
  require_rank("error_metrics", "value", value, 2);
  const Index n_q = query.extent(0), n_k = key.extent(0), d_k = key.extent(1), d_v = value.extent(1);
  const std::string because = "key is " + to_string(key.shape());
  require_shape("error_metrics", "query", query, {n_q, d_k}, because);
  require_shape("error_metrics", "value", value, {n_k, d_v}, because);
  const T& u = rounding.u;
  const T of_logit = gamma(d_k + 1, u), of_numerator = gamma(n_k, u), of_sum = gamma(n_k - 1, u);
  Array<T> bound({n_q, d_v});
  for (Index i = 0; i < n_q; ++i) {
    std::vector<T> logit, logit_error;
    T largest(0), largest_error(0);
    for (Index j = 0; j < n_k; ++j) {
      T sum(0), absolute(0);
      for (Index c = 0; c < d_k; ++c) {
        sum += scale * query(i, c) * key(j, c);
        absolute += magnitude(T(scale * query(i, c) * key(j, c)));
      }
      logit.push_back(sum);
      logit_error.push_back(of_logit * absolute);
      largest = j == 0 ? sum : maximum(largest, sum);
      largest_error = maximum(largest_error, logit_error.back());
    }
    std::vector<T> weight, t;
    T total(0), q(0);
    for (std::size_t j = 0; j < logit.size(); ++j) {
      const T below = largest - logit[j] + largest_error + logit_error[j];
      t.push_back(exp(logit_error[j] + u * below) * (T(1) + rounding.exp_units * u) - T(1));
      weight.push_back(exp(logit[j] - largest));
      total += weight.back();
    }
    for (std::size_t j = 0; j < logit.size(); ++j) {
      weight[j] = weight[j] / total;
      q += weight[j] * ((T(1) + t[j]) * (T(1) + of_sum) - T(1));
    }
    require(q < T(1), "error_metrics", "rounding", "so coarse that the bound says nothing",
            "a finer arithmetic");
    for (Index l = 0; l < d_v; ++l) {
      T p(0), output(0);
      for (std::size_t j = 0; j < logit.size(); ++j) {
        const T v = value(static_cast<Index>(j), l);
        const T factor = (T(1) + t[j]) * (T(1) + rounding.u_p) * (T(1) + of_numerator);
        p += weight[j] * magnitude(v) * (factor - T(1));
        output += weight[j] * v;
      }
      const T error = (p + magnitude(output) * q) / (T(1) - q);
      const T size = magnitude(output) + error;
      bound(i, l) = error + size * ((T(1) + u) * (T(1) + rounding.u_out) - T(1));  // [B_il]
    }
  }
  return bound;
}
/// \}

/// \name Recurrences and stored results
/// \{

/// E_t for h_t = a_t h_{t-1} + b_t, from the computed states: the a-posteriori bound, in the order of the
/// steps. \param state the computed h_t, \param unit u (1 + 2 u)
/// \throws std::invalid_argument unless there are as many decays as states
template <OrderedField T>
std::vector<T> recurrence_bound(const std::vector<T>& decay, const std::vector<T>& state, const T& unit) {
  require(decay.size() == state.size(), "error_metrics", "decay", std::to_string(decay.size()) + " numbers",
          std::to_string(state.size()) + ", as many as state has");
  std::vector<T> bounds;
  T error(0), before(0);
  for (std::size_t t = 0; t < state.size(); ++t) {
    const T faded = magnitude(T(decay[t] * before));  // what was rounded, up to that rounding
    error = magnitude(decay[t]) * error + unit * (faded + magnitude(state[t]));  // [E_t]
    bounds.push_back(error);
    before = state[t];
  }
  return bounds;
}

/// The same from the inputs alone: term s of h_t has met one rounding when it was added and two in every
/// step since, so E_t <= sum over s of |a_t ... a_{s+1} b_s| gamma_{2 (t - s) + 1}.
/// \throws std::invalid_argument unless there are as many decays as inputs
template <OrderedField T>
T recurrence_bound_from_inputs(const std::vector<T>& decay, const std::vector<T>& input, const T& u) {
  require(decay.size() == input.size(), "error_metrics", "decay", std::to_string(decay.size()) + " numbers",
          std::to_string(input.size()) + ", as many as input has");
  T sum(0), fade(1);
  const std::size_t n = input.size();
  for (std::size_t s = n; s-- > 0;) {
    sum += fade * magnitude(input[s]) * gamma(2 * static_cast<Index>(n - 1 - s) + 1, u);
    fade = fade * magnitude(decay[s]);
  }
  return sum;
}

/// e^(G_t - G_s) from prefix sums G of T negative numbers: the relative error of such a decay is at most
/// e^(2 gamma_{T-1} |G_T| + u |G_t - G_s|') (1 + c_e u) - 1, where |G_t - G_s|' is at most |G_T| (1 +
/// 2 gamma_{T-1}). It grows with all that was summed up, not with what lies between s and t.
template <Exponential T>
T cumulative_decay_error(Index tokens, const T& total, const T& u, const T& exp_units) {
  const T of_sums = T(2) * gamma(std::max(tokens - 1, Index{0}), u);
  return exp(of_sums * total + u * total * (T(1) + of_sums)) * (T(1) + exp_units * u) - T(1);
}

/// u / sqrt(8 log 2): the root mean square of the relative error that storing makes, for numbers whose
/// logarithm is uniform. No kernel can be better.
template <Real T>
T storage_floor(const T& u) {
  return u / sqrt(T(8) * log(T(2)));
}
/// \}

/// \name The rules of test suites
/// \{

/// A kernel library: passes if no entry is off by more than 10^-6, else if RMS(error) / (RMS(reference) +
/// 10^-8) is below the ratio (0.005 mostly).
template <Real T>
bool passes_by_ratio(const Array<T>& value, const Array<T>& reference, const T& ratio) {
  const Array<T> error = difference(value, reference);
  if (!(T(1) / T(1000000) < largest_entry(error))) return true;
  const T count(error.size());
  const T of_error = sqrt(square_sum(error) / count), of_reference = sqrt(square_sum(reference) / count);
  return of_error / (of_reference + T(1) / T(100000000)) < ratio;
}

/// A framework: |error| <= absolute + relative |reference| in every entry.
template <OrderedField T>
bool passes_by_entry(const Array<T>& value, const Array<T>& reference, const T& relative, const T& absolute) {
  const Array<T> error = difference(value, reference);
  for (std::size_t i = 0; i < error.values().size(); ++i) {
    const T allowed = absolute + relative * magnitude(reference.values()[i]);
    if (!(magnitude(error.values()[i]) <= allowed)) return false;
  }
  return true;
}

/// An attention kernel: its worst entry may be `factor` times as bad as that of a plain run in the same low
/// precision.
template <OrderedField T>
bool passes_by_comparison(const Array<T>& value, const Array<T>& plain, const Array<T>& reference,
                          const T& factor) {
  return largest_entry(difference(value, reference)) <= factor * largest_entry(difference(plain, reference));
}
/// \}

}  // namespace etalon::error_metrics
