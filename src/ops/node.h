/* What the files of the tape (tape.c, backward.c, step.c) share: the record of one call, and the list of what a step
 * will take back. Nothing else includes this. */
#ifndef ML_OPS_NODE_H
#define ML_OPS_NODE_H

#include "ops/tape.h"

/* Owned by call.out, its result; holds one reference to each input. So references only ever point from results to what
 * they were computed from, and a graph has no cycle. */
typedef struct ml_record {
  ml_node node; /* first: tensor.c sees a record as this */
  const ml_op *op;
  ml_call call;           /* inputs is 0 once used: they and `saved` are given back */
  uint32_t wants;         /* bit i: input i wanted a gradient when this was recorded */
  uint32_t versions[ML_OP_MAX_INPUTS + 1]; /* of the inputs' storages at that time; the last one is the output's */
  bool used;              /* has been through a backward pass */
  uint64_t sequence;      /* rises with every record: a result's is greater than those of its inputs */
  uint64_t pass;          /* the backward pass that saw this last */
  float *grad;            /* of call.out, during a backward pass */
  struct ml_record *next; /* in the list of records waiting to be released */
} ml_record;

/* The record of a computed tensor, NULL for a leaf. */
static inline ml_record *ml_record_of(const ml_tensor *t) { return (ml_record *)t->node; }

/* Gives back the inputs and the saved values. */
void ml_record_clear(ml_record *r);
/* Releases t's record, if it has one. However long the chain behind it, this does not recurse. */
void ml_record_drop(ml_tensor *t);

/* floats * sizeof(float) bytes, NULL for none; ML_NOMEM names the operation. */
ml_status ml_alloc_floats(float **out, size_t floats, const ml_op *op, ml_error *err);

/* Room for one more tensor in the step's list, so that ml_step_add cannot fail. Without a step both do nothing. */
ml_status ml_step_reserve(ml_error *err);
void ml_step_add(ml_tensor *t);

#endif
