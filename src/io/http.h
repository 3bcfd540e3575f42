/* An HTTP server on this machine's own address, 127.0.0.1, for the page of `mnistlua serve`: whole requests come out of
 * it one after the other, and each is answered before the next. Called by the bindings, from one thread; it has none of
 * its own, and everything happens inside ml_http_poll. It knows sizes and times, and nothing of paths, hosts or pages:
 * which requests are let in, and what is answered, is decided by the caller. */
#ifndef ML_IO_HTTP_H
#define ML_IO_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

typedef struct ml_http ml_http;

typedef struct ml_http_limits {
  size_t body;       /* bytes of a request's body; more is answered with 413, a body without its size with 411 */
  int connections;   /* at a time; others wait until one ends */
  int seconds;       /* a connection that takes longer from one answer to the end of the next is cut */
} ml_http_limits;

typedef struct ml_http_header {
  const char *name, *value;
} ml_http_header;

/* A request that has arrived whole. What it points to lives until it is answered. */
typedef struct ml_http_request {
  const char *method;   /* "GET" */
  const char *target;   /* path and query as they were sent, with what is escaped in them */
  const ml_http_header *headers;
  size_t header_count;
  const char *body;
  size_t size;
} ml_http_request;

/* Listens on a port, 0 for one that the system chooses. ML_IO if that cannot be: *in_use tells whether the reason is
 * another program that listens there. */
ml_status ml_http_start(ml_http **server, int port, const ml_http_limits *limits, bool *in_use, ml_error *err);

int ml_http_port(const ml_http *server);

/* Receives and sends until a request waits, the time is over, or a signal was caught. May return early. */
ml_status ml_http_poll(ml_http *server, int milliseconds, ml_error *err);

/* The request that has waited longest, NULL if there is none. One that was not answered is given again. */
const ml_http_request *ml_http_next(ml_http *server);

/* Answers the request that ml_http_next gave; headers and body are copied. HEAD gets no body, by itself. ML_MISUSE if
 * there is no such request or a header is none; then it waits for another answer. The client may have gone: nothing
 * tells so. */
ml_status ml_http_answer(ml_http *server, int status, const ml_http_header *headers, size_t count, const void *body,
                         size_t size, ml_error *err);

/* Closes every connection and gives the port up. NULL is allowed. */
void ml_http_stop(ml_http *server);

#endif
