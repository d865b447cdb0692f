/// \file
/// The one container of the texts: a row-major array of up to four axes that owns its values.
/// Indices are written as in the papers, `query(t, i)`, and are checked in debug builds.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace etalon {

/// Sizes, positions and counts. Signed, so that `t - 1` at `t = 0` is -1 and not a huge number.
using Index = std::int64_t;

/// The extent of every axis, outermost first. An empty shape is a single number.
using Shape = std::vector<Index>;

/// The largest number of elements that an array may have: far beyond what fits in memory, far below overflow.
inline constexpr Index kMaxElements = Index{1} << 40;

/// `{8, 16}` as "8 x 16", the empty shape as "a single number".
inline std::string to_string(const Shape& shape) {
  if (shape.empty()) return "a single number";
  std::string text;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis > 0) text += " x ";
    text += std::to_string(shape[axis]);
  }
  return text;
}

/// Number of elements of a shape.
///
/// \throws std::invalid_argument for more than four axes, a negative extent or too many elements
inline Index element_count(const Shape& shape) {
  if (shape.size() > 4) {
    throw std::invalid_argument("array: shape has " + std::to_string(shape.size()) +
                                " axes, expected at most 4");
  }
  Index count = 1;
  for (const Index extent : shape) {
    if (extent < 0) {
      throw std::invalid_argument("array: shape is " + to_string(shape) + ", expected no negative extent");
    }
    if (extent > 0 && count > kMaxElements / extent) {
      throw std::invalid_argument("array: shape is " + to_string(shape) + ", expected at most 2^40 elements");
    }
    count *= extent;
  }
  return count;
}

/// A row-major array with 0 to 4 axes. Copying copies the values.
template <class T>
class Array {
 public:
  /// A single number, zero.
  Array() : Array(Shape{}) {}

  /// All elements equal to `fill`.
  explicit Array(const Shape& shape, const T& fill = T(0))
      : shape_(shape), values_(static_cast<std::size_t>(element_count(shape)), fill) {
    cache_extents();
  }

  /// Takes the values in row-major order.
  /// \throws std::invalid_argument when there are more or fewer values than the shape has elements
  Array(const Shape& shape, std::vector<T> values) : shape_(shape), values_(std::move(values)) {
    if (element_count(shape) != static_cast<Index>(values_.size())) {
      throw std::invalid_argument("array: " + std::to_string(values_.size()) + " values given, expected " +
                                  std::to_string(element_count(shape)) + " for the shape " +
                                  to_string(shape));
    }
    cache_extents();
  }

  /// A matrix from its rows, as it stands in a worked example.
  static Array matrix(std::initializer_list<std::initializer_list<T>> rows) {
    const Index columns = rows.size() == 0 ? 0 : static_cast<Index>(rows.begin()->size());
    std::vector<T> values;
    for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
    return Array(Shape{static_cast<Index>(rows.size()), columns}, std::move(values));
  }

  /// A vector from its entries.
  static Array vector(std::initializer_list<T> entries) {
    return Array(Shape{static_cast<Index>(entries.size())}, std::vector<T>(entries));
  }

  const Shape& shape() const { return shape_; }
  Index rank() const { return static_cast<Index>(shape_.size()); }
  Index size() const { return static_cast<Index>(values_.size()); }

  /// Extent of an axis, counted from 0.
  Index extent(Index axis) const {
    assert(axis >= 0 && axis < rank());
    return shape_[static_cast<std::size_t>(axis)];
  }

  /// Element by its indices, one for each axis.
  template <class... I>
  T& operator()(I... indices) {
    return values_[offset(static_cast<Index>(indices)...)];
  }
  template <class... I>
  const T& operator()(I... indices) const {
    return values_[offset(static_cast<Index>(indices)...)];
  }

  /// Row t of a matrix.
  std::span<T> row(Index t) { return {values_.data() + row_offset(t), static_cast<std::size_t>(shape_[1])}; }
  std::span<const T> row(Index t) const {
    return {values_.data() + row_offset(t), static_cast<std::size_t>(shape_[1])};
  }

  /// All values in row-major order. Not of a temporary array, which would be gone before they are read.
  // Pointer and size, because a vector would have to be proved a contiguous range anew for every number type.
  std::span<T> values() & { return {values_.data(), values_.size()}; }
  std::span<const T> values() const& { return {values_.data(), values_.size()}; }
  std::span<const T> values() const&& = delete;

 private:
  template <class... I>
  std::size_t offset(I... indices) const {
    static_assert(sizeof...(I) <= 4, "an array has at most four axes");
    assert(static_cast<Index>(sizeof...(I)) == rank());
    Index position = 0;
    [[maybe_unused]] std::size_t axis = 0;
    [[maybe_unused]] const auto step = [&](Index i) {
      assert(i >= 0 && i < extents_[axis]);
      position = position * extents_[axis] + i;
      ++axis;
    };
    (step(indices), ...);
    return static_cast<std::size_t>(position);
  }

  std::size_t row_offset(Index t) const {
    assert(rank() == 2 && t >= 0 && t < shape_[0]);
    return static_cast<std::size_t>(t * shape_[1]);
  }

  void cache_extents() {
    for (std::size_t axis = 0; axis < shape_.size(); ++axis) extents_[axis] = shape_[axis];
  }

  Shape shape_;
  std::array<Index, 4> extents_{};  // the shape again, without the indirection that a vector costs in a loop
  std::vector<T> values_;
};

/// Throws unless `array` has the expected shape. The message names algorithm, argument and both shapes, and
/// says where the expectation comes from, such as
/// `gated_linear_attention: decay is 7 x 16, expected 8 x 16 (key is 8 x 16)`.
///
/// \throws std::invalid_argument
template <class T>
void require_shape(std::string_view algorithm, std::string_view argument, const Array<T>& array,
                   const Shape& expected, std::string_view because = "") {
  if (array.shape() == expected) return;
  std::string message = std::string(algorithm) + ": " + std::string(argument) + " is " +
                        to_string(array.shape()) + ", expected " + to_string(expected);
  if (!because.empty()) message += " (" + std::string(because) + ")";
  throw std::invalid_argument(message);
}

/// Throws unless `array` has `rank` axes, none of them empty.
///
/// \throws std::invalid_argument
template <class T>
void require_rank(std::string_view algorithm, std::string_view argument, const Array<T>& array, Index rank) {
  bool empty = false;
  for (const Index extent : array.shape()) empty = empty || extent == 0;
  if (array.rank() == rank && !empty) return;
  throw std::invalid_argument(std::string(algorithm) + ": " + std::string(argument) + " is " +
                              to_string(array.shape()) + ", expected " + std::to_string(rank) +
                              (rank == 1 ? " axis" : " axes") + ", each of length 1 or more");
}

/// Throws `algorithm: argument is GIVEN, expected EXPECTED` unless `holds`.
/// \throws std::invalid_argument
inline void require(bool holds, std::string_view algorithm, std::string_view argument, std::string_view given,
                    std::string_view expected) {
  if (holds) return;
  throw std::invalid_argument(std::string(algorithm) + ": " + std::string(argument) + " is " +
                              std::string(given) + ", expected " + std::string(expected));
}

}  // namespace etalon
