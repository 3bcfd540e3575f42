/* A checksum inside the file that it covers, so that a checkpoint whose bytes have changed is told from a whole one.
 * The file reserves a place for it, the text "mnistlua.crc32":"00000000" somewhere in its header, which is metadata of
 * a safetensors file; the seal is the CRC-32 of all its bytes with the place as it was reserved. */
#ifndef ML_IO_SEAL_H
#define ML_IO_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ML_SEAL_KEY "mnistlua.crc32"
#define ML_SEAL_BLANK "00000000"

/* Fills the place in; ML_MISUSE if there is none. */
ml_status ml_seal(uint8_t *image, size_t size, ml_error *err);

/* ML_FORMAT if the image has no seal, or not the one that its bytes have. */
ml_status ml_seal_check(const uint8_t *image, size_t size, ml_error *err);

/* The same for a file. Messages begin with the path. */
ml_status ml_seal_check_file(const char *path, ml_error *err);

#endif
