/* The middle lines of handwritten digits, several ways of writing each: what digits.c bends and inks. */
#ifndef ML_DATA_DIGITS_SKELETON_H
#define ML_DATA_DIGITS_SKELETON_H

#include <stdint.h>

#define ML_DIGIT_MAX_POINTS 16

typedef enum ml_pen {
  ML_PEN_END,     /* behind the last point */
  ML_PEN_DOWN,    /* a stroke begins here */
  ML_PEN_CURVE,   /* the stroke passes smoothly */
  ML_PEN_CORNER   /* the stroke turns sharply */
} ml_pen;

/* x to the right and y down, in a box of 100 by 100. */
typedef struct ml_digit_point {
  uint8_t pen, x, y;
} ml_digit_point;

typedef struct ml_digit_style {
  ml_digit_point points[ML_DIGIT_MAX_POINTS + 1];
} ml_digit_style;

/* The ways of writing each digit. */
typedef struct ml_digit_skeleton {
  const ml_digit_style *styles;
  int count;
} ml_digit_skeleton;

extern const ml_digit_skeleton ml_digit_skeletons[10];

#endif
