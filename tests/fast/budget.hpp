/// \file
/// What all tests of the fast path share: tensors with awkward layouts, random numbers, every instruction set
/// of this processor, and the comparison with a text within a budget.
///
/// A budget is derived, never chosen. With the unit roundoff u = 2^-24 of float32, a sum of products whose
/// every term meets at most k roundings on its way from input to output, in any order, is off by at most
/// gamma_k M, where gamma_k = k u / (1 - k u) and the majorant M is the same sum with the absolute values of
/// its terms
/// (\cite higham2002accuracy, section 3.1). Each core's budget header says what its k is and what else can go
/// wrong. The text is evaluated in float64, where the same budget is 2^29 times smaller; `within` allows for
/// that.
#pragma once

#include <gtest/gtest.h>
#include <hwy/targets.h>  // not highway.h, which must come after foreach_target.h

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "reference/array.hpp"

namespace etalon::fast_test {

/// Unit roundoff of float32.
inline constexpr double kUnit = 0x1p-24;

/// Results below this may be 0 instead: the smallest normal number of float32.
inline constexpr double kFlush = 0x1p-126;

/// gamma_k for float32. \param roundings k, below 2^23
inline double gamma(std::int64_t roundings) {
  const double ku = static_cast<double>(roundings) * kUnit;
  return ku / (1 - ku);
}

/// How the axes of a tensor lie in memory.
enum class Layout {
  contiguous,   ///< [batch, time, head, dim]
  heads_first,  ///< [batch, head, time, dim]
  gaps,         ///< contiguous, with room between rows that must be neither read nor written
};

/// A tensor of float32 that owns its memory.
class Storage {
 public:
  Storage(std::int64_t batch, std::int64_t time, std::int64_t heads, std::int64_t dim,
          Layout layout = Layout::contiguous)
      : view_{nullptr, fast::Type::float32, {batch, time, heads, dim}, {}} {
    const std::int64_t gap = layout == Layout::gaps ? 3 : 0, row = dim + gap;
    if (layout == Layout::heads_first) {
      view_.stride = {heads * time * row, row, time * row, 1};
    } else {
      view_.stride = {time * (heads * row + gap), heads * row + gap, row, 1};
    }
    memory_.assign(static_cast<std::size_t>(batch * view_.stride[0] + gap), std::bit_cast<float>(kPoison));
    view_.data = memory_.data();
  }
  Storage(const Storage& other) : memory_(other.memory_), view_(other.view_) { view_.data = memory_.data(); }
  Storage& operator=(const Storage&) = delete;

  const fast::Tensor& view() const { return view_; }
  const std::vector<float>& memory() const { return memory_; }

  float& at(std::int64_t b, std::int64_t t, std::int64_t h, std::int64_t c) {
    return memory_[static_cast<std::size_t>(offset(b, t, h, c))];
  }
  float at(std::int64_t b, std::int64_t t, std::int64_t h, std::int64_t c) const {
    return memory_[static_cast<std::size_t>(offset(b, t, h, c))];
  }

  /// Every element from `number()`, in the order of the axes.
  void fill(const std::function<double()>& number) {
    for_each([&](float& x) { x = static_cast<float>(number()); });
  }

  /// time x dim numbers of one batch and head, for the texts.
  Array<double> matrix(std::int64_t b, std::int64_t h) const {
    Array<double> result({view_.shape[1], view_.shape[3]});
    for (std::int64_t t = 0; t < view_.shape[1]; ++t) {
      for (std::int64_t c = 0; c < view_.shape[3]; ++c) result(t, c) = static_cast<double>(at(b, t, h, c));
    }
    return result;
  }

  /// Whether all that lies between the rows is as it was.
  bool gaps_untouched() const {
    Storage copy(*this);
    copy.for_each([](float& x) { x = std::bit_cast<float>(kPoison); });
    return std::all_of(copy.memory_.begin(), copy.memory_.end(),
                       [](float x) { return std::bit_cast<std::uint32_t>(x) == kPoison; });
  }

  /// Whether nothing has been written at all.
  bool untouched() const {
    return std::all_of(memory_.begin(), memory_.end(),
                       [](float x) { return std::bit_cast<std::uint32_t>(x) == kPoison; });
  }

 private:
  static constexpr std::uint32_t kPoison = 0x7fc0dead;  // a NaN, so that a sum into which it gets shows it

  std::int64_t offset(std::int64_t b, std::int64_t t, std::int64_t h, std::int64_t c) const {
    return b * view_.stride[0] + t * view_.stride[1] + h * view_.stride[2] + c * view_.stride[3];
  }

  template <class Visit>
  void for_each(Visit visit) {
    for (std::int64_t b = 0; b < view_.shape[0]; ++b) {
      for (std::int64_t t = 0; t < view_.shape[1]; ++t) {
        for (std::int64_t h = 0; h < view_.shape[2]; ++h) {
          for (std::int64_t c = 0; c < view_.shape[3]; ++c) visit(at(b, t, h, c));
        }
      }
    }
  }

  std::vector<float> memory_;
  fast::Tensor view_;
};

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

/// Whether one head of `actual` lies within `budget` of the text's result; NaN never does, and infinities
/// must be equal. The largest fraction of the budget that was used is added to `worst`.
inline testing::AssertionResult within(const std::string& name, const Storage& actual, std::int64_t b,
                                       std::int64_t h, const Array<double>& expected,
                                       const Array<double>& budget, double& worst) {
  for (Index t = 0; t < expected.extent(0); ++t) {
    for (Index c = 0; c < expected.extent(1); ++c) {
      const double is = static_cast<double>(actual.at(b, t, h, c)), wanted = expected(t, c);
      if (is == wanted) continue;
      const double allowed = budget(t, c) * (1 + 0x1p-28), error = std::abs(is - wanted);
      if (!(error <= allowed) || std::isinf(allowed)) {
        return testing::AssertionFailure()
               << name << "[" << b << ", " << t << ", " << h << ", " << c << "] is " << is
               << ", the text says " << wanted << ": off by " << error << ", budget " << allowed;
      }
      if (allowed > 0) worst = std::max(worst, error / allowed);
    }
  }
  return testing::AssertionSuccess();
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
