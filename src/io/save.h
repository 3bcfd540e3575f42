/* Saving in the background. What is to be saved is copied at once, in the time that a copy takes; a thread of its own
 * then seals the copy (seal.h) and writes it by the rules of ml_writer, while the caller goes on and changes the
 * tensors. Called by src/bind for checkpoints. */
#ifndef ML_IO_SAVE_H
#define ML_IO_SAVE_H

#include <stdbool.h>

#include "io/safetensors.h"

typedef struct ml_save ml_save;

/* Copies what archive holds and begins to write it to path as a safetensors file. If the system has no thread to spare,
 * it is written before this returns. NULL with err filled, and nothing begun, for what ml_safetensors_write refuses and
 * without memory. */
ml_save *ml_save_begin(const char *path, const ml_archive *archive, ml_error *err);

bool ml_save_done(const ml_save *save);   /* whether ml_save_end would return at once */

/* Waits for the file. ML_OK once it is on the disk under its name; ML_MISUSE if there was no place for a seal. Frees
 * save, whatever it returns. */
ml_status ml_save_end(ml_save *save, ml_error *err);

#endif
