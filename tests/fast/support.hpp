/// \file
/// What all tests of the fast path share: random numbers, every instruction set of this processor, and the
/// comparison with a text within a budget of `proofs/fast`.
#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>  // not highway.h, which must come after foreach_target.h

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <string>

#include "proofs/fast/budget.hpp"
#include "proofs/fast/recurrent_budget.hpp"
#include "proofs/fast/storage.hpp"
#include "reference/array.hpp"

namespace etalon::fast_test {

using namespace fast_laws;  // NOLINT(google-build-using-namespace): the budgets and their tensors

/// Standard normal numbers times `size`, the same in every run.
inline std::function<double()> normal(unsigned seed, double size = 1) {
  return [generator = std::mt19937(seed), distribution = std::normal_distribution<double>(), size]() mutable {
    return size * distribution(generator);
  };
}

/// Uniform numbers from [low, high).
inline std::function<double()> uniform(unsigned seed, double low, double high) {
  return [generator = std::mt19937(seed), distribution = std::uniform_real_distribution<double>(
                                              low, high)]() mutable { return distribution(generator); };
}

/// Logarithms of decays of every kind in one sequence: near 0, moderate, -20, and minus infinity.
inline std::function<double()> mixed_log_decays(unsigned seed) {
  return [kind = uniform(seed, 0, 1), size = uniform(seed + 1, -1, 0)]() mutable {
    const double x = kind();
    if (x < 0.02) return -std::numeric_limits<double>::infinity();
    if (x < 0.05) return -20.0;
    if (x < 0.07) return 0.0;
    return (x < 0.5 ? 0.01 : 1.0) * size();
  };
}

/// Whether one head of `actual` lies within `budget` of the text's result; NaN never does, and infinities
/// must be equal. The largest fraction of the budget that was used is added to `worst`.
inline testing::AssertionResult within(const std::string& name, const Storage& actual, std::int64_t b,
                                       std::int64_t h, const Array<double>& expected,
                                       const Array<double>& budget, double& worst) {
  for (Index t = 0; t < expected.extent(0); ++t) {
    for (Index c = 0; c < expected.extent(1); ++c) {
      const double is = static_cast<double>(actual.at(b, t, h, c)), wanted = expected(t, c);
      if (is == wanted) continue;
      const double limit = allowed(budget(t, c)), error = std::abs(is - wanted);
      if (!(error <= limit) || std::isinf(limit)) {
        return testing::AssertionFailure()
               << name << "[" << b << ", " << t << ", " << h << ", " << c << "] is " << is
               << ", the text says " << wanted << ": off by " << error << ", budget " << limit;
      }
      if (limit > 0) worst = std::max(worst, error / limit);
    }
  }
  return testing::AssertionSuccess();
}

/// Whether the state of one head is within its budget.
inline testing::AssertionResult state_within(const Storage& state, std::int64_t b, std::int64_t h,
                                             const RecurrentBudget& wanted, double& worst) {
  Storage one(1, wanted.state.extent(0), 1, wanted.state.extent(1));
  for (Index i = 0; i < wanted.state.extent(0); ++i) {
    for (Index j = 0; j < wanted.state.extent(1); ++j) one.at(0, i, 0, j) = state.at(b, h, i, j);
  }
  return within("final_state", one, 0, 0, wanted.state, wanted.state_budget, worst);
}

/// Runs `check` once for every instruction set that was compiled and that this processor has.
inline void for_each_target(const std::function<void()>& check) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    check();
    hwy::SetSupportedTargetsForTest(0);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace etalon::fast_test
