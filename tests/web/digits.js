// The ten digits as a person draws them: strokes in a square of side 1, y downwards. Drawn on the pad by the tests.
"use strict";

// Points of an ellipse around (x, y), from angle `from` to `to` in degrees (0 to the right, 90 downwards).
function arc(x, y, rx, ry, from, to) {
  const count = Math.max(Math.ceil(Math.abs(to - from) / 12), 2);
  return Array.from({ length: count + 1 }, (_, i) => {
    const angle = (from + (to - from) * i / count) * Math.PI / 180;
    return [x + rx * Math.cos(angle), y + ry * Math.sin(angle)];
  });
}

// Points of straight lines, close enough for a moving pointer.
function lines(...corners) {
  return corners.slice(1).flatMap(([x, y], i) =>
    Array.from({ length: 9 }, (_, k) => [0, 1].map((d) => corners[i][d] + (([x, y][d] - corners[i][d]) * k) / 8)));
}

module.exports = [
  [arc(0.5, 0.5, 0.2, 0.32, -80, 285)],
  [lines([0.53, 0.16], [0.48, 0.84])],
  [[...arc(0.5, 0.34, 0.2, 0.18, 190, 390), ...lines([0.67, 0.43], [0.28, 0.82], [0.75, 0.82])]],
  [[...arc(0.47, 0.33, 0.19, 0.16, 200, 450), ...arc(0.47, 0.66, 0.22, 0.18, 270, 510)]],
  [lines([0.36, 0.18], [0.28, 0.54], [0.7, 0.54]), lines([0.66, 0.2], [0.6, 0.86])],
  [[...lines([0.68, 0.18], [0.38, 0.18], [0.36, 0.46]), ...arc(0.47, 0.64, 0.2, 0.19, 225, 500)]],
  [[...lines([0.62, 0.14], [0.42, 0.42]), ...arc(0.5, 0.66, 0.17, 0.18, 190, 550)]],
  [lines([0.27, 0.2], [0.72, 0.2], [0.46, 0.85])],
  [[...arc(0.5, 0.33, 0.15, 0.15, 90, -260), ...arc(0.5, 0.67, 0.18, 0.18, -80, 275)]],
  [[...arc(0.49, 0.34, 0.17, 0.17, 0, -360), ...lines([0.66, 0.34], [0.62, 0.86])]],
];
