/// \file
/// How far core 2, decay and outer product, and its gradients may be from the exact ones, for one head.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "proofs/fast/recurrent_budget.hpp"
#include "reference/array.hpp"
#include "reference/gated_recurrence/gated_linear_attention.hpp"

namespace etalon::fast_laws {

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

}  // namespace etalon::fast_laws
