/// \file
/// A float whose multiplication is L-Mul: what becomes of an algorithm if every one of its multiplications is
/// replaced by an integer addition?
#pragma once

#include <cmath>
#include <compare>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "reference/approximation/l_mul.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon {

/// A number in which `*` is L-Mul (\cite luo2024addition) and everything else, division included, is that of
/// float.
///
/// **1 * x is not x here**: it is 1.03 x to 1.06 x at the default width, and (1 + 2^-l(m)) x if x is a power
/// of two. The neutral number is 1 - 2^-(l(m) + 1). A text must not multiply by one in passing. Nor is *
/// distributive over +, and `pi`, which multiplies, is not the circle number. For finite x, 0 * x is 0;
/// subnormal factors count as zero, and subnormal products are zero.
///
/// The mantissa width and the other choices are settings of the running thread, changed by an `LMulSetting`.
class LMul {
 public:
  /// Mantissa bits kept of the factors, 1 to 23. At 23 they are not rounded.
  static inline thread_local int mantissa_bits = 23;
  static inline thread_local l_mul::Rounding rounding = l_mul::Rounding::nearest_even;
  static inline thread_local l_mul::Offset offset = l_mul::Offset::paper;

  /// Zero.
  LMul() = default;
  /// A literal.
  template <std::integral I>
  explicit LMul(I n) : value_(static_cast<float>(n)) {}
  /// Data, rounded to float.
  explicit LMul(double x) : value_(static_cast<float>(x)) {}

  explicit operator double() const { return static_cast<double>(value_); }
  float value() const { return value_; }

  friend LMul operator*(const LMul& a, const LMul& b) {
    return from_float(l_mul::multiply(a.value_, b.value_, mantissa_bits, rounding, offset));
  }
  friend LMul operator+(const LMul& a, const LMul& b) { return from_float(a.value_ + b.value_); }
  friend LMul operator-(const LMul& a, const LMul& b) { return from_float(a.value_ - b.value_); }
  friend LMul operator/(const LMul& a, const LMul& b) { return from_float(a.value_ / b.value_); }
  friend LMul operator-(const LMul& a) { return from_float(-a.value_); }
  LMul& operator+=(const LMul& b) { return *this = *this + b; }
  LMul& operator-=(const LMul& b) { return *this = *this - b; }
  LMul& operator*=(const LMul& b) { return *this = *this * b; }
  LMul& operator/=(const LMul& b) { return *this = *this / b; }

  friend bool operator==(const LMul& a, const LMul& b) { return a.value_ == b.value_; }
  friend std::partial_ordering operator<=>(const LMul& a, const LMul& b) { return a.value_ <=> b.value_; }

  friend bool isfinite(const LMul& x) { return std::isfinite(x.value_); }
  friend bool isnan(const LMul& x) { return std::isnan(x.value_); }

  friend LMul exp(const LMul& x) { return from_float(std::exp(x.value_)); }
  friend LMul expm1(const LMul& x) { return from_float(std::expm1(x.value_)); }
  friend LMul log(const LMul& x) { return from_float(std::log(x.value_)); }
  friend LMul log1p(const LMul& x) { return from_float(std::log1p(x.value_)); }
  friend LMul sqrt(const LMul& x) { return from_float(std::sqrt(x.value_)); }
  friend LMul sin(const LMul& x) { return from_float(std::sin(x.value_)); }
  friend LMul cos(const LMul& x) { return from_float(std::cos(x.value_)); }
  friend LMul atan(const LMul& x) { return from_float(std::atan(x.value_)); }
  friend LMul tanh(const LMul& x) { return from_float(std::tanh(x.value_)); }

 private:
  static LMul from_float(float value) {
    LMul x;
    x.value_ = value;
    return x;
  }

  float value_ = 0;
};

/// Changes the settings of `LMul` in this thread, and restores the previous ones at the end of its scope.
class [[nodiscard]] LMulSetting {
 public:
  /// \param mantissa_bits 1 to 23
  /// \throws std::invalid_argument for any other number of mantissa bits
  explicit LMulSetting(int mantissa_bits, l_mul::Rounding rounding = l_mul::Rounding::nearest_even,
                       l_mul::Offset offset = l_mul::Offset::paper) {
    if (mantissa_bits < 1 || mantissa_bits > 23) {
      throw std::invalid_argument("LMulSetting: mantissa_bits is " + std::to_string(mantissa_bits) +
                                  ", expected 1 to 23");
    }
    LMul::mantissa_bits = mantissa_bits;
    LMul::rounding = rounding;
    LMul::offset = offset;
  }
  ~LMulSetting() {
    LMul::mantissa_bits = previous_bits_;
    LMul::rounding = previous_rounding_;
    LMul::offset = previous_offset_;
  }
  LMulSetting(const LMulSetting&) = delete;
  LMulSetting& operator=(const LMulSetting&) = delete;

 private:
  int previous_bits_ = LMul::mantissa_bits;
  l_mul::Rounding previous_rounding_ = LMul::rounding;
  l_mul::Offset previous_offset_ = LMul::offset;
};

}  // namespace etalon
