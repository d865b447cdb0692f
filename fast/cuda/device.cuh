/// \file
/// What the parts ask of the current device, and the checks of arguments that only the GPU needs.
#pragma once

#include <cstdint>
#include <string>

#include "fast/cuda/check.cuh"
#include "fast/cuda/tile.cuh"
#include "fast/etalon_fast.hpp"
#include "fast/validate.hpp"

namespace etalon::fast::cuda {

struct Device {
  int index = 0;
  int capability = 0;  ///< 10 major + minor
  int code = 0;        ///< the capability that the kernels were compiled for, as they run here
  int multiprocessors = 0;
  int shared_bytes = 0;  ///< that one block may have
  int cache_bytes = 0;   ///< level 2
  /// Whether Hopper's own instructions are there: in the device, and in what runs on it. A binary that holds
  /// no machine code for sm_90a runs its portable kernels on a Hopper device.
  bool hopper() const { return capability == 90 && code == 90; }
};

/// The current device. Throws where there is none, or it is older than sm_80.
Device current_device();

/// Copies move 16 bytes at a time: data and strides at multiples of 16 bytes.
inline void check_rows(const Checker& check, const char* argument, const Tensor& tensor) {
  bool aligned = reinterpret_cast<std::uintptr_t>(tensor.data) % 16 == 0;
  for (int axis = 0; axis < 3; ++axis) {
    aligned = aligned && (tensor.shape[axis] == 1 || tensor.stride[axis] * bytes_of(tensor.type) % 16 == 0);
  }
  if (!aligned) {
    check.fail(std::string(argument) +
               " has rows that do not begin at a multiple of 16 bytes, which the GPU needs");
  }
}

/// Positions are 32-bit numbers in the kernels. Leaves room for the last tile.
inline void check_extent(const Checker& check, const char* argument, std::int64_t extent) {
  check.require(extent <= 0x7fff0000, argument, std::to_string(extent), "at most 2147418112 on the GPU");
}

template <typename T>
View<T> view(const Tensor& tensor) {
  return {static_cast<T*>(tensor.data), tensor.stride[0], tensor.stride[1], tensor.stride[2]};
}

}  // namespace etalon::fast::cuda
