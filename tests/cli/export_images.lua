-- For test_export.sh and tests/bench/exports.sh: the probabilities that a run's model gives the test pictures of its
-- data in evaluation (images.expected, f32), and the pictures as bytes (images.pixels), unless that file is there.
local ml = require "mnistlua"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local numbers = require "mnistlua.export.numbers"
local sources = require "mnistlua.cli.source"

local p = ml.params { run = { "last", "a run in runs/" } }

context.overrides, context.override_order = {}, {}   -- they are this script's, not the config's

local source = sources.open("runs", p.run)
local experiment = sources.experiment(source, {})
local model, test = sources.model(source, experiment):eval(), experiment.data.test
context.pending = nil   -- this script is no config that forgets to return it
core.recording(false)
local expected = {}
for x in test:batches { batch = 500 } do
  core.scope(function() expected[#expected + 1] = numbers.f32(numbers.list(model(x):softmax(-1))) end)
end
assert(core.write_file("images.expected", table.concat(expected)))

if not core.exists "images.pixels" then
  local pixels = {}
  for i = 1, #test do pixels[i] = string.char(table.unpack(numbers.list((test.core:get(i))))) end
  assert(core.write_file("images.pixels", table.concat(pixels)))
end
