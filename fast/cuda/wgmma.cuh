/// \file
/// Hopper's tensor core instructions: a warpgroup (4 warps) multiplies 64 x 16 by 16 x N while it does other
/// things. Only for sm_90a.
///
/// Operands in shared memory lie in the layout of `tile.cuh` and are given by descriptors. The accumulator of
/// warp w of the warpgroup is rows 16 w to 16 w + 15, as N / 8 accumulators of 16 x 8 as in `tile.cuh`; a
/// left operand in registers likewise.
#pragma once

#include <cstdint>

#include "fast/cuda/tile.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define ETALON_HOPPER 1

namespace etalon::fast::cuda::wgmma {

/// Whether the dimension that is summed over is contiguous in shared memory (then nothing is transposed), or
/// the other.
enum class Major : int { summed = 0, other = 1 };

/// Describes an operand whose upper left corner is at `address`. With the summed dimension contiguous, groups
/// of 8 rows are 1024 bytes apart. With the other one contiguous, groups of 8 summed rows are 1024 bytes
/// apart and panels `panel_bytes`.
__device__ __forceinline__ std::uint64_t descriptor(std::uint32_t address, std::uint32_t panel_bytes = 16) {
  constexpr std::uint64_t swizzle_128 = std::uint64_t{1} << 62;
  return swizzle_128 | (std::uint64_t{1024 >> 4} << 32) |
         (static_cast<std::uint64_t>(panel_bytes >> 4) << 16) | ((address & 0x3ffff) >> 4);
}

/// Before the first product, and whenever registers that a product reads or adds to have been written since.
__device__ __forceinline__ void fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ __forceinline__ void commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int Pending>
__device__ __forceinline__ void wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

/// Keeps the compiler from moving reads and writes of these registers across this point.
template <int N>
__device__ __forceinline__ void pin(float (&registers)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(registers[i])::"memory");
}
template <int N, int M>
__device__ __forceinline__ void pin(std::uint32_t (&registers)[N][M]) {
#pragma unroll
  for (int i = 0; i < N; ++i) {
#pragma unroll
    for (int j = 0; j < M; ++j) asm volatile("" : "+r"(registers[i][j])::"memory");
  }
}

#define ETALON_D8(i)                                                                          \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
      "+f"(d[i + 6]), "+f"(d[i + 7])
#define ETALON_D16(i) ETALON_D8(i), ETALON_D8(i + 8)
#define ETALON_D32(i) ETALON_D16(i), ETALON_D16(i + 16)
#define ETALON_D64(i) ETALON_D32(i), ETALON_D32(i + 32)
#define ETALON_LIST16 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define ETALON_LIST32 ETALON_LIST16 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define ETALON_LIST64                                                                                      \
  ETALON_LIST32                                                                                            \
  ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%" \
  "57,%58,"                                                                                                \
  "%59,%60,%61,%62,%63"

/// The product's instruction for one width and type; `keep` is 0 to forget what the accumulator held.
template <typename T, int N>
struct Product;

#define ETALON_PRODUCT(NUMBER, NAME, N, REGISTERS, A0, A1, A2, A3, R4, R5, R6)                              \
  template <>                                                                                               \
  struct Product<NUMBER, N> {                                                                               \
    /* Both operands in shared memory. Operands of the text: A0, A1 descriptors, A2 keep, A3, R4 majors. */ \
    template <Major Left, Major Right>                                                                      \
    static __device__ __forceinline__ void shared(float (&d)[REGISTERS], std::uint64_t left,                \
                                                  std::uint64_t right, int keep) {                          \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #A2 ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N    \
                   "k16.f32." NAME "." NAME " {" ETALON_LIST##REGISTERS                                     \
                   "}, %" #A0 ", %" #A1 ", p, 1, 1, %" #A3 ", %" #R4 ";\n}\n"                               \
                   : ETALON_D##REGISTERS(0)                                                                 \
                   : "l"(left), "l"(right), "r"(keep), "n"(static_cast<int>(Left)),                         \
                     "n"(static_cast<int>(Right)));                                                         \
    }                                                                                                       \
    /* Left operand in registers: A0 to A3; R4 descriptor, R5 keep, R6 major. */                            \
    template <Major Right>                                                                                  \
    static __device__ __forceinline__ void registers(float (&d)[REGISTERS], const std::uint32_t (&left)[4], \
                                                     std::uint64_t right, int keep) {                       \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #R5 ", 0;\nwgmma.mma_async.sync.aligned.m64n" #N    \
                   "k16.f32." NAME "." NAME " {" ETALON_LIST##REGISTERS                                     \
                   "}, {%" #A0 ", %" #A1 ", %" #A2 ", %" #A3 "}, %" #R4 ", p, 1, 1, %" #R6 ";\n}\n"         \
                   : ETALON_D##REGISTERS(0)                                                                 \
                   : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right), "r"(keep),         \
                     "n"(static_cast<int>(Right)));                                                         \
    }                                                                                                       \
  };

ETALON_PRODUCT(__nv_bfloat16, "bf16", 32, 16, 16, 17, 18, 19, 20, 21, 22)
ETALON_PRODUCT(__nv_bfloat16, "bf16", 64, 32, 32, 33, 34, 35, 36, 37, 38)
ETALON_PRODUCT(__nv_bfloat16, "bf16", 128, 64, 64, 65, 66, 67, 68, 69, 70)
ETALON_PRODUCT(__half, "f16", 32, 16, 16, 17, 18, 19, 20, 21, 22)
ETALON_PRODUCT(__half, "f16", 64, 32, 32, 33, 34, 35, 36, 37, 38)
ETALON_PRODUCT(__half, "f16", 128, 64, 64, 65, 66, 67, 68, 69, 70)

#undef ETALON_PRODUCT
#undef ETALON_D8
#undef ETALON_D16
#undef ETALON_D32
#undef ETALON_D64
#undef ETALON_LIST16
#undef ETALON_LIST32
#undef ETALON_LIST64

template <int Registers>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}

}  // namespace etalon::fast::cuda::wgmma
#endif
