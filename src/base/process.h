/* Child processes: started from a list of words (no shell), read through pipes, asked or made to end. Called by the
 * bindings, from one thread. A child has the null device as its standard input and a process group of its own, so that
 * Ctrl-C on a terminal reaches its parent alone, which decides; where the system can do so (Linux), a child is killed
 * when its parent ends. */
#ifndef ML_BASE_PROCESS_H
#define ML_BASE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

enum { ML_PROCESS_OUT, ML_PROCESS_ERR };   /* its standard output, its standard error */

typedef struct ml_process {
  pid_t pid;        /* 0: there is none */
  bool ended;
  int code;         /* once it has ended: its exit code, or 128 + the signal that ended it */
  int streams[2];   /* the read ends of its pipes, which never block; -1: at the end */
} ml_process;

/* Starts the program at `path` (looked for nowhere else) with the words argv[0], argv[1], ... NULL. ML_IO if it cannot
 * be started; then *p holds no process. */
ml_status ml_process_start(ml_process *p, const char *path, const char *const *argv, ml_error *err);

/* Waits until one of them has written something, has closed a stream, or has ended, or a signal was caught, or the
 * time is over; with nothing to wait for it is just the time. ML_IO if the system refuses. */
ml_status ml_process_wait(ml_process *const *list, size_t count, int milliseconds, ml_error *err);

/* Reads what is there, at most size bytes. 0: nothing at the moment, or the stream's end, after which
 * streams[stream] is -1. */
size_t ml_process_read(ml_process *p, int stream, void *to, size_t size);

/* Whether it has ended; fills code. What it wrote can still be read. */
bool ml_process_has_ended(ml_process *p);

void ml_process_signal(ml_process *p, int signal);   /* to it and its children; nothing if it has ended */

/* Closes the pipes, kills it if it has not ended, and waits for that. A second call does nothing. */
void ml_process_close(ml_process *p);

#endif
