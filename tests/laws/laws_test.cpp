/// \file
/// Every law of every entry, in every arithmetic that decides it, as a test. The tests are made from the
/// registry: an entry that registers itself is tested.
#include <gtest/gtest.h>

#include <cctype>
#include <iostream>
#include <set>

#include "proofs/engine/runner.hpp"

namespace etalon {
namespace {

/// What `run_law` promises where it decides in `PrimeField`: a false identity slips through less often than
/// this.
constexpr double kLog2ErrorProbability = -100;

class LawTest : public testing::Test {
 public:
  explicit LawTest(const Chosen& chosen) : chosen_(chosen) {}

  void TestBody() override {
    const Record record = run_law(*chosen_.entry, *chosen_.law, *chosen_.variant, RunOptions{});
    RecordProperty("cases", std::to_string(record.cases));
    RecordProperty("comparisons", std::to_string(record.comparisons));
    RecordProperty("worst_fraction", std::to_string(record.worst_fraction));
    EXPECT_TRUE(record.holds) << record.statement << '\n'
                              << record.message << '\n'
                              << "again: " << record.reproduce;
    EXPECT_LE(record.worst_fraction, 1);
    if (record.holds) {
      EXPECT_LT(record.unbounded, record.comparisons)
          << "every error budget was infinite: the law claims nothing";
    }
    if (chosen_.variant->degree_body) {
      EXPECT_LE(record.log2_error_probability, kLog2ErrorProbability);
    }
  }

 private:
  Chosen chosen_;
};

/// "same: chunked = recurrent", "PrimeField" as "same_chunked_recurrent_in_PrimeField".
std::string test_name(const std::string& law, const std::string& scalar) {
  std::string name;
  for (const char letter : law + " in " + scalar) {
    if (std::isalnum(static_cast<unsigned char>(letter)) != 0) {
      name += letter;
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (name.back() == '_') name.pop_back();
  return name;
}

/// \throws std::invalid_argument when two laws of an entry would have the same name
void register_laws() {
  std::set<std::string> names;
  for (const Chosen& chosen : choose({})) {
    const std::string& entry = chosen.entry->name;
    const std::string name = test_name(chosen.law->name, chosen.variant->scalar);
    require(names.insert(entry + "." + name).second, entry, "test " + name, "there twice",
            "laws with names that differ");
    testing::RegisterTest(entry.c_str(), name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [chosen]() -> LawTest* { return new LawTest(chosen); });
  }
}

}  // namespace
}  // namespace etalon

int main(int argc, char** argv) {
  try {
    etalon::register_laws();
  } catch (const std::exception& error) {
    std::cerr << "laws: " << error.what() << '\n';
    return 2;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
