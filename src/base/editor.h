/* A line of text typed at a terminal: edited, with a history and completion. A thin layer over libedit. Used by the
 * prompt only; one editor at a time, on standard input and output, which are both to be a terminal. */
#ifndef ML_BASE_EDITOR_H
#define ML_BASE_EDITOR_H

#include <stddef.h>

#include "base/error.h"

typedef struct ml_editor ml_editor;

/* What the Tab key asks for: the line and the cursor's place in it. Returns the text to put in at the cursor, in a
 * block from ml_alloc; NULL for none. *listed: something was written to the screen, so the line is to be drawn anew. */
typedef char *(*ml_editor_complete)(void *ctx, const char *line, size_t cursor, int *listed);

typedef enum ml_editor_event {
  ML_EDITOR_LINE,
  ML_EDITOR_END,         /* Ctrl-D on an empty line, or the terminal is gone */
  ML_EDITOR_INTERRUPT,   /* Ctrl-C */
  ML_EDITOR_STOP         /* SIGTERM, which has been passed on to the handler that was there before */
} ml_editor_event;

/* complete may be NULL. ML_NOMEM, or ML_IO where the terminal cannot be used. */
ml_status ml_editor_open(ml_editor **editor, ml_editor_complete complete, void *ctx, ml_error *err);
void ml_editor_close(ml_editor *e);   /* NULL is allowed */

/* Lets the user edit one line behind the prompt. *line is good until the next call, without its line break, and NULL
 * unless a line was read. SIGINT and SIGTERM are caught meanwhile, whatever else catches them, and the terminal is put
 * back before either has an effect. */
ml_editor_event ml_editor_read(ml_editor *e, const char *prompt, const char **line);

/* The history: the last 1,000 lines, none twice in a row. Loading a file that is not there is no fault. */
void ml_editor_add(ml_editor *e, const char *line);
ml_status ml_editor_load(ml_editor *e, const char *path, ml_error *err);
ml_status ml_editor_save(ml_editor *e, const char *path, ml_error *err);

#endif
