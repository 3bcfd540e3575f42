/* Finds libmicrohttpd and the addresses of its functions. Called when a server is started. */
#include "io/http_library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

static const char file[] = "libmicrohttpd.so.12";

static bool find(void *handle, const char *name, void *function) {
  void *symbol = dlsym(handle, name);
  memcpy(function, &symbol, sizeof symbol);   /* a pointer to data as one to a function, as POSIX has it */
  return symbol != NULL;
}

const ml_http_library *ml_http_load(ml_error *err) {
  static ml_http_library library;
  static bool loaded;
  if (loaded) return &library;
  void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    ml_fail(err, ML_IO, "a server needs %s (Debian's package libmicrohttpd12): %s", file, dlerror());
    return NULL;
  }
  bool found = true;
#define FIND(name) found = find(handle, #name, &library.name) && found;
  ML_HTTP_FUNCTIONS(FIND)
#undef FIND
  if (!found) {
    ml_fail(err, ML_IO, "%s lacks functions that a server needs; expected version 0.9.75 or later", file);
    dlclose(handle);
    return NULL;
  }
  loaded = true;
  return &library;
}
