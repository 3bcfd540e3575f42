// The page of mnistlua serve in Chromium, beside a run that trains: node serve.test.js URL SERVER_PID. Prints TAP.
// Called by tests/cli/test_serve_page.sh, which makes the runs: one that trains ("slow"), one that is done ("done") and
// one whose name is HTML.
"use strict";
const browser = require("./browser");
const digits = require("./digits");

const [url, pid] = process.argv.slice(2);
let count = 0;

function tell(good, name, why = "") {
  console.log(`${good ? "ok" : "not ok"} ${++count} - ${name}`);
  if (!good) console.log(`# ${String(why).replace(/\n/g, "\n# ")}`);
}

// One test: f returns what is wrong, if anything.
async function test(name, page, f) {
  try {
    const wrong = await f(page);
    const errors = page.errors.splice(0);
    tell(!wrong && errors.length === 0, name, `${wrong || ""} ${errors.join("; ")}`);
  } catch (problem) {
    tell(false, name, problem.stack);
  }
}

const equal = (got, wanted) => (JSON.stringify(got) === JSON.stringify(wanted) ? null
  : `got ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}`);

// The list, once it has all runs.
async function open_list(page) {
  await page.evaluate('location.hash = "#/"');
  await page.until('document.querySelectorAll(".runs tbody tr").length === 3');
}

async function open_run(page, name) {
  await open_list(page);
  const link = `[...document.querySelectorAll(".name a")].find((a) => a.textContent === ${JSON.stringify(name)})`;
  await page.evaluate(`${link}.click()`);
  await page.until(`document.querySelector("h1")?.textContent === ${JSON.stringify(name)}`);
}

// Types a filter and waits until so many runs are left.
async function filter(page, text, left) {
  await page.evaluate(`(() => {
    const field = document.querySelector(".filter");
    field.value = ${JSON.stringify(text)};
    field.dispatchEvent(new Event("input"));
  })()`);
  await page.until(`document.querySelectorAll(".runs tbody tr").length === ${left}`);
}

// The digits drawn on the pad, and what is answered.
async function draw(page, strokes_of_digit) {
  await page.evaluate('document.querySelector(".pad .button").click()');
  await page.until('document.querySelector(".pad-digit").textContent === "–"');
  await page.evaluate('document.querySelector(".pad-board").scrollIntoView({ block: "center", behavior: "instant" })');
  const frame = await page.evaluate('document.querySelector(".pad-board").getBoundingClientRect().toJSON()');
  for (const line of strokes_of_digit) {
    await page.drag(line.map(([x, y]) => [frame.left + x * frame.width, frame.top + y * frame.height]));
  }
  await page.frame();
  await page.until('document.querySelector(".pad-digit").textContent !== "–"');
  await page.evaluate("new Promise((done) => setTimeout(done, 100))");      // the last question's answer
  return page.evaluate('document.querySelector(".pad-digit").textContent');
}

const tests = {
  "the list shows the runs, and names as text": async (page) => {
    await page.go(url);
    await page.until('document.querySelectorAll(".runs tbody tr").length === 3');
    const names = await page.evaluate('[...document.querySelectorAll(".name a")].map((a) => a.textContent).sort()');
    return equal(names, ["<img src=x onerror=alert(1)>", "done", "slow"])
      || equal(await page.evaluate('document.querySelectorAll("img").length'), 0);
  },
  "nothing is asked of anybody else": async (page) => {
    const foreign = page.requests.filter((each) => !each.startsWith(url) && !each.startsWith("data:"));
    return equal(foreign, []);
  },
  "filters": async (page) => {
    await filter(page, "name=done", 1);
    await filter(page, "", 3);
  },
  "the curves of a run grow while it trains": async (page) => {
    await open_run(page, "slow");
    await page.until('document.querySelector(".charts .curve")');
    const step = 'Number(document.querySelector(".state").textContent.match(/step ([0-9,]+)/)[1].replace(",", ""))';
    const path = 'document.querySelector(".curve").getAttribute("d")';
    const [step_before, path_before] = [await page.evaluate(step), await page.evaluate(path)];
    await page.until(`${step} > ${step_before}`);
    await page.until(`${path} !== ${JSON.stringify(path_before)}`);
    return equal(await page.evaluate('document.querySelector(".status").textContent'), "running");
  },
  "a cursor stays where it is": async (page) => {
    const frame = await page.evaluate('document.querySelector(".curves-picture").getBoundingClientRect().toJSON()');
    const path = 'document.querySelector(".curve").getAttribute("d")';
    const place = 'document.querySelector(".curves-place").textContent';
    await page.send("Input.dispatchMouseEvent", { type: "mouseMoved", x: frame.left + 150, y: frame.top + 50 });
    await page.until(`/^step \\d|epoch/.test(${place})`);
    const [told, drawn] = [await page.evaluate(place), await page.evaluate(path)];
    await page.until(`${path} !== ${JSON.stringify(drawn)}`);
    return equal(await page.evaluate(place), told);
  },
  "its newest checkpoint answers the pad": async (page) => {
    await draw(page, digits[1]);
    const text = await page.evaluate('document.querySelector("section").textContent');
    return /its checkpoint of step \d+/.test(text) ? null : text;
  },
  "a run with a name of HTML": async (page) => {
    await open_run(page, "<img src=x onerror=alert(1)>");
    await page.until('document.querySelector("pre")');
    const text = await page.evaluate('document.querySelector("pre").textContent');
    return equal(await page.evaluate('document.querySelectorAll("img").length'), 0)
      || (text.includes("</script><script>") ? null : text);
  },
  "digits that are drawn": async (page) => {
    await open_run(page, "done");
    const answers = [];
    for (let digit = 0; digit < 10; digit++) answers.push(Number(await draw(page, digits[digit])));
    const right = answers.filter((answer, digit) => answer === digit).length;
    return right >= 8 ? null : `taken for ${answers}`;
  },
  "two runs compared": async (page) => {
    await open_list(page);
    await page.evaluate('document.querySelectorAll(".choose input").forEach((box, i) => i < 2 && box.click())');
    await page.evaluate('document.querySelector(".choice a").click()');
    await page.until('document.querySelector(".differences td.best")');
    await page.until('document.querySelectorAll(".charts .curves").length >= 3');
    return equal(await page.evaluate('document.querySelector(".charts .curves").querySelectorAll(".curve").length'), 2);
  },
  "light, dark and on a phone": async (page) => {
    for (const [width, dark] of [[1200, false], [1200, true], [360, false]]) {
      await page.screen(width, 800, dark);
      for (const hash of ["#/", await page.evaluate("location.hash")]) {
        await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
        await page.until('document.querySelector("table")');
        const wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        if (wider > 0) return `${hash} is ${wider} pixels wider than ${width}`;
      }
    }
    await page.screen(1200, 800);
  },
  "a run that is not there": async (page) => {
    await page.evaluate('location.hash = "#/run/nope"');
    await page.until('document.getElementById("fault").textContent === "there is no run \'nope\'"');
    page.errors.length = 0;                                   // the browser tells the 404
  },
  "the server's end is told": async (page) => {
    await open_list(page);
    process.kill(pid, "SIGINT");
    await page.until('document.getElementById("fault").textContent === "The server does not answer."', 15);
    page.errors.length = 0;
  },
};

// Before the server ends: another page may not ask it.
async function from_elsewhere(page) {
  await page.go("data:text/html,<title>elsewhere</title>");
  const list = JSON.stringify(`${url}/api/runs`);
  const ask = (options) => page.evaluate(`fetch(${list}, ${options}).then((r) => r.type, () => "refused")`);
  const plain = await ask("{}"), opaque = await ask('{ mode: "no-cors" }');
  page.errors.length = 0;
  return equal([plain, opaque], ["refused", "refused"]);
}

(async () => {
  const { page, close } = await browser.start();
  await page.screen(1200, 800);
  await test("another page cannot ask", page, from_elsewhere);
  for (const [name, f] of Object.entries(tests)) await test(name, page, f);
  console.log(`1..${count}`);
  await close();
})().catch((problem) => {
  tell(false, "the browser", problem.stack);
  process.exit(1);
});
