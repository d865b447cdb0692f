/// \file
/// What a law says while it runs: each expectation breaks where it must, with a message that tells what
/// differed.
#include "proofs/engine/check.hpp"

#include <gtest/gtest.h>

#include "proofs/engine/profiles.hpp"

namespace etalon {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class Action>
std::string broken(const Action& action) {
  try {
    action();
  } catch (const LawBroken& error) {
    return error.what();
  }
  return "";
}

TEST(Check, compares_exact_numbers_exactly) {
  Check check;
  check.equal(Rational(1) / Rational(3), Rational(2) / Rational(6), "third");
  EXPECT_EQ(broken([&] { check.equal(Rational(1) / Rational(3), Rational(1) / Rational(2), "third"); }),
            "third: 1/3 is not 1/2");
  EXPECT_EQ(broken([&] { check.equal(PrimeField(-1), PrimeField(1), "sign"); }),
            "sign: 2305843009213693950 is not 1");
  EXPECT_EQ(broken([&] {
              check.equal(Complex<Rational>(Rational(1), Rational(2)),
                          Complex<Rational>(Rational(1), Rational(3)), "z");
            }),
            "z, imaginary part: 2 is not 3");
  EXPECT_EQ(check.comparisons(), 5);
}

TEST(Check, compares_arrays_by_shape_and_element) {
  Check check;
  const auto one = Array<Rational>::vector({1, 2, 3});
  check.equal(one, one, "list");
  EXPECT_EQ(check.comparisons(), 3);
  EXPECT_EQ(broken([&] {
              check.equal(one, Array<Rational>::vector({1, 2, 4}), "list");
            }),
            "list, element 2: 3 is not 4");
  EXPECT_EQ(broken([&] {
              check.equal(one, Array<Rational>::vector({1, 2}), "list");
            }),
            "list: shape 3 is not 2");
}

TEST(Check, compares_the_outputs_that_both_sides_have) {
  Check check;
  Arrays<Rational> left, right;
  left.real["x"] = right.real["x"] = Array<Rational>::vector({1});
  left.index["order"] = Array<Index>::vector({0, 1});
  check.equal(left, right, "");
  EXPECT_EQ(check.comparisons(), 1);
  right.index["order"] = Array<Index>::vector({1, 0});
  EXPECT_EQ(broken([&] { check.equal(left, right, "orders"); }).find("orders, order, element 0: 0"), 0U);
  EXPECT_EQ(broken([&] { check.equal(left, Arrays<Rational>{}, "nothing"); }),
            "nothing: the two sides have no output in common");
}

TEST(Check, lets_a_budget_be_used_up_and_no_more) {
  Check check;
  check.within(1.25, 1.0, 0.25, "edge");
  EXPECT_EQ(check.worst_fraction(), 1);
  EXPECT_NE(broken([&] { check.within(1.25 + 0x1p-50, 1.0, 0.25, "edge"); }), "");
  EXPECT_NE(broken([&] { check.within(1.0, 1.25 + 0x1p-50, 0.25, "edge"); }), "");
  EXPECT_NE(broken([&] { check.within(0x1p-1000, 0.0, 0.0, "edge"); }), "");
  check.within(2.0, 2.0, 0.0, "edge");
}

TEST(Check, is_broken_by_what_is_not_a_number) {
  Check check;
  EXPECT_NE(broken([&] { check.within(std::nan(""), 1.0, 1.0, "nan"); }), "");
  EXPECT_NE(broken([&] { check.within(1.0, std::nan(""), 1.0, "nan"); }), "");
  EXPECT_NE(broken([&] { check.within(kInfinity, 1.0, 1.0, "infinity"); }), "");
}

TEST(Check, claims_nothing_under_an_infinite_budget_and_counts_that) {
  Check check;
  check.within(5.0, 1.0, kInfinity, "overflow");
  EXPECT_EQ(check.comparisons(), 1);
  EXPECT_EQ(check.unbounded(), 1);
  EXPECT_EQ(check.worst_fraction(), 0);
}

TEST(Check, compares_bounded_numbers_within_the_sum_of_their_bounds) {
  const UseRounding scope(profile_of<Real50>());
  using Number = Bounded<Real50>;
  const Number third = Number(1) / Number(3), sum = third + third + third;
  Check check;
  check.equal(sum, Number(1), "three thirds");
  EXPECT_LE(check.worst_fraction(), 1);
  EXPECT_NE(broken([&] { check.equal(sum + Number(1e-45), Number(1), "three thirds and more"); }), "");
}

TEST(Check, orders_bounded_numbers_as_far_as_their_bounds_can_tell) {
  const UseRounding scope(profile_of<Real50>());
  using Number = Bounded<Real50>;
  const Number third = Number(1) / Number(3), sum = third + third + third;
  Check check;
  check.at_most(sum, Number(1), "not above");
  check.at_most(Number(1), sum, "not below");
  EXPECT_NE(broken([&] { check.at_most(sum + Number(1e-45), Number(1), "above"); }), "");
  EXPECT_EQ(broken([&] { check.at_most(Number(2), Number(1), "above"); }).find("above: 2 is above 1, "), 0U);
  EXPECT_EQ(check.unbounded(), 0);
  check.at_most(Number::with_error(Real50(2), kInfinity), Number(1), "unknown");
  EXPECT_EQ(check.unbounded(), 1);
  EXPECT_EQ(check.comparisons(), 5);
}

TEST(Check, reads_printed_digits_to_half_a_unit_of_the_last) {
  Check check;
  check.digits(Real50("1.44444"), "1.4444", "decimals");
  check.digits(Real50("1.44445"), "1.4444", "a tie");
  EXPECT_NE(broken([&] { check.digits(Real50("1.44446"), "1.4444", "decimals"); }), "");
  check.digits(Real50("-0.5"), "-0.50", "sign");
  EXPECT_NE(broken([&] { check.digits(Real50("0.5"), "-0.50", "sign"); }), "");
  check.digits(Real50("12.4"), "12", "no decimals");
  EXPECT_NE(broken([&] { check.digits(Real50("12.6"), "12", "no decimals"); }), "");
  check.digits(Real50("1.2344e-7"), "1.234e-7", "exponent");
  EXPECT_NE(broken([&] { check.digits(Real50("1.2346e-7"), "1.234e-7", "exponent"); }), "");
  check.digits(Real50("123440"), "1.234E+5", "exponent");
  EXPECT_NE(broken([&] { check.digits(Real50("123460"), "1.234E5", "exponent"); }), "");
}

TEST(Check, merges_what_several_cases_saw) {
  Check first, second, all;
  first.within(1.5, 1.0, 1.0, "half");
  first.measure("ulp", 3);
  second.within(1.25, 1.0, 1.0, "quarter");
  second.within(1.0, 1.0, kInfinity, "nothing");
  second.measure("ulp", -4);
  second.measure("further", 1);
  all.merge(first);
  all.merge(second);
  EXPECT_EQ(all.comparisons(), 3);
  EXPECT_EQ(all.unbounded(), 1);
  EXPECT_EQ(all.worst_fraction(), 0.5);
  EXPECT_EQ(all.measured().at("ulp"), 3);
  EXPECT_EQ(all.measured().at("further"), 1);
}

}  // namespace
}  // namespace etalon
