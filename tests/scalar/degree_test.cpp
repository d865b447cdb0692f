/// \file
/// Tests of the degrees of rational functions: by hand, and against functions evaluated in the prime field,
/// whose degrees along a line are found out without knowing how they were computed.
#include "reference/scalar/degree.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/scalar/prime_field.hpp"

namespace etalon {
namespace {

/// Fresh inputs.
std::vector<Degree> variables(std::size_t count) {
  std::vector<Degree> inputs;
  for (std::size_t i = 0; i < count; ++i) inputs.push_back(Degree(1.0));
  return inputs;
}

void expect_degree(const Degree& got, double numerator, double denominator) {
  EXPECT_EQ(got.numerator(), numerator);
  EXPECT_EQ(got.denominator(), denominator);
}

TEST(Degree, polynomials_by_hand) {
  const auto x = variables(3);
  expect_degree(Degree(7), 0, 0);
  expect_degree(x[0], 1, 0);
  expect_degree(x[0] + x[1], 1, 0);
  expect_degree(x[0] * x[1], 2, 0);
  expect_degree(x[0] * x[1] - x[2], 2, 0);
  expect_degree(-(x[0] * x[0] * x[0]), 3, 0);
  expect_degree(Degree(2) * x[0] + Degree(1), 1, 0);
  expect_degree(x[0] / Degree(2), 1, 0);
}

TEST(Degree, fractions_by_hand) {
  const auto x = variables(4);
  expect_degree(x[0] / x[1], 1, 1);
  expect_degree(Degree(1) / x[1], 0, 1);
  expect_degree(x[0] / x[1] + x[2] / x[3], 2, 2);
  expect_degree(x[0] / x[1] * (x[2] / x[3]), 2, 2);
  expect_degree(x[0] / (x[1] / x[2]), 2, 1);
  expect_degree(x[0] / x[1] + x[2], 2, 1);
  expect_degree(x[0] / (x[1] * x[2]) + x[3], 3, 2);
}

TEST(Degree, common_denominators_by_hand) {
  const auto x = variables(4);
  const Degree s = x[2] + x[3];
  const Degree same = s;
  expect_degree(x[0] / s + x[1] / same, 1, 1);
  expect_degree(x[0] / s - x[1] / -s, 1, 1);
  expect_degree((x[0] / s) * (x[1] / s), 2, 2);
  expect_degree((x[0] / s) * (x[1] / s) + x[0] / s, 2, 2);
  expect_degree((x[0] / s) / (x[1] / s), 1, 1);
}

TEST(Degree, literal_zero) {
  const auto x = variables(2);
  const Degree zero(0);
  EXPECT_TRUE(zero.is_literal_zero());
  EXPECT_TRUE(Degree().is_literal_zero());
  EXPECT_FALSE(Degree(1).is_literal_zero());
  EXPECT_FALSE(Degree(0.0).is_literal_zero()) << "data that happens to be zero is an input";
  EXPECT_TRUE((zero * x[0]).is_literal_zero());
  EXPECT_TRUE((x[0] * zero).is_literal_zero());
  EXPECT_TRUE((zero / x[0]).is_literal_zero());
  EXPECT_TRUE((zero + zero).is_literal_zero());
  expect_degree(zero + x[0] / x[1], 1, 1);
  expect_degree(x[0] / x[1] - zero, 1, 1);
  expect_degree(zero - x[0], 1, 0);
  EXPECT_THROW(x[0] / zero, std::domain_error);
}

TEST(Degree, of_a_difference) {
  const auto x = variables(4);
  EXPECT_EQ(degree_of_difference(x[0] * x[1], x[2]), 2);
  EXPECT_EQ(degree_of_difference(x[0] / x[1], x[2] / x[3]), 2);
  EXPECT_EQ(degree_of_difference(x[0] / x[1], x[2] / x[1]), 1);
  EXPECT_EQ(degree_of_difference(Degree(0), x[0] * x[0]), 2);
  EXPECT_EQ(degree_of_difference(Degree(0), Degree(0)), 0);
}

TEST(Degree, roots_of_unity_are_constants) {
  const Complex<Degree> x(Degree(1.0), Degree(1.0));
  const Complex<Degree> turned = x * root_of_unity<Degree>(8);
  expect_degree(turned.re, 1, 0);
  expect_degree(turned.im, 1, 0);
}

/// A rational function, written once for every arithmetic.
struct Example {
  std::string name;
  Degree (*degree)(const std::vector<Degree>&);
  PrimeField (*value)(const std::vector<PrimeField>&);
};

template <class F>
Example example(const std::string& name, F f) {
  return {name, f, f};
}

/// (A B C)_{00} of 2 x 2 matrices, whose entries are the twelve inputs.
template <class T>
T matrix_chain(const std::vector<T>& x) {
  T sum(0);
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t j = 0; j < 2; ++j) sum += x[i] * x[4 + 2 * i + j] * x[8 + 2 * j];
  }
  return sum;
}

/// sum_j (q k_j) v_j / sum_j (q k_j), with q, then three k, then three v.
template <class T>
T normalised_attention(const std::vector<T>& x) {
  T sum(0);
  T normaliser(0);
  for (std::size_t j = 0; j < 3; ++j) {
    sum += x[0] * x[1 + j] * x[4 + j];
    normaliser += x[0] * x[1 + j] + T(1);
  }
  return sum / normaliser;
}

/// The same, every weight normalised before it is used.
template <class T>
T attention_weight_by_weight(const std::vector<T>& x) {
  T normaliser(0);
  for (std::size_t j = 0; j < 3; ++j) normaliser += x[0] * x[1 + j] + T(1);
  T sum(0);
  for (std::size_t j = 0; j < 3; ++j) sum += x[0] * x[1 + j] / normaliser * x[4 + j];
  return sum;
}

/// h <- a_t h + b_t, four times.
template <class T>
T recurrence(const std::vector<T>& x) {
  T state(0);
  for (std::size_t t = 0; t < 4; ++t) state = x[2 * t] * state + x[2 * t + 1];
  return state;
}

/// (1 + a step / 2) / (1 - a step / 2), the bilinear discretisation.
template <class T>
T bilinear(const std::vector<T>& x) {
  const T half = x[0] * x[1] / T(2);
  return (T(1) + half) / (T(1) - half);
}

std::vector<Example> polynomials() {
  return {
      example("an input", [](const auto& x) { return x[0]; }),
      example("a product", [](const auto& x) { return x[0] * x[1] + x[2]; }),
      example("a cube",
              [](const auto& x) { return (x[0] + 1) * (x[0] + 1) * (x[0] + 1) * x[1] - x[2] * x[3]; }),
      example("matrix chain", [](const auto& x) { return matrix_chain(x); }),
      example("recurrence", [](const auto& x) { return recurrence(x); }),
  };
}

std::vector<Example> fractions() {
  return {
      example("a quotient", [](const auto& x) { return x[0] / x[1]; }),
      example("a sum of quotients", [](const auto& x) { return x[0] / x[1] + x[2] / x[3]; }),
      example("a common denominator", [](const auto& x) { return x[0] / x[2] + x[1] / x[2]; }),
      example("a nested quotient", [](const auto& x) { return x[0] / (x[1] / x[2] + x[3]); }),
      example("a continued fraction", [](const auto& x) { return 1 / (x[0] + 1 / (x[1] + 1 / x[2])); }),
      example("normalised attention", [](const auto& x) { return normalised_attention(x); }),
      example("attention weight by weight", [](const auto& x) { return attention_weight_by_weight(x); }),
      example("bilinear", [](const auto& x) { return bilinear(x); }),
  };
}

constexpr std::size_t kInputs = 12;

/// f at the points a + t b, t = 0 ... count - 1: a rational function of t, for random a and b of the same
/// degrees.
std::vector<PrimeField> along_a_line(const Example& f, std::size_t count) {
  std::mt19937_64 random(1);
  std::vector<PrimeField> start, direction, values;
  for (std::size_t i = 0; i < kInputs; ++i) {
    start.push_back(PrimeField(random()));
    direction.push_back(PrimeField(random()));
  }
  for (std::size_t t = 0; t < count; ++t) {
    std::vector<PrimeField> point;
    for (std::size_t i = 0; i < kInputs; ++i) point.push_back(start[i] + PrimeField(t) * direction[i]);
    values.push_back(f.value(point));
  }
  return values;
}

bool all_zero(const std::vector<PrimeField>& values) {
  for (const PrimeField& value : values) {
    if (value != PrimeField(0)) return false;
  }
  return true;
}

/// True when the differences of an order vanish, which is so for polynomials of a smaller degree only.
bool differences_vanish(std::vector<PrimeField> values, std::size_t order) {
  for (std::size_t k = 0; k < order; ++k) {
    for (std::size_t i = 0; i + 1 < values.size(); ++i) values[i] = values[i + 1] - values[i];
    values.pop_back();
  }
  return all_zero(values);
}

/// True when some numerator N and denominator D of at most these degrees, not both zero, fit all the values:
/// N(t) = f(t) D(t) for all t. By elimination on the coefficients: the columns are linearly dependent.
bool is_fraction_of_degree(const std::vector<PrimeField>& values, std::size_t numerator,
                           std::size_t denominator) {
  std::vector<std::vector<PrimeField>> columns;
  for (std::size_t i = 0; i <= numerator + denominator + 1; ++i) {
    std::vector<PrimeField> column;
    for (std::size_t t = 0; t < values.size(); ++t) {
      const bool above = i <= numerator;
      const PrimeField power = pow(PrimeField(t), above ? i : i - numerator - 1);
      column.push_back(above ? power : power * values[t]);
    }
    columns.push_back(column);
  }
  for (std::size_t k = 0; k < columns.size(); ++k) {
    std::size_t pivot = 0;
    while (pivot < values.size() && columns[k][pivot] == PrimeField(0)) ++pivot;
    if (pivot == values.size()) return true;
    for (std::size_t later = k + 1; later < columns.size(); ++later) {
      const PrimeField factor = columns[later][pivot] / columns[k][pivot];
      for (std::size_t t = 0; t < values.size(); ++t) columns[later][t] -= factor * columns[k][t];
    }
  }
  return false;
}

TEST(Degree, of_polynomials_is_what_differences_find) {
  for (const Example& f : polynomials()) {
    const Degree bound = f.degree(variables(kInputs));
    EXPECT_EQ(bound.denominator(), 0) << f.name;
    const auto degree = static_cast<std::size_t>(bound.numerator());
    const auto values = along_a_line(f, degree + 10);
    EXPECT_TRUE(differences_vanish(values, degree + 1)) << f.name << " " << degree;
    EXPECT_FALSE(differences_vanish(values, degree)) << f.name << " " << degree;
  }
}

/// 40 points decide between fractions whose degrees add up to less than 40.
TEST(Degree, of_fractions_is_what_interpolation_finds) {
  for (const Example& f : fractions()) {
    const Degree bound = f.degree(variables(kInputs));
    const auto above = static_cast<std::size_t>(bound.numerator());
    const auto below = static_cast<std::size_t>(bound.denominator());
    const auto values = along_a_line(f, 40);
    EXPECT_TRUE(is_fraction_of_degree(values, above, below)) << f.name << " " << bound;
    EXPECT_TRUE(above == 0 || !is_fraction_of_degree(values, above - 1, below)) << f.name << " " << bound;
    EXPECT_FALSE(is_fraction_of_degree(values, above, below - 1)) << f.name << " " << bound;
  }
}

/// The bound is formal: what cancels by itself is not seen. These stay sound and are too large.
TEST(Degree, overestimates_what_cancels) {
  const auto x = variables(2);
  expect_degree(x[0] - x[0], 1, 0);
  expect_degree(x[0] / x[1] * x[1], 2, 1);
  const Example f = example("x / s * s", [](const auto& y) { return y[0] / y[1] * y[1]; });
  EXPECT_TRUE(is_fraction_of_degree(along_a_line(f, 40), 1, 0));
}

}  // namespace
}  // namespace etalon
