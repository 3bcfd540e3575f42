/* A lock between processes, held through a file that stays. It is the kernel's: when its holder ends, however it does,
 * the lock is free. Messages begin with the path. */
#ifndef ML_BASE_LOCK_H
#define ML_BASE_LOCK_H

#include <stdbool.h>

#include "base/error.h"

typedef struct ml_lock {
  int fd;   /* -1 if it is not held */
} ml_lock;

/* Takes the lock, and writes this process's number into the file, which is made if it is not there. Never waits: ML_IO
 * if another process (or another ml_lock of this one) has it, and then *holder is that process's number, 0 if the file
 * does not tell; -1 after any other failure. */
ml_status ml_lock_take(ml_lock *lock, const char *path, long *holder, ml_error *err);
void ml_lock_release(ml_lock *lock);   /* does nothing if it is not held */

/* Whether somebody has it, and who (0 if the file does not tell). Takes nothing, and is false where there is no file.
 * */
bool ml_lock_held(const char *path, long *holder);

#endif
