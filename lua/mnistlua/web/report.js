// The report's own script: fills what report/sections.lua left empty. Curves, the draw pad with the run's network,
// pictures of the mistakes (one that is chosen goes to the pad) and of the first layer's weights.
"use strict";

(() => {
  const element = (id) => document.getElementById(id);
  const value_of = (id) => (element(id) ? JSON.parse(element(id).textContent) : null);

  // ---- curves ----

  function show_curves({ charts, steps_per_epoch }) {
    const group = curves.group();
    element("charts").replaceChildren(...charts.map(() => document.createElement("div")));
    charts.forEach((chart, i) => curves.create(element("charts").children[i], { ...chart, steps_per_epoch, group }));
  }

  // ---- mistakes ----

  // Pictures of the network's own size can be given to it.
  function show_mistakes({ mistakes, width }, pad) {
    document.querySelectorAll(".mistake").forEach((button, i) => {
      const pixels = network.bytes(mistakes[i].pixels);
      pictures.ink(button.querySelector("canvas"), pixels, width);
      button.disabled = !pad || pixels.length !== 784;
      button.title = mistakes[i].caption;
      button.addEventListener("click", () => {
        pad.show(pixels, mistakes[i].caption);
        const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
        element("draw").scrollIntoView({ behavior: still ? "auto" : "smooth" });
      });
    });
  }

  // ---- the first layer ----

  // The weights of each unit as a picture: { unit: values, width }, or null where the first layer sees no picture.
  function filters_of(net) {
    const layer = net.layers.find((each) => each.weight);
    if (!layer) return null;
    const size = layer.weight.length / layer.weight_shape[0];
    const unit = (i) => layer.weight.subarray(i * size, (i + 1) * size);
    if (layer.kind === "linear" && size === 784) return { count: layer.weight_shape[0], width: 28, unit };
    if (layer.kind === "conv2d" && layer.weight_shape[1] === 1 && size > 1) {
      return { count: layer.weight_shape[0], width: layer.weight_shape[3], unit };
    }
    return null;
  }

  function add_filters(filters, from, to) {
    for (let i = from; i < to; i++) {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Weights of unit ${i + 1}`);
      element("filter-grid").append(canvas);
      pictures.weights(canvas, filters.unit(i), filters.width);
    }
  }

  function show_filters(net) {
    const filters = filters_of(net), few = 64, more = element("filters-more");
    element("filters").hidden = !filters;
    if (!filters) return;
    element("filters-lead").textContent =
      `The weights of ${filters.count} units: positive ones in blue, negative ones grey.`;
    add_filters(filters, 0, Math.min(few, filters.count));
    more.hidden = filters.count <= few;
    more.textContent = `Show all ${filters.count}`;
    more.addEventListener("click", () => {
      more.hidden = true;
      add_filters(filters, few, filters.count);
    });
  }

  // ---- all of it ----

  const report = value_of("report"), spec = value_of("network");
  if (element("charts")) show_curves(report);
  let pad = null;
  if (spec) {
    const net = network.decode(spec);
    const { names, straightened } = spec;
    const prepare = (pixels) => (straightened ? strokes.straightened(pixels, straightened === "deskew") : pixels);
    pad = draw_pad.create(element("pad"), { classify: (pixels) => network.run(net, pixels), names, prepare });
    if (element("filters")) show_filters(net);
  }
  if (report && report.mistakes.length > 0) show_mistakes(report, pad);
})();
