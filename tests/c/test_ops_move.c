/* The operations that move elements: values, shapes, which are views, other dtypes, refusals with their message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/naive.h"
#include "ops_aid.h"

/* ---- movement ---- */

static void test_movement(void **state) {
  (void)state;
  ml_tensor *x = aid_f32(AID_SHAPE(2, 3), (float[]){0, 1, 2, 3, 4, 5});
  ml_tensor *t = aid_apply("t", x, NULL, NULL, NULL);
  ml_tensor *flat = aid_apply("reshape", x, NULL, NULL, &(ml_attrs){.reshape = {{1, {6}}}});
  ml_tensor *row = aid_apply("rows", x, NULL, NULL, &(ml_attrs){.slice = {.begin = 1, .count = 1}});
  ml_tensor *cols = aid_apply("slice", x, NULL, NULL, &(ml_attrs){.slice = {.dim = 1, .begin = 1, .count = 2}});
  ml_tensor *wide = aid_apply("concat", x, cols, NULL, &(ml_attrs){.along = {1}});
  ml_tensor *tall = aid_apply("concat", x, row, x, &(ml_attrs){.along = {0}});
  ml_tensor *index = aid_i32(AID_SHAPE(3), (int32_t[]){1, 0, 1}),
            *rows = aid_apply("gather_rows", x, index, NULL, NULL);
  aid_has_shape(t, AID_SHAPE(3, 2));
  aid_has_values(t, (float[]){0, 3, 1, 4, 2, 5});
  assert_true(flat->data == x->data && row->f32 == x->f32 + 3);
  aid_has_shape(row, AID_SHAPE(1, 3));
  aid_has_values(cols, (float[]){1, 2, 4, 5});
  aid_has_values(wide, (float[]){0, 1, 2, 1, 2, 3, 4, 5, 4, 5});
  aid_has_shape(tall, AID_SHAPE(5, 3));
  aid_has_values(tall, (float[]){0, 1, 2, 3, 4, 5, 3, 4, 5, 0, 1, 2, 3, 4, 5});
  aid_has_values(rows, (float[]){3, 4, 5, 0, 1, 2, 3, 4, 5});
  aid_unref((ml_tensor *[]){x, t, flat, row, cols, wide, tall, index, rows}, 9);
}

static void test_movement_of_bytes(void **state) {
  (void)state;
  ml_tensor *x = aid_u8(AID_SHAPE(3, 2), (uint8_t[]){0, 1, 2, 3, 4, 5}), *index = aid_i32(AID_SHAPE(1), (int32_t[]){2});
  ml_tensor *rows = aid_apply("rows", x, NULL, NULL, &(ml_attrs){.slice = {.begin = 1, .count = 2}});
  ml_tensor *col = aid_apply("slice", rows, NULL, NULL, &(ml_attrs){.slice = {.dim = 1, .begin = 1, .count = 1}});
  ml_tensor *both = aid_apply("concat", rows, col, NULL, &(ml_attrs){.along = {1}});
  ml_tensor *last = aid_apply("gather_rows", x, index, NULL, NULL);
  assert_int_equal(both->dtype, ML_U8);
  aid_has_values(both, (float[]){2, 3, 3, 4, 5, 5});
  aid_has_values(last, (float[]){4, 5});
  aid_unref((ml_tensor *[]){x, index, rows, col, both, last}, 6);
}

static void test_movement_refusals(void **state) {
  (void)state;
  ml_tensor *x = aid_random(AID_SHAPE(3, 4), 1), *v = aid_random(AID_SHAPE(4), 1), *b = aid_u8(AID_SHAPE(3, 4), NULL);
  ml_tensor *index = aid_i32(AID_SHAPE(2), (int32_t[]){2, 3}), *below = aid_i32(AID_SHAPE(1), (int32_t[]){-1});
  aid_refused("t: expected a matrix, received 4", "t", v, NULL, NULL, NULL);
  aid_refused("reshape: the 12 elements of 3x4 do not fit 5x2", "reshape", x, NULL, NULL,
              &(ml_attrs){.reshape = {{2, {5, 2}}}});
  aid_refused("reshape: the 12 elements of 3x4 do not fit -3x-4", "reshape", x, NULL, NULL,
              &(ml_attrs){.reshape = {{2, {-3, -4}}}});
  aid_refused("rows: 3 after the first 1 reach beyond the 3 of dimension 1 of 3x4", "rows", x, NULL, NULL,
              &(ml_attrs){.slice = {.begin = 1, .count = 3}});
  aid_refused("slice: 2 after the first 3 reach beyond the 4 of dimension 2 of 3x4", "slice", x, NULL, NULL,
              &(ml_attrs){.slice = {.dim = 1, .begin = 3, .count = 2}});
  aid_refused("concat: input 2 of 4 and input 1 of 3x4 may differ in dimension 1 only", "concat", x, v, NULL,
              &(ml_attrs){.along = {0}});
  aid_refused("concat: input 2 is u8, expected f32 as input 1", "concat", x, b, NULL, &(ml_attrs){.along = {0}});
  aid_refused("concat: expected a dimension from 1 to 2 of a tensor of 3x4, received 3", "concat", x, x, NULL,
              &(ml_attrs){.along = {2}});
  aid_refused("gather_rows: row number 3 at place 2, expected 0 to 2", "gather_rows", x, index, NULL, NULL);
  aid_refused("gather_rows: row number -1 at place 1, expected 0 to 2", "gather_rows", x, below, NULL, NULL);
  aid_refused("gather_rows: expected i32 row numbers in one dimension, received f32 4", "gather_rows", x, v, NULL,
              NULL);
  aid_unref((ml_tensor *[]){x, v, b, index, below}, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_movement),
      cmocka_unit_test(test_movement_of_bytes),
      cmocka_unit_test(test_movement_refusals),
  };
  ml_error err;
  if (ml_cpu_init(&err) != ML_OK || ml_pool_start(2, &err) != ML_OK) return print_error("%s\n", err.message), 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
