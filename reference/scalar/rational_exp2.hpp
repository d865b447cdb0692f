/// \file
/// Exact fractions with an exponential: `exp(x)` means 2^x, for integers x. It decides exactly every identity
/// of algorithms that use nothing of the exponential but exp(a + b) = exp(a) exp(b) and exp(a) > 0.
#pragma once

#include <boost/multiprecision/gmp.hpp>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>

#include "reference/scalar/concepts.hpp"
#include "reference/scalar/rational.hpp"

namespace etalon {

/// An exact fraction whose `exp` is 2^x. Softmax and its relatives never use that the base is e, so logits
/// that are integers (which sums, differences and maxima keep) decide their identities.
class RationalExp2 {
 public:
  RationalExp2() = default;

  /// A literal of the text.
  template <std::integral I>
  RationalExp2(I literal) : value_(literal) {}

  /// Data, converted exactly: every finite double is an integer times a power of two.
  /// \throws std::domain_error for a number that is not finite
  RationalExp2(double data) : value_(finite_or_throw(data)) {}

  RationalExp2(const Rational& value) : value_(value) {}

  const Rational& value() const { return value_; }

  RationalExp2& operator+=(const RationalExp2& b) {
    value_ += b.value_;
    return *this;
  }
  RationalExp2& operator-=(const RationalExp2& b) {
    value_ -= b.value_;
    return *this;
  }
  RationalExp2& operator*=(const RationalExp2& b) {
    value_ *= b.value_;
    return *this;
  }
  /// \throws std::domain_error when `b` is zero
  RationalExp2& operator/=(const RationalExp2& b) {
    if (b.value_ == 0) throw std::domain_error("RationalExp2: " + value_.str() + " divided by zero");
    value_ /= b.value_;
    return *this;
  }

  friend RationalExp2 operator+(RationalExp2 a, const RationalExp2& b) { return a += b; }
  friend RationalExp2 operator-(RationalExp2 a, const RationalExp2& b) { return a -= b; }
  friend RationalExp2 operator*(RationalExp2 a, const RationalExp2& b) { return a *= b; }
  friend RationalExp2 operator/(RationalExp2 a, const RationalExp2& b) { return a /= b; }
  friend RationalExp2 operator-(const RationalExp2& a) { return RationalExp2(Rational(-a.value_)); }

  friend bool operator==(const RationalExp2& a, const RationalExp2& b) { return a.value_ == b.value_; }
  friend bool operator<(const RationalExp2& a, const RationalExp2& b) { return a.value_ < b.value_; }
  friend bool operator>(const RationalExp2& a, const RationalExp2& b) { return a.value_ > b.value_; }
  friend bool operator<=(const RationalExp2& a, const RationalExp2& b) { return a.value_ <= b.value_; }
  friend bool operator>=(const RationalExp2& a, const RationalExp2& b) { return a.value_ >= b.value_; }

  friend std::ostream& operator<<(std::ostream& out, const RationalExp2& a) { return out << a.value_; }

 private:
  static double finite_or_throw(double data) {
    if (std::isfinite(data)) return data;
    throw std::domain_error("RationalExp2: data is " + std::to_string(data) + ", expected a finite number");
  }

  Rational value_{0};
};

/// Exponents beyond this make numbers of more than 2^20 bits, which no identity needs: a sign of a wrong
/// input.
inline constexpr std::int64_t kMaxExp2 = std::int64_t{1} << 20;

/// 2^x.
/// \throws std::domain_error when x is not an integer or |x| > 2^20
inline RationalExp2 exp(const RationalExp2& x) {
  using Integer =
      boost::multiprecision::number<boost::multiprecision::gmp_int, boost::multiprecision::et_off>;
  if (denominator(x.value()) != 1) {
    throw std::domain_error("RationalExp2: exp of " + x.value().str() +
                            ", expected an integer (exp means 2^x here)");
  }
  if (x.value() > kMaxExp2 || x.value() < -kMaxExp2) {
    throw std::domain_error("RationalExp2: exp of " + x.value().str() +
                            ", expected at most 2^20 in magnitude");
  }
  const auto exponent = static_cast<std::int64_t>(numerator(x.value()));
  const Integer power = Integer(1) << (exponent < 0 ? -exponent : exponent);
  return RationalExp2(exponent < 0 ? Rational(1, power) : Rational(power));
}

static_assert(Exponential<RationalExp2> && !Real<RationalExp2>);

}  // namespace etalon
