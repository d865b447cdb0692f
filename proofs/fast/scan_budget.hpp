/// \file
/// How far core 4, the selective scan, real and complex, may be from the exact one, for one group of
/// channels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "proofs/fast/recurrent_budget.hpp"
#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/real.hpp"
#include "reference/state_space/mamba_s6.hpp"
#include "reference/state_space/s4d.hpp"

namespace etalon::fast_laws {

/// Core 4, real, for one group of channels. D_t is off by what softplus is (10 u, and the rounding of its
/// argument, of which softplus passes on at most u |argument| as a fraction of its value); without it by the
/// rounding of the bias alone. The exponent D A log2 e has three roundings more (log2 e, its product with A,
/// its product with D), which move e^(D A) by the fraction |D A| times as much, and 2^x is off by 3 u. Then a
/// state meets 2 roundings a token (product and sum), what is written 3 and the sum; what is read s + 3
/// (product, sum over states, skip), the gate 9 u and a product. \param raw delta, \param bias for every
/// channel \param rounded roundings that the rates have met already, where the core was given other numbers
/// than `in`
inline RecurrentBudget selective_budget(mamba_s6::Input<double> in, const Array<double>& raw,
                                        const Array<double>& bias, bool softplus, int rounded = 0) {
  in.step = raw;
  Array<double> step_error(raw.shape());  // as a logarithm
  const Index n = raw.extent(0), channels = raw.extent(1), states = in.rate.extent(1);
  for (Index t = 0; t < n; ++t) {
    for (Index c = 0; c < channels; ++c) {
      const double x = raw(t, c) + bias(c);
      in.step(t, c) = softplus ? s4d::SoftplusTransform::value(x) : x;
      step_error(t, c) = (softplus ? 10 + std::abs(x) : 1) * rounding();
    }
  }
  const auto exact = mamba_s6::finished(in, mamba_s6::recurrent(mamba_s6::euler(in)));
  RecurrentBudget result{exact.output, Array<double>({n, channels}), exact.state,
                         Array<double>({channels, states})};
  Array<double> majorant = absolute(in.initial_state), enlarged = majorant;
  for (Index t = 0; t < n; ++t) {
    for (Index c = 0; c < channels; ++c) {
      const double skipped = std::abs(in.skip(c) * in.signal(t, c));
      double read = skipped, read_enlarged = skipped;
      for (Index p = 0; p < states; ++p) {
        const double step = in.step(t, c), exponent = std::abs(step * in.rate(c, p)), a = std::exp(-exponent);
        const double written = std::abs(step * in.signal(t, c) * in.B(t, 0, p));
        const double theta =
            exponent * std::expm1(step_error(t, c) + (3 + rounded) * rounding()) + (3 + 2) * rounding();
        const double flushed =
            kFlush * (enlarged(c, p) + std::abs(in.signal(t, c)) + std::abs(in.B(t, 0, p)) +
                      std::abs(in.signal(t, c) * in.B(t, 0, p)) + 4);
        majorant(c, p) = a * majorant(c, p) + written;
        enlarged(c, p) = std::exp(theta - exponent) * enlarged(c, p) +
                         written * std::exp(step_error(t, c) + 4 * rounding()) + flushed;
        read += std::abs(in.C(t, 0, p)) * majorant(c, p);
        read_enlarged += std::abs(in.C(t, 0, p)) * enlarged(c, p) + kFlush;
      }
      read_enlarged *= 1 + growth(static_cast<double>(states) + 3);
      if (in.gate) {
        const double z = (*in.gate)(t, c), gate = std::abs(mamba_s6::silu(z));
        result.output_budget(t, c) =
            gate * (read_enlarged * (1 + growth(10)) - read) + kFlush * (std::abs(z) * read_enlarged + 2);
      } else {
        result.output_budget(t, c) = read_enlarged - read;
      }
    }
  }
  for (Index c = 0; c < channels; ++c) {
    for (Index p = 0; p < states; ++p) result.state_budget(c, p) = enlarged(c, p) - majorant(c, p);
  }
  return result;
}

/// Core 4, complex, for one channel: a system with B = 1. States are taken in their absolute value; m_t =
/// |lambda| m_{t-1} + |x_t| is their majorant. A real or imaginary part, after one token or after four, is a
/// sum of at most 6 products with rounded coefficients: at most 8 roundings of a sum of absolute values that
/// is at most m_t by Cauchy and Schwarz, thus sqrt(2) growth(8) m_t for the state. Errors of earlier tokens
/// fade with |lambda|. An output is a sum of 2 products for each of the s states and at most 4 of the kernel,
/// with rounded coefficients: 2 s + 7 roundings of at most 2 sum |w| m_t + |skip x_t|.
///
/// Where the core was given other coefficients than those of `system`, each part cut to float32 with an error
/// of at most growth(rounded) and |lambda| not made larger, m_t and E_t still bound what they did, a token
/// adds growth(rounded) |lambda| m_{t-1} to the error of the state, or 2^-126 m_{t-1} where lambda itself
/// underflows, and w adds its own roundings to what is read.
inline RecurrentBudget complex_budget(const s4d::System<double>& system, const Array<double>& x,
                                      const Array<Complex<double>>& initial, int rounded = 0) {
  const auto exact = s4d::recurrent(system, x, initial);
  const Index n = x.extent(0), states = initial.extent(0);
  RecurrentBudget result{Array<double>({n, 1}), Array<double>({n, 1}), Array<double>({1, 2 * states}),
                         Array<double>({1, 2 * states})};
  const auto size = [](const Complex<double>& z) { return std::hypot(z.re, z.im); };
  std::vector<double> majorant, error(static_cast<std::size_t>(states), 0.0);
  for (Index p = 0; p < states; ++p) majorant.push_back(size(initial(p)));
  for (Index t = 0; t < n; ++t) {
    double budget = growth(static_cast<double>(2 * states + 7)) * std::abs(system.D * x(t));
    for (Index p = 0; p < states; ++p) {
      const auto at = static_cast<std::size_t>(p);
      const double before = majorant[at];
      majorant[at] = size(system.lambda(p)) * before + std::abs(x(t));
      error[at] = size(system.lambda(p)) * error[at] +
                  (std::sqrt(2.0) * growth(8) + growth(rounded)) * majorant[at] +
                  kFlush * (8 + (rounded > 0 ? before : 0) + majorant[at]);
      budget += 2 * size(system.C(p)) *
                    ((1 + growth(rounded)) * error[at] +
                     growth(static_cast<double>(2 * states + 7 + rounded)) * majorant[at]) +
                kFlush * (4 + majorant[at]);
    }
    result.output(t, 0) = exact.y(t);
    result.output_budget(t, 0) = budget;
  }
  for (Index p = 0; p < states; ++p) {
    result.state(0, 2 * p) = exact.state(p).re;
    result.state(0, 2 * p + 1) = exact.state(p).im;
    result.state_budget(0, 2 * p) = result.state_budget(0, 2 * p + 1) = error[static_cast<std::size_t>(p)];
  }
  return result;
}

}  // namespace etalon::fast_laws
