/* Schedule-free SGD and AdamW (Defazio et al., "The Road Less Scheduled", 2024). Called by ml_optimizer_step on spans
 * of a parameter; they start no threads and allocate nothing.
 *
 * Three points: z, which the gradients move; x, the weighted mean of all z, where the model is evaluated; and
 * y = beta x + (1 - beta) z, where gradients are taken, which is what w holds:
 *
 *   SGD:   z = z - lr (g + weight_decay y)                         beta is `momentum`
 *   AdamW: z = z - lr (g / (sqrt(v) / sqrt(1 - beta2^step) + eps) + weight_decay y),  v as in Adam;  beta is `beta1`
 *   both:  x = x + average_share (z - x)
 *
 * average_share, this step's weight over the sum of all weights so far, comes from the caller, who keeps that sum. The
 * slot holds z - x: with w it says where z and x are (x = w - (1 - beta) slot), and it starts at 0 wherever the weights
 * do. */
#include <math.h>
#include <stddef.h>

#include "kernels/update.h"
#include "optim/kinds.h"
#include "optim/power.h"

static ml_schedule_free_factors factors(const ml_hyper *h, double beta) {
  return (ml_schedule_free_factors){
      .lr = (float)h->lr,
      .decay = (float)h->weight_decay,
      .away = (float)(1.0 - beta),
      .share = (float)h->average_share,
      .keep = (float)(1.0 - h->average_share),
  };
}

static int sgd_slot_count(const ml_hyper *h) {
  (void)h;
  return 1;
}

/* Reads lr, momentum, weight_decay and average_share. */
static void sgd_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  const ml_schedule_free_factors f = factors(h, h->momentum);
  ml_update_schedule_free(w, g, slot[0], NULL, n, &f);
}

static int adamw_slot_count(const ml_hyper *h) {
  (void)h;
  return 2;
}

/* Reads lr, beta1, beta2, eps, weight_decay, average_share and step. */
static void adamw_step(float *w, const float *g, float *const slot[], int64_t n, const ml_hyper *h) {
  ml_schedule_free_factors f = factors(h, h->beta1);
  f.beta2 = (float)h->beta2;
  f.one_minus_beta2 = (float)(1.0 - h->beta2);
  f.root = (float)(1.0 / sqrt(1.0 - ml_optim_power(h->beta2, h->step)));
  f.eps = (float)h->eps;
  ml_update_schedule_free(w, g, slot[0], slot[1], n, &f);
}

const ml_optimizer ml_optimizer_sgd_schedule_free = {
    .name = "SGDScheduleFree", .slots = {"z_minus_x", NULL}, .slot_count = sgd_slot_count, .step = sgd_step};

const ml_optimizer ml_optimizer_adamw_schedule_free = {.name = "AdamWScheduleFree",
                                                       .slots = {"z_minus_x", "exp_avg_sq", NULL},
                                                       .slot_count = adamw_slot_count,
                                                       .step = adamw_step};
