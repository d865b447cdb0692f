/// \file
/// `Counted<T>`: a number that counts the operations done with it, so that the cost of a text is known
/// exactly and without a stopwatch.
///
/// Convention. A value made from an integer is a literal of the text. Free are
/// - every operation with a literal 0 or 1 that needs no arithmetic: 0 + x, x + 0, x - 0, 0 - x (a negation),
/// 0 * x
///   and 0 / x (a literal 0 again), 1 * x, x / 1;
/// - every operation and function of literals alone: T(1) / T(2) is a constant, and a literal itself;
/// - negation.
///
/// Any other literal costs like data: 2 * x and (-1) * x are multiplications. A comparison of data with a
/// literal counts, whichever literal it is.
#pragma once

#include <concepts>
#include <cstdint>
#include <ostream>

#include "reference/scalar/concepts.hpp"

namespace etalon {

/// How many operations of each kind were done.
struct OperationCounts {
  std::int64_t multiplications = 0;
  std::int64_t additions = 0;  ///< and subtractions
  std::int64_t divisions = 0;
  std::int64_t exponentials = 0;  ///< exp and expm1
  std::int64_t functions = 0;     ///< log, log1p, sqrt, sin, cos, atan and tanh
  std::int64_t comparisons = 0;   ///< and maxima

  /// All operations, each counted as one.
  std::int64_t total() const {
    return multiplications + additions + divisions + exponentials + functions + comparisons;
  }

  friend bool operator==(const OperationCounts&, const OperationCounts&) = default;

  friend OperationCounts operator-(const OperationCounts& a, const OperationCounts& b) {
    return {.multiplications = a.multiplications - b.multiplications,
            .additions = a.additions - b.additions,
            .divisions = a.divisions - b.divisions,
            .exponentials = a.exponentials - b.exponentials,
            .functions = a.functions - b.functions,
            .comparisons = a.comparisons - b.comparisons};
  }

  friend std::ostream& operator<<(std::ostream& out, const OperationCounts& c) {
    return out << c.multiplications << " multiplications, " << c.additions << " additions, " << c.divisions
               << " divisions, " << c.exponentials << " exponentials, " << c.functions << " other functions, "
               << c.comparisons << " comparisons";
  }
};

/// All operations that this thread has counted so far. `CountOperations` reads a section of it.
inline OperationCounts& operations_of_this_thread() {
  thread_local OperationCounts counts;
  return counts;
}

/// Counts the operations from its construction on: `CountOperations scope; ...; scope.counts()`. Scopes nest.
class CountOperations {
 public:
  CountOperations() : start_(operations_of_this_thread()) {}

  OperationCounts counts() const { return operations_of_this_thread() - start_; }

 private:
  OperationCounts start_;
};

/// A `T` that counts what is done with it. It has the operations that `T` has.
template <Ring T>
class Counted {
 public:
  /// A literal 0.
  Counted() : Counted(0) {}

  /// A literal of the text.
  template <std::integral Integer>
  explicit Counted(Integer literal) : value_(T(static_cast<std::int64_t>(literal))), literal_(true) {}

  /// Data.
  explicit Counted(const T& data) : value_(data), literal_(false) {}

  /// The result of an operation or function of the text, for number types built on this one.
  static Counted result(const T& value, bool literal) {
    Counted made(value);
    made.literal_ = literal;
    return made;
  }

  const T& value() const { return value_; }
  bool is_literal() const { return literal_; }
  bool is_literal(std::int64_t number) const { return literal_ && value_ == T(number); }

  explicit operator double() const { return static_cast<double>(value_); }

  Counted operator-() const { return result(-value_, literal_); }

  friend Counted operator+(const Counted& a, const Counted& b) {
    if (a.is_literal(0)) return b;
    if (b.is_literal(0)) return a;
    const bool constant = a.literal_ && b.literal_;
    if (!constant) ++operations_of_this_thread().additions;
    return result(a.value_ + b.value_, constant);
  }

  friend Counted operator-(const Counted& a, const Counted& b) {
    if (a.is_literal(0)) return -b;
    if (b.is_literal(0)) return a;
    const bool constant = a.literal_ && b.literal_;
    if (!constant) ++operations_of_this_thread().additions;
    return result(a.value_ - b.value_, constant);
  }

  friend Counted operator*(const Counted& a, const Counted& b) {
    if (a.is_literal(1)) return b;
    if (b.is_literal(1)) return a;
    const bool constant = (a.literal_ && b.literal_) || a.is_literal(0) || b.is_literal(0);
    if (!constant) ++operations_of_this_thread().multiplications;
    return result(a.value_ * b.value_, constant);
  }

  friend Counted operator/(const Counted& a, const Counted& b) requires Field<T> {
    if (b.is_literal(1)) return a;
    const bool constant = (a.literal_ && b.literal_) || a.is_literal(0);
    if (!constant) ++operations_of_this_thread().divisions;
    return result(a.value_ / b.value_, constant);
  }

  Counted& operator+=(const Counted& b) { return *this = *this + b; }
  Counted& operator-=(const Counted& b) { return *this = *this - b; }
  Counted& operator*=(const Counted& b) { return *this = *this * b; }
  Counted& operator/=(const Counted& b) requires Field<T> { return *this = *this / b; }

  friend bool operator==(const Counted& a, const Counted& b) {
    count_comparison(a, b);
    return a.value_ == b.value_;
  }
  friend bool operator<(const Counted& a, const Counted& b) requires OrderedField<T> {
    count_comparison(a, b);
    return a.value_ < b.value_;
  }
  friend bool operator>(const Counted& a, const Counted& b) requires OrderedField<T> { return b < a; }
  friend bool operator<=(const Counted& a, const Counted& b) requires OrderedField<T> {
    count_comparison(a, b);
    return a.value_ <= b.value_;
  }
  friend bool operator>=(const Counted& a, const Counted& b) requires OrderedField<T> { return b <= a; }

 private:
  static void count_comparison(const Counted& a, const Counted& b) {
    if (!(a.literal_ && b.literal_)) ++operations_of_this_thread().comparisons;
  }

  T value_;
  bool literal_;
};

/// The larger of two numbers; one comparison. That of a literal and data is data, whichever is larger, so
/// that a count never depends on the values.
template <OrderedField T>
Counted<T> maximum(const Counted<T>& a, const Counted<T>& b) {
  return Counted<T>::result(a < b ? b.value() : a.value(), a.is_literal() && b.is_literal());
}

/// e^x (or 2^x, where `T` reads it so); one exponential.
template <Exponential T>
Counted<T> exp(const Counted<T>& x) {
  if (!x.is_literal()) ++operations_of_this_thread().exponentials;
  return Counted<T>::result(exp(x.value()), x.is_literal());
}

/// e^x - 1; one exponential.
template <Real T>
Counted<T> expm1(const Counted<T>& x) {
  if (!x.is_literal()) ++operations_of_this_thread().exponentials;
  return Counted<T>::result(expm1(x.value()), x.is_literal());
}

/// The result of a function other than an exponential, counted as one.
template <Real T>
Counted<T> counted_function(const Counted<T>& x, const T& value) {
  if (!x.is_literal()) ++operations_of_this_thread().functions;
  return Counted<T>::result(value, x.is_literal());
}

template <Real T>
Counted<T> log(const Counted<T>& x) {
  return counted_function(x, T(log(x.value())));
}
template <Real T>
Counted<T> log1p(const Counted<T>& x) {
  return counted_function(x, T(log1p(x.value())));
}
template <Real T>
Counted<T> sqrt(const Counted<T>& x) {
  return counted_function(x, T(sqrt(x.value())));
}
template <Real T>
Counted<T> sin(const Counted<T>& x) {
  return counted_function(x, T(sin(x.value())));
}
template <Real T>
Counted<T> cos(const Counted<T>& x) {
  return counted_function(x, T(cos(x.value())));
}
template <Real T>
Counted<T> atan(const Counted<T>& x) {
  return counted_function(x, T(atan(x.value())));
}
template <Real T>
Counted<T> tanh(const Counted<T>& x) {
  return counted_function(x, T(tanh(x.value())));
}

/// Whether the value is a finite number; looking costs nothing.
template <Ring T>
bool isfinite(const Counted<T>& x) {
  return finite(x.value());
}

}  // namespace etalon
