/// \file
/// `etalon bench`: times the fast path beside OpenBLAS, by the program `etalon_bench` that stands beside this
/// one.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tools/etalon/commands.hpp"
#include "tools/etalon/common.hpp"

namespace etalon {
namespace {

namespace fs = std::filesystem;

struct BenchOptions {
  std::string only = ".";
  int repetitions = 9;
  std::string json;
};

/// Replaces this program by etalon_bench: its progress and its table are what the user sees.
/// \throws Refusal when it is not built
[[noreturn]] void run_bench(const BenchOptions& options) {
  std::error_code failure;
  const fs::path self = fs::read_symlink("/proc/self/exe", failure);
  const fs::path program = (failure ? fs::path("build/bin/etalon") : self).parent_path() / "etalon_bench";
  if (!fs::exists(program)) {
    refuse("the program etalon_bench", "not built",
           "libbenchmark-dev, libopenblas-dev and: cmake --build build --target etalon_bench");
  }
  std::vector<std::string> words{program.string(),
                                 "--benchmark_filter=" + options.only,
                                 "--benchmark_enable_random_interleaving=true",
                                 "--benchmark_report_aggregates_only=true",
                                 "--benchmark_counters_tabular=true",
                                 "--benchmark_repetitions=" + std::to_string(options.repetitions)};
  if (!options.json.empty()) {
    words.push_back("--benchmark_out=" + options.json);
    words.push_back("--benchmark_out_format=json");
  }
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execv(program.c_str(), pointers.data());
  refuse(program.string(), "not to be run", "a program");
}

}  // namespace

void add_bench(CLI::App& program, int&) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = program.add_subcommand(
      "bench", "time the fast path on this processor, beside OpenBLAS's matrix product");
  command->add_option("--only", options->only, "regular expression: which benchmarks")->capture_default_str();
  command->add_option("--repetitions", options->repetitions, "of each benchmark, interleaved; medians count")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--json", options->json, "write Google Benchmark's JSON to FILE as well")
      ->type_name("FILE");
  command->footer("For the GPU: tools/gpu_check, on a machine that has one.");
  command->callback([options] { run_bench(*options); });
}

}  // namespace etalon
