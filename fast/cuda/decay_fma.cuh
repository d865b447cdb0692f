/// \file
/// Core 2 for float32 storage: the recurrence itself, token by token, in float32 multiply-adds, for any
/// device from sm_80 on.
///
/// Columns of v do not meet: the state's columns can be computed apart. A block has 16 columns of one head's
/// state, each thread 4 channels x 4 columns of them in registers, so that few heads fill a device and the
/// sequence need not be cut. Chunks would not save much here: per token they make 2 d e + C (d + e) / 2
/// multiply-adds and more, the recurrence 2 d e without and 3 d e with decays, and it has no other
/// intermediate results. It multiplies by one decay at a time: nothing is divided, no sum of logarithms is
/// exponentiated, so that decays of e^-20, 0 and 1 are alike.
///
/// A token's output is a sum over the channels, and so over the lanes. Sums of 8 tokens x 4 columns are
/// exchanged together: at each step a lane keeps half of its sums and gives away the other half.
#pragma once

#include "fast/cuda/decay.cuh"
#include "fast/cuda/float_tile.cuh"

namespace etalon::fast::cuda {

enum class DecayShape { none, scalar, channel };

template <int D, DecayShape Decay>
struct DecayFma {
  static constexpr int columns = 16, slices = D / columns, threads = D;
  static constexpr int lanes = D / 4;  ///< that share a column
  static constexpr int tokens = 16;    ///< of a tile; there are two tiles
  static constexpr int together = 8;   ///< tokens whose sums are exchanged together
  static constexpr int held =
      together * 4 / lanes;  ///< sums of a thread after the exchange, neighbours in a token
  static constexpr int output_stride =
      columns + 4;  ///< the 8 tokens that a warp writes lie in different banks
  // In numbers, within a tile:
  static constexpr int k_offset = tokens * D, decay_offset = 2 * tokens * D;
  static constexpr int decay_numbers = Decay == DecayShape::channel ? tokens * D : tokens;
  static constexpr int v_offset = decay_offset + decay_numbers, o_offset = v_offset + tokens * columns;
  static constexpr int tile = o_offset + tokens * output_stride;
  static constexpr int shared_bytes = 2 * tile * 4;
};

/// Adds up `sum` over the lanes that share a column. The lane that is number `part` of them ends up with sums
/// held * part to held * part + held - 1, in the first places.
template <int Lanes>
__device__ __forceinline__ void exchange_sums(float (&sum)[32], int part) {
  int kept = 32;
#pragma unroll
  for (int mask = Lanes / 2; mask >= 1; mask /= 2) {
    kept /= 2;
    const bool upper = (part & mask) != 0;
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      if (i >= kept) continue;
      const float send = upper ? sum[i] : sum[i + kept], keep = upper ? sum[i + kept] : sum[i];
      sum[i] = keep + __shfl_xor_sync(0xffffffffu, send, mask);
    }
  }
}

/// Grid: slices of the columns of all heads, those of a head next to each other, because they read the same
/// queries and keys.
template <int D, DecayShape Decay>
__global__ __launch_bounds__(D) void decay_fma(const DecayArguments<float> a) {
  using Shape = DecayFma<D, Decay>;
  constexpr int tokens = Shape::tokens, together = Shape::together, columns = Shape::columns;
  extern __shared__ __align__(16) unsigned char raw_shared[];
  float* const shared = reinterpret_cast<float*>(raw_shared);
  const int thread = threadIdx.x, part = thread % Shape::lanes, group = thread / Shape::lanes;
  const int row = blockIdx.x / Shape::slices, first_column = blockIdx.x % Shape::slices * columns;
  const int head = row % a.heads, batch = row / a.heads;
  const Head<const float> q = a.q.at(batch, head), k = a.k.at(batch, head),
                          log_decay = a.log_decay.at(batch, head);
  Head<const float> v = a.v.at(batch, head);
  Head<float> o = a.o.at(batch, head);
  v.data += first_column;
  o.data += first_column;

  const int steps = (a.time + tokens - 1) / tokens;
  const auto tile_of = [&](int step) { return shared + step % 2 * Shape::tile; };
  // What lies after the last token becomes 0, so that nothing is added to the state, and a decay of 1.
  float next_log = 0.0f;  // scalar: of the token `thread` of the next tile
  const auto load = [&](int step) {
    if (step < steps) {
      const std::uint32_t tile = ptx::shared_address(tile_of(step));
      const int first = step * tokens;
      copy_floats<tokens, D, D, Shape::threads>(tile, q, first, a.time, thread);
      copy_floats<tokens, D, D, Shape::threads>(tile + Shape::k_offset * 4, k, first, a.time, thread);
      copy_floats<tokens, columns, columns, Shape::threads>(tile + Shape::v_offset * 4, v, first, a.time,
                                                            thread);
      if constexpr (Decay == DecayShape::channel) {
        copy_floats<tokens, D, D, Shape::threads>(tile + Shape::decay_offset * 4, log_decay, first, a.time,
                                                  thread);
      } else if constexpr (Decay == DecayShape::scalar) {
        next_log = thread < tokens && first + thread < a.time ? __ldg(log_decay.row(first + thread)) : 0.0f;
      }
    }
    ptx::copies_commit();
  };
  // A thread turns into decays what it copied itself, which it may do before the others are waited for.
  const auto make_decays = [&](float* decay) {
    if constexpr (Decay == DecayShape::channel) {
#pragma unroll
      for (int i = 0; i < tokens * D / 4 / Shape::threads; ++i) {
        float4& x = reinterpret_cast<float4*>(decay)[thread + i * Shape::threads];
        x = make_float4(ptx::exp2_approximate(x.x * log2_e), ptx::exp2_approximate(x.y * log2_e),
                        ptx::exp2_approximate(x.z * log2_e), ptx::exp2_approximate(x.w * log2_e));
      }
    } else if constexpr (Decay == DecayShape::scalar) {
      if (thread < tokens) decay[thread] = ptx::exp2_approximate(next_log * log2_e);
    }
  };
  const auto write = [&](int step) {
    if (thread >= tokens * columns / 4) return;
    const int token = thread / (columns / 4), piece = thread % (columns / 4);
    if (step * tokens + token >= a.time) return;
    const float4 x = load_four(tile_of(step) + Shape::o_offset + token * Shape::output_stride + 4 * piece);
    __stcs(reinterpret_cast<float4*>(o.row(step * tokens + token) + 4 * piece), x);
  };

  load(0);
  float state[4][4] = {};  // channels 4 part + i, columns 4 group + j
  if (a.initial.data != nullptr) {
    const float* const from =
        a.initial.data + batch * a.initial.batch + head * a.initial.head + first_column + 4 * group;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) state[i][j] = from[(4 * part + i) * a.initial.d + j];
    }
  }
  for (int step = 0; step < steps; ++step) {
    float* const tile = tile_of(step);
    ptx::copies_wait<0>();
    make_decays(tile + Shape::decay_offset);
    __syncthreads();  // this tile is there, the one before is read and its outputs are there
    load(step + 1);
    if (step > 0) write(step - 1);
#pragma unroll 1
    for (int first = 0; first < tokens; first += together) {
      float sum[4 * together];
#pragma unroll
      for (int t = 0; t < together; ++t) {
        const int token = first + t;
        const float4 query = load_four(tile + token * D + 4 * part);
        const float4 key = load_four(tile + Shape::k_offset + token * D + 4 * part);
        const float4 value = load_four(tile + Shape::v_offset + token * columns + 4 * group);
        float4 decay{1.0f, 1.0f, 1.0f, 1.0f};
        if constexpr (Decay == DecayShape::channel) {
          decay = load_four(tile + Shape::decay_offset + token * D + 4 * part);
        } else if constexpr (Decay == DecayShape::scalar) {
          const float one = tile[Shape::decay_offset + token];
          decay = make_float4(one, one, one, one);
        }
        const float ks[4] = {key.x, key.y, key.z, key.w}, vs[4] = {value.x, value.y, value.z, value.w},
                    qs[4] = {query.x, query.y, query.z, query.w},
                    as[4] = {decay.x, decay.y, decay.z, decay.w};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            float& s = state[i][j];
            if constexpr (Decay == DecayShape::none) {
              s = fmaf(ks[i], vs[j], s);
            } else {
              s = fmaf(as[i], s, ks[i] * vs[j]);
            }
            sum[4 * t + j] = i == 0 ? qs[0] * s : fmaf(qs[i], s, sum[4 * t + j]);
          }
        }
      }
      exchange_sums<Shape::lanes>(sum, part);
      const int index = Shape::held * part;
      float* const out =
          tile + Shape::o_offset + (first + index / 4) * Shape::output_stride + 4 * group + index % 4;
#pragma unroll
      for (int i = 0; i < Shape::held; ++i) out[i] = sum[i] * a.scale;
    }
  }
  __syncthreads();
  write(steps - 1);
  if (a.final.data != nullptr) {
    float* const to = a.final.data + batch * a.final.batch + head * a.final.head + first_column + 4 * group;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) to[(4 * part + i) * a.final.d + j] = state[i][j];
    }
  }
}

}  // namespace etalon::fast::cuda
