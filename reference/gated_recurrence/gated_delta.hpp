/// \file
/// The gated delta rule and its relatives. The delta rule edits one association precisely but cannot forget
/// quickly; a gate forgets everything quickly but cannot edit. Gated DeltaNet does both: the state fades by a
/// factor, then takes a delta step. Its relatives change one piece each: a gate for every key channel (KDA),
/// several delta steps a token (DeltaProduct), or any transition that is diagonal plus rank one (DPLR, the
/// core of RWKV-7; IPLR with the identity as its diagonal).
///
/// Source: \cite yang2024gateddeltanet, \cite kimi2025linear, \cite siems2025deltaproduct,
/// \cite peng2025rwkv7. The recurrences are the definitions.
/// \f[ S_t = (I - \beta_t k_t k_t^\top)\,\mathrm{Diag}(\alpha_t)\, S_{t-1} + \beta_t k_t v_t^\top, \qquad
///     S_t = (\mathrm{Diag}(d_t) + b_t a_t^\top)\, S_{t-1} + k_t v_t^\top, \qquad o_t = c\, S_t^\top q_t \f]
/// The first is the gated delta rule (alpha_t one number: Gated DeltaNet; one a channel: KDA), the second
/// DPLR. The gate acts before the memory is asked for the key; a_t of DPLR reads the state *before* it fades.
/// The first is the second with d = alpha, a = alpha k, b = -beta k and the written pair (beta k, v).
///
/// Shapes: n tokens, keys and queries with d_k channels, values with d_v channels, h sub-steps a token.
/// \symbol{q_t} query of token t, d_k channels
/// \symbol{k_t} key of token t, d_k channels
/// \symbol{v_t} value of token t, d_v channels
/// \symbol{beta_t} how much of the difference token t writes
/// \symbol{alpha_t} how much of the state token t keeps, in [0, 1]: one number, or one a channel
/// \symbol{d_t} diagonal of a DPLR transition, d_k channels
/// \symbol{a_t} what a DPLR transition reads, d_k channels
/// \symbol{b_t} where a DPLR transition writes what it read, d_k channels
/// \symbol{c} scale of the read-out, 1 or 1 / sqrt(d_k)
/// \symbol{S_t} state after token t, d_k x d_v
/// \symbol{o_t} output of token t, d_v channels
/// \symbol{gamma_r} decay from the start of the chunk to its token r, that token's own gate included
/// \symbol{rho_rs} decay from token s to token r of a chunk: the product of the gates x with s < x <= r
/// \symbol{L_rs} beta_r k_r . (rho_rs k_s) for s < r, else 0
/// \symbol{y_r} what token r of a chunk reads by a_r, d_v channels
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "reference/array.hpp"
#include "reference/gated_recurrence/delta_rule.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::gated_delta {

using delta_rule::Output;
using delta_rule::read;
using delta_rule::write;

/// What enters the gated delta rule: query and key n x d_k, value n x d_v, beta (n), decay n or n x d_k,
/// initial_state d_k x d_v.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> beta;
  Array<T> decay;
  Array<T> initial_state;
  T scale = T(1);
};

/// The same without the gates, for the delta rule.
template <Ring T>
delta_rule::Input<T> ungated(const Input<T>& in) {
  return {in.query, in.key, in.value, in.beta, in.initial_state, in.scale};
}

/// Throws unless the shapes fit together. Non-finite numbers are not looked for: a NaN reaches every later
/// output. \param gates the extents of decay behind the first: none, or d_k
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Input<T>& in, bool by_channel) {
  const char* self = "gated_delta";
  require_rank(self, "key", in.key, 2);
  require_rank(self, "value", in.value, 2);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape(self, "query", in.query, {n, d_k}, because);
  require_shape(self, "value", in.value, {n, d_v}, because);
  require_shape(self, "beta", in.beta, {n}, because);
  require_shape(self, "decay", in.decay, by_channel ? Shape{n, d_k} : Shape{n}, because);
  require_shape(self, "initial_state", in.initial_state, {d_k, d_v},
                because + ", value is " + to_string(in.value.shape()));
}

/// Throws unless a chunk has a token.
/// \throws std::invalid_argument
inline void check_chunk(Index chunk) {
  require(chunk >= 1, "gated_delta", "chunk", std::to_string(chunk), "1 or more");
}

/// The decay of token s on its way to token r of a chunk, for all pairs s <= r: products, never quotients, so
/// that a gate may be exactly 0. In floating point such a product only shrinks; a quotient of cumulative
/// decays may be 0 / 0.
template <Ring T>
Array<T> decays_within(const Array<T>& decay, Index first, Index length) {
  Array<T> rho({length, length});
  for (Index r = 0; r < length; ++r) {
    rho(r, r) = T(1);
    for (Index s = r - 1; s >= 0; --s) rho(r, s) = rho(r, s + 1) * decay(first + s + 1);  // [rho_rs]
  }
  return rho;
}

// ---- Gated DeltaNet: one gate a token ----------------------------------------------------------

/// Fades the state as a whole, by one number.
template <Ring T>
void fade(Array<T>& state, const T& decay) {
  for (T& x : state.values()) x *= decay;  // [alpha_t]
}

/// Takes the state from token t-1 to token t and writes that token's output. Everything a stream needs.
template <Ring T>
void step(Array<T>& state, std::span<const T> query, std::span<const T> key, std::span<const T> value,
          const T& beta, const T& decay, const T& scale, std::span<T> output) {
  fade(state, decay);
  write(state, key, value, beta);     // [k_t] [v_t] [beta_t]
  read(state, query, scale, output);  // [q_t] [c] [o_t]
}

/// Gated DeltaNet, token after token: the definition. O(n d_k d_v) operations, d_k d_v numbers of state.
template <Ring T>
Output<T> recurrent(const Input<T>& in) {
  check(in, false);
  const Index n = in.key.extent(0);
  Output<T> out{Array<T>({n, in.value.extent(1)}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    step(out.state, in.query.row(t), in.key.row(t), in.value.row(t), in.beta(t), in.decay(t), in.scale,
         out.output.row(t));
  }
  return out;
}

/// The matrix L of the chunk, in which the corrections (I + L) R = Diag(beta) (V - Diag(gamma) K S) see one
/// another.
template <Ring T>
Array<T> interference(const Input<T>& in, const Array<T>& rho, Index first, Index length) {
  Array<T> lower({length, length});
  for (Index r = 0; r < length; ++r) {
    for (Index s = 0; s < r; ++s) {
      T product(0);
      for (Index i = 0; i < in.key.extent(1); ++i) product += in.key(first + r, i) * in.key(first + s, i);
      lower(r, s) = in.beta(first + r) * rho(r, s) * product;  // [L_rs]
    }
  }
  return lower;
}

/// The decay from the start of the chunk to each of its tokens.
template <Ring T>
Array<T> decays_from_start(const Array<T>& decay, Index first, Index length) {
  Array<T> gamma({length});
  for (Index r = 0; r < length; ++r) {
    gamma(r) = r == 0 ? decay(first) : gamma(r - 1) * decay(first + r);  // [gamma_r]
  }
  return gamma;
}

/// Writes the outputs of a chunk, O = c (Diag(gamma) Q S + (tril(Q K^T) * rho) R), and takes the state behind
/// it. \param written the corrections R
template <Ring T>
void finish_chunk(const Input<T>& in, const Array<T>& rho, const Array<T>& gamma, Index first,
                  const Array<T>& written, Output<T>& out) {
  const Index length = written.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  for (Index r = 0; r < length; ++r) {
    Array<T> score({r + 1});
    for (Index s = 0; s <= r; ++s) {
      for (Index i = 0; i < d_k; ++i) score(s) += in.scale * in.query(first + r, i) * in.key(first + s, i);
      score(s) *= rho(r, s);
    }
    for (Index j = 0; j < d_v; ++j) {
      T from_state(0), from_chunk(0);
      for (Index i = 0; i < d_k; ++i) from_state += in.scale * in.query(first + r, i) * out.state(i, j);
      for (Index s = 0; s <= r; ++s) from_chunk += stored(score(s)) * written(s, j);
      out.output(first + r, j) = stored(gamma(r) * from_state + from_chunk);
    }
  }
  for (Index i = 0; i < d_k; ++i) {
    Array<T> faded_key({length});
    for (Index r = 0; r < length; ++r) faded_key(r) = stored(rho(length - 1, r) * in.key(first + r, i));
    for (Index j = 0; j < d_v; ++j) {
      T sum(0);
      for (Index r = 0; r < length; ++r) sum += faded_key(r) * written(r, j);
      out.state(i, j) = gamma(length - 1) * out.state(i, j) + sum;
    }
  }
}

/// Gated DeltaNet by chunks of `chunk` tokens (the last may be shorter), the corrections by forward
/// substitution. O(n chunk (d_k + d_v) + n d_k d_v) operations. \throws std::invalid_argument for chunk below
/// 1
template <Ring T>
Output<T> chunked(const Input<T>& in, Index chunk) {
  check(in, false);
  check_chunk(chunk);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index first = 0; first < n; first += chunk) {
    const Index length = std::min(chunk, n - first);
    const Array<T> rho = decays_within(in.decay, first, length);
    const Array<T> gamma = decays_from_start(in.decay, first, length);
    Array<T> written({length, d_v});
    for (Index r = 0; r < length; ++r) {
      for (Index j = 0; j < d_v; ++j) {
        T recalled(0);
        for (Index i = 0; i < d_k; ++i) recalled += in.key(first + r, i) * out.state(i, j);
        written(r, j) = in.beta(first + r) * (in.value(first + r, j) - gamma(r) * recalled);
      }
    }
    delta_rule::substitute(interference(in, rho, first, length), written);
    for (T& x : written.values()) x = stored(x);
    finish_chunk(in, rho, gamma, first, written, out);
  }
  return out;
}

/// The paper's chunks: W = Diag(gamma) T_0 K with the UT transform T_0 of the *ungated* delta rule, U = T V
/// with the gated one, and R = U - W S. The same numbers, because T = Diag(gamma) T_0 Diag(gamma)^-1. \throws
/// std::invalid_argument for chunk below 1
template <Ring T>
Output<T> chunked_wy(const Input<T>& in, Index chunk) {
  check(in, false);
  check_chunk(chunk);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index first = 0; first < n; first += chunk) {
    const Index length = std::min(chunk, n - first);
    const Array<T> rho = decays_within(in.decay, first, length);
    const Array<T> gamma = decays_from_start(in.decay, first, length);
    const Array<T> inverse = delta_rule::unit_lower_inverse(interference(in, rho, first, length), length);
    delta_rule::Wy<T> pair = delta_rule::wy(ungated(in), first, length);
    for (Index r = 0; r < length; ++r) {
      for (Index i = 0; i < d_k; ++i) pair.w(r, i) *= gamma(r);
      for (Index j = 0; j < d_v; ++j) {
        pair.u(r, j) = T(0);
        for (Index s = 0; s <= r; ++s) {
          pair.u(r, j) += inverse(r, s) * in.beta(first + s) * in.value(first + s, j);
        }
      }
    }
    finish_chunk(in, rho, gamma, first, delta_rule::corrections(pair, out.state), out);
  }
  return out;
}

/// The delta rule on v_t / gamma_t, with the cumulative decay gamma_t: states and outputs are those of the
/// gated rule divided by gamma_t. Exact if no gate is 0, and useless in floating point, where gamma_t
/// underflows.
template <Field T>
Output<T> rescaled(const Input<T>& in) {
  check(in, false);
  const Index n = in.key.extent(0);
  const Array<T> gamma = decays_from_start(in.decay, 0, n);
  delta_rule::Input<T> plain = ungated(in);
  for (Index t = 0; t < n; ++t) {
    for (T& x : plain.value.row(t)) x /= gamma(t);
  }
  Output<T> out = delta_rule::recurrent(plain);
  for (Index t = 0; t < n; ++t) {
    for (T& x : out.output.row(t)) x *= gamma(t);
  }
  fade(out.state, gamma(n - 1));
  return out;
}

// ---- KDA: one gate a token and channel ---------------------------------------------------------

namespace by_channel {

/// Takes the state from token t-1 to token t and writes that token's output.
template <Ring T>
void step(Array<T>& state, std::span<const T> query, std::span<const T> key, std::span<const T> value,
          const T& beta, std::span<const T> decay, const T& scale, std::span<T> output) {
  for (Index i = 0; i < state.extent(0); ++i) {
    for (Index j = 0; j < state.extent(1); ++j) state(i, j) *= decay[i];
  }
  write(state, key, value, beta);
  read(state, query, scale, output);
}

/// KDA, token after token. O(n d_k d_v) operations, d_k d_v numbers of state.
template <Ring T>
Output<T> recurrent(const Input<T>& in) {
  check(in, true);
  const Index n = in.key.extent(0);
  Output<T> out{Array<T>({n, in.value.extent(1)}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    step(out.state, in.query.row(t), in.key.row(t), in.value.row(t), in.beta(t), in.decay.row(t), in.scale,
         out.output.row(t));
  }
  return out;
}

/// KDA by chunks. As for Gated DeltaNet, but every pair of tokens needs its own decay in every channel; these
/// are products that only shrink (a kernel goes through pivots, as gated linear attention does).
/// O(n chunk (d_k + d_v) + n d_k d_v) operations. \throws std::invalid_argument for chunk below 1
template <Ring T>
Output<T> chunked(const Input<T>& in, Index chunk) {
  check(in, true);
  check_chunk(chunk);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index first = 0; first < n; first += chunk) {
    const Index length = std::min(chunk, n - first);
    Array<T> lower({length, length}), scores({length, length});
    Array<T> faded_key({length, d_k});  // keys as the token of the outer loop meets them, at last the end
    for (Index r = 0; r < length; ++r) {
      Array<T> rho({d_k}, T(1));
      for (Index s = r; s >= 0; --s) {
        for (Index i = 0; i < d_k; ++i) {
          faded_key(s, i) = rho(i) * in.key(first + s, i);
          scores(r, s) += in.scale * in.query(first + r, i) * faded_key(s, i);
          if (s < r) lower(r, s) += in.key(first + r, i) * faded_key(s, i);
          if (s > 0) rho(i) *= in.decay(first + s, i);
        }
        if (s < r) lower(r, s) *= in.beta(first + r);
      }
    }
    Array<T> gamma({length, d_k}), written({length, d_v});
    for (Index r = 0; r < length; ++r) {
      for (Index i = 0; i < d_k; ++i) {
        gamma(r, i) = r == 0 ? in.decay(first, i) : gamma(r - 1, i) * in.decay(first + r, i);
      }
      Array<T> gated_key({d_k});
      for (Index i = 0; i < d_k; ++i) gated_key(i) = stored(gamma(r, i) * in.key(first + r, i));
      for (Index j = 0; j < d_v; ++j) {
        T recalled(0);
        for (Index i = 0; i < d_k; ++i) recalled += gated_key(i) * out.state(i, j);
        written(r, j) = in.beta(first + r) * (in.value(first + r, j) - recalled);
      }
    }
    delta_rule::substitute(lower, written);
    for (T& x : written.values()) x = stored(x);
    for (Index r = 0; r < length; ++r) {
      Array<T> gated_query({d_k});
      for (Index i = 0; i < d_k; ++i) {
        gated_query(i) = stored(in.scale * in.query(first + r, i) * gamma(r, i));
      }
      for (Index j = 0; j < d_v; ++j) {
        T from_state(0), from_chunk(0);
        for (Index i = 0; i < d_k; ++i) from_state += gated_query(i) * out.state(i, j);
        for (Index s = 0; s <= r; ++s) from_chunk += stored(scores(r, s)) * written(s, j);
        out.output(first + r, j) = stored(from_state + from_chunk);
      }
    }
    for (Index i = 0; i < d_k; ++i) {
      for (Index j = 0; j < d_v; ++j) {
        T sum(0);
        for (Index r = 0; r < length; ++r) sum += stored(faded_key(r, i)) * written(r, j);
        out.state(i, j) = gamma(length - 1, i) * out.state(i, j) + sum;
      }
    }
  }
  return out;
}

}  // namespace by_channel

// ---- DPLR: diagonal plus rank one --------------------------------------------------------------

namespace low_rank {

/// What enters: query, key, decay, reader and writer n x d_k (c, k, d, a and b of the equation), value n x
/// d_v, initial_state d_k x d_v. IPLR is the case of decay 1.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> decay;
  Array<T> reader;
  Array<T> writer;
  Array<T> initial_state;
  T scale = T(1);
};

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Input<T>& in) {
  const char* self = "gated_delta";
  require_rank(self, "key", in.key, 2);
  require_rank(self, "value", in.value, 2);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape(self, "query", in.query, {n, d_k}, because);
  require_shape(self, "value", in.value, {n, d_v}, because);
  require_shape(self, "decay", in.decay, {n, d_k}, because);
  require_shape(self, "reader", in.reader, {n, d_k}, because);
  require_shape(self, "writer", in.writer, {n, d_k}, because);
  require_shape(self, "initial_state", in.initial_state, {d_k, d_v},
                because + ", value is " + to_string(in.value.shape()));
}

/// Takes the state from token t-1 to token t.
template <Ring T>
void advance(Array<T>& state, std::span<const T> key, std::span<const T> value, std::span<const T> decay,
             std::span<const T> reader, std::span<const T> writer) {
  for (Index j = 0; j < state.extent(1); ++j) {
    T seen(0);
    for (Index i = 0; i < state.extent(0); ++i) seen += reader[i] * state(i, j);  // [a_t]
    for (Index i = 0; i < state.extent(0); ++i) {
      state(i, j) = decay[i] * state(i, j) + writer[i] * seen + key[i] * value[j];  // [S_t] [d_t] [b_t]
    }
  }
}

/// DPLR, token after token. O(n d_k d_v) operations, d_k d_v numbers of state.
template <Ring T>
Output<T> recurrent(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0);
  Output<T> out{Array<T>({n, in.value.extent(1)}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    advance(out.state, in.key.row(t), in.value.row(t), in.decay.row(t), in.reader.row(t), in.writer.row(t));
    read(out.state, in.query.row(t), in.scale, out.output.row(t));
  }
  return out;
}

/// What a query reads of the first `tokens` tokens and of the initial state, d_v channels: it walks back from
/// token to token and becomes what each transition makes of it.
template <Ring T>
Array<T> recall(const Input<T>& in, Index tokens, Array<T> query) {
  const Index d_k = in.key.extent(1), d_v = in.value.extent(1);
  Array<T> output({d_v});
  for (Index s = tokens - 1; s >= 0; --s) {
    T fit(0), written(0);
    for (Index i = 0; i < d_k; ++i) {
      fit += query(i) * in.key(s, i);
      written += query(i) * in.writer(s, i);
    }
    for (Index j = 0; j < d_v; ++j) output(j) += stored(fit) * in.value(s, j);
    for (Index i = 0; i < d_k; ++i) query(i) = in.decay(s, i) * query(i) + written * in.reader(s, i);
  }
  for (Index j = 0; j < d_v; ++j) {
    for (Index i = 0; i < d_k; ++i) output(j) += query(i) * in.initial_state(i, j);
  }
  return output;
}

/// Every query with every earlier key. The final state is what the unit queries read.
/// O(n^2 (d_k + d_v)) operations.
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
    const Array<T> row = recall(in, n, delta_rule::unit_vector<T>(d_k, i));
    for (Index j = 0; j < d_v; ++j) out.state(i, j) = row(j);
  }
  return out;
}

/// The four score matrices of a chunk, a lower triangle each, and what the state needs of it. Before and
/// after: a_r meets keys and writers faded to token r - 1, q_r those faded to token r.
template <Ring T>
struct Scores {
  Array<T> reader_writer;
  Array<T> reader_key;
  Array<T> query_key;
  Array<T> query_writer;
  Array<T> faded_key;     // to the end of the chunk
  Array<T> faded_writer;  // to the end of the chunk
};

template <Ring T>
Scores<T> scores_within(const Input<T>& in, Index first, Index length) {
  const Index d_k = in.key.extent(1);
  const Array<T> square({length, length}), rows({length, d_k});
  Scores<T> scores{square, square, square, square, rows, rows};
  for (Index r = 0; r < length; ++r) {
    Array<T> rho({d_k}, T(1));  // from token s to token r - 1, then to r
    for (Index s = r; s >= 0; --s) {
      for (Index i = 0; i < d_k; ++i) {
        T faded_key = rho(i) * in.key(first + s, i), faded_writer = rho(i) * in.writer(first + s, i);
        if (s < r) {
          scores.reader_key(r, s) += in.reader(first + r, i) * faded_key;
          scores.reader_writer(r, s) += in.reader(first + r, i) * faded_writer;
          faded_key *= in.decay(first + r, i);
          faded_writer *= in.decay(first + r, i);
          if (s > 0) rho(i) *= in.decay(first + s, i);
        }
        scores.query_key(r, s) += in.scale * in.query(first + r, i) * faded_key;
        scores.query_writer(r, s) += in.scale * in.query(first + r, i) * faded_writer;
        scores.faded_key(s, i) = faded_key;  // the last token of the chunk leaves them as its end sees them
        scores.faded_writer(s, i) = faded_writer;
      }
    }
  }
  return scores;
}

/// DPLR by chunks: what the tokens read, Y, solves (I - A^ab) Y = A^ak V + (A * gamma^-) S by forward
/// substitution. Products of decays, never quotients. O(n chunk (d_k + d_v) + n d_k d_v) operations.
/// \throws std::invalid_argument for chunk below 1
template <Ring T>
Output<T> chunked(const Input<T>& in, Index chunk) {
  check(in);
  check_chunk(chunk);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  Output<T> out{Array<T>({n, d_v}), in.initial_state};
  for (Index first = 0; first < n; first += chunk) {
    const Index length = std::min(chunk, n - first);
    const Scores<T> scores = scores_within(in, first, length);
    Array<T> seen({length, d_v}), gamma({d_k}, T(1));
    for (Index r = 0; r < length; ++r) {
      Array<T> gated_reader({d_k}), gated_query({d_k});
      for (Index i = 0; i < d_k; ++i) {
        gated_reader(i) = stored(in.reader(first + r, i) * gamma(i));
        gamma(i) *= in.decay(first + r, i);
        gated_query(i) = stored(in.scale * in.query(first + r, i) * gamma(i));
      }
      for (Index j = 0; j < d_v; ++j) {
        for (Index i = 0; i < d_k; ++i) seen(r, j) += gated_reader(i) * out.state(i, j);
        for (Index s = 0; s < r; ++s) {
          seen(r, j) += stored(scores.reader_key(r, s)) * in.value(first + s, j);
          seen(r, j) += stored(scores.reader_writer(r, s)) * seen(s, j);  // [y_r]
        }
        seen(r, j) = stored(seen(r, j));
      }
      for (Index j = 0; j < d_v; ++j) {
        T output(0);
        for (Index i = 0; i < d_k; ++i) output += gated_query(i) * out.state(i, j);
        for (Index s = 0; s <= r; ++s) {
          output += stored(scores.query_key(r, s)) * in.value(first + s, j);
          output += stored(scores.query_writer(r, s)) * seen(s, j);
        }
        out.output(first + r, j) = stored(output);
      }
    }
    for (Index i = 0; i < d_k; ++i) {
      for (Index j = 0; j < d_v; ++j) {
        out.state(i, j) *= gamma(i);
        for (Index r = 0; r < length; ++r) {
          out.state(i, j) += stored(scores.faded_key(r, i)) * in.value(first + r, j);
          out.state(i, j) += stored(scores.faded_writer(r, i)) * seen(r, j);
        }
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
  Array<T> reader;
  Array<T> writer;
  Array<T> initial_state;
  T scale = T(0);
};

/// Backward pass by the reversed recurrence: with the gradient G of the state behind a token, what that token
/// read, p = S^T a, and dp = G^T b: dk = G v, dv = G^T k, db = G p, da = S dp, dd = rowsum(G * S), and before
/// the token the gradient is Diag(d) G + a dp^T. All states are kept (n d_k d_v numbers).
template <Ring T>
Gradient<T> backward(const Input<T>& in, const Array<T>& d_output, const Array<T>& d_state) {
  check(in);
  const Index n = in.key.extent(0), d_k = in.key.extent(1), d_v = in.value.extent(1);
  require_shape("gated_delta", "d_output", d_output, {n, d_v});
  require_shape("gated_delta", "d_state", d_state, {d_k, d_v});
  std::vector<Array<T>> states{in.initial_state};
  for (Index t = 0; t < n; ++t) {
    states.push_back(states.back());
    advance(states.back(), in.key.row(t), in.value.row(t), in.decay.row(t), in.reader.row(t),
            in.writer.row(t));
  }
  const Array<T> rows({n, d_k});
  Gradient<T> d{rows, rows, Array<T>({n, d_v}), rows, rows, rows, d_state};
  Array<T>& reverse = d.initial_state;
  for (Index t = n - 1; t >= 0; --t) {
    const Array<T>& before = states[static_cast<std::size_t>(t)];
    delta_rule::backward_read(states[static_cast<std::size_t>(t + 1)], in.query.row(t), in.scale,
                              d_output.row(t), reverse, d.query.row(t), d.scale);
    for (Index j = 0; j < d_v; ++j) {
      T seen(0), d_seen(0);
      for (Index i = 0; i < d_k; ++i) {
        seen += in.reader(t, i) * before(i, j);
        d_seen += in.writer(t, i) * reverse(i, j);
      }
      for (Index i = 0; i < d_k; ++i) {
        d.key(t, i) += reverse(i, j) * in.value(t, j);
        d.value(t, j) += reverse(i, j) * in.key(t, i);
        d.writer(t, i) += reverse(i, j) * seen;
        d.reader(t, i) += before(i, j) * d_seen;
        d.decay(t, i) += reverse(i, j) * before(i, j);
        reverse(i, j) = in.decay(t, i) * reverse(i, j) + in.reader(t, i) * d_seen;
      }
    }
  }
  return d;
}

/// The core of RWKV-7 as DPLR: what is erased lies along the unit vector kappa_t, and how much of it, by
/// channel, says eta_t between 0 and 1: a_t = -kappa_t, b_t = kappa_t * eta_t. \param decay, kappa, eta n x
/// d_k
/// \throws std::invalid_argument for shapes that do not fit
template <Ring T>
Input<T> rwkv7(const Array<T>& query, const Array<T>& key, const Array<T>& value, const Array<T>& decay,
               const Array<T>& kappa, const Array<T>& eta, const Array<T>& initial_state) {
  Input<T> in{query, key, value, decay, kappa, kappa, initial_state};
  check(in);
  require_shape("gated_delta", "eta", eta, key.shape(), "key is " + to_string(key.shape()));
  for (Index t = 0; t < key.extent(0); ++t) {
    for (Index i = 0; i < key.extent(1); ++i) {
      in.reader(t, i) = -kappa(t, i);
      in.writer(t, i) = kappa(t, i) * eta(t, i);
    }
  }
  return in;
}

}  // namespace low_rank

/// The gated delta rule as DPLR. Both kinds of gates are accepted.
template <Ring T>
low_rank::Input<T> embedded(const Input<T>& in) {
  const bool by_channel = in.decay.rank() == 2;
  check(in, by_channel);
  const Array<T> rows(in.key.shape());
  low_rank::Input<T> same{in.query, rows, in.value, rows, rows, rows, in.initial_state, in.scale};
  for (Index t = 0; t < rows.extent(0); ++t) {
    for (Index i = 0; i < rows.extent(1); ++i) {
      same.decay(t, i) = by_channel ? in.decay(t, i) : in.decay(t);
      same.reader(t, i) = same.decay(t, i) * in.key(t, i);
      same.key(t, i) = in.beta(t) * in.key(t, i);
      same.writer(t, i) = -same.key(t, i);
    }
  }
  return same;
}

/// The gradients of a loss with respect to every input of the gated delta rule.
template <Ring T>
struct Gradient {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> beta;
  Array<T> decay;
  Array<T> initial_state;
  T scale = T(0);
};

/// Backward pass of the gated delta rule, through its embedding into DPLR and the chain rule. Both kinds of
/// gates are accepted. \param d_output n x d_v, \param d_state d_k x d_v
template <Ring T>
Gradient<T> backward(const Input<T>& in, const Array<T>& d_output, const Array<T>& d_state) {
  const bool by_channel = in.decay.rank() == 2;
  const low_rank::Input<T> same = embedded(in);
  const low_rank::Gradient<T> inner = low_rank::backward(same, d_output, d_state);
  Gradient<T> d{inner.query,
                Array<T>(in.key.shape()),
                inner.value,
                Array<T>(in.beta.shape()),
                Array<T>(in.decay.shape()),
                inner.initial_state,
                inner.scale};
  for (Index t = 0; t < in.key.extent(0); ++t) {
    for (Index i = 0; i < in.key.extent(1); ++i) {
      const T d_written = inner.key(t, i) - inner.writer(t, i);
      const T d_decay = inner.decay(t, i) + in.key(t, i) * inner.reader(t, i);
      d.key(t, i) = same.decay(t, i) * inner.reader(t, i) + in.beta(t) * d_written;
      d.beta(t) += in.key(t, i) * d_written;
      if (by_channel) {
        d.decay(t, i) = d_decay;
      } else {
        d.decay(t) += d_decay;
      }
    }
  }
  return d;
}

// ---- DeltaProduct: several delta steps a token -------------------------------------------------

namespace product {

/// What enters: query n x d_k, key n x h x d_k, value n x h x d_v, beta n x h, decay (n), initial_state
/// d_k x d_v. Every token fades the state once, takes h delta steps in order, and reads once.
template <Ring T>
struct Input {
  Array<T> query;
  Array<T> key;
  Array<T> value;
  Array<T> beta;
  Array<T> decay;
  Array<T> initial_state;
  T scale = T(1);
};

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring T>
void check(const Input<T>& in) {
  const char* self = "gated_delta";
  require_rank(self, "key", in.key, 3);
  require_rank(self, "value", in.value, 3);
  const Index n = in.key.extent(0), h = in.key.extent(1), d_k = in.key.extent(2), d_v = in.value.extent(2);
  const std::string because = "key is " + to_string(in.key.shape());
  require_shape(self, "query", in.query, {n, d_k}, because);
  require_shape(self, "value", in.value, {n, h, d_v}, because);
  require_shape(self, "beta", in.beta, {n, h}, because);
  require_shape(self, "decay", in.decay, {n}, because);
  require_shape(self, "initial_state", in.initial_state, {d_k, d_v},
                because + ", value is " + to_string(in.value.shape()));
}

/// The gated delta rule on n h tokens that does the same: the gate on the first sub-step of a token and 1 on
/// the others, the query on the last. Only every h-th output is meant.
template <Ring T>
gated_delta::Input<T> expanded(const Input<T>& in) {
  check(in);
  const Index n = in.key.extent(0), h = in.key.extent(1), d_k = in.key.extent(2), d_v = in.value.extent(2);
  gated_delta::Input<T> all{Array<T>({n * h, d_k}),
                            Array<T>({n * h, d_k}),
                            Array<T>({n * h, d_v}),
                            Array<T>({n * h}),
                            Array<T>({n * h}, T(1)),
                            in.initial_state,
                            in.scale};
  for (Index t = 0; t < n; ++t) {
    all.decay(t * h) = in.decay(t);
    for (Index i = 0; i < d_k; ++i) all.query(t * h + h - 1, i) = in.query(t, i);
    for (Index s = 0; s < h; ++s) {
      all.beta(t * h + s) = in.beta(t, s);
      for (Index i = 0; i < d_k; ++i) all.key(t * h + s, i) = in.key(t, s, i);
      for (Index j = 0; j < d_v; ++j) all.value(t * h + s, j) = in.value(t, s, j);
    }
  }
  return all;
}

/// Every h-th output, the last one of each token.
template <Ring T>
Output<T> collected(const Output<T>& all, Index h) {
  const Index n = all.output.extent(0) / h;
  Output<T> out{Array<T>({n, all.output.extent(1)}), all.state};
  for (Index t = 0; t < n; ++t) {
    for (Index j = 0; j < all.output.extent(1); ++j) out.output(t, j) = all.output(t * h + h - 1, j);
  }
  return out;
}

/// DeltaProduct, token after token. O(n h d_k d_v) operations, d_k d_v numbers of state.
template <Ring T>
Output<T> recurrent(const Input<T>& in) {
  const gated_delta::Input<T> all = expanded(in);
  const Index n = in.key.extent(0), h = in.key.extent(1);
  Output<T> out{Array<T>({n, in.value.extent(2)}), in.initial_state};
  for (Index t = 0; t < n; ++t) {
    fade(out.state, in.decay(t));
    for (Index s = t * h; s < (t + 1) * h; ++s) {
      write(out.state, std::as_const(all.key).row(s), std::as_const(all.value).row(s), all.beta(s));
    }
    read(out.state, in.query.row(t), in.scale, out.output.row(t));
  }
  return out;
}

/// The released naive code: it accepts a scale and ignores it.
template <Ring T>
Output<T> recurrent_without_scale(Input<T> in) {
  in.scale = T(1);
  return recurrent(in);
}

}  // namespace product

// ---- gates and strengths -----------------------------------------------------------------------

/// log(1 + e^x), without overflow.
template <Real T>
T softplus(const T& x) {
  return maximum(x, T(0)) + log1p(exp(-maximum(x, -x)));
}

/// The x with softplus(x) = y. \param y above 0
template <Real T>
T inverse_softplus(const T& y) {
  return y + log(-expm1(-y));
}

/// The logarithm of the gate: -e^A softplus(x + bias). The bias starts as `inverse_softplus` of a step
/// between 0.001 and 0.1, so that the gate starts as e^(-step e^A).
template <Real T>
T log_gate(const T& x, const T& log_rate, const T& bias) {
  return -(exp(log_rate) * softplus(x + bias));
}

/// KDA's other gate, whose logarithm stays above `lowest`, usually -5: lowest sigma(e^A (x + bias)). A block
/// of 16 tokens then stays within e^80, which float32 still holds.
template <Exponential T>
T log_gate_above(const T& x, const T& log_rate, const T& bias, const T& lowest) {
  return lowest * delta_rule::write_strength(T(exp(log_rate) * (x + bias)));
}

/// An option of the released code, from \cite liu2024longhorn: beta / (1 + beta |k|^2), which makes the write
/// an *implicit* gradient step and needs no normalised key.
template <Field T>
T implicit_strength(const T& beta, std::span<const T> key) {
  T squares(0);
  for (const T& x : key) squares += x * x;
  return beta / (T(1) + beta * squares);
}

}  // namespace etalon::gated_delta
