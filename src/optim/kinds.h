/* The optimizers that there are, for list.c, which puts them in a table. Everyone else finds them by name. */
#ifndef ML_OPTIM_KINDS_H
#define ML_OPTIM_KINDS_H

#include "optim/optim.h"

extern const ml_optimizer ml_optimizer_adagrad;             /* adagrad.c */
extern const ml_optimizer ml_optimizer_adam;                /* adam.c */
extern const ml_optimizer ml_optimizer_adamw;               /* adam.c */
extern const ml_optimizer ml_optimizer_adamw_schedule_free; /* schedule_free.c */
extern const ml_optimizer ml_optimizer_lion;                /* lion.c */
extern const ml_optimizer ml_optimizer_nadam;               /* nadam.c */
extern const ml_optimizer ml_optimizer_rmsprop;             /* rmsprop.c */
extern const ml_optimizer ml_optimizer_sgd;                 /* sgd.c */
extern const ml_optimizer ml_optimizer_sgd_schedule_free;   /* schedule_free.c */

#endif
