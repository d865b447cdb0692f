/// \file
/// Core 1 on the CPU, backward: the gradients of attention, with the weights computed again from the scores
/// and the forward pass's log_sum (\cite dao2022flashattention, \cite dao2023flashattention2). Held to
/// `backward_of_scores` and `backward_of_dot_product` of `reference/softmax_attention/softmax_attention.hpp`.
///
///     p_ij = e^(s_ij - log_sum_i)      ds_ij = p_ij (do_i . v_j - do_i . o_i)
///     dv_j = sum_i p_ij do_i           dk_j = scale sum_i ds_ij q_i          dq_i = scale sum_j ds_ij k_j
///
/// A piece of work is a range of keys of one group of heads. It owns its dk and dv and walks over all queries
/// that see it. What it contributes to dq goes to memory of its own and is added up at the end, so that every
/// pair of query and key is looked at once (five products instead of seven) and no result depends on the
/// number of threads or on chance.
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
#define HWY_TARGET_INCLUDE "fast/cpu/attention_backward.cpp"
#include "hwy/foreach_target.h"
// After foreach_target.h
#include "fast/cpu/attention_tile.hpp"
#include "hwy/highway.h"

#ifndef ETALON_FAST_CPU_ATTENTION_BACKWARD_ITEM
#define ETALON_FAST_CPU_ATTENTION_BACKWARD_ITEM
namespace etalon::fast::cpu {

/// One range of keys of one group of heads.
struct BackwardItem {
  std::int64_t batch, group;
  Range keys;
};

/// What is known of every query before the gradients: a row for each batch and head, as long as `padded`,
/// which is a multiple of every panel.
struct BackwardRows {
  std::int64_t heads, padded;
  float* log_sum;  ///< in units of log 2; infinity for a query without keys and beyond the last query
  float* fit;      ///< do_i . o_i

  std::int64_t at(std::int64_t b, std::int64_t h, std::int64_t i) const {
    return (b * heads + h) * padded + i;
  }
};

/// What one item contributes to dq, in panels: [heads of the group][padded / kPanel][d][kPanel].
struct BackwardPart {
  float* dq;
  std::uint8_t* touched;  ///< for every panel whether it holds anything
};

/// Where a thread keeps what it is working on.
struct BackwardScratch {
  float *key, *value;       ///< one tile: [kKeyTile][d], [kKeyTile][e]
  float *dk, *dv;           ///< its gradients, in panels of columns: [..][kKeyTile][width]
  float *query_t, *d_o_t;   ///< one panel: [d][width], [e][width]
  float *query, *d_o;       ///< the same in panels of columns: [..][kMaxPanel][width]
  float *weight, *d_score;  ///< p and ds: [kKeyTile][kMaxPanel]

  /// Columns of an array of `columns` in panels, whatever the vectors.
  static std::int64_t padded(std::int64_t columns) { return columns + kMaxPanel; }

  BackwardScratch(Arena& arena, std::int64_t d, std::int64_t e)
      : key(arena.take(kKeyTile, d)),
        value(arena.take(kKeyTile, e)),
        dk(arena.take(kKeyTile, padded(d))),
        dv(arena.take(kKeyTile, padded(e))),
        query_t(arena.take(d, kMaxPanel)),
        d_o_t(arena.take(e, kMaxPanel)),
        query(arena.take(kMaxPanel, padded(d))),
        d_o(arena.take(kMaxPanel, padded(e))),
        weight(arena.take(kKeyTile, kMaxPanel)),
        d_score(arena.take(kKeyTile, kMaxPanel)) {}
};

}  // namespace etalon::fast::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace etalon::fast::HWY_NAMESPACE {

/// Copies rows next to each other.
inline void copy_rows(const float* from, std::int64_t stride, std::int64_t rows, std::int64_t columns,
                      float* to) {
  for (std::int64_t r = 0; r < rows; ++r) std::copy_n(from + r * stride, columns, to + r * columns);
}

/// Columns of a matrix, cut into panels of nearly equal numbers of vectors.
struct ColumnPanels {
  std::int64_t columns;
  int vectors, panels;

  explicit ColumnPanels(std::int64_t count)
      : columns(count), vectors(vectors_for(count)), panels((vectors + kPanelVectors - 1) / kPanelVectors) {}

  /// First vector of a panel.
  int first(int panel) const { return static_cast<int>(std::int64_t{panel} * vectors / panels); }
  int width(int panel) const { return first(panel + 1) - first(panel); }
  /// Where a panel of an array with `rows` rows starts.
  std::int64_t offset(int panel, std::int64_t rows) const { return first(panel) * kLanes * rows; }
};

/// Stores rows as panels of columns, [rows][width] each, with zeros after the last column.
inline void pack_columns(const ColumnPanels& in, const float* HWY_RESTRICT from, std::int64_t stride,
                         std::int64_t rows, float* HWY_RESTRICT to) {
  for (int p = 0; p < in.panels; ++p) {
    const std::int64_t first = in.first(p) * kLanes, width = in.width(p) * kLanes;
    const std::int64_t given = std::min(width, in.columns - first);
    float* panel = to + in.offset(p, rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::copy_n(from + r * stride + first, given, panel + r * width);
      std::fill(panel + r * width + given, panel + (r + 1) * width, 0.0f);
    }
  }
}

/// The reverse, with a factor.
inline void unpack_columns(const ColumnPanels& in, const float* HWY_RESTRICT from, std::int64_t rows,
                           float factor, float* HWY_RESTRICT to, std::int64_t stride) {
  for (int p = 0; p < in.panels; ++p) {
    const std::int64_t first = in.first(p) * kLanes, width = in.width(p) * kLanes;
    const std::int64_t given = std::min(width, in.columns - first);
    const float* panel = from + in.offset(p, rows);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < given; ++c) to[r * stride + first + c] = factor * panel[r * width + c];
    }
  }
}

/// C += A B for every panel of columns. B has `depth` rows; C is `rows` rows of an array with `all`, from
/// `first_row` on.
inline void add_product(const ColumnPanels& in, std::int64_t rows, std::int64_t depth, const Left& a,
                        const float* b, float* c, std::int64_t first_row, std::int64_t all) {
  for (int p = 0; p < in.panels; ++p) {
    multiply(rows, depth, in.width(p), a, b + in.offset(p, depth),
             c + in.offset(p, all) + first_row * in.width(p) * kLanes, Start::keep);
  }
}

/// From scores to weights, and from do . v to ds, in place.
HWY_NOINLINE void score_gradient(const Panel& panel, std::int64_t keys, const float* HWY_RESTRICT log_sum,
                                 const float* HWY_RESTRICT fit, float* HWY_RESTRICT weight,
                                 float* HWY_RESTRICT d_score) {
  const Float f;
  for (int v = 0; v < panel.vectors; ++v) {
    const auto reference = hn::LoadU(f, log_sum + v * kLanes), mean = hn::LoadU(f, fit + v * kLanes);
    for (std::int64_t j = 0; j < keys; ++j) {
      const std::int64_t at = j * panel.width() + v * kLanes;
      const auto p = exp2(f, hn::Sub(hn::Load(f, weight + at), reference));
      hn::Store(p, f, weight + at);
      hn::Store(hn::Mul(p, hn::Sub(hn::Load(f, d_score + at), mean)), f, d_score + at);
    }
  }
}

/// dk and dv of one item, and its part of dq.
void backward_item(const AttentionBackward& call, const cpu::Visibility& visibility,
                   const cpu::BackwardItem& item, const cpu::BackwardRows& rows,
                   const cpu::BackwardScratch& scratch, const cpu::BackwardPart& own) {
  const Attention& in = call.forward;
  const std::int64_t d = in.q.shape[3], e = in.v.shape[3], queries = in.q.shape[1];
  const std::int64_t per_group = in.q.shape[2] / in.k.shape[2];
  const auto to_base_2 = static_cast<float>(static_cast<double>(in.scale) * std::numbers::log2e);
  const ColumnPanels key_columns(d), value_columns(e);

  for (std::int64_t first = item.keys.first; first < item.keys.last; first += cpu::kKeyTile) {
    const cpu::Range tile{first, std::min(first + cpu::kKeyTile, item.keys.last)};
    copy_rows(cpu::row(in.k, item.batch, first, item.group), in.k.stride[1], tile.size(), d, scratch.key);
    copy_rows(cpu::row(in.v, item.batch, first, item.group), in.v.stride[1], tile.size(), e, scratch.value);
    std::fill_n(scratch.dk, key_columns.vectors * kLanes * tile.size(), 0.0f);
    std::fill_n(scratch.dv, value_columns.vectors * kLanes * tile.size(), 0.0f);
    for (std::int64_t member = 0; member < per_group; ++member) {
      const std::int64_t head = item.group * per_group + member;
      const float* bias = in.bias ? cpu::row(in.bias, item.batch, 0, head) : nullptr;
      const ScoreInputs inputs{d, bias, in.bias.stride[1], &visibility};
      for (std::int64_t i = 0; i < queries; i += kPanel) {
        const Panel panel = panel_of(i, std::min(i + kPanel, queries));
        const std::int64_t width = panel.width(), count = panel.queries.size();
        cpu::Range part = visibility.next_run(panel.queries, tile);
        if (part.empty()) continue;
        const float* q = cpu::row(in.q, item.batch, i, head);
        const float* d_o = cpu::row(call.d_o, item.batch, i, head);
        transpose_rows(q, in.q.stride[1], count, d, to_base_2, width, scratch.query_t);
        transpose_rows(d_o, call.d_o.stride[1], count, e, 1.0f, width, scratch.d_o_t);
        pack_columns(key_columns, q, in.q.stride[1], count, scratch.query);
        pack_columns(value_columns, d_o, call.d_o.stride[1], count, scratch.d_o);
        const std::int64_t index = (member * rows.padded + i) / kPanel;
        for (; !part.empty(); part = visibility.next_run(panel.queries, {part.last, tile.last})) {
          const std::int64_t keys = part.size(), skipped = part.first - first;
          const float* key = scratch.key + skipped * d;
          tile_scores(inputs, panel, part, scratch.query_t, key, d, scratch.weight);
          multiply(keys, e, panel.vectors, {scratch.value + skipped * e, e, 1}, scratch.d_o_t,
                   scratch.d_score, Start::zero);
          score_gradient(panel, keys, rows.log_sum + rows.at(item.batch, head, i),
                         rows.fit + rows.at(item.batch, head, i), scratch.weight, scratch.d_score);
          multiply(d, keys, panel.vectors, {key, 1, d}, scratch.d_score, own.dq + index * d * kPanel,
                   own.touched[index] != 0 ? Start::keep : Start::zero);
          own.touched[index] = 1;
          add_product(value_columns, keys, count, {scratch.weight, width, 1}, scratch.d_o, scratch.dv,
                      skipped, tile.size());
          add_product(key_columns, keys, count, {scratch.d_score, width, 1}, scratch.query, scratch.dk,
                      skipped, tile.size());
        }
      }
    }
    unpack_columns(key_columns, scratch.dk, tile.size(), in.scale,
                   cpu::row(call.dk, item.batch, first, item.group), call.dk.stride[1]);
    unpack_columns(value_columns, scratch.dv, tile.size(), 1.0f,
                   cpu::row(call.dv, item.batch, first, item.group), call.dv.stride[1]);
  }
}

/// Adds up the parts of dq for one head. `parts` are those of its group, and `member` is its place in it.
void add_up_d_query(const AttentionBackward& call, std::int64_t batch, std::int64_t head, std::int64_t member,
                    const cpu::BackwardRows& rows, const cpu::BackwardPart* parts, std::int64_t count) {
  const std::int64_t d = call.dq.shape[3], queries = call.dq.shape[1];
  for (std::int64_t i = 0; i < queries; i += kPanel) {
    const std::int64_t lanes = std::min(kPanel, queries - i), width = vectors_for(lanes) * kLanes;
    const std::int64_t index = (member * rows.padded + i) / kPanel;
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      float* dq = cpu::row(call.dq, batch, i + lane, head);
      std::fill_n(dq, d, 0.0f);
      for (std::int64_t part = 0; part < count; ++part) {
        if (parts[part].touched[index] == 0) continue;
        const float* from = parts[part].dq + index * d * kPanel + lane;
        for (std::int64_t c = 0; c < d; ++c) dq[c] += from[c * width];
      }
      for (std::int64_t c = 0; c < d; ++c) dq[c] *= call.forward.scale;
    }
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace etalon::fast::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace etalon::fast {
HWY_EXPORT(backward_item);
HWY_EXPORT(add_up_d_query);

namespace cpu {
namespace {

void check_backward(const Checker& check, const AttentionBackward& call) {
  const Attention& in = call.forward;
  check_attention(check, in, {Type::float32});
  check.tensor("log_sum", in.log_sum, {Type::float32});
  struct Named {
    const char *name, *like;
    const Tensor *tensor, *shaped_as;
  };
  const Named gradients[] = {{"d_o", "o", &call.d_o, &in.o},
                             {"dq", "q", &call.dq, &in.q},
                             {"dk", "k", &call.dk, &in.k},
                             {"dv", "v", &call.dv, &in.v}};
  for (const Named& given : gradients) {
    check.tensor(given.name, *given.tensor, {Type::float32});
    check.shape(given.name, *given.tensor, given.shaped_as->shape, given.like);
  }
  const Named inputs[] = {{"q", "", &in.q, nullptr},
                          {"k", "", &in.k, nullptr},
                          {"v", "", &in.v, nullptr},
                          {"o", "", &in.o, nullptr},
                          {"log_sum", "", &in.log_sum, nullptr},
                          {"bias", "", &in.bias, nullptr},
                          {"d_o", "", &call.d_o, nullptr}};
  for (int g = 1; g < 4; ++g) {
    for (const Named& input : inputs)
      check.separate(gradients[g].name, *gradients[g].tensor, input.name, *input.tensor);
    for (int other = 1; other < g; ++other) {
      check.separate(gradients[g].name, *gradients[g].tensor, gradients[other].name,
                     *gradients[other].tensor);
    }
  }
}

/// log_sum in units of log 2 and do . o for one query.
void prepare_row(const AttentionBackward& call, std::int64_t b, std::int64_t h, std::int64_t i,
                 const BackwardRows& rows) {
  const Attention& in = call.forward;
  const std::int64_t at = rows.at(b, h, i);
  rows.log_sum[at] = std::numeric_limits<float>::infinity();
  rows.fit[at] = 0.0f;
  if (i >= in.q.shape[1]) return;
  const double log_sum = *row(in.log_sum, b, i, h);
  if (log_sum > -std::numeric_limits<double>::infinity()) {
    rows.log_sum[at] = static_cast<float>(log_sum * std::numbers::log2e);
  }
  const float *o = row(in.o, b, i, h), *d_o = row(call.d_o, b, i, h);
  double fit = 0;
  for (std::int64_t c = 0; c < in.o.shape[3]; ++c)
    fit += static_cast<double>(d_o[c]) * static_cast<double>(o[c]);
  rows.fit[at] = static_cast<float>(fit);
}

}  // namespace

void attention_backward(const AttentionBackward& call, const Execution& execution) {
  const Checker check{"attention_backward"};
  check_backward(check, call);
  check.threads(execution);
  const Attention& in = call.forward;
  const std::int64_t batches = in.q.shape[0], queries = in.q.shape[1], heads = in.q.shape[2],
                     d = in.q.shape[3];
  const std::int64_t keys = in.k.shape[1], groups = in.k.shape[2], e = in.v.shape[3],
                     per_group = heads / groups;

  const std::int64_t pairs = batches * groups, tiles = (keys + kKeyTile - 1) / kKeyTile;
  const std::int64_t parts = std::min(tiles, (kKeyParts + pairs - 1) / pairs), items = pairs * parts;

  BackwardRows rows{heads, (queries + kMaxPanel - 1) / kMaxPanel * kMaxPanel, nullptr, nullptr};
  std::vector<std::uint8_t> touched(static_cast<std::size_t>(items * per_group * rows.padded));
  std::vector<BackwardPart> part(static_cast<std::size_t>(items));
  const int threads =
      static_cast<int>(std::min<std::int64_t>(execution.threads, std::max(items, batches * heads)));
  std::vector<BackwardScratch> scratch;
  const Arena memory = Arena::lay_out([&](Arena& arena) {
    rows.log_sum = arena.take(batches * heads, rows.padded);
    rows.fit = arena.take(batches * heads, rows.padded);
    for (std::int64_t item = 0; item < items; ++item) {
      part[item] = {arena.take(per_group * rows.padded, d), touched.data() + item * per_group * rows.padded};
    }
    scratch.clear();
    for (int thread = 0; thread < threads; ++thread) scratch.emplace_back(arena, d, e);
  });

  const Visibility visibility(in.mask, queries, keys);
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (std::int64_t at = 0; at < batches * heads * rows.padded; ++at) {
      prepare_row(call, at / (heads * rows.padded), at / rows.padded % heads, at % rows.padded, rows);
    }
    // In this order the items with the most work under a causal mask, which have the first keys, come first.
#pragma omp for schedule(dynamic)
    for (std::int64_t index = 0; index < items; ++index) {
      const std::int64_t piece = index / pairs, pair = index % pairs;
      const auto tile = [&](std::int64_t p) { return std::min(p * tiles / parts * kKeyTile, keys); };
      const BackwardItem item{pair / groups, pair % groups, {tile(piece), tile(piece + 1)}};
      HWY_DYNAMIC_DISPATCH(backward_item)
      (call, visibility, item, rows, scratch[omp_get_thread_num()], part[pair * parts + piece]);
    }
#pragma omp for schedule(dynamic)
    for (std::int64_t index = 0; index < batches * heads; ++index) {
      const std::int64_t b = index / heads, h = index % heads;
      HWY_DYNAMIC_DISPATCH(add_up_d_query)
      (call, b, h, h % per_group, rows, &part[(b * groups + h / per_group) * parts], parts);
    }
  }
}

}  // namespace cpu
}  // namespace etalon::fast
#endif  // HWY_ONCE
