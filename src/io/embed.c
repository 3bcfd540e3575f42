/* Base64 and rows of 16-bit numbers (embed.h). */
#include "io/embed.h"

#include <float.h>
#include <math.h>

static float greatest(const float *x, int64_t n) {
  float most = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!isfinite(x[i])) return INFINITY;
    most = fmaxf(most, fabsf(x[i]));
  }
  return most;
}

bool ml_rows_to_int16(int16_t *values, float *scales, const float *x, int64_t rows, int64_t width) {
  for (int64_t r = 0; r < rows; r++) {
    const float *row = x + r * width, most = greatest(row, width);
    if (isinf(most)) return false;
    const float scale = most > 0 ? fmaxf(most / 32767, FLT_MIN) : 1;
    scales[r] = scale;
    for (int64_t i = 0; i < width; i++) values[r * width + i] = (int16_t)lrint((double)row[i] / scale);
  }
  return true;
}

size_t ml_base64_size(size_t size) {
  const size_t groups = size / 3 + (size % 3 > 0);
  return groups > SIZE_MAX / 4 ? 0 : groups * 4;
}

void ml_base64(char *text, const void *bytes, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const uint8_t *b = bytes;
  size_t at = 0;
  for (; size - at >= 3; at += 3) {
    const uint32_t three = (uint32_t)b[at] << 16 | (uint32_t)b[at + 1] << 8 | b[at + 2];
    for (int shift = 18; shift >= 0; shift -= 6) *text++ = digits[three >> shift & 63];
  }
  if (at == size) return;
  const uint32_t rest = (uint32_t)b[at] << 16 | (size - at == 2 ? (uint32_t)b[at + 1] << 8 : 0);
  *text++ = digits[rest >> 18 & 63];
  *text++ = digits[rest >> 12 & 63];
  *text++ = size - at == 2 ? digits[rest >> 6 & 63] : '=';
  *text = '=';
}
