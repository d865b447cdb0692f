/// \file
/// The study of arithmetics: what L-Mul and the narrow formats do to single products, and what they do to
/// softmax attention and gated linear attention on real heads.
#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <vector>

#include "proofs/approximation/heads.hpp"
#include "proofs/approximation/l_mul_errors.hpp"
#include "proofs/engine/convert.hpp"
#include "proofs/engine/entry.hpp"
#include "proofs/engine/study.hpp"
#include "reference/scalar/lmul.hpp"
#include "tools/npy.hpp"

namespace etalon {
namespace {

using l_mul::Code;
using l_mul::Offset;
using l_mul::Rounding;
using nlohmann::json;
using study_heads::corner;
using study_heads::plot;
using study_heads::Steps;
using study_heads::table;
using study_heads::text_block;

// ---- products ----------------------------------------------------------------------------------

double number(const Rational& x) {
  return static_cast<double>(x);
}
double root(const Rational& x) {
  return std::sqrt(number(x));
}

void error_tables(json& blocks) {
  json rows = json::array();
  json width = json::array(), addition = json::array(), equation = json::array(), mitchell = json::array();
  for (int m = 1; m <= 10; ++m) {
    const Code ulps = l_mul::offset_ulps(m);
    const l_mul::ErrorSums sums[] = {l_mul::error_sums(m, l_mul::integer_significand, ulps),
                                     l_mul::error_sums(m, l_mul::equation_significand, ulps),
                                     l_mul::error_sums(m, l_mul::integer_significand, 0)};
    const char* const names[] = {"addition", "equation", "Mitchell"};
    for (std::size_t i = 0; i < 3; ++i) {
      rows.push_back({m, names[i], number(sums[i].mean()), number(sums[i].mean_absolute()),
                      root(sums[i].mean_square()), number(sums[i].under.value()),
                      number(sums[i].over.value())});
    }
    width.push_back(m);
    addition.push_back(root(sums[0].mean_square()));
    equation.push_back(root(sums[1].mean_square()));
    mitchell.push_back(root(sums[2].mean_square()));
  }
  blocks.push_back(table(
      "Errors of one product, by mantissa width",
      "All pairs of m-bit mantissas, each once. The error is exact minus found, in units of the product of "
      "the two powers of two, so that the exact product lies between 1 and 4. \"addition\" is L-Mul as it is "
      "computed, by adding bit patterns; \"equation\" is the formula of the paper read literally, which "
      "differs as soon as the mantissas carry; \"Mitchell\" is the addition without the paper's constant. "
      "The last two columns are the extremes of error / exact: above 0 the result was too small.",
      {"mantissa bits", "reading", "mean error", "mean |error|", "root mean square", "largest relative",
       "smallest relative"},
      rows));
  blocks.push_back(plot("Root mean square error of one product",
                        "The same numbers. More mantissa bits do not help the equation, whose error is made "
                        "by carries that it ignores; the addition gains from its constant only from 5 bits "
                        "on, where it crosses below Mitchell's line.",
                        "line", {"mantissa bits", false}, {"root mean square error", true},
                        {{{"name", "addition (L-Mul)"}, {"x", width}, {"y", addition}},
                         {{"name", "equation"}, {"x", width}, {"y", equation}},
                         {{"name", "Mitchell"}, {"x", width}, {"y", mitchell}, {"dash", true}}}));
}

void error_map(json& blocks) {
  constexpr int m = 5;
  constexpr Code one = Code{1} << m;
  json axis = json::array(), z = json::array();
  for (Code x = 0; x < one; ++x) axis.push_back(static_cast<double>(x) / one);
  for (Code y = 0; y < one; ++y) {
    json row = json::array();
    for (Code x = 0; x < one; ++x) {
      const Code exact = l_mul::exact_significand(m, x, y);
      const Code found = l_mul::integer_significand(m, x, y, l_mul::offset_ulps(m)) * one;
      row.push_back(100 * static_cast<double>(exact - found) / static_cast<double>(exact));
    }
    z.push_back(row);
  }
  blocks.push_back(
      plot("Where L-Mul errs",
           "The relative error (exact - found) / exact of each pair of 5-bit mantissas, in percent. "
           "Exponents play no part. The result is too large by the constant where a factor is a power of two "
           "(mantissa 0), and too small along the diagonal where the two mantissas add up to just below 1.",
           "heatmap", {"mantissa of x", false}, {"mantissa of y", false},
           {{{"name", "relative error in percent"}, {"x", axis}, {"y", axis}, {"z", z}}}));
}

// ---- formats -----------------------------------------------------------------------------------

/// Root mean square of the relative rounding error of a number whose logarithm is uniform: the integral of
/// (x - v)^2 / x^3 over the cell of each number v between 1 and 2, over log 2.
double rounding_error_of_uniform_logarithms(double unit) {
  double sum = 0;
  const auto antiderivative = [](double x, double v) {
    return std::log(x) + 2 * v / x - v * v / (2 * x * x);
  };
  const auto cells = static_cast<int>(std::lround(0.5 / unit));
  for (int i = 0; i <= cells; ++i) {
    const double v = 1 + 2 * unit * i;
    const double low = std::max(v - unit, 1.0), high = std::min(v + unit, 2.0);
    sum += antiderivative(high, v) - antiderivative(low, v);
  }
  return std::sqrt(sum / std::numbers::ln2);
}

template <class T>
json format_row() {
  const double u = T::unit_roundoff;
  return {std::string(scalar_name<T>),
          static_cast<int>(-std::log2(u)),
          T::overflow_code - 1,
          T::min_subnormal,
          T::min_normal,
          T::max_finite,
          u,
          rounding_error_of_uniform_logarithms(u),
          u / std::sqrt(8 * std::numbers::ln2)};
}

/// All positive finite numbers of an 8-bit format, by their code.
template <class T>
json values_of() {
  json x = json::array(), y = json::array();
  for (int code = 1; code < T::overflow_code; ++code) {
    x.push_back(code);
    y.push_back(double(T::from_code(static_cast<typename T::Code>(code))));
  }
  return {{"name", std::string(scalar_name<T>)}, {"x", x}, {"y", y}};
}

/// The largest relative rounding error among numbers spread over each octave; nothing where numbers overflow.
template <class T>
json rounding_errors() {
  json x = json::array(), y = json::array();
  for (int exponent = -24; exponent < 18; ++exponent) {
    double largest = 0;
    for (int i = 0; i < 512; ++i) {
      const double value = std::exp2(exponent + i / 512.0);
      largest = std::max(largest, std::abs(double(T(value)) - value) / value);
    }
    if (!std::isfinite(largest) || largest == 0) continue;
    x.push_back(std::exp2(exponent));
    y.push_back(largest);
  }
  return {{"name", std::string(scalar_name<T>)}, {"x", x}, {"y", y}};
}

void format_blocks(json& blocks) {
  blocks.push_back(table(
      "Number formats",
      "E4M3 has 4 exponent and 3 mantissa bits, E5M2 has 5 and 2. The significant bits count the leading 1. "
      "The unit roundoff is the largest relative error of rounding a number in the normal range. The next "
      "column is the root mean square of that error for numbers whose logarithm is uniform, integrated over "
      "the cell of every number; the last is the usual estimate for it, u / sqrt(8 log 2).",
      {"format", "significant bits", "positive numbers", "smallest", "smallest normal", "largest",
       "unit roundoff u", "root mean square", "estimate"},
      {format_row<E4M3>(), format_row<E5M2>(), format_row<Float16>(), format_row<BFloat16>()}));
  blocks.push_back(plot("The numbers of the 8-bit formats",
                        "Every positive finite number, by its bit pattern read as an integer. On the "
                        "logarithmic axis the line is nearly straight: a bit pattern is nearly a logarithm, "
                        "which is why adding patterns nearly multiplies, and why L-Mul works at all.",
                        "line", {"bit pattern", false}, {"value", true},
                        {values_of<E4M3>(), values_of<E5M2>()}));
  blocks.push_back(
      plot("Largest relative rounding error by size of the number",
           "Rounding to nearest, for 512 numbers in each octave. Flat in the normal range, rising to 1 where "
           "numbers become subnormal and then vanish; lines end on the right where numbers overflow.",
           "line", {"number", true}, {"relative error", true},
           {rounding_errors<E4M3>(), rounding_errors<E5M2>(), rounding_errors<Float16>(),
            rounding_errors<BFloat16>()}));
}

/// One way to multiply two bfloat16 numbers in few bits.
struct NarrowProduct {
  std::string name;
  std::function<float(float, float, Rounding)> multiply;
};

std::vector<NarrowProduct> narrow_products() {
  std::vector<NarrowProduct> all;
  const auto multiplication = [&](const std::string& name, int k, bool round_product) {
    all.push_back({name, [k, round_product](float x, float y, Rounding rounding) {
                     const float exact = l_mul::narrowed(x, k, rounding) * l_mul::narrowed(y, k, rounding);
                     return round_product ? l_mul::narrowed(exact, k, Rounding::nearest_even) : exact;
                   }});
  };
  multiplication("E5M2 factors, exact product", 2, false);
  multiplication("E5M2 factors and product", 2, true);
  multiplication("E4M3 factors, exact product", 3, false);
  multiplication("E4M3 factors and product", 3, true);
  for (const Offset offset : {Offset::paper, Offset::mitchell}) {
    for (int k = 2; k <= 7; ++k) {
      const std::string name = offset == Offset::paper ? "L-Mul" : "Mitchell";
      all.push_back(
          {name + ", " + std::to_string(k) + " bits", [k, offset](float x, float y, Rounding rounding) {
             return l_mul::multiply(x, y, k, rounding, offset);
           }});
    }
  }
  return all;
}

/// |exact - found| / exact over all pairs, sorted, at 101 equally spaced ranks.
json sorted_relative_errors(const NarrowProduct& product, Rounding rounding) {
  std::vector<double> errors;
  for (Code x = 0; x < 128; ++x) {
    for (Code y = 0; y < 128; ++y) {
      const float u = l_mul::bfloat16_number(x), v = l_mul::bfloat16_number(y);
      const double exact = double{u} * double{v};
      errors.push_back(std::abs(exact - double{product.multiply(u, v, rounding)}) / exact);
    }
  }
  std::sort(errors.begin(), errors.end());
  json ranks = json::array(), values = json::array();
  for (std::size_t i = 0; i <= 100; ++i) {
    ranks.push_back(static_cast<double>(i) / 100);
    values.push_back(errors[i * (errors.size() - 1) / 100]);
  }
  return {{"name", product.name}, {"x", ranks}, {"y", values}};
}

void comparison_blocks(json& blocks) {
  json rows = json::array();
  const std::vector<NarrowProduct> all = narrow_products();
  for (const NarrowProduct& product : all) {
    json row = {product.name};
    for (const Rounding rounding : {Rounding::truncate, Rounding::nearest_even}) {
      const auto errors =
          l_mul::narrow_errors([&](float x, float y) { return product.multiply(x, y, rounding); });
      row.push_back(static_cast<double>(errors.mean()));
      row.push_back(static_cast<double>(errors.mean_absolute()));
      row.push_back(static_cast<double>(errors.root_mean_square()));
    }
    rows.push_back(row);
  }
  blocks.push_back(
      table("L-Mul against 8-bit multiplication, operands cut or rounded",
            "All 128 x 128 pairs of bfloat16 numbers between 1 and 2. First both operands are brought to the "
            "few mantissa bits of the row, either by cutting bits off or by rounding to nearest; then they "
            "are multiplied. The paper models 8-bit multiplication by cutting, and there L-Mul with 3 bits "
            "beats both formats. Hardware rounds, and there E4M3 is ahead of L-Mul with 4 bits. Errors are "
            "exact minus found; exact products lie between 1 and 4.",
            {"product", "cut: mean", "cut: mean |error|", "cut: root mean square", "rounded: mean",
             "rounded: mean |error|", "rounded: root mean square"},
            rows));
  for (const Rounding rounding : {Rounding::truncate, Rounding::nearest_even}) {
    json series = json::array();
    for (const NarrowProduct& product : all) {
      const bool shown = product.name == "E5M2 factors and product" ||
                         product.name == "E4M3 factors and product" || product.name == "L-Mul, 3 bits" ||
                         product.name == "L-Mul, 4 bits" || product.name == "L-Mul, 7 bits" ||
                         product.name == "Mitchell, 4 bits";
      if (shown) series.push_back(sorted_relative_errors(product, rounding));
    }
    const bool cut = rounding == Rounding::truncate;
    blocks.push_back(plot(
        cut ? "Relative errors of products, operands cut" : "Relative errors of products, operands rounded",
        "The relative errors of all pairs, sorted: at 0.5 stands the median, at 1 the worst pair. Lower is "
        "better.",
        "line", {"share of the pairs", false}, {"relative error at most", false}, series));
  }
}

/// Dot products of normal numbers: their error grows as the square root of the length, because signs cancel.
void dot_product_block(json& blocks) {
  constexpr Index kLength = 1024, kDraws = 500;
  const int widths[] = {2, 3, 4, 5, 6, 7, 23};
  std::vector<double> square(std::size(widths)), of_pairs(std::size(widths));
  for (Index draw = 0; draw < kDraws; ++draw) {
    std::vector<double> error(std::size(widths));
    for (Index i = 0; i < kLength; ++i) {
      const auto seed = static_cast<std::uint64_t>(draw);
      const auto x = static_cast<float>(draw_real({seed, "x", i}, Domain::any, Pattern::generic));
      const auto y = static_cast<float>(draw_real({seed, "y", i}, Domain::any, Pattern::generic));
      for (std::size_t w = 0; w < std::size(widths); ++w) {
        const double one = double{x} * double{y} - double{l_mul::multiply(x, y, widths[w])};
        error[w] += one;
        of_pairs[w] += one * one;
      }
    }
    for (std::size_t w = 0; w < std::size(widths); ++w) square[w] += error[w] * error[w];
  }
  json rows = json::array();
  for (std::size_t w = 0; w < std::size(widths); ++w) {
    rows.push_back({widths[w], std::sqrt(of_pairs[w] / (kLength * kDraws)),
                    std::sqrt(square[w] / (kLength * kDraws)), 1 / std::sqrt(2.0 * kDraws)});
  }
  blocks.push_back(table("Dot products of 1024 normal numbers in L-Mul",
                         "500 pairs of vectors of standard normal numbers, rounded to nearest. The error of "
                         "a dot product, divided by the square root of its length, is on average that of a "
                         "single product: errors of products of either sign cancel like coin flips. The last "
                         "column is the relative standard error of the one before.",
                         {"mantissa bits", "root mean square error of a product",
                          "of a dot product / sqrt(1024)", "relative standard error"},
                         rows));
}

// ---- whole algorithms --------------------------------------------------------------------------

constexpr Index kTokens = 512, kChannels = 64, kValues = 8;
const Index kPrefixes[] = {32, 64, 128, 256, 512};

/// Numbers that float16 holds, so that every wider arithmetic is given the same.
Array<double> normal_numbers(const char* name, Index rows, Index columns) {
  Array<double> array({rows, columns});
  for (Index i = 0; i < array.size(); ++i) {
    const double x = draw_real({1, name, i}, Domain::any, Pattern::generic);
    array.values()[static_cast<std::size_t>(i)] = double(Float16(x));
  }
  return array;
}

/// One set of queries, keys and values.
struct Head {
  std::string name;
  Arrays<double> in;
};

std::vector<Head> heads(const std::string& data_folder) {
  std::vector<Head> all;
  for (const char* name : {"local", "sink", "diffuse"}) {
    Head head{name, {}};
    for (const char* input : {"query", "key", "value"}) {
      const auto path =
          std::filesystem::path(data_folder) / "attention_heads" / name / (std::string(input) + ".npy");
      const Index columns = std::string(input) == "value" ? kValues : kChannels;
      head.in.real[input] = corner(npy::to_real(npy::read(path)), kTokens, columns);
    }
    all.push_back(std::move(head));
  }
  Head gaussian{"Gaussian", {}};
  gaussian.in.real["query"] = normal_numbers("query", kTokens, kChannels);
  gaussian.in.real["key"] = normal_numbers("key", kTokens, kChannels);
  gaussian.in.real["value"] = normal_numbers("value", kTokens, kValues);
  all.push_back(std::move(gaussian));
  for (Head& head : all) {
    head.in.real["scale"] = Array<double>(Shape{}, 0.125);
    head.in.real["decay"] = normal_numbers("gate", kTokens, kChannels);
    for (double& gate : head.in.real["decay"].values()) {
      gate = double(Float16(std::pow(1 / (1 + std::exp(-gate)), 1.0 / 16)));
    }
    head.in.real["initial_state"] = Array<double>({kChannels, kValues}, 0.0);
  }
  return all;
}

/// An algorithm that the study runs.
struct Algorithm {
  std::string entry, form, title;
  std::vector<std::string> inputs;
  Settings settings;
};

const Algorithm kAttention{
    "softmax_attention", "safe", "Softmax attention", {"query", "key", "value", "scale"}, {{"mask", 1}}};
const Algorithm kLinear{"gated_linear_attention",
                        "recurrent",
                        "Gated linear attention",
                        {"query", "key", "value", "decay", "initial_state", "scale"},
                        {}};

Arrays<double> inputs_of(const Algorithm& algorithm, const Head& head) {
  Arrays<double> in;
  for (const std::string& name : algorithm.inputs) in.real[name] = head.in[name];
  return in;
}

template <class T>
Arrays<T> run_in(const Algorithm& algorithm, const Arrays<double>& in) {
  const Entry& entry = Registry::instance().entry(algorithm.entry);
  return entry.form(algorithm.form).run<T>(converted_arrays<T>(in), entry.with_defaults(algorithm.settings));
}

/// An arithmetic: how it reads the inputs, and what it makes of them.
struct Arithmetic {
  std::string name;
  std::string reads;  // arithmetics that round inputs alike share an oracle
  std::function<Arrays<double>(const Arrays<double>&)> rounded;
  std::function<Array<double>(const Algorithm&, const Arrays<double>&)> run;
};

template <class T>
Arithmetic plain(const std::string& reads) {
  return {std::string(scalar_name<T>), reads,
          [](const Arrays<double>& in) { return converted_arrays<double>(converted_arrays<T>(in)); },
          [](const Algorithm& algorithm, const Arrays<double>& in) {
            return converted_arrays<double>(run_in<T>(algorithm, in))["output"];
          }};
}

Arithmetic l_mul_arithmetic(int k, Offset offset) {
  Arithmetic one = plain<LMul>("as given");
  one.name = (offset == Offset::paper ? "L-Mul, " : "Mitchell, ") + std::to_string(k) + " bits";
  one.run = [k, offset, run = one.run](const Algorithm& algorithm, const Arrays<double>& in) {
    const LMulSetting setting(k, Rounding::nearest_even, offset);
    return run(algorithm, in);
  };
  return one;
}

constexpr int kWidths[] = {2, 3, 4, 5, 7, 23};

std::vector<Arithmetic> arithmetics() {
  std::vector<Arithmetic> all;
  all.push_back(plain<float>("as given"));
  for (const int k : kWidths) all.push_back(l_mul_arithmetic(k, Offset::paper));
  for (const int k : {3, 4, 7, 23}) all.push_back(l_mul_arithmetic(k, Offset::mitchell));
  all.push_back(plain<Mixed<Float16, float>>("as given"));
  all.push_back(plain<Mixed<BFloat16, float>>("BFloat16"));
  all.push_back(plain<Mixed<E4M3, float>>("E4M3"));
  all.push_back(plain<Float16>("as given"));
  all.push_back(plain<BFloat16>("BFloat16"));
  all.push_back(plain<E4M3>("E4M3"));
  all.push_back(plain<E5M2>("E5M2"));
  return all;
}

/// How far the first n outputs are from the oracle's.
struct Distance {
  double frobenius = 0, worst = 0;
  bool finite = true;
};

Distance distance(const Array<double>& found, const Array<double>& truth, Index n) {
  double error = 0, size = 0, worst = 0, largest = 0;
  Distance result;
  for (Index t = 0; t < n; ++t) {
    for (Index j = 0; j < truth.extent(1); ++j) {
      const double difference = found(t, j) - truth(t, j);
      result.finite = result.finite && std::isfinite(difference);
      error += difference * difference;
      size += truth(t, j) * truth(t, j);
      worst = std::max(worst, std::abs(difference));
      largest = std::max(largest, std::abs(truth(t, j)));
    }
  }
  result.frobenius = std::sqrt(error / size);
  result.worst = worst / largest;
  return result;
}

/// The distances of one algorithm: by arithmetic, head and prefix.
struct Measured {
  std::map<std::string, std::map<std::string, std::map<Index, Distance>>> at;
  const Distance& operator()(const std::string& arithmetic, const std::string& head, Index n) const {
    return at.at(arithmetic).at(head).at(n);
  }
};

Measured measure(const Algorithm& algorithm, const std::vector<Head>& all_heads, Steps& steps) {
  Measured measured;
  for (const Head& head : all_heads) {
    const Arrays<double> in = inputs_of(algorithm, head);
    std::map<std::string, Array<double>> oracle;
    for (const Arithmetic& arithmetic : arithmetics()) {
      steps.next(algorithm.title + ", " + head.name + " head, " + arithmetic.name);
      if (!oracle.contains(arithmetic.reads)) {
        oracle[arithmetic.reads] =
            converted_arrays<double>(run_in<Real50>(algorithm, arithmetic.rounded(in)))["output"];
      }
      const Array<double> found = arithmetic.run(algorithm, in);
      for (const Index n : kPrefixes) {
        measured.at[arithmetic.name][head.name][n] = distance(found, oracle[arithmetic.reads], n);
      }
    }
  }
  return measured;
}

json shown(const Distance& distance, double value) {
  return distance.finite ? json(value) : json("overflow");
}

json result_rows(const Measured& measured, const std::vector<Head>& all_heads) {
  json rows = json::array();
  for (const Arithmetic& arithmetic : arithmetics()) {
    for (const Head& head : all_heads) {
      const Distance& half = measured(arithmetic.name, head.name, kTokens / 2);
      const Distance& whole = measured(arithmetic.name, head.name, kTokens);
      const Distance& reference = measured(std::string(scalar_name<float>), head.name, kTokens);
      rows.push_back({arithmetic.name, head.name, shown(half, half.frobenius), shown(whole, whole.frobenius),
                      shown(whole, whole.worst), shown(whole, -std::log10(whole.frobenius)),
                      shown(whole, std::log10(whole.frobenius / reference.frobenius))});
    }
  }
  return rows;
}

json bars(const Measured& measured, const std::vector<Head>& all_heads) {
  json series = json::array();
  for (const Head& head : all_heads) {
    json x = json::array(), y = json::array();
    for (const Arithmetic& arithmetic : arithmetics()) {
      const Distance& whole = measured(arithmetic.name, head.name, kTokens);
      if (!whole.finite) continue;
      x.push_back(arithmetic.name);
      y.push_back(whole.frobenius);
    }
    series.push_back({{"name", head.name}, {"x", x}, {"y", y}});
  }
  return series;
}

json against_length(const Measured& measured, const std::string& head) {
  json series = json::array();
  for (const Arithmetic& arithmetic : arithmetics()) {
    json x = json::array(), y = json::array();
    for (const Index n : kPrefixes) {
      const Distance& one = measured(arithmetic.name, head, n);
      if (!one.finite) continue;
      x.push_back(n);
      y.push_back(one.frobenius);
    }
    const bool mitchell = arithmetic.name.starts_with("Mitchell");
    if (!x.empty() && !mitchell) series.push_back({{"name", arithmetic.name}, {"x", x}, {"y", y}});
  }
  return series;
}

json against_width(const Measured& measured, const std::vector<Head>& all_heads) {
  json series = json::array();
  for (const std::string& name : {std::string("L-Mul"), std::string("Mitchell")}) {
    for (const Head& head : all_heads) {
      json x = json::array(), y = json::array();
      for (const int k : kWidths) {
        const auto found = measured.at.find(name + ", " + std::to_string(k) + " bits");
        if (found == measured.at.end()) continue;
        x.push_back(k);
        y.push_back(found->second.at(head.name).at(kTokens).frobenius);
      }
      series.push_back({{"name", name + ", " + head.name}, {"x", x}, {"y", y}, {"dash", name == "Mitchell"}});
    }
  }
  return series;
}

void algorithm_blocks(json& blocks, const Algorithm& algorithm, const Measured& measured,
                      const std::vector<Head>& all_heads) {
  blocks.push_back(
      table(algorithm.title + " in every arithmetic",
            "The relative error of the first 256 and of all 512 outputs is ||found - true|| / ||true|| over "
            "all entries; the worst entry is divided by the largest true one. True is the result with 50 "
            "digits on the inputs as the arithmetic reads them, so that rounding the inputs themselves is "
            "not counted. Correct digits are -log10 of the relative error; digits lost are counted from "
            "float. \"overflow\" means that some output was not finite.",
            {"arithmetic", "head", "relative error, 256 tokens", "relative error, 512 tokens", "worst entry",
             "correct digits", "digits lost"},
            result_rows(measured, all_heads)));
  blocks.push_back(plot(algorithm.title + ": error by arithmetic",
                        "The relative error of 512 outputs, each arithmetic on three real heads and on "
                        "Gaussian inputs of the same size. An arithmetic without a bar overflowed.",
                        "bar", {"arithmetic", false}, {"relative error", true}, bars(measured, all_heads)));
  for (const char* const head : {"local", "Gaussian"}) {
    blocks.push_back(plot(algorithm.title + ": error against length, " + head + " head",
                          "The relative error of the first n outputs. Outputs do not depend on later tokens, "
                          "so one run gives all lengths.",
                          "line", {"tokens n", true}, {"relative error", true},
                          against_length(measured, head)));
  }
  blocks.push_back(
      plot(algorithm.title + ": error against mantissa bits",
           "The relative error of 512 outputs when every multiplication is L-Mul on operands rounded to k "
           "mantissa bits (k = 23: not rounded). Dashed: Mitchell's addition, without the constant. It "
           "multiplies exactly by powers of two, such as the scale 1/8, and never makes a product larger; "
           "L-Mul makes every product with a power of two larger.",
           "line", {"mantissa bits k", true}, {"relative error", true}, against_width(measured, all_heads)));
}

/// Why recurrences grow in L-Mul: a gate above the neutral number does not fade, it amplifies.
void gate_block(json& blocks, const std::vector<Head>& all_heads) {
  const Array<double> gates = all_heads.front().in["decay"];
  const auto count = static_cast<double>(gates.size());
  json rows = json::array();
  double octaves = 0;
  for (const double gate : gates.values()) octaves += std::log2(gate) / count;
  rows.push_back({"exact", 1.0, 0.0, octaves, std::exp2(octaves * static_cast<double>(kTokens))});
  for (const Offset offset : {Offset::paper, Offset::mitchell}) {
    for (const int k : kWidths) {
      const Code ulps = l_mul::offset_ulps(k, offset) << (l_mul::fp32.mantissa_bits - k);
      const Code neutral = l_mul::identity_code(l_mul::fp32, ulps);
      double above = 0, moved = 0;
      for (const double gate : gates.values()) {
        const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(gate));
        const Code code = l_mul::round_to_mantissa(bits, k);
        above += code > neutral ? 100 / count : 0;
        moved += static_cast<double>(code - neutral) / 0x1p23 / count;
      }
      rows.push_back({(offset == Offset::paper ? "L-Mul, " : "Mitchell, ") + std::to_string(k) + " bits",
                      double{std::bit_cast<float>(static_cast<std::uint32_t>(neutral))}, above, moved,
                      std::exp2(moved * static_cast<double>(kTokens))});
    }
  }
  blocks.push_back(
      table("Gates and the neutral number",
            "Why gated linear attention explodes in narrow L-Mul. Multiplying by a gate adds (pattern of the "
            "gate - pattern of the neutral number) to the pattern of the state, and the neutral number of "
            "L-Mul is not 1 but 1 - 2^-(l+1). Gates above it amplify. One octave, a factor of 2, is 2^m "
            "steps of the pattern, and steps simply add up: so the mean number of octaves a token, over all "
            "gates, says what L-Mul makes of a long product of them. Above 0 the state grows without bound.",
            {"arithmetic", "neutral number", "gates above it, percent", "octaves a token",
             "factor over 512 tokens"},
            rows));
}

/// What L-Mul would replace, and the share of the energy of arithmetic that would be left in the paper's
/// model.
void cost_block(json& blocks, const std::vector<Head>& all_heads) {
  using Energy = l_mul::Energy;
  json rows = json::array();
  for (const Algorithm& algorithm : {kAttention, kLinear}) {
    for (const Index n : {kTokens / 2, kTokens}) {
      Arrays<double> in = inputs_of(algorithm, all_heads.front());
      for (auto& [name, array] : in.real) {
        if (array.rank() == 2 && array.extent(0) == kTokens) array = corner(array, n, array.extent(1));
      }
      const Entry& entry = Registry::instance().entry(algorithm.entry);
      const Form& form = entry.form(algorithm.form);
      CountOperations scope;
      form.run<Counted<double>>(converted_arrays<Counted<double>>(in),
                                entry.with_defaults(algorithm.settings));
      const OperationCounts counts = scope.counts();
      const auto energy = [&](int multiplication) {
        return static_cast<double>(counts.multiplications) * multiplication +
               static_cast<double>(counts.additions) * Energy::add_fp32;
      };
      rows.push_back({algorithm.title, n, counts.multiplications, counts.additions, counts.divisions,
                      counts.exponentials, 100 * energy(Energy::add_int32) / energy(Energy::multiply_fp32)});
    }
  }
  blocks.push_back(table(
      "Multiplications replaced",
      "Operations counted while the text runs with 64 channels of keys and 8 of values. L-Mul replaces every "
      "multiplication by an integer addition and leaves additions, divisions and exponentials as they are. "
      "The last column is what is left of the energy of multiplications and additions in the model that the "
      "paper uses (energies of single operations by Horowitz, 2014); moving the data is not in it.",
      {"algorithm", "tokens", "multiplications replaced", "additions", "divisions", "exponentials",
       "energy left, percent"},
      rows));
}

json run(const std::string& data_folder, const Progress& progress) {
  const std::vector<Head> all_heads = heads(data_folder);
  const auto runs = static_cast<int>(2 * all_heads.size() * arithmetics().size());
  Steps steps(5 + runs, progress);
  json blocks = json::array();
  blocks.push_back(
      text_block("First single products: L-Mul, Mitchell's older multiplication and the 8-bit formats, over "
                 "all pairs of mantissas."));
  steps.next("errors of L-Mul over all mantissas");
  error_tables(blocks);
  error_map(blocks);
  steps.next("number formats");
  format_blocks(blocks);
  steps.next("narrow products");
  comparison_blocks(blocks);
  steps.next("dot products");
  dot_product_block(blocks);
  blocks.push_back(text_block(
      "Then whole algorithms, read in each arithmetic: causal softmax attention with scale 1/8, and gated "
      "linear attention with the same queries, keys, values and scale. Three heads are real: query, key "
      "(after rotary embedding) and value of a small decoder on text that it was not trained on, called "
      "local, sink and diffuse by where their attention goes; of the values the first 8 channels are used, "
      "since channels do not mix. The fourth is Gaussian: standard normal numbers. All are float16 numbers. "
      "The gates of gated linear attention are sigmoid(z)^(1/16) with z standard normal, rounded to float16, "
      "the same for every head; the initial state is 0. In L-Mul operands are rounded to nearest. Mixed<S, "
      "float> stores inputs, weights and outputs in S and computes in float; a format alone rounds every "
      "operation to itself."));
  for (const Algorithm& algorithm : {kAttention, kLinear}) {
    algorithm_blocks(blocks, algorithm, measure(algorithm, all_heads, steps), all_heads);
  }
  gate_block(blocks, all_heads);
  steps.next("operation counts");
  cost_block(blocks, all_heads);
  steps.finish();
  return {
      {"title", "What an arithmetic does to an algorithm"},
      {"summary",
       "L-Mul replaces a multiplication by an integer addition, narrow formats round away most of the bits. "
       "The page shows what a single product loses, and what is lost when every operation of softmax "
       "attention and of gated linear attention is done that way, on real heads and on Gaussian inputs."},
      {"blocks", blocks}};
}

const StudyRegistration registration{{"arithmetic", "What an arithmetic does to an algorithm", run}};

}  // namespace
}  // namespace etalon
