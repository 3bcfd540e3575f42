// The draw pad: a square to draw in with mouse, finger or pen, and beside it what the network makes of the drawing,
// after every movement. It needs strokes.js and pictures.js; where the answer comes from is the caller's:
//
//   const pad = draw_pad.create(element, {
//     classify: (pixels) => ({ probabilities, activations }),   // or a promise of it, without activations too
//     names: ["0", "1", ...],                                   // of the classes; numbers if missing
//     prepare: (pixels) => pixels,                              // what else is done to a drawing; nothing if missing
//   });
//   pad.show(pixels, "Test image 17, a 4");                     // 784 bytes in place of a drawing
//   pad.clear();
//
// pixels is what strokes.pixels gives. While an answer is awaited at most one more question waits, the latest. Faults of
// classify are shown in the pad. All text is set as text.
"use strict";

const draw_pad = (() => {
  const extent = 280;          // units of a side: what points are counted in
  const hidden_kinds = ["relu", "leaky_relu", "elu", "prelu", "gelu", "silu", "sigmoid", "tanh"];

  // An element with a class, attributes and children (elements or text).
  function make(tag, name, attributes = {}, ...children) {
    const element = document.createElement(tag);
    if (name) element.className = name;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  const percent = (share) => `${(100 * share).toFixed(share >= 0.9995 ? 0 : 1)}%`;

  // ---- the answer ----

  function make_bars(names) {
    const rows = names.map((name) => {
      const fill = make("i", "bar-fill"), value = make("span", "bar-value");
      const row = make("li", "bar", {}, make("span", "bar-name", {}, name), make("span", "bar-track", {}, fill), value);
      return { fill, value, row };
    });
    return { rows, list: make("ol", "bars", { "aria-label": "probabilities" }, ...rows.map((r) => r.row)) };
  }

  // The layers to show: what comes out of activations; without any, of all layers with weights but the last.
  function hidden_layers(activations) {
    const after = activations.filter((a) => hidden_kinds.includes(a.kind));
    return after.length > 0 ? after : activations.filter((a) => ["linear", "conv2d"].includes(a.kind)).slice(0, -1);
  }

  const shape_text = (shape) =>
    (shape.length === 3 ? `${shape[0]} maps of ${shape[1]}×${shape[2]}` : `${shape.join("×")} units`);

  function show_layers(parts, activations) {
    const layers = hidden_layers(activations || []);
    while (parts.layers.children.length > layers.length) parts.layers.lastChild.remove();
    layers.forEach((layer, i) => {
      const figure = parts.layers.children[i] ||
        parts.layers.appendChild(make("figure", "layer", {}, make("canvas"), make("figcaption")));
      figure.lastChild.textContent = `Layer ${i + 1}, ${shape_text(layer.shape)}`;
      figure.classList.toggle("layer-maps", layer.shape.length === 3);
      pictures.activation(figure.firstChild, layer);
    });
  }

  function show_answer(parts, names, answer) {
    const shares = Array.from(answer.probabilities), best = shares.indexOf(Math.max(...shares));
    parts.digit.textContent = names[best];
    parts.share.textContent = percent(shares[best]);
    parts.bars.rows.forEach(({ row, fill, value }, i) => {
      fill.style.width = `${100 * shares[i]}%`;
      value.textContent = percent(shares[i]);
      row.classList.toggle("bar-best", i === best);
    });
    show_layers(parts, answer.activations);
  }

  function show_nothing(parts) {
    parts.digit.textContent = "–";
    parts.share.textContent = "";
    for (const { row, fill, value } of parts.bars.rows) {
      fill.style.width = "0";
      value.textContent = "";
      row.classList.remove("bar-best");
    }
    parts.layers.replaceChildren();
    pictures.ink(parts.seen, new Uint8Array(784));
  }

  // ---- the board ----

  // Draws the strokes in the colour of the text, at the screen's resolution; or a picture, enlarged.
  function redraw(parts, drawing) {
    const { board } = parts, ratio = devicePixelRatio || 1, size = Math.round(board.clientWidth * ratio) || extent;
    board.width = board.height = size;
    const context = board.getContext("2d");
    if (drawing.picture) {
      context.imageSmoothingEnabled = false;
      context.drawImage(parts.seen, 0, 0, size, size);
      return;
    }
    context.scale(size / extent, size / extent);
    context.strokeStyle = getComputedStyle(board).color;
    context.lineWidth = 20;
    context.lineCap = context.lineJoin = "round";
    for (const line of drawing.lines) {
      context.beginPath();
      context.moveTo(...line[0]);
      for (const point of line) context.lineTo(...point);
      context.stroke();
    }
  }

  function point_of(board, event) {
    const frame = board.getBoundingClientRect();
    return [(event.clientX - frame.left) / frame.width * extent, (event.clientY - frame.top) / frame.height * extent];
  }

  // A stroke goes from the press of the first pointer to its release; others are passed over meanwhile.
  function follow_pointer(board, drawing, changed) {
    let pointer = null;
    const end = (event) => { if (event.pointerId === pointer) pointer = null; };
    board.addEventListener("pointerdown", (event) => {
      if (pointer !== null || event.button !== 0) return;
      event.preventDefault();
      pointer = event.pointerId;
      board.setPointerCapture(pointer);
      if (drawing.picture) Object.assign(drawing, { picture: null, lines: [] });
      drawing.lines.push([point_of(board, event)]);
      changed();
    });
    board.addEventListener("pointermove", (event) => {
      if (event.pointerId !== pointer) return;
      const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      for (const each of events.length > 0 ? events : [event]) {
        drawing.lines[drawing.lines.length - 1].push(point_of(board, each));
      }
      changed();
    });
    board.addEventListener("pointerup", end);
    board.addEventListener("pointercancel", end);
  }

  // ---- asking ----

  // ask(pixels): calls classify and shows its answer; one question at a time, and of those meanwhile the last.
  // forget(): what is under way is no longer of interest.
  function asker(classify, show, fault) {
    let waiting = null, busy = false, round = 0;
    async function ask(pixels) {
      waiting = pixels;
      if (busy) return;
      busy = true;
      while (waiting) {
        const asked = waiting, of = round;
        waiting = null;
        try {
          const answer = await classify(asked);
          if (of === round) show(answer);
        } catch (problem) {
          if (of === round) fault(problem);
        }
      }
      busy = false;
    }
    function forget() {
      round++;
      waiting = null;
    }
    return { ask, forget };
  }

  // ---- the whole ----

  function build(element, names) {
    const bars = make_bars(names);
    const parts = {
      bars,
      board: make("canvas", "pad-board", { role: "img", "aria-label": "Square to draw in" }),
      hint: make("p", "pad-hint", { "aria-hidden": "true" }, "Draw here"),
      clear: make("button", "button", { type: "button" }, "Clear"),
      caption: make("span", "pad-caption", { "aria-live": "polite" }),
      digit: make("output", "pad-digit", { "aria-live": "polite" }),
      share: make("span", "pad-share"),
      seen: make("canvas", "pad-seen", { role: "img", "aria-label": "The 28 by 28 pixels that the network sees" }),
      layers: make("div", "pad-layers"),
    };
    element.classList.add("pad");
    element.replaceChildren(
      make("div", "pad-draw", {}, make("div", "pad-frame", {}, parts.board, parts.hint),
        make("div", "pad-tools", {}, parts.clear, parts.caption)),
      make("div", "pad-answer", {}, make("div", "pad-verdict", {}, parts.digit, parts.share,
        make("figure", "pad-input", {}, parts.seen, make("figcaption", "", {}, "28×28 input"))), bars.list),
      parts.layers);
    return parts;
  }

  // What happens once a frame, however often it is called for.
  function once_a_frame(f) {
    let due = false;
    return () => {
      if (due) return;
      due = true;
      requestAnimationFrame(() => {
        due = false;
        f();
      });
    };
  }

  /** Makes a pad of an element, whose content it replaces. Returns { show(pixels, caption), clear() }. */
  function create(element, { classify, names = Array.from({ length: 10 }, (_, i) => String(i)), prepare = (p) => p }) {
    const parts = build(element, names), drawing = { lines: [], picture: null };
    const questions = asker(classify, (answer) => show_answer(parts, names, answer), (problem) => {
      show_nothing(parts);
      parts.caption.textContent = String(problem.message || problem);
    });

    function refresh() {
      const drawn = strokes.pixels(drawing.lines, extent), pixels = drawing.picture || (drawn && prepare(drawn));
      parts.hint.hidden = pixels !== null;
      if (pixels) pictures.ink(parts.seen, pixels);
      redraw(parts, drawing);
      if (pixels) return questions.ask(pixels);
      questions.forget();
      show_nothing(parts);
    }

    const changed = once_a_frame(refresh);
    const redrawn = once_a_frame(() => redraw(parts, drawing));
    function set(picture, caption) {
      Object.assign(drawing, { picture, lines: [] });
      parts.caption.textContent = caption;
      changed();
    }
    follow_pointer(parts.board, drawing, () => {
      parts.caption.textContent = "";
      changed();
    });
    parts.clear.addEventListener("click", () => set(null, ""));
    new ResizeObserver(redrawn).observe(parts.board);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawn);
    refresh();
    return { show: (pixels, caption = "") => set(pixels, caption), clear: () => set(null, "") };
  }

  return { create };
})();
