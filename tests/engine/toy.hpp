/// \file
/// A toy algorithm for the tests of the engine, the leaky sum x_t = a x_{t-1} + b_t, in right and in faulty
/// forms. Every fault is one that somebody could make; its name says which.
#pragma once

#include <type_traits>

#include "proofs/engine/entry.hpp"

namespace etalon::toy {

/// What the forms give: every x_t, and the last one, which is the state.
template <class T>
Arrays<T> outputs_of(const Array<T>& x) {
  Arrays<T> out;
  out.real["x"] = x;
  out.real["last"] = Array<T>(Shape{}, x.values().back());
  return out;
}

/// The definition. n multiplications, n additions, depth 2 n.
template <Ring T>
Arrays<T> recurrent(const Arrays<T>& in, const Settings&) {
  Array<T> x(in["addend"].shape());
  T state = in["start"]();
  for (Index t = 0; t < x.extent(0); ++t) {
    state = in["factor"]() * state + in["addend"](t);
    x(t) = state;
  }
  return outputs_of(x);
}

/// x_t = a^(t+1) x_{-1} + sum over s <= t of a^(t-s) b_s, of which only the last `memory` terms are taken.
template <Ring T>
Arrays<T> summed(const Arrays<T>& in, Index memory) {
  Array<T> x(in["addend"].shape());
  for (Index t = 0; t < x.extent(0); ++t) {
    T power(1);
    for (Index s = t; s >= 0; --s) {
      if (t - s < memory) x(t) += power * in["addend"](s);
      power *= in["factor"]();
    }
    x(t) += power * in["start"]();
  }
  return outputs_of(x);
}

/// All terms: n^2 multiplications, n (n + 1) / 2 additions, depth n + 1.
template <Ring T>
Arrays<T> closed(const Arrays<T>& in, const Settings&) {
  return summed(in, in["addend"].extent(0));
}

/// Fault: forgets what is older than three tokens.
template <Ring T>
Arrays<T> forgetful(const Arrays<T>& in, const Settings&) {
  return summed(in, 3);
}

/// Fault: adds the last addend to every token.
template <Ring T>
Arrays<T> peeking(const Arrays<T>& in, const Settings& settings) {
  Array<T> x = recurrent(in, settings)["x"];
  for (T& value : x.values()) value += in["addend"].values().back();
  return outputs_of(x);
}

/// Fault: does not look at the state that it starts from.
template <Ring T>
Arrays<T> deaf(Arrays<T> in, const Settings& settings) {
  in.real["start"] = Array<T>(Shape{}, T(0));
  return recurrent(in, settings);
}

/// Fault: a precision that nobody asked for, in the machine's numbers and in the oracle alike.
template <Ring T>
Arrays<T> sloppy(const Arrays<T>& in, const Settings& settings) {
  Array<T> x = recurrent(in, settings)["x"];
  if constexpr (std::is_same_v<T, double> || std::is_same_v<T, Real50>) {
    for (T& value : x.values()) value = T(static_cast<float>(value));
  }
  return outputs_of(x);
}

/// The adjoint of the definition, by the recurrence in reverse. The faults: the gradient of the factor takes
/// x_t in the place of x_{t-1}, and the gradient of the start is left out.
template <Ring T>
Arrays<T> backward(const Arrays<T>& in, const Settings& settings, Index earlier = 1, bool with_start = true) {
  const Array<T> x = recurrent(in, settings)["x"];
  Array<T> d_addend(x.shape());
  T d_state = in["d_last"](), d_factor(0);
  for (Index t = x.extent(0) - 1; t >= 0; --t) {
    d_state += in["d_x"](t);
    d_addend(t) = d_state;
    d_factor += d_state * (t >= earlier ? x(t - earlier) : in["start"]());
    d_state *= in["factor"]();
  }
  Arrays<T> gradient;
  gradient.real["d_addend"] = d_addend;
  gradient.real["d_factor"] = Array<T>(Shape{}, d_factor);
  if (with_start) gradient.real["d_start"] = Array<T>(Shape{}, d_state);
  return gradient;
}

/// The arithmetics that the toy is read in: one that decides each kind of law.
using Scalars = TypeList<double, float, Counted<double>, Traced, PrimeField, Degree, Rational,
                         Dual<PrimeField>, Dual<Degree>, Real50, Real100, Bounded<Real50>>;
using EntryBuilder = Builder<Scalars, Laws::all>;

/// Sizes, inputs and outputs of the leaky sum.
inline void describe(EntryBuilder& entry) {
  const Expression n = symbol("n");
  entry.about("toys", "Leaky sum", "A sum that forgets at a fixed rate.", {})
      .size("n", 60, 6)
      .input("factor", {}, Domain::any, "how much is kept from token to token")
      .input("addend", {n}, Domain::any, "what each token adds")
      .input("start", {}, Domain::any, "the sum before the first token")
      .output("x", {n}, "the sum after each token")
      .output("last", {}, "the sum after the last token");
}

}  // namespace etalon::toy
