/// \file
/// e^x for x <= 0, softplus and SiLU on vectors of float32, for the instruction set that is being compiled.
///
/// e^x is not 2^(x log2 e) of exponential.hpp, because rounding the product would cost |x| / 2 units in the
/// last place: a logarithm of a decay may be -80.
#if defined(ETALON_FAST_CPU_NATURAL_EXPONENTIAL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ETALON_FAST_CPU_NATURAL_EXPONENTIAL_HPP
#undef ETALON_FAST_CPU_NATURAL_EXPONENTIAL_HPP
#else
#define ETALON_FAST_CPU_NATURAL_EXPONENTIAL_HPP
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// e^x for x <= 0. Results below 2^-126 are 0, so that e^-infinity is; NaN stays NaN; e^0 is exactly 1.
///
/// Error: at most 3 u relative to e^x, u = 2^-24. x = n log 2 + r with |r| <= log(2) / 2 (1 + 2^-15); n times
/// the first part of log 2, which has 15 bits, is exact, and so is its difference to x; subtracting n times
/// the second part rounds r by at most 0.35 u (twice that without a fused multiply-add), which is as much of
/// e^r. The polynomial is good to 0.05 u of e^r (least largest error) before its coefficients are rounded,
/// which moves it by at most 0.5 u r^2 / 2 and less. p = r^2 q + r is below 0.42 in size and off by at most
/// 0.75 u of e^r, the last addition by u of it. Multiplying by 2^n is exact. (A test looks at a million
/// numbers.)
template <class D>
HWY_INLINE hn::Vec<D> exp_negative(D tag, hn::Vec<D> x) {
  const hn::RebindToSigned<D> integers;
  // Adding 1.5 * 2^23 leaves the nearest integer in the lowest bits.
  const auto shift = hn::Set(tag, 12582912.0f);
  const auto shifted = hn::MulAdd(x, hn::Set(tag, 1.44269504f), shift);
  const auto n = hn::Sub(shifted, shift);
  auto r = hn::NegMulAdd(n, hn::Set(tag, 0.693145751953125f), x);
  r = hn::NegMulAdd(n, hn::Set(tag, 1.42860677e-6f), r);
  auto q = hn::Set(tag, 1.3814540579915047e-3f);  // of (e^r - 1 - r) / r^2
  q = hn::MulAdd(q, r, hn::Set(tag, 8.36874544620514e-3f));
  q = hn::MulAdd(q, r, hn::Set(tag, 4.166838899254799e-2f));
  q = hn::MulAdd(q, r, hn::Set(tag, 0.1666652113199234f));
  q = hn::MulAdd(q, r, hn::Set(tag, 0.4999999403953552f));
  const auto p = hn::MulAdd(hn::Mul(r, r), q, r);
  const auto exponent = hn::ShiftLeft<23>(hn::Add(hn::BitCast(integers, shifted), hn::Set(integers, 127)));
  const auto result = hn::Mul(hn::Add(p, hn::Set(tag, 1.0f)), hn::BitCast(tag, exponent));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(tag, -87.3365448f)), result);
}

/// log(1 + y) for y in [0, 1], relative error at most 6 u: 2 artanh(s) = 2 s + 2 s^3 g(s^2) with s = y / (2 +
/// y), which is at most 1/3 and has two roundings. g, good to 2^-33 of the result, is multiplied by 2 s^3, at
/// most 1/9 of 2 s.
template <class D>
HWY_INLINE hn::Vec<D> log1p_fraction(D tag, hn::Vec<D> y) {
  const auto s = hn::Div(y, hn::Add(y, hn::Set(tag, 2.0f)));
  const auto z = hn::Mul(s, s);
  auto g = hn::Set(tag, 0.12150467187166214f);
  g = hn::MulAdd(g, z, hn::Set(tag, 0.10713829100131989f));
  g = hn::MulAdd(g, z, hn::Set(tag, 0.14308442175388336f));
  g = hn::MulAdd(g, z, hn::Set(tag, 0.19999438524246216f));
  g = hn::MulAdd(g, z, hn::Set(tag, 0.3333333730697632f));
  const auto twice = hn::Add(s, s);
  return hn::MulAdd(hn::Mul(twice, z), g, twice);
}

/// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|): relative error at most 10 u, e^x below 2^-126 counted as 0.
template <class D>
HWY_INLINE hn::Vec<D> softplus(D tag, hn::Vec<D> x) {
  const auto tail = log1p_fraction(tag, exp_negative(tag, hn::Neg(hn::Abs(x))));
  return hn::Add(hn::ZeroIfNegative(x), tail);
}

/// x / (1 + e^-x), with e^-|x| so that nothing overflows: relative error at most 9 u, with the same
/// exception.
template <class D>
HWY_INLINE hn::Vec<D> silu(D tag, hn::Vec<D> x) {
  const auto e = exp_negative(tag, hn::Neg(hn::Abs(x)));
  const auto one = hn::Set(tag, 1.0f);
  const auto numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(tag)), e, one);
  return hn::Mul(x, hn::Div(numerator, hn::Add(one, e)));
}

}  // namespace etalon::fast::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
