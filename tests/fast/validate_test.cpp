/// \file
/// What is wrong with a call is found before anything is written, and the message says what was given and
/// what is expected.
#include "fast/validate.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "fast/etalon_fast.h"
#include "tests/fast/support.hpp"

namespace etalon::fast_test {
namespace {

using fast::Checker;
using fast::Error;
using fast::Mask;
using fast::Tensor;
using fast::Type;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

/// The message of the error that `call` throws; empty if it throws none.
std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

alignas(64) float memory[1 << 12];

std::string tensor_error(const Tensor& tensor) {
  return error_of([&] { Checker{"f"}.tensor("x", tensor, {Type::float32, Type::float16}); });
}

Tensor view(std::array<std::int64_t, 4> shape, std::array<std::int64_t, 4> stride) {
  return {memory, Type::float32, shape, stride};
}

TEST(Tensor, MayLieInAnyOrderAndHaveGaps) {
  EXPECT_EQ(tensor_error(fast::tensor(memory, 2, 3, 4, 5)), "");
  EXPECT_EQ(tensor_error(view({2, 3, 4, 5}, {60, 5, 15, 1})), "");     // heads first
  EXPECT_EQ(tensor_error(view({2, 3, 4, 5}, {400, 100, 20, 1})), "");  // gaps
  EXPECT_EQ(tensor_error(view({1, 3, 1, 5}, {-7, 5, 0, 1})), "");      // strides that are never used
  EXPECT_EQ(tensor_error(view({1, 3, 1, 1}, {0, 1, 0, 99})), "");      // likewise
  EXPECT_EQ(tensor_error(view({1, 2, 1, 5}, {0, kHuge / 8, 0, 1})), "");
}

TEST(Tensor, ErrorsSayWhatIsWrong) {
  EXPECT_EQ(tensor_error({}), "f: x is null, expected a tensor");
  Tensor tensor = fast::tensor(memory, 2, 3, 4, 5, Type::bfloat16);
  EXPECT_EQ(tensor_error(tensor), "f: x is stored as bfloat16, expected float32 or float16");
  tensor.type = static_cast<Type>(9);
  EXPECT_EQ(tensor_error(tensor), "f: x is stored as type 9, expected float32 or float16");
  tensor = fast::tensor(reinterpret_cast<char*>(memory) + 2, 2, 3, 4, 5);
  EXPECT_EQ(tensor_error(tensor), "f: x is misaligned, expected an address that is a multiple of 4 bytes");
  EXPECT_EQ(tensor_error(fast::tensor(memory, 2, 0, 4, 5)),
            "f: x has shape [2, 0, 4, 5], expected every extent to be at least 1");
  EXPECT_EQ(tensor_error(view({2, 3, 4, -5}, {60, 20, 5, 1})),
            "f: x has shape [2, 3, 4, -5], expected every extent to be at least 1");
  EXPECT_EQ(tensor_error(view({2, 3, 4, 5}, {120, 40, 10, 2})),
            "f: x has strides [120, 40, 10, 2], expected the last one to be 1");
  for (const std::int64_t bad : {-20, 0, 19}) {
    EXPECT_EQ(
        tensor_error(view({2, 3, 4, 5}, {60, bad, 5, 1})),
        "f: x has strides [60, " + std::to_string(bad) +
            ", 5, 1] for the shape [2, 3, 4, 5], expected positive strides that keep its elements apart");
  }
  EXPECT_NE(tensor_error(view({2, 3, 4, 5}, {kHuge, 20, 5, 1})).find("expected less than 2^63 bytes"),
            std::string::npos);
  EXPECT_NE(tensor_error(view({kHuge, 3, 4, 5}, {60, 20, 5, 1})).find("expected less than 2^63 bytes"),
            std::string::npos);
}

TEST(Tensor, TellsApartWhatSharesMemory) {
  const auto error = [](const Tensor& output, const Tensor& other) {
    return error_of([&] { Checker{"f"}.separate("o", output, "q", other); });
  };
  // Four tensors [1, 3, 2, 5] packed side by side.
  const auto packed = [](std::int64_t which) {
    return Tensor{memory + which * 10, Type::float32, {1, 3, 2, 5}, {120, 40, 5, 1}};
  };
  EXPECT_EQ(error(packed(3), packed(0)), "");
  EXPECT_EQ(error(packed(0), packed(3)), "");
  EXPECT_EQ(error(packed(1), packed(1)), "f: o shares memory with q, expected an output of its own");
  Tensor shifted = packed(1);
  shifted.data = memory + 14;
  EXPECT_NE(error(shifted, packed(1)), "");  // overlaps in one element of each row
  EXPECT_NE(error(packed(1), shifted), "");
  EXPECT_EQ(error(fast::tensor(memory, 1, 3, 2, 5), fast::tensor(memory + 30, 1, 3, 2, 5)), "");
  EXPECT_NE(error(fast::tensor(memory, 1, 3, 2, 5), fast::tensor(memory + 29, 1, 3, 2, 5)), "");
  EXPECT_EQ(error({}, fast::tensor(memory, 1, 3, 2, 5)), "");
}

/// A correct call and everything to make it wrong.
struct AttentionCall {
  Storage q{2, 8, 6, 4}, k{2, 9, 2, 4}, v{2, 9, 2, 3}, o{2, 8, 6, 3}, log_sum{2, 8, 6, 1}, bias{1, 8, 6, 9};
  Storage d_o{2, 8, 6, 3}, dq{2, 8, 6, 4}, dk{2, 9, 2, 4}, dv{2, 9, 2, 3};
  std::vector<std::uint8_t> blocks = std::vector<std::uint8_t>(4, 1);
  fast::AttentionBackward backward;
  fast::Execution execution;

  AttentionCall() {
    for (Storage* x : {&q, &k, &v, &bias, &d_o}) x->fill(normal(1));
    backward.forward.q = q.view();
    backward.forward.k = k.view();
    backward.forward.v = v.view();
    backward.forward.o = o.view();
    backward.forward.log_sum = log_sum.view();
    backward.forward.bias = bias.view();
    backward.forward.mask.blocks = blocks.data();
    backward.d_o = d_o.view();
    backward.dq = dq.view();
    backward.dk = dk.view();
    backward.dv = dv.view();
  }
  AttentionCall(const AttentionCall&) = delete;
  AttentionCall& operator=(const AttentionCall&) = delete;
};

struct Mistake {
  std::function<void(AttentionCall&)> make;
  std::string message;  ///< after the name of the function
};

const Mistake kMistakes[] = {
    {[](AttentionCall& c) { c.backward.forward.v.shape[2] = 3; },
     "v has strides [54, 6, 3, 1] for the shape [2, 9, 3, 3], expected positive strides that keep its "
     "elements apart"},
    {[](AttentionCall& c) { c.backward.forward.v.shape[2] = 1; },
     "v has shape [2, 9, 1, 3], expected [2, 9, 2, 3], as fits k"},
    {[](AttentionCall& c) { c.backward.forward.k.shape[3] = 3; },
     "k has shape [2, 9, 2, 3], expected [2, 9, 2, 4], as fits q"},
    {[](AttentionCall& c) { c.backward.forward.k.shape[0] = 1; },
     "k has shape [1, 9, 2, 4], expected [2, 9, 2, 4], as fits q"},
    {[](AttentionCall& c) { c.backward.forward.o.shape[1] = 7; },
     "o has shape [2, 7, 6, 3], expected [2, 8, 6, 3], as fits q and v"},
    {[](AttentionCall& c) {
       c.backward.forward.q.shape[2] = 5;
       c.backward.forward.o.shape[2] = 5;
     },
     "the number of heads of q is 5, expected a multiple of those of k, which are 2"},
    {[](AttentionCall& c) { c.backward.forward.log_sum.shape[1] = 5; },
     "log_sum has shape [2, 5, 6, 1], expected [2, 8, 6, 1], as fits q"},
    {[](AttentionCall& c) { c.backward.forward.bias.shape[2] = 5; },
     "bias has shape [1, 8, 5, 9], expected [1, 8, 6, 9], as fits q and k"},
    {[](AttentionCall& c) { c.backward.forward.q.data = nullptr; }, "q is null, expected a tensor"},
    {[](AttentionCall& c) { c.backward.forward.v.type = Type::bfloat16; },
     "v is stored as bfloat16, expected float32"},
    {[](AttentionCall& c) { c.backward.forward.scale = std::numeric_limits<float>::quiet_NaN(); },
     "scale is nan, expected a finite number"},
    {[](AttentionCall& c) { c.execution.threads = 0; }, "threads is 0, expected at least 1"},
    {[](AttentionCall& c) {
       c.backward.forward.mask = {.kind = Mask::Kind::window, .before = -1, .after = 0};
     },
     "mask.before is -1, expected at least 0"},
    {[](AttentionCall& c) {
       c.backward.forward.mask = {.kind = Mask::Kind::window, .before = 0, .after = -3};
     },
     "mask.after is -3, expected at least 0"},
    {[](AttentionCall& c) { c.backward.forward.mask.kind = static_cast<Mask::Kind>(7); },
     "mask.kind is 7, expected full, causal, window or blocks"},
    {[](AttentionCall& c) { c.backward.forward.mask.kind = Mask::Kind::blocks; },
     "mask.block is 0, expected at least 1"},
    {[](AttentionCall& c) {
       c.backward.forward.mask = {
           .kind = Mask::Kind::blocks, .block = 5, .block_rows = 2, .block_columns = 2};
     },
     "mask.blocks is null, expected block_rows * block_columns bytes"},
    {[](AttentionCall& c) {
       c.backward.forward.mask.kind = Mask::Kind::blocks;
       c.backward.forward.mask.block = 5;
       c.backward.forward.mask.block_rows = 1;
     },
     "mask.block_rows is 1, expected 2, which covers 8 queries"},
    {[](AttentionCall& c) {
       c.backward.forward.mask.kind = Mask::Kind::blocks;
       c.backward.forward.mask.block = 5;
       c.backward.forward.mask.block_rows = 2;
       c.backward.forward.mask.block_columns = 3;
     },
     "mask.block_columns is 3, expected 2, which covers 9 keys"},
};

TEST(Attention, FindsMistakesBeforeWriting) {
  for (const Mistake& mistake : kMistakes) {
    AttentionCall c;
    mistake.make(c);
    EXPECT_EQ(error_of([&] { fast::cpu::attention(c.backward.forward, c.execution); }),
              "attention: " + mistake.message);
    EXPECT_EQ(error_of([&] { fast::cpu::attention_backward(c.backward, c.execution); }),
              "attention_backward: " + mistake.message);
    for (const Storage* x : {&c.o, &c.log_sum, &c.dq, &c.dk, &c.dv}) EXPECT_TRUE(x->untouched());
  }
  AttentionCall correct;
  fast::cpu::attention(correct.backward.forward);
  fast::cpu::attention_backward(correct.backward);
  EXPECT_FALSE(correct.dv.untouched());
}

TEST(Attention, OutputsHaveMemoryOfTheirOwn) {
  AttentionCall c;
  c.backward.forward.o.data = c.backward.forward.bias.data;
  EXPECT_EQ(error_of([&] { fast::cpu::attention(c.backward.forward); }),
            "attention: o shares memory with bias, expected an output of its own");
  AttentionCall d;
  d.backward.dq.data = d.backward.forward.q.data;
  EXPECT_EQ(error_of([&] { fast::cpu::attention_backward(d.backward); }),
            "attention_backward: dq shares memory with q, expected an output of its own");
}

TEST(Attention, GradientNeedsLogSum) {
  AttentionCall c;
  c.backward.forward.log_sum = {};
  EXPECT_EQ(error_of([&] { fast::cpu::attention_backward(c.backward); }),
            "attention_backward: log_sum is null, expected a tensor");
  AttentionCall d;
  d.backward.dk.shape[1] = 8;
  EXPECT_EQ(error_of([&] { fast::cpu::attention_backward(d.backward); }),
            "attention_backward: dk has shape [2, 8, 2, 4], expected [2, 9, 2, 4], as fits k");
}

TEST(Checker, SaysWhereADecayGrows) {
  EXPECT_EQ(error_of([] { Checker{"f"}.growth("log_decay"); }),
            "f: log_decay has an entry above 0 or NaN, expected logarithms of decays, all at most 0");
  EXPECT_EQ(error_of([] {
              Checker{"f"}.growth("log_decay", " at " + fast::to_string({0, 7, 1, 0}));
            }),
            "f: log_decay has an entry above 0 or NaN at [0, 7, 1, 0], expected logarithms of decays, all at "
            "most 0");
}

TEST(C, ComputesTheSameAndReportsErrors) {
  AttentionCall c, from_c;
  fast::cpu::attention(c.backward.forward);
  auto call = std::bit_cast<etalon_fast_attention>(from_c.backward.forward);
  const etalon_fast_execution execution{1, nullptr, nullptr, 0, false};
  ASSERT_EQ(etalon_fast_cpu_attention(&call, &execution), ETALON_FAST_OK);
  EXPECT_EQ(c.o.memory(), from_c.o.memory());
  call.q.data = nullptr;
  EXPECT_EQ(etalon_fast_cpu_attention(&call, &execution), ETALON_FAST_INVALID);
  EXPECT_STREQ(etalon_fast_last_error(), "attention: q is null, expected a tensor");
  EXPECT_EQ(etalon_fast_cpu_attention(nullptr, &execution), ETALON_FAST_INVALID);
  EXPECT_STREQ(etalon_fast_last_error(), "attention: call is null, expected an address");
  EXPECT_EQ(etalon_fast_cpu_instructions(), fast::cpu::instructions());
}

}  // namespace
}  // namespace etalon::fast_test
