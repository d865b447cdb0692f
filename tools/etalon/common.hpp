/// \file
/// What the subcommands share: how they refuse, where `--json` goes, the progress bar, and an entry in words.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "proofs/engine/entry.hpp"

namespace CLI {
class App;
}

namespace etalon {

/// Bad usage or bad input, in one line that says what it is about, what was given and what was expected.
class Refusal : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// \throws Refusal `what is GIVEN, expected EXPECTED`
[[noreturn]] void refuse(const std::string& what, const std::string& given, const std::string& expected);

/// "a, b, c", or "nothing".
std::string listed(const std::vector<std::string>& names);

/// "1 law" and "3 laws".
std::string counted(long count, const std::string& thing);

/// Equal when upper and lower case and spaces are not told apart, as in "mixed<bfloat16, float>".
bool same_word(std::string_view a, std::string_view b);

/// Adds `--json FILE`, which works alike in all subcommands.
void add_json_option(CLI::App& command, std::string& path);

/// Where `--json FILE` writes: one JSON value a line, each line complete as soon as it is there.
class JsonLines {
 public:
  /// \param path a file, replaced when the first line is written; "-" for standard output; empty for nowhere
  /// \throws Refusal when the file cannot be opened
  explicit JsonLines(const std::string& path);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;

  /// True where standard output belongs to the JSON lines, so that nothing else may be printed.
  bool owns_standard_output() const { return path_ == "-"; }

  /// \throws Refusal when the line cannot be written
  void write(const nlohmann::json& value);

 private:
  std::string path_;
  int file_ = -1;
  bool created_ = false;
  bool written_ = false;
};

/// One line on standard error that says how far the program is, if that is a terminal. Clear it before
/// printing.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar() { clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(long done, long total, const std::string& doing);
  void clear();

 private:
  bool on_terminal_;
  bool shown_ = false;
};

/// The entries of the given names; all of them when no name is given.
/// \throws std::invalid_argument for an unknown name
std::vector<const Entry*> entries_named(const std::vector<std::string>& names);

/// "n x d_k"; "a single number" for no axes.
std::string shape_text(const std::vector<Expression>& axes);

/// "4 x 2"; a single number is 1 for NumPy too, but has no axes.
nlohmann::json shape_json(const Shape& shape);

std::string_view to_word(const Input& input);

/// "from 1 to n + 2".
std::string range_text(const Parameter& parameter);

/// Which mathematics a form needs, seen from the arithmetics that it can be read in. A ring cannot be told
/// from a field so, because all number types divide.
std::string concept_of(const Form& form);

/// The number types of a form in the order of the reports.
std::vector<std::string> scalars_of(const Form& form);

/// The formulas of a cost with their names, those that are stated.
std::vector<std::pair<std::string, Expression>> formulas_of(const Cost& cost);

/// All that is known of an entry, for machines.
nlohmann::json describe(const Entry& entry);

}  // namespace etalon
