#include "proofs/engine/study.hpp"

#include <algorithm>

namespace etalon {

std::vector<Study>& studies() {
  static std::vector<Study> all;
  return all;
}

StudyRegistration::StudyRegistration(Study study) {
  std::vector<Study>& all = studies();
  const auto place = std::upper_bound(all.begin(), all.end(), study,
                                      [](const Study& a, const Study& b) { return a.name < b.name; });
  all.insert(place, std::move(study));
}

}  // namespace etalon
