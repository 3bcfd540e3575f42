-- The trainer: events in order, counters, own loops, metrics, callbacks, schedules, evaluation.
local lu = require "luaunit"
local ml = require "mnistlua"
local core = require "mnistlua.core"
local progress = require "mnistlua.train.progress"
local trainer = require "mnistlua.trainer"
local nn, optim = ml.nn, ml.optim

TestTrainer = {}

local data = ml.data.digits { n = 80, test = 20, val = 16, seed = 5 }

local function train(changes)
  ml.manual_seed(0)
  local e = {
    data = data, loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1 }, batch = 32,
    model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.ReLU(), nn.Linear(10) },
  }
  for k, v in pairs(changes or {}) do e[k] = v end
  if not e.steps then e.epochs = e.epochs or 2 end
  local run = trainer.prepare(ml.experiment(e), { seed = 0 })
  return trainer.train(run, { progress = progress.new { quiet = true } }), run
end

function TestTrainer:testEventsInOrder()
  local heard = {}
  train { epochs = 1, callbacks = { function(_, event) heard[#heard + 1] = event end } }
  local step = "batch_start after_forward after_backward before_step batch_end "
  lu.assertEquals(table.concat(heard, " "),
    "start epoch_start " .. step .. step .. "eval_end epoch_end eval_end finish")
end

function TestTrainer:testCallbackTablesKeepState()
  local counter = { steps = 0, batch_end = function(c) c.steps = c.steps + 1 end }
  train { callbacks = { counter } }
  lu.assertEquals(counter.steps, 4)
  lu.assertErrorMsgContains("named after an event", train, { callbacks = { { x = 1 } } })
  lu.assertErrorMsgContains("expected a function or a table", train, { callbacks = { 5 } })
end

function TestTrainer:testCountersAndProgress()
  local seen = {}
  train { on = { batch_start = function(run)
    seen[#seen + 1] = ("%d %d %.2f"):format(run.step, run.epoch, run.progress)
  end } }
  lu.assertEquals(seen, { "1 1 0.00", "2 1 0.25", "3 2 0.50", "4 2 0.75" })
end

function TestTrainer:testStepsLimit()
  local result = train { steps = 3 }
  lu.assertEquals(result.steps, 3)
  lu.assertEquals(train({ steps = 7 }).epochs, 4)
end

function TestTrainer:testScheduleIsAskedBeforeEachStep()
  local asked, used = {}, {}
  train { schedule = function(step, p, info)
    asked[#asked + 1] = { step, p, info.epoch, info.total_steps }
    return 0.1 / (step + 1)
  end, on = { before_step = function(run) used[#used + 1] = run.optimizer.lr end } }
  asked = table.move(asked, #asked - 3, #asked, 1, {})
  lu.assertEquals(asked, { { 0, 0, 0, 4 }, { 1, 0.25, 0, 4 }, { 2, 0.5, 1, 4 }, { 3, 0.75, 1, 4 } })
  for i = 1, 4 do lu.assertAlmostEquals(used[i], 0.1 / i, 1e-12) end
end

local function own_loop(run)
  for x, y in run:batches() do
    run.optimizer:zero_grad()
    local loss = run.loss(run.model(x), y)
    loss:backward()
    run.optimizer:step()
    run:log { ["train.loss"] = loss:item() }
  end
end

local function weights(model)
  local list = {}
  for i, p in ipairs(model:parameters()) do list[i] = p:reshape(-1):totable() end
  return list
end

function TestTrainer:testOwnLoopGivesTheSameBits()
  local a, run_a = train()
  local b, run_b = train { loop = own_loop }
  lu.assertEquals(weights(run_a.model), weights(run_b.model))
  lu.assertEquals(a["test.acc"], b["test.acc"])
  lu.assertAlmostEquals(a["train.loss"], b["train.loss"], 1e-12)
end

function TestTrainer:testLoopMayBreak()
  local result, run = train { loop = function(run)
    for _ in run:batches() do
      if run.step == 3 then break end
    end
  end }
  lu.assertEquals(result.steps, 3)
  lu.assertEquals(run.stopping, "the loop ended")
end

function TestTrainer:testThreadsDoNotShow()
  local before = core.threads()
  local reference
  for _, threads in ipairs { 1, 2, 3 } do
    core.threads(threads)
    local _, run = train { optimizer = optim.Adam { lr = 0.01 } }
    reference = reference or weights(run.model)
    lu.assertEquals(weights(run.model), reference)
  end
  core.threads(before)
end

function TestTrainer:testEvaluationLeavesTrainingAlone()
  local function with_dropout(evaluate)
    return train { model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.Dropout(0.5), nn.Linear(10) },
      on = { batch_end = function(run) if evaluate then run:evaluate(data.test) end end } }
  end
  local _, a = with_dropout(false)
  local _, b = with_dropout(true)
  lu.assertEquals(weights(a.model), weights(b.model))
end

function TestTrainer:testEvaluateCountsErrors()
  local _, run = train()
  local r, wrong = run:evaluate(data.test), 0
  run.model:eval()
  for x, y in data.test:batches { batch = 1 } do
    if run.model(x):argmax(2)[1] ~= y[1] then wrong = wrong + 1 end
  end
  lu.assertEquals(r.errors, wrong)
  lu.assertAlmostEquals(r.acc, 1 - wrong / 20, 1e-12)
end

function TestTrainer:testValidationIsShownAndTestIsFinal()
  local result = train()
  lu.assertNotNil(result["val.acc"])
  lu.assertNotNil(result["test.acc"])
  lu.assertEquals(result["test.count"], 20)
end

function TestTrainer:testGradNormAndOwnMetrics()
  local result = train { metrics = { "grad_norm", "user.sparsity" },
    on = { before_step = function(run) run:log { ["user.sparsity"] = 0.25 } end } }
  lu.assertTrue(result["grad_norm"] > 0)
  lu.assertEquals(result["user.sparsity"], 0.25)
  lu.assertErrorMsgContains("is not declared", train, { on = { before_step = function(run)
    run:log { ["user.other"] = 1 }
  end } })
  lu.assertErrorMsgContains("expected a number", train, { on = { before_step = function(run)
    run:log { ["train.loss"] = {} }
  end } })
end

function TestTrainer:testMetricsAreRightWheneverTheyAreRead()
  local sum, images, kept, first
  local result = train { epochs = 2, on = {
    start = function(run)
      kept = run.metrics
      lu.assertNil(kept["train.loss"])
    end,
    epoch_start = function(run)
      first = run.epoch == 2 and kept["train.loss"]
      sum, images = 0, 0
    end,
    batch_start = function(run)
      if first and run.step_in_epoch == 1 then lu.assertEquals(run.metrics["train.loss"], first) end
    end,
    after_forward = function(_, loss, output) sum, images = sum + loss:item() * #output, images + #output end,
    batch_end = function(run)
      lu.assertEquals(run.metrics["train.loss"], sum / images)
      lu.assertEquals(kept["train.loss"], run.metrics["train.loss"])
      lu.assertTrue(kept["train.acc"] >= 0 and kept["images_per_s"] > 0)
      lu.assertEquals(kept["lr"], 0.1)
    end,
  } }
  local seen = {}
  for name, value in pairs(kept) do seen[name] = value end
  for _, name in ipairs { "train.loss", "train.acc", "val.loss", "test.acc", "lr", "images_per_s" } do
    lu.assertNotNil(seen[name], name)
    lu.assertEquals(seen[name], kept[name])
  end
  lu.assertEquals(result["train.loss"], kept["train.loss"])
  lu.assertErrorMsgContains("did you mean 'train.loss'?", function() return kept["train.los"] end)
  kept["val.loss"] = 7
  lu.assertEquals(kept["val.loss"], 7)
end

function TestTrainer:testAScheduleSetsTheRateOfEveryGroup()
  local seen = {}
  train { epochs = 1, optimizer = optim.SGD { lr = 1, groups = { { "%.bias$", lr_scale = 0.5 } } },
    schedule = function(step, _, info) return (step + info.epoch) / 4 end,
    on = { before_step = function(run)
      local groups = run.optimizer.groups
      seen[#seen + 1] = { run.metrics["lr"], run.optimizer.lr, groups[1].lr, groups[2].lr }
    end } }
  lu.assertEquals(seen, { { 0, 0, 0, 0 }, { 0.25, 0.25, 0.125, 0.25 } })
  lu.assertErrorMsgContains("lr is '1'; expected a number >= 0", function() optim.SGD { lr = 1 }.lr = "1" end)
end

function TestTrainer:testAUsersModuleIsAsGoodAsABuiltIn()
  local Scale = nn.Module "Scale"
  function Scale:init(width) self.factor = nn.Parameter(ml.ones(width)) end
  function Scale:forward(x) return x * self.factor end
  local _, run = train { model = nn.Sequential { nn.Flatten(), nn.Linear(8), Scale(8), nn.ReLU(), nn.Linear(10) } }
  local factor = run.model:state_dict()["2.factor"]
  lu.assertNotNil(factor)
  lu.assertTrue((factor - 1):abs():max():item() > 1e-4)
end

function TestTrainer:testSteadyStateAllocatesNothing()
  if core.memory().cached == 0 then lu.skip "built to give every freed block back, for a sanitizer" end
  local calls = {}
  train { epochs = 600, eval_every = 600, on = { batch_end = function(run)
    if run.step == 400 or run.step == 1100 then calls[#calls + 1] = core.memory().system_calls end
  end } }
  lu.assertTrue(calls[2] - calls[1] <= 2, ("%d calls of malloc in 700 steps"):format(calls[2] - calls[1]))
end
