#include "proofs/engine/values.hpp"

#include <algorithm>
#include <numbers>

namespace etalon {
namespace {

std::uint64_t mix(std::uint64_t x) {  // the finaliser of splitmix64
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

double uniform(const ValueKey& key, std::uint64_t stream) {  // in (0, 1)
  return (static_cast<double>(hash(key, stream) >> 12) + 0.5) * 0x1p-52;
}

Index integer(const ValueKey& key, std::uint64_t stream, Index low, Index high) {
  return low + static_cast<Index>(hash(key, stream) % static_cast<std::uint64_t>(high - low + 1));
}

double normal(const ValueKey& key) {  // Box and Muller
  return std::sqrt(-2 * std::log(uniform(key, 1))) * std::cos(2 * std::numbers::pi * uniform(key, 2));
}

bool is_gate(Domain domain) {
  return domain == Domain::gate || domain == Domain::open_gate;
}

bool may_vanish(Domain domain) {
  return domain == Domain::any || domain == Domain::gate || domain == Domain::logit;
}

}  // namespace

std::string_view to_string(Domain domain) {
  switch (domain) {
    case Domain::any:
      return "any number";
    case Domain::nonzero:
      return "not 0";
    case Domain::gate:
      return "in [0, 1]";
    case Domain::open_gate:
      return "in (0, 1]";
    case Domain::positive:
      return "above 0";
    case Domain::logit:
      return "any number; an integer in RationalExp2";
  }
  return "";
}

std::string_view to_string(Pattern pattern) {
  switch (pattern) {
    case Pattern::generic:
      return "generic";
    case Pattern::ties:
      return "ties";
    case Pattern::zeros:
      return "zeros";
    case Pattern::ones:
      return "ones";
    case Pattern::extremes:
      return "extremes";
  }
  return "";
}

std::uint64_t hash(const ValueKey& key, std::uint64_t stream) {
  std::uint64_t state = mix(key.seed);
  for (const char letter : key.name) state = mix(state ^ static_cast<unsigned char>(letter));
  state = mix(state ^ static_cast<std::uint64_t>(key.position));
  return mix(state ^ stream);
}

bool is_special(const ValueKey& key, Pattern pattern) {
  return pattern == Pattern::ones || pattern == Pattern::ties ||
         (pattern == Pattern::zeros && hash(key, 3) % 2 == 0);
}

double draw_real(const ValueKey& key, Domain domain, Pattern pattern) {
  if (is_special(key, pattern)) {
    const Ratio ratio = draw_ratio(key, domain, pattern);
    return static_cast<double>(ratio.numerator) / static_cast<double>(ratio.denominator);
  }
  if (is_gate(domain)) {
    const double gate = uniform(key, 1);
    return pattern == Pattern::extremes ? std::pow(gate, 20) : gate;
  }
  double value = normal(key);
  if (pattern == Pattern::extremes) {
    value *= domain == Domain::logit ? 8.0 : std::exp2(static_cast<double>(integer(key, 4, -12, 12)));
  }
  return domain == Domain::positive ? std::abs(value) : value;
}

Ratio draw_ratio(const ValueKey& key, Domain domain, Pattern pattern) {
  if (pattern == Pattern::ones) return {1, 1};
  if (pattern == Pattern::zeros && may_vanish(domain) && is_special(key, pattern)) {
    return {is_gate(domain) ? integer(key, 5, 0, 1) : 0, 1};
  }
  if (is_gate(domain)) {
    const Index steps = pattern == Pattern::ties ? 2 : 8;
    return {integer(key, 5, domain == Domain::gate ? 0 : 1, steps), steps};
  }
  const Index largest = pattern == Pattern::ties ? 1 : domain == Domain::logit ? 2 : 9;
  const Index denominator = domain == Domain::logit || pattern == Pattern::ties ? 1 : integer(key, 6, 1, 4);
  Index numerator = integer(key, 5, domain == Domain::positive ? 1 : -largest, largest);
  if (domain == Domain::nonzero && numerator == 0) numerator = 1;
  return {numerator, denominator};
}

}  // namespace etalon
