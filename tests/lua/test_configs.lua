-- The configs that come with the program: each builds, takes three steps and is evaluated on a few synthetic digits.
local lu = require "luaunit"
local ml = require "mnistlua"
local config = require "mnistlua.cli.config"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local progress = require "mnistlua.train.progress"
local trainer = require "mnistlua.trainer"

TestConfigs = {}

local folder = core.root .. "/configs"

-- What a config finds in place of the data sets that it asks for.
local function few_digits(given)
  return ml.data.digits { n = 300, test = 60, val = given and (given.val or 0) > 0 and 60 or nil, seed = 1 }
end

local stand_ins = { mnist = few_digits, fashion_mnist = few_digits }

function TestConfigs:setUp()
  self.before, self.params = {}, { context.config, context.params, package.path, precision = core.precision() }
  for name, stand_in in pairs(stand_ins) do
    self.before[name] = ml.data[name]
    rawset(ml.data, name, stand_in)
  end
end

function TestConfigs:tearDown()
  for name, original in pairs(self.before) do rawset(ml.data, name, original) end
  context.config, context.params, package.path = self.params[1], self.params[2], self.params[3]
  core.precision(self.params.precision)
end

local function shorten(experiment)
  experiment.steps, experiment.conditions, experiment.batch = 3, {}, math.min(experiment.batch, 100)
  return experiment
end

-- Those that make their own digits, or count on more, are run by tests/cli/test_configs.sh.
local elsewhere = { ["notebook.lua"] = true, ["smoke.lua"] = true }

for _, name in ipairs(assert(core.list_dir(folder))) do
  if name:find "%.lua$" and not elsewhere[name] then
    TestConfigs["test_" .. name:gsub("%W", "_")] = function()
      ml.manual_seed(0)
      local run = trainer.prepare(shorten(config.run(folder .. "/" .. name)), { seed = 0 })
      local result = trainer.train(run, { progress = progress.new { quiet = true } })
      lu.assertEquals(result.steps, 3)
      lu.assertTrue(result["test.acc"] >= 0 and result["test.acc"] <= 1)
      lu.assertEquals(result["test.count"], 60)
    end
  end
end
