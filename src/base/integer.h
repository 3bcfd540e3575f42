/* Small arithmetic on sizes and counts. Used wherever work is cut up; nothing here checks for overflow. */
#ifndef ML_BASE_INTEGER_H
#define ML_BASE_INTEGER_H

#include <stdint.h>

static inline int64_t ml_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t ml_max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* a / b, rounded up; a >= 0, b > 0. */
static inline int64_t ml_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* The smallest multiple of b that is not below a; a >= 0, b > 0. */
static inline int64_t ml_round_up(int64_t a, int64_t b) { return ml_ceil_div(a, b) * b; }

#endif
