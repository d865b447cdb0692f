/// \file
/// `etalon scale`: what every form costs as the sizes grow. Operations and depths are counted and compared
/// with the stated formulas; only the seconds are measured.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>

#include "proofs/engine/runner.hpp"
#include "tools/etalon/commands.hpp"
#include "tools/etalon/common.hpp"

namespace etalon {
namespace {

/// A counted run takes some nanoseconds for each operation: a point that states more than this many is left
/// out, and its record says so.
constexpr std::int64_t kMostCounted = 1'000'000'000;

/// A traced run takes about a hundred bytes and a tenth of a microsecond for each operation: beyond this many
/// it is left out.
constexpr std::int64_t kMostTraced = 3'000'000;

/// One point of a curve: a form, the settings of its cost, and what it is run with.
struct Point {
  const Entry* entry;
  const Cost* cost;
  std::string curve;
  Case drawn;         // the settings that inputs are drawn with
  Settings settings;  // those that the form is run with
};

Point point_at(const Entry& entry, const Cost& cost, const std::string& curve, const Settings& at_settings) {
  Point point{&entry, &cost, curve, Case{}, entry.with_defaults(at_settings)};
  point.drawn.settings = at_settings;
  if (cost.fixed) cost.fixed(point.settings);
  return point;
}

template <class T>
Arrays<T> inputs_of(const Point& point) {
  Arrays<T> in = draw_inputs<T>(*point.entry, point.drawn, point.entry->form(point.cost->form).backward);
  for (const std::string& name : point.cost->without) {
    in.real.erase(name);
    in.complex.erase(name);
  }
  return in;
}

void count(const Point& point, const Form& form, nlohmann::json& record) {
  if (!form.has<Counted<double>>()) return;
  const auto in = inputs_of<Counted<double>>(point);
  const CountOperations scope;
  form.run<Counted<double>>(in, point.settings);
  const OperationCounts counts = scope.counts();
  record["multiplications"] = counts.multiplications;
  record["additions"] = counts.additions;
  record["divisions"] = counts.divisions;
  record["exponentials"] = counts.exponentials;
  record["functions"] = counts.functions;
  record["comparisons"] = counts.comparisons;
  record["total"] = counts.total();
}

void trace(const Point& point, const Form& form, nlohmann::json& record) {
  if (!form.has<Traced>() || !record.contains("total") || record["total"] > kMostTraced) return;
  const auto out = form.run<Traced>(inputs_of<Traced>(point), point.settings);
  Index depth = 0, free_depth = 0;
  const auto deepen = [&](const Traced& x) {
    depth = std::max(depth, x.depth());
    free_depth = std::max(free_depth, x.free_depth());
  };
  for (const auto& [name, array] : out.real) {
    for (const Traced& x : array.values()) deepen(x);
  }
  for (const auto& [name, array] : out.complex) {
    for (const auto& z : array.values()) {
      deepen(z.re);
      deepen(z.im);
    }
  }
  record["depth"] = depth;
  record["free_depth"] = free_depth;
}

/// The median of runs: at least 5 of them and a fiftieth of a second, or as many as a fifth of a second
/// holds.
void time(const Point& point, const Form& form, nlohmann::json& record) {
  if (!form.has<double>()) return;
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const auto in = inputs_of<double>(point);
  const auto start = Clock::now();
  std::vector<double> seconds;
  for (double spent = 0; spent < 0.2 && (seconds.size() < 5 || spent < 0.02); spent = seconds_since(start)) {
    const auto begin = Clock::now();
    form.run<double>(in, point.settings);
    seconds.push_back(seconds_since(begin));
  }
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2),
                   seconds.end());
  record["seconds"] = seconds[seconds.size() / 2];
}

std::int64_t stated_operations(const Point& point) {
  std::int64_t total = 0;
  for (const auto& [name, formula] : formulas_of(*point.cost)) {
    if (name != "depth" && name != "free_depth" && name != "state") total += formula(point.settings);
  }
  return total;
}

/// Sets what was stated beside what was counted. `matches` is about what has both.
void compare_with_stated(const Point& point, nlohmann::json& record) {
  nlohmann::json stated = nlohmann::json::object();
  bool matches = true;
  for (const auto& [name, formula] : formulas_of(*point.cost)) {
    const Index value = formula(point.settings);
    stated[name] = {{"text", formula.text()}, {"value", value}};
    if (name == "state") record["state"] = value;
    if (record.contains(name) && record[name] != value) matches = false;
  }
  record["stated"] = stated;
  record["matches"] = matches;
}

nlohmann::json named(const Point& point) {
  return {{"entry", point.entry->name},
          {"form", point.cost->form},
          {"curve", point.curve},
          {"settings", point.settings}};
}

/// The record of a point that is not counted: it has `left_out`, the stated operations, instead of counts.
nlohmann::json left_out(const Point& point, std::int64_t stated) {
  nlohmann::json record = named(point);
  record["left_out"] = stated;
  return record;
}

nlohmann::json measured(const Point& point) {
  const Form& form = point.entry->form(point.cost->form);
  nlohmann::json record = named(point);
  count(point, form, record);
  trace(point, form, record);
  time(point, form, record);
  compare_with_stated(point, record);
  return record;
}

std::vector<Point> points_of(const std::vector<const Entry*>& entries) {
  std::vector<Point> points;
  for (const Entry* entry : entries) {
    for (const Cost& cost : entry->costs) {
      for (const auto& [curve, grid] : entry->scales) {
        for (const Settings& settings : grid) points.push_back(point_at(*entry, cost, curve, settings));
      }
    }
  }
  return points;
}

std::string settings_text(const Settings& settings) {
  std::string text;
  for (const auto& [name, value] : settings)
    text += (text.empty() ? "" : " ") + name + "=" + std::to_string(value);
  return text;
}

void print(const Point& point, const nlohmann::json& record) {
  const auto number = [&](const char* name) { return record.contains(name) ? record[name].dump() : "-"; };
  fmt::print("  {:12} {:40} {:>12} operations  depth {:>7}, {:>5} freely bracketed  {:.3g} s{}\n",
             record["form"].get<std::string>(), settings_text(point.settings), number("total"),
             number("depth"), number("free_depth"), record.value("seconds", 0.0),
             record["matches"] ? "" : "  NOT AS STATED");
  if (record["matches"]) return;
  for (const auto& [name, stated] : record["stated"].items()) {
    if (!record.contains(name) || record[name] == stated["value"]) continue;
    fmt::print("      {}: counted {}, stated {} = {}\n", name, record[name].dump(),
               stated["text"].get<std::string>(), stated["value"].dump());
  }
}

int scale(const std::vector<std::string>& names, const std::string& json_path) {
  const std::vector<Point> points = points_of(entries_named(names));
  if (points.empty()) {
    refuse("NAME", names.empty() ? "left out" : listed(names),
           "algorithms that state costs and settings to run them at");
  }
  JsonLines json(json_path);
  ProgressBar bar;
  long done = 0;
  int status = kGood;
  std::string group;
  for (const Point& point : points) {
    bar.show(done++, static_cast<long>(points.size()),
             point.entry->name + ": " + point.cost->form + " " + settings_text(point.settings));
    const std::int64_t stated = stated_operations(point);
    const bool is_counted = stated <= kMostCounted;
    const nlohmann::json record = is_counted ? measured(point) : left_out(point, stated);
    bar.clear();
    json.write(record);
    if (is_counted && !record["matches"]) status = kLawFailed;
    if (json.owns_standard_output()) continue;
    const std::string title = point.entry->name + ", " + point.curve;
    if (title != group) fmt::print("{}\n", title);
    group = title;
    if (is_counted) {
      print(point, record);
    } else {
      fmt::print("  {:12} {:40} left out: {} operations, at most {} are counted\n", point.cost->form,
                 settings_text(point.settings), stated, kMostCounted);
    }
  }
  return status;
}

}  // namespace

void add_scale(CLI::App& program, int& status) {
  const auto names = std::make_shared<std::vector<std::string>>();
  const auto json_path = std::make_shared<std::string>();
  CLI::App* command = program.add_subcommand(
      "scale", "operations, depth, state and seconds as sizes grow, against the stated formulas");
  command->add_option("NAME", *names, "algorithms; all when left out");
  add_json_option(*command, *json_path);
  command->callback([names, json_path, &status] { status = scale(*names, *json_path); });
}

}  // namespace etalon
