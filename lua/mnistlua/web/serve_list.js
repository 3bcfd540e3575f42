// The list of runs: filtered, brought up to date while it is looked at, with runs to choose for a comparison. Rows stay
// the same elements, so that what is focused or chosen stays so.
"use strict";

const list_view = (() => {
  const { make, say, age, epochs, metric, status, ask, again } = parts;

  const link = (...names) => `#/${names.map(encodeURIComponent).join("/")}`;

  // The metrics that lists show: what people look for first.
  function metrics_of(runs) {
    const has = (name) => runs.some((r) => r.results && name in r.results);
    const first = ["val.acc", "test.acc"].filter(has);
    return first.length > 0 ? first : ["val.loss", "test.loss", "train.loss"].filter(has).slice(0, 2);
  }

  const words = (run) => [...run.changed, ...run.tags.map((tag) => `#${tag}`)].join(" ");

  // ---- rows ----

  function make_row(run, chosen, changed) {
    const box = make("input", "", { type: "checkbox", "aria-label": `compare ${run.folder}` });
    box.checked = chosen.has(run.folder);
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(run.folder);
      else chosen.delete(run.folder);
      changed();
    });
    const cells = { status: make("td"), epochs: make("td", "number"), metrics: [], words: make("td", "words"),
      age: make("td", "number") };
    const name = make("td", "name", {}, make("a", "", { href: link("run", run.folder) }, run.name || run.folder),
      make("span", "muted", {}, run.folder));
    return { row: make("tr", "", {}, make("td", "choose", {}, box), name, cells.status, cells.epochs, cells.words,
      cells.age), cells };
  }

  function fill_row({ row, cells }, run, metrics, now) {
    if (cells.status.textContent !== run.status) cells.status.replaceChildren(status(run.status));
    say(cells.epochs, epochs(run));
    say(cells.words, words(run));
    say(cells.age, run.started ? age(now - run.started) : "–");
    while (cells.metrics.length > metrics.length) cells.metrics.pop().remove();
    metrics.forEach((name, i) => {
      if (!cells.metrics[i]) {
        cells.metrics[i] = make("td", "number");
        cells.words.before(cells.metrics[i]);
      }
      say(cells.metrics[i], metric(name, (run.results || {})[name]));
    });
    return row;
  }

  // ---- the table ----

  function make_table(chosen, changed) {
    const head = make("tr"), body = make("tbody"), rows = new Map();
    function show({ runs, now }) {
      const metrics = metrics_of(runs), titles = ["", "Run", "Status", "Epochs", ...metrics, "Parameters", "Age"];
      if (head.dataset.titles !== titles.join()) {
        head.dataset.titles = titles.join();
        const numeric = new Set(["Epochs", "Age", ...metrics]);
        head.replaceChildren(...titles.map((t) =>
          make("th", numeric.has(t) ? "number" : t === "Parameters" ? "words" : "", { scope: "col" }, t)));
      }
      const wanted = runs.map((run) => {
        if (!rows.has(run.folder)) rows.set(run.folder, make_row(run, chosen, changed));
        return fill_row(rows.get(run.folder), run, metrics, now);
      });
      if (wanted.length !== body.children.length || wanted.some((row, i) => row !== body.children[i])) {
        body.replaceChildren(...wanted);
      }
    }
    const table = make("table", "wide runs", {}, make("thead", "", {}, head), body);
    return { element: make("div", "scroll", {}, table), show };
  }

  /** Shows the list in an element. Returns what ends it. */
  return function show_list(element) {
    const chosen = new Set();
    const filter = make("input", "filter", {
      type: "search", placeholder: "lr=0.1  test.acc>=0.98  name=mlp*  status=done", "aria-label": "filters",
      spellcheck: "false", autocomplete: "off", autocapitalize: "off",
    });
    const problem = make("p", "muted", { role: "status" }), compare = make("a", "button", {}, "Compare");
    const about = make("span", "muted");

    function changed() {
      say(about, chosen.size < 2 ? "choose two runs or more" : `${chosen.size} runs`);
      if (chosen.size < 2) compare.removeAttribute("href");
      else compare.href = link("compare", ...chosen);
      compare.setAttribute("aria-disabled", String(chosen.size < 2));
    }
    const table = make_table(chosen, changed);

    async function update() {
      try {
        const answer = await ask(`/api/runs?filter=${encodeURIComponent(filter.value)}`);
        table.show(answer);
        const { runs, total } = answer, rest = `The first ${runs.length} of ${total} runs.`;
        say(problem, total === 0 ? (filter.value.trim() ? "No run meets these filters." : "No runs yet.")
          : runs.length < total ? rest : "");
        return runs.some((r) => r.status === "running") ? 2 : 4;
      } catch (fault) {
        if (fault.status !== 400) throw fault;
        say(problem, fault.message);             // a filter that is not whole yet
        return 4;
      }
    }
    element.replaceChildren(make("h1", "", {}, "Runs"),
      make("form", "tools", {}, filter, make("div", "choice", {}, compare, about)), table.element, problem);
    element.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    changed();
    let end = again(update), typing;
    filter.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => {
        end();
        end = again(update);
      }, 200);
    });
    return () => {
      clearTimeout(typing);
      end();
    };
  };
})();
