#include "proofs/engine/instances.hpp"

ETALON_ALL_CONTAINERS();

namespace etalon {

template Arrays<double> draw_inputs<double>(const Entry&, const Case&, bool);
template Arrays<PrimeField> draw_inputs<PrimeField>(const Entry&, const Case&, bool);
template Arrays<Degree> draw_inputs<Degree>(const Entry&, const Case&, bool);
template Arrays<Rational> draw_inputs<Rational>(const Entry&, const Case&, bool);
template Arrays<RationalExp2> draw_inputs<RationalExp2>(const Entry&, const Case&, bool);
template Arrays<Bounded<Real50>> draw_inputs<Bounded<Real50>>(const Entry&, const Case&, bool);
template class Trial<double>;
template class Trial<PrimeField>;
template class Trial<Degree>;
template class Trial<Rational>;
template class Trial<RationalExp2>;
template class Trial<Bounded<Real50>>;
template void Check::equal<PrimeField>(const Arrays<PrimeField>&, const Arrays<PrimeField>&,
                                       const std::string&);
template void Check::equal<Degree>(const Arrays<Degree>&, const Arrays<Degree>&, const std::string&);
template void Check::equal<Rational>(const Arrays<Rational>&, const Arrays<Rational>&, const std::string&);
template void Check::equal<RationalExp2>(const Arrays<RationalExp2>&, const Arrays<RationalExp2>&,
                                         const std::string&);
template void Check::equal<Bounded<Real50>>(const Arrays<Bounded<Real50>>&, const Arrays<Bounded<Real50>>&,
                                            const std::string&);

}  // namespace etalon
