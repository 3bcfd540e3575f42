/* What the processor can do, and which of it is used.
 *
 * The instruction set is chosen once: the best the CPU and the operating system support, or what the environment
 * variable MNISTLUA_ISA (portable, avx2, avx512) asks for. A name that is unknown, or that this CPU cannot run, is an
 * error at start, not a crash later. */
#ifndef ML_BASE_CPU_H
#define ML_BASE_CPU_H

#include <stdbool.h>

#include "base/error.h"

typedef enum ml_isa { ML_ISA_PORTABLE, ML_ISA_AVX2, ML_ISA_AVX512, ML_ISA_COUNT } ml_isa;

/* Reads MNISTLUA_ISA and the CPU. ML_MISUSE with a message that lists the choices. Call once, before kernels run. */
ml_status ml_cpu_init(ml_error *err);

ml_isa ml_cpu_isa(void);                /* the one in use */
ml_isa ml_cpu_best_isa(void);           /* the best one this machine runs */
const char *ml_isa_name(ml_isa isa);    /* "portable", "avx2", "avx512" */

/* For tests and the bench: use this one from now on. ML_MISUSE if the CPU lacks it. */
ml_status ml_cpu_use(ml_isa isa, ml_error *err);

#endif
