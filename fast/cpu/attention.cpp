/// \file
/// Core 1 on the CPU, forward: attention by tiles with an online softmax (\cite milakov2018online,
/// \cite dao2023flashattention2). Held to `reference/softmax_attention/softmax_attention.hpp`.
///
/// A block of queries passes over the tiles of keys that the mask shows it, so that its queries share what
/// the caches hold. The block consists of panels as wide as a few vectors, and each panel keeps, for its
/// queries: the largest score so far m, the sum of weights l and the unnormalised output, both relative to m.
/// Blocks and heads are independent of each other, and no result depends on the number of threads.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

#include "fast/cpu/arena.hpp"
#include "fast/cpu/attention_sizes.hpp"
#include "fast/cpu/visibility.hpp"
#include "fast/validate.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fast/cpu/attention.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h
#include "fast/cpu/attention_tile.hpp"
#include "hwy/highway.h"

#ifndef ETALON_FAST_CPU_ATTENTION_BLOCK
#define ETALON_FAST_CPU_ATTENTION_BLOCK
namespace etalon::fast::cpu {

/// One block of queries of one head.
struct AttentionBlock {
  std::int64_t batch, head, group;
  Range queries;
};

/// Where a thread keeps what a block needs. All of it is laid out for the widest panels.
struct AttentionScratch {
  float *query, *output;  ///< [d][kQueryBlock], [e][kQueryBlock]: one panel after the other
  float* score;           ///< [kKeyTile][kMaxPanel]
  float *largest, *sum;   ///< m and l: [kQueryBlock]
  float* fade;            ///< [kMaxPanel]

  AttentionScratch(Arena& arena, std::int64_t d, std::int64_t e)
      : query(arena.take(d, kQueryBlock)),
        output(arena.take(e, kQueryBlock)),
        score(arena.take(kKeyTile, kMaxPanel)),
        largest(arena.take(kQueryBlock)),
        sum(arena.take(kQueryBlock)),
        fade(arena.take(kMaxPanel)) {}
};

}  // namespace etalon::fast::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::HWY_NAMESPACE {

/// Turns the scores of one panel into weights relative to the new maximum, and brings m and l up to date.
/// `fade` becomes the factor for what was summed relative to the old maximum.
HWY_NOINLINE void update_softmax(const Panel& panel, std::int64_t keys, float* HWY_RESTRICT score,
                                 float* HWY_RESTRICT largest, float* HWY_RESTRICT sum,
                                 float* HWY_RESTRICT fade) {
  const Float f;
  const auto nothing = hn::Set(f, -std::numeric_limits<float>::infinity());
  for (int v = 0; v < panel.vectors; ++v) {
    const std::int64_t at = v * kLanes;
    const auto before = hn::Load(f, largest + at);
    auto top = before, top_odd = before;  // two chains, because each waits for its own last result
    std::int64_t j = 0;
    for (; j + 1 < keys; j += 2) {
      top = hn::Max(top, hn::Load(f, score + j * panel.width() + at));
      top_odd = hn::Max(top_odd, hn::Load(f, score + (j + 1) * panel.width() + at));
    }
    if (j < keys) top = hn::Max(top, hn::Load(f, score + j * panel.width() + at));
    top = hn::Max(top, top_odd);
    hn::Store(top, f, largest + at);
    // A query that has seen no key yet: any finite reference will do for weights of 0.
    const auto reference = hn::IfThenZeroElse(hn::Eq(top, nothing), top);
    const auto factor = exp2(f, hn::Sub(before, reference));
    hn::Store(factor, f, fade + at);
    auto total = hn::Zero(f);
    for (j = 0; j < keys; ++j) {
      float* place = score + j * panel.width() + at;
      const auto weight = exp2(f, hn::Sub(hn::Load(f, place), reference));
      hn::Store(weight, f, place);
      total = hn::Add(total, weight);
    }
    hn::Store(hn::MulAdd(factor, hn::Load(f, sum + at), total), f, sum + at);
  }
}

/// Writes o = output / l and log_sum = (m + log2 l) ln 2 for one panel.
inline void finish_panel(const Attention& call, const cpu::AttentionBlock& block, const Panel& panel,
                         float* HWY_RESTRICT output, const float* HWY_RESTRICT largest,
                         const float* HWY_RESTRICT sum) {
  const Float f;
  const std::int64_t e = call.v.shape[3], width = panel.width();
  for (int v = 0; v < panel.vectors; ++v) {
    const auto total = hn::Load(f, sum + v * kLanes);
    const auto empty = hn::Eq(total, hn::Zero(f));  // no key was seen: the largest of any has weight 1
    for (std::int64_t c = 0; c < e; ++c) {
      float* place = output + c * width + v * kLanes;
      hn::Store(hn::IfThenZeroElse(empty, hn::Div(hn::Load(f, place), total)), f, place);
    }
  }
  transpose_back(output, width, panel.queries.size(), e,
                 cpu::row(call.o, block.batch, panel.queries.first, block.head), call.o.stride[1]);
  if (!call.log_sum) return;
  for (std::int64_t lane = 0; lane < panel.queries.size(); ++lane) {
    // Minus infinity without keys, as the sum and its logarithm say.
    const double log2_sum = static_cast<double>(largest[lane]) + std::log2(static_cast<double>(sum[lane]));
    *cpu::row(call.log_sum, block.batch, panel.queries.first + lane, block.head) =
        static_cast<float>(log2_sum * std::numbers::ln2);
  }
}

void attention_block(const Attention& call, const cpu::Visibility& visibility,
                     const cpu::AttentionBlock& block, const cpu::AttentionScratch& scratch) {
  const std::int64_t d = call.q.shape[3], e = call.v.shape[3], keys = call.k.shape[1];
  const auto to_base_2 = static_cast<float>(static_cast<double>(call.scale) * std::numbers::log2e);
  const float* bias = call.bias ? cpu::row(call.bias, block.batch, 0, block.head) : nullptr;
  const ScoreInputs inputs{d, bias, call.bias.stride[1], &visibility};

  bool seen[cpu::kQueryBlock / kPanel] = {};  // whether a panel's output holds anything yet
  for (std::int64_t p = 0, i = block.queries.first; i < block.queries.last; ++p, i += kPanel) {
    const Panel panel = panel_of(i, std::min(i + kPanel, block.queries.last));
    transpose_rows(cpu::row(call.q, block.batch, i, block.head), call.q.stride[1], panel.queries.size(), d,
                   to_base_2, panel.width(), scratch.query + p * kPanel * d);
  }
  std::fill_n(scratch.largest, cpu::kQueryBlock, -std::numeric_limits<float>::infinity());
  std::fill_n(scratch.sum, cpu::kQueryBlock, 0.0f);

  for (cpu::Range run = visibility.next_run(block.queries, {0, keys}); !run.empty();
       run = visibility.next_run(block.queries, {run.last, keys})) {
    // Tiles start at multiples of their size, so that a panel meets the same ones in whatever block it is.
    for (std::int64_t first = run.first, next = 0; first < run.last; first = next) {
      next = std::min((first / cpu::kKeyTile + 1) * cpu::kKeyTile, run.last);
      const cpu::Range tile{first, next};
      for (std::int64_t p = 0, i = block.queries.first; i < block.queries.last; ++p, i += kPanel) {
        const Panel panel = panel_of(i, std::min(i + kPanel, block.queries.last));
        for (cpu::Range part = visibility.next_run(panel.queries, tile); !part.empty();
             part = visibility.next_run(panel.queries, {part.last, tile.last})) {
          tile_scores(inputs, panel, part, scratch.query + p * kPanel * d,
                      cpu::row(call.k, block.batch, part.first, block.group), call.k.stride[1],
                      scratch.score);
          update_softmax(panel, part.size(), scratch.score, scratch.largest + p * kPanel,
                         scratch.sum + p * kPanel, scratch.fade);
          const Left value{cpu::row(call.v, block.batch, part.first, block.group), 1, call.v.stride[1]};
          multiply(e, part.size(), panel.vectors, value, scratch.score, scratch.output + p * kPanel * e,
                   seen[p] ? Start::factor : Start::zero, scratch.fade);
          seen[p] = true;
        }
      }
    }
  }
  for (std::int64_t p = 0, i = block.queries.first; i < block.queries.last; ++p, i += kPanel) {
    const Panel panel = panel_of(i, std::min(i + kPanel, block.queries.last));
    finish_panel(call, block, panel, scratch.output + p * kPanel * e, scratch.largest + p * kPanel,
                 scratch.sum + p * kPanel);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace etalon::fast::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace etalon::fast {
HWY_EXPORT(attention_block);

namespace cpu {

void attention(const Attention& call, const Execution& execution) {
  const Checker check{"attention"};
  check_attention(check, call, {Type::float32});
  check.threads(execution);
  const std::int64_t batches = call.q.shape[0], queries = call.q.shape[1], heads = call.q.shape[2];
  const std::int64_t d = call.q.shape[3], e = call.v.shape[3], per_group = heads / call.k.shape[2];

  // Smaller blocks where there would be too few for the threads.
  std::int64_t block = kQueryBlock;
  const auto blocks_of = [&] { return (queries + block - 1) / block; };
  while (block % (2 * kMaxPanel) == 0 && batches * heads * blocks_of() < 4 * std::int64_t{execution.threads})
    block /= 2;
  const std::int64_t blocks = blocks_of(), items = batches * heads * blocks;
  const int threads = static_cast<int>(std::min<std::int64_t>(execution.threads, items));

  const Visibility visibility(call.mask, queries, call.k.shape[1]);
  std::vector<AttentionScratch> scratch;
  const Arena memory = Arena::lay_out([&](Arena& arena) {
    scratch.clear();
    for (int thread = 0; thread < threads; ++thread) scratch.emplace_back(arena, d, e);
  });
  // The last queries first: under a causal mask they have the most keys.
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (std::int64_t item = 0; item < items; ++item) {
    const std::int64_t b = item / (heads * blocks), h = item / blocks % heads;
    const std::int64_t first = (blocks - 1 - item % blocks) * block;
    const AttentionBlock part{b, h, h / per_group, {first, std::min(first + block, queries)}};
    HWY_DYNAMIC_DISPATCH(attention_block)(call, visibility, part, scratch[omp_get_thread_num()]);
  }
}

}  // namespace cpu
}  // namespace etalon::fast
#endif  // HWY_ONCE
