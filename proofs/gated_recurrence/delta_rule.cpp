/// \file
/// The entry of the delta rule: forms, laws, costs. Its text is `reference/gated_recurrence/delta_rule.hpp`.
#include "reference/gated_recurrence/delta_rule.hpp"

#include <cmath>

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

namespace dr = delta_rule;

template <Ring T>
dr::Input<T> input_of(const Arrays<T>& in) {
  return {in["query"], in["key"], in["value"], in["beta"], in["initial_state"], in.number("scale", T(1))};
}

template <Ring T>
Arrays<T> arrays_of(const dr::Output<T>& out) {
  Arrays<T> arrays;
  arrays.real["output"] = out.output;
  arrays.real["state"] = out.state;
  return arrays;
}

const Expression n = symbol("n"), d_k = symbol("d_k"), d_v = symbol("d_v"), chunk = symbol("chunk");

void describe(EntryBuilder& entry) {
  entry
      .about("gated_recurrence", "Delta rule (DeltaNet)",
             "Linear attention that writes only the difference between what its memory returns for a key and "
             "what it should.",
             {"yang2024deltanet", "schlag2021fastweights", "grazzi2024negative"})
      .size("n", 100, 6)
      .size("d_k", 5, 3)
      .size("d_v", 3, 2)
      .parameter({"chunk", 64, 1, n + 2, "tokens in a chunk; the last one may be shorter", {}})
      .parameter({"block", 16, 1, chunk + 1, "rows inverted by substitution in the UT form", {}})
      .input("query", {n, d_k}, Domain::any, "what each token asks")
      .input("key", {n, d_k}, Domain::any, "under which label each token is remembered")
      .input("value", {n, d_v}, Domain::any, "what is to be remembered of each token")
      .input("beta", {n}, Domain::any, "how much of the difference each token writes")
      .input("initial_state", {d_k, d_v}, Domain::any, "the memory before the first token")
      .input("scale", {}, Domain::positive, "factor of the read-out; 1 when left out")
      .output("output", {n, d_v}, "what each token reads")
      .output("state", {d_k, d_v}, "the memory after the last token");
}

void forms(EntryBuilder& entry) {
  entry
      .form(
          "recurrent", "the definition: token after token",
          []<Ring T>(const Arrays<T>& in, const Settings&) { return arrays_of(dr::recurrent(input_of(in))); })
      .form("dense", "the transitions as matrices",
            []<Ring T>(const Arrays<T>& in, const Settings&) { return arrays_of(dr::dense(input_of(in))); })
      .form(
          "pairwise", "every query walks back over the earlier keys",
          []<Ring T>(const Arrays<T>& in, const Settings&) { return arrays_of(dr::pairwise(input_of(in))); })
      .form("chunked", "chunks, their corrections by forward substitution",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(dr::chunked(input_of(in), at(settings, "chunk")));
            })
      .form("chunked_wy", "chunks in the WY form, which is prepared without the state",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(dr::chunked_wy(input_of(in), at(settings, "chunk")));
            })
      .form("chunked_ut", "the WY form by an explicit triangular inverse, as a GPU runs it",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(dr::chunked_ut(input_of(in), at(settings, "chunk"), at(settings, "block")));
            })
      .form(
          "parallel", "one attention matrix over all tokens",
          []<Ring T>(const Arrays<T>& in, const Settings&) { return arrays_of(dr::parallel(input_of(in))); })
      .form("blocked", "parallel over blocks of queries that sweep the blocks of keys backwards",
            []<Ring T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(dr::blocked(input_of(in), at(settings, "chunk")));
            })
      .backward("backward", "closed form by the reversed recurrence",
                []<Ring T>(const Arrays<T>& in, const Settings&) {
                  const dr::Gradient<T> d = dr::backward(input_of(in), in["d_output"], in["d_state"]);
                  Arrays<T> arrays;
                  arrays.real["d_query"] = d.query;
                  arrays.real["d_key"] = d.key;
                  arrays.real["d_value"] = d.value;
                  arrays.real["d_beta"] = d.beta;
                  arrays.real["d_initial_state"] = d.initial_state;
                  arrays.real["d_scale"] = Array<T>(Shape{}, d.scale);
                  return arrays;
                });
}

// ---- what the laws share -----------------------------------------------------------------------

/// The arrays of an input, for the forms.
template <class T>
Arrays<T> arrays_of(const dr::Input<T>& in) {
  Arrays<T> arrays;
  arrays.real = {{"query", in.query},
                 {"key", in.key},
                 {"value", in.value},
                 {"beta", in.beta},
                 {"scale", Array<T>(Shape{}, in.scale)},
                 {"initial_state", in.initial_state}};
  return arrays;
}

/// Runs a form outside of a drawn case.
template <class T>
Arrays<T> run(const std::string& form, const dr::Input<T>& in, Index length = 1) {
  const Settings settings{{"chunk", length}, {"block", 2}};
  return Registry::instance().entry("delta_rule").form(form).run<T>(arrays_of(in), settings);
}

/// An orthogonal matrix with rational entries: I - 2 x x^T / |x|^2 for a drawn x. Its rows are unit keys.
template <class AnyTrial>
auto orthogonal(const AnyTrial& trial, const std::string& name) {
  using T = ScalarOf<AnyTrial>;
  const Index size = trial.size("d_k");
  const auto x = trial.array(name, {size}, Domain::nonzero);
  const T factor = T(2) / squares<T>(x.values());
  Array<T> matrix = identity<T>(size);
  for (Index i = 0; i < size; ++i) {
    for (Index m = 0; m < size; ++m) matrix(i, m) -= factor * x(i) * x(m);
  }
  return matrix;
}

/// Replaces every key by a unit vector with rational entries, drawn for each token.
template <class AnyTrial, class T>
void give_unit_keys(const AnyTrial& trial, Arrays<T>& in) {
  Array<T>& key = in.real["key"];
  for (Index t = 0; t < key.extent(0); ++t) {
    const Array<T> matrix = orthogonal(trial, "direction " + std::to_string(t));
    for (Index i = 0; i < key.extent(1); ++i) key(t, i) = matrix(0, i);
  }
}

/// The tokens whose numbers are listed, in that order, from a state.
template <class T>
Arrays<T> picked(const Arrays<T>& in, const std::vector<Index>& tokens, const Array<T>& state) {
  Arrays<T> some = in;
  const Index count = static_cast<Index>(tokens.size());
  for (const char* name : {"query", "key", "value"}) {
    Array<T> rows({count, in[name].extent(1)});
    for (Index t = 0; t < count; ++t) {
      for (Index i = 0; i < rows.extent(1); ++i) {
        rows(t, i) = in[name](tokens[static_cast<std::size_t>(t)], i);
      }
    }
    some.real[name] = rows;
  }
  Array<T> beta({count});
  for (Index t = 0; t < count; ++t) beta(t) = in["beta"](tokens[static_cast<std::size_t>(t)]);
  some.real["beta"] = beta;
  some.real["initial_state"] = state;
  return some;
}

inline std::vector<Index> first_tokens(Index count) {
  std::vector<Index> tokens;
  for (Index t = 0; t < count; ++t) tokens.push_back(t);
  return tokens;
}

/// What a state returns for row t of `key`.
template <class T>
Array<T> recalled(const Array<T>& state, const Array<T>& key, Index t) {
  Array<T> row({1, key.extent(1)});
  for (Index i = 0; i < key.extent(1); ++i) row(0, i) = key(t, i);
  return times(row, state);
}

template <class T>
Array<T> row_of(const Array<T>& rows, Index t) {
  return Array<T>({1, rows.extent(1)}, std::vector<T>(rows.row(t).begin(), rows.row(t).end()));
}

/// The keys of some tokens as a matrix.
template <class T>
Array<T> rows_of(const Array<T>& all, Index first, Index count) {
  Array<T> some({count, all.extent(1)});
  for (Index t = 0; t < count; ++t) {
    for (Index i = 0; i < all.extent(1); ++i) some(t, i) = all(first + t, i);
  }
  return some;
}

/// H_t ... H_s as a matrix.
template <class T>
Array<T> product_of_transitions(const Arrays<T>& in, Index s, Index t) {
  Array<T> product = identity<T>(in["key"].extent(1));
  for (Index x = s; x <= t; ++x) product = times(dr::transition(in["key"].row(x), in["beta"](x)), product);
  return product;
}

// ---- laws --------------------------------------------------------------------------------------

void identities(EntryBuilder& entry) {
  for (const char* form :
       {"dense", "pairwise", "chunked", "chunked_wy", "chunked_ut", "parallel", "blocked"}) {
    entry.standard(laws::same(form, "recurrent"));
  }
  for (const char* form : {"recurrent", "chunked", "chunked_ut"}) {
    entry.standard(laws::split(form, "n", {{"state", "initial_state"}}));
    entry.standard(laws::causal(form, "n"));
  }
  entry.standard(laws::causal("parallel", "n"));
  for (const char* form : {"recurrent", "chunked", "parallel"}) {
    entry.standard(laws::gradient(form, "backward"));
  }
  entry
      .law<PrimeField>(
          Kind::same, "WY form",
          "The transitions of a chunk multiply to I - K^T W and its pairs write K^T U, with W = T K and U = "
          "T V",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index first = trial.integer("first", 0, trial.size("n") - 1);
            const Index length = trial.integer("length", 1, std::min<Index>(trial.size("n") - first, 8));
            const auto input = input_of(trial.in);
            const auto by_rows = dr::wy(input, first, length);
            const auto by_transform = dr::wy_by_transform(input, first, length, trial.size("block"));
            trial.equal(by_transform.w, by_rows.w, "W");
            trial.equal(by_transform.u, by_rows.u, "U");
            const Array<T> keys = transposed(rows_of(input.key, first, length));
            const Array<T> decayed = times(keys, by_rows.w);
            Array<T> product = identity<T>(trial.size("d_k"));
            for (Index i = 0; i < product.extent(0); ++i) {
              for (Index m = 0; m < product.extent(1); ++m) product(i, m) -= decayed(i, m);
            }
            trial.equal(product, product_of_transitions(trial.in, first, first + length - 1), "I - K^T W");
            std::vector<Index> tokens;
            for (Index t = first; t < first + length; ++t) tokens.push_back(t);
            const auto blank = picked(trial.in, tokens, Array<T>(input.initial_state.shape()));
            trial.equal(times(keys, by_rows.u), trial.run("recurrent", blank)["state"], "K^T U");
          })
      .law<PrimeField>(
          Kind::same, "entries of the attention matrix and of the UT transform",
          "A_ts = beta_s q_t^T P_(s+1)t k_s, and T_rs = -beta_r beta_s k_r^T P_(s+1)(r-1) k_s below its "
          "diagonal beta",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const Index length = std::min<Index>(trial.size("n"), 12);
            const auto input = input_of(trial.in);
            const Array<T> scores = dr::attention(input, 0, length);
            const Array<T> transform = dr::ut_transform(input, 0, length, trial.size("block"));
            for (Index s = 0; s < length; ++s) {
              Array<T> key = transposed(row_of(input.key, s));  // P_(s+1)t k_s, as t grows
              trial.equal(transform(s, s), input.beta(s), "diagonal of T");
              for (Index t = s; t < length; ++t) {
                if (t > s) {
                  const T met = times(row_of(input.key, t), key)(0, 0);
                  trial.equal(transform(t, s), -input.beta(t) * input.beta(s) * met, "entry of T");
                  key = times(dr::transition(input.key.row(t), input.beta(t)), key);
                }
                trial.equal(scores(t, s), input.beta(s) * times(row_of(input.query, t), key)(0, 0),
                            "entry of A");
              }
            }
          })
      .law<PrimeField>(Kind::same, "the inverse of I + L",
                       "By substitution, by blocks and by doubling it is the same matrix, and the inverse",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         const Index length = std::min<Index>(trial.size("n"), 20);
                         const Array<T> lower = dr::interference(input_of(trial.in), 0, length);
                         const Array<T> inverse = dr::unit_lower_inverse(lower, length);
                         trial.equal(dr::unit_lower_inverse(lower, trial.size("block")), inverse, "blocks");
                         trial.equal(dr::unit_lower_inverse_by_doubling(lower), inverse, "doubling");
                         Array<T> matrix = identity<T>(length);
                         for (Index r = 0; r < length; ++r) {
                           for (Index s = 0; s < r; ++s) matrix(r, s) = lower(r, s);
                         }
                         trial.equal(times(matrix, inverse), identity<T>(length), "(I + L) (I + L)^-1");
                       })
      .law<PrimeField>(
          Kind::same, "one step of gradient descent",
          "A token moves the state by -beta times the gradient of |S^T k - v|^2 / 2", [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const auto one = picked(trial.in, {0}, trial.in["initial_state"]);
            const Array<T> after = trial.run("recurrent", one)["state"], before = one["initial_state"];
            for (Index i = 0; i < trial.size("d_k"); ++i) {
              for (Index j = 0; j < trial.size("d_v"); ++j) {
                Dual<T> loss(T(0));
                for (Index b = 0; b < trial.size("d_v"); ++b) {
                  Dual<T> error(-one["value"](0, b));
                  for (Index a = 0; a < trial.size("d_k"); ++a) {
                    error += Dual<T>(before(a, b), T(a == i && b == j ? 1 : 0)) * Dual<T>(one["key"](0, a));
                  }
                  loss += error * error / Dual<T>(T(2));
                }
                trial.equal(after(i, j), before(i, j) - one["beta"](0) * loss.tangent, "state");
              }
            }
          });
}

void memory(EntryBuilder& entry) {
  entry
      .law<PrimeField>(Kind::invariant, "exact recall",
                       "After writing orthonormal keys with beta = 1 every key returns its value, whatever "
                       "was there before",
                       [](auto& trial) {
                         const Index count = std::min(trial.size("n"), trial.size("d_k"));
                         auto in = picked(trial.in, first_tokens(count), trial.in["initial_state"]);
                         const auto keys = orthogonal(trial, "direction");
                         for (Index t = 0; t < count; ++t) {
                           in.real["beta"](t) = ScalarOf<decltype(trial)>(1);
                           for (Index i = 0; i < trial.size("d_k"); ++i) in.real["key"](t, i) = keys(t, i);
                         }
                         const auto state = trial.run("chunked", in)["state"];
                         for (Index t = 0; t < count; ++t) {
                           trial.equal(recalled(state, in["key"], t), row_of(in["value"], t), "value");
                         }
                         // Another value under the first key.
                         auto again = picked(in, {0}, state);
                         again.real["value"] = trial.array("other value", {1, trial.size("d_v")});
                         const auto changed = trial.run("recurrent", again)["state"];
                         trial.equal(recalled(changed, in["key"], 0), again["value"], "overwritten value");
                         for (Index t = 1; t < count; ++t) {
                           trial.equal(recalled(changed, in["key"], t), row_of(in["value"], t),
                                       "value that stays");
                         }
                       })
      .law<PrimeField>(Kind::invariant, "the last write is recalled",
                       "With beta = 1 / |k|^2 the state returns v_t for k_t after every token, for any keys",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         auto in = trial.in;
                         in.real["key"] = trial.array("nonzero keys", in["key"].shape(), Domain::nonzero);
                         in.real["query"] = in["key"];
                         in.real["scale"] = Array<T>(Shape{}, T(1));
                         for (Index t = 0; t < trial.size("n"); ++t) {
                           in.real["beta"](t) = T(1) / squares<T>(in["key"].row(t));
                         }
                         trial.equal(trial.run("chunked_ut", in)["output"], in["value"], "output");
                       })
      .law<PrimeField>(
          Kind::invariant, "a repeated unit key",
          "With beta = 1 the state depends on the last value only, and writing it twice is writing it once",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto in = trial.in;
            const auto keys = orthogonal(trial, "direction");
            for (Index t = 0; t < trial.size("n"); ++t) {
              in.real["beta"](t) = T(1);
              for (Index i = 0; i < trial.size("d_k"); ++i) in.real["key"](t, i) = keys(0, i);
            }
            const Index last = trial.size("n") - 1;
            const auto state = trial.run("chunked", in)["state"];
            const auto once = picked(in, {last}, in["initial_state"]);
            const auto twice = picked(in, {last, last}, in["initial_state"]);
            trial.equal(trial.run("chunked", once)["state"], state, "last value only");
            trial.equal(trial.run("chunked", twice)["state"], state, "twice");
          })
      .law<PrimeField>(Kind::invariant, "projection and reflection",
                       "H^2 = H for beta = 1 / |k|^2; H^2 = I and H H^T = I for beta = 2 / |k|^2",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         const auto key = trial.array("axis", {trial.size("d_k")}, Domain::nonzero);
                         const T length = squares<T>(key.values());
                         const Array<T> projection = dr::transition<T>(key.values(), T(1) / length);
                         const Array<T> reflection = dr::transition<T>(key.values(), T(2) / length);
                         const Array<T> one = identity<T>(trial.size("d_k"));
                         trial.equal(times(projection, projection), projection, "projection");
                         trial.equal(times(reflection, reflection), one, "involution");
                         trial.equal(times(reflection, transposed(reflection)), one, "orthogonal");
                       })
      .law<PrimeField>(
          Kind::invariant, "spectrum of a transition",
          "k is an eigenvector with the eigenvalue 1 - beta |k|^2, and all that is orthogonal to it stays",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto in = picked(trial.in, {0}, Array<T>({trial.size("d_k"), 2}));
            in.real["key"] = trial.array("axis", {1, trial.size("d_k")}, Domain::nonzero);
            in.real["value"] = Array<T>({1, 2});
            const T length = squares<T>(in["key"].row(0));
            const auto other = trial.array("other", {trial.size("d_k")});
            T along(0);
            for (Index i = 0; i < trial.size("d_k"); ++i) along += other(i) * in["key"](0, i) / length;
            Array<T> expected = in["initial_state"];
            for (Index i = 0; i < trial.size("d_k"); ++i) {
              in.real["initial_state"](i, 0) = in["key"](0, i);
              expected(i, 0) = (T(1) - in["beta"](0) * length) * in["key"](0, i);
              in.real["initial_state"](i, 1) = other(i) - along * in["key"](0, i);
              expected(i, 1) = in["initial_state"](i, 1);
            }
            trial.equal(trial.run("recurrent", in)["state"], expected, "eigenvectors");
            in.real["beta"](0) = T(3) / length;
            trial.equal(trial.run("recurrent", in)["state"](0, 0), T(-2) * in["key"](0, 0),
                        "growth by -2 for beta |k|^2 = 3");
          })
      .law<PrimeField>(Kind::invariant, "energy balance",
                       "Without values a token takes beta (2 - beta |k|^2) |S^T k|^2 from |S|^2: nothing "
                       "grows if and only if 0 <= beta |k|^2 <= 2",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         auto one = picked(trial.in, {0}, trial.in["initial_state"]);
                         one.real["value"] = Array<T>(one["value"].shape());
                         const Array<T> after = trial.run("recurrent", one)["state"];
                         const T beta = one["beta"](0), length = squares<T>(one["key"].row(0));
                         const Array<T> met = recalled(one["initial_state"], one["key"], 0);
                         trial.equal(squares<T>(after.values()),
                                     squares<T>(one["initial_state"].values()) -
                                         beta * (T(2) - beta * length) * squares<T>(met.values()),
                                     "|S|^2");
                       })
      .law<RationalExp2>(
          Kind::bound, "unit keys with beta between 0 and 2 are stable",
          "Without values |S_t| never grows, and |T_rs| <= beta_r beta_s",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto in = trial.in;
            give_unit_keys(trial, in);
            const auto half = trial.array("half of beta", in["beta"].shape(), Domain::gate);
            for (Index t = 0; t < trial.size("n"); ++t) in.real["beta"](t) = T(2) * half(t);
            const Array<T> transform =
                dr::ut_transform(input_of(in), 0, trial.size("n"), trial.size("block"));
            in.real["value"] = Array<T>(in["value"].shape());
            Array<T> state = in["initial_state"];
            for (Index t = 0; t < trial.size("n"); ++t) {
              const Array<T> next = trial.run("recurrent", picked(in, {t}, state))["state"];
              trial.expect(squares<T>(next.values()) <= squares<T>(state.values()), "|S_t| grows");
              state = next;
              for (Index s = 0; s < t; ++s) {
                trial.expect(magnitude(transform(t, s)) <= in["beta"](t) * in["beta"](s), "|T_rs|");
              }
            }
          })
      .law<PrimeField>(
          Kind::invariant, "what the negative side can do",
          "With beta = 2 one channel counts modulo 2, two reflections turn by twice the angle of their keys, "
          "and k = e_1 - e_2 with beta = 1 swaps two rows of the state",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const T h = trial.number("half tangent", Domain::gate), below = T(1) + h * h;
            const T cosine = (T(1) - h * h) / below, sine = T(2) * h / below;
            const T even = cosine * cosine - sine * sine, odd = T(2) * sine * cosine;
            const Array<T> before = trial.array("before", {2, 2});
            dr::Input<T> in{Array<T>({2, 2}), Array<T>({2, 2}), Array<T>({2, 2}), Array<T>({2}, T(2)),
                            before};
            in.key(0, 0) = T(1);
            in.key(1, 0) = cosine;
            in.key(1, 1) = sine;
            const Array<T> turned = trial.run("recurrent", arrays_of(in))["state"];
            trial.equal(trial.run("chunked", arrays_of(in))["state"], turned, "chunk");
            Array<T> swapped({2, 2});
            for (Index j = 0; j < 2; ++j) {
              trial.equal(turned(0, j), even * before(0, j) - odd * before(1, j), "turned row 1");
              trial.equal(turned(1, j), odd * before(0, j) + even * before(1, j), "turned row 2");
              swapped(0, j) = before(1, j);
              swapped(1, j) = before(0, j);
            }
            in.beta(0) = T(0);
            in.beta(1) = T(1);
            in.key(1, 0) = T(1);
            in.key(1, 1) = T(-1);
            trial.equal(trial.run("recurrent", arrays_of(in))["state"], swapped, "swap");
            const Index count = trial.size("n");
            const dr::Input<T> parity{Array<T>({count, 1}, T(1)), Array<T>({count, 1}, T(1)),
                                      Array<T>({count, 1}), Array<T>({count}, T(2)), Array<T>({1, 1}, T(1))};
            const Array<T> output = trial.run("chunked_wy", arrays_of(parity))["output"];
            for (Index t = 0; t < count; ++t) trial.equal(output(t, 0), T(t % 2 == 0 ? -1 : 1), "parity");
          });
}

void invariants(EntryBuilder& entry) {
  entry
      .law<PrimeField>(
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
            const auto a = trial.run("chunked"), b = trial.run("chunked", other);
            const auto both = trial.run("chunked", mixed);
            for (std::size_t i = 0; i < both["output"].values().size(); ++i) {
              trial.equal(both["output"].values()[i],
                          x * a["output"].values()[i] + y * b["output"].values()[i], "output");
            }
          })
      .law<PrimeField>(Kind::invariant, "long keys are weak betas",
                       "(a k, beta / a^2) in the place of (k, beta), and the initial state over a, divide "
                       "states and outputs by a",
                       [](auto& trial) {
                         const auto a = trial.number("a", Domain::nonzero);
                         auto scaled = trial.in;
                         for (auto& x : scaled.real["key"].values()) x *= a;
                         for (auto& x : scaled.real["beta"].values()) x /= a * a;
                         for (auto& x : scaled.real["initial_state"].values()) x /= a;
                         auto expected = trial.run("recurrent");
                         for (const char* name : {"output", "state"}) {
                           for (auto& x : expected.real[name].values()) x /= a;
                         }
                         trial.equal(trial.run("chunked_wy", scaled), expected);
                       })
      .law<PrimeField>(Kind::invariant, "the basis of the channels is free",
                       "An orthogonal change of basis of query, key and initial state changes no output",
                       [](auto& trial) {
                         auto turned = trial.in;
                         const auto basis = orthogonal(trial, "direction");
                         turned.real["query"] = times(trial.in["query"], basis);
                         turned.real["key"] = times(trial.in["key"], basis);
                         turned.real["initial_state"] = times(transposed(basis), trial.in["initial_state"]);
                         trial.equal(trial.run("pairwise", turned)["output"],
                                     trial.run("recurrent")["output"], "output");
                       })
      .law<PrimeField>(Kind::invariant, "degenerate tokens",
                       "beta = 0 or k = 0 leaves the state; one token reads beta (q . k) v; one channel with "
                       "k = 1 is a leaky average",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         auto still = trial.in;
                         for (Index t = 0; t < trial.size("n"); ++t) {
                           const bool no_beta = trial.integer("zero " + std::to_string(t), 0, 1) == 1;
                           if (no_beta) still.real["beta"](t) = T(0);
                           for (Index i = 0; !no_beta && i < trial.size("d_k"); ++i)
                             still.real["key"](t, i) = T(0);
                         }
                         trial.equal(trial.run("parallel", still)["state"], still["initial_state"],
                                     "frozen state");
                         const auto one = picked(trial.in, {0}, Array<T>(trial.in["initial_state"].shape()));
                         T score = one["scale"]() * one["beta"](0);
                         score *= times(one["query"], transposed(one["key"]))(0, 0);
                         const auto output = trial.run("chunked", one)["output"];
                         for (Index j = 0; j < trial.size("d_v"); ++j) {
                           trial.equal(output(0, j), score * one["value"](0, j), "one token");
                         }
                         const Index count = trial.size("n");
                         const auto value = trial.array("scalars", {count, 1});
                         const Array<T> ones({count, 1}, T(1));
                         const dr::Input<T> scalar{ones, ones, value, trial.in["beta"], Array<T>({1, 1})};
                         const auto average = trial.run("chunked", arrays_of(scalar))["output"];
                         T expected(0);
                         for (Index t = 0; t < count; ++t) {
                           expected = (T(1) - scalar.beta(t)) * expected + scalar.beta(t) * value(t, 0);
                           trial.equal(average(t, 0), expected, "leaky average");
                         }
                       })
      .law<PrimeField>(
          Kind::gradient, "inner products of gradients",
          "<v, dv> + <S_0, dS_0> = <o, do> + <S_n, dS_n>, and c dc = sum of <q, dq> c", [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            trial.in = draw_inputs<T>(trial.entry(), trial.drawn(), true);
            const auto out = trial.run("recurrent"), d = trial.run("backward");
            const auto inner = [](const Array<T>& a, const Array<T>& b) {
              T sum(0);
              for (std::size_t i = 0; i < a.values().size(); ++i) sum += a.values()[i] * b.values()[i];
              return sum;
            };
            trial.equal(inner(trial.in["value"], d["d_value"]) +
                            inner(trial.in["initial_state"], d["d_initial_state"]),
                        inner(out["output"], trial.in["d_output"]) + inner(out["state"], trial.in["d_state"]),
                        "<v, dv> + <S, dS>");
            trial.equal(trial.in["scale"]() * d["d_scale"](), inner(trial.in["query"], d["d_query"]), "c dc");
          });
}

/// The inputs of gated linear attention that stand for linear attention on beta v.
template <class T>
Arrays<T> undecayed(const Arrays<T>& in) {
  Arrays<T> gla = in;
  for (Index t = 0; t < in["value"].extent(0); ++t) {
    for (Index j = 0; j < in["value"].extent(1); ++j) gla.real["value"](t, j) *= in["beta"](t);
  }
  gla.real["decay"] = Array<T>(in["key"].shape(), T(1));
  return gla;
}

void limits(EntryBuilder& entry) {
  entry
      .limit<PrimeField>(
          "gated_linear_attention", "with keys along the axes it is gated linear attention",
          "A key with a single channel that is not 0 makes the transition diagonal: the gates are 1 - beta "
          "k_i^2",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto in = trial.in;
            Arrays<T> gla = undecayed(in);
            for (Index t = 0; t < trial.size("n"); ++t) {
              const Index axis = trial.integer("axis " + std::to_string(t), 0, trial.size("d_k") - 1);
              for (Index i = 0; i < trial.size("d_k"); ++i) {
                if (i != axis) in.real["key"](t, i) = T(0);
                gla.real["decay"](t, i) = T(1) - in["beta"](t) * in["key"](t, i) * in["key"](t, i);
              }
            }
            gla.real["key"] = in["key"];
            trial.equal(trial.run("chunked", in),
                        trial.run_other("gated_linear_attention", "recurrent", gla));
          })
      .limit<PrimeField>("gated_linear_attention", "with orthogonal keys it is linear attention",
                         "While keys are orthogonal to all before them, and nothing is stored yet, the state "
                         "is that of linear attention on beta v",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index count = std::min(trial.size("n"), trial.size("d_k"));
                           auto in = picked(trial.in, first_tokens(count),
                                            Array<T>(trial.in["initial_state"].shape()));
                           const auto keys = orthogonal(trial, "direction");
                           const auto length = trial.array("length", {count});
                           for (Index t = 0; t < count; ++t) {
                             for (Index i = 0; i < trial.size("d_k"); ++i)
                               in.real["key"](t, i) = length(t) * keys(t, i);
                           }
                           trial.equal(trial.run("parallel", in),
                                       trial.run_other("gated_linear_attention", "recurrent", undecayed(in)));
                         })
      .limit<PrimeField>("gated_linear_attention", "for vanishing beta it is linear attention",
                         "The derivative of states and outputs by beta, at beta = 0 and S_0 = 0, is linear "
                         "attention on beta v: S / beta tends to it",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           auto in = trial.in;
                           in.real["initial_state"] = Array<T>(in["initial_state"].shape());
                           Arrays<Dual<T>> moved;
                           for (const auto& [name, array] : in.real) {
                             Array<Dual<T>> constant(array.shape());
                             for (std::size_t i = 0; i < array.values().size(); ++i) {
                               constant.values()[i] = name == "beta" ? Dual<T>(T(0), array.values()[i])
                                                                     : Dual<T>(array.values()[i]);
                             }
                             moved.real[name] = constant;
                           }
                           const auto out = trial.entry().form("recurrent").template run<Dual<T>>(moved, {});
                           const auto limit =
                               trial.run_other("gated_linear_attention", "recurrent", undecayed(in));
                           for (const char* name : {"output", "state"}) {
                             for (std::size_t i = 0; i < limit[name].values().size(); ++i) {
                               trial.equal(out[name].values()[i].tangent, limit[name].values()[i], name);
                             }
                           }
                         })
      .law<RationalExp2>(Kind::converges, "S / beta tends to linear attention",
                         "For unit keys and constant beta, |S / beta - sum k v^T| <= beta sum_t sum_{s<t} "
                         "|v_s|_1: first order in beta (derived from the energy balance)",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           auto in = trial.in;
                           give_unit_keys(trial, in);
                           in.real["initial_state"] = Array<T>(in["initial_state"].shape());
                           const T beta = T(1) / T(Index{1} << trial.integer("halvings", 0, 20));
                           in.real["beta"] = Array<T>(in["beta"].shape(), beta);
                           const Array<T> state = trial.run("recurrent", in)["state"];
                           const Array<T> limit = times(transposed(in["key"]), in["value"]);
                           T distance(0), all(0), earlier(0);
                           for (std::size_t i = 0; i < state.values().size(); ++i) {
                             const T difference = state.values()[i] / beta - limit.values()[i];
                             distance += difference * difference;
                           }
                           for (Index t = 0; t < trial.size("n"); ++t) {
                             all += earlier;
                             for (Index j = 0; j < trial.size("d_v"); ++j)
                               earlier += magnitude(in["value"](t, j));
                           }
                           trial.expect(distance <= beta * beta * all * all, "distance to linear attention");
                         });
}

void layer(EntryBuilder& entry) {
  entry
      .law<Bounded<Real50>>(
          Kind::bound, "the layer cannot explode",
          "With L2-normalised keys, beta = 2 sigma(x) and no values |S_t| never grows; keys of the 2021 "
          "layer have entries that add up to 1 and so a length of at most 1",
          [](auto& trial) {
            using T = Bounded<Real50>;
            const T epsilon = T(1) / T(1000000);
            auto in = trial.in;
            in.real["key"] = dr::l2_normalised(in["key"], epsilon);
            in.real["value"] = Array<T>(in["value"].shape());
            for (T& x : in.real["beta"].values()) {
              const T strength = dr::write_strength(x);
              trial.equal(strength + dr::write_strength(-x), T(1), "sigma(x) + sigma(-x)");
              trial.at_most(T(0), strength, "sigma is not below 0");
              trial.at_most(strength, T(1), "sigma is not above 1");
              x = dr::signed_write_strength(x);
              trial.equal(x, T(2) * strength, "2 sigma");
            }
            Array<T> state = in["initial_state"], features = trial.in["key"];
            for (T& x : features.values()) x = dr::elu_plus_one(x);
            const Array<T> normalised = dr::sum_normalised(features);
            for (Index t = 0; t < trial.size("n"); ++t) {
              const T length = squares<T>(in["key"].row(t)), drawn = squares<T>(trial.in["key"].row(t));
              trial.equal(length, drawn / (drawn + epsilon), "|k|^2");
              const Array<T> next = trial.run("recurrent", picked(in, {t}, state))["state"];
              trial.at_most(squares<T>(next.values()), squares<T>(state.values()), "|S_t| grows");
              state = next;
              T sum(0);
              for (Index i = 0; i < trial.size("d_k"); ++i) {
                sum += normalised(t, i);
                trial.at_most(T(0), normalised(t, i), "features are not negative");
              }
              trial.equal(sum, T(1), "sum of a key");
              trial.at_most(squares<T>(normalised.row(t)), T(1), "length of a key");
            }
          })
      .law<RationalExp2>(Kind::invariant, "DPFP makes the signs of a key its address",
                         "Features are not negative; two channels with reach 1 give one feature, |x_1 x_2|, "
                         "at a place that their signs choose, so keys in different quadrants are orthogonal "
                         "and four facts are recalled exactly",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index d = trial.size("d_k"), reach = trial.integer("reach", 1, 2 * d - 1);
                           const Array<T> features = dr::dpfp(trial.in["key"], reach);
                           for (const T& feature : features.values())
                             trial.expect(!(feature < T(0)), "negative feature");
                           const auto x = trial.array("x", {4, 2}, Domain::positive);
                           dr::Input<T> in{Array<T>(), Array<T>({4, 2}), trial.array("facts", {4, 1}),
                                           Array<T>({4}, T(1)), Array<T>({4, 1})};
                           for (Index t = 0; t < 4; ++t) {
                             in.key(t, 0) = t % 2 == 0 ? x(t, 0) : -x(t, 0);
                             in.key(t, 1) = t / 2 == 0 ? x(t, 1) : -x(t, 1);
                           }
                           in.key = dr::sum_normalised(dr::dpfp(in.key, 1));
                           const Array<T> grams = times(in.key, transposed(in.key));
                           trial.equal(grams, identity<T>(4), "orthonormal");
                           in.query = in.key;
                           trial.equal(rows_of(trial.run("chunked", arrays_of(in))["state"], 0, 4),
                                       times(transposed(in.key), in.value), "state");
                         })
      .law<RationalExp2>(Kind::erratum, "DPFP around the circle in the other direction",
                         "The paper's r_m r_(m+i) and the code's r_m r_(m-i) give the same inner products",
                         [](auto& trial) {
                           using T = ScalarOf<decltype(trial)>;
                           const Index d = trial.size("d_k"), reach = trial.integer("reach", 1, 2 * d - 1);
                           const Array<T>& x = trial.in["key"];
                           const auto part = [&](Index t, Index m) {
                             const T number = m < d ? x(t, m) : -x(t, m - d);
                             return number < T(0) ? T(0) : number;
                           };
                           Array<T> rolled({x.extent(0), 2 * d * reach});
                           for (Index t = 0; t < x.extent(0); ++t) {
                             for (Index c = 0; c < rolled.extent(1); ++c) {
                               const Index m = c % (2 * d), back = (m - c / (2 * d) - 1 + 2 * d) % (2 * d);
                               rolled(t, c) = part(t, m) * part(t, back);
                             }
                           }
                           const Array<T> features = dr::dpfp(x, reach);
                           trial.equal(times(features, transposed(features)),
                                       times(rolled, transposed(rolled)), "inner products");
                         })
      .once(Kind::erratum, "L1 without absolute values",
            "The released option L1 divides by the plain sum: (3, -2) keeps its length of 3.6 where the L1 "
            "norm would give (3/5, -2/5)",
            [](auto& check) {
              using R = RationalExp2;
              const auto key = dr::sum_normalised(Array<R>::matrix({{R(3), R(-2)}}));
              check.equal(squares<R>(key.row(0)), R(13), "|k|^2 of the plain sum");
              const R norm = R(3) + R(2);
              check.equal(R(9) / (norm * norm) + R(4) / (norm * norm), R(13) / R(25), "|k|^2 of the L1 norm");
            })
      .once(Kind::bound, "a unit key in bfloat16",
            "Rounding changes |k|^2 by a factor between (1 - 2^-8)^2 and (1 + 2^-8)^2; where it grows, a "
            "write with beta = 2 is no contraction any more",
            [](auto& check) {
              const double x = 0.5 + 0x1p-9 + 0x1p-20;
              Array<double> key({1, 4}, x);
              key(0, 3) = std::sqrt(1 - 3 * x * x);
              for (double& number : key.values()) number = static_cast<double>(BFloat16(number));
              const double length = squares<double>(key.row(0));
              check.expect(length > 1 + 0x1p-8 && length < (1 + 0x1p-8) * (1 + 0x1p-8),
                           "|k|^2 " + show(length));
              dr::Input<double> in{key, key, Array<double>({1, 1}), Array<double>({1}, 2.0),
                                   Array<double>({4, 1})};
              for (Index i = 0; i < 4; ++i) in.initial_state(i, 0) = key(0, i);
              const Array<double> state = run("recurrent", in)["state"];
              check.expect(squares<double>(state.values()) > length, "the state grows");
            })
      .once(Kind::bound, "never invert by doubling in floating point",
            "64 equal unit keys with beta = 1: powers of L hold binomials up to C(62, 31) = 4.65e17, the "
            "inverse only 0, 1 and -1; in float32 substitution is exact, doubling is off by more than 1",
            [](auto& check) {
              constexpr Index kLength = 64;
              const auto ones = [](auto zero) {
                using T = decltype(zero);
                const Array<T> key({kLength, 1}, T(1));
                return dr::interference(
                    dr::Input<T>{key, key, key, Array<T>({kLength}, T(1)), Array<T>({1, 1})}, 0, kLength);
              };
              std::vector<std::vector<std::uint64_t>> choose(kLength, std::vector<std::uint64_t>(kLength, 0));
              for (std::size_t a = 0; a < kLength; ++a) {
                choose[a][0] = 1;
                for (std::size_t b = 1; b <= a; ++b) choose[a][b] = choose[a - 1][b - 1] + choose[a - 1][b];
              }
              check.expect(choose[62][31] == 465428353255261088U, "C(62, 31)");
              const Array<PrimeField> lower = ones(PrimeField(0));  // all entries stay below its modulus
              Array<PrimeField> power = lower;
              for (std::size_t m = 1; m <= 32; ++m) {
                for (Index i = 0; i < kLength; ++i) {
                  for (Index j = 0; j < i; ++j) {
                    const auto expected = choose[static_cast<std::size_t>(i - j - 1)][m - 1];
                    check.equal(power(i, j), PrimeField(static_cast<Index>(expected)), "power of L");
                  }
                }
                power = times(lower, power);
              }
              const Array<float> single = ones(0.0F);
              const Array<float> good = dr::unit_lower_inverse(single, 16);
              const Array<float> bad = dr::unit_lower_inverse_by_doubling(single);
              float worst = 0;
              for (Index i = 0; i < kLength; ++i) {
                for (Index j = 0; j <= i; ++j) {
                  const float expected = i == j ? 1.0F : i == j + 1 ? -1.0F : 0.0F;
                  check.equal(good(i, j), expected, "by blocks");
                  worst = std::max(worst, std::abs(bad(i, j) - expected));
                }
              }
              check.measure("error of doubling", worst);
              check.expect(worst > 1 || std::isnan(worst), "doubling is off by " + show(worst));
            });
}

void errata(EntryBuilder& entry) {
  entry
      .law<PrimeField>(
          Kind::erratum, "the paper's state is the transpose",
          "S_t = S_{t-1} (I - beta k k^T) + beta v k^T on states d_v x d_k is the same recurrence",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            Array<T> state = transposed(trial.in["initial_state"]);
            for (Index t = 0; t < trial.size("n"); ++t) {
              const T beta = trial.in["beta"](t);
              state = times(state, dr::transition(trial.in["key"].row(t), beta));
              for (Index j = 0; j < trial.size("d_v"); ++j) {
                for (Index i = 0; i < trial.size("d_k"); ++i) {
                  state(j, i) += beta * trial.in["value"](t, j) * trial.in["key"](t, i);
                }
              }
            }
            trial.equal(transposed(state), trial.run("recurrent")["state"], "state");
          })
      .law<PrimeField>(
          Kind::erratum, "the scale is in the code alone",
          "The code multiplies queries by 1 / sqrt(d_k), the paper by nothing: outputs differ by that "
          "factor, states not at all",
          [](auto& trial) {
            auto unscaled = trial.in;
            unscaled.real.erase("scale");
            auto expected = trial.run("recurrent", unscaled);
            for (auto& x : expected.real["output"].values()) x *= trial.in["scale"]();
            for (const char* form : {"recurrent", "chunked", "parallel", "pairwise", "blocked"}) {
              trial.equal(trial.run(form), expected, form);
            }
          })
      .law<PrimeField>(Kind::erratum, "beta folded into keys and values",
                       "The code multiplies (I + L)^-1 with Diag(beta) K where the paper forms T K: the same "
                       "W, another place of rounding",
                       [](auto& trial) {
                         using T = ScalarOf<decltype(trial)>;
                         const Index length = std::min<Index>(trial.size("n"), 20);
                         const auto input = input_of(trial.in);
                         Array<T> folded = rows_of(input.key, 0, length);
                         for (Index t = 0; t < length; ++t) {
                           for (T& x : folded.row(t)) x *= input.beta(t);
                         }
                         const auto inverse =
                             dr::unit_lower_inverse(dr::interference(input, 0, length), trial.size("block"));
                         trial.equal(times(inverse, folded),
                                     dr::wy_by_transform(input, 0, length, trial.size("block")).w, "W");
                       });
}

// ---- costs -------------------------------------------------------------------------------------

/// Operations that all chunked forms share: reading a chunk of `m` tokens and handing over the state.
Expression finish_multiplications(const Expression& m) {
  const Expression pairs = m * (m - 1) / 2;
  return 2 * m * d_k * d_v + (pairs + m) * (d_k + d_v);
}

Expression finish_additions(const Expression& m) {
  const Expression pairs = m * (m - 1) / 2;
  return m * (d_k - 1) * d_v + (pairs + m) * (d_k - 1) + pairs * d_v + m * d_v + m * d_k * d_v;
}

/// A sum over all chunks: the full ones and the last.
template <class Formula>
Expression over_chunks(Formula formula) {
  const Expression full = ceil_div(n, chunk) - 1, last = n - full * chunk;
  return full * formula(chunk) + formula(last);
}

void costs(EntryBuilder& entry) {
  Cost recurrent("recurrent");
  recurrent.without = {"scale"};
  recurrent.multiplications = n * (3 * d_k * d_v + d_v);
  recurrent.additions = n * (3 * d_k * d_v - d_v);
  recurrent.divisions = 0;
  recurrent.depth = n * (d_k + 4) + d_k;
  recurrent.free_depth = n * (ceil_log2(d_k + 1) + 4) + ceil_log2(d_k) + 1;
  recurrent.state = d_k * d_v;
  Cost dense("dense");
  dense.without = {"scale"};
  dense.multiplications = n * (2 * d_k * d_k + d_k * d_k * d_v + 3 * d_k * d_v);
  dense.additions = n * (d_k + d_k * d_k * d_v + (d_k - 1) * d_v);
  dense.divisions = 0;
  dense.state = d_k * d_v;
  Cost chunked("chunked");
  chunked.without = {"scale"};
  chunked.multiplications = over_chunks([](const Expression& m) {
    const Expression pairs = m * (m - 1) / 2;
    return pairs * (d_k + 1) + m * d_v + m * d_k * d_v + pairs * d_v + finish_multiplications(m);
  });
  chunked.additions = over_chunks([](const Expression& m) {
    const Expression pairs = m * (m - 1) / 2;
    return pairs * (d_k - 1) + m * d_v + m * (d_k - 1) * d_v + pairs * d_v + finish_additions(m);
  });
  chunked.divisions = 0;
  chunked.state = d_k * d_v;
  Cost chunked_wy("chunked_wy");
  chunked_wy.without = {"scale"};
  chunked_wy.multiplications = over_chunks([](const Expression& m) {
    const Expression pairs = m * (m - 1) / 2;
    return pairs * (2 * d_k + d_v) + m * (d_k + d_v) + m * d_k * d_v + finish_multiplications(m);
  });
  chunked_wy.additions = over_chunks([](const Expression& m) {
    const Expression pairs = m * (m - 1) / 2;
    return pairs * (2 * d_k - 1 + d_v) + m * d_k * d_v + finish_additions(m);
  });
  chunked_wy.divisions = 0;
  chunked_wy.state = d_k * d_v;
  Cost parallel("parallel");
  parallel.without = {"scale"};
  const Expression pairs = n * (n - 1) / 2, seen = n * (n + 1) / 2, inner = n * (n - 1) * (n - 2) / 6;
  const Expression transform_multiplications = pairs * (d_k + 2) + inner;
  const Expression transform_additions = pairs * (d_k - 1) + inner;
  parallel.multiplications = 2 * transform_multiplications + seen * d_k + n * (n + 1) * (n + 2) / 6 +
                             2 * seen * (d_k + d_v) + 3 * n * d_k * d_v;
  parallel.additions = 2 * transform_additions + seen * (d_k - 1) + (n - 1) * n * (n + 1) / 6 + seen * d_k +
                       pairs * d_v + pairs * (d_k + d_v) + 3 * n * d_k * d_v;
  parallel.divisions = 0;
  parallel.state = n * n;
  entry.cost(recurrent).cost(dense).cost(chunked).cost(chunked_wy).cost(parallel);
  std::vector<Settings> grid;
  for (Index length = 16; length <= 1024; length *= 2) {
    grid.push_back({{"n", length}, {"d_k", 64}, {"d_v", 64}, {"chunk", 64}});
  }
  entry.scale("64 channels", grid);
}

void examples(EntryBuilder& entry) {
  entry.example("worked example", "Four tokens, two channels, by hand", [](auto& check) {
    using R = RationalExp2;
    const auto over = [](Index a, Index b) { return R(a) / R(b); };
    const dr::Input<R> in{
        Array<R>::matrix({{R(1), R(0)}, {R(0), R(1)}, {R(1), R(1)}, {R(2), R(-1)}}),
        Array<R>::matrix({{R(1), R(0)}, {over(3, 5), over(4, 5)}, {R(0), R(1)}, {R(1), R(0)}}),
        Array<R>::matrix({{R(1), R(2)}, {R(2), R(0)}, {R(-1), R(1)}, {R(4), R(4)}}),
        Array<R>::vector({R(1), over(1, 2), R(1), over(1, 2)}),
        Array<R>({2, 2}),
        R(1)};
    check.equal(dr::ut_transform(in, 0, 4, 2),
                Array<R>::matrix({{R(1), R(0), R(0), R(0)},
                                  {over(-3, 10), over(1, 2), R(0), R(0)},
                                  {over(6, 25), over(-2, 5), R(1), R(0)},
                                  {over(-41, 100), over(-3, 20), R(0), over(1, 2)}}),
                "T");
    const auto chunk_of_4 = dr::wy(in, 0, 4);
    check.equal(
        chunk_of_4.w,
        Array<R>::matrix({{R(1), R(0)}, {R(0), over(2, 5)}, {R(0), over(17, 25)}, {R(0), over(-3, 25)}}),
        "W");
    check.equal(chunk_of_4.u,
                Array<R>::matrix({{R(1), R(2)},
                                  {over(7, 10), over(-3, 5)},
                                  {over(-39, 25), over(37, 25)},
                                  {over(129, 100), over(59, 50)}}),
                "U");
    check.equal(dr::attention(in, 0, 4),
                Array<R>::matrix({{R(1), R(0), R(0), R(0)},
                                  {over(-6, 25), over(2, 5), R(0), R(0)},
                                  {over(41, 50), over(3, 10), R(1), R(0)},
                                  {over(41, 50), over(3, 10), R(-1), R(1)}}),
                "A");
    const auto output = Array<R>::matrix({{R(1), R(2)},
                                          {over(14, 25), over(-12, 25)},
                                          {over(21, 50), over(66, 25)},
                                          {over(321, 50), over(116, 25)}});
    const auto state = Array<R>::matrix({{over(271, 100), over(141, 50)}, {R(-1), R(1)}});
    for (const char* form : {"recurrent", "chunked", "parallel"}) {
      const auto out = run(form, in, 3);
      check.equal(out["output"], output, "output");
      check.equal(out["state"], state, "state");
    }
  });
}

const Registration<EntryBuilder> registration{"delta_rule", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                identities(entry);
                                                memory(entry);
                                                invariants(entry);
                                                limits(entry);
                                                layer(entry);
                                                errata(entry);
                                                costs(entry);
                                                examples(entry);
                                              }};

}  // namespace
}  // namespace etalon
