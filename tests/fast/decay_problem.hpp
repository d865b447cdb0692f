/// \file
/// What the tests of core 2 share: cases and their tensors.
#pragma once

#include <cmath>
#include <cstdint>
#include <ostream>
#include <string>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/decay_budget.hpp"
#include "reference/gated_recurrence/gated_linear_attention.hpp"
#include "tests/fast/support.hpp"

namespace etalon::fast_test {

/// What a decay belongs to.
enum class Decay { none, head, token, channel };

/// One test case of core 2.
struct DecayCase {
  std::string name;
  std::int64_t time, d, e;
  Decay decay = Decay::channel;
  std::int64_t batch = 1, heads = 1, chunk = 0;
  int threads = 1;
  bool states = true;
  Layout layout = Layout::contiguous;
};

inline void PrintTo(const DecayCase& c, std::ostream* out) {
  *out << c.name;
}

/// All tensors of a case, filled; outputs are not written yet.
struct DecayProblem {
  DecayCase sizes;
  Storage q, k, v, o, log_decay, initial_state, final_state;
  fast::DecayOuterProduct call;

  explicit DecayProblem(const DecayCase& c)
      : sizes(c),
        q(c.batch, c.time, c.heads, c.d, c.layout),
        k(c.batch, c.time, c.heads, c.d, c.layout),
        v(c.batch, c.time, c.heads, c.e, c.layout),
        o(c.batch, c.time, c.heads, c.e, c.layout),
        log_decay(c.decay == Decay::head ? 1 : c.batch, c.decay == Decay::head ? 1 : c.time, c.heads,
                  c.decay == Decay::channel ? c.d : 1, c.layout),
        initial_state(c.batch, c.heads, c.d, c.e, c.layout),
        final_state(c.batch, c.heads, c.d, c.e, c.layout) {
    q.fill(normal(1));
    k.fill(normal(2));
    v.fill(normal(3));
    initial_state.fill(normal(4));
    log_decay.fill(c.decay == Decay::head ? uniform(5, -0.2, 0) : mixed_log_decays(6));
    call.q = q.view();
    call.k = k.view();
    call.v = v.view();
    call.o = o.view();
    if (c.decay != Decay::none) call.log_decay = log_decay.view();
    if (c.states) {
      call.initial_state = initial_state.view();
      call.final_state = final_state.view();
    }
    call.scale = 0.37f;
    call.chunk = c.chunk;
  }
  DecayProblem(const DecayProblem&) = delete;
  DecayProblem& operator=(const DecayProblem&) = delete;

  gated_linear_attention::Input<double> head(std::int64_t b, std::int64_t h) const {
    gated_linear_attention::Input<double> in{q.matrix(b, h),
                                             k.matrix(b, h),
                                             v.matrix(b, h),
                                             Array<double>({sizes.time, sizes.d}, 1.0),
                                             Array<double>({sizes.d, sizes.e}),
                                             static_cast<double>(call.scale)};
    if (sizes.states) in.initial_state = state_matrix(initial_state, b, h);
    const bool constant = sizes.decay == Decay::head;
    for (Index t = 0; t < sizes.time && sizes.decay != Decay::none; ++t) {
      for (Index i = 0; i < sizes.d; ++i) {
        const Index channel = sizes.decay == Decay::channel ? i : 0;
        in.decay(t, i) =
            std::exp(static_cast<double>(log_decay.at(constant ? 0 : b, constant ? 0 : t, h, channel)));
      }
    }
    return in;
  }
};

}  // namespace etalon::fast_test
