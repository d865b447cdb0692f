/// \file
/// Formulas over sizes, such as 3 n d_k d_v: written once in C++, evaluated by the engine, printed in the
/// report.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proofs/engine/arrays.hpp"

namespace etalon {

/// A formula: an integer function of the settings together with its text. Copies share both, since larger
/// formulas keep the smaller ones that they are made of.
class Expression {
 public:
  Expression(Index constant);  // NOLINT(google-explicit-constructor): literals mix with symbols in formulas
  Expression(int constant) : Expression(static_cast<Index>(constant)) {}  // NOLINT: likewise

  /// A size or parameter by its name.
  static Expression symbol(std::string name);

  /// The value under the given settings.
  /// \throws std::invalid_argument when a symbol has no value, or a division leaves a remainder
  Index operator()(const Settings& settings) const { return made_->evaluate(settings); }

  const std::string& text() const { return made_->text; }

  friend Expression operator+(const Expression& a, const Expression& b);
  friend Expression operator-(const Expression& a, const Expression& b);
  friend Expression operator*(const Expression& a, const Expression& b);
  /// Exact division, for n (n - 1) / 2 and the like.
  friend Expression operator/(const Expression& a, const Expression& b);
  /// a / b rounded up.
  friend Expression ceil_div(const Expression& a, const Expression& b);
  friend Expression max(const Expression& a, const Expression& b);
  friend Expression min(const Expression& a, const Expression& b);
  /// The least k with 2^k >= a.
  friend Expression ceil_log2(const Expression& a);

 private:
  enum class Binding { sum, product, atom };
  using Evaluate = std::function<Index(const Settings&)>;
  Expression(std::string text, Binding binding, Evaluate evaluate);
  std::string text_inside(Binding context) const;

  struct Made {
    std::string text;
    Binding binding;
    Evaluate evaluate;
  };
  std::shared_ptr<const Made> made_;
};

Expression operator+(const Expression& a, const Expression& b);
Expression operator-(const Expression& a, const Expression& b);
Expression operator*(const Expression& a, const Expression& b);
Expression operator/(const Expression& a, const Expression& b);
Expression ceil_div(const Expression& a, const Expression& b);
Expression max(const Expression& a, const Expression& b);
Expression min(const Expression& a, const Expression& b);
Expression ceil_log2(const Expression& a);

inline Expression symbol(std::string name) {
  return Expression::symbol(std::move(name));
}

}  // namespace etalon
