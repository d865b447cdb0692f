/// \file
/// Outputs of core 2 with no decay, a constant for each head or a number for each token; second rung, for
/// Hopper.
///
/// The same products as `decay_scalar_mma.cuh`. One warp starts copies, one sums decays, and D / 64
/// warpgroups multiply, each with 64 columns of v: a warpgroup reads an operand from shared memory once where
/// the first rung's four warps read it four times, and that traffic was what the first rung would wait for.
#pragma once

#include "fast/cuda/decay.cuh"
#include "fast/cuda/wgmma.cuh"

namespace etalon::fast::cuda {

template <int D>
struct DecayWgmma {
  static constexpr int consumers = D / 64, threads = 128 * (consumers + 1), stages = 3;
  static constexpr int blocks = D == 64 ? 2 : 1;  ///< on a multiprocessor
  static constexpr int consumer_registers = D == 64 ? 208 : 232, producer_registers = 40;
  static constexpr int panel_bytes = decay_chunk * 128, tile_bytes = consumers * panel_bytes;
  static constexpr int stage_bytes = 3 * tile_bytes;
  static constexpr int decay_bytes = decay_chunk * static_cast<int>(sizeof(DecaySoFar));
  static constexpr int shared_bytes =
      stages * (stage_bytes + decay_bytes) + 2 * panel_bytes + 2 * tile_bytes + 16 * stages + 1024;
};

/// Outputs and the final state. Grid: heads of all batches, segments.
template <typename T, int D>
__global__ __launch_bounds__(DecayWgmma<D>::threads, DecayWgmma<D>::blocks) void decay_scalar_outputs_wgmma(
    const DecayArguments<T> a, const __grid_constant__ CUtensorMap q_map,
    const __grid_constant__ CUtensorMap k_map, const __grid_constant__ CUtensorMap v_map,
    const __grid_constant__ CUtensorMap o_map) {
#if ETALON_HOPPER
  using Shape = DecayWgmma<D>;
  using wgmma::Major;
  constexpr int stages = Shape::stages, panel_bytes = Shape::panel_bytes, tile_bytes = Shape::tile_bytes;
  extern __shared__ unsigned char raw_shared[];
  const std::uint32_t tiles = (ptx::shared_address(raw_shared) + 1023u) & ~1023u;
  const std::uint32_t p_tiles = tiles + stages * Shape::stage_bytes, o_tiles = p_tiles + 2 * panel_bytes;
  const std::uint32_t decays_at = o_tiles + 2 * tile_bytes,
                      barriers = decays_at + stages * Shape::decay_bytes;
  DecaySoFar* const decays =
      reinterpret_cast<DecaySoFar*>(raw_shared + (decays_at - ptx::shared_address(raw_shared)));
  const auto full = [&](int stage) { return barriers + 16 * stage; };
  const auto empty = [&](int stage) { return barriers + 16 * stage + 8; };

  const int thread = threadIdx.x, lane = thread % 32;
  if (thread == 0) {
    for (int stage = 0; stage < stages; ++stage) {
      ptx::mbarrier_init(full(stage), 1 + 32);  // the copies' thread, the decays' warp
      ptx::mbarrier_init(empty(stage), 128 * Shape::consumers);
    }
    ptx::mbarrier_init_fence();
  }
  __syncthreads();
  const DecayWork work = decay_work(a, blockIdx.x, blockIdx.y);

  if (thread < 128) {
    wgmma::give_registers<Shape::producer_registers>();
    if (thread == 0) {
      for (int chunk = 0; chunk < work.chunks; ++chunk) {
        const int stage = chunk % stages, round = chunk / stages, first = work.first + chunk * decay_chunk;
        if (round > 0) ptx::mbarrier_wait(empty(stage), (round - 1) & 1);
        ptx::mbarrier_arrive_expect(full(stage), Shape::stage_bytes);
        const std::uint32_t tile = tiles + stage * Shape::stage_bytes;
        for (int panel = 0; panel < Shape::consumers; ++panel) {
          ptx::tensor_load(tile + panel * panel_bytes, q_map, full(stage), 64 * panel, work.head, first,
                           work.batch, ptx::Keep::briefly);
          ptx::tensor_load(tile + tile_bytes + panel * panel_bytes, k_map, full(stage), 64 * panel, work.head,
                           first, work.batch, ptx::Keep::briefly);
          ptx::tensor_load(tile + 2 * tile_bytes + panel * panel_bytes, v_map, full(stage), 64 * panel,
                           work.head, first, work.batch, ptx::Keep::briefly);
        }
      }
    } else if (thread / 32 == 1) {
      const Head<const float> log_decay = a.log_decay.at(work.batch, work.head);
      float2 next = load_log_decay(a, log_decay, work.first, work.end, lane);
      for (int chunk = 0; chunk < work.chunks; ++chunk) {
        const int stage = chunk % stages, round = chunk / stages, first = work.first + chunk * decay_chunk;
        const float2 here = next;
        next = load_log_decay(a, log_decay, first + decay_chunk, work.end, lane);
        if (round > 0) ptx::mbarrier_wait(empty(stage), (round - 1) & 1);
        sum_decays(decays + stage * decay_chunk, here, lane);
        ptx::mbarrier_arrive(full(stage));
      }
    }
  } else {
    wgmma::take_registers<Shape::consumer_registers>();
    constexpr int score_columns =
        64 / Shape::consumers;  // keys of a chunk that a warpgroup computes the scores of
    const int worker = thread - 128, consumer = worker / 128, warp = (worker / 32) % 4;
    const int group = lane / 4, pair = 2 * (lane % 4);
    float state[D / 2], s[score_columns / 2], out[decay_chunk / 2];
    ptx::wait_for_previous_kernel();
    state_before<D>(state, a, work, worker);

    for (int chunk = 0; chunk < work.chunks; ++chunk) {
      const int stage = chunk % stages, first = work.first + chunk * decay_chunk;
      const std::uint32_t q_tile = tiles + stage * Shape::stage_bytes, k_tile = q_tile + tile_bytes,
                          v_tile = k_tile + tile_bytes, p_tile = p_tiles + (chunk % 2) * panel_bytes,
                          o_panel = o_tiles + (chunk % 2) * tile_bytes + consumer * panel_bytes;
      const DecaySoFar* const decay = decays + stage * decay_chunk;
      ptx::mbarrier_wait(full(stage), (chunk / stages) & 1);

      {
        std::uint32_t left[D / 16][4];
#pragma unroll
        for (int i = 0; i < D / 16; ++i) pack_operand<T>(left[i], &state[8 * i]);
        wgmma::pin(left);
        wgmma::pin(out);
        wgmma::pin(s);
        wgmma::fence();
#pragma unroll
        for (int i = 0; i < D / 16; ++i) {
          const std::uint32_t column = (i / 4) * panel_bytes + (i % 4) * 32;
          wgmma::Product<T, score_columns>::template shared<Major::summed, Major::summed>(
              s, wgmma::descriptor(q_tile + column),
              wgmma::descriptor(k_tile + column + consumer * score_columns * 128), i > 0);
        }
        wgmma::commit();
#pragma unroll
        for (int i = 0; i < D / 16; ++i) {
          const std::uint32_t column = (i / 4) * panel_bytes + (i % 4) * 32;
          wgmma::Product<T, decay_chunk>::template registers<Major::summed>(
              out, left[i], wgmma::descriptor(q_tile + column), i > 0);
        }
        wgmma::commit();
        wgmma::wait<1>();
        wgmma::pin(s);
#pragma unroll
        for (int r = 0; r < 2; ++r) {
          const int row = 16 * warp + group + 8 * r;
          const DecaySoFar to = decay[row];
#pragma unroll
          for (int j = 0; j < score_columns / 8; ++j) {
#pragma unroll
            for (int c = 0; c < 2; ++c) {
              const int column = consumer * score_columns + 8 * j + pair + c;
              float& x = s[4 * j + 2 * r + c];
              x = column <= row ? x * decay_between(decay[column], to) * a.scale : 0.0f;
            }
          }
        }
#pragma unroll
        for (int j = 0; j < score_columns / 16; ++j) {
          std::uint32_t block[4];
          // Rows come first in a store of four matrices as in a left operand.
          pack_operand<T>(block, &s[8 * j]);
          ptx::store_matrices(
              p_tile + Swizzled<decay_chunk>::offset(16 * warp + (lane & 15),
                                                     consumer * score_columns / 8 + 2 * j + (lane >> 4)),
              block);
        }
        ptx::fence_async_proxy();
        ptx::barrier_sync(1, 128 * Shape::consumers);
        wgmma::wait<0>();
        wgmma::pin(out);
        wgmma::pin(left);
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
      wgmma::pin(out);
      wgmma::fence();
#pragma unroll
      for (int i = 0; i < decay_chunk / 16; ++i) {
        wgmma::Product<T, decay_chunk>::template shared<Major::other, Major::summed>(
            out, wgmma::descriptor(v_tile + consumer * panel_bytes + i * 16 * 128),
            wgmma::descriptor(p_tile + i * 32), 1);
      }
      wgmma::commit();
      const DecaySoFar whole = decay[decay_chunk - 1];
      const float kept = decay_from_start(whole);
#pragma unroll
      for (int i = 0; i < D / 2; ++i) state[i] *= kept;
      std::uint32_t values[decay_chunk / 16][4];
#pragma unroll
      for (int i = 0; i < decay_chunk / 16; ++i) {
        std::uint32_t plain[4];
        load_left_transposed<Swizzled<decay_chunk>>(plain, v_tile + consumer * panel_bytes, 16 * i, 2 * warp,
                                                    lane);
        const DecaySoFar* here = decay + 16 * i + pair;
        weigh_tokens<T>(values[i], plain, {decay_between(here[0], whole), decay_between(here[1], whole)},
                        {decay_between(here[8], whole), decay_between(here[9], whole)});
      }
      wgmma::pin(state);
      wgmma::pin(values);
      wgmma::fence();
#pragma unroll
      for (int i = 0; i < decay_chunk / 16; ++i) {
        wgmma::Product<T, D>::template registers<Major::other>(
            state, values[i], wgmma::descriptor(k_tile + i * 16 * 128, panel_bytes), 1);
      }
      wgmma::commit();
      wgmma::wait<1>();
      wgmma::pin(out);
      // The buffer's store before the last has been waited for by the thread that began it, before the
      // barrier above.
#pragma unroll
      for (int j = 0; j < decay_chunk / 16; ++j) {
        std::uint32_t block[4];
        pack_operand<T>(block, &out[8 * j]);
        ptx::store_matrices_transposed(
            o_panel + Swizzled<decay_chunk>::offset(16 * j + (lane & 7) + ((lane >> 4) << 3),
                                                    2 * warp + ((lane >> 3) & 1)),
            block);
      }
      ptx::fence_async_proxy();
      ptx::barrier_sync(2 + consumer, 128);
      if (worker % 128 == 0) {
        ptx::tensor_store(o_map, o_panel, 64 * consumer, work.head, first, work.batch, ptx::Keep::briefly);
        ptx::tensor_store_commit();
        ptx::tensor_store_wait_read<1>();
      }
      wgmma::wait<0>();
      wgmma::pin(state);
      wgmma::pin(values);
      ptx::mbarrier_arrive(empty(stage));
    }
    if (worker % 128 == 0) ptx::tensor_store_wait_read<0>();
    write_final_state<D>(state, a, work, worker);
  }
#endif
}

}  // namespace etalon::fast::cuda
