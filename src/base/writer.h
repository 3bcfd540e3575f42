/* Writing that leaves either the old file or the whole new one. Messages begin with the path. */
#ifndef ML_BASE_WRITER_H
#define ML_BASE_WRITER_H

#include <stddef.h>

#include "base/error.h"

/* A file being written. Bytes go to a temporary name in the same folder (O_EXCL); ml_writer_commit flushes, fsyncs,
 * renames it to path and fsyncs the folder. After a failed write or sync the target is untouched, the temporary is
 * gone, and nothing is called saved. Short writes and EINTR are handled.
 *
 * Where path is a symbolic link, the link stays and the file that it leads to is replaced, or made if there is none.
 * ML_IO if there is something else than a file under that name (a folder, device or FIFO), or if the name is empty. */
typedef struct ml_writer ml_writer;

ml_status ml_writer_open(ml_writer **w, const char *path, ml_error *err);
ml_status ml_writer_write(ml_writer *w, const void *data, size_t size, ml_error *err);
/* Whoever may read the file shall be allowed to run it. */
ml_status ml_writer_make_executable(ml_writer *w, ml_error *err);
ml_status ml_writer_commit(ml_writer *w, ml_error *err);  /* frees w, whatever it returns */
void ml_writer_abort(ml_writer *w);                       /* removes the temporary, frees w; NULL is allowed */

/* Removes every temporary that exists now. What is written by then is lost; targets are untouched.
 * Async-signal-safe. */
void ml_writer_unlink_all(void);

/* The same, and from now on no thread can make another: for a signal handler that ends the program at once, whichever
 * thread writes. */
void ml_writer_shut(void);

/* The three calls above for bytes that lie in memory. */
ml_status ml_file_write(const char *path, const void *data, size_t size, ml_error *err);

/* ML_OK if new files can be made in this folder (creating it if need be): tries, and removes what it made. */
ml_status ml_check_writable_dir(const char *path, ml_error *err);

#endif
