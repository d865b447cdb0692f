/// \file
/// How the chunked recurrences (cores 2 and 3) cut their work: sizes of scratch matrices, where the tensors
/// of a head start, and the two ways in which threads share the work. Independent of the instruction set but
/// for the padding.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fast/cpu/arena.hpp"
#include "fast/etalon_fast.hpp"
#include "fast/validate.hpp"

namespace etalon::fast::cpu {

/// What depends on the instruction set: the padding of scratch matrices.
struct Padding {
  std::int64_t rows, columns,
      panel;  ///< chunks and columns to multiples of `columns`, rows to multiples of `rows`
};

/// The largest number of tokens of a chunk that a call may ask for: scores take its square.
inline constexpr std::int64_t kLargestChunk = 1024;

/// The sizes of one call.
struct ChunkPlan {
  std::int64_t batch, time, heads, d, e;
  std::int64_t chunk;      ///< tokens of a chunk; the last one may have fewer
  std::int64_t chunks;     ///< of a sequence
  std::int64_t rows;       ///< chunk, padded
  std::int64_t d_rows;     ///< d padded as rows of a product
  std::int64_t d_columns;  ///< d padded as columns
  std::int64_t e_columns;  ///< e padded as columns
  std::int64_t state_row;  ///< stride of rows with e columns; never a large power of two, which would make
                           ///< the rows push each other out of the cache
  std::int64_t panel;      ///< columns that are worth a task of their own

  ChunkPlan(const Tensor& q, const Tensor& v, std::int64_t asked, std::int64_t usual, const Padding& padding)
      : batch(q.shape[0]), time(q.shape[1]), heads(q.shape[2]), d(q.shape[3]), e(v.shape[3]) {
    const auto round_up = [](std::int64_t x, std::int64_t multiple) {
      return (x + multiple - 1) / multiple * multiple;
    };
    chunk = std::min(asked == 0 ? usual : asked, time);
    chunks = (time - 1) / chunk + 1;
    rows = round_up(chunk, padding.columns);
    d_rows = round_up(d, padding.rows);
    d_columns = round_up(d, padding.columns);
    e_columns = round_up(e, padding.columns);
    state_row = e_columns % 128 == 0 ? e_columns + padding.columns : e_columns;
    panel = padding.panel;
  }

  std::int64_t length(std::int64_t index) const { return std::min(chunk, time - index * chunk); }
  std::int64_t panels() const { return (e_columns - 1) / panel + 1; }
};

inline void check_chunk(const Checker& check, std::int64_t chunk) {
  check.require(chunk >= 0 && chunk <= kLargestChunk, "chunk", std::to_string(chunk),
                "from 1 to " + std::to_string(kLargestChunk) + ", or 0 for a choice of the core");
}

/// The first number of token `time` of a head, and 0 as stride where one number serves all.
struct HeadView {
  float* data = nullptr;
  std::ptrdiff_t step = 0;  ///< from token to token

  HeadView() = default;
  HeadView(const Tensor& tensor, std::int64_t head_of_batch) {
    if (!tensor) return;
    const std::int64_t heads = tensor.shape[2], b = head_of_batch / heads, h = head_of_batch % heads;
    data = static_cast<float*>(tensor.data) + (tensor.shape[0] == 1 ? 0 : b * tensor.stride[0]) +
           (heads == 1 ? 0 : h * tensor.stride[2]);
    step = tensor.shape[1] == 1 ? 0 : tensor.stride[1];
  }
  float* at(std::int64_t time) const { return data + time * step; }
};

/// A state [b, h, d, e] of one head.
struct StateView {
  float* data = nullptr;
  std::ptrdiff_t row = 0;

  StateView(const Tensor& tensor, std::int64_t head_of_batch) {
    if (!tensor) return;
    const std::int64_t heads = tensor.shape[1];
    data = static_cast<float*>(tensor.data) +
           (tensor.shape[0] == 1 ? 0 : head_of_batch / heads * tensor.stride[0]) +
           (heads == 1 ? 0 : head_of_batch % heads * tensor.stride[1]);
    row = tensor.shape[2] == 1 ? 0 : tensor.stride[2];
  }
};

/// Throws unless every logarithm of a decay is at most 0, which NaN is not.
inline void check_log_decay(const Checker& check, const Tensor& log_decay, int threads) {
  if (!log_decay) return;
  const std::int64_t batch = log_decay.shape[0], time = log_decay.shape[1], heads = log_decay.shape[2],
                     channels = log_decay.shape[3];
  const auto& stride = log_decay.stride;
  const auto* data = static_cast<const float*>(log_decay.data);
  bool good = true;
#pragma omp parallel for collapse(2) num_threads(threads) reduction(&& : good)
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t t = 0; t < time; ++t) {
      for (std::int64_t h = 0; h < heads; ++h) {
        const float* row = data + (batch == 1 ? 0 : b * stride[0]) + (time == 1 ? 0 : t * stride[1]) +
                           (heads == 1 ? 0 : h * stride[2]);
        bool row_good = true;
        for (std::int64_t i = 0; i < channels; ++i) row_good &= row[i] <= 0;
        good = good && row_good;
      }
    }
  }
  if (!good) check.growth("log_decay");
}

/// Chunks that are prepared together before their states are handed on, where threads share one head.
inline constexpr std::int64_t kSharedChunks = 16;

/// As many threads as can have work.
inline int useful_threads(const ChunkPlan& plan, int threads) {
  const std::int64_t most = std::max(plan.batch * plan.heads, kSharedChunks);
  return static_cast<int>(std::min<std::int64_t>(threads, most));
}

/// What a recurrence does, for one instruction set. `Buffers` is what a chunk hands to its states, `Scratch`
/// what a thread needs besides.
template <class Call, class Buffers, class Scratch>
struct ChunkFunctions {
  Padding padding;
  /// Fills the buffers of a chunk. Needs no state.
  void (*prepare)(const ChunkPlan&, const Call&, std::int64_t head, std::int64_t chunk, const Buffers&,
                  const Scratch&);
  /// Takes some columns of the state from the start of a prepared chunk to its end and writes these columns
  /// of the outputs.
  void (*advance)(const ChunkPlan&, const Call&, std::int64_t head, std::int64_t chunk, const Buffers&,
                  const Scratch&, float* state, std::int64_t column, std::int64_t columns);
  void (*load_state)(const ChunkPlan&, const Tensor& from, std::int64_t head, float* state,
                     std::int64_t column, std::int64_t columns);
  void (*store_state)(const ChunkPlan&, const Tensor& to, std::int64_t head, const float* state,
                      std::int64_t column, std::int64_t columns);
};

/// Runs a recurrence for every head. As many heads as fill all threads evenly are taken one by a thread. The
/// rest, fewer than threads, are shared, one head after the other: its next chunks are prepared in parallel,
/// then panels of value columns, which do not depend on each other, go through these chunks in order.
///
/// `buffers(arena)` and `scratch(arena)` take the scratch memory of one chunk and of one thread.
template <class Call, class Buffers, class Scratch, class TakeBuffers, class TakeScratch>
void for_all_heads(const ChunkFunctions<Call, Buffers, Scratch>& run, const ChunkPlan& plan, const Call& call,
                   int threads, TakeBuffers take_buffers, TakeScratch take_scratch) {
  const std::int64_t heads = plan.batch * plan.heads, single = heads / threads * threads;
  const std::int64_t sets = single == heads ? threads : std::max<std::int64_t>(threads, kSharedChunks);
  std::vector<Buffers> buffers(static_cast<std::size_t>(sets));
  std::vector<Scratch> scratch(static_cast<std::size_t>(threads));
  std::vector<float*> states(static_cast<std::size_t>(threads));
  const Arena arena = Arena::lay_out([&](Arena& parts) {
    for (Buffers& b : buffers) b = take_buffers(parts);
    for (Scratch& s : scratch) s = take_scratch(parts);
    for (float*& s : states) s = parts.take(plan.d_rows, plan.state_row);
  });
#pragma omp parallel num_threads(threads)
  {
    const auto thread = static_cast<std::size_t>(omp_get_thread_num());
#pragma omp for schedule(dynamic)
    for (std::int64_t head = 0; head < single; ++head) {
      float* state = states[thread];
      run.load_state(plan, call.initial_state, head, state, 0, plan.e_columns);
      for (std::int64_t c = 0; c < plan.chunks; ++c) {
        run.prepare(plan, call, head, c, buffers[thread], scratch[thread]);
        run.advance(plan, call, head, c, buffers[thread], scratch[thread], state, 0, plan.e_columns);
      }
      run.store_state(plan, call.final_state, head, state, 0, plan.e_columns);
    }
    for (std::int64_t head = single; head < heads; ++head) {
      float* state = states[0];
      for (std::int64_t first = 0; first < plan.chunks; first += kSharedChunks) {
        const std::int64_t last = std::min(first + kSharedChunks, plan.chunks);
#pragma omp for schedule(dynamic)
        for (std::int64_t c = first; c < last; ++c) {
          run.prepare(plan, call, head, c, buffers[static_cast<std::size_t>(c - first)], scratch[thread]);
        }
#pragma omp for schedule(static)
        for (std::int64_t panel = 0; panel < plan.panels(); ++panel) {
          const std::int64_t column = panel * plan.panel,
                             columns = std::min(plan.panel, plan.e_columns - column);
          if (first == 0) run.load_state(plan, call.initial_state, head, state, column, columns);
          for (std::int64_t c = first; c < last; ++c) {
            run.advance(plan, call, head, c, buffers[static_cast<std::size_t>(c - first)], scratch[thread],
                        state, column, columns);
          }
          if (last == plan.chunks) run.store_state(plan, call.final_state, head, state, column, columns);
        }
      }
    }
  }
}

}  // namespace etalon::fast::cpu
