/* Stochastic gradient descent with momentum, as PyTorch defines it. Called by ml_optimizer_step on spans of a
 * parameter; it starts no threads and allocates nothing.
 *
 *   d = g + weight_decay w
 *   b = momentum b + (1 - dampening) d       b = d at the first step, whatever the dampening
 *   u = b, or d + momentum b with nesterov;  u = d without momentum
 *   w = w - lr u
 *
 * Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013, in the form that
 * leaves the learning rate out of the buffer, so that a schedule acts at once. */
#include <stddef.h>

#include "optim/kinds.h"

static int sgd_slot_count(const ml_hyper *h) { return h->momentum != 0; }

static void sgd_plain(float *restrict w, const float *restrict g, int64_t n, float lr, float decay) {
  for (int64_t i = 0; i < n; i++) w[i] -= lr * (g[i] + decay * w[i]);
}

static void sgd_momentum(float *restrict w, const float *restrict g, float *restrict b, int64_t n, const ml_hyper *h,
                         float keep) {
  const float lr = (float)h->lr, decay = (float)h->weight_decay, momentum = (float)h->momentum;
  for (int64_t i = 0; i < n; i++) {
    b[i] = momentum * b[i] + keep * (g[i] + decay * w[i]);
    w[i] -= lr * b[i];
  }
}

static void sgd_nesterov(float *restrict w, const float *restrict g, float *restrict b, int64_t n, const ml_hyper *h,
                         float keep) {
  const float lr = (float)h->lr, decay = (float)h->weight_decay, momentum = (float)h->momentum;
  for (int64_t i = 0; i < n; i++) {
    float d = g[i] + decay * w[i];
    b[i] = momentum * b[i] + keep * d;
    w[i] -= lr * (d + momentum * b[i]);
  }
}

/* Reads lr, momentum, dampening, weight_decay, nesterov and step. The buffer is zero before step 1, so keep = 1 there
 * makes it d itself. */
static void sgd_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  float keep = h->step == 1 ? 1.0f : (float)(1.0 - h->dampening);
  if (sgd_slot_count(h) == 0)
    sgd_plain(w, g, n, (float)h->lr, (float)h->weight_decay);
  else if (h->nesterov)
    sgd_nesterov(w, g, slot[0], n, h, keep);
  else
    sgd_momentum(w, g, slot[0], n, h, keep);
}

const ml_optimizer ml_optimizer_sgd = {
    .name = "SGD", .slots = {"momentum_buffer", NULL}, .slot_count = sgd_slot_count, .step = sgd_step};
