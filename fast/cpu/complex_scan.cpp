/// \file
/// Core 4 on the CPU, complex: the recurrence of S4D (\cite gu2022s4d). For every channel and complex state
///     h_t = lambda h_{t-1} + x_t,    y_t = 2 Re(w . h_t) + skip x_t.
///
/// Lanes are channels. Token by token this would be six multiply-adds for each channel and state. Four tokens
/// at a time it is four and a half: with h the state before them,
///     h_4 = lambda^4 h + lambda^3 x_1 + lambda^2 x_2 + lambda x_3 + x_4    (10 multiply-adds),
///     y_j = 2 Re(w lambda^j . h) + sum_{i <= j} K_(j-i) x_i                (2 for each y, and the sum once
///     for all states)
/// with K_l = 2 Re(w . lambda^l), K_0 with the skip. The powers are taken in double precision and rounded
/// once. Eight tokens at a time would be another 6 % fewer, but a state's 16 coefficients just fit the
/// registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fast/cpu/complex_scan.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include "fast/cpu/chunk.hpp"
#include "fast/cpu/chunk_tile.hpp"
#include "fast/cpu/scan_plan.hpp"

#ifndef ETALON_FAST_CPU_COMPLEX_SCRATCH
#define ETALON_FAST_CPU_COMPLEX_SCRATCH
namespace etalon::fast::cpu {
namespace {

/// Tokens that are taken at a time.
inline constexpr int kStride = 4;

/// Rows of coefficients of a state: lambda^1, ..., lambda^4, 2 w lambda^1, ..., 2 w lambda^4, real and
/// imaginary parts.
inline constexpr std::int64_t kCoefficients = 4 * kStride;

/// What a thread needs: parameters and states of its task, and one block of tokens for one vector of
/// channels.
struct ComplexScratch {
  float* coefficients;  ///< states x kCoefficients x width
  float* kernel;        ///< kStride x width: K_0 and the skip, K_1, K_2, K_3
  float* state;         ///< 2 states x width: real part, imaginary part
  float *x, *y;         ///< block x lanes
};

}  // namespace
}  // namespace etalon::fast::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::cpu::HWY_NAMESPACE {
namespace {

/// Takes one state of one vector of channels through a block of tokens and adds its part of the outputs to y.
/// The pointers are to its first row.
void scan_state(const ComplexScratch& s, std::int64_t length, const float* coefficients, float* state,
                std::int64_t width) {
  const Floats tag;
  Vector l_re[kStride], l_im[kStride], w_re[kStride], w_im[kStride];  // powers 1 to 4
  for (int j = 0; j < kStride; ++j) {
    l_re[j] = hn::LoadU(tag, coefficients + 2 * j * width);
    l_im[j] = hn::LoadU(tag, coefficients + (2 * j + 1) * width);
    w_re[j] = hn::LoadU(tag, coefficients + (2 * kStride + 2 * j) * width);
    w_im[j] = hn::LoadU(tag, coefficients + (2 * kStride + 2 * j + 1) * width);
  }
  Vector re = hn::LoadU(tag, state), im = hn::LoadU(tag, state + width);
  const auto read = [&](std::int64_t t, int j) HWY_ATTR {  // power j + 1
    const Vector y = hn::MulAdd(w_re[j], re, hn::Load(tag, s.y + t * kLanes));
    hn::Store(hn::NegMulAdd(w_im[j], im, y), tag, s.y + t * kLanes);
  };
  std::int64_t t = 0;
  for (; t + kStride <= length; t += kStride) {
    for (int j = 0; j < kStride; ++j) read(t + j, j);
    const float* x = s.x + t * kLanes;
    Vector new_re = hn::Load(tag, x + 3 * kLanes), new_im = hn::Zero(tag);
    for (int j = 0; j < kStride - 1; ++j) {
      const Vector input = hn::Load(tag, x + (2 - j) * kLanes);
      new_re = hn::MulAdd(l_re[j], input, new_re);
      new_im = hn::MulAdd(l_im[j], input, new_im);
    }
    new_re = hn::NegMulAdd(l_im[3], im, hn::MulAdd(l_re[3], re, new_re));
    im = hn::MulAdd(l_im[3], re, hn::MulAdd(l_re[3], im, new_im));
    re = new_re;
  }
  for (; t < length; ++t) {
    read(t, 0);
    const Vector new_re =
        hn::NegMulAdd(l_im[0], im, hn::MulAdd(l_re[0], re, hn::Load(tag, s.x + t * kLanes)));
    im = hn::MulAdd(l_im[0], re, hn::Mul(l_re[0], im));
    re = new_re;
  }
  hn::StoreU(re, tag, state);
  hn::StoreU(im, tag, state + width);
}

/// One vector of channels through a block of tokens: on entry x holds the input, on exit y the output.
void scan_block(const ComplexScratch& s, std::int64_t length, std::int64_t states, std::int64_t width,
                std::int64_t lane) {
  const Floats tag;
  for (std::int64_t t = 0; t < length; ++t) {
    // The inputs of the same stride; the last ones of a sequence go one by one.
    const std::int64_t first = t + kStride - t % kStride <= length ? t - t % kStride : t;
    Vector y = hn::Zero(tag);
    for (std::int64_t i = first; i <= t; ++i) {
      y = hn::MulAdd(hn::LoadU(tag, s.kernel + (t - i) * width + lane), hn::Load(tag, s.x + i * kLanes), y);
    }
    hn::Store(y, tag, s.y + t * kLanes);
  }
  for (std::int64_t p = 0; p < states; ++p) {
    scan_state(s, length, s.coefficients + p * kCoefficients * width + lane, s.state + 2 * p * width + lane,
               width);
  }
}

/// A complex number; std::complex would look for NaN after every product.
struct Pair {
  double re, im;
};
Pair times(const Pair& a, const Pair& b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/// Coefficients, kernel and states of the channels of a task; zeros behind them.
void load_parameters(const ScanPlan& plan, const ComplexScan& call, const ScanTask& task,
                     const ComplexScratch& s) {
  std::fill_n(s.coefficients, plan.states * kCoefficients * plan.width, 0.0f);
  std::fill_n(s.kernel, kStride * plan.width, 0.0f);
  std::fill_n(s.state, 2 * plan.states * plan.width, 0.0f);
  for (std::int64_t c = 0; c < task.channels; ++c) {
    const float* lambda = task.of_channel(call.lambda, c);
    const float* w = task.of_channel(call.w, c);
    std::array<double, kStride> kernel{};
    for (std::int64_t p = 0; p < plan.states; ++p) {
      const Pair factor{lambda[2 * p], lambda[2 * p + 1]};
      Pair power{1, 0}, read{2.0 * w[2 * p], 2.0 * w[2 * p + 1]};  // lambda^j, 2 w lambda^j
      float* to = s.coefficients + p * kCoefficients * plan.width + c;
      for (int j = 0; j < kStride; ++j, to += 2 * plan.width) {
        kernel[static_cast<std::size_t>(j)] += read.re;
        power = times(power, factor);
        read = times(read, factor);
        to[0] = static_cast<float>(power.re);
        to[plan.width] = static_cast<float>(power.im);
        to[2 * kStride * plan.width] = static_cast<float>(read.re);
        to[(2 * kStride + 1) * plan.width] = static_cast<float>(read.im);
      }
    }
    if (call.skip) kernel[0] += task.start(call.skip, task.channel)[c];
    for (int j = 0; j < kStride; ++j) {
      s.kernel[j * plan.width + c] = static_cast<float>(kernel[static_cast<std::size_t>(j)]);
    }
    if (!call.initial_state) continue;
    const float* from = task.of_channel(call.initial_state, c);
    for (std::int64_t p = 0; p < 2 * plan.states; ++p) s.state[p * plan.width + c] = from[p];
  }
}

void scan(const ScanPlan& plan, const ComplexScan& call, const ScanTask& task, const ComplexScratch& s) {
  load_parameters(plan, call, task, s);
  for (std::int64_t first = 0; first < plan.time; first += kScanBlock) {
    const std::int64_t length = std::min(kScanBlock, plan.time - first);
    const auto rows = [&](const Tensor& tensor, std::int64_t channel, std::int64_t columns) {
      return Rows{task.start(tensor, channel) + first * time_step(tensor), time_step(tensor), length,
                  columns};
    };
    for (std::int64_t lane = 0; lane < task.channels; lane += kLanes) {
      const std::int64_t channel = task.channel + lane, given = std::min(kLanes, task.channels - lane);
      load_rows({s.x, kLanes, length, kLanes}, rows(call.x, channel, given));
      scan_block(s, length, plan.states, plan.width, lane);
      store_rows(rows(call.o, channel, given), s.y, kLanes);
    }
  }
  if (!call.final_state) return;
  for (std::int64_t c = 0; c < task.channels; ++c) {
    float* to = task.of_channel(call.final_state, c);
    for (std::int64_t p = 0; p < 2 * plan.states; ++p) to[p] = s.state[p * plan.width + c];
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

void check_complex_scan(const Checker& check, const ComplexScan& call) {
  const std::initializer_list<Type> types{Type::float32};
  for (const auto& [name, tensor] :
       {std::pair{"x", &call.x}, {"lambda", &call.lambda}, {"w", &call.w}, {"o", &call.o}}) {
    check.tensor(name, *tensor, types);
  }
  const auto [batch, time, groups, channels] = call.x.shape;
  const std::int64_t numbers = call.lambda.shape[3];
  check.require(numbers % 2 == 0, "the last extent of lambda", std::to_string(numbers),
                "an even number: real and imaginary part of every state");
  check.shape("lambda", call.lambda, {1, groups, channels, numbers}, "x");
  check.shape("w", call.w, call.lambda.shape, "lambda");
  check.shape("o", call.o, call.x.shape, "x");
  const auto optional = [&](const char* name, const Tensor& tensor, const Extents& shape) {
    if (!tensor) return;
    check.tensor(name, tensor, types);
    check.shape(name, tensor, shape, "x and lambda");
  };
  optional("skip", call.skip, {1, 1, groups, channels});
  optional("initial_state", call.initial_state, {batch, groups, channels, numbers});
  optional("final_state", call.final_state, {batch, groups, channels, numbers});
  for (const auto& [name, input] : {std::pair{"x", &call.x},
                                    {"lambda", &call.lambda},
                                    {"w", &call.w},
                                    {"skip", &call.skip},
                                    {"initial_state", &call.initial_state}}) {
    check.separate("o", call.o, name, *input);
    check.separate("final_state", call.final_state, name, *input);
  }
  check.separate("final_state", call.final_state, "o", call.o);
}

/// |lambda| <= 1, up to the rounding of both parts.
void check_lambda(const Checker& check, const Tensor& lambda) {
  for (std::int64_t g = 0; g < lambda.shape[1]; ++g) {
    for (std::int64_t c = 0; c < lambda.shape[2]; ++c) {
      const float* row = static_cast<const float*>(lambda.data) +
                         (lambda.shape[1] == 1 ? 0 : g * lambda.stride[1]) +
                         (lambda.shape[2] == 1 ? 0 : c * lambda.stride[2]);
      for (std::int64_t p = 0; p < lambda.shape[3]; p += 2) {
        if (std::hypot(static_cast<double>(row[p]), static_cast<double>(row[p + 1])) <= 1 + 0x1p-23) continue;
        check.fail("lambda has an entry of absolute value above 1 or NaN, expected at most 1");
      }
    }
  }
}

}  // namespace

void complex_scan(const ComplexScan& call, const Execution& execution) {
  const Checker check{"complex_scan"};
  check.threads(execution);
  check_complex_scan(check, call);
  check_lambda(check, call.lambda);
  const ScanPlan plan(call.x, call.lambda.shape[3] / 2, HWY_DYNAMIC_DISPATCH(lanes)(), execution.threads);
  const auto take = [&](Arena& arena) {
    ComplexScratch s;
    s.coefficients = arena.take(plan.states * kCoefficients, plan.width);
    s.kernel = arena.take(kStride, plan.width);
    s.state = arena.take(2 * plan.states, plan.width);
    s.x = arena.take(kScanBlock, plan.lanes);
    s.y = arena.take(kScanBlock, plan.lanes);
    return s;
  };
  for_all_tasks<ComplexScratch>(plan, take, [&](const ScanTask& task, const ComplexScratch& s) {
    HWY_DYNAMIC_DISPATCH(scan)(plan, call, task, s);
  });
}

}  // namespace etalon::fast::cpu
#endif
