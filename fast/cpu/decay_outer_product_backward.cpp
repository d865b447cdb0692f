/// \file
/// The gradients of core 2 on the CPU, by chunks. With R the gradient of the state after a chunk, S the state
/// before it, b_t, g_s and D_ts the decays from its start to t, from s to its end and from s to t, and p_ts =
/// do_t . v_s for s <= t,
///     dq_t = scale (b_t * (S do_t) + sum_s p_ts D_ts * k_s)
///     dk_s = g_s * (R v_s) + sum_t p_ts D_ts * scale q_t
///     dv_s = R^T (g_s * k_s) + sum_t scores_ts do_t
///     R    = fade * R + sum_t (b_t * scale q_t) do_t^T           (the gradient of S)
///     dlog a_t = sum_{s >= t in the chunk} (q_s * dq_s - k_s * dk_s) + rowsum(S' * R),   S' the state after
///     the chunk.
/// The last line is the paper's formula (\cite yang2023gla), cut at the end of the chunk, so that nothing
/// cancels over more than a chunk. A decay of 0 has no derivative by its logarithm; its limit, 0, is given.
///
/// States are not kept: every `kSegment` chunks one is, and the states in between are computed once more when
/// the backward pass comes to their segment. Work: 12 d e + C (3 d + 2 e) operations a token, 4 d e of them
/// for the states. Threads share the heads out; one head is the work of one thread.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fast/cpu/decay_outer_product_backward.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "fast/cpu/chunk.hpp"
#include "fast/cpu/chunk_plan.hpp"
#include "fast/cpu/chunk_tile.hpp"
#include "fast/cpu/decay_chunk.hpp"
#include "fast/cpu/decay_memory.hpp"

#ifndef ETALON_FAST_CPU_DECAY_BACKWARD_SCRATCH
#define ETALON_FAST_CPU_DECAY_BACKWARD_SCRATCH
namespace etalon::fast::cpu {
namespace {

/// Chunks between two states that are kept.
constexpr std::int64_t kSegment = 32;

/// What a thread needs.
struct BackwardScratch {
  DecayChunk chunk;
  FadeScratch fading;
  float *query, *key;           ///< rows x d_columns, as given; faded on the way
  float *value, *d_output;      ///< rows x state_row
  float *value_t, *d_output_t;  ///< e x rows, transposed
  float* fit;                   ///< rows x rows: scale p
  float* transposed;            ///< d_rows x rows
  float *dq, *dk;               ///< rows x d_columns
  float* faded_key;             ///< rows x d_columns
  float* dv;                    ///< rows x state_row
  float *prefix, *suffix;       ///< rows x d_columns: from the start of the block to t, from t to its end
  float* ones;                  ///< rows
  float* d_log_decay;           ///< d_columns
  float* reverse;               ///< d_rows x state_row: R
  std::vector<float*> states;   ///< of a segment: before every chunk, and after the last
  std::vector<float*> kept;     ///< before every segment

  static BackwardScratch take(Arena& arena, const ChunkPlan& plan, const DecayOuterProduct& call) {
    const auto rows = [&] { return arena.take(plan.rows, plan.d_columns); };
    const auto values = [&] { return arena.take(plan.rows, plan.state_row); };
    const auto state = [&] { return arena.take(plan.d_rows, plan.state_row); };
    BackwardScratch s;
    s.chunk = DecayChunk::take(arena, plan);
    s.fading = FadeScratch::take(arena, plan, call);
    s.query = rows();
    s.key = rows();
    s.value = values();
    s.d_output = values();
    s.value_t = arena.take(plan.e, plan.rows);
    s.d_output_t = arena.take(plan.e, plan.rows);
    s.fit = arena.take(plan.rows, plan.rows);
    s.transposed = arena.take(plan.d_rows, plan.rows);
    s.dq = rows();
    s.dk = rows();
    s.faded_key = rows();
    s.dv = values();
    s.prefix = rows();
    s.suffix = rows();
    s.ones = arena.take(plan.rows);
    s.d_log_decay = arena.take(plan.d_columns);
    s.reverse = state();
    s.states.resize(static_cast<std::size_t>(std::min(kSegment, plan.chunks) + 1));
    for (float*& x : s.states) x = state();
    s.kept.resize(static_cast<std::size_t>((plan.chunks - 1) / kSegment + 1));
    for (float*& x : s.kept) x = state();
    return s;
  }
};

}  // namespace
}  // namespace etalon::fast::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::cpu::HWY_NAMESPACE {
namespace {

/// next = the state after a chunk that `state` is before. `next` may be `state`.
void advance_state(const ChunkPlan& plan, const DecayOuterProduct& call, std::int64_t head,
                   std::int64_t index, const BackwardScratch& s, const float* state, float* next) {
  const HeadView k(call.k, head), v(call.v, head), log_decay(call.log_decay, head);
  const std::int64_t first = index * plan.chunk, length = plan.length(index), rows = round_up(length, kLanes);
  load_rows({s.key, plan.d_columns, rows, plan.d_columns}, {k.at(first), k.step, length, plan.d});
  load_rows({s.value, plan.state_row, rows, plan.e_columns}, {v.at(first), v.step, length, plan.e});
  float* to_end = s.fading.carried;
  std::fill_n(to_end, plan.d_columns, 1.0f);
  if (by_channel(call)) {
    channel_decays(s.fading.decay, rows, plan.d_columns,
                   {log_decay.at(first), log_decay.step, length, plan.d});
  } else if (call.log_decay) {
    token_decays(s.fading.decay, log_decay.at(first), log_decay.step, length, rows);
  }
  for (std::int64_t t = length - 1; t >= 0 && call.log_decay; --t) {
    scale_row(s.key + t * plan.d_columns, plan.d_columns, to_end);
    if (by_channel(call)) {
      scale_row(to_end, plan.d_columns, s.fading.decay + t * plan.d_columns);
    } else {
      scale_row(to_end, plan.d_columns, s.fading.decay[t]);
    }
  }
  std::copy_n(to_end, plan.d, s.chunk.fade);
  std::fill(s.chunk.fade + plan.d, s.chunk.fade + plan.d_rows, 1.0f);
  if (next != state) std::copy_n(state, plan.d_rows * plan.state_row, next);
  multiply({next, plan.state_row, plan.d_rows, plan.e_columns, s.chunk.fade},
           Product{s.key, 1, plan.d_columns, s.value, plan.state_row, length});
}

/// Adds to dq and dk what the pairs inside a chunk give, and fades the keys to its end: no decay, or one a
/// token.
void pairs_by_token(const ChunkPlan& plan, const BackwardScratch& s, const float* decay, float scale,
                    std::int64_t length, std::int64_t rows) {
  if (decay != nullptr) fade_scores(s.fit, rows, plan.rows, decay, s.fading.carried);
  float from_start = 1;
  for (std::int64_t t = 0; t < rows; ++t) {
    if (decay != nullptr) from_start *= decay[t];
    scale_row(s.dq + t * plan.d_columns, plan.d_columns, scale * from_start);
  }
  float to_end = 1;
  for (std::int64_t t = rows - 1; t >= 0 && decay != nullptr; --t) {
    scale_row(s.dk + t * plan.d_columns, plan.d_columns, to_end);
    to_end *= decay[t];
  }
  multiply({s.dq, plan.d_columns, rows, plan.d_columns, s.ones},
           Product{s.fit, plan.rows, 1, s.key, plan.d_columns, length, Triangle::lower});
  multiply({s.dk, plan.d_columns, rows, plan.d_columns, s.ones},
           Product{s.fit, 1, plan.rows, s.query, plan.d_columns, length, Triangle::upper});
  to_end = 1;
  for (std::int64_t t = rows - 1; t >= 0 && decay != nullptr; --t) {
    scale_row(s.key + t * plan.d_columns, plan.d_columns, to_end);
    to_end *= decay[t];
  }
}

/// The pairs of a block of kLanes tokens. All pointers are to its first row.
void pairs_within_block(const ChunkPlan& plan, const float* fit, const float* decay, const float* query,
                        const float* key, float* dq, float* dk) {
  const Floats tag;
  const std::int64_t row = plan.d_columns;
  for (std::int64_t i = 0; i < plan.d_columns; i += kLanes) {
    for (std::int64_t s = 0; s < kLanes; ++s) {
      const Vector k = hn::LoadU(tag, key + s * row + i);
      Vector carried = hn::Set(tag, 1.0f), sum = hn::LoadU(tag, dk + s * row + i);
      for (std::int64_t t = s; t < kLanes; ++t) {
        if (t > s) carried = hn::Mul(carried, hn::LoadU(tag, decay + t * row + i));
        const Vector weight = hn::Mul(carried, hn::Set(tag, fit[t * plan.rows + s]));
        hn::StoreU(hn::MulAdd(weight, k, hn::LoadU(tag, dq + t * row + i)), tag, dq + t * row + i);
        sum = hn::MulAdd(weight, hn::LoadU(tag, query + t * row + i), sum);
      }
      hn::StoreU(sum, tag, dk + s * row + i);
    }
  }
}

/// The decays of every token within its block: from the block's start to the token and from the token to the
/// block's end.
void decays_in_blocks(const ChunkPlan& plan, const BackwardScratch& s, std::int64_t rows) {
  const std::int64_t row = plan.d_columns;
  for (std::int64_t t = 0; t < rows; ++t) {
    std::copy_n(s.fading.decay + t * row, row, s.prefix + t * row);
    if (t % kLanes != 0) scale_row(s.prefix + t * row, row, s.prefix + (t - 1) * row);
  }
  for (std::int64_t t = rows - 1; t >= 0; --t) {
    std::fill_n(s.suffix + t * row, row, 1.0f);
    if (t % kLanes == kLanes - 1) continue;
    std::copy_n(s.suffix + (t + 1) * row, row, s.suffix + t * row);
    scale_row(s.suffix + t * row, row, s.fading.decay + (t + 1) * row);
  }
}

/// The same as `pairs_by_token`, with a decay for every channel, split at the borders of blocks as in the
/// forward pass.
void pairs_by_channel(const ChunkPlan& plan, const BackwardScratch& s, float scale, std::int64_t length,
                      std::int64_t rows) {
  const std::int64_t row = plan.d_columns;
  decays_in_blocks(plan, s, rows);
  const auto scale_rows = [&](float* matrix, std::int64_t first, std::int64_t last, const float* factors,
                              std::int64_t step) {
    for (std::int64_t t = first; t < last; ++t)
      scale_row(matrix + t * row, row, factors + (t - first) * step);
  };
  const auto block_fade = [&](std::int64_t first) { return s.prefix + (first + kLanes - 1) * row; };
  float* outside =
      s.fading.carried;  // from the chunk's start to the block, or from the block to the chunk's end

  // dq, from the first block to the last: a query's decay to the start of its block is common to all older
  // keys.
  std::fill_n(outside, row, scale);
  for (std::int64_t first = 0; first < rows; first += kLanes) {
    scale_rows(s.dq, first, first + kLanes, outside, 0);
    if (first > 0) {
      multiply({s.dq + first * row, row, kLanes, row, s.ones},
               Product{s.fit + first * plan.rows, plan.rows, 1, s.faded_key, row, first});
    }
    scale_rows(s.dq, first, first + kLanes, s.prefix + first * row, row);
    scale_row(outside, row, block_fade(first));
    // Keys faded to the end of this block.
    scale_rows(s.faded_key, 0, first, block_fade(first), 0);
    std::copy_n(s.key + first * row, kLanes * row, s.faded_key + first * row);
    scale_rows(s.faded_key, first, first + kLanes, s.suffix + first * row, row);
  }
  // dk, from the last block to the first, with queries faded from the end of the block of the key.
  float* faded_query = s.chunk.query;
  std::fill_n(outside, row, 1.0f);
  for (std::int64_t first = rows - kLanes; first >= 0; first -= kLanes) {
    const std::int64_t last = first + kLanes;
    scale_rows(s.dk, first, last, outside, 0);
    if (last < length) {
      multiply({s.dk + first * row, row, kLanes, row, s.ones},
               Product{s.fit + last * plan.rows + first, 1, plan.rows, faded_query + last * row, row,
                       length - last});
    }
    scale_rows(s.dk, first, last, s.suffix + first * row, row);
    scale_row(outside, row, block_fade(first));
    scale_rows(faded_query, last, rows, block_fade(first), 0);
    std::copy_n(s.query + first * row, kLanes * row, faded_query + first * row);
    scale_rows(faded_query, first, last, s.prefix + first * row, row);
  }
  for (std::int64_t first = 0; first < rows; first += kLanes) {
    const std::int64_t at = first * row;
    pairs_within_block(plan, s.fit + first * plan.rows + first, s.fading.decay + at, s.query + at, s.key + at,
                       s.dq + at, s.dk + at);
  }
  for (std::int64_t t = 0; t < rows; ++t) scale_row(faded_query + t * row, row, scale);
  std::copy_n(s.faded_key, rows * row, s.key);
}

/// The gradient of log_decay for the tokens of a chunk. `after` is the state after it. Where all tokens of a
/// head have one decay, `total` grows by the sum over them.
void log_decay_gradient(const ChunkPlan& plan, const DecayOuterProductBackward& call, std::int64_t head,
                        std::int64_t index, const BackwardScratch& s, const float* after, double& total) {
  const Floats tag;
  const HeadView q(call.forward.q, head), k(call.forward.k, head), log_decay(call.forward.log_decay, head);
  const HeadView result(call.d_log_decay, head);
  const std::int64_t first = index * plan.chunk;
  for (std::int64_t i = 0; i < plan.d; ++i) {
    Vector sum = hn::Zero(tag);
    for (std::int64_t j = 0; j < plan.e_columns; j += kLanes) {
      const std::int64_t at = i * plan.state_row + j;
      sum = hn::MulAdd(hn::LoadU(tag, after + at), hn::LoadU(tag, s.reverse + at), sum);
    }
    s.d_log_decay[i] = hn::GetLane(hn::SumOfLanes(tag, sum));
  }
  const auto derivative = [](float log, float sum) { return std::isinf(log) ? 0 : sum; };
  for (std::int64_t t = plan.length(index) - 1; t >= 0; --t) {
    const float *query = q.at(first + t), *key = k.at(first + t), *logs = log_decay.at(first + t);
    const float *dq = s.dq + t * plan.d_columns, *dk = s.dk + t * plan.d_columns;
    float of_token = 0;
    for (std::int64_t i = 0; i < plan.d; ++i) {
      s.d_log_decay[i] += query[i] * dq[i] - key[i] * dk[i];
      of_token += s.d_log_decay[i];
    }
    if (by_channel(call.forward)) {
      for (std::int64_t i = 0; i < plan.d; ++i)
        result.at(first + t)[i] = derivative(logs[i], s.d_log_decay[i]);
    } else if (one_decay_a_head(call.forward)) {
      total += static_cast<double>(derivative(logs[0], of_token));
    } else {
      result.at(first + t)[0] = derivative(logs[0], of_token);
    }
  }
}

/// All gradients of a chunk between two states; R moves from its end to its start.
void backward_chunk(const ChunkPlan& plan, const DecayOuterProductBackward& call, std::int64_t head,
                    std::int64_t index, const BackwardScratch& s, const float* before, const float* after,
                    double& total) {
  const DecayOuterProduct& forward = call.forward;
  const HeadView q(forward.q, head), k(forward.k, head), v(forward.v, head), d_o(call.d_o, head);
  const std::int64_t first = index * plan.chunk, length = plan.length(index), rows = round_up(length, kLanes);
  load_chunk(plan, forward, head, index, s.chunk, s.fading);
  const Rows value{v.at(first), v.step, length, plan.e}, d_output{d_o.at(first), d_o.step, length, plan.e};
  load_rows({s.query, plan.d_columns, rows, plan.d_columns}, {q.at(first), q.step, length, plan.d});
  load_rows({s.key, plan.d_columns, rows, plan.d_columns}, {k.at(first), k.step, length, plan.d});
  load_rows({s.value, plan.state_row, rows, plan.e_columns}, value);
  load_rows({s.d_output, plan.state_row, rows, plan.e_columns}, d_output);
  load_transposed({s.value_t, plan.rows, plan.e, rows}, value);
  load_transposed({s.d_output_t, plan.rows, plan.e, rows}, d_output);
  std::fill_n(s.ones, rows, 1.0f);

  multiply({s.fit, plan.rows, rows, rows, nullptr, true},
           Product{s.d_output, plan.state_row, 1, s.value_t, plan.rows, plan.e});
  for (std::int64_t t = 0; t < rows; ++t)
    scale_row(s.fit + t * plan.rows, round_up(t + 1, kLanes), forward.scale);
  const auto through_state = [&](const float* state, const float* columns, float* gradient) {
    multiply({s.transposed, plan.rows, plan.d_rows, rows},
             Product{state, plan.state_row, 1, columns, plan.rows, plan.e});
    load_transposed({gradient, plan.d_columns, rows, plan.d_columns},
                    {s.transposed, plan.rows, plan.d, rows});
  };
  through_state(before, s.d_output_t, s.dq);
  through_state(s.reverse, s.value_t, s.dk);
  if (by_channel(forward)) {
    pairs_by_channel(plan, s, forward.scale, length, rows);
  } else {
    pairs_by_token(plan, s, forward.log_decay ? s.fading.decay : nullptr, forward.scale, length, rows);
  }
  multiply({s.dv, plan.state_row, rows, plan.e_columns},
           Product{s.chunk.scores, 1, plan.rows, s.d_output, plan.state_row, length, Triangle::upper},
           Product{s.key, plan.d_columns, 1, s.reverse, plan.state_row, plan.d});
  if (call.d_log_decay) log_decay_gradient(plan, call, head, index, s, after, total);
  multiply({s.reverse, plan.state_row, plan.d_rows, plan.e_columns, s.chunk.fade},
           Product{s.chunk.query, 1, plan.d_columns, s.d_output, plan.state_row, length});

  const HeadView dq(call.dq, head), dk(call.dk, head), dv(call.dv, head);
  store_rows({dq.at(first), dq.step, length, plan.d}, s.dq, plan.d_columns);
  store_rows({dk.at(first), dk.step, length, plan.d}, s.dk, plan.d_columns);
  store_rows({dv.at(first), dv.step, length, plan.e}, s.dv, plan.state_row);
}

/// One head. Returns the gradient of its decay where it has one for all tokens.
double backward_head(const ChunkPlan& plan, const DecayOuterProductBackward& call, std::int64_t head,
                     const BackwardScratch& s) {
  load_state(plan, call.forward.initial_state, head, s.kept[0], 0, plan.e_columns);
  for (std::size_t segment = 1; segment < s.kept.size(); ++segment) {
    const auto first = static_cast<std::int64_t>(segment - 1) * kSegment;
    for (std::int64_t c = first; c < first + kSegment; ++c) {
      advance_state(plan, call.forward, head, c, s, c == first ? s.kept[segment - 1] : s.kept[segment],
                    s.kept[segment]);
    }
  }
  load_state(plan, call.d_final_state, head, s.reverse, 0, plan.e_columns);
  double total = 0;
  for (std::size_t segment = s.kept.size(); segment-- > 0;) {
    const auto first = static_cast<std::int64_t>(segment) * kSegment;
    const std::int64_t last = std::min(first + kSegment, plan.chunks);
    const auto state = [&](std::int64_t c) { return s.states[static_cast<std::size_t>(c - first)]; };
    std::copy_n(s.kept[segment], plan.d_rows * plan.state_row, state(first));
    for (std::int64_t c = first; c < last; ++c)
      advance_state(plan, call.forward, head, c, s, state(c), state(c + 1));
    for (std::int64_t c = last; c-- > first;) {
      backward_chunk(plan, call, head, c, s, state(c), state(c + 1), total);
    }
  }
  store_state(plan, call.d_initial_state, head, s.reverse, 0, plan.e_columns);
  return total;
}

Padding padding() {
  return kPadding;
}

}  // namespace
}  // namespace etalon::fast::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace etalon::fast::cpu {
namespace {

HWY_EXPORT(padding);
HWY_EXPORT(backward_head);

void check_backward(const Checker& check, const DecayOuterProductBackward& call) {
  DecayOuterProduct like = call.forward;  // dv stands for o, which is not read but has the shape of dv
  like.o = call.dv;
  like.final_state = {};
  check.tensor("dv", call.dv, {Type::float32});
  check_decay_outer_product(check, like, {Type::float32}, {Type::float32});
  check_chunk(check, like.chunk);
  const auto tensor = [&](const char* name, const Tensor& given, const Extents& shape, const char* because) {
    check.tensor(name, given, {Type::float32});
    check.shape(name, given, shape, because);
  };
  tensor("d_o", call.d_o, like.v.shape, "v");
  tensor("dq", call.dq, like.q.shape, "q");
  tensor("dk", call.dk, like.q.shape, "q");
  const Extents state{like.q.shape[0], like.q.shape[2], like.q.shape[3], like.v.shape[3]};
  if (call.d_final_state) tensor("d_final_state", call.d_final_state, state, "q and v");
  if (call.d_initial_state) tensor("d_initial_state", call.d_initial_state, state, "q and v");
  if (call.d_log_decay) {
    if (!like.log_decay) check.fail("d_log_decay is given, expected none where log_decay is not given");
    tensor("d_log_decay", call.d_log_decay, like.log_decay.shape, "log_decay");
  }
  const std::vector<std::pair<const char*, const Tensor*>> outputs{
      {"dq", &call.dq},
      {"dk", &call.dk},
      {"dv", &call.dv},
      {"d_log_decay", &call.d_log_decay},
      {"d_initial_state", &call.d_initial_state}};
  const std::vector<std::pair<const char*, const Tensor*>> inputs{{"q", &like.q},
                                                                  {"k", &like.k},
                                                                  {"v", &like.v},
                                                                  {"log_decay", &like.log_decay},
                                                                  {"initial_state", &like.initial_state},
                                                                  {"d_o", &call.d_o},
                                                                  {"d_final_state", &call.d_final_state}};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (const auto& [name, input] : inputs)
      check.separate(outputs[i].first, *outputs[i].second, name, *input);
    for (std::size_t j = 0; j < i; ++j) {
      check.separate(outputs[i].first, *outputs[i].second, outputs[j].first, *outputs[j].second);
    }
  }
}

}  // namespace

void decay_outer_product_backward(const DecayOuterProductBackward& call, const Execution& execution) {
  const Checker check{"decay_outer_product_backward"};
  check.threads(execution);
  check_backward(check, call);
  const DecayOuterProduct& forward = call.forward;
  const ChunkPlan plan(forward.q, forward.v, forward.chunk, kUsualDecayChunk,
                       HWY_DYNAMIC_DISPATCH(padding)());
  const std::int64_t heads = plan.batch * plan.heads;
  const auto threads = static_cast<int>(std::min<std::int64_t>(execution.threads, heads));
  check_log_decay(check, forward.log_decay, threads);
  std::vector<BackwardScratch> scratch(static_cast<std::size_t>(threads));
  std::vector<double> totals(static_cast<std::size_t>(heads));
  const Arena arena = Arena::lay_out([&](Arena& parts) {
    for (BackwardScratch& s : scratch) s = BackwardScratch::take(parts, plan, forward);
  });
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (std::int64_t head = 0; head < heads; ++head) {
    totals[static_cast<std::size_t>(head)] = HWY_DYNAMIC_DISPATCH(backward_head)(
        plan, call, head, scratch[static_cast<std::size_t>(omp_get_thread_num())]);
  }
  if (!call.d_log_decay || !one_decay_a_head(forward)) return;
  for (std::int64_t h = 0; h < plan.heads; ++h) {
    double sum = 0;
    for (std::int64_t b = 0; b < plan.batch; ++b) sum += totals[static_cast<std::size_t>(b * plan.heads + h)];
    *HeadView(call.d_log_decay, h).data = static_cast<float>(sum);
  }
}

}  // namespace etalon::fast::cpu
#endif
