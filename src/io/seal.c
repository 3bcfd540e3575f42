/* The seal of a checkpoint file: made where it is written (save.c), checked before it is believed (src/bind). What the
 * file holds otherwise is not looked at. */
#include "io/seal.h"

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

/* What stands before the digits. No JSON string can hold this text: a quote inside one is escaped. */
static const char before_place[] = "\"" ML_SEAL_KEY "\":\"";

enum { DIGITS = sizeof ML_SEAL_BLANK - 1 };

/* Where the digits are, or NULL. */
static const uint8_t *find_place(const uint8_t *image, size_t size) {
  const size_t length = sizeof before_place - 1;
  const uint8_t *found = memmem(image, size, before_place, length);
  if (!found || (size_t)(found - image) + length + DIGITS > size) return NULL;
  return found + length;
}

/* Eight digits, and a zero byte. */
static void compute(char digits[DIGITS + 1], const uint8_t *image, size_t size, const uint8_t *place) {
  uint32_t crc = libdeflate_crc32(0, image, (size_t)(place - image));
  crc = libdeflate_crc32(crc, ML_SEAL_BLANK, DIGITS);
  crc = libdeflate_crc32(crc, place + DIGITS, size - (size_t)(place - image) - DIGITS);
  snprintf(digits, DIGITS + 1, "%08x", crc);
}

ml_status ml_seal(uint8_t *image, size_t size, ml_error *err) {
  char digits[DIGITS + 1];
  const uint8_t *place = find_place(image, size);
  if (!place || memcmp(place, ML_SEAL_BLANK, DIGITS) != 0)
    return ml_fail(err, ML_MISUSE, "there is no place for a checksum: metadata \"" ML_SEAL_KEY "\" = \"" ML_SEAL_BLANK
                                   "\"");
  compute(digits, image, size, place);
  memcpy(image + (place - image), digits, DIGITS);
  return ML_OK;
}

ml_status ml_seal_check(const uint8_t *image, size_t size, ml_error *err) {
  char digits[DIGITS + 1];
  const uint8_t *place = find_place(image, size);
  if (!place) return ml_fail(err, ML_FORMAT, "has no checksum (metadata \"" ML_SEAL_KEY "\")");
  compute(digits, image, size, place);
  if (memcmp(place, digits, DIGITS) == 0) return ML_OK;
  return ml_fail(err, ML_FORMAT, "is damaged: its bytes have the checksum %s, not the one that it names", digits);
}

ml_status ml_seal_check_file(const char *path, ml_error *err) {
  uint8_t *data;
  size_t size;
  ml_status status = ml_file_read(&data, &size, path, SIZE_MAX - 1, err);
  if (status != ML_OK) return status;
  status = ml_seal_check(data, size, err);
  if (status != ML_OK) ml_error_prefix(err, "%s", path);
  ml_free(data);
  return status;
}
