/// \file
/// The program `etalon`: what the project knows, asked for on the command line. One subcommand a file.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "tools/etalon/commands.hpp"

namespace etalon {
namespace {

/// Says in one line, whatever the message holds, why the program refuses.
int refused(std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::fprintf(stderr, "etalon: %s\n", message.c_str());
  return kRefused;
}

/// What is wrong with the usage, and where help on it is found.
std::string complaint(const CLI::App& program, const CLI::ParseError& error, int argc, char** argv) {
  const auto subcommands = program.get_subcommands();
  if (!subcommands.empty()) {
    return std::string(error.what()) + "; see etalon " + subcommands.front()->get_name() + " --help";
  }
  std::string known;
  for (const CLI::App* subcommand : program.get_subcommands({})) {
    known += (known.empty() ? "" : ", ") + subcommand->get_name();
  }
  return "the subcommand is " + std::string(argc > 1 ? argv[1] : "missing") + ", expected one of: " + known;
}

int run(int argc, char** argv) {
  CLI::App program("Reference implementations of sequence mixers, and the proof that they are right.",
                   "etalon");
  program.footer(
      "Exit status: 0 good, 1 a law failed, 2 bad usage or bad input (one line on standard error).");
  program.require_subcommand(1);
  int status = kGood;
  add_list(program, status);
  add_explain(program, status);
  add_verify(program, status);
  add_scale(program, status);
  add_eval(program, status);
  add_mutants(program, status);
  add_study(program, status);
  add_bench(program, status);
  try {
    program.parse(argc, argv);
    return status;
  } catch (const CLI::ParseError& error) {
    const bool help = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success);
    return help ? program.exit(error) : refused(complaint(program, error, argc, argv));
  } catch (const std::exception& error) {
    return refused(error.what());
  }
}

}  // namespace
}  // namespace etalon

int main(int argc, char** argv) {
  const int status = etalon::run(argc, argv);
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  return written || status != etalon::kGood ? status : etalon::refused("standard output cannot be written");
}
