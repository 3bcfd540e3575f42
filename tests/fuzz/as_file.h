/* Bytes as a file in memory, for readers that take a path. Used by the fuzz targets only. */
#ifndef FUZZ_AS_FILE_H
#define FUZZ_AS_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define AS_FILE_PATH 32

/* libFuzzer calls this for every input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the descriptor, to be closed, and fills path. */
static inline int as_file(char path[AS_FILE_PATH], const uint8_t *data, size_t size) {
  const int fd = memfd_create("fuzz", MFD_CLOEXEC);
  if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
  snprintf(path, AS_FILE_PATH, "/proc/self/fd/%d", fd);
  return fd;
}

#endif
