/// \file
/// Tests that Real50 and Real100 round correctly, so that digits in which they agree are certified.
#include "reference/scalar/real.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace etalon {
namespace {

/// A function of one variable in both precisions, with the interval that it is tried on.
struct Case {
  std::string name;
  std::function<Real50(const Real50&)> in_50;
  std::function<Real100(const Real100&)> in_100;
  double low;
  double high;
};

template <class F>
Case make_case(const std::string& name, F function, double low, double high) {
  return {name, function, function, low, high};
}

std::vector<Case> cases() {
  return {
      make_case(
          "exp", [](const auto& x) { return exp(x); }, -50, 50),
      make_case(
          "expm1", [](const auto& x) { return expm1(x); }, -1e-3, 1e-3),
      make_case(
          "log", [](const auto& x) { return log(x); }, 1e-6, 1e6),
      make_case(
          "log1p", [](const auto& x) { return log1p(x); }, -1e-3, 1e-3),
      make_case(
          "sqrt", [](const auto& x) { return sqrt(x); }, 0, 1e3),
      make_case(
          "sin", [](const auto& x) { return sin(x); }, -1e3, 1e3),
      make_case(
          "cos", [](const auto& x) { return cos(x); }, -1e3, 1e3),
      make_case(
          "atan", [](const auto& x) { return atan(x); }, -1e2, 1e2),
      make_case(
          "tanh", [](const auto& x) { return tanh(x); }, -20, 20),
      make_case(
          "square", [](const auto& x) { return x * x; }, -1e3, 1e3),
      make_case(
          "reciprocal", [](const auto& x) { return 1 / x; }, 1e-3, 1e3),
  };
}

/// A number with more than 50 digits' worth of significant bits would be rounded on the way into Real50; this
/// one has 106 and enters both precisions exactly.
template <class T>
T wide_sample(double leading, double trailing) {
  return T(leading) + T(trailing);
}

TEST(Real, unit_roundoff_is_half_the_gap_above_one) {
  const auto check = []<class T>(T one) {
    const double u = unit_roundoff<T>();
    EXPECT_EQ(one + T(u), one) << "a tie goes to the even neighbour, 1";
    EXPECT_NE(one + T(u) * T(1.5), one);
    EXPECT_EQ(one + T(2 * u) - one, T(2 * u));
  };
  check(1.0f);
  check(1.0);
  check(Real50(1));
  check(Real100(1));
  EXPECT_LE(unit_roundoff<Real50>(), 0.5e-49) << "50 significant digits";
  EXPECT_LE(unit_roundoff<Real100>(), 0.5e-99) << "100 significant digits";
}

/// Correct rounding: the relative error of Real50 is at most its unit roundoff, measured against Real100,
/// whose own error of one unit roundoff of 100 digits is added to the bound. That bound is below 0.5e-49, so
/// 49 digits agree.
TEST(Real, fifty_digits_agree_with_a_hundred) {
  const double bound = unit_roundoff<Real50>() + 2 * unit_roundoff<Real100>();
  ASSERT_LT(bound, 0.5e-49);
  std::mt19937_64 random(1);
  for (const Case& c : cases()) {
    std::uniform_real_distribution<double> draw(c.low, c.high);
    std::uniform_real_distribution<double> draw_trailing(0, 0x1p-60);
    double worst = 0;
    for (int i = 0; i < 200; ++i) {
      const double leading = draw(random);
      const double trailing = draw_trailing(random);
      const Real50 narrow = wide_sample<Real50>(leading, trailing);
      const Real100 wide(narrow);
      const Real100 truth = c.in_100(wide);
      const Real100 error = abs(Real100(c.in_50(narrow)) - truth) / abs(truth);
      worst = std::max(worst, static_cast<double>(error));
    }
    EXPECT_LE(worst, bound) << c.name;
    EXPECT_GE(worst, bound / 4) << c.name << ": 200 rounding errors, all tiny: is Real50 really that short?";
  }
}

/// The check above rejects a function that is not correctly rounded: expm1 by way of exp loses digits near
/// zero.
TEST(Real, a_careless_expm1_is_rejected) {
  const Real50 x(1e-3);
  const Real100 truth = expm1(Real100(x));
  const Real100 error = abs(Real100(exp(x) - 1) - truth) / truth;
  EXPECT_GT(static_cast<double>(error), unit_roundoff<Real50>() + 2 * unit_roundoff<Real100>());
}

/// pi() is 4 atan(1): one rounding, a multiplication by a power of two.
TEST(Real, pi) {
  const Real100 digits(
      "3."
      "1415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679");
  EXPECT_LE(abs(pi<Real100>() - digits), Real100("1e-100"));
  EXPECT_LE(static_cast<double>(abs(Real100(pi<Real50>()) / digits - 1)), unit_roundoff<Real50>());
}

TEST(Real, literals_data_and_finiteness) {
  EXPECT_EQ(Real50(std::int64_t{1} << 62) + 1, Real50("4611686018427387905")) << "64-bit integers are exact";
  EXPECT_EQ(Real100(Real50(0.1)), Real100(0.1)) << "a double enters exactly";
  EXPECT_NE(Real50(0.1), Real50("0.1"));
  EXPECT_TRUE(finite(exp(Real50(1e6))));
  EXPECT_FALSE(finite(Real50(1) / Real50(0)));
  EXPECT_FALSE(finite(log(Real50(-1))));
}

}  // namespace
}  // namespace etalon
