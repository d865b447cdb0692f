/// \file
/// One chunk of the decay-and-outer-product recurrence (core 2): the decays inside it, the scores of its
/// queries and keys, and queries and keys as the state before and after the chunk meets them. Forward and
/// backward pass share it.
///
/// Decays are multiplied, never divided, so that a decay of 0 is nothing special and nothing overflows: from
/// one token to the next each factor is exp(log a) <= 1, and a product of such factors only shrinks. A decay
/// per channel does not factor out of the score sum_i q_t[i] k_s[i] a_(s+1)[i] ... a_t[i]; there the chunk is
/// cut into blocks of as many tokens as a vector has lanes (secondary chunking, \cite yang2023gla). For a key
/// before the block of its query, the decay is split at the start of the block, into a factor of the query
/// and a factor of the key. Within a block the product is carried along, one token after the other, for all
/// keys of the block at once.
///
/// Compiled once for every instruction set.
#if defined(ETALON_FAST_CPU_DECAY_CHUNK_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ETALON_FAST_CPU_DECAY_CHUNK_HPP
#undef ETALON_FAST_CPU_DECAY_CHUNK_HPP
#else
#define ETALON_FAST_CPU_DECAY_CHUNK_HPP
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "fast/cpu/chunk.hpp"
#include "fast/cpu/chunk_tile.hpp"
#include "fast/cpu/decay_memory.hpp"
#include "fast/cpu/natural_exponential.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// decay[t] = exp(log decay of token t) for a number a token, and 1 for padding. `step` 0 repeats the first.
HWY_INLINE void token_decays(float* decay, const float* log_decay, std::ptrdiff_t step, std::int64_t length,
                             std::int64_t rows) {
  const Floats tag;
  for (std::int64_t t = 0; t < length; ++t) decay[t] = log_decay[t * step];
  std::fill(decay + length, decay + rows, 0.0f);
  for (std::int64_t t = 0; t < rows; t += kLanes) {
    hn::StoreU(exp_negative(tag, hn::LoadU(tag, decay + t)), tag, decay + t);
  }
}

/// The same for a number a channel: `rows` rows of `columns` decays; 1 for padding.
HWY_INLINE void channel_decays(float* decay, std::int64_t rows, std::int64_t columns, const Rows& log_decay) {
  const Floats tag;
  load_rows({decay, columns, rows, columns}, log_decay);
  for (std::int64_t x = 0; x < rows * columns; x += kLanes) {
    hn::StoreU(exp_negative(tag, hn::LoadU(tag, decay + x)), tag, decay + x);
  }
}

/// scores(t, s) *= the decay from token s to token t, for s <= t. `carried` holds `rows` numbers.
HWY_INLINE void fade_scores(float* scores, std::int64_t rows, std::ptrdiff_t row, const float* decay,
                            float* carried) {
  std::fill_n(carried, rows, 0.0f);
  for (std::int64_t t = 0; t < rows; ++t) {
    scale_row(carried, round_up(t, kLanes), decay[t]);
    carried[t] = 1;
    scale_row(scores + t * row, round_up(t + 1, kLanes), carried);
  }
}

/// No decay, or one number a token for all channels. `decay` and `carried` hold `rows` numbers.
HWY_INLINE void fade_by_token(const DecayChunk& chunk, std::int64_t rows, std::int64_t d, std::int64_t d_rows,
                              std::int64_t d_columns, std::ptrdiff_t row, const float* decay,
                              float* carried) {
  multiply({chunk.scores, row, rows, rows, nullptr, true},
           Product{chunk.query, d_columns, 1, chunk.key, row, d});
  float product = 1;
  if (decay != nullptr) {
    fade_scores(chunk.scores, rows, row, decay, carried);
    for (std::int64_t t = 0; t < rows; ++t) {
      product *= decay[t];
      scale_row(chunk.query + t * d_columns, d_columns, product);
    }
    float to_end = 1;
    for (std::int64_t s = rows - 1; s >= 0; --s) {
      carried[s] = to_end;
      to_end *= decay[s];
    }
    for (std::int64_t i = 0; i < d; ++i) scale_row(chunk.key + i * row, rows, carried);
  }
  std::fill_n(chunk.fade, d_rows, product);
}

/// The scores of the kLanes queries of a block with the keys of the same block, whose columns of `key` are
/// faded to the end of the block on the way. `decay` and `query` point to the first row of the block.
HWY_INLINE void scores_within_block(float* scores, std::ptrdiff_t row, const float* query, const float* decay,
                                    float* key, std::int64_t d, std::ptrdiff_t d_columns) {
  const Floats tag;
  Vector sum[kLanes];
  for (std::int64_t t = 0; t < kLanes; ++t) sum[t] = hn::Zero(tag);
  const Vector lane = hn::Iota(tag, 0.0f);
  for (std::int64_t i = 0; i < d; ++i) {
    Vector faded = hn::LoadU(tag, key + i * row);
    for (std::int64_t t = 0; t < kLanes; ++t) {
      if (t > 0) {
        const auto earlier = hn::Lt(lane, hn::Set(tag, static_cast<float>(t)));
        faded = hn::IfThenElse(earlier, hn::Mul(faded, hn::Set(tag, decay[t * d_columns + i])), faded);
      }
      sum[t] = hn::MulAdd(faded, hn::Set(tag, query[t * d_columns + i]), sum[t]);
    }
    hn::StoreU(faded, tag, key + i * row);
  }
  for (std::int64_t t = 0; t < kLanes; ++t) hn::StoreU(sum[t], tag, scores + t * row);
}

/// One number for each token and channel. `decay` holds rows x d_columns numbers, `before` and `block_fade`
/// d_columns.
HWY_INLINE void fade_by_channel(const DecayChunk& chunk, std::int64_t rows, std::int64_t d,
                                std::int64_t d_rows, std::int64_t d_columns, std::ptrdiff_t row,
                                const float* decay, float* before, float* block_fade) {
  std::fill_n(before, d_columns, 1.0f);
  for (std::int64_t first = 0; first < rows; first += kLanes) {
    float* query = chunk.query + first * d_columns;
    float* scores = chunk.scores + first * row;
    scores_within_block(scores + first, row, query, decay + first * d_columns, chunk.key + first, d,
                        d_columns);
    std::fill_n(block_fade, d_columns, 1.0f);
    for (std::int64_t t = 0; t < kLanes; ++t) {
      scale_row(block_fade, d_columns, decay + (first + t) * d_columns);
      scale_row(query + t * d_columns, d_columns, block_fade);
    }
    // Keys before the block are faded up to its start here, and to its end afterwards.
    if (first > 0) multiply({scores, row, kLanes, first}, Product{query, d_columns, 1, chunk.key, row, d});
    for (std::int64_t i = 0; i < d; ++i) scale_row(chunk.key + i * row, first, block_fade[i]);
    for (std::int64_t t = 0; t < kLanes; ++t) scale_row(query + t * d_columns, d_columns, before);
    scale_row(before, d_columns, block_fade);
  }
  std::copy_n(before, d, chunk.fade);
  std::fill(chunk.fade + d, chunk.fade + d_rows, 1.0f);
}

/// Everything of a chunk, from the tensors of a call. Leaves the decays in `fading.decay`.
HWY_INLINE void load_chunk(const ChunkPlan& plan, const DecayOuterProduct& call, std::int64_t head,
                           std::int64_t index, const DecayChunk& chunk, const FadeScratch& fading) {
  const HeadView q(call.q, head), k(call.k, head), log_decay(call.log_decay, head);
  const std::int64_t first = index * plan.chunk, length = plan.length(index), rows = round_up(length, kLanes);
  load_rows({chunk.query, plan.d_columns, rows, plan.d_columns}, {q.at(first), q.step, length, plan.d},
            call.scale);
  load_transposed({chunk.key, plan.rows, plan.d_rows, rows}, {k.at(first), k.step, length, plan.d});
  if (by_channel(call)) {
    channel_decays(fading.decay, rows, plan.d_columns, {log_decay.at(first), log_decay.step, length, plan.d});
    fade_by_channel(chunk, rows, plan.d, plan.d_rows, plan.d_columns, plan.rows, fading.decay, fading.carried,
                    fading.block_fade);
  } else {
    if (call.log_decay) token_decays(fading.decay, log_decay.at(first), log_decay.step, length, rows);
    fade_by_token(chunk, rows, plan.d, plan.d_rows, plan.d_columns, plan.rows,
                  call.log_decay ? fading.decay : nullptr, fading.carried);
  }
}

}  // namespace etalon::fast::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
