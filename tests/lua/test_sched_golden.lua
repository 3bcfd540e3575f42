-- Schedules against PyTorch's values (tests/golden), those made from others, and those that remember.
local lu = require "luaunit"
local ml = require "mnistlua"
local options = require "mnistlua.options"
local progress = require "mnistlua.train.progress"
local trainer = require "mnistlua.trainer"
local numbers = require "numbers_aid"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local golden = numbers.golden "sched"

TestSchedGolden = {}

local values = numbers.schedule_values

local function assert_values(what, actual, expected)
  lu.assertEquals(#actual, #expected)
  for i, value in ipairs(expected) do
    if math.abs(actual[i] - value) > 1e-8 then
      lu.fail(("%s: value %d is %.12g, expected %.12g"):format(what, i, actual[i], value))
    end
  end
end

local has_lr = { OneCycleLR = true, CyclicLR = true }

local function renamed(case)
  local o = {}
  for name, value in pairs(case.options) do o[name == "eta_min" and "min_lr" or name] = value end
  if not has_lr[case.schedule] then o.lr = 0.1 end
  o.total_steps, o.base_momentum = nil, nil
  return o
end

function TestSchedGolden.testValuesArePyTorchs()
  for _, case in ipairs(golden.cases) do
    assert_values(case.schedule, values(sched[case.schedule](renamed(case)), 20, 1), case.rates)
  end
end

function TestSchedGolden.testMomentaArePyTorchs()
  local counts = { OneCycleLR = 0, CyclicLR = 0 }
  for _, case in ipairs(golden.cases) do
    if case.momenta then
      counts[case.schedule] = counts[case.schedule] + 1
      local o = renamed(case)
      o.max_lr, o.base_lr, o.base_momentum = nil, nil, case.options.base_momentum
      local name = case.schedule:gsub("LR$", "Momentum")
      assert_values(name, values(sched[name](o), 20, 1), case.momenta)
    end
  end
  lu.assertEquals(counts, { OneCycleLR = 2, CyclicLR = 3 })
end

function TestSchedGolden.testMadeFromOthers()
  local sequential = sched.SequentialLR {
    sched.ConstantLR { lr = 0.1, factor = 0.1, total_iters = 9 }, sched.exponential { lr = 0.1, gamma = 0.9 },
    sched.step { lr = 0.1, step_size = 2, gamma = 0.5 }, milestones = { 3, 9 },
  }
  assert_values("SequentialLR", values(sequential, 20, 1), golden.made.sequential)
  local chained = sched.ChainedScheduler {
    sched.ConstantLR { lr = 0.1, factor = 0.1, total_iters = 4 }, sched.exponential { lr = 1, gamma = 0.9 },
  }
  assert_values("ChainedScheduler", values(chained, 20, 1), golden.made.chained)
  assert_values("warm restarts", values(sched.warm_restarts { lr = 0.1, T_0 = 2, T_mult = 2 }, 5, 4),
    golden.made.fractions)
end

-- Each part is a run of its own: progress from 0 to 1, steps from 0.
function TestSchedGolden.testSequentialPartsSeeTheirShareOfTheRun()
  local line = sched.linear { lr = 1 }
  local by_share = sched.sequential { line, line, fractions = { 0.25 } }
  assert_values("fractions", values(by_share, 2, 4), { 1, 0.5, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6 })
  local by_epoch = sched.sequential { line, sched.one_cycle { max_lr = 1, pct_start = 0.5 }, milestones = { 0.5 } }
  local found = values(by_epoch, 3, 2)
  lu.assertEquals(found[1], 1)
  for i, value in ipairs(values(sched.one_cycle { max_lr = 1, pct_start = 0.5 }, 1, 5)) do
    lu.assertAlmostEquals(found[i + 1], value, 1e-12)
  end
  -- a run that ends before the last part begins
  assert_values("short", values(sched.sequential { line, line, milestones = { 3 } }, 2, 1), { 1, 0.5 })
end

function TestSchedGolden.testPolynomialOverTheRun()
  assert_values("polynomial", values(sched.polynomial { lr = 0.8, power = 2 }, 1, 4), { 0.8, 0.45, 0.2, 0.05 })
  assert_values("polynomial", values(sched.polynomial { lr = 1, final_lr = 0.5 }, 1, 2), { 1, 0.75 })
end

-- ---- schedules that remember ----

function TestSchedGolden.testPlateauIsPyTorchs()
  for _, case in ipairs(golden.plateau.cases) do
    case.options.lr, case.options.metric = 0.1, "user.x"
    local f, rates = sched.ReduceLROnPlateau(case.options), {}
    for i, value in ipairs(golden.plateau.values) do
      sched.observe(f, { ["user.x"] = value })
      rates[i] = sched.value(f, i, 0.5)
    end
    assert_values("ReduceLROnPlateau", rates, case.rates)
  end
end

function TestSchedGolden.testPlateauInsideOthers()
  local plateau = sched.plateau { lr = 1, patience = 0, factor = 0.5, metric = "train.loss" }
  local f = sched.chained { sched.warmup { steps = 2, plateau }, sched.linear { lr = 1 } }
  lu.assertEquals(options.kind(f), "function")
  lu.assertEquals(sched.followed(f), { "train.loss" })
  lu.assertEquals(sched.followed(sched.constant(1)), {})
  lu.assertIs(sched.check(f), f)
  for _ = 1, 2 do sched.observe(f, { ["train.loss"] = 1 }) end
  lu.assertEquals(f(3, 0.5), 0.25)
  local again = sched.chained { sched.warmup { steps = 2, sched.plateau { lr = 1 } }, sched.linear { lr = 1 } }
  again:load_state_dict(f:state_dict())
  lu.assertEquals(again(3, 0.5), 0.25)
  lu.assertErrorMsgContains("does not fit", again.load_state_dict, again, { 1, 2 })
  lu.assertErrorMsgContains("does not fit", plateau.load_state_dict, plateau, { lr = "x" })
  lu.assertErrorMsgContains("there is no val.loss to follow", sched.observe, sched.plateau { lr = 1 }, {})
  lu.assertEquals(type(sched.warmup { steps = 1, sched.constant(1) }), "function")
end

local data = ml.data.digits { n = 60, val = 20, test = 20, seed = 5 }

local function train(schedule, more)
  ml.manual_seed(0)
  local e = {
    data = data, loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1 }, batch = 30, epochs = 6,
    model = nn.Sequential { nn.Flatten(), nn.Linear(10) }, schedule = schedule,
  }
  for k, v in pairs(more or {}) do e[k] = v end
  local run = trainer.prepare(ml.experiment(e), { seed = 0 })
  trainer.train(run, { progress = progress.new { quiet = true } })
end

function TestSchedGolden.testTheTrainerShowsMetrics()
  local rates, best, bad, expected, lr = {}, math.huge, 0, {}, 0.5
  train(sched.plateau { lr = 0.5, patience = 1, factor = 0.5, threshold = 0.02 }, { on = {
    epoch_start = function(run) rates[run.epoch] = 0 end,
    before_step = function(run) rates[run.epoch] = run.optimizer.lr end,
    eval_end = function(run, part, result)
      if part ~= "val" then return end
      expected[run.epoch] = lr
      if result.loss < best * 0.98 then best, bad = result.loss, 0 else bad = bad + 1 end
      if bad > 1 then lr, bad = lr * 0.5, 0 end
    end,
  } })
  lu.assertEquals(rates, expected)
end

function TestSchedGolden.testComplaints()
  local one = sched.constant(1)
  local cases = {
    { "sched.SequentialLR: needs milestones or fractions, one of them", sched.sequential, { one, one } },
    { "sched.SequentialLR: needs at least two schedules, got 1", sched.sequential, { one, milestones = {} } },
    { "sched.SequentialLR: 2 schedules need 1 milestones, got 2", sched.sequential,
      { one, one, milestones = { 1, 2 } } },
    { "sched.SequentialLR: milestones[2] is 1; expected a number > 2", sched.sequential,
      { one, one, one, milestones = { 2, 1 } } },
    { "sched.SequentialLR: fractions[1] is 1; expected a number > 0 and < 1", sched.sequential,
      { one, one, fractions = { 1 } } },
    { "sched.SequentialLR: unknown option 'milestnes'; did you mean 'milestones'?", sched.sequential,
      { one, one, milestnes = { 1 } } },
    { "sched.ChainedScheduler: schedule 2 is 0.1; expected a function", sched.chained, { one, 0.1 } },
    { "sched.CyclicLR: mode is 'triangle'; expected one of 'triangular'", sched.cyclic,
      { base_lr = 0, max_lr = 1, mode = "triangle" } },
    { "sched.CosineAnnealingWarmRestarts: needs T_0", sched.warm_restarts, { lr = 1 } },
    { "sched.OneCycleMomentum: max_momentum is 1", sched.one_cycle_momentum, { max_momentum = 1 } },
    { "sched.ReduceLROnPlateau: factor is 1", sched.plateau, { lr = 1, factor = 1 } },
    { "sched.ReduceLROnPlateau: unknown option 'patiense'; did you mean 'patience'?", sched.plateau,
      { lr = 1, patiense = 1 } },
    { "schedule: unknown metric 'val.los'; did you mean 'val.loss'?", train,
      sched.plateau { lr = 1, metric = "val.los" } },
    { "schedule: it follows test.acc, which is measured at the end only; follow val.acc", train,
      sched.plateau { lr = 1, metric = "test.acc" } },
    { "schedule: it follows val.loss, but the data has no val part", train, sched.plateau { lr = 1 },
      { data = ml.data.digits { n = 20, seed = 1 } } },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
end
