/// \file
/// What the kernels of core 2 (decay and outer product) share: arguments, the cut into segments, states in
/// registers, weights of a scalar decay.
///
/// The kernel for float32 storage (`decay_fma.cuh`) shares the arguments and nothing of what follows.
///
/// The sequence of each head is cut into segments, one for each block, so that few heads still fill the
/// device. A first kernel computes what each segment adds to the state, and by how much the segment lets the
/// state before it decay; a second one computes the outputs, each block starting from the sum over the
/// segments before its own. With one segment only the second runs. The first walks backwards and asks the
/// level-2 cache to keep what it reads last, with which the second begins.
///
/// The state is kept transposed in the registers: warp w of the D / 16 that work on it holds rows 16 w to 16
/// w + 15 of S^T (values times keys) as D / 8 accumulators of 16 x 8 (`tile.cuh`), in float32. In the
/// workspace a state lies as the threads hold it.
#pragma once

#include <cstdint>

#include "fast/cuda/tile.cuh"

namespace etalon::fast::cuda {

constexpr int decay_chunk = 64;  ///< tokens; segments are multiples of it

/// Decays below this are 0 in float32: exp(-104) is less than half of the smallest number.
constexpr float no_decay_left = -104.0f;
constexpr float log2_e = 1.44269504088896340736f;

/// States [batch, head, d, e] in float32; the e axis is contiguous.
struct StateView {
  float* data = nullptr;
  std::int64_t batch = 0, head = 0, d = 0;
};

template <typename T>
struct DecayArguments {
  View<const T> q, k, v;
  View<T> o;
  View<const float> log_decay;  ///< data is null without decay; strides are 0 along axes of extent 1
  StateView initial, final;     ///< data is null where not given
  int batch = 0, time = 0, heads = 0;
  float scale = 1.0f;
  int segments = 1, segment_tokens = 0;
  int kept_tokens =
      0;  ///< of each segment's beginning, whose keys and values the cache should keep for the second kernel
  float4* segment_states = nullptr;  ///< [batch head][segment][D / 8][2 D]
  float* segment_decays = nullptr;   ///< [batch head][segment][D], D equal numbers if the decay is a scalar
};

/// What a block works on. Blocks are numbered by segment within heads.
struct DecayWork {
  int head, batch, row;  ///< row = batch * heads + head
  int segment, first, end, chunks;
};

template <typename T>
__device__ __forceinline__ DecayWork decay_work(const DecayArguments<T>& a, int row, int segment) {
  const int first = segment * a.segment_tokens, end = min(a.time, first + a.segment_tokens);
  return {
      row % a.heads, row / a.heads, row, segment, first, end, (end - first + decay_chunk - 1) / decay_chunk};
}

/// How the first kernel reads keys and values from token `first` on.
template <typename T>
__device__ __forceinline__ ptx::Keep keep_from(const DecayArguments<T>& a, const DecayWork& work, int first) {
  return first < work.first + a.kept_tokens ? ptx::Keep::longer : ptx::Keep::briefly;
}

template <int D, typename T>
__device__ __forceinline__ float4* segment_state(const DecayArguments<T>& a, int row, int segment) {
  return a.segment_states + (static_cast<std::int64_t>(row) * a.segments + segment) * (D * D / 4);
}

template <int D, typename T>
__device__ __forceinline__ float* segment_decay(const DecayArguments<T>& a, int row, int segment) {
  return a.segment_decays + (static_cast<std::int64_t>(row) * a.segments + segment) * D;
}

template <int D>
__device__ __forceinline__ void write_segment_state(float4* to, const float (&state)[D / 2], int thread) {
#pragma unroll
  for (int j = 0; j < D / 8; ++j) {
    to[j * 2 * D + thread] = {state[4 * j], state[4 * j + 1], state[4 * j + 2], state[4 * j + 3]};
  }
}

/// The state at the beginning of a segment.
template <int D, typename T>
__device__ __forceinline__ void state_before(float (&state)[D / 2], const DecayArguments<T>& a,
                                             const DecayWork& work, int thread) {
  const int lane = thread % 32, warp = thread / 32;
#pragma unroll
  for (int i = 0; i < D / 2; ++i) state[i] = 0.0f;
  if (a.initial.data != nullptr) {
    const float* from = a.initial.data + work.batch * a.initial.batch + work.head * a.initial.head;
#pragma unroll
    for (int i = 0; i < D / 2; ++i) {
      const int e = 16 * warp + lane / 4 + 8 * ((i / 2) % 2), d = 8 * (i / 4) + 2 * (lane % 4) + i % 2;
      state[i] = from[d * a.initial.d + e];
    }
  }
  for (int segment = 0; segment < work.segment; ++segment) {
    const float4* add = segment_state<D>(a, work.row, segment);
    const float* decay = segment_decay<D>(a, work.row, segment);
#pragma unroll
    for (int j = 0; j < D / 8; ++j) {
      const float4 x = __ldcg(add + j * 2 * D + thread);
      const float2 f = __ldcg(reinterpret_cast<const float2*>(decay + 8 * j + 2 * (lane % 4)));
      state[4 * j] = fmaf(state[4 * j], f.x, x.x);
      state[4 * j + 1] = fmaf(state[4 * j + 1], f.y, x.y);
      state[4 * j + 2] = fmaf(state[4 * j + 2], f.x, x.z);
      state[4 * j + 3] = fmaf(state[4 * j + 3], f.y, x.w);
    }
  }
}

/// Writes the state after the last segment if it is asked for.
template <int D, typename T>
__device__ __forceinline__ void write_final_state(const float (&state)[D / 2], const DecayArguments<T>& a,
                                                  const DecayWork& work, int thread) {
  if (a.final.data == nullptr || work.end < a.time) return;
  const int lane = thread % 32, warp = thread / 32;
  float* to = a.final.data + work.batch * a.final.batch + work.head * a.final.head;
#pragma unroll
  for (int i = 0; i < D / 2; ++i) {
    const int e = 16 * warp + lane / 4 + 8 * ((i / 2) % 2), d = 8 * (i / 4) + 2 * (lane % 4) + i % 2;
    to[d * a.final.d + e] = state[i];
  }
}

/// The decays of a chunk from its beginning up to and with a token: their logarithm to base 2 without the
/// zeros among them, and how many zeros there were. Apart, because a difference of two sums would not survive
/// a logarithm of -infinity: the decay from token s to token t is 0 if the counts differ, else 2^(log_t -
/// log_s).
struct DecaySoFar {
  float log, zeros;
};

__device__ __forceinline__ float decay_between(const DecaySoFar& from, const DecaySoFar& to) {
  const float decay = ptx::exp2_approximate(to.log - from.log);
  return from.zeros == to.zeros ? decay : 0.0f;
}
__device__ __forceinline__ float decay_from_start(const DecaySoFar& to) {
  return decay_between({0.0f, 0.0f}, to);
}

/// log_decay of tokens first + 2 lane and first + 2 lane + 1; 0 at and after `end`.
template <typename T>
__device__ __forceinline__ float2 load_log_decay(const DecayArguments<T>& a,
                                                 const Head<const float>& log_decay, int first, int end,
                                                 int lane) {
  const int token = first + 2 * lane;
  if (a.log_decay.data == nullptr) return {0.0f, 0.0f};
  return {token < end ? __ldg(log_decay.row(token)) : 0.0f,
          token + 1 < end ? __ldg(log_decay.row(token + 1)) : 0.0f};
}

/// One warp: sums of the logarithms of a chunk's decays. `to` holds 64 entries in shared memory. A NaN stays
/// a NaN.
__device__ __forceinline__ void sum_decays(DecaySoFar* to, float2 log_decay, int lane) {
  const float zero0 = log_decay.x <= no_decay_left ? 1.0f : 0.0f,
              zero1 = log_decay.y <= no_decay_left ? 1.0f : 0.0f;
  const float log0 = zero0 > 0.0f ? 0.0f : log_decay.x * log2_e,
              log1 = zero1 > 0.0f ? 0.0f : log_decay.y * log2_e;
  float log = log0 + log1, zeros = zero0 + zero1;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const float log_below = __shfl_up_sync(0xffffffffu, log, step);
    const float zeros_below = __shfl_up_sync(0xffffffffu, zeros, step);
    if (lane >= step) {
      log += log_below;
      zeros += zeros_below;
    }
  }
  float log_before = __shfl_up_sync(0xffffffffu, log, 1),
        zeros_before = __shfl_up_sync(0xffffffffu, zeros, 1);
  if (lane == 0) log_before = zeros_before = 0.0f;
  to[2 * lane] = {log_before + log0, zeros_before + zero0};
  to[2 * lane + 1] = {log, zeros};
}

/// A left operand of 16 values x 16 tokens, each token times its weight: `low` for tokens p, p + 1 and `high`
/// for p + 8, p + 9 (`tile.cuh`).
template <typename T>
__device__ __forceinline__ void weigh_tokens(std::uint32_t (&to)[4], const std::uint32_t (&from)[4],
                                             float2 low, float2 high) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 x = Pair<T>::unpack(from[i]), w = i < 2 ? low : high;
    to[i] = Pair<T>::pack(x.x * w.x, x.y * w.y);
  }
}

}  // namespace etalon::fast::cuda
