/// \file
/// Sizes of attention's tiles and the helpers around them that do not depend on the instruction set.
#pragma once

#include <cstdint>

#include "fast/etalon_fast.hpp"

namespace etalon::fast::cpu {

/// Keys of a tile. Keys and values of a tile, 128 KiB for 128 channels, stay in the second-level cache, and
/// the scores of a panel, 24 KiB, in the first.
inline constexpr std::int64_t kKeyTile = 128;

/// Queries of a block, which share the keys and values of a tile while they are in the caches. A multiple of
/// the panel of every instruction set.
inline constexpr std::int64_t kQueryBlock = 192;

/// The widest panel of queries, in lanes: three vectors of 512 bits.
inline constexpr std::int64_t kMaxPanel = 48;

/// Into so many ranges of keys the gradient is cut at most, where there are few heads, so that threads have
/// something to do. Each costs one more dq.
inline constexpr std::int64_t kKeyParts = 8;

/// Row (b, t, h) of a tensor of float32. An axis of extent 1 is broadcast.
inline float* row(const Tensor& x, std::int64_t b, std::int64_t t, std::int64_t h) {
  const auto step = [&x](int axis, std::int64_t index) {
    return x.shape[axis] == 1 ? 0 : index * x.stride[axis];
  };
  return static_cast<float*>(x.data) + step(0, b) + step(1, t) + step(2, h);
}

}  // namespace etalon::fast::cpu
