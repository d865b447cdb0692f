/// \file
/// What attention and its gradient share: the scores of one tile of keys for one panel of queries. See
/// tile.hpp for how to include it.
///
/// Queries are the lanes of vectors. A panel of queries is stored transposed, [d][width], and scores
/// likewise, [keys] [width]. Then maximum and sum of a query's scores run down the lanes without ever
/// crossing them, and keys and values are read as they are.
///
/// Scores are in units of log 2: s / ln 2 instead of s, so that exponentials are powers of two.
#if defined(ETALON_FAST_CPU_ATTENTION_TILE_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef ETALON_FAST_CPU_ATTENTION_TILE_HPP
#undef ETALON_FAST_CPU_ATTENTION_TILE_HPP
#else
#define ETALON_FAST_CPU_ATTENTION_TILE_HPP
#endif

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numbers>

#include "fast/cpu/attention_sizes.hpp"
#include "fast/cpu/exponential.hpp"
#include "fast/cpu/tile.hpp"
#include "fast/cpu/visibility.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::HWY_NAMESPACE {

static_assert(cpu::kQueryBlock % kPanel == 0 && kPanel <= cpu::kMaxPanel);

/// Vectors that hold `count` lanes.
inline int vectors_for(std::int64_t count) {
  return static_cast<int>((count + kLanes - 1) / kLanes);
}

/// Columns that are transposed at a time: what is touched stays in the first-level cache.
inline constexpr std::int64_t kStrip = 16;

/// Stores `factor` times `rows` rows of `columns` numbers as [columns][width], with zeros in the lanes after
/// `rows`.
inline void transpose_rows(const float* HWY_RESTRICT from, std::int64_t stride, std::int64_t rows,
                           std::int64_t columns, float factor, std::int64_t width, float* HWY_RESTRICT to) {
  for (std::int64_t first = 0; first < columns; first += kStrip) {
    const std::int64_t last = std::min(first + kStrip, columns);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = first; c < last; ++c) to[c * width + r] = factor * from[r * stride + c];
    }
    for (std::int64_t c = first; c < last; ++c) std::fill(to + c * width + rows, to + (c + 1) * width, 0.0f);
  }
}

/// The reverse, without a factor.
inline void transpose_back(const float* HWY_RESTRICT from, std::int64_t width, std::int64_t rows,
                           std::int64_t columns, float* HWY_RESTRICT to, std::int64_t stride) {
  for (std::int64_t first = 0; first < columns; first += kStrip) {
    const std::int64_t last = std::min(first + kStrip, columns);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = first; c < last; ++c) to[r * stride + c] = from[c * width + r];
    }
  }
}

/// One panel of queries: where it stands and how wide its rows are in memory.
struct Panel {
  cpu::Range queries;
  int vectors;
  std::int64_t width() const { return vectors * kLanes; }
};

inline Panel panel_of(std::int64_t first, std::int64_t last) {
  return {{first, last}, vectors_for(last - first)};
}

/// Adds the bias of one head, [queries][keys] with the given stride of queries.
inline void add_bias(const Panel& panel, cpu::Range keys, const float* bias, std::int64_t stride,
                     float* scores) {
  constexpr auto kToBase2 = static_cast<float>(std::numbers::log2e);
  const std::int64_t width = panel.width();
  for (std::int64_t i = panel.queries.first; i < panel.queries.last; ++i) {
    const float* row = bias + i * stride;
    float* column = scores + (i - panel.queries.first);
    for (std::int64_t j = keys.first; j < keys.last; ++j)
      column[(j - keys.first) * width] += kToBase2 * row[j];
  }
}

/// Sets the scores to minus infinity that the mask hides. There are at most kKeyTile keys.
inline void hide(const Panel& panel, cpu::Range keys, const cpu::Visibility& visibility, float* scores) {
  const Float f;
  const auto nothing = hn::Set(f, -std::numeric_limits<float>::infinity());
  // Relative to the first key of the stripe and clamped, limits are small integers, which float32 holds
  // exactly.
  HWY_ALIGN float lower[cpu::kMaxPanel];
  HWY_ALIGN float upper[cpu::kMaxPanel];
  const auto clamped = [](std::int64_t j) {
    return static_cast<float>(std::clamp<std::int64_t>(j, 0, cpu::kKeyTile));
  };
  for (std::int64_t first = keys.first; first < keys.last;) {
    const std::int64_t last = std::min(keys.last, visibility.end_of_stripe(first));
    for (std::int64_t lane = 0; lane < panel.width(); ++lane) {
      const std::int64_t i = std::min(panel.queries.first + lane, panel.queries.last - 1);
      const cpu::Range seen = visibility.limits(i, first);
      lower[lane] = seen.empty() ? clamped(cpu::kKeyTile) : clamped(seen.first - first);
      upper[lane] = seen.empty() ? clamped(0) : clamped(seen.last - first);
    }
    for (int v = 0; v < panel.vectors; ++v) {
      const auto from = hn::Load(f, lower + v * kLanes), to = hn::Load(f, upper + v * kLanes);
      for (std::int64_t j = first; j < last; ++j) {
        float* place = scores + (j - keys.first) * panel.width() + v * kLanes;
        const auto at = hn::Set(f, static_cast<float>(j - first));
        const auto seen = hn::And(hn::Ge(at, from), hn::Lt(at, to));
        hn::Store(hn::IfThenElse(seen, hn::Load(f, place), nothing), f, place);
      }
    }
    first = last;
  }
}

/// What the scores of one head are made from.
struct ScoreInputs {
  std::int64_t d;
  const float* bias;  ///< of this head, or null
  std::int64_t bias_stride;
  const cpu::Visibility* visibility;
};

/// Scores of one panel of queries for some keys, [keys][width], hidden ones minus infinity.
/// `query` is [d][width] and includes scale / ln 2; `key` is the row
/// of the first of `keys`.
inline void tile_scores(const ScoreInputs& in, const Panel& panel, cpu::Range keys, const float* query,
                        const float* key, std::int64_t key_stride, float* scores) {
  multiply(keys.size(), in.d, panel.vectors, {key, key_stride, 1}, query, scores, Start::zero);
  if (in.bias != nullptr) add_bias(panel, keys, in.bias, in.bias_stride, scores);
  if (!in.visibility->all(panel.queries, keys)) hide(panel, keys, *in.visibility, scores);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace etalon::fast::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // ETALON_FAST_CPU_ATTENTION_TILE_HPP
