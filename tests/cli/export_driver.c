/* For test_export.sh and tests/bench/exports.sh: pictures of bytes on standard input to probabilities, f32, on standard
 * output, through an exported C file: -DCLASSIFY=digit_classify -DPIXELS=784 -DCLASSES=10. */
#include <stdio.h>

int CLASSIFY(const unsigned char pixels[PIXELS], float probabilities[CLASSES]);

int main(void) {
  static unsigned char pixels[PIXELS];
  float probabilities[CLASSES];
  while (fread(pixels, 1, PIXELS, stdin) == PIXELS) {
    CLASSIFY(pixels, probabilities);
    if (fwrite(probabilities, sizeof probabilities, 1, stdout) != 1) return 1;
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
