// What the views of `mnistlua serve` share: elements, texts of numbers and times, questions to the server, doing
// something again and again while the page is looked at. All text is set as text.
"use strict";

const parts = (() => {
  /** An element with a class, attributes and children (elements or text; null is left out). */
  function make(tag, name, attributes = {}, ...children) {
    const element = document.createElement(tag);
    if (name) element.className = name;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  /** Sets an element's text if it is another one: what did not change is not announced again. */
  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  // ---- texts ----

  const thousands = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");

  function duration(seconds) {
    if (seconds < 60) return `${seconds < 10 ? seconds.toPrecision(2) : Math.round(seconds)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
    return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`;
  }

  function age(seconds) {
    if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 2 * 86400) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  }

  /** A metric's value: accuracies in per cent, losses with four digits. */
  function metric(name, value) {
    if (value === undefined || value === null) return "–";
    if (name.endsWith("acc")) return `${(100 * value).toFixed(2)}%`;
    if (name.endsWith("loss")) return value.toFixed(4);
    if (name === "images_per_s") return thousands(value);
    return String(Number(value.toPrecision(4)));
  }

  const epochs = (run) => (run.epoch === undefined ? "–" : run.epochs ? `${run.epoch}/${run.epochs}` : `${run.epoch}`);

  const status = (name) => make("span", `status status-${name.replace(/[^a-z]/g, "")}`, {}, name);

  // ---- the server ----

  /** What the server answers to a path of its own; an Error with its message otherwise, without `status` if there is
   * no answer. */
  async function ask(path, body) {
    const options = { signal: AbortSignal.timeout(60000) };
    if (body) Object.assign(options, { method: "POST", body, headers: { "Content-Type": "application/octet-stream" } });
    let response, answer;
    try {
      response = await fetch(path, options);
      answer = await response.json();
    } catch {
      throw new Error("The server does not answer.");
    }
    if (response.ok) return answer;
    throw Object.assign(new Error(answer.error), { status: response.status });
  }

  const api = (run, what = "") => `/api/runs/${encodeURIComponent(run)}${what}`;

  /** One line above the page about what is wrong; nothing without a text. */
  function fault(text) {
    const line = document.getElementById("fault");
    line.hidden = !text;
    say(line, text || "");
  }

  /** Calls f, which returns the seconds until it is called again, while the page is visible. Returns what ends it. */
  function again(f) {
    let timer, ended = false, busy = false;
    async function call() {
      clearTimeout(timer);
      if (ended || busy || document.hidden) return;
      busy = true;
      let seconds = 5;
      try {
        seconds = await f();
        if (!ended) fault(null);
      } catch (problem) {
        if (!ended) fault(problem.message);
      }
      busy = false;
      if (!ended) timer = setTimeout(call, 1000 * seconds);
    }
    document.addEventListener("visibilitychange", call);
    call();
    return () => {
      ended = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", call);
    };
  }

  return { make, say, thousands, duration, age, metric, epochs, status, ask, api, fault, again };
})();
