/* tostring(t): the shape and dtype, then the numbers in aligned columns, with "..." for what would not fit on a screen.
 * Everything is written into a buffer of fixed size before Lua sees a byte of it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"

enum { LINE = 90, MOST_COLUMNS = 10, MOST_ROWS = 6 };

typedef struct printer {
  const ml_tensor *t;
  const char *format;   /* of one number */
  int width;            /* of the widest number shown */
  int columns;          /* shown at each end of a row that is cut */
  bool measuring;       /* the first walk finds out what format and width to use */
  bool whole;           /* every number shown is whole */
  bool signs;           /* one of them is negative */
  bool names;           /* one of them is nan or inf */
  double low, high;     /* least (but 0) and greatest absolute value shown */
  size_t used;
  char text[1 << 14];
} printer;

static void put(printer *p, const char *fmt, ...) ML_PRINTF(2, 3);

static void put(printer *p, const char *fmt, ...) {
  if (p->measuring || p->used >= sizeof p->text) return;
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(p->text + p->used, sizeof p->text - p->used, fmt, args);
  va_end(args);
  if (n > 0) p->used += (size_t)n;
}

static int number_text(const printer *p, char *text, size_t size, double value) {
  if (p->t->dtype != ML_F32) return snprintf(text, size, "%lld", (long long)value);
  if (isnan(value)) return snprintf(text, size, "nan");   /* without its sign */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  return snprintf(text, size, p->format, value);
#pragma GCC diagnostic pop
}

static void element(printer *p, int64_t index) {
  char text[64];
  double value = ml_tensor_get(p->t, index), size = fabs(value);
  p->signs |= p->measuring && value < 0;
  p->names |= p->measuring && !isfinite(value);
  if (p->measuring && isfinite(value)) {
    p->whole = p->whole && value == floor(value);
    p->high = fmax(p->high, size);
    if (size > 0) p->low = fmin(p->low, size);
  }
  if (!p->measuring) number_text(p, text, sizeof text, value);
  put(p, "%*s", p->width, text);
}

/* How many of n are shown at each end; all of them if 2 * ends covers n. */
static int ends_of(const printer *p, int dim) {
  int from_last = p->t->shape.ndim - 1 - dim;
  if (from_last == 0) return p->columns;
  if (from_last == 1) return MOST_ROWS / 2;
  return p->t->shape.ndim > 3 ? 1 : 2;
}

static void between(printer *p, int dim) {
  int inner = p->t->shape.ndim - 1 - dim;
  if (inner == 0) put(p, " ");
  else put(p, "%s\n%*s", inner > 1 ? "\n" : "", dim + 1, "");
}

static void dimension(printer *p, int dim, int64_t first) {
  if (dim == p->t->shape.ndim) {
    element(p, first);
    return;
  }
  int64_t n = p->t->shape.size[dim], stride = 1, ends = ends_of(p, dim);
  for (int d = dim + 1; d < p->t->shape.ndim; d++) stride *= p->t->shape.size[d];
  put(p, "[");
  for (int64_t i = 0; i < n; i++) {
    if (i > 0) between(p, dim);
    if (n > 2 * ends && i == ends) {
      put(p, "...");
      i = n - ends - 1;
      continue;
    }
    dimension(p, dim + 1, first + i * stride);
  }
  put(p, "]");
}

/* Every number shown has the same form: whole, four decimals, or an exponent where that would hide or drown it. */
static void choose_format(printer *p) {
  char text[64];
  if (p->whole && p->high < 1e7) p->format = "%.0f";
  else if (p->high >= 1e5 || p->low < 1e-3) p->format = "%.4e";
  else p->format = "%.4f";
  p->width = number_text(p, text, sizeof text, p->high);
  if (p->names && p->width < 3) p->width = 3;
  p->width += p->signs;
}

static void print_tensor(printer *p, const ml_tensor *t) {
  *p = (printer){ .t = t, .measuring = true, .whole = true, .low = INFINITY, .columns = MOST_COLUMNS / 2 };
  dimension(p, 0, 0);
  choose_format(p);
  int fit = (LINE - 8) / (p->width + 1) / 2;
  if (fit < p->columns) p->columns = fit;
  p->measuring = false;
  if (t->shape.ndim == 0) {
    p->width = 0;
    put(p, "tensor(");
    dimension(p, 0, 0);
    put(p, t->dtype == ML_F32 ? ")" : ", %s)", ml_dtype_name(t->dtype));
    return;
  }
  put(p, "tensor %s %s\n", ML_SHAPE_WORDS(&t->shape), ml_dtype_name(t->dtype));
  if (ml_tensor_count(t) == 0) put(p, "[]");
  else dimension(p, 0, 0);
}

int l_tensor_tostring(lua_State *L) {
  ml_tensor **box = luaL_testudata(L, 1, L_TENSOR);
  if (!box) return l_bad(L, 1, NULL, "a Tensor");
  if (!*box) {
    lua_pushliteral(L, "tensor (released)");
  } else if (!(*box)->storage) {
    lua_pushfstring(L, "tensor %s %s (expired)", ML_SHAPE_WORDS(&(*box)->shape), ml_dtype_name((*box)->dtype));
  } else {
    printer p;
    print_tensor(&p, *box);
    lua_pushlstring(L, p.text, p.used < sizeof p.text ? p.used : sizeof p.text - 1);
  }
  return 1;
}
