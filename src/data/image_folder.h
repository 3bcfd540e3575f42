/* The list of pictures in a folder that has one sub-folder for each class. Used by images.c only. */
#ifndef ML_DATA_IMAGE_FOLDER_H
#define ML_DATA_IMAGE_FOLDER_H

#include <stdint.h>

#include "base/error.h"

/* Names in natural order: runs of digits compare as numbers ("2" before "10"), all else byte by byte, so that the order
 * of UTF-8 names is that of their code points. Never 0 for two different names. */
int ml_natural_order(const char *a, const char *b);

typedef struct ml_names {
  char **items;      /* each from ml_alloc */
  int64_t count, room;
} ml_names;

void ml_names_free(ml_names *n);

typedef struct ml_image_folder {
  ml_names classes;  /* the sub-folders' names, in natural order */
  ml_names paths;    /* the files', class by class, in natural order within each */
  int32_t *labels;   /* [paths.count] positions in classes */
} ml_image_folder;

/* Lists the folder at path. Hidden entries (".x") are passed over; anything else that does not belong there is refused:
 * a file beside the sub-folders, a folder inside one, a sub-folder without files, fewer than 2 sub-folders. With
 * `known` of known_count names these are the classes, and each sub-folder must be one of them; known may be NULL. On
 * failure there is nothing to free. */
ml_status ml_image_folder_list(ml_image_folder *f, const char *path, const char *const *known, int64_t known_count,
                               ml_error *err);
void ml_image_folder_free(ml_image_folder *f);

#endif
