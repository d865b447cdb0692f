/// \file
/// What the laws of several entries share: parts of cases, outputs, small matrices.
/// In a namespace of their own, so that no text can call one of them by accident.
#pragma once

#include <span>
#include <string>
#include <type_traits>

#include "proofs/engine/arrays.hpp"
#include "proofs/engine/scalars.hpp"

namespace etalon::law_tools {

/// The arithmetic that a law is tried in.
template <class AnyTrial>
using ScalarOf = typename std::decay_t<AnyTrial>::Scalar;

/// The drawn settings with some of them replaced.
template <class AnyTrial>
Settings with(const AnyTrial& trial, const Settings& changes) {
  Settings settings = trial.entry().with_defaults(trial.drawn().settings);
  for (const auto& [name, value] : changes) settings[name] = value;
  return settings;
}

/// The outputs of a form that has one.
template <class T>
Arrays<T> output_of(const Array<T>& output, const std::string& name = "output") {
  Arrays<T> arrays;
  arrays.real[name] = output;
  return arrays;
}

/// a <= b whatever the two are within their error bounds.
template <class T>
bool surely_at_most(const Bounded<T>& a, const Bounded<T>& b) {
  return a.value() + T(a.error_bound()) <= b.value() - T(b.error_bound());
}

/// |x|
template <class T>
T magnitude(const T& x) {
  return maximum(x, T(-x));
}

/// |x|^2
template <class T>
T squares(std::span<const T> x) {
  T sum(0);
  for (const T& number : x) sum += number * number;
  return sum;
}

/// The rows [first, last): all of an array whose first index is one of them.
template <class T>
Array<T> rows(const Array<T>& array, Index first, Index last) {
  Shape shape = array.shape();
  const Index width = shape[0] == 0 ? 0 : array.size() / shape[0];
  shape[0] = last - first;
  const auto all = array.values().begin();
  return Array<T>(shape, {all + first * width, all + last * width});
}

/// The identity matrix.
template <class T>
Array<T> identity(Index size) {
  Array<T> one({size, size});
  for (Index i = 0; i < size; ++i) one(i, i) = T(1);
  return one;
}

/// The transpose of a matrix.
template <class T>
Array<T> transposed(const Array<T>& a) {
  Array<T> result({a.extent(1), a.extent(0)});
  for (Index i = 0; i < a.extent(0); ++i) {
    for (Index j = 0; j < a.extent(1); ++j) result(j, i) = a(i, j);
  }
  return result;
}

/// The product of two matrices.
template <class T>
Array<T> times(const Array<T>& a, const Array<T>& b) {
  Array<T> product({a.extent(0), b.extent(1)});
  for (Index i = 0; i < product.extent(0); ++i) {
    for (Index j = 0; j < product.extent(1); ++j) {
      for (Index m = 0; m < a.extent(1); ++m) product(i, j) += a(i, m) * b(m, j);
    }
  }
  return product;
}

}  // namespace etalon::law_tools
