// Runs the networks of pages on pictures of bytes: node page_network.js PAGE.html PIXELS OUTPUT ... Writes the
// probabilities as f32, a row a picture. Used by the tests of `mnistlua export`.
"use strict";
const fs = require("fs");
const { load, data_of } = require("./page_scripts.js");

const network = load("network.js", "network");

function run(page, pixels) {
  const net = network.decode(data_of(page, "network"));
  const size = net.input.reduce((a, b) => a * b);
  const rows = [];
  for (let at = 0; at < pixels.length; at += size) {
    rows.push(...network.run(net, pixels.subarray(at, at + size)).probabilities);
  }
  return Buffer.from(Float32Array.from(rows).buffer);
}

const words = process.argv.slice(2);
for (let i = 0; i + 3 <= words.length; i += 3) {
  fs.writeFileSync(words[i + 2], run(fs.readFileSync(words[i], "utf8"), fs.readFileSync(words[i + 1])));
}
