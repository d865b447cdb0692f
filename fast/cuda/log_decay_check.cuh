/// \file
/// The look at the values of log_decay before a call: a NaN or a value above 0 is an error, as on the CPU.
///
/// The device's answer is one number, the place of the first wrong value. Its 8 bytes are allocated and freed
/// in the order of the stream, so that neither the caller has to bring them nor two streams share them, from
/// a pool of our own, which keeps its memory: the default one would give it back to the system whenever a
/// stream has been waited for, and so in every call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>

#include "fast/cuda/check.cuh"
#include "fast/cuda/device.cuh"
#include "fast/cuda/float_tile.cuh"
#include "fast/etalon_fast.hpp"
#include "fast/validate.hpp"

namespace etalon::fast::cuda {

/// log_decay as rows of `width` numbers; a contiguous tensor is one row.
struct LogDecayRows {
  View<const float> from;
  std::int64_t rows = 0, width = 0;
  std::int64_t time = 1, heads = 1;  ///< row = (batch * time + token) * heads + head
};

/// Lowers `first_wrong` to the place of the first value that is NaN or above 0; places count as if the tensor
/// were contiguous. `Numbers` values at a time, which divide the width.
template <int Numbers>
__global__ void find_growth(const LogDecayRows x, unsigned long long* first_wrong) {
  const std::int64_t pieces = x.width / Numbers, count = x.rows * pieces;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const float* from = x.from.data;
    if (x.rows == 1) {
      from += i * Numbers;
    } else {
      const std::int64_t row = i / pieces, token = row / x.heads;
      from += token / x.time * x.from.batch + token % x.time * x.from.time + row % x.heads * x.from.head +
              (i - row * pieces) * Numbers;
    }
    float values[Numbers];
    if constexpr (Numbers == 4) {
      const float4 four = load_four(from);
      values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
    } else {
      values[0] = *from;
    }
#pragma unroll
    for (int j = 0; j < Numbers; ++j) {
      if (!(values[j] <= 0.0f)) {
        atomicMin(first_wrong, static_cast<unsigned long long>(i * Numbers + j));
        return;  // what this thread would see later is further back
      }
    }
  }
}

/// The pool for a device. Made at the first call and never destroyed, since others may outlive whoever would.
inline cudaMemPool_t number_pool(int device) {
  static std::mutex mutex;
  static std::map<int, cudaMemPool_t> pools;
  const std::lock_guard lock(mutex);
  cudaMemPool_t& pool = pools[device];
  if (pool == nullptr) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    cudaMemPool_t made = nullptr;
    ETALON_CUDA(cudaMemPoolCreate(&made, &properties));
    std::uint64_t keep_all = ~std::uint64_t{0};
    ETALON_CUDA(cudaMemPoolSetAttribute(made, cudaMemPoolAttrReleaseThreshold, &keep_all));
    pool = made;
  }
  return pool;
}

/// 8 bytes of device memory for as long as this lives, in the order of the stream.
class StreamNumber {
 public:
  StreamNumber(cudaStream_t stream, int device) : stream_(stream) {
    void* memory = nullptr;
    ETALON_CUDA(cudaMallocFromPoolAsync(&memory, sizeof(unsigned long long), number_pool(device), stream));
    data_ = static_cast<unsigned long long*>(memory);
  }
  StreamNumber(const StreamNumber&) = delete;
  StreamNumber& operator=(const StreamNumber&) = delete;
  ~StreamNumber() { cudaFreeAsync(data_, stream_); }
  unsigned long long* data() const { return data_; }

 private:
  cudaStream_t stream_;
  unsigned long long* data_ = nullptr;
};

/// Throws unless every logarithm of a decay is at most 0, which NaN is not. Waits for the stream.
inline void check_log_decay(const Checker& check, const Tensor& log_decay, cudaStream_t stream,
                            const Device& device) {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  ETALON_CUDA(cudaStreamIsCapturing(stream, &capture));
  if (capture != cudaStreamCaptureStatusNone) {
    check.fail(
        "the stream is being captured, so that the values of log_decay cannot be waited for, expected "
        "trust_values to be set");
  }
  const auto [batch, time, heads, channels] = log_decay.shape;
  LogDecayRows rows;
  rows.from = {static_cast<const float*>(log_decay.data), batch == 1 ? 0 : log_decay.stride[0],
               time == 1 ? 0 : log_decay.stride[1], heads == 1 ? 0 : log_decay.stride[2]};
  rows.rows = batch * time * heads;
  rows.width = channels;
  rows.time = time;
  rows.heads = heads;
  const bool contiguous = (heads == 1 || log_decay.stride[2] == channels) &&
                          (time == 1 || log_decay.stride[1] == heads * channels) &&
                          (batch == 1 || log_decay.stride[0] == time * heads * channels);
  if (contiguous) {
    rows.width *= rows.rows;
    rows.rows = 1;
  }
  // Rows of channels begin at multiples of 16 bytes (`check_rows`); of a contiguous tensor only the first
  // does.
  const bool by_four = rows.width % 4 == 0 && reinterpret_cast<std::uintptr_t>(log_decay.data) % 16 == 0;

  constexpr int threads = 256;
  constexpr unsigned long long none = ~0ull;
  unsigned long long first_wrong = none;
  const StreamNumber found(stream, device.index);
  ETALON_CUDA(cudaMemsetAsync(found.data(), 0xff, sizeof none, stream));
  const std::int64_t count = rows.rows * rows.width / (by_four ? 4 : 1);
  const auto blocks = static_cast<unsigned>(
      std::min<std::int64_t>((count + threads - 1) / threads, std::int64_t{16} * device.multiprocessors));
  (by_four ? find_growth<4> : find_growth<1>)<<<blocks, threads, 0, stream>>>(rows, found.data());
  check_cuda(cudaGetLastError(), "check_log_decay: launch");
  ETALON_CUDA(
      cudaMemcpyAsync(&first_wrong, found.data(), sizeof first_wrong, cudaMemcpyDeviceToHost, stream));
  ETALON_CUDA(cudaStreamSynchronize(stream));
  if (first_wrong == none) return;
  const auto place = static_cast<std::int64_t>(first_wrong), row = place / channels;
  check.growth("log_decay", " at " + to_string(Extents{row / heads / time, row / heads % time, row % heads,
                                                       place % channels}));
}

}  // namespace etalon::fast::cuda
