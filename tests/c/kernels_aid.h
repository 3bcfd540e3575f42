/* What the tests of src/kernels share: inputs, outputs between guard values, and the demand that every number of
 * threads (and, where the loops use plain arithmetic, every instruction set) gives the same bits. */
#ifndef KERNELS_AID_H
#define KERNELS_AID_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* n floats from ml_alloc, n >= 0: with whatever is there; uniform in [-1, 1); |x|. */
float *kernels_floats(int64_t n);
float *kernels_random(int64_t n, uint32_t seed);
float *kernels_absolute(const float *x, int64_t n);

/* How an operand of a product lies in memory. */
typedef enum kernels_layout {
  LAID_ROWS, LAID_COLUMNS, LAID_PADDED_ROWS, LAID_PADDED_COLUMNS, LAID_SCATTERED, LAYOUTS
} kernels_layout;

/* The matrix [rows, cols] in data, which has kernels_room floats: enough for any layout. */
ml_matrix kernels_lay(const float *data, int64_t rows, int64_t cols, kernels_layout layout);
int64_t kernels_room(int64_t rows, int64_t cols);

/* n floats of NaN between guard values. */
typedef struct kernels_guarded {
  float *x;
  int64_t n;
} kernels_guarded;

kernels_guarded kernels_guard(int64_t n);
void kernels_poison(kernels_guarded *g);       /* NaN everywhere between the guards */
void kernels_check_guards(const kernels_guarded *g);
void kernels_unguard(kernels_guarded *g);

/* Calls run(out, ctx) with out[n] poisoned, on 1, 2, 3 and 8 threads for every instruction set of this machine, and
 * fails if a guard was overwritten, or if two numbers of threads, or with across_isas two instruction sets, differ in
 * a bit; all NaNs are alike. After the first run of each instruction set it calls check(out, ctx) if there is one. */
void kernels_run_everywhere(void (*run)(float *out, void *ctx), void (*check)(const float *out, void *ctx), void *ctx,
                            int64_t n, bool across_isas);

/* Fails, saying where, unless |got[i] - want[i]| <= relative |want[i]| + absolute; NaN and infinities must agree. */
void kernels_check_close(const float *got, const float *want, int64_t n, double relative, double absolute,
                         const char *what);

/* Fails unless all n floats are equal by value (0 and -0 are), or both NaN. */
void kernels_check_equal(const float *got, const float *want, int64_t n, const char *what);

#endif
