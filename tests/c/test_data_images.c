/* Folders of pictures: which files are read, in which order, what they are stretched to; everything that does not
 * belong into such a folder is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data/image_folder.h"
#include "data/picture_fit.h"
#include "data_fixtures.h"
#include "png_aid.h"

static const ml_images_options plain = {.channels = 1};

static void make_folder(const char *name) { assert_int_equal(mkdir(data_path(name), 0700), 0); }

/* A grey picture of this size whose pixel j is first + j. */
static void put_picture(const char *name, int width, int height, int first) {
  uint8_t values[4096], file[8192];
  for (int j = 0; j < width * height; j++) values[j] = (uint8_t)(first + j);
  data_put(name, file, png_aid_grey(file, sizeof file, values, width, height));
}

static ml_dataset *read_good(const char *name, const ml_images_options *o, ml_images_info *info) {
  ml_error err = {0};
  char path[256];
  snprintf(path, sizeof path, "%s", data_path(name));
  ml_dataset *d = ml_read_images(info, path, o, &err);
  if (!d) fail_msg("%s", err.message);
  return d;
}

static void drop(ml_dataset *d, ml_images_info *info) {
  ml_dataset_unref(d);
  ml_free(info->names);
}

/* `where` is what the message begins with, `part` something in it. */
static void check_refused(const char *name, const ml_images_options *o, ml_status status, const char *where,
                          const char *part) {
  char path[256], begins[256];
  ml_images_info info;
  ml_error err = {0};
  snprintf(path, sizeof path, "%s", data_path(name));
  snprintf(begins, sizeof begins, "%s: ", data_path(where));
  const uint64_t live = ml_memory_get_stats().live_blocks;
  if (ml_read_images(&info, path, o, &err)) fail_msg("read, expected \"%s\"", part);
  data_check_error(&err, status, begins, part);
  assert_null(ml_read_images(&info, path, o, NULL));
  assert_int_equal(ml_memory_get_stats().live_blocks, live);
}

/* ---- order ---- */

static void test_natural_order(void **state) {
  (void)state;
  static const char *const sorted[] = {"",    "!",    "0",     "00",   "01",   "1",    "1a",      "2",
                                       "010", "10",   "99999999999999999999", "100000000000000000000",
                                       "A",   "a",    "a1",    "a1b",  "a2",   "a10",  "a10b2",   "a10b10",
                                       "b",   "\xc3\xa4", "\xc3\xb6", "\xe3\x81\x82", "\xff"};
  const int n = sizeof sorted / sizeof *sorted;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) {
      const int order = ml_natural_order(sorted[i], sorted[j]);
      if ((order > 0) - (order < 0) != (i > j) - (i < j)) fail_msg("'%s' and '%s': %d", sorted[i], sorted[j], order);
    }
}

/* Made in another order than sorted; hidden entries among them. */
static void make_tree(const char *root, bool backwards) {
  static const char *const files[] = {"10/a.png", "10/.hidden", "2/img10.png", "2/img9.png", "1/x.png",
                                      "\xc3\xa4/\xe3\x81\x82 b.png"};
  static const char *const folders[] = {"10", "2", "1", "\xc3\xa4", ".git"};
  char name[128];
  make_folder(root);
  for (int i = 0; i < 5; i++) {
    snprintf(name, sizeof name, "%s/%s", root, folders[backwards ? 4 - i : i]);
    make_folder(name);
  }
  for (int i = 0; i < 6; i++) {
    const int k = backwards ? 5 - i : i;
    snprintf(name, sizeof name, "%s/%s", root, files[k]);
    if (strstr(name, ".hidden")) data_put(name, "no picture", 10);
    else put_picture(name, 3, 2, 10 * k);
  }
  snprintf(name, sizeof name, "%s/.DS_Store", root);
  data_put(name, "", 0);
}

static void test_reads_class_by_class(void **state) {
  (void)state;
  static const int labels[] = {0, 1, 1, 2, 3}, first[] = {40, 30, 20, 0, 50};
  static const char *const names[] = {"1", "2", "10", "\xc3\xa4"};
  make_tree("tree", false);
  make_tree("eert", true);
  ml_images_info info, other;
  ml_dataset *d = read_good("tree", &plain, &info), *e = read_good("eert", &plain, &other);
  assert_int_equal(d->count, 5);
  assert_int_equal(d->classes, 4);
  assert_int_equal(info.classes, 4);
  assert_false(info.inverted);
  for (int c = 0; c < 4; c++) assert_string_equal(info.names[c], names[c]);
  assert_true(ml_shape_equal(&d->images->shape, &(ml_shape){.ndim = 3, .size = {5, 2, 3}}));
  for (int i = 0; i < 5; i++) {
    assert_int_equal(d->labels->i32[i], labels[i]);
    for (int j = 0; j < 6; j++) assert_int_equal(d->images->u8[6 * i + j], first[i] + j);
  }
  assert_int_equal(ml_dataset_hash(d), ml_dataset_hash(e));
  drop(d, &info);
  drop(e, &other);
}

static void test_threads_do_not_show(void **state) {
  (void)state;
  char name[64];
  make_folder("many");
  for (int c = 0; c < 3; c++) {
    snprintf(name, sizeof name, "many/%d", c);
    make_folder(name);
    for (int i = 0; i < 40; i++) {
      snprintf(name, sizeof name, "many/%d/%d.png", c, i);
      put_picture(name, 5 + i % 7, 4 + i % 5, 40 * c + i);
    }
  }
  const ml_images_options o = {.channels = 3, .height = 6, .width = 8, .invert = ML_INVERT_AUTO};
  uint64_t hash = 0;
  for (int threads = 1; threads <= 4; threads++) {
    ml_images_info info;
    assert_int_equal(ml_pool_start(threads, NULL), ML_OK);
    ml_dataset *d = read_good("many", &o, &info);
    assert_true(ml_shape_equal(&d->images->shape, &(ml_shape){.ndim = 4, .size = {120, 3, 6, 8}}));
    if (threads > 1) assert_true(hash == ml_dataset_hash(d));
    hash = ml_dataset_hash(d);
    drop(d, &info);
  }
  check_refused("many", &plain, ML_FORMAT, "many/0/1.png", "the picture is 6x5, expected 5x4 as");
  data_put("many/1/7.png", "bad", 3);
  data_put("many/1/8.png", "bad", 3);
  data_put("many/2/0.png", "bad", 3);
  for (int threads = 1; threads <= 4; threads++) {
    assert_int_equal(ml_pool_start(threads, NULL), ML_OK);
    check_refused("many", &o, ML_FORMAT, "many/1/7.png", "expected a PNG file");
  }
  assert_int_equal(ml_pool_start(2, NULL), ML_OK);
}

/* ---- options ---- */

static void test_inverting(void **state) {
  (void)state;
  make_folder("light");
  make_folder("light/a");
  make_folder("light/b");
  put_picture("light/a/1.png", 3, 3, 200);
  put_picture("light/b/1.png", 3, 3, 100);
  static const bool inverted[] = {[ML_INVERT_NO] = false, [ML_INVERT_YES] = true, [ML_INVERT_AUTO] = true};
  for (ml_invert invert = ML_INVERT_NO; invert <= ML_INVERT_AUTO; invert++) {
    ml_images_info info;
    ml_dataset *d = read_good("light", &(ml_images_options){.channels = 1, .invert = invert}, &info);
    assert_int_equal(info.inverted, inverted[invert]);
    assert_int_equal(d->images->u8[0], inverted[invert] ? 55 : 200);
    assert_int_equal(d->images->u8[17], inverted[invert] ? 147 : 108);
    drop(d, &info);
  }
}

static void test_known_classes(void **state) {
  (void)state;
  static const char *const known[] = {"b", "x", "a"};
  ml_images_info info;
  ml_dataset *d = read_good("light", &(ml_images_options){.channels = 1, .classes = known, .class_count = 3}, &info);
  assert_int_equal(d->classes, 3);
  assert_int_equal(info.classes, 3);
  assert_string_equal(info.names[1], "x");
  assert_int_equal(d->labels->i32[0], 2);
  assert_int_equal(d->labels->i32[1], 0);
  drop(d, &info);
  check_refused("light", &(ml_images_options){.channels = 1, .classes = known, .class_count = 2}, ML_FORMAT, "light/a",
                "expected one of the training set's classes, got 'a'");
}

static void test_misuse(void **state) {
  (void)state;
  static const ml_images_options bad[] = {
      {.channels = 2}, {.channels = 0}, {.channels = 1, .height = 5}, {.channels = 1, .width = 5},
      {.channels = 1, .height = 5, .width = 4097}, {.channels = 1, .height = -1, .width = -1},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    ml_images_info info;
    ml_error err = {0};
    assert_null(ml_read_images(&info, data_path("light"), &bad[i], &err));
    data_check_error(&err, ML_MISUSE, NULL, "pictures of");
  }
}

/* ---- refusals ---- */

static void test_what_does_not_belong(void **state) {
  (void)state;
  check_refused("absent", &plain, ML_IO, "absent", "cannot be opened: No such file");
  data_put("file", "x", 1);
  check_refused("file", &plain, ML_IO, "file", "expected a folder, got a file");
  make_folder("r");
  check_refused("r", &plain, ML_FORMAT, "r", "is empty, expected a sub-folder of PNG files for each class");
  make_folder("r/only");
  check_refused("r", &plain, ML_FORMAT, "r",
                "expected 2 sub-folders or more, one for each class, found 1 entry ('only')");
  make_folder("r/second");
  check_refused("r", &plain, ML_FORMAT, "r/only", "is empty, expected the PNG files of a class");
  put_picture("r/only/1.png", 4, 4, 0);
  put_picture("r/second/1.png", 4, 4, 0);
  data_put("r/readme.txt", "hello", 5);
  check_refused("r", &plain, ML_FORMAT, "r/readme.txt", "expected a sub-folder for each class and nothing beside them");
  assert_int_equal(unlink(data_path("r/readme.txt")), 0);
  make_folder("r/second/deeper");
  check_refused("r", &plain, ML_IO, "r/second/deeper", "expected a file, got a folder");
  assert_int_equal(rmdir(data_path("r/second/deeper")), 0);
  data_put("r/second/Thumbs.db", "no picture at all, of course not", 32);
  check_refused("r", &plain, ML_FORMAT, "r/second/Thumbs.db", "expected a PNG file");
  assert_int_equal(unlink(data_path("r/second/Thumbs.db")), 0);
  put_picture("r/second/2.png", 5, 4, 0);
  check_refused("r", &plain, ML_FORMAT, "r/second/2.png", "the picture is 5x4, expected 4x4");
}

static void test_links(void **state) {
  (void)state;
  char target[256];
  make_folder("l");
  make_folder("l/a");
  put_picture("l/a/1.png", 4, 4, 0);
  assert_int_equal(symlink("a", data_path("l/b")), 0);
  ml_images_info info;
  ml_dataset *d = read_good("l", &plain, &info);   /* a link to a folder is one */
  assert_int_equal(d->count, 2);
  drop(d, &info);
  assert_int_equal(symlink("loop", data_path("l/loop")), 0);
  check_refused("l", &plain, ML_IO, "l/loop", "Too many levels of symbolic links");
  assert_int_equal(unlink(data_path("l/loop")), 0);
  assert_int_equal(symlink("..", data_path("l/up")), 0);
  check_refused("l", &plain, ML_IO, "l/up/eert", "expected a file, got a folder");
  assert_int_equal(unlink(data_path("l/up")), 0);
  snprintf(target, sizeof target, "%s", data_path("l"));
  assert_int_equal(symlink(target, data_path("l/a/2.png")), 0);
  check_refused("l", &plain, ML_IO, "l/a/2.png", "expected a file, got a folder");
  assert_int_equal(unlink(data_path("l/a/2.png")), 0);
  assert_int_equal(symlink("nowhere", data_path("l/a/3.png")), 0);
  check_refused("l", &plain, ML_IO, "l/a/3.png", "No such file");
}

static void *read_many(void *ctx, ml_error *err) {
  static ml_images_info info;
  const ml_images_options o = {.channels = 1, .height = 3, .width = 3};
  ml_dataset *d = ml_read_images(&info, ctx, &o, err);
  ml_free(d ? info.names : NULL);
  return d;
}

static void test_every_failing_allocation(void **state) {
  (void)state;
  char path[256];
  snprintf(path, sizeof path, "%s", data_path("tree"));
  assert_int_equal(ml_pool_start(1, NULL), ML_OK);
  data_fail_allocations(read_many, data_drop_dataset, path);
  assert_int_equal(ml_pool_start(2, NULL), ML_OK);
}

/* ---- fitting ---- */

/* The share of the source's pixel p that result i covers, or the weight of linear interpolation: by definition. */
static double weight(int i, int p, int to, int from) {
  const double s = (double)from / to;
  if (to < from) return fmax(0, fmin((i + 1) * s, p + 1) - fmax(i * s, p)) / s;
  const double at = fmin(fmax((i + 0.5) * s - 0.5, 0), from - 1);
  return fmax(0, 1 - fabs(at - p));
}

static void check_fit(int to_h, int to_w, int from_h, int from_w, int channels) {
  uint8_t x[40 * 40 * 3], y[40 * 40 * 3];
  for (int i = 0; i < from_h * from_w * channels; i++) x[i] = (uint8_t)(i * 37 + i / 5 * 11);
  assert_int_equal(ml_picture_fit(y, to_h, to_w, x, from_h, from_w, channels, NULL), ML_OK);
  for (int c = 0; c < channels; c++)
    for (int i = 0; i < to_h; i++)
      for (int j = 0; j < to_w; j++) {
        double want = 0;
        for (int p = 0; p < from_h; p++)
          for (int q = 0; q < from_w; q++)
            want += weight(i, p, to_h, from_h) * weight(j, q, to_w, from_w) * x[(p * from_w + q) * channels + c];
        const double got = y[(c * to_h + i) * to_w + j];
        if (fabs(got - want) > 0.5 + 1e-9)
          fail_msg("%dx%d to %dx%d at %d,%d: %g, expected %g", from_w, from_h, to_w, to_h, j, i, got, want);
      }
}

static void test_fitting(void **state) {
  (void)state;
  static const int sides[] = {1, 2, 3, 7, 28, 31, 40};
  for (size_t a = 0; a < 7; a++)
    for (size_t b = 0; b < 7; b++)
      for (int channels = 1; channels <= 3; channels += 2) {
        check_fit(sides[a], sides[b], sides[b], sides[6 - a], channels);
        check_fit(sides[a], sides[b], sides[(a + 2) % 7], sides[(b + 3) % 7], channels);
      }
}

static void test_a_constant_stays(void **state) {
  (void)state;
  uint8_t x[29 * 31], y[28 * 28];
  for (int v = 0; v < 256; v += 51) {
    memset(x, v, sizeof x);
    assert_int_equal(ml_picture_fit(y, 28, 28, x, 29, 31, 1, NULL), ML_OK);
    for (size_t i = 0; i < sizeof y; i++) assert_int_equal(y[i], v);
  }
}

static void test_transposing(void **state) {
  (void)state;
  ml_dataset *d = data_small_set(600, 5, 5, 3);
  ml_tensor *t = ml_tensor_ref(d->images);
  assert_int_equal(ml_transpose_pictures(t, NULL), ML_OK);
  for (int i = 0; i < 600; i++)
    for (int r = 0; r < 5; r++)
      for (int c = 0; c < 5; c++) assert_int_equal(t->u8[i * 25 + r * 5 + c], (uint8_t)(7 * i + 3 * (c * 5 + r)));
  ml_tensor_unref(t);
  ml_dataset_unref(d);
  d = data_small_set(2, 4, 5, 2);
  ml_error err = {0};
  assert_int_equal(ml_transpose_pictures(d->images, &err), ML_FORMAT);
  data_check_error(&err, ML_FORMAT, NULL, "expected square pictures of bytes, found 2x4x5 of u8");
  assert_int_equal(ml_transpose_pictures(d->labels, NULL), ML_FORMAT);
  ml_dataset_unref(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_natural_order),     cmocka_unit_test(test_reads_class_by_class),
      cmocka_unit_test(test_threads_do_not_show), cmocka_unit_test(test_inverting),
      cmocka_unit_test(test_known_classes),     cmocka_unit_test(test_misuse),
      cmocka_unit_test(test_what_does_not_belong), cmocka_unit_test(test_links),
      cmocka_unit_test(test_every_failing_allocation), cmocka_unit_test(test_fitting),
      cmocka_unit_test(test_a_constant_stays),  cmocka_unit_test(test_transposing),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
