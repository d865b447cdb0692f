/// \file
/// The bridge between the machine-checked theorems and the texts. A theorem speaks of a definition in Coq;
/// here the C++ text must compute, in exact fractions, what that definition computed (tools/prove writes the
/// cases), and every law that a ring or a field decides must name its theorem or say why it has none.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <source_location>
#include <string>
#include <type_traits>
#include <vector>

#include "proofs/engine/entry.hpp"
#include "proofs/engine/runner.hpp"

namespace etalon {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

fs::path root() {
  return fs::path(std::source_location::current().file_name()).parent_path().parent_path().parent_path();
}

Json read(const fs::path& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

/// The files of cases, one for each entry.
std::vector<fs::path> case_files() {
  std::vector<fs::path> files;
  for (const auto& item : fs::directory_iterator(root() / "tests/data/formal")) {
    if (item.path().extension() == ".json") files.push_back(item.path());
  }
  std::ranges::sort(files);
  return files;
}

/// A fraction, as "-7/3", in an exact arithmetic.
template <class T>
T number(const std::string& text) {
  if constexpr (std::is_constructible_v<T, Rational>) {
    return T(Rational(text));
  } else {
    const std::size_t bar = text.find('/');
    return T(std::stoll(text)) / (bar == std::string::npos ? T(1) : T(std::stoll(text.substr(bar + 1))));
  }
}

template <class T>
Array<T> numbers(const Json& array, const char* member) {
  std::vector<T> values;
  for (const Json& value : array.at(member)) values.push_back(number<T>(value.get<std::string>()));
  return Array<T>(array.at("shape").get<Shape>(), std::move(values));
}

template <class T>
Array<Complex<T>> complex_numbers(const Json& array) {
  const Array<T> re = numbers<T>(array, "values"), im = numbers<T>(array, "imaginary");
  Array<Complex<T>> both(re.shape());
  for (std::size_t i = 0; i < re.values().size(); ++i) {
    both.values()[i] = Complex<T>(re.values()[i], im.values()[i]);
  }
  return both;
}

template <class T>
Arrays<T> arrays(const Json& named) {
  Arrays<T> all;
  for (const auto& [name, array] : named.items()) {
    if (array.contains("imaginary")) {
      all.complex[name] = complex_numbers<T>(array);
    } else {
      all.real[name] = numbers<T>(array, "values");
    }
  }
  return all;
}

template <class T>
void expect_same(const Array<T>& computed, const Array<T>& proved, const std::string& what) {
  ASSERT_EQ(computed.shape(), proved.shape()) << what;
  for (std::size_t i = 0; i < proved.values().size(); ++i) {
    EXPECT_TRUE(computed.values()[i] == proved.values()[i]) << what << ", number " << i;
  }
}

/// A real or an integer output.
template <class T>
Array<T> output_of(const Arrays<T>& computed, const std::string& name) {
  const auto found = computed.index.find(name);
  if (found == computed.index.end()) return computed[name];
  return Array<T>(found->second.shape(),
                  std::vector<T>(found->second.values().begin(), found->second.values().end()));
}

/// Runs a form on the inputs of a case and compares all outputs that the theorem speaks of.
template <class T>
void run_form(const Entry& entry, const Form& form, const Json& one, const Json& outputs,
              const std::string& where) {
  const Settings settings = entry.with_defaults(one.at("settings").get<Settings>());
  const Arrays<T> computed = form.run<T>(arrays<T>(one.at("inputs")), settings);
  const Arrays<T> proved = arrays<T>(outputs);
  for (const auto& [output, values] : proved.real) {
    expect_same(output_of(computed, output), values, where + output);
  }
  for (const auto& [output, values] : proved.complex) {
    expect_same(computed.complex.at(output), values, where + output);
  }
}

class Bridge : public testing::TestWithParam<fs::path> {};

/// In fractions; with exp = 2^x where a text needs an exponential; in a finite field where a form of integers
/// is registered for no other exact arithmetic.
TEST_P(Bridge, TextsComputeWhatTheTheoremsSpeakOf) {
  const Json file = read(GetParam());
  const std::string name = file.at("entry").get<std::string>();
  const Entry& entry = Registry::instance().entry(name);
  std::size_t count = 0;
  for (const Json& one : file.at("cases")) {
    ++count;
    for (const auto& [form_name, outputs] : one.at("forms").items()) {
      const Form& form = entry.form(form_name);
      const std::string where = name + ":" + form_name + ", case " + std::to_string(count) + ", ";
      if (form.has<Rational>()) {
        run_form<Rational>(entry, form, one, outputs, where);
      } else if (form.has<RationalExp2>()) {
        run_form<RationalExp2>(entry, form, one, outputs, where);
      } else {
        run_form<PrimeField>(entry, form, one, outputs, where);
      }
    }
  }
  EXPECT_GE(count, 10U) << "cases of " << name;
}

INSTANTIATE_TEST_SUITE_P(All, Bridge, testing::ValuesIn(case_files()),
                         [](const auto& file) { return file.param.stem().string(); });

/// Whether a law is decided in a finite field: then it needs nothing but a ring or a field.
bool is_algebraic(const Law& law) {
  return std::ranges::any_of(law.variants,
                             [](const LawVariant& variant) { return variant.scalar == "PrimeField"; });
}

TEST(Theorems, EveryAlgebraicEqualityNamesItsTheoremOrSaysWhyNot) {
  complete_entries();
  const Json theorems = read(root() / "proofs/formal/theorems.json");
  for (const Entry* entry : Registry::instance().entries()) {
    for (const Law& law : entry->laws) {
      if (law.kind != Kind::same || !is_algebraic(law)) continue;
      const bool listed = theorems.contains(entry->name) && theorems.at(entry->name).contains(law.name);
      EXPECT_TRUE(listed) << "proofs/formal/theorems.json says nothing of the law '" << law.name << "' of "
                          << entry->name;
    }
  }
}

TEST(Theorems, TheMapNamesLawsThatThereAre) {
  complete_entries();
  const Json theorems = read(root() / "proofs/formal/theorems.json");
  for (const auto& [name, rows] : theorems.items()) {
    const Entry& entry = Registry::instance().entry(name);
    for (const auto& [law, row] : rows.items()) {
      EXPECT_TRUE(std::ranges::any_of(entry.laws, [&](const Law& one) { return one.name == law; }))
          << name << " has no law '" << law << "'";
    }
  }
}

}  // namespace
}  // namespace etalon
