/// \file
/// `etalon eval NAME[:FORM]`: runs an algorithm on tensors from files, in any of the number types: the oracle
/// for everybody's own tensors.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <memory>
#include <system_error>

#include "proofs/engine/convert.hpp"
#include "reference/scalar/lmul.hpp"
#include "tools/etalon/commands.hpp"
#include "tools/etalon/common.hpp"
#include "tools/etalon/given.hpp"

namespace etalon {
namespace {

namespace fs = std::filesystem;

struct EvalOptions {
  std::string target;  // NAME or NAME:FORM
  GivenOptions given;
  std::string out;
  std::string scalar = std::string(scalar_name<Real50>);
  bool bfloat16 = false;
  bool force = false;
  std::string json;
};

// ---- the number type ---------------------------------------------------------------------------

template <class T>
Arrays<double> run_in(const Form& form, const Arrays<double>& in, const Settings& settings) {
  return converted_arrays<double>(form.run<T>(converted_arrays<T>(in), settings));
}

/// A number type that a form can be evaluated in.
struct Reading {
  std::string_view scalar;
  Arrays<double> (*run)(const Form&, const Arrays<double>&, const Settings&);
};

template <class... Ts>
std::vector<Reading> readings_in(TypeList<Ts...>) {
  return {Reading{scalar_name<Ts>, &run_in<Ts>}...};
}

using EvalScalars = TypeList<Real50, Real100, double, float, Mixed<Float16, float>, Mixed<BFloat16, float>,
                             Mixed<E4M3, float>, Float16, BFloat16, E4M3, E5M2, LMul>;

Reading reading_named(const Form& form, const std::string& word) {
  std::vector<std::string> possible;
  for (const Reading& reading : readings_in(EvalScalars{})) {
    if (std::find(form.scalars.begin(), form.scalars.end(), reading.scalar) == form.scalars.end()) continue;
    if (same_word(reading.scalar, word)) return reading;
    possible.emplace_back(reading.scalar);
  }
  refuse("--scalar", word, "one of: " + listed(possible));
}

// ---- the folder of the outputs -----------------------------------------------------------------

/// Outputs are written into a folder beside the target, which takes its place when all of them are there.
class OutputFolder {
 public:
  /// \throws Refusal when the outputs could not be put there
  OutputFolder(const std::string& path, bool force) : target_(fs::absolute(path).lexically_normal()) {
    if (!target_.has_filename()) target_ = target_.parent_path();  // "out/" is "out"
    std::error_code failure;
    const fs::file_status status = fs::status(target_, failure);
    if (fs::exists(status) && !fs::is_directory(status))
      refuse("--out", path + ", which is a file", "a directory");
    failure.clear();  // that there is nothing yet is no failure
    occupied_ = fs::exists(status) && !fs::is_empty(target_, failure);
    if (failure) refuse("--out", path + " (" + failure.message() + ")", "a directory that can be used");
    if (occupied_ && !force)
      refuse("--out", path + ", which is not empty", "a new or empty directory, or --force");
    const fs::path parent = target_.parent_path();
    if (!fs::is_directory(parent) || ::access(parent.c_str(), W_OK | X_OK) != 0) {
      refuse("--out", path, "a directory whose parent exists and can be written to");
    }
  }
  ~OutputFolder() {
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
  }
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  /// Writes all arrays, or none.
  void write(const Arrays<double>& arrays) {
    std::string pattern = (target_.parent_path() / ("." + target_.filename().string() + ".XXXXXX")).string();
    if (::mkdtemp(pattern.data()) == nullptr) refuse_writing(std::generic_category().message(errno));
    temporary_ = pattern;
    for (const auto& [name, array] : arrays.real) npy::write(file(name), array);
    for (const auto& [name, array] : arrays.complex) npy::write(file(name), array);
    for (const auto& [name, array] : arrays.index) npy::write(file(name), array);
    std::error_code failure;
    fs::permissions(temporary_,
                    fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                        fs::perms::others_read | fs::perms::others_exec,
                    failure);
    if (occupied_) {  // other files may stand there: only those of the same names are replaced
      for (const auto& each : fs::directory_iterator(temporary_)) {
        fs::rename(each.path(), target_ / each.path().filename(), failure);
        if (failure) refuse_writing(failure.message());
      }
      return;
    }
    fs::rename(temporary_, target_, failure);  // an empty directory is replaced
    if (failure) refuse_writing(failure.message());
    temporary_.clear();
  }

  fs::path target() const { return target_; }

 private:
  fs::path file(const std::string& name) const { return temporary_ / (name + ".npy"); }
  [[noreturn]] void refuse_writing(const std::string& reason) const {
    refuse("--out", target_.string() + " (" + reason + ")", "a directory that can be written");
  }

  fs::path target_, temporary_;
  bool occupied_ = false;
};

// ---- the command -------------------------------------------------------------------------------

Index overflowed(const Array<double>& array) {
  return std::count_if(array.values().begin(), array.values().end(),
                       [](double x) { return !std::isfinite(x); });
}
Index overflowed(const Array<Complex<double>>& array) {
  return std::count_if(array.values().begin(), array.values().end(),
                       [](const auto& z) { return !std::isfinite(z.re) || !std::isfinite(z.im); });
}
Index overflowed(const Array<Index>&) {
  return 0;
}

template <class T>
void tell(const std::map<std::string, Array<T>>& arrays, const fs::path& folder, nlohmann::json& record) {
  for (const auto& [name, array] : arrays) {
    record["outputs"][name] = {{"shape", array.shape()},
                               {"file", (folder / (name + ".npy")).string()},
                               {"not_finite", overflowed(array)}};
  }
}

void print(const nlohmann::json& record) {
  fmt::print("{}:{} in {}", record["entry"].get<std::string>(), record["form"].get<std::string>(),
             record["scalar"].get<std::string>());
  for (const auto& [name, value] : record["settings"].items()) fmt::print(", {} = {}", name, value.dump());
  fmt::print("\n");
  for (const auto& [name, output] : record["outputs"].items()) {
    const Index not_finite = output["not_finite"];
    fmt::print(
        "  {}: {}, {}\n", output["file"].get<std::string>(), to_string(output["shape"].get<Shape>()),
        not_finite == 0 ? "rounded to double" : counted(not_finite, "element") + " infinite or not a number");
  }
}

Arrays<double> evaluated(const Reading& reading, const Form& form, const Given& given) {
  try {
    return reading.run(form, given.arrays(), given.settings());
  } catch (const std::exception& failure) {
    given.refuse_if_missing(failure);
    throw;
  }
}

int eval(EvalOptions options) {
  const std::size_t colon = options.target.find(':');
  const Entry& entry = Registry::instance().entry(options.target.substr(0, colon));
  if (entry.forms.empty()) refuse("NAME", entry.name, "an algorithm with forms, which this one has not");
  const Form& form =
      colon == std::string::npos ? entry.forms.front() : entry.form(options.target.substr(colon + 1));
  const Reading reading = reading_named(form, options.scalar);
  options.given.u2 = options.bfloat16 ? npy::U2::bfloat16 : npy::U2::integer;
  const Given given(entry, form, options.given);
  OutputFolder folder(options.out, options.force);
  JsonLines json(options.json);
  const Arrays<double> out = evaluated(reading, form, given);
  folder.write(out);
  nlohmann::json record{{"entry", entry.name},       {"form", form.name},
                        {"scalar", reading.scalar},  {"settings", given.settings()},
                        {"inputs", given.origins()}, {"outputs", nlohmann::json::object()}};
  tell(out.real, folder.target(), record);
  tell(out.complex, folder.target(), record);
  tell(out.index, folder.target(), record);
  json.write(record);
  if (!json.owns_standard_output()) print(record);
  return kGood;
}

}  // namespace

void add_eval(CLI::App& program, int& status) {
  const auto options = std::make_shared<EvalOptions>();
  CLI::App* command = program.add_subcommand(
      "eval",
      "run an algorithm on your tensors. Results are rounded to double (f8, c16) whatever the number type");
  command->add_option("NAME[:FORM]", options->target, "algorithm, and form; the definition when left out")
      ->required();
  command->add_option("--in", options->given.folder, "directory with <input>.npy for each input")
      ->type_name("DIR");
  command
      ->add_option("--set", options->given.words,
                   "parameters, sizes that no input has, and inputs that are a single number")
      ->type_name("NAME=VALUE ...");
  command
      ->add_option("--scalar", options->scalar,
                   "number type: Real50 (50 digits), Real100, double, float, BFloat16, Float16, E4M3, E5M2, "
                   "Mixed<BFloat16,float>, ...; inputs are rounded to it first")
      ->capture_default_str();
  command->add_flag("--bf16", options->bfloat16, "u2 elements are the bit patterns of bfloat16 numbers");
  command->add_option("--out", options->out, "directory for <output>.npy; must be new or empty")
      ->type_name("DIR")
      ->required();
  command->add_flag("--force", options->force, "write into a directory that is not empty, replacing files");
  add_json_option(*command, options->json);
  command->callback([options, &status] { status = eval(*options); });
}

}  // namespace etalon
