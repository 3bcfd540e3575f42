/* PNG files: every kind that the format has gives the right bytes; a file cut at every byte, or with any bit flipped,
 * is refused with a message; so are headers that promise more than a file can hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/memory.h"
#include "data/png.h"
#include "data_fixtures.h"
#include "png_aid.h"

enum { WIDTH = 13, HEIGHT = 9, ROOM = 1 << 16 };

static const png_kind kinds[] = {
    {1, 0, false, false},  {2, 0, false, false},  {4, 0, false, false}, {8, 0, false, false}, {16, 0, false, false},
    {8, 2, false, false},  {16, 2, false, false}, {1, 3, false, false}, {2, 3, false, false}, {4, 3, false, false},
    {8, 3, false, false},  {8, 4, false, false},  {16, 4, false, false}, {8, 6, false, false}, {16, 6, false, false},
    {1, 0, false, true},   {8, 0, false, true},   {16, 0, false, true}, {8, 2, false, true},  {16, 2, false, true},
    {4, 3, false, true},   {1, 0, true, false},   {8, 0, true, false},  {16, 6, true, false}, {8, 3, true, true},
};

/* ---- what is expected, from the samples ---- */

static uint32_t to_8(uint32_t v, int depth) { return (uint32_t)((double)v * 255 / ((1u << depth) - 1) + 0.5); }

/* Colour and opacity of a pixel, 0..255. */
static void pixel(uint32_t rgb[3], uint32_t *alpha, png_kind k, int x, int y) {
  const uint32_t first = png_aid_sample(k, x, y, 0);
  bool key = k.trns && first == 1;
  *alpha = 255;
  for (int c = 0; c < 3; c++) {
    const uint32_t v = png_aid_sample(k, x, y, k.type & 2 ? c : 0);
    key = key && (k.type == 3 || v == 1);
    rgb[c] = to_8(v, k.depth);
  }
  if (k.type == 3) {
    uint8_t color[3];
    png_aid_palette(color, first);
    for (int c = 0; c < 3; c++) rgb[c] = color[c];
  }
  if (k.type & 4) *alpha = to_8(png_aid_sample(k, x, y, png_aid_samples(k) - 1), k.depth);
  if (key) *alpha = 0;
}

static void expect_pixel(uint8_t *out, png_kind k, int x, int y, int channels) {
  uint32_t rgb[3], alpha;
  double shown[3];
  pixel(rgb, &alpha, k, x, y);
  for (int c = 0; c < 3; c++) shown[c] = (double)((rgb[c] * alpha + 255 * (255 - alpha) + 127) / 255);
  if (channels == 3)
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)shown[c];
  else
    out[0] = k.type & 2 ? (uint8_t)(0.299 * shown[0] + 0.587 * shown[1] + 0.114 * shown[2] + 0.5 + 1e-9)
                        : (uint8_t)shown[0];
}

static void check_kind(png_kind k, int channels) {
  static uint8_t file[ROOM];
  const char *path = data_put("kind.png", file, png_aid_write(file, ROOM, k, WIDTH, HEIGHT));
  uint8_t *pixels, want[3];
  ml_png_size size;
  ml_error err = {0};
  if (ml_png_read(&pixels, &size, path, channels, &err) != ML_OK) fail_msg("%s", err.message);
  assert_int_equal(size.width, WIDTH);
  assert_int_equal(size.height, HEIGHT);
  for (int i = 0; i < WIDTH * HEIGHT; i++) {
    expect_pixel(want, k, i % WIDTH, i / WIDTH, channels);
    for (int c = 0; c < channels; c++)
      if (pixels[i * channels + c] != want[c])
        fail_msg("depth %d type %d interlaced %d trns %d, %d channels, pixel %d: %d, expected %d", k.depth, k.type,
                 k.interlaced, k.trns, channels, i, pixels[i * channels + c], want[c]);
  }
  ml_free(pixels);
  assert_int_equal(ml_png_read_size(&size, path, &err), ML_OK);
  assert_int_equal(size.width, WIDTH);
}

static void test_every_kind(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    for (int channels = 1; channels <= 3; channels += 2) check_kind(kinds[i], channels);
}

/* ---- refusals ---- */

/* Reading fails, once with a message that begins with the path and has `part` in it. */
static void check_refused(const void *bytes, size_t bytes_size, const char *part) {
  const char *path = data_put("bad.png", bytes, bytes_size);
  const uint64_t live = ml_memory_get_stats().live_blocks;
  uint8_t *pixels = NULL;
  ml_png_size size;
  ml_error err = {0};
  if (ml_png_read(&pixels, &size, path, 1, &err) == ML_OK) fail_msg("read, expected \"%s\"", part);
  data_check_error(&err, ML_FORMAT, path, part);
  assert_null(pixels);
  assert_int_equal(ml_memory_get_stats().live_blocks, live);
  assert_int_equal(ml_png_read(&pixels, &size, path, 1, NULL), ML_FORMAT);
}

static void test_other_files(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t size;
    const char *message;
  } bad[] = {
      {"", 0, "expected a PNG file, but it is empty"},
      {"\xff\xd8\xff\xe0 a photo", 12, "found ff d8 ff e0: it looks like a JPEG"},
      {"GIF89a", 6, "it looks like a GIF"},
      {"BM0000", 6, "it looks like a BMP"},
      {"RIFF0000WEBP", 12, "it looks like a WebP"},
      {"some text, which goes on for a while", 36, "expected a PNG file (89 50 4e 47 at byte 0), found 73 6f 6d 65"},
      {"\x89PNG\r\n\x1a", 7, "the data end at byte 7, expected 33 bytes of a PNG header"},
      {"\x89PNG\n\n\x1a\n", 8, "expected a PNG file"},
      {"\x89PNG\r\n\x1a\n\0\0\0\xdIDAT                     ", 37, "expected an IHDR chunk"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) check_refused(bad[i].bytes, bad[i].size, bad[i].message);
}

static void test_hostile_headers(void **state) {
  (void)state;
  static const struct {
    uint32_t width, height;
    int depth, type;
    const char *message;
  } bad[] = {
      {0x7fffffff, 0x7fffffff, 8, 6, "the picture is 2147483647x2147483647 by its header, expected 1x1 to 16777216"},
      {0xffffffff, 0xffffffff, 16, 6, "4294967295x4294967295"},
      {0, 5, 8, 0, "the picture is 0x5"},
      {5, 0, 8, 0, "the picture is 5x0"},
      {65536, 1, 8, 0, "the picture is 65536x1"},
      {4097, 4096, 8, 0, "the picture is 4097x4096"},
      {4096, 4096, 8, 0, "the picture is 4096x4096 by its header, which 5033 bytes cannot hold"},
      {4096, 4096, 8, 1, "colour type 1 of 8 bits"},
      {8, 8, 8, 7, "colour type 7"},
      {8, 8, 3, 0, "colour type 0 of 3 bits"},
      {8, 8, 0, 0, "colour type 0 of 0 bits"},
      {8, 8, 16, 3, "colour type 3 of 16 bits"},
      {8, 8, 4, 2, "colour type 2 of 4 bits"},
      {8, 8, 32, 0, "colour type 0 of 32 bits"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    uint8_t file[5033] = {0};
    png_aid_header(file, bad[i].width, bad[i].height, bad[i].depth, bad[i].type);
    const ml_memory_stats before = ml_memory_get_stats();
    check_refused(file, sizeof file, bad[i].message);
    assert_true(ml_memory_get_stats().peak_bytes - before.live_bytes < 1 << 20 ||
                ml_memory_get_stats().peak_bytes == before.peak_bytes);
  }
  uint8_t file[64] = {0};
  png_aid_header(file, 8, 8, 8, 0);
  file[29] ^= 1;
  check_refused(file, sizeof file, "damaged PNG header: expected the checksum");
}

/* Image data that unpack to far more than the picture has are left where they are. */
static void test_bomb_in_the_data(void **state) {
  (void)state;
  static uint8_t zeros[1 << 22], packed[1 << 14], file[1 << 15];
  uLongf packed_size = sizeof packed;
  assert_int_equal(compress(packed, &packed_size, zeros, sizeof zeros), Z_OK);
  size_t size = png_aid_header(file, 8, 8, 8, 0);
  size += png_aid_chunk(file + size, "IDAT", packed, (uint32_t)packed_size);
  size += png_aid_chunk(file + size, "IEND", NULL, 0);
  const uint64_t live = ml_memory_get_stats().live_bytes;
  check_refused(file, size, "damaged PNG data");
  assert_true(ml_memory_get_stats().live_bytes == live);
}

static void test_bytes_behind_the_end(void **state) {
  (void)state;
  static uint8_t file[ROOM];
  size_t size = png_aid_write(file, ROOM, kinds[3], WIDTH, HEIGHT);
  file[size] = 0;
  char message[96];
  snprintf(message, sizeof message, "expected the end of the PNG data at byte %zu, found 1 more bytes", size);
  check_refused(file, size + 1, message);
}

/* Chunks that say nothing about the pixels are passed over, but not with a wrong checksum. */
static void test_other_chunks(void **state) {
  (void)state;
  static uint8_t good[ROOM], file[ROOM];
  const size_t size = png_aid_write(good, ROOM, kinds[3], WIDTH, HEIGHT);
  static const char *const names[] = {"tEXt", "iCCP", "gAMA", "zTXt", "iTXt", "acTL", "quUx", "eXIf", "sPLT"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    memcpy(file, good, 33);
    const size_t extra = png_aid_chunk(file + 33, names[i], "no such content", 15);
    memcpy(file + 33 + extra, good + 33, size - 33);
    uint8_t *pixels;
    ml_png_size found;
    ml_error err = {0};
    if (ml_png_read(&pixels, &found, data_put("more.png", file, size + extra), 1, &err) != ML_OK)
      fail_msg("%s: %s", names[i], err.message);
    ml_free(pixels);
    file[33 + 10] ^= 1;
    check_refused(file, size + extra, "CRC");
  }
  memcpy(file, good, 33);
  const size_t extra = png_aid_chunk(file + 33, "QuUX", "", 0);
  memcpy(file + 33 + extra, good + 33, size - 33);
  check_refused(file, size + extra, "damaged PNG data");
}

static void test_cut_at_every_byte(void **state) {
  (void)state;
  static uint8_t file[ROOM];
  static const size_t cut_kinds[] = {3, 9, 24};
  for (size_t i = 0; i < sizeof cut_kinds / sizeof *cut_kinds; i++) {
    const size_t size = png_aid_write(file, ROOM, kinds[cut_kinds[i]], WIDTH, HEIGHT);
    for (size_t cut = 1; cut < size; cut++) check_refused(file, cut, cut < 33 ? "the data end at byte" : "data end");
  }
}

/* Every chunk has a checksum, and so has the signature in effect: no flip goes unnoticed. */
static void test_flip_of_every_bit(void **state) {
  (void)state;
  static uint8_t file[ROOM];
  static const size_t flip_kinds[] = {0, 10, 13, 20};
  for (size_t i = 0; i < sizeof flip_kinds / sizeof *flip_kinds; i++) {
    const size_t size = png_aid_write(file, ROOM, kinds[flip_kinds[i]], 5, 4);
    for (size_t bit = 0; bit < size * 8; bit++) {
      file[bit / 8] ^= (uint8_t)(1u << (bit % 8));
      check_refused(file, size, "");
      file[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
  }
}

/* Bytes changed and the checksums made good again, so that the damage reaches the decoder: read or refused, nothing
 * else, and no memory stays behind. */
static void test_damage_behind_good_checksums(void **state) {
  (void)state;
  static uint8_t file[ROOM];
  uint32_t random = 1;
  for (int round = 0; round < 3000; round++) {
    const png_kind k = kinds[(size_t)round % (sizeof kinds / sizeof *kinds)];
    const size_t size = png_aid_write(file, ROOM, k, WIDTH, HEIGHT);
    for (size_t at = 33; at + 12 <= size;) {
      const uint32_t length = (uint32_t)file[at + 2] << 8 | file[at + 3];
      uint8_t copy[ROOM / 8];
      char name[5] = {0};
      memcpy(copy, file + at + 8, length);
      memcpy(name, file + at + 4, 4);
      random = random * 1664525 + 1013904223;
      if (length > 0 && random >> 30 != 0) copy[(random >> 8) % length] ^= (uint8_t)(1u << (random >> 27 & 7));
      at += png_aid_chunk(file + at, name, copy, length);
    }
    const uint64_t live = ml_memory_get_stats().live_blocks;
    uint8_t *pixels = NULL;
    ml_png_size found;
    ml_error err = {0};
    const char *path = data_put("fuzz.png", file, size);
    if (ml_png_read(&pixels, &found, path, 1 + 2 * (round & 1), &err) == ML_OK) ml_free(pixels);
    else data_check_error(&err, ML_FORMAT, path, "");
    assert_int_equal(ml_memory_get_stats().live_blocks, live);
  }
}

static void test_what_is_no_file(void **state) {
  (void)state;
  ml_png_size size;
  uint8_t *pixels;
  ml_error err = {0};
  const char *fifo = data_path("fifo.png");
  assert_int_equal(mkfifo(fifo, 0600), 0);
  assert_int_equal(ml_png_read_size(&size, fifo, &err), ML_IO);
  data_check_error(&err, ML_IO, fifo, "expected a file, got a FIFO");
  assert_int_equal(ml_png_read(&pixels, &size, "/dev/zero", 1, &err), ML_IO);
  data_check_error(&err, ML_IO, "/dev/zero", "expected a file, got a device");
  assert_int_equal(ml_png_read_size(&size, data_path("absent.png"), &err), ML_IO);
  data_check_error(&err, ML_IO, data_path("absent.png"), "No such file");
}

static void *read_png(void *ctx, ml_error *err) {
  uint8_t *pixels;
  ml_png_size size;
  return ml_png_read(&pixels, &size, ctx, 1, err) == ML_OK ? pixels : NULL;
}

static void test_every_failing_allocation(void **state) {
  (void)state;
  static uint8_t file[ROOM];
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i += 4) {
    char path[256];
    snprintf(path, sizeof path, "%s",
             data_put("memory.png", file, png_aid_write(file, ROOM, kinds[i], WIDTH, HEIGHT)));
    data_fail_allocations(read_png, ml_free, path);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_kind),
      cmocka_unit_test(test_other_files),
      cmocka_unit_test(test_hostile_headers),
      cmocka_unit_test(test_bomb_in_the_data),
      cmocka_unit_test(test_bytes_behind_the_end),
      cmocka_unit_test(test_other_chunks),
      cmocka_unit_test(test_cut_at_every_byte),
      cmocka_unit_test(test_flip_of_every_bit),
      cmocka_unit_test(test_damage_behind_good_checksums),
      cmocka_unit_test(test_what_is_no_file),
      cmocka_unit_test(test_every_failing_allocation),
  };
  return cmocka_run_group_tests(tests, data_make_folder, data_remove_folder);
}
