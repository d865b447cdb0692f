/// \file
/// A "number" that knows only the degree of the polynomials it stands for. Running a text on it says how far
/// a test at random points of `PrimeField` can be trusted.
#pragma once

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <map>
#include <ostream>
#include <stdexcept>

#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon {

/// An upper bound on the total degree of numerator and denominator of the rational function that a text
/// computes of its inputs. Data (made from a double) are the variables, of degree 1; literals (made from an
/// integer) are constants, of degree 0, and a literal 0 is known to be zero: 0 + x = x and 0 x = 0.
///
/// The bound is formal: cancellation between terms is never assumed, so it is exact for generic polynomials
/// and can be too large, mostly in denominators. It is kept useful by remembering of which factors a
/// denominator is the product: a factor is the numerator of something that the text divided by, and carries a
/// number that names it. So x / s + y / s has the denominator s, not s^2, and (x / s) / (y / s) has none but
/// y.
///
/// Degrees are doubles: beyond 2^53 they are rounded, where a random test has long become worthless.
class Degree {
 public:
  Degree() = default;

  /// A literal of the text: degree 0.
  template <std::integral I>
  Degree(I literal) : zero_(literal == I{0}), name_(fresh_name()) {}

  /// An input, whatever its value: degree 1.
  Degree(double) : zero_(false), numerator_(1), name_(fresh_name()) {}

  bool is_literal_zero() const { return zero_; }
  double numerator() const { return numerator_; }
  double denominator() const { return total(denominator_); }

  Degree& operator+=(const Degree& b) { return *this = *this + b; }
  Degree& operator-=(const Degree& b) { return *this = *this - b; }
  Degree& operator*=(const Degree& b) { return *this = *this * b; }
  Degree& operator/=(const Degree& b) { return *this = *this / b; }

  friend Degree operator+(const Degree& a, const Degree& b) {
    if (a.zero_) return b;
    if (b.zero_) return a;
    const Factors common = least_common_multiple(a.denominator_, b.denominator_);
    const double degree = total(common);
    return Degree(std::max(a.numerator_ + degree - a.denominator(), b.numerator_ + degree - b.denominator()),
                  common);
  }

  friend Degree operator-(const Degree& a, const Degree& b) { return a + b; }

  /// A change of sign, as any constant factor, leaves numerator and denominator what they are.
  friend Degree operator-(const Degree& a) { return a; }

  friend Degree operator*(const Degree& a, const Degree& b) {
    if (a.zero_ || b.zero_) return Degree();
    if (a.is_constant()) return b;
    if (b.is_constant()) return a;
    Factors product = a.denominator_;
    for (const auto& [name, factor] : b.denominator_) {
      product.try_emplace(name, factor.degree, 0).first->second.power += factor.power;
    }
    return Degree(a.numerator_ + b.numerator_, product);
  }

  /// \throws std::domain_error when `b` is a literal zero
  friend Degree operator/(const Degree& a, const Degree& b) {
    if (b.zero_) throw std::domain_error("Degree: division by a literal zero");
    if (a.zero_ || b.is_constant()) return a;
    Factors below = a.denominator_;
    double above = a.numerator_ + b.denominator();
    for (const auto& [name, factor] : b.denominator_) {
      const auto shared = below.find(name);
      if (shared == below.end()) continue;
      const Index cancelled = std::min(shared->second.power, factor.power);
      above -= static_cast<double>(cancelled) * factor.degree;
      shared->second.power -= cancelled;
      if (shared->second.power == 0) below.erase(shared);
    }
    if (b.numerator_ > 0) below.try_emplace(b.name_, b.numerator_, 0).first->second.power += 1;
    return Degree(above, below);
  }

  friend std::ostream& operator<<(std::ostream& out, const Degree& a) {
    return out << "degree " << a.numerator() << " / " << a.denominator();
  }

 private:
  /// A polynomial in a denominator, to a power.
  struct Factor {
    double degree = 0;
    Index power = 0;
    Factor(double of_base, Index exponent) : degree(of_base), power(exponent) {}
  };
  using Factors = std::map<std::uint64_t, Factor>;
  static constexpr std::size_t kMaxFactors = 16;

  Degree(double numerator, Factors denominator)
      : zero_(false), numerator_(numerator), denominator_(std::move(denominator)), name_(fresh_name()) {}

  bool is_constant() const { return numerator_ == 0 && denominator_.empty(); }

  static std::uint64_t fresh_name() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
  }

  static double total(const Factors& factors) {
    double degree = 0;
    for (const auto& [name, factor] : factors) degree += static_cast<double>(factor.power) * factor.degree;
    return degree;
  }

  static Factors least_common_multiple(const Factors& a, const Factors& b) {
    Factors common = a;
    for (const auto& [name, factor] : b) {
      Index& power = common.try_emplace(name, factor.degree, 0).first->second.power;
      power = std::max(power, factor.power);
    }
    if (common.size() <= kMaxFactors) return common;
    // The product of many factors is kept as one factor with a name of its own: a bound that may be too large
    // later, but never slow.
    Factors product;
    product.try_emplace(fresh_name(), total(common), 1);
    return product;
  }

  bool zero_ = true;
  double numerator_ = 0;
  Factors denominator_;
  std::uint64_t name_ = 0;  // names the numerator, up to a constant factor
};

/// An upper bound D on the degree of the numerator of a - b. If a and b differ as rational functions, they
/// agree at a point drawn uniformly from `PrimeField` with a chance of at most D / p (Schwartz and Zippel);
/// points where a denominator vanishes do not count, being refused by the division.
inline double degree_of_difference(const Degree& a, const Degree& b) {
  return (a - b).numerator();
}

/// Roots of unity are constants.
template <>
struct RootOfUnity<Degree> {
  static Complex<Degree> of(Index) { return {Degree(2), Degree(2)}; }
};

static_assert(Field<Degree> && !OrderedField<Degree>);

}  // namespace etalon
