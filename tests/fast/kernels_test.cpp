/// \file
/// What the cores of the CPU are made of: the power of two and the product of small matrices, for every
/// instruction set.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "hwy/aligned_allocator.h"
#include "tests/fast/support.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/fast/kernels_test.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h
#include "fast/cpu/exponential.hpp"
#include "fast/cpu/tile.hpp"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace etalon::fast_test::HWY_NAMESPACE {

using namespace fast::HWY_NAMESPACE;  // NOLINT(google-build-using-namespace): the kernels of the set being
                                      // compiled

void powers_of_two(const float* x, std::int64_t count, float* result) {
  const Float f;
  for (std::int64_t i = 0; i < count; i += kLanes) hn::Store(exp2(f, hn::Load(f, x + i)), f, result + i);
}

/// Largest error of a product against float64, as a fraction of gamma_{depth + 2} times its majorant.
double worst_product(std::int64_t rows, std::int64_t depth, int vectors, bool columns, Start start) {
  const std::int64_t width = vectors * kLanes;
  const auto take = [](std::int64_t count, unsigned seed) {
    auto memory = hwy::AllocateAligned<float>(static_cast<std::size_t>(count));
    auto number = normal(seed);
    for (std::int64_t i = 0; i < count; ++i) memory[i] = static_cast<float>(number());
    return memory;
  };
  const auto a = take(rows * depth, 1), panel = take(depth * width, 2), factor = take(width, 3);
  const auto before = take(rows * width, 4), c = take(rows * width, 4);
  const Left left{a.get(), columns ? 1 : depth, columns ? rows : 1};
  multiply(rows, depth, vectors, left, panel.get(), c.get(), start, factor.get());
  double worst = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < width; ++i) {
      double sum = start == Start::zero ? 0 : before[r * width + i];
      if (start == Start::factor) sum *= static_cast<double>(factor[i]);
      double majorant = std::abs(sum);
      for (std::int64_t k = 0; k < depth; ++k) {
        const double term = static_cast<double>(a[r * left.row_stride + k * left.depth_stride]) *
                            static_cast<double>(panel[k * width + i]);
        sum += term;
        majorant += std::abs(term);
      }
      const double budget = gamma(depth + 2) * majorant * (1 + 0x1p-28);
      const double error = std::abs(static_cast<double>(c[r * width + i]) - sum);
      if (error > 0) worst = std::max(worst, error / budget);
    }
  }
  return worst;
}

double worst_of_all_products() {
  double worst = 0;
  for (std::int64_t rows = 1; rows <= 2 * kRows + 1; ++rows) {
    for (const std::int64_t depth : {1, 2, 17}) {
      for (int vectors = 1; vectors <= kPanelVectors; ++vectors) {
        for (const bool columns : {false, true}) {
          for (const Start start : {Start::zero, Start::keep, Start::factor}) {
            worst = std::max(worst, worst_product(rows, depth, vectors, columns, start));
          }
        }
      }
    }
  }
  return worst;
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace etalon::fast_test::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace etalon::fast_test {

HWY_EXPORT(powers_of_two);
HWY_EXPORT(worst_of_all_products);

namespace {

/// Collects numbers and compares 2^x with float64 whenever there are enough.
class PowersOfTwo {
 public:
  PowersOfTwo() : in_(hwy::AllocateAligned<float>(kCount)), out_(hwy::AllocateAligned<float>(kCount)) {}

  void add(float x) {
    in_[used_++] = x;
    if (used_ == kCount) flush();
  }

  /// Largest error seen, in multiples of u relative to 2^x.
  double worst() {
    flush();
    return worst_;
  }

 private:
  static constexpr std::int64_t kCount = 1 << 10;  // a multiple of every vector

  void flush() {
    std::fill(in_.get() + used_, in_.get() + kCount, 0.0f);
    HWY_DYNAMIC_DISPATCH(powers_of_two)(in_.get(), kCount, out_.get());
    for (std::int64_t i = 0; i < kCount; ++i) {
      const double exact = std::exp2(static_cast<double>(in_[i]));
      worst_ = std::max(worst_, std::abs(static_cast<double>(out_[i]) / exact - 1) / kUnit);
    }
    used_ = 0;
  }

  hwy::AlignedFreeUniquePtr<float[]> in_, out_;
  std::int64_t used_ = 0;
  double worst_ = 0;
};

float power(float x) {
  constexpr std::int64_t kAnyVector = 64;
  const auto in = hwy::AllocateAligned<float>(kAnyVector), out = hwy::AllocateAligned<float>(kAnyVector);
  std::fill_n(in.get(), kAnyVector, x);
  HWY_DYNAMIC_DISPATCH(powers_of_two)(in.get(), kAnyVector, out.get());
  return out[0];
}

TEST(PowerOfTwo, IsWithinItsStatedError) {
  double worst = 0;
  for_each_target([&worst] {
    PowersOfTwo powers;
    // Only the fraction matters: every 101st number up to 1/2 of either sign, down to where 2^x rounds to 1.
    const auto smallest = std::bit_cast<std::uint32_t>(0x1p-27f), half = std::bit_cast<std::uint32_t>(0.5f);
    for (std::uint32_t bits = smallest; bits <= half; bits += 101) {
      powers.add(std::bit_cast<float>(bits));
      powers.add(-std::bit_cast<float>(bits));
    }
    for (float x = -126; x < 127; x += 0.0137f) powers.add(x);
    EXPECT_LE(powers.worst(), 3);
    worst = std::max(worst, powers.worst());
  });
  RecordProperty("units", std::to_string(worst));
}

TEST(PowerOfTwo, KeepsWhatMatters) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for_each_target([] {
    EXPECT_EQ(power(0.0f), 1.0f);
    EXPECT_EQ(power(-0.0f), 1.0f);
    EXPECT_EQ(power(-1.0f), 0.5f);
    EXPECT_EQ(power(-126.0f), 0x1p-126f);
    EXPECT_EQ(power(std::nextafter(-126.0f, -kInfinity)), 0.0f);
    EXPECT_EQ(power(-1e30f), 0.0f);
    EXPECT_EQ(power(-kInfinity), 0.0f);
    for (const std::uint32_t nan : {0x7fc00000u, 0x7fc0deadu, 0x7f800001u, 0xffc000ffu, 0xffffffffu}) {
      EXPECT_TRUE(std::isnan(power(std::bit_cast<float>(nan)))) << nan;
    }
  });
}

TEST(Tile, ProductsAreWithinTheBudget) {
  for_each_target([] {
    const double worst = HWY_DYNAMIC_DISPATCH(worst_of_all_products)();
    EXPECT_LE(worst, 1);
    EXPECT_GT(worst, 0);
  });
}

}  // namespace
}  // namespace etalon::fast_test
#endif  // HWY_ONCE
