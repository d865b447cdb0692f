/// \file
/// `fast` laws of core 3, the delta rule with and without a gate.
#include <cmath>
#include <map>
#include <string>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/delta_budget.hpp"
#include "proofs/fast/law.hpp"
#include "proofs/fast/storage.hpp"
#include "reference/gated_recurrence/gated_delta.hpp"

namespace etalon::fast_laws {
namespace {

/// Makes keys of length 1, up to rounding, and draws beta from 0 to 2: beyond that the rule itself is
/// unstable, and its numbers leave float32.
void make_stable(CoreTrial& trial) {
  Array<double>& key = trial.in.real["key"];
  for (Index t = 0; t < key.extent(0); ++t) {
    double squares = 0;
    for (const double x : key.row(t)) squares += x * x;
    for (double& x : key.row(t)) x = squares > 0 ? in_float32(x / std::sqrt(squares)) : 0.0;
  }
  Array<double>& beta = trial.in.real["beta"];
  beta = in_float32(trial.array("beta from 0 to 1", beta.shape(), Domain::gate));
  for (double& x : beta.values()) x *= 2;
}

/// \param log_decay for each token, when there is a gate
void agree_with_recurrence(CoreTrial& trial, const gated_delta::Input<double>& in,
                           const Array<double>* log_decay) {
  const Index n = in.key.extent(0), d = in.key.extent(1), e = in.value.extent(1);
  const Index chunk = trial.size("chunk");
  Storage q(1, n, 1, d), k(q), v(1, n, 1, e), o(v), beta(1, n, 1, 1), decay(beta);
  Storage initial_state(1, 1, d, e), final_state(initial_state);
  q.set_matrix(0, 0, in.query);
  k.set_matrix(0, 0, in.key);
  v.set_matrix(0, 0, in.value);
  set_state_matrix(initial_state, 0, 0, in.initial_state);
  for (Index t = 0; t < n; ++t) {
    beta.at(0, t, 0, 0) = static_cast<float>(in.beta(t));
    if (log_decay != nullptr) decay.at(0, t, 0, 0) = static_cast<float>((*log_decay)(t));
  }
  fast::DeltaRule call{q.view(), k.view(), v.view(), o.view(), beta.view(), {}, {}, {}, 1.0F, chunk};
  if (log_decay != nullptr) call.log_decay = decay.view();
  call.initial_state = initial_state.view();
  call.final_state = final_state.view();
  call.scale = static_cast<float>(in.scale);
  fast::cpu::delta_rule(call);

  const RecurrentBudget budget = delta_budget(in, chunk);
  Settings settings = trial.drawn().settings;
  settings["transition"] = 0;  // of gated_delta: one gate a token
  const auto text = text_of(trial, "recurrent", trial.in, settings);
  agree(trial, "output", o.matrix(0, 0), text["output"], budget.output_budget);
  agree(trial, "state", state_matrix(final_state, 0, 0), text["state"], budget.state_budget);
}

const std::map<std::string, Index> kWider{{"n", 1}, {"d_k", 6}, {"d_v", 9}};

const FastLaw plain{
    "delta_rule", "fast: delta rule",
    "Core 3 without a gate agrees with the delta rule, for keys of length 1 and beta from 0 to 2", kWider,
    [](CoreTrial& trial) {
      make_stable(trial);
      const Arrays<double>& in = trial.in;
      agree_with_recurrence(trial,
                            {in["query"], in["key"], in["value"], in["beta"],
                             Array<double>(in["beta"].shape(), 1.0), in["initial_state"], in["scale"]()},
                            nullptr);
    }};

const FastLaw gated{"gated_delta", "fast: delta rule",
                    "Core 3 agrees with the gated delta rule with one gate a token, for keys of length 1 and "
                    "beta from 0 to 2",
                    kWider, [](CoreTrial& trial) {
                      make_stable(trial);
                      Array<double>& decay = trial.in.real["decay"];
                      Array<double> log_decay(decay.shape());
                      for (Index t = 0; t < decay.extent(0); ++t) {
                        log_decay(t) = in_float32(std::log(decay(t)));
                      }
                      decay = exponential(log_decay);
                      const Arrays<double>& in = trial.in;
                      agree_with_recurrence(trial,
                                            {in["query"], in["key"], in["value"], in["beta"], in["decay"],
                                             in["initial_state"], in["scale"]()},
                                            &log_decay);
                    }};

}  // namespace
}  // namespace etalon::fast_laws
