/// \file
/// The number type whose multiplication is L-Mul: its products, its settings, and that all else is float.
#include "reference/scalar/lmul.hpp"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <thread>

namespace etalon {
namespace {

using l_mul::Offset;
using l_mul::Rounding;

static_assert(Real<LMul>);

double product(double x, double y) {
  return double(LMul(x) * LMul(y));
}

TEST(LMul, WorkedProducts) {
  EXPECT_EQ(product(1, 1), 1.0625);
  EXPECT_EQ(product(1.5, 1.5), 2.125);
  EXPECT_EQ(product(3, -7), -21.0);
  EXPECT_EQ(product(1.984375, 1.984375), 4.125);
}

TEST(LMul, OneIsNotNeutral) {
  EXPECT_EQ(double(LMul(1) * LMul(8)), 8.5);
  EXPECT_EQ(double(LMul(0.96875) * LMul(123.456)), double{123.456F});
}

TEST(LMul, ZeroTimesAnyFiniteNumberIsZero) {
  const double tiny = std::numeric_limits<float>::min();
  EXPECT_EQ(product(0, 5), 0.0);
  EXPECT_EQ(product(tiny / 2, 1e30), 0.0) << "subnormal factors count as zero";
  EXPECT_EQ(product(tiny, 0.5), 0.0) << "and so do subnormal products";
  EXPECT_TRUE(isnan(LMul(0) * LMul(std::numeric_limits<double>::infinity())));
  EXPECT_FALSE(isfinite(LMul(1e38) * LMul(1e38)));
}

TEST(LMul, SettingsNestAndRestore) {
  {
    const LMulSetting three(3);
    EXPECT_EQ(product(1, 1), 1.125);
    EXPECT_EQ(product(1.1875, 1), 1.375) << "1.1875 is a tie that goes to 1.25";
    {
      const LMulSetting truncating(3, Rounding::truncate, Offset::mitchell);
      EXPECT_EQ(product(1, 1), 1.0);
      EXPECT_EQ(product(1.1875, 1), 1.125);
    }
    EXPECT_EQ(product(1, 1), 1.125);
  }
  EXPECT_EQ(product(1, 1), 1.0625);
  EXPECT_EQ(LMul::mantissa_bits, 23);
}

TEST(LMul, SettingsBelongToTheThread) {
  const LMulSetting one(1);
  double elsewhere = 0;
  std::thread([&elsewhere] { elsewhere = product(1, 1); }).join();
  EXPECT_EQ(elsewhere, 1.0625);
  EXPECT_EQ(product(1, 1), 1.5);
}

TEST(LMul, RejectsImpossibleWidths) {
  EXPECT_THROW(LMulSetting(0), std::invalid_argument);
  EXPECT_THROW(LMulSetting(24), std::invalid_argument);
  EXPECT_EQ(LMul::mantissa_bits, 23) << "a refused setting changes nothing";
}

RC_GTEST_PROP(LMul, AllElseIsFloat, (std::int32_t p, std::int32_t q)) {
  const double x = p / 65537.0, y = q / 65539.0;
  const auto u = static_cast<float>(x), v = static_cast<float>(y);
  const LMul a(x), b(y);
  RC_ASSERT((a + b).value() == u + v);
  RC_ASSERT((a - b).value() == u - v);
  RC_ASSERT((-a).value() == -u);
  if (v != 0) RC_ASSERT((a / b).value() == u / v);
  RC_ASSERT((a < b) == (u < v));
  RC_ASSERT((a == b) == (u == v));
  RC_ASSERT(sin(a).value() == std::sin(u));
  RC_ASSERT(cos(a).value() == std::cos(u));
  RC_ASSERT(atan(a).value() == std::atan(u));
  RC_ASSERT(tanh(a).value() == std::tanh(u));
}

TEST(LMul, FunctionsOfPositiveNumbers) {
  for (const float u : {0.25F, 1.0F, 3.5F}) {
    const LMul x(double{u});
    EXPECT_EQ(exp(x).value(), std::exp(u));
    EXPECT_EQ(expm1(x).value(), std::expm1(u));
    EXPECT_EQ(log(x).value(), std::log(u));
    EXPECT_EQ(log1p(x).value(), std::log1p(u));
    EXPECT_EQ(sqrt(x).value(), std::sqrt(u));
  }
}

TEST(LMul, Literals) {
  const std::int64_t n = 3;
  EXPECT_EQ(double(LMul(2 * n + 1)), 7.0);
  EXPECT_EQ(double(LMul(std::int64_t{16777217})), 16777216.0);
  EXPECT_EQ(LMul(), LMul(0));
}

}  // namespace
}  // namespace etalon
