/// \file
/// The house is in order: every symbol of an equation is found in the text that computes it and the other way
/// round, every entry has its text, its chapter and its mutants, and every source that is cited is in the
/// bibliography.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <source_location>
#include <sstream>
#include <string_view>
#include <vector>

#include "proofs/engine/entry.hpp"

namespace etalon {
namespace {

namespace fs = std::filesystem;
using Complaints = std::vector<std::string>;

fs::path root() {
  return fs::path(std::source_location::current().file_name()).parent_path().parent_path().parent_path();
}

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// What stands between the bracket at `open` and the one that closes it; brackets inside are counted.
std::string bracketed(const std::string& text, std::size_t open, char left, char right) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == left) ++depth;
    if (text[i] == right && --depth == 0) return text.substr(open + 1, i - open - 1);
  }
  return "";
}

/// The symbols that a header explains: \symbol{X}.
std::set<std::string> explained_symbols(const std::string& header) {
  static const std::string command = "\\symbol{";
  std::set<std::string> symbols;
  for (std::size_t at = header.find(command); at != std::string::npos; at = header.find(command, at + 1)) {
    symbols.insert(bracketed(header, at + command.size() - 1, '{', '}'));
  }
  return symbols;
}

/// The symbols that a line of code is marked with: "code;  // [S_t] [k_t] and perhaps a remark".
std::vector<std::string> markers(const std::string& line) {
  const std::size_t comment = line.find("// [");
  if (comment == std::string::npos || line.find_first_not_of(" \t") >= comment) return {};
  std::vector<std::string> found;
  std::size_t at = comment + 3;
  while (at < line.size() && line[at] == '[') {
    found.push_back(bracketed(line, at, '[', ']'));
    at += found.back().size() + 2;
    if (at < line.size() && line[at] == ' ') ++at;
  }
  return found;
}

Complaints complaints_about_symbols(const std::string& name, const std::string& header) {
  Complaints complaints;
  const std::set<std::string> explained = explained_symbols(header);
  std::set<std::string> marked;
  int number = 0;
  for (const std::string& line : lines_of(header)) {
    ++number;
    for (const std::string& symbol : markers(line)) {
      marked.insert(symbol);
      if (!explained.contains(symbol)) {
        complaints.push_back(name + ":" + std::to_string(number) + ": marker [" + symbol +
                             "] has no \\symbol");
      }
    }
  }
  for (const std::string& symbol : explained) {
    if (!marked.contains(symbol))
      complaints.push_back(name + ": no line of code is marked with [" + symbol + "]");
  }
  return complaints;
}

/// Files below a folder with one of the endings.
std::vector<fs::path> files_below(const fs::path& folder, const std::set<std::string>& endings) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const fs::directory_entry& file : fs::recursive_directory_iterator(folder)) {
    if (file.is_regular_file() && endings.contains(file.path().extension().string()))
      files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// The texts: reference/<family>/<name>.hpp.
std::vector<fs::path> texts(const fs::path& house) {
  std::vector<fs::path> found;
  for (const fs::path& file : files_below(house / "reference", {".hpp"})) {
    const fs::path family = file.parent_path();
    if (family.parent_path() == house / "reference" && family.filename() != "scalar") found.push_back(file);
  }
  return found;
}

/// An entry proofs/<family>/<name>.cpp has a text, a chapter and mutants of the same name.
Complaints complaints_about_entries(const fs::path& house) {
  Complaints complaints;
  for (const fs::path& file : files_below(house / "proofs", {".cpp"})) {
    const fs::path family = file.parent_path();
    const std::string name = file.stem().string();
    const bool is_family = family.filename() != "engine" && family.filename() != "fast";
    if (family.parent_path() != house / "proofs" || !is_family || name.ends_with(".study")) continue;
    const fs::path place = family.filename() / name;
    for (const fs::path& expected :
         {"reference" / place += ".hpp", "docs" / place += ".md", "proofs" / place += ".mutants.json"}) {
      if (!fs::exists(house / expected)) {
        complaints.push_back(file.lexically_relative(house).string() + ": expected " + expected.string());
      }
    }
  }
  return complaints;
}

/// The keys that a file cites: \cite key.
std::vector<std::string> cited_keys(const std::string& text) {
  static const std::string command = "\\cite ";
  std::vector<std::string> keys;
  for (std::size_t at = text.find(command); at != std::string::npos; at = text.find(command, at + 1)) {
    const std::size_t first = at + command.size();
    std::size_t end = first;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
      ++end;
    keys.push_back(text.substr(first, end - first));
  }
  return keys;
}

std::set<std::string> keys_of(const nlohmann::json& bibliography) {
  std::set<std::string> keys;
  for (const nlohmann::json& source : bibliography) keys.insert(source.value("key", ""));
  return keys;
}

Complaints complaints_about_bibliography(const nlohmann::json& bibliography) {
  Complaints complaints;
  std::set<std::string> seen;
  std::string last;
  for (const nlohmann::json& source : bibliography) {
    const std::string key = source.value("key", "");
    if (!seen.insert(key).second) complaints.push_back(key + ": there twice");
    if (key < last) complaints.push_back(key + ": out of order after " + last);
    last = key;
    const bool complete = source.contains("title") && source.contains("venue") && source.contains("year") &&
                          source.contains("authors") && source["authors"].is_array() &&
                          !source["authors"].empty();
    if (key.empty() || !complete)
      complaints.push_back(key + ": expected key, authors, title, year and venue");
    if (!source.contains("arxiv") && !source.contains("doi") && !source.contains("url")) {
      complaints.push_back(key + ": expected arxiv, doi or url");
    }
    if (key.find(std::to_string(source.value("year", 0))) == std::string::npos) {
      complaints.push_back(key + ": the year " + std::to_string(source.value("year", 0)) +
                           " is not the key's");
    }
  }
  return complaints;
}

Complaints complaints_about_citations(const std::string& name, const std::vector<std::string>& cited,
                                      const std::set<std::string>& known) {
  Complaints complaints;
  for (const std::string& key : cited) {
    if (!known.contains(key))
      complaints.push_back(name + ": cites " + key + ", which is not in docs/bibliography.json");
  }
  return complaints;
}

std::string joined(const Complaints& complaints) {
  std::string text;
  for (const std::string& complaint : complaints) text += complaint + '\n';
  return text;
}

nlohmann::json bibliography() {
  return nlohmann::json::parse(contents(root() / "docs/bibliography.json"));
}

// ---- the house ---------------------------------------------------------------------------------

TEST(House, has_a_line_for_every_symbol_and_a_symbol_for_every_marker) {
  Complaints complaints;
  std::size_t symbols = 0;
  for (const fs::path& text : texts(root())) {
    const std::string header = contents(text);
    symbols += explained_symbols(header).size();
    for (const auto& complaint : complaints_about_symbols(text.lexically_relative(root()).string(), header)) {
      complaints.push_back(complaint);
    }
  }
  EXPECT_GT(symbols, 0U);
  EXPECT_TRUE(complaints.empty()) << joined(complaints);
}

TEST(House, has_a_text_a_chapter_and_mutants_for_every_entry) {
  const Complaints complaints = complaints_about_entries(root());
  EXPECT_TRUE(complaints.empty()) << joined(complaints);
}

TEST(House, has_a_bibliography_in_order) {
  const Complaints complaints = complaints_about_bibliography(bibliography());
  EXPECT_TRUE(complaints.empty()) << joined(complaints);
}

TEST(House, knows_every_source_that_is_cited) {
  const std::set<std::string> known = keys_of(bibliography());
  Complaints complaints;
  std::size_t citations = 0;
  const auto look = [&](const std::string& name, const std::vector<std::string>& cited) {
    citations += cited.size();
    for (const auto& complaint : complaints_about_citations(name, cited, known))
      complaints.push_back(complaint);
  };
  for (const char* folder : {"reference", "proofs", "fast", "tools", "tests", "docs", "notebooks"}) {
    for (const fs::path& file :
         files_below(root() / folder, {".hpp", ".cpp", ".cu", ".cuh", ".md", ".py", ".ipynb"})) {
      if (file == fs::path(std::source_location::current().file_name())) continue;  // plants dead keys
      look(file.lexically_relative(root()).string(), cited_keys(contents(file)));
    }
  }
  for (const Entry* entry : Registry::instance().entries()) {
    EXPECT_FALSE(entry->sources.empty()) << entry->name << " names no source";
    look("entry " + entry->name, entry->sources);
  }
  EXPECT_GT(citations, 0U);
  EXPECT_TRUE(complaints.empty()) << joined(complaints);
}

// ---- the checker finds what is out of order ----------------------------------------------------

const std::string kHeader =
    "/// \\symbol{S_t} state\n"
    "/// \\symbol{A_{nk}} matrix\n"
    "  state += a(n, k);  // [S_t] [A_{nk}]\n";

TEST(Symbols, are_in_order_here) {
  EXPECT_EQ(joined(complaints_about_symbols("x.hpp", kHeader)), "");
}

TEST(Symbols, are_read_with_their_brackets_and_without_the_remark) {
  EXPECT_EQ(explained_symbols("\\symbol{A_{nk}} and \\symbol{f}"), (std::set<std::string>{"A_{nk}", "f"}));
  EXPECT_EQ(markers("x = y;  // [S_t[i,j]] [q] as [ever]"), (std::vector<std::string>{"S_t[i,j]", "q"}));
  EXPECT_TRUE(markers("  // [S_t] a comment by itself marks nothing").empty());
  EXPECT_TRUE(markers("x = y[3];  // the interval [0, 1]").empty());
}

TEST(Symbols, that_no_line_is_marked_with_are_found) {
  EXPECT_EQ(joined(complaints_about_symbols("x.hpp", kHeader + "/// \\symbol{q_t} query\n  // [q_t]\n")),
            "x.hpp: no line of code is marked with [q_t]\n");
}

TEST(Symbols, that_nobody_explains_are_found) {
  EXPECT_EQ(joined(complaints_about_symbols("x.hpp", kHeader + "  sum += 1;  // [S_t] [q_t]\n")),
            "x.hpp:4: marker [q_t] has no \\symbol\n");
}

TEST(Entries, without_text_chapter_or_mutants_are_found) {
  const fs::path house = fs::temp_directory_path() / "etalon-house";
  fs::remove_all(house);
  const auto touch = [&](const fs::path& file) {
    fs::create_directories((house / file).parent_path());
    std::ofstream(house / file) << "\n";
  };
  touch("proofs/engine/runner.cpp");
  touch("proofs/fast/law.cpp");
  touch("proofs/family/whole.cpp");
  touch("proofs/family/whole.study.cpp");
  touch("proofs/family/whole.mutants.json");
  touch("reference/family/whole.hpp");
  touch("docs/family/whole.md");
  EXPECT_EQ(joined(complaints_about_entries(house)), "");
  touch("proofs/family/bare.cpp");
  EXPECT_EQ(joined(complaints_about_entries(house)),
            "proofs/family/bare.cpp: expected reference/family/bare.hpp\n"
            "proofs/family/bare.cpp: expected docs/family/bare.md\n"
            "proofs/family/bare.cpp: expected proofs/family/bare.mutants.json\n");
  fs::remove_all(house);
}

TEST(Citations, of_what_is_not_there_are_found) {
  const std::vector<std::string> cited = cited_keys("see \\cite known2000, \\cite unknown2001.");
  EXPECT_EQ(cited, (std::vector<std::string>{"known2000", "unknown2001"}));
  EXPECT_EQ(joined(complaints_about_citations("x.hpp", cited, {"known2000"})),
            "x.hpp: cites unknown2001, which is not in docs/bibliography.json\n");
}

TEST(Bibliography, that_is_out_of_order_is_found) {
  const nlohmann::json good{{"key", "known2000"}, {"authors", {"A. B."}}, {"title", "T"},
                            {"year", 2000},       {"venue", "V"},         {"doi", "10.1/x"}};
  const auto with = [&](const char* field, const nlohmann::json& value) {
    nlohmann::json changed = good;
    if (value.is_null()) {
      changed.erase(field);
    } else {
      changed[field] = value;
    }
    return joined(complaints_about_bibliography(nlohmann::json::array({changed})));
  };
  EXPECT_EQ(with("title", "T"), "");
  for (const char* field : {"authors", "title", "venue"}) {
    EXPECT_EQ(with(field, nullptr), "known2000: expected key, authors, title, year and venue\n") << field;
  }
  EXPECT_EQ(with("authors", nlohmann::json::array()),
            "known2000: expected key, authors, title, year and venue\n");
  EXPECT_EQ(with("doi", nullptr), "known2000: expected arxiv, doi or url\n");
  EXPECT_EQ(with("year", 2001), "known2000: the year 2001 is not the key's\n");
  EXPECT_EQ(joined(complaints_about_bibliography(nlohmann::json::array({good, good}))),
            "known2000: there twice\n");
  nlohmann::json earlier = good;
  earlier["key"] = "author2000";
  EXPECT_EQ(joined(complaints_about_bibliography(nlohmann::json::array({good, earlier}))),
            "author2000: out of order after known2000\n");
}

}  // namespace
}  // namespace etalon
