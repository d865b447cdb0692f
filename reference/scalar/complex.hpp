/// \file
/// Complex numbers over any number type (`std::complex` is defined for the built-in ones only), and roots of
/// unity, real and in the finite field of p^2 elements, where a Fourier transform and its inverse cancel
/// exactly.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>

#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"
#include "reference/scalar/prime_field.hpp"

namespace etalon {

/// re + i im. A product is the schoolbook one, 4 multiplications and 2 additions of `T`; exact counts of
/// operations rely on it.
///
/// `Complex<PrimeField>` is the field of p^2 elements: p = 3 modulo 4, so -1 has no square root modulo p, and
/// re^2 + im^2 = 0 only for zero.
template <Ring T>
struct Complex {
  T re = T(0);
  T im = T(0);

  Complex() = default;

  /// A literal of the text; the imaginary part is a literal 0.
  template <std::integral I>
  Complex(I literal) : re(T(static_cast<std::int64_t>(literal))) {}

  /// Data; the imaginary part is a literal 0.
  template <std::floating_point F>
  Complex(F data) : re(T(data)) {}

  Complex(const T& real_part) : re(real_part) {}
  Complex(const T& real_part, const T& imaginary_part) : re(real_part), im(imaginary_part) {}

  Complex& operator+=(const Complex& b) { return *this = *this + b; }
  Complex& operator-=(const Complex& b) { return *this = *this - b; }
  Complex& operator*=(const Complex& b) { return *this = *this * b; }
  Complex& operator/=(const Complex& b) requires Field<T> { return *this = *this / b; }

  friend Complex operator+(const Complex& a, const Complex& b) { return {a.re + b.re, a.im + b.im}; }
  friend Complex operator-(const Complex& a, const Complex& b) { return {a.re - b.re, a.im - b.im}; }
  friend Complex operator-(const Complex& a) { return {-a.re, -a.im}; }
  friend Complex operator*(const Complex& a, const Complex& b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }

  /// a conj(b) / |b|^2. In floating point, |b|^2 overflows before b does.
  friend Complex operator/(const Complex& a, const Complex& b) requires Field<T> {
    return (a * conj(b)) / norm(b);
  }

  /// Scaling by a real number costs 2 multiplications. A template, so that only a `T` itself is taken as a
  /// scale.
  template <std::same_as<T> S>
  friend Complex operator*(const Complex& a, const S& scale) {
    return {a.re * scale, a.im * scale};
  }
  template <std::same_as<T> S>
  friend Complex operator*(const S& scale, const Complex& a) {
    return {scale * a.re, scale * a.im};
  }
  template <std::same_as<T> S>
  requires Field<T>
  friend Complex operator/(const Complex& a, const S& scale) { return {a.re / scale, a.im / scale}; }

  friend bool operator==(const Complex& a, const Complex& b) { return a.re == b.re && a.im == b.im; }

  friend std::ostream& operator<<(std::ostream& out, const Complex& a) {
    return out << "(" << a.re << " + " << a.im << " i)";
  }
};

/// re - i im. In `Complex<PrimeField>` this is z^p: it inverts a root of unity only when the order of the
/// root divides p + 1 = 2^61, so a text that means the inverse of a root writes `T(1) / root`.
template <class T>
Complex<T> conj(const Complex<T>& z) {
  return {z.re, -z.im};
}

/// The square of the modulus, re^2 + im^2.
template <class T>
T norm(const Complex<T>& z) {
  return z.re * z.re + z.im * z.im;
}

template <class T>
bool finite(const Complex<T>& z) {
  return finite(z.re) && finite(z.im);
}

template <class T>
Complex<T> stored(const Complex<T>& z) {
  return {stored(z.re), stored(z.im)};
}

/// e^z.
template <Real T>
Complex<T> exp(const Complex<T>& z) {
  const T modulus = exp(z.re);
  return {modulus * cos(z.im), modulus * sin(z.im)};
}

/// w = e^z - 1 without cancellation. With z = x + i y, the real part e^x cos y - 1 is
/// (e^x - 1) cos y + (cos y - 1) = expm1(x) cos y - 2 sin^2(y / 2).
///
/// Neither term is large beside |w|. With s = sin(y / 2), |w|^2 = (e^x - 1)^2 + 4 e^x s^2, which is at least
/// (e^x - 1)^2, and at least (e^x - 1)^2 s^2 + 4 e^x s^2 = (e^x + 1)^2 s^2. So the terms are at most |w| and
/// 2 |w|; each passes 4 roundings, the imaginary part 3. With correctly rounded functions the error is
/// therefore at most sqrt(12^2 + 3^2) < 13 units of roundoff of |w|.
template <Real T>
Complex<T> expm1(const Complex<T>& z) {
  const T half_sine = sin(z.im / T(2));
  return {expm1(z.re) * cos(z.im) - T(2) * half_sine * half_sine, exp(z.re) * sin(z.im)};
}

/// base^exponent, by repeated squaring; anything to the power 0 is 1.
template <Ring T>
Complex<T> pow(Complex<T> base, WideUnsigned exponent) {
  Complex<T> result(1);
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result *= base;
    if (exponent > 1) base *= base;
  }
  return result;
}

/// The same for the usual integers.
/// \throws std::invalid_argument for a negative exponent
template <Ring T, std::integral I>
Complex<T> pow(const Complex<T>& base, I exponent) {
  require(exponent >= I{0}, "pow", "exponent", std::to_string(exponent), "0 or more");
  return pow(base, static_cast<WideUnsigned>(exponent));
}

/// p^2 - 1 = 2^62 (2^60 - 1): the number of elements other than zero of `Complex<PrimeField>`.
inline constexpr WideUnsigned kUnitsOfPrimeFieldSquared =
    static_cast<WideUnsigned>(PrimeField::modulus) * PrimeField::modulus - 1;

/// Its prime factors. All are small, hence the many orders that roots of unity have here.
inline constexpr std::array<std::uint64_t, 12> kPrimesOfPrimeFieldSquared = {2,  3,  5,  7,   11,  13,
                                                                             31, 41, 61, 151, 331, 1321};

/// True when z^order = 1 and no smaller power of z is 1. It suffices to try the powers order / q for the
/// primes q that divide the order.
inline bool is_primitive_root(const Complex<PrimeField>& z, WideUnsigned order) {
  if (order == 0 || kUnitsOfPrimeFieldSquared % order != 0) return false;
  const Complex<PrimeField> one(1);
  if (pow(z, order) != one) return false;
  for (const std::uint64_t prime : kPrimesOfPrimeFieldSquared) {
    if (order % prime == 0 && pow(z, order / prime) == one) return false;
  }
  return true;
}

/// An element whose powers are all the p^2 - 1 elements other than zero: the first of 1 + i, 2 + i, 3 + i,
/// ... that is one. About one element in five is.
inline const Complex<PrimeField>& generator_of_prime_field_squared() {
  static const Complex<PrimeField> generator = [] {
    Complex<PrimeField> candidate(PrimeField(1), PrimeField(1));
    while (!is_primitive_root(candidate, kUnitsOfPrimeFieldSquared)) candidate.re += PrimeField(1);
    return candidate;
  }();
  return generator;
}

/// How a number type finds its roots of unity. This one is for real numbers: e^(2 pi i / order).
template <class T>
struct RootOfUnity {
  static Complex<T> of(Index order) requires Real<T> {
    const T angle = T(2) * pi<T>() / T(order);
    return {cos(angle), sin(angle)};
  }
};

template <>
struct RootOfUnity<PrimeField> {
  static Complex<PrimeField> of(Index order) {
    const auto wide_order = static_cast<WideUnsigned>(order);
    require(kUnitsOfPrimeFieldSquared % wide_order == 0, "root_of_unity", "order", std::to_string(order),
            "a divisor of p^2 - 1 = 2^62 * 3^2 * 5^2 * 7 * 11 * 13 * 31 * 41 * 61 * 151 * 331 * 1321"
            " (p = 2^61 - 1)");
    return pow(generator_of_prime_field_squared(), kUnitsOfPrimeFieldSquared / wide_order);
  }
};

/// A primitive root of unity: its powers 1 ... order - 1 differ from 1, its power `order` is 1. The roots of
/// different orders belong together: root_of_unity(a b)^b = root_of_unity(a).
///
/// For real numbers it is e^(2 pi i / order); with correctly rounded functions each part is, to first order,
/// within (4 pi / order + 1) units of roundoff. For `PrimeField` it is exact, and every order exists that
/// divides p^2 - 1, so every power of two up to 2^62.
///
/// \throws std::invalid_argument when the order is below 1, or when `PrimeField` has no root of that order
template <class T>
Complex<T> root_of_unity(Index order) {
  require(order >= 1, "root_of_unity", "order", std::to_string(order), "1 or more");
  return RootOfUnity<T>::of(order);
}

static_assert(Field<Complex<double>> && Field<Complex<PrimeField>>);

}  // namespace etalon
