/// \file
/// `etalon verify`: decides laws, says what came of each, and how to see a failure again.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <set>

#include "proofs/engine/runner.hpp"
#include "tools/etalon/commands.hpp"
#include "tools/etalon/common.hpp"

namespace etalon {
namespace {

struct VerifyOptions {
  Selection selection;
  RunOptions run;
  bool fail_fast = false;
  std::string json;
};

/// The number type that the word means; the word itself for what only a law knows, such as "fixed".
std::string scalar_meant(const std::string& word) {
  for (const std::string_view name : kScalarNames) {
    if (same_word(name, word)) return std::string(name);
  }
  return word;
}

void require_kind(const std::string& word) {
  std::vector<std::string> kinds;
  for (int i = 0; i <= static_cast<int>(Kind::example); ++i)
    kinds.emplace_back(to_string(static_cast<Kind>(i)));
  if (std::find(kinds.begin(), kinds.end(), word) == kinds.end()) {
    refuse("--kind", word, "one of: " + listed(kinds));
  }
}

/// A case is what the user typed: all sizes must be there, in range, and nothing else.
void require_case(const Entry& entry, const Case& one) {
  std::vector<std::string> known;
  for (const Size& size : entry.sizes) {
    known.push_back(size.name);
    const auto given = one.settings.find(size.name);
    if (given == one.settings.end()) {
      refuse("--case", "without " + size.name, "a value for every size of " + entry.name);
    }
    if (given->second < 1) refuse("--case: " + size.name, std::to_string(given->second), "1 or more");
  }
  for (const Parameter& parameter : entry.parameters) {
    known.push_back(parameter.name);
    const auto given = one.settings.find(parameter.name);
    if (given == one.settings.end()) continue;
    const Settings all = entry.with_defaults(one.settings);
    const Index low = parameter.low(all), high = std::max(low, parameter.high(all));
    if (given->second < low || given->second > high) {
      refuse("--case: " + parameter.name, std::to_string(given->second),
             fmt::format("{}, here from {} to {}", range_text(parameter), low, high));
    }
  }
  for (const auto& [name, value] : one.settings) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      refuse("--case", "with " + name, "only values, seed, " + listed(known) + " of " + entry.name);
    }
  }
}

/// With a case, the laws that are tried on cases.
std::vector<Chosen> chosen_laws(const VerifyOptions& options) {
  std::vector<Chosen> chosen = choose(options.selection);
  if (options.run.only_case.empty()) return chosen;
  const Case one = parse_case(options.run.only_case);
  std::erase_if(chosen, [](const Chosen& each) { return !each.variant->draws; });
  if (chosen.empty())
    throw Refusal("--case: the chosen laws are fixed checks, expected one that is tried on cases");
  for (const Chosen& each : chosen) require_case(*each.entry, one);
  return chosen;
}

/// How sure a law that holds is.
std::string certainty(const Record& record) {
  if (record.unbounded > 0 && record.unbounded == record.comparisons)
    return "claims nothing: no finite budget";
  if (record.log2_error_probability < 0)
    return fmt::format("wrong below 2^{:.0f}", record.log2_error_probability);
  if (record.worst_fraction > 0) return fmt::format("{:.2g} of the budget", record.worst_fraction);
  return "exact";
}

void print(const Record& record) {
  fmt::print("  {:6} {:11} {:44} {:24} {:>14} {:7.2f} s  {}\n", record.holds ? "ok" : "FAILED", record.kind,
             record.law, record.scalar, counted(record.cases, "case"), record.seconds,
             record.holds ? certainty(record) : "");
  if (record.holds) return;
  fmt::print("         {}\n", record.message);
  if (!record.failing_case.empty()) fmt::print("         smallest case: {}\n", record.failing_case);
  fmt::print("         {}\n", record.reproduce);
}

/// What all laws together came to.
struct Summary {
  std::set<std::pair<std::string, std::string>> laws;
  long checks = 0, failures = 0, cases = 0;

  void add(const Record& record) {
    laws.insert({record.entry, record.law});
    ++checks;
    failures += record.holds ? 0 : 1;
    cases += record.cases;
  }
};

int verify(VerifyOptions options) {
  if (!options.selection.scalar.empty()) options.selection.scalar = scalar_meant(options.selection.scalar);
  if (!options.selection.kind.empty()) require_kind(options.selection.kind);
  const std::vector<Chosen> chosen = chosen_laws(options);
  const auto start = std::chrono::steady_clock::now();
  JsonLines json(options.json);
  ProgressBar bar;
  Summary summary;
  const Entry* group = nullptr;
  for (const Chosen& each : chosen) {
    bar.show(summary.checks, static_cast<long>(chosen.size()),
             each.entry->name + ": " + each.law->name + " in " + each.variant->scalar);
    const Record record = run_law(*each.entry, *each.law, *each.variant, options.run);
    summary.add(record);
    bar.clear();
    json.write(to_json(record));
    if (!json.owns_standard_output()) {
      if (each.entry != group) fmt::print("{}\n", each.entry->name);
      print(record);
      std::fflush(stdout);
    }
    group = each.entry;
    if (options.fail_fast && !record.holds) break;
  }
  if (!json.owns_standard_output()) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    fmt::print("{} in {}, {}, {:.1f} s: {}\n", counted(static_cast<long>(summary.laws.size()), "law"),
               counted(summary.checks, "check"), counted(summary.cases, "case"), seconds,
               summary.failures == 0 ? "all hold" : counted(summary.failures, "failure"));
  }
  return summary.failures == 0 ? kGood : kLawFailed;
}

}  // namespace

void add_verify(CLI::App& program, int& status) {
  const auto options = std::make_shared<VerifyOptions>();
  CLI::App* command =
      program.add_subcommand("verify", "decide laws; a failure comes with its reproduction line");
  command->add_option("NAME", options->selection.entries, "algorithms; all when left out");
  command->add_option("--law", options->selection.law, "only the law of this name");
  command->add_option("--kind", options->selection.kind, "only laws of this kind");
  command->add_option("--scalar", options->selection.scalar, "only in this number type");
  command->add_option("--case", options->run.only_case,
                      "only this case, such as \"n=4 d=2 values=ties seed=7\"");
  command->add_option("--seed", options->run.seed, "of the drawn cases")->capture_default_str();
  command->add_option("--effort", options->run.effort, "multiplies the number of drawn cases")
      ->check(CLI::Range(0.001, 1000.0))
      ->capture_default_str();
  command->add_flag("--fail-fast", options->fail_fast, "stop at the first failure");
  add_json_option(*command, options->json);
  command->callback([options, &status] { status = verify(*options); });
}

}  // namespace etalon
