/* Unpacking of gzip files: several members, checksums and lengths are checked, and nothing may follow the last member.
 * Called by the IDX and CSV readers. Memory is asked for by what the packed bytes can hold, never by what a header in
 * them promises; text is looked at while it is unpacked.
 *
 * zlib unpacks piece by piece and is the judge of what is wrong; libdeflate is faster, but can only unpack a whole and
 * good member of known length. */
#include "data/gzip.h"

#include <libdeflate.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "data/readers.h"

/* Deflate codes at most 258 bytes in 2 bits: 1032 to 1. */
#define DEFLATE_RATIO 1032

/* What a gzip file of text is taken to hold: TEXT_RATIO times its size, and TEXT_FLOOR bytes whatever its size. Rows of
 * 784 pixels pack 8 to 1 if they are handwriting, 93 to 1 if one pixel in a hundred is not 0, 250 to 1 if one in a
 * thousand is not; blank ones 340 to 1. */
#define TEXT_RATIO  256
#define TEXT_FLOOR  ((size_t)64 << 20)
#define FIRST_BYTES ((size_t)64 << 10)

static void *zlib_alloc(void *opaque, unsigned count, unsigned size) {
  (void)opaque;
  return ml_calloc(count, size);
}

static void zlib_free(void *opaque, void *block) {
  (void)opaque;
  ml_free(block);
}

/* Where in the file the unpacking stands. */
static size_t packed_at(const ml_source *s) { return s->file.size - s->stream.avail_in; }

/* Tells gzip by its first two bytes; of a gzip file all bytes are read. The messages lack the path. */
static ml_status open_file(ml_source *s, size_t max_file, ml_error *err) {
  uint8_t first[2] = {0};
  ml_status status = ml_file_open(&s->file, s->path, max_file, err);
  if (status != ML_OK) return status;
  if (s->file.size >= sizeof first) status = ml_file_read_at(&s->file, first, sizeof first, 0, err);
  s->gzip = first[0] == 0x1f && first[1] == 0x8b;
  if (status == ML_OK && s->gzip) status = ml_file_read_all(&s->packed, &s->file, err);
  if (status != ML_OK) ml_file_close(&s->file);
  return status;
}

ml_status ml_source_open(ml_source *s, const char *path, size_t max_file, ml_error *err) {
  *s = (ml_source){.path = path};
  if (max_file > UINT_MAX) max_file = UINT_MAX; /* zlib counts its input in an unsigned */
  ml_status status = open_file(s, max_file, err);
  if (status != ML_OK) {
    ml_error_prefix(err, "%s", path);
    return status;
  }
  if (!s->gzip) return ML_OK;
  s->stream.zalloc = zlib_alloc;
  s->stream.zfree = zlib_free;
  s->stream.next_in = s->packed;
  s->stream.avail_in = (uInt)s->file.size;
  if (inflateInit2(&s->stream, 15 + 16) == Z_OK) return ML_OK;
  ml_free(s->packed);
  ml_file_close(&s->file);
  return ml_fail(err, ML_NOMEM, "%s: no memory to unpack it", path);
}

void ml_source_close(ml_source *s) {
  if (s->gzip) inflateEnd(&s->stream);
  ml_free(s->packed);
  ml_file_close(&s->file);
}

/* Behind a member either the file ends or another one begins. */
static ml_status next_member(ml_source *s, ml_error *err) {
  const z_stream *z = &s->stream;
  s->ended = z->avail_in == 0;
  if (s->ended) return ML_OK;
  if (z->avail_in < 2 || z->next_in[0] != 0x1f || z->next_in[1] != 0x8b)
    return ml_fail(err, ML_FORMAT, "%s: expected the end of the gzip data at byte %zu, found %u more bytes", s->path,
                   packed_at(s), z->avail_in);
  inflateReset(&s->stream);
  return ML_OK;
}

static ml_status inflate_failed(const ml_source *s, int code, ml_error *err) {
  if (code == Z_MEM_ERROR) return ml_fail(err, ML_NOMEM, "%s: no memory to unpack it", s->path);
  if (code == Z_BUF_ERROR)
    return ml_fail(err, ML_FORMAT, "%s: the gzip data are cut off, expected more at byte %zu", s->path, s->file.size);
  return ml_fail(err, ML_FORMAT, "%s: damaged gzip data before byte %zu: %s", s->path, packed_at(s),
                 s->stream.msg ? s->stream.msg : "not a valid stream");
}

static ml_status read_packed(ml_source *s, uint8_t *out, size_t want, size_t *got, ml_error *err) {
  z_stream *z = &s->stream;
  while (*got < want && !s->ended) {
    uInt room = want - *got < UINT_MAX ? (uInt)(want - *got) : UINT_MAX;
    z->next_out = out + *got;
    z->avail_out = room;
    int code = inflate(z, Z_NO_FLUSH);
    *got += room - z->avail_out;
    if (code == Z_STREAM_END) {
      ml_status status = next_member(s, err);
      if (status != ML_OK) return status;
    } else if (code != Z_OK) {
      return inflate_failed(s, code, err);
    }
  }
  return ML_OK;
}

static ml_status read_plain(const ml_source *s, uint8_t *out, size_t want, size_t *got, ml_error *err) {
  if (want > s->file.size - s->at) want = s->file.size - s->at;
  ml_status status = ml_file_read_at(&s->file, out, want, s->at, err);
  if (status == ML_OK) *got = want;
  else ml_error_prefix(err, "%s", s->path);
  return status;
}

ml_status ml_source_read(ml_source *s, void *out, size_t want, size_t *got, ml_error *err) {
  *got = 0;
  ml_status status = s->gzip ? read_packed(s, out, want, got, err) : read_plain(s, out, want, got, err);
  s->at += *got;
  return status;
}

static void use_our_memory(void) { libdeflate_set_memory_allocator(ml_alloc, ml_free); }

bool ml_source_unpack(ml_source *s, void *out, size_t size) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (!s->gzip) return false;
  pthread_once(&once, use_our_memory);
  struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
  if (!d) return false;
  size_t used = 0; /* without room for the length found, any other length than size is an error */
  enum libdeflate_result result = libdeflate_gzip_decompress_ex(d, s->packed, s->file.size, out, size, &used, NULL);
  libdeflate_free_decompressor(d);
  if (result != LIBDEFLATE_SUCCESS || used != s->file.size) return false;
  s->stream.avail_in = 0;
  s->ended = true;
  s->at = size;
  return true;
}

size_t ml_source_most(const ml_source *s) {
  if (!s->gzip) return s->file.size - s->at;
  return s->file.size * DEFLATE_RATIO - s->at; /* the file's size is below 2^32 */
}

/* ---- whole files of text ---- */

/* The unpacked length that the last member's trailer states: a first guess, and one the packed bytes could hold. */
static size_t guess_size(const ml_source *s, size_t max_bytes) {
  size_t guess = 0;
  for (int i = 1; s->file.size >= 18 && i <= 4; i++) guess = guess << 8 | s->packed[s->file.size - (size_t)i];
  if (guess < 256) guess = 256;
  if (guess > ml_source_most(s)) guess = ml_source_most(s);
  return guess < max_bytes ? guess : max_bytes;
}

/* The most text that a gzip file of this size is taken to hold. */
static size_t most_text(const ml_source *s) {
  size_t most = s->file.size * TEXT_RATIO; /* the file's size is below 2^32 */
  return most > TEXT_FLOOR ? most : TEXT_FLOOR;
}

/* Reads until room is used up, the data end, or, which ends them too, a piece has a zero byte in it. */
static ml_status fill_text(ml_source *s, uint8_t *out, size_t room, size_t *used, bool *ended, ml_error *err) {
  while (*used < room && !*ended) {
    size_t want = room - *used < FIRST_BYTES ? room - *used : FIRST_BYTES, got;
    ml_status status = ml_source_read(s, out + *used, want, &got, err);
    if (status != ML_OK) return status;
    *ended = got < want || memchr(out + *used, 0, got) != NULL;
    *used += got;
  }
  return ML_OK;
}

static ml_status too_long(const ml_source *s, size_t max_bytes, ml_error *err) {
  if (max_bytes < most_text(s))
    return ml_fail(err, ML_FORMAT, "%s: unpacks to more than %zu bytes", s->path, max_bytes);
  return ml_fail(err, ML_FORMAT,
                 "%s: unpacks to more than %zu bytes from %zu, which is unlikely for text; unpack it with gunzip if it "
                 "is meant",
                 s->path, most_text(s), s->file.size);
}

/* Begins small, goes on with the guess once the first bytes look like text, and then doubles the room until the data
 * end inside it: one byte more than the room tells whether they do. */
static ml_status unpack_text(ml_source *s, uint8_t **data, size_t *size, size_t max_bytes, ml_error *err) {
  size_t most = max_bytes < most_text(s) ? max_bytes : most_text(s), guess = guess_size(s, most);
  size_t room = guess < FIRST_BYTES ? guess : FIRST_BYTES, used = 0;
  uint8_t *out = NULL;
  bool ended = false;
  for (;;) {
    uint8_t *larger = ml_alloc(room + 2); /* one byte more to read, and the zero behind it */
    ml_status status = larger ? ML_OK : ml_fail(err, ML_NOMEM, "%s: no memory for %zu bytes", s->path, room);
    if (larger && used > 0) memcpy(larger, out, used);
    ml_free(out);
    out = larger;
    if (status == ML_OK) status = fill_text(s, out, room + 1, &used, &ended, err);
    if (status == ML_OK && ended) break;
    if (status == ML_OK && room == most) status = too_long(s, max_bytes, err);
    if (status != ML_OK) {
      ml_free(out);
      return status;
    }
    room = room < guess ? guess : room > most / 2 ? most : room * 2;
  }
  out[used] = 0;
  *data = out;
  *size = used;
  return ML_OK;
}

static ml_status read_plain_text(const ml_source *s, uint8_t **data, size_t *size, ml_error *err) {
  ml_status status = ml_file_read_all(data, &s->file, err);
  if (status == ML_OK) *size = s->file.size;
  else ml_error_prefix(err, "%s", s->path);
  return status;
}

ml_status ml_read_text(uint8_t **data, size_t *size, const char *path, size_t max_bytes, ml_error *err) {
  ml_source s;
  ml_status status = ml_source_open(&s, path, max_bytes, err);
  if (status != ML_OK) return status;
  status = s.gzip ? unpack_text(&s, data, size, max_bytes, err) : read_plain_text(&s, data, size, err);
  ml_source_close(&s);
  return status;
}
