/// \file
/// Which cases a law is tried on: fixed corners first, then drawn ones, and how a failing one gets smaller.
#pragma once

#include <vector>

#include "proofs/engine/entry.hpp"

namespace etalon {

/// The corners that are always tried: every size 1, one token, chunk - 1 and chunk + 1 tokens, each parameter
/// at its ends, each pattern of values.
std::vector<Case> corner_cases(const Entry& entry, bool large);

/// A case in general position; everything in it follows from `seed`.
Case random_case(const Entry& entry, bool large, std::uint64_t seed);

/// Simpler variants of a case, the boldest first.
std::vector<Case> smaller_cases(const Entry& entry, const Case& one);

}  // namespace etalon
