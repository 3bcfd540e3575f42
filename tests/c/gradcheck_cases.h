/* The table of gradient-check cases: what test_gradcheck.c compares with central differences. */
#ifndef GRADCHECK_CASES_H
#define GRADCHECK_CASES_H

#include "ops/op.h"

#define GRADCHECK_MAX_INPUTS 5

/* How an input is filled. All but GC_SMOOTH's kinds of values are far from where a function bends. */
typedef enum gradcheck_fill {
  GC_SMOOTH,   /* uniform in -2.385 .. 2.385 */
  GC_POSITIVE, /* uniform in 0.385 .. 2.385 */
  GC_NONZERO,  /* 0.385 .. 2.385, either sign */
  GC_DISTINCT, /* a shuffled ladder: no two closer than 0.2 */
  GC_BETWEEN,  /* the same, half a rung higher: never close to a GC_DISTINCT */
  GC_ROWS,     /* positive rows that add up to 1; no gradient */
  GC_WEIGHTS,  /* GC_POSITIVE without gradient */
  GC_LABELS,   /* i32 in 0 .. classes - 1; no gradient */
  GC_LABELS_U8
} gradcheck_fill;

typedef struct gradcheck_input {
  gradcheck_fill fill;
  ml_shape shape;
  int classes; /* of labels */
} gradcheck_input;

typedef struct gradcheck_case {
  const char *op, *what;
  ml_attrs attrs;
  int inputs;
  gradcheck_input in[GRADCHECK_MAX_INPUTS];
} gradcheck_case;

extern const gradcheck_case gradcheck_cases[];
extern const size_t gradcheck_case_count;

#endif
