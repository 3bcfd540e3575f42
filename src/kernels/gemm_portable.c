/* The register kernel of the matrix product for any processor: 4 rows by 8 columns in vectors of four floats, which
 * compilers map to whatever the target has. Called by gemm.c only. */
#include "kernels/gemm_micro.h"

#include <string.h>

#include "kernels/vec4.h"

enum { MR = 4, NR = 8, STEP = MR };

/* a[p, i] lies at a[i * row + p * step]; p runs through at[0..k-1] or, where that is NULL, through 0..k-1. */
static inline __attribute__((always_inline)) ML_WITHOUT_ADDRESS_CHECKS void tile(
    float *c, int64_t ldc, const float *a, int64_t row, int64_t step, const float *b, int64_t ldb,
    const uint16_t *at, int64_t k, const ml_finish *f) {
  ml_micro_touch(c, ldc, a, row, step, MR, b, ldb, at, k, NR, f);
  ml_vec4 s[MR][2] = {0};
  for (int64_t q = 0; q < k; q++) {
    const int64_t p = at ? at[q] : q;
    const ml_vec4 b0 = ml_vec4_load(b + p * ldb), b1 = ml_vec4_load(b + p * ldb + 4);
    for (int i = 0; i < MR; i++) {
      s[i][0] += a[i * row + p * step] * b0;
      s[i][1] += a[i * row + p * step] * b1;
    }
  }
  for (int i = 0; i < MR; i++) {
    for (int j = 0; j < 2; j++) {
      float *out = c + i * ldc + 4 * j;
      ml_vec4 v = s[i][j];
      if (f->add) v = ml_vec4_load(out) + v;
      if (f->bias) v += ml_vec4_load(f->bias + 4 * j);
      if (f->relu) v = ml_vec4_relu(v);
      ml_vec4_store(out, v);
    }
  }
}

static ML_WITHOUT_ADDRESS_CHECKS void run_packed(float *c, int64_t ldc, const float *a, const float *b,
                                                 int64_t ldb, int64_t k, int64_t rows, const ml_finish *f) {
  (void)rows;
  tile(c, ldc, a, 1, MR, b, ldb, NULL, k, f);
}

static ML_WITHOUT_ADDRESS_CHECKS void run_rows(float *c, int64_t ldc, const float *a, int64_t lda, const float *b,
                                               int64_t ldb, int64_t k, int64_t rows, const ml_finish *f) {
  (void)rows;
  tile(c, ldc, a, lda, 1, b, ldb, NULL, k, f);
}

static ML_WITHOUT_ADDRESS_CHECKS void run_some(float *c, int64_t ldc, const float *a, int64_t row, int64_t step,
                                               const float *b, int64_t ldb, const uint16_t *at, int64_t count,
                                               int64_t rows, const ml_finish *f) {
  (void)rows;
  tile(c, ldc, a, row, step, b, ldb, at, count, f);
}

const ml_micro ml_micro_portable = {MR, NR, STEP, run_packed, run_rows, run_some};
