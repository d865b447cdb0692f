/// \file
/// `fast` laws of core 2, decay and outer product: gated linear attention with a decay of every channel,
/// Mamba-2 with one of every token, retention with one of the whole head, linear attention without any.
#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/decay_budget.hpp"
#include "proofs/fast/law.hpp"
#include "proofs/fast/storage.hpp"
#include "reference/gated_recurrence/gated_linear_attention.hpp"
#include "reference/linear_attention/retention.hpp"

namespace etalon::fast_laws {
namespace {

namespace gla = gated_linear_attention;

/// Logarithms in float32 of drawn decays; a decay of 0 becomes minus infinity.
Array<double> logarithms(const Array<double>& decay) {
  Array<double> log_decay(decay.shape());
  for (std::size_t i = 0; i < decay.values().size(); ++i) {
    log_decay.values()[i] = in_float32(std::log(decay.values()[i]));
  }
  return log_decay;
}

/// A number for each token or head as the core takes it, with one channel.
Array<double> as_column(const Array<double>& numbers) {
  return Array<double>({numbers.size(), 1}, {numbers.values().begin(), numbers.values().end()});
}

/// One head of core 2 with states.
struct Call {
  Index n, d, e;
  bool decays;
  Storage q, k, v, o, log_decay, initial_state, final_state;
  fast::DecayOuterProduct core;

  /// \param log_decay n x d, n x 1, 1 x 1, or 0 x 1 for none
  Call(const gla::Input<double>& in, const Array<double>& log, Index chunk)
      : n(in.key.extent(0)),
        d(in.key.extent(1)),
        e(in.value.extent(1)),
        decays(log.extent(0) > 0),
        q(1, n, 1, d),
        k(1, n, 1, d),
        v(1, n, 1, e),
        o(1, n, 1, e),
        log_decay(1, log.extent(0), 1, log.extent(1)),
        initial_state(1, 1, d, e),
        final_state(1, 1, d, e) {
    q.set_matrix(0, 0, in.query);
    k.set_matrix(0, 0, in.key);
    v.set_matrix(0, 0, in.value);
    log_decay.set_matrix(0, 0, log);
    set_state_matrix(initial_state, 0, 0, in.initial_state);
    core.q = q.view();
    core.k = k.view();
    core.v = v.view();
    core.o = o.view();
    if (decays) core.log_decay = log_decay.view();
    core.initial_state = initial_state.view();
    core.final_state = final_state.view();
    core.scale = static_cast<float>(in.scale);
    core.chunk = chunk;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Array<double> output() const { return o.matrix(0, 0); }
  Array<double> state() const { return state_matrix(final_state, 0, 0); }

  void run() { fast::cpu::decay_outer_product(core); }

  /// The tokens before `cut`, then those from there on, which start from the state that the first left.
  void run_in_two_parts(Index cut) {
    Storage between(1, 1, d, e);
    fast::DecayOuterProduct first = core, second = core;
    using Core = fast::DecayOuterProduct;
    for (const auto member : {&Core::q, &Core::k, &Core::v, &Core::o, &Core::log_decay}) {
      fast::Tensor &head = first.*member, &tail = second.*member;
      if (head.shape[1] != n) continue;  // a decay of all tokens
      head.shape[1] = cut;
      tail.data = static_cast<float*>(tail.data) + cut * tail.stride[1];
      tail.shape[1] = n - cut;
    }
    first.final_state = second.initial_state = between.view();
    fast::cpu::decay_outer_product(first);
    fast::cpu::decay_outer_product(second);
  }
};

// ---- gated linear attention: a decay of every channel ------------------------------------------

/// The drawn problem. The core is given logarithms of the gates in float32; the text is given the gates that
/// these stand for. In a quarter of the cases some gates are 0.
struct Gated {
  Array<double> log_decay;
  gla::Input<double> in;
  Index chunk;

  explicit Gated(CoreTrial& trial) : chunk(trial.size("chunk")) {
    Array<double>& decay = trial.in.real["decay"];
    if (trial.integer("resets", 0, 3) == 0) {
      for (Index i = 0; i < decay.size(); ++i) {
        if (trial.integer("reset " + std::to_string(i), 0, 15) == 0) {
          decay.values()[static_cast<std::size_t>(i)] = 0;
        }
      }
    }
    log_decay = logarithms(decay);
    decay = exponential(log_decay);
    in = {trial.in["query"],         trial.in["key"],    trial.in["value"], decay,
          trial.in["initial_state"], trial.in["scale"]()};
  }
};

void agree_with_recurrence(CoreTrial& trial, const Gated& problem, const Call& call) {
  const RecurrentBudget budget = decay_budget(problem.in, true, problem.chunk);
  const auto text = text_of(trial, "recurrent");
  agree(trial, "output", call.output(), text["output"], budget.output_budget);
  agree(trial, "state", call.state(), text["state"], budget.state_budget);
}

void gradients_agree(CoreTrial& trial) {
  const Gated problem(trial);
  Call call(problem.in, problem.log_decay, problem.chunk);
  trial.in.real["d_output"] = in_float32(trial.array("d_output", {call.n, call.e}));
  trial.in.real["d_state"] = in_float32(trial.array("d_state", {call.d, call.e}));
  Storage d_o(call.o), d_state(call.final_state), dq(call.q), dk(call.k), dv(call.v);
  Storage d_log_decay(call.log_decay), d_initial_state(call.initial_state);
  d_o.set_matrix(0, 0, trial.in["d_output"]);
  set_state_matrix(d_state, 0, 0, trial.in["d_state"]);
  fast::DecayOuterProductBackward core{call.core, d_o.view(), d_state.view(),     dq.view(),
                                       dk.view(), dv.view(),  d_log_decay.view(), {}};
  core.d_initial_state = d_initial_state.view();
  fast::cpu::decay_outer_product_backward(core);

  const auto text = text_of(trial, "backward");
  const auto budget =
      decay_gradient_budget(problem.in, trial.in["d_output"], trial.in["d_state"], true, problem.chunk)
          .budget;
  Array<double> d_logarithm = text["d_decay"];
  for (std::size_t i = 0; i < d_logarithm.values().size(); ++i) {
    d_logarithm.values()[i] *= problem.in.decay.values()[i];
  }
  agree(trial, "gradient of query", dq.matrix(0, 0), text["d_query"], budget.query);
  agree(trial, "gradient of key", dk.matrix(0, 0), text["d_key"], budget.key);
  agree(trial, "gradient of value", dv.matrix(0, 0), text["d_value"], budget.value);
  agree(trial, "gradient of log decay", d_log_decay.matrix(0, 0), d_logarithm, budget.decay);
  agree(trial, "gradient of initial state", state_matrix(d_initial_state, 0, 0), text["d_initial_state"],
        budget.initial_state);
}

const std::map<std::string, Index> kWider{{"d_k", 10}, {"d_v", 12}};

const FastLaw gated{"gated_linear_attention", "fast: decay and outer product",
                    "Core 2 with a decay of every channel agrees with gated linear attention, for decays "
                    "from 0 to 1 and every chunk",
                    kWider, [](CoreTrial& trial) {
                      const Gated problem(trial);
                      Call call(problem.in, problem.log_decay, problem.chunk);
                      call.run();
                      agree_with_recurrence(trial, problem, call);
                    }};

const FastLaw gated_in_parts{"gated_linear_attention", "fast: decay and outer product, in two parts",
                             "Core 2 run in two parts, the second from the state that the first left, agrees "
                             "with gated linear attention on all tokens",
                             kWider, [](CoreTrial& trial) {
                               const Gated problem(trial);
                               Call call(problem.in, problem.log_decay, problem.chunk);
                               if (call.n > 1) {
                                 call.run_in_two_parts(trial.integer("cut", 1, call.n - 1));
                               } else {
                                 call.run();
                               }
                               agree_with_recurrence(trial, problem, call);
                             }};

const FastLaw gated_backward{"gated_linear_attention", "fast: decay and outer product, gradients",
                             "The gradients of core 2 agree with those of gated linear attention; that of "
                             "log alpha is alpha times that of alpha",
                             kWider, gradients_agree};

// ---- Mamba-2: a decay of every token -----------------------------------------------------------

const FastLaw ssd{
    "mamba2_ssd",
    "fast: decay and outer product",
    "Core 2 with a decay of every token agrees with Mamba-2 without the skip: q = C, k = B, v = xbar",
    {{"n", 4}, {"d_k", 15}, {"d_v", 15}},
    [](CoreTrial& trial) {
      const Array<double> log_decay = logarithms(trial.in["decay"]);
      trial.in.real["decay"] = exponential(log_decay);
      trial.in.real["skip"] = Array<double>(Shape{});
      gla::Input<double> in{trial.in["query"],         trial.in["key"],
                            trial.in["value"],         Array<double>(trial.in["key"].shape()),
                            trial.in["initial_state"], 1};
      for (Index t = 0; t < in.decay.extent(0); ++t) {
        for (double& decay : in.decay.row(t)) decay = trial.in["decay"](t);
      }
      Call call(in, as_column(log_decay), trial.size("chunk"));
      call.run();
      const RecurrentBudget budget = decay_budget(in, true, trial.size("chunk"));
      const auto text = text_of(trial, "recurrent");
      agree(trial, "output", call.output(), text["output"], budget.output_budget);
      agree(trial, "state", call.state(), text["state"], budget.state_budget);
    }};

// ---- retention: one decay of the head ----------------------------------------------------------

/// Query and key reach the core rotated and rounded. The state after the last token is turned back by the
/// law, as the text does: a part of it is a sum of two entries, and so is its budget.
void retention_agrees(CoreTrial& trial) {
  const Index n = trial.size("n"), pairs = trial.size("pairs"), chunk = trial.size("chunk");
  const Array<double> log_decay = logarithms(as_column(trial.in["decay"]));
  trial.in.real["decay"] = Array<double>(Shape{}, std::exp(log_decay(0, 0)));
  Array<Complex<double>> step({pairs});
  for (Index a = 0; a < pairs; ++a) {  // as the entry makes a rotation of the tangent of half its angle
    const double h = trial.in["half_tangent"](a), below = 1 + h * h;
    step(a) = Complex<double>((1 - h * h) / below, 2 * h / below);
  }
  const auto turns = retention::rotations(step, n);
  const gla::Input<double> in{retention::rotated(trial.in["query"], turns),
                              retention::rotated(trial.in["key"], turns),
                              trial.in["value"],
                              Array<double>({n, 2 * pairs}, trial.in["decay"]()),
                              trial.in["initial_state"],
                              1};
  Call call(in, log_decay, chunk);
  call.run();
  const RecurrentBudget budget = decay_budget(in, true, chunk, 2);
  Array<double> state_budget(budget.state_budget.shape());
  for (Index a = 0; a < pairs; ++a) {
    const double re = std::abs(turns(n, a).re), im = std::abs(turns(n, a).im);
    for (Index j = 0; j < call.e; ++j) {
      const double first = budget.state_budget(2 * a, j), second = budget.state_budget(2 * a + 1, j);
      state_budget(2 * a, j) = re * first + im * second;
      state_budget(2 * a + 1, j) = im * first + re * second;
    }
  }
  const auto text = text_of(trial, "parallel");
  agree(trial, "output", call.output(), text["output"], budget.output_budget);
  agree(trial, "state", retention::turned_back(call.state(), turns, n), text["state"], state_budget);
}

const FastLaw retention_law{
    "retention",
    "fast: decay and outer product",
    "Core 2 with one decay of the head, on rotated queries and keys, agrees with retention",
    {{"n", 2}, {"pairs", 5}, {"d_v", 12}},
    retention_agrees};

// ---- linear attention: no decay ----------------------------------------------------------------

/// The normaliser is one more channel of values, all 1: the core sums keys as it sums products. Outputs are
/// the quotients of its channels, N^ / D^, which are off from N / D by at most
///     (|dN| + |N / D| |dD|) / (D - |dD|).
void linear_attention_agrees(CoreTrial& trial) {
  const Index n = trial.size("n"), m = trial.size("m"), d_v = trial.size("d_v"), chunk = trial.size("chunk");
  gla::Input<double> in{trial.in["query"],
                        trial.in["key"],
                        Array<double>({n, d_v + 1}, 1.0),
                        Array<double>({n, m}, 1.0),
                        Array<double>({m, d_v + 1}),
                        1};
  for (Index j = 0; j < d_v; ++j) {
    for (Index t = 0; t < n; ++t) in.value(t, j) = trial.in["value"](t, j);
    for (Index i = 0; i < m; ++i) in.initial_state(i, j) = trial.in["initial_state"](i, j);
  }
  for (Index i = 0; i < m; ++i) in.initial_state(i, d_v) = trial.in["initial_normaliser"](i);
  Call call(in, Array<double>({0, 1}), chunk);
  call.run();
  const RecurrentBudget budget = decay_budget(in, false, chunk);
  const auto text = text_of(trial, "recurrent");

  Array<double> output({n, d_v}), output_budget({n, d_v});
  const Array<double> sums = call.output();
  for (Index t = 0; t < n; ++t) {
    const bool normalised = trial.size("normalised") == 1;
    const double epsilon = trial.in["epsilon"](), exact = budget.output(t, d_v) + epsilon;
    const double wrong = budget.output_budget(t, d_v);
    for (Index j = 0; j < d_v; ++j) {
      output(t, j) = normalised ? sums(t, j) / (sums(t, d_v) + epsilon) : sums(t, j);
      output_budget(t, j) = budget.output_budget(t, j);
      if (!normalised) continue;
      const double size = std::abs(budget.output(t, j)) / exact;
      output_budget(t, j) = wrong < exact ? (output_budget(t, j) + size * wrong) / (exact - wrong)
                                          : std::numeric_limits<double>::infinity();
    }
  }
  const Array<double> memory = call.state();
  Array<double> state({m, d_v}), state_budget({m, d_v}), normaliser({m}), normaliser_budget({m});
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < d_v; ++j) {
      state(i, j) = memory(i, j);
      state_budget(i, j) = budget.state_budget(i, j);
    }
    normaliser(i) = memory(i, d_v);
    normaliser_budget(i) = budget.state_budget(i, d_v);
  }
  agree(trial, "output", output, text["output"], output_budget);
  agree(trial, "state", state, text["state"], state_budget);
  agree(trial, "normaliser", normaliser, text["normaliser"], normaliser_budget);
}

const FastLaw linear_attention_law{
    "linear_attention",
    "fast: decay and outer product",
    "Core 2 without decay agrees with linear attention: a channel of values that are all 1 sums the keys",
    {{"n", 2}, {"m", 9}, {"d_v", 12}},
    linear_attention_agrees};

}  // namespace
}  // namespace etalon::fast_laws
