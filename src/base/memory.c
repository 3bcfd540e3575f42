/* The allocator of the whole program. A block is a 64-byte header followed by what the caller sees; freed blocks wait
 * in one list per size class. Small objects without header are cut from slabs. One spinning lock guards everything: it
 * is held for some instructions (longer only where a cache is given back), and a training step, nearly all of whose
 * calls come from one thread, takes it a hundred times. Nothing here prints or ends the program when memory runs
 * out. */
#include "base/memory.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define KEEP_FREED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEP_FREED 0
#endif
#endif
#ifndef KEEP_FREED
#define KEEP_FREED 1
#endif

enum {
  STEP_CLASSES = 4,                              /* 64, 128, 192, 256 bytes */
  MAX_POWER = 39,                                /* the largest class has 2^39 bytes */
  CLASSES = STEP_CLASSES + 4 * (MAX_POWER - 8),  /* then four per power of two */
  SMALL_STEP = 16,
  SMALL_MAX = 512,
  SLAB_BYTES = 64 * 1024
};

#define CACHE_FLOOR ((uint64_t)64 << 20)
#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_PAGES_MAX (2 * HUGE_PAGE)

typedef struct block_header {
  struct block_header *next; /* while cached */
  size_t bytes;              /* of the class, without this header */
  uint32_t class_index;
} block_header;

_Static_assert(sizeof(block_header) <= ML_ALIGNMENT, "the header must fit before an aligned block");

typedef struct small_block {
  struct small_block *next;
} small_block;

static struct {
  atomic_flag locked;
  ml_memory_stats stats;
  bool failing;
  uint64_t before_failure; /* allocations that still succeed while failing is set */
  block_header *freed[CLASSES];
  small_block *small_freed[SMALL_MAX / SMALL_STEP];
} heap = {.locked = ATOMIC_FLAG_INIT};

/* Who waits gives way to whoever holds the lock, and may have lost its processor. */
static void lock_heap(void) {
  while (atomic_flag_test_and_set_explicit(&heap.locked, memory_order_acquire)) sched_yield();
}

static void unlock_heap(void) {
  atomic_flag_clear_explicit(&heap.locked, memory_order_release);
}

bool ml_size_mul(size_t a, size_t b, size_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}

/* The class of a size, and in *bytes the size of its blocks: the next multiple of a quarter of the power of two below
 * size, so that at most a fifth of a block is waste. false above the largest class: a malloc under a sanitizer may end
 * the program when asked for that much. */
static bool find_class(size_t size, uint32_t *class_index, size_t *bytes) {
  if (size == 0) size = 1;
  if (size <= 256) {
    *class_index = (uint32_t)((size - 1) / 64);
    *bytes = ((size_t)*class_index + 1) * 64;
    return true;
  }
  if (size > (size_t)1 << MAX_POWER) return false;
  uint32_t power = 63u - (uint32_t)__builtin_clzll((unsigned long long)(size - 1)); /* 2^power <= size - 1 */
  size_t quarter = (size_t)1 << (power - 2);
  size_t quarters = (size - 1) / quarter + 1; /* 5..8 */
  *class_index = STEP_CLASSES + 4 * (power - 8) + (uint32_t)(quarters - 5);
  *bytes = quarters * quarter;
  return true;
}

/* Holds the lock. */
static bool may_allocate(void) {
  if (!heap.failing) return true;
  if (heap.before_failure == 0) return false;
  heap.before_failure--;
  return true;
}

/* Holds the lock. */
static void count_live(size_t bytes) {
  heap.stats.live_bytes += bytes;
  heap.stats.live_blocks++;
  if (heap.stats.live_bytes > heap.stats.peak_bytes) heap.stats.peak_bytes = heap.stats.live_bytes;
}

/* Holds the lock. A cached block of the class, or NULL. */
static block_header *take_cached(uint32_t class_index) {
  block_header *header = heap.freed[class_index];
  if (header == NULL) return NULL;
  heap.freed[class_index] = header->next;
  heap.stats.cached_bytes -= header->bytes;
  return header;
}

/* A block of the system's. What has the size of weights and activations is aligned and marked so that the kernel may
 * put it into huge pages: their addresses are then hardly ever missing from the processor's table of pages. Larger ones
 * are data, read once in a long while, and a huge page costs much to begin with: it is cleared as a whole. */
static void *take_from_system(size_t bytes) {
  void *block = NULL;
  if (!KEEP_FREED || bytes < HUGE_PAGE / 2 || bytes > HUGE_PAGES_MAX) return aligned_alloc(ML_ALIGNMENT, bytes);
  if (bytes % HUGE_PAGE >= HUGE_PAGE / 2) bytes += HUGE_PAGE - bytes % HUGE_PAGE;
  if (posix_memalign(&block, HUGE_PAGE, bytes) != 0) return NULL;
#ifdef MADV_HUGEPAGE
  madvise(block, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a wish: without it all is the same, slower */
#endif
  return block;
}

static block_header *ask_system(uint32_t class_index, size_t bytes) {
  block_header *header = take_from_system(bytes + ML_ALIGNMENT);
  if (header == NULL) return NULL;
  header->bytes = bytes;
  header->class_index = class_index;
  return header;
}

/* A block that counts as live. When the system has no more, what is cached is given back and asked for once more. */
static void *allocate(size_t size) {
  uint32_t class_index = 0;
  size_t bytes = 0;
  bool fits = find_class(size, &class_index, &bytes);
  lock_heap();
  heap.stats.allocations++;
  bool allowed = may_allocate();
  block_header *header = allowed && fits ? take_cached(class_index) : NULL;
  if (header == NULL && allowed && fits) heap.stats.system_calls++;
  if (header != NULL) count_live(bytes);
  unlock_heap();
  if (!allowed || !fits) return NULL;
  if (header != NULL) return (char *)header + ML_ALIGNMENT;

  header = ask_system(class_index, bytes);
  if (header == NULL) {
    ml_memory_trim();
    header = ask_system(class_index, bytes);
  }
  if (header == NULL) return NULL;
  lock_heap();
  count_live(bytes);
  unlock_heap();
  return (char *)header + ML_ALIGNMENT;
}

void *ml_alloc(size_t size) {
  return allocate(size);
}

void *ml_calloc(size_t count, size_t size) {
  size_t bytes;
  if (!ml_size_mul(count, size, &bytes)) return NULL;
  void *block = allocate(bytes);
  if (block != NULL) memset(block, 0, bytes);
  return block;
}

/* Holds the lock. The cache may grow to the largest of CACHE_FLOOR and twice the highest use so far: the classes do not
 * reach their highest uses at the same time, so a step that repeats itself leaves more behind than it ever used. */
static bool may_keep(size_t bytes) {
  uint64_t twice = 2 * heap.stats.peak_bytes, limit = twice > CACHE_FLOOR ? twice : CACHE_FLOOR;
  return KEEP_FREED && heap.stats.cached_bytes + bytes <= limit;
}

/* Holds the lock. */
static void drop_cache(void) {
  for (uint32_t i = 0; i < CLASSES; i++)
    for (block_header *header; (header = take_cached(i)) != NULL;) free(header);
}

void ml_free(void *block) {
  if (block == NULL) return;
  block_header *header = (block_header *)((char *)block - ML_ALIGNMENT);
  lock_heap();
  heap.stats.live_bytes -= header->bytes;
  heap.stats.live_blocks--;
  if (!may_keep(header->bytes)) drop_cache(); /* blocks of another phase of the program: none of them was wanted */
  bool keep = may_keep(header->bytes);
  if (keep) {
    header->next = heap.freed[header->class_index];
    heap.freed[header->class_index] = header;
    heap.stats.cached_bytes += header->bytes;
  }
  unlock_heap();
  if (!keep) free(header);
}

void ml_memory_trim(void) {
  lock_heap();
  drop_cache();
  unlock_heap();
}

/* Holds the lock. Cuts a new slab into blocks of (index + 1) * SMALL_STEP bytes. Slabs are never given back (their
 * blocks end up all over the Lua state) and do not count as cached. */
static bool add_slab(size_t index) {
  size_t bytes = (index + 1) * SMALL_STEP;
  char *slab = aligned_alloc(ML_ALIGNMENT, SLAB_BYTES);
  if (slab == NULL) return false;
  for (size_t at = SLAB_BYTES / bytes; at-- > 0;) {
    small_block *block = (small_block *)(slab + at * bytes);
    block->next = heap.small_freed[index];
    heap.small_freed[index] = block;
  }
  return true;
}

/* Holds the lock. */
static void *take_small(size_t size) {
  size_t index = size == 0 ? 0 : (size - 1) / SMALL_STEP;
  size_t bytes = (index + 1) * SMALL_STEP;
  if (!may_allocate()) return NULL;
  void *block;
  if (KEEP_FREED) {
    if (heap.small_freed[index] == NULL && !add_slab(index)) return NULL;
    small_block *head = heap.small_freed[index];
    heap.small_freed[index] = head->next;
    block = head;
  } else {
    block = malloc(size == 0 ? 1 : size);
    if (block == NULL) return NULL;
  }
  count_live(bytes);
  return block;
}

void *ml_small_alloc(size_t size) {
  if (size > SMALL_MAX) return ml_alloc(size);
  lock_heap();
  void *block = take_small(size);
  unlock_heap();
  return block;
}

void ml_small_free(void *block, size_t size) {
  if (block == NULL) return;
  if (size > SMALL_MAX) {
    ml_free(block);
    return;
  }
  size_t index = size == 0 ? 0 : (size - 1) / SMALL_STEP;
  lock_heap();
  heap.stats.live_bytes -= (index + 1) * SMALL_STEP;
  heap.stats.live_blocks--;
  if (KEEP_FREED) {
    small_block *freed = block;
    freed->next = heap.small_freed[index];
    heap.small_freed[index] = freed;
  }
  unlock_heap();
  if (!KEEP_FREED) free(block);
}

ml_memory_stats ml_memory_get_stats(void) {
  lock_heap();
  ml_memory_stats stats = heap.stats;
  unlock_heap();
  return stats;
}

void ml_memory_fail_from(uint64_t n) {
  lock_heap();
  heap.failing = n > 0;
  heap.before_failure = n > 0 ? n - 1 : 0;
  unlock_heap();
}
