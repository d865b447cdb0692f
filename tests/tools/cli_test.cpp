/// \file
/// The program `etalon`, run as a user runs it: what it prints, what it writes, what it refuses, and how it
/// exits.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <source_location>
#include <thread>

#include "tools/npy.hpp"

extern char** environ;

namespace etalon {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

fs::path source_folder() {
  return fs::path(std::source_location::current().file_name()).parent_path() / "../..";
}

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// What a run left behind. The status is negative for a signal.
struct Result {
  int status = 0;
  std::string out, err;
};

/// The values of the JSON lines of a text; every line must be one.
std::vector<nlohmann::json> json_lines(const std::string& text) {
  EXPECT_TRUE(text.empty() || text.back() == '\n') << "the last line is cut off";
  std::istringstream lines(text);
  std::vector<nlohmann::json> values;
  for (std::string line; std::getline(lines, line);) values.push_back(nlohmann::json::parse(line));
  return values;
}

/// A test with a folder of its own and the means to run programs there.
class Cli : public testing::Test {
 protected:
  Cli() {
    std::string pattern = (fs::temp_directory_path() / "etalon_cli_XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  ~Cli() override { fs::remove_all(folder_); }

  fs::path at(const std::string& name) const { return folder_ / name; }

  pid_t start(const std::string& program, Words words) const {
    words.insert(words.begin(), program);
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const auto& [stream, name] : {std::pair(STDOUT_FILENO, ".out"), std::pair(STDERR_FILENO, ".err")}) {
      posix_spawn_file_actions_addopen(&actions, stream, at(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                       0600);
    }
    posix_spawnattr_t attributes;  // a shell that runs tests in the background may have them ignore Ctrl-C
    posix_spawnattr_init(&attributes);
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    posix_spawnattr_setsigdefault(&attributes, &interrupt);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    pid_t child = 0;
    EXPECT_EQ(::posix_spawn(&child, program.c_str(), &actions, &attributes, pointers.data(), environ), 0)
        << program;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return child;
  }

  Result finish(pid_t child) const {
    int status = 0;
    ::waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), contents(at(".out")),
            contents(at(".err"))};
  }

  Result run(const Words& words, const std::string& program = ETALON_PROGRAM) const {
    return finish(start(program, words));
  }
  Result run_false(const Words& words) const { return run(words, ETALON_WITH_FALSE_LAW); }

  /// Exit status 2, one line on standard error that contains `part`, nothing on standard output.
  void expect_refusal(const Words& words, const std::string& part) const {
    const Result result = run(words);
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_TRUE(result.err.starts_with("etalon: ") && result.err.ends_with("\n")) << result.err;
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err << "does not say: " << part;
  }

  fs::path folder_;
};

// ---- usage -------------------------------------------------------------------------------------

TEST_F(Cli, EveryCommandHasHelp) {
  const Result all = run({"--help"});
  EXPECT_EQ(all.status, 0);
  for (const std::string command :
       {"list", "explain", "verify", "scale", "eval", "mutants", "study", "bench"}) {
    EXPECT_NE(all.out.find("\n  " + command + " "), std::string::npos) << command;
    const Result one = run({command, "--help"});
    EXPECT_EQ(one.status, 0) << command;
    EXPECT_NE(one.out.find("--json FILE"), std::string::npos) << one.out;
    EXPECT_EQ(one.err, "");
  }
}

TEST_F(Cli, RefusesBadUsageInOneLine) {
  expect_refusal({}, "the subcommand is missing, expected one of: list, ");
  expect_refusal({"nonsense"}, "the subcommand is nonsense, expected one of: list, ");
  expect_refusal({"list", "--nonsense"}, "--nonsense");
  expect_refusal({"explain"}, "NAME");
  for (const std::string command : {"explain", "verify", "scale"}) {
    expect_refusal({command, "no_such_entry"}, "no_such_entry, expected one of: ");
  }
  expect_refusal({"eval", "no_such_entry", "--out", at("o")}, "no_such_entry, expected one of: ");
  expect_refusal({"eval", "gated_linear_attention:nonsense", "--out", at("o")},
                 "expected one of: recurrent, ");
  expect_refusal({"study", "no_such_study"}, "no_such_study");
  expect_refusal({"bench", "--repetitions", "0"}, "--repetitions");
  expect_refusal({"verify", "--kind", "nonsense"}, "expected one of: same, limit, ");
  expect_refusal({"verify", "--law", "no such law"}, "no such law");
  expect_refusal({"verify", "--seed", "x"}, "--seed");
  expect_refusal({"verify", "--effort", "0"}, "--effort");
  expect_refusal({"list", "--json", at("missing/list.json")}, "expected a file that can be written");
}

TEST_F(Cli, ARefusalLeavesTheJsonFileAlone) {
  write_text(at("old.json"), "old\n");
  expect_refusal({"verify", "--law", "no such law", "--json", at("old.json")}, "no such law");
  EXPECT_EQ(contents(at("old.json")), "old\n");
}

// ---- list and explain --------------------------------------------------------------------------

TEST_F(Cli, ListTellsWhatIsKnown) {
  const Result text = run({"list"});
  EXPECT_EQ(text.status, 0);
  EXPECT_EQ(text.err, "") << "no progress bar where standard error is no terminal";
  const std::vector<nlohmann::json> lines = json_lines(run({"list", "--json", "-"}).out);
  ASSERT_EQ(lines.size(), 1U);
  bool found = false;
  for (const nlohmann::json& entry : lines.front().at("entries")) {
    EXPECT_NE(text.out.find(entry.at("name").get<std::string>()), std::string::npos);
    for (const char* key : {"title", "family", "summary", "sources", "sizes", "parameters", "inputs",
                            "outputs", "forms", "laws", "costs"}) {
      EXPECT_TRUE(entry.contains(key)) << key;
    }
    if (entry.at("name") != "gated_linear_attention") continue;
    found = true;
    EXPECT_EQ(entry.at("inputs").at(0), (nlohmann::json{{"name", "query"},
                                                        {"shape", "n x d_k"},
                                                        {"domain", "any number"},
                                                        {"kind", "real"},
                                                        {"meaning", "what each token asks"}}));
    EXPECT_EQ(entry.at("parameters").at(0).at("range"), "from 1 to n + 2");
    EXPECT_EQ(entry.at("forms").at(0).at("concept"), "Ring or Field");
    EXPECT_EQ(entry.at("costs").at(0).at("multiplications"), "3 n d_k d_v");
  }
  EXPECT_TRUE(found);
}

TEST_F(Cli, ExplainPointsAtTheLinesOfEverySymbol) {
  const std::vector<nlohmann::json> lines =
      json_lines(run({"explain", "gated_linear_attention", "--json", "-"}).out);
  ASSERT_EQ(lines.size(), 1U);
  const nlohmann::json& text = lines.front().at("text");
  EXPECT_NE(text.at("equations").at(0).get<std::string>().find("S_t"), std::string::npos);
  for (const nlohmann::json& symbol : text.at("symbols")) {
    EXPECT_NE(symbol.at("meaning"), "");
    EXPECT_FALSE(symbol.at("lines").empty()) << symbol;
    for (const std::string place : symbol.at("lines")) {
      const std::size_t colon = place.find(':');
      std::ifstream file(source_folder() / place.substr(0, colon));
      std::string line;
      for (int i = std::stoi(place.substr(colon + 1)); i > 0; --i) std::getline(file, line);
      EXPECT_NE(line.find("[" + symbol.at("name").get<std::string>() + "]"), std::string::npos)
          << place << line;
    }
  }
  EXPECT_NE(run({"explain", "gated_linear_attention"}).out.find("S_t"), std::string::npos);
}

// ---- verify ------------------------------------------------------------------------------------

TEST_F(Cli, VerifyRunsOneLaw) {
  const Result text = run({"verify", "gated_linear_attention", "--law", "worked example"});
  EXPECT_EQ(text.status, 0);
  EXPECT_NE(text.out.find("1 law in 1 check, 1 case"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("all hold"), std::string::npos);
  const Result machine = run({"verify", "gated_linear_attention", "--law", "worked example", "--json", "-"});
  const std::vector<nlohmann::json> lines = json_lines(machine.out);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines.front().at("holds"), true);
}

/// The line that a failure of this law would print.
TEST_F(Cli, VerifyRunsOneCase) {
  const Result result =
      run({"verify", "gated_linear_attention", "--law", "same: pairwise = recurrent", "--scalar", "rational",
           "--case", "chunk=2 d_k=2 d_v=1 n=4 sub_chunk=1 values=ties seed=7", "--json", "-"});
  EXPECT_EQ(result.status, 0) << result.err;
  const std::vector<nlohmann::json> lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines.front().at("cases"), 1);
  EXPECT_EQ(lines.front().at("comparisons"), 4 * 1 + 2 * 1) << "n x d_v outputs and a d_k x d_v state";
}

TEST_F(Cli, VerifyRefusesBadCases) {
  const auto expect_bad_case = [&](const std::string& one, const std::string& part) {
    expect_refusal({"verify", "gated_linear_attention", "--law", "same: pairwise = recurrent", "--case", one},
                   part);
  };
  expect_bad_case("n=abc d_k=1 d_v=1", "\"n=abc\"");
  expect_bad_case("n=4 d_k=2", "d_v");
  expect_bad_case("n=4 d_k=2 d_v=0", "d_v is 0, expected 1 or more");
  expect_bad_case("n=4 d_k=2 d_v=1 chunk=9", "chunk is 9, expected from 1 to n + 2, here from 1 to 6");
  expect_bad_case("n=4 d_k=2 d_v=1 mystery=9", "mystery");
  expect_bad_case("n=4 d_k=2 d_v=1 values=odd", "odd");
  expect_refusal({"verify", "gated_linear_attention", "--law", "worked example", "--case", "n=4 d_k=2 d_v=1"},
                 "fixed checks");
}

TEST_F(Cli, AFailureComesWithALineThatReproducesIt) {
  const Result result = run_false({"verify", "false_law", "--law", "n stays below 3"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.out.find("smallest case: n=3 values=generic"), std::string::npos) << result.out;
  const std::size_t line = result.out.find("etalon verify ");
  ASSERT_NE(line, std::string::npos);
  const std::string command = result.out.substr(line, result.out.find('\n', line) - line);
  // As a user pastes it into a shell, with the program on the path under its usual name.
  fs::create_symlink(ETALON_WITH_FALSE_LAW, at("etalon"));
  const Result again = run({"-c", "PATH=" + folder_.string() + ":$PATH; " + command}, "/bin/sh");
  EXPECT_EQ(again.status, 1) << again.err;
  EXPECT_NE(again.out.find("n is below 3"), std::string::npos) << again.out;
  EXPECT_NE(again.out.find("1 case"), std::string::npos) << again.out;
}

TEST_F(Cli, FailFastStopsAtTheFirstFailure) {
  const std::vector<nlohmann::json> all = json_lines(run_false({"verify", "false_law", "--json", "-"}).out);
  ASSERT_GT(all.size(), 2U);
  const Result fast = run_false({"verify", "false_law", "--fail-fast", "--json", "-"});
  EXPECT_EQ(fast.status, 1);
  const std::vector<nlohmann::json> lines = json_lines(fast.out);
  ASSERT_FALSE(lines.empty());
  for (const nlohmann::json& record : lines) EXPECT_EQ(record.at("holds"), &record != &lines.back());
  EXPECT_LT(lines.size(), all.size());
}

TEST_F(Cli, AnInterruptLeavesCompleteLines) {
  const fs::path records = at("records.json");
  const pid_t child = start(ETALON_PROGRAM, {"verify", "gated_linear_attention", "--json", records});
  const auto has_records = [&] { return fs::exists(records) && fs::file_size(records) > 0; };
  for (int i = 0; i < 12'000 && !has_records(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(child, SIGINT);
  EXPECT_EQ(finish(child).status, -SIGINT);
  EXPECT_FALSE(json_lines(contents(records)).empty());
}

// ---- scale and study ---------------------------------------------------------------------------

TEST_F(Cli, ScaleComparesCountsWithWhatIsStated) {
  const Result result = run_false({"scale", "false_law", "--json", "-"});
  EXPECT_EQ(result.status, 1);
  std::vector<nlohmann::json> lines = json_lines(result.out);
  std::erase_if(lines, [](const nlohmann::json& record) { return record.contains("left_out"); });
  ASSERT_EQ(lines.size(), 4U) << "two forms at two sizes";
  for (const nlohmann::json& record : lines) {
    const int n = record.at("settings").at("n");
    EXPECT_EQ(record.at("additions"), n - 1);
    EXPECT_EQ(record.at("total"), n - 1);
    EXPECT_EQ(record.at("depth"), n - 1);
    EXPECT_EQ(record.at("free_depth"), n == 3 ? 2 : 5) << "the least k with 2^k >= n";
    EXPECT_GT(record.at("seconds"), 0);
    EXPECT_EQ(record.at("matches"), record.at("form") == "sum");
  }
  EXPECT_EQ(lines.front().at("stated").at("additions"), (nlohmann::json{{"text", "n - 1"}, {"value", 2}}));
  EXPECT_NE(run_false({"scale", "false_law"}).out.find("additions: counted 2, stated n = 3"),
            std::string::npos);
}

TEST_F(Cli, ScaleSaysWhatItLeavesOut) {
  std::vector<nlohmann::json> lines = json_lines(run_false({"scale", "false_law", "--json", "-"}).out);
  std::erase_if(lines, [](const nlohmann::json& record) { return !record.contains("left_out"); });
  ASSERT_EQ(lines.size(), 2U) << "two forms at a size of more than 10^9 operations";
  EXPECT_EQ(lines.front().at("left_out"), 1'000'000'001);
  EXPECT_FALSE(lines.front().contains("matches")) << "nothing was compared";
  EXPECT_NE(run_false({"scale", "false_law"})
                .out.find("left out: 1000000001 operations, at most 1000000000 are counted"),
            std::string::npos);
}

TEST_F(Cli, StudyGivesItsPage) {
  const std::vector<nlohmann::json> lines =
      json_lines(run_false({"study", "two_numbers", "--json", "-"}).out);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines.front().at("blocks").at(0).at("rows"),
            nlohmann::json::parse(R"([["one", 1], ["two", 2]])"));
  EXPECT_NE(run_false({"study", "two_numbers"}).out.find("two | 2"), std::string::npos);
  EXPECT_EQ(run_false({"study", "two_numbers", "--data", at("missing")}).status, 2);
}

// ---- mutants -----------------------------------------------------------------------------------

class Mutants : public Cli {
 protected:
  /// A program that answers as a mutant does.
  void seed(const std::string& name, const std::string& answer, int status) {
    const fs::path program = at("mutants/an_entry/" + name + "/mutant");
    fs::create_directories(program.parent_path());
    write_text(program, "#!/bin/sh\necho '" + answer + "'\nexit " + std::to_string(status) + "\n");
    fs::permissions(program, fs::perms::owner_all);
  }
};

TEST_F(Mutants, AllCaughtIsGood) {
  seed("first", R"({"caught": true, "law": "a law", "scalar": "Rational"})", 0);
  seed("second", R"({"caught": true, "law": "another law", "scalar": "Rational"})", 0);
  seed("third", R"({"caught": true, "law": "a law", "scalar": "Rational"})", 0);
  const Result result = run({"mutants", "--dir", at("mutants")});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("3 of 3 caught"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("by another law (Rational)"), std::string::npos);
}

TEST_F(Mutants, ASurvivorOrACrashIsAFailure) {
  seed("caught", R"({"caught": true, "law": "a law"})", 0);
  seed("survivor", R"({"caught": false})", 1);
  const Result result = run({"mutants", "--dir", at("mutants"), "--json", "-"});
  EXPECT_EQ(result.status, 1);
  const std::vector<nlohmann::json> lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].at("mutant"), "caught");
  EXPECT_EQ(lines[0].at("caught"), true);
  EXPECT_EQ(lines[1].at("mutant"), "survivor");
  EXPECT_EQ(lines[1].at("caught"), false);
  seed("survivor", "", 3);
  const Result crash = run({"mutants", "--dir", at("mutants")});
  EXPECT_EQ(crash.status, 1);
  EXPECT_NE(crash.out.find("ended with status 3"), std::string::npos) << crash.out;
}

TEST_F(Mutants, WhatWasNotBuiltIsRefused) {
  expect_refusal({"mutants", "--dir", at("mutants")}, "no directory");
  fs::create_directories(at("mutants/an_entry/unbuilt"));
  expect_refusal({"mutants", "--dir", at("mutants")}, "an_entry/unbuilt");
}

// ---- eval --------------------------------------------------------------------------------------

/// The worked example of gated linear attention: four tokens, two channels, by hand.
class Eval : public Cli {
 protected:
  Eval() {
    fs::create_directory(at("in"));
    put("query", Array<double>::matrix({{1, 2}, {0, 1}, {1, -1}, {2, 1}}));
    put("key", Array<double>::matrix({{1, 0}, {1, 1}, {0, 2}, {1, -1}}));
    put("value", Array<double>::matrix({{1, 2}, {3, 0}, {-1, 1}, {2, 2}}));
    put("decay", Array<double>::matrix({{0.5, 1}, {0.5, 0.25}, {1, 0.5}, {0.25, 0.5}}));
    put("initial_state", Array<double>({2, 2}));
  }

  void put(const std::string& name, const Array<double>& array) const {
    npy::write(at("in/" + name + ".npy"), array);
  }

  Words eval(const Words& more, const std::string& form = "") const {
    Words words{"eval", "gated_linear_attention" + form, "--in", at("in"), "--out", at("out")};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  /// Refused, and neither outputs nor anything half-written stays.
  void expect_refused(const Words& more, const std::string& part, const std::string& form = "") const {
    expect_refusal(eval(more, form), part);
    for (const auto& each : fs::directory_iterator(folder_)) {
      const std::string name = each.path().filename().string();
      EXPECT_TRUE(name == "in" || name == ".out" || name == ".err") << name << " was left behind";
    }
  }

  void expect_output(double factor) const {
    const Array<double> expected = Array<double>::matrix({{1, 2}, {3, 0}, {4, -1}, {3.5, 3.5}});
    const Array<double> output = npy::to_real(npy::read(at("out/output.npy")));
    ASSERT_EQ(output.shape(), expected.shape());
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(output.values()[i], factor * expected.values()[i]) << i;
    const Array<double> state = npy::to_real(npy::read(at("out/state.npy")));
    const Array<double> last = Array<double>::matrix({{2.875, 2.25}, {-2.25, -1}});
    ASSERT_EQ(state.shape(), last.shape());
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(state.values()[i], last.values()[i]) << i;
    fs::remove_all(at("out"));
  }
};

TEST_F(Eval, GivesTheWorkedExampleInEveryForm) {
  for (const std::string form : {"", ":recurrent", ":pairwise", ":parallel", ":chunked"}) {
    const Result result = run(eval({}, form));
    ASSERT_EQ(result.status, 0) << form << result.err;
    EXPECT_NE(result.out.find("rounded to double"), std::string::npos);
    expect_output(1);
  }
  ASSERT_EQ(run(eval({"--set", "chunk=3", "sub_chunk=2"}, ":chunked")).status, 0);
  expect_output(1);
}

TEST_F(Eval, ReadsInEveryNumberType) {
  // Every number of the example, also on the way, has at most 5 significant bits: all but E4M3 hold it
  // exactly.
  for (const std::string scalar : {"real50", "Real100", "double", "float", "bfloat16", "float16",
                                   "mixed<bfloat16, float>", "Mixed<Float16,float>"}) {
    const Result result = run(eval({"--scalar", scalar}));
    ASSERT_EQ(result.status, 0) << scalar << result.err;
    expect_output(1);
  }
  expect_refused({"--scalar", "float8"}, "float8, expected one of: Real50, Real100, double");
  ASSERT_EQ(run(eval({"--scalar", "e4m3"})).status, 0);
  EXPECT_EQ(npy::to_real(npy::read(at("out/state.npy")))(0, 0), 3)
      << "2.875 lies between 2.75 and 3, whose code is even";
  EXPECT_EQ(npy::to_real(npy::read(at("out/output.npy")))(3, 0), 2 * 3 + 1 * -2.25)
      << "read from the rounded state";
}

TEST_F(Eval, SingleNumbersComeFromFileOrWord) {
  ASSERT_EQ(run(eval({"--set", "scale=0.5"})).status, 0);
  expect_output(0.5);
  put("scale", Array<double>(Shape{}, 2.0));
  const Result result = run(eval({"--json", "-"}));
  ASSERT_EQ(result.status, 0);
  const std::vector<nlohmann::json> lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines.front().at("settings").at("n"), 4);
  EXPECT_EQ(lines.front().at("outputs").at("output").at("shape"), (std::vector<int>{4, 2}));
  expect_output(2);
  expect_refused({"--set", "scale=0.5"}, "expected one of the two");
}

TEST_F(Eval, OptionsThatAreOffNeedNoInput) {
  const Words words{"eval", "softmax_attention", "--in", at("in"), "--out", at("out")};
  put("query", Array<double>({4, 2}));  // every key fits alike, so that the output is the mean of the values
  ASSERT_EQ(run(words).status, 0);
  EXPECT_EQ(npy::to_real(npy::read(at("out/output.npy")))(3, 0), (1.0 + 3 - 1 + 2) / 4);
  fs::remove_all(at("out"));
  Words with_bias = words;
  with_bias.insert(with_bias.end(), {"--set", "bias_given=yes"});
  expect_refusal(with_bias, "bias.npy (n_q x n_k)");
  with_bias.back() = "bias_given=maybe";
  expect_refusal(with_bias, "\"maybe\", expected one of: no, yes");
  with_bias.back() = "mask=given";
  expect_refusal(with_bias, "allowed.npy (n_q x n_k)");
  npy::write(at("in/allowed.npy"),
             Array<Index>::matrix({{0, 1, 0, 0}, {1, 0, 0, 0}, {1, 0, 0, 0}, {1, 0, 0, 0}}));
  ASSERT_EQ(run(with_bias).status, 0);
  EXPECT_EQ(npy::to_real(npy::read(at("out/output.npy")))(0, 0), 3) << "only key 1 is allowed";
}

/// With one state, step 1 and eigenvalue -2 the bilinear transform gives lambda-bar = 0 and B-bar = B / 2, so
/// that the state is u B / 2 and the output 2 Re(C u B / 2) + D u.
TEST_F(Eval, ComplexTensorsComeAndGo) {
  const auto put_complex = [&](const std::string& name, double re, double im) {
    npy::write(at("in/" + name + ".npy"), Array<Complex<double>>({1}, Complex<double>(re, im)));
  };
  put_complex("minus_lambda", 2, 0);
  put_complex("B", 1, 3);
  put_complex("C", 1, 0);
  put_complex("initial_state", 7, 7);
  put("signal", Array<double>({1}, 3.0));
  const Words words{"eval",    "s4d:recurrent", "--in",   at("in"), "--out",
                    at("out"), "--set",         "step=1", "D=0.5"};
  const Result result = run(words);
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(npy::to_real(npy::read(at("out/y.npy")))(0), 2 * 3 * 0.5 + 0.5 * 3);
  const Array<Complex<double>> state = npy::to_complex(npy::read(at("out/state.npy")));
  EXPECT_EQ(state(0).re, 1.5);
  EXPECT_EQ(state(0).im, 4.5);
  put_complex("B", 1, std::nan(""));
  fs::remove_all(at("out"));
  expect_refusal(words, "B.npy: element (0) is ");
}

/// The curve on a square of 2 by 2 visits (0,0), (0,1), (1,1), (1,0).
TEST_F(Eval, SizesWithoutInputsComeFromWords) {
  const Words words{"eval", "hilbert_height_prioritized", "--out", at("out"), "--set", "X=2", "Y=2"};
  expect_refusal(words, "the size Z is not given, expected --set Z=VALUE");
  Words all = words;
  all.push_back("Z=1");
  ASSERT_EQ(run(all).status, 0);
  const Array<Index> order = npy::to_index(npy::read(at("out/gather.npy")));
  EXPECT_EQ(std::vector<Index>(order.values().begin(), order.values().end()),
            (std::vector<Index>{0, 1, 3, 2}));
}

TEST_F(Eval, BackwardFormsNeedGradients) {
  expect_refused({}, "d_output.npy (n x d_v), d_state.npy (d_k x d_v)", ":backward");
  put("d_output", Array<double>({4, 2}));
  put("d_state", Array<double>::matrix({{1, 0}, {0, 0}}));
  ASSERT_EQ(run(eval({}, ":backward")).status, 0);
  const Array<double> gradient = npy::to_real(npy::read(at("out/d_initial_state.npy")));
  EXPECT_EQ(gradient(0, 0), 0.5 * 0.5 * 1 * 0.25) << "what the four gates leave of the first channel";
  EXPECT_EQ(gradient(1, 1), 0);
}

TEST_F(Eval, BFloat16ComesAsBitPatterns) {
  fs::remove_all(at("in"));
  fs::create_directory(at("in"));
  // One token and one channel; an open gate and no key, so that the query reads the initial state.
  for (const std::string name : {"key", "value"}) put(name, Array<double>({1, 1}));
  put("decay", Array<double>({1, 1}, 1.0));
  put("initial_state", Array<double>({1, 1}, 3.0));
  std::string header = "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 1), }";
  header.resize(117, ' ');
  header += '\n';
  write_text(at("in/query.npy"), std::string("\x93NUMPY\x01\0", 8) + static_cast<char>(header.size()) + '\0' +
                                     header + "\x80\x3f");
  ASSERT_EQ(run(eval({"--bf16"})).status, 0);
  EXPECT_EQ(npy::to_real(npy::read(at("out/output.npy")))(0, 0), 3.0) << "the pattern 3f80 is the number 1";
  fs::remove_all(at("out"));
  ASSERT_EQ(run(eval({})).status, 0);
  EXPECT_EQ(npy::to_real(npy::read(at("out/output.npy")))(0, 0), 3.0 * 0x3f80);
}

TEST_F(Eval, RefusesTensorsThatDoNotFit) {
  put("value", Array<double>({3, 2}));
  expect_refused({}, "value.npy: shape is 3 x 2, expected n x d_v with n = 4 (by query.npy)");
  put("value", Array<double>({4}));
  expect_refused({}, "value.npy: shape is 4, expected n x d_v");
  put("value", Array<double>({4, 0}));
  expect_refused({}, "d_v is 0 (by value.npy), expected 1 or more");
  fs::remove(at("in/value.npy"));
  expect_refused({}, "expected value.npy (n x d_v)");
}

TEST_F(Eval, RefusesNumbersThatAreNone) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Array<double> value({4, 2});
    value(3, 1) = bad;
    put("value", value);
    expect_refused({}, "value.npy: element (3, 1) is " + std::to_string(bad) + ", expected a finite number");
  }
}

TEST_F(Eval, RefusesFilesThatAreBroken) {
  const std::string whole = contents(at("in/value.npy"));
  for (const std::size_t length : {std::size_t{0}, std::size_t{5}, std::size_t{100}, whole.size() - 1}) {
    write_text(at("in/value.npy"), whole.substr(0, length));
    expect_refused({}, "value.npy");
  }
  fs::remove(at("in/value.npy"));
  npy::write(at("in/value.npy"), Array<Complex<double>>({4, 2}));
  expect_refused({}, "value.npy: dtype is c16");
}

TEST_F(Eval, RefusesBadWords) {
  expect_refused({"--set", "chunk=0"}, "chunk is 0 (by --set), expected from 1 to n + 2, here from 1 to 6",
                 ":chunked");
  expect_refused({"--set", "chunk=7"}, "chunk is 7", ":chunked");
  expect_refused({"--set", "chunk=x"}, "expected an integer", ":chunked");
  expect_refused({"--set", "chunk"}, "NAME=VALUE");
  expect_refused({"--set", "chunk=1", "chunk=2"}, "given twice");
  expect_refused({"--set", "mystery=1"}, "mystery, expected one of: n, d_k, d_v, chunk, sub_chunk, scale");
  expect_refused({"--set", "scale=nan"}, "expected a finite number");
  expect_refused({"--set", "n=5"}, "n = 5 (by --set)");
}

TEST_F(Eval, RefusesPlacesWhereItCannotWrite) {
  const auto expect_bad_place = [&](const std::string& out, const std::string& part) {
    expect_refusal({"eval", "gated_linear_attention", "--in", at("in"), "--out", out}, part);
  };
  expect_bad_place(at("missing/out"), "a directory whose parent exists");
  expect_bad_place(at("in/query.npy"), "which is a file");
  expect_bad_place(at("in/query.npy/out"), "--out");
  expect_bad_place("/proc/out", "--out");
  expect_bad_place(at("in"), "which is not empty");
  expect_refusal({"eval", "gated_linear_attention", "--in", at("missing"), "--out", at("out")},
                 "no directory");
  expect_refusal({"eval", "gated_linear_attention", "--out", at("out")}, "--in is left out");
}

TEST_F(Eval, ForceReplacesOutputsAndKeepsOtherFiles) {
  fs::create_directory(at("out"));
  write_text(at("out/output.npy"), "old");
  write_text(at("out/notes.txt"), "mine");
  expect_refusal(eval({}), "which is not empty");
  EXPECT_EQ(contents(at("out/output.npy")), "old");
  ASSERT_EQ(run(eval({"--force"})).status, 0);
  EXPECT_EQ(contents(at("out/notes.txt")), "mine");
  expect_output(1);
  fs::create_directory(at("out"));  // an empty directory needs no force
  ASSERT_EQ(run(eval({})).status, 0);
  expect_output(1);
}

}  // namespace
}  // namespace etalon
