/// \file
/// `Bounded` is where the tolerances of all other checks come from, so it is checked from outside itself:
/// programs are run in real and emulated formats and compared with exact rationals (+ - * /) and with 50 and
/// 100 digits (functions). No bound may ever be exceeded, and the bounds must not be much larger than the
/// errors that occur.
#include "reference/scalar/bounded.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/multiprecision/gmp.hpp>
#include <boost/multiprecision/mpfr.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <ostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "reference/array.hpp"

namespace etalon {
namespace {

namespace mp = boost::multiprecision;
using Rational = mp::number<mp::gmp_rational, mp::et_off>;
using Digits50 = mp::number<mp::mpfr_float_backend<50, mp::allocate_stack>, mp::et_off>;
using Digits100 = mp::number<mp::mpfr_float_backend<100, mp::allocate_stack>, mp::et_off>;
using Number = Bounded<double>;

static_assert(Real<Bounded<double>> && Real<Bounded<Digits50>>);

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A format, emulated: each operation is done in double and rounded. Double has more than twice the bits of
/// every format here, so that for + - * / and sqrt the two roundings are as one (\cite higham2002accuracy).
struct Format {
  RoundingProfile profile;
  int precision;
  int min_exponent;  ///< of the smallest positive number

  double round(double x) const {
    if (x == 0 || !std::isfinite(x)) return x;
    int exponent = 0;
    std::frexp(x, &exponent);
    const int last_place = std::max(exponent - precision, min_exponent);
    const double rounded = std::ldexp(std::nearbyint(std::ldexp(x, -last_place)), last_place);
    return std::abs(rounded) > profile.largest ? std::copysign(kInfinity, rounded) : rounded;
  }
};

void PrintTo(const Format& format, std::ostream* out) {
  *out << format.profile.name;
}

Format float32() {
  return {float32_arithmetic(), 24, -149};
}
Format bfloat16() {
  return {bfloat16_arithmetic(), 8, -133};
}
Format float16() {
  return {float16_arithmetic(), 11, -24};
}
Format e4m3() {
  return {e4m3_arithmetic(), 4, -9};
}

/// Random numbers of a format. Every draw is reproducible from the seed.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : engine_(seed) {}

  Index integer(Index from, Index to) { return std::uniform_int_distribution<Index>(from, to)(engine_); }

  /// A number of the format with a random mantissa and a binary exponent in the given range.
  double number(const Format& format, Index from, Index to) {
    const double mantissa = 1 + std::uniform_real_distribution<double>(0, 1)(engine_);
    const double sign = integer(0, 1) == 0 ? 1 : -1;
    return format.round(sign * std::ldexp(mantissa, static_cast<int>(integer(from, to))));
  }

  template <class Value>
  void shuffle(std::vector<Value>& values) {
    std::shuffle(values.begin(), values.end(), engine_);
  }

 private:
  std::mt19937_64 engine_;
};

/// Adds the terms in a random bracketing of a random order.
double sum_anyhow(const Format& format, std::vector<double> terms, Draw& draw) {
  while (terms.size() > 1) {
    draw.shuffle(terms);
    const double last = terms.back();
    terms.pop_back();
    terms.back() = format.round(terms.back() + last);
  }
  return terms.front();
}

/// What a check of many nodes has seen: the errors as fractions of their bounds.
struct Fractions {
  Index violations = 0;
  Index unbounded = 0;
  std::vector<double> seen;

  /// Takes in |computed - value| <= bound, decided exactly.
  void add(const Rational& computed, double value, double bound) {
    if (bound == kInfinity) {
      ++unbounded;
      return;
    }
    const Rational error = abs(computed - Rational(value));
    if (error > Rational(bound)) ++violations;
    if (bound > 0) seen.push_back(static_cast<double>(Rational(error / Rational(bound))));
  }

  double largest() const { return seen.empty() ? 0 : *std::max_element(seen.begin(), seen.end()); }

  std::string summary() {
    std::sort(seen.begin(), seen.end());
    std::ostringstream text;
    text << seen.size() << " bounded, " << unbounded << " unbounded, fraction of the bound: median "
         << seen[seen.size() / 2] << ", 99 % " << seen[seen.size() * 99 / 100] << ", largest " << seen.back();
    return text.str();
  }
};

/// The same value three times: as the program has it, with its bound, exactly.
struct Node {
  double computed;
  Number bounded;
  Rational exact;
};

Node leaf(double x) {
  return {x, Number(x), Rational(x)};
}

Node binary_node(const Format& format, Index operation, const Node& a, const Node& b) {
  switch (operation) {
    case 0:
      return {format.round(a.computed + b.computed), a.bounded + b.bounded, a.exact + b.exact};
    case 1:
      return {format.round(a.computed - b.computed), a.bounded - b.bounded, a.exact - b.exact};
    case 2:
      return {format.round(a.computed * b.computed), a.bounded * b.bounded, a.exact * b.exact};
    default:
      return {format.round(a.computed / b.computed), a.bounded / b.bounded, a.exact / b.exact};
  }
}

/// A sum of several nodes, which the program adds in another order than the text.
Node sum_node(const Format& format, const std::vector<Node>& nodes, Draw& draw) {
  std::vector<double> terms;
  Number bounded(0);
  Rational exact(0);
  for (Index i = draw.integer(2, 12); i > 0; --i) {
    const Node& node = nodes[static_cast<std::size_t>(draw.integer(0, static_cast<Index>(nodes.size()) - 1))];
    terms.push_back(node.computed);
    bounded += node.bounded;
    exact += node.exact;
  }
  return {sum_anyhow(format, terms, draw), bounded, exact};
}

/// Random expressions of `format`, bounded under `claimed`. In some the exponents are so small that products
/// underflow.
struct TreeCheck {
  Fractions program;  ///< of what the format computes
  Fractions truth;    ///< of the exact result: it is an admissible evaluation too
};

TreeCheck check_random_trees(const Format& format, const RoundingProfile& claimed, Index trees,
                             std::uint64_t seed) {
  const UseRounding guard(claimed);
  Draw draw(seed);
  TreeCheck check;
  for (Index tree = 0; tree < trees; ++tree) {
    const bool tiny = tree % 4 == 3;
    const Index centre = tiny ? (format.min_exponent + format.precision) / 2 - 1 : 0;
    std::vector<Node> nodes;
    for (int i = 0; i < 5; ++i) nodes.push_back(leaf(draw.number(format, centre - 3, centre + 3)));
    for (int i = 0; i < 8; ++i) {
      const auto last = static_cast<Index>(nodes.size()) - 1;
      const Node& a = nodes[static_cast<std::size_t>(draw.integer(0, last))];
      const Node& b = nodes[static_cast<std::size_t>(draw.integer(0, last))];
      const Index operation = draw.integer(0, 4);
      if (operation == 3 && b.exact == 0) continue;
      Node node = operation == 4 ? sum_node(format, nodes, draw) : binary_node(format, operation, a, b);
      const double bound = node.bounded.error_bound();
      check.truth.add(node.exact, node.bounded.value(), bound);
      if (bound == kInfinity) {
        ++check.program.unbounded;
        continue;
      }
      if (!std::isfinite(node.computed)) {
        ++check.program.violations;
        continue;
      }
      check.program.add(Rational(node.computed), node.bounded.value(), bound);
      nodes.push_back(node);
    }
  }
  return check;
}

class BoundedTrees : public testing::TestWithParam<Format> {};

TEST_P(BoundedTrees, NoErrorExceedsItsBound) {
  TreeCheck check = check_random_trees(GetParam(), GetParam().profile, 3000, 20240901);
  EXPECT_EQ(check.program.violations, 0);
  EXPECT_EQ(check.truth.violations, 0);
  // Promising nothing would pass, too.
  EXPECT_GT(check.program.seen.size(), 20000u);
  EXPECT_GT(check.program.largest(), 0.9);
  RecordProperty("program", check.program.summary());
  RecordProperty("truth", check.truth.summary());
}

TEST_P(BoundedTrees, HalfTheRoundoffIsFoundTooLittle) {
  RoundingProfile halved = GetParam().profile;
  halved.unit /= 2;
  halved.multiply_unit /= 2;
  EXPECT_GT(check_random_trees(GetParam(), halved, 200, 20240901).program.violations, 0);
}

TEST_P(BoundedTrees, WithoutUnderflowInTheBoundUnderflowIsFound) {
  RoundingProfile without = GetParam().profile;
  without.half_min_subnormal = 0;
  EXPECT_GT(check_random_trees(GetParam(), without, 200, 20240901).program.violations, 0);
}

INSTANTIATE_TEST_SUITE_P(Formats, BoundedTrees, testing::Values(float32(), bfloat16(), float16(), e4m3()),
                         [](const testing::TestParamInfo<Format>& test) { return test.param.profile.name; });

TEST(Bounded, SingleOperationsReachNineTenthsOfTheirBound) {
  for (const Format& format : {float32(), bfloat16(), float16()}) {
    const UseRounding guard(format.profile);
    for (Index operation = 0; operation < 4; ++operation) {
      Draw draw(7);
      Fractions fractions;
      for (int i = 0; i < 3000; ++i) {
        const Node a = leaf(draw.number(format, -3, 3));
        const Node b = leaf(draw.number(format, -3, 3));
        const Node node = binary_node(format, operation, a, b);
        fractions.add(Rational(node.computed), node.bounded.value(), node.bounded.error_bound());
      }
      EXPECT_EQ(fractions.violations, 0) << format.profile.name << operation;
      EXPECT_EQ(fractions.unbounded, 0) << format.profile.name << operation;
      // No operation can reach all of it: the worst rounding is one of 1 + u to 1, which is u / (1 + u).
      EXPECT_GT(fractions.largest(), 0.9 / (1 + format.profile.unit)) << format.profile.name << operation;
    }
  }
}

TEST(Bounded, ErrorsOfBothOperandsAreBoundedAndSharply) {
  const Format format = bfloat16();
  const UseRounding guard(format.profile);
  for (Index operation = 0; operation < 4; ++operation) {
    Draw draw(19);
    Fractions fractions;
    for (int i = 0; i < 2000; ++i) {
      const double a = draw.number(format, -1, 1);
      const double b = draw.number(format, -1, 1);
      const double error_a = std::abs(a) * std::ldexp(1.0, -static_cast<int>(draw.integer(0, 4)));
      const double error_b = std::abs(b) * std::ldexp(1.0, -static_cast<int>(draw.integer(1, 4)));
      for (const double moved_a : {a - error_a, a + error_a}) {
        for (const double moved_b : {b - error_b, b + error_b}) {
          Node node = binary_node(format, operation, leaf(moved_a), leaf(moved_b));
          node.bounded = binary_node(format, operation, {a, Number::with_error(a, error_a), Rational(a)},
                                     {b, Number::with_error(b, error_b), Rational(b)})
                             .bounded;
          fractions.add(Rational(node.computed), node.bounded.value(), node.bounded.error_bound());
        }
      }
    }
    EXPECT_EQ(fractions.violations, 0) << operation;
    EXPECT_EQ(fractions.unbounded, 0) << operation;
    EXPECT_GT(fractions.largest(), 0.99) << operation;
  }
}

TEST(Bounded, AllPairsOfE4M3) {
  const Format format = e4m3();
  const UseRounding guard(format.profile);
  std::vector<double> numbers;
  for (int exponent = -9; exponent <= 5; ++exponent) {
    for (int significand = exponent == -9 ? 1 : 8; significand < 16; ++significand) {
      const double number = std::ldexp(significand, exponent);
      if (number <= format.profile.largest) numbers.push_back(number);
    }
  }
  ASSERT_EQ(numbers.size(), 126u);
  for (Index operation = 0; operation < 4; ++operation) {
    double worst = 0;
    for (const double a : numbers) {
      for (const double b : numbers) {
        for (const double sign : {1.0, -1.0}) {
          const Number x(a);
          const Number y(sign * b);
          const Number z = operation == 0 ? x + y : operation == 1 ? x - y : operation == 2 ? x * y : x / y;
          if (z.error_bound() == kInfinity) continue;
          const double exact = operation == 0   ? a + sign * b
                               : operation == 1 ? a - sign * b
                               : operation == 2 ? a * sign * b
                                                : a / (sign * b);
          const double error = std::abs(format.round(exact) - z.value());
          EXPECT_LE(error, z.error_bound()) << a << " and " << sign * b << ", operation " << operation;
          if (error > 0) worst = std::max(worst, error / z.error_bound());
        }
      }
    }
    EXPECT_GT(worst, 0.9 / (1 + format.profile.unit)) << operation;
  }
}

TEST(Bounded, AllOrdersOfASumLieWithinTheBoundOfTheSequentialOne) {
  const Format format = float32();
  const UseRounding guard(format.profile);
  Draw draw(3);
  for (int repeat = 0; repeat < 40; ++repeat) {
    std::vector<double> terms;
    Number bounded(0);
    for (Index i = draw.integer(2, 60); i > 0; --i) {
      terms.push_back(draw.number(format, -6, 6));
      bounded += Number(terms.back());
    }
    const auto expect_within = [&](double computed, const char* order) {
      EXPECT_LE(std::abs(computed - bounded.value()), bounded.error_bound()) << order;
    };
    const auto in_sequence = [&](const std::vector<double>& sequence) {
      double sum = 0;
      for (const double term : sequence) sum = format.round(sum + term);
      return sum;
    };
    expect_within(in_sequence(terms), "as given");
    std::reverse(terms.begin(), terms.end());
    expect_within(in_sequence(terms), "reversed");
    std::sort(terms.begin(), terms.end());
    expect_within(in_sequence(terms), "ascending");
    for (int i = 0; i < 50; ++i) expect_within(sum_anyhow(format, terms, draw), "random");
    for (std::size_t stride = 1; stride < terms.size(); stride *= 2) {
      for (std::size_t i = 0; i + stride < terms.size(); i += 2 * stride) {
        terms[i] = format.round(terms[i] + terms[i + stride]);
      }
    }
    expect_within(terms.front(), "tree");
  }
}

TEST(Bounded, JoiningTwoSumsCoversOrdersThatMixTheirTerms) {
  const UseRounding guard(float32_arithmetic());
  const float u = std::ldexp(1.0f, -24);
  // (1 + u) - (1 - u) in sequence; a program that adds the ones first is exact, one that does not loses a u.
  const Number left = Number(1.0) + Number(double{u});
  const Number right = Number(1.0) - Number(double{u});
  const Number both = left - right;
  EXPECT_EQ(both.terms(), 4);
  EXPECT_EQ(both.magnitude(), 2 + 2 * double{u});
  const float as_written = (1.0f + u) - (1.0f - u);
  const float mixed = (1.0f - 1.0f) + (u + u);
  EXPECT_NE(as_written, mixed);
  EXPECT_LE(std::abs(double{as_written} - both.value()), both.error_bound());
  EXPECT_LE(std::abs(double{mixed} - both.value()), both.error_bound());
}

TEST(Bounded, FusedMultiplyAddIsCovered) {
  const UseRounding guard(float32_arithmetic());
  Draw draw(5);
  for (int repeat = 0; repeat < 300; ++repeat) {
    float plain = 0;
    float fused = 0;
    Number bounded(0);
    for (int i = 0; i < 16; ++i) {
      const auto a = static_cast<float>(draw.number(float32(), -3, 3));
      const auto b = static_cast<float>(draw.number(float32(), -3, 3));
      plain += a * b;
      fused = std::fma(a, b, fused);
      bounded += Number(double{a}) * Number(double{b});
    }
    EXPECT_LE(std::abs(double{plain} - bounded.value()), bounded.error_bound());
    EXPECT_LE(std::abs(double{fused} - bounded.value()), bounded.error_bound());
  }
}

TEST(Bounded, AdversarialSumReachesTheBound) {
  const UseRounding guard(float32_arithmetic());
  const float u = std::ldexp(1.0f, -24);
  float sum = 1;
  Number bounded(1.0);
  const int k = 1023;
  for (int i = 0; i < k; ++i) {
    sum += u;  // half the distance to the next number: lost, every time
    bounded += Number(double{u});
  }
  EXPECT_EQ(sum, 1.0f);
  const double error = std::abs(double{sum} - bounded.value());
  EXPECT_EQ(error, k * double{u});
  EXPECT_LE(error, bounded.error_bound());
  // The bound is k u / (1 - k u) times 1 + k u; the rest is the roundoff of double, 2^-29 of that of float.
  const double ku = k * double{u};
  EXPECT_GE(error / bounded.error_bound(), (1 - ku) / (1 + ku) * (1 - std::ldexp(1.0, -28)));
}

TEST(Bounded, BoundOfASumIsTheFormula) {
  const UseRounding guard(bfloat16_arithmetic());
  Number sum(0);
  for (int i = 0; i < 100; ++i) sum += Number::with_error(i % 2 == 0 ? 2.0 : -1.0, 0.25);
  EXPECT_EQ(sum.terms(), 100);
  EXPECT_EQ(sum.magnitude(), 150);
  const double ku = 99 / 256.0;
  const double expected = 25 + ku / (1 - ku) * (150 + 25);
  EXPECT_GE(sum.error_bound(), expected);
  EXPECT_LE(sum.error_bound(),
            expected * (1 + std::ldexp(1.0, -40)));  // double's own roundings, 2^-45 of bfloat16's
  EXPECT_EQ((sum * Number(1.0)).terms(), 1);
}

TEST(Bounded, NothingIsPromisedOnceTheRoundingsReachOne) {
  const UseRounding guard(bfloat16_arithmetic());
  Number sum(0);
  for (int i = 0; i < 256; ++i) sum += Number(1.0);
  EXPECT_LT(sum.error_bound(), kInfinity);
  sum += Number(1.0);
  EXPECT_EQ(sum.error_bound(), kInfinity);
  EXPECT_EQ((Number(1) / sum).error_bound(), kInfinity);
  EXPECT_EQ(exp(sum).error_bound(), kInfinity);
}

/// A function of one argument in all the arithmetics that the checks need.
struct Function {
  const char* name;
  std::function<float(float)> in_float;
  std::function<Number(Number)> bounded;
  std::function<Bounded<Digits50>(Bounded<Digits50>)> bounded50;
  std::function<Digits100(Digits100)> exact;
  double from, to;  ///< arguments to try
  double reached;   ///< what fraction of the bound an error in the argument is known to reach
};

template <class F>
Function function(const char* name, const F& f, double from, double to, double reached) {
  return {name, f, f, f, f, from, to, reached};
}

/// The error of the argument is bounded through the slope at its worst. For exp, expm1, log and log1p that is
/// exact; elsewhere the slope changes little over a small interval.
std::vector<Function> all_functions() {
  return {
      function(
          "exp", [](const auto& x) { return exp(x); }, -80, 80, 0.999),
      function(
          "expm1", [](const auto& x) { return expm1(x); }, -20, 40, 0.999),
      function(
          "log", [](const auto& x) { return log(x); }, 0.01, 100, 0.999),
      function(
          "log1p", [](const auto& x) { return log1p(x); }, -0.99, 10, 0.999),
      function(
          "sqrt", [](const auto& x) { return sqrt(x); }, 0, 100, 0.999),
      function(
          "sin", [](const auto& x) { return sin(x); }, -20, 20, 0.999),
      function(
          "cos", [](const auto& x) { return cos(x); }, -20, 20, 0.999),
      function(
          "atan", [](const auto& x) { return atan(x); }, -30, 30, 0.99),
      function(
          "tanh", [](const auto& x) { return tanh(x); }, -8, 8, 0.99),
  };
}

double within(Draw& draw, double from, double to) {
  const double fraction = static_cast<double>(draw.integer(0, 1 << 20)) / (1 << 20);
  return from + (to - from) * fraction;
}

TEST(BoundedFunctions, OfFloatLieWithinTheirBounds) {
  // The GNU C library states errors of up to 2 units in the last place (tanh), so 4 units of roundoff.
  RoundingProfile profile = float32_arithmetic();
  profile.function_units = 4;
  const UseRounding guard(profile);
  for (const Function& f : all_functions()) {
    Draw draw(11);
    double worst_exact = 0;
    for (int i = 0; i < 1500; ++i) {
      const auto x = static_cast<float>(within(draw, f.from, f.to));
      const Bounded<Digits50> single = f.bounded50(Bounded<Digits50>(double{x}));
      const Digits50 error = abs(Digits50(double{f.in_float(x)}) - single.value());
      EXPECT_LE(error, Digits50(single.error_bound())) << f.name << "(" << x << ")";
      if (single.error_bound() > 0)
        worst_exact = std::max(worst_exact, static_cast<double>(error) / single.error_bound());

      // An argument that has been computed: the domain of log and sqrt may be left, then nothing is promised.
      const auto shift = static_cast<float>(within(draw, -1, 1));
      const float argument = x * 0.75f + shift;
      const Bounded<Digits50> composed = f.bounded50(Bounded<Digits50>(double{x}) * Bounded<Digits50>(0.75) +
                                                     Bounded<Digits50>(double{shift}));
      if (composed.error_bound() == kInfinity) continue;
      EXPECT_LE(abs(Digits50(double{f.in_float(argument)}) - composed.value()),
                Digits50(composed.error_bound()))
          << f.name << " of " << argument;
    }
    // At least half a unit in the last place is lost somewhere, that is up to 1 of the 4 units.
    EXPECT_GT(worst_exact, 0.15) << f.name;
    RecordProperty(f.name, std::to_string(4 * worst_exact));
  }
}

TEST(BoundedFunctions, AnErrorOfTheArgumentIsBoundedAndSharply) {
  const UseRounding guard(exact_arithmetic());
  for (const Function& f : all_functions()) {
    Draw draw(13);
    double worst = 0;
    for (int i = 0; i < 400; ++i) {
      const double x = within(draw, f.from, f.to);
      const double size = std::ldexp(1.0, static_cast<int>(draw.integer(-30, 2)));
      const Bounded<Digits50> result = f.bounded50(Bounded<Digits50>::with_error(Digits50(x), size));
      if (result.error_bound() == kInfinity) continue;
      for (const double moved : {-1.0, -0.5, 0.5, 1.0}) {
        const Digits100 argument = Digits100(x) + Digits100(moved) * Digits100(size);
        const auto fraction = static_cast<double>(
            Digits100(abs(f.exact(argument) - Digits100(result.value())) / Digits100(result.error_bound())));
        EXPECT_LE(fraction, 1) << f.name << "(" << x << " +- " << size << ")";
        worst = std::max(worst, fraction);
      }
    }
    EXPECT_GT(worst, f.reached) << f.name;
  }
}

TEST(BoundedFunctions, OwnRoundingsOfTheNumberTypesAreCovered) {
  const UseRounding guard(exact_arithmetic());
  for (const Function& f : all_functions()) {
    Draw draw(17);
    for (int i = 0; i < 400; ++i) {
      const double x = within(draw, f.from, f.to);
      const double y = within(draw, 0.5, 1.5);
      const auto in = [&]<class T>(const std::function<T(T)>& g) {
        return g(T(x) * T(y) / T(3.0)) + T(1) / T(3.0);
      };
      const Digits100 exact = f.exact(Digits100(x) * Digits100(y) / 3) + Digits100(1) / 3;
      const Number narrow = in(f.bounded);
      const Bounded<Digits50> wide = in(f.bounded50);
      if (narrow.error_bound() == kInfinity) continue;
      EXPECT_LE(abs(exact - Digits100(narrow.value())), Digits100(narrow.error_bound()))
          << f.name << " of " << x;
      EXPECT_LE(abs(exact - Digits100(wide.value())), Digits100(wide.error_bound())) << f.name << " of " << x;
      EXPECT_LT(wide.error_bound(), narrow.error_bound() * std::ldexp(1.0, -100)) << f.name << " of " << x;
    }
  }
}

TEST(BoundedFunctions, OutsideTheirDomainsNothingIsPromised) {
  const UseRounding guard(float32_arithmetic());
  EXPECT_EQ(log(Number(-1.0)).error_bound(), kInfinity);
  EXPECT_EQ(log(Number::with_error(0.5, 0.5)).error_bound(), kInfinity);
  EXPECT_LT(log(Number::with_error(0.5, 0.49)).error_bound(), kInfinity);
  EXPECT_EQ(log1p(Number::with_error(-0.5, 0.5)).error_bound(), kInfinity);
  EXPECT_EQ(log1p(Number(-2.0)).error_bound(), kInfinity);
  EXPECT_EQ(sqrt(Number::with_error(0.25, 0.5)).error_bound(), kInfinity);
  EXPECT_EQ(sqrt(Number(-1.0)).error_bound(), kInfinity);
  EXPECT_EQ(sqrt(Number(0.0)).error_bound(), 0);
  EXPECT_EQ((Number(1.0) / Number(0.0)).error_bound(), kInfinity);
  EXPECT_EQ((Number(1.0) / Number::with_error(1.0, 1.0)).error_bound(), kInfinity);
  EXPECT_EQ((Number(0) / Number::with_error(1.0, 1.0)).error_bound(), kInfinity);
  // sin and cos move by no more than 2 however far the argument does.
  EXPECT_LT(sin(Number::with_error(0.0, 1e6)).error_bound(), 2.001);
}

TEST(Bounded, LiteralsAreExactWhereTheirBitsFit) {
  const UseRounding guard(e4m3_arithmetic());  // four significant bits
  for (const int exact : {0, 1, 3, 8, 15, 16, 18, 240, 448, -7})
    EXPECT_EQ(Number(exact).error_bound(), 0) << exact;
  for (const int rounded : {17, 19, 33, 250, -17}) {
    const Number literal(rounded);
    EXPECT_EQ(literal.value(), rounded);
    EXPECT_LE(std::abs(e4m3().round(rounded) - rounded), literal.error_bound()) << rounded;
    EXPECT_GE(literal.error_bound(), std::abs(rounded) / 16.0) << rounded;
    EXPECT_LE(literal.error_bound(), std::abs(rounded) / 16.0 + 1e-12) << rounded;
  }
  EXPECT_EQ(Number(449).error_bound(), kInfinity);  // more than the format can hold

  const UseRounding wide(float64_arithmetic());
  const std::int64_t odd = (std::int64_t{1} << 53) + 1;  // not a double
  EXPECT_GE(Number(odd).error_bound(), 1);
  EXPECT_EQ(Number(std::int64_t{1} << 62).error_bound(), 0);
  EXPECT_EQ(Number(std::numeric_limits<std::int64_t>::min()).error_bound(), 0);
}

TEST(Bounded, OperationsWithLiteralZeroAndOneAreFreeAndExact) {
  const UseRounding guard(bfloat16_arithmetic());
  const Number x = Number(3.0) + Number(0.7);
  const auto expect_same = [&](const Number& y, double value) {
    EXPECT_EQ(y.value(), value);
    EXPECT_EQ(y.error_bound(), x.error_bound());
    EXPECT_EQ(y.terms(), 2);
  };
  expect_same(x + Number(0), x.value());
  expect_same(Number(0) + x, x.value());
  expect_same(x - Number(0), x.value());
  expect_same(Number(0) - x, -x.value());
  expect_same(Number(1) * x, x.value());
  expect_same(x * Number(1), x.value());
  expect_same(x / Number(1), x.value());
  EXPECT_EQ((Number(0) * x).error_bound(), 0);
  EXPECT_EQ((Number(0) / x).error_bound(), 0);
  EXPECT_EQ((Number(0) * x + x).terms(), 2);
  EXPECT_EQ((x * Number(2)).error_bound(), upward::widen(2 * x.error_bound()));
  EXPECT_EQ((Number(1) / Number(2)).error_bound(), 0);
  EXPECT_EQ((x * (Number(1) / Number(2))).error_bound(), upward::widen(x.error_bound() / 2));
  EXPECT_GE((x * Number(3)).error_bound(), 3 * x.error_bound() + x.value() * 3 / 256);
  // A quotient of literals is rounded, also when it comes out as a one.
  const Number one = Number(3) / Number(3);
  EXPECT_EQ(one.value(), 1);
  EXPECT_GT(one.error_bound(), 0);
  EXPECT_GT((one * x).error_bound(), x.error_bound());
  // The maximum of a literal with data is data, though it may come out as the literal.
  const Number clipped = maximum(Number(0), Number::with_error(-0.5, 1.0));
  EXPECT_EQ(clipped.value(), 0);
  EXPECT_EQ(clipped.error_bound(), 1.0);
  EXPECT_EQ((clipped * x).value(), 0);
  EXPECT_GT((clipped * x).error_bound(), x.value());
}

TEST(Bounded, ScalingByAPowerOfTwoIsExactUnlessItUnderflows) {
  const UseRounding guard(float16_arithmetic());  // normal from 2^-14
  const Number half = Number(1) / Number(2);
  EXPECT_EQ((Number(std::ldexp(1.5, -13)) * half).error_bound(), 0);
  EXPECT_EQ((Number(std::ldexp(1.5, -14)) * half).error_bound(), std::ldexp(1.0, -25));
  EXPECT_EQ((Number(std::ldexp(1.5, -14)) / Number(2)).error_bound(), std::ldexp(1.0, -25));
  EXPECT_EQ((Number(40000.0) * Number(2)).error_bound(), kInfinity);
  const UseRounding wide(exact_arithmetic());
  EXPECT_EQ((Number(1e308) * Number(4)).error_bound(), kInfinity);  // double itself overflows
}

TEST(Bounded, WhereResultsMayOverflowNothingIsPromised) {
  const UseRounding guard(float16_arithmetic());
  EXPECT_EQ(Number(65504.0).error_bound(), 0);
  EXPECT_EQ(Number(65505.0).error_bound(), kInfinity);
  EXPECT_LT((Number(200.0) * Number(300.0)).error_bound(), kInfinity);
  EXPECT_EQ((Number(256.0) * Number(256.0)).error_bound(), kInfinity);
  EXPECT_EQ(exp(Number(12.0)).error_bound(), kInfinity);
  // The sum is small, but a program that adds in another order overflows on the way.
  EXPECT_EQ((Number(40000.0) - Number(40000.0) + Number(1.0)).error_bound(), kInfinity);
  EXPECT_LT((Number(30000.0) - Number(30000.0) + Number(1.0)).error_bound(), kInfinity);
}

TEST(Bounded, InfinitiesThatAreDataAreExact) {
  const UseRounding guard(float32_arithmetic());
  const Number low(-kInfinity);  // where a running maximum starts, and what a mask adds
  const Number x = Number(3.0) * Number(0.7);
  EXPECT_EQ(low.error_bound(), 0);
  EXPECT_EQ((low - x).error_bound(), 0);
  EXPECT_EQ(exp(low - x).value(), 0);
  EXPECT_EQ(exp(low - x).error_bound(), 0);
  EXPECT_EQ(maximum(low, x).error_bound(), x.error_bound());
  EXPECT_EQ(maximum(-low, x).error_bound(), 0);
  EXPECT_EQ((low * x).error_bound(), 0);
  EXPECT_EQ((x / low).error_bound(), 0);
  EXPECT_EQ(log(Number(0.0)).error_bound(), 0);
  EXPECT_EQ(stored(low).error_bound(), 0);
  EXPECT_LT(tanh(low).error_bound(), 1e-6);
  EXPECT_GT(tanh(low).error_bound(), 0);
  EXPECT_FALSE(finite(low));
  // What is not a number, or may not be one, is never promised.
  const Number unbounded = Number::with_error(1.0, kInfinity);
  for (const Number& nothing :
       {low - low, low * Number(0.0), low * Number(0), low / low, sin(low),
        low * Number::with_error(1.0, 2.0), exp(low - low), maximum(low - low, low - low), low + unbounded,
        maximum(-low, unbounded), low * unbounded, unbounded / low}) {
    EXPECT_EQ(nothing.error_bound(), kInfinity);
  }
}

TEST(Bounded, ExactZerosAddNoRounding) {
  const UseRounding guard(bfloat16_arithmetic());
  Number sum(1.0);
  for (int i = 0; i < 1000; ++i) sum += Number(0.0) * Number(0.3);
  EXPECT_EQ(sum.terms(), 1);
  EXPECT_EQ(sum.error_bound(), 0);
}

TEST(Bounded, StoringRoundsInTheStorageFormat) {
  const UseRounding guard(mixed_arithmetic(bfloat16_arithmetic(), float32_arithmetic()));
  const Number x = Number(3.0) + Number(0.7);
  const Number y = stored(x);
  const double expected = x.error_bound() + (x.value() + x.error_bound()) / 256;
  EXPECT_GE(y.error_bound(), expected);
  EXPECT_LE(y.error_bound(), expected * (1 + 1e-14));
  EXPECT_EQ(y.terms(), 1);
  EXPECT_EQ(stored(Number(0)).error_bound(), 0);
  EXPECT_EQ(stored(Number(1)).error_bound(), 0);
  EXPECT_EQ(stored(Number(0.0)).error_bound(), 0);
  EXPECT_EQ(stored(Number(std::ldexp(1.0, -140))).error_bound(), std::ldexp(1.0, -134));
  {
    const UseRounding narrow(mixed_arithmetic(float16_arithmetic(), float32_arithmetic()));
    EXPECT_EQ(stored(Number(65504.0)).error_bound(),
              kInfinity);  // might have been rounded up, for all that is known
    EXPECT_EQ(stored(Number(65600.0)).error_bound(), kInfinity);
    EXPECT_LT(stored(Number(65000.0)).error_bound(), kInfinity);
  }
  const UseRounding plain(float32_arithmetic());
  EXPECT_EQ(stored(x).terms(), 2);
}

/// A recurrence computed in float32 whose state is stored in bfloat16 at each step.
Fractions check_stored_recurrence(const RoundingProfile& claimed) {
  const UseRounding guard(claimed);
  Draw draw(23);
  Fractions fractions;
  for (int run = 0; run < 100; ++run) {
    double computed = 0;
    Number bounded(0);
    for (int t = 0; t < 30; ++t) {
      const double decay = std::abs(draw.number(bfloat16(), -1, -1));
      const double input = draw.number(bfloat16(), -2, 1);
      computed = bfloat16().round(float32().round(float32().round(decay * computed) + input));
      bounded = stored(Number(decay) * bounded + Number(input));
      fractions.add(Rational(computed), bounded.value(), bounded.error_bound());
    }
  }
  return fractions;
}

TEST(Bounded, ARecurrenceWithStoredStatesStaysWithinItsBound) {
  RoundingProfile profile = mixed_arithmetic(bfloat16_arithmetic(), float32_arithmetic());
  Fractions fractions = check_stored_recurrence(profile);
  EXPECT_EQ(fractions.violations, 0);
  EXPECT_EQ(fractions.unbounded, 0);
  RecordProperty("fractions", fractions.summary());
  profile.store_unit /= 2;
  EXPECT_GT(check_stored_recurrence(profile).violations, 0);
}

TEST(Bounded, MultiplicationsMayHaveARoundoffOfTheirOwn) {
  RoundingProfile profile = float32_arithmetic();
  profile.name = "L-Mul";
  profile.multiply_unit = 161.0 / 2209.0;  // \cite luo2024addition, five mantissa bits or more
  const UseRounding guard(profile);
  const Number x(1.5);
  // There 1 * x is not x, and 2 * x not 2 x; but 0 * x is 0, and sums and quotients are as ever.
  EXPECT_GE((Number(1) * x).error_bound(), 1.5 * 161 / 2209);
  EXPECT_GE((x * Number(2)).error_bound(), 3.0 * 161 / 2209);
  EXPECT_EQ((Number(0) * x).error_bound(), 0);
  EXPECT_EQ((x / Number(1)).error_bound(), 0);
  EXPECT_LT((x + x).error_bound(), 1e-6);
  // The worst factor 1 - 161/2209 in every product of a dot product.
  double computed = 0;
  Number bounded(0);
  for (int i = 1; i <= 20; ++i) {
    computed += i * (1 - profile.multiply_unit * (1 - 1e-9));
    bounded += Number(double(i)) * Number(1.0);
  }
  EXPECT_LE(std::abs(computed - bounded.value()), bounded.error_bound());
  EXPECT_GT(std::abs(computed - bounded.value()), 0.999 * bounded.error_bound());
}

TEST(Bounded, MaximumAndComparisons) {
  const UseRounding guard(float32_arithmetic());
  const Number a = Number::with_error(1.0, 0.25);
  const Number b = Number::with_error(2.0, 0.125);
  EXPECT_EQ(maximum(a, b).value(), 2);
  EXPECT_EQ(maximum(a, b).error_bound(), 0.25);
  EXPECT_EQ(maximum(b, a).value(), 2);
  EXPECT_TRUE(a < b && b > a && a <= b && b >= a && !(a == b));
  EXPECT_EQ(static_cast<double>(-a), -1);
}

TEST(Bounded, ProfilesNestAndArePutBack) {
  EXPECT_EQ(current_rounding().name, "float64");
  {
    const UseRounding outer(float16_arithmetic());
    {
      const UseRounding inner(e5m2_arithmetic());
      EXPECT_EQ(current_rounding().name, "e5m2");
      EXPECT_EQ(current_rounding().unit, 0.125);
    }
    EXPECT_EQ(current_rounding().name, "float16");
  }
  EXPECT_EQ(current_rounding().name, "float64");
}

TEST(Bounded, ProfilesAreThoseOfTheTypesOfTheCompiler) {
  const auto expect_format_of = [](const RoundingProfile& profile, auto example) {
    using Limits = std::numeric_limits<decltype(example)>;
    EXPECT_EQ(profile.unit, double{Limits::epsilon()} / 2);
    EXPECT_EQ(profile.largest, double{Limits::max()});
    EXPECT_GE(profile.half_min_subnormal, double{Limits::denorm_min()} / 2);
  };
  expect_format_of(float32_arithmetic(), 1.0f);
  expect_format_of(float64_arithmetic(), 1.0);
  EXPECT_EQ(bfloat16_arithmetic().largest, (2 - std::ldexp(1.0, -7)) * std::ldexp(1.0, 127));
}

}  // namespace
}  // namespace etalon
