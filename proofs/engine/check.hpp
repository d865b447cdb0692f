/// \file
/// What a law says while it runs: expectations that hold or break it, and numbers worth keeping.
#pragma once

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

#include "proofs/engine/arrays.hpp"
#include "proofs/engine/scalars.hpp"

namespace etalon {

/// Thrown by the first expectation that does not hold; the message says what differed, where, and by how
/// much.
class LawBroken : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A number as text, for messages: up to 20 digits.
template <class T>
std::string show(const T& x) {
  if constexpr (std::integral<T>) {
    return std::to_string(x);
  } else if constexpr (std::is_same_v<T, PrimeField>) {
    return std::to_string(x.value());
  } else if constexpr (std::is_same_v<T, RationalExp2>) {
    return x.value().str();
  } else if constexpr (std::is_same_v<T, Rational>) {
    return x.str();
  } else if constexpr (requires { x.re; }) {
    return show(x.re) + " + i " + show(x.im);
  } else if constexpr (requires { x.error_bound(); }) {
    return show(x.value());
  } else if constexpr (requires { x.str(); }) {
    return x.str(20);
  } else {
    std::ostringstream text;
    text << std::setprecision(17) << static_cast<double>(x);
    return text.str();
  }
}

/// Collects the expectations of one case.
class Check {
 public:
  /// \throws LawBroken with `what` unless it holds
  void expect(bool holds, const std::string& what) {
    ++comparisons_;
    if (!holds) throw LawBroken(what);
  }

  /// Two numbers are equal: exactly where the arithmetic decides that, else within the sum of their error
  /// bounds.
  template <class T>
  void equal(const T& left, const T& right, const std::string& what) {
    ++comparisons_;
    if constexpr (std::is_same_v<T, Degree>) {
      degree_ = std::max(degree_, degree_of_difference(left, right));
    } else if constexpr (requires { left.error_bound(); }) {
      within(left.value(), right.value(), left.error_bound() + right.error_bound(), what);
    } else if (!(left == right)) {
      throw LawBroken(what + ": " + show(left) + " is not " + show(right));
    }
  }

  template <class T>
  void equal(const Complex<T>& left, const Complex<T>& right, const std::string& what) {
    equal(left.re, right.re, what + ", real part");
    equal(left.im, right.im, what + ", imaginary part");
  }

  template <class T>
  void equal(const Array<T>& left, const Array<T>& right, const std::string& what) {
    if (left.shape() != right.shape()) {
      throw LawBroken(what + ": shape " + to_string(left.shape()) + " is not " + to_string(right.shape()));
    }
    for (Index i = 0; i < left.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      equal(left.values()[at], right.values()[at], what + ", element " + std::to_string(i));
    }
  }

  /// Every array that both sides have is equal, and there is at least one.
  template <class T>
  void equal(const Arrays<T>& left, const Arrays<T>& right, const std::string& what) {
    const std::size_t shared = equal_named(left.real, right.real, what) +
                               equal_named(left.complex, right.complex, what) +
                               equal_named(left.index, right.index, what);
    if (shared == 0) throw LawBroken(what + ": the two sides have no output in common");
  }

  /// |value - truth| is at most `budget`. Keeps the worst fraction of a budget that was used.
  template <class T>
  void within(const T& value, const T& truth, double budget, const std::string& what) {
    ++comparisons_;
    if (!std::isfinite(budget)) {  // an overflow is possible: nothing is claimed
      ++unbounded_;
      return;
    }
    using std::abs;
    const T error = abs(value - truth);
    if (!(error <= T(budget))) {  // written so that a NaN breaks the law
      throw LawBroken(what + ": " + show(value) + " differs from " + show(truth) + " by " + show(error) +
                      ", budget " + show(budget));
    }
    if (budget > 0) worst_fraction_ = std::max(worst_fraction_, static_cast<double>(T(error / T(budget))));
  }

  /// left <= right as far as their error bounds can tell.
  template <class T>
  void at_most(const Bounded<T>& left, const Bounded<T>& right, const std::string& what) {
    ++comparisons_;
    const double slack = upward::sum(left.error_bound(), right.error_bound());
    if (!std::isfinite(slack)) {  // an overflow is possible: nothing is claimed
      ++unbounded_;
      return;
    }
    if (!(left.value() <= right.value() + T(slack))) {
      throw LawBroken(what + ": " + show(left) + " is above " + show(right) +
                      ", their error bounds add up to " + show(slack));
    }
  }

  /// `value` rounds to the printed digits: it differs by at most half a unit in the last one.
  void digits(const Real50& value, const std::string& printed, const std::string& what);

  /// Keeps a number for the report: the largest one seen under this name.
  void measure(const std::string& name, double value) {
    const auto [place, inserted] = measured_.try_emplace(name, value);
    if (!inserted) place->second = std::max(place->second, value);
  }

  /// Adds what another case saw.
  void merge(const Check& other);

  long comparisons() const { return comparisons_; }
  long unbounded() const { return unbounded_; }
  double worst_fraction() const { return worst_fraction_; }
  double degree() const { return degree_; }
  const std::map<std::string, double>& measured() const { return measured_; }

 private:
  template <class Map>
  std::size_t equal_named(const Map& left, const Map& right, const std::string& what) {
    std::size_t shared = 0;
    for (const auto& [name, array] : left) {
      const auto other = right.find(name);
      if (other == right.end()) continue;
      equal(array, other->second, what.empty() ? name : what + ", " + name);
      ++shared;
    }
    return shared;
  }

  long comparisons_ = 0;
  long unbounded_ = 0;         // comparisons whose budget was infinite: they claim nothing
  double worst_fraction_ = 0;  // of a budget
  double degree_ = 0;          // largest degree of a difference that was compared
  std::map<std::string, double> measured_;
};

}  // namespace etalon
