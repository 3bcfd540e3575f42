/* The HTTP server, with clients in the same thread: whole requests in order, answers, bodies that are too large or lack
 * their size, clients that are slow, silent or gone, ports in use, memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/http.h"

enum { ROUNDS = 200, BIG = 4 << 20 };

static const ml_http_limits limits = { .body = 1000, .connections = 4, .seconds = 1 };

static ml_http *start(int port) {
  ml_http *s;
  bool in_use;
  ml_error err = { 0 };
  if (ml_http_start(&s, port, &limits, &in_use, &err) != ML_OK) fail_msg("%s", err.message);
  return s;
}

static void poll_once(ml_http *s, int milliseconds) {
  ml_error err = { 0 };
  if (ml_http_poll(s, milliseconds, &err) != ML_OK) fail_msg("%s", err.message);
}

static int client_of(const ml_http *s) {
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)ml_http_port(s)) };
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static void send_text(int fd, const char *text) {
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static const ml_http_request *await(ml_http *s) {
  for (int i = 0; i < ROUNDS && !ml_http_next(s); i++) poll_once(s, 10);
  return ml_http_next(s);
}

static void answer(ml_http *s, int status, const char *body) {
  ml_error err = { 0 };
  const ml_http_header header = { "X-Test", "yes" };
  if (ml_http_answer(s, status, &header, 1, body, strlen(body), &err) != ML_OK) fail_msg("%s", err.message);
}

/* What the client receives until it has `wanted`, or the connection ends (then *ended). */
static void receive(ml_http *s, int fd, char *to, size_t size, const char *wanted, bool *ended) {
  size_t got = 0;
  *ended = false;
  for (int i = 0; i < ROUNDS && !*ended; i++) {
    poll_once(s, 10);
    ssize_t n = recv(fd, to + got, size - 1 - got, MSG_DONTWAIT);
    if (n == 0) *ended = true;
    if (n > 0) got += (size_t)n;
    to[got] = 0;
    if (wanted && strstr(to, wanted)) return;
  }
}

static const char *header_of(const ml_http_request *r, const char *name) {
  for (size_t i = 0; i < r->header_count; i++) {
    if (strcasecmp(r->headers[i].name, name) == 0) return r->headers[i].value;
  }
  return NULL;
}

/* ---- requests ---- */

static void requests_come_whole(void **state) {
  (void)state;
  char text[1000];
  bool ended;
  ml_http *s = start(0);
  int fd = client_of(s);
  assert_null(ml_http_next(s));
  send_text(fd, "POST /a/../%2e%00?x=%41 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\n\r\nab");
  for (int i = 0; i < 5; i++) poll_once(s, 5);
  assert_null(ml_http_next(s));
  send_text(fd, "cde");
  const ml_http_request *r = await(s);
  assert_non_null(r);
  assert_string_equal(r->method, "POST");
  assert_string_equal(r->target, "/a/../%2e%00?x=%41");
  assert_string_equal(header_of(r, "host"), "h:1");
  assert_int_equal(r->size, 5);
  assert_memory_equal(r->body, "abcde", 5);
  assert_ptr_equal(ml_http_next(s), r);
  answer(s, 200, "right");
  assert_null(ml_http_next(s));
  receive(s, fd, text, sizeof text, "right", &ended);
  assert_non_null(strstr(text, "HTTP/1.1 200 "));
  assert_non_null(strstr(text, "X-Test: yes\r\n"));
  assert_false(ended);
  send_text(fd, "GET /again HTTP/1.1\r\nHost: h\r\n\r\n");   /* the same connection */
  r = await(s);
  assert_non_null(r);
  assert_string_equal(r->target, "/again");
  assert_int_equal(r->size, 0);
  answer(s, 404, "no");
  receive(s, fd, text, sizeof text, "\r\n\r\nno", &ended);
  assert_non_null(strstr(text, "HTTP/1.1 404 "));
  close(fd);
  ml_http_stop(s);
}

static void requests_keep_their_order(void **state) {
  (void)state;
  ml_http *s = start(0);
  int fds[3];
  for (int i = 0; i < 3; i++) {
    char text[64];
    fds[i] = client_of(s);
    snprintf(text, sizeof text, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i);
    send_text(fds[i], text);
    for (int k = 0; k < 3; k++) poll_once(s, 0);
  }
  for (int i = 0; i < 3; i++) {
    const ml_http_request *r = await(s);
    assert_non_null(r);
    assert_int_equal(r->target[1], '0' + i);
    if (i == 1) close(fds[1]);                             /* one that does not wait for its answer */
    answer(s, 200, "ok");
  }
  for (int i = 0; i < 5; i++) poll_once(s, 5);
  close(fds[0]);
  close(fds[2]);
  ml_http_stop(s);
}

static void bodies_are_bounded(void **state) {
  (void)state;
  static const struct { const char *sent, *status; } cases[] = {
    { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", "HTTP/1.1 413 " },
    { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n", "HTTP/1.1 413 " },
    { "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 4" },
    { "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 411 " },
  };
  ml_http *s = start(0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[1000];
    bool ended;
    int fd = client_of(s);
    send_text(fd, cases[i].sent);
    receive(s, fd, text, sizeof text, NULL, &ended);
    assert_null(ml_http_next(s));
    assert_non_null(strstr(text, cases[i].status));
    assert_true(ended);
    close(fd);
  }
  ml_http_stop(s);
}

/* ---- clients that take their time ---- */

static void silent_clients_are_cut(void **state) {
  (void)state;
  static const char *const sent[] = { "", "GET / HT", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab" };
  for (size_t i = 0; i < 3; i++) {
    char text[1000];
    bool ended;
    ml_http *s = start(0);
    int fd = client_of(s);
    send_text(fd, sent[i]);
    receive(s, fd, text, sizeof text, NULL, &ended);
    assert_true(ended);
    assert_null(ml_http_next(s));
    close(fd);
    ml_http_stop(s);
  }
}

/* One that does not read its answer is cut, too, and the others are served meanwhile. */
static void slow_readers_block_nobody(void **state) {
  (void)state;
  static char big[BIG + 1];
  char text[1000];
  bool ended;
  memset(big, 'x', BIG);
  ml_http *s = start(0);
  int slow = client_of(s), fd = client_of(s);
  send_text(slow, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
  assert_non_null(await(s));
  answer(s, 200, big);
  send_text(fd, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n");
  const ml_http_request *r = await(s);
  assert_non_null(r);
  assert_string_equal(r->target, "/quick");
  answer(s, 200, "quick");
  receive(s, fd, text, sizeof text, "quick", &ended);
  assert_non_null(strstr(text, "quick"));
  for (int i = 0; i < 130; i++) poll_once(s, 10);
  size_t got = 0;
  for (ssize_t n = 1; n > 0; got += n > 0 ? (size_t)n : 0) n = recv(slow, big, BIG, MSG_DONTWAIT);
  assert_true(got < BIG);
  close(slow);
  close(fd);
  ml_http_stop(s);
}

/* ---- start and end ---- */

static void ports(void **state) {
  (void)state;
  ml_error err = { 0 };
  bool in_use;
  ml_http *s = start(0), *other;
  int port = ml_http_port(s);
  assert_true(port > 0);
  assert_int_equal(ml_http_start(&other, port, &limits, &in_use, &err), ML_IO);
  assert_true(in_use);
  assert_null(other);
  assert_non_null(strstr(err.message, "127.0.0.1: Address already in use"));
  int fd = client_of(s);
  send_text(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  assert_non_null(await(s));
  ml_http_stop(s);                        /* with a request that waits */
  close(fd);
  s = start(port);                        /* at once */
  ml_http_stop(s);
  ml_http_stop(NULL);
}

static void misuse(void **state) {
  (void)state;
  ml_error err = { 0 };
  const ml_http_header bad = { "X-Test", "a\r\nSet-Cookie: b" };
  ml_http *s = start(0);
  assert_int_equal(ml_http_answer(s, 200, NULL, 0, "", 0, &err), ML_MISUSE);
  assert_string_equal(err.message, "there is no request to answer");
  int fd = client_of(s);
  send_text(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  assert_non_null(await(s));
  assert_int_equal(ml_http_answer(s, 200, &bad, 1, "", 0, &err), ML_MISUSE);
  assert_non_null(strstr(err.message, "is no header"));
  assert_int_equal(ml_http_answer(s, 99, NULL, 0, "", 0, &err), ML_MISUSE);
  assert_non_null(strstr(err.message, "got 99"));
  assert_non_null(ml_http_next(s));
  answer(s, 200, "");
  close(fd);
  ml_http_stop(s);
}

/* A request for which there is no memory is dropped; the server goes on. */
static void memory_runs_out(void **state) {
  (void)state;
  for (uint64_t n = 1; n <= 8; n++) {
    ml_error err = { 0 };
    ml_http *s = NULL;
    bool in_use;
    ml_memory_fail_from(n);
    ml_status status = ml_http_start(&s, 0, &limits, &in_use, &err);
    if (status == ML_OK) {
      int fd = client_of(s);
      send_text(fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab");
      for (int i = 0; i < 5 && !ml_http_next(s); i++) poll_once(s, 2);
      ml_memory_fail_from(0);
      int second = client_of(s);
      send_text(second, "GET /second HTTP/1.1\r\nHost: h\r\n\r\n");
      if (ml_http_next(s)) answer(s, 200, "");
      const ml_http_request *r = await(s);
      assert_non_null(r);
      assert_string_equal(r->target, "/second");
      close(fd);
      close(second);
    } else {
      ml_memory_fail_from(0);
      assert_int_equal(status, ML_NOMEM);
    }
    ml_http_stop(s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(requests_come_whole),    cmocka_unit_test(requests_keep_their_order),
    cmocka_unit_test(bodies_are_bounded),     cmocka_unit_test(silent_clients_are_cut),
    cmocka_unit_test(slow_readers_block_nobody), cmocka_unit_test(ports),
    cmocka_unit_test(misuse),                 cmocka_unit_test(memory_runs_out),
  };
  return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
