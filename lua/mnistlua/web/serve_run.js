// One run, followed as it trains: how far it is, its curves, the draw pad, what it was made from. And several runs over
// each other, with what differs between them.
"use strict";

const run_views = (() => {
  const { make, say, thousands, duration, age, metric, status, ask, api, again } = parts;

  const home = () => make("p", "crumb", {}, make("a", "", { href: "#/" }, "All runs"));

  // ---- how far it is ----

  const figures = [
    ["test.acc", "Test accuracy"], ["val.acc", "Validation accuracy"], ["train.acc", "Training accuracy"],
    ["test.loss", "Test loss"], ["val.loss", "Validation loss"], ["train.loss", "Training loss"],
  ];

  function progress_text(run) {
    const texts = [], results = run.results || {};
    if (run.epoch !== undefined) texts.push(`epoch ${parts.epochs(run)}`);
    if (run.step) texts.push(`step ${thousands(run.step)}${run.steps ? ` of ${thousands(run.steps)}` : ""}`);
    if (results.images_per_s) texts.push(`${thousands(results.images_per_s)} images/s`);
    if (run.seconds) texts.push(duration(run.seconds));
    return texts.join(" · ");
  }

  // The line of status and progress, and the figures below it; show(run) fills them.
  function make_state() {
    const badge = make("span"), text = make("span", "muted"), bar = make("progress", "", { "aria-label": "progress" });
    const list = make("dl", "figures");
    function show(run) {
      if (badge.textContent !== run.status) badge.replaceChildren(status(run.status));
      say(text, progress_text(run));
      bar.hidden = run.status !== "running" || !run.steps;
      if (!bar.hidden) bar.value = (run.step || 0) / run.steps;
      const results = run.results || {}, known = figures.filter(([name]) => name in results);
      const rest = known.slice(0, 4).map(([name, title]) => [title, metric(name, results[name])]);
      if (list.dataset.shown === JSON.stringify(rest)) return;
      list.dataset.shown = JSON.stringify(rest);
      list.replaceChildren(...rest.map(([title, value]) =>
        make("div", "", {}, make("dt", "muted", {}, title), make("dd", "", {}, value))));
    }
    return { elements: [make("p", "state", {}, badge, text), bar, list], show };
  }

  // ---- what it was made from ----

  function facts_of(r) {
    const params = Object.entries(r.params || {}).map(([name, value]) => `${name}=${value}`);
    return [
      ["Command", r.command && make("code", "", {}, r.command)], ["Parameters", params.join("  ")],
      ["Data", r.data && `${r.data}${r.data_hash ? `, hash ${r.data_hash}` : ""}`],
      ["Computed", r.seed !== undefined &&
        `seed ${r.seed}, ${r.precision}, ${r.isa}, ${r.threads} threads, mnistlua ${r.version}`],
      ["Report", r.report && make("a", "", { href: api(r.folder, "/report") }, "report.html")],
      ["Goes on from", r.parent && `${r.parent}, step ${r.parent_step}`], ["Tags", r.tags.join(" ")], ["Note", r.note],
    ].filter(([, value]) => value);
  }

  function details(r) {
    const rows = facts_of(r).map(([title, value]) =>
      make("tr", "", {}, make("th", "", { scope: "row" }, title), make("td", "", {}, value)));
    const summary = make("summary", "", {}, r.config || "The config");
    const text = make("details", "", {}, summary, make("pre", "", {}, r.text || ""));
    return make("section", "", {}, make("h2", "", {}, "What it was made from"),
      make("div", "scroll", {}, make("table", "facts", {}, make("tbody", "", {}, ...rows))), r.text ? text : null);
  }

  // ---- one run ----

  function show_run(element, folder) {
    const title = make("h1"), sub = make("p", "muted"), state = make_state(), charts = make("div", "charts");
    const empty = make("p", "muted", {}, "No curves yet."), rest = make("div");
    const run = follow.run(folder), show_charts = follow.gallery(charts);
    let found = false, described = null;
    element.replaceChildren(home());

    function begin() {
      if (!found) element.append(title, sub, ...state.elements, charts, empty, serve_pad.create(folder), rest);
      found = true;
    }

    // Once, and again when it has ended.
    async function describe(now) {
      if (described === now) return;
      rest.replaceChildren(details(await ask(api(folder))));
      described = now;
    }
    return again(async () => {
      await run.update();
      begin();
      const r = run.run;
      say(title, r.name || folder);
      document.title = `${r.name || folder}, mnistlua`;
      say(sub, `${folder}${r.started ? `, begun ${age(run.now - r.started)} ago` : ""}`);
      state.show(r);
      const list = run.changed || charts.children.length === 0 ? follow.charts_of(run) : null;
      if (list) {
        empty.hidden = list.length > 0;
        show_charts(list, run.per_epoch);
      }
      await describe(r.status);
      return r.status === "running" ? 1 : 5;
    });
  }

  // ---- several ----

  // What tells runs apart: their numbers and names.
  const label = (r) => `#${r.number} ${r.name}`;

  function differences({ lines, same }, runs) {
    const head = make("tr", "", {}, make("td"), ...runs.map((r, i) =>
      make("th", "", { scope: "col" }, make("i", `legend-mark tone-${i % 6 + 1}`),
        make("a", "", { href: `#/run/${encodeURIComponent(r.folder)}` }, label(r)))));
    const rows = lines.map(({ title, texts, best }) => make("tr", "", {}, make("th", "", { scope: "row" }, title),
      ...texts.map((text, i) => make("td", best && best[i] ? "best" : "", {}, text))));
    const table = make("table", "differences", {}, make("thead", "", {}, head), make("tbody", "", {}, ...rows));
    return make("section", "", {}, make("h2", "", {}, "What differs"), make("div", "scroll", {}, table),
      same.length > 0 ? make("p", "muted same", {}, `The same for all: ${same.join("  ")}`) : null);
  }

  function show_comparison(element, ...folders) {
    const runs = folders.map(follow.run), charts = make("div", "charts"), rest = make("div");
    const show_charts = follow.gallery(charts), query = folders.map((f) => `run=${encodeURIComponent(f)}`).join("&");
    let shown = "";
    element.replaceChildren(home(), make("h1", "", {}, `${folders.length} runs compared`), charts, rest);
    return again(async () => {
      for (const run of runs) await run.update();
      const summaries = runs.map((r) => r.run), [first] = runs;
      if (runs.some((r) => r.changed)) {
        const same = runs.every((r) => r.per_epoch === first.per_epoch);
        show_charts(follow.charts_of_several(runs, summaries.map(label)), same ? first.per_epoch : null);
      }
      const answer = await ask(`/api/compare?${query}`), text = JSON.stringify(answer);
      if (text !== shown) rest.replaceChildren(differences(answer, summaries));
      shown = text;
      return summaries.some((r) => r.status === "running") ? 2 : 5;
    });
  }

  return { show_run, show_comparison };
})();
