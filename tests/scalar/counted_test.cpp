/// \file
/// `Counted` counts exactly what its convention says, and computes what its number type computes.
#include "reference/scalar/counted.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "reference/array.hpp"

namespace etalon {
namespace {

using Number = Counted<double>;
static_assert(Real<Number>);

/// Numbers modulo 5: a field without order or exponential.
struct ModuloFive {
  explicit ModuloFive(std::int64_t n) : residue(((n % 5) + 5) % 5) {}
  friend ModuloFive operator+(ModuloFive a, ModuloFive b) { return ModuloFive(a.residue + b.residue); }
  friend ModuloFive operator-(ModuloFive a, ModuloFive b) { return ModuloFive(a.residue - b.residue); }
  friend ModuloFive operator*(ModuloFive a, ModuloFive b) { return ModuloFive(a.residue * b.residue); }
  friend ModuloFive operator/(ModuloFive a, ModuloFive b) { return a * b * b * b; }
  ModuloFive operator-() const { return ModuloFive(-residue); }
  ModuloFive& operator+=(ModuloFive b) { return *this = *this + b; }
  ModuloFive& operator-=(ModuloFive b) { return *this = *this - b; }
  ModuloFive& operator*=(ModuloFive b) { return *this = *this * b; }
  ModuloFive& operator/=(ModuloFive b) { return *this = *this / b; }
  friend bool operator==(ModuloFive, ModuloFive) = default;
  std::int64_t residue;
};
static_assert(Field<Counted<ModuloFive>> && !OrderedField<Counted<ModuloFive>>);

OperationCounts counts_of(const std::function<void()>& run) {
  const CountOperations scope;
  run();
  return scope.counts();
}

template <Ring T>
T dot_product(const Array<T>& a, const Array<T>& b) {
  T sum(0);
  for (Index i = 0; i < a.size(); ++i) sum += a(i) * b(i);
  return sum;
}

template <Ring T>
Array<T> matrix_vector(const Array<T>& matrix, const Array<T>& vector) {
  Array<T> result(Shape{matrix.extent(0)});
  for (Index i = 0; i < matrix.extent(0); ++i) {
    for (Index j = 0; j < matrix.extent(1); ++j) result(i) += matrix(i, j) * vector(j);
  }
  return result;
}

TEST(Counted, DotProductOfLengthNCostsNProductsAndNMinusOneSums) {
  for (const Index n : {1, 2, 7, 64}) {
    const Array<Number> a(Shape{n}, Number(1.5));
    const OperationCounts counts = counts_of([&] { EXPECT_EQ(dot_product(a, a).value(), 2.25 * double(n)); });
    EXPECT_EQ(counts, (OperationCounts{.multiplications = n, .additions = n - 1}));
    EXPECT_EQ(counts.total(), 2 * n - 1);
  }
}

TEST(Counted, MatrixTimesVector) {
  const Array<Number> matrix(Shape{5, 7}, Number(2.0));
  const Array<Number> vector(Shape{7}, Number(3.0));
  EXPECT_EQ(counts_of([&] { matrix_vector(matrix, vector); }),
            (OperationCounts{.multiplications = 35, .additions = 30}));
}

TEST(Counted, HornerWithLiteralCoefficients) {
  const Number x(0.5);
  Number value(0);
  const OperationCounts counts = counts_of([&] {
    Number p(0);
    for (const int coefficient : {1, 3, 0, 2}) p = p * x + Number(coefficient);  // x^3 + 3 x^2 + 2
    value = p;
  });
  EXPECT_EQ(value.value(), 0.125 + 0.75 + 2);
  // 0 * x, 1 * x and + 0 are free: left are (x + 3), * x, * x, + 2.
  EXPECT_EQ(counts, (OperationCounts{.multiplications = 2, .additions = 2}));
}

struct Priced {
  std::string what;
  std::function<Number(Number)> run;
  OperationCounts expected;
};

TEST(Counted, EachOperationAsTheConventionPricesIt) {
  const OperationCounts free;
  const OperationCounts addition{.additions = 1};
  const OperationCounts product{.multiplications = 1};
  const OperationCounts division{.divisions = 1};
  const OperationCounts exponential{.exponentials = 1};
  const OperationCounts function{.functions = 1};
  const std::vector<Priced> table = {
      {"0 + x", [](Number x) { return Number(0) + x; }, free},
      {"x + 0", [](Number x) { return x + Number(0); }, free},
      {"x - 0", [](Number x) { return x - Number(0); }, free},
      {"0 - x", [](Number x) { return Number(0) - x; }, free},
      {"-x", [](Number x) { return -x; }, free},
      {"0 * x", [](Number x) { return Number(0) * x; }, free},
      {"x * 0", [](Number x) { return x * Number(0); }, free},
      {"(0 * x) + x", [](Number x) { return Number(0) * x + x; }, free},
      {"1 * x", [](Number x) { return Number(1) * x; }, free},
      {"x * 1", [](Number x) { return x * Number(1); }, free},
      {"x / 1", [](Number x) { return x / Number(1); }, free},
      {"0 / x", [](Number x) { return Number(0) / x; }, free},
      {"1 / 2", [](Number) { return Number(1) / Number(2); }, free},
      {"sqrt(2)", [](Number) { return sqrt(Number(2)); }, free},
      {"pi", [](Number) { return pi<Number>(); }, free},
      {"(2 - 1) * x", [](Number x) { return (Number(2) - Number(1)) * x; }, free},
      {"max(2, 3)", [](Number) { return maximum(Number(2), Number(3)); }, free},
      {"x + 1", [](Number x) { return x + Number(1); }, addition},
      {"1 - x", [](Number x) { return Number(1) - x; }, addition},
      {"x + 0.0 as data", [](Number x) { return x + Number(0.0); }, addition},
      {"x - x", [](Number x) { return x - x; }, addition},
      {"x += x", [](Number x) { return x += x; }, addition},
      {"x -= x", [](Number x) { return x -= x; }, addition},
      {"2 * x", [](Number x) { return Number(2) * x; }, product},
      {"(-1) * x", [](Number x) { return Number(-1) * x; }, product},
      {"1.0 as data * x", [](Number x) { return Number(1.0) * x; }, product},
      {"(1 / 2) * x", [](Number x) { return Number(1) / Number(2) * x; }, product},
      {"x *= x", [](Number x) { return x *= x; }, product},
      {"1 / x", [](Number x) { return Number(1) / x; }, division},
      {"x / 2", [](Number x) { return x / Number(2); }, division},
      {"x /= x", [](Number x) { return x /= x; }, division},
      {"exp", [](Number x) { return exp(x); }, exponential},
      {"expm1", [](Number x) { return expm1(x); }, exponential},
      {"log", [](Number x) { return log(x); }, function},
      {"log1p", [](Number x) { return log1p(x); }, function},
      {"sqrt", [](Number x) { return sqrt(x); }, function},
      {"sin", [](Number x) { return sin(x); }, function},
      {"cos", [](Number x) { return cos(x); }, function},
      {"atan", [](Number x) { return atan(x); }, function},
      {"tanh", [](Number x) { return tanh(x); }, function},
      {"max(0, x)", [](Number x) { return maximum(Number(0), x); }, {.comparisons = 1}},
      // Free only if the maximum were taken for a literal 0 because it happens to be one.
      {"max(0, -x) + x",
       [](Number x) { return maximum(Number(0), -x) + x; },
       {.additions = 1, .comparisons = 1}},
  };
  for (const Priced& row : table) {
    EXPECT_EQ(counts_of([&] { row.run(Number(0.75)); }), row.expected) << row.what;
  }
}

TEST(Counted, EveryComparisonCountsOnceAlsoWithALiteral) {
  const Number x(2.0);
  const Number y(3.0);
  EXPECT_EQ(counts_of([&] { EXPECT_TRUE(x < y); }).comparisons, 1);
  EXPECT_EQ(counts_of([&] { EXPECT_FALSE(x > y); }).comparisons, 1);
  EXPECT_EQ(counts_of([&] { EXPECT_TRUE(x <= y); }).comparisons, 1);
  EXPECT_EQ(counts_of([&] { EXPECT_FALSE(x >= y); }).comparisons, 1);
  EXPECT_EQ(counts_of([&] { EXPECT_FALSE(x == y); }).comparisons, 1);
  EXPECT_EQ(counts_of([&] { EXPECT_TRUE(Number(0) < y); }).comparisons, 1);
  EXPECT_EQ(counts_of([&] { EXPECT_TRUE(Number(0) < Number(1)); }).comparisons, 0);
}

TEST(Counted, ScopesNestAndDoNotDisturbEachOther) {
  const Number x(2.0);
  const CountOperations outer;
  x* x;
  const CountOperations inner;
  x + x;
  EXPECT_EQ(inner.counts(), OperationCounts{.additions = 1});
  EXPECT_EQ(outer.counts(), (OperationCounts{.multiplications = 1, .additions = 1}));
}

TEST(Counted, ComputesWhatDoubleComputes) {
  const double x = 0.3;
  const Number n(x);
  EXPECT_EQ(exp(n).value(), std::exp(x));
  EXPECT_EQ(expm1(n).value(), std::expm1(x));
  EXPECT_EQ(log(n).value(), std::log(x));
  EXPECT_EQ(log1p(n).value(), std::log1p(x));
  EXPECT_EQ(sqrt(n).value(), std::sqrt(x));
  EXPECT_EQ(sin(n).value(), std::sin(x));
  EXPECT_EQ(cos(n).value(), std::cos(x));
  EXPECT_EQ(atan(n).value(), std::atan(x));
  EXPECT_EQ(tanh(n).value(), std::tanh(x));
  EXPECT_EQ((Number(0) - n).value(), -x);
  EXPECT_EQ(static_cast<double>(n / Number(3)), x / 3);
  // A free operation has no other value than a costly one: 0 times infinity is not a number.
  const Number infinity(std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan((Number(0) * infinity).value()));
  EXPECT_FALSE(finite(infinity));
  EXPECT_TRUE(finite(n));
}

}  // namespace
}  // namespace etalon
