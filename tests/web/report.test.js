// Reports in headless Chromium: node report.test.js MLP.html CNN.html (tests/cli/test_web.sh). The first one's network
// reads digits drawn with the mouse; the second one's names and texts are hostile.
"use strict";
const assert = require("assert");
const browser = require("./browser.js");
const digits = require("./digits.js");
const { test, done } = require("./tap.js");

if (!browser.find()) {
  console.log("ok - pages in a browser # SKIP chromium is not installed");
  process.exit(0);
}

const [mlp, cnn] = process.argv.slice(2);

browser.start().then(({ page, close }) => {
  // The strokes of a digit on the board, as points of the window.
  async function on_board(lines) {
    const [left, top, width] = await page.evaluate(`(() => {
      const board = document.querySelector(".pad-board");
      board.scrollIntoView({ block: "center" });
      const frame = board.getBoundingClientRect();
      return [frame.x, frame.y, frame.width];
    })()`);
    return lines.map((line) => line.map(([x, y]) => [left + x * width, top + y * width]));
  }

  async function answer() {
    await page.frame();
    return page.evaluate("document.querySelector('.pad-digit').textContent");
  }

  const clear = () => page.evaluate("document.querySelector('.pad-tools button').click()");
  const bars = () =>
    page.evaluate("[...document.querySelectorAll('.bar-value')].map((e) => parseFloat(e.textContent))");

  async function open(file, width = 1100, dark = false) {
    await page.screen(width, 900, dark);
    await page.go(file);
    await page.frame();
  }

  test("it opens without errors and asks nobody", async () => {
    await open(mlp);
    assert.deepStrictEqual([page.errors, page.requests], [[], []]);
  });

  digits.forEach((lines, digit) => test(`a ${digit} drawn with the mouse`, async () => {
    await clear();
    for (const line of await on_board(lines)) await page.drag(line);
    assert.strictEqual(await answer(), String(digit));
  }));

  test("with a finger, under which the page does not move", async () => {
    await clear();
    const lines = await on_board(digits[3]), before = await page.evaluate("scrollY");
    for (const line of lines) await page.swipe(line);
    assert.strictEqual(await answer(), "3");
    assert.strictEqual(await page.evaluate("scrollY"), before);
  });

  test("bars add up to a whole, layers light up", async () => {
    assert.ok(Math.abs((await bars()).reduce((a, b) => a + b) - 100) < 0.6);
    assert.strictEqual(await page.evaluate("document.querySelectorAll('.layer canvas').length"), 2);
    assert.match(await page.evaluate("document.querySelector('.layer').textContent"), /Layer 1, 96 units/);
  });

  test("Clear leaves an empty pad", async () => {
    await clear();
    assert.strictEqual(await answer(), "–");
    assert.strictEqual(await page.evaluate("document.querySelectorAll('.layer').length"), 0);
  });

  test("a mistake that is chosen is shown with the probabilities of its list", async () => {
    const [guess, share] = await page.evaluate(`(() => {
      const button = document.querySelector(".mistake");
      button.click();
      return [...button.querySelector(".mistake-guess").children].map((e) => e.textContent);
    })()`);
    assert.strictEqual(await answer(), guess);
    assert.ok(Math.abs(Math.max(...await bars()) - parseFloat(share)) <= 0.11, `${await bars()} for ${share}`);
    const caption = await page.evaluate("document.querySelector('.pad-caption').textContent");
    assert.match(caption, /^test image \d+, in truth \d$/);
  });

  test("curves tell their values under mouse and keys", async () => {
    const text = "document.querySelector('.curves').textContent";
    const [x, y] = await page.evaluate(`(() => {
      const picture = document.querySelector(".curves-picture");
      picture.scrollIntoView({ block: "center" });
      const frame = picture.getBoundingClientRect();
      return [frame.x + frame.width / 2, frame.y + frame.height / 2];
    })()`);
    const before = await page.evaluate(text);
    await page.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
    const hovered = await page.evaluate(text);
    assert.match(hovered, /epoch 1\.\d, step \d\d\d/);
    assert.notStrictEqual(hovered, before);
    const places = "[...document.querySelectorAll('.curves-place')].map((e) => e.textContent)";
    assert.strictEqual(new Set(await page.evaluate(places)).size, 1);
    await page.evaluate("document.querySelector('.curves-picture').focus()");
    await page.key("Home");
    assert.match(await page.evaluate(text), /step 0/);
    await page.key("ArrowRight");
    assert.match(await page.evaluate(text), /step [1-9]/);
  });

  test("the first layer has a picture for each unit", async () => {
    const count = () => page.evaluate("document.querySelectorAll('#filter-grid canvas').length");
    assert.strictEqual(await count(), 64);
    await page.evaluate("document.getElementById('filters-more').click()");
    assert.strictEqual(await count(), 96);
  });

  for (const [width, dark] of [[1100, true], [360, false]]) {
    test(`${width} pixels wide${dark ? ", dark" : ""}: nothing sticks out, colours fit`, async () => {
      await open(mlp, width, dark);
      assert.strictEqual(await page.evaluate("document.documentElement.scrollWidth"), width);
      const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
      assert.strictEqual(paper, dark ? "rgb(20, 22, 25)" : "rgb(255, 255, 255)");
      for (const line of await on_board(digits[7])) await page.drag(line);
      assert.strictEqual(await answer(), "7");
      assert.deepStrictEqual(page.errors, []);
    });
  }

  test("hostile names and texts are text", async () => {
    await open(cnn);
    const title = "</script><script>document.title = 'owned'</script><img src=x onerror=alert(1)>\"'&\u241b[31m";
    assert.strictEqual(await page.evaluate("document.querySelector('h1').textContent"), title);
    assert.strictEqual(await page.evaluate("document.title"), title);
    assert.strictEqual(await page.evaluate("document.images.length"), 0);
    assert.match(await page.evaluate("document.querySelector('#parameters').textContent"), /<script>document/);
    assert.match(await page.evaluate("document.querySelector('pre').textContent"), /local hostile = "<\/script>/);
    assert.deepStrictEqual([page.errors, page.requests], [[], []]);
  });

  test("the pad of a convolutional network shows its maps", async () => {
    for (const line of await on_board(digits[0])) await page.drag(line);
    assert.match(await answer(), /^\d$/);
    assert.match(await page.evaluate("document.querySelector('.layer').textContent"), /Layer 1, 6 maps of 28×28/);
  });

  test("a page cannot reach a network even if it tries", async () => {
    const refused = await page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', (e) => String(e))");
    assert.match(refused, /TypeError/);
    assert.ok(page.errors.some((text) => /Content Security Policy/.test(text)), String(page.errors));
  });

  return done(close);
});
