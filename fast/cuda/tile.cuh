/// \file
/// Tiles of 16-bit numbers in shared memory and their way into the tensor cores' registers.
///
/// There are two layouts, `Swizzled` and `Padded`. In both, the 8 rows that a matrix load reads lie in
/// different banks.
///
/// A warp's fragments, with group g = lane / 4 and pair p = 2 (lane % 4): an accumulator of 16 x 8 is c[0],
/// c[1] = row g, columns p, p + 1 and c[2], c[3] = row g + 8. Two accumulators side by side, packed, are an
/// operand of 16 x 16, which is how one product's result becomes the next one's input without leaving the
/// registers.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "fast/cuda/ptx.cuh"

namespace etalon::fast::cuda {

/// Panels of 64 columns; a row of a panel is 128 bytes, and the 16-byte pieces of row r are permuted by an
/// exclusive or with r % 8. It is what Hopper's copy engine and tensor cores call the 128-byte swizzle. A
/// tile begins at a multiple of 1024 bytes.
template <int Rows>
struct Swizzled {
  /// Byte offset of the 16-byte piece `piece` (columns 8 piece to 8 piece + 7) of a row.
  static __device__ __forceinline__ int offset(int row, int piece) {
    return (piece >> 3) * Rows * 128 + row * 128 + (((piece ^ row) & 7) << 4);
  }
};

/// Rows follow each other with 16 bytes between them, so that from row to row addresses grow by a constant.
template <int Columns>
struct Padded {
  static constexpr int row_bytes = 2 * Columns + 16;
  static __device__ __forceinline__ int offset(int row, int piece) { return row * row_bytes + piece * 16; }
};

/// Two numbers of T in one register.
template <typename T>
struct Pair;

template <>
struct Pair<__nv_bfloat16> {
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  }
  static __device__ __forceinline__ float2 unpack(std::uint32_t pair) {
    return {__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u)};
  }
};

template <>
struct Pair<__half> {
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  }
  static __device__ __forceinline__ float2 unpack(std::uint32_t pair) {
    return __half22float2(reinterpret_cast<const __half2&>(pair));
  }
};

/// The operand of 16 x 16 that two neighbouring accumulators (8 floats) are.
template <typename T>
__device__ __forceinline__ void pack_operand(std::uint32_t (&a)[4], const float* c) {
  a[0] = Pair<T>::pack(c[0], c[1]);
  a[1] = Pair<T>::pack(c[2], c[3]);
  a[2] = Pair<T>::pack(c[4], c[5]);
  a[3] = Pair<T>::pack(c[6], c[7]);
}

// Each loads 16 x 16 numbers. `row` and `piece` are the upper left corner in the tile.

/// Left operand from a tile [m][k].
template <typename Layout>
__device__ __forceinline__ void load_left(std::uint32_t (&a)[4], std::uint32_t tile, int row, int piece,
                                          int lane) {
  ptx::load_matrices(a, tile + Layout::offset(row + (lane & 15), piece + (lane >> 4)));
}

/// Left operand from a tile [k][m]; `row` counts k.
template <typename Layout>
__device__ __forceinline__ void load_left_transposed(std::uint32_t (&a)[4], std::uint32_t tile, int row,
                                                     int piece, int lane) {
  ptx::load_matrices_transposed(
      a, tile + Layout::offset(row + (lane & 7) + ((lane >> 4) << 3), piece + ((lane >> 3) & 1)));
}

/// Right operands for two accumulators side by side (b[0], b[1] and b[2], b[3]) from a tile [n][k].
template <typename Layout>
__device__ __forceinline__ void load_right(std::uint32_t (&b)[4], std::uint32_t tile, int row, int piece,
                                           int lane) {
  ptx::load_matrices(b,
                     tile + Layout::offset(row + (lane & 7) + ((lane >> 4) << 3), piece + ((lane >> 3) & 1)));
}

/// The same from a tile [k][n]; `row` counts k.
template <typename Layout>
__device__ __forceinline__ void load_right_transposed(std::uint32_t (&b)[4], std::uint32_t tile, int row,
                                                      int piece, int lane) {
  ptx::load_matrices_transposed(b, tile + Layout::offset(row + (lane & 15), piece + (lane >> 4)));
}

/// One head of a tensor [batch, time, head, dim] in global memory.
template <typename T>
struct Head {
  T* data;
  std::int64_t stride;  ///< from a token to the next, in elements
  __device__ __forceinline__ T* row(std::int64_t time) const { return data + time * stride; }
};

/// Strides of a tensor [batch, time, head, dim], and its data.
template <typename T>
struct View {
  T* data = nullptr;
  std::int64_t batch = 0, time = 0, head = 0;  ///< strides in elements
  __device__ __forceinline__ Head<T> at(std::int64_t b, std::int64_t h) const {
    return {data + b * batch + h * head, time};
  }
};

/// Starts the copy of `Rows` tokens from `first` on into a tile; tokens at or after `end` become 0.
template <int Rows, int Columns, int Threads, typename Layout = Swizzled<Rows>, typename T>
__device__ __forceinline__ void copy_tile(std::uint32_t tile, const Head<T>& from, int first, int end,
                                          int thread, ptx::Keep keep = ptx::Keep::normal) {
  constexpr int pieces = Columns / 8;
#pragma unroll
  for (int i = 0; i < Rows * pieces / Threads; ++i) {
    const int index = thread + i * Threads, row = index / pieces, piece = index % pieces;
    const bool valid = first + row < end;
    ptx::copy_16(tile + Layout::offset(row, piece), from.row(valid ? first + row : 0) + piece * 8, valid,
                 keep);
  }
}

/// Writes a tile's tokens before `end` to global memory. Piece by piece the same threads as in `copy_tile`,
/// so that a thread may begin to overwrite its pieces afterwards without a barrier.
template <int Rows, int Columns, int Threads, typename Layout = Swizzled<Rows>, typename T>
__device__ __forceinline__ void write_tile(const unsigned char* tile, const Head<T>& to, int first, int end,
                                           int thread) {
  constexpr int pieces = Columns / 8;
#pragma unroll
  for (int i = 0; i < Rows * pieces / Threads; ++i) {
    const int index = thread + i * Threads, row = index / pieces, piece = index % pieces;
    const uint4 value = *reinterpret_cast<const uint4*>(tile + Layout::offset(row, piece));
    if (first + row < end) __stcs(reinterpret_cast<uint4*>(to.row(first + row) + piece * 8), value);
  }
}

}  // namespace etalon::fast::cuda
