/* The persistent thread pool. Work is cut into chunks by the problem's size alone; which thread runs a chunk is left to
 * chance, and never shows in a result because every output element is written by exactly one chunk.
 *
 * Only the main thread starts regions and jobs. With one thread everything runs in the caller. Workers spin for some
 * tens of microseconds between regions and then sleep. */
#ifndef ML_BASE_POOL_H
#define ML_BASE_POOL_H

#include <stdint.h>

#include "base/error.h"

#define ML_MAX_THREADS 256

typedef void (*ml_chunk_fn)(void *ctx, uint32_t chunk);
typedef void (*ml_range_fn)(void *ctx, int64_t begin, int64_t end);

/* Starts a pool of `threads` threads in all, the caller's included (1..ML_MAX_THREADS), replacing an earlier one. If
 * the system gives fewer, the pool works with those: *ml_pool_threads says how many. ML_MISUSE for a bad number. */
ml_status ml_pool_start(int threads, ml_error *err);
void ml_pool_stop(void);
int ml_pool_threads(void);

/* The number of processors this process may use (its affinity mask). */
int ml_pool_processors(void);

/* Runs fn(ctx, 0) .. fn(ctx, chunks - 1), each once, on all threads; returns when all are done. A region begun inside a
 * chunk runs in that chunk's thread. */
void ml_pool_run(ml_chunk_fn fn, void *ctx, uint32_t chunks);

/* Runs fn over [0, n) in ranges of `grain` (the last may be shorter). n of 0 runs nothing. */
void ml_pool_for(ml_range_fn fn, void *ctx, int64_t n, int64_t grain);

/* A job for whichever worker is idle first: how the next batch is prepared while this one trains. One job may be under
 * way at a time per ml_job, several ml_jobs in all. ml_pool_wait returns when it is done, running it itself if no
 * worker has begun it. Zero-initialise an ml_job before its first use; it must stay in place until waited for. */
typedef struct ml_job {
  void (*fn)(void *ctx);
  void *ctx;
  _Atomic int state;
  struct ml_job *next;
} ml_job;

void ml_pool_submit(ml_job *job, void (*fn)(void *ctx), void *ctx);

/* Several jobs at once, in the order of a chain: each has its fn and ctx, and none is under way. Workers that are idle
 * begin when the whole chain is there, so they do not hold up who submits it. */
void ml_pool_submit_chain(ml_job *first);
void ml_pool_wait(ml_job *job);

#endif
