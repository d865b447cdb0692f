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
#include <cmath>
#include <filesystem>
#include <future>
#include <memory>

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

/// Calls `work` for each item, two at a time, and `take` with the results in order.
template <class Item, class Work, class Take>
void two_at_a_time(const std::vector<Item>& items, const Work& work, const Take& take) {
  std::future<decltype(work(items.front()))> running;
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto next = std::async(std::launch::async, work, std::cref(items[i]));
    if (i > 0) take(items[i - 1], running.get());
    running = std::move(next);
  }
  if (!items.empty()) take(items.back(), running.get());
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
  for (const std::vector<Mutant>& group : by_entry(mutants)) {
    if (talks) fmt::print("{}\n", group.front().entry);
    long caught = 0;
    bar.show(done, static_cast<long>(mutants.size()), group.front().entry);
    two_at_a_time(
        group, [](const Mutant& mutant) { return json_from(mutant, {}); },
        [&](const Mutant& mutant, const nlohmann::json& verdict) {
          nlohmann::json record = verdict;
          record["entry"] = mutant.entry;
          record["mutant"] = mutant.name;
          record["caught"] = verdict.value("caught", false);
          caught += record["caught"] ? 1 : 0;
          bar.clear();
          json.write(record);
          if (talks) print_verdict(mutant, record);
          bar.show(++done, static_cast<long>(mutants.size()), mutant.entry);
        });
    bar.clear();
    const long seeded = static_cast<long>(group.size());
    survivors += seeded - caught;
    if (talks) fmt::print("  {} of {} caught\n", caught, seeded);
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

/// What each mutant gives for a case. One that crashes refuses all forms: nobody could have missed that.
std::vector<CaseOutputs> outputs_of(const Entry& entry, const Case& one, const std::vector<Mutant>& mutants) {
  std::vector<CaseOutputs> outputs;
  two_at_a_time(
      mutants,
      [&](const Mutant& mutant) {
        return json_from(mutant, {"--outputs", to_string(one)});
      },
      [&](const Mutant&, const nlohmann::json& given) {
        if (!given.contains("failure")) {
          outputs.push_back(case_outputs(given));
          return;
        }
        CaseOutputs crash;
        for (const Form& form : entry.forms) crash.refusals[form.name] = given["failure"];
        outputs.push_back(crash);
      });
  return outputs;
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

/// Which mutants a case excludes, one record a profile.
void detect(const Entry& entry, const Case& one, const std::vector<Mutant>& mutants, JsonLines& json) {
  const std::vector<CaseOutputs> outputs = outputs_of(entry, one, mutants);
  const Detection detection(entry, one);
  const std::vector<std::string_view> profiles(kDetectionProfiles.begin(), kDetectionProfiles.end());
  two_at_a_time(
      profiles, [&](std::string_view profile) { return detection.excluded(profile, outputs); },
      [&](std::string_view profile, const std::vector<bool>& excluded) {
        const nlohmann::json record = detection_record(entry, one, profile, mutants, excluded);
        json.write(record);
        if (json.owns_standard_output()) return;
        const auto unseen = record["not_excluded"].get<std::vector<std::string>>();
        fmt::print("  {:24} {:2} of {:2} excluded{}\n", profile, mutants.size() - unseen.size(),
                   mutants.size(), unseen.empty() ? "" : "; could not have seen " + listed(unseen));
        std::fflush(stdout);
      });
}

int run_detection(const std::vector<Mutant>& mutants, JsonLines& json) {
  ProgressBar bar;
  long done = 0;
  for (const std::vector<Mutant>& group : by_entry(mutants)) {
    const Entry& entry = Registry::instance().entry(group.front().entry);
    bar.show(done, static_cast<long>(mutants.size()), entry.name);
    done += static_cast<long>(group.size());
    if (!has_budgets(entry)) continue;  // no outputs that a budget belongs to
    for (const Case& one : detection_cases(entry)) {
      bar.clear();
      if (!json.owns_standard_output()) fmt::print("{}, {}\n", entry.name, to_string(one));
      bar.show(done, static_cast<long>(mutants.size()), entry.name + ", " + to_string(one));
      const std::int64_t operations = operations_of(entry, one);
      if (operations > kMostOperations) {
        if (!json.owns_standard_output())
          fmt::print("  left out: {} operations, at most {} are looked at\n", operations, kMostOperations);
        continue;
      }
      detect(entry, one, group, json);
    }
  }
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
