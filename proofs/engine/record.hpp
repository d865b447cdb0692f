/// \file
/// What came of one law in one arithmetic: the line that tests assert, the command prints and the reports
/// show.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace etalon {

struct Record {
  std::string entry, family, kind, law, statement, scalar, limit_entry;
  bool holds = false;
  bool undecided = false;  // a form of the law cannot be read in this arithmetic; it does not hold either
  long cases = 0;          // cases that were run
  long comparisons = 0;    // numbers that were compared
  long unbounded = 0;      // comparisons whose budget was infinite, which claim nothing
  double seconds = 0;
  double worst_fraction = 0;               // of an error budget
  double log2_error_probability = 0;       // that a false identity slipped through; 0 where exact or bounded
  std::map<std::string, double> measured;  // further numbers, such as the worst error in ulp
  std::string message;                     // of a failure: what differed
  std::string failing_case;                // the smallest failing case
  std::string reproduce;                   // the command that shows it again
};

nlohmann::json to_json(const Record& record);

}  // namespace etalon
