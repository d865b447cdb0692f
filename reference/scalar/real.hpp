/// \file
/// The oracle's numbers: real arithmetic with 50 and with 100 decimal digits (MPFR, held on the stack).
/// Digits in which the two agree are certified.
#pragma once

#include <boost/multiprecision/mpfr.hpp>
#include <cmath>

#include "reference/scalar/concepts.hpp"

namespace etalon {

/// 50 decimal digits (168 bits). MPFR rounds every operation, and every function of the concept `Real`,
/// correctly to nearest; the exponents are so wide that overflow and underflow do not occur in practice.
using Real50 =
    boost::multiprecision::number<boost::multiprecision::mpfr_float_backend<
                                      50, boost::multiprecision::mpfr_allocation_type::allocate_stack>,
                                  boost::multiprecision::et_off>;

/// The same with 100 decimal digits (334 bits).
using Real100 =
    boost::multiprecision::number<boost::multiprecision::mpfr_float_backend<
                                      100, boost::multiprecision::mpfr_allocation_type::allocate_stack>,
                                  boost::multiprecision::et_off>;

static_assert(Real<Real50> && Real<Real100>);

/// The largest relative error of one rounding to nearest, 2^-precision (half of the gap above 1): every
/// operation returns exact * (1 + delta) with |delta| <= unit_roundoff \cite higham2002accuracy. Each number
/// type that rounds specialises it.
template <class T>
double unit_roundoff() = delete;

template <>
inline double unit_roundoff<double>() {
  return 0x1p-53;
}

template <>
inline double unit_roundoff<float>() {
  return 0x1p-24;
}

/// Asked of MPFR itself, because Boost rounds the digits up to bits by a rule of its own.
template <>
inline double unit_roundoff<Real50>() {
  return std::ldexp(1.0, -static_cast<int>(mpfr_get_prec(Real50(0).backend().data())));
}

template <>
inline double unit_roundoff<Real100>() {
  return std::ldexp(1.0, -static_cast<int>(mpfr_get_prec(Real100(0).backend().data())));
}

}  // namespace etalon
