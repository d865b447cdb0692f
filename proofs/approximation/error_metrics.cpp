/// \file
/// The entry of error metrics: sums as forms, and the laws of bounds and measures. Its text is
/// `reference/approximation/error_metrics.hpp`.
#include "reference/approximation/error_metrics.hpp"

#include <cmath>

#include "proofs/engine/group.hpp"
#include "reference/softmax_attention/softmax_attention.hpp"

namespace etalon {
namespace {

namespace em = error_metrics;
namespace sa = softmax_attention;

const Expression n = symbol("n"), block = symbol("block");

template <Ring T>
std::vector<T> terms_of(const Arrays<T>& in) {
  require_rank("error_metrics", "term", in["term"], 1);
  return {in["term"].values().begin(), in["term"].values().end()};
}

template <Ring T>
Arrays<T> sum_is(const T& sum) {
  Arrays<T> arrays;
  arrays.real["sum"] = Array<T>(Shape{}, sum);
  return arrays;
}

void describe(EntryBuilder& entry) {
  entry
      .about("approximation", "Error metrics",
             "Five ways to add up numbers, what each can lose, and how to tell whether a result is right.",
             {"higham2002accuracy", "higham2019probabilistic", "ogita2005accurate", "micikevicius2022fp8"})
      .size("n", 60, 7)
      .parameter({"block", 8, 1, n + 1, "terms in a block; the last one may be shorter", {}})
      .input("term", {n}, Domain::any, "what is added up")
      .output("sum", {}, "their sum");
}

void forms(EntryBuilder& entry) {
  entry
      .form("naive", "the definition: one after the other",
            []<Ring T>(const Arrays<T>& in, const Settings&) { return sum_is(em::naive_sum(terms_of(in))); })
      .form("pairwise", "a balanced tree",
            []<Ring T>(const Arrays<T>& in, const Settings&) {
              const std::vector<T> terms = terms_of(in);
              return sum_is(em::pairwise_sum(terms, 0, terms.size()));
            })
      .form("blocked", "blocks, then their sums",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return sum_is(em::blocked_sum(terms_of(in), at(settings, "block")));
            })
      .form("kahan", "what an addition lost is taken from the next term",
            []<Ring T>(const Arrays<T>& in, const Settings&) { return sum_is(em::kahan_sum(terms_of(in))); })
      .form("compensated", "all losses are added up and returned at the end",
            []<Ring T>(const Arrays<T>& in, const Settings&) {
              return sum_is(em::compensated_sum(terms_of(in)));
            });
}

// ---- what the laws share -----------------------------------------------------------------------

/// The kinds of terms on which orders of addition differ most.
enum class Terms { random, constant, alternating, geometric, mixed, adversarial };

double term(Terms kind, Index count, Index j, std::uint64_t seed, double unit) {
  const double drawn = draw_real({seed, "term", j}, Domain::any, Pattern::generic);
  switch (kind) {
    case Terms::constant:
      return 1.0 / 3;
    case Terms::alternating:
      return j % 2 == 0 ? 1 + drawn / 64 : -1;
    case Terms::geometric:
      return std::exp2(-static_cast<double>(j % 9));
    case Terms::mixed:
      return drawn * std::exp2(static_cast<double>(hash({seed, "size", j}, 1) % 7) - 3);
    case Terms::adversarial:  // 1, then what is just lost when it is added to it
      return j == 0 ? 1 : unit;
    default:
      return drawn / static_cast<double>(count);
  }
}

/// Sums in the format T, against exact fractions.
template <class T>
void sums_within(Check& check, double unit, Index longest) {
  const Rational u(unit);
  for (const Terms kind : {Terms::random, Terms::constant, Terms::alternating, Terms::geometric, Terms::mixed,
                           Terms::adversarial}) {
    for (Index count = 1; count <= longest; count = count < 4 ? count + 1 : 2 * count - 1) {
      std::vector<T> terms;
      Rational exact(0), absolute(0);
      for (Index j = 0; j < count; ++j) {
        terms.push_back(T(term(kind, count, j, static_cast<std::uint64_t>(count), unit)));
        const Rational x(double{terms.back()});
        exact += x;
        absolute += em::magnitude(x);
      }
      const auto within = [&](const T& sum, const Rational& bound, const std::string& order) {
        const Rational error = em::magnitude(Rational(Rational(double{sum}) - exact));
        const std::string what = std::string(scalar_name<T>) + ", " + order + ", terms of kind " +
                                 std::to_string(static_cast<int>(kind)) + ", n = " + std::to_string(count);
        check.expect(error <= bound,
                     what + ": error " + show(Real50(error)) + ", bound " + show(Real50(bound)));
        if (bound > 0)
          check.measure(order + ", share of the bound", static_cast<double>(Rational(error / bound)));
      };
      const Index width = 1 + count / 3;
      within(em::naive_sum(terms), em::naive_factor(count, u) * absolute, "naive");
      within(em::pairwise_sum(terms, 0, terms.size()), em::pairwise_factor(count, u) * absolute, "pairwise");
      within(em::blocked_sum(terms, width), em::blocked_factor(count, width, u) * absolute, "blocked");
      within(em::compensated_sum(terms), em::compensated_bound(count, u, exact, absolute), "compensated");
      if (count * unit < 0x1p-4) {
        within(em::kahan_sum(terms), em::kahan_factor(count, u) * absolute, "kahan");
      }
    }
  }
  // 1 and then terms that are each half a unit in its last place: every one of them is lost.
  const Index count = std::min(longest, static_cast<Index>(1 / (4 * unit)));  // so that n u is at most 1/4
  std::vector<T> lost{T(1.0)};
  for (Index j = 1; j < count; ++j) lost.push_back(T(unit));
  const Rational error = Rational(count - 1) * u, absolute = Rational(1) + error;
  check.equal(Rational(double{em::naive_sum(lost)}), Rational(1), "every term is lost");
  check.expect(error * 2 > em::naive_factor(count, u) * absolute, "the naive bound is sharp up to 2");
}

void sums(EntryBuilder& entry) {
  for (const char* form : {"pairwise", "blocked", "kahan", "compensated"}) {
    entry.standard(laws::same(form, "naive"));
  }
  entry
      .once(Kind::bound, "sums stay within their factors",
            "In float, float16, bfloat16 and E4M3, against exact fractions, on random, equal, alternating, "
            "geometric and adversarial terms: |computed - exact| <= kappa sum |x|. Where every term is lost "
            "the naive sum uses more than half of its bound",
            [](auto& check) {
              sums_within<float>(check, 0x1p-24, 300);
              sums_within<Float16>(check, Float16::unit_roundoff, 300);
              sums_within<BFloat16>(check, BFloat16::unit_roundoff, 100);
              sums_within<E4M3>(check, E4M3::unit_roundoff, 7);
            })
      .once(Kind::bound, "compensation makes the length harmless",
            "Kahan's sum of n terms of 1/3 in float errs by at most 2 u of it, for n up to 10^5; the "
            "compensated one stays within its bound, and the naive one errs by more than 100 u",
            [](auto& check) {
              const double u = 0x1p-24;
              for (const Index count : {100, 10000, 100000}) {
                const std::vector<float> terms(static_cast<std::size_t>(count), 1.0F / 3);
                const double exact =
                    double{terms.front()} * static_cast<double>(count);  // exact: 24 + 17 bits
                const auto units = [&](float sum) { return std::abs(double{sum} / exact - 1) / u; };
                check.expect(units(em::kahan_sum(terms)) <= 2, "Kahan");
                check.within(double{em::compensated_sum(terms)}, exact,
                             em::compensated_bound(count, u, exact, exact), "compensated");
                check.measure("naive, in u", units(em::naive_sum(terms)));
                check.expect(count < 100000 || units(em::naive_sum(terms)) > 100, "naive");
              }
            })
      .once(Kind::bound, "where bounds end",
            "gamma_k says nothing from k u = 1 on: 256 terms in bfloat16, 2048 in float16, 16 in E4M3, 8 in "
            "E5M2",
            [](auto& check) {
              const std::pair<Index, double> ends[] = {{256, BFloat16::unit_roundoff},
                                                       {2048, Float16::unit_roundoff},
                                                       {16, E4M3::unit_roundoff},
                                                       {8, E5M2::unit_roundoff}};
              for (const auto& [k, unit] : ends) {
                const Rational u(unit);
                check.equal(em::gamma(k - 1, u), Rational(k - 1), "the last one is k - 1");
                bool thrown = false;
                try {
                  em::gamma(k, u);
                } catch (const std::invalid_argument&) {
                  thrown = true;
                }
                check.expect(thrown, "k u = 1 is refused");
              }
            })
      .once(Kind::statistical, "random roundings cancel",
            "10^4 float sums of 256 random terms, and inner products of 128: no error above the probable "
            "bound with lambda = 9, which fails with a probability below 10^-9 altogether; equal terms are "
            "no random ones, and 10^6 times 0.1 exceeds it",
            [](auto& check) {
              const double u = 0x1p-24, lambda = 9;
              const double alarm =
                  1 - em::confidence(Index{256}, u, lambda) + 1 - em::confidence(Index{128}, u, lambda);
              check.expect(1e4 * alarm < 1e-9, "false alarms");
              const double factor = em::probable_gamma(Index{256}, u, lambda);
              check.expect(factor < em::gamma(Index{256}, u), "better than the certain bound");
              for (Index draw = 0; draw < 10000; ++draw) {
                std::vector<float> terms;
                double exact = 0, absolute = 0;  // float terms: double loses less than 2^-20 of u
                for (Index j = 0; j < 256; ++j) {
                  const std::uint64_t bits = hash({static_cast<std::uint64_t>(draw), "uniform", j}, 0);
                  terms.push_back(static_cast<float>(static_cast<double>(bits >> 11) * 0x1p-53));
                  exact += double{terms.back()};
                  absolute += double{terms.back()};
                }
                const double share = std::abs(double{em::naive_sum(terms)} - exact) / (factor * absolute);
                check.expect(share <= 1, "draw " + std::to_string(draw));
                check.measure("share of the probable bound", share);
              }
              const double of_product = em::probable_gamma(Index{128}, u, lambda);
              for (Index draw = 0; draw < 10000; ++draw) {
                std::vector<float> products;
                double exact = 0, absolute = 0;  // products of two floats are exact in double
                for (Index j = 0; j < 128; ++j) {
                  const auto seed = static_cast<std::uint64_t>(draw);
                  const auto x = static_cast<float>(draw_real({seed, "x", j}, Domain::any, Pattern::generic));
                  const auto y = static_cast<float>(draw_real({seed, "y", j}, Domain::any, Pattern::generic));
                  products.push_back(x * y);
                  exact += double{x} * double{y};
                  absolute += std::abs(double{x} * double{y});
                }
                const double share =
                    std::abs(double{em::naive_sum(products)} - exact) / (of_product * absolute);
                check.expect(share <= 1, "inner product " + std::to_string(draw));
                check.measure("inner products, share of the probable bound", share);
              }
              const Index many = 1000000;
              const std::vector<float> equal(static_cast<std::size_t>(many), 0.1F);
              const double exact = double{0.1F} * static_cast<double>(many);
              const double error = std::abs(double{em::naive_sum(equal)} / exact - 1);
              check.expect(error > em::probable_gamma(many, u, lambda), "equal terms");
              check.expect(error <= em::gamma(many - 1, u), "the certain bound holds for them too");
            });
}

// ---- measures ----------------------------------------------------------------------------------

template <class Format>
void line_of(Check& check, const l_mul::Format& format) {
  using Code = typename Format::Code;
  const auto number = [](l_mul::Code code) { return double(Format::from_code(static_cast<Code>(code))); };
  const l_mul::Code sign = format.sign_bit(), largest = Format::overflow_code - 1;
  check.equal(em::ulp_distance(format, 0, sign), l_mul::Code{0}, "the two zeros");
  check.equal(em::ulp_distance(format, largest, sign | largest), 2 * largest, "all numbers lie in between");
  const auto bits = static_cast<Index>(format.mantissa_bits);
  const Index least = 1 - format.bias();
  for (l_mul::Code code = 0; code < largest; ++code) {
    check.expect(number(code) < number(code + 1), "codes are in order");
    check.equal(em::line_position(format, code + 1), em::line_position(format, code) + 1, "a step up");
    check.equal(em::line_position(format, sign | (code + 1)), em::line_position(format, sign | code) - 1,
                "a step down");
    check.equal(em::ulp_error(number(code + 1), number(code), bits, least), 1.0, "a step is one ulp");
    check.equal(em::ulp_distance(format, code, sign | code), 2 * code, "through zero");
  }
}

void measures(EntryBuilder& entry) {
  entry
      .once(Kind::invariant, "the line of all numbers",
            "In E4M3, E5M2, float16 and bfloat16: positions grow by 1 from number to number, -0 is 0, and "
            "the next number is one ulp away; 1 and its predecessor in float are one step apart, as are 0 "
            "and the least negative number",
            [](auto& check) {
              line_of<E4M3>(check, l_mul::e4m3fn);
              line_of<E5M2>(check, l_mul::e5m2);
              line_of<Float16>(check, l_mul::fp16);
              line_of<BFloat16>(check, l_mul::bf16);
              check.equal(em::ulp_distance(1.0F, std::nextafter(1.0F, 0.0F)), l_mul::Code{1}, "below 1");
              check.equal(em::ulp_distance(0.0F, -0x1p-149F), l_mul::Code{1}, "below 0");
            })
      .law<RationalExp2>(
          Kind::invariant, "norms of matrices",
          "Power iteration grows from step to step and stays below ||A||_F^2 and ||A||_1 ||A||_inf; for a "
          "matrix of rank one two steps give ||A||_F^2; a factor of the matrix comes out squared",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index rows = trial.integer("rows", 1, 4), columns = trial.integer("columns", 1, 4);
            const Array<T> matrix = trial.array("matrix", {rows, columns});
            const auto drawn = trial.array("start", {columns}, Domain::nonzero);
            const std::vector<T> start(drawn.values().begin(), drawn.values().end());
            T before(0);
            const bool any = T(0) < em::square_sum(matrix);
            for (Index rounds = 1; rounds <= 4; ++rounds) {
              if (!any) break;
              T quotient(0);
              try {
                quotient = em::spectral_square_below(matrix, start, rounds);
              } catch (const std::exception&) {
                break;  // the start was orthogonal to all rows
              }
              trial.expect(before <= quotient, "grows");
              trial.expect(quotient <= em::square_sum(matrix), "below the Frobenius norm");
              trial.expect(quotient <= em::spectral_square_above(matrix), "below the bound from above");
              before = quotient;
            }
            const auto x = trial.array("x", {rows}, Domain::nonzero),
                       y = trial.array("y", {columns}, Domain::positive);
            Array<T> product({rows, columns});
            for (Index i = 0; i < rows; ++i) {
              for (Index j = 0; j < columns; ++j) product(i, j) = x(i) * y(j);
            }
            const std::vector<T> ones(static_cast<std::size_t>(columns), T(1));
            trial.equal(em::spectral_square_below(product, ones, 2), em::square_sum(product), "rank one");
            Array<T> scaled = product;
            const T factor = trial.number("factor", Domain::nonzero);
            for (T& one : scaled.values()) one *= factor;
            trial.equal(em::spectral_square_below(scaled, ones, 3),
                        factor * factor * em::spectral_square_below(product, ones, 3), "scaled");
            trial.equal(em::relative_worst_entry(scaled, product), em::magnitude(T(factor - T(1))),
                        "worst entry");
          })
      .law<Bounded<Real50>>(Kind::invariant, "relative norms do not notice a common factor",
                            "The Frobenius ratio of value and truth is that of their multiples, and |factor "
                            "- 1| for value = factor truth; it is at most the worst ratio of an entry",
                            [](auto& trial) {
                              using T = ScalarOf<decltype(trial)>;
                              const Array<T> truth = trial.array("truth", {3, 2}, Domain::nonzero);
                              const T factor = trial.number("factor", Domain::positive);
                              Array<T> value = truth, scaled_truth = truth;
                              T worst(0);
                              for (std::size_t i = 0; i < value.values().size(); ++i) {
                                value.values()[i] += trial.number("error " + std::to_string(i)) / T(8);
                                scaled_truth.values()[i] *= factor;
                                worst = maximum(
                                    worst, em::magnitude(T(value.values()[i] / truth.values()[i] - T(1))));
                              }
                              Array<T> scaled_value = value;
                              for (T& x : scaled_value.values()) x *= factor;
                              trial.equal(em::relative_frobenius(scaled_value, scaled_truth),
                                          em::relative_frobenius(value, truth), "common factor");
                              trial.equal(em::relative_frobenius(scaled_truth, truth),
                                          em::magnitude(T(factor - T(1))), "multiple");
                              trial.at_most(em::relative_frobenius(value, truth), worst, "worst ratio");
                            })
      .law<RationalExp2>(
          Kind::invariant, "condition, yardstick and ratio",
          "A sum has condition 1 or more, and 1 if no two terms differ in sign; |o| <= Gamma; errors of s "
          "times their bounds have the ratio s",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const std::vector<T> terms = terms_of(trial.in);
            std::vector<T> sizes;
            for (const T& x : terms) sizes.push_back(em::magnitude(x));
            const T sum = em::naive_sum(terms), absolute = em::naive_sum(sizes);
            if (!(sum == T(0))) trial.equal(em::condition(terms) * em::magnitude(sum), absolute, "condition");
            const Index keys = trial.size("n");
            Array<T> weights = trial.array("weights", {2, keys}, Domain::positive);
            const Array<T> value = trial.array("values", {keys, 2}), gamma = em::yardstick(weights, value);
            Array<T> output({2, 2});
            for (Index i = 0; i < 2; ++i) {
              for (Index l = 0; l < 2; ++l) {
                T all_positive(0);
                for (Index j = 0; j < keys; ++j) {
                  output(i, l) += weights(i, j) * value(j, l);
                  all_positive += weights(i, j) * em::magnitude(value(j, l));
                }
                trial.expect(em::magnitude(output(i, l)) <= gamma(i, l), "yardstick");
                trial.equal(gamma(i, l), all_positive, "weights times sizes");
              }
            }
            const T share = trial.number("share", Domain::positive);
            const Array<T> bound = trial.array("bound", {2, 2}, Domain::positive);
            Array<T> found = output;
            const Index where = trial.integer("where", 0, 3);
            for (Index i = 0; i < 4; ++i) {
              const auto at = static_cast<std::size_t>(i);
              found.values()[at] -= (i == where ? share : T(share / T(2))) * bound.values()[at];
            }
            trial.equal(em::bound_ratio(found, output, bound), share, "rho");
          });
}

// ---- running errors ----------------------------------------------------------------------------

/// A float, its exact value and the running bound of what was computed so far.
struct Tracked {
  float computed = 0;
  Rational exact;
  em::Running<Rational> running;
};

Tracked tracked_leaf(float x) {
  return {x, Rational(double{x}), {Rational(double{x}), Rational(0)}};
}

const Rational kFloatUnit = Rational(0x1p-24) * (Rational(1) + Rational(0x1p-23));

Tracked combine(int operation, const Tracked& a, const Tracked& b) {
  Tracked c;
  if (operation == 3 && !(b.running.bound * 2 < em::magnitude(b.running.value))) operation = 0;
  const auto at = [&](float computed) { return Rational(double{computed}); };
  switch (operation) {
    case 0:
      c = {a.computed + b.computed, a.exact + b.exact, {}};
      c.running = em::running_sum(a.running, b.running, at(c.computed), kFloatUnit);
      break;
    case 1:
      c = {a.computed - b.computed, a.exact - b.exact, {}};
      c.running = em::running_sum(a.running, b.running, at(c.computed), kFloatUnit);
      break;
    case 2:
      c = {a.computed * b.computed, a.exact * b.exact, {}};
      c.running = em::running_product(a.running, b.running, at(c.computed), kFloatUnit);
      break;
    case 3:
      c = {a.computed / b.computed, a.exact / b.exact, {}};
      c.running = em::running_quotient(a.running, b.running, at(c.computed), kFloatUnit);
      break;
    default:
      c = {std::max(a.computed, b.computed), a.exact < b.exact ? b.exact : a.exact, {}};
      c.running = em::running_maximum(a.running, b.running);
  }
  return c;
}

void running(EntryBuilder& entry) {
  entry
      .once(
          Kind::bound, "running errors of random expressions",
          "+, -, *, / and max in float on 400 random expressions of 9 numbers, against exact fractions: no "
          "node is off by more than its running bound, and some use more than 0.9 of it",
          [](auto& check) {
            double largest = 0;
            for (std::uint64_t seed = 1; seed <= 400; ++seed) {
              std::vector<Tracked> nodes;
              for (Index j = 0; j < 9; ++j) {
                nodes.push_back(tracked_leaf(
                    static_cast<float>(draw_real({seed, "leaf", j}, Domain::nonzero, Pattern::generic))));
              }
              for (std::uint64_t step = 0; nodes.size() > 1; ++step) {
                const std::size_t i = hash({seed, "pick", static_cast<Index>(step)}, 1) % (nodes.size() - 1);
                const auto operation =
                    static_cast<int>(hash({seed, "operation", static_cast<Index>(step)}, 2) % 5);
                nodes[i] = combine(operation, nodes[i], nodes[i + 1]);
                nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(i) + 1);
                const Rational error =
                    em::magnitude(Rational(Rational(double{nodes[i].computed}) - nodes[i].exact));
                check.expect(error <= nodes[i].running.bound,
                             "operation " + std::to_string(operation) + ", seed " + std::to_string(seed));
                if (nodes[i].running.bound > 0) {
                  largest = std::max(largest, static_cast<double>(Rational(error / nodes[i].running.bound)));
                }
              }
            }
            check.measure("share of a running bound", largest);
            check.expect(largest > 0.9, "sharp somewhere");
          })
      .once(
          Kind::bound, "running errors of exp and log",
          "exp and log of a float that is itself off by a known amount, against 50 digits",
          [](auto& check) {
            const Real50 unit = Real50(0x1p-23) * (1 + Real50(0x1p-22));  // c = 2
            for (Index i = 0; i < 300; ++i) {
              const Real50 bound =
                  Real50(0x1p-20) * Real50(draw_real({1, "bound", i}, Domain::gate, Pattern::generic));
              const auto x =
                  static_cast<float>(draw_real({1, "x", i}, Domain::positive, Pattern::generic) + 0.01);
              for (const Real50& side : {bound, Real50(-bound)}) {
                const em::Running<Real50> a{Real50(x), bound};
                const Real50 true_x = Real50(x) + side;
                const float e = std::exp(x), l = std::log(x);
                check.expect(
                    abs(Real50(Real50(e) - exp(true_x))) <= em::running_exp(a, Real50(e), unit).bound, "exp");
                check.expect(
                    abs(Real50(Real50(l) - log(true_x))) <= em::running_log(a, Real50(l), unit).bound, "log");
              }
            }
          })
      .once(
          Kind::bound, "recurrences",
          "h_t = a_t h_{t-1} + b_t in float over 60 steps with |a| up to 0.5, 0.9, 0.99, 0.999, against "
          "exact fractions: within the running bound and the one from the inputs",
          [](auto& check) {
            const Rational u(0x1p-24);
            for (const double rate : {0.5, 0.9, 0.99, 0.999}) {
              std::vector<Rational> decay, input, state;
              float h = 0;
              Rational exact(0);
              for (Index t = 0; t < 60; ++t) {
                const double gate = draw_real({3, "gate", t}, Domain::gate, Pattern::generic);
                const auto a = static_cast<float>(rate * (1 - gate / 16));
                const auto b = static_cast<float>(draw_real({3, "input", t}, Domain::any, Pattern::generic));
                h = a * h + b;
                exact = Rational(double{a}) * exact + Rational(double{b});
                decay.emplace_back(double{a});
                input.emplace_back(double{b});
                state.emplace_back(double{h});
                const Rational error = em::magnitude(Rational(state.back() - exact));
                const Rational running = em::recurrence_bound(decay, state, kFloatUnit).back();
                const Rational before = em::recurrence_bound_from_inputs(decay, input, u);
                check.expect(error <= running, "running bound, step " + std::to_string(t));
                check.expect(error <= before, "bound from the inputs, step " + std::to_string(t));
                check.measure("share of the running bound", static_cast<double>(Rational(error / running)));
              }
            }
          })
      .once(Kind::bound, "decays from cumulative logarithms",
            "e^(G_t - G_s) from float prefix sums of 4096 negative numbers is within its bound, and so are "
            "sums restarted every 64 tokens, whose worst error is more than ten times smaller",
            [](auto& check) {
              const Index tokens = 4096;
              const double u = 0x1p-24;
              double worst[2] = {0, 0};
              for (const Index chunk : {tokens, Index{64}}) {
                float sum = 0;
                double exact = 0, largest = 0;
                std::vector<float> sums;
                std::vector<double> exacts;
                for (Index t = 0; t < tokens; ++t) {
                  if (t % chunk == 0) {
                    sum = 0;
                    exact = 0;
                  }
                  const double gate = draw_real({5, "gate", t}, Domain::gate, Pattern::generic);
                  const auto g = static_cast<float>(-gate / 2);
                  sum += g;
                  exact += double{g};
                  largest = std::max(largest, -exact);
                  sums.push_back(sum);
                  exacts.push_back(exact);
                }
                const double bound = em::cumulative_decay_error(chunk, largest, u, 2.0);
                for (Index t = 1; t < tokens; ++t) {
                  for (const Index back : {Index{1}, Index{5}, Index{40}}) {
                    const Index s = t - back;
                    if (s < 0 || s / chunk != t / chunk) continue;
                    const auto a = static_cast<std::size_t>(t), b = static_cast<std::size_t>(s);
                    const double truth = std::exp(exacts[a] - exacts[b]);
                    const double error = std::abs(double{std::exp(sums[a] - sums[b])} / truth - 1);
                    check.expect(error <= bound, "chunks of " + std::to_string(chunk));
                    worst[chunk == tokens ? 0 : 1] = std::max(worst[chunk == tokens ? 0 : 1], error / u);
                  }
                }
              }
              check.measure("one long sum, error in u", worst[0]);
              check.measure("chunks of 64, error in u", worst[1]);
              check.expect(worst[0] > 10 * worst[1], "restarting pays");
            });
}

// ---- attention ---------------------------------------------------------------------------------

/// The weighted average of values by unnormalised weights.
template <class T>
T average(const std::vector<T>& weights, const std::vector<T>& values) {
  T above(0), below(0);
  for (std::size_t j = 0; j < weights.size(); ++j) {
    above += weights[j] * values[j];
    below += weights[j];
  }
  return above / below;
}

/// A kernel with one fault, or none, in the arithmetic T.
enum class Fault { none, swapped_keys, dropped_key, wrong_scale, shifted_mask };

template <class T>
Array<T> attend(const Array<double>& query, const Array<double>& key, const Array<double>& value,
                double scale, Fault fault) {
  const auto read = [](const Array<double>& from) {
    Array<T> to(from.shape());
    for (std::size_t i = 0; i < to.values().size(); ++i) to.values()[i] = T(from.values()[i]);
    return to;
  };
  const Array<T> q = read(query), k = read(key);
  const Index keys = key.extent(0);
  sa::Problem<T> problem;
  problem.queries = query.extent(0);
  problem.score = [&](Index i, Index j) {
    if (fault == Fault::swapped_keys && j < 2) j = 1 - j;
    const double used = fault == Fault::wrong_scale ? scale * scale : scale;
    return sa::dot_product(q, k, T(used))(i, j);
  };
  problem.value = read(value);
  if (fault == Fault::dropped_key) problem.mask = [keys](Index, Index j) { return j + 1 < keys; };
  if (fault == Fault::shifted_mask) problem.mask = [](Index i, Index j) { return j != i; };
  return sa::safe(problem);
}

template <class T>
Array<Real50> as_real(const Array<T>& from) {
  Array<Real50> to(from.shape());
  for (std::size_t i = 0; i < to.values().size(); ++i) to.values()[i] = Real50(double(from.values()[i]));
  return to;
}

/// Numbers that T holds.
template <class T>
Array<double> drawn(const std::string& name, const Shape& shape, std::uint64_t seed) {
  Array<double> array(shape);
  for (Index i = 0; i < array.size(); ++i) {
    array.values()[static_cast<std::size_t>(i)] =
        double(T(draw_real({seed, name, i}, Domain::any, Pattern::generic)));
  }
  return array;
}

template <class T>
void attention_within(Check& check, const em::AttentionRounding<Real50>& rounding, bool faults_show) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Index keys = seed == 1 ? 1 : 24, channels = 16;
    const double scale = 0.25;
    const Array<double> query = drawn<T>("query", {keys, channels}, seed);
    const Array<double> key = drawn<T>("key", {keys, channels}, seed);
    const Array<double> value = drawn<T>("value", {keys, 3}, seed);
    const Array<Real50> truth = attend<Real50>(query, key, value, scale, Fault::none);
    const Array<Real50> bound =
        em::attention_bound(as_real(query), as_real(key), as_real(value), Real50(scale), rounding);
    const auto ratio = [&](Fault fault) {
      return em::bound_ratio(as_real(attend<T>(query, key, value, scale, fault)), truth, bound);
    };
    const Real50 right = ratio(Fault::none);
    check.expect(right <= 1, std::string(scalar_name<T>) + ": rho = " + show(right));
    check.measure(std::string(scalar_name<T>) + ", rho", static_cast<double>(right));
    if (keys == 1 || !faults_show) continue;
    for (const Fault fault :
         {Fault::swapped_keys, Fault::dropped_key, Fault::wrong_scale, Fault::shifted_mask}) {
      check.expect(ratio(fault) > 1, "fault " + std::to_string(static_cast<int>(fault)) + " is seen");
    }
  }
}

void attention(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::bound, "an average moves by at most tanh(eta / 2) of its range",
          "When logits change by up to eta; and by (1 - sqrt(1 - epsilon^2)) / epsilon of it when "
          "exponentials change by factors from 1 - epsilon to 1 + epsilon. Both are attained, and are one "
          "formula with e^(2 eta) = (1 + epsilon) / (1 - epsilon)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index keys = trial.size("n");
            const T eta = T(2) * trial.number("eta", Domain::open_gate);
            const T epsilon = trial.number("epsilon", Domain::open_gate) * T(15) / T(16);
            std::vector<T> values, weights, by_logits, by_factors;
            T least(0), largest(0);
            for (Index j = 0; j < keys; ++j) {
              const std::string number = std::to_string(j);
              values.push_back(trial.number("value " + number));
              weights.push_back(exp(trial.number("logit " + number, Domain::logit)));
              const T side = T(2) * trial.number("side " + number, Domain::gate) - T(1);
              by_logits.push_back(weights.back() * exp(eta * side));
              by_factors.push_back(weights.back() * (T(1) + epsilon * side));
              largest = j == 0 ? values.back() : maximum(largest, values.back());
              least = j == 0 ? values.back() : T(-maximum(T(-least), T(-values.back())));
            }
            const T truth = average(weights, values), range = largest - least;
            trial.at_most(em::magnitude(T(average(by_logits, values) - truth)),
                          em::average_error_of_logits(eta) * range, "logits");
            trial.at_most(em::magnitude(T(average(by_factors, values) - truth)),
                          em::average_error_of_exponentials(epsilon) * range, "exponentials");
            const std::vector<T> ends{T(1), T(0)}, balanced{T(1), exp(eta)}, pushed{exp(eta), T(1)};
            trial.equal(average(pushed, ends) - average(balanced, ends), em::average_error_of_logits(eta),
                        "logits, attained");
            const T root = sqrt((T(1) + epsilon) / (T(1) - epsilon));
            const std::vector<T> start{T(1), root}, end{T(1) + epsilon, root * (T(1) - epsilon)};
            trial.equal(average(end, ends) - average(start, ends), em::average_error_of_exponentials(epsilon),
                        "exponentials, attained");
            trial.equal(em::average_error_of_logits(log(root)), em::average_error_of_exponentials(epsilon),
                        "one formula");
          })
      .once(Kind::bound, "attention stays within its bound, and faults do not",
            "Safe softmax attention in float, and with values stored in bfloat16 and in float16: rho <= 1 "
            "against 50 digits. Swapped keys, a dropped key, the scale 1 / d and a mask that hides the "
            "diagonal have rho > 1",
            [](auto& check) {
              const auto rounding = [](double u, double store) {
                return em::AttentionRounding<Real50>{Real50(u), Real50(2), Real50(store), Real50(store)};
              };
              attention_within<float>(check, rounding(0x1p-24, 0), true);
              attention_within<Mixed<Float16, float>>(check, rounding(0x1p-24, Float16::unit_roundoff), true);
              attention_within<Mixed<BFloat16, float>>(check, rounding(0x1p-24, BFloat16::unit_roundoff),
                                                       true);
              attention_within<Float16>(check, rounding(Float16::unit_roundoff, 0), true);
            })
      .once(Kind::bound, "the rule of thumb",
            "Float attention to 200 keys errs by less than the rule of thumb times Gamma on 20 drawn inputs: "
            "no theorem, and here is the largest share of it that was seen",
            [](auto& check) {
              for (std::uint64_t seed = 1; seed <= 20; ++seed) {
                const Index keys = 200, channels = 8;
                const Array<double> query = drawn<float>("query", {1, channels}, seed);
                const Array<double> key = drawn<float>("key", {keys, channels}, seed);
                const Array<double> value = drawn<float>("value", {keys, 2}, seed);
                const Array<double> truth = attend<double>(query, key, value, 0.5, Fault::none);
                const Array<float> found = attend<float>(query, key, value, 0.5, Fault::none);
                Array<double> weights({1, keys});
                double least = 0, largest = 0, sum = 0;
                for (Index j = 0; j < keys; ++j) {
                  const double logit = sa::dot_product(query, key, 0.5)(0, j);
                  least = j == 0 ? logit : std::min(least, logit);
                  largest = j == 0 ? logit : std::max(largest, logit);
                  weights(0, j) = std::exp(logit);
                  sum += weights(0, j);
                }
                for (double& weight : weights.values()) weight /= sum;
                const Array<double> gamma = em::yardstick(weights, value);
                const double factor = em::rule_of_thumb(keys, channels, largest - least, 0x1p-24);
                for (Index l = 0; l < 2; ++l) {
                  const double share = std::abs(double{found(0, l)} - truth(0, l)) / (factor * gamma(0, l));
                  check.expect(share <= 1, "seed " + std::to_string(seed));
                  check.measure("share of the rule", share);
                }
              }
            });
}

// ---- rules of test suites ----------------------------------------------------------------------

void rules(EntryBuilder& entry) {
  entry
      .once(Kind::erratum, "a ratio of norms hides a single wrong entry",
            "With a ratio of 0.005 one entry that is off by its whole size fails among 39999 equal ones and "
            "passes among 40001; entries off by up to 10^-6 pass whatever they should be",
            [](auto& check) {
              for (const Index size : {39999, 40001}) {
                const Array<double> reference({size}, 1.0);
                Array<double> value = reference;
                value(7) = 0;
                check.expect(em::passes_by_ratio(value, reference, 0.005) == (size > 40000), "one of many");
              }
              const Array<double> tiny({3}, 5e-7), zero({3});
              check.expect(em::passes_by_ratio(zero, tiny, 0.005), "10^-6 passes");
              check.expect(!em::passes_by_ratio(Array<double>({3}, 2e-6), tiny, 0.005),
                           "more than 10^-6 does not");
            })
      .once(Kind::erratum, "entry by entry: too strict and too lax",
            "With the tolerances of a framework for float16 (10^-3 and 10^-5) a correct sum with "
            "cancellation fails, and an entry of 5 * 10^-6 passes as 0",
            [](auto& check) {
              using X = Float16;
              const X computed =
                  (X(1.0) + X(0x1p-11)) - X(1.0);  // exactly 2^-11, but the first addition loses it
              const Array<double> value({1}, double(computed)), reference({1}, 0x1p-11);
              const double bound = em::gamma(Index{2}, X::unit_roundoff) * (2 + 0x1p-11);
              check.expect(em::bound_ratio(value, reference, Array<double>({1}, bound)) <= 1,
                           "within its bound");
              check.expect(!em::passes_by_entry(value, reference, 1e-3, 1e-5), "fails");
              check.expect(em::passes_by_entry(Array<double>({1}), Array<double>({1}, 5e-6), 1e-3, 1e-5),
                           "passes");
            })
      .once(Kind::erratum, "a comparison with another run depends on its luck",
            "Twice the error of a plain run is allowed: where the plain run happens to be exact nothing is, "
            "and where it is bad everything is",
            [](auto& check) {
              const Array<double> reference({2}, 1.0), good({2}, 1.0 + 0x1p-11), bad({2}, 1.25);
              check.expect(!em::passes_by_comparison(good, reference, reference, 2.0), "an exact plain run");
              check.expect(em::passes_by_comparison(good, good, reference, 2.0), "an equal one");
              check.expect(em::passes_by_comparison(Array<double>({2}, 0.5), bad, reference, 2.0),
                           "a bad one");
              check.expect(!em::passes_by_comparison(Array<double>({2}, 0.4), bad, reference, 2.0),
                           "worse than that");
            });
}

void costs(EntryBuilder& entry) {
  const auto no_products = [](Cost& cost) {
    cost.multiplications = cost.divisions = cost.exponentials = cost.functions = cost.comparisons = 0;
  };
  Cost naive("naive");
  no_products(naive);
  naive.additions = n - 1;
  naive.depth = n - 1;
  naive.free_depth = ceil_log2(n);
  naive.state = 1;
  Cost pairwise = naive;
  pairwise.form = "pairwise";
  pairwise.depth = ceil_log2(n);
  pairwise.state = ceil_log2(n) + 1;
  Cost blocked = naive;
  blocked.form = "blocked";
  blocked.depth.reset();
  blocked.state = 2;
  Cost kahan("kahan");
  no_products(kahan);
  kahan.additions = 4 * n - 3;
  kahan.state = 2;
  Cost compensated("compensated");
  no_products(compensated);
  compensated.additions = 7 * n - 3;
  compensated.state = 2;
  entry.cost(naive).cost(pairwise).cost(blocked).cost(kahan).cost(compensated);
  std::vector<Settings> grid;
  for (Index length = 16; length <= 4096; length *= 2) grid.push_back({{"n", length}, {"block", 64}});
  entry.scale("blocks of 64", grid);
}

void examples(EntryBuilder& entry) {
  entry.example("worked example", "Two keys, by hand, and the constants of the tables", [](auto& check) {
    using R = Real50;
    const std::vector<R> values{1, -1}, weights{1, 3};
    check.equal(average(weights, values), R(-0.5), "o");
    check.equal(em::condition(std::vector<Rational>{Rational(1) / 4, Rational(-3) / 4}), Rational(2), "cond");
    check.equal(em::yardstick(Array<Rational>::matrix({{Rational(1) / 4, Rational(3) / 4}}),
                              Array<Rational>::matrix({{Rational(1)}, {Rational(-1)}}))(0, 0),
                Rational(1), "Gamma");
    const R eta("0.01");
    check.digits(2 * em::average_error_of_logits(eta), "0.00999991666750", "2 tanh(0.005)");
    const R moved = average(std::vector<R>{exp(2 * eta), 3}, values) + R(0.5);
    check.digits(moved, "0.00753743593348", "the worst case for these weights");
    check.digits(em::gamma(Index{1024}, R(0x1p-24)), "6.1038882e-5", "gamma_1024 of float");
    check.digits(em::probable_gamma(Index{1024}, R(0x1p-24), R("7.437")), "1.41851e-5", "probable");
    check.digits(em::storage_floor(R(1)), "0.4247", "storage floor");
    check.digits(em::storage_floor(R(0x1p-8)), "0.00166", "storage floor of bfloat16");
    check.digits(em::storage_floor(R(0x1p-4)), "0.0265", "storage floor of E4M3");
  });
}

const Registration<EntryBuilder> registration{"error_metrics", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                sums(entry);
                                                measures(entry);
                                                running(entry);
                                                attention(entry);
                                                rules(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
