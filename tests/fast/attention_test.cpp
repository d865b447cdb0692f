/// \file
/// Core 1 on the CPU against the text of softmax attention, within the derived budget, for every instruction
/// set.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/attention_budget.hpp"
#include "tests/fast/support.hpp"

namespace etalon::fast_test {
namespace {

using fast::Mask;

enum class Bias { none, one, every };  // none; the same for all batches and heads; one for each

struct Case {
  std::string name;
  std::int64_t queries, keys, d, e;
  std::int64_t batch = 1, heads = 1, groups = 1;
  Mask::Kind kind = Mask::Kind::full;
  std::int64_t before = 0, after = 0, block = 0;
  Bias bias = Bias::none;
  double logits = 2;  ///< standard deviation of the scores, roughly
  Layout layout = Layout::contiguous;
  bool backward = true;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

/// All tensors of one case, filled; outputs are not written yet.
struct Attention {
  Case sizes;
  std::vector<std::uint8_t> blocks;
  Storage q, k, v, o, log_sum, bias, d_o, dq, dk, dv;
  fast::AttentionBackward call;

  explicit Attention(const Case& c)
      : sizes(c),
        q(c.batch, c.queries, c.heads, c.d, c.layout),
        k(c.batch, c.keys, c.groups, c.d, c.layout),
        v(c.batch, c.keys, c.groups, c.e, c.layout),
        o(c.batch, c.queries, c.heads, c.e, c.layout),
        log_sum(c.batch, c.queries, c.heads, 1, c.layout),
        bias(c.bias == Bias::every ? c.batch : 1, c.queries, c.bias == Bias::every ? c.heads : 1, c.keys,
             c.layout),
        d_o(c.batch, c.queries, c.heads, c.e, c.layout),
        dq(c.batch, c.queries, c.heads, c.d, c.layout),
        dk(c.batch, c.keys, c.groups, c.d, c.layout),
        dv(c.batch, c.keys, c.groups, c.e, c.layout) {
    q.fill(normal(1));
    k.fill(normal(2));
    v.fill(normal(3));
    bias.fill(normal(4));
    d_o.fill(normal(5));
    fast::Attention& forward = call.forward;
    forward.q = q.view();
    forward.k = k.view();
    forward.v = v.view();
    forward.o = o.view();
    forward.log_sum = log_sum.view();
    if (c.bias != Bias::none) forward.bias = bias.view();
    forward.scale = static_cast<float>(c.logits / std::sqrt(static_cast<double>(c.d)));
    forward.mask.kind = c.kind;
    forward.mask.before = c.before;
    forward.mask.after = c.after;
    if (c.kind == Mask::Kind::blocks) {
      forward.mask.block = c.block;
      forward.mask.block_rows = (c.queries + c.block - 1) / c.block;
      forward.mask.block_columns = (c.keys + c.block - 1) / c.block;
      auto number = uniform(6, 0, 1);
      for (std::int64_t tile = 0; tile < forward.mask.block_rows * forward.mask.block_columns; ++tile) {
        // About half of the tiles, and the first row of tiles sees nothing if there is another.
        const bool hidden_row = forward.mask.block_rows > 1 && tile < forward.mask.block_columns;
        blocks.push_back(number() < 0.5 && !hidden_row ? 1 : 0);
      }
      forward.mask.blocks = blocks.data();
    }
    call.d_o = d_o.view();
    call.dq = dq.view();
    call.dk = dk.view();
    call.dv = dv.view();
  }
  Attention(const Attention&) = delete;
  Attention& operator=(const Attention&) = delete;

  AttentionHead head(std::int64_t b, std::int64_t h) const {
    const std::int64_t group = h / (sizes.heads / sizes.groups), n = sizes.queries, m = sizes.keys;
    AttentionHead head{q.matrix(b, h), k.matrix(b, group), v.matrix(b, group), std::nullopt, 1, {}, 0};
    if (sizes.bias == Bias::one) head.bias = bias.matrix(0, 0);
    if (sizes.bias == Bias::every) head.bias = bias.matrix(b, h);
    head.scale = static_cast<double>(call.forward.scale);
    head.updates = tiles(m);
    switch (sizes.kind) {
      case Mask::Kind::full:
        head.mask = softmax_attention::full_mask();
        break;
      case Mask::Kind::causal:
        head.mask = softmax_attention::causal_mask(n, m);
        break;
      case Mask::Kind::window:
        head.mask = softmax_attention::window_mask(n, m, sizes.before, sizes.after);
        break;
      case Mask::Kind::blocks: {
        const Mask& mask = call.forward.mask;
        head.mask = [&mask](Index i, Index j) {
          return mask.blocks[i / mask.block * mask.block_columns + j / mask.block] != 0;
        };
        head.updates += mask.block_columns;  // a tile is cut where hidden blocks begin
        break;
      }
    }
    return head;
  }

  std::vector<float> results() const {
    std::vector<float> all;
    for (const Storage* x : {&o, &log_sum, &dq, &dk, &dv}) {
      all.insert(all.end(), x->memory().begin(), x->memory().end());
    }
    return all;
  }
};

/// What the text says about a case. Computed once for all instruction sets.
struct Expected {
  std::vector<AttentionBudget> forward;     // for every batch and head
  std::vector<AttentionGradient> gradient;  // likewise; dk and dv are those of the whole group

  explicit Expected(const Attention& attention) {
    const Case& c = attention.sizes;
    for (std::int64_t b = 0; b < c.batch; ++b) {
      for (std::int64_t h = 0; h < c.heads; ++h) {
        const AttentionHead head = attention.head(b, h);
        forward.push_back(attention_budget(head));
        if (c.backward) {
          gradient.push_back(
              attention_gradient(head, forward.back(), attention.d_o.matrix(b, h), c.heads / c.groups));
        }
      }
    }
    if (c.backward) add_up_groups(c);
  }

  void add_up_groups(const Case& c) {
    const std::int64_t members = c.heads / c.groups;
    const auto add = [](Array<double>& sum, const Array<double>& x) {
      for (Index a = 0; a < sum.size(); ++a) sum.values()[a] += x.values()[a];
    };
    for (std::size_t first = 0; first < gradient.size(); first += members) {
      for (std::size_t other = first + 1; other < first + members; ++other) {
        add(gradient[first].dk, gradient[other].dk);
        add(gradient[first].dv, gradient[other].dv);
        add(gradient[first].dk_budget, gradient[other].dk_budget);
        add(gradient[first].dv_budget, gradient[other].dv_budget);
      }
    }
  }
};

testing::AssertionResult forward_within(const Attention& attention, const Expected& expected, double& worst) {
  const Case& c = attention.sizes;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      const AttentionBudget& text = expected.forward[b * c.heads + h];
      auto result = within("o", attention.o, b, h, text.o, text.o_budget, worst);
      if (result)
        result = within("log_sum", attention.log_sum, b, h, text.log_sum, text.log_sum_budget, worst);
      if (!result) return result;
    }
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult backward_within(const Attention& attention, const Expected& expected,
                                         double& worst) {
  const Case& c = attention.sizes;
  const std::int64_t members = c.heads / c.groups;
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      const AttentionGradient& text = expected.gradient[b * c.heads + h];
      auto result = within("dq", attention.dq, b, h, text.dq, text.dq_budget, worst);
      if (result && h % members == 0) {
        result = within("dk", attention.dk, b, h / members, text.dk, text.dk_budget, worst);
        if (result) result = within("dv", attention.dv, b, h / members, text.dv, text.dv_budget, worst);
      }
      if (!result) return result;
    }
  }
  return testing::AssertionSuccess();
}

class AttentionCase : public testing::TestWithParam<Case> {};

TEST_P(AttentionCase, IsWithinTheBudget) {
  const Case& c = GetParam();
  const Expected expected{Attention(c)};
  double worst = 0, worst_gradient = 0;
  for_each_target([&] {
    std::vector<float> with_one_thread;
    for (const int threads : {1, 3}) {
      Attention attention(c);
      fast::cpu::attention(attention.call.forward, {.threads = threads});
      EXPECT_TRUE(forward_within(attention, expected, worst));
      if (c.backward) {
        fast::cpu::attention_backward(attention.call, {.threads = threads});
        EXPECT_TRUE(backward_within(attention, expected, worst_gradient));
      }
      for (const Storage* x :
           {&attention.o, &attention.log_sum, &attention.dq, &attention.dk, &attention.dv}) {
        EXPECT_TRUE(x->gaps_untouched());
      }
      // To the bit the same, NaN between rows included.
      if (threads == 1) {
        with_one_thread = attention.results();
      } else {
        const std::vector<float> results = attention.results();
        EXPECT_EQ(std::memcmp(results.data(), with_one_thread.data(), results.size() * sizeof(float)), 0);
      }
    }
  });
  RecordProperty("fraction_of_budget", std::to_string(worst));
  RecordProperty("fraction_of_gradient_budget", std::to_string(worst_gradient));
}

// Tiles have 128 keys, blocks 192 queries, panels 48 queries or fewer, and vectors 16 lanes or fewer.
const Case kCases[] = {
    {.name = "one_pair", .queries = 1, .keys = 1, .d = 1, .e = 1},
    {.name = "one_query", .queries = 1, .keys = 300, .d = 64, .e = 64},
    {.name = "two", .queries = 2, .keys = 2, .d = 5, .e = 63, .kind = Mask::Kind::causal},
    {.name = "tile_less_one", .queries = 127, .keys = 127, .d = 65, .e = 1, .kind = Mask::Kind::causal},
    {.name = "tile", .queries = 128, .keys = 128, .d = 16, .e = 16, .kind = Mask::Kind::causal},
    {.name = "tile_and_one", .queries = 129, .keys = 129, .d = 1, .e = 65},
    {.name = "panel_less_one", .queries = 47, .keys = 256, .d = 8, .e = 48},
    {.name = "panel_and_one", .queries = 49, .keys = 257, .d = 33, .e = 49},
    {.name = "block_and_one", .queries = 193, .keys = 130, .d = 4, .e = 100, .kind = Mask::Kind::causal},
    {.name = "long_full", .queries = 1000, .keys = 1000, .d = 5, .e = 3},
    {.name = "long_causal", .queries = 1000, .keys = 1000, .d = 8, .e = 4, .kind = Mask::Kind::causal},
    {.name = "wide", .queries = 70, .keys = 140, .d = 128, .e = 130},
    {.name = "more_keys", .queries = 60, .keys = 333, .d = 7, .e = 9, .kind = Mask::Kind::causal},
    {.name = "more_queries_some_see_nothing",
     .queries = 333,
     .keys = 60,
     .d = 7,
     .e = 9,
     .kind = Mask::Kind::causal},
    {.name = "many_heads", .queries = 50, .keys = 50, .d = 12, .e = 20, .batch = 2, .heads = 5, .groups = 5},
    {.name = "grouped_heads",
     .queries = 61,
     .keys = 133,
     .d = 6,
     .e = 10,
     .batch = 2,
     .heads = 6,
     .groups = 2,
     .kind = Mask::Kind::causal},
    {.name = "one_group", .queries = 40, .keys = 40, .d = 6, .e = 6, .batch = 3, .heads = 4, .groups = 1},
    {.name = "heads_first",
     .queries = 65,
     .keys = 129,
     .d = 6,
     .e = 17,
     .batch = 2,
     .heads = 4,
     .groups = 2,
     .bias = Bias::every,
     .layout = Layout::heads_first},
    {.name = "gaps",
     .queries = 65,
     .keys = 129,
     .d = 6,
     .e = 17,
     .batch = 2,
     .heads = 4,
     .groups = 4,
     .kind = Mask::Kind::causal,
     .bias = Bias::every,
     .layout = Layout::gaps},
    {.name = "one_bias",
     .queries = 65,
     .keys = 129,
     .d = 6,
     .e = 5,
     .batch = 2,
     .heads = 2,
     .groups = 1,
     .bias = Bias::one},
    {.name = "window",
     .queries = 300,
     .keys = 300,
     .d = 6,
     .e = 5,
     .kind = Mask::Kind::window,
     .before = 40,
     .after = 3},
    {.name = "window_of_itself", .queries = 200, .keys = 200, .d = 6, .e = 5, .kind = Mask::Kind::window},
    {.name = "endless_window",
     .queries = 100,
     .keys = 150,
     .d = 6,
     .e = 5,
     .kind = Mask::Kind::window,
     .before = std::numeric_limits<std::int64_t>::max(),
     .after = 0},
    {.name = "window_some_see_nothing",
     .queries = 400,
     .keys = 100,
     .d = 6,
     .e = 5,
     .kind = Mask::Kind::window,
     .before = 10,
     .after = 10},
    {.name = "blocks_of_one",
     .queries = 60,
     .keys = 70,
     .d = 6,
     .e = 5,
     .kind = Mask::Kind::blocks,
     .block = 1},
    {.name = "blocks_of_seven",
     .queries = 200,
     .keys = 150,
     .d = 6,
     .e = 5,
     .kind = Mask::Kind::blocks,
     .block = 7},
    {.name = "blocks_of_64",
     .queries = 500,
     .keys = 600,
     .d = 6,
     .e = 5,
     .kind = Mask::Kind::blocks,
     .block = 64},
    {.name = "blocks_of_200",
     .queries = 500,
     .keys = 600,
     .d = 6,
     .e = 5,
     .kind = Mask::Kind::blocks,
     .block = 200},
    {.name = "large_logits",
     .queries = 150,
     .keys = 400,
     .d = 64,
     .e = 8,
     .kind = Mask::Kind::causal,
     .logits = 300},
    {.name = "small_logits", .queries = 150, .keys = 400, .d = 64, .e = 8, .logits = 1e-30},
    {.name = "negative_scale", .queries = 50, .keys = 40, .d = 6, .e = 8, .logits = -3},
};

INSTANTIATE_TEST_SUITE_P(Sizes, AttentionCase, testing::ValuesIn(kCases),
                         [](const auto& test) { return test.param.name; });

TEST(Attention, ComparisonRejectsAPerturbedOutput) {
  const Case c{.name = "", .queries = 200, .keys = 200, .d = 8, .e = 4, .kind = Mask::Kind::causal};
  Attention attention(c);
  fast::cpu::attention(attention.call.forward);
  fast::cpu::attention_backward(attention.call);
  const Expected expected(attention);
  double worst = 0;
  ASSERT_TRUE(forward_within(attention, expected, worst));
  ASSERT_TRUE(backward_within(attention, expected, worst));
  const auto perturbed = [&](Storage& x, std::int64_t t, std::int64_t channel, auto& check) {
    const float kept = x.at(0, t, 0, channel);
    x.at(0, t, 0, channel) = kept * 1.001f + 1e-3f;
    const bool accepted = static_cast<bool>(check(attention, expected, worst));
    x.at(0, t, 0, channel) = std::numeric_limits<float>::quiet_NaN();
    const bool accepted_nan = static_cast<bool>(check(attention, expected, worst));
    x.at(0, t, 0, channel) = kept;
    return accepted || accepted_nan;
  };
  EXPECT_FALSE(perturbed(attention.o, 123, 2, forward_within));
  EXPECT_FALSE(perturbed(attention.log_sum, 199, 0, forward_within));
  EXPECT_FALSE(perturbed(attention.dq, 0, 7, backward_within));
  EXPECT_FALSE(perturbed(attention.dk, 77, 0, backward_within));
  EXPECT_FALSE(perturbed(attention.dv, 199, 3, backward_within));
}

TEST(Attention, ComparisonRejectsWhatIgnoresTheMaskOrOneKey) {
  const Case c{.name = "", .queries = 200, .keys = 200, .d = 8, .e = 4, .kind = Mask::Kind::causal};
  Attention attention(c);
  const Expected expected(attention);
  double worst = 0;
  fast::Attention wrong = attention.call.forward;
  wrong.mask.kind = Mask::Kind::full;
  fast::cpu::attention(wrong);
  EXPECT_FALSE(forward_within(attention, expected, worst));
  wrong.mask = {
      .kind = Mask::Kind::window, .before = 198, .after = 0};  // the last query does not see the first key
  fast::cpu::attention(wrong);
  EXPECT_FALSE(forward_within(attention, expected, worst));
}

TEST(Attention, WorksWithoutLogSum) {
  Attention attention({.name = "", .queries = 50, .keys = 60, .d = 8, .e = 4});
  fast::cpu::attention(attention.call.forward);
  const std::vector<float> kept = attention.o.memory();
  Attention without({.name = "", .queries = 50, .keys = 60, .d = 8, .e = 4});
  without.call.forward.log_sum = {};
  fast::cpu::attention(without.call.forward);
  EXPECT_EQ(kept, without.o.memory());
  EXPECT_TRUE(without.log_sum.untouched());
}

TEST(Attention, MinusInfinityAsBiasHidesAKey) {
  const Case c{.name = "", .queries = 60, .keys = 130, .d = 8, .e = 4, .bias = Bias::one};
  for_each_target([&] {
    Attention attention(c);
    for (std::int64_t j = 0; j < c.keys; ++j)
      attention.bias.at(0, 7, 0, j) = -std::numeric_limits<float>::infinity();
    fast::cpu::attention(attention.call.forward);
    fast::cpu::attention_backward(attention.call);
    EXPECT_EQ(attention.log_sum.at(0, 7, 0, 0), -std::numeric_limits<float>::infinity());
    for (std::int64_t x = 0; x < c.e; ++x) EXPECT_EQ(attention.o.at(0, 7, 0, x), 0.0f);
    for (std::int64_t x = 0; x < c.d; ++x) EXPECT_EQ(attention.dq.at(0, 7, 0, x), 0.0f);
    EXPECT_FALSE(std::isnan(attention.dk.at(0, 0, 0, 0)));
    EXPECT_NE(attention.o.at(0, 8, 0, 0), 0.0f);
  });
}

TEST(Attention, NaNStaysNaNAndStaysInItsRow) {
  const Case c{.name = "", .queries = 150, .keys = 150, .d = 8, .e = 4, .kind = Mask::Kind::causal};
  for_each_target([&] {
    Attention attention(c);
    attention.k.at(0, 100, 0, 3) = std::numeric_limits<float>::quiet_NaN();
    fast::cpu::attention(attention.call.forward);
    for (std::int64_t i = 0; i < c.queries; ++i) {
      EXPECT_EQ(std::isnan(attention.o.at(0, i, 0, 0)), i >= 100) << i;
      EXPECT_EQ(std::isnan(attention.log_sum.at(0, i, 0, 0)), i >= 100) << i;
    }
  });
}

}  // namespace
}  // namespace etalon::fast_test
