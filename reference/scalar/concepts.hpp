/// \file
/// What an algorithm demands of its numbers. A text is a template over the scalar `T`; the concept that it
/// names says what mathematics it needs, and so in which arithmetic its claims can be decided.
///
/// | concept        | operations                    | exact arithmetic that has them |
/// |----------------|-------------------------------|--------------------------------|
/// | `Ring`         | + - *                         | `PrimeField`, `Rational`       |
/// | `Field`        | and /                         | `PrimeField`, `Rational`       |
/// | `OrderedField` | and <                         | `Rational`                     |
/// | `Exponential`  | and exp                       | `RationalExp2`                 |
/// | `Real`         | and log, sqrt, sin, cos, ...  | none: `Real50` and a bound     |
///
/// Two conventions hold for every number type, so that costs and error bounds can be exact:
/// - a value made from an *integer* is a literal of the text: `T(0)`, `T(1)`, `T(2 * n + 1)`. Operations with
/// a
///   literal 0 or 1 are free and exact.
/// - a value made from a *floating-point number* is data.
///
/// The functions below are found by their plain names from inside `namespace etalon`; the overloads for the
/// built-in types stand here, those of the other number types beside the type.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>

namespace etalon {

inline double exp(double x) {
  return std::exp(x);
}
inline double expm1(double x) {
  return std::expm1(x);
}
inline double log(double x) {
  return std::log(x);
}
inline double log1p(double x) {
  return std::log1p(x);
}
inline double sqrt(double x) {
  return std::sqrt(x);
}
inline double sin(double x) {
  return std::sin(x);
}
inline double cos(double x) {
  return std::cos(x);
}
inline double atan(double x) {
  return std::atan(x);
}
inline double tanh(double x) {
  return std::tanh(x);
}
inline float exp(float x) {
  return std::exp(x);
}
inline float expm1(float x) {
  return std::expm1(x);
}
inline float log(float x) {
  return std::log(x);
}
inline float log1p(float x) {
  return std::log1p(x);
}
inline float sqrt(float x) {
  return std::sqrt(x);
}
inline float sin(float x) {
  return std::sin(x);
}
inline float cos(float x) {
  return std::cos(x);
}
inline float atan(float x) {
  return std::atan(x);
}
inline float tanh(float x) {
  return std::tanh(x);
}

/// Numbers that can be added and multiplied.
template <class T>
concept Ring = std::copyable<T> && requires(T a, const T b) {
  T(std::int64_t{1});
  { b + b } -> std::convertible_to<T>;
  { b - b } -> std::convertible_to<T>;
  { b* b } -> std::convertible_to<T>;
  { -b } -> std::convertible_to<T>;
  { a += b } -> std::same_as<T&>;
  { a -= b } -> std::same_as<T&>;
  { a *= b } -> std::same_as<T&>;
};

/// A ring in which every number but zero can be divided by.
template <class T>
concept Field = Ring<T> && requires(T a, const T b) {
  { b / b } -> std::convertible_to<T>;
  { a /= b } -> std::same_as<T&>;
};

/// A field whose numbers lie on a line.
template <class T>
concept OrderedField = Field<T> && requires(const T a) {
  { a < a } -> std::convertible_to<bool>;
};

/// An ordered field with a function `exp` for which exp(a + b) = exp(a) exp(b) and exp(a) > 0. Nothing else
/// may be assumed of it: `RationalExp2` reads it as 2^x.
template <class T>
concept Exponential = OrderedField<T> && requires(const T a) {
  { exp(a) } -> std::convertible_to<T>;
};

/// The real numbers, as far as a text may use them.
template <class T>
concept Real = Exponential<T> && requires(const T a) {
  { expm1(a) } -> std::convertible_to<T>;
  { log(a) } -> std::convertible_to<T>;
  { log1p(a) } -> std::convertible_to<T>;
  { sqrt(a) } -> std::convertible_to<T>;
  { sin(a) } -> std::convertible_to<T>;
  { cos(a) } -> std::convertible_to<T>;
  { atan(a) } -> std::convertible_to<T>;
  { tanh(a) } -> std::convertible_to<T>;
};

/// The larger of two numbers. A function of its own, because a maximum over many is associative (`Traced` may
/// bracket it freely) and does not amplify errors (`Bounded` knows).
template <OrderedField T>
T maximum(const T& a, const T& b) {
  return a < b ? b : a;
}

/// Marks the places where a kernel writes a value in its storage format, such as the probabilities of
/// attention or the carried state of a chunked recurrence. The identity, except in `Mixed<Storage,
/// Accumulate>`, which rounds, and in `Bounded`, which accounts for that rounding.
template <class T>
T stored(const T& x) {
  return x;
}

/// False for infinities and for what is not a number; every value of an exact arithmetic is finite.
template <class T>
bool finite(const T& x) {
  using std::isfinite;
  if constexpr (requires { isfinite(x); }) {
    return isfinite(x);
  } else {
    return true;
  }
}

/// The ratio of a circle's circumference to its diameter, in any real arithmetic.
template <Real T>
T pi() {
  return T(4) * atan(T(1));
}

}  // namespace etalon
