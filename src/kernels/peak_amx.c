/* The bf16 peak of AMX, from registers: 4 tiles of sums, each 16 x 16 f32, += 16 x 32 bf16 times 32 x 16 bf16, as the
 * matrix kernels hold them. Called by peak.c only, where the system lets this process use AMX. The tile configuration
 * that the thread had is put back, since the kernels may count on theirs. */
#include "kernels/peak.h"

#if defined(__x86_64__) && (defined(__AMX_BF16__) || defined(__AMXBF16__)) /* gcc; clang */
#include <immintrin.h>
#include <stdint.h>

enum { SUMS = 4, TILES = 8, TURNS = 1000, ROWS = 16, ROW_BYTES = 64 };

/* What ldtilecfg reads and sttilecfg writes; Intel's manual, volume 1, 18.3.1. */
typedef struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_config;

static void load_config(const tile_config *c) { __asm__ volatile("ldtilecfg %0" : : "m"(*c) : "memory"); }

static void store_config(tile_config *c) { __asm__ volatile("sttilecfg %0" : "=m"(*c) : : "memory"); }

/* Tiles 0 to 3 hold sums, 4 and 5 rows of A, 6 and 7 columns of B. */
double ml_peak_amx(void) {
  tile_config before, own = {.palette = 1};
  uint16_t values[ROWS * ROW_BYTES / sizeof(uint16_t)];
  for (int i = 0; i < TILES; i++) {
    own.row_bytes[i] = ROW_BYTES;
    own.rows[i] = ROWS;
  }
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) values[i] = 0x3b80; /* 1/256 in bf16 */
  store_config(&before);
  load_config(&own);
  __asm__ volatile("" : : "r"(values) : "memory");
  _tile_loadd(4, values, ROW_BYTES);
  _tile_loadd(5, values, ROW_BYTES);
  _tile_loadd(6, values, ROW_BYTES);
  _tile_loadd(7, values, ROW_BYTES);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int i = 0; i < TURNS; i++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  load_config(&before);
  return 2.0 * SUMS * ROWS * 16 * 32 * TURNS;
}
#endif
