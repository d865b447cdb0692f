/// \file
/// What the budgets of the fast path's cores share.
///
/// A budget is derived, never chosen. With the unit roundoff u = 2^-24 of float32, a sum of products whose
/// every term meets at most k roundings on its way from input to output, in any order, is off by at most
/// gamma_k M, where gamma_k = k u / (1 - k u) and the majorant M is the same sum with the absolute values of
/// its terms
/// (\cite higham2002accuracy, section 3.1). Each core's budget header says what its k is and what else can go
/// wrong. The text is evaluated in float64, where the same budget is 2^29 times smaller; `allowed` makes room
/// for that.
#pragma once

#include <cstdint>

namespace etalon::fast_laws {

/// Unit roundoff of float32.
inline constexpr double kUnit = 0x1p-24;

/// Results below this may be 0 instead: the smallest normal number of float32.
inline constexpr double kFlush = 0x1p-126;

/// gamma_k for float32. \param roundings k, below 2^23
inline double gamma(std::int64_t roundings) {
  const double ku = static_cast<double>(roundings) * kUnit;
  return ku / (1 - ku);
}

/// How far a result may be from the text's, whose own roundings come on top of the budget.
inline double allowed(double budget) {
  return budget * (1 + 0x1p-28);
}

}  // namespace etalon::fast_laws
