/// \file
/// etalon_gpu_check MODE FILE: holds the GPU part to the CPU in double precision (`device_oracle.hpp`), or
/// times it. MODE is `check` (all cases), `portable` (the same, of a binary in which the device finds PTX for
/// sm_80 only), `small` (few and short ones, for a tool that slows everything down) or `time` (spot checks of
/// the timed sizes, then times). FILE receives lines "name,value". The exit status is 0 only if every case
/// held.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "fast/cuda/device.cuh"
#include "fast/cuda/device_memory.cuh"
#include "fast/cuda/device_oracle.hpp"
#include "fast/cuda/device_timing.cuh"
#include "fast/cuda/rungs.hpp"
#include "fast/validate.hpp"

namespace etalon::fast::check {
namespace {

using cuda::AttentionRung;
using cuda::DecayPlan;
using cuda::DecayRung;

/// Where the results go, and whether all cases held.
class Report {
 public:
  explicit Report(const char* path) : file_(std::fopen(path, "w")) {
    if (file_ == nullptr) throw Error(std::string("cannot write ") + path);
  }
  ~Report() { std::fclose(file_); }
  void value(const std::string& name, double number) {
    std::fprintf(file_, "%s,%.9g\n", name.c_str(), number);
    std::fflush(file_);
  }
  /// A case with its largest error over what was allowed. NaN does not hold.
  void held(const std::string& name, double fraction) {
    ++cases_;
    worst_ = std::max(worst_, fraction);
    if (!(fraction <= 1.0)) {
      ++failures_;
      std::printf("FAILED %s: error over allowed error %g\n", name.c_str(), fraction);
    }
    value("case/" + name, fraction);
  }
  void truth(const std::string& name, bool holds) { held(name, holds ? 0.0 : 2.0); }
  int finish() {
    value("cases", cases_);
    value("failures", failures_);
    value("worst", worst_);
    std::printf("%d cases, %d failed, largest error %.3f of what is allowed\n", cases_, failures_, worst_);
    return failures_ == 0 && cases_ > 0 ? 0 : 1;
  }

 private:
  std::FILE* file_;
  int cases_ = 0, failures_ = 0;
  double worst_ = 0.0;
};

/// Error over allowed error; infinite where one side is NaN or infinite and the other is not.
double fraction(double given, const Allowed& allowed) {
  if (given == allowed.exact) return 0.0;
  const double error = std::fabs(given - allowed.exact);
  return std::isfinite(error) && allowed.error > 0 ? error / allowed.error : INFINITY;
}

/// Runs work(i) for i below count on all processors.
void in_parallel(std::int64_t count, const std::function<void(std::int64_t)>& work) {
  std::vector<std::thread> threads;
  const unsigned workers = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned w = 0; w < workers; ++w) {
    threads.emplace_back([&, w] {
      for (std::int64_t i = w; i < count; i += workers) work(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// Whether what lies between the tokens is what it was before.
template <typename T>
bool gaps_untouched(const DeviceTensor<T>& tensor, const std::vector<T>& numbers) {
  const std::int64_t width = tensor.shape()[2] * tensor.shape()[3];
  const auto* bytes = reinterpret_cast<const unsigned char*>(numbers.data());
  for (std::size_t i = 0; i < numbers.size() * sizeof(T); ++i) {
    if (static_cast<std::int64_t>(i / sizeof(T)) % tensor.row() >= width && bytes[i] != 0xff) return false;
  }
  return true;
}

/// All numbers with 11 significant bits, as tensor cores would see float32.
Numbers<float> rounded_to_11_bits(Numbers<float> numbers) {
  for (float& x : numbers.data)
    x = std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000u) & ~0x1fffu);
  return numbers;
}

// Attention
// ----------------------------------------------------------------------------------------------------------

struct AttentionCase {
  std::int64_t queries, keys, batch, heads, key_heads;
  double logit = 3.0;  ///< about the largest |scale q . k|
  std::int64_t gap = 0;
};

const char* name_of(AttentionRung rung) {
  switch (rung) {
    case AttentionRung::automatic:
      return "automatic";
    case AttentionRung::fma:
      return "fma";
    case AttentionRung::mma:
      return "mma";
    case AttentionRung::wgmma:
      return "wgmma";
    case AttentionRung::wgmma_turns:
      return "wgmma_turns";
  }
  return "?";
}

/// [batch][query][head][d + 1], the last number being log_sum.
template <typename T>
std::vector<Allowed> attention_all(const Numbers<T>& q, const Numbers<T>& k, const Numbers<T>& v, float scale,
                                   bool causal) {
  const std::int64_t width = q.shape[3] + 1, heads = q.shape[2], rows = q.shape[0] * q.shape[1] * heads;
  std::vector<Allowed> all(static_cast<std::size_t>(rows * width));
  in_parallel(rows, [&](std::int64_t row) {
    const std::int64_t h = row % heads, n = row / heads % q.shape[1], b = row / heads / q.shape[1];
    const auto result = attention_row(q, k, v, static_cast<double>(scale), causal, type_of<T>, b, n, h);
    std::copy(result.begin(), result.end(), all.begin() + row * width);
  });
  return all;
}

/// The largest fraction over all numbers of o (with gaps between the tokens) and log_sum.
template <typename T>
double attention_fraction(const std::vector<Allowed>& allowed, const std::vector<T>& o, std::int64_t o_row,
                          const std::vector<float>& log_sum, std::int64_t heads, std::int64_t d) {
  double worst = 0;
  const auto fractions_of = [&](std::size_t row) {
    const std::size_t token = row / static_cast<std::size_t>(heads),
                      h = row % static_cast<std::size_t>(heads);
    double largest = 0;
    for (std::int64_t i = 0; i < d; ++i) {
      const std::size_t at = token * static_cast<std::size_t>(o_row) + h * static_cast<std::size_t>(d) +
                             static_cast<std::size_t>(i);
      largest = std::max(
          largest, fraction(value_of(o[at]),
                            allowed[row * static_cast<std::size_t>(d + 1) + static_cast<std::size_t>(i)]));
    }
    return std::max(
        largest, fraction(value_of(log_sum[row]), allowed[(row + 1) * static_cast<std::size_t>(d + 1) - 1]));
  };
  for (std::size_t row = 0; row < log_sum.size(); ++row) worst = std::max(worst, fractions_of(row));
  return worst;
}

template <typename T>
void check_attention_case(Report& report, const AttentionCase& c, std::int64_t d, bool causal,
                          const std::vector<AttentionRung>& rungs, std::mt19937_64& random) {
  const Numbers<T> q = normal<T>({c.batch, c.queries, c.heads, d}, random);
  const Numbers<T> k = normal<T>({c.batch, c.keys, c.key_heads, d}, random);
  Numbers<T> v = normal<T>({c.batch, c.keys, c.key_heads, d}, random);
  const auto scale = static_cast<float>(c.logit / (3.0 * std::sqrt(static_cast<double>(d))));
  const std::vector<Allowed> allowed = attention_all(q, k, v, scale, causal);
  const DeviceTensor<T> dq(q.shape, q.data, c.gap), dk(k.shape, k.data, c.gap), dv(v.shape, v.data, c.gap);
  const std::string name = "attention/" + to_string(type_of<T>) + "/d" + std::to_string(d) +
                           (causal ? "/causal" : "/full") + "/n" + std::to_string(c.queries) + "/m" +
                           std::to_string(c.keys) + "/b" + std::to_string(c.batch) + "/h" +
                           std::to_string(c.heads) + "/g" + std::to_string(c.key_heads) + "/logit" +
                           std::to_string(static_cast<int>(c.logit)) + (c.gap > 0 ? "/strided" : "");
  for (const AttentionRung rung : rungs) {
    const DeviceTensor<T> o(q.shape, c.gap);
    const DeviceTensor<float> log_sum({c.batch, c.queries, c.heads, 1});
    Attention call;
    call.q = dq.view(), call.k = dk.view(), call.v = dv.view(), call.o = o.view(),
    call.log_sum = log_sum.view();
    call.scale = scale;
    call.mask.kind = causal ? Mask::Kind::causal : Mask::Kind::full;
    cuda::attention(call, {}, rung);
    ETALON_CUDA(cudaDeviceSynchronize());
    const std::vector<T> out = o.read();
    report.held(name + "/" + name_of(rung),
                attention_fraction(allowed, out, o.row(), log_sum.read(), c.heads, d));
    if (c.gap > 0) report.truth(name + "/" + name_of(rung) + "/gaps", gaps_untouched(o, out));
    if (c.queries == 65 &&
        !causal) {  // the check itself: one key's value is another one's, which must be seen
      Numbers<T> wrong = v;
      std::copy(v.row(0, 0, 0), v.row(0, 0, 0) + d,
                wrong.data.begin() + static_cast<std::ptrdiff_t>(wrong.index(0, 1, 0, 0)));
      const auto other = attention_all(q, k, wrong, scale, causal);
      report.truth(name + "/" + name_of(rung) + "/fault_is_seen",
                   !(attention_fraction(other, out, o.row(), log_sum.read(), c.heads, d) <= 1.0));
    }
    if constexpr (std::is_same_v<T, float>) {
      // What tensor cores would make of it must be seen; the first query sees one key only.
      if (c.queries == 65 && causal) {
        const auto other =
            attention_all(rounded_to_11_bits(q), rounded_to_11_bits(k), rounded_to_11_bits(v), scale, causal);
        report.truth(name + "/" + name_of(rung) + "/lost_bits_are_seen",
                     !(attention_fraction(other, out, o.row(), log_sum.read(), c.heads, d) <= 1.0));
      }
    }
  }
}

/// The kernels for a storage type on this device.
template <typename T>
std::vector<AttentionRung> attention_rungs(bool hopper) {
  if (std::is_same_v<T, float>) return {AttentionRung::fma};
  if (!hopper) return {AttentionRung::mma};
  return {AttentionRung::mma, AttentionRung::wgmma, AttentionRung::wgmma_turns};
}

template <typename T>
void check_attention_type(Report& report, bool small, bool hopper) {
  std::mt19937_64 random(20250101);
  std::vector<AttentionRung> rungs = attention_rungs<T>(hopper);
  if (!small) rungs.push_back(AttentionRung::automatic);
  std::vector<AttentionCase> cases = {
      {1, 1, 1, 1, 1}, {2, 2, 1, 2, 1}, {65, 65, 1, 1, 1, 3.0, 64}, {129, 200, 1, 2, 1}};
  if (!small) {
    for (const std::int64_t n : {31, 33, 63, 64, 127, 128, 191, 192, 193, 255, 257})
      cases.push_back({n, n, 2, 2, 2});
    cases.push_back({1000, 1000, 1, 4, 2, 3.0, 8});
    cases.push_back({1000, 1000, 2, 6, 1});
    cases.push_back({7, 300, 2, 1, 1});
    cases.push_back({300, 7, 1, 2, 2});  // causal: most queries see no key
    cases.push_back({1, 1000, 1, 2, 1});
    cases.push_back({500, 500, 1, 2, 2, 300.0});
    cases.push_back({500, 500, 1, 2, 2, -300.0});
    cases.push_back({200, 200, 1, 1, 1, 0.0});
    cases.push_back({65, 65, 3, 24, 8});
  }
  for (const AttentionCase& c : cases) {
    for (const std::int64_t d : {64, 128}) {
      for (const bool causal : {false, true}) check_attention_case<T>(report, c, d, causal, rungs, random);
    }
  }
}

// Decay and outer product
// --------------------------------------------------------------------------------------------

enum class Decay { none, constant, token, channel };
constexpr const char* decay_names[] = {"none", "constant", "token", "channel"};

/// How strong the decays are. `mixed` has all of them in one chunk, resets too.
enum class Strength { one, mild, strong, mixed, reset };
constexpr const char* strength_names[] = {"one", "mild", "e-20", "mixed", "reset"};

float draw_log_decay(Strength strength, std::mt19937_64& random) {
  constexpr float choices[] = {0.0f, -1e-3f, -0.1f, -1.0f, -20.0f, -60.0f, -110.0f, -INFINITY};
  std::uniform_real_distribution<float> draw(0.0f, 1.0f);
  const float x = draw(random);
  switch (strength) {
    case Strength::one:
      return 0.0f;
    case Strength::mild:
      return -0.2f * x;
    case Strength::strong:
      return -20.0f;
    case Strength::mixed:
      return x < 0.7f ? -0.05f * x : choices[static_cast<int>(random() % 8)];
    case Strength::reset:
      return -INFINITY;
  }
  return 0.0f;
}

struct DecayCase {
  std::int64_t time, batch, heads;
  Decay decay;
  Strength strength;
  bool states;  ///< initial and final state given
  std::int64_t gap = 0;
};

Numbers<float> draw_decays(const DecayCase& c, std::int64_t d, std::mt19937_64& random) {
  if (c.decay == Decay::none) return {};
  Numbers<float> log_decay(
      c.decay == Decay::constant
          ? std::array<std::int64_t, 4>{1, 1, c.heads, 1}
          : std::array<std::int64_t, 4>{c.batch, c.time, c.heads, c.decay == Decay::token ? 1 : d});
  for (float& x : log_decay.data) x = draw_log_decay(c.strength, random);
  return log_decay;
}

struct DecayPlanName {
  DecayPlan plan;
  std::string name;
};

template <typename T>
std::vector<DecayAllowed> decay_all(const Numbers<T>& q, const Numbers<T>& k, const Numbers<T>& v,
                                    const Numbers<float>& log_decay, const Numbers<float>& initial,
                                    float scale) {
  const std::int64_t heads = q.shape[2];
  std::vector<DecayAllowed> all(static_cast<std::size_t>(q.shape[0] * heads));
  in_parallel(q.shape[0] * heads, [&](std::int64_t row) {
    all[static_cast<std::size_t>(row)] = decay_head(q, k, v, log_decay, initial, static_cast<double>(scale),
                                                    type_of<T>, row / heads, row % heads);
  });
  return all;
}

template <typename T>
double decay_fraction(const std::vector<DecayAllowed>& allowed, const DeviceTensor<T>& o,
                      const std::vector<T>& out, const std::vector<float>& final_state) {
  const auto [batch, time, heads, d] = o.shape();
  double worst = 0;
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t h = 0; h < heads; ++h) {
      const DecayAllowed& head = allowed[static_cast<std::size_t>(b * heads + h)];
      for (std::int64_t n = 0; n < time; ++n) {
        for (std::int64_t i = 0; i < d; ++i) {
          worst = std::max(
              worst, fraction(value_of(out[static_cast<std::size_t>((b * time + n) * o.row() + h * d + i)]),
                              head.o[static_cast<std::size_t>(n * d + i)]));
        }
      }
      for (std::size_t i = 0; i < head.state.size() && !final_state.empty(); ++i) {
        worst = std::max(
            worst, fraction(static_cast<double>(
                                final_state[static_cast<std::size_t>(b * heads + h) * head.state.size() + i]),
                            head.state[i]));
      }
    }
  }
  return worst;
}

/// Runs the call with a workspace of its own.
void run_decay(const DecayOuterProduct& call, const DecayPlan& plan, bool trust_values = false) {
  const DeviceBytes workspace(static_cast<std::size_t>(cuda::decay_outer_product_workspace(call, plan)));
  Execution execution;
  execution.workspace = workspace.data();
  execution.workspace_bytes = static_cast<std::int64_t>(workspace.size());
  execution.trust_values = trust_values;
  cuda::decay_outer_product(call, execution, plan);
  ETALON_CUDA(cudaDeviceSynchronize());
}

template <typename T>
void check_decay_case(Report& report, const DecayCase& c, std::int64_t d,
                      const std::vector<DecayPlanName>& plans, std::mt19937_64& random) {
  const std::array<std::int64_t, 4> shape{c.batch, c.time, c.heads, d}, state_shape{c.batch, c.heads, d, d};
  const Numbers<T> q = normal<T>(shape, random), k = normal<T>(shape, random, 0.5f);
  Numbers<T> v = normal<T>(shape, random);
  const Numbers<float> log_decay = draw_decays(c, d, random);
  const Numbers<float> initial = c.states ? normal<float>(state_shape, random) : Numbers<float>{};
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d)));
  const std::vector<DecayAllowed> allowed = decay_all(q, k, v, log_decay, initial, scale);
  const DeviceTensor<T> dq(shape, q.data, c.gap), dk(shape, k.data, c.gap), dv(shape, v.data, c.gap);
  DeviceTensor<float> d_log, d_initial;
  if (!log_decay.data.empty())
    d_log = DeviceTensor<float>(log_decay.shape, log_decay.data, c.decay == Decay::channel ? c.gap : 0);
  if (c.states) d_initial = DeviceTensor<float>(state_shape, initial.data);

  const std::string name = "decay_outer_product/" + to_string(type_of<T>) + "/d" + std::to_string(d) + "/" +
                           decay_names[static_cast<int>(c.decay)] + "/" +
                           strength_names[static_cast<int>(c.strength)] + "/n" + std::to_string(c.time) +
                           "/b" + std::to_string(c.batch) + "/h" + std::to_string(c.heads) +
                           (c.states ? "/states" : "") + (c.gap > 0 ? "/strided" : "");
  const auto call_for = [&](const DeviceTensor<T>& o, const DeviceTensor<float>& final_state) {
    DecayOuterProduct call;
    call.q = dq.view(), call.k = dk.view(), call.v = dv.view(), call.o = o.view();
    call.log_decay = d_log.view(), call.initial_state = d_initial.view(),
    call.final_state = final_state.view();
    call.scale = scale;
    return call;
  };
  for (const DecayPlanName& plan : plans) {
    if (c.decay == Decay::channel && plan.plan.rung == DecayRung::wgmma) continue;
    const std::string case_name = name + "/" + plan.name;
    const DeviceTensor<T> o(shape, c.gap);
    DeviceTensor<float> final_state;
    if (c.states) final_state = DeviceTensor<float>(state_shape);
    run_decay(call_for(o, final_state), plan.plan);
    const std::vector<T> out = o.read();
    const std::vector<float> state = c.states ? final_state.read() : std::vector<float>{};
    report.held(case_name, decay_fraction(allowed, o, out, state));
    if (c.gap > 0) report.truth(case_name + "/gaps", gaps_untouched(o, out));

    if (c.time == 65 && c.strength == Strength::mild) {  // the check itself: one value is another one's
      Numbers<T> wrong = v;
      std::copy(v.row(0, 60, 0), v.row(0, 60, 0) + d,
                wrong.data.begin() + static_cast<std::ptrdiff_t>(wrong.index(0, 61, 0, 0)));
      const auto other = decay_all(q, k, wrong, log_decay, initial, scale);
      report.truth(case_name + "/fault_is_seen", !(decay_fraction(other, o, out, state) <= 1.0));
    }
    if constexpr (std::is_same_v<T, float>) {
      if (c.time == 65) {
        const auto other = decay_all(rounded_to_11_bits(q), rounded_to_11_bits(k), rounded_to_11_bits(v),
                                     log_decay, initial, scale);
        report.truth(case_name + "/lost_bits_are_seen", !(decay_fraction(other, o, out, state) <= 1.0));
      }
    }
    if (c.states && c.time > 1 && c.decay != Decay::constant) {  // two parts, the state handed on
      const DeviceTensor<T> parts(shape, c.gap);
      const DeviceTensor<float> between(state_shape);
      const std::int64_t first = c.time / 3 + 1;
      DecayOuterProduct one = call_for(parts, between), two = call_for(parts, final_state);
      one.q = dq.view(0, first), one.k = dk.view(0, first), one.v = dv.view(0, first),
      one.o = parts.view(0, first);
      const std::int64_t rest = c.time - first;
      if (rest < 1) continue;
      two.q = dq.view(first, rest), two.k = dk.view(first, rest), two.v = dv.view(first, rest);
      two.o = parts.view(first, rest);
      two.initial_state = between.view();
      if (d_log.count() > 0) one.log_decay = d_log.view(0, first), two.log_decay = d_log.view(first, rest);
      run_decay(one, plan.plan);
      run_decay(two, plan.plan);
      report.held(case_name + "/in_two_parts",
                  decay_fraction(allowed, parts, parts.read(), final_state.read()));
    }
  }
}

/// The kernels for a storage type on this device, with sequences in one piece and in three.
template <typename T>
std::vector<DecayPlanName> decay_plans(bool small, bool hopper) {
  std::vector<DecayPlanName> plans;
  if (std::is_same_v<T, float>) {
    plans = {{{DecayRung::fma}, "fma"}};
  } else {
    plans = {{{DecayRung::mma, 1}, "mma"}, {{DecayRung::mma, 3}, "mma_in_3"}};
    if (hopper) {
      plans.push_back({{DecayRung::wgmma, 1}, "wgmma"});
      plans.push_back({{DecayRung::wgmma, 3}, "wgmma_in_3"});
    }
  }
  if (!small) plans.push_back({{}, "automatic"});
  return plans;
}

/// A NaN among decays that nobody looked at is not lost: outputs before it are as they were, those from it on
/// are NaN. A value above 0 lets the outputs grow.
template <typename Number>
void check_trusted_decay(Report& report, bool hopper) {
  const std::vector<DecayPlanName> plans = decay_plans<Number>(false, hopper);
  std::mt19937_64 random(20250103);
  const std::array<std::int64_t, 4> shape{1, 300, 1, 128};
  constexpr std::int64_t bad = 100;
  const Numbers<Number> x = normal<Number>(shape, random);
  const DeviceTensor<Number> q(shape, x.data), k(shape, x.data), v(shape, x.data);
  for (const std::int64_t width : {1, 128}) {
    Numbers<float> log_decay({1, 300, 1, width});
    for (float& log : log_decay.data) log = -0.1f;
    log_decay.data[static_cast<std::size_t>(bad * width)] = NAN;
    const DeviceTensor<float> d_log(log_decay.shape, log_decay.data);
    for (float& log : log_decay.data) log = 0.0f;
    for (std::int64_t i = 0; i < width; ++i) log_decay.data[static_cast<std::size_t>(bad * width + i)] = 8.0f;
    const DeviceTensor<float> d_growth(log_decay.shape, log_decay.data);
    for (const DecayPlanName& plan : plans) {
      if (width > 1 && plan.plan.rung == DecayRung::wgmma) continue;
      const DeviceTensor<Number> o(shape);
      DecayOuterProduct call;
      call.q = q.view(), call.k = k.view(), call.v = v.view(), call.o = o.view(),
      call.log_decay = d_log.view();
      run_decay(call, plan.plan, true);
      const std::vector<Number> out = o.read();
      bool right = true;
      for (std::size_t i = 0; i < out.size(); ++i) {
        right = right && std::isnan(value_of(out[i])) == (i >= static_cast<std::size_t>(bad * 128));
      }
      const std::string name = "decay_outer_product/" + to_string(type_of<Number>) + "/trusted/" +
                               std::to_string(width) + "/" + plan.name;
      report.truth(name + "/nan", right);
      call.log_decay = d_growth.view();
      run_decay(call, plan.plan, true);
      const std::vector<Number> grown = o.read();
      double before = 0, after = 0;  // sums of squares; the state grows by e^8
      for (std::size_t i = 0; i < grown.size(); ++i) {
        (i < static_cast<std::size_t>(bad * 128) ? before : after) += value_of(grown[i]) * value_of(grown[i]);
      }
      report.truth(name + "/growth", std::isfinite(after) && after > 1e4 * before);
    }
  }
}

template <typename T>
void check_decay_type(Report& report, bool small, bool hopper) {
  std::mt19937_64 random(20250102);
  const std::vector<DecayPlanName> plans = decay_plans<T>(small, hopper);
  std::vector<DecayCase> cases;
  for (const Decay decay : {Decay::none, Decay::constant, Decay::token, Decay::channel}) {
    const Strength usual = decay == Decay::none ? Strength::one : Strength::mild;
    cases.push_back({65, 1, 1, decay, usual, true, 64});
    cases.push_back({200, 1, 2, decay, decay == Decay::none ? Strength::one : Strength::mixed, true});
    if (small) continue;
    for (const std::int64_t n : {1, 2, 15, 16, 17, 31, 33, 63, 64, 127, 129, 192, 193}) {
      cases.push_back({n, 2, 2, decay, usual, n % 2 == 1});
    }
    cases.push_back({1000, 1, 4, decay, usual, true, 8});
    cases.push_back({1000, 2, 3, decay, usual, false});
    cases.push_back({70, 3, 24, decay, usual, false});
    if (decay == Decay::none) continue;
    for (const Strength strength : {Strength::one, Strength::strong, Strength::mixed, Strength::reset}) {
      cases.push_back({200, 1, 3, decay, strength, true});
      cases.push_back({1000, 1, 2, decay, strength, true});
    }
  }
  for (const DecayCase& c : cases) {
    for (const std::int64_t d : {64, 128}) check_decay_case<T>(report, c, d, plans, random);
  }
}

// Errors
// -------------------------------------------------------------------------------------------------------------

/// Whether no byte was written since the tensor was made.
template <typename T>
bool untouched(const DeviceTensor<T>& tensor) {
  const std::vector<T> numbers = tensor.read();
  const auto* bytes = reinterpret_cast<const unsigned char*>(numbers.data());
  return std::all_of(bytes, bytes + numbers.size() * sizeof(T),
                     [](unsigned char byte) { return byte == 0xff; });
}

/// `run` throws an Error whose text holds `words`, and `o` stays as it was.
template <typename T>
void check_error(Report& report, const std::string& name, const std::string& words, const DeviceTensor<T>& o,
                 const std::function<void()>& run) {
  bool right = false;
  try {
    run();
    std::printf("%s: no error\n", name.c_str());
  } catch (const Error& error) {
    right = std::string(error.what()).find(words) != std::string::npos;
    if (!right) std::printf("%s: unexpected text: %s\n", name.c_str(), error.what());
  }
  ETALON_CUDA(cudaDeviceSynchronize());
  report.truth("error/" + name, right && untouched(o));
}

/// Values of log_decay that are no logarithms of decays: the first one is named, nothing is written.
template <typename T>
void check_bad_values(Report& report) {
  const std::array<std::int64_t, 4> shape{2, 300, 3, 64};
  const DeviceTensor<T> q = random_tensor<T>(shape, 1), k = random_tensor<T>(shape, 2),
                        v = random_tensor<T>(shape, 3), o(shape);
  const DeviceTensor<float> final_state({2, 3, 64, 64});
  DecayOuterProduct call;
  call.q = q.view(), call.k = k.view(), call.v = v.view(), call.o = o.view(),
  call.final_state = final_state.view();
  for (const Decay decay : {Decay::constant, Decay::token, Decay::channel}) {
    const bool constant = decay == Decay::constant;
    Numbers<float> log_decay(constant
                                 ? std::array<std::int64_t, 4>{1, 1, 3, 1}
                                 : std::array<std::int64_t, 4>{2, 300, 3, decay == Decay::token ? 1 : 64});
    const std::int64_t b = constant ? 0 : 1, n = constant ? 0 : 123, d = decay == Decay::channel ? 37 : 0;
    for (const float bad : {NAN, 0.1f}) {
      std::fill(log_decay.data.begin(), log_decay.data.end(), -0.1f);
      log_decay.data[0] = -INFINITY;
      log_decay.data[log_decay.index(b, n, 1, d)] = bad;
      log_decay.data.back() = bad;  // a later one
      for (const std::int64_t gap : {0, 4}) {
        const DeviceTensor<float> d_log(log_decay.shape, log_decay.data, gap);
        call.log_decay = d_log.view();
        check_error(report,
                    "decay_outer_product/" + to_string(type_of<T>) + "/values/" +
                        decay_names[static_cast<int>(decay)] + (bad > 0 ? "/above_0" : "/nan") +
                        (gap > 0 ? "/strided" : ""),
                    "log_decay has an entry above 0 or NaN at " + to_string(Extents{b, n, 1, d}) +
                        ", expected logarithms of decays, all at most 0",
                    o, [&] { run_decay(call, {}); });
      }
    }
  }
  report.truth("error/decay_outer_product/" + to_string(type_of<T>) + "/values/final_state",
               untouched(final_state));
}

/// A stream that is being captured cannot be waited for: an error that leaves the capture alone, and none
/// where the values are trusted.
void check_capture(Report& report) {
  const std::array<std::int64_t, 4> shape{1, 64, 1, 64};
  const DeviceTensor<float> q = random_tensor<float>(shape, 1), k = random_tensor<float>(shape, 2),
                            v = random_tensor<float>(shape, 3), o(shape),
                            log_decay = random_tensor<float>({1, 64, 1, 1}, 4, -0.1f);
  DecayOuterProduct call;
  call.q = q.view(), call.k = k.view(), call.v = v.view(), call.o = o.view(),
  call.log_decay = log_decay.view();
  ETALON_CUDA(cudaDeviceSynchronize());
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  ETALON_CUDA(cudaStreamCreate(&stream));
  Execution execution;
  execution.stream = stream;
  std::string text;
  ETALON_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    cuda::decay_outer_product(call, execution);
  } catch (const Error& error) {
    text = error.what();
  }
  execution.trust_values = true;
  cuda::decay_outer_product(call, execution);
  ETALON_CUDA(cudaStreamEndCapture(stream, &graph));
  std::size_t nodes = 0;
  ETALON_CUDA(cudaGraphGetNodes(graph, nullptr, &nodes));
  ETALON_CUDA(cudaGraphDestroy(graph));
  ETALON_CUDA(cudaStreamDestroy(stream));
  report.truth("error/decay_outer_product/capture",
               text.find("trust_values") != std::string::npos && nodes == 1 && untouched(o));
}

void check_errors(Report& report) {
  using Number = __nv_bfloat16;
  const std::array<std::int64_t, 4> shape{1, 256, 2, 64};
  const DeviceTensor<Number> q(shape), k(shape), v(shape), o(shape);
  const DeviceTensor<float> bias({1, 256, 2, 256}), log_decay({1, 256, 2, 64});
  Attention call;
  call.q = q.view(), call.k = k.view(), call.v = v.view(), call.o = o.view();
  const auto attention = [&](const std::string& name, const std::string& words,
                             const std::function<void(Attention&)>& change) {
    Attention changed = call;
    change(changed);
    check_error(report, "attention/" + name, words, o, [&] { cuda::attention(changed); });
  };
  attention("null", "k is null", [](Attention& c) { c.k.data = nullptr; });
  attention("type", "q is stored as type 9", [](Attention& c) { c.q.type = static_cast<Type>(9); });
  attention("mixed types", "v is stored as float16", [](Attention& c) { c.v.type = Type::float16; });
  attention("head dimension", "64 or 128", [](Attention& c) {
    for (Tensor* x : {&c.q, &c.k, &c.v, &c.o}) x->shape[3] = 32;
  });
  attention("mask", "full or causal", [](Attention& c) { c.mask.kind = Mask::Kind::window; });
  attention("bias", "bias", [&](Attention& c) { c.bias = bias.view(); });
  attention("heads", "multiple", [](Attention& c) { c.q.shape[2] = c.o.shape[2] = 1; });
  attention("empty", "at least 1", [](Attention& c) { c.k.shape[1] = c.v.shape[1] = 0; });
  attention("stride", "multiple of 16 bytes", [](Attention& c) {
    c.k.shape[1] = c.v.shape[1] = 128;
    c.v.stride[1] += 4;
  });
  attention("address", "multiple of 16 bytes", [](Attention& c) {
    c.v.data = static_cast<Number*>(c.v.data) + 4, c.v.shape[1] = c.k.shape[1] = 255;
  });
  attention("shared", "shares memory", [](Attention& c) { c.o = c.q; });
  attention("scale", "finite", [](Attention& c) { c.scale = NAN; });
  check_error(report, "attention/rung", "float32 storage", o,
              [&] { cuda::attention(call, {}, AttentionRung::fma); });

  DecayOuterProduct product;
  product.q = q.view(), product.k = k.view(), product.v = v.view(), product.o = o.view();
  const auto decay = [&](const std::string& name, const std::string& words,
                         const std::function<void(DecayOuterProduct&)>& change,
                         const Execution& execution = {}) {
    DecayOuterProduct changed = product;
    change(changed);
    check_error(report, "decay_outer_product/" + name, words, o, [&] {
      cuda::decay_outer_product(changed, execution, {DecayRung::automatic, 2});
    });
  };
  decay("null", "q is null", [](DecayOuterProduct& c) { c.q.data = nullptr; });
  decay("head dimension", "64 or 128", [](DecayOuterProduct& c) {
    for (Tensor* x : {&c.q, &c.k, &c.v, &c.o}) x->shape[3] = 32;
  });
  decay("type", "q is stored as type 9", [](DecayOuterProduct& c) { c.q.type = static_cast<Type>(9); });
  check_error(report, "decay_outer_product/rung", "float32 storage", o, [&] {
    cuda::decay_outer_product(product, {}, {DecayRung::fma, 1});
  });
  decay("decay type", "log_decay is stored as bfloat16", [&](DecayOuterProduct& c) {
    c.log_decay = log_decay.view();
    c.log_decay.type = Type::bfloat16;
  });
  decay("decay shape", "log_decay", [&](DecayOuterProduct& c) {
    c.log_decay = log_decay.view();
    c.log_decay.shape[3] = 2;
  });
  decay("chunk", "chunk", [](DecayOuterProduct& c) { c.chunk = 32; });
  decay("no workspace", "workspace is null", [](DecayOuterProduct&) {});
  const DeviceBytes few(256);
  Execution little;
  little.workspace = few.data();
  little.workspace_bytes = 256;
  decay(
      "little workspace", "workspace_bytes", [](DecayOuterProduct&) {}, little);
}

// The sizes that are timed
// -------------------------------------------------------------------------------------------

template <typename T>
Numbers<T> read_head(const DeviceTensor<T>& tensor, std::int64_t h) {
  const auto [batch, time, heads, d] = tensor.shape();
  const std::vector<T> all = tensor.read();
  Numbers<T> one({1, time, 1, d});
  for (std::int64_t n = 0; n < time; ++n) {
    std::copy_n(all.begin() + (n * heads + h) * d, d, one.data.begin() + n * d);
  }
  return one;
}

/// Some rows of one head.
template <typename T>
void spot_check_attention(Report& report, const AttentionSet<T>& set, const std::string& name, bool causal) {
  const std::int64_t time = set.q.shape()[1], h = set.q.shape()[2] - 1, d = set.q.shape()[3];
  const auto q = read_head(set.q, h), k = read_head(set.k, h), v = read_head(set.v, h),
             o = read_head(set.o, h);
  std::vector<double> fractions(128);
  in_parallel(128, [&](std::int64_t i) {
    const std::int64_t n = i == 0 ? 0 : i == 1 ? time - 1 : (i * 7919) % time;
    const auto allowed =
        attention_row(q, k, v, static_cast<double>(set.scale()), causal, type_of<T>, 0, n, 0);
    for (std::int64_t j = 0; j < d; ++j) {
      fractions[static_cast<std::size_t>(i)] =
          std::max(fractions[static_cast<std::size_t>(i)],
                   fraction(value_of(o.row(0, n, 0)[j]), allowed[static_cast<std::size_t>(j)]));
    }
  });
  report.held(name + "/spot", *std::max_element(fractions.begin(), fractions.end()));
}

/// Two heads in full, against which each kernel's output is held.
template <typename T>
class DecaySpots {
 public:
  explicit DecaySpots(const DecaySet<T>& set) : heads_{0, set.q.shape()[2] - 1} {
    in_parallel(2, [&](std::int64_t i) {
      const std::int64_t h = heads_[static_cast<std::size_t>(i)];
      const Numbers<float> log_decay =
          set.log_decay.count() == 0 ? Numbers<float>{} : read_head(set.log_decay, h);
      allowed_[static_cast<std::size_t>(i)] =
          decay_head(read_head(set.q, h), read_head(set.k, h), read_head(set.v, h), log_decay, {},
                     static_cast<double>(set.scale()), type_of<T>, 0, 0);
    });
  }
  double worst(const DecaySet<T>& set) const {
    double largest = 0;
    for (std::size_t i = 0; i < 2; ++i) {
      const auto o = read_head(set.o, heads_[i]);
      for (std::size_t j = 0; j < o.data.size(); ++j) {
        largest = std::max(largest, fraction(value_of(o.data[j]), allowed_[i].o[j]));
      }
    }
    return largest;
  }

 private:
  std::array<std::int64_t, 2> heads_;
  std::array<DecayAllowed, 2> allowed_;
};

template <typename T>
void time_decay(Report& report, double copy, std::int64_t d, const std::vector<DecayPlanName>& plans) {
  for (int kind = 0; kind < 4; ++kind) {
    std::vector<DecaySet<T>> sets;
    for (std::uint64_t i = 0; i < 2; ++i) sets.emplace_back(16384, 2048 / d, d, kind, 8 * i + 1);
    const DecaySpots<T> spots(sets[0]);
    const auto time = [&](const std::string& name, const DecayPlan& plan, bool trust_values) {
      for (const DecaySet<T>& set : sets) set.poison();
      const double seconds =
          median_seconds([&](int i) { sets[static_cast<std::size_t>(i % 2)].run(plan, trust_values); });
      report.held(name + "/spot", spots.worst(sets[0]));
      const double bytes = sets[0].least_bytes();
      report.value("seconds/" + name, seconds);
      report.value("of_copy/" + name, bytes / seconds / copy);
      std::printf("%-60s %8.4f ms  %5.1f %% of copy\n", name.c_str(), seconds * 1e3,
                  100 * bytes / seconds / copy);
    };
    const std::string of_kind = std::string("decay_outer_product/") +
                                (std::is_same_v<T, float> ? "float32/" : "") + decay_names[kind] + "/d" +
                                std::to_string(d) + "/";
    for (const DecayPlanName& plan : plans) {
      if (kind == 3 && plan.plan.rung == DecayRung::wgmma) continue;
      time(of_kind + plan.name, plan.plan, true);
    }
    // What the look at the values costs, the waiting for the device included.
    if (kind > 0 && d == 128) time(of_kind + "automatic_values_looked_at", {}, false);
  }
}

template <typename T>
void time_attention(Report& report, std::int64_t tokens, std::int64_t heads, std::int64_t d,
                    const std::vector<AttentionRung>& rungs, double peak) {
  std::vector<AttentionSet<T>> sets;
  for (std::uint64_t i = 0; i < 2; ++i) sets.emplace_back(tokens, heads, d, 8 * i + 101);
  for (const bool causal : {true, false}) {
    for (const AttentionRung rung : rungs) {
      const std::string name = std::string("attention/") + (std::is_same_v<T, float> ? "float32/" : "") +
                               (causal ? "causal" : "full") + "/d" + std::to_string(d) + "/" + name_of(rung);
      for (const AttentionSet<T>& set : sets) set.poison();
      const double seconds =
          median_seconds([&](int i) { sets[static_cast<std::size_t>(i % 2)].run(causal, rung); });
      spot_check_attention(report, sets[0], name, causal);
      const double rate =
          4.0 * static_cast<double>(tokens * tokens * d * heads) * (causal ? 0.5 : 1.0) / seconds;
      report.value("seconds/" + name, seconds);
      report.value("operations_per_second/" + name, rate);
      std::printf("%-60s %8.4f ms  %6.1f TFLOP/s", name.c_str(), seconds * 1e3, rate * 1e-12);
      if (peak > 0) {
        report.value("of_float32_peak/" + name, rate / peak);
        std::printf("  %5.1f %% of the float32 peak", 100 * rate / peak);
      }
      std::printf("\n");
    }
  }
}

void time_all(Report& report, bool hopper) {
  const double copy = copy_rate(), peak = float32_peak();
  report.value("copy_bytes_per_second", copy);
  report.value("float32_peak_operations_per_second", peak);
  std::printf("copy %.2f TB/s, float32 peak %.1f TFLOP/s\n", copy * 1e-12, peak * 1e-12);

  std::vector<DecayPlanName> plans = {{{DecayRung::mma, 0}, "mma"}};
  if (hopper) {
    plans.push_back({{DecayRung::wgmma, 0}, "wgmma"});
    plans.push_back({{DecayRung::wgmma, 16}, "wgmma_in_16"});
  }
  for (const double cached : {0.0, 0.3, 0.7, 0.9}) {
    plans.push_back(
        {{DecayRung::automatic, 0, cached}, "cached_" + std::to_string(static_cast<int>(100 * cached))});
  }
  for (const std::int64_t d : {128, 64}) time_decay<__nv_bfloat16>(report, copy, d, plans);
  for (const std::int64_t d : {128, 64}) time_decay<float>(report, copy, d, {{{DecayRung::fma}, "fma"}});
  for (const std::int64_t d : {128, 64}) {
    time_attention<__nv_bfloat16>(report, 16384, 32, d, attention_rungs<__nv_bfloat16>(hopper), 0.0);
  }
  for (const std::int64_t d : {128, 64}) {
    time_attention<float>(report, 4096, 16, d, attention_rungs<float>(hopper), peak);
  }
}

int run(const std::string& mode, const char* path) {
  const cuda::Device device = cuda::current_device();
  cudaDeviceProp properties{};
  ETALON_CUDA(cudaGetDeviceProperties(&properties, device.index));
  std::printf("%s, sm_%d, %d multiprocessors, code for compute_%d\n", properties.name, device.capability,
              device.multiprocessors, device.code);
  const bool hopper = device.hopper();
  Report report(path);
  if (mode == "time") {
    time_all(report, hopper);
    return report.finish();
  }
  if (mode != "check" && mode != "portable" && mode != "small")
    throw Error("mode is \"" + mode + "\", expected check, portable, small or time");
  if (mode == "portable" && device.code != 80)
    throw Error("the code is for compute_" + std::to_string(device.code) + ", expected 80 for this mode");
  const bool small = mode == "small";
  check_attention_type<__nv_bfloat16>(report, small, hopper);
  check_decay_type<__nv_bfloat16>(report, small, hopper);
  check_attention_type<float>(report, small, hopper);
  check_decay_type<float>(report, small, hopper);
  if (!small) {
    check_attention_type<__half>(report, small, hopper);
    check_decay_type<__half>(report, small, hopper);
    check_trusted_decay<__nv_bfloat16>(report, hopper);
    check_trusted_decay<float>(report, hopper);
    check_bad_values<__nv_bfloat16>(report);
    check_bad_values<float>(report);
    check_capture(report);
    check_errors(report);
  }
  return report.finish();
}

}  // namespace
}  // namespace etalon::fast::check

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: etalon_gpu_check check|portable|small|time FILE\n");
    return 2;
  }
  try {
    return etalon::fast::check::run(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
