/// \file
/// The entry of gated linear attention: forms, laws, costs. Its text is
/// `reference/gated_recurrence/gated_linear_attention.hpp`.
#include "reference/gated_recurrence/gated_linear_attention.hpp"

#include <cmath>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

namespace gla = gated_linear_attention;

template <Ring T>
gla::Input<T> input_of(const Arrays<T>& in) {
  return {in["query"], in["key"], in["value"], in["decay"], in["initial_state"], in.number("scale", T(1))};
}

template <Ring T>
Arrays<T> arrays_of(const gla::Output<T>& out) {
  Arrays<T> arrays;
  arrays.real["output"] = out.output;
  arrays.real["state"] = out.state;
  return arrays;
}

/// The gradient of the scale, which the text leaves to the caller: c enters only as c q, so dc = <q, dq> / c.
template <Field T>
Arrays<T> gradients_of(const gla::Input<T>& in, const gla::Gradient<T>& d) {
  Arrays<T> arrays;
  arrays.real["d_query"] = d.query;
  arrays.real["d_key"] = d.key;
  arrays.real["d_value"] = d.value;
  arrays.real["d_decay"] = d.decay;
  arrays.real["d_initial_state"] = d.initial_state;
  T sum(0);
  for (Index t = 0; t < in.query.extent(0); ++t) {
    for (Index i = 0; i < in.query.extent(1); ++i) sum += in.query(t, i) * d.query(t, i);
  }
  arrays.real["d_scale"] = Array<T>(Shape{}, sum / in.scale);
  return arrays;
}

const Expression n = symbol("n"), d_k = symbol("d_k"), d_v = symbol("d_v"), chunk = symbol("chunk"),
                 sub_chunk = symbol("sub_chunk");

/// Multiplications of one chunk of `length` tokens with a carried state, all pairs by running products.
Expression chunk_multiplications(const Expression& length) {
  const Expression pairs = length * (length - 1) / 2;
  return (length - 1) * d_k + max(length - 2, 0) * d_k + length * d_k + 2 * length * d_k * d_v + d_k * d_v +
         length * d_k + 2 * pairs * d_k + max(length - 1, 0) * max(length - 2, 0) / 2 * d_k +
         (pairs + length) * d_v + (length - 1) * d_k;
}

Expression chunk_additions(const Expression& length) {
  const Expression pairs = length * (length - 1) / 2;
  return length * (d_k - 1) * d_v + (pairs + length) * (d_k - 1) + pairs * d_v + length * d_v +
         length * d_k * d_v;
}

void describe(EntryBuilder& entry) {
  entry
      .about("gated_recurrence", "Gated linear attention (GLA)",
             "Linear attention whose matrix memory forgets at a rate that every token chooses for every key "
             "channel.",
             {"yang2023gla"})
      .size("n", 300, 6)
      .size("d_k", 4, 3)
      .size("d_v", 3, 2)
      .parameter({"chunk", 64, 1, n + 2, "tokens in a chunk; the last one may be shorter", {}})
      .parameter({"sub_chunk", 16, 1, chunk + 1, "tokens in a block of the secondary chunking", {}})
      .input("query", {n, d_k}, Domain::any, "what each token asks")
      .input("key", {n, d_k}, Domain::any, "under which label each token is remembered")
      .input("value", {n, d_v}, Domain::any, "what is remembered of each token")
      .input("decay", {n, d_k}, Domain::open_gate, "how much of the past each token keeps, by key channel")
      .input("initial_state", {d_k, d_v}, Domain::any, "the memory before the first token")
      .input("scale", {}, Domain::positive, "factor of the scores; 1 when left out")
      .output("output", {n, d_v}, "what each token reads")
      .output("state", {d_k, d_v}, "the memory after the last token");
}

void forms(EntryBuilder& entry) {
  entry
      .form("recurrent", "the definition: token after token",
            []<Ring T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(gla::recurrent(input_of(in)));
            })
      .form(
          "pairwise", "every query with every earlier key, division-free",
          []<Ring T>(const Arrays<T>& in, const Settings&) { return arrays_of(gla::pairwise(input_of(in))); })
      .form("parallel", "one masked matrix product with cumulative decays; gates must not be 0",
            []<Field T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(gla::parallel(input_of(in)));
            })
      .form("chunked", "matrix products inside chunks, a recurrence over chunks, with secondary chunking",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(gla::chunked(input_of(in), at(settings, "chunk"), at(settings, "sub_chunk")));
            })
      .backward("backward", "closed form by the reversed recurrence",
                []<Field T>(const Arrays<T>& in, const Settings&) {
                  const gla::Input<T> input = input_of(in);
                  return gradients_of(input, gla::backward(input, in["d_output"], in["d_state"]));
                })
      .backward("backward_log_decay", "the gate's gradient from those of query and key alone",
                []<Field T>(const Arrays<T>& in, const Settings&) {
                  const gla::Input<T> input = input_of(in);
                  const gla::Gradient<T> d = gla::backward(input, in["d_output"], in["d_state"]);
                  Arrays<T> arrays = gradients_of(input, d);
                  const Array<T> d_log =
                      gla::log_decay_gradient(input, d, gla::recurrent(input).state, in["d_state"]);
                  Array<T> d_decay(d_log.shape());
                  for (std::size_t i = 0; i < d_log.values().size(); ++i) {
                    d_decay.values()[i] = d_log.values()[i] / input.decay.values()[i];
                  }
                  arrays.real["d_decay"] = d_decay;
                  return arrays;
                });
}

void identities(EntryBuilder& entry) {
  entry.standard(laws::same("pairwise", "recurrent"))
      .standard(laws::same("parallel", "recurrent"))
      .standard(laws::same("chunked", "recurrent"))
      .standard(laws::split("recurrent", "n", {{"state", "initial_state"}}))
      .standard(laws::split("chunked", "n", {{"state", "initial_state"}}))
      .standard(laws::causal("recurrent", "n"))
      .standard(laws::causal("chunked", "n"))
      .standard(laws::gradient("recurrent", "backward"))
      .standard(laws::gradient("chunked", "backward"))
      .standard(laws::same("backward_log_decay", "backward"))
      .law<PrimeField, Rational>(Kind::same, "gates exactly 0",
                                 "pairwise and chunked stay equal to the recurrence when gates are 0 or 1",
                                 [](auto& trial) {
                                   using T = ScalarOf<decltype(trial)>;
                                   Array<T>& decay = trial.in.real["decay"];
                                   for (Index i = 0; i < decay.size(); ++i) {
                                     const Index pick = trial.integer("gate " + std::to_string(i), 0, 3);
                                     if (pick <= 1) decay.values()[static_cast<std::size_t>(i)] = T(pick);
                                   }
                                   const auto truth = trial.run("recurrent");
                                   trial.equal(trial.run("pairwise"), truth, "pairwise");
                                   trial.equal(trial.run("chunked"), truth, "chunked");
                                 });
}

void invariants(EntryBuilder& entry) {
  entry
      .law<PrimeField, Rational>(
          Kind::invariant, "linear in value and initial state",
          "The output for x a + y b in the place of value and initial state is x and y times the outputs for "
          "a and b",
          [](auto& trial) {
            const auto x = trial.number("x"), y = trial.number("y");
            auto other = trial.in, mixed = trial.in;
            for (const char* name : {"value", "initial_state"}) {
              other.real[name] = trial.array(std::string("other ") + name, trial.in[name].shape());
              for (std::size_t i = 0; i < other[name].values().size(); ++i) {
                mixed.real[name].values()[i] = x * trial.in[name].values()[i] + y * other[name].values()[i];
              }
            }
            const auto a = trial.run("recurrent"), b = trial.run("recurrent", other);
            const auto both = trial.run("recurrent", mixed);
            for (std::size_t i = 0; i < both["output"].values().size(); ++i) {
              trial.equal(both["output"].values()[i],
                          x * a["output"].values()[i] + y * b["output"].values()[i], "output");
            }
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "key channels can be rescaled",
          "Multiplying a channel of query and dividing it out of key and initial state changes no output",
          [](auto& trial) {
            auto scaled = trial.in;
            const Index channels = trial.size("d_k");
            const auto factor = trial.array("factor", {channels}, Domain::nonzero);
            for (Index i = 0; i < channels; ++i) {
              for (Index t = 0; t < trial.size("n"); ++t) {
                scaled.real["query"](t, i) *= factor(i);
                scaled.real["key"](t, i) /= factor(i);
              }
              for (Index j = 0; j < trial.size("d_v"); ++j) scaled.real["initial_state"](i, j) /= factor(i);
            }
            trial.equal(trial.run("recurrent", scaled)["output"], trial.run("recurrent")["output"], "output");
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "key channels can be permuted",
          "Rotating the channels of query, key, decay and initial state together changes no output",
          [](auto& trial) {
            auto rotated = trial.in;
            const Index channels = trial.size("d_k");
            for (Index i = 0; i < channels; ++i) {
              const Index to = (i + 1) % channels;
              for (const char* name : {"query", "key", "decay"}) {
                for (Index t = 0; t < trial.size("n"); ++t) rotated.real[name](t, to) = trial.in[name](t, i);
              }
              for (Index j = 0; j < trial.size("d_v"); ++j) {
                rotated.real["initial_state"](to, j) = trial.in["initial_state"](i, j);
              }
            }
            trial.equal(trial.run("recurrent", rotated)["output"], trial.run("recurrent")["output"],
                        "output");
          })
      .law<Rational>(Kind::bound, "the state is bounded",
                     "|S_t[i,j]| <= max |k_s[i] v_s[j]| / (1 - max alpha) for alpha < 1 and no initial state",
                     [](auto& trial) {
                       using T = ScalarOf<decltype(trial)>;
                       using std::abs;
                       auto in = trial.in;
                       T largest_decay(0);
                       for (T& decay : in.real["decay"].values()) {
                         decay *= T(7) / T(8);
                         largest_decay = maximum(largest_decay, decay);
                       }
                       in.real["initial_state"] = Array<T>(in["initial_state"].shape());
                       const auto state = trial.run("recurrent", in)["state"];
                       for (Index i = 0; i < trial.size("d_k"); ++i) {
                         for (Index j = 0; j < trial.size("d_v"); ++j) {
                           T largest(0);
                           for (Index s = 0; s < trial.size("n"); ++s) {
                             largest = maximum(largest, T(abs(in["key"](s, i) * in["value"](s, j))));
                           }
                           trial.expect(abs(state(i, j)) <= largest / (T(1) - largest_decay), "state bound");
                         }
                       }
                     })
      .law<PrimeField, Rational>(
          Kind::invariant, "a gate of 0 erases the past",
          "With alpha_t = 0 in every channel o_t = c (q_t . k_t) v_t, whatever came before", [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto in = trial.in;
            const Index last = trial.size("n") - 1;
            T score(0);
            for (Index i = 0; i < trial.size("d_k"); ++i) {
              in.real["decay"](last, i) = T(0);
              score += in["scale"]() * in["query"](last, i) * in["key"](last, i);
            }
            const auto output = trial.run("recurrent", in)["output"];
            for (Index j = 0; j < trial.size("d_v"); ++j) {
              trial.equal(output(last, j), score * in["value"](last, j), "last output");
            }
          });
}

void gradient_identities(EntryBuilder& entry) {
  entry.law<PrimeField, Rational>(
      Kind::gradient, "inner products of gradients",
      "sum <v, dv> = sum <o, do> and, channel by channel, sum q dq = sum k dk, when neither the initial "
      "state nor a gradient of the final state is there",
      [](auto& trial) {
        using T = ScalarOf<decltype(trial)>;
        trial.in = draw_inputs<T>(trial.entry(), trial.drawn(), true);
        trial.in.real["initial_state"] = Array<T>(trial.in["initial_state"].shape());
        trial.in.real["d_state"] = Array<T>(trial.in["d_state"].shape());
        const auto out = trial.run("recurrent"), d = trial.run("backward");
        const auto inner = [](const Array<T>& a, const Array<T>& b) {
          T sum(0);
          for (std::size_t i = 0; i < a.values().size(); ++i) sum += a.values()[i] * b.values()[i];
          return sum;
        };
        trial.equal(inner(trial.in["value"], d["d_value"]), inner(out["output"], trial.in["d_output"]),
                    "<v, dv>");
        for (Index i = 0; i < trial.size("d_k"); ++i) {
          T queries(0), keys(0);
          for (Index t = 0; t < trial.size("n"); ++t) {
            queries += trial.in["query"](t, i) * d["d_query"](t, i);
            keys += trial.in["key"](t, i) * d["d_key"](t, i);
          }
          trial.equal(queries, keys, "q dq and k dk");
        }
        for (Index i = 0; i < trial.size("d_k"); ++i) {
          trial.equal(d["d_decay"](0, i), T(0), "no state before the first token: its gate has no influence");
        }
      });
}

void costs(EntryBuilder& entry) {
  Cost recurrent("recurrent");
  recurrent.without = {"scale"};
  recurrent.multiplications = 3 * n * d_k * d_v;
  recurrent.additions = n * d_v * (2 * d_k - 1);
  recurrent.divisions = 0;
  recurrent.depth = 2 * n + d_k;
  recurrent.state = d_k * d_v;
  Cost parallel("parallel");
  parallel.without = {"scale"};
  parallel.multiplications =
      (n - 1) * d_k + n * d_k + n * (n + 1) / 2 * (d_k + d_v) + n * d_k * d_v + n * d_k * d_v + d_k * d_v;
  parallel.additions = n * (n + 1) / 2 * (d_k - 1) + n * (n - 1) / 2 * d_v + n * d_k * d_v + n * d_k * d_v;
  parallel.divisions = n * d_k;
  parallel.state = n * d_k;
  const Expression last = n - (ceil_div(n, chunk) - 1) * chunk, full = ceil_div(n, chunk) - 1;
  Cost chunked("chunked");
  chunked.without = {"scale"};
  chunked.multiplications = full * chunk_multiplications(chunk) + chunk_multiplications(last);
  chunked.additions = full * chunk_additions(chunk) + chunk_additions(last);
  chunked.divisions = 0;
  chunked.state = d_k * d_v;
  chunked.fixed = [](Settings& settings) { settings["sub_chunk"] = settings["chunk"]; };
  entry.cost(recurrent).cost(parallel).cost(chunked);
  std::vector<Settings> grid;
  for (Index length = 16; length <= 1024; length *= 2) {
    grid.push_back({{"n", length}, {"d_k", 64}, {"d_v", 64}, {"chunk", 64}});
  }
  entry.scale("64 channels", grid);
}

void traps(EntryBuilder& entry) {
  entry.once(
      Kind::invariant, "the parallel form overflows, the chunked one does not",
      "With every gate 2^(-1/16) float32 loses the parallel form from token 2048 on; the chunked form stays "
      "within its rounding budget",
      [](auto& check) {
        const Index length = 2100;
        const auto inputs = [&]<class T>(T) {
          return gla::Input<T>{Array<T>({length, 1}, T(1.0)),
                               Array<T>({length, 1}, T(1.0)),
                               Array<T>({length, 1}, T(1.0)),
                               Array<T>({length, 1}, T(double{std::exp2(-1.0F / 16)})),
                               Array<T>({1, 1}),
                               T(1)};
        };
        const auto in = inputs(float{});
        const Array<float> parallel = gla::parallel(in).output, chunked = gla::chunked(in, 64, 16).output;
        const UseRounding rounding(float32_arithmetic());
        const auto bounded = gla::chunked(inputs(Bounded<double>{}), 64, 16).output;
        check.expect(finite(parallel(2000, 0)), "token 2000 of the parallel form is finite");
        check.expect(!finite(parallel(length - 1, 0)), "the last token of the parallel form is not");
        for (Index t = 0; t < length; t += 100) {
          check.within(double{chunked(t, 0)}, bounded(t, 0).value(), bounded(t, 0).error_bound(), "chunked");
        }
      });
}

void examples(EntryBuilder& entry) {
  entry.example("worked example", "Four tokens, two channels, by hand", [](auto& check) {
    using R = Rational;
    const R half = R(1) / R(2), quarter = R(1) / R(4);
    gla::Input<R> in{Array<R>::matrix({{R(1), R(2)}, {R(0), R(1)}, {R(1), R(-1)}, {R(2), R(1)}}),
                     Array<R>::matrix({{R(1), R(0)}, {R(1), R(1)}, {R(0), R(2)}, {R(1), R(-1)}}),
                     Array<R>::matrix({{R(1), R(2)}, {R(3), R(0)}, {R(-1), R(1)}, {R(2), R(2)}}),
                     Array<R>::matrix({{half, R(1)}, {half, quarter}, {R(1), half}, {quarter, half}}),
                     Array<R>({2, 2}),
                     R(1)};
    const auto output =
        Array<R>::matrix({{R(1), R(2)}, {R(3), R(0)}, {R(4), R(-1)}, {R(7) / R(2), R(7) / R(2)}});
    const auto state = Array<R>::matrix({{R(23) / R(8), R(9) / R(4)}, {R(-9) / R(4), R(-1)}});
    check.equal(gla::recurrent(in).output, output, "recurrent output");
    check.equal(gla::recurrent(in).state, state, "recurrent state");
    check.equal(gla::chunked(in, 3, 2).output, output, "chunked output");
    check.equal(gla::chunked(in, 3, 2).state, state, "chunked state");
  });
}

const Registration<EntryBuilder> registration{"gated_linear_attention", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                invariants(entry);
                                                gradient_identities(entry);
                                                costs(entry);
                                                traps(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
