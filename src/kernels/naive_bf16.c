/* The naive matrix product in bf16 and bf16x3: the model of bf16.h once more, one element after the other, sharing no
 * code with the kernels. Called by tests, never by the program. */
#include <math.h>
#include <string.h>

#include "kernels/naive.h"

static const float LEAST_NORMAL = 0x1p-126f;

static float flush(float x) { return fabsf(x) < LEAST_NORMAL ? copysignf(0.0f, x) : x; }

float ml_naive_bf16(float x) {
  if (isnan(x) || isinf(x) || flush(x) == 0.0f) return flush(x);
  int exponent;
  frexp((double)x, &exponent);
  const double unit = ldexp(1.0, exponent - 8), rounded = nearbyint((double)x / unit) * unit; /* ties to even */
  return fabs(rounded) >= 0x1p128 ? copysignf(INFINITY, x) : (float)rounded;
}

/* fma(a, b, t) with flushing. Whether a result at the least normal number counts as subnormal is decided after rounding
 * as if exponents had no lower end: by the same sum, 2^64 times as large. */
static float multiply_add(float a, float b, float t) {
  const float sum = fmaf(a, b, t);
  if (!(fabsf(sum) <= LEAST_NORMAL)) return sum;
  const float small = fabsf(a) < fabsf(b) ? a : b, large = fabsf(a) < fabsf(b) ? b : a;
  const float scaled = fmaf(small * 0x1p64f, large, t * 0x1p64f);
  return fabsf(scaled) < 0x1p-62f ? copysignf(0.0f, sum) : sum;
}

/* One step: up to 32 products of a[i * stride_a] and b[i * stride_b], each taken through part_a and part_b. */
typedef float (*part_fn)(float x);

static float add_step(float c, const float *a, int64_t stride_a, part_fn part_a, const float *b, int64_t stride_b,
                      part_fn part_b, int64_t count) {
  float t[2] = {0.0f, 0.0f};
  for (int64_t p = 0; p < 32; p++) {
    const float x = p < count ? part_a(a[p * stride_a]) : 0.0f, y = p < count ? part_b(b[p * stride_b]) : 0.0f;
    t[p % 2] = multiply_add(x, y, t[p % 2]);
  }
  return flush(c + flush(t[0] + t[1]));
}

static float finite_high(float x) {
  const float high = ml_naive_bf16(x);
  return isfinite(high) ? high : 0.0f;
}

static float low(float x) {
  const float high = ml_naive_bf16(x);
  return isfinite(high) ? ml_naive_bf16(x - high) : 0.0f;
}

static float element(const float *a, int64_t stride_a, const float *b, int64_t stride_b, int64_t k, bool split) {
  float c = 0.0f;
  for (int64_t p = 0; p < k; p += 32) {
    const int64_t count = k - p < 32 ? k - p : 32;
    const float *x = a + p * stride_a, *y = b + p * stride_b;
    c = add_step(c, x, stride_a, ml_naive_bf16, y, stride_b, ml_naive_bf16, count);
    if (!split) continue;
    c = add_step(c, x, stride_a, finite_high, y, stride_b, low, count);
    c = add_step(c, x, stride_a, low, y, stride_b, finite_high, count);
  }
  return c;
}

void ml_naive_gemm_bf16(float *c, int64_t ldc, ml_matrix a, ml_matrix b, ml_epilogue e, int64_t m, int64_t n, int64_t k,
                        bool split) {
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < n; j++) {
      float v = element(a.data + i * a.row, a.col, b.data + j * b.col, b.row, k, split);
      if (e.bias) v += e.bias[j];
      c[i * ldc + j] = e.relu && v < 0.0f ? 0.0f : v;
    }
  }
}
