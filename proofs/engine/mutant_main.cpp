/// \file
/// The program that a mutant becomes: runs the laws of the mutated entry until one catches the fault, and
/// prints which. Exit status 0 when a law caught it, 1 when it survived. With `--outputs "case"` it prints
/// what its forms give for that case instead.
#include <unistd.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "proofs/engine/detection.hpp"
#include "proofs/engine/mutant.hpp"
#include "proofs/engine/runner.hpp"

namespace etalon {
namespace {

/// What the laws say of the mutant: the first one that catches it, or that none does.
nlohmann::json verdict() {
  nlohmann::json result{{"entry", mutated_entry()}, {"caught", false}};
  RunOptions options;
  options.effort = 0.25;
  for (const Chosen& chosen : choose({.entries = {mutated_entry()}, .law = "", .kind = "", .scalar = ""})) {
    const Record record = run_law(*chosen.entry, *chosen.law, *chosen.variant, options);
    if (record.holds || record.undecided) continue;
    result["caught"] = true;
    result["law"] = record.law;
    result["kind"] = record.kind;
    result["scalar"] = record.scalar;
    result["message"] = record.message;
    result["failing_case"] = record.failing_case;
    break;
  }
  return result;
}

/// Seconds after which a mutant is taken for one that never ends: a fault may turn a loop into an endless
/// one.
constexpr unsigned kPatience = 300;

int run(int argc, char** argv) {
  ::alarm(kPatience);  // ends the program by a signal, which whoever runs it reports
  if (argc == 3 && std::string_view(argv[1]) == "--outputs") {
    const Entry& entry = Registry::instance().entry(mutated_entry());
    std::cout << to_json(outputs_in_double(entry, parse_case(argv[2]))).dump() << '\n';
    return 0;
  }
  const bool control = argc == 2 && std::string_view(argv[1]) == "--control";
  if (argc != 1 && !control) {
    throw std::invalid_argument("unknown arguments, expected none, --control or --outputs \"case\"");
  }
  const nlohmann::json result = verdict();
  std::cout << result.dump() << '\n';
  return result["caught"] != control ? 0 : 1;  // the control is the true text: no law may object
}

}  // namespace
}  // namespace etalon

int main(int argc, char** argv) {
  try {
    return etalon::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "mutant: " << error.what() << '\n';
    return 2;
  }
}
