/// \file
/// Carries named arrays from one number type to another, by way of double precision.
#pragma once

#include "proofs/engine/arrays.hpp"

namespace etalon {

/// Each number is first rounded to double, then read as data of the type `To`.
template <class To, class From>
Arrays<To> converted_arrays(const Arrays<From>& arrays) {
  const auto number = [](const From& x) { return To(static_cast<double>(x)); };
  Arrays<To> result;
  for (const auto& [name, array] : arrays.real) {
    Array<To> values(array.shape());
    for (std::size_t i = 0; i < array.values().size(); ++i) values.values()[i] = number(array.values()[i]);
    result.real[name] = std::move(values);
  }
  for (const auto& [name, array] : arrays.complex) {
    Array<Complex<To>> values(array.shape());
    for (std::size_t i = 0; i < array.values().size(); ++i) {
      const Complex<From>& z = array.values()[i];
      values.values()[i] = Complex<To>(number(z.re), number(z.im));
    }
    result.complex[name] = std::move(values);
  }
  result.index = arrays.index;
  return result;
}

}  // namespace etalon
