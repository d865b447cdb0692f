/// \file
/// The entry of L-Mul: the laws of an arithmetic, most of them decided by looking at every pair of operands.
/// Its text is `reference/approximation/l_mul.hpp`.
#include "reference/approximation/l_mul.hpp"

#include <bit>
#include <cmath>

#include "proofs/approximation/l_mul_errors.hpp"
#include "proofs/engine/cases.hpp"
#include "proofs/engine/convert.hpp"
#include "proofs/engine/group.hpp"
#include "proofs/engine/profiles.hpp"

namespace etalon {
namespace {

using l_mul::Code;
using l_mul::Format;
using l_mul::Offset;
using l_mul::Overflow;
using l_mul::Rounding;

struct NamedFormat {
  const char* name;
  Format format;
};

/// The formats small enough for every pair, and every triple, to be looked at.
const NamedFormat kSmallFormats[] = {{"e4m3fn", l_mul::e4m3fn}, {"e5m2", l_mul::e5m2}};
/// The others are sampled.
const NamedFormat kWideFormats[] = {{"bf16", l_mul::bf16}, {"fp16", l_mul::fp16}, {"fp32", l_mul::fp32}};

/// The paper's l(m), written out once more.
int paper_offset_bits(int m) {
  const int first[] = {1, 2, 3, 3};
  return m <= 4 ? first[m - 1] : 4;
}

// ---- what a pattern means ----------------------------------------------------------------------

enum class Class { nan, infinite, flushed, normal };

Class class_of(const Format& format, Code magnitude) {
  const Code field = magnitude >> format.mantissa_bits,
             mantissa = magnitude % (Code{1} << format.mantissa_bits);
  const Code last_field = (Code{1} << format.exponent_bits) - 1;
  if (field == 0) return Class::flushed;
  if (field < last_field) return Class::normal;
  if (format.infinities) return mantissa == 0 ? Class::infinite : Class::nan;
  return mantissa == (Code{1} << format.mantissa_bits) - 1 ? Class::nan : Class::normal;
}

/// The number that a normal pattern without its sign stands for, exactly.
double value_of(const Format& format, Code magnitude) {
  const Code mantissa = magnitude % (Code{1} << format.mantissa_bits);
  const auto exponent = static_cast<int>((magnitude >> format.mantissa_bits) - format.bias());
  return std::ldexp(1 + std::ldexp(static_cast<double>(mantissa), -format.mantissa_bits), exponent);
}

/// The pattern of a number that the format holds as a normal one.
Code code_of(const Format& format, double value) {
  int exponent = 0;
  const double significand = 2 * std::frexp(value, &exponent);
  const auto mantissa = static_cast<Code>(std::ldexp(significand - 1, format.mantissa_bits));
  return ((exponent - 1 + format.bias()) << format.mantissa_bits) + mantissa;
}

/// Where there are infinities, the number below the last exponent field; else the one below the pattern of
/// all ones.
double largest_of(const Format& format) {
  const Code fields = Code{1} << format.exponent_bits, mantissas = Code{1} << format.mantissa_bits;
  return value_of(format, (format.infinities ? (fields - 1) * mantissas : fields * mantissas - 1) - 1);
}

/// What the integer addition is worth, from mantissas and exponents alone: the formula with its three
/// branches. \param constant 2^-l(m), or 0 for Mitchell
double product_value(double x, double y, double constant) {
  int x_exponent = 0, y_exponent = 0;
  const double x_mantissa = 2 * std::frexp(x, &x_exponent) - 1,
               y_mantissa = 2 * std::frexp(y, &y_exponent) - 1;
  const double sum = x_mantissa + y_mantissa + constant;
  const double significand = sum < 1 ? 1 + sum : sum < 2 ? 2 * sum : 4 * (sum - 1);
  return std::ldexp(significand, x_exponent + y_exponent - 2);
}

/// The product of two patterns by their meaning: the formula, and the special values as the text documents
/// them.
Code product_by_meaning(const Format& format, Code x, Code y, Overflow overflow, double constant) {
  const Code top_bit = Code{1} << (format.exponent_bits + format.mantissa_bits);
  const Code sign = (x & top_bit) != (y & top_bit) ? top_bit : 0;
  const Class of_x = class_of(format, x % top_bit), of_y = class_of(format, y % top_bit);
  const bool infinite = of_x == Class::infinite || of_y == Class::infinite;
  const bool flushed = of_x == Class::flushed || of_y == Class::flushed;
  if (of_x == Class::nan || of_y == Class::nan || (infinite && flushed)) return format.nan();
  const Code infinity = ((Code{1} << format.exponent_bits) - 1) << format.mantissa_bits;
  if (infinite) return sign + infinity;
  if (flushed) return sign;
  const double value = product_value(value_of(format, x % top_bit), value_of(format, y % top_bit), constant);
  if (value < value_of(format, Code{1} << format.mantissa_bits)) return sign;
  if (value <= largest_of(format)) return sign + code_of(format, value);
  if (overflow == Overflow::saturate) return sign + code_of(format, largest_of(format));
  return sign + (format.infinities ? infinity : top_bit - 1);
}

double constant_of(int m, Offset offset) {
  return offset == Offset::paper ? std::exp2(-paper_offset_bits(m)) : 0;
}

std::string describe_pair(const NamedFormat& named, Code x, Code y) {
  return std::string(named.name) + ", codes " + std::to_string(x) + " and " + std::to_string(y);
}

/// Sampled patterns of a wide format: any bits, every eighth one at an edge of the range.
Code sampled_code(const Format& format, const std::string& name, Index i) {
  const Code edges[] = {0,
                        format.min_normal() - 1,
                        format.min_normal(),
                        format.min_normal() + 1,
                        format.max_finite() - 1,
                        format.max_finite(),
                        format.max_finite() + 1,
                        format.sign_bit() - 1};
  const ValueKey key{1, name, i};
  const auto bits = static_cast<Code>(hash(key, 0) >> 32) % (2 * format.sign_bit());
  if (hash(key, 1) % 8 != 0) return bits;
  return edges[hash(key, 2) % std::size(edges)] + (bits & format.sign_bit());
}

constexpr Index kSamples = 20000;

// ---- the addition and its formula --------------------------------------------------------------

void addition_is_the_formula(Check& check) {
  const auto compare = [&](const NamedFormat& named, Code x, Code y, Overflow overflow, Offset offset) {
    const Format& format = named.format;
    const Code found =
        l_mul::multiply_codes(format, x, y, overflow, l_mul::offset_ulps(format.mantissa_bits, offset));
    const Code meant = product_by_meaning(format, x, y, overflow, constant_of(format.mantissa_bits, offset));
    check.expect(found == meant, describe_pair(named, x, y) + ": " + std::to_string(found) + " is not " +
                                     std::to_string(meant));
  };
  for (const Overflow overflow : {Overflow::saturate, Overflow::ieee}) {
    for (const Offset offset : {Offset::paper, Offset::mitchell}) {
      for (const NamedFormat& named : kSmallFormats) {
        for (Code x = 0; x < 256; ++x) {
          for (Code y = 0; y < 256; ++y) compare(named, x, y, overflow, offset);
        }
      }
      for (const NamedFormat& named : kWideFormats) {
        for (Index i = 0; i < kSamples; ++i) {
          compare(named, sampled_code(named.format, "x", i), sampled_code(named.format, "y", i), overflow,
                  offset);
        }
      }
    }
  }
}

void closed_form_is_the_addition(Check& check) {
  for (int m = 1; m <= 8; ++m) {
    const Code one = Code{1} << m;
    for (const Offset offset : {Offset::paper, Offset::mitchell}) {
      const Code ulps = l_mul::offset_ulps(m, offset);
      const double constant = constant_of(m, offset);
      for (Code x = 0; x < one; ++x) {
        for (Code y = 0; y < one; ++y) {
          const double unit = static_cast<double>(one);
          const double value =
              product_value(1 + static_cast<double>(x) / unit, 1 + static_cast<double>(y) / unit, constant);
          check.expect(static_cast<double>(l_mul::integer_significand(m, x, y, ulps)) == value * unit,
                       "closed form for m = " + std::to_string(m));
        }
      }
    }
  }
}

/// Equation and addition agree exactly where the mantissas do not carry, or sum to 1, where 1 + s = 2 s; the
/// double carry needs m >= 4.
void equation_where_nothing_carries(Check& check) {
  for (int m = 1; m <= 8; ++m) {
    const Code one = Code{1} << m, ulps = l_mul::offset_ulps(m);
    bool double_carry = false;
    for (Code x = 0; x < one; ++x) {
      for (Code y = 0; y < one; ++y) {
        const Code sum = x + y + ulps;
        double_carry = double_carry || sum >= 2 * one;
        const bool agree =
            l_mul::equation_significand(m, x, y, ulps) == l_mul::integer_significand(m, x, y, ulps);
        check.expect(agree == (sum <= one), "agreement for m = " + std::to_string(m));
      }
    }
    check.expect(double_carry == (m >= 4), "a double carry for m = " + std::to_string(m));
  }
}

// ---- algebra -----------------------------------------------------------------------------------

Code product(const Format& format, Code x, Code y) {
  return l_mul::multiply_codes(format, x, y, Overflow::ieee);
}

bool is_normal(const Format& format, Code code) {
  return class_of(format, format.magnitude(code)) == Class::normal;
}

/// Where the product and both of the bracketings stay in range, (x y) z = x (y z).
/// \return whether they do
bool associates(Check& check, const NamedFormat& named, Code x, Code y, Code z) {
  const Format& format = named.format;
  const Code left = product(format, x, y), right = product(format, y, z);
  if (!is_normal(format, left) || !is_normal(format, right)) return false;
  check.expect(product(format, left, z) == product(format, x, right),
               "associative: " + describe_pair(named, x, y));
  return true;
}

/// Everything that holds of one pair of normal positive numbers.
void algebra_of_pair(Check& check, const NamedFormat& named, Code x, Code y) {
  const Format& format = named.format;
  const std::string pair = describe_pair(named, x, y);
  const Code top_bit = format.sign_bit(), found = product(format, x, y);
  check.expect(found == product(format, y, x), "commutative: " + pair);
  check.expect(product(format, x + top_bit, y) == (found ^ top_bit), "sign: " + pair);
  check.expect(product(format, x + top_bit, y + top_bit) == found, "two signs: " + pair);
  if (is_normal(format, x + 1)) check.expect(product(format, x + 1, y) >= found, "monotone: " + pair);
  const Code doubled = x + format.min_normal();
  if (is_normal(format, doubled) && is_normal(format, found) &&
      is_normal(format, found + format.min_normal())) {
    check.expect(product(format, doubled, y) == found + format.min_normal(), "power of two: " + pair);
  }
}

/// The neutral number and the inverses.
void algebra_of_code(Check& check, const NamedFormat& named, Code x) {
  const Format& format = named.format;
  const int m = format.mantissa_bits, l = paper_offset_bits(m);
  const Code neutral = code_of(format, 1 - std::exp2(-l - 1)), one = code_of(format, 1);
  check.expect(product(format, x, neutral) == x, "neutral: " + describe_pair(named, x, neutral));
  check.expect(neutral == l_mul::identity_code(format, l_mul::offset_ulps(m)), "the identity code");
  const Code after_one = x + (Code{1} << (m - l));
  if (is_normal(format, after_one)) {
    check.expect(product(format, x, one) == after_one, "1 moves " + std::to_string(x) + " up");
  }
  const Code inverse = 2 * neutral - x;
  if (inverse >= format.min_normal() && is_normal(format, inverse)) {
    check.expect(product(format, x, inverse) == neutral, "inverse: " + describe_pair(named, x, inverse));
  }
}

void algebra(Check& check) {
  for (const NamedFormat& named : kSmallFormats) {
    long associative = 0;
    for (Code x = named.format.min_normal(); is_normal(named.format, x); ++x) {
      algebra_of_code(check, named, x);
      for (Code y = named.format.min_normal(); is_normal(named.format, y); ++y) {
        algebra_of_pair(check, named, x, y);
        for (Code z = named.format.min_normal(); is_normal(named.format, z); ++z) {
          associative += associates(check, named, x, y, z) ? 1 : 0;
        }
      }
    }
    check.expect(associative > 0, "no triple stayed in range");
  }
  for (const NamedFormat& named : kWideFormats) {
    for (Index i = 0; i < kSamples; ++i) {
      const auto drawn = [&](const char* name) {
        return named.format.magnitude(sampled_code(named.format, name, i));
      };
      const Code x = drawn("x"), y = drawn("y"), z = drawn("z");
      if (!is_normal(named.format, x) || !is_normal(named.format, y)) continue;
      algebra_of_code(check, named, x);
      algebra_of_pair(check, named, x, y);
      if (is_normal(named.format, z)) associates(check, named, x, y, z);
    }
  }
}

/// 1.5 (1 + 0.5) is not 1.5 1 + 1.5 0.5: a sum of products has two constants, a product of the sum has one.
void not_distributive(Check& check) {
  const auto times = [](double x, double y) { return LMul(x) * LMul(y); };
  const LMul whole = times(1.5, 1 + 0.5), parts = times(1.5, 1) + times(1.5, 0.5);
  check.equal(double(whole), 2.125, "1.5 (1 + 0.5)");
  check.equal(double(parts), 2.34375, "1.5 1 + 1.5 0.5");
}

// ---- operands of k bits ------------------------------------------------------------------------

/// Rounding and cutting to k mantissa bits are what they are in real arithmetic, subnormal numbers included.
void narrowing(Check& check) {
  const auto number = [](Code code) {
    return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(code)));
  };
  for (int k = 1; k <= 23; ++k) {
    for (Index i = 0; i < kSamples / 4; ++i) {
      const Code code = sampled_code(l_mul::fp32, "narrowed", i);
      // Every second pattern is moved onto a tie between two numbers of k bits.
      const Code half = k == 23 ? 0 : Code{1} << (22 - k);
      const Code moved = i % 2 == 0 ? code : (half == 0 ? code : code / (2 * half) * (2 * half) + half);
      const double x = number(moved);
      const Code rounded = l_mul::round_to_mantissa(moved, k), cut = l_mul::truncate_to_mantissa(moved, k);
      if (!std::isfinite(x)) {
        check.expect(rounded == moved && cut == moved, "infinity and NaN stay");
        continue;
      }
      const int exponent = x == 0 ? -126 : std::max(std::ilogb(x), -126);
      const double in_units = std::ldexp(x, k - exponent);  // nearbyint: to nearest, ties to even
      const double nearest = std::ldexp(std::nearbyint(in_units), exponent - k);
      const bool overflows = std::abs(nearest) >= 0x1p128;
      check.expect(overflows ? std::isinf(number(rounded)) : number(rounded) == nearest,
                   "rounded to " + std::to_string(k) + " bits: code " + std::to_string(moved));
      check.expect(number(cut) == std::ldexp(std::trunc(in_units), exponent - k),
                   "cut to " + std::to_string(k) + " bits: code " + std::to_string(moved));
    }
  }
}

/// k-bit L-Mul of floats is the formula on the narrowed operands.
void narrow_product_is_the_formula(Check& check) {
  const auto number = [](const char* name, Index i) {
    const double value = draw_real({1, name, i}, Domain::nonzero, Pattern::extremes);
    return static_cast<float>(value);
  };
  for (int k = 1; k <= 23; ++k) {
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::truncate}) {
      for (const Offset offset : {Offset::paper, Offset::mitchell}) {
        for (Index i = 0; i < 500; ++i) {
          const float x = number("x", i), y = number("y", i);
          const double meant =
              product_value(std::abs(double{l_mul::narrowed(x, k, rounding)}),
                            std::abs(double{l_mul::narrowed(y, k, rounding)}), constant_of(k, offset));
          const double found = l_mul::multiply(x, y, k, rounding, offset);
          const std::string what = std::to_string(x) + " times " + std::to_string(y);
          check.expect(std::abs(found) == meant, what + " with k = " + std::to_string(k));
          check.expect(std::signbit(found) == (std::signbit(x) != std::signbit(y)), "sign of " + what);
        }
      }
    }
  }
}

// ---- errors over all mantissas -----------------------------------------------------------------

struct Row {
  int m;
  const char *mean, *mean_absolute, *mean_square, *max_under, *max_over;
};

const Row kIntegerTable[] = {
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
const char* const kIntegerMeanRelative[] = {
    "-0.375000000000", "-0.146736111111", "-0.049298521996", "-0.048727691850", "-0.004127476189",
    "-0.004093198323", "-0.004084627329", "-0.004082484485", "-0.004081948768", "-0.004081814838"};
const Row kEquationTable[] = {
    {1, "-7/16", "7/16", "13/64", "-1/9", "-1/2"},
    {2, "-7/64", "23/128", "41/1024", "5/49", "-1/4"},
    {3, "17/256", "313/2048", "697/16384", "41/225", "-1/8"},
    {4, "97/1024", "5429/32768", "13721/262144", "193/961", "-1/8"},
    {5, "705/4096", "6315/32768", "317177/4194304", "299/1323", "-1/16"},
    {6, "2945/16384", "831995/4194304", "5342905/67108864", "3713/16129", "-1/16"},
    {7, "12033/65536", "3376465/16777216", "87694137/1073741824", "1007/4335", "-1/16"}};
const Row kMitchellTable[] = {{1, "1/16", "1/16", "1/64", "1/9", "0"},
                              {2, "5/64", "5/64", "13/1024", "1/9", "0"},
                              {3, "21/256", "21/256", "189/16384", "1/9", "0"},
                              {4, "85/1024", "85/1024", "2941/262144", "1/9", "0"},
                              {5, "341/4096", "341/4096", "46717/4194304", "1/9", "0"},
                              {6, "1365/16384", "1365/16384", "746109/67108864", "1/9", "0"},
                              {7, "5461/65536", "5461/65536", "11932285/1073741824", "1/9", "0"}};

void compare_row(Check& check, const Row& row, const l_mul::ErrorSums& found) {
  const std::string what = " for m = " + std::to_string(row.m);
  check.equal(found.mean(), Rational(row.mean), "mean" + what);
  check.equal(found.mean_absolute(), Rational(row.mean_absolute), "mean absolute error" + what);
  check.equal(found.mean_square(), Rational(row.mean_square), "mean square error" + what);
  check.equal(found.under.value(), Rational(row.max_under), "largest relative error" + what);
  check.equal(found.over.value(), Rational(row.max_over), "smallest relative error" + what);
}

void errors_of_the_addition(Check& check) {
  for (const Row& row : kIntegerTable) {
    const auto found = l_mul::error_sums(row.m, l_mul::integer_significand, l_mul::offset_ulps(row.m));
    compare_row(check, row, found);
    // Half a unit of the twelfth printed digit, and 2^20 roundings of terms below 1 in 64 bits of
    // significand.
    check.within(Real50(found.mean_relative()), Real50(kIntegerMeanRelative[row.m - 1]), 0.5e-12 + 0x1p-44,
                 "mean relative error for m = " + std::to_string(row.m));
  }
}

/// The mean of the equation is the paper's f_2.
Rational f_2(int m) {
  const Rational kept = 1 - Rational(1) / Rational(Code{1} << m);
  return kept * kept / 4 - Rational(1) / Rational(Code{1} << paper_offset_bits(m));
}

void errors_of_the_equation(Check& check) {
  for (const Row& row : kEquationTable) {
    const auto found = l_mul::error_sums(row.m, l_mul::equation_significand, l_mul::offset_ulps(row.m));
    compare_row(check, row, found);
    check.equal(found.mean(), f_2(row.m), "f_2 for m = " + std::to_string(row.m));
  }
}

void errors_of_mitchell(Check& check) {
  for (const Row& row : kMitchellTable) {
    const auto found = l_mul::error_sums(row.m, l_mul::integer_significand, 0);
    compare_row(check, row, found);
    const Rational mean = (1 - Rational(1) / Rational(Code{1} << (2 * row.m))) / 12;
    check.equal(found.mean(), mean, "(1 - 4^-m) / 12 for m = " + std::to_string(row.m));
    check.equal(found.mean_absolute(), mean, "never above the product");
  }
}

/// For whole grids with 2^-m steps the sums are polynomials of degree 4 in 2^m (the corners of the three
/// pieces lie on the grid), so the mean is one in h = 2^-m. Five widths determine it; it must predict two
/// more, and at h = 0 it is the integral.
void mean_of_all_real_mantissas(Check& check) {
  for (const bool mitchell : {false, true}) {
    std::vector<Rational> h, mean;
    for (int m = 4; m <= 10; ++m) {
      const Code sixteenth = Code{1} << (m - 4);
      h.push_back(Rational(1) / Rational(Code{1} << m));
      mean.push_back(l_mul::error_sums(m, l_mul::integer_significand, mitchell ? 0 : sixteenth).mean());
    }
    const auto predicted = [&](const Rational& at) {  // Lagrange through the first five
      Rational sum(0);
      for (std::size_t i = 0; i < 5; ++i) {
        Rational term = mean[i];
        for (std::size_t j = 0; j < 5; ++j) {
          if (j != i) term *= (at - h[j]) / (h[i] - h[j]);
        }
        sum += term;
      }
      return sum;
    };
    check.equal(predicted(h[5]), mean[5], "mean for m = 9");
    check.equal(predicted(h[6]), mean[6], "mean for m = 10");
    const Rational c = mitchell ? Rational(0) : Rational(1) / 16, rest = 1 - c;
    const Rational integral = Rational(1) / 4 - 2 * c - rest * rest * rest / 6 - c * c * c / 3;
    check.equal(predicted(Rational(0)), integral, "mean over all real mantissas");
    check.equal(integral, mitchell ? Rational(1) / 12 : Rational("-305/24576"), "its printed value");
    if (!mitchell) check.digits(Real50(-305) / 24576, "-0.0124104818", "its decimals");
  }
}

/// 1/4 - 2c - (1-c)^3/6 - c^3/3: the mean error as a function of the constant.
Real50 mean_error(const Real50& c) {
  return Real50(1) / 4 - 2 * c - (1 - c) * (1 - c) * (1 - c) / 6 - c * c * c / 3;
}

void why_the_constant_is_a_sixteenth(Check& check) {
  Real50 low(0), high(1);  // the derivative, -3/2 - c - c^2/2, is negative: one zero
  check.expect(mean_error(low) > 0 && mean_error(high) < 0, "the mean error changes its sign");
  for (int i = 0; i < 150; ++i) {
    const Real50 middle = (low + high) / 2;
    (mean_error(middle) > 0 ? low : high) = middle;
  }
  check.digits(low, "0.0545", "the constant without bias");
  check.digits(Real50(log(low) / log(Real50(2))), "-4.2", "its logarithm to the base 2");
  const auto size = [](int l) { return Real50(abs(mean_error(Real50(std::exp2(-l))))); };
  for (int l = 1; l <= 12; ++l) {
    check.expect(l == 4 || size(4) < size(l), "2^-4 is the power of two with the smallest bias");
  }
  check.expect(l_mul::offset_bits(23) == 4, "l(m) = 4 for wide mantissas");
}

/// Relative errors of all pairs of real mantissas. For a given sum s = x + y the exact product is largest at
/// x = y, (1 + s/2)^2, and smallest at the ends, 1 + s or 2s. On each of the pieces between 0, 1 - c, 1, 2 -
/// c and 2 the two quotients by what the addition gives are monotone, but for one that on [1, 2 - c] first
/// falls, then rises: so extremes are at ends of pieces, approached from the left or from the right.
struct Extremes {
  Rational under, over;
};
Extremes extremes_of_real_mantissas(const Rational& c) {
  const Rational ends[] = {Rational(0), 1 - c, Rational(1), 2 - c, Rational(2)};
  Extremes found{Rational(-1), Rational(1)};
  for (std::size_t piece = 0; piece < 4; ++piece) {
    for (const Rational& s : {ends[piece], ends[piece + 1]}) {
      const Rational sum = s + c, added = piece == 0  ? Rational(1 + sum)
                                          : piece < 3 ? Rational(2 * sum)
                                                      : Rational(4 * (sum - 1));
      const Rational largest = (1 + s / 2) * (1 + s / 2),
                     smallest = s < 1 ? Rational(1 + s) : Rational(2 * s);
      found.under = maximum(found.under, Rational(1 - added / largest));
      found.over = -maximum(Rational(-found.over), Rational(added / smallest - 1));
    }
  }
  return found;
}

void bounds_of_the_relative_error(Check& check) {
  const Extremes paper = extremes_of_real_mantissas(Rational(1) / 16);
  check.equal(paper.under, Rational("161/2209"), "largest relative error with 2^-4");
  check.equal(paper.over, Rational("-1/16"), "smallest relative error with 2^-4");
  check.digits(Real50(161) / 2209, "0.0728837", "161/2209");
  const Extremes eighth = extremes_of_real_mantissas(Rational(1) / 8);
  check.equal(eighth.under, Rational("17/529"), "largest relative error with 2^-3");
  check.equal(eighth.over, Rational("-1/8"), "smallest relative error with 2^-3");
  const Extremes mitchell = extremes_of_real_mantissas(Rational(0));
  check.equal(mitchell.under, Rational("1/9"), "largest relative error of Mitchell");
  check.equal(mitchell.over, Rational(0), "Mitchell is never above the product");
  for (int m = 1; m <= 8; ++m) {
    const auto found = l_mul::error_sums(m, l_mul::integer_significand, l_mul::offset_ulps(m));
    const auto without = l_mul::error_sums(m, l_mul::integer_significand, 0);
    const std::string what = " for m = " + std::to_string(m);
    check.expect(without.under.value() <= mitchell.under && without.over.value() >= mitchell.over,
                 "Mitchell" + what);
    if (m < 3) continue;
    const Extremes& limit = m <= 4 ? eighth : paper;
    check.expect(found.under.value() <= limit.under && found.over.value() >= limit.over,
                 "relative error" + what);
    if (m >= 5) check.equal(found.under.value(), limit.under, "the bound is reached" + what);
    check.equal(found.over.value(), limit.over, "the bound for powers of two is reached" + what);
  }
}

/// Up to 4 bits Mitchell's 0 has the smaller mean square error, from 5 bits on the paper's constant.
void better_than_mitchell_from_five_bits(Check& check) {
  for (int m = 1; m <= 10; ++m) {
    const auto paper = l_mul::error_sums(m, l_mul::integer_significand, l_mul::offset_ulps(m));
    const auto mitchell = l_mul::error_sums(m, l_mul::integer_significand, 0);
    check.expect((paper.mean_square() < mitchell.mean_square()) == (m >= 5), "m = " + std::to_string(m));
  }
}

// ---- against the 8-bit formats -----------------------------------------------------------------

/// E[x_k] of a mantissa cut to k bits, and E[x_r] of what was cut off, over all m-bit mantissas.
Rational mean_kept(int k) {
  return (1 - Rational(1) / Rational(Code{1} << k)) / 2;
}
Rational mean_rest(int m, int k) {
  return (Rational(1) / Rational(Code{1} << k) - Rational(1) / Rational(Code{1} << m)) / 2;
}

/// The paper's f_1: the mean error of an exact product of operands cut to k bits.
Rational f_1(int m, int k) {
  const Rational kept = mean_kept(k), rest = mean_rest(m, k);
  return 2 * rest * kept + 2 * rest + rest * rest;
}

/// f_1 and f_1 + f_2 by enumeration of all m-bit mantissas. \param m below 12
struct CutErrors {
  Rational multiplication, l_mul;
};
CutErrors errors_of_cut_operands(int m, int k) {
  const Code one = Code{1} << m, unit = one >> k;
  const Code ulps = l_mul::offset_ulps(k) * unit;
  Code multiplication = 0, l_mul = 0;
  for (Code x = 0; x < one; ++x) {
    for (Code y = 0; y < one; ++y) {
      const Code u = x / unit * unit, v = y / unit * unit;
      const Code exact = l_mul::exact_significand(m, x, y);
      multiplication += exact - l_mul::exact_significand(m, u, v);
      l_mul += exact - one * l_mul::equation_significand(m, u, v, ulps);
    }
  }
  const Rational pairs_and_unit = Rational(one * one) * Rational(one * one);
  return {Rational(multiplication) / pairs_and_unit, Rational(l_mul) / pairs_and_unit};
}

void theory_of_cut_operands(Check& check) {
  const auto compare = [&](int m, int k, const Rational& printed) {
    const std::string what = " for m = " + std::to_string(m) + ", k = " + std::to_string(k);
    const CutErrors found = errors_of_cut_operands(m, k);
    check.equal(found.multiplication, printed, "f_1" + what);
    check.equal(found.multiplication, f_1(m, k), "the formula of f_1" + what);
    check.equal(found.l_mul, Rational(printed + f_2(k)), "f_1 + f_2" + what);
    const Rational kept = 1 - Rational(1) / Rational(Code{1} << m);
    const Rational closed = kept + kept * kept / 4 - 1 + Rational(1) / Rational(Code{1} << k) -
                            Rational(1) / Rational(Code{1} << paper_offset_bits(k));
    check.equal(found.l_mul, closed, "the closed form of f_1 + f_2" + what);
  };
  const char* const seven_bits[] = {"22785/65536", "11265/65536", "5313/65536",
                                    "2289/65536",  "765/65536",   "0"};
  for (int k = 2; k <= 7; ++k) compare(7, k, Rational(seven_bits[k - 2]));
  const Code ten_bits[] = {2877441, 1501185, 763905, 382977, 189441, 91905, 42945};
  for (int k = 1; k <= 7; ++k) compare(10, k, Rational(ten_bits[k - 1]) / 4194304);
}

struct NarrowRow {
  int k;
  const char *mean_absolute, *root_mean_square;
};

void compare_narrow(Check& check, const NarrowRow& row, const l_mul::NarrowErrors& found,
                    const std::string& what) {
  const std::string where = what + ", k = " + std::to_string(row.k);
  if (row.mean_absolute != nullptr) check.digits(found.mean_absolute(), row.mean_absolute, "MAE of " + where);
  check.digits(found.root_mean_square(), row.root_mean_square, "RMS of " + where);
}

void comparison_with_8_bit_formats(Check& check) {
  const auto cut = Rounding::truncate, nearest = Rounding::nearest_even;
  const auto exact_products = [&](Rounding rounding, std::initializer_list<NarrowRow> rows) {
    for (const NarrowRow& row : rows) {
      compare_narrow(check, row, l_mul::multiplication_errors(row.k, rounding, false), "exact product");
    }
  };
  const auto rounded_products = [&](Rounding rounding, std::initializer_list<NarrowRow> rows) {
    for (const NarrowRow& row : rows) {
      compare_narrow(check, row, l_mul::multiplication_errors(row.k, rounding, true), "rounded product");
    }
  };
  const auto added = [&](Rounding rounding, Offset offset, std::initializer_list<NarrowRow> rows) {
    for (const NarrowRow& row : rows) {
      compare_narrow(check, row, l_mul::l_mul_errors(row.k, rounding, offset),
                     offset == Offset::paper ? "L-Mul" : "Mitchell");
    }
  };
  exact_products(cut, {{2, "0.347672", "0.383796"}, {3, "0.171890", "0.190079"}});
  exact_products(nearest, {{2, "0.126784", "0.156017"}, {3, "0.063477", "0.078109"}});
  rounded_products(cut, {{2, "0.395422", "0.444206"}, {3, "0.186624", "0.211334"}});
  rounded_products(nearest, {{2, "0.154276", "0.192303"}, {3, "0.076977", "0.096153"}});
  added(cut, Offset::paper,
        {{3, "0.099760", "0.125297"},
         {4, "0.068205", "0.083277"},
         {5, nullptr, "0.072962"},
         {6, nullptr, "0.068350"},
         {7, nullptr, "0.069921"}});
  added(nearest, Offset::paper,
        {{3, "0.132037", "0.168695"},
         {4, "0.120581", "0.146937"},
         {5, nullptr, "0.073881"},
         {6, nullptr, "0.071266"},
         {7, nullptr, "0.069921"}});
  added(cut, Offset::mitchell, {{3, nullptr, "0.277611"}, {4, nullptr, "0.182060"}});
  added(nearest, Offset::mitchell, {{3, nullptr, "0.132793"}, {4, nullptr, "0.113060"}});
}

/// How often L-Mul gives the correctly rounded product, and how often the next number after it.
template <class Small>
void compare_with_rounded(Check& check, const Format& format, long zeros, long ones) {
  using SmallCode = typename Small::Code;
  long count[2] = {0, 0};
  for (Code x = format.min_normal(); is_normal(format, x); ++x) {
    for (Code y = format.min_normal(); is_normal(format, y); ++y) {
      const Small exact =
          Small::from_code(static_cast<SmallCode>(x)) * Small::from_code(static_cast<SmallCode>(y));
      const Code rounded = exact.code();
      const Code found = l_mul::multiply_codes(format, x, y, Overflow::saturate);
      const auto inside = [&](Code code) { return is_normal(format, code) && is_normal(format, code + 1); };
      if (!inside(rounded) || !inside(found)) continue;
      check.expect(found == rounded || found == rounded + 1,
                   "codes " + std::to_string(x) + " and " + std::to_string(y) + " are further off");
      ++count[found - rounded];
    }
  }
  check.expect(count[0] == zeros && count[1] == ones,
               "counted " + std::to_string(count[0]) + " and " + std::to_string(count[1]));
}

void one_step_from_the_rounded_product(Check& check) {
  compare_with_rounded<E4M3>(check, l_mul::e4m3fn, 4083, 6322);
  compare_with_rounded<E5M2>(check, l_mul::e5m2, 1374, 9341);
}

// ---- cost --------------------------------------------------------------------------------------

void gates(Check& check) {
  const auto expect = [&](int found, int stated, const std::string& what) {
    check.expect(found == stated, what + ": " + std::to_string(found) + ", stated " + std::to_string(stated));
  };
  expect(l_mul::adder_gates(7), 5 + 6 * 11, "int7 adder");
  expect(l_mul::adder_gates(8), 5 + 7 * 11, "int8 adder");
  expect(l_mul::adder_gates(16), 5 + 15 * 11, "int16 adder");
  expect(l_mul::multiplier_gates(10), 584, "fp16 multiplier");
  expect(l_mul::multiplier_gates(3), 325, "e4m3 multiplier");
  expect(l_mul::multiplier_gates(2), 296, "e5m2 multiplier");
  expect(l_mul::l_mul_gates(7), 157, "8-bit L-Mul");
  expect(l_mul::l_mul_gates(16), 256, "16-bit L-Mul");
}

void energy(Check& check) {
  using Energy = l_mul::Energy;
  const auto share = [&](int part, int whole, const std::string& printed, const std::string& what) {
    check.digits(Real50(100 * part) / whole, printed, what);
  };
  share(Energy::add_int32, Energy::multiply_fp32, "2.7", "elementwise fp32, percent");
  share(Energy::add_int16, Energy::multiply_fp16, "4.5", "elementwise fp16, percent");
  share(Energy::add_int32 + Energy::add_fp32, Energy::multiply_fp32 + Energy::add_fp32, "21.7",
        "dot product fp32");
  share(Energy::add_int16 + Energy::add_fp16, Energy::multiply_fp16 + Energy::add_fp16, "30.0",
        "dot product fp16");
}

// ---- dot products ------------------------------------------------------------------------------

/// All pairs of 5-bit mantissas meet once in a dot product of length 1024, with drawn signs. The error is
/// then D = sum s_i e_i with known e_i, so that E D^2 = V = sum e_i^2 exactly, and the mean of D^2 over R
/// draws is near V:
/// - E exp(t D^2) <= E exp(t V g^2) for a normal g (write exp(t D^2) as a mean over g of exp(g D sqrt(2t)),
/// and use
///   cosh(x) <= exp(x^2 / 2)), which gives P(mean >= (1 + d) V) <= exp(-R (d - log(1 + d)) / 2);
/// - exp(-x) <= 1 - x + x^2 / 2 and E D^4 <= 3 V^2 give P(mean <= (1 - d) V) <= exp(-R d^2 / 6).
/// Both d are chosen for a false alarm in at most 1e-9 of all runs of this law, over all its comparisons
/// together.
void dot_product_with_drawn_signs(Check& check) {
  constexpr int kDraws = 4000;
  const int widths[] = {2, 3, 4, 5, 23};
  const double exponent = std::log(2 * std::size(widths) / 1e-9);
  const double below = std::sqrt(6 * exponent / kDraws);
  double above = 0;
  while (above - std::log1p(above) < 2 * exponent / kDraws) above += 1e-3;
  for (const int k : widths) {
    const LMulSetting setting(k);
    double mean_square = 0, exact = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      LMul found(0);
      double truth = 0;
      for (Index i = 0; i < 1024; ++i) {
        const std::uint64_t bits = hash({static_cast<std::uint64_t>(k), "signs", draw * 16 + i / 64}, 0);
        const double sign = (bits >> (i % 64)) % 2 == 0 ? 1 : -1;
        const double x = sign * (1 + static_cast<double>(i / 32) / 32),
                     y = 1 + static_cast<double>(i % 32) / 32;
        found += LMul(x) * LMul(y);  // multiples of 2^-5 below 2^13: no rounding
        truth += x * y;
        if (draw > 0) continue;
        const double error = std::abs(x) * y - double(LMul(std::abs(x)) * LMul(y));
        exact += error * error;
      }
      const double error = truth - double(found);
      mean_square += error * error / kDraws;
    }
    const std::string what = "mean square error for k = " + std::to_string(k);
    check.expect(mean_square <= (1 + above) * exact && mean_square >= (1 - below) * exact, what);
    check.measure("|mean square / expected - 1|", std::abs(mean_square / exact - 1));
    if (k >= 5) {  // 5-bit operands are kept as they are
      const auto sums = l_mul::error_sums(5, l_mul::integer_significand, 2);
      check.equal(Rational(exact), Rational(1024 * sums.mean_square()),
                  "1024 times the mean square error of a pair");
    }
  }
}

/// The nodes and weights of Gauss and Legendre on [-1, 1].
struct GaussLegendre {
  std::vector<Real50> nodes, weights;
  explicit GaussLegendre(int count) {
    for (int i = 0; i < count; ++i) {
      Real50 x = cos(pi<Real50>() * (Real50(i) + Real50(3) / 4) / (Real50(count) + Real50(1) / 2)), slope(1);
      for (int iteration = 0; iteration < 8; ++iteration) {  // Newton; the start is good to three digits
        Real50 before(1), value = x;
        for (int n = 2; n <= count; ++n) {
          const Real50 next = ((2 * n - 1) * x * value - (n - 1) * before) / n;
          before = value;
          value = next;
        }
        slope = count * (before - x * value) / (1 - x * x);
        x -= value / slope;
      }
      nodes.push_back(x);
      weights.push_back(2 / ((1 - x * x) * slope * slope));
    }
  }
};

/// The integral over x of ((1 + x)(1 + s - x))^-power on the mantissas x, s - x in [0, 1]; with a = 1 + x and
/// b = 2 + s - a it is that of (a b)^-power, and 1/(a b) = (1/a + 1/b) / (2 + s).
Real50 weight_of_sum(const Real50& s, int power) {
  const Real50 total = 2 + s;
  const auto antiderivative = [&](const Real50& a) {
    const Real50 b = total - a;
    const Real50 second = (1 / b - 1 / a + 2 * log(Real50(a / b)) / total) / (total * total);
    if (power == 2) return second;
    return Real50((1 / (b * b) - 1 / (a * a)) / (2 * total * total * total) + 3 * second / (total * total));
  };
  const Real50 low = s < 1 ? Real50(1) : s, high = s < 1 ? Real50(1 + s) : Real50(2);
  return antiderivative(high) - antiderivative(low);
}

/// Mean and root mean square of approximation / exact - 1 where logarithms are uniform (Benford's law): x and
/// y have the density 1 / ((1 + x) log 2).
struct Benford {
  Real50 mean, root_mean_square;
};
Benford benford_errors(const Real50& c, int nodes) {
  const GaussLegendre rule(nodes);
  const Real50 ends[] = {Real50(0), 1 - c, Real50(1), 2 - c, Real50(2)};
  Real50 first(0), second(0);
  for (std::size_t piece = 0; piece < 4; ++piece) {
    const Real50 half = (ends[piece + 1] - ends[piece]) / 2, middle = (ends[piece + 1] + ends[piece]) / 2;
    for (std::size_t i = 0; i < rule.nodes.size(); ++i) {
      const Real50 s = middle + half * rule.nodes[i], sum = s + c;
      const Real50 added = piece == 0 ? Real50(1 + sum) : piece < 3 ? Real50(2 * sum) : Real50(4 * (sum - 1));
      first += half * rule.weights[i] * added * weight_of_sum(s, 2);
      second += half * rule.weights[i] * added * added * weight_of_sum(s, 3);
    }
  }
  const Real50 density = 1 / (log(Real50(2)) * log(Real50(2)));
  first *= density;
  second *= density;
  return {first - 1, sqrt(Real50(second - 2 * first + 1))};
}

/// The integrand is analytic on each piece; 20 and 30 nodes agree far beyond the printed digits.
void errors_under_benford(Check& check) {
  const auto compare = [&](const Real50& c, const std::string& mean, const std::string& root_mean_square) {
    const Benford found = benford_errors(c, 20), finer = benford_errors(c, 30);
    check.within(found.mean, finer.mean, 1e-15, "the rule with 20 nodes");
    check.digits(finer.mean, mean, "mean relative error");
    check.digits(finer.root_mean_square, root_mean_square, "root mean square relative error");
  };
  compare(Real50(1) / 16, "0.004398957192", "0.03148438909");
  compare(Real50(1) / 8, "0.04882969778", "0.05915155131");
  compare(Real50(0), "-0.03820330607", "0.04796642443");
}

// ---- whole texts in L-Mul ----------------------------------------------------------------------

/// Reads a form in `LMul` under every setting; the result stays within the budget of the setting's profile.
void stays_within_budget(Check& check, const std::string& name, const std::string& form_name) {
  const Entry& entry = Registry::instance().entry(name);
  const Form& form = entry.form(form_name);
  for (const int k : {2, 3, 4, 5, 7, 10, 23}) {
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::truncate}) {
      for (const Offset offset : {Offset::paper, Offset::mitchell}) {
        const LMulSetting setting(k, rounding, offset);
        const UseRounding profile(profile_of<LMul>());
        for (std::uint64_t seed = 0; seed < 8; ++seed) {
          const Case one = random_case(entry, false, seed);
          const Settings settings = entry.with_defaults(one.settings);
          const Arrays<LMul> in = draw_inputs<LMul>(entry, one);
          const auto found = form.run<LMul>(in, settings);
          const auto bounded = form.run<Bounded<Real50>>(converted_arrays<Bounded<Real50>>(in), settings);
          for (const auto& [output, array] : found.real) {
            for (std::size_t i = 0; i < array.values().size(); ++i) {
              const auto& bound = bounded.real.at(output).values()[i];
              check.within(Real50(double(array.values()[i])), bound.value(), bound.error_bound(),
                           output + " with k = " + std::to_string(k));
            }
          }
        }
      }
    }
  }
}

/// If all values are 1, their average is 1, whatever the weights. Times 1 (mantissa 0) L-Mul gives too much,
/// by c / (1 + y_m) until 1 + y_m + c reaches 2, and from there by 2 (y_m + c) / (1 + y_m) - 1: between 1/31
/// and 1/16. The two sums of n positive floats add rounding errors of at most gamma_{n-1} each, the division
/// one.
void average_of_ones(Check& check) {
  const Entry& entry = Registry::instance().entry("softmax_attention");
  constexpr Index kTokens = 24, kChannels = 4;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto drawn = [&](const char* name) {
      Array<LMul> values({kTokens, kChannels});
      for (Index i = 0; i < values.size(); ++i) {
        values.values()[static_cast<std::size_t>(i)] =
            draw<LMul>({seed, name, i}, Domain::any, Pattern::generic);
      }
      return values;
    };
    Arrays<LMul> in;
    in.real["query"] = drawn("query");
    in.real["key"] = drawn("key");
    in.real["value"] = Array<LMul>({kTokens, 1}, LMul(1));
    in.real["scale"] = Array<LMul>(Shape{}, LMul(0.5));
    const auto out = entry.form("safe").run<LMul>(in, entry.with_defaults({{"mask", 1}}));
    const double rounding =
        upward::sum(upward::gamma(2 * kTokens, 0x1p-24), upward::gamma(2 * kTokens, 0x1p-24));
    for (const LMul& average : out["output"].values()) {
      check.expect(double(average) >= 32.0 / 31 * (1 - rounding), "an average of ones is at least 32/31");
      check.expect(double(average) <= 17.0 / 16 * (1 + rounding), "an average of ones is at most 17/16");
    }
  }
}

// ---- errata ------------------------------------------------------------------------------------

void equation_and_addition_differ(Check& check) {
  const auto equation = l_mul::error_sums(7, l_mul::equation_significand, l_mul::offset_ulps(7));
  const auto addition = l_mul::error_sums(7, l_mul::integer_significand, l_mul::offset_ulps(7));
  check.digits(Real50(equation.mean_square()), "0.0817", "mean square error of the equation");
  check.digits(Real50(addition.mean_square()), "0.0049", "mean square error of the addition");
  check.equal(double(LMul(1.5) * LMul(1.5)), 2.125, "the addition for 1.5 1.5");
  check.equal(Rational(l_mul::equation_significand(4, 8, 8, 1)) / 16, Rational(33) / 16,
              "the equation for 1.5 1.5");
}

void ranking_depends_on_rounding(Check& check) {
  const auto square = [](const l_mul::NarrowErrors& errors) { return errors.sum_square; };
  const auto added = [&](int k, Rounding rounding, Offset offset) {
    return square(l_mul::l_mul_errors(k, rounding, offset));
  };
  for (const bool round_product : {false, true}) {
    const auto multiplied = [&](int k, Rounding rounding) {
      return square(l_mul::multiplication_errors(k, rounding, round_product));
    };
    const auto cut = Rounding::truncate, nearest = Rounding::nearest_even;
    check.expect(added(3, cut, Offset::paper) < multiplied(2, cut), "cut: L-Mul with 3 bits beats e5m2");
    check.expect(added(3, cut, Offset::paper) < multiplied(3, cut), "cut: L-Mul with 3 bits beats e4m3");
    check.expect(added(4, nearest, Offset::paper) > multiplied(3, nearest),
                 "rounded: e4m3 beats L-Mul with 4 bits");
    check.expect(added(4, nearest, Offset::mitchell) < added(4, nearest, Offset::paper),
                 "rounded: Mitchell wins");
  }
}

/// Without the special case the addition gives 0 the place of the smallest numbers and not of zero.
void zero_needs_a_special_case(Check& check) {
  const Format& format = l_mul::fp32;
  const Code off = l_mul::identity_code(format, l_mul::offset_ulps(23));
  for (int exponent = 1; exponent <= 127; ++exponent) {
    const Code y = code_of(format, std::exp2(exponent));
    const Code bare = 0 + y - off;
    check.expect(is_normal(format, bare), "the bare sum is a normal number");
    check.equal(value_of(format, bare), std::ldexp(1.0625, exponent - 127), "0 times a power of two, bare");
    check.expect(l_mul::multiply_codes(format, 0, y, Overflow::ieee) == 0, "0 times a power of two");
  }
  check.expect(code_of(format, 0.5) + code_of(format, 0x1p-126) - off >= 0, "barely positive");
  check.expect(Code{0} + code_of(format, 0.5) - off < 0,
               "a small sum is negative: unsigned, it would wrap to a huge one");
}

void signed_mean_hides_the_width(Check& check) {
  const auto theory = [](int k) { return errors_of_cut_operands(7, k).l_mul; };
  check.equal(theory(1), theory(2), "f_1 + f_2 for k = 1 and 2");
  check.equal(theory(2), theory(3), "f_1 + f_2 for k = 2 and 3");
  const auto square = [](int k) {
    return l_mul::l_mul_errors(k, Rounding::truncate, Offset::paper).sum_square;
  };
  check.expect(square(1) != square(2) && square(3) < square(2), "the mean square error does depend on k");
}

void sixteen_bits_counted_twice(Check& check) {
  check.expect(l_mul::l_mul_gates(7) == 157, "8-bit formats: 7 bits, without the sign");
  check.expect(l_mul::l_mul_gates(16) == 256, "16-bit formats: 16 bits, with the sign");
  check.expect(l_mul::l_mul_gates(15) == 245, "16-bit formats, counted as the 8-bit ones");
}

// ---- examples ----------------------------------------------------------------------------------

/// FNV-1a over the results of all pairs of 8-bit patterns, the first operand in the outer loop, and their
/// sum.
void hashes_of_all_pairs(Check& check) {
  const auto compare = [&](const Format& format, Overflow overflow, std::uint64_t fnv, Code total) {
    std::uint64_t found = 0xcbf29ce484222325U;
    Code sum = 0;
    for (Code x = 0; x < 256; ++x) {
      for (Code y = 0; y < 256; ++y) {
        const Code code = l_mul::multiply_codes(format, x, y, overflow);
        found = (found ^ static_cast<std::uint64_t>(code)) * 0x100000001b3U;
        sum += code;
      }
    }
    check.expect(found == fnv, "hash " + std::to_string(found));
    check.expect(sum == total, "sum " + std::to_string(sum));
  };
  compare(l_mul::e4m3fn, Overflow::saturate, 0x1a3ef2e5de11c605U, 8522256);
  compare(l_mul::e4m3fn, Overflow::ieee, 0x85116bb5c08fa3d5U, 8532480);
  compare(l_mul::e5m2, Overflow::saturate, 0xa10c482f85ab58e5U, 8330216);
  compare(l_mul::e5m2, Overflow::ieee, 0x2f7a7092a736d965U, 8338536);
}

void worked_example(Check& check) {
  check.expect(product(l_mul::e4m3fn, 60, 62) == 67, "1.5 1.75 is 2.75 in e4m3");
  check.equal(Rational(l_mul::equation_significand(3, 4, 6, 1)) / 8, Rational("19/8"),
              "the equation for 1.5 1.75");
  check.equal(Rational(l_mul::exact_significand(3, 4, 6)) / 64, Rational("21/8"), "1.5 1.75");
  check.expect(product(l_mul::e4m3fn, 57, 58) == 60, "1.125 1.25 is 1.5 in e4m3");
  check.expect(product(l_mul::e4m3fn, 56, 56) == 57, "1 1 is 1.125 in e4m3");
  const std::uint32_t products[][3] = {
      {0x3F800000, 0x3F800000, 0x3F880000}, {0x3FC00000, 0x3FC00000, 0x40080000},
      {0x40400000, 0xC0E00000, 0xC1A80000}, {0x3DCCCCCD, 0x41200000, 0x3F74CCCD},
      {0x40490FDB, 0x402DF854, 0x40FF082F}, {0x3FFE0000, 0x3FFE0000, 0x40840000},
      {0x3F780000, 0x42F6E979, 0x42F6E979}};
  for (const auto& [x, y, expected] : products) {
    const float found = l_mul::multiply(std::bit_cast<float>(x), std::bit_cast<float>(y), 23);
    check.expect(std::bit_cast<std::uint32_t>(found) == expected, "float product of " + std::to_string(x));
  }
}

// ---- the registration --------------------------------------------------------------------------

void arithmetic_laws(EntryBuilder& entry) {
  entry
      .once(Kind::same, "the addition is the formula",
            "The integer addition gives what the formula with its three branches gives, special values "
            "included: all pairs of 8-bit patterns, sampled pairs of wider ones, both overflow modes, both "
            "constants",
            addition_is_the_formula)
      .once(Kind::same, "closed form",
            "integer_significand is the formula with its three branches, for all pairs of up to 8-bit "
            "mantissas",
            closed_form_is_the_addition)
      .once(Kind::same, "equation where nothing carries",
            "Equation and addition agree exactly where x_m + y_m + 2^-l(m) <= 1; a double carry needs m >= 4",
            equation_where_nothing_carries)
      .once(
          Kind::same, "narrow products",
          "k-bit L-Mul of floats is the formula on the narrowed operands, for every k, rounding and constant",
          narrow_product_is_the_formula)
      .once(Kind::invariant, "algebra",
            "Commutative, associative while in range, monotone, signs multiply, powers of two scale exactly, "
            "1 - 2^-(l(m) + 1) is neutral (1 is not), X has the inverse 2 OFF - X",
            algebra)
      .once(Kind::invariant, "not distributive", "1.5 (1 + 0.5) is not 1.5 1 + 1.5 0.5", not_distributive)
      .once(Kind::invariant, "narrowing",
            "Operands are rounded to nearest, ties to even, or cut, to k mantissa bits, subnormal numbers "
            "included",
            narrowing);
}

void error_laws(EntryBuilder& entry) {
  entry
      .once(Kind::statistical, "errors of the addition",
            "Mean, mean absolute, mean square, mean relative and extreme errors over all pairs of m-bit "
            "mantissas, m = 1 to 10, exactly",
            errors_of_the_addition)
      .once(Kind::statistical, "errors of the equation",
            "The same for the equation, m = 1 to 7; its mean is f_2(m) = (1 - 2^-m)^2 / 4 - 2^-l(m)",
            errors_of_the_equation)
      .once(Kind::statistical, "errors of Mitchell",
            "The same for the addition with 0 in place of 2^-l(m); the mean is (1 - 4^-m) / 12",
            errors_of_mitchell)
      .once(Kind::bound, "relative error",
            "(exact - found) / exact is in [-1/16, 161/2209] for m >= 5, [-1/8, 17/529] for m = 3 and 4, [0, "
            "1/9] for Mitchell: for all real mantissas, and reached",
            bounds_of_the_relative_error)
      .once(Kind::bound, "one step from the rounded product",
            "In the 8-bit formats L-Mul gives the correctly rounded product or its successor (e4m3fn: 4083 "
            "and 6322 pairs; e5m2: 1374 and 9341)",
            one_step_from_the_rounded_product)
      .once(Kind::converges, "mean over real mantissas",
            "The mean error of m-bit mantissas is a polynomial in 2^-m; its constant term is 1/4 - 2c - "
            "(1-c)^3/6 - c^3/3, that is -305/24576 for c = 1/16",
            mean_of_all_real_mantissas)
      .once(Kind::statistical, "why 2^-4",
            "The mean error vanishes at c = 0.0545 = 2^-4.2; 2^-4 is the power of two with the smallest bias",
            why_the_constant_is_a_sixteenth)
      .once(Kind::statistical, "better than Mitchell from five bits on",
            "The paper's constant has the smaller mean square error than 0 for m >= 5 only",
            better_than_mitchell_from_five_bits)
      .once(Kind::statistical, "uniform logarithms",
            "Mean and root mean square of the relative error for Benford-distributed mantissas",
            errors_under_benford)
      .once(Kind::statistical, "theory of cut operands",
            "The paper's f_1, and f_1 + f_2 = (1 - 2^-m) + (1 - 2^-m)^2 / 4 - 1 + 2^-k - 2^-l(k), for "
            "bfloat16 and fp16 operands by enumeration",
            theory_of_cut_operands)
      .once(Kind::statistical, "comparison with 8-bit formats",
            "Errors of narrow multiplications and of L-Mul over all pairs of bfloat16 mantissas, operands "
            "cut or rounded",
            comparison_with_8_bit_formats)
      .once(
          Kind::statistical, "dot product with drawn signs",
          "The mean square error of a dot product is the sum of those of its pairs (false alarm below 1e-9)",
          dot_product_with_drawn_signs);
}

void text_laws(EntryBuilder& entry) {
  entry
      .once(
          Kind::bound, "gated linear attention in L-Mul",
          "Read in LMul, with every width, rounding and constant, it stays within the derived budget",
          [](auto& check) { stays_within_budget(check, "gated_linear_attention", "recurrent"); }, "LMul")
      .once(
          Kind::bound, "softmax attention in L-Mul",
          "Read in LMul, with every width, rounding and constant, it stays within the derived budget",
          [](auto& check) { stays_within_budget(check, "softmax_attention", "safe"); }, "LMul")
      .once(Kind::bound, "an average of ones",
            "Softmax attention over values that are all 1 gives between 32/31 and 17/16", average_of_ones,
            "LMul");
}

void other_laws(EntryBuilder& entry) {
  entry
      .once(Kind::cost, "gates",
            "An n-bit adder has 5 + 11 (n - 1) gates; fp16, e4m3 and e5m2 multipliers 584, 325 and 296, "
            "L-Mul 256 and 157",
            gates)
      .once(Kind::cost, "energy",
            "An L-Mul takes 2.7 % (fp32) or 4.5 % (fp16) of a multiplication's energy, a dot product 21.7 % "
            "or 30 %",
            energy)
      .once(Kind::erratum, "equation and addition differ",
            "The paper's theory is about the equation, its implementation the addition: mean square error "
            "0.0817 and 0.0049 for m = 7",
            equation_and_addition_differ)
      .once(Kind::erratum, "the ranking depends on rounding",
            "With cut operands 3-bit L-Mul beats both 8-bit formats; with rounded ones e4m3 beats 4-bit "
            "L-Mul, and so does Mitchell",
            ranking_depends_on_rounding)
      .once(Kind::erratum, "zero needs a special case",
            "The bare addition makes 0 times 2^e the number 1.0625 2^(e - 127), and a negative pattern for e "
            "< 0",
            zero_needs_a_special_case)
      .once(Kind::erratum, "the signed mean hides the width",
            "f_1 + f_2, the paper's measure of precision, is the same for k = 1, 2 and 3; the mean square "
            "error is not",
            signed_mean_hides_the_width)
      .once(Kind::erratum, "gates of 16-bit L-Mul",
            "The paper's 256 counts the sign bit, its 157 for 8 bits does not: alike it would be 245",
            sixteen_bits_counted_twice)
      .example("all 8-bit products", "Hashes of all 65536 products in each format and mode",
               hashes_of_all_pairs)
      .example("worked example", "Products by hand, in e4m3 and in float", worked_example);
}

const Registration<EntryBuilder> registration{
    "l_mul", [](EntryBuilder& entry) {
      entry.about("approximation", "L-Mul",
                  "Multiplies floating-point numbers by one addition of their bit patterns.",
                  {"luo2024addition", "mitchell1962"});
      arithmetic_laws(entry);
      error_laws(entry);
      text_laws(entry);
      other_laws(entry);
    }};

}  // namespace
}  // namespace etalon
