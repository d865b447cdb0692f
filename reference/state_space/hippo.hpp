/// \file
/// HiPPO: a memory of N numbers that holds the best approximation of everything heard so far by N orthogonal
/// functions, and is kept up to date by one fixed linear step per sample. Its matrices start S4 and S4D.
///
/// Source: \cite gu2020hippo (Gu, Dao, Ermon, Rudra, Re, 2020, arXiv 2008.07669), which writes -A where this
/// text writes A. A measure says how much each part of the past matters: a sliding window (LegT, FouT), a
/// past that fades exponentially (LagT), or the whole past in equal parts (LegS). The coefficients then obey
/// \f[ c'(t) = A\,c(t) + B\,f(t), \qquad \text{for LegS}\quad c'(t) = \tfrac1t\,(A\,c(t) + B\,f(t)) . \f]
///
/// LegS is defined by the integral
/// \f[ c_n(t) = \sqrt{2n+1}\,d_n(t), \qquad d_n(t) = \tfrac1t\int_0^t f(x)\,P_n(2x/t-1)\,dx, \f]
/// and in the basis d all its numbers are rational: \f$ d' = \tfrac1t (M\,d + \mathbf 1 f) \f$.
///
/// One step of length Delta by the generalised bilinear transform (GBT) is
/// \f[ (I-\alpha\Delta A)\,c_t = (I+(1-\alpha)\Delta A)\,c_{t-1} + \Delta B f_t ; \f]
/// LegS puts 1/k in place of Delta at its k-th update. With f constant from t_0 to t_1 the exact LegS step is
/// \f[ d(t_1) = \Phi(\rho)\,d(t_0) + \beta(\rho)\,f, \qquad \rho = t_0/t_1, \f]
/// \f[ \Phi_{nk} = \rho\,(2k+1)\int_0^1 P_n(2\rho x-1)P_k(2x-1)\,dx, \quad
///     \beta_n = \int_\rho^1 P_n(2r-1)\,dr . \f]
///
/// \symbol{A_{nk}} how coefficient k drives coefficient n, N x N
/// \symbol{B_n} how the sample drives coefficient n, N numbers
/// \symbol{c_n} coefficient of the n-th orthonormal function, N numbers
/// \symbol{f} the sample, a number
/// \symbol{d_n} LegS coefficient of P_n: c_n without its square root, N numbers
/// \symbol{M_{nk}} the matrix of LegS in the basis d, N x N, integers
/// \symbol{P_n} Legendre polynomial of degree n, on [-1, 1], P_n(1) = 1
/// \symbol{L_n} Laguerre polynomial of degree n
/// \symbol{theta} length of the window of LegT and FouT
/// \symbol{lambda_n} scale of the LMU basis against the orthonormal basis of LegT
/// \symbol{ell_n} length of the n-th generalised Laguerre polynomial, up to a common factor
/// \symbol{g} weight of the seam in FouT: 1 or 2
/// \symbol{Delta} step length
/// \symbol{alpha} GBT parameter: 0 forward Euler, 1/2 bilinear, 1 backward Euler
/// \symbol{rho} the ratio t_0 / t_1 of two times, in [0, 1]
/// \symbol{Phi_{nk}} LegS transition from t_0 to t_1 without input, N x N
/// \symbol{beta_n} LegS response to a sample 1 held from t_0 to t_1, N numbers
/// \symbol{S_n} running sum of (2k + 1) d_k over k < n, before the step
/// \symbol{T_n} the same sum after the step
/// \symbol{delta} diagonal of I - hA for LagT
#pragma once

#include <concepts>
#include <string>
#include <utility>
#include <vector>

#include "reference/array.hpp"
#include "reference/scalar/complex.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon::hippo {

/// A linear system, continuous (c' = A c + B f) or discretised (c_t = A c_{t-1} + B f_t). A is N x N, B
/// has N entries.
template <class T>
struct System {
  Array<T> A;
  Array<T> B;
};

/// Throws unless there is a coefficient to keep.
/// \throws std::invalid_argument
inline void require_size(Index N) {
  require(N >= 1, "hippo", "N", std::to_string(N), "1 or more");
}

/// Throws unless A is square and B fits.
/// \throws std::invalid_argument
template <class T>
void require_system(const System<T>& system) {
  require_rank("hippo", "B", system.B, 1);
  const Index N = system.B.extent(0);
  require_shape("hippo", "A", system.A, {N, N}, "B has " + std::to_string(N) + " entries");
}

/// \name Polynomials
/// \{

/// P_0(x) ... P_{N-1}(x) by the recurrence (n+1) P_{n+1} = (2n+1) x P_n - n P_{n-1}; sums of powers would
/// cancel.
template <Field T>
Array<T> legendre(Index N, const T& x) {
  require_size(N);
  Array<T> P({N}, T(1));
  for (Index n = 0; n + 1 < N; ++n) {
    P(n + 1) = T(2 * n + 1) * x * P(n);
    if (n > 0) P(n + 1) -= T(n) * P(n - 1);
    P(n + 1) /= T(n + 1);  // [P_n]
  }
  return P;
}

/// The integrals of P_n(2r - 1) over r from 0 to y, for n < N: y for n = 0, and from there the difference
/// (P_{n+1} - P_{n-1}) / (2 (2n+1)) at 2y - 1.
template <Field T>
Array<T> legendre_integral(Index N, const T& y) {
  const Array<T> P = legendre(N + 1, T(2) * y - T(1));
  Array<T> integral({N}, y);
  for (Index n = 1; n < N; ++n) integral(n) = (P(n + 1) - P(n - 1)) / T(2 * (2 * n + 1));
  return integral;
}

/// Generalised Laguerre polynomials of parameter alpha at x, by (n+1) L_{n+1} = (2n+1+alpha-x) L_n -
/// (n+alpha) L_{n-1}; alpha = 0 gives the plain ones.
template <Field T>
Array<T> laguerre(Index N, const T& x, const T& alpha = T(0)) {
  require_size(N);
  Array<T> L({N}, T(1));
  for (Index n = 0; n + 1 < N; ++n) {
    L(n + 1) = (T(2 * n + 1) + alpha - x) * L(n);
    if (n > 0) L(n + 1) -= (T(n) + alpha) * L(n - 1);
    L(n + 1) /= T(n + 1);  // [L_n]
  }
  return L;
}
/// \}

/// \name Matrices, one system per measure
/// \{

/// LegS, the whole past [0, t] in equal parts, orthonormal basis.
template <Real T>
System<T> legs(Index N) {
  require_size(N);
  System<T> system{Array<T>({N, N}), Array<T>({N})};
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < n; ++k) system.A(n, k) = -sqrt(T((2 * n + 1) * (2 * k + 1)));  // [A_{nk}]
    system.A(n, n) = T(-(n + 1));
    system.B(n) = sqrt(T(2 * n + 1));  // [B_n]
  }
  return system;
}

/// LegS in the basis d: integers only.
template <Ring T>
System<T> legs_rational(Index N) {
  require_size(N);
  System<T> system{Array<T>({N, N}), Array<T>({N}, T(1))};
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < n; ++k) system.A(n, k) = T(-(2 * k + 1));  // [M_{nk}]
    system.A(n, n) = T(-(n + 1));
  }
  return system;
}

/// LegT, the window [t - theta, t] in equal parts, orthonormal basis. Domain: theta > 0. The official code
/// has theta = 1 in one repository and theta = 2 in another, where the mean age is to be that of LegS.
/// \throws std::invalid_argument
template <Real T>
System<T> legt(Index N, const T& theta = T(1)) {
  require_size(N);
  require(T(0) < theta, "hippo::legt", "theta", "not positive", "a positive window");
  System<T> system{Array<T>({N, N}), Array<T>({N})};
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < N; ++k) {
      const T size = sqrt(T((2 * n + 1) * (2 * k + 1))) / theta;  // [theta]
      const bool negative = k <= n || (k - n) % 2 == 0;
      system.A(n, k) = negative ? -size : size;
    }
    system.B(n) = sqrt(T(2 * n + 1)) / theta;
  }
  return system;
}

/// LegT in the basis of the Legendre memory unit, where all entries are rational; the scaling that the
/// main theorem of the paper prints. Domain: theta is not 0.
template <Field T>
System<T> lmu(Index N, const T& theta = T(1)) {
  require_size(N);
  System<T> system{Array<T>({N, N}), Array<T>({N})};
  for (Index n = 0; n < N; ++n) {
    const T size = T(2 * n + 1) / theta;
    for (Index k = 0; k < N; ++k) {
      const bool negative = k >= n || (n - k) % 2 == 0;
      system.A(n, k) = negative ? -size : size;
    }
    system.B(n) = n % 2 == 0 ? size : -size;
  }
  return system;
}

/// Lower triangle of -1 with its own diagonal, the shape that all Laguerre memories share.
template <Ring T>
System<T> laguerre_system(Index N, const T& diagonal, const T& input) {
  require_size(N);
  System<T> system{Array<T>({N, N}), Array<T>({N}, input)};
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < n; ++k) system.A(n, k) = T(-1);
    system.A(n, n) = diagonal;
  }
  return system;
}

/// LagT, a past that fades as exp(-(1 + beta) s / 2) with age s. The theorem of the paper is beta = 1,
/// where A is minus the lower triangle of ones.
template <Field T>
System<T> lagt(Index N, const T& beta = T(1)) {
  return laguerre_system<T>(N, -(T(1) + beta) / T(2), T(1));
}

/// `lagt` of the official code: diagonal -1/2 whatever beta is, input beta. Another memory than the
/// theorem's.
template <Field T>
System<T> lagt_code(Index N, const T& beta = T(1)) {
  return laguerre_system<T>(N, T(-1) / T(2), beta);
}

/// `tlagt` of the official code: the matrix of `lagt`, input scaled by beta.
template <Field T>
System<T> tlagt_code(Index N, const T& beta = T(1)) {
  return laguerre_system<T>(N, -(T(1) + beta) / T(2), beta);
}

/// binomial(n + alpha, n) for n < N: the square of ell_n but for the common factor Gamma(1 + alpha).
template <Field T>
Array<T> laguerre_squares(Index N, const T& alpha) {
  Array<T> squares({N}, T(1));
  for (Index n = 1; n < N; ++n) squares(n) = squares(n - 1) * (T(n) + alpha) / T(n);
  return squares;
}

/// The factor beta^{(1-alpha)/2} / sqrt(Gamma(1 - alpha) Gamma(1 + alpha)) of GLagT. The product of the
/// two gamma functions is pi alpha / sin(pi alpha), so no gamma function is needed.
template <Real T>
T glagt_factor(const T& alpha, const T& beta) {
  const T angle = pi<T>() * alpha;
  const T sinc = T(0) < alpha || alpha < T(0) ? sin(angle) / angle : T(1);
  return exp(log(beta) * (T(1) - alpha) / T(2)) * sqrt(sinc);
}

/// Generalised LagT: Laguerre polynomials of parameter alpha. Domain: -1 < alpha < 1, beta > 0; the
/// official code's defaults are alpha = 0, beta = 1/100.
/// \throws std::invalid_argument
template <Real T>
System<T> glagt(Index N, const T& alpha, const T& beta) {
  require_size(N);
  require(T(-1) < alpha && alpha < T(1), "hippo::glagt", "alpha", "out of range", "between -1 and 1");
  require(T(0) < beta, "hippo::glagt", "beta", "not positive", "a positive number");
  const Array<T> squares = laguerre_squares(N, alpha);
  const T factor = glagt_factor(alpha, beta);
  System<T> system{Array<T>({N, N}), Array<T>({N})};
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < n; ++k) system.A(n, k) = -sqrt(squares(k) / squares(n));  // [ell_n]
    system.A(n, n) = -(T(1) + beta) / T(2);
    system.B(n) = sqrt(squares(n)) * factor;
  }
  return system;
}

/// FouT over any ring: A = i omega diag(frequencies) - rate 1 1^T, B = rate 1, one coefficient for each
/// frequency. `fout` is this with omega = 2 pi / theta and rate = g / theta.
/// \throws std::invalid_argument
template <Ring T>
System<Complex<T>> fout_scaled(const std::vector<Index>& frequencies, const T& omega, const T& rate) {
  const Index N = static_cast<Index>(frequencies.size());
  require_size(N);
  const Complex<T> leave(-rate, T(0)), enter(rate, T(0));
  System<Complex<T>> system{Array<Complex<T>>({N, N}, leave), Array<Complex<T>>({N}, enter)};
  for (Index n = 0; n < N; ++n) {
    system.A(n, n) += Complex<T>(T(0), omega * T(frequencies[static_cast<std::size_t>(n)]));
  }
  return system;
}

/// FouT, the window [t - theta, t] in equal parts, complex exponentials exp(-2 pi i n s / theta) of the
/// age s. g = 1 takes the sample that leaves the window to be the sum of the series; g = 2 knows that a
/// Fourier series converges at the seam to the mean of the two ends.
template <Real T>
System<Complex<T>> fout(const std::vector<Index>& frequencies, const T& theta, const T& g) {
  return fout_scaled<T>(frequencies, T(2) * pi<T>() / theta, g / theta);  // [g]
}

/// FouT in real form: index 2m is the cosine of frequency m, 2m + 1 its sine; A = (2 pi / theta) J - (g /
/// theta) b b^T and B = (g / theta) b. Index 1, the sine of frequency 0, is dead: its row, column and
/// input are 0. The official code's `fout` is theta = 2, g = 2; `fourier2` is theta = 1, g = 2;
/// `fourier_decay` is theta = 2, g = 1.
/// \throws std::invalid_argument for odd N
template <Real T>
System<T> fout_real(Index N, const T& theta, const T& g) {
  require(N >= 2 && N % 2 == 0, "hippo::fout_real", "N", std::to_string(N), "an even number from 2 on");
  Array<T> b({N});
  b(0) = T(1);
  for (Index m = 1; m < N / 2; ++m) b(2 * m) = sqrt(T(2));
  System<T> system{Array<T>({N, N}), Array<T>({N})};
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < N; ++k) system.A(n, k) = -(g / theta) * b(n) * b(k);
    system.B(n) = g / theta * b(n);
  }
  const T omega = T(2) * pi<T>() / theta;
  for (Index m = 0; m < N / 2; ++m) {
    system.A(2 * m, 2 * m + 1) -= T(m) * omega;
    system.A(2 * m + 1, 2 * m) += T(m) * omega;
  }
  return system;
}
/// \}

/// \name Changes of basis
/// \{

/// From the basis d of LegS to the orthonormal one: c_n = sqrt(2n + 1) d_n.
template <Real T>
Array<T> orthonormal(const Array<T>& d) {
  Array<T> c = d;
  for (Index n = 0; n < c.extent(0); ++n) c(n) *= sqrt(T(2 * n + 1));  // [c_n]
  return c;
}

/// From the orthonormal basis of LegT to that of the Legendre memory unit: c_n times sqrt(2n + 1) (-1)^n.
template <Real T>
Array<T> lmu_from_legt(const Array<T>& c) {
  Array<T> scaled = c;
  for (Index n = 0; n < c.extent(0); ++n) {
    const T lambda = n % 2 == 0 ? sqrt(T(2 * n + 1)) : -sqrt(T(2 * n + 1));  // [lambda_n]
    scaled(n) *= lambda;
  }
  return scaled;
}
/// \}

/// \name Dense linear algebra, as plain as it gets
/// \{

template <Ring T>
Array<T> identity(Index N) {
  Array<T> one({N, N});
  for (Index n = 0; n < N; ++n) one(n, n) = T(1);
  return one;
}

/// Matrix (N x K) times matrix (K x R).
template <Ring T>
Array<T> multiply(const Array<T>& left, const Array<T>& right) {
  Array<T> product({left.extent(0), right.extent(1)});
  for (Index i = 0; i < left.extent(0); ++i) {
    for (Index k = 0; k < left.extent(1); ++k) {
      for (Index j = 0; j < right.extent(1); ++j) product(i, j) += left(i, k) * right(k, j);
    }
  }
  return product;
}

/// Matrix (N x K) times vector (K).
template <Ring T>
Array<T> apply(const Array<T>& matrix, const Array<T>& vector) {
  Array<T> product({matrix.extent(0)});
  for (Index i = 0; i < matrix.extent(0); ++i) {
    for (Index k = 0; k < matrix.extent(1); ++k) product(i) += matrix(i, k) * vector(k);
  }
  return product;
}

/// Throws for a pivot of 0 where numbers lie on a line; elsewhere dividing by it is left to the arithmetic.
/// \throws std::invalid_argument
template <Field T>
void require_pivot(const T& pivot, Index p) {
  if constexpr (OrderedField<T> && std::equality_comparable<T>) {
    require(!(pivot == T(0)), "hippo::solve", "pivot " + std::to_string(p), "0", "another number");
  }
}

/// X with matrix X = right, for N x N and N x R, by Gaussian elimination without exchanging rows. That is
/// enough here: but for a diagonal change of basis, which leaves the pivots alone, I - alpha Delta A of
/// every measure has a positive definite symmetric part, so no pivot of it is 0.
/// \throws std::invalid_argument for a pivot of 0
template <Field T>
Array<T> solve(Array<T> matrix, Array<T> right) {
  const Index N = matrix.extent(0), R = right.extent(1);
  for (Index p = 0; p < N; ++p) {
    require_pivot(matrix(p, p), p);
    for (Index i = p + 1; i < N; ++i) {
      const T factor = matrix(i, p) / matrix(p, p);
      for (Index j = p + 1; j < N; ++j) matrix(i, j) -= factor * matrix(p, j);
      for (Index j = 0; j < R; ++j) right(i, j) -= factor * right(p, j);
    }
  }
  for (Index p = N - 1; p >= 0; --p) {
    for (Index j = 0; j < R; ++j) {
      for (Index k = p + 1; k < N; ++k) right(p, j) -= matrix(p, k) * right(k, j);
      right(p, j) /= matrix(p, p);
    }
  }
  return right;
}

/// The same for one right-hand side of N entries.
template <Field T>
Array<T> solve_vector(const Array<T>& matrix, const Array<T>& right) {
  const Index N = right.extent(0);
  Array<T> column({N, 1});
  for (Index n = 0; n < N; ++n) column(n, 0) = right(n);
  column = solve(matrix, column);
  Array<T> solution({N});
  for (Index n = 0; n < N; ++n) solution(n) = column(n, 0);
  return solution;
}

/// e^A as (e^{A / 2^s})^{2^s}, with s such that every row of A / 2^s has absolute sum at most 1, and the
/// Taylor series of the inner exponential up to the first term that changes nothing. Term j can be the
/// first to reach an entry j off the diagonal, so at least N terms are summed.
/// \throws std::invalid_argument when an entry is not finite
template <Real T>
Array<T> matrix_exponential(Array<T> matrix) {
  const Index N = matrix.extent(0);
  T norm(0);
  for (Index i = 0; i < N; ++i) {
    T row(0);
    for (Index k = 0; k < N; ++k) row += maximum(matrix(i, k), T(-matrix(i, k)));
    require(finite(row), "hippo::matrix_exponential", "row " + std::to_string(i), "not finite", "finite");
    norm = maximum(norm, row);
  }
  Index squarings = 0;
  T scale(1);
  for (; T(1) < norm * scale; ++squarings) scale /= T(2);
  for (T& entry : matrix.values()) entry *= scale;

  Array<T> sum = identity<T>(N), term = sum;
  bool changed = true;
  for (Index j = 1; j <= N || changed; ++j) {
    term = multiply(term, matrix);
    changed = false;
    for (Index i = 0; i < N; ++i) {
      for (Index k = 0; k < N; ++k) {
        term(i, k) /= T(j);
        const T next = sum(i, k) + term(i, k);
        changed = changed || next < sum(i, k) || sum(i, k) < next;
        sum(i, k) = next;
      }
    }
  }
  for (; squarings > 0; --squarings) sum = multiply(sum, sum);
  return sum;
}
/// \}

/// \name Discretisations of c' = A c + B f
/// \{

/// Generalised bilinear transform with its own step on each side: (I - alpha implicit_step A) c_t = (I +
/// (1 - alpha) explicit_step A) c_{t-1} + explicit_step B f_t.
template <Field T>
System<T> gbt_two_steps(const System<T>& system, const T& explicit_step, const T& implicit_step,
                        const T& alpha) {
  require_system(system);
  const Index N = system.B.extent(0);
  const T forward = (T(1) - alpha) * explicit_step, backward = alpha * implicit_step;  // [alpha]
  Array<T> left = identity<T>(N), right({N, N + 1});  // the matrix and, in the last column, the input
  for (Index n = 0; n < N; ++n) {
    right(n, n) = T(1);
    for (Index k = 0; k < N; ++k) {
      left(n, k) -= backward * system.A(n, k);
      right(n, k) += forward * system.A(n, k);
    }
    right(n, N) = explicit_step * system.B(n);
  }
  const Array<T> solution = solve(left, right);
  System<T> discrete{Array<T>({N, N}), Array<T>({N})};
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < N; ++k) discrete.A(n, k) = solution(n, k);
    discrete.B(n) = solution(n, N);
  }
  return discrete;
}

/// Generalised bilinear transform. Domain: I - alpha step A is invertible, as it is for every measure and
/// step > 0.
/// \throws std::invalid_argument for a pivot of 0
template <Field T>
System<T> gbt(const System<T>& system, const T& step, const T& alpha) {
  return gbt_two_steps(system, step, step, alpha);  // [Delta]
}

/// GBT with alpha = 0.
template <Field T>
System<T> forward_euler(const System<T>& system, const T& step) {
  return gbt(system, step, T(0));
}

/// GBT with alpha = 1.
template <Field T>
System<T> backward_euler(const System<T>& system, const T& step) {
  return gbt(system, step, T(1));
}

/// GBT with alpha = 1/2.
template <Field T>
System<T> bilinear(const System<T>& system, const T& step) {
  return gbt(system, step, T(1) / T(2));
}

/// Zero-order hold: the exact solution for a sample held constant over the step. A = e^{step A}, and B is
/// the integral of e^{sA} B over the step, read off the exponential of [[A, B], [0, 0]]; so A need not be
/// invertible.
template <Real T>
System<T> zero_order_hold(const System<T>& system, const T& step) {
  require_system(system);
  const Index N = system.B.extent(0);
  Array<T> held({N + 1, N + 1});
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < N; ++k) held(n, k) = step * system.A(n, k);
    held(n, N) = step * system.B(n);
  }
  held = matrix_exponential(held);
  System<T> discrete{Array<T>({N, N}), Array<T>({N})};
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < N; ++k) discrete.A(n, k) = held(n, k);
    discrete.B(n) = held(n, N);
  }
  return discrete;
}
/// \}

/// \name Time-invariant memories: LegT, LagT, FouT
/// \{

/// One sample enters the memory: state <- A state + B f, for a discretised system.
template <Ring T>
void step(Array<T>& state, const System<T>& discrete, const T& f) {
  Array<T> next = apply(discrete.A, state);
  for (Index n = 0; n < next.extent(0); ++n) next(n) += discrete.B(n) * f;  // [f]
  state = std::move(next);
}

/// The states after each of the L samples, L x N.
/// \throws std::invalid_argument for shapes that do not fit
template <Ring T>
Array<T> recurrent(const System<T>& discrete, const Array<T>& f, Array<T> state) {
  require_system(discrete);
  require_rank("hippo::recurrent", "f", f, 1);
  require_shape("hippo::recurrent", "state", state, discrete.B.shape(), "one number for each row of B");
  Array<T> states({f.extent(0), state.extent(0)});
  for (Index t = 0; t < f.extent(0); ++t) {
    step(state, discrete, f(t));
    for (Index n = 0; n < state.extent(0); ++n) states(t, n) = state(n);
  }
  return states;
}

/// What a read-out C makes of one sample 1 followed by silence: C A^l B for l < length.
template <Ring T>
Array<T> kernel(const System<T>& discrete, const Array<T>& readout, Index length) {
  require_system(discrete);
  require_shape("hippo::kernel", "readout", readout, discrete.B.shape(), "one number for each row of B");
  Array<T> response({length}), state = discrete.B;
  for (Index l = 0; l < length; ++l) {
    for (Index n = 0; n < state.extent(0); ++n) response(l) += readout(n) * state(n);
    state = apply(discrete.A, state);
  }
  return response;
}

/// (s I - A)^{-1} B: the Laplace transform of e^{tA} B.
template <Field T>
Array<T> transfer(const System<T>& system, const T& s) {
  Array<T> resolvent = system.A;
  for (T& entry : resolvent.values()) entry = -entry;
  for (Index n = 0; n < system.B.extent(0); ++n) resolvent(n, n) += s;
  return solve_vector(resolvent, system.B);
}

/// (I - z A)^{-1} B of a discretised system: the sum of z^l A^l B over all l.
template <Field T>
Array<T> generating_function(const System<T>& discrete, const T& z) {
  Array<T> matrix = identity<T>(discrete.B.extent(0));
  for (Index n = 0; n < matrix.extent(0); ++n) {
    for (Index k = 0; k < matrix.extent(1); ++k) matrix(n, k) -= z * discrete.A(n, k);
  }
  return solve_vector(matrix, discrete.B);
}

/// e^{sA} B: what is left of a unit impulse at age s, from the matrix exponential.
template <Real T>
Array<T> impulse(const System<T>& system, const T& s) {
  Array<T> matrix = system.A;
  for (T& entry : matrix.values()) entry *= s;
  return apply(matrix_exponential(matrix), system.B);
}

/// The impulse of `lagt` in closed form: e^{-(1 + beta) s / 2} L_n(s).
template <Real T>
Array<T> lagt_impulse(Index N, const T& s, const T& beta = T(1)) {
  Array<T> impulse = laguerre(N, s);
  const T fading = exp(-(T(1) + beta) * s / T(2));
  for (T& entry : impulse.values()) entry *= fading;
  return impulse;
}

/// The impulse of `glagt` in closed form.
template <Real T>
Array<T> glagt_impulse(Index N, const T& s, const T& alpha, const T& beta) {
  Array<T> impulse = laguerre(N, s, alpha);
  const Array<T> squares = laguerre_squares(N, alpha);
  const T fading = exp(-(T(1) + beta) * s / T(2)) * glagt_factor(alpha, beta);
  for (Index n = 0; n < N; ++n) impulse(n) *= fading / sqrt(squares(n));
  return impulse;
}

/// A c for `lmu` in O(N): one alternating sum from the front, one plain sum from the back.
template <Field T>
Array<T> lmu_product(const Array<T>& c, const T& theta = T(1)) {
  require_rank("hippo::lmu_product", "c", c, 1);
  const Index N = c.extent(0);
  Array<T> product({N});
  T alternating(0), behind(0);
  for (Index n = 0; n < N; ++n) {
    alternating = c(n) - alternating;
    product(n) = alternating;
  }
  for (Index n = N - 1; n >= 0; --n) {
    product(n) = -(product(n) + behind) * T(2 * n + 1) / theta;
    behind += c(n);
  }
  return product;
}

/// (I - hA)^{-1} for A = -(lower triangle of ones + a I), in closed form: a lower triangle that is
/// constant along its diagonals. `lagt` has a = (beta - 1) / 2, `lagt_code` a = -1/2.
template <Field T>
Array<T> lagt_inverse(Index N, const T& h, const T& a) {
  require_size(N);
  const T delta = T(1) + a * h + h;  // [delta]
  const T ratio = (T(1) + a * h) / delta;
  Array<T> column({N}, T(1) / delta);
  for (Index j = 1; j < N; ++j) column(j) = j == 1 ? -h / (delta * delta) : column(j - 1) * ratio;
  Array<T> inverse({N, N});
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k <= n; ++k) inverse(n, k) = column(n - k);
  }
  return inverse;
}
/// \}

/// \name LegS, in the basis d
/// \{

/// The definition: the integrals d_n of a signal that is constant on each of L equal pieces of [0, t].
template <Field T>
Array<T> legs_integral(Index N, const Array<T>& f) {
  require_rank("hippo::legs_integral", "f", f, 1);
  const Index L = f.extent(0);
  Array<T> d({N}), start = legendre_integral(N, T(0));
  for (Index j = 0; j < L; ++j) {
    const Array<T> end = legendre_integral(N, T(T(j + 1) / T(L)));
    for (Index n = 0; n < N; ++n) d(n) += f(j) * (end(n) - start(n));  // [d_n]
    start = end;
  }
  return d;
}

/// The coefficients of f(x) = x^degree at time t = 1; at another time they are t^degree times these. Zero
/// from n = degree + 1 on: a polynomial of lower degree than N is kept whole.
template <Field T>
Array<T> legs_monomial(Index N, Index degree) {
  require_size(N);
  Array<T> d({N});
  T product(1);
  for (Index n = 0; n < N; ++n) {
    d(n) = product / T(degree + 1 + n);
    product = d(n) * T(degree - n);
  }
  return d;
}

/// The transition Phi(rho). Its row n holds the coefficients of P_n(2 rho x - 1) in the P_k(2x - 1), times
/// rho. They follow from the recurrence of P_n with 2 rho x - 1 = rho y + rho - 1, where y = 2x - 1 and y
/// P_k(y) = ((k+1) P_{k+1}(y) + k P_{k-1}(y)) / (2k+1).
template <Field T>
Array<T> legs_transition(Index N, const T& rho) {
  require_size(N);
  Array<T> phi({N, N});
  phi(0, 0) = rho;  // [rho]
  for (Index n = 0; n + 1 < N; ++n) {
    for (Index k = 0; k <= n + 1; ++k) {
      T times_y(0);
      if (k > 0) times_y += T(k) * phi(n, k - 1) / T(2 * k - 1);
      if (k + 1 <= n) times_y += T(k + 1) * phi(n, k + 1) / T(2 * k + 3);
      T next = T(2 * n + 1) * (rho * times_y + (rho - T(1)) * phi(n, k));
      if (n > 0) next -= T(n) * phi(n - 1, k);
      phi(n + 1, k) = next / T(n + 1);  // [Phi_{nk}]
    }
  }
  return phi;
}

/// The response beta(rho) to a sample 1 held from t_0 to t_1.
template <Field T>
Array<T> legs_input(Index N, const T& rho) {
  const Array<T> before = legendre_integral(N, rho);
  Array<T> beta = legendre_integral(N, T(1));
  for (Index n = 0; n < N; ++n) beta(n) -= before(n);  // [beta_n]
  return beta;
}

/// The exact step from time t0 to time t1 with f constant between: d <- Phi d + beta f. From t0 = 0 it
/// forgets d and gives f e_0. Domain: t1 is not 0.
template <Field T>
void legs_advance(Array<T>& d, const T& f, const T& t0, const T& t1) {
  const Index N = d.extent(0);
  step(d, System<T>{legs_transition<T>(N, t0 / t1), legs_input<T>(N, t0 / t1)}, f);
}

/// Update k by zero-order hold: exact from time k to time k + 1.
/// \throws std::invalid_argument
template <Field T>
void legs_step_zoh(Array<T>& d, const T& f, Index k) {
  require(k >= 1, "hippo::legs_step_zoh", "k", std::to_string(k), "1 or more");
  legs_advance(d, f, T(k), T(k + 1));
}

/// GBT in O(N), with its own step length on each side. The rows of M differ from the running sum of (2k+1)
/// d_k only on the diagonal, and that holds for the old d as for the new one.
template <Field T>
void legs_step_two_steps(Array<T>& d, const T& f, const T& explicit_step, const T& implicit_step,
                         const T& alpha) {
  const T forward = (T(1) - alpha) * explicit_step, backward = alpha * implicit_step;
  const T input = explicit_step * f;
  T before(0), after(0);
  for (Index n = 0; n < d.extent(0); ++n) {
    const T right = d(n) - forward * (before + T(n + 1) * d(n)) + input;
    before += T(2 * n + 1) * d(n);  // [S_n]
    d(n) = (right - backward * after) / (T(1) + backward * T(n + 1));
    after += T(2 * n + 1) * d(n);  // [T_n]
  }
}

/// Update k by GBT in O(N), as the official code has it: 1/k on both sides.
/// \throws std::invalid_argument
template <Field T>
void legs_step_gbt(Array<T>& d, const T& f, Index k, const T& alpha) {
  require(k >= 1, "hippo::legs_step_gbt", "k", std::to_string(k), "1 or more");
  const T h = T(1) / T(k);
  legs_step_two_steps(d, f, h, h, alpha);
}

/// Update k by GBT in O(N), as the paper derives it: A/t is taken at time k on the explicit side and at
/// time k + 1 on the implicit one.
/// \throws std::invalid_argument
template <Field T>
void legs_step_gbt_paper(Array<T>& d, const T& f, Index k, const T& alpha) {
  require(k >= 1, "hippo::legs_step_gbt_paper", "k", std::to_string(k), "1 or more");
  legs_step_two_steps<T>(d, f, T(1) / T(k), T(1) / T(k + 1), alpha);
}

/// Forward Euler in O(N) with step h, 1/k at update k: GBT with alpha = 0 without the division and the
/// second sum.
template <Ring T>
void legs_step_forward_euler(Array<T>& d, const T& f, const T& h) {
  const T input = h * f;
  T before(0);
  for (Index n = 0; n < d.extent(0); ++n) {
    const T old = d(n);
    d(n) = old - h * (before + T(n + 1) * old) + input;
    before += T(2 * n + 1) * old;
  }
}

/// Update k by GBT with the dense solve, for either basis: `system` is `legs` or `legs_rational`.
/// \throws std::invalid_argument
template <Field T>
void legs_step_dense(Array<T>& state, const System<T>& system, const T& f, Index k, const T& alpha) {
  require(k >= 1, "hippo::legs_step_dense", "k", std::to_string(k), "1 or more");
  step(state, gbt<T>(system, T(1) / T(k), alpha), f);
}

/// The step of the official code for samples that carry their times: bilinear with step (t1 - t0) / t1.
/// The first sample, at t1 = 0, starts the memory as f e_0.
template <OrderedField T>
void legs_step_timestamped(Array<T>& d, const T& f, const T& t0, const T& t1) {
  if (T(0) < t1) {
    const T h = (t1 - t0) / t1;
    legs_step_two_steps<T>(d, f, h, h, T(1) / T(2));
  } else {
    d = Array<T>(d.shape());
    d(0) = f;
  }
}

/// Start from nothing: c = 0, and update k = 1, 2, ... takes sample k. `update(state, sample, k)` is one
/// of the steps above. Returns the states after each of the L samples, L x N.
/// \throws std::invalid_argument
template <Ring T, class Update>
Array<T> zero_start(Index N, const Array<T>& f, const Update& update) {
  require_size(N);
  require_rank("hippo::zero_start", "f", f, 1);
  Array<T> states({f.extent(0), N}), state({N});
  for (Index t = 0; t < f.extent(0); ++t) {
    update(state, f(t), t + 1);
    for (Index n = 0; n < N; ++n) states(t, n) = state(n);
  }
  return states;
}

/// Start from the first sample: c = f_1 e_0, which is its exact projection, and update k = 1, 2, ... takes
/// sample k + 1. With `legs_step_zoh` every state is the exact projection. Returns L x N.
/// \throws std::invalid_argument
template <Ring T, class Update>
Array<T> cell_start(Index N, const Array<T>& f, const Update& update) {
  require_size(N);
  require_rank("hippo::cell_start", "f", f, 1);
  Array<T> states({f.extent(0), N}), state({N});
  state(0) = f(0);
  for (Index t = 0; t < f.extent(0); ++t) {
    if (t > 0) update(state, f(t), t);
    for (Index n = 0; n < N; ++n) states(t, n) = state(n);
  }
  return states;
}

/// How much d_n(t1) owes to the sample at t0: P_n(2 t0 / t1 - 1) / t1.
template <Field T>
Array<T> legs_gradient_rational(Index N, const T& t0, const T& t1) {
  Array<T> gradient = legendre<T>(N, T(2) * t0 / t1 - T(1));
  for (T& entry : gradient.values()) entry /= t1;
  return gradient;
}

/// The same for the orthonormal c_n(t1). Its length is between 1 / t1 and N / t1.
template <Real T>
Array<T> legs_gradient(Index N, const T& t0, const T& t1) {
  return orthonormal(legs_gradient_rational(N, t0, t1));
}
/// \}

/// \name Reconstruction of the past from the memory
/// \{

/// LegS in the basis d: the signal at the fraction x of the time heard so far, 0 the beginning, 1 the
/// present.
template <Field T>
T legs_reconstruct(const Array<T>& d, const T& x) {
  const Array<T> P = legendre<T>(d.extent(0), T(2) * x - T(1));
  T sum(0);
  for (Index n = 0; n < d.extent(0); ++n) sum += T(2 * n + 1) * d(n) * P(n);
  return sum;
}

/// LegS in the orthonormal basis.
template <Real T>
T legs_reconstruct_orthonormal(const Array<T>& c, const T& x) {
  const Array<T> P = legendre<T>(c.extent(0), T(2) * x - T(1));
  T sum(0);
  for (Index n = 0; n < c.extent(0); ++n) sum += sqrt(T(2 * n + 1)) * c(n) * P(n);
  return sum;
}

/// LegT: the signal at age s in [0, theta].
template <Real T>
T legt_reconstruct(const Array<T>& c, const T& s, const T& theta = T(1)) {
  const Array<T> P = legendre<T>(c.extent(0), T(1) - T(2) * s / theta);
  T sum(0);
  for (Index n = 0; n < c.extent(0); ++n) sum += sqrt(T(2 * n + 1)) * c(n) * P(n);
  return sum;
}

/// LegT in the basis of the Legendre memory unit: the signal at age s in [0, theta].
template <Field T>
T lmu_reconstruct(const Array<T>& c, const T& s, const T& theta = T(1)) {
  const Array<T> P = legendre<T>(c.extent(0), T(2) * s / theta - T(1));
  T sum(0);
  for (Index n = 0; n < c.extent(0); ++n) sum += c(n) * P(n);
  return sum;
}

/// LagT with beta = 1: the signal at age s >= 0.
template <Field T>
T lagt_reconstruct(const Array<T>& c, const T& s) {
  const Array<T> L = laguerre<T>(c.extent(0), s);
  T sum(0);
  for (Index n = 0; n < c.extent(0); ++n) sum += c(n) * L(n);
  return sum;
}

/// LagT with any beta: the coefficients are those of f e^{-beta s / 2} in the orthonormal functions e^{-s
/// / 2} L_n.
template <Real T>
T lagt_reconstruct_tilted(const Array<T>& c, const T& s, const T& beta) {
  return exp((beta - T(1)) * s / T(2)) * lagt_reconstruct(c, s);
}

/// FouT: the signal at age s in [0, theta].
template <Real T>
Complex<T> fout_reconstruct(const Array<Complex<T>>& c, const std::vector<Index>& frequencies, const T& s,
                            const T& theta) {
  Complex<T> sum(0);
  for (Index n = 0; n < c.extent(0); ++n) {
    const T turns = T(frequencies[static_cast<std::size_t>(n)]) * s / theta;
    sum += c(n) * exp(Complex<T>(T(0), T(-2) * pi<T>() * turns));
  }
  return sum;
}
/// \}

}  // namespace etalon::hippo
