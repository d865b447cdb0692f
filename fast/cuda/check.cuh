/// \file
/// Errors of the CUDA runtime become `Error`, with the name of the call that failed.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "fast/etalon_fast.hpp"

namespace etalon::fast::cuda {

inline void check_cuda(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next call does not report it again
  throw Error(std::string(call) + ": " + cudaGetErrorString(status));
}

}  // namespace etalon::fast::cuda

#define ETALON_CUDA(call) ::etalon::fast::cuda::check_cuda((call), #call)
