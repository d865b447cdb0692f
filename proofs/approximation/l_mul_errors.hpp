/// \file
/// The errors of L-Mul and of narrow multiplications over all pairs of mantissas, as exact sums: what the
/// laws of L-Mul compare with printed tables, and what the study of arithmetics shows.
#pragma once

#include <algorithm>
#include <cstdlib>

#include "reference/approximation/l_mul.hpp"
#include "reference/scalar/rational.hpp"
#include "reference/scalar/real.hpp"

namespace etalon::l_mul {

/// One of `integer_significand` and `equation_significand`.
using Significand = Code (*)(int m, Code x_mantissa, Code y_mantissa, Code ulps);

/// error / exact, kept as two integers so that extremes are exact.
struct Ratio {
  Code error = 0, exact = 1;
  bool operator<(const Ratio& other) const { return error * other.exact < other.error * exact; }
  Rational value() const { return Rational(error) / Rational(exact); }
};

/// Sums of E = exact - approximation over all pairs of m-bit mantissas, E in units of 2^-2m times 2^(x_e +
/// y_e).
struct ErrorSums {
  int m = 1;
  Code sum = 0, sum_absolute = 0, sum_square = 0;
  Ratio under{-1, 1}, over{1, 1};  ///< the largest and the smallest error / exact
  long double sum_relative = 0;    ///< of error / exact

  Rational pairs() const { return Rational(Code{1} << (2 * m)); }
  Rational mean() const { return Rational(sum) / pairs() / pairs(); }
  Rational mean_absolute() const { return Rational(sum_absolute) / pairs() / pairs(); }
  Rational mean_square() const { return Rational(sum_square) / pairs() / pairs() / pairs(); }
  long double mean_relative() const { return sum_relative / static_cast<long double>(Code{1} << (2 * m)); }
};

/// \param m 1 to 10: then |E| <= 2^(2m), its squares below 2^40, and the sums below 2^60
inline ErrorSums error_sums(int m, Significand significand, Code ulps) {
  const Code one = Code{1} << m;
  ErrorSums sums;
  sums.m = m;
  for (Code x = 0; x < one; ++x) {
    for (Code y = 0; y < one; ++y) {
      const Code exact = exact_significand(m, x, y);
      const Code error = exact - significand(m, x, y, ulps) * one;
      sums.sum += error;
      sums.sum_absolute += std::abs(error);
      sums.sum_square += error * error;
      const Ratio ratio{error, exact};
      if (sums.under < ratio) sums.under = ratio;
      if (ratio < sums.over) sums.over = ratio;
      sums.sum_relative += static_cast<long double>(error) / static_cast<long double>(exact);
    }
  }
  return sums;
}

/// The float 1 + mantissa / 128: all numbers of bfloat16 in [1, 2).
inline float bfloat16_number(Code mantissa) {
  return static_cast<float>(128 + mantissa) / 128;
}

/// A float brought to k mantissa bits.
inline float narrowed(float x, int k, Rounding rounding) {
  const auto narrow = rounding == Rounding::nearest_even ? round_to_mantissa : truncate_to_mantissa;
  return std::bit_cast<float>(static_cast<std::uint32_t>(narrow(std::bit_cast<std::uint32_t>(x), k)));
}

/// The errors of some product over all pairs of bfloat16 numbers in [1, 2), in units of 2^-14.
struct NarrowErrors {
  Code sum = 0, sum_absolute = 0, sum_square = 0;

  static Real50 unit() { return Real50(1) / 16384; }
  static int pairs() { return 16384; }
  Real50 mean() const { return Real50(sum) * unit() / pairs(); }
  Real50 mean_absolute() const { return Real50(sum_absolute) * unit() / pairs(); }
  Real50 root_mean_square() const { return sqrt(Real50(Real50(sum_square) / pairs())) * unit(); }
};

/// \param product gives multiples of 2^-14
template <class Product>
NarrowErrors narrow_errors(Product product) {
  NarrowErrors sums;
  for (Code x = 0; x < 128; ++x) {
    for (Code y = 0; y < 128; ++y) {
      const float found = product(bfloat16_number(x), bfloat16_number(y));
      const Code error = (128 + x) * (128 + y) - static_cast<Code>(found * 16384);
      sums.sum += error;
      sums.sum_absolute += std::abs(error);
      sums.sum_square += error * error;
    }
  }
  return sums;
}

/// An ordinary multiplication of operands that are brought to k mantissa bits first.
/// \param round_product whether the product is rounded (to nearest) to k bits as well
inline NarrowErrors multiplication_errors(int k, Rounding rounding, bool round_product) {
  return narrow_errors([=](float x, float y) {
    const float exact = narrowed(x, k, rounding) * narrowed(y, k, rounding);
    return round_product ? narrowed(exact, k, Rounding::nearest_even) : exact;
  });
}

inline NarrowErrors l_mul_errors(int k, Rounding rounding, Offset offset) {
  return narrow_errors([=](float x, float y) { return multiply(x, y, k, rounding, offset); });
}

}  // namespace etalon::l_mul
