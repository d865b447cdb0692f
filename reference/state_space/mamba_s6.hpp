/// \file
/// Mamba's selective scan (S6): a diagonal state space model whose step length, input map and read-out are
/// chosen by every token. A long step wipes a state and writes the token into it, a step of length 0 passes
/// the token by.
///
/// Source: \cite gu2023mamba, sections 2 and 3. The recurrence is the definition; for one channel,
/// \f[ h_{t,i} = \bar A_{t,i} h_{t-1,i} + \bar B_{t,i} u_t, \qquad
///     y_t = \sum_{i \le N} C_{t,i} h_{t,i} + D u_t, \qquad o_t = y_t \frac{z_t}{1 + e^{-z_t}}, \f]
/// \f[ \Delta_t = \log(1 + e^{\delta_t + b}), \qquad \bar A_{t,i} = e^{\Delta_t A_i}, \qquad
///     \bar B_{t,i} = \frac{e^{\Delta_t A_i} - 1}{A_i} B_{t,i} \quad\text{or}\quad
///     \bar B_{t,i} = \Delta_t B_{t,i} . \f]
/// The first \f$ \bar B \f$ is the zero-order hold (ZOH) of the paper, the second the Euler step of the
/// released code; \f$ \bar A \f$ is exact in both. What one token does to one state is a pair (a, b), the map
/// h -> a h + b, and pairs join associatively,
/// \f[ (a, b) \bullet (a', b') = (a' a,\; a' b + b'), \f]
/// the left one first. So all states come out of a scan, bracketed in any way.
///
/// Shapes: n tokens, D channels with N states each, G groups of D / G channels that share B and C. With
/// complex numbers in the place of A, B, C and the states, N counts one of each conjugate pair, and the sum
/// over them is read as twice its real part.
/// \symbol{u_t} input of token t, D channels
/// \symbol{delta_t} raw step of token t, D channels
/// \symbol{b} bias of the raw step, D channels
/// \symbol{Delta_t} step length of token t, D channels, at least 0
/// \symbol{A} rate of each state, D x N, with a real part of at most 0
/// \symbol{B_t} how token t drives the states, G x N
/// \symbol{C_t} how the states are read at token t, G x N
/// \symbol{D} how the input reaches the output past the states, D channels
/// \symbol{z_t} gate of token t, D channels
/// \symbol{Abar_t} what token t leaves of the states, D x N
/// \symbol{Bbar_t} what token t writes into the states for an input of 1, D x N
/// \symbol{h_t} states after token t, D x N
/// \symbol{y_t} what token t reads, D channels
/// \symbol{o_t} output of token t, D channels
/// \symbol{p_t} what token t, or the stretch of tokens that ends there, does to one state
/// \symbol{M_ts} how the input of token s reaches the sum that token t reads, for one channel
/// \symbol{g_t} gradient of a state after token t, through all that comes later
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/concepts.hpp"
#include "reference/state_space/s4d.hpp"

namespace etalon::mamba_s6 {

/// What enters the mixer: signal, step and gate n x D, rate and initial_state D x N, B and C n x G x N, skip
/// D. Rate, B, C and initial_state are of the type K: T, or Complex<T>. Without a gate nothing is gated.
template <Ring T, Ring K = T>
struct Input {
  Array<T> signal;
  Array<T> step;
  Array<K> rate;
  Array<K> B;
  Array<K> C;
  Array<K> initial_state;
  Array<T> skip;
  std::optional<Array<T>> gate;
};

/// What enters the scan, however it was discretised: decay and added n x D x N, the pairs (a, b) of all
/// tokens, C n x G x N, initial_state D x N.
template <Ring K>
struct Coefficients {
  Array<K> decay;
  Array<K> added;
  Array<K> C;
  Array<K> initial_state;
};

/// What leaves: output n x D and the states after the last token, D x N, from which a stream goes on.
template <Ring T, Ring K = T>
struct Output {
  Array<T> output;
  Array<K> state;
};

/// The group of channels that channel d of D belongs to.
inline Index group_of(Index d, Index D, Index G) {
  return d * G / D;
}

/// Throws unless D is a multiple of the number of groups.
/// \throws std::invalid_argument
inline void check_groups(Index D, Index G) {
  require(D % G == 0, "mamba_s6", "the number of groups", std::to_string(G),
          "a divisor of the " + std::to_string(D) + " channels");
}

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Ring K>
void check(const Coefficients<K>& in) {
  const char* self = "mamba_s6";
  require_rank(self, "decay", in.decay, 3);
  require_rank(self, "C", in.C, 3);
  const Index n = in.decay.extent(0), D = in.decay.extent(1), N = in.decay.extent(2);
  const std::string because = "decay is " + to_string(in.decay.shape());
  require_shape(self, "added", in.added, in.decay.shape(), because);
  require_shape(self, "C", in.C, {n, in.C.extent(1), N}, because);
  require_shape(self, "initial_state", in.initial_state, {D, N}, because);
  check_groups(D, in.C.extent(1));
}

/// The real part of a rate.
template <Ring T>
T real_part(const T& rate) {
  return rate;
}
template <Ring T>
T real_part(const Complex<T>& rate) {
  return rate.re;
}

/// Throws unless the shapes fit together, no step is negative, and no rate has a positive real part.
/// \throws std::invalid_argument naming the argument, what was given and what was expected
template <OrderedField T, Ring K>
void check(const Input<T, K>& in) {
  const char* self = "mamba_s6";
  require_rank(self, "signal", in.signal, 2);
  require_rank(self, "rate", in.rate, 2);
  require_rank(self, "B", in.B, 3);
  const Index n = in.signal.extent(0), D = in.signal.extent(1), N = in.rate.extent(1), G = in.B.extent(1);
  const std::string because = "signal is " + to_string(in.signal.shape());
  require_shape(self, "step", in.step, {n, D}, because);
  require_shape(self, "rate", in.rate, {D, N}, because);
  require_shape(self, "B", in.B, {n, G, N}, because + ", rate is " + to_string(in.rate.shape()));
  require_shape(self, "C", in.C, in.B.shape(), "B is " + to_string(in.B.shape()));
  require_shape(self, "initial_state", in.initial_state, {D, N}, "rate is " + to_string(in.rate.shape()));
  require_shape(self, "skip", in.skip, {D}, because);
  if (in.gate) require_shape(self, "gate", *in.gate, {n, D}, because);
  check_groups(D, G);
  for (Index d = 0; d < D; ++d) {
    const std::string channel = "channel " + std::to_string(d);
    for (Index t = 0; t < n; ++t) {
      if (in.step(t, d) < T(0)) {
        require(false, self, "step", "negative at token " + std::to_string(t) + ", " + channel, "0 or more");
      }
    }
    for (Index i = 0; i < N; ++i) {
      if (T(0) < real_part(in.rate(d, i))) {
        require(false, self, "rate", "positive at " + channel + ", state " + std::to_string(i),
                "a real part of 0 or less");
      }
    }
  }
}

/// \name What the inputs of the mixer are made from
/// \{

/// Step lengths by softplus, n x D. \param raw n x D, \param bias D
/// \throws std::invalid_argument for shapes that do not fit
template <Real T>
Array<T> step_lengths(const Array<T>& raw, const Array<T>& bias) {
  require_rank("mamba_s6", "raw", raw, 2);
  require_shape("mamba_s6", "bias", bias, {raw.extent(1)}, "raw is " + to_string(raw.shape()));
  Array<T> step(raw.shape());
  for (Index t = 0; t < raw.extent(0); ++t) {
    for (Index d = 0; d < raw.extent(1); ++d) {
      step(t, d) = s4d::SoftplusTransform::value(T(raw(t, d) + bias(d)));  // [Delta_t] [delta_t] [b]
    }
  }
  return step;
}

/// Softplus as the released reference has it: above 20 the number itself, which is too small by less than
/// e^-20.
template <Real T>
T softplus_with_threshold(const T& x) {
  return T(20) < x ? x : log1p(exp(x));
}

/// Softplus as one of the released decoding kernels has it: 0 where e^x is lost beside 1, in float32 from
/// about -17 downwards.
template <Real T>
T softplus_by_logarithm(const T& x) {
  return log(exp(x) + T(1));
}

/// Rates from the logarithms that a model stores.
template <Exponential T>
Array<T> rates(const Array<T>& log_rate) {
  Array<T> rate = log_rate;
  for (T& entry : rate.values()) entry = -exp(entry);  // [A]
  return rate;
}

/// The rates that a model starts from, D x N: -1, -2, ..., -N in every channel (S4D-Real).
template <Ring T>
Array<T> initial_rates(Index D, Index N) {
  Array<T> rate({D, N});
  for (Index d = 0; d < D; ++d) {
    for (Index i = 0; i < N; ++i) rate(d, i) = T(-(i + 1));
  }
  return rate;
}

/// The bias that a channel starts from, for `uniform` in [0, 1]: softplus takes it back to a step whose
/// logarithm is uniform between those of 1/1000 and 1/10, and not below 1/10000.
template <Real T>
T initial_bias(const T& uniform) {
  const T step = s4d::log_uniform_step(uniform, T(T(1) / T(1000)), T(T(1) / T(10)));
  return s4d::SoftplusTransform::inverse(maximum(step, T(T(1) / T(10000))));
}
/// \}

/// \name Discretisations
/// \{

/// e^x - 1, by a function of its own where the numbers have one; elsewhere they are exact.
template <Ring K>
K exponential_minus_one(const K& x) {
  if constexpr (requires { expm1(x); }) {
    return expm1(x);
  } else {
    return exp(x) - K(1);
  }
}

/// What a state with B = 1 gains from an input of 1 that is held for the length of a step:
/// (e^{Delta A} - 1) / A, and Delta for A = 0. \param scaled step times rate
template <Field T, Ring K>
K held(const T& step, const K& rate, const K& scaled) {
  return rate == K(0) ? K(step) : exponential_minus_one(scaled) / rate;
}

/// Empty coefficients for an input that has been looked at.
/// \throws std::invalid_argument as `check`
template <OrderedField T, Ring K>
Coefficients<K> coefficients_for(const Input<T, K>& in) {
  check(in);
  const Shape shape{in.signal.extent(0), in.signal.extent(1), in.rate.extent(1)};
  return {Array<K>(shape), Array<K>(shape), in.C, in.initial_state};
}

/// The zero-order hold of the paper: exact for an input that is constant over each step.
/// \throws std::invalid_argument as `check`
template <Exponential T, Ring K>
Coefficients<K> zero_order_hold(const Input<T, K>& in) {
  Coefficients<K> scan = coefficients_for(in);
  const Index D = in.signal.extent(1), G = in.B.extent(1);
  for (Index t = 0; t < in.signal.extent(0); ++t) {
    for (Index d = 0; d < D; ++d) {
      for (Index i = 0; i < in.rate.extent(1); ++i) {
        const K scaled = in.step(t, d) * in.rate(d, i);
        scan.decay(t, d, i) = exp(scaled);
        const K weight = held(in.step(t, d), in.rate(d, i), scaled) * in.B(t, group_of(d, D, G), i);
        scan.added(t, d, i) = weight * in.signal(t, d);
      }
    }
  }
  return scan;
}

/// The released code: the exact decay, and an Euler step for what is written.
/// \throws std::invalid_argument as `check`
template <Exponential T, Ring K>
Coefficients<K> euler(const Input<T, K>& in) {
  Coefficients<K> scan = coefficients_for(in);
  const Index D = in.signal.extent(1), G = in.B.extent(1);
  for (Index t = 0; t < in.signal.extent(0); ++t) {
    for (Index d = 0; d < D; ++d) {
      const T during_step = in.step(t, d) * in.signal(t, d);  // [u_t]
      for (Index i = 0; i < in.rate.extent(1); ++i) {
        scan.decay(t, d, i) = exp(in.step(t, d) * in.rate(d, i));           // [Abar_t]
        scan.added(t, d, i) = in.B(t, group_of(d, D, G), i) * during_step;  // [Bbar_t] [B_t]
      }
    }
  }
  return scan;
}
/// \}

/// \name The recurrence
/// \{

/// Takes the states from token t-1 to token t and writes what that token reads, without skip and gate.
/// Everything a stream needs.
template <Ring K>
void step(Array<K>& state, const Coefficients<K>& in, Index t, std::span<K> output) {
  const Index D = state.extent(0), G = in.C.extent(1);
  for (Index d = 0; d < D; ++d) {
    K sum(0);
    for (Index i = 0; i < state.extent(1); ++i) {
      state(d, i) = in.decay(t, d, i) * state(d, i) + in.added(t, d, i);  // [h_t]
      sum += in.C(t, group_of(d, D, G), i) * state(d, i);                 // [C_t]
    }
    output[static_cast<std::size_t>(d)] = sum;
  }
}

/// The definition: token after token. O(n D N) operations, D N numbers of state.
/// \throws std::invalid_argument for shapes that do not fit
template <Ring K>
Output<K> recurrent(const Coefficients<K>& in) {
  check(in);
  Output<K> out{Array<K>({in.decay.extent(0), in.decay.extent(1)}), in.initial_state};
  for (Index t = 0; t < in.decay.extent(0); ++t) step(out.state, in, t, out.output.row(t));
  return out;
}

/// z / (1 + e^{-z}), the SiLU.
template <Exponential T>
T silu(const T& z) {
  return z / (T(1) + exp(-z));
}

/// Its derivative.
template <Exponential T>
T silu_slope(const T& z) {
  const T sigmoid = T(1) / (T(1) + exp(-z));
  return sigmoid * (T(1) + z * (T(1) - sigmoid));
}

/// What is read from a sum over states: the sum, or twice its real part where each state stands for a pair.
template <Ring T>
T read(const T& sum) {
  return sum;
}
template <Ring T>
T read(const Complex<T>& sum) {
  return s4d::paired(sum);
}

/// Ends every form: reads the sums over the states, adds the skip, and only then gates.
template <Exponential T, Ring K>
Output<T, K> finished(const Input<T, K>& in, const Output<K>& scanned) {
  Output<T, K> out{Array<T>(in.signal.shape()), scanned.state};
  for (Index t = 0; t < in.signal.extent(0); ++t) {
    for (Index d = 0; d < in.signal.extent(1); ++d) {
      const T y = read(scanned.output(t, d)) + in.skip(d) * in.signal(t, d);      // [y_t] [D]
      out.output(t, d) = stored(in.gate ? T(y * silu((*in.gate)(t, d))) : T(y));  // [o_t] [z_t]
    }
  }
  return out;
}
/// \}

/// \name Scans of any associative operator
/// `combine(a, b)` is first a, then b; it need not commute.
/// \{

/// All prefixes, in place, in ceil(log2 n) rounds (Hillis and Steele): round r joins every stretch of 2^r
/// with the one before it. With q rounds n q - (2^q - 1) combinations, q deep.
template <class E, class Combine>
void hillis_steele(std::vector<E>& p, const Combine& combine) {
  const auto n = static_cast<Index>(p.size());
  for (Index k = 1; k < n; k *= 2) {
    for (Index t = n - 1; t >= k; --t) {  // downwards, so that what is read is of the round before
      const auto now = static_cast<std::size_t>(t), earlier = static_cast<std::size_t>(t - k);
      p[now] = combine(p[earlier], p[now]);
    }
  }
}

/// All prefixes, in place, by a tree that is climbed and descended (Blelloch), over the next power of two m:
/// 2 (m - 1) + n combinations. Climbing, the end of each block gets what its two halves do together.
/// Descending, each block hands the prefix before it to its left half, and the prefix followed by the left
/// half to its right half. That gives what comes before each element, with which the element is then joined.
template <class E, class Combine>
void blelloch(std::vector<E>& p, const E& identity, const Combine& combine) {
  const std::vector<E> own = p;
  std::size_t m = 1;
  while (m < own.size()) m *= 2;
  p.resize(m, identity);
  for (std::size_t k = 1; k < m; k *= 2) {
    for (std::size_t end = 2 * k - 1; end < m; end += 2 * k) p[end] = combine(p[end - k], p[end]);
  }
  p[m - 1] = identity;
  for (std::size_t k = m / 2; k >= 1; k /= 2) {
    for (std::size_t end = 2 * k - 1; end < m; end += 2 * k) {
      const E left = p[end - k];
      p[end - k] = p[end];
      p[end] = combine(p[end], left);
    }
  }
  p.resize(own.size(), identity);
  for (std::size_t t = 0; t < own.size(); ++t) p[t] = combine(p[t], own[t]);
}
/// \}

/// \name Forms by pairs
/// \{

/// The map h -> factor h + offset. Made from nothing, it is the identity.
template <Ring K>
struct Pair {
  K factor = K(1);
  K offset = K(0);
};

/// First one pair, then the other.
template <Ring K>
Pair<K> after(const Pair<K>& first, const Pair<K>& second) {
  return {second.factor * first.factor, second.factor * first.offset + second.offset};
}

/// A pair applied to a state.
template <Ring K>
K applied(const Pair<K>& pair, const K& state) {
  return pair.factor * state + pair.offset;
}

/// The pairs of `length` tokens from `first` on, for state i of channel d; beyond the last token identities.
template <Ring K>
std::vector<Pair<K>> pairs(const Coefficients<K>& in, Index d, Index i, Index first, Index length) {
  std::vector<Pair<K>> p;
  for (Index t = first; t < first + length; ++t) {
    p.push_back(t < in.decay.extent(0) ? Pair<K>{in.decay(t, d, i), in.added(t, d, i)} : Pair<K>{});  // [p_t]
  }
  return p;
}

/// The forms with one scan over all tokens for each state: `scan` turns the pairs of the tokens into those of
/// all prefixes.
/// \throws std::invalid_argument for shapes that do not fit
template <Ring K, class Scan>
Output<K> by_scan(const Coefficients<K>& in, const Scan& scan) {
  check(in);
  const Index n = in.decay.extent(0), D = in.decay.extent(1), N = in.decay.extent(2), G = in.C.extent(1);
  Output<K> out{Array<K>({n, D}), Array<K>({D, N})};
  for (Index d = 0; d < D; ++d) {
    for (Index i = 0; i < N; ++i) {
      std::vector<Pair<K>> p = pairs(in, d, i, 0, n);
      scan(p);
      for (Index t = 0; t < n; ++t) {
        out.state(d, i) = applied(p[static_cast<std::size_t>(t)], in.initial_state(d, i));
        out.output(t, d) += in.C(t, group_of(d, D, G), i) * out.state(d, i);
      }
    }
  }
  return out;
}

/// The scan in the fewest rounds. O(n log n D N) operations.
/// \throws std::invalid_argument for shapes that do not fit
template <Ring K>
Output<K> hillis_steele(const Coefficients<K>& in) {
  return by_scan(in, [](std::vector<Pair<K>>& p) { hillis_steele(p, after<K>); });
}

/// The scan with the fewer combinations. O(n D N) operations.
/// \throws std::invalid_argument for shapes that do not fit
template <Ring K>
Output<K> blelloch(const Coefficients<K>& in) {
  return by_scan(in, [](std::vector<Pair<K>>& p) { blelloch(p, Pair<K>(), after<K>); });
}

/// What the released kernel does: a scan inside each chunk of `chunk` tokens, all of which then continue from
/// the states that the chunk before left. Beyond the last token a chunk is filled with identities.
/// \throws std::invalid_argument for shapes that do not fit and for chunk below 1
template <Ring K>
Output<K> chunked(const Coefficients<K>& in, Index chunk) {
  check(in);
  require(chunk >= 1, "mamba_s6", "chunk", std::to_string(chunk), "1 or more");
  const Index n = in.decay.extent(0), D = in.decay.extent(1), N = in.decay.extent(2), G = in.C.extent(1);
  Output<K> out{Array<K>({n, D}), in.initial_state};
  for (Index first = 0; first < n; first += chunk) {
    for (Index d = 0; d < D; ++d) {
      for (Index i = 0; i < N; ++i) {
        std::vector<Pair<K>> p = pairs(in, d, i, first, chunk);
        hillis_steele(p, after<K>);
        for (Index r = 0; r < chunk && first + r < n; ++r) {
          const K h = applied(p[static_cast<std::size_t>(r)], out.state(d, i));
          out.output(first + r, d) += in.C(first + r, group_of(d, D, G), i) * h;
        }
        out.state(d, i) = applied(p.back(), out.state(d, i));
      }
    }
  }
  return out;
}
/// \}

/// \name Forms without a scan
/// \{

/// The matrix that multiplies the input of channel d, n x n and lower triangular, from coefficients that were
/// made for an input of 1 at every token. Division-free, so that a decay may be 0.
template <Ring K>
Array<K> matrix(const Coefficients<K>& unit, Index d) {
  const Index n = unit.decay.extent(0), D = unit.decay.extent(1), N = unit.decay.extent(2);
  const Index group = group_of(d, D, unit.C.extent(1));
  Array<K> M({n, n});
  for (Index t = 0; t < n; ++t) {
    for (Index i = 0; i < N; ++i) {
      K read = unit.C(t, group, i);  // and what is left of it, going back from token t
      for (Index s = t; s >= 0; --s) {
        M(t, s) += read * unit.added(s, d, i);  // [M_ts]
        if (s > 0) read *= unit.decay(s, d, i);
      }
    }
  }
  return M;
}

/// Every token reads every earlier input, through the matrix; the initial state is older than all of them.
/// O(n^2 D N) operations. \param unit coefficients for an input of 1, \param signal the input, n x D
/// \returns the sums over states, n x D
/// \throws std::invalid_argument for shapes that do not fit
template <Ring T, Ring K>
Array<K> quadratic(const Coefficients<K>& unit, const Array<T>& signal) {
  check(unit);
  const Index n = unit.decay.extent(0), D = unit.decay.extent(1), G = unit.C.extent(1);
  require_shape("mamba_s6", "signal", signal, {n, D}, "decay is " + to_string(unit.decay.shape()));
  Array<K> output({n, D});
  for (Index d = 0; d < D; ++d) {
    const Array<K> M = matrix(unit, d);
    for (Index t = 0; t < n; ++t) {
      for (Index s = 0; s <= t; ++s) output(t, d) += M(t, s) * signal(s, d);
    }
    for (Index i = 0; i < unit.decay.extent(2); ++i) {
      K left = unit.initial_state(d, i);
      for (Index t = 0; t < n; ++t) {
        left *= unit.decay(t, d, i);
        output(t, d) += unit.C(t, group_of(d, D, G), i) * left;
      }
    }
  }
  return output;
}

/// The form that must not be used: h_t = P_t (h_0 + sum over s <= t of b_s / P_s) with the products P_t of
/// all decays so far. Right where no decay is 0; in floating point P_t underflows, and 1 / P_t overflows.
/// \throws std::invalid_argument for shapes that do not fit
template <Field K>
Output<K> by_division(const Coefficients<K>& in) {
  return by_scan(in, [](std::vector<Pair<K>>& p) {
    K product(1), sum(0);
    for (Pair<K>& pair : p) {
      product *= pair.factor;
      sum += pair.offset / product;
      pair = {product, product * sum};
    }
  });
}
/// \}

/// \name Gradients, over real numbers
/// \{

/// Gradients of a loss with respect to the coefficients, shaped as they are.
template <Ring T>
struct CoefficientGradient {
  Array<T> decay;
  Array<T> added;
  Array<T> C;
  Array<T> initial_state;
};

/// Backward pass of the scan, which is a scan from the end: g_t = C_t dy_t + Abar_{t+1} g_{t+1}; d added =
/// g_t, d decay = g_t h_{t-1}, dC_t = h_t dy_t. All states are kept. Right for decays that are 0. \param
/// d_output n x D, \param d_state D x N \throws std::invalid_argument for shapes that do not fit
template <Ring T>
CoefficientGradient<T> backward(const Coefficients<T>& in, const Array<T>& d_output,
                                const Array<T>& d_state) {
  check(in);
  const Index n = in.decay.extent(0), D = in.decay.extent(1), N = in.decay.extent(2), G = in.C.extent(1);
  require_shape("mamba_s6", "d_output", d_output, {n, D});
  require_shape("mamba_s6", "d_state", d_state, {D, N});
  CoefficientGradient<T> grad{Array<T>(in.decay.shape()), Array<T>(in.decay.shape()), Array<T>(in.C.shape()),
                              d_state};
  for (Index d = 0; d < D; ++d) {
    for (Index i = 0; i < N; ++i) {
      Array<T> h({n + 1}, in.initial_state(d, i));
      for (Index t = 0; t < n; ++t) h(t + 1) = in.decay(t, d, i) * h(t) + in.added(t, d, i);
      T& g = grad.initial_state(d, i);  // holds Abar_{t+1} g_{t+1}, and at the end the gradient of h_0
      for (Index t = n - 1; t >= 0; --t) {
        g += in.C(t, group_of(d, D, G), i) * d_output(t, d);  // [g_t]
        grad.C(t, group_of(d, D, G), i) += h(t + 1) * d_output(t, d);
        grad.added(t, d, i) = g;
        grad.decay(t, d, i) = g * h(t);
        g *= in.decay(t, d, i);
      }
    }
  }
  return grad;
}

/// What an input of 1 with B = 1 adds to a state in one step, and how that changes with step and rate, for
/// each discretisation. `decay` is e^{Delta A}.
struct Euler {
  template <Ring T>
  static T weight(const T& step, const T&) {
    return step;
  }
  template <Ring T>
  static T by_step(const T&) {
    return T(1);
  }
  template <Ring T>
  static T by_rate(const T&, const T&, const T&) {
    return T(0);
  }
};
struct ZeroOrderHold {
  template <Exponential T>
  static T weight(const T& step, const T& rate) {
    return held(step, rate, T(step * rate));
  }
  template <Ring T>
  static T by_step(const T& decay) {
    return decay;
  }
  template <Exponential T>
  static T by_rate(const T& step, const T& rate, const T& decay) {
    return rate == T(0) ? step * step / T(2) : (step * decay - weight(step, rate)) / rate;
  }
};

/// Gradients of a loss with respect to every input, shaped as the inputs; `gate` only where there is one.
template <Ring T>
struct Gradient {
  Array<T> signal;
  Array<T> step;
  Array<T> rate;
  Array<T> B;
  Array<T> C;
  Array<T> initial_state;
  Array<T> skip;
  std::optional<Array<T>> gate;
};

/// The gradient of what is read, n x D, from that of the gated output; gives the gradient of the gate.
template <Exponential T>
Array<T> through_gate(const Input<T>& in, const Coefficients<T>& scan, const Array<T>& d_output,
                      std::optional<Array<T>>& d_gate) {
  if (!in.gate) return d_output;
  Input<T> ungated = in;
  ungated.gate.reset();
  const Array<T> y = finished(ungated, recurrent(scan)).output;
  Array<T> d_y(y.shape());
  d_gate = d_y;
  for (Index t = 0; t < y.extent(0); ++t) {
    for (Index d = 0; d < y.extent(1); ++d) {
      const T z = (*in.gate)(t, d);
      (*d_gate)(t, d) = d_output(t, d) * y(t, d) * silu_slope(z);
      d_y(t, d) = d_output(t, d) * silu(z);
    }
  }
  return d_y;
}

/// Backward pass of the mixer with one of the discretisations, whose coefficients are `scan`: through the
/// gate, the skip, the scan and the step. \param d_output n x D, \param d_state D x N
/// \throws std::invalid_argument for shapes that do not fit
template <class Discretisation, Exponential T>
Gradient<T> backward(const Input<T>& in, const Coefficients<T>& scan, const Array<T>& d_output,
                     const Array<T>& d_state) {
  require_shape("mamba_s6", "d_output", d_output, in.signal.shape());
  const Index n = in.signal.extent(0), D = in.signal.extent(1), N = in.rate.extent(1), G = in.B.extent(1);
  Gradient<T> grad{Array<T>({n, D}),
                   Array<T>({n, D}),
                   Array<T>({D, N}),
                   Array<T>(in.B.shape()),
                   {},
                   {},
                   Array<T>({D}),
                   {}};
  const Array<T> d_y = through_gate(in, scan, d_output, grad.gate);
  const CoefficientGradient<T> of_scan = backward(scan, d_y, d_state);
  grad.C = of_scan.C;
  grad.initial_state = of_scan.initial_state;
  for (Index t = 0; t < n; ++t) {
    for (Index d = 0; d < D; ++d) {
      const T u = in.signal(t, d), delta = in.step(t, d);
      grad.skip(d) += d_y(t, d) * u;
      grad.signal(t, d) += d_y(t, d) * in.skip(d);
      for (Index i = 0; i < N; ++i) {
        const Index group = group_of(d, D, G);
        const T decay = scan.decay(t, d, i), A = in.rate(d, i), B = in.B(t, group, i);
        const T d_exponent = of_scan.decay(t, d, i) * decay, d_added = of_scan.added(t, d, i);
        const T d_weight = d_added * B * u, weight = Discretisation::weight(delta, A);
        grad.step(t, d) += d_exponent * A + d_weight * Discretisation::by_step(decay);
        grad.rate(d, i) += d_exponent * delta + d_weight * Discretisation::by_rate(delta, A, decay);
        grad.B(t, group, i) += d_added * weight * u;
        grad.signal(t, d) += d_added * weight * B;
      }
    }
  }
  return grad;
}
/// \}

}  // namespace etalon::mamba_s6
