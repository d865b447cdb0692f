/// \file
/// Core 2 on the CPU against the text of gated linear attention, within the derived budget, for every
/// instruction set.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/decay_budget.hpp"
#include "reference/gated_recurrence/gated_linear_attention.hpp"
#include "reference/linear_attention/retention.hpp"
#include "tests/fast/decay_problem.hpp"
#include "tests/fast/support.hpp"

namespace etalon::fast_test {
namespace {

std::vector<RecurrentBudget> expected(const DecayProblem& problem) {
  std::vector<RecurrentBudget> all;
  const DecayCase& c = problem.sizes;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      all.push_back(decay_budget(problem.head(b, h), c.decay != Decay::none, c.chunk == 0 ? 32 : c.chunk));
    }
  }
  return all;
}

testing::AssertionResult all_within(const DecayProblem& problem, const std::vector<RecurrentBudget>& wanted,
                                    double& worst) {
  const DecayCase& c = problem.sizes;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      const RecurrentBudget& one = wanted[static_cast<std::size_t>(b * c.heads + h)];
      auto good = within("o", problem.o, b, h, one.output, one.output_budget, worst);
      if (!good) return good;
      if (!c.states) continue;
      good = state_within(problem.final_state, b, h, one, worst);
      if (!good) return good;
    }
  }
  return testing::AssertionSuccess();
}

class DecayCases : public testing::TestWithParam<DecayCase> {};

TEST_P(DecayCases, IsWithinTheBudgetOfTheText) {
  const std::vector<RecurrentBudget> wanted = expected(DecayProblem(GetParam()));
  double worst = 0;
  for_each_target([&] {
    DecayProblem problem(GetParam());
    fast::cpu::decay_outer_product(problem.call, {.threads = GetParam().threads});
    EXPECT_TRUE(all_within(problem, wanted, worst));
    EXPECT_TRUE(problem.o.gaps_untouched());
    EXPECT_TRUE(problem.final_state.gaps_untouched() || !GetParam().states);
    EXPECT_TRUE(GetParam().states || problem.final_state.untouched());
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
    for (const std::int64_t chunk : {1, 3, 16, 64, 1000}) {
      all.push_back({.name = kind + "_chunk_" + std::to_string(chunk),
                     .time = 150,
                     .d = 20,
                     .e = 20,
                     .decay = decay,
                     .chunk = chunk});
    }
    all.push_back({.name = kind + "_long", .time = 1000, .d = 12, .e = 9, .decay = decay});
    all.push_back({.name = kind + "_128", .time = 130, .d = 128, .e = 128, .decay = decay});
    all.push_back({.name = kind + "_heads",
                   .time = 75,
                   .d = 9,
                   .e = 10,
                   .decay = decay,
                   .batch = 2,
                   .heads = 3,
                   .threads = 4,
                   .layout = Layout::heads_first});
    all.push_back({.name = kind + "_shared_head",
                   .time = 700,
                   .d = 9,
                   .e = 100,
                   .decay = decay,
                   .threads = 3,
                   .layout = Layout::gaps});
    all.push_back(
        {.name = kind + "_without_states", .time = 75, .d = 9, .e = 10, .decay = decay, .states = false});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Sizes, DecayCases, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST(DecayOuterProduct, SplitSequenceHandsOnTheState) {
  for (const Decay decay : {Decay::none, Decay::token, Decay::channel}) {
    const DecayCase whole{.name = "", .time = 200, .d = 24, .e = 20, .decay = decay};
    const std::vector<RecurrentBudget> wanted = expected(DecayProblem(whole));
    for (const std::int64_t cut : {1, 31, 32, 77, 199}) {
      DecayProblem problem(whole);
      Storage between(1, 1, whole.d, whole.e);
      fast::DecayOuterProduct first = problem.call, second = problem.call;
      const auto part = [&](fast::Tensor& x, std::int64_t from, std::int64_t length) {
        if (!x) return;
        x.data = static_cast<float*>(x.data) + from * x.stride[1];
        x.shape[1] = length;
      };
      for (fast::Tensor* x : {&first.q, &first.k, &first.v, &first.o, &first.log_decay}) part(*x, 0, cut);
      for (fast::Tensor* x : {&second.q, &second.k, &second.v, &second.o, &second.log_decay}) {
        part(*x, cut, whole.time - cut);
      }
      first.final_state = second.initial_state = between.view();
      fast::cpu::decay_outer_product(first);
      fast::cpu::decay_outer_product(second);
      double worst = 0;
      EXPECT_TRUE(all_within(problem, wanted, worst)) << "cut at " << cut;
    }
  }
}

TEST(DecayOuterProduct, RetentionIsTheConstantDecay) {
  DecayProblem problem({.name = "", .time = 90, .d = 8, .e = 5, .decay = Decay::head, .states = false});
  fast::cpu::decay_outer_product(problem.call);
  const double gamma = std::exp(static_cast<double>(problem.log_decay.at(0, 0, 0, 0)));
  retention::Input<double> in{problem.q.matrix(0, 0),
                              problem.k.matrix(0, 0),
                              problem.v.matrix(0, 0),
                              Array<Complex<double>>({4}, Complex<double>(1)),
                              gamma,
                              Array<double>({8, 5})};
  for (double& x : in.query.values()) x *= static_cast<double>(problem.call.scale);
  const auto text = retention::recurrent(in);
  double worst = 0;
  EXPECT_TRUE(within("o", problem.o, 0, 0, text.output, expected(problem)[0].output_budget, worst));
}

TEST(DecayOuterProduct, ComparisonRejectsAPerturbedOutputOrAnotherDecay) {
  const DecayCase c{.name = "", .time = 200, .d = 16, .e = 8, .decay = Decay::channel};
  DecayProblem problem(c);
  const std::vector<RecurrentBudget> wanted = expected(problem);
  double worst = 0;
  fast::cpu::decay_outer_product(problem.call);
  ASSERT_TRUE(all_within(problem, wanted, worst));
  const float kept = problem.o.at(0, 150, 0, 3);
  for (const float wrong : {kept * 1.001f + 1e-3f, std::numeric_limits<float>::quiet_NaN()}) {
    problem.o.at(0, 150, 0, 3) = wrong;
    EXPECT_FALSE(all_within(problem, wanted, worst));
  }
  problem.o.at(0, 150, 0, 3) = kept;
  problem.final_state.at(0, 0, 7, 2) += 1e-3f;
  EXPECT_FALSE(all_within(problem, wanted, worst));
  problem.log_decay.at(0, 100, 0, 5) = -0.01f;
  fast::cpu::decay_outer_product(problem.call);
  EXPECT_FALSE(all_within(problem, wanted, worst)) << "one decay of 1600 is another";
}

TEST(DecayOuterProduct, ATokenDoesNotSeeALaterOne) {
  for_each_target([] {
    for (const Decay decay : {Decay::none, Decay::token, Decay::channel}) {
      DecayProblem problem({.name = "", .time = 100, .d = 8, .e = 4, .decay = decay});
      problem.v.at(0, 50, 0, 1) = std::numeric_limits<float>::quiet_NaN();
      problem.k.at(0, 70, 0, 3) = std::numeric_limits<float>::quiet_NaN();
      fast::cpu::decay_outer_product(problem.call);
      for (std::int64_t t = 0; t < 100; ++t) {
        EXPECT_EQ(std::isnan(problem.o.at(0, t, 0, 1)), t >= 50) << t;
        EXPECT_EQ(std::isnan(problem.o.at(0, t, 0, 0)), t >= 70) << t;
      }
    }
  });
}

TEST(DecayOuterProduct, WrongArgumentsAreNamedAndNothingIsWritten) {
  const auto message = [](auto change) {
    DecayProblem problem({.name = "", .time = 20, .d = 8, .e = 4, .decay = Decay::channel});
    change(problem);
    try {
      fast::cpu::decay_outer_product(problem.call);
    } catch (const fast::Error& error) {
      EXPECT_TRUE(problem.o.untouched());
      EXPECT_TRUE(problem.final_state.untouched());
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message([](DecayProblem& p) { p.log_decay.at(0, 19, 0, 7) = 0.1f; }),
            "decay_outer_product: log_decay has an entry above 0 or NaN, expected logarithms of decays, all "
            "at most 0");
  EXPECT_EQ(message([](DecayProblem& p) { p.log_decay.at(0, 3, 0, 0) = std::nanf(""); }),
            "decay_outer_product: log_decay has an entry above 0 or NaN, expected logarithms of decays, all "
            "at most 0");
  EXPECT_EQ(message([](DecayProblem& p) { p.call.chunk = -1; }),
            "decay_outer_product: chunk is -1, expected at least 1, or 0 for a choice of the core");
  EXPECT_EQ(message([](DecayProblem& p) { p.call.chunk = 5000; }),
            "decay_outer_product: chunk is 5000, expected from 1 to 1024, or 0 for a choice of the core");
  EXPECT_NE(message([](DecayProblem& p) { p.call.k.shape[1] = 19; }).find("decay_outer_product: k has shape"),
            std::string::npos);
  EXPECT_NE(message([](DecayProblem& p) { p.call.v.data = nullptr; }).find("v is null"), std::string::npos);
}

}  // namespace
}  // namespace etalon::fast_test
