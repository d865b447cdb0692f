/// \file
/// Tests of complex arithmetic, of its exponential, and of roots of unity: exact ones in the field of p^2
/// elements, rounded ones in real arithmetic.
#include "reference/scalar/complex.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <vector>

#include "reference/scalar/prime_field.hpp"
#include "reference/scalar/rational.hpp"
#include "reference/scalar/real.hpp"

namespace etalon {
namespace {

using Exact = Complex<PrimeField>;

Exact draw_exact() {
  const auto uniform = rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>());
  const PrimeField re(*uniform);
  return Exact(re, PrimeField(*uniform));
}

Complex<Rational> draw_fraction() {
  const auto part = rc::gen::inRange<std::int64_t>(-100, 101);
  const auto below = rc::gen::inRange<std::int64_t>(1, 50);
  const Rational re(*part, *below);
  return Complex<Rational>(re, Rational(*part, *below));
}

/// The field axioms, and division as the inverse of multiplication, in an exact arithmetic.
template <class T>
void assert_field(const Complex<T>& a, const Complex<T>& b, const Complex<T>& c) {
  RC_ASSERT((a + b) + c == a + (b + c));
  RC_ASSERT((a * b) * c == a * (b * c));
  RC_ASSERT(a + b == b + a);
  RC_ASSERT(a * b == b * a);
  RC_ASSERT(a * (b + c) == a * b + a * c);
  RC_ASSERT(a - b == a + (-b));
  RC_ASSERT(a * b.re == a * Complex<T>(b.re));
  RC_ASSERT(b.re * a == a * Complex<T>(b.re));
  RC_ASSERT(conj(a * b) == conj(a) * conj(b));
  RC_ASSERT(a * conj(a) == Complex<T>(norm(a)));
  if (b == Complex<T>(0)) return;
  RC_ASSERT(a / b * b == a);
  RC_ASSERT(a * b / b == a);
}

RC_GTEST_PROP(Complex, is_a_field_over_fractions, ()) {
  assert_field(draw_fraction(), draw_fraction(), draw_fraction());
}

RC_GTEST_PROP(Complex, is_a_field_over_the_prime_field, ()) {
  assert_field(draw_exact(), draw_exact(), draw_exact());
}

TEST(Complex, worked_by_hand) {
  using C = Complex<Rational>;
  EXPECT_EQ(C(Rational(1), Rational(2)) * C(Rational(3), Rational(4)), C(Rational(-5), Rational(10)));
  EXPECT_EQ(C(Rational(1), Rational(2)) / C(Rational(3), Rational(4)), C(Rational(11, 25), Rational(2, 25)));
  EXPECT_EQ(C(Rational(1), Rational(2)) / Rational(2), C(Rational(1, 2), Rational(1)));
  EXPECT_EQ(norm(C(Rational(3), Rational(-4))), Rational(25));
  EXPECT_EQ(C(0.5) + C(std::int64_t{1}), C(Rational(3, 2)));
  EXPECT_EQ(pow(C(Rational(1), Rational(1)), 8), C(16));
  EXPECT_EQ(pow(C(0), 0), C(1));
  EXPECT_EQ(Complex<double>(1, 2) * 2, Complex<double>(2, 4));
  EXPECT_THROW(pow(C(2), -1), std::invalid_argument);
  EXPECT_THROW(Exact(1) / Exact(0), std::domain_error);
}

TEST(Complex, finite) {
  EXPECT_TRUE(finite(Complex<double>(1, 2)));
  EXPECT_FALSE(finite(Complex<double>(1, INFINITY)));
  EXPECT_FALSE(finite(Complex<double>(NAN, 1)));
  EXPECT_TRUE(finite(Complex<Rational>(1)));
}

/// A number that counts what is done to it.
struct Tally {
  double value = 0;
  static inline int additions = 0, multiplications = 0, divisions = 0;

  Tally(std::int64_t literal) : value(static_cast<double>(literal)) {}
  Tally(double data) : value(data) {}
  friend Tally operator+(const Tally& a, const Tally& b) { return ++additions, Tally(a.value + b.value); }
  friend Tally operator-(const Tally& a, const Tally& b) { return ++additions, Tally(a.value - b.value); }
  friend Tally operator*(const Tally& a, const Tally& b) {
    return ++multiplications, Tally(a.value * b.value);
  }
  friend Tally operator/(const Tally& a, const Tally& b) { return ++divisions, Tally(a.value / b.value); }
  friend Tally operator-(const Tally& a) { return Tally(-a.value); }
  Tally& operator+=(const Tally& b) { return *this = *this + b; }
  Tally& operator-=(const Tally& b) { return *this = *this - b; }
  Tally& operator*=(const Tally& b) { return *this = *this * b; }
  Tally& operator/=(const Tally& b) { return *this = *this / b; }
};

/// Additions, multiplications and divisions of a call.
template <class F>
std::vector<int> cost(F call) {
  Tally::additions = Tally::multiplications = Tally::divisions = 0;
  call();
  return {Tally::additions, Tally::multiplications, Tally::divisions};
}

TEST(Complex, costs) {
  const Complex<Tally> a(Tally(1.5), Tally(2.5));
  const Complex<Tally> b(Tally(3.5), Tally(4.5));
  Complex<Tally> c = a;
  EXPECT_EQ(cost([&] { a + b; }), (std::vector{2, 0, 0}));
  EXPECT_EQ(cost([&] { a* b; }), (std::vector{2, 4, 0}));
  EXPECT_EQ(cost([&] { c *= b; }), (std::vector{2, 4, 0}));
  EXPECT_EQ(cost([&] { a* b.re; }), (std::vector{0, 2, 0}));
  EXPECT_EQ(cost([&] { a / b.re; }), (std::vector{0, 0, 2}));
  EXPECT_EQ(cost([&] { norm(a); }), (std::vector{1, 2, 0}));
  EXPECT_EQ(cost([&] { a / b; }), (std::vector{3, 6, 2}));
}

/// The largest relative error of n roundings in a product, n u / (1 - n u). \cite higham2002accuracy
template <class T>
Real100 gamma(int n) {
  const Real100 nu = Real100(n) * Real100(unit_roundoff<T>());
  return nu / (1 - nu);
}

Complex<Real100> widen(const Complex<Real50>& z) {
  return {Real100(z.re), Real100(z.im)};
}

/// Each part is a product of two correctly rounded functions: three roundings.
TEST(Complex, exp_within_three_roundings) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> draw(-20, 20);
  for (int i = 0; i < 200; ++i) {
    const Complex<Real50> z(Real50(draw(random)), Real50(draw(random)));
    const Complex<Real100> got = widen(exp(z));
    const Complex<Real100> truth = exp(widen(z));
    const Real100 bound = gamma<Real50>(3) + gamma<Real100>(4);
    EXPECT_LE(abs(got.re - truth.re), bound * abs(truth.re)) << z;
    EXPECT_LE(abs(got.im - truth.im), bound * abs(truth.im)) << z;
  }
}

/// |got - (e^z - 1)| in units of what is allowed: 13 units of roundoff of |e^z - 1| as derived in
/// complex.hpp. The truth is e^z - 1 as it stands, with 100 digits; what cancels there is counted: an error
/// of at most 4 units of roundoff of 100 digits in numbers of magnitude e^x + 1.
double expm1_error(const Complex<Real50>& z, const Complex<Real50>& got) {
  const Complex<Real100> truth = exp(widen(z)) - Complex<Real100>(1);
  const Real100 magnitude = sqrt(norm(truth));
  const Real100 of_truth = gamma<Real100>(4) * (exp(Real100(z.re)) + 1);
  const Real100 allowed = 13 * Real100(unit_roundoff<Real50>()) * magnitude + of_truth;
  return static_cast<double>(sqrt(norm(widen(got) - truth)) / allowed);
}

TEST(Complex, expm1_does_not_cancel) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> mantissa(-1, 1);
  for (int scale = -60; scale <= 5; ++scale) {
    for (int i = 0; i < 10; ++i) {
      const double x = std::ldexp(mantissa(random), scale);
      const double y = std::ldexp(mantissa(random), scale);
      for (const Complex<double> z :
           {Complex<double>(x, y), Complex<double>(x, 2 * M_PI + y), Complex<double>(y * y / 2, y),
            Complex<double>(x, 0), Complex<double>(0, y)}) {
        const Complex<Real50> wide(Real50(z.re), Real50(z.im));
        EXPECT_LE(expm1_error(wide, expm1(wide)), 1) << wide;
      }
    }
  }
}

TEST(Complex, a_careless_expm1_is_rejected) {
  const Complex<Real50> z(Real50(1e-10), Real50(1e-10));
  EXPECT_GT(expm1_error(z, exp(z) - Complex<Real50>(1)), 1e6);
}

/// Rounded roots. The angle 2 pi / order carries two roundings, the function one: to first order
/// (2 * 2 pi / order + 1) units of roundoff; gamma bounds the rest of the series.
TEST(RootOfUnity, real_roots_are_on_the_circle) {
  for (const Index order : {1, 2, 3, 4, 5, 7, 8, 12, 1000, 1 << 20}) {
    const Complex<Real100> got = widen(root_of_unity<Real50>(order));
    const Complex<Real100> truth = root_of_unity<Real100>(order);
    const Real100 angle = 2 * pi<Real100>() / Real100(order);
    const Real100 bound =
        gamma<Real50>(2) * angle + gamma<Real50>(1) + gamma<Real100>(3) * angle + gamma<Real100>(1);
    EXPECT_LE(abs(got.re - truth.re), bound) << order;
    EXPECT_LE(abs(got.im - truth.im), bound) << order;
  }
}

/// Some roots have closed forms; here the error of the square roots, one rounding, comes on top.
TEST(RootOfUnity, real_roots_known_in_closed_form) {
  const auto expect = [](Index order, const Real100& re, const Real100& im) {
    const Complex<Real100> got = root_of_unity<Real100>(order);
    const Real100 angle = 2 * pi<Real100>() / Real100(order);
    const Real100 bound = gamma<Real100>(3) * angle + gamma<Real100>(2);
    EXPECT_LE(abs(got.re - re), bound) << order;
    EXPECT_LE(abs(got.im - im), bound) << order;
  };
  const Real100 half = Real100(1) / 2;
  expect(1, 1, 0);
  expect(2, -1, 0);
  expect(3, -half, sqrt(Real100(3)) / 2);
  expect(4, 0, 1);
  expect(6, half, sqrt(Real100(3)) / 2);
  expect(8, sqrt(half), sqrt(half));
}

/// Divisors of p^2 - 1 = 2^62 * 3^2 * 5^2 * 7 * 11 * 13 * 31 * 41 * 61 * 151 * 331 * 1321.
std::vector<Index> some_orders() {
  std::vector<Index> orders = {1,  3,  5,  7,  9,   11,  13,  15,   25, 31, 41,
                               45, 61, 75, 77, 151, 225, 331, 1321, 6,  12, 100};
  for (int k = 1; k <= 20; ++k) orders.push_back(Index{1} << k);
  return orders;
}

TEST(RootOfUnity, the_number_of_units_factors_as_stated) {
  WideUnsigned rest = kUnitsOfPrimeFieldSquared;
  for (const std::uint64_t prime : kPrimesOfPrimeFieldSquared) {
    for (std::uint64_t divisor = 2; divisor < prime; ++divisor) ASSERT_NE(prime % divisor, 0u) << prime;
    ASSERT_TRUE(rest % prime == 0) << prime;
    while (rest % prime == 0) rest /= prime;
  }
  EXPECT_TRUE(rest == 1);
}

/// By brute force: none of the powers below the order is 1.
TEST(RootOfUnity, exact_roots_are_primitive) {
  const Exact one(1);
  for (const Index order : some_orders()) {
    const Exact root = root_of_unity<PrimeField>(order);
    EXPECT_TRUE(is_primitive_root(root, static_cast<WideUnsigned>(order)));
    Exact power = root;
    for (Index k = 1; k < order; ++k) {
      ASSERT_FALSE(power == one) << order << " power " << k;
      power *= root;
    }
    EXPECT_EQ(power, one) << order;
  }
}

TEST(RootOfUnity, exact_roots_of_every_power_of_two) {
  for (int k = 1; k <= 62; ++k) {
    Exact power = root_of_unity<PrimeField>(Index{1} << k);
    for (int i = 1; i < k; ++i) power *= power;
    EXPECT_EQ(power, Exact(-1)) << "2^" << k << ": half way round";
  }
}

TEST(RootOfUnity, roots_of_different_orders_belong_together) {
  EXPECT_EQ(pow(root_of_unity<PrimeField>(48), 3), root_of_unity<PrimeField>(16));
  EXPECT_EQ(pow(root_of_unity<PrimeField>(Index{1} << 62), Index{1} << 42),
            root_of_unity<PrimeField>(1 << 20));
}

TEST(RootOfUnity, conjugation_inverts_for_powers_of_two_only) {
  const Exact even = root_of_unity<PrimeField>(1 << 20);
  const Exact odd = root_of_unity<PrimeField>(3);
  EXPECT_EQ(conj(even) * even, Exact(1));
  EXPECT_NE(conj(odd) * odd, Exact(1));
  EXPECT_EQ(conj(odd), pow(odd, PrimeField::modulus));
}

TEST(RootOfUnity, the_check_rejects_roots_that_are_not_primitive) {
  const Exact root = root_of_unity<PrimeField>(24);
  EXPECT_TRUE(is_primitive_root(root, 24));
  EXPECT_FALSE(is_primitive_root(pow(root, 2), 24)) << "of order 12";
  EXPECT_FALSE(is_primitive_root(pow(root, 3), 24)) << "of order 8";
  EXPECT_TRUE(is_primitive_root(pow(root, 5), 24)) << "5 and 24 share no factor";
  EXPECT_FALSE(is_primitive_root(root, 12)) << "its twelfth power is -1";
  EXPECT_FALSE(is_primitive_root(root, 48));
  EXPECT_FALSE(is_primitive_root(Exact(0), 1));
  EXPECT_FALSE(is_primitive_root(root, 0));
  EXPECT_FALSE(is_primitive_root(root, 17)) << "17 does not divide p^2 - 1";
}

TEST(RootOfUnity, refuses_orders_that_have_none) {
  for (const Index order : {17, 19, 27, 49, 125}) {
    EXPECT_THROW(root_of_unity<PrimeField>(order), std::invalid_argument) << order;
  }
  EXPECT_THROW(root_of_unity<PrimeField>(0), std::invalid_argument);
  EXPECT_THROW(root_of_unity<PrimeField>(-2), std::invalid_argument);
  EXPECT_THROW(root_of_unity<double>(0), std::invalid_argument);
  try {
    root_of_unity<PrimeField>(17);
  } catch (const std::invalid_argument& error) {
    EXPECT_EQ(std::string(error.what()).find("root_of_unity: order is 17, expected a divisor of p^2 - 1"),
              0u);
  }
}

/// sum over j of x_j root^(j k), for k = 0 ... n - 1.
std::vector<Exact> fourier(const std::vector<Exact>& x, const Exact& root) {
  std::vector<Exact> transformed;
  for (std::size_t k = 0; k < x.size(); ++k) {
    Exact sum(0);
    for (std::size_t j = 0; j < x.size(); ++j) sum += x[j] * pow(root, j * k);
    transformed.push_back(sum);
  }
  return transformed;
}

std::vector<Exact> inverse_fourier(const std::vector<Exact>& x, const Exact& root) {
  std::vector<Exact> sums = fourier(x, Exact(1) / root);
  for (Exact& sum : sums) sum /= PrimeField(x.size());
  return sums;
}

std::vector<Exact> random_signal(std::size_t length, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Exact> signal;
  for (std::size_t j = 0; j < length; ++j) {
    const PrimeField re(random());
    signal.push_back(Exact(re, PrimeField(random())));
  }
  return signal;
}

TEST(RootOfUnity, inverse_fourier_transform_is_exactly_inverse) {
  for (const Index n : {1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 15, 16, 22, 25, 31, 32, 64}) {
    const Exact root = root_of_unity<PrimeField>(n);
    const std::vector<Exact> signal = random_signal(static_cast<std::size_t>(n), 3);
    EXPECT_EQ(inverse_fourier(fourier(signal, root), root), signal) << n;
  }
}

TEST(RootOfUnity, the_transform_of_a_root_that_is_not_primitive_is_not_invertible) {
  const Exact square = pow(root_of_unity<PrimeField>(8), 2);
  const std::vector<Exact> signal = random_signal(8, 4);
  EXPECT_NE(inverse_fourier(fourier(signal, square), square), signal);
}

TEST(RootOfUnity, products_of_transforms_are_cyclic_convolutions) {
  for (const std::size_t n : {1, 5, 8, 12, 31}) {
    const Exact root = root_of_unity<PrimeField>(static_cast<Index>(n));
    const std::vector<Exact> a = random_signal(n, 5);
    const std::vector<Exact> b = random_signal(n, 6);
    std::vector<Exact> convolution(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) convolution[(i + j) % n] += a[i] * b[j];
    }
    std::vector<Exact> product = fourier(a, root);
    const std::vector<Exact> other = fourier(b, root);
    for (std::size_t k = 0; k < n; ++k) product[k] *= other[k];
    EXPECT_EQ(inverse_fourier(product, root), convolution) << n;
  }
}

}  // namespace
}  // namespace etalon
