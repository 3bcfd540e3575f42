/* Tables of strokes, one row of points a style. Read by digits.c alone; nothing here draws. A stroke is a curve through
 * its points, broken at corners; a stroke of two points is straight. */
#include "data/digits_skeleton.h"

#define D(x, y) {ML_PEN_DOWN, x, y}
#define C(x, y) {ML_PEN_CURVE, x, y}
#define K(x, y) {ML_PEN_CORNER, x, y}

static const ml_digit_style zero[] = {
  /* closed at the top */
  {{D(54, 2), C(28, 14), C(14, 50), C(28, 88), C(52, 98), C(76, 86), C(88, 50), C(76, 14), C(54, 2)}},
  /* the end runs into the oval */
  {{D(66, 8), C(42, 4), C(20, 30), C(18, 66), C(36, 96), C(62, 90), C(80, 58), C(78, 22), C(60, 6), C(46, 14)}},
  /* a gap at the top */
  {{D(40, 8), C(20, 32), C(18, 70), C(42, 97), C(70, 84), C(84, 50), C(72, 14), C(50, 5)}},
  /* narrow */
  {{D(52, 2), C(34, 20), C(28, 52), C(36, 86), C(52, 98), C(66, 82), C(72, 48), C(66, 16), C(50, 3)}},
};

static const ml_digit_style one[] = {
  {{D(50, 0), C(50, 50), C(50, 100)}},
  {{D(62, 0), C(50, 50), C(40, 100)}},
  /* with a flag, short and long */
  {{D(36, 16), K(52, 0), C(51, 50), C(50, 100)}},
  {{D(24, 32), K(56, 0), C(54, 50), C(52, 100)}},
  /* with a foot, and without a flag */
  {{D(32, 22), K(52, 0), C(51, 50), C(50, 99), D(26, 100), C(50, 99), C(78, 98)}},
  {{D(52, 0), C(51, 50), C(50, 98), D(30, 99), C(50, 98), C(74, 97)}},
};

static const ml_digit_style two[] = {
  {{D(18, 22), C(34, 4), C(60, 2), C(78, 20), C(70, 46), C(40, 76), K(16, 98), C(50, 96), C(84, 96)}},
  /* a loop at the foot */
  {{D(18, 20), C(40, 2), C(70, 8), C(76, 34), C(56, 66), C(28, 94), C(14, 90), C(20, 78), C(40, 82), C(62, 97),
    C(88, 90)}},
  /* a wave for a foot */
  {{D(20, 26), C(42, 4), C(72, 16), C(68, 48), C(38, 78), K(14, 97), C(36, 88), C(60, 96), C(86, 86)}},
  /* nearly a z */
  {{D(18, 10), C(50, 2), C(76, 14), C(60, 50), K(18, 96), C(50, 97), C(82, 98)}},
  /* a hook at the beginning */
  {{D(34, 34), C(18, 24), C(36, 4), C(66, 4), C(78, 26), C(58, 62), K(18, 96), C(48, 92), C(86, 98)}},
};

static const ml_digit_style three[] = {
  {{D(20, 14), C(46, 2), C(74, 14), C(70, 38), K(44, 48), C(74, 58), C(82, 80), C(56, 98), C(18, 88)}},
  /* a flat top */
  {{D(20, 4), C(46, 4), K(74, 4), C(58, 24), K(42, 42), C(74, 52), C(82, 76), C(58, 98), C(18, 90)}},
  /* a small loop in the middle */
  {{D(22, 14), C(48, 2), C(72, 18), C(60, 42), C(40, 50), C(34, 45), C(46, 43), C(76, 60), C(76, 88), C(46, 98),
    C(18, 86)}},
  /* no corner at all */
  {{D(24, 10), C(54, 2), C(74, 20), C(60, 42), C(50, 48), C(66, 54), C(80, 74), C(58, 98), C(20, 92)}},
};

static const ml_digit_style four[] = {
  /* open, with corners */
  {{D(24, 4), C(20, 30), K(18, 54), C(50, 52), C(82, 50), D(70, 8), C(68, 50), C(66, 100)}},
  /* closed: a triangle */
  {{D(64, 0), C(40, 32), K(14, 66), C(50, 66), C(88, 64), D(64, 0), C(63, 50), C(62, 100)}},
  /* open and round */
  {{D(22, 6), C(18, 34), C(30, 54), C(54, 55), C(74, 44), D(78, 4), C(72, 50), C(66, 100)}},
  /* in one stroke */
  {{D(26, 2), C(20, 28), C(20, 50), C(48, 54), C(70, 40), K(78, 6), C(74, 50), C(68, 100)}},
  /* closed at the top, the stem crossing low */
  {{D(60, 4), C(34, 30), K(16, 58), C(46, 60), C(90, 56), D(60, 4), C(64, 30), C(60, 98)}},
};

static const ml_digit_style five[] = {
  /* in one stroke */
  {{D(80, 4), C(56, 4), K(32, 5), C(30, 24), K(26, 46), C(56, 40), C(80, 62), C(64, 94), C(18, 92)}},
  /* the bar comes last */
  {{D(32, 6), C(30, 24), K(26, 44), C(56, 42), C(78, 64), C(62, 95), C(20, 90), D(32, 6), C(56, 5), C(82, 2)}},
  /* nearly an s */
  {{D(76, 8), C(44, 4), C(28, 24), C(42, 42), C(70, 58), C(72, 84), C(46, 98), C(18, 88)}},
  /* a small belly under a long neck */
  {{D(78, 6), C(54, 3), K(34, 6), C(30, 30), K(26, 54), C(54, 48), C(72, 66), C(60, 94), C(22, 95)}},
};

static const ml_digit_style six[] = {
  {{D(66, 2), C(38, 26), C(20, 62), C(32, 94), C(62, 96), C(76, 76), C(62, 56), C(36, 62), C(24, 80)}},
  {{D(54, 0), C(34, 36), C(22, 72), C(36, 97), C(66, 92), C(74, 70), C(54, 56), C(28, 70)}},
  /* the beginning bends over */
  {{D(76, 12), C(56, 3), C(30, 28), C(18, 66), C(36, 97), C(68, 92), C(76, 70), C(56, 54), C(26, 68)}},
  /* a small bowl */
  {{D(60, 0), C(40, 34), C(26, 70), C(38, 97), C(60, 90), C(62, 72), C(46, 68), C(30, 82)}},
};

static const ml_digit_style seven[] = {
  {{D(16, 6), C(48, 5), K(82, 4), C(60, 46), C(46, 100)}},
  /* with a bar */
  {{D(16, 6), C(48, 5), K(82, 4), C(62, 46), C(46, 100), D(34, 52), C(56, 50), C(80, 48)}},
  /* with a serif */
  {{D(16, 24), K(18, 6), C(48, 7), K(82, 5), C(62, 48), C(44, 100)}},
  /* round */
  {{D(14, 14), C(40, 3), C(72, 4), C(76, 18), C(60, 52), C(52, 100)}},
  {{D(14, 14), C(40, 3), C(72, 4), C(76, 18), C(60, 52), C(52, 100), D(36, 54), C(78, 50)}},
};

static const ml_digit_style eight[] = {
  /* in one stroke, closed */
  {{D(72, 12), C(46, 2), C(26, 16), C(32, 36), C(54, 50), C(78, 70), C(70, 94), C(44, 99), C(20, 86), C(24, 66),
    C(50, 48), C(70, 32), C(72, 12)}},
  /* two circles */
  {{D(50, 2), C(30, 12), C(28, 34), C(50, 46), C(72, 34), C(70, 12), C(50, 2), D(50, 46), C(24, 60), C(22, 86),
    C(50, 98), C(78, 86), C(76, 60), C(50, 46)}},
  /* open at the top */
  {{D(74, 8), C(44, 4), C(28, 22), C(44, 42), C(70, 62), C(72, 88), C(46, 98), C(24, 84), C(34, 60), C(62, 34),
    C(80, 12)}},
  /* slim */
  {{D(66, 8), C(48, 2), C(34, 16), C(40, 36), C(54, 50), C(68, 70), C(62, 94), C(46, 98), C(32, 84), C(40, 62),
    C(56, 42), C(68, 22), C(64, 6)}},
};

static const ml_digit_style nine[] = {
  {{D(74, 16), C(50, 4), C(26, 18), C(26, 42), C(50, 50), C(70, 36), K(76, 12), C(72, 60), C(62, 100)}},
  /* the tail bends back */
  {{D(76, 14), C(50, 3), C(26, 16), C(24, 42), C(48, 52), C(72, 36), C(78, 14), C(76, 60), C(58, 94), C(26, 90)}},
  /* a straight stem */
  {{D(72, 8), C(46, 2), C(24, 22), C(34, 46), C(58, 44), C(74, 24), D(75, 4), C(74, 50), C(72, 100)}},
  /* a small bowl, slanting */
  {{D(70, 12), C(52, 2), C(34, 16), C(36, 36), C(54, 40), C(68, 26), K(72, 10), C(62, 56), C(48, 100)}},
};

#define STYLES(table) {table, sizeof table / sizeof *table}

const ml_digit_skeleton ml_digit_skeletons[10] = {
  STYLES(zero), STYLES(one), STYLES(two),   STYLES(three), STYLES(four),
  STYLES(five), STYLES(six), STYLES(seven), STYLES(eight), STYLES(nine),
};
