#include "proofs/engine/runner.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <unordered_map>

#include "proofs/engine/cases.hpp"
#include "proofs/engine/laws.hpp"
#include "proofs/engine/profiles.hpp"

namespace etalon {

std::ostream& operator<<(std::ostream& out, const Case& one) {
  return out << to_string(one);
}  // for rapidcheck

namespace {

/// A false identity may slip through `PrimeField` at one point with probability D / p; this many bits over
/// all shapes of a law together are left of it.
constexpr double kErrorBits = 100;

/// rapidcheck's generator of cases: the corners in turn, then drawn cases; shrinks towards small ones.
class CaseSource {
 public:
  CaseSource(const Entry& entry, bool large, std::uint64_t seed)
      : entry_(entry), large_(large), corners_(corner_cases(entry, large)), seed_(seed) {}

  std::size_t corner_count() const { return corners_.size(); }

  rc::Gen<Case> generator() {
    return rc::Gen<Case>([this](const rc::Random& random, int) {
      return rc::shrinkable::shrinkRecur(case_of(turn_of(random)), [this](const Case& larger) {
        return rc::seq::fromContainer(smaller_cases(entry_, larger));
      });
    });
  }

 private:
  /// Which turn a source of randomness belongs to. rapidcheck asks for a case again while it shrinks: the
  /// same source must give the same case.
  std::size_t turn_of(const rc::Random& random) {
    const auto known = std::find(turns_.begin(), turns_.end(), random);
    if (known == turns_.end()) {
      turns_.push_back(random);
      return turns_.size() - 1;
    }
    return static_cast<std::size_t>(known - turns_.begin());
  }

  Case case_of(std::size_t turn) const {
    if (turn < corners_.size()) return corners_[turn];
    return random_case(entry_, large_, hash({seed_, "case", static_cast<Index>(turn)}, 0));
  }

  const Entry& entry_;
  bool large_;
  std::vector<Case> corners_;
  std::uint64_t seed_;
  std::vector<rc::Random> turns_;
};

class Silent : public rc::detail::TestListener {
 public:
  void onTestCaseFinished(const rc::detail::CaseDescription&) override {}
  void onShrinkTried(const rc::detail::CaseDescription&, bool) override {}
  void onTestFinished(const rc::detail::TestMetadata&, const rc::detail::TestResult&) override {}
};

/// Runs the cases of one law variant and keeps what they showed.
class Deciding {
 public:
  Deciding(const LawVariant& variant, int shapes) : variant_(variant), shapes_(shapes) {}

  /// True when the law held on this case; else `message` and `failing` tell why not.
  bool holds(const Case& one) {
    try {
      const UseRounding rounding(profile_of<Real50>());  // for what `Bounded<Real50>` decides
      Check check;
      variant_.body(check, one);
      all_.merge(check);
      ++cases_;
      if (variant_.degree_body) repeat_at_further_points(one);
      return true;
    } catch (const std::exception& broken) {
      undecided_ = dynamic_cast<const NotReadable*>(&broken) != nullptr;
      message_ = broken.what();
      failing_ = one;
      ++cases_;
      return false;
    }
  }

  const Check& all() const { return all_; }
  long cases() const { return cases_; }
  const std::string& message() const { return message_; }
  const Case& failing() const { return failing_; }
  bool undecided() const { return undecided_; }
  /// log2 of the probability that some shape passed although the identity is false there.
  double log2_error_probability() const { return std::log2(probability_); }

 private:
  /// The case was one point of the field. Enough further independent points are tried for the union bound
  /// over all shapes to stay below 2^-kErrorBits; a case with special values decides nothing by itself and
  /// gets them too.
  void repeat_at_further_points(const Case& one) {
    Check degrees;
    Case general = one;
    general.pattern = Pattern::generic;
    variant_.degree_body(degrees, general);
    const double bits_a_point =
        std::log2(static_cast<double>(PrimeField::modulus)) - std::log2(std::max(degrees.degree(), 1.0));
    if (!(bits_a_point > 1)) throw LawBroken("the degree of the identity is too large to be decided");
    const double bits = kErrorBits + 1 + std::log2(static_cast<double>(shapes_));
    const int points = static_cast<int>(std::ceil(bits / bits_a_point));
    const int first = one.pattern == Pattern::generic ? 1 : 0;
    for (int point = first; point < points; ++point) {
      general.seed = one.seed + static_cast<std::uint64_t>(point) * 0x9e3779b97f4a7c15U;
      Check check;
      variant_.body(check, general);
      all_.merge(check);
      ++cases_;
    }
    all_.merge(degrees);
    probability_ += std::exp2(-bits_a_point * points);
  }

  const LawVariant& variant_;
  int shapes_;
  Check all_;
  long cases_ = 0;
  double probability_ = 0;
  std::string message_;
  Case failing_;
  bool undecided_ = false;
};

std::string reproduction(const Entry& entry, const Law& law, const LawVariant& variant,
                         const std::string& one) {
  std::string line =
      "etalon verify " + entry.name + " --law \"" + law.name + "\" --scalar \"" + variant.scalar + "\"";
  if (!one.empty()) line += " --case \"" + one + "\"";
  return line;
}

}  // namespace

Record run_law(const Entry& entry, const Law& law, const LawVariant& variant, const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  Record record;
  record.entry = entry.name;
  record.family = entry.family;
  record.kind = to_string(law.kind);
  record.law = law.name;
  record.statement = law.statement;
  record.scalar = variant.scalar;
  record.limit_entry = law.limit_entry;

  const int drawn = std::max(1, static_cast<int>(std::lround(variant.shapes * options.effort)));
  CaseSource source(entry, variant.large, options.seed);
  const int shapes = drawn + static_cast<int>(source.corner_count());
  Deciding deciding(variant, shapes);
  if (!variant.draws) {
    record.holds = deciding.holds(Case{});
  } else if (!options.only_case.empty()) {
    record.holds = deciding.holds(parse_case(options.only_case));
  } else {
    rc::detail::TestParams parameters;
    parameters.seed = options.seed;
    parameters.maxSuccess = shapes;
    Silent silent;
    const auto result = rc::detail::checkTestable([&] { return deciding.holds(*source.generator()); },
                                                  rc::detail::TestMetadata{}, parameters, silent,
                                                  std::unordered_map<std::string, rc::detail::Reproduce>{});
    record.holds = result.is<rc::detail::SuccessResult>();
    if (!record.holds && deciding.message().empty()) {
      std::ostringstream text;
      rc::detail::printResultMessage(result, text);
      record.message = text.str();
    }
  }
  record.undecided = deciding.undecided();
  record.cases = deciding.cases();
  record.comparisons = deciding.all().comparisons();
  record.unbounded = deciding.all().unbounded();
  record.worst_fraction = deciding.all().worst_fraction();
  record.measured = deciding.all().measured();
  if (variant.degree_body) {
    record.log2_error_probability = deciding.log2_error_probability();
    record.measured["degree"] = deciding.all().degree();
  }
  if (record.holds && record.comparisons == 0) {
    record.holds = false;
    record.message = "nothing was compared: a check that cannot fail";
  }
  if (!record.holds) {
    if (record.message.empty()) record.message = deciding.message();
    if (variant.draws) record.failing_case = to_string(deciding.failing());
    record.reproduce = reproduction(entry, law, variant, record.failing_case);
  }
  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return record;
}

std::vector<Chosen> choose(const Selection& selection) {
  complete_entries();
  std::vector<const Entry*> entries;
  for (const std::string& name : selection.entries) entries.push_back(&Registry::instance().entry(name));
  if (entries.empty()) entries = Registry::instance().entries();
  std::vector<Chosen> chosen;
  for (const Entry* entry : entries) {
    for (const Law& law : entry->laws) {
      if (!selection.law.empty() && law.name != selection.law) continue;
      if (!selection.kind.empty() && to_string(law.kind) != selection.kind) continue;
      for (const LawVariant& variant : law.variants) {
        if (selection.scalar.empty() || variant.scalar == selection.scalar)
          chosen.push_back({entry, &law, &variant});
      }
    }
  }
  if (chosen.empty()) {
    throw std::invalid_argument("verify: no law matches law \"" + selection.law + "\", kind \"" +
                                selection.kind + "\", scalar \"" + selection.scalar +
                                "\"; see etalon list --json");
  }
  return chosen;
}

void complete_entries() {
  static const bool done = [] {
    for (const Entry* entry : Registry::instance().entries()) {
      Entry& open = Registry::instance().open(entry->name);
      for (const auto& make : open.deferred) make(open);
      laws::add_standard(open);
    }
    return true;
  }();
  (void)done;
}

nlohmann::json to_json(const Record& record) {
  nlohmann::json json{{"entry", record.entry},
                      {"family", record.family},
                      {"kind", record.kind},
                      {"law", record.law},
                      {"statement", record.statement},
                      {"scalar", record.scalar},
                      {"holds", record.holds},
                      {"cases", record.cases},
                      {"comparisons", record.comparisons},
                      {"unbounded", record.unbounded},
                      {"seconds", record.seconds},
                      {"worst_fraction", record.worst_fraction}};
  if (!record.limit_entry.empty()) json["limit_entry"] = record.limit_entry;
  if (record.log2_error_probability < 0) json["log2_error_probability"] = record.log2_error_probability;
  if (!record.measured.empty()) json["measured"] = record.measured;
  if (!record.holds) {
    json["message"] = record.message;
    json["failing_case"] = record.failing_case;
    json["reproduce"] = record.reproduce;
  }
  return json;
}

}  // namespace etalon
