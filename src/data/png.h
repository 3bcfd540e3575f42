/* One PNG file: what it says it is, and its pixels as bytes. Used by the reader of picture folders and
 * by the bindings.
 *
 * A file is refused, not repaired: a wrong checksum anywhere, data cut off, and bytes behind the end included. Messages
 * begin with the path. */
#ifndef ML_DATA_PNG_H
#define ML_DATA_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* At most this many pixels in a picture, and on a side of it. */
#define ML_PNG_MAX_PIXELS ((int64_t)1 << 24)
#define ML_PNG_MAX_SIDE   65535

typedef struct ml_png_size {
  int64_t height, width;
} ml_png_size;

/* Reads no more than the file's first 33 bytes. ML_FORMAT if they are no PNG header, if the picture is larger than the
 * limits above, or if a file so long cannot hold so many pixels. */
ml_status ml_png_read_size(ml_png_size *size, const char *path, ml_error *err);

/* The picture as [height, width, channels] bytes in a block from ml_alloc. channels is 1 (grey: 0.299 R + 0.587 G +
 * 0.114 B of the values as stored) or 3. Any bit depth, palette or interlacing; 16 bits are rounded to 8; what is
 * transparent shows white. Gamma and colour profiles do not count. */
ml_status ml_png_read(uint8_t **pixels, ml_png_size *size, const char *path, int channels, ml_error *err);

/* The same from the bytes of a file. The messages name none. */
ml_status ml_png_decode(uint8_t **pixels, ml_png_size *size, const uint8_t *data, size_t bytes, int channels,
                        ml_error *err);

#endif
