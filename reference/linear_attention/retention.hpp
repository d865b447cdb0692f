/// \file
/// Retention (RetNet): linear attention whose memory fades by one constant factor a token, with queries and
/// keys that are rotated by their position. The same layer has three faces: parallel for training, recurrent
/// for generation, chunked for long inputs.
///
/// Source: \cite sun2023retnet. The sum over all earlier tokens is the definition.
/// \f[ \bar q_t = R_t q_t, \quad \bar k_t = R_t k_t, \qquad
///     o_t = \sum_{j \le t} \gamma^{t-j} (\bar q_t^\top \bar k_j)\, v_j \f]
/// R_t turns channel pair (2a, 2a + 1) by t times the angle of that pair. Only differences of positions
/// matter.
///
/// Shapes: n tokens, d_k = 2 x pairs channels of queries and keys, d_v channels of values.
/// \symbol{q_t} query of token t, d_k channels; qbar_t after its rotation
/// \symbol{k_t} key of token t, d_k channels; kbar_t after its rotation
/// \symbol{v_t} value of token t, d_v channels
/// \symbol{R_t} rotation at position t, one angle for each pair of channels
/// \symbol{gamma} decay a token, in [0, 1]
/// \symbol{S_t} state after token t, d_k x d_v
/// \symbol{o_t} output of token t, d_v channels
#pragma once

#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::retention {

/// What enters: query and key n x d_k, value n x d_v, the rotation of one step as unit complex numbers
/// (pairs), the decay gamma, and the state before the first token, d_k x d_v, as that token sees it one step
/// back.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<Complex<T>> rotation;
  T decay = T(1);
  Array<T> initial_state;
};

/// What leaves: output n x d_v, and the state as the last token sees it, d_k x d_v.
template <Ring T>
struct Output {
  Array<T> output;
  Array<T> state;
};

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Input<T>& in) {
  const char* self = "retention";
  require_rank(self, "key", in.key, 2);
  require_rank(self, "value", in.value, 2);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const std::string because = "key is " + to_string(in.key.shape());
  require(d_k % 2 == 0, self, "key", to_string(in.key.shape()), "an even number of channels");
  require_shape(self, "query", in.query, {n, d_k}, because);
  require_shape(self, "value", in.value, {n, d_v}, because);
  require_shape(self, "rotation", in.rotation, {d_k / 2}, because);
  require_shape(self, "initial_state", in.initial_state, {d_k, d_v},
                because + ", value is " + to_string(in.value.shape()));
}

/// R_0, R_1, ..., R_n: row t holds the t-th power of every pair's rotation. The pair of channels (x, y) is
/// the complex number x + i y, and turning it is multiplying by a unit number.
template <Ring T>
Array<Complex<T>> rotations(const Array<Complex<T>>& rotation, Index n) {
  Array<Complex<T>> turns({n + 1, rotation.extent(0)}, Complex<T>(1));
  for (Index t = 1; t <= n; ++t) {
    for (Index a = 0; a < rotation.extent(0); ++a) turns(t, a) = turns(t - 1, a) * rotation(a);  // [R_t]
  }
  return turns;
}

/// Turns token t, which stands at position t + 1 (the initial state stands at position 0).
template <Ring T>
Array<T> rotated(const Array<T>& tokens, const Array<Complex<T>>& turns) {
  Array<T> turned(tokens.shape());
  for (Index t = 0; t < tokens.extent(0); ++t) {
    for (Index a = 0; a < turns.extent(1); ++a) {
      const Complex<T> z = Complex<T>(tokens(t, 2 * a), tokens(t, 2 * a + 1)) * turns(t + 1, a);
      turned(t, 2 * a) = z.re;
      turned(t, 2 * a + 1) = z.im;
    }
  }
  return turned;
}

/// Turns the key channels (the rows) of a state back by `steps` positions, so that it is seen from there. The
/// inverse of a unit number is its conjugate.
template <Ring T>
Array<T> turned_back(const Array<T>& state, const Array<Complex<T>>& turns, Index steps) {
  Array<T> turned(state.shape());
  for (Index a = 0; a < turns.extent(1); ++a) {
    for (Index j = 0; j < state.extent(1); ++j) {
      const Complex<T> z = Complex<T>(state(2 * a, j), state(2 * a + 1, j)) * conj(turns(steps, a));
      turned(2 * a, j) = z.re;
      turned(2 * a + 1, j) = z.im;
    }
  }
  return turned;
}

/// Takes the state from token t-1 to token t and writes that token's output, given rotated query and key.
template <Ring T>
void step(Array<T>& state, std::span<const T> query, std::span<const T> key, std::span<const T> value,
          const T& decay, std::span<T> output) {
  for (Index i = 0; i < state.extent(0); ++i) {
    for (Index j = 0; j < state.extent(1); ++j) {
      state(i, j) = decay * state(i, j) + key[i] * value[j];  // [S_t] [gamma] [k_t] [v_t]
    }
  }
  for (Index j = 0; j < state.extent(1); ++j) {
    T sum(0);
    for (Index i = 0; i < state.extent(0); ++i) sum += query[i] * state(i, j);  // [q_t]
    output[j] = stored(sum);                                                    // [o_t]
  }
}

/// Token after token on rotated queries and keys. O(n d_k d_v) operations, d_k d_v numbers of state.
template <Ring T>
Output<T> recurrent(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0);
  const Array<Complex<T>> turns = rotations(in.rotation, n);
  const Array<T> query = rotated(in.query, turns), key = rotated(in.key, turns);
  Output<T> out{Array<T>({n, in.value.extent(1)}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    step(out.state, query.row(t), key.row(t), in.value.row(t), in.decay, out.output.row(t));
  }
  out.state = turned_back(out.state, turns, n);
  return out;
}

/// Nothing is rotated but the state, one step back a token: the view of retention as a state space model with
/// the complex diagonal gamma e^{-i theta}.
template <Ring T>
Output<T> rotating_state(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0);
  const Array<Complex<T>> turns = rotations(in.rotation, 1);
  Output<T> out{Array<T>({n, in.value.extent(1)}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    out.state = turned_back(out.state, turns, 1);
    step(out.state, in.query.row(t), in.key.row(t), in.value.row(t), in.decay, out.output.row(t));
  }
  return out;
}

/// gamma^0, gamma^1, ..., gamma^n.
template <Ring T>
Array<T> powers(const T& decay, Index n) {
  Array<T> all({n + 1}, T(1));
  for (Index t = 1; t <= n; ++t) all(t) = all(t - 1) * decay;
  return all;
}

/// The definition: every query with every earlier key, the initial state as a memory older than all.
/// O(n^2 (d_k + d_v)) operations.
template <Ring T>
Output<T> parallel(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const Array<Complex<T>> turns = rotations(in.rotation, n);
  const Array<T> query = rotated(in.query, turns), key = rotated(in.key, turns);
  const Array<T> decay = powers(in.decay, n);
  Output<T> out{Array<T>({n, d_v}), Array<T>({d_k, d_v})};
  for (Index t = 0; t < n; ++t) {
    for (Index s = 0; s <= t; ++s) {
      T score(0);
      for (Index i = 0; i < d_k; ++i) score += query(t, i) * key(s, i);
      score = stored(decay(t - s) * score);
      for (Index j = 0; j < d_v; ++j) out.output(t, j) += score * in.value(s, j);
    }
    for (Index j = 0; j < d_v; ++j) {
      T from_state(0);
      for (Index i = 0; i < d_k; ++i) from_state += query(t, i) * in.initial_state(i, j);
      out.output(t, j) = stored(out.output(t, j) + decay(t + 1) * from_state);
    }
  }
  for (Index i = 0; i < d_k; ++i) {
    for (Index j = 0; j < d_v; ++j) {
      out.state(i, j) = decay(n) * in.initial_state(i, j);
      for (Index s = 0; s < n; ++s) out.state(i, j) += decay(n - 1 - s) * key(s, i) * in.value(s, j);
    }
  }
  out.state = turned_back(out.state, turns, n);
  return out;
}

/// Chunks of `chunk` tokens (the last may be shorter): all pairs inside, a state from one to the next.
/// O(n chunk (d_k + d_v) + n d_k d_v) operations.
/// \throws std::invalid_argument for chunk below 1
template <Ring T>
Output<T> chunked(const Input<T>& in, Index chunk) {
  check(in);
  require(chunk >= 1, "retention", "chunk", std::to_string(chunk), "1 or more");
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const Array<Complex<T>> turns = rotations(in.rotation, n);
  const Array<T> query = rotated(in.query, turns), key = rotated(in.key, turns);
  const Array<T> decay = powers(in.decay, std::min(chunk, n));
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index first = 0; first < n; first += chunk) {
    const Index length = std::min(chunk, n - first);
    for (Index r = 0; r < length; ++r) {
      Array<T> output({d_v});
      for (Index s = 0; s <= r; ++s) {
        T score(0);
        for (Index i = 0; i < d_k; ++i) score += query(first + r, i) * key(first + s, i);
        score = stored(decay(r - s) * score);
        for (Index j = 0; j < d_v; ++j) output(j) += score * in.value(first + s, j);
      }
      for (Index j = 0; j < d_v; ++j) {
        T from_state(0);
        for (Index i = 0; i < d_k; ++i) from_state += query(first + r, i) * out.state(i, j);
        out.output(first + r, j) = stored(output(j) + decay(r + 1) * from_state);
      }
    }
    for (Index i = 0; i < d_k; ++i) {
      for (Index j = 0; j < d_v; ++j) out.state(i, j) *= decay(length);
      for (Index r = 0; r < length; ++r) {
        const T faded = stored(decay(length - 1 - r) * key(first + r, i));
        for (Index j = 0; j < d_v; ++j) out.state(i, j) += faded * in.value(first + r, j);
      }
    }
  }
  out.state = turned_back(out.state, turns, n);
  return out;
}

/// The decay of head h in a layer of several: 1 - 2^(-5 - h).
template <Field T>
T head_decay(Index h) {
  T distance(1);
  for (Index halvings = 0; halvings < 5 + h; ++halvings) distance /= T(2);
  return T(1) - distance;
}

}  // namespace etalon::retention
