/* Wraps libedit. Called by src/bind/l_editor.c. */
#include "base/editor.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/file.h"
#include "base/memory.h"

enum { LINES = 1000 };

struct ml_editor {
  EditLine *el;
  History *history;
  const char *prompt;
  ml_editor_complete complete;
  void *ctx;
  char *line;         /* what was read last, from ml_alloc */
  sigset_t outside;   /* the signals blocked when the line is not being read */
};

/* ---- signals while a line is read: they arrive only where the next key is waited for ---- */

static const int watched[] = { SIGINT, SIGTERM, SIGWINCH, SIGCONT };
enum { WATCHED = sizeof watched / sizeof *watched };

static volatile sig_atomic_t ended;               /* by SIGINT or SIGTERM */
static volatile sig_atomic_t resized, continued;

static void on_signal(int number) {
  if (number == SIGWINCH) resized = 1;
  else if (number == SIGCONT) continued = 1;
  else ended = number;
}

static void watch(ml_editor *e, struct sigaction before[WATCHED]) {
  struct sigaction action = { .sa_handler = on_signal };
  sigset_t held;
  ended = resized = continued = 0;
  sigemptyset(&action.sa_mask);
  sigemptyset(&held);
  for (int i = 0; i < WATCHED; i++) sigaddset(&held, watched[i]);
  pthread_sigmask(SIG_BLOCK, &held, &e->outside);
  for (int i = 0; i < WATCHED; i++) sigaction(watched[i], &action, &before[i]);
}

static void unwatch(const ml_editor *e, const struct sigaction before[WATCHED]) {
  for (int i = 0; i < WATCHED; i++) sigaction(watched[i], &before[i], NULL);
  pthread_sigmask(SIG_SETMASK, &e->outside, NULL);
}

/* The terminal has another size, or the process goes on after it was stopped, and whoever had the terminal meanwhile
 * left it in a mode of theirs. */
static void redraw(EditLine *el) {
  if (resized) el_resize(el);
  if (continued) {
    el_set(el, EL_PREP_TERM, 0);
    el_set(el, EL_PREP_TERM, 1);
  }
  if (resized || continued) {
    putchar('\r');   /* where libedit takes the cursor to be when it draws the line anew */
    el_set(el, EL_REFRESH);
  }
  resized = continued = 0;
}

static ml_editor *editor_of(EditLine *el) {
  void *e = NULL;
  el_get(el, EL_CLIENTDATA, &e);
  return e;
}

/* Waits for a byte: 1, 0 at the end, -1 where a signal ends the line. */
static int read_byte(ml_editor *e, char *byte) {
  for (;;) {
    struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
    int ready = ppoll(&p, 1, NULL, &e->outside);
    if (ended || (ready < 0 && errno != EINTR)) return -1;
    redraw(e->el);
    if (ready <= 0) continue;
    ssize_t n = read(STDIN_FILENO, byte, 1);
    if (n >= 0 || errno != EINTR) return (int)n;
  }
}

/* The next character, where libedit would read it itself. Bytes that are none are left out. */
static int on_read(EditLine *el, wchar_t *character) {
  mbstate_t state = { 0 };
  for (;;) {
    char byte = 0;
    int got = read_byte(editor_of(el), &byte);
    if (got <= 0) return got;
    size_t size = mbrtowc(character, &byte, 1, &state);
    if (size <= 1) return 1;
    if (size == (size_t)-1) state = (mbstate_t){ 0 };
  }
}

static char *prompt_of(EditLine *el) { return (char *)editor_of(el)->prompt; }

static unsigned char on_tab(EditLine *el, wint_t key) {
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

/* What a character of the line is: the locale says so, and where there is none it is UTF-8's. */
static void choose_characters(void) {
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "ANSI_X3.4-1968") == 0) setlocale(LC_CTYPE, "C.UTF-8");
}

static bool set_up(ml_editor *e) {
  HistEvent event;
  choose_characters();
  e->history = history_init();
  e->el = e->history ? el_init("mnistlua", stdin, stdout, stderr) : NULL;
  if (!e->el) return false;
  history(e->history, &event, H_SETSIZE, LINES);
  history(e->history, &event, H_SETUNIQUE, 1);
  el_set(e->el, EL_CLIENTDATA, e);
  el_set(e->el, EL_PROMPT, prompt_of);
  el_set(e->el, EL_GETCFN, on_read);
  el_set(e->el, EL_EDITOR, "emacs");
  el_set(e->el, EL_HIST, history, e->history);
  el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
  if (e->complete) {
    el_wset(e->el, EL_ADDFN, L"complete", L"complete the word", on_tab);   /* el_set would leak copies of the texts */
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
  struct sigaction before[WATCHED];
  int size = 0;
  *line = NULL;
  ml_free(e->line);
  e->line = NULL;
  e->prompt = prompt;
  el_resize(e->el);
  watch(e, before);
  const char *text = el_gets(e->el, &size);
  unwatch(e, before);
  if (ended) el_reset(e->el);
  if (ended == SIGTERM) raise(SIGTERM);   /* to whoever it was for, now that the terminal is as it was */
  if (ended) return ended == SIGINT ? ML_EDITOR_INTERRUPT : ML_EDITOR_STOP;
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
