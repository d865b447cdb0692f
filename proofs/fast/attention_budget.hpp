/// \file
/// How far float32 attention may be from the exact one: the budget of core 1 for one head.
///
/// Scores. fl(scale / ln 2), the factor on q and a chain of d multiply-adds, then the bias, times fl(1 / ln
/// 2) and added: every term meets at most d + 3 roundings. So |s^_j - s_j| <= gamma_{d+3} (|scale| sum_c |q_c
/// k_jc| + |b_j|) =: delta_j.
///
/// Weights. Let T be the number of times that the running maximum is brought up to date. What key j
/// contributes is 2^(s^_j - m) and then up to T factors 2^(m - m'). All these differences have the same sign
/// and add up to the range R_j = max s^ - s^_j, so that their roundings come to u R_j. Every power of 2 is
/// off by a factor of 1 +- 3 u (fast/cpu/exponential.hpp). Hence the weight is e^(s_j - m) e^theta with
///     |theta| <= epsilon_j = delta_j + u R_j + (T + 1) log(1 / (1 - 3 u)),
/// where the reference m is whatever it is: it cancels. A weight below 2^-126 may become 0.
///
/// Output. With the exact weights p_j, which sum to 1, and their perturbations,
///     |sum p^ v / sum p^ - o| = |sum (p^_j - p_j) (v_j - o)| / sum p^
///                            <= sum p_j (e^epsilon_j - 1) |v_j - o| / sum p_j e^-epsilon_j.
/// Either sum makes at most kappa = m + 2 T + 1 roundings: one for each of the m keys, two for each update,
/// and a product where there is no fused multiply-add. That adds 2 gamma_kappa / (1 - gamma_kappa) of W = sum
/// p^ |v| / sum p^, and the division u W.
///
/// log_sum = m + log l: the relative error of l, which is rho = sum p_j (e^epsilon_j - 1) and gamma_kappa,
/// then the rounding of the result. The logarithm is taken in float64.
///
/// Gradients. p^_ij = 2^(s^ - L^): theta <= delta_j + (error of L) + u |L| + u |s - L| + log(1 / (1 - 3 u)).
/// The product do . v makes e roundings, do . o^ inherits the error of o, the difference and the product with
/// p one more each. Sums over m keys and 8 parts, or over the queries of all heads of a group, each with its
/// factor of scale, add gamma_k of the majorant.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "fast/cpu/attention_sizes.hpp"
#include "proofs/fast/budget.hpp"
#include "reference/array.hpp"
#include "reference/softmax_attention/softmax_attention.hpp"

namespace etalon::fast_laws {

/// How often the running maximum is brought up to date at most: once for each tile of keys.
inline std::int64_t tiles(std::int64_t keys) {
  return (keys + fast::cpu::kKeyTile - 1) / fast::cpu::kKeyTile;
}

/// One head, with everything in float64.
struct AttentionHead {
  Array<double> q, k, v;
  std::optional<Array<double>> bias;
  double scale = 1;
  softmax_attention::Mask mask;
  std::int64_t updates = 0;  ///< T

  Index queries() const { return q.extent(0); }
  Index keys() const { return k.extent(0); }

  softmax_attention::Problem<double> problem() const {
    softmax_attention::Score<double> score = softmax_attention::dot_product(q, k, scale);
    if (bias) score = softmax_attention::biased(std::move(score), *bias);
    return {queries(), score, mask, v, std::nullopt};
  }
};

/// Results of the text and how far the fast path may be from them.
struct AttentionBudget {
  Array<double> o, o_budget, log_sum, log_sum_budget;
};

/// The visible keys of a query: scores, bounds of their errors, exact weights.
struct VisibleKeys {
  std::vector<Index> keys;
  std::vector<double> score, score_error, weight;
  double largest = -std::numeric_limits<double>::infinity();
  double log_sum = -std::numeric_limits<double>::infinity();

  VisibleKeys(const AttentionHead& head, Index i) {
    for (Index j = 0; j < head.keys(); ++j) {
      if (!head.mask(i, j)) continue;
      double sum = 0, majorant = 0;
      for (Index c = 0; c < head.q.extent(1); ++c) {
        sum += head.q(i, c) * head.k(j, c);
        majorant += std::abs(head.q(i, c) * head.k(j, c));
      }
      const double bias = head.bias ? (*head.bias)(i, j) : 0.0;
      keys.push_back(j);
      score.push_back(head.scale * sum + bias);
      score_error.push_back(gamma(head.q.extent(1) + 3) * (std::abs(head.scale) * majorant + std::abs(bias)));
      largest = std::max(largest, score.back());
    }
    double total = 0;
    for (const double s : score) total += std::exp(s - largest);
    if (!keys.empty()) log_sum = largest + std::log(total);
    for (const double s : score) weight.push_back(std::exp(s - largest) / total);
  }
};

/// What one power of 2 can be off by, as a logarithm.
inline double exponential_error() {
  return -std::log1p(-3 * kUnit);
}

inline AttentionBudget attention_budget(const AttentionHead& head) {
  const Index n = head.queries(), e = head.v.extent(1);
  AttentionBudget result;
  result.o = softmax_attention::safe(head.problem());
  result.o_budget = Array<double>({n, e});
  result.log_sum = Array<double>({n, 1}, -std::numeric_limits<double>::infinity());
  result.log_sum_budget = Array<double>({n, 1});
  for (Index i = 0; i < n; ++i) {
    const VisibleKeys seen(head, i);
    if (seen.keys.empty()) continue;
    const auto count = static_cast<std::int64_t>(seen.keys.size());
    const double largest_error = *std::max_element(seen.score_error.begin(), seen.score_error.end());
    const double sums = gamma(count + 2 * head.updates + 1);
    const double flushed = 2 * static_cast<double>(count + 2 * head.updates + 1) * kFlush;
    std::vector<double> growth;  // e^epsilon_j
    double rho = 0, least_sum = 0;
    for (std::size_t a = 0; a < seen.keys.size(); ++a) {
      const double range = seen.largest - seen.score[a] + largest_error + seen.score_error[a];
      const double epsilon =
          seen.score_error[a] + kUnit * range + static_cast<double>(head.updates + 1) * exponential_error();
      growth.push_back(std::exp(epsilon));
      rho += seen.weight[a] * std::expm1(epsilon);
      least_sum += seen.weight[a] * std::exp(-epsilon);
    }
    for (Index c = 0; c < e; ++c) {
      double of_weights = 0, majorant = 0, largest_value = 0;
      for (std::size_t a = 0; a < seen.keys.size(); ++a) {
        const double value = head.v(seen.keys[a], c);
        of_weights += seen.weight[a] * (growth[a] - 1) * std::abs(value - result.o(i, c));
        majorant += seen.weight[a] * growth[a] * std::abs(value);
        largest_value = std::max(largest_value, std::abs(value));
      }
      result.o_budget(i, c) =
          (of_weights + (2 * sums / (1 - sums) * (1 + kUnit) + kUnit) * majorant) / least_sum +
          flushed * (2 * largest_value + 1);
    }
    softmax_attention::Partial<double> partial =
        softmax_attention::over_keys(head.problem(), i, 0, head.keys());
    result.log_sum(i, 0) = softmax_attention::log_sum_exp(partial);
    const double of_sum = -std::log1p(-(rho + sums + rho * sums)) + flushed;
    const double size = std::abs(seen.log_sum) + of_sum;
    result.log_sum_budget(i, 0) = of_sum + kUnit * size + 0x1p-50 * (size + std::abs(seen.largest));
  }
  return result;
}

/// Gradients of one head and their budgets. Those of a group of heads add up.
struct AttentionGradient {
  Array<double> dq, dk, dv, dq_budget, dk_budget, dv_budget;
};

/// \param heads of one group, which share k and v
inline AttentionGradient attention_gradient(const AttentionHead& head, const AttentionBudget& forward,
                                            const Array<double>& d_o, std::int64_t heads) {
  const Index n = head.queries(), m = head.keys(), d = head.q.extent(1), e = head.v.extent(1);
  softmax_attention::Gradient<double> exact = softmax_attention::backward_of_scores(head.problem(), d_o);
  softmax_attention::backward_of_dot_product(head.q, head.k, head.scale, exact);
  AttentionGradient result{exact.query,           exact.key,
                           exact.value,           Array<double>({n, d}),
                           Array<double>({m, d}), Array<double>({m, e})};
  const double scale = std::abs(head.scale);
  const double over_keys = gamma(m + fast::cpu::kKeyParts + 2), over_queries = gamma(n * heads + 2);
  for (Index i = 0; i < n; ++i) {
    const VisibleKeys seen(head, i);
    double fit = 0, fit_majorant = 0, fit_error = 0;
    for (Index c = 0; c < e; ++c) {
      fit += d_o(i, c) * forward.o(i, c);
      fit_majorant += std::abs(d_o(i, c)) * (std::abs(forward.o(i, c)) + forward.o_budget(i, c));
      fit_error += std::abs(d_o(i, c)) * forward.o_budget(i, c);
    }
    fit_error += (kUnit + static_cast<double>(e) * 0x1p-52) * fit_majorant;
    for (std::size_t a = 0; a < seen.keys.size(); ++a) {
      const Index j = seen.keys[a];
      const double sum_error =
          forward.log_sum_budget(i, 0) + kUnit * (std::abs(seen.log_sum) + forward.log_sum_budget(i, 0));
      const double argument = std::abs(seen.score[a] - seen.log_sum) + seen.score_error[a] + sum_error;
      const double theta = seen.score_error[a] + sum_error + kUnit * argument + exponential_error();
      const double weight = seen.weight[a], weight_error = weight * std::expm1(theta) + kFlush;

      double product = 0, majorant = 0;
      for (Index c = 0; c < e; ++c) {
        product += d_o(i, c) * head.v(j, c);
        majorant += std::abs(d_o(i, c) * head.v(j, c));
      }
      const double difference = std::abs(product - fit);
      double difference_error = gamma(e) * majorant + fit_error;
      difference_error += kUnit * (difference + difference_error);
      double d_score_error = weight_error * (difference + difference_error) + weight * difference_error;
      d_score_error += kUnit * (weight + weight_error) * (difference + difference_error) + kFlush;
      const double d_score = weight * difference + d_score_error;  // the largest that is computed

      for (Index c = 0; c < d; ++c) {
        const double key = std::abs(head.k(j, c)), query = std::abs(head.q(i, c));
        result.dq_budget(i, c) += scale * key * (d_score_error + over_keys * d_score) + kFlush;
        result.dk_budget(j, c) += scale * query * (d_score_error + over_queries * d_score) + kFlush;
      }
      for (Index c = 0; c < e; ++c) {
        result.dv_budget(j, c) +=
            std::abs(d_o(i, c)) * (weight_error + over_queries * (weight + weight_error)) + kFlush;
      }
    }
  }
  return result;
}

}  // namespace etalon::fast_laws
