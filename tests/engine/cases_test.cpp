/// \file
/// Cases: they are printed and read back, the corners are all tried, drawn ones respect sizes and parameters,
/// and a failing one shrinks to the smallest.
#include "proofs/engine/cases.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "proofs/engine/runner.hpp"
#include "tests/engine/toy.hpp"

namespace etalon {
namespace {

const Expression n = symbol("n");

/// Two sizes, a chunk that depends on one of them, and a choice.
Entry make_entry() {
  Entry entry;
  entry.name = "chunked_toy";
  entry.sizes = {{"n", 40, 6}, {"d", 4, 2}};
  entry.parameters = {{"chunk", 3, 1, n + 2, "", {}}, {"side", 0, 0, 1, "", {"left", "right"}}};
  return entry;
}

bool in_range(const Entry& entry, const Case& one, bool large) {
  for (const Size& size : entry.sizes) {
    const Index value = at(one.settings, size.name);
    if (value < 1 || value > (large ? size.large : size.small)) return false;
  }
  for (const Parameter& parameter : entry.parameters) {
    const Index value = at(one.settings, parameter.name);
    if (value < parameter.low(one.settings) || value > parameter.high(one.settings)) return false;
  }
  return true;
}

bool equal(const Case& a, const Case& b) {
  return a.settings == b.settings && a.pattern == b.pattern && a.seed == b.seed;
}

TEST(CaseText, is_what_a_case_is_made_of) {
  const Case one{{{"n", 7}, {"d_k", 2}}, Pattern::ties, 123};
  EXPECT_EQ(to_string(one), "d_k=2 n=7 values=ties seed=123");
  EXPECT_TRUE(equal(parse_case("seed=123 n=7 values=ties d_k=2"), one));
  EXPECT_TRUE(equal(parse_case(""), Case{}));
}

RC_GTEST_PROP(CaseText, is_read_back, (std::uint64_t seed, bool large)) {
  const Case one = random_case(make_entry(), large, seed);
  RC_ASSERT(equal(parse_case(to_string(one)), one));
}

std::string refusal(const std::string& text) {
  try {
    parse_case(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(CaseText, names_the_word_that_it_does_not_understand) {
  for (const char* word :
       {"n", "n=", "n=x", "n=3x", "=3", "=", "seed=", "seed=x", "seed=-1", "n=99999999999999999999"}) {
    const std::string message = refusal(std::string("d=2 ") + word + " values=ones");
    EXPECT_NE(message.find("\"" + std::string(word) + "\""), std::string::npos) << word << ": " << message;
  }
  EXPECT_NE(refusal("n=3 values=odd").find("odd"), std::string::npos);
}

TEST(Corners, are_all_tried) {
  const Entry entry = make_entry();
  for (const bool large : {false, true}) {
    const std::vector<Case> corners = corner_cases(entry, large);
    const auto some = [&](auto holds) { return std::any_of(corners.begin(), corners.end(), holds); };
    for (const Case& one : corners) EXPECT_TRUE(in_range(entry, one, large)) << to_string(one);
    EXPECT_TRUE(
        some([](const Case& one) { return at(one.settings, "n") == 1 && at(one.settings, "d") == 1; }));
    for (const char* size : {"n", "d"}) {
      for (const Index value : {1, 2}) {
        EXPECT_TRUE(some([&](const Case& one) { return at(one.settings, size) == value; })) << size << value;
      }
    }
    for (const Index more : {-1, 0, 1, 2}) {  // tokens beyond the last whole chunk
      EXPECT_TRUE(some([&](const Case& one) {
        return at(one.settings, "n") == at(one.settings, "chunk") + more;
      })) << more;
    }
    for (const Parameter& parameter : entry.parameters) {
      EXPECT_TRUE(some(
          [&](const Case& one) { return at(one.settings, parameter.name) == parameter.low(one.settings); }));
      EXPECT_TRUE(some(
          [&](const Case& one) { return at(one.settings, parameter.name) == parameter.high(one.settings); }));
    }
    for (int i = 0; i < kPatternCount; ++i) {
      const auto pattern = static_cast<Pattern>(i);
      EXPECT_TRUE(
          some([&](const Case& one) { return one.pattern == pattern && at(one.settings, "n") == 1; }));
      EXPECT_TRUE(
          some([&](const Case& one) { return one.pattern == pattern && at(one.settings, "n") == 5; }));
    }
  }
}

TEST(Corners, have_values_of_their_own) {
  std::set<std::uint64_t> seeds;
  const std::vector<Case> corners = corner_cases(make_entry(), true);
  for (const Case& one : corners) seeds.insert(one.seed);
  EXPECT_EQ(seeds.size(), corners.size());
}

RC_GTEST_PROP(DrawnCase, fits_the_entry, (std::uint64_t seed, bool large)) {
  const Entry entry = make_entry();
  const Case one = random_case(entry, large, seed);
  RC_ASSERT(in_range(entry, one, large));
  RC_ASSERT(equal(one, random_case(entry, large, seed)));
}

TEST(DrawnCase, reaches_every_value) {
  const Entry entry = make_entry();
  std::set<Index> lengths, sides;
  std::set<Pattern> patterns;
  std::set<Index> remainders;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const Case one = random_case(entry, true, seed);
    lengths.insert(at(one.settings, "n"));
    sides.insert(at(one.settings, "side"));
    patterns.insert(one.pattern);
    remainders.insert(at(one.settings, "n") - at(one.settings, "chunk"));
  }
  EXPECT_EQ(lengths.size(), 40U);
  EXPECT_EQ(sides.size(), 2U);
  EXPECT_EQ(patterns.size(), static_cast<std::size_t>(kPatternCount));
  EXPECT_TRUE(remainders.contains(-1) && remainders.contains(0) && remainders.contains(1));
}

TEST(DrawnCase, is_repaired_by_the_entry) {
  Entry entry = make_entry();
  entry.adjust = [](Settings& settings) { settings["n"] += settings["n"] % 2; };
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Case one = random_case(entry, true, seed);
    EXPECT_EQ(at(one.settings, "n") % 2, 0) << to_string(one);
    for (const Case& smaller : smaller_cases(entry, one)) EXPECT_EQ(at(smaller.settings, "n") % 2, 0);
  }
  for (const Case& one : corner_cases(entry, true)) EXPECT_EQ(at(one.settings, "n") % 2, 0) << to_string(one);
}

RC_GTEST_PROP(SmallerCase, fits_and_is_smaller, (std::uint64_t seed)) {
  const Entry entry = make_entry();
  const Case one = random_case(entry, true, seed);
  const std::vector<Case> all = smaller_cases(entry, one);
  RC_ASSERT(!all.empty() || to_string(one).starts_with("chunk=1 d=1 n=1 side=0 values=generic "));
  for (const Case& smaller : all) {
    RC_ASSERT(in_range(entry, smaller, true));
    RC_ASSERT(smaller.seed == one.seed);
    bool grew = false, shrank = smaller.pattern == Pattern::generic && one.pattern != Pattern::generic;
    for (const auto& [name, value] : one.settings) {
      grew = grew || at(smaller.settings, name) > value;
      shrank = shrank || at(smaller.settings, name) < value;
    }
    RC_ASSERT(shrank);
    RC_ASSERT(!grew);
  }
}

TEST(SmallerCase, does_not_exist_below_the_smallest) {
  const Entry entry = make_entry();
  const Case smallest = parse_case("n=1 d=1 chunk=1 side=0 values=generic seed=1");
  EXPECT_TRUE(smaller_cases(entry, smallest).empty());
}

/// The case that a law which fails where `planted` says so shrinks to.
std::string shrunk(std::function<bool(const Case&)> planted, std::uint64_t seed) {
  Entry entry = make_entry();
  toy::EntryBuilder builder(entry);
  builder.law<PrimeField>(Kind::invariant, "planted", "",
                          [planted](auto& trial) { trial.expect(!planted(trial.drawn()), "planted"); });
  RunOptions options;
  options.seed = seed;
  options.effort = 10;
  return run_law(entry, entry.laws.front(), entry.laws.front().variants.front(), options).failing_case;
}

TEST(Shrinking, reaches_the_smallest_failing_case) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const std::string sizes = shrunk(
        [](const Case& one) {
          return at(one.settings, "n") >= 7 && at(one.settings, "d") >= 2 && at(one.settings, "chunk") >= 4 &&
                 at(one.settings, "side") == 1;
        },
        seed);
    EXPECT_EQ(sizes.find("chunk=4 d=2 n=7 side=1 values=generic "), 0U) << sizes;
    const std::string pattern = shrunk(
        [](const Case& one) { return at(one.settings, "n") >= 2 && one.pattern == Pattern::zeros; }, seed);
    EXPECT_EQ(pattern.find("chunk=1 d=1 n=2 side=0 values=zeros "), 0U) << pattern;
  }
}

}  // namespace
}  // namespace etalon
