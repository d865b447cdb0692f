/// \file
/// What all mutants share, precompiled once. Clang also keeps the templates that a precompiled header makes
/// use of, and puts their code into a library, so the functions below, which nobody calls, use what every
/// entry does, and no mutant compiles that again. g++ would compile them in every mutant.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "proofs/engine/instances.hpp"
#include "proofs/engine/law_tools.hpp"
#include "proofs/engine/laws.hpp"

#ifdef __clang__
namespace etalon::precompiled {

template <class T>
void arrays() {
  Array<T> array(Shape{1, 1});
  const Array<T> constant = array;
  array.values(), constant.values();
  array.row(0), constant.row(0);
  array(0) = constant(0);
  array(0, 0) = constant(0, 0);
  array(0, 0, 0) = constant(0, 0, 0);
  Arrays<T> outputs;
  outputs.real["name"] = array;
  const Arrays<T> inputs = outputs;
  outputs = Arrays<T>{};
  inputs["name"];
  inputs.number("name", T(1));
  inputs.real.find("name"), inputs.real.at("name"), inputs.real.count("name");
  const std::function<Arrays<T>(const Arrays<T>&, const Settings&)> form = [](const Arrays<T>& in,
                                                                              const Settings& settings) {
    at(settings, "name");
    return in;
  };
  const auto copy = form;
  copy(inputs, Settings{});
}

template <class T>
void numbers() {
  T x(1), y(std::int64_t{2}), z = x;
  x = -x, x += y, x -= y, x *= z, z = x + y - x * z;
  x == y;
  stored(x), finite(x);
  if constexpr (Field<T>) x /= y, z = x / y;
  if constexpr (OrderedField<T>) (x < y), (x > y), (x <= y), (x >= y), maximum(x, y);
  if constexpr (Exponential<T>) exp(x);
  if constexpr (Real<T>) expm1(x), log(x), log1p(x), sqrt(x), sin(x), cos(x), atan(x), tanh(x);
  Complex<T> w(x, y);
  w = w + w * w - w, w += w, w *= w;
  w == w;
}

template <class... Ts>
void all_of(TypeList<Ts...>) {
  (arrays<Ts>(), ...);
  (numbers<Ts>(), ...);
}

inline void entry(group::mutant& builder, const Expression& n) {
  all_of(TypeList<double>{});
  all_of(MutantScalars{});
  Cost cost("name");
  cost.without = {"name"};
  cost.additions = 2 * n * (n - 1) / 2 + max(0, n) - min(1, n);
  std::vector<Settings> grid{{{"name", 1}}};
  grid.push_back({{"name", 1}, {"other", 2}});
  builder.about("name", "name", "name", {"name", "name"})
      .size("name", 1, 1)
      .parameter({"name", 1, 1, n + 1, "name", {}})
      .adjust([](Settings& settings) { settings["name"] = 1; })
      .input("name", {n, n}, Domain::any, "name")
      .output("name", {n}, "name")
      .standard(laws::same("name", "name"))
      .cost(cost)
      .no_budget("name", "name")
      .scale("name", grid);
}

}  // namespace etalon::precompiled
#endif
