/// \file
/// Mamba-2, or structured state space duality (SSD): a selective state space model in which all states of a
/// head fade by the same number. Then the recurrence is also attention: without softmax, and with a
/// lower-triangular mask of products of decays in the place of the causal mask. Both views can be mixed:
/// attention inside chunks, recurrence between them.
///
/// Source: \cite dao2024mamba2, sections 3, 5 and 6. The recurrence is the definition.
/// \f[ S_t = a_t S_{t-1} + B_t \bar x_t^\top, \qquad y_t = S_t^\top C_t + D \bar x_t \f]
/// Its dual is a product with a masked matrix,
/// \f[ Y = (L \circ C B^\top) \bar X + D \bar X, \qquad
///     L_{ts} = \prod_{s < r \le t} a_r = e^{\sigma_{ts}}, \quad \sigma_{ts} = \sum_{s < r \le t} \log a_r
///     \f]
/// and L, which is 0 above its diagonal, is 1-semiseparable: blocks below the diagonal have rank one. In a
/// layer the numbers come from a step length Delta_t and a rate A < 0,
/// \f[ a_t = e^{\Delta_t A}, \qquad \bar x_t = \Delta_t x_t, \f]
/// and there the skip D sees x_t (see `layer`).
///
/// In the names of attention C is the query, B the key and x the value; d_k is the paper's N, d_v its P.
/// Shapes: n tokens, d_k channels of queries and keys, d_v channels of values. Input that is not finite
/// reaches the outputs of its own token and of later ones, in all forms, and no earlier one.
/// \symbol{C_t} query of token t, d_k channels
/// \symbol{B_t} key of token t, d_k channels
/// \symbol{xbar_t} value of token t, d_v channels: the input times its step length
/// \symbol{a_t} decay at token t, a number in [0, 1]
/// \symbol{D} skip: how the value reaches the output past the state
/// \symbol{S_t} state after token t, d_k x d_v
/// \symbol{y_t} output of token t, d_v channels
/// \symbol{L_ts} mask: decay from token s to token t, the product of a_r over s < r <= t
/// \symbol{sigma_ts} segment sum: the logarithm of L_ts
/// \symbol{din_r} decay from before the chunk to its token r, that token's own included
/// \symbol{dout_r} decay from token r of the chunk to the end of the chunk
/// \symbol{u_t} decay from the middle to token t of the second half
/// \symbol{v_s} decay from token s of the first half to the middle
/// \symbol{g_t} gradient of S_t, d_k x d_v
/// \symbol{Delta_t} step length at token t, a positive number
/// \symbol{A} rate of the decay, a negative number
#pragma once

#include <vector>

#include "reference/array.hpp"
#include "reference/heads.hpp"
#include "reference/scalar/concepts.hpp"
#include "reference/state_space/s4d.hpp"

namespace etalon::mamba2_ssd {

/// What enters: query and key n x d_k, value n x d_v, decay n, the state before the first token d_k x d_v,
/// and the skip.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> decay;
  Array<T> initial_state;
  T skip = T(0);
};

/// What leaves: output n x d_v and the state after the last token, d_k x d_v, from which a stream goes on.
template <Ring T>
struct Output {
  Array<T> output;
  Array<T> state;
};

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Input<T>& in) {
  const char* self = "mamba2_ssd";
  require_rank(self, "key", in.key, 2);
  require_rank(self, "value", in.value, 2);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape(self, "query", in.query, {n, d_k}, because);
  require_shape(self, "value", in.value, {n, d_v}, because);
  require_shape(self, "decay", in.decay, {n}, because);
  require_shape(self, "initial_state", in.initial_state, {d_k, d_v},
                because + ", value is " + to_string(in.value.shape()));
}

/// Throws unless a chunk has a token.
/// \throws std::invalid_argument
inline void check_chunk(Index chunk) {
  require(chunk >= 1, "mamba2_ssd", "chunk", std::to_string(chunk), "1 or more");
}

/// \name The recurrence
/// \{

/// Takes the state from token t-1 to token t and writes that token's output. Everything a stream needs.
template <Ring T>
void step(Array<T>& state, std::span<const T> query, std::span<const T> key, std::span<const T> value,
          const T& decay, const T& skip, std::span<T> output) {
  for (Index i = 0; i < state.extent(0); ++i) {
    for (Index j = 0; j < state.extent(1); ++j) {
      state(i, j) = decay * state(i, j) + key[i] * value[j];  // [S_t] [a_t] [B_t] [xbar_t]
    }
  }
  for (Index j = 0; j < state.extent(1); ++j) {
    T sum(0);
    for (Index i = 0; i < state.extent(0); ++i) sum += query[i] * state(i, j);  // [C_t]
    output[j] = stored(sum + skip * value[j]);                                  // [y_t] [D]
  }
}

/// The definition: token after token. O(n d_k d_v) operations, d_k d_v numbers of state.
template <Ring T>
Output<T> recurrent(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0);
  Output<T> out{Array<T>({n, in.value.extent(1)}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    step(out.state, in.query.row(t), in.key.row(t), in.value.row(t), in.decay(t), in.skip, out.output.row(t));
  }
  return out;
}
/// \}

/// \name The mask
/// \{

/// The mask of `length` tokens from `first` on, length x length, by running products. Division-free, so that
/// a decay may be 0. The decay of the first token is not in it.
template <Ring T>
Array<T> mask(const Array<T>& decay, Index first, Index length) {
  Array<T> L({length, length});
  for (Index t = 0; t < length; ++t) {
    L(t, t) = T(1);
    for (Index s = t - 1; s >= 0; --s) L(t, s) = L(t, s + 1) * decay(first + s + 1);  // [L_ts]
  }
  return L;
}

/// Multiplies numbers with the mask without the mask: h_t = a_t h_{t-1} + added_t. The paper's cumprodsum.
template <Ring T>
Array<T> mask_product(const Array<T>& decay, const Array<T>& added) {
  require_shape("mamba2_ssd::mask_product", "added", added, decay.shape());
  Array<T> h(added.shape());
  for (Index t = 0; t < h.extent(0); ++t) h(t) = t == 0 ? added(t) : decay(t) * h(t - 1) + added(t);
  return h;
}

/// The inverse of the mask has two diagonals: 1, and below it -a_t. It exists for every decay, 0 included.
template <Ring T>
Array<T> mask_inverse(const Array<T>& decay) {
  const Index n = decay.extent(0);
  Array<T> inverse({n, n});
  for (Index t = 0; t < n; ++t) {
    inverse(t, t) = T(1);
    if (t > 0) inverse(t, t - 1) = -decay(t);
  }
  return inverse;
}

/// The sums of the logarithms of decays between all pairs, n x n, 0 on the diagonal and above. Every column
/// adds up only what comes after its own token, so that nothing cancels: the stable form.
template <Ring T>
Array<T> segment_sums(const Array<T>& log_decay) {
  const Index n = log_decay.extent(0);
  Array<T> sums({n, n});
  for (Index s = 0; s < n; ++s) {
    for (Index t = s + 1; t < n; ++t) sums(t, s) = sums(t - 1, s) + log_decay(t);  // [sigma_ts]
  }
  return sums;
}

/// The same as differences of one running sum, for all pairs (above the diagonal too), as in Listing 1 of
/// the paper. In floating point the difference cancels, and two infinities have none.
template <Ring T>
Array<T> segment_sums_by_difference(const Array<T>& log_decay) {
  const Index n = log_decay.extent(0);
  Array<T> running({n}), sums({n, n});
  for (Index t = 0; t < n; ++t) running(t) = t == 0 ? log_decay(t) : running(t - 1) + log_decay(t);
  for (Index t = 0; t < n; ++t) {
    for (Index s = 0; s < n; ++s) sums(t, s) = running(t) - running(s);
  }
  return sums;
}

/// The mask from segment sums: nothing above the diagonal is ever looked at.
template <Exponential T>
Array<T> mask_of(const Array<T>& sums) {
  Array<T> L(sums.shape());
  for (Index t = 0; t < L.extent(0); ++t) {
    L(t, t) = T(1);
    for (Index s = 0; s < t; ++s) L(t, s) = exp(sums(t, s));
  }
  return L;
}

/// The mask as the released forward kernel has it: no exponent may be positive. Wrong for a decay above 1.
template <Exponential T>
Array<T> mask_of_clamped(const Array<T>& sums) {
  Array<T> clamped(sums.shape());
  for (Index i = 0; i < sums.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    clamped.values()[at] = -maximum(T(-sums.values()[at]), T(0));
  }
  return mask_of(clamped);
}

/// The mask as it must not be made: exponentials everywhere, then times 1 or 0. Above the diagonal an
/// exponential may overflow, and infinity times 0 is no number.
template <Exponential T>
Array<T> mask_by_multiplication(const Array<T>& sums) {
  Array<T> L(sums.shape());
  for (Index t = 0; t < L.extent(0); ++t) {
    for (Index s = 0; s < L.extent(1); ++s) L(t, s) = exp(sums(t, s)) * (s <= t ? T(1) : T(0));
  }
  return L;
}
/// \}

/// \name What the other forms are made of
/// \{

/// Attention without softmax among the tokens of a mask, from `first` on: adds (L * C B^T) X to their
/// outputs.
template <Ring T>
void attend(const Input<T>& in, Index first, const Array<T>& L, Array<T>& output) {
  for (Index r = 0; r < L.extent(0); ++r) {
    for (Index s = 0; s <= r; ++s) {
      T score(0);
      for (Index i = 0; i < in.key.extent(1); ++i) score += in.query(first + r, i) * in.key(first + s, i);
      score = stored(L(r, s) * score);
      for (Index j = 0; j < in.value.extent(1); ++j) output(first + r, j) += score * in.value(first + s, j);
    }
  }
}

/// The decay from before token `first` to each of `length` tokens.
template <Ring T>
Array<T> entering(const Array<T>& decay, Index first, Index length) {
  Array<T> din({length});
  for (Index r = 0; r < length; ++r) {
    din(r) = r == 0 ? decay(first) : din(r - 1) * decay(first + r);  // [din_r]
  }
  return din;
}

/// Adds what `din.extent(0)` tokens from `first` on read from a state before them.
template <Ring T>
void read(const Input<T>& in, Index first, const Array<T>& din, const Array<T>& state, Array<T>& output) {
  for (Index r = 0; r < din.extent(0); ++r) {
    for (Index j = 0; j < state.extent(1); ++j) {
      T sum(0);
      for (Index i = 0; i < state.extent(0); ++i) sum += in.query(first + r, i) * state(i, j);
      output(first + r, j) += din(r) * sum;
    }
  }
}

/// The state that the tokens of a mask leave when they start from zero, d_k x d_v.
template <Ring T>
Array<T> state_from_zero(const Input<T>& in, Index first, const Array<T>& L) {
  const Index length = L.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Array<T> state({d_k, d_v});
  for (Index r = 0; r < length; ++r) {
    for (Index i = 0; i < d_k; ++i) {
      const T faded = stored(L(length - 1, r) * in.key(first + r, i));  // [dout_r]
      for (Index j = 0; j < d_v; ++j) state(i, j) += faded * in.value(first + r, j);
    }
  }
  return state;
}

/// Ends a form: adds the skip to the outputs.
template <Ring T>
void add_skip(const Input<T>& in, Array<T>& output) {
  for (Index t = 0; t < output.extent(0); ++t) {
    for (Index j = 0; j < output.extent(1); ++j) {
      output(t, j) = stored(output(t, j) + in.skip * in.value(t, j));
    }
  }
}
/// \}

/// \name Forms
/// \{

/// The dual: all pairs at once, Y = (L * C B^T) X. The state before the first token is one more, older pair.
/// O(n^2 (d_k + d_v)) operations. \returns the output, n x d_v
template <Ring T>
Array<T> quadratic(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const Array<T> L = mask(in.decay, 0, n);
  Array<T> output({n, d_v});
  attend(in, 0, L, output);
  for (Index t = 0; t < n; ++t) {
    for (Index j = 0; j < d_v; ++j) {
      T sum(0);
      for (Index i = 0; i < d_k; ++i) sum += in.query(t, i) * in.initial_state(i, j);
      output(t, j) += L(t, 0) * (in.decay(0) * sum);
    }
  }
  add_skip(in, output);
  return output;
}

/// Chunks of `chunk` tokens (the last may be shorter): the dual inside, the recurrence from one to the next.
/// O(n chunk (d_k + d_v) + n d_k d_v) operations, all but the carrying of the state in matrix products.
/// \throws std::invalid_argument for chunk below 1
template <Ring T>
Output<T> chunked(const Input<T>& in, Index chunk) {
  check(in);
  check_chunk(chunk);
  const Index n = in.key.extent(0);
  Output<T> out{Array<T>({n, in.value.extent(1)}), in.initial_state};
  for (Index first = 0; first < n; first += chunk) {
    const Index length = std::min(chunk, n - first);
    const Array<T> L = mask(in.decay, first, length), din = entering(in.decay, first, length);
    attend(in, first, L, out.output);
    read(in, first, din, out.state, out.output);
    const Array<T> added = state_from_zero(in, first, L);
    for (Index i = 0; i < added.extent(0); ++i) {
      for (Index j = 0; j < added.extent(1); ++j) {
        out.state(i, j) = din(length - 1) * out.state(i, j) + added(i, j);
      }
    }
  }
  add_skip(in, out.output);
  return out;
}

/// The paper's Listing 1, which runs all chunks at the same time: (1) outputs inside the chunks, (2) the
/// states that the chunks leave from zero, (3) these handed on by one product with the mask of whole chunks,
/// (4) outputs from the states that enter. Any scan could do the third step. O(n chunk (d_k + d_v) + n d_k
/// d_v + (n / chunk)^2 d_k d_v) operations. \throws std::invalid_argument for chunk below 1
template <Ring T>
Output<T> four_steps(const Input<T>& in, Index chunk) {
  check(in);
  check_chunk(chunk);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const Index chunks = (n + chunk - 1) / chunk;
  Output<T> out{Array<T>({n, d_v}), Array<T>({d_k, d_v})};
  std::vector<Array<T>> left{in.initial_state}, din;  // what each chunk leaves; the initial state before them
  Array<T> chunk_decay({chunks + 1}, T(1));
  for (Index c = 0; c < chunks; ++c) {
    const Index first = c * chunk, length = std::min(chunk, n - first);
    const Array<T> L = mask(in.decay, first, length);
    attend(in, first, L, out.output);
    left.push_back(state_from_zero(in, first, L));
    din.push_back(entering(in.decay, first, length));
    chunk_decay(c + 1) = din.back()(length - 1);
  }
  const Array<T> of_chunks = mask(chunk_decay, 0, chunks + 1);
  for (Index c = 0; c <= chunks; ++c) {
    Array<T> state({d_k, d_v});
    for (Index earlier = 0; earlier <= c; ++earlier) {
      const Array<T>& added = left[static_cast<std::size_t>(earlier)];
      for (Index i = 0; i < d_k; ++i) {
        for (Index j = 0; j < d_v; ++j) state(i, j) += of_chunks(c, earlier) * added(i, j);
      }
    }
    if (c == chunks) {
      out.state = state;
    } else {
      read(in, c * chunk, din[static_cast<std::size_t>(c)], state, out.output);
    }
  }
  add_skip(in, out.output);
  return out;
}

/// One stretch of tokens as what it does to a state: fade it by `factor`, then add `offset`.
template <Ring T>
struct Stretch {
  T factor = T(1);
  Array<T> offset;
};

/// First one stretch, then the other. Associative, not commutative.
template <Ring T>
Stretch<T> after(const Stretch<T>& first, const Stretch<T>& second) {
  Stretch<T> both{second.factor * first.factor, second.offset};
  for (std::size_t i = 0; i < both.offset.values().size(); ++i) {
    both.offset.values()[i] = second.factor * first.offset.values()[i] + second.offset.values()[i];
  }
  return both;
}

/// Associative scan in ceil(log2 n) rounds: round r joins every stretch of 2^r tokens with the one before it.
/// O(n log n d_k d_v) operations.
template <Ring T>
Output<T> scan(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  std::vector<Stretch<T>> stretches;
  for (Index t = 0; t < n; ++t) {
    Stretch<T> token{in.decay(t), Array<T>({d_k, d_v})};
    for (Index i = 0; i < d_k; ++i) {
      for (Index j = 0; j < d_v; ++j) token.offset(i, j) = in.key(t, i) * in.value(t, j);
    }
    stretches.push_back(token);
  }
  for (Index reach = 1; reach < n; reach *= 2) {
    for (Index t = n - 1; t >= reach; --t) {  // downwards, so that what is read is of the round before
      const auto now = static_cast<std::size_t>(t), earlier = static_cast<std::size_t>(t - reach);
      stretches[now] = after(stretches[earlier], stretches[now]);
    }
  }
  Output<T> out{Array<T>({n, d_v}), Array<T>({d_k, d_v})};
  for (Index t = 0; t < n; ++t) {
    const Stretch<T>& all = stretches[static_cast<std::size_t>(t)];
    for (Index j = 0; j < d_v; ++j) {
      for (Index i = 0; i < d_k; ++i) {
        out.state(i, j) = all.factor * in.initial_state(i, j) + all.offset(i, j);
        out.output(t, j) += in.query(t, i) * out.state(i, j);
      }
    }
  }
  add_skip(in, out.output);
  return out;
}

/// Outputs of the tokens from `first` up to `last` by halves: the lower left block of the mask is the column
/// u times the row v, so the second half reads the first through one state.
template <Ring T>
void attend_by_halves(const Input<T>& in, Index first, Index last, Array<T>& output) {
  if (last - first == 1) return attend(in, first, mask(in.decay, first, 1), output);
  const Index middle = (first + last) / 2, d_k = in.key.extent(1), d_v = in.value.extent(1);
  attend_by_halves(in, first, middle, output);
  attend_by_halves(in, middle, last, output);
  Array<T> state({d_k, d_v});
  T to_middle(1);
  for (Index s = middle - 1; s >= first; --s) {
    if (s + 1 < middle) to_middle *= in.decay(s + 1);  // [v_s]
    for (Index i = 0; i < d_k; ++i) {
      const T faded = to_middle * in.key(s, i);
      for (Index j = 0; j < d_v; ++j) state(i, j) += faded * in.value(s, j);
    }
  }
  read(in, middle, entering(in.decay, middle, last - middle), state, output);  // [u_t]
}

/// The mask by halves, and halves of halves: the dilated mode. O(n log n d_k d_v) operations, log n levels.
/// \returns the output, n x d_v
template <Ring T>
Array<T> by_halves(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0);
  Array<T> output({n, in.value.extent(1)});
  attend_by_halves(in, 0, n, output);
  read(in, 0, entering(in.decay, 0, n), in.initial_state, output);
  add_skip(in, output);
  return output;
}
/// \}

/// The gradients of a loss with respect to every input, shaped as the inputs.
template <Ring T>
struct Gradient {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> decay;
  Array<T> initial_state;
  T skip = T(0);
};

/// Backward pass by the reversed recurrence g_t = a_{t+1} g_{t+1} + C_t dy_t^T: dC_t = S_t dy_t, dB_t = g_t
/// xbar_t, dxbar_t = g_t^T B_t + D dy_t, da_t = <g_t, S_{t-1}>. All states are kept (n d_k d_v numbers).
/// Right for decays that are 0. \param d_output n x d_v, \param d_state d_k x d_v
template <Ring T>
Gradient<T> backward(const Input<T>& in, const Array<T>& d_output, const Array<T>& d_state) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  require_shape("mamba2_ssd", "d_output", d_output, {n, d_v});
  require_shape("mamba2_ssd", "d_state", d_state, {d_k, d_v});
  Array<T> states({n + 1, d_k, d_v});
  for (Index i = 0; i < d_k; ++i) {
    for (Index j = 0; j < d_v; ++j) {
      states(0, i, j) = in.initial_state(i, j);
      for (Index t = 0; t < n; ++t) {
        states(t + 1, i, j) = in.decay(t) * states(t, i, j) + in.key(t, i) * in.value(t, j);
      }
    }
  }
  Gradient<T> d{Array<T>({n, d_k}), Array<T>({n, d_k}), Array<T>({n, d_v}), Array<T>({n}), d_state, T(0)};
  Array<T>& reverse = d.initial_state;  // holds a_{t+1} g_{t+1}, and at the end the gradient of S_0
  for (Index t = n - 1; t >= 0; --t) {
    for (Index j = 0; j < d_v; ++j) {
      d.value(t, j) += in.skip * d_output(t, j);
      d.skip += in.value(t, j) * d_output(t, j);
      for (Index i = 0; i < d_k; ++i) {
        reverse(i, j) += in.query(t, i) * d_output(t, j);  // [g_t]
        d.query(t, i) += states(t + 1, i, j) * d_output(t, j);
        d.key(t, i) += reverse(i, j) * in.value(t, j);
        d.value(t, j) += reverse(i, j) * in.key(t, i);
        d.decay(t) += reverse(i, j) * states(t, i, j);
        reverse(i, j) *= in.decay(t);
      }
    }
  }
  return d;
}

/// \name Around the core
/// \{

/// The same input with a value channel of ones after the others (and `initial_count`, d_k numbers, as what
/// the initial state has of it): that channel then reads the row sums of L * C B^T.
/// \throws std::invalid_argument for shapes that do not fit
template <Ring T>
Input<T> with_ones(const Input<T>& in, const Array<T>& initial_count) {
  check(in);
  require_shape("mamba2_ssd", "initial_count", initial_count, {in.key.extent(1)});
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Input<T> wider = in;
  wider.value = Array<T>({n, d_v + 1}, T(1));
  wider.initial_state = Array<T>({d_k, d_v + 1});
  for (Index j = 0; j < d_v; ++j) {
    for (Index t = 0; t < n; ++t) wider.value(t, j) = in.value(t, j);
    for (Index i = 0; i < d_k; ++i) wider.initial_state(i, j) = in.initial_state(i, j);
  }
  for (Index i = 0; i < d_k; ++i) wider.initial_state(i, d_v) = initial_count(i);
  return wider;
}

/// The normalised option of the paper's ablation: outputs over row sums, without initial state and skip.
/// Domain: no row sum is 0, as for keys and queries above 0. \returns n x d_v
/// \throws std::invalid_argument for shapes that do not fit
template <Field T>
Array<T> normalised(Input<T> in) {
  check(in);
  in.skip = T(0);
  in.initial_state = Array<T>(in.initial_state.shape());
  const Index d_v = in.value.extent(1);
  const Array<T> sums = recurrent(with_ones(in, Array<T>({in.key.extent(1)}))).output;
  Array<T> output(in.value.shape());
  for (Index t = 0; t < output.extent(0); ++t) {
    for (Index j = 0; j < d_v; ++j) output(t, j) = sums(t, j) / sums(t, d_v);
  }
  return output;
}

/// Several heads: query, key and value have each their own number of heads, heads x n x channels; decay is
/// H x n, because it is always one for each of the H heads.
template <Ring T>
struct Heads {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> decay;
};

/// Which of `groups` heads serves head h of `heads`: floor(h groups / heads).
inline Index serving_head(Index h, Index heads, Index groups) {
  require(groups >= 1 && heads % groups == 0, "mamba2_ssd", "groups", std::to_string(groups),
          "a divisor of the " + std::to_string(heads) + " heads");
  return h * groups / heads;
}

/// Head h of an H-head layer uses the serving head of each array. With (value, key, query) heads H H H this
/// is the paper's multi-head SSM, 1 1 H multi-contract, 1 H 1 multi-expand, H 1 1 multi-input (the default),
/// H G G grouped-input. \returns H x n x d_v \throws std::invalid_argument unless all counts divide H
template <Ring T>
Array<T> multi_head(const Heads<T>& in, Index chunk) {
  require_rank("mamba2_ssd", "query", in.query, 3);
  require_rank("mamba2_ssd", "key", in.key, 3);
  require_rank("mamba2_ssd", "value", in.value, 3);
  require_rank("mamba2_ssd", "decay", in.decay, 2);
  const Index all = in.decay.extent(0), n = in.decay.extent(1), d_v = in.value.extent(2);
  Array<T> output({all, n, d_v});
  for (Index h = 0; h < all; ++h) {
    Input<T> one{heads::head(in.query, serving_head(h, all, in.query.extent(0))),
                 heads::head(in.key, serving_head(h, all, in.key.extent(0))),
                 heads::head(in.value, serving_head(h, all, in.value.extent(0))),
                 Array<T>({n}),
                 Array<T>({in.key.extent(2), d_v}),
                 T(0)};
    for (Index t = 0; t < n; ++t) one.decay(t) = in.decay(h, t);
    const Array<T> mixed = chunked(one, chunk).output;
    for (Index t = 0; t < n; ++t) {
      for (Index j = 0; j < d_v; ++j) output(h, t, j) = mixed(t, j);
    }
  }
  return output;
}

/// What a layer has before discretisation: query and key n x d_k, value n x d_v (the x of the equation,
/// without its step), step n, the state before the first token, one rate, and a skip for each channel.
template <Ring T>
struct Layer {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> step;
  Array<T> initial_state;
  T rate = T(-1);
  Array<T> skip;
};

/// The step length from its raw number: softplus, positive without an upper limit.
template <Real T>
T step_length(const T& raw, const T& bias) {
  return s4d::SoftplusTransform::value(T(raw + bias));  // [Delta_t]
}

/// The same as one of the released decoding kernels has it. In float32 exactly 0 from about -17 downwards.
template <Real T>
T step_length_decoding(const T& raw, const T& bias) {
  return log(exp(T(raw + bias)) + T(1));
}

/// A step length between two limits, an option of the released code.
template <OrderedField T>
T limited(const T& step, const T& shortest, const T& longest) {
  return -maximum(T(-maximum(step, shortest)), T(-longest));
}

/// The core of a layer: a_t = e^{Delta_t A} and xbar_t = Delta_t x_t. Without the skip, which sees x_t.
template <Exponential T>
Input<T> discretised(const Layer<T>& layer) {
  require_rank("mamba2_ssd", "value", layer.value, 2);
  require_shape("mamba2_ssd", "step", layer.step, {layer.value.extent(0)});
  Input<T> core{layer.query, layer.key, layer.value, layer.step, layer.initial_state, T(0)};
  for (Index t = 0; t < layer.step.extent(0); ++t) {
    core.decay(t) = exp(layer.step(t) * layer.rate);  // [A]
    for (Index j = 0; j < layer.value.extent(1); ++j) core.value(t, j) = layer.step(t) * layer.value(t, j);
  }
  return core;
}

/// The layer: its core, chunk by chunk, and D_j x_tj.
/// \throws std::invalid_argument for shapes that do not fit and for chunk below 1
template <Exponential T>
Output<T> layer(const Layer<T>& layer, Index chunk) {
  require_shape("mamba2_ssd", "skip", layer.skip, {layer.value.extent(1)});
  Output<T> out = chunked(discretised(layer), chunk);
  for (Index t = 0; t < out.output.extent(0); ++t) {
    for (Index j = 0; j < out.output.extent(1); ++j) out.output(t, j) += layer.skip(j) * layer.value(t, j);
  }
  return out;
}

/// The rate that a head starts from, for `uniform` in [0, 1]: between -1 and -16. Steps start as those of
/// Mamba (S6).
template <Field T>
T initial_rate(const T& uniform) {
  return -(T(1) + T(15) * uniform);
}

/// Divides the channels of every token, in `groups` of equal size, by their root mean square, and weighs
/// them. \param y n x channels, \param weight one number a channel, \param epsilon added to the mean square
template <Real T>
Array<T> rms_norm(const Array<T>& y, const Array<T>& weight, const T& epsilon, Index groups) {
  require_rank("mamba2_ssd", "y", y, 2);
  require_shape("mamba2_ssd", "weight", weight, {y.extent(1)});
  require(groups >= 1 && y.extent(1) % groups == 0, "mamba2_ssd", "groups", std::to_string(groups),
          "a divisor of the " + std::to_string(y.extent(1)) + " channels");
  const Index width = y.extent(1) / groups;
  Array<T> normed(y.shape());
  for (Index t = 0; t < y.extent(0); ++t) {
    for (Index first = 0; first < y.extent(1); first += width) {
      T squares(0);
      for (Index c = first; c < first + width; ++c) squares += y(t, c) * y(t, c);
      const T root = sqrt(squares / T(width) + epsilon);
      for (Index c = first; c < first + width; ++c) normed(t, c) = y(t, c) / root * weight(c);
    }
  }
  return normed;
}

/// y times SiLU(z) = z / (1 + e^{-z}).
template <Exponential T>
Array<T> gated(const Array<T>& y, const Array<T>& z) {
  require_shape("mamba2_ssd", "z", z, y.shape());
  Array<T> product(y.shape());
  for (std::size_t i = 0; i < product.values().size(); ++i) {
    product.values()[i] = y.values()[i] * (z.values()[i] / (T(1) + exp(-z.values()[i])));
  }
  return product;
}

/// What follows the mixer in the block, as released: first the gate, then the norm.
template <Real T>
Array<T> gated_norm(const Array<T>& y, const Array<T>& z, const Array<T>& weight, const T& epsilon,
                    Index groups) {
  return rms_norm(gated(y, z), weight, epsilon, groups);
}

/// The option of the released code: first the norm, then the gate.
template <Real T>
Array<T> norm_then_gate(const Array<T>& y, const Array<T>& z, const Array<T>& weight, const T& epsilon,
                        Index groups) {
  return gated(rms_norm(y, weight, epsilon, groups), z);
}
/// \}

}  // namespace etalon::mamba2_ssd
