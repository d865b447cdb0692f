/// \file
/// The delta rule (DeltaNet): linear attention that corrects its memory instead of adding to it. A token
/// first asks what the memory already returns for its key, and writes only the difference to what it should
/// return: erase the old value, write the new one. That is one step of gradient descent on the error |S^T k_t
/// - v_t|^2 / 2.
///
/// Source: \cite yang2024deltanet (the chunked algorithm), \cite schlag2021fastweights (the layer). The
/// recurrence is the definition; all other forms compute the same numbers, and none of them divides.
/// \f[ u_t = \beta_t\,(v_t - S_{t-1}^\top k_t), \qquad
///     S_t = S_{t-1} + k_t u_t^\top = H_t S_{t-1} + \beta_t k_t v_t^\top, \qquad
///     H_t = I - \beta_t k_t k_t^\top, \qquad o_t = c\, S_t^\top q_t \f]
/// The state is updated before it is read.
///
/// Shapes: n tokens, keys and queries with d_k channels, values with d_v channels.
/// \symbol{q_t} query of token t, d_k channels
/// \symbol{k_t} key of token t, d_k channels
/// \symbol{v_t} value of token t, d_v channels
/// \symbol{beta_t} how much of the difference token t writes: 0 nothing, 1 all of it if the key has length 1
/// \symbol{c} scale of the read-out, 1 or 1 / sqrt(d_k)
/// \symbol{u_t} correction that token t writes under its key, d_v channels
/// \symbol{S_t} state after token t, d_k x d_v
/// \symbol{H_t} transition of token t, d_k x d_k
/// \symbol{o_t} output of token t, d_v channels
/// \symbol{P_st} H_t ... H_s: what tokens s to t do to an older state, d_k x d_k
/// \symbol{A_ts} attention of token t to token s: beta_s q_t^T P_(s+1)t k_s, a number
/// \symbol{L_rs} beta_r k_r . k_s for s < r, else 0: how a token of a chunk sees the corrections before it
/// \symbol{T_rs} the UT transform (I + L)^-1 Diag(beta) of a chunk
/// \symbol{w_r} row r of W = T K, with which P of the chunk is I - K^T W, d_k channels
/// \symbol{R_r} correction of token r of a chunk, given the state before the chunk, d_v channels
#pragma once

#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::delta_rule {

/// What enters: query and key n x d_k, value n x d_v, beta (n), initial_state (the S_0 of the recurrence)
/// d_k x d_v. Any number may be a beta.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> beta;
  Array<T> initial_state;
  T scale = T(1);
};

/// What leaves: output n x d_v and the state after the last token, d_k x d_v, from which a stream goes on.
template <Ring T>
struct Output {
  Array<T> output;
  Array<T> state;
};

/// Throws unless the shapes fit together. Non-finite numbers are not looked for: a NaN in a key, value or
/// beta reaches every later output. \throws std::invalid_argument naming the argument, its shape and the
/// expected one
template <Ring T>
void check(const Input<T>& in) {
  const char* self = "delta_rule";
  require_rank(self, "key", in.key, 2);
  require_rank(self, "value", in.value, 2);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape(self, "query", in.query, {n, d_k}, because);
  require_shape(self, "value", in.value, {n, d_v}, because);
  require_shape(self, "beta", in.beta, {n}, because);
  require_shape(self, "initial_state", in.initial_state, {d_k, d_v},
                because + ", value is " + to_string(in.value.shape()));
}

// ---- the recurrence ----------------------------------------------------------------------------

/// Changes what the state returns for `key` towards `value`. O(d_k d_v) operations.
template <Ring T>
void write(Array<T>& state, std::span<const T> key, std::span<const T> value, const T& beta) {
  const Index d_k = state.extent(0), d_v = state.extent(1);
  for (Index j = 0; j < d_v; ++j) {
    T recalled(0);
    for (Index i = 0; i < d_k; ++i) recalled += state(i, j) * key[i];
    const T correction = beta * (value[j] - recalled);                   // [u_t] [beta_t] [v_t]
    for (Index i = 0; i < d_k; ++i) state(i, j) += key[i] * correction;  // [S_t] [k_t]
  }
}

/// What the state returns for `query`.
template <Ring T>
void read(const Array<T>& state, std::span<const T> query, const T& scale, std::span<T> output) {
  for (Index j = 0; j < state.extent(1); ++j) {
    T sum(0);
    for (Index i = 0; i < state.extent(0); ++i) sum += scale * query[i] * state(i, j);  // [c] [q_t]
    output[j] = stored(sum);                                                            // [o_t]
  }
}

/// Takes the state from token t-1 to token t and writes that token's output. Everything a stream needs.
template <Ring T>
void step(Array<T>& state, std::span<const T> query, std::span<const T> key, std::span<const T> value,
          const T& beta, const T& scale, std::span<T> output) {
  write(state, key, value, beta);
  read(state, query, scale, output);
}

/// The definition: token after token. O(n d_k d_v) operations, d_k d_v numbers of state.
template <Ring T>
Output<T> recurrent(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    step(out.state, in.query.row(t), in.key.row(t), in.value.row(t), in.beta(t), in.scale, out.output.row(t));
  }
  return out;
}

/// H = I - beta k k^T: a generalised Householder matrix. It keeps everything orthogonal to k and multiplies k
/// by 1 - beta |k|^2: a projection for beta |k|^2 = 1, a reflection for 2.
template <Ring T>
Array<T> transition(std::span<const T> key, const T& beta) {
  const Index d_k = static_cast<Index>(key.size());
  Array<T> matrix({d_k, d_k});
  for (Index i = 0; i < d_k; ++i) {
    for (Index m = 0; m < d_k; ++m) matrix(i, m) = T(i == m ? 1 : 0) - beta * key[i] * key[m];  // [H_t]
  }
  return matrix;
}

/// The recurrence in its second reading, with the transitions as matrices: what a scan over dense matrices
/// would do, and what the forms below avoid. O(n d_k^2 d_v) operations.
template <Ring T>
Output<T> dense(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    const Array<T> matrix = transition(in.key.row(t), in.beta(t));
    Array<T> next({d_k, d_v});
    for (Index i = 0; i < d_k; ++i) {
      for (Index j = 0; j < d_v; ++j) {
        for (Index m = 0; m < d_k; ++m) next(i, j) += matrix(i, m) * out.state(m, j);
        next(i, j) += in.beta(t) * in.key(t, i) * in.value(t, j);
      }
    }
    out.state = next;
    read(out.state, in.query.row(t), in.scale, out.output.row(t));
  }
  return out;
}

// ---- every query with every earlier key --------------------------------------------------------

/// What a query reads of the first `tokens` tokens and of the initial state, d_v channels. Instead of moving
/// every key forward to the query, the query moves back from token to token: it becomes P_(s+1)t^T q_t.
template <Ring T>
Array<T> recall(const Input<T>& in, Index tokens, Array<T> query) {
  const Index d_k = in.key.extent(1), d_v = in.value.extent(1);
  Array<T> output({d_v});
  for (Index s = tokens - 1; s >= 0; --s) {
    T fit(0);
    for (Index i = 0; i < d_k; ++i) fit += query(i) * in.key(s, i);
    const T score = in.beta(s) * fit;  // [A_ts]
    for (Index j = 0; j < d_v; ++j) output(j) += stored(score) * in.value(s, j);
    for (Index i = 0; i < d_k; ++i) query(i) -= score * in.key(s, i);  // [P_st]
  }
  for (Index j = 0; j < d_v; ++j) {
    for (Index i = 0; i < d_k; ++i) output(j) += query(i) * in.initial_state(i, j);
  }
  return output;
}

/// A vector of length `length` that is 1 at one place.
template <Ring T>
Array<T> unit_vector(Index length, Index place) {
  Array<T> unit({length});
  unit(place) = T(1);
  return unit;
}

/// The unrolled recurrence: o_t = c sum_s A_ts v_s + c (P_1t^T q_t)^T S_0. The final state is what the unit
/// queries read. O(n^2 (d_k + d_v)) operations.
template <Ring T>
Output<T> pairwise(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), Array<T>({d_k, d_v})};
  for (Index t = 0; t < n; ++t) {
    Array<T> query({d_k});
    for (Index i = 0; i < d_k; ++i) query(i) = in.scale * in.query(t, i);
    const Array<T> output = recall(in, t + 1, query);
    for (Index j = 0; j < d_v; ++j) out.output(t, j) = stored(output(j));
  }
  for (Index i = 0; i < d_k; ++i) {
    const Array<T> row = recall(in, n, unit_vector<T>(d_k, i));
    for (Index j = 0; j < d_v; ++j) out.state(i, j) = row(j);
  }
  return out;
}

// ---- the triangular system of a chunk ----------------------------------------------------------

/// The strictly lower matrix L of the `length` tokens from `first` on. Inside a chunk the corrections obey
/// (I + L) R = Diag(beta) (V - K S): a token sees what the tokens before it have written.
template <Ring T>
Array<T> interference(const Input<T>& in, Index first, Index length) {
  Array<T> lower({length, length});
  for (Index r = 0; r < length; ++r) {
    for (Index s = 0; s < r; ++s) {
      T product(0);
      for (Index i = 0; i < in.key.extent(1); ++i) product += in.key(first + r, i) * in.key(first + s, i);
      lower(r, s) = in.beta(first + r) * product;  // [L_rs]
    }
  }
  return lower;
}

/// Solves (I + L) X = B row by row, from the first to the last: B is replaced by X.
template <Ring T>
void substitute(const Array<T>& lower, Array<T>& right) {
  for (Index r = 0; r < right.extent(0); ++r) {
    for (Index s = 0; s < r; ++s) {
      for (Index j = 0; j < right.extent(1); ++j) right(r, j) -= lower(r, s) * right(s, j);
    }
  }
}

/// (I + L)^-1 as GPU code forms it: diagonal blocks of `block` rows by substitution, and what lies left of
/// them by the inverse of a block matrix, [A 0; B D]^-1 = [A^-1 0; -D^-1 B A^-1 D^-1].
template <Ring T>
Array<T> unit_lower_inverse(const Array<T>& lower, Index block) {
  const Index m = lower.extent(0);
  Array<T> inverse({m, m});
  for (Index first = 0; first < m; first += block) {
    const Index last = std::min(first + block, m);
    for (Index r = first; r < last; ++r) {
      inverse(r, r) = T(1);
      for (Index c = first; c < r; ++c) {
        for (Index s = c; s < r; ++s) inverse(r, c) -= lower(r, s) * inverse(s, c);
      }
    }
    for (Index c = 0; c < first; ++c) {
      Array<T> product({m});  // B A^-1
      for (Index r = first; r < last; ++r) {
        for (Index s = c; s < first; ++s) product(r) += lower(r, s) * inverse(s, c);
      }
      for (Index r = first; r < last; ++r) {
        for (Index s = first; s <= r; ++s) inverse(r, c) -= inverse(r, s) * product(s);
      }
    }
  }
  return inverse;
}

/// (I + L)^-1 = (I - L)(I + L^2)(I + L^4) ..., a finite product because L^m = 0. Exact in exact arithmetic.
/// Never in floating point: for 64 equal keys the powers of L reach 4.65e17 while the inverse holds 0, 1, -1.
template <Ring T>
Array<T> unit_lower_inverse_by_doubling(const Array<T>& lower) {
  const Index m = lower.extent(0);
  const auto times = [m](const Array<T>& a, const Array<T>& b) {
    Array<T> product({m, m});
    for (Index r = 0; r < m; ++r) {
      for (Index s = 0; s <= r; ++s) {
        for (Index c = 0; c <= s; ++c) product(r, c) += a(r, s) * b(s, c);
      }
    }
    return product;
  };
  Array<T> power({m, m}), inverse({m, m});
  for (Index r = 0; r < m; ++r) {
    for (Index c = 0; c < r; ++c) power(r, c) = inverse(r, c) = -lower(r, c);
    inverse(r, r) = T(1);
  }
  for (Index reach = 2; reach < m; reach *= 2) {
    power = times(power, power);
    const Array<T> more = times(inverse, power);
    for (Index r = 0; r < m; ++r) {
      for (Index c = 0; c <= r; ++c) inverse(r, c) += more(r, c);
    }
  }
  return inverse;
}

/// The UT transform of the `length` tokens from `first` on, a lower triangle: T = (I + L)^-1 Diag(beta).
template <Ring T>
Array<T> ut_transform(const Input<T>& in, Index first, Index length, Index block) {
  Array<T> transform = unit_lower_inverse(interference(in, first, length), block);
  for (Index r = 0; r < length; ++r) {
    for (Index s = 0; s <= r; ++s) transform(r, s) = stored(transform(r, s) * in.beta(first + s));  // [T_rs]
  }
  return transform;
}

/// W and U of a chunk: its transitions multiply to I - K^T W, and its pairs have written K^T U.
template <Ring T>
struct Wy {
  Array<T> w;
  Array<T> u;
};

/// The WY form by its own recurrence: w_r = beta_r (k_r - sum_{i<r} (k_r . k_i) w_i), and u_r likewise from
/// v_r.
template <Ring T>
Wy<T> wy(const Input<T>& in, Index first, Index length) {
  const Index d_k = in.key.extent(1), d_v = in.value.extent(1);
  Wy<T> chunk{Array<T>({length, d_k}), Array<T>({length, d_v})};
  for (Index r = 0; r < length; ++r) {
    for (Index i = 0; i < d_k; ++i) chunk.w(r, i) = in.key(first + r, i);
    for (Index j = 0; j < d_v; ++j) chunk.u(r, j) = in.value(first + r, j);
    for (Index s = 0; s < r; ++s) {
      T product(0);
      for (Index i = 0; i < d_k; ++i) product += in.key(first + r, i) * in.key(first + s, i);
      for (Index i = 0; i < d_k; ++i) chunk.w(r, i) -= product * chunk.w(s, i);  // [w_r]
      for (Index j = 0; j < d_v; ++j) chunk.u(r, j) -= product * chunk.u(s, j);
    }
    for (Index i = 0; i < d_k; ++i) chunk.w(r, i) = stored(in.beta(first + r) * chunk.w(r, i));
    for (Index j = 0; j < d_v; ++j) chunk.u(r, j) = stored(in.beta(first + r) * chunk.u(r, j));
  }
  return chunk;
}

/// The same by the UT transform: W = T K and U = T V, two matrix products.
template <Ring T>
Wy<T> wy_by_transform(const Input<T>& in, Index first, Index length, Index block) {
  const Index d_k = in.key.extent(1), d_v = in.value.extent(1);
  const Array<T> transform = ut_transform(in, first, length, block);
  Wy<T> chunk{Array<T>({length, d_k}), Array<T>({length, d_v})};
  for (Index r = 0; r < length; ++r) {
    for (Index i = 0; i < d_k; ++i) {
      for (Index s = 0; s <= r; ++s) chunk.w(r, i) += transform(r, s) * in.key(first + s, i);
      chunk.w(r, i) = stored(chunk.w(r, i));
    }
    for (Index j = 0; j < d_v; ++j) {
      for (Index s = 0; s <= r; ++s) chunk.u(r, j) += transform(r, s) * in.value(first + s, j);
      chunk.u(r, j) = stored(chunk.u(r, j));
    }
  }
  return chunk;
}

// ---- chunks ------------------------------------------------------------------------------------

/// The corrections R of a chunk from its W and U and the state before it: R = U - W S.
template <Ring T>
Array<T> corrections(const Wy<T>& chunk, const Array<T>& state) {
  Array<T> result = chunk.u;
  for (Index r = 0; r < result.extent(0); ++r) {
    for (Index j = 0; j < result.extent(1); ++j) {
      T recalled(0);
      for (Index i = 0; i < state.extent(0); ++i) recalled += chunk.w(r, i) * state(i, j);
      result(r, j) = stored(result(r, j) - recalled);
    }
  }
  return result;
}

/// Writes the outputs of a chunk, O = c (Q S + tril(Q K^T) R), and takes the state behind it, S + K^T R.
/// \param written the corrections R
template <Ring T>
void finish_chunk(const Input<T>& in, Index first, const Array<T>& written, Output<T>& out) {
  const Index length = written.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  for (Index r = 0; r < length; ++r) {
    Array<T> score({r + 1});
    for (Index s = 0; s <= r; ++s) {
      for (Index i = 0; i < d_k; ++i) score(s) += in.scale * in.query(first + r, i) * in.key(first + s, i);
    }
    for (Index j = 0; j < d_v; ++j) {
      T from_state(0), from_chunk(0);
      for (Index i = 0; i < d_k; ++i) from_state += in.scale * in.query(first + r, i) * out.state(i, j);
      for (Index s = 0; s <= r; ++s) from_chunk += stored(score(s)) * written(s, j);
      out.output(first + r, j) = stored(from_state + from_chunk);
    }
  }
  for (Index i = 0; i < d_k; ++i) {
    for (Index j = 0; j < d_v; ++j) {
      T sum(0);
      for (Index r = 0; r < length; ++r) sum += in.key(first + r, i) * written(r, j);
      out.state(i, j) += sum;
    }
  }
}

/// Runs over chunks of `chunk` tokens (the last may be shorter). `correct(first, length, state)` gives the
/// corrections of a chunk.
template <Ring T, class Correct>
Output<T> over_chunks(const Input<T>& in, Index chunk, Correct correct) {
  check(in);
  require(chunk >= 1, "delta_rule", "chunk", std::to_string(chunk), "1 or more");
  const Index n = in.key.extent(0);
  Output<T> out{Array<T>({n, in.value.extent(1)}), in.initial_state};
  for (Index first = 0; first < n; first += chunk) {
    const Array<T> result = correct(first, std::min(chunk, n - first), out.state);
    finish_chunk(in, first, result, out);
  }
  return out;
}

/// Chunks, the corrections by forward substitution: no matrix is inverted. O(n chunk (d_k + d_v) + n d_k d_v)
/// operations. \throws std::invalid_argument for chunk below 1
template <Ring T>
Output<T> chunked(const Input<T>& in, Index chunk) {
  return over_chunks(in, chunk, [&](Index first, Index length, const Array<T>& state) {
    Array<T> result({length, in.value.extent(1)});
    for (Index r = 0; r < length; ++r) {
      for (Index j = 0; j < result.extent(1); ++j) {
        T recalled(0);
        for (Index i = 0; i < state.extent(0); ++i) recalled += in.key(first + r, i) * state(i, j);
        result(r, j) = in.beta(first + r) * (in.value(first + r, j) - recalled);
      }
    }
    substitute(interference(in, first, length), result);
    for (T& x : result.values()) x = stored(x);  // [R_r]
    return result;
  });
}

/// Chunks in the WY form. W and U need no state, so all chunks can prepare them at the same time; what is
/// left in sequence is R = U - W S. O(n chunk (d_k + d_v) + n d_k d_v) operations. \throws
/// std::invalid_argument for chunk below 1
template <Ring T>
Output<T> chunked_wy(const Input<T>& in, Index chunk) {
  return over_chunks(in, chunk, [&](Index first, Index length, const Array<T>& state) {
    return corrections(wy(in, first, length), state);
  });
}

/// The same with W and U by the UT transform, as a GPU runs it: matrix products only, but for the diagonal
/// blocks of `block` rows. O(n chunk (chunk + d_k + d_v) + n d_k d_v) operations.
/// \throws std::invalid_argument for chunk or block below 1
template <Ring T>
Output<T> chunked_ut(const Input<T>& in, Index chunk, Index block) {
  require(block >= 1, "delta_rule", "block", std::to_string(block), "1 or more");
  return over_chunks(in, chunk, [&](Index first, Index length, const Array<T>& state) {
    return corrections(wy_by_transform(in, first, length, block), state);
  });
}

// ---- fully parallel ----------------------------------------------------------------------------

/// The attention matrix A = tril(Q K^T) T among the `length` tokens from `first` on, without the scale. Its
/// rows do not add up to 1 and its entries may be negative. O(length^3) operations.
template <Ring T>
Array<T> attention(const Input<T>& in, Index first, Index length) {
  const Array<T> transform = ut_transform(in, first, length, length);
  Array<T> result({length, length});
  for (Index t = 0; t < length; ++t) {
    for (Index r = 0; r <= t; ++r) {
      T product(0);
      for (Index i = 0; i < in.key.extent(1); ++i) product += in.query(first + t, i) * in.key(first + r, i);
      for (Index s = 0; s <= r; ++s) result(t, s) += product * transform(r, s);
    }
  }
  return result;
}

/// All tokens as one chunk and no recurrence: O = c (A V + (Q - A K) S_0). O(n^3 + n^2 (d_k + d_v))
/// operations.
template <Ring T>
Output<T> parallel(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const Array<T> scores = attention(in, 0, n);
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    Array<T> query({d_k});  // the query as the initial state sees it
    for (Index i = 0; i < d_k; ++i) {
      query(i) = in.query(t, i);
      for (Index s = 0; s <= t; ++s) query(i) -= scores(t, s) * in.key(s, i);
    }
    for (Index j = 0; j < d_v; ++j) {
      T sum(0);
      for (Index s = 0; s <= t; ++s) sum += stored(scores(t, s)) * in.value(s, j);
      for (Index i = 0; i < d_k; ++i) sum += query(i) * in.initial_state(i, j);
      out.output(t, j) = stored(in.scale * sum);
    }
  }
  const Array<T> all = corrections(wy_by_transform(in, 0, n, n), in.initial_state);
  for (Index i = 0; i < d_k; ++i) {
    for (Index j = 0; j < d_v; ++j) {
      for (Index s = 0; s < n; ++s) out.state(i, j) += in.key(s, i) * all(s, j);
    }
  }
  return out;
}

/// beta_s P_(s+1)e k_s for every token s, where e is the last token of its block: row s is column s of K^T T.
template <Ring T>
Array<T> keys_at_block_end(const Input<T>& in, Index block) {
  const Index n = in.key.extent(0);
  Array<T> moved(in.key.shape());
  for (Index first = 0; first < n; first += block) {
    const Index length = std::min(block, n - first);
    const Array<T> transform = ut_transform(in, first, length, length);
    for (Index s = 0; s < length; ++s) {
      for (Index r = s; r < length; ++r) {
        for (Index i = 0; i < in.key.extent(1); ++i) {
          moved(first + s, i) += transform(r, s) * in.key(first + r, i);
        }
      }
    }
  }
  return moved;
}

/// What a query that stands at the end of block `blocks` - 1 reads of that block, all blocks before it, and
/// the initial state: `recall` by blocks. \param moved the keys at the ends of their blocks
template <Ring T>
Array<T> recall_blocks(const Input<T>& in, const Array<T>& moved, Index block, Index blocks, Array<T> query) {
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Array<T> output({d_v});
  for (Index b = blocks - 1; b >= 0; --b) {
    const Index first = b * block, length = std::min(block, n - first);
    Array<T> score({length});
    for (Index s = 0; s < length; ++s) {
      for (Index i = 0; i < d_k; ++i) score(s) += query(i) * moved(first + s, i);
    }
    for (Index s = 0; s < length; ++s) {
      for (Index j = 0; j < d_v; ++j) output(j) += stored(score(s)) * in.value(first + s, j);
      for (Index i = 0; i < d_k; ++i) query(i) -= score(s) * in.key(first + s, i);
    }
  }
  for (Index j = 0; j < d_v; ++j) {
    for (Index i = 0; i < d_k; ++i) output(j) += query(i) * in.initial_state(i, j);
  }
  return output;
}

/// Parallel over blocks of queries, each sweeping the blocks of keys before it from right to left. Inside a
/// block queries meet keys by A; then the query moves to the start of its block, q - A K, and every earlier
/// block meets it with its keys moved to the end of that block. O(n^2 (d_k + d_v) + n block^2) operations.
/// \throws std::invalid_argument for block below 1
template <Ring T>
Output<T> blocked(const Input<T>& in, Index block) {
  check(in);
  require(block >= 1, "delta_rule", "block", std::to_string(block), "1 or more");
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const Array<T> moved = keys_at_block_end(in, block);
  Output<T> out{Array<T>({n, d_v}), Array<T>({d_k, d_v})};
  for (Index first = 0; first < n; first += block) {
    const Index length = std::min(block, n - first);
    const Array<T> scores = attention(in, first, length);
    for (Index t = 0; t < length; ++t) {
      Array<T> query({d_k});
      for (Index i = 0; i < d_k; ++i) {
        query(i) = in.query(first + t, i);
        for (Index s = 0; s <= t; ++s) query(i) -= scores(t, s) * in.key(first + s, i);
      }
      const Array<T> earlier = recall_blocks(in, moved, block, first / block, query);
      for (Index j = 0; j < d_v; ++j) {
        T sum = earlier(j);
        for (Index s = 0; s <= t; ++s) sum += stored(scores(t, s)) * in.value(first + s, j);
        out.output(first + t, j) = stored(in.scale * sum);
      }
    }
  }
  for (Index i = 0; i < d_k; ++i) {
    const Array<T> row = recall_blocks(in, moved, block, (n + block - 1) / block, unit_vector<T>(d_k, i));
    for (Index j = 0; j < d_v; ++j) out.state(i, j) = row(j);
  }
  return out;
}

// ---- backward ----------------------------------------------------------------------------------

/// The gradients of a loss with respect to every input, shaped as the inputs.
template <Ring T>
struct Gradient {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> beta;
  Array<T> initial_state;
  T scale = T(0);
};

/// Takes the gradient of the state from behind a write to before it, G <- H^T G, and adds the gradients of
/// what was written: with du = G^T k, e = v - S^T k and the state S before the write
/// dv = beta du, dbeta = e . du, dk = G (beta e) - beta S du.
template <Ring T>
void backward_write(const Array<T>& state, std::span<const T> key, std::span<const T> value, const T& beta,
                    Array<T>& d_state, std::span<T> d_key, std::span<T> d_value, T& d_beta) {
  const Index d_k = state.extent(0), d_v = state.extent(1);
  for (Index j = 0; j < d_v; ++j) {
    T error = value[j], d_correction(0);
    for (Index i = 0; i < d_k; ++i) {
      error -= state(i, j) * key[i];
      d_correction += d_state(i, j) * key[i];
    }
    d_value[j] += beta * d_correction;
    d_beta += error * d_correction;
    for (Index i = 0; i < d_k; ++i) {
      d_key[i] += beta * (d_state(i, j) * error - state(i, j) * d_correction);
      d_state(i, j) -= beta * key[i] * d_correction;
    }
  }
}

/// Adds the gradients of a read-out of `state`, given that of its output.
template <Ring T>
void backward_read(const Array<T>& state, std::span<const T> query, const T& scale,
                   std::span<const T> d_output, Array<T>& d_state, std::span<T> d_query, T& d_scale) {
  for (Index i = 0; i < state.extent(0); ++i) {
    T unscaled(0);
    for (Index j = 0; j < state.extent(1); ++j) {
      unscaled += state(i, j) * d_output[j];
      d_state(i, j) += scale * query[i] * d_output[j];
    }
    d_query[i] += scale * unscaled;
    d_scale += query[i] * unscaled;
  }
}

/// Backward pass by the reversed recurrence: the gradient of the state is itself a state that is written to
/// from the last token to the first. All states are kept (n d_k d_v numbers). \param d_output n x d_v, \param
/// d_state d_k x d_v, the gradients with respect to both outputs
template <Ring T>
Gradient<T> backward(const Input<T>& in, const Array<T>& d_output, const Array<T>& d_state) {
  check(in);
  const Index n = in.key.extent(0), d_v = in.value.extent(1);
  require_shape("delta_rule", "d_output", d_output, {n, d_v});
  require_shape("delta_rule", "d_state", d_state, in.initial_state.shape());
  std::vector<Array<T>> states{in.initial_state};
  for (Index t = 0; t < n; ++t) {
    states.push_back(states.back());
    write(states.back(), in.key.row(t), in.value.row(t), in.beta(t));
  }
  Gradient<T> d{Array<T>(in.query.shape()), Array<T>(in.key.shape()), Array<T>(in.value.shape()),
                Array<T>(in.beta.shape()), d_state};
  for (Index t = n - 1; t >= 0; --t) {
    const auto after = static_cast<std::size_t>(t + 1);
    backward_read(states[after], in.query.row(t), in.scale, d_output.row(t), d.initial_state, d.query.row(t),
                  d.scale);
    backward_write(states[after - 1], in.key.row(t), in.value.row(t), in.beta(t), d.initial_state,
                   d.key.row(t), d.value.row(t), d.beta(t));
  }
  return d;
}

// ---- what the layer does before -----------------------------------------------------------------

/// x / sqrt(sum_i x_i^2 + epsilon), row by row: keys and queries of the 2024 layer, with epsilon = 10^-6. No
/// row is longer than 1 afterwards, so that no beta in [0, 2] lets the state grow. A row of 0 stays 0.
template <Real T>
Array<T> l2_normalised(const Array<T>& x, const T& epsilon) {
  Array<T> result(x.shape());
  for (Index t = 0; t < x.extent(0); ++t) {
    T squares = epsilon;
    for (Index i = 0; i < x.extent(1); ++i) squares += x(t, i) * x(t, i);
    for (Index i = 0; i < x.extent(1); ++i) result(t, i) = x(t, i) / sqrt(squares);
  }
  return result;
}

/// x / sum_i x_i, row by row: the 2021 layer, whose features are not negative. (The released code calls it
/// L1; it takes no absolute values, so with other features it may divide by almost 0.)
template <Field T>
Array<T> sum_normalised(const Array<T>& x) {
  Array<T> result(x.shape());
  for (Index t = 0; t < x.extent(0); ++t) {
    T sum(0);
    for (Index i = 0; i < x.extent(1); ++i) sum += x(t, i);
    for (Index i = 0; i < x.extent(1); ++i) result(t, i) = x(t, i) / sum;
  }
  return result;
}

/// elu(x) + 1, the feature map of the 2021 layer: e^x below 0, 1 + x above. Never negative.
template <Exponential T>
T elu_plus_one(const T& x) {
  return x < T(0) ? exp(x) : x + T(1);
}

/// DPFP, the other feature map of the 2021 layer: products of the positive and negative parts r of a row's
/// channels, r_m r_(m + distance), for the distances 1 to `reach` around the circle of the 2 d parts. It has
/// 2 d reach features, none negative, and keys of different signs become orthogonal. (The released code takes
/// r_m r_(m - distance): the same products in another order, and so the same inner products.)
/// \throws std::invalid_argument unless 1 <= reach <= 2 d - 1
template <OrderedField T>
Array<T> dpfp(const Array<T>& x, Index reach) {
  require_rank("delta_rule", "x", x, 2);
  const Index d = x.extent(1);
  require(reach >= 1 && reach <= 2 * d - 1, "delta_rule", "reach", std::to_string(reach),
          "1 to " + std::to_string(2 * d - 1));
  Array<T> result({x.extent(0), 2 * d * reach});
  for (Index t = 0; t < x.extent(0); ++t) {
    Array<T> part({2 * d});
    for (Index i = 0; i < d; ++i) {
      part(i) = maximum(x(t, i), T(0));
      part(d + i) = maximum(-x(t, i), T(0));
    }
    for (Index distance = 1; distance <= reach; ++distance) {
      for (Index m = 0; m < 2 * d; ++m) {
        result(t, 2 * d * (distance - 1) + m) = part(m) * part((m + distance) % (2 * d));
      }
    }
  }
  return result;
}

/// beta from a logit: the logistic function. Between 0 and 1: all eigenvalues of H are positive.
template <Exponential T>
T write_strength(const T& logit) {
  return T(1) / (T(1) + exp(-logit));
}

/// beta between 0 and 2 (\cite grazzi2024negative): eigenvalues down to -1, with which a state can count
/// modulo 2, turn and be permuted.
template <Exponential T>
T signed_write_strength(const T& logit) {
  return T(2) * write_strength(logit);
}

}  // namespace etalon::delta_rule
