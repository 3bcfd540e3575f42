// TAP lines for the tests of this folder: test(name, f) runs f, which throws if it fails; done() waits for all and ends
// the process.
"use strict";
const tests = [];

function test(name, run) { tests.push({ name, run }); }

async function done(after = async () => {}) {
  let failed = 0;
  for (const { name, run } of tests) {
    try {
      await run();
      console.log(`ok - ${name}`);
    } catch (problem) {
      failed++;
      console.log(`not ok - ${name}\n# ${String(problem.stack).replaceAll("\n", "\n# ")}`);
    }
  }
  await after();
  process.exit(failed > 0 ? 1 : 0);
}

module.exports = { test, done };
