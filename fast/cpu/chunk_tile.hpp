/// \file
/// The matrix products of the chunked recurrences: C = fade C + A B + A' B' ..., where all matrices are small
/// (tens to hundreds of rows), float32, in scratch memory whose rows and columns are padded, so that no tile
/// is cut.
///
/// A tile of kTileRows x kTileVectors vectors of C stays in registers while every product is added to it;
/// each step loads one row of B and broadcasts one column of A. This is how matrix libraries work inside;
/// what is left out is their packing, because here the operands are packed as they are read.
///
/// Attention has a kernel of its own (tile.hpp). It multiplies columns by factors and wants panels; here rows
/// fade, several products share the registers, triangles are common, and one matrix is the result of a
/// product and the right factor of the next.
///
/// Compiled once for every instruction set (see Highway's foreach_target.h).
#if defined(ETALON_FAST_CPU_CHUNK_TILE_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ETALON_FAST_CPU_CHUNK_TILE_HPP
#undef ETALON_FAST_CPU_CHUNK_TILE_HPP
#else
#define ETALON_FAST_CPU_CHUNK_TILE_HPP
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;
inline constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(Floats()));

// 16 of 32 registers hold sums where a vector has 512 bits, 8 of 16 elsewhere: enough to hide the latency of
// the multiply-adds, and few enough that broadcasts and loads find a register.
inline constexpr std::int64_t kTileRows = std::min<std::int64_t>(kLanes, kLanes >= 16 ? 8 : 4);
inline constexpr int kTileVectors = 2;

/// Which entries of the left factor of a product are meant, seen from the rows of the result. The others are
/// not read, whatever they hold, and what they would have met in the right factor may be infinite or NaN: a
/// token does not see a later one.
enum class Triangle { none, lower, upper };

/// A product A B that is added to a result: entry (r, j) gets the sum of a(r, i) b(i, j) over i < inner.
struct Product {
  const float* a;
  std::ptrdiff_t a_row, a_inner;  ///< strides of A, so that A may be a transpose
  const float* b;
  std::ptrdiff_t b_row;  ///< stride of the rows of B, which are contiguous
  std::int64_t inner;
  Triangle triangle = Triangle::none;  ///< of A: lower has the entries with i <= r, upper those with i >= r
};

/// Where a sum of products goes.
struct Target {
  float* c;
  std::ptrdiff_t row;
  std::int64_t rows;            ///< a multiple of kTileRows
  std::int64_t columns;         ///< a multiple of kLanes
  const float* fade = nullptr;  ///< the sum starts from row r of C times fade[r]; null: from 0
  bool lower = false;           ///< only tiles that touch the lower triangle are wanted
};

/// Adds column i of A times row i of B to rows kFirst to kLast - 1 of a tile. `a` points to the first row of
/// the tile.
template <std::int64_t kFirst, std::int64_t kLast, int kVectors>
HWY_INLINE void accumulate_step(Vector (&sum)[kTileRows][kVectors], const Product& product, const float* a,
                                std::int64_t i, std::int64_t column) {
  const Floats tag;
  Vector b[kVectors];
  for (int v = 0; v < kVectors; ++v)
    b[v] = hn::LoadU(tag, product.b + i * product.b_row + column + v * kLanes);
  for (std::int64_t r = kFirst; r < kLast; ++r) {
    const Vector broadcast = hn::Set(tag, a[r * product.a_row + i * product.a_inner]);
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(broadcast, b[v], sum[r][v]);
  }
}

/// The square of a triangle that the diagonal crosses, from its column kStep on.
template <std::int64_t kStep, bool kLower, int kVectors>
HWY_INLINE void accumulate_diagonal(Vector (&sum)[kTileRows][kVectors], const Product& product,
                                    const float* a, std::int64_t row, std::int64_t column) {
  if constexpr (kStep < kTileRows) {
    if (row + kStep >= product.inner) return;
    accumulate_step<kLower ? kStep : 0, kLower ? kTileRows : kStep + 1>(sum, product, a, row + kStep, column);
    accumulate_diagonal<kStep + 1, kLower>(sum, product, a, row, column);
  }
}

/// Adds the part of a product that belongs to one tile.
template <int kVectors>
HWY_INLINE void accumulate(Vector (&sum)[kTileRows][kVectors], const Product& product, std::int64_t row,
                           std::int64_t column) {
  const float* a = product.a + row * product.a_row;
  std::int64_t first = 0, last = product.inner;
  if (product.triangle == Triangle::lower) last = std::min(row, last);
  if (product.triangle == Triangle::upper) {
    accumulate_diagonal<0, false>(sum, product, a, row, column);
    first = row + kTileRows;
  }
  for (std::int64_t i = first; i < last; ++i) accumulate_step<0, kTileRows>(sum, product, a, i, column);
  if (product.triangle == Triangle::lower) accumulate_diagonal<0, true>(sum, product, a, row, column);
}

template <int kVectors, class... Products>
HWY_INLINE void multiply_tile(const Target& target, std::int64_t row, std::int64_t column,
                              const Products&... products) {
  const Floats tag;
  Vector sum[kTileRows][kVectors];
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = hn::Zero(tag);
      if (target.fade != nullptr) {
        sum[r][v] = hn::Mul(hn::Set(tag, target.fade[row + r]),
                            hn::LoadU(tag, target.c + (row + r) * target.row + column + v * kLanes));
      }
    }
  }
  (accumulate(sum, products, row, column), ...);
  for (std::int64_t r = 0; r < kTileRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sum[r][v], tag, target.c + (row + r) * target.row + column + v * kLanes);
    }
  }
}

/// C = fade C + the sum of the products. A panel of columns of B stays in the nearest cache while the rows
/// pass.
template <class... Products>
HWY_INLINE void multiply(const Target& target, const Products&... products) {
  constexpr std::int64_t kPanel = kTileVectors * kLanes;
  for (std::int64_t column = 0; column < target.columns; column += kPanel) {
    const std::int64_t first = target.lower ? column / kTileRows * kTileRows : 0;
    for (std::int64_t row = first; row < target.rows; row += kTileRows) {
      if (column + kPanel <= target.columns) {
        multiply_tile<kTileVectors>(target, row, column, products...);
      } else {
        multiply_tile<1>(target, row, column, products...);
      }
    }
  }
}

}  // namespace etalon::fast::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
