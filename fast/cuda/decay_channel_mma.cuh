/// \file
/// Core 2 with a decay for each channel of each token, for any device from sm_80 on.
///
/// The chunk has 16 tokens. That few, because then nothing has to be divided: with a_t the decays of token t,
///   q~_t = q_t a_1 ... a_t,   k~_s = k_s a_{s+1} ... a_16,   P_ts = sum over channels of q_t (k_s a_{s+1}
///   ... a_t)
/// are products of numbers between 0 and 1, in float32, whatever the decays are, zeros included, and each
/// decay costs one exponential. Then O = scale (q~ S + P v) and S <- (a_1 ... a_16) S + k~^T v, transposed as
/// in `decay_scalar_mma.cuh`. Only the 136 entries of P with s <= t need arithmetic outside of the tensor
/// cores. A tile of 32 tokens, two chunks, comes at a time.
///
/// The warps have two trades. Preparers load a tile and turn queries and keys into q~ and k~ where they lie,
/// and make P; multipliers have the state and follow one tile behind. They hand tiles to each other through
/// barriers.
#pragma once

#include "fast/cuda/decay.cuh"
#include "fast/cuda/float_tile.cuh"

namespace etalon::fast::cuda {

template <int D>
struct DecayChannel {
  static constexpr int warps = D / 16, tokens = 32, chunk = 16;
  static constexpr int multipliers = 2 * D, preparers = 2 * D, walkers = D / 2;  ///< threads
  using Layout = Padded<D>;
  using ScoreLayout = Padded<chunk>;
  static constexpr int tile_bytes = tokens * Layout::row_bytes, decay_bytes = tokens * D * 4;
  static constexpr int p_bytes = chunk * ScoreLayout::row_bytes;
  static constexpr int state_stage = 2 * tile_bytes + decay_bytes, state_stages = 5;
  static constexpr int state_shared = state_stages * state_stage + 1024;
  /// Queries, keys, values, decays, P of both chunks, the chunks' products of decays.
  static constexpr int p_offset = 3 * tile_bytes + decay_bytes, kept_offset = p_offset + 2 * p_bytes;
  static constexpr int output_stage = kept_offset + 1024;
  static constexpr int output_shared(int stages) { return stages * (output_stage + 16) + 1024; }
};

/// What each segment but the last adds to the state. Grid: heads of all batches, segments - 1. Besides the
/// multipliers, who also load, D / 2 walkers multiply the keys of the next tile by the decays that follow
/// them.
template <typename T, int D>
__global__ __launch_bounds__(DecayChannel<D>::multipliers + DecayChannel<D>::walkers,
                             1) void decay_channel_states(const DecayArguments<T> a) {
  using Shape = DecayChannel<D>;
  using Layout = typename Shape::Layout;
  constexpr int stages = Shape::state_stages, tokens = Shape::tokens;
  extern __shared__ unsigned char raw_shared[];
  const std::uint32_t tiles = (ptx::shared_address(raw_shared) + 1023u) & ~1023u;
  unsigned char* const bytes = raw_shared + (tiles - ptx::shared_address(raw_shared));
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  const DecayWork work = decay_work(a, blockIdx.x, blockIdx.y);
  ptx::let_next_kernel_begin();

  const int steps =
      (work.end - work.first) / tokens;  // whole: the segment is not the last; step 0 is its last tile
  if (thread < Shape::multipliers) {
    const Head<const T> k = a.k.at(work.batch, work.head), v = a.v.at(work.batch, work.head);
    const Head<const float> log_decay = a.log_decay.at(work.batch, work.head);
    const auto load = [&](int step) {
      if (step < steps) {
        const std::uint32_t tile = tiles + (step % stages) * Shape::state_stage;
        const int first = work.first + (steps - 1 - step) * tokens;
        const ptx::Keep keep = keep_from(a, work, first);
        copy_tile<tokens, D, Shape::multipliers, Layout>(tile, k, first, work.end, thread, keep);
        copy_tile<tokens, D, Shape::multipliers, Layout>(tile + Shape::tile_bytes, v, first, work.end, thread,
                                                         keep);
        copy_floats<tokens, D, D, Shape::multipliers>(tile + 2 * Shape::tile_bytes, log_decay, first,
                                                      work.end, thread, keep);
      }
      ptx::copies_commit();
    };
    for (int step = 0; step < stages - 1; ++step) load(step);
    ptx::copies_wait<stages - 2>();
    __syncthreads();  // the first tile is there
    float state[D / 2] = {};
    for (int step = 0; step < steps; ++step) {
      ptx::copies_wait<stages - 3>();
      __syncthreads();  // the next tile is there, this one's keys are ready, the last one's place is free
      load(step + stages - 1);
      const std::uint32_t k_tile = tiles + (step % stages) * Shape::state_stage,
                          v_tile = k_tile + Shape::tile_bytes;
#pragma unroll
      for (int i = 0; i < tokens / 16; ++i) {
        std::uint32_t values[4];
        load_left_transposed<Layout>(values, v_tile, 16 * i, 2 * warp, lane);
#pragma unroll
        for (int j = 0; j < D / 16; ++j) {
          std::uint32_t b[4];
          load_right_transposed<Layout>(b, k_tile, 16 * i, 2 * j, lane);
          ptx::mma<T>(&state[8 * j], values, b[0], b[1]);
          ptx::mma<T>(&state[8 * j + 4], values, b[2], b[3]);
        }
      }
    }
    ptx::copies_wait<0>();
    write_segment_state<D>(segment_state<D>(a, work.row, work.segment), state, thread);
  } else {
    const int channel = thread - Shape::multipliers;  // pair of channels
    float2 after{1.0f, 1.0f};                         // decay from here to the end of the segment
    const auto entry = [&](unsigned char* tile, int t) -> std::uint32_t& {
      return *reinterpret_cast<std::uint32_t*>(tile + Layout::offset(t, channel / 4) + (channel % 4) * 4);
    };
    const auto walk = [&](int step) {
      unsigned char* const tile = bytes + (step % stages) * Shape::state_stage;
      const float2* const log_a = reinterpret_cast<const float2*>(tile + 2 * Shape::tile_bytes) + channel;
      // Loads first: the compiler cannot know that the stores do not change what is read.
#pragma unroll
      for (int half = 1; half >= 0; --half) {
        float2 log[16];
        std::uint32_t keys[16];
#pragma unroll
        for (int t = 0; t < 16; ++t) {
          log[t] = log_a[(16 * half + t) * (D / 2)];
          keys[t] = entry(tile, 16 * half + t);
        }
#pragma unroll
        for (int t = 15; t >= 0; --t) {
          const float2 key = Pair<T>::unpack(keys[t]);
          entry(tile, 16 * half + t) = Pair<T>::pack(key.x * after.x, key.y * after.y);
          after.x *= ptx::exp2_approximate(log[t].x * log2_e);
          after.y *= ptx::exp2_approximate(log[t].y * log2_e);
        }
      }
    };
    __syncthreads();
    walk(0);
    for (int step = 0; step < steps; ++step) {
      __syncthreads();
      if (step + 1 < steps) walk(step + 1);
    }
    reinterpret_cast<float2*>(segment_decay<D>(a, work.row, work.segment))[channel] = after;
  }
}

/// P of both chunks of a tile. D / 8 neighbouring lanes share the channels of a pair of keys, p and 15 - p,
/// which together meet 17 queries; a thread has channels 4 c to 4 c + 3 and as many D / 2 further on. For D =
/// 128 all lanes of a warp have the same p.
template <typename T, int D>
__device__ __forceinline__ void channel_scores(unsigned char* p, const unsigned char* q,
                                               const unsigned char* k, const float* decay, float scale,
                                               int thread) {
  using Layout = typename DecayChannel<D>::Layout;
  using ScoreLayout = typename DecayChannel<D>::ScoreLayout;
  constexpr int lanes = D / 8;
  const int c = thread % lanes, chunk = (thread / lanes) % 2, row = 16 * chunk;
  const int first_key = thread / (2 * lanes), last_key = 15 - first_key;
  const auto load = [&](const unsigned char* from, float(&x)[8]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint2 pairs = *reinterpret_cast<const uint2*>(from + half * D);
      const float2 low = Pair<T>::unpack(pairs.x), high = Pair<T>::unpack(pairs.y);
      x[4 * half] = low.x, x[4 * half + 1] = low.y, x[4 * half + 2] = high.x, x[4 * half + 3] = high.y;
    }
  };
  float sum[17], key[8], other[8];
  load(k + Layout::offset(row + first_key, 0) + 8 * c, key);
  load(k + Layout::offset(row + last_key, 0) + 8 * c, other);
  // Step i meets token first_key + i with the first key, then token i - 1 with the last key.
  const unsigned char *const first_queries = q + Layout::offset(row + first_key, 0) + 8 * c,
                             *const last_queries = q + Layout::offset(row - 1, 0) + 8 * c;
  const float *const first_decays = decay + (row + first_key) * D + 4 * c, *const last_decays =
                                                                               decay + (row - 1) * D + 4 * c;
#pragma unroll
  for (int i = 0; i < 17; ++i) {
    const bool first = i < 16 - first_key;
    float query[8];
    load((first ? first_queries : last_queries) + i * Layout::row_bytes, query);
    if (i > 0) {
      const float4* const factors =
          reinterpret_cast<const float4*>((first ? first_decays : last_decays) + i * D);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float4 a = factors[half * (D / 8)];
        key[4 * half] *= a.x, key[4 * half + 1] *= a.y, key[4 * half + 2] *= a.z, key[4 * half + 3] *= a.w;
      }
      if (i == 16 - first_key) {
#pragma unroll
        for (int j = 0; j < 8; ++j) key[j] = other[j];
      }
    }
    float low = query[0] * key[0], high = query[4] * key[4];
#pragma unroll
    for (int j = 1; j < 4; ++j) {
      low = fmaf(query[j], key[j], low);
      high = fmaf(query[4 + j], key[4 + j], high);
    }
    sum[i] = low + high;
  }
  // Adds up over the neighbours; each of them ends up with 16 / lanes of the first 16 sums, all with the
  // last.
  int kept = 16;
#pragma unroll
  for (int mask = lanes / 2; mask >= 1; mask /= 2) {
    kept /= 2;
    const bool upper = (c & mask) != 0;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (i >= kept) continue;
      const float send = upper ? sum[i] : sum[i + kept], keep = upper ? sum[i + kept] : sum[i];
      sum[i] = keep + __shfl_xor_sync(0xffffffffu, send, mask);
    }
    sum[16] += __shfl_xor_sync(0xffffffffu, sum[16], mask);
  }
  const auto write = [&](int i, float value) {
    const bool first = i < 16 - first_key;
    const int token = first ? first_key + i : i - 1, of_key = first ? first_key : last_key;
    T& entry = *(
        reinterpret_cast<T*>(p + chunk * DecayChannel<D>::p_bytes + ScoreLayout::offset(token, of_key / 8)) +
        of_key % 8);
    entry = static_cast<T>(value * scale);
  };
#pragma unroll
  for (int i = 0; i < 16 / lanes; ++i) write(c * (16 / lanes) + i, sum[i]);
  if (c == 0) write(16, sum[16]);
}

/// q~ and k~ in the places of q and k, and the products of decays of both chunks. Half of the threads for
/// each chunk; half of those for the queries, half for the keys; each thread two channels.
template <typename T, int D>
__device__ __forceinline__ void channel_operands(unsigned char* q, unsigned char* k, const float* decay,
                                                 float* kept, float scale, int thread) {
  using Layout = typename DecayChannel<D>::Layout;
  const int chunk = thread / D, index = thread % D, channel = index % (D / 2), row = 16 * chunk;
  const float2* const chunk_decay = reinterpret_cast<const float2*>(decay + row * D) + channel;
  const auto entry = [&](unsigned char* tile, int t) -> std::uint32_t& {
    return *reinterpret_cast<std::uint32_t*>(tile + Layout::offset(row + t, channel / 4) + (channel % 4) * 4);
  };
  unsigned char* const tile = index < D / 2 ? q : k;
  // Loads first: the compiler cannot know that the stores do not change what is read.
  float2 a[16];
  std::uint32_t pairs[16];
#pragma unroll
  for (int t = 0; t < 16; ++t) {
    a[t] = chunk_decay[t * (D / 2)];
    pairs[t] = entry(tile, t);
  }
  float2 product{1.0f, 1.0f};
  if (index < D / 2) {
#pragma unroll
    for (int t = 0; t < 16; ++t) {
      const float2 query = Pair<T>::unpack(pairs[t]);
      product.x *= a[t].x;
      product.y *= a[t].y;
      entry(tile, t) = Pair<T>::pack(query.x * product.x * scale, query.y * product.y * scale);
    }
    reinterpret_cast<float2*>(kept + chunk * D)[channel] = product;
  } else {
#pragma unroll
    for (int t = 15; t >= 0; --t) {
      const float2 key = Pair<T>::unpack(pairs[t]);
      entry(tile, t) = Pair<T>::pack(key.x * product.x, key.y * product.y);
      product.x *= a[t].x;
      product.y *= a[t].y;
    }
  }
}

/// Outputs and the final state. Grid: heads of all batches, segments.
template <typename T, int D, int Stages>
__global__ __launch_bounds__(DecayChannel<D>::multipliers + DecayChannel<D>::preparers,
                             D == 64 ? 2 : 1) void decay_channel_outputs(const DecayArguments<T> a) {
  using Shape = DecayChannel<D>;
  using Layout = typename Shape::Layout;
  using ScoreLayout = typename Shape::ScoreLayout;
  constexpr int tile_bytes = Shape::tile_bytes, tokens = Shape::tokens;
  constexpr int among_preparers = 1;  // a named barrier
  extern __shared__ unsigned char raw_shared[];
  const std::uint32_t tiles = (ptx::shared_address(raw_shared) + 1023u) & ~1023u;
  unsigned char* const bytes = raw_shared + (tiles - ptx::shared_address(raw_shared));
  const DecayWork work = decay_work(a, blockIdx.x, blockIdx.y);
  const int steps = (work.end - work.first + tokens - 1) / tokens;
  const auto ready = [&](int step) { return tiles + Stages * Shape::output_stage + 16 * (step % Stages); };
  const auto free = [&](int step) { return ready(step) + 8; };
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < Stages; ++stage) {
      ptx::mbarrier_init(ready(stage), Shape::preparers);
      ptx::mbarrier_init(free(stage), Shape::multipliers);
    }
  }
  __syncthreads();

  if (threadIdx.x >= Shape::multipliers) {
    constexpr int threads = Shape::preparers;
    const int thread = threadIdx.x - Shape::multipliers;
    const Head<const T> q = a.q.at(work.batch, work.head), k = a.k.at(work.batch, work.head),
                        v = a.v.at(work.batch, work.head);
    const Head<const float> log_decay = a.log_decay.at(work.batch, work.head);
    const auto load = [&](int step) {
      const std::uint32_t tile = tiles + (step % Stages) * Shape::output_stage;
      const int first = work.first + step * tokens;
      for (int i = 0; i < 3; ++i) {
        copy_tile<tokens, D, threads, Layout>(tile + i * tile_bytes,
                                              i == 0   ? q
                                              : i == 1 ? k
                                                       : v,
                                              first, work.end, thread, ptx::Keep::briefly);
      }
      copy_floats<tokens, D, D, threads>(tile + 3 * tile_bytes, log_decay, first, work.end, thread,
                                         ptx::Keep::briefly);
    };
    for (int step = 0; step < Stages - 1; ++step) {
      if (step < steps) load(step);
      ptx::copies_commit();
    }
    for (int stage = 0; stage < Stages; ++stage) {  // entries with s > t are never written again
      for (int i = thread; i < 2 * Shape::p_bytes / 4; i += threads) {
        reinterpret_cast<std::uint32_t*>(bytes + stage * Shape::output_stage + Shape::p_offset)[i] = 0;
      }
    }
    for (int step = 0; step < steps; ++step) {
      unsigned char* const stage = bytes + (step % Stages) * Shape::output_stage;
      float* const decay = reinterpret_cast<float*>(stage + 3 * tile_bytes);
      ptx::copies_wait<Stages - 2>();
      ptx::barrier_sync(among_preparers, threads);
      constexpr int quads = tokens * D / threads / 4;
      float4 x[quads];
#pragma unroll
      for (int i = 0; i < quads; ++i) x[i] = reinterpret_cast<const float4*>(decay)[thread + i * threads];
#pragma unroll
      for (int i = 0; i < quads; ++i) {
        reinterpret_cast<float4*>(decay)[thread + i * threads] = {
            ptx::exp2_approximate(x[i].x * log2_e), ptx::exp2_approximate(x[i].y * log2_e),
            ptx::exp2_approximate(x[i].z * log2_e), ptx::exp2_approximate(x[i].w * log2_e)};
      }
      ptx::barrier_sync(among_preparers, threads);
      channel_scores<T, D>(stage + Shape::p_offset, stage, stage + tile_bytes, decay, a.scale, thread);
      ptx::barrier_sync(among_preparers, threads);
      channel_operands<T, D>(stage, stage + tile_bytes, decay,
                             reinterpret_cast<float*>(stage + Shape::kept_offset), a.scale, thread);
      ptx::mbarrier_arrive(ready(step));
      const int next = step + Stages - 1;
      if (next < steps) {
        if (step > 0) ptx::mbarrier_wait(free(next), (next / Stages - 1) & 1);
        load(next);
      }
      ptx::copies_commit();
    }
    ptx::copies_wait<0>();
  } else {
    const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, group = lane / 4,
              pair = 2 * (lane % 4);
    const Head<T> o = a.o.at(work.batch, work.head);
    float state[D / 2];
    ptx::wait_for_previous_kernel();
    state_before<D>(state, a, work, thread);
    for (int step = 0; step < steps; ++step) {
      const std::uint32_t stage = (step % Stages) * Shape::output_stage, q_tile = tiles + stage,
                          k_tile = q_tile + tile_bytes, v_tile = k_tile + tile_bytes;
      ptx::mbarrier_wait(ready(step), (step / Stages) & 1);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float out[8] = {};  // 16 values x 16 tokens
#pragma unroll
        for (int j = 0; j < D / 16; ++j) {
          std::uint32_t left[4], b[4];
          pack_operand<T>(left, &state[8 * j]);
          load_right<Layout>(b, q_tile, 16 * i, 2 * j, lane);
          ptx::mma<T>(&out[0], left, b[0], b[1]);
          ptx::mma<T>(&out[4], left, b[2], b[3]);
        }
        std::uint32_t values[4], p[4];
        load_left_transposed<Layout>(values, v_tile, 16 * i, 2 * warp, lane);
        load_right<ScoreLayout>(p, q_tile + Shape::p_offset + i * Shape::p_bytes, 0, 0, lane);
        ptx::mma<T>(&out[0], values, p[0], p[1]);
        ptx::mma<T>(&out[4], values, p[2], p[3]);
        const float* const kept = reinterpret_cast<const float*>(bytes + stage + Shape::kept_offset) + i * D;
#pragma unroll
        for (int j = 0; j < D / 8; ++j) {
          const float2 f = *reinterpret_cast<const float2*>(kept + 8 * j + pair);
          state[4 * j] *= f.x;
          state[4 * j + 1] *= f.y;
          state[4 * j + 2] *= f.x;
          state[4 * j + 3] *= f.y;
        }
#pragma unroll
        for (int j = 0; j < D / 16; ++j) {
          std::uint32_t b[4];
          load_right_transposed<Layout>(b, k_tile, 16 * i, 2 * j, lane);
          ptx::mma<T>(&state[8 * j], values, b[0], b[1]);
          ptx::mma<T>(&state[8 * j + 4], values, b[2], b[3]);
        }
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const std::uint32_t low = ptx::transpose(Pair<T>::pack(out[4 * j], out[4 * j + 1])),
                              high = ptx::transpose(Pair<T>::pack(out[4 * j + 2], out[4 * j + 3]));
          const int token = work.first + step * tokens + 16 * i + 8 * j + group;
          if (token < work.end) {
            T* const to = o.row(token) + 16 * warp + pair;
            __stcs(reinterpret_cast<std::uint32_t*>(to), low);
            __stcs(reinterpret_cast<std::uint32_t*>(to + 8), high);
          }
        }
      }
      ptx::mbarrier_arrive(free(step));
    }
    write_final_state<D>(state, a, work, thread);
  }
}

}  // namespace etalon::fast::cuda
