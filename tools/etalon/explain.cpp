/// \file
/// `etalon explain NAME`: what an algorithm computes and where the text does it, read from the sources.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>

#include "proofs/engine/runner.hpp"
#include "tools/etalon/commands.hpp"
#include "tools/etalon/common.hpp"

namespace etalon {
namespace {

namespace fs = std::filesystem;

/// A symbol of the equation, and the lines of the text that carry it.
struct Symbol {
  std::string name;
  std::string meaning;
  std::vector<std::string> lines;  // "reference/.../name.hpp:81"
};

/// What stands in a text beside its code.
struct Text {
  std::string path;  // from the root of the sources
  std::vector<std::string> equations;
  std::vector<Symbol> symbols;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(fs::path(ETALON_SOURCE_DIR) / path);
  if (!file) {
    refuse("the source " + path, "not to be read below " ETALON_SOURCE_DIR,
           "the source tree that this program was built from");
  }
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// What a line of documentation says; nothing for a line of code.
std::optional<std::string> documentation(const std::string& line) {
  if (!line.starts_with("///")) return std::nullopt;
  return line.size() > 4 ? line.substr(4) : "";
}

/// The contents of the bracket that opens at `open`, as far as the one that closes it.
std::string bracketed(const std::string& text, std::size_t open, char closing) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == text[open]) ++depth;
    if (text[i] == closing && --depth == 0) return text.substr(open + 1, i - open - 1);
  }
  return "";
}

/// Each `\f[ ... \f]`, in LaTeX.
std::vector<std::string> equations_in(const std::vector<std::string>& lines) {
  std::string head;
  for (const std::string& line : lines) {
    const auto said = documentation(line);
    if (!said) break;
    head += *said + "\n";
  }
  std::vector<std::string> equations;
  for (std::size_t end = 0;;) {
    const std::size_t begin = head.find("\\f[", end);
    if (begin == std::string::npos) return equations;
    end = head.find("\\f]", begin);
    if (end == std::string::npos) return equations;
    equations.push_back(head.substr(begin + 3, end - begin - 3));
  }
}

std::vector<Symbol> symbols_in(const std::vector<std::string>& lines) {
  const std::string mark = "\\symbol";
  std::vector<Symbol> symbols;
  for (const std::string& line : lines) {
    const auto said = documentation(line);
    if (!said || !said->starts_with(mark + "{")) continue;
    const std::string name = bracketed(*said, mark.size(), '}');
    const std::size_t meaning = std::min(said->size(), mark.size() + name.size() + 3);
    symbols.push_back({name, said->substr(meaning), {}});
  }
  return symbols;
}

/// Finds the comments `// [S_t] [alpha_t]` behind lines of code.
void find_markers(Text& text, const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::size_t place = lines[i].find("// [");
    if (documentation(lines[i]) || place == std::string::npos) continue;
    place += 3;
    while (place < lines[i].size() && lines[i][place] == '[') {
      const std::string name = bracketed(lines[i], place, ']');
      for (Symbol& symbol : text.symbols) {
        if (symbol.name == name) symbol.lines.push_back(text.path + ":" + std::to_string(i + 1));
      }
      place += name.size() + 3;
    }
  }
}

Text text_of(const Entry& entry) {
  Text text;
  text.path = "reference/" + entry.family + "/" + entry.name + ".hpp";
  const std::vector<std::string> lines = lines_of(text.path);
  text.equations = equations_in(lines);
  text.symbols = symbols_in(lines);
  find_markers(text, lines);
  return text;
}

/// The first paragraph of the chapter, after the heading and the links to its sources, if there is a chapter.
std::string chapter_opening(const std::string& path) {
  if (!fs::exists(fs::path(ETALON_SOURCE_DIR) / path)) return "";
  std::string paragraph;
  for (const std::string& line : lines_of(path)) {
    if (!line.empty() && !line.starts_with("#")) {
      paragraph += line + "\n";
    } else if (paragraph.starts_with("Text: [")) {
      paragraph.clear();
    } else if (!paragraph.empty()) {
      break;
    }
  }
  return paragraph;
}

void print_text(const Text& text) {
  fmt::print("Equation (LaTeX)\n");
  for (const std::string& equation : text.equations) fmt::print(" {}\n", equation);
  fmt::print("\nSymbols, and the lines that carry them\n");
  for (const Symbol& symbol : text.symbols) {
    fmt::print("  {:12} {}\n", symbol.name, symbol.meaning);
    for (const std::string& line : symbol.lines) fmt::print("  {:12}   {}\n", "", line);
  }
}

void print_entry(const Entry& entry) {
  fmt::print("\nForms of {}\n", entry.name);
  for (const Form& form : entry.forms) {
    fmt::print("  {:20} {} ({}{})\n", form.name, form.meaning, form.backward ? "backward; " : "",
               concept_of(form));
  }
  fmt::print("\nInputs\n");
  for (const Input& input : entry.inputs) {
    fmt::print("  {:20} {}, {}; {}: {}\n", input.name, shape_text(input.shape), to_word(input),
               to_string(input.domain), input.meaning);
  }
  for (const Parameter& parameter : entry.parameters) {
    fmt::print("  {:20} {}, {} when left out: {}\n", parameter.name, range_text(parameter),
               parameter.standard, parameter.meaning);
  }
  fmt::print("\nOutputs\n");
  for (const Output& output : entry.outputs) {
    fmt::print("  {:20} {}: {}\n", output.name, shape_text(output.shape), output.meaning);
  }
  fmt::print("\nLaws\n");
  for (const Law& law : entry.laws) fmt::print("  {:12} {}\n", to_string(law.kind), law.statement);
}

int explain(const std::string& name, const std::string& json_path) {
  complete_entries();
  const Entry& entry = Registry::instance().entry(name);
  const Text text = text_of(entry);
  const std::string chapter = "docs/" + entry.family + "/" + entry.name + ".md";
  const std::string opening = chapter_opening(chapter);
  JsonLines json(json_path);
  nlohmann::json symbols = nlohmann::json::array();
  for (const Symbol& symbol : text.symbols) {
    symbols.push_back({{"name", symbol.name}, {"meaning", symbol.meaning}, {"lines", symbol.lines}});
  }
  nlohmann::json all = describe(entry);
  all["text"] = {{"path", text.path}, {"equations", text.equations}, {"symbols", symbols}};
  all["chapter"] =
      opening.empty() ? nlohmann::json(nullptr) : nlohmann::json{{"path", chapter}, {"opening", opening}};
  json.write(all);
  if (json.owns_standard_output()) return kGood;
  fmt::print("{}\n{}\n\n{}\nSource: {}\n\n", entry.title, std::string(entry.title.size(), '='), entry.summary,
             listed(entry.sources));
  if (!opening.empty()) fmt::print("{}({})\n\n", opening, chapter);
  print_text(text);
  print_entry(entry);
  return kGood;
}

}  // namespace

void add_explain(CLI::App& program, int& status) {
  const auto name = std::make_shared<std::string>(), json_path = std::make_shared<std::string>();
  CLI::App* command =
      program.add_subcommand("explain", "one algorithm: equation, symbols by line, forms, laws");
  command->add_option("NAME", *name, "which algorithm; etalon list shows them")->required();
  add_json_option(*command, *json_path);
  command->callback([name, json_path, &status] { status = explain(*name, *json_path); });
}

}  // namespace etalon
