/// \file
/// The adaptor between texts, which know one sequence and one head, and layers, which have many: grouped
/// heads and packed sequences. Batches are packed sequences of equal length.
#pragma once

#include "reference/array.hpp"

namespace etalon::heads {

/// Head h of an array heads x time x channels.
template <class T>
Array<T> head(const Array<T>& array, Index h) {
  Array<T> one({array.extent(1), array.extent(2)});
  for (Index t = 0; t < one.extent(0); ++t) {
    for (Index c = 0; c < one.extent(1); ++c) one(t, c) = array(h, t, c);
  }
  return one;
}

/// Runs `mix(query, key, value)` for every query head. Query head h uses key and value head floor(h / g) with
/// the group size g = H_q / H_kv (\cite ainslie2023gqa); g = 1 is ordinary multi-head attention, H_kv = 1
/// multi-query. \param query H_q x n_q x d_k, \param key H_kv x n_k x d_k, \param value H_kv x n_k x d_v
/// \returns H_q x n_q x d_v
/// \throws std::invalid_argument unless H_kv divides H_q
template <class T, class Mix>
Array<T> grouped(const Array<T>& query, const Array<T>& key, const Array<T>& value, Mix mix) {
  require_rank("heads", "query", query, 3);
  require_rank("heads", "key", key, 3);
  require_rank("heads", "value", value, 3);
  const Index query_heads = query.extent(0), key_heads = key.extent(0);
  require(value.extent(0) == key_heads, "heads", "value", to_string(value.shape()),
          "as many heads as key, which is " + to_string(key.shape()));
  require(query_heads % key_heads == 0, "heads", "query", to_string(query.shape()),
          "a multiple of the " + std::to_string(key_heads) + " key heads");
  const Index group = query_heads / key_heads;
  Array<T> output({query_heads, query.extent(1), value.extent(2)});
  for (Index h = 0; h < query_heads; ++h) {
    const Array<T> one = mix(head(query, h), head(key, h / group), head(value, h / group));
    for (Index t = 0; t < output.extent(1); ++t) {
      for (Index c = 0; c < output.extent(2); ++c) output(h, t, c) = one(t, c);
    }
  }
  return output;
}

/// Rows [first, last) of a matrix time x channels.
template <class T>
Array<T> rows(const Array<T>& array, Index first, Index last) {
  Array<T> part({last - first, array.extent(1)});
  for (Index t = first; t < last; ++t) {
    for (Index c = 0; c < array.extent(1); ++c) part(t - first, c) = array(t, c);
  }
  return part;
}

/// Runs `mix(first, last)` for every sequence of a pack, which holds tokens [offsets[a], offsets[a + 1]), and
/// puts the outputs, (last - first) x d_v each, one below the other. \throws std::invalid_argument unless the
/// offsets start at 0 and grow
template <class T, class Mix>
Array<T> packed(const std::vector<Index>& offsets, Index d_v, Mix mix) {
  require(!offsets.empty() && offsets.front() == 0, "heads", "offsets",
          offsets.empty() ? "empty" : "starting at " + std::to_string(offsets.front()),
          "a list that starts at 0");
  Array<T> output({offsets.back(), d_v});
  for (std::size_t a = 0; a + 1 < offsets.size(); ++a) {
    require(offsets[a] < offsets[a + 1], "heads", "offsets",
            std::to_string(offsets[a]) + " before " + std::to_string(offsets[a + 1]), "a list that grows");
    const Array<T> one = mix(offsets[a], offsets[a + 1]);
    for (Index t = offsets[a]; t < offsets[a + 1]; ++t) {
      for (Index c = 0; c < d_v; ++c) output(t, c) = one(t - offsets[a], c);
    }
  }
  return output;
}

}  // namespace etalon::heads
