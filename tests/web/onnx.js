// Runs ONNX files with onnxruntime on pictures of bytes: node onnx.js MODEL.onnx PIXELS 28x28 OUTPUT ... Writes the
// probabilities as f32, a row a picture, after checking that they are the softmax of the logits. Used by the tests of
// `mnistlua export`; the package is looked for in $WEB_TOOLS/node_modules. `node onnx.js` alone: is it there?
"use strict";
const fs = require("fs");
const path = require("path");

const batch = 500;

function load() {
  const tools = process.env.WEB_TOOLS || path.join(__dirname, "../../build/web");
  return require(path.join(tools, "node_modules/onnxruntime-web"));
}

// The largest difference of the softmax of the logits and the probabilities.
function distance(logits, probabilities, classes) {
  let largest = 0;
  for (let at = 0; at < logits.length; at += classes) {
    const row = logits.slice(at, at + classes);
    const most = Math.max(...row);
    const powers = Array.from(row, (x) => Math.exp(x - most));
    const sum = powers.reduce((a, b) => a + b);
    powers.forEach((x, i) => { largest = Math.max(largest, Math.abs(x / sum - probabilities[at + i])); });
  }
  return largest;
}

async function run(ort, model, pixels, shape) {
  const size = shape.reduce((a, b) => a * b);
  const session = await ort.InferenceSession.create(fs.readFileSync(model), { executionProviders: ["wasm"] });
  const parts = [];
  for (let at = 0; at < pixels.length; at += batch * size) {
    const x = Float32Array.from(pixels.subarray(at, at + batch * size), (byte) => byte / 255);
    const input = new ort.Tensor("float32", x, [x.length / size, ...shape]);
    const { logits, probabilities } = await session.run({ pixels: input });
    const classes = probabilities.dims[probabilities.dims.length - 1];
    if (logits.dims[0] !== x.length / size || distance(logits.data, probabilities.data, classes) > 1e-5) {
      throw new Error("the probabilities are not the softmax of the logits");
    }
    parts.push(Buffer.from(new Uint8Array(probabilities.data.buffer, probabilities.data.byteOffset,
      probabilities.data.byteLength)));
  }
  return Buffer.concat(parts);
}

async function main(words) {
  const ort = load();
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  for (let i = 0; i + 4 <= words.length; i += 4) {
    const [model, pixels, shape, output] = words.slice(i, i + 4);
    fs.writeFileSync(output, await run(ort, model, fs.readFileSync(pixels), shape.split("x").map(Number)));
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message.split("\n")[0]);
  process.exit(1);
});
