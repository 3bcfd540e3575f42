/* Deskewing and centring, and fixed maps of a batch: where the ink ends up, what stays as it is, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data/augment.h"
#include "data/straighten.h"
#include "data_fixtures.h"

enum { SIDE = 28, AREA = SIDE * SIDE };

typedef struct moments {
  double ink, x, y, slant;
} moments;

static moments moments_of(const uint8_t *p) {
  moments m = {0};
  double syy = 0, sxy = 0;
  for (int i = 0; i < AREA; i++) {
    const double v = p[i], x = i % SIDE, y = i / SIDE;
    m.ink += v;
    m.x += v * x;
    m.y += v * y;
    syy += v * y * y;
    sxy += v * x * y;
  }
  m.x /= m.ink;
  m.y /= m.ink;
  const double variance = syy / m.ink - m.y * m.y;
  m.slant = variance > 0 ? (sxy / m.ink - m.x * m.y) / variance : 0;
  return m;
}

/* Bars of several slants away from the middle, then a blank picture, one in the middle, and one that is a flat line. */
static ml_dataset *slanted_bars(void) {
  ml_dataset *d = data_small_set(8, SIDE, SIDE, 2);
  memset(d->images->u8, 0, 8 * AREA);
  for (int n = 0; n < 5; n++)
    for (int i = 4; i < 20; i++)
      for (int j = 0; j < 3; j++)
        d->images->u8[n * AREA + i * SIDE + 9 + n + j + (int)lround((n - 2) * 0.25 * (i - 12))] =
            (uint8_t)(250 - 3 * i);
  for (int i = 10; i < 18; i++) d->images->u8[6 * AREA + i * SIDE + 13] = d->images->u8[6 * AREA + i * SIDE + 14] = 99;
  for (int j = 3; j < 10; j++) d->images->u8[7 * AREA + 5 * SIDE + j] = 180;
  return d;
}

static void test_straightened(void **state) {
  (void)state;
  ml_error err = {0};
  ml_dataset *d = slanted_bars();
  for (int threads = 1; threads <= 3; threads += 2) {
    assert_int_equal(ml_pool_start(threads, &err), ML_OK);
    ml_dataset *centred = ml_dataset_straightened(d, false, &err), *upright = ml_dataset_straightened(d, true, &err);
    assert_true(ml_shape_equal(&upright->images->shape, &d->images->shape));
    assert_int_equal(upright->images->dtype, ML_U8);
    for (int n = 0; n < 8; n++) {
      if (n == 5) continue;
      const moments was = moments_of(d->images->u8 + n * AREA), c = moments_of(centred->images->u8 + n * AREA);
      const moments u = moments_of(upright->images->u8 + n * AREA);
      assert_true(fabs(c.x - 13.5) < 0.02 && fabs(c.y - 13.5) < 0.02);
      assert_true(fabs(u.x - 13.5) < 0.1 && fabs(u.y - 13.5) < 0.1);
      assert_true(fabs(c.slant - was.slant) < 0.02 && fabs(u.slant) < 0.02);
      assert_true(fabs(c.ink / was.ink - 1) < 0.01 && fabs(u.ink / was.ink - 1) < 0.01);
      assert_int_equal(upright->labels->i32[n], n % 2);
    }
    const size_t two = 2 * AREA; /* the blank one, and the one that is in the middle */
    assert_memory_equal(centred->images->u8 + 5 * AREA, d->images->u8 + 5 * AREA, two);
    assert_memory_equal(upright->images->u8 + 5 * AREA, d->images->u8 + 5 * AREA, two);
    ml_dataset_unref(centred);
    ml_dataset_unref(upright);
  }
  ml_dataset_unref(d);
}

static void test_views_and_floats(void **state) {
  (void)state;
  ml_error err = {0};
  ml_dataset *d = slanted_bars(), *some = ml_dataset_subset(d, (int32_t[]){4, 1}, 2, &err);
  ml_dataset *all = ml_dataset_straightened(d, true, &err), *two = ml_dataset_straightened(some, true, &err);
  assert_int_equal(two->count, 2);
  assert_memory_equal(two->images->u8, all->images->u8 + 4 * AREA, AREA);
  assert_memory_equal(two->images->u8 + AREA, all->images->u8 + AREA, AREA);
  ml_tensor *floats = ml_tensor_new(ML_F32, &d->images->shape, &err);
  for (int i = 0; i < 8 * AREA; i++) floats->f32[i] = d->images->u8[i];
  ml_dataset *f = ml_dataset_new(floats, d->labels, 2, &err), *straight = ml_dataset_straightened(f, true, &err);
  for (int i = 0; i < 8 * AREA; i++)
    assert_true(fabs((double)straight->images->f32[i] - all->images->u8[i]) <= 0.5001);
  ml_tensor_unref(floats);
  ml_dataset_unref(d);
  ml_dataset_unref(some);
  ml_dataset_unref(all);
  ml_dataset_unref(two);
  ml_dataset_unref(f);
  ml_dataset_unref(straight);
}

static void test_batch_map(void **state) {
  (void)state;
  ml_error err = {0};
  ml_tensor *x = ml_tensor_new(ML_F32, &(ml_shape){.ndim = 4, .size = {5, 2, 4, 3}}, &err);
  for (int i = 0; i < 120; i++) x->f32[i] = (float)i;
  ml_affine right = ML_AFFINE_NONE;
  right.shift_x = 1;
  ml_tensor *y = ml_augment_batch(x, &right, -7, &err);
  for (int i = 0; i < 120; i++) assert_true(y->f32[i] == (i % 3 == 0 ? -7 : (float)(i - 1)));
  ml_tensor_unref(y);
  y = ml_augment_batch(x, &ML_AFFINE_NONE, -7, &err);
  assert_memory_equal(y->f32, x->f32, ml_tensor_bytes(x));
  ml_tensor_unref(y);
  ml_tensor *row = ml_tensor_zeros(ML_F32, &(ml_shape){.ndim = 2, .size = {5, 2}}, &err);
  assert_null(ml_augment_batch(row, &right, 0, &err));
  data_check_error(&err, ML_MISUSE, NULL, "expected f32 pictures (samples x height x width), received f32 5x2");
  ml_tensor_unref(row);
  ml_tensor_unref(x);
}

static void *straighten(void *ctx, ml_error *err) { return ml_dataset_straightened(ctx, true, err); }

static void test_refusals(void **state) {
  (void)state;
  ml_error err = {0};
  ml_dataset *d = slanted_bars();
  data_fail_allocations(straighten, data_drop_dataset, d);
  ml_tensor *flat = ml_tensor_reshape(d->images, &(ml_shape){.ndim = 2, .size = {8, AREA}}, &err);
  ml_dataset *rows = ml_dataset_new(flat, d->labels, 2, &err);
  assert_null(ml_dataset_straightened(rows, true, &err));
  data_check_error(&err, ML_MISUSE, NULL, "expected pictures (samples x height x width), but the samples are 8x784");
  ml_tensor_unref(flat);
  ml_dataset_unref(rows);
  ml_dataset_unref(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_straightened),
      cmocka_unit_test(test_views_and_floats),
      cmocka_unit_test(test_batch_map),
      cmocka_unit_test(test_refusals),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
