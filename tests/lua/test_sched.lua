-- Schedules as numbers. Those named after PyTorch's are compared with values that PyTorch 1.13 printed.
local lu = require "luaunit"
local sched = require "mnistlua.sched"
local numbers = require "numbers_aid"

TestSched = {}

local values = numbers.schedule_values

local function assert_values(actual, expected)
  lu.assertEquals(#actual, #expected)
  for i, value in ipairs(expected) do lu.assertAlmostEquals(actual[i], value, 1e-14) end
end

function TestSched.testOneCycleIsPyTorchs()
  assert_values(values(sched.OneCycleLR { max_lr = 0.1 }, 1, 10), {
    0.0040000000000000036, 0.052000000000000005, 0.1, 0.09504846320134738, 0.0811745653949763, 0.06112620219362893,
    0.03887419780637107, 0.0188258346050237, 0.004951936798652629, 4e-07,
  })
  local f = sched.OneCycleLR { max_lr = 0.4, pct_start = 0.25, div_factor = 10, final_div_factor = 100 }
  local v = values(f, 1, 37)
  local known = {
    [0] = 0.03999999999999998, 0.052893772057106936, 0.08972787314108738, 0.1452252976596604, 0.21143525515172634,
    0.2788722333971359, 0.3378749321101513, 0.3799903807578862, 0.39918494606315524, 0.3992802182107968,
    0.3960916418626731, [20] = 0.24780406656634837, [35] = 0.0016790141815833587, [36] = 0.0004,
  }
  for step, value in pairs(known) do lu.assertAlmostEquals(v[step + 1], value, 1e-14) end
  v = values(sched.OneCycleLR { max_lr = 0.1 }, 10, 10)
  for step, value in pairs { [28] = 0.09971862194340926, [29] = 0.1, [30] = 0.09994965352845243,
                             [98] = 5.07464715475788e-05 } do
    lu.assertAlmostEquals(v[step + 1], value, 1e-14)
  end
end

function TestSched.testOneCycleAlongLines()
  assert_values(values(sched.one_cycle { max_lr = 0.2, anneal_strategy = "linear" }, 1, 12), {
    0.008, 0.08184615384615387, 0.15569230769230774, 0.19047622857142857, 0.1666668, 0.1428573714285714,
    0.11904794285714286, 0.09523851428571428, 0.07142908571428572, 0.04761965714285715, 0.02381022857142856,
    7.99999999995249e-07,
  })
end

function TestSched.testOneCycleOfFewSteps()
  for total = 1, 12 do
    for _, pct in ipairs { 0, 0.1, 0.5, 1 } do
      for _, v in ipairs(values(sched.OneCycleLR { max_lr = 0.1, pct_start = pct }, 1, total)) do
        lu.assertTrue(v > 0 and v <= 0.1 + 1e-15)
      end
    end
  end
end

function TestSched.testOneCycleNeedsNoInfo()
  local f = sched.OneCycleLR { max_lr = 0.1 }
  local with = values(f, 1, 37)
  for step = 0, 36 do lu.assertAlmostEquals(f(step, step / 37), with[step + 1], 1e-14) end
end

function TestSched.testEpochSchedulesArePyTorchs()
  local cases = {
    { sched.StepLR { lr = 0.1, step_size = 3, gamma = 0.5 },
      { 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.0125 } },
    { sched.MultiStepLR { lr = 0.1, milestones = { 2, 5 } },
      { 0.1, 0.1, 0.010000000000000002, 0.010000000000000002, 0.010000000000000002, 0.0010000000000000002 } },
    { sched.ExponentialLR { lr = 0.1, gamma = 0.95 }, { 0.1, 0.095, 0.09025, 0.0857375, 0.08145062499999998 } },
    { sched.CosineAnnealingLR { lr = 0.1, min_lr = 0.001 },
      { 0.1, 0.0962320368593087, 0.0855017856687341, 0.06944282990207196, 0.0505, 0.03155717009792806,
        0.0154982143312659, 0.004767963140691306 } },
    { sched.LinearLR { lr = 0.1 },
      { 0.03333333333333333, 0.04666666666666667, 0.060000000000000005, 0.07333333333333335, 0.08666666666666668, 0.1,
        0.1, 0.1 } },
    { sched.LinearLR { lr = 0.1, start_factor = 1, end_factor = 0.1, total_iters = 4 },
      { 0.1, 0.07750000000000001, 0.055000000000000014, 0.03250000000000001, 0.01, 0.01 } },
  }
  for _, case in ipairs(cases) do assert_values(values(case[1], #case[2], 1), case[2]) end
end

function TestSched.testEpochSchedulesStayWithinAnEpoch()
  assert_values(values(sched.step { lr = 1, step_size = 1, gamma = 0.5 }, 3, 2), { 1, 1, 0.5, 0.5, 0.25, 0.25 })
end

function TestSched.testConstantAndLinear()
  assert_values(values(sched.constant(0.3), 1, 3), { 0.3, 0.3, 0.3 })
  assert_values(values(sched.constant { lr = 0.3 }, 1, 2), { 0.3, 0.3 })
  assert_values(values(sched.linear { lr = 0.8 }, 2, 2), { 0.8, 0.6, 0.4, 0.2 })
  assert_values(values(sched.linear { lr = 0.8, final_lr = 0.4 }, 1, 4), { 0.8, 0.7, 0.6, 0.5 })
end

function TestSched.testWarmup()
  local one = sched.constant(1)
  assert_values(values(sched.LinearWarmup { steps = 4, one }, 1, 6), { 0.25, 0.5, 0.75, 1, 1, 1 })
  assert_values(values(sched.warmup { fraction = 0.5, one }, 2, 4), { 0.25, 0.5, 0.75, 1, 1, 1, 1, 1 })
  assert_values(values(sched.warmup { epochs = 1, schedule = one }, 2, 2), { 0.5, 1, 1, 1 })
  assert_values(values(sched.warmup { steps = 2, function(_, progress) return 1 - progress end }, 1, 4),
    { 0.5, 0.75, 0.5, 0.25 })
end

function TestSched.testComplaints()
  local cases = {
    { "sched has no 'OneCylceLR'; did you mean 'OneCycleLR'?", function() return sched.OneCylceLR end },
    { "sched.OneCycleLR: needs max_lr, a number >= 0", sched.OneCycleLR, {} },
    { "sched.OneCycleLR: unknown option 'pct_strat'; did you mean 'pct_start'?", sched.OneCycleLR, { pct_strat = 1 } },
    { "sched.OneCycleLR: pct_start is 1.5", sched.OneCycleLR, { max_lr = 1, pct_start = 1.5 } },
    { "sched.StepLR: needs step_size", sched.StepLR, { lr = 1 } },
    { "milestones[2] is 5; expected a whole number > 5", sched.MultiStepLR, { lr = 1, milestones = { 5, 5 } } },
    { "needs lr or max_lr, one of them", sched.cosine, {} },
    { "needs lr or max_lr, one of them", sched.cosine, { lr = 1, max_lr = 1 } },
    { "needs steps, fraction or epochs, one of them", sched.warmup, { sched.constant(1) } },
    { "sched.LinearWarmup: needs schedule, a function", sched.warmup, { steps = 3 } },
    { "sched.StepLR: counts epochs", sched.StepLR { lr = 1, step_size = 1 }, 0 },
  }
  for _, case in ipairs(cases) do
    lu.assertErrorMsgContains(case[1], case[2], case[3], 0)
  end
end

function TestSched.testCheck()
  local f = sched.cosine { lr = 0.1 }
  lu.assertIs(sched.check(f), f)
  lu.assertErrorMsgContains("returned nil at step 0 of 1000; expected a number", sched.check, function() end)
  lu.assertErrorMsgContains("returned inf at step 19 of 20", sched.check,
    function(step) return step == 19 and 1 / 0 or 1 end, 4, 5)
  lu.assertErrorMsgContains("the schedule is 0.1; expected a function", sched.check, 0.1)
  lu.assertErrorMsgContains("sched.check: epochs is 'x'; expected a whole number >= 1", sched.check, f, "x")
  lu.assertErrorMsgContains("sched.check: steps_per_epoch is 0", sched.check, f, 3, 0)
  lu.assertErrorMsgContains("returned nil at step 0", sched.check, sched.warmup { steps = 1, function() end })
end

function TestSched.testValue()
  lu.assertEquals(sched.value(sched.linear { lr = 0.8 }, 1, 0.25), 0.8 * 0.75)
  lu.assertEquals(sched.value(function() return 0 end, 1, 0.25), 0)
  local line = debug.getinfo(1, "l").currentline + 3
  for value, shown in pairs { [-1] = "-1", [math.huge] = "inf", [-math.huge] = "-inf", x = "'x'", [false] = "false" } do
    lu.assertErrorMsgContains(("test_sched.lua:%d: the schedule gave %s at step 12; expected a learning rate of at "
      .. "least 0"):format(line, shown), sched.value, function() return value end, 12, 0.5)
  end
  lu.assertErrorMsgContains("the schedule gave nan at step 3", sched.value, function() return 0 / 0 end, 3, 0.5)
  lu.assertErrorMsgContains("the schedule gave nil at step 3", sched.value, function() end, 3, 0.5)
  lu.assertErrorMsgContains("the schedule gave -2 at step 3", sched.value,
    sched.warmup { steps = 1, function() return -2 end }, 3, 0.5)
end
