/// \file
/// The tensors, sizes and parameters that a user gives to an algorithm, and the refusal of what does not fit
/// together.
#pragma once

#include <exception>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "proofs/engine/entry.hpp"
#include "tools/npy.hpp"

namespace etalon {

/// Where inputs come from: files `<input>.npy` of a folder, and words "name=value".
struct GivenOptions {
  std::string folder;              ///< may be empty where no file is needed
  std::vector<std::string> words;  ///< sizes, parameters, and inputs that are a single number
  npy::U2 u2 = npy::U2::integer;
};

/// Collects what was given for one form. The first axis that carries a symbol such as n gives it its value,
/// and every other must agree; sizes that no axis carries come from the words. Inputs may be left out as long
/// as the form does not ask for them.
class Given {
 public:
  /// \throws Refusal, npy::Error
  Given(const Entry& entry, const Form& form, const GivenOptions& options);

  const Arrays<double>& arrays() const { return arrays_; }
  const Settings& settings() const { return settings_; }
  /// Words and files as they were given, by input name, for the record.
  const std::map<std::string, std::string>& origins() const { return origins_; }
  /// Which inputs a form needs depends on the settings, so only the form itself can tell: if it failed for
  /// want of an input that was left out, this refuses with the inputs that are missing.
  void refuse_if_missing(const std::exception& failure) const;

 private:
  enum class Type { real, complex, index };
  struct Needed {  // an input, or for a backward form the gradient of an output
    std::string name;
    std::vector<Expression> shape;
    Type type;
  };
  struct Known {  // a size or parameter, and who says so
    Index value;
    std::string from;
  };

  void list_needed(const Form& form);
  bool is_size(const std::string& name) const;
  const Parameter* parameter(const std::string& name) const;
  const Needed* single_number(const std::string& name) const;
  std::vector<std::string> settable() const;
  std::filesystem::path file_of(const std::string& name) const;
  bool has(const std::string& name) const { return origins_.contains(name); }

  void take_word(const std::string& word);
  void take_number(const Needed& needed, const std::string& text);
  void take_file(const Needed& needed);
  void bind_axes(const Needed& needed, const Shape& shape);
  void require_positive(const std::string& size) const;
  /// The inputs that were left out, with their shapes; a single number only if it is the one `asked_for`.
  std::vector<std::string> missing_files(const std::string& asked_for) const;
  [[noreturn]] void refuse_missing(const std::string& asked_for) const;
  void settle_settings();
  void require_parameters_in_range() const;
  void require_compound_axes() const;
  Shape shape_of(const Needed& needed) const;

  const Entry& entry_;
  std::string folder_;
  npy::U2 u2_;
  std::vector<Needed> needed_;
  std::map<std::string, Known> known_;
  std::map<std::string, std::string> origins_;
  Arrays<double> arrays_;
  Settings settings_;
};

}  // namespace etalon
