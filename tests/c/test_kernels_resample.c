/* The loops of augmentation against a naive version in double: pictures of odd sizes through maps and bends, the same
 * bits on every instruction set, nothing written beside a picture; random bits against Philox; noise; mixing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "kernels/resample.h"
#include "kernels_aid.h"

enum { POINTS = 8, BEND_ROWS = 5 };   /* control points of a bend */

typedef struct picture {
  int64_t height, width;
  uint8_t *u8;           /* one of the two */
  float *f32;
  float background, scale, offset;
  ml_warp warp;          /* without its work */
  float *control;        /* [2][BEND_ROWS][POINTS]; NULL for no bend */
  float *weights;        /* [POINTS][padded] */
  int32_t *first;
  float (*taps)[4];
} picture;

/* The reference: what lies at pixel (i, j), background outside. */
static double value_at(const picture *p, int64_t i, int64_t j) {
  if (i < 0 || j < 0 || i >= p->height || j >= p->width) return p->u8 ? 0 : (double)p->background;
  return p->u8 ? p->u8[i * p->width + j] : (double)p->f32[i * p->width + j];
}

static double naive_bend(const picture *p, int part, int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t k = 0; p->control && k < 4; k++)
    for (int64_t c = 0; c < POINTS; c++)
      sum += (double)p->taps[i][k] * (double)p->weights[c * ml_resample_padded(p->width) + j] *
             (double)p->control[(part * BEND_ROWS + p->first[i] + k) * POINTS + c];
  return sum;
}

static double naive_pixel(const picture *p, int64_t i, int64_t j) {
  const ml_warp *w = &p->warp;
  const double u = (double)j - 0.5 * (double)(p->width - 1), v = (double)i - 0.5 * (double)(p->height - 1);
  const double x = (double)w->x0 + (double)w->xx * u + (double)w->xy * v + naive_bend(p, 0, i, j);
  const double y = (double)w->y0 + (double)w->yx * u + (double)w->yy * v + naive_bend(p, 1, i, j);
  const double limit = 1e6, cx = fmin(fmax(x, -limit), limit), cy = fmin(fmax(y, -limit), limit);
  const int64_t column = (int64_t)floor(cx), row = (int64_t)floor(cy);
  const double fx = cx - (double)column, fy = cy - (double)row;
  const double top = (1 - fx) * value_at(p, row, column) + fx * value_at(p, row, column + 1);
  const double bottom = (1 - fx) * value_at(p, row + 1, column) + fx * value_at(p, row + 1, column + 1);
  return (double)p->scale * ((1 - fy) * top + fy * bottom) + (double)p->offset;
}

static void run_picture(float *out, void *ctx) {
  picture *p = ctx;
  const int64_t area = ml_resample_area(p->height, p->width), padded = ml_resample_padded(p->width);
  float *work = ml_alloc((size_t)ml_resample_workspace(p->width) * sizeof *work);
  float *source = ml_alloc((size_t)area * sizeof *source);
  float *rows = ml_alloc((size_t)(2 * BEND_ROWS * padded) * sizeof *rows);
  uint8_t *border = ml_alloc((size_t)area);
  ml_warp w = p->warp;
  w.work = work;
  if (p->control) {
    ml_resample_expand(rows, p->control, p->weights, 2 * BEND_ROWS, POINTS, padded);
    w.bend = (ml_bend){rows, rows + BEND_ROWS * padded, p->first, (const float(*)[4])p->taps};
  }
  if (p->u8) {
    ml_resample_quads((uint32_t *)(void *)source, p->u8, p->height, p->width, border);
    ml_resample_u8(out, (const uint32_t *)(const void *)source, &w, p->scale, p->offset);
  } else {
    ml_resample_plane(source, p->f32, p->height, p->width, p->background);
    ml_resample_f32(out, source, &w, p->scale, p->offset);
  }
  ml_free(work);
  ml_free(source);
  ml_free(rows);
  ml_free(border);
}

static void check_picture(const float *out, void *ctx) {
  const picture *p = ctx;
  const double tolerance = 255.0 * fabs((double)p->scale) * 4e-5;
  for (int64_t i = 0; i < p->height; i++)
    for (int64_t j = 0; j < p->width; j++) {
      const double want = naive_pixel(p, i, j), got = (double)out[i * p->width + j];
      if (!(fabs(got - want) <= tolerance))
        fail_msg("%lldx%lld, pixel (%lld, %lld) is %g, expected %g", (long long)p->height, (long long)p->width,
                 (long long)i, (long long)j, got, want);
    }
}

static void make_bend(picture *p, uint32_t seed) {
  const int64_t padded = ml_resample_padded(p->width);
  p->control = kernels_random(2 * BEND_ROWS * POINTS, seed + 1);
  for (int i = 0; i < 2 * BEND_ROWS * POINTS; i++) p->control[i] *= 3;
  p->weights = kernels_random(POINTS * padded, seed + 2);
  float *taps = kernels_random(4 * p->height, seed + 3);
  p->taps = (float(*)[4])(void *)taps;
  p->first = ml_calloc((size_t)p->height, sizeof *p->first);
  for (int64_t i = 0; i < p->height; i++) p->first[i] = (int32_t)(i % (BEND_ROWS - 3));
}

static void test_resample_matches_naive(void **state) {
  (void)state;
  static const int64_t sizes[][2] = {{28, 28}, {1, 1}, {5, 9}, {9, 5}, {33, 17}, {16, 48}, {1, 20}, {64, 3}};
  for (uint32_t k = 0; k < 8 * 4 * 3; k++) {
    const bool bytes = k & 1, bends = k & 2;
    picture p = {.height = sizes[k / 4 % 8][0], .width = sizes[k / 4 % 8][1], .scale = 0.0127f, .offset = -0.42f};
    const int64_t n = p.height * p.width;
    float *values = kernels_random(n, k), *map = kernels_random(6, k + 50);
    const float wide = k >= 64 ? 40.0f : 1.0f; /* far outside, too */
    p.warp = (ml_warp){.height = p.height, .width = p.width, .xx = 1 + 0.4f * map[0], .xy = 0.7f * map[1],
                       .x0 = 0.5f * (float)(p.width - 1) + 4 * wide * map[2], .yx = 0.7f * map[3],
                       .yy = 1 + 0.4f * map[4], .y0 = 0.5f * (float)(p.height - 1) + 4 * wide * map[5]};
    if (bytes) {
      p.u8 = ml_alloc((size_t)n);
      for (int64_t i = 0; i < n; i++) p.u8[i] = (uint8_t)(127.5f + 127.5f * values[i]);
    } else {
      for (int64_t i = 0; i < n; i++) values[i] *= 255;
      p.f32 = values;
      p.background = -33.5f;
    }
    if (bends) make_bend(&p, k);
    kernels_run_everywhere(run_picture, check_picture, &p, n, true);
    ml_free(values);
    ml_free(map);
    ml_free(p.u8);
    ml_free(p.control);
    ml_free(p.weights);
    ml_free(p.first);
    ml_free(p.taps);
  }
}

/* ---- maps that hit pixels exactly ---- */

typedef struct exact_map {
  float xx, xy, x0, yx, yy, y0;   /* x0, y0 beyond the middle */
} exact_map;

static void test_whole_pixels_are_exact(void **state) {
  (void)state;
  static const exact_map maps[] = {
      {1, 0, 0, 0, 1, 0}, {1, 0, 2, 0, 1, 0},  {1, 0, 0, 0, 1, -3},  {1, 0, -1, 0, 1, 5},
      {0, -1, 0, 1, 0, 0}, {-1, 0, 0, 0, -1, 0}, {0, 1, 0, -1, 0, 0}, {1, 0, 28, 0, 1, 0}, {1, 0, -1e9f, 0, 1, 1e9f},
  };
  float *values = kernels_random(28 * 28, 7);
  uint8_t x[28 * 28];
  for (int i = 0; i < 28 * 28; i++) x[i] = (uint8_t)(127.5f + 127.5f * values[i]);
  for (size_t k = 0; k < sizeof maps / sizeof *maps; k++) {
    const exact_map *m = &maps[k];
    picture p = {.height = 28, .width = 28, .u8 = x, .scale = 1,
                 .warp = {.height = 28, .width = 28, .xx = m->xx, .xy = m->xy, .x0 = 13.5f + m->x0, .yx = m->yx,
                          .yy = m->yy, .y0 = 13.5f + m->y0}};
    float y[28 * 28];
    run_picture(y, &p);
    for (int i = 0; i < 28; i++)
      for (int j = 0; j < 28; j++) assert_true((double)y[i * 28 + j] == naive_pixel(&p, i, j));
  }
  ml_free(values);
}

/* ---- random numbers ---- */

typedef struct random_call {
  int64_t n;
  uint32_t counter[4], key[2];
} random_call;

static void run_bits(float *out, void *ctx) {
  random_call *c = ctx;
  uint32_t *bits = ml_alloc((size_t)c->n * 16);
  ml_random_bits(bits, c->n, c->counter, c->key);
  for (int64_t b = 0; b < c->n; b++) {
    const uint32_t counter[4] = {c->counter[0], c->counter[1], c->counter[2], c->counter[3] + (uint32_t)b};
    uint32_t want[4];
    ml_philox(want, counter, c->key);
    for (int64_t k = 0; k < 4; k++) assert_int_equal(bits[k * c->n + b], want[k]);
  }
  for (int64_t i = 0; i < 4 * c->n; i++) out[i] = (float)(bits[i] >> 8);
  ml_free(bits);
}

static void test_bits_are_philox(void **state) {
  (void)state;
  for (int64_t n = 1; n < 40; n += 6)
    kernels_run_everywhere(run_bits, NULL, &(random_call){n, {3, 1, 4, 0xfffffff0u}, {1, 5}}, 4 * n, true);
}

static void run_noise(float *out, void *ctx) {
  random_call *c = ctx;
  for (int64_t i = 0; i < c->n; i++) out[i] = 0;
  ml_add_noise(out, c->n, 1, c->counter, c->key);
}

static void test_noise_is_the_same_everywhere(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 31, 64, 65, 784, 1000};
  for (int i = 0; i < 6; i++)
    kernels_run_everywhere(run_noise, NULL, &(random_call){sizes[i], {3, 1, 4, 7}, {1, 5}}, sizes[i], true);
}

/* Moments of 200,000 numbers within about four standard errors, and none beyond what 25 bits allow. */
static void test_noise_is_normal(void **state) {
  (void)state;
  enum { N = 200000 };
  float *y = ml_calloc(N, sizeof *y);
  ml_add_noise(y, N, 1, (uint32_t[]){0, 0, 0, 0}, (uint32_t[]){9, 9});
  double m[5] = {0}, neighbours = 0;
  for (int i = 0; i < N; i++) {
    const double z = (double)y[i];
    assert_true(fabs(z) < 6);
    for (int k = 1; k < 5; k++) m[k] += pow(z, k) / N;
    neighbours += i > 0 ? z * (double)y[i - 1] / N : 0;
  }
  assert_true(fabs(m[1]) < 0.01 && fabs(m[2] - 1) < 0.014 && fabs(m[3]) < 0.035 && fabs(m[4] - 3) < 0.09);
  assert_true(fabs(neighbours) < 0.01);
  ml_free(y);
}

static void test_mix(void **state) {
  (void)state;
  float a[] = {1, 2, -4, 0.5f, 8}, b[] = {3, 2, 4, 1.5f, 0};
  ml_mix_pair(a, b, 5, 0.75f);
  kernels_check_equal(a, (const float[]){1.5f, 2, -2, 0.75f, 6}, 5, "first");
  kernels_check_equal(b, (const float[]){2.5f, 2, 2, 1.25f, 2}, 5, "second");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_resample_matches_naive), cmocka_unit_test(test_whole_pixels_are_exact),
      cmocka_unit_test(test_bits_are_philox),        cmocka_unit_test(test_noise_is_the_same_everywhere),
      cmocka_unit_test(test_noise_is_normal),        cmocka_unit_test(test_mix),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
