/* Wraps libedit. Called by src/bind/l_editor.c. */
#include "base/editor.h"

#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum { LINES = 1000 };

struct ml_editor {
  EditLine *el;
  History *history;
  const char *prompt;
  ml_editor_complete complete;
  void *ctx;
  char *line;   /* what was read last, from ml_alloc */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
  (void)number;
  interrupted = 1;
}

static ml_editor *editor_of(EditLine *el) {
  void *e = NULL;
  el_get(el, EL_CLIENTDATA, &e);
  return e;
}

static char *prompt_of(EditLine *el) { return (char *)editor_of(el)->prompt; }

static unsigned char on_tab(EditLine *el, int key) {
  (void)key;
  ml_editor *e = editor_of(el);
  const LineInfo *info = el_line(el);
  const size_t size = (size_t)(info->lastchar - info->buffer), cursor = (size_t)(info->cursor - info->buffer);
  char *line = ml_alloc(size + 1);
  if (!line) return CC_ERROR;
  memcpy(line, info->buffer, size);
  line[size] = '\0';
  int listed = 0;
  char *text = e->complete(e->ctx, line, cursor, &listed);
  ml_free(line);
  const bool put = text && *text && el_insertstr(el, text) == 0;
  ml_free(text);
  if (listed) return CC_REDISPLAY;
  return put ? CC_REFRESH : CC_REFRESH_BEEP;
}

static bool set_up(ml_editor *e) {
  HistEvent event;
  setlocale(LC_CTYPE, "");   /* what a character of the line is */
  e->history = history_init();
  e->el = e->history ? el_init("mnistlua", stdin, stdout, stderr) : NULL;
  if (!e->el) return false;
  history(e->history, &event, H_SETSIZE, LINES);
  history(e->history, &event, H_SETUNIQUE, 1);
  el_set(e->el, EL_CLIENTDATA, e);
  el_set(e->el, EL_PROMPT, prompt_of);
  el_set(e->el, EL_EDITOR, "emacs");
  el_set(e->el, EL_HIST, history, e->history);
  el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
  if (e->complete) {
    el_set(e->el, EL_ADDFN, "complete", "complete the word", on_tab);
    el_set(e->el, EL_BIND, "^I", "complete", NULL);
  }
  el_source(e->el, NULL);    /* the user's ~/.editrc, if there is one */
  return true;
}

ml_status ml_editor_open(ml_editor **editor, ml_editor_complete complete, void *ctx, ml_error *err) {
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
    return ml_fail(err, ML_IO, "a line cannot be edited: standard input and output are to be a terminal");
  }
  ml_editor *e = ml_calloc(1, sizeof *e);
  if (!e) return ml_fail(err, ML_NOMEM, "out of memory for a line editor");
  e->complete = complete;
  e->ctx = ctx;
  if (!set_up(e)) {
    ml_editor_close(e);
    return ml_fail(err, ML_IO, "a line cannot be edited: the terminal's type is not known");
  }
  *editor = e;
  return ML_OK;
}

void ml_editor_close(ml_editor *e) {
  if (!e) return;
  if (e->el) el_end(e->el);
  if (e->history) history_end(e->history);
  ml_free(e->line);
  ml_free(e);
}

/* The line as libedit returns it, without its break. False if there is no memory. */
static bool keep(ml_editor *e, const char *line, int size) {
  size_t n = size > 0 ? (size_t)size : 0;
  while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
  e->line = ml_alloc(n + 1);
  if (!e->line) return false;
  memcpy(e->line, line, n);
  e->line[n] = '\0';
  return true;
}

ml_editor_event ml_editor_read(ml_editor *e, const char *prompt, const char **line) {
  struct sigaction action = {.sa_handler = on_interrupt}, before;   /* without SA_RESTART: the read ends */
  int size = 0;
  *line = NULL;
  ml_free(e->line);
  e->line = NULL;
  e->prompt = prompt;
  interrupted = 0;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before);
  const char *text = el_gets(e->el, &size);
  sigaction(SIGINT, &before, NULL);
  if (interrupted) {
    el_reset(e->el);
    return ML_EDITOR_INTERRUPT;
  }
  if (!text || size <= 0 || !keep(e, text, size)) return ML_EDITOR_END;
  *line = e->line;
  return ML_EDITOR_LINE;
}

/* ---- history ---- */

void ml_editor_add(ml_editor *e, const char *line) {
  HistEvent event;
  history(e->history, &event, H_ENTER, line);
}

ml_status ml_editor_load(ml_editor *e, const char *path, ml_error *err) {
  HistEvent event;
  if (!ml_file_exists(path) || history(e->history, &event, H_LOAD, path) >= 0) return ML_OK;
  return ml_fail(err, ML_FORMAT, "%s: expected a history of lines as libedit writes it", path);
}

ml_status ml_editor_save(ml_editor *e, const char *path, ml_error *err) {
  HistEvent event;
  if (history(e->history, &event, H_SAVE, path) >= 0) return ML_OK;
  return ml_fail_errno(err, errno, "%s", path);
}
