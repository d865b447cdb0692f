/// \file
/// The entry of retention: forms, laws, costs. Its text is `reference/linear_attention/retention.hpp`.
#include "reference/linear_attention/retention.hpp"

#include "proofs/engine/group.hpp"

namespace etalon {
namespace {

const Expression n = symbol("n"), pairs = symbol("pairs"), d_v = symbol("d_v"), chunk = symbol("chunk");
const Expression d_k = 2 * pairs;

/// A unit complex number from the tangent h of half its angle: (1 - h^2 + 2 h i) / (1 + h^2), rational in h.
template <Field T>
Complex<T> unit(const T& h) {
  const T below = T(1) + h * h;
  return Complex<T>((T(1) - h * h) / below, T(2) * h / below);
}

template <Field T>
retention::Input<T> input_of(const Arrays<T>& in) {
  Array<Complex<T>> rotation(in["half_tangent"].shape());
  for (Index a = 0; a < rotation.extent(0); ++a) rotation(a) = unit(in["half_tangent"](a));
  return {in["query"], in["key"], in["value"], rotation, in["decay"](), in["initial_state"]};
}

template <Ring T>
Arrays<T> arrays_of(const retention::Output<T>& out) {
  Arrays<T> arrays;
  arrays.real["output"] = out.output;
  arrays.real["state"] = out.state;
  return arrays;
}

void describe(EntryBuilder& entry) {
  entry
      .about("linear_attention", "Retention (RetNet)",
             "Linear attention whose memory fades by one constant factor a token, with rotated queries and "
             "keys.",
             {"sun2023retnet"})
      .size("n", 100, 6)
      .size("pairs", 3, 2)
      .size("d_v", 3, 2)
      .parameter({"chunk", 64, 1, n + 2, "tokens in a chunk; the last one may be shorter", {}})
      .input("query", {n, d_k}, Domain::any, "what each token asks")
      .input("key", {n, d_k}, Domain::any, "under which label each token is remembered")
      .input("value", {n, d_v}, Domain::any, "what is remembered of each token")
      .input("half_tangent", {pairs}, Domain::gate, "tan of half the angle that each pair turns a token")
      .input("decay", {}, Domain::gate, "factor by which the memory fades a token")
      .input("initial_state", {d_k, d_v}, Domain::any, "the memory before the first token")
      .output("output", {n, d_v}, "what each token reads")
      .output("state", {d_k, d_v}, "the memory after the last token, as that token sees it");
}

void forms(EntryBuilder& entry) {
  entry
      .form("parallel", "the definition: every query with every earlier key",
            []<Field T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(retention::parallel(input_of(in)));
            })
      .form("recurrent", "token after token on rotated queries and keys",
            []<Field T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(retention::recurrent(input_of(in)));
            })
      .form("rotating_state", "token after token, the state turning back instead",
            []<Field T>(const Arrays<T>& in, const Settings&) {
              return arrays_of(retention::rotating_state(input_of(in)));
            })
      .form("chunked", "all pairs inside chunks, a state from chunk to chunk",
            []<Field T>(const Arrays<T>& in, const Settings& settings) {
              return arrays_of(retention::chunked(input_of(in), at(settings, "chunk")));
            });
}

void laws_of(EntryBuilder& entry) {
  entry.standard(laws::same("recurrent", "parallel"))
      .standard(laws::same("rotating_state", "parallel"))
      .standard(laws::same("chunked", "parallel"))
      .standard(laws::split("recurrent", "n", {{"state", "initial_state"}}))
      .standard(laws::split("chunked", "n", {{"state", "initial_state"}}))
      .standard(laws::causal("chunked", "n"))
      .limit<PrimeField, Rational>(
          "gated_linear_attention", "is gated linear attention with one constant gate",
          "Retention equals gated linear attention on rotated queries and keys with every gate equal to "
          "gamma",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            const retention::Input<T> in = input_of(trial.in);
            Arrays<T> gla;
            const auto turns = retention::rotations(in.rotation, trial.size("n"));
            gla.real["query"] = retention::rotated(in.query, turns);
            gla.real["key"] = retention::rotated(in.key, turns);
            gla.real["value"] = in.value;
            gla.real["decay"] = Array<T>(in.key.shape(), in.decay);
            gla.real["initial_state"] = in.initial_state;
            const auto out = trial.run_other("gated_linear_attention", "recurrent", gla);
            trial.equal(out["output"], trial.run("parallel")["output"], "output");
          })
      .law<PrimeField, Rational>(
          Kind::invariant, "only relative positions matter",
          "Turning all queries and keys by one more step changes no output, without an initial state",
          [](auto& trial) {
            using T = ScalarOf<decltype(trial)>;
            auto in = trial.in;
            in.real["initial_state"] = Array<T>(in["initial_state"].shape());
            auto moved = in;
            Array<Complex<T>> once({trial.size("n") + 1, trial.size("pairs")});
            for (Index t = 0; t < once.extent(0); ++t) {
              for (Index a = 0; a < once.extent(1); ++a) once(t, a) = unit(in["half_tangent"](a));
            }
            moved.real["query"] = retention::rotated(in["query"], once);
            moved.real["key"] = retention::rotated(in["key"], once);
            trial.equal(trial.run("recurrent", moved)["output"], trial.run("recurrent", in)["output"],
                        "output");
          })
      .law<PrimeField, Rational>(Kind::invariant, "the decays of a row add up to a geometric sum",
                                 "With all scores and values 1 row t is (1 - gamma^(t+1)) / (1 - gamma)",
                                 [](auto& trial) {
                                   using T = ScalarOf<decltype(trial)>;
                                   auto in = trial.in;
                                   for (const char* name : {"query", "key"}) {
                                     in.real[name] = Array<T>(in[name].shape());
                                     for (Index t = 0; t < trial.size("n"); ++t) in.real[name](t, 0) = T(1);
                                   }
                                   in.real["value"] = Array<T>(in["value"].shape(), T(1));
                                   in.real["half_tangent"] = Array<T>(in["half_tangent"].shape());
                                   in.real["initial_state"] = Array<T>(in["initial_state"].shape());
                                   const auto output = trial.run("chunked", in)["output"];
                                   const T decay = in["decay"]();
                                   T power = decay;
                                   for (Index t = 0; t < trial.size("n"); ++t) {
                                     trial.equal((T(1) - decay) * output(t, 0), T(1) - power, "row");
                                     power *= decay;
                                   }
                                 })
      .example("worked example", "Four tokens with and without rotation; the decays of four heads",
               [](auto& check) {
                 using R = Rational;
                 const auto over = [](Index a, Index b) { return R(a) / R(b); };
                 retention::Input<R> in{
                     Array<R>::matrix({{R(1), R(0)}, {R(0), R(1)}, {R(1), R(1)}, {R(2), R(0)}}),
                     Array<R>::matrix({{R(0), R(1)}, {R(1), R(0)}, {R(1), R(1)}, {R(0), R(2)}}),
                     Array<R>::matrix({{R(1), R(0)}, {R(0), R(1)}, {R(2), R(-1)}, {R(3), R(4)}}),
                     Array<Complex<R>>({1}, Complex<R>(R(1), R(0))),
                     over(1, 2),
                     Array<R>({2, 2})};
                 check.equal(
                     retention::parallel(in).output,
                     Array<R>::matrix(
                         {{R(0), R(0)}, {over(1, 2), R(0)}, {over(17, 4), over(-3, 2)}, {R(2), over(-1, 2)}}),
                     "output");
                 check.equal(retention::recurrent(in).state,
                             Array<R>::matrix({{R(1), over(-1, 4)}, {over(57, 8), over(15, 2)}}), "state");
                 in.rotation(0) = Complex<R>(over(3, 5), over(4, 5));
                 check.equal(retention::parallel(in).output,
                             Array<R>::matrix({{R(0), R(0)},
                                               {over(3, 10), R(0)},
                                               {over(417, 100), over(-21, 10)},
                                               {over(361, 125), over(-77, 50)}}),
                             "output with rotation");
                 const R decays[] = {over(31, 32), over(63, 64), over(127, 128), over(255, 256)};
                 for (Index h = 0; h < 4; ++h)
                   check.equal(retention::head_decay<R>(h), decays[h], "decay of a head");
               });
}

void costs(EntryBuilder& entry) {
  // The unit numbers from the half tangents, their powers, the tokens turned by them, the final state turned
  // back.
  const Expression turning_multiplications =
      3 * pairs + 4 * (n - 1) * pairs + 8 * n * pairs + 4 * pairs * d_v;
  const Expression turning_additions = 2 * pairs + 2 * (n - 1) * pairs + 4 * n * pairs + 2 * pairs * d_v;
  Cost recurrent("recurrent");
  recurrent.multiplications = 3 * n * d_k * d_v + turning_multiplications;
  recurrent.additions = n * d_v * (2 * d_k - 1) + turning_additions;
  recurrent.divisions = 2 * pairs;
  recurrent.state = d_k * d_v;
  Cost parallel = recurrent;
  parallel.form = "parallel";
  parallel.multiplications = n * (n + 1) / 2 * (d_k + d_v) + n * (n - 1) / 2 + (n - 1) + n * d_v * (d_k + 1) +
                             2 * n * d_k * d_v + turning_multiplications;
  parallel.additions =
      n * (n + 1) / 2 * (d_k - 1) + n * (n - 1) / 2 * d_v + n * d_k * d_v + n * d_k * d_v + turning_additions;
  parallel.state = n * d_k;
  entry.cost(recurrent).cost(parallel);
  std::vector<Settings> grid;
  for (Index length = 16; length <= 1024; length *= 2) {
    grid.push_back({{"n", length}, {"pairs", 32}, {"d_v", 64}});
  }
  entry.scale("64 channels", grid);
}

const Registration<EntryBuilder> registration{"retention", [](EntryBuilder& entry) {
                                                describe(entry);
                                                forms(entry);
                                                laws_of(entry);
                                                costs(entry);
                                              }};

}  // namespace
}  // namespace etalon
