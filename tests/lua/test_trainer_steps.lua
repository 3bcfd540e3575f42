-- What the trainer does around a step: accumulation, clipping, closures, averages of weights, momentum by a schedule.
local lu = require "luaunit"
local ml = require "mnistlua"
local core = require "mnistlua.core"
local progress = require "mnistlua.train.progress"
local trainer = require "mnistlua.trainer"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

TestTrainerSteps = {}

local data = ml.data.digits { n = 80, test = 20, seed = 5 }     -- 80 to train on

local function train(changes)
  ml.manual_seed(0)
  local e = {
    data = data, loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1 }, batch = 32, epochs = 2,
    model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.ReLU(), nn.Linear(10) }, shuffle = false,
  }
  for k, v in pairs(changes or {}) do e[k] = v end
  if e.steps then e.epochs = nil end
  local run = trainer.prepare(ml.experiment(e), { seed = 0 })
  return trainer.train(run, { progress = progress.new { quiet = true } }), run
end

local function weights(model)
  local list = {}
  for _, p in ipairs(model:parameters()) do table.move(p:reshape(-1):totable(), 1, p:numel(), #list + 1, list) end
  return list
end

local function assert_close(a, b, tolerance)
  lu.assertEquals(#a, #b)
  for i, value in ipairs(b) do
    if math.abs(a[i] - value) > tolerance then lu.fail(("%d: %.9g, expected %.9g"):format(i, a[i], value)) end
  end
end

-- ---- accumulation ----

-- Five batches of 16 in twos are batches of 32, 32 and 16.
function TestTrainerSteps.testAccumulatedBatchesMoveAsALargeOne()
  local _, large = train { batch = 32 }
  local steps = 0
  local _, small = train { batch = 16, accumulate = 2, on = { before_step = function() steps = steps + 1 end } }
  lu.assertEquals(steps, 6)
  assert_close(weights(small.model), weights(large.model), 2e-6)
  _, small = train { batch = 24, accumulate = 2, drop_last = true, epochs = 1 }       -- 24 + 24, then 24 alone
  lu.assertEquals(small.step, 3)
  _, small = train { batch = 24, accumulate = 2, drop_last = true, steps = 2 }
  _, large = train { batch = 48, drop_last = true, steps = 1 }
  assert_close(weights(small.model), weights(large.model), 2e-6)
end

function TestTrainerSteps.testTheLastStepMovesTheWeights()
  local steps = 0
  train { batch = 16, accumulate = 4, steps = 3, on = { before_step = function() steps = steps + 1 end } }
  lu.assertEquals(steps, 1)
end

-- ---- clipping ----

function TestTrainerSteps.testClip()
  local function norms(clip)
    local list = {}
    train { clip = clip, optimizer = optim.SGD { lr = 0.1 }, metrics = { "grad_norm" },
      on = { batch_end = function(run) list[#list + 1] = core.grad_norm(run.model:parameters()) end } }
    return list
  end
  for _, norm in ipairs(norms(nil)) do lu.assertTrue(norm > 0.2) end
  for _, norm in ipairs(norms(0.1)) do lu.assertAlmostEquals(norm, 0.1, 1e-5) end
  train { clip = { value = 0.01 }, on = { batch_end = function(run)
    for _, p in ipairs(run.model:parameters()) do lu.assertTrue(p.grad:abs():max():item() <= 0.01 + 1e-9) end
  end } }
end

-- ---- closures ----

function TestTrainerSteps.testSAMInTheTrainerAndByHand()
  local make = function() return optim.SAM(optim.SGD { lr = 0.1, momentum = 0.9 }, { rho = 0.1 }) end
  local a, by_trainer = train { optimizer = make() }
  local b, by_hand = train { optimizer = make(), loop = function(run)
    for x, y in run:batches() do
      local loss = run.optimizer:step(function()
        run.optimizer:zero_grad()
        local loss = run.loss(run.model(x), y)
        loss:backward()
        return loss:item()
      end)
      run:log { ["train.loss"] = loss }
    end
  end }
  lu.assertEquals(weights(by_trainer.model), weights(by_hand.model))
  lu.assertAlmostEquals(a["train.loss"], b["train.loss"], 1e-12)
  local _, plain = train { optimizer = optim.SGD { lr = 0.1, momentum = 0.9 } }
  lu.assertNotEquals(weights(by_trainer.model), weights(plain.model))
end

function TestTrainerSteps.testLBFGSInTheTrainer()
  local result = train { batch = "all", epochs = 5,
    optimizer = optim.LBFGS { max_iter = 10, line_search_fn = "strong_wolfe" } }
  lu.assertTrue(result["train.loss"] < 0.2)
end

-- ---- averages ----

-- The mean of weights that a callback collects is what the run ends with.
function TestTrainerSteps.testSWA()
  local sum, count, seen = nil, 0, nil
  local result, run = train { epochs = 4, average = optim.SWA { start = 0.5 }, on = { epoch_end = function(r)
    if r.epoch < 2 then return end
    local now = weights(r.model)
    for i, value in ipairs(sum or {}) do now[i] = now[i] + value end
    sum, count = now, count + 1
    seen = r.metrics["test.loss"]
  end } }
  lu.assertEquals({ count, run.average.count }, { 3, 3 })
  for i, value in ipairs(sum) do sum[i] = value / 3 end
  assert_close(weights(run.model), sum, 1e-6)
  lu.assertEquals(run:evaluate(data.test).loss, result["test.loss"])
  lu.assertEquals(seen, result["test.loss"])
end

function TestTrainerSteps.testEMA()
  local mean, trained, t = nil, nil, 0
  local _, run = train { average = optim.EMA { decay = 0.3 }, on = {
    start = function(r) mean = weights(r.model) end,
    batch_end = function(r)
      local d, now = math.min(0.3, (1 + t) / (10 + t)), weights(r.model)
      for i, value in ipairs(now) do mean[i] = d * mean[i] + (1 - d) * value end
      trained, t = now, t + 1
    end,
  } }
  lu.assertEquals({ run.average.count, t }, { 6, 6 })
  -- the first update begins at the weights of the first step
  lu.assertNotEquals(weights(run.model), trained)
  assert_close(weights(run.model), mean, 0.02)
end

-- Evaluations leave no trace in the training.
function TestTrainerSteps.testSwappingIsExact()
  for _, changes in ipairs {
    { average = optim.EMA { decay = 0.9 } }, { optimizer = optim.AdamWScheduleFree { lr = 0.01 } },
  } do
    local function trajectory(eval_every)
      local list = {}
      changes.eval_every, changes.epochs = eval_every, 4
      changes.on = { after_forward = function(_, loss) list[#list + 1] = loss:item() end }
      if changes.optimizer then changes.optimizer = optim.AdamWScheduleFree { lr = 0.01 } end
      local result = train(changes)
      return list, result["test.loss"]
    end
    local often, loss_often = trajectory(1)
    local once, loss_once = trajectory(4)
    lu.assertEquals(often, once)
    lu.assertEquals(loss_often, loss_once)
  end
end

function TestTrainerSteps.testAveragesByHand()
  local model = nn.Linear(2, 1)
  local swa = optim.SWA(model, { start = 0 })
  local w = model:parameters()[1]
  w:fill_(1)
  swa:swap_in()                             -- nothing is there yet
  lu.assertEquals(w:totable(), { { 1, 1 } })
  swa:swap_out()
  swa:update()
  w:fill_(4)
  swa:update()
  swa:swap_in()
  lu.assertEquals(w:totable(), { { 2.5, 2.5 } })
  lu.assertErrorMsgContains("call swap_out() before an update", swa.update, swa)
  lu.assertErrorMsgContains("in place already", swa.swap_in, swa)
  swa:swap_out()
  lu.assertEquals(w:totable(), { { 4, 4 } })
  lu.assertErrorMsgContains("not in place", swa.swap_out, swa)
  local other = nn.Linear(2, 1)
  local again = optim.SWA(other):load_state_dict(swa:state_dict())
  other:parameters()[1]:fill_(7)
  again:update()
  again:swap_in()
  lu.assertEquals(other:parameters()[1]:totable(), { { 4, 4 } })
  local _, problem = again:check_state_dict { type = "EMA", count = 0, tensors = {} }
  lu.assertStrContains(problem, "optim.SWA: the state does not fit: it is one of EMA")
  lu.assertErrorMsgContains("optim.EMA: has no model yet", function() optim.EMA():update() end)
end

-- Buffers are averaged with the weights, and come back after an evaluation.
function TestTrainerSteps.testBuffersAreSwapped()
  local Counting = nn.Module "Counting"
  function Counting:init()
    self.inner = nn.Linear(784, 10)
    self:register_buffer("seen", core.zeros(1))
  end
  function Counting:forward(x)
    if self.training then self.seen:add_(1) end
    return self.inner(x:flatten())
  end
  local seen = {}
  local _, run = train { model = Counting(), average = optim.SWA { start = 0, every = 1 },
    on = { batch_end = function(r) seen[#seen + 1] = r.model.seen:item() end } }
  lu.assertEquals(seen, { 1, 2, 3, 4, 5, 6 })
  lu.assertAlmostEquals(run.model.seen:item(), 3.5, 1e-6)
end

-- What is evaluated has the statistics of the averaged weights, over the training set; training goes on with its own.
function TestTrainerSteps.testBatchNormIsMeasuredAnew()
  for _, changes in ipairs {
    { average = optim.SWA { start = 0, every = 1 } }, { optimizer = optim.SGDScheduleFree { lr = 0.1 } },
  } do
    local norm = nn.BatchNorm1d(8)
    changes.model = nn.Sequential { nn.Flatten(), nn.Linear(8), norm, nn.ReLU(), nn.Linear(10) }
    local seen = {}
    changes.on = {
      batch_end = function() seen[#seen + 1] = norm.num_batches_tracked:item() end,
      eval_end = function() seen[#seen + 1] = norm.num_batches_tracked:item() end,
    }
    local _, run = train(changes)
    lu.assertEquals(table.concat(seen, " "), "1 2 3 3 4 5 6 6")
    local mean = norm.running_mean:totable()
    ml.recompute_bn(run.model, data.train)
    assert_close(norm.running_mean:totable(), mean, 1e-5)
  end
end

function TestTrainerSteps.testScheduleFreeIsEvaluatedAtTheMean()
  local optimizer = optim.SGDScheduleFree { lr = 0.1 }
  local result, run = train { optimizer = optimizer, epochs = 30 }
  lu.assertErrorMsgContains("call optimizer:train()", optimizer.step, optimizer)       -- the mean stays in place
  lu.assertEquals(run:evaluate(data.test).loss, result["test.loss"])
  lu.assertTrue(result["train.loss"] < 1)
end

-- ---- momentum ----

function TestTrainerSteps.testMomentumSchedule()
  local seen = {}
  train { optimizer = optim.SGD { lr = 0.1, momentum = 0.5 }, momentum = function(step) return 0.9 - step / 10 end,
    on = { before_step = function(run) seen[#seen + 1] = run.optimizer.groups[1].momentum end } }
  for i, value in ipairs { 0.9, 0.8, 0.7, 0.6, 0.5, 0.4 } do lu.assertAlmostEquals(seen[i], value, 1e-12) end
end

function TestTrainerSteps.testComplaints()
  local loop = function() end
  local cases = {
    { "clip: norm is 0; expected a number > 0", { clip = 0 } },
    { "clip: unknown option 'nrom'; did you mean 'norm'?", { clip = { nrom = 1 } } },
    { "clip: the optimizer has clip_norm = 2 already", { clip = 1, optimizer = optim.SGD { lr = 1, clip_norm = 2 } } },
    { "clip: optim.LBFGS {} cannot clip gradients", { clip = 1, optimizer = optim.LBFGS() } },
    { "accumulate is 0; expected a whole number >= 1", { accumulate = 0 } },
    { "accumulate: a loop of one's own", { accumulate = 2, loop = loop } },
    { "accumulate: optim.LBFGS {} evaluates one batch", { accumulate = 2, optimizer = optim.LBFGS() } },
    { "average: expected optim.EMA { ... } or optim.SWA { ... }, got 0.99", { average = 0.99 } },
    { "average: optim.SGDScheduleFree {} keeps an average", { average = optim.EMA(),
      optimizer = optim.SGDScheduleFree() } },
    { "momentum: there is no optimizer", { momentum = sched.constant(0.9), optimizer = false, loop = loop } },
    { "optim.Adagrad has no momentum", { momentum = sched.constant(0.9), optimizer = optim.Adagrad() } },
    { "the schedule gave 1 at step 0; expected a momentum of at least 0 and below 1", {
      momentum = function() return 1 end } },
    { "optim.EMA: decay is 1; expected a number >= 0 and < 1", function() optim.EMA(1) end },
    { "optim.EMA: unknown option 'decy'; did you mean 'decay'?", function() optim.EMA { decy = 0.9 } end },
    { "optim.SWA: start is 1", function() optim.SWA { start = 1 } end },
  }
  for _, case in ipairs(cases) do
    local what = case[2]
    if type(what) == "table" then
      local changes = what
      if changes.optimizer == false then changes.optimizer = nil end
      what = function()
        ml.experiment { data = data, loss = nn.CrossEntropyLoss(), model = nn.Linear(784, 10), epochs = 1,
          optimizer = changes.optimizer or not changes.loop and optim.SGD { lr = 1 } or nil, clip = changes.clip,
          accumulate = changes.accumulate, average = changes.average, momentum = changes.momentum,
          loop = changes.loop }
      end
    end
    lu.assertErrorMsgContains(case[1], what)
  end
end
