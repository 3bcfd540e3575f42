/* The terminal of this process: how large it is, and questions that it answers. For whoever draws. */
#ifndef ML_BASE_TERMINAL_H
#define ML_BASE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ml_terminal_size {
  int columns, rows;
  int cell_width, cell_height;   /* of a character, in pixels; 0 where the terminal does not tell */
} ml_terminal_size;

/* The size of the terminal that stderr or, if that is none, stdout is; false without one. */
bool ml_terminal_measure(ml_terminal_size *size);

/* Writes `question` to the controlling terminal and reads its answer into reply[size] up to the byte `last`, for at
 * most `milliseconds`; meanwhile nothing typed is shown. Returns the answer's length, 0 without one: where there is no
 * terminal, this process is in its background, or something typed is waiting to be read. Signals are held back until
 * the end. */
size_t ml_terminal_ask(char *reply, size_t size, const char *question, char last, int milliseconds);

#endif
