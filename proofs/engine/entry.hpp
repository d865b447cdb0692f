/// \file
/// An entry is what the project knows of one algorithm: its inputs, forms, laws, costs.
/// `proofs/<family>/<name>.cpp` registers one; tests, reports and the command line follow from the
/// registration.
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "proofs/engine/arrays.hpp"
#include "proofs/engine/check.hpp"
#include "proofs/engine/expression.hpp"
#include "proofs/engine/mutant.hpp"
#include "proofs/engine/scalars.hpp"
#include "proofs/engine/values.hpp"

namespace etalon {

/// The kinds of laws; `docs/soundness.md` says how each is decided.
enum class Kind {
  same,         ///< two forms are equal
  limit,        ///< under a choice of parameters the algorithm is another entry: an edge of the atlas
  converges,    ///< a limit of analysis, with its order
  invariant,    ///< causality, equivariance, normalisation, conservation, ...
  bound,        ///< an error stays within a published or derived bound
  statistical,  ///< an expectation or a probability
  cost,         ///< the operation counts equal a polynomial
  depth,        ///< the dataflow depths equal a formula
  sensitive,    ///< every input has an influence
  gradient,     ///< a closed-form backward pass is the adjoint
  fast,         ///< the fast path agrees
  erratum,      ///< paper and released code differ, reproduced
  example,      ///< the worked example
};
std::string_view to_string(Kind kind);

/// One drawn case: sizes and parameters, how values are drawn, and the seed of the values.
struct Case {
  Settings settings;
  Pattern pattern = Pattern::generic;
  std::uint64_t seed = 1;
};

/// "n=7 d_k=2 values=ties seed=123": everything that a case is made of.
std::string to_string(const Case& one);
/// \throws std::invalid_argument naming the word that is not understood
Case parse_case(const std::string& text);

/// A real or complex input, or an integer one with its own way to be drawn.
struct Input {
  std::string name;
  std::vector<Expression> shape;
  Domain domain = Domain::any;
  std::string meaning;
  bool is_complex = false;
  std::function<Array<Index>(const Case&)> draw_index;  // set for integer inputs
};

struct Output {
  std::string name;
  std::vector<Expression> shape;
  std::string meaning;
};

/// A size that is drawn from 1 up: to `large` where arithmetic is cheap (`PrimeField`), else to `small`.
struct Size {
  std::string name;
  Index large = 1;
  Index small = 1;
};

/// An integer option. `choices`, when not empty, name the values low, low + 1, ...
struct Parameter {
  std::string name;
  Index standard = 1;
  Expression low = 1;
  Expression high = 1;
  std::string meaning;
  std::vector<std::string> choices;
};

template <class T>
using Evaluate = std::function<Arrays<T>(const Arrays<T>&, const Settings&)>;

/// Thrown when a form is wanted in an arithmetic that it cannot be read in.
class NotReadable : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// One way to compute the algorithm, in every arithmetic that has what it needs.
struct Form {
  std::string name;
  std::string meaning;
  bool backward = false;  // takes d_<output> beside the inputs, gives d_<input>
  std::map<std::type_index, std::any> evaluators;
  std::vector<std::string_view> scalars;

  void add(const std::type_info& scalar, std::string_view scalar_name, std::any evaluate);
  template <class T>
  bool has() const {
    return evaluators.contains(std::type_index(typeid(T)));
  }
  /// \throws NotReadable when the form cannot be read in T
  template <class T>
  Arrays<T> run(const Arrays<T>& in, const Settings& settings) const {
    const auto found = evaluators.find(std::type_index(typeid(T)));
    if (found == evaluators.end()) {
      throw NotReadable("form " + name + " cannot be read in " + std::string(scalar_name<T>));
    }
    return std::any_cast<const Evaluate<T>&>(found->second)(in, settings);
  }
};

/// How a law is decided in one arithmetic.
struct LawVariant {
  std::string scalar;
  bool draws = true;   // false: one fixed check, no cases
  bool large = false;  // sizes up to their large limit
  int shapes = 1;
  std::function<void(Check&, const Case&)> body;
  std::function<void(Check&, const Case&)> degree_body;  // PrimeField only: the same in `Degree`
};

struct Law {
  Kind kind = Kind::same;
  std::string name;
  std::string statement;
  std::string limit_entry;  // for `limit`: the entry at the other end of the edge
  std::vector<LawVariant> variants;
};

/// The stated cost of a form: the counts that `cost` laws check and `etalon scale` plots.
struct Cost {
  explicit Cost(std::string of_form) : form(std::move(of_form)) {}
  std::string form;
  std::string under;  // in a word, the settings that `fixed` fixes, when a form has several costs
  std::vector<std::string> without;  // inputs left out, so that their literal default is free
  std::optional<Expression> multiplications, additions, divisions, exponentials, functions, comparisons;
  std::optional<Expression> depth, free_depth, state;
  std::function<void(Settings&)> fixed;  // settings under which the formulas are stated
};

/// What is known of one algorithm.
struct Entry {
  std::string name, family, title, summary, equation;
  std::vector<std::string> sources;
  std::vector<Size> sizes;
  std::vector<Parameter> parameters;
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  std::vector<Form> forms;
  std::vector<Law> laws;
  std::vector<Cost> costs;
  /// Forms whose rounding budget is infinite in a number type, so that no law of it is made: (form, number
  /// type).
  std::set<std::pair<std::string, std::string>> without_budget;
  std::map<std::string, std::vector<Settings>> scales;  // what `etalon scale` runs: a name and its settings
  std::function<void(Settings&)> adjust;                // repairs drawn settings that do not fit together
  std::vector<std::function<void(Entry&)>>
      deferred;  // laws that look at all forms, made when all are registered

  /// \throws std::invalid_argument listing the forms that there are
  const Form& form(const std::string& form_name) const;
  /// The form of that name, made when there is none yet.
  Form& open_form(const std::string& form_name, const std::string& meaning, bool backward);
  /// Settings with every parameter that is missing set to its default, clipped to its range.
  Settings with_defaults(Settings settings) const;
};

/// All entries, by name.
class Registry {
 public:
  static Registry& instance();
  /// Finds or makes an entry.
  Entry& open(const std::string& name);
  /// \throws std::invalid_argument naming the entries that there are
  const Entry& entry(const std::string& name) const;
  std::vector<const Entry*> entries() const;
  /// Empties the forms of an entry, for those of a mutant to fill. The drawn laws stay, in the arithmetics
  /// that a mutant is read in; a law that is one fixed check calls the true text and goes.
  void replace_forms(const std::string& name);
  /// Drops an entry, for a mutant to register anew with its laws.
  void forget(const std::string& name);

 private:
  std::map<std::string, std::unique_ptr<Entry>> entries_;
};

/// The inputs of a case in the arithmetic T. For a backward form the gradients of the outputs are drawn as
/// well.
template <class T>
Arrays<T> draw_inputs(const Entry& entry, const Case& one, bool backward = false);

/// One case of a law in the arithmetic T: the drawn inputs, and the means to run forms and compare.
template <class T>
class Trial {
 public:
  using Scalar = T;
  Trial(Check& check, const Entry& entry, const Case& one)
      : check_(check), entry_(entry), case_(one), in(draw_inputs<T>(entry, one)) {}

  /// Runs a form of the entry on the drawn inputs, or on changed ones, or with changed settings.
  Arrays<T> run(const std::string& form) const { return run(form, in); }
  Arrays<T> run(const std::string& form, const Arrays<T>& changed) const {
    return entry_.form(form).template run<T>(changed, entry_.with_defaults(case_.settings));
  }
  Arrays<T> run(const std::string& form, const Arrays<T>& changed, const Settings& settings) const {
    return entry_.form(form).template run<T>(changed, entry_.with_defaults(settings));
  }
  /// Runs a form of another entry.
  Arrays<T> run_other(const std::string& entry, const std::string& form, const Arrays<T>& other_in,
                      const Settings& settings = {}) const {
    const Entry& other = Registry::instance().entry(entry);
    return other.form(form).template run<T>(other_in, other.with_defaults(settings));
  }

  template <class V>
  void equal(const V& left, const V& right, const std::string& what = "") const {
    check_.equal(left, right, what);
  }
  void expect(bool holds, const std::string& what) const { check_.expect(holds, what); }
  template <class V>
  void at_most(const V& left, const V& right, const std::string& what) const {
    check_.at_most(left, right, what);
  }
  Check& check() const { return check_; }

  Index size(const std::string& name) const { return at(entry_.with_defaults(case_.settings), name); }
  const Case& drawn() const { return case_; }
  const Entry& entry() const { return entry_; }

  /// A further number, or an array of them, beside the inputs.
  T number(const std::string& name, Domain domain = Domain::any) const {
    return draw<T>({case_.seed, name, 0}, domain, case_.pattern);
  }
  Array<T> array(const std::string& name, const Shape& shape, Domain domain = Domain::any) const {
    Array<T> values(shape);
    for (Index i = 0; i < values.size(); ++i) {
      values.values()[static_cast<std::size_t>(i)] = draw<T>({case_.seed, name, i}, domain, case_.pattern);
    }
    return values;
  }
  /// A drawn integer between low and high.
  Index integer(const std::string& name, Index low, Index high) const {
    return low +
           static_cast<Index>(hash({case_.seed, name, 0}, 9) % static_cast<std::uint64_t>(high - low + 1));
  }

 private:
  Check& check_;
  const Entry& entry_;
  const Case& case_;

 public:
  Arrays<T> in;
};

template <class T>
Arrays<T> draw_inputs(const Entry& entry, const Case& one, bool backward) {
  const Settings settings = entry.with_defaults(one.settings);
  const auto shape_of = [&](const std::vector<Expression>& axes) {
    Shape shape;
    for (const Expression& axis : axes) shape.push_back(axis(settings));
    return shape;
  };
  const auto draw_array = [&](const std::string& name, const Shape& shape, Domain domain) {
    Array<T> values(shape);
    for (Index i = 0; i < values.size(); ++i) {
      values.values()[static_cast<std::size_t>(i)] = draw<T>({one.seed, name, i}, domain, one.pattern);
    }
    return values;
  };
  Arrays<T> in;
  for (const Input& input : entry.inputs) {
    const Shape shape = shape_of(input.shape);
    if (input.draw_index) {
      in.index[input.name] = input.draw_index(one);
    } else if (input.is_complex) {
      const Array<T> re = draw_array(input.name + ".re", shape, input.domain);
      const Array<T> im = draw_array(input.name + ".im", shape, Domain::any);
      Array<Complex<T>> values(shape);
      for (std::size_t i = 0; i < values.values().size(); ++i) {
        values.values()[i] = Complex<T>(re.values()[i], im.values()[i]);
      }
      in.complex[input.name] = values;
    } else {
      in.real[input.name] = draw_array(input.name, shape, input.domain);
    }
  }
  if (backward) {
    for (const Output& output : entry.outputs) {
      in.real["d_" + output.name] = draw_array("d_" + output.name, shape_of(output.shape), Domain::any);
    }
  }
  return in;
}

/// How many shapes a law is tried on, by arithmetic: many where a case is cheap.
template <class T>
inline constexpr int shapes_for = std::is_same_v<T, PrimeField>                                    ? 200
                                  : std::is_same_v<T, Rational> || std::is_same_v<T, RationalExp2> ? 60
                                                                                                   : 25;

/// What of an entry is compiled beside its forms.
enum class Laws {
  none,   ///< the forms add up to those of another group, or are judged by the laws of the true text
  all,    ///< the first group of the true text: laws in every number type that they name
  drawn,  ///< of a mutant: the drawn laws, in the number types of the group
  fixed,  ///< of a mutant: the laws that are one fixed check
  both,   ///< of the control: drawn and fixed
};

/// Fills an entry while one group of number types is compiled. Forms of several groups add up; what does not
/// depend on the number type is kept from the group that compiles the laws.
template <class Group, Laws kLaws, bool kMutant = false>
class Builder {
  static constexpr bool kFirst = kLaws != Laws::none;
  static constexpr bool kDrawn = kFirst && kLaws != Laws::fixed;
  static constexpr bool kFixed = kFirst && kLaws != Laws::drawn;

 public:
  static constexpr bool is_mutant = kMutant, has_laws = kFirst;

  explicit Builder(Entry& entry) : entry_(entry) {}

  Builder& about(std::string family, std::string title, std::string summary,
                 std::vector<std::string> sources) {
    entry_.family = std::move(family);
    entry_.title = std::move(title);
    entry_.summary = std::move(summary);
    entry_.sources = std::move(sources);
    return *this;
  }
  Builder& size(std::string name, Index large, Index small) {
    if constexpr (kFirst) entry_.sizes.push_back({std::move(name), large, small});
    return *this;
  }
  Builder& parameter(Parameter parameter) {
    if constexpr (kFirst) entry_.parameters.push_back(std::move(parameter));
    return *this;
  }
  Builder& adjust(std::function<void(Settings&)> repair) {
    entry_.adjust = std::move(repair);
    return *this;
  }
  Builder& input(std::string name, std::vector<Expression> shape, Domain domain, std::string meaning) {
    if constexpr (kFirst)
      entry_.inputs.push_back({std::move(name), std::move(shape), domain, std::move(meaning), false, {}});
    return *this;
  }
  Builder& complex_input(std::string name, std::vector<Expression> shape, Domain real_part,
                         std::string meaning) {
    if constexpr (kFirst) {
      entry_.inputs.push_back({std::move(name), std::move(shape), real_part, std::move(meaning), true, {}});
    }
    return *this;
  }
  Builder& index_input(std::string name, std::vector<Expression> shape, std::string meaning,
                       std::function<Array<Index>(const Case&)> draw_index) {
    if constexpr (kFirst) {
      entry_.inputs.push_back(
          {std::move(name), std::move(shape), Domain::any, std::move(meaning), false, std::move(draw_index)});
    }
    return *this;
  }
  Builder& output(std::string name, std::vector<Expression> shape, std::string meaning) {
    if constexpr (kFirst) entry_.outputs.push_back({std::move(name), std::move(shape), std::move(meaning)});
    return *this;
  }

  /// Registers a form: a generic lambda whose constraint selects the arithmetics it can be read in. The first
  /// form is the definition.
  template <class F>
  Builder& form(const std::string& name, const std::string& meaning, F&& compute) {
    add_form(name, meaning, false, std::forward<F>(compute), Group{});
    return *this;
  }
  /// Registers a backward form: it takes d_<output> beside the inputs and gives d_<input>.
  template <class F>
  Builder& backward(const std::string& name, const std::string& meaning, F&& compute) {
    add_form(name, meaning, true, std::forward<F>(compute), Group{});
    return *this;
  }

  /// A law that is tried on drawn cases in each of the arithmetics Ts.
  template <class... Ts, class Body>
  Builder& law(Kind kind, std::string name, std::string statement, Body body) {
    if constexpr (kFirst) {
      Law law{kind, std::move(name), std::move(statement), {}, {}};
      if constexpr (kDrawn) (add_variant<Ts>(law, body), ...);
      entry_.laws.push_back(std::move(law));
    }
    return *this;
  }
  /// A `limit` law: an edge of the atlas to another entry.
  template <class... Ts, class Body>
  Builder& limit(std::string to, std::string name, std::string statement, Body body) {
    if constexpr (kFirst) {
      law<Ts...>(Kind::limit, std::move(name), std::move(statement), body);
      entry_.laws.back().limit_entry = std::move(to);
    }
    return *this;
  }
  /// A law that is one fixed check: an example, an erratum, an exhaustive table. Its body takes `auto&
  /// check`, a `Check`, so that it is compiled only where it is kept.
  template <class Body>
  Builder& once(Kind kind, std::string name, std::string statement, Body body, std::string scalar = "fixed") {
    if constexpr (kFixed) {
      LawVariant fixed;
      fixed.scalar = std::move(scalar);
      fixed.draws = false;
      fixed.body = [body](Check& check, const Case&) { body(check); };
      entry_.laws.push_back({kind, std::move(name), std::move(statement), {}, {std::move(fixed)}});
    }
    return *this;
  }
  /// The worked example of the literature, or a table of published numbers. No mutant compiles it: it must be
  /// caught by a law that nobody wrote for its numbers.
  template <class Body>
  Builder& example(std::string name, std::string statement, Body body) {
    if constexpr (!kMutant) once(Kind::example, std::move(name), std::move(statement), std::move(body));
    return *this;
  }
  /// A law made by one of the functions of `laws.hpp`. It goes through the forms, so that a mutant compiled
  /// for laws which call the text has no use for it.
  template <class Make>
  Builder& standard(Make&& make) {
    if constexpr (kLaws == Laws::all || kLaws == Laws::both)
      entry_.deferred.push_back(std::forward<Make>(make));
    return *this;
  }
  Builder& cost(Cost cost) {
    if constexpr (kFirst) entry_.costs.push_back(std::move(cost));
    return *this;
  }
  /// Says that no finite rounding budget can be derived for a form in a number type.
  Builder& no_budget(std::string form, std::string scalar) {
    if constexpr (kFirst) entry_.without_budget.insert({std::move(form), std::move(scalar)});
    return *this;
  }
  /// The settings that `etalon scale` runs the costs at, for one curve of the plots.
  Builder& scale(std::string name, std::vector<Settings> grid) {
    if constexpr (kFirst) entry_.scales[std::move(name)] = std::move(grid);
    return *this;
  }

 private:
  template <class F, class... Ts>
  void add_form(const std::string& name, const std::string& meaning, bool backward, F&& compute,
                TypeList<Ts...>) {
    Form& form = entry_.open_form(name, meaning, backward);
    (add_evaluator<Ts>(form, compute), ...);
  }

  template <class T, class F>
  static constexpr bool can_read = std::is_invocable_v<F, const Arrays<T>&, const Settings&>;

  /// For a mutant the first arithmetic that decides will do: compiling it is what costs.
  template <class T, class F>
  static constexpr bool is_redundant =
      (contains<PrimeField, Group> && can_read<PrimeField, F> &&
       (std::is_same_v<T, RationalExp2> || std::is_same_v<T, Dual<RationalExp2>>)) ||
      (contains<RationalExp2, Group> && can_read<RationalExp2, F> && std::is_same_v<T, Bounded<Real50>>);

  template <class T, class F>
  void add_evaluator(Form& form, const F& compute) {
    if constexpr (can_read<T, F> && !(kMutant && is_redundant<T, F>)) {
      form.add(typeid(T), scalar_name<T>, Evaluate<T>(compute));
    }
  }

  /// A mutant's laws are decided in the arithmetics that it was compiled for; the true text's in all.
  template <class T, class Body>
  void add_variant(Law& law, const Body& body) {
    if constexpr (!kMutant || contains<T, Group>) {
      law.variants.push_back(variant<T>(body));
    }
  }

  template <class T, class Body>
  LawVariant variant(const Body& body) {
    const Entry& entry = entry_;
    LawVariant made;
    made.scalar = scalar_name<T>;
    made.large = std::is_same_v<T, PrimeField>;
    made.shapes = shapes_for<T>;
    made.body = [&entry, body](Check& check, const Case& one) {
      Trial<T> trial(check, entry, one);
      body(trial);
    };
    if constexpr (std::is_same_v<T, PrimeField> && !kMutant) {
      made.degree_body = [&entry, body](Check& check, const Case& one) {
        Trial<Degree> trial(check, entry, one);
        body(trial);
      };
    }
    return made;
  }

  Entry& entry_;
};

/// The groups that `ETALON_GROUP` selects; the build compiles each entry once for each of the first four.
namespace group {
using laws = Builder<MachineScalars, Laws::all>;
using exact = Builder<ExactScalars, Laws::none>;
using oracle = Builder<OracleScalars, Laws::none>;
using storage = Builder<StorageScalars, Laws::none>;
/// A mutant whose forms are judged by the laws of the true text's entry.
using mutant = Builder<MutantScalars, Laws::none, true>;
/// The same where only a gradient law can catch it.
using mutant_gradient = Builder<MutantGradientScalars, Laws::none, true>;
/// Mutants that only a law which calls the text itself can catch: fixed checks, or the laws in one
/// arithmetic. Forms in `Counted<double>` say what the mutant computes.
using mutant_fixed = Builder<TypeList<Counted<double>>, Laws::fixed, true>;
using mutant_PrimeField = Builder<TypeList<Counted<double>, PrimeField>, Laws::drawn, true>;
using mutant_RationalExp2 = Builder<TypeList<Counted<double>, RationalExp2>, Laws::drawn, true>;
using mutant_Bounded = Builder<TypeList<Counted<double>, Bounded<Real50>>, Laws::drawn, true>;
/// The true text as mutants are compiled: no law may object.
using control = Builder<MutantGradientScalars, Laws::both, true>;
}  // namespace group

/// Constructed once for each entry and group, before main.
template <class AnyBuilder>
struct Registration {
  Registration(const std::string& name, void (*fill)(AnyBuilder&)) {
    if constexpr (AnyBuilder::is_mutant) {
      AnyBuilder::has_laws ? Registry::instance().forget(name) : Registry::instance().replace_forms(name);
    }
    Entry& entry = Registry::instance().open(name);
    AnyBuilder builder(entry);
    fill(builder);
  }
};

}  // namespace etalon
