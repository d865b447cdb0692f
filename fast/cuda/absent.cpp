/// \file
/// The GPU part of a build without CUDA: every call says so.
#include "fast/etalon_fast.hpp"

namespace etalon::fast::cuda {
namespace {

[[noreturn]] void absent() {
  throw Error("fast/cuda: this build has no GPU part, because there was no nvcc when it was configured");
}

}  // namespace

void require_device() {
  absent();
}

void attention(const Attention& /*call*/, const Execution& /*execution*/) {
  absent();
}

std::int64_t decay_outer_product_workspace(const DecayOuterProduct& /*call*/) {
  absent();
}

void decay_outer_product(const DecayOuterProduct& /*call*/, const Execution& /*execution*/) {
  absent();
}

}  // namespace etalon::fast::cuda
