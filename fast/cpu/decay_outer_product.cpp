/// \file
/// Core 2 on the CPU: S_t = diag(a_t) S_{t-1} + k_t v_t^T, o_t = scale S_t^T q_t, by chunks (\cite
/// yang2023gla).
///
/// With everything faded as `DecayChunk` says, a chunk of C tokens is four matrix products,
///     scores = Q K^T (lower triangle),   O = Q S + scores V,   S = diag(fade) S + K^T V,
/// which take 2 C d e + C^2 e + 2 C d e + C^2 d operations, or 4 d e + C (d + e) a token. A short chunk has
/// less to do; a long one reads and writes the state less often.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fast/cpu/decay_outer_product.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "fast/cpu/chunk.hpp"
#include "fast/cpu/chunk_plan.hpp"
#include "fast/cpu/chunk_tile.hpp"
#include "fast/cpu/decay_chunk.hpp"
#include "fast/cpu/decay_memory.hpp"

#ifndef ETALON_FAST_CPU_DECAY_SCRATCH
#define ETALON_FAST_CPU_DECAY_SCRATCH
namespace etalon::fast::cpu {
namespace {

/// What a thread needs besides the chunk.
struct DecayScratch {
  FadeScratch fading;
  float *value, *output;
};

using DecayFunctions = ChunkFunctions<DecayOuterProduct, DecayChunk, DecayScratch>;

}  // namespace
}  // namespace etalon::fast::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::cpu::HWY_NAMESPACE {
namespace {

void prepare(const ChunkPlan& plan, const DecayOuterProduct& call, std::int64_t head, std::int64_t index,
             const DecayChunk& chunk, const DecayScratch& scratch) {
  load_chunk(plan, call, head, index, chunk, scratch.fading);
}

void advance(const ChunkPlan& plan, const DecayOuterProduct& call, std::int64_t head, std::int64_t index,
             const DecayChunk& chunk, const DecayScratch& scratch, float* state, std::int64_t column,
             std::int64_t columns) {
  const HeadView v(call.v, head), o(call.o, head);
  const std::int64_t first = index * plan.chunk, length = plan.length(index), rows = round_up(length, kLanes);
  const std::int64_t given = std::min(columns, plan.e - column), stride = plan.state_row;
  load_rows({scratch.value, stride, rows, columns}, {v.at(first) + column, v.step, length, given});
  multiply({scratch.output, stride, rows, columns},
           Product{chunk.query, plan.d_columns, 1, state + column, stride, plan.d},
           Product{chunk.scores, plan.rows, 1, scratch.value, stride, length, Triangle::lower});
  store_rows({o.at(first) + column, o.step, length, given}, scratch.output, stride);
  multiply({state + column, stride, plan.d_rows, columns, chunk.fade},
           Product{chunk.key, plan.rows, 1, scratch.value, stride, length});
}

const DecayFunctions& functions() {
  static constexpr DecayFunctions table{kPadding, prepare, advance, load_state, store_state};
  return table;
}

}  // namespace
}  // namespace etalon::fast::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace etalon::fast::cpu {
namespace {

HWY_EXPORT(functions);

}  // namespace

void decay_outer_product(const DecayOuterProduct& call, const Execution& execution) {
  const Checker check{"decay_outer_product"};
  check.threads(execution);
  check_decay_outer_product(check, call, {Type::float32}, {Type::float32});
  check_chunk(check, call.chunk);
  const DecayFunctions& run = HWY_DYNAMIC_DISPATCH(functions)();
  const ChunkPlan plan(call.q, call.v, call.chunk, kUsualDecayChunk, run.padding);
  const int threads = useful_threads(plan, execution.threads);
  check_log_decay(check, call.log_decay, threads);
  const auto chunk = [&](Arena& arena) { return DecayChunk::take(arena, plan); };
  const auto scratch = [&](Arena& arena) {
    return DecayScratch{FadeScratch::take(arena, plan, call), arena.take(plan.rows, plan.state_row),
                        arena.take(plan.rows, plan.state_row)};
  };
  for_all_heads(run, plan, call, threads, chunk, scratch);
}

}  // namespace etalon::fast::cpu
#endif
