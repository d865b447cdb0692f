/// \file
/// A number as real kernels treat it: tensors lie in memory in a narrow format, all arithmetic happens in a
/// wider one.
#pragma once

#include <cmath>
#include <compare>
#include <concepts>
#include <cstdint>

#include "reference/scalar/concepts.hpp"

namespace etalon {

/// A value of type `Accumulate` whose inputs, and whatever a text marks with `stored`, are rounded to
/// `Storage`, as in `Mixed<BFloat16, float>`. Every operation is one of `Accumulate`.
///
/// `Accumulate` must contain every value of `Storage`: then going from storage to accumulator is exact. Both
/// convert to double exactly, so going back rounds once.
template <class Storage, Real Accumulate>
class Mixed {
 public:
  /// Zero.
  Mixed() : value_(std::int64_t{0}) {}

  /// A literal of the text lives in the accumulator; it was never in memory.
  template <std::integral I>
  explicit Mixed(I n) : value_(static_cast<Accumulate>(static_cast<std::int64_t>(n))) {}

  /// Data is read from memory: rounded to `Storage`.
  explicit Mixed(double x) : value_(through_storage(x)) {}

  /// A value that is in the accumulator already, not rounded.
  static Mixed from_accumulator(const Accumulate& value) {
    Mixed x;
    x.value_ = value;
    return x;
  }
  const Accumulate& accumulator() const { return value_; }

  explicit operator double() const { return static_cast<double>(value_); }

  /// Writes the value to memory and reads it back.
  friend Mixed stored(const Mixed& x) { return Mixed(static_cast<double>(x.value_)); }

  friend Mixed operator+(const Mixed& a, const Mixed& b) { return from_accumulator(a.value_ + b.value_); }
  friend Mixed operator-(const Mixed& a, const Mixed& b) { return from_accumulator(a.value_ - b.value_); }
  friend Mixed operator*(const Mixed& a, const Mixed& b) { return from_accumulator(a.value_ * b.value_); }
  friend Mixed operator/(const Mixed& a, const Mixed& b) { return from_accumulator(a.value_ / b.value_); }
  friend Mixed operator-(const Mixed& a) { return from_accumulator(-a.value_); }
  Mixed& operator+=(const Mixed& b) { return *this = *this + b; }
  Mixed& operator-=(const Mixed& b) { return *this = *this - b; }
  Mixed& operator*=(const Mixed& b) { return *this = *this * b; }
  Mixed& operator/=(const Mixed& b) { return *this = *this / b; }

  friend bool operator==(const Mixed& a, const Mixed& b) { return a.value_ == b.value_; }
  friend std::partial_ordering operator<=>(const Mixed& a, const Mixed& b) { return a.value_ <=> b.value_; }

  friend bool isfinite(const Mixed& x) {
    using std::isfinite;
    return isfinite(x.value_);
  }
  friend bool isnan(const Mixed& x) {
    using std::isnan;
    return isnan(x.value_);
  }

  friend Mixed exp(const Mixed& x) { return from_accumulator(exp(x.value_)); }
  friend Mixed expm1(const Mixed& x) { return from_accumulator(expm1(x.value_)); }
  friend Mixed log(const Mixed& x) { return from_accumulator(log(x.value_)); }
  friend Mixed log1p(const Mixed& x) { return from_accumulator(log1p(x.value_)); }
  friend Mixed sqrt(const Mixed& x) { return from_accumulator(sqrt(x.value_)); }
  friend Mixed sin(const Mixed& x) { return from_accumulator(sin(x.value_)); }
  friend Mixed cos(const Mixed& x) { return from_accumulator(cos(x.value_)); }
  friend Mixed atan(const Mixed& x) { return from_accumulator(atan(x.value_)); }
  friend Mixed tanh(const Mixed& x) { return from_accumulator(tanh(x.value_)); }

 private:
  static Accumulate through_storage(double x) {
    return static_cast<Accumulate>(static_cast<double>(static_cast<Storage>(x)));
  }

  Accumulate value_;
};

}  // namespace etalon
