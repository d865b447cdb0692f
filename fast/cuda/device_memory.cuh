/// \file
/// Device memory and random numbers for the programs that check and time the GPU part.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <array>
#include <cstdint>
#include <vector>

#include "fast/cuda/check.cuh"
#include "fast/etalon_fast.hpp"

namespace etalon::fast::check {

template <typename T>
constexpr Type type_of = Type::float32;
template <>
inline constexpr Type type_of<__nv_bfloat16> = Type::bfloat16;
template <>
inline constexpr Type type_of<__half> = Type::float16;

/// Bytes on the device.
class DeviceBytes {
 public:
  DeviceBytes() = default;
  explicit DeviceBytes(std::size_t bytes) : bytes_(bytes) {
    if (bytes > 0) ETALON_CUDA(cudaMalloc(&data_, bytes));
  }
  DeviceBytes(DeviceBytes&& other) noexcept : data_(other.data_), bytes_(other.bytes_) {
    other.data_ = nullptr;
    other.bytes_ = 0;
  }
  DeviceBytes& operator=(DeviceBytes&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceBytes() { cudaFree(data_); }
  void* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A tensor on the device. Between the tokens of a batch lie `gap` numbers that belong to nobody.
template <typename T>
class DeviceTensor {
 public:
  DeviceTensor() = default;
  explicit DeviceTensor(std::array<std::int64_t, 4> shape, std::int64_t gap = 0)
      : shape_(shape), row_(shape[2] * shape[3] + gap), memory_(count() * sizeof(T)) {
    ETALON_CUDA(cudaMemset(memory_.data(), 0xff, memory_.size()));  // NaN in every type
  }
  DeviceTensor(std::array<std::int64_t, 4> shape, const std::vector<T>& contiguous, std::int64_t gap = 0)
      : DeviceTensor(shape, gap) {
    const std::size_t width = static_cast<std::size_t>(shape[2] * shape[3]) * sizeof(T);
    ETALON_CUDA(cudaMemcpy2D(memory_.data(), static_cast<std::size_t>(row_) * sizeof(T), contiguous.data(),
                             width, width, static_cast<std::size_t>(shape[0] * shape[1]),
                             cudaMemcpyHostToDevice));
  }
  /// A part of the time, of all batches.
  Tensor view(std::int64_t first, std::int64_t tokens) const {
    return {static_cast<T*>(memory_.data()) + first * row_,
            type_of<T>,
            {shape_[0], tokens, shape_[2], shape_[3]},
            {shape_[1] * row_, row_, shape_[3], 1}};
  }
  Tensor view() const { return memory_.size() == 0 ? Tensor{} : view(0, shape_[1]); }
  /// With the gaps.
  std::vector<T> read() const {
    std::vector<T> numbers(count());
    ETALON_CUDA(cudaMemcpy(numbers.data(), memory_.data(), memory_.size(), cudaMemcpyDeviceToHost));
    return numbers;
  }
  std::int64_t row() const { return row_; }
  T* data() const { return static_cast<T*>(memory_.data()); }
  std::size_t count() const { return static_cast<std::size_t>(shape_[0] * shape_[1] * row_); }
  const std::array<std::int64_t, 4>& shape() const { return shape_; }

 private:
  std::array<std::int64_t, 4> shape_{};
  std::int64_t row_ = 0;
  DeviceBytes memory_;
};

/// Bits that look random, from a counter.
__device__ inline std::uint32_t scramble(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return static_cast<std::uint32_t>((x ^ (x >> 31)) >> 16);
}

/// Normally distributed numbers, or, for logarithms of decays, uniform ones between `low` and 0 if `low` is
/// less than 0.
template <typename T>
__global__ void fill_random(T* to, std::size_t count, std::uint64_t seed, float low) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const float a = (static_cast<float>(scramble(seed + 2 * i)) + 0.5f) * 0x1p-32f;
    const float b = static_cast<float>(scramble(seed + 2 * i + 1)) * 0x1p-32f;
    const float x = low < 0.0f ? low * b : sqrtf(-2.0f * logf(a)) * cospif(2.0f * b);
    to[i] = static_cast<T>(x);
  }
}

template <typename T>
DeviceTensor<T> random_tensor(std::array<std::int64_t, 4> shape, std::uint64_t seed, float low = 0.0f) {
  DeviceTensor<T> tensor(shape);
  fill_random<<<1024, 256>>>(tensor.data(), tensor.count(), seed << 40, low);
  ETALON_CUDA(cudaGetLastError());
  return tensor;
}

}  // namespace etalon::fast::check
