// A run's curves, kept up to date: each question brings what is new since the last (lua/mnistlua/serve/curves.lua), so
// that following a run costs the same however long it gets. And the charts of one run or several.
"use strict";

const follow = (() => {
  const { ask, api, make } = parts;

  // Puts the buckets of an answer in the place of those that it replaces.
  function merge(curves, answer) {
    const edge = answer.from * answer.width;      // points up to this step stay
    for (const curve of Object.values(curves)) {
      let kept = curve.steps.length;
      while (kept > 0 && curve.steps[kept - 1] > edge) kept--;
      curve.steps.length = curve.values.length = kept;
    }
    for (const [name, added] of Object.entries(answer.steps)) {
      const curve = curves[name] || (curves[name] = { steps: [], values: [] });
      curve.steps.push(...added.steps);
      curve.values.push(...added.values);
    }
  }

  /** Follows the run of a folder: update() asks for what is new. */
  function run(folder) {
    const self = { folder, steps: {}, epochs: {}, last: 0, width: 0, per_epoch: null, run: null, now: 0 };
    self.update = async () => {
      const from = self.last > 0 ? Math.floor((self.last - 1) / self.width) : 0;
      const answer = await ask(api(folder, `/curves?width=${self.width}&from=${from}`));
      if (answer.from === 0) self.steps = {};
      merge(self.steps, answer);
      self.changed = answer.last !== self.last || JSON.stringify(answer.epochs) !== JSON.stringify(self.epochs);
      Object.assign(self, { epochs: answer.epochs, last: answer.last, width: answer.width, run: answer.run,
        per_epoch: answer.steps_per_epoch || null, now: answer.now });
    };
    return self;
  }

  // ---- charts ----

  const has = (curve) => curve !== undefined && curve.values.some((v) => v !== null);

  // Curves { name, steps, values, tone } of one run for a kind of metric: train.X over its steps, the rest over epochs.
  function of_one(r, kind) {
    const list = [], names = [["train", "faint"], ["val", 2], ["test", "main"]];
    for (const [part, tone] of names) {
      const name = `${part}.${kind}`, source = part === "train" ? r.steps : r.epochs;
      if (has(source[name])) list.push({ name: part, tone, ...source[name] });
    }
    return list;
  }

  const single = (source, name) => (has(source[name]) ? [{ name, tone: "plain", ...source[name] }] : []);

  // One's own metrics, and others without a chart of their own.
  function other_metrics(r) {
    const known = /^(train|val|test)\.|^lr$|^images_per_s$/;
    return Object.keys({ ...r.steps, ...r.epochs }).filter((name) => !known.test(name)).sort();
  }

  const positive = (series) => series.every((s) => s.values.every((v) => v === null || v > 0));

  const chart = (title, format, series, log) =>
    ({ title, format, series, scale: log && positive(series) ? "log" : "linear" });

  /** The charts of one run: { title, format, scale, series }, those that have a curve. */
  function charts_of(r) {
    const list = [
      chart("Loss", "number", of_one(r, "loss"), true), chart("Accuracy", "percent", of_one(r, "acc")),
      chart("Learning rate", "number", single(r.steps, "lr")),
    ];
    for (const name of other_metrics(r)) {
      const source = has(r.steps[name]) ? r.steps : r.epochs;
      list.push(chart(name, name.endsWith("acc") ? "percent" : "number", single(source, name)));
    }
    return list.filter((c) => c.series.length > 0);
  }

  /** The charts of several runs over each other, a tone for each; labels tell them apart. */
  function charts_of_several(list, labels) {
    const over = (source, name) => list.flatMap((r, i) =>
      (has(r[source][name]) ? [{ name: labels[i], tone: i % 6 + 1, ...r[source][name] }] : []));
    const charts = [chart("Training loss", "number", over("steps", "train.loss"), true)];
    for (const [part, title] of [["val", "Validation"], ["test", "Test"]]) {
      charts.push(chart(`${title} accuracy`, "percent", over("epochs", `${part}.acc`)),
        chart(`${title} loss`, "number", over("epochs", `${part}.loss`), true));
    }
    charts.push(chart("Learning rate", "number", over("steps", "lr")));
    return charts.filter((c) => c.series.length > 0);
  }

  /** Shows charts in an element: show(charts, steps_per_epoch) draws, and draws again with what is new. */
  function gallery(element) {
    const shown = new Map(), group = curves.group();
    return (charts, per_epoch) => {
      const keep = new Set();
      for (const c of charts) {
        const key = JSON.stringify([c.title, c.scale, per_epoch]);
        keep.add(key);
        if (shown.has(key)) {
          shown.get(key).chart.update(c.series);
          continue;
        }
        const place = make("figure", "chart"), following = [...shown.values()].find((s) => s.title === c.title);
        if (following) following.place.before(place);
        else element.append(place);
        shown.set(key, { place, title: c.title, chart: curves.create(place, {
          title: c.title, format: c.format, scale: c.scale, series: c.series, steps_per_epoch: per_epoch || undefined,
          group }) });
      }
      for (const [key, { place }] of shown) {
        if (keep.has(key)) continue;
        place.remove();
        shown.delete(key);
      }
    };
  }

  return { run, charts_of, charts_of_several, gallery };
})();
