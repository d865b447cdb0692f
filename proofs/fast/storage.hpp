/// \file
/// Tensors of float32 for the fast path, with awkward layouts on demand.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "reference/array.hpp"

namespace etalon::fast_laws {

/// How the axes of a tensor lie in memory.
enum class Layout {
  contiguous,   ///< [batch, time, head, dim]
  heads_first,  ///< [batch, head, time, dim]
  gaps,         ///< contiguous, with room between rows that must be neither read nor written
};

/// A tensor of float32 that owns its memory.
class Storage {
 public:
  Storage(std::int64_t batch, std::int64_t time, std::int64_t heads, std::int64_t dim,
          Layout layout = Layout::contiguous)
      : view_{nullptr, fast::Type::float32, {batch, time, heads, dim}, {}} {
    const std::int64_t gap = layout == Layout::gaps ? 3 : 0, row = dim + gap;
    if (layout == Layout::heads_first) {
      view_.stride = {heads * time * row, row, time * row, 1};
    } else {
      view_.stride = {time * (heads * row + gap), heads * row + gap, row, 1};
    }
    memory_.assign(static_cast<std::size_t>(batch * view_.stride[0] + gap), std::bit_cast<float>(kPoison));
    view_.data = memory_.data();
  }
  Storage(const Storage& other) : memory_(other.memory_), view_(other.view_) { view_.data = memory_.data(); }
  Storage& operator=(const Storage&) = delete;

  const fast::Tensor& view() const { return view_; }
  const std::vector<float>& memory() const { return memory_; }

  float& at(std::int64_t b, std::int64_t t, std::int64_t h, std::int64_t c) {
    return memory_[static_cast<std::size_t>(offset(b, t, h, c))];
  }
  float at(std::int64_t b, std::int64_t t, std::int64_t h, std::int64_t c) const {
    return memory_[static_cast<std::size_t>(offset(b, t, h, c))];
  }

  /// Every element from `number()`, in the order of the axes.
  void fill(const std::function<double()>& number) {
    for_each([&](float& x) { x = static_cast<float>(number()); });
  }

  /// time x dim numbers of one batch and head, for the texts.
  Array<double> matrix(std::int64_t b, std::int64_t h) const {
    Array<double> result({view_.shape[1], view_.shape[3]});
    for (std::int64_t t = 0; t < view_.shape[1]; ++t) {
      for (std::int64_t c = 0; c < view_.shape[3]; ++c) result(t, c) = static_cast<double>(at(b, t, h, c));
    }
    return result;
  }

  /// The inverse of `matrix`: one batch and head, from time x dim numbers.
  void set_matrix(std::int64_t b, std::int64_t h, const Array<double>& numbers) {
    for (std::int64_t t = 0; t < view_.shape[1]; ++t) {
      for (std::int64_t c = 0; c < view_.shape[3]; ++c) at(b, t, h, c) = static_cast<float>(numbers(t, c));
    }
  }

  /// Whether all that lies between the rows is as it was.
  bool gaps_untouched() const {
    Storage copy(*this);
    copy.for_each([](float& x) { x = std::bit_cast<float>(kPoison); });
    return std::all_of(copy.memory_.begin(), copy.memory_.end(),
                       [](float x) { return std::bit_cast<std::uint32_t>(x) == kPoison; });
  }

  /// Whether nothing has been written at all.
  bool untouched() const {
    return std::all_of(memory_.begin(), memory_.end(),
                       [](float x) { return std::bit_cast<std::uint32_t>(x) == kPoison; });
  }

 private:
  static constexpr std::uint32_t kPoison = 0x7fc0dead;  // a NaN, so that a sum into which it gets shows it

  std::int64_t offset(std::int64_t b, std::int64_t t, std::int64_t h, std::int64_t c) const {
    return b * view_.stride[0] + t * view_.stride[1] + h * view_.stride[2] + c * view_.stride[3];
  }

  template <class Visit>
  void for_each(Visit visit) {
    for (std::int64_t b = 0; b < view_.shape[0]; ++b) {
      for (std::int64_t t = 0; t < view_.shape[1]; ++t) {
        for (std::int64_t h = 0; h < view_.shape[2]; ++h) {
          for (std::int64_t c = 0; c < view_.shape[3]; ++c) visit(at(b, t, h, c));
        }
      }
    }
  }

  std::vector<float> memory_;
  fast::Tensor view_;
};

/// The state [d, e] of one head, from a tensor [batch, head, d, e].
inline Array<double> state_matrix(const Storage& state, std::int64_t b, std::int64_t h) {
  Array<double> result({state.view().shape[2], state.view().shape[3]});
  for (Index i = 0; i < result.extent(0); ++i) {
    for (Index j = 0; j < result.extent(1); ++j) result(i, j) = static_cast<double>(state.at(b, h, i, j));
  }
  return result;
}

/// The inverse: from a matrix d x e.
inline void set_state_matrix(Storage& state, std::int64_t b, std::int64_t h, const Array<double>& numbers) {
  for (Index i = 0; i < numbers.extent(0); ++i) {
    for (Index j = 0; j < numbers.extent(1); ++j) state.at(b, h, i, j) = static_cast<float>(numbers(i, j));
  }
}

}  // namespace etalon::fast_laws
