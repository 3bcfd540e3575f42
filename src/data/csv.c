/* The CSV reader: one sample a row, numbers separated by commas. Called by the bindings. The locale never shows in what
 * it reads, and memory is bounded by the size of the text: a row of c columns takes at least 2c bytes of it.
 *
 * Lines end in LF, CR LF or CR; blank lines may stand at the end only; a byte order mark is skipped. Lines and columns
 * in messages count from 1. */
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/integer.h"
#include "base/memory.h"
#include "data/readers.h"

#define MAX_BYTES   ((size_t)INT32_MAX)
#define MAX_COLUMNS (1 << 20)
#define MAX_LABEL   65535
#define FLOAT_LIMIT 0x1.ffffffp127 /* the least double that rounds to infinity as a float */

typedef struct csv {
  const char *path;
  const uint8_t *at, *end;  /* *end is a zero byte */
  const uint8_t *row;       /* where this line begins */
  int64_t line;             /* its number, from 1 */
  int64_t columns, label, rows;
  bool wide;                /* a feature was not a whole number 0..255: images are f32 */
  ml_tensor *images;        /* u8 or f32 [rows that the file could hold, columns - 1] */
  ml_tensor *labels;        /* i32 [the same rows] */
  locale_t locale;          /* "C", made when first needed */
} csv;

typedef enum field_kind { FIELD_NUMBER, FIELD_NOT_FINITE, FIELD_EMPTY, FIELD_TEXT } field_kind;

/* ---- fields ---- */

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool ends_field(uint8_t c) { return c == ',' || c == '\n' || c == '\r' || c == 0; }
static bool ends_line(uint8_t c) { return c == '\n' || c == '\r' || c == 0; }

static const uint8_t *skip_blanks(const uint8_t *p) {
  while (*p == ' ' || *p == '\t') p++;
  return p;
}

static const uint8_t *skip_digits(const uint8_t *p) {
  while (is_digit(*p)) p++;
  return p;
}

static const uint8_t *field_end(const uint8_t *p) {
  while (!ends_field(*p)) p++;
  return p;
}

/* nan, inf or infinity in any case, with or without a sign: numbers to other programs, so never a header. */
static bool is_not_finite(const uint8_t *p, const uint8_t *end) {
  static const char *const names[] = {"nan", "inf", "infinity"};
  if (*p == '+' || *p == '-') p++;
  while (end > p && (end[-1] == ' ' || end[-1] == '\t')) end--;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t n = strlen(names[i]), k = 0;
    while (k < n && p + k < end && (p[k] | 0x20) == names[i][k]) k++;
    if (k == n && p + k == end) return true;
  }
  return false;
}

/* [sign] digits [. digits] [e [sign] digits] with a digit before or after the point: the end of it, NULL if p is not
 * such a number. */
static const uint8_t *number_end(const uint8_t *p) {
  if (*p == '+' || *p == '-') p++;
  const uint8_t *end = skip_digits(p);
  bool any = end > p;
  if (*end == '.') {
    p = end + 1;
    end = skip_digits(p);
    any = any || end > p;
  }
  if (!any) return NULL;
  if ((*end | 0x20) != 'e') return end;
  p = end + 1;
  if (*p == '+' || *p == '-') p++;
  end = skip_digits(p);
  return end > p ? end : NULL;
}

/* What stands in the field that begins at p. For a number, *number is where its text begins. */
static field_kind classify(const uint8_t **number, const uint8_t *p) {
  p = skip_blanks(p);
  if (ends_field(*p)) return FIELD_EMPTY;
  *number = p;
  const uint8_t *end = number_end(p);
  if (end && ends_field(*skip_blanks(end))) return FIELD_NUMBER;
  return is_not_finite(p, field_end(p)) ? FIELD_NOT_FINITE : FIELD_TEXT;
}

/* "line 3, column 5: '<field>' <what>" */
static ml_status bad_field(const csv *c, int64_t column, const uint8_t *p, const char *what, ml_error *err) {
  const uint8_t *end = field_end(p);
  int length = end - p > 24 ? 24 : (int)(end - p);
  return ml_fail(err, ML_FORMAT, "%s: line %lld, column %lld: '%.*s%s' %s", c->path, (long long)c->line,
                 (long long)column + 1, length, (const char *)p, end - p > 24 ? "..." : "", what);
}

/* Any number, through strtod in the "C" locale. */
static ml_status parse_slow(csv *c, double *value, int64_t column, const uint8_t *p, ml_error *err) {
  const uint8_t *number = p;
  switch (classify(&number, p)) {
    case FIELD_EMPTY: return bad_field(c, column, p, "is empty, expected a number", err);
    case FIELD_TEXT: return bad_field(c, column, p, "is not a number", err);
    case FIELD_NOT_FINITE: return bad_field(c, column, p, "is not a finite number", err);
    case FIELD_NUMBER: break;
  }
  if (!c->locale) c->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (!c->locale) return ml_fail(err, ML_NOMEM, "%s: no memory for a locale", c->path);
  *value = strtod_l((const char *)number, NULL, c->locale);
  if (fabs(*value) >= FLOAT_LIMIT) return bad_field(c, column, p, "is too large for a 32-bit float", err);
  return ML_OK;
}

/* Up to 9 digits and nothing else, which is what files of pixels hold; -1 for the rest. */
static int64_t parse_plain(const uint8_t **end, const uint8_t *p) {
  const uint8_t *begin = p;
  int64_t v = 0;
  while (is_digit(*p) && p < begin + 9) v = v * 10 + (*p++ - '0');
  *end = p;
  return p > begin && ends_field(*p) ? v : -1;
}

static ml_status parse_field(csv *c, double *value, int64_t column, ml_error *err) {
  const uint8_t *begin = c->at;
  int64_t plain = parse_plain(&c->at, begin);
  *value = (double)plain;
  if (plain >= 0) return ML_OK;
  c->at = field_end(begin);
  return parse_slow(c, value, column, begin, err);
}

/* ---- rows ---- */

static void next_line(csv *c) {
  if (*c->at == '\r' && c->at[1] == '\n') c->at++;
  if (c->at < c->end) c->at++;
  c->row = c->at;
  c->line++;
}

/* Columns of the line at p: commas outside double quotes, and one. */
static int64_t count_columns(const uint8_t *p) {
  int64_t columns = 1;
  bool quoted = false;
  for (; !ends_line(*p); p++) {
    if (*p == '"') quoted = !quoted;
    columns += *p == ',' && !quoted;
  }
  return columns;
}

/* True if nothing but blanks and line ends is left. */
static bool only_blank_lines_left(const csv *c) {
  const uint8_t *p = c->at;
  while (p < c->end && (*p == ' ' || *p == '\t' || ends_line(*p))) p++;
  return p == c->end;
}

static const char *plural(int64_t n) { return n == 1 ? "" : "s"; }

static ml_status ragged(const csv *c, ml_error *err) {
  if (ends_line(*skip_blanks(c->row)))
    return ml_fail(err, ML_FORMAT, "%s: line %lld is blank, expected %lld columns", c->path, (long long)c->line,
                   (long long)c->columns);
  int64_t found = count_columns(c->row);
  return ml_fail(err, ML_FORMAT, "%s: line %lld has %lld column%s, expected %lld as in line 1", c->path,
                 (long long)c->line, (long long)found, plural(found), (long long)c->columns);
}

/* Turns the bytes read so far into floats, once the first value comes that is no byte. */
static ml_status widen(csv *c, int64_t values, ml_error *err) {
  ml_tensor *floats = ml_tensor_new(ML_F32, &c->images->shape, err);
  if (!floats) return ML_NOMEM;
  for (int64_t i = 0; i < values; i++) floats->f32[i] = c->images->u8[i];
  ml_tensor_unref(c->images);
  c->images = floats;
  c->wide = true;
  return ML_OK;
}

static ml_status store_feature(csv *c, int64_t at, double value, ml_error *err) {
  bool byte = value >= 0 && value <= 255 && value == (double)(int)value;
  if (!byte && !c->wide) {
    ml_status status = widen(c, at, err);
    if (status != ML_OK) return status;
  }
  if (c->wide)
    c->images->f32[at] = (float)value;
  else
    c->images->u8[at] = (uint8_t)value;
  return ML_OK;
}

static ml_status store_label(csv *c, double value, const uint8_t *field, ml_error *err) {
  if (value < 0 || value > MAX_LABEL || value != (double)(int)value)
    return bad_field(c, c->label, field, "is no label, expected a whole number from 0 to 65535", err);
  c->labels->i32[c->rows] = (int32_t)value;
  return ML_OK;
}

static ml_status read_row(csv *c, ml_error *err) {
  int64_t at = c->rows * (c->columns - 1);
  if (ends_line(*skip_blanks(c->row))) return ragged(c, err);
  for (int64_t column = 0; column < c->columns; column++) {
    const uint8_t *field = c->at;
    double value;
    ml_status status = parse_field(c, &value, column, err);
    if (status != ML_OK) return status;
    status = column == c->label ? store_label(c, value, field, err) : store_feature(c, at++, value, err);
    if (status != ML_OK) return status;
    if ((column < c->columns - 1) != (*c->at == ',')) return ragged(c, err);
    if (*c->at == ',') c->at++;
  }
  c->rows++;
  next_line(c);
  return ML_OK;
}

/* ---- the file ---- */

static ml_status nul_byte(csv *c, ml_error *err) {
  while (*c->at != 0) {
    while (!ends_line(*c->at)) c->at++;
    if (*c->at != 0) next_line(c);
  }
  return ml_fail(err, ML_FORMAT, "%s: line %lld has a NUL byte, expected text", c->path, (long long)c->line);
}

static ml_status check_start(csv *c, ml_error *err) {
  if (c->end - c->at >= 3 && memcmp(c->at, "\xef\xbb\xbf", 3) == 0) c->at += 3;
  c->row = c->at;
  c->line = 1;
  if (memchr(c->at, 0, (size_t)(c->end - c->at))) return nul_byte(c, err);
  if (only_blank_lines_left(c))
    return ml_fail(err, ML_FORMAT, "%s: is empty, expected rows of a label and features", c->path);
  if (ends_line(*skip_blanks(c->at))) return ml_fail(err, ML_FORMAT, "%s: line 1 is blank, expected a row", c->path);
  c->columns = count_columns(c->at);
  if (c->columns >= 2 && c->columns <= MAX_COLUMNS) return ML_OK;
  return ml_fail(err, ML_FORMAT, "%s: line 1 has %lld column%s, expected 2 (a label and a feature) to %d", c->path,
                 (long long)c->columns, plural(c->columns), MAX_COLUMNS);
}

/* A field of the first line that is text, and so a name. An empty one may as well be a missing value. */
static bool first_line_has_text(const csv *c) {
  const uint8_t *p = c->at, *number;
  for (;; p++) {
    if (classify(&number, p) == FIELD_TEXT) return true;
    p = field_end(p);
    if (*p != ',') return false;
  }
}

static void skip_header(csv *c) {
  while (!ends_line(*c->at)) c->at++;
  next_line(c);
}

/* Room for as many rows as there are lines, and no more than the bytes left can hold and one that is cut off. */
static ml_status make_room(csv *c, ml_error *err) {
  int64_t lines = 1, most = (c->end - c->at + 1) / (2 * c->columns) + 1;
  for (const uint8_t *p = c->at; p < c->end; p++) lines += (*p == '\n') + (*p == '\r');
  ml_shape shape = {.ndim = 2, .size = {ml_min64(lines, most), c->columns - 1}};
  c->images = ml_tensor_new(ML_U8, &shape, err);
  shape.ndim = 1;
  if (c->images) c->labels = ml_tensor_new(ML_I32, &shape, err);
  return c->labels ? ML_OK : ML_NOMEM;
}

static ml_status read_rows(csv *c, ml_csv_header header, ml_csv_info *info, ml_error *err) {
  ml_status status = check_start(c, err);
  if (status != ML_OK) return status;
  if (c->label < 0 || c->label >= c->columns)
    return ml_fail(err, ML_MISUSE, "%s: the label should be column %lld, but there are columns 1 to %lld", c->path,
                   (long long)c->label + 1, (long long)c->columns);
  info->header = header == ML_CSV_YES || (header == ML_CSV_AUTO && first_line_has_text(c));
  if (info->header) skip_header(c);
  if (only_blank_lines_left(c)) return ml_fail(err, ML_FORMAT, "%s: has a header but no rows", c->path);
  status = make_room(c, err);
  while (status == ML_OK && !only_blank_lines_left(c)) status = read_row(c, err);
  info->rows = c->rows;
  info->columns = c->columns;
  return status;
}

/* [rows, side, side] for a square number of bytes, else [rows, columns - 1]. */
static ml_shape image_shape(const csv *c) {
  int64_t width = c->columns - 1, side = 1;
  while (side * side < width) side++;
  if (c->wide || side * side != width) return (ml_shape){.ndim = 2, .size = {c->rows, width}};
  return (ml_shape){.ndim = 3, .size = {c->rows, side, side}};
}

static ml_dataset *make_dataset(const csv *c, ml_error *err) {
  ml_shape shape = image_shape(c);
  ml_tensor *rows = ml_tensor_rows(c->images, 0, c->rows, err);
  ml_tensor *images = rows ? ml_tensor_reshape(rows, &shape, err) : NULL;
  ml_tensor *labels = images ? ml_tensor_rows(c->labels, 0, c->rows, err) : NULL;
  ml_dataset *d = labels ? ml_dataset_new(images, labels, 0, err) : NULL;
  ml_tensor_unref(rows);
  ml_tensor_unref(images);
  ml_tensor_unref(labels);
  return d;
}

ml_dataset *ml_read_csv(ml_csv_info *info, const char *path, int label, ml_csv_header header, ml_error *err) {
  uint8_t *data;
  size_t size;
  *info = (ml_csv_info){.header = false};
  if (ml_read_text(&data, &size, path, MAX_BYTES, err) != ML_OK) return NULL;
  csv c = {.path = path, .at = data, .end = data + size, .label = label};
  ml_status status = read_rows(&c, header, info, err);
  ml_dataset *d = status == ML_OK ? make_dataset(&c, err) : NULL;
  ml_tensor_unref(c.images);
  ml_tensor_unref(c.labels);
  if (c.locale) freelocale(c.locale);
  ml_free(data);
  return d;
}
