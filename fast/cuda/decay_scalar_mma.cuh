/// \file
/// Core 2 with no decay, a constant for each head or a number for each token; first rung, for any device from
/// sm_80 on.
///
/// Per chunk of 64 tokens, with c_t the decay from the chunk's beginning up to and with token t:
///   o_t = scale (c_t q_t S + sum_{s <= t} (c_t / c_s) (q_t . k_s) v_s),   S <- c_end S + sum_s (c_end / c_s)
///   k_s v_s^T.
/// Everything is computed transposed (O^T = S^T Q^T + V^T P^T, S^T <- c_end S^T + V^T K), so that the state,
/// an accumulator, is a left operand without leaving the registers and each warp needs its 16 columns of v
/// only.
#pragma once

#include "fast/cuda/decay.cuh"

namespace etalon::fast::cuda {

template <int D>
struct DecayMma {
  static constexpr int threads = 2 * D, warps = D / 16;
  static constexpr int tile_bytes = decay_chunk * D * 2, p_bytes = decay_chunk * decay_chunk * 2;
  static constexpr int output_stages = 3, state_stages = D == 128 ? 5 : 6;
  static constexpr int output_shared = output_stages * 3 * tile_bytes + p_bytes + 2048;
  static constexpr int state_shared = state_stages * 2 * tile_bytes + 2048;
};

/// What each segment but the last adds to the state. Grid: heads of all batches, segments - 1.
template <typename T, int D>
__global__ __launch_bounds__(2 * D, 1) void decay_scalar_states(const DecayArguments<T> a) {
  using Shape = DecayMma<D>;
  constexpr int stages = Shape::state_stages;
  __shared__ DecaySoFar decays[2][decay_chunk];
  extern __shared__ unsigned char raw_shared[];
  const std::uint32_t tiles = (ptx::shared_address(raw_shared) + 1023u) & ~1023u;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
  const DecayWork work = decay_work(a, blockIdx.x, blockIdx.y);
  const Head<const T> k = a.k.at(work.batch, work.head), v = a.v.at(work.batch, work.head);
  const Head<const float> log_decay = a.log_decay.at(work.batch, work.head);

  // Step i works on chunk chunks - 1 - i. A segment that is not the last is made of whole chunks.
  const auto first_of = [&](int step) { return work.first + (work.chunks - 1 - step) * decay_chunk; };
  const auto load = [&](int step) {
    if (step < work.chunks) {
      const std::uint32_t tile = tiles + (step % stages) * 2 * Shape::tile_bytes;
      const ptx::Keep keep = keep_from(a, work, first_of(step));
      copy_tile<decay_chunk, D, Shape::threads>(tile, k, first_of(step), work.end, thread, keep);
      copy_tile<decay_chunk, D, Shape::threads>(tile + Shape::tile_bytes, v, first_of(step), work.end, thread,
                                                keep);
    }
    ptx::copies_commit();
  };
  const auto load_decay = [&](int step) {
    return step < work.chunks ? load_log_decay(a, log_decay, first_of(step), work.end, lane)
                              : float2{0.0f, 0.0f};
  };
  ptx::let_next_kernel_begin();
  for (int step = 0; step < stages - 1; ++step) load(step);
  float2 next_decay{};
  if (warp == 0) {
    sum_decays(decays[0], load_decay(0), lane);
    next_decay = load_decay(1);
  }

  float state[D / 2] = {};
  float after = 0.0f;  // logarithm of the decay from the end of the chunk to the end of the segment
  for (int step = 0; step < work.chunks; ++step) {
    ptx::copies_wait<stages - 2>();
    __syncthreads();
    load(step + stages - 1);
    if (warp == 0) {
      sum_decays(decays[(step + 1) % 2], next_decay, lane);
      next_decay = load_decay(step + 2);
    }
    const std::uint32_t k_tile = tiles + (step % stages) * 2 * Shape::tile_bytes,
                        v_tile = k_tile + Shape::tile_bytes;
    const DecaySoFar* decay = decays[step % 2];
    const DecaySoFar whole = decay[decay_chunk - 1];
#pragma unroll
    for (int i = 0; i < decay_chunk / 16; ++i) {
      std::uint32_t values[4];
      load_left_transposed<Swizzled<decay_chunk>>(values, v_tile, 16 * i, 2 * warp, lane);
      float weight[4];
#pragma unroll
      for (int t = 0; t < 4; ++t) {
        const DecaySoFar here = decay[16 * i + 2 * (lane % 4) + t % 2 + 8 * (t / 2)];
        weight[t] = here.zeros == whole.zeros ? ptx::exp2_approximate(whole.log - here.log + after) : 0.0f;
      }
      weigh_tokens<T>(values, values, {weight[0], weight[1]}, {weight[2], weight[3]});
#pragma unroll
      for (int j = 0; j < D / 16; ++j) {
        std::uint32_t b[4];
        load_right_transposed<Swizzled<decay_chunk>>(b, k_tile, 16 * i, 2 * j, lane);
        ptx::mma<T>(&state[8 * j], values, b[0], b[1]);
        ptx::mma<T>(&state[8 * j + 4], values, b[2], b[3]);
      }
    }
    after = whole.zeros > 0.0f ? -INFINITY : after + whole.log;
  }
  ptx::copies_wait<0>();
  write_segment_state<D>(segment_state<D>(a, work.row, work.segment), state, thread);
  if (thread < D) segment_decay<D>(a, work.row, work.segment)[thread] = ptx::exp2_approximate(after);
}

/// Outputs and the final state. Grid: heads of all batches, segments.
template <typename T, int D>
__global__ __launch_bounds__(2 * D, 1) void decay_scalar_outputs(const DecayArguments<T> a) {
  using Shape = DecayMma<D>;
  constexpr int stages = Shape::output_stages, tile_bytes = Shape::tile_bytes;
  __shared__ DecaySoFar decays[2][decay_chunk];
  extern __shared__ unsigned char raw_shared[];
  const std::uint32_t tiles = (ptx::shared_address(raw_shared) + 1023u) & ~1023u;
  const std::uint32_t p_tile = tiles + stages * 3 * tile_bytes;
  unsigned char* const bytes = raw_shared + (tiles - ptx::shared_address(raw_shared));
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, group = lane / 4,
            pair = 2 * (lane % 4);
  const DecayWork work = decay_work(a, blockIdx.x, blockIdx.y);
  const Head<const T> q = a.q.at(work.batch, work.head), k = a.k.at(work.batch, work.head),
                      v = a.v.at(work.batch, work.head);
  const Head<T> o = a.o.at(work.batch, work.head);
  const Head<const float> log_decay = a.log_decay.at(work.batch, work.head);

  const auto first_of = [&](int chunk) { return work.first + chunk * decay_chunk; };
  const auto load = [&](int chunk) {
    if (chunk < work.chunks) {
      const std::uint32_t tile = tiles + (chunk % stages) * 3 * tile_bytes;
      for (int i = 0; i < 3; ++i) {
        copy_tile<decay_chunk, D, Shape::threads>(tile + i * tile_bytes,
                                                  i == 0   ? q
                                                  : i == 1 ? k
                                                           : v,
                                                  first_of(chunk), work.end, thread, ptx::Keep::briefly);
      }
    }
    ptx::copies_commit();
  };
  const auto load_decay = [&](int chunk) {
    return chunk < work.chunks ? load_log_decay(a, log_decay, first_of(chunk), work.end, lane)
                               : float2{0.0f, 0.0f};
  };
  /// The output of a chunk lies where its queries lay.
  const auto write = [&](int chunk) {
    write_tile<decay_chunk, D, Shape::threads>(bytes + (chunk % stages) * 3 * tile_bytes, o, first_of(chunk),
                                               work.end, thread);
  };
  for (int chunk = 0; chunk < stages - 1; ++chunk) load(chunk);
  float2 next_decay{};
  if (warp == 0) {
    sum_decays(decays[0], load_decay(0), lane);
    next_decay = load_decay(1);
  }
  float state[D / 2];
  ptx::wait_for_previous_kernel();
  state_before<D>(state, a, work, thread);

  // Scores: each warp takes 16 queries and 16 * score_blocks keys.
  constexpr int score_blocks = 16 / Shape::warps;
  const int score_row = 16 * (warp / (4 / score_blocks)),
            score_column = 16 * score_blocks * (warp % (4 / score_blocks));

  for (int chunk = 0; chunk < work.chunks; ++chunk) {
    ptx::copies_wait<stages - 2>();
    __syncthreads();
    if (chunk > 0) write(chunk - 1);
    load(chunk + stages - 1);
    if (warp == 0) {
      sum_decays(decays[(chunk + 1) % 2], next_decay, lane);
      next_decay = load_decay(chunk + 2);
    }
    const std::uint32_t q_tile = tiles + (chunk % stages) * 3 * tile_bytes, k_tile = q_tile + tile_bytes,
                        v_tile = k_tile + tile_bytes;
    const DecaySoFar* decay = decays[chunk % 2];

    if (score_column <= score_row) {
      float s[8 * score_blocks] = {};
#pragma unroll
      for (int i = 0; i < D / 16; ++i) {
        std::uint32_t left[4];
        load_left<Swizzled<decay_chunk>>(left, q_tile, score_row, 2 * i, lane);
#pragma unroll
        for (int j = 0; j < score_blocks; ++j) {
          std::uint32_t b[4];
          load_right<Swizzled<decay_chunk>>(b, k_tile, score_column + 16 * j, 2 * i, lane);
          ptx::mma<T>(&s[8 * j], left, b[0], b[1]);
          ptx::mma<T>(&s[8 * j + 4], left, b[2], b[3]);
        }
      }
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int row = score_row + group + 8 * r;
        const DecaySoFar to = decay[row];
#pragma unroll
        for (int j = 0; j < 2 * score_blocks; ++j) {
          float p[2];
#pragma unroll
          for (int c = 0; c < 2; ++c) {
            const int column = score_column + 8 * j + pair + c;
            p[c] = column <= row ? s[4 * j + 2 * r + c] * decay_between(decay[column], to) * a.scale : 0.0f;
          }
          *reinterpret_cast<std::uint32_t*>(bytes + (p_tile - tiles) +
                                            Swizzled<decay_chunk>::offset(row, score_column / 8 + j) +
                                            pair * 2) = Pair<T>::pack(p[0], p[1]);
        }
      }
    }

    float out[decay_chunk / 2] = {};  // 16 values x 64 tokens
#pragma unroll
    for (int i = 0; i < D / 16; ++i) {
      std::uint32_t left[4];
      pack_operand<T>(left, &state[8 * i]);
#pragma unroll
      for (int j = 0; j < decay_chunk / 16; ++j) {
        std::uint32_t b[4];
        load_right<Swizzled<decay_chunk>>(b, q_tile, 16 * j, 2 * i, lane);
        ptx::mma<T>(&out[8 * j], left, b[0], b[1]);
        ptx::mma<T>(&out[8 * j + 4], left, b[2], b[3]);
      }
    }
#pragma unroll
    for (int j = 0; j < decay_chunk / 8; ++j) {
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        const float weight = decay_from_start(decay[8 * j + pair + c]) * a.scale;
        out[4 * j + c] *= weight;
        out[4 * j + 2 + c] *= weight;
      }
    }
    __syncthreads();  // the weighted scores are written, the queries are read

    const DecaySoFar whole = decay[decay_chunk - 1];
    const float kept = decay_from_start(whole);
#pragma unroll
    for (int i = 0; i < D / 2; ++i) state[i] *= kept;
#pragma unroll
    for (int i = 0; i < decay_chunk / 16; ++i) {
      std::uint32_t values[4];
      load_left_transposed<Swizzled<decay_chunk>>(values, v_tile, 16 * i, 2 * warp, lane);
#pragma unroll
      for (int j = i; j < decay_chunk / 16; ++j) {
        std::uint32_t b[4];
        load_right<Swizzled<decay_chunk>>(b, p_tile, 16 * j, 2 * i, lane);
        ptx::mma<T>(&out[8 * j], values, b[0], b[1]);
        ptx::mma<T>(&out[8 * j + 4], values, b[2], b[3]);
      }
      const DecaySoFar* here = decay + 16 * i + pair;
      weigh_tokens<T>(values, values, {decay_between(here[0], whole), decay_between(here[1], whole)},
                      {decay_between(here[8], whole), decay_between(here[9], whole)});
#pragma unroll
      for (int j = 0; j < D / 16; ++j) {
        std::uint32_t b[4];
        load_right_transposed<Swizzled<decay_chunk>>(b, k_tile, 16 * i, 2 * j, lane);
        ptx::mma<T>(&state[8 * j], values, b[0], b[1]);
        ptx::mma<T>(&state[8 * j + 4], values, b[2], b[3]);
      }
    }
#pragma unroll
    for (int j = 0; j < decay_chunk / 8; ++j) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const std::uint32_t transposed =
            ptx::transpose(Pair<T>::pack(out[4 * j + 2 * r], out[4 * j + 2 * r + 1]));
        *reinterpret_cast<std::uint32_t*>(bytes + (q_tile - tiles) +
                                          Swizzled<decay_chunk>::offset(8 * j + group, 2 * warp + r) +
                                          pair * 2) = transposed;
      }
    }
  }
  ptx::copies_wait<0>();
  __syncthreads();
  write(work.chunks - 1);
  write_final_state<D>(state, a, work, thread);
}

}  // namespace etalon::fast::cuda
