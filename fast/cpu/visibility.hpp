/// \file
/// Which keys a range of queries may see, for the tiles of attention: whole ranges, without looking at single
/// pairs where that can be avoided.
#pragma once

#include <algorithm>
#include <cstdint>

#include "fast/etalon_fast.hpp"

namespace etalon::fast::cpu {

/// Positions [first, last).
struct Range {
  std::int64_t first, last;
  bool empty() const { return first >= last; }
  std::int64_t size() const { return last - first; }
};

/// A mask for `queries` queries and `keys` keys. Every mask is here of one kind: query i sees the keys from
/// lower(i, j) to upper(i, j), two limits that are the same for all keys j of a *stripe*. Only blocks have
/// more than one stripe.
class Visibility {
 public:
  Visibility(const Mask& mask, std::int64_t queries, std::int64_t keys)
      : mask_(mask), shift_(keys - queries), keys_(keys) {
    // A reach beyond both lengths shows no more, and leaves room for sums.
    const std::int64_t all = queries + keys;
    before_ = mask.kind == Mask::Kind::window ? std::min(mask.before, all) : all;
    after_ = mask.kind == Mask::Kind::window   ? std::min(mask.after, all)
             : mask.kind == Mask::Kind::causal ? 0
                                               : all;
  }

  /// The first run of consecutive keys within `within` that any of the queries may see; empty if there is
  /// none. Keys of a run may still be hidden from some of the queries.
  Range next_run(Range queries, Range within) const {
    if (mask_.kind != Mask::Kind::blocks) {
      return {std::max(within.first, queries.first + shift_ - before_),
              std::min(within.last, queries.last - 1 + shift_ + after_ + 1)};
    }
    std::int64_t first = within.first;
    while (first < within.last && !column_shows(queries, first)) first = end_of_stripe(first);
    std::int64_t last = first;
    while (last < within.last && column_shows(queries, last)) last = end_of_stripe(last);
    return {first, std::min(last, within.last)};
  }

  /// Whether all the queries see all the keys.
  bool all(Range queries, Range keys) const {
    if (mask_.kind != Mask::Kind::blocks) {
      return keys.first >= queries.last - 1 + shift_ - before_ &&
             keys.last - 1 <= queries.first + shift_ + after_;
    }
    for (std::int64_t row = queries.first / mask_.block; row <= (queries.last - 1) / mask_.block; ++row) {
      for (std::int64_t column = keys.first / mask_.block; column <= (keys.last - 1) / mask_.block;
           ++column) {
        if (!shown(row, column)) return false;
      }
    }
    return true;
  }

  /// One past the last key of the stripe of key j.
  std::int64_t end_of_stripe(std::int64_t j) const {
    return mask_.kind == Mask::Kind::blocks ? std::min(keys_, (j / mask_.block + 1) * mask_.block) : keys_;
  }

  /// The keys that query i sees of the stripe of key j, as if the stripe went on for ever.
  Range limits(std::int64_t i, std::int64_t j) const {
    if (mask_.kind == Mask::Kind::blocks && !shown(i / mask_.block, j / mask_.block)) return {0, 0};
    return {i + shift_ - before_, i + shift_ + after_ + 1};
  }

 private:
  bool shown(std::int64_t row, std::int64_t column) const {
    return mask_.blocks[row * mask_.block_columns + column] != 0;
  }

  bool column_shows(Range queries, std::int64_t j) const {
    for (std::int64_t row = queries.first / mask_.block; row <= (queries.last - 1) / mask_.block; ++row) {
      if (shown(row, j / mask_.block)) return true;
    }
    return false;
  }

  Mask mask_;
  std::int64_t shift_, keys_, before_, after_;
};

}  // namespace etalon::fast::cpu
