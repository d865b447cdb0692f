/// \file
/// What the kernels of the CPU are measured against: OpenBLAS's product of two large float32 matrices with
/// one thread, in the same program and the same run. Ratios to it carry from one processor to another and
/// from a quiet machine to a busy one, as absolute times do not.
#pragma once

#include <benchmark/benchmark.h>
#include <cblas.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace etalon::bench {

/// The counter that every benchmark of matrix-like work reports: floating-point operations per second, as its
/// own count says.
inline void report_rate(benchmark::State& state, double operations_per_iteration) {
  state.counters["flops"] = benchmark::Counter(
      operations_per_iteration, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

/// Standard normal numbers, the same in every run.
inline std::vector<float> normal_numbers(std::int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& x : numbers) x = normal(generator);
  return numbers;
}

/// Registers a benchmark. With one thread, rates are those of processor time, which other programs disturb
/// least; with more, of real time, which is what threads are for.
template <class... Arguments>
benchmark::internal::Benchmark* add(const std::string& name, int threads, Arguments&&... arguments) {
  auto* added = benchmark::RegisterBenchmark(name.c_str(), std::forward<Arguments>(arguments)...);
  added->Unit(benchmark::kMillisecond);
  return threads == 1 ? added : added->UseRealTime();
}

/// C = A B with n x n matrices and one thread.
inline void sgemm(benchmark::State& state) {
  const auto n = static_cast<int>(state.range(0));
  const std::vector<float> a = normal_numbers(std::int64_t{n} * n, 1),
                           b = normal_numbers(std::int64_t{n} * n, 2);
  std::vector<float> c(a.size());
  openblas_set_num_threads(1);
  for (auto _ : state) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0f, a.data(), n, b.data(), n, 0.0f,
                c.data(), n);
    benchmark::DoNotOptimize(c.data());
  }
  report_rate(state, 2.0 * n * n * n);
}

}  // namespace etalon::bench
