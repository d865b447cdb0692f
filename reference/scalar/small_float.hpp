/// \file
/// Floating-point numbers of 16 and 8 bits, the formats in which kernels store their tensors: bfloat16,
/// float16, and the two 8-bit formats e4m3fn and e5m2. Every operation rounds to the format, exactly as the
/// format defines it.
///
/// A code is a sign bit, `exponent_bits` bits E and `mantissa_bits` bits M; with m = mantissa_bits and the
/// bias b = 2^(exponent_bits - 1) - 1 it means
///
///     (-1)^sign (1 + M 2^-m) 2^(E - b)   for E > 0,
///     (-1)^sign      M 2^(1 - b - m)     for E = 0 (zero and the subnormal numbers).
///
/// The code without its sign, E 2^m + M, grows with the value, so the next code is the next number.
///
/// **Why one rounding is enough.** An operation is computed in double precision (53 bits) and then rounded to
/// the p = m + 1 bits of the format. That is two roundings. The second sees another number than the exact
/// result, but it goes the wrong way only if the first moved the result onto, or across, a midpoint between
/// two neighbouring numbers of the format. A midpoint has at most p + 1 bits, so it is a double itself:
/// rounding to double is monotone and never moves a number across it. So what has to be excluded is an exact
/// result that is no midpoint but within 2^-53 (relatively) of one. Let x and y be numbers of the format and
/// t a midpoint:
/// - x y has 2p <= 53 bits and is exact in double.
/// - x + y is exact unless the exponents lie more than 53 - p apart. Then the smaller is below 2^-40 of the
///   larger, the sum is nearer to the larger than to any midpoint, and so is its rounded value.
/// - x / y = t (1 + d) with d != 0 means that x and t y, integers of p and 2p + 1 bits times powers of two,
///   differ: so |d| > 2^-(2p + 1).
/// - sqrt(x) = t (1 + d) means that x and t^2 differ, of p and 2p + 2 bits: so |d| > 2^-(2p + 3).
///
/// With p <= 11 both are far above 2^-53; subnormal results have midpoints of still fewer bits. This is
/// Figueroa's condition 53 >= 2p + 2. (\cite higham2002accuracy tells more of double rounding.) The other
/// functions have no such gap: their results are within half a unit in the last place of the format, plus the
/// error of the mathematical library in double.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <compare>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "reference/scalar/concepts.hpp"

namespace etalon {

/// What the largest exponent field means: `ieee`, infinity and the NaNs; `none`, ordinary numbers, except
/// that the single code with all bits set is NaN (the "fn" of e4m3fn: finite, NaN).
enum class Infinities { ieee, none };

/// 2^exponent, an exact double.
constexpr double power_of_two(int exponent) {
  double power = 1.0;
  for (int i = 0; i < exponent; ++i) power *= 2.0;
  for (int i = 0; i > exponent; --i) power *= 0.5;
  return power;
}

/// A number of the format, held as its code. \cite ocp2023fp8 \cite micikevicius2022fp8
template <int exponent_bits, int mantissa_bits, Infinities infinities>
class SmallFloat {
  static_assert(1 + exponent_bits + mantissa_bits <= 16, "a code has at most 16 bits");
  static_assert(exponent_bits >= 2 && exponent_bits <= 8 && mantissa_bits >= 1,
                "sums, products and quotients must neither over- nor underflow in double");
  static_assert(53 >= 2 * (mantissa_bits + 1) + 2, "double must be wide enough to round to the format once");

 public:
  using Code = std::conditional_t<(1 + exponent_bits + mantissa_bits <= 8), std::uint8_t, std::uint16_t>;

  static constexpr int bias = (1 << (exponent_bits - 1)) - 1;
  static constexpr int sign_code = 1 << (exponent_bits + mantissa_bits);
  /// First code beyond the finite ones: infinity, or the NaN of a format without infinities.
  static constexpr int overflow_code =
      infinities == Infinities::ieee ? ((1 << exponent_bits) - 1) << mantissa_bits : sign_code - 1;
  /// The NaN that conversions and operations give.
  static constexpr int nan_code =
      infinities == Infinities::ieee ? overflow_code | (1 << (mantissa_bits - 1)) : sign_code - 1;

  /// Largest relative error of rounding, 2^-p with the p = mantissa_bits + 1 bits of a significand.
  static constexpr double unit_roundoff = power_of_two(-mantissa_bits - 1);
  static constexpr double min_normal = power_of_two(1 - bias);
  static constexpr double min_subnormal = power_of_two(1 - bias - mantissa_bits);
  /// The largest significand that is not taken by infinity or NaN, times the power of two of its exponent.
  static constexpr double max_finite = infinities == Infinities::ieee
                                           ? (2.0 - power_of_two(-mantissa_bits)) * power_of_two(bias)
                                           : (2.0 - power_of_two(1 - mantissa_bits)) * power_of_two(bias + 1);

  /// Zero.
  constexpr SmallFloat() = default;

  /// A literal: the integer, rounded to the format.
  template <std::integral I>
  explicit SmallFloat(I n) : code_(encode_integer(static_cast<std::int64_t>(n))) {}

  /// Data: the number, rounded to the format; see `encode`.
  explicit SmallFloat(double x) : code_(encode(x)) {}

  /// The number that a code means.
  static SmallFloat from_code(Code code) {
    SmallFloat x;
    x.code_ = code;
    return x;
  }
  Code code() const { return code_; }

  /// The exact value.
  explicit operator double() const {
    const int magnitude = code_ & (sign_code - 1);
    const double sign = (code_ & sign_code) != 0 ? -1.0 : 1.0;
    if (magnitude >= overflow_code) {
      const bool infinite = infinities == Infinities::ieee && magnitude == overflow_code;
      return sign *
             (infinite ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN());
    }
    const int exponent_field = magnitude >> mantissa_bits;
    const int mantissa = magnitude & ((1 << mantissa_bits) - 1);
    if (exponent_field == 0) return sign * mantissa * min_subnormal;
    const auto exponent_of_double = static_cast<std::uint64_t>(exponent_field - bias + 1023);
    const auto mantissa_of_double = static_cast<std::uint64_t>(mantissa) << (52 - mantissa_bits);
    return sign * std::bit_cast<double>(exponent_of_double << 52 | mantissa_of_double);
  }

  /// The code nearest to `x`, of two equally near ones the even. The sign is kept, also that of zero. Beyond
  /// the finite numbers, and for an infinite `x`: infinity, or, in a format without infinities, NaN with the
  /// sign of `x`. NaN becomes `nan_code`. (The mode NONSAT of the OCP specification.)
  static Code encode(double x) {
    if (std::isnan(x)) return static_cast<Code>(nan_code);
    const int sign = std::signbit(x) ? sign_code : 0;
    if (std::isinf(x)) return static_cast<Code>(sign | overflow_code);
    return static_cast<Code>(sign | nearest_magnitude(std::bit_cast<std::uint64_t>(std::fabs(x))));
  }

  /// As `encode`, but what is too large, infinity included, becomes the largest finite number (the mode
  /// SATFINITE). Libraries differ on infinity: `std::isinf(x) ? encode(x) : encode_satfinite(x)` is the other
  /// reading.
  static Code encode_satfinite(double x) {
    const int code = encode(x);
    const bool overflow = !std::isnan(x) && (code & (sign_code - 1)) == overflow_code;
    return static_cast<Code>(overflow ? code - 1 : code);
  }

  friend SmallFloat operator+(const SmallFloat& a, const SmallFloat& b) {
    return SmallFloat(double(a) + double(b));
  }
  friend SmallFloat operator-(const SmallFloat& a, const SmallFloat& b) {
    return SmallFloat(double(a) - double(b));
  }
  friend SmallFloat operator*(const SmallFloat& a, const SmallFloat& b) {
    return SmallFloat(double(a) * double(b));
  }
  friend SmallFloat operator/(const SmallFloat& a, const SmallFloat& b) {
    return SmallFloat(double(a) / double(b));
  }
  friend SmallFloat operator-(const SmallFloat& a) {
    return from_code(static_cast<Code>(a.code_ ^ sign_code));
  }
  SmallFloat& operator+=(const SmallFloat& b) { return *this = *this + b; }
  SmallFloat& operator-=(const SmallFloat& b) { return *this = *this - b; }
  SmallFloat& operator*=(const SmallFloat& b) { return *this = *this * b; }
  SmallFloat& operator/=(const SmallFloat& b) { return *this = *this / b; }

  /// By value: -0 equals 0, and NaN is unordered.
  friend bool operator==(const SmallFloat& a, const SmallFloat& b) { return double(a) == double(b); }
  friend std::partial_ordering operator<=>(const SmallFloat& a, const SmallFloat& b) {
    return double(a) <=> double(b);
  }

  friend bool isfinite(const SmallFloat& x) { return (x.code_ & (sign_code - 1)) < overflow_code; }
  friend bool isnan(const SmallFloat& x) { return std::isnan(double(x)); }

  friend SmallFloat exp(const SmallFloat& x) { return SmallFloat(std::exp(double(x))); }
  friend SmallFloat expm1(const SmallFloat& x) { return SmallFloat(std::expm1(double(x))); }
  friend SmallFloat log(const SmallFloat& x) { return SmallFloat(std::log(double(x))); }
  friend SmallFloat log1p(const SmallFloat& x) { return SmallFloat(std::log1p(double(x))); }
  friend SmallFloat sqrt(const SmallFloat& x) { return SmallFloat(std::sqrt(double(x))); }
  friend SmallFloat sin(const SmallFloat& x) { return SmallFloat(std::sin(double(x))); }
  friend SmallFloat cos(const SmallFloat& x) { return SmallFloat(std::cos(double(x))); }
  friend SmallFloat atan(const SmallFloat& x) { return SmallFloat(std::atan(double(x))); }
  friend SmallFloat tanh(const SmallFloat& x) { return SmallFloat(std::tanh(double(x))); }

 private:
  /// An integer rounds directly, not by way of a double, which would round the larger ones a first time.
  static Code encode_integer(std::int64_t n) {
    const auto bits = static_cast<std::uint64_t>(n);
    const int magnitude = nearest_magnitude(n < 0 ? 0 - bits : bits, 0);
    return static_cast<Code>(n < 0 ? magnitude | sign_code : magnitude);
  }

  /// Takes a finite, non-negative double apart.
  static int nearest_magnitude(std::uint64_t bits) {
    const int exponent_field = static_cast<int>(bits >> 52);
    const std::uint64_t mantissa = bits & ((std::uint64_t{1} << 52) - 1);
    const std::uint64_t hidden_bit = exponent_field == 0 ? 0 : std::uint64_t{1} << 52;
    return nearest_magnitude(hidden_bit | mantissa, std::max(exponent_field, 1) - 1075);
  }

  /// The code nearest to significand * 2^exponent, at most `overflow_code`.
  static int nearest_magnitude(std::uint64_t significand, int exponent) {
    if (significand == 0) return 0;
    const int width = static_cast<int>(std::bit_width(significand));
    // The exponent field of the result; the subnormal numbers share the spacing of field 1.
    const int field = std::max(width - 1 + exponent + bias, 1);
    if (field > 2 * bias + 1) return overflow_code;
    const int dropped_bits = field - bias - mantissa_bits - exponent;
    const std::uint64_t quotient = nearest_quotient(significand, width, dropped_bits);
    // The leading bit of a normal quotient counts one into the field, and so does a carry out of the
    // mantissa.
    const int code = ((field - 1) << mantissa_bits) + static_cast<int>(quotient);
    return std::min(code, overflow_code);
  }

  /// significand / 2^dropped_bits to the nearest integer, ties to even, of a significand that is `width` bits
  /// wide.
  static std::uint64_t nearest_quotient(std::uint64_t significand, int width, int dropped_bits) {
    if (dropped_bits <= 0) return significand << -dropped_bits;
    if (dropped_bits > width) return 0;
    const std::uint64_t half = std::uint64_t{1} << (dropped_bits - 1);
    const std::uint64_t remainder = significand & (2 * half - 1);
    const std::uint64_t quotient = significand >> dropped_bits;
    const bool up = remainder > half || (remainder == half && quotient % 2 == 1);
    return up ? quotient + 1 : quotient;
  }

  Code code_ = 0;
};

/// 8 bits of significand, the range of float.
using BFloat16 = SmallFloat<8, 7, Infinities::ieee>;
/// 11 bits of significand, up to 65504.
using Float16 = SmallFloat<5, 10, Infinities::ieee>;
/// 4 bits of significand, up to 448, no infinities: what hardware and papers call e4m3fn, or just E4M3.
using E4M3 = SmallFloat<4, 3, Infinities::none>;
/// 3 bits of significand, up to 57344.
using E5M2 = SmallFloat<5, 2, Infinities::ieee>;

}  // namespace etalon
