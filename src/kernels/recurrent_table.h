/* The recurrent cells' loops of one instruction set. Internal to src/kernels: recurrent.c calls these for one sample
 * and step at a time; they are in recurrent_loops.h, which recurrent_portable.c, recurrent_avx2.c and
 * recurrent_avx512.c compile once each. n is `hidden`; the blocks of a gate array lie n floats apart. */
#ifndef ML_RECURRENT_TABLE_H
#define ML_RECURRENT_TABLE_H

#include <stdint.h>

typedef struct ml_recurrent_table {
  /* From a, u and the state before: the gates into a, the new state into h and c. */
  void (*tanh)(float *h, float *a, const float *u, int64_t n);
  void (*relu)(float *h, float *a, const float *u, int64_t n);
  void (*lstm)(float *h, float *c, float *a, const float *u, int64_t n);
  void (*gru)(float *h, float *a, const float *u, const float *b_hn, int64_t n);

  /* From the gates in a and the gradient dh of the new h: the gradients into a. dc is that of c, in of the new one, out
   * of the one before; a GRU's dh goes out with the share of the h before that bypasses the gates. */
  void (*tanh_slope)(float *a, const float *dh, int64_t n);
  void (*relu_slope)(float *a, const float *dh, int64_t n);
  void (*lstm_slope)(float *a, float *dc, const float *dh, const float *c, const float *c_before, int64_t n);
  void (*gru_slope)(float *a, float *dh, const float *h_before, int64_t n);

  void (*add)(float *y, const float *x, int64_t n); /* y += x */
} ml_recurrent_table;

extern const ml_recurrent_table ml_recurrent_portable;
#ifdef __x86_64__
extern const ml_recurrent_table ml_recurrent_avx2, ml_recurrent_avx512;
#endif

#endif
