/// \file
/// Tests of exact fractions, and of their exponential 2^x.
#include "reference/scalar/rational_exp2.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "reference/scalar/rational.hpp"

namespace etalon {
namespace {

/// The message of the `std::domain_error` that the call throws, empty if it throws none.
template <class F>
std::string refusal(F call) {
  try {
    call();
  } catch (const std::domain_error& error) {
    return error.what();
  }
  return "";
}

Rational draw_fraction() {
  const auto above = *rc::gen::inRange<std::int64_t>(-1000, 1001);
  const auto below = *rc::gen::inRange<std::int64_t>(1, 1000);
  return Rational(above, below);
}

TEST(Rational, is_exact) {
  EXPECT_EQ(Rational(1, 3) + Rational(1, 6), Rational(1, 2));
  EXPECT_EQ(Rational(0.1), Rational(3602879701896397, std::int64_t{1} << 55)) << "a double enters exactly";
  EXPECT_EQ(Rational(std::numeric_limits<std::int64_t>::min()), -Rational(std::int64_t{1} << 62) * 2);
  EXPECT_TRUE(finite(Rational(7)));
}

TEST(Rational, division_by_zero_is_an_exception) {
  EXPECT_THROW(Rational(1) / Rational(0), std::overflow_error);
  Rational x(1);
  EXPECT_THROW(x /= Rational(0), std::overflow_error);
}

RC_GTEST_PROP(RationalExp2, arithmetic_is_that_of_fractions, ()) {
  const Rational a = draw_fraction();
  const Rational b = draw_fraction();
  const RationalExp2 x(a);
  const RationalExp2 y(b);
  RC_ASSERT((x + y).value() == a + b);
  RC_ASSERT((x - y).value() == a - b);
  RC_ASSERT((x * y).value() == a * b);
  RC_ASSERT((-x).value() == -a);
  if (b != 0) RC_ASSERT((x / y).value() == a / b);
  RC_ASSERT((x < y) == (a < b));
  RC_ASSERT((x > y) == (a > b));
  RC_ASSERT((x <= y) == (a <= b));
  RC_ASSERT((x >= y) == (a >= b));
  RC_ASSERT((x == y) == (a == b));
  RC_ASSERT(maximum(x, y).value() == (a < b ? b : a));
}

/// Against the doubles' own powers of two, which are exact.
TEST(RationalExp2, exp_is_a_power_of_two) {
  for (int n = -1000; n <= 1000; ++n) EXPECT_EQ(exp(RationalExp2(n)), RationalExp2(std::ldexp(1.0, n))) << n;
}

RC_GTEST_PROP(RationalExp2, exp_of_a_sum_is_the_product, ()) {
  const auto a = RationalExp2(*rc::gen::inRange<std::int64_t>(-5000, 5001));
  const auto b = RationalExp2(*rc::gen::inRange<std::int64_t>(-5000, 5001));
  RC_ASSERT(exp(a + b) == exp(a) * exp(b));
  RC_ASSERT(exp(a - b) == exp(a) / exp(b));
  RC_ASSERT(exp(a) > RationalExp2(0));
}

TEST(RationalExp2, exp_refuses_what_is_no_integer) {
  EXPECT_EQ(refusal([] { exp(RationalExp2(0.5)); }),
            "RationalExp2: exp of 1/2, expected an integer (exp means 2^x here)");
  EXPECT_NE(refusal([] { exp(RationalExp2(-7) / RationalExp2(3)); }).find("exp of -7/3"), std::string::npos);
  EXPECT_NO_THROW(exp(RationalExp2(-6) / RationalExp2(3))) << "-2 however it came about";
}

TEST(RationalExp2, exp_refuses_huge_exponents) {
  EXPECT_NO_THROW(exp(RationalExp2(kMaxExp2)));
  EXPECT_NO_THROW(exp(RationalExp2(-kMaxExp2)));
  EXPECT_NE(refusal([] { exp(RationalExp2(kMaxExp2 + 1)); }).find("1048577"), std::string::npos);
  EXPECT_NE(refusal([] { exp(RationalExp2(-kMaxExp2 - 1)); }).find("-1048577"), std::string::npos);
  EXPECT_NE(refusal([] { exp(RationalExp2(1e300)); }), "");
}

TEST(RationalExp2, refuses_division_by_zero_and_data_that_is_not_finite) {
  EXPECT_EQ(refusal([] { RationalExp2(3) / RationalExp2(0); }), "RationalExp2: 3 divided by zero");
  EXPECT_NE(refusal([] { RationalExp2(std::nan("")); }), "");
  EXPECT_NE(refusal([] { RationalExp2(std::numeric_limits<double>::infinity()); }), "");
}

TEST(RationalExp2, literals_and_data) {
  EXPECT_EQ(RationalExp2(0.1).value(), Rational(0.1));
  EXPECT_EQ(RationalExp2(std::int64_t{-3}), RationalExp2(-3.0));
  EXPECT_EQ(RationalExp2(), RationalExp2(0));
  EXPECT_TRUE(finite(RationalExp2(1)));
}

}  // namespace
}  // namespace etalon
