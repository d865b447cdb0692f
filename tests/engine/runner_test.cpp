/// \file
/// The engine decides rightly: for every kind of law, what is true holds, and a seeded fault is found, with a
/// message, a smallest case and a line that reproduces it. The laws are about the toy of `toy.hpp`.
#include "proofs/engine/runner.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "proofs/engine/cases.hpp"
#include "proofs/engine/laws.hpp"
#include "proofs/engine/profiles.hpp"
#include "tests/engine/toy.hpp"

namespace etalon {
namespace {

using toy::EntryBuilder;
const Expression n = symbol("n");

template <class Trial>
using Scalar = typename std::decay_t<Trial>::Scalar;

void forms(EntryBuilder& entry) {
  entry
      .form(
          "recurrent", "the definition",
          []<Ring T>(const Arrays<T>& in, const Settings& settings) { return toy::recurrent(in, settings); })
      .form("closed", "every token by itself",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) { return toy::closed(in, settings); })
      .form(
          "forgetful", "fault: a short memory",
          []<Ring T>(const Arrays<T>& in, const Settings& settings) { return toy::forgetful(in, settings); })
      .form("peeking", "fault: sees the future",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) { return toy::peeking(in, settings); })
      .form("deaf", "fault: an input without influence",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) { return toy::deaf(in, settings); })
      .form("sloppy", "fault: rounds in secret",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) { return toy::sloppy(in, settings); })
      .backward(
          "backward", "the adjoint",
          []<Ring T>(const Arrays<T>& in, const Settings& settings) { return toy::backward(in, settings); })
      .backward("stale", "fault: the state of the wrong token",
                []<Ring T>(const Arrays<T>& in, const Settings& settings) {
                  return toy::backward(in, settings, 0);
                })
      .backward("partial", "fault: a gradient left out",
                []<Ring T>(const Arrays<T>& in, const Settings& settings) {
                  return toy::backward(in, settings, 1, false);
                });
}

void standard_laws(EntryBuilder& entry) {
  Cost right("recurrent"), wrong("closed");
  right.multiplications = n;
  right.additions = n;
  right.divisions = 0;
  right.depth = 2 * n;
  wrong.multiplications = 3 * n - 2;  // n^2 for one token and for two
  wrong.depth = 2 * n;                // n + 1 for one token
  entry.standard(laws::same("closed", "recurrent"))
      .standard(laws::same("forgetful", "recurrent"))
      .standard(laws::split("recurrent", "n", {{"last", "start"}}))
      .standard(laws::split("deaf", "n", {{"last", "start"}}))
      .standard(laws::causal("recurrent", "n"))
      .standard(laws::causal("peeking", "n"))
      .standard(laws::gradient("recurrent", "backward"))
      .standard(laws::gradient("closed", "backward"))
      .standard(laws::gradient("recurrent", "stale"))
      .standard(laws::gradient("recurrent", "partial"))
      .cost(right)
      .cost(wrong);
}

/// With a factor of 1 the leaky sum is the plain sum, an entry of its own; with a factor of 0 it is not.
void limits(EntryBuilder& entry) {
  const auto becomes_plain = [](Index factor) {
    return [factor](auto& trial) {
      using T = Scalar<decltype(trial)>;
      auto in = trial.in;
      in.real["factor"] = Array<T>(Shape{}, T(factor));
      trial.equal(trial.run("recurrent", in)["x"], trial.run_other("plain_sum", "prefix", trial.in)["x"],
                  "x");
    };
  };
  entry.limit<PrimeField, Rational>("plain_sum", "limit", "factor 1: the plain sum", becomes_plain(1))
      .limit<PrimeField, Rational>("plain_sum", "wrong limit", "factor 0: the plain sum", becomes_plain(0));
}

/// Compound interest: factor 1 + 1/m, m times, gives e (1 - 1/(2m) + 11/(24 m^2) - ...), an alternating
/// series whose terms decrease: the error times m is within 11 e / (24 m) of e / 2.
void convergence(EntryBuilder& entry) {
  const auto order = [](int claimed) {
    return [claimed](Check& check) {
      const Real50 e = exp(Real50(1));
      for (const Index m : {16, 64, 256}) {
        Arrays<Real50> in;
        in.real["factor"] = Array<Real50>(Shape{}, Real50(1) + Real50(1) / Real50(m));
        in.real["addend"] = Array<Real50>(Shape{m});
        in.real["start"] = Array<Real50>(Shape{}, Real50(1));
        const Real50 error = e - toy::recurrent(in, {})["last"]();
        const double budget = 11 * std::numbers::e / (24.0 * static_cast<double>(m));
        check.within(Real50(error * pow(Real50(m), claimed)), Real50(e / 2), budget,
                     "error for m = " + std::to_string(m));
      }
    };
  };
  entry.once(Kind::converges, "order", "the error falls as 1/m", order(1))
      .once(Kind::converges, "wrong order", "the error falls as 1/m^2", order(2));
}

/// For |a| <= 1/2 and a start of 0, |x| <= 2 max |b|; not always |x| <= max |b|.
void bounds(EntryBuilder& entry) {
  const auto within = [](Index multiple) {
    return [multiple](auto& trial) {
      using T = Scalar<decltype(trial)>;
      auto in = trial.in;
      in.real["factor"] = Array<T>(Shape{}, trial.number("gate", Domain::gate) / T(2));
      in.real["start"] = Array<T>(Shape{});
      T largest(0);
      for (const T& addend : in["addend"].values()) largest = maximum(largest, T(abs(addend)));
      const auto sums = trial.run("recurrent", in)["x"];
      for (const T& x : sums.values()) {
        trial.expect(abs(x) <= T(multiple) * largest, "the sum exceeds its bound");
      }
    };
  };
  entry.law<Rational>(Kind::bound, "bound", "|x| <= 2 max |b|", within(2))
      .law<Rational>(Kind::bound, "wrong bound", "|x| <= max |b|", within(1));
}

/// Four addends, uniform in (0, 1), with factor 1/2: the last sum has expectation 15/16 and lies in [0,
/// 15/8], so that by Hoeffding the mean of N strays further than `budget` with a chance of at most 1e-9.
void statistics(EntryBuilder& entry) {
  const auto expectation = [](double claimed) {
    return [claimed](Check& check) {
      constexpr int kRuns = 20'000;
      Arrays<double> in;
      in.real["factor"] = Array<double>(Shape{}, 0.5);
      in.real["start"] = Array<double>(Shape{}, 0.0);
      in.real["addend"] = Array<double>(Shape{4});
      double sum = 0;
      for (int run = 0; run < kRuns; ++run) {
        for (Index t = 0; t < 4; ++t) {
          in.real["addend"](t) =
              draw<double>({static_cast<std::uint64_t>(run), "addend", t}, Domain::gate, Pattern::generic);
        }
        sum += toy::recurrent(in, {})["last"]();
      }
      const double budget = 15.0 / 8 * std::sqrt(std::log(2e9) / (2.0 * kRuns));
      check.within(sum / kRuns, claimed, budget, "mean of the last sum");
    };
  };
  entry.once(Kind::statistical, "expectation", "the mean is 15/16", expectation(15.0 / 16))
      .once(Kind::statistical, "wrong expectation", "the mean is 1", expectation(1));
}

/// A kernel in float against the budget of float arithmetic; the faulty one leaves out the last addend.
void fast_paths(EntryBuilder& entry) {
  const auto agrees = [](Index left_out) {
    return [left_out](auto& trial) {
      float x = trial.in["start"]();
      for (Index t = 0; t + left_out < trial.size("n"); ++t)
        x = trial.in["factor"]() * x + trial.in["addend"](t);
      Arrays<Bounded<Real50>> in;
      for (const auto& [name, array] : trial.in.real) {
        in.real[name] = Array<Bounded<Real50>>(array.shape());
        for (std::size_t i = 0; i < array.values().size(); ++i) {
          in.real[name].values()[i] = Bounded<Real50>(static_cast<double>(array.values()[i]));
        }
      }
      const UseRounding scope(profile_of<float>());
      const auto truth = toy::recurrent(in, {})["last"]();
      trial.check().within(Real50(x), truth.value(), truth.error_bound(), "last");
    };
  };
  entry.law<float>(Kind::fast, "fast", "the float kernel stays in its budget", agrees(0))
      .law<float>(Kind::fast, "wrong fast", "so does the one that stops too early", agrees(1));
}

/// Four ones with factor 1 sum up to 4; who forgets after three tokens says 3, and not 2.
void fixed_numbers(EntryBuilder& entry) {
  const auto ones = [] {
    Arrays<Rational> in;
    in.real["factor"] = Array<Rational>(Shape{}, Rational(1));
    in.real["addend"] = Array<Rational>(Shape{4}, Rational(1));
    in.real["start"] = Array<Rational>(Shape{}, Rational(0));
    return in;
  };
  const auto differs = [ones](Index printed) {
    return [ones, printed](Check& check) {
      check.equal(toy::recurrent(ones(), {})["last"](), Rational(4), "the paper's recurrence");
      check.equal(toy::forgetful(ones(), {})["last"](), Rational(printed), "the forgetful code");
    };
  };
  const auto reads = [](const std::string& printed) {
    return [printed](Check& check) {
      Arrays<Real50> in;
      in.real["factor"] = Array<Real50>(Shape{}, Real50(1) / Real50(3));
      in.real["addend"] = Array<Real50>(Shape{3}, Real50(1));
      in.real["start"] = Array<Real50>(Shape{}, Real50(0));
      check.digits(toy::recurrent(in, {})["last"](), printed, "1 + 1/3 + 1/9");
    };
  };
  entry.once(Kind::erratum, "erratum", "the code says 3", differs(3))
      .once(Kind::erratum, "wrong erratum", "the code says 2", differs(2))
      .once(Kind::example, "example", "1.4444", reads("1.4444"))
      .once(Kind::example, "wrong example", "1.4445", reads("1.4445"));
}

/// Laws that are nothing but an opportunity for the engine to be fooled.
void traps(EntryBuilder& entry) {
  entry.law<Rational>(Kind::invariant, "compares nothing", "whatever", [](auto&) {})
      .law<PrimeField, Rational>(Kind::invariant, "true for 0 and 1 only", "a a = a",
                                 [](auto& trial) {
                                   const auto a = trial.in["factor"]();
                                   trial.equal(a * a, a, "a a and a");
                                 })
      .law<Rational>(Kind::invariant, "throws", "a division by zero", [](auto& trial) {
        using T = Scalar<decltype(trial)>;
        if (trial.size("n") == 2) throw std::domain_error("a factor of 0 has no inverse");
        trial.equal(T(1), T(1), "one");
      });
}

const Entry& entry() {
  static Entry leaky;
  static const bool filled = [] {
    EntryBuilder plain(Registry::instance().open("plain_sum"));
    toy::describe(plain);
    plain.form("prefix", "running sums", []<Ring T>(Arrays<T> in, const Settings& settings) {
      in.real["factor"] = Array<T>(Shape{}, T(1));
      return toy::recurrent(in, settings);
    });
    leaky.name = "leaky_sum";
    EntryBuilder builder(leaky);
    toy::describe(builder);
    forms(builder);
    standard_laws(builder);
    limits(builder);
    convergence(builder);
    bounds(builder);
    statistics(builder);
    fast_paths(builder);
    fixed_numbers(builder);
    traps(builder);
    for (const auto& make : leaky.deferred) make(leaky);
    laws::add_standard(leaky);
    return true;
  }();
  (void)filled;
  return leaky;
}

const Law& law(const std::string& name) {
  for (const Law& candidate : entry().laws) {
    if (candidate.name == name) return candidate;
  }
  throw std::invalid_argument("there is no law " + name);
}

const LawVariant& variant(const std::string& name, const std::string& scalar) {
  for (const LawVariant& candidate : law(name).variants) {
    if (candidate.scalar == scalar) return candidate;
  }
  throw std::invalid_argument(name + " is not decided in " + scalar);
}

Record decide(const std::string& name, const std::string& scalar, const RunOptions& options = {}) {
  return run_law(entry(), law(name), variant(name, scalar), options);
}

/// A law that holds, a law that a fault breaks, and what is known of the failure.
struct Pair {
  Kind kind;
  std::string holds, fails, scalar;
  std::string message;        // a part of it
  std::string smallest_case;  // its settings; empty for a law without cases
};

void PrintTo(const Pair& pair, std::ostream* out) {
  *out << pair.holds << ", not " << pair.fails << ", in " << pair.scalar;
}

class EveryKind : public testing::TestWithParam<Pair> {};

TEST_P(EveryKind, holds_where_it_is_true) {
  const Pair& pair = GetParam();
  const Record record = decide(pair.holds, pair.scalar);
  EXPECT_TRUE(record.holds) << record.message << '\n' << record.reproduce;
  EXPECT_EQ(record.kind, to_string(pair.kind));
  EXPECT_EQ(record.entry, "leaky_sum");
  EXPECT_EQ(record.scalar, pair.scalar);
  EXPECT_GT(record.comparisons, 0);
  EXPECT_EQ(record.unbounded, 0);
  EXPECT_LE(record.worst_fraction, 1);
  EXPECT_EQ(record.message + record.failing_case + record.reproduce, "");
}

TEST_P(EveryKind, finds_the_fault) {
  const Pair& pair = GetParam();
  const Record record = decide(pair.fails, pair.scalar);
  ASSERT_FALSE(record.holds);
  EXPECT_EQ(record.kind, to_string(pair.kind));
  EXPECT_NE(record.message.find(pair.message), std::string::npos) << record.message;
  std::string line = "etalon verify leaky_sum --law \"" + pair.fails + "\" --scalar \"" + pair.scalar + "\"";
  if (!pair.smallest_case.empty()) {
    EXPECT_EQ(record.failing_case.find(pair.smallest_case + " seed="), 0U) << record.failing_case;
    line += " --case \"" + record.failing_case + "\"";
  }
  EXPECT_EQ(record.reproduce, line);
}

TEST_P(EveryKind, finds_it_again_from_the_reproduction_line) {
  const Pair& pair = GetParam();
  const Record first = decide(pair.fails, pair.scalar);
  RunOptions options;
  options.only_case = first.failing_case;
  const Record again = decide(pair.fails, pair.scalar, options);
  EXPECT_FALSE(again.holds);
  EXPECT_EQ(again.message, first.message);
  EXPECT_EQ(again.reproduce, first.reproduce);
}

const Pair kPairs[] = {
    {Kind::same, "same: closed = recurrent", "same: forgetful = recurrent", "PrimeField",
     "last, element 0: ", "n=4 values=generic"},
    {Kind::same, "same: closed = recurrent", "same: forgetful = recurrent", "Rational",
     "last, element 0: ", "n=4 values=generic"},
    {Kind::same, "split: recurrent", "split: deaf", "PrimeField",
     "second part, x, element 0: ", "n=2 values=generic"},
    {Kind::limit, "limit", "wrong limit", "PrimeField", "x, element 0: ", "n=1 values=generic"},
    {Kind::limit, "limit", "wrong limit", "Rational", "x, element 0: ", "n=1 values=generic"},
    {Kind::converges, "order", "wrong order", "fixed", "error for m = 16: ", ""},
    {Kind::invariant, "causal: recurrent", "causal: peeking", "PrimeField",
     "prefix, x, element 0: ", "n=2 values=generic"},
    {Kind::bound, "bound", "wrong bound", "Rational", "the sum exceeds its bound", "n=2 values=generic"},
    {Kind::bound, "rounding: recurrent", "rounding: sloppy", "double",
     "last, element 0: ", "n=1 values=generic"},
    {Kind::bound, "rounding: recurrent", "rounding: sloppy", "Real50", "last: ", "n=1 values=generic"},
    {Kind::statistical, "expectation", "wrong expectation", "fixed", "mean of the last sum: 0.9", ""},
    {Kind::cost, "cost: recurrent", "cost: closed", "Counted",
     "multiplications: counted 9, stated 3 n - 2 = 7", "n=3 values=generic"},
    {Kind::depth, "depth: recurrent", "depth: closed", "Traced",
     "depth as written: counted 3, stated 2 n = 4", "n=2 values=generic"},
    {Kind::sensitive, "sensitive: recurrent", "sensitive: deaf", "Dual<PrimeField>",
     "no output of deaf has a derivative with respect to start", ""},
    {Kind::gradient, "gradient: backward of recurrent", "gradient: stale of recurrent", "Dual<PrimeField>",
     "<g, J dx> and <J^T g, dx>: ", "n=1 values=generic"},
    {Kind::gradient, "gradient: backward of closed", "gradient: partial of recurrent", "Dual<PrimeField>",
     "partial gives no gradient for start", "n=1 values=generic"},
    {Kind::fast, "fast", "wrong fast", "float", "last: ", "n=1 values=generic"},
    {Kind::erratum, "erratum", "wrong erratum", "fixed", "the forgetful code: 3 is not 2", ""},
    {Kind::example, "example", "wrong example", "fixed", "1 + 1/3 + 1/9: 1.444444", ""},
};

INSTANTIATE_TEST_SUITE_P(Laws, EveryKind, testing::ValuesIn(kPairs));

TEST(EveryKindOfLaw, is_among_the_pairs) {
  for (int i = 0; i <= static_cast<int>(Kind::example); ++i) {
    bool found = false;
    for (const Pair& pair : kPairs) found = found || pair.kind == static_cast<Kind>(i);
    EXPECT_TRUE(found) << to_string(static_cast<Kind>(i));
  }
}

TEST(RoundingLaw, clears_a_sloppy_form_where_it_is_not_sloppy) {
  EXPECT_TRUE(decide("rounding: sloppy", "float").holds);
}

TEST(Runner, refuses_a_law_that_compares_nothing) {
  const Record record = decide("compares nothing", "Rational");
  EXPECT_FALSE(record.holds);
  EXPECT_EQ(record.message, "nothing was compared: a check that cannot fail");
}

TEST(Runner, takes_an_exception_for_a_failure) {
  const Record record = decide("throws", "Rational");
  EXPECT_FALSE(record.holds);
  EXPECT_EQ(record.message, "a factor of 0 has no inverse");
  EXPECT_EQ(record.failing_case.find("n=2 values=generic"), 0U) << record.failing_case;
}

TEST(Runner, is_not_fooled_by_a_case_of_zeros_and_ones) {
  RunOptions blind;
  blind.only_case = "n=1 values=ones seed=1";
  EXPECT_TRUE(decide("true for 0 and 1 only", "Rational", blind).holds)
      << "such a case decides nothing by itself";
  EXPECT_FALSE(decide("true for 0 and 1 only", "PrimeField", blind).holds) << "further points were not tried";
  const Record record = decide("true for 0 and 1 only", "PrimeField");
  EXPECT_FALSE(record.holds);
  EXPECT_EQ(record.failing_case.find("n=1 values=generic"), 0U) << record.failing_case;
}

/// x_{n-1} is a polynomial of degree n + 1 in its inputs: 8 for n = 7. The shapes of a run share an error
/// probability of 2^-100, so each of them gets points of the field until its own is below 2^-101 over their
/// number.
TEST(Runner, derives_the_error_probability_from_the_degree) {
  const auto& decided = variant("same: closed = recurrent", "PrimeField");
  RunOptions options;
  options.only_case = "n=7 values=generic seed=3";
  const Record record = decide("same: closed = recurrent", "PrimeField", options);
  ASSERT_TRUE(record.holds) << record.message;
  EXPECT_EQ(record.measured.at("degree"), 8);
  const double bits = std::log2(static_cast<double>(PrimeField::modulus)) - 3;
  const auto shapes =
      static_cast<double>(decided.shapes) + static_cast<double>(corner_cases(entry(), true).size());
  const double points = std::ceil((101 + std::log2(shapes)) / bits);
  EXPECT_EQ(static_cast<double>(record.cases), points);
  EXPECT_DOUBLE_EQ(record.log2_error_probability, -bits * points);
}

TEST(Runner, keeps_the_error_probability_of_all_shapes_below_two_to_the_minus_hundred) {
  for (const char* name : {"same: closed = recurrent", "split: recurrent", "causal: recurrent", "limit"}) {
    const Record record = decide(name, "PrimeField");
    EXPECT_TRUE(record.holds) << record.message;
    EXPECT_LT(record.log2_error_probability, -100) << name;
    EXPECT_GE(record.cases, 2 * variant(name, "PrimeField").shapes) << name;
  }
  EXPECT_EQ(decide("same: closed = recurrent", "Rational").log2_error_probability, 0)
      << "exact: no error at all";
}

TEST(Runner, gives_the_same_record_for_the_same_seed) {
  for (const char* name : {"same: forgetful = recurrent", "rounding: recurrent"}) {
    const std::string scalar = name[0] == 's' ? "Rational" : "double";
    const Record one = decide(name, scalar), two = decide(name, scalar);
    EXPECT_EQ(one.cases, two.cases);
    EXPECT_EQ(one.comparisons, two.comparisons);
    EXPECT_EQ(one.worst_fraction, two.worst_fraction);
    EXPECT_EQ(one.failing_case, two.failing_case);
    EXPECT_EQ(one.message, two.message);
  }
}

TEST(Runner, finds_the_fault_whatever_the_seed) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    RunOptions options;
    options.seed = seed;
    EXPECT_FALSE(decide("same: forgetful = recurrent", "PrimeField", options).holds) << seed;
    EXPECT_TRUE(decide("same: closed = recurrent", "Rational", options).holds) << seed;
  }
}

TEST(Runner, tries_more_shapes_with_more_effort) {
  RunOptions twice;
  twice.effort = 2;
  const auto corners = static_cast<long>(corner_cases(entry(), false).size());
  const long shapes = variant("same: closed = recurrent", "Rational").shapes;
  EXPECT_EQ(decide("same: closed = recurrent", "Rational").cases, corners + shapes);
  EXPECT_EQ(decide("same: closed = recurrent", "Rational", twice).cases, corners + 2 * shapes);
}

TEST(Runner, uses_a_part_of_the_budget_and_says_how_much) {
  const Record record = decide("rounding: recurrent", "double");
  EXPECT_GT(record.worst_fraction, 0);
  EXPECT_LT(record.worst_fraction, 1);
  EXPECT_GT(record.measured.at("ulp"), 0);
}

TEST(Record, goes_into_json_with_what_a_failure_needs) {
  const nlohmann::json good = to_json(decide("limit", "PrimeField"));
  EXPECT_EQ(good.at("entry"), "leaky_sum");
  EXPECT_EQ(good.at("limit_entry"), "plain_sum");
  EXPECT_LT(good.at("log2_error_probability").get<double>(), -100);
  EXPECT_FALSE(good.contains("reproduce"));
  const Record record = decide("wrong limit", "PrimeField");
  const nlohmann::json bad = to_json(record);
  EXPECT_EQ(bad.at("holds"), false);
  EXPECT_EQ(bad.at("message"), record.message);
  EXPECT_EQ(bad.at("failing_case"), record.failing_case);
  EXPECT_EQ(bad.at("reproduce"), record.reproduce);
}

std::string refusal(const Selection& selection) {
  try {
    choose(selection);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(Choosing, selects_by_every_field_and_names_what_is_not_there) {
  const std::string entry = "gated_linear_attention";
  for (const Chosen& chosen : choose({{entry}, "", "cost", "Counted"})) {
    EXPECT_EQ(chosen.entry->name, entry);
    EXPECT_EQ(chosen.law->kind, Kind::cost);
    EXPECT_EQ(chosen.variant->scalar, "Counted");
  }
  EXPECT_EQ(choose({{entry}, "same: chunked = recurrent", "", "Rational"}).size(), 1U);
  EXPECT_NE(refusal({{"no_such_entry"}, "", "", ""}).find("entry is no_such_entry, expected one of: "),
            std::string::npos);
  EXPECT_NE(refusal({{entry}, "no such law", "", ""}).find("no such law"), std::string::npos);
  EXPECT_NE(refusal({{}, "", "no such kind", ""}).find("no such kind"), std::string::npos);
  EXPECT_NE(refusal({{}, "", "", "no such scalar"}).find("no such scalar"), std::string::npos);
}

TEST(Completing, changes_nothing_the_second_time) {
  complete_entries();
  const std::size_t laws = Registry::instance().entry("gated_linear_attention").laws.size();
  complete_entries();
  EXPECT_EQ(Registry::instance().entry("gated_linear_attention").laws.size(), laws);
}

TEST(Form, names_the_form_or_the_arithmetic_that_is_not_there) {
  EXPECT_THROW(entry().form("no such form"), std::invalid_argument);
  EXPECT_TRUE(entry().form("recurrent").has<Rational>());
  EXPECT_FALSE(entry().form("recurrent").has<BFloat16>());
  EXPECT_THROW(entry().form("recurrent").run<BFloat16>({}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace etalon
