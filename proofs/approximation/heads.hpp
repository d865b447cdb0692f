/// \file
/// What the studies of approximations share: the real attention heads of `tests/data`, Gaussian twins of
/// them, exact attention with a certified error, error norms, and the blocks that a page is made of.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "proofs/engine/study.hpp"
#include "proofs/engine/values.hpp"
#include "reference/softmax_attention/softmax_attention.hpp"
#include "tools/npy.hpp"

namespace etalon::study_heads {

// ---- heads -------------------------------------------------------------------------------------

/// The inputs of one attention head: n x d_k queries and keys, n x d_v values. Logits are q . k / sqrt(64).
struct Head {
  std::string name;
  Array<double> query, key, value;
};

/// The factor of the logits of the real heads, which have 64 channels.
inline constexpr double kScale = 0.125;

/// The first rows and columns of a matrix.
inline Array<double> corner(const Array<double>& array, Index rows, Index columns) {
  Array<double> part({rows, columns});
  for (Index t = 0; t < rows; ++t) {
    for (Index i = 0; i < columns; ++i) part(t, i) = array(t, i);
  }
  return part;
}

/// The real heads, the first `tokens` of 2048 rows of each, all 64 key channels and the first `values` of 64
/// value channels (channels of values do not mix).
inline std::vector<Head> real_heads(const std::string& data_folder, Index tokens, Index values = 64) {
  std::vector<Head> all;
  for (const char* const name : {"local", "sink", "diffuse"}) {
    const auto read = [&](const char* input, Index columns) {
      const auto path =
          std::filesystem::path(data_folder) / "attention_heads" / name / (std::string(input) + ".npy");
      return corner(npy::to_real(npy::read(path)), tokens, columns);
    };
    all.push_back({name, read("query", 64), read("key", 64), read("value", values)});
  }
  return all;
}

/// Independent normal numbers of the given root mean square.
inline Array<double> normal_numbers(const std::string& name, Index rows, Index columns, double size = 1,
                                    std::uint64_t seed = 1) {
  Array<double> array({rows, columns});
  for (Index i = 0; i < array.size(); ++i) {
    array.values()[static_cast<std::size_t>(i)] =
        size * draw_real({seed, name, i}, Domain::any, Pattern::generic);
  }
  return array;
}

/// Standard normal queries, keys and values: logits of standard deviation 1.
inline Head gaussian_head(Index tokens, Index values = 64) {
  return {"Gaussian", normal_numbers("query", tokens, 64), normal_numbers("key", tokens, 64),
          normal_numbers("value", tokens, values)};
}

inline double frobenius_norm(const Array<double>& matrix) {
  double sum = 0;
  for (const double x : matrix.values()) sum += x * x;
  return std::sqrt(sum);
}

/// Gaussian numbers in the place of a head's own, each array of the same shape and root mean square: what is
/// left of a head when only its size is known.
inline Head gaussian_twin(const Head& head) {
  const auto twin = [&](const std::string& name, const Array<double>& own) {
    const double size = frobenius_norm(own) / std::sqrt(static_cast<double>(own.size()));
    return normal_numbers(head.name + " " + name, own.extent(0), own.extent(1), size);
  };
  return {"Gaussian twin of " + head.name, twin("query", head.query), twin("key", head.key),
          twin("value", head.value)};
}

/// The real heads, then the Gaussian one.
inline std::vector<Head> heads_and_gaussian(const std::string& data_folder, Index tokens, Index values = 64) {
  std::vector<Head> all = real_heads(data_folder, tokens, values);
  all.push_back(gaussian_head(tokens, values));
  return all;
}

// ---- exact attention ---------------------------------------------------------------------------

/// exp(scale q_i . k_j), n x n: the matrix A of attention.
inline Array<double> exponentials(const Head& head, double scale = kScale) {
  const auto score = softmax_attention::dot_product(head.query, head.key, scale);
  Array<double> A({head.query.extent(0), head.key.extent(0)});
  for (Index i = 0; i < A.extent(0); ++i) {
    for (Index j = 0; j < A.extent(1); ++j) A(i, j) = std::exp(score(i, j));
  }
  return A;
}

/// The weights of attention: rows of `exponentials`, only j <= i where causal, divided by their sum.
inline Array<double> weights(const Head& head, bool causal, double scale = kScale) {
  Array<double> P = exponentials(head, scale);
  for (Index i = 0; i < P.extent(0); ++i) {
    double sum = 0;
    for (Index j = 0; j < P.extent(1); ++j) {
      if (causal && j > i) P(i, j) = 0;
      sum += P(i, j);
    }
    for (Index j = 0; j < P.extent(1); ++j) P(i, j) /= sum;
  }
  return P;
}

inline softmax_attention::Problem<double> problem(const Head& head, bool causal, double scale = kScale) {
  softmax_attention::Problem<double> in;
  in.queries = head.query.extent(0);
  in.score = softmax_attention::dot_product(head.query, head.key, scale);
  if (causal) in.mask = softmax_attention::causal_mask(head.query.extent(0), head.key.extent(0));
  in.value = head.value;
  return in;
}

/// Exact attention in double precision.
inline Array<double> attention(const Head& head, bool causal, double scale = kScale) {
  return softmax_attention::safe(problem(head, causal, scale));
}

/// Exact attention in double precision, with the largest error that any of its entries can have, derived by
/// `Bounded`: what makes a double an oracle for errors far above it.
struct Certified {
  Array<double> output;
  double error_bound = 0;
};

inline Certified certified_attention(const Head& head, bool causal, double scale = kScale) {
  using T = Bounded<double>;
  const auto data = [](const Array<double>& from) {
    Array<T> to(from.shape());
    for (std::size_t i = 0; i < to.values().size(); ++i) to.values()[i] = T(from.values()[i]);
    return to;
  };
  const Array<T> query = data(head.query), key = data(head.key);
  softmax_attention::Problem<T> in;
  in.queries = query.extent(0);
  in.score = softmax_attention::dot_product(query, key, T(scale));
  if (causal) in.mask = softmax_attention::causal_mask(query.extent(0), key.extent(0));
  in.value = data(head.value);
  const UseRounding rounding(exact_arithmetic());
  const Array<T> output = softmax_attention::safe(in);
  Certified certified{Array<double>(output.shape()), 0};
  for (std::size_t i = 0; i < output.values().size(); ++i) {
    certified.output.values()[i] = output.values()[i].value();
    certified.error_bound = std::max(certified.error_bound, output.values()[i].error_bound());
  }
  return certified;
}

// ---- norms -------------------------------------------------------------------------------------

inline double worst_entry(const Array<double>& matrix) {
  double worst = 0;
  for (const double x : matrix.values()) worst = std::max(worst, std::abs(x));
  return worst;
}

/// The largest singular value, by power iteration on A^T A from a fixed start, until it moves by less than a
/// part in 10^9 in each of three steps. Every iterate is a lower bound. With few columns A^T A is formed
/// first, which makes steps cheap.
inline double spectral_norm(const Array<double>& matrix) {
  const Index rows = matrix.extent(0), columns = matrix.extent(1);
  const bool narrow = columns <= 128;
  Array<double> gram({narrow ? columns : 0, narrow ? columns : 0});
  for (Index t = 0; narrow && t < rows; ++t) {
    for (Index i = 0; i < columns; ++i) {
      for (Index j = 0; j < columns; ++j) gram(i, j) += matrix(t, i) * matrix(t, j);
    }
  }
  std::vector<double> x(static_cast<std::size_t>(columns)), moved(x.size());
  for (Index j = 0; j < columns; ++j) {
    x[j] = draw_real({1, "power iteration", j}, Domain::any, Pattern::generic);
  }
  double norm = 0;
  int settled = 0;
  for (int step = 0; step < 1000 && settled < 3; ++step) {
    double length = 0;
    for (const double entry : x) length += entry * entry;
    length = std::sqrt(length);
    if (length == 0) return 0;
    for (double& entry : x) entry /= length;
    std::fill(moved.begin(), moved.end(), 0.0);
    double squares = 0;  // |A x|^2 = x^T A^T A x
    for (Index i = 0; i < (narrow ? columns : rows); ++i) {
      const auto row = narrow ? gram.row(i) : matrix.row(i);
      double sum = 0;
      for (Index j = 0; j < columns; ++j) sum += row[j] * x[j];
      squares += narrow ? x[i] * sum : sum * sum;
      if (narrow) {
        moved[i] = sum;
      } else {
        for (Index j = 0; j < columns; ++j) moved[j] += row[j] * sum;
      }
    }
    x = moved;
    const double next = std::sqrt(std::max(squares, 0.0));
    settled = std::abs(next - norm) <= 1e-9 * next ? settled + 1 : 0;
    norm = next;
  }
  return norm;
}

inline Array<double> difference(const Array<double>& a, const Array<double>& b) {
  Array<double> result = a;
  for (std::size_t i = 0; i < result.values().size(); ++i) result.values()[i] -= b.values()[i];
  return result;
}

/// How far a result is from the truth, in three norms, each relative to the same norm of the truth.
struct Distance {
  double spectral = 0, frobenius = 0, worst = 0;
  bool finite = true;
};

inline Distance distance(const Array<double>& found, const Array<double>& truth) {
  const Array<double> error = difference(found, truth);
  Distance result;
  for (const double x : error.values()) result.finite = result.finite && std::isfinite(x);
  if (!result.finite) return result;
  result.spectral = spectral_norm(error) / spectral_norm(truth);
  result.frobenius = frobenius_norm(error) / frobenius_norm(truth);
  result.worst = worst_entry(error) / worst_entry(truth);
  return result;
}

/// Correct decimal digits of a relative error.
inline double correct_digits(double relative_error) {
  return -std::log10(relative_error);
}

// ---- pages -------------------------------------------------------------------------------------

inline nlohmann::json text_block(const std::string& text) {
  return {{"kind", "text"}, {"text", text}};
}

inline nlohmann::json table(const std::string& title, const std::string& note, const nlohmann::json& columns,
                            const nlohmann::json& rows) {
  return {{"kind", "table"}, {"title", title}, {"note", note}, {"columns", columns}, {"rows", rows}};
}

struct Axis {
  std::string label;
  bool log = false;
};

/// \param type line, scatter, bar or heatmap
inline nlohmann::json plot(const std::string& title, const std::string& note, const std::string& type,
                           const Axis& x, const Axis& y, const nlohmann::json& series) {
  return {{"kind", "plot"},
          {"title", title},
          {"note", note},
          {"type", type},
          {"x", {{"label", x.label}, {"log", x.log}}},
          {"y", {{"label", y.label}, {"log", y.log}}},
          {"series", series}};
}

/// Progress over all parts of a study.
class Steps {
 public:
  Steps(int total, const Progress& progress) : total_(total), progress_(progress) {}
  void next(const std::string& doing) { progress_(done_++, total_, doing); }
  void finish() { progress_(total_, total_, "done"); }

 private:
  int done_ = 0, total_;
  const Progress& progress_;
};

}  // namespace etalon::study_heads
