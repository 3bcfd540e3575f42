/* Augmentation through the loader: maps that are known exactly, the sizes of what is drawn, the same pictures for any
 * number of threads, instruction set, batch size and starting point; mixing and its targets; refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "base/pool.h"
#include "data/augment_parts.h"
#include "data/loader.h"
#include "data_fixtures.h"

enum { SIDE = 28, AREA = SIDE * SIDE };

static const ml_augment_options everything = {
    .rotate = {-12, 12}, .shear = {-0.15, 0.15}, .scale = {0.87, 1.13}, .zoom = {0.9, 1.1}, .shift_x = {-2, 2},
    .shift_y = {-2, 2}, .elastic_rms = 0.8, .elastic_sigma = 4, .erase_p = 0.5, .erase_size = {3, 9}, .noise = 0.1,
    .mixup = 0.4, .cutmix = 1};

static ml_loader *new_loader(ml_dataset *d, int64_t batch, const ml_augment_options *a) {
  ml_error err = {0};
  ml_loader_options o = {.batch = batch, .mean = 0, .std = 1.0 / 255, .seed = 4, .augment = a};
  ml_loader *l = ml_loader_new(d, &o, &err);
  if (!l) fail_msg("%s", err.message);
  return l;
}

static void drop(ml_tensor *x, ml_tensor *y) {
  ml_tensor_unref(x);
  ml_tensor_unref(y);
}

/* The pictures (and, unless NULL, the targets) of epoch 2 from `step` on, one after the other; returns how many. */
static int64_t read_all(ml_loader *l, int64_t step, float *pictures, float *targets, double strength) {
  ml_error err = {0};
  ml_tensor *x, *y;
  int64_t n = 0;
  ml_loader_set_strength(l, strength);
  assert_int_equal(ml_loader_start(l, 2, step, &err), ML_OK);
  for (;;) {
    assert_int_equal(ml_loader_next(l, &x, &y, &err), ML_OK);
    if (!x) return n;
    const int64_t count = x->shape.size[0];
    memcpy(pictures + n * ml_tensor_row_count(x), x->f32, ml_tensor_bytes(x));
    if (targets) memcpy(targets + n * y->shape.size[1], y->f32, ml_tensor_bytes(y));
    n += count;
    drop(x, y);
  }
}

/* ---- maps ---- */

static void test_known_maps(void **state) {
  (void)state;
  static const struct {
    ml_augment_options o;
    int xx, xy, x0, yx, yy, y0;   /* output (i, j) is input (yx j + yy i + y0, xx j + xy i + x0) */
  } cases[] = {
      {{.scale = {1, 1}, .zoom = {1, 1}, .shift_x = {3, 3}}, 1, 0, -3, 0, 1, 0},
      {{.scale = {1, 1}, .zoom = {1, 1}, .shift_x = {-2, -2}, .shift_y = {5, 5}}, 1, 0, 2, 0, 1, -5},
      {{.scale = {1, 1}, .zoom = {1, 1}, .rotate = {90, 90}}, 0, -1, SIDE - 1, 1, 0, 0},
      {{.scale = {1, 1}, .zoom = {1, 1}, .rotate = {180, 180}}, -1, 0, SIDE - 1, 0, -1, SIDE - 1},
      {{.scale = {1, 1}, .zoom = {1, 1}, .rotate = {-90, -90}}, 0, 1, 0, -1, 0, SIDE - 1},
  };
  ml_dataset *d = data_small_set(3, SIDE, SIDE, 3);
  float *y = ml_alloc(3 * AREA * sizeof *y);
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    ml_augment_options o = cases[k].o;
    o.elastic_sigma = 4;
    o.erase_size = (ml_range){1, 1};
    ml_loader *l = new_loader(d, 3, &o);
    assert_int_equal(read_all(l, 0, y, NULL, 1), 3);
    for (int n = 0; n < 3; n++)
      for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
          const int row = cases[k].yx * j + cases[k].yy * i + cases[k].y0;
          const int column = cases[k].xx * j + cases[k].xy * i + cases[k].x0;
          const bool inside = row >= 0 && column >= 0 && row < SIDE && column < SIDE;
          const float want = inside ? (float)d->images->u8[n * AREA + row * SIDE + column] : 0;
          assert_true(y[n * AREA + i * SIDE + j] == want);
        }
    ml_loader_free(l);
  }
  ml_free(y);
  ml_dataset_unref(d);
}

/* Strength 0 changes nothing, and neither do factors of 0 on rotation and shear. */
static void test_strength_and_turn(void **state) {
  (void)state;
  ml_dataset *d = data_small_set(6, SIDE, SIDE, 2);
  float plain[6 * AREA], y[6 * AREA];
  ml_loader *l = new_loader(d, 4, NULL);
  read_all(l, 0, plain, NULL, 1);
  ml_loader_free(l);
  ml_augment_options o = everything;
  o.mixup = o.cutmix = 0;
  l = new_loader(d, 4, &o);
  read_all(l, 0, y, NULL, 0);
  assert_memory_equal(y, plain, sizeof y);
  read_all(l, 0, y, NULL, 0.5);
  assert_memory_not_equal(y, plain, sizeof y);
  ml_loader_free(l);
  ml_augment_options slant = ML_AUGMENT_NONE;
  slant.rotate = (ml_range){-12, 12};
  slant.shear = (ml_range){-0.2, 0.2};
  slant.turn = (const float[]){0, 1};
  l = new_loader(d, 4, &slant);
  read_all(l, 0, y, NULL, 1);
  for (int i = 0; i < 6; i++) assert_true((memcmp(y + i * AREA, plain + i * AREA, AREA * 4) == 0) == (i % 2 == 0));
  ml_loader_free(l);
  ml_dataset_unref(d);
}

/* The displacement itself, from the bend's parts. */
static void test_bend_has_the_rms_asked_for(void **state) {
  (void)state;
  static const struct { int64_t height, width; double rms, sigma; } cases[] = {
      {28, 28, 0.8, 4}, {28, 28, 1.5, 2}, {28, 28, 0.5, 8}, {20, 45, 1, 3}, {9, 9, 1, 1}};
  for (int c = 0; c < 5; c++) {
    const ml_picture_size size = {1, cases[c].height, cases[c].width};
    ml_bend_plan plan;
    ml_augment_scratch s;
    assert_true(ml_bend_plan_init(&plan, size, cases[c].rms, cases[c].sigma));
    assert_true(ml_augment_scratch_init(&s, size, 2 * plan.rows * plan.columns, 2 * plan.rows * plan.padded));
    double squares[2] = {0}, steps = 0;
    const uint32_t samples = 2000;
    for (uint32_t n = 0; n < samples; n++) {
      const ml_bend b = ml_bend_draw(&plan, (uint32_t[]){1, 1, n, 0}, (uint32_t[]){5, 5}, 1, &s);
      const float *const rows[2] = {b.x_rows, b.y_rows};
      for (int part = 0; part < 2; part++)
        for (int64_t i = 0; i < size.height; i++) {
          double last = 0;
          for (int64_t j = 0; j < size.width; j++) {
            double v = 0;
            for (int k = 0; k < 4; k++)
              v += (double)b.taps[i][k] * (double)rows[part][(b.first[i] + k) * plan.padded + j];
            squares[part] += v * v;
            steps = fmax(steps, j > 0 ? fabs(v - last) : 0);
            last = v;
          }
        }
    }
    for (int part = 0; part < 2; part++) {
      const double rms = sqrt(squares[part] / (double)(samples * size.height * size.width));
      assert_true(fabs(rms / cases[c].rms - 1) < 0.03);
    }
    assert_true(steps < 3 * cases[c].rms / cases[c].sigma);
    ml_bend_plan_free(&plan);
    ml_free(s.block);
  }
}

/* ---- the same everywhere ---- */

static void test_same_pictures_everywhere(void **state) {
  (void)state;
  enum { N = 75 };
  ml_error err = {0};
  ml_dataset *d = data_small_set(N, SIDE, SIDE, 10);
  float *want = ml_alloc(N * AREA * 4), *y = ml_alloc(N * AREA * 4), want_t[N * 10], t[N * 10];
  static const int threads[] = {1, 2, 3, 8};
  const int best = (int)ml_cpu_best_isa();
  for (int k = 0; k < 4 * (best + 1); k++) {
    assert_int_equal(ml_pool_start(threads[k % 4], &err), ML_OK);
    assert_int_equal(ml_cpu_use((ml_isa)(k / 4), &err), ML_OK);
    ml_loader *l = new_loader(d, 33, &everything);
    assert_int_equal(read_all(l, 0, k ? y : want, k ? t : want_t, 1), N);
    if (k) assert_memory_equal(y, want, N * AREA * 4);
    if (k) assert_memory_equal(t, want_t, sizeof t);
    for (int64_t step = 1; step < 3; step++) {
      assert_int_equal(read_all(l, step, y, t, 1), N - 33 * step);
      assert_memory_equal(y, want + 33 * step * AREA, (size_t)(N - 33 * step) * AREA * 4);
    }
    ml_loader_free(l);
  }
  ml_free(want);
  ml_free(y);
  ml_dataset_unref(d);
}

/* What is not mixed depends on the place in the epoch, not on the batch; and every epoch and place differs. */
static void test_pictures_do_not_depend_on_the_batch(void **state) {
  (void)state;
  enum { N = 40 };
  ml_error err = {0};
  int32_t rows[N] = {0};
  ml_dataset *d = data_small_set(2, SIDE, SIDE, 2), *same = ml_dataset_subset(d, rows, N, &err);
  ml_augment_options o = everything;
  o.mixup = o.cutmix = 0;
  float *want = ml_alloc(N * AREA * 4), *y = ml_alloc(N * AREA * 4);
  static const int64_t batches[] = {N, 1, 7, 17, 33};
  for (int k = 0; k < 5; k++) {
    ml_loader *l = new_loader(same, batches[k], &o);
    assert_int_equal(read_all(l, 0, k ? y : want, NULL, 1), N);
    if (k) assert_memory_equal(y, want, N * AREA * 4);
    ml_loader_free(l);
  }
  for (int i = 1; i < N; i++) assert_memory_not_equal(want, want + i * AREA, AREA * 4);
  ml_free(want);
  ml_free(y);
  ml_dataset_unref(d);
  ml_dataset_unref(same);
}

/* ---- erasing and mixing ---- */

/* n pictures of one value: 255 for label 1, 0 for label 0, in turn. */
static ml_dataset *two_values(int64_t n) {
  ml_dataset *d = data_small_set(n, SIDE, SIDE, 2);
  for (int64_t i = 0; i < n * AREA; i++) d->images->u8[i] = i / AREA % 2 ? 255 : 0;
  return d;
}

static void test_erase(void **state) {
  (void)state;
  enum { N = 2000 };
  ml_dataset *d = data_small_set(N, SIDE, SIDE, 2);
  memset(d->images->u8, 200, N * AREA);
  ml_augment_options o = ML_AUGMENT_NONE;
  o.erase_p = 0.3;
  o.erase_size = (ml_range){4, 7};
  ml_loader *l = new_loader(d, 100, &o);
  float *y = ml_alloc(N * AREA * 4);
  read_all(l, 0, y, NULL, 1);
  int64_t holes = 0, total = 0;
  for (int i = 0; i < N; i++) {
    int64_t hole = 0;
    for (int j = 0; j < AREA; j++) {
      assert_true(y[i * AREA + j] == 0 || y[i * AREA + j] == 200);
      hole += y[i * AREA + j] == 0;
    }
    assert_true(hole == 0 || (hole >= 16 && hole <= 49));
    holes += hole > 0;
    total += hole;
  }
  assert_true(labs((long)holes - 600) < 80);
  assert_true(fabs((double)total / (double)holes - 5.5 * 5.5) < 2);
  ml_free(y);
  ml_loader_free(l);
  ml_dataset_unref(d);
}

/* With pictures of 0 and 255 the mean pixel says how much of label 1 is in a picture: what its target must say. The
 * variance of Beta(alpha, alpha) is 1 / (4 (2 alpha + 1)); a patch that meets the border is smaller than drawn. */
static void test_mixing(void **state) {
  (void)state;
  enum { N = 4001 };
  static const struct { double mixup, cutmix, strength; } cases[] = {
      {0.2, 0, 1}, {1, 0, 1}, {4, 0, 1}, {0, 1, 1}, {0, 0.3, 1}, {0.5, 2, 1}, {1, 0, 0.5}, {1, 0, 0}};
  ml_dataset *d = two_values(N);
  float *y = ml_alloc(N * AREA * 4), *t = ml_alloc(N * 2 * 4);
  for (int c = 0; c < 8; c++) {
    ml_augment_options o = ML_AUGMENT_NONE;
    o.mixup = cases[c].mixup;
    o.cutmix = cases[c].cutmix;
    ml_loader *l = new_loader(d, 101, &o);
    assert_int_equal(read_all(l, 0, y, t, cases[c].strength), N);
    double mean = 0, square = 0;
    for (int64_t i = 0; i < N; i++) {
      double sum = 0;
      for (int j = 0; j < AREA; j++) sum += (double)y[i * AREA + j] / 255 / AREA;
      assert_true(fabs(sum - (double)t[2 * i + 1]) < 1e-4 && fabs((double)t[2 * i] + (double)t[2 * i + 1] - 1) < 1e-6);
      mean += (double)t[2 * i + 1] / N;
      square += pow((double)t[2 * i + 1] - 0.5, 2) / N;
    }
    const double variance = 1 / (4 * (2 * cases[c].mixup + 1));
    assert_true(fabs(mean - 0.5) < 0.001);
    if (cases[c].cutmix == 0 && cases[c].strength == 1) assert_true(fabs(square / variance - 1) < 0.06);
    if (cases[c].strength == 0) assert_true(fabs(square - 0.25) < 1e-6);
    ml_loader_free(l);
  }
  ml_free(y);
  ml_free(t);
  ml_dataset_unref(d);
}

/* ---- refusals ---- */

static void test_bad_options(void **state) {
  (void)state;
  static const struct {
    ml_augment_options o;
    const char *message;
  } bad[] = {
      {{.rotate = {-200, 12}}, "rotate of -200 to 12, expected a range within -180 to 180"},
      {{.rotate = {3, -3}}, "rotate of 3 to -3"},
      {{.shear = {0, NAN}}, "shear of 0 to nan"},
      {{.scale = {-0.5, 1}}, "scale of -0.5 to 1, expected a range within 0.1 to 10"},
      {{.elastic_rms = 101}, "elastic rms of 101"},
      {{.elastic_rms = 1, .elastic_sigma = 0.5}, "elastic sigma of 0.5"},
      {{.erase_p = 2}, "erase p of 2"},
      {{.erase_p = 0.5, .erase_size = {1, 40}}, "erase size of 40, but the pictures have 28 x 28 pixels"},
      {{.noise = -1}, "noise of -1"},
      {{.mixup = INFINITY}, "mixup of inf"},
  };
  ml_error err = {0};
  ml_dataset *d = data_small_set(4, SIDE, SIDE, 2);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ml_augment_options o = bad[i].o;
    if (o.scale.low == 0) o.scale = (ml_range){1, 1};
    if (o.erase_size.low == 0) o.erase_size = (ml_range){1, 1};
    if (o.elastic_sigma == 0) o.elastic_sigma = 4;
    o.zoom = (ml_range){1, 1};
    ml_loader_options options = {.batch = 2, .std = 1, .augment = &o};
    assert_null(ml_loader_new(d, &options, &err));
    data_check_error(&err, ML_MISUSE, NULL, bad[i].message);
    assert_int_equal(d->refs, 1);
  }
  ml_dataset_unref(d);
}

/* Rows of features can have noise and be mixed; they cannot be turned. */
static void test_features(void **state) {
  (void)state;
  ml_error err = {0};
  ml_tensor *images = ml_tensor_zeros(ML_F32, &(ml_shape){.ndim = 2, .size = {4, 5}}, &err);
  ml_tensor *labels = ml_tensor_zeros(ML_U8, &(ml_shape){.ndim = 1, .size = {4}}, &err);
  ml_dataset *d = ml_dataset_new(images, labels, 2, &err);
  ml_augment_options o = ML_AUGMENT_NONE;
  o.noise = 0.5;
  o.mixup = 1;
  float y[20], t[8];
  ml_loader *l = new_loader(d, 3, &o);
  assert_int_equal(read_all(l, 0, y, t, 1), 4);
  for (int i = 0; i < 20; i++) assert_true(y[i] != 0);
  for (int i = 0; i < 8; i++) assert_true(t[i] == (i % 2 ? 0 : 1));
  ml_loader_free(l);
  o.rotate = (ml_range){-1, 1};
  ml_loader_options options = {.batch = 2, .std = 1, .augment = &o};
  assert_null(ml_loader_new(d, &options, &err));
  data_check_error(&err, ML_MISUSE, NULL,
                   "augmentation needs pictures (samples x height x width), but the samples are 4x5");
  ml_dataset_unref(d);
  drop(images, labels);
}

static void *make_loader(void *ctx, ml_error *err) {
  ml_loader_options o = {.batch = 40, .std = 1, .augment = &everything};
  return ml_loader_new(ctx, &o, err);
}

static void drop_loader(void *made) { ml_loader_free(made); }

static void test_every_failing_allocation(void **state) {
  (void)state;
  ml_dataset *d = data_small_set(50, SIDE, SIDE, 2);
  data_fail_allocations(make_loader, drop_loader, d);
  ml_dataset_unref(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_maps),
      cmocka_unit_test(test_strength_and_turn),
      cmocka_unit_test(test_bend_has_the_rms_asked_for),
      cmocka_unit_test(test_same_pictures_everywhere),
      cmocka_unit_test(test_pictures_do_not_depend_on_the_batch),
      cmocka_unit_test(test_erase),
      cmocka_unit_test(test_mixing),
      cmocka_unit_test(test_bad_options),
      cmocka_unit_test(test_features),
      cmocka_unit_test(test_every_failing_allocation),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
