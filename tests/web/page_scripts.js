// The scripts of lua/mnistlua/web outside a page: load("network.js", "network") runs the file and returns the object it
// defines. For those that touch no element.
"use strict";
const fs = require("fs");
const path = require("path");
const vm = require("vm");

const folder = path.join(__dirname, "..", "..", "lua", "mnistlua", "web");

function load(file, name) {
  const source = fs.readFileSync(path.join(folder, file), "utf8");
  return vm.runInThisContext(`(() => {${source}\nreturn ${name}; })()`, { filename: file });
}

/** The JSON that a page holds in the element with this id. */
function data_of(page, id) {
  const match = new RegExp(`<script type="application/json" id="${id}">(.*?)</script>`, "s").exec(page);
  return match && JSON.parse(match[1]);
}

module.exports = { load, data_of };
