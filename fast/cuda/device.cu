/// \file
/// The device that the GPU part runs on.
#include "fast/cuda/device.cuh"

namespace etalon::fast::cuda {
namespace {

/// Does nothing; compiled like all other kernels, it tells for what they were.
__global__ void any_kernel() {}

/// The virtual architecture of the code that runs on the current device, which is what __CUDA_ARCH__ was for
/// it: 90 for sm_90a's machine code and 80 for what the driver makes of compute_80's PTX. It is the PTX's
/// version that tells them apart; the version of the binary is that of the device even where the driver made
/// it.
int compiled_for() {
  cudaFuncAttributes attributes{};
  ETALON_CUDA(cudaFuncGetAttributes(&attributes, any_kernel));
  return attributes.ptxVersion;
}

}  // namespace

Device current_device() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) cudaGetLastError();
  if (status != cudaSuccess || count == 0) {
    throw Error(std::string("cuda: no device: ") +
                (status == cudaSuccess ? "the count is 0" : cudaGetErrorString(status)));
  }
  Device device;
  ETALON_CUDA(cudaGetDevice(&device.index));
  const auto attribute = [&](cudaDeviceAttr which) {
    int value = 0;
    ETALON_CUDA(cudaDeviceGetAttribute(&value, which, device.index));
    return value;
  };
  device.capability =
      10 * attribute(cudaDevAttrComputeCapabilityMajor) + attribute(cudaDevAttrComputeCapabilityMinor);
  device.multiprocessors = attribute(cudaDevAttrMultiProcessorCount);
  device.shared_bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  device.cache_bytes = attribute(cudaDevAttrL2CacheSize);
  if (device.capability < 80) {
    throw Error("cuda: the device is sm_" + std::to_string(device.capability) + ", expected sm_80 or newer");
  }
  device.code = compiled_for();
  return device;
}

void require_device() {
  current_device();
}

}  // namespace etalon::fast::cuda
