/// \file
/// How far the recurrent cores may be from the exact ones: the budgets of cores 2, 3 and 4, for one head or
/// one channel.
///
/// Growth. One rounding multiplies a number by 1 + d with |d| <= u, or divides it by such a number, so that k
/// roundings change it by at most the fraction growth(k) = (1 - u)^-k - 1. A sum whose every term has met at
/// most k roundings on its way is off by at most growth(k) of its majorant, the sum of the absolute values of
/// its terms. Where the number of roundings differs from term to term, each factor that a term meets is made
/// larger by what it brings along:
///     budget = majorant with enlarged factors - majorant.
///
/// Decays. log a is an input and exact. exp of it is off by 3 u (fast/cpu/natural_exponential.hpp), however
/// negative it is, so that a decay over many tokens, which the fast path forms as a product of those of
/// single tokens and never as the exponential of a sum, brings 4 roundings a token: 3 for the exponential, 1
/// for the product. Had it been the exponential of a sum of logarithms, the rounding of that sum would have
/// cost u |sum|, which for decays of e^-20 is 20 times as much.
///
/// Underflow. Every product that leaves the normal range, and every exponential below 2^-126, costs at most
/// 2^-126 times the factors that follow. This is bounded very coarsely, with all decays taken as 1 and all
/// numbers as at least 1, because it is invisible beside the rest unless a result is tiny itself.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "proofs/fast/budget.hpp"
#include "reference/array.hpp"
#include "reference/gated_recurrence/delta_rule.hpp"
#include "reference/gated_recurrence/gated_delta.hpp"
#include "reference/gated_recurrence/gated_linear_attention.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/real.hpp"
#include "reference/state_space/mamba_s6.hpp"
#include "reference/state_space/s4d.hpp"

namespace etalon::fast_laws {

/// -log(1 - u): one rounding, as a logarithm.
inline double rounding() {
  return -std::log1p(-kUnit);
}

/// What k roundings can change a number by, as a fraction of it.
inline double growth(double roundings) {
  return std::expm1(roundings * rounding());
}

inline Array<double> absolute(Array<double> x) {
  for (double& entry : x.values()) entry = std::abs(entry);
  return x;
}

/// |x|, and at least 1: for bounds of underflow.
inline Array<double> at_least_one(Array<double> x) {
  for (double& entry : x.values()) entry = std::max(1.0, std::abs(entry));
  return x;
}

/// e^x for every entry.
inline Array<double> exponential(Array<double> x) {
  for (double& entry : x.values()) entry = std::exp(entry);
  return x;
}

/// Results of a text and how far the fast path may be from them.
struct RecurrentBudget {
  Array<double> output, output_budget, state, state_budget;
};

/// Core 2. A term scale q_ti k_si D_ts,i v_s meets: 5 roundings for every token from s to t (4 of its decay,
/// and one addition to the state, whose sum over a chunk takes one addition a token), or 1 without decays;
/// and once: d additions and a chunk of additions in the output, a chunk of additions in the chunk of the
/// key, and less than 8 products (scale, factors on both sides of the pivot, score, value, without fused
/// multiply-add). An entry of the state likewise without the d additions. \param rounded roundings that query
/// and key together have met already, where the core was given other numbers than `in`
inline RecurrentBudget decay_budget(const gated_linear_attention::Input<double>& in, bool decays,
                                    std::int64_t chunk, int rounded = 0) {
  const auto exact = gated_linear_attention::recurrent(in);
  gated_linear_attention::Input<double> sizes{absolute(in.query),         absolute(in.key),
                                              absolute(in.value),         in.decay,
                                              absolute(in.initial_state), std::abs(in.scale)};
  const auto majorant = gated_linear_attention::recurrent(sizes);
  for (double& a : sizes.decay.values()) a *= 1 + growth(decays ? 5 : 1);
  const auto enlarged = gated_linear_attention::recurrent(sizes);
  const gated_linear_attention::Input<double> coarse{
      at_least_one(in.query),         at_least_one(in.key),
      at_least_one(in.value),         Array<double>(in.decay.shape(), 1.0),
      at_least_one(in.initial_state), std::max(1.0, std::abs(in.scale))};
  const auto largest = gated_linear_attention::recurrent(coarse);

  const Index n = in.key.extent(0), d = in.key.extent(1), e = in.value.extent(1);
  RecurrentBudget result{exact.output, Array<double>({n, e}), exact.state, Array<double>({d, e})};
  const auto once = static_cast<double>(2 * chunk + 8 + rounded);
  const double events = static_cast<double>(4 * (n + d + 2 * chunk + 8)) * kFlush;
  for (Index t = 0; t < n; ++t) {
    for (Index j = 0; j < e; ++j) {
      result.output_budget(t, j) = enlarged.output(t, j) * (1 + growth(once + static_cast<double>(d))) -
                                   majorant.output(t, j) + events * largest.output(t, j);
    }
  }
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < e; ++j) {
      result.state_budget(i, j) =
          enlarged.state(i, j) * (1 + growth(once)) - majorant.state(i, j) + events * largest.state(i, j);
    }
  }
  return result;
}

/// Gradients of core 2 for one head, with that of log a in the place of that of a.
struct DecayGradientBudget {
  gated_linear_attention::Gradient<double> exact, budget;
};

/// Core 2 backwards. Every gradient but one is a sum of products of inputs, the gradients of the outputs and
/// decays: as in the forward pass a term meets 5 roundings a token (states and their gradients go through one
/// addition and one decay a token), and once: less than 3 chunks + d + e additions and 16 products.
///
/// The gradient of log a_t is q dq - k dk, summed from the end of the chunk to t, and the row sum of S' * R
/// at the end of the chunk. For the majorants this sum of positive numbers over pairs is a_t dL/da_t of the
/// next token, which the text gives. dq and dk hand on their own errors; the sums make 2 chunk + e + 8
/// roundings more, and d more where channels are added.
inline DecayGradientBudget decay_gradient_budget(const gated_linear_attention::Input<double>& in,
                                                 const Array<double>& d_output, const Array<double>& d_state,
                                                 bool decays, std::int64_t chunk) {
  using gated_linear_attention::backward;
  const auto to_logarithm = [](gated_linear_attention::Gradient<double> g, const Array<double>& decay) {
    for (std::size_t x = 0; x < decay.values().size(); ++x) g.decay.values()[x] *= decay.values()[x];
    return g;
  };
  gated_linear_attention::Input<double> sizes{absolute(in.query),         absolute(in.key),
                                              absolute(in.value),         in.decay,
                                              absolute(in.initial_state), std::abs(in.scale)};
  const Array<double> d_output_size = absolute(d_output), d_state_size = absolute(d_state);
  const auto majorant = to_logarithm(backward(sizes, d_output_size, d_state_size), sizes.decay);
  const auto state = gated_linear_attention::recurrent(sizes).state;
  for (double& a : sizes.decay.values()) a *= 1 + growth(decays ? 5 : 1);
  const auto enlarged = to_logarithm(backward(sizes, d_output_size, d_state_size), sizes.decay);
  const auto enlarged_state = gated_linear_attention::recurrent(sizes).state;
  const gated_linear_attention::Input<double> coarse{
      at_least_one(in.query),         at_least_one(in.key),
      at_least_one(in.value),         Array<double>(in.decay.shape(), 1.0),
      at_least_one(in.initial_state), std::max(1.0, std::abs(in.scale))};
  const auto largest = backward(coarse, at_least_one(d_output), at_least_one(d_state));

  const Index n = in.key.extent(0), d = in.key.extent(1), e = in.value.extent(1);
  const double once = 1 + growth(static_cast<double>(3 * chunk + d + e + 16));
  const double events = static_cast<double>(8 * (n + d + e + 3 * chunk + 16)) * kFlush;
  DecayGradientBudget result{to_logarithm(backward(in, d_output, d_state), in.decay), majorant};
  const auto fill = [&](Array<double>& budget, const Array<double>& more, const Array<double>& less,
                        const Array<double>& coarsest) {
    for (std::size_t x = 0; x < budget.values().size(); ++x) {
      budget.values()[x] = more.values()[x] * once - less.values()[x] + events * coarsest.values()[x];
    }
  };
  fill(result.budget.query, enlarged.query, majorant.query, largest.query);
  fill(result.budget.key, enlarged.key, majorant.key, largest.key);
  fill(result.budget.value, enlarged.value, majorant.value, largest.value);
  fill(result.budget.initial_state, enlarged.initial_state, majorant.initial_state, largest.initial_state);
  const double sums = growth(static_cast<double>(2 * chunk + d + e + 8));
  for (Index i = 0; i < d; ++i) {
    for (Index first = 0; first < n; first += chunk) {
      const Index last = std::min<Index>(first + chunk, n);
      double after = 0, after_enlarged = 0;  // row sums of S' * R
      if (last < n) {
        after = majorant.decay(last, i);
        after_enlarged = enlarged.decay(last, i);
      } else {
        for (Index j = 0; j < e; ++j) {
          after += state(i, j) * d_state_size(i, j);
          after_enlarged += enlarged_state(i, j) * d_state_size(i, j);
        }
      }
      double inherited = after_enlarged * once - after, size = after + inherited;
      for (Index t = last - 1; t >= first; --t) {
        const double q = std::abs(in.query(t, i)), k = std::abs(in.key(t, i));
        const double handed_on = q * result.budget.query(t, i) + k * result.budget.key(t, i);
        inherited += handed_on;
        size += q * majorant.query(t, i) + k * majorant.key(t, i) + handed_on;
        result.budget.decay(t, i) = inherited + sums * size + events * (largest.decay(t, i) + 1);
      }
    }
  }
  return result;
}

/// Core 3. A majorant of the whole sequence is useless: with every minus sign made a plus, the recurrence
/// grows by a factor of 1 + beta |k|^2 a token. What keeps errors small is that I - beta k k^T does not
/// lengthen any vector if 0 <= beta |k|^2 <= 2; it stretches by h = max(1, |1 - beta |k|^2|) in general. So
/// the error of every column of the state is carried in its length (2-norm): for a chunk,
///     E <- (prod a h) E + local,
/// and `local` is what the chunk itself rounds, starting from the state that was computed. That is bounded
/// entry by entry from the chunk's own exact matrices (fast/cpu/delta_rule.cpp has their names), for one
/// column:
///     |dr|  <= growth(4 (t + 1) + d + 3) (|v| + b |K| |s|)
///     |dL|  <= growth(4 (t - s) + d + 4) beta D |K| |K|^T
///     X = (I + L)^-1 by substitution: (I + L^) X^ = I + F with |F| <= growth(C) |L^| |X^|, so with
///         G = growth(C) |L^| + |dL|: |X^| <= Y := |X| + |X| G Y and |dX| <= |X| G Y
///     |du|  <= |dX| beta |r^| + |X| beta |dr| + growth(C + 2) Y beta |r^|
///     |do|  <= growth(4 (t + 1) + d + C + 5) (|scale| b |q| |s| + |scale| D |q| |k| |u^|) + |P| |du|
///     |ds'| <= growth(5 C + 4) (b |s| + D |k| |u^|) + D |k| |du|
/// A decay again brings 4 roundings a token. s, r and u of the computation differ from the exact ones by what
/// E makes of them, which is added to their sizes.
inline RecurrentBudget delta_budget(const gated_delta::Input<double>& in, std::int64_t chunk) {
  const auto exact = gated_delta::recurrent(in);
  const Index n = in.key.extent(0), d = in.key.extent(1), e = in.value.extent(1);
  RecurrentBudget result{exact.output, Array<double>({n, e}), exact.state, Array<double>({d, e})};
  const double scale = std::abs(in.scale);
  const auto length_of = [&](const Array<double>& x, Index t) {
    double squares = 0;
    for (Index i = 0; i < d; ++i) squares += x(t, i) * x(t, i);
    return std::sqrt(squares);
  };
  double largest = 1;  // for underflow
  for (const Array<double>* x : {&in.query, &in.key, &in.value, &in.initial_state}) {
    for (const double entry : x->values()) largest = std::max(largest, std::abs(entry));
  }
  Array<double> state = in.initial_state;
  std::vector<double> carried(static_cast<std::size_t>(e), 0.0);  // E of every column
  for (Index first = 0; first < n; first += chunk) {
    const Index length = std::min<Index>(chunk, n - first);
    Array<double> fade({length, length}), key_product({length, length}), key_majorant({length, length});
    Array<double> score({length, length}), score_majorant({length, length});
    std::vector<double> from_start, carry;  // b, and prod a h
    for (Index t = 0; t < length; ++t) {
      const double squares = length_of(in.key, first + t) * length_of(in.key, first + t);
      const double stretch = std::max(1.0, std::abs(1 - in.beta(first + t) * squares));
      const double a = in.decay(first + t);
      from_start.push_back((t == 0 ? 1 : from_start.back()) * a);
      carry.push_back((t == 0 ? 1 : carry.back()) * a * stretch);
      for (Index s = t; s >= 0; --s) {
        fade(t, s) = s == t ? 1 : fade(t, s + 1) * in.decay(first + s + 1);
        for (Index i = 0; i < d; ++i) {
          key_product(t, s) += in.key(first + t, i) * in.key(first + s, i);
          key_majorant(t, s) += std::abs(in.key(first + t, i) * in.key(first + s, i));
          score(t, s) += scale * in.query(first + t, i) * in.key(first + s, i);
          score_majorant(t, s) += scale * std::abs(in.query(first + t, i) * in.key(first + s, i));
        }
      }
    }
    const auto C = static_cast<double>(chunk), channels = static_cast<double>(d);
    Array<double> lower({length, length}), lower_error({length, length});
    for (Index t = 0; t < length; ++t) {
      for (Index s = 0; s < t; ++s) {
        const double factor = std::abs(in.beta(first + t)) * fade(t, s);
        lower(t, s) = in.beta(first + t) * fade(t, s) * key_product(t, s);
        const double d_lower =
            growth(4 * static_cast<double>(t - s) + channels + 4) * factor * key_majorant(t, s);
        lower_error(t, s) = growth(C) * (std::abs(lower(t, s)) + d_lower) + d_lower;  // G
      }
    }
    // X by columns, and Y and |dX| from |X| G.
    const Array<double> inverse = delta_rule::unit_lower_inverse(lower, Index{1});
    Array<double> spread({length, length}), inverse_size = absolute(inverse), inverse_error({length, length});
    for (Index t = 0; t < length; ++t) {
      for (Index s = 0; s < t; ++s) {
        for (Index x = s + 1; x <= t; ++x) spread(t, s) += std::abs(inverse(t, x)) * lower_error(x, s);
      }
    }
    for (Index t = 0; t < length; ++t) {
      for (Index s = 0; s < t; ++s) {
        for (Index c = 0; c <= s; ++c) inverse_error(t, c) += spread(t, s) * inverse_size(s, c);
      }
      for (Index c = 0; c < t; ++c) inverse_size(t, c) += inverse_error(t, c);
    }
    for (Index j = 0; j < e; ++j) {
      double& error = carried[static_cast<std::size_t>(j)];
      std::vector<double> right, right_size, right_error, written, written_size, written_error;
      for (Index t = 0; t < length; ++t) {
        const double b = from_start[static_cast<std::size_t>(t)];
        double recalled = 0, majorant = 0;
        for (Index i = 0; i < d; ++i) {
          recalled += in.key(first + t, i) * state(i, j);
          majorant += std::abs(in.key(first + t, i)) * (std::abs(state(i, j)) + error);
        }
        right.push_back(in.value(first + t, j) - b * recalled);
        right_error.push_back(growth(4 * static_cast<double>(t + 1) + channels + 3) *
                              (std::abs(in.value(first + t, j)) + b * majorant));
        right_size.push_back(std::abs(right.back()) + b * length_of(in.key, first + t) * error +
                             right_error.back());
        double u = 0, u_size = 0, u_error = 0;
        for (Index s = 0; s <= t; ++s) {
          const auto at = static_cast<std::size_t>(s);
          const double beta = std::abs(in.beta(first + s));
          u += inverse(t, s) * in.beta(first + s) * right[at];
          u_size += std::abs(inverse(t, s)) * beta * from_start[at] * length_of(in.key, first + s) * error;
          u_error +=
              beta * (inverse_error(t, s) * right_size[at] + std::abs(inverse(t, s)) * right_error[at] +
                      growth(C + 2) * inverse_size(t, s) * right_size[at]);
        }
        written.push_back(u);
        written_error.push_back(u_error);
        written_size.push_back(std::abs(u) + u_size + u_error);
        largest = std::max(largest, written_size.back());
      }
      const double events = kFlush * (C + channels + 8) * (C + channels + 8) * largest * largest * largest;
      for (Index t = 0; t < length; ++t) {
        const double b = from_start[static_cast<std::size_t>(t)];
        double majorant = 0, of_written = 0;
        for (Index i = 0; i < d; ++i) {
          majorant += scale * b * std::abs(in.query(first + t, i)) * (std::abs(state(i, j)) + error);
        }
        for (Index s = 0; s <= t; ++s) {
          const auto at = static_cast<std::size_t>(s);
          majorant += score_majorant(t, s) * fade(t, s) * written_size[at];
          of_written += std::abs(score(t, s)) * fade(t, s) * written_error[at];
        }
        result.output_budget(first + t, j) =
            growth(4 * static_cast<double>(t + 1) + channels + C + 5) * majorant + of_written +
            scale * length_of(in.query, first + t) * carry[static_cast<std::size_t>(t)] * error + events;
      }
      double squares = 0;
      for (Index i = 0; i < d; ++i) {
        double next = from_start.back() * state(i, j);
        double majorant = from_start.back() * (std::abs(state(i, j)) + error), of_written = 0;
        for (Index s = 0; s < length; ++s) {
          const auto at = static_cast<std::size_t>(s);
          const double key = fade(length - 1, s) * in.key(first + s, i);
          next += key * written[at];
          majorant += std::abs(key) * written_size[at];
          of_written += std::abs(key) * written_error[at];
        }
        const double local = growth(5 * C + 4) * majorant + of_written + events;
        squares += local * local;
        state(i, j) = next;
        largest = std::max(largest, std::abs(next));
      }
      error = carry.back() * error + std::sqrt(squares);
    }
  }
  for (Index j = 0; j < e; ++j) {
    for (Index i = 0; i < d; ++i) result.state_budget(i, j) = carried[static_cast<std::size_t>(j)];
  }
  return result;
}

/// Core 4, real, for one group of channels. D_t is off by what softplus is (10 u, and the rounding of its
/// argument, of which softplus passes on at most u |argument| as a fraction of its value); without it by the
/// rounding of the bias alone. The exponent D A log2 e has three roundings more (log2 e, its product with A,
/// its product with D), which move e^(D A) by the fraction |D A| times as much, and 2^x is off by 3 u. Then a
/// state meets 2 roundings a token (product and sum), what is written 3 and the sum; what is read s + 3
/// (product, sum over states, skip), the gate 9 u and a product. \param raw delta, \param bias for every
/// channel \param rounded roundings that the rates have met already, where the core was given other numbers
/// than `in`
inline RecurrentBudget selective_budget(mamba_s6::Input<double> in, const Array<double>& raw,
                                        const Array<double>& bias, bool softplus, int rounded = 0) {
  in.step = raw;
  Array<double> step_error(raw.shape());  // as a logarithm
  const Index n = raw.extent(0), channels = raw.extent(1), states = in.rate.extent(1);
  for (Index t = 0; t < n; ++t) {
    for (Index c = 0; c < channels; ++c) {
      const double x = raw(t, c) + bias(c);
      in.step(t, c) = softplus ? s4d::SoftplusTransform::value(x) : x;
      step_error(t, c) = (softplus ? 10 + std::abs(x) : 1) * rounding();
    }
  }
  const auto exact = mamba_s6::finished(in, mamba_s6::recurrent(mamba_s6::euler(in)));
  RecurrentBudget result{exact.output, Array<double>({n, channels}), exact.state,
                         Array<double>({channels, states})};
  Array<double> majorant = absolute(in.initial_state), enlarged = majorant;
  for (Index t = 0; t < n; ++t) {
    for (Index c = 0; c < channels; ++c) {
      const double skipped = std::abs(in.skip(c) * in.signal(t, c));
      double read = skipped, read_enlarged = skipped;
      for (Index p = 0; p < states; ++p) {
        const double step = in.step(t, c), exponent = std::abs(step * in.rate(c, p)), a = std::exp(-exponent);
        const double written = std::abs(step * in.signal(t, c) * in.B(t, 0, p));
        const double theta =
            exponent * std::expm1(step_error(t, c) + (3 + rounded) * rounding()) + (3 + 2) * rounding();
        const double flushed =
            kFlush * (enlarged(c, p) + std::abs(in.signal(t, c)) + std::abs(in.B(t, 0, p)) +
                      std::abs(in.signal(t, c) * in.B(t, 0, p)) + 4);
        majorant(c, p) = a * majorant(c, p) + written;
        enlarged(c, p) = std::exp(theta - exponent) * enlarged(c, p) +
                         written * std::exp(step_error(t, c) + 4 * rounding()) + flushed;
        read += std::abs(in.C(t, 0, p)) * majorant(c, p);
        read_enlarged += std::abs(in.C(t, 0, p)) * enlarged(c, p) + kFlush;
      }
      read_enlarged *= 1 + growth(static_cast<double>(states) + 3);
      if (in.gate) {
        const double z = (*in.gate)(t, c), gate = std::abs(mamba_s6::silu(z));
        result.output_budget(t, c) =
            gate * (read_enlarged * (1 + growth(10)) - read) + kFlush * (std::abs(z) * read_enlarged + 2);
      } else {
        result.output_budget(t, c) = read_enlarged - read;
      }
    }
  }
  for (Index c = 0; c < channels; ++c) {
    for (Index p = 0; p < states; ++p) result.state_budget(c, p) = enlarged(c, p) - majorant(c, p);
  }
  return result;
}

/// Core 4, complex, for one channel: a system with B = 1. States are taken in their absolute value; m_t =
/// |lambda| m_{t-1} + |x_t| is their majorant. A real or imaginary part, after one token or after four, is a
/// sum of at most 6 products with rounded coefficients: at most 8 roundings of a sum of absolute values that
/// is at most m_t by Cauchy and Schwarz, thus sqrt(2) growth(8) m_t for the state. Errors of earlier tokens
/// fade with |lambda|. An output is a sum of 2 products for each of the s states and at most 4 of the kernel,
/// with rounded coefficients: 2 s + 7 roundings of at most 2 sum |w| m_t + |skip x_t|.
///
/// Where the core was given other coefficients than those of `system`, each part cut to float32 with an error
/// of at most growth(rounded) and |lambda| not made larger, m_t and E_t still bound what they did, a token
/// adds growth(rounded) |lambda| m_{t-1} to the error of the state, or 2^-126 m_{t-1} where lambda itself
/// underflows, and w adds its own roundings to what is read.
inline RecurrentBudget complex_budget(const s4d::System<double>& system, const Array<double>& x,
                                      const Array<Complex<double>>& initial, int rounded = 0) {
  const auto exact = s4d::recurrent(system, x, initial);
  const Index n = x.extent(0), states = initial.extent(0);
  RecurrentBudget result{Array<double>({n, 1}), Array<double>({n, 1}), Array<double>({1, 2 * states}),
                         Array<double>({1, 2 * states})};
  const auto size = [](const Complex<double>& z) { return std::hypot(z.re, z.im); };
  std::vector<double> majorant, error(static_cast<std::size_t>(states), 0.0);
  for (Index p = 0; p < states; ++p) majorant.push_back(size(initial(p)));
  for (Index t = 0; t < n; ++t) {
    double budget = growth(static_cast<double>(2 * states + 7)) * std::abs(system.D * x(t));
    for (Index p = 0; p < states; ++p) {
      const auto at = static_cast<std::size_t>(p);
      const double before = majorant[at];
      majorant[at] = size(system.lambda(p)) * before + std::abs(x(t));
      error[at] = size(system.lambda(p)) * error[at] +
                  (std::sqrt(2.0) * growth(8) + growth(rounded)) * majorant[at] +
                  kFlush * (8 + (rounded > 0 ? before : 0) + majorant[at]);
      budget += 2 * size(system.C(p)) *
                    ((1 + growth(rounded)) * error[at] +
                     growth(static_cast<double>(2 * states + 7 + rounded)) * majorant[at]) +
                kFlush * (4 + majorant[at]);
    }
    result.output(t, 0) = exact.y(t);
    result.output_budget(t, 0) = budget;
  }
  for (Index p = 0; p < states; ++p) {
    result.state(0, 2 * p) = exact.state(p).re;
    result.state(0, 2 * p + 1) = exact.state(p).im;
    result.state_budget(0, 2 * p) = result.state_budget(0, 2 * p + 1) = error[static_cast<std::size_t>(p)];
  }
  return result;
}

}  // namespace etalon::fast_laws
