/// \file
/// What `Mixed` rounds (data, stored values) and what it must not (literals, results).
#include "reference/scalar/mixed.hpp"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <cmath>
#include <cstdint>
#include <limits>

#include "reference/scalar/small_float.hpp"

namespace etalon {
namespace {

using Tensor = Mixed<BFloat16, float>;
using Plain = Mixed<float, double>;

static_assert(Real<Tensor> && Real<Plain> && Real<Mixed<E4M3, BFloat16>>);

/// `stored` as a text calls it: by its plain name, on a type it does not know.
template <class T>
T write_and_read(const T& x) {
  return stored(x);
}

TEST(Mixed, DataIsRoundedToStorage) {
  EXPECT_EQ(double(Tensor(0.1)), double(BFloat16(0.1)));
  EXPECT_EQ(double(Tensor(0.1F)), double(BFloat16(double{0.1F})));
  EXPECT_EQ(double(Plain(0.1)), double{0.1F});
  EXPECT_EQ(double(Mixed<E4M3, float>(1 + 0x1p-4 + 0x1p-12)), 1.125)
      << "once, not by way of float or bfloat16";
}

TEST(Mixed, LiteralsAreNot) {
  EXPECT_EQ(double(Tensor(257)), 257.0);
  EXPECT_EQ(double(Tensor(257.0)), 256.0);
  EXPECT_EQ(double(Tensor(std::int64_t{16777217})), 16777216.0) << "they are rounded to the accumulator";
  EXPECT_EQ(double(Tensor()), 0.0);
}

TEST(Mixed, OperationsStayInTheAccumulator) {
  const Tensor third = Tensor(1) / Tensor(3);
  EXPECT_EQ(third.accumulator(), 1.0F / 3.0F);
  EXPECT_EQ(double(write_and_read(third)), double(BFloat16(double{1.0F / 3.0F})));
  EXPECT_NE(write_and_read(third), third);
}

/// Adding 1 stalls at 256 in bfloat16; with a float accumulator it does not, unless every sum is stored.
TEST(Mixed, SumsDoNotStall) {
  Tensor sum(0), stored_sum(0);
  for (int i = 0; i < 1000; ++i) {
    sum += Tensor(1.0);
    stored_sum = write_and_read(stored_sum + Tensor(1.0));
  }
  EXPECT_EQ(double(sum), 1000.0);
  EXPECT_EQ(double(stored_sum), 256.0);
}

RC_GTEST_PROP(Mixed, IsTheAccumulatorOnRoundedData, (std::int32_t p, std::int32_t q)) {
  const double x = p / 65537.0, y = q / 65539.0;
  const Tensor a(x), b(y);
  const auto u = static_cast<float>(double(BFloat16(x))), v = static_cast<float>(double(BFloat16(y)));
  RC_ASSERT((a + b).accumulator() == u + v);
  RC_ASSERT((a - b).accumulator() == u - v);
  RC_ASSERT((a * b).accumulator() == u * v);
  RC_ASSERT((-a).accumulator() == -u);
  if (v != 0) RC_ASSERT((a / b).accumulator() == u / v);
  RC_ASSERT((a < b) == (u < v));
  RC_ASSERT((a == b) == (u == v));
  RC_ASSERT(tanh(a).accumulator() == std::tanh(u));
  RC_ASSERT(atan(a).accumulator() == std::atan(u));
  RC_ASSERT(sin(a).accumulator() == std::sin(u));
  RC_ASSERT(cos(a).accumulator() == std::cos(u));
}

TEST(Mixed, FunctionsOfPositiveNumbers) {
  for (const double x : {0.25, 1.0, 3.5}) {
    const auto u = static_cast<float>(x);
    EXPECT_EQ(exp(Tensor(x)).accumulator(), std::exp(u));
    EXPECT_EQ(expm1(Tensor(x)).accumulator(), std::expm1(u));
    EXPECT_EQ(log(Tensor(x)).accumulator(), std::log(u));
    EXPECT_EQ(log1p(Tensor(x)).accumulator(), std::log1p(u));
    EXPECT_EQ(sqrt(Tensor(x)).accumulator(), std::sqrt(u));
  }
}

/// 70000 fits the float accumulator, not the float16 storage.
TEST(Mixed, StoringMayOverflow) {
  using Half = Mixed<Float16, float>;
  const Half large(70000);
  EXPECT_TRUE(finite(large));
  EXPECT_FALSE(finite(write_and_read(large)));
  EXPECT_TRUE(isnan(Half(std::numeric_limits<double>::quiet_NaN())));
}

}  // namespace
}  // namespace etalon
