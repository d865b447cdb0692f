/// \file
/// The rounding profile of every number type that rounds: what `Bounded` charges for each of its operations.
#pragma once

#include "proofs/engine/scalars.hpp"

namespace etalon {

/// What a computation in T may do to a value: the roundoff of each operation, where numbers end, and what `stored`
/// costs.
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

/// The roundings of the oracle itself. MPFR's functions are correctly rounded and its exponents end nowhere near.
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
