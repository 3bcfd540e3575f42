/* What the processor can do, and which of it is used.
 *
 * The instruction set is chosen once: the best the CPU and the operating system support, or what the environment
 * variable MNISTLUA_ISA (portable, avx2, avx512, amx) asks for. A name that is unknown, or that this CPU cannot
 * run, is an error at start, not a crash later. */
#ifndef ML_BASE_CPU_H
#define ML_BASE_CPU_H

#include <stdbool.h>

#include "base/error.h"

/* In ascending order: each has all instructions of those before it. AMX is for bf16 alone; in f32 it is AVX-512. */
typedef enum ml_isa { ML_ISA_PORTABLE, ML_ISA_AVX2, ML_ISA_AVX512, ML_ISA_AMX, ML_ISA_COUNT } ml_isa;

/* Reads MNISTLUA_ISA and the CPU. ML_MISUSE with a message that lists the choices. Call once, before kernels run. */
ml_status ml_cpu_init(ml_error *err);

ml_isa ml_cpu_isa(void);                /* the one in use */
ml_isa ml_cpu_best_isa(void);           /* the best one this machine runs */
const char *ml_isa_name(ml_isa isa);    /* "portable", "avx2", "avx512", "amx" */

/* Whether AMX is in use: the CPU has it for bf16, the system saves its registers and lets this process use them, and
 * MNISTLUA_ISA does not ask for less. The status says that in words: "usable", "this CPU has none", "the system refused
 * permission: ...", "turned off by MNISTLUA_ISA". */
bool ml_cpu_amx(void);
const char *ml_cpu_amx_status(void);

/* For tests and the bench: use this one from now on. ML_MISUSE if the CPU lacks it. */
ml_status ml_cpu_use(ml_isa isa, ml_error *err);

#endif
