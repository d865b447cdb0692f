/// \file
/// What the attention kernels share: their arguments, the order of the work and a step of the online softmax
/// \cite milakov2018online.
#pragma once

#include <cstdint>

#include "fast/cuda/tile.cuh"

namespace etalon::fast::cuda {

template <typename T>
struct AttentionArguments {
  View<const T> q, k, v;
  View<T> o;
  View<float> log_sum;  ///< data is null if it is not asked for
  int batch = 0, queries = 0, keys = 0, heads = 0;
  int heads_of_a_key = 1;  ///< grouped heads: this many heads share keys and values
  int heads_at_a_time =
      1;  ///< so many heads are worked on before the next ones, so that their keys stay in the cache
  float scale_log2 = 0.0f;  ///< |scale| / log 2, more than 0
  bool negative = false;    ///< whether the scale is negative
  bool causal = false;
};

/// Which tile of queries, head and batch a block works on.
struct AttentionWork {
  int tile, head, batch;
};

/// Heads in bundles; within a bundle the tiles from last to first, since under a causal mask the last ones
/// are the longest and what is long has to begin early.
template <typename T>
__device__ __forceinline__ AttentionWork attention_work(const AttentionArguments<T>& a, int block,
                                                        int tiles) {
  const int all = a.batch * a.heads, bundle = block / (a.heads_at_a_time * tiles);
  const int first = bundle * a.heads_at_a_time, size = min(a.heads_at_a_time, all - first);
  const int rest = block - first * tiles, head = first + rest % size;
  return {tiles - 1 - rest / size, head % a.heads, head / a.heads};
}

/// How many keys the queries before `end` can see.
template <typename T>
__device__ __forceinline__ int visible_keys(const AttentionArguments<T>& a, int end) {
  return a.causal ? max(0, min(a.keys, end + a.keys - a.queries)) : a.keys;
}

/// Sets the scores of keys that a query does not see to -infinity. `s` is a warp's accumulator of 16 queries
/// from `query` on, and keys from `key` on.
template <int Registers, typename T>
__device__ __forceinline__ void hide_keys(float (&s)[Registers], const AttentionArguments<T>& a, int query,
                                          int key, int lane) {
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = query + lane / 4 + 8 * r;
    const int end = (a.causal ? min(a.keys, row + 1 + a.keys - a.queries) : a.keys) - key - 2 * (lane % 4);
#pragma unroll
    for (int j = 0; j < Registers / 4; ++j) {
      if (8 * j >= end) s[4 * j + 2 * r] = -INFINITY;
      if (8 * j + 1 >= end) s[4 * j + 2 * r + 1] = -INFINITY;
    }
  }
}

/// What the online softmax knows of one row.
struct SoftmaxRow {
  float maximum = -INFINITY;
  float sum = 0.0f;  ///< this thread's part

  /// Takes in the highest score of the maximum so far and of more keys. What was accumulated before has to be
  /// multiplied by the result; `shift` is what scores times scale_log2 are lowered by from now on.
  __device__ __forceinline__ float raise(float highest, float scale_log2, float& shift) {
    // Old and new shift are the same roundings of the same maxima in every step, so the factors multiply to
    // the exponential of the difference between first and last shift; nothing drifts.
    shift = highest == -INFINITY ? 0.0f : __fmul_rn(highest, scale_log2);
    const float factor = ptx::exp2_approximate(__fmul_rn(maximum, scale_log2) - shift);
    maximum = highest;
    return factor;
  }

  /// After the last step, when `sum` is that of all threads: 1 / sum, or 0 for a row that saw no key.
  __device__ __forceinline__ void finish(float& inverse, float& log_sum, float scale_log2) const {
    const bool none = maximum == -INFINITY && sum == 0.0f;
    inverse = none ? 0.0f : 1.0f / sum;
    constexpr float log_2 = 0.693147180559945309417f;
    log_sum = none ? -INFINITY : fmaf(__fmul_rn(maximum, scale_log2), log_2, logf(sum));
  }
};

/// The largest of what `Lanes` neighbouring lanes have.
template <int Lanes>
__device__ __forceinline__ float largest_of_lanes(float x) {
#pragma unroll
  for (int mask = 1; mask < Lanes; mask *= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, mask));
  return x;
}

/// The sum of what `Lanes` neighbouring lanes have.
template <int Lanes>
__device__ __forceinline__ float sum_of_lanes(float x) {
#pragma unroll
  for (int mask = 1; mask < Lanes; mask *= 2) x += __shfl_xor_sync(0xffffffffu, x, mask);
  return x;
}

/// The two rows that a thread holds a part of in a tensor core's accumulator.
struct SoftmaxRows {
  SoftmaxRow row[2];

  /// Turns scores into weights exp(score - maximum). What was accumulated before has to be multiplied by
  /// `factor`.
  template <int Registers>
  __device__ __forceinline__ void step(float (&s)[Registers], float (&factor)[2], float scale_log2) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float highest = row[r].maximum;
#pragma unroll
      for (int j = 0; j < Registers / 4; ++j)
        highest = fmaxf(highest, fmaxf(s[4 * j + 2 * r], s[4 * j + 2 * r + 1]));
      highest = largest_of_lanes<4>(highest);
      float shift;
      factor[r] = row[r].raise(highest, scale_log2, shift);
      float part = 0.0f;
#pragma unroll
      for (int j = 0; j < Registers / 4; ++j) {
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          float& x = s[4 * j + 2 * r + c];
          x = ptx::exp2_approximate(fmaf(x, scale_log2, -shift));
          part += x;
        }
      }
      row[r].sum = fmaf(row[r].sum, factor[r], part);
    }
  }

  /// After the last step: adds up the parts; 1 / sum, or 0 for a row that saw no key.
  __device__ __forceinline__ void finish(float (&inverse)[2], float (&log_sum)[2], float scale_log2) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      row[r].sum = sum_of_lanes<4>(row[r].sum);
      row[r].finish(inverse[r], log_sum[r], scale_log2);
    }
  }
};

}  // namespace etalon::fast::cuda
