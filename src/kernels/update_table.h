/* The optimizers' loops of one instruction set. Internal to src/kernels: update.c calls these; the loops are in
 * update_loops.h, which update_portable.c, update_avx2.c and update_avx512.c compile once each. */
#ifndef ML_UPDATE_TABLE_H
#define ML_UPDATE_TABLE_H

#include "kernels/update.h"

typedef struct ml_update_table {
  void (*sgd)(float *w, const float *g, int64_t n, float lr, float decay);
  void (*momentum)(float *w, const float *g, float *b, int64_t n, const ml_momentum_factors *f);
  void (*nesterov)(float *w, const float *g, float *b, int64_t n, const ml_momentum_factors *f);
  void (*adam)(float *w, const float *g, float *m, float *v, int64_t n, const ml_adam_factors *f);
  void (*nadam)(float *w, const float *g, float *m, float *v, int64_t n, const ml_nadam_factors *f);
  void (*rmsprop)(float *w, const float *g, float *v, float *b, float *a, int64_t n, const ml_rmsprop_factors *f);
  void (*adagrad)(float *w, const float *g, float *s, int64_t n, const ml_adagrad_factors *f);
  void (*lion)(float *w, const float *g, float *m, int64_t n, const ml_lion_factors *f);
  void (*schedule_free)(float *w, const float *g, float *d, float *v, int64_t n, const ml_schedule_free_factors *f);
  void (*average)(float *s, const float *w, int64_t n, float share);
  void (*clamp)(float *g, int64_t n, float limit);
} ml_update_table;

extern const ml_update_table ml_update_portable;
#ifdef __x86_64__
extern const ml_update_table ml_update_avx2, ml_update_avx512;
#endif

#endif
