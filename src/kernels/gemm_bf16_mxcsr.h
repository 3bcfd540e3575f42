/* Subnormals as zeros, in the SSE and AVX arithmetic of this thread: x86's MXCSR, its bits DAZ (operands) and FTZ
 * (results). For the kernels that emulate AMX, which always works so; internal to src/kernels. Arithmetic that depends
 * on it belongs in a function that is not inlined, since compilers do not know that it does. */
#ifndef ML_GEMM_BF16_MXCSR_H
#define ML_GEMM_BF16_MXCSR_H

#include <stdint.h>

#define ML_MXCSR_DAZ_FTZ 0x8040u

static inline void ml_mxcsr_restore(uint32_t value) { __asm__ volatile("ldmxcsr %0" : : "m"(value) : "memory"); }

/* Returns what ml_mxcsr_restore needs. */
static inline uint32_t ml_mxcsr_flush_subnormals(void) {
  uint32_t saved;
  __asm__ volatile("stmxcsr %0" : "=m"(saved) : : "memory");
  ml_mxcsr_restore(saved | ML_MXCSR_DAZ_FTZ);
  return saved;
}

#endif
