/// \file
/// The depths of `Traced` against known ones and against brute force over all bracketings, and the graph that
/// it draws.
#include "reference/scalar/traced.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "reference/array.hpp"

namespace etalon {
namespace {

static_assert(Real<Traced>);

using Depths = std::pair<Index, Index>;
Depths depths(const Traced& x) {
  return {x.depth(), x.free_depth()};
}

Traced dot_product(const std::vector<Traced>& a, const std::vector<Traced>& b) {
  Traced sum(0);
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// A datum behind `depth` operations.
Traced datum_of_depth(Index depth) {
  Traced x(0.5);
  for (Index i = 0; i < depth; ++i) x = exp(-x);
  return x;
}

Index ceil_log2(Index n) {
  Index result = 0;
  while ((Index{1} << result) < n) ++result;
  return result;
}

/// The least depth over all ways to combine the operands in pairs, by trying all of them.
Index least_depth(const std::vector<Index>& operands) {
  if (operands.size() == 1) return operands.front();
  Index least = std::numeric_limits<Index>::max();
  for (std::size_t i = 0; i < operands.size(); ++i) {
    for (std::size_t j = i + 1; j < operands.size(); ++j) {
      std::vector<Index> rest = operands;
      rest[i] = std::max(operands[i], operands[j]) + 1;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(j));
      least = std::min(least, least_depth(rest));
    }
  }
  return least;
}

/// Calls `visit` with every ascending sequence of `size` depths between `from` and `to`.
template <class Visit>
void each_multiset(std::vector<Index>& chosen, std::size_t size, Index from, Index to, const Visit& visit) {
  if (chosen.size() == size) return visit(chosen);
  for (Index depth = from; depth <= to; ++depth) {
    chosen.push_back(depth);
    each_multiset(chosen, size, depth, to, visit);
    chosen.pop_back();
  }
}

TEST(Traced, FreeDepthIsTheLeastOverAllBracketings) {
  int multisets = 0;
  for (const std::size_t size : {1u, 2u, 3u, 4u, 5u, 6u}) {
    std::vector<Index> chosen;
    each_multiset(chosen, size, 0, 4, [&](const std::vector<Index>& operands) {
      ++multisets;
      const Index expected = least_depth(operands);
      Traced sum(0);
      Traced largest = datum_of_depth(operands.front());
      for (std::size_t i = 0; i < operands.size(); ++i) {
        const Traced term = datum_of_depth(operands[i]);
        sum = i % 2 == 0 ? sum + term : sum - term;
        if (i > 0) largest = maximum(largest, term);
      }
      EXPECT_EQ(sum.free_depth(), expected);
      EXPECT_EQ(largest.free_depth(), expected);
    });
  }
  EXPECT_EQ(multisets, 5 + 15 + 35 + 70 + 126 + 210);
}

TEST(Traced, DotProduct) {
  for (const Index n : {1, 2, 3, 8, 9, 100}) {
    const std::vector<Traced> a(static_cast<std::size_t>(n), Traced(2.0));
    EXPECT_EQ(depths(dot_product(a, a)), Depths(n, 1 + ceil_log2(n))) << n;
  }
}

TEST(Traced, PrefixSum) {
  Traced running(0);
  for (Index t = 1; t <= 70; ++t) {
    running += Traced(1.0);
    EXPECT_EQ(depths(running), Depths(t - 1, ceil_log2(t)));
  }
}

TEST(Traced, SoftmaxAttentionRowHasDepths1034And17) {
  const std::vector<Traced> query(8, Traced(0.25));
  Traced normaliser(0);
  Traced weighted(0);
  for (int j = 0; j < 1024; ++j) {
    const std::vector<Traced> key(8, Traced(0.5));
    const Traced weight = exp(dot_product(query, key));
    normaliser += weight;
    weighted += weight * Traced(1.0);
  }
  EXPECT_EQ(depths(weighted / normaliser), Depths(1034, 17));
}

TEST(Traced, OtherOperationsEndASum) {
  const Traced x(0.5);
  const Traced sum = x + x + x;
  EXPECT_EQ(depths(sum), Depths(2, 2));
  EXPECT_EQ(depths(sum + x), Depths(3, 2));
  EXPECT_EQ(depths(x - sum), Depths(3, 2));
  EXPECT_EQ(depths(-sum + x), Depths(3, 2));
  EXPECT_EQ(depths(Traced(0) - sum), Depths(2, 2));
  EXPECT_EQ(depths(Traced(1) * sum + x), Depths(3, 2));
  EXPECT_EQ(depths(maximum(sum, x)), Depths(3, 3));
  EXPECT_EQ(depths(maximum(sum, x) + x), Depths(4, 4));
  EXPECT_EQ(depths(sum * x + x), Depths(4, 4));
  for (const Traced& y : {exp(sum), expm1(sum), log(sum), log1p(sum), sqrt(sum), sin(sum), cos(sum),
                          atan(sum), tanh(sum), sum / x, sum * Traced(2)}) {
    EXPECT_EQ(depths(y), Depths(3, 3));
  }
}

TEST(Traced, TheNegativeOfAMaximumIsNoMaximum) {
  const Traced x(0.5);
  const Traced largest = maximum(maximum(maximum(x, x), x), x);
  EXPECT_EQ(depths(maximum(largest, maximum(x, x))), Depths(4, 3));
  EXPECT_EQ(depths(maximum(-largest, x)), Depths(4, 3));
  EXPECT_EQ(depths(maximum(-largest, maximum(-largest, x))), Depths(5, 4));
}

TEST(Traced, OperationsOfLiteralsAreFree) {
  const Traced x(0.5);
  EXPECT_EQ(depths(x * (Traced(1) / Traced(3))), Depths(1, 1));
  EXPECT_EQ(depths(pi<Traced>() * x), Depths(1, 1));
  EXPECT_EQ(depths(Traced(0) * exp(x) + x), Depths(0, 0));
  EXPECT_EQ(depths(Traced(0) / exp(x)), Depths(0, 0));
  EXPECT_EQ(depths(exp(x) / Traced(1)), Depths(1, 1));
  EXPECT_EQ(depths(x + Traced(1)), Depths(1, 1));
  EXPECT_EQ(depths(maximum(Traced(0), x)), Depths(1, 1));
  EXPECT_EQ(depths(maximum(Traced(2), Traced(3))), Depths(0, 0));
  // The maximum happens to be the literal 0, but is not known to be one.
  EXPECT_EQ(depths(maximum(Traced(0), -x) + x), Depths(2, 2));
}

TEST(Traced, ComputesWhatDoubleComputes) {
  const double x = 0.3;
  const Traced t(x);
  EXPECT_EQ(exp(t).value(), std::exp(x));
  EXPECT_EQ(expm1(t).value(), std::expm1(x));
  EXPECT_EQ(log(t).value(), std::log(x));
  EXPECT_EQ(log1p(t).value(), std::log1p(x));
  EXPECT_EQ(sqrt(t).value(), std::sqrt(x));
  EXPECT_EQ(sin(t).value(), std::sin(x));
  EXPECT_EQ(cos(t).value(), std::cos(x));
  EXPECT_EQ(atan(t).value(), std::atan(x));
  EXPECT_EQ(tanh(t).value(), std::tanh(x));
  EXPECT_EQ(maximum(t, -t).value(), x);
  EXPECT_TRUE(t > Traced(0) && -t < t && t >= t && t <= t);
  EXPECT_EQ(static_cast<double>((t - Traced(2)) / t), (x - 2) / x);
  EXPECT_FALSE(finite(Traced(std::numeric_limits<double>::infinity())));
}

TEST(Traced, GraphOfADotProductOfLengthTwo) {
  const std::vector<Traced> query = {Traced(2.0), Traced(3.0)};
  const std::vector<Traced> key = {Traced(0.5), Traced(-1.0)};
  TraceGraph graph;
  {
    const RecordTrace recording(graph);
    dot_product(query, key);
  }
  exp(query[0]);  // after the recording: not in the graph
  EXPECT_EQ(to_dot(graph),
            "digraph trace {\n"
            "  n1 [label=\"data\\n2\"];\n"
            "  n2 [label=\"data\\n0.5\"];\n"
            "  n3 [label=\"*\\n1\"];\n"
            "  n1 -> n3;\n"
            "  n2 -> n3;\n"
            "  n4 [label=\"data\\n3\"];\n"
            "  n5 [label=\"data\\n-1\"];\n"
            "  n6 [label=\"*\\n-3\"];\n"
            "  n4 -> n6;\n"
            "  n5 -> n6;\n"
            "  n7 [label=\"+\\n-2\"];\n"
            "  n3 -> n7;\n"
            "  n6 -> n7;\n"
            "}\n");
}

TEST(Traced, AValueOfAnEarlierRecordingIsDataOfTheNext) {
  TraceGraph first;
  TraceGraph second;
  Traced x(2.0);
  {
    const RecordTrace recording(first);
    x = x * x;
    {
      const RecordTrace inner(second);
      x + x;
    }
    exp(x);
  }
  ASSERT_EQ(second.nodes.size(), 2u);
  EXPECT_EQ(second.nodes[0].operation, "data");
  EXPECT_EQ(second.nodes[0].value, 4);
  EXPECT_EQ(second.nodes[1].operands, (std::vector<Index>{0, 0}));
  EXPECT_EQ(first.nodes.back().operation, "exp");
  EXPECT_EQ(first.nodes.back().value, std::exp(4.0));
  const TraceGraph::Node& operand = first.nodes[static_cast<std::size_t>(first.nodes.back().operands[0])];
  EXPECT_EQ(operand.value, 4);
}

}  // namespace
}  // namespace etalon
