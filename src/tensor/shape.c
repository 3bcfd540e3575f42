/* Shapes and dtypes: counting, comparing, broadcasting, and how they read in messages. Everyone above src/kernels uses
 * these. Nothing here allocates. */
#include <stdio.h>
#include <string.h>

#include "tensor/tensor.h"

int64_t ml_shape_count(const ml_shape *shape) {
  int64_t count = 1;
  for (int d = 0; d < shape->ndim; d++) count *= shape->size[d];
  return count;
}

bool ml_shape_equal(const ml_shape *a, const ml_shape *b) {
  if (a->ndim != b->ndim) return false;
  for (int d = 0; d < a->ndim; d++)
    if (a->size[d] != b->size[d]) return false;
  return true;
}

/* Writes n in decimal, as far as there is room before `end`; returns where it stopped. */
static char *put_number(char *at, const char *end, int64_t n) {
  char digits[24];
  int count = 0;
  uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
  do digits[count++] = (char)('0' + left % 10);
  while ((left /= 10) > 0);
  if (n < 0) digits[count++] = '-';
  while (count > 0 && at < end) *at++ = digits[--count];
  return at;
}

/* Operations ask for a text before they know whether they need it, so this runs in every step: no printf. */
const char *ml_shape_text(char *text, size_t size, const ml_shape *shape) {
  if (size == 0) return text;
  char *at = text, *end = text + size - 1;
  if (shape->ndim == 0) {
    snprintf(text, size, "scalar");
    return text;
  }
  for (int d = 0; d < shape->ndim; d++) {
    if (d > 0 && at < end) *at++ = 'x';
    at = put_number(at, end, shape->size[d]);
  }
  *at = '\0';
  return text;
}

bool ml_shape_broadcast(ml_shape *out, const ml_shape *a, const ml_shape *b) {
  ml_shape wide = a->ndim >= b->ndim ? *a : *b;
  const ml_shape *narrow = a->ndim >= b->ndim ? b : a;
  int shift = wide.ndim - narrow->ndim;
  for (int d = 0; d < narrow->ndim; d++) {
    int64_t *size = &wide.size[d + shift];
    if (*size == narrow->size[d] || narrow->size[d] == 1) continue;
    if (*size != 1) return false;
    *size = narrow->size[d];
  }
  *out = wide;
  return true;
}

static const struct {
  const char *name, *noun;
  size_t size;
} dtypes[ML_DTYPE_COUNT] = {
    [ML_F32] = {"f32", "an f32", sizeof(float)},
    [ML_U8] = {"u8", "a u8", sizeof(uint8_t)},
    [ML_I32] = {"i32", "an i32", sizeof(int32_t)},
};

const char *ml_dtype_name(ml_dtype dtype) { return dtypes[dtype].name; }

const char *ml_dtype_noun(ml_dtype dtype) { return dtypes[dtype].noun; }

size_t ml_dtype_size(ml_dtype dtype) { return dtypes[dtype].size; }
