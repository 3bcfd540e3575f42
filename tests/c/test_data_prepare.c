/* Pictures of digits made into what MNIST's are: size, place, polarity, light, specks and shadows, blank pictures.
 * Whether a network reads what comes out is tested in tests/lua/test_predict.lua. */
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
#include "data/prepare.h"
#include "data_fixtures.h"

enum { MOST = 900, OUT = ML_DIGIT_SIDE, AREA = OUT * OUT };

static uint8_t canvas[MOST * MOST];
static float noise[MOST * MOST];   /* from -0.5 to 0.5 */

static void make_noise(uint32_t seed) {
  ml_rng rng = ml_rng_make(seed, ML_STREAM_NOISE);
  ml_rng_uniform(noise, MOST * MOST, &rng, -0.5f, 0.5f);
}

/* ---- drawing: a three, whose centre of mass is right of the middle, inside a box ---- */

typedef struct page {
  int64_t height, width;
  double left, top, side, stroke;      /* the digit's box, height `side`, and the width of its stroke */
  double paper, ink;                   /* grey values */
} page;

static double segment(double x, double y, const double *a, const double *b) {
  const double dx = b[0] - a[0], dy = b[1] - a[1];
  const double t = fmin(fmax(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0), 1);
  return hypot(x - a[0] - t * dx, y - a[1] - t * dy);
}

/* How much of the pixel (x, y) is ink. */
static double ink_at(const page *p, double x, double y) {
  static const double three[][2] = {{0, 0}, {0.6, 0}, {0.25, 0.4}, {0.6, 0.6}, {0.55, 0.9}, {0.1, 1}, {0, 0.85}};
  double d = INFINITY;
  for (size_t i = 0; i + 1 < sizeof three / sizeof *three; i++)
    d = fmin(d, segment((x - p->left) / p->side, (y - p->top) / p->side, three[i], three[i + 1]));
  return fmin(fmax(p->stroke / 2 - d * p->side + 0.5, 0), 1);
}

static void draw(const page *p) {
  for (int64_t y = 0; y < p->height; y++)
    for (int64_t x = 0; x < p->width; x++)
      canvas[y * p->width + x] = (uint8_t)lround(p->paper + (p->ink - p->paper) * ink_at(p, (double)x, (double)y));
}

/* ---- what a prepared picture must be ---- */

typedef struct looks {
  int top, left, bottom, right;  /* of pixels that are not black */
  double x, y, mass;
  int most;
} looks;

static looks look(const uint8_t *out) {
  looks l = {.top = OUT, .left = OUT, .bottom = -1, .right = -1};
  for (int i = 0; i < AREA; i++) {
    const int y = i / OUT, x = i % OUT;
    l.mass += out[i];
    l.x += out[i] * x;
    l.y += out[i] * y;
    if (out[i] > l.most) l.most = out[i];
    if (out[i] == 0) continue;
    if (y < l.top) l.top = y;
    if (y > l.bottom) l.bottom = y;
    if (x < l.left) l.left = x;
    if (x > l.right) l.right = x;
  }
  l.x /= l.mass;
  l.y /= l.mass;
  return l;
}

static void check_frame(const uint8_t *out) {
  const looks l = look(out);
  const int height = l.bottom - l.top + 1, width = l.right - l.left + 1;
  assert_int_equal(l.most, 255);
  assert_true(height <= 20 && width <= 20 && (height >= 19 || width >= 19));
  assert_true(fabs(l.x - 14) <= 0.5001 && fabs(l.y - 14) <= 0.5001);
}

static void prepare(uint8_t *out, int64_t height, int64_t width) {
  ml_error err = {0};
  const uint64_t live = ml_memory_get_stats().live_blocks;
  if (ml_prepare_digit(out, canvas, height, width, &err) != ML_OK)
    fail_msg("%lldx%lld: %s", (long long)width, (long long)height, err.message);
  assert_int_equal(ml_memory_get_stats().live_blocks, live);
}

/* The mean difference of two prepared pictures' pixels, in 0..255. */
static double apart(const uint8_t *a, const uint8_t *b) {
  double sum = 0;
  for (int i = 0; i < AREA; i++) sum += abs(a[i] - b[i]);
  return sum / AREA;
}

static const page plain = {.height = 200, .width = 160, .left = 40, .top = 40, .side = 110, .stroke = 15, .paper = 255};

static void plain_picture(uint8_t *out) {
  draw(&plain);
  prepare(out, plain.height, plain.width);
}

/* ---- tests ---- */

static void test_frame(void **state) {
  (void)state;
  uint8_t out[AREA];
  plain_picture(out);
  check_frame(out);
  const looks l = look(out);
  assert_int_equal(l.bottom - l.top + 1, 20);
  assert_true(l.right - l.left + 1 >= 12 && l.right - l.left + 1 <= 14);
}

/* The same digit of other sizes, at other places, in other greys is nearly the same picture. */
static void test_same_digit(void **state) {
  (void)state;
  static const page pages[] = {
      {200, 160, 40, 40, 110, 15, 0, 255},     {200, 160, 40, 40, 110, 15, 255, 128},
      {200, 160, 40, 40, 110, 15, 90, 200},    {200, 160, 40, 40, 110, 15, 230, 190},
      {900, 700, 100, 120, 550, 75, 240, 30},  {900, 900, 700, 20, 110, 15, 240, 30},
      {64, 64, 20, 14, 36.7, 5, 200, 40},      {150, 110, 15, 20, 110, 15, 255, 0},
      {300, 900, 500, 100, 110, 15, 40, 250},  {40, 40, 10, 8, 22, 3, 0, 255},
  };
  uint8_t expected[AREA], out[AREA];
  plain_picture(expected);
  for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
    draw(&pages[i]);
    prepare(out, pages[i].height, pages[i].width);
    check_frame(out);
    if (apart(out, expected) > 6) fail_msg("page %zu: %.1f apart", i, apart(out, expected));
  }
}

/* Thin strokes become wider, wide ones stay. */
static void test_strokes(void **state) {
  (void)state;
  uint8_t out[AREA];
  double mass[5];
  static const double strokes[5] = {1, 3, 8, 15, 30};
  for (int i = 0; i < 5; i++) {
    page p = plain;
    p.stroke = strokes[i];
    draw(&p);
    prepare(out, p.height, p.width);
    check_frame(out);
    mass[i] = look(out).mass / 255;
  }
  assert_true(fabs(mass[0] / mass[1] - 1) < 0.15);
  assert_true(mass[0] > 60 && mass[3] > 1.1 * mass[1] && mass[4] > 1.4 * mass[3]);
}

/* What photographs have: light from one side, a shadow, a table, specks, noise. The digit stays nearly as it is. */
static void spoil(int kind) {
  for (int64_t i = 0; i < plain.height * plain.width; i++) {
    const int64_t y = i / plain.width, x = i % plain.width;
    double v = 40 + canvas[i] * 0.75;
    if (kind == 0) v *= 0.45 + 0.55 * (double)x / (double)plain.width;
    if (kind == 1) v *= 1 - 0.5 / (1 + exp((double)(x - 30) / 4));
    if (kind == 2 && x < 14 + y / 50) v = 25;
    if (kind == 3 && (y % 37) == 5 && (x % 41) < 2) v = 30;
    if (kind == 4) v += 24 * (double)noise[i];
    canvas[i] = (uint8_t)fmin(fmax(v, 0), 255);
  }
}

static void test_photographs(void **state) {
  (void)state;
  uint8_t expected[AREA], out[AREA];
  make_noise(2);
  plain_picture(expected);
  for (int kind = 0; kind < 5; kind++) {
    for (int light = 0; light < 2; light++) {
      draw(&plain);
      spoil(kind);
      for (int64_t i = 0; light && i < plain.height * plain.width; i++) canvas[i] = 255 - canvas[i];
      prepare(out, plain.height, plain.width);
      check_frame(out);
      if (apart(out, expected) > 6) fail_msg("kind %d, light %d: %.1f apart", kind, light, apart(out, expected));
    }
  }
}

/* A sheet on a table of any grey, larger than the digit's picture on every side. */
static void test_on_a_table(void **state) {
  (void)state;
  enum { AROUND = 60 };
  static uint8_t table[MOST * MOST];
  static const uint8_t greys[] = {10, 60, 120, 180};
  uint8_t expected[AREA], out[AREA];
  plain_picture(expected);
  const int64_t height = plain.height + 2 * AROUND, width = plain.width + 2 * AROUND;
  for (size_t k = 0; k < sizeof greys / sizeof *greys; k++) {
    memset(table, greys[k], sizeof table);
    draw(&plain);
    for (int64_t y = 0; y < plain.height; y++)
      memcpy(table + (y + AROUND) * width + AROUND, canvas + y * plain.width, (size_t)plain.width);
    memcpy(canvas, table, (size_t)(height * width));
    prepare(out, height, width);
    check_frame(out);
    if (apart(out, expected) > 6) fail_msg("table %d: %.1f apart", greys[k], apart(out, expected));
  }
  memset(canvas, 0, sizeof canvas);          /* a bold stroke is no sheet */
  for (int64_t y = 40; y < 200; y++) memset(canvas + y * 240 + 90, 255, 60);
  prepare(out, 240, 240);
  check_frame(out);
  assert_true(look(out).mass > 130 * 255);
}

static void check_blank(int64_t height, int64_t width) {
  uint8_t out[AREA];
  ml_error err = {0};
  const uint64_t live = ml_memory_get_stats().live_blocks;
  if (ml_prepare_digit(out, canvas, height, width, &err) == ML_OK)
    fail_msg("%lldx%lld: ink found, expected none", (long long)width, (long long)height);
  data_check_error(&err, ML_FORMAT, NULL, "no ink");
  assert_int_equal(ml_memory_get_stats().live_blocks, live);
}

static void test_blank(void **state) {
  (void)state;
  static const int sizes[][2] = {{1, 1}, {1, 900}, {900, 1}, {2, 3}, {28, 28}, {300, 200}, {900, 900}};
  make_noise(1);
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    const int64_t height = sizes[k][0], width = sizes[k][1];
    for (int v = 0; v < 256; v += 51) {
      memset(canvas, v, (size_t)(height * width));
      check_blank(height, width);
    }
    for (int64_t i = 0; i < height * width; i++) {
      canvas[i] = (uint8_t)(120 + (width < 28 ? 0 : 90 * (i % width) / width) + 12 * noise[i]);
    }
    check_blank(height, width);
  }
}

/* Pictures of noise and of single pixels, of every small size, are answered one way or the other. */
static void test_any_size(void **state) {
  (void)state;
  uint8_t out[AREA];
  for (int64_t height = 1; height < 34; height += 2)
    for (int64_t width = 1; width < 34; width += 3)
      for (int few = 0; few < 2; few++) {
        make_noise(3);
        for (int64_t i = 0; i < height * width; i++)
          canvas[i] = (uint8_t)(few ? (noise[i] < -0.45f) * 255 : (noise[i] + 0.5f) * 255);
        ml_error err = {0};
        const ml_status status = ml_prepare_digit(out, canvas, height, width, &err);
        if (status == ML_OK) assert_int_equal(look(out).most, 255);
        else data_check_error(&err, ML_FORMAT, NULL, "no ink");
      }
}

static void *make(void *ctx, ml_error *err) {
  uint8_t *out = ctx;
  return ml_prepare_digit(out, canvas, 700, 900, err) == ML_OK ? out : NULL;
}

static void drop(void *made) { (void)made; }

static void test_allocations(void **state) {
  (void)state;
  uint8_t out[AREA];
  const page p = {.height = 700, .width = 900, .left = 700, .top = 50, .side = 90, .stroke = 3, .paper = 250};
  draw(&p);
  data_fail_allocations(make, drop, out);
  check_frame(out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_frame),   cmocka_unit_test(test_same_digit), cmocka_unit_test(test_strokes),
      cmocka_unit_test(test_photographs), cmocka_unit_test(test_on_a_table), cmocka_unit_test(test_blank),
      cmocka_unit_test(test_any_size), cmocka_unit_test(test_allocations),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
