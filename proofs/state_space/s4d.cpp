/// \file
/// The entry of S4D and DSS: forms, laws, costs. Its text is `reference/state_space/s4d.hpp`.
#include "reference/state_space/s4d.hpp"

#include <cmath>
#include <string>
#include <vector>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

const Expression n = symbol("n"), M = symbol("M"), chunk = symbol("chunk");

/// Number types with roots of unity.
template <class T>
concept HasRoots = Field<T> &&
    (Real<T> || contains<T, TypeList<PrimeField, Degree, Dual<PrimeField>, Dual<Degree>>>);

/// The continuous system. Its eigenvalues are drawn with their signs changed, so that their real parts are
/// negative and no step makes a denominator 0.
template <Field T>
s4d::System<T> system_of(const Arrays<T>& in) {
  s4d::System<T> system{in.complex.at("minus_lambda"), in.complex.at("B"), in.complex.at("C"),
                        in.number("D", T(0))};
  for (Complex<T>& lambda : system.lambda.values()) lambda = -lambda;
  return system;
}

template <Field T>
s4d::System<T> bilinear_of(const Arrays<T>& in) {
  return s4d::bilinear(system_of(in), in["step"]());
}

template <Real T>
s4d::System<T> zoh_of(const Arrays<T>& in) {
  return s4d::zoh(system_of(in), in["step"]());
}

template <Field T>
Arrays<T> arrays_of(const s4d::Output<T>& out) {
  Arrays<T> arrays;
  arrays.real["y"] = out.y;
  arrays.complex["state"] = out.state;
  return arrays;
}

/// The convolution with a kernel, and what the initial state adds.
template <Field T>
Arrays<T> convolved(const Array<T>& kernel, const s4d::System<T>& discrete, const Arrays<T>& in) {
  Arrays<T> arrays;
  Array<T> y = s4d::convolution(kernel, discrete.D, in["signal"]);
  const Array<T> echo = s4d::echo(discrete, in.complex.at("initial_state"), y.extent(0));
  for (Index t = 0; t < y.extent(0); ++t) y(t) += echo(t);
  arrays.real["y"] = y;
  return arrays;
}

void describe(EntryBuilder& entry) {
  entry
      .about("state_space", "S4D and DSS",
             "A long convolution whose kernel is a sum of damped oscillations; token by token it is a "
             "recurrence of M complex states.",
             {"gu2022s4d", "gupta2022dss"})
      .size("n", 16, 5)
      .size("M", 3, 2)
      .parameter({"chunk", 4, 1, n + 2, "tokens in a chunk; the last one may be shorter", {}})
      .complex_input("minus_lambda", {M}, Domain::positive, "minus the eigenvalue of each state: its damping")
      .complex_input("B", {M}, Domain::any, "how the input drives each state")
      .complex_input("C", {M}, Domain::any, "how each state is read")
      .complex_input("initial_state", {M}, Domain::any, "the states before the first token")
      .input("D", {}, Domain::any, "how the input reaches the output past the states")
      .input("step", {}, Domain::positive, "step length")
      .input("signal", {n}, Domain::any, "one channel of the input")
      .output("y", {n}, "the output of each token")
      .output("state", {M}, "the states after the last token")
      // With so few digits 1 - z lambda may vanish within its error bound, and is divided by.
      .no_budget("generating_function", std::string(scalar_name<E4M3>))
      .no_budget("generating_function", std::string(scalar_name<E5M2>));
}

void bilinear_forms(EntryBuilder& entry) {
  entry
      .form("recurrent", "the definition, bilinear: token after token",
            []<Field T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(s4d::recurrent(bilinear_of(in), in["signal"], in.complex.at("initial_state")));
            })
      .form("convolution", "with the kernel by running powers, and the echo of the initial state",
            []<Field T>(const Arrays<T>& in, const Settings&) {
              const auto discrete = bilinear_of(in);
              return convolved(s4d::kernel(discrete, in["signal"].extent(0)), discrete, in);
            })
      .form("chunked", "a convolution inside chunks, the state from chunk to chunk",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(s4d::chunked(bilinear_of(in), in["signal"], in.complex.at("initial_state"),
                                            at(settings, "chunk")));
            })
      .form("scan", "an associative scan over the tokens",
            []<Field T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(s4d::scan(bilinear_of(in), in["signal"], in.complex.at("initial_state")));
            })
      .form("generating_function", "the kernel from its generating function at the roots of unity",
            []<HasRoots T>(const Arrays<T>& in, const Settings&) {
              const auto discrete = bilinear_of(in);
              return convolved(s4d::kernel_by_generating_function(discrete, in["signal"].extent(0)), discrete,
                               in);
            });
}

void zoh_forms(EntryBuilder& entry) {
  entry
      .form("zoh_recurrent", "zero-order hold: token after token",
            []<Real T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(s4d::recurrent(zoh_of(in), in["signal"], in.complex.at("initial_state")));
            })
      .form("zoh_convolution", "zero-order hold, with the kernel by running powers",
            []<Real T>(const Arrays<T>& in, const Settings&) {
              const auto discrete = zoh_of(in);
              return convolved(s4d::kernel(discrete, in["signal"].extent(0)), discrete, in);
            })
      .form("zoh_exponentials", "zero-order hold, with the kernel by one exponential for each lag",
            []<Real T>(const Arrays<T>& in, const Settings&) {
              const auto K = s4d::kernel_by_exponentials(system_of(in), in["step"](), in["signal"].extent(0));
              return convolved(K, zoh_of(in), in);
            })
      .form("zoh_chunked", "zero-order hold, chunk by chunk",
            []<Real T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(s4d::chunked(zoh_of(in), in["signal"], in.complex.at("initial_state"),
                                            at(settings, "chunk")));
            })
      .form("zoh_scan", "zero-order hold, by an associative scan",
            []<Real T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(s4d::scan(zoh_of(in), in["signal"], in.complex.at("initial_state")));
            });
}

void identities(EntryBuilder& entry) {
  for (const char* form : {"convolution", "chunked", "scan", "generating_function"}) {
    entry.standard(laws::same(form, "recurrent"));
  }
  for (const char* form : {"zoh_convolution", "zoh_exponentials", "zoh_chunked", "zoh_scan"}) {
    entry.standard(laws::same(form, "zoh_recurrent"));
  }
  for (const char* form : {"recurrent", "chunked", "scan", "zoh_recurrent"}) {
    entry.standard(laws::split(form, "n", {{"state", "initial_state"}}));
  }
  for (const char* form : {"recurrent", "convolution", "chunked", "scan", "generating_function"}) {
    entry.standard(laws::causal(form, "n"));
  }
}

void invariants(EntryBuilder& entry) {
  entry
      .law<PrimeField, Rational>(
          Kind::invariant, "linear in signal and initial state",
          "The output for x a + y b in the place of signal and initial state is x and y times the outputs",
          [](auto& trial) {
            const auto x = trial.number("x"), y = trial.number("y");
            auto other = trial.in, mixed = trial.in;
            other.real["signal"] = trial.array("other signal", trial.in["signal"].shape());
            for (Index t = 0; t < trial.size("n"); ++t) {
              mixed.real["signal"](t) = x * trial.in["signal"](t) + y * other["signal"](t);
            }
            const auto re = trial.array("other re", {trial.size("M")}),
                       im = trial.array("other im", re.shape());
            for (Index i = 0; i < trial.size("M"); ++i) {
              other.complex["initial_state"](i) = {re(i), im(i)};
              mixed.complex["initial_state"](i) =
                  x * trial.in.complex["initial_state"](i) + y * other.complex["initial_state"](i);
            }
            const auto a = trial.run("recurrent"), b = trial.run("recurrent", other);
            const auto both = trial.run("recurrent", mixed);
            for (Index t = 0; t < trial.size("n"); ++t) {
              trial.equal(both["y"](t), x * a["y"](t) + y * b["y"](t), "output");
            }
          })
      .law<PrimeField, Rational>(Kind::invariant, "conjugates sound the same",
                                 "Conjugate eigenvalues, B, C and initial state give the same output: the "
                                 "sign of the frequencies, minus in the released code, is a matter of taste",
                                 [](auto& trial) {
                                   auto conjugate = trial.in;
                                   for (auto& [name, array] : conjugate.complex) {
                                     for (auto& z : array.values()) z = conj(z);
                                   }
                                   trial.equal(trial.run("recurrent", conjugate)["y"],
                                               trial.run("recurrent")["y"], "output");
                                 })
      .law<PrimeField, Rational>(
          Kind::invariant, "only the product C B counts",
          "Moving B into C, and out of the initial state, changes no output: B = 1 loses nothing",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto moved = trial.in;
            const auto re = trial.array("B re", {trial.size("M")}, Domain::positive);
            for (Index i = 0; i < trial.size("M"); ++i) {
              const Complex<T> b(re(i), trial.in.complex["B"](i).im);
              trial.in.complex["B"](i) = b;
              moved.complex["B"](i) = Complex<T>(1);
              moved.complex["C"](i) *= b;
              moved.complex["initial_state"](i) /= b;
            }
            trial.equal(trial.run("recurrent", moved)["y"], trial.run("recurrent")["y"], "output");
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "a state as an input",
          "With the B that belongs to a state the kernel is the echo of that state (bilinear)",
          [](auto& trial) {
            auto started = system_of(trial.in);
            const auto step = trial.in["step"]();
            const auto& state = trial.in.complex["initial_state"];
            started.B = s4d::state_as_input_bilinear(started, state, step);
            trial.equal(s4d::kernel(s4d::bilinear(started, step), trial.size("n")),
                        s4d::echo(bilinear_of(trial.in), state, trial.size("n")), "kernel");
          })
      .law<Bounded<Real50>>(
          Kind::invariant, "a state as an input, ZOH",
          "With the B that belongs to a state the kernel is the echo of that state (zero-order hold)",
          [](auto& trial) {
            auto started = system_of(trial.in);
            const auto step = trial.in["step"]();
            const auto& state = trial.in.complex["initial_state"];
            started.B = s4d::state_as_input_zoh(started, state, step);
            trial.equal(s4d::kernel(s4d::zoh(started, step), trial.size("n")),
                        s4d::echo(zoh_of(trial.in), state, trial.size("n")), "kernel");
          })
      .law<Bounded<Real50>>(
          Kind::invariant, "frequency 0 counts",
          "A state with lambda = 0 sums its inputs with the weight of the step, in both discretisations",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto still = trial.in;
            for (auto& z : still.complex["minus_lambda"].values()) z = Complex<T>(0);
            const auto zoh = zoh_of(still), bilinear = bilinear_of(still);
            for (Index i = 0; i < trial.size("M"); ++i) {
              trial.equal(zoh.lambda(i), Complex<T>(1), "factor");
              trial.equal(zoh.B(i), trial.in["step"]() * trial.in.complex["B"](i), "weight");
              trial.equal(zoh.B(i), bilinear.B(i), "weight of the bilinear transform");
            }
          })
      .law<RationalExp2>(Kind::bound, "stable (bilinear)",
                         "|lambdabar| < 1 for Re lambda < 0, whatever the step",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const auto discrete = bilinear_of(trial.in);
                           for (const Complex<T>& z : discrete.lambda.values()) {
                             trial.expect(norm(z) < T(1), "modulus");
                           }
                         })
      .law<Bounded<Real50>>(Kind::bound, "stable (ZOH) and bounded",
                            "|lambdabar| < 1 for Re lambda < 0, and |K_l| <= 2 sum of |C Bbar| |lambdabar|^l",
                            [](auto& trial) {
                              using T = ScalarOf<decltype(trial)>;
                              const auto discrete = zoh_of(trial.in);
                              const auto K = s4d::kernel(discrete, trial.size("n"));
                              Array<T> largest({trial.size("n")});
                              for (Index i = 0; i < trial.size("M"); ++i) {
                                trial.expect(norm(discrete.lambda(i)) < T(1), "modulus");
                                const T modulus = sqrt(norm(discrete.lambda(i)));
                                T size = T(2) * sqrt(norm(discrete.C(i) * discrete.B(i)));
                                for (Index l = 0; l < trial.size("n"); ++l) {
                                  largest(l) += size;
                                  size *= modulus;
                                }
                              }
                              for (Index l = 0; l < trial.size("n"); ++l) {
                                trial.at_most(magnitude(K(l)), largest(l), "kernel");
                              }
                            });
}

void limits(EntryBuilder& entry) {
  entry
      .limit<PrimeField, Rational>(
          "gated_linear_attention", "real states are gates that never change",
          "With real eigenvalues, B and C, S4D is gated linear attention: decay lambdabar, key Bbar, query 2 "
          "C, value the input; D is a skip connection",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n"), states = trial.size("M");
            auto real = trial.in;
            for (auto& [name, array] : real.complex) {
              for (auto& z : array.values()) z = Complex<T>(z.re);
            }
            const auto discrete = bilinear_of(real);
            Arrays<T> other;
            for (const char* name : {"query", "key", "decay"}) {
              other.real[name] = Array<T>({length, states});
            }
            other.real["value"] = Array<T>({length, 1});
            other.real["initial_state"] = Array<T>({states, 1});
            for (Index t = 0; t < length; ++t) {
              other.real["value"](t, 0) = real["signal"](t);
              for (Index i = 0; i < states; ++i) {
                other.real["decay"](t, i) = discrete.lambda(i).re;
                other.real["key"](t, i) = discrete.B(i).re;
                other.real["query"](t, i) = T(2) * discrete.C(i).re;
              }
            }
            for (Index i = 0; i < states; ++i) {
              other.real["initial_state"](i, 0) = real.complex["initial_state"](i).re;
            }
            const auto gated = trial.run_other("gated_linear_attention", "recurrent", other);
            const auto y = trial.run("recurrent", real)["y"];
            for (Index t = 0; t < length; ++t) {
              trial.equal(y(t), T(gated["output"](t, 0) + real["D"]() * real["signal"](t)), "output");
            }
          })
      .limit<PrimeField, Rational>(
          "hippo", "one real state is LegT of one coefficient",
          "With lambda = -1, B = 1, C = 1/2, D = 0 and no initial state the output is the state of "
          "HiPPO-LegT with N = 1 and the bilinear step",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index rate = trial.integer("rate", 1, 6);
            Arrays<T> in;
            in.real["signal"] = trial.in["signal"];
            in.real["D"] = Array<T>(Shape{}, T(0));
            in.real["step"] = Array<T>(Shape{}, T(T(1) / T(rate)));
            in.complex["minus_lambda"] = Array<Complex<T>>({1}, Complex<T>(1));
            in.complex["B"] = in.complex["minus_lambda"];
            in.complex["C"] = Array<Complex<T>>({1}, Complex<T>(T(T(1) / T(2))));
            in.complex["initial_state"] = Array<Complex<T>>({1});
            Arrays<T> other;
            other.real["signal"] = trial.in["signal"];
            const auto states = trial.run_other(
                "hippo", "lmu", other,
                {{"n", trial.size("n")}, {"N", 1}, {"rate", rate}, {"window", 1}, {"alpha", 1}});
            trial.equal(states["states"].values()[0], trial.run("recurrent", in)["y"](0), "first");
            for (Index t = 0; t < trial.size("n"); ++t) {
              trial.equal(states["states"](t, 0), trial.run("recurrent", in)["y"](t), "output");
            }
          });
}

void against_legs(EntryBuilder& entry) {
  entry
      .law<PrimeField, Rational>(Kind::same, "the defect rho_N",
                                 "(s - S)^{-1} B/2 times 1 + rho_N(s) is (s - A)^{-1} B, at every s",
                                 [](auto& trial) {
                                   using T = ScalarOf<decltype(trial)>;
                                   const Index size = trial.integer("N", 1, 6);
                                   const T s = trial.number("s", Domain::positive);
                                   const auto diagonal = hippo::transfer(s4d::legs_normal<T>(size), s);
                                   const auto legs = hippo::transfer(hippo::legs_rational<T>(size), s);
                                   const T factor = T(1) + s4d::legs_defect(size, s);
                                   for (Index i = 0; i < size; ++i)
                                     trial.equal(T(diagonal(i) * factor), legs(i), "coefficient");
                                 })
      .law<PrimeField, Rational>(
          Kind::same, "the defect after the bilinear step",
          "The generating functions of both kernels differ by the factor 1 + rho_N(2/Delta (1-z)/(1+z))",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.integer("N", 1, 3);
            const T z = trial.number("z", Domain::open_gate), step = trial.in["step"]();
            const auto diagonal =
                hippo::generating_function(hippo::bilinear(s4d::legs_normal<T>(size), step), z);
            const auto legs =
                hippo::generating_function(hippo::bilinear(hippo::legs_rational<T>(size), step), z);
            const T s = T(2) / step * (T(1) - z) / (T(1) + z);
            const T factor = T(1) + s4d::legs_defect(size, s);
            for (Index i = 0; i < size; ++i) trial.equal(T(diagonal(i) * factor), legs(i), "coefficient");
          })
      .law<PrimeField, Rational>(
          Kind::same, "size of the defect", "|rho_N(iw)|^2 = w^2 / (N^2 + w^2) and |rho_N(-1/2 + iw)| = 1",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index size = trial.integer("N", 1, 8);
            const T w = trial.number("w");
            const T on_axis = norm(s4d::legs_defect(size, Complex<T>(T(0), w)));
            trial.equal(T(on_axis * (T(size * size) + w * w)), T(w * w), "on the imaginary axis");
            trial.equal(norm(s4d::legs_defect(size, Complex<T>(T(-1) / T(2), w))), T(1), "at -1/2 + iw");
          })
      .once(Kind::invariant, "equal exactly at 0 ... N-1",
            "Diagonal LegS and LegS have equal transfer functions at s in {0, ..., N+2, 1/2, 7/3} if and "
            "only if s is one of 0, ..., N-1; N = 1 ... 8",
            [](auto& check) {
              for (Index size = 1; size <= 8; ++size) {
                std::vector<Rational> places{Rational(1) / Rational(2), Rational(7) / Rational(3)};
                for (Index s = 0; s <= size + 2; ++s) places.emplace_back(s);
                for (const Rational& s : places) {
                  const auto diagonal = hippo::transfer(s4d::legs_normal<Rational>(size), s);
                  const auto legs = hippo::transfer(hippo::legs_rational<Rational>(size), s);
                  bool same = true;
                  for (Index i = 0; i < size; ++i) same = same && diagonal(i) == legs(i);
                  const bool expected = denominator(s) == 1 && s < Rational(size);
                  check.expect(same == expected, "N = " + std::to_string(size) + ", s = " + s.str());
                }
              }
            })
      .law<Bounded<Real50>>(
          Kind::same, "S4D-LegS = dense",
          "Eigenvalues, half of the input and eigenvectors of S4D-LegS give the kernels of the dense system "
          "(S, B/2)",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index pairs = trial.integer("pairs", 1, 3), size = 2 * pairs, length = 4;
            const Index row = trial.integer("row", 0, size - 1);
            const T step = T(trial.integer("step", 1, 8)) / T(8);
            const auto V = s4d::legs_eigenvectors<T>(size);
            s4d::System<T> diagonal{s4d::legs<T>(size), s4d::legs_input<T>(size), Array<Complex<T>>({pairs}),
                                    T(0)};
            for (Index m = 0; m < pairs; ++m) {
              diagonal.B(m) = diagonal.B(m) / T(2);
              diagonal.C(m) = V(row, m);
            }
            const auto dense = s4d::legs_normal<T>(size);
            Array<T> readout({size});
            readout(row) = sqrt(T(2 * row + 1));
            trial.equal(s4d::kernel(s4d::bilinear(diagonal, step), length),
                        hippo::kernel(hippo::bilinear(dense, step), readout, length), "bilinear");
            trial.equal(s4d::kernel(s4d::zoh(diagonal, step), length),
                        hippo::kernel(hippo::zero_order_hold(dense, step), readout, length), "ZOH");
          })
      .law<Bounded<Real50>>(
          Kind::invariant, "frequencies of S4D-LegS",
          "They solve the arctan equation and decrease, and the eigenvectors are eigenvectors of length 1",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index pairs = trial.integer("pairs", 1, 4), size = 2 * pairs;
            const auto omega = s4d::legs_frequencies<T>(size);
            const auto V = s4d::legs_eigenvectors<T>(size);
            const auto S = s4d::legs_normal<T>(size).A;
            for (Index m = 0; m < pairs; ++m) {
              trial.equal(s4d::phase(size, omega(m)), T(T(2 * m + 1) * pi<T>() / T(2)), "arctan equation");
              trial.expect(T(0) < omega(m) && (m == 0 || omega(m) < omega(m - 1)), "decreasing");
              T length(0);
              Array<Complex<T>> v({size});
              for (Index i = 0; i < size; ++i) {
                length += norm(V(i, m));
                v(i) = V(i, m) / T(sqrt(T(2 * i + 1)));
              }
              trial.equal(length, T(1), "length");
              for (Index i = 0; i < size; ++i) {
                Complex<T> product(0);
                for (Index k = 0; k < size; ++k) product += S(i, k) * v(k);
                trial.equal(product, Complex<T>(T(-1) / T(2), omega(m)) * v(i), "eigenvector");
              }
            }
          });
}

void dss(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::same, "DSS softmax",
          "As defined, with stabilised rows and with the geometric series summed, the kernel is the same, "
          "for both signs of Re lambda; every row sums to 1; of length 1 it is Re sum W / lambda",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n");
            const auto& W = trial.in.complex["C"];
            for (const auto& lambda : {system_of(trial.in).lambda, trial.in.complex["minus_lambda"]}) {
              const auto scaled = s4d::scaled_by(lambda, trial.in["step"]());
              const auto K = s4d::softmax_kernel_stabilised(lambda, scaled, W, length);
              trial.equal(s4d::softmax_kernel(lambda, scaled, W, length), K, "as defined");
              trial.equal(s4d::softmax_kernel_closed(lambda, scaled, W, length), K, "closed form");
              const auto rows = s4d::softmax_rows_stabilised(scaled, length);
              Complex<T> weights(0);
              for (Index i = 0; i < trial.size("M"); ++i) {
                Complex<T> sum(0);
                for (Index l = 0; l < length; ++l) sum += rows(i, l);
                trial.equal(sum, Complex<T>(1), "row sum");
                weights += W(i) / lambda(i);
              }
              trial.equal(s4d::softmax_kernel(lambda, scaled, W, 1)(0), weights.re, "length 1");
            }
          })
      .law<Bounded<Real50>>(Kind::same, "DSS exp is half of S4D",
                            "With W = C B, twice the exp kernel is the ZOH kernel; twice the kernel without "
                            "scale has lambdabar and B = 1",
                            [](auto& trial) {
                              using T = ScalarOf<decltype(trial)>;
                              const Index length = trial.size("n");
                              const auto system = system_of(trial.in);
                              const auto scaled = s4d::scaled_by(system.lambda, trial.in["step"]());
                              auto discrete = zoh_of(trial.in);
                              auto W = system.C;
                              for (Index i = 0; i < trial.size("M"); ++i) W(i) *= system.B(i);
                              const auto K = s4d::kernel(discrete, length);
                              const auto half = s4d::exp_kernel(system.lambda, scaled, W, length);
                              discrete.B = Array<Complex<T>>(W.shape(), Complex<T>(1));
                              const auto plain = s4d::kernel(discrete, length);
                              const auto half_plain = s4d::exp_kernel_no_scale(scaled, system.C, length);
                              for (Index l = 0; l < length; ++l) {
                                trial.equal(T(T(2) * half(l)), K(l), "exp");
                                trial.equal(T(T(2) * half_plain(l)), plain(l), "exp without scale");
                              }
                            })
      .law<PrimeField, Rational>(Kind::erratum, "one step or two",
                                 "The code's separate steps of real and imaginary part are the paper's one "
                                 "step as long as they are equal",
                                 [](auto& trial) {
                                   const auto step = trial.in["step"]();
                                   const auto& lambda = trial.in.complex["minus_lambda"];
                                   trial.equal(s4d::scaled_by_parts(lambda, step, step),
                                               s4d::scaled_by(lambda, step), "scaled");
                                 });
}

void initialisations(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::invariant, "inverse transforms",
          "value(inverse(x)) = x for every parameterisation of the real part",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const T x = trial.number("x", Domain::positive), share = x / (T(1) + x);
            trial.equal(s4d::NoTransform::value(s4d::NoTransform::inverse(x)), x, "none");
            trial.equal(s4d::ExpTransform::value(s4d::ExpTransform::inverse(x)), x, "exp");
            trial.equal(s4d::SoftplusTransform::value(s4d::SoftplusTransform::inverse(x)), x, "softplus");
            trial.equal(s4d::SigmoidTransform::value(s4d::SigmoidTransform::inverse(share)), share,
                        "sigmoid");
            const T above = x + s4d::real_part_floor<T>();
            trial.equal(s4d::ReluTransform::value(s4d::ReluTransform::inverse(above)), above, "relu");
            trial.equal(s4d::SoftplusTransform::value(x), T(log(T(1) + exp(x))), "softplus, plainly");
          })
      .law<RationalExp2>(Kind::erratum, "relu starts too high",
                         "The code's inverse of relu gives back max(x, floor) and one floor more",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const T floor = s4d::real_part_floor<T>();
                           const T x = trial.number("x");
                           const T started = s4d::ReluTransform::value(s4d::ReluTransform::inverse_code(x));
                           trial.equal(started, T((x < floor ? floor : x) + floor), "started");
                         })
      .law<Bounded<Real50>>(
          Kind::invariant, "relations between initialisations",
          "Inv2 at 2n is Inv at n; (Inv + N/pi)^2 Quad = N^4 / pi^3; Lin turns by (-1)^n in a unit of time; "
          "the logarithms of Rand's frequencies are the normals; Real has the eigenvalues of LegS",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index pairs = trial.integer("pairs", 1, 5), size = 2 * pairs;
            const auto inv = s4d::inv<T>(size), inv2 = s4d::inv2<T>(size), lin = s4d::lin<T>(size);
            const auto quad = s4d::quad<T>(size), real = s4d::real<T>(size);
            const auto legs = hippo::legs_rational<T>(pairs);
            const auto normals = trial.array("normals", {pairs});
            const auto rand = s4d::rand(normals);
            for (Index m = 0; m < pairs; ++m) {
              if (2 * m < pairs) trial.equal(inv2(2 * m), inv(m), "Inv2");
              const T shifted = inv(m).im + T(size) / pi<T>();
              trial.equal(T(shifted * shifted * quad(m).im * pi<T>() * pi<T>() * pi<T>()),
                          T(size * size * size * size), "Quad");
              const Complex<T> turned = exp(lin(m));
              trial.equal(turned, Complex<T>(T((m % 2 == 0 ? T(1) : T(-1)) * exp(T(-1) / T(2)))), "Lin");
              trial.equal(T(log(rand(m).im)), normals(m), "Rand");
              trial.equal(real(m), Complex<T>(legs.A(m, m)), "Real");
              for (const auto& lambda : {inv(m), inv2(m), lin(m), quad(m), rand(m)}) {
                trial.equal(lambda.re, T(T(-1) / T(2)), "real part");
              }
            }
          })
      .once(Kind::erratum, "the constant of the largest frequency",
            "omega_0 - N^2/pi is -0.521250, -0.523451, -0.523590 for N = 16, 64, 256 and tends to -pi/6: the "
            "constant 0.5236 of the conjecture enters with a minus sign. Decided by the sign of the "
            "decreasing arctan sum at both ends of the printed digit",
            [](auto& check) {
              using R = Real50;
              const std::vector<std::pair<Index, std::string>> table{
                  {16, "-0.521250"}, {64, "-0.523451"}, {256, "-0.523590"}};
              for (const auto& [size, printed] : table) {
                const R middle = R(size * size) / pi<R>() + R(printed), half_unit = R("0.0000005");
                check.expect(s4d::phase<R>(size, middle - half_unit) > pi<R>() / 2, "lower end");
                check.expect(s4d::phase<R>(size, middle + half_unit) < pi<R>() / 2, "upper end");
              }
              check.expect(abs(R("-0.523590") + pi<R>() / 6) < abs(R("-0.523451") + pi<R>() / 6),
                           "towards -pi/6");
              check.expect(abs(R("-0.523451") + pi<R>() / 6) < abs(R("-0.521250") + pi<R>() / 6),
                           "towards -pi/6");
            })
      .once(Kind::statistical, "steps are log-uniform",
            "The logarithm of the step has the mean -4.60517 and the variance log(100)^2 / 12. By "
            "Hoeffding's inequality 130000 samples leave 1/100 of the range with a chance below 1e-10, for "
            "the mean and for the square of the distance from it",
            [](auto& check) {
              // 2 exp(-2 m t^2) < 1e-10 / 2 with t = 1/100 holds from m = log(4e10) / (2 t^2) = 122061 on.
              constexpr Index kSamples = 130000;
              const double low = std::log(1e-3), range = std::log(1e-1) - low;
              double mean = 0, square = 0;
              for (Index i = 0; i < kSamples; ++i) {
                const double uniform = static_cast<double>(hash({1, "uniform", i}, 1) >> 11) * 0x1p-53;
                const double place = (std::log(s4d::log_uniform_step(uniform, 1e-3, 1e-1)) - low) / range;
                mean += place / kSamples;
                square += (place - 0.5) * (place - 0.5) / kSamples;
              }
              // Sums of m doubles round by less than m units of the last place.
              const double rounding = static_cast<double>(kSamples) * 0x1p-52;
              check.within(Real50(mean), Real50(0.5), 0.01 + rounding, "mean, as a share of the range");
              check.within(Real50(square), Real50(1) / 12, 0.01 / 4 + rounding, "variance, as a share");
              check.digits(Real50(low + range / 2), "-4.60517", "mean of the logarithm");
              check.digits(Real50(range / std::sqrt(12.0)), "1.32940", "standard deviation");
              check.measure("mean", low + range * mean);
              check.measure("standard deviation", range * std::sqrt(square));
            });
}

/// What S4D-LegS is made of; solving for the frequencies takes most of the time.
struct DiagonalLegs {
  explicit DiagonalLegs(Index size)
      : lambda(s4d::legs<Real50>(size)),
        B(s4d::legs_input<Real50>(size)),
        V(s4d::legs_eigenvectors<Real50>(size)) {}
  Array<Complex<Real50>> lambda, B, V;
};

/// The largest difference of the ZOH kernels of diagonal LegS and of LegS, over the largest value of the
/// latter.
Real50 kernel_distance(const DiagonalLegs& legs, Index row, const Real50& step) {
  using R = Real50;
  constexpr Index kLength = 512;
  s4d::System<R> diagonal{legs.lambda, legs.B, legs.B, R(0)};
  for (Index m = 0; m < legs.B.extent(0); ++m) {
    diagonal.B(m) = diagonal.B(m) / R(2);
    diagonal.C(m) = legs.V(row, m);
  }
  const auto K = s4d::kernel(s4d::zoh(diagonal, step), kLength);
  R worst(0), largest(0);
  // The ZOH kernel of LegS is the integral of a Legendre polynomial between e^{-(l+1) Delta} and e^{-l
  // Delta}.
  for (Index l = 0; l < kLength; ++l) {
    const auto upper = hippo::legendre_integral<R>(row + 1, exp(-R(l) * step));
    const auto lower = hippo::legendre_integral<R>(row + 1, exp(-R(l + 1) * step));
    const R dense = (upper(row) - lower(row)) * sqrt(R(2 * row + 1));
    worst = maximum(worst, R(abs(K(l) - dense)));
    largest = maximum(largest, R(abs(dense)));
  }
  return worst / largest;
}

void convergence(EntryBuilder& entry) {
  entry.once(Kind::converges, "diagonal LegS tends to LegS",
             "The largest distance of the ZOH kernels, over the largest value, 512 lags: with Delta = 1/10 "
             "and the read-out e_0 0.22541 and 0.04406 for N = 16 and 64, with e_3 0.45875 and 0.07845; with "
             "Delta = 1/100 and e_0 0.70957 and 0.27697. Computed with 50 digits",
             [](auto& check) {
               struct Line {
                 Index row;
                 Index inverse_step;
                 const char *at_16, *at_64;
               };
               const DiagonalLegs legs_16(16), legs_64(64);
               for (const Line& line : {Line{0, 10, "0.22541", "0.04406"}, Line{3, 10, "0.45875", "0.07845"},
                                        Line{0, 100, "0.70957", "0.27697"}}) {
                 const Real50 step = Real50(1) / Real50(line.inverse_step);
                 check.digits(kernel_distance(legs_16, line.row, step), line.at_16, "N = 16");
                 check.digits(kernel_distance(legs_64, line.row, step), line.at_64, "N = 64");
               }
             });
}

void costs(EntryBuilder& entry) {
  const Expression kernel_multiplications = 4 * M + n + 8 * M * (n - 1);
  const Expression kernel_additions = 4 * M - 2 + (n - 1) * (6 * M - 2);
  Cost recurrent("recurrent");
  recurrent.multiplications = n * (10 * M + 2) + 16 * M;
  recurrent.additions = n * (8 * M - 1) + 9 * M;
  recurrent.divisions = 5 * M;
  recurrent.depth = 3 * n + M + 9;
  recurrent.state = 2 * M;
  Cost convolution("convolution");
  convolution.multiplications = 20 * M + 2 * kernel_multiplications + n * (n + 1) / 2 + n;
  convolution.additions = 11 * M + 2 * kernel_additions + n * (n - 1) / 2 + 2 * n;
  convolution.divisions = 5 * M;
  convolution.state = n;
  Cost scan("scan");
  scan.divisions = 5 * M;
  // A round adds 3 to an offset that comes from the earlier stretch and 1 to one that was there; of the
  // ceil(log2 n) rounds at most floor(log2 n) can be of the first kind on one path.
  const Expression rounds = ceil_log2(n), joins = ceil_log2(n + 1) - 1;
  scan.depth = max(2 * rounds + 8, rounds + 2 * joins + 7) + M + 4;
  scan.state = 2 * M;
  Cost held("zoh_recurrent");
  held.exponentials = 3 * M;
  held.functions = 5 * M;
  entry.cost(recurrent).cost(convolution).cost(scan).cost(held);
}

void examples(EntryBuilder& entry) {
  entry
      .example("worked example", "S4D-Lin with N = 4, Delta = 1/8, 8 lags; DSS with the same numbers",
               [](auto& check) {
                 using R = Real50;
                 const auto expect = [&](const Array<R>& K, const std::vector<std::string>& printed) {
                   for (std::size_t l = 0; l < printed.size(); ++l) {
                     check.digits(K.values()[l], printed[l], "lag " + std::to_string(l));
                   }
                 };
                 const R step = R(1) / 8;
                 const s4d::System<R> system{
                     s4d::lin<R>(4), Array<Complex<R>>({2}, Complex<R>(1)),
                     Array<Complex<R>>::vector({Complex<R>(1), Complex<R>(R(1) / 2, -R(1) / 4)}), R(0)};
                 expect(s4d::kernel(s4d::zoh(system, step), 8),
                        {"0.372102239445435", "0.353156222507235", "0.317192618557365", "0.269513765160954",
                         "0.216636964419298", "0.165188470146924", "0.120911891815417", "0.087922999501182"});
                 expect(
                     s4d::kernel(s4d::bilinear(system, step), 8),
                     {"0.370531584451446", "0.352288116050183", "0.317466599109128", "0.271010349888268",
                      "0.219088493276831", "0.168064678077810", "0.123555288042565", "0.0897020988681216"});
                 expect(s4d::softmax_kernel(system.lambda, s4d::scaled_by(system.lambda, step), system.C, 8),
                        {"-0.348346131427734", "-0.328360871819352", "-0.303932825301761",
                         "-0.276660520157609", "-0.248523751018050"});
               })
      .example("worked example of S4D-LegS", "N = 4: the dense kernel, the diagonal data, and N = 64",
               [](auto& check) {
                 using R = Real50;
                 using Q = Rational;
                 const auto K = hippo::kernel(hippo::bilinear(s4d::legs_normal<Q>(4), Q(Q(1) / Q(8))),
                                              Array<Q>({4}, Q(1)), 6);
                 check.equal(K(0), Q("34/129"), "lag 0");
                 check.equal(K(1), Q("221582/859785"), "lag 1");
                 check.equal(K(2), Q("3350217158/17191401075"), "lag 2");
                 check.equal(K(3), Q("1260171910266/12731187573875"), "lag 3");
                 check.digits(R(K(4)), "0.000958346725186726", "lag 4");
                 check.digits(R(K(5)), "-0.0710737987511366", "lag 5");
                 const auto omega = s4d::legs_frequencies<R>(4);
                 check.digits(omega(0), "4.6032930070668487", "frequency 0");
                 check.digits(omega(1), "0.5565011150837434", "frequency 1");
                 const auto B = s4d::legs_input<R>(4);
                 check.digits(B(0).re, "2.6580150700678287", "input 0");
                 check.digits(B(1).re, "0.9669311698835215", "input 1");
                 const std::vector<std::string> legs{"1303.27384", "433.03076", "258.15221", "182.62041"};
                 const std::vector<std::string> inv{"1283.42546", "414.22727", "240.38763", "165.88492"};
                 const auto legs_64 = s4d::legs_frequencies<R>(64);
                 const auto inv_64 = s4d::inv<R>(64);
                 for (std::size_t m = 0; m < legs.size(); ++m) {
                   check.digits(legs_64.values()[m], legs[m], "LegS");
                   check.digits(inv_64.values()[m].im, inv[m], "Inv");
                 }
                 check.digits(legs_64(31), "0.263857", "smallest of LegS");
                 check.digits(inv_64(31).im, "0.323362", "smallest of Inv");
                 for (Index m = 1; m < 32; ++m)
                   check.expect(legs_64(m) < legs_64(m - 1), "strictly decreasing");
               });
}

const Registration<EntryBuilder> registration{"s4d", [](EntryBuilder& entry) {
                                                describe(entry);
                                                bilinear_forms(entry);
                                                zoh_forms(entry);
                                                identities(entry);
                                                invariants(entry);
                                                limits(entry);
                                                against_legs(entry);
                                                dss(entry);
                                                initialisations(entry);
                                                convergence(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
