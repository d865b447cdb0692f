/// \file
/// The rounding profile of every number type that rounds: what `Bounded` charges for each of its operations.
#pragma once

#include "proofs/engine/scalars.hpp"
#include "reference/scalar/lmul.hpp"

namespace etalon {

/// What a computation in T may do to a value: the roundoff of each operation, where numbers end, and what
/// `stored` costs.
template <class T>
RoundingProfile profile_of() = delete;

template <>
inline RoundingProfile profile_of<double>() {
  return float64_arithmetic();
}
template <>
inline RoundingProfile profile_of<float>() {
  return float32_arithmetic();
}
template <>
inline RoundingProfile profile_of<BFloat16>() {
  return bfloat16_arithmetic();
}
template <>
inline RoundingProfile profile_of<Float16>() {
  return float16_arithmetic();
}
template <>
inline RoundingProfile profile_of<E4M3>() {
  return e4m3_arithmetic();
}
template <>
inline RoundingProfile profile_of<E5M2>() {
  return e5m2_arithmetic();
}
template <>
inline RoundingProfile profile_of<Mixed<BFloat16, float>>() {
  return mixed_arithmetic(bfloat16_arithmetic(), float32_arithmetic());
}
template <>
inline RoundingProfile profile_of<Mixed<Float16, float>>() {
  return mixed_arithmetic(float16_arithmetic(), float32_arithmetic());
}
template <>
inline RoundingProfile profile_of<Mixed<E4M3, float>>() {
  return mixed_arithmetic(e4m3_arithmetic(), float32_arithmetic());
}

/// L-Mul with the settings of this thread; everything but multiplication is that of float.
///
/// A product has three errors. The factors are brought to k mantissa bits, each with a relative error of at
/// most 2^-(k+1) (to nearest) or 2^-k (cut; of 23 bits nothing is lost). The constant in the place of the
/// product of the mantissas then costs a fraction of the product that the entry of L-Mul determines: 161/2209
/// for k >= 5, 1/8 for k = 3 and 4, 1/4 and 1/2 for k = 2 and 1, and 1/9 for Mitchell's constant 0. Together
/// they give `multiply_unit`, (1 + operand)^2 (1 + constant) - 1. Third, what would be below 2^-126 becomes
/// 0: then the exact product is below 2^-126 / (1 - multiply_unit), and from multiply_unit = 1 on (k = 1)
/// nothing can be said. A factor below 2^-126 makes the product 0 as well.
template <>
inline RoundingProfile profile_of<LMul>() {
  const int k = LMul::mantissa_bits;
  const double narrow[] = {1.0 / 2, 1.0 / 4, 1.0 / 8, 1.0 / 8};
  const double paper = k <= 4 ? narrow[k - 1] : 161.0 / 2209;
  const double constant = LMul::offset == l_mul::Offset::paper ? paper : 1.0 / 9;
  const bool nearest = LMul::rounding == l_mul::Rounding::nearest_even;
  const double operand = k == 23 ? 0 : std::ldexp(1.0, nearest ? -k - 1 : -k);
  RoundingProfile profile = float32_arithmetic();
  profile.name = "L-Mul";
  // Five roundings of numbers below 4 against a result above 1/16: at most 2^9 units of 2^-53.
  profile.multiply_unit = upward::widen((1 + operand) * (1 + operand) * (1 + constant) - 1, 512);
  profile.smallest_factor = 0x1p-126;
  profile.half_min_subnormal =
      upward::quotient(profile.smallest_factor, upward::difference_below(1, profile.multiply_unit));
  return profile;
}

/// The roundings of the oracle itself. MPFR's functions are correctly rounded and its exponents end nowhere
/// near.
template <>
inline RoundingProfile profile_of<Real50>() {
  RoundingProfile profile;
  profile.name = "Real50";
  profile.unit = unit_roundoff<Real50>();
  profile.multiply_unit = profile.unit;
  profile.function_units = 1;
  return profile;
}

}  // namespace etalon
