/* The pool: every chunk once, whatever the number of threads; thousands of tiny regions; sleeping workers; nesting;
 * jobs. The counters that chunks raise are plain memory, so that the thread sanitizer sees a missing order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/pool.h"

enum { MAX_CHUNKS = 5000 };

static int counts[MAX_CHUNKS];

static void count_chunk(void *ctx, uint32_t chunk) {
  int *at = ctx;
  at[chunk]++;
}

static void assert_counts(uint32_t chunks, int expected) {
  for (uint32_t i = 0; i < MAX_CHUNKS; i++) assert_int_equal(counts[i], i < chunks ? expected : 0);
}

static const int thread_counts[] = {1, 2, 3, 8};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts };

static void start(int threads) {
  assert_int_equal(ml_pool_start(threads, NULL), ML_OK);
  assert_int_equal(ml_pool_threads(), threads);
}

static void test_runs_before_start(void **state) {
  (void)state;
  assert_int_equal(ml_pool_threads(), 1);
  memset(counts, 0, sizeof counts);
  ml_pool_run(count_chunk, counts, 100);
  assert_counts(100, 1);
  ml_pool_stop();
}

static void test_every_chunk_once(void **state) {
  (void)state;
  static const uint32_t sizes[] = {0, 1, 2, 3, 5, 7, 8, 16, 63, 100, 1000, MAX_CHUNKS};
  for (int t = 0; t < THREAD_COUNTS; t++) {
    start(thread_counts[t]);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      memset(counts, 0, sizeof counts);
      for (int repeat = 1; repeat <= 10; repeat++) ml_pool_run(count_chunk, counts, sizes[s]);
      assert_counts(sizes[s], 10);
    }
    ml_pool_stop();
  }
}

static void test_thousands_of_tiny_regions(void **state) {
  (void)state;
  for (int t = 0; t < THREAD_COUNTS; t++) {
    start(thread_counts[t]);
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < 5000; i++) ml_pool_run(count_chunk, counts, 3);
    assert_counts(3, 5000);
  }
  ml_pool_stop();
}

static void nap(long nanoseconds) {
  nanosleep(&(struct timespec){0, nanoseconds}, NULL);
}

/* Naps of about the time that workers spin, so that regions and jobs meet them as they fall asleep. */
static void test_sleeping_workers_wake(void **state) {
  (void)state;
  start(3);
  memset(counts, 0, sizeof counts);
  for (int i = 0; i < 400; i++) {
    ml_pool_run(count_chunk, counts, 8);
    nap(i % 100 * 1000);
  }
  assert_counts(8, 400);
  ml_pool_stop();
}

static atomic_int meeting;

/* Ends only when two threads are inside at once. */
static void meet(void *ctx, uint32_t chunk) {
  (void)ctx;
  (void)chunk;
  atomic_fetch_add(&meeting, 1);
  while (atomic_load(&meeting) < 2) sched_yield();
}

static void test_workers_take_part(void **state) {
  (void)state;
  start(2);
  for (int i = 0; i < 20; i++) {
    nap(i % 2 * 1000000); /* asleep every other time */
    atomic_store(&meeting, 0);
    ml_pool_run(meet, NULL, 2);
  }
  ml_pool_stop();
}

enum { OUTER = 12, INNER = 40 };

static void nested_chunk(void *ctx, uint32_t chunk) {
  int *rows = ctx;
  ml_pool_run(count_chunk, rows + chunk * INNER, INNER);
  ml_pool_run(count_chunk, rows + chunk * INNER, INNER);
}

static void note_thread(void *ctx, uint32_t chunk) {
  pthread_t *by = ctx;
  by[chunk] = pthread_self();
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  do clock_gettime(CLOCK_MONOTONIC, &now);
  while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < 5000);
}

/* A worker that spins when a region opens begins with its own share, not with the main thread's: else no thread would
 * find in its cache what it worked on before. */
static void test_threads_begin_with_their_shares(void **state) {
  (void)state;
  enum { REGIONS = 400 };
  pthread_t by[8];
  start(2);
  int own = 0;
  for (int i = 0; i < REGIONS; i++) {
    ml_pool_run(note_thread, by, 8);
    own += pthread_equal(by[0], pthread_self()) != 0;
  }
  ml_pool_stop();
  assert_true(own > REGIONS * 3 / 4);
}

static void test_nested_regions(void **state) {
  (void)state;
  for (int t = 0; t < THREAD_COUNTS; t++) {
    start(thread_counts[t]);
    memset(counts, 0, sizeof counts);
    for (int i = 0; i < 50; i++) ml_pool_run(nested_chunk, counts, OUTER);
    assert_counts(OUTER * INNER, 100);
  }
  ml_pool_stop();
}

static void count_range(void *ctx, int64_t begin, int64_t end) {
  int *at = ctx;
  for (int64_t i = begin; i < end; i++) at[i]++;
}

static void test_ranges(void **state) {
  (void)state;
  static const int64_t cases[][2] = {{0, 4},   {-3, 4},     {1, 1},          {1, 100}, {100, 1},
                                     {100, 7}, {4999, 512}, {10, INT64_MAX}, {10, 0},  {10, -5}};
  for (int t = 0; t < THREAD_COUNTS; t++) {
    start(thread_counts[t]);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
      memset(counts, 0, sizeof counts);
      ml_pool_for(count_range, counts, cases[c][0], cases[c][1]);
      assert_counts(cases[c][0] > 0 ? (uint32_t)cases[c][0] : 0, 1);
    }
  }
  ml_pool_stop();
}

static void check_grain(void *ctx, int64_t begin, int64_t end) {
  int64_t n = *(const int64_t *)ctx;
  if (begin % 10 == 0 && end == (begin + 10 < n ? begin + 10 : n)) counts[begin / 10]++;
}

static void test_ranges_depend_on_size_alone(void **state) {
  (void)state;
  for (int t = 0; t < THREAD_COUNTS; t++) {
    start(thread_counts[t]);
    memset(counts, 0, sizeof counts);
    ml_pool_for(check_grain, &(int64_t){95}, 95, 10);
    assert_counts(10, 1);
  }
  ml_pool_stop();
}

static void sum_job(void *ctx) {
  int *sum = ctx;
  for (int i = 0; i < 1000; i++) *sum += i % 3;
}

static void region_job(void *ctx) {
  ml_pool_run(count_chunk, ctx, 20);
}

/* Jobs beside regions, as the loader prepares a batch while another one trains. */
static void test_jobs(void **state) {
  (void)state;
  for (int t = 0; t < THREAD_COUNTS; t++) {
    start(thread_counts[t]);
    memset(counts, 0, sizeof counts);
    ml_job a = {0}, b = {0};
    int sum = 0;
    ml_pool_wait(&a); /* never submitted: nothing to wait for */
    for (int i = 0; i < 300; i++) {
      ml_pool_submit(&a, sum_job, &sum);
      ml_pool_submit(&b, region_job, counts + 100);
      for (int r = 0; r < i % 4; r++) ml_pool_run(count_chunk, counts, 5);
      if (i % 50 == 0) nap(200000);
      ml_pool_wait(i % 2 == 0 ? &a : &b);
      ml_pool_wait(i % 2 == 0 ? &b : &a);
      ml_pool_wait(&a);
    }
    assert_int_equal(sum, 300 * 999);
    for (int i = 0; i < 5; i++) assert_int_equal(counts[i], 450);
    for (int i = 100; i < 120; i++) assert_int_equal(counts[i], 300);
  }
  ml_pool_stop();
}

static void test_submitting_again_waits(void **state) {
  (void)state;
  start(2);
  ml_job job = {0};
  int sum = 0;
  for (int i = 0; i < 100; i++) ml_pool_submit(&job, sum_job, &sum);
  ml_pool_wait(&job);
  assert_int_equal(sum, 100 * 999);
  ml_pool_stop();
}

static void test_job_outlives_the_pool(void **state) {
  (void)state;
  start(1);
  ml_job jobs[3] = {{0}};
  int sums[3] = {0};
  for (int i = 0; i < 3; i++) ml_pool_submit(&jobs[i], sum_job, &sums[i]);
  ml_pool_stop();
  static const int order[] = {1, 2, 0}; /* from the middle, the end, the front of the list */
  for (int i = 0; i < 3; i++) ml_pool_wait(&jobs[order[i]]);
  for (int i = 0; i < 3; i++) assert_int_equal(sums[i], 999);
}

/* Chains of jobs, behind a job that waits already and beside regions; waited for from both ends. */
static void test_chains(void **state) {
  (void)state;
  for (int t = 0; t < THREAD_COUNTS; t++) {
    start(thread_counts[t]);
    ml_pool_submit_chain(NULL);
    int sums[9] = {0};
    ml_job jobs[9] = {{0}};
    for (int i = 0; i < 200; i++) {
      ml_pool_submit(&jobs[8], sum_job, &sums[8]);
      for (int j = 0; j < 8; j++)
        jobs[j] = (ml_job){.fn = sum_job, .ctx = &sums[j], .next = j < 7 ? &jobs[j + 1] : NULL};
      ml_pool_submit_chain(&jobs[0]);
      if (i % 50 == 0) nap(200000);
      if (i % 3 == 0) ml_pool_run(count_chunk, counts, 5);
      for (int j = 0; j < 9; j++) ml_pool_wait(&jobs[i % 2 == 0 ? j : 8 - j]);
      for (int j = 0; j < 9; j++) assert_int_equal(sums[j], (i + 1) * 999);
    }
  }
  ml_pool_stop();
}

static void run_in_worker(void *ctx) {
  *(bool *)ctx = true;
  nap(3000000);
}

/* A job that a worker has begun is waited for, beyond the time of spinning. */
static void test_waits_for_a_running_job(void **state) {
  (void)state;
  start(2);
  ml_job job = {0};
  bool ran = false;
  ml_pool_submit(&job, run_in_worker, &ran);
  for (int i = 0; i < 2000 && atomic_load(&job.state) == 1; i++) nap(100000);
  ml_pool_wait(&job);
  assert_true(ran);
  ml_pool_stop();
}

static void test_start_checks_and_replaces(void **state) {
  (void)state;
  static const int wrong[] = {0, -1, ML_MAX_THREADS + 1, 1000000000};
  start(3);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    ml_error err;
    assert_int_equal(ml_pool_start(wrong[i], &err), ML_MISUSE);
    assert_non_null(strstr(err.message, "threads: expected 1 to 256, got "));
    assert_int_equal(ml_pool_threads(), 3);
  }
  for (int i = 1; i <= 20; i++) {
    start(i % 5 + 1);
    memset(counts, 0, sizeof counts);
    ml_pool_run(count_chunk, counts, 10);
    assert_counts(10, 1);
  }
  ml_pool_stop();
  assert_int_equal(ml_pool_threads(), 1);
  assert_true(ml_pool_processors() >= 1);
}

static void note_mask(void *ctx, uint32_t chunk) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  if (chunk == 1) *(sigset_t *)ctx = mask;
  meet(NULL, chunk);
}

/* Signals reach the main thread only. Two chunks that meet run in two threads; either may be the worker's. */
static void test_workers_block_signals(void **state) {
  (void)state;
  start(2);
  bool worker_seen = false;
  for (int i = 0; i < 1000 && !worker_seen; i++) {
    sigset_t mask;
    atomic_store(&meeting, 0);
    ml_pool_run(note_mask, &mask, 2);
    worker_seen = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1;
    if (worker_seen) assert_int_equal(sigismember(&mask, SIGSEGV), 0);
    nap(20000);
  }
  assert_true(worker_seen);
  sigset_t own;
  pthread_sigmask(SIG_SETMASK, NULL, &own);
  assert_int_equal(sigismember(&own, SIGINT), 0);
  ml_pool_stop();
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_runs_before_start),
    cmocka_unit_test(test_every_chunk_once),
    cmocka_unit_test(test_thousands_of_tiny_regions),
    cmocka_unit_test(test_sleeping_workers_wake),
    cmocka_unit_test(test_workers_take_part),
    cmocka_unit_test(test_threads_begin_with_their_shares),
    cmocka_unit_test(test_nested_regions),
    cmocka_unit_test(test_ranges),
    cmocka_unit_test(test_ranges_depend_on_size_alone),
    cmocka_unit_test(test_jobs),
    cmocka_unit_test(test_submitting_again_waits),
    cmocka_unit_test(test_job_outlives_the_pool),
    cmocka_unit_test(test_chains),
    cmocka_unit_test(test_waits_for_a_running_job),
    cmocka_unit_test(test_start_checks_and_replaces),
    cmocka_unit_test(test_workers_block_signals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
