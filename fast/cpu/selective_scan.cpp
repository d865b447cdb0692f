/// \file
/// Core 4 on the CPU, real: the selective scan of Mamba (S6, \cite gu2023mamba). For every channel c and
/// state p
///     h_t = exp(D_t A) h_{t-1} + D_t B_t x_t,    o_t = (C_t . h_t + skip x_t) silu(z_t).
///
/// Lanes are channels. What it costs is the exponential, one for each token, channel and state: of some 17
/// operations
/// 13. A is multiplied by log2 e beforehand, so that e^(D A) = 2^(D A log2 e) has one rounding of the
/// exponent more but one operation less; kStates states at a time share what they read of a token.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fast/cpu/selective_scan.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "fast/cpu/chunk.hpp"
#include "fast/cpu/chunk_tile.hpp"
#include "fast/cpu/exponential.hpp"
#include "fast/cpu/natural_exponential.hpp"
#include "fast/cpu/scan_plan.hpp"

#ifndef ETALON_FAST_CPU_SELECTIVE_SCRATCH
#define ETALON_FAST_CPU_SELECTIVE_SCRATCH
namespace etalon::fast::cpu {
namespace {

/// What a thread needs: parameters and states of its task, states by channels, and one block of tokens.
struct SelectiveScratch {
  float* rate;              ///< states x width: A log2 e
  float* state;             ///< states x width
  float *skip, *bias;       ///< width
  float *b, *c;             ///< block x states
  float *x, *step, *z, *y;  ///< block x lanes, for one vector of channels
};

}  // namespace
}  // namespace etalon::fast::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::cpu::HWY_NAMESPACE {
namespace {

/// Takes kStates states of one vector of channels through a block of tokens and adds what they give to y.
/// `rate` and `state` point to the first of them, their rows lie `width` apart.
template <int kStates>
void scan_states(const SelectiveScratch& s, std::int64_t length, std::int64_t states, std::int64_t state,
                 const float* rate, float* memory, std::int64_t width) {
  const Floats tag;
  Vector a[kStates], h[kStates];
  for (int p = 0; p < kStates; ++p) {
    a[p] = hn::LoadU(tag, rate + p * width);
    h[p] = hn::LoadU(tag, memory + p * width);
  }
  for (std::int64_t t = 0; t < length; ++t) {
    const Vector step = hn::Load(tag, s.step + t * kLanes), input = hn::Load(tag, s.x + t * kLanes);
    const float* b = s.b + t * states + state;
    const float* c = s.c + t * states + state;
    Vector y = hn::Load(tag, s.y + t * kLanes);
    for (int p = 0; p < kStates; ++p) {
      const Vector decay = fast::HWY_NAMESPACE::exp2(tag, hn::Mul(step, a[p]));
      h[p] = hn::MulAdd(decay, h[p], hn::Mul(input, hn::Set(tag, b[p])));
      y = hn::MulAdd(h[p], hn::Set(tag, c[p]), y);
    }
    hn::Store(y, tag, s.y + t * kLanes);
  }
  for (int p = 0; p < kStates; ++p) hn::StoreU(h[p], tag, memory + p * width);
}

/// One vector of channels, the `lane`-th number of the task on, through a block of tokens. On entry x and
/// step hold the input and delta, on exit y holds the output.
void scan_block(const SelectiveScan& call, const SelectiveScratch& s, std::int64_t length,
                std::int64_t states, std::int64_t width, std::int64_t lane) {
  const Floats tag;
  const Vector bias = hn::LoadU(tag, s.bias + lane), skip = hn::LoadU(tag, s.skip + lane);
  for (std::int64_t t = 0; t < length; ++t) {
    const Vector x = hn::Load(tag, s.x + t * kLanes);
    Vector step = hn::Add(hn::Load(tag, s.step + t * kLanes), bias);
    if (call.softplus) step = softplus(tag, step);
    hn::Store(step, tag, s.step + t * kLanes);
    hn::Store(hn::Mul(step, x), tag, s.x + t * kLanes);
    hn::Store(hn::Mul(skip, x), tag, s.y + t * kLanes);
  }
  std::int64_t p = 0;
  for (; p + 4 <= states; p += 4) {
    scan_states<4>(s, length, states, p, s.rate + p * width + lane, s.state + p * width + lane, width);
  }
  for (; p < states; ++p) {
    scan_states<1>(s, length, states, p, s.rate + p * width + lane, s.state + p * width + lane, width);
  }
  if (!call.z) return;
  for (std::int64_t t = 0; t < length; ++t) {
    const Vector gate = silu(tag, hn::Load(tag, s.z + t * kLanes));
    hn::Store(hn::Mul(hn::Load(tag, s.y + t * kLanes), gate), tag, s.y + t * kLanes);
  }
}

/// target(p, c) = factor source(c, p) for the channels of a task; zeros behind them and where nothing is
/// given.
void load_channels(const ScanPlan& plan, const ScanTask& task, const Tensor& source, float factor,
                   float* target) {
  std::fill_n(target, plan.states * plan.width, 0.0f);
  if (!source) return;
  for (std::int64_t c = 0; c < task.channels; ++c) {
    const float* from = task.of_channel(source, c);
    for (std::int64_t p = 0; p < plan.states; ++p) target[p * plan.width + c] = factor * from[p];
  }
}

/// One number for each channel of a task; zeros behind them and where nothing is given.
void load_parameters(const ScanPlan& plan, const ScanTask& task, const Tensor& source, float* target) {
  std::fill_n(target, plan.width, 0.0f);
  if (source) std::copy_n(task.start(source, task.channel), task.channels, target);
}

void scan(const ScanPlan& plan, const SelectiveScan& call, const ScanTask& task, const SelectiveScratch& s) {
  load_channels(plan, task, call.a, 1.44269504f, s.rate);
  load_channels(plan, task, call.initial_state, 1, s.state);
  load_parameters(plan, task, call.skip, s.skip);
  load_parameters(plan, task, call.delta_bias, s.bias);
  for (std::int64_t first = 0; first < plan.time; first += kScanBlock) {
    const std::int64_t length = std::min(kScanBlock, plan.time - first);
    const auto rows = [&](const Tensor& tensor, std::int64_t inner, std::int64_t columns) {
      return Rows{task.start(tensor, inner) + first * time_step(tensor), time_step(tensor), length, columns};
    };
    load_rows({s.b, plan.states, length, plan.states}, rows(call.b, 0, plan.states));
    load_rows({s.c, plan.states, length, plan.states}, rows(call.c, 0, plan.states));
    for (std::int64_t lane = 0; lane < task.channels; lane += kLanes) {
      const std::int64_t channel = task.channel + lane, given = std::min(kLanes, task.channels - lane);
      load_rows({s.x, kLanes, length, kLanes}, rows(call.x, channel, given));
      load_rows({s.step, kLanes, length, kLanes}, rows(call.delta, channel, given));
      if (call.z) load_rows({s.z, kLanes, length, kLanes}, rows(call.z, channel, given));
      scan_block(call, s, length, plan.states, plan.width, lane);
      store_rows(rows(call.o, channel, given), s.y, kLanes);
    }
  }
  if (!call.final_state) return;
  for (std::int64_t c = 0; c < task.channels; ++c) {
    float* to = task.of_channel(call.final_state, c);
    for (std::int64_t p = 0; p < plan.states; ++p) to[p] = s.state[p * plan.width + c];
  }
}

std::int64_t lanes() {
  return kLanes;
}

}  // namespace
}  // namespace etalon::fast::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace etalon::fast::cpu {
namespace {

HWY_EXPORT(lanes);
HWY_EXPORT(scan);

void check_selective_scan(const Checker& check, const SelectiveScan& call) {
  const std::initializer_list<Type> types{Type::float32};
  for (const auto& [name, tensor] : {std::pair{"x", &call.x},
                                     {"delta", &call.delta},
                                     {"a", &call.a},
                                     {"b", &call.b},
                                     {"c", &call.c},
                                     {"o", &call.o}}) {
    check.tensor(name, *tensor, types);
  }
  const auto [batch, time, groups, channels] = call.x.shape;
  const std::int64_t states = call.b.shape[3];
  check.shape("delta", call.delta, call.x.shape, "x");
  check.shape("b", call.b, {batch, time, groups, states}, "x");
  check.shape("c", call.c, call.b.shape, "b");
  check.shape("a", call.a, {1, groups, channels, states}, "x and b");
  check.shape("o", call.o, call.x.shape, "x");
  const auto optional = [&](const char* name, const Tensor& tensor, const Extents& shape) {
    if (!tensor) return;
    check.tensor(name, tensor, types);
    check.shape(name, tensor, shape, "x and b");
  };
  optional("skip", call.skip, {1, 1, groups, channels});
  optional("delta_bias", call.delta_bias, {1, 1, groups, channels});
  optional("z", call.z, call.x.shape);
  optional("initial_state", call.initial_state, {batch, groups, channels, states});
  optional("final_state", call.final_state, {batch, groups, channels, states});
  for (const auto& [name, input] : {std::pair{"x", &call.x},
                                    {"delta", &call.delta},
                                    {"a", &call.a},
                                    {"b", &call.b},
                                    {"c", &call.c},
                                    {"skip", &call.skip},
                                    {"delta_bias", &call.delta_bias},
                                    {"z", &call.z},
                                    {"initial_state", &call.initial_state}}) {
    check.separate("o", call.o, name, *input);
    check.separate("final_state", call.final_state, name, *input);
  }
  check.separate("final_state", call.final_state, "o", call.o);
}

/// Decays must not grow: A is finite and at most 0, and steps are at least 0 where nothing makes them so.
void check_values(const Checker& check, const SelectiveScan& call, const ScanPlan& plan) {
  bool rates = true, steps = true;
#pragma omp parallel for schedule(static) num_threads(plan.threads) reduction(&& : rates, steps)
  for (std::int64_t index = 0; index < plan.tasks; ++index) {
    const ScanTask task(plan, index);
    for (std::int64_t c = 0; c < task.channels; ++c) {
      const float* a = task.of_channel(call.a, c);
      for (std::int64_t p = 0; p < plan.states; ++p) rates = rates && a[p] <= 0 && std::isfinite(a[p]);
    }
    if (call.softplus) continue;
    const float* bias = call.delta_bias ? task.start(call.delta_bias, task.channel) : nullptr;
    for (std::int64_t t = 0; t < plan.time; ++t) {
      const float* delta = task.start(call.delta, task.channel) + t * time_step(call.delta);
      bool row = true;
      for (std::int64_t c = 0; c < task.channels; ++c) row &= delta[c] + (bias == nullptr ? 0 : bias[c]) >= 0;
      steps = steps && row;
    }
  }
  if (!rates) check.fail("a has an entry above 0 or not finite, expected rates of decay, all at most 0");
  if (!steps)
    check.fail("delta + delta_bias has an entry below 0 or NaN, expected steps of at least 0, or softplus");
}

}  // namespace

void selective_scan(const SelectiveScan& call, const Execution& execution) {
  const Checker check{"selective_scan"};
  check.threads(execution);
  check_selective_scan(check, call);
  const std::int64_t lanes = HWY_DYNAMIC_DISPATCH(lanes)();
  const ScanPlan plan(call.x, call.b.shape[3], lanes, execution.threads);
  check_values(check, call, plan);
  const auto take = [&](Arena& arena) {
    SelectiveScratch s;
    s.rate = arena.take(plan.states, plan.width);
    s.state = arena.take(plan.states, plan.width);
    s.skip = arena.take(plan.width);
    s.bias = arena.take(plan.width);
    s.b = arena.take(kScanBlock, plan.states);
    s.c = arena.take(kScanBlock, plan.states);
    s.x = arena.take(kScanBlock, plan.lanes);
    s.step = arena.take(kScanBlock, plan.lanes);
    s.z = arena.take(kScanBlock, plan.lanes);
    s.y = arena.take(kScanBlock, plan.lanes);
    return s;
  };
  for_all_tasks<SelectiveScratch>(plan, take, [&](const ScanTask& task, const SelectiveScratch& s) {
    HWY_DYNAMIC_DISPATCH(scan)(plan, call, task, s);
  });
}

}  // namespace etalon::fast::cpu
#endif
