/* The allocator: alignment, counters, the cache, the provoked failures, several threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"

#if defined(__SANITIZE_ADDRESS__)
#define CACHES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CACHES 0
#endif
#endif
#ifndef CACHES
#define CACHES 1
#endif

static void test_alignment_and_waste(void **state) {
  (void)state;
  for (size_t size = 0; size < 200000; size = size < 600 ? size + 1 : size * 9 / 8) {
    uint64_t before = ml_memory_get_stats().live_bytes;
    unsigned char *block = ml_alloc(size);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % ML_ALIGNMENT, 0);
    uint64_t taken = ml_memory_get_stats().live_bytes - before;
    assert_true(taken >= size);
    assert_true(taken <= (size <= 256 ? size + 64 : size + size / 4));
    memset(block, 0xa5, size);
    ml_free(block);
    assert_int_equal(ml_memory_get_stats().live_bytes, before);
  }
  ml_free(NULL);
  ml_small_free(NULL, 10);
}

static void test_counters(void **state) {
  (void)state;
  ml_memory_trim();
  ml_memory_stats a = ml_memory_get_stats();
  assert_int_equal(a.cached_bytes, 0);
  void *x = ml_alloc(1000), *y = ml_calloc(10, 100);
  ml_memory_stats b = ml_memory_get_stats();
  assert_int_equal(b.live_blocks - a.live_blocks, 2);
  assert_int_equal(b.live_bytes - a.live_bytes, 2 * 1024);
  assert_int_equal(b.allocations - a.allocations, 2);
  assert_int_equal(b.system_calls - a.system_calls, 2);
  assert_true(b.peak_bytes >= b.live_bytes);
  ml_free(x);
  ml_free(y);
  ml_memory_stats c = ml_memory_get_stats();
  assert_int_equal(c.live_blocks, a.live_blocks);
  assert_int_equal(c.live_bytes, a.live_bytes);
  assert_int_equal(c.peak_bytes, b.peak_bytes);
  assert_int_equal(c.cached_bytes, CACHES ? 2 * 1024 : 0);
  ml_memory_trim();
  assert_int_equal(ml_memory_get_stats().cached_bytes, 0);
}

/* A training step's pattern: the same sizes again and again, in another order of freeing. */
static void test_cache_saves_system_calls(void **state) {
  (void)state;
  static const size_t sizes[] = {100352, 512, 40, 262144, 100000, 7, 100352, 3000};
  enum { N = sizeof sizes / sizeof *sizes };
  uint64_t after_first = 0;
  for (size_t step = 0; step < 20; step++) {
    void *blocks[N];
    for (size_t i = 0; i < N; i++) blocks[i] = ml_alloc(sizes[i]);
    for (size_t i = 0; i < N; i++) ml_free(blocks[(i * 3 + step) % N]);
    if (step == 0) after_first = ml_memory_get_stats().system_calls;
  }
  if (CACHES) assert_int_equal(ml_memory_get_stats().system_calls, after_first);
}

static void test_cache_is_bounded(void **state) {
  (void)state;
  ml_memory_trim();
  enum { N = 24 };
  for (size_t i = 0; i < N; i++) { /* sizes that never repeat, one alive at a time */
    void *block = ml_alloc(((size_t)8 << 20) + (i << 21));
    assert_non_null(block);
    ml_free(block);
  }
  ml_memory_stats stats = ml_memory_get_stats();
  uint64_t limit = 2 * stats.peak_bytes > (64u << 20) ? 2 * stats.peak_bytes : 64u << 20;
  assert_true(stats.cached_bytes <= limit);
  if (CACHES) assert_true(stats.cached_bytes > 0);
  ml_memory_trim();
}

static void test_calloc_zeroes_used_blocks(void **state) {
  (void)state;
  unsigned char *block = ml_alloc(5000);
  memset(block, 0xff, 5000);
  ml_free(block);
  block = ml_calloc(5000, 1);
  for (size_t i = 0; i < 5000; i++) assert_int_equal(block[i], 0);
  ml_free(block);
}

static void test_impossible_sizes(void **state) {
  (void)state;
  ml_memory_stats before = ml_memory_get_stats();
  volatile size_t huge = SIZE_MAX;
  assert_null(ml_alloc(huge));
  assert_null(ml_alloc(huge - 63));
  assert_null(ml_alloc(huge / 2));
  assert_null(ml_alloc(((size_t)1 << 39) + 1));
  assert_null(ml_calloc(huge / 2, 3));
  assert_null(ml_calloc((size_t)1 << 32, (size_t)1 << 32));
  assert_null(ml_small_alloc(huge));
  assert_int_equal(ml_memory_get_stats().live_bytes, before.live_bytes);
  assert_int_equal(ml_memory_get_stats().live_blocks, before.live_blocks);
  size_t product = 0;
  assert_true(ml_size_mul(1u << 20, 1u << 20, &product));
  assert_int_equal(product, (size_t)1 << 40);
  assert_false(ml_size_mul(huge, 2, &product));
  assert_true(ml_size_mul(huge, 0, &product));
  assert_int_equal(product, 0);
}

static void test_small_objects(void **state) {
  (void)state;
  enum { N = 3000 };
  static unsigned char *objects[N];
  ml_memory_stats before = ml_memory_get_stats();
  for (size_t i = 0; i < N; i++) {
    size_t size = i % 700;
    objects[i] = ml_small_alloc(size);
    assert_non_null(objects[i]);
    assert_int_equal((uintptr_t)objects[i] % 16, 0);
    memset(objects[i], (int)(i & 0xff), size);
  }
  assert_int_equal(ml_memory_get_stats().live_blocks - before.live_blocks, N);
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j < i % 700; j++) assert_int_equal(objects[i][j], i & 0xff);
  for (size_t i = 0; i < N; i++) ml_small_free(objects[i], i % 700);
  assert_int_equal(ml_memory_get_stats().live_bytes, before.live_bytes);
  assert_int_equal(ml_memory_get_stats().live_blocks, before.live_blocks);
}

static void test_small_objects_are_used_again(void **state) {
  (void)state;
  if (!CACHES) return;
  void *first = ml_small_alloc(40);
  ml_small_free(first, 40);
  void *second = ml_small_alloc(48); /* the same class of 48 bytes */
  assert_ptr_equal(first, second);
  ml_small_free(second, 48);
}

/* Allocates with each of the three functions in turn; how many succeed before the first NULL. */
static uint64_t succeed_until_null(uint64_t at_most) {
  void *blocks[16];
  uint64_t n = 0;
  for (; n < at_most; n++) {
    blocks[n] = n % 3 == 0 ? ml_alloc(100) : n % 3 == 1 ? ml_calloc(3, 30) : ml_small_alloc(24);
    if (blocks[n] == NULL) break;
  }
  for (uint64_t i = 0; i < n; i++) {
    if (i % 3 == 2) ml_small_free(blocks[i], 24);
    else ml_free(blocks[i]);
  }
  return n;
}

static void test_nth_allocation_fails(void **state) {
  (void)state;
  uint64_t live = ml_memory_get_stats().live_blocks;
  for (uint64_t n = 1; n <= 12; n++) {
    ml_memory_fail_from(n);
    assert_int_equal(succeed_until_null(16), n - 1);
    assert_null(ml_alloc(1)); /* and all that follow */
    assert_null(ml_calloc(1, 1));
    assert_null(ml_small_alloc(1));
    assert_null(ml_small_alloc(1000));
    ml_memory_fail_from(0);
    assert_int_equal(succeed_until_null(16), 16);
  }
  assert_int_equal(ml_memory_get_stats().live_blocks, live);
}

static void *hammer(void *seed_at) {
  uint32_t x = *(const uint32_t *)seed_at;
  unsigned char *blocks[32] = {0};
  size_t sizes[32] = {0};
  for (int i = 0; i < 20000; i++) {
    x = x * 1664525u + 1013904223u;
    size_t at = x >> 27;
    if (blocks[at] != NULL && blocks[at][sizes[at] - 1] != (unsigned char)at) return seed_at;
    if (at % 2 == 0) ml_free(blocks[at]);
    else ml_small_free(blocks[at], sizes[at]);
    sizes[at] = (x >> 8) % 2000 + 1;
    blocks[at] = at % 2 == 0 ? ml_alloc(sizes[at]) : ml_small_alloc(sizes[at]);
    if (blocks[at] == NULL) return seed_at;
    blocks[at][sizes[at] - 1] = (unsigned char)at;
  }
  for (size_t at = 0; at < 32; at++) {
    if (at % 2 == 0) ml_free(blocks[at]);
    else ml_small_free(blocks[at], sizes[at]);
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  ml_memory_stats before = ml_memory_get_stats();
  pthread_t threads[4];
  uint32_t seeds[4] = {1, 22, 333, 4444};
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, hammer, &seeds[i]), 0);
  for (int i = 0; i < 4; i++) {
    void *failed = NULL;
    pthread_join(threads[i], &failed);
    assert_null(failed);
  }
  assert_int_equal(ml_memory_get_stats().live_bytes, before.live_bytes);
  assert_int_equal(ml_memory_get_stats().live_blocks, before.live_blocks);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_alignment_and_waste),
    cmocka_unit_test(test_counters),
    cmocka_unit_test(test_cache_saves_system_calls),
    cmocka_unit_test(test_cache_is_bounded),
    cmocka_unit_test(test_calloc_zeroes_used_blocks),
    cmocka_unit_test(test_impossible_sizes),
    cmocka_unit_test(test_small_objects),
    cmocka_unit_test(test_small_objects_are_used_again),
    cmocka_unit_test(test_nth_allocation_fails),
    cmocka_unit_test(test_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
