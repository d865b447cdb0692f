/// \file
/// The CPU part where only the GPU part is built, so that the functions for C can be loaded without Highway:
/// every call throws.
#include "fast/etalon_fast.hpp"

namespace etalon::fast::cpu {
namespace {

[[noreturn]] void absent() {
  throw Error("this build has no CPU part");
}

}  // namespace

void attention(const Attention&, const Execution&) {
  absent();
}
void attention_backward(const AttentionBackward&, const Execution&) {
  absent();
}
void decay_outer_product(const DecayOuterProduct&, const Execution&) {
  absent();
}
void decay_outer_product_backward(const DecayOuterProductBackward&, const Execution&) {
  absent();
}
void delta_rule(const DeltaRule&, const Execution&) {
  absent();
}
void selective_scan(const SelectiveScan&, const Execution&) {
  absent();
}
void complex_scan(const ComplexScan&, const Execution&) {
  absent();
}
std::string instructions() {
  return "none";
}

}  // namespace etalon::fast::cpu
