/// \file
/// Templates of the engine that every entry would otherwise compile again: they are compiled once, in
/// `instances.cpp`.
#pragma once

#include "proofs/engine/entry.hpp"

// The containers of a number type: vectors, arrays, and arrays by name. They are most of what an entry
// without optimisation would compile.
#define ETALON_CONTAINERS(prefix, ...)              \
  prefix template class std::vector<__VA_ARGS__>;   \
  prefix template class etalon::Array<__VA_ARGS__>; \
  prefix template class std::map<std::string, etalon::Array<__VA_ARGS__>>

#define ETALON_CONTAINERS_OF(prefix, ...) \
  ETALON_CONTAINERS(prefix, __VA_ARGS__); \
  ETALON_CONTAINERS(prefix, etalon::Complex<__VA_ARGS__>)

#define ETALON_ALL_CONTAINERS(prefix)                               \
  ETALON_CONTAINERS(prefix, etalon::Index);                         \
  ETALON_CONTAINERS_OF(prefix, double);                             \
  ETALON_CONTAINERS_OF(prefix, float);                              \
  ETALON_CONTAINERS_OF(prefix, etalon::Counted<double>);            \
  ETALON_CONTAINERS_OF(prefix, etalon::Traced);                     \
  ETALON_CONTAINERS_OF(prefix, etalon::PrimeField);                 \
  ETALON_CONTAINERS_OF(prefix, etalon::Degree);                     \
  ETALON_CONTAINERS_OF(prefix, etalon::Rational);                   \
  ETALON_CONTAINERS_OF(prefix, etalon::RationalExp2);               \
  ETALON_CONTAINERS_OF(prefix, etalon::Dual<etalon::PrimeField>);   \
  ETALON_CONTAINERS_OF(prefix, etalon::Dual<etalon::Degree>);       \
  ETALON_CONTAINERS_OF(prefix, etalon::Dual<etalon::RationalExp2>); \
  ETALON_CONTAINERS_OF(prefix, etalon::Real50);                     \
  ETALON_CONTAINERS_OF(prefix, etalon::Bounded<etalon::Real50>);    \
  ETALON_CONTAINERS_OF(prefix, etalon::Dual<etalon::Bounded<etalon::Real50>>)

ETALON_ALL_CONTAINERS(extern);

namespace etalon {

extern template Arrays<double> draw_inputs<double>(const Entry&, const Case&, bool);
extern template Arrays<PrimeField> draw_inputs<PrimeField>(const Entry&, const Case&, bool);
extern template Arrays<Degree> draw_inputs<Degree>(const Entry&, const Case&, bool);
extern template Arrays<Rational> draw_inputs<Rational>(const Entry&, const Case&, bool);
extern template Arrays<RationalExp2> draw_inputs<RationalExp2>(const Entry&, const Case&, bool);
extern template Arrays<Bounded<Real50>> draw_inputs<Bounded<Real50>>(const Entry&, const Case&, bool);
extern template class Trial<double>;
extern template class Trial<PrimeField>;
extern template class Trial<Degree>;
extern template class Trial<Rational>;
extern template class Trial<RationalExp2>;
extern template class Trial<Bounded<Real50>>;
extern template void Check::equal<PrimeField>(const Arrays<PrimeField>&, const Arrays<PrimeField>&,
                                              const std::string&);
extern template void Check::equal<Degree>(const Arrays<Degree>&, const Arrays<Degree>&, const std::string&);
extern template void Check::equal<Rational>(const Arrays<Rational>&, const Arrays<Rational>&,
                                            const std::string&);
extern template void Check::equal<RationalExp2>(const Arrays<RationalExp2>&, const Arrays<RationalExp2>&,
                                                const std::string&);
extern template void Check::equal<Bounded<Real50>>(const Arrays<Bounded<Real50>>&,
                                                   const Arrays<Bounded<Real50>>&, const std::string&);

}  // namespace etalon
