#include "proofs/engine/expression.hpp"

#include <algorithm>
#include <bit>

namespace etalon {

Expression::Expression(Index constant)
    : Expression(std::to_string(constant), constant < 0 ? Binding::sum : Binding::atom,
                 [constant](const Settings&) { return constant; }) {}

Expression::Expression(std::string text, Binding binding, Evaluate evaluate)
    : made_(std::make_shared<const Made>(Made{std::move(text), binding, std::move(evaluate)})) {}

Expression Expression::symbol(std::string name) {
  return Expression(name, Binding::atom, [name](const Settings& settings) { return at(settings, name); });
}

std::string Expression::text_inside(Binding context) const {
  return made_->binding < context ? "(" + text() + ")" : text();
}

Expression operator+(const Expression& a, const Expression& b) {
  return Expression(a.text() + " + " + b.text(), Expression::Binding::sum,
                    [a, b](const Settings& s) { return a(s) + b(s); });
}

Expression operator-(const Expression& a, const Expression& b) {
  return Expression(a.text() + " - " + b.text_inside(Expression::Binding::product), Expression::Binding::sum,
                    [a, b](const Settings& s) { return a(s) - b(s); });
}

Expression operator*(const Expression& a, const Expression& b) {
  const auto product = Expression::Binding::product;
  return Expression(a.text_inside(product) + " " + b.text_inside(product), product,
                    [a, b](const Settings& s) { return a(s) * b(s); });
}

Expression operator/(const Expression& a, const Expression& b) {
  const std::string text =
      a.text_inside(Expression::Binding::product) + " / " + b.text_inside(Expression::Binding::atom);
  return Expression(text, Expression::Binding::product, [a, b, text](const Settings& s) {
    const Index dividend = a(s), divisor = b(s);
    if (divisor == 0 || dividend % divisor != 0) {
      throw std::invalid_argument("formula " + text + ": " + std::to_string(dividend) + " / " +
                                  std::to_string(divisor) + " is not an integer");
    }
    return dividend / divisor;
  });
}

Expression ceil_div(const Expression& a, const Expression& b) {
  return Expression("ceil(" + a.text_inside(Expression::Binding::product) + " / " +
                        b.text_inside(Expression::Binding::atom) + ")",
                    Expression::Binding::atom,
                    [a, b](const Settings& s) { return (a(s) + b(s) - 1) / b(s); });
}

Expression max(const Expression& a, const Expression& b) {
  return Expression("max(" + a.text() + ", " + b.text() + ")", Expression::Binding::atom,
                    [a, b](const Settings& s) { return std::max(a(s), b(s)); });
}

Expression min(const Expression& a, const Expression& b) {
  return Expression("min(" + a.text() + ", " + b.text() + ")", Expression::Binding::atom,
                    [a, b](const Settings& s) { return std::min(a(s), b(s)); });
}

Expression ceil_log2(const Expression& a) {
  return Expression("ceil(log2(" + a.text() + "))", Expression::Binding::atom, [a](const Settings& s) {
    const Index value = a(s);
    return value <= 1 ? Index{0} : static_cast<Index>(std::bit_width(static_cast<std::uint64_t>(value - 1)));
  });
}

}  // namespace etalon
