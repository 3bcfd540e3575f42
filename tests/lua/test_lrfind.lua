-- The learning-rate range test: what a sweep does to a run, what its points suggest, and the curve in characters.
local lu = require "luaunit"
local ml = require "mnistlua"
local lrfind = require "mnistlua.train.lrfind"
local plot = require "mnistlua.plot"
local nn, optim = ml.nn, ml.optim

TestLrfind = {}

local data = ml.data.digits { n = 100, test = 20, seed = 5 }

local function sweep(changes, options)
  ml.manual_seed(0)
  local e = {
    data = data, loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1 }, batch = 32, epochs = 2,
    model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.ReLU(), nn.Linear(10) },
  }
  for k, v in pairs(changes or {}) do e[k] = v end
  local o = { from = 1e-3, to = 10, steps = 21, smooth = 0.5, seed = 0 }
  for k, v in pairs(options or {}) do o[k] = v end
  local steps = 0
  local points, early = lrfind.run(ml.experiment(e), o, function() steps = steps + 1 end)
  return points, early, steps
end

function TestLrfind.testRatesGrowByOneFactor()
  local points, early, steps = sweep(nil, { to = 0.1 })
  lu.assertEquals({ #points, steps, early }, { 21, 21 })
  for i, point in ipairs(points) do lu.assertAlmostEquals(point.lr, 1e-3 * 100 ^ ((i - 1) / 20), 1e-12) end
  local mean = 0
  for i, point in ipairs(points) do
    mean = 0.5 * mean + 0.5 * point.loss
    lu.assertAlmostEquals(point.smoothed, mean / (1 - 0.5 ^ i), 1e-12)
  end
  lu.assertTrue(points[21].smoothed < points[1].smoothed)
end

-- Schedules, callbacks, averages and evaluations of the experiment have no part in it.
function TestLrfind.testTheExperimentsOwnCourseIsLeftOut()
  local heard = 0
  local plain = sweep(nil, { to = 0.1 })
  local points = sweep({ schedule = function() return 7 end, average = optim.EMA(), eval_every = 1,
    on = { batch_end = function() heard = heard + 1 end } }, { to = 0.1 })
  lu.assertEquals(points, plain)
  lu.assertEquals(heard, 0)
end

function TestLrfind.testItEndsWhereTheLossIsPastHope()
  local points, early = sweep(nil, { from = 1, to = 1e30, steps = 40 })
  lu.assertNotNil(early)
  lu.assertTrue(#points < 40)
end

function TestLrfind.testAccumulationAndWrappers()
  local points = sweep({ accumulate = 2, batch = 16 }, { to = 0.1, steps = 10 })
  lu.assertEquals(#points, 10)
  lu.assertAlmostEquals(points[10].lr, 0.1, 1e-12)
  lu.assertEquals(#sweep({ optimizer = optim.SAM(optim.SGD { lr = 0.1 }) }, { to = 0.1, steps = 10 }), 10)
  lu.assertEquals(#sweep({ optimizer = optim.SGDScheduleFree() }, { to = 0.1, steps = 10 }), 10)
end

function TestLrfind.testComplaints()
  lu.assertErrorMsgContains("has a loop of its own", sweep, { loop = function() end })
  lu.assertErrorMsgContains("optim.LBFGS {} searches for its step size itself", sweep, { optimizer = optim.LBFGS() })
end

-- A loss that falls most at 0.1 and is lowest at 1.
function TestLrfind.testSuggestion()
  local points = {}
  for i = 0, 60 do
    local x = -4 + i / 10                   -- the logarithm of the rate
    local loss = 2 - 1 / (1 + math.exp(-6 * (x + 1))) + math.max(0, x) ^ 2
    points[#points + 1] = { lr = 10 ^ x, loss = loss, smoothed = loss }
  end
  local found = lrfind.suggest(points)
  lu.assertAlmostEquals(math.log(found.steepest, 10), -1, 0.11)
  lu.assertAlmostEquals(math.log(found.lowest, 10), 0, 0.21)
  lu.assertEquals(found.suggestion, found.steepest)
  for _, point in ipairs(points) do point.smoothed = point.lr end
  lu.assertNil(lrfind.suggest(points))
end

-- ---- the curve ----

function TestLrfind.testCurveInAscii()
  lu.assertEquals(plot.curve({ 0.01, 0.1, 1, 10 }, { 0, 1, 2, 3 }, { width = 13, height = 4, mark = 0.1 }), {
    "       3 |    :     ***",
    "     1.5 |    : ****",
    "         |  ****",
    "       0 |**  :",
    "         +-------------",
    "          1e-2   1e0 1e1",
  })
end

function TestLrfind.testCurveInBraille()
  lu.assertEquals(plot.curve({ 1, 10 }, { 0, 7 }, { width = 4, height = 2, utf8 = true }), {
    "       7 │  ⡠⠊",
    "       0 │⡠⠊",
    "         └────",
    "          1e0",
  })
end

function TestLrfind.testAFlatCurve()
  local lines = plot.curve({ 1, 2 }, { 5, 5 }, { width = 5, height = 3 })
  lu.assertEquals(lines[2], "       5 |*****")
end
