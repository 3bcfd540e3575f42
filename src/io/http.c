/* The server of http.h on libmicrohttpd: its descriptor is polled, a request that is whole is suspended until its
 * answer is there. Every connection has a record, which holds the request under way. */
#include "io/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/http_library.h"

enum { BACKLOG = 64 };

typedef struct connection {
  struct connection *next, *before;    /* of all */
  struct connection *behind;           /* of those that wait for their answer */
  struct MHD_Connection *handle;
  int fd;
  bool waits;
  int64_t since;                       /* the server's clock at its start, or when the last answer was sent */
  char *target, *body;
  size_t room;                         /* of body: what Content-Length says */
  ml_http_header *headers;
  ml_http_request request;
  struct MHD_Response *response;       /* the answer, until it is handed over */
  unsigned status;
} connection;

struct ml_http {
  const ml_http_library *lib;
  struct MHD_Daemon *daemon;
  ml_http_limits limits;
  int port, epoll;
  bool stopping;
  int64_t clock;                       /* milliseconds in ml_http_poll: what the caller computes counts for nobody */
  connection *all, *first, *last;      /* first to last wait for their answer */
};

/* ---- connections ---- */

static connection *record_of(const ml_http *s, struct MHD_Connection *handle) {
  const union MHD_ConnectionInfo *info =
      s->lib->MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info ? info->socket_context : NULL;
}

static void forget_request(ml_http *s, connection *c) {
  if (c->response) s->lib->MHD_destroy_response(c->response);
  ml_free(c->target);
  ml_free(c->body);
  ml_free(c->headers);
  c->response = NULL;
  c->target = c->body = NULL;
  c->headers = NULL;
  c->room = 0;
  c->request = (ml_http_request){ 0 };
}

static void on_connection(void *cls, struct MHD_Connection *handle, void **context,
                          enum MHD_ConnectionNotificationCode code) {
  ml_http *s = cls;
  connection *c = *context;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    const union MHD_ConnectionInfo *info = s->lib->MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
    *context = c = ml_calloc(1, sizeof *c);
    if (!c) return;                    /* its requests are refused: they find no record */
    c->handle = handle;
    c->fd = info ? info->connect_fd : -1;
    c->since = s->clock;
    c->next = s->all;
    if (c->next) c->next->before = c;
    s->all = c;
  } else if (c) {
    *(c->before ? &c->before->next : &s->all) = c->next;
    if (c->next) c->next->before = c->before;
    forget_request(s, c);
    ml_free(c);
  }
}

/* A socket that is shut looks to the library as if the client had gone. */
static void cut_late(ml_http *s) {
  for (connection *c = s->all; c; c = c->next) {
    if (!c->waits && c->fd >= 0 && s->clock - c->since > (int64_t)s->limits.seconds * 1000) {
      shutdown(c->fd, SHUT_RDWR);
      c->fd = -1;
    }
  }
}

/* ---- a request under way ---- */

/* Before anything else of a request is known. What it returns would be *seen of the first call. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *handle) {
  ml_http *s = cls;
  connection *c = record_of(s, handle);
  if (!c) return NULL;
  size_t size = strlen(target) + 1;
  forget_request(s, c);
  c->target = ml_alloc(size);
  if (c->target) memcpy(c->target, target, size);
  return NULL;
}

/* Answered before the body arrives, of which nothing is read then. */
static enum MHD_Result refuse(ml_http *s, connection *c, unsigned status, const char *why) {
  struct MHD_Response *response =
      s->lib->MHD_create_response_from_buffer(strlen(why), (void *)why, MHD_RESPMEM_PERSISTENT);
  if (!response) return MHD_NO;
  s->lib->MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
  s->lib->MHD_add_response_header(response, "Connection", "close");
  enum MHD_Result result = s->lib->MHD_queue_response(c->handle, status, response);
  s->lib->MHD_destroy_response(response);
  return result;
}

static enum MHD_Result begin(ml_http *s, connection *c, const char *method) {
  if (!c->target) return MHD_NO;
  c->request.method = method;
  c->request.target = c->target;
  if (s->lib->MHD_lookup_connection_value(c->handle, MHD_HEADER_KIND, "Transfer-Encoding"))
    return refuse(s, c, MHD_HTTP_LENGTH_REQUIRED, "a body needs a Content-Length\n");
  const char *length = s->lib->MHD_lookup_connection_value(c->handle, MHD_HEADER_KIND, "Content-Length");
  unsigned long long size = length ? strtoull(length, NULL, 10) : 0;
  if (size > s->limits.body) return refuse(s, c, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large\n");
  c->room = (size_t)size;
  return MHD_YES;
}

static enum MHD_Result take_body(connection *c, const char *data, size_t size) {
  if (!c->body) c->body = ml_alloc(c->room);
  if (!c->body || size > c->room - c->request.size) return MHD_NO;
  memcpy(c->body + c->request.size, data, size);
  c->request.size += size;
  return MHD_YES;
}

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value) {
  ml_http_request *request = cls;
  (void)kind;
  ml_http_header *to = (ml_http_header *)request->headers + request->header_count++;
  *to = (ml_http_header){ .name = name, .value = value ? value : "" };
  return MHD_YES;
}

/* The request is whole: it waits for its answer. */
static enum MHD_Result wait_for_answer(ml_http *s, connection *c) {
  int count = s->lib->MHD_get_connection_values(c->handle, MHD_HEADER_KIND, NULL, NULL);
  c->headers = ml_alloc((size_t)(count > 0 ? count : 0) * sizeof *c->headers);
  if (!c->headers) return MHD_NO;
  c->request.headers = c->headers;
  c->request.body = c->body ? c->body : "";
  s->lib->MHD_get_connection_values(c->handle, MHD_HEADER_KIND, add_header, &c->request);
  c->waits = true;
  c->behind = NULL;
  if (s->last) s->last->behind = c;
  else s->first = c;
  s->last = c;
  s->lib->MHD_suspend_connection(c->handle);
  return MHD_YES;
}

/* Called when the headers are there, for each piece of the body, at its end, and after the answer. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *handle, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **seen) {
  ml_http *s = cls;
  connection *c = record_of(s, handle);
  (void)url, (void)version;
  if (!c || s->stopping) return MHD_NO;
  if (!*seen) {
    *seen = c;
    return begin(s, c, method);
  }
  if (*size > 0) {
    enum MHD_Result result = take_body(c, data, *size);
    *size = 0;
    return result;
  }
  if (!c->response) return wait_for_answer(s, c);
  enum MHD_Result result = s->lib->MHD_queue_response(handle, c->status, c->response);
  s->lib->MHD_destroy_response(c->response);
  c->response = NULL;
  return result;
}

static void on_end(void *cls, struct MHD_Connection *handle, void **seen, enum MHD_RequestTerminationCode code) {
  ml_http *s = cls;
  connection *c = record_of(s, handle);
  (void)code;
  *seen = NULL;
  if (!c) return;
  forget_request(s, c);
  c->since = s->clock;
}

/* ---- requests and answers ---- */

const ml_http_request *ml_http_next(ml_http *s) { return s->first ? &s->first->request : NULL; }

static ml_status make_response(struct MHD_Response **response, ml_http *s, const ml_http_header *headers, size_t count,
                               const void *body, size_t size, ml_error *err) {
  *response = s->lib->MHD_create_response_from_buffer(size, (void *)body, MHD_RESPMEM_MUST_COPY);
  if (!*response) return ml_fail(err, ML_NOMEM, "out of memory for an answer of %zu bytes", size);
  for (size_t i = 0; i < count; i++) {
    if (s->lib->MHD_add_response_header(*response, headers[i].name, headers[i].value) == MHD_YES) continue;
    s->lib->MHD_destroy_response(*response);
    *response = NULL;
    return ml_fail(err, ML_MISUSE, "'%s: %s' is no header of an answer", headers[i].name, headers[i].value);
  }
  return ML_OK;
}

ml_status ml_http_answer(ml_http *s, int status, const ml_http_header *headers, size_t count, const void *body,
                         size_t size, ml_error *err) {
  connection *c = s->first;
  if (!c) return ml_fail(err, ML_MISUSE, "there is no request to answer");
  if (status < 200 || status > 599) return ml_fail(err, ML_MISUSE, "expected a status of 200 to 599, got %d", status);
  ml_status made = make_response(&c->response, s, headers, count, body, size, err);
  if (made != ML_OK) return made;
  c->status = (unsigned)status;
  c->waits = false;
  c->since = s->clock;
  s->first = c->behind;
  if (!s->first) s->last = NULL;
  s->lib->MHD_resume_connection(c->handle);
  return ML_OK;
}

/* ---- polling ---- */

static int64_t milliseconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static ml_status run(ml_http *s, ml_error *err) {
  if (s->lib->MHD_run(s->daemon) == MHD_YES) return ML_OK;
  return ml_fail(err, ML_IO, "the server on port %d has failed", s->port);
}

ml_status ml_http_poll(ml_http *s, int milliseconds, ml_error *err) {
  const int64_t began = milliseconds_now();
  ml_status status = run(s, err);
  if (status != ML_OK || s->first) return status;
  MHD_UNSIGNED_LONG_LONG soon;
  if (s->lib->MHD_get_timeout(s->daemon, &soon) == MHD_YES && soon < (unsigned)milliseconds) milliseconds = (int)soon;
  struct pollfd ready = { .fd = s->epoll, .events = POLLIN };
  if (poll(&ready, 1, milliseconds) < 0 && errno != EINTR)
    return ml_fail_errno(err, errno, "the server on port %d cannot wait", s->port);
  s->clock += milliseconds_now() - began;
  cut_late(s);
  return run(s, err);
}

/* ---- start and end ---- */

/* A socket that listens; -1 with errno otherwise. */
static int listen_on(int port) {
  const int yes = 1;
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
      bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  int reason = errno;
  close(fd);
  errno = reason;
  return -1;
}

static int port_of(int fd) {
  struct sockaddr_in address = { 0 };
  socklen_t size = sizeof address;
  return getsockname(fd, (struct sockaddr *)&address, &size) == 0 ? ntohs(address.sin_port) : 0;
}

/* Takes the socket over if it succeeds. */
static bool start_daemon(ml_http *s, int fd) {
  s->daemon = s->lib->MHD_start_daemon(
      MHD_USE_EPOLL | MHD_USE_SUSPEND_RESUME, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd,
      MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->limits.connections, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
      MHD_OPTION_URI_LOG_CALLBACK, on_target, s, MHD_OPTION_NOTIFY_COMPLETED, on_end, s, MHD_OPTION_END);
  if (!s->daemon) return false;
  const union MHD_DaemonInfo *info = s->lib->MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
  s->epoll = info ? info->epoll_fd : -1;
  return true;
}

ml_status ml_http_start(ml_http **server, int port, const ml_http_limits *limits, bool *in_use, ml_error *err) {
  *server = NULL;
  *in_use = false;
  const ml_http_library *lib = ml_http_load(err);
  if (!lib) return ML_IO;
  int fd = listen_on(port);
  if (fd < 0) {
    *in_use = errno == EADDRINUSE;
    return ml_fail_errno(err, errno, "cannot listen on port %d of 127.0.0.1", port);
  }
  ml_http *s = ml_calloc(1, sizeof *s);
  if (!s) {
    close(fd);
    return ml_fail(err, ML_NOMEM, "out of memory");
  }
  s->lib = lib;
  s->limits = *limits;
  s->port = port_of(fd);
  if (!start_daemon(s, fd)) {
    close(fd);
    ml_free(s);
    return ml_fail(err, ML_IO, "libmicrohttpd cannot start on port %d", port);
  }
  *server = s;
  return ML_OK;
}

int ml_http_port(const ml_http *s) { return s->port; }

void ml_http_stop(ml_http *s) {
  if (!s) return;
  s->stopping = true;
  for (connection *c = s->first; c; c = c->behind) s->lib->MHD_resume_connection(c->handle);
  s->lib->MHD_stop_daemon(s->daemon);
  ml_free(s);
}
