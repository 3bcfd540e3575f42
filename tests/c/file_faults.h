/* For test_base_file.c and test_base_writer.c, which include it: faults of the system calls, which those executables
 * replace by their own that fail, are interrupted or do a part of what was asked; and a folder for each test. */
#ifndef FILE_FAULTS_H
#define FILE_FAULTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/writer.h"

typedef enum fault { NO_FAULT, FAIL, INTERRUPT, SHORT } fault;
typedef enum call { READ, WRITE, FSYNC, CLOSE, RENAME } call;

/* Applies to the after-th call from now. A short call moves one byte (a read at the end of file, none). */
static struct {
  call call;
  fault fault;
  int after, error;
} planned;

static void plan(call which, fault what, int after, int error) {
  planned.call = which;
  planned.fault = what;
  planned.after = after;
  planned.error = error;
}

/* The fault that befalls this call. */
static fault befalls(call which) {
  if (planned.fault == NO_FAULT || planned.call != which || --planned.after > 0) return NO_FAULT;
  fault now = planned.fault;
  planned.fault = NO_FAULT;
  errno = now == INTERRUPT ? EINTR : planned.error;
  return now;
}

ssize_t pread(int fd, void *data, size_t size, off_t at) {
  fault now = befalls(READ);
  if (now == FAIL || now == INTERRUPT) return -1;
  if (now == SHORT && planned.error == 0) return 0;
  return syscall(SYS_pread64, fd, data, now == SHORT ? (size_t)1 : size, at);
}

ssize_t write(int fd, const void *data, size_t size) {
  fault now = befalls(WRITE);
  if (now == FAIL || now == INTERRUPT) return -1;
  return syscall(SYS_write, fd, data, now == SHORT ? (size_t)1 : size);
}

int fsync(int fd) {
  return befalls(FSYNC) == NO_FAULT ? (int)syscall(SYS_fsync, fd) : -1;
}

int close(int fd) {
  fault now = befalls(CLOSE);
  int reason = errno, result = (int)syscall(SYS_close, fd);
  if (now == NO_FAULT) return result;
  errno = reason;
  return -1;
}

int rename(const char *from, const char *to) {
  return befalls(RENAME) == NO_FAULT ? (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0) : -1;
}

static char folder[64];

/* A path in the test's folder; valid until the fourth call from now. */
static const char *in_folder(const char *name) {
  static char paths[4][512];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void put(const char *path, const char *text) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void assert_content(const char *path, const void *expected, size_t size) {
  uint8_t *data;
  size_t got;
  assert_int_equal(ml_file_read(&data, &got, path, (size_t)1 << 30, NULL), ML_OK);
  assert_int_equal(got, size);
  assert_memory_equal(data, expected, size);
  assert_int_equal(data[size], 0);
  ml_free(data);
}

static bool is_entry(const char *name) {
  return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int entries(const char *path) {
  DIR *dir = opendir(path);
  int count = 0;
  assert_non_null(dir);
  for (struct dirent *e; (e = readdir(dir)) != NULL;) count += is_entry(e->d_name);
  closedir(dir);
  return count;
}

static void remove_tree(const char *path) {
  DIR *dir = opendir(path);
  if (dir != NULL) {
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
      char child[1024];
      snprintf(child, sizeof child, "%s/%s", path, e->d_name);
      if (is_entry(e->d_name)) remove_tree(child);
    }
    closedir(dir);
  }
  remove(path);
}

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/mnistlua-test-XXXXXX");
  return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
  (void)state;
  planned.fault = NO_FAULT;
  remove_tree(folder);
  return 0;
}

static void assert_contains(const char *message, const char *part) {
  if (strstr(message, part) == NULL) fail_msg("expected \"%s\" in \"%s\"", part, message);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
