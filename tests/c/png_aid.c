/* Shared by the tests of PNG files; see the header. Any failure here fails the test that asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "png_aid.h"

enum { PALETTE = 11 };

typedef struct png_out {
  uint8_t *bytes;
  size_t room, used;
} png_out;

static void put_bytes(png_structp png, png_bytep data, size_t size) {
  png_out *out = png_get_io_ptr(png);
  assert_true(out->used + size <= out->room);
  memcpy(out->bytes + out->used, data, size);
  out->used += size;
}

static void put_nothing(png_structp png) { (void)png; }

int png_aid_samples(png_kind kind) {
  static const int samples[7] = {1, 0, 3, 1, 2, 0, 4};
  return samples[kind.type];
}

uint32_t png_aid_sample(png_kind kind, int x, int y, int c) {
  const uint32_t v = (uint32_t)(x * 2654435761u + (uint32_t)y * 40503u + (uint32_t)c * 2246822519u) >> 7;
  if (kind.type == 3) return v % (kind.depth < 4 ? 1u << kind.depth : PALETTE);
  return v % 5 == 0 ? 1 : v & ((1u << kind.depth) - 1);
}

void png_aid_palette(uint8_t rgb[3], uint32_t index) {
  for (uint32_t c = 0; c < 3; c++) rgb[c] = (uint8_t)(index * 53 + c * 91 + 7);
}

/* Rows as the format packs them: big-endian, leftmost sample in the highest bits. */
static void pack_row(uint8_t *row, png_kind kind, int y, int width) {
  const int samples = png_aid_samples(kind);
  memset(row, 0, (size_t)(width * samples * kind.depth + 7) / 8);
  for (int i = 0; i < width * samples; i++) {
    const uint32_t v = png_aid_sample(kind, i / samples, y, i % samples);
    const int bit = i * kind.depth;
    if (kind.depth == 16) row[2 * i] = (uint8_t)(v >> 8), row[2 * i + 1] = (uint8_t)v;
    else row[bit / 8] |= (uint8_t)(v << (8 - kind.depth - bit % 8));
  }
}

static void put_header(png_structp png, png_infop info, png_kind kind, int width, int height) {
  png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, kind.depth, kind.type,
               kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (kind.type == 3) {
    png_color colors[PALETTE];
    const int count = kind.depth < 4 ? 1 << kind.depth : PALETTE;
    for (int i = 0; i < count; i++) {
      uint8_t rgb[3];
      png_aid_palette(rgb, (uint32_t)i);
      colors[i] = (png_color){rgb[0], rgb[1], rgb[2]};
    }
    png_set_PLTE(png, info, colors, count);
  }
  uint8_t opacity[2] = {255, 0};
  png_color_16 key = {.gray = 1, .red = 1, .green = 1, .blue = 1};
  if (kind.trns) png_set_tRNS(png, info, opacity, kind.type == 3 ? 2 : 0, &key);
}

static size_t write_rows(uint8_t *out, size_t room, png_kind kind, uint8_t **rows, int width, int height) {
  png_out to = {out, room, 0};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  assert_non_null(info);
  if (setjmp(png_jmpbuf(png))) fail_msg("libpng cannot write depth %d, type %d", kind.depth, kind.type);
  png_set_write_fn(png, &to, put_bytes, put_nothing);
  put_header(png, info, kind, width, height);
  png_set_rows(png, info, rows);
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
  png_destroy_write_struct(&png, &info);
  return to.used;
}

size_t png_aid_write(uint8_t *out, size_t room, png_kind kind, int width, int height) {
  const size_t stride = (size_t)width * 8;
  uint8_t *bytes = calloc((size_t)height, stride), **rows = calloc((size_t)height, sizeof *rows);
  for (int y = 0; y < height; y++) pack_row(rows[y] = bytes + (size_t)y * stride, kind, y, width);
  const size_t size = write_rows(out, room, kind, rows, width, height);
  free(rows);
  free(bytes);
  return size;
}

size_t png_aid_grey(uint8_t *out, size_t room, const uint8_t *values, int width, int height) {
  uint8_t **rows = calloc((size_t)height, sizeof *rows);
  for (int y = 0; y < height; y++) rows[y] = (uint8_t *)(uintptr_t)(values + y * width);
  const size_t size = write_rows(out, room, (png_kind){.depth = 8}, rows, width, height);
  free(rows);
  return size;
}

static void put_u32(uint8_t *out, uint32_t v) {
  for (int i = 0; i < 4; i++) out[i] = (uint8_t)(v >> (24 - 8 * i));
}

size_t png_aid_chunk(uint8_t *out, const char *name, const void *data, uint32_t size) {
  put_u32(out, size);
  memcpy(out + 4, name, 4);
  if (size) memcpy(out + 8, data, size);
  put_u32(out + 8 + size, (uint32_t)crc32(0, out + 4, size + 4));
  return 12 + (size_t)size;
}

size_t png_aid_header(uint8_t *out, uint32_t width, uint32_t height, int depth, int type) {
  uint8_t data[13] = {0};
  put_u32(data, width);
  put_u32(data + 4, height);
  data[8] = (uint8_t)depth;
  data[9] = (uint8_t)type;
  memcpy(out, "\x89PNG\r\n\x1a\n", 8);
  return 8 + png_aid_chunk(out + 8, "IHDR", data, 13);
}
