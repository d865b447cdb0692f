/// \file
/// `etalon mutants`: runs the seeded faults and says which law caught each; with `--detection`, which of them
/// given inputs could have told from the true text, by number format and size.
#include <fcntl.h>
#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <thread>

#include "proofs/engine/detection.hpp"
#include "tools/etalon/commands.hpp"
#include "tools/etalon/common.hpp"

extern char** environ;

namespace etalon {
namespace {

namespace fs = std::filesystem;

struct MutantsOptions {
  std::vector<std::string> entries;
  std::string folder;
  bool detection = false;
  std::string json;
};

/// A program made of an entry and a text with one seeded fault.
struct Mutant {
  std::string entry, name;
  fs::path program;
};

// ---- running programs --------------------------------------------------------------------------

struct Outcome {
  int status = 0;  // of exit; negative for a signal
  std::string output;
};

Outcome run_program(const fs::path& program, std::vector<std::string> arguments) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Refusal("mutants: no pipe can be made");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  arguments.insert(arguments.begin(), program.string());
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  const int failure = ::posix_spawn(&child, program.c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  Outcome outcome;
  std::array<char, 65536> part{};
  ssize_t count = 0;
  while (failure == 0 && (count = ::read(ends[0], part.data(), part.size())) > 0) {
    outcome.output.append(part.data(), static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  if (failure != 0) refuse(program.string(), "not to be run", "a program");
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return outcome;
}

/// The JSON line that a mutant printed; why there is none in "failure".
nlohmann::json json_from(const Mutant& mutant, const std::vector<std::string>& arguments) {
  const Outcome outcome = run_program(mutant.program, arguments);
  nlohmann::json json = nlohmann::json::parse(outcome.output, nullptr, false);
  if (!json.is_object()) {
    const bool signalled = outcome.status < 0;
    json = {{"failure", (signalled ? "ended by signal " : "ended with status ") +
                            std::to_string(signalled ? -outcome.status : outcome.status)}};
  }
  return json;
}

/// Calls `work` for each item, as many at a time as there are cores, and `take` with the results in order.
template <class Item, class Work, class Take>
void in_parallel(const std::vector<Item>& items, const Work& work, const Take& take) {
  std::vector<std::promise<decltype(work(items.front()))>> results(items.size());
  std::atomic<std::size_t> next = 0;
  const auto work_on = [&] {
    for (std::size_t i = next++; i < items.size(); i = next++) {
      try {
        results[i].set_value(work(items[i]));
      } catch (...) {
        results[i].set_exception(std::current_exception());
      }
    }
  };
  std::vector<std::future<void>> workers;
  for (unsigned core = 0; core < std::max(1u, std::thread::hardware_concurrency()); ++core) {
    workers.push_back(std::async(std::launch::async, work_on));
  }
  try {
    for (std::size_t i = 0; i < items.size(); ++i) take(items[i], results[i].get_future().get());
  } catch (...) {
    next = items.size();  // the workers end with what they are at
    throw;
  }
}

// ---- finding mutants ---------------------------------------------------------------------------

/// Beside this program: build/mutants for build/bin/etalon.
fs::path default_folder() {
  std::error_code failure;
  const fs::path self = fs::read_symlink("/proc/self/exe", failure);
  return failure ? fs::path("build/mutants") : self.parent_path().parent_path() / "mutants";
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  for (const auto& each : fs::directory_iterator(folder)) {
    if (each.is_directory()) folders.push_back(each.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

/// \throws Refusal when there are none, or some are not built: a mutant that did not run must not go
/// unnoticed
std::vector<Mutant> mutants_of(const MutantsOptions& options) {
  const fs::path root = options.folder.empty() ? default_folder() : fs::path(options.folder);
  const std::string remedy = "programs there, made by the build target mutants";
  if (!fs::is_directory(root)) refuse("--dir", root.string() + ", which is no directory", remedy);
  std::vector<std::string> entries = options.entries;
  if (entries.empty()) {
    for (const fs::path& folder : folders_in(root)) entries.push_back(folder.filename().string());
  }
  std::vector<Mutant> mutants;
  std::vector<std::string> missing;
  for (const std::string& entry : entries) {
    if (!options.entries.empty()) Registry::instance().entry(entry);
    if (!fs::is_directory(root / entry)) refuse("--dir", root.string() + " without " + entry, remedy);
    for (const fs::path& folder : folders_in(root / entry)) {
      if (folder.filename() == "control") continue;  // the true text, which a test runs
      const Mutant mutant{entry, folder.filename().string(), folder / "mutant"};
      if (!fs::exists(mutant.program)) missing.push_back(entry + "/" + mutant.name);
      mutants.push_back(mutant);
    }
  }
  if (mutants.empty()) refuse("--dir", root.string() + ", where there is no mutant", remedy);
  if (!missing.empty())
    refuse("--dir", root.string() + ", where " + listed(missing) + " did not get built", remedy);
  return mutants;
}

/// The mutants of each entry, in order.
std::vector<std::vector<Mutant>> by_entry(const std::vector<Mutant>& mutants) {
  std::vector<std::vector<Mutant>> groups;
  for (const Mutant& mutant : mutants) {
    if (groups.empty() || groups.back().front().entry != mutant.entry) groups.emplace_back();
    groups.back().push_back(mutant);
  }
  return groups;
}

// ---- which law catches -------------------------------------------------------------------------

void print_verdict(const Mutant& mutant, const nlohmann::json& verdict) {
  if (verdict.value("caught", false)) {
    fmt::print("  caught    {:32} by {} ({})\n", mutant.name, verdict.value("law", ""),
               verdict.value("scalar", ""));
  } else {
    fmt::print("  SURVIVED  {:32} {}\n", mutant.name, verdict.value("failure", ""));
  }
  std::fflush(stdout);
}

int run_laws(const std::vector<Mutant>& mutants, JsonLines& json) {
  const bool talks = !json.owns_standard_output();
  ProgressBar bar;
  long done = 0, survivors = 0;
  std::map<std::string, long> seeded, caught;
  for (const Mutant& mutant : mutants) ++seeded[mutant.entry];
  std::string entry;
  bar.show(0, static_cast<long>(mutants.size()), mutants.front().entry);
  in_parallel(
      mutants, [](const Mutant& mutant) { return json_from(mutant, {}); },
      [&](const Mutant& mutant, nlohmann::json record) {
        record["entry"] = mutant.entry;
        record["mutant"] = mutant.name;
        record["caught"] = record.value("caught", false);
        caught[mutant.entry] += record["caught"] ? 1 : 0;
        survivors += record["caught"] ? 0 : 1;
        bar.clear();
        json.write(record);
        if (talks && mutant.entry != entry) fmt::print("{}\n", mutant.entry);
        entry = mutant.entry;
        if (talks) print_verdict(mutant, record);
        bar.show(++done, static_cast<long>(mutants.size()), mutant.entry);
      });
  bar.clear();
  if (talks) {
    for (const auto& [name, count] : seeded) fmt::print("{}: {} of {} caught\n", name, caught[name], count);
  }
  return survivors == 0 ? kGood : kLawFailed;
}

// ---- what inputs can tell ----------------------------------------------------------------------

/// By the names of the entries: n, n_q, n_k ... count tokens.
bool counts_tokens(const Size& size) {
  return size.name == "n" || size.name.starts_with("n_");
}

/// The parameters of a case drawn from their ranges, so that options which are off by default get their turn;
/// small values as often as large ones, because a chunk of 3 shows what one of 200 does not.
Case with_drawn_parameters(const Entry& entry, Case one, std::uint64_t seed) {
  one.seed = seed;
  for (const Parameter& parameter : entry.parameters) {
    const Settings settings = entry.with_defaults(one.settings);
    const Index low = parameter.low(settings), count = std::max(low, parameter.high(settings)) - low + 1;
    const double share = static_cast<double>(hash({seed, parameter.name, 0}, 16) >> 11) * 0x1p-53;
    const auto drawn =
        static_cast<Index>(std::pow(static_cast<double>(count + 1), share));  // from 1 to count
    one.settings[parameter.name] = low + std::min(drawn, count) - 1;
  }
  return one;
}

/// Every size at its small limit, then 64 and 128 tokens; each with the default parameters and with drawn
/// ones.
std::vector<Case> detection_cases(const Entry& entry) {
  std::vector<Case> cases;
  for (const Index tokens : {Index{0}, Index{64}, Index{128}}) {
    Case one;
    bool grows = false;
    for (const Size& size : entry.sizes) {
      grows = grows || counts_tokens(size);
      one.settings[size.name] = counts_tokens(size) ? std::max(size.small, tokens) : size.small;
    }
    if (tokens > 0 && !grows) break;
    cases.push_back(one);
    const std::uint64_t draws = entry.parameters.empty() ? 0
                                : tokens == 128          ? 1
                                                         : 3;  // the longest cost the most
    for (std::uint64_t draw = 0; draw < draws; ++draw) {
      cases.push_back(with_drawn_parameters(entry, one, static_cast<std::uint64_t>(tokens) + 2 + draw));
    }
  }
  for (Case& one : cases) {
    if (entry.adjust) entry.adjust(one.settings);
    one.settings = entry.with_defaults(one.settings);
  }
  return cases;
}

/// Error budgets take microseconds an operation, in each of six formats: a case of more operations is left
/// out.
constexpr std::int64_t kMostOperations = 3'000'000;

/// Operations of all forms together that detection looks at.
std::int64_t operations_of(const Entry& entry, const Case& one) {
  const CountOperations scope;
  outputs_in_double(entry, one);
  return scope.counts().total();
}

/// What a mutant gives for a case. One that crashes refuses all forms: nobody could have missed that.
CaseOutputs outputs_of(const Entry& entry, const Case& one, const Mutant& mutant) {
  const nlohmann::json given = json_from(mutant, {"--outputs", to_string(one)});
  if (!given.contains("failure")) return case_outputs(given);
  CaseOutputs crash;
  for (const Form& form : entry.forms) crash.refusals[form.name] = given["failure"];
  return crash;
}

nlohmann::json detection_record(const Entry& entry, const Case& one, std::string_view profile,
                                const std::vector<Mutant>& mutants, const std::vector<bool>& excluded) {
  std::vector<std::string> unseen;
  for (std::size_t i = 0; i < mutants.size(); ++i) {
    if (!excluded[i]) unseen.push_back(mutants[i].name);
  }
  return {{"entry", entry.name},    {"profile", profile},       {"settings", one.settings},
          {"case", to_string(one)}, {"seeded", mutants.size()}, {"excluded", mutants.size() - unseen.size()},
          {"not_excluded", unseen}};
}

/// One case of an entry, and the mutants that are asked about it.
struct Question {
  const Entry* entry;
  Case one;
  std::vector<Mutant> mutants;
};

struct Answer {
  std::int64_t operations = 0;
  std::vector<nlohmann::json> records;  // one a profile; none when there are too many operations
};

Answer answer_to(const Question& question) {
  const Entry& entry = *question.entry;
  Answer answer{operations_of(entry, question.one), {}};
  if (answer.operations > kMostOperations) return answer;
  std::vector<CaseOutputs> outputs;
  for (const Mutant& mutant : question.mutants) outputs.push_back(outputs_of(entry, question.one, mutant));
  const Detection detection(entry, question.one);
  for (const std::string_view profile : kDetectionProfiles) {
    answer.records.push_back(detection_record(entry, question.one, profile, question.mutants,
                                              detection.excluded(profile, outputs)));
  }
  return answer;
}

std::vector<Question> questions_about(const std::vector<Mutant>& mutants) {
  std::vector<Question> questions;
  for (const std::vector<Mutant>& group : by_entry(mutants)) {
    const Entry& entry = Registry::instance().entry(group.front().entry);
    if (!has_budgets(entry)) continue;  // no outputs that a budget belongs to
    for (const Case& one : detection_cases(entry)) questions.push_back({&entry, one, group});
  }
  return questions;
}

void print_answer(const Question& question, const Answer& answer) {
  fmt::print("{}, {}\n", question.entry->name, to_string(question.one));
  if (answer.records.empty()) {
    fmt::print("  left out: {} operations, at most {} are looked at\n", answer.operations, kMostOperations);
  }
  for (const nlohmann::json& record : answer.records) {
    const auto unseen = record["not_excluded"].get<std::vector<std::string>>();
    const std::size_t seeded = question.mutants.size();
    fmt::print("  {:24} {:2} of {:2} excluded{}\n", record["profile"].get<std::string>(),
               seeded - unseen.size(), seeded,
               unseen.empty() ? "" : "; could not have seen " + listed(unseen));
  }
  std::fflush(stdout);
}

int run_detection(const std::vector<Mutant>& mutants, JsonLines& json) {
  const std::vector<Question> questions = questions_about(mutants);
  ProgressBar bar;
  long done = 0;
  bar.show(0, static_cast<long>(questions.size()), "asking");
  in_parallel(questions, answer_to, [&](const Question& question, const Answer& answer) {
    bar.clear();
    for (const nlohmann::json& record : answer.records) json.write(record);
    if (!json.owns_standard_output()) print_answer(question, answer);
    bar.show(++done, static_cast<long>(questions.size()),
             question.entry->name + ", " + to_string(question.one));
  });
  bar.clear();
  return kGood;
}

}  // namespace

void add_mutants(CLI::App& program, int& status) {
  const auto options = std::make_shared<MutantsOptions>();
  CLI::App* command = program.add_subcommand(
      "mutants", "run the seeded faults: every one must be caught by a law, examples not counted");
  command->add_option("NAME", options->entries, "algorithms; all when left out");
  command
      ->add_option("--dir", options->folder,
                   "where the mutants were built; beside this program when left out")
      ->type_name("DIR");
  command->add_flag(
      "--detection", options->detection,
      "instead say which faults a comparison within the error budget could have seen, by format and size");
  add_json_option(*command, options->json);
  command->callback([options, &status] {
    const std::vector<Mutant> mutants = mutants_of(*options);
    JsonLines json(options->json);
    status = options->detection ? run_detection(mutants, json) : run_laws(mutants, json);
  });
}

}  // namespace etalon
