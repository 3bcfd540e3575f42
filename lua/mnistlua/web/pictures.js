// Small pictures on canvases: digits, first-layer filters, activations. The draw pad and the report call it. Colours
// are the page's own (the custom properties --ink and --accent, both "r g b"); a picture is painted again when they
// change from light to dark. One number is one pixel of the canvas; how large that is on the screen is for the style
// sheet.
"use strict";

const pictures = (() => {
  const painted = new Map();    // canvas -> what paints it

  function color(canvas, name) {
    return getComputedStyle(canvas).getPropertyValue(name).trim().split(/\s+/).map(Number);
  }

  // Sets the canvas to width x height pixels; at(x, y) -> { share: how opaque, accent: in that colour, not the ink's }.
  function fill(canvas, width, height, at) {
    const ink = color(canvas, "--ink"), accent = color(canvas, "--accent");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d"), image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      const value = at(i % width, Math.floor(i / width)), [r, g, b] = value.accent ? accent : ink;
      image.data.set([r, g, b, Math.round(255 * Math.min(Math.max(value.share, 0), 1))], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }

  function paint(canvas, painter) {
    painted.set(canvas, painter);
    painter();
  }

  function repaint() {
    for (const [canvas, painter] of painted) {
      if (canvas.isConnected) painter();
      else painted.delete(canvas);
    }
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

  // Paper is white in the dark, too.
  function printing(now) {
    document.documentElement.classList.toggle("printing", now);
    repaint();
  }
  addEventListener("beforeprint", () => printing(true));
  addEventListener("afterprint", () => printing(false));

  /** A picture of ink: bytes, 0 background to 255. */
  function ink(canvas, bytes, width = 28) {
    paint(canvas, () => fill(canvas, width, bytes.length / width, (x, y) => ({ share: bytes[y * width + x] / 255 })));
  }

  // The greatest size of a value, never 0.
  const greatest = (values) => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0) || 1;

  // Positive values in the accent colour, negative ones in that of the ink.
  const signed = (value, most) => ({ accent: value > 0, share: Math.abs(value) / most });

  /** Weights of either sign, row by row. */
  function weights(canvas, values, width) {
    const most = greatest(values);
    paint(canvas, () => fill(canvas, width, values.length / width, (x, y) => signed(values[y * width + x], most)));
  }

  // Maps of channels beside each other, one pixel between them.
  function maps(canvas, values, [channels, h, w], most) {
    const across = Math.min(channels, Math.ceil(Math.sqrt(channels * h / w * 4))), down = Math.ceil(channels / across);
    fill(canvas, across * (w + 1) - 1, down * (h + 1) - 1, (x, y) => {
      const column = Math.floor(x / (w + 1)), row = Math.floor(y / (h + 1)), channel = row * across + column;
      const u = x % (w + 1), v = y % (h + 1);
      if (u === w || v === h || channel >= channels) return { share: 0 };
      return signed(values[(channel * h + v) * w + u], most);
    });
  }

  // Units in rows of a width that is a power of two, so that a layer of 512 is 32 x 16.
  function units(canvas, values, shape, most) {
    const width = 2 ** Math.floor(Math.log2(Math.sqrt(values.length * 2)));
    const across = Math.min(width, values.length), down = Math.ceil(values.length / across);
    fill(canvas, across, down, (x, y) => {
      const i = y * across + x;
      return i < values.length ? signed(values[i], most) : { share: 0 };
    });
  }

  /** What a layer gave: a square for each unit, or a small map for each channel. */
  function activation(canvas, { values, shape }) {
    const most = greatest(values);
    const painter = shape.length === 3 ? maps : units;
    paint(canvas, () => painter(canvas, values, shape, most));
  }

  return { ink, weights, activation, repaint };
})();
