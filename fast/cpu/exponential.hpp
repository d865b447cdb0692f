/// \file
/// 2^x for vectors of float32, for the instruction set that is being compiled; see tile.hpp for how to
/// include it.
#if defined(ETALON_FAST_CPU_EXPONENTIAL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ETALON_FAST_CPU_EXPONENTIAL_HPP
#undef ETALON_FAST_CPU_EXPONENTIAL_HPP
#else
#define ETALON_FAST_CPU_EXPONENTIAL_HPP
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// 2^x for x up to 127. Results below 2^-126 are 0, so that 2^-infinity is; NaN stays NaN; 2^0 is exactly 1.
///
/// Error: at most 3 u relative to 2^x, with u = 2^-24, where x >= -126. x = n + r with an integer n and |r|
/// <= 1/2, both exact, and multiplying by 2^n is exact, so that only 2^r counts. Its polynomial of degree 6
/// with constant term 1 has the least largest relative error, which is 0.36 u with coefficients rounded to
/// float32. In Horner's scheme the last step adds r q to 1, with |q| <= 0.83. The roundings before it come to
/// at most 0.5 u of 2^r with fused multiply-adds and 1.2 u without, because each step halves what the earlier
/// ones made; the last one is at most u. Together less than 1.9 u and 2.6 u. (A test goes through the values
/// of r.)
template <class D>
HWY_INLINE hn::Vec<D> exp2(D f, hn::Vec<D> x) {
  const hn::RebindToSigned<D> i;
  // Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits.
  const auto shift = hn::Set(f, 12582912.0f);
  const auto shifted = hn::Add(x, shift);
  const auto r = hn::Sub(x, hn::Sub(shifted, shift));
  auto p = hn::Set(f, 0x1.470b4ep-13f);
  p = hn::MulAdd(p, r, hn::Set(f, 0x1.5f7276p-10f));
  p = hn::MulAdd(p, r, hn::Set(f, 0x1.3b270ep-7f));
  p = hn::MulAdd(p, r, hn::Set(f, 0x1.c6ae72p-5f));
  p = hn::MulAdd(p, r, hn::Set(f, 0x1.ebfbe2p-3f));
  p = hn::MulAdd(p, r, hn::Set(f, 0x1.62e432p-1f));
  p = hn::MulAdd(p, r, hn::Set(f, 1.0f));
  // Multiplied, not added to the exponent of p: a NaN has bits there of its own.
  const auto exponent = hn::Add(hn::ShiftLeft<23>(hn::BitCast(i, shifted)), hn::Set(i, 127 << 23));
  const auto result = hn::Mul(p, hn::BitCast(f, exponent));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(f, -126.0f)), result);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace etalon::fast::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // ETALON_FAST_CPU_EXPONENTIAL_HPP
