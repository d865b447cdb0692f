/// \file
/// Fractions of integers of any size (GMP): the arithmetic in which two forms of an algorithm are equal or
/// not, without any rounding.
#pragma once

#include <boost/multiprecision/gmp.hpp>

#include "reference/scalar/concepts.hpp"

namespace etalon {

/// An exact fraction, always in lowest terms. A finite `double` converts exactly; one that is not finite must
/// not be converted (GMP ends the program).
///
/// \throws std::overflow_error on division by zero
using Rational =
    boost::multiprecision::number<boost::multiprecision::gmp_rational, boost::multiprecision::et_off>;

static_assert(OrderedField<Rational> && !Exponential<Rational>);

/// A fraction is always finite. A specialisation, because Boost declares `isfinite` for fractions too but
/// refuses to compile it.
template <>
inline bool finite<Rational>(const Rational&) {
  return true;
}

}  // namespace etalon
