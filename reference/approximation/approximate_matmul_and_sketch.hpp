/// \file
/// The random tools that approximate attention rests on: a long sum replaced by a few of its terms, long
/// vectors replaced by short projections, similar vectors found by their hashes. Each has an exact mean or
/// probability, so each can be checked without a tolerance: all outcomes are counted instead of a few drawn.
/// Randomness is an argument everywhere: lists of indices, signs, projections, numbers between 0 and 1.
///
/// A product of matrices is a sum over the inner index. Sampling keeps m terms, each divided by its
/// probability (\cite drineas2006matrix); a sketch S mixes all terms into m. `sampled` is the definition.
/// \f[ XY = \sum_k X_{:,k} Y_{k,:} \;\approx\; C = \frac1m \sum_{s=1}^m \frac{X_{:,k_s} Y_{k_s,:}}{\pi_{k_s}}
///     = X S^\top S\, Y, \qquad S_{s,k_s} = 1 / \sqrt{m \pi_{k_s}} \f]
/// \f[ \mathbb E\, C = XY, \qquad \mathbb E \|C - XY\|_F^2
///     = \frac1m \Bigl( \sum_k \frac{a_k b_k}{\pi_k} - \|XY\|_F^2 \Bigr) \f]
/// Sketches: random signs or normal numbers (\cite johnson1984extensions), the subsampled Hadamard transform
/// \f$ S = \sqrt{N/m}\, P H \Delta \f$ (\cite ailon2009fast, \cite tropp2011srht). Hashes: signs of
/// projections (\cite charikar2002similarity) and the nearest axis after a rotation (\cite andoni2015lsh).
/// The median of means is by \cite nemirovsky1983problem.
///
/// Shapes: X is p x n, Y is n x q, C is p x q, m samples.
/// \symbol{X} left factor, p x n
/// \symbol{Y} right factor, n x q
/// \symbol{C} approximation of the product X Y, p x q
/// \symbol{m} number of samples, or of rows of a sketch
/// \symbol{k_s} index that sample s drew
/// \symbol{pi_k} probability of drawing index k
/// \symbol{a_k} squared norm of column k of X
/// \symbol{b_k} squared norm of row k of Y
/// \symbol{S} sketch, m x n
/// \symbol{H} Hadamard matrix of signs, N x N for a power of two N, without its factor 1 / sqrt(N)
/// \symbol{Delta} random signs, one for each index
/// \symbol{P} the m rows that are picked of the transformed vector
/// \symbol{F_j} probability of an index up to j
/// \symbol{u} number drawn uniformly from [0, 1)
/// \symbol{w_c} direction of hash bit c
/// \symbol{r} number of hash bits
/// \symbol{G} reflected Gray code: the word at a position
/// \symbol{p} probability that one hash bit of two vectors differs: their angle over pi
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::approximate_matmul_and_sketch {

inline constexpr const char* kSelf = "approximate_matmul_and_sketch";

// ---- products, norms, lists --------------------------------------------------------------------

/// Throws unless X and Y can be multiplied.
/// \throws std::invalid_argument
template <Ring T>
void check(const Array<T>& X, const Array<T>& Y) {
  require_rank(kSelf, "X", X, 2);
  require_rank(kSelf, "Y", Y, 2);
  require(X.extent(1) == Y.extent(0), kSelf, "Y", to_string(Y.shape()),
          "as many rows as X has columns, X is " + to_string(X.shape()));
}

/// Throws unless the list has an entry and all of them lie in 0 ... n - 1.
/// \throws std::invalid_argument
inline void check_list(const char* argument, const Array<Index>& list, Index n) {
  require_rank(kSelf, argument, list, 1);
  for (const Index k : list.values()) {
    require(k >= 0 && k < n, kSelf, argument, "an entry " + std::to_string(k),
            "0 to " + std::to_string(n - 1));
  }
}

/// X Y itself: n p q multiplications.
template <Ring T>
Array<T> product(const Array<T>& X, const Array<T>& Y) {
  check(X, Y);
  Array<T> C({X.extent(0), Y.extent(1)});
  for (Index i = 0; i < C.extent(0); ++i) {
    for (Index j = 0; j < C.extent(1); ++j) {
      for (Index k = 0; k < X.extent(1); ++k) C(i, j) += X(i, k) * Y(k, j);  // [X] [Y]
    }
  }
  return C;
}

template <Ring T>
Array<T> transposed(const Array<T>& matrix) {
  Array<T> flipped({matrix.extent(1), matrix.extent(0)});
  for (Index i = 0; i < matrix.extent(0); ++i) {
    for (Index j = 0; j < matrix.extent(1); ++j) flipped(j, i) = matrix(i, j);
  }
  return flipped;
}

/// b_k: the squared norm of each row. Those of columns, a_k, are the same of the transposed matrix.
template <Ring T>
Array<T> squared_row_norms(const Array<T>& Y) {
  require_rank(kSelf, "Y", Y, 2);
  Array<T> b({Y.extent(0)});
  for (Index k = 0; k < Y.extent(0); ++k) {
    for (Index j = 0; j < Y.extent(1); ++j) b(k) += Y(k, j) * Y(k, j);  // [b_k]
  }
  return b;
}

template <Ring T>
T total(const Array<T>& numbers) {
  T sum(0);
  for (const T& x : numbers.values()) sum += x;
  return sum;
}

/// ||.||_F^2: the sum of the squares of all entries.
template <Ring T>
T squared_frobenius(const Array<T>& matrix) {
  T sum(0);
  for (const T& x : matrix.values()) sum += x * x;
  return sum;
}

// ---- probabilities -----------------------------------------------------------------------------

/// Numbers that are not negative over their sum; all equal when all are 0, since then any choice will do.
template <OrderedField T>
Array<T> normalised(const Array<T>& weight) {
  require_rank(kSelf, "weight", weight, 1);
  const T sum = total(weight);
  Array<T> probability({weight.extent(0)});
  for (Index k = 0; k < weight.extent(0); ++k) {
    probability(k) = T(0) < sum ? weight(k) / sum : T(1) / T(weight.extent(0));  // [pi_k]
  }
  return probability;
}

/// pi_k proportional to whole numbers above 0.
/// \throws std::invalid_argument for a weight below 1
template <Field T>
Array<T> weights_probability(const Array<Index>& weights) {
  require_rank(kSelf, "weights", weights, 1);
  Index sum = 0;
  for (const Index weight : weights.values()) {
    require(weight >= 1, kSelf, "weights", "an entry " + std::to_string(weight), "1 or more");
    sum += weight;
  }
  Array<T> probability({weights.extent(0)});
  for (Index k = 0; k < weights.extent(0); ++k) probability(k) = T(weights(k)) / T(sum);
  return probability;
}

/// pi_k = b_k / ||Y||_F^2: looks at one factor only, as HyperAttention does at the values.
template <OrderedField T>
Array<T> row_norm_probability(const Array<T>& Y) {
  return normalised(squared_row_norms(Y));
}

/// pi_k proportional to |X_k| |Y_k|, the choice with the smallest expected error.
/// \param x_norm,y_norm the norms themselves, n numbers each (`norms` takes the roots)
template <OrderedField T>
Array<T> optimal_probability(const Array<T>& x_norm, const Array<T>& y_norm) {
  require_shape(kSelf, "y_norm", y_norm, x_norm.shape(), "x_norm is " + to_string(x_norm.shape()));
  Array<T> weight = x_norm;
  for (Index k = 0; k < weight.extent(0); ++k) weight(k) *= y_norm(k);
  return normalised(weight);
}

/// The roots of squared norms.
template <Real T>
Array<T> norms(Array<T> squared) {
  for (T& x : squared.values()) x = sqrt(x);
  return squared;
}

/// KDEformer's released code (\cite zandieh2023kdeformer): pi_j proportional to |(v_j, 1)| / lambda + 1 / n.
/// The code passes the operator norm of the Gram matrix of the rows (v_j, 1) as `lambda`, which is the
/// *square* of the operator norm of the matrix itself.
template <Real T>
Array<T> kdeformer_probability(const Array<T>& value, const T& lambda) {
  Array<T> weight = squared_row_norms(value);
  const T floor = T(1) / T(value.extent(0));
  for (T& x : weight.values()) x = sqrt(x + T(1)) / lambda + floor;
  return normalised(weight);
}

// ---- sampling a product ------------------------------------------------------------------------

/// The definition: the terms that were drawn, each divided by its probability, averaged. No drawn index may
/// have probability 0. m p q multiplications and m q to scale the rows.
/// \param samples m indices \param probability n numbers
template <Field T>
Array<T> sampled(const Array<T>& X, const Array<T>& Y, const Array<Index>& samples,
                 const Array<T>& probability) {
  check(X, Y);
  check_list("samples", samples, Y.extent(0));
  require_shape(kSelf, "probability", probability, {Y.extent(0)}, "Y is " + to_string(Y.shape()));
  const Index m = samples.extent(0);  // [m]
  Array<T> C({X.extent(0), Y.extent(1)});
  for (const Index k : samples.values()) {  // [k_s]
    const T weight = T(1) / probability(k);
    for (Index j = 0; j < C.extent(1); ++j) {
      const T scaled = weight * Y(k, j);
      for (Index i = 0; i < C.extent(0); ++i) C(i, j) += X(i, k) * scaled;  // [C]
    }
  }
  for (T& c : C.values()) c = stored(c / T(m));
  return C;
}

/// The same by how often each index was drawn: C = X diag(count_k / (m pi_k)) Y.
template <Field T>
Array<T> by_counts(const Array<T>& X, const Array<T>& Y, const Array<Index>& samples,
                   const Array<T>& probability) {
  check(X, Y);
  check_list("samples", samples, Y.extent(0));
  require_shape(kSelf, "probability", probability, {Y.extent(0)}, "Y is " + to_string(Y.shape()));
  std::vector<Index> count(static_cast<std::size_t>(Y.extent(0)), 0);
  for (const Index k : samples.values()) ++count[static_cast<std::size_t>(k)];
  Array<T> scaled({Y.extent(0), Y.extent(1)});
  for (Index k = 0; k < Y.extent(0); ++k) {
    if (count[static_cast<std::size_t>(k)] == 0) continue;  // its probability may be 0
    const T weight = T(count[static_cast<std::size_t>(k)]) / (T(samples.extent(0)) * probability(k));
    for (Index j = 0; j < Y.extent(1); ++j) scaled(k, j) = weight * Y(k, j);
  }
  return product(X, scaled);
}

/// The sampling matrix, m x n: one entry 1 / sqrt(m pi) in each row.
template <Real T>
Array<T> sampling_matrix(const Array<Index>& samples, const Array<T>& probability) {
  check_list("samples", samples, probability.extent(0));
  const Index m = samples.extent(0);
  Array<T> S({m, probability.extent(0)});
  for (Index s = 0; s < m; ++s) {
    S(s, samples(s)) = T(1) / sqrt(T(m) * probability(samples(s)));  // [S]
  }
  return S;
}

/// Sampling with pi_k = b_k / ||Y||_F^2: C = ||Y||_F^2 / m sum X_k Y_k / b_k. A row of zeros is never drawn,
/// and adds nothing if it stands in the list all the same.
template <OrderedField T>
Array<T> row_norm_sampled(const Array<T>& X, const Array<T>& Y, const Array<Index>& samples) {
  check(X, Y);
  check_list("samples", samples, Y.extent(0));
  const Array<T> b = squared_row_norms(Y);
  const T whole = total(b);
  Array<T> C({X.extent(0), Y.extent(1)});
  for (const Index k : samples.values()) {
    if (!(T(0) < b(k))) continue;
    const T weight = whole / b(k);
    for (Index j = 0; j < C.extent(1); ++j) {
      const T scaled = weight * Y(k, j);
      for (Index i = 0; i < C.extent(0); ++i) C(i, j) += X(i, k) * scaled;
    }
  }
  for (T& c : C.values()) c = stored(c / T(samples.extent(0)));
  return C;
}

/// Uniform sampling without replacement: n / m times the sum over m different terms. Exact for m = n.
/// \throws std::invalid_argument when an index stands twice in the list
template <Field T>
Array<T> without_replacement(const Array<T>& X, const Array<T>& Y, const Array<Index>& subset) {
  check(X, Y);
  check_list("subset", subset, Y.extent(0));
  std::vector<bool> seen(static_cast<std::size_t>(Y.extent(0)), false);
  for (const Index k : subset.values()) {
    require(!seen[static_cast<std::size_t>(k)], kSelf, "subset", std::to_string(k) + " a second time",
            "each index at most once");
    seen[static_cast<std::size_t>(k)] = true;
  }
  const T weight = T(Y.extent(0)) / T(subset.extent(0));
  Array<T> C({X.extent(0), Y.extent(1)});
  for (Index i = 0; i < C.extent(0); ++i) {
    for (Index j = 0; j < C.extent(1); ++j) {
      T sum(0);
      for (const Index k : subset.values()) sum += X(i, k) * Y(k, j);
      C(i, j) = stored(weight * sum);
    }
  }
  return C;
}

// ---- what sampling costs in accuracy: exact second moments -------------------------------------

/// E ||C - X Y||_F^2 of `sampled`: (sum a_k b_k / pi_k - ||X Y||_F^2) / m. With row norms the sum is
/// ||X||_F^2 ||Y||_F^2, with the optimal choice (sum |X_k| |Y_k|)^2.
template <OrderedField T>
T sampling_error(const Array<T>& X, const Array<T>& Y, const Array<T>& probability, Index m) {
  const Array<T> a = squared_row_norms(transposed(X)), b = squared_row_norms(Y);  // [a_k]
  T sum(0);
  for (Index k = 0; k < Y.extent(0); ++k) {
    const T term = a(k) * b(k);
    if (T(0) < term) sum += term / probability(k);
  }
  return (sum - squared_frobenius(product(X, Y))) / T(m);
}

/// The variance of one entry of `sampled`: (sum X_ik^2 Y_kj^2 / pi_k - (X Y)_ij^2) / m.
template <OrderedField T>
T entry_variance(const Array<T>& X, const Array<T>& Y, const Array<T>& probability, Index m, Index i,
                 Index j) {
  T sum(0), mean(0);
  for (Index k = 0; k < Y.extent(0); ++k) {
    const T term = X(i, k) * Y(k, j);
    mean += term;
    if (T(0) < term * term) sum += term * term / probability(k);
  }
  return (sum - mean * mean) / T(m);
}

/// E ||C - X Y||_F^2 of `without_replacement`: (n - m) / (n - 1) times that of uniform sampling.
template <OrderedField T>
T without_replacement_error(const Array<T>& X, const Array<T>& Y, Index m) {
  const Index n = Y.extent(0);
  if (m == n) return T(0);
  const Array<T> uniform({n}, T(1) / T(n));
  return T(n - m) / T(n - 1) * sampling_error(X, Y, uniform, m);
}

// ---- drawing an index --------------------------------------------------------------------------

/// The first j with F_j > u: index j for a share pi_j of the u. The last index takes what is left, because
/// probabilities that were rounded may add up to less than 1. Indices of probability 0 are not drawn.
template <OrderedField T>
Index inverse_cdf(const Array<T>& probability, const T& u) {
  require_rank(kSelf, "probability", probability, 1);
  Index last = 0;
  T sum(0);
  for (Index j = 0; j < probability.extent(0); ++j) {
    if (!(T(0) < probability(j))) continue;
    last = j;
    sum += probability(j);  // [F_j]
    if (u < sum) return j;  // [u]
  }
  return last;
}

/// Systematic sampling: m equally spaced numbers (u + s) / m instead of m independent ones. Each index comes
/// m pi_k times up to less than one, so the variance is not that of independent samples.
template <OrderedField T>
Array<Index> systematic(const Array<T>& probability, const T& u, Index m) {
  require(m >= 1, kSelf, "m", std::to_string(m), "1 or more");
  Array<Index> samples({m});
  for (Index s = 0; s < m; ++s) samples(s) = inverse_cdf(probability, T((u + T(s)) / T(m)));
  return samples;
}

/// An alias table: n cells of equal probability 1 / n, each shared by an index and its alias.
template <OrderedField T>
struct AliasTable {
  Array<T> keep;       ///< the share of cell k that belongs to k itself
  Array<Index> alias;  ///< whom the rest of it belongs to
};

/// Cells with too little give their rest to one with too much, n - 1 times. O(n) operations.
template <OrderedField T>
AliasTable<T> alias_table(const Array<T>& probability) {
  require_rank(kSelf, "probability", probability, 1);
  const Index n = probability.extent(0);
  AliasTable<T> table{Array<T>({n}, T(1)), Array<Index>({n})};
  std::vector<Index> poor, rich;
  Array<T> share({n});
  for (Index k = 0; k < n; ++k) {
    table.alias(k) = k;
    share(k) = T(n) * probability(k);
    (share(k) < T(1) ? poor : rich).push_back(k);
  }
  while (!poor.empty() && !rich.empty()) {
    const Index k = poor.back(), from = rich.back();
    poor.pop_back();
    table.keep(k) = share(k);
    table.alias(k) = from;
    share(from) -= T(1) - share(k);
    if (share(from) < T(1)) {
      rich.pop_back();
      poor.push_back(from);
    }
  }
  return table;
}

/// One index from one u: the cell from its whole part, the side of the cell from the rest.
template <OrderedField T>
Index alias_draw(const AliasTable<T>& table, const T& u) {
  const Index n = table.alias.extent(0);
  const T place = T(n) * u;
  Index cell = 0;
  while (cell + 1 < n && !(place < T(cell + 1))) ++cell;
  return place - T(cell) < table.keep(cell) ? cell : table.alias(cell);
}

/// A uniform index in 0 ... n - 1 from words that are uniform in 0 ... range - 1: the first word below the
/// largest multiple of n, modulo n. Without the rejection small indices would come more often.
/// \throws std::invalid_argument when every word is rejected
inline Index uniform_index(std::span<const Index> words, Index range, Index n) {
  require(n >= 1 && n <= range, kSelf, "n", std::to_string(n), "1 to " + std::to_string(range));
  for (const Index word : words) {
    if (word < range - range % n) return word % n;
  }
  require(false, kSelf, "words", "rejected, all of them", "one below " + std::to_string(range - range % n));
  return 0;
}

// ---- sketches ----------------------------------------------------------------------------------

/// An oblivious sketch: (X R^T)(R Y) / m for a projection R, m x n, of independent entries with mean 0 and
/// variance 1, such as random signs or normal numbers. S is R / sqrt(m), and no root is needed.
template <Field T>
Array<T> sketched(const Array<T>& X, const Array<T>& Y, const Array<T>& projection) {
  check(X, Y);
  require_rank(kSelf, "projection", projection, 2);
  require_shape(kSelf, "projection", projection, {projection.extent(0), Y.extent(0)},
                "Y is " + to_string(Y.shape()));
  Array<T> C = product(product(X, transposed(projection)), product(projection, Y));
  for (T& c : C.values()) c = stored(c / T(projection.extent(0)));
  return C;
}

/// x or -x, which costs nothing.
/// \throws std::invalid_argument for a sign other than 1 and -1
template <Ring T>
T with_sign(Index sign, const T& x) {
  require(sign == 1 || sign == -1, kSelf, "sign", std::to_string(sign), "1 or -1");
  return sign < 0 ? -x : x;
}

/// `sketched` with random signs, m x n, where projecting takes additions only.
template <Field T>
Array<T> sign_sketched(const Array<T>& X, const Array<T>& Y, const Array<Index>& signs) {
  check(X, Y);
  require_rank(kSelf, "signs", signs, 2);
  const Index m = signs.extent(0), n = Y.extent(0);
  require_shape(kSelf, "signs", signs, {m, n}, "Y is " + to_string(Y.shape()));
  Array<T> left({X.extent(0), m}), right({m, Y.extent(1)});
  for (Index s = 0; s < m; ++s) {
    for (Index k = 0; k < n; ++k) {
      for (Index i = 0; i < X.extent(0); ++i) left(i, s) += with_sign(signs(s, k), X(i, k));
      for (Index j = 0; j < Y.extent(1); ++j) right(s, j) += with_sign(signs(s, k), Y(k, j));
    }
  }
  Array<T> C = product(left, right);
  for (T& c : C.values()) c = stored(c / T(m));
  return C;
}

/// E ||C - X Y||_F^2 of a sketch with independent normal entries: (||X||_F^2 ||Y||_F^2 + ||X Y||_F^2) / m.
template <Field T>
T gaussian_sketch_error(const Array<T>& X, const Array<T>& Y, Index m) {
  return (squared_frobenius(X) * squared_frobenius(Y) + squared_frobenius(product(X, Y))) / T(m);
}

/// The same for random signs, whose fourth moment is 1 instead of 3: 2 sum a_k b_k less.
template <Field T>
T sign_sketch_error(const Array<T>& X, const Array<T>& Y, Index m) {
  const Array<T> a = squared_row_norms(transposed(X)), b = squared_row_norms(Y);
  T sum(0);
  for (Index k = 0; k < Y.extent(0); ++k) sum += a(k) * b(k);
  return gaussian_sketch_error(X, Y, m) - T(2) * sum / T(m);
}

/// The sign H(i, j) = (-1)^(number of ones that i and j share).
inline Index hadamard_sign(Index i, Index j) {
  Index shared = i & j, sign = 1;
  for (; shared > 0; shared /= 2) sign = shared % 2 == 1 ? -sign : sign;
  return sign;  // [H]
}

/// The smallest power of two that is n or more.
inline Index padded_length(Index n) {
  Index length = 1;
  while (length < n) length *= 2;
  return length;
}

/// H x by butterflies: N log2(N) additions, no multiplication.
/// \throws std::invalid_argument unless the length is a power of two
template <Ring T>
std::vector<T> walsh_hadamard(std::vector<T> x) {
  const auto length = static_cast<Index>(x.size());
  require(length >= 1 && padded_length(length) == length, kSelf, "x", std::to_string(length) + " numbers",
          "a power of two");
  for (Index half = 1; half < length; half *= 2) {
    for (Index first = 0; first < length; first += 2 * half) {
      for (Index i = first; i < first + half; ++i) {
        const T left = x[i], right = x[i + half];
        x[i] = left + right;
        x[i + half] = left - right;
      }
    }
  }
  return x;
}

/// The picked rows of H Delta x, for every column x of Y, padded by zeros to a power of two: m x q.
/// \param flips n signs \param rows m indices below the padded length
template <Ring T>
Array<T> randomised_hadamard(const Array<T>& Y, const Array<Index>& flips, const Array<Index>& rows) {
  const Index n = Y.extent(0), length = padded_length(n);
  require_shape(kSelf, "flips", flips, {n}, "Y is " + to_string(Y.shape()));
  check_list("rows", rows, length);
  Array<T> picked({rows.extent(0), Y.extent(1)});
  for (Index j = 0; j < Y.extent(1); ++j) {
    std::vector<T> column(static_cast<std::size_t>(length), T(0));
    for (Index k = 0; k < n; ++k)
      column[static_cast<std::size_t>(k)] = with_sign(flips(k), Y(k, j));  // [Delta]
    column = walsh_hadamard(column);
    for (Index s = 0; s < rows.extent(0); ++s)
      picked(s, j) = column[static_cast<std::size_t>(rows(s))];  // [P]
  }
  return picked;
}

/// The subsampled randomised Hadamard transform: (P H Delta X^T)^T (P H Delta Y) / m, with H the signs, so
/// that neither sqrt(N) nor sqrt(m) is needed. Orthogonal, hence exact, when all rows are picked once.
template <Field T>
Array<T> srht(const Array<T>& X, const Array<T>& Y, const Array<Index>& flips, const Array<Index>& rows) {
  check(X, Y);
  const Array<T> left = randomised_hadamard(transposed(X), flips, rows);
  Array<T> C = product(transposed(left), randomised_hadamard(Y, flips, rows));
  for (T& c : C.values()) c = stored(c / T(rows.extent(0)));
  return C;
}

/// The same with the rows of H written out, as a sign sketch whose rows are not independent.
template <Field T>
Array<T> srht_dense(const Array<T>& X, const Array<T>& Y, const Array<Index>& flips,
                    const Array<Index>& rows) {
  check(X, Y);
  const Index n = Y.extent(0);
  require_shape(kSelf, "flips", flips, {n}, "Y is " + to_string(Y.shape()));
  check_list("rows", rows, padded_length(n));
  Array<Index> signs({rows.extent(0), n});
  for (Index s = 0; s < rows.extent(0); ++s) {
    for (Index k = 0; k < n; ++k) signs(s, k) = hadamard_sign(rows(s), k) * flips(k);
  }
  return sign_sketched(X, Y, signs);
}

/// The variance of |S x|^2 of `srht` over signs and rows: (2 |x|_2^4 - 2 |x|_4^4) / m with replacement,
/// (N - m) / (N - 1) times that without.
template <Field T>
T srht_variance(const Array<T>& x, Index m, bool replaced) {
  T squares(0), fourth(0);
  for (const T& entry : x.values()) {
    squares += entry * entry;
    fourth += entry * entry * entry * entry;
  }
  const T variance = (T(2) * squares * squares - T(2) * fourth) / T(m);
  const Index length = padded_length(x.size());
  if (replaced) return variance;
  return length == 1 ? T(0) : T(length - m) / T(length - 1) * variance;
}

// ---- hashes ------------------------------------------------------------------------------------

/// The signs of r projections as one number: bit c is 1 where x . w_c > 0, so a projection of exactly 0 gives
/// bit 0. Scaling x by a number above 0 changes nothing.
/// \param directions d x r, one column w_c for each bit, at most 62
/// \throws std::invalid_argument
template <OrderedField T>
Index simhash(std::span<const T> x, const Array<T>& directions) {
  require_rank(kSelf, "directions", directions, 2);
  require(directions.extent(0) == static_cast<Index>(x.size()), kSelf, "directions",
          to_string(directions.shape()), std::to_string(x.size()) + " rows, one for each channel");
  require(directions.extent(1) <= 62, kSelf, "directions", to_string(directions.shape()), "at most 62 bits");
  Index code = 0;
  for (Index c = 0; c < directions.extent(1); ++c) {  // [r]
    T projection(0);
    for (Index i = 0; i < directions.extent(0); ++i) projection += x[i] * directions(i, c);  // [w_c]
    if (T(0) < projection) code += Index{1} << c;
  }
  return code;
}

/// The reflected Gray word at a position: neighbours differ in exactly one bit.
inline Index gray_word(Index position) {
  return position ^ (position >> 1);  // [G]
}

/// The position of a word: the inverse of `gray_word`.
inline Index gray_position(Index word) {
  Index position = 0;
  for (; word > 0; word >>= 1) position ^= word;
  return position;
}

/// The number of bits in which two codes differ.
inline Index hamming(Index a, Index b) {
  Index count = 0;
  for (Index differing = a ^ b; differing > 0; differing /= 2) count += differing % 2;
  return count;
}

template <Ring T>
T power(const T& x, Index exponent) {
  T result(1);
  for (Index i = 0; i < exponent; ++i) result *= x;
  return result;
}

/// Pr[all r bits of two vectors agree] = (1 - p)^r, where p is their angle over pi.
template <Ring T>
T collision_probability(const T& p, Index r) {
  return power(T(T(1) - p), r);  // [p]
}

/// Pr[at most `radius` of r bits differ].
template <Field T>
T hamming_ball_probability(const T& p, Index r, Index radius) {
  T sum(0), ways(1);
  for (Index i = 0; i <= radius && i <= r; ++i) {
    sum += ways * power(p, i) * power(T(T(1) - p), r - i);
    ways = ways * T(r - i) / T(i + 1);
  }
  return sum;
}

/// Pr[the Gray positions of two codes are neighbours on the circle of 2^r] = 2 p (1 - p)^(r - 1); p for r =
/// 1, where both neighbours are the same.
template <Ring T>
T gray_neighbour_probability(const T& p, Index r) {
  return T(r == 1 ? 1 : 2) * p * power(T(T(1) - p), r - 1);
}

/// An axis and a direction along it.
struct Axis {
  Index axis = 0;
  bool negative = false;
  bool operator==(const Axis&) const = default;
};

/// The cross-polytope hash of a rotated vector: its largest entry in magnitude, the first of equals, and the
/// sign of it. A vector of zeros belongs to the first axis.
template <OrderedField T>
Axis cross_polytope(std::span<const T> rotated) {
  Axis best;
  T largest(-1);
  for (std::size_t i = 0; i < rotated.size(); ++i) {
    const bool negative = rotated[i] < T(0);
    const T size = negative ? -rotated[i] : rotated[i];
    if (largest < size) {
      largest = size;
      best = {static_cast<Index>(i), negative};
    }
  }
  return best;
}

/// Reformer's form of it (\cite kitaev2020reformer): the place of the largest entry of (G x, -G x).
template <OrderedField T>
Index reformer_bucket(std::span<const T> rotated) {
  std::vector<T> both(rotated.begin(), rotated.end());
  for (const T& x : rotated) both.push_back(-x);
  std::size_t best = 0;
  for (std::size_t i = 1; i < both.size(); ++i) {
    if (both[best] < both[i]) best = i;
  }
  return static_cast<Index>(best);
}

// ---- means that survive heavy tails ------------------------------------------------------------

/// The median of the means of `groups` groups of equal size, in the order of the numbers.
/// \throws std::invalid_argument unless the number of groups is odd and divides the number of numbers
template <OrderedField T>
T median_of_means(const Array<T>& numbers, Index groups) {
  require_rank(kSelf, "numbers", numbers, 1);
  require(groups >= 1 && groups % 2 == 1 && numbers.extent(0) % groups == 0, kSelf, "groups",
          std::to_string(groups), "odd, and a divisor of " + std::to_string(numbers.extent(0)));
  const Index size = numbers.extent(0) / groups;
  std::vector<T> means;
  for (Index group = 0; group < groups; ++group) {
    T sum(0);
    for (Index i = 0; i < size; ++i) sum += numbers(group * size + i);
    means.push_back(sum / T(size));
  }
  std::stable_sort(means.begin(), means.end(), [](const T& a, const T& b) { return a < b; });
  return means[static_cast<std::size_t>(groups / 2)];
}

}  // namespace etalon::approximate_matmul_and_sketch
