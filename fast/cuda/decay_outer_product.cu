/// \file
/// Core 2 on the GPU: checks, the cut into segments, choice of the kernels, launch.
///
/// The values of log_decay are looked at, for which the call waits for the device, unless the caller vouches
/// for them: then a NaN makes every output from its token on NaN, and a value above 0 is computed as growth.
/// With float16, states and scores have to stay below 65504.
#include <algorithm>

#include "fast/cuda/decay_channel_mma.cuh"
#include "fast/cuda/decay_fma.cuh"
#include "fast/cuda/decay_scalar_mma.cuh"
#include "fast/cuda/decay_scalar_wgmma.cuh"
#include "fast/cuda/device.cuh"
#include "fast/cuda/log_decay_check.cuh"
#include "fast/cuda/rungs.hpp"
#include "fast/cuda/tensor_map.cuh"

namespace etalon::fast::cuda {
namespace {

struct Cut {
  int segments = 1;
  int tokens = 0;  ///< of a segment, whole chunks
};

/// How to cut the sequence: the least time by a rough count, in units of a chunk's outputs. States cost a
/// third of that, or a half with the bytes of k and v that both kernels read; a state of a segment before
/// costs about half a chunk; a second kernel about two.
Cut cut(std::int64_t rows, std::int64_t time, std::int64_t blocks_at_once, int asked) {
  const std::int64_t chunks = (time + decay_chunk - 1) / decay_chunk;
  const auto with = [&](std::int64_t segments) {
    const std::int64_t of_segment = (chunks + segments - 1) / segments;
    return Cut{static_cast<int>((chunks + of_segment - 1) / of_segment),
               static_cast<int>(of_segment * decay_chunk)};
  };
  if (asked > 0) return with(std::min<std::int64_t>(asked, chunks));
  Cut best = with(1);
  double least = 0;
  for (std::int64_t segments = 1; segments <= std::min<std::int64_t>(chunks, 64); ++segments) {
    const Cut here = with(segments);
    const double waves = static_cast<double>((rows * here.segments + blocks_at_once - 1) / blocks_at_once);
    double cost = waves * here.tokens / decay_chunk;
    if (here.segments > 1) cost = cost * 1.5 + 2 + 0.5 * here.segments;
    if (segments == 1 || cost < least) {
      best = here;
      least = cost;
    }
  }
  return best;
}

Cut cut(const DecayOuterProduct& call, const Device& device, int asked) {
  if (call.q.type == Type::float32) return {};
  const int blocks = device.multiprocessors * (call.q.shape[3] == 64 ? 2 : 1);
  return cut(call.q.shape[0] * call.q.shape[2], call.q.shape[1], blocks, asked);
}

std::int64_t workspace_bytes(const DecayOuterProduct& call, const Cut& cut) {
  if (cut.segments == 1) return 0;
  const std::int64_t d = call.q.shape[3];
  return call.q.shape[0] * call.q.shape[2] * cut.segments * (d * d + d) * 4;
}

void check_call(const DecayOuterProduct& call) {
  const Checker check{"decay_outer_product"};
  check_decay_outer_product(check, call, {Type::float32, Type::bfloat16, Type::float16}, {Type::float32});
  const std::int64_t d = call.q.shape[3];
  check.require(d == 64 || d == 128, "the head dimension", std::to_string(d), "64 or 128 on the GPU");
  check.require(call.v.shape[3] == d, "the head dimension of v", std::to_string(call.v.shape[3]),
                "that of q on the GPU");
  check.require(call.chunk == 0, "chunk", std::to_string(call.chunk), "0 on the GPU, which has its own");
  check_rows(check, "q", call.q);
  check_rows(check, "k", call.k);
  check_rows(check, "v", call.v);
  check_rows(check, "o", call.o);
  if (call.log_decay && call.log_decay.shape[3] == d) check_rows(check, "log_decay", call.log_decay);
  check_extent(check, "the number of tokens", call.q.shape[1]);
  check_extent(check, "the number of heads in all batches", call.q.shape[0] * call.q.shape[2]);
}

StateView state_view(const Tensor& tensor) {
  return {static_cast<float*>(tensor.data), tensor.stride[0], tensor.stride[1], tensor.stride[2]};
}

template <typename T>
DecayArguments<T> arguments(const DecayOuterProduct& call, const Cut& cut, void* workspace,
                            double cached_bytes) {
  DecayArguments<T> a;
  a.q = view<const T>(call.q);
  a.k = view<const T>(call.k);
  a.v = view<const T>(call.v);
  a.o = view<T>(call.o);
  if (call.log_decay) {
    a.log_decay = view<const float>(call.log_decay);
    if (call.log_decay.shape[0] == 1) a.log_decay.batch = 0;
    if (call.log_decay.shape[1] == 1) a.log_decay.time = 0;
  }
  a.initial = state_view(call.initial_state);
  a.final = state_view(call.final_state);
  a.batch = static_cast<int>(call.q.shape[0]);
  a.time = static_cast<int>(call.q.shape[1]);
  a.heads = static_cast<int>(call.q.shape[2]);
  a.scale = call.scale;
  a.segments = cut.segments;
  a.segment_tokens = cut.tokens;
  if (cut.segments > 1) {
    const std::int64_t d = call.q.shape[3], states = call.q.shape[0] * call.q.shape[2] * cut.segments;
    a.segment_states = static_cast<float4*>(workspace);
    a.segment_decays = static_cast<float*>(workspace) + states * d * d;
    const bool channel = call.log_decay && call.log_decay.shape[3] == d;
    const double token_bytes = static_cast<double>(channel ? 8 * d : 4 * d);
    a.kept_tokens = static_cast<int>(std::min(cached_bytes / (token_bytes * static_cast<double>(states)),
                                              static_cast<double>(cut.tokens)));
  }
  return a;
}

/// Launches a kernel. `early`: its blocks may take up free multiprocessors before the kernel before it has
/// ended; only for the second kernel of a call, which waits for the first where it needs its results.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, int threads, int shared, bool early,
            const Device& device, cudaStream_t stream, const Arguments&... arguments) {
  if (shared > device.shared_bytes) {
    throw Error("decay_outer_product: a block needs " + std::to_string(shared) +
                " bytes of shared memory, this device has " + std::to_string(device.shared_bytes));
  }
  ETALON_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = static_cast<std::size_t>(shared);
  config.stream = stream;
  config.attrs = &overlap;
  // Kernels that were compiled for less than sm_90 do not wait, whatever the device.
  config.numAttrs = early && device.code >= 90 ? 1 : 0;
  ETALON_CUDA(cudaLaunchKernelEx(&config, kernel, arguments...));
}

template <int D, DecayShape Decay>
void run_fma(const DecayOuterProduct& call, cudaStream_t stream, const Device& device) {
  using Shape = DecayFma<D, Decay>;
  const auto blocks = call.q.shape[0] * call.q.shape[2] * Shape::slices;
  if (blocks > 0x7fffffff) throw Error("decay_outer_product: more than 2^31 - 1 slices of heads on the GPU");
  launch(decay_fma<D, Decay>, dim3(static_cast<unsigned>(blocks)), Shape::threads, Shape::shared_bytes, false,
         device, stream, arguments<float>(call, {}, nullptr, 0.0));
}

template <int D>
void run_fma(const DecayOuterProduct& call, cudaStream_t stream, const Device& device) {
  if (!call.log_decay) {
    run_fma<D, DecayShape::none>(call, stream, device);
  } else if (call.log_decay.shape[3] == 1) {
    run_fma<D, DecayShape::scalar>(call, stream, device);
  } else {
    run_fma<D, DecayShape::channel>(call, stream, device);
  }
}

template <typename T, int D>
void run(const DecayOuterProduct& call, const Execution& execution, const Device& device, const Cut& cut,
         DecayRung rung, double cached) {
  const auto stream = static_cast<cudaStream_t>(execution.stream);
  const DecayArguments<T> a = arguments<T>(call, cut, execution.workspace, cached * device.cache_bytes);
  const auto rows = static_cast<unsigned>(a.batch * a.heads), segments = static_cast<unsigned>(a.segments);
  const bool channel = call.log_decay && call.log_decay.shape[3] == D;
  if (channel) {
    using Shape = DecayChannel<D>;
    constexpr int threads = Shape::multipliers + Shape::preparers;
    if (segments > 1) {
      launch(decay_channel_states<T, D>, dim3(rows, segments - 1), Shape::multipliers + Shape::walkers,
             Shape::state_shared, false, device, stream, a);
    }
    const auto outputs = [&](auto kernel, int stages) {
      launch(kernel, dim3(rows, segments), threads, Shape::output_shared(stages), segments > 1, device,
             stream, a);
    };
    if (Shape::output_shared(4) <= device.shared_bytes) {
      outputs(decay_channel_outputs<T, D, 4>, 4);
    } else {
      outputs(decay_channel_outputs<T, D, 3>, 3);
    }
    return;
  }
  using Shape = DecayMma<D>;
  if (segments > 1) {
    launch(decay_scalar_states<T, D>, dim3(rows, segments - 1), Shape::threads, Shape::state_shared, false,
           device, stream, a);
  }
  if (rung == DecayRung::mma) {
    launch(decay_scalar_outputs<T, D>, dim3(rows, segments), Shape::threads, Shape::output_shared,
           segments > 1, device, stream, a);
  } else {
    launch(decay_scalar_outputs_wgmma<T, D>, dim3(rows, segments), DecayWgmma<D>::threads,
           DecayWgmma<D>::shared_bytes, segments > 1, device, stream, a, tensor_map(call.q, decay_chunk),
           tensor_map(call.k, decay_chunk), tensor_map(call.v, decay_chunk), tensor_map(call.o, decay_chunk));
  }
}

}  // namespace

std::int64_t decay_outer_product_workspace(const DecayOuterProduct& call, const DecayPlan& plan) {
  check_call(call);
  return workspace_bytes(call, cut(call, current_device(), plan.segments));
}

void decay_outer_product(const DecayOuterProduct& call, const Execution& execution, const DecayPlan& plan) {
  check_call(call);
  const Device device = current_device();
  const Cut pieces = cut(call, device, plan.segments);
  const std::int64_t needed = workspace_bytes(call, pieces);
  const Checker check{"decay_outer_product"};
  if (needed > 0) {
    check.require(execution.workspace != nullptr, "workspace", "null", std::to_string(needed) + " bytes");
    check.require(execution.workspace_bytes >= needed, "workspace_bytes",
                  std::to_string(execution.workspace_bytes), "at least " + std::to_string(needed));
    check.require(reinterpret_cast<std::uintptr_t>(execution.workspace) % 16 == 0, "workspace", "misaligned",
                  "a multiple of 16 bytes");
  }
  const bool float32 = call.q.type == Type::float32;
  DecayRung rung = plan.rung;
  if (rung == DecayRung::automatic && float32) rung = DecayRung::fma;
  if ((rung == DecayRung::fma) != float32) {
    throw Error(std::string("decay_outer_product: this kernel is for ") +
                (float32 ? "bfloat16 and float16 storage" : "float32 storage"));
  }
  if (rung == DecayRung::automatic) rung = device.hopper() ? DecayRung::wgmma : DecayRung::mma;
  if (rung == DecayRung::wgmma && !device.hopper())
    throw Error("decay_outer_product: this kernel needs sm_90a");
  const auto stream = static_cast<cudaStream_t>(execution.stream);
  if (call.log_decay && !execution.trust_values) check_log_decay(check, call.log_decay, stream, device);
  if (float32) {
    call.q.shape[3] == 64 ? run_fma<64>(call, stream, device) : run_fma<128>(call, stream, device);
    return;
  }
  const bool bfloat16 = call.q.type == Type::bfloat16;
  if (call.q.shape[3] == 64) {
    bfloat16 ? run<__nv_bfloat16, 64>(call, execution, device, pieces, rung, plan.cached)
             : run<__half, 64>(call, execution, device, pieces, rung, plan.cached);
  } else {
    bfloat16 ? run<__nv_bfloat16, 128>(call, execution, device, pieces, rung, plan.cached)
             : run<__half, 128>(call, execution, device, pieces, rung, plan.cached);
  }
}

std::int64_t decay_outer_product_workspace(const DecayOuterProduct& call) {
  return decay_outer_product_workspace(call, DecayPlan{});
}

void decay_outer_product(const DecayOuterProduct& call, const Execution& execution) {
  decay_outer_product(call, execution, DecayPlan{});
}

}  // namespace etalon::fast::cuda
