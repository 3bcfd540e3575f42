/* The optimizers' loops: picks the instruction set's. Called by src/optim; starts no threads. */
#include "kernels/update.h"

#include "kernels/isa.h"
#include "kernels/update_table.h"

static const ml_update_table *table(void) { return ML_FOR_ISA(ml_update); }

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

void ml_update_nadam(float *w, const float *g, float *m, float *v, int64_t n, const ml_nadam_factors *f) {
  table()->nadam(w, g, m, v, n, f);
}

void ml_update_rmsprop(float *w, const float *g, float *v, float *b, float *a, int64_t n,
                       const ml_rmsprop_factors *f) {
  table()->rmsprop(w, g, v, b, a, n, f);
}

void ml_update_adagrad(float *w, const float *g, float *s, int64_t n, const ml_adagrad_factors *f) {
  table()->adagrad(w, g, s, n, f);
}

void ml_update_lion(float *w, const float *g, float *m, int64_t n, const ml_lion_factors *f) {
  table()->lion(w, g, m, n, f);
}

void ml_update_schedule_free(float *w, const float *g, float *d, float *v, int64_t n,
                             const ml_schedule_free_factors *f) {
  table()->schedule_free(w, g, d, v, n, f);
}

void ml_update_average(float *s, const float *w, int64_t n, float share) { table()->average(s, w, n, share); }

void ml_update_clamp(float *g, int64_t n, float limit) { table()->clamp(g, n, limit); }
