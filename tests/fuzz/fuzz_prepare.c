/* The preparation of a person's picture, on pictures of up to 255x255 whose pixels repeat the bytes given. Run by
 * `make fuzz`. */
#include <stdlib.h>

#include "base/memory.h"
#include "data/prepare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t out[ML_DIGIT_SIDE * ML_DIGIT_SIDE], most = 0;
  ml_error err;
  if (size < 3 || data[0] == 0 || data[1] == 0) return 0;
  const size_t height = data[0], width = data[1];
  uint8_t *grey = malloc(height * width);      /* of just this size, so that reading beyond it is told */
  for (size_t i = 0; i < height * width; i++) grey[i] = data[2 + i % (size - 2)];
  if (ml_prepare_digit(out, grey, (int64_t)height, (int64_t)width, &err) == ML_OK) {
    for (size_t i = 0; i < sizeof out; i++) most = out[i] > most ? out[i] : most;
    if (most != 255) abort();
  }
  free(grey);
  return 0;
}
