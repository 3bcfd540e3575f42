-- The precision of matrix products: as a key of an experiment, by ml.precision, in the result and the metadata.
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local lu = require "luaunit"
local ml = require "mnistlua"
local precision = require "mnistlua.precision"
local progress = require "mnistlua.train.progress"
local store = require "mnistlua.train.store"
local trainer = require "mnistlua.trainer"
local nn, optim = ml.nn, ml.optim

TestPrecision = {}

local best = core.amx() and "bf16" or "f32"
local data = ml.data.digits { n = 64, test = 20, seed = 5 }

-- Where bf16 is emulated, the library would say so in the middle of the tests' output.
function TestPrecision:setUp() self.quiet, context.quiet = context.quiet, true end

function TestPrecision:tearDown()
  context.quiet, context.precision = self.quiet, nil
  core.precision "f32"
end

local function experiment(changes)
  ml.manual_seed(0)
  local e = {
    data = data, loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1 }, batch = 32, steps = 2,
    model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.ReLU(), nn.Linear(10) },
  }
  for k, v in pairs(changes or {}) do e[k] = v end
  return (ml.experiment(e))
end

local function train(changes, folder)
  local run = trainer.prepare(experiment(changes), { seed = 0 })
  return trainer.train(run, { progress = progress.new { quiet = true }, store = folder }), run
end

function TestPrecision:testScripts()
  lu.assertEquals(ml.precision(), "f32")
  lu.assertEquals(ml.precision "bf16x3", "f32")
  lu.assertEquals(ml.precision "auto", "bf16x3")
  lu.assertEquals(ml.precision "f32", best)
  lu.assertErrorMsgContains("ml.precision: name is 'bf61'; expected one of 'f32', 'bf16', 'bf16x3', 'auto'; did you "
    .. "mean 'bf16'?", ml.precision, "bf61")
  lu.assertErrorMsgContains("expected one of", ml.precision, 16)
end

function TestPrecision:testAnExperimentsKey()
  for given, expected in pairs { f32 = "f32", bf16 = "bf16", bf16x3 = "bf16x3", auto = best } do
    local seen = {}
    local result, run = train { precision = given, on = {
      after_backward = function() seen[#seen + 1] = core.precision() end,
      eval_end = function() seen[#seen + 1] = core.precision() end,
    } }
    lu.assertEquals(result.precision, expected)
    lu.assertEquals(run.precision, expected)
    lu.assertTrue(#seen >= 3)
    for _, each in ipairs(seen) do lu.assertEquals(each, expected) end
    lu.assertEquals(core.precision(), "f32")         -- as it was before the run
  end
end

function TestPrecision:testWrongKeys()
  lu.assertErrorMsgContains("test_precision.lua:" , experiment, { precision = "bf61" })
  lu.assertErrorMsgContains("ml.experiment: precision is 'bf61'; expected one of 'f32', 'bf16', 'bf16x3', 'auto'; "
    .. "did you mean 'bf16'?", experiment, { precision = "bf61" })
  lu.assertErrorMsgContains("precision is 16; expected one of", experiment, { precision = 16 })
end

function TestPrecision:testWhoDecides()
  lu.assertEquals(train().precision, "f32")
  ml.precision "bf16"
  lu.assertEquals(train().precision, "bf16")                          -- what the script chose before
  lu.assertEquals(train({ precision = "bf16x3" }).precision, "bf16x3")
  context.precision = "f32"
  lu.assertEquals(train({ precision = "bf16x3" }).precision, "f32")   -- the command line
  lu.assertEquals(core.precision(), "bf16")
end

function TestPrecision:testAChangeOnTheWayShows()
  local result = train { precision = "bf16", on = { epoch_end = function() ml.precision "f32" end } }
  lu.assertEquals(result.precision, "bf16+f32")
  lu.assertEquals(train().precision, "f32")
end

function TestPrecision:testItIsRestoredAfterAFailure()
  lu.assertFalse((pcall(train, { precision = "bf16", on = { batch_end = function() error "no" end } })))
  lu.assertEquals(core.precision(), "f32")
end

function TestPrecision:testTheWeightsSayIt()
  local out = os.tmpname()
  os.remove(out)
  local folder = assert(store.create(out, { name = "x" }))
  train({ precision = "bf16x3" }, folder)
  local model = nn.Sequential { nn.Flatten(), nn.Linear(784, 8), nn.ReLU(), nn.Linear(8, 10) }
  local _, metadata = model:load(folder.weights)
  os.execute(("rm -rf '%s'"):format(out))
  lu.assertEquals(metadata["mnistlua.precision"], "bf16x3")
end

function TestPrecision:testPrecisionsDiffer()
  local function weights(name)
    local _, run = train { precision = name }
    return table.concat(run.model:state_dict()["3.weight"]:totable()[1], " ")
  end
  lu.assertEquals(weights "f32", weights "f32")
  lu.assertEquals(weights "bf16", weights "bf16")
  lu.assertNotEquals(weights "f32", weights "bf16")
  lu.assertNotEquals(weights "f32", weights "bf16x3")
end

function TestPrecision:testResolve()
  lu.assertEquals(precision.resolve "auto", best)
  lu.assertEquals(precision.resolve "bf16x3", "bf16x3")
end
