/// \file
/// Times on the device: events around each call, medians, inputs larger than the level-2 cache in rotation,
/// and the rate of a copy in the same run as the yardstick.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "fast/cuda/device_memory.cuh"
#include "fast/cuda/rungs.hpp"

namespace etalon::fast::check {

/// Median time of `repetitions` calls after a warm-up; `run` is given the number of the call.
template <typename Run>
double median_seconds(const Run& run, int repetitions = 30) {
  for (int i = 0; i < 4; ++i) run(i);
  std::vector<cudaEvent_t> begin(static_cast<std::size_t>(repetitions)), end(begin.size());
  for (std::size_t i = 0; i < begin.size(); ++i) {
    ETALON_CUDA(cudaEventCreate(&begin[i]));
    ETALON_CUDA(cudaEventCreate(&end[i]));
  }
  for (std::size_t i = 0; i < begin.size(); ++i) {
    ETALON_CUDA(cudaEventRecord(begin[i]));
    run(static_cast<int>(i));
    ETALON_CUDA(cudaEventRecord(end[i]));
  }
  ETALON_CUDA(cudaDeviceSynchronize());
  std::vector<float> milliseconds(begin.size());
  for (std::size_t i = 0; i < begin.size(); ++i) {
    ETALON_CUDA(cudaEventElapsedTime(&milliseconds[i], begin[i], end[i]));
    ETALON_CUDA(cudaEventDestroy(begin[i]));
    ETALON_CUDA(cudaEventDestroy(end[i]));
  }
  std::nth_element(milliseconds.begin(), milliseconds.begin() + repetitions / 2, milliseconds.end());
  return static_cast<double>(milliseconds[static_cast<std::size_t>(repetitions / 2)]) * 1e-3;
}

/// Bytes read and written per second by a copy within the device.
inline double copy_rate() {
  constexpr std::size_t bytes = std::size_t{2} << 30;
  const DeviceBytes from(bytes), to(bytes);
  ETALON_CUDA(cudaMemset(from.data(), 1, bytes));
  const double seconds = median_seconds(
      [&](int) { ETALON_CUDA(cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice)); });
  return 2.0 * static_cast<double>(bytes) / seconds;
}

/// Multiply-adds in float32 that the device could make per second, as twice as many operations: 128 lanes of
/// each multiprocessor at the highest clock.
inline double float32_peak() {
  int multiprocessors = 0, kilohertz = 0;
  ETALON_CUDA(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
  ETALON_CUDA(cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, 0));
  return 2.0 * 128 * multiprocessors * kilohertz * 1e3;
}

/// Inputs and output of core 2, one batch. Kinds of decay: 0 none, 1 constant, 2 token, 3 channel.
template <typename T>
struct DecaySet {
  DeviceTensor<T> q, k, v, o;
  DeviceTensor<float> log_decay;
  DeviceBytes workspace{std::size_t{64} << 20};

  DecaySet(std::int64_t time, std::int64_t heads, std::int64_t d, int kind, std::uint64_t seed)
      : q(random_tensor<T>({1, time, heads, d}, seed)),
        k(random_tensor<T>({1, time, heads, d}, seed + 1)),
        v(random_tensor<T>({1, time, heads, d}, seed + 2)),
        o({1, time, heads, d}) {
    if (kind == 1) log_decay = random_tensor<float>({1, 1, heads, 1}, seed + 3, -0.05f);
    if (kind == 2) log_decay = random_tensor<float>({1, time, heads, 1}, seed + 3, -0.1f);
    if (kind == 3) log_decay = random_tensor<float>({1, time, heads, d}, seed + 3, -0.1f);
  }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(q.shape()[3])); }
  void poison() const { ETALON_CUDA(cudaMemset(o.data(), 0xff, o.count() * sizeof(T))); }
  void run(const cuda::DecayPlan& plan, bool trust_values = true) const {
    DecayOuterProduct call;
    call.q = q.view(), call.k = k.view(), call.v = v.view(), call.o = o.view(),
    call.log_decay = log_decay.view();
    call.scale = scale();
    Execution execution;
    execution.workspace = workspace.data();
    execution.workspace_bytes = static_cast<std::int64_t>(workspace.size());
    execution.trust_values = trust_values;
    cuda::decay_outer_product(call, execution, plan);
  }
  /// Each input read once, the output written once.
  double least_bytes() const {
    return static_cast<double>(4 * q.count() * sizeof(T) + log_decay.count() * 4);
  }
};

/// Inputs and output of core 1, one batch.
template <typename T>
struct AttentionSet {
  DeviceTensor<T> q, k, v, o;

  AttentionSet(std::int64_t time, std::int64_t heads, std::int64_t d, std::uint64_t seed)
      : q(random_tensor<T>({1, time, heads, d}, seed)),
        k(random_tensor<T>({1, time, heads, d}, seed + 1)),
        v(random_tensor<T>({1, time, heads, d}, seed + 2)),
        o({1, time, heads, d}) {}
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(q.shape()[3])); }
  void poison() const { ETALON_CUDA(cudaMemset(o.data(), 0xff, o.count() * sizeof(T))); }
  void run(bool causal, cuda::AttentionRung rung) const {
    Attention call;
    call.q = q.view(), call.k = k.view(), call.v = v.view(), call.o = o.view();
    call.scale = scale();
    call.mask.kind = causal ? Mask::Kind::causal : Mask::Kind::full;
    cuda::attention(call, {}, rung);
  }
};

}  // namespace etalon::fast::check
