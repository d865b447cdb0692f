#include "proofs/engine/cases.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

namespace etalon {
namespace {

Index limit_of(const Size& size, bool large) {
  return large ? size.large : size.small;
}

Index between(std::uint64_t seed, std::string_view name, Index low, Index high) {
  return low + static_cast<Index>(hash({seed, name, 0}, 11) % static_cast<std::uint64_t>(high - low + 1));
}

/// Small sizes as often as large ones: uniform in the logarithm half of the time.
Index draw_size(std::uint64_t seed, const Size& size, Index limit) {
  if (hash({seed, size.name, 0}, 12) % 2 == 0) return between(seed, size.name, 1, limit);
  const double share = static_cast<double>(hash({seed, size.name, 0}, 13) >> 11) * 0x1p-53;
  return std::clamp(static_cast<Index>(std::pow(static_cast<double>(limit + 1), share)), Index{1}, limit);
}

/// Brings parameters into their ranges, which may depend on the sizes.
Case fitted(const Entry& entry, Case one) {
  if (entry.adjust) entry.adjust(one.settings);
  one.settings = entry.with_defaults(one.settings);
  return one;
}

}  // namespace

std::string to_string(const Case& one) {
  std::string text;
  for (const auto& [name, value] : one.settings) text += name + "=" + std::to_string(value) + " ";
  return text + "values=" + std::string(to_string(one.pattern)) + " seed=" + std::to_string(one.seed);
}

Case parse_case(const std::string& text) {
  Case one;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (name == "values") {
      int found = -1;
      for (int i = 0; i < kPatternCount; ++i) {
        if (to_string(static_cast<Pattern>(i)) == value) found = i;
      }
      require(found >= 0, "case", "values", value, "generic, ties, zeros, ones or extremes");
      one.pattern = static_cast<Pattern>(found);
      continue;
    }
    std::size_t used = 0;
    try {
      if (name == "seed") {
        one.seed = std::stoull(value, &used);
      } else {
        one.settings[name] = std::stoll(value, &used);
      }
    } catch (const std::exception&) {
      used = std::string::npos;
    }
    const bool negative_seed = name == "seed" && value.starts_with('-');
    require(!name.empty() && !value.empty() && used == value.size() && !negative_seed, "case",
            "the word \"" + word + "\"", "not understood", "name=integer, such as n=7");
  }
  return one;
}

std::vector<Case> corner_cases(const Entry& entry, bool large) {
  Case base;
  for (const Size& size : entry.sizes) base.settings[size.name] = std::min(limit_of(size, large), Index{5});
  std::vector<Case> corners;
  const auto add = [&](Case one) {
    one.seed = 1000 + corners.size();
    corners.push_back(fitted(entry, std::move(one)));
  };
  Case ones = base;
  for (const Size& size : entry.sizes) ones.settings[size.name] = 1;
  add(ones);
  for (const Size& size : entry.sizes) {
    Case one = base;
    one.settings[size.name] = 1;
    add(one);
    one.settings[size.name] = 2;
    add(one);
  }
  for (const Parameter& parameter : entry.parameters) {
    const Settings settings = entry.with_defaults(base.settings);
    const Index low = parameter.low(settings), high = parameter.high(settings);
    for (Index value = low; value <= high; ++value) {  // against 5 tokens: chunks of 1 ... 7, so 4 and 6 too
      if (value > low + 8 && value < high) continue;
      Case one = base;
      one.settings[parameter.name] = value;
      add(one);
    }
  }
  for (int i = 0; i < kPatternCount; ++i) {
    for (const bool small : {true, false}) {
      Case one = base;
      one.pattern = static_cast<Pattern>(i);
      if (small) one.settings = ones.settings;
      for (const Parameter& parameter : entry.parameters) {
        const Settings settings = entry.with_defaults(one.settings);
        one.settings[parameter.name] = between(static_cast<std::uint64_t>(i), parameter.name,
                                               parameter.low(settings), parameter.high(settings));
      }
      add(one);
    }
  }
  return corners;
}

Case random_case(const Entry& entry, bool large, std::uint64_t seed) {
  Case one;
  one.seed = seed;
  for (const Size& size : entry.sizes) {
    one.settings[size.name] = draw_size(seed, size, limit_of(size, large));
  }
  if (entry.adjust) entry.adjust(one.settings);
  for (const Parameter& parameter : entry.parameters) {
    const Settings settings = entry.with_defaults(one.settings);
    one.settings[parameter.name] =
        between(seed, parameter.name, parameter.low(settings), parameter.high(settings));
  }
  if (hash({seed, "pattern", 0}, 14) % 4 == 0) {
    one.pattern = static_cast<Pattern>(hash({seed, "pattern", 0}, 15) % kPatternCount);
  }
  return fitted(entry, one);
}

std::vector<Case> smaller_cases(const Entry& entry, const Case& one) {
  std::vector<Case> smaller;
  const auto propose = [&](Case candidate) {
    candidate = fitted(entry, std::move(candidate));
    if (candidate.settings != one.settings || candidate.pattern != one.pattern) smaller.push_back(candidate);
  };
  const auto low_of = [&](const std::string& name) {
    for (const Parameter& parameter : entry.parameters) {
      if (parameter.name == name) return parameter.low(one.settings);
    }
    return Index{1};
  };
  // All settings at once, as low as they go and half way: one at a time may get stuck where two depend.
  for (const Index part : {0, 1}) {
    Case candidate = one;
    for (auto& [name, value] : candidate.settings) {
      const Index low = low_of(name);
      if (value > low) value = low + part * (value - low) / 2;
    }
    propose(candidate);
  }
  for (const auto& [name, value] : one.settings) {
    const Index low = low_of(name);
    for (const Index target : {low, low + (value - low) / 2, value - 1}) {
      if (target >= value || target < low) continue;
      Case candidate = one;
      candidate.settings[name] = target;
      propose(candidate);
    }
  }
  if (one.pattern != Pattern::generic) {
    Case candidate = one;
    candidate.pattern = Pattern::generic;
    propose(candidate);
  }
  return smaller;
}

}  // namespace etalon
