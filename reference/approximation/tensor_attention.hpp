/// \file
/// Tensor attention: a query scores *tuples* of keys. Ordinary attention asks "which token matches me?", and
/// one layer of it cannot ask "which pair of tokens, taken together, matches me?". Here every token has
/// several keys, one for each source, and a tuple takes one key from each source. For two sources and n
/// tokens that is n^2 pairs for each of n queries. When scores are small, a polynomial in the place of e^x
/// makes the sum over all tuples a product of sums over single tokens, and the price falls to that of linear
/// attention.
///
/// Source: \cite alman2023tensor (two sources); one source: \cite alman2023bounded; the
/// polynomial: \cite aggarwal2022exponentials. Causal form and any number of sources are worked out here.
/// \f[ x_{i, j_1 j_2} = \sigma \sum_l Q_{il} K^1_{j_1 l} K^2_{j_2 l}, \qquad
///     N_i = \sum_{j_1, j_2} e^{x_{i, j_1 j_2}}\, (v^1_{j_1} \circ v^2_{j_2}), \qquad
///     D_i = \sum_{j_1, j_2} e^{x_{i, j_1 j_2}}, \qquad o_i = N_i / D_i \f]
/// \f[ p(x_{i, j_1 j_2}) = \sum_\mu U^0_{i\mu} U^1_{j_1 \mu} U^2_{j_2 \mu}, \qquad
///     \sum_{j_1, j_2} U^1_{j_1 \mu} U^2_{j_2 \mu} (v^1_{j_1} \circ v^2_{j_2})_l = G^1_{\mu l} G^2_{\mu l},
///     \qquad G^s = (U^s)^\top V^s, \quad z^s = (U^s)^\top 1 \f]
/// U^0 holds the weighted monomials of queries, U^s those of the keys of source s (see `polynomial_exp`). The
/// scale is 1 / d, not 1 / sqrt(d). One source is softmax attention with that scale. Values multiply channel
/// by channel.
///
/// The definition is `direct`; `materialised`, `safe` and `online` compute the same numbers. `factored` is
/// `polynomial_direct`, and `recurrent` is `polynomial_causal`, exactly.
///
/// Shapes: n tokens, d channels of queries and keys, d_v of values, r = (d + g choose g) monomials.
/// \symbol{Q_i} query i, d channels
/// \symbol{K_s} keys of a source, n x d
/// \symbol{V_s} values of a source, n x d_v
/// \symbol{sigma} scale of the scores, 1 / d in the paper
/// \symbol{x} score of a tuple
/// \symbol{N_i} sum of the values of all tuples, each with its weight, d_v channels
/// \symbol{D_i} sum of the weights of query i
/// \symbol{U_0} weighted monomials of queries, n x r
/// \symbol{U_s} monomials of the keys of a source, n x r
/// \symbol{G_s} monomials times values of a source, r x d_v
/// \symbol{z_s} sums of the monomials of a source, r numbers
/// \symbol{o_i} output of query i, d_v channels
#pragma once

#include <utility>
#include <vector>

#include "reference/approximation/error_metrics.hpp"
#include "reference/approximation/polynomial_exp.hpp"
#include "reference/array.hpp"
#include "reference/linear_attention/linear_attention.hpp"
#include "reference/scalar/concepts.hpp"
#include "reference/softmax_attention/softmax_attention.hpp"

namespace etalon::tensor_attention {

using linear_attention::Memory;
using linear_attention::Sums;
using polynomial_exp::Polynomial;

/// Where a tuple takes one of its parts from: keys m x d and values m x d_v.
template <class T>
struct Source {
  Array<T> key;
  Array<T> value;
};

/// What enters: queries n x d, at least one source, and the scale. An attention of order k has k - 1 sources.
template <class T>
struct Input {
  Array<T> query;
  std::vector<Source<T>> sources;
  T scale = T(1);
};

/// The scale of the paper, 1 / d.
template <Field T>
T paper_scale(Index channels) {
  return T(1) / T(channels);
}

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Input<T>& in) {
  const char* self = "tensor_attention";
  require_rank(self, "query", in.query, 2);
  require(!in.sources.empty(), self, "sources", "empty", "at least one source");
  const std::string because = "query is " + to_string(in.query.shape());
  for (const Source<T>& source : in.sources) {
    require_rank(self, "key", source.key, 2);
    require_rank(self, "value", source.value, 2);
    const Index m = source.key.extent(0);
    require_shape(self, "key", source.key, {m, in.query.extent(1)}, because);
    require_shape(self, "value", source.value, {m, in.sources.front().value.extent(1)},
                  "key is " + to_string(source.key.shape()));
  }
}

/// Throws unless every source has as many tokens as there are queries, as a causal form needs.
/// \throws std::invalid_argument naming the shapes
template <Ring T>
void check_causal(const Input<T>& in) {
  check(in);
  for (const Source<T>& source : in.sources) {
    require_shape("tensor_attention", "key", source.key, in.query.shape(),
                  "causal: query is " + to_string(in.query.shape()));
  }
}

/// The numbers of channels of values.
template <Ring T>
Index value_channels(const Input<T>& in) {
  return in.sources.front().value.extent(1);
}

/// sigma Q: the scale goes into the queries once.
template <Ring T>
Array<T> scaled_query(const Input<T>& in) {
  Array<T> query = in.query;
  for (T& entry : query.values()) entry = in.scale * entry;  // [sigma] [Q_i]
  return query;
}

/// \name All tuples
/// \{

/// Visits every tuple whose parts are among the first `visible` tokens of their sources, from source s on:
/// `visit(x, value)`. \param product of the query and the keys chosen so far, \param value of the values
template <Ring T, class Visit>
void for_each_tuple(const Input<T>& in, std::size_t s, Index visible, const std::vector<T>& product,
                    const std::vector<T>& value, const Visit& visit) {
  if (s == in.sources.size()) {
    T score(0);
    for (const T& entry : product) score += entry;  // [x]
    visit(score, value);
    return;
  }
  const Source<T>& source = in.sources[s];
  for (Index j = 0; j < std::min(visible, source.key.extent(0)); ++j) {
    std::vector<T> next = product, next_value = value;
    for (std::size_t l = 0; l < next.size(); ++l) {
      next[l] = next[l] * source.key(j, static_cast<Index>(l));  // [K_s]
    }
    for (std::size_t l = 0; l < next_value.size(); ++l) {
      next_value[l] = next_value[l] * source.value(j, static_cast<Index>(l));  // [V_s]
    }
    for_each_tuple(in, s + 1, visible, next, next_value, visit);
  }
}

/// The same sum with as few operations as the nesting allows: what the later sources add up to is multiplied
/// once by the value of an earlier one. Adds to numerator and denominator.
template <Ring T, class Weight>
void add_tuples(const Input<T>& in, std::size_t s, Index visible, const std::vector<T>& product,
                const Weight& weight, std::vector<T>& numerator, T& denominator) {
  const Source<T>& source = in.sources[s];
  const bool last = s + 1 == in.sources.size();
  for (Index j = 0; j < std::min(visible, source.key.extent(0)); ++j) {
    std::vector<T> next = product;
    for (std::size_t l = 0; l < next.size(); ++l) {
      next[l] = next[l] * source.key(j, static_cast<Index>(l));  // [K_s]
    }
    std::vector<T> inner(numerator.size(), T(0));
    T inner_denominator(0);
    if (last) {
      T score(0);
      for (const T& entry : next) score += entry;  // [x]
      inner_denominator = stored(weight(score));
      for (T& entry : inner) entry = inner_denominator;
    } else {
      add_tuples(in, s + 1, visible, next, weight, inner, inner_denominator);
    }
    for (std::size_t l = 0; l < numerator.size(); ++l) {
      numerator[l] += inner[l] * source.value(j, static_cast<Index>(l));  // [V_s] [N_i]
    }
    denominator += inner_denominator;  // [D_i]
  }
}

/// Numerators and denominators of all queries; query i sees the first `visible(i)` tokens of every source.
template <Ring T, class Weight, class Visible>
Sums<T> sums_over_tuples(const Input<T>& in, const Weight& weight, const Visible& visible) {
  const Index n = in.query.extent(0), d_v = value_channels(in);
  const Array<T> query = scaled_query(in);
  Sums<T> sums{Array<T>({n, d_v}), Array<T>({n})};
  for (Index i = 0; i < n; ++i) {
    const auto row = query.row(i);
    std::vector<T> numerator(static_cast<std::size_t>(d_v), T(0));
    add_tuples(in, 0, visible(i), std::vector<T>(row.begin(), row.end()), weight, numerator,
               sums.denominator(i));
    for (Index l = 0; l < d_v; ++l) sums.numerator(i, l) = numerator[static_cast<std::size_t>(l)];
  }
  return sums;
}

/// Every query sees everything.
template <Ring T>
auto all_tokens(const Input<T>& in) {
  Index longest = 0;
  for (const Source<T>& source : in.sources) longest = std::max(longest, source.key.extent(0));
  return [longest](Index) { return longest; };
}

/// Query i sees tokens up to its own in every source: a product set, which is why the recurrence exists.
inline auto earlier_tokens() {
  return [](Index i) { return i + 1; };
}

/// e^x.
struct Exponentials {
  template <Exponential T>
  T operator()(const T& x) const {
    return exp(x);
  }
};

/// The definition: every query with every tuple. O(n^k (d + d_v)) operations for k - 1 sources of n tokens.
/// Overflows in floating point where e^x does.
template <Exponential T>
Array<T> direct(const Input<T>& in) {
  check(in);
  return linear_attention::normalised(sums_over_tuples(in, Exponentials(), all_tokens(in)), T(0));  // [o_i]
}

/// With a causal mask on every part of a tuple.
template <Exponential T>
Array<T> causal(const Input<T>& in) {
  check_causal(in);
  return linear_attention::normalised(sums_over_tuples(in, Exponentials(), earlier_tokens()), T(0));
}

/// In two passes: the largest score of a query is subtracted from all.
template <Exponential T>
Array<T> safe(const Input<T>& in) {
  check(in);
  const Index n = in.query.extent(0);
  const Array<T> query = scaled_query(in);
  Array<T> output({n, value_channels(in)});
  for (Index i = 0; i < n; ++i) {
    const std::vector<T> row(query.row(i).begin(), query.row(i).end());
    std::vector<T> numerator(static_cast<std::size_t>(output.extent(1)), T(0));
    T denominator(0), largest(0);
    bool first = true;
    for_each_tuple(in, 0, all_tokens(in)(i), row, {}, [&](const T& score, const std::vector<T>&) {
      largest = first ? score : maximum(largest, score);
      first = false;
    });
    const auto weight = [&](const T& x) { return exp(x - largest); };
    add_tuples(in, 0, all_tokens(in)(i), row, weight, numerator, denominator);
    for (Index l = 0; l < output.extent(1); ++l) {
      output(i, l) = stored(numerator[static_cast<std::size_t>(l)] / denominator);
    }
  }
  return output;
}

/// One pass over the tuples with the online softmax: d_v + 2 numbers of state a query.
template <Exponential T>
Array<T> online(const Input<T>& in) {
  check(in);
  const Index n = in.query.extent(0), d_v = value_channels(in);
  const Array<T> query = scaled_query(in);
  Array<T> output({n, d_v});
  for (Index i = 0; i < n; ++i) {
    auto partial = softmax_attention::no_keys<T>(d_v);
    for_each_tuple(in, 0, all_tokens(in)(i), std::vector<T>(query.row(i).begin(), query.row(i).end()),
                   std::vector<T>(static_cast<std::size_t>(d_v), T(1)),
                   [&](const T& score, const std::vector<T>& value) {
                     softmax_attention::step(partial, score, std::span<const T>(value));
                   });
    softmax_attention::finish(partial, i, output);
  }
  return output;
}

/// The column-wise Kronecker (Khatri-Rao) product: row j_1 + j_2 n_1 is row j_1 of x times row j_2 of y,
/// channel by channel. (Later papers of the same authors write the same sign for the row-wise one.)
template <Ring T>
Array<T> khatri_rao(const Array<T>& x, const Array<T>& y) {
  const Index n_1 = x.extent(0), n_2 = y.extent(0), columns = x.extent(1);
  require_shape("tensor_attention", "y", y, {n_2, columns}, "x is " + to_string(x.shape()));
  Array<T> product({n_1 * n_2, columns});
  for (Index b = 0; b < n_2; ++b) {
    for (Index a = 0; a < n_1; ++a) {
      for (Index l = 0; l < columns; ++l) product(a + b * n_1, l) = x(a, l) * y(b, l);
    }
  }
  return product;
}

/// The paper's formula as it stands: softmax attention to the Khatri-Rao products of all keys, with those of
/// all values. Needs n^(k-1) keys in memory.
template <Exponential T>
Array<T> materialised(const Input<T>& in) {
  check(in);
  Source<T> tuples = in.sources.front();
  for (std::size_t s = 1; s < in.sources.size(); ++s) {
    tuples.key = khatri_rao(tuples.key, in.sources[s].key);
    tuples.value = khatri_rao(tuples.value, in.sources[s].value);
  }
  softmax_attention::Problem<T> problem;
  problem.queries = in.query.extent(0);
  problem.score = softmax_attention::dot_product(in.query, tuples.key, in.scale);
  problem.value = tuples.value;
  return softmax_attention::safe(problem);
}
/// \}

/// \name With a polynomial in the place of e^x
/// \{

template <class T>
Index degree_of(const Polynomial<T>& c) {
  return static_cast<Index>(c.size()) - 1;
}

/// p of the score of every tuple. \throws std::domain_error where the weights of a query add up to 0
template <Field T>
Array<T> polynomial_direct(const Input<T>& in, const Polynomial<T>& c) {
  check(in);
  const auto weight = [&](const T& x) { return polynomial_exp::horner(c, x); };
  return polynomial_exp::divided(sums_over_tuples(in, weight, all_tokens(in)), degree_of(c));
}

/// The same with a causal mask on every part of a tuple.
template <Field T>
Array<T> polynomial_causal(const Input<T>& in, const Polynomial<T>& c) {
  check_causal(in);
  const auto weight = [&](const T& x) { return polynomial_exp::horner(c, x); };
  return polynomial_exp::divided(sums_over_tuples(in, weight, earlier_tokens()), degree_of(c));
}

/// The weighted monomials of the scaled queries, n x r. (The weights may stand with any one factor.)
template <Ring T>
Array<T> query_features(const Input<T>& in, const Polynomial<T>& c) {
  const polynomial_exp::QueryFeatures<T> map{polynomial_exp::monomial_weights(c, in.query.extent(1)),
                                             degree_of(c)};
  return linear_attention::mapped(map, scaled_query(in));  // [U_0]
}

/// What is remembered of each source: G (r x d_v) and z (r), all 0 at first.
template <Ring T>
std::vector<Memory<T>> empty_memory(const Input<T>& in, const Polynomial<T>& c) {
  const Index r = polynomial_exp::monomial_count(in.query.extent(1), degree_of(c));
  return std::vector<Memory<T>>(in.sources.size(), {Array<T>({r, value_channels(in)}), Array<T>({r})});
}

/// One token of a source enters its memory.
template <Ring T>
void write(Memory<T>& memory, const Source<T>& source, Index j, Index degree) {
  const std::vector<T> features = polynomial_exp::monomials(source.key.row(j), degree);  // [U_s]
  linear_attention::write(memory, std::span<const T>(features), source.value.row(j));    // [G_s] [z_s]
}

/// The memories of all sources multiplied, number by number: the memory of all tuples.
template <Ring T>
Memory<T> of_tuples(const std::vector<Memory<T>>& memories) {
  Memory<T> product = memories.front();
  for (std::size_t s = 1; s < memories.size(); ++s) {
    for (Index a = 0; a < product.normaliser.extent(0); ++a) {
      for (Index l = 0; l < product.state.extent(1); ++l) {
        product.state(a, l) = product.state(a, l) * memories[s].state(a, l);
      }
      product.normaliser(a) = product.normaliser(a) * memories[s].normaliser(a);
    }
  }
  return product;
}

/// All tokens of every source once, then every query reads. O(n r d_v k) operations instead of n^k.
/// \throws std::domain_error where the weights of a query add up to 0
template <Field T>
Array<T> factored(const Input<T>& in, const Polynomial<T>& c) {
  check(in);
  const Index n = in.query.extent(0), degree = degree_of(c);
  std::vector<Memory<T>> memories = empty_memory(in, c);
  for (std::size_t s = 0; s < memories.size(); ++s) {
    for (Index j = 0; j < in.sources[s].key.extent(0); ++j) write(memories[s], in.sources[s], j, degree);
  }
  const Memory<T> tuples = of_tuples(memories);
  const Array<T> query = query_features(in, c);
  Sums<T> sums{Array<T>({n, value_channels(in)}), Array<T>({n})};
  for (Index i = 0; i < n; ++i) {
    linear_attention::read(tuples, query.row(i), sums.numerator.row(i), sums.denominator(i));
  }
  return polynomial_exp::divided(sums, degree);
}

/// What leaves the causal form: the output n x d_v and a memory for each source.
template <Ring T>
struct Output {
  Array<T> output;
  std::vector<Memory<T>> memory;
};

/// Takes the memories of all sources from token t - 1 to token t and reads them.
template <Ring T>
void step(std::vector<Memory<T>>& memories, const Input<T>& in, Index t, Index degree,
          std::span<const T> query, std::span<T> numerator, T& denominator) {
  for (std::size_t s = 0; s < memories.size(); ++s) write(memories[s], in.sources[s], t, degree);
  linear_attention::read(of_tuples(memories), query, numerator, denominator);
}

/// Causal, token after token: prefix sums in the place of sums. (k - 1) r (d_v + 1) numbers of state.
/// \throws std::domain_error where the weights of a query add up to 0
template <Field T>
Output<T> recurrent(const Input<T>& in, const Polynomial<T>& c, std::vector<Memory<T>> memories) {
  check_causal(in);
  const Index n = in.query.extent(0);
  const Array<T> query = query_features(in, c);
  Sums<T> sums{Array<T>({n, value_channels(in)}), Array<T>({n})};
  for (Index t = 0; t < n; ++t) {
    step(memories, in, t, degree_of(c), query.row(t), sums.numerator.row(t), sums.denominator(t));
  }
  return {polynomial_exp::divided(sums, degree_of(c)), std::move(memories)};
}
/// \}

/// \name How good it is
/// \{

/// The largest score that entries of modulus at most B can have with scale 1 / d: B^k for order k.
template <Ring T>
T largest_score(const T& entry_bound, Index order) {
  T power(1);
  for (Index i = 0; i < order; ++i) power = power * entry_bound;
  return power;
}

/// How far an output of Taylor attention of degree g can be off, in units of the range of the products of
/// values, when no score exceeds `score` in modulus: the polynomial's largest relative error epsilon, and
/// from it (1 - sqrt(1 - epsilon^2)) / epsilon, which is attained. Domain: epsilon < 1.
/// \throws std::invalid_argument for epsilon of 1 or more: no bound
template <Real T>
T output_error(const T& score, Index degree) {
  const T epsilon = polynomial_exp::taylor_relative_error(score, degree);
  require(epsilon < T(1), "tensor_attention", "epsilon", "1 or more", "below 1: a larger degree");
  return error_metrics::average_error_of_exponentials(epsilon);
}

/// The rank that the paper counts with, (k (g + d) choose k g), where it treats a score as a polynomial of
/// degree k g in k d variables; the monomials that occur are (d + g choose g).
inline Index paper_rank(Index channels, Index degree, Index order) {
  return polynomial_exp::monomial_count(order * channels, order * degree);
}
/// \}

}  // namespace etalon::tensor_attention
