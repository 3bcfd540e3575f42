/* libmicrohttpd, loaded when a server is started and not with the program: it brings a dozen libraries of its own,
 * which would double the time that every other command takes to start. Called by http.c only. */
#ifndef ML_IO_HTTP_LIBRARY_H
#define ML_IO_HTTP_LIBRARY_H

#include <microhttpd.h>

#include "base/error.h"

/* The functions that http.c calls. */
#define ML_HTTP_FUNCTIONS(X)         \
  X(MHD_start_daemon)                \
  X(MHD_stop_daemon)                 \
  X(MHD_run)                         \
  X(MHD_get_timeout)                 \
  X(MHD_get_daemon_info)             \
  X(MHD_get_connection_info)         \
  X(MHD_get_connection_values)       \
  X(MHD_lookup_connection_value)     \
  X(MHD_suspend_connection)          \
  X(MHD_resume_connection)           \
  X(MHD_create_response_from_buffer) \
  X(MHD_add_response_header)         \
  X(MHD_queue_response)              \
  X(MHD_destroy_response)

typedef struct ml_http_library {
#define ML_HTTP_FIELD(name) __typeof__(name) *name;
  ML_HTTP_FUNCTIONS(ML_HTTP_FIELD)
#undef ML_HTTP_FIELD
} ml_http_library;

/* The library, which stays loaded from then on; NULL if it is not installed. */
const ml_http_library *ml_http_load(ml_error *err);

#endif
