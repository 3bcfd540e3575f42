/* Reads a folder of pictures into a data set, on all threads of the pool. Called by the bindings.
 *
 * The headers of all files are read first: they say whether the sizes agree and how much memory the set takes, before
 * any of it is asked for. Then each file is unpacked, stretched and put in its place. Every file has its own place, so
 * the result does not depend on the threads. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data/image_folder.h"
#include "data/picture_fit.h"
#include "data/png.h"
#include "data/readers.h"

#define GRAIN     16                  /* files in a chunk */
#define MAX_SIDE  4096                /* of a picture in the data set */
#define MAX_BYTES ((size_t)INT32_MAX) /* of the data set */

typedef struct images_job {
  const ml_images_options *o;
  ml_image_folder folder;
  ml_png_size *sizes;           /* [files] by their headers */
  int64_t height, width;        /* of the data set's pictures */
  ml_tensor *images;
  ml_status (*work)(struct images_job *job, int64_t i, ml_error *err);
  _Atomic int64_t bad;          /* the first file that was refused so far; the number of files if none was */
  pthread_mutex_t lock;         /* of err, which is about `bad` */
  ml_error err;
} images_job;

/* ---- every file, on all threads ---- */

static void note_failure(images_job *job, int64_t i, const ml_error *err) {
  pthread_mutex_lock(&job->lock);
  if (i < job->bad) {
    job->bad = i;
    job->err = *err;
  }
  pthread_mutex_unlock(&job->lock);
}

/* Goes on past a failure only with files before it: the first of all is found whatever the order. */
static void run_range(void *ctx, int64_t begin, int64_t end) {
  images_job *job = ctx;
  ml_error err = {.status = ML_OK};
  for (int64_t i = begin; i < end && i < job->bad; i++)
    if (job->work(job, i, &err) != ML_OK) note_failure(job, i, &err);
}

static ml_status for_each_file(images_job *job, ml_status (*work)(images_job *, int64_t, ml_error *), ml_error *err) {
  job->work = work;
  job->bad = job->folder.paths.count;
  ml_pool_for(run_range, job, job->folder.paths.count, GRAIN);
  if (job->bad == job->folder.paths.count) return ML_OK;
  if (err) *err = job->err;
  return job->err.status;
}

/* ---- sizes ---- */

static ml_status read_size(images_job *job, int64_t i, ml_error *err) {
  return ml_png_read_size(&job->sizes[i], job->folder.paths.items[i], err);
}

static ml_status check_sizes(images_job *job, ml_error *err) {
  const ml_png_size first = job->sizes[0];
  for (int64_t i = 1; i < job->folder.paths.count && job->o->height == 0; i++)
    if (job->sizes[i].height != first.height || job->sizes[i].width != first.width)
      return ml_fail(err, ML_FORMAT,
                     "%s: the picture is %lldx%lld, expected %lldx%lld as %s is, or a size to fit all to",
                     job->folder.paths.items[i], (long long)job->sizes[i].width, (long long)job->sizes[i].height,
                     (long long)first.width, (long long)first.height, job->folder.paths.items[0]);
  job->height = job->o->height ? job->o->height : first.height;
  job->width = job->o->width ? job->o->width : first.width;
  if (job->height <= MAX_SIDE && job->width <= MAX_SIDE) return ML_OK;
  return ml_fail(err, ML_FORMAT, "%s: the picture is %lldx%lld, expected at most %dx%d, or a size to fit it to",
                 job->folder.paths.items[0], (long long)job->width, (long long)job->height, MAX_SIDE, MAX_SIDE);
}

static ml_status make_images(images_job *job, const char *path, ml_error *err) {
  const int64_t n = job->folder.paths.count;
  const size_t bytes = (size_t)(job->height * job->width * job->o->channels); /* at most 3 * 2^24 */
  ml_shape shape = {.ndim = 3, .size = {n, job->height, job->width}};
  if (job->o->channels == 3) shape = (ml_shape){.ndim = 4, .size = {n, 3, job->height, job->width}};
  if ((size_t)n > MAX_BYTES / bytes) {
    return ml_fail(err, ML_FORMAT, "%s: %s bytes of pictures, expected at most %zu", path,
                   ML_SHAPE_WORDS(&shape), MAX_BYTES);
  }
  job->images = ml_tensor_new(ML_U8, &shape, err);
  return job->images ? ML_OK : ML_NOMEM;
}

/* ---- pixels ---- */

static ml_status read_picture(images_job *job, int64_t i, ml_error *err) {
  const char *path = job->folder.paths.items[i];
  uint8_t *pixels = NULL, *place = job->images->u8 + i * job->height * job->width * job->o->channels;
  ml_png_size size;
  ml_status status = ml_png_read(&pixels, &size, path, job->o->channels, err);
  if (status == ML_OK && job->o->height == 0 && (size.height != job->height || size.width != job->width))
    status = ml_fail(err, ML_FORMAT, "%s: changed while it was read", path);
  else if (status == ML_OK)
    status = ml_picture_fit(place, job->height, job->width, pixels, size.height, size.width, job->o->channels, err);
  ml_free(pixels);
  return status;
}

/* Whether the outermost pixels of all pictures are above the middle on average. */
static bool light_background(const images_job *job) {
  const int64_t h = job->height, w = job->width, planes = ml_tensor_count(job->images) / (h * w);
  uint64_t sum = 0, count = 0;
  for (int64_t p = 0; p < planes; p++)
    for (int64_t y = 0; y < h; y++)
      for (int64_t x = 0; x < w; x += y == 0 || y == h - 1 || w == 1 ? 1 : w - 1) {
        sum += job->images->u8[(p * h + y) * w + x];
        count++;
      }
  return 2 * sum > 255 * count;
}

static void invert_range(void *ctx, int64_t begin, int64_t end) {
  uint8_t *bytes = ((ml_tensor *)ctx)->u8;
  for (int64_t i = begin; i < end; i++) bytes[i] = (uint8_t)(255 - bytes[i]);
}

/* ---- the data set ---- */

/* The names and the list of them, in one block. */
static char **copy_names(const ml_names *classes) {
  size_t bytes = (size_t)classes->count * sizeof(char *);
  for (int64_t i = 0; i < classes->count; i++) bytes += strlen(classes->items[i]) + 1;
  char **list = ml_alloc(bytes);
  if (!list) return NULL;
  char *text = (char *)(list + classes->count);
  for (int64_t i = 0; i < classes->count; i++) {
    list[i] = strcpy(text, classes->items[i]);
    text += strlen(text) + 1;
  }
  return list;
}

static ml_dataset *make_dataset(images_job *job, ml_images_info *info, ml_error *err) {
  const int64_t n = job->folder.paths.count;
  ml_tensor *labels = ml_tensor_new(ML_I32, &(ml_shape){.ndim = 1, .size = {n}}, err);
  if (!labels) return NULL;
  memcpy(labels->i32, job->folder.labels, (size_t)n * sizeof *labels->i32);
  ml_dataset *d = ml_dataset_new(job->images, labels, (int)job->folder.classes.count, err);
  ml_tensor_unref(labels);
  if (!d) return NULL;
  info->classes = job->folder.classes.count;
  info->names = copy_names(&job->folder.classes);
  if (info->names) return d;
  ml_dataset_unref(d);
  ml_fail(err, ML_NOMEM, "no memory for the names of %lld classes", (long long)info->classes);
  return NULL;
}

static ml_status read_all(images_job *job, const char *path, ml_error *err) {
  job->sizes = ml_calloc((size_t)job->folder.paths.count, sizeof *job->sizes);
  if (!job->sizes) return ml_fail(err, ML_NOMEM, "no memory for a list of %lld sizes",
                                  (long long)job->folder.paths.count);
  ml_status status = for_each_file(job, read_size, err);
  if (status == ML_OK) status = check_sizes(job, err);
  if (status == ML_OK) status = make_images(job, path, err);
  if (status == ML_OK) status = for_each_file(job, read_picture, err);
  return status;
}

static ml_status check_options(const ml_images_options *o, ml_error *err) {
  if (o->channels != 1 && o->channels != 3)
    return ml_fail(err, ML_MISUSE, "pictures of %d channels, expected 1 or 3", o->channels);
  if (o->height < 0 || o->width < 0 || o->height > MAX_SIDE || o->width > MAX_SIDE || !o->height != !o->width)
    return ml_fail(err, ML_MISUSE, "pictures of %lldx%lld, expected at most %dx%d", (long long)o->width,
                   (long long)o->height, MAX_SIDE, MAX_SIDE);
  return ML_OK;
}

ml_dataset *ml_read_images(ml_images_info *info, const char *path, const ml_images_options *o, ml_error *err) {
  images_job job = {.o = o, .lock = PTHREAD_MUTEX_INITIALIZER};
  *info = (ml_images_info){.names = NULL};
  if (check_options(o, err) != ML_OK) return NULL;
  if (ml_image_folder_list(&job.folder, path, o->classes, o->class_count, err) != ML_OK) return NULL;
  ml_dataset *d = NULL;
  if (read_all(&job, path, err) == ML_OK) {
    info->inverted = o->invert == ML_INVERT_YES || (o->invert == ML_INVERT_AUTO && light_background(&job));
    if (info->inverted) ml_pool_for(invert_range, job.images, ml_tensor_count(job.images), (int64_t)1 << 20);
    d = make_dataset(&job, info, err);
  }
  ml_tensor_unref(job.images);
  ml_free(job.sizes);
  ml_image_folder_free(&job.folder);
  return d;
}
