/// \file
/// What the chunked recurrences share apart from matrix products: rows of tensors and states copied into
/// padded scratch memory, as they are or transposed, and back.
///
/// Scratch memory is what the products read, for two reasons: its padding makes every tile whole, and a
/// tensor's rows may lie a power of two apart, where they push each other out of the cache. Compiled once for
/// every instruction set.
#if defined(ETALON_FAST_CPU_CHUNK_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ETALON_FAST_CPU_CHUNK_HPP
#undef ETALON_FAST_CPU_CHUNK_HPP
#else
#define ETALON_FAST_CPU_CHUNK_HPP
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "fast/cpu/chunk_plan.hpp"
#include "fast/cpu/chunk_tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// The part of a tensor or of scratch memory that a copy reads or writes: rows of `columns` contiguous
/// numbers.
struct Rows {
  float* data;
  std::ptrdiff_t row;
  std::int64_t rows, columns;
};

inline std::int64_t round_up(std::int64_t x, std::int64_t multiple) {
  return (x + multiple - 1) / multiple * multiple;
}

/// target = factor source, and zeros where target is larger.
HWY_INLINE void load_rows(const Rows& target, const Rows& source, float factor = 1) {
  const Floats tag;
  const Vector scale = hn::Set(tag, factor);
  const std::int64_t whole = source.columns / kLanes * kLanes;
  for (std::int64_t r = 0; r < source.rows; ++r) {
    const float* from = source.data + r * source.row;
    float* to = target.data + r * target.row;
    std::int64_t j = 0;
    for (; j < whole; j += kLanes) hn::StoreU(hn::Mul(scale, hn::LoadU(tag, from + j)), tag, to + j);
    for (; j < source.columns; ++j) to[j] = factor * from[j];
    for (; j < target.columns; ++j) to[j] = 0;
  }
  for (std::int64_t r = source.rows; r < target.rows; ++r) {
    std::fill_n(target.data + r * target.row, target.columns, 0.0f);
  }
}

/// The rows and columns that target has, from a source that may be larger.
HWY_INLINE void store_rows(const Rows& target, const float* source, std::ptrdiff_t source_row) {
  const Floats tag;
  const std::int64_t whole = target.columns / kLanes * kLanes;
  for (std::int64_t r = 0; r < target.rows; ++r) {
    const float* from = source + r * source_row;
    float* to = target.data + r * target.row;
    std::int64_t j = 0;
    for (; j < whole; j += kLanes) hn::StoreU(hn::LoadU(tag, from + j), tag, to + j);
    for (; j < target.columns; ++j) to[j] = from[j];
  }
}

/// target(j, r) = source(r, j), and zeros where target is larger.
HWY_INLINE void load_transposed(const Rows& target, const Rows& source) {
  std::int64_t whole_rows = 0, whole_columns = 0;
#if HWY_TARGET != HWY_SCALAR
  // Four rows by four columns at a time, through the registers.
  const hn::FixedTag<float, 4> tag;
  const hn::Repartition<double, decltype(tag)> pairs;
  whole_rows = source.rows / 4 * 4;
  whole_columns = source.columns / 4 * 4;
  for (std::int64_t r = 0; r < whole_rows; r += 4) {
    const float* from = source.data + r * source.row;
    for (std::int64_t j = 0; j < whole_columns; j += 4) {
      const auto a = hn::LoadU(tag, from + j), b = hn::LoadU(tag, from + source.row + j);
      const auto c = hn::LoadU(tag, from + 2 * source.row + j), d = hn::LoadU(tag, from + 3 * source.row + j);
      const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(tag, a, b));
      const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(tag, a, b));
      const auto cd_low = hn::BitCast(pairs, hn::InterleaveLower(tag, c, d));
      const auto cd_high = hn::BitCast(pairs, hn::InterleaveUpper(tag, c, d));
      float* to = target.data + j * target.row + r;
      hn::StoreU(hn::BitCast(tag, hn::InterleaveLower(pairs, ab_low, cd_low)), tag, to);
      hn::StoreU(hn::BitCast(tag, hn::InterleaveUpper(pairs, ab_low, cd_low)), tag, to + target.row);
      hn::StoreU(hn::BitCast(tag, hn::InterleaveLower(pairs, ab_high, cd_high)), tag, to + 2 * target.row);
      hn::StoreU(hn::BitCast(tag, hn::InterleaveUpper(pairs, ab_high, cd_high)), tag, to + 3 * target.row);
    }
  }
#endif
  for (std::int64_t r = 0; r < source.rows; ++r) {
    for (std::int64_t j = r < whole_rows ? whole_columns : 0; j < source.columns; ++j) {
      target.data[j * target.row + r] = source.data[r * source.row + j];
    }
  }
  for (std::int64_t j = 0; j < target.rows; ++j) {
    const std::int64_t filled = j < source.columns ? source.rows : 0;
    std::fill(target.data + j * target.row + filled, target.data + j * target.row + target.columns, 0.0f);
  }
}

/// Some columns of the state of a head, or zeros if no state is given.
HWY_INLINE void load_state(const ChunkPlan& plan, const Tensor& from, std::int64_t head, float* state,
                           std::int64_t column, std::int64_t columns) {
  const StateView given(from, head);
  load_rows({state + column, plan.state_row, plan.d_rows, columns},
            {from ? given.data + column : nullptr, given.row, from ? plan.d : 0,
             std::min(columns, plan.e - column)});
}

/// The same, back into a tensor, if one is given.
HWY_INLINE void store_state(const ChunkPlan& plan, const Tensor& to, std::int64_t head, const float* state,
                            std::int64_t column, std::int64_t columns) {
  const StateView wanted(to, head);
  if (!to) return;
  store_rows({wanted.data + column, wanted.row, plan.d, std::min(columns, plan.e - column)}, state + column,
             plan.state_row);
}

inline constexpr Padding kPadding{kTileRows, kLanes, kTileVectors* kLanes};

/// row *= factor, `columns` numbers, a multiple of kLanes.
HWY_INLINE void scale_row(float* row, std::int64_t columns, float factor) {
  const Floats tag;
  const Vector scale = hn::Set(tag, factor);
  for (std::int64_t j = 0; j < columns; j += kLanes)
    hn::StoreU(hn::Mul(scale, hn::LoadU(tag, row + j)), tag, row + j);
}

/// row *= factors, likewise.
HWY_INLINE void scale_row(float* row, std::int64_t columns, const float* factors) {
  const Floats tag;
  for (std::int64_t j = 0; j < columns; j += kLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(tag, factors + j), hn::LoadU(tag, row + j)), tag, row + j);
  }
}

}  // namespace etalon::fast::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
