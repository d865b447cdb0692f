/// \file
/// The kernels of each core by name, for those who compare them. `automatic` is what the public functions do.
#pragma once

#include "fast/etalon_fast.hpp"

namespace etalon::fast::cuda {

enum class AttentionRung {
  automatic,
  fma,          ///< without tensor cores, for float32 storage only, which has no other
  mma,          ///< any device from sm_80 on
  wgmma,        ///< Hopper
  wgmma_turns,  ///< Hopper, warpgroups taking turns
};
void attention(const Attention& call, const Execution& execution, AttentionRung rung);

enum class DecayRung {
  automatic,
  fma,    ///< without tensor cores, for float32 storage only, which has no other
  mma,    ///< any device from sm_80 on
  wgmma,  ///< Hopper; not for a decay of each channel
};
struct DecayPlan {
  DecayRung rung = DecayRung::automatic;
  int segments = 0;     ///< into how many the sequence is cut; 0 lets the core choose; fma never cuts
  double cached = 0.7;  ///< part of the level-2 cache that the first kernel fills for the second
};
std::int64_t decay_outer_product_workspace(const DecayOuterProduct& call, const DecayPlan& plan);
void decay_outer_product(const DecayOuterProduct& call, const Execution& execution, const DecayPlan& plan);

}  // namespace etalon::fast::cuda
