/**
 * \file
 * The fast path for C and whatever can call C. The structures are those of `fast/etalon_fast.hpp`, member for
 * member, and mean the same; see there.
 *
 * Every function returns ETALON_FAST_OK, or a status after which etalon_fast_last_error() says what was
 * wrong. After ETALON_FAST_INVALID nothing has been written.
 */
#ifndef ETALON_FAST_H
#define ETALON_FAST_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { ETALON_FAST_OK = 0, ETALON_FAST_INVALID = 1, ETALON_FAST_NO_MEMORY = 2, ETALON_FAST_FAILED = 3 };

/** How a number is stored. */
enum { ETALON_FAST_FLOAT32 = 0, ETALON_FAST_BFLOAT16 = 1, ETALON_FAST_FLOAT16 = 2 };

/** Which keys a query may see. */
enum { ETALON_FAST_FULL = 0, ETALON_FAST_CAUSAL = 1, ETALON_FAST_WINDOW = 2, ETALON_FAST_BLOCKS = 3 };

/** A view of [batch, time, head, dim]; data is null for an optional tensor that is not given. */
typedef struct {
  void* data;
  int32_t type;
  int64_t shape[4];
  int64_t stride[4]; /**< in elements; stride[3] is 1 */
} etalon_fast_tensor;

/** Where and with what to compute; threads is at least 1. Zeros for the rest are right where there is nothing
 * to say. */
typedef struct {
  int threads;
  void* stream;
  void* workspace;
  int64_t workspace_bytes;
  bool trust_values;
} etalon_fast_execution;

typedef struct {
  int32_t kind;
  int64_t before, after;
  int64_t block;
  int64_t block_rows, block_columns;
  const uint8_t* blocks;
} etalon_fast_mask;

typedef struct {
  etalon_fast_tensor q, k, v, o;
  etalon_fast_tensor log_sum;
  etalon_fast_tensor bias;
  float scale;
  etalon_fast_mask mask;
} etalon_fast_attention;

typedef struct {
  etalon_fast_attention forward;
  etalon_fast_tensor d_o;
  etalon_fast_tensor dq, dk, dv;
} etalon_fast_attention_backward;

typedef struct {
  etalon_fast_tensor q, k, v, o;
  etalon_fast_tensor log_decay;
  etalon_fast_tensor initial_state;
  etalon_fast_tensor final_state;
  float scale;
  int64_t chunk;
} etalon_fast_decay_outer_product;

typedef struct {
  etalon_fast_decay_outer_product forward;
  etalon_fast_tensor d_o;
  etalon_fast_tensor d_final_state;
  etalon_fast_tensor dq, dk, dv, d_log_decay;
  etalon_fast_tensor d_initial_state;
} etalon_fast_decay_outer_product_backward;

typedef struct {
  etalon_fast_tensor q, k, v, o;
  etalon_fast_tensor beta;
  etalon_fast_tensor log_decay;
  etalon_fast_tensor initial_state;
  etalon_fast_tensor final_state;
  float scale;
  int64_t chunk;
} etalon_fast_delta_rule;

typedef struct {
  etalon_fast_tensor x, delta, a, b, c, o;
  etalon_fast_tensor skip, delta_bias, z;
  etalon_fast_tensor initial_state;
  etalon_fast_tensor final_state;
  bool softplus;
} etalon_fast_selective_scan;

typedef struct {
  etalon_fast_tensor x, lambda, w, o;
  etalon_fast_tensor skip;
  etalon_fast_tensor initial_state;
  etalon_fast_tensor final_state;
} etalon_fast_complex_scan;

/** What was wrong with this thread's last call that failed; empty before the first. Valid until its next
 * call. */
const char* etalon_fast_last_error(void);

/** The instruction set that the dispatch chose on this processor, such as "AVX2". */
const char* etalon_fast_cpu_instructions(void);

int etalon_fast_cpu_attention(const etalon_fast_attention* call, const etalon_fast_execution* execution);
int etalon_fast_cpu_attention_backward(const etalon_fast_attention_backward* call,
                                       const etalon_fast_execution* execution);
int etalon_fast_cpu_decay_outer_product(const etalon_fast_decay_outer_product* call,
                                        const etalon_fast_execution* execution);
int etalon_fast_cpu_decay_outer_product_backward(const etalon_fast_decay_outer_product_backward* call,
                                                 const etalon_fast_execution* execution);
int etalon_fast_cpu_delta_rule(const etalon_fast_delta_rule* call, const etalon_fast_execution* execution);
int etalon_fast_cpu_selective_scan(const etalon_fast_selective_scan* call,
                                   const etalon_fast_execution* execution);
int etalon_fast_cpu_complex_scan(const etalon_fast_complex_scan* call,
                                 const etalon_fast_execution* execution);

/** Whether there is a device that the GPU part can use; if not, the error says why. */
int etalon_fast_cuda_require_device(void);
int etalon_fast_cuda_attention(const etalon_fast_attention* call, const etalon_fast_execution* execution);
/** Stores the bytes of device memory that the call needs as workspace. */
int etalon_fast_cuda_decay_outer_product_workspace(const etalon_fast_decay_outer_product* call,
                                                   int64_t* bytes);
int etalon_fast_cuda_decay_outer_product(const etalon_fast_decay_outer_product* call,
                                         const etalon_fast_execution* execution);

#ifdef __cplusplus
}
#endif

#endif /* ETALON_FAST_H */
