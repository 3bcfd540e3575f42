/* Which of the dark (or light) marks in a picture are the digit: those that are strong enough, connected to something
 * strong, large and near each other; specks, the shadow or table along a side, and other marks far away are not. Called
 * by prepare.c. */
#include "data/ink.h"

#include <math.h>
#include <string.h>

#include "base/integer.h"
#include "base/memory.h"

enum { LEAST_CONTRAST = 14 };  /* of 255: below it a mark cannot be told from an uneven picture */

/* ---- how strong the ink is ---- */

/* Softens noise before pixels are judged one by one: 1 2 1 in both directions. row [width] is scratch. */
static void smooth(float *u, float *row, int64_t height, int64_t width) {
  for (int64_t y = 0; y < height; y++) {
    float *r = u + y * width, before = r[0];
    for (int64_t x = 0; x < width; x++) {
      const float here = r[x], after = r[x + 1 < width ? x + 1 : x];
      r[x] = 0.25f * before + 0.5f * here + 0.25f * after;
      before = here;
    }
  }
  memcpy(row, u, (size_t)width * sizeof *row);
  for (int64_t y = 0; y < height; y++)
    for (int64_t x = 0; x < width; x++) {
      const float here = u[y * width + x], after = u[(y + 1 < height ? y + 1 : y) * width + x];
      u[y * width + x] = 0.25f * row[x] + 0.5f * here + 0.25f * after;
      row[x] = here;
    }
}

double ml_ink_level(const float *u, int64_t n, double least) {
  int64_t counts[256] = {0};
  double sum = 0, count = 0;
  for (int64_t i = 0; i < n; i++)
    if (u[i] > least) counts[(int)fminf(u[i], 255)]++;
  const int at = ml_ink_parting(counts);
  for (int v = at; v < 256; v++) sum += (double)counts[v] * (v + 0.5), count += (double)counts[v];
  return count > 0 ? sum / count : 0;
}

/* ---- marks: connected pixels ---- */

typedef struct mark {
  double mass;                          /* the sum of its contrast */
  int64_t top, left, bottom, right;     /* its last row and column included */
  float peak;
} mark;

typedef struct marks {
  int64_t height, width, count, room;
  int32_t *label;                       /* [height, width]: 0 none, or the mark's index plus 1 */
  int32_t *queue;                       /* [height, width] */
  mark *items;
} marks;

static void marks_free(marks *m) {
  ml_free(m->label);
  ml_free(m->queue);
  ml_free(m->items);
}

static void add_pixel(mark *k, int64_t y, int64_t x, float u) {
  k->mass += u;
  k->peak = fmaxf(k->peak, u);
  k->top = ml_min64(k->top, y);
  k->bottom = ml_max64(k->bottom, y);
  k->left = ml_min64(k->left, x);
  k->right = ml_max64(k->right, x);
}

/* All pixels above `least` that are connected with the one at `start`, diagonally too. */
static mark follow(marks *m, const float *u, double least, int64_t start) {
  mark k = {.top = m->height, .left = m->width, .bottom = -1, .right = -1};
  int64_t head = 0, tail = 0;
  const int32_t label = (int32_t)m->count + 1;
  m->queue[tail++] = (int32_t)start;
  m->label[start] = label;
  while (head < tail) {
    const int64_t at = m->queue[head++], y = at / m->width, x = at % m->width;
    add_pixel(&k, y, x, u[at]);
    for (int64_t i = ml_max64(y - 1, 0); i <= ml_min64(y + 1, m->height - 1); i++)
      for (int64_t j = ml_max64(x - 1, 0); j <= ml_min64(x + 1, m->width - 1); j++) {
        const int64_t next = i * m->width + j;
        if (m->label[next] != 0 || u[next] <= least) continue;
        m->label[next] = label;
        m->queue[tail++] = (int32_t)next;
      }
  }
  return k;
}

static ml_status keep(marks *m, mark k, ml_error *err) {
  if (m->count == m->room) {
    const int64_t room = ml_max64(2 * m->room, 64);
    mark *items = ml_alloc((size_t)room * sizeof *items);
    if (!items) return ml_fail(err, ML_NOMEM, "no memory to find the ink of a picture");
    if (m->count) memcpy(items, m->items, (size_t)m->count * sizeof *items);
    ml_free(m->items);
    m->items = items;
    m->room = room;
  }
  m->items[m->count++] = k;
  return ML_OK;
}

static ml_status find_marks(marks *m, const float *u, double least, int64_t height, int64_t width, ml_error *err) {
  const size_t n = (size_t)(height * width);
  *m = (marks){.height = height, .width = width};
  m->label = ml_calloc(n, sizeof *m->label);
  m->queue = ml_alloc(n * sizeof *m->queue);
  if (!m->label || !m->queue) return ml_fail(err, ML_NOMEM, "no memory to find the ink of a picture");
  for (size_t i = 0; i < n; i++) {
    if (u[i] <= least || m->label[i] != 0) continue;
    const ml_status status = keep(m, follow(m, u, least, (int64_t)i), err);
    if (status != ML_OK) return status;
  }
  return ML_OK;
}

/* ---- which marks ---- */

static bool at_edge(const marks *m, const mark *k) {
  return k->top == 0 || k->left == 0 || k->bottom == m->height - 1 || k->right == m->width - 1;
}

static int64_t length_of(const mark *k) { return ml_max64(k->bottom - k->top, k->right - k->left) + 1; }

/* The heaviest mark that does not touch the picture's edge, or, where all such are slight, the heaviest of all; -1 if
 * there is none with a pixel of `strong`. */
static int64_t main_mark(const marks *m, double strong) {
  int64_t inside = -1, any = -1;
  for (int64_t i = 0; i < m->count; i++) {
    const mark *k = &m->items[i];
    if (k->peak < strong) continue;
    if (any < 0 || k->mass > m->items[any].mass) any = i;
    if (!at_edge(m, k) && (inside < 0 || k->mass > m->items[inside].mass)) inside = i;
  }
  const int64_t side = ml_max64(m->height, m->width);
  if (inside >= 0 && 12 * length_of(&m->items[inside]) >= side && 50 * m->items[inside].mass >= m->items[any].mass)
    return inside;
  return any;
}

/* The gap between two marks' boxes. */
static int64_t gap(const mark *a, const mark *b) {
  const int64_t down = ml_max64(a->top - b->bottom, b->top - a->bottom);
  const int64_t across = ml_max64(a->left - b->right, b->left - a->right);
  return ml_max64(ml_max64(down, across), 0);
}

static bool belongs(const marks *m, const mark *k, const mark *first, double strong) {
  if (k == first) return true;
  if (k->peak < strong || k->mass < 0.05 * first->mass) return false;
  if (at_edge(m, k) && !at_edge(m, first)) return false;
  return 3 * gap(k, first) <= length_of(first);
}

/* ---- the result ---- */

/* A pixel's strength from its contrast: 0 up to low, 255 from high on. Pixels beside a mark count with it: its edge. */
static void set_strength(uint8_t *strength, const marks *m, const float *u, double low, double high) {
  memset(strength, 0, (size_t)m->height * (size_t)m->width);
  for (int64_t at = 0; at < m->height * m->width; at++) {
    if (m->label[at] == 0) continue;
    const int64_t y = at / m->width, x = at % m->width;
    for (int64_t i = ml_max64(y - 1, 0); i <= ml_min64(y + 1, m->height - 1); i++)
      for (int64_t j = ml_max64(x - 1, 0); j <= ml_min64(x + 1, m->width - 1); j++) {
        const double s = (u[i * m->width + j] - low) / (high - low);
        strength[i * m->width + j] = (uint8_t)(255 * fmin(fmax(s, 0), 1) + 0.5);
      }
  }
}

static void join(ml_ink_box *box, const mark *k) {
  const int64_t bottom = ml_max64(box->top + box->height, k->bottom + 1);
  const int64_t right = ml_max64(box->left + box->width, k->right + 1);
  box->top = ml_min64(box->top, k->top);
  box->left = ml_min64(box->left, k->left);
  box->height = bottom - box->top;
  box->width = right - box->left;
}

/* Leaves the labels of the digit's marks only; false if there is none. */
static bool choose(ml_ink_box *box, marks *m, double strong) {
  const int64_t first = main_mark(m, strong);
  if (first < 0) return false;
  *box = (ml_ink_box){.top = m->items[first].top, .left = m->items[first].left};
  for (int64_t i = 0; i < m->count; i++) {
    if (belongs(m, &m->items[i], &m->items[first], strong)) join(box, &m->items[i]);
    else m->items[i].peak = -1;
  }
  for (int64_t at = 0; at < m->height * m->width; at++)
    if (m->label[at] != 0 && m->items[m->label[at] - 1].peak < 0) m->label[at] = 0;
  return true;
}

ml_status ml_ink_select(uint8_t *strength, ml_ink_box *box, float *u, double noise, int64_t height, int64_t width,
                        ml_error *err) {
  const int64_t n = height * width;
  double level = ml_ink_level(u, n, fmax(3 * noise, LEAST_CONTRAST));
  if (noise > 0.08 * level) {
    float *row = ml_alloc((size_t)width * sizeof *row);
    if (!row) return ml_fail(err, ML_NOMEM, "no memory to find the ink of a picture");
    smooth(u, row, height, width);
    ml_free(row);
    noise *= 0.375;  /* the root of the sum of squares of 1/4 1/2 1/4, twice */
    level = ml_ink_level(u, n, fmax(6 * noise, LEAST_CONTRAST));
  }
  if (level == 0) return ml_fail(err, ML_FORMAT, "no ink: expected a digit that differs from the paper around it");
  marks m;
  ml_status status = find_marks(&m, u, 0.4 * level, height, width, err);
  if (status == ML_OK && !choose(box, &m, 0.7 * level))
    status = ml_fail(err, ML_FORMAT, "no ink: expected a digit that differs from the paper around it");
  if (status == ML_OK) set_strength(strength, &m, u, 0.2 * level, 0.9 * level);
  marks_free(&m);
  return status;
}
