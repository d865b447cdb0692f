/// \file
/// `Traced`: a number that knows how long the chain of operations behind it is, as the text is written and as
/// it could be if sums and maxima were bracketed freely. For tiny runs it also records the dataflow graph.
///
/// The same operations are free as in `Counted`: those with a literal 0 or 1 that need no arithmetic, those
/// of literals alone, negation. Every other operation and function has depth 1. A comparison yields a truth
/// value, not a number, and what is then computed does not remember it; `maximum` is an operation.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "reference/array.hpp"
#include "reference/scalar/concepts.hpp"

namespace etalon {

/// The least depth of a tree of binary operations over operands of given depths, when their order and
/// bracketing are free.
///
/// Operands of depths d_i fit below a root of depth D exactly when sum 2^{d_i} <= 2^D, so the least depth is
/// ceil(log2 sum 2^{d_i}). Proof: with operand i at level l_i of a tree of depth D we have d_i + l_i <= D and
/// sum 2^{-l_i} <= 1 (Kraft), hence sum 2^{d_i} <= sum 2^{D - l_i} <= 2^D. Conversely, if the sum is at most
/// 2^D then the levels l_i = D - d_i satisfy Kraft's inequality, and a tree with these levels, or smaller
/// ones, exists.
///
/// The sum is kept as a binary number: the ascending positions of its set bits.
class BracketingDepth {
 public:
  /// No operands yet.
  BracketingDepth() = default;

  /// One operand.
  explicit BracketingDepth(Index depth) : bits_{depth} {}

  /// Takes in the operands of `other`.
  void merge(const BracketingDepth& other) {
    for (const Index bit : other.bits_) add_power(bit);
  }

  /// The least depth, 0 when there are no operands.
  Index depth() const {
    if (bits_.empty()) return 0;
    return bits_.size() == 1 ? bits_.back() : bits_.back() + 1;
  }

 private:
  void add_power(Index bit) {
    auto place = std::lower_bound(bits_.begin(), bits_.end(), bit);
    while (place != bits_.end() && *place == bit) {  // carry
      place = bits_.erase(place);
      ++bit;
    }
    bits_.insert(place, bit);
  }

  std::vector<Index> bits_;
};

/// The dataflow of a run: a node for every datum, literal and operation, in the order of their making.
struct TraceGraph {
  struct Node {
    std::string operation;        ///< "data", "literal", "+", "exp", ...
    std::vector<Index> operands;  ///< positions in `nodes`, all smaller than this node's own
    double value = 0;
  };
  std::vector<Node> nodes;
};

/// Where the operations of this thread are recorded; no graph most of the time.
struct TraceRecorder {
  TraceGraph* graph = nullptr;
  Index recording = 0;  ///< distinguishes the nodes of this recording from those of earlier ones
  Index recordings_begun = 0;
};

inline TraceRecorder& trace_recorder() {
  thread_local TraceRecorder recorder;
  return recorder;
}

/// Records into `graph` while it lives. Values made before are recorded as data when they are first used.
class RecordTrace {
 public:
  explicit RecordTrace(TraceGraph& graph) : outer_(trace_recorder()) {
    TraceRecorder& recorder = trace_recorder();
    recorder.graph = &graph;
    recorder.recording = ++recorder.recordings_begun;
  }
  ~RecordTrace() {
    trace_recorder().graph = outer_.graph;
    trace_recorder().recording = outer_.recording;
  }
  RecordTrace(const RecordTrace&) = delete;
  RecordTrace& operator=(const RecordTrace&) = delete;

 private:
  TraceRecorder outer_;
};

/// A `double` with its depth.
class Traced {
 public:
  /// A literal 0.
  Traced() : Traced(0) {}

  /// A literal of the text.
  template <std::integral Integer>
  explicit Traced(Integer literal) : value_(static_cast<double>(literal)), literal_(true) {
    record_leaf();
  }

  /// Data, of depth 0.
  explicit Traced(double data) : value_(data), literal_(false) { record_leaf(); }

  double value() const { return value_; }
  explicit operator double() const { return value_; }

  /// Operations on the longest chain behind this value, as written.
  Index depth() const { return depth_; }

  /// The same when sums may be reordered and bracketed freely, and likewise maxima. Subtraction is the sum
  /// with a negated term; everything else ends the sum.
  Index free_depth() const { return open_.depth(); }

  Traced operator-() const {
    Traced result = *this;
    result.value_ = -value_;
    if (literal_) {
      result.record_leaf();
      return result;
    }
    if (chain_ == Chain::kMaximum) {  // the negative of a maximum is no maximum; that of a sum is a sum
      result.chain_ = Chain::kNone;
      result.open_ = BracketingDepth(free_depth());
    }
    result.record("-", {this});
    return result;
  }

  friend Traced operator+(const Traced& a, const Traced& b) {
    if (a.is_literal(0)) return b;
    if (b.is_literal(0)) return a;
    return associative("+", Chain::kSum, a.value_ + b.value_, a, b);
  }
  friend Traced operator-(const Traced& a, const Traced& b) {
    if (a.is_literal(0)) return -b;
    if (b.is_literal(0)) return a;
    return associative("-", Chain::kSum, a.value_ - b.value_, a, b);
  }
  friend Traced operator*(const Traced& a, const Traced& b) {
    if (a.is_literal(1)) return b;
    if (b.is_literal(1)) return a;
    return plain("*", a.value_ * b.value_, a.is_literal(0) || b.is_literal(0), {&a, &b});
  }
  friend Traced operator/(const Traced& a, const Traced& b) {
    if (b.is_literal(1)) return a;
    return plain("/", a.value_ / b.value_, a.is_literal(0), {&a, &b});
  }
  friend Traced maximum(const Traced& a, const Traced& b) {
    return associative("max", Chain::kMaximum, a.value_ < b.value_ ? b.value_ : a.value_, a, b);
  }

  Traced& operator+=(const Traced& b) { return *this = *this + b; }
  Traced& operator-=(const Traced& b) { return *this = *this - b; }
  Traced& operator*=(const Traced& b) { return *this = *this * b; }
  Traced& operator/=(const Traced& b) { return *this = *this / b; }

  friend bool operator==(const Traced& a, const Traced& b) { return a.value_ == b.value_; }
  friend auto operator<=>(const Traced& a, const Traced& b) { return a.value_ <=> b.value_; }

  friend Traced exp(const Traced& x) { return plain("exp", std::exp(x.value_), false, {&x}); }
  friend Traced expm1(const Traced& x) { return plain("expm1", std::expm1(x.value_), false, {&x}); }
  friend Traced log(const Traced& x) { return plain("log", std::log(x.value_), false, {&x}); }
  friend Traced log1p(const Traced& x) { return plain("log1p", std::log1p(x.value_), false, {&x}); }
  friend Traced sqrt(const Traced& x) { return plain("sqrt", std::sqrt(x.value_), false, {&x}); }
  friend Traced sin(const Traced& x) { return plain("sin", std::sin(x.value_), false, {&x}); }
  friend Traced cos(const Traced& x) { return plain("cos", std::cos(x.value_), false, {&x}); }
  friend Traced atan(const Traced& x) { return plain("atan", std::atan(x.value_), false, {&x}); }
  friend Traced tanh(const Traced& x) { return plain("tanh", std::tanh(x.value_), false, {&x}); }
  friend bool isfinite(const Traced& x) { return std::isfinite(x.value_); }

 private:
  enum class Chain { kNone, kSum, kMaximum };

  bool is_literal(int number) const { return literal_ && value_ == number; }

  /// The operands that a chain of the given kind sees in this value: its own, or itself as a single one.
  BracketingDepth operands_for(Chain chain) const {
    return chain_ == chain ? open_ : BracketingDepth(open_.depth());
  }

  static Traced associative(std::string_view operation, Chain chain, double value, const Traced& a,
                            const Traced& b) {
    Traced result = plain(operation, value, false, {&a, &b});
    if (result.literal_) return result;
    result.chain_ = chain;
    result.open_ = a.operands_for(chain);
    result.open_.merge(b.operands_for(chain));
    return result;
  }

  /// The result of an operation that ends the sums and maxima of its operands. It is a constant when it is
  /// said to be or when all its operands are literals.
  static Traced plain(std::string_view operation, double value, bool constant,
                      std::initializer_list<const Traced*> operands) {
    Traced result{Unrecorded{}, value};
    bool literals = true;
    Index free_depth = 0;
    for (const Traced* operand : operands) {
      literals = literals && operand->literal_;
      result.depth_ = std::max(result.depth_, operand->depth_ + 1);
      free_depth = std::max(free_depth, operand->free_depth() + 1);
    }
    result.literal_ = constant || literals;
    if (result.literal_) {
      result.depth_ = 0;
      result.record_leaf();
    } else {
      result.open_ = BracketingDepth(free_depth);
      result.record(operation, operands);
    }
    return result;
  }

  struct Unrecorded {};
  Traced(Unrecorded, double value) : value_(value), literal_(false) {}

  void record_leaf() const { append(literal_ ? "literal" : "data", {}); }

  void record(std::string_view operation, std::initializer_list<const Traced*> operands) const {
    if (trace_recorder().graph == nullptr) return;
    std::vector<Index> positions;
    for (const Traced* operand : operands) {
      if (operand->recording_ != trace_recorder().recording) operand->record_leaf();
      positions.push_back(operand->node_);
    }
    append(operation, positions);
  }

  void append(std::string_view operation, const std::vector<Index>& operands) const {
    const TraceRecorder& recorder = trace_recorder();
    if (recorder.graph == nullptr) return;
    node_ = static_cast<Index>(recorder.graph->nodes.size());
    recording_ = recorder.recording;
    recorder.graph->nodes.push_back({std::string(operation), operands, value_});
  }

  double value_;
  bool literal_;
  Index depth_ = 0;
  Chain chain_ = Chain::kNone;
  BracketingDepth open_{0};
  // The node that stands for this value, in the recording that it belongs to; a use may be the first that is
  // seen.
  mutable Index node_ = 0;
  mutable Index recording_ = 0;
};

/// The graph in Graphviz's language; a node's label is its operation and, below, its value. Leaves that
/// nothing uses, such as a literal 0 that a sum started from, are left out.
inline std::string to_dot(const TraceGraph& graph) {
  std::vector<bool> shown(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!graph.nodes[i].operands.empty()) shown[i] = true;
    for (const Index operand : graph.nodes[i].operands) shown[static_cast<std::size_t>(operand)] = true;
  }
  std::string text = "digraph trace {\n";
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!shown[i]) continue;
    const TraceGraph::Node& node = graph.nodes[i];
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), node.value).ptr;
    const std::string name = "n" + std::to_string(i);
    text += "  " + name + " [label=\"" + node.operation + "\\n" + std::string(digits.data(), end) + "\"];\n";
    for (const Index operand : node.operands) text += "  n" + std::to_string(operand) + " -> " + name + ";\n";
  }
  return text + "}\n";
}

}  // namespace etalon
