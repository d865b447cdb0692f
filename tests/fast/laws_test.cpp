/// \file
/// Every `fast` law can fail: each result that it compares is moved by two budgets, and each input is changed
/// for the text alone, one at a time, and the law must find it. That the laws hold is tested with all other
/// laws, in tests/laws.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "proofs/engine/runner.hpp"
#include "proofs/fast/law.hpp"

namespace etalon::fast_test {
namespace {

using fast_laws::SeededFault;

/// A few cases beside the corners.
RunOptions few_cases() {
  RunOptions options;
  options.effort = 0.1;
  return options;
}

std::string called(const Chosen& chosen) {
  return chosen.entry->name + ", " + chosen.law->name;
}

TEST(FastLaws, EveryMixerThatACoreServesHasOne) {
  std::set<std::string> entries;
  for (const Chosen& chosen : choose({{}, "", "fast", ""})) entries.insert(chosen.entry->name);
  EXPECT_EQ(entries, (std::set<std::string>{"delta_rule", "gated_delta", "gated_linear_attention",
                                            "linear_attention", "mamba2_ssd", "mamba_s6", "retention", "s4d",
                                            "softmax_attention", "swin"}));
}

TEST(FastLaws, EachFailsWhenAResultIsOffByTwoBudgets) {
  for (const Chosen& chosen : choose({{}, "", "fast", ""})) {
    SCOPED_TRACE(called(chosen));
    const Record held = run_law(*chosen.entry, *chosen.law, *chosen.variant, few_cases());
    EXPECT_TRUE(held.holds) << held.message << '\n' << held.reproduce;
    EXPECT_FALSE(held.measured.empty());
    for (const auto& [measured, fraction] : held.measured) {
      const std::string result = measured.substr(fast_laws::fraction_of("").size());
      ASSERT_EQ(measured, fast_laws::fraction_of(result));
      const auto fault = SeededFault::of_result(result, 2);
      const Record failed = run_law(*chosen.entry, *chosen.law, *chosen.variant, few_cases());
      EXPECT_FALSE(failed.holds) << result << " is off by two budgets";
      EXPECT_TRUE(failed.message.starts_with(result + ", element")) << failed.message;
      EXPECT_FALSE(failed.failing_case.empty());
    }
  }
}

TEST(FastLaws, EachFailsWhenTheTextIsGivenAnotherInput) {
  // What a core does not know: a sink, other transitions than one gate.
  const std::set<std::string> idle{"sink", "channel_decay", "reader", "writer"};
  for (const Chosen& chosen : choose({{}, "", "fast", ""})) {
    SCOPED_TRACE(called(chosen));
    for (const Input& input : chosen.entry->inputs) {
      if (input.draw_index) continue;
      const auto fault = SeededFault::of_input(input.name);
      const Record record = run_law(*chosen.entry, *chosen.law, *chosen.variant, few_cases());
      EXPECT_EQ(record.holds, idle.contains(input.name)) << "another " << input.name;
    }
  }
}

TEST(FastLaws, WithinItsBudgetAResultMayBeMoved) {
  const auto fault = SeededFault::of_result("output", 1e-3);
  for (const Chosen& chosen : choose({{}, "", "fast", ""})) {
    SCOPED_TRACE(called(chosen));
    const Record record = run_law(*chosen.entry, *chosen.law, *chosen.variant, few_cases());
    EXPECT_TRUE(record.holds) << record.message;
  }
}

}  // namespace
}  // namespace etalon::fast_test
