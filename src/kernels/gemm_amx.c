/* The bf16 register kernel for AMX: 32 rows by 32 columns of c in four tile registers, two for A, two for B. Called by
 * gemm_bf16.c and the convolutions, on processors that have AMX once the operating system has let the process use it
 * (base/cpu.c asks). What the instructions compute is bf16.h's model. */
#include "kernels/gemm_bf16.h"

#if defined(__x86_64__) && (defined(__AMX_BF16__) || defined(__AMXBF16__))
#include <immintrin.h>

enum { MR = 32, NR = 32, SIDE = 16, TILE_BYTES = 1024, STEP_BYTES = 2 * TILE_BYTES };

/* Eight tile registers of 16 rows by 64 bytes. Kept by each thread once it has it. By hand, since gcc 12 takes the
 * intrinsic for one that does not read its argument. */
static void configure_thread(void) {
  static _Thread_local bool configured;
  if (configured) return;
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } config = {.palette = 1};
  for (int t = 0; t < 8; t++) {
    config.row_bytes[t] = 64;
    config.rows[t] = SIDE;
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(config) : "memory");
  configured = true;
}

/* c[MR, NR] = x[MR, NR] with bias and relu */
static void finish(float *c, int64_t ldc, const float *x, ml_finish f) {
  for (int64_t j = 0; j < NR; j += SIDE) {
    const __m512 bias = f.bias ? _mm512_loadu_ps(f.bias + j) : _mm512_setzero_ps();
    for (int64_t i = 0; i < MR; i++) {
      __m512 v = _mm512_load_ps(x + i * NR + j);
      if (f.bias) v = _mm512_add_ps(v, bias);
      if (f.relu) v = _mm512_max_ps(_mm512_setzero_ps(), v); /* NaN, as the second operand, stays */
      _mm512_storeu_ps(c + i * ldc + j, v);
    }
  }
}

/* Tile registers 0 to 3 are c's quarters, 4 and 5 A's halves, 6 and 7 B's. The number of a register is part of the
 * instruction, so these are macros: store quarter t of the panel before, if there was one; begin it anew. */
#define QUARTER(t, base, ld) ((base) + (t) / 2 * SIDE * (ld) + (t) % 2 * SIDE)
#define STORE(t, base, ld) _tile_stored(t, QUARTER(t, base, ld), (ld) * (int64_t)sizeof(float))
#define BEGIN(t)                                                                     \
  do {                                                                               \
    if (q > 0) STORE(t, out, ld_out);                                                \
    if (f.add) {                                                                     \
      _tile_loadd(t, QUARTER(t, c, ldc), ldc *(int64_t)sizeof(float));               \
    } else {                                                                         \
      _tile_zero(t);                                                                 \
    }                                                                                \
  } while (0)

/* The quarters are stored during the first step of the next panel: stores wait for the last sums, which other
 * multiplications can meanwhile hide. With bias or relu they go through a buffer. */
static void run(float *c, int64_t ldc, const void *a_panels, int64_t a_stride, int64_t count, const void *b_panel,
                int64_t steps, ml_finish f) {
  _Alignas(64) float buffer[MR * NR];
  const bool buffered = f.bias || f.relu;
  const int64_t ld_out = buffered ? NR : ldc;
  float *out = buffer; /* where the panel before is stored */
  configure_thread();
  for (int64_t q = 0; q < count; q++, c += MR * ldc) {
    const char *a = (const char *)a_panels + q * a_stride, *b = b_panel;
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    BEGIN(0);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + TILE_BYTES, 64);
    BEGIN(1);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + TILE_BYTES, 64);
    BEGIN(2);
    _tile_dpbf16ps(2, 5, 6);
    BEGIN(3);
    _tile_dpbf16ps(3, 5, 7);
    if (buffered && q > 0) finish(c - MR * ldc, ldc, buffer, f);
    for (int64_t s = 1; s < steps; s++) {
      a += STEP_BYTES;
      b += STEP_BYTES;
      _tile_loadd(4, a, 64);
      _tile_loadd(6, b, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, b + TILE_BYTES, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, a + TILE_BYTES, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    if (!buffered) out = c;
  }
  STORE(0, out, ld_out);
  STORE(1, out, ld_out);
  STORE(2, out, ld_out);
  STORE(3, out, ld_out);
  if (buffered) finish(c - MR * ldc, ldc, buffer, f);
}

const ml_bf16_micro ml_bf16_amx = {MR, NR, 2, 60, ml_amx_pack_a, ml_amx_pack_b, run};
#endif
