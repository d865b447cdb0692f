/// \file
/// The benchmarks of cores 2, 3 and 4: rates by the operation counts of their own algorithms beside sgemm,
/// times a token over the length of the sequence, and the scans beside their plain texts.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/real.hpp"
#include "reference/state_space/mamba_s6.hpp"
#include "reference/state_space/s4d.hpp"
#include "tools/bench/cpu.hpp"
#include "tools/bench/yardstick.hpp"

namespace etalon::bench {
namespace {

/// What a decay belongs to.
enum class Decay { none, head, token, channel };

constexpr std::pair<const char*, Decay> kDecays[] = {
    {"none", Decay::none}, {"head", Decay::head}, {"token", Decay::token}, {"channel", Decay::channel}};

/// Tokens of a chunk where the cores choose.
constexpr double kChunk = 32;

/// Inputs of cores 2 and 3: heads of n tokens with d channels of keys and of values.
struct Sequence {
  std::int64_t n, heads, d;
  std::vector<float> q, k, v, o, log_decay, beta, d_o, dq, dk, dv, d_log_decay;

  Sequence(std::int64_t tokens, std::int64_t number_of_heads, std::int64_t channels, bool gradients = false)
      : n(tokens),
        heads(number_of_heads),
        d(channels),
        q(normal_numbers(n * heads * d, 1)),
        k(normal_numbers(n * heads * d, 2)),
        v(normal_numbers(n * heads * d, 3)),
        o(q.size()),
        log_decay(normal_numbers(n * heads * d, 4)),
        beta(normal_numbers(n * heads, 5)) {
    for (float& x : log_decay) x = -0.1f * std::abs(x);
    for (float& x : beta) x = 1 / (1 + std::exp(-x));
    for (std::size_t first = 0; first < k.size(); first += static_cast<std::size_t>(d)) {
      float squares = 0;
      for (std::int64_t i = 0; i < d; ++i) squares += k[first + i] * k[first + i];
      for (std::int64_t i = 0; i < d; ++i) k[first + i] /= std::sqrt(squares);
    }
    if (!gradients) return;
    d_o = normal_numbers(n * heads * d, 6);
    dq = dk = dv = d_log_decay = o;
  }

  fast::Tensor rows(std::vector<float>& x) const { return fast::tensor(x.data(), 1, n, heads, d); }
  fast::Tensor numbers(std::vector<float>& x) const { return fast::tensor(x.data(), 1, n, heads, 1); }
  fast::Tensor decays(std::vector<float>& x, Decay decay) const {
    switch (decay) {
      case Decay::none:
        return {};
      case Decay::head:
        return fast::tensor(x.data(), 1, 1, heads, 1);
      case Decay::token:
        return numbers(x);
      case Decay::channel:
        break;
    }
    return rows(x);
  }
  double tokens() const { return static_cast<double>(n * heads); }
  double channels() const { return static_cast<double>(d); }
};

/// Nanoseconds of one token of one head.
void report_tokens(benchmark::State& state, double tokens) {
  state.counters["token_time"] =
      benchmark::Counter(tokens, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

fast::DecayOuterProduct decay_call(Sequence& s, Decay decay) {
  fast::DecayOuterProduct call;
  call.q = s.rows(s.q);
  call.k = s.rows(s.k);
  call.v = s.rows(s.v);
  call.o = s.rows(s.o);
  call.log_decay = s.decays(s.log_decay, decay);
  return call;
}

/// 4 d e + C (d + e) operations a token (fast/cpu/decay_outer_product.cpp).
void decay_outer_product(benchmark::State& state, Decay decay, int threads) {
  Sequence s(state.range(0), state.range(1), state.range(2));
  const fast::DecayOuterProduct call = decay_call(s, decay);
  for (auto _ : state) fast::cpu::decay_outer_product(call, {.threads = threads});
  report_rate(state, s.tokens() * (4 * s.channels() * s.channels() + 2 * kChunk * s.channels()));
  report_tokens(state, s.tokens());
}

/// 8 d e operations a token for the gradients, 2 d e for the states of a segment and 2 d e for those that are
/// kept, which the last segment of 1024 tokens does not need; C (3 d + 2 e) within chunks
/// (fast/cpu/decay_outer_product_backward.cpp).
void decay_outer_product_backward(benchmark::State& state, Decay decay, int threads) {
  Sequence s(state.range(0), state.range(1), state.range(2), true);
  fast::DecayOuterProductBackward call;
  call.forward = decay_call(s, decay);
  call.d_o = s.rows(s.d_o);
  call.dq = s.rows(s.dq);
  call.dk = s.rows(s.dk);
  call.dv = s.rows(s.dv);
  call.d_log_decay = s.decays(s.d_log_decay, decay);
  for (auto _ : state) fast::cpu::decay_outer_product_backward(call, {.threads = threads});
  const double states = 4 - 2 * std::min(1.0, 1024 / static_cast<double>(s.n));
  report_rate(state, s.tokens() * ((8 + states) * s.channels() * s.channels() + 5 * kChunk * s.channels()));
  report_tokens(state, s.tokens());
}

/// 6 d e + 2 C (d + e) + C^2 / 3 operations a token (fast/cpu/delta_rule.cpp).
void delta_rule(benchmark::State& state, bool gated, int threads) {
  Sequence s(state.range(0), state.range(1), state.range(2));
  fast::DeltaRule call;
  call.q = s.rows(s.q);
  call.k = s.rows(s.k);
  call.v = s.rows(s.v);
  call.o = s.rows(s.o);
  call.beta = s.numbers(s.beta);
  if (gated) call.log_decay = s.numbers(s.log_decay);
  for (auto _ : state) fast::cpu::delta_rule(call, {.threads = threads});
  report_rate(state, s.tokens() *
                         (6 * s.channels() * s.channels() + 4 * kChunk * s.channels() + kChunk * kChunk / 3));
  report_tokens(state, s.tokens());
}

/// Inputs of the selective scan as a Mamba block makes them: softplus, skip, bias and gate.
struct Selective {
  std::int64_t n, channels, states;
  std::vector<float> x, delta, a, b, c, z, skip, bias, o;
  fast::SelectiveScan call;

  Selective(std::int64_t tokens, std::int64_t channels_, std::int64_t states_)
      : n(tokens),
        channels(channels_),
        states(states_),
        x(normal_numbers(n * channels, 1)),
        delta(normal_numbers(n * channels, 2)),
        a(static_cast<std::size_t>(channels * states)),
        b(normal_numbers(n * states, 3)),
        c(normal_numbers(n * states, 4)),
        z(normal_numbers(n * channels, 5)),
        skip(normal_numbers(channels, 6)),
        bias(normal_numbers(channels, 7)),
        o(x.size()) {
    for (std::size_t i = 0; i < a.size(); ++i)
      a[i] = -static_cast<float>(i % static_cast<std::size_t>(states) + 1);
    const auto sequence = [&](std::vector<float>& t) { return fast::tensor(t.data(), 1, n, 1, channels); };
    call.x = sequence(x);
    call.delta = sequence(delta);
    call.z = sequence(z);
    call.o = sequence(o);
    call.a = fast::tensor(a.data(), 1, 1, channels, states);
    call.b = fast::tensor(b.data(), 1, n, 1, states);
    call.c = fast::tensor(c.data(), 1, n, 1, states);
    call.skip = fast::tensor(skip.data(), 1, 1, 1, channels);
    call.delta_bias = fast::tensor(bias.data(), 1, 1, 1, channels);
    call.softplus = true;
  }

  /// The same for the text.
  mamba_s6::Input<float> text_input() const {
    mamba_s6::Input<float> in{
        Array<float>({n, channels}, x),
        mamba_s6::step_lengths(Array<float>({n, channels}, delta), Array<float>({channels}, bias)),
        Array<float>({channels, states}, a),
        Array<float>({n, 1, states}, b),
        Array<float>({n, 1, states}, c),
        Array<float>({channels, states}),
        Array<float>({channels}, skip),
        Array<float>({n, channels}, z)};
    return in;
  }
};

void report_states(benchmark::State& state, double steps) {
  state.counters["state_time"] =
      benchmark::Counter(steps, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

void selective_scan(benchmark::State& state, int threads) {
  const Selective s(state.range(0), state.range(1), state.range(2));
  for (auto _ : state) fast::cpu::selective_scan(s.call, {.threads = threads});
  report_states(state, static_cast<double>(s.n * s.channels * s.states));
}

/// The text in float32, softplus and gate included.
void selective_scan_text(benchmark::State& state) {
  const Selective s(state.range(0), state.range(1), state.range(2));
  for (auto _ : state) {
    const mamba_s6::Input<float> in = s.text_input();
    benchmark::DoNotOptimize(mamba_s6::finished(in, mamba_s6::recurrent(mamba_s6::euler(in))));
  }
  report_states(state, static_cast<double>(s.n * s.channels * s.states));
}

/// Inputs of S4D: damped oscillations.
struct Oscillators {
  std::int64_t n, channels, states;
  std::vector<float> x, lambda, w, skip, o;
  fast::ComplexScan call;

  Oscillators(std::int64_t tokens, std::int64_t channels_, std::int64_t states_)
      : n(tokens),
        channels(channels_),
        states(states_),
        x(normal_numbers(n * channels, 1)),
        lambda(static_cast<std::size_t>(2 * channels * states)),
        w(normal_numbers(2 * channels * states, 2)),
        skip(normal_numbers(channels, 3)),
        o(x.size()) {
    for (std::size_t i = 0; i < lambda.size() / 2; ++i) {
      const auto p = static_cast<float>(i % static_cast<std::size_t>(states));
      lambda[2 * i] = 0.99f * std::cos(0.1f * p);
      lambda[2 * i + 1] = 0.99f * std::sin(0.1f * p);
    }
    call.x = fast::tensor(x.data(), 1, n, 1, channels);
    call.o = fast::tensor(o.data(), 1, n, 1, channels);
    call.lambda = fast::tensor(lambda.data(), 1, 1, channels, 2 * states);
    call.w = fast::tensor(w.data(), 1, 1, channels, 2 * states);
    call.skip = fast::tensor(skip.data(), 1, 1, 1, channels);
  }
};

void complex_scan(benchmark::State& state, int threads) {
  const Oscillators s(state.range(0), state.range(1), state.range(2));
  for (auto _ : state) fast::cpu::complex_scan(s.call, {.threads = threads});
  report_states(state, static_cast<double>(s.n * s.channels * s.states));
}

/// The text in float32, channel after channel; its arrays are made outside of what is timed.
void complex_scan_text(benchmark::State& state) {
  const Oscillators s(state.range(0), state.range(1), state.range(2));
  std::vector<s4d::System<float>> systems;
  std::vector<Array<float>> inputs;
  for (std::int64_t c = 0; c < s.channels; ++c) {
    s4d::System<float> system{Array<Complex<float>>({s.states}),
                              Array<Complex<float>>({s.states}, Complex<float>(1)),
                              Array<Complex<float>>({s.states}), s.skip[static_cast<std::size_t>(c)]};
    for (std::int64_t p = 0; p < s.states; ++p) {
      const auto at = static_cast<std::size_t>(2 * (c * s.states + p));
      system.lambda(p) = Complex<float>(s.lambda[at], s.lambda[at + 1]);
      system.C(p) = Complex<float>(s.w[at], s.w[at + 1]);
    }
    systems.push_back(system);
    inputs.emplace_back(Shape{s.n});
    for (std::int64_t t = 0; t < s.n; ++t)
      inputs.back()(t) = s.x[static_cast<std::size_t>(t * s.channels + c)];
  }
  const Array<Complex<float>> silence({s.states});
  for (auto _ : state) {
    for (std::size_t c = 0; c < systems.size(); ++c) {
      benchmark::DoNotOptimize(s4d::recurrent(systems[c], inputs[c], silence));
    }
  }
  report_states(state, static_cast<double>(s.n * s.channels * s.states));
}

/// Registers one benchmark, timed by the clock on the wall as all are.
template <class... Arguments>
benchmark::internal::Benchmark* add(const std::string& name, Arguments... arguments) {
  return benchmark::RegisterBenchmark(name.c_str(), arguments...)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

}  // namespace

void register_recurrent() {
  const std::vector<std::string> sequence{"n", "heads", "d"}, scan{"n", "channels", "states"};
  for (const int threads : {1, 2}) {
    const std::string suffix = "/threads:" + std::to_string(threads);
    for (const auto& [name, decay] : kDecays) {
      const std::string decayed = std::string("/") + name + suffix;
      add("decay_outer_product" + decayed, decay_outer_product, decay, threads)
          ->ArgNames(sequence)
          ->Args({4096, 1, 128})
          ->Args({4096, 4, 64});
      add("decay_outer_product_backward" + decayed, decay_outer_product_backward, decay, threads)
          ->ArgNames(sequence)
          ->Args({2048, 2, 128});
    }
    for (const bool gated : {false, true}) {
      add(std::string("delta_rule") + (gated ? "/token" : "/none") + suffix, delta_rule, gated, threads)
          ->ArgNames(sequence)
          ->Args({4096, 1, 128})
          ->Args({4096, 4, 64});
    }
    add("selective_scan" + suffix, selective_scan, threads)->ArgNames(scan)->Args({1024, 256, 16});
    add("complex_scan" + suffix, complex_scan, threads)->ArgNames(scan)->Args({4096, 64, 32});
  }
  add("selective_scan/text", selective_scan_text)->ArgNames(scan)->Args({1024, 256, 16});
  add("complex_scan/text", complex_scan_text)->ArgNames(scan)->Args({4096, 64, 32});
  // The time of a token must not depend on the length.
  for (const std::int64_t n : {4096, 16384, 65536, 262144}) {
    add("length/decay_outer_product", decay_outer_product, Decay::token, 1)
        ->ArgNames(sequence)
        ->Args({n, 1, 128});
    add("length/delta_rule", delta_rule, true, 1)->ArgNames(sequence)->Args({n, 1, 128});
  }
}

}  // namespace etalon::bench
