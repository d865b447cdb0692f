/// \file
/// How far core 3, the delta rule, may be from the exact one, for one head.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "proofs/fast/recurrent_budget.hpp"
#include "reference/array.hpp"
#include "reference/gated_recurrence/delta_rule.hpp"
#include "reference/gated_recurrence/gated_delta.hpp"

namespace etalon::fast_laws {

/// Core 3. A majorant of the whole sequence is useless: with every minus sign made a plus, the recurrence
/// grows by a factor of 1 + beta |k|^2 a token. What keeps errors small is that I - beta k k^T does not
/// lengthen any vector if 0 <= beta |k|^2 <= 2; it stretches by h = max(1, |1 - beta |k|^2|) in general. So
/// the error of every column of the state is carried in its length (2-norm): for a chunk,
///     E <- (prod a h) E + local,
/// and `local` is what the chunk itself rounds, starting from the state that was computed. That is bounded
/// entry by entry from the chunk's own exact matrices (fast/cpu/delta_rule.cpp has their names), for one
/// column:
///     |dr|  <= growth(4 (t + 1) + d + 3) (|v| + b |K| |s|)
///     |dL|  <= growth(4 (t - s) + d + 4) beta D |K| |K|^T
///     X = (I + L)^-1 by substitution: (I + L^) X^ = I + F with |F| <= growth(C) |L^| |X^|, so with
///         G = growth(C) |L^| + |dL|: |X^| <= Y := |X| + |X| G Y and |dX| <= |X| G Y
///     |du|  <= |dX| beta |r^| + |X| beta |dr| + growth(C + 2) Y beta |r^|
///     |do|  <= growth(4 (t + 1) + d + C + 5) (|scale| b |q| |s| + |scale| D |q| |k| |u^|) + |P| |du|
///     |ds'| <= growth(5 C + 4) (b |s| + D |k| |u^|) + D |k| |du|
/// A decay again brings 4 roundings a token. s, r and u of the computation differ from the exact ones by what
/// E makes of them, which is added to their sizes.
inline RecurrentBudget delta_budget(const gated_delta::Input<double>& in, std::int64_t chunk) {
  const auto exact = gated_delta::recurrent(in);
  const Index n = in.key.extent(0), d = in.key.extent(1), e = in.value.extent(1);
  RecurrentBudget result{exact.output, Array<double>({n, e}), exact.state, Array<double>({d, e})};
  const double scale = std::abs(in.scale);
  const auto length_of = [&](const Array<double>& x, Index t) {
    double squares = 0;
    for (Index i = 0; i < d; ++i) squares += x(t, i) * x(t, i);
    return std::sqrt(squares);
  };
  double largest = 1;  // for underflow
  for (const Array<double>* x : {&in.query, &in.key, &in.value, &in.initial_state}) {
    for (const double entry : x->values()) largest = std::max(largest, std::abs(entry));
  }
  Array<double> state = in.initial_state;
  std::vector<double> carried(static_cast<std::size_t>(e), 0.0);  // E of every column
  for (Index first = 0; first < n; first += chunk) {
    const Index length = std::min<Index>(chunk, n - first);
    Array<double> fade({length, length}), key_product({length, length}), key_majorant({length, length});
    Array<double> score({length, length}), score_majorant({length, length});
    std::vector<double> from_start, carry;  // b, and prod a h
    for (Index t = 0; t < length; ++t) {
      const double squares = length_of(in.key, first + t) * length_of(in.key, first + t);
      const double stretch = std::max(1.0, std::abs(1 - in.beta(first + t) * squares));
      const double a = in.decay(first + t);
      from_start.push_back((t == 0 ? 1 : from_start.back()) * a);
      carry.push_back((t == 0 ? 1 : carry.back()) * a * stretch);
      for (Index s = t; s >= 0; --s) {
        fade(t, s) = s == t ? 1 : fade(t, s + 1) * in.decay(first + s + 1);
        for (Index i = 0; i < d; ++i) {
          key_product(t, s) += in.key(first + t, i) * in.key(first + s, i);
          key_majorant(t, s) += std::abs(in.key(first + t, i) * in.key(first + s, i));
          score(t, s) += scale * in.query(first + t, i) * in.key(first + s, i);
          score_majorant(t, s) += scale * std::abs(in.query(first + t, i) * in.key(first + s, i));
        }
      }
    }
    const auto C = static_cast<double>(chunk), channels = static_cast<double>(d);
    Array<double> lower({length, length}), lower_error({length, length});
    for (Index t = 0; t < length; ++t) {
      for (Index s = 0; s < t; ++s) {
        const double factor = std::abs(in.beta(first + t)) * fade(t, s);
        lower(t, s) = in.beta(first + t) * fade(t, s) * key_product(t, s);
        const double d_lower =
            growth(4 * static_cast<double>(t - s) + channels + 4) * factor * key_majorant(t, s);
        lower_error(t, s) = growth(C) * (std::abs(lower(t, s)) + d_lower) + d_lower;  // G
      }
    }
    // X by columns, and Y and |dX| from |X| G.
    const Array<double> inverse = delta_rule::unit_lower_inverse(lower, Index{1});
    Array<double> spread({length, length}), inverse_size = absolute(inverse), inverse_error({length, length});
    for (Index t = 0; t < length; ++t) {
      for (Index s = 0; s < t; ++s) {
        for (Index x = s + 1; x <= t; ++x) spread(t, s) += std::abs(inverse(t, x)) * lower_error(x, s);
      }
    }
    for (Index t = 0; t < length; ++t) {
      for (Index s = 0; s < t; ++s) {
        for (Index c = 0; c <= s; ++c) inverse_error(t, c) += spread(t, s) * inverse_size(s, c);
      }
      for (Index c = 0; c < t; ++c) inverse_size(t, c) += inverse_error(t, c);
    }
    for (Index j = 0; j < e; ++j) {
      double& error = carried[static_cast<std::size_t>(j)];
      std::vector<double> right, right_size, right_error, written, written_size, written_error;
      for (Index t = 0; t < length; ++t) {
        const double b = from_start[static_cast<std::size_t>(t)];
        double recalled = 0, majorant = 0;
        for (Index i = 0; i < d; ++i) {
          recalled += in.key(first + t, i) * state(i, j);
          majorant += std::abs(in.key(first + t, i)) * (std::abs(state(i, j)) + error);
        }
        right.push_back(in.value(first + t, j) - b * recalled);
        right_error.push_back(growth(4 * static_cast<double>(t + 1) + channels + 3) *
                              (std::abs(in.value(first + t, j)) + b * majorant));
        right_size.push_back(std::abs(right.back()) + b * length_of(in.key, first + t) * error +
                             right_error.back());
        double u = 0, u_size = 0, u_error = 0;
        for (Index s = 0; s <= t; ++s) {
          const auto at = static_cast<std::size_t>(s);
          const double beta = std::abs(in.beta(first + s));
          u += inverse(t, s) * in.beta(first + s) * right[at];
          u_size += std::abs(inverse(t, s)) * beta * from_start[at] * length_of(in.key, first + s) * error;
          u_error +=
              beta * (inverse_error(t, s) * right_size[at] + std::abs(inverse(t, s)) * right_error[at] +
                      growth(C + 2) * inverse_size(t, s) * right_size[at]);
        }
        written.push_back(u);
        written_error.push_back(u_error);
        written_size.push_back(std::abs(u) + u_size + u_error);
        largest = std::max(largest, written_size.back());
      }
      const double events = kFlush * (C + channels + 8) * (C + channels + 8) * largest * largest * largest;
      for (Index t = 0; t < length; ++t) {
        const double b = from_start[static_cast<std::size_t>(t)];
        double majorant = 0, of_written = 0;
        for (Index i = 0; i < d; ++i) {
          majorant += scale * b * std::abs(in.query(first + t, i)) * (std::abs(state(i, j)) + error);
        }
        for (Index s = 0; s <= t; ++s) {
          const auto at = static_cast<std::size_t>(s);
          majorant += score_majorant(t, s) * fade(t, s) * written_size[at];
          of_written += std::abs(score(t, s)) * fade(t, s) * written_error[at];
        }
        result.output_budget(first + t, j) =
            growth(4 * static_cast<double>(t + 1) + channels + C + 5) * majorant + of_written +
            scale * length_of(in.query, first + t) * carry[static_cast<std::size_t>(t)] * error + events;
      }
      double squares = 0;
      for (Index i = 0; i < d; ++i) {
        double next = from_start.back() * state(i, j);
        double majorant = from_start.back() * (std::abs(state(i, j)) + error), of_written = 0;
        for (Index s = 0; s < length; ++s) {
          const auto at = static_cast<std::size_t>(s);
          const double key = fade(length - 1, s) * in.key(first + s, i);
          next += key * written[at];
          majorant += std::abs(key) * written_size[at];
          of_written += std::abs(key) * written_error[at];
        }
        const double local = growth(5 * C + 4) * majorant + of_written + events;
        squares += local * local;
        state(i, j) = next;
        largest = std::max(largest, std::abs(next));
      }
      error = carry.back() * error + std::sqrt(squares);
    }
  }
  for (Index j = 0; j < e; ++j) {
    for (Index i = 0; i < d; ++i) result.state_budget(i, j) = carried[static_cast<std::size_t>(j)];
  }
  return result;
}

}  // namespace etalon::fast_laws
