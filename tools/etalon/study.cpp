/// \file
/// `etalon study NAME`: runs a study, the tables and plots of one page of the report.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>

#include "proofs/engine/study.hpp"
#include "tools/etalon/commands.hpp"
#include "tools/etalon/common.hpp"

namespace etalon {
namespace {

struct StudyOptions {
  std::string name;
  std::string data = std::string(ETALON_SOURCE_DIR) + "/tests/data";
  std::string json;
};

const Study& study_named(const std::string& name) {
  std::vector<std::string> known;
  for (const Study& study : studies()) {
    if (study.name == name) return study;
    known.push_back(study.name);
  }
  refuse("study", name,
         known.empty() ? "the name of a study, but there is none" : "one of: " + listed(known));
}

std::string cell(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? fmt::format("{:.6g}", value.get<double>()) : value.dump();
}

void print_table(const nlohmann::json& block) {
  std::string line;
  for (const auto& column : block.at("columns")) line += (line.empty() ? "" : " | ") + cell(column);
  fmt::print("{}\n", line);
  for (const auto& row : block.at("rows")) {
    line.clear();
    for (const auto& value : row) line += (line.empty() ? "" : " | ") + cell(value);
    fmt::print("{}\n", line);
  }
}

void print(const nlohmann::json& page) {
  fmt::print("{}\n\n{}\n", page.value("title", ""), page.value("summary", ""));
  for (const auto& block : page.value("blocks", nlohmann::json::array())) {
    const std::string kind = block.value("kind", "");
    fmt::print("\n");
    if (kind == "text") fmt::print("{}\n", block.value("text", ""));
    if (kind == "text") continue;
    fmt::print("{}\n", block.value("title", ""));
    if (block.contains("note")) fmt::print("{}\n", block.value("note", ""));
    if (kind == "table") print_table(block);
    if (kind == "plot") {
      fmt::print("(a plot of {}; its numbers are in the JSON)\n",
                 counted(static_cast<long>(block.at("series").size()), "curve"));
    }
  }
}

int run_study(const StudyOptions& options) {
  const Study& study = study_named(options.name);
  if (!std::filesystem::is_directory(options.data)) {
    refuse("--data", options.data + ", which is no directory", "the directory of the test data");
  }
  JsonLines json(options.json);
  ProgressBar bar;
  const nlohmann::json page = study.run(
      options.data, [&](int done, int total, const std::string& doing) { bar.show(done, total, doing); });
  bar.clear();
  json.write(page);
  if (!json.owns_standard_output()) print(page);
  return kGood;
}

}  // namespace

void add_study(CLI::App& program, int& status) {
  const auto options = std::make_shared<StudyOptions>();
  CLI::App* command = program.add_subcommand("study", "run a study: measurements for one page of the report");
  command->add_option("NAME", options->name, "which study; etalon list shows them")->required();
  command
      ->add_option("--data", options->data, "directory of the test data; that of the sources when left out")
      ->type_name("DIR");
  add_json_option(*command, options->json);
  command->callback([options, &status] { status = run_study(*options); });
}

}  // namespace etalon
