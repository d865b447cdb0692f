/// \file
/// Descriptions of tensors for Hopper's copy engine.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "fast/cuda/check.cuh"
#include "fast/etalon_fast.hpp"

namespace etalon::fast::cuda {

/// The driver's cuTensorMapEncodeTiled, found at run time so that nothing has to be linked against the
/// driver.
inline auto tensor_map_encoder() {
  static const auto encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    ETALON_CUDA(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                                 cudaEnableDefault, &found));
    if (found != cudaDriverEntryPointSuccess) throw Error("cuTensorMapEncodeTiled: not in this driver");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  return encode;
}

/// A box is one panel of 64 columns of `rows` tokens of one head; it lies in shared memory as `tile.cuh`
/// says. Tokens outside of the tensor read as 0.
inline CUtensorMap tensor_map(const Tensor& tensor, std::uint32_t rows) {
  const auto extent = [&](int axis) { return static_cast<cuuint64_t>(tensor.shape[axis]); };
  // The stride of an axis of extent 1 is never used, but the driver looks at it.
  const auto stride = [&](int axis) {
    return tensor.shape[axis] == 1 ? cuuint64_t{16} : static_cast<cuuint64_t>(tensor.stride[axis]) * 2;
  };
  const cuuint64_t extents[4] = {extent(3), extent(2), extent(1), extent(0)};
  const cuuint64_t strides[3] = {stride(2), stride(1), stride(0)};
  const cuuint32_t box[4] = {64, 1, rows, 1}, step[4] = {1, 1, 1, 1};
  CUtensorMap map;
  const CUresult status = tensor_map_encoder()(
      &map,
      tensor.type == Type::bfloat16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4,
      tensor.data, extents, strides, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) throw Error("cuTensorMapEncodeTiled: error " + std::to_string(status));
  return map;
}

}  // namespace etalon::fast::cuda
