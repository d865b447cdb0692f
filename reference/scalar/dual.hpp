/// \file
/// Numbers that carry their derivative: value + epsilon tangent with epsilon^2 = 0. Running a text on them
/// differentiates it, without a second program that could be wrong.
#pragma once

#include <concepts>
#include <cstdint>
#include <ostream>

#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon {

/// A value and its derivative along one direction. Inputs take the direction as their tangent; the tangents
/// of the outputs are then the directional derivative. Over exact numbers it is exact.
///
/// Over `RationalExp2`, whose exp is 2^x, the rule D exp(x) = exp(x) D x leaves out the factor log 2 on
/// purpose. "This closed-form backward is the adjoint of that forward" is an identity between rational
/// functions of x and exp(x) in which nothing is used of the derivative but the rules of sums, products and
/// quotients and D exp(x) = exp(x) D x; any D that obeys them decides it.
template <Ring T>
struct Dual {
  T value = T(0);
  T tangent = T(0);

  Dual() = default;

  /// A literal of the text, with the tangent 0.
  template <std::integral I>
  Dual(I literal) : value(T(static_cast<std::int64_t>(literal))) {}

  /// Data that is held constant, with the tangent 0.
  template <std::floating_point F>
  Dual(F data) : value(T(data)) {}

  Dual(const T& constant) : value(constant) {}
  Dual(const T& at, const T& direction) : value(at), tangent(direction) {}

  Dual& operator+=(const Dual& b) { return *this = *this + b; }
  Dual& operator-=(const Dual& b) { return *this = *this - b; }
  Dual& operator*=(const Dual& b) { return *this = *this * b; }
  Dual& operator/=(const Dual& b) requires Field<T> { return *this = *this / b; }

  friend Dual operator+(const Dual& a, const Dual& b) { return {a.value + b.value, a.tangent + b.tangent}; }
  friend Dual operator-(const Dual& a, const Dual& b) { return {a.value - b.value, a.tangent - b.tangent}; }
  friend Dual operator-(const Dual& a) { return {-a.value, -a.tangent}; }
  friend Dual operator*(const Dual& a, const Dual& b) {
    return {a.value * b.value, a.tangent * b.value + a.value * b.tangent};
  }
  friend Dual operator/(const Dual& a, const Dual& b) requires Field<T> {
    const T quotient = a.value / b.value;
    return {quotient, (a.tangent - quotient * b.tangent) / b.value};
  }

  /// Both parts agree. (The order below looks at the values alone, as a branch of the text does.)
  friend bool operator==(const Dual& a, const Dual& b) {
    return a.value == b.value && a.tangent == b.tangent;
  }

  friend bool operator<(const Dual& a, const Dual& b) requires OrderedField<T> { return a.value < b.value; }
  friend bool operator>(const Dual& a, const Dual& b) requires OrderedField<T> { return a.value > b.value; }
  friend bool operator<=(const Dual& a, const Dual& b) requires OrderedField<T> { return a.value <= b.value; }
  friend bool operator>=(const Dual& a, const Dual& b) requires OrderedField<T> { return a.value >= b.value; }

  friend std::ostream& operator<<(std::ostream& out, const Dual& a) {
    return out << a.value << " + epsilon " << a.tangent;
  }
};

template <class T>
requires requires(const T& x) {
  exp(x);
}
Dual<T> exp(const Dual<T>& x) {
  const T value = exp(x.value);
  return {value, value * x.tangent};
}

template <class T>
requires requires(const T& x) {
  expm1(x);
}
Dual<T> expm1(const Dual<T>& x) {
  return {expm1(x.value), exp(x.value) * x.tangent};
}

template <class T>
requires requires(const T& x) {
  log(x);
}
Dual<T> log(const Dual<T>& x) {
  return {log(x.value), x.tangent / x.value};
}

template <class T>
requires requires(const T& x) {
  log1p(x);
}
Dual<T> log1p(const Dual<T>& x) {
  return {log1p(x.value), x.tangent / (T(1) + x.value)};
}

/// At zero the derivative is infinite, or a division by zero where the numbers have no infinity.
template <class T>
requires requires(const T& x) {
  sqrt(x);
}
Dual<T> sqrt(const Dual<T>& x) {
  const T value = sqrt(x.value);
  return {value, x.tangent / (T(2) * value)};
}

template <class T>
requires requires(const T& x) {
  sin(x), cos(x);
}
Dual<T> sin(const Dual<T>& x) {
  return {sin(x.value), cos(x.value) * x.tangent};
}

template <class T>
requires requires(const T& x) {
  sin(x), cos(x);
}
Dual<T> cos(const Dual<T>& x) {
  return {cos(x.value), -(sin(x.value) * x.tangent)};
}

template <class T>
requires requires(const T& x) {
  atan(x);
}
Dual<T> atan(const Dual<T>& x) {
  return {atan(x.value), x.tangent / (T(1) + x.value * x.value)};
}

/// The derivative 1 - tanh^2 loses all its digits where tanh is close to 1. With q = e^(-2 |x|) it is
/// 4 q / (1 + q)^2, which loses none.
template <class T>
requires requires(const T& x) {
  tanh(x), exp(x), x < x;
}
Dual<T> tanh(const Dual<T>& x) {
  const T magnitude = x.value < T(0) ? -x.value : x.value;
  const T q = exp(-(T(2) * magnitude));
  const T one_plus_q = T(1) + q;
  return {tanh(x.value), T(4) * q / (one_plus_q * one_plus_q) * x.tangent};
}

template <class T>
bool finite(const Dual<T>& x) {
  return finite(x.value) && finite(x.tangent);
}

/// The value is what a kernel stores; the derivative of the rounding is taken as 1.
template <class T>
Dual<T> stored(const Dual<T>& x) {
  return {stored(x.value), x.tangent};
}

/// Roots of unity are constants.
template <class T>
struct RootOfUnity<Dual<T>> {
  static Complex<Dual<T>> of(Index order) {
    const Complex<T> root = root_of_unity<T>(order);
    return {Dual<T>(root.re), Dual<T>(root.im)};
  }
};

static_assert(Real<Dual<double>> && Field<Dual<PrimeField>> && !OrderedField<Dual<PrimeField>>);

}  // namespace etalon
