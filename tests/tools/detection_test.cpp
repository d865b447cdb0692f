/// \file
/// Detection power: what a comparison within the error budget can and cannot tell from the true text.
#include "proofs/engine/detection.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace etalon {
namespace {

class DetectionPower : public testing::Test {
 protected:
  DetectionPower() : entry_(Registry::instance().entry("gated_linear_attention")) {
    case_.settings = {{"n", 6}, {"d_k", 3}, {"d_v", 2}};
    truth_ = outputs_in_double(entry_, case_);
  }

  bool excluded(std::string_view profile, const CaseOutputs& outputs) const {
    return Detection(entry_, case_).excluded(profile, {outputs}).front();
  }

  /// The true outputs with the first output of the definition moved.
  CaseOutputs moved_by(double relative) const {
    CaseOutputs moved = truth_;
    double& first = moved.outputs.at(entry_.forms.front().name).real.at("output").values().front();
    first += relative * std::fabs(first);
    return moved;
  }

  const Entry& entry_;
  Case case_;
  CaseOutputs truth_;
};

TEST_F(DetectionPower, TheTrueTextIsNeverExcluded) {
  EXPECT_EQ(truth_.outputs.size(), entry_.forms.size()) << "backward forms too";
  for (const std::string_view profile : kDetectionProfiles)
    EXPECT_FALSE(excluded(profile, truth_)) << profile;
}

/// The first output is c (q . k) v + c q . (decay * S_0): a few roundings. An error of half its value is
/// beyond the budgets of float and of bfloat16; one of 2^-12 is seen in float, but is less than one rounding
/// of bfloat16 (2^-8).
TEST_F(DetectionPower, ACoarserFormatHidesASmallerFault) {
  EXPECT_TRUE(excluded("float", moved_by(0x1p-12)));
  EXPECT_FALSE(excluded("BFloat16", moved_by(0x1p-12)));
  EXPECT_FALSE(excluded("E4M3", moved_by(0x1p-12)));
  EXPECT_FALSE(excluded("float", moved_by(0x1p-30)));
  EXPECT_TRUE(excluded("float", moved_by(0.5)));
}

TEST_F(DetectionPower, WhatIsNoNumberOrNotThereIsSeen) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    CaseOutputs outputs = truth_;
    outputs.outputs.at("recurrent").real.at("state").values().front() = bad;
    EXPECT_TRUE(excluded("float", outputs));
  }
  CaseOutputs missing = truth_;
  missing.outputs.at("chunked").real.erase("state");
  EXPECT_TRUE(excluded("float", missing));
  CaseOutputs shaped = truth_;
  shaped.outputs.at("backward").real.at("d_scale") = Array<double>({1});
  EXPECT_TRUE(excluded("float", shaped));
  CaseOutputs refused = truth_;
  refused.outputs.erase("pairwise");
  refused.refusals["pairwise"] = "no";
  EXPECT_TRUE(excluded("float", refused));
}

TEST_F(DetectionPower, OutputsTravelAsJson) {
  CaseOutputs outputs = truth_;
  outputs.refusals["another form"] = "why not";
  outputs.outputs["third"].index["order"] = Array<Index>::vector({2, 0, 1});
  outputs.outputs["third"].complex["wave"] = Array<Complex<double>>({1}, Complex<double>(0.1, -0.2));
  const CaseOutputs back = case_outputs(nlohmann::json::parse(to_json(outputs).dump()));
  EXPECT_EQ(back.refusals, outputs.refusals);
  ASSERT_EQ(back.outputs.size(), outputs.outputs.size());
  for (const auto& [form, arrays] : outputs.outputs) {
    for (const auto& [name, array] : arrays.real) {
      const Array<double>& other = back.outputs.at(form).real.at(name);
      EXPECT_EQ(other.shape(), array.shape());
      EXPECT_TRUE(std::equal(array.values().begin(), array.values().end(), other.values().begin()))
          << form << name;
    }
  }
  EXPECT_EQ(back.outputs.at("third").index.at("order")(1), 0);
  EXPECT_EQ(back.outputs.at("third").complex.at("wave")(0).im, -0.2);
}

TEST_F(DetectionPower, UnknownProfilesAreRefused) {
  EXPECT_THROW(excluded("float12", truth_), std::invalid_argument);
}

}  // namespace
}  // namespace etalon
