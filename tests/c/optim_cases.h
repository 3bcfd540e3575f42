/* The table of optimizers and settings: what test_optim.c compares with formulas in double. */
#ifndef OPTIM_CASES_H
#define OPTIM_CASES_H

#include <stddef.h>

#include "optim/optim.h"

/* One element's move in double: w and its slots s[] by gradient g. */
typedef void (*naive_fn)(double *w, double g, double s[], const ml_hyper *h);

typedef struct optim_case {
  const char *label, *optimizer;
  naive_fn naive;
  int slots;
  ml_hyper h;
} optim_case;

extern const optim_case optim_cases[];
extern const size_t optim_case_count;

#endif
