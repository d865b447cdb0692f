/// \file
/// The checks of arguments that all parts of the fast path share.
#include "fast/validate.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace etalon::fast {
namespace {

/// How far apart neighbours along an axis lie, and how many there are.
struct Axis {
  std::int64_t stride;
  std::int64_t extent;
};

/// The axes that have more than one element, nearest neighbours first.
std::vector<Axis> real_axes(const Tensor& tensor) {
  std::vector<Axis> axes;
  for (std::size_t a = 0; a < 4; ++a) {
    if (tensor.shape[a] > 1) axes.push_back({tensor.stride[a], tensor.shape[a]});
  }
  std::sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.stride < b.stride; });
  return axes;
}

/// Elements from the first to one past the last. Only for strides that `Checker::tensor` admits.
std::int64_t span_of(const Tensor& tensor) {
  std::int64_t span = 1;
  for (const Axis& axis : real_axes(tensor)) span += (axis.extent - 1) * axis.stride;
  return span;
}

/// Whether two boxes of indices with the same strides, whose first elements lie `distance` apart, share an
/// element: whether distance = sum_a x_a stride_a has a solution with |x_a| < extent_a. What the inner axes
/// can contribute is smaller than one outer stride, so that for each axis only the two nearest multiples come
/// into question.
bool boxes_meet(std::span<const Axis> axes, std::int64_t distance) {
  if (axes.empty()) return distance == 0;
  const Axis outer = axes.back();
  const std::int64_t nearest = distance / outer.stride;
  for (std::int64_t x = nearest - 1; x <= nearest + 1; ++x) {
    if (std::abs(x) < outer.extent && boxes_meet(axes.first(axes.size() - 1), distance - x * outer.stride))
      return true;
  }
  return false;
}

std::string list(std::initializer_list<Type> types) {
  std::string text;
  for (const Type type : types) text += (text.empty() ? "" : " or ") + to_string(type);
  return text;
}

}  // namespace

std::string to_string(const Extents& extents) {
  std::string text = "[";
  for (const std::int64_t extent : extents) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

std::string to_string(Type type) {
  switch (type) {
    case Type::float32:
      return "float32";
    case Type::bfloat16:
      return "bfloat16";
    case Type::float16:
      return "float16";
  }
  return "type " + std::to_string(static_cast<std::int32_t>(type));
}

std::int64_t bytes_of(Type type) {
  return type == Type::float32 ? 4 : 2;
}

void Checker::fail(const std::string& message) const {
  throw Error(std::string(function) + ": " + message);
}

void Checker::require(bool holds, std::string_view argument, const std::string& given,
                      std::string_view expected) const {
  if (!holds) fail(std::string(argument) + " is " + given + ", expected " + std::string(expected));
}

void Checker::tensor(std::string_view argument, const Tensor& tensor,
                     std::initializer_list<Type> types) const {
  const std::string name(argument);
  if (tensor.data == nullptr) fail(name + " is null, expected a tensor");
  if (std::find(types.begin(), types.end(), tensor.type) == types.end()) {
    fail(name + " is stored as " + to_string(tensor.type) + ", expected " + list(types));
  }
  const std::int64_t bytes = bytes_of(tensor.type);
  if (reinterpret_cast<std::uintptr_t>(tensor.data) % static_cast<std::uintptr_t>(bytes) != 0) {
    fail(name + " is misaligned, expected an address that is a multiple of " + std::to_string(bytes) +
         " bytes");
  }
  for (const std::int64_t extent : tensor.shape) {
    if (extent < 1)
      fail(name + " has shape " + to_string(tensor.shape) + ", expected every extent to be at least 1");
  }
  if (tensor.shape[3] > 1 && tensor.stride[3] != 1) {
    fail(name + " has strides " + to_string(tensor.stride) + ", expected the last one to be 1");
  }
  std::int64_t span = 1;  // of the axes that lie closer together than the one being looked at
  for (const Axis& axis : real_axes(tensor)) {
    if (axis.stride < span) {
      fail(name + " has strides " + to_string(tensor.stride) + " for the shape " + to_string(tensor.shape) +
           ", expected positive strides that keep its elements apart");
    }
    std::int64_t reach = 0, in_bytes = 0;
    if (__builtin_mul_overflow(axis.extent - 1, axis.stride, &reach) ||
        __builtin_add_overflow(span, reach, &span) || __builtin_mul_overflow(span, bytes, &in_bytes)) {
      fail(name + " has shape " + to_string(tensor.shape) + " and strides " + to_string(tensor.stride) +
           ", expected less than 2^63 bytes from first to last element");
    }
  }
}

void Checker::shape(std::string_view argument, const Tensor& tensor, const Extents& expected,
                    std::string_view because) const {
  if (tensor.shape == expected) return;
  fail(std::string(argument) + " has shape " + to_string(tensor.shape) + ", expected " + to_string(expected) +
       ", as fits " + std::string(because));
}

void Checker::separate(std::string_view output_name, const Tensor& output, std::string_view other_name,
                       const Tensor& other) const {
  if (!output || !other) return;
  const auto begin = reinterpret_cast<std::uintptr_t>(output.data);
  const auto other_begin = reinterpret_cast<std::uintptr_t>(other.data);
  const std::int64_t bytes = bytes_of(output.type), other_bytes = bytes_of(other.type);
  const auto end = begin + static_cast<std::uintptr_t>(span_of(output) * bytes);
  const auto other_end = other_begin + static_cast<std::uintptr_t>(span_of(other) * other_bytes);
  if (end <= other_begin || other_end <= begin) return;

  const auto distance = static_cast<std::int64_t>(other_begin - begin);
  bool comparable = output.type == other.type && distance % bytes == 0;
  Tensor both = output;  // a box that holds the two shapes, so that meeting is judged a little too strictly
  for (std::size_t a = 0; a < 4; ++a) {
    if (output.shape[a] == 1) both.stride[a] = other.stride[a];
    both.shape[a] = std::max(output.shape[a], other.shape[a]);
    comparable = comparable && (other.shape[a] == 1 || both.stride[a] == other.stride[a]);
  }
  const std::vector<Axis> axes = real_axes(both);
  std::int64_t span = 1;
  for (const Axis& axis : axes) {
    comparable = comparable && axis.stride >= span;
    span += (axis.extent - 1) * axis.stride;
  }
  if (comparable && !boxes_meet(axes, distance / bytes)) return;
  fail(std::string(output_name) + " shares memory with " + std::string(other_name) +
       ", expected an output of its own");
}

void Checker::finite(std::string_view argument, float value) const {
  require(std::isfinite(value), argument, std::to_string(value), "a finite number");
}

void Checker::growth(std::string_view argument, const std::string& where) const {
  fail(std::string(argument) + " has an entry above 0 or NaN" + where +
       ", expected logarithms of decays, all at most 0");
}

void Checker::threads(const Execution& execution) const {
  require(execution.threads >= 1, "threads", std::to_string(execution.threads), "at least 1");
}

namespace {

void check_mask(const Checker& check, const Mask& mask, std::int64_t queries, std::int64_t keys) {
  switch (mask.kind) {
    case Mask::Kind::full:
    case Mask::Kind::causal:
      return;
    case Mask::Kind::window:
      check.require(mask.before >= 0, "mask.before", std::to_string(mask.before), "at least 0");
      check.require(mask.after >= 0, "mask.after", std::to_string(mask.after), "at least 0");
      return;
    case Mask::Kind::blocks: {
      check.require(mask.block >= 1, "mask.block", std::to_string(mask.block), "at least 1");
      check.require(mask.blocks != nullptr, "mask.blocks", "null", "block_rows * block_columns bytes");
      const std::int64_t rows = (queries - 1) / mask.block + 1, columns = (keys - 1) / mask.block + 1;
      check.require(mask.block_rows == rows, "mask.block_rows", std::to_string(mask.block_rows),
                    std::to_string(rows) + ", which covers " + std::to_string(queries) + " queries");
      check.require(mask.block_columns == columns, "mask.block_columns", std::to_string(mask.block_columns),
                    std::to_string(columns) + ", which covers " + std::to_string(keys) + " keys");
      return;
    }
  }
  check.fail("mask.kind is " + std::to_string(static_cast<std::int32_t>(mask.kind)) +
             ", expected full, causal, window or blocks");
}

}  // namespace

void check_attention(const Checker& check, const Attention& call, std::initializer_list<Type> types) {
  check.tensor("q", call.q, types);
  check.tensor("k", call.k, {call.q.type});
  check.tensor("v", call.v, {call.q.type});
  check.tensor("o", call.o, {call.q.type});
  const auto [batch, queries, heads, d] = call.q.shape;
  const std::int64_t keys = call.k.shape[1], groups = call.k.shape[2], e = call.v.shape[3];
  check.shape("k", call.k, {batch, keys, groups, d}, "q");
  check.shape("v", call.v, {batch, keys, groups, e}, "k");
  check.shape("o", call.o, {batch, queries, heads, e}, "q and v");
  check.require(heads % groups == 0, "the number of heads of q", std::to_string(heads),
                "a multiple of those of k, which are " + std::to_string(groups));
  if (call.log_sum) {
    check.tensor("log_sum", call.log_sum, {Type::float32});
    check.shape("log_sum", call.log_sum, {batch, queries, heads, 1}, "q");
  }
  if (call.bias) {
    check.tensor("bias", call.bias, {Type::float32});
    const bool one_batch = call.bias.shape[0] == 1, one_head = call.bias.shape[2] == 1;
    check.shape("bias", call.bias, {one_batch ? 1 : batch, queries, one_head ? 1 : heads, keys}, "q and k");
  }
  for (const auto& [name, input] :
       {std::pair{"q", &call.q}, {"k", &call.k}, {"v", &call.v}, {"bias", &call.bias}}) {
    check.separate("o", call.o, name, *input);
    check.separate("log_sum", call.log_sum, name, *input);
  }
  check.separate("log_sum", call.log_sum, "o", call.o);
  check.finite("scale", call.scale);
  check_mask(check, call.mask, queries, keys);
}

void check_decay_outer_product(const Checker& check, const DecayOuterProduct& call,
                               std::initializer_list<Type> types, std::initializer_list<Type> decay_types) {
  check.tensor("q", call.q, types);
  check.tensor("k", call.k, {call.q.type});
  check.tensor("v", call.v, {call.q.type});
  check.tensor("o", call.o, {call.q.type});
  const auto [batch, time, heads, d] = call.q.shape;
  const std::int64_t e = call.v.shape[3];
  check.shape("k", call.k, call.q.shape, "q");
  check.shape("v", call.v, {batch, time, heads, e}, "q");
  check.shape("o", call.o, call.v.shape, "v");
  if (call.log_decay) {
    check.tensor("log_decay", call.log_decay, decay_types);
    const Extents constant{1, 1, heads, 1}, per_token{batch, time, heads, 1},
        per_channel{batch, time, heads, d};
    const Extents& given = call.log_decay.shape;
    check.require(given == constant || given == per_token || given == per_channel, "the shape of log_decay",
                  to_string(given),
                  to_string(constant) + ", " + to_string(per_token) + " or " + to_string(per_channel));
  }
  if (call.initial_state) {
    check.tensor("initial_state", call.initial_state, {Type::float32});
    check.shape("initial_state", call.initial_state, {batch, heads, d, e}, "q and v");
  }
  if (call.final_state) {
    check.tensor("final_state", call.final_state, {Type::float32});
    check.shape("final_state", call.final_state, {batch, heads, d, e}, "q and v");
  }
  for (const auto& [name, input] : {std::pair{"q", &call.q},
                                    {"k", &call.k},
                                    {"v", &call.v},
                                    {"log_decay", &call.log_decay},
                                    {"initial_state", &call.initial_state}}) {
    check.separate("o", call.o, name, *input);
    check.separate("final_state", call.final_state, name, *input);
  }
  check.separate("final_state", call.final_state, "o", call.o);
  check.finite("scale", call.scale);
  check.require(call.chunk >= 0, "chunk", std::to_string(call.chunk),
                "at least 1, or 0 for a choice of the core");
}

}  // namespace etalon::fast
