/// \file
/// Integers modulo the prime p = 2^61 - 1: exact arithmetic at nearly the speed of machine numbers. Two
/// rational forms that agree at random points of this field are equal but for a chance that `Degree` bounds.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>

#include "reference/scalar/concepts.hpp"

namespace etalon {

/// Holds the product of two 64-bit numbers. An extension of the compiler, announced as one.
__extension__ typedef unsigned __int128 WideUnsigned;

/// An integer modulo p = 2^61 - 1, kept in 0 ... p - 1. Because 2^61 = 1 modulo p, a long product is reduced
/// by adding its upper bits to its lower ones.
class PrimeField {
 public:
  static constexpr std::uint64_t modulus = (std::uint64_t{1} << 61) - 1;

  constexpr PrimeField() = default;

  /// A literal of the text; negative numbers count down from p.
  template <std::integral I>
  constexpr PrimeField(I literal) : value_(from_integer(literal)) {}

  /// Data: every finite double is an integer times a power of two and has an exact counterpart here, so that
  /// 0.5 becomes the inverse of 2.
  /// \throws std::domain_error for a number that is not finite
  PrimeField(double data) : value_(from_double(data)) {}

  /// The representative in 0 ... p - 1.
  constexpr std::uint64_t value() const { return value_; }

  constexpr PrimeField& operator+=(const PrimeField& b) {
    value_ = fold(value_ + b.value_);
    return *this;
  }
  constexpr PrimeField& operator-=(const PrimeField& b) {
    value_ = fold(value_ + (modulus - b.value_));
    return *this;
  }
  constexpr PrimeField& operator*=(const PrimeField& b) {
    const WideUnsigned product = static_cast<WideUnsigned>(value_) * b.value_;
    value_ = fold(static_cast<std::uint64_t>(product & modulus) + static_cast<std::uint64_t>(product >> 61));
    return *this;
  }
  /// \throws std::domain_error when `b` is zero
  PrimeField& operator/=(const PrimeField& b) { return *this *= inverse(b); }

  friend constexpr PrimeField operator+(PrimeField a, const PrimeField& b) { return a += b; }
  friend constexpr PrimeField operator-(PrimeField a, const PrimeField& b) { return a -= b; }
  friend constexpr PrimeField operator*(PrimeField a, const PrimeField& b) { return a *= b; }
  friend PrimeField operator/(PrimeField a, const PrimeField& b) { return a /= b; }
  friend constexpr PrimeField operator-(const PrimeField& a) { return PrimeField() - a; }
  friend constexpr bool operator==(const PrimeField& a, const PrimeField& b) = default;

  friend std::ostream& operator<<(std::ostream& out, const PrimeField& a) { return out << a.value_; }

  /// base^exponent, by repeated squaring; anything to the power 0 is 1.
  friend constexpr PrimeField pow(PrimeField base, std::uint64_t exponent) {
    PrimeField result(1);
    for (; exponent > 0; exponent /= 2) {
      if (exponent % 2 == 1) result *= base;
      base *= base;
    }
    return result;
  }

  /// 1 / a, which by Fermat's little theorem is a^(p - 2).
  /// \throws std::domain_error when `a` is zero
  friend PrimeField inverse(const PrimeField& a) {
    if (a.value_ == 0) throw std::domain_error("PrimeField: division by zero");
    return pow(a, modulus - 2);
  }

 private:
  /// Reduces a number of at most 2p - 1.
  static constexpr std::uint64_t fold(std::uint64_t x) { return x >= modulus ? x - modulus : x; }

  template <std::integral I>
  static constexpr std::uint64_t from_integer(I literal) {
    const bool negative = std::signed_integral<I> && literal < I{0};
    const auto bits = static_cast<std::uint64_t>(literal);
    const std::uint64_t magnitude = (negative ? 0 - bits : bits) % modulus;
    return negative && magnitude > 0 ? modulus - magnitude : magnitude;
  }

  static std::uint64_t from_double(double data) {
    if (!std::isfinite(data)) {
      throw std::domain_error("PrimeField: data is " + std::to_string(data) + ", expected a finite number");
    }
    int exponent = 0;
    const double fraction = std::frexp(data, &exponent);
    const auto mantissa = static_cast<std::int64_t>(std::ldexp(fraction, 53));
    const int shift = (((exponent - 53) % 61) + 61) % 61;  // 2^61 = 1, so powers of two repeat every 61
    PrimeField result(mantissa);
    result *= PrimeField(std::uint64_t{1} << shift);
    return result.value_;
  }

  std::uint64_t value_ = 0;
};

static_assert(Field<PrimeField> && !OrderedField<PrimeField>);

}  // namespace etalon
