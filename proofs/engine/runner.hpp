/// \file
/// Runs laws on cases and says what came of it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proofs/engine/entry.hpp"
#include "proofs/engine/record.hpp"

namespace etalon {

struct RunOptions {
  std::uint64_t seed = 1;
  double effort = 1;      // multiplies the number of drawn shapes
  std::string only_case;  // when set: this one case, nothing drawn
};

/// Adds the laws that follow from every entry's registration (rounding, costs, influence of every input,
/// digits of the oracle). Called once, after all registrations; calling it again changes nothing.
void complete_entries();

/// Decides one law in one arithmetic.
Record run_law(const Entry& entry, const Law& law, const LawVariant& variant, const RunOptions& options);

/// Which laws to run; an empty field selects all.
struct Selection {
  std::vector<std::string> entries;
  std::string law, kind, scalar;
};

struct Chosen {
  const Entry* entry;
  const Law* law;
  const LawVariant* variant;
};

/// \throws std::invalid_argument for an unknown entry, or when nothing is selected
std::vector<Chosen> choose(const Selection& selection);

}  // namespace etalon
