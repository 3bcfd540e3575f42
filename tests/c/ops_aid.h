/* Short ways to make tensors and to run operations, for the tests of src/tensor and src/ops. A failure fails the test.
 */
#ifndef OPS_AID_H
#define OPS_AID_H

#include "ops/tape.h"

#define AID_SHAPE(...) (&(ml_shape){sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {__VA_ARGS__}})
#define AID_SCALAR     (&(ml_shape){0})

/* f32 with these values; i32 and u8 alike; f32 uniform in -2.385 .. 2.385, fixed by seed. */
ml_tensor *aid_f32(const ml_shape *shape, const float *values);
ml_tensor *aid_i32(const ml_shape *shape, const int32_t *values);
ml_tensor *aid_u8(const ml_shape *shape, const uint8_t *values);
ml_tensor *aid_random(const ml_shape *shape, uint32_t seed);
/* The same, wanting a gradient. */
ml_tensor *aid_leaf(const ml_shape *shape, uint32_t seed);

/* The operation of this name on one, two or three inputs (NULL from the first missing one on). */
ml_tensor *aid_apply(const char *name, ml_tensor *a, ml_tensor *b, ml_tensor *c, const ml_attrs *attrs);
/* It must refuse, with ML_MISUSE and exactly this message. */
void aid_refused(const char *message, const char *name, ml_tensor *a, ml_tensor *b, ml_tensor *c,
                 const ml_attrs *attrs);
/* Sum over all elements. */
ml_tensor *aid_sum(ml_tensor *x);
/* aid_apply that also gives up the caller's reference to a: for chains. */
ml_tensor *aid_then(const char *name, ml_tensor *a, ml_tensor *b, const ml_attrs *attrs);

void aid_backward(ml_tensor *loss);
void aid_unref(ml_tensor *const *tensors, size_t count);

void aid_has_shape(const ml_tensor *t, const ml_shape *shape);
/* Exactly these, whatever the dtype. */
void aid_has_values(const ml_tensor *t, const float *values);
/* Every |found - expected| <= tolerance (1 + |expected|). */
void aid_close(const float *found, const float *expected, int64_t n, double tolerance);

#endif
