/// \file
/// The entry of HiPPO: forms, laws, costs. Its text is `reference/state_space/hippo.hpp`.
#include "reference/state_space/hippo.hpp"

#include <string>
#include <vector>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

const Expression n = symbol("n"), N = symbol("N");

template <class T>
Arrays<T> arrays_of(const Array<T>& states) {
  Arrays<T> arrays;
  arrays.real["states"] = states;
  return arrays;
}

/// The GBT parameter: 0, 1/2 or 1.
template <Field T>
T alpha_of(const Settings& settings) {
  return T(at(settings, "alpha")) / T(2);
}

/// The step length: one over the rate.
template <Field T>
T step_of(const Settings& settings) {
  return T(1) / T(at(settings, "rate"));
}

/// LegS by an update of the text, with either start.
template <Ring T, class Update>
Arrays<T> legs_form(const Arrays<T>& in, const Settings& settings, const Update& update) {
  const Index size = at(settings, "N");
  return arrays_of(at(settings, "start") == 0 ? hippo::cell_start(size, in["signal"], update)
                                              : hippo::zero_start(size, in["signal"], update));
}

/// A time-invariant memory by GBT with the dense solve, from an empty start.
template <Field T>
Array<T> time_invariant(const hippo::System<T>& system, const Array<T>& signal, const Settings& settings) {
  return hippo::recurrent(hippo::gbt(system, step_of<T>(settings), alpha_of<T>(settings)), signal,
                          Array<T>(system.B.shape()));
}

/// Row t of L x N states.
template <class T>
Array<T> row_of(const Array<T>& states, Index t) {
  return Array<T>({states.extent(1)}, std::vector<T>(states.row(t).begin(), states.row(t).end()));
}

template <class T>
Array<T> first_unit(Index size) {
  Array<T> unit({size});
  unit(0) = T(1);
  return unit;
}

template <Ring T>
T power(const T& x, Index exponent) {
  T result(1);
  for (Index i = 0; i < exponent; ++i) result *= x;
  return result;
}

void describe(EntryBuilder& entry) {
  entry
      .about("state_space", "HiPPO",
             "A memory of N numbers that holds the best approximation of everything heard so far by N "
             "orthogonal functions.",
             {"gu2020hippo"})
      .size("n", 24, 5)
      .size("N", 7, 4)
      .parameter({"alpha",
                  1,
                  0,
                  2,
                  "where in its step an update looks at the slope",
                  {"forward Euler", "bilinear", "backward Euler"}})
      .parameter({"start", 0, 0, 1, "how LegS starts: from the first sample, or from 0", {"cell", "zero"}})
      .parameter({"rate", 4, 1, 6, "samples in a unit of time for LegT and LagT", {}})
      .parameter({"window", 1, 1, 3, "length theta of the window of LegT", {}})
      .input("signal", {n}, Domain::any, "what is heard, sample after sample")
      .output("states", {n, N}, "the memory after each sample");
}

void legs_forms(EntryBuilder& entry) {
  entry
      .form("legs_integral", "LegS, the definition: integrals over all that was heard",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              const Index size = at(settings, "N"), length = in["signal"].extent(0);
              Array<T> states({length, size});
              for (Index t = 0; t < length; ++t) {
                Array<T> heard({t + 1});
                for (Index j = 0; j <= t; ++j) heard(j) = in["signal"](j);
                const Array<T> d = hippo::legs_integral(size, heard);
                for (Index i = 0; i < size; ++i) states(t, i) = d(i);
              }
              return arrays_of(states);
            })
      .form("legs_zoh", "LegS by the exact transition Phi",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(
                  hippo::cell_start(at(settings, "N"), in["signal"],
                                    [](Array<T>& d, const T& f, Index k) { hippo::legs_step_zoh(d, f, k); }));
            })
      .form(
          "legs_exponential", "LegS by e^{M log((k+1)/k)}, with a series for the matrix exponential",
          []<Real T>(const Arrays<T>& in, const Settings& settings) requires contains<T, OracleScalars> {
            const auto system = hippo::legs_rational<T>(at(settings, "N"));
            return arrays_of(hippo::cell_start(
                at(settings, "N"), in["signal"], [&system](Array<T>& d, const T& f, Index k) {
                  hippo::step(d, hippo::zero_order_hold(system, T(log1p(T(1) / T(k)))), f);
                }));
          })
      .form("legs_gbt", "LegS by GBT in O(N)",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              const T alpha = alpha_of<T>(settings);
              return legs_form(in, settings, [&alpha](Array<T>& d, const T& f, Index k) {
                hippo::legs_step_gbt(d, f, k, alpha);
              });
            })
      .form("legs_dense", "LegS by GBT with a dense solve",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              const T alpha = alpha_of<T>(settings);
              const auto system = hippo::legs_rational<T>(at(settings, "N"));
              return legs_form(in, settings, [&](Array<T>& d, const T& f, Index k) {
                hippo::legs_step_dense(d, system, f, k, alpha);
              });
            })
      .form("legs_orthonormal", "LegS by GBT with a dense solve in the orthonormal basis, converted to d",
            []<Real T>(const Arrays<T>& in, const Settings& settings) {
              const T alpha = alpha_of<T>(settings);
              const auto system = hippo::legs<T>(at(settings, "N"));
              Arrays<T> out = legs_form(in, settings, [&](Array<T>& c, const T& f, Index k) {
                hippo::legs_step_dense(c, system, f, k, alpha);
              });
              Array<T>& states = out.real["states"];
              for (Index t = 0; t < states.extent(0); ++t) {
                for (Index i = 0; i < states.extent(1); ++i) states(t, i) /= sqrt(T(2 * i + 1));
              }
              return out;
            })
      .form("legs_paper", "LegS by GBT as the paper derives it: 1/k explicit, 1/(k+1) implicit",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              const T alpha = alpha_of<T>(settings);
              return legs_form(in, settings, [&alpha](Array<T>& d, const T& f, Index k) {
                hippo::legs_step_gbt_paper(d, f, k, alpha);
              });
            })
      .form("legs_forward", "LegS by forward Euler in O(N)",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return legs_form(in, settings, [](Array<T>& d, const T& f, Index k) {
                hippo::legs_step_forward_euler<T>(d, f, T(1) / T(k));
              });
            });
}

void time_invariant_forms(EntryBuilder& entry) {
  entry
      .form("lmu", "LegT in the basis of the Legendre memory unit, by GBT",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              const auto system = hippo::lmu<T>(at(settings, "N"), T(at(settings, "window")));
              return arrays_of(time_invariant(system, in["signal"], settings));
            })
      .form("legt", "LegT in the orthonormal basis, by GBT, converted to the basis of `lmu`",
            []<Real T>(const Arrays<T>& in, const Settings& settings) {
              const auto system = hippo::legt<T>(at(settings, "N"), T(at(settings, "window")));
              Array<T> states = time_invariant(system, in["signal"], settings);
              for (Index t = 0; t < states.extent(0); ++t) {
                const Array<T> scaled = hippo::lmu_from_legt(row_of(states, t));
                for (Index i = 0; i < states.extent(1); ++i) states(t, i) = scaled(i);
              }
              return arrays_of(states);
            })
      .form("lagt", "LagT by GBT with a dense solve",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(time_invariant(hippo::lagt<T>(at(settings, "N")), in["signal"], settings));
            })
      .form("lagt_toeplitz", "LagT by GBT with the closed form of the inverse",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              const T step = step_of<T>(settings), alpha = alpha_of<T>(settings);
              const Index size = at(settings, "N");
              const auto system = hippo::lagt<T>(size);
              const Array<T> inverse = hippo::lagt_inverse(size, T(alpha * step), T(0));
              Array<T> state({size}), states({in["signal"].extent(0), size});
              for (Index t = 0; t < states.extent(0); ++t) {
                Array<T> right = hippo::apply(system.A, state);
                for (Index i = 0; i < size; ++i) {
                  right(i) =
                      state(i) + (T(1) - alpha) * step * right(i) + step * system.B(i) * in["signal"](t);
                }
                state = hippo::apply(inverse, right);
                for (Index i = 0; i < size; ++i) states(t, i) = state(i);
              }
              return arrays_of(states);
            });
}

void identities(EntryBuilder& entry) {
  entry.standard(laws::same("legs_zoh", "legs_integral"))
      .standard(laws::same("legs_exponential", "legs_zoh"))
      .standard(laws::same("legs_dense", "legs_gbt"))
      .standard(laws::same("legs_orthonormal", "legs_gbt"))
      .standard(laws::same("legt", "lmu"))
      .standard(laws::same("lagt_toeplitz", "lagt"))
      .standard(laws::causal("legs_zoh", "n"))
      .standard(laws::causal("legs_gbt", "n"))
      .standard(laws::causal("lmu", "n"))
      .standard(laws::causal("lagt", "n"))
      .law<PrimeField, Rational>(Kind::same, "forward Euler",
                                 "With alpha = 0 GBT is forward Euler, for LegS of code and paper alike",
                                 [](auto& trial) {
                                   Settings settings = trial.drawn().settings;
                                   settings["alpha"] = 0;
                                   const auto forward = trial.run("legs_forward");
                                   trial.equal(trial.run("legs_gbt", trial.in, settings), forward, "code");
                                   trial.equal(trial.run("legs_paper", trial.in, settings), forward, "paper");
                                 })
      .law<PrimeField, Rational>(
          Kind::same, "split: time-invariant memories",
          "LegT and LagT run in two parts, the second from the state that the first left, equal one run",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), size = trial.size("N"),
                        cut = trial.integer("cut", 0, length);
            const auto start = trial.array("start", {size});
            for (const auto& system : {hippo::lmu<T>(size), hippo::lagt<T>(size)}) {
              const auto discrete = hippo::bilinear(system, T(T(1) / T(trial.size("rate"))));
              const auto whole = hippo::recurrent(discrete, trial.in["signal"], start);
              auto state = start;
              for (Index part = 0; part < 2; ++part) {
                const Index from = part == 0 ? 0 : cut, to = part == 0 ? cut : length;
                if (from == to) continue;
                Array<T> heard({to - from});
                for (Index t = from; t < to; ++t) heard(t - from) = trial.in["signal"](t);
                const auto states = hippo::recurrent(discrete, heard, state);
                for (Index t = from; t < to; ++t) {
                  trial.equal(row_of(states, t - from), row_of(whole, t), "state");
                }
                state = row_of(states, to - from - 1);
              }
            }
          })
      .law<PrimeField, Rational>(Kind::same, "LegT in O(N)",
                                 "An alternating and a plain sum give the product with the LMU matrix",
                                 [](auto& trial) {
                                   const auto c = trial.array("c", {trial.size("N")});
                                   const auto theta = trial.number("theta", Domain::positive);
                                   trial.equal(hippo::lmu_product(c, theta),
                                               hippo::apply(hippo::lmu(trial.size("N"), theta).A, c), "A c");
                                 })
      .law<PrimeField, Rational>(
          Kind::same, "inverse of LagT",
          "The closed form of (1 - hA)^{-1} times 1 - hA is 1, whatever the diagonal -(1 + a) of A",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const T h = trial.number("h", Domain::positive), a = trial.number("a", Domain::positive);
            const auto system = hippo::lagt(size, T(T(2) * a + T(1)));
            Array<T> matrix = hippo::identity<T>(size);
            for (Index i = 0; i < size; ++i) {
              for (Index k = 0; k < size; ++k) matrix(i, k) -= h * system.A(i, k);
            }
            trial.equal(hippo::multiply(hippo::lagt_inverse(size, h, a), matrix), hippo::identity<T>(size),
                        "product");
          })
      .law<Bounded<Real50>>(
          Kind::same, "FouT: real = complex",
          "The sum of the complex coefficients answers an impulse as the read-out b of the real form does, "
          "and the sine of frequency 0 stays 0",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index highest = trial.integer("highest", 0, 2), length = 4;
            const T theta(trial.integer("theta", 1, 3)), g(trial.integer("g", 1, 2));
            const T step = T(1) / T(trial.size("rate"));
            std::vector<Index> frequencies{0};
            Array<T> b({2 * highest + 2});
            b(0) = T(1);
            for (Index m = 1; m <= highest; ++m) {
              frequencies.insert(frequencies.end(), {m, -m});
              b(2 * m) = sqrt(T(2));
            }
            const auto complex = hippo::bilinear(hippo::fout(frequencies, theta, g), Complex<T>(step));
            const auto real = hippo::bilinear(hippo::fout_real(2 * highest + 2, theta, g), step);
            const Array<Complex<T>> ones({2 * highest + 1}, Complex<T>(1));
            const auto complex_kernel = hippo::kernel(complex, ones, length);
            const auto real_kernel = hippo::kernel(real, b, length);
            for (Index l = 0; l < length; ++l) {
              trial.equal(complex_kernel(l), Complex<T>(real_kernel(l)), "lag " + std::to_string(l));
            }
            for (Index i = 0; i < real.B.extent(0); ++i) {
              trial.equal(real.A(1, i), T(i == 1 ? 1 : 0), "dead row");
              trial.equal(real.A(i, 1), T(i == 1 ? 1 : 0), "dead column");
            }
          })
      .law<Bounded<Real50>>(
          Kind::invariant, "a constant under zero-order hold",
          "The exact step keeps e_0 under the signal 1 for LegS, LegT and FouT, whose matrix is not "
          "invertible; FouT gives back 1 at every age, and its frequency m turns by -m quarters in a quarter "
          "of the window",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const T theta(trial.integer("theta", 1, 3)), g(trial.integer("g", 1, 2));
            const T step = T(1) / T(trial.size("rate"));
            for (const auto& system :
                 {hippo::legs<T>(size), hippo::legt(size, theta), hippo::fout_real(4, theta, g)}) {
              const auto unit = first_unit<T>(system.B.extent(0));
              auto state = unit;
              hippo::step(state, hippo::zero_order_hold(system, step), T(1));
              trial.equal(state, unit, "state");
            }
            const Complex<T> quarters[] = {Complex<T>(1), Complex<T>(T(0), T(-1)), Complex<T>(-1),
                                           Complex<T>(T(0), T(1))};
            for (Index m = 0; m < 4; ++m) {
              const auto c = first_unit<Complex<T>>(1);
              trial.equal(hippo::fout_reconstruct(c, {m}, T(theta / T(4)), theta), quarters[m], "turn");
            }
            trial.equal(hippo::fout_reconstruct(first_unit<Complex<T>>(1), {0}, T(theta / T(7)), theta),
                        Complex<T>(1), "constant");
          });
}

void transitions(EntryBuilder& entry) {
  entry
      .law<PrimeField, Rational>(Kind::invariant, "Phi is a semigroup",
                                 "Phi(rho) Phi(sigma) = Phi(rho sigma), Phi(1) = 1, the diagonal of Phi(rho) "
                                 "is rho^{n+1}, and beta = (1 - Phi) e_0",
                                 [](auto& trial) {
                                   using T = ScalarOf<decltype(trial)>;
                                   const Index size = trial.size("N");
                                   const T rho = trial.number("rho"), sigma = trial.number("sigma");
                                   const auto phi = hippo::legs_transition(size, rho);
                                   trial.equal(hippo::multiply(phi, hippo::legs_transition(size, sigma)),
                                               hippo::legs_transition(size, T(rho * sigma)), "product");
                                   trial.equal(hippo::legs_transition(size, T(1)), hippo::identity<T>(size),
                                               "Phi(1)");
                                   const auto beta = hippo::legs_input(size, rho);
                                   for (Index i = 0; i < size; ++i) {
                                     trial.equal(phi(i, i), power(rho, i + 1), "diagonal");
                                     trial.equal(beta(i), T((i == 0 ? T(1) : T(0)) - phi(i, 0)), "beta");
                                   }
                                 })
      .law<PrimeField, Rational>(
          Kind::invariant, "polynomials are kept whole",
          "(j - M)^{-1} 1 holds the coefficients of x^j, and the memory gives back x^j wherever it is asked, "
          "for all j < N",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const T x = trial.number("x");
            for (Index j = 0; j < size; ++j) {
              const auto d = hippo::legs_monomial<T>(size, j);
              trial.equal(hippo::transfer(hippo::legs_rational<T>(size), T(j)), d, "resolvent");
              trial.equal(hippo::legs_reconstruct(d, x), power(x, j), "x^" + std::to_string(j));
            }
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "LagT keeps polynomials",
          "The Laguerre coefficients (-1)^n j! binomial(j, n) of the age s to the power j < N give back s^j",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const T s = trial.number("s");
            T factorial(1);
            for (Index j = 0; j < size; ++j) {
              if (j > 0) factorial *= T(j);
              Array<T> c({size});
              T coefficient = factorial;
              for (Index i = 0; i <= j; ++i) {
                c(i) = coefficient;
                coefficient *= T(i - j) / T(i + 1);
              }
              trial.equal(hippo::lagt_reconstruct(c, s), power(s, j), "s^" + std::to_string(j));
            }
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "upsampling",
          "Every sample heard twice leaves the same memory: only fractions of the time heard count",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n");
            auto twice = trial.in;
            twice.real["signal"] = Array<T>({2 * length});
            for (Index t = 0; t < 2 * length; ++t) twice.real["signal"](t) = trial.in["signal"](t / 2);
            Settings settings = trial.drawn().settings;
            settings["n"] = 2 * length;
            const auto once = trial.run("legs_zoh"), doubled = trial.run("legs_zoh", twice, settings);
            for (Index t = 0; t < length; ++t) {
              trial.equal(row_of(doubled["states"], 2 * t + 1), row_of(once["states"], t), "state");
            }
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "linear in the signal",
          "The states for x f + y g are x and y times the states for f and g, in LegS, LegT and LagT",
          [](auto& trial) {
            const auto x = trial.number("x"), y = trial.number("y");
            auto other = trial.in, mixed = trial.in;
            other.real["signal"] = trial.array("other", trial.in["signal"].shape());
            for (Index t = 0; t < trial.size("n"); ++t) {
              mixed.real["signal"](t) = x * trial.in["signal"](t) + y * other["signal"](t);
            }
            for (const char* form : {"legs_zoh", "legs_gbt", "lmu", "lagt"}) {
              const auto a = trial.run(form), b = trial.run(form, other), both = trial.run(form, mixed);
              for (std::size_t i = 0; i < both["states"].values().size(); ++i) {
                trial.equal(both["states"].values()[i],
                            x * a["states"].values()[i] + y * b["states"].values()[i], form);
              }
            }
          });
}

void fixed_points(EntryBuilder& entry) {
  entry
      .law<PrimeField, Rational>(
          Kind::invariant, "a constant is remembered as e_0",
          "A e_0 = -B for LegS, LegT and FouT; so the signal 1 keeps e_0 under every discretisation",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N"), length = trial.size("n");
            const auto theta = trial.number("theta", Domain::positive);
            const auto unit = first_unit<T>(size);
            for (const auto& system : {hippo::legs_rational<T>(size), hippo::lmu(size, theta)}) {
              for (Index i = 0; i < size; ++i) trial.equal(system.A(i, 0), T(-system.B(i)), "A e_0");
              const auto discrete =
                  hippo::gbt(system, T(T(1) / T(trial.size("rate"))), T(T(trial.size("alpha")) / T(2)));
              auto state = unit;
              hippo::step(state, discrete, T(1));
              trial.equal(state, unit, "time-invariant");
            }
            const auto fout = hippo::fout_scaled<T>({0, 1, -1, 2}, trial.number("omega"), theta);
            for (Index i = 0; i < 4; ++i) {
              trial.equal(Complex<T>(fout.A(i, 0) + fout.B(i)), Complex<T>(0), "FouT");
            }
            auto in = trial.in;
            in.real["signal"] = Array<T>({length}, T(1));
            Settings settings = trial.drawn().settings;
            settings["start"] = 0;
            for (const char* form : {"legs_integral", "legs_zoh", "legs_gbt"}) {
              const auto states = trial.run(form, in, settings)["states"];
              for (Index t = 0; t < length; ++t) trial.equal(row_of(states, t), unit, form);
            }
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "growth of forward Euler",
          "In silence, K updates of forward Euler multiply the last coefficient by (-1)^K binomial(N - 1, K)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N"), updates = trial.size("n");
            Array<T> d({size});
            d(size - 1) = trial.number("last");
            T expected = d(size - 1);
            for (Index k = 1; k <= updates; ++k) {
              hippo::legs_step_gbt(d, T(0), k, T(0));
              expected *= T(k - size) / T(k);
            }
            trial.equal(d(size - 1), expected, "last coefficient");
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "one coefficient",
          "With N = 1, forward Euler is the running mean (from the first sample on with the zero start, from "
          "the second with the cell start) and the backward step is the exact one",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            Settings settings = trial.drawn().settings;
            settings["N"] = 1;
            for (const Index start : {0, 1}) {
              settings["start"] = start;
              settings["alpha"] = 0;
              const auto states = trial.run("legs_gbt", trial.in, settings)["states"];
              const Index first = start == 0 ? 1 : 0;
              T sum(0);
              for (Index t = first; t < trial.size("n"); ++t) {
                sum += trial.in["signal"](t);
                trial.equal(states(t, 0), T(sum / T(t + 1 - first)), "mean");
              }
            }
            settings["start"] = 0;
            settings["alpha"] = 2;
            trial.equal(trial.run("legs_gbt", trial.in, settings), trial.run("legs_zoh", trial.in, settings),
                        "backward Euler");
          })
      .limit<PrimeField, Rational>(
          "gated_linear_attention", "one Laguerre coefficient is a gate that never changes",
          "With N = 1, LagT by GBT is gated linear attention on one channel: decay (1 - (1 - alpha) step) / "
          "(1 + alpha step), key step / (1 + alpha step), value the sample",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n");
            Settings settings = trial.drawn().settings;
            settings["N"] = 1;
            const T step = T(1) / T(trial.size("rate")), alpha = T(trial.size("alpha")) / T(2);
            const T implicit = T(1) + alpha * step;
            Arrays<T> other;
            other.real["query"] = Array<T>({length, 1}, T(1));
            other.real["key"] = Array<T>({length, 1}, T(step / implicit));
            other.real["value"] = Array<T>({length, 1});
            other.real["decay"] = Array<T>({length, 1}, T((T(1) - (T(1) - alpha) * step) / implicit));
            other.real["initial_state"] = Array<T>({1, 1});
            for (Index t = 0; t < length; ++t) other.real["value"](t, 0) = trial.in["signal"](t);
            const auto gated = trial.run_other("gated_linear_attention", "recurrent", other);
            trial.equal(trial.run("lagt", trial.in, settings)["states"], gated["output"], "states");
          });
}

void energies(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::invariant, "energy identities",
          "A + A^T = -1 - B B^T for LegS, -B B^T - C C^T for LegT with theta = 1, where C reads the oldest "
          "point, and -1 1^T for LagT as the code has it",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const auto legs = hippo::legs<T>(size), legt = hippo::legt<T>(size);
            const auto lagt = hippo::lagt_code<T>(size);
            for (Index i = 0; i < size; ++i) {
              for (Index k = 0; k < size; ++k) {
                const T oldest = (i + k) % 2 == 0 ? legt.B(i) * legt.B(k) : -legt.B(i) * legt.B(k);
                trial.equal(T(legs.A(i, k) + legs.A(k, i)), T(T(i == k ? -1 : 0) - legs.B(i) * legs.B(k)),
                            "LegS");
                trial.equal(T(legt.A(i, k) + legt.A(k, i)), T(-legt.B(i) * legt.B(k) - oldest), "LegT");
                trial.equal(T(lagt.A(i, k) + lagt.A(k, i)), T(-1), "LagT");
              }
            }
          })
      .law<RationalExp2>(Kind::bound, "Bessel",
                         "The energy of the memory, the sum of (2n+1) d_n^2, is at most the mean of f^2",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto states = trial.run("legs_zoh")["states"];
                           T heard(0);
                           for (Index t = 0; t < trial.size("n"); ++t) {
                             heard += trial.in["signal"](t) * trial.in["signal"](t);
                             T kept(0);
                             for (Index i = 0; i < trial.size("N"); ++i) {
                               kept += T(2 * i + 1) * states(t, i) * states(t, i);
                             }
                             trial.expect(kept <= heard / T(t + 1),
                                          "energy after sample " + std::to_string(t));
                           }
                         })
      .law<RationalExp2>(
          Kind::bound, "no sample is forgotten or blown up",
          "The length of the derivative of c(t1) by f(t0) is between 1/t1 and N/t1, and N/t1 at both ends",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const T t1 = trial.number("t1", Domain::positive);
            const auto length = [&](const T& share) {
              const auto gradient = hippo::legs_gradient_rational(size, T(share * t1), t1);
              T sum(0);
              for (Index i = 0; i < size; ++i) sum += T(2 * i + 1) * gradient(i) * gradient(i);
              return T(sum * t1 * t1);
            };
            const T inside = length(trial.number("t0/t1", Domain::gate));
            trial.expect(T(1) <= inside && inside <= T(size * size), "length");
            trial.equal(length(T(0)), T(size * size), "at the beginning");
            trial.equal(length(T(1)), T(size * size), "at the present");
          })
      .law<PrimeField, Rational>(
          Kind::gradient, "the influence of a moment",
          "The derivative of the response to a sample by the moment it ends is the stated gradient",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const T t0 = trial.number("t0"), t1 = trial.number("t1", Domain::positive);
            const Dual<T> share = Dual<T>(t0, T(1)) / Dual<T>(t1);
            const auto response = hippo::legendre_integral(size, share);
            const auto gradient = hippo::legs_gradient_rational(size, t0, t1);
            const auto none = hippo::legendre_integral(size, T(0));
            for (Index i = 0; i < size; ++i) {
              trial.equal(response(i).tangent, gradient(i), "derivative");
              trial.equal(none(i), T(0), "no time, no response");
            }
          })
      .law<Bounded<Real50>>(
          Kind::same, "both bases",
          "Gradient and reconstruction are the same in the orthonormal basis of LegS and in d, and those of "
          "LegT in its own and in that of the LMU",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const auto d = trial.array("d", {size});
            const T x = trial.number("x", Domain::gate), theta(trial.integer("theta", 1, 3));
            trial.equal(hippo::legs_reconstruct_orthonormal(hippo::orthonormal(d), x),
                        hippo::legs_reconstruct(d, x), "LegS");
            trial.equal(hippo::legt_reconstruct(d, T(x * theta), theta),
                        hippo::lmu_reconstruct(hippo::lmu_from_legt(d), T(x * theta), theta), "LegT");
            const auto gradient = hippo::legs_gradient(size, x, T(2));
            const auto rational = hippo::legs_gradient_rational(size, x, T(2));
            for (Index i = 0; i < size; ++i) {
              trial.equal(T(gradient(i) * gradient(i)), T(T(2 * i + 1) * rational(i) * rational(i)),
                          "gradient");
            }
          });
}

void kernels(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(Kind::same, "impulses in closed form",
                            "e^{sA} B of LagT and of generalised LagT, from the series, is the Laguerre "
                            "function of the closed form",
                            [](auto& trial) {
                              using T = ScalarOf<decltype(trial)>;
                              const Index size = trial.size("N");
                              const T s = T(trial.integer("s", 0, 24)) / T(8),
                                      beta = T(trial.integer("beta", 1, 16)) / T(8);
                              const T alpha = T(trial.integer("alpha", -7, 7)) / T(8);
                              trial.equal(hippo::impulse(hippo::lagt(size, beta), s),
                                          hippo::lagt_impulse(size, s, beta), "LagT");
                              trial.equal(hippo::impulse(hippo::glagt(size, alpha, beta), s),
                                          hippo::glagt_impulse(size, s, alpha, beta), "generalised LagT");
                            })
      .law<Bounded<Real50>>(
          Kind::same, "the factor of generalised LagT",
          "At alpha = 1/2 and -1/2, where the gamma functions are known, B_0^2 is 2 beta^{1-alpha} / pi; at "
          "alpha = 0 the system is LagT with B scaled by sqrt(beta)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const T beta = T(trial.integer("beta", 1, 16)) / T(4), half = T(1) / T(2);
            const T plus = hippo::glagt(size, half, beta).B(0),
                    minus = hippo::glagt(size, T(-half), beta).B(0);
            trial.equal(T(plus * plus), T(T(2) * sqrt(beta) / pi<T>()), "alpha = 1/2");
            trial.equal(T(minus * minus), T(T(2) * beta * sqrt(beta) / pi<T>()), "alpha = -1/2");
            const auto plain = hippo::glagt(size, T(0), beta), lagt = hippo::lagt(size, beta);
            trial.equal(plain.A, lagt.A, "A");
            for (Index i = 0; i < size; ++i) trial.equal(plain.B(i), T(sqrt(beta) * lagt.B(i)), "B");
          })
      .once(Kind::converges, "LegT is the Pade approximant of a delay",
            "Read at its oldest point, LegT of order N has the transfer function [N-1/N] of e^{-s}: the "
            "Taylor coefficients 0 ... 2N-1 agree and 2N does not, for N = 1 ... 8",
            [](auto& check) {
              for (Index size = 1; size <= 8; ++size) {
                const auto lmu = hippo::lmu<Rational>(size);
                // C (s - A)^{-1} B = -sum over k of s^k C A^{-k-1} B, and the LMU basis reads with all ones.
                Array<Rational> v = hippo::solve_vector(lmu.A, lmu.B);
                Rational delay(1);
                for (Index k = 0; k <= 2 * size; ++k) {
                  if (k > 0) delay /= Rational(-k);
                  Rational coefficient(0);
                  for (const Rational& oldest : v.values()) coefficient -= oldest;
                  check.expect((coefficient == delay) == (k < 2 * size),
                               "N = " + std::to_string(size) + ", coefficient " + std::to_string(k));
                  v = hippo::solve_vector(lmu.A, v);
                }
              }
            });
}

void errata(EntryBuilder& entry) {
  entry
      .law<PrimeField, Rational>(
          Kind::erratum, "two windows of LegT",
          "One released code has theta = 1, the other theta = 2: with theta = 2 half the step of theta = 1, "
          "so a model moved from one to the other must double its step",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const T step = trial.number("step", Domain::positive), alpha = T(trial.size("alpha")) / T(2);
            const auto one = hippo::gbt(hippo::lmu<T>(size, T(1)), step, alpha);
            const auto two = hippo::gbt(hippo::lmu<T>(size, T(2)), T(T(2) * step), alpha);
            trial.equal(one.A, two.A, "A");
            trial.equal(one.B, two.B, "B");
          })
      .law<PrimeField, Rational>(
          Kind::erratum, "three memories called LagT",
          "The code's lagt is the theorem's with beta = 0 and B times beta, its tlagt the theorem's with B "
          "times beta; at beta = 1 tlagt is the theorem's and lagt is not",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N");
            const T beta = trial.number("beta");
            const auto undamped = hippo::lagt(size, T(0)), theorem = hippo::lagt(size, beta);
            const auto code = hippo::lagt_code(size, beta), tilted = hippo::tlagt_code(size, beta);
            trial.equal(code.A, undamped.A, "matrix of lagt");
            trial.equal(tilted.A, theorem.A, "matrix of tlagt");
            for (Index i = 0; i < size; ++i) {
              trial.equal(code.B(i), T(beta * undamped.B(i)), "input of lagt");
              trial.equal(tilted.B(i), T(beta * theorem.B(i)), "input of tlagt");
              trial.equal(T(hippo::lagt<T>(size).A(i, i) - hippo::lagt_code<T>(size).A(i, i)),
                          T(T(-1) / T(2)), "diagonals at beta = 1");
            }
          })
      .law<PrimeField, Rational>(Kind::erratum, "GBT of the paper",
                                 "1/k on the explicit and 1/(k+1) on the implicit side in O(N) is the dense "
                                 "solve with these two steps",
                                 [](auto& trial) {
                                   using T = ScalarOf<decltype(trial)>;
                                   const Index size = trial.size("N"), k = trial.integer("k", 1, 9);
                                   const T alpha = T(trial.size("alpha")) / T(2), f = trial.number("f");
                                   auto fast = trial.array("d", {size}), dense = fast;
                                   hippo::legs_step_gbt_paper(fast, f, k, alpha);
                                   hippo::step(
                                       dense,
                                       hippo::gbt_two_steps(hippo::legs_rational<T>(size), T(T(1) / T(k)),
                                                            T(T(1) / T(k + 1)), alpha),
                                       f);
                                   trial.equal(fast, dense, "step");
                                 })
      .law<RationalExp2>(
          Kind::erratum, "samples with times",
          "At the times 0, 1, 2, ... the code's cell for timestamped samples is the bilinear step with the "
          "cell start, not the exact step, which would have 1/(k+1) where it has 1/k",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.size("N"), length = trial.size("n");
            Settings settings = trial.drawn().settings;
            settings["alpha"] = 1;
            settings["start"] = 0;
            const auto states = trial.run("legs_gbt", trial.in, settings)["states"];
            Array<T> d({size});
            for (Index t = 0; t < length; ++t) {
              hippo::legs_step_timestamped(d, trial.in["signal"](t), T(t - 1), T(t));
              trial.equal(d, row_of(states, t), "state");
            }
          })
      .once(Kind::erratum, "only one start and one step are the projection",
            "On 1, 2, -1, 3 with N = 4 the exact step with the cell start gives the projection; the exact "
            "step with the zero start, and every GBT of paper or code with either start, does not",
            [](auto& check) {
              using R = Rational;
              const auto f = Array<R>::vector({R(1), R(2), R(-1), R(3)});
              const auto truth = hippo::legs_integral(4, f);
              const auto exact = [](Array<R>& d, const R& sample, Index k) {
                hippo::legs_step_zoh(d, sample, k);
              };
              const auto last = [](const Array<R>& states) { return row_of(states, states.extent(0) - 1); };
              const auto differs = [&](const Array<R>& d, const std::string& what) {
                bool same = true;
                for (Index i = 0; i < 4; ++i) same = same && d(i) == truth(i);
                check.expect(!same, what);
              };
              check.equal(last(hippo::cell_start(4, f, exact)), truth, "exact step, cell start");
              differs(last(hippo::zero_start(4, f, exact)), "exact step, zero start");
              for (const Index twice_alpha : {0, 1, 2}) {
                const R alpha = R(twice_alpha) / R(2);
                const auto code = [&](Array<R>& d, const R& sample, Index k) {
                  hippo::legs_step_gbt(d, sample, k, alpha);
                };
                const auto paper = [&](Array<R>& d, const R& sample, Index k) {
                  hippo::legs_step_gbt_paper(d, sample, k, alpha);
                };
                differs(last(hippo::cell_start(4, f, code)), "code, cell start");
                differs(last(hippo::zero_start(4, f, code)), "code, zero start");
                differs(last(hippo::cell_start(4, f, paper)), "paper, cell start");
                differs(last(hippo::zero_start(4, f, paper)), "paper, zero start");
              }
            });
}

void costs(EntryBuilder& entry) {
  Cost bilinear("legs_gbt");
  bilinear.multiplications = (n - 1) * (5 * N - 3) + 2 * (N - 1);
  bilinear.additions = (n - 1) * (6 * N - 4) + 2 * (N - 1);
  bilinear.divisions = n * N;
  bilinear.state = N;
  bilinear.fixed = [](Settings& settings) {
    settings["alpha"] = 1;
    settings["start"] = 1;
  };
  Cost forward("legs_forward");
  // The first update, from f e_0 with h = 1, multiplies nothing.
  forward.multiplications = max(n - 2, 0) * (3 * N - 1);
  forward.additions = max(n - 2, 0) * (4 * N - 2) + min(n - 1, 1) * (N + 1);
  forward.divisions = 0;
  forward.state = N;
  forward.fixed = [](Settings& settings) { settings["start"] = 0; };
  entry.cost(bilinear).cost(forward);

  entry.once(Kind::cost, "cost of one step on data",
             "With matrices, weights and steps as data: the dense step N^2 + N multiplications and N^2 "
             "additions; the O(N) step of GBT 6N - 2 multiplications, 7N - 3 additions and N divisions; "
             "forward Euler 3N - 1 and 4N - 2; N = 1 ... 12",
             [](auto& check) {
               using T = Counted<double>;
               for (Index size = 1; size <= 12; ++size) {
                 const auto counted = [&](OperationCounts stated, auto&& step) {
                   Array<T> state({size}, T(0.5));
                   CountOperations scope;
                   step(state);
                   check.expect(scope.counts() == stated, "N = " + std::to_string(size));
                 };
                 const hippo::System<T> system{Array<T>({size, size}, T(0.3)), Array<T>({size}, T(0.2))};
                 counted({.multiplications = size * size + size, .additions = size * size},
                         [&](Array<T>& state) { hippo::step(state, system, T(0.4)); });
                 counted({.multiplications = 6 * size - 2, .additions = 7 * size - 3, .divisions = size},
                         [&](Array<T>& state) {
                           hippo::legs_step_two_steps(state, T(0.4), T(0.1), T(0.1), T(0.7));
                         });
                 counted({.multiplications = 3 * size - 1, .additions = 4 * size - 2},
                         [&](Array<T>& state) { hippo::legs_step_forward_euler(state, T(0.4), T(0.1)); });
               }
             });
}

void examples(EntryBuilder& entry) {
  entry
      .example("worked example of LegS", "1, 2, -1, 3 with N = 4 in all discretisations",
               [](auto& check) {
                 using R = Rational;
                 const auto f = Array<R>::vector({R(1), R(2), R(-1), R(3)});
                 const auto q = [](Index a, Index b) { return R(a) / R(b); };
                 const auto expect = [&](const Array<R>& states, std::vector<R> last,
                                         const std::string& what) {
                   check.equal(row_of(states, 3), Array<R>({4}, std::move(last)), what);
                 };
                 const auto gbt = [](const R& alpha) {
                   return [alpha](Array<R>& d, const R& sample, Index k) {
                     hippo::legs_step_gbt(d, sample, k, alpha);
                   };
                 };
                 const auto exact = [](Array<R>& d, const R& sample, Index k) {
                   hippo::legs_step_zoh(d, sample, k);
                 };
                 const R half = q(1, 2);
                 expect(hippo::cell_start(4, f, exact), {q(5, 4), q(3, 16), q(9, 32), q(63, 256)}, "exact");
                 expect(hippo::cell_start(4, f, gbt(R(0))), {q(4, 3), q(1, 3), q(7, 3), q(31, 3)},
                        "cell, forward");
                 expect(hippo::cell_start(4, f, gbt(half)), {q(9, 7), q(3, 14), q(89, 210), q(11, 21)},
                        "cell, bilinear");
                 expect(hippo::cell_start(4, f, gbt(R(1))), {q(5, 4), q(3, 20), q(3, 20), q(11, 140)},
                        "cell, backward");
                 expect(hippo::zero_start(4, f, gbt(R(0))), {q(5, 4), q(1, 4), q(3, 4), q(11, 4)},
                        "zero, forward");
                 expect(hippo::zero_start(4, f, gbt(half)), {q(10, 9), q(13, 45), q(47, 315), q(136, 315)},
                        "zero, bilinear");
                 expect(hippo::zero_start(4, f, gbt(R(1))), {R(1), q(4, 15), q(2, 35), q(1, 10)},
                        "zero, backward");

                 const auto d = hippo::legs_integral(4, f);
                 check.equal(hippo::legs_reconstruct(d, R(0)), q(95, 256), "reconstruction at 0");
                 check.equal(hippo::legs_reconstruct(d, q(1, 8)), q(46945, 32768), "at 1/8");
                 check.equal(hippo::legs_reconstruct(d, half), q(35, 64), "at 1/2");
                 check.equal(hippo::legs_reconstruct(d, q(7, 8)), q(66655, 32768), "at 7/8");
                 check.equal(hippo::legs_reconstruct(d, R(1)), q(1265, 256), "at 1");
                 R energy(0);
                 for (Index i = 0; i < 4; ++i) energy += R(2 * i + 1) * d(i) * d(i);
                 check.equal(energy, q(163015, 65536), "energy");
                 check.equal(hippo::legs_transition(4, half),
                             Array<R>::matrix({{half, R(0), R(0), R(0)},
                                               {q(-1, 4), q(1, 4), R(0), R(0)},
                                               {R(0), q(-3, 8), q(1, 8), R(0)},
                                               {q(1, 16), q(3, 16), q(-5, 16), q(1, 16)}}),
                             "Phi(1/2)");
               })
      .example(
          "worked example of LegT and LagT", "1, 2, -1, 3 with N = 3, bilinear, from 0",
          [](auto& check) {
            using R = Rational;
            const auto f = Array<R>::vector({R(1), R(2), R(-1), R(3)});
            const auto q = [](Index a, Index b) { return R(a) / R(b); };
            const auto run = [&](const hippo::System<R>& system, const R& step) {
              return hippo::recurrent(hippo::bilinear(system, step), f, Array<R>({3}));
            };
            const auto lmu = run(hippo::lmu<R>(3), q(1, 4));
            check.equal(row_of(lmu, 0), Array<R>::vector({q(86, 359), q(-216, 359), q(160, 359)}), "LMU");
            check.equal(row_of(lmu, 3),
                        Array<R>::vector({q(19267949762, 16610312161), q(-14117608872, 16610312161),
                                          q(19816378720, 16610312161)}),
                        "LMU after all samples");
            check.equal(row_of(run(hippo::lagt<R>(3), q(1, 2)), 3),
                        Array<R>::vector({q(834, 625), q(2344, 3125), q(1568, 3125)}), "LagT");
            check.equal(row_of(run(hippo::lagt_code<R>(3), q(1, 2)), 3),
                        Array<R>::vector({q(11380, 6561), q(38956, 59049), q(147508, 531441)}),
                        "LagT of the code");
          })
      .example(
          "printed digits", "The orthonormal state, a gradient's length, and impulses of LegS, LegT and FouT",
          [](auto& check) {
            using R = Real50;
            const auto expect = [&](const Array<R>& values, const std::vector<std::string>& printed) {
              for (std::size_t i = 0; i < printed.size(); ++i) {
                check.digits(values.values()[i], printed[i], "number " + std::to_string(i));
              }
            };
            expect(hippo::orthonormal(hippo::legs_integral(4, Array<R>::vector({R(1), R(2), R(-1), R(3)}))),
                   {"1.25", "0.324759526419", "0.628894118672", "0.651102861707"});
            R sum(0);
            const Array<R> gradient = hippo::legs_gradient(4, R(R(1) / R(2)), R(2));
            for (const R& x : gradient.values()) sum += x * x;
            check.digits(sqrt(sum), "0.889939429118634", "gradient");
            const R half = R(1) / R(2);
            expect(hippo::impulse(hippo::legs<R>(4), half),
                   {"0.60653065971263", "0.22382984736742", "-0.58577160681482", "-0.47405647401044"});
            expect(hippo::impulse(hippo::legt<R>(4, R(2)), R(1)),
                   {"0.573143329282890", "-0.119736796943197", "-0.450174146343261", "0.048377654972969"});
            expect(hippo::impulse(hippo::fout_real<R>(4, R(2), R(2)), half),
                   {"0.402887626367475", "0", "-0.341355969502146", "0.690998921837336"});
          });
}

const Registration<EntryBuilder> registration{"hippo", [](EntryBuilder& entry) {
                                                describe(entry);
                                                legs_forms(entry);
                                                time_invariant_forms(entry);
                                                identities(entry);
                                                transitions(entry);
                                                fixed_points(entry);
                                                energies(entry);
                                                kernels(entry);
                                                errata(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
