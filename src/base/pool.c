/* The thread pool. A region's chunks are dealt out in as many shares as there are threads, share t being a run of
 * neighbouring chunks; a thread takes from its own first and then helps with the others'. So a thread meets the same
 * part of an array in one region after the other, and finds it in its own cache.
 *
 * A share is a ticket: one 64-bit word (generation << 32 | chunks left). Whoever lowers it by one has claimed a chunk,
 * and only then reads what the region is; that is safe because a region cannot end, nor the next one begin, while a
 * claimed chunk is unfinished, and the generation keeps a late worker from claiming in a region it has not looked at.
 * Tickets count once their generation is announced, when all are written: else a worker that spins would see the first
 * one before its own, and begin with somebody else's share. A region allocates nothing and takes no lock unless
 * somebody sleeps. Kernels and the loader call this; it knows nothing of what it runs. */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

enum { JOB_IDLE, JOB_QUEUED, JOB_RUNNING };

/* Two cache lines, because processors fetch lines in pairs. */
#define OWN_LINE _Alignas(128)

#define SPIN_NS 50000           /* how long an idle thread spins before it sleeps or yields */
#define SPIN_CROWDED_NS 2000    /* the same when there are more threads than processors */

typedef struct share {
  OWN_LINE _Atomic uint64_t ticket;
} share;

static struct {
  share shares[ML_MAX_THREADS];
  _Atomic int share_count;        /* as many as threads, or 0 before the first start */
  OWN_LINE _Atomic uint32_t announced; /* the generation of the tickets that count */
  OWN_LINE _Atomic uint32_t done; /* finished chunks of the region under way */
  OWN_LINE ml_chunk_fn fn;        /* the region; written by the main thread before it stores the tickets */
  void *ctx;
  uint32_t chunks;
  OWN_LINE _Atomic int sleepers;
  _Atomic int queued_jobs;
  _Atomic bool stopping;
  OWN_LINE pthread_mutex_t lock;  /* guards the list of jobs, and going to sleep */
  pthread_cond_t wake, job_done;
  ml_job *first_job, *last_job;
  int workers;                    /* the main thread's own, like what follows */
  int64_t spin_ns;
  pthread_t threads[ML_MAX_THREADS - 1];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .job_done = PTHREAD_COND_INITIALIZER,
          .spin_ns = SPIN_NS};

static _Thread_local bool inside_chunk;
static _Thread_local int own_share; /* 0 for the main thread */

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("" ::: "memory");
#endif
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A spin of limited time: begin with {0}, call in the loop; false once pool.spin_ns have passed. */
typedef struct spin {
  uint32_t turns;
  int64_t end;
} spin;

static bool keep_spinning(spin *s) {
  pause_briefly();
  if (++s->turns % 64 != 0) return true;
  int64_t now = now_ns();
  if (s->end == 0) s->end = now + pool.spin_ns;
  return now < s->end;
}

/* Where share s ends, and share s + 1 begins. */
static uint32_t share_end(int s) {
  const int count = atomic_load_explicit(&pool.share_count, memory_order_relaxed);
  return (uint32_t)((uint64_t)pool.chunks * (uint64_t)(s + 1) / (uint64_t)count);
}

/* Lowers the share's ticket by one. False if no chunk of this generation is left; otherwise *left is what it held
 * before. */
static bool claim_chunk(share *s, uint32_t generation, uint32_t *left) {
  uint64_t ticket = atomic_load_explicit(&s->ticket, memory_order_relaxed);
  while ((uint32_t)ticket > 0 && (uint32_t)(ticket >> 32) == generation)
    if (atomic_compare_exchange_weak_explicit(&s->ticket, &ticket, ticket - 1, memory_order_acquire,
                                              memory_order_relaxed)) {
      *left = (uint32_t)ticket;
      return true;
    }
  return false;
}

/* Runs chunks of the region under way until none is left to claim; false if there was none. The first claim keeps the
 * region open until `ran` is reported, so all claims of this loop belong to it. */
static bool help_region(void) {
  const uint32_t generation = atomic_load_explicit(&pool.announced, memory_order_acquire);
  const int shares = atomic_load_explicit(&pool.share_count, memory_order_relaxed);
  uint32_t left, ran = 0;
  inside_chunk = true;
  for (int i = 0; i < shares; i++) {
    const int s = own_share + i < shares ? own_share + i : own_share + i - shares;
    for (; claim_chunk(&pool.shares[s], generation, &left); ran++) pool.fn(pool.ctx, share_end(s) - left);
  }
  inside_chunk = false;
  if (ran > 0) atomic_fetch_add_explicit(&pool.done, ran, memory_order_release);
  return ran > 0;
}

/* Holds the lock. */
static void unlink_job(ml_job *job) {
  ml_job *before = NULL;
  for (ml_job *j = pool.first_job; j != job; j = j->next) before = j;
  if (before == NULL) pool.first_job = job->next;
  else before->next = job->next;
  if (pool.last_job == job) pool.last_job = before;
  job->next = NULL;
  atomic_fetch_sub(&pool.queued_jobs, 1);
  atomic_store(&job->state, JOB_RUNNING);
}

/* The job's owner may reuse its memory as soon as the state is JOB_IDLE, so nothing touches it after that. */
static void finish_job(ml_job *job) {
  pthread_mutex_lock(&pool.lock);
  atomic_store(&job->state, JOB_IDLE);
  pthread_cond_broadcast(&pool.job_done);
  pthread_mutex_unlock(&pool.lock);
}

static bool run_queued_job(void) {
  if (atomic_load_explicit(&pool.queued_jobs, memory_order_relaxed) == 0) return false;
  pthread_mutex_lock(&pool.lock);
  ml_job *job = pool.first_job;
  if (job != NULL) unlink_job(job);
  pthread_mutex_unlock(&pool.lock);
  if (job == NULL) return false;
  inside_chunk = true;
  job->fn(job->ctx);
  inside_chunk = false;
  finish_job(job);
  return true;
}

/* A ticket that is seen before its generation is announced counts, too: this asks for no more than a look. */
static bool work_is_there(void) {
  (void)atomic_load(&pool.announced);
  for (int s = 0; s < atomic_load_explicit(&pool.share_count, memory_order_relaxed); s++)
    if ((uint32_t)atomic_load(&pool.shares[s].ticket) > 0) return true;
  return atomic_load(&pool.queued_jobs) > 0 || atomic_load(&pool.stopping);
}

/* Announces the sleep before it looks once more: either this thread sees the new work, or who brought it sees a sleeper
 * and must wait for the lock, which is let go only inside pthread_cond_wait. The accesses to sleepers, announced and
 * queued_jobs are sequentially consistent, and who sees a generation sees its tickets. */
static void sleep_until_work(void) {
  pthread_mutex_lock(&pool.lock);
  atomic_fetch_add(&pool.sleepers, 1);
  while (!work_is_there()) pthread_cond_wait(&pool.wake, &pool.lock);
  atomic_fetch_sub(&pool.sleepers, 1);
  pthread_mutex_unlock(&pool.lock);
}

static void wake_sleepers(void) {
  if (atomic_load(&pool.sleepers) == 0) return;
  pthread_mutex_lock(&pool.lock);
  pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.lock);
}

static void *worker_main(void *share_number) {
  own_share = (int)(intptr_t)share_number;
  spin idle = {0};
  while (!atomic_load_explicit(&pool.stopping, memory_order_relaxed)) {
    if (help_region() || run_queued_job()) idle = (spin){0};
    else if (!keep_spinning(&idle)) {
      sleep_until_work();
      idle = (spin){0};
    }
  }
  return NULL;
}

int ml_pool_processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  long count = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t holds */
  return count > 0 ? (int)count : 1;
}

int ml_pool_threads(void) {
  return pool.workers + 1;
}

/* Signals of the outside are for the main thread. Those of the processor stay open, so that a fault is reported. */
static void block_signals(sigset_t *before) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
  sigset_t set;
  sigfillset(&set);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&set, faults[i]);
  pthread_sigmask(SIG_SETMASK, &set, before);
}

/* New threads inherit the signal mask and the floating-point control word of the caller. */
ml_status ml_pool_start(int threads, ml_error *err) {
  if (threads < 1 || threads > ML_MAX_THREADS)
    return ml_fail(err, ML_MISUSE, "threads: expected 1 to %d, got %d", ML_MAX_THREADS, threads);
  ml_pool_stop();
  pool.spin_ns = threads > ml_pool_processors() ? SPIN_CROWDED_NS : SPIN_NS;
  sigset_t before;
  block_signals(&before);
  while (pool.workers < threads - 1 &&
         pthread_create(&pool.threads[pool.workers], NULL, worker_main, (void *)(intptr_t)(pool.workers + 1)) == 0)
    pool.workers++;
  atomic_store(&pool.share_count, pool.workers + 1);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return ML_OK;
}

void ml_pool_stop(void) {
  atomic_store(&pool.stopping, true);
  wake_sleepers();
  for (int i = 0; i < pool.workers; i++) pthread_join(pool.threads[i], NULL);
  pool.workers = 0;
  atomic_store(&pool.stopping, false);
}

static void run_serially(ml_chunk_fn fn, void *ctx, uint32_t chunks) {
  bool nested = inside_chunk;
  inside_chunk = true;
  for (uint32_t i = 0; i < chunks; i++) fn(ctx, i);
  inside_chunk = nested;
}

/* Tells everyone of a region. All shares are of one generation, which no thread has seen before. */
static void open_shares(void) {
  const uint32_t generation = atomic_load_explicit(&pool.announced, memory_order_relaxed) + 1;
  for (int s = 0; s <= pool.workers; s++) {
    const uint32_t chunks = share_end(s) - (s > 0 ? share_end(s - 1) : 0);
    atomic_store_explicit(&pool.shares[s].ticket, (uint64_t)generation << 32 | chunks, memory_order_relaxed);
  }
  atomic_store(&pool.announced, generation);
}

void ml_pool_run(ml_chunk_fn fn, void *ctx, uint32_t chunks) {
  if (inside_chunk || chunks <= 1 || pool.workers == 0) {
    run_serially(fn, ctx, chunks);
    return;
  }
  pool.fn = fn;
  pool.ctx = ctx;
  pool.chunks = chunks;
  atomic_store_explicit(&pool.done, 0, memory_order_relaxed);
  open_shares();
  wake_sleepers();
  help_region();
  spin waiting = {0};
  while (atomic_load_explicit(&pool.done, memory_order_acquire) != chunks)
    if (!keep_spinning(&waiting)) sched_yield();
}

typedef struct range_region {
  ml_range_fn fn;
  void *ctx;
  int64_t base, n, grain;
} range_region;

static void run_range(void *ctx, uint32_t chunk) {
  const range_region *r = ctx;
  int64_t begin = r->base + (int64_t)chunk * r->grain;
  r->fn(r->ctx, begin, r->n - begin < r->grain ? r->n : begin + r->grain);
}

void ml_pool_for(ml_range_fn fn, void *ctx, int64_t n, int64_t grain) {
  if (n <= 0) return;
  if (grain < 1) grain = 1;
  range_region region = {fn, ctx, 0, n, grain};
  for (int64_t left = (n - 1) / grain + 1; left > 0;) { /* one region, unless its chunks exceed 32 bits */
    uint32_t chunks = left > INT32_MAX ? INT32_MAX : (uint32_t)left;
    ml_pool_run(run_range, &region, chunks);
    left -= chunks;
    if (left > 0) region.base += (int64_t)chunks * grain;
  }
}

void ml_pool_submit_chain(ml_job *first) {
  int count = 0;
  ml_job *last = NULL;
  for (ml_job *job = first; job != NULL; last = job, job = job->next, count++)
    atomic_store_explicit(&job->state, JOB_QUEUED, memory_order_relaxed);
  if (count == 0) return;
  pthread_mutex_lock(&pool.lock);
  if (pool.last_job == NULL) pool.first_job = first;
  else pool.last_job->next = first;
  pool.last_job = last;
  atomic_fetch_add(&pool.queued_jobs, count);
  if (atomic_load(&pool.sleepers) > 0) pthread_cond_broadcast(&pool.wake);
  pthread_mutex_unlock(&pool.lock);
}

void ml_pool_submit(ml_job *job, void (*fn)(void *ctx), void *ctx) {
  ml_pool_wait(job); /* in case its last use is still under way */
  job->fn = fn;
  job->ctx = ctx;
  job->next = NULL;
  ml_pool_submit_chain(job);
}

static bool job_runs(ml_job *job) {
  return atomic_load_explicit(&job->state, memory_order_acquire) == JOB_RUNNING;
}

void ml_pool_wait(ml_job *job) {
  if (atomic_load_explicit(&job->state, memory_order_acquire) == JOB_IDLE) return;
  pthread_mutex_lock(&pool.lock);
  bool mine = atomic_load(&job->state) == JOB_QUEUED;
  if (mine) unlink_job(job);
  pthread_mutex_unlock(&pool.lock);
  if (mine) {
    job->fn(job->ctx);
    finish_job(job);
    return;
  }
  for (spin waiting = {0}; job_runs(job) && keep_spinning(&waiting);) continue;
  pthread_mutex_lock(&pool.lock);
  while (job_runs(job)) pthread_cond_wait(&pool.job_done, &pool.lock);
  pthread_mutex_unlock(&pool.lock);
}
