/// \file
/// Tests that dual numbers differentiate: exactly over exact numbers, to a counted number of roundings over
/// real ones.
#include "reference/scalar/dual.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/scalar/rational.hpp"
#include "reference/scalar/rational_exp2.hpp"
#include "reference/scalar/real.hpp"

namespace etalon {
namespace {

using Polynomial = std::vector<std::int64_t>;  // coefficients, the constant first

Polynomial draw_polynomial() {
  Polynomial coefficients;
  const auto degree = *rc::gen::inRange(0, 6);
  for (int i = 0; i <= degree; ++i) coefficients.push_back(*rc::gen::inRange<std::int64_t>(-9, 10));
  return coefficients;
}

Rational draw_fraction() {
  const auto above = *rc::gen::inRange<std::int64_t>(-50, 51);
  return Rational(above, *rc::gen::inRange<std::int64_t>(1, 20));
}

/// By Horner's rule.
template <class T>
T evaluate(const Polynomial& polynomial, const T& x) {
  T sum(0);
  for (std::size_t i = polynomial.size(); i-- > 0;) sum = sum * x + T(polynomial[i]);
  return sum;
}

/// By the rule for powers, on the coefficients.
Polynomial derivative(const Polynomial& polynomial) {
  Polynomial result;
  for (std::size_t i = 1; i < polynomial.size(); ++i) {
    result.push_back(polynomial[i] * static_cast<std::int64_t>(i));
  }
  return result;
}

template <class T>
void assert_rules(const T& x, const T& direction) {
  const Polynomial f = draw_polynomial();
  const Polynomial g = draw_polynomial();
  const Dual<T> at(x, direction);
  const T fx = evaluate(f, x);
  const T gx = evaluate(g, x);
  const T df = evaluate(derivative(f), x);
  const T dg = evaluate(derivative(g), x);

  RC_ASSERT(evaluate(f, at) == Dual<T>(fx, df * direction));
  RC_ASSERT(evaluate(f, at) + evaluate(g, at) == Dual<T>(fx + gx, (df + dg) * direction));
  RC_ASSERT(evaluate(f, at) - evaluate(g, at) == Dual<T>(fx - gx, (df - dg) * direction));
  RC_ASSERT(-evaluate(f, at) == Dual<T>(-fx, -(df * direction)));
  RC_ASSERT(evaluate(f, at) * evaluate(g, at) == Dual<T>(fx * gx, (df * gx + fx * dg) * direction));
  RC_ASSERT(evaluate(f, evaluate(g, at)) ==
            Dual<T>(evaluate(f, gx), evaluate(derivative(f), gx) * dg * direction));
  if (gx == T(0)) return;
  RC_ASSERT(evaluate(f, at) / evaluate(g, at) ==
            Dual<T>(fx / gx, (df * gx - fx * dg) / (gx * gx) * direction));
}

RC_GTEST_PROP(Dual, rules_of_differentiation_over_fractions, ()) {
  assert_rules<Rational>(draw_fraction(), draw_fraction());
}

RC_GTEST_PROP(Dual, rules_of_differentiation_over_the_prime_field, ()) {
  const auto uniform = rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>());
  const PrimeField x(*uniform);
  assert_rules<PrimeField>(x, PrimeField(*uniform));
}

TEST(Dual, second_derivatives_by_nesting) {
  using Second = Dual<Dual<Rational>>;
  const Second x(Dual<Rational>(Rational(5), Rational(1)), Dual<Rational>(Rational(1)));
  EXPECT_EQ((x * x * x).tangent.tangent, Rational(30)) << "(x^3)'' = 6 x";
}

TEST(Dual, literals_and_data_are_constants) {
  using D = Dual<Rational>;
  EXPECT_EQ(D(3), D(Rational(3), Rational(0)));
  EXPECT_EQ(D(std::int64_t{3}), D(3.0));
  EXPECT_EQ(D(0.25), D(Rational(1, 4)));
  EXPECT_EQ(D(), D(0));
  EXPECT_NE(D(Rational(3), Rational(1)), D(3));
  EXPECT_THROW(Dual<PrimeField>(1) / Dual<PrimeField>(0), std::domain_error);
}

TEST(Dual, order_looks_at_the_value_alone) {
  const Dual<double> small(1, 100);
  const Dual<double> large(2, -100);
  EXPECT_TRUE(small < large && small <= large && large > small && large >= small);
  EXPECT_FALSE(large < small || large <= small || small > large || small >= large);
  const Dual<double> tie(1, 7);
  EXPECT_TRUE(small <= tie && small >= tie);
  EXPECT_FALSE(small < tie || small > tie);
  EXPECT_EQ(maximum(small, large), large);
}

TEST(Dual, finite) {
  EXPECT_TRUE(finite(Dual<double>(1, 2)));
  EXPECT_FALSE(finite(Dual<double>(1, INFINITY)));
  EXPECT_FALSE(finite(Dual<double>(INFINITY, 1)));
}

TEST(Dual, roots_of_unity_are_constants) {
  const auto root = root_of_unity<Dual<PrimeField>>(16);
  EXPECT_EQ(root.re, Dual<PrimeField>(root_of_unity<PrimeField>(16).re));
  EXPECT_EQ(root.im, Dual<PrimeField>(root_of_unity<PrimeField>(16).im));
}

/// The derivation of exp over RationalExp2 respects exp(a + b) = exp(a) exp(b), tangents included.
RC_GTEST_PROP(Dual, exp_over_exact_numbers_is_a_derivation, ()) {
  const auto draw = [] {
    return Dual<RationalExp2>(*rc::gen::inRange<std::int64_t>(-100, 101), RationalExp2(draw_fraction()));
  };
  const auto a = draw();
  const auto b = draw();
  RC_ASSERT(exp(a + b) == exp(a) * exp(b));
  RC_ASSERT(exp(a - b) == exp(a) / exp(b));
}

/// It decides closed forms: the derivative of softmax p_i = exp(x_i) / sum is p_i (dx_i - sum_j p_j dx_j).
RC_GTEST_PROP(Dual, decides_the_backward_of_softmax, ()) {
  using D = Dual<RationalExp2>;
  std::vector<D> x;
  for (int i = 0; i < 4; ++i) x.push_back(D(*rc::gen::inRange(-20, 21), RationalExp2(draw_fraction())));
  D sum(0);
  for (const D& logit : x) sum += exp(logit);
  RationalExp2 mean(0);
  for (const D& logit : x) mean += exp(logit.value) / sum.value * logit.tangent;
  for (const D& logit : x) {
    const D weight = exp(logit) / sum;
    RC_ASSERT(weight.tangent == weight.value * (logit.tangent - mean));
  }
}

/// A function, its known derivative, and the roundings that the tangent passes when MPFR's functions round
/// correctly.
struct Case {
  std::string name;
  std::function<Dual<Real50>(const Dual<Real50>&)> function;
  std::function<Real50(const Real50&)> plain;
  std::function<Real100(const Real100&)> derivative;
  int roundings;
  double low;
  double high;
};

template <class F, class D>
Case make_case(const std::string& name, F function, D derivative, int roundings, double low, double high) {
  return {name, function, function, derivative, roundings, low, high};
}

/// A rounding of a quotient's denominator counts like one of its numerator; multiplications by 2 and 4 are
/// exact; an error in y is at most the same relative error in 1 + y for y >= 0.
std::vector<Case> cases() {
  using R = Real100;
  const auto call = [](auto f) { return f; };
  return {
      // the function, times the tangent
      make_case(
          "exp", call([](const auto& x) { return exp(x); }), [](const R& x) { return exp(x); }, 2, -30, 30),
      make_case(
          "expm1", call([](const auto& x) { return expm1(x); }), [](const R& x) { return exp(x); }, 2, -30,
          30),
      make_case(
          "sin", call([](const auto& x) { return sin(x); }), [](const R& x) { return cos(x); }, 2, -30, 30),
      make_case(
          "cos", call([](const auto& x) { return cos(x); }), [](const R& x) -> R { return -sin(x); }, 2, -30,
          30),
      // a division
      make_case(
          "log", call([](const auto& x) { return log(x); }), [](const R& x) -> R { return 1 / x; }, 1, 1e-9,
          1e9),
      // 1 + x, a division
      make_case(
          "log1p", call([](const auto& x) { return log1p(x); }), [](const R& x) -> R { return 1 / (1 + x); },
          2, -0.999, 1e3),
      // the root, a division
      make_case(
          "sqrt", call([](const auto& x) { return sqrt(x); }),
          [](const R& x) -> R { return 1 / (2 * sqrt(x)); }, 2, 1e-9, 1e9),
      // x^2, 1 + x^2, a division
      make_case(
          "atan", call([](const auto& x) { return atan(x); }),
          [](const R& x) -> R { return 1 / (1 + x * x); }, 3, -1e3, 1e3),
      // q, twice 1 + q (at most 2 each: that of q and its own), their product, a division, times the tangent
      make_case(
          "tanh", call([](const auto& x) { return tanh(x); }),
          [](const R& x) -> R { return 1 / (cosh(x) * cosh(x)); }, 8, -60, 60),
  };
}

/// |got - truth| / |truth| as a fraction of the bound n u / (1 - n u), to which the truth adds its own few
/// roundings of 100 digits. \cite higham2002accuracy
double fraction_of_bound(const Real50& got, const Real100& truth, int roundings) {
  const Real100 nu = roundings * Real100(unit_roundoff<Real50>());
  const Real100 bound = nu / (1 - nu) + 8 * Real100(unit_roundoff<Real100>());
  return static_cast<double>(abs(Real100(got) - truth) / (bound * abs(truth)));
}

TEST(Dual, known_derivatives_within_counted_roundings) {
  std::mt19937_64 random(1);
  for (const Case& c : cases()) {
    std::uniform_real_distribution<double> draw(c.low, c.high);
    std::uniform_real_distribution<double> draw_direction(-3, 3);
    double worst = 0;
    for (int i = 0; i < 200; ++i) {
      const Real50 x(draw(random));
      const Real50 direction(draw_direction(random));
      const Dual<Real50> got = c.function(Dual<Real50>(x, direction));
      ASSERT_EQ(got.value, c.plain(x)) << c.name;
      const Real100 truth = c.derivative(Real100(x)) * Real100(direction);
      worst = std::max(worst, fraction_of_bound(got.tangent, truth, c.roundings));
    }
    EXPECT_LE(worst, 1) << c.name;
    EXPECT_GT(worst, 0.1) << c.name << ": a bound ten times too wide for 200 draws has been miscounted";
  }
}

TEST(Dual, a_careless_derivative_of_tanh_is_rejected) {
  const Real50 x(20);
  const Real50 careless = 1 - tanh(x) * tanh(x);
  EXPECT_GT(fraction_of_bound(careless, 1 / (cosh(Real100(x)) * cosh(Real100(x))), 8), 1e6);
}

TEST(Dual, derivative_of_sqrt_at_zero_is_infinite) {
  EXPECT_EQ(sqrt(Dual<double>(0, 1)).tangent, INFINITY);
}

}  // namespace
}  // namespace etalon
