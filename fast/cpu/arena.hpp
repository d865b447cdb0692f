/// \file
/// Scratch memory: one aligned piece, allocated before the loops and handed out in parts.
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstdint>
#include <limits>
#include <new>

namespace etalon::fast::cpu {

/// Hands out parts of one allocation. The first pass over a list of parts counts, the second hands out: see
/// `Arena::lay_out`.
class Arena {
 public:
  /// `parts(arena)` calls `take` for every part that it wants. It is called twice: to add up and to hand out.
  /// \throws std::bad_alloc
  template <class Parts>
  static Arena lay_out(Parts parts) {
    Arena arena;
    parts(arena);
    arena.memory_ = hwy::AllocateAligned<float>(static_cast<std::size_t>(arena.used_));
    if (!arena.memory_) throw std::bad_alloc();
    arena.used_ = 0;
    parts(arena);
    return arena;
  }

  /// rows x columns numbers, aligned for every vector; not initialised.
  float* take(std::int64_t rows, std::int64_t columns = 1) {
    constexpr std::int64_t kAlign = 32, kLargest = std::numeric_limits<std::int64_t>::max() / 16;
    if (columns > 0 && rows > kLargest / columns) throw std::bad_alloc();
    const std::int64_t first = used_;
    used_ += (rows * columns + kAlign - 1) / kAlign * kAlign;
    if (used_ > kLargest) throw std::bad_alloc();
    return memory_ ? memory_.get() + first : nullptr;
  }

 private:
  Arena() = default;
  hwy::AlignedFreeUniquePtr<float[]> memory_;
  std::int64_t used_ = 0;
};

}  // namespace etalon::fast::cpu
