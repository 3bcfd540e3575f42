/* Chooses the instruction set once at start. Only src/kernels asks which one is in use; nothing here runs an
 * instruction that a plain CPU lacks. */
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[ML_ISA_COUNT] = {"portable", "avx2", "avx512"};

static ml_isa in_use = ML_ISA_PORTABLE;

const char *ml_isa_name(ml_isa isa) {
  return (unsigned)isa < ML_ISA_COUNT ? names[isa] : "unknown";
}

ml_isa ml_cpu_isa(void) {
  return in_use;
}

/* __builtin_cpu_supports asks the operating system too (XGETBV): registers it does not save do not count. */
ml_isa ml_cpu_best_isa(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return ML_ISA_PORTABLE;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return ML_ISA_AVX512;
  return ML_ISA_AVX2;
#else
  return ML_ISA_PORTABLE;
#endif
}

ml_status ml_cpu_use(ml_isa isa, ml_error *err) {
  if ((unsigned)isa >= ML_ISA_COUNT) return ml_fail(err, ML_MISUSE, "instruction set %d does not exist", (int)isa);
  ml_isa best = ml_cpu_best_isa();
  if (isa > best)
    return ml_fail(err, ML_MISUSE, "this CPU cannot run the instruction set %s; its best is %s", names[isa],
                   names[best]);
  in_use = isa;
  return ML_OK;
}

ml_status ml_cpu_init(ml_error *err) {
  const char *wanted = getenv("MNISTLUA_ISA");
  if (wanted == NULL || wanted[0] == 0) return ml_cpu_use(ml_cpu_best_isa(), err);
  for (int isa = 0; isa < ML_ISA_COUNT; isa++)
    if (strcmp(wanted, names[isa]) == 0) {
      ml_status status = ml_cpu_use((ml_isa)isa, err);
      if (status != ML_OK) ml_error_prefix(err, "MNISTLUA_ISA");
      return status;
    }
  return ml_fail(err, ML_MISUSE, "MNISTLUA_ISA: expected portable, avx2 or avx512, got \"%s\"", wanted);
}
