/* Scaled dot-product attention with several heads, and its gradients. Called by the attention operation; allocates
 * nothing and never fails: callers have checked the sizes and hand over the workspace.
 *
 * The features of a token are `heads` runs of `width`, one for each head. Head h of a sample computes
 *
 *   p = softmax(q k^T / sqrt(width)) over the keys,   y = p v
 *
 * of its own run of every token. Products are computed in the precision of kernels/precision.h, the softmax in f32. The
 * bits are the same on any number of threads, and a sample does not depend on the others of its batch. */
#ifndef ML_ATTENTION_H
#define ML_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

/* n, heads, t and width may be 0; s is at least 1. */
typedef struct ml_attention {
  int64_t n, heads, width;
  int64_t t, s;        /* tokens of a sample: of q and y, of k and v */
  int64_t row;         /* floats from a token of q, k or v to the next: heads * width, or more where they share rows */
  bool causal;         /* query i sees keys 0..i only, both counted from 0 */
  float dropout;       /* 0 <= dropout < 1: y = mask(p) v, as ml_dropout masks; a head's mask begins on a new block */
  ml_rng rng;          /* the mask's stream */
} ml_attention;

/* Floats of workspace for either function below, to be 64-byte aligned. */
size_t ml_attention_workspace(const ml_attention *g);

/* y[n, t, heads * width] and p[n, heads, t, s], the softmax before the dropout, from q[n, t], k[n, s] and v[n, s],
 * which have rows of heads * width floats, `row` apart. */
void ml_attention_forward(float *y, float *p, const float *q, const float *k, const float *v, const ml_attention *g,
                          float *work);

/* dq, dk and dv, which lie as q, k and v do, from dy; each may be NULL. */
void ml_attention_backward(float *dq, float *dk, float *dv, const float *dy, const float *q, const float *k,
                           const float *v, const float *p, const ml_attention *g, float *work);

#endif
