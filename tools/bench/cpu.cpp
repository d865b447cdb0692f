/// \file
/// The program `etalon_bench`: how fast the cores of the CPU are, beside OpenBLAS's sgemm as the yardstick.
///
///     etalon_bench --benchmark_enable_random_interleaving=true --benchmark_repetitions=9
///                  --benchmark_report_aggregates_only=true
///
/// Interleaving matters: it spreads what disturbs the machine over all benchmarks. Compare medians of
/// `flops`.
#include "tools/bench/cpu.hpp"

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "tools/bench/yardstick.hpp"

namespace etalon::bench {
namespace {

/// One head of n tokens with d channels.
struct Head {
  std::int64_t n, d;
  std::vector<float> q, k, v, o, log_sum, d_o, dq, dk, dv;
  fast::Attention call;
  fast::AttentionBackward backward;

  Head(std::int64_t tokens, std::int64_t channels, fast::Mask::Kind mask)
      : n(tokens),
        d(channels),
        q(normal_numbers(n * d, 1)),
        k(normal_numbers(n * d, 2)),
        v(normal_numbers(n * d, 3)),
        o(q.size()),
        log_sum(static_cast<std::size_t>(n)),
        d_o(normal_numbers(n * d, 4)),
        dq(q.size()),
        dk(q.size()),
        dv(q.size()) {
    const auto matrix = [this](std::vector<float>& x) { return fast::tensor(x.data(), 1, n, 1, d); };
    call.q = matrix(q);
    call.k = matrix(k);
    call.v = matrix(v);
    call.o = matrix(o);
    call.log_sum = fast::tensor(log_sum.data(), 1, n, 1, 1);
    call.scale = 1.0f / std::sqrt(static_cast<float>(d));
    call.mask.kind = mask;
    backward = {call, matrix(d_o), matrix(dq), matrix(dk), matrix(dv)};
  }

  /// Products of matrices, each 2 n^2 d operations, or half of that where half the pairs are hidden.
  double operations(double products) const {
    const double all =
        products * 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(d);
    return call.mask.kind == fast::Mask::Kind::causal ? all / 2 : all;
  }
};

void attention(benchmark::State& state, fast::Mask::Kind mask, int threads) {
  const Head head(state.range(0), state.range(1), mask);
  for (auto _ : state) fast::cpu::attention(head.call, {.threads = threads});
  report_rate(state, head.operations(2));
}

/// The forward call that the gradient needs is not timed.
void attention_backward(benchmark::State& state, fast::Mask::Kind mask, int threads) {
  const Head head(state.range(0), state.range(1), mask);
  fast::cpu::attention(head.call, {.threads = threads});
  for (auto _ : state) fast::cpu::attention_backward(head.backward, {.threads = threads});
  report_rate(state, head.operations(5));
}

void register_attention() {
  for (const auto& [name, mask] :
       {std::pair{"full", fast::Mask::Kind::full}, {"causal", fast::Mask::Kind::causal}}) {
    for (const int threads : {1, 2}) {
      const std::string suffix = std::string("/") + name + "/threads:" + std::to_string(threads);
      add("attention" + suffix, threads, attention, mask, threads)
          ->ArgNames({"n", "d"})
          ->Args({4096, 64})
          ->Args({4096, 128});
      add("attention_backward" + suffix, threads, attention_backward, mask, threads)
          ->ArgNames({"n", "d"})
          ->Args({4096, 64})
          ->Args({4096, 128});
    }
  }
}

}  // namespace
}  // namespace etalon::bench

int main(int argc, char** argv) {
  etalon::bench::add("sgemm", 1, etalon::bench::sgemm)->ArgName("n")->Arg(2048);
  etalon::bench::register_attention();
  etalon::bench::register_recurrent();
  benchmark::AddCustomContext("instructions", etalon::fast::cpu::instructions());
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
