/* What this machine can do at best, so that a speed can be told as a share of it: multiply-adds between registers, and
 * bytes read from memory. Measured in short slices, of which the best says what the machine can and the median what it
 * does beside its other load. `mnistlua doctor` and the benches ask; nothing that trains does. */
#ifndef ML_PEAK_H
#define ML_PEAK_H

#include <stdbool.h>
#include <stddef.h>

typedef enum ml_peak_kind {
  ML_PEAK_F32,   /* f32 multiply-adds with the instruction set in use */
  ML_PEAK_AMX,   /* bf16 products summed in f32 */
  ML_PEAK_READ,  /* bytes of a large array */
  ML_PEAK_COUNT
} ml_peak_kind;

/* FLOP/s (a multiply-add is two), for ML_PEAK_READ bytes/s. All threads together. */
typedef struct ml_peak {
  double best, median;
} ml_peak;

/* The array that ML_PEAK_READ walks through again and again: 64-byte aligned, at least 64 KB for each thread, written
 * before (pages that never were are all the same page), and far larger than the caches, else those are measured. */
typedef struct ml_peak_memory {
  const void *data;
  size_t bytes;
} ml_peak_memory;

const char *ml_peak_name(ml_peak_kind kind);   /* "f32", "amx", "read" */

/* Whether this machine can run that loop now: ML_PEAK_AMX needs AMX. */
bool ml_peak_possible(ml_peak_kind kind);

/* Computes for about `seconds` on the first `threads` threads of the pool (no more than it has). `memory` is read for
 * ML_PEAK_READ alone. Only for a kind that is possible. */
ml_peak ml_peak_measure(ml_peak_kind kind, int threads, double seconds, ml_peak_memory memory);

/* The loops (peak_*.c), each for its instruction set: some microseconds of work; they return the operations done. */
double ml_peak_portable(void);
double ml_peak_avx2(void);
double ml_peak_avx512(void);
double ml_peak_amx(void);

#endif
