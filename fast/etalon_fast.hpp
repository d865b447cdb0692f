/// \file
/// The fast path: few cores, many mixers. What a user links who wants speed; held to the texts of
/// `reference/` within derived budgets.
///
/// Each core exists on the CPU (Google Highway with run-time dispatch, OpenMP over heads and chunks), two of
/// them on the GPU (CUDA, namespace `cuda`). A call does what it is asked on the device it is asked on or
/// throws; it never falls back to something slower. Nothing is allocated inside the loops.
///
/// Layout: every tensor is [batch, time, head, dim] with a stride in elements for each axis; dim is
/// contiguous. Storage: float32 everywhere; on the GPU also bfloat16 and float16. Accumulation is in float32
/// everywhere. Outputs must not share memory with inputs or with each other. Decays are given as natural
/// logarithms (log_decay <= 0): a decay of e^-20 and one of 1 - 2^-40 are equally easy to say. Minus infinity
/// is allowed and means a decay of 0, a reset.
///
/// The same functions for C: `fast/etalon_fast.h`.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace etalon::fast {

/// How a number is stored.
enum class Type : std::int32_t { float32 = 0, bfloat16 = 1, float16 = 2 };

/// A view of [batch, time, head, dim]. Does not own its memory.
/// `data` is null for an optional tensor that is not given.
struct Tensor {
  void* data = nullptr;
  Type type = Type::float32;
  std::array<std::int64_t, 4> shape{0, 0, 0, 0};   ///< batch, time, head, dim
  std::array<std::int64_t, 4> stride{0, 0, 0, 0};  ///< in elements; stride[3] is 1

  explicit operator bool() const { return data != nullptr; }
};

/// A contiguous view.
inline Tensor tensor(void* data, std::int64_t batch, std::int64_t time, std::int64_t heads, std::int64_t dim,
                     Type type = Type::float32) {
  return {data, type, {batch, time, heads, dim}, {time * heads * dim, heads * dim, dim, 1}};
}
inline Tensor tensor(const void* data, std::int64_t batch, std::int64_t time, std::int64_t heads,
                     std::int64_t dim, Type type = Type::float32) {
  return tensor(const_cast<void*>(data), batch, time, heads, dim, type);  // inputs are never written
}

/// What every error of the fast path is: it names the argument, what was given and what is supported.
/// No output has been written when it is thrown.
struct Error : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

/// Where and with what to compute.
struct Execution {
  int threads = 1;                   ///< CPU: number of threads, at least 1; not used by the GPU
  void* stream = nullptr;            ///< GPU: a cudaStream_t; not used by the CPU
  void* workspace = nullptr;         ///< GPU: device memory of at least the core's workspace_bytes, or null
  std::int64_t workspace_bytes = 0;  ///< its size
  bool trust_values = false;  ///< GPU: log_decay is not looked at, so that the call need not wait for the
                              ///< device; a NaN then gives NaN and a value above 0 growth
};

/// Which keys a query may see. Query i stands at position i + m - n, the convention of the text, so that the
/// last query sees the last key.
struct Mask {
  enum class Kind : std::int32_t {
    full,    ///< every key
    causal,  ///< keys at or before the query
    window,  ///< keys from `before` positions before the query to `after` positions after it
    blocks  ///< tile (r, c) of `block` x `block` positions is seen where blocks[r * block_columns + c] is not
            ///< 0
  };
  Kind kind = Kind::full;
  std::int64_t before = 0, after = 0;
  std::int64_t block = 0;
  std::int64_t block_rows = 0, block_columns = 0;
  const std::uint8_t* blocks = nullptr;
};

/// Core 1, attention tile: o = softmax(scale q k^T + bias) v over the keys that the mask shows, by tiles with
/// an online softmax. A query that sees no key gets o = 0 and log_sum = -inf. Shapes: q [b, n, h, d], k [b,
/// m, g, d], v [b, m, g, e], o [b, n, h, e]; h is a multiple of g (grouped heads).
struct Attention {
  Tensor q, k, v, o;
  Tensor log_sum;  ///< optional output [b, n, h, 1], float32: log of the softmax's denominator, natural
  Tensor bias;     ///< optional [b or 1, n, h or 1, m], float32, added to the scaled scores
  float scale = 1.0f;
  Mask mask;
};

/// Gradients of core 1 for a given gradient of o. o and log_sum are those of the forward call.
/// dq, dk, dv have the shapes of q, k, v (grouped heads add up).
struct AttentionBackward {
  Attention forward;  ///< q, k, v, o, log_sum, bias, scale, mask
  Tensor d_o;         ///< [b, n, h, e]
  Tensor dq, dk, dv;
};

/// Core 2, decay and outer product: S_t = diag(a_t) S_{t-1} + k_t v_t^T, o_t = scale S_t^T q_t.
/// Shapes: q, k [b, n, h, d], v, o [b, n, h, e].
struct DecayOuterProduct {
  Tensor q, k, v, o;
  Tensor log_decay;  ///< log a_t <= 0: not given (no decay), [1, 1, h, 1] (a constant for each head), [b, n,
                     ///< h, 1] (a number for each token), or [b, n, h, d] (a number for each channel)
  Tensor initial_state;  ///< optional [b, h, d, e], float32: shape[1] is head, shape[2] d, shape[3] e
  Tensor final_state;    ///< optional output, the same shape
  float scale = 1.0f;
  std::int64_t chunk = 0;  ///< tokens of a chunk, at most 1024; 0 lets the core choose
};

/// Gradients of core 2. The final state has no gradient of its own unless d_final_state is given.
struct DecayOuterProductBackward {
  DecayOuterProduct forward;  ///< o and final_state are not read
  Tensor d_o;
  Tensor d_final_state;  ///< optional input
  Tensor dq, dk, dv,
      d_log_decay;         ///< d_log_decay as log_decay (a constant's is summed over tokens); optional
  Tensor d_initial_state;  ///< optional output
};

/// Core 3, delta rule: S_t = a_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T, o_t = scale S_t^T q_t, by
/// chunks through the UT transform. Shapes as in core 2.
struct DeltaRule {
  Tensor q, k, v, o;
  Tensor beta;           ///< [b, n, h, 1]
  Tensor log_decay;      ///< optional [b, n, h, 1], <= 0
  Tensor initial_state;  ///< optional [b, h, d, e], float32
  Tensor final_state;    ///< optional output
  float scale = 1.0f;
  std::int64_t chunk = 0;  ///< tokens of a chunk, at most 1024; 0 lets the core choose
};

/// Core 4, diagonal selective scan (Mamba S6), real: for every channel c and state p,
/// h_t = exp(D_t A) h_{t-1} + D_t B_t x_t, y_t = C_t . h_t + skip x_t, gated by z: o_t = y_t silu(z_t),
/// with D_t = softplus(delta_t + delta_bias) if softplus is asked for, else delta_t + delta_bias.
/// Shapes, with head as group of channels: x, delta, z, o [b, n, g, c], B, C [b, n, g, s], A [1, g, c, s]
/// (entries <= 0), skip and delta_bias [1, 1, g, c].
struct SelectiveScan {
  Tensor x, delta, a, b, c, o;
  Tensor skip, delta_bias, z;  ///< optional
  Tensor initial_state;        ///< optional [b, g, c, s], float32
  Tensor final_state;          ///< optional output
  bool softplus = false;
};

/// Core 4, complex: the recurrence of S4D, h_t = lambda h_{t-1} + x_t, y_t = 2 Re(w . h_t) + skip x_t for
/// every channel. lambda and w hold real and imaginary part side by side: [1, g, c, 2 s]; |lambda| <= 1.
/// Shapes: x, o [b, n, g, c].
struct ComplexScan {
  Tensor x, lambda, w, o;
  Tensor skip;           ///< optional [1, 1, g, c]
  Tensor initial_state;  ///< optional [b, g, c, 2 s]
  Tensor final_state;    ///< optional output
};

namespace cpu {
void attention(const Attention& call, const Execution& execution = {});
void attention_backward(const AttentionBackward& call, const Execution& execution = {});
void decay_outer_product(const DecayOuterProduct& call, const Execution& execution = {});
void decay_outer_product_backward(const DecayOuterProductBackward& call, const Execution& execution = {});
void delta_rule(const DeltaRule& call, const Execution& execution = {});
void selective_scan(const SelectiveScan& call, const Execution& execution = {});
void complex_scan(const ComplexScan& call, const Execution& execution = {});
/// The instruction set that the dispatch chose on this processor, as Highway names it, such as "AVX2".
std::string instructions();
}  // namespace cpu

namespace cuda {
/// Throws Error when this build has no CUDA part, there is no device, or it is older than sm_80.
void require_device();
/// Core 1, forward, on the GPU. Tensors are in device memory, q, k, v, o all float32, all bfloat16 or all
/// float16, rows 16-byte aligned; head dimension d = e = 64 or 128; mask full or causal; no bias. float32 is
/// multiplied as float32, not by tensor cores, which would keep 11 bits of it.
void attention(const Attention& call, const Execution& execution = {});
/// Device memory that decay_outer_product needs in execution.workspace; 0 where it needs none.
std::int64_t decay_outer_product_workspace(const DecayOuterProduct& call);
/// Core 2, forward, on the GPU: storage and head dimension as above; log_decay in float32; chunk 0. Where
/// log_decay is given, the device first looks for a NaN or a value above 0, and the call waits for its answer
/// before it launches what writes; it allocates 8 bytes for that in the order of the stream. A stream that is
/// being captured cannot be waited for: set execution.trust_values there. In float16 states and scores must
/// stay below 65504.
void decay_outer_product(const DecayOuterProduct& call, const Execution& execution = {});
}  // namespace cuda

}  // namespace etalon::fast
