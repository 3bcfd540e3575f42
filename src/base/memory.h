/* All memory of the program comes from here: 64-byte aligned blocks, kept in size classes when freed and handed out
 * again, so that a training loop in its steady state calls no malloc; counters that tests and the garbage collector's
 * accounting read; and a switch that makes the n-th allocation fail.
 *
 * Under the address sanitizer freed blocks go straight back to malloc, so that it sees every use after free. */
#ifndef ML_BASE_MEMORY_H
#define ML_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ML_ALIGNMENT 64

typedef struct ml_memory_stats {
  uint64_t live_bytes;    /* handed out and not freed, rounded up to the size class */
  uint64_t live_blocks;
  uint64_t peak_bytes;    /* highest live_bytes so far */
  uint64_t cached_bytes;  /* freed and kept for the next allocation */
  uint64_t allocations;   /* calls of ml_alloc and ml_calloc */
  uint64_t system_calls;  /* of those, the ones that had to ask malloc */
} ml_memory_stats;

/* size bytes aligned to ML_ALIGNMENT, uninitialised; NULL if there are none. size 0 is treated as 1. Thread-safe. */
void *ml_alloc(size_t size);

/* count * size zeroed bytes; NULL also when the product overflows. */
void *ml_calloc(size_t count, size_t size);

/* Gives a block back; NULL is allowed. Thread-safe. */
void ml_free(void *block);

/* Small objects whose owner knows their size (the Lua state's): no header, aligned to 16. */
void *ml_small_alloc(size_t size);
void ml_small_free(void *block, size_t size);

ml_memory_stats ml_memory_get_stats(void);

/* Returns every cached block to the system. Live blocks stay. */
void ml_memory_trim(void);

/* Makes the n-th allocation from now (1 is the next one) and all that follow return NULL, until called with 0. */
void ml_memory_fail_from(uint64_t n);

/* a * b into *out; false on overflow. */
bool ml_size_mul(size_t a, size_t b, size_t *out);

#endif
