/// \file
/// The functions for C: the same calls, with exceptions turned into statuses.
#include <bit>
#include <cstddef>
#include <exception>
#include <new>
#include <string>
#include <type_traits>

#include "fast/etalon_fast.h"
#include "fast/etalon_fast.hpp"

namespace etalon::fast {
namespace {

// The structures must agree member for member. A member that is missing or has another type moves those after
// it.
#define ETALON_SAME_SIZE(ours, theirs) \
  static_assert(sizeof(ours) == sizeof(theirs) && std::is_trivially_copyable_v<ours>)
#define ETALON_SAME_PLACE(ours, theirs, member) \
  static_assert(offsetof(ours, member) == offsetof(theirs, member))

ETALON_SAME_SIZE(Tensor, etalon_fast_tensor);
ETALON_SAME_PLACE(Tensor, etalon_fast_tensor, type);
ETALON_SAME_PLACE(Tensor, etalon_fast_tensor, shape);
ETALON_SAME_PLACE(Tensor, etalon_fast_tensor, stride);
ETALON_SAME_SIZE(Execution, etalon_fast_execution);
ETALON_SAME_PLACE(Execution, etalon_fast_execution, stream);
ETALON_SAME_PLACE(Execution, etalon_fast_execution, workspace);
ETALON_SAME_PLACE(Execution, etalon_fast_execution, workspace_bytes);
ETALON_SAME_PLACE(Execution, etalon_fast_execution, trust_values);
ETALON_SAME_SIZE(Mask, etalon_fast_mask);
ETALON_SAME_PLACE(Mask, etalon_fast_mask, before);
ETALON_SAME_PLACE(Mask, etalon_fast_mask, after);
ETALON_SAME_PLACE(Mask, etalon_fast_mask, block);
ETALON_SAME_PLACE(Mask, etalon_fast_mask, block_rows);
ETALON_SAME_PLACE(Mask, etalon_fast_mask, block_columns);
ETALON_SAME_PLACE(Mask, etalon_fast_mask, blocks);
ETALON_SAME_SIZE(Attention, etalon_fast_attention);
ETALON_SAME_PLACE(Attention, etalon_fast_attention, k);
ETALON_SAME_PLACE(Attention, etalon_fast_attention, v);
ETALON_SAME_PLACE(Attention, etalon_fast_attention, o);
ETALON_SAME_PLACE(Attention, etalon_fast_attention, log_sum);
ETALON_SAME_PLACE(Attention, etalon_fast_attention, bias);
ETALON_SAME_PLACE(Attention, etalon_fast_attention, scale);
ETALON_SAME_PLACE(Attention, etalon_fast_attention, mask);
ETALON_SAME_SIZE(AttentionBackward, etalon_fast_attention_backward);
ETALON_SAME_PLACE(AttentionBackward, etalon_fast_attention_backward, d_o);
ETALON_SAME_PLACE(AttentionBackward, etalon_fast_attention_backward, dq);
ETALON_SAME_PLACE(AttentionBackward, etalon_fast_attention_backward, dk);
ETALON_SAME_PLACE(AttentionBackward, etalon_fast_attention_backward, dv);
ETALON_SAME_SIZE(DecayOuterProduct, etalon_fast_decay_outer_product);
ETALON_SAME_PLACE(DecayOuterProduct, etalon_fast_decay_outer_product, k);
ETALON_SAME_PLACE(DecayOuterProduct, etalon_fast_decay_outer_product, v);
ETALON_SAME_PLACE(DecayOuterProduct, etalon_fast_decay_outer_product, o);
ETALON_SAME_PLACE(DecayOuterProduct, etalon_fast_decay_outer_product, log_decay);
ETALON_SAME_PLACE(DecayOuterProduct, etalon_fast_decay_outer_product, initial_state);
ETALON_SAME_PLACE(DecayOuterProduct, etalon_fast_decay_outer_product, final_state);
ETALON_SAME_PLACE(DecayOuterProduct, etalon_fast_decay_outer_product, scale);
ETALON_SAME_PLACE(DecayOuterProduct, etalon_fast_decay_outer_product, chunk);
ETALON_SAME_SIZE(DecayOuterProductBackward, etalon_fast_decay_outer_product_backward);
ETALON_SAME_PLACE(DecayOuterProductBackward, etalon_fast_decay_outer_product_backward, d_o);
ETALON_SAME_PLACE(DecayOuterProductBackward, etalon_fast_decay_outer_product_backward, d_final_state);
ETALON_SAME_PLACE(DecayOuterProductBackward, etalon_fast_decay_outer_product_backward, dq);
ETALON_SAME_PLACE(DecayOuterProductBackward, etalon_fast_decay_outer_product_backward, dk);
ETALON_SAME_PLACE(DecayOuterProductBackward, etalon_fast_decay_outer_product_backward, dv);
ETALON_SAME_PLACE(DecayOuterProductBackward, etalon_fast_decay_outer_product_backward, d_log_decay);
ETALON_SAME_PLACE(DecayOuterProductBackward, etalon_fast_decay_outer_product_backward, d_initial_state);
ETALON_SAME_SIZE(DeltaRule, etalon_fast_delta_rule);
ETALON_SAME_PLACE(DeltaRule, etalon_fast_delta_rule, k);
ETALON_SAME_PLACE(DeltaRule, etalon_fast_delta_rule, v);
ETALON_SAME_PLACE(DeltaRule, etalon_fast_delta_rule, o);
ETALON_SAME_PLACE(DeltaRule, etalon_fast_delta_rule, beta);
ETALON_SAME_PLACE(DeltaRule, etalon_fast_delta_rule, log_decay);
ETALON_SAME_PLACE(DeltaRule, etalon_fast_delta_rule, initial_state);
ETALON_SAME_PLACE(DeltaRule, etalon_fast_delta_rule, final_state);
ETALON_SAME_PLACE(DeltaRule, etalon_fast_delta_rule, scale);
ETALON_SAME_PLACE(DeltaRule, etalon_fast_delta_rule, chunk);
ETALON_SAME_SIZE(SelectiveScan, etalon_fast_selective_scan);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, delta);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, a);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, b);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, c);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, o);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, skip);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, delta_bias);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, z);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, initial_state);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, final_state);
ETALON_SAME_PLACE(SelectiveScan, etalon_fast_selective_scan, softplus);
ETALON_SAME_SIZE(ComplexScan, etalon_fast_complex_scan);
ETALON_SAME_PLACE(ComplexScan, etalon_fast_complex_scan, lambda);
ETALON_SAME_PLACE(ComplexScan, etalon_fast_complex_scan, w);
ETALON_SAME_PLACE(ComplexScan, etalon_fast_complex_scan, o);
ETALON_SAME_PLACE(ComplexScan, etalon_fast_complex_scan, skip);
ETALON_SAME_PLACE(ComplexScan, etalon_fast_complex_scan, initial_state);
ETALON_SAME_PLACE(ComplexScan, etalon_fast_complex_scan, final_state);
static_assert(int{ETALON_FAST_FLOAT32} == static_cast<int>(Type::float32) &&
              int{ETALON_FAST_BFLOAT16} == static_cast<int>(Type::bfloat16) &&
              int{ETALON_FAST_FLOAT16} == static_cast<int>(Type::float16));
static_assert(int{ETALON_FAST_FULL} == static_cast<int>(Mask::Kind::full) &&
              int{ETALON_FAST_CAUSAL} == static_cast<int>(Mask::Kind::causal) &&
              int{ETALON_FAST_WINDOW} == static_cast<int>(Mask::Kind::window) &&
              int{ETALON_FAST_BLOCKS} == static_cast<int>(Mask::Kind::blocks));

thread_local std::string last_error;

template <class Work>
int status_of(Work work) noexcept {
  try {
    work();
    return ETALON_FAST_OK;
  } catch (const Error& error) {
    last_error = error.what();
    return ETALON_FAST_INVALID;
  } catch (const std::bad_alloc&) {
    last_error = "not enough memory for intermediate results";
    return ETALON_FAST_NO_MEMORY;
  } catch (const std::exception& error) {
    last_error = error.what();
    return ETALON_FAST_FAILED;
  } catch (...) {
    last_error = "an exception that is no std::exception";
    return ETALON_FAST_FAILED;
  }
}

void require_pointer(const void* pointer, const char* function, const char* argument) {
  if (pointer == nullptr)
    throw Error(std::string(function) + ": " + argument + " is null, expected an address");
}

/// Calls `core` with copies of the two structures as those of C++.
template <class Call, class Given>
int run(const char* function, void (*core)(const Call&, const Execution&), const Given* call,
        const etalon_fast_execution* execution) {
  return status_of([&] {
    require_pointer(call, function, "call");
    require_pointer(execution, function, "execution");
    core(std::bit_cast<Call>(*call), std::bit_cast<Execution>(*execution));
  });
}

}  // namespace
}  // namespace etalon::fast

namespace fast = etalon::fast;

const char* etalon_fast_last_error(void) {
  return fast::last_error.c_str();
}

const char* etalon_fast_cpu_instructions(void) {
  static const std::string name = fast::cpu::instructions();
  return name.c_str();
}

int etalon_fast_cpu_attention(const etalon_fast_attention* call, const etalon_fast_execution* execution) {
  return fast::run("attention", fast::cpu::attention, call, execution);
}

int etalon_fast_cpu_attention_backward(const etalon_fast_attention_backward* call,
                                       const etalon_fast_execution* execution) {
  return fast::run("attention_backward", fast::cpu::attention_backward, call, execution);
}

int etalon_fast_cpu_decay_outer_product(const etalon_fast_decay_outer_product* call,
                                        const etalon_fast_execution* execution) {
  return fast::run("decay_outer_product", fast::cpu::decay_outer_product, call, execution);
}

int etalon_fast_cpu_decay_outer_product_backward(const etalon_fast_decay_outer_product_backward* call,
                                                 const etalon_fast_execution* execution) {
  return fast::run("decay_outer_product_backward", fast::cpu::decay_outer_product_backward, call, execution);
}

int etalon_fast_cpu_delta_rule(const etalon_fast_delta_rule* call, const etalon_fast_execution* execution) {
  return fast::run("delta_rule", fast::cpu::delta_rule, call, execution);
}

int etalon_fast_cpu_selective_scan(const etalon_fast_selective_scan* call,
                                   const etalon_fast_execution* execution) {
  return fast::run("selective_scan", fast::cpu::selective_scan, call, execution);
}

int etalon_fast_cpu_complex_scan(const etalon_fast_complex_scan* call,
                                 const etalon_fast_execution* execution) {
  return fast::run("complex_scan", fast::cpu::complex_scan, call, execution);
}

int etalon_fast_cuda_require_device(void) {
  return fast::status_of(fast::cuda::require_device);
}

int etalon_fast_cuda_attention(const etalon_fast_attention* call, const etalon_fast_execution* execution) {
  return fast::run("attention", fast::cuda::attention, call, execution);
}

int etalon_fast_cuda_decay_outer_product_workspace(const etalon_fast_decay_outer_product* call,
                                                   int64_t* bytes) {
  return fast::status_of([&] {
    fast::require_pointer(call, "decay_outer_product_workspace", "call");
    fast::require_pointer(bytes, "decay_outer_product_workspace", "bytes");
    *bytes = fast::cuda::decay_outer_product_workspace(std::bit_cast<fast::DecayOuterProduct>(*call));
  });
}

int etalon_fast_cuda_decay_outer_product(const etalon_fast_decay_outer_product* call,
                                         const etalon_fast_execution* execution) {
  return fast::run("decay_outer_product", fast::cuda::decay_outer_product, call, execution);
}
