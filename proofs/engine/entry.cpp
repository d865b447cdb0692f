#include "proofs/engine/entry.hpp"

#include <algorithm>

namespace etalon {

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::same:
      return "same";
    case Kind::limit:
      return "limit";
    case Kind::converges:
      return "converges";
    case Kind::invariant:
      return "invariant";
    case Kind::bound:
      return "bound";
    case Kind::statistical:
      return "statistical";
    case Kind::cost:
      return "cost";
    case Kind::depth:
      return "depth";
    case Kind::sensitive:
      return "sensitive";
    case Kind::gradient:
      return "gradient";
    case Kind::fast:
      return "fast";
    case Kind::erratum:
      return "erratum";
    case Kind::example:
      return "example";
  }
  return "";
}

void Form::add(const std::type_info& scalar, std::string_view scalar_name, std::any evaluate) {
  evaluators[std::type_index(scalar)] = std::move(evaluate);
  scalars.push_back(scalar_name);
}

const Form& Entry::form(const std::string& form_name) const {
  std::string known;
  for (const Form& candidate : forms) {
    if (candidate.name == form_name) return candidate;
    known += (known.empty() ? "" : ", ") + candidate.name;
  }
  throw std::invalid_argument(name + ": form is " + form_name + ", expected one of: " + known);
}

Form& Entry::open_form(const std::string& form_name, const std::string& meaning, bool backward) {
  const auto found = std::find_if(forms.begin(), forms.end(),
                                  [&](const Form& candidate) { return candidate.name == form_name; });
  if (found != forms.end()) return *found;
  return forms.emplace_back(Form{form_name, meaning, backward, {}, {}});
}

Settings Entry::with_defaults(Settings settings) const {
  for (const Parameter& parameter : parameters) {
    const auto [place, inserted] = settings.try_emplace(parameter.name, parameter.standard);
    (void)inserted;
    bool sizes_known = true;
    for (const Size& size : sizes) sizes_known = sizes_known && settings.contains(size.name);
    if (!sizes_known) continue;  // a range may depend on the sizes; a form that runs on given arrays has none
    const Index low = parameter.low(settings), high = parameter.high(settings);
    place->second = std::clamp(place->second, low, std::max(low, high));
  }
  return settings;
}

std::string& mutated_entry() {
  static std::string name;
  return name;
}

Registry& Registry::instance() {
  static Registry registry;
  return registry;
}

Entry& Registry::open(const std::string& name) {
  std::unique_ptr<Entry>& place = entries_[name];
  if (!place) {
    place = std::make_unique<Entry>();
    place->name = name;
  }
  return *place;
}

void Registry::replace_forms(const std::string& name) {
  mutated_entry() = name;
  Entry& entry = open(name);
  for (Form& form : entry.forms) {
    form.evaluators.clear();
    form.scalars.clear();
  }
  std::vector<Law> drawn;
  for (Law& law : entry.laws) {
    std::erase_if(law.variants, [](const LawVariant& variant) {
      return !variant.draws || !has_name(MutantGradientScalars{}, variant.scalar);
    });
    for (LawVariant& variant : law.variants) variant.degree_body = nullptr;
    if (!law.variants.empty()) drawn.push_back(std::move(law));
  }
  entry.laws = std::move(drawn);
}

void Registry::forget(const std::string& name) {
  mutated_entry() = name;
  entries_.erase(name);
}

const Entry& Registry::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found != entries_.end()) return *found->second;
  std::string known;
  for (const auto& [other, entry] : entries_) known += (known.empty() ? "" : ", ") + other;
  throw std::invalid_argument("entry is " + name + ", expected one of: " + known);
}

std::vector<const Entry*> Registry::entries() const {
  std::vector<const Entry*> all;
  for (const auto& [name, entry] : entries_) all.push_back(entry.get());
  return all;
}

}  // namespace etalon
