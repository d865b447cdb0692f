/// \file
/// Gated linear attention (GLA): linear attention whose memory forgets, channel by channel, at a rate that
/// every token chooses. One matrix is carried from token to token; each token first fades its rows, then adds
/// one outer product, then reads one vector out of it.
///
/// Source: \cite yang2023gla. The recurrence is the definition; the other forms compute the same numbers.
/// \f[ S_t = \mathrm{Diag}(\alpha_t)\, S_{t-1} + k_t v_t^\top, \qquad o_t = c\, S_t^\top q_t \f]
/// The gate acts before the new pair is added and the read-out comes after, so a token sees itself undecayed.
///
/// Shapes: n tokens, keys and queries with d_k channels, values with d_v channels.
/// \symbol{q_t} query of token t, d_k channels
/// \symbol{k_t} key of token t, d_k channels
/// \symbol{v_t} value of token t, d_v channels
/// \symbol{alpha_t} decay of token t, d_k channels in [0, 1]
/// \symbol{c} scale of the scores, usually 1 / sqrt(d_k)
/// \symbol{S_t} state after token t, d_k x d_v
/// \symbol{o_t} output of token t, d_v channels
/// \symbol{rho_ts} decay from token s to token t: the product of alpha_x over s < x <= t, d_k channels
/// \symbol{b_t} decay from the start to token t: the product of alpha_x over x <= t, d_k channels
/// \symbol{P_ts} score of key s for query t, a number
/// \symbol{lambda_r} decay from the start of the chunk to its token r, that token's own gate included
/// \symbol{Gamma_r} decay from token r of the chunk to the end of the chunk
#pragma once

#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::gated_linear_attention {

/// What enters: query, key, decay n x d_k, value n x d_v, initial_state (the S_0 of the recurrence) d_k x
/// d_v.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> decay;
  Array<T> initial_state;
  T scale = T(1);
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
  const char* self = "gated_linear_attention";
  require_rank(self, "key", in.key, 2);
  require_rank(self, "value", in.value, 2);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape(self, "query", in.query, {n, d_k}, because);
  require_shape(self, "decay", in.decay, {n, d_k}, because);
  require_shape(self, "value", in.value, {n, d_v}, because);
  require_shape(self, "initial_state", in.initial_state, {d_k, d_v},
                because + ", value is " + to_string(in.value.shape()));
}

/// Takes the state from token t-1 to token t and writes that token's output. Everything a stream needs.
template <Ring T>
void step(Array<T>& state, std::span<const T> query, std::span<const T> key, std::span<const T> value,
          std::span<const T> decay, const T& scale, std::span<T> output) {
  const Index d_k = state.extent(0), d_v = state.extent(1);
  for (Index i = 0; i < d_k; ++i) {
    for (Index j = 0; j < d_v; ++j) {
      state(i, j) = decay[i] * state(i, j) + key[i] * value[j];  // [S_t] [alpha_t] [k_t] [v_t]
    }
  }
  for (Index j = 0; j < d_v; ++j) {
    T sum(0);
    for (Index i = 0; i < d_k; ++i) sum += scale * query[i] * state(i, j);  // [c] [q_t]
    output[j] = stored(sum);                                                // [o_t]
  }
}

/// The definition: token after token. O(n d_k d_v) operations, d_k d_v numbers of state.
template <Ring T>
Output<T> recurrent(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    step(out.state, in.query.row(t), in.key.row(t), in.value.row(t), in.decay.row(t), in.scale,
         out.output.row(t));
  }
  return out;
}

/// Every query meets every earlier key: o_t = c sum_s P_ts v_s. Division-free, so a gate may be exactly 0.
/// O(n^2 (d_k + d_v)) operations.
template <Ring T>
Output<T> pairwise(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), Array<T>({d_k, d_v})};
  for (Index t = 0; t < n; ++t) {
    Array<T> rho({d_k}, T(1));  // [rho_ts] from s = t, where nothing has decayed, back to the first token
    for (Index s = t; s >= 0; --s) {
      T score(0);
      for (Index i = 0; i < d_k; ++i) {
        score += in.scale * in.query(t, i) * in.key(s, i) * rho(i);  // [P_ts]
      }
      for (Index j = 0; j < d_v; ++j) out.output(t, j) += stored(score) * in.value(s, j);
      if (t == n - 1) {  // what the last token remembers is the final state
        for (Index i = 0; i < d_k; ++i) {
          for (Index j = 0; j < d_v; ++j) out.state(i, j) += rho(i) * in.key(s, i) * in.value(s, j);
        }
      }
      for (Index i = 0; i < d_k; ++i) rho(i) *= in.decay(s, i);
    }
    for (Index j = 0; j < d_v; ++j) {  // the initial state is a memory older than the first token
      for (Index i = 0; i < d_k; ++i) {
        out.output(t, j) += in.scale * in.query(t, i) * rho(i) * in.initial_state(i, j);
        if (t == n - 1) out.state(i, j) += rho(i) * in.initial_state(i, j);
      }
      out.output(t, j) = stored(out.output(t, j));
    }
  }
  return out;
}

/// All pairs at once, as one masked matrix product: ((Q * B)(K / B)^T * M) V with the cumulative decays b_t
/// as the rows of B and the lower triangle M. Exact if no gate is 0; in floating point 1 / b_t overflows for
/// long sequences, which is why the chunked form exists. O(n^2 (d_k + d_v)) operations.
template <Field T>
Output<T> parallel(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Array<T> cumulative({n, d_k});  // [b_t]
  for (Index t = 0; t < n; ++t) {
    for (Index i = 0; i < d_k; ++i) {
      cumulative(t, i) = t == 0 ? in.decay(t, i) : cumulative(t - 1, i) * in.decay(t, i);
    }
  }
  Array<T> gated_query({n, d_k}), gated_key({n, d_k});
  for (Index t = 0; t < n; ++t) {
    for (Index i = 0; i < d_k; ++i) {
      gated_query(t, i) = in.scale * in.query(t, i) * cumulative(t, i);
      gated_key(t, i) = in.key(t, i) / cumulative(t, i);
    }
  }
  Output<T> out{Array<T>({n, d_v}), Array<T>({d_k, d_v})};
  for (Index t = 0; t < n; ++t) {
    for (Index s = 0; s <= t; ++s) {
      T score(0);
      for (Index i = 0; i < d_k; ++i) score += gated_query(t, i) * gated_key(s, i);
      for (Index j = 0; j < d_v; ++j) out.output(t, j) += stored(score) * in.value(s, j);
    }
    for (Index j = 0; j < d_v; ++j) {
      for (Index i = 0; i < d_k; ++i) out.output(t, j) += gated_query(t, i) * in.initial_state(i, j);
      out.output(t, j) = stored(out.output(t, j));
    }
  }
  for (Index i = 0; i < d_k; ++i) {
    for (Index j = 0; j < d_v; ++j) {
      T sum = in.initial_state(i, j);
      for (Index s = 0; s < n; ++s) sum += gated_key(s, i) * in.value(s, j);
      out.state(i, j) = cumulative(n - 1, i) * sum;
    }
  }
  return out;
}

/// The scores inside one chunk of `length` tokens that starts at `first`: P(r, s) = c sum_i q_r[i] k_s[i]
/// rho_rs[i] for s <= r, else 0. Blocks of `sub_chunk` tokens on the diagonal go pair by pair; the blocks
/// below it become a product of two matrices around a pivot, the last token before the query block. No
/// exponent is ever positive: both factors only decay.
template <Ring T>
Array<T> scores_within_chunk(const Input<T>& in, Index first, Index length, Index sub_chunk) {
  const Index d_k = in.key.extent(1);
  Array<T> scores({length, length});
  for (Index block = 0; block < length; block += sub_chunk) {
    const Index block_end = std::min(block + sub_chunk, length);
    for (Index r = block; r < block_end; ++r) {
      Array<T> rho({d_k}, T(1));
      for (Index s = r; s >= block; --s) {
        for (Index i = 0; i < d_k; ++i) {
          scores(r, s) += in.scale * in.query(first + r, i) * in.key(first + s, i) * rho(i);
        }
        if (s == block) break;
        for (Index i = 0; i < d_k; ++i) rho(i) *= in.decay(first + s, i);
      }
    }
    if (block == 0) continue;
    Array<T> key_decay({d_k}, T(1));  // from key s to the pivot block - 1
    Array<T> pivot_key({block, d_k});
    for (Index s = block - 1; s >= 0; --s) {
      for (Index i = 0; i < d_k; ++i) pivot_key(s, i) = stored(in.key(first + s, i) * key_decay(i));
      for (Index i = 0; i < d_k; ++i) key_decay(i) *= in.decay(first + s, i);
    }
    Array<T> query_decay({d_k}, T(1));  // from the pivot to query r
    for (Index r = block; r < block_end; ++r) {
      Array<T> pivot_query({d_k});
      for (Index i = 0; i < d_k; ++i) {
        query_decay(i) *= in.decay(first + r, i);
        pivot_query(i) = stored(in.scale * in.query(first + r, i) * query_decay(i));
      }
      for (Index s = 0; s < block; ++s) {
        for (Index i = 0; i < d_k; ++i) scores(r, s) += pivot_query(i) * pivot_key(s, i);
      }
    }
  }
  return scores;
}

/// Chunks of `chunk` tokens (the last may be shorter) handed a state from one to the next; inside a chunk all
/// pairs meet, in two levels (see `scores_within_chunk`). This is what a GPU runs: matrix products inside, a
/// short recurrence outside. O(n chunk (d_k + d_v) + n d_k d_v) operations. \throws std::invalid_argument for
/// chunk or sub_chunk below 1
template <Ring T>
Output<T> chunked(const Input<T>& in, Index chunk, Index sub_chunk) {
  check(in);
  require(chunk >= 1, "gated_linear_attention", "chunk", std::to_string(chunk), "1 or more");
  require(sub_chunk >= 1, "gated_linear_attention", "sub_chunk", std::to_string(sub_chunk), "1 or more");
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index first = 0; first < n; first += chunk) {
    const Index length = std::min(chunk, n - first);
    Array<T> from_start({length, d_k});  // [lambda_r]
    for (Index r = 0; r < length; ++r) {
      for (Index i = 0; i < d_k; ++i) {
        from_start(r, i) = r == 0 ? in.decay(first, i) : from_start(r - 1, i) * in.decay(first + r, i);
      }
    }
    Array<T> to_end({length, d_k}, T(1));  // [Gamma_r]
    for (Index r = length - 2; r >= 0; --r) {
      for (Index i = 0; i < d_k; ++i) to_end(r, i) = to_end(r + 1, i) * in.decay(first + r + 1, i);
    }
    const Array<T> scores = scores_within_chunk(in, first, length, sub_chunk);
    for (Index r = 0; r < length; ++r) {
      Array<T> gated_query({d_k});
      for (Index i = 0; i < d_k; ++i) {
        gated_query(i) = stored(in.scale * in.query(first + r, i) * from_start(r, i));
      }
      for (Index j = 0; j < d_v; ++j) {
        T from_state(0), from_chunk(0);
        for (Index i = 0; i < d_k; ++i) from_state += gated_query(i) * out.state(i, j);
        for (Index s = 0; s <= r; ++s) from_chunk += stored(scores(r, s)) * in.value(first + s, j);
        out.output(first + r, j) = stored(from_state + from_chunk);
      }
    }
    for (Index i = 0; i < d_k; ++i) {
      Array<T> gated_key({length});
      for (Index r = 0; r < length; ++r) gated_key(r) = stored(in.key(first + r, i) * to_end(r, i));
      for (Index j = 0; j < d_v; ++j) {
        T sum(0);
        for (Index r = 0; r < length; ++r) sum += gated_key(r) * in.value(first + r, j);
        out.state(i, j) = from_start(length - 1, i) * out.state(i, j) + sum;
      }
    }
  }
  return out;
}

/// The gradients of a loss with respect to every input, shaped as the inputs.
template <Ring T>
struct Gradient {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> decay;
  Array<T> initial_state;
};

/// Backward pass by the reversed recurrence R_t = Diag(alpha_{t+1}) R_{t+1} + c q_t do_t^T, which is GLA
/// itself run from the end with queries and output gradients in the place of keys and values: dq_t = c S_t
/// do_t, dk_t = R_t v_t, dv_t = R_t^T k_t, dalpha_t = rowsum(R_t * S_{t-1}). All states are kept (n d_k d_v
/// numbers); correct for gates that are exactly 0, where a gradient with respect to log(alpha) does not
/// exist. The gradient of the scale is left out: it is the inner product of q and dq over c. \param d_output
/// n x d_v, \param d_state d_k x d_v, the gradients with respect to both outputs
template <Ring T>
Gradient<T> backward(const Input<T>& in, const Array<T>& d_output, const Array<T>& d_state) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  require_shape("gated_linear_attention", "d_output", d_output, {n, d_v});
  require_shape("gated_linear_attention", "d_state", d_state, {d_k, d_v});
  Array<T> states({n + 1, d_k, d_v});
  for (Index i = 0; i < d_k; ++i) {
    for (Index j = 0; j < d_v; ++j) {
      states(0, i, j) = in.initial_state(i, j);
      for (Index t = 0; t < n; ++t) {
        states(t + 1, i, j) = in.decay(t, i) * states(t, i, j) + in.key(t, i) * in.value(t, j);
      }
    }
  }
  Gradient<T> d{Array<T>({n, d_k}), Array<T>({n, d_k}), Array<T>({n, d_v}), Array<T>({n, d_k}), d_state};
  Array<T>& reverse = d.initial_state;  // holds Diag(alpha_{t+1}) R_{t+1}, and at the end the gradient of S_0
  for (Index t = n - 1; t >= 0; --t) {
    for (Index i = 0; i < d_k; ++i) {
      for (Index j = 0; j < d_v; ++j) {
        reverse(i, j) += in.scale * in.query(t, i) * d_output(t, j);
        d.query(t, i) += in.scale * states(t + 1, i, j) * d_output(t, j);
        d.key(t, i) += reverse(i, j) * in.value(t, j);
        d.value(t, j) += reverse(i, j) * in.key(t, i);
        d.decay(t, i) += reverse(i, j) * states(t, i, j);
        reverse(i, j) *= in.decay(t, i);
      }
    }
  }
  return d;
}

/// The gradient with respect to log(alpha_t), n x d_k, from dq and dk alone, no state kept:
/// sum over s >= t of (q_s * dq_s - k_s * dk_s), plus rowsum(S_n * dS_n) as soon as the final state has a
/// gradient (the paper's formula lacks this term; training on split sequences needs it).
template <Ring T>
Array<T> log_decay_gradient(const Input<T>& in, const Gradient<T>& d, const Array<T>& final_state,
                            const Array<T>& d_state) {
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Array<T> d_log_decay({n, d_k});
  for (Index i = 0; i < d_k; ++i) {
    T sum(0);
    for (Index j = 0; j < d_v; ++j) sum += final_state(i, j) * d_state(i, j);
    for (Index t = n - 1; t >= 0; --t) {
      sum += in.query(t, i) * d.query(t, i) - in.key(t, i) * d.key(t, i);
      d_log_decay(t, i) = sum;
    }
  }
  return d_log_decay;
}

}  // namespace etalon::gated_linear_attention
