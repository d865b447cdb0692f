#include "proofs/engine/detection.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "proofs/engine/convert.hpp"
#include "proofs/engine/profiles.hpp"

namespace etalon {
namespace {

using Bound = Bounded<Real50>;

/// Double precision as mutants are compiled for it; that it also counts does not matter here.
using Computed = Counted<double>;

RoundingProfile profile_named(std::string_view name) {
  if (name == scalar_name<float>) return profile_of<float>();
  if (name == scalar_name<Mixed<BFloat16, float>>) return profile_of<Mixed<BFloat16, float>>();
  if (name == scalar_name<Float16>) return profile_of<Float16>();
  if (name == scalar_name<BFloat16>) return profile_of<BFloat16>();
  if (name == scalar_name<E4M3>) return profile_of<E4M3>();
  throw std::invalid_argument("detection: profile is " + std::string(name) +
                              ", expected float, Mixed<BFloat16,float>, Float16, BFloat16 or E4M3");
}

nlohmann::json shape_and_values(const Shape& shape, nlohmann::json values) {
  return {{"shape", shape}, {"values", std::move(values)}};
}

template <class T>
nlohmann::json values_json(const std::map<std::string, Array<T>>& arrays) {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [name, array] : arrays) {
    nlohmann::json values = nlohmann::json::array();
    for (const T& x : array.values()) {
      if constexpr (requires { x.re; }) {
        values.push_back(x.re);
        values.push_back(x.im);
      } else {
        values.push_back(x);
      }
    }
    all[name] = shape_and_values(array.shape(), std::move(values));
  }
  return all;
}

double number_from(const nlohmann::json& json) {
  return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}

Arrays<double> arrays_from(const nlohmann::json& json) {
  Arrays<double> arrays;
  for (const auto& [name, one] : json.at("real").items()) {
    Array<double> array(one.at("shape").get<Shape>());
    for (std::size_t i = 0; i < array.values().size(); ++i)
      array.values()[i] = number_from(one.at("values").at(i));
    arrays.real[name] = array;
  }
  for (const auto& [name, one] : json.at("complex").items()) {
    Array<Complex<double>> array(one.at("shape").get<Shape>());
    for (std::size_t i = 0; i < array.values().size(); ++i) {
      array.values()[i] = {number_from(one.at("values").at(2 * i)),
                           number_from(one.at("values").at(2 * i + 1))};
    }
    arrays.complex[name] = array;
  }
  for (const auto& [name, one] : json.at("index").items()) {
    arrays.index[name] =
        Array<Index>(one.at("shape").get<Shape>(), one.at("values").get<std::vector<Index>>());
  }
  return arrays;
}

/// True when no rounding explains the difference; so is a NaN where the budget is finite.
bool apart(double value, const Bound& truth, const Bound& in_double) {
  const double budget = truth.error_bound() + in_double.error_bound();
  if (!std::isfinite(budget)) return false;  // an overflow is possible: nothing is claimed
  if (!std::isfinite(value)) return true;
  using std::abs;
  return abs(Real50(value) - truth.value()) > Real50(budget);
}

/// Compares one form's outputs.
bool excludes_arrays(const Arrays<Bound>& truth, const Arrays<Bound>& in_double,
                     const Arrays<double>& mutant) {
  for (const auto& [name, array] : truth.real) {
    const auto given = mutant.real.find(name);
    if (given == mutant.real.end() || given->second.shape() != array.shape()) return true;
    for (std::size_t i = 0; i < array.values().size(); ++i) {
      if (apart(given->second.values()[i], array.values()[i], in_double.real.at(name).values()[i]))
        return true;
    }
  }
  for (const auto& [name, array] : truth.complex) {
    const auto given = mutant.complex.find(name);
    if (given == mutant.complex.end() || given->second.shape() != array.shape()) return true;
    for (std::size_t i = 0; i < array.values().size(); ++i) {
      const Complex<double>& z = given->second.values()[i];
      const auto &bound = array.values()[i], &fine = in_double.complex.at(name).values()[i];
      if (apart(z.re, bound.re, fine.re) || apart(z.im, bound.im, fine.im)) return true;
    }
  }
  for (const auto& [name, array] : truth.index) {
    const auto given = mutant.index.find(name);
    if (given == mutant.index.end() || given->second.shape() != array.shape()) return true;
    if (!std::equal(array.values().begin(), array.values().end(), given->second.values().begin()))
      return true;
  }
  return false;
}

}  // namespace

bool has_budgets(const Entry& entry) {
  return std::any_of(entry.forms.begin(), entry.forms.end(),
                     [](const Form& form) { return form.has<Computed>() && form.has<Bound>(); });
}

CaseOutputs outputs_in_double(const Entry& entry, const Case& one) {
  CaseOutputs all;
  for (const Form& form : entry.forms) {
    if (!form.has<Computed>()) continue;
    try {
      const auto in = draw_inputs<Computed>(entry, one, form.backward);
      const auto out = form.run<Computed>(in, entry.with_defaults(one.settings));
      all.outputs[form.name] = converted_arrays<double>(out);
    } catch (const std::exception& refusal) {
      all.refusals[form.name] = refusal.what();
    }
  }
  return all;
}

nlohmann::json to_json(const CaseOutputs& outputs) {
  nlohmann::json forms = nlohmann::json::object();
  for (const auto& [form, arrays] : outputs.outputs) {
    forms[form] = {{"real", values_json(arrays.real)},
                   {"complex", values_json(arrays.complex)},
                   {"index", values_json(arrays.index)}};
  }
  return {{"outputs", std::move(forms)}, {"refusals", outputs.refusals}};
}

CaseOutputs case_outputs(const nlohmann::json& json) {
  CaseOutputs all;
  for (const auto& [form, arrays] : json.at("outputs").items()) all.outputs[form] = arrays_from(arrays);
  all.refusals = json.at("refusals").get<std::map<std::string, std::string>>();
  return all;
}

Detection::Detection(const Entry& entry, const Case& one)
    : entry_(entry), case_(one), in_double_(true_outputs(profile_of<double>())) {}

std::vector<bool> Detection::excluded(std::string_view profile,
                                      const std::vector<CaseOutputs>& mutants) const {
  const auto truth = true_outputs(profile_named(profile));
  std::vector<bool> all;
  for (const CaseOutputs& mutant : mutants) all.push_back(excludes(truth, mutant));
  return all;
}

std::map<std::string, Detection::Budgeted> Detection::true_outputs(const RoundingProfile& profile) const {
  const UseRounding scope(profile);
  const Settings settings = entry_.with_defaults(case_.settings);
  std::map<std::string, Arrays<Bound>> outputs;
  for (const Form& form : entry_.forms) {
    if (!form.has<Computed>() || !form.has<Bound>()) continue;
    const auto in = converted_arrays<Bound>(draw_inputs<double>(entry_, case_, form.backward));
    try {
      outputs[form.name] = form.run<Bound>(in, settings);
    } catch (const std::invalid_argument&) {  // the form is not meant for this case
    }
  }
  return outputs;
}

bool Detection::excludes(const std::map<std::string, Arrays<Bound>>& truth, const CaseOutputs& mutant) const {
  for (const auto& [form, outputs] : truth) {
    if (mutant.refusals.contains(form)) return true;
    const auto found = mutant.outputs.find(form);
    if (found == mutant.outputs.end()) continue;
    if (excludes_arrays(outputs, in_double_.at(form), found->second)) return true;
  }
  return false;
}

}  // namespace etalon
