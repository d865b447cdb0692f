#include "proofs/engine/check.hpp"

#include <cctype>

namespace etalon {

void Check::digits(const Real50& value, const std::string& printed, const std::string& what) {
  // The last printed digit stands for 10^-decimals; a decimal exponent moves it.
  const std::size_t exponent_at = printed.find_first_of("eE");
  const std::string mantissa = printed.substr(0, exponent_at);
  const std::size_t point = mantissa.find('.');
  const long decimals = point == std::string::npos ? 0 : static_cast<long>(mantissa.size() - point - 1);
  const long exponent = exponent_at == std::string::npos ? 0 : std::stol(printed.substr(exponent_at + 1));
  const Real50 half_unit = pow(Real50(10), Real50(exponent - decimals)) / 2;
  within(value, Real50(printed), static_cast<double>(half_unit), what);
}

void Check::merge(const Check& other) {
  comparisons_ += other.comparisons_;
  unbounded_ += other.unbounded_;
  worst_fraction_ = std::max(worst_fraction_, other.worst_fraction_);
  degree_ = std::max(degree_, other.degree_);
  for (const auto& [name, value] : other.measured_) measure(name, value);
}

}  // namespace etalon
