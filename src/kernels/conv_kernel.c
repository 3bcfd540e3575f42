/* Chooses the register kernels of a convolution and passes on to them: see conv_kernel.h. */
#include "kernels/conv_kernel.h"

#include "base/integer.h"
#include "kernels/isa.h"

const ml_conv_unit *ml_conv_unit_in_use(void) { return ML_FOR_ISA(ml_conv); }

ml_conv_kernel ml_conv_kernel_in_use(void) {
  ml_conv_kernel kernel = {.unit = ml_conv_unit_in_use(), .precision = ml_precision_in_use()};
  if (kernel.precision == ML_PRECISION_F32) {
    kernel.mr = kernel.unit->micro->mr;
    kernel.nr = kernel.unit->micro->nr;
    kernel.step = kernel.unit->micro->step;
  } else {
    kernel.bf16 = ml_bf16_micro_in_use();
    kernel.mr = kernel.bf16->mr;
    kernel.nr = kernel.bf16->nr;
    kernel.step = kernel.mr;
  }
  return kernel;
}

/* Equal blocks in f32; whole steps in bf16, fewer where a product takes three. */
int64_t ml_conv_block(const ml_conv_kernel *kernel, int64_t k) {
  if (kernel->precision == ML_PRECISION_F32) return ml_ceil_div(k, ml_ceil_div(k, ML_CONV_MAX_BLOCK));
  const int64_t steps = ML_CONV_MAX_BLOCK / ML_BF16_STEP / ml_bf16_steps(1, kernel->precision);
  return steps * ML_BF16_STEP;
}

size_t ml_conv_panel_bytes(const ml_conv_kernel *kernel, int width, int64_t k) {
  if (!kernel->bf16) return (size_t)(width * k) * sizeof(float);
  return (size_t)(ml_bf16_steps(k, kernel->precision) * ML_BF16_STEP * width * kernel->bf16->element);
}

void ml_conv_pack_a(const ml_conv_kernel *kernel, void *panel, const float *x, int64_t stride, int64_t count,
                    int64_t k) {
  if (kernel->bf16) {
    kernel->bf16->pack_a(panel, x, stride, 1, count, k, kernel->precision);
  } else {
    ml_pack_panels(panel, kernel->mr, count, x, stride, 1, k);
  }
}

void ml_conv_pack_b(const ml_conv_kernel *kernel, void *panel, const float *x, int64_t stride, int64_t count,
                    int64_t k) {
  if (kernel->bf16) {
    kernel->bf16->pack_b(panel, x, stride, 1, count, k, kernel->precision);
  } else {
    ml_pack_panels(panel, kernel->nr, count, x, stride, 1, k);
  }
}
