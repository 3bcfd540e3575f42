// Curves over steps, with a cursor that tells their values: mouse, finger or arrow keys. The report and the page that
// follows a run draw with it. It reads nothing but what it is given and sets all text as text.
//
//   const chart = curves.create(element, {
//     title: "Loss",
//     series: [{ name: "test", steps: [...], values: [...], tone: "main" }],   // or dashed, plain, faint, 1 to 6
//     format: "percent" | "number",     // how values are told
//     scale: "linear" | "log",          // log: for positive values over several powers of ten
//     steps_per_epoch: 469,             // the axis then counts epochs
//     group: curves.group(),            // charts of a group share their cursor
//   });
//   chart.update(series);               // the same chart with other values: a run that goes on
//
// Values that are no numbers are passed over. Steps of a series rise.
"use strict";

const curves = (() => {
  const margin = { top: 8, right: 10, bottom: 24, left: 48 }, ratio = 0.56;
  const namespace = "http://www.w3.org/2000/svg";

  function svg(tag, attributes, ...children) {
    const element = document.createElementNS(namespace, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function html(tag, name, ...children) {
    const element = document.createElement(tag);
    element.className = name;
    element.append(...children);
    return element;
  }

  // ---- numbers as text ----

  const grouped = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");

  function number(value) {
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 0.001 || size >= 1e6) return value.toExponential(1).replace("e+", "e");
    return String(Number(value.toPrecision(size < 0.1 ? 2 : 4)));
  }

  function shown(value, format) {
    if (value === null || !Number.isFinite(value)) return "–";
    return format === "percent" ? `${(100 * value).toFixed(2)}%` : value.toPrecision(3).replace(/e\+?/, "e");
  }

  const tick_text = (value, format) => (format === "percent" ? `${number(100 * value)}%` : number(value));

  // ---- scales ----

  // Round numbers that cover low to high in about `count` parts.
  function round_ticks(low, high, count) {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((s) => s * power >= rough * 0.999) * power, ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
    return ticks;
  }

  // Powers of ten; between them 2 and 5 where there is room.
  function log_ticks(low, high) {
    const ticks = [], few = Math.log10(high / low) < 2.5;
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const digit of few ? [1, 2, 5] : [1]) {
        const tick = digit * 10 ** power;
        if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
      }
    }
    return ticks;
  }

  const usable = (scale) => (value) => Number.isFinite(value) && (scale !== "log" || value > 0);

  // The values that the axis has to show. A few wild ones at a run's start do not flatten all that follows: the first
  // twentieth of a percentage's values may lie outside.
  function range(series, scale, format) {
    const values = series.flatMap((s) => {
      const good = s.values.filter(usable(scale));
      return format === "percent" && good.length > 20 ? good.slice(Math.ceil(good.length / 20)) : good;
    });
    let low = values.reduce((a, b) => Math.min(a, b), Infinity);
    let high = values.reduce((a, b) => Math.max(a, b), -Infinity);
    if (low > high) [low, high] = [0.1, 1];
    if (scale === "log") return [low / 1.1, high * 1.1];
    if (low === high) [low, high] = [low - Math.abs(low || 1) / 2, high + Math.abs(high || 1) / 2];
    const room = (high - low) * 0.05;
    if (format === "percent") return [Math.max(low - room, 0), Math.min(high + room, 1)];
    return [low >= 0 && low < high / 3 ? 0 : low - room, high + room];
  }

  const last_step = (series) => series.reduce((most, s) => Math.max(most, s.steps[s.steps.length - 1] || 0), 1);

  // Where a value lies on the screen, and the marks of the axes.
  function layout(options, series, width) {
    const height = Math.round(Math.max(width * ratio, 150)), steps = last_step(series);
    const [low, high] = range(series, options.scale, options.format);
    const lift = options.scale === "log" ? Math.log : (v) => v;
    const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
    return {
      width, height, inner, steps,
      x: (step) => margin.left + step / steps * inner.width,
      y: (value) => margin.top + (1 - (lift(value) - lift(low)) / (lift(high) - lift(low))) * inner.height,
      y_ticks: options.scale === "log" ? log_ticks(low, high) : round_ticks(low, high, Math.max(2, inner.height / 45)),
      step_at: (pixel) => Math.min(Math.max((pixel - margin.left) / inner.width, 0), 1) * steps,
    };
  }

  // ---- drawing ----

  function path_of(series, view, scale) {
    let path = "", pen = "M";
    series.values.forEach((value, i) => {
      if (!usable(scale)(value)) {
        pen = "M";
        return;
      }
      path += `${pen}${view.x(series.steps[i]).toFixed(1)},${view.y(value).toFixed(1)}`;
      pen = "L";
    });
    return path;
  }

  function axes(options, view) {
    const group = svg("g", { class: "curves-axes" }), bottom = margin.top + view.inner.height;
    for (const tick of view.y_ticks) {
      const y = Math.round(view.y(tick)) + 0.5;
      group.append(svg("line", { x1: margin.left, x2: view.width - margin.right, y1: y, y2: y }),
        svg("text", { x: margin.left - 8, y: y + 4, "text-anchor": "end" }, tick_text(tick, options.format)));
    }
    const per = options.steps_per_epoch || 1, count = Math.max(2, Math.floor(view.inner.width / 80));
    for (const tick of round_ticks(0, view.steps / per, count)) {
      group.append(svg("text", { x: view.x(tick * per), y: bottom + 17, "text-anchor": "middle" },
        per === 1 ? grouped(tick) : number(tick)));
    }
    return group;
  }

  const tone_class = (tone) => `tone-${tone === undefined ? "plain" : tone}`;

  // A path; a single value is a dot.
  function curve(series, view, scale) {
    const at = series.values.findIndex(usable(scale));
    if (series.values.length > 1 || at < 0) {
      return svg("path", { class: `curve ${tone_class(series.tone)}`, d: path_of(series, view, scale) });
    }
    const place = { cx: view.x(series.steps[at]), cy: view.y(series.values[at]), r: 3.5 };
    return svg("circle", { class: `dot ${tone_class(series.tone)}`, ...place });
  }

  function lines(options, series, view) {
    const id = `clip-${Math.random().toString(36).slice(2)}`;
    const bottom = margin.top + view.inner.height;
    const frame = { x: margin.left, y: 0, width: view.inner.width + margin.right, height: bottom + 1 };
    return svg("g", {}, svg("clipPath", { id }, svg("rect", frame)), svg("g", { "clip-path": `url(#${id})` },
      ...series.map((s) => curve(s, view, options.scale))));
  }

  // ---- the cursor ----

  // The index of the last point at or before a step, or of the first.
  function index_at(series, step) {
    let low = 0, high = series.steps.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (series.steps[middle] <= step + 1e-6) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  // Where the cursor is; without one how long the run was.
  function place_text({ options, view }, step) {
    const per = options.steps_per_epoch;
    if (step === null) return per ? `${number(view.steps / per)} epochs` : `${grouped(view.steps)} steps`;
    const epoch = per ? `epoch ${(step / per).toFixed(1)}, ` : "";
    return `${epoch}step ${grouped(step)}`;
  }

  // Marks on the curves at a step and their values in the legend; of the last values without a step.
  function show_cursor(chart, step) {
    const { options, view, parts } = chart;
    chart.step = step;
    parts.cursor.replaceChildren();
    parts.place.textContent = place_text(chart, step);
    if (step !== null) {
      const x = view.x(step);
      parts.cursor.append(svg("line", { x1: x, x2: x, y1: margin.top, y2: margin.top + view.inner.height }));
    }
    chart.series.forEach((s, i) => {
      const at = step === null ? s.values.length - 1 : index_at(s, step), value = s.values[at];
      parts.values[i].textContent = shown(value === undefined ? null : value, options.format);
      if (step === null || !usable(options.scale)(value)) return;
      const y = Math.min(view.y(value), margin.top + view.inner.height);
      const place = { cx: view.x(s.steps[at]), cy: y, r: 3.5 };
      parts.cursor.append(svg("circle", { class: `dot ${tone_class(s.tone)}`, ...place }));
    });
  }

  /** Charts of one group show the same step. */
  function group() {
    const charts = new Set();
    function show(step) {
      for (const chart of charts) show_cursor(chart, step === null ? null : Math.min(step, chart.view.steps));
    }
    return { charts, show };
  }

  const keys = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };

  function listen(chart) {
    const { picture } = chart.parts;
    let step = null;
    const go = (to) => {
      step = to === null ? null : Math.round(Math.min(Math.max(to, 0), chart.view.steps));
      chart.group.show(step);
    };
    const follow = (event) => go(chart.view.step_at(event.clientX - picture.getBoundingClientRect().left));
    picture.addEventListener("pointermove", follow);
    picture.addEventListener("pointerdown", follow);
    picture.addEventListener("pointerleave", () => go(null));
    picture.addEventListener("blur", () => go(null));
    picture.addEventListener("keydown", (event) => {
      const { steps } = chart.view, from = step === null ? steps : step;
      if (event.key in keys) go(from + keys[event.key] * Math.max(steps / 100, 1));
      else if (event.key === "Home") go(0);
      else if (event.key === "End") go(steps);
      else if (event.key === "Escape") go(null);
      else return;
      event.preventDefault();
    });
  }

  // ---- the whole ----

  function make_legend(chart) {
    const { parts } = chart;
    parts.values = chart.series.map(() => html("span", "legend-value"));
    parts.legend.replaceChildren(...chart.series.map((s, i) =>
      html("li", `legend-entry ${tone_class(s.tone)}`, html("i", "legend-mark"), html("span", "legend-name", s.name),
        parts.values[i])));
  }

  function draw(chart) {
    const { options, parts, series } = chart;
    chart.view = layout(options, series, Math.max(Math.floor(parts.picture.clientWidth), 240));
    parts.picture.setAttribute("viewBox", `0 0 ${chart.view.width} ${chart.view.height}`);
    parts.picture.style.aspectRatio = `${chart.view.width} / ${chart.view.height}`;
    parts.picture.replaceChildren(axes(options, chart.view), lines(options, series, chart.view), parts.cursor);
    show_cursor(chart, chart.step === null ? null : Math.min(chart.step, chart.view.steps));
  }

  /** Makes a chart of an element, whose content it replaces. Returns { update(series) }. */
  function create(element, options) {
    const label = `${options.title}: a curve over the steps of the run; arrow keys move the cursor`;
    const parts = {
      legend: html("ul", "legend"), place: html("span", "curves-place"), cursor: svg("g", { class: "curves-cursor" }),
      picture: svg("svg", { class: "curves-picture", tabindex: 0, role: "img", "aria-label": label }),
    };
    const chart = { options, parts, series: options.series, group: options.group || group(), step: null };
    element.classList.add("curves");
    element.replaceChildren(html("div", "curves-head", html("h3", "curves-title", options.title), parts.place),
      parts.legend, parts.picture);
    chart.group.charts.add(chart);
    make_legend(chart);
    draw(chart);
    listen(chart);
    let width = parts.picture.clientWidth;
    new ResizeObserver(() => {
      if (parts.picture.clientWidth === width) return;
      width = parts.picture.clientWidth;
      draw(chart);
    }).observe(parts.picture);
    return {
      update(series) {
        chart.series = series;
        make_legend(chart);
        draw(chart);
      },
    };
  }

  return { create, group };
})();
