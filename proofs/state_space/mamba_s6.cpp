/// \file
/// The entry of Mamba's selective scan (S6): forms, laws, costs. Its text is
/// `reference/state_space/mamba_s6.hpp`.
#include "reference/state_space/mamba_s6.hpp"

#include <limits>
#include <string>
#include <vector>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

namespace s6 = mamba_s6;

const Expression n = symbol("n"), groups = symbol("groups"), width = symbol("width"), N = symbol("N"),
                 chunk = symbol("chunk"), D = groups * width;

/// Where there is no logarithm a square stands for softplus: no law of the scan asks how a step was made, and
/// 4 (1 + x^2) times a rate -2^k with k >= -2 is an integer, as 2^x needs.
template <Exponential T>
T stand_in(const T& raw) {
  return T(4) * (T(1) + raw * raw);
}

/// The step lengths, and the derivative of each by its raw number.
template <Exponential T>
Array<T> steps_of(const Arrays<T>& in, bool slope = false) {
  const Array<T>&raw = in["raw_step"], &bias = in["step_bias"];
  if constexpr (Real<T>) {
    if (!slope) return s6::step_lengths(raw, bias);
  }
  Array<T> result(raw.shape());
  for (Index t = 0; t < raw.extent(0); ++t) {
    for (Index d = 0; d < raw.extent(1); ++d) {
      const T x = raw(t, d) + bias(d);
      if constexpr (Real<T>) {
        result(t, d) = T(1) / (T(1) + exp(-x));
      } else {
        result(t, d) = slope ? T(8) * x : stand_in(x);
      }
    }
  }
  return result;
}

/// The mixer's input. Gate, skip and initial state may be left out.
template <Exponential T>
s6::Input<T> input_of(const Arrays<T>& in) {
  const Array<T>& log_rate = in["log_rate"];
  s6::Input<T> input{in["signal"],
                     steps_of(in),
                     s6::rates(log_rate),
                     in["B"],
                     in["C"],
                     Array<T>(log_rate.shape()),
                     Array<T>({log_rate.extent(0)}),
                     {}};
  if (in.real.contains("initial_state")) input.initial_state = in["initial_state"];
  if (in.real.contains("skip")) input.skip = in["skip"];
  if (in.real.contains("gate")) input.gate = in["gate"];
  return input;
}

template <Ring T>
Arrays<T> arrays_of(const s6::Output<T>& out) {
  Arrays<T> arrays;
  arrays.real["output"] = out.output;
  arrays.real["state"] = out.state;
  return arrays;
}

/// The arrays of the gradients, carried on to raw step, bias and logarithm of the rate.
template <Exponential T>
Arrays<T> arrays_of(const s6::Gradient<T>& d, const s6::Input<T>& input, const Arrays<T>& in) {
  Arrays<T> arrays;
  arrays.real = {{"d_signal", d.signal}, {"d_B", d.B},        {"d_C", d.C},
                 {"d_skip", d.skip},     {"d_gate", *d.gate}, {"d_initial_state", d.initial_state}};
  const Array<T> slope = steps_of(in, true);
  Array<T> raw = d.step, bias({input.rate.extent(0)}), log_rate = d.rate;
  for (Index d_ = 0; d_ < raw.extent(1); ++d_) {
    for (Index t = 0; t < raw.extent(0); ++t) {
      raw(t, d_) *= slope(t, d_);
      bias(d_) += raw(t, d_);
    }
    for (Index i = 0; i < log_rate.extent(1); ++i) log_rate(d_, i) *= input.rate(d_, i);
  }
  arrays.real["d_raw_step"] = raw;
  arrays.real["d_step_bias"] = bias;
  arrays.real["d_log_rate"] = log_rate;
  return arrays;
}

void describe(EntryBuilder& entry) {
  entry
      .about("state_space", "Mamba (S6, selective scan)",
             "A diagonal state space model in which every token chooses how long its step is, what it writes "
             "and what it reads; all states come out of an associative scan.",
             {"gu2023mamba", "blelloch1990prefix", "hillis1986data"})
      .size("n", 40, 6)
      .size("groups", 2, 2)
      .size("width", 2, 2)
      .size("N", 3, 2)
      .parameter({"chunk", 64, 1, n + 2, "tokens in a chunk; the last one may be shorter", {}})
      .input("signal", {n, D}, Domain::any, "the input: one number for each token and channel (u)")
      .input("raw_step", {n, D}, Domain::logit, "from which softplus makes the step lengths (delta)")
      .input("step_bias", {D}, Domain::logit, "added to the raw step (b)")
      .input("log_rate", {D, N}, Domain::logit, "logarithm of minus the rate of each state (of -A)")
      .input("B", {n, groups, N}, Domain::any, "how each token drives the states")
      .input("C", {n, groups, N}, Domain::any, "how the states are read at each token")
      .input("skip", {D}, Domain::any, "how the input reaches the output past the states (D)")
      .input("gate", {n, D}, Domain::logit, "what SiLU makes the factor of each output from (z)")
      .input("initial_state", {D, N}, Domain::any, "the states before the first token")
      .output("output", {n, D}, "what each token reads, gated")
      .output("state", {D, N}, "the states after the last token");
}

void forms(EntryBuilder& entry) {
  entry
      .form("recurrent", "the definition with the Euler step of the released code: token after token",
            []<Exponential T>(const Arrays<T>& in, const Settings&) {
              const auto input = input_of(in);
              return arrays_of(s6::finished(input, s6::recurrent(s6::euler(input))));
            })
      .form("quadratic", "Euler: one lower triangular matrix for each channel",
            []<Exponential T>(const Arrays<T>& in, const Settings&) {
              const auto input = input_of(in);
              auto unit = input;
              unit.signal = Array<T>(input.signal.shape(), T(1));
              const s6::Output<T> read{s6::quadratic(s6::euler(unit), input.signal), {}};
              Arrays<T> arrays;
              arrays.real["output"] = s6::finished(input, read).output;
              return arrays;
            })
      .form("hillis_steele", "Euler: the scan in the fewest rounds",
            []<Exponential T>(const Arrays<T>& in, const Settings&) {
              const auto input = input_of(in);
              return arrays_of(s6::finished(input, s6::hillis_steele(s6::euler(input))));
            })
      .form("blelloch", "Euler: the scan with the fewer combinations",
            []<Exponential T>(const Arrays<T>& in, const Settings&) {
              const auto input = input_of(in);
              return arrays_of(s6::finished(input, s6::blelloch(s6::euler(input))));
            })
      .form("chunked", "Euler: a scan inside chunks, the states from chunk to chunk, as the released kernel",
            []<Exponential T>(const Arrays<T>& in, const Settings& settings) {
              const auto input = input_of(in);
              return arrays_of(s6::finished(input, s6::chunked(s6::euler(input), at(settings, "chunk"))));
            })
      .form("zoh_recurrent", "with the zero-order hold of the paper: token after token",
            []<Exponential T>(const Arrays<T>& in, const Settings&) {
              const auto input = input_of(in);
              return arrays_of(s6::finished(input, s6::recurrent(s6::zero_order_hold(input))));
            })
      .form("zoh_blelloch", "zero-order hold: the scan with the fewer combinations",
            []<Exponential T>(const Arrays<T>& in, const Settings&) {
              const auto input = input_of(in);
              return arrays_of(s6::finished(input, s6::blelloch(s6::zero_order_hold(input))));
            })
      .backward("backward", "Euler: closed form by the scan from the end",
                []<Exponential T>(const Arrays<T>& in, const Settings&) {
                  const auto input = input_of(in);
                  return arrays_of(
                      s6::backward<s6::Euler>(input, s6::euler(input), in["d_output"], in["d_state"]), input,
                      in);
                })
      .backward("zoh_backward", "zero-order hold: closed form by the scan from the end",
                []<Exponential T>(const Arrays<T>& in, const Settings&) {
                  const auto input = input_of(in);
                  return arrays_of(s6::backward<s6::ZeroOrderHold>(input, s6::zero_order_hold(input),
                                                                   in["d_output"], in["d_state"]),
                                   input, in);
                });
}

void identities(EntryBuilder& entry) {
  for (const char* form : {"quadratic", "hillis_steele", "blelloch", "chunked"}) {
    entry.standard(laws::same(form, "recurrent")).standard(laws::causal(form, "n"));
  }
  entry.standard(laws::same("zoh_blelloch", "zoh_recurrent"))
      .standard(laws::causal("recurrent", "n"))
      .standard(laws::causal("zoh_recurrent", "n"));
  for (const char* form : {"recurrent", "hillis_steele", "blelloch", "chunked", "zoh_recurrent"}) {
    entry.standard(laws::split(form, "n", {{"state", "initial_state"}}));
  }
  entry.standard(laws::gradient("recurrent", "backward"))
      .standard(laws::gradient("chunked", "backward"))
      .standard(laws::gradient("zoh_recurrent", "zoh_backward"));
}

// ---- scans with given coefficients -------------------------------------------------------------

/// Coefficients in general position: what the scan is given, however it was discretised.
template <class AnyTrial>
auto given(const AnyTrial& trial, Domain decay = Domain::gate) {
  using T = ScalarOf<AnyTrial>;
  const Index length = trial.size("n"), G = trial.size("groups"), channels = G * trial.size("width"),
              states = trial.size("N");
  return s6::Coefficients<T>{trial.array("decay", {length, channels, states}, decay),
                             trial.array("added", {length, channels, states}),
                             trial.array("read", {length, G, states}),
                             trial.array("start", {channels, states})};
}

/// The first rows of an array, then `more` rows that hold `fill`.
template <class T>
Array<T> grown(const Array<T>& array, Index more, const T& fill) {
  Shape shape = array.shape();
  shape[0] += more;
  Array<T> longer(shape, fill);
  for (std::size_t i = 0; i < array.values().size(); ++i) longer.values()[i] = array.values()[i];
  return longer;
}

/// The rows from `first` on.
template <class T>
Array<T> rows_from(const Array<T>& array, Index first) {
  Shape shape = array.shape();
  const Index row = array.size() / shape[0];
  shape[0] -= first;
  return Array<T>(shape, {array.values().begin() + first * row, array.values().end()});
}

/// The pairs from `first` up to `last`, combined in brackets that are drawn.
template <class AnyTrial, class T>
s6::Pair<T> bracketed(const AnyTrial& trial, const std::vector<s6::Pair<T>>& p, Index first, Index last) {
  if (last - first == 1) return p[static_cast<std::size_t>(first)];
  const std::string name = "cut " + std::to_string(first) + " " + std::to_string(last);
  const Index cut = first + trial.integer(name, 1, last - first - 1);
  return s6::after(bracketed(trial, p, first, cut), bracketed(trial, p, cut, last));
}

/// Coefficients of one channel for a signal of 1, from those of all channels.
template <class T>
s6::Coefficients<T> channel(const s6::Coefficients<T>& all, Index d) {
  const Index length = all.decay.extent(0), channels = all.decay.extent(1), states = all.decay.extent(2);
  const Index group = s6::group_of(d, channels, all.C.extent(1));
  s6::Coefficients<T> one{Array<T>({length, 1, states}), Array<T>({length, 1, states}),
                          Array<T>({length, 1, states}), Array<T>({1, states})};
  for (Index i = 0; i < states; ++i) {
    one.initial_state(0, i) = all.initial_state(d, i);
    for (Index t = 0; t < length; ++t) {
      one.decay(t, 0, i) = all.decay(t, d, i);
      one.added(t, 0, i) = all.added(t, d, i);
      one.C(t, 0, i) = all.C(t, group, i);
    }
  }
  return one;
}

/// The coefficients with what is added multiplied by a signal.
template <class T, class K>
s6::Coefficients<K> driven(s6::Coefficients<K> unit, const Array<T>& signal) {
  for (Index t = 0; t < unit.added.extent(0); ++t) {
    for (Index d = 0; d < unit.added.extent(1); ++d) {
      for (Index i = 0; i < unit.added.extent(2); ++i)
        unit.added(t, d, i) = unit.added(t, d, i) * signal(t, d);
    }
  }
  return unit;
}

void scans(EntryBuilder& entry) {
  entry
      .law<PrimeField>(
          Kind::same, "scans with given coefficients",
          "For any decays, 0 included, the matrix, both scans and the chunks give the outputs and states of "
          "the recurrence; so do quotients of running products where no decay is 0",
          [](auto& trial) {
            const auto unit = given(trial);
            const auto signal = trial.array("u", {unit.decay.extent(0), unit.decay.extent(1)});
            const auto in = driven(unit, signal);
            const auto truth = arrays_of(s6::recurrent(in));
            trial.equal(s6::quadratic(unit, signal), truth["output"], "quadratic");
            trial.equal(arrays_of(s6::hillis_steele(in)), truth, "Hillis-Steele");
            trial.equal(arrays_of(s6::blelloch(in)), truth, "Blelloch");
            trial.equal(arrays_of(s6::chunked(in, trial.size("chunk"))), truth, "chunked");
            const auto invertible = given(trial, Domain::nonzero);
            trial.equal(arrays_of(s6::by_division(invertible)), arrays_of(s6::recurrent(invertible)),
                        "by division");
          })
      .law<PrimeField>(Kind::same, "any bracketing",
                       "However the pairs of the tokens are bracketed, applied to the initial state they "
                       "give the last state of the recurrence; any two bracketings give the same pair",
                       [](auto& trial) {
                         const auto in = given(trial);
                         const Index length = in.decay.extent(0);
                         const auto p = s6::pairs(in, 0, 0, 0, length);
                         const auto drawn = bracketed(trial, p, 0, length);
                         trial.equal(s6::applied(drawn, in.initial_state(0, 0)),
                                     s6::recurrent(in).state(0, 0), "state");
                         auto scanned = p;
                         s6::blelloch(scanned, {}, s6::after<ScalarOf<decltype(trial)>>);
                         trial.equal(scanned.back().factor, drawn.factor, "factor");
                         trial.equal(scanned.back().offset, drawn.offset, "offset");
                       })
      .law<PrimeField>(
          Kind::invariant, "the operator",
          "Joining is associative, has the identity (1, 0), is a product of matrices (a b; 0 1) with the "
          "later one on the left, and is applied to a state one after the other",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto pair = [&](const std::string& name) {
              return s6::Pair<T>{trial.number(name + " a"), trial.number(name + " b")};
            };
            const auto equal = [&](const s6::Pair<T>& left, const s6::Pair<T>& right, const char* what) {
              trial.equal(left.factor, right.factor, what);
              trial.equal(left.offset, right.offset, what);
            };
            const auto x = pair("x"), y = pair("y"), z = pair("z");
            equal(s6::after(s6::after(x, y), z), s6::after(x, s6::after(y, z)), "associative");
            equal(s6::after({}, x), x, "identity before");
            equal(s6::after(x, {}), x, "identity after");
            const T rows[2][2] = {{y.factor, y.offset}, {T(0), T(1)}};
            const auto both = s6::after(x, y);
            trial.equal(both.factor, rows[0][0] * x.factor + rows[0][1] * T(0), "first entry of the product");
            trial.equal(both.offset, rows[0][0] * x.offset + rows[0][1] * T(1), "second entry");
            const T h = trial.number("h");
            trial.equal(s6::applied(both, h), s6::applied(y, s6::applied(x, h)), "applied");
          })
      .law<PrimeField>(
          Kind::invariant, "linear in what is added and in the initial state",
          "The outputs for x a + y b in the place of added and initial state are x and y times the outputs; "
          "an initial state alone is read through the product of all decays",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const T x = trial.number("x"), y = trial.number("y");
            const auto a = given(trial);
            auto b = a, mixed = a, silent = a;
            b.added = trial.array("other added", a.added.shape());
            b.initial_state = trial.array("other start", a.initial_state.shape());
            silent.added = Array<T>(a.added.shape());
            for (std::size_t i = 0; i < a.added.values().size(); ++i) {
              mixed.added.values()[i] = x * a.added.values()[i] + y * b.added.values()[i];
            }
            for (std::size_t i = 0; i < a.initial_state.values().size(); ++i) {
              mixed.initial_state.values()[i] =
                  x * a.initial_state.values()[i] + y * b.initial_state.values()[i];
            }
            const auto of_a = s6::blelloch(a).output, of_b = s6::blelloch(b).output;
            const auto of_both = s6::blelloch(mixed).output,
                       echo = s6::chunked(silent, trial.size("chunk")).output;
            for (std::size_t i = 0; i < of_a.values().size(); ++i) {
              trial.equal(of_both.values()[i], x * of_a.values()[i] + y * of_b.values()[i], "output");
            }
            const auto one = channel(a, 0);
            std::vector<T> left(one.initial_state.values().begin(), one.initial_state.values().end());
            for (Index t = 0; t < trial.size("n"); ++t) {
              T sum(0);
              for (Index i = 0; i < trial.size("N"); ++i) {
                left[static_cast<std::size_t>(i)] *= one.decay(t, 0, i);
                sum += one.C(t, 0, i) * left[static_cast<std::size_t>(i)];
              }
              trial.equal(echo(t, 0), sum, "echo");
            }
          })
      .law<PrimeField>(Kind::invariant, "padding",
                       "Identities after the last token keep the state; tokens that add nothing but decay do "
                       "not: they fade it by their decays",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         const auto in = given(trial);
                         const Index more = trial.integer("padding", 1, 5);
                         const T factor = trial.number("factor");
                         const auto before = s6::recurrent(in).state;
                         for (const T& decay : {T(1), factor}) {
                           const s6::Coefficients<T> padded{grown(in.decay, more, decay),
                                                            grown(in.added, more, T(0)),
                                                            grown(in.C, more, factor), in.initial_state};
                           const auto state = s6::chunked(padded, trial.size("chunk")).state;
                           T left(1);
                           for (Index r = 0; r < more; ++r) left *= decay;
                           for (std::size_t i = 0; i < before.values().size(); ++i) {
                             trial.equal(state.values()[i], left * before.values()[i], "state");
                           }
                         }
                       })
      .law<PrimeField>(
          Kind::invariant, "a decay of 0 restarts the scan",
          "From a token on whose decays are 0, all is as if the sequence began there, in both scans",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto in = given(trial);
            const Index reset = trial.integer("reset", 0, trial.size("n") - 1);
            for (Index d = 0; d < in.decay.extent(1); ++d) {
              for (Index i = 0; i < in.decay.extent(2); ++i) in.decay(reset, d, i) = T(0);
            }
            const s6::Coefficients<T> rest{rows_from(in.decay, reset), rows_from(in.added, reset),
                                           rows_from(in.C, reset), Array<T>(in.initial_state.shape())};
            const auto truth = s6::recurrent(rest);
            for (const auto& out : {s6::hillis_steele(in), s6::blelloch(in)}) {
              trial.equal(rows_from(out.output, reset), truth.output, "output");
              trial.equal(out.state, truth.state, "state");
            }
          })
      .law<PrimeField>(Kind::invariant, "constant coefficients are a convolution",
                       "With the same decay, drive and C at every token the outputs are the input convolved "
                       "with K_l = sum C decay^l drive",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         auto unit = channel(given(trial), 0);
                         unit.initial_state = Array<T>(unit.initial_state.shape());
                         const Index length = trial.size("n");
                         Array<T> K({length}), u({length});
                         const auto signal = trial.array("u", {length, 1});
                         for (Index i = 0; i < trial.size("N"); ++i) {
                           T power(1);
                           for (Index t = 0; t < length; ++t) {
                             unit.decay(t, 0, i) = unit.decay(0, 0, i);
                             unit.added(t, 0, i) = unit.added(0, 0, i);
                             unit.C(t, 0, i) = unit.C(0, 0, i);
                             K(t) += unit.C(0, 0, i) * power * unit.added(0, 0, i);
                             power *= unit.decay(0, 0, i);
                           }
                         }
                         for (Index t = 0; t < length; ++t) u(t) = signal(t, 0);
                         const auto y = s4d::convolution(K, T(0), u);
                         const auto out = s6::blelloch(driven(unit, signal)).output;
                         for (Index t = 0; t < length; ++t) trial.equal(out(t, 0), y(t), "output");
                       })
      .law<PrimeField>(
          Kind::gradient, "the backward pass is a scan",
          "g_t = C_t dy_t + decay_{t+1} g_{t+1}, run as a scan over the reversed tokens, gives the gradient "
          "of what is added; with it <added, d added> + <h_0, dh_0> = <y, dy> + <h_n, dh_n>",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto in = given(trial);
            const Index length = in.decay.extent(0), channels = in.decay.extent(1),
                        states = in.decay.extent(2);
            const auto d_output = trial.array("d_output", {length, channels});
            const auto d_state = trial.array("d_state", {channels, states});
            const auto d = s6::backward(in, d_output, d_state);
            const auto out = s6::recurrent(in);
            T inputs_side(0), outputs_side(0);
            for (Index c = 0; c < channels; ++c) {
              for (Index t = 0; t < length; ++t) outputs_side += out.output(t, c) * d_output(t, c);
              for (Index i = 0; i < states; ++i) {
                std::vector<s6::Pair<T>> reversed;
                for (Index t = length - 1; t >= 0; --t) {
                  const T fade = t + 1 < length ? in.decay(t + 1, c, i) : T(1);
                  reversed.push_back(
                      {fade, in.C(t, s6::group_of(c, channels, in.C.extent(1)), i) * d_output(t, c)});
                }
                s6::blelloch(reversed, {}, s6::after<T>);
                for (Index t = 0; t < length; ++t) {
                  trial.equal(s6::applied(reversed[static_cast<std::size_t>(length - 1 - t)], d_state(c, i)),
                              d.added(t, c, i), "g");
                  inputs_side += in.added(t, c, i) * d.added(t, c, i);
                }
                inputs_side += in.initial_state(c, i) * d.initial_state(c, i);
                outputs_side += out.state(c, i) * d_state(c, i);
              }
            }
            trial.equal(inputs_side, outputs_side, "inner products");
          })
      .once(Kind::same, "scans of any associative operator",
            "Words under concatenation decide it for every associative operator: for n = 1 ... 70 both scans "
            "turn letters into all prefixes, in their order",
            [](auto& check) {
              for (std::size_t length = 1; length <= 70; ++length) {
                std::string word;
                std::vector<std::string> letters;
                for (std::size_t t = 0; t < length; ++t) letters.emplace_back(1, static_cast<char>('!' + t));
                auto doubled = letters, by_tree = letters;
                s6::hillis_steele(doubled, std::plus<std::string>());
                s6::blelloch(by_tree, std::string(), std::plus<std::string>());
                for (std::size_t t = 0; t < length; ++t) {
                  word += letters[t];
                  check.expect(doubled[t] == word, "Hillis-Steele, n = " + std::to_string(length));
                  check.expect(by_tree[t] == word, "Blelloch, n = " + std::to_string(length));
                }
              }
            })
      .once(Kind::invariant, "joining does not commute",
            "(1/2, 1) and (1/4, 2) join to (1/8, 9/4) in this order and to (1/8, 2) in the other",
            [](auto& check) {
              using R = Rational;
              const s6::Pair<R> x{R(1) / R(2), R(1)}, y{R(1) / R(4), R(2)};
              check.equal(s6::after(x, y).offset, R(R(9) / R(4)), "x then y");
              check.equal(s6::after(y, x).offset, R(2), "y then x");
            });
}

// ---- discretisation ----------------------------------------------------------------------------

/// One channel with one state: C = 1, no skip, no gate, the same rate, B and input at every token.
template <class T>
s6::Input<T> single(const std::vector<T>& steps, const T& rate, const T& b, const T& u, const T& h) {
  const auto length = static_cast<Index>(steps.size());
  const Array<T> ones({length, 1, 1}, T(1));
  return {Array<T>({length, 1}, u),
          Array<T>({length, 1}, steps),
          Array<T>({1, 1}, rate),
          Array<T>({length, 1, 1}, b),
          ones,
          Array<T>({1, 1}, h),
          Array<T>({1}),
          {}};
}

/// The state that `single` ends in.
template <class T>
T held_state(const std::vector<T>& steps, const T& rate, const T& b, const T& u, const T& h) {
  return s6::recurrent(s6::zero_order_hold(single(steps, rate, b, u, h))).state(0, 0);
}
template <class T>
T euler_state(const std::vector<T>& steps, const T& rate, const T& b, const T& u, const T& h) {
  return s6::recurrent(s6::euler(single(steps, rate, b, u, h))).state(0, 0);
}

/// A gated RNN as in Theorem 1: N = 1, A = -1, B = C = 1.
template <class T>
s6::Input<T> gated_rnn(const Array<T>& step, const Array<T>& u) {
  const Array<T> ones({step.extent(0), 1, 1}, T(1));
  return {u, step, Array<T>({1, 1}, T(-1)), ones, ones, Array<T>({1, 1}), Array<T>({1}), {}};
}

void discretisations(EntryBuilder& entry) {
  entry
      .law<RationalExp2>(Kind::invariant, "a held input does not see how time is cut",
                         "With input and B held, a step Delta_1 and a step Delta_2 are one step Delta_1 + "
                         "Delta_2 for zero-order hold, at the rate 0 too. For the Euler step they differ, "
                         "unless the rate is 0, by (e^{Delta_2 A} - 1) Delta_1 B u",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const T first(trial.integer("first", 0, 4)), second(trial.integer("second", 0, 4));
                           const T rate(-trial.integer("rate", 0, 3)),
                               b = trial.number("b"), u = trial.number("u"), h = trial.number("h");
                           trial.equal(held_state({first, second}, rate, b, u, h),
                                       held_state({T(first + second)}, rate, b, u, h), "zero-order hold");
                           trial.equal(T(euler_state({first, second}, rate, b, u, h) -
                                         euler_state({T(first + second)}, rate, b, u, h)),
                                       T((exp(second * rate) - T(1)) * first * b * u), "Euler");
                         })
      .law<RationalExp2>(
          Kind::invariant, "where a held input leads",
          "A step takes e^{Delta A} of the distance to -B u / A (zero-order hold) or to Delta B u / (1 - "
          "e^{Delta A}) (Euler) that there was, so these are the steady states; a long Euler step ends near "
          "Delta B u instead, which has no limit",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const T step(trial.integer("step", 1, 30)), rate(-trial.integer("rate", 1, 3));
            const T b = trial.number("b"), u = trial.number("u"), h = trial.number("h");
            const T decay = exp(step * rate), rest = -b * u / rate, euler = step * b * u / (T(1) - decay);
            trial.equal(T(held_state({step}, rate, b, u, h) - rest), T(decay * (h - rest)),
                        "zero-order hold");
            trial.equal(T(euler_state({step}, rate, b, u, h) - euler), T(decay * (h - euler)), "Euler");
            trial.equal(T(euler_state({step}, rate, b, u, h) - step * b * u), T(decay * h),
                        "long Euler step");
          })
      .law<RationalExp2>(Kind::invariant, "a step of length 0 passes the token by",
                         "With Delta_t = 0 the token's pair is the identity, in both discretisations; it is "
                         "seen through the skip alone",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           auto input = input_of(trial.in);
                           const Index t = trial.integer("token", 0, trial.size("n") - 1);
                           for (Index d = 0; d < input.step.extent(1); ++d) input.step(t, d) = T(0);
                           for (const auto& scan : {s6::euler(input), s6::zero_order_hold(input)}) {
                             for (Index d = 0; d < input.step.extent(1); ++d) {
                               for (Index i = 0; i < input.rate.extent(1); ++i) {
                                 trial.equal(scan.decay(t, d, i), T(1), "decay");
                                 trial.equal(scan.added(t, d, i), T(0), "added");
                               }
                             }
                           }
                         })
      .law<RationalExp2>(
          Kind::invariant, "channels are independent",
          "Given B and C, nothing that is changed in one channel changes another's outputs or states",
          [](auto& trial) {
            auto changed = trial.in;
            const Index channels = trial.in["skip"].extent(0),
                        odd = trial.integer("channel", 0, channels - 1);
            for (const char* name : {"signal", "raw_step", "gate"}) {
              const auto other = trial.array(std::string("other ") + name, {trial.size("n")}, Domain::logit);
              for (Index t = 0; t < trial.size("n"); ++t) changed.real[name](t, odd) = other(t);
            }
            for (Index i = 0; i < trial.size("N"); ++i)
              changed.real["log_rate"](odd, i) = trial.number("l", Domain::logit);
            for (const char* form : {"chunked", "zoh_blelloch"}) {
              const auto before = trial.run(form), after = trial.run(form, changed);
              for (Index d = 0; d < channels; ++d) {
                if (d == odd) continue;
                for (Index t = 0; t < trial.size("n"); ++t) {
                  trial.equal(after["output"](t, d), before["output"](t, d), "output");
                }
                for (Index i = 0; i < trial.size("N"); ++i) {
                  trial.equal(after["state"](d, i), before["state"](d, i), "state");
                }
              }
            }
          })
      .law<RationalExp2>(
          Kind::invariant, "groups share B and C",
          "With G groups the mixer is G mixers side by side, each with the B and C of one group for D / G "
          "consecutive channels",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index G = trial.size("groups"), channels = trial.size("width"), states = trial.size("N");
            const auto whole = trial.run("chunked");
            Settings settings = trial.drawn().settings;
            settings["groups"] = 1;
            // The share of group g in an array whose rows have one part for each group.
            const auto share = [&](const std::string& name, Shape shape, Index g) {
              const Array<T>& array = trial.in[name];
              const Index part = shape.back() * (shape.size() == 3 ? shape[1] : 1);
              std::vector<T> values;
              for (Index i = 0; i < array.size(); ++i) {
                if (i / part % G == g) values.push_back(array.values()[static_cast<std::size_t>(i)]);
              }
              return Array<T>(shape, values);
            };
            for (Index g = 0; g < G; ++g) {
              auto in = trial.in;
              for (const char* name : {"signal", "raw_step", "gate"}) {
                in.real[name] = share(name, {trial.size("n"), channels}, g);
              }
              for (const char* name : {"B", "C"})
                in.real[name] = share(name, {trial.size("n"), 1, states}, g);
              for (const char* name : {"step_bias", "skip"}) in.real[name] = share(name, {channels}, g);
              for (const char* name : {"log_rate", "initial_state"}) {
                Array<T> rows({channels, states});
                for (Index d = 0; d < channels; ++d) {
                  for (Index i = 0; i < states; ++i) rows(d, i) = trial.in[name](g * channels + d, i);
                }
                in.real[name] = rows;
              }
              const auto out = trial.run("chunked", in, settings);
              for (Index d = 0; d < channels; ++d) {
                for (Index t = 0; t < trial.size("n"); ++t) {
                  trial.equal(out["output"](t, d), whole["output"](t, g * channels + d), "output");
                }
                for (Index i = 0; i < states; ++i) {
                  trial.equal(out["state"](d, i), whole["state"](g * channels + d, i), "state");
                }
              }
            }
          })
      .law<RationalExp2>(
          Kind::bound, "a gated RNN is an average",
          "With N = 1, A = -1, B = C = 1 and zero-order hold h_t = (1 - g_t) h_{t-1} + g_t u_t with g = 1 - "
          "e^{-Delta}, and h_t lies between the least and the largest of 0 and the inputs so far",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n");
            Array<T> step({length, 1});
            for (Index t = 0; t < length; ++t)
              step(t, 0) = T(trial.integer("step " + std::to_string(t), 0, 5));
            const Array<T> u = trial.array("u", {length, 1});
            const auto h = s6::hillis_steele(s6::zero_order_hold(gated_rnn(step, u))).output;
            T least(0), largest(0), before(0);
            for (Index t = 0; t < length; ++t) {
              const T g = T(1) - exp(-step(t, 0));
              least = -maximum(T(-least), T(-u(t, 0)));
              largest = maximum(largest, u(t, 0));
              trial.equal(h(t, 0), T((T(1) - g) * before + g * u(t, 0)), "gated RNN");
              trial.expect(least <= h(t, 0) && h(t, 0) <= largest, "average");
              before = h(t, 0);
            }
          })
      .law<Bounded<Real50>>(
          Kind::erratum, "the gated RNN theorem holds for the paper's step alone",
          "With N = 1, A = -1, B = C = 1 and g = sigmoid(delta + b), zero-order hold is h_t = (1 - g) "
          "h_{t-1} + g u_t (Theorem 1). The released Euler step is h_t = (1 - g) h_{t-1} - log(1 - g) u_t, "
          "and -log(1 - g) is Delta, which is above g",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = trial.size("n");
            Array<T> raw({length, 1}), u({length, 1});
            const Array<T> bias({1}, trial.in["step_bias"](0));
            for (Index t = 0; t < length; ++t) {
              raw(t, 0) = trial.in["raw_step"](t, 0);
              u(t, 0) = trial.in["signal"](t, 0);
            }
            const auto step = s6::step_lengths(raw, bias);
            const auto paper = s6::recurrent(s6::zero_order_hold(gated_rnn(step, u))).output;
            const auto code = s6::recurrent(s6::euler(gated_rnn(step, u))).output;
            T of_paper(0), of_code(0);
            for (Index t = 0; t < length; ++t) {
              const T kept = T(1) / (T(1) + exp(raw(t, 0) + bias(0)));  // 1 - g, without cancellation
              const T g = T(1) / (T(1) + exp(-(raw(t, 0) + bias(0))));
              of_paper = kept * of_paper + g * u(t, 0);
              of_code = kept * of_code - log(kept) * u(t, 0);
              trial.equal(paper(t, 0), of_paper, "Theorem 1");
              trial.equal(code(t, 0), of_code, "Euler");
              trial.equal(T(-log(kept)), step(t, 0), "Delta");
              trial.expect(g.value() < step(t, 0).value(), "Delta is above g");
            }
          })
      .law<Bounded<Real50>>(Kind::bound, "how much more the Euler step writes",
                            "The ratio phi of what zero-order hold and Euler write, (e^x - 1) / x at x = "
                            "Delta A, obeys 0 <= 1 - phi <= min(1, -x/2), and phi = 1 at the rate 0",
                            [](auto& trial) {
                              using T = ScalarOf<decltype(trial)>;
                              const T step = trial.number("step", Domain::positive),
                                      rate = -trial.number("rate", Domain::positive);
                              const T x = step * rate, missing = T(1) - s6::held(step, rate, x) / step;
                              trial.expect(surely_at_most(T(0), missing), "not negative");
                              trial.expect(surely_at_most(missing, T(1)), "below 1");
                              trial.expect(surely_at_most(missing, T(-x / T(2))), "below -x/2");
                              trial.equal(s6::held(step, T(0), T(0)), step, "rate 0");
                            })
      .law<Bounded<Real50>>(Kind::bound, "softplus as released",
                            "Above 20 the released reference takes the number itself, which is less than "
                            "e^-20 too small; up to 20, and as the logarithm of e^x + 1, it is softplus",
                            [](auto& trial) {
                              using T = ScalarOf<decltype(trial)>;
                              const T x(trial.integer("x", -20, 20)),
                                  far = T(20) + trial.number("far", Domain::positive);
                              const T soft = s4d::SoftplusTransform::value(x), missing = log1p(exp(-far));
                              trial.equal(s6::softplus_by_logarithm(x), soft, "by logarithm");
                              trial.equal(s6::softplus_with_threshold(x), soft, "up to 20");
                              trial.equal(T(s6::softplus_with_threshold(far) + missing),
                                          s4d::SoftplusTransform::value(far), "above 20");
                              trial.expect(surely_at_most(T(0), missing), "too small");
                              trial.expect(surely_at_most(missing, T(exp(T(-20)))), "e^-20");
                            });
}

/// Complex rates, B, C and states, and an input without gate: one channel for each of `modes` states.
template <class AnyTrial>
auto complex_input(const AnyTrial& trial) {
  using T = ScalarOf<AnyTrial>;
  const Index length = trial.size("n"), states = trial.size("N");
  const auto draw = [&](const std::string& name, const Shape& shape, Domain domain = Domain::any) {
    const Array<T> re = trial.array(name + " re", shape, domain), im = trial.array(name + " im", shape);
    Array<Complex<T>> z(shape);
    for (std::size_t i = 0; i < z.values().size(); ++i) z.values()[i] = {re.values()[i], im.values()[i]};
    return z;
  };
  s6::Input<T, Complex<T>> input{trial.array("u", {length, 1}),
                                 trial.array("steps", {length, 1}, Domain::positive),
                                 draw("rate", {1, states}, Domain::positive),
                                 draw("b", {length, 1, states}),
                                 draw("c", {length, 1, states}),
                                 draw("h", {1, states}),
                                 trial.array("d", {1}),
                                 {}};
  for (auto& rate : input.rate.values()) rate = -rate;
  return input;
}

void complex_numbers(EntryBuilder& entry) {
  entry.law<Bounded<Real50>>(
      Kind::invariant, "half of the conjugate pairs",
      "Twice the real part over half of the modes is the sum over all of them, each mode with its conjugate, "
      "in both discretisations",
      [](auto& trial) {
        using T = ScalarOf<decltype(trial)>;
        const auto half = complex_input(trial);
        const Index length = trial.size("n"), states = trial.size("N");
        const auto doubled = [&](const Array<Complex<T>>& array) {
          Shape shape = array.shape();
          shape.back() *= 2;
          std::vector<Complex<T>> both;
          for (Index row = 0; row < array.size() / states; ++row) {
            for (const bool conjugate : {false, true}) {
              for (Index i = 0; i < states; ++i) {
                const auto& z = array.values()[static_cast<std::size_t>(row * states + i)];
                both.push_back(conjugate ? conj(z) : z);
              }
            }
          }
          return Array<Complex<T>>(shape, both);
        };
        auto full = half;
        for (auto* array : {&full.rate, &full.B, &full.C, &full.initial_state}) *array = doubled(*array);
        const auto compare = [&](const auto& scan_half, const auto& scan_full) {
          const auto y = s6::finished(half, s6::recurrent(scan_half)).output;
          const auto sum = s6::recurrent(scan_full).output;
          for (Index t = 0; t < length; ++t) {
            trial.equal(y(t, 0), T(sum(t, 0).re + half.skip(0) * half.signal(t, 0)), "output");
            trial.equal(sum(t, 0).im, T(0), "imaginary part");
          }
        };
        compare(s6::euler(half), s6::euler(full));
        compare(s6::zero_order_hold(half), s6::zero_order_hold(full));
      });
}

// ---- other entries -----------------------------------------------------------------------------

void limits(EntryBuilder& entry) {
  entry
      .limit<PrimeField>(
          "gated_linear_attention", "each channel is gated linear attention with one value",
          "Query C, key Bbar, value u, decay Abar: a channel's states are one column of a memory whose gates "
          "depend on the channel too",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto unit = given(trial);
            const Index length = trial.size("n"), states = trial.size("N");
            const auto signal = trial.array("u", {length, unit.decay.extent(1)});
            const auto out = s6::blelloch(driven(unit, signal));
            for (Index d = 0; d < unit.decay.extent(1); ++d) {
              const auto one = channel(unit, d);
              const auto flat = [&](const Array<T>& array) {
                return Array<T>({length, states}, {array.values().begin(), array.values().end()});
              };
              Arrays<T> other;
              other.real["query"] = flat(one.C);
              other.real["key"] = flat(one.added);
              other.real["decay"] = flat(one.decay);
              other.real["value"] = Array<T>({length, 1});
              other.real["initial_state"] = Array<T>({states, 1});
              for (Index t = 0; t < length; ++t) other.real["value"](t, 0) = signal(t, d);
              for (Index i = 0; i < states; ++i) other.real["initial_state"](i, 0) = one.initial_state(0, i);
              const auto gated = trial.run_other("gated_linear_attention", "recurrent", other);
              for (Index t = 0; t < length; ++t)
                trial.equal(out.output(t, d), gated["output"](t, 0), "output");
              for (Index i = 0; i < states; ++i) trial.equal(out.state(d, i), gated["state"](i, 0), "state");
            }
          })
      .limit<PrimeField>(
          "s4d", "with constant coefficients it is S4D",
          "The scan with lambdabar, Bbar and C of S4D (bilinear, complex) at every token, read as twice the "
          "real part, is S4D",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto input = complex_input(trial);
            const Index length = trial.size("n"), states = trial.size("N");
            Arrays<T> other;
            s4d::System<T> system;
            for (auto* array : {&system.lambda, &system.B, &system.C}) *array = Array<Complex<T>>({states});
            other.complex["initial_state"] = Array<Complex<T>>({states});
            for (Index i = 0; i < states; ++i) {
              system.lambda(i) = input.rate(0, i);
              system.B(i) = input.B(0, 0, i);
              system.C(i) = input.C(0, 0, i);
              other.complex["initial_state"](i) = input.initial_state(0, i);
            }
            other.complex["minus_lambda"] = system.lambda;
            for (auto& z : other.complex["minus_lambda"].values()) z = -z;
            other.complex["B"] = system.B;
            other.complex["C"] = system.C;
            other.real["D"] = Array<T>(Shape{}, input.skip(0));
            other.real["step"] = Array<T>(Shape{}, input.step(0, 0));
            other.real["signal"] =
                Array<T>({length}, {input.signal.values().begin(), input.signal.values().end()});
            const auto discrete = s4d::bilinear(system, input.step(0, 0));
            const Shape shape{length, 1, states};
            s6::Coefficients<Complex<T>> scan{Array<Complex<T>>(shape), Array<Complex<T>>(shape),
                                              Array<Complex<T>>(shape), input.initial_state};
            for (Index t = 0; t < length; ++t) {
              for (Index i = 0; i < states; ++i) {
                scan.decay(t, 0, i) = discrete.lambda(i);
                scan.added(t, 0, i) = discrete.B(i);
                scan.C(t, 0, i) = discrete.C(i);
              }
            }
            const auto out = s6::recurrent(driven(scan, input.signal));
            const auto y = trial.run_other("s4d", "recurrent", other);
            for (Index t = 0; t < length; ++t) {
              trial.equal(T(s6::read(out.output(t, 0)) + input.skip(0) * input.signal(t, 0)), y["y"](t), "y");
            }
            for (Index i = 0; i < states; ++i) {
              trial.equal(out.state(0, i), y.complex.at("state")(i), "state");
            }
          })
      .limit<PrimeField>("mamba2_ssd", "with one decay for all states and channels it is Mamba-2",
                         "Where the decay of a token is the same in every state and channel the scan is that "
                         "of one head: query C, key B, value the input times its step",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index length = trial.size("n"), channels = trial.size("width"),
                                       states = trial.size("N");
                           const Shape shape{length, channels, states};
                           Arrays<T> other;
                           other.real = {{"query", trial.array("q", {length, states})},
                                         {"key", trial.array("k", {length, states})},
                                         {"value", trial.array("v", {length, channels})},
                                         {"decay", trial.array("a", {length}, Domain::gate)},
                                         {"initial_state", trial.array("h", {states, channels})}};
                           const auto& query = other["query"];
                           s6::Coefficients<T> scan{
                               Array<T>(shape), Array<T>(shape),
                               Array<T>({length, 1, states}, {query.values().begin(), query.values().end()}),
                               Array<T>({channels, states})};
                           for (Index d = 0; d < channels; ++d) {
                             for (Index i = 0; i < states; ++i) {
                               scan.initial_state(d, i) = other["initial_state"](i, d);
                               for (Index t = 0; t < length; ++t) {
                                 scan.decay(t, d, i) = other["decay"](t);
                                 scan.added(t, d, i) = other["key"](t, i) * other["value"](t, d);
                               }
                             }
                           }
                           const auto out = s6::blelloch(scan);
                           const auto head = trial.run_other("mamba2_ssd", "recurrent", other);
                           trial.equal(out.output, head["output"], "output");
                           for (Index d = 0; d < channels; ++d) {
                             for (Index i = 0; i < states; ++i)
                               trial.equal(out.state(d, i), head["state"](i, d), "state");
                           }
                         })
      .limit<Bounded<Real50>>("s4d", "with constant step, B and C it is S4D with zero-order hold",
                              "The whole mixer with complex rates and zero-order hold, without a gate, is "
                              "S4D with zero-order hold where step, B and C never change",
                              [](auto& trial) {
                                using T = ScalarOf<decltype(trial)>;
                                auto input = complex_input(trial);
                                const Index length = trial.size("n"), states = trial.size("N");
                                Arrays<T> other;
                                for (const char* name : {"minus_lambda", "B", "C", "initial_state"}) {
                                  other.complex[name] = Array<Complex<T>>({states});
                                }
                                for (Index i = 0; i < states; ++i) {
                                  other.complex["minus_lambda"](i) = -input.rate(0, i);
                                  other.complex["B"](i) = input.B(0, 0, i);
                                  other.complex["C"](i) = input.C(0, 0, i);
                                  other.complex["initial_state"](i) = input.initial_state(0, i);
                                  for (Index t = 0; t < length; ++t) {
                                    input.step(t, 0) = input.step(0, 0);
                                    input.B(t, 0, i) = input.B(0, 0, i);
                                    input.C(t, 0, i) = input.C(0, 0, i);
                                  }
                                }
                                other.real["D"] = Array<T>(Shape{}, input.skip(0));
                                other.real["step"] = Array<T>(Shape{}, input.step(0, 0));
                                other.real["signal"] = Array<T>(
                                    {length}, {input.signal.values().begin(), input.signal.values().end()});
                                const auto out =
                                    s6::finished(input, s6::recurrent(s6::zero_order_hold(input)));
                                const auto y = trial.run_other("s4d", "zoh_recurrent", other);
                                for (Index t = 0; t < length; ++t)
                                  trial.equal(out.output(t, 0), y["y"](t), "y");
                                for (Index i = 0; i < states; ++i) {
                                  trial.equal(out.state(0, i), y.complex.at("state")(i), "state");
                                }
                              });
}

// ---- costs -------------------------------------------------------------------------------------

void costs(EntryBuilder& entry) {
  // Softplus takes one exponential, one log1p and two additions with the bias; the gate one exponential, one
  // addition, one division and one multiplication.
  Cost recurrent("recurrent");
  recurrent.multiplications = n * D * (4 * N + 3);
  recurrent.additions = n * D * (2 * N + 3);
  recurrent.divisions = n * D;
  recurrent.exponentials = n * D * (N + 2) + D * N;
  recurrent.functions = n * D;
  recurrent.depth = 2 * n + N + 9;
  recurrent.state = D * N;
  Cost held("zoh_recurrent");
  held.multiplications = n * D * (5 * N + 2);
  held.additions = n * D * (2 * N + 3);
  held.divisions = n * D * (N + 1);
  held.exponentials = n * D * (2 * N + 2) + D * N;
  held.functions = n * D;
  held.depth = 2 * n + N + 11;
  held.state = D * N;
  Cost quadratic("quadratic");
  quadratic.multiplications = D * (n * (n + 1) / 2 * (N + 1) + n * (n - 1) / 2 * N + n * (4 * N + 2));
  quadratic.additions = D * (n * (n + 1) / 2 * (N - 1) + n * (n - 1) / 2 + n * (N + 4));
  quadratic.divisions = n * D;
  quadratic.exponentials = n * D * (N + 2) + D * N;
  // A round adds one operation to an offset, and another where the stretch before it has an offset as deep:
  // that can be so in floor(log2 n) rounds.
  const Expression rounds = ceil_log2(n), joins = ceil_log2(n + 1) - 1;
  Cost doubling("hillis_steele");
  doubling.exponentials = n * D * (N + 2) + D * N;
  doubling.depth = max(8 + rounds + joins, 9) + N + 2;
  Cost tree("blelloch");
  tree.exponentials = n * D * (N + 2) + D * N;
  // The tree is climbed floor(log2 n) times and descended floor(log2(2 n / 3)) times on the longest path.
  tree.depth = max(6 + 2 * (joins + ceil_log2(ceil_div(2 * n - 2, 3) + 1)), 9) + N + 2;
  entry.cost(recurrent).cost(held).cost(quadratic).cost(doubling).cost(tree);
  std::vector<Settings> grid;
  for (Index length = 16; length <= 1024; length *= 2) {
    grid.push_back({{"n", length}, {"groups", 1}, {"width", 16}, {"N", 16}, {"chunk", 64}});
  }
  entry.scale("16 channels of 16 states", grid);
  entry
      .once(Kind::cost, "combinations of the scans",
            "For n = 1 ... 300 Hillis-Steele joins n q - (2^q - 1) times with q = ceil(log2 n) and Blelloch "
            "2 (m - 1) + n times with m = 2^q: 17 and 22 times for n = 8, 49 and 46 for n = 16. Where n is a "
            "power of two, Blelloch's joins take 6 n - 6 - 2 q multiplications and half as many additions, "
            "since joining an identity is free",
            [](auto& check) {
              for (Index length = 1; length <= 300; ++length) {
                Index q = 0;
                while ((Index{1} << q) < length) ++q;
                const Index m = Index{1} << q;
                Index count = 0;
                const auto join = [&](int, int) {
                  ++count;
                  return 0;
                };
                std::vector<int> p(static_cast<std::size_t>(length));
                s6::hillis_steele(p, join);
                check.equal(count, Index{length * q - (m - 1)}, "Hillis-Steele");
                if (length == 8) check.equal(count, Index{17}, "n = 8");
                if (length == 16) check.equal(count, Index{49}, "n = 16");
                count = 0;
                s6::blelloch(p, 0, join);
                check.equal(count, Index{2 * (m - 1) + length}, "Blelloch");
                if (length == 8) check.equal(count, Index{22}, "n = 8");
                if (length == 16) check.equal(count, Index{46}, "n = 16");
                using C = Counted<double>;
                std::vector<s6::Pair<C>> pairs(static_cast<std::size_t>(length), {C(0.5), C(0.5)});
                const CountOperations doubling_scope;
                auto doubled = pairs;
                s6::hillis_steele(doubled, s6::after<C>);
                check.equal(doubling_scope.counts().multiplications, Index{2 * (length * q - (m - 1))},
                            "multiplications, Hillis-Steele");
                if (length != m) continue;
                const CountOperations tree_scope;
                s6::blelloch(pairs, {}, s6::after<C>);
                check.equal(tree_scope.counts().multiplications, Index{6 * length - 6 - 2 * q},
                            "multiplications, Blelloch");
                check.equal(tree_scope.counts().additions, Index{3 * length - 3 - q}, "additions, Blelloch");
              }
            })
      .once(Kind::depth, "depths of the scans",
            "For n = 1 ... 300 Hillis-Steele is ceil(log2 n) joins deep and Blelloch, for n from 2 on, "
            "floor(log2 n) + floor(log2(2 n / 3)) + 1: twice as many when n is a power of two",
            [](auto& check) {
              const auto deeper = [](Index a, Index b) { return 1 + std::max(a, b); };
              const auto floor_log2 = [](Index x) {
                Index k = 0;
                while ((Index{2} << k) <= x) ++k;
                return k;
              };
              for (Index length = 2; length <= 300; ++length) {
                std::vector<Index> p(static_cast<std::size_t>(length)), q = p;
                s6::hillis_steele(p, deeper);
                check.equal(*std::ranges::max_element(p), Index{floor_log2(length - 1) + 1}, "Hillis-Steele");
                s6::blelloch(q, Index{0}, deeper);
                check.equal(*std::ranges::max_element(q),
                            Index{floor_log2(length) + floor_log2(2 * length / 3) + 1}, "Blelloch");
              }
            });
}

// ---- fixed checks ------------------------------------------------------------------------------

template <class F>
void expect_refused(Check& check, const F& call, const std::string& message) {
  try {
    call();
  } catch (const std::invalid_argument& refused) {
    check.expect(refused.what() == message, std::string("the message is: ") + refused.what());
    return;
  }
  check.expect(false, "accepted; expected: " + message);
}

void errata(EntryBuilder& entry) {
  entry
      .once(Kind::erratum, "gaps between paper and code in numbers",
            "For s = (-2, 0, 1.5, 3) and u = (1, 2, -1, 4) the gated RNN of Theorem 1 ends at "
            "3.78068966697464, the released code at 12.1262012555606. Two Euler steps 0.3 and 0.7 differ "
            "from one step of 1 by -0.0334317729028549 at A = -1.5, B = 3/5, u = 2/7. At the extreme of the "
            "initialisation, A = -16 and Delta = 0.1, zero-order hold writes 0.498815 of what Euler writes",
            [](auto& check) {
              using R = Real50;
              const Array<R> s({4, 1}, {R(-2), R(0), R("1.5"), R(3)}), u({4, 1}, {R(1), R(2), R(-1), R(4)});
              const auto rnn = gated_rnn(s6::step_lengths(s, Array<R>({1})), u);
              check.digits(s6::recurrent(s6::zero_order_hold(rnn)).output(3, 0), "3.78068966697464", "paper");
              check.digits(s6::recurrent(s6::euler(rnn)).output(3, 0), "12.1262012555606", "code");
              const R a("-1.5"), b = R(3) / 5, input = R(2) / 7, first("0.3"), second("0.7");
              check.digits(
                  euler_state({first, second}, a, b, input, R(5)) - euler_state({R(1)}, a, b, input, R(5)),
                  "-0.0334317729028549", "cut step");
              const R x("-1.6");
              check.digits(s6::held(R(1), x, x), "0.498815", "ratio");
            })
      .once(Kind::erratum, "where a model starts",
            "The code draws the logarithm of the first step uniformly, so its median is 0.01; the paper says "
            "uniform steps, whose median is 0.0505. The floor of 1/10000 never acts, since no step starts "
            "below 1/1000. The rates are -1, ..., -N, the eigenvalues of S4D-Real",
            [](auto& check) {
              using R = Bounded<Real50>;
              const auto half = R(R(1) / R(2));
              check.equal(s4d::SoftplusTransform::value(s6::initial_bias(half)), R(R(1) / R(100)), "median");
              check.digits((Real50("0.001") + Real50("0.1")) / 2, "0.0505", "median of the paper");
              for (const R& uniform : {R(0), half, R(1)}) {
                const R step = s4d::SoftplusTransform::value(s6::initial_bias(uniform));
                check.equal(step, R(exp(log(R(1) / R(1000)) + uniform * log(R(100)))), "log-uniform");
                check.expect(surely_at_most(R(R(1) / R(10000)), step), "above the floor");
              }
              const auto rate = s6::initial_rates<Rational>(2, 5);
              const auto real = s4d::real<Rational>(10);
              for (Index d = 0; d < 2; ++d) {
                for (Index i = 0; i < 5; ++i) check.equal(Complex<Rational>(rate(d, i)), real(i), "rate");
              }
            })
      .once(Kind::erratum, "softplus in a decoding kernel",
            "log(e^x + 1) is exactly 0 in float32 at x = -17, where softplus keeps its digits, and not yet "
            "at x = -16",
            [](auto& check) {
              check.equal(s6::softplus_by_logarithm(-17.0F), 0.0F, "by logarithm");
              check.expect(s6::softplus_by_logarithm(-16.0F) > 0, "one higher");
              const float kept = s4d::SoftplusTransform::value(-17.0F);
              const UseRounding rounding(float32_arithmetic());
              const auto truth = s4d::SoftplusTransform::value(Bounded<Real50>(-17.0));
              check.within(Real50(kept), truth.value(), truth.error_bound(), "softplus");
            })
      .once(Kind::invariant, "quotients of running products underflow, scans do not",
            "At A = -16 and Delta = 0.1 the product of the decays leaves the normal numbers of float32 after "
            "55 tokens, and 80 tokens by division are no number; both scans and the chunks stay within the "
            "rounding budget",
            [](auto& check) {
              constexpr Index kLength = 80;
              const auto input = [&]<class T>(T) {
                return single(std::vector<T>(kLength, T(double{0.1F})), T(-16.0), T(1.0), T(1.0), T(0));
              };
              const auto scan = s6::euler(input(float{}));
              float product = 1;
              Index normal = 0;
              while ((product *= scan.decay(0, 0, 0)) >= std::numeric_limits<float>::min()) ++normal;
              check.equal(normal + 1, Index{55}, "tokens");
              check.expect(!finite(s6::by_division(scan).output(kLength - 1, 0)), "by division");
              const UseRounding rounding(float32_arithmetic());
              const auto bounded = s6::euler(input(Bounded<double>{}));
              const auto compare = [&](const auto& got, const auto& budget, const char* what) {
                for (Index t = 0; t < kLength; ++t) {
                  check.within(double{got.output(t, 0)}, budget.output(t, 0).value(),
                               budget.output(t, 0).error_bound(), what);
                }
              };
              compare(s6::hillis_steele(scan), s6::hillis_steele(bounded), "Hillis-Steele");
              compare(s6::blelloch(scan), s6::blelloch(bounded), "Blelloch");
              compare(s6::chunked(scan, 16), s6::chunked(bounded, 16), "chunked");
            })
      .once(Kind::invariant, "bad input is refused",
            "A negative step, a growing rate, groups that do not divide the channels, a chunk of no tokens "
            "and shapes that do not fit are refused by name",
            [](auto& check) {
              const auto good = single<double>({0.5, 0.25}, -1, 1, 1, 0);
              auto bad = good;
              bad.step(1, 0) = -0.25;
              const std::string negative =
                  "mamba_s6: step is negative at token 1, channel 0, expected 0 or more";
              expect_refused(
                  check, [&] { s6::euler(bad); }, negative);
              expect_refused(
                  check, [&] { s6::zero_order_hold(bad); }, negative);
              bad = good;
              bad.rate(0, 0) = 0.5;
              expect_refused(
                  check, [&] { s6::euler(bad); },
                  "mamba_s6: rate is positive at channel 0, state 0, expected a real part of 0 or less");
              bad = good;
              bad.B = bad.C = Array<double>({2, 2, 1});
              expect_refused(
                  check, [&] { s6::euler(bad); },
                  "mamba_s6: the number of groups is 2, expected a divisor of the 1 channels");
              bad = good;
              bad.gate = Array<double>({2, 2});
              expect_refused(
                  check, [&] { s6::euler(bad); },
                  "mamba_s6: gate is 2 x 2, expected 2 x 1 (signal is 2 x 1)");
              const auto scan = s6::euler(good);
              expect_refused(
                  check, [&] { s6::chunked(scan, 0); }, "mamba_s6: chunk is 0, expected 1 or more");
              auto uneven = scan;
              uneven.added = Array<double>({1, 1, 1});
              expect_refused(
                  check, [&] { s6::recurrent(uneven); },
                  "mamba_s6: added is 1 x 1 x 1, expected 2 x 1 x 1 (decay is 2 x 1 x 1)");
              expect_refused(
                  check, [&] { s6::step_lengths(good.signal, Array<double>({3})); },
                  "mamba_s6: bias is 3, expected 1 (raw is 2 x 1)");
              auto still = good;  // neither a step of length 0 nor a rate of 0 is bad
              still.step(0, 0) = still.rate(0, 0) = 0;
              check.equal(s6::recurrent(s6::zero_order_hold(still)).state(0, 0), 0.25, "still");
            });
}

void examples(EntryBuilder& entry) {
  entry
      .example(
          "worked example of the scan", "Four pairs of fractions, by hand",
          [](auto& check) {
            using R = Rational;
            const auto f = [](int a, int b) { return R(R(a) / R(b)); };
            std::vector<s6::Pair<R>> p{{f(1, 2), R(1)}, {f(1, 4), R(2)}, {f(1, 2), R(3)}, {f(3, 4), R(4)}};
            const std::vector<R> factors{f(1, 2), f(1, 8), f(1, 16), f(3, 64)};
            const std::vector<R> states{R(1), f(9, 4), f(33, 8), f(227, 32)};
            auto doubled = p, tree = p;
            s6::hillis_steele(doubled, s6::after<R>);
            s6::blelloch(tree, {}, s6::after<R>);
            for (std::size_t t = 0; t < 4; ++t) {
              for (const auto& scanned : {doubled, tree}) {
                check.equal(scanned[t].factor, factors[t], "factor");
                check.equal(scanned[t].offset, states[t], "state");
              }
            }
            check.equal(s6::after(p[1], p[2]).offset, R(4), "first round, third token");
            check.equal(s6::after(p[2], p[3]).factor, f(3, 8), "first round, last token");
            check.equal(s6::after(p[2], p[3]).offset, f(25, 4), "first round, last token");
          })
      .example("worked example of the mixer", "Three tokens, one channel, two states, both discretisations",
               [](auto& check) {
                 using R = Real50;
                 s6::Input<R> in{Array<R>({3, 1}, {R(1), R(2), R(-1)}),
                                 s6::step_lengths(Array<R>({3, 1}, {R(0), R(1), R(-1)}), Array<R>({1})),
                                 s6::initial_rates<R>(1, 2),
                                 Array<R>({3, 1, 2}, {R(1), R(0), R(1), R(1), R(0), R(2)}),
                                 Array<R>({3, 1, 2}, {R(1), R(1), R(1), R(-1), R(2), R(1)}),
                                 Array<R>({1, 2}),
                                 Array<R>({1}, R(1) / 2),
                                 {}};
                 const auto gated = [&] {
                   auto with_gate = in;
                   with_gate.gate = Array<R>({3, 1}, {R(0), R(1), R(-1)});
                   return with_gate;
                 }();
                 const auto expect = [&](const s6::Coefficients<R>& scan, const std::vector<std::string>& y,
                                         const std::vector<std::string>& o,
                                         const std::vector<std::string>& h) {
                   const auto plain = s6::finished(in, s6::blelloch(scan));
                   const auto with_gate = s6::finished(gated, s6::chunked(scan, 2));
                   for (Index t = 0; t < 3; ++t) {
                     check.digits(plain.output(t, 0), y[static_cast<std::size_t>(t)], "y");
                     check.digits(with_gate.output(t, 0), o[static_cast<std::size_t>(t)], "o");
                   }
                   for (Index i = 0; i < 2; ++i) {
                     check.digits(plain.state(0, i), h[static_cast<std::size_t>(i)], "h");
                   }
                 };
                 for (Index t = 0; t < 3; ++t) {
                   const char* printed[] = {"0.693147180559945", "1.313261687518223", "0.313261687518223"};
                   check.digits(in.step(t, 0), printed[t], "Delta");
                 }
                 expect(s6::euler(in), {"1.193147180559945", "1.186415987958396", "4.390060136753125"},
                        {"0.000000000000000", "0.867339585820778", "-1.180669013078141"},
                        {"2.056423452483401", "0.777213231786324"});
                 expect(s6::zero_order_hold(in), {"1.0", "1.668917356073521", "1.864635553279667"},
                        {"0.000000000000000", "1.220076350182054", "-0.501477736036061"},
                        {"1.167199257397787", "0.030237038484093"});
               });
}

const Registration<EntryBuilder> registration{"mamba_s6", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                scans(entry);
                                                discretisations(entry);
                                                complex_numbers(entry);
                                                limits(entry);
                                                costs(entry);
                                                errata(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
