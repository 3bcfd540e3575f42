/* Duplicates by hash: samples are hashed on all threads, those of a data set go into a table with open addressing, and
 * what has the same hash is compared byte by byte. Called by the bindings; it changes nothing. */
#include "data/duplicates.h"

#include <string.h>

#include "base/memory.h"

/* The table holds sample numbers of a, -1 where a place is free; it is at most half full. */
typedef struct index_of {
  const ml_dataset *d;
  uint64_t *hashes;
  int32_t *places;
  uint64_t mask;
  size_t row_bytes;
} index_of;

static size_t sample_bytes(const ml_dataset *d) {
  return (size_t)ml_tensor_row_count(d->images) * ml_dtype_size(d->images->dtype);
}

static const char *sample_at(const ml_dataset *d, int64_t i, size_t bytes) {
  return (const char *)d->images->data + (size_t)ml_dataset_row(d, i) * bytes;
}

static int32_t label_at(const ml_dataset *d, int64_t i) { return d->labels->i32[ml_dataset_row(d, i)]; }

/* The place of the table that holds a sample equal to sample i of d, or the free one where it would be. */
static uint64_t place_of(const index_of *x, const ml_dataset *d, int64_t i, uint64_t hash) {
  const char *sample = sample_at(d, i, x->row_bytes);
  uint64_t at = (hash ^ hash >> 32) & x->mask;
  for (; x->places[at] >= 0; at = (at + 1) & x->mask) {
    int32_t other = x->places[at];
    if (x->hashes[other] == hash && memcmp(sample_at(x->d, other, x->row_bytes), sample, x->row_bytes) == 0) break;
  }
  return at;
}

static void note(ml_duplicates *found, const index_of *x, int64_t other, const ml_dataset *d, int64_t i) {
  if (found->count++ == 0) {
    found->first = other;
    found->second = i;
  }
  found->relabelled += label_at(x->d, other) != label_at(d, i);
}

/* Puts all samples in; what is there already is noted where `found` is not NULL. */
static void fill(index_of *x, ml_duplicates *found) {
  memset(x->places, 0xff, (size_t)(x->mask + 1) * sizeof *x->places);
  for (int64_t i = 0; i < x->d->count; i++) {
    uint64_t at = place_of(x, x->d, i, x->hashes[i]);
    if (x->places[at] < 0) x->places[at] = (int32_t)i;
    else if (found) note(found, x, x->places[at], x->d, i);
  }
}

static void look_up(ml_duplicates *found, const index_of *x, const ml_dataset *b) {
  enum { BLOCK = 1024 };
  uint64_t hashes[BLOCK];
  for (int64_t first = 0; first < b->count; first += BLOCK) {
    int64_t n = b->count - first < BLOCK ? b->count - first : BLOCK;
    ml_dataset_sample_hashes(hashes, b, first, n);
    for (int64_t i = 0; i < n; i++) {
      int32_t other = x->places[place_of(x, b, first + i, hashes[i])];
      if (other >= 0) note(found, x, other, b, first + i);
    }
  }
}

ml_status ml_dataset_duplicates(ml_duplicates *found, const ml_dataset *a, const ml_dataset *b, ml_error *err) {
  index_of x = {.d = a, .mask = 1, .row_bytes = sample_bytes(a)};
  *found = (ml_duplicates){.first = -1, .second = -1};
  if (a->images->dtype != b->images->dtype || sample_bytes(b) != x.row_bytes) return ML_OK;
  while (x.mask < 2 * (uint64_t)a->count) x.mask = 2 * x.mask + 1;
  x.hashes = ml_calloc((size_t)a->count + 1, sizeof *x.hashes);
  x.places = ml_calloc((size_t)x.mask + 1, sizeof *x.places);
  if (x.hashes && x.places) {
    ml_dataset_sample_hashes(x.hashes, a, 0, a->count);
    fill(&x, a == b ? found : NULL);
    if (a != b) look_up(found, &x, b);
  }
  ml_status status = x.hashes && x.places ? ML_OK : ml_fail(err, ML_NOMEM, "out of memory: a table of %lld samples",
                                                            (long long)a->count);
  ml_free(x.hashes);
  ml_free(x.places);
  return status;
}
