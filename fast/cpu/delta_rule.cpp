/// \file
/// Core 3 on the CPU: the delta rule with an optional gate, S_t = a_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t
/// k_t v_t^T, o_t = scale S_t^T q_t, by chunks through the UT transform (\cite yang2024deltanet, \cite
/// yang2024gateddeltanet).
///
/// Token t of a chunk writes k_t u_t^T, where the corrections u see one another: (I + L) U = diag(beta) R
/// with
///     R = V - diag(b) K S,    L_ts = beta_t D_ts k_t . k_s for s < t,
/// b_t the decay from the start of the chunk to t, D_ts from s to t and S the state before the chunk. With
/// T = (I + L)^-1 diag(beta), which needs neither values nor state,
///     U = T R,    O = diag(b) Q S + scores U,    S = fade S + K^T U,
/// scores and K faded as in core 2. That is 6 d e + 2 C (d + e) + C^2 / 3 operations a token: the products
/// with the state (R, O, S), two triangles each of d (scores, L) and of e (U, O), and the inverse. T is
/// formed by substitution and all of it stays of moderate size for keys of length 1 and beta from 0 to 2; the
/// product (I - L)(I + L^2)(I + L^4)... would not.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fast/cpu/delta_rule.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "fast/cpu/chunk.hpp"
#include "fast/cpu/chunk_plan.hpp"
#include "fast/cpu/chunk_tile.hpp"
#include "fast/cpu/decay_chunk.hpp"

#ifndef ETALON_FAST_CPU_DELTA_SCRATCH
#define ETALON_FAST_CPU_DELTA_SCRATCH
namespace etalon::fast::cpu {
namespace {

/// What hands the state from chunk to chunk.
struct DeltaBuffers {
  float* query;      ///< rows x d_columns: b_t scale q_t
  float* key;        ///< d_rows x rows, transposed: k_s faded to the end of the chunk
  float* scores;     ///< rows x rows, lower: D_ts scale q_t . k_s
  float* reader;     ///< rows x d_columns: -b_t k_t
  float* transform;  ///< rows x rows, lower: T
  float* fade;       ///< d_rows: the decay of the chunk
};

/// What a thread needs besides.
struct DeltaScratch {
  float *decay, *carried, *beta, *ones, *value, *correction, *output;
};

using DeltaFunctions = ChunkFunctions<DeltaRule, DeltaBuffers, DeltaScratch>;

}  // namespace
}  // namespace etalon::fast::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::cpu::HWY_NAMESPACE {
namespace {

/// Replaces -L, below the diagonal of `matrix`, by (I + L)^-1, its diagonal included. Row t of the inverse is
/// e_t - sum_s L_ts (row s). It grows in place: once rows up to s are finished, row t below holds its sum so
/// far in the columns up to s, and -L_ts in the others. Every finished row is added to all rows below at
/// once, so that no row waits for its own last sum. `finished` holds `rows` numbers.
void invert_unit_lower(float* matrix, std::int64_t rows, std::ptrdiff_t row, float* finished) {
  const Floats tag;
  for (std::int64_t s = 0; s < rows; ++s) {
    float* current = matrix + s * row;
    for (std::int64_t c = 0; c <= s; c += kLanes) {
      const auto left = hn::FirstN(tag, static_cast<std::size_t>(s - c));
      const Vector x = hn::IfThenElseZero(left, hn::LoadU(tag, current + c));
      hn::StoreU(x, tag, current + c);
      hn::StoreU(x, tag, finished + c);
    }
    current[s] = 1;  // what this 1 adds to column s of the rows below, -L_ts, stands there already
    for (std::int64_t t = s + 1; t < rows; ++t) {
      float* below = matrix + t * row;
      const Vector factor = hn::Set(tag, below[s]);
      for (std::int64_t c = 0; c < s; c += kLanes) {
        hn::StoreU(hn::MulAdd(factor, hn::LoadU(tag, finished + c), hn::LoadU(tag, below + c)), tag,
                   below + c);
      }
    }
  }
}

void prepare(const ChunkPlan& plan, const DeltaRule& call, std::int64_t head, std::int64_t index,
             const DeltaBuffers& buffers, const DeltaScratch& scratch) {
  const HeadView q(call.q, head), k(call.k, head), beta(call.beta, head), log_decay(call.log_decay, head);
  const std::int64_t first = index * plan.chunk, length = plan.length(index), rows = round_up(length, kLanes);
  const Rows key{k.at(first), k.step, length, plan.d};
  load_rows({buffers.reader, plan.d_columns, rows, plan.d_columns}, key, -1);
  load_rows({buffers.query, plan.d_columns, rows, plan.d_columns}, {q.at(first), q.step, length, plan.d},
            call.scale);
  load_transposed({buffers.key, plan.rows, plan.d_rows, rows}, key);
  std::fill_n(scratch.beta, rows, 0.0f);
  for (std::int64_t t = 0; t < length; ++t) scratch.beta[t] = *beta.at(first + t);
  const float* decay = call.log_decay ? scratch.decay : nullptr;
  if (decay != nullptr) token_decays(scratch.decay, log_decay.at(first), log_decay.step, length, rows);

  multiply({buffers.transform, plan.rows, rows, rows, nullptr, true},
           Product{buffers.reader, plan.d_columns, 1, buffers.key, plan.rows, plan.d});
  if (decay != nullptr) fade_scores(buffers.transform, rows, plan.rows, decay, scratch.carried);
  for (std::int64_t t = 0; t < rows; ++t) {
    scale_row(buffers.transform + t * plan.rows, round_up(t + 1, kLanes), scratch.beta[t]);
  }
  invert_unit_lower(buffers.transform, rows, plan.rows, scratch.carried);
  for (std::int64_t t = 0; t < rows; ++t) {
    scale_row(buffers.transform + t * plan.rows, round_up(t + 1, kLanes), scratch.beta);
  }
  fade_by_token({buffers.query, buffers.key, buffers.scores, buffers.fade}, rows, plan.d, plan.d_rows,
                plan.d_columns, plan.rows, decay, scratch.carried);
  if (decay == nullptr) return;
  float product = 1;
  for (std::int64_t t = 0; t < length; ++t) {
    product *= decay[t];
    scale_row(buffers.reader + t * plan.d_columns, plan.d_columns, product);
  }
}

void advance(const ChunkPlan& plan, const DeltaRule& call, std::int64_t head, std::int64_t index,
             const DeltaBuffers& buffers, const DeltaScratch& scratch, float* state, std::int64_t column,
             std::int64_t columns) {
  const HeadView v(call.v, head), o(call.o, head);
  const std::int64_t first = index * plan.chunk, length = plan.length(index), rows = round_up(length, kLanes);
  const std::int64_t given = std::min(columns, plan.e - column), stride = plan.state_row;
  load_rows({scratch.value, stride, rows, columns}, {v.at(first) + column, v.step, length, given});
  std::fill_n(scratch.ones, rows, 1.0f);
  multiply({scratch.value, stride, rows, columns, scratch.ones},
           Product{buffers.reader, plan.d_columns, 1, state + column, stride, plan.d});
  multiply({scratch.correction, stride, rows, columns},
           Product{buffers.transform, plan.rows, 1, scratch.value, stride, length, Triangle::lower});
  multiply({scratch.output, stride, rows, columns},
           Product{buffers.query, plan.d_columns, 1, state + column, stride, plan.d},
           Product{buffers.scores, plan.rows, 1, scratch.correction, stride, length, Triangle::lower});
  store_rows({o.at(first) + column, o.step, length, given}, scratch.output, stride);
  multiply({state + column, stride, plan.d_rows, columns, buffers.fade},
           Product{buffers.key, plan.rows, 1, scratch.correction, stride, length});
}

const DeltaFunctions& functions() {
  static constexpr DeltaFunctions table{kPadding, prepare, advance, load_state, store_state};
  return table;
}

}  // namespace
}  // namespace etalon::fast::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace etalon::fast::cpu {
namespace {

HWY_EXPORT(functions);

/// The chunk that is fastest for heads of 64 to 128 channels; see docs/performance.md.
constexpr std::int64_t kUsualChunk = 32;

void check_delta_rule(const Checker& check, const DeltaRule& call) {
  const DecayOuterProduct like{call.q,           call.k,         call.v,
                               call.o,           call.log_decay, call.initial_state,
                               call.final_state, call.scale,     call.chunk};
  check_decay_outer_product(check, like, {Type::float32}, {Type::float32});
  const Extents per_token{call.q.shape[0], call.q.shape[1], call.q.shape[2], 1};
  if (call.log_decay) check.shape("log_decay", call.log_decay, per_token, "q");
  check.tensor("beta", call.beta, {Type::float32});
  check.shape("beta", call.beta, per_token, "q");
  check.separate("o", call.o, "beta", call.beta);
  check.separate("final_state", call.final_state, "beta", call.beta);
  check_chunk(check, call.chunk);
}

}  // namespace

void delta_rule(const DeltaRule& call, const Execution& execution) {
  const Checker check{"delta_rule"};
  check.threads(execution);
  check_delta_rule(check, call);
  const DeltaFunctions& run = HWY_DYNAMIC_DISPATCH(functions)();
  const ChunkPlan plan(call.q, call.v, call.chunk, kUsualChunk, run.padding);
  const int threads = useful_threads(plan, execution.threads);
  check_log_decay(check, call.log_decay, threads);
  const auto buffers = [&](Arena& arena) {
    return DeltaBuffers{arena.take(plan.rows, plan.d_columns), arena.take(plan.d_rows, plan.rows),
                        arena.take(plan.rows, plan.rows),      arena.take(plan.rows, plan.d_columns),
                        arena.take(plan.rows, plan.rows),      arena.take(plan.d_rows)};
  };
  const auto scratch = [&](Arena& arena) {
    return DeltaScratch{arena.take(plan.rows),
                        arena.take(plan.rows),
                        arena.take(plan.rows),
                        arena.take(plan.rows),
                        arena.take(plan.rows, plan.state_row),
                        arena.take(plan.rows, plan.state_row),
                        arena.take(plan.rows, plan.state_row)};
  };
  for_all_heads(run, plan, call, threads, buffers, scratch);
}

}  // namespace etalon::fast::cpu
#endif
