// The network in the page against the C network: node network.test.js FOLDER..., each with report.html and
// expected.json (tests/cli/test_web.sh). Then layers and strokes whose results are known.
"use strict";
const assert = require("assert");
const fs = require("fs");
const { load, data_of } = require("./page_scripts.js");
const { test, done } = require("./tap.js");

const network = load("network.js", "network"), strokes = load("strokes.js", "strokes");

// ---- whole networks ----

for (const folder of process.argv.slice(2)) {
  const spec = data_of(fs.readFileSync(`${folder}/report.html`, "utf8"), "network");
  const expected = JSON.parse(fs.readFileSync(`${folder}/expected.json`, "utf8"));
  test(`the probabilities of C to 1e-4: ${spec.layers.map((layer) => layer.kind).join(" ")}`, () => {
    const net = network.decode(spec);
    let worst = 0;
    expected.pixels.forEach((pixels, i) => {
      const { probabilities } = network.run(net, network.bytes(pixels));
      probabilities.forEach((p, c) => { worst = Math.max(worst, Math.abs(p - expected.probabilities[i][c])); });
    });
    assert.ok(expected.pixels.length === 200 && worst <= 1e-4, `the greatest difference is ${worst}`);
  });
}

test("pictures straightened as C does it", () => {
  const { straightened } = JSON.parse(fs.readFileSync(`${process.argv[2]}/expected.json`, "utf8"));
  for (const [picture, centred, deskewed] of straightened.map((list) => list.map(network.bytes))) {
    for (const [deskew, wanted] of [[false, centred], [true, deskewed]]) {
      const got = strokes.straightened(picture, deskew);
      got.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) <= 1, `${value} for ${wanted[i]} at ${i}`));
    }
  }
});

// ---- single layers ----

const f32 = (...values) => Buffer.from(new Float32Array(values).buffer).toString("base64");
const i16 = (...values) => Buffer.from(new Int16Array(values).buffer).toString("base64");

// One layer on four pixels, 0 to 255 as 0 to 1.
function run(layer, pixels) {
  const net = network.decode({ input: layer.input, mean: 0, std: 1 / 255, layers: [layer] });
  return Array.from(network.run(net, pixels).activations[0].values);
}

const square = { input: [1, 2, 2], output: [1, 2, 2], name: "0" };
const window = { ...square, size: [2, 2], stride: [1, 1], padding: [1, 1, 0, 0] };
const cases = [
  [{ ...square, kind: "linear", input: [4], output: [2], bias: f32(1, -1),
    weight: { shape: [2, 4], scales: f32(0.5, 2), values: i16(1, 2, 3, 4, -1, 0, 0, 1) } }, [16, 5]],
  [{ ...square, kind: "conv2d", stride: [1, 1], padding: [0, 0, 1, 1], groups: 1,
    weight: { shape: [1, 1, 2, 2], scales: f32(1), values: i16(1, 10, 100, 1000) } }, [4321, 402, 43, 4]],
  [{ ...window, kind: "max_pool2d" }, [1, 2, 3, 4]],
  [{ ...window, kind: "avg_pool2d" }, [0.25, 0.75, 1, 2.5]],
  [{ ...window, kind: "avg_pool2d", count_include_pad: false }, [1, 1.5, 2, 2.5]],
  [{ ...square, kind: "global_avg_pool", output: [1, 1, 1] }, [2.5]],
  [{ ...square, kind: "scale", scale: f32(2), shift: f32(-5) }, [-3, -1, 1, 3]],
  [{ ...square, kind: "softmax", output: [1, 2, 2] }, [0.26894143, 0.7310586, 0.26894143, 0.7310586]],
  [{ ...square, kind: "log_softmax" }, [-1.3132616, -0.3132617, -1.3132616, -0.3132617]],
  [{ ...square, kind: "gelu" }, [0.8413447, 1.9544997, 2.9959502, 3.9998732]],
  [{ ...square, kind: "silu" }, [0.7310586, 1.7615942, 2.8577223, 3.9280552]],
  [{ ...square, kind: "flatten", output: [4] }, [1, 2, 3, 4]],
];
for (const [layer, wanted] of cases) {
  test(`the layer ${layer.kind}`, () => {
    const got = run(layer, [1, 2, 3, 4]);
    assert.strictEqual(got.length, wanted.length);
    got.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]) < 2e-6, `${got} for ${wanted}`));
  });
}

test("negative numbers through activations", () => {
  const kinds = { relu: {}, leaky_relu: { slope: 0.25 }, elu: { alpha: 2 }, prelu: { slope: f32(0.5) } };
  const wanted = { relu: 0, leaky_relu: -0.25, elu: 2 * Math.expm1(-1), prelu: -0.5 };
  for (const [kind, options] of Object.entries(kinds)) {
    const net = network.decode({ input: [1], mean: 1 / 255, std: 1 / 255,
      layers: [{ kind, name: "0", input: [1], output: [1], ...options }] });
    assert.ok(Math.abs(network.run(net, [0]).outputs[0] - wanted[kind]) < 1e-6, kind);
  }
});

test("what is no network is refused", () => {
  assert.throws(() => network.decode({ layers: [{ kind: "gru" }] }), /knows no layer 'gru'/);
  const net = network.decode({ input: [2], mean: 0, std: 1, layers: [{ ...square, kind: "relu" }] });
  assert.throws(() => network.run(net, [1, 2, 3]), /expected 2 pixels, got 3/);
});

// ---- strokes ----

function centre(pixels) {
  let ink = 0, x = 0, y = 0;
  pixels.forEach((value, i) => {
    ink += value;
    x += value * (i % 28);
    y += value * Math.floor(i / 28);
  });
  return [x / ink, y / ink, ink / 255];
}

const crook = [[[0.2, 0.1], [0.25, 0.7], [0.6, 0.75]], [[0.5, 0.4], [0.52, 0.9]]];
const changed = (scale, dx, dy) => crook.map((line) => line.map(([x, y]) => [x * scale + dx, y * scale + dy]));

test("a drawing's size and place do not matter", () => {
  const pixels = strokes.pixels(crook);
  assert.deepStrictEqual(strokes.pixels(changed(0.4, 0.1, 0.3)).every((v, i) => Math.abs(v - pixels[i]) <= 1), true);
  assert.deepStrictEqual(strokes.pixels(changed(100, 0, 0), 100), pixels);
});

test("it is as large as MNIST's, and its centre of mass on pixel 14, 14", () => {
  const pixels = strokes.pixels(crook), [x, y] = centre(pixels);
  const rows = Array.from({ length: 28 }, (_, row) => pixels.subarray(row * 28, row * 28 + 28).some((v) => v > 127));
  assert.ok(Math.abs(x - 14) < 0.05 && Math.abs(y - 14) < 0.05, `${x}, ${y}`);
  const height = rows.lastIndexOf(true) - rows.indexOf(true) + 1;
  assert.ok(height === 20 || height === 21, `${height} rows`);
});

test("a dot is a dot, nothing is null", () => {
  const [x, y, ink] = centre(strokes.pixels([[[0.9, 0.1]]]));
  assert.ok(Math.abs(x - 14) < 0.01 && Math.abs(y - 14) < 0.01 && ink > 3 && ink < 5, `${x}, ${y}, ${ink}`);
  assert.strictEqual(strokes.pixels([]), null);
  assert.strictEqual(strokes.pixels([[]]), null);
});

done();
