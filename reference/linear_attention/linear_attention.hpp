/// \file
/// Linear attention: the weight of a key for a query is a plain inner product of two feature vectors. A sum
/// of products may be bracketed anew: instead of comparing a query with every key, all keys and values are
/// first added up in one small matrix, and every query reads that matrix. With a causal mask the matrix is a
/// running sum, so a Transformer layer becomes a recurrent network whose state never grows.
///
/// Source: \cite katharopoulos2020linear, equations 4 to 12. The sum over all pairs is the definition.
/// \f[ p_t = \varphi(q_t), \quad f_j = \varphi(k_j), \qquad w_{tj} = p_t^\top f_j, \qquad
///     N_t = \sum_{j \le t} w_{tj} v_j, \quad D_t = \sum_{j \le t} w_{tj}, \qquad
///     o_t = \frac{N_t}{D_t + \varepsilon} \f]
/// and, with the same numbers, a recurrence:
/// \f[ S_t = S_{t-1} + f_t v_t^\top, \quad z_t = z_{t-1} + f_t, \qquad
///     N_t = S_t^\top p_t, \quad D_t = z_t^\top p_t \f]
/// The unnormalised variant has o_t = N_t. Without a mask the sums run over all j. The feature map phi
/// decides what kind of attention this is: see `Elu`, `Taylor`, `Hedgehog` and the others. They are from
/// \cite arora2024based (Taylor), \cite zhang2024hedgehog and \cite zhang2024lolcats (Hedgehog) and
/// \cite kasai2021t2r (T2R).
///
/// Shapes: n tokens, m features of queries and keys, d_v channels of values.
/// \symbol{q_t} query of token t, d channels, before the feature map
/// \symbol{phi} feature map, from d channels to m features
/// \symbol{p_t} features of query t, m numbers
/// \symbol{f_j} features of key j, m numbers
/// \symbol{v_j} value of token j, d_v channels
/// \symbol{w_tj} weight of key j for query t
/// \symbol{S_t} state after token t, m x d_v
/// \symbol{z_t} normaliser after token t: the sum of all key features so far, m numbers
/// \symbol{N_t} numerator of token t, d_v channels
/// \symbol{D_t} denominator of token t, a number
/// \symbol{epsilon} number added to the denominator; 0 in the definition
/// \symbol{o_t} output of token t, d_v channels
/// \symbol{ghat_t} gradient of N_t
/// \symbol{delta_t} gradient of D_t
/// \symbol{R_t} gradient of S_t, m x d_v
/// \symbol{r_t} gradient of z_t, m numbers
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::linear_attention {

/// What is kept from token to token: state m x d_v and normaliser m.
template <Ring T>
struct Memory {
  Array<T> state;
  Array<T> normaliser;
};

/// What enters, after the feature map: query and key n x m, value n x d_v, and the memory from before the
/// first token.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Memory<T> memory;
};

/// What all forms compute: numerator n x d_v and denominator n. A read-out (`normalised` or `unnormalised`)
/// makes outputs of them.
template <Ring T>
struct Sums {
  Array<T> numerator;
  Array<T> denominator;
};

/// What leaves a form that keeps a memory: the sums, and the memory after the last token, from which a stream
/// goes on.
template <Ring T>
struct Result {
  Sums<T> sums;
  Memory<T> memory;
};

/// Throws unless the memory is one of m features and d_v channels. \param which memory, for the message:
/// "initial", "final" or "gradient of the final"
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Memory<T>& memory, const std::string& which, Index m, Index d_v,
           const std::string& because) {
  require_shape("linear_attention", which + " state", memory.state, {m, d_v}, because);
  require_shape("linear_attention", which + " normaliser", memory.normaliser, {m}, because);
}

/// Throws unless the sums, or their gradients, are those of n tokens and d_v channels. \param prefix of the
/// names in the message: "" or "gradient of the "
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Sums<T>& sums, const std::string& prefix, Index n, Index d_v, const std::string& because) {
  require_shape("linear_attention", prefix + "numerator", sums.numerator, {n, d_v}, because);
  require_shape("linear_attention", prefix + "denominator", sums.denominator, {n}, because);
}

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Input<T>& in) {
  const char* self = "linear_attention";
  require_rank(self, "key", in.key, 2);
  require_rank(self, "value", in.value, 2);
  const Index n = in.key.extent(0), m = in.key.extent(1), d_v = in.value.extent(1);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape(self, "query", in.query, {n, m}, because);
  require_shape(self, "value", in.value, {n, d_v}, because);
  check(in.memory, "initial", m, d_v, because + ", value is " + to_string(in.value.shape()));
}

/// \name Forms: all take features and give numerators and denominators
/// \{

/// w_tj = p_t . f_j.
template <Ring T>
T weight(const Input<T>& in, Index t, Index j) {
  T sum(0);
  for (Index i = 0; i < in.key.extent(1); ++i) sum += in.query(t, i) * in.key(j, i);  // [p_t] [f_j]
  return sum;
}

/// Query t reads a memory: N_t = S^T p_t, D_t = z^T p_t.
template <Ring T>
void read(const Memory<T>& memory, std::span<const T> query, std::span<T> numerator, T& denominator) {
  for (Index i = 0; i < memory.state.extent(0); ++i) {
    for (Index j = 0; j < memory.state.extent(1); ++j) numerator[j] += query[i] * memory.state(i, j);
    denominator += query[i] * memory.normaliser(i);
  }
}

/// One key and its value enter a memory.
template <Ring T>
void write(Memory<T>& memory, std::span<const T> key, std::span<const T> value) {
  for (Index i = 0; i < memory.state.extent(0); ++i) {
    for (Index j = 0; j < memory.state.extent(1); ++j) memory.state(i, j) += key[i] * value[j];  // [S_t]
    memory.normaliser(i) += key[i];                                                              // [z_t]
  }
}

/// Query t meets the keys first ... last - 1, one by one.
template <Ring T>
void compare(const Input<T>& in, Index t, Index first, Index last, Sums<T>& sums) {
  for (Index s = first; s < last; ++s) {
    const T score = stored(weight(in, t, s));  // [w_tj]
    for (Index j = 0; j < in.value.extent(1); ++j) {
      sums.numerator(t, j) += score * in.value(s, j);  // [N_t] [v_j]
    }
    sums.denominator(t) += score;  // [D_t]
  }
}

/// Numerators and denominators that are still 0.
template <Ring T>
Sums<T> no_sums_yet(const Input<T>& in) {
  const Index n = in.key.extent(0), d_v = in.value.extent(1);
  return {Array<T>({n, d_v}), Array<T>({n})};
}

/// The definition: every query with every key that is not later, and with the memory that is older than all.
/// O(n^2 (m + d_v)) operations; no memory is kept.
/// \throws std::invalid_argument as `check` does, and so do all forms
template <Ring T>
Sums<T> quadratic(const Input<T>& in) {
  check(in);
  Sums<T> sums = no_sums_yet(in);
  for (Index t = 0; t < in.key.extent(0); ++t) {
    read(in.memory, in.query.row(t), sums.numerator.row(t), sums.denominator(t));
    compare(in, t, 0, t + 1, sums);
  }
  return sums;
}

/// Takes the memory from token t-1 to token t and reads it. Everything a stream needs.
template <Ring T>
void step(Memory<T>& memory, std::span<const T> query, std::span<const T> key, std::span<const T> value,
          std::span<T> numerator, T& denominator) {
  write(memory, key, value);
  read(memory, query, numerator, denominator);
}

/// Token after token. O(n m d_v) operations, m (d_v + 1) numbers of memory.
template <Ring T>
Result<T> recurrent(const Input<T>& in) {
  check(in);
  Result<T> out{no_sums_yet(in), in.memory};
  for (Index t = 0; t < in.key.extent(0); ++t) {
    step(out.memory, in.query.row(t), in.key.row(t), in.value.row(t), out.sums.numerator.row(t),
         out.sums.denominator(t));
  }
  return out;
}

/// Chunks of `chunk` tokens (the last may be shorter): all pairs inside, the memory from one to the next.
/// With chunk 1 this is the recurrence, with one chunk the definition. It does more arithmetic than the
/// recurrence and buys matrix products with it. O(n chunk (m + d_v) + n m d_v) operations.
/// \throws std::invalid_argument for chunk below 1
template <Ring T>
Result<T> chunked(const Input<T>& in, Index chunk) {
  check(in);
  require(chunk >= 1, "linear_attention", "chunk", std::to_string(chunk), "1 or more");
  const Index n = in.key.extent(0);
  Result<T> out{no_sums_yet(in), in.memory};
  for (Index first = 0; first < n; first += chunk) {
    const Index last = std::min(first + chunk, n);
    for (Index t = first; t < last; ++t) {
      read(out.memory, in.query.row(t), out.sums.numerator.row(t), out.sums.denominator(t));
      compare(in, t, first, t + 1, out.sums);
    }
    for (Index t = first; t < last; ++t) write(out.memory, in.key.row(t), in.value.row(t));
  }
  return out;
}

/// Without a mask: every query with every key, earlier or later. O(n^2 (m + d_v)) operations.
template <Ring T>
Sums<T> noncausal_quadratic(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0);
  Sums<T> sums = no_sums_yet(in);
  for (Index t = 0; t < n; ++t) {
    read(in.memory, in.query.row(t), sums.numerator.row(t), sums.denominator(t));
    compare(in, t, 0, n, sums);
  }
  return sums;
}

/// Without a mask, bracketed anew: first all keys and values become one memory, then every query reads it.
/// O(n m d_v) operations.
template <Ring T>
Result<T> noncausal(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0);
  Result<T> out{no_sums_yet(in), in.memory};
  for (Index t = 0; t < n; ++t) write(out.memory, in.key.row(t), in.value.row(t));
  for (Index t = 0; t < n; ++t) {
    read(out.memory, in.query.row(t), out.sums.numerator.row(t), out.sums.denominator(t));
  }
  return out;
}
/// \}

/// \name Read-outs: n x d_v outputs from the sums
/// \{

/// o_t = N_t / (D_t + epsilon). Domain: D_t + epsilon is not 0. A signed map can make D_t negative or 0, and
/// `Relu` can make it 0; the division then gives what T makes of it (an infinity, NaN, or an exception).
/// \throws std::invalid_argument for a denominator that does not belong to the numerator
template <Field T>
Array<T> normalised(const Sums<T>& sums, const T& epsilon) {
  require_rank("linear_attention::normalised", "numerator", sums.numerator, 2);
  check(sums, "", sums.numerator.extent(0), sums.numerator.extent(1),
        "numerator is " + to_string(sums.numerator.shape()));
  Array<T> output(sums.numerator.shape());
  for (Index t = 0; t < output.extent(0); ++t) {
    const T denominator = sums.denominator(t) + epsilon;  // [epsilon]
    for (Index j = 0; j < output.extent(1); ++j) {
      output(t, j) = stored(sums.numerator(t, j) / denominator);  // [o_t]
    }
  }
  return output;
}

/// o_t = N_t, the "fast weights" read-out. Whoever wants nothing else leaves normaliser and denominator out.
/// \throws std::invalid_argument for a numerator that is no matrix
template <Ring T>
Array<T> unnormalised(const Sums<T>& sums) {
  require_rank("linear_attention::unnormalised", "numerator", sums.numerator, 2);
  Array<T> output(sums.numerator.shape());
  for (Index t = 0; t < output.extent(0); ++t) {
    for (Index j = 0; j < output.extent(1); ++j) output(t, j) = stored(sums.numerator(t, j));
  }
  return output;
}
/// \}

/// \name Backward passes of the causal forms
/// \{

/// Gradients of a loss with respect to the sums, and to epsilon.
template <Ring T>
struct SumsGradient {
  Sums<T> sums;
  T epsilon = T(0);
};

/// From the gradients g of normalised outputs, n x d_v, to those of the sums: ghat_t = g_t / (D_t + epsilon)
/// and delta_t = -(ghat_t . N_t) / (D_t + epsilon), which is also what token t adds to that of epsilon.
/// \throws std::invalid_argument for arguments whose shapes do not fit together
template <Field T>
SumsGradient<T> backward_of_normalised(const Sums<T>& sums, const T& epsilon, const Array<T>& d_output) {
  require_rank("linear_attention::backward_of_normalised", "d_output", d_output, 2);
  check(sums, "", d_output.extent(0), d_output.extent(1), "d_output is " + to_string(d_output.shape()));
  SumsGradient<T> d{{Array<T>(d_output.shape()), Array<T>(sums.denominator.shape())}};
  for (Index t = 0; t < d_output.extent(0); ++t) {
    const T denominator = sums.denominator(t) + epsilon;
    T loss(0);
    for (Index j = 0; j < d_output.extent(1); ++j) {
      d.sums.numerator(t, j) = d_output(t, j) / denominator;  // [ghat_t]
      loss += d.sums.numerator(t, j) * sums.numerator(t, j);
    }
    d.sums.denominator(t) = -loss / denominator;  // [delta_t]
    d.epsilon += d.sums.denominator(t);
  }
  return d;
}

/// The same for unnormalised outputs, which use no denominator.
/// \throws std::invalid_argument for gradients that are no matrix
template <Ring T>
SumsGradient<T> backward_of_unnormalised(const Array<T>& d_output) {
  require_rank("linear_attention::backward_of_unnormalised", "d_output", d_output, 2);
  return {{d_output, Array<T>({d_output.extent(0)})}};
}

/// Gradients with respect to every input, shaped as the inputs.
template <Ring T>
using Gradient = Input<T>;

/// One token of the pass from the beginning, given S_t and z_t: dp_t = S_t ghat_t + delta_t z_t.
template <Ring T>
void query_gradient(const Memory<T>& memory, const Sums<T>& d, Index t, Gradient<T>& gradient) {
  for (Index i = 0; i < memory.state.extent(0); ++i) {
    for (Index j = 0; j < memory.state.extent(1); ++j) {
      gradient.query(t, i) += memory.state(i, j) * d.numerator(t, j);
    }
    gradient.query(t, i) += memory.normaliser(i) * d.denominator(t);
  }
}

/// One token of the pass from the end: R_t = R_{t+1} + p_t ghat_t^T, r_t = r_{t+1} + delta_t p_t,
/// df_t = R_t v_t + r_t, dv_t = R_t^T f_t. `gradient.memory` holds R and r.
template <Ring T>
void key_and_value_gradient(const Input<T>& in, const Sums<T>& d, Index t, Gradient<T>& gradient) {
  Memory<T>& reverse = gradient.memory;
  for (Index i = 0; i < reverse.state.extent(0); ++i) {
    for (Index j = 0; j < reverse.state.extent(1); ++j) {
      reverse.state(i, j) += in.query(t, i) * d.numerator(t, j);  // [R_t]
      gradient.key(t, i) += reverse.state(i, j) * in.value(t, j);
      gradient.value(t, j) += reverse.state(i, j) * in.key(t, i);
    }
    reverse.normaliser(i) += in.query(t, i) * d.denominator(t);  // [r_t]
    gradient.key(t, i) += reverse.normaliser(i);
  }
}

/// Gradients that are still 0 but for those of the memory, which are those of the memory after the last
/// token.
/// \throws std::invalid_argument for shapes that do not fit together
template <Ring T>
Gradient<T> no_gradient_yet(const Input<T>& in, const Sums<T>& d, const Memory<T>& d_memory) {
  check(in);
  const std::string because =
      "key is " + to_string(in.key.shape()) + ", value is " + to_string(in.value.shape());
  check(d, "gradient of the ", in.key.extent(0), in.value.extent(1), because);
  check(d_memory, "gradient of the final", in.key.extent(1), in.value.extent(1), because);
  return {Array<T>(in.query.shape()), Array<T>(in.key.shape()), Array<T>(in.value.shape()), d_memory};
}

/// The memory once forward for the queries, its gradient once backward for keys and values. O(n m d_v)
/// operations and m (d_v + 1) numbers beside the gradients: no n x n object.
/// \param d gradients of the sums, \param d_memory those of the memory after the last token
/// \throws std::invalid_argument for shapes that do not fit together
template <Ring T>
Gradient<T> backward(const Input<T>& in, const Sums<T>& d, const Memory<T>& d_memory) {
  Gradient<T> gradient = no_gradient_yet(in, d, d_memory);
  const Index n = in.key.extent(0);
  Memory<T> memory = in.memory;
  for (Index t = 0; t < n; ++t) {
    write(memory, in.key.row(t), in.value.row(t));
    query_gradient(memory, d, t, gradient);
  }
  for (Index t = n - 1; t >= 0; --t) key_and_value_gradient(in, d, t, gradient);
  return gradient;
}

/// The same in one pass from the end, out of the memory that the forward pass left: S_{t-1} = S_t - f_t
/// v_t^T. Exact in exact arithmetic; in floating point the subtraction of nearly equal sums loses the early
/// states, the more the longer the sequence. As in the released code of \cite choromanski2020performer.
/// \param memory after the last token; the other arguments as in `backward`
/// \throws std::invalid_argument for shapes that do not fit together
template <Ring T>
Gradient<T> backward_reversible(const Input<T>& in, Memory<T> memory, const Sums<T>& d,
                                const Memory<T>& d_memory) {
  Gradient<T> gradient = no_gradient_yet(in, d, d_memory);
  check(memory, "final", in.key.extent(1), in.value.extent(1),
        "key is " + to_string(in.key.shape()) + ", value is " + to_string(in.value.shape()));
  for (Index t = in.key.extent(0) - 1; t >= 0; --t) {
    query_gradient(memory, d, t, gradient);
    key_and_value_gradient(in, d, t, gradient);
    for (Index i = 0; i < memory.state.extent(0); ++i) {
      for (Index j = 0; j < memory.state.extent(1); ++j) memory.state(i, j) -= in.key(t, i) * in.value(t, j);
      memory.normaliser(i) -= in.key(t, i);
    }
  }
  return gradient;
}
/// \}

/// \name Feature maps: function objects from d channels to m features
/// \{

/// The features of n tokens, n x m, from tokens n x d.
/// \throws std::invalid_argument for tokens that are no matrix
template <class Map, Ring T>
Array<T> mapped(const Map& map, const Array<T>& tokens) {
  require_rank("linear_attention::mapped", "tokens", tokens, 2);
  const Index n = tokens.extent(0);
  std::vector<T> features;
  for (Index t = 0; t < n; ++t) {
    const std::vector<T> row = map(tokens.row(t));  // [phi] [q_t]
    features.insert(features.end(), row.begin(), row.end());
  }
  const Index m = static_cast<Index>(features.size()) / n;
  return Array<T>({n, m}, std::move(features));
}

/// W x + b, for the maps that are learned. \param weight m x d, \param bias m
/// \throws std::invalid_argument for a weight or bias that does not fit x
template <Ring T>
std::vector<T> affine(const Array<T>& weight, const Array<T>& bias, std::span<const T> x) {
  const auto d = static_cast<Index>(x.size());
  const std::string because = "a token has " + std::to_string(d) + " channels";
  require_rank("linear_attention::affine", "bias", bias, 1);
  require_shape("linear_attention::affine", "weight", weight, {bias.extent(0), d}, because);
  std::vector<T> y;
  for (Index i = 0; i < weight.extent(0); ++i) {
    T sum = bias(i);
    for (Index j = 0; j < weight.extent(1); ++j) sum += weight(i, j) * x[static_cast<std::size_t>(j)];
    y.push_back(sum);
  }
  return y;
}

/// W x. \param weight m x d
/// \throws std::invalid_argument for a weight that does not fit x
template <Ring T>
std::vector<T> linear_map(const Array<T>& weight, std::span<const T> x) {
  require_rank("linear_attention::linear_map", "weight", weight, 2);
  return affine(weight, Array<T>({weight.extent(0)}), x);
}

/// The softmax of a list, relative to its largest entry: positive, and adds up to 1.
/// \throws std::invalid_argument for an empty list
template <Exponential T>
std::vector<T> softmax(const std::vector<T>& x) {
  require(!x.empty(), "linear_attention::softmax", "x", "empty", "at least one number");
  T largest = x.front(), sum(0);
  for (const T& entry : x) largest = maximum(largest, entry);
  std::vector<T> y;
  for (const T& entry : x) {
    y.push_back(exp(entry - largest));
    sum += y.back();
  }
  for (T& entry : y) entry /= sum;
  return y;
}

/// x followed by -x.
template <Ring T>
std::vector<T> both_signs(const std::vector<T>& x) {
  std::vector<T> y = x;
  for (const T& entry : x) y.push_back(-entry);
  return y;
}

/// x itself: the fast weight programmer. Any sign.
struct Identity {
  template <Ring T>
  std::vector<T> operator()(std::span<const T> x) const {
    return {x.begin(), x.end()};
  }
};

/// max(x, 0). May be all 0.
struct Relu {
  template <OrderedField T>
  std::vector<T> operator()(std::span<const T> x) const {
    std::vector<T> y;
    for (const T& entry : x) y.push_back(maximum(entry, T(0)));
    return y;
  }
};

/// elu(x) + 1, the map of the paper: x + 1 above 0 and e^x below. Positive, with a continuous slope.
struct Elu {
  template <Exponential T>
  std::vector<T> operator()(std::span<const T> x) const {
    std::vector<T> y;
    for (const T& entry : x) y.push_back(T(0) < entry ? entry + T(1) : exp(entry));
    return y;
  }
};

/// e^x. Overflows for large entries.
struct Exp {
  template <Exponential T>
  std::vector<T> operator()(std::span<const T> x) const {
    std::vector<T> y;
    for (const T& entry : x) y.push_back(exp(entry));
    return y;
  }
};

/// The softmax over the features of a token: e^x, scaled so that it adds up to 1.
struct SoftmaxOverFeatures {
  template <Exponential T>
  std::vector<T> operator()(std::span<const T> x) const {
    return softmax(std::vector<T>(x.begin(), x.end()));
  }
};

/// Based: 1, x / d^(1/4) and all products x_i x_j / sqrt(2 d), 1 + d + d^2 features, whose inner product is
/// the Taylor polynomial 1 + s + s^2 / 2 of e^s at s = q . k / sqrt(d).
struct Taylor {
  template <Real T>
  std::vector<T> operator()(std::span<const T> x) const {
    const T root = sqrt(T(static_cast<Index>(x.size())));
    const T linear = T(1) / sqrt(root), square = T(1) / (sqrt(T(2)) * root);
    std::vector<T> y{T(1)};
    for (const T& a : x) y.push_back(a * linear);
    for (const T& a : x) {
      for (const T& b : x) y.push_back(a * b * square);
    }
    return y;
  }
};

/// The same kernel with every product once: 1, x / d^(1/4), x_i^2 / sqrt(2 d) and x_i x_j / sqrt(d) for i <
/// j, 1 + d + d (d + 1) / 2 features.
struct TaylorCompact {
  template <Real T>
  std::vector<T> operator()(std::span<const T> x) const {
    const T root = sqrt(T(static_cast<Index>(x.size())));
    const T linear = T(1) / sqrt(root), square = T(1) / (sqrt(T(2)) * root), product = T(1) / root;
    std::vector<T> y{T(1)};
    for (const T& a : x) y.push_back(a * linear);
    for (const T& a : x) y.push_back(a * a * square);
    for (std::size_t i = 0; i < x.size(); ++i) {
      for (std::size_t j = i + 1; j < x.size(); ++j) y.push_back(x[i] * x[j] * product);
    }
    return y;
  }
};

/// Hedgehog as its paper has it: e^{Wx + b} and e^{-Wx - b}, 2 d features.
template <Exponential T>
struct Hedgehog {
  Array<T> weight;
  Array<T> bias;
  std::vector<T> operator()(std::span<const T> x) const {
    std::vector<T> y = both_signs(affine(weight, bias, x));
    for (T& entry : y) entry = exp(entry);
    return y;
  }
};

/// Hedgehog as the code of \cite zhang2024lolcats has it: a softmax of Wx and one of -Wx, each on its own, no
/// entry below `floor` (1e-12 there).
template <Exponential T>
struct HedgehogByHalves {
  Array<T> weight;
  T floor = T(0);
  std::vector<T> operator()(std::span<const T> x) const {
    const std::vector<T> y = linear_map(weight, x);
    std::vector<T> negative;
    for (const T& entry : y) negative.push_back(-entry);
    std::vector<T> features = softmax(y);
    for (const T& entry : softmax(negative)) features.push_back(entry);
    for (T& entry : features) entry = maximum(entry, floor);
    return features;
  }
};

/// Hedgehog as a kernel library has it: one softmax over 2 (Wx + b) and -2 (Wx + b) together.
template <Exponential T>
struct HedgehogJoint {
  Array<T> weight;
  Array<T> bias;
  std::vector<T> operator()(std::span<const T> x) const {
    std::vector<T> y = both_signs(affine(weight, bias, x));
    for (T& entry : y) entry = T(2) * entry;
    return softmax(y);
  }
};

/// The option `exp_dim` of the code of \cite zhang2024lolcats: e^{z - max z} and e^{-z + min z} with z = Wx.
/// The two halves are shifted by different numbers, so the shift does not cancel in a normalised output.
template <Exponential T>
struct HedgehogShiftedApart {
  Array<T> weight;
  std::vector<T> operator()(std::span<const T> x) const {
    const std::vector<T> z = linear_map(weight, x);
    T largest = z.front(), least = z.front();
    for (const T& entry : z) {
      largest = maximum(largest, entry);
      least = -maximum(-least, -entry);
    }
    std::vector<T> y;
    for (const T& entry : z) y.push_back(exp(entry - largest));
    for (const T& entry : z) y.push_back(exp(least - entry));
    return y;
  }
};

/// T2R: relu(Wx + b), m features.
template <OrderedField T>
struct ReluOfAffine {
  Array<T> weight;
  Array<T> bias;
  std::vector<T> operator()(std::span<const T> x) const {
    std::vector<T> y = affine(weight, bias, x);
    for (T& entry : y) entry = maximum(entry, T(0));
    return y;
  }
};

/// The product of two linear maps, entry by entry: what a kernel library takes when no map is named.
template <Ring T>
struct ProductOfLinear {
  Array<T> left;
  Array<T> right;
  std::vector<T> operator()(std::span<const T> x) const {
    std::vector<T> y = linear_map(left, x);
    require_shape("linear_attention::ProductOfLinear", "right", right, left.shape(), "as left");
    const std::vector<T> other = linear_map(right, x);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] *= other[i];
    return y;
  }
};
/// \}

/// \name Against softmax attention
/// \{

/// The Taylor polynomial of e^s: the sum of s^p / p! over p <= degree. Positive for even degrees, not for odd
/// ones. That of degree 2 is ((s + 1)^2 + 1) / 2, so at least 1/2, and grows again below s = -1.
template <Field T>
T taylor_exponential(const T& s, Index degree) {
  T term(1), sum(1);
  for (Index p = 1; p <= degree; ++p) {
    term = term * s / T(p);
    sum += term;
  }
  return sum;
}

/// The largest relative error of the polynomial of degree 2 for |s| <= r, which is at s = -r:
/// delta(r) = e^r (1 - r + r^2 / 2) - 1.
template <Exponential T>
T taylor_relative_error(const T& r) {
  return exp(r) * (T(1) - r + r * r / T(2)) - T(1);
}

/// How far a normalised Taylor output can be off that of softmax, in units of the largest |v|, when all
/// scores lie in [-r, r]: 2 delta / (1 - delta). Domain: delta(r) below 1, so r from 0 to 1.30007. Proof:
/// with weights a_j (1 + e_j), |e_j| <= delta, the outputs differ by sum a_j e_j (v_j - o) over sum a_j (1 +
/// e_j), where o is the softmax average and |v_j - o| is at most 2 max |v|. \throws std::invalid_argument for
/// r outside the domain
template <Exponential T>
T taylor_output_error(const T& r) {
  require(!(r < T(0)), "linear_attention::taylor_output_error", "r", "negative", "0 or more");
  const T delta = taylor_relative_error(r);
  require(delta < T(1), "linear_attention::taylor_output_error", "r", "too large",
          "a number below 1.30007, so that delta(r) is below 1");
  return T(2) * delta / (T(1) - delta);
}

/// Normalised Taylor attention from its kernel, causal: weights 1 + s + s^2 / 2 at s = scale q . k, without
/// features. With scale 1 / sqrt(d) it is the map `Taylor`; a kernel library's parallel mode has scale 1.
/// \param query n x d, \param key n x d, \param value n x d_v
/// \throws std::invalid_argument for shapes that do not fit together
template <Field T>
Array<T> taylor_quadratic(const Array<T>& query, const Array<T>& key, const Array<T>& value, const T& scale) {
  require_rank("linear_attention", "key", key, 2);
  require_rank("linear_attention", "value", value, 2);
  const Index n = key.extent(0), d = key.extent(1), d_v = value.extent(1);
  const Input<T> tokens{query, key, value, {Array<T>({d, d_v}), Array<T>({d})}};
  check(tokens);
  Sums<T> sums = no_sums_yet(tokens);
  for (Index t = 0; t < n; ++t) {
    for (Index s = 0; s <= t; ++s) {
      const T score = taylor_exponential(T(scale * weight(tokens, t, s)), 2);
      for (Index j = 0; j < d_v; ++j) sums.numerator(t, j) += score * value(s, j);
      sums.denominator(t) += score;
    }
  }
  return normalised(sums, T(0));
}

/// One query of a hybrid: softmax weights for some keys, linear weights for the others, one denominator. The
/// exponentials are taken relative to `reference`, and the linear weights with them.
/// \param score s of the softmax keys, \param near their values, as many rows, \param linear weights of the
/// others, \param far their values
/// \throws std::invalid_argument for no softmax key, or values that are not as many or not as wide
template <Exponential T>
std::vector<T> hybrid(const std::vector<T>& score, const Array<T>& near, const std::vector<T>& linear,
                      const Array<T>& far, const T& reference) {
  require_rank("linear_attention::hybrid", "near", near, 2);
  const Index d_v = near.extent(1);
  require_shape("linear_attention::hybrid", "near", near, {static_cast<Index>(score.size()), d_v},
                "a row for each score");
  require_shape("linear_attention::hybrid", "far", far, {static_cast<Index>(linear.size()), d_v},
                "a row for each linear weight");
  std::vector<T> output(static_cast<std::size_t>(d_v), T(0));
  T sum(0);
  const auto take = [&](const T& weight, std::span<const T> value) {
    sum += weight;
    for (std::size_t j = 0; j < output.size(); ++j) output[j] += weight * value[j];
  };
  for (std::size_t s = 0; s < score.size(); ++s) {
    take(exp(score[s] - reference), near.row(static_cast<Index>(s)));
  }
  for (std::size_t s = 0; s < linear.size(); ++s) {
    take(linear[s] * exp(-reference), far.row(static_cast<Index>(s)));
  }
  for (T& entry : output) entry /= sum;
  return output;
}

/// The hybrid of the code of \cite zhang2024lolcats: the exponentials relative to the largest score of the
/// row, the linear weights as they are, so that the mix depends on that largest score.
/// \throws std::invalid_argument for no score, and as `hybrid` does
template <Exponential T>
std::vector<T> hybrid_code(const std::vector<T>& score, const Array<T>& near, const std::vector<T>& linear,
                           const Array<T>& far) {
  require(!score.empty(), "linear_attention::hybrid_code", "score", "empty", "at least one score");
  T largest = score.front();
  for (const T& entry : score) largest = maximum(largest, entry);
  std::vector<T> shifted;
  for (const T& entry : score) shifted.push_back(entry - largest);
  return hybrid(shifted, near, linear, far, T(0));
}
/// \}

/// \name What surrounds the layer in code
/// \{

/// Features of padded tokens become 0. The mask must act on features: a key of 0 is not one of weight 0,
/// since `Elu` makes 1 of it. \param features n x m, \param mask n numbers, 1 for a token and 0 for padding
/// \throws std::invalid_argument for shapes that do not fit together
template <Ring T>
Array<T> masked(const Array<T>& features, const Array<T>& mask) {
  require_rank("linear_attention::masked", "features", features, 2);
  require_shape("linear_attention::masked", "mask", mask, {features.extent(0)});
  Array<T> result = features;
  for (Index t = 0; t < features.extent(0); ++t) {
    for (Index i = 0; i < features.extent(1); ++i) result(t, i) *= mask(t);
  }
  return result;
}

/// Keys or values brought to n tokens: cut at the end or filled up with zeros, as the official causal kernel
/// does when there are more or fewer keys than queries.
/// \throws std::invalid_argument for tokens that are no matrix, or n below 1
template <Ring T>
Array<T> fitted(const Array<T>& tokens, Index n) {
  require_rank("linear_attention::fitted", "tokens", tokens, 2);
  require(n >= 1, "linear_attention::fitted", "n", std::to_string(n), "1 or more");
  Array<T> result({n, tokens.extent(1)});
  for (Index t = 0; t < std::min(n, tokens.extent(0)); ++t) {
    for (Index i = 0; i < tokens.extent(1); ++i) result(t, i) = tokens(t, i);
  }
  return result;
}

/// Every number times `scale`: 1 / sqrt(d) on the queries of the unnormalised layer of a kernel library.
template <Ring T>
Array<T> scaled(const Array<T>& tokens, const T& scale) {
  Array<T> result = tokens;
  for (T& entry : result.values()) entry *= scale;
  return result;
}

/// Every row divided by its root mean square: what follows the unnormalised read-out in that layer, in the
/// place of the denominator. \param output n x d_v
/// \throws std::invalid_argument for outputs that are no matrix
template <Real T>
Array<T> rms_normalised(const Array<T>& output, const T& epsilon) {
  require_rank("linear_attention::rms_normalised", "output", output, 2);
  Array<T> result = output;
  for (Index t = 0; t < output.extent(0); ++t) {
    T squares(0);
    for (Index j = 0; j < output.extent(1); ++j) squares += output(t, j) * output(t, j);
    const T root = sqrt(squares / T(output.extent(1)) + epsilon);
    for (Index j = 0; j < output.extent(1); ++j) result(t, j) /= root;
  }
  return result;
}

/// Channels of head h when a row of channels is cut into heads of `width`.
/// \throws std::invalid_argument for tokens that are no matrix, or a head that is not there
template <Ring T>
Array<T> head(const Array<T>& tokens, Index h, Index width) {
  require_rank("linear_attention::head", "tokens", tokens, 2);
  require(h >= 0 && width >= 1 && (h + 1) * width <= tokens.extent(1), "linear_attention::head", "head",
          std::to_string(h) + " of width " + std::to_string(width),
          "within the " + std::to_string(tokens.extent(1)) + " channels");
  Array<T> part({tokens.extent(0), width});
  for (Index t = 0; t < tokens.extent(0); ++t) {
    for (Index i = 0; i < width; ++i) part(t, i) = tokens(t, h * width + i);
  }
  return part;
}
/// \}

}  // namespace etalon::linear_attention
