/* The reader of PNG files, as grey and as colours. Run by `make fuzz`. */
#include "as_file.h"
#include "base/memory.h"
#include "data/png.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[AS_FILE_PATH];
  const int fd = as_file(path, data, size);
  for (int channels = 1; channels <= 3; channels += 2) {
    uint8_t *pixels = NULL;
    ml_png_size of;
    ml_error err;
    if (ml_png_read(&pixels, &of, path, channels, &err) != ML_OK) continue;
    volatile uint8_t last = pixels[of.height * of.width * channels - 1];   /* all of them are there */
    (void)last;
    ml_free(pixels);
  }
  close(fd);
  return 0;
}
