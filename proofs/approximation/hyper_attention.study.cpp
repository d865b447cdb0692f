/// \file
/// The study of HyperAttention: what it loses and what it saves on real heads and on Gaussian inputs, against
/// block size, samples and hash bits, with the parameters of its theorem measured.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "proofs/approximation/hyper_attention_runs.hpp"

namespace etalon {
namespace {

using namespace hyper_attention_runs;
using nlohmann::json;

constexpr Index kTokens = 512, kBits = 7, kBlock = 32, kSamples = 32;

// ---- the parameters of the theorem -------------------------------------------------------------

double kappa_of(const Subject& one, const ha::Blocks& blocks) {
  double least = HUGE_VAL, largest = 0;
  for (Index i = 0; i < one.A.extent(0); ++i) {
    double residual = 0;
    for (Index j = 0; j < one.A.extent(1); ++j) {
      if (blocks.query(i) != blocks.key(j)) residual += one.A(i, j);
    }
    least = std::min(least, residual);
    largest = std::max(largest, residual);
  }
  return largest / least;
}

void parameter_block(json& blocks, const std::vector<Subject>& cases) {
  json rows = json::array();
  for (const Subject& one : cases) {
    const double kappa = kappa_of(one, blocks_of(one.in, 1, kBits, kBlock, Order::gray));
    const auto n = static_cast<double>(kTokens), d_v = static_cast<double>(one.in.value.extent(1));
    const double lemma_1 = std::log10(std::pow(kappa, 7) * one.alpha * one.alpha * 64 * std::log(n));
    const double elementary = 400 * one.alpha * d_v;
    const double exact = 400 * one.expected_values / std::pow(one.P_norm * one.V_norm, 2);
    rows.push_back({one.name, one.alpha, kappa, one.P_norm, one.P_squared,
                    one.P_squared / (one.P_norm * one.P_norm), lemma_1, elementary, exact,
                    error_of(one, plain_mean(one.in.value)).frobenius});
  }
  blocks.push_back(table(
      "The parameters of the theorem, measured",
      "512 tokens, all pairs, blocks of 32 by 7 bits. alpha is n times the largest squared column norm of P, "
      "kappa the largest residual over the least, srank |P|_F^2 / |P|^2. The next three columns are numbers "
      "of samples for an error of half of |P| |V|: what Lemma 1 of the paper asks for with all its constants "
      "taken as 1 (its decimal logarithm), what alpha guarantees with probability 0.99 (400 alpha d_v), and "
      "the same from the exact second moment instead of alpha. There are 512 keys: wherever a number is "
      "larger, the guarantee says nothing, and computing all pairs is cheaper. Last, the relative Frobenius "
      "error of the cheapest answer there is, the mean of all values for every query.",
      {"head", "alpha", "kappa", "|P|", "|P|_F^2", "srank P", "Lemma 1, log10 samples", "alpha: samples",
       "second moment: samples", "plain mean: relative error"},
      rows));
}

/// Normaliser, value sampling, and both, over samples; the paper's algorithm without a cap.
struct PaperErrors {
  double eta = 0, e_D = 0, e_V = 0, bound_V = 0, e_3 = 0, e_code = 0;
};

PaperErrors paper_errors(const Subject& one, Index block, Index samples, Index bits, Index draws) {
  PaperErrors mean;
  const double size = one.P_norm * one.V_norm, count = static_cast<double>(draws);
  const Index keys = one.in.key.extent(0);
  for (Index draw = 1; draw <= draws; ++draw) {
    const auto seed = static_cast<std::uint64_t>(draw);
    const ha::Blocks blocks = blocks_of(one.in, seed, bits, block, Order::gray);
    const ha::Mask mask = ha::mask_of(blocks);
    const Array<Index> list = uniform_keys(seed, "samples", keys, samples);
    const Array<Index> rows = uniform_keys(seed, "rows", keys, samples);
    const Array<Index> values = keys_by_value(seed, one.in.value, samples);
    const Array<double> D = ha::approximate_normaliser(one.in, mask, list, rows, 1 / kappa_of(one, blocks),
                                                       std::optional<double>());
    Array<double> rescaled = one.P;
    double eta = 0;
    for (Index i = 0; i < keys; ++i) {
      const double off = one.D(i) / D(i) - 1;
      eta = std::max(eta, std::abs(off));
      for (Index j = 0; j < keys; ++j) rescaled(i, j) *= off;
    }
    mean.eta += eta / count;
    mean.e_D += spectral_norm(rescaled) / one.P_norm / count;
    mean.e_V += error_of(one, ha::value_sampled(one.in, values, one.D)).theorem / count;
    mean.e_3 += error_of(one, ha::value_sampled(one.in, values, D)).theorem / count;
    mean.e_code += error_of(one, ha::self_normalised(one.in, mask, list)).theorem / count;
  }
  mean.bound_V = std::sqrt(one.expected_values / static_cast<double>(samples)) / size;
  return mean;
}

/// Inputs that the hash was made for: `directions` random unit directions, queries and keys near them.
Head clusters(Index tokens, Index channels, Index directions, std::uint64_t seed) {
  Array<double> unit = normal_numbers("direction", directions, channels, 1, seed);
  for (Index a = 0; a < directions; ++a) {
    double square = 0;
    for (Index c = 0; c < channels; ++c) square += unit(a, c) * unit(a, c);
    for (Index c = 0; c < channels; ++c) unit(a, c) /= std::sqrt(square);
  }
  const auto near = [&](const char* name) {
    Array<double> vectors = normal_numbers(name, tokens, channels, 0.25 / 4, seed);
    const Array<Index> which = uniform_keys(seed, name, directions, tokens);
    for (Index i = 0; i < tokens; ++i) {
      for (Index c = 0; c < channels; ++c) vectors(i, c) = 3 * (vectors(i, c) + unit(which(i), c));
    }
    return vectors;
  };
  return {"clusters", near("query"), near("key"), normal_numbers("value", tokens, channels, 1, seed)};
}

void protocol_block(json& blocks, const std::vector<Subject>& small) {
  json rows = json::array();
  for (const Subject& one : small) {
    for (const Index samples : {16, 64, 256}) {
      const PaperErrors mean = paper_errors(one, kBlock, samples, kBits, 10);
      rows.push_back(
          {one.name, one.alpha, samples, mean.eta, mean.e_D, mean.e_V, mean.bound_V, mean.e_3, mean.e_code});
    }
  }
  blocks.push_back(table(
      "The two algorithms on small inputs",
      "256 tokens, 16 channels, blocks of 32 by 7 bits, means over 10 draws. Gaussian: normal queries and "
      "keys over the fourth root of 16. Clusters: 16 random directions, three times (direction + noise). eta "
      "is the largest relative error of a normaliser and bounds the next column; the others are spectral "
      "norms over |P| |V|: value sampling over the exact normaliser, the root of its exact second moment (an "
      "upper bound of its mean), the paper's Algorithm 3, and the released code's variant. With clusters the "
      "residuals differ by orders of magnitude (kappa), a few samples miss nearly all of a row, and "
      "Algorithm 3 divides by too little; the code's variant is an average of values whatever happens.",
      {"inputs", "alpha", "samples", "eta", "normaliser", "values", "bound of values", "Algorithm 3", "code"},
      rows));
}

// ---- sortLSH -----------------------------------------------------------------------------------

void order_blocks(json& blocks, const std::vector<Subject>& cases) {
  const std::pair<Order, const char*> orders[] = {{Order::gray, "Gray position"},
                                                  {Order::code, "Gray word (released code)"},
                                                  {Order::binary, "plain code (JAX)"},
                                                  {Order::random, "random"}};
  json rows = json::array();
  for (const Subject& one : cases) {
    json row = {one.name};
    for (const auto& [order, name] : orders) {
      double sum = 0;
      constexpr std::uint64_t kHashes = 40;
      for (std::uint64_t seed = 1; seed <= kHashes; ++seed) {
        sum += captured(one, blocks_of(one.in, seed, kBits, kBlock, order)) / kHashes;
      }
      row.push_back(sum);
    }
    row.push_back(static_cast<double>(kBlock) / static_cast<double>(one.in.key.extent(0)));
    rows.push_back(row);
  }
  blocks.push_back(table(
      "What the hash brings together",
      "The share of the attention that falls into blocks of 32 keys, by 7 hash bits, mean of 40 hashes, when "
      "codes are sorted in different orders. A random order captures b / n on average, exactly. The three "
      "orders hardly differ: within a block all that counts is that equal codes stay together; the order of "
      "different ones matters at the seams only. On the real heads the hash earns a factor of about two over "
      "chance at most; on clusters, for which it was made, four and a half.",
      {"head", "Gray position", "Gray word (released code)", "plain code (JAX)", "random", "b / n"}, rows));
  json series = json::array();
  for (const Subject& one : cases) {
    json x = json::array(), y = json::array();
    for (const Index block : {8, 16, 32, 64, 128, 256, 512}) {
      if (block > one.in.key.extent(0)) continue;
      double sum = 0;
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        sum += captured(one, blocks_of(one.in, seed, kBits, block, Order::gray)) / 4;
      }
      x.push_back(static_cast<double>(block) / static_cast<double>(one.in.key.extent(0)));
      y.push_back(sum);
    }
    series.push_back({{"name", one.name}, {"x", x}, {"y", y}});
  }
  series.push_back({{"name", "random order"}, {"x", {0.015625, 1}}, {"y", {0.015625, 1}}, {"dash", true}});
  blocks.push_back(plot(
      "Attention inside the blocks",
      "The share of the attention that blocks capture against the share of all pairs that they hold, 7 bits. "
      "Dashed: what a random order captures. The distance above the dashed line is what the hash earns.",
      "line", {"share of the pairs, b / n", true}, {"share of the attention", true}, series));
}

// ---- error and cost ----------------------------------------------------------------------------

void cost_blocks(json& blocks, const std::vector<Subject>& cases, Steps& steps) {
  json error = json::array(), rows = json::array(), block_series = json::array();
  for (const Subject& one : cases) {
    steps.next("error and cost, " + one.name);
    json x = json::array(), y = json::array(), text = json::array();
    json sizes = json::array(), of_size = json::array();
    for (const Index block : {16, 32, 64, 128, 256}) {
      for (const Index samples : {Index{0}, block}) {
        const Mean mean = code_variant(one, block, samples, kBits);
        x.push_back(mean.cost);
        y.push_back(mean.error.frobenius);
        text.push_back("b = " + std::to_string(block) + ", m = " + std::to_string(samples));
        if (samples == 0) {
          sizes.push_back(block);
          of_size.push_back(mean.error.frobenius);
        }
        rows.push_back({one.name, block, samples, mean.error.theorem, mean.error.frobenius, mean.error.worst,
                        correct_digits(mean.error.frobenius), 100 * (1 - mean.cost)});
      }
    }
    error.push_back({{"name", one.name}, {"x", x}, {"y", y}, {"text", text}});
    block_series.push_back({{"name", one.name}, {"x", sizes}, {"y", of_size}});
  }
  blocks.push_back(plot("Error against cost",
                        "The code's variant with 7 bits, every block size and number of samples, 512 tokens: "
                        "relative Frobenius error of the output against the multiplications used, as a share "
                        "of exact attention's. A point at 1 has saved nothing. To be of use a point must lie "
                        "below the error of the plain mean, which costs nothing (table above).",
                        "scatter", {"share of the multiplications", true}, {"relative error", true}, error));
  blocks.push_back(plot("Error of blocks alone", "No samples: attention inside blocks of b keys, 7 bits.",
                        "line", {"block size b", true}, {"relative error", true}, block_series));
  blocks.push_back(table("Digits kept and multiplications saved",
                         "Means over 3 draws (2 without samples). The spectral error is over |P| |V|, as in "
                         "the theorem; Frobenius and worst entry are over those of the true output. Digits "
                         "are -log10 of the Frobenius error; below 0 the error is larger than the output. A "
                         "negative saving is a loss. Multiplications count hash, pairs and merges.",
                         {"head", "block b", "samples m", "spectral error", "Frobenius", "worst entry",
                          "digits", "saved, percent"},
                         rows));
}

void sample_blocks(json& blocks, const std::vector<Subject>& cases, Steps& steps) {
  for (const Subject& one : cases) {
    steps.next("samples, " + one.name);
    json x = json::array(), values = json::array(), bound = json::array(), paper = json::array(),
         code = json::array(), normaliser = json::array();
    json bound_x = json::array();
    const double alone = code_variant(one, kBlock, 0, kBits).error.theorem;
    for (const Index samples : {8, 32, 128, 512}) {
      const PaperErrors mean = paper_errors(one, kBlock, samples, kBits, 2);
      x.push_back(samples);
      values.push_back(mean.e_V);
      paper.push_back(mean.e_3);
      code.push_back(mean.e_code);
      normaliser.push_back(mean.e_D);
      bound_x.push_back(samples);
      bound.push_back(mean.bound_V);
    }
    blocks.push_back(
        plot("Error against samples, " + one.name,
             "Spectral errors over |P| |V|, blocks of 32 by 7 bits, means over 2 draws. Dashed: the theorem "
             "as far as it says anything here, the root of the exact second moment of value sampling; it "
             "bounds the curve of value sampling on average. Algorithm 3 has the error of the normaliser on "
             "top. Blocks alone: no samples. Above 1 an approximation is worse than answering 0.",
             "line", {"samples m", true}, {"error", true},
             {{{"name", "released code"}, {"x", x}, {"y", code}},
              {{"name", "Algorithm 3"}, {"x", x}, {"y", paper}},
              {{"name", "its normaliser"}, {"x", x}, {"y", normaliser}},
              {{"name", "its value sampling"}, {"x", x}, {"y", values}},
              {{"name", "bound of value sampling"}, {"x", bound_x}, {"y", bound}, {"dash", true}},
              {{"name", "blocks alone"}, {"x", {8, 512}}, {"y", {alone, alone}}, {"dash", true}}}));
  }
}

void bit_blocks(json& blocks, const std::vector<Subject>& cases, Steps& steps) {
  json series = json::array();
  for (const Subject& one : cases) {
    steps.next("hash bits, " + one.name);
    json x = json::array(), y = json::array();
    for (const Index bits : {1, 2, 3, 5, 7, 10, 16}) {
      x.push_back(bits);
      y.push_back(code_variant(one, kBlock, kSamples, bits).error.frobenius);
    }
    series.push_back({{"name", one.name}, {"x", x}, {"y", y}});
  }
  blocks.push_back(
      plot("Error against hash bits",
           "The code's variant with blocks of 32 and 32 samples, means over 3 draws. With few bits most keys "
           "of a block share a code by chance; with many the order of different codes decides.",
           "line", {"hash bits r", false}, {"relative error", true}, series));
}

std::string scientific(double x) {
  std::ostringstream text;
  text.precision(1);
  text << std::scientific << x;
  return text.str();
}

/// Causal: the halves recursively, exact up to a length.
void causal_blocks(json& blocks, const std::vector<Head>& heads, Steps& steps) {
  json series = json::array();
  constexpr Index block = 16;
  double certain = 0;
  for (const Head& head : heads) {
    steps.next("causal, " + head.name);
    const Array<double> truth = attention(head, true);
    const auto begin = [](const Array<double>& array) { return corner(array, 96, array.extent(1)); };
    const Certified certified =
        certified_attention({head.name, begin(head.query), begin(head.key), begin(head.value)}, true);
    certain = std::max(certain, certified.error_bound);
    json x = json::array(), y = json::array(), text = json::array();
    const ha::Input<double> in{head.query, head.key, head.value, kScale};
    const Array<double> directions = normal_numbers("directions", in.key.extent(1), kBits);
    for (Index base = 2 * block; base < kTokens; base *= 2) {
      ha::Recursion recursion{ha::codes(in.query, directions),
                              ha::codes(in.key, directions),
                              block,
                              base,
                              0,
                              [](Index first, Index keys) {
                                return uniform_keys(static_cast<std::uint64_t>(first + 1), "causal samples",
                                                    keys, block);
                              }};
      const Distance off = distance(ha::causal(in, recursion), truth);
      Index levels = 0;
      while (base << levels < kTokens) ++levels;
      const ha::Pairs pairs = ha::causal_pairs(base, levels, block, block);
      x.push_back(static_cast<double>(pairs.exact + pairs.approximate) /
                  (static_cast<double>(kTokens) * static_cast<double>(kTokens + 1) / 2));
      y.push_back(off.frobenius);
      text.push_back("exact up to " + std::to_string(base));
    }
    series.push_back({{"name", head.name}, {"x", x}, {"y", y}, {"text", text}});
  }
  blocks.push_back(
      plot("Causal: error against pairs",
           "The causal recursion with blocks of 16 and 16 samples off the diagonal, exact on parts of up to "
           "32 ... 256 tokens, against the pairs it computes over those of exact causal attention. The truth "
           "is computed in double precision; over the first 96 tokens its errors are below " +
               scientific(certain) + " for certain.",
           "line", {"share of the pairs", true}, {"relative error", true}, series));
}

json run(const std::string& data_folder, const Progress& progress) {
  const std::vector<Head> heads = heads_and_gaussian(data_folder, kTokens);
  Steps steps(static_cast<int>(5 + 5 * heads.size() + 2), progress);
  json blocks = json::array();
  std::vector<Subject> cases;
  for (const Head& head : heads) {
    steps.next("exact attention, " + head.name);
    cases.push_back(prepared(head.name, head, kScale));
  }
  blocks.push_back(text_block(
      "HyperAttention hashes queries and keys, sorts both by hash, computes blocks on the diagonal exactly "
      "and estimates the rest from samples. Three heads are real, all 64 channels of the first 512 tokens, "
      "attended without a mask as the theorem assumes; Gaussian ones are standard normal. Logits are q . k / "
      "8. All hashes and samples are drawn from fixed seeds."));
  steps.next("parameters of the theorem");
  parameter_block(blocks, cases);
  steps.next("orders of the hash");
  std::vector<Subject> small;
  Head gaussian{"Gaussian, 16 channels", normal_numbers("query", 256, 16, 0.5),
                normal_numbers("key", 256, 16, 0.5), normal_numbers("value", 256, 16)};
  small.push_back(prepared(gaussian.name, gaussian, 1));
  small.push_back(prepared("clusters", clusters(256, 16, 16, 1), 1));
  std::vector<Subject> ordered = cases;
  ordered.push_back(small.back());
  order_blocks(blocks, ordered);
  steps.next("both algorithms on small inputs");
  protocol_block(blocks, small);
  cost_blocks(blocks, cases, steps);
  sample_blocks(blocks, cases, steps);
  bit_blocks(blocks, cases, steps);
  causal_blocks(blocks, heads, steps);
  steps.finish();
  return {{"title", "HyperAttention: what it loses, what it saves"},
          {"summary",
           "Error and cost of HyperAttention against block size, samples and hash bits on real heads and "
           "Gaussian inputs, with the parameters alpha and kappa of its theorem measured."},
          {"blocks", blocks}};
}

const StudyRegistration registration{
    {"hyper_attention", "HyperAttention: what it loses, what it saves", run}};

}  // namespace
}  // namespace etalon
