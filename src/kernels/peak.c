/* Measures the machine's ceilings: chooses the loop, lets every thread repeat it until the slice is over, and sums up
 * what was done. A thread that was late or that lost its processor did less, and that is what the figure is to tell. */
#include "kernels/peak.h"

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/cpu.h"
#include "base/pool.h"
#include "kernels/isa.h"

enum { MAX_SLICES = 201, READ_BYTES = 1 << 16 };
static const double slice_seconds = 0.005;

typedef double (*peak_loop)(void);

typedef struct slice {
  peak_loop loop;              /* NULL: read */
  ml_peak_memory memory;
  int threads;
  double until;
  double done[ML_MAX_THREADS]; /* operations or bytes, by chunk */
  size_t at[ML_MAX_THREADS];   /* where in its part of the memory a chunk reads next */
} slice;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* READ_BYTES at data; the loads are what counts, so the sum only has to be used. */
static double read_block(const uint64_t *data) {
  uint64_t sum = 0;
  for (size_t i = 0; i < READ_BYTES / sizeof *data; i++) sum ^= data[i];
  __asm__ volatile("" : : "r"(sum));
  return READ_BYTES;
}

/* The next block of the chunk's own part of the memory, from the front again at its end. */
static double read_next(slice *s, uint32_t chunk) {
  const size_t part = s->memory.bytes / (size_t)s->threads / READ_BYTES * READ_BYTES;
  if (s->at[chunk] >= part) s->at[chunk] = 0;
  const char *block = (const char *)s->memory.data + chunk * part + s->at[chunk];
  s->at[chunk] += READ_BYTES;
  return read_block((const uint64_t *)(const void *)block);
}

static void run_chunk(void *ctx, uint32_t chunk) {
  slice *s = ctx;
  double done = 0;
  while (now() < s->until) done += s->loop ? s->loop() : read_next(s, chunk);
  s->done[chunk] = done;
}

static double run_slice(slice *s, double seconds) {
  const double begin = now();
  s->until = begin + seconds;
  ml_pool_run(run_chunk, s, (uint32_t)s->threads);
  const double passed = now() - begin;
  double done = 0;
  for (int i = 0; i < s->threads; i++) done += s->done[i];
  return done / passed;
}

static peak_loop loop_of(ml_peak_kind kind) {
#if defined(__x86_64__)
  if (kind == ML_PEAK_AMX) return ml_peak_amx;
#endif
  return kind == ML_PEAK_F32 ? ML_FOR_ISA(ml_peak) : NULL;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

const char *ml_peak_name(ml_peak_kind kind) {
  static const char *const names[ML_PEAK_COUNT] = {"f32", "amx", "read"};
  return (unsigned)kind < ML_PEAK_COUNT ? names[kind] : "unknown";
}

bool ml_peak_possible(ml_peak_kind kind) { return kind != ML_PEAK_AMX || ml_cpu_amx(); }

ml_peak ml_peak_measure(ml_peak_kind kind, int threads, double seconds, ml_peak_memory memory) {
  slice s = {.loop = loop_of(kind), .memory = memory};
  double rates[MAX_SLICES];
  s.threads = threads < ml_pool_threads() ? threads : ml_pool_threads();
  int count = (int)(seconds / slice_seconds + 0.5);
  count = count < 1 ? 1 : count > MAX_SLICES ? MAX_SLICES : count;
  for (int i = 0; i < count; i++) rates[i] = run_slice(&s, seconds / count);
  qsort(rates, (size_t)count, sizeof *rates, by_size);
  return (ml_peak){.best = rates[count - 1], .median = rates[count / 2]};
}
