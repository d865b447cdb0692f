/// \file
/// `etalon list`: which algorithms there are, and what is known of each.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "proofs/engine/runner.hpp"
#include "proofs/engine/study.hpp"
#include "tools/etalon/commands.hpp"
#include "tools/etalon/common.hpp"

namespace etalon {
namespace {

/// "6 same, 2 invariant", in the order in which the entry has them.
std::string laws_by_kind(const Entry& entry) {
  std::vector<std::string> kinds;
  std::map<std::string, int> counts;
  for (const Law& law : entry.laws) {
    const std::string kind(to_string(law.kind));
    if (counts[kind]++ == 0) kinds.push_back(kind);
  }
  for (std::string& kind : kinds) kind = std::to_string(counts[kind]) + " " + kind;
  return listed(kinds);
}

void print(const Entry& entry) {
  std::vector<std::string> forms;
  for (const Form& form : entry.forms) forms.push_back(form.name);
  fmt::print("{}  ({})\n  {}\n  forms: {}\n  {}: {}\n\n", entry.name, entry.family, entry.title,
             listed(forms), counted(static_cast<long>(entry.laws.size()), "law"), laws_by_kind(entry));
}

int list(const std::string& json_path) {
  complete_entries();
  const std::vector<const Entry*> entries = Registry::instance().entries();
  JsonLines json(json_path);
  nlohmann::json all{{"entries", nlohmann::json::array()}, {"studies", nlohmann::json::array()}};
  for (const Entry* entry : entries) all["entries"].push_back(describe(*entry));
  for (const Study& study : studies())
    all["studies"].push_back({{"name", study.name}, {"title", study.title}});
  json.write(all);
  if (json.owns_standard_output()) return kGood;
  for (const Entry* entry : entries) print(*entry);
  for (const Study& study : studies()) fmt::print("study {}\n  {}\n", study.name, study.title);
  return kGood;
}

}  // namespace

void add_list(CLI::App& program, int& status) {
  const auto json_path = std::make_shared<std::string>();
  CLI::App* command =
      program.add_subcommand("list", "the algorithms: forms, and laws by kind; and the studies");
  add_json_option(*command, *json_path);
  command->callback([json_path, &status] { status = list(*json_path); });
}

}  // namespace etalon
