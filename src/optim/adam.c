/* Adam and AdamW, as PyTorch defines them. Called by ml_optimizer_step on spans of a parameter; they start no threads
 * and allocate nothing.
 *
 *   Adam:  g = g + weight_decay w            the decay goes through the moments (Kingma & Ba, ICLR 2015)
 *   AdamW: w = w - lr weight_decay w         the decay acts on the weight alone (Loshchilov & Hutter, ICLR 2019)
 *   both:  m = beta1 m + (1 - beta1) g
 *          v = beta2 v + (1 - beta2) g^2
 *          w = w - lr / (1 - beta1^step) m / (sqrt(v) / sqrt(1 - beta2^step) + eps) */
#include <math.h>
#include <stddef.h>

#include "kernels/update.h"
#include "optim/kinds.h"
#include "optim/power.h"

static int adam_slot_count(const ml_hyper *h) {
  (void)h;
  return 2;
}

/* The factors of one step, computed in double and rounded once. w is first multiplied by `shrink`, and `decay` times w
 * is added to the gradient. */
static ml_adam_factors factors(const ml_hyper *h, double shrink, double decay) {
  return (ml_adam_factors){
      .beta1 = (float)h->beta1,
      .one_minus_beta1 = (float)(1.0 - h->beta1),
      .beta2 = (float)h->beta2,
      .one_minus_beta2 = (float)(1.0 - h->beta2),
      .step_size = (float)(h->lr / (1.0 - ml_optim_power(h->beta1, h->step))),
      .root = (float)(1.0 / sqrt(1.0 - ml_optim_power(h->beta2, h->step))),
      .eps = (float)h->eps,
      .shrink = (float)shrink,
      .decay = (float)decay,
  };
}

/* Reads lr, beta1, beta2, eps, weight_decay and step. */
static void adam_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  const ml_adam_factors f = factors(h, 1.0, h->weight_decay);
  ml_update_adam(w, g, slot[0], slot[1], n, &f);
}

static void adamw_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  const ml_adam_factors f = factors(h, 1.0 - h->lr * h->weight_decay, 0.0);
  ml_update_adam(w, g, slot[0], slot[1], n, &f);
}

const ml_optimizer ml_optimizer_adam = {
    .name = "Adam", .slots = {"exp_avg", "exp_avg_sq", NULL}, .slot_count = adam_slot_count, .step = adam_step};

const ml_optimizer ml_optimizer_adamw = {
    .name = "AdamW", .slots = {"exp_avg", "exp_avg_sq", NULL}, .slot_count = adam_slot_count, .step = adamw_step};
