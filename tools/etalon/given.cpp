#include "tools/etalon/given.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include "tools/etalon/common.hpp"

namespace etalon {
namespace {

namespace fs = std::filesystem;

Index parse_integer(const std::string& name, const std::string& text) {
  Index value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    refuse("--set " + name, "\"" + text + "\"", "an integer");
  }
  return value;
}

double parse_number(const std::string& name, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value)) {
    refuse("--set " + name, "\"" + text + "\"", "a finite number");
  }
  return value;
}

/// A choice by its name, or any parameter by its integer.
Index parse_parameter(const Parameter& parameter, const std::string& text) {
  for (std::size_t i = 0; i < parameter.choices.size(); ++i) {
    if (parameter.choices[i] == text) return parameter.low({}) + static_cast<Index>(i);
  }
  const bool integer = !text.empty() && text.find_first_not_of("-0123456789") == std::string::npos;
  if (!parameter.choices.empty() && !integer) {
    refuse("--set " + parameter.name, "\"" + text + "\"", "one of: " + listed(parameter.choices));
  }
  return parse_integer(parameter.name, text);
}

/// "(3, 1)" for the element that stands at `offset` in row-major order.
std::string position_text(const Shape& shape, Index offset) {
  std::string text;
  for (std::size_t axis = shape.size(); axis-- > 0; offset /= shape[axis]) {
    text = std::to_string(offset % shape[axis]) + (text.empty() ? "" : ", ") + text;
  }
  return "(" + text + ")";
}

bool is_finite(double x) {
  return std::isfinite(x);
}
bool is_finite(const Complex<double>& z) {
  return std::isfinite(z.re) && std::isfinite(z.im);
}

template <class T>
void require_finite(const std::string& file, const Array<T>& array) {
  for (Index i = 0; i < array.size(); ++i) {
    const T& x = array.values()[static_cast<std::size_t>(i)];
    if (is_finite(x)) continue;
    refuse(file + ": element " + position_text(array.shape(), i), show(x), "a finite number");
  }
}

}  // namespace

Given::Given(const Entry& entry, const Form& form, const GivenOptions& options)
    : entry_(entry), folder_(options.folder), u2_(options.u2) {
  if (!folder_.empty() && !fs::is_directory(folder_))
    refuse("--in", folder_ + ", which is no directory", "a directory");
  list_needed(form);
  for (const std::string& word : options.words) take_word(word);
  for (const Needed& needed : needed_) take_file(needed);
  settle_settings();
  require_parameters_in_range();
  require_compound_axes();
}

void Given::list_needed(const Form& form) {
  for (const Input& input : entry_.inputs) {
    const Type real_or_complex = input.is_complex ? Type::complex : Type::real;
    needed_.push_back({input.name, input.shape, input.draw_index ? Type::index : real_or_complex});
  }
  if (!form.backward) return;
  for (const Output& output : entry_.outputs)
    needed_.push_back({"d_" + output.name, output.shape, Type::real});
}

bool Given::is_size(const std::string& name) const {
  return std::any_of(entry_.sizes.begin(), entry_.sizes.end(),
                     [&](const Size& size) { return size.name == name; });
}

const Parameter* Given::parameter(const std::string& name) const {
  for (const Parameter& each : entry_.parameters) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

const Given::Needed* Given::single_number(const std::string& name) const {
  for (const Needed& needed : needed_) {
    if (needed.name == name && needed.shape.empty() && needed.type != Type::complex) return &needed;
  }
  return nullptr;
}

std::vector<std::string> Given::settable() const {
  std::vector<std::string> names;
  for (const Size& size : entry_.sizes) names.push_back(size.name);
  for (const Parameter& each : entry_.parameters) names.push_back(each.name);
  for (const Needed& needed : needed_) {
    if (single_number(needed.name) != nullptr) names.push_back(needed.name);
  }
  return names;
}

fs::path Given::file_of(const std::string& name) const {
  return fs::path(folder_) / (name + ".npy");
}

void Given::take_word(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos)
    refuse("--set", word, "NAME=VALUE with NAME one of: " + listed(settable()));
  const std::string name = word.substr(0, equals), value = word.substr(equals + 1);
  if (known_.contains(name) || has(name)) refuse("--set " + name, "given twice", "one value");
  if (const Parameter* found = parameter(name)) {
    known_[name] = {parse_parameter(*found, value), "--set"};
  } else if (is_size(name)) {
    known_[name] = {parse_integer(name, value), "--set"};
    require_positive(name);
  } else if (const Needed* needed = single_number(name)) {
    take_number(*needed, value);
  } else {
    refuse("--set", name, "one of: " + listed(settable()));
  }
}

void Given::take_number(const Needed& needed, const std::string& text) {
  if (needed.type == Type::index) {
    arrays_.index[needed.name] = Array<Index>(Shape{}, parse_integer(needed.name, text));
  } else {
    arrays_.real[needed.name] = Array<double>(Shape{}, parse_number(needed.name, text));
  }
  origins_[needed.name] = "--set";
}

void Given::take_file(const Needed& needed) {
  const std::string file = file_of(needed.name).string();
  if (folder_.empty() || !fs::exists(fs::symlink_status(file))) return;
  if (has(needed.name)) refuse(needed.name, "given by --set and by " + file, "one of the two");
  const npy::Tensor tensor = npy::read(file);
  bind_axes(needed, tensor.shape);
  if (needed.type == Type::index) {
    arrays_.index[needed.name] = npy::to_index(tensor);
  } else if (needed.type == Type::complex) {
    arrays_.complex[needed.name] = npy::to_complex(tensor, u2_);
    require_finite(file, arrays_.complex[needed.name]);
  } else {
    arrays_.real[needed.name] = npy::to_real(tensor, u2_);
    require_finite(file, arrays_.real[needed.name]);
  }
  origins_[needed.name] = file;
}

void Given::bind_axes(const Needed& needed, const Shape& shape) {
  const std::string file = file_of(needed.name).string();
  if (shape.size() != needed.shape.size())
    refuse(file + ": shape", to_string(shape), shape_text(needed.shape));
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::string& symbol = needed.shape[axis].text();
    if (!is_size(symbol) && parameter(symbol) == nullptr) continue;  // compound: checked when all is known
    const auto [place, is_new] = known_.try_emplace(symbol, Known{shape[axis], needed.name + ".npy"});
    if (is_new && is_size(symbol)) require_positive(symbol);
    const Known& known = place->second;
    if (known.value == shape[axis]) continue;
    refuse(file + ": shape", to_string(shape),
           fmt::format("{} with {} = {} (by {})", shape_text(needed.shape), symbol, known.value, known.from));
  }
}

void Given::require_positive(const std::string& size) const {
  const Known& known = known_.at(size);
  if (known.value < 1) refuse(size, std::to_string(known.value) + " (by " + known.from + ")", "1 or more");
}

std::vector<std::string> Given::missing_files(const std::string& asked_for) const {
  std::vector<std::string> missing;
  for (const Needed& needed : needed_) {
    if (has(needed.name) || (needed.shape.empty() && needed.name != asked_for)) continue;
    missing.push_back(needed.name + ".npy (" + shape_text(needed.shape) + ")");
  }
  return missing;
}

void Given::refuse_missing(const std::string& asked_for) const {
  refuse("--in", folder_.empty() ? "left out" : folder_ + ", where files are missing",
         listed(missing_files(asked_for)));
}

void Given::refuse_if_missing(const std::exception& failure) const {
  for (const Needed& needed : needed_) {
    const std::string message = "input " + needed.name + " is missing";  // by `Arrays`
    if (!has(needed.name) && std::string(failure.what()).starts_with(message)) refuse_missing(needed.name);
  }
  const bool from_map =
      dynamic_cast<const std::out_of_range*>(&failure) != nullptr;  // complex and integer inputs
  if (from_map && !missing_files("").empty()) refuse_missing("");
}

void Given::settle_settings() {
  for (const auto& [name, known] : known_) settings_[name] = known.value;
  for (const Size& size : entry_.sizes) {
    if (settings_.contains(size.name)) continue;
    for (const Needed& needed : needed_) {  // the file that would have said so may be what is missing
      for (const Expression& axis : needed.shape) {
        if (axis.text() == size.name && !has(needed.name)) refuse_missing("");
      }
    }
    refuse("the size " + size.name, "not given", "--set " + size.name + "=VALUE");
  }
  settings_ = entry_.with_defaults(settings_);
}

void Given::require_parameters_in_range() const {
  for (const Parameter& each : entry_.parameters) {
    const auto known = known_.find(each.name);
    if (known == known_.end()) continue;
    const Index low = each.low(settings_), high = std::max(low, each.high(settings_));
    if (known->second.value >= low && known->second.value <= high) continue;
    refuse(each.name, fmt::format("{} (by {})", known->second.value, known->second.from),
           fmt::format("{}, here from {} to {}", range_text(each), low, high));
  }
}

void Given::require_compound_axes() const {
  for (const Needed& needed : needed_) {
    if (!has(needed.name)) continue;
    Shape expected;
    for (const Expression& axis : needed.shape) expected.push_back(axis(settings_));
    const Shape given = shape_of(needed);
    if (given == expected) continue;
    refuse(file_of(needed.name).string() + ": shape", to_string(given),
           shape_text(needed.shape) + ", here " + to_string(expected));
  }
}

Shape Given::shape_of(const Needed& needed) const {
  if (needed.type == Type::index) return arrays_.index.at(needed.name).shape();
  if (needed.type == Type::complex) return arrays_.complex.at(needed.name).shape();
  return arrays_.real.at(needed.name).shape();
}

}  // namespace etalon
