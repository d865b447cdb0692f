/// \file
/// Products of small matrices out of registers, which all matrix-like cores of the CPU are made of, for the
/// instruction set that is being compiled. Include it where Highway's headers are included, inside the part
/// that `foreach_target.h` repeats.
///
/// One operation, on float32:
///
///     C[rows x columns] = factor * C + A[rows x depth] B[depth x columns]
///
/// The columns are the lanes of vectors. B is a *panel*: `depth` rows of 1 to kPanelVectors vectors each,
/// aligned and without gaps, and C has rows of as many vectors. A is read one number at a time, so that any
/// layout of it is good: its element (r, k) stands at a[r * row_stride + k * depth_stride]. Transposing A
/// therefore costs nothing, and it needs no padding. Keep the panel within the first-level cache: kPanel *
/// depth * 4 bytes.
///
/// Why these sizes: every step loads kPanelVectors vectors and kRows numbers for kRows * kPanelVectors
/// multiply-adds, which then are what limits the speed, and needs that many registers for the sums and a few
/// more.
///
/// Rounding: every element of C is one chain of multiply-adds, in the order of k, onto factor * C or onto 0.
#if defined(ETALON_FAST_CPU_TILE_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ETALON_FAST_CPU_TILE_HPP
#undef ETALON_FAST_CPU_TILE_HPP
#else
#define ETALON_FAST_CPU_TILE_HPP
#endif

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Float = hn::ScalableTag<float>;
using Vector = hn::Vec<Float>;

/// Lanes of a vector. Constant, because sums are arrays of vectors (which rules out SVE and RISC-V; their
/// processors are served by the fixed-size sets).
inline constexpr std::int64_t kLanes = hn::MaxLanes(Float());
inline constexpr int kPanelVectors = 3;                         ///< vectors across a full panel
inline constexpr std::int64_t kPanel = kPanelVectors * kLanes;  ///< columns of a full panel
/// Rows of C that are summed at a time: 24 sums where there are 32 registers, 12 where there are 16.
inline constexpr int kRows = (HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM) ? 8 : 4;

/// What C holds before.
enum class Start {
  zero,    ///< is not read: C = A B
  keep,    ///< C = C + A B
  factor,  ///< C = factor * C + A B, with a factor for each column
};

/// Matrix A of a product: element (r, k) is data[r * row_stride + k * depth_stride].
struct Left {
  const float* data;
  std::int64_t row_stride, depth_stride;
};

/// kR rows and kV vectors of C, in registers. kColumns says that the rows of A lie side by side (row_stride
/// 1), which makes all addresses of a step constants away from one register.
template <int kR, int kV, bool kColumns>
HWY_INLINE void multiply_block(std::int64_t depth, const Left a, const float* HWY_RESTRICT panel,
                               float* HWY_RESTRICT c, Start start, const float* HWY_RESTRICT factor) {
  const Float f;
  Vector sum[kR][kV];
  const std::int64_t row_stride = kColumns ? 1 : a.row_stride;
  if (start == Start::zero) {
    HWY_UNROLL(8) for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(3) for (int v = 0; v < kV; ++v) sum[r][v] = hn::Zero(f);
    }
  } else if (start == Start::keep) {
    HWY_UNROLL(8) for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(3) for (int v = 0; v < kV; ++v) sum[r][v] = hn::Load(f, c + (r * kV + v) * kLanes);
    }
  } else {
    HWY_UNROLL(8) for (int r = 0; r < kR; ++r) {
      HWY_UNROLL(3) for (int v = 0; v < kV; ++v) {
        sum[r][v] = hn::Mul(hn::Load(f, factor + v * kLanes), hn::Load(f, c + (r * kV + v) * kLanes));
      }
    }
  }
  const float* HWY_RESTRICT left = a.data;
  for (std::int64_t k = 0; k < depth; ++k) {
    Vector b[kV];
    HWY_UNROLL(3) for (int v = 0; v < kV; ++v) b[v] = hn::Load(f, panel + v * kLanes);
    HWY_UNROLL(8) for (int r = 0; r < kR; ++r) {
      const Vector x = hn::Set(f, left[r * row_stride]);
      HWY_UNROLL(3) for (int v = 0; v < kV; ++v) sum[r][v] = hn::MulAdd(x, b[v], sum[r][v]);
    }
    left += a.depth_stride;
    panel += kV * kLanes;
  }
  HWY_UNROLL(8) for (int r = 0; r < kR; ++r) {
    HWY_UNROLL(3) for (int v = 0; v < kV; ++v) hn::Store(sum[r][v], f, c + (r * kV + v) * kLanes);
  }
}

/// The last rows, fewer than kRows.
template <int kR, int kV, bool kColumns>
HWY_NOINLINE void multiply_rest(std::int64_t rows, std::int64_t depth, const Left a,
                                const float* HWY_RESTRICT panel, float* HWY_RESTRICT c, Start start,
                                const float* HWY_RESTRICT factor) {
  if constexpr (kR > 0) {
    if (rows == kR) {
      multiply_block<kR, kV, kColumns>(depth, a, panel, c, start, factor);
    } else {
      multiply_rest<kR - 1, kV, kColumns>(rows, depth, a, panel, c, start, factor);
    }
  }
}

template <int kV, bool kColumns>
HWY_NOINLINE void multiply_panel(std::int64_t rows, std::int64_t depth, Left a,
                                 const float* HWY_RESTRICT panel, float* HWY_RESTRICT c, Start start,
                                 const float* HWY_RESTRICT factor) {
  for (; rows >= kRows; rows -= kRows) {
    multiply_block<kRows, kV, kColumns>(depth, a, panel, c, start, factor);
    a.data += kRows * a.row_stride;
    c += kRows * kV * kLanes;
  }
  if (rows > 0) multiply_rest<kRows - 1, kV, kColumns>(rows, depth, a, panel, c, start, factor);
}

/// C = factor * C + A B for a panel of `vectors` vectors (1 to kPanelVectors). `panel`, `c` and `factor` are
/// aligned to vectors; C and the panel have rows of `vectors` * kLanes numbers. `factor` is read for
/// Start::factor only. The panel is not C.
inline void multiply(std::int64_t rows, std::int64_t depth, int vectors, const Left& a, const float* panel,
                     float* c, Start start, const float* factor = nullptr) {
  const bool columns = a.row_stride == 1;
  if (vectors == 3) {
    if (columns)
      multiply_panel<3, true>(rows, depth, a, panel, c, start, factor);
    else
      multiply_panel<3, false>(rows, depth, a, panel, c, start, factor);
  } else if (vectors == 2) {
    if (columns)
      multiply_panel<2, true>(rows, depth, a, panel, c, start, factor);
    else
      multiply_panel<2, false>(rows, depth, a, panel, c, start, factor);
  } else {
    if (columns)
      multiply_panel<1, true>(rows, depth, a, panel, c, start, factor);
    else
      multiply_panel<1, false>(rows, depth, a, panel, c, start, factor);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace etalon::fast::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // ETALON_FAST_CPU_TILE_HPP
