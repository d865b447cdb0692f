/// \file
/// `fast` laws of core 4, the selective scan: real against Mamba's S6, complex against S4D.
#include <cmath>
#include <string>
#include <utility>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/law.hpp"
#include "proofs/fast/scan_budget.hpp"
#include "proofs/fast/storage.hpp"
#include "reference/state_space/mamba_s6.hpp"
#include "reference/state_space/s4d.hpp"

namespace etalon::fast_laws {
namespace {

// ---- real --------------------------------------------------------------------------------------

/// What belongs to one group of channels: columns of n x D, entries of D, rows of D x N.
Array<double> columns(const Array<double>& all, Index first, Index count) {
  Array<double> part({all.extent(0), count});
  for (Index t = 0; t < part.extent(0); ++t) {
    for (Index c = 0; c < count; ++c) part(t, c) = all(t, first + c);
  }
  return part;
}
Array<double> entries(const Array<double>& all, Index first, Index count) {
  Array<double> part({count});
  for (Index c = 0; c < count; ++c) part(c) = all(first + c);
  return part;
}
Array<double> rows(const Array<double>& all, Index first, Index count) {
  Array<double> part({count, all.extent(1)});
  for (Index c = 0; c < count; ++c) {
    for (Index p = 0; p < part.extent(1); ++p) part(c, p) = all(first + c, p);
  }
  return part;
}

/// n x 1 x N of group g, from n x G x N.
Array<double> group(const Array<double>& all, Index g) {
  Array<double> part({all.extent(0), 1, all.extent(2)});
  for (Index t = 0; t < part.extent(0); ++t) {
    for (Index p = 0; p < part.extent(2); ++p) part(t, 0, p) = all(t, g, p);
  }
  return part;
}

Array<double> as_matrix(const Array<double>& numbers, Index rows, Index columns) {
  return Array<double>({rows, columns}, {numbers.values().begin(), numbers.values().end()});
}

/// All tensors of a call with every option; a head of the core is a group of channels.
struct Selective {
  Index n, groups, width, N;
  Storage x, delta, a, b, c, o, skip, bias, z, initial_state, final_state;

  explicit Selective(const CoreTrial& trial)
      : n(trial.size("n")),
        groups(trial.size("groups")),
        width(trial.size("width")),
        N(trial.size("N")),
        x(1, n, groups, width),
        delta(x),
        a(1, groups, width, N),
        b(1, n, groups, N),
        c(b),
        o(x),
        skip(1, 1, groups, width),
        bias(skip),
        z(x),
        initial_state(a),
        final_state(a) {
    const Arrays<double>& in = trial.in;
    const Array<double> rate = mamba_s6::rates(in["log_rate"]);
    for (Index g = 0; g < groups; ++g) {
      const Index first = g * width;
      x.set_matrix(0, g, columns(in["signal"], first, width));
      delta.set_matrix(0, g, columns(in["raw_step"], first, width));
      z.set_matrix(0, g, columns(in["gate"], first, width));
      b.set_matrix(0, g, as_matrix(group(in["B"], g), n, N));
      c.set_matrix(0, g, as_matrix(group(in["C"], g), n, N));
      skip.set_matrix(0, g, as_matrix(entries(in["skip"], first, width), 1, width));
      bias.set_matrix(0, g, as_matrix(entries(in["step_bias"], first, width), 1, width));
      set_state_matrix(a, 0, g, rows(rate, first, width));
      set_state_matrix(initial_state, 0, g, rows(in["initial_state"], first, width));
    }
  }
  Selective(const Selective&) = delete;
  Selective& operator=(const Selective&) = delete;
};

void selective_scan_agrees(CoreTrial& trial) {
  Selective all(trial);
  fast::SelectiveScan call;
  call.x = all.x.view();
  call.delta = all.delta.view();
  call.a = all.a.view();
  call.b = all.b.view();
  call.c = all.c.view();
  call.o = all.o.view();
  call.delta_bias = all.bias.view();
  call.final_state = all.final_state.view();
  call.softplus = true;
  const std::pair<const char*, std::pair<fast::Tensor*, const Storage*>> options[] = {
      {"skip", {&call.skip, &all.skip}},
      {"gate", {&call.z, &all.z}},
      {"initial_state", {&call.initial_state, &all.initial_state}}};
  for (const auto& [name, places] : options) {
    if (trial.integer(std::string("with ") + name, 0, 3) > 0) {
      *places.first = places.second->view();
    } else {
      trial.in.real.erase(name);  // the text knows what is meant as well
    }
  }
  fast::cpu::selective_scan(call);

  const Arrays<double>& in = trial.in;
  const auto text = text_of(trial, "recurrent");
  const Array<double> rate = mamba_s6::rates(in["log_rate"]);
  for (Index g = 0; g < all.groups; ++g) {
    const Index first = g * all.width;
    mamba_s6::Input<double> one;
    one.signal = columns(in["signal"], first, all.width);
    one.rate = rows(rate, first, all.width);
    one.B = group(in["B"], g);
    one.C = group(in["C"], g);
    one.initial_state =
        call.initial_state ? rows(in["initial_state"], first, all.width) : Array<double>({all.width, all.N});
    one.skip = call.skip ? entries(in["skip"], first, all.width) : Array<double>({all.width});
    if (call.z) one.gate = columns(in["gate"], first, all.width);
    const RecurrentBudget budget = selective_budget(one, columns(in["raw_step"], first, all.width),
                                                    entries(in["step_bias"], first, all.width), true, 1);
    agree(trial, "output", all.o.matrix(0, g), columns(text["output"], first, all.width),
          budget.output_budget);
    agree(trial, "state", state_matrix(all.final_state, 0, g), rows(text["state"], first, all.width),
          budget.state_budget);
  }
}

const FastLaw real{"mamba_s6",
                   "fast: selective scan",
                   "The real scan agrees with Mamba's S6 with the Euler step: softplus of the steps, groups "
                   "of channels, with and without skip, gate and initial state",
                   {{"n", 4}, {"width", 10}, {"N", 6}},
                   selective_scan_agrees};

// ---- complex -----------------------------------------------------------------------------------

/// The next number of float32 towards 0, so that no factor of a state gets longer than it is.
float cut_to_float32(double number) {
  const auto nearest = static_cast<float>(number);
  const bool larger = std::abs(static_cast<double>(nearest)) > std::abs(number);
  return larger ? std::nextafter(nearest, 0.0F) : nearest;
}

/// The core keeps states with B = 1 and reads them with w = C Bbar; those of the text are Bbar times as
/// large. The text makes lambdabar and Bbar of the continuous system, by either discretisation, and the core
/// is given lambdabar and w cut to float32: an error of one unit in the last place, two roundings.
void complex_scan_agrees(CoreTrial& trial) {
  const bool hold = trial.integer("zero-order hold", 0, 1) == 1;
  const Index n = trial.size("n"), M = trial.size("M");
  Arrays<double>& in = trial.in;
  s4d::System<double> system{in.complex["minus_lambda"], in.complex["B"], in.complex["C"], in["D"]()};
  for (Complex<double>& lambda : system.lambda.values()) lambda = -lambda;
  const auto discrete = hold ? s4d::zoh(system, in["step"]()) : s4d::bilinear(system, in["step"]());
  s4d::System<double> read{discrete.lambda, Array<Complex<double>>({M}, Complex<double>(1)), discrete.C,
                           discrete.D};
  const Array<Complex<double>> started = in.complex["initial_state"];

  Storage x(1, n, 1, 1), o(x), lambda(1, 1, 1, 2 * M), w(lambda), skip(1, 1, 1, 1);
  Storage initial_state(1, 1, 1, 2 * M), final_state(initial_state);
  for (Index t = 0; t < n; ++t) x.at(0, t, 0, 0) = static_cast<float>(in["signal"](t));
  skip.at(0, 0, 0, 0) = static_cast<float>(system.D);
  for (Index p = 0; p < M; ++p) {
    read.C(p) *= discrete.B(p);
    in.complex["initial_state"](p) *= discrete.B(p);
    const auto set = [p](Storage& numbers, const Complex<double>& z) {
      numbers.at(0, 0, 0, 2 * p) = cut_to_float32(z.re);
      numbers.at(0, 0, 0, 2 * p + 1) = cut_to_float32(z.im);
    };
    set(lambda, discrete.lambda(p));
    set(w, read.C(p));
    set(initial_state, started(p));
  }
  fast::cpu::complex_scan(
      {x.view(), lambda.view(), w.view(), o.view(), skip.view(), initial_state.view(), final_state.view()});

  const RecurrentBudget budget = complex_budget(read, in["signal"], started, 2);
  const auto text = text_of(trial, hold ? "zoh_recurrent" : "recurrent");
  Array<double> output({n}), output_budget({n}), state({M, 2}), wanted({M, 2}), state_budget({M, 2});
  for (Index t = 0; t < n; ++t) {
    output(t) = static_cast<double>(o.at(0, t, 0, 0));
    output_budget(t) = budget.output_budget(t, 0);
  }
  for (Index p = 0; p < M; ++p) {
    const Complex<double> after(static_cast<double>(final_state.at(0, 0, 0, 2 * p)),
                                static_cast<double>(final_state.at(0, 0, 0, 2 * p + 1)));
    const Complex<double> driven = discrete.B(p) * after;
    state(p, 0) = driven.re;
    state(p, 1) = driven.im;
    wanted(p, 0) = text.complex.at("state")(p).re;
    wanted(p, 1) = text.complex.at("state")(p).im;
    // The budget bounds the distance of two complex numbers, which Bbar stretches by its absolute value.
    const double size = std::hypot(discrete.B(p).re, discrete.B(p).im);
    state_budget(p, 0) = state_budget(p, 1) = size * budget.state_budget(0, 2 * p);
  }
  agree(trial, "output", output, text["y"], output_budget);
  agree(trial, "state", state, wanted, state_budget);
}

const FastLaw complex{"s4d",
                      "fast: selective scan",
                      "The complex scan agrees with the recurrence of S4D, discretised by the bilinear "
                      "transform or by zero-order hold",
                      {{"n", 16}, {"M", 5}},
                      complex_scan_agrees};

}  // namespace
}  // namespace etalon::fast_laws
