/// \file
/// The 16- and 8-bit formats against their definition: every code, every midpoint, every pair of 8-bit
/// numbers.
#include "reference/scalar/small_float.hpp"

#include <gtest/gtest.h>

#include <boost/multiprecision/gmp.hpp>
#include <boost/multiprecision/mpfr.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace etalon {
namespace {

namespace mp = boost::multiprecision;
using Rational = mp::number<mp::gmp_rational, mp::et_off>;
using Real50 = mp::number<mp::mpfr_float_backend<50>, mp::et_off>;

static_assert(Real<BFloat16> && Real<Float16> && Real<E4M3> && Real<E5M2>);

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// The parameters of a format, written down a second time.
template <class F>
struct Parameters;
template <>
struct Parameters<BFloat16> {
  static constexpr int mantissa_bits = 7, bias = 127, max_code = 0x7F7F, nan_code = 0x7FC0;
  static constexpr double max_finite = 0x1.FEp127, overflow_threshold = 0x1p128 - 0x1p119;
};
template <>
struct Parameters<Float16> {
  static constexpr int mantissa_bits = 10, bias = 15, max_code = 0x7BFF, nan_code = 0x7E00;
  static constexpr double max_finite = 65504, overflow_threshold = 65520;
};
template <>
struct Parameters<E4M3> {
  static constexpr int mantissa_bits = 3, bias = 7, max_code = 0x7E, nan_code = 0x7F;
  static constexpr double max_finite = 448, overflow_threshold = 464;
};
template <>
struct Parameters<E5M2> {
  static constexpr int mantissa_bits = 2, bias = 15, max_code = 0x7B, nan_code = 0x7E;
  static constexpr double max_finite = 57344, overflow_threshold = 61440;
};

/// The value that the formula of the format gives a magnitude code, also beyond the largest finite one.
template <class F>
double formula(int code) {
  constexpr int m = Parameters<F>::mantissa_bits;
  constexpr int bias = Parameters<F>::bias;
  const int exponent_field = code >> m;
  const int mantissa = code % (1 << m);
  if (exponent_field == 0) return std::ldexp(mantissa, 1 - bias - m);
  return std::ldexp((1 << m) + mantissa, exponent_field - bias - m);
}

/// Rounding by its definition: find the midpoints around a number.
template <class F, class Number>
class Oracle {
 public:
  Oracle() {
    for (int code = 0; code <= Parameters<F>::max_code; ++code) {
      midpoints_.push_back(Number((formula<F>(code) + formula<F>(code + 1)) / 2));
    }
  }
  const std::vector<Number>& midpoints() const { return midpoints_; }

  /// The code of any number but NaN.
  int encode(const Number& x) const { return x < 0 ? F::sign_code | magnitude(-x) : magnitude(x); }

 private:
  int magnitude(const Number& x) const {
    const auto above = std::lower_bound(midpoints_.begin(), midpoints_.end(), x);
    const int code = static_cast<int>(above - midpoints_.begin());
    const bool tie = above != midpoints_.end() && *above == x;
    return tie && code % 2 == 1 ? code + 1 : code;
  }

  std::vector<Number> midpoints_;
};

float float_of(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}

template <class F>
class SmallFloatFormats : public testing::Test {};
using Formats = testing::Types<BFloat16, Float16, E4M3, E5M2>;
TYPED_TEST_SUITE(SmallFloatFormats, Formats);

TYPED_TEST(SmallFloatFormats, ConstantsAreThoseOfTheTable) {
  using F = TypeParam;
  using P = Parameters<F>;
  EXPECT_EQ(F::bias, P::bias);
  EXPECT_EQ(F::overflow_code, P::max_code + 1);
  EXPECT_EQ(F::nan_code, P::nan_code);
  EXPECT_EQ(F::unit_roundoff, std::ldexp(1.0, -P::mantissa_bits - 1));
  EXPECT_EQ(F::min_subnormal, formula<F>(1));
  EXPECT_EQ(F::min_normal, formula<F>(1 << P::mantissa_bits));
  EXPECT_EQ(F::max_finite, P::max_finite);
  EXPECT_EQ(F::max_finite, formula<F>(P::max_code));
  const Oracle<F, double> oracle;
  EXPECT_EQ(oracle.midpoints().back(), P::overflow_threshold);
}

TYPED_TEST(SmallFloatFormats, EveryCodeDecodesToItsFormulaAndBack) {
  using F = TypeParam;
  for (int code = 0; code < 2 * F::sign_code; ++code) {
    const F x = F::from_code(static_cast<typename F::Code>(code));
    const int magnitude = code % F::sign_code;
    const double sign = code < F::sign_code ? 1.0 : -1.0;
    const double value = static_cast<double>(x);
    if (magnitude <= Parameters<F>::max_code) {
      ASSERT_EQ(value, sign * formula<F>(magnitude)) << code;
      ASSERT_EQ(std::signbit(value), sign < 0) << code;
      ASSERT_TRUE(isfinite(x)) << code;
      ASSERT_EQ(F::encode(value), code);
      ASSERT_EQ(F::encode_satfinite(value), code);
    } else if (magnitude == F::overflow_code && !std::is_same_v<F, E4M3>) {
      ASSERT_EQ(value, sign * kInfinity);
      ASSERT_FALSE(isfinite(x));
      ASSERT_EQ(F::encode(value), code);
    } else {
      ASSERT_TRUE(std::isnan(value)) << code;
      ASSERT_TRUE(isnan(x));
      ASSERT_FALSE(isfinite(x));
      ASSERT_EQ(F::encode(value), Parameters<F>::nan_code);
      ASSERT_EQ(F::encode_satfinite(value), Parameters<F>::nan_code);
    }
    ASSERT_EQ((-x).code(), code ^ F::sign_code);
  }
}

TYPED_TEST(SmallFloatFormats, ValuesGrowWithTheCode) {
  using F = TypeParam;
  for (int code = 0; code < Parameters<F>::max_code; ++code) {
    ASSERT_LT(F::from_code(static_cast<typename F::Code>(code)),
              F::from_code(static_cast<typename F::Code>(code + 1)));
  }
}

TYPED_TEST(SmallFloatFormats, EncodesLikeTheOracleAtEveryMidpointAndItsNeighbours) {
  using F = TypeParam;
  const Oracle<F, double> oracle;
  for (int code = 0; code <= Parameters<F>::max_code; ++code) {
    const double midpoint = oracle.midpoints()[static_cast<std::size_t>(code)];
    const int below = F::encode(std::nextafter(midpoint, 0.0));
    const int at = F::encode(midpoint);
    const int above = F::encode(std::nextafter(midpoint, kInfinity));
    ASSERT_EQ(below, code);
    ASSERT_EQ(at, code % 2 == 0 ? code : code + 1);
    ASSERT_EQ(above, code + 1);
    ASSERT_EQ(F::encode(-midpoint), at | F::sign_code);
    ASSERT_EQ(F::encode_satfinite(midpoint), std::min(at, Parameters<F>::max_code));
  }
}

TYPED_TEST(SmallFloatFormats, EncodesLikeTheOracleOnAll16BitCodes) {
  using F = TypeParam;
  const Oracle<F, double> oracle;
  for (int code = 0; code < 1 << 15; ++code) {
    for (const double x : {double(Float16::from_code(static_cast<std::uint16_t>(code))),
                           double(BFloat16::from_code(static_cast<std::uint16_t>(code)))}) {
      if (std::isnan(x)) continue;
      ASSERT_EQ(F::encode(x), oracle.encode(x)) << x;
      ASSERT_EQ(F::encode(-x), oracle.encode(x) | F::sign_code) << x;
    }
  }
}

/// Half of the doubles are any bit pattern; of the others the exponent is in the format's range or a little
/// beyond.
TYPED_TEST(SmallFloatFormats, EncodesRandomDoublesLikeTheOracle) {
  using F = TypeParam;
  const Oracle<F, double> oracle;
  std::mt19937_64 random(20240701);
  std::uniform_int_distribution<int> exponent(-F::bias - 20, F::bias + 20);
  for (int i = 0; i < 100000; ++i) {
    const double x = std::bit_cast<double>(random());
    const double y = std::ldexp(1.0 + std::ldexp(static_cast<double>(random() >> 12), -52), exponent(random));
    if (!std::isnan(x) && x != 0) {
      ASSERT_EQ(F::encode(x), oracle.encode(x)) << x;
    }
    ASSERT_EQ(F::encode(y), oracle.encode(y)) << y;
  }
}

TYPED_TEST(SmallFloatFormats, OverflowAndSpecialValues) {
  using F = TypeParam;
  const int max_code = Parameters<F>::max_code;
  const double threshold = Parameters<F>::overflow_threshold;
  EXPECT_EQ(F::encode(std::nextafter(threshold, 0.0)), max_code);
  EXPECT_EQ(F::encode(threshold), (std::is_same_v<F, E4M3>) ? max_code : max_code + 1);
  EXPECT_EQ(F::encode(std::nextafter(threshold, kInfinity)), max_code + 1);
  for (const double huge : {2 * threshold, std::numeric_limits<double>::max(), kInfinity}) {
    EXPECT_EQ(F::encode(huge), max_code + 1);
    EXPECT_EQ(F::encode(-huge), (max_code + 1) | F::sign_code);
    EXPECT_EQ(F::encode_satfinite(huge), max_code);
    EXPECT_EQ(F::encode_satfinite(-huge), max_code | F::sign_code);
  }
  EXPECT_EQ(F::encode(kNaN), Parameters<F>::nan_code);
  EXPECT_EQ(F::encode(-kNaN), Parameters<F>::nan_code);
  EXPECT_EQ(F::encode_satfinite(kNaN), Parameters<F>::nan_code);
  EXPECT_EQ(F::encode(0.0), 0);
  EXPECT_EQ(F::encode(-0.0), F::sign_code);
  EXPECT_EQ(F::encode(std::numeric_limits<double>::denorm_min()), 0);
}

TYPED_TEST(SmallFloatFormats, SubnormalBoundaries) {
  using F = TypeParam;
  const double unit = F::min_subnormal;
  const int min_normal = 1 << Parameters<F>::mantissa_bits;
  EXPECT_EQ(F::encode(0.5 * unit), 0);
  EXPECT_EQ(F::encode(std::nextafter(0.5 * unit, 1.0)), 1);
  EXPECT_EQ(F::encode(1.5 * unit), 2);
  EXPECT_EQ(F::encode(F::min_normal - unit), min_normal - 1);
  EXPECT_EQ(F::encode(F::min_normal - 0.5 * unit), min_normal);
  EXPECT_EQ(F::encode(F::min_normal), min_normal);
  EXPECT_EQ(F::encode(-1.5 * unit), 2 | F::sign_code);
}

TYPED_TEST(SmallFloatFormats, IntegersRoundOnce) {
  using F = TypeParam;
  for (int n = -70000; n <= 70000; ++n) {
    ASSERT_EQ(F(n).code(), F::encode(n)) << n;
    ASSERT_EQ(F(std::int64_t{n}).code(), F::encode(n)) << n;
  }
}

TEST(SmallFloat, LargeIntegersDoNotRoundThroughDouble) {
  const std::int64_t power = std::int64_t{1} << 60;
  const std::int64_t beyond_the_tie = power + (std::int64_t{1} << 52) + 1;
  EXPECT_EQ(double(BFloat16(beyond_the_tie)), 0x1.02p60);
  EXPECT_EQ(double(BFloat16(static_cast<double>(beyond_the_tie))), 0x1p60);
  EXPECT_EQ(double(BFloat16(std::numeric_limits<std::int64_t>::min())), -0x1p63);
  EXPECT_EQ(double(BFloat16(std::numeric_limits<std::int64_t>::max())), 0x1p63);
  EXPECT_EQ(Float16(std::numeric_limits<std::int64_t>::max()).code(), 0x7C00);
}

/// Literals of every kind that the texts write.
TYPED_TEST(SmallFloatFormats, Constructors) {
  using F = TypeParam;
  const std::int64_t n = 2;
  EXPECT_EQ(F(std::int64_t{1}), F(1));
  EXPECT_EQ(F(2 * n + 1), F(5.0));
  EXPECT_EQ(F(0), F());
  EXPECT_EQ(double(F(0.5)), 0.5);
  EXPECT_EQ(double(F(0.5F)), 0.5);
  EXPECT_EQ(double(F(std::size_t{7})), 7.0);
}

TYPED_TEST(SmallFloatFormats, ComparesByValue) {
  using F = TypeParam;
  EXPECT_EQ(F(0.0), F(-0.0));
  EXPECT_LT(F(-1), F(0.5));
  EXPECT_GT(F(2), F(1));
  EXPECT_FALSE(F(kNaN) == F(kNaN));
  EXPECT_FALSE(F(kNaN) < F(1));
  EXPECT_FALSE(F(1) < F(kNaN));
  EXPECT_TRUE(isnan(F(0) / F(0)));
  EXPECT_FALSE(isfinite(F(1) / F(0)));
  EXPECT_FALSE(finite(F(kNaN)));
}

/// Adding 1 again and again stops at 2^p.
TYPED_TEST(SmallFloatFormats, SummationStalls) {
  using F = TypeParam;
  F sum(0);
  for (int i = 0; i < 5000; ++i) sum += F(1);
  EXPECT_EQ(double(sum), std::ldexp(1.0, Parameters<F>::mantissa_bits + 1));
}

/// Multiplying by a power of two before or after rounding is the same, inside the normal range.
TYPED_TEST(SmallFloatFormats, ScalingCommutesWithRounding) {
  using F = TypeParam;
  for (int i = 0; i < 1000; ++i) {
    const double x = 1.0 + i / 1000.0;
    for (const int exponent : {-4, -1, 3, 6}) {
      ASSERT_EQ(double(F(std::ldexp(x, exponent))), std::ldexp(double(F(x)), exponent));
    }
  }
}

/// Counts and checksum over all finite non-negative float patterns. Rounding is monotone, so a code owns an
/// interval of patterns whose end bisection finds; `EncodesRandomDoublesLikeTheOracle` watches the inside of
/// the intervals.
struct Golden {
  std::uint64_t zeros, ones, largest, overflow, checksum;
};

template <class F>
void expect_golden(const Golden& golden) {
  const std::uint64_t end = 0x7F800000;
  const auto code_of = [](std::uint64_t bits) {
    return F::encode(float_of(static_cast<std::uint32_t>(bits)));
  };
  const auto weights_below = [](std::uint64_t n) {
    const std::uint64_t period = 65521, rest = n % period;
    return n + n / period * (period * (period - 1) / 2) + rest * (rest - 1) / 2;
  };
  std::vector<std::uint64_t> counts;
  std::uint64_t checksum = 0;
  std::uint64_t first = 0;
  for (int code = 0; code <= Parameters<F>::max_code + 1; ++code) {
    std::uint64_t low = first, high = end;
    while (low < high) {
      const std::uint64_t middle = (low + high) / 2;
      if (code_of(middle) <= code) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    counts.push_back(low - first);
    checksum += static_cast<std::uint64_t>(code) * (weights_below(low) - weights_below(first));
    first = low;
  }
  EXPECT_EQ(first, end);
  EXPECT_EQ(counts[0], golden.zeros);
  EXPECT_EQ(counts[1], golden.ones);
  EXPECT_EQ(counts[counts.size() - 2], golden.largest);
  EXPECT_EQ(counts.back(), golden.overflow);
  EXPECT_EQ(checksum, golden.checksum);
}

TEST(SmallFloat, GoldenCountsOverAllFloats) {
  expect_golden<E4M3>({981467137, 12582911, 1048577, 999817215, 0x000fc33a3dc3732e});
  expect_golden<E5M2>({922746881, 12582911, 2097151, 940572672, 0x000f708293b97099});
  expect_golden<Float16>({855638017, 12582911, 8191, 939528192, 0x0f70a28990db60b9});
  expect_golden<BFloat16>({32769, 65535, 65535, 32768, 0x0fdf2c85415297b8});
}

TEST(SmallFloat, WorkedExampleE4M3) {
  EXPECT_EQ(E4M3::encode(0x1p-10), 0x00);
  EXPECT_EQ(E4M3::encode(0.0009766), 0x01);
  EXPECT_EQ(E4M3::encode(0.0029296875), 0x02);
  EXPECT_EQ(E4M3::encode(1.0625), 0x38);
  EXPECT_EQ(E4M3::encode(1.1875), 0x3A);
  EXPECT_EQ(double(E4M3(447.0)), 448);
  EXPECT_EQ(double(E4M3(464.0)), 448);
  EXPECT_EQ(E4M3::encode(464.0001), 0x7F);
  EXPECT_EQ(E4M3::encode(465.0), 0x7F);
  EXPECT_EQ(E4M3::encode(-465.0), 0xFF);
  EXPECT_EQ(double(E4M3::from_code(E4M3::encode_satfinite(465.0))), 448);
  EXPECT_EQ(E4M3::encode(-0.3), 0xAA);
  EXPECT_EQ(double(E4M3(-0.3)), -0.3125);
}

TEST(SmallFloat, WorkedExampleE5M2) {
  EXPECT_EQ(E5M2::encode(1.125), 0x3C);
  EXPECT_EQ(E5M2::encode(1.375), 0x3E);
  EXPECT_EQ(double(E5M2(61439.0)), 57344);
  EXPECT_EQ(E5M2::encode(61440.0), 0x7C);
  EXPECT_EQ(double(E5M2::from_code(E5M2::encode_satfinite(61440.0))), 57344);
  EXPECT_EQ(E5M2::encode(0.3), 0x35);
  EXPECT_EQ(double(E5M2(0.3)), 0.3125);
}

TEST(SmallFloat, WorkedExample16Bit) {
  EXPECT_EQ(BFloat16::encode(float_of(0x40490FDB)), 0x4049);
  EXPECT_EQ(double(BFloat16::from_code(0x4049)), 3.140625);
  EXPECT_EQ(BFloat16::encode(1.00390625), 0x3F80);
  EXPECT_EQ(double(BFloat16::from_code(0x7F7F)), 3.3895313892515355e38);
  EXPECT_EQ(double(Float16(65519.996)), 65504);
  EXPECT_EQ(Float16::encode(65520.0), 0x7C00);
  EXPECT_EQ(Float16::encode(0x1p-25), 0);
  EXPECT_EQ(Float16::encode(0.1), 0x2E66);
}

TEST(SmallFloat, DecodeTables) {
  for (int code = 0; code < 8; ++code) {
    EXPECT_EQ(double(E4M3::from_code(static_cast<std::uint8_t>(code))), code * 0.001953125);
    EXPECT_EQ(double(E4M3::from_code(static_cast<std::uint8_t>(code + 8))), (8 + code) * 0.001953125);
    EXPECT_EQ(double(E4M3::from_code(static_cast<std::uint8_t>(code + 0x38))), 1 + 0.125 * code);
  }
  for (int code = 0; code < 7; ++code) {
    EXPECT_EQ(double(E4M3::from_code(static_cast<std::uint8_t>(code + 0x78))), 256 + 32 * code);
  }
  for (int code = 0; code < 4; ++code) {
    EXPECT_EQ(double(E5M2::from_code(static_cast<std::uint8_t>(code + 0x3C))), 1 + 0.25 * code);
    EXPECT_EQ(double(E5M2::from_code(static_cast<std::uint8_t>(code + 0x78))), 32768 + 8192 * code);
  }
}

TEST(SmallFloat, RoundingTwiceIsNotRoundingOnce) {
  const double x = 1 + 0x1p-4 + 0x1p-12;
  EXPECT_EQ(double(E4M3(x)), 1.125);
  EXPECT_EQ(double(BFloat16(x)), 1.0625);
  EXPECT_EQ(double(E4M3(double(BFloat16(x)))), 1.0);
}

/// A computed result against the exact rational one, rounded. The sign of an exact zero is not the oracle's
/// business.
template <class F>
void expect_rounded(const Oracle<F, Rational>& oracle, const F& result, const Rational& exact) {
  if (exact == 0) {
    ASSERT_EQ(double(result), 0.0);
  } else {
    ASSERT_EQ(result.code(), oracle.encode(exact));
  }
}

/// The four operations on two finite numbers.
template <class F>
void expect_exact_arithmetic(const Oracle<F, Rational>& oracle, const F& x, const F& y) {
  const Rational a(static_cast<double>(x)), b(static_cast<double>(y));
  expect_rounded<F>(oracle, x + y, a + b);
  expect_rounded<F>(oracle, x - y, a - b);
  expect_rounded<F>(oracle, x * y, a * b);
  if (b != 0) expect_rounded<F>(oracle, x / y, a / b);
  if (a > 0 && b <= 2 * a && a <= 2 * b) {
    ASSERT_EQ(Rational(double(x - y)), a - b) << "Sterbenz: nearby numbers subtract exactly";
  }
}

/// The same operations in float, which has 24 >= 2p + 2 bits for the 8-bit formats.
template <class F>
void expect_float_suffices(const F& x, const F& y) {
  const auto a = static_cast<float>(double(x)), b = static_cast<float>(double(y));
  ASSERT_EQ(F::encode(a + b), (x + y).code());
  ASSERT_EQ(F::encode(a - b), (x - y).code());
  ASSERT_EQ(F::encode(a * b), (x * y).code());
  ASSERT_EQ(F::encode(a / b), (x / y).code());
  ASSERT_EQ(Rational(double{a * b}), Rational(double(x)) * Rational(double(y)))
      << "products are exact in float";
}

template <class F>
void expect_all_pairs_exact() {
  const Oracle<F, Rational> oracle;
  for (int i = 0; i < 256; ++i) {
    for (int j = 0; j < 256; ++j) {
      const F x = F::from_code(static_cast<std::uint8_t>(i)), y = F::from_code(static_cast<std::uint8_t>(j));
      if (isfinite(x) && isfinite(y)) {
        ASSERT_NO_FATAL_FAILURE(expect_exact_arithmetic<F>(oracle, x, y)) << i << " " << j;
        ASSERT_NO_FATAL_FAILURE(expect_float_suffices(x, y)) << i << " " << j;
      } else {
        ASSERT_FALSE(isfinite(x + y) || isfinite(x - y) || isfinite(x * y)) << i << " " << j;
      }
    }
  }
}

TEST(SmallFloat, ArithmeticOfAllPairsE4M3) {
  expect_all_pairs_exact<E4M3>();
}
TEST(SmallFloat, ArithmeticOfAllPairsE5M2) {
  expect_all_pairs_exact<E5M2>();
}

/// Steps by primes through the pairs of codes, so that all exponents meet.
template <class F>
void expect_many_pairs_exact() {
  const Oracle<F, Rational> oracle;
  std::uint32_t i = 1, j = 2;
  for (int pair = 0; pair < 20000; ++pair) {
    i = (i + 40503) % 65536;
    j = (j + 27644437) % 65537;
    const F x = F::from_code(static_cast<std::uint16_t>(i)), y = F::from_code(static_cast<std::uint16_t>(j));
    if (!isfinite(x) || !isfinite(y)) continue;
    ASSERT_NO_FATAL_FAILURE(expect_exact_arithmetic<F>(oracle, x, y)) << i << " " << j;
  }
}

TEST(SmallFloat, ArithmeticOfManyPairsBFloat16) {
  expect_many_pairs_exact<BFloat16>();
}
TEST(SmallFloat, ArithmeticOfManyPairsFloat16) {
  expect_many_pairs_exact<Float16>();
}

/// A function against 50 digits. No result lies so near to a midpoint that the error of the double shows.
template <class F>
void expect_function(const Oracle<F, Real50>& oracle, const F& result, const Real50& exact) {
  if (exact == 0) {
    ASSERT_EQ(double(result), 0.0);
  } else {
    ASSERT_EQ(result.code(), oracle.encode(exact));
  }
}

template <class F>
void expect_functions(const Oracle<F, Real50>& oracle, const F& x) {
  const Real50 y(static_cast<double>(x));
  expect_function<F>(oracle, exp(x), exp(y));
  expect_function<F>(oracle, expm1(x), expm1(y));
  expect_function<F>(oracle, sin(x), sin(y));
  expect_function<F>(oracle, cos(x), cos(y));
  expect_function<F>(oracle, atan(x), atan(y));
  expect_function<F>(oracle, tanh(x), tanh(y));
  if (y > -1) expect_function<F>(oracle, log1p(x), log1p(y));
  if (y > 0) expect_function<F>(oracle, log(x), log(y));
  if (y >= 0) expect_function<F>(oracle, sqrt(x), sqrt(y));
}

TYPED_TEST(SmallFloatFormats, FunctionsAreCorrectlyRounded) {
  using F = TypeParam;
  const Oracle<F, Real50> oracle;
  const int step = sizeof(typename F::Code) == 1 ? 1 : 7;
  for (int code = 0; code < 2 * F::sign_code; code += step) {
    const F x = F::from_code(static_cast<typename F::Code>(code));
    if (!isfinite(x)) continue;
    ASSERT_NO_FATAL_FAILURE(expect_functions<F>(oracle, x)) << code;
  }
}

TEST(SmallFloat, PiInEveryFormat) {
  EXPECT_EQ(double(pi<BFloat16>()), 3.140625);
  EXPECT_EQ(double(pi<Float16>()), 3.140625);
  EXPECT_EQ(double(pi<E4M3>()), 3.25);
  EXPECT_EQ(double(pi<E5M2>()), 3.0);
}

#if defined(__x86_64__)
__attribute__((target("f16c"))) std::uint16_t hardware_float16(float x) {
  return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT);
}

/// The processor's own conversion, on a stride through all floats that visits every exponent and every low
/// bit.
TEST(SmallFloat, Float16AgreesWithTheProcessor) {
  if (!__builtin_cpu_supports("f16c")) GTEST_SKIP() << "this processor has no F16C";
  for (std::uint32_t bits = 0; bits <= 0x7F800000; bits += 1021) {
    const float x = float_of(bits);
    ASSERT_EQ(Float16::encode(x), hardware_float16(x)) << bits;
    ASSERT_EQ(Float16::encode(-x), hardware_float16(-x)) << bits;
  }
}
#endif

}  // namespace
}  // namespace etalon
