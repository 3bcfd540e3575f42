/* The loops of conv_unit.h, written once for vectors of WIDTH floats. Included by conv_portable.c, conv_avx2.c and
 * conv_avx512.c, which define WIDTH, MICRO and UNIT_NAME and are compiled for their instruction set; by nothing
 * else. */
#include <string.h>

#include "kernels/conv_unit.h"

typedef float vec __attribute__((vector_size(4 * WIDTH)));

static inline vec load(const float *x) {
  vec v;
  memcpy(&v, x, sizeof v);
  return v;
}

static inline void store(float *y, vec v) { memcpy(y, &v, sizeof v); }

/* `count` is a constant where this is called, so that the pieces' offsets stay in registers. */
static inline __attribute__((always_inline)) void gather_pieces(float *restrict out, int64_t stride,
                                                                const float *restrict channel,
                                                                const ml_conv_piece *restrict pieces, int64_t count,
                                                                ml_conv_taps t, int64_t at, int64_t rows) {
  for (int64_t row = 0; row < rows; row++, out += stride) {
    const float *x = channel + t.tap[at];
#pragma GCC unroll 4
    for (int64_t i = 0; i < count; i++) store(out + pieces[i].col, load(x + pieces[i].src));
    if (++at == t.taps) {
      at = 0;
      channel += t.plane;
    }
  }
}

static void gather(float *out, int64_t stride, const float *staged, const ml_conv_piece *pieces, int64_t count,
                   ml_conv_taps t, int64_t p0, int64_t rows) {
  const float *channel = staged + p0 / t.taps * t.plane;
  const int64_t at = p0 % t.taps;
  switch (count) {
  case 1: gather_pieces(out, stride, channel, pieces, 1, t, at, rows); break;
  case 2: gather_pieces(out, stride, channel, pieces, 2, t, at, rows); break;
  case 3: gather_pieces(out, stride, channel, pieces, 3, t, at, rows); break;
  case 4: gather_pieces(out, stride, channel, pieces, 4, t, at, rows); break;
  default: gather_pieces(out, stride, channel, pieces, count, t, at, rows); break;
  }
}

static void direct(float *y, const float *staged, const float *a, float bias, ml_conv_taps t, int64_t k, int64_t n) {
  for (int64_t j = 0; j < n; j += WIDTH) {
    const float *channel = staged + j;
    vec s = bias - (vec){0};
    for (int64_t p = 0; p < k; channel += t.plane) {
      for (int64_t at = 0; at < t.taps; at++, p++) s += a[p] * load(channel + t.tap[at]);
    }
    store(y + j, s);
  }
}

const ml_conv_unit UNIT_NAME = {&MICRO, WIDTH, gather, direct};
