/// \file
/// The study that compares: every approximation of attention on the same heads, by the digits that it keeps
/// and the multiplications that it saves. Which approximation, at which price, on which kind of head?
#include <algorithm>
#include <cmath>
#include <functional>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "proofs/approximation/hyper_attention_runs.hpp"
#include "proofs/engine/convert.hpp"
#include "proofs/engine/entry.hpp"
#include "reference/approximation/polynomial_exp.hpp"
#include "reference/approximation/tensor_attention.hpp"
#include "reference/linear_attention/linear_attention.hpp"
#include "reference/scalar/lmul.hpp"

namespace etalon {
namespace {

using namespace hyper_attention_runs;
using nlohmann::json;
using polynomial_exp::Polynomial;

constexpr Index kTokens = 512, kValues = 8;
constexpr Index kTensorTokens = 32, kTensorChannels = 8;
const Index kDegrees[] = {0, 2, 4, 6, 8, 12, 16};

std::string show_rounded(double x) {
  std::ostringstream text;
  text << std::setprecision(3) << x;
  return text.str();
}

// ---- polynomials and linear attention ----------------------------------------------------------

/// The same head with smaller logits: queries times a factor.
Head cooled(Head head, double factor) {
  for (double& x : head.query.values()) x *= factor;
  return head;
}

double largest_logit(const Head& head) {
  const auto score = softmax_attention::dot_product(head.query, head.key, kScale);
  double largest = 0;
  for (Index i = 0; i < head.query.extent(0); ++i) {
    for (Index j = 0; j < head.key.extent(0); ++j) largest = std::max(largest, std::abs(score(i, j)));
  }
  return largest;
}

/// Attention with the Taylor polynomial; nothing where the weights of a query add up to 0.
std::optional<Distance> taylor_distance(const Head& head, Index degree, const Array<double>& truth) {
  try {
    const polynomial_exp::Input<double> in{head.query, head.key, head.value,
                                           polynomial_exp::taylor<double>(degree), kScale};
    return distance(polynomial_exp::direct(in), truth);
  } catch (const std::domain_error&) {
    return std::nullopt;
  }
}

/// Multiplications of linear attention with `features` features over those of exact attention, all queries
/// and keys, n tokens: making the features of a query and of a key (one each), writing and reading (d_v + 1
/// each).
double linear_share(double features, double tokens, double channels, double values) {
  return 2 * features * (values + 2) / (tokens * (channels + values));
}

Array<double> elu_attention(const Head& head) {
  using namespace linear_attention;
  const linear_attention::Input<double> in{
      mapped(Elu{}, head.query),
      mapped(Elu{}, head.key),
      head.value,
      {Array<double>({head.key.extent(1), head.value.extent(1)}), Array<double>({head.key.extent(1)})}};
  return normalised(noncausal(in).sums, 0.0);
}

void taylor_blocks(json& blocks, const std::vector<Head>& heads, Steps& steps) {
  json by_degree = json::array(), break_even = json::array();
  for (const Head& head : heads) {
    steps.next("Taylor polynomials, " + head.name);
    for (const double factor : {1.0, 0.125}) {
      const Head one = cooled(head, factor);
      const Array<double> truth = attention(one, false);
      json x = json::array(), y = json::array();
      for (const Index degree : kDegrees) {
        const std::optional<Distance> off = taylor_distance(one, degree, truth);
        if (!off || !off->finite) continue;
        x.push_back(degree);
        y.push_back(off->frobenius);
      }
      const std::string logits = ", |logits| up to " + show_rounded(largest_logit(one));
      by_degree.push_back({{"name", head.name + logits}, {"x", x}, {"y", y}, {"dash", factor != 1.0}});
    }
  }
  for (const Index degree : {0, 1, 2, 3, 4}) {
    const auto features = static_cast<double>(polynomial_exp::monomial_count(64, degree));
    const auto few = static_cast<double>(polynomial_exp::monomial_count(16, degree));
    break_even.push_back({degree, features, std::ceil(linear_share(features, 1, 64, 64)), few,
                          std::ceil(linear_share(few, 1, 16, 64))});
  }
  blocks.push_back(
      plot("Taylor linear attention: error against degree",
           "Every weight e^x is replaced by its Taylor polynomial of even degree g, which makes attention "
           "linear in the number of tokens. All 64 channels of the first 512 tokens, no mask, 8 channels of "
           "values. Dashed: the same heads with logits an eighth as large. Degree 0 is the plain mean of all "
           "values. The degree that is needed grows with the largest logit: real heads have logits for which "
           "no affordable degree is enough.",
           "line", {"degree g", false}, {"relative error", true}, by_degree));
  blocks.push_back(table("What a degree costs",
                         "The monomials of degree at most g of 64 channels (of 16), each a feature of linear "
                         "attention, and the number of tokens from which linear attention with them needs "
                         "fewer multiplications than exact attention of all pairs, with 64 channels of "
                         "values. Degree 2 of 64 channels pays from 2,213 tokens, degree 4 from 839,835.",
                         {"degree g", "features of 64 channels", "pays from tokens",
                          "features of 16 channels", "pays from tokens, 16"},
                         break_even));
}

// ---- tensor attention --------------------------------------------------------------------------

/// Tensor attention of order 3 with entries scaled so that the largest is `bound`: a head's queries, and its
/// keys and values twice, the second source in the order of the reversed channels so that the two differ.
tensor_attention::Input<double> tensor_input(const Head& head, double bound) {
  const auto scaled_to = [bound](Array<double> array) {
    const double largest = worst_entry(array);
    for (double& x : array.values()) x *= bound / largest;
    return array;
  };
  const auto part = [](const Array<double>& array) { return corner(array, kTensorTokens, kTensorChannels); };
  Array<double> reversed = part(head.key);
  for (Index j = 0; j < kTensorTokens; ++j) std::reverse(reversed.row(j).begin(), reversed.row(j).end());
  const Array<double> value = part(head.value);
  return {scaled_to(part(head.query)),
          {{scaled_to(part(head.key)), value}, {scaled_to(reversed), value}},
          tensor_attention::paper_scale<double>(kTensorChannels)};
}

/// The range of the products of values, as the bound counts it: the largest modulus.
double value_range(const tensor_attention::Input<double>& in) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (Index a = 0; a < in.sources[0].value.extent(0); ++a) {
    for (Index b = 0; b < in.sources[1].value.extent(0); ++b) {
      for (Index c = 0; c < in.sources[0].value.extent(1); ++c) {
        const double product = in.sources[0].value(a, c) * in.sources[1].value(b, c);
        low = std::min(low, product);
        high = std::max(high, product);
      }
    }
  }
  return high - low;
}

void tensor_blocks(json& blocks, const std::vector<Head>& heads, Steps& steps) {
  json series = json::array(), rows = json::array();
  for (const double bound : {0.5, 1.0, 2.0}) {
    json bound_x = json::array(), bound_y = json::array();
    for (const Head& head : heads) {
      steps.next("tensor attention, " + head.name + ", entries up to " + show_rounded(bound));
      const tensor_attention::Input<double> in = tensor_input(head, bound);
      const Array<double> truth = tensor_attention::direct(in);
      const double range = value_range(in);
      json x = json::array(), y = json::array();
      for (const Index degree : {2, 4, 6, 8, 10}) {
        const Array<double> found = tensor_attention::factored(in, polynomial_exp::taylor<double>(degree));
        const double off = worst_entry(difference(found, truth)) / range;
        x.push_back(degree);
        y.push_back(off);
        if (&head == &heads.front()) {
          const Real50 score = tensor_attention::largest_score(Real50(bound), 3);
          if (polynomial_exp::taylor_relative_error(score, degree) < 1) {
            bound_x.push_back(degree);
            bound_y.push_back(static_cast<double>(tensor_attention::output_error(score, degree)));
          }
        }
      }
      series.push_back({{"name", head.name + ", entries to " + show_rounded(bound)}, {"x", x}, {"y", y}});
    }
    if (bound_x.empty()) continue;  // it says nothing for scores that large
    series.push_back({{"name", "bound, entries to " + show_rounded(bound)},
                      {"x", bound_x},
                      {"y", bound_y},
                      {"dash", true}});
  }
  for (const Index degree : {2, 4, 6, 8, 10}) {
    const auto r = static_cast<double>(polynomial_exp::monomial_count(kTensorChannels, degree));
    const double d = kTensorChannels, columns = kTensorChannels + 1;
    // per token: features of query and two keys, two writes, and one read; the product of the memories once
    const auto pays = [&](double n) {
      return n * (3 * r + 3 * r * columns) + r * columns < n * n * (n * (2 * d + d));
    };
    double n = 1;
    while (!pays(n)) n += 1;
    rows.push_back({degree, r, n});
  }
  blocks.push_back(
      plot("Tensor attention: error against degree and entry size",
           "Attention to pairs of keys (order 3) on 32 tokens and 8 channels, entries scaled so that the "
           "largest is 0.5, 1 or 2, so that no score exceeds its third power. The largest error of an output "
           "over the range of products of values. Dashed: the derived bound, which is attained by the worst "
           "values and scores; it is drawn where it says anything. The bound knows only the largest possible "
           "score; typical scores are far smaller, and so is the error.",
           "line", {"degree g", false}, {"largest error over the range", true}, series));
  blocks.push_back(table("Tensor attention: when the polynomial pays",
                         "Monomials of 8 channels, and the number of tokens from which the factored form "
                         "needs fewer multiplications than all pairs of keys for every query (n^3 (2 d + "
                         "d_v) against n (3 r + 3 r (d_v + 1))).",
                         {"degree g", "monomials r", "pays from tokens"}, rows));
}

// ---- the comparison ----------------------------------------------------------------------------

/// One approximation: its output for a head, and the multiplications that it needs as a share of exact
/// attention's.
struct Candidate {
  std::string name, kind;
  std::function<std::optional<Distance>(const Head&, const Array<double>& truth)> distance_of;
  std::function<double(const Head&)> share;
};

template <class T>
Array<double> softmax_in(const Head& head) {
  const Entry& entry = Registry::instance().entry("softmax_attention");
  Arrays<double> in;
  in.real = {{"query", head.query},
             {"key", head.key},
             {"value", head.value},
             {"scale", Array<double>(Shape{}, kScale)}};
  return converted_arrays<double>(
      entry.form("safe").run<T>(converted_arrays<T>(in), entry.with_defaults({})))["output"];
}

Array<double> window_attention(const Head& head, Index reach) {
  softmax_attention::Problem<double> in = problem(head, false);
  in.mask = softmax_attention::window_mask(in.queries, head.key.extent(0), reach, reach);
  return softmax_attention::safe(in);
}

double window_share(double tokens, double reach) {
  return ((2 * reach + 1) * tokens - reach * (reach + 1)) / (tokens * tokens);
}

std::vector<Candidate> candidates() {
  std::vector<Candidate> all;
  const auto add = [&](std::string name, std::string kind, std::function<Array<double>(const Head&)> output,
                       std::function<double(const Head&)> share) {
    all.push_back({std::move(name), std::move(kind),
                   [output](const Head& head, const Array<double>& truth) {
                     return std::optional(distance(output(head), truth));
                   },
                   std::move(share)});
  };
  const auto constant = [](double share) { return [share](const Head&) { return share; }; };
  add(
      "plain mean of all values", "none", [](const Head& head) { return plain_mean(head.value); },
      constant(0));
  for (const Index reach : {16, 64}) {
    add(
        "window of " + std::to_string(2 * reach + 1) + " keys", "window",
        [reach](const Head& head) { return window_attention(head, reach); },
        constant(window_share(kTokens, static_cast<double>(reach))));
  }
  for (const Index block : {32, 128}) {
    all.push_back({"HyperAttention, b = m = " + std::to_string(block), "hashing and sampling",
                   [block](const Head& head, const Array<double>&) {
                     const Mean mean = code_variant(
                         prepared(head.name, {head.name, head.query, head.key, head.value}, kScale), block,
                         block, 7);
                     return std::optional(Distance{0, mean.error.frobenius, mean.error.worst, true});
                   },
                   [block](const Head& head) {
                     const Subject one = prepared(head.name, head, kScale);
                     return code_variant(one, block, block, 7).cost;
                   }});
  }
  add("linear attention, elu + 1", "feature map", elu_attention, [](const Head& head) {
    return linear_share(64, kTokens, 64, static_cast<double>(head.value.extent(1)));
  });
  for (const Index degree : {2, 4}) {
    all.push_back({"Taylor linear attention, degree " + std::to_string(degree), "polynomial",
                   [degree](const Head& head, const Array<double>& truth) {
                     return taylor_distance(head, degree, truth);
                   },
                   [degree](const Head& head) {
                     return linear_share(static_cast<double>(polynomial_exp::monomial_count(64, degree)),
                                         kTokens, 64, static_cast<double>(head.value.extent(1)));
                   }});
  }
  for (const int bits : {3, 7}) {
    add(
        "L-Mul, " + std::to_string(bits) + " mantissa bits", "arithmetic",
        [bits](const Head& head) {
          const LMulSetting setting(bits, l_mul::Rounding::nearest_even, l_mul::Offset::paper);
          return softmax_in<LMul>(head);
        },
        constant(0));
  }
  add("E4M3 storage, float sums", "arithmetic", softmax_in<Mixed<E4M3, float>>, constant(1));
  add("BFloat16 storage, float sums", "arithmetic", softmax_in<Mixed<BFloat16, float>>, constant(1));
  return all;
}

void comparison_blocks(json& blocks, const std::vector<Head>& heads, Steps& steps) {
  json rows = json::array(), series = json::array();
  std::vector<Array<double>> truths;
  for (const Head& head : heads) truths.push_back(attention(head, false));
  for (const Candidate& one : candidates()) {
    steps.next("comparison, " + one.name);
    json x = json::array(), y = json::array(), text = json::array();
    json row = {one.name, one.kind, 100 * (1 - one.share(heads.front()))};
    for (std::size_t h = 0; h < heads.size(); ++h) {
      const std::optional<Distance> off = one.distance_of(heads[h], truths[h]);
      if (off && off->finite) {
        row.push_back(correct_digits(off->frobenius));
        x.push_back(heads[h].name);
        y.push_back(off->frobenius);
      } else {
        row.push_back(off ? "overflow" : "undefined");
      }
    }
    rows.push_back(row);
    series.push_back({{"name", one.name}, {"x", x}, {"y", y}});
  }
  json columns = {"approximation", "kind", "multiplications saved, percent"};
  for (const Head& head : heads) columns.push_back("digits, " + head.name);
  blocks.push_back(plot("Error by head",
                        "Relative Frobenius error of the output against exact attention, 512 tokens, no "
                        "mask, 8 channels of values. An approximation is worth its price on a head only "
                        "where it lies below the plain mean of all values.",
                        "bar", {"head", false}, {"relative error", true}, series));
  blocks.push_back(
      table("Which approximation, at which price, on which kind of head?",
            "Digits are -log10 of the relative Frobenius error of the output: 1 means a tenth, below 0 the "
            "error is larger than the output. Savings count multiplications of queries with keys and of "
            "weights with values (and of hashes and features) at 512 tokens with 8 channels of values; a "
            "negative saving is a loss. L-Mul replaces all multiplications by integer additions; narrow "
            "storage saves none, it saves bytes. \"undefined\": the weights of some query add up to 0.",
            columns, rows));
}

json run(const std::string& data_folder, const Progress& progress) {
  const std::vector<Head> heads = heads_and_gaussian(data_folder, kTokens, kValues);
  Steps steps(static_cast<int>(heads.size() * 4 + candidates().size()), progress);
  json blocks = json::array();
  blocks.push_back(text_block(
      "Three heads are real (called local, sink and diffuse by where their attention goes), the fourth is "
      "Gaussian; all 64 channels of queries and keys, 8 channels of values, 512 tokens, no mask. Every "
      "approximation answers the same question, and exact attention in double precision is the truth. First "
      "one table for all of them; below it the polynomials, and tensor attention, which has no cheap exact "
      "form at all. HyperAttention has a page of its own, and so have the arithmetics."));
  comparison_blocks(blocks, heads, steps);
  blocks.push_back(
      text_block("What to take from it. Where attention is local, a window is the best buy: 129 of 512 keys "
                 "keep 0.8 digits, and hashing with twice the multiplications keeps 0.1. On the sink and the "
                 "diffuse head nothing that saves three quarters of the multiplications keeps half a digit: "
                 "the missing keys carry the attention. Polynomials are best where logits are small "
                 "(diffuse, Gaussian), and pay only with few channels or many tokens. Narrow arithmetic asks "
                 "nothing of the head: it keeps one to two and a half digits on all four alike."));
  taylor_blocks(blocks, heads, steps);
  tensor_blocks(blocks, heads, steps);
  steps.finish();
  return {{"title", "Which approximation, at which price, on which kind of head?"},
          {"summary",
           "Windows, hashing and sampling, feature maps, polynomials, narrow arithmetic: the digits that "
           "each keeps and the multiplications that it saves, on real heads beside Gaussian inputs."},
          {"blocks", blocks}};
}

const StudyRegistration registration{
    {"approximations", "Which approximation, at which price, on which kind of head?", run}};

}  // namespace
}  // namespace etalon
