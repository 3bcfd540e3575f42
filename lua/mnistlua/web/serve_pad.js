// The draw pad of a run: digits that are drawn, or pictures of digits that are opened, go to the server, where the
// run's model answers.
"use strict";

const serve_pad = (() => {
  const { make, ask, api, say } = parts;
  const largest = 1024;      // pixels of a side that are sent of a picture

  const numbers = (n) => Array.from({ length: n }, (_, i) => String(i));

  // The picture of a file in grey, on white, no larger than the server takes: { width, height, bytes }.
  async function grey_of(file) {
    const bitmap = await createImageBitmap(file).catch(() => {
      throw new Error(`${file.name || "This"} is no picture that the browser can read.`);
    });
    const share = Math.min(1, largest / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [bitmap.width, bitmap.height].map((n) => Math.max(1, Math.round(n * share)));
    const context = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height), bytes = new Uint8Array(width * height);
    for (let i = 0; i < bytes.length; i++) {
      bytes[i] = Math.round(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
    }
    return { width, height, bytes };
  }

  // A button for a picture, which may be dropped on the element, too.
  function picture_input(element, take) {
    const input = make("input", "", { type: "file", accept: "image/*", hidden: "" });
    const button = make("button", "button", { type: "button" }, "Open a picture…");
    button.addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      if (input.files[0]) take(input.files[0]);
      input.value = "";
    });
    element.addEventListener("dragover", (event) => event.preventDefault());
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
    });
    return [button, input];
  }

  /** Makes the section of a run. */
  function create(folder) {
    const note = make("p", "muted", { role: "status" }), place = make("div");
    const section = make("section", "screen", {}, make("h2", "", {}, "Draw a digit"), place);
    let pad, names = numbers(10);

    async function classify(pixels) {
      const answer = await ask(api(folder, "/classify"), pixels);
      const wanted = answer.names || numbers(answer.probabilities.length);
      say(note, `Answered by ${answer.weights}.`);
      if (JSON.stringify(wanted) !== JSON.stringify(names)) {     // known only now that the model was read
        names = wanted;
        build();
        pad.show(pixels);
      }
      return answer;
    }

    async function open(file) {
      try {
        const { width, height, bytes } = await grey_of(file);
        const { pixels } = await ask(`/api/prepare?width=${width}&height=${height}`, bytes);
        pad.show(Uint8Array.from(pixels), file.name || "");
      } catch (problem) {
        say(note, problem.message);
      }
    }

    const input = picture_input(section, open);
    function build() {
      const inner = make("div");
      place.replaceChildren(inner);
      pad = draw_pad.create(inner, { classify, names });
      inner.querySelector(".pad-caption").before(...input);
    }
    section.append(note);
    build();
    return section;
  }

  return { create };
})();
