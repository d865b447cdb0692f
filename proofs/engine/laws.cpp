#include "proofs/engine/laws.hpp"

#include <cmath>

#include "proofs/engine/cases.hpp"
#include "proofs/engine/convert.hpp"
#include "proofs/engine/law_tools.hpp"
#include "proofs/engine/profiles.hpp"

namespace etalon::laws {
namespace {

using law_tools::rows;
using law_tools::ScalarOf;

/// Runs `body` with a Trial in the arithmetic T, and in `Degree` beside `PrimeField`.
template <class T, class Body>
LawVariant decided_in(const Entry& entry, Body body) {
  LawVariant variant;
  variant.scalar = scalar_name<T>;
  variant.large = std::is_same_v<T, PrimeField>;
  variant.shapes = shapes_for<T>;
  variant.body = [&entry, body](Check& check, const Case& one) {
    Trial<T> trial(check, entry, one);
    body(trial);
  };
  if constexpr (std::is_same_v<T, PrimeField>) {
    if (!entry.forms.front().has<Degree>()) return variant;  // a mutant
    variant.degree_body = [&entry, body](Check& check, const Case& one) {
      Trial<Degree> trial(check, entry, one);
      body(trial);
    };
  }
  return variant;
}

template <class T>
bool readable(const Entry& entry, const std::vector<std::string>& forms) {
  for (const std::string& form : forms) {
    if (!entry.form(form).has<T>()) return false;
  }
  return true;
}

/// The arithmetics that decide a law about the given forms.
template <class Body>
std::vector<LawVariant> deciding_variants(const Entry& entry, const std::vector<std::string>& forms,
                                          Body body) {
  std::vector<LawVariant> variants;
  if (readable<PrimeField>(entry, forms)) variants.push_back(decided_in<PrimeField>(entry, body));
  if (readable<Rational>(entry, forms)) variants.push_back(decided_in<Rational>(entry, body));
  if (variants.empty() && readable<RationalExp2>(entry, forms)) {
    variants.push_back(decided_in<RationalExp2>(entry, body));
  }
  if (variants.empty()) variants.push_back(decided_in<Bounded<Real50>>(entry, body));
  return variants;
}

bool counts_tokens(const std::vector<Expression>& shape, const std::string& along) {
  return !shape.empty() && shape.front().text() == along;
}

template <class T>
Arrays<T> tokens(const Entry& entry, const Arrays<T>& in, const std::string& along, Index first,
                 Index count) {
  Arrays<T> part = in;
  for (const Input& input : entry.inputs) {
    if (!counts_tokens(input.shape, along)) continue;
    if (input.draw_index) {
      part.index[input.name] = rows(in.index.at(input.name), first, first + count);
    } else if (input.is_complex) {
      part.complex[input.name] = rows(in.complex.at(input.name), first, first + count);
    } else {
      part.real[input.name] = rows(in.real.at(input.name), first, first + count);
    }
  }
  return part;
}

/// Compares the outputs of a run on some tokens with the same tokens of the whole run.
template <class T>
void equal_rows(const Trial<T>& trial, const Arrays<T>& part, const Arrays<T>& whole,
                const std::string& along, Index first, Index count, const std::string& what) {
  for (const Output& output : trial.entry().outputs) {
    if (!counts_tokens(output.shape, along)) continue;
    if (whole.real.contains(output.name)) {
      trial.equal(part.real.at(output.name), rows(whole.real.at(output.name), first, first + count),
                  what + ", " + output.name);
    }
    if (whole.complex.contains(output.name)) {
      trial.equal(part.complex.at(output.name), rows(whole.complex.at(output.name), first, first + count),
                  what + ", " + output.name);
    }
  }
}

void add(Entry& entry, Kind kind, std::string name, std::string statement, std::vector<LawVariant> variants) {
  entry.laws.push_back({kind, std::move(name), std::move(statement), {}, std::move(variants)});
}

// ---- gradients ---------------------------------------------------------------------------------

template <class T>
Arrays<Dual<T>> with_tangents(const Arrays<T>& in, const Case& one, const std::string& only = "") {
  Case tangent_case = one;
  tangent_case.pattern = Pattern::generic;
  const auto tangent = [&](const std::string& name, Index i) {
    return draw<T>({one.seed, "tangent of " + name, i}, Domain::any, Pattern::generic);
  };
  Arrays<Dual<T>> dual;
  for (const auto& [name, array] : in.real) {
    Array<Dual<T>> values(array.shape());
    const bool moves = only.empty() || only == name;
    for (Index i = 0; i < array.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      values.values()[at] = Dual<T>(array.values()[at], moves ? tangent(name, i) : T(0));
    }
    dual.real[name] = values;
  }
  for (const auto& [name, array] : in.complex) {
    Array<Complex<Dual<T>>> values(array.shape());
    const bool moves = only.empty() || only == name;
    for (Index i = 0; i < array.size(); ++i) {
      const Complex<T>& z = array.values()[static_cast<std::size_t>(i)];
      values.values()[static_cast<std::size_t>(i)] =
          Complex<Dual<T>>(Dual<T>(z.re, moves ? tangent(name + ".re", i) : T(0)),
                           Dual<T>(z.im, moves ? tangent(name + ".im", i) : T(0)));
    }
    dual.complex[name] = values;
  }
  dual.index = in.index;
  return dual;
}

template <class T>
void adjoint_identity(Check& check, const Entry& entry, const Case& one, const std::string& forward,
                      const std::string& backward) {
  const Settings settings = entry.with_defaults(one.settings);
  const Arrays<T> in = draw_inputs<T>(entry, one, true);
  const Arrays<Dual<T>> dual = with_tangents(in, one);
  const Arrays<Dual<T>> out = entry.form(forward).run<Dual<T>>(dual, settings);
  const Arrays<T> gradient = entry.form(backward).run<T>(in, settings);
  T outputs_side(0), inputs_side(0);
  for (const auto& [name, array] : out.real) {
    const Array<T>& cotangent = in["d_" + name];
    for (std::size_t i = 0; i < array.values().size(); ++i) {
      outputs_side += cotangent.values()[i] * array.values()[i].tangent;
    }
  }
  for (const auto& [name, array] : gradient.real) {
    const Array<Dual<T>>& input = dual[name.substr(2)];  // "d_query" belongs to "query"
    if (input.shape() != array.shape()) {
      throw LawBroken(name + ": shape " + to_string(array.shape()) + " is not " + to_string(input.shape()));
    }
    for (std::size_t i = 0; i < array.values().size(); ++i) {
      inputs_side += array.values()[i] * input.values()[i].tangent;
    }
  }
  for (const Input& input : entry.inputs) {
    check.expect(input.draw_index || input.is_complex || gradient.real.contains("d_" + input.name),
                 backward + " gives no gradient for " + input.name);
  }
  check.equal(outputs_side, inputs_side, "<g, J dx> and <J^T g, dx>");
}

template <class T>
bool has_gradient(const Entry& entry, const std::string& forward, const std::string& backward) {
  return entry.form(forward).has<Dual<T>>() && entry.form(backward).has<T>();
}

template <class T>
LawVariant gradient_variant(const Entry& entry, const std::string& forward, const std::string& backward) {
  LawVariant variant;
  variant.scalar = scalar_name<Dual<T>>;
  variant.large = std::is_same_v<T, PrimeField>;
  variant.shapes = std::is_same_v<T, PrimeField> ? 60 : 25;
  variant.body = [&entry, forward, backward](Check& check, const Case& one) {
    adjoint_identity<T>(check, entry, one, forward, backward);
  };
  if constexpr (std::is_same_v<T, PrimeField>) {
    if (!entry.forms.front().has<Degree>()) return variant;
    variant.degree_body = [&entry, forward, backward](Check& check, const Case& one) {
      adjoint_identity<Degree>(check, entry, one, forward, backward);
    };
  }
  return variant;
}

// ---- influence of every input ------------------------------------------------------------------

template <class T>
bool moves(const Dual<T>& x) {
  if constexpr (requires { x.tangent.error_bound(); }) {
    using std::abs;
    return abs(x.tangent.value()) > Real50(x.tangent.error_bound());
  } else {
    return !(x.tangent == T(0));
  }
}

template <class T>
bool any_output_moves(const Arrays<Dual<T>>& out) {
  for (const auto& [name, array] : out.real) {
    for (const Dual<T>& x : array.values()) {
      if (moves(x)) return true;
    }
  }
  for (const auto& [name, array] : out.complex) {
    for (const Complex<Dual<T>>& z : array.values()) {
      if (moves(z.re) || moves(z.im)) return true;
    }
  }
  return false;
}

template <class T>
LawVariant influence_variant(const Entry& entry, const std::string& form) {
  constexpr int kTries = 40;  // an input may be idle for some sizes, such as decay for one token and no state
  LawVariant variant;
  variant.scalar = scalar_name<Dual<T>>;
  variant.draws = false;
  variant.body = [&entry, form](Check& check, const Case&) {
    for (const Input& input : entry.inputs) {
      if (input.draw_index) continue;
      bool found = false;
      for (int i = 0; i < kTries && !found; ++i) {
        Case one = random_case(entry, false, static_cast<std::uint64_t>(i) + 77);
        one.pattern = Pattern::generic;
        const Arrays<T> in = draw_inputs<T>(entry, one);
        const Settings settings = entry.with_defaults(one.settings);
        found = any_output_moves(entry.form(form).run<Dual<T>>(with_tangents(in, one, input.name), settings));
      }
      check.expect(found, "no output of " + form + " has a derivative with respect to " + input.name);
    }
  };
  return variant;
}

void add_influence(Entry& entry) {
  for (const Form& form : entry.forms) {
    if (form.backward || entry.inputs.empty()) continue;
    std::vector<LawVariant> variants;
    if (form.has<Dual<PrimeField>>()) {
      variants.push_back(influence_variant<PrimeField>(entry, form.name));
    } else if (form.has<Dual<RationalExp2>>()) {
      variants.push_back(influence_variant<RationalExp2>(entry, form.name));
    } else if (form.has<Dual<Bounded<Real50>>>()) {
      variants.push_back(influence_variant<Bounded<Real50>>(entry, form.name));
    }
    if (variants.empty()) continue;
    add(entry, Kind::sensitive, "sensitive: " + form.name,
        "Every input of " + form.name + " has a non-zero derivative somewhere", std::move(variants));
  }
}

// ---- costs -------------------------------------------------------------------------------------

template <class T>
Arrays<T> without(Arrays<T> in, const std::vector<std::string>& names) {
  for (const std::string& name : names) in.real.erase(name);
  return in;
}

Settings stated_settings(const Entry& entry, const Cost& cost, const Case& one) {
  Settings settings = entry.with_defaults(one.settings);
  if (cost.fixed) cost.fixed(settings);
  return settings;
}

void expect_count(Check& check, const std::string& what, long long counted,
                  const std::optional<Expression>& formula, const Settings& settings) {
  if (!formula) return;
  const Index stated = (*formula)(settings);
  check.expect(counted == stated, what + ": counted " + std::to_string(counted) + ", stated " +
                                      formula->text() + " = " + std::to_string(stated));
}

void add_costs(Entry& entry) {
  for (const Cost& cost : entry.costs) {
    const Form& form = entry.form(cost.form);
    const std::string name = cost.form + (cost.under.empty() ? "" : ", " + cost.under);
    if (form.has<Counted<double>>()) {
      LawVariant variant;
      variant.scalar = scalar_name<Counted<double>>;
      variant.shapes = 25;
      variant.body = [&entry, cost](Check& check, const Case& one) {
        const Settings settings = stated_settings(entry, cost, one);
        const auto in = without(draw_inputs<Counted<double>>(entry, one), cost.without);
        CountOperations scope;
        entry.form(cost.form).run<Counted<double>>(in, settings);
        const OperationCounts counts = scope.counts();
        expect_count(check, "multiplications", counts.multiplications, cost.multiplications, settings);
        expect_count(check, "additions", counts.additions, cost.additions, settings);
        expect_count(check, "divisions", counts.divisions, cost.divisions, settings);
        expect_count(check, "exponentials", counts.exponentials, cost.exponentials, settings);
        expect_count(check, "other functions", counts.functions, cost.functions, settings);
        expect_count(check, "comparisons", counts.comparisons, cost.comparisons, settings);
      };
      std::string statement = "Operations of " + name + ":";
      const auto state = [&](const char* what, const std::optional<Expression>& formula) {
        if (formula) statement += std::string(" ") + what + " " + formula->text() + ";";
      };
      state("multiplications", cost.multiplications);
      state("additions", cost.additions);
      state("divisions", cost.divisions);
      state("exponentials", cost.exponentials);
      state("other functions", cost.functions);
      state("comparisons", cost.comparisons);
      add(entry, Kind::cost, "cost: " + name, statement, {variant});
    }
    if ((cost.depth || cost.free_depth) && form.has<Traced>()) {
      LawVariant variant;
      variant.scalar = scalar_name<Traced>;
      variant.shapes = 25;
      variant.body = [&entry, cost](Check& check, const Case& one) {
        const Settings settings = stated_settings(entry, cost, one);
        const auto in = without(draw_inputs<Traced>(entry, one), cost.without);
        Index depth = 0, free_depth = 0;
        const auto deepen = [&](const Traced& x) {
          depth = std::max(depth, x.depth());
          free_depth = std::max(free_depth, x.free_depth());
        };
        const auto out = entry.form(cost.form).run<Traced>(in, settings);
        for (const auto& [output, array] : out.real) {
          for (const Traced& x : array.values()) deepen(x);
        }
        for (const auto& [output, array] : out.complex) {
          for (const auto& z : array.values()) {
            deepen(z.re);
            deepen(z.im);
          }
        }
        expect_count(check, "depth as written", depth, cost.depth, settings);
        expect_count(check, "depth with free bracketing", free_depth, cost.free_depth, settings);
      };
      std::string statement = "Dataflow depth of " + name + ":";
      if (cost.depth) statement += " as written " + cost.depth->text() + ";";
      if (cost.free_depth) statement += " with sums bracketed freely " + cost.free_depth->text() + ";";
      add(entry, Kind::depth, "depth: " + name, statement, {variant});
    }
  }
}

// ---- rounding ----------------------------------------------------------------------------------

/// |error| in units of the last place of the true value, in a format of the given unit roundoff.
double ulp_error(const Real50& error, const Real50& truth, double unit) {
  using std::abs;
  if (truth == 0) return 0;
  const double exponent = std::floor(static_cast<double>(Real50(log(abs(truth)) / log(Real50(2)))));
  return static_cast<double>(Real50(abs(error))) / (std::exp2(exponent) * 2 * unit);
}

template <class T>
void within_budget(Check& check, const T& value, const Bounded<Real50>& bounded, double unit,
                   const std::string& what) {
  const Real50 computed(static_cast<double>(value));
  check.within(computed, bounded.value(), bounded.error_bound(), what);
  if (finite(computed) && std::isfinite(bounded.error_bound())) {
    check.measure("ulp", ulp_error(computed - bounded.value(), bounded.value(), unit));
  }
}

template <class T>
void rounding_body(Check& check, const Entry& entry, const Case& one, const std::string& form_name) {
  const Form& form = entry.form(form_name);
  const Settings settings = entry.with_defaults(one.settings);
  const Arrays<T> in = draw_inputs<T>(entry, one, form.backward);
  const Arrays<T> out = form.run<T>(in, settings);
  const RoundingProfile profile = profile_of<T>();
  const UseRounding scope(profile);
  const auto bounded = form.run<Bounded<Real50>>(converted_arrays<Bounded<Real50>>(in), settings);
  for (const auto& [name, array] : out.real) {
    for (std::size_t i = 0; i < array.values().size(); ++i) {
      within_budget(check, array.values()[i], bounded.real.at(name).values()[i], profile.unit,
                    name + ", element " + std::to_string(i));
    }
  }
  for (const auto& [name, array] : out.complex) {
    for (std::size_t i = 0; i < array.values().size(); ++i) {
      const auto& bound = bounded.complex.at(name).values()[i];
      const std::string what = name + ", element " + std::to_string(i);
      within_budget(check, array.values()[i].re, bound.re, profile.unit, what + ", real part");
      within_budget(check, array.values()[i].im, bound.im, profile.unit, what + ", imaginary part");
    }
  }
}

template <class T>
void add_rounding_variant(const Entry& entry, const Form& form, std::vector<LawVariant>& variants) {
  if (!form.has<T>() || entry.without_budget.contains({form.name, std::string(scalar_name<T>)})) return;
  LawVariant variant;
  variant.scalar = scalar_name<T>;
  variant.shapes = 12;
  variant.body = [&entry, name = form.name](Check& check, const Case& one) {
    rounding_body<T>(check, entry, one, name);
  };
  variants.push_back(std::move(variant));
}

/// Real50 against Real100, within the budget that Real50's own roundings have.
LawVariant oracle_variant(const Entry& entry, const Form& form) {
  LawVariant variant;
  variant.scalar = scalar_name<Real50>;
  variant.shapes = 12;
  variant.body = [&entry, name = form.name](Check& check, const Case& one) {
    const Form& read = entry.form(name);
    const Settings settings = entry.with_defaults(one.settings);
    const Arrays<double> in = draw_inputs<double>(entry, one, read.backward);
    const auto narrow = read.run<Real50>(converted_arrays<Real50>(in), settings);
    const auto wide = read.run<Real100>(converted_arrays<Real100>(in), settings);
    const UseRounding scope(profile_of<Real50>());
    const auto bounded = read.run<Bounded<Real50>>(converted_arrays<Bounded<Real50>>(in), settings);
    const auto compare = [&](const Real50& low, const Real100& high, const Bounded<Real50>& bound,
                             const std::string& what) {
      check.within(Real100(low), high, bound.error_bound(), what);
    };
    for (const auto& [output, array] : narrow.real) {
      for (std::size_t i = 0; i < array.values().size(); ++i) {
        compare(array.values()[i], wide.real.at(output).values()[i], bounded.real.at(output).values()[i],
                output);
      }
    }
    for (const auto& [output, array] : narrow.complex) {
      for (std::size_t i = 0; i < array.values().size(); ++i) {
        const auto& low = array.values()[i];
        const auto& bound = bounded.complex.at(output).values()[i];
        const auto& high = wide.complex.at(output).values()[i];
        compare(low.re, high.re, bound.re, output);
        compare(low.im, high.im, bound.im, output);
      }
    }
  };
  return variant;
}

void add_rounding(Entry& entry) {
  for (const Form& form : entry.forms) {
    if (!form.has<Bounded<Real50>>()) continue;
    std::vector<LawVariant> variants;
    if (form.has<Real50>() && form.has<Real100>()) variants.push_back(oracle_variant(entry, form));
    add_rounding_variant<double>(entry, form, variants);
    add_rounding_variant<float>(entry, form, variants);
    add_rounding_variant<Mixed<Float16, float>>(entry, form, variants);
    add_rounding_variant<Mixed<BFloat16, float>>(entry, form, variants);
    add_rounding_variant<Mixed<E4M3, float>>(entry, form, variants);
    add_rounding_variant<Float16>(entry, form, variants);
    add_rounding_variant<BFloat16>(entry, form, variants);
    add_rounding_variant<E4M3>(entry, form, variants);
    add_rounding_variant<E5M2>(entry, form, variants);
    add_rounding_variant<LMul>(entry, form, variants);
    add(entry, Kind::bound, "rounding: " + form.name,
        "The rounding error of " + form.name + " stays within the budget derived for its evaluation",
        std::move(variants));
  }
}

}  // namespace

AddLaw same(std::string form, std::string other) {
  return [form, other](Entry& entry) {
    const bool backward = entry.form(form).backward;
    const auto body = [form, other, backward](auto& trial) {
      using T = ScalarOf<decltype(trial)>;
      if (backward) trial.in = draw_inputs<T>(trial.entry(), trial.drawn(), true);
      trial.equal(trial.run(form), trial.run(other));
    };
    add(entry, Kind::same, "same: " + form + " = " + other,
        form + " and " + other + " are equal for all shapes", deciding_variants(entry, {form, other}, body));
  };
}

AddLaw split(std::string form, std::string along, std::map<std::string, std::string> carry) {
  return [form, along, carry](Entry& entry) {
    const auto body = [form, along, carry](auto& trial) {
      const Entry& self = trial.entry();
      const Index n = trial.size(along);
      const Index cut = trial.integer("split", 0, n);
      const auto whole = trial.run(form);
      Settings settings = trial.drawn().settings;
      auto rest = tokens(self, trial.in, along, cut, n - cut);
      if (cut > 0) {
        settings[along] = cut;
        const auto head = trial.run(form, tokens(self, trial.in, along, 0, cut), settings);
        equal_rows(trial, head, whole, along, 0, cut, "first part");
        for (const auto& [output, input] : carry) {
          if (head.real.contains(output)) rest.real[input] = head.real.at(output);
          if (head.complex.contains(output)) rest.complex[input] = head.complex.at(output);
          if (cut < n) continue;
          const std::string what = "state after all tokens";
          if (head.real.contains(output)) trial.equal(head.real.at(output), whole.real.at(output), what);
          if (head.complex.contains(output)) {
            trial.equal(head.complex.at(output), whole.complex.at(output), what);
          }
        }
      }
      if (cut == n) return;
      settings[along] = n - cut;
      const auto tail = trial.run(form, rest, settings);
      equal_rows(trial, tail, whole, along, cut, n - cut, "second part");
      for (const auto& [output, input] : carry) {
        if (tail.real.contains(output)) trial.equal(tail.real.at(output), whole.real.at(output), output);
        if (tail.complex.contains(output))
          trial.equal(tail.complex.at(output), whole.complex.at(output), output);
      }
    };
    add(entry, Kind::same, "split: " + form,
        form + " run in two parts, the second from the state that the first left, equals one run",
        deciding_variants(entry, {form}, body));
  };
}

AddLaw causal(std::string form, std::string along) {
  return [form, along](Entry& entry) {
    const auto body = [form, along](auto& trial) {
      const Index n = trial.size(along);
      const Index count = trial.integer("prefix", 1, n);
      Settings settings = trial.drawn().settings;
      settings[along] = count;
      const auto part = trial.run(form, tokens(trial.entry(), trial.in, along, 0, count), settings);
      equal_rows(trial, part, trial.run(form), along, 0, count, "prefix");
    };
    add(entry, Kind::invariant, "causal: " + form,
        form + " on the first tokens gives the first outputs: no output depends on a later token",
        deciding_variants(entry, {form}, body));
  };
}

AddLaw gradient(std::string forward, std::string backward) {
  return [forward, backward](Entry& entry) {
    std::vector<LawVariant> variants;
    if (has_gradient<PrimeField>(entry, forward, backward)) {
      variants.push_back(gradient_variant<PrimeField>(entry, forward, backward));
    } else if (has_gradient<RationalExp2>(entry, forward, backward)) {
      variants.push_back(gradient_variant<RationalExp2>(entry, forward, backward));
    } else if (has_gradient<Bounded<Real50>>(entry, forward, backward)) {
      variants.push_back(gradient_variant<Bounded<Real50>>(entry, forward, backward));
    } else if (entry.name == mutated_entry()) {
      return;  // compiled without gradients
    } else {
      throw std::invalid_argument(entry.name + ": gradient law of " + forward + " and " + backward +
                                  ": no arithmetic reads both");
    }
    add(entry, Kind::gradient, "gradient: " + backward + " of " + forward,
        backward + " is the adjoint of the derivative of " + forward, std::move(variants));
  };
}

void add_standard(Entry& entry) {
  add_influence(entry);
  add_costs(entry);
  add_rounding(entry);
}

}  // namespace etalon::laws
