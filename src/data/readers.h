/* The files a dataset can come from. Every reader refuses a damaged file with one line that says where and what, reads
 * no more than the file can honestly hold, and decides that before it allocates. Messages begin with the path. */
#ifndef ML_DATA_READERS_H
#define ML_DATA_READERS_H

#include "data/dataset.h"

/* An IDX file (type 08, u8; 1 to 4 dimensions), gzip-compressed or not, recognised by content. */
ml_tensor *ml_read_idx(const char *path, ml_error *err);

/* Several of them at once, on as many threads as there are. tensors[i] is that of paths[i]; if a file is refused, all
 * are NULL and err is about the first such path in the order given. */
ml_status ml_read_idx_files(ml_tensor **tensors, const char *const *paths, int count, ml_error *err);

/* Turns each picture of u8 [n, side, side] about its main diagonal, in place: EMNIST stores columns as rows. ML_FORMAT
 * for any other shape. */
ml_status ml_transpose_pictures(ml_tensor *images, ml_error *err);

/* What ml_read_csv found out. */
typedef struct ml_csv_info {
  bool header;             /* the first line was names, not a sample */
  int64_t rows, columns;   /* samples; columns of the file, the label's among them */
} ml_csv_info;

typedef enum ml_csv_header { ML_CSV_AUTO, ML_CSV_YES, ML_CSV_NO } ml_csv_header;

/* A CSV file of one sample a row, gzip-compressed or not: a label in column `label` (0-based), every other column a
 * feature. All features whole numbers 0..255 give u8 images, otherwise f32. A square number of u8 columns becomes
 * [n, side, side], else [n, columns]. AUTO takes the first line for a header if a field in it is not a number. */
ml_dataset *ml_read_csv(ml_csv_info *info, const char *path, int label, ml_csv_header header, ml_error *err);

/* n synthetic handwritten digits, 28x28 u8, labels 0..9 in an order drawn from the seed. Sample i depends on (seed, i)
 * alone, so a longer set begins with a shorter one. */
ml_dataset *ml_make_digits(int64_t n, uint32_t seed, ml_error *err);

/* What pictures are made into. */
typedef enum ml_invert { ML_INVERT_NO, ML_INVERT_YES, ML_INVERT_AUTO } ml_invert;

typedef struct ml_images_options {
  int channels;                /* 1 (grey) or 3 */
  int64_t height, width;       /* every picture is stretched to this size; 0: all have the same, and keep it */
  ml_invert invert;            /* 255 - value; AUTO: if the pictures' outermost pixels are on average above 127.5 */
  const char *const *classes;  /* the classes to expect, in this order; NULL for those that there are */
  int64_t class_count;
} ml_images_options;

/* What ml_read_images found out. The names lie in one block, to be freed with ml_free. */
typedef struct ml_images_info {
  int64_t classes;
  char **names;                /* [classes] of the sub-folders, in natural order */
  bool inverted;
} ml_images_info;

/* A folder of PNG files, one sub-folder for each class: u8 [n, height, width], or [n, 3, height, width] with 3
 * channels, class by class in natural order of the names. Read on as many threads as there are; of several files that
 * are refused the first is told. */
ml_dataset *ml_read_images(ml_images_info *info, const char *path, const ml_images_options *o, ml_error *err);

/* A file of text, unpacked if it is gzip by content; at most max_bytes after unpacking. As ml_file_read. A zero byte in
 * packed data ends them soon after it, for it is no text and the caller refuses it; and packed data that unpack to more
 * than text does (gzip.c says how much) are refused. */
ml_status ml_read_text(uint8_t **data, size_t *size, const char *path, size_t max_bytes, ml_error *err);

#endif
