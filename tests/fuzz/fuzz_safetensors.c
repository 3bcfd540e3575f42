/* The reader of safetensors files: what is read and written again is read as the same bytes. Run by `make fuzz`. */
#include <string.h>

#include "as_file.h"
#include "base/memory.h"
#include "io/safetensors.h"

static void write_again(const ml_archive *archive) {
  char path[AS_FILE_PATH];
  uint8_t *first, *second;
  size_t size, again;
  ml_archive copy;
  ml_error err;
  if (ml_safetensors_image(&first, &size, archive, &err) != ML_OK) return;   /* it may hold no tensor */
  const int fd = as_file(path, first, size);
  if (ml_safetensors_read(&copy, path, &err) != ML_OK) abort();
  if (ml_safetensors_image(&second, &again, &copy, &err) != ML_OK) abort();
  if (size != again || memcmp(first, second, size) != 0) abort();
  ml_archive_clear(&copy);
  ml_free(first);
  ml_free(second);
  close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[AS_FILE_PATH];
  ml_archive archive;
  ml_error err;
  const int fd = as_file(path, data, size);
  if (ml_safetensors_read(&archive, path, &err) == ML_OK) {
    write_again(&archive);
    ml_archive_clear(&archive);
  }
  close(fd);
  return 0;
}
