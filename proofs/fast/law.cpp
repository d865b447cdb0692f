#include "proofs/fast/law.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "proofs/fast/budget.hpp"

namespace etalon::fast_laws {
namespace {

/// How many shapes are drawn: a case takes milliseconds at most.
constexpr int kShapes = 60;

thread_local const SeededFault* seeded = nullptr;

Case stretched(const Entry& entry, Case one, const std::map<std::string, Index>& stretch) {
  for (const auto& [name, times] : stretch) {
    Index& size = one.settings.at(name);
    const auto choices = static_cast<std::uint64_t>(times * (size - 1) + 1);
    size += static_cast<Index>(hash({one.seed, "stretch of " + name, 0}, 17) % choices);
  }
  if (entry.adjust) entry.adjust(one.settings);
  one.settings = entry.with_defaults(one.settings);
  return one;
}

void round_to_float32(Arrays<double>& arrays) {
  for (auto& [name, array] : arrays.real) array = in_float32(std::move(array));
  for (auto& [name, array] : arrays.complex) {
    for (Complex<double>& z : array.values()) z = Complex<double>(in_float32(z.re), in_float32(z.im));
  }
}

}  // namespace

FastLaw::FastLaw(const std::string& entry, std::string name, std::string statement,
                 std::map<std::string, Index> stretch, void (*body)(CoreTrial&)) {
  Registry::instance().open(entry).deferred.push_back([=](Entry& open) {
    LawVariant variant;
    variant.scalar = scalar_name<float>;
    variant.large = true;
    variant.shapes = kShapes;
    variant.body = [&open, stretch, body](Check& check, const Case& one) {
      const Case larger = stretched(open, one, stretch);
      CoreTrial trial(check, open, larger);
      round_to_float32(trial.in);
      body(trial);
    };
    open.laws.push_back({Kind::fast, name, statement, {}, {std::move(variant)}});
  });
}

double in_float32(double number) {
  return static_cast<double>(static_cast<float>(number));
}

Array<double> in_float32(Array<double> numbers) {
  for (double& number : numbers.values()) number = in_float32(number);
  return numbers;
}

Arrays<double> text_of(const CoreTrial& trial, const std::string& form, const Arrays<double>& in,
                       const Settings& settings) {
  return trial.run(form, SeededFault::changed(in), settings);
}

Arrays<double> text_of(const CoreTrial& trial, const std::string& form) {
  return text_of(trial, form, trial.in, trial.drawn().settings);
}

SeededFault::SeededFault(std::string name, double budgets) : name_(std::move(name)), budgets_(budgets) {
  seeded = this;
}

SeededFault::~SeededFault() {
  seeded = nullptr;
}

double SeededFault::budgets_of(const std::string& result) {
  return seeded != nullptr && seeded->name_ == result ? seeded->budgets_ : 0;
}

Arrays<double> SeededFault::changed(Arrays<double> in) {
  if (seeded == nullptr || seeded->budgets_ != 0) return in;
  const auto change = [](double& x) { x = 0.75 * x + 0.1; };
  if (const auto real = in.real.find(seeded->name_); real != in.real.end()) {
    for (double& x : real->second.values()) change(x);
  }
  if (const auto complex = in.complex.find(seeded->name_); complex != in.complex.end()) {
    for (Complex<double>& z : complex->second.values()) change(z.re);
  }
  return in;
}

std::string fraction_of(const std::string& result) {
  return "fraction of the budget, " + result;
}

void agree(CoreTrial& trial, const std::string& result, const Array<double>& actual,
           const Array<double>& expected, const Array<double>& budget) {
  if (actual.shape() != expected.shape() || budget.shape() != expected.shape()) {
    throw LawBroken(result + ": shape " + to_string(actual.shape()) + " of the core, " +
                    to_string(expected.shape()) + " of the text");
  }
  const double budgets = SeededFault::budgets_of(result);
  Index moved = -1;
  for (Index i = 0; budgets != 0 && i < budget.size(); ++i) {
    const double limit = budget.values()[static_cast<std::size_t>(i)];
    if (limit > 0 && std::isfinite(limit)) moved = i;
  }
  double worst = 0;
  for (Index i = 0; i < expected.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double wanted = expected.values()[at], limit = allowed(budget.values()[at]);
    double is = actual.values()[at];
    if (i == moved) is += std::copysign(budgets * limit, is - wanted);
    const std::string what = result + ", element " + std::to_string(i);
    if (is == wanted) {  // infinities as well
      trial.check().expect(true, what);
      continue;
    }
    trial.check().within(is, wanted, limit, what);
    if (std::isfinite(limit) && limit > 0) worst = std::max(worst, std::abs(is - wanted) / limit);
  }
  trial.check().measure(fraction_of(result), worst);
}

}  // namespace etalon::fast_laws
