-- What `mnistlua check` and `mnistlua eval` find out: gradients of whole models, right and broken ones; one batch by
-- heart; confusion matrices and what follows from them.
local lu = require "luaunit"
local core = require "mnistlua.core"
local gradients = require "mnistlua.inspect.gradients"
local measure = require "mnistlua.inspect.measure"
local measure_text = require "mnistlua.inspect.measure_text"
local ml = require "mnistlua"
local trainer = require "mnistlua.trainer"
local trial = require "mnistlua.inspect.trial"
local nn, optim = ml.nn, ml.optim

local data = ml.data.digits { n = 200, test = 50, seed = 5 }

-- ---- gradients ----

TestGradients = {}

-- Modules whose gradients are wrong, each in its way.
local Detached, Doubled, Half, Noisy = nn.Module "Detached", nn.Module "Doubled", nn.Module "Half", nn.Module "Noisy"

function Detached.forward(_, x) return x:detach() end

function Doubled:init(n) self.scale = nn.Parameter(ml.ones(n)) end
function Doubled:forward(x) return x * self.scale:detach() + (self.scale - self.scale:detach()) * 2 end

-- The right value; a gradient for the first half of the weights only.
function Half:init(n) self.scale = nn.Parameter(ml.ones(n)) end
function Half:forward(x)
  local n = #self.scale
  return x * core.concat({ self.scale:slice(1, 1, n // 2), self.scale:slice(1, n // 2 + 1, n):detach() }, 1)
end

function Noisy.forward(_, x) return x + ml.randn(x.shape) end

local function check(layers)
  ml.manual_seed(3)
  local model, loader = nn.Sequential(layers):build(data:sample_shape()), data:loader { batch = 8, shuffle = true }
  loader:start(1, 1)
  local x, y = loader:next()
  x, y = x:clone(), y:clone()
  local before = model:state_dict()
  local kept = {}
  for i, entry in ipairs(before) do kept[i] = entry[2]:clone() end
  local list, all = gradients.check(model, nn.CrossEntropyLoss(), x, y, 60)
  for i, entry in ipairs(before) do
    local same = entry[2]:eq(kept[i]):min():item() == 1
    lu.assertTrue(same or entry[1]:find "running" ~= nil or entry[1]:find "tracked" ~= nil, entry[1] .. " was changed")
  end
  local verdicts = {}
  for i, r in ipairs(list or {}) do verdicts[i] = r.name .. " " .. r.verdict end
  return table.concat(verdicts, ", "), all, list
end

function TestGradients.testModelsThatAreRight()
  local cases = {
    { nn.Flatten(), nn.Linear(32), nn.ReLU(), nn.Linear(10) },
    { nn.Flatten(), nn.Linear(24), nn.Tanh(), nn.Dropout(0.4), nn.Linear(10) },
    { nn.Flatten(), nn.Linear(24), nn.LayerNorm(), nn.GELU(), nn.Linear(10) },
    { nn.Conv2d(4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(10) },
    { nn.Flatten(), nn.Linear(16), nn.BatchNorm1d(), nn.SiLU(), nn.Linear(10) },
  }
  for i, layers in ipairs(cases) do
    local verdicts, all = check(layers)
    lu.assertNil(verdicts:find "wrong", ("case %d: %s"):format(i, verdicts))
    local _, ok = verdicts:gsub(" ok", "")
    lu.assertTrue(ok >= all - 2, ("case %d: %s"):format(i, verdicts))
  end
end

function TestGradients.testBrokenModules()
  local cases = {
    { { nn.Flatten(), nn.Linear(16), Detached(), nn.Linear(10) },
      "1.weight wrong, 1.bias wrong, 3.weight ok, 3.bias ok" },
    { { nn.Flatten(), nn.Linear(16), nn.ReLU(), Doubled(16), nn.Linear(10) },
      "1.weight ok, 1.bias ok, 3.scale wrong, 4.weight ok, 4.bias ok" },
    { { nn.Flatten(), nn.Linear(16), nn.ReLU(), Half(16), nn.Linear(10) },
      "1.weight ok, 1.bias ok, 3.scale wrong, 4.weight ok, 4.bias ok" },
  }
  for i, case in ipairs(cases) do lu.assertEquals(i .. ': ' .. check(case[1]), i .. ': ' .. case[2]) end
end

function TestGradients.testAMissingGradientIsNamed()
  local _, _, list = check { nn.Flatten(), nn.Linear(16), Detached(), nn.Linear(10) }
  lu.assertTrue(list[1].missing)
  lu.assertFalse(list[3].missing)
end

function TestGradients.testFrozenTensorsAreLeftOut()
  local frozen = nn.Linear(784, 16)
  frozen:requires_grad_(false)
  lu.assertEquals((check { nn.Flatten(), frozen, nn.ReLU(), nn.Linear(10) }), "3.weight ok, 3.bias ok")
end

function TestGradients.testALossOfChanceSaysNothing()
  local verdicts, why = check { nn.Flatten(), nn.Linear(16), Noisy(), nn.Linear(10) }
  lu.assertEquals(verdicts, "")
  lu.assertStrContains(why, "two passes with the same weights give two losses")
end

-- ---- one batch by heart ----

TestOneBatch = {}

local function learn(changes)
  ml.manual_seed(0)
  local e = {
    data = data, loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1, momentum = 0.9 }, batch = 32,
    model = nn.Sequential { nn.Flatten(), nn.Linear(32), nn.ReLU(), nn.Linear(10) },
  }
  for k, v in pairs(changes) do e[k] = v end
  local schedule = e.schedule
  e.schedule = nil
  local run = trainer.prepare(ml.experiment(e), { seed = 0 })
  run.listeners.diverged[1] = function() return "skip" end
  local x, y = trial.batch(run, 32)
  local first, last = trial.rates(run, schedule)
  local before = e.model:parameters()[1]:clone()
  local r, other = trial.overfit(run, x, y, first, last, 60)
  lu.assertEquals(before:eq(e.model:parameters()[1]):min():item(), 1)       -- the weights are as before
  return r, other, last
end

function TestOneBatch.testAnOrdinaryModelLearnsIt()
  local r, other = learn {}
  lu.assertTrue(r.learned)
  lu.assertNil(other)
  lu.assertTrue(r.steps < 100)
  lu.assertEquals(r.right, 32)
end

function TestOneBatch.testARateThatIsTooSmallIsTold()
  local r, other = learn { optimizer = optim.SGD { lr = 1e-7 } }
  lu.assertFalse(r.falls)
  lu.assertTrue(other.falls)
end

function TestOneBatch.testARateThatIsFarTooLarge()
  local r = learn { optimizer = optim.SGD { lr = 1e30 } }
  lu.assertTrue(r.broken)
end

function TestOneBatch.testAModelThatCannotLearn()
  local r, other = learn { model = nn.Sequential { nn.Flatten(), nn.Linear(10), Detached() },
    loss = function(out, y) return nn.CrossEntropyLoss()(out, y) + ml.zeros { 1 }:requires_grad_():sum() end }
  lu.assertFalse(r.falls)
  lu.assertFalse(other.falls)
  lu.assertEquals(other.steps, 200)
end

function TestOneBatch.testSchedulesGiveTheRates()
  local _, _, constant = learn { schedule = function() return 0.05 end }
  lu.assertEquals(constant, 0.05)
  local _, _, falling = learn { schedule = function(_, progress) return 0.1 * (1 - progress) end }
  lu.assertEquals(falling, 0.1)
  local _, _, rising = learn { schedule = function(_, progress) return 0.3 * math.min(1, 0.01 + 2 * progress) end }
  lu.assertAlmostEquals(rising, 0.3, 1e-9)
end

-- ---- evaluation ----

TestMeasure = {}

-- Says label 1 for every sample, but for those whose first pixel is above 0: label 2.
local Stub = nn.Module "Stub"
function Stub.forward(_, x)
  local rows = {}
  for i = 1, #x do rows[i] = x[i]:flatten()[1][1] > 0 and { 0, 0, 1 } or { 0, 1, 0 } end
  return ml.tensor(rows)
end

local function small_set(pixels, labels)
  local images = {}
  for i, p in ipairs(pixels) do images[i] = { { p, 0 } } end
  return ml.data.tensors { x = core.tensor(images, "u8"), y = core.tensor(labels, "i32"), normalise = "unit" }
end

function TestMeasure.testConfusionByHand()
  local d = small_set({ 0, 0, 9, 9, 0, 9 }, { 0, 1, 2, 2, 2, 0 }).train
  local r = measure.evaluate(Stub(), nn.CrossEntropyLoss(), d, d:sample_shape(), 4)
  lu.assertEquals(r.confusion, { { 0, 1, 1 }, { 0, 1, 0 }, { 0, 1, 2 } })
  lu.assertEquals({ r.count, r.errors, r.acc }, { 6, 3, 0.5 })
  lu.assertNil(r.classes[1].precision)
  lu.assertEquals({ r.classes[1].recall, r.classes[1].count, r.classes[1].right }, { 0, 2, 0 })
  lu.assertAlmostEquals(r.classes[2].precision, 1 / 3, 1e-12)
  lu.assertEquals(r.classes[2].recall, 1)
  lu.assertAlmostEquals(r.classes[3].f1, 2 / 3, 1e-12)
  lu.assertEquals(measure.mistakes(r.confusion, 2), { { 0, 1, 1 }, { 0, 2, 1 } })
end

function TestMeasure.testTheMatrixFitsItsRoom()
  local confusion = {}
  for i = 1, 20 do
    confusion[i] = {}
    for j = 1, 20 do confusion[i][j] = i == j and 100 or 0 end
  end
  lu.assertNil(measure_text.matrix(confusion, nil, 80))
  local lines = measure_text.matrix(confusion, nil, 83)
  lu.assertEquals(#lines, 21)
  for _, text in ipairs(lines) do lu.assertTrue(#text <= 83) end
  lines = measure_text.matrix({ { 3, 1 }, { 0, 4 } }, { "naught", "one" }, 80)
  lu.assertEquals(lines, { "         0 1", "0 naught 3 1", "1 one    . 4" })
end
