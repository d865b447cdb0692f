/// \file
/// The subcommands of the program `etalon`. Each stands in a file of its own and adds itself to the command
/// line.
#pragma once

namespace CLI {
class App;
}

namespace etalon {

/// What the program says with its exit status.
enum Status : int {
  kGood = 0,
  kLawFailed = 1,  ///< a law does not hold, counts differ from those stated, or a mutant survived
  kRefused = 2,    ///< bad usage or bad input: one line on standard error, nothing written
};

/// Each adds a subcommand whose outcome goes to `status`. Whatever it throws is a refusal.
void add_list(CLI::App& program, int& status);
void add_explain(CLI::App& program, int& status);
void add_verify(CLI::App& program, int& status);
void add_scale(CLI::App& program, int& status);
void add_eval(CLI::App& program, int& status);
void add_mutants(CLI::App& program, int& status);
void add_study(CLI::App& program, int& status);
void add_bench(CLI::App& program, int& status);

}  // namespace etalon
