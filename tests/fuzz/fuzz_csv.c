/* The reader of CSV files; the first byte chooses the label's column and whether there is a header. Run by `make
 * fuzz`. */
#include "as_file.h"
#include "data/readers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[AS_FILE_PATH];
  ml_csv_info info;
  ml_error err;
  if (size == 0) return 0;
  const int fd = as_file(path, data + 1, size - 1);
  ml_dataset *d = ml_read_csv(&info, path, data[0] / 3 % 4, (ml_csv_header)(data[0] % 3), &err);
  if (d) ml_dataset_unref(d);
  close(fd);
  return 0;
}
