/// \file
/// Core 4 on the CPU, real and complex, against the texts of Mamba's S6 and of S4D, within the derived
/// budgets, for every instruction set.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/scan_budget.hpp"
#include "reference/state_space/mamba_s6.hpp"
#include "reference/state_space/s4d.hpp"
#include "tests/fast/support.hpp"

namespace etalon::fast_test {
namespace {

struct Case {
  std::string name;
  std::int64_t time, channels, states;
  std::int64_t batch = 1, groups = 1;
  int threads = 1;
  bool all_options = true;  ///< softplus, skip, bias, gate, states
  double largest_rate = 16;
  Layout layout = Layout::contiguous;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::int64_t time : {1, 2, 3, 4, 5, 63, 64, 65, 66, 67, 129}) {
    all.push_back({.name = "time_" + std::to_string(time), .time = time, .channels = 20, .states = 5});
  }
  for (const std::int64_t channels : {1, 5, 16, 17, 63, 65, 300}) {
    all.push_back(
        {.name = "channels_" + std::to_string(channels), .time = 40, .channels = channels, .states = 3});
  }
  for (const std::int64_t states : {1, 2, 4, 16, 37}) {
    all.push_back({.name = "states_" + std::to_string(states), .time = 70, .channels = 9, .states = states});
  }
  all.push_back({.name = "long", .time = 1000, .channels = 7, .states = 4});
  all.push_back({.name = "plain", .time = 100, .channels = 20, .states = 6, .all_options = false});
  all.push_back({.name = "slow", .time = 300, .channels = 5, .states = 4, .largest_rate = 1e-3});
  all.push_back({.name = "fast_decay", .time = 100, .channels = 20, .states = 6, .largest_rate = 300});
  all.push_back({.name = "groups",
                 .time = 90,
                 .channels = 21,
                 .states = 6,
                 .batch = 2,
                 .groups = 3,
                 .threads = 4,
                 .layout = Layout::heads_first});
  all.push_back({.name = "gaps",
                 .time = 90,
                 .channels = 100,
                 .states = 6,
                 .batch = 2,
                 .threads = 3,
                 .layout = Layout::gaps});
  return all;
}

Array<double> row(const Storage& x, std::int64_t t, std::int64_t g) {
  Array<double> result({x.view().shape[3]});
  for (Index c = 0; c < result.extent(0); ++c) result(c) = static_cast<double>(x.at(0, t, g, c));
  return result;
}

// ---- real ----------------------------------------------------------------------------------------

struct Selective {
  Case sizes;
  Storage x, delta, a, b, c, o, skip, delta_bias, z, initial_state, final_state;
  fast::SelectiveScan call;

  explicit Selective(const Case& k)
      : sizes(k),
        x(k.batch, k.time, k.groups, k.channels, k.layout),
        delta(k.batch, k.time, k.groups, k.channels, k.layout),
        a(1, k.groups, k.channels, k.states, k.layout),
        b(k.batch, k.time, k.groups, k.states, k.layout),
        c(k.batch, k.time, k.groups, k.states, k.layout),
        o(k.batch, k.time, k.groups, k.channels, k.layout),
        skip(1, 1, k.groups, k.channels, k.layout),
        delta_bias(1, 1, k.groups, k.channels, k.layout),
        z(k.batch, k.time, k.groups, k.channels, k.layout),
        initial_state(k.batch, k.groups, k.channels, k.states, k.layout),
        final_state(k.batch, k.groups, k.channels, k.states, k.layout) {
    x.fill(normal(1));
    delta.fill(k.all_options ? normal(2, 3) : uniform(2, 0, 0.5));
    a.fill(uniform(3, -k.largest_rate, 0));
    b.fill(normal(4));
    c.fill(normal(5));
    skip.fill(normal(6));
    delta_bias.fill(normal(7));
    z.fill(normal(8, 4));
    initial_state.fill(normal(9));
    delta.at(0, 0, 0, 0) = k.all_options ? 50.0f : 0.0f;  // softplus is its argument; a step of length 0
    if (k.time > 2) delta.at(0, 2, 0, 0) = k.all_options ? -95.0f : 100.0f;  // underflow of step and of decay
    z.at(0, 0, 0, 0) = -100;
    if (k.states > 1) a.at(0, 0, 0, 1) = 0;
    call.x = x.view();
    call.delta = delta.view();
    call.a = a.view();
    call.b = b.view();
    call.c = c.view();
    call.o = o.view();
    if (!k.all_options) return;
    call.softplus = true;
    call.skip = skip.view();
    call.delta_bias = delta_bias.view();
    call.z = z.view();
    call.initial_state = initial_state.view();
    call.final_state = final_state.view();
  }
  Selective(const Selective&) = delete;
  Selective& operator=(const Selective&) = delete;

  RecurrentBudget expected(std::int64_t batch, std::int64_t g) const {
    const Index n = sizes.time, channels = sizes.channels, states = sizes.states;
    mamba_s6::Input<double> in;
    in.signal = x.matrix(batch, g);
    in.rate = state_matrix(a, 0, g);
    in.B = in.C = Array<double>({n, 1, states});
    for (Index t = 0; t < n; ++t) {
      for (Index p = 0; p < states; ++p) {
        in.B(t, 0, p) = static_cast<double>(b.at(batch, t, g, p));
        in.C(t, 0, p) = static_cast<double>(c.at(batch, t, g, p));
      }
    }
    in.initial_state = Array<double>({channels, states});
    in.skip = Array<double>({channels});
    Array<double> bias({channels});
    if (sizes.all_options) {
      in.initial_state = state_matrix(initial_state, batch, g);
      in.skip = row(skip, 0, g);
      in.gate = z.matrix(batch, g);
      bias = row(delta_bias, 0, g);
    }
    return selective_budget(in, delta.matrix(batch, g), bias, sizes.all_options);
  }

  testing::AssertionResult within_budget(const std::vector<RecurrentBudget>& wanted, double& worst) const {
    for (std::int64_t i = 0; i < sizes.batch * sizes.groups; ++i) {
      const std::int64_t batch = i / sizes.groups, g = i % sizes.groups;
      const RecurrentBudget& one = wanted[static_cast<std::size_t>(i)];
      auto good = within("o", o, batch, g, one.output, one.output_budget, worst);
      if (good && sizes.all_options) good = state_within(final_state, batch, g, one, worst);
      if (!good) return good;
    }
    return testing::AssertionSuccess();
  }

  std::vector<RecurrentBudget> all_expected() const {
    std::vector<RecurrentBudget> all;
    for (std::int64_t i = 0; i < sizes.batch * sizes.groups; ++i) {
      all.push_back(expected(i / sizes.groups, i % sizes.groups));
    }
    return all;
  }
};

class SelectiveCase : public testing::TestWithParam<Case> {};

TEST_P(SelectiveCase, IsWithinTheBudgetOfTheText) {
  const std::vector<RecurrentBudget> wanted = Selective(GetParam()).all_expected();
  double worst = 0;
  for_each_target([&] {
    Selective problem(GetParam());
    fast::cpu::selective_scan(problem.call, {.threads = GetParam().threads});
    EXPECT_TRUE(problem.within_budget(wanted, worst));
    EXPECT_TRUE(problem.o.gaps_untouched());
    EXPECT_TRUE(problem.final_state.gaps_untouched() || !GetParam().all_options);
  });
  RecordProperty("largest_fraction_of_budget", std::to_string(worst));
}

INSTANTIATE_TEST_SUITE_P(Sizes, SelectiveCase, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

/// Both parts of a call that is cut in two, with the state handed on.
template <class Call, class Run>
void run_in_parts(const Call& call, std::initializer_list<fast::Tensor Call::*> sequences, std::int64_t cut,
                  const fast::Tensor& between, Run run) {
  Call first = call, second = call;
  for (const auto member : sequences) {
    fast::Tensor &head = first.*member, &tail = second.*member;
    if (!head) continue;
    tail.data = static_cast<float*>(tail.data) + cut * tail.stride[1];
    tail.shape[1] -= cut;
    head.shape[1] = cut;
  }
  first.final_state = second.initial_state = between;
  run(first);
  run(second);
}

TEST(SelectiveScan, SplitSequenceHandsOnTheState) {
  const Case whole{.name = "", .time = 200, .channels = 20, .states = 5};
  const std::vector<RecurrentBudget> wanted = Selective(whole).all_expected();
  for (const std::int64_t cut : {1, 63, 64, 77, 199}) {
    Selective problem(whole);
    Storage between(1, 1, whole.channels, whole.states);
    using S = fast::SelectiveScan;
    run_in_parts(problem.call, {&S::x, &S::delta, &S::b, &S::c, &S::o, &S::z}, cut, between.view(),
                 [](const S& call) { fast::cpu::selective_scan(call); });
    double worst = 0;
    EXPECT_TRUE(problem.within_budget(wanted, worst)) << "cut at " << cut;
  }
}

TEST(SelectiveScan, ComparisonRejectsAPerturbedOutputOrAnotherStep) {
  const Case c{.name = "", .time = 100, .channels = 20, .states = 5, .largest_rate = 1};
  Selective problem(c);
  const std::vector<RecurrentBudget> wanted = problem.all_expected();
  double worst = 0;
  fast::cpu::selective_scan(problem.call);
  ASSERT_TRUE(problem.within_budget(wanted, worst));
  const float kept = problem.o.at(0, 50, 0, 3);
  for (const float wrong : {kept * 1.001f + 1e-3f, std::numeric_limits<float>::quiet_NaN()}) {
    problem.o.at(0, 50, 0, 3) = wrong;
    EXPECT_FALSE(problem.within_budget(wanted, worst));
  }
  problem.delta.at(0, 98, 0, 5) += 0.01f;
  fast::cpu::selective_scan(problem.call);
  EXPECT_FALSE(problem.within_budget(wanted, worst)) << "one step of 2000 is another";
}

TEST(SelectiveScan, WrongArgumentsAreNamedAndNothingIsWritten) {
  const auto message = [](bool options, auto change) {
    Selective problem({.name = "", .time = 20, .channels = 8, .states = 4, .all_options = options});
    change(problem);
    try {
      fast::cpu::selective_scan(problem.call);
    } catch (const fast::Error& error) {
      EXPECT_TRUE(problem.o.untouched());
      EXPECT_TRUE(problem.final_state.untouched());
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message(true, [](Selective& p) { p.a.at(0, 0, 7, 3) = 0.5f; }),
            "selective_scan: a has an entry above 0 or not finite, expected rates of decay, all at most 0");
  EXPECT_EQ(message(false, [](Selective& p) { p.delta.at(0, 19, 0, 7) = -0.5f; }),
            "selective_scan: delta + delta_bias has an entry below 0 or NaN, expected steps of at least 0, "
            "or softplus");
  EXPECT_NE(message(true, [](Selective& p) { p.call.c.shape[3] = 3; }).find("selective_scan: c has shape"),
            std::string::npos);
  EXPECT_NE(
      message(true, [](Selective& p) { p.call.z.type = fast::Type::float16; }).find("z is stored as float16"),
      std::string::npos);
}

// ---- complex -------------------------------------------------------------------------------------

struct ComplexProblem {
  Case sizes;
  Storage x, lambda, w, o, skip, initial_state, final_state;
  fast::ComplexScan call;

  explicit ComplexProblem(const Case& k)
      : sizes(k),
        x(k.batch, k.time, k.groups, k.channels, k.layout),
        lambda(1, k.groups, k.channels, 2 * k.states, k.layout),
        w(1, k.groups, k.channels, 2 * k.states, k.layout),
        o(k.batch, k.time, k.groups, k.channels, k.layout),
        skip(1, 1, k.groups, k.channels, k.layout),
        initial_state(k.batch, k.groups, k.channels, 2 * k.states, k.layout),
        final_state(k.batch, k.groups, k.channels, 2 * k.states, k.layout) {
    x.fill(normal(1));
    w.fill(normal(2));
    skip.fill(normal(3));
    initial_state.fill(normal(4));
    auto angle = uniform(5, 0, 3.14159), rate = uniform(6, -k.largest_rate / 16, 0);
    for (std::int64_t g = 0; g < k.groups; ++g) {
      for (std::int64_t c = 0; c < k.channels; ++c) {
        for (std::int64_t p = 0; p < k.states; ++p) {
          const double size = p == 0 && c == 0 ? 0.0 : std::exp(rate()), at = angle();
          lambda.at(0, g, c, 2 * p) = static_cast<float>(size * std::cos(at));
          lambda.at(0, g, c, 2 * p + 1) = static_cast<float>(size * std::sin(at));
        }
      }
    }
    call.x = x.view();
    call.lambda = lambda.view();
    call.w = w.view();
    call.o = o.view();
    if (!k.all_options) return;
    call.skip = skip.view();
    call.initial_state = initial_state.view();
    call.final_state = final_state.view();
  }
  ComplexProblem(const ComplexProblem&) = delete;
  ComplexProblem& operator=(const ComplexProblem&) = delete;

  RecurrentBudget expected(std::int64_t batch, std::int64_t g, std::int64_t c) const {
    const Array<Complex<double>> zeros({sizes.states});
    s4d::System<double> system{zeros, Array<Complex<double>>({sizes.states}, Complex<double>(1)), zeros};
    Array<Complex<double>> state = zeros;
    Array<double> signal({sizes.time});
    const auto number = [&](const Storage& s, std::int64_t b, Index p) {
      return Complex<double>(static_cast<double>(s.at(b, g, c, 2 * p)),
                             static_cast<double>(s.at(b, g, c, 2 * p + 1)));
    };
    for (Index p = 0; p < sizes.states; ++p) {
      system.lambda(p) = number(lambda, 0, p);
      system.C(p) = number(w, 0, p);
      if (sizes.all_options) state(p) = number(initial_state, batch, p);
    }
    if (sizes.all_options) system.D = static_cast<double>(skip.at(0, 0, g, c));
    for (Index t = 0; t < sizes.time; ++t) signal(t) = static_cast<double>(x.at(batch, t, g, c));
    return complex_budget(system, signal, state);
  }

  /// One group of channels, from the budgets of its channels.
  RecurrentBudget expected(std::int64_t batch, std::int64_t g) const {
    const Array<double> sequence({sizes.time, sizes.channels}), numbers({sizes.channels, 2 * sizes.states});
    RecurrentBudget all{sequence, sequence, numbers, numbers};
    for (Index c = 0; c < sizes.channels; ++c) {
      const RecurrentBudget one = expected(batch, g, c);
      for (Index t = 0; t < sizes.time; ++t) {
        all.output(t, c) = one.output(t, 0);
        all.output_budget(t, c) = one.output_budget(t, 0);
      }
      for (Index p = 0; p < 2 * sizes.states; ++p) {
        all.state(c, p) = one.state(0, p);
        all.state_budget(c, p) = one.state_budget(0, p);
      }
    }
    return all;
  }

  std::vector<RecurrentBudget> all_expected() const {
    std::vector<RecurrentBudget> all;
    for (std::int64_t i = 0; i < sizes.batch * sizes.groups; ++i) {
      all.push_back(expected(i / sizes.groups, i % sizes.groups));
    }
    return all;
  }

  testing::AssertionResult within_budget(const std::vector<RecurrentBudget>& wanted, double& worst) const {
    for (std::int64_t i = 0; i < sizes.batch * sizes.groups; ++i) {
      const std::int64_t batch = i / sizes.groups, g = i % sizes.groups;
      const RecurrentBudget& one = wanted[static_cast<std::size_t>(i)];
      auto good = within("o", o, batch, g, one.output, one.output_budget, worst);
      if (good && sizes.all_options) good = state_within(final_state, batch, g, one, worst);
      if (!good) return good;
    }
    return testing::AssertionSuccess();
  }
};

class ComplexCase : public testing::TestWithParam<Case> {};

TEST_P(ComplexCase, IsWithinTheBudgetOfTheText) {
  const std::vector<RecurrentBudget> wanted = ComplexProblem(GetParam()).all_expected();
  double worst = 0;
  for_each_target([&] {
    ComplexProblem problem(GetParam());
    fast::cpu::complex_scan(problem.call, {.threads = GetParam().threads});
    EXPECT_TRUE(problem.within_budget(wanted, worst));
    EXPECT_TRUE(problem.o.gaps_untouched());
    EXPECT_TRUE(problem.final_state.gaps_untouched() || !GetParam().all_options);
  });
  RecordProperty("largest_fraction_of_budget", std::to_string(worst));
}

INSTANTIATE_TEST_SUITE_P(Sizes, ComplexCase, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST(ComplexScan, SplitSequenceHandsOnTheState) {
  const Case whole{.name = "", .time = 200, .channels = 20, .states = 5};
  const std::vector<RecurrentBudget> wanted = ComplexProblem(whole).all_expected();
  for (const std::int64_t cut : {1, 63, 64, 77, 199}) {
    ComplexProblem problem(whole);
    Storage between(1, 1, whole.channels, 2 * whole.states);
    using S = fast::ComplexScan;
    run_in_parts(problem.call, {&S::x, &S::o}, cut, between.view(),
                 [](const S& call) { fast::cpu::complex_scan(call); });
    double worst = 0;
    EXPECT_TRUE(problem.within_budget(wanted, worst)) << "cut at " << cut;
  }
}

TEST(ComplexScan, ComparisonRejectsAPerturbedOutputOrAnotherInput) {
  const Case c{.name = "", .time = 100, .channels = 20, .states = 5, .largest_rate = 1};
  ComplexProblem problem(c);
  const std::vector<RecurrentBudget> wanted = problem.all_expected();
  double worst = 0;
  fast::cpu::complex_scan(problem.call);
  ASSERT_TRUE(problem.within_budget(wanted, worst));
  const float kept = problem.o.at(0, 50, 0, 3);
  for (const float wrong : {kept * 1.001f + 1e-2f, std::numeric_limits<float>::quiet_NaN()}) {
    problem.o.at(0, 50, 0, 3) = wrong;
    EXPECT_FALSE(problem.within_budget(wanted, worst));
  }
  problem.x.at(0, 40, 0, 5) += 0.01f;
  fast::cpu::complex_scan(problem.call);
  EXPECT_FALSE(problem.within_budget(wanted, worst)) << "one input of 2000 is another";
}

TEST(ComplexScan, WrongArgumentsAreNamedAndNothingIsWritten) {
  const auto message = [](auto change) {
    ComplexProblem problem({.name = "", .time = 20, .channels = 8, .states = 4});
    change(problem);
    try {
      fast::cpu::complex_scan(problem.call);
    } catch (const fast::Error& error) {
      EXPECT_TRUE(problem.o.untouched());
      EXPECT_TRUE(problem.final_state.untouched());
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message([](ComplexProblem& p) { p.lambda.at(0, 0, 7, 7) = 1.5f; }),
            "complex_scan: lambda has an entry of absolute value above 1 or NaN, expected at most 1");
  EXPECT_NE(message([](ComplexProblem& p) { p.call.lambda.shape[3] = 7; }).find("expected an even number"),
            std::string::npos);
}

}  // namespace
}  // namespace etalon::fast_test
