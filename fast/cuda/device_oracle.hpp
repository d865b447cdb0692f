/// \file
/// What the device's results are held to: both cores on the CPU in double precision, each value with the
/// error that a right kernel may have.
///
/// The inputs are exact: they are drawn, rounded to the storage type, and both sides read the rounded
/// numbers. So an error can only come from the kernel's own roundings. With u_s the storage type's (2^-8 for
/// bfloat16, which has 8 significant bits, 2^-11 for float16), u = 2^-24 float32's, and t = 2^-23 a tensor
/// core's addition, which may truncate. For float32 storage, which no tensor core touches, u stands for t,
/// the sixteenths for sums between instructions fall away, and nothing is rounded for storage: u_s = 0.
///
/// Attention. A score is a sum of d products: off by at most t (d + d / 16) A, A the same sum of absolute
/// values. The exponent, scale times score less the running maximum, is off by |scale| times that, and by at
/// most 8 u |scale| A_max for the rounding of scale log2(e), of the maxima and of the differences between old
/// and new maxima, which telescope. An exponential is at most 2 ulp = 4 u off, and so is each factor by which
/// older weights are multiplied when the maximum grows; with its multiplication 5 u, once for each tile of at
/// least 64 keys (32 for float32). So a weight has a relative error of at most W = exp(that) - 1. It enters
/// numerator and denominator. In the numerator the weight is also rounded for storage (u_s; in float16 also
/// by half of the smallest number, 2^-25, of weights that sum to at least 1), and m products are added (t).
/// The denominator adds m numbers (u). Then two roundings, and that of the output (u_s). With M the weighted
/// mean of |v|:
///   |o - exact| <= M (2 W + u_s + (t + u) m + 4 u) (1 + 2^-6) + u_s |exact|.
/// The factor covers the products of the terms, which are small.
///
/// Decay and outer product. With M the outputs for absolute values of all inputs, every intermediate is at
/// most its own counterpart in M, so that relative errors add. Operands rounded to the storage type on the
/// way of one product into the output: weighted values and state, or weighted scores (scalar decay, at most 2
/// u_s); query, key and state, or scores (decay of channels, at most 3 u_s). Additions by tensor cores: at
/// most time + 2 d + 128 (t each, and a sixteenth more for the sums between instructions). Decays: for a
/// scalar, a chunk of 64 tokens multiplies by one exponential (4 u and 2 u for products) of a difference of
/// sums of logarithms, off by at most 9 u (8 levels of the sum, the conversion to base 2) times the sum L of
/// the chunk's |log_decay|; for channels each token multiplies by one exponential (4 u and u) of its own
/// logarithm, off by 2 u |log_decay|, which counts until the sum passes 104. Logarithms at which a float32 is
/// 0 are zeros here too, for which M is larger by 2^-126 of what it would be without decay. The output is
/// rounded (u_s). float16 loses what is below 2^-25 of a state, a score or a weighted value: see `underflow`.
/// For float32 there are no chunks: a term k v is rounded once as a product and then once with each token's
/// multiply-add, time + 1 in all; scalars, too, multiply token by token, 4 u and 2 u |log_decay| each; the
/// output is a sum of d products and is multiplied by the scale, d + 1.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "fast/etalon_fast.hpp"

namespace etalon::fast::check {

constexpr double u = 0x1p-24, t = 0x1p-23;

/// How a storage type's kernels round.
struct Rounding {
  double storage;   ///< u_s
  double addition;  ///< one term more in a sum
  double sums;      ///< factor for the sums between instructions
  double keys;      ///< of attention's tiles, at least
};
inline Rounding rounding_of(Type type) {
  if (type == Type::float32) return {0.0, u, 1.0, 32.0};
  return {type == Type::bfloat16 ? 0x1p-8 : 0x1p-11, t, 17.0 / 16.0, 64.0};
}

inline double value_of(__nv_bfloat16 x) {
  return static_cast<double>(__bfloat162float(x));
}
inline double value_of(__half x) {
  return static_cast<double>(__half2float(x));
}
inline double value_of(float x) {
  return static_cast<double>(x);
}
template <typename T>
T stored(float x);
template <>
inline __nv_bfloat16 stored(float x) {
  return __float2bfloat16(x);
}
template <>
inline __half stored(float x) {
  return __float2half(x);
}
template <>
inline float stored(float x) {
  return x;
}

/// Numbers [batch, time, heads, dim], contiguous, on the CPU.
template <typename T>
struct Numbers {
  std::array<std::int64_t, 4> shape{};
  std::vector<T> data;

  Numbers() = default;
  explicit Numbers(std::array<std::int64_t, 4> extents)
      : shape(extents), data(static_cast<std::size_t>(extents[0] * extents[1] * extents[2] * extents[3])) {}
  std::size_t index(std::int64_t b, std::int64_t n, std::int64_t h, std::int64_t d) const {
    return static_cast<std::size_t>(((b * shape[1] + n) * shape[2] + h) * shape[3] + d);
  }
  const T* row(std::int64_t b, std::int64_t n, std::int64_t h) const {
    return data.data() + index(b, n, h, 0);
  }
};

/// Normally distributed numbers.
template <typename T>
Numbers<T> normal(std::array<std::int64_t, 4> shape, std::mt19937_64& random, float deviation = 1.0f) {
  Numbers<T> numbers(shape);
  std::normal_distribution<float> draw(0.0f, deviation);
  for (T& x : numbers.data) x = stored<T>(draw(random));
  return numbers;
}

/// The exact value and how far off a right kernel may be.
struct Allowed {
  double exact, error;
};

/// One row of attention's output: D values, then log_sum.
template <typename T>
std::vector<Allowed> attention_row(const Numbers<T>& q, const Numbers<T>& k, const Numbers<T>& v,
                                   double scale, bool causal, Type type, std::int64_t b, std::int64_t n,
                                   std::int64_t h) {
  const std::int64_t d = q.shape[3], queries = q.shape[1], all = k.shape[1],
                     g = h / (q.shape[2] / k.shape[2]);
  const std::int64_t keys = causal ? std::clamp<std::int64_t>(n + 1 + all - queries, 0, all) : all;
  std::vector<Allowed> result(static_cast<std::size_t>(d + 1), Allowed{0.0, 0.0});
  if (keys == 0) {
    result.back().exact = -INFINITY;
    return result;
  }
  std::vector<double> score(static_cast<std::size_t>(keys));
  double largest_majorant = 0, highest = -INFINITY;
  for (std::int64_t m = 0; m < keys; ++m) {
    const T *x = q.row(b, n, h), *y = k.row(b, m, g);
    double sum = 0, majorant = 0;
    for (std::int64_t i = 0; i < d; ++i) {
      const double product = value_of(x[i]) * value_of(y[i]);
      sum += product;
      majorant += std::fabs(product);
    }
    score[static_cast<std::size_t>(m)] = scale * sum;
    highest = std::max(highest, scale * sum);
    largest_majorant = std::max(largest_majorant, std::fabs(scale) * majorant);
  }
  const auto count = static_cast<double>(keys), dim = static_cast<double>(d);
  const Rounding rounding = rounding_of(type);
  const double tiles = count / rounding.keys + 1;
  const double weight_error = std::expm1(rounding.addition * dim * rounding.sums * largest_majorant +
                                         8 * u * largest_majorant + 4 * u + 5 * u * tiles);
  std::vector<double> sum(static_cast<std::size_t>(d)), majorant(static_cast<std::size_t>(d));
  double total = 0, largest_value = 0;
  for (std::int64_t m = 0; m < keys; ++m) {
    const double weight = std::exp(score[static_cast<std::size_t>(m)] - highest);
    const T* y = v.row(b, m, g);
    total += weight;
    for (std::int64_t i = 0; i < d; ++i) {
      const double value = value_of(y[i]);
      sum[static_cast<std::size_t>(i)] += weight * value;
      majorant[static_cast<std::size_t>(i)] += weight * std::fabs(value);
      largest_value = std::max(largest_value, std::fabs(value));
    }
  }
  const double relative =
      (2 * weight_error + rounding.storage + (rounding.addition + u) * count + 4 * u) * (1 + 0x1p-6);
  const double underflow = type == Type::float16 ? 0x1p-25 * count * largest_value + 0x1p-25 : 0.0;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const double exact = sum[i] / total;
    result[i] = {exact, relative * majorant[i] / total + rounding.storage * std::fabs(exact) + underflow};
  }
  const double log_sum = highest + std::log(total);
  result.back() = {log_sum,
                   weight_error + u * count + 8 * u * (largest_majorant + std::fabs(log_sum)) + 8 * u};
  return result;
}

/// Outputs of core 2 for one head: [time][d] and the final state [d][d].
struct DecayAllowed {
  std::vector<Allowed> o, state;
};

/// `log_decay` and `initial` are empty where not given; `log_decay` has extent 1 where it does not vary.
template <typename T>
DecayAllowed decay_head(const Numbers<T>& q, const Numbers<T>& k, const Numbers<T>& v,
                        const Numbers<float>& log_decay, const Numbers<float>& initial, double scale,
                        Type type, std::int64_t b, std::int64_t h) {
  const std::int64_t time = q.shape[1], d = q.shape[3];
  const auto size = static_cast<std::size_t>(d);
  const bool decays = !log_decay.data.empty(), channel = decays && log_decay.shape[3] > 1;
  const auto log_of = [&](std::int64_t n, std::int64_t i) {
    const double log = value_of(log_decay.data[log_decay.index(
        log_decay.shape[0] == 1 ? 0 : b, log_decay.shape[1] == 1 ? 0 : n, h, channel ? i : 0)]);
    return log <= -104 ? -INFINITY : log;
  };
  double log_error = 0;  // of all weights that are not nearly 0, relative
  const bool float32 = type == Type::float32;
  if (decays && float32) {
    double largest = 0;  // sum of |log_decay| over the tokens
    for (std::int64_t i = 0; i < (channel ? d : 1); ++i) {
      double sum = 0;
      for (std::int64_t n = 0; n < time; ++n) sum += std::isinf(log_of(n, i)) ? 0 : -log_of(n, i);
      largest = std::max(largest, sum);
    }
    log_error = 4 * u * static_cast<double>(time) + 2 * u * std::min(largest, 104.0);
  } else if (decays && !channel) {
    double chunk = 0;
    for (std::int64_t n = 0; n < time; ++n) {
      if (n % 64 == 0) chunk = 0;
      const double log = log_of(n, 0);
      chunk += std::isinf(log) ? 0 : -log;
      if (n % 64 == 63 || n == time - 1) log_error += 9 * u * chunk + 6 * u;
    }
  } else if (channel) {
    log_error = 5 * u * static_cast<double>(time) + 2 * u * 104;
  }
  const Rounding rounding = rounding_of(type);
  const auto additions = [&](std::int64_t count) {
    return rounding.addition * rounding.sums * static_cast<double>(count);
  };
  const double relative =
      std::expm1((channel ? 3 : 2) * std::log1p(rounding.storage) +
                 additions(float32 ? time + d + 2 : time + 2 * d + 128) + std::log1p(log_error));
  const double state_relative =
      std::expm1(std::log1p(rounding.storage) + additions(float32 ? time + 1 : time + 2 * d + 128) +
                 std::log1p(log_error));

  std::vector<double> state(size * size), bound(size * size), decay(size, 1.0);
  for (std::size_t i = 0; i < size * size && !initial.data.empty(); ++i) {
    state[i] = value_of(initial.data[static_cast<std::size_t>(b * initial.shape[1] + h) * size * size + i]);
    bound[i] = std::fabs(state[i]);
  }
  DecayAllowed result;
  result.o.resize(static_cast<std::size_t>(time) * size);
  std::vector<double> out(size), majorant(size);
  for (std::int64_t n = 0; n < time; ++n) {
    const T *x = q.row(b, n, h), *key = k.row(b, n, h), *value = v.row(b, n, h);
    double queries = 0;
    std::fill(out.begin(), out.end(), 0.0);
    std::fill(majorant.begin(), majorant.end(), 0.0);
    for (std::size_t i = 0; i < size; ++i) {
      if (decays && (channel || i == 0)) decay[i] = std::exp(log_of(n, static_cast<std::int64_t>(i)));
      const double a = channel ? decay[i] : decay[0], ki = value_of(key[i]), qi = value_of(x[i]);
      queries += std::fabs(qi);
      for (std::size_t j = 0; j < size; ++j) {
        const double add = ki * value_of(value[j]);
        double& s = state[i * size + j];
        double& m = bound[i * size + j];
        s = a * s + add;
        m = std::max(a, 0x1p-126) * m + std::fabs(add);
        out[j] += qi * s;
        majorant[j] += std::fabs(qi) * m;
      }
    }
    // float16: a state, scores times values, and weighted values times keys, which add up over the time;
    // values and keys are below 4 nearly always.
    const double underflow =
        type == Type::float16
            ? 0x1p-24 * std::fabs(scale) * queries * (1 + 4 * static_cast<double>(n + 1)) + 0x1p-25
            : 0.0;
    for (std::size_t j = 0; j < size; ++j) {
      const double exact = scale * out[j];
      result.o[static_cast<std::size_t>(n) * size + j] = {
          exact, relative * std::fabs(scale) * majorant[j] + rounding.storage * std::fabs(exact) + underflow};
    }
  }
  result.state.resize(size * size);
  for (std::size_t i = 0; i < size * size; ++i) {
    result.state[i] = {state[i], state_relative * bound[i] + (type == Type::float16 ? 0x1p-22 : 0x1p-100)};
  }
  return result;
}

}  // namespace etalon::fast::check
