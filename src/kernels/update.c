/* The optimizers' loops: picks the instruction set's. Called by src/optim; starts no threads. */
#include "kernels/update.h"

#include "base/cpu.h"
#include "kernels/update_table.h"

static const ml_update_table *table(void) {
#ifdef __x86_64__
  if (ml_cpu_isa() >= ML_ISA_AVX512) return &ml_update_avx512;
  if (ml_cpu_isa() == ML_ISA_AVX2) return &ml_update_avx2;
#endif
  return &ml_update_portable;
}

void ml_update_sgd(float *w, const float *g, int64_t n, float lr, float decay) { table()->sgd(w, g, n, lr, decay); }

void ml_update_momentum(float *w, const float *g, float *b, int64_t n, const ml_momentum_factors *f) {
  table()->momentum(w, g, b, n, f);
}

void ml_update_nesterov(float *w, const float *g, float *b, int64_t n, const ml_momentum_factors *f) {
  table()->nesterov(w, g, b, n, f);
}

void ml_update_adam(float *w, const float *g, float *m, float *v, int64_t n, const ml_adam_factors *f) {
  table()->adam(w, g, m, v, n, f);
}
