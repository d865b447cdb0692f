/// \file
/// Attention, first rung: FlashAttention-2 \cite dao2023flashattention2 with the warp-wide tensor core
/// instructions that every device from sm_80 on has.
///
/// A block of 8 warps keeps 128 queries, 16 for each warp, and walks over the keys 64 at a time. Scores,
/// weights and the output stay in registers: the accumulator of q k^T is the left operand of the product with
/// v. Keys and values come by asynchronous copies into two buffers.
#pragma once

#include "fast/cuda/attention.cuh"

namespace etalon::fast::cuda {

template <int D>
struct AttentionMma {
  static constexpr int queries = 128, keys = 64, threads = 256;
  static constexpr int q_bytes = queries * D * 2, k_bytes = keys * D * 2;
  static constexpr int shared_bytes = q_bytes + 4 * k_bytes + 1024;
};

template <typename T, int D>
__global__ __launch_bounds__(256, 1) void attention_mma(const AttentionArguments<T> a) {
  using Shape = AttentionMma<D>;
  extern __shared__ unsigned char raw_shared[];
  const std::uint32_t q_tile = (ptx::shared_address(raw_shared) + 1023u) & ~1023u;
  const std::uint32_t buffers = q_tile + Shape::q_bytes;
  const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;

  const int tiles = (a.queries + Shape::queries - 1) / Shape::queries;
  const AttentionWork work = attention_work(a, blockIdx.x, tiles);
  const int first_query = work.tile * Shape::queries, query = first_query + 16 * warp;
  const int seen = visible_keys(a, min(first_query + Shape::queries, a.queries));
  const int steps = (seen + Shape::keys - 1) / Shape::keys;
  const Head<const T> k = a.k.at(work.batch, work.head / a.heads_of_a_key);
  const Head<const T> v = a.v.at(work.batch, work.head / a.heads_of_a_key);

  const auto load_keys = [&](int step) {
    const std::uint32_t buffer = buffers + (step % 2) * 2 * Shape::k_bytes;
    copy_tile<Shape::keys, D, 256>(buffer, k, step * Shape::keys, a.keys, thread);
    copy_tile<Shape::keys, D, 256>(buffer + Shape::k_bytes, v, step * Shape::keys, a.keys, thread);
  };
  copy_tile<Shape::queries, D, 256>(q_tile, a.q.at(work.batch, work.head), first_query, a.queries, thread);
  if (steps > 0) load_keys(0);
  ptx::copies_commit();

  std::uint32_t q[D / 16][4];
  float o[D / 8][4] = {};
  SoftmaxRows rows;
  for (int step = 0; step < steps; ++step) {
    ptx::copies_wait<0>();
    __syncthreads();
    if (step + 1 < steps) load_keys(step + 1);
    ptx::copies_commit();
    if (step == 0) {
#pragma unroll
      for (int i = 0; i < D / 16; ++i)
        load_left<Swizzled<Shape::queries>>(q[i], q_tile, 16 * warp, 2 * i, lane);
    }
    const std::uint32_t k_tile = buffers + (step % 2) * 2 * Shape::k_bytes, v_tile = k_tile + Shape::k_bytes;

    float s[Shape::keys / 2] = {};
#pragma unroll
    for (int i = 0; i < D / 16; ++i) {
#pragma unroll
      for (int j = 0; j < Shape::keys / 16; ++j) {
        std::uint32_t b[4];
        load_right<Swizzled<Shape::keys>>(b, k_tile, 16 * j, 2 * i, lane);
        ptx::mma<T>(&s[8 * j], q[i], b[0], b[1]);
        ptx::mma<T>(&s[8 * j + 4], q[i], b[2], b[3]);
      }
    }
    if (a.negative) {
#pragma unroll
      for (float& x : s) x = -x;
    }
    const int key = step * Shape::keys;
    if (key + Shape::keys > visible_keys(a, query + 1)) hide_keys(s, a, query, key, lane);
    float factor[2];
    rows.step(s, factor, a.scale_log2);
#pragma unroll
    for (int j = 0; j < D / 8; ++j) {
#pragma unroll
      for (int c = 0; c < 4; ++c) o[j][c] *= factor[c / 2];
    }
#pragma unroll
    for (int i = 0; i < Shape::keys / 16; ++i) {
      std::uint32_t p[4];
      pack_operand<T>(p, &s[8 * i]);
#pragma unroll
      for (int j = 0; j < D / 16; ++j) {
        std::uint32_t b[4];
        load_right_transposed<Swizzled<Shape::keys>>(b, v_tile, 16 * i, 2 * j, lane);
        ptx::mma<T>(o[2 * j], p, b[0], b[1]);
        ptx::mma<T>(o[2 * j + 1], p, b[2], b[3]);
      }
    }
  }
  ptx::copies_wait<0>();
  __syncthreads();  // the queries' tile is read; it takes the output

  float inverse[2], log_sum[2];
  rows.finish(inverse, log_sum, a.scale_log2);
  const std::uint32_t shift = q_tile - ptx::shared_address(raw_shared);
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int row = 16 * warp + lane / 4 + 8 * r;
#pragma unroll
    for (int j = 0; j < D / 8; ++j) {
      *reinterpret_cast<std::uint32_t*>(raw_shared + shift + Swizzled<Shape::queries>::offset(row, j) +
                                        (lane % 4) * 4) =
          Pair<T>::pack(o[j][2 * r] * inverse[r], o[j][2 * r + 1] * inverse[r]);
    }
    if (a.log_sum.data != nullptr && lane % 4 == 0 && first_query + row < a.queries) {
      *a.log_sum.at(work.batch, work.head).row(first_query + row) = log_sum[r];
    }
  }
  __syncthreads();
  write_tile<Shape::queries, D, 256>(raw_shared + shift, a.o.at(work.batch, work.head), first_query,
                                     a.queries, thread);
}

}  // namespace etalon::fast::cuda
