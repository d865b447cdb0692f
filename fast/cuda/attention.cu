/// \file
/// Core 1 on the GPU: checks, choice of the kernel, launch.
#include <algorithm>
#include <cfloat>
#include <cmath>

#include "fast/cuda/attention_fma.cuh"
#include "fast/cuda/attention_mma.cuh"
#include "fast/cuda/attention_wgmma.cuh"
#include "fast/cuda/device.cuh"
#include "fast/cuda/rungs.hpp"
#include "fast/cuda/tensor_map.cuh"

namespace etalon::fast::cuda {
namespace {

/// Keys and values of the heads that are worked on at the same time should fit into half of the level-2
/// cache.
constexpr std::int64_t cached_bytes = 24 << 20;

template <typename T>
AttentionArguments<T> arguments(const Attention& call) {
  AttentionArguments<T> a;
  a.q = view<const T>(call.q);
  a.k = view<const T>(call.k);
  a.v = view<const T>(call.v);
  a.o = view<T>(call.o);
  if (call.log_sum) a.log_sum = view<float>(call.log_sum);
  a.batch = static_cast<int>(call.q.shape[0]);
  a.queries = static_cast<int>(call.q.shape[1]);
  a.heads = static_cast<int>(call.q.shape[2]);
  a.keys = static_cast<int>(call.k.shape[1]);
  a.heads_of_a_key = a.heads / static_cast<int>(call.k.shape[2]);
  const std::int64_t bytes = call.k.shape[1] * call.k.shape[3] * 2 * bytes_of(call.k.type);
  const std::int64_t together = std::max<std::int64_t>(1, cached_bytes / bytes) * a.heads_of_a_key;
  a.heads_at_a_time = static_cast<int>(std::min<std::int64_t>(together, call.q.shape[0] * call.q.shape[2]));
  // A scale of 0 would make 0 times -infinity of a hidden key; the smallest number gives every key the same
  // weight too.
  a.scale_log2 = std::max(std::fabs(call.scale) * 1.44269504088896340736f, FLT_MIN);
  a.negative = call.scale < 0.0f;
  a.causal = call.mask.kind == Mask::Kind::causal;
  return a;
}

template <typename Kernel>
void allow_shared(Kernel kernel, int bytes, const Device& device) {
  if (bytes > device.shared_bytes) {
    throw Error("attention: a block needs " + std::to_string(bytes) +
                " bytes of shared memory, this device has " + std::to_string(device.shared_bytes));
  }
  ETALON_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
}

/// Blocks of a launch, one for each tile of `queries` queries of each head.
template <typename T>
unsigned blocks(const AttentionArguments<T>& a, int queries) {
  const std::int64_t count =
      static_cast<std::int64_t>((a.queries + queries - 1) / queries) * a.heads * a.batch;
  if (count > 0x7fffffff) throw Error("attention: more than 2^31 - 1 tiles of queries on the GPU");
  return static_cast<unsigned>(count);
}

template <int D>
void launch_fma(const Attention& call, cudaStream_t stream, const Device& device) {
  using Shape = AttentionFma<D>;
  const AttentionArguments<float> a = arguments<float>(call);
  allow_shared(attention_fma<D>, Shape::shared_bytes, device);
  attention_fma<D><<<blocks(a, Shape::queries), Shape::threads, Shape::shared_bytes, stream>>>(a);
}

template <typename T, int D>
void launch_mma(const Attention& call, cudaStream_t stream, const Device& device) {
  using Shape = AttentionMma<D>;
  const AttentionArguments<T> a = arguments<T>(call);
  allow_shared(attention_mma<T, D>, Shape::shared_bytes, device);
  attention_mma<T, D><<<blocks(a, Shape::queries), Shape::threads, Shape::shared_bytes, stream>>>(a);
}

template <typename T, int D, bool Turns>
void launch_wgmma(const Attention& call, cudaStream_t stream, const Device& device) {
  using Shape = AttentionWgmma<D>;
  const AttentionArguments<T> a = arguments<T>(call);
  allow_shared(attention_wgmma<T, D, Turns>, Shape::shared_bytes, device);
  attention_wgmma<T, D, Turns><<<blocks(a, Shape::queries), Shape::threads, Shape::shared_bytes, stream>>>(
      a, tensor_map(call.q, Shape::queries), tensor_map(call.k, Shape::keys),
      tensor_map(call.v, Shape::keys));
}

template <typename T, int D>
void launch(const Attention& call, cudaStream_t stream, const Device& device, AttentionRung rung) {
  switch (rung) {
    case AttentionRung::fma:
      throw Error("attention: this kernel is for float32 storage");
    case AttentionRung::mma:
      launch_mma<T, D>(call, stream, device);
      break;
    case AttentionRung::wgmma:
      launch_wgmma<T, D, false>(call, stream, device);
      break;
    case AttentionRung::automatic:
    case AttentionRung::wgmma_turns:
      launch_wgmma<T, D, true>(call, stream, device);
      break;
  }
}

}  // namespace

void attention(const Attention& call, const Execution& execution, AttentionRung rung) {
  const Checker check{"attention"};
  check_attention(check, call, {Type::float32, Type::bfloat16, Type::float16});
  const std::int64_t d = call.q.shape[3];
  check.require(d == 64 || d == 128, "the head dimension", std::to_string(d), "64 or 128 on the GPU");
  check.require(call.v.shape[3] == d, "the head dimension of v", std::to_string(call.v.shape[3]),
                "that of q on the GPU");
  check.require(!call.bias, "bias", "given", "none on the GPU");
  check.require(call.mask.kind == Mask::Kind::full || call.mask.kind == Mask::Kind::causal, "mask.kind",
                call.mask.kind == Mask::Kind::window ? "window" : "blocks", "full or causal on the GPU");
  check_rows(check, "q", call.q);
  check_rows(check, "k", call.k);
  check_rows(check, "v", call.v);
  check_rows(check, "o", call.o);
  check_extent(check, "the number of queries", call.q.shape[1]);
  check_extent(check, "the number of keys", call.k.shape[1]);
  check_extent(check, "the number of heads in all batches", call.q.shape[0] * call.q.shape[2]);

  const Device device = current_device();
  const auto stream = static_cast<cudaStream_t>(execution.stream);
  if (call.q.type == Type::float32) {
    if (rung != AttentionRung::automatic && rung != AttentionRung::fma)
      throw Error("attention: this kernel is for bfloat16 and float16 storage");
    d == 64 ? launch_fma<64>(call, stream, device) : launch_fma<128>(call, stream, device);
    check_cuda(cudaGetLastError(), "attention: launch");
    return;
  }
  if (rung == AttentionRung::automatic && !device.hopper()) rung = AttentionRung::mma;
  if ((rung == AttentionRung::wgmma || rung == AttentionRung::wgmma_turns) && !device.hopper())
    throw Error("attention: this kernel needs sm_90a");
  const bool bfloat16 = call.q.type == Type::bfloat16;
  if (d == 64) {
    bfloat16 ? launch<__nv_bfloat16, 64>(call, stream, device, rung)
             : launch<__half, 64>(call, stream, device, rung);
  } else {
    bfloat16 ? launch<__nv_bfloat16, 128>(call, stream, device, rung)
             : launch<__half, 128>(call, stream, device, rung);
  }
  check_cuda(cudaGetLastError(), "attention: launch");
}

void attention(const Attention& call, const Execution& execution) {
  attention(call, execution, AttentionRung::automatic);
}

}  // namespace etalon::fast::cuda
