/// \file
/// Tiles of float32 numbers in shared memory, for kernels without tensor cores.
#pragma once

#include "fast/cuda/tile.cuh"

namespace etalon::fast::cuda {

/// Starts the copy of `Rows` tokens from `first` on, `Columns` numbers each, into rows that lie `Stride`
/// numbers apart; tokens at or after `end` become 0. The same threads copy the same places every time.
template <int Rows, int Columns, int Stride, int Threads>
__device__ __forceinline__ void copy_floats(std::uint32_t tile, const Head<const float>& from, int first,
                                            int end, int thread, ptx::Keep keep = ptx::Keep::normal) {
  constexpr int pieces = Columns / 4;
#pragma unroll
  for (int i = 0; i < (Rows * pieces + Threads - 1) / Threads; ++i) {
    const int index = thread + i * Threads, row = index / pieces, piece = index % pieces;
    if (Rows * pieces % Threads != 0 && index >= Rows * pieces) continue;
    const bool valid = first + row < end;
    const int place = Stride == Columns ? 4 * index : row * Stride + 4 * piece;
    ptx::copy_16(tile + place * 4, from.row(valid ? first + row : 0) + piece * 4, valid, keep);
  }
}

__device__ __forceinline__ float4 load_four(const float* from) {
  return *reinterpret_cast<const float4*>(from);
}

}  // namespace etalon::fast::cuda
