/// \file
/// Inputs and outputs of a form, by name, and the integers that it is run with.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"

namespace etalon {

/// Sizes and parameters by name, such as {n: 7, d_k: 2, chunk: 3}.
using Settings = std::map<std::string, Index>;

/// Named arrays: numbers of the scalar type, complex numbers over it, and integers (masks, orders, samples).
template <class T>
struct Arrays {
  std::map<std::string, Array<T>> real;
  std::map<std::string, Array<Complex<T>>> complex;
  std::map<std::string, Array<Index>> index;

  /// A named real array.
  /// \throws std::invalid_argument when there is none of that name
  const Array<T>& operator[](const std::string& name) const& {
    const auto found = real.find(name);
    if (found == real.end()) throw std::invalid_argument("input " + name + " is missing, expected an array");
    return found->second;
  }

  /// The same of a temporary: the array itself, since a reference would outlive it.
  Array<T> operator[](const std::string& name) && { return std::as_const(*this)[name]; }

  /// A named real input that is a single number, or `otherwise` when it was not given.
  T number(const std::string& name, const T& otherwise) const {
    const auto found = real.find(name);
    return found == real.end() ? otherwise : found->second.values().front();
  }
};

/// The value of a setting.
/// \throws std::invalid_argument when there is none of that name
inline Index at(const Settings& settings, const std::string& name) {
  const auto found = settings.find(name);
  if (found == settings.end())
    throw std::invalid_argument("setting " + name + " is missing, expected a value");
  return found->second;
}

}  // namespace etalon
