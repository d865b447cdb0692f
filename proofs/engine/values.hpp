/// \file
/// The numbers that a case is made of. A value is a hash of (seed, name, position): nothing is stored, so a
/// case is its own reproduction line, and a smaller case keeps the values that it shares with the larger one.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "proofs/engine/scalars.hpp"

namespace etalon {

/// Which numbers an input may hold.
enum class Domain {
  any,        ///< every number
  nonzero,    ///< every number but 0, for what gets divided by
  gate,       ///< between 0 and 1, both included
  open_gate,  ///< between 0 (excluded) and 1
  positive,   ///< above 0
  logit,      ///< a factor of an exponent: an integer where exp means 2^x, else any number
};

/// How the values of a case are drawn. Most faults hide behind a value that nobody tried.
enum class Pattern {
  generic,   ///< in general position
  ties,      ///< few distinct values, so that maxima and sums coincide
  zeros,     ///< many exact zeros; gates exactly 0 and exactly 1 among others
  ones,      ///< every value 1
  extremes,  ///< magnitudes from tiny to huge side by side
};

inline constexpr int kPatternCount = 5;
std::string_view to_string(Domain domain);
std::string_view to_string(Pattern pattern);

/// Where the hash of one value starts from.
struct ValueKey {
  std::uint64_t seed = 0;
  std::string_view name;
  Index position = 0;
};

/// 64 well-mixed bits; `stream` tells apart the bits that one value needs.
std::uint64_t hash(const ValueKey& key, std::uint64_t stream);

/// True where the pattern asks for one of its special values instead of one in general position.
bool is_special(const ValueKey& key, Pattern pattern);

/// A real number of a domain, for every number type that approximates the reals.
double draw_real(const ValueKey& key, Domain domain, Pattern pattern);

/// A small rational, as numerator over denominator; denominator 1 for logits.
struct Ratio {
  Index numerator = 0;
  Index denominator = 1;
};
Ratio draw_ratio(const ValueKey& key, Domain domain, Pattern pattern);

/// A value in the arithmetic T. In `PrimeField` generic values are uniform over the whole field, whatever the
/// domain: that is what the Schwartz-Zippel lemma asks for.
template <class T>
T draw(const ValueKey& key, Domain domain, Pattern pattern) {
  if constexpr (std::is_same_v<T, PrimeField>) {
    if (!is_special(key, pattern)) return PrimeField(static_cast<Index>(hash(key, 7) >> 3));
    const Ratio ratio = draw_ratio(key, domain, pattern);
    return PrimeField(ratio.numerator) / PrimeField(ratio.denominator);
  } else if constexpr (std::is_same_v<T, Rational> || std::is_same_v<T, RationalExp2>) {
    const Ratio ratio = draw_ratio(key, domain, pattern);
    return T(ratio.numerator) / T(ratio.denominator);
  } else {
    return T(draw_real(key, domain, pattern));
  }
}

}  // namespace etalon
