/* The reader of IDX files, gzip-compressed or not. Run by `make fuzz`. */
#include "as_file.h"
#include "data/readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[AS_FILE_PATH];
  ml_error err;
  const int fd = as_file(path, data, size);
  ml_tensor *t = ml_read_idx(path, &err);
  if (t) ml_tensor_unref(t);
  close(fd);
  return 0;
}
