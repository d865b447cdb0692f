/// \file
/// What the budgets of the recurrent cores share (`decay_budget.hpp`, `delta_budget.hpp`, `scan_budget.hpp`):
/// how far cores 2, 3 and 4 may be from the exact ones, for one head or one channel.
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

}  // namespace etalon::fast_laws
