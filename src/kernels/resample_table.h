/* The loops of augmentation of one instruction set. Internal to src/kernels: resample.c calls these; the loops are in
 * resample_loops.h, which resample_portable.c, resample_avx2.c and resample_avx512.c compile once each. */
#ifndef ML_RESAMPLE_TABLE_H
#define ML_RESAMPLE_TABLE_H

#include "kernels/resample.h"

typedef struct ml_resample_table {
  void (*quads)(uint32_t *quads, const uint8_t *border, int64_t height, int64_t stride);
  void (*expand)(float *rows, const float *control, const float *weights, int64_t count, int64_t points,
                 int64_t padded);
  void (*u8)(float *y, const uint32_t *quads, const ml_warp *w, float scale, float offset);
  void (*f32)(float *y, const float *plane, const ml_warp *w, float scale, float offset);
  void (*bits)(uint32_t *out, int64_t blocks, const uint32_t counter[4], const uint32_t key[2]);
  void (*noise)(float *y, int64_t n, float std, const uint32_t counter[4], const uint32_t key[2]);
  void (*mix)(float *a, float *b, int64_t n, float keep);
} ml_resample_table;

extern const ml_resample_table ml_resample_portable;
#ifdef __x86_64__
extern const ml_resample_table ml_resample_avx2, ml_resample_avx512;
#endif

#endif
