// A digit that was drawn, as the 28x28 picture that MNIST would have of it. The draw pad calls it. The same steps as
// for a picture from a file (src/data/prepare.h), but for the pen: a line has no width of its own, so that it gets the
// one that MNIST's lines have, however large the digit was drawn.
//
//   strokes.pixels([[[x, y], ...], ...])    // one list of points a stroke, y downwards, in any unit
//     -> Uint8Array of 784, 0 background to 255 ink, row by row, or null where nothing was drawn
//
// 1. the bounding box of the ink is scaled to fit 20x20, keeping its aspect
// 2. it is placed in 28x28 by its centre of mass, which is on the pixel in column 14 and row 14, counted from 0
// 3. the ink is anti-aliased: a pixel is as dark as the line covers it
"use strict";

const strokes = (() => {
  const side = 28, box = 20, middle = 14;
  const pen = 2.2;           // the width of a line in pixels: digits then have the ink of MNIST's, 100 pixels' worth
  const smallest = 0.06;     // of the pad: what is drawn smaller than this is not enlarged any more

  function bounds(lines) {
    const all = { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
    for (const [x, y] of lines.flat()) {
      all.left = Math.min(all.left, x);
      all.right = Math.max(all.right, x);
      all.top = Math.min(all.top, y);
      all.bottom = Math.max(all.bottom, y);
    }
    return all;
  }

  // How far (x, y) is from the line between a and b.
  function distance(x, y, [ax, ay], [bx, by]) {
    const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
    const t = length > 0 ? Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / length, 0), 1) : 0;
    return Math.hypot(x - ax - t * dx, y - ay - t * dy);
  }

  // The share of each pixel that the line between a and b covers, where that is more than there is.
  function draw(picture, a, b) {
    const reach = pen / 2 + 0.5;
    const first = (u, v) => Math.max(Math.ceil(Math.min(u, v) - reach), 0);
    const last = (u, v) => Math.min(Math.floor(Math.max(u, v) + reach), side - 1);
    for (let row = first(a[1], b[1]); row <= last(a[1], b[1]); row++) {
      for (let column = first(a[0], b[0]); column <= last(a[0], b[0]); column++) {
        const covered = Math.min(reach - distance(column, row, a, b), 1), at = row * side + column;
        if (covered > picture[at]) picture[at] = covered;
      }
    }
  }

  function render(lines) {
    const picture = new Float32Array(side * side);
    for (const line of lines) {
      for (let i = 0; i < line.length; i++) draw(picture, line[Math.max(i - 1, 0)], line[i]);
    }
    return picture;
  }

  function centre_of_mass(picture) {
    let ink = 0, x = 0, y = 0;
    picture.forEach((value, i) => {
      ink += value;
      x += value * (i % side);
      y += value * Math.floor(i / side);
    });
    return [x / ink, y / ink];
  }

  const moved = (lines, dx, dy) => lines.map((line) => line.map(([x, y]) => [x + dx, y + dy]));

  /** The picture of the strokes; extent is the length of the pad's side in their unit. */
  function pixels(drawn, extent = 1) {
    const lines = drawn.filter((line) => line.length > 0);
    if (lines.length === 0) return null;
    const { left, right, top, bottom } = bounds(lines);
    const scale = (box - pen) / Math.max(right - left, bottom - top, smallest * extent);
    const place = (line) => line.map(([x, y]) =>
      [(x - (left + right) / 2) * scale + middle, (y - (top + bottom) / 2) * scale + middle]);
    const placed = lines.map(place), [x, y] = centre_of_mass(render(placed));
    return Uint8Array.from(render(moved(placed, middle - x, middle - y)), (share) => Math.round(255 * share));
  }

  // ---- straightening ----

  // The value at (x, y), between pixels linearly from the four around; 0 outside.
  function sample(picture, x, y) {
    const left = Math.floor(x), top = Math.floor(y), u = x - left, v = y - top;
    const at = (column, row) =>
      (column >= 0 && column < side && row >= 0 && row < side ? picture[row * side + column] : 0);
    return (1 - v) * ((1 - u) * at(left, top) + u * at(left + 1, top))
      + v * ((1 - u) * at(left, top + 1) + u * at(left + 1, top + 1));
  }

  // The slant of the writing: the covariance of x and y over the variance of y, with the ink as weight.
  function slant(picture, cx, cy) {
    let covariance = 0, variance = 0;
    picture.forEach((value, i) => {
      const x = i % side - cx, y = Math.floor(i / side) - cy;
      covariance += value * x * y;
      variance += value * y * y;
    });
    return variance > 0 ? covariance / variance : 0;
  }

  /** A picture centred, and deskewed if asked for, as src/data/straighten.c does it: for networks that learnt so. */
  function straightened(picture, deskew) {
    const [cx, cy] = centre_of_mass(picture), m = deskew ? slant(picture, cx, cy) : 0, half = (side - 1) / 2;
    return Uint8Array.from(picture, (_, i) => {
      const u = i % side - half, v = Math.floor(i / side) - half;
      return Math.round(sample(picture, cx + u + m * v, cy + v));
    });
  }

  return { pixels, straightened, side };
})();
