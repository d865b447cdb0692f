/// \file
/// The numbers that cases are made of: they stay in their domains, do what their pattern says, are uniform
/// over the field where that is promised, and follow from (seed, name, position) alone.
#include "proofs/engine/values.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "proofs/engine/entry.hpp"

namespace etalon {
namespace {

constexpr Index kDraws = 4000;
constexpr double kFalseAlarm = 1e-9;

constexpr std::array kDomains{Domain::any,       Domain::nonzero,  Domain::gate,
                              Domain::open_gate, Domain::positive, Domain::logit};

std::vector<Pattern> patterns() {
  std::vector<Pattern> all;
  for (int i = 0; i < kPatternCount; ++i) all.push_back(static_cast<Pattern>(i));
  return all;
}

template <class T>
bool in_domain(const T& x, Domain domain) {
  const T zero(0), one(1);
  switch (domain) {
    case Domain::nonzero:
      return x < zero || zero < x;
    case Domain::gate:
      return !(x < zero) && !(one < x);
    case Domain::open_gate:
      return zero < x && !(one < x);
    case Domain::positive:
      return zero < x;
    case Domain::any:
    case Domain::logit:
      return finite(x);
  }
  return false;
}

template <class T>
std::vector<T> drawn(Domain domain, Pattern pattern) {
  std::vector<T> values;
  for (Index i = 0; i < kDraws; ++i) values.push_back(draw<T>({5, "input", i}, domain, pattern));
  return values;
}

template <class T>
class Drawn : public testing::Test {};
using Ordered = testing::Types<double, float, Float16, BFloat16, Rational, RationalExp2>;
TYPED_TEST_SUITE(Drawn, Ordered);

/// Magnitudes that double holds are rounded to 0 and to infinity in the narrow formats: that is what the
/// pattern of extremes is for, so the domains are kept there in the wide arithmetics only.
template <class T>
constexpr bool holds_extremes = std::is_same_v<T, double> || is_exact<T>;

TYPED_TEST(Drawn, stays_in_the_domain) {
  for (const Domain domain : kDomains) {
    for (const Pattern pattern : patterns()) {
      if (pattern == Pattern::extremes && !holds_extremes<TypeParam>) continue;
      for (const TypeParam& x : drawn<TypeParam>(domain, pattern)) {
        ASSERT_TRUE(in_domain(x, domain)) << to_string(domain) << ", " << to_string(pattern);
      }
    }
  }
}

TYPED_TEST(Drawn, ones_are_ones_and_ties_are_few) {
  for (const Domain domain : kDomains) {
    for (const TypeParam& x : drawn<TypeParam>(domain, Pattern::ones)) ASSERT_TRUE(x == TypeParam(1));
    std::vector<TypeParam> distinct;
    for (const TypeParam& x : drawn<TypeParam>(domain, Pattern::ties)) {
      bool known = false;
      for (const TypeParam& other : distinct) known = known || x == other;
      if (!known) distinct.push_back(x);
    }
    EXPECT_LE(distinct.size(), 3U) << to_string(domain);
  }
}

TEST(DrawnValues, logits_of_exact_exponentials_are_integers) {
  for (const Pattern pattern : patterns()) {
    for (const RationalExp2& x : drawn<RationalExp2>(Domain::logit, pattern)) {
      ASSERT_EQ(denominator(x.value()), 1) << to_string(pattern);
    }
  }
}

TEST(DrawnValues, half_of_the_pattern_zeros_is_zero) {
  Index zeros = 0;
  for (const double x : drawn<double>(Domain::any, Pattern::zeros)) zeros += x == 0 ? 1 : 0;
  // Hoeffding: the share of kDraws fair coins is further than this from 1/2 with a chance below kFalseAlarm.
  const double slack = std::sqrt(std::log(2 / kFalseAlarm) / (2.0 * kDraws));
  EXPECT_NEAR(static_cast<double>(zeros) / kDraws, 0.5, slack);
}

TEST(DrawnValues, gates_close_and_open_completely) {
  for (const Pattern pattern : {Pattern::zeros, Pattern::ties}) {
    const std::vector<double> gates = drawn<double>(Domain::gate, pattern);
    const std::set<double> distinct(gates.begin(), gates.end());
    EXPECT_TRUE(distinct.contains(0.0) && distinct.contains(1.0)) << to_string(pattern);
  }
}

TEST(DrawnValues, extremes_are_far_apart) {
  double smallest = 1, largest = 1;
  for (const double x : drawn<double>(Domain::any, Pattern::extremes)) {
    smallest = std::min(smallest, std::abs(x));
    largest = std::max(largest, std::abs(x));
  }
  EXPECT_LT(smallest, 0x1p-12);
  EXPECT_GT(largest, 0x1p12);
}

/// The statistic of Pearson's test that `counts` come from equally likely classes.
double chi_square(const std::vector<Index>& counts) {
  double total = 0;
  for (const Index count : counts) total += static_cast<double>(count);
  const double expected = total / static_cast<double>(counts.size());
  double statistic = 0;
  for (const Index count : counts) {
    statistic += (static_cast<double>(count) - expected) * (static_cast<double>(count) - expected) / expected;
  }
  return statistic;
}

/// A chi-square variable with k degrees of freedom exceeds k + 2 sqrt(k x) + 2 x with a chance of at most
/// e^-x
/// (\cite laurent2000chisquare, lemma 1).
double chi_square_limit(std::size_t classes) {
  const double freedom = static_cast<double>(classes - 1), x = -std::log(kFalseAlarm);
  return freedom + 2 * std::sqrt(freedom * x) + 2 * x;
}

constexpr std::size_t kClasses = 61;
constexpr Index kSample = 61'000;

/// By the upper bits, and by a remainder, which the lower bits decide.
template <class Value>
void expect_uniform(Value value) {
  std::vector<Index> upper(kClasses), lower(kClasses);
  for (Index i = 0; i < kSample; ++i) {
    const std::uint64_t x = value(i);
    ++upper[static_cast<std::size_t>(static_cast<WideUnsigned>(x) * kClasses / PrimeField::modulus)];
    ++lower[x % kClasses];
  }
  EXPECT_LT(chi_square(upper), chi_square_limit(kClasses));
  EXPECT_LT(chi_square(lower), chi_square_limit(kClasses));
}

TEST(PrimeFieldValues, are_uniform_over_positions_seeds_and_names) {
  for (const Domain domain : kDomains) {
    expect_uniform([&](Index i) {
      return draw<PrimeField>({1, "query", i}, domain, Pattern::generic).value();
    });
  }
  expect_uniform([](Index i) {
    return draw<PrimeField>({static_cast<std::uint64_t>(i), "query", 0}, Domain::any, Pattern::generic)
        .value();
  });
  expect_uniform([](Index i) {
    return draw<PrimeField>({1, std::to_string(i), 0}, Domain::any, Pattern::generic).value();
  });
}

TEST(PrimeFieldValues, are_uniform_in_the_sums_of_neighbours) {
  expect_uniform([](Index i) {
    const PrimeField here = draw<PrimeField>({1, "query", i}, Domain::any, Pattern::generic);
    const PrimeField next = draw<PrimeField>({1, "query", i + 1}, Domain::any, Pattern::generic);
    return (here - next).value();
  });
}

TEST(PrimeFieldValues, would_fail_the_test_of_uniformity_if_one_value_in_fifty_were_zero) {
  std::vector<Index> counts(kClasses);
  for (Index i = 0; i < kSample; ++i) {
    const std::uint64_t x = draw<PrimeField>({1, "query", i}, Domain::any, Pattern::generic).value();
    ++counts[i % 50 == 0 ? 0 : x % kClasses];
  }
  EXPECT_GT(chi_square(counts), chi_square_limit(kClasses));
}

TEST(DrawnValues, follow_from_seed_name_and_position) {
  const auto value = [](std::uint64_t seed, const char* name, Index position) {
    return draw<PrimeField>({seed, name, position}, Domain::any, Pattern::generic);
  };
  EXPECT_EQ(value(1, "query", 0), value(1, "query", 0));
  std::set<std::uint64_t> distinct;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (const char* name : {"query", "key", "", "a", "b"}) {
      for (Index position = 0; position < 10; ++position)
        distinct.insert(value(seed, name, position).value());
    }
  }
  EXPECT_EQ(distinct.size(), 500U);
}

TEST(DrawnValues, are_kept_by_a_smaller_case) {
  Entry entry;
  entry.inputs.push_back({"addend", {symbol("n")}, Domain::any, "", false, {}});
  Case large, small;
  large.settings["n"] = 7;
  small.settings["n"] = 3;
  const auto more = draw_inputs<Rational>(entry, large)["addend"],
             fewer = draw_inputs<Rational>(entry, small)["addend"];
  ASSERT_EQ(fewer.extent(0), 3);
  for (Index i = 0; i < 3; ++i) EXPECT_EQ(more(i), fewer(i));
}

}  // namespace
}  // namespace etalon
