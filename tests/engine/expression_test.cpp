/// \file
/// Formulas over sizes: their values, their texts, and what they refuse.
#include "proofs/engine/expression.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <stdexcept>

namespace etalon {
namespace {

const Expression n = symbol("n"), m = symbol("m"), k = symbol("k");

TEST(Expression, has_the_value_of_its_formula) {
  const Settings sizes{{"n", 7}, {"m", 3}, {"k", -2}};
  EXPECT_EQ(Expression(5)({}), 5);
  EXPECT_EQ(n(sizes), 7);
  EXPECT_EQ((n + m)(sizes), 10);
  EXPECT_EQ((n - m - k)(sizes), 6);
  EXPECT_EQ((n - (m - k))(sizes), 2);
  EXPECT_EQ((2 * n * m)(sizes), 42);
  EXPECT_EQ((n * (n - 1) / 2)(sizes), 21);
  EXPECT_EQ(ceil_div(n, m)(sizes), 3);
  EXPECT_EQ(ceil_div(6, m)(sizes), 2);
  EXPECT_EQ(max(n, m)(sizes), 7);
  EXPECT_EQ(min(n, k)(sizes), -2);
}

TEST(Expression, rounds_the_binary_logarithm_up) {
  const Index expected[] = {0, 0, 1, 2, 2, 3, 3, 3, 3, 4};
  for (Index value = 0; value < 10; ++value)
    EXPECT_EQ(ceil_log2(n)({{"n", value}}), expected[value]) << value;
  EXPECT_EQ(ceil_log2(n)({{"n", Index{1} << 40}}), 40);
  EXPECT_EQ(ceil_log2(n)({{"n", (Index{1} << 40) + 1}}), 41);
}

TEST(Expression, has_a_text_with_the_brackets_that_it_needs) {
  EXPECT_EQ(Expression(3).text(), "3");
  EXPECT_EQ((2 * n + 1).text(), "2 n + 1");
  EXPECT_EQ((2 * (n + 1)).text(), "2 (n + 1)");
  EXPECT_EQ(((n + m) * k).text(), "(n + m) k");
  EXPECT_EQ((n * m * k).text(), "n m k");
  EXPECT_EQ((n - m - k).text(), "n - m - k");
  EXPECT_EQ((n - (m - k)).text(), "n - (m - k)");
  EXPECT_EQ((n - (m + k)).text(), "n - (m + k)");
  EXPECT_EQ((n + (m - k)).text(), "n + m - k");
  EXPECT_EQ((n - m * k).text(), "n - m k");
  EXPECT_EQ((n * (n - 1) / 2).text(), "n (n - 1) / 2");
  EXPECT_EQ((n / (m * k)).text(), "n / (m k)");
  EXPECT_EQ((n / (m / k)).text(), "n / (m / k)");
  EXPECT_EQ((n * Expression(-1)).text(), "n (-1)");
  EXPECT_EQ((n - Expression(-1)).text(), "n - (-1)");
  EXPECT_EQ(ceil_div(n + 1, m * k).text(), "ceil((n + 1) / (m k))");
  EXPECT_EQ((max(n - 1, 0) * k).text(), "max(n - 1, 0) k");
  EXPECT_EQ((2 * min(n, m)).text(), "2 min(n, m)");
  EXPECT_EQ((ceil_log2(n + 1) + 1).text(), "ceil(log2(n + 1)) + 1");
}

TEST(Expression, refuses_a_division_with_a_remainder) {
  const Expression half = (n + 1) / m;
  EXPECT_EQ(half({{"n", 5}, {"m", 2}}), 3);
  try {
    half({{"n", 4}, {"m", 2}});
    FAIL() << "5 / 2 was accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "formula (n + 1) / m: 5 / 2 is not an integer");
  }
  EXPECT_THROW(half({{"n", 4}, {"m", 0}}), std::invalid_argument);
}

TEST(Expression, names_the_symbol_without_a_value) {
  try {
    (n + m)({{"n", 1}});
    FAIL() << "m has no value";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "setting m is missing, expected a value");
  }
}

RC_GTEST_PROP(Expression, rounds_up_as_its_definition_says, ()) {
  const Index dividend = *rc::gen::inRange<Index>(0, 1'000'000), divisor = *rc::gen::inRange<Index>(1, 1000);
  const Index up = ceil_div(n, m)({{"n", dividend}, {"m", divisor}});
  RC_ASSERT(up * divisor >= dividend);
  RC_ASSERT((up - 1) * divisor < dividend);
  const Index exponent = ceil_log2(n)({{"n", dividend}});
  RC_ASSERT((Index{1} << exponent) >= dividend);
  if (exponent > 0)
    RC_ASSERT((Index{1} << (exponent - 1)) < dividend);  // the macro would evaluate both sides of ||
}

}  // namespace
}  // namespace etalon
