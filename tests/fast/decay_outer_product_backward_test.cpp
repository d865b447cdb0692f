/// \file
/// The gradients of core 2 on the CPU against those of the text of gated linear attention, within the derived
/// budget, for every instruction set.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/decay_budget.hpp"
#include "tests/fast/decay_problem.hpp"
#include "tests/fast/support.hpp"

namespace etalon::fast_test {
namespace {

struct BackwardProblem : DecayProblem {
  Storage d_o, d_final_state, dq, dk, dv, d_log_decay, d_initial_state;
  fast::DecayOuterProductBackward backward;

  explicit BackwardProblem(const DecayCase& c)
      : DecayProblem(c),
        d_o(o),
        d_final_state(final_state),
        dq(q),
        dk(k),
        dv(o),
        d_log_decay(log_decay),
        d_initial_state(initial_state) {
    for (Storage* x : {&dq, &dk, &dv, &d_log_decay, &d_initial_state}) {
      x->fill([] { return std::numeric_limits<double>::quiet_NaN(); });
    }
    d_o.fill(normal(11));
    d_final_state.fill(normal(12));
    backward.forward = call;
    backward.forward.o = backward.forward.final_state = {};
    backward.d_o = d_o.view();
    backward.dq = dq.view();
    backward.dk = dk.view();
    backward.dv = dv.view();
    if (c.decay != Decay::none) backward.d_log_decay = d_log_decay.view();
    if (c.states) {
      backward.d_final_state = d_final_state.view();
      backward.d_initial_state = d_initial_state.view();
    }
  }
};

std::vector<DecayGradientBudget> expected(const BackwardProblem& problem) {
  std::vector<DecayGradientBudget> all;
  const DecayCase& c = problem.sizes;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      Array<double> d_state({c.d, c.e});
      if (c.states) d_state = state_matrix(problem.d_final_state, b, h);
      all.push_back(decay_gradient_budget(problem.head(b, h), problem.d_o.matrix(b, h), d_state,
                                          c.decay != Decay::none, c.chunk == 0 ? 32 : c.chunk));
    }
  }
  return all;
}

/// The sum over channels, n x 1.
Array<double> over_channels(const Array<double>& x) {
  Array<double> sum({x.extent(0), 1});
  for (Index t = 0; t < x.extent(0); ++t) {
    for (Index i = 0; i < x.extent(1); ++i) sum(t, 0) += x(t, i);
  }
  return sum;
}

testing::AssertionResult all_within(const BackwardProblem& problem,
                                    const std::vector<DecayGradientBudget>& wanted, double& worst) {
  const DecayCase& c = problem.sizes;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      const auto& [exact, budget] = wanted[static_cast<std::size_t>(b * c.heads + h)];
      auto good = within("dq", problem.dq, b, h, exact.query, budget.query, worst);
      if (good) good = within("dk", problem.dk, b, h, exact.key, budget.key, worst);
      if (good) good = within("dv", problem.dv, b, h, exact.value, budget.value, worst);
      if (good && c.states) {
        const RecurrentBudget state{{}, {}, exact.initial_state, budget.initial_state};
        good = state_within(problem.d_initial_state, b, h, state, worst);
      }
      if (good && c.decay == Decay::channel) {
        good = within("d_log_decay", problem.d_log_decay, b, h, exact.decay, budget.decay, worst);
      }
      if (good && c.decay == Decay::token) {
        good = within("d_log_decay", problem.d_log_decay, b, h, over_channels(exact.decay),
                      over_channels(budget.decay), worst);
      }
      if (!good) return good;
    }
  }
  if (c.decay != Decay::head) return testing::AssertionSuccess();
  for (std::int64_t h = 0; h < c.heads; ++h) {  // one number for all tokens of all batches, rounded once
    Array<double> sum({1, 1}), budget({1, 1});
    for (std::int64_t b = 0; b < c.batch; ++b) {
      const DecayGradientBudget& one = wanted[static_cast<std::size_t>(b * c.heads + h)];
      for (const double x : one.exact.decay.values()) sum(0, 0) += x;
      for (const double x : one.budget.decay.values()) budget(0, 0) += x;
    }
    budget(0, 0) += kUnit * (std::abs(sum(0, 0)) + budget(0, 0));
    auto good = within("d_log_decay", problem.d_log_decay, 0, h, sum, budget, worst);
    if (!good) return good;
  }
  return testing::AssertionSuccess();
}

class DecayBackwardCases : public testing::TestWithParam<DecayCase> {};

TEST_P(DecayBackwardCases, IsWithinTheBudgetOfTheText) {
  const std::vector<DecayGradientBudget> wanted = expected(BackwardProblem(GetParam()));
  double worst = 0;
  for_each_target([&] {
    BackwardProblem problem(GetParam());
    fast::cpu::decay_outer_product_backward(problem.backward, {.threads = GetParam().threads});
    EXPECT_TRUE(all_within(problem, wanted, worst));
    for (const Storage* x : {&problem.dq, &problem.dk, &problem.dv}) EXPECT_TRUE(x->gaps_untouched());
    EXPECT_TRUE(problem.o.untouched() && problem.final_state.untouched());
  });
  RecordProperty("largest_fraction_of_budget", std::to_string(worst));
}

std::vector<DecayCase> cases() {
  std::vector<DecayCase> all;
  for (const auto& [word, decay] : {std::pair{"none", Decay::none},
                                    {"head", Decay::head},
                                    {"token", Decay::token},
                                    {"channel", Decay::channel}}) {
    const std::string kind = word;
    for (const std::int64_t time : {1, 2, 15, 16, 17, 31, 32, 33, 100}) {
      all.push_back(
          {.name = kind + "_time_" + std::to_string(time), .time = time, .d = 16, .e = 16, .decay = decay});
    }
    for (const std::int64_t d : {1, 5, 63, 65}) {
      all.push_back({.name = kind + "_d_" + std::to_string(d), .time = 70, .d = d, .e = 7, .decay = decay});
      all.push_back({.name = kind + "_e_" + std::to_string(d), .time = 70, .d = 7, .e = d, .decay = decay});
    }
    for (const std::int64_t chunk : {1, 3, 16, 64}) {
      all.push_back({.name = kind + "_chunk_" + std::to_string(chunk),
                     .time = 150,
                     .d = 20,
                     .e = 20,
                     .decay = decay,
                     .chunk = chunk});
    }
    all.push_back({.name = kind + "_segments", .time = 1100, .d = 12, .e = 9, .decay = decay, .chunk = 16});
    all.push_back({.name = kind + "_64", .time = 70, .d = 64, .e = 64, .decay = decay});
    all.push_back({.name = kind + "_heads",
                   .time = 75,
                   .d = 9,
                   .e = 10,
                   .decay = decay,
                   .batch = 2,
                   .heads = 3,
                   .threads = 4,
                   .layout = Layout::heads_first});
    all.push_back(
        {.name = kind + "_gaps", .time = 75, .d = 9, .e = 10, .decay = decay, .layout = Layout::gaps});
    all.push_back(
        {.name = kind + "_without_states", .time = 75, .d = 9, .e = 10, .decay = decay, .states = false});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Sizes, DecayBackwardCases, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST(DecayOuterProductBackward, ComparisonRejectsAPerturbedGradientOrAnotherInput) {
  BackwardProblem problem({.name = "", .time = 100, .d = 16, .e = 8, .decay = Decay::channel});
  const std::vector<DecayGradientBudget> wanted = expected(problem);
  double worst = 0;
  fast::cpu::decay_outer_product_backward(problem.backward);
  ASSERT_TRUE(all_within(problem, wanted, worst));
  for (Storage* x : {&problem.dq, &problem.dk, &problem.dv, &problem.d_log_decay}) {
    const float kept = x->at(0, 60, 0, 3);
    for (const float wrong : {kept * 1.01f + 1e-2f, std::numeric_limits<float>::quiet_NaN()}) {
      x->at(0, 60, 0, 3) = wrong;
      EXPECT_FALSE(all_within(problem, wanted, worst));
    }
    x->at(0, 60, 0, 3) = kept;
  }
  problem.log_decay.at(0, 50, 0, 5) = -0.01f;
  fast::cpu::decay_outer_product_backward(problem.backward);
  EXPECT_FALSE(all_within(problem, wanted, worst)) << "one decay of 1600 is another";
}

TEST(DecayOuterProductBackward, WrongArgumentsAreNamed) {
  const auto message = [](Decay decay, auto change) {
    BackwardProblem problem({.name = "", .time = 20, .d = 8, .e = 4, .decay = decay});
    change(problem);
    try {
      fast::cpu::decay_outer_product_backward(problem.backward);
    } catch (const fast::Error& error) {
      EXPECT_TRUE(std::isnan(problem.dq.at(0, 0, 0, 0)));
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message(Decay::none, [](BackwardProblem& p) { p.backward.d_log_decay = p.d_log_decay.view(); }),
            "decay_outer_product_backward: d_log_decay is given, expected none where log_decay is not given");
  EXPECT_NE(message(Decay::token, [](BackwardProblem& p) { p.backward.dk = p.backward.dq; })
                .find("dk shares memory with dq"),
            std::string::npos);
  EXPECT_NE(
      message(Decay::token, [](BackwardProblem& p) { p.backward.d_o.shape[1] = 19; }).find("d_o has shape"),
      std::string::npos);
}

}  // namespace
}  // namespace etalon::fast_test
