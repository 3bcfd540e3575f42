/* Powers for bias corrections. Internal to src/optim. */
#ifndef ML_OPTIM_POWER_H
#define ML_OPTIM_POWER_H

#include <stdint.h>

/* base^exponent by squaring: libm's pow picks its code by CPU, so its last bit may differ between machines. */
static inline double ml_optim_power(double base, int64_t exponent) {
  double result = 1.0;
  for (; exponent > 0; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
}

#endif
