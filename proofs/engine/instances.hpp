/// \file
/// Templates of the engine that every entry would otherwise compile again: they are compiled once, in
/// `instances.cpp`.
#pragma once

#include "proofs/engine/entry.hpp"

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
