-- A paused run without a terminal: the question and the prompt are played by the tests. What counts as a change, what
-- does not, and steps in the middle of a statement.
local compare = require "mnistlua.train.compare"
local core = require "mnistlua.core"
local lu = require "luaunit"
local ml = require "mnistlua"
local pause = require "mnistlua.train.pause"
local trainer = require "mnistlua.trainer"
local watch = require "mnistlua.train.watch"

TestReplPause = {}

local quiet = {}
for _, name in ipairs { "clear", "step", "epoch", "message" } do quiet[name] = function() end end

local function prepared(more)
  local e = {
    name = "tiny", data = ml.data.digits { n = 64, test = 16 }, loss = ml.nn.CrossEntropyLoss(), batch = 16, epochs = 3,
    model = ml.nn.Sequential { ml.nn.Flatten(), ml.nn.Linear(8), ml.nn.Dropout(0.2), ml.nn.Linear(10) },
    optimizer = ml.optim.SGD { lr = 0.1, momentum = 0.9 },
  }
  for key, value in pairs(more or {}) do e[key] = value end
  ml.manual_seed(1)
  return trainer.prepare(ml.experiment(e), { seed = 1 })
end

-- Trains with a prompt after step `at`: talk(variables, statement) stands for the person, statement(text, f) for a line
-- that does f(). Returns the run.
local function trained(run, at, talk, reason)
  local p = pause.new {
    ask = function() error "nobody asked" end, leave = error, interrupted = "interrupted", noted = function() end,
    prompt = function(_, variables, before, after)
      talk(variables, function(text, f)
        before(text)
        f()
        after(text)
      end)
      return reason or "continue"
    end,
  }
  p.at, run.pause = at, p
  run:attach(quiet)
  trainer.train(run, { progress = quiet })
  return run
end

local function weights(run)
  local all = {}
  for name, parameter in run.model:named_parameters() do all[#all + 1] = { name, parameter:clone() } end
  return all
end

function TestReplPause:testLookingAroundChangesNothing()
  local run = prepared()
  local w = watch.new(run)
  for name, look in pairs {
    evaluate = function() run:evaluate(run.data.test) end, eval = function() run.model:eval() end,
    forward = function() run.model(ml.zeros(2, 28, 28)) end, random = function() return ml.randn(3), math.random() end,
    recording = function() core.recording(false) end,
  } do
    look()
    lu.assertFalse(w:changed(), name)
  end
  run.model:eval()
  w:finish()
  lu.assertTrue(core.recording())
  lu.assertTrue(run.model[3].training)
end

function TestReplPause:testWhatIsAChange()
  local run = prepared()
  local w = watch.new(run)
  for name, change in pairs {
    weight = function() run.model[2].weight[1] = ml.ones(784) end, lr = function() run.optimizer.lr = 0.2 end,
    field = function() run.total_steps = 5 end, experiment = function() run.experiment.eval_every = 2 end,
    loss = function() run.loss = ml.nn.MSELoss() end, dropout = function() run.model[3].p = 0.7 end,
    state = function() run.state.x = (run.state.x or 0) + 1 end, gone = function() run.experiment.expect = {} end,
  } do
    change()
    lu.assertTrue(w:changed(), name)
    lu.assertFalse(w:changed(), name)
  end
end

function TestReplPause:testARunThatWasOnlyLookedAtIsTheSame()
  local before = weights(trained(prepared(), false, error))
  local looked = trained(prepared(), 3, function(v, statement)
    statement("look", function()
      v.model:eval()
      local _ = v.model(ml.randn(2, 28, 28))
      v.run:evaluate(v.data.test)
    end)
    statement("step(4)", function() v.step(4) end)
    lu.assertEquals(v.run.step, 7)
  end)
  lu.assertNil(compare.first_difference(before, weights(looked)))
  lu.assertFalse(looked.changes)
end

function TestReplPause:testChangesAreNotedWithTheirSteps()
  local noted = {}
  local run = trained(prepared { schedule = ml.sched.OneCycleLR { max_lr = 0.1 } }, 2, function(v, statement)
    statement("lr = 0.05", function() v.optimizer.lr = 0.05 end)
    statement("look", function() noted[#noted + 1] = #v.run.changes end)
    statement("loop", function()
      for _ = 1, 2 do
        v.step(2)
        v.model[2].bias:fill_(0.5)
      end
    end)
  end)
  lu.assertEquals(noted, { 1 })
  lu.assertEquals(run.changes, {
    { step = 2, epoch = 1, statements = { "lr = 0.05" } }, { step = 4, epoch = 1, statements = { "loop" } },
    { step = 6, epoch = 2, statements = { "loop" } },
  })
  lu.assertEquals(run.held_lr, 0.05)
  lu.assertEquals(run.optimizer.lr, 0.05)
end

function TestReplPause:testThePromptMayOutliveTheRun()
  local reached = false
  local run = trained(prepared(), 2, function(v)
    v.step(1000)
    reached = true
  end)
  lu.assertEquals(run.step, run.total_steps)
  lu.assertFalse(reached)
  lu.assertFalse(core.hold_signals())
end

function TestReplPause:testQuitStopsTheRunAsCtrlCDoes()
  local run = trained(prepared(), 2, function() end, "quit")
  lu.assertEquals({ run.step, run.interrupted, run.stopping }, { 2, 2, "interrupted" })
end

function TestReplPause:testAPauseIsNoTimeOfTheRun()
  local run = prepared()
  local deadline = core.clock() + 100
  run:attach(quiet, deadline)
  local before = run.started
  local p = pause.new {
    ask = error, leave = error, interrupted = "", noted = error, prompt = function()
      local began = core.clock()
      while core.clock() - began < 0.02 do end
      return "continue"
    end,
  }
  p.at = 0
  core.interrupts(true)
  lu.assertFalse(p:consider(run, false))
  lu.assertTrue(run.started - before >= 0.02)
  lu.assertAlmostEquals(run.deadline - deadline, run.started - before, 1e-9)
end

function TestReplPause:testStepWantsAWholeNumber()
  trained(prepared(), 1, function(v)
    for _, n in ipairs { 0, 1.5, "two" } do
      local ok, problem = pcall(v.step, n)
      lu.assertFalse(ok)
      lu.assertStrContains(problem, "step: expected a number of steps, got")
    end
  end)
end
