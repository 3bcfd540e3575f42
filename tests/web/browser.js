// Headless Chromium for the tests of pages, over the pipe of its remote debugging: no port, no package. Used by the
// *.test.js of this folder. A page records what it asks of the network and what it reports as errors.
"use strict";
const { spawn } = require("child_process");
const fs = require("fs");
const os = require("os");
const path = require("path");

const switches = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
  "--no-first-run", "--disable-extensions", "--disable-component-update", "--disable-background-networking",
  "--disable-sync", "--mute-audio", "--remote-debugging-pipe"];

/** The path of chromium, or null. */
function find() {
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    for (const folder of (process.env.PATH || "").split(":")) {
      if (folder && fs.existsSync(path.join(folder, name))) return path.join(folder, name);
    }
  }
  return null;
}

// ---- the protocol: JSON, each message ended by a NUL ----

class Connection {
  constructor(child) {
    this.out = child.stdio[3];
    this.waiting = new Map();
    this.listeners = [];
    this.next = 1;
    let rest = "";
    child.stdio[4].setEncoding("utf8");
    child.stdio[4].on("data", (text) => {
      const messages = (rest + text).split("\0");
      rest = messages.pop();
      for (const message of messages) this.take(JSON.parse(message));
    });
    child.on("exit", () => {
      for (const { reject } of this.waiting.values()) reject(new Error("chromium ended"));
    });
  }

  take(message) {
    if (!message.id) {
      for (const listener of this.listeners) listener(message);
      return;
    }
    const { resolve, reject } = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (message.error) reject(new Error(message.error.message));
    else resolve(message.result);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.next++;
    this.out.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }
}

// ---- a page ----

class Page {
  constructor(connection, session) {
    this.connection = connection;
    this.session = session;
    this.requests = [];       // addresses other than data: and of the page itself
    this.errors = [];         // exceptions and console.error
    this.loaded = () => {};
    connection.listeners.push((message) => {
      if (message.sessionId === session) this.hear(message);
    });
  }

  hear({ method, params }) {
    if (method === "Page.loadEventFired") this.loaded();
    if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
    if (method === "Runtime.exceptionThrown") this.errors.push(params.exceptionDetails.exception.description);
    if (method === "Log.entryAdded" && params.entry.level === "error") this.errors.push(params.entry.text);
    if (method === "Page.javascriptDialogOpening") {
      this.errors.push(`dialog: ${params.message}`);
      this.send("Page.handleJavaScriptDialog", { accept: false });
    }
  }

  send(method, params) { return this.connection.send(method, params, this.session); }

  /** Loads an address; a path is a file's. */
  async go(address) {
    const url = address.startsWith("/") ? `file://${encodeURI(address)}` : address;
    const loaded = new Promise((resolve) => { this.loaded = resolve; });
    this.requests.length = this.errors.length = 0;
    await this.send("Page.navigate", { url });
    await loaded;
    this.requests = this.requests.filter((each) => each !== url && !each.startsWith("data:"));
  }

  /** The value of an expression in the page; promises are awaited. */
  async evaluate(expression) {
    const answer = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception.description);
    return answer.result.value;
  }

  /** Waits until an expression is true in the page; tells which if it does not come to that. */
  async until(expression, seconds = 10) {
    for (const end = Date.now() + 1000 * seconds; Date.now() < end;) {
      if (await this.evaluate(`Boolean(${expression})`)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`not within ${seconds} s: ${expression}`);
  }

  /** Two frames: what the page does once a frame has been done. */
  frame() { return this.evaluate("new Promise((f) => requestAnimationFrame(() => requestAnimationFrame(() => f())))"); }

  /** As large as a screen, in light or dark. */
  async screen(width, height, dark = false) {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
    await this.send("Emulation.setEmulatedMedia", { features });
  }

  /** Moves the mouse along points of the window with the button held. */
  async drag(points) {
    const event = (type, [x, y], extra) => this.send("Input.dispatchMouseEvent", { type, x, y, ...extra });
    await event("mouseMoved", points[0], {});
    await event("mousePressed", points[0], { button: "left", buttons: 1, clickCount: 1 });
    for (const point of points.slice(1)) await event("mouseMoved", point, { button: "left", buttons: 1 });
    await event("mouseReleased", points[points.length - 1], { button: "left", clickCount: 1 });
  }

  /** Moves a finger along points of the window. */
  async swipe(points) {
    const event = (type, touchPoints) => this.send("Input.dispatchTouchEvent", { type, touchPoints });
    await event("touchStart", [{ x: points[0][0], y: points[0][1] }]);
    for (const [x, y] of points.slice(1)) await event("touchMove", [{ x, y }]);
    await event("touchEnd", []);
  }

  async key(key) {
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", key, code: key });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, code: key });
  }

  /** The whole page as a PNG file. */
  async picture(file) {
    const { cssContentSize } = await this.send("Page.getLayoutMetrics");
    const clip = { x: 0, y: 0, width: cssContentSize.width, height: cssContentSize.height, scale: 1 };
    const { data } = await this.send("Page.captureScreenshot", { clip, captureBeyondViewport: true });
    fs.writeFileSync(file, Buffer.from(data, "base64"));
  }
}

/** Starts Chromium with one empty page. Returns { page, close }. */
async function start() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "mnistlua-browser-"));
  const child = spawn(find(), [...switches, `--user-data-dir=${profile}`, "about:blank"],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const connection = new Connection(child), ended = new Promise((resolve) => child.on("exit", resolve));
  const { targetId } = await connection.send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await connection.send("Target.attachToTarget", { targetId, flatten: true });
  const page = new Page(connection, sessionId);
  for (const domain of ["Page", "Runtime", "Network", "Log"]) await page.send(`${domain}.enable`);
  async function close() {
    connection.send("Browser.close").catch(() => {});
    const late = setTimeout(() => child.kill("SIGKILL"), 5000);
    await ended;
    clearTimeout(late);
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
  return { page, close };
}

module.exports = { find, start };
