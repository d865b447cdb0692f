/// \file
/// Detection power: could these inputs have told a mutant from the true text? A budget for rounding errors
/// can hide a small fault, and inputs may never reach it; then a passing comparison says nothing about that
/// fault.
///
/// A mutant is *excluded* by a case under a rounding profile when some element of some output of some form
/// differs from the true text by more than the true text's budget under that profile plus its budget in
/// double precision, which covers the roundings of the mutant's own run. A kernel with the mutant's fault
/// would then be rejected even if it made no rounding error at all.
#pragma once

#include <array>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "proofs/engine/entry.hpp"

namespace etalon {

/// What the forms of an entry give for one case in double precision, by the name of the form. A form that
/// refuses the case has a message instead.
struct CaseOutputs {
  std::map<std::string, Arrays<double>> outputs;
  std::map<std::string, std::string> refusals;
};

/// True when some form computes in floating point, so that its outputs have error budgets. Orders of integers
/// have none.
bool has_budgets(const Entry& entry);

/// Runs every form that can be read in double precision, backward forms with drawn gradients of the outputs.
CaseOutputs outputs_in_double(const Entry& entry, const Case& one);

/// How the outputs travel from a mutant's program to the one that judges them; infinities and NaN become
/// null.
nlohmann::json to_json(const CaseOutputs& outputs);
/// \throws nlohmann::json::exception for what `to_json` did not write
CaseOutputs case_outputs(const nlohmann::json& json);

/// One case, and what the true text gives for it.
class Detection {
 public:
  Detection(const Entry& entry, const Case& one);

  /// For each mutant, whether its outputs are excluded under a profile.
  /// \param profile one of `kDetectionProfiles`
  /// \throws std::invalid_argument for another name
  std::vector<bool> excluded(std::string_view profile, const std::vector<CaseOutputs>& mutants) const;

 private:
  using Budgeted = Arrays<Bounded<Real50>>;
  std::map<std::string, Budgeted> true_outputs(const RoundingProfile& profile) const;
  bool excludes(const std::map<std::string, Budgeted>& truth, const CaseOutputs& mutant) const;

  const Entry& entry_;
  Case case_;
  std::map<std::string, Budgeted> in_double_;  // by form; one that refuses the case is not there
};

/// The profiles that detection power is reported for, the finest first.
inline constexpr std::array kDetectionProfiles{scalar_name<float>, scalar_name<Mixed<BFloat16, float>>,
                                               scalar_name<Float16>, scalar_name<BFloat16>,
                                               scalar_name<E4M3>};

}  // namespace etalon
