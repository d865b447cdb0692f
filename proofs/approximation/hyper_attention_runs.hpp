/// \file
/// Runs of HyperAttention that the studies share: one head prepared for measuring, the hash in its several
/// orders, what a run spends, and how far its output is from the truth.
#pragma once

#include <algorithm>
#include <string>

#include "proofs/approximation/heads.hpp"
#include "reference/approximation/hyper_attention.hpp"

namespace etalon::hyper_attention_runs {

namespace ha = hyper_attention;
namespace sketch = approximate_matmul_and_sketch;
using namespace study_heads;

inline constexpr Index kDraws = 3;  // hashes and samples that a mean is taken over

// ---- one run -----------------------------------------------------------------------------------

/// A head with everything that the errors are measured against.
struct Subject {
  std::string name;
  ha::Input<double> in;
  Array<double> A, P, D, truth;
  double P_norm = 0, V_norm = 0, truth_frobenius = 0, alpha = 0, P_squared = 0, expected_values = 0;
};

inline Subject prepared(const std::string& name, const Head& head, double scale) {
  Subject one{name, {head.query, head.key, head.value, scale}, {}, {}, {}, {}};
  one.A = ha::weights(one.in);
  one.P = one.A;
  one.D = Array<double>({one.A.extent(0)});
  for (Index i = 0; i < one.A.extent(0); ++i) {
    for (Index j = 0; j < one.A.extent(1); ++j) one.D(i) += one.A(i, j);
    for (Index j = 0; j < one.A.extent(1); ++j) one.P(i, j) /= one.D(i);
  }
  one.truth = sketch::product(one.P, one.in.value);
  one.P_norm = spectral_norm(one.P);
  one.V_norm = spectral_norm(one.in.value);
  one.truth_frobenius = frobenius_norm(one.truth);
  one.alpha = ha::alpha(one.P);
  one.P_squared = sketch::squared_frobenius(one.P);
  one.expected_values =
      one.P_squared * sketch::squared_frobenius(one.in.value) - sketch::squared_frobenius(one.truth);
  return one;
}

inline double uniform(std::uint64_t seed, const char* name, Index i) {
  return static_cast<double>(hash({seed, name, i}, 1) >> 11) * 0x1p-53;
}

inline Array<Index> uniform_keys(std::uint64_t seed, const char* name, Index keys, Index count) {
  Array<Index> drawn({count});
  for (Index s = 0; s < count; ++s) {
    drawn(s) = static_cast<Index>(uniform(seed, name, s) * static_cast<double>(keys));
  }
  return drawn;
}

inline Array<Index> keys_by_value(std::uint64_t seed, const Array<double>& value, Index count) {
  const Array<double> probability = sketch::row_norm_probability(value);
  Array<Index> drawn({count});
  for (Index s = 0; s < count; ++s) {
    drawn(s) = sketch::inverse_cdf(probability, uniform(seed, "value samples", s));
  }
  return drawn;
}

enum class Order { gray, code, binary, random };

inline ha::Blocks blocks_of(const ha::Input<double>& in, std::uint64_t seed, Index bits, Index block,
                            Order order) {
  if (order == Order::random) {
    const auto any = [&](const char* name, Index count) {
      return uniform_keys(seed, name, Index{1} << 40, count);
    };
    return ha::sort_lsh(any("query order", in.query.extent(0)), any("key order", in.key.extent(0)), block,
                        ha::binary_order());
  }
  const Array<double> directions = normal_numbers("directions", in.key.extent(1), bits, 1, seed);
  const ha::Position position = order == Order::gray   ? ha::gray_order()
                                : order == Order::code ? ha::order_of_code()
                                                       : ha::binary_order();
  return ha::sort_lsh(ha::codes(in.query, directions), ha::codes(in.key, directions), block, position);
}

/// The mean share of the attention of a query that its block holds.
inline double captured(const Subject& one, const ha::Blocks& blocks) {
  double sum = 0;
  for (Index i = 0; i < one.P.extent(0); ++i) {
    for (Index j = 0; j < one.P.extent(1); ++j) {
      if (blocks.query(i) == blocks.key(j)) sum += one.P(i, j);
    }
  }
  return sum / static_cast<double>(one.P.extent(0));
}

/// What a run touches: pairs of query and key, and rows in which two parts are merged.
struct Spent {
  double pairs = 0, merges = 0;
};

inline Spent spent(const Subject& one, const ha::Blocks& blocks, const Array<Index>& samples) {
  const ha::Mask mask = ha::mask_of(blocks);
  Spent all;
  std::vector<double> keys_in(static_cast<std::size_t>(one.in.key.extent(0)), 0);
  for (const Index b : blocks.key.values()) ++keys_in[static_cast<std::size_t>(b)];
  for (Index i = 0; i < one.in.query.extent(0); ++i) {
    const auto far = static_cast<double>(ha::outside(mask, i, samples).size());
    all.pairs += keys_in[static_cast<std::size_t>(blocks.query(i))] + far;
    all.merges += far > 0 ? 1 : 0;
  }
  return all;
}

/// Multiplications of the pairs, the merges and the hashes, as the cost laws count them, over those of exact
/// attention.
inline double share_of_cost(const Subject& one, const Spent& all, Index bits) {
  const auto d_k = static_cast<double>(one.in.key.extent(1)),
             d_v = static_cast<double>(one.in.value.extent(1));
  const auto tokens = static_cast<double>(one.in.query.extent(0));
  const double hashes = 2 * tokens * d_k * static_cast<double>(bits);
  const double used = all.pairs * (d_k + d_v) + all.merges * 3 * (d_v + 1) + hashes;
  return used / (tokens * static_cast<double>(one.in.key.extent(0)) * (d_k + d_v));
}

/// The cheapest answer: every query reads the mean of all values.
inline Array<double> plain_mean(const Array<double>& value) {
  Array<double> output(value.shape());
  for (Index c = 0; c < value.extent(1); ++c) {
    double sum = 0;
    for (Index j = 0; j < value.extent(0); ++j) sum += value(j, c);
    for (Index i = 0; i < output.extent(0); ++i) output(i, c) = sum / static_cast<double>(value.extent(0));
  }
  return output;
}

/// The error of an output: in the spectral norm as the theorem measures it, over |P| |V|, and relative in the
/// Frobenius norm and the worst entry.
struct Error {
  double theorem = 0, frobenius = 0, worst = 0;
  Error& operator+=(const Error& other) {
    theorem += other.theorem;
    frobenius += other.frobenius;
    worst += other.worst;
    return *this;
  }
  Error over(double count) const { return {theorem / count, frobenius / count, worst / count}; }
};

inline Error error_of(const Subject& one, const Array<double>& found) {
  const Array<double> off = difference(found, one.truth);
  return {spectral_norm(off) / (one.P_norm * one.V_norm), frobenius_norm(off) / one.truth_frobenius,
          worst_entry(off) / worst_entry(one.truth)};
}

/// Means over some hashes and samples of the released code's variant.
struct Mean {
  Error error;
  double cost = 0;
};

inline Mean code_variant(const Subject& one, Index block, Index samples, Index bits) {
  Mean mean;
  const Index draws = samples == 0 ? 2 : kDraws;
  for (Index draw = 1; draw <= draws; ++draw) {
    const auto seed = static_cast<std::uint64_t>(draw);
    const ha::Blocks blocks = blocks_of(one.in, seed, bits, block, Order::gray);
    const Array<Index> list = uniform_keys(seed, "samples", one.in.key.extent(0), samples);
    mean.error += error_of(one, ha::self_normalised(one.in, ha::mask_of(blocks), list));
    mean.cost += share_of_cost(one, spent(one, blocks, list), bits) / static_cast<double>(draws);
  }
  mean.error = mean.error.over(static_cast<double>(draws));
  return mean;
}

}  // namespace etalon::hyper_attention_runs
