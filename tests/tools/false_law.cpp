/// \file
/// An entry whose laws and costs are partly false, and a small study: with them in the program, its tests see
/// how it tells of a failure.
#include <nlohmann/json.hpp>

#include "proofs/engine/group.hpp"
#include "proofs/engine/study.hpp"

namespace etalon {
namespace {

template <Ring T>
Arrays<T> sum_of(const Array<T>& terms) {
  T sum(0);
  for (const T& term : terms.values()) sum += term;
  Arrays<T> out;
  out.real["sum"] = Array<T>(Shape{}, sum);
  return out;
}

const Registration<EntryBuilder> registration{
    "false_law", [](EntryBuilder& entry) {
      const Expression n = symbol("n");
      Cost right("sum"), wrong("twice");
      right.additions = n - 1;
      right.depth = n - 1;
      right.state = 1;
      wrong.additions = n;
      entry.about("tests", "A sum", "Stands here to be wrong about itself.", {})
          .size("n", 50, 8)
          .input("terms", {n}, Domain::any, "what is added")
          .output("sum", {}, "their sum")
          .form("sum", "one after the other",
                []<Ring T>(const Arrays<T>& in, const Settings&) { return sum_of(in["terms"]); })
          .form("twice", "the same again",
                []<Ring T>(const Arrays<T>& in, const Settings&) { return sum_of(in["terms"]); })
          .law<Rational>(Kind::invariant, "n stays below 3", "There are at most 2 terms",
                         [](auto& trial) { trial.expect(trial.size("n") < 3, "n is below 3"); })
          .once(Kind::example, "one is two", "1 = 2",
                [](auto& check) { check.equal(Rational(1), Rational(2), "one"); })
          .cost(right)
          .cost(wrong)
          .scale("by terms", {{{"n", 3}}, {{"n", 30}}, {{"n", 1'000'000'002}}});  // the last is too large
    }};

const StudyRegistration study{
    {"two_numbers", "Two numbers", [](const std::string&, const Progress& progress) {
       progress(1, 2, "the second number");
       return nlohmann::json::parse(R"({"title": "Two numbers", "summary": "A table.", "blocks": [
         {"kind": "table", "title": "Numbers", "columns": ["name", "value"], "rows": [["one", 1], ["two", 2]]}]})");
     }}};

}  // namespace
}  // namespace etalon
