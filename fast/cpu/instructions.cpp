/// \file
/// The instruction set that the dispatch chose.
#include <string>

#include "fast/etalon_fast.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fast/cpu/instructions.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::HWY_NAMESPACE {

const char* name_of_target() {
  return hwy::TargetName(HWY_TARGET);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace etalon::fast::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace etalon::fast {
HWY_EXPORT(name_of_target);

namespace cpu {
std::string instructions() {
  return HWY_DYNAMIC_DISPATCH(name_of_target)();
}
}  // namespace cpu
}  // namespace etalon::fast
#endif  // HWY_ONCE
