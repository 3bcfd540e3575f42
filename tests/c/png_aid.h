/* PNG files for tests: any kind that the format has, written with libpng into memory, and single chunks for files that
 * libpng would not write. */
#ifndef ML_TESTS_PNG_AID_H
#define ML_TESTS_PNG_AID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct png_kind {
  int depth, type;           /* bits of a sample; the header's colour type: 0, 2, 3, 4 or 6 */
  bool interlaced, trns;     /* trns: sample value 1 (or palette entry 1) is transparent */
} png_kind;

/* Samples of a pixel as stored. */
int png_aid_samples(png_kind kind);

/* A picture whose samples are pattern values (see png_aid_sample); returns its size. */
size_t png_aid_write(uint8_t *out, size_t room, png_kind kind, int width, int height);

/* Sample c of the pixel at (x, y), in 0..2^depth-1; of a palette picture the index, below 11. */
uint32_t png_aid_sample(png_kind kind, int x, int y, int c);
/* The palette that such a picture has. */
void png_aid_palette(uint8_t rgb[3], uint32_t index);

/* A grey picture of 8 bits with these values. */
size_t png_aid_grey(uint8_t *out, size_t room, const uint8_t *values, int width, int height);

/* Appends a chunk with its checksum; returns its size. */
size_t png_aid_chunk(uint8_t *out, const char *name, const void *data, uint32_t size);
/* A signature and an IHDR chunk: 33 bytes. */
size_t png_aid_header(uint8_t *out, uint32_t width, uint32_t height, int depth, int type);

#endif
