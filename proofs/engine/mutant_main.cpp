/// \file
/// The program that a mutant becomes: runs the laws of the mutated entry until one catches the fault, and prints
/// which. Exit status 0 when a law caught it, 1 when it survived.
#include <iostream>
#include <nlohmann/json.hpp>

#include "proofs/engine/mutant.hpp"
#include "proofs/engine/runner.hpp"

namespace {

/// A mutant is meant to be caught by the mathematics, not by the one table of numbers that everybody tries.
bool may_catch(const etalon::Law& law) { return law.kind != etalon::Kind::example; }

}  // namespace

int main() {
  using namespace etalon;
  try {
    nlohmann::json result{{"entry", mutated_entry()}, {"caught", false}};
    RunOptions options;
    options.effort = 0.25;
    for (const Chosen& chosen : choose({.entries = {mutated_entry()}, .law = "", .kind = "", .scalar = ""})) {
      if (!may_catch(*chosen.law)) continue;
      const Record record = run_law(*chosen.entry, *chosen.law, *chosen.variant, options);
      if (record.holds) continue;
      result["caught"] = true;
      result["law"] = record.law;
      result["kind"] = record.kind;
      result["scalar"] = record.scalar;
      result["message"] = record.message;
      result["failing_case"] = record.failing_case;
      break;
    }
    std::cout << result.dump() << '\n';
    return result["caught"] ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "mutant: " << error.what() << '\n';
    return 2;
  }
}
