/* Subnormals as zeros, in the SSE and AVX arithmetic of this thread: x86's MXCSR, its bits DAZ (operands) and FTZ
 * (results). For the kernels that emulate AMX, which always works so; internal to src/kernels. Arithmetic that depends
 * on it belongs in a function that is not inlined, since compilers do not know that it does. */
#ifndef ML_GEMM_BF16_MXCSR_H
#define ML_GEMM_BF16_MXCSR_H

#include <stdint.h>

#define ML_MXCSR_DAZ_FTZ 0x8040u

static inline void end_flushing(uint32_t mode) { __asm__ volatile("ldmxcsr %0" : : "m"(mode) : "memory"); }

/* Returns what end_flushing needs. */
static inline uint32_t begin_flushing(void) {
  uint32_t mode;
  __asm__ volatile("stmxcsr %0" : "=m"(mode) : : "memory");
  end_flushing(mode | ML_MXCSR_DAZ_FTZ);
  return mode;
}

#endif
