/// \file
/// Attention, second rung: Hopper's tensor core instructions and copy engine, scheduled as in
/// FlashAttention-3 \cite shah2024flashattention3.
///
/// One warp of a block only starts copies. Each of two or three consumer warpgroups keeps 64 queries and
/// walks over the keys 128 at a time. Two things keep the tensor cores busy while exponentials are computed:
/// within a warpgroup, the scores of the next tile and the previous tile's product with v are under way
/// during a softmax; between warpgroups, named barriers make one issue its products while another is in its
/// softmax.
#pragma once

#include "fast/cuda/attention.cuh"
#include "fast/cuda/wgmma.cuh"

namespace etalon::fast::cuda {

template <int D>
struct AttentionWgmma {
  static constexpr int consumers = D == 128 ? 2 : 3;
  static constexpr int queries = 64 * consumers, keys = 128, stages = D == 128 ? 2 : 4;
  static constexpr int threads = 128 * (consumers + 1);
  static constexpr int consumer_registers = D == 128 ? 240 : 160, producer_registers = D == 128 ? 24 : 32;
  static constexpr int q_bytes = queries * D * 2, k_bytes = keys * D * 2;
  static constexpr int shared_bytes = q_bytes + 2 * stages * k_bytes + 1024 + 256;
};

/// Turns: whether the warpgroups take turns in issuing their products.
template <typename T, int D, bool Turns>
__global__ __launch_bounds__(AttentionWgmma<D>::threads,
                             1) void attention_wgmma(const AttentionArguments<T> a,
                                                     const __grid_constant__ CUtensorMap q_map,
                                                     const __grid_constant__ CUtensorMap k_map,
                                                     const __grid_constant__ CUtensorMap v_map) {
#if ETALON_HOPPER
  using Shape = AttentionWgmma<D>;
  using wgmma::Major;
  constexpr int stages = Shape::stages;
  extern __shared__ unsigned char raw_shared[];
  const std::uint32_t q_tile = (ptx::shared_address(raw_shared) + 1023u) & ~1023u;
  const std::uint32_t k_tiles = q_tile + Shape::q_bytes, v_tiles = k_tiles + stages * Shape::k_bytes;
  const std::uint32_t barriers = v_tiles + stages * Shape::k_bytes;
  const std::uint32_t q_full = barriers;
  const auto k_full = [&](int s) { return barriers + 8 + 8 * s; };
  const auto v_full = [&](int s) { return barriers + 8 + 8 * (stages + s); };
  const auto k_empty = [&](int s) { return barriers + 8 + 8 * (2 * stages + s); };
  const auto v_empty = [&](int s) { return barriers + 8 + 8 * (3 * stages + s); };

  const int thread = threadIdx.x, lane = thread % 32, warpgroup = thread / 128;
  if (thread == 0) {
    ptx::mbarrier_init(q_full, 1);
    for (int s = 0; s < stages; ++s) {
      ptx::mbarrier_init(k_full(s), 1);
      ptx::mbarrier_init(v_full(s), 1);
      ptx::mbarrier_init(k_empty(s), 4 * Shape::consumers);
      ptx::mbarrier_init(v_empty(s), 4 * Shape::consumers);
    }
    ptx::mbarrier_init_fence();
  }
  __syncthreads();

  const int tiles = (a.queries + Shape::queries - 1) / Shape::queries;
  const AttentionWork work = attention_work(a, blockIdx.x, tiles);
  const int first_query = work.tile * Shape::queries;
  const int seen = visible_keys(a, min(first_query + Shape::queries, a.queries));
  const int steps = (seen + Shape::keys - 1) / Shape::keys;

  if (warpgroup == 0) {
    wgmma::give_registers<Shape::producer_registers>();
    if (thread == 0 && steps > 0) {
      const int key_head = work.head / a.heads_of_a_key;
      ptx::mbarrier_arrive_expect(q_full, Shape::q_bytes);
      for (int panel = 0; panel < D / 64; ++panel) {
        ptx::tensor_load(q_tile + panel * Shape::queries * 128, q_map, q_full, 64 * panel, work.head,
                         first_query, work.batch, ptx::Keep::briefly);
      }
      for (int step = 0; step < steps; ++step) {
        const int stage = step % stages, round = step / stages, key = (steps - 1 - step) * Shape::keys;
        if (round > 0) ptx::mbarrier_wait(k_empty(stage), (round - 1) & 1);
        ptx::mbarrier_arrive_expect(k_full(stage), Shape::k_bytes);
        for (int panel = 0; panel < D / 64; ++panel) {
          ptx::tensor_load(k_tiles + stage * Shape::k_bytes + panel * Shape::keys * 128, k_map, k_full(stage),
                           64 * panel, key_head, key, work.batch, ptx::Keep::normal);
        }
        if (round > 0) ptx::mbarrier_wait(v_empty(stage), (round - 1) & 1);
        ptx::mbarrier_arrive_expect(v_full(stage), Shape::k_bytes);
        for (int panel = 0; panel < D / 64; ++panel) {
          ptx::tensor_load(v_tiles + stage * Shape::k_bytes + panel * Shape::keys * 128, v_map, v_full(stage),
                           64 * panel, key_head, key, work.batch, ptx::Keep::normal);
        }
      }
    }
  } else {
    wgmma::take_registers<Shape::consumer_registers>();
    const int consumer = warpgroup - 1, warp = (thread - 128) / 32;  // among the consumers
    const int query = first_query + 16 * warp;
    const int own = 1 + consumer, next = 1 + (consumer + 1) % Shape::consumers;  // named barriers

    float s[Shape::keys / 2], o[D / 2];
    std::uint32_t p[Shape::keys / 16][4];
    SoftmaxRows rows;
    float factor[2];
#pragma unroll
    for (float& x : o) x = 0.0f;

    const auto scores = [&](int stage) {
#pragma unroll
      for (int i = 0; i < D / 16; ++i) {
        const std::uint32_t left =
            q_tile + (i / 4) * Shape::queries * 128 + consumer * 64 * 128 + (i % 4) * 32;
        const std::uint32_t right =
            k_tiles + stage * Shape::k_bytes + (i / 4) * Shape::keys * 128 + (i % 4) * 32;
        wgmma::Product<T, Shape::keys>::template shared<Major::summed, Major::summed>(
            s, wgmma::descriptor(left), wgmma::descriptor(right), i > 0);
      }
      wgmma::commit();
    };
    const auto weights_times_values = [&](int stage) {
#pragma unroll
      for (int i = 0; i < Shape::keys / 16; ++i) {
        const std::uint32_t right = v_tiles + stage * Shape::k_bytes + i * 16 * 128;
        wgmma::Product<T, D>::template registers<Major::other>(
            o, p[i], wgmma::descriptor(right, Shape::keys * 128), 1);
      }
      wgmma::commit();
    };
    const auto release = [&](std::uint32_t barrier) {
      if (lane == 0) ptx::mbarrier_arrive(barrier);
    };
    const auto softmax = [&](int step) {
      if (a.negative) {
#pragma unroll
        for (float& x : s) x = -x;
      }
      const int key = (steps - 1 - step) * Shape::keys;
      if (key + Shape::keys > visible_keys(a, query + 1)) hide_keys(s, a, query, key, lane);
      rows.step(s, factor, a.scale_log2);
    };
    const auto pack = [&] {
#pragma unroll
      for (int i = 0; i < Shape::keys / 16; ++i) pack_operand<T>(p[i], &s[8 * i]);
    };

    if (steps > 0) {
      if (Turns && consumer == Shape::consumers - 1) ptx::barrier_arrive(next, 256);
      ptx::mbarrier_wait(q_full, 0);
      ptx::mbarrier_wait(k_full(0), 0);
      wgmma::pin(s);
      wgmma::fence();
      scores(0);
      wgmma::wait<0>();
      wgmma::pin(s);
      release(k_empty(0));
      softmax(0);
      pack();
      for (int step = 1; step < steps; ++step) {
        const int stage = step % stages, before = (step - 1) % stages;
        ptx::mbarrier_wait(k_full(stage), (step / stages) & 1);
        if (Turns) ptx::barrier_sync(own, 256);
        wgmma::pin(s);
        wgmma::pin(o);
        wgmma::pin(p);
        wgmma::fence();
        scores(stage);
        ptx::mbarrier_wait(v_full(before), ((step - 1) / stages) & 1);
        weights_times_values(before);
        if (Turns) ptx::barrier_arrive(next, 256);
        wgmma::wait<1>();
        wgmma::pin(s);
        release(k_empty(stage));
        softmax(step);
        wgmma::wait<0>();
        wgmma::pin(o);
        wgmma::pin(p);
        release(v_empty(before));
#pragma unroll
        for (int j = 0; j < D / 2; ++j) o[j] *= factor[(j / 2) % 2];
        pack();
      }
      const int last = (steps - 1) % stages;
      ptx::mbarrier_wait(v_full(last), ((steps - 1) / stages) & 1);
      wgmma::pin(o);
      wgmma::pin(p);
      wgmma::fence();
      weights_times_values(last);
      wgmma::wait<0>();
      wgmma::pin(o);
      if (Turns && consumer == 0) ptx::barrier_sync(own, 256);  // the last turn, which nobody takes
    }

    float inverse[2], log_sum[2];
    rows.finish(inverse, log_sum, a.scale_log2);
    // Only this warpgroup reads its queries, and it has finished: their place takes its output.
#pragma unroll
    for (int j = 0; j < D / 16; ++j) {
      const std::uint32_t block[4] = {Pair<T>::pack(o[8 * j] * inverse[0], o[8 * j + 1] * inverse[0]),
                                      Pair<T>::pack(o[8 * j + 2] * inverse[1], o[8 * j + 3] * inverse[1]),
                                      Pair<T>::pack(o[8 * j + 4] * inverse[0], o[8 * j + 5] * inverse[0]),
                                      Pair<T>::pack(o[8 * j + 6] * inverse[1], o[8 * j + 7] * inverse[1])};
      ptx::store_matrices(
          q_tile + Swizzled<Shape::queries>::offset(16 * warp + (lane & 15), 2 * j + (lane >> 4)), block);
    }
    if (a.log_sum.data != nullptr && lane % 4 == 0) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int row = query + lane / 4 + 8 * r;
        if (row < a.queries) *a.log_sum.at(work.batch, work.head).row(row) = log_sum[r];
      }
    }
    ptx::barrier_sync(8 + consumer, 128);
    const unsigned char* tile = raw_shared + (q_tile - ptx::shared_address(raw_shared));
    const Head<T> to = a.o.at(work.batch, work.head);
#pragma unroll
    for (int i = 0; i < 64 * (D / 8) / 128; ++i) {
      const int index = (thread & 127) + i * 128, row = 64 * consumer + index / (D / 8),
                piece = index % (D / 8);
      const uint4 value =
          *reinterpret_cast<const uint4*>(tile + Swizzled<Shape::queries>::offset(row, piece));
      if (first_query + row < a.queries) {
        __stcs(reinterpret_cast<uint4*>(to.row(first_query + row) + piece * 8), value);
      }
    }
  }
#endif
}

}  // namespace etalon::fast::cuda
