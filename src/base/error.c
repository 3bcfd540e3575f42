/* Fills, prefixes and cleans the messages of ml_error. Every fallible function of the core ends here; nothing here
 * allocates, prints or exits, so that an error can still be told when memory or a stream is what failed. */
#include "base/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The length of the valid UTF-8 sequence at s (1..4), or 0. Overlong forms, surrogates, and the C1 controls
 * U+0080..U+009F, which terminals obey, count as invalid. s ends with a zero byte. */
static size_t utf8_length(const unsigned char *s) {
  if (s[0] < 0x80) return 1;
  size_t length = 0;
  if (s[0] >= 0xc2 && s[0] <= 0xdf) length = 2;
  if (s[0] >= 0xe0 && s[0] <= 0xef) length = 3;
  if (s[0] >= 0xf0 && s[0] <= 0xf4) length = 4;
  for (size_t i = 1; i < length; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
  bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f) || (s[0] == 0xc2 && s[1] < 0xa0);
  return overlong || outside ? 0 : length;
}

/* Copies text with control and invalid bytes as \xNN; cuts between characters, never inside one. */
static void escape_into(char *out, size_t size, const char *text) {
  static const char hex[] = "0123456789abcdef";
  const unsigned char *s = (const unsigned char *)text;
  size_t used = 0;
  while (*s != 0) {
    size_t length = utf8_length(s);
    bool plain = length > 0 && *s >= 0x20 && *s != 0x7f;
    size_t need = plain ? length : 4;
    if (used + need >= size) break;
    if (plain) {
      memcpy(out + used, s, length);
    } else {
      const char escape[4] = {'\\', 'x', hex[*s >> 4], hex[*s & 15]};
      memcpy(out + used, escape, sizeof escape);
    }
    used += need;
    s += plain ? length : 1;
  }
  out[used] = 0;
}

static void set_message(ml_error *err, ml_status status, const char *text) {
  err->status = status;
  escape_into(err->message, sizeof err->message, text);
}

static void format(char *out, size_t size, const char *fmt, va_list args) ML_PRINTF(3, 0);

static void format(char *out, size_t size, const char *fmt, va_list args) {
  if (vsnprintf(out, size, fmt, args) < 0) snprintf(out, size, "(a message that cannot be formatted)");
}

ml_status ml_fail(ml_error *err, ml_status status, const char *fmt, ...) {
  if (err == NULL) return status;
  char text[sizeof err->message];
  va_list args;
  va_start(args, fmt);
  format(text, sizeof text, fmt, args);
  va_end(args);
  set_message(err, status, text);
  return status;
}

/* first is cut so that ": " and second fit: the reason matters more than the end of a long name. */
static void set_joined(ml_error *err, ml_status status, const char *first, const char *second) {
  char text[sizeof err->message];
  size_t tail = strnlen(second, sizeof text - 3), head = strnlen(first, sizeof text - 3 - tail);
  memcpy(text, first, head);
  memcpy(text + head, ": ", 2);
  memcpy(text + head + 2, second, tail);
  text[head + 2 + tail] = 0;
  set_message(err, status, text);
}

ml_status ml_fail_errno(ml_error *err, int errno_value, const char *fmt, ...) {
  if (err == NULL) return ML_IO;
  char text[sizeof err->message], reason[128];
  va_list args;
  va_start(args, fmt);
  format(text, sizeof text, fmt, args);
  va_end(args);
  set_joined(err, ML_IO, text, strerror_r(errno_value, reason, sizeof reason));
  return ML_IO;
}

void ml_error_prefix(ml_error *err, const char *fmt, ...) {
  if (err == NULL) return;
  char text[sizeof err->message], old[sizeof err->message];
  va_list args;
  va_start(args, fmt);
  format(text, sizeof text, fmt, args);
  va_end(args);
  memcpy(old, err->message, sizeof old);
  set_joined(err, err->status, text, old);
}
