/// \file
/// Core 3 on the CPU against the text of the gated delta rule, within the derived budget, for every
/// instruction set.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/delta_budget.hpp"
#include "reference/gated_recurrence/gated_delta.hpp"
#include "tests/fast/support.hpp"

namespace etalon::fast_test {
namespace {

struct Case {
  std::string name;
  std::int64_t time, d, e;
  bool gated = false;
  double most_beta = 1;
  std::int64_t batch = 1, heads = 1, chunk = 0;
  int threads = 1;
  bool states = true;
  bool equal_keys = false;
  Layout layout = Layout::contiguous;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

struct Problem {
  Case sizes;
  Storage q, k, v, o, beta, log_decay, initial_state, final_state;
  fast::DeltaRule call;

  explicit Problem(const Case& c)
      : sizes(c),
        q(c.batch, c.time, c.heads, c.d, c.layout),
        k(c.batch, c.time, c.heads, c.d, c.layout),
        v(c.batch, c.time, c.heads, c.e, c.layout),
        o(c.batch, c.time, c.heads, c.e, c.layout),
        beta(c.batch, c.time, c.heads, 1, c.layout),
        log_decay(c.batch, c.time, c.heads, 1, c.layout),
        initial_state(c.batch, c.heads, c.d, c.e, c.layout),
        final_state(c.batch, c.heads, c.d, c.e, c.layout) {
    q.fill(normal(1));
    k.fill(normal(2));
    v.fill(normal(3));
    initial_state.fill(normal(4));
    beta.fill(uniform(5, 0, c.most_beta));
    log_decay.fill(mixed_log_decays(6));
    for (std::int64_t b = 0; b < c.batch; ++b) {
      for (std::int64_t t = 0; t < c.time; ++t) {
        for (std::int64_t h = 0; h < c.heads; ++h) normalise(b, t, h);
      }
    }
    call.q = q.view();
    call.k = k.view();
    call.v = v.view();
    call.o = o.view();
    call.beta = beta.view();
    if (c.gated) call.log_decay = log_decay.view();
    if (c.states) {
      call.initial_state = initial_state.view();
      call.final_state = final_state.view();
    }
    call.scale = 0.37f;
    call.chunk = c.chunk;
  }
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  /// Keys of length 1; all equal to the first one if the case asks for it, which is where powers of L
  /// explode.
  void normalise(std::int64_t b, std::int64_t t, std::int64_t h) {
    double squares = 0;
    for (std::int64_t i = 0; i < sizes.d; ++i) {
      if (sizes.equal_keys && t > 0) k.at(b, t, h, i) = k.at(b, 0, h, i);
      squares += static_cast<double>(k.at(b, t, h, i)) * static_cast<double>(k.at(b, t, h, i));
    }
    for (std::int64_t i = 0; i < sizes.d; ++i) k.at(b, t, h, i) /= static_cast<float>(std::sqrt(squares));
  }

  gated_delta::Input<double> head(std::int64_t b, std::int64_t h) const {
    gated_delta::Input<double> in{q.matrix(b, h),
                                  k.matrix(b, h),
                                  v.matrix(b, h),
                                  Array<double>({sizes.time}),
                                  Array<double>({sizes.time}, 1.0),
                                  Array<double>({sizes.d, sizes.e}),
                                  static_cast<double>(call.scale)};
    if (sizes.states) in.initial_state = state_matrix(initial_state, b, h);
    for (Index t = 0; t < sizes.time; ++t) {
      in.beta(t) = static_cast<double>(beta.at(b, t, h, 0));
      if (sizes.gated) in.decay(t) = std::exp(static_cast<double>(log_decay.at(b, t, h, 0)));
    }
    return in;
  }
};

std::vector<RecurrentBudget> expected(const Problem& problem) {
  std::vector<RecurrentBudget> all;
  const Case& c = problem.sizes;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      all.push_back(delta_budget(problem.head(b, h), c.chunk == 0 ? 32 : c.chunk));
    }
  }
  return all;
}

testing::AssertionResult all_within(const Problem& problem, const std::vector<RecurrentBudget>& wanted,
                                    double& worst) {
  const Case& c = problem.sizes;
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

class DeltaCase : public testing::TestWithParam<Case> {};

TEST_P(DeltaCase, IsWithinTheBudgetOfTheText) {
  const std::vector<RecurrentBudget> wanted = expected(Problem(GetParam()));
  double worst = 0;
  for_each_target([&] {
    Problem problem(GetParam());
    fast::cpu::delta_rule(problem.call, {.threads = GetParam().threads});
    EXPECT_TRUE(all_within(problem, wanted, worst));
    EXPECT_TRUE(problem.o.gaps_untouched());
    EXPECT_TRUE(problem.final_state.gaps_untouched() || !GetParam().states);
    EXPECT_TRUE(GetParam().states || problem.final_state.untouched());
  });
  RecordProperty("largest_fraction_of_budget", std::to_string(worst));
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const bool gated : {false, true}) {
    const std::string kind = gated ? "gated" : "plain";
    for (const std::int64_t time : {1, 2, 15, 16, 17, 31, 32, 33, 100}) {
      all.push_back(
          {.name = kind + "_time_" + std::to_string(time), .time = time, .d = 16, .e = 16, .gated = gated});
    }
    for (const std::int64_t d : {1, 5, 63, 65}) {
      all.push_back({.name = kind + "_d_" + std::to_string(d), .time = 70, .d = d, .e = 7, .gated = gated});
      all.push_back({.name = kind + "_e_" + std::to_string(d), .time = 70, .d = 7, .e = d, .gated = gated});
    }
    for (const std::int64_t chunk : {1, 3, 16, 64, 100}) {
      all.push_back({.name = kind + "_chunk_" + std::to_string(chunk),
                     .time = 150,
                     .d = 20,
                     .e = 20,
                     .gated = gated,
                     .chunk = chunk});
    }
    all.push_back({.name = kind + "_long", .time = 1000, .d = 12, .e = 9, .gated = gated});
    all.push_back({.name = kind + "_128", .time = 130, .d = 128, .e = 128, .gated = gated});
    all.push_back(
        {.name = kind + "_reflections", .time = 130, .d = 12, .e = 9, .gated = gated, .most_beta = 2});
    all.push_back(
        {.name = kind + "_equal_keys", .time = 130, .d = 12, .e = 9, .gated = gated, .equal_keys = true});
    all.push_back({.name = kind + "_heads",
                   .time = 75,
                   .d = 9,
                   .e = 10,
                   .gated = gated,
                   .batch = 2,
                   .heads = 3,
                   .threads = 4,
                   .layout = Layout::heads_first});
    all.push_back({.name = kind + "_shared_head",
                   .time = 700,
                   .d = 9,
                   .e = 100,
                   .gated = gated,
                   .threads = 3,
                   .layout = Layout::gaps});
    all.push_back(
        {.name = kind + "_without_states", .time = 75, .d = 9, .e = 10, .gated = gated, .states = false});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Sizes, DeltaCase, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST(DeltaRule, SplitSequenceHandsOnTheState) {
  const Case whole{.name = "", .time = 200, .d = 24, .e = 20, .gated = true};
  const std::vector<RecurrentBudget> wanted = expected(Problem(whole));
  for (const std::int64_t cut : {1, 31, 32, 77, 199}) {
    Problem problem(whole);
    Storage between(1, 1, whole.d, whole.e);
    fast::DeltaRule first = problem.call, second = problem.call;
    const auto part = [&](fast::Tensor& x, std::int64_t from, std::int64_t length) {
      x.data = static_cast<float*>(x.data) + from * x.stride[1];
      x.shape[1] = length;
    };
    for (fast::Tensor* x : {&first.q, &first.k, &first.v, &first.o, &first.beta, &first.log_decay})
      part(*x, 0, cut);
    for (fast::Tensor* x : {&second.q, &second.k, &second.v, &second.o, &second.beta, &second.log_decay}) {
      part(*x, cut, whole.time - cut);
    }
    first.final_state = second.initial_state = between.view();
    fast::cpu::delta_rule(first);
    fast::cpu::delta_rule(second);
    double worst = 0;
    EXPECT_TRUE(all_within(problem, wanted, worst)) << "cut at " << cut;
  }
}

TEST(DeltaRule, ComparisonRejectsAPerturbedOutputOrAnotherBeta) {
  const Case c{.name = "", .time = 200, .d = 16, .e = 8, .gated = true};
  Problem problem(c);
  const std::vector<RecurrentBudget> wanted = expected(problem);
  double worst = 0;
  fast::cpu::delta_rule(problem.call);
  ASSERT_TRUE(all_within(problem, wanted, worst));
  const float kept = problem.o.at(0, 150, 0, 3);
  for (const float wrong : {kept * 1.001f + 1e-3f, std::numeric_limits<float>::quiet_NaN()}) {
    problem.o.at(0, 150, 0, 3) = wrong;
    EXPECT_FALSE(all_within(problem, wanted, worst));
  }
  problem.o.at(0, 150, 0, 3) = kept;
  problem.final_state.at(0, 0, 7, 2) += 1e-3f;
  EXPECT_FALSE(all_within(problem, wanted, worst));
  problem.beta.at(0, 198, 0, 0) *= 0.999f;
  fast::cpu::delta_rule(problem.call);
  EXPECT_FALSE(all_within(problem, wanted, worst)) << "one beta of 200 is another";
}

TEST(DeltaRule, ATokenDoesNotSeeALaterOne) {
  for_each_target([] {
    for (const bool gated : {false, true}) {
      Problem problem({.name = "", .time = 100, .d = 8, .e = 4, .gated = gated});
      problem.v.at(0, 50, 0, 1) = std::numeric_limits<float>::quiet_NaN();
      problem.k.at(0, 70, 0, 3) = std::numeric_limits<float>::quiet_NaN();
      fast::cpu::delta_rule(problem.call);
      for (std::int64_t t = 0; t < 100; ++t) {
        EXPECT_EQ(std::isnan(problem.o.at(0, t, 0, 1)), t >= 50) << t;
        EXPECT_EQ(std::isnan(problem.o.at(0, t, 0, 0)), t >= 70) << t;
      }
    }
  });
}

TEST(DeltaRule, WrongArgumentsAreNamedAndNothingIsWritten) {
  const auto message = [](auto change) {
    Problem problem({.name = "", .time = 20, .d = 8, .e = 4, .gated = true});
    change(problem);
    try {
      fast::cpu::delta_rule(problem.call);
    } catch (const fast::Error& error) {
      EXPECT_TRUE(problem.o.untouched());
      EXPECT_TRUE(problem.final_state.untouched());
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(
      message([](Problem& p) { p.log_decay.at(0, 19, 0, 0) = 0.1f; }),
      "delta_rule: log_decay has an entry above 0 or NaN, expected logarithms of decays, all at most 0");
  EXPECT_EQ(message([](Problem& p) { p.call.beta = {}; }), "delta_rule: beta is null, expected a tensor");
  EXPECT_NE(message([](Problem& p) { p.call.beta.shape[1] = 19; }).find("delta_rule: beta has shape"),
            std::string::npos);
  EXPECT_NE(message([](Problem& p) { p.call.beta = p.call.o; }).find("delta_rule: beta has shape"),
            std::string::npos);
}

}  // namespace
}  // namespace etalon::fast_test
