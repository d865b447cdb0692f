/// \file
/// `Bounded<T>`: a number that carries, beside its value, a rigorous bound on the rounding error that a
/// program can make which evaluates the same text in a given floating-point format, in any order of its sums.
/// Every tolerance of the project comes from here.
///
/// What is promised. Call *admissible* every evaluation of the text whose roundings keep to the current
/// `RoundingProfile` and which brackets and orders each sum as it likes. The result x^ of every admissible
/// evaluation obeys
///
///     |x^ - value()| <= error_bound().
///
/// The exact evaluation makes no error and is admissible too, so that `error_bound()` also says how far
/// `value()` is from the truth. For this the roundings of `T` itself are charged beside those of the profile:
/// 2^-53 for `double`, about 2^-167 for `Real50`, which is far below every format. The profile
/// `exact_arithmetic()` charges them alone.
///
/// How a sum is bounded. A value is kept as an open sum x_1 + ... + x_n of `terms()` closed terms, each known
/// up to an error e_i, with m = sum |x_i| (`magnitude()`) and e = sum e_i. Every order of adding the terms
/// has an error of at most gamma_{n-1} sum |x^_i| (\cite higham2002accuracy, section 4.2), so
///
///     error_bound() = e + gamma_{n-1} (m + e),    gamma_k = k u / (1 - k u),
///
/// which is infinite (nothing is promised) once (n - 1) u >= 1. Adding and subtracting join the operands'
/// sums; every other operation closes them and yields a single term.
///
/// Not covered: evaluations that take another branch after a comparison (`maximum` is covered), that flush
/// subnormal sums to zero, or whose functions have errors that are not relative to their result.
/// A fused multiply-add rounds less often and is covered. Where a kernel stores in one format and accumulates
/// in another, every partial sum is rounded in the *accumulating* format, whose roundoff is `unit`;
/// `stored(x)` marks the single places where a value is written in the storage format, and closes the sum,
/// because nothing can be reordered across it.
///
/// Use one profile for one evaluation: a value remembers its bound, not the profile that it was computed
/// under.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <compare>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon {

/// How the arithmetic rounds whose errors are bounded. Rounding is to nearest, underflow gradual.
struct RoundingProfile {
  std::string name;
  /// Unit roundoff u of additions, divisions and functions: half the distance from 1 to the next number.
  double unit = 0;
  /// Relative error of a multiplication. Where it is not `unit` (L-Mul, \cite luo2024addition), not even a
  /// multiplication by 1 is exact.
  double multiply_unit = 0;
  /// Half the smallest positive number: the largest error of a product, quotient or function that is
  /// subnormal. (Sums that are subnormal are exact.) Where products below some threshold become 0, that
  /// threshold.
  double half_min_subnormal = 0;
  /// A factor of a product below this size may count as zero.
  double smallest_factor = 0;
  /// The largest finite number. Where a result or a partial sum can exceed it nothing is promised.
  double largest = std::numeric_limits<double>::infinity();
  /// Error of exp, log, sqrt, sin ... in multiples of the unit; an error of one unit in the last place is 2
  /// of them.
  double function_units = 0;
  /// Unit roundoff of the storage format, 0 where values are stored as they are.
  double store_unit = 0;
  double store_half_min_subnormal = 0;
  double store_largest = std::numeric_limits<double>::infinity();
};

/// A binary format with `precision` significant bits, whose smallest positive number is 2^`min_exponent` and
/// whose largest is `largest`. Its functions are good to one unit in the last place.
inline RoundingProfile binary_format(std::string name, int precision, int min_exponent, double largest) {
  RoundingProfile profile;
  profile.name = std::move(name);
  profile.unit = std::ldexp(1.0, -precision);
  profile.multiply_unit = profile.unit;
  // For binary64 itself half the smallest number is no number any more; then all of it, which is more.
  profile.half_min_subnormal = std::max(std::ldexp(1.0, min_exponent - 1), std::ldexp(1.0, -1074));
  profile.largest = largest;
  profile.function_units = 2;
  return profile;
}

/// No rounding at all: the bounds are those of the computation of `value()` itself.
inline RoundingProfile exact_arithmetic() {
  RoundingProfile profile;
  profile.name = "exact";
  return profile;
}
inline RoundingProfile float64_arithmetic() {
  return binary_format("float64", 53, -1074, std::numeric_limits<double>::max());
}
inline RoundingProfile float32_arithmetic() {
  return binary_format("float32", 24, -149, static_cast<double>(std::numeric_limits<float>::max()));
}
inline RoundingProfile float16_arithmetic() {
  return binary_format("float16", 11, -24, 65504);
}
inline RoundingProfile bfloat16_arithmetic() {
  return binary_format("bfloat16", 8, -133, std::ldexp(255.0, 120));
}
/// The eight-bit formats of \cite micikevicius2022fp8.
inline RoundingProfile e4m3_arithmetic() {
  return binary_format("e4m3", 4, -9, 448);
}
inline RoundingProfile e5m2_arithmetic() {
  return binary_format("e5m2", 3, -16, 57344);
}

/// Computes in the format of `accumulate` and stores, where the text says `stored`, in that of `storage`.
inline RoundingProfile mixed_arithmetic(const RoundingProfile& storage, const RoundingProfile& accumulate) {
  RoundingProfile profile = accumulate;
  profile.name = storage.name + " stored, " + accumulate.name + " accumulated";
  profile.store_unit = storage.unit;
  profile.store_half_min_subnormal = storage.half_min_subnormal;
  profile.store_largest = storage.largest;
  return profile;
}

/// The innermost `UseRounding` of this thread; none at first.
inline constinit thread_local const RoundingProfile* innermost_rounding = nullptr;

/// The profile that this thread's `Bounded` numbers are charged under; `float64_arithmetic()` unless
/// `UseRounding` says otherwise.
inline const RoundingProfile& current_rounding() {
  if (innermost_rounding != nullptr) return *innermost_rounding;
  static const RoundingProfile at_first = float64_arithmetic();
  return at_first;
}

/// Makes a profile the current one of this thread while it lives.
class UseRounding {
 public:
  explicit UseRounding(RoundingProfile profile) : profile_(std::move(profile)), outer_(innermost_rounding) {
    innermost_rounding = &profile_;
  }
  ~UseRounding() { innermost_rounding = outer_; }
  UseRounding(const UseRounding&) = delete;
  UseRounding& operator=(const UseRounding&) = delete;

 private:
  RoundingProfile profile_;
  const RoundingProfile* outer_;
};

/// Arithmetic on bounds. Bounds are doubles whatever `T` is; each result here is at least the exact one (at
/// most, where the name ends in `_below`). Arguments are not negative, and 0 means exactly 0.
namespace upward {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kSmallest = std::numeric_limits<double>::denorm_min();
inline constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

/// More than `x`, when `x` has a relative error of at most `units` * 2^-53, and an absolute one of at most
/// `units` * 2^-1075 where it is so small that it may have underflowed. At least one more double up.
inline double widen(double x, int units = 1) {
  const double wider = x * (1 + units * kEpsilon);
  return x < 1e-290 ? wider + units * kSmallest : wider;
}

/// Less than `x`, under the same conditions.
inline double narrow(double x) {
  const double narrower = x * (1 - kEpsilon);
  return x < 1e-290 ? std::max(0.0, narrower - kSmallest) : narrower;
}

inline double sum(double a, double b) {
  const double s = a + b;
  const double larger = std::max(a, b);
  return s - larger == std::min(a, b) ? s : widen(s);  // unchanged when nothing was lost
}

inline double product(double a, double b) {
  if (a == 0 || b == 0) return a == kInfinity || b == kInfinity ? kInfinity : 0;
  return widen(a * b);
}

/// a / b; infinite for b = 0.
inline double quotient(double a, double b) {
  if (b == 0) return kInfinity;
  return a == 0 ? 0 : widen(a / b);
}

/// a - b, or 0 where that is negative.
inline double difference_below(double a, double b) {
  return a > b ? narrow(a - b) : 0;
}

/// e^x - 1. The library's error is below two units of the last place, that is four of 2^-53.
inline double expm1(double x) {
  return x == 0 ? 0 : widen(std::expm1(x), 8);
}

/// -log(1 - x), infinite from x = 1 on: how far the logarithm moves when its argument loses the fraction x.
inline double minus_log_one_minus(double x) {
  if (x >= 1) return kInfinity;
  return x == 0 ? 0 : widen(-std::log1p(-x), 8);
}

/// gamma_k = k u / (1 - k u), infinite from k u = 1 on.
inline double gamma(Index k, double u) {
  if (k <= 0) return 0;
  const double ku = product(static_cast<double>(k), u);
  return quotient(ku, difference_below(1, ku));
}

}  // namespace upward

/// A number with an error bound; `T` is `double` or a multiprecision number. See the head of this file.
template <Real T>
class Bounded {
 public:
  /// A literal 0.
  Bounded() : Bounded(0) {}

  /// A literal of the text. It is exact if its bits fit into the format; else the program rounds it once.
  template <std::integral Integer>
  explicit Bounded(Integer literal) : Bounded(T(static_cast<std::int64_t>(literal))) {
    const auto number = static_cast<std::int64_t>(literal);
    const auto bits =
        number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
    const int significant = number == 0 ? 0 : static_cast<int>(std::bit_width(bits)) - std::countr_zero(bits);
    double unit = 0;
    if (significant > -std::log2(current_rounding().unit)) unit = current_rounding().unit;
    if (significant > std::numeric_limits<T>::digits) unit = upward::sum(unit, own_unit());
    *this = with_error(value_, upward::product(unit, magnitude_));
    literal_ = true;
  }

  /// Data, taken to be exact: what the program was given. Infinities are exact too.
  explicit Bounded(const T& data) : Bounded(with_error(data, 0)) {}
  template <std::floating_point Float>
  requires(!std::same_as<Float, T>) explicit Bounded(Float data) : Bounded(T(data)) {}

  /// Data known up to an error, or the result of an operation: a single term.
  static Bounded with_error(const T& value, double error) {
    Bounded made(value, Unbounded{});
    made.magnitude_ = magnitude_of(value);
    made.terms_ = made.magnitude_ == 0 && error == 0 ? 0 : 1;  // adding an exact zero rounds nothing
    made.inherited_ = error;
    made.settle();
    return made;
  }

  const T& value() const { return value_; }
  explicit operator double() const { return static_cast<double>(value_); }

  /// No admissible evaluation is farther from `value()` than this; infinite where nothing can be said.
  double error_bound() const { return error_; }

  /// The sum of the absolute values of the terms that this value is the sum of.
  double magnitude() const { return magnitude_; }

  /// The number of these terms; 0 for an exact zero.
  Index terms() const { return terms_; }

  Bounded operator-() const {
    Bounded negative = *this;
    negative.value_ = -value_;
    return negative;
  }

  friend Bounded operator+(const Bounded& a, const Bounded& b) {
    if (a.is_literal(0)) return b;
    if (b.is_literal(0)) return a;
    return joined(a.value_ + b.value_, a, b);
  }
  friend Bounded operator-(const Bounded& a, const Bounded& b) {
    if (a.is_literal(0)) return -b;
    if (b.is_literal(0)) return a;
    return joined(a.value_ - b.value_, a, b);
  }

  friend Bounded operator*(const Bounded& a, const Bounded& b) {
    if (multiplies_exactly() && a.is_literal(1)) return b;
    if (multiplies_exactly() && b.is_literal(1)) return a;
    if (a.is_literal(0) && b.is_finite()) return a;
    if (b.is_literal(0) && a.is_finite()) return b;
    const T value = a.value_ * b.value_;
    if (a.is_infinite() || b.is_infinite()) return infinite(value, a, b, a.is_nonzero() && b.is_nonzero());

    const double size_a = magnitude_of(a.value_);
    const double size_b = magnitude_of(b.value_);
    double propagated = upward::sum(upward::product(size_a, b.error_),
                                    upward::product(upward::sum(size_b, b.error_), a.error_));
    propagated = upward::sum(propagated, upward::sum(taken_for_zero(a, b), taken_for_zero(b, a)));
    double rounded = 0;
    if (multiplies_exactly() && (a.is_power_of_two() || b.is_power_of_two())) {
      rounded = underflow(a.size_below() * b.size_below());
    } else {
      const double size = upward::product(upward::sum(size_a, a.error_), upward::sum(size_b, b.error_));
      rounded = rounding(current_rounding().multiply_unit, size);
    }
    return constant_if(a.literal_ && b.literal_, value, upward::sum(propagated, rounded));
  }

  friend Bounded operator/(const Bounded& a, const Bounded& b) {
    if (b.is_literal(1)) return a;
    if (a.is_literal(0) && b.is_finite() && b.is_nonzero()) return a;
    const T value = a.value_ / b.value_;
    if (a.is_infinite() || b.is_infinite()) return infinite(value, a, b, b.is_nonzero());

    const double size = upward::quotient(magnitude_of(a.value_), size_below(b.value_));
    const double propagated =
        upward::quotient(upward::sum(a.error_, upward::product(size, b.error_)), b.size_below());
    const double rounded = b.is_power_of_two()
                               ? underflow(a.size_below() / magnitude_of(b.value_))
                               : rounding(current_rounding().unit, upward::sum(size, propagated));
    return constant_if(a.literal_ && b.literal_, value, upward::sum(propagated, rounded));
  }

  Bounded& operator+=(const Bounded& b) { return *this = *this + b; }
  Bounded& operator-=(const Bounded& b) { return *this = *this - b; }
  Bounded& operator*=(const Bounded& b) { return *this = *this * b; }
  Bounded& operator/=(const Bounded& b) { return *this = *this / b; }

  /// Comparisons look at the values alone.
  friend bool operator==(const Bounded& a, const Bounded& b) { return a.value_ == b.value_; }
  friend bool operator<(const Bounded& a, const Bounded& b) { return a.value_ < b.value_; }
  friend bool operator>(const Bounded& a, const Bounded& b) { return a.value_ > b.value_; }
  friend bool operator<=(const Bounded& a, const Bounded& b) { return a.value_ <= b.value_; }
  friend bool operator>=(const Bounded& a, const Bounded& b) { return a.value_ >= b.value_; }

  /// The larger of two numbers. It errs no more than the worse of them, and rounds nothing.
  friend Bounded maximum(const Bounded& a, const Bounded& b) {
    const Bounded& larger = a.value_ < b.value_ ? b : a;
    if (larger.is_infinite()) return infinite(larger.value_, a, b, true);
    return constant_if(a.literal_ && b.literal_, larger.value_, std::max(a.error_, b.error_));
  }

  /// The value after it was written in the storage format of the profile.
  friend Bounded stored(const Bounded& x) {
    const RoundingProfile& profile = current_rounding();
    if (profile.store_unit == 0 || x.is_literal(0) || x.is_literal(1) || x.is_infinite()) return x;
    const double size = upward::sum(magnitude_of(x.value_), x.error_);
    double error = x.error_;
    if (size > 0) {
      error = upward::sum(
          error, std::max(upward::product(profile.store_unit, size), profile.store_half_min_subnormal));
    }
    const bool overflows = !(upward::sum(magnitude_of(x.value_), error) <= profile.store_largest);
    return with_error(x.value_, overflows ? upward::kInfinity : error);
  }

  friend Bounded exp(const Bounded& x) {
    const T value = exp(x.value_);
    if (!x.is_finite()) return function_at_infinity(value, x);
    // |e^x^ - e^x| <= e^x (e^E - 1)
    const double size = upward::sum(function_size(value), own_half_min_subnormal());
    return function(value, size, upward::product(size, upward::expm1(x.error_)));
  }
  friend Bounded expm1(const Bounded& x) {
    const T value = expm1(x.value_);
    if (!x.is_finite()) return function_at_infinity(value, x);
    // The slope e^x is the value and one; an error of the value may have been large against the sum.
    const double slope = upward::sum(function_size(value + T(1)), upward::product(2, own_function_unit()));
    return function(value, function_size(value), upward::product(slope, upward::expm1(x.error_)));
  }
  friend Bounded log(const Bounded& x) {
    const T value = log(x.value_);
    if (!x.is_finite() || (x.value_ == 0 && x.error_ == 0)) return function_at_infinity(value, x);
    if (x.value_ <= 0) return with_error(value, upward::kInfinity);
    // |log x^ - log x| <= -log(1 - E / x)
    const double fraction = upward::quotient(x.error_, size_below(x.value_));
    return function(value, function_size(value), upward::minus_log_one_minus(fraction));
  }
  friend Bounded log1p(const Bounded& x) {
    const T value = log1p(x.value_);
    if (!x.is_finite() || (x.value_ == -1 && x.error_ == 0)) return function_at_infinity(value, x);
    if (x.value_ <= -1) return with_error(value, upward::kInfinity);
    const T from_one = x.value_ + T(1);  // has one rounding of T
    const double fraction = upward::quotient(x.error_, upward::narrow(size_below(from_one)));
    return function(value, function_size(value), upward::minus_log_one_minus(fraction));
  }
  friend Bounded sqrt(const Bounded& x) {
    const T value = sqrt(x.value_);
    if (!x.is_finite()) return function_at_infinity(value, x);
    const double lowest = x.value_ < 0 ? 0 : size_below(x.value_);
    if (x.value_ < 0 || x.error_ > lowest) return with_error(value, upward::kInfinity);
    // |sqrt x^ - sqrt x| = |x^ - x| / (sqrt x^ + sqrt x)
    const double roots = upward::narrow(std::sqrt(x.size_below())) + upward::narrow(std::sqrt(lowest));
    const double propagated = x.error_ == 0 ? 0 : upward::quotient(x.error_, upward::narrow(roots));
    return function(value, function_size(value), propagated);
  }
  friend Bounded sin(const Bounded& x) {
    const T value = sin(x.value_);
    if (!x.is_finite()) return function_at_infinity(value, x);
    return function(value, function_size(value), std::min(x.error_, 2.0));
  }
  friend Bounded cos(const Bounded& x) {
    const T value = cos(x.value_);
    if (!x.is_finite()) return function_at_infinity(value, x);
    return function(value, function_size(value), std::min(x.error_, 2.0));
  }
  friend Bounded atan(const Bounded& x) {
    const T value = atan(x.value_);
    if (!x.is_finite()) return function_at_infinity(value, x);
    // The slope 1 / (1 + x^2) is largest where the interval is nearest to 0.
    const double nearest = x.size_below();
    const double slope = upward::widen(1 / (1 + nearest * nearest), 4);
    return function(value, function_size(value), upward::product(slope, x.error_));
  }
  friend Bounded tanh(const Bounded& x) {
    const T value = tanh(x.value_);
    if (!x.is_finite()) return function_at_infinity(value, x);
    // The slope 1 / cosh(x)^2, likewise; the library's cosh is good to two units in the last place.
    const double cosh = std::cosh(x.size_below());
    const double slope = upward::widen(1 / (cosh * cosh), 12);
    return function(value, function_size(value), upward::product(slope, x.error_));
  }

  friend bool isfinite(const Bounded& x) { return finite(x.value_); }

 private:
  struct Unbounded {};
  Bounded(const T& value, Unbounded) : value_(value) {}

  /// What T itself rounds: exactly half its epsilon for the built-in types; the multiprecision types announce
  /// up to a bit more than they have.
  static constexpr double own_unit() {
    const auto epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
    return std::numeric_limits<T>::is_iec559 && std::floating_point<T> ? epsilon / 2 : 2 * epsilon;
  }
  /// The functions of the C library are good to two units in the last place.
  static constexpr double own_function_unit() { return 4 * own_unit(); }
  /// The multiprecision types have exponents beyond all need.
  static constexpr double own_half_min_subnormal() { return std::floating_point<T> ? upward::kSmallest : 0; }

  /// At least |value|.
  static double magnitude_of(const T& value) {
    const double size = std::abs(static_cast<double>(value));
    return std::same_as<T, double> || value == 0 ? size : upward::widen(size);
  }
  /// At most |value|.
  static double size_below(const T& value) {
    const double size = std::abs(static_cast<double>(value));
    return std::same_as<T, double> ? size : upward::narrow(size);
  }
  /// At least the exact size of a function's value, which T has rounded.
  static double function_size(const T& value) {
    return upward::product(magnitude_of(value), 1 + own_function_unit() + upward::kEpsilon);
  }

  bool is_literal(int number) const { return literal_ && error_ == 0 && value_ == number; }
  /// A literal, or a constant made from literals, that is exactly plus or minus a power of two.
  bool is_power_of_two() const {
    if (!literal_ || error_ != 0) return false;
    const auto size = static_cast<double>(value_);
    int exponent = 0;
    return std::abs(std::frexp(size, &exponent)) == 0.5 && T(size) == value_;
  }
  bool is_finite() const { return finite(value_) && std::isfinite(error_); }
  /// An infinity that every evaluation arrives at, not one that this one overflowed to.
  bool is_infinite() const { return !finite(value_) && value_ == value_ && error_ == 0; }
  bool is_nonzero() const { return size_below(value_) > error_; }
  /// At most the size of what any admissible evaluation has for this value.
  double size_below() const { return upward::difference_below(size_below(value_), error_); }

  static bool multiplies_exactly() { return current_rounding().multiply_unit == current_rounding().unit; }

  /// The error of rounding a result of at most the given size, in the program and in T: relative to the
  /// result where it is normal, half the smallest number where it is subnormal. These meet at the smallest
  /// normal number, so it is the larger of the two.
  static double rounding(double unit, double size, double units = 1, double own = own_unit()) {
    if (size == 0) return 0;
    const double subnormal = std::max(1.0, units) * current_rounding().half_min_subnormal;
    const double own_subnormal = own / own_unit() * own_half_min_subnormal();
    return upward::sum(std::max(upward::product(upward::product(unit, units), size), subnormal),
                       std::max(upward::product(own, size), own_subnormal));
  }

  /// What is lost of a product if the program takes a tiny factor for zero.
  static double taken_for_zero(const Bounded& factor, const Bounded& other) {
    const double smallest = current_rounding().smallest_factor;
    if (factor.size_below() >= smallest) return 0;
    const double size = std::min(upward::sum(magnitude_of(factor.value_), factor.error_), smallest);
    return upward::product(size, upward::sum(magnitude_of(other.value_), other.error_));
  }

  /// The error of scaling by a power of two to a result of at least the given size: none where it is normal.
  static double underflow(double lowest) {
    lowest = upward::narrow(lowest);
    const RoundingProfile& profile = current_rounding();
    // The smallest normal number is the smallest positive one over 2 u.
    const double smallest_normal = profile.unit > 0 ? profile.half_min_subnormal / profile.unit : 0;
    const double own = lowest < std::numeric_limits<double>::min() ? own_half_min_subnormal() : 0;
    return upward::sum(lowest < smallest_normal ? profile.half_min_subnormal : 0, own);
  }

  /// The open sum of the terms of a and of b.
  static Bounded joined(const T& value, const Bounded& a, const Bounded& b) {
    if (a.is_infinite() || b.is_infinite()) return infinite(value, a, b, true);
    Bounded made(value, Unbounded{});
    made.terms_ = a.terms_ + b.terms_;
    made.magnitude_ = upward::sum(a.magnitude_, b.magnitude_);
    made.inherited_ = upward::sum(a.inherited_, b.inherited_);
    made.settle();
    return made;
  }

  static Bounded constant_if(bool literal, const T& value, double error) {
    Bounded made = with_error(value, finite(value) ? error : upward::kInfinity);
    made.literal_ = literal;
    return made;
  }

  /// The result of an operation of which an operand is infinite: exact if the other is certain to be no
  /// obstacle.
  static Bounded infinite(const T& value, const Bounded& a, const Bounded& b, bool certain) {
    const bool known = a.error_ < upward::kInfinity && b.error_ < upward::kInfinity;
    return with_error(value, known && certain && value == value ? 0 : upward::kInfinity);
  }

  /// A function of an argument that is infinite or unbounded, or at a pole.
  static Bounded function_at_infinity(const T& value, const Bounded& x) {
    if (x.error_ != 0 || value != value) return with_error(value, upward::kInfinity);
    if (!finite(value) || value == 0) return with_error(value, 0);
    return function(value, function_size(value), 0);
  }

  /// A function's result: `size` is at least the exact one, `propagated` what the argument's error did to it.
  static Bounded function(const T& value, double size, double propagated) {
    const RoundingProfile& profile = current_rounding();
    const double error =
        rounding(profile.unit, upward::sum(size, propagated), profile.function_units, own_function_unit());
    return with_error(value, upward::sum(propagated, error));
  }

  /// Computes the bound from the parts of the sum. A partial sum that may overflow leaves nothing to promise.
  void settle() {
    if (!finite(value_) && value_ == value_ && inherited_ == 0 && terms_ == 1) {
      error_ = 0;
      return;
    }
    const double unit = upward::sum(current_rounding().unit, own_unit());
    error_ = inherited_;
    if (terms_ > 1) {
      const double size = upward::sum(magnitude_, inherited_);
      error_ = upward::sum(inherited_, upward::product(upward::gamma(terms_ - 1, unit), size));
    }
    if (!(upward::sum(magnitude_, error_) <= current_rounding().largest)) {
      error_ = inherited_ = upward::kInfinity;
    }
  }

  T value_;
  bool literal_ = false;
  Index terms_ = 0;
  double magnitude_ = 0;
  double inherited_ = 0;  // the sum of the error bounds of the terms
  double error_ = 0;
};

}  // namespace etalon
