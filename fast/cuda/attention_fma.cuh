/// \file
/// Attention for float32 storage: multiply-adds in float32, for any device from sm_80 on. Tensor cores would
/// round what they multiply to 11 bits.
///
/// A block of 4 warps keeps 64 queries and walks over the keys 32 at a time. Scores are tiles of 4 queries x
/// 4 keys, outputs tiles of 4 queries x D / 8 channels in each thread's registers. A query's 32 scores lie in
/// 8 neighbouring lanes, which also hold its output, so that maxima, sums and weights never leave the warp;
/// the weights pass through shared memory, because every one of the 8 lanes needs all of them. Keys arrive
/// while the values of the tile before are multiplied, values while their scores are made: one buffer for
/// each is enough. Three blocks (D = 128) share a multiprocessor with 228 KiB, two one with 164 KiB.
///
/// Rows that several lanes read at the same time lie 4 numbers more than a multiple of 32 apart, that is, in
/// different banks.
#pragma once

#include "fast/cuda/attention.cuh"
#include "fast/cuda/float_tile.cuh"

namespace etalon::fast::cuda {

template <int D>
struct AttentionFma {
  static constexpr int queries = 64, keys = 32, threads = 128;
  static constexpr int lanes = 8;                 ///< that share a query
  static constexpr int rows = queries / 16;       ///< of each thread, 16 apart
  static constexpr int columns = keys / lanes;    ///< keys of each thread, 8 apart
  static constexpr int pieces = D / (4 * lanes);  ///< of 4 channels of each thread's output, 32 apart
  static constexpr int stride = D + 4;            ///< of queries and keys, in numbers
  static constexpr int weight_stride = keys + 4;
  static constexpr int key_offset = queries * stride, value_offset = key_offset + keys * stride,
                       weight_offset = value_offset + keys * D;  ///< in numbers
  static constexpr int shared_bytes = (weight_offset + queries * weight_stride) * 4;
};

/// `x` += `weight` times `y`.
__device__ __forceinline__ void multiply_add(float4& x, float weight, const float4& y) {
  x.x = fmaf(weight, y.x, x.x);
  x.y = fmaf(weight, y.y, x.y);
  x.z = fmaf(weight, y.z, x.z);
  x.w = fmaf(weight, y.w, x.w);
}

template <int D>
__global__ __launch_bounds__(128, 3) void attention_fma(const AttentionArguments<float> a) {
  using Shape = AttentionFma<D>;
  constexpr int rows = Shape::rows, columns = Shape::columns, pieces = Shape::pieces, keys = Shape::keys;
  extern __shared__ __align__(16) unsigned char raw_shared[];
  float* const q_tile = reinterpret_cast<float*>(raw_shared);
  float* const k_tile = q_tile + Shape::key_offset;
  float* const v_tile = q_tile + Shape::value_offset;
  float* const weights = q_tile + Shape::weight_offset;
  const int thread = threadIdx.x, lane = thread % Shape::lanes, group = thread / Shape::lanes;

  const int tiles = (a.queries + Shape::queries - 1) / Shape::queries;
  const AttentionWork work = attention_work(a, blockIdx.x, tiles);
  const int first_query = work.tile * Shape::queries;
  const int steps = (visible_keys(a, min(first_query + Shape::queries, a.queries)) + keys - 1) / keys;
  const Head<const float> k = a.k.at(work.batch, work.head / a.heads_of_a_key);
  const Head<const float> v = a.v.at(work.batch, work.head / a.heads_of_a_key);
  const auto load_keys = [&](int step) {
    if (step < steps) {
      copy_floats<keys, D, Shape::stride, Shape::threads>(ptx::shared_address(k_tile), k, step * keys, a.keys,
                                                          thread);
    }
    ptx::copies_commit();
  };
  const auto load_values = [&](int step) {
    if (step < steps) {
      copy_floats<keys, D, D, Shape::threads>(ptx::shared_address(v_tile), v, step * keys, a.keys, thread);
    }
    ptx::copies_commit();
  };
  copy_floats<Shape::queries, D, Shape::stride, Shape::threads>(
      ptx::shared_address(q_tile), a.q.at(work.batch, work.head), first_query, a.queries, thread);
  load_keys(0);
  load_values(0);

  float4 o[rows][pieces] = {};
  SoftmaxRow softmax[rows];
  for (int step = 0; step < steps; ++step) {
    ptx::copies_wait<1>();
    __syncthreads();  // the keys are there
    float s[rows][columns] = {};
#pragma unroll(D == 64 ? 2 : 1)
    for (int i = 0; i < D; i += 4) {
      float4 x[rows], y[columns];
#pragma unroll
      for (int r = 0; r < rows; ++r) x[r] = load_four(q_tile + (group + 16 * r) * Shape::stride + i);
#pragma unroll
      for (int c = 0; c < columns; ++c) y[c] = load_four(k_tile + (lane + 8 * c) * Shape::stride + i);
#pragma unroll
      for (int r = 0; r < rows; ++r) {
#pragma unroll
        for (int c = 0; c < columns; ++c) {
          s[r][c] = fmaf(x[r].x, y[c].x, s[r][c]);
          s[r][c] = fmaf(x[r].y, y[c].y, s[r][c]);
          s[r][c] = fmaf(x[r].z, y[c].z, s[r][c]);
          s[r][c] = fmaf(x[r].w, y[c].w, s[r][c]);
        }
      }
    }
#pragma unroll
    for (int r = 0; r < rows; ++r) {
      const int seen = visible_keys(a, first_query + group + 16 * r + 1) - step * keys - lane;
      float highest = softmax[r].maximum;
#pragma unroll
      for (int c = 0; c < columns; ++c) {
        s[r][c] = 8 * c < seen ? (a.negative ? -s[r][c] : s[r][c]) : -INFINITY;
        highest = fmaxf(highest, s[r][c]);
      }
      float shift;
      const float factor = softmax[r].raise(largest_of_lanes<Shape::lanes>(highest), a.scale_log2, shift);
      float part = 0.0f;
#pragma unroll
      for (int c = 0; c < columns; ++c) {
        const float weight = ptx::exp2_approximate(fmaf(s[r][c], a.scale_log2, -shift));
        weights[(group + 16 * r) * Shape::weight_stride + lane + 8 * c] = weight;
        part += weight;
      }
      softmax[r].sum = fmaf(softmax[r].sum, factor, part);
#pragma unroll
      for (int p = 0; p < pieces; ++p) {
        o[r][p].x *= factor, o[r][p].y *= factor, o[r][p].z *= factor, o[r][p].w *= factor;
      }
    }
    ptx::copies_wait<0>();
    __syncthreads();  // the values and the weights are there, the keys are read
    load_keys(step + 1);
#pragma unroll(D == 64 ? 2 : 1)
    for (int m = 0; m < keys; m += 4) {
      float4 x[rows];
#pragma unroll
      for (int r = 0; r < rows; ++r) x[r] = load_four(weights + (group + 16 * r) * Shape::weight_stride + m);
#pragma unroll
      for (int p = 0; p < pieces; ++p) {
        const float* const value = v_tile + m * D + 4 * lane + 32 * p;
        const float4 y[4] = {load_four(value), load_four(value + D), load_four(value + 2 * D),
                             load_four(value + 3 * D)};
#pragma unroll
        for (int r = 0; r < rows; ++r) {
          multiply_add(o[r][p], x[r].x, y[0]);
          multiply_add(o[r][p], x[r].y, y[1]);
          multiply_add(o[r][p], x[r].z, y[2]);
          multiply_add(o[r][p], x[r].w, y[3]);
        }
      }
    }
    __syncthreads();  // the values and the weights are read
    load_values(step + 1);
  }
  ptx::copies_wait<0>();

#pragma unroll
  for (int r = 0; r < rows; ++r) {
    const int query = first_query + group + 16 * r;
    softmax[r].sum = sum_of_lanes<Shape::lanes>(softmax[r].sum);
    float inverse, log_sum;
    softmax[r].finish(inverse, log_sum, a.scale_log2);
    if (query >= a.queries) continue;
    float* const to = a.o.at(work.batch, work.head).row(query) + 4 * lane;
#pragma unroll
    for (int p = 0; p < pieces; ++p) {
      const float4 x = o[r][p];
      __stcs(reinterpret_cast<float4*>(to + 32 * p),
             make_float4(x.x * inverse, x.y * inverse, x.z * inverse, x.w * inverse));
    }
    if (a.log_sum.data != nullptr && lane == 0) *a.log_sum.at(work.batch, work.head).row(query) = log_sum;
  }
}

}  // namespace etalon::fast::cuda
