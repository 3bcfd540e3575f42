/* What went wrong, and where: the one way in which core functions report.
 *
 * A fallible function returns an ml_status and takes an `ml_error *err` as its last argument. On failure it fills
 * err with one sentence that says what was expected and what was found; callers on the way up prefix the place
 * ("data/mnist/train-images: ..."). Nothing here prints, exits or jumps: only src/bind turns an ml_error into a
 * Lua error. */
#ifndef ML_BASE_ERROR_H
#define ML_BASE_ERROR_H

typedef enum ml_status {
  ML_OK = 0,
  ML_MISUSE,  /* the caller's mistake: raised in the script at the caller's line */
  ML_NOMEM,   /* an allocation failed: raised */
  ML_IO,      /* the operating system refused: returned to the script as nil, message */
  ML_FORMAT   /* a file is not what it should be: returned as nil, message */
} ml_status;

typedef struct ml_error {
  ml_status status;
  char message[1024];
} ml_error;

#define ML_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))

/* Fills err (which may be NULL) with the formatted message and returns status, so that a function can end in
 * `return ml_fail(err, ML_FORMAT, "...", ...)`. Too long a message is cut. Control bytes are escaped as \xNN. */
ml_status ml_fail(ml_error *err, ml_status status, const char *fmt, ...) ML_PRINTF(3, 4);

/* ML_IO with strerror(errno_value) at the end: "<formatted>: No space left on device". */
ml_status ml_fail_errno(ml_error *err, int errno_value, const char *fmt, ...) ML_PRINTF(3, 4);

/* Puts "<formatted>: " before the message that err holds; NULL is allowed. Returns nothing on purpose: the status is
 * what the failed call returned, and err, which may be NULL, cannot tell it. */
void ml_error_prefix(ml_error *err, const char *fmt, ...) ML_PRINTF(2, 3);

#endif
