/// \file
/// The stated errors of e^x, softplus and SiLU, for every instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/fast/support.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/fast/natural_exponential_test.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "fast/cpu/natural_exponential.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalon::fast_test::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
namespace functions = fast::cpu::HWY_NAMESPACE;

/// y = f(x) for a multiple of 64 numbers. \param which 0 e^x, 1 softplus, 2 SiLU
void apply(int which, const float* x, float* y, std::size_t count) {
  const hn::ScalableTag<float> tag;
  for (std::size_t i = 0; i < count; i += hn::Lanes(tag)) {
    const auto at = hn::LoadU(tag, x + i);
    const auto result = which == 0   ? functions::exp_negative(tag, at)
                        : which == 1 ? functions::softplus(tag, at)
                                     : functions::silu(tag, at);
    hn::StoreU(result, tag, y + i);
  }
}

}  // namespace
}  // namespace etalon::fast_test::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace etalon::fast_test {
namespace {

HWY_EXPORT(apply);

std::vector<float> apply_to(int which, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  HWY_DYNAMIC_DISPATCH(apply)(which, x.data(), y.data(), x.size());
  return y;
}

/// Numbers of both signs or of one, every `step`-th one that float32 has up to `largest` in size.
std::vector<float> numbers(float largest, bool positive, std::uint32_t step) {
  std::vector<float> x;
  for (std::uint32_t bits = 0; bits <= std::bit_cast<std::uint32_t>(largest); bits += step) {
    x.push_back(-std::bit_cast<float>(bits));
    if (positive) x.push_back(std::bit_cast<float>(bits));
  }
  x.resize((x.size() + 63) / 64 * 64, 0.0f);
  return x;
}

/// The largest error in u, relative to the exact value, beside 2^-126 that may be missing of a part of it.
template <class Exact>
double worst_error(int which, const std::vector<float>& x, Exact exact) {
  const std::vector<float> y = apply_to(which, x);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double wanted = exact(static_cast<double>(x[i]));
    const double missing = which == 2 ? kFlush * (1 + std::abs(static_cast<double>(x[i]))) : kFlush;
    const double error = std::abs(static_cast<double>(y[i]) - wanted) - missing;
    worst = std::max(worst, error / std::abs(wanted) / kUnit);
  }
  return worst;
}

TEST(NaturalExponential, ErrorsAreAsStated) {
  const std::vector<float> negative = numbers(200, false, 1009), both = numbers(200, true, 10007);
  double exponential = 0, softplus = 0, silu = 0;
  for_each_target([&] {
    exponential = std::max(exponential, worst_error(0, negative, [](double x) { return std::exp(x); }));
    softplus = std::max(softplus, worst_error(1, both, [](double x) {
                          return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
                        }));
    silu = std::max(silu, worst_error(2, both, [](double x) { return x / (1 + std::exp(-x)); }));
  });
  EXPECT_LE(exponential, 3);
  EXPECT_LE(softplus, 10);
  EXPECT_LE(silu, 9);
  RecordProperty("exponential", std::to_string(exponential));
  RecordProperty("softplus", std::to_string(softplus));
  RecordProperty("silu", std::to_string(silu));
}

TEST(NaturalExponential, ExactWhereItMatters) {
  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> x(64, 0.0f);
  x[1] = -infinity;
  x[2] = nan;
  x[3] = -88.0f;
  x[4] = -1e30f;
  for_each_target([&] {
    const std::vector<float> y = apply_to(0, x), plus = apply_to(1, x), gate = apply_to(2, x);
    EXPECT_EQ(y[0], 1.0f);
    EXPECT_EQ(y[1], 0.0f);
    EXPECT_TRUE(std::isnan(y[2]));
    EXPECT_EQ(y[3], 0.0f);
    EXPECT_EQ(y[4], 0.0f);
    EXPECT_EQ(plus[4], 0.0f);
    EXPECT_TRUE(std::isnan(plus[2]));
    EXPECT_EQ(gate[0], 0.0f);
    EXPECT_TRUE(std::isnan(gate[2]));
  });
}

}  // namespace
}  // namespace etalon::fast_test
#endif
