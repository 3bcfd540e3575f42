/* Linked into every test: before main, chooses the instruction set as the program does, the best one or that of
 * MNISTLUA_ISA, so that tests/run can run a test once with each. Tests of kernels go through all of them themselves. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cpu.h"

__attribute__((constructor)) static void choose_instruction_set(void) {
  ml_error err;
  if (ml_cpu_init(&err) == ML_OK) return;
  fprintf(stderr, "%s\n", err.message);
  exit(2);
}
