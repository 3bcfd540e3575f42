/* The PNG reader: libpng's rows, turned into grey or colour bytes. Called by images.c, from several threads at once.
 *
 * libpng reports errors by a longjmp to the setjmp in the function that called it; both lie in this file, and nothing
 * of ours is allocated between them. Its memory is ours (ml_alloc), so that it is bounded and counted. Chunks that do
 * not change the pixels are passed over unread, after their checksums are tested: what they unpack to is no matter. */
#include "data/png.h"

#include <png.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"

#define MAX_FILE      ((size_t)1 << 28)
#define HEADER        33    /* the signature and the IHDR chunk */
#define DEFLATE_RATIO 1032  /* deflate codes at most 258 bytes in 2 bits */

static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

/* ---- the header ---- */

static uint32_t u32(const uint8_t *b) {
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* What a file that is no PNG may be, by its first bytes. */
static const char *other_format(const uint8_t *b) {
  if (b[0] == 0xff && b[1] == 0xd8) return "it looks like a JPEG";
  if (memcmp(b, "GIF8", 4) == 0) return "it looks like a GIF";
  if (memcmp(b, "BM", 2) == 0) return "it looks like a BMP";
  if (memcmp(b, "RIFF", 4) == 0) return "it looks like a WebP";
  return "it is none";
}

static ml_status check_start(const uint8_t *head, size_t size, ml_error *err) {
  if (size == 0) return ml_fail(err, ML_FORMAT, "expected a PNG file, but it is empty");
  if (memcmp(head, signature, size < 8 ? size : 8) != 0)
    return ml_fail(err, ML_FORMAT, "expected a PNG file (89 50 4e 47 at byte 0), found %02x %02x %02x %02x: %s",
                   head[0], head[1], head[2], head[3], other_format(head));
  if (size < HEADER)
    return ml_fail(err, ML_FORMAT, "the data end at byte %zu, expected %d bytes of a PNG header", size, HEADER);
  if (u32(head + 8) != 13 || memcmp(head + 12, "IHDR", 4) != 0)
    return ml_fail(err, ML_FORMAT, "expected an IHDR chunk of 13 bytes at byte 8 of a PNG file, found another");
  const uint32_t sum = (uint32_t)crc32(0, head + 12, 17);
  if (sum != u32(head + 29))
    return ml_fail(err, ML_FORMAT, "damaged PNG header: expected the checksum %08x at byte 29, found %08x", sum,
                   u32(head + 29));
  return ML_OK;
}

/* The bytes that the image data unpack to, or 0 if depth and colour type do not go together. Interlacing only adds to
 * them. */
static int64_t raw_bytes(const uint8_t *head, int64_t width, int64_t height) {
  static const uint8_t samples[7] = {1, 0, 3, 1, 2, 0, 4}, depths[7] = {1 | 2 | 4 | 8 | 16, 0, 8 | 16, 1 | 2 | 4 | 8,
                                                                        8 | 16, 0, 8 | 16};
  const uint8_t depth = head[24], type = head[25];
  if (type > 6 || depth > 16 || (depth & (depth - 1)) != 0 || !(depth & depths[type])) return 0;
  return height * (1 + (width * samples[type] * depth + 7) / 8);
}

/* head holds HEADER bytes, or file_size if that is less. */
static ml_status check_header(ml_png_size *size, const uint8_t *head, size_t file_size, ml_error *err) {
  ml_status status = check_start(head, file_size < HEADER ? file_size : HEADER, err);
  if (status != ML_OK) return status;
  *size = (ml_png_size){.height = u32(head + 20), .width = u32(head + 16)};
  if (size->height < 1 || size->width < 1 || size->height > ML_PNG_MAX_SIDE || size->width > ML_PNG_MAX_SIDE ||
      size->height * size->width > ML_PNG_MAX_PIXELS)
    return ml_fail(err, ML_FORMAT, "the picture is %lldx%lld by its header, expected 1x1 to %lld pixels",
                   (long long)size->width, (long long)size->height, (long long)ML_PNG_MAX_PIXELS);
  const int64_t bytes = raw_bytes(head, size->width, size->height);
  if (bytes == 0)
    return ml_fail(err, ML_FORMAT, "damaged PNG header: colour type %d of %d bits at byte 24, expected one that exists",
                   head[25], head[24]);
  if ((uint64_t)bytes > (uint64_t)file_size * DEFLATE_RATIO)
    return ml_fail(err, ML_FORMAT, "the picture is %lldx%lld by its header, which %zu bytes cannot hold",
                   (long long)size->width, (long long)size->height, file_size);
  return ML_OK;
}

ml_status ml_png_read_size(ml_png_size *size, const char *path, ml_error *err) {
  uint8_t head[HEADER] = {0};
  ml_file file;
  ml_status status = ml_file_open(&file, path, MAX_FILE, err);
  if (status == ML_OK) {
    status = ml_file_read_at(&file, head, file.size < HEADER ? file.size : HEADER, 0, err);
    if (status == ML_OK) status = check_header(size, head, file.size, err);
    ml_file_close(&file);
  }
  if (status != ML_OK) ml_error_prefix(err, "%s", path);
  return status;
}

/* ---- libpng ---- */

typedef struct png_reader {
  const uint8_t *data;
  size_t size, at;
  ml_png_size expected;     /* what the header said */
  png_structp png;
  png_infop info;
  int samples;              /* 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha */
  uint8_t *bytes;           /* [height, width, samples] */
  png_bytep *rows;
  bool no_memory;
  char problem[128];
} png_reader;

static void *png_alloc(png_structp png, png_alloc_size_t size) {
  png_reader *r = png_get_mem_ptr(png);
  void *block = ml_alloc(size);
  if (!block) r->no_memory = true;
  return block;
}

static void png_release(png_structp png, void *block) {
  (void)png;
  ml_free(block);
}

static void note_problem(png_structp png, png_const_charp message) {
  png_reader *r = png_get_error_ptr(png);
  if (r->problem[0] == 0) snprintf(r->problem, sizeof r->problem, "%s", message);
}

static void stop(png_structp png, png_const_charp message) {
  note_problem(png, message);
  png_longjmp(png, 1);
}

static void pass_over(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void give_bytes(png_structp png, png_bytep out, size_t want) {
  png_reader *r = png_get_io_ptr(png);
  if (want > r->size - r->at) {
    r->at = r->size;
    png_error(png, "the data end there");
  }
  memcpy(out, r->data + r->at, want);
  r->at += want;
}

static void set_limits(png_reader *r) {
  png_set_read_fn(r->png, r, give_bytes);
  png_set_user_limits(r->png, ML_PNG_MAX_SIDE, ML_PNG_MAX_SIDE);
  png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_benign_errors(r->png, 0);
  png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
}

/* Everything before the image data. False, with the problem noted, where libpng gave up. */
static bool begin(png_reader *r) {
  if (setjmp(png_jmpbuf(r->png))) return false;
  set_limits(r);
  png_read_info(r->png, r->info);
  png_set_expand(r->png);
  png_set_scale_16(r->png);
  png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  r->samples = png_get_channels(r->png, r->info);
  if (png_get_image_width(r->png, r->info) != r->expected.width ||
      png_get_image_height(r->png, r->info) != r->expected.height || png_get_bit_depth(r->png, r->info) != 8 ||
      png_get_rowbytes(r->png, r->info) != (size_t)r->expected.width * (size_t)r->samples)
    png_error(r->png, "its header changed while it was read");
  return true;
}

static bool read_rows(png_reader *r) {
  if (setjmp(png_jmpbuf(r->png))) return false;
  png_read_image(r->png, r->rows);
  png_read_end(r->png, NULL);
  return true;
}

static bool make_rows(png_reader *r) {
  const size_t stride = (size_t)r->expected.width * (size_t)r->samples, height = (size_t)r->expected.height;
  r->bytes = ml_alloc(height * stride);
  r->rows = ml_alloc(height * sizeof *r->rows);
  r->no_memory = r->no_memory || !r->bytes || !r->rows;
  for (size_t y = 0; !r->no_memory && y < height; y++) r->rows[y] = r->bytes + y * stride;
  return !r->no_memory;
}

static ml_status decode(png_reader *r, ml_error *err) {
  r->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, r, stop, pass_over, r, png_alloc, png_release);
  if (r->png) r->info = png_create_info_struct(r->png);
  const bool done = r->info && begin(r) && make_rows(r) && read_rows(r);
  if (r->png) png_destroy_read_struct(&r->png, &r->info, NULL);
  ml_free(r->rows);
  if (r->no_memory || (!done && r->problem[0] == 0)) return ml_fail(err, ML_NOMEM, "no memory to unpack the picture");
  if (!done) return ml_fail(err, ML_FORMAT, "damaged PNG data before byte %zu: %s", r->at, r->problem);
  if (r->at == r->size) return ML_OK;
  return ml_fail(err, ML_FORMAT, "expected the end of the PNG data at byte %zu, found %zu more bytes", r->at,
                 r->size - r->at);
}

/* ---- samples to channels ---- */

/* A value of opacity a over white. */
static uint8_t over_white(uint32_t value, uint32_t a) { return (uint8_t)((value * a + 255 * (255 - a) + 127) / 255); }

static uint8_t grey_of(const uint8_t *rgb) {
  return (uint8_t)((299u * rgb[0] + 587u * rgb[1] + 114u * rgb[2] + 500) / 1000);
}

static void convert(uint8_t *out, const uint8_t *in, int64_t pixels, int samples, int channels) {
  const bool alpha = samples == 2 || samples == 4, color = samples >= 3;
  for (int64_t i = 0; i < pixels; i++, in += samples, out += channels) {
    uint8_t rgb[3];
    const uint32_t a = alpha ? in[samples - 1] : 255;
    for (int c = 0; c < 3; c++) rgb[c] = over_white(in[color ? c : 0], a);
    if (channels == 3) memcpy(out, rgb, 3);
    else out[0] = color ? grey_of(rgb) : rgb[0];
  }
}

static ml_status to_channels(uint8_t **pixels, png_reader *r, int channels, ml_error *err) {
  const int64_t count = r->expected.height * r->expected.width;
  if (r->samples == channels) {
    *pixels = r->bytes;
    r->bytes = NULL;
    return ML_OK;
  }
  *pixels = ml_alloc((size_t)count * (size_t)channels);
  if (!*pixels) return ml_fail(err, ML_NOMEM, "no memory for %lld pixels", (long long)count);
  convert(*pixels, r->bytes, count, r->samples, channels);
  return ML_OK;
}

ml_status ml_png_decode(uint8_t **pixels, ml_png_size *size, const uint8_t *data, size_t bytes, int channels,
                        ml_error *err) {
  png_reader r = {.data = data, .size = bytes};
  uint8_t head[HEADER] = {0};
  if (bytes > 0) memcpy(head, data, bytes < HEADER ? bytes : HEADER);
  ml_status status = check_header(size, head, bytes, err);
  r.expected = *size;
  if (status == ML_OK) status = decode(&r, err);
  if (status == ML_OK) status = to_channels(pixels, &r, channels, err);
  ml_free(r.bytes);
  return status;
}

ml_status ml_png_read(uint8_t **pixels, ml_png_size *size, const char *path, int channels, ml_error *err) {
  uint8_t *data = NULL;
  size_t bytes;
  ml_status status = ml_file_read(&data, &bytes, path, MAX_FILE, err);
  if (status != ML_OK) return status; /* with the path in front */
  status = ml_png_decode(pixels, size, data, bytes, channels, err);
  ml_free(data);
  if (status != ML_OK) ml_error_prefix(err, "%s", path);
  return status;
}
