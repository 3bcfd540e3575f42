/* What a matrix product in bf16 computes, to the bit, on every machine. Internal to src/kernels; naive_bf16.c says the
 * same once more in plain C, and the tests compare all kernels with that.
 *
 * The model is that of Intel's TDPBF16PS (Intel's manual, volume 2). An operand x becomes bf16(x): the nearest number
 * with 8 bits of mantissa, ties to even; a subnormal x becomes a zero of its sign, a NaN some quiet NaN. K is padded
 * with zeros to a multiple of 32 and walked in steps of 32 products, each of which adds to an element of c:
 *
 *     t0 = +0, t1 = +0
 *     for p = 0, 2, .. 30:  t0 = fma(a[p], b[p], t0),  t1 = fma(a[p + 1], b[p + 1], t1)
 *     c = c + (t0 + t1)
 *
 * in f32, rounded to nearest even, subnormal operands and results of each operation taken as zeros of their sign. c
 * begins at +0. Bias and relu follow in plain f32 arithmetic, as in an f32 product.
 *
 * bf16x3 splits an operand in two: high = bf16(x), low = bf16(x - high), and takes three steps for every 32 products:
 * high high, high low, low high (a's part first). Where high is not finite, it is so in the first of the three only and
 * the others have 0: an infinity times a finite number stays one. */
#ifndef ML_BF16_H
#define ML_BF16_H

#include <stdint.h>

#include "base/fmath.h"

/* bf16(x), as a float whose low 16 bits are 0. Written without branches, for compilers to vectorise. */
static inline float ml_bf16_round(float x) {
  const uint32_t u = ml_f32_to_bits(x), magnitude = u & 0x7fffffffu;
  const uint32_t nearest = u + 0x7fffu + (u >> 16 & 1u);
  const uint32_t number = magnitude < 0x00800000u ? u & 0x80000000u : nearest;
  return ml_bits_to_f32((magnitude > 0x7f800000u ? u | 0x00400000u : number) & 0xffff0000u);
}

/* The parts of x in bf16x3: `high` in the first step; `rest`, which is high or 0, and `low` in the others. */
typedef struct ml_bf16_parts {
  float high, rest, low;
} ml_bf16_parts;

static inline ml_bf16_parts ml_bf16_split(float x) {
  const float high = ml_bf16_round(x), low = ml_bf16_round(x - high);
  const uint32_t finite = (ml_f32_to_bits(high) & 0x7f800000u) != 0x7f800000u ? 0xffffffffu : 0u;
  const uint32_t first = ml_f32_to_bits(high) & finite, second = ml_f32_to_bits(low) & finite;
  return (ml_bf16_parts){high, ml_bits_to_f32(first), ml_bits_to_f32(second)};
}

#endif
