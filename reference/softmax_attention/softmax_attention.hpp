/// \file
/// Softmax attention: every query averages the values, weighted by how well its key fits. The mixer that all
/// others replace or approximate, and so the oracle of this project; here in all the forms that compute the
/// same number.
///
/// Source: \cite vaswani2017attention; one pass over the keys: \cite milakov2018online; tiles:
/// \cite dao2022flashattention and \cite dao2023flashattention2.
/// \f[ s_{ij} = \sigma\, q_i^\top k_j, \qquad m_i = \max_{j \in A_i} s_{ij}, \qquad
///     l_i = \sum_{j \in A_i} e^{s_{ij} - m_i}, \qquad p_{ij} = e^{s_{ij} - m_i} / l_i, \qquad
///     o_i = \sum_{j \in A_i} p_{ij} v_j \f]
/// Query i attends to the keys A_i that the mask admits. A row without any key has output 0 (and m =
/// -infinity, l = 0).
///
/// Shapes: n_q queries and n_k keys with d_k channels, n_k values with d_v channels.
/// \symbol{q_i} query i, d_k channels
/// \symbol{k_j} key j, d_k channels
/// \symbol{v_j} value j, d_v channels
/// \symbol{sigma} scale of the scores, usually 1 / sqrt(d_k)
/// \symbol{A_i} the keys that query i may attend to
/// \symbol{s_ij} score of key j for query i
/// \symbol{m_i} reference that is subtracted from the scores: their maximum, or any other number
/// \symbol{l_i} sum of the weights of query i
/// \symbol{p_ij} weight of key j for query i
/// \symbol{o_i} output of query i, d_v channels
/// \symbol{beta} sink: the logit of one more key whose value is 0
/// \symbol{c} soft cap: scores are squeezed into (-c, c)
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::softmax_attention {

// ---- scores and masks: what may differ from one attention to the next --------------------------

/// The score s_ij of key j for query i.
template <class T>
using Score = std::function<T(Index i, Index j)>;

/// Whether query i may attend to key j.
using Mask = std::function<bool(Index i, Index j)>;

/// s_ij = sigma q_i . k_j. Refers to both arrays, which must outlive it.
template <Ring T>
Score<T> dot_product(const Array<T>& query, const Array<T>& key, const T& scale) {
  require_rank("softmax_attention", "query", query, 2);
  require_rank("softmax_attention", "key", key, 2);
  require(query.extent(1) == key.extent(1), "softmax_attention", "query", to_string(query.shape()),
          "as many channels as key, which is " + to_string(key.shape()));
  return [&query, &key, scale](Index i, Index j) {
    T sum(0);
    for (Index c = 0; c < key.extent(1); ++c) sum += query(i, c) * key(j, c);  // [q_i] [k_j]
    return scale * sum;                                                        // [s_ij] [sigma]
  };
}

/// c tanh(s_ij / c): near s_ij for small scores, never beyond c. \param cap c > 0
template <Real T>
Score<T> soft_capped(Score<T> score, const T& cap) {
  require(T(0) < cap, "softmax_attention", "cap", "not above 0", "a number above 0");
  return [score = std::move(score), cap](Index i, Index j) {
    return cap * tanh(score(i, j) / cap);  // [c]
  };
}

/// s_ij + B_ij. \param bias n_q x n_k, which must outlive the score
template <Ring T>
Score<T> biased(Score<T> score, const Array<T>& bias) {
  return [score = std::move(score), &bias](Index i, Index j) { return score(i, j) + bias(i, j); };
}

/// s_ij - a |i + n_k - n_q - j|: attention with linear biases, for a head of slope a.
template <Ring T>
Score<T> with_linear_bias(Score<T> score, const T& slope, Index queries, Index keys) {
  return [score = std::move(score), slope, queries, keys](Index i, Index j) {
    return score(i, j) - slope * T(std::abs(i + keys - queries - j));
  };
}

/// Every query sees every key.
inline Mask full_mask() {
  return [](Index, Index) { return true; };
}

/// A query sees the keys up to its own position. With unequal lengths the last query stands at the last key.
inline Mask causal_mask(Index queries, Index keys) {
  return [queries, keys](Index i, Index j) { return j <= i + keys - queries; };
}

/// The first query stands at the first key instead. Frameworks differ here: always say which is meant.
inline Mask causal_mask_top_left() {
  return [](Index i, Index j) { return j <= i; };
}

/// A query sees `left` keys before its own position, that position, and `right` keys after it.
/// \throws std::invalid_argument for a negative reach
inline Mask window_mask(Index queries, Index keys, Index left, Index right) {
  require(left >= 0, "softmax_attention", "left", std::to_string(left), "0 or more");
  require(right >= 0, "softmax_attention", "right", std::to_string(right), "0 or more");
  return [=](Index i, Index j) {
    const Index position = i + keys - queries;
    return position - left <= j && j <= position + right;
  };
}

/// The first `sinks` keys and the last `window` ones up to a query's own position, as for endless streams
/// (\cite xiao2023sinks): the other thing that is called an attention sink.
inline Mask streaming_mask(Index sinks, Index window) {
  return [=](Index i, Index j) { return j <= i && (j < sinks || i - window < j); };
}

/// Any mask, as an n_q x n_k array of 0 and 1, which must outlive the mask.
inline Mask given_mask(const Array<Index>& allowed) {
  return [&allowed](Index i, Index j) { return allowed(i, j) != 0; };
}

// ---- the problem and its results ---------------------------------------------------------------

/// What enters: scores and mask as functions, the values n_k x d_v, and optionally the logit of a sink.
template <class T>
struct Problem {
  Index queries = 0;
  Score<T> score;
  Mask mask = full_mask();
  Array<T> value;
  std::optional<T> sink;
};

/// A partial result over some keys: their maximum m, the sum l of their weights and the unnormalised output
/// o, both relative to m. Partial results merge; `empty` stands for m = -infinity, the result over no keys.
template <class T>
struct Partial {
  bool empty = true;
  T m = T(0);
  T l = T(0);
  std::vector<T> o;
};

template <OrderedField T>
Partial<T> no_keys(Index d_v) {
  return {true, T(0), T(0), std::vector<T>(static_cast<std::size_t>(d_v), T(0))};
}

/// The sink is a partial result over one key whose value is 0.
template <OrderedField T>
Partial<T> start(const Problem<T>& in) {
  Partial<T> partial = no_keys<T>(in.value.extent(1));
  if (in.sink) {
    partial.empty = false;
    partial.m = *in.sink;  // [beta]
    partial.l = T(1);
  }
  return partial;
}

/// Writes o_i = o / l, or 0 where there was no key.
template <OrderedField T>
void finish(const Partial<T>& partial, Index i, Array<T>& output) {
  for (Index c = 0; c < output.extent(1); ++c) {
    output(i, c) = partial.empty ? T(0) : stored(partial.o[c] / partial.l);  // [o_i]
  }
}

/// Throws unless the shapes fit together.
template <class T>
void check(const Problem<T>& in) {
  require_rank("softmax_attention", "value", in.value, 2);
  require(in.queries >= 1, "softmax_attention", "queries", std::to_string(in.queries), "1 or more");
}

/// The keys of query i among [first, last).
template <class T>
std::vector<Index> keys_of(const Problem<T>& in, Index i, Index first, Index last) {
  std::vector<Index> keys;
  for (Index j = first; j < last; ++j) {
    if (in.mask(i, j)) keys.push_back(j);  // [A_i]
  }
  return keys;
}

// ---- forms -------------------------------------------------------------------------------------

/// The definition without a reference: e^{s_ij} as it stands. Exact in exact arithmetic, and overflows in
/// floating point from scores of 88.8 (float32) or 11.1 (float16) on.
template <Exponential T>
Array<T> direct(const Problem<T>& in) {
  check(in);
  const Index n_k = in.value.extent(0), d_v = in.value.extent(1);
  Array<T> output({in.queries, d_v});
  for (Index i = 0; i < in.queries; ++i) {
    Partial<T> partial = no_keys<T>(d_v);
    if (in.sink) {
      partial.empty = false;
      partial.l = exp(*in.sink);
    }
    for (const Index j : keys_of(in, i, 0, n_k)) {
      const T weight = exp(in.score(i, j));
      partial.empty = false;
      partial.l += weight;
      for (Index c = 0; c < d_v; ++c) partial.o[c] += weight * in.value(j, c);
    }
    finish(partial, i, output);
  }
  return output;
}

/// The definition: two passes over the keys, the first for the maximum. O(n_q n_k (d_k + d_v)) operations.
template <Exponential T>
Array<T> safe(const Problem<T>& in) {
  check(in);
  const Index n_k = in.value.extent(0), d_v = in.value.extent(1);
  Array<T> output({in.queries, d_v});
  for (Index i = 0; i < in.queries; ++i) {
    const std::vector<Index> keys = keys_of(in, i, 0, n_k);
    std::vector<T> scores;
    for (const Index j : keys) scores.push_back(in.score(i, j));
    Partial<T> partial = start(in);
    for (const T& score : scores) {
      partial.m = partial.empty ? score : maximum(partial.m, score);  // [m_i]
      partial.empty = false;
    }
    if (in.sink) partial.l = exp(*in.sink - partial.m);
    for (std::size_t a = 0; a < keys.size(); ++a) {
      const T weight = exp(scores[a] - partial.m);  // [p_ij] before the division by l
      partial.l += weight;                          // [l_i]
      for (Index c = 0; c < d_v; ++c) partial.o[c] += stored(weight) * in.value(keys[a], c);  // [v_j]
    }
    finish(partial, i, output);
  }
  return output;
}

/// Adds one key with the given score and value to a partial result: the online softmax. One of the two
/// factors is e^0 = 1, so one exponential a key is enough.
template <Exponential T>
void step(Partial<T>& partial, const T& score, std::span<const T> value) {
  if (partial.empty) {
    partial = {false, score, T(1), std::vector<T>(value.begin(), value.end())};
    return;
  }
  if (partial.m < score) {
    const T fade = exp(partial.m - score);
    partial.m = score;
    partial.l = fade * partial.l + T(1);
    for (std::size_t c = 0; c < value.size(); ++c) partial.o[c] = fade * partial.o[c] + value[c];
  } else {
    const T weight = exp(score - partial.m);
    partial.l += weight;
    for (std::size_t c = 0; c < value.size(); ++c) partial.o[c] += weight * value[c];
  }
}

/// One pass, one key at a time, d_v + 2 numbers of state a query.
template <Exponential T>
Array<T> online(const Problem<T>& in) {
  check(in);
  Array<T> output({in.queries, in.value.extent(1)});
  for (Index i = 0; i < in.queries; ++i) {
    Partial<T> partial = start(in);
    for (const Index j : keys_of(in, i, 0, in.value.extent(0)))
      step(partial, in.score(i, j), in.value.row(j));
    finish(partial, i, output);
  }
  return output;
}

/// The scores of the keys of one tile for query i, and the largest of them.
template <class T>
struct Tile {
  std::vector<Index> keys;
  std::vector<T> scores;
  T largest = T(0);
};

template <OrderedField T>
Tile<T> tile_of(const Problem<T>& in, Index i, Index first, Index last) {
  Tile<T> tile{keys_of(in, i, first, last), {}, T(0)};
  for (const Index j : tile.keys) {
    tile.scores.push_back(in.score(i, j));
    tile.largest = tile.scores.size() == 1 ? tile.scores.back() : maximum(tile.largest, tile.scores.back());
  }
  return tile;
}

/// FlashAttention-2: tiles of `width` keys, the output divided by l once, at the end. With a `slack` above 0
/// the reference m stays where it is as long as no score exceeds it by more than that (lazy rescaling): any
/// reference gives the same result, so the rescaling can be saved. \throws std::invalid_argument for width
/// below 1 or negative slack
template <Exponential T>
Array<T> tiled(const Problem<T>& in, Index width, const T& slack) {
  check(in);
  require(width >= 1, "softmax_attention", "tile", std::to_string(width), "1 or more");
  require(!(slack < T(0)), "softmax_attention", "slack", "negative", "0 or more");
  const Index n_k = in.value.extent(0), d_v = in.value.extent(1);
  Array<T> output({in.queries, d_v});
  for (Index i = 0; i < in.queries; ++i) {
    Partial<T> partial = start(in);
    for (Index first = 0; first < n_k; first += width) {
      const Tile<T> tile = tile_of(in, i, first, std::min(first + width, n_k));
      if (tile.keys.empty()) continue;
      if (partial.empty) {
        partial.m = tile.largest;
        partial.empty = false;
      } else if (partial.m + slack < tile.largest) {
        const T fade = exp(partial.m - tile.largest);
        partial.l = fade * partial.l;
        for (T& o : partial.o) o = fade * o;
        partial.m = tile.largest;
      }
      for (std::size_t a = 0; a < tile.keys.size(); ++a) {
        const T weight = exp(tile.scores[a] - partial.m);
        partial.l += weight;
        for (Index c = 0; c < d_v; ++c) partial.o[c] += stored(weight) * in.value(tile.keys[a], c);
      }
    }
    finish(partial, i, output);
  }
  return output;
}

/// FlashAttention-1: the output is kept normalised after every tile, at the price of one division an element
/// and tile.
template <Exponential T>
Array<T> tiled_normalised(const Problem<T>& in, Index width) {
  check(in);
  require(width >= 1, "softmax_attention", "tile", std::to_string(width), "1 or more");
  const Index n_k = in.value.extent(0), d_v = in.value.extent(1);
  Array<T> output({in.queries, d_v});
  for (Index i = 0; i < in.queries; ++i) {
    Partial<T> partial = start(in);
    for (Index first = 0; first < n_k; first += width) {
      const Tile<T> tile = tile_of(in, i, first, std::min(first + width, n_k));
      if (tile.keys.empty()) continue;
      const T m = partial.empty ? tile.largest : maximum(partial.m, tile.largest);
      const T kept = partial.empty ? T(0) : exp(partial.m - m) * partial.l;
      T l = kept;
      std::vector<T> o(static_cast<std::size_t>(d_v), T(0));
      for (std::size_t a = 0; a < tile.keys.size(); ++a) {
        const T weight = exp(tile.scores[a] - m);
        l += weight;
        for (Index c = 0; c < d_v; ++c) o[c] += stored(weight) * in.value(tile.keys[a], c);
      }
      for (Index c = 0; c < d_v; ++c) partial.o[c] = (kept * partial.o[c] + o[c]) / l;
      partial.m = m;
      partial.l = l;
      partial.empty = false;
    }
    for (Index c = 0; c < d_v; ++c) output(i, c) = stored(partial.o[c]);
  }
  return output;
}

/// (m_1, l_1, o_1) + (m_2, l_2, o_2): what two disjoint sets of keys give together. Associative and
/// commutative, because (e^m l, e^m o) simply adds up; the result over no keys is the neutral element.
template <Exponential T>
Partial<T> merge(const Partial<T>& a, const Partial<T>& b) {
  if (a.empty) return b;
  if (b.empty) return a;
  Partial<T> both;
  both.empty = false;
  both.m = maximum(a.m, b.m);
  const T of_a = exp(a.m - both.m), of_b = exp(b.m - both.m);
  both.l = of_a * a.l + of_b * b.l;
  for (std::size_t c = 0; c < a.o.size(); ++c) both.o.push_back(of_a * a.o[c] + of_b * b.o[c]);
  return both;
}

/// The partial result of query i over the keys [first, last).
template <Exponential T>
Partial<T> over_keys(const Problem<T>& in, Index i, Index first, Index last) {
  Partial<T> partial = no_keys<T>(in.value.extent(1));
  for (const Index j : keys_of(in, i, first, last)) step(partial, in.score(i, j), in.value.row(j));
  return partial;
}

/// Split keys, as for decoding over many processors or round a ring (\cite liu2023ring): each part on its
/// own, then merged pairwise like a tournament. The sink joins exactly once. \throws std::invalid_argument
/// for fewer than one part
template <Exponential T>
Array<T> split(const Problem<T>& in, Index parts) {
  check(in);
  require(parts >= 1, "softmax_attention", "parts", std::to_string(parts), "1 or more");
  const Index n_k = in.value.extent(0);
  Array<T> output({in.queries, in.value.extent(1)});
  for (Index i = 0; i < in.queries; ++i) {
    std::vector<Partial<T>> round{start(in)};
    for (Index part = 0; part < parts; ++part) {
      round.push_back(over_keys(in, i, part * n_k / parts, (part + 1) * n_k / parts));
    }
    while (round.size() > 1) {
      std::vector<Partial<T>> winners;
      for (std::size_t a = 0; a + 1 < round.size(); a += 2) winners.push_back(merge(round[a], round[a + 1]));
      if (round.size() % 2 == 1) winners.push_back(round.back());
      round = std::move(winners);
    }
    finish(round.front(), i, output);
  }
  return output;
}

/// L_i = m_i + log l_i of every query: what kernels keep for their backward pass. Rows without a key are left
/// out by the caller, since their L is -infinity.
template <Real T>
T log_sum_exp(const Partial<T>& partial) {
  return partial.m + log(partial.l);
}

// ---- backward ----------------------------------------------------------------------------------

/// The gradients of a loss with respect to the inputs. `score` is that of s_ij itself, which is also the
/// gradient of a bias.
template <class T>
struct Gradient {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> score;
  T sink = T(0);
  T scale = T(0);
};

/// The gradient of the scores and values, n_q x n_k and n_k x d_v, and of the sink:
/// dV_j = sum_i p_ij do_i, ds_ij = p_ij (do_i . v_j - do_i . o_i), dbeta = -sum_i p_i,beta (do_i . o_i).
/// \param d_output n_q x d_v
template <Exponential T>
Gradient<T> backward_of_scores(const Problem<T>& in, const Array<T>& d_output) {
  check(in);
  const Index n_k = in.value.extent(0), d_v = in.value.extent(1);
  require_shape("softmax_attention", "d_output", d_output, {in.queries, d_v});
  const Array<T> output = safe(in);
  Gradient<T> d;
  d.value = Array<T>({n_k, d_v});
  d.score = Array<T>({in.queries, n_k});
  for (Index i = 0; i < in.queries; ++i) {
    Partial<T> partial = merge(start(in), over_keys(in, i, 0, n_k));
    T shared(0);  // do_i . o_i
    for (Index c = 0; c < d_v; ++c) shared += d_output(i, c) * output(i, c);
    for (const Index j : keys_of(in, i, 0, n_k)) {
      const T weight = exp(in.score(i, j) - partial.m) / partial.l;
      T fit(0);
      for (Index c = 0; c < d_v; ++c) {
        d.value(j, c) += weight * d_output(i, c);
        fit += d_output(i, c) * in.value(j, c);
      }
      d.score(i, j) = weight * (fit - shared);
    }
    if (in.sink) d.sink -= exp(*in.sink - partial.m) / partial.l * shared;
  }
  return d;
}

/// Adds the gradients of query, key and scale, for scores sigma q_i . k_j:
/// dq_i = sigma sum_j ds_ij k_j, dk_j = sigma sum_i ds_ij q_i, dsigma = sum_ij ds_ij q_i . k_j.
/// Under a soft cap the caller first multiplies ds_ij by 1 - (s_ij / c)^2.
template <Ring T>
void backward_of_dot_product(const Array<T>& query, const Array<T>& key, const T& scale, Gradient<T>& d) {
  d.query = Array<T>(query.shape());
  d.key = Array<T>(key.shape());
  for (Index i = 0; i < query.extent(0); ++i) {
    for (Index j = 0; j < key.extent(0); ++j) {
      for (Index c = 0; c < key.extent(1); ++c) {
        d.query(i, c) += scale * d.score(i, j) * key(j, c);
        d.key(j, c) += scale * d.score(i, j) * query(i, c);
        d.scale += d.score(i, j) * query(i, c) * key(j, c);
      }
    }
  }
}

}  // namespace etalon::softmax_attention
