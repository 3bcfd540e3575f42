/* Chooses among the versions of a kernel that are compiled once per instruction set. Internal to src/kernels. */
#ifndef ML_KERNELS_ISA_H
#define ML_KERNELS_ISA_H

#include "base/cpu.h"

/* &name_portable, &name_avx2 or &name_avx512, whichever the instruction set in use calls for: tables or functions of
 * one type. AMX is for products in bf16 alone, so here it counts as AVX-512. */
#ifdef __x86_64__
#define ML_FOR_ISA(name)                                                                                               \
  (ml_cpu_isa() >= ML_ISA_AVX512 ? &name##_avx512 : ml_cpu_isa() == ML_ISA_AVX2 ? &name##_avx2 : &name##_portable)
#else
#define ML_FOR_ISA(name) (&name##_portable)
#endif

#endif
