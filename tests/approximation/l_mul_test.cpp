/// \file
/// Exhaustive tables of L-Mul: exact error statistics over all mantissa pairs, all pairs of 8-bit codes, and
/// the bit patterns of its worked products.
#include "reference/approximation/l_mul.hpp"

#include <gtest/gtest.h>

#include <boost/multiprecision/gmp.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "reference/scalar/small_float.hpp"

namespace etalon::l_mul {
namespace {

namespace mp = boost::multiprecision;
using Rational = mp::number<mp::gmp_rational, mp::et_off>;

using Significand = Code (*)(int, Code, Code, Code);

/// error / exact, kept as a pair of integers so that extremes are exact.
struct Ratio {
  Code error, exact;
  bool operator<(const Ratio& other) const { return error * other.exact < other.error * exact; }
  Rational value() const { return Rational(error, exact); }
};

/// The error exact - approximation over all pairs of m-bit mantissas, in units of 2^(x_e + y_e).
struct Statistics {
  Rational mean, mean_absolute, mean_square;
  Rational max_under, max_over;  // largest and smallest error / exact
  long double mean_relative;
};

/// All error sums are integers in units of 2^-2m and 2^-4m, below 2^62 for m <= 10.
Statistics error_statistics(int m, Significand significand, Code ulps) {
  const Code one = Code{1} << m;
  Code sum = 0, sum_absolute = 0, sum_square = 0;
  Ratio under{-1, 1}, over{1, 1};
  long double sum_relative = 0;
  for (Code x = 0; x < one; ++x) {
    for (Code y = 0; y < one; ++y) {
      const Code exact = exact_significand(m, x, y);
      const Code error = exact - significand(m, x, y, ulps) * one;
      sum += error;
      sum_absolute += std::abs(error);
      sum_square += error * error;
      under = std::max(under, Ratio{error, exact});
      over = std::min(over, Ratio{error, exact});
      sum_relative += static_cast<long double>(error) / static_cast<long double>(exact);
    }
  }
  const Rational pairs(one * one);
  const Rational unit(Code{1}, one * one);
  return {Rational(sum) * unit / pairs,
          Rational(sum_absolute) * unit / pairs,
          Rational(sum_square) * unit * unit / pairs,
          under.value(),
          over.value(),
          sum_relative / static_cast<long double>(one * one)};
}

struct Row {
  int m;
  const char *mean, *mean_absolute, *mean_square, *max_under, *max_over;
};

void expect_row(const Row& row, const Statistics& found) {
  EXPECT_EQ(found.mean, Rational(row.mean)) << row.m;
  EXPECT_EQ(found.mean_absolute, Rational(row.mean_absolute)) << row.m;
  EXPECT_EQ(found.mean_square, Rational(row.mean_square)) << row.m;
  EXPECT_EQ(found.max_under, Rational(row.max_under)) << row.m;
  EXPECT_EQ(found.max_over, Rational(row.max_over)) << row.m;
}

const std::vector<Row> kIntegerTable = {
    {1, "-9/16", "9/16", "21/64", "-1/3", "-1/2"},
    {2, "-17/64", "17/64", "79/1024", "-1/15", "-1/4"},
    {3, "-25/256", "213/2048", "235/16384", "1/33", "-1/8"},
    {4, "-107/1024", "3603/32768", "4337/262144", "17/529", "-1/8"},
    {5, "-43/4096", "15129/262144", "19473/4194304", "161/2209", "-1/16"},
    {6, "-749/65536", "491043/8388608", "1288529/268435456", "161/2209", "-1/16"},
    {7, "-3123/262144", "7918555/134217728", "20998005/4294967296", "161/2209", "-1/16"},
    {8, "-12751/1048576", "127214057/2147483648", "339197253/68719476736", "161/2209", "-1/16"},
    {9, "-51527/4194304", "2039658235/34359738368", "5453702405/1099511627776", "161/2209", "-1/16"},
    {10, "-207159/16777216", "32668766571/549755813888", "87474472197/17592186044416", "161/2209", "-1/16"}};

const std::vector<long double> kIntegerMeanRelative = {
    -0.375000000000L, -0.146736111111L, -0.049298521996L, -0.048727691850L, -0.004127476189L,
    -0.004093198323L, -0.004084627329L, -0.004082484485L, -0.004081948768L, -0.004081814838L};

TEST(LMulText, ErrorsOfTheIntegerAddition) {
  for (const Row& row : kIntegerTable) {
    const Statistics found = error_statistics(row.m, integer_significand, offset_ulps(row.m));
    expect_row(row, found);
    // Twelve printed digits; the sum of 2^20 terms below 1 in long double adds less than 2^20 * 2^-64 <
    // 1e-13.
    const auto printed = kIntegerMeanRelative[static_cast<std::size_t>(row.m - 1)];
    EXPECT_LE(std::abs(found.mean_relative - printed), 0.5e-12L + 1e-13L) << row.m;
  }
}

TEST(LMulText, ErrorsOfTheEquation) {
  const std::vector<Row> table = {
      {1, "-7/16", "7/16", "13/64", "-1/9", "-1/2"},
      {2, "-7/64", "23/128", "41/1024", "5/49", "-1/4"},
      {3, "17/256", "313/2048", "697/16384", "41/225", "-1/8"},
      {4, "97/1024", "5429/32768", "13721/262144", "193/961", "-1/8"},
      {5, "705/4096", "6315/32768", "317177/4194304", "299/1323", "-1/16"},
      {6, "2945/16384", "831995/4194304", "5342905/67108864", "3713/16129", "-1/16"},
      {7, "12033/65536", "3376465/16777216", "87694137/1073741824", "1007/4335", "-1/16"}};
  for (const Row& row : table) {
    expect_row(row, error_statistics(row.m, equation_significand, offset_ulps(row.m)));
  }
}

TEST(LMulText, ErrorsOfMitchell) {
  const std::vector<Row> table = {{1, "1/16", "1/16", "1/64", "1/9", "0"},
                                  {2, "5/64", "5/64", "13/1024", "1/9", "0"},
                                  {3, "21/256", "21/256", "189/16384", "1/9", "0"},
                                  {4, "85/1024", "85/1024", "2941/262144", "1/9", "0"},
                                  {5, "341/4096", "341/4096", "46717/4194304", "1/9", "0"},
                                  {6, "1365/16384", "1365/16384", "746109/67108864", "1/9", "0"},
                                  {7, "5461/65536", "5461/65536", "11932285/1073741824", "1/9", "0"}};
  for (const Row& row : table) expect_row(row, error_statistics(row.m, integer_significand, 0));
}

/// The significand that the sum of two patterns with exponent 0 decodes to, in units of 2^-m.
Code decoded_sum(const Format& format, Code x, Code y, Code ulps) {
  const Code one = Code{1} << format.mantissa_bits;
  const Code exponent_zero = format.bias() * one;
  const Code z = multiply_codes(format, exponent_zero + x, exponent_zero + y, Overflow::ieee, ulps);
  return (one + z % one) << (z / one - format.bias());
}

TEST(LMulText, ClosedFormIsWhatTheAdditionComputes) {
  for (int m = 1; m <= 8; ++m) {
    const Format format{8, m, true};
    for (const Code ulps : {offset_ulps(m), Code{0}}) {
      for (Code x = 0; x < Code{1} << m; ++x) {
        for (Code y = 0; y < Code{1} << m; ++y) {
          ASSERT_EQ(decoded_sum(format, x, y, ulps), integer_significand(m, x, y, ulps)) << m << x << y;
        }
      }
    }
  }
}

struct Hash {
  std::uint64_t fnv;
  Code sum;
  bool operator==(const Hash&) const = default;
};

/// FNV-1a over the results of all pairs, x in the outer loop.
Hash hash_of_all_pairs(const Format& format, Overflow overflow) {
  Hash hash{0xcbf29ce484222325, 0};
  for (Code x = 0; x < 256; ++x) {
    for (Code y = 0; y < 256; ++y) {
      const Code code = multiply_codes(format, x, y, overflow);
      hash.fnv = (hash.fnv ^ static_cast<std::uint64_t>(code)) * 0x100000001b3;
      hash.sum += code;
    }
  }
  return hash;
}

TEST(LMulText, AllPairsOf8BitCodes) {
  EXPECT_EQ(hash_of_all_pairs(e4m3fn, Overflow::saturate), (Hash{0x1a3ef2e5de11c605, 8522256}));
  EXPECT_EQ(hash_of_all_pairs(e4m3fn, Overflow::ieee), (Hash{0x85116bb5c08fa3d5, 8532480}));
  EXPECT_EQ(hash_of_all_pairs(e5m2, Overflow::saturate), (Hash{0xa10c482f85ab58e5, 8330216}));
  EXPECT_EQ(hash_of_all_pairs(e5m2, Overflow::ieee), (Hash{0x2f7a7092a736d965, 8338536}));
}

/// How often L-Mul gives the correctly rounded product, and how often its successor, over all positive normal
/// operands for which both results are normal and below the largest finite number.
template <class F>
void expect_distance_to_rounded_product(const Format& format, int zeros, int ones) {
  std::vector<int> count(2);
  for (Code x = format.min_normal(); x <= format.max_finite(); ++x) {
    for (Code y = format.min_normal(); y <= format.max_finite(); ++y) {
      const Code rounded =
          (F::from_code(static_cast<typename F::Code>(x)) * F::from_code(static_cast<typename F::Code>(y)))
              .code();
      const Code found = multiply_codes(format, x, y, Overflow::saturate);
      const auto normal = [&](Code code) {
        return code >= format.min_normal() && code < format.max_finite();
      };
      if (!normal(rounded) || !normal(found)) continue;
      ASSERT_TRUE(found == rounded || found == rounded + 1) << x << " " << y;
      ++count[static_cast<std::size_t>(found - rounded)];
    }
  }
  EXPECT_EQ(count, (std::vector<int>{zeros, ones}));
}

TEST(LMulText, DistanceToTheRoundedProduct) {
  expect_distance_to_rounded_product<E4M3>(e4m3fn, 4083, 6322);
  expect_distance_to_rounded_product<E5M2>(e5m2, 1374, 9341);
}

std::uint32_t product_bits(std::uint32_t x, std::uint32_t y) {
  return std::bit_cast<std::uint32_t>(multiply(std::bit_cast<float>(x), std::bit_cast<float>(y), 23));
}

TEST(LMulText, WorkedFloatProducts) {
  const auto bits = [](float x) { return std::bit_cast<std::uint32_t>(x); };
  EXPECT_EQ(product_bits(bits(1), bits(1)), 0x3F880000U);
  EXPECT_EQ(product_bits(bits(1.5F), bits(1.5F)), 0x40080000U);
  EXPECT_EQ(product_bits(bits(3), bits(-7)), 0xC1A80000U);
  EXPECT_EQ(product_bits(0x3DCCCCCD, 0x41200000), 0x3F74CCCDU);
  EXPECT_EQ(product_bits(0x40490FDB, 0x402DF854), 0x40FF082FU);
  EXPECT_EQ(product_bits(bits(1.984375F), bits(1.984375F)), 0x40840000U);
  EXPECT_EQ(product_bits(0x3F780000, 0x42F6E979), 0x42F6E979U);
  EXPECT_EQ(identity_code(fp32, offset_ulps(23)), 0x3F780000);
}

TEST(LMulText, WorkedExampleE4M3) {
  EXPECT_EQ(identity_code(e4m3fn, offset_ulps(3)), 55);
  EXPECT_EQ(multiply_codes(e4m3fn, 60, 62, Overflow::ieee), 67);
  EXPECT_EQ(integer_significand(3, 4, 6, 1), 22) << "2.75";
  EXPECT_EQ(equation_significand(3, 4, 6, 1), 19) << "2.375";
  EXPECT_EQ(exact_significand(3, 4, 6), 168) << "2.625";
  EXPECT_EQ(multiply_codes(e4m3fn, 57, 58, Overflow::ieee), 60);
  EXPECT_EQ(multiply_codes(e4m3fn, 56, 56, Overflow::ieee), 57);
}

TEST(LMulText, OffsetsInUnitsOfTheLastPlace) {
  EXPECT_EQ(offset_ulps(2), 1);
  EXPECT_EQ(offset_ulps(3), 1);
  EXPECT_EQ(offset_ulps(4), 2);
  EXPECT_EQ(offset_ulps(7), 8);
  EXPECT_EQ(offset_ulps(10), 64);
  EXPECT_EQ(offset_ulps(23), 1 << 19);
}

/// Results just below and at the smallest normal number, just at and above the largest finite one.
TEST(LMulText, EdgesOfTheRange) {
  for (const Format& format : {e5m2, e4m3fn, bf16, fp16, fp32}) {
    const Code identity = identity_code(format, offset_ulps(format.mantissa_bits));
    const Code sign = format.sign_bit();
    const auto product = [&](Code x, Code y, Overflow mode) { return multiply_codes(format, x, y, mode); };
    // x * (identity + 1) is x + 1, and x * (identity - 1) is x - 1.
    EXPECT_EQ(product(format.min_normal(), identity, Overflow::ieee), format.min_normal());
    EXPECT_EQ(product(format.min_normal(), identity - 1, Overflow::ieee), 0);
    EXPECT_EQ(product(format.min_normal() | sign, identity - 1, Overflow::ieee), sign);
    EXPECT_EQ(product(format.min_normal(), format.min_normal(), Overflow::saturate), 0);
    EXPECT_EQ(product(format.max_finite(), identity, Overflow::ieee), format.max_finite());
    EXPECT_EQ(product(format.max_finite() - 1, identity + 1, Overflow::ieee), format.max_finite());
    EXPECT_EQ(product(format.max_finite(), identity + 1, Overflow::ieee), format.overflow());
    EXPECT_EQ(product(format.max_finite() | sign, identity + 1, Overflow::ieee), format.overflow() | sign);
    EXPECT_EQ(product(format.max_finite() | sign, identity + 1, Overflow::saturate),
              format.max_finite() | sign);
    EXPECT_EQ(product(format.max_finite(), format.max_finite(), Overflow::saturate), format.max_finite());
  }
}

TEST(LMulText, SpecialValues) {
  for (const Format& format : {e5m2, e4m3fn, bf16, fp16, fp32}) {
    const Code one = format.bias() << format.mantissa_bits;
    const Code sign = format.sign_bit();
    const auto product = [&](Code x, Code y) { return multiply_codes(format, x, y, Overflow::saturate); };
    EXPECT_EQ(product(0, one | sign), sign);
    EXPECT_EQ(product(format.min_normal() - 1, one), 0);
    EXPECT_EQ(product(format.nan() | sign, one), format.nan());
    EXPECT_EQ(product(0, format.nan()), format.nan());
    if (!format.infinities) continue;
    EXPECT_EQ(product(format.infinity(), one | sign), format.infinity() | sign);
    EXPECT_EQ(product(format.infinity(), format.infinity()), format.infinity());
    EXPECT_EQ(product(format.infinity(), 0), format.nan());
    EXPECT_EQ(product(format.min_normal() - 1, format.infinity()), format.nan());
    EXPECT_EQ(product(format.infinity() + 1, one), format.nan());
  }
}

/// A mantissa of 7 bits with exponent 0, brought to k bits, in units of 2^-7.
Code narrowed(Code mantissa, int k, Rounding rounding) {
  const Code code = (Code{127} << 23) | (mantissa << 16);
  const Code narrow =
      rounding == Rounding::nearest_even ? round_to_mantissa(code, k) : truncate_to_mantissa(code, k);
  const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(narrow));
  return static_cast<Code>(value * 128);
}

float float_of(Code mantissa) {
  return static_cast<float>(128 + mantissa) / 128;
}

/// The paper's model of an 8-bit multiplication: truncated operands, exact product or the equation of L-Mul.
TEST(LMulText, TheoryOfTruncatedOperands) {
  struct Expected {
    int k;
    const char *multiplication, *difference;  // the paper's f_1 and f_2
  };
  for (const Expected& expected :
       {Expected{2, "22785/65536", "-7/64"}, Expected{3, "11265/65536", "17/256"},
        Expected{4, "5313/65536", "97/1024"}, Expected{5, "2289/65536", "705/4096"},
        Expected{6, "765/65536", "2945/16384"}, Expected{7, "0", "12033/65536"}}) {
    const Code ulps = offset_ulps(expected.k) << (7 - expected.k);
    Code error_multiplication = 0, error_l_mul = 0;
    for (Code x = 0; x < 128; ++x) {
      for (Code y = 0; y < 128; ++y) {
        const Code u = narrowed(x, expected.k, Rounding::truncate) - 128;
        const Code v = narrowed(y, expected.k, Rounding::truncate) - 128;
        error_multiplication += exact_significand(7, x, y) - exact_significand(7, u, v);
        error_l_mul += exact_significand(7, x, y) - 128 * equation_significand(7, u, v, ulps);
      }
    }
    const Rational pairs_and_unit(Code{1} << 28);
    EXPECT_EQ(error_multiplication / pairs_and_unit, Rational(expected.multiplication));
    EXPECT_EQ((error_l_mul - error_multiplication) / pairs_and_unit, Rational(expected.difference));
  }
}

/// Mean absolute and root mean square error over all pairs of 7-bit mantissas with exponent 0.
struct Errors {
  double mean_absolute, root_mean_square;
};

template <class Product>
Errors errors_on_bfloat16(Product product) {
  double sum = 0, sum_square = 0;
  for (Code x = 0; x < 128; ++x) {
    for (Code y = 0; y < 128; ++y) {
      const double error = double{float_of(x)} * double{float_of(y)} - product(x, y);
      sum += std::abs(error);
      sum_square += error * error;
    }
  }
  return {sum / 16384, std::sqrt(sum_square / 16384)};
}

/// Every sum above is exact (errors are multiples of 2^-14 below 4); what is left is the rounding of the
/// sixth digit.
constexpr double kSixDigits = 0.5e-6 + 1e-15;

/// An ordinary multiplication of operands narrowed to k bits; the product rounded to k bits too, or kept
/// exact.
Errors multiplication_errors(int k, Rounding rounding, bool round_product) {
  return errors_on_bfloat16([=](Code x, Code y) {
    const auto product =
        static_cast<float>(narrowed(x, k, rounding) * narrowed(y, k, rounding)) / (128.0F * 128.0F);
    const Code rounded = round_to_mantissa(std::bit_cast<std::uint32_t>(product), k);
    return double{round_product ? std::bit_cast<float>(static_cast<std::uint32_t>(rounded)) : product};
  });
}

Errors l_mul_errors(int k, Rounding rounding, Offset offset) {
  return errors_on_bfloat16(
      [=](Code x, Code y) { return double{multiply(float_of(x), float_of(y), k, rounding, offset)}; });
}

void expect_errors(const Errors& found, double mean_absolute, double root_mean_square) {
  EXPECT_NEAR(found.mean_absolute, mean_absolute, kSixDigits);
  EXPECT_NEAR(found.root_mean_square, root_mean_square, kSixDigits);
}

TEST(LMulText, NarrowMultiplicationsOfBFloat16) {
  const auto cut = Rounding::truncate, nearest = Rounding::nearest_even;
  expect_errors(multiplication_errors(2, cut, false), 0.347672, 0.383796);
  expect_errors(multiplication_errors(3, cut, false), 0.171890, 0.190079);
  expect_errors(multiplication_errors(2, nearest, false), 0.126784, 0.156017);
  expect_errors(multiplication_errors(3, nearest, false), 0.063477, 0.078109);
  expect_errors(multiplication_errors(2, cut, true), 0.395422, 0.444206);
  expect_errors(multiplication_errors(3, cut, true), 0.186624, 0.211334);
  expect_errors(multiplication_errors(2, nearest, true), 0.154276, 0.192303);
  expect_errors(multiplication_errors(3, nearest, true), 0.076977, 0.096153);
}

TEST(LMulText, NarrowLMulOfBFloat16) {
  const auto cut = Rounding::truncate, nearest = Rounding::nearest_even;
  expect_errors(l_mul_errors(3, cut, Offset::paper), 0.099760, 0.125297);
  expect_errors(l_mul_errors(4, cut, Offset::paper), 0.068205, 0.083277);
  expect_errors(l_mul_errors(3, nearest, Offset::paper), 0.132037, 0.168695);
  expect_errors(l_mul_errors(4, nearest, Offset::paper), 0.120581, 0.146937);
  EXPECT_NEAR(l_mul_errors(5, cut, Offset::paper).root_mean_square, 0.072962, kSixDigits);
  EXPECT_NEAR(l_mul_errors(6, cut, Offset::paper).root_mean_square, 0.068350, kSixDigits);
  EXPECT_NEAR(l_mul_errors(7, cut, Offset::paper).root_mean_square, 0.069921, kSixDigits);
  EXPECT_NEAR(l_mul_errors(5, nearest, Offset::paper).root_mean_square, 0.073881, kSixDigits);
  EXPECT_NEAR(l_mul_errors(6, nearest, Offset::paper).root_mean_square, 0.071266, kSixDigits);
  EXPECT_NEAR(l_mul_errors(7, nearest, Offset::paper).root_mean_square, 0.069921, kSixDigits);
  EXPECT_NEAR(l_mul_errors(3, cut, Offset::mitchell).root_mean_square, 0.277611, kSixDigits);
  EXPECT_NEAR(l_mul_errors(4, cut, Offset::mitchell).root_mean_square, 0.182060, kSixDigits);
  EXPECT_NEAR(l_mul_errors(3, nearest, Offset::mitchell).root_mean_square, 0.132793, kSixDigits);
  EXPECT_NEAR(l_mul_errors(4, nearest, Offset::mitchell).root_mean_square, 0.113060, kSixDigits);
}

TEST(LMulText, NarrowingCarriesAndLeavesSpecialValues) {
  EXPECT_EQ(round_to_mantissa(0x3FFFFFFF, 3), 0x40000000) << "a carry into the exponent";
  EXPECT_EQ(round_to_mantissa(0x3F880000, 3), 0x3F800000) << "a tie to even, down";
  EXPECT_EQ(round_to_mantissa(0x3F980000, 3), 0x3FA00000) << "a tie to even, up";
  EXPECT_EQ(round_to_mantissa(0xBF980000, 3), 0xBFA00000);
  EXPECT_EQ(truncate_to_mantissa(0x3F9FFFFF, 3), 0x3F900000);
  EXPECT_EQ(round_to_mantissa(0x3F800001, 23), 0x3F800001);
  EXPECT_EQ(truncate_to_mantissa(0x3F800001, 23), 0x3F800001);
  EXPECT_EQ(round_to_mantissa(0x7F7FFFFF, 22), 0x7F800000) << "beyond the largest number";
  EXPECT_EQ(round_to_mantissa(0x7F800001, 3), 0x7F800001) << "NaN stays NaN";
  EXPECT_EQ(truncate_to_mantissa(0xFF800001, 3), 0xFF800001);
}

/// All floats that are bfloat16 numbers: rounding to 7 bits is the identity there, and elsewhere what
/// bfloat16 does.
TEST(LMulText, RoundingTo7BitsIsBFloat16) {
  for (Code code = 0; code < 0x7F800000; code += 4093) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(code));
    ASSERT_EQ(round_to_mantissa(code, 7), Code{BFloat16::encode(value)} << 16) << code;
  }
}

TEST(LMulText, RejectsImpossibleWidths) {
  EXPECT_THROW(multiply(1, 1, 0), std::invalid_argument);
  EXPECT_THROW(multiply(1, 1, 24), std::invalid_argument);
}

TEST(LMulText, GatesOfThePaper) {
  EXPECT_EQ(adder_gates(7), 71);
  EXPECT_EQ(adder_gates(8), 82);
  EXPECT_EQ(adder_gates(16), 170);
  EXPECT_EQ(multiplier_gates(10), 584);
  EXPECT_EQ(multiplier_gates(3), 325);
  EXPECT_EQ(multiplier_gates(2), 296);
  EXPECT_EQ(l_mul_gates(16), 256);
  EXPECT_EQ(l_mul_gates(15), 245) << "what the paper would have counted without the sign";
  EXPECT_EQ(l_mul_gates(7), 157);
}

/// The shares of energy that the paper's title speaks of, in tenths of a percent.
TEST(LMulText, EnergyOfThePaper) {
  const auto permille = [](int part, int whole) { return std::lround(1000.0 * part / whole); };
  EXPECT_EQ(permille(Energy::add_int32, Energy::multiply_fp32), 27);
  EXPECT_EQ(permille(Energy::add_int16, Energy::multiply_fp16), 45);
  EXPECT_EQ(permille(Energy::add_int32 + Energy::add_fp32, Energy::multiply_fp32 + Energy::add_fp32), 217);
  EXPECT_EQ(permille(Energy::add_int16 + Energy::add_fp16, Energy::multiply_fp16 + Energy::add_fp16), 300);
}

}  // namespace
}  // namespace etalon::l_mul
