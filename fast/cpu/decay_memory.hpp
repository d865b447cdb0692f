/// \file
/// The scratch memory of core 2 that its forward and its backward pass share, and what they ask about a call.
#pragma once

#include <algorithm>
#include <cstdint>

#include "fast/cpu/arena.hpp"
#include "fast/cpu/chunk_plan.hpp"
#include "fast/etalon_fast.hpp"

namespace etalon::fast::cpu {

/// The chunk that is fastest for heads of 64 to 128 channels; see docs/performance.md.
inline constexpr std::int64_t kUsualDecayChunk = 32;

/// Whether every channel has a decay of its own.
inline bool by_channel(const DecayOuterProduct& call) {
  return call.log_decay && call.log_decay.shape[3] > 1;
}

/// Whether every head has one decay for all tokens of all batches.
inline bool one_decay_a_head(const DecayOuterProduct& call) {
  return call.log_decay && call.log_decay.shape[0] == 1 && call.log_decay.shape[1] == 1 && !by_channel(call);
}

/// What a chunk is made of.
struct DecayChunk {
  float* query;   ///< rows x d_columns: scale q_t, faded from the start of the chunk to t
  float* key;     ///< d_rows x rows, transposed: k_s, faded from s to the end of the chunk
  float* scores;  ///< rows x rows: scale q_t . k_s, faded from s to t, for s <= t; undefined for s > t
  float* fade;    ///< d_rows: the decay of the whole chunk

  static DecayChunk take(Arena& arena, const ChunkPlan& plan) {
    return {arena.take(plan.rows, plan.d_columns), arena.take(plan.d_rows, plan.rows),
            arena.take(plan.rows, plan.rows), arena.take(plan.d_rows)};
  }
};

/// What fading a chunk needs.
struct FadeScratch {
  float* decay;       ///< rows x d_columns decays, or rows of them where a token has one
  float* carried;     ///< the longer of rows and d_columns
  float* block_fade;  ///< d_columns

  static FadeScratch take(Arena& arena, const ChunkPlan& plan, const DecayOuterProduct& call) {
    return {arena.take(plan.rows, by_channel(call) ? plan.d_columns : 1),
            arena.take(std::max(plan.rows, plan.d_columns)), arena.take(plan.d_columns)};
  }
};

}  // namespace etalon::fast::cpu
