/* Packing for AMX: rounds strips of a strided f32 matrix to bf16, in the order in which gemm_amx.c loads tiles; the two
 * functions stand in its table. Called on processors that have AMX, and so AVX-512 with BF16.
 *
 * A panel is [steps][2] tiles of 1 KB, the second for rows (or columns) 16 to 31. A tile of A is [16 rows][16 pairs],
 * one of B [16 pairs][16 columns], where a pair is two products next to each other in K, in 4 bytes: the one is the
 * other's transpose. So there are two ways to read (along K, or along rows or columns), each of which yields the
 * tile of one side as it is and the other's after a transpose. */
#include "base/integer.h"
#include "kernels/gemm_bf16.h"

#if defined(__x86_64__) && (defined(__AMX_BF16__) || defined(__AMXBF16__))
#include <immintrin.h>

enum { SIDE = 16, TILE_BYTES = 1024, STEP_BYTES = 2 * TILE_BYTES };

/* Where the parts of a step's tile go: bf16 has `high` only. */
typedef struct parts {
  char *high, *rest, *low;
} parts;

static inline int64_t clamp(int64_t n, int64_t most) { return n < 0 ? 0 : n < most ? n : most; }

/* The first n lanes of 16. */
static inline __mmask16 first(int64_t n) { return (__mmask16)((1u << clamp(n, SIDE)) - 1); }

/* bf16 of x0[16] and x1[16], after each other. */
static inline __m512i narrow(__m512 x0, __m512 x1) { return (__m512i)_mm512_cvtne2ps_pbh(x1, x0); }

static inline __m512 widen(__m256i x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}

/* x - high where high is finite, otherwise 0 */
static inline __m512 remainder_of(__m512 x, __m512 high) {
  const __m512i infinity = _mm512_set1_epi32(0x7f800000);
  const __mmask16 finite =
      _mm512_cmpneq_epi32_mask(_mm512_and_epi32(_mm512_castps_si512(high), infinity), infinity);
  return _mm512_maskz_sub_ps(finite, x, high);
}

/* Stores row i of a tile: 32 elements x0, x1, in this order or, with `pairs`, x0[0], x1[0], x0[1], x1[1] ... */
static inline __attribute__((always_inline)) void put(parts to, int i, __m512 x0, __m512 x1, bool pairs) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  const __m512i high = narrow(x0, x1);
  _mm512_storeu_si512(to.high + 64 * i, pairs ? _mm512_permutexvar_epi16(order, high) : high);
  if (!to.rest) return;
  const __m512 high0 = widen(_mm512_castsi512_si256(high)), high1 = widen(_mm512_extracti64x4_epi64(high, 1));
  const __m512i low = narrow(remainder_of(x0, high0), remainder_of(x1, high1));
  const __m512i infinity = _mm512_set1_epi16(0x7f80);
  const __mmask32 finite = _mm512_cmpneq_epi16_mask(_mm512_and_si512(high, infinity), infinity);
  const __m512i rest = _mm512_maskz_mov_epi16(finite, high);
  _mm512_storeu_si512(to.rest + 64 * i, pairs ? _mm512_permutexvar_epi16(order, rest) : rest);
  _mm512_storeu_si512(to.low + 64 * i, pairs ? _mm512_permutexvar_epi16(order, low) : low);
}

/* A's tile from x[w * stride + p], w < count, p < depth. */
static void tile_along_k(parts to, const float *x, int64_t stride, int64_t count, int64_t depth) {
  const __mmask16 mask0 = first(depth), mask1 = first(depth - SIDE);
  for (int w = 0; w < SIDE; w++) {
    const float *row = x + w * stride;
    __m512 x0 = _mm512_setzero_ps(), x1 = _mm512_setzero_ps();
    if (w < count) {
      x0 = _mm512_maskz_loadu_ps(mask0, row);
      x1 = _mm512_maskz_loadu_ps(mask1, row + SIDE);
    }
    put(to, w, x0, x1, false);
  }
}

/* B's tile from x[p * stride + w], w < count, p < depth. */
static void tile_along_width(parts to, const float *x, int64_t stride, int64_t count, int64_t depth) {
  const __mmask16 mask = first(count);
  for (int i = 0; i < SIDE; i++) {
    const float *row = x + 2 * i * stride;
    const __m512 x0 = 2 * i < depth ? _mm512_maskz_loadu_ps(mask, row) : _mm512_setzero_ps();
    const __m512 x1 = 2 * i + 1 < depth ? _mm512_maskz_loadu_ps(mask, row + stride) : _mm512_setzero_ps();
    put(to, i, x0, x1, true);
  }
}

/* y[16][16] = transpose of x[16][16], both of 4-byte elements. Four by four blocks are gathered while loading: lane l
 * of v[i] holds x[4 l + i][4 q ..]. */
static void transpose(char *y, const char *x) {
  for (int q = 0; q < 4; q++) {
    __m512i v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      const char *at = x + 64 * i + 16 * q;
      v[i] = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)at));
      v[i] = _mm512_inserti32x4(v[i], _mm_loadu_si128((const __m128i *)(at + 256)), 1);
      v[i] = _mm512_inserti32x4(v[i], _mm_loadu_si128((const __m128i *)(at + 512)), 2);
      v[i] = _mm512_inserti32x4(v[i], _mm_loadu_si128((const __m128i *)(at + 768)), 3);
    }
    const __m512i low01 = _mm512_unpacklo_epi32(v[0], v[1]), high01 = _mm512_unpackhi_epi32(v[0], v[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(v[2], v[3]), high23 = _mm512_unpackhi_epi32(v[2], v[3]);
    _mm512_storeu_si512(y + 256 * q, _mm512_unpacklo_epi64(low01, low23));
    _mm512_storeu_si512(y + 256 * q + 64, _mm512_unpackhi_epi64(low01, low23));
    _mm512_storeu_si512(y + 256 * q + 128, _mm512_unpacklo_epi64(high01, high23));
    _mm512_storeu_si512(y + 256 * q + 192, _mm512_unpackhi_epi64(high01, high23));
  }
}

/* x[w * stride_w + p * stride_p] as y[16][32], for matrices that are contiguous in neither direction. */
static void gather(float *y, const float *x, int64_t stride_w, int64_t stride_p, int64_t count, int64_t depth) {
  for (int64_t w = 0; w < count; w++) {
    for (int64_t p = 0; p < depth; p++) y[w * ML_BF16_STEP + p] = x[w * stride_w + p * stride_p];
  }
}

/* One tile (bf16x3: three) of a panel of A or B. */
static void pack_tile(parts to, const float *x, int64_t stride_w, int64_t stride_p, int64_t count, int64_t depth,
                      bool is_b) {
  _Alignas(64) char read[3][TILE_BYTES];
  _Alignas(64) float gathered[SIDE * ML_BF16_STEP];
  const bool along_width = stride_w == 1 && stride_p != 1, as_read = along_width == is_b;
  const parts temporary = {read[0], to.rest ? read[1] : NULL, to.rest ? read[2] : NULL};
  const parts out = as_read ? to : temporary;
  if (along_width) {
    tile_along_width(out, x, stride_p, count, depth);
  } else {
    if (stride_p != 1) {
      gather(gathered, x, stride_w, stride_p, count, depth);
      x = gathered;
      stride_w = ML_BF16_STEP;
    }
    tile_along_k(out, x, stride_w, count, depth);
  }
  if (as_read) return;
  transpose(to.high, read[0]);
  if (!to.rest) return;
  transpose(to.rest, read[1]);
  transpose(to.low, read[2]);
}

static void pack(char *panel, const float *x, int64_t stride_w, int64_t stride_p, int64_t count, int64_t k,
                 ml_precision precision, bool is_b) {
  const bool split = precision == ML_PRECISION_BF16X3, along_k = stride_p == 1;
  const int64_t chunks = ml_ceil_div(k, ML_BF16_STEP);
  for (int64_t t = 0; t < 2 * chunks; t++) { /* all of one half first if memory runs along K, else both in turn */
    const int64_t half = along_k ? t / chunks : t % 2, chunk = along_k ? t % chunks : t / 2;
    const int64_t p = chunk * ML_BF16_STEP, w = half * SIDE;
    char *tile = panel + chunk * (split ? 3 : 1) * STEP_BYTES + half * TILE_BYTES;
    const int64_t skip = w < count ? w : 0; /* a half without rows points nowhere, and is not read */
    const parts to = {.high = tile,
                      .rest = split ? tile + (is_b ? 2 : 1) * STEP_BYTES : NULL,
                      .low = split ? tile + (is_b ? 1 : 2) * STEP_BYTES : NULL};
    pack_tile(to, x + skip * stride_w + p * stride_p, stride_w, stride_p, clamp(count - w, SIDE),
              clamp(k - p, ML_BF16_STEP), is_b);
  }
}

void ml_amx_pack_a(void *panel, const float *x, int64_t stride_i, int64_t stride_p, int64_t rows, int64_t k,
                   ml_precision precision) {
  pack(panel, x, stride_i, stride_p, rows, k, precision, false);
}

void ml_amx_pack_b(void *panel, const float *x, int64_t stride_j, int64_t stride_p, int64_t cols, int64_t k,
                   ml_precision precision) {
  pack(panel, x, stride_j, stride_p, cols, k, precision, true);
}
#endif
