/// \file
/// `fast` laws of core 1, the attention tile: softmax attention itself, and Swin's windows.
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fast/etalon_fast.hpp"
#include "proofs/fast/attention_budget.hpp"
#include "proofs/fast/law.hpp"
#include "proofs/fast/storage.hpp"
#include "reference/softmax_attention/softmax_attention.hpp"
#include "reference/softmax_attention/swin.hpp"

namespace etalon::fast_laws {
namespace {

namespace sa = softmax_attention;

// ---- softmax attention -------------------------------------------------------------------------

/// The masks of the entry, in the order of its parameter.
enum MaskChoice { kFull, kCausal, kTopLeft, kWindow, kStreaming, kGiven };

/// Several heads of the entry as one call of the core. The heads of a group share key and value.
class Heads {
 public:
  /// \param with_gradients whether gradients of the outputs are drawn as well
  Heads(CoreTrial& trial, bool with_gradients)
      : trial_(trial),
        settings_(trial.drawn().settings),
        groups_(trial.integer("groups", 1, 2)),
        members_(trial.integer("heads of a group", 1, 3)),
        n_(trial.size("n_q")),
        m_(trial.size("n_k")),
        q_(1, n_, groups_ * members_, trial.size("d_k")),
        k_(1, m_, groups_, trial.size("d_k")),
        v_(1, m_, groups_, trial.size("d_v")),
        o_(1, n_, groups_ * members_, trial.size("d_v")),
        log_sum_(1, n_, groups_ * members_, 1),
        bias_(1, n_, groups_ * members_, m_),
        d_o_(o_),
        dq_(q_),
        dk_(k_),
        dv_(v_) {
    settings_["sink_given"] = 0;
    for (Index h = 0; h < groups_ * members_; ++h) {
      inputs_.push_back(inputs_of(h));
      const Arrays<double>& in = inputs_.back();
      q_.set_matrix(0, h, in["query"]);
      bias_.set_matrix(0, h, in["bias"]);
      k_.set_matrix(0, h / members_, in["key"]);
      v_.set_matrix(0, h / members_, in["value"]);
      if (with_gradients) d_o_.set_matrix(0, h, in["d_output"]);
      budgets_.push_back(attention_budget(head(h)));
    }
    fast::Attention& forward = call_.forward;
    forward = {q_.view(), k_.view(), v_.view(), o_.view(), log_sum_.view(), {}, 1.0F, core_mask()};
    if (biased()) forward.bias = bias_.view();
    forward.scale = static_cast<float>(trial.in["scale"]());
    fast::cpu::attention(forward);
  }
  Heads(const Heads&) = delete;
  Heads& operator=(const Heads&) = delete;

  void forward_agrees() {
    for (Index h = 0; h < groups_ * members_; ++h) {
      const AttentionBudget& budget = budgets_[static_cast<std::size_t>(h)];
      const auto text = text_of(trial_, "safe", inputs_[static_cast<std::size_t>(h)], settings_);
      agree(trial_, "output", o_.matrix(0, h), text["output"], budget.o_budget);
      agree(trial_, "log of the sum", log_sum_.matrix(0, h), budget.log_sum, budget.log_sum_budget);
    }
  }

  void gradients_agree() {
    call_.d_o = d_o_.view();
    call_.dq = dq_.view();
    call_.dk = dk_.view();
    call_.dv = dv_.view();
    fast::cpu::attention_backward(call_);
    for (Index g = 0; g < groups_; ++g) {
      std::optional<AttentionGradient> sum;  // of the group: dk and dv of its heads add up
      for (Index h = g * members_; h < (g + 1) * members_; ++h) {
        const Arrays<double>& in = inputs_[static_cast<std::size_t>(h)];
        const auto text = text_of(trial_, "backward", in, settings_);
        AttentionGradient one =
            attention_gradient(head(h), budgets_[static_cast<std::size_t>(h)], in["d_output"], members_);
        agree(trial_, "gradient of query", dq_.matrix(0, h), text["d_query"], one.dq_budget);
        one.dk = text["d_key"];
        one.dv = text["d_value"];
        if (!sum) {
          sum = std::move(one);
          continue;
        }
        add(sum->dk, one.dk);
        add(sum->dv, one.dv);
        add(sum->dk_budget, one.dk_budget);
        add(sum->dv_budget, one.dv_budget);
      }
      agree(trial_, "gradient of key", dk_.matrix(0, g), sum->dk, sum->dk_budget);
      agree(trial_, "gradient of value", dv_.matrix(0, g), sum->dv, sum->dv_budget);
    }
  }

 private:
  static void add(Array<double>& sum, const Array<double>& x) {
    for (std::size_t i = 0; i < sum.values().size(); ++i) sum.values()[i] += x.values()[i];
  }

  bool biased() const { return at(settings_, "bias_given") == 1; }

  /// What head h is given: the drawn inputs for the first one, further numbers for the others.
  Arrays<double> inputs_of(Index h) const {
    Arrays<double> in = trial_.in;
    const auto further = [&](const char* name, Index number, Domain domain) {
      if (number == 0) return;
      const std::string own = std::string(name) + " " + std::to_string(number);
      in.real[name] = in_float32(trial_.array(own, trial_.in[name].shape(), domain));
    };
    further("query", h, Domain::logit);
    further("bias", h, Domain::logit);
    further("key", h / members_, Domain::logit);
    further("value", h / members_, Domain::any);
    in.real["d_output"] = in_float32(trial_.array("d_output " + std::to_string(h), {n_, trial_.size("d_v")}));
    return in;
  }

  sa::Mask text_mask() const {
    switch (at(settings_, "mask")) {
      case kCausal:
        return sa::causal_mask(n_, m_);
      case kTopLeft:
        return sa::causal_mask_top_left();
      case kWindow:
        return sa::window_mask(n_, m_, at(settings_, "left"), at(settings_, "right"));
      case kStreaming:
        return sa::streaming_mask(at(settings_, "left"), at(settings_, "right") + 1);
      case kGiven:
        return sa::given_mask(trial_.in.index.at("allowed"));
      default:
        return sa::full_mask();
    }
  }

  /// The same for the core; what is none of its own kinds is shown by blocks of one pair.
  fast::Mask core_mask() {
    fast::Mask mask;
    switch (at(settings_, "mask")) {
      case kFull:
        return mask;
      case kCausal:
        mask.kind = fast::Mask::Kind::causal;
        return mask;
      case kWindow:
        mask.kind = fast::Mask::Kind::window;
        mask.before = at(settings_, "left");
        mask.after = at(settings_, "right");
        return mask;
      default:
        break;
    }
    const sa::Mask sees = text_mask();
    for (Index i = 0; i < n_; ++i) {
      for (Index j = 0; j < m_; ++j) blocks_.push_back(sees(i, j) ? 1 : 0);
    }
    mask.kind = fast::Mask::Kind::blocks;
    mask.block = 1;
    mask.block_rows = n_;
    mask.block_columns = m_;
    mask.blocks = blocks_.data();
    return mask;
  }

  AttentionHead head(Index h) const {
    const Arrays<double>& in = inputs_[static_cast<std::size_t>(h)];
    AttentionHead head{in["query"],          in["key"],   in["value"], std::nullopt,
                       trial_.in["scale"](), text_mask(), tiles(m_)};
    if (biased()) head.bias = in["bias"];
    const Index mask = at(settings_, "mask");
    if (mask != kFull && mask != kCausal && mask != kWindow) head.updates += m_;  // tiles are cut at blocks
    return head;
  }

  CoreTrial& trial_;
  Settings settings_;
  Index groups_, members_, n_, m_;
  Storage q_, k_, v_, o_, log_sum_, bias_, d_o_, dq_, dk_, dv_;
  std::vector<std::uint8_t> blocks_;
  std::vector<Arrays<double>> inputs_;
  std::vector<AttentionBudget> budgets_;
  fast::AttentionBackward call_;
};

const std::map<std::string, Index> kLongerThanATile{{"n_q", 3}, {"n_k", 3}, {"d_k", 9}, {"d_v", 9}};

const FastLaw forward{"softmax_attention", "fast: attention tile",
                      "The attention tile agrees with softmax attention without a sink, for every mask, with "
                      "and without a bias, for up to six heads in up to two groups that share key and value",
                      kLongerThanATile, [](CoreTrial& trial) { Heads(trial, false).forward_agrees(); }};

const FastLaw backward{"softmax_attention", "fast: attention tile, gradients",
                       "The gradients of the attention tile agree with those of softmax attention without a "
                       "sink; those of key and value are the sums over the heads of a group",
                       kLongerThanATile, [](CoreTrial& trial) { Heads(trial, true).gradients_agree(); }};

// ---- Swin --------------------------------------------------------------------------------------

/// An image cut into windows as the core takes them: each window is a batch of its own, with the biases of
/// its pairs, which are minus infinity where a pair may not meet.
class Windows {
 public:
  explicit Windows(CoreTrial& trial)
      : trial_(trial),
        grid_(swin::fitted(trial.size("height"), trial.size("width"), trial.size("window"),
                           trial.size("shift"))),
        query_(cut(trial.in["query"])),
        key_(cut(trial.in["key"])),
        value_(cut(trial.in["value"])) {}

  void agree_with_text() {
    const Index count = value_.extent(0), size = value_.extent(1), e = value_.extent(2);
    Storage q(count, size, 1, query_.extent(2)), k(q), v(count, size, 1, e), o(v), bias(count, size, 1, size);
    Array<double> actual(value_.shape()), budget(value_.shape());
    std::vector<AttentionHead> heads;
    for (Index number = 0; number < count; ++number) {
      heads.push_back({swin::window_of(query_, number), swin::window_of(key_, number),
                       swin::window_of(value_, number), bias_of_pairs(), trial_.in["scale"](),
                       mask_of(number), tiles(size)});
      q.set_matrix(number, 0, heads.back().q);
      k.set_matrix(number, 0, heads.back().k);
      v.set_matrix(number, 0, heads.back().v);
      for (Index t = 0; t < size; ++t) {
        for (Index u = 0; u < size; ++u) {
          bias.at(number, t, 0, u) = heads.back().mask(t, u) ? static_cast<float>((*heads.back().bias)(t, u))
                                                             : -std::numeric_limits<float>::infinity();
        }
      }
    }
    fast::Attention call{q.view(), k.view(), v.view(), o.view(), {}, bias.view(), 1.0F, {}};
    call.scale = static_cast<float>(trial_.in["scale"]());
    fast::cpu::attention(call);
    for (Index number = 0; number < count; ++number) {
      const Array<double> mixed = o.matrix(number, 0);
      const AttentionBudget one = attention_budget(heads[static_cast<std::size_t>(number)]);
      for (Index t = 0; t < size; ++t) {
        for (Index c = 0; c < e; ++c) {
          actual(number, t, c) = mixed(t, c);
          budget(number, t, c) = one.o_budget(t, c);
        }
      }
    }
    agree(trial_, "output", image_of(actual), text_of(trial_, "cyclic")["output"], image_of(budget));
  }

 private:
  Array<double> cut(const Array<double>& image) const {
    const Array<double> padded = swin::padded(image, grid_, Array<double>({image.extent(2)}));
    return swin::partitioned(swin::rolled(padded, grid_.shift), grid_.window);
  }

  /// The inverse: windows put together, rolled back, without the padding.
  Array<double> image_of(const Array<double>& windows) const {
    const auto rolled = swin::merged(windows, grid_.padded_height, grid_.padded_width, grid_.window);
    const auto padded = swin::rolled(rolled, -grid_.shift);
    Array<double> image({grid_.height, grid_.width, windows.extent(2)});
    for (Index y = 0; y < grid_.height; ++y) {
      for (Index x = 0; x < grid_.width; ++x) {
        for (Index c = 0; c < image.extent(2); ++c) image(y, x, c) = padded(y, x, c);
      }
    }
    return image;
  }

  Array<double> bias_of_pairs() const {
    const Index size = grid_.window * grid_.window;
    Array<double> bias({size, size});
    for (Index t = 0; t < size; ++t) {
      for (Index u = 0; u < size; ++u) {
        const Index place = swin::relative_index(t, u, grid_.window);
        bias(t, u) = trial_.in["bias"].values()[static_cast<std::size_t>(place)];
      }
    }
    return bias;
  }

  /// Which tokens of a window may meet: those of one region of the rolled image, but for the padding.
  sa::Mask mask_of(Index number) const {
    std::vector<Index> labels;  // -1 for padding
    for (Index t = 0; t < grid_.window * grid_.window; ++t) {
      const Index y = number / grid_.columns() * grid_.window + t / grid_.window;
      const Index x = number % grid_.columns() * grid_.window + t % grid_.window;
      const bool real = (y + grid_.shift) % grid_.padded_height < grid_.height &&
                        (x + grid_.shift) % grid_.padded_width < grid_.width;
      labels.push_back(real ? swin::label(grid_, y, x) : -1);
    }
    return [labels](Index t, Index u) {
      const Index label = labels[static_cast<std::size_t>(t)];
      return label >= 0 && label == labels[static_cast<std::size_t>(u)];
    };
  }

  CoreTrial& trial_;
  swin::Grid grid_;
  Array<double> query_, key_, value_;
};

const FastLaw windows{"swin",
                      "fast: attention tile",
                      "The attention tile agrees with shifted windows: each window is a batch, and a bias of "
                      "minus infinity keeps apart what the roll has made neighbours",
                      {{"height", 1}, {"width", 1}, {"d_k", 9}, {"d_v", 9}},
                      [](CoreTrial& trial) { Windows(trial).agree_with_text(); }};

}  // namespace
}  // namespace etalon::fast_laws
