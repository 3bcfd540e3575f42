/* Chooses the instruction set once at start. Only src/kernels asks which one is in use; nothing here runs an
 * instruction that a plain CPU lacks. */
#include "base/cpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const names[ML_ISA_COUNT] = {"portable", "avx2", "avx512", "amx"};

static ml_isa in_use = ML_ISA_PORTABLE;

const char *ml_isa_name(ml_isa isa) {
  return (unsigned)isa < ML_ISA_COUNT ? names[isa] : "unknown";
}

ml_isa ml_cpu_isa(void) {
  return in_use;
}

/* ---- AMX ---- */

typedef struct amx_answer {
  bool asked, usable;
  char status[96];
} amx_answer;

static amx_answer amx;

#if defined(__x86_64__)
/* CPUID leaf 7: AMX-TILE and AMX-BF16; leaf 7, subleaf 1: AVX512-BF16, with which its operands are packed. */
static bool cpu_has_amx(void) {
  unsigned a, b, c, d, a1, b1, c1, d1;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1)) return false;
  return (d >> 24 & 1) && (d >> 22 & 1) && (a1 >> 5 & 1);
}

/* XCR0, bits 17 and 18: the system saves the tile configuration and the tiles. Only where there is AVX-512, and so
 * XGETBV. */
static bool system_saves_tiles(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low >> 17 & 3) == 3;
}

/* The tiles are 8 KB more to save at every switch of threads, so Linux (5.16 and later) wants to be asked by each
 * process. Threads begun afterwards may use them, too. */
static bool system_permits_tiles(void) {
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static void ask_for_amx(void) {
  if (!cpu_has_amx()) {
    snprintf(amx.status, sizeof amx.status, "this CPU has none");
  } else if (!system_saves_tiles()) {
    snprintf(amx.status, sizeof amx.status, "the system refused permission: it does not save AMX's registers");
  } else if (!system_permits_tiles()) {
    snprintf(amx.status, sizeof amx.status, "the system refused permission: %s", strerror(errno));
  } else {
    amx.usable = true;
  }
}
#else
static void ask_for_amx(void) { snprintf(amx.status, sizeof amx.status, "this CPU has none"); }
#endif

/* Asks once; before there are other threads. */
static bool amx_usable(void) {
  if (!amx.asked) ask_for_amx();
  amx.asked = true;
  return amx.usable;
}

bool ml_cpu_amx(void) {
  return in_use == ML_ISA_AMX;
}

const char *ml_cpu_amx_status(void) {
  if (!amx_usable()) return amx.status;
  return ml_cpu_amx() ? "usable" : "turned off by MNISTLUA_ISA";
}

/* ---- the choice ---- */

/* __builtin_cpu_supports asks the operating system too (XGETBV): registers it does not save do not count. */
ml_isa ml_cpu_best_isa(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return ML_ISA_PORTABLE;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return amx_usable() ? ML_ISA_AMX : ML_ISA_AVX512;
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
  return ml_fail(err, ML_MISUSE, "MNISTLUA_ISA: expected portable, avx2, avx512 or amx, got \"%s\"", wanted);
}
