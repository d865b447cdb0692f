/// \file
/// HyperAttention: softmax attention over a few keys a query. Hashing brings queries and keys that point the
/// same way together: sorted by hash, the large entries of the attention matrix gather in blocks on its
/// diagonal (sortLSH), and these are computed exactly. What lies outside is estimated from a few sampled
/// keys.
///
/// Source: \cite han2023hyperattention, Algorithms 1 to 4, and its released code; predecessor:
/// \cite zandieh2023kdeformer. With sorted ranks P_Q, P_K by the Gray position of the hash:
/// \f[ A_{ij} = e^{\sigma q_i^\top k_j}, \qquad
///     M_{ij} = [\lfloor P_Q(i) / b \rfloor = \lfloor P_K(j) / b \rfloor], \qquad
///     B_i = \sum_j M_{ij} A_{ij}, \qquad R_i = \sum_j (1 - M_{ij}) A_{ij} \f]
/// \f[ \tau = \max_{j \in T} R_j, \qquad
///     d_i = \frac nm \sum_{s=1}^m (1 - M_{i \ell_s}) \min(A_{i \ell_s}, C_i), \qquad
///     \tilde D_i = B_i + \max(d_i, \tau / \kappa) \f]
/// \f[ \tilde O = \tilde D^{-1} A S^\top S V, \qquad S_{s, j_s} = 1 / \sqrt{m' p_{j_s}}, \qquad
///     p_j = |v_j|^2 / \|V\|_F^2 \f]
/// `paper` is this definition. The released code estimates numerator and denominator from the same uniformly
/// drawn keys instead:
/// \f[ N_i = \sum_j M_{ij} A_{ij} v_j + \frac nm \sum_s (1 - M_{i \ell_s}) A_{i \ell_s} v_{\ell_s}, \qquad
///     Z_i = \sum_j M_{ij} A_{ij} + \frac nm \sum_s (1 - M_{i \ell_s}) A_{i \ell_s}, \qquad
///     \hat o_i = N_i / Z_i \f]
/// which is `self_normalised`. Codes, samples and reference rows are arguments.
///
/// Shapes: queries n_q x d_k, keys n x d_k, values n x d_v; usually n_q = n.
/// \symbol{A_ij} weight of key j for query i, before normalisation
/// \symbol{sigma} scale of the scores; 1 in the paper, 1 / sqrt(d_k) in the code
/// \symbol{P_Q} rank of a query when queries are sorted by Gray position; likewise P_K of keys
/// \symbol{b} keys in a block
/// \symbol{M_ij} whether query i and key j fell into the same block
/// \symbol{B_i} exact sum of the weights inside the block
/// \symbol{R_i} sum of the weights outside of it: the residual
/// \symbol{T} rows whose residual is computed exactly
/// \symbol{tau} the largest of these residuals
/// \symbol{kappa} the largest residual over the least
/// \symbol{C_i} cap on a sampled weight
/// \symbol{l_s} key that sample s drew, the same for all queries
/// \symbol{d_i} estimate of the residual
/// \symbol{D_i} estimate of the normaliser, with a tilde in the paper
/// \symbol{j_s} key that value sample s drew
/// \symbol{N_i} estimate of the numerator, unnormalised
/// \symbol{Z_i} estimate of the denominator from the same samples
/// \symbol{alpha} n times the largest squared norm of a column of D^{-1} A
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reference/approximation/approximate_matmul_and_sketch.hpp"
#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"
#include "reference/softmax_attention/softmax_attention.hpp"

namespace etalon::hyper_attention {

inline constexpr const char* kSelf = "hyper_attention";

using softmax_attention::Mask;
using softmax_attention::Partial;

/// What enters: query n_q x d_k, key n x d_k, value n x d_v, and the scale of the scores.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  T scale = T(1);
};

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument
template <Ring T>
void check(const Input<T>& in) {
  require_rank(kSelf, "key", in.key, 2);
  require_rank(kSelf, "query", in.query, 2);
  require_rank(kSelf, "value", in.value, 2);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape(kSelf, "query", in.query, {in.query.extent(0), in.key.extent(1)}, because);
  require_shape(kSelf, "value", in.value, {in.key.extent(0), in.value.extent(1)}, because);
}

/// Throws unless every entry of the list is a key.
/// \throws std::invalid_argument
inline void check_samples(const char* argument, const Array<Index>& samples, Index keys) {
  require(samples.rank() == 1, kSelf, argument, to_string(samples.shape()), "1 axis");
  for (const Index k : samples.values()) {
    require(k >= 0 && k < keys, kSelf, argument, "an entry " + std::to_string(k),
            "0 to " + std::to_string(keys - 1));
  }
}

/// The rows [first, first + count) of a matrix.
template <class T>
Array<T> rows(const Array<T>& matrix, Index first, Index count) {
  Array<T> part({count, matrix.extent(1)});
  for (Index i = 0; i < count; ++i) {
    for (Index c = 0; c < part.extent(1); ++c) part(i, c) = matrix(first + i, c);
  }
  return part;
}

// ---- sortLSH -----------------------------------------------------------------------------------

/// Where a hash code stands in the sorted order. The definition is `gray_position`, under which neighbours
/// differ in one bit. The released code takes `gray_word`, its inverse, by mistake; its JAX version takes the
/// code itself.
using Position = std::function<Index(Index code)>;

inline Position gray_order() {
  return [](Index code) { return approximate_matmul_and_sketch::gray_position(code); };
}
inline Position order_of_code() {
  return [](Index code) { return approximate_matmul_and_sketch::gray_word(code); };
}
inline Position binary_order() {
  return [](Index code) { return code; };
}

/// The SimHash code of every row. \param directions d_k x r, usually normal numbers; the same for queries and
/// keys
template <OrderedField T>
Array<Index> codes(const Array<T>& vectors, const Array<T>& directions) {
  Array<Index> code({vectors.extent(0)});
  for (Index i = 0; i < vectors.extent(0); ++i) {
    code(i) = approximate_matmul_and_sketch::simhash<T>(vectors.row(i), directions);
  }
  return code;
}

/// The vectors in the order of their positions; equal ones keep their order, so that a result does not depend
/// on the sorting algorithm.
inline std::vector<Index> sorted(const Array<Index>& code, const Position& position) {
  std::vector<Index> order;
  for (Index i = 0; i < code.extent(0); ++i) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return position(code(a)) < position(code(b)); });
  return order;
}

/// The block that each query and each key belongs to.
struct Blocks {
  Array<Index> query;
  Array<Index> key;
};

/// Blocks of `block` successive ranks. The last block may be shorter; queries beyond the last block of keys
/// join it.
/// \throws std::invalid_argument for a block below 1
inline Blocks sort_lsh(const Array<Index>& query_code, const Array<Index>& key_code, Index block,
                       const Position& position) {
  require(block >= 1, kSelf, "block", std::to_string(block), "1 or more");
  const Index last = (key_code.extent(0) - 1) / block;
  Blocks blocks{Array<Index>(query_code.shape()), Array<Index>(key_code.shape())};
  Index rank = 0;
  for (const Index i : sorted(query_code, position)) {
    blocks.query(i) = std::min(rank++ / block, last);  // [P_Q] [b]
  }
  rank = 0;
  for (const Index j : sorted(key_code, position)) blocks.key(j) = rank++ / block;
  return blocks;
}

/// M as a mask of attention. Any other sparse mask may stand in its place.
inline Mask mask_of(const Blocks& blocks) {
  return [blocks](Index i, Index j) { return blocks.query(i) == blocks.key(j); };  // [M_ij]
}

// ---- parts of a row ----------------------------------------------------------------------------

template <Ring T>
T score(const Input<T>& in, Index i, Index j) {
  T sum(0);
  for (Index c = 0; c < in.key.extent(1); ++c) sum += in.query(i, c) * in.key(j, c);
  return in.scale * sum;  // [sigma]
}

/// e^{s_ij}, without a reference: overflows in float32 from scores of 88.8 on.
template <Exponential T>
T weight(const Input<T>& in, Index i, Index j) {
  return exp(score(in, i, j));  // [A_ij]
}

/// The partial result (m, l, o) of query i over a list of keys, which may repeat: the maximum first.
template <Exponential T>
Partial<T> over(const Input<T>& in, Index i, const std::vector<Index>& keys) {
  Partial<T> partial = softmax_attention::no_keys<T>(in.value.extent(1));
  std::vector<T> scores;
  for (const Index j : keys) {
    scores.push_back(score(in, i, j));
    partial.m = partial.empty ? scores.back() : maximum(partial.m, scores.back());
    partial.empty = false;
  }
  for (std::size_t a = 0; a < keys.size(); ++a) {
    const T above = exp(scores[a] - partial.m);
    partial.l += above;
    for (std::size_t c = 0; c < partial.o.size(); ++c) {
      partial.o[c] += stored(above) * in.value(keys[a], static_cast<Index>(c));
    }
  }
  return partial;
}

/// A partial result that counts `factor` times: the code adds log(factor) to its log-sum-exp.
template <Exponential T>
Partial<T> times(const T& factor, Partial<T> partial) {
  partial.l *= factor;
  for (T& o : partial.o) o *= factor;
  return partial;
}

/// The keys of query i inside its block.
inline std::vector<Index> inside(const Mask& mask, Index i, Index keys) {
  std::vector<Index> found;
  for (Index j = 0; j < keys; ++j) {
    if (mask(i, j)) found.push_back(j);
  }
  return found;
}

/// The samples of query i outside of its block. Those inside are counted there already.
inline std::vector<Index> outside(const Mask& mask, Index i, const Array<Index>& samples) {
  std::vector<Index> found;
  for (const Index j : samples.values()) {
    if (!mask(i, j)) found.push_back(j);
  }
  return found;
}

template <Exponential T>
Array<T> finished(const std::vector<Partial<T>>& partials, Index d_v) {
  Array<T> output({static_cast<Index>(partials.size()), d_v});
  for (std::size_t i = 0; i < partials.size(); ++i) {
    softmax_attention::finish(partials[i], static_cast<Index>(i), output);
  }
  return output;
}

// ---- the code's variant ------------------------------------------------------------------------

/// (m, l, o) of every query: the block exactly, and n / m times the samples outside of it. l stands for Z_i
/// and o for N_i, both relative to e^m. No sample outside of the block leaves the block alone. O(n (b + m)
/// (d_k + d_v)) operations.
template <Exponential T>
std::vector<Partial<T>> self_normalised_partials(const Input<T>& in, const Mask& mask,
                                                 const Array<Index>& samples) {
  check(in);
  const Index n = in.key.extent(0);
  check_samples("samples", samples, n);
  std::vector<Partial<T>> partials;
  for (Index i = 0; i < in.query.extent(0); ++i) {
    const Partial<T> block = over(in, i, inside(mask, i, n));
    const std::vector<Index> sampled = outside(mask, i, samples);
    const T share = T(n) / T(std::max(samples.extent(0), Index{1}));
    partials.push_back(softmax_attention::merge(block, times(share, over(in, i, sampled))));  // [N_i] [Z_i]
  }
  return partials;
}

/// What the released code computes, with the mask that only one of its paths applies.
template <Exponential T>
Array<T> self_normalised(const Input<T>& in, const Mask& mask, const Array<Index>& samples) {
  return finished(self_normalised_partials(in, mask, samples), in.value.extent(1));
}

/// The same in sorted order, as a kernel runs it: dense blocks of successive ranks, samples that are ranks,
/// and the outputs put back in their places.
template <Exponential T>
Array<T> self_normalised_sorted(const Input<T>& in, const std::vector<Index>& query_order,
                                const std::vector<Index>& key_order, Index block,
                                const Array<Index>& sampled_ranks) {
  check(in);
  const Index n = in.key.extent(0), last = (n - 1) / block, m = sampled_ranks.extent(0);
  check_samples("sampled_ranks", sampled_ranks, n);
  Array<T> output({in.query.extent(0), in.value.extent(1)});
  for (std::size_t rank = 0; rank < query_order.size(); ++rank) {
    const Index i = query_order[rank], own = std::min(static_cast<Index>(rank) / block, last);
    std::vector<Index> near, far;
    for (Index c = own * block; c < std::min(n, (own + 1) * block); ++c) {
      near.push_back(key_order[static_cast<std::size_t>(c)]);
    }
    for (const Index c : sampled_ranks.values()) {
      if (c / block != own) far.push_back(key_order[static_cast<std::size_t>(c)]);
    }
    const Partial<T> sampled = times(T(T(n) / T(std::max(m, Index{1}))), over(in, i, far));
    softmax_attention::finish(softmax_attention::merge(over(in, i, near), sampled), i, output);
  }
  return output;
}

/// The same by subtracting instead of masking: all samples count, and those inside the block are taken away
/// again. Equal in exact arithmetic; in floating point digits cancel.
template <Exponential T>
Array<T> subtracted(const Input<T>& in, const Mask& mask, const Array<Index>& samples) {
  check(in);
  const Index n = in.key.extent(0), d_v = in.value.extent(1);
  check_samples("samples", samples, n);
  const T share = T(n) / T(std::max(samples.extent(0), Index{1}));
  Array<T> output({in.query.extent(0), d_v});
  for (Index i = 0; i < in.query.extent(0); ++i) {
    T below(0);
    std::vector<T> above(static_cast<std::size_t>(d_v), T(0));
    const auto add = [&](const T& amount, Index j) {
      below += amount;
      for (Index c = 0; c < d_v; ++c) above[static_cast<std::size_t>(c)] += amount * in.value(j, c);
    };
    for (const Index j : inside(mask, i, n)) add(weight(in, i, j), j);
    for (const Index j : samples.values()) add(share * weight(in, i, j), j);
    for (const Index j : samples.values()) {
      if (mask(i, j)) add(-(share * weight(in, i, j)), j);
    }
    for (Index c = 0; c < d_v; ++c) output(i, c) = stored(above[static_cast<std::size_t>(c)] / below);
  }
  return output;
}

/// Attention inside the blocks and nothing else: no samples.
template <Exponential T>
Array<T> block_only(const Input<T>& in, const Mask& mask) {
  return self_normalised(in, mask, Array<Index>({0}));
}

// ---- what the released code does besides -------------------------------------------------------

/// Without the mask against counting twice, which two of the code's three paths leave out: a sample inside
/// the block counts once there and n / m times more.
template <Exponential T>
Array<T> double_counted(const Input<T>& in, const Mask& mask, const Array<Index>& samples) {
  check(in);
  const Index n = in.key.extent(0);
  const std::vector<Index> all(samples.values().begin(), samples.values().end());
  const T share = T(n) / T(samples.extent(0));
  std::vector<Partial<T>> partials;
  for (Index i = 0; i < in.query.extent(0); ++i) {
    partials.push_back(
        softmax_attention::merge(over(in, i, inside(mask, i, n)), times(share, over(in, i, all))));
  }
  return finished(partials, in.value.extent(1));
}

/// Zero padding without a mask: a last block of fewer than `block` keys is filled with keys of score 0 and
/// value 0, which take part in the softmax.
template <Exponential T>
Array<T> block_only_padded(const Input<T>& in, const Blocks& blocks, Index block) {
  check(in);
  const Index n = in.key.extent(0), last = (n - 1) / block, missing = (last + 1) * block - n;
  const Mask mask = mask_of(blocks);
  Partial<T> phantoms = softmax_attention::no_keys<T>(in.value.extent(1));
  phantoms.empty = missing == 0;
  phantoms.l = T(missing);
  std::vector<Partial<T>> partials;
  for (Index i = 0; i < in.query.extent(0); ++i) {
    const Partial<T> own = over(in, i, inside(mask, i, n));
    partials.push_back(blocks.query(i) == last ? softmax_attention::merge(own, phantoms) : own);
  }
  return finished(partials, in.value.extent(1));
}

/// Block size -1 means no blocks, but the code still deletes the samples whose rank is the query's own.
template <Exponential T>
std::vector<Partial<T>> samples_without_own_rank(const Input<T>& in, const Blocks& ranks,
                                                 const Array<Index>& samples) {
  const T share = T(in.key.extent(0)) / T(samples.extent(0));
  std::vector<Partial<T>> partials;
  for (Index i = 0; i < in.query.extent(0); ++i) {
    partials.push_back(times(share, over(in, i, outside(mask_of(ranks), i, samples))));
  }
  return partials;
}

/// The code's merge of two log-sum-exps: L_1 - log(c + eps) with c = 1 / (1 + e^{L_2 - L_1}). Right while L_2
/// is not far above L_1; it cannot exceed L_1 - log(eps).
template <Real T>
T merged_log_sum_of_code(const T& first, const T& second, const T& epsilon) {
  const T c = T(1) / (T(1) + exp(second - first));
  return first - log(c + epsilon);
}

// ---- the paper's estimate of the normaliser ----------------------------------------------------

/// R_i, exactly: n weights.
template <Exponential T>
T residual(const Input<T>& in, const Mask& mask, Index i) {
  T sum(0);
  for (Index j = 0; j < in.key.extent(0); ++j) {
    if (!mask(i, j)) sum += weight(in, i, j);  // [R_i]
  }
  return sum;
}

template <OrderedField T>
T minimum(const T& a, const T& b) {
  return -maximum(T(-a), T(-b));
}

/// 1 / kappa: the least residual over the largest, of all rows. 1 when there is no residual at all, since
/// then any number does.
template <Exponential T>
T inverse_kappa(const Input<T>& in, const Mask& mask) {
  T least = residual(in, mask, 0), largest = least;
  for (Index i = 1; i < in.query.extent(0); ++i) {
    const T own = residual(in, mask, i);
    least = minimum(least, own);
    largest = maximum(largest, own);
  }
  return T(0) < largest ? least / largest : T(1);  // [kappa]
}

/// The factor of the cap: c eps^2 m / (n log n). The paper leaves the constant c open.
template <Real T>
T cap_factor(const T& c, const T& epsilon, Index samples, Index keys) {
  return c * epsilon * epsilon * T(samples) / (T(keys) * log(T(keys)));
}

/// ApproxD: the estimated normaliser of every query.
/// \param samples m keys \param reference_rows the rows T \param floor_share 1 / kappa, so that kappa may be
/// infinite
/// \param cap the factor of B_i + tau / kappa that sampled weights are capped at; none for no cap
template <Exponential T>
Array<T> approximate_normaliser(const Input<T>& in, const Mask& mask, const Array<Index>& samples,
                                const Array<Index>& reference_rows, const T& floor_share,
                                const std::optional<T>& cap) {
  check(in);
  const Index n = in.key.extent(0), m = samples.extent(0);
  check_samples("samples", samples, n);
  check_samples("reference_rows", reference_rows, in.query.extent(0));
  require(m >= 1, kSelf, "samples", "empty", "1 or more");
  T tau(0);
  for (const Index row : reference_rows.values()) {  // [T]
    tau = maximum(tau, residual(in, mask, row));     // [tau]
  }
  const T floor = tau * floor_share;
  Array<T> D({in.query.extent(0)});
  for (Index i = 0; i < in.query.extent(0); ++i) {
    T block(0);
    for (const Index j : inside(mask, i, n)) block += weight(in, i, j);  // [B_i]
    T estimate(0);
    for (const Index j : outside(mask, i, samples)) {  // [l_s]
      const T own = weight(in, i, j);
      estimate += cap ? minimum(own, T(*cap * (block + floor))) : own;  // [C_i]
    }
    estimate = T(n) / T(m) * estimate;                // [d_i]
    D(i) = stored(block + maximum(estimate, floor));  // [D_i]
  }
  return D;
}

/// Value sampling: the drawn keys, weighted by one over their probability, over the normaliser. Only their
/// columns of A are computed. Values of norm 0 are never drawn and add nothing.
template <Exponential T>
Array<T> value_sampled(const Input<T>& in, const Array<Index>& value_samples, const Array<T>& normaliser) {
  check(in);
  check_samples("value_samples", value_samples, in.key.extent(0));
  const Index m = value_samples.extent(0);
  Array<T> columns({in.query.extent(0), m});
  for (Index s = 0; s < m; ++s) {
    for (Index i = 0; i < columns.extent(0); ++i) columns(i, s) = weight(in, i, value_samples(s));  // [j_s]
  }
  const Array<T> norm = approximate_matmul_and_sketch::squared_row_norms(in.value);
  const T whole = approximate_matmul_and_sketch::total(norm);
  Array<T> scaled({m, in.value.extent(1)});
  for (Index s = 0; s < m; ++s) {
    const Index j = value_samples(s);
    if (!(T(0) < norm(j))) continue;
    const T share = whole / (T(m) * norm(j));
    for (Index c = 0; c < scaled.extent(1); ++c) scaled(s, c) = share * in.value(j, c);
  }
  Array<T> output = approximate_matmul_and_sketch::product(columns, scaled);
  for (Index i = 0; i < output.extent(0); ++i) {
    for (Index c = 0; c < output.extent(1); ++c) output(i, c) = stored(output(i, c) / normaliser(i));
  }
  return output;
}

/// The definition, Algorithm 3: value sampling over the estimated normaliser.
template <Exponential T>
Array<T> paper(const Input<T>& in, const Mask& mask, const Array<Index>& samples,
               const Array<Index>& reference_rows, const Array<Index>& value_samples, const T& floor_share,
               const std::optional<T>& cap) {
  return value_sampled(in, value_samples,
                       approximate_normaliser(in, mask, samples, reference_rows, floor_share, cap));
}

/// A, n_q x n.
template <Exponential T>
Array<T> weights(const Input<T>& in) {
  check(in);
  Array<T> A({in.query.extent(0), in.key.extent(0)});
  for (Index i = 0; i < A.extent(0); ++i) {
    for (Index j = 0; j < A.extent(1); ++j) A(i, j) = weight(in, i, j);
  }
  return A;
}

/// The same with the whole of A, as a sampled product of matrices.
template <Exponential T>
Array<T> paper_dense(const Input<T>& in, const Array<Index>& value_samples, const Array<T>& normaliser) {
  Array<T> output = approximate_matmul_and_sketch::row_norm_sampled(weights(in), in.value, value_samples);
  for (Index i = 0; i < output.extent(0); ++i) {
    for (Index c = 0; c < output.extent(1); ++c) output(i, c) = stored(output(i, c) / normaliser(i));
  }
  return output;
}

/// P = D^{-1} A with exact row sums.
template <Exponential T>
Array<T> stochastic(const Input<T>& in) {
  Array<T> P = weights(in);
  for (Index i = 0; i < P.extent(0); ++i) {
    T sum(0);
    for (Index j = 0; j < P.extent(1); ++j) sum += P(i, j);
    for (Index j = 0; j < P.extent(1); ++j) P(i, j) /= sum;
  }
  return P;
}

/// alpha = n max_j |P e_j|^2, between 1 and n^2 for n queries.
template <OrderedField T>
T alpha(const Array<T>& P) {
  T largest(0);
  for (Index j = 0; j < P.extent(1); ++j) {
    T squares(0);
    for (Index i = 0; i < P.extent(0); ++i) squares += P(i, j) * P(i, j);
    largest = maximum(largest, squares);
  }
  return T(P.extent(1)) * largest;  // [alpha]
}

// ---- causal ------------------------------------------------------------------------------------

/// The samples for a part: keys of the part, counted from 0. \param first where the part begins
using Sampler = std::function<Array<Index>(Index first, Index keys)>;

/// How the recursion cuts and approximates.
struct Recursion {
  Array<Index> query_code;
  Array<Index> key_code;
  Index block = 1;
  Index exact_up_to = 1;  ///< parts of at most so many tokens are attended exactly
  Index exact_below = 0;  ///< off-diagonal parts of fewer keys are exact as well: the code, not the paper
  Sampler sampler;
  Position position = gray_order();
};

inline Array<Index> part_of(const Array<Index>& code, Index first, Index count) {
  Array<Index> part({count});
  for (Index i = 0; i < count; ++i) part(i) = code(first + i);
  return part;
}

/// The queries [query_first, + queries) against the keys [key_first, + keys).
template <Ring T>
Input<T> part_of(const Input<T>& in, Index query_first, Index queries, Index key_first, Index keys) {
  return {rows(in.query, query_first, queries), rows(in.key, key_first, keys),
          rows(in.value, key_first, keys), in.scale};
}

/// The tokens [first, first + count) among themselves: Algorithm 4, with outputs as in the code. Both halves
/// recursively, and the second half's view of the first by the approximation, merged into it.
template <Exponential T>
std::vector<Partial<T>> causal_partials(const Input<T>& in, const Recursion& recursion, Index first,
                                        Index count) {
  std::vector<Partial<T>> partials;
  if (count <= recursion.exact_up_to) {
    for (Index i = 0; i < count; ++i) {
      std::vector<Index> keys;
      for (Index j = 0; j <= i; ++j) keys.push_back(first + j);
      partials.push_back(over(in, first + i, keys));
    }
    return partials;
  }
  const Index half = (count + 1) / 2, rest = count - half;
  partials = causal_partials(in, recursion, first, half);
  const std::vector<Partial<T>> own = causal_partials(in, recursion, first + half, rest);
  const Blocks blocks =
      sort_lsh(part_of(recursion.query_code, first + half, rest), part_of(recursion.key_code, first, half),
               half < recursion.exact_below ? half : recursion.block, recursion.position);
  const std::vector<Partial<T>> earlier = self_normalised_partials(
      part_of(in, first + half, rest, first, half), mask_of(blocks), recursion.sampler(first, half));
  for (std::size_t i = 0; i < own.size(); ++i) {
    partials.push_back(softmax_attention::merge(own[i], earlier[i]));
  }
  return partials;
}

/// Causal HyperAttention.
/// \throws std::invalid_argument for parts that cannot end
template <Exponential T>
Array<T> causal(const Input<T>& in, const Recursion& recursion) {
  check(in);
  const Index n = in.key.extent(0);
  require_shape(kSelf, "query", in.query, in.key.shape(), "causal: as many queries as keys");
  require(recursion.exact_up_to >= 1, kSelf, "exact_up_to", std::to_string(recursion.exact_up_to),
          "1 or more");
  return finished(causal_partials(in, recursion, 0, n), in.value.extent(1));
}

/// CausalApproxD, the recursion as the paper states it, for normalisers only: those of the halves, and
/// ApproxD of what lies between them added to the second.
template <Exponential T>
std::vector<T> causal_normaliser(const Input<T>& in, const Recursion& recursion, Index first, Index count,
                                 const T& floor_share) {
  std::vector<T> D;
  if (count <= recursion.exact_up_to) {
    for (Index i = 0; i < count; ++i) {
      T sum(0);
      for (Index j = 0; j <= i; ++j) sum += weight(in, first + i, first + j);
      D.push_back(sum);
    }
    return D;
  }
  const Index half = (count + 1) / 2, rest = count - half;
  D = causal_normaliser(in, recursion, first, half, floor_share);
  const std::vector<T> own = causal_normaliser(in, recursion, first + half, rest, floor_share);
  const Blocks blocks =
      sort_lsh(part_of(recursion.query_code, first + half, rest), part_of(recursion.key_code, first, half),
               recursion.block, recursion.position);
  const Array<T> earlier = approximate_normaliser(part_of(in, first + half, rest, first, half),
                                                  mask_of(blocks), recursion.sampler(first, half),
                                                  Array<Index>({1}), floor_share, std::optional<T>());
  for (Index i = 0; i < rest; ++i) D.push_back(own[static_cast<std::size_t>(i)] + earlier(i));
  return D;
}

// ---- costs and settings ------------------------------------------------------------------------

/// Pairs of query and key that causal HyperAttention touches, for n = 2^levels base tokens.
struct Pairs {
  Index exact = 0;        ///< on the diagonal: n (base + 1) / 2
  Index approximate = 0;  ///< off it: n / 2 (b + m) for each level
};

inline Pairs causal_pairs(Index base, Index levels, Index block, Index samples) {
  const Index n = base << levels;
  return {n * (base + 1) / 2, n / 2 * (block + samples) * levels};
}

/// The settings of the released programs.
struct Defaults {
  Index bits, block, samples, exact_up_to;
  bool operator==(const Defaults&) const = default;
};
inline constexpr Defaults kDefaults{7, 256, 256, 4096};

inline Defaults jax_defaults(Index n) {
  return {32, std::clamp(n / 32, Index{128}, Index{512}), std::clamp(n / 64, Index{128}, Index{256}), 1024};
}

}  // namespace etalon::hyper_attention
