/* Files for the safetensors tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "safetensors_aid.h"

char st_folder[] = "/tmp/ml-safetensors-XXXXXX";
char st_path[128]; /* folder/t.safetensors */

int st_make_folder(void **state) {
  (void)state;
  if (!mkdtemp(st_folder)) return -1;
  snprintf(st_path, sizeof st_path, "%s/t.safetensors", st_folder);
  return 0;
}

int st_remove_folder(void **state) {
  (void)state;
  unlink(st_path);
  return rmdir(st_folder); /* fails if a temporary file was left behind */
}

void st_put_file(const void *bytes, size_t size) {
  FILE *f = fopen(st_path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
}

/* A file of this header, its true length in front, and data_size bytes 1, 2, 3 .. behind. */
void st_put_header(const char *header, size_t data_size) {
  size_t length = strlen(header), size = 8 + length + data_size;
  unsigned char *bytes = malloc(size);
  assert_non_null(bytes);
  uint64_t prefix = length;
  memcpy(bytes, &prefix, 8);
  memcpy(bytes + 8, header, length);
  for (size_t i = 0; i < data_size; i++) bytes[8 + length + i] = (unsigned char)(i + 1);
  st_put_file(bytes, size);
  free(bytes);
}
