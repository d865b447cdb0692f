/// \file
/// S4D and DSS: a long convolution whose kernel is a sum of damped oscillations, because the state matrix is
/// diagonal. The same numbers come out of a recurrence of M complex states, token by token.
///
/// Source: \cite gu2022s4d (Gu, Gupta, Goel, Re, 2022, arXiv 2206.11893) and \cite gupta2022dss (Gupta, Gu,
/// Berant, 2022, arXiv 2203.14343). The recurrence is the definition; for one channel,
/// \f[ h_{t,n} = \bar\lambda_n h_{t-1,n} + \bar B_n u_t, \qquad
///     y_t = 2\,\mathrm{Re}\sum_{n<M} C_n h_{t,n} + D u_t, \f]
/// \f[ \bar K_l = 2\,\mathrm{Re}\sum_{n<M} C_n \bar B_n \bar\lambda_n^l . \f]
/// M = N/2 states stand for N: the factor 2 Re is the other half of each conjugate pair.
///
/// A step of length Delta gives, by zero-order hold (ZOH) and by the bilinear transform,
/// \f[ \bar\lambda = e^{\Delta\lambda},\quad \bar B = \frac{e^{\Delta\lambda}-1}\lambda B; \qquad
///     \bar\lambda = \frac{1+\Delta\lambda/2}{1-\Delta\lambda/2},\quad
///     \bar B = \frac{\Delta B}{1-\Delta\lambda/2} . \f]
///
/// DSS has no pairs and no factor 2. With weights W in place of C B, its kernels `softmax` and `exp` are
/// \f[ \bar K_l = \mathrm{Re}\sum_n \frac{W_n}{\lambda_n}
///     \frac{e^{l\Delta\lambda_n}}{\sum_{r<L} e^{r\Delta\lambda_n}}, \qquad
///     \bar K_l = \mathrm{Re}\sum_n W_n\frac{e^{\Delta\lambda_n}-1}{\lambda_n}e^{l\Delta\lambda_n} . \f]
///
/// \symbol{lambda_n} eigenvalue of state n, M complex numbers
/// \symbol{omega_n} imaginary part of eigenvalue n of S4D-LegS, the largest first
/// \symbol{B_n} how the input drives state n, M complex numbers
/// \symbol{C_n} how state n is read, M complex numbers
/// \symbol{D} how the input reaches the output past the states, a real number
/// \symbol{Delta} step length, a positive real number
/// \symbol{lambdabar_n} factor of state n in one step, M complex numbers
/// \symbol{Bbar_n} input of state n in one step, M complex numbers
/// \symbol{u_t} input at token t, a real number
/// \symbol{h_{t,n}} state n after token t, a complex number
/// \symbol{y_t} output at token t, a real number
/// \symbol{Kbar_l} kernel at lag l, a real number
/// \symbol{W_n} weight of state n in DSS, complex
/// \symbol{rho_N} distance of the diagonal system from LegS: transfer functions differ by a factor 1 + rho_N
#pragma once

#include <string>
#include <vector>

#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/concepts.hpp"
#include "reference/state_space/hippo.hpp"

namespace etalon::s4d {

/// One channel: lambda, B and C have M complex entries. Continuous, or with lambda-bar and B-bar in their
/// places.
template <Field T>
struct System {
  Array<Complex<T>> lambda;
  Array<Complex<T>> B;
  Array<Complex<T>> C;
  T D = T(0);
};

/// What leaves: the L outputs and the state after the last token, from which a stream goes on.
template <Field T>
struct Output {
  Array<T> y;
  Array<Complex<T>> state;
};

/// Throws unless the shapes fit together.
/// \throws std::invalid_argument naming the argument, its shape and the expected one
template <Field T>
void check(const System<T>& system) {
  require_rank("s4d", "lambda", system.lambda, 1);
  const std::string because = "lambda is " + to_string(system.lambda.shape());
  require_shape("s4d", "B", system.B, system.lambda.shape(), because);
  require_shape("s4d", "C", system.C, system.lambda.shape(), because);
}

/// Throws unless system, input and state fit together.
/// \throws std::invalid_argument
template <Field T>
void check(const System<T>& system, const Array<T>& u, const Array<Complex<T>>& state) {
  check(system);
  require_rank("s4d", "u", u, 1);
  require_shape("s4d", "state", state, system.lambda.shape(),
                "lambda is " + to_string(system.lambda.shape()));
}

/// \name Initialisations: the eigenvalues, N/2 of them for a state of size N
/// \{

/// Half of N.
/// \throws std::invalid_argument unless N is even and positive
inline Index pairs(Index N) {
  require(N >= 2 && N % 2 == 0, "s4d", "N", std::to_string(N), "an even number from 2 on");
  return N / 2;
}

/// The sum of arctan((k + 1/2) / omega) over k < N. Decreasing and convex in omega > 0.
template <Real T>
T phase(Index N, const T& omega) {
  T sum(0);
  for (Index k = 0; k < N; ++k) sum += atan(T(2 * k + 1) / (T(2) * omega));
  return sum;
}

/// The sum of (k + 1/2) / (omega^2 + (k + 1/2)^2) over k < N: minus the slope of `phase`.
template <Real T>
T phase_slope(Index N, const T& omega) {
  T sum(0);
  for (Index k = 0; k < N; ++k) {
    const T a = T(2 * k + 1) / T(2);
    sum += a / (omega * omega + a * a);
  }
  return sum;
}

/// Imaginary parts of S4D-LegS: omega_n solves phase(omega) = (n + 1/2) pi. Newton's method, started on
/// the left of the root, climbs to it from below because `phase` is decreasing and convex, and is there,
/// up to the rounding of the sum, when it climbs no more. arctan x < x puts the root below N^2 / ((2n + 1)
/// pi); halving finds the start.
template <Real T>
Array<T> legs_frequencies(Index N) {
  Array<T> omega({pairs(N)});
  for (Index n = 0; n < omega.extent(0); ++n) {
    const T target = T(2 * n + 1) * pi<T>() / T(2);
    T now = T(N * N) / (T(2 * n + 1) * pi<T>());
    while (phase(N, now) < target) now /= T(2);
    T next = now + (phase(N, now) - target) / phase_slope(N, now);
    while (now < next) {
      now = next;
      next = now + (phase(N, now) - target) / phase_slope(N, now);
    }
    omega(n) = now;  // [omega_n]
  }
  return omega;
}

/// Eigenvalues -1/2 + i frequency.
template <Field T>
Array<Complex<T>> half_damped(const Array<T>& frequencies) {
  Array<Complex<T>> lambda(frequencies.shape());
  for (Index n = 0; n < frequencies.extent(0); ++n) {
    lambda(n) = Complex<T>(T(-1) / T(2), frequencies(n));  // [lambda_n]
  }
  return lambda;
}

/// S4D-LegS: the eigenvalues of LegS without its low-rank part. The official code asks an eigen-solver for
/// them.
template <Real T>
Array<Complex<T>> legs(Index N) {
  return half_damped(legs_frequencies<T>(N));
}

/// The input of S4D-LegS in the basis of its eigenvectors, with phases such that it is real and positive.
/// The theory wants half of it, the official code drops the half.
template <Real T>
Array<Complex<T>> legs_input(Index N) {
  const Array<T> omega = legs_frequencies<T>(N);
  Array<Complex<T>> B(omega.shape());
  for (Index n = 0; n < omega.extent(0); ++n) B(n) = Complex<T>(sqrt(T(2) / phase_slope(N, omega(n))));
  return B;
}

/// Eigenvectors of S4D-LegS as columns, N x N/2, in the orthonormal basis of LegS; the other half are
/// their conjugates. A read-out r of LegS becomes C = r^T V.
template <Real T>
Array<Complex<T>> legs_eigenvectors(Index N) {
  const Array<Complex<T>> lambda = legs<T>(N);
  Array<Complex<T>> V({N, pairs(N)});
  for (Index m = 0; m < pairs(N); ++m) {
    Complex<T> product(sqrt(T(1) / phase_slope(N, lambda(m).im)));
    for (Index n = 0; n < N; ++n) {
      product /= lambda(m) + Complex<T>(T(n + 1));
      V(n, m) = product * T(sqrt(T(2 * n + 1) / T(2)));
      product *= lambda(m) - Complex<T>(T(n));
    }
  }
  return V;
}

/// S4D-Inv: what the frequencies of LegS tend to.
template <Real T>
Array<Complex<T>> inv(Index N) {
  Array<T> frequencies({pairs(N)});
  for (Index n = 0; n < N / 2; ++n) {
    frequencies(n) = T(N) / pi<T>() * (T(N) / T(2 * n + 1) - T(1));
  }
  return half_damped(frequencies);
}

/// S4D-Inv2: as S4D-Inv with n + 1 in place of 2n + 1.
template <Real T>
Array<Complex<T>> inv2(Index N) {
  Array<T> frequencies({pairs(N)});
  for (Index n = 0; n < N / 2; ++n) frequencies(n) = T(N) / pi<T>() * (T(N) / T(n + 1) - T(1));
  return half_damped(frequencies);
}

/// S4D-Lin: the frequencies of a Fourier series.
template <Real T>
Array<Complex<T>> lin(Index N) {
  Array<T> frequencies({pairs(N)});
  for (Index n = 0; n < N / 2; ++n) frequencies(n) = pi<T>() * T(n);
  return half_damped(frequencies);
}

/// S4D-Quad: squares of the odd numbers.
template <Real T>
Array<Complex<T>> quad(Index N) {
  Array<T> frequencies({pairs(N)});
  for (Index n = 0; n < N / 2; ++n) frequencies(n) = T((2 * n + 1) * (2 * n + 1)) / pi<T>();
  return half_damped(frequencies);
}

/// S4D-Real: -1, -2, ..., the eigenvalues of LegS itself.
template <Field T>
Array<Complex<T>> real(Index N) {
  Array<Complex<T>> lambda({pairs(N)});
  for (Index n = 0; n < N / 2; ++n) lambda(n) = Complex<T>(T(-(n + 1)));
  return lambda;
}

/// S4D-Rand: frequencies e^x, one for each of the standard normal numbers x.
template <Real T>
Array<Complex<T>> rand(const Array<T>& normals) {
  require_rank("s4d::rand", "normals", normals, 1);
  Array<T> frequencies(normals.shape());
  for (Index n = 0; n < normals.extent(0); ++n) frequencies(n) = exp(normals(n));
  return half_damped(frequencies);
}

/// A step length whose logarithm is uniform between those of two bounds, for `uniform` in [0, 1].
template <Real T>
T log_uniform_step(const T& uniform, const T& smallest, const T& largest) {
  return exp(log(smallest) + uniform * (log(largest) - log(smallest)));
}
/// \}

/// \name Parameterisations of the real part: Re lambda = -value(a)
/// Each has the inverse of its `value`, for what a model starts from. The official code first clamps what
/// it inverts from below, and its `relu` takes the clamped number itself for the inverse, so that a model
/// starts one floor too high.
/// \{

/// The floor of the official code, 1e-4.
template <Field T>
T real_part_floor() {
  return T(1) / T(10000);
}

/// What the official code does to a number before any of the inverses.
template <OrderedField T>
T clamped(const T& x) {
  return maximum(x, real_part_floor<T>());
}

/// The number itself; training may carry it to instability.
struct NoTransform {
  template <Ring T>
  static T value(const T& a) {
    return a;
  }
  template <Ring T>
  static T inverse(const T& x) {
    return x;
  }
};

/// e^a, the default. Cannot reach 0.
struct ExpTransform {
  template <Exponential T>
  static T value(const T& a) {
    return exp(a);
  }
  template <Real T>
  static T inverse(const T& x) {
    return log(x);
  }
};

/// max(a, 0) and the floor. The inverse is for x at or above the floor.
struct ReluTransform {
  template <OrderedField T>
  static T value(const T& a) {
    return maximum(a, T(0)) + real_part_floor<T>();
  }
  template <OrderedField T>
  static T inverse(const T& x) {
    return x - real_part_floor<T>();
  }
  /// The official code's: does not take the floor away again.
  template <OrderedField T>
  static T inverse_code(const T& x) {
    return clamped(x);
  }
};

/// 1 / (1 + e^{-a}). The inverse is for x between 0 and 1.
struct SigmoidTransform {
  template <Exponential T>
  static T value(const T& a) {
    return T(1) / (T(1) + exp(-a));
  }
  template <Real T>
  static T inverse(const T& x) {
    return log(x / (T(1) - x));
  }
};

/// log(1 + e^a), without overflow.
struct SoftplusTransform {
  template <Real T>
  static T value(const T& a) {
    return maximum(a, T(0)) + log1p(exp(-maximum(a, T(-a))));
  }
  template <Real T>
  static T inverse(const T& x) {
    return x + log(-expm1(-x));
  }
};
/// \}

/// \name Discretisations
/// \{

/// Zero-order hold: exact for an input that is constant over the step. A state with lambda = 0 sums
/// inputs.
/// \throws std::invalid_argument for shapes that do not fit
template <Real T>
System<T> zoh(const System<T>& system, const T& step) {
  check(system);
  System<T> discrete = system;
  for (Index n = 0; n < system.lambda.extent(0); ++n) {
    const Complex<T> lambda = system.lambda(n), scaled = step * lambda;  // [Delta]
    discrete.lambda(n) = exp(scaled);                                    // [lambdabar_n]
    const Complex<T> input = lambda == Complex<T>(0) ? Complex<T>(step) : expm1(scaled) / lambda;
    discrete.B(n) = input * system.B(n);  // [Bbar_n] [B_n]
  }
  return discrete;
}

/// Bilinear transform. Domain: step lambda is not 2.
/// \throws std::invalid_argument for shapes that do not fit
template <Field T>
System<T> bilinear(const System<T>& system, const T& step) {
  check(system);
  System<T> discrete = system;
  const Complex<T> one(1);
  for (Index n = 0; n < system.lambda.extent(0); ++n) {
    const Complex<T> half = T(step / T(2)) * system.lambda(n);
    discrete.lambda(n) = (one + half) / (one - half);
    discrete.B(n) = step * system.B(n) / (one - half);
  }
  return discrete;
}

/// The B whose ZOH kernel is C lambdabar^{l+1} state: how a state that was there before the first token
/// sounds.
template <Real T>
Array<Complex<T>> state_as_input_zoh(const System<T>& system, const Array<Complex<T>>& state, const T& step) {
  Array<Complex<T>> B(state.shape());
  for (Index n = 0; n < state.extent(0); ++n) {
    const Complex<T> lambda = system.lambda(n), scaled = step * lambda;
    B(n) = lambda == Complex<T>(0) ? state(n) / step : state(n) * lambda * exp(scaled) / expm1(scaled);
  }
  return B;
}

/// The same for the bilinear transform.
template <Field T>
Array<Complex<T>> state_as_input_bilinear(const System<T>& system, const Array<Complex<T>>& state,
                                          const T& step) {
  Array<Complex<T>> B(state.shape());
  for (Index n = 0; n < state.extent(0); ++n) {
    const Complex<T> half = T(step / T(2)) * system.lambda(n);
    B(n) = state(n) / step * (Complex<T>(1) + half);
  }
  return B;
}
/// \}

/// \name Forms: all take a discretised system
/// \{

/// Twice the real part of a sum over half of the conjugate pairs.
template <Field T>
T paired(const Complex<T>& sum) {
  return T(2) * sum.re;
}

/// Takes the state from token t-1 to token t and returns that token's output. Everything a stream needs.
template <Field T>
T step(Array<Complex<T>>& state, const System<T>& discrete, const T& u) {
  Complex<T> sum(0);
  for (Index n = 0; n < state.extent(0); ++n) {
    state(n) = discrete.lambda(n) * state(n) + discrete.B(n) * u;  // [h_{t,n}] [u_t]
    sum += discrete.C(n) * state(n);                               // [C_n]
  }
  return paired(sum) + discrete.D * u;  // [y_t] [D]
}

/// The definition: token after token.
/// \throws std::invalid_argument for shapes that do not fit
template <Field T>
Output<T> recurrent(const System<T>& discrete, const Array<T>& u, const Array<Complex<T>>& state) {
  check(discrete, u, state);
  Output<T> out{Array<T>(u.shape()), state};
  for (Index t = 0; t < u.extent(0); ++t) out.y(t) = step(out.state, discrete, u(t));
  return out;
}

/// The kernel as a product of the weights C B with the Vandermonde matrix lambdabar_n^l, by running
/// powers.
template <Field T>
Array<T> kernel(const System<T>& discrete, Index length) {
  check(discrete);
  const Index M = discrete.lambda.extent(0);
  Array<Complex<T>> weight({M}), power({M}, Complex<T>(1));
  for (Index n = 0; n < M; ++n) weight(n) = discrete.C(n) * discrete.B(n);
  Array<T> K({length});
  for (Index l = 0; l < length; ++l) {
    Complex<T> sum(0);
    for (Index n = 0; n < M; ++n) {
      sum += weight(n) * power(n);
      power(n) *= discrete.lambda(n);
    }
    K(l) = paired(sum);  // [Kbar_l]
  }
  return K;
}

/// The ZOH kernel with e^{l Delta lambda} afresh for every lag, as the official code has it: no powers to
/// drift. Takes the continuous system.
template <Real T>
Array<T> kernel_by_exponentials(const System<T>& system, const T& step, Index length) {
  const System<T> discrete = zoh(system, step);
  Array<T> K({length});
  for (Index l = 0; l < length; ++l) {
    Complex<T> sum(0);
    for (Index n = 0; n < system.lambda.extent(0); ++n) {
      sum += discrete.C(n) * discrete.B(n) * exp(T(T(l) * step) * system.lambda(n));
    }
    K(l) = paired(sum);
  }
  return K;
}

/// What the state before the first token adds to output t: 2 Re sum of C lambdabar^{t+1} state.
template <Field T>
Array<T> echo(const System<T>& discrete, const Array<Complex<T>>& state, Index length) {
  System<T> started = discrete;
  for (Index n = 0; n < state.extent(0); ++n) started.B(n) = discrete.lambda(n) * state(n);
  return kernel(started, length);
}

/// Causal convolution: y_t = sum over l <= t of K_l u_{t-l}, and D u_t. Needs K for every lag of u.
/// \throws std::invalid_argument for shapes that do not fit
template <Ring T>
Array<T> convolution(const Array<T>& K, const T& D, const Array<T>& u) {
  require_rank("s4d::convolution", "u", u, 1);
  require_shape("s4d::convolution", "K", K, u.shape(), "u is " + to_string(u.shape()));
  Array<T> y(u.shape());
  for (Index t = 0; t < u.extent(0); ++t) {
    for (Index l = 0; l <= t; ++l) y(t) += K(l) * u(t - l);
    y(t) += D * u(t);
  }
  return y;
}

/// Chunk by chunk: inside a chunk a convolution with the first values of the kernel, and from chunk to
/// chunk the state. The last chunk may be shorter.
/// \throws std::invalid_argument for shapes that do not fit
template <Field T>
Output<T> chunked(const System<T>& discrete, const Array<T>& u, const Array<Complex<T>>& state, Index chunk) {
  check(discrete, u, state);
  require(chunk >= 1, "s4d::chunked", "chunk", std::to_string(chunk), "1 or more");
  const Index L = u.extent(0), M = state.extent(0);
  const Array<T> K = kernel(discrete, chunk);
  Output<T> out{Array<T>({L}), state};
  for (Index start = 0; start < L; start += chunk) {
    const Index length = chunk < L - start ? chunk : L - start;
    const Array<T> carried = echo(discrete, out.state, length);
    for (Index t = 0; t < length; ++t) {
      T sum = carried(t);
      for (Index l = 0; l <= t; ++l) sum += K(l) * u(start + t - l);
      out.y(start + t) = sum + discrete.D * u(start + t);
    }
    for (Index n = 0; n < M; ++n) {
      Complex<T> power(1), entered(0);
      for (Index t = length - 1; t >= 0; --t) {
        entered += power * discrete.B(n) * u(start + t);
        power *= discrete.lambda(n);
      }
      out.state(n) = power * out.state(n) + entered;
    }
  }
  return out;
}

/// One stretch of the recurrence, as the map h -> factor h + offset. Stretches compose associatively.
template <Field T>
struct Stretch {
  Complex<T> factor;
  Complex<T> offset;
};

/// First one stretch, then the other.
template <Field T>
Stretch<T> after(const Stretch<T>& first, const Stretch<T>& second) {
  return {first.factor * second.factor, second.factor * first.offset + second.offset};
}

/// Associative scan in ceil(log2 L) rounds (Hillis and Steele): round r joins every stretch of 2^r tokens
/// with the one before it.
/// \throws std::invalid_argument for shapes that do not fit
template <Field T>
Output<T> scan(const System<T>& discrete, const Array<T>& u, const Array<Complex<T>>& state) {
  check(discrete, u, state);
  const Index L = u.extent(0), M = state.extent(0);
  Output<T> out{Array<T>({L}), Array<Complex<T>>({M})};
  Array<Complex<T>> sums({L});
  for (Index n = 0; n < M; ++n) {
    std::vector<Stretch<T>> stretches;
    for (const T& sample : u.values()) {
      stretches.push_back({discrete.lambda(n), discrete.B(n) * sample});
    }
    for (Index reach = 1; reach < L; reach *= 2) {
      for (Index t = L - 1; t >= reach; --t) {  // downwards, so that what is read is of the round before
        const auto now = static_cast<std::size_t>(t), earlier = static_cast<std::size_t>(t - reach);
        stretches[now] = after(stretches[earlier], stretches[now]);
      }
    }
    for (Index t = 0; t < L; ++t) {
      const Stretch<T>& all = stretches[static_cast<std::size_t>(t)];
      out.state(n) = all.factor * state(n) + all.offset;
      sums(t) += discrete.C(n) * out.state(n);
    }
  }
  for (Index t = 0; t < L; ++t) out.y(t) = paired(sums(t)) + discrete.D * u(t);
  return out;
}

/// The sum of K_l z^l over l < length as a sum of geometric series, one for each of the N states. Both
/// halves of the pairs are written out: z is complex, so they are not conjugates of each other. Domain: z
/// lambdabar is not 1.
template <Field T>
Complex<T> generating_function(const System<T>& discrete, const Complex<T>& z, Index length) {
  const Complex<T> one(1);
  Complex<T> sum(0);
  for (Index n = 0; n < discrete.lambda.extent(0); ++n) {
    const Complex<T> weight = discrete.C(n) * discrete.B(n), lambda = discrete.lambda(n);
    const Complex<T> end = pow(z * lambda, length), paired_end = pow(z * conj(lambda), length);
    sum += weight * (one - end) / (one - z * lambda);
    sum += conj(weight) * (one - paired_end) / (one - z * conj(lambda));
  }
  return sum;
}

/// The kernel from its generating function at the L-th roots of unity, by the inverse Fourier transform.
/// The roots may be those of the real numbers or of a finite field.
/// \throws std::invalid_argument for shapes that do not fit
template <Field T>
requires requires(Index length) {
  RootOfUnity<T>::of(length);
}
Array<T> kernel_by_generating_function(const System<T>& discrete, Index length) {
  check(discrete);
  require(length >= 1, "s4d::kernel_by_generating_function", "length", std::to_string(length), "1 or more");
  const Complex<T> root = root_of_unity<T>(length);
  Array<Complex<T>> roots({length}, Complex<T>(1)), values({length});
  for (Index j = 1; j < length; ++j) roots(j) = roots(j - 1) * root;
  for (Index j = 0; j < length; ++j) values(j) = generating_function(discrete, roots(j), length);
  Array<T> K({length});
  for (Index l = 0; l < length; ++l) {
    Complex<T> sum(0);
    for (Index j = 0; j < length; ++j) {
      const Index inverse = (length - j * l % length) % length;
      sum += values(j) * roots(inverse);
    }
    K(l) = sum.re / T(length);
  }
  return K;
}
/// \}

/// \name LegS with and without its low-rank part
/// \{

/// LegS without its low-rank part and with half of its input, (S, B/2), in the basis d: rational. Its
/// eigenvalues are those of `legs` and their conjugates.
template <Field T>
hippo::System<T> legs_normal(Index N) {
  hippo::require_size(N);
  hippo::System<T> system{Array<T>({N, N}), Array<T>({N}, T(1) / T(2))};
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < N; ++k) {
      const T half = T(2 * k + 1) / T(2);
      system.A(n, k) = k > n ? half : -half;
    }
    system.A(n, n) = T(-1) / T(2);
  }
  return system;
}

/// rho_N(s), the product of (s - n) / (s + n + 1). At every s, (s - S)^{-1} B/2 is (s - A)^{-1} B over 1 +
/// rho_N(s), so the two agree at s = 0, 1, ..., N-1; rho_N tends to 1 as s grows, so they never agree
/// uniformly.
template <Field T>
T legs_defect(Index N, const T& s) {
  T rho(1);
  for (Index n = 0; n < N; ++n) rho *= (s - T(n)) / (s + T(n + 1));  // [rho_N]
  return rho;
}
/// \}

/// \name DSS kernels. `scaled` is Delta lambda; there are no pairs and no factor 2
/// \{

/// Delta lambda, as the paper has it.
template <Ring T>
Array<Complex<T>> scaled_by(const Array<Complex<T>>& lambda, const T& step) {
  Array<Complex<T>> scaled = lambda;
  for (Complex<T>& entry : scaled.values()) entry = step * entry;
  return scaled;
}

/// Delta lambda as the official code has it, with a step of its own for the imaginary part.
template <Ring T>
Array<Complex<T>> scaled_by_parts(const Array<Complex<T>>& lambda, const T& real_step,
                                  const T& imaginary_step) {
  Array<Complex<T>> scaled = lambda;
  for (Complex<T>& entry : scaled.values())
    entry = Complex<T>(real_step * entry.re, imaginary_step * entry.im);
  return scaled;
}

/// Real part of the sum over n of weight_n row(n, l), for every lag l.
template <Field T>
Array<T> weighted_rows(const Array<Complex<T>>& weight, const Array<Complex<T>>& rows) {
  require_rank("s4d::weighted_rows", "weight", weight, 1);
  require_shape("s4d::weighted_rows", "rows", rows, {weight.extent(0), rows.extent(1)},
                "weight is " + to_string(weight.shape()));
  Array<T> K({rows.extent(1)});
  for (Index l = 0; l < rows.extent(1); ++l) {
    for (Index n = 0; n < weight.extent(0); ++n) K(l) += (weight(n) * rows(n, l)).re;
  }
  return K;
}

/// W_n / lambda_n.
template <Field T>
Array<Complex<T>> softmax_weights(const Array<Complex<T>>& lambda, const Array<Complex<T>>& W) {
  require_shape("s4d::softmax_weights", "W", W, lambda.shape(), "lambda is " + to_string(lambda.shape()));
  Array<Complex<T>> weight = W;
  for (Index n = 0; n < W.extent(0); ++n) weight(n) /= lambda(n);  // [W_n]
  return weight;
}

/// Row n is the complex softmax of l Delta lambda_n over the lags l, M x length; every row sums to 1.
/// Domain: length Delta lambda is not a multiple of 2 pi i, unless lambda is 0.
template <Real T>
Array<Complex<T>> softmax_rows(const Array<Complex<T>>& scaled, Index length) {
  Array<Complex<T>> rows({scaled.extent(0), length});
  for (Index n = 0; n < scaled.extent(0); ++n) {
    Complex<T> sum(0);
    for (Index l = 0; l < length; ++l) {
      rows(n, l) = exp(T(l) * scaled(n));
      sum += rows(n, l);
    }
    for (Index l = 0; l < length; ++l) rows(n, l) /= sum;
  }
  return rows;
}

/// The same without overflow: where Re lambda > 0 the lags are counted from the last one, which multiplies
/// numerator and denominator by the same complex number.
template <Real T>
Array<Complex<T>> softmax_rows_stabilised(const Array<Complex<T>>& scaled, Index length) {
  Array<Complex<T>> rows({scaled.extent(0), length});
  for (Index n = 0; n < scaled.extent(0); ++n) {
    const Index shift = T(0) < scaled(n).re ? length - 1 : 0;
    Complex<T> sum(0);
    for (Index l = 0; l < length; ++l) {
      rows(n, l) = exp(T(l - shift) * scaled(n));
      sum += rows(n, l);
    }
    for (Index l = 0; l < length; ++l) rows(n, l) /= sum;
  }
  return rows;
}

/// DSS softmax kernel, as defined. Depends on the length. Domain: lambda is not 0.
/// \throws std::invalid_argument for shapes that do not fit
template <Real T>
Array<T> softmax_kernel(const Array<Complex<T>>& lambda, const Array<Complex<T>>& scaled,
                        const Array<Complex<T>>& W, Index length) {
  return weighted_rows(softmax_weights(lambda, W), softmax_rows(scaled, length));
}

/// DSS softmax kernel with the stabilised rows.
/// \throws std::invalid_argument for shapes that do not fit
template <Real T>
Array<T> softmax_kernel_stabilised(const Array<Complex<T>>& lambda, const Array<Complex<T>>& scaled,
                                   const Array<Complex<T>>& W, Index length) {
  return weighted_rows(softmax_weights(lambda, W), softmax_rows_stabilised(scaled, length));
}

/// DSS softmax kernel with the denominator summed as a geometric series.
/// \throws std::invalid_argument for shapes that do not fit
template <Real T>
Array<T> softmax_kernel_closed(const Array<Complex<T>>& lambda, const Array<Complex<T>>& scaled,
                               const Array<Complex<T>>& W, Index length) {
  Array<Complex<T>> rows({scaled.extent(0), length});
  for (Index n = 0; n < scaled.extent(0); ++n) {
    const Complex<T> first = expm1(scaled(n)) / expm1(T(length) * scaled(n));
    for (Index l = 0; l < length; ++l) rows(n, l) = first * exp(T(l) * scaled(n));
  }
  return weighted_rows(softmax_weights(lambda, W), rows);
}

/// DSS exp kernel: S4D with ZOH and B = 1, without the factor 2. Domain: lambda is not 0.
/// \throws std::invalid_argument for shapes that do not fit
template <Real T>
Array<T> exp_kernel(const Array<Complex<T>>& lambda, const Array<Complex<T>>& scaled,
                    const Array<Complex<T>>& W, Index length) {
  Array<Complex<T>> rows({scaled.extent(0), length});
  for (Index n = 0; n < scaled.extent(0); ++n) {
    for (Index l = 0; l < length; ++l) rows(n, l) = expm1(scaled(n)) * exp(T(l) * scaled(n));
  }
  return weighted_rows(softmax_weights(lambda, W), rows);
}

/// `exp-no-scale` of the official code: the exponentials with weights W alone.
/// \throws std::invalid_argument for shapes that do not fit
template <Real T>
Array<T> exp_kernel_no_scale(const Array<Complex<T>>& scaled, const Array<Complex<T>>& W, Index length) {
  Array<Complex<T>> rows({scaled.extent(0), length});
  for (Index n = 0; n < scaled.extent(0); ++n) {
    for (Index l = 0; l < length; ++l) rows(n, l) = exp(T(l) * scaled(n));
  }
  return weighted_rows(W, rows);
}
/// \}

}  // namespace etalon::s4d
