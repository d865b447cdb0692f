/// \file
/// Tests of arithmetic modulo 2^61 - 1 against integers of any size.
#include "reference/scalar/prime_field.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/multiprecision/gmp.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

namespace etalon {
namespace {

using boost::multiprecision::et_off;
using boost::multiprecision::number;
using Integer = number<boost::multiprecision::gmp_int, et_off>;
const Integer kP = (Integer(1) << 61) - 1;

/// The representative of an integer in 0 ... p - 1.
std::uint64_t reduced(const Integer& x) {
  const Integer remainder = x % kP;
  return static_cast<std::uint64_t>(remainder < 0 ? Integer(remainder + kP) : remainder);
}

/// The corners of the range, and what surrounds them.
std::vector<std::uint64_t> edge_values() {
  const std::uint64_t p = PrimeField::modulus;
  return {0, 1, 2, 3, (p - 1) / 2, (p + 1) / 2, p - 3, p - 2, p - 1};
}

void expect_agreement(std::uint64_t a, std::uint64_t b) {
  const PrimeField x(a);
  const PrimeField y(b);
  ASSERT_EQ((x + y).value(), reduced(Integer(a) + b)) << a << " " << b;
  ASSERT_EQ((x - y).value(), reduced(Integer(a) - b)) << a << " " << b;
  ASSERT_EQ((x * y).value(), reduced(Integer(a) * b)) << a << " " << b;
  ASSERT_EQ((-x).value(), reduced(-Integer(a))) << a;
  ASSERT_EQ(x == y, a == b);
  if (b == 0) return;
  ASSERT_EQ(reduced(Integer((x / y).value()) * b), a) << a << " / " << b;
}

TEST(PrimeField, modulus_is_prime) {
  EXPECT_EQ(Integer(PrimeField::modulus), kP);
  // Lucas and Lehmer: 2^n - 1 is prime exactly when s_(n-2) = 0, with s_0 = 4 and s_(i+1) = s_i^2 - 2.
  Integer s = 4;
  for (int i = 0; i < 61 - 2; ++i) s = (s * s - 2) % kP;
  EXPECT_EQ(s, 0);
}

TEST(PrimeField, agrees_with_integers_at_the_edges) {
  for (const std::uint64_t a : edge_values()) {
    for (const std::uint64_t b : edge_values()) expect_agreement(a, b);
  }
}

TEST(PrimeField, agrees_with_integers_at_random) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<std::uint64_t> draw(0, PrimeField::modulus - 1);
  for (int i = 0; i < 10000; ++i) expect_agreement(draw(random), draw(random));
}

TEST(PrimeField, reads_every_integer_type) {
  using Limits = std::numeric_limits<std::int64_t>;
  for (const std::int64_t x : {Limits::min(), Limits::min() + 1, std::int64_t{-1}, std::int64_t{0},
                               std::int64_t{1}, Limits::max()}) {
    EXPECT_EQ(PrimeField(x).value(), reduced(Integer(x))) << x;
  }
  const auto p = static_cast<std::int64_t>(PrimeField::modulus);
  for (const std::int64_t x : {-2 * p, -p - 1, -p, -p + 1, p - 1, p, p + 1, 2 * p}) {
    EXPECT_EQ(PrimeField(x).value(), reduced(Integer(x))) << x;
  }
  EXPECT_EQ(PrimeField(std::numeric_limits<std::uint64_t>::max()).value(), reduced((Integer(1) << 64) - 1));
  EXPECT_EQ(PrimeField(-5), -PrimeField(5));
  EXPECT_EQ(PrimeField(), PrimeField(0));
}

/// A double is above / below with `below` a power of two; its image times `below` must be `above`.
void expect_exact(double data) {
  const number<boost::multiprecision::gmp_rational, et_off> truth(data);
  const Integer image = PrimeField(data).value();
  ASSERT_EQ(reduced(image * denominator(truth)), reduced(numerator(truth))) << data;
}

TEST(PrimeField, reads_doubles_exactly) {
  using Limits = std::numeric_limits<double>;
  for (const double data : {0.0, -0.0, 0.5, -0.5, 0.1, 1e300, -1e-300, 0x1p61, 0x1p-61, 0x1p60, Limits::max(),
                            Limits::min(), Limits::denorm_min(), -Limits::denorm_min(), Limits::epsilon()}) {
    expect_exact(data);
  }
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> mantissa(-1, 1);
  std::uniform_int_distribution<int> exponent(-1080, 1020);
  for (int i = 0; i < 1000; ++i) expect_exact(std::ldexp(mantissa(random), exponent(random)));
  EXPECT_EQ(PrimeField(0.5) + PrimeField(0.5), PrimeField(1));
  EXPECT_NE(PrimeField(0.1) * PrimeField(10), PrimeField(1)) << "0.1 is not a tenth";
}

TEST(PrimeField, refuses_what_has_no_counterpart) {
  EXPECT_THROW(PrimeField(std::nan("")), std::domain_error);
  EXPECT_THROW(PrimeField(std::numeric_limits<double>::infinity()), std::domain_error);
  EXPECT_THROW(PrimeField(1) / PrimeField(0), std::domain_error);
  EXPECT_THROW(PrimeField(0) / PrimeField(PrimeField::modulus), std::domain_error);
  EXPECT_THROW(inverse(PrimeField(0)), std::domain_error);
}

TEST(PrimeField, pow_agrees_with_integers) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t base = random();
    const std::uint64_t exponent = random() >> (i % 64);
    EXPECT_EQ(pow(PrimeField(base), exponent).value(),
              static_cast<std::uint64_t>(powm(Integer(base), exponent, kP)));
  }
  EXPECT_EQ(pow(PrimeField(0), 0), PrimeField(1));
  EXPECT_EQ(pow(PrimeField(0), 5), PrimeField(0));
}

PrimeField draw_element() {
  const auto uniform = rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>());
  return PrimeField(*rc::gen::oneOf(rc::gen::elementOf(edge_values()), uniform));
}

RC_GTEST_PROP(PrimeField, field_axioms, ()) {
  const PrimeField a = draw_element();
  const PrimeField b = draw_element();
  const PrimeField c = draw_element();
  const PrimeField zero(0);
  const PrimeField one(1);
  RC_ASSERT((a + b) + c == a + (b + c));
  RC_ASSERT((a * b) * c == a * (b * c));
  RC_ASSERT(a + b == b + a);
  RC_ASSERT(a * b == b * a);
  RC_ASSERT(a * (b + c) == a * b + a * c);
  RC_ASSERT(a + zero == a);
  RC_ASSERT(a * one == a);
  RC_ASSERT(a + (-a) == zero);
  RC_ASSERT(a - b == a + (-b));
  RC_ASSERT(a.value() < PrimeField::modulus);
  if (a != zero) {
    RC_ASSERT(a * inverse(a) == one);
    RC_ASSERT(b / a * a == b);
    RC_ASSERT(pow(a, PrimeField::modulus - 1) == one);  // Fermat
  }
}

}  // namespace
}  // namespace etalon
