/// \file
/// L-Mul: the product of two floating-point numbers from one integer addition of their bit patterns.
///
/// A number is \f$\pm(1 + x_m)\,2^{x_e}\f$, and the product of two of them
/// \f$\pm(1 + x_m + y_m + x_m y_m)\,2^{x_e + y_e}\f$. The expensive part is \f$x_m y_m\f$; L-Mul puts a
/// constant in its place (Eq. (1) of \cite luo2024addition, arXiv 2410.00907):
///
/// \f[ \mathrm{LMul}(x, y) = (-1)^{s_x \oplus s_y}\,(1 + x_m + y_m + 2^{-l(m)})\,2^{x_e + y_e}, \qquad
///     l(m) = m \;(m \le 3),\quad 3 \;(m = 4),\quad 4 \;(m > 4). \f]
///
/// Exponent and mantissa are neighbours in the bit pattern, so the right-hand side is the sum of the two
/// patterns minus a constant, \f$Z = X + Y - \mathrm{OFF}\f$ with
/// \f$\mathrm{OFF} = \beta 2^m - 2^{m - l(m)}\f$.
///
/// **That is so only while the mantissas do not carry.** Where they do, the sum moves to the next power of
/// two, on which the same mantissa bits are worth twice as much, and equation and addition are two different
/// functions. The paper's theory speaks of the equation, its implementation of the addition. Here the
/// addition is the definition (`multiply_codes`); `integer_significand` says in closed form what it computes,
/// and `equation_significand` is the equation read literally. With 0 instead of \f$2^{-l(m)}\f$ the addition
/// is Mitchell's logarithmic multiplication (\cite mitchell1962).
///
/// Everything is integer arithmetic; mantissas are counted in units of \f$2^{-m}\f$.
///
/// \symbol{s_x} sign bit of x (s_y likewise)
/// \symbol{x_m} mantissa of x without the leading 1, in [0, 1)
/// \symbol{y_m} mantissa of y
/// \symbol{x_e} exponent of x
/// \symbol{y_e} exponent of y
/// \symbol{m} number of mantissa bits
/// \symbol{l} l(m): the constant is 2^-l(m)
/// \symbol{beta} the bias of the exponent field
/// \symbol{X} exponent field and mantissa field of x as one integer (Y likewise)
/// \symbol{OFF} what is subtracted from X + Y
/// \symbol{Z} exponent field and mantissa field of the result
/// \symbol{k} number of mantissa bits kept of wider operands
#pragma once

#include <bit>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace etalon::l_mul {

/// A bit pattern in the low bits: sign, exponent field, mantissa field. Signed and wide enough that sums and
/// differences of the patterns of every format below stay exact.
using Code = std::int64_t;

/// A floating-point format: what its bit patterns mean.
struct Format {
  int exponent_bits;
  int mantissa_bits;
  /// True: the largest exponent field holds infinity and NaNs. False: it holds numbers, and only the pattern
  /// with all bits set is NaN.
  bool infinities;

  constexpr Code bias() const { return (Code{1} << (exponent_bits - 1)) - 1; }  // [beta]
  constexpr Code sign_bit() const { return Code{1} << (exponent_bits + mantissa_bits); }
  constexpr Code magnitude(Code code) const { return code & (sign_bit() - 1); }  // [X]
  constexpr Code min_normal() const { return Code{1} << mantissa_bits; }
  constexpr Code infinity() const { return sign_bit() - min_normal(); }
  constexpr Code max_finite() const { return infinities ? infinity() - 1 : sign_bit() - 2; }
  constexpr Code nan() const { return infinities ? infinity() + min_normal() / 2 : sign_bit() - 1; }
  /// What overflow gives where it does not saturate.
  constexpr Code overflow() const { return max_finite() + 1; }
  constexpr bool is_nan(Code magnitude) const {
    return infinities ? magnitude > infinity() : magnitude > max_finite();
  }
  constexpr bool is_infinity(Code magnitude) const { return infinities && magnitude == infinity(); }
};

inline constexpr Format e5m2{5, 2, true};
inline constexpr Format e4m3fn{4, 3, false};
inline constexpr Format bf16{8, 7, true};
inline constexpr Format fp16{5, 10, true};
inline constexpr Format fp32{8, 23, true};

/// What a result beyond the largest finite number becomes: that number, or infinity (NaN where there is
/// none).
enum class Overflow { saturate, ieee };

/// How wide operands are brought to k mantissa bits.
enum class Rounding { nearest_even, truncate };

/// The constant that stands for the product of the mantissas: the paper's 2^-l(m), or Mitchell's 0.
enum class Offset { paper, mitchell };

/// The paper's l(m), for a mantissa of m >= 1 bits.
constexpr int offset_bits(int m) {
  if (m <= 3) return m;   // [l] [m]
  return m == 4 ? 3 : 4;  // [l]
}

/// The constant in units of the last mantissa bit, 2^(m - l(m)) or 0.
constexpr Code offset_ulps(int m, Offset offset = Offset::paper) {
  return offset == Offset::paper ? Code{1} << (m - offset_bits(m)) : 0;
}

/// What is subtracted from the sum of the patterns. It is the pattern of the identity element of L-Mul, the
/// number 1 - 2^-(l(m) + 1), and not of 1.
/// \param ulps the constant in units of the last mantissa bit
constexpr Code identity_code(const Format& format, Code ulps) {
  return (format.bias() << format.mantissa_bits) - ulps;  // [OFF]
}

/// The product of two patterns by integer addition: the definition of L-Mul in this library.
///
/// The paper leaves the special values open. Here: NaN of a NaN operand, and of infinity times a zero or
/// subnormal; infinity of infinity times any other; a zero or subnormal operand, or a result below the
/// smallest normal number, gives zero.
/// \param ulps the constant in units of the last mantissa bit, see `offset_ulps`
constexpr Code multiply_codes(const Format& format, Code x, Code y, Overflow overflow, Code ulps) {
  const Code sign = (x ^ y) & format.sign_bit();  // [s_x]
  const Code x_code = format.magnitude(x);        // [X] [x_e] [x_m]
  const Code y_code = format.magnitude(y);        // [X] [y_e] [y_m]
  if (format.is_nan(x_code) || format.is_nan(y_code)) return format.nan();
  const bool zero = x_code < format.min_normal() || y_code < format.min_normal();
  if (format.is_infinity(x_code) || format.is_infinity(y_code)) {
    return zero ? format.nan() : sign | format.infinity();
  }
  if (zero) return sign;
  const Code z_code = x_code + y_code - identity_code(format, ulps);  // [Z] [OFF] [x_e] [y_e] [x_m] [y_m]
  if (z_code < format.min_normal()) return sign;
  if (z_code > format.max_finite()) {
    return sign | (overflow == Overflow::saturate ? format.max_finite() : format.overflow());
  }
  return sign | z_code;  // [Z]
}

/// With the paper's constant for the format.
constexpr Code multiply_codes(const Format& format, Code x, Code y, Overflow overflow) {
  return multiply_codes(format, x, y, overflow, offset_ulps(format.mantissa_bits));
}

/// Eq. (1) read literally: 1 + x_m + y_m + 2^-l(m), where no carry is taken care of.
/// \param x_mantissa, y_mantissa in units of 2^-m, below 2^m, as is the constant `ulps`
/// \return in units of 2^-m; times 2^(x_e + y_e) it is the product
constexpr Code equation_significand(int m, Code x_mantissa, Code y_mantissa, Code ulps) {
  return (Code{1} << m) + x_mantissa + y_mantissa + ulps;  // [x_m] [y_m] [l] [m]
}

/// What the integer addition computes, arguments and units as for `equation_significand`. A carry out of the
/// mantissa goes into the exponent: from then on the mantissa starts at 0 again and each of its units is
/// worth twice as much.
constexpr Code integer_significand(int m, Code x_mantissa, Code y_mantissa, Code ulps) {
  const Code one = Code{1} << m;                    // [m]
  const Code sum = x_mantissa + y_mantissa + ulps;  // [x_m] [y_m] [l]
  if (sum < one) return one + sum;
  if (sum < 2 * one) return 2 * sum;
  return 4 * (sum - one);
}

/// The significand of the exact product, (1 + x_m)(1 + y_m).
/// \return in units of 2^-2m
constexpr Code exact_significand(int m, Code x_mantissa, Code y_mantissa) {
  const Code one = Code{1} << m;
  return (one + x_mantissa) * (one + y_mantissa);  // [x_m] [y_m]
}

/// Rounds the pattern of a float to k mantissa bits, ties to even. A carry may go into the exponent, and
/// beyond the largest number to infinity. Infinity and NaN stay as they are.
/// \param k 1 to 23
constexpr Code round_to_mantissa(Code code, int k) {
  const int dropped_bits = fp32.mantissa_bits - k;  // [k]
  if (dropped_bits == 0 || fp32.magnitude(code) >= fp32.infinity()) return code;
  const Code unit = Code{1} << dropped_bits;
  const Code last_kept_bit = (code >> dropped_bits) & 1;
  return (code + unit / 2 - 1 + last_kept_bit) / unit * unit;
}

/// Cuts the pattern of a float to k mantissa bits: towards zero. Infinity and NaN stay as they are.
/// \param k 1 to 23
constexpr Code truncate_to_mantissa(Code code, int k) {
  if (fp32.magnitude(code) >= fp32.infinity()) return code;
  const Code unit = Code{1} << (fp32.mantissa_bits - k);  // [k]
  return code / unit * unit;
}

/// k-bit L-Mul of wide operands: both are brought to k mantissa bits, then multiplied with the constant for k
/// bits. The result has k mantissa bits too.
/// \param k 1 to 23; 23 takes the operands as they are
/// \throws std::invalid_argument for any other k
inline float multiply(float x, float y, int k, Rounding rounding = Rounding::nearest_even,
                      Offset offset = Offset::paper) {
  if (k < 1 || k > fp32.mantissa_bits) {
    throw std::invalid_argument("l_mul: k is " + std::to_string(k) + ", expected 1 to 23 mantissa bits");
  }
  const auto narrow = rounding == Rounding::nearest_even ? round_to_mantissa : truncate_to_mantissa;
  const Code x_code = narrow(std::bit_cast<std::uint32_t>(x), k);
  const Code y_code = narrow(std::bit_cast<std::uint32_t>(y), k);
  const Code ulps = offset_ulps(k, offset) << (fp32.mantissa_bits - k);  // [l] [k]
  const Code product = multiply_codes(fp32, x_code, y_code, Overflow::ieee, ulps);
  return std::bit_cast<float>(static_cast<std::uint32_t>(product));
}

/// The paper's gate model: an XOR has 4 gates, a half adder 5, a full adder 11.
inline constexpr int kXorGates = 4;
inline constexpr int kHalfAdderGates = 5;
inline constexpr int kFullAdderGates = 11;

/// Gates of an n-bit integer adder: one half adder, full adders for the other bits.
constexpr int adder_gates(int bits) {
  return kHalfAdderGates + kFullAdderGates * (bits - 1);
}

/// Gates of a floating-point multiplier for j mantissa bits: the sign, three 8-bit adders for exponent, bias
/// and rounding, and (j + 1)-bit mantissas multiplied by AND gates, half adders and full adders. Fitted to
/// the totals that the paper prints: 584 for j = 10, 325 for j = 3, 296 for j = 2.
constexpr int multiplier_gates(int j) {
  return kXorGates + 3 * adder_gates(8) + (j + 1) * (j + 1) + 3 * kHalfAdderGates +
         kFullAdderGates * (2 * j - 2);
}

/// Gates of L-Mul: the sign, the addition of patterns of `bits` bits, and an 8-bit adder for the constant.
/// The paper counts 7 bits for the 8-bit formats (157), and 16, with the sign, for the 16-bit formats (256).
constexpr int l_mul_gates(int bits) {
  return kXorGates + adder_gates(bits) + adder_gates(8);
}

/// Energy of one operation in femtojoules (Horowitz 2014, as the paper uses it; int16 is the paper's own).
struct Energy {
  static constexpr int add_int8 = 30;
  static constexpr int add_int16 = 50;
  static constexpr int add_int32 = 100;
  static constexpr int add_fp16 = 400;
  static constexpr int add_fp32 = 900;
  static constexpr int multiply_int8 = 200;
  static constexpr int multiply_int32 = 3100;
  static constexpr int multiply_fp16 = 1100;
  static constexpr int multiply_fp32 = 3700;
};

}  // namespace etalon::l_mul
