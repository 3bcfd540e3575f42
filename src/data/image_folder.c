/* Lists a folder of pictures, one sub-folder for each class, in an order that only the names decide. Two levels are
 * looked at and no more, so links that lead back up end in a refusal. Reads no file. */
#include "data/image_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"

#define MAX_CLASSES 65536
#define MAX_FILES   ((int64_t)1 << 24)

/* ---- order ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Compares the numbers at *a and *b and moves both behind them. */
static int compare_numbers(const char **a, const char **b) {
  const char *p = *a, *q = *b;
  while (*p == '0') p++;
  while (*q == '0') q++;
  const char *first_p = p, *first_q = q;
  while (is_digit(*p)) p++;
  while (is_digit(*q)) q++;
  *a = p;
  *b = q;
  if (p - first_p != q - first_q) return p - first_p < q - first_q ? -1 : 1;
  return memcmp(first_p, first_q, (size_t)(p - first_p));
}

int ml_natural_order(const char *a, const char *b) {
  const char *p = a, *q = b;
  while (*p && *q) {
    if (is_digit(*p) && is_digit(*q)) {
      const int order = compare_numbers(&p, &q);
      if (order != 0) return order;
    } else {
      if (*p != *q) return (unsigned char)*p < (unsigned char)*q ? -1 : 1;
      p++;
      q++;
    }
  }
  if (*p || *q) return *p ? 1 : -1;
  return strcmp(a, b);  /* "1" and "01" */
}

static int by_name(const void *a, const void *b) { return ml_natural_order(*(char *const *)a, *(char *const *)b); }

/* ---- lists of names ---- */

void ml_names_free(ml_names *n) {
  for (int64_t i = 0; i < n->count; i++) ml_free(n->items[i]);
  ml_free(n->items);
  *n = (ml_names){.count = 0};
}

static bool make_room(ml_names *n) {
  if (n->count < n->room) return true;
  const int64_t room = n->room ? 2 * n->room : 16;
  char **items = ml_alloc((size_t)room * sizeof *items);
  if (!items) return false;
  if (n->count) memcpy(items, n->items, (size_t)n->count * sizeof *items);
  ml_free(n->items);
  n->items = items;
  n->room = room;
  return true;
}

/* Appends "folder/name", or name alone where folder is NULL. */
static ml_status add_name(ml_names *n, const char *folder, const char *name, ml_error *err) {
  const size_t before = folder ? strlen(folder) + 1 : 0, size = strlen(name) + 1;
  char *text = make_room(n) ? ml_alloc(before + size) : NULL;
  if (!text) return ml_fail(err, ML_NOMEM, "no memory for a list of %lld files", (long long)n->count + 1);
  if (folder) {
    memcpy(text, folder, before - 1);
    text[before - 1] = '/';
  }
  memcpy(text + before, name, size);
  n->items[n->count++] = text;
  return ML_OK;
}

/* The entries of a folder that are not hidden, in natural order. */
static ml_status list_entries(ml_names *n, const char *folder, ml_error *err) {
  DIR *dir = opendir(folder);
  if (!dir && errno == ENOTDIR) return ml_fail(err, ML_IO, "%s: expected a folder, got a file", folder);
  if (!dir) return ml_fail_errno(err, errno, "%s: cannot be opened", folder);
  ml_status status = ML_OK;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(dir);
    if (!entry && errno != 0) status = ml_fail_errno(err, errno, "%s: cannot be listed", folder);
    if (!entry || status != ML_OK) break;
    if (entry->d_name[0] == '.') continue;
    status = n->count < MAX_FILES ? add_name(n, NULL, entry->d_name, err)
                                  : ml_fail(err, ML_FORMAT, "%s: more than %lld files", folder, (long long)MAX_FILES);
    if (status != ML_OK) break;
  }
  closedir(dir);
  if (status == ML_OK && n->count > 1) qsort(n->items, (size_t)n->count, sizeof *n->items, by_name);
  return status;
}

/* ---- classes ---- */

static ml_status check_class(const char *path, ml_error *err) {
  struct stat st;
  if (stat(path, &st) != 0) return ml_fail_errno(err, errno, "%s: cannot be examined", path);
  if (S_ISDIR(st.st_mode)) return ML_OK;
  return ml_fail(err, ML_FORMAT, "%s: expected a sub-folder for each class and nothing beside them, got %s", path,
                 ml_file_kind(st.st_mode));
}

static int64_t find_class(const char *name, const char *const *known, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (strcmp(known[i], name) == 0) return i;
  return -1;
}

/* labels has paths.room entries. */
static ml_status add_file(ml_image_folder *f, const char *folder, const char *name, int32_t label, ml_error *err) {
  const int64_t count = f->paths.count, room = f->paths.room;
  const ml_status status = add_name(&f->paths, folder, name, err);
  if (status != ML_OK) return status;
  if (f->paths.room > room) {
    int32_t *labels = ml_alloc((size_t)f->paths.room * sizeof *labels);
    if (!labels) return ml_fail(err, ML_NOMEM, "no memory for %lld labels", (long long)f->paths.room);
    if (count) memcpy(labels, f->labels, (size_t)count * sizeof *labels);
    ml_free(f->labels);
    f->labels = labels;
  }
  f->labels[count] = label;
  return ML_OK;
}

static ml_status add_files(ml_image_folder *f, const char *folder, int32_t label, ml_error *err) {
  ml_names entries = {.count = 0};
  ml_status status = list_entries(&entries, folder, err);
  if (status == ML_OK && entries.count == 0)
    status = ml_fail(err, ML_FORMAT, "%s: is empty, expected the PNG files of a class", folder);
  if (status == ML_OK && f->paths.count + entries.count > MAX_FILES)
    status = ml_fail(err, ML_FORMAT, "%s: more than %lld files with those before it", folder, (long long)MAX_FILES);
  for (int64_t i = 0; status == ML_OK && i < entries.count; i++)
    status = add_file(f, folder, entries.items[i], label, err);
  ml_names_free(&entries);
  return status;
}

static ml_status add_class(ml_image_folder *f, const char *path, const char *name, int64_t label, ml_error *err) {
  ml_names folder = {.count = 0};
  ml_status status = add_name(&folder, path, name, err);
  if (status == ML_OK) status = check_class(folder.items[0], err);
  if (status == ML_OK && label < 0)
    status = ml_fail(err, ML_FORMAT, "%s: expected one of the training set's classes, got '%s'", folder.items[0], name);
  if (status == ML_OK) status = add_files(f, folder.items[0], (int32_t)label, err);
  ml_names_free(&folder);
  return status;
}

static ml_status check_count(const char *path, const ml_names *found, bool known, ml_error *err) {
  if (found->count == 0)
    return ml_fail(err, ML_FORMAT, "%s: is empty, expected a sub-folder of PNG files for each class", path);
  if (found->count == 1 && !known)
    return ml_fail(err, ML_FORMAT, "%s: expected 2 sub-folders or more, one for each class, found 1 entry ('%s')", path,
                   found->items[0]);
  if (found->count > MAX_CLASSES)
    return ml_fail(err, ML_FORMAT, "%s: expected at most %d sub-folders, found %lld", path, MAX_CLASSES,
                   (long long)found->count);
  return ML_OK;
}

ml_status ml_image_folder_list(ml_image_folder *f, const char *path, const char *const *known, int64_t known_count,
                               ml_error *err) {
  ml_names found = {.count = 0};
  *f = (ml_image_folder){.labels = NULL};
  ml_status status = list_entries(&found, path, err);
  if (status == ML_OK) status = check_count(path, &found, known != NULL, err);
  for (int64_t i = 0; status == ML_OK && i < found.count; i++)
    status = add_class(f, path, found.items[i], known ? find_class(found.items[i], known, known_count) : i, err);
  if (known) {
    ml_names_free(&found);
    for (int64_t i = 0; status == ML_OK && i < known_count; i++) status = add_name(&f->classes, NULL, known[i], err);
  } else {
    f->classes = found;
  }
  if (status != ML_OK) ml_image_folder_free(f);
  return status;
}

void ml_image_folder_free(ml_image_folder *f) {
  ml_names_free(&f->classes);
  ml_names_free(&f->paths);
  ml_free(f->labels);
  f->labels = NULL;
}
