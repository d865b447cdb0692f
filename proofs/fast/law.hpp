/// \file
/// `fast` laws: a core of the fast path agrees with the text of an entry that it serves.
///
/// The engine draws the case. Its inputs are rounded to float32, so that text and core are given the same
/// numbers; the text is read in double, the core runs in float32, and every result of the core must lie
/// within the budget that is derived for its order of operations. Whatever the core is given that the text
/// itself computes (rotated keys, rates, a discretised system) is rounded to float32 on the way, and the
/// budget says so. The arithmetic that is judged is float32, which is why these laws are variants in `float`.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "proofs/engine/entry.hpp"

namespace etalon::fast_laws {

/// A case of a `fast` law: inputs that are numbers of float32, in the type of the text.
using CoreTrial = Trial<double>;

/// Registers a `fast` law at an entry.
struct FastLaw {
  /// \param stretch for some sizes, by how much more the core gets: a drawn size s becomes a drawn one from s
  /// to s + stretch (s - 1). Sizes of entries are small, because exact arithmetic is slow; tiles and vectors
  /// of the core are wider. 1 stays 1, so that a failing case still gets small.
  FastLaw(const std::string& entry, std::string name, std::string statement,
          std::map<std::string, Index> stretch, void (*body)(CoreTrial&));
};

/// Every result of the core lies within its budget of what the text says. Keeps the largest fraction of it.
/// \param actual what the core gave, \param expected what the text says, \param budget for each element
void agree(CoreTrial& trial, const std::string& result, const Array<double>& actual,
           const Array<double>& expected, const Array<double>& budget);

/// The nearest numbers of float32.
Array<double> in_float32(Array<double> numbers);
double in_float32(double number);

/// What the text of the law's entry says. A law runs it after the core.
Arrays<double> text_of(const CoreTrial& trial, const std::string& form, const Arrays<double>& in,
                       const Settings& settings);
Arrays<double> text_of(const CoreTrial& trial, const std::string& form);

/// While it lives, something is wrong on purpose: the tests show with it that every law can fail.
class SeededFault {
 public:
  /// The last element of a result of the core that has a budget is moved away from the text by a multiple of
  /// its budget.
  static SeededFault of_result(std::string name, double budgets) { return {std::move(name), budgets}; }
  /// The text is given another input than the core: three quarters of every number and a tenth.
  static SeededFault of_input(std::string name) { return {std::move(name), 0}; }

  ~SeededFault();
  SeededFault(const SeededFault&) = delete;
  SeededFault& operator=(const SeededFault&) = delete;

  /// By how many budgets a result of that name is moved; 0 for none.
  static double budgets_of(const std::string& result);
  /// The inputs of the text.
  static Arrays<double> changed(Arrays<double> in);

 private:
  SeededFault(std::string name, double budgets);
  std::string name_;
  double budgets_;  // 0 where an input is changed
};

/// What `agree` calls the largest fraction of a budget that a result used, among the numbers of a record.
std::string fraction_of(const std::string& result);

}  // namespace etalon::fast_laws
