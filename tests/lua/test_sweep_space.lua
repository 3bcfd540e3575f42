-- The space of a sweep, the trials drawn from it, and what they are compared by.
local lu = require "luaunit"
local metric = require "mnistlua.sweep.metric"
local sample = require "mnistlua.sweep.sample"
local space = require "mnistlua.sweep.space"

TestSweepSpace = {}

local declared = {
  names = { "act", "batch", "flag", "hidden", "lr" },
  specs = {
    act = { "relu", choices = { "relu", "tanh" } }, batch = { 128, min = 1 }, flag = { true },
    hidden = { { 512, 128 } }, lr = { 0.1, min = 0, max = 10 }, text = { "a" },
  },
}

local function read(name, text) return space.read(declared, { name }, { [name] = text })[1] end

function TestSweepSpace:testSplitting()
  for text, parts in pairs {
    ["0.1"] = { "0.1" }, ["0.1,0.2,"] = { "0.1", "0.2", "" }, ["{1,2},{3}"] = { "{1,2}", "{3}" },
    ["{{1,2},{3}},x"] = { "{{1,2},{3}}", "x" }, ["{'a,b'},\"c,d\""] = { "{'a,b'}", '"c,d"' }, [""] = { "" },
    ["log(1,2),3"] = { "log(1,2)", "3" }, ["{1,2"] = { "{1,2" },
  } do
    lu.assertEquals(space.split(text), parts, text)
  end
end

function TestSweepSpace:testDimensions()
  lu.assertEquals(read("lr", "0.03,1e-1,0.1"), { name = "lr", values = { "0.03", "1e-1" } })
  lu.assertEquals(read("hidden", "{256},{512,128}").values, { "{256}", "{512,128}" })
  lu.assertEquals(read("act", "tanh").values, { "tanh" })
  lu.assertEquals(read("flag", "true,false").values, { "true", "false" })
  lu.assertEquals(read("lr", "log(1e-4, 1e-1)"), { name = "lr", kind = "log", low = 1e-4, high = 0.1 })
  lu.assertEquals(read("lr", "uniform(0,1)"), { name = "lr", kind = "uniform", low = 0, high = 1 })
  lu.assertEquals(read("batch", "int(16,256)"), { name = "batch", kind = "int", low = 16, high = 256 })
  lu.assertEquals(read("text", "f(1,2)").values, { "f(1,2)" })
end

function TestSweepSpace:testMistakes()
  for _, case in ipairs {
    { "lr", "0.1,fast", "parameter lr: expected a number, got 'fast'" },
    { "lr", "0.1,", "parameter lr: expected a number, got ''" },
    { "lr", "0.1,11", "parameter lr: expected at most 10, got 11" },
    { "lr", "log(0,1)", "expected log(LOW,HIGH) with LOW above 0, got 'log(0,1)'" },
    { "lr", "log(1,11)", "expected at most 10, got 11" },
    { "lr", "uniform(2,1)", "expected uniform(LOW,HIGH) with two numbers, LOW < HIGH, got 'uniform(2,1)'" },
    { "lr", "uniform(1)", "two numbers" }, { "lr", "uniform(1,2,3)", "two numbers" },
    { "lr", "uniform(0,inf)", "two numbers" }, { "lr", "uniform(nan,1)", "two numbers" },
    { "lr", "uniform(0,1e999)", "two numbers" }, { "lr", "unifrom(0,1)", "did you mean 'uniform'?" },
    { "batch", "int(1.5,3)", "with whole numbers" }, { "batch", "int(0,3)", "expected at least 1, got 0" },
    { "act", "relu,tan", "did you mean 'tanh'?" }, { "act", "int(1,2)", "ranges are for numbers without choices" },
    { "text", "log(1,2)", "ranges are for numbers; list its values" },
    { "hidden", "{1},2", "expected a list such as hidden='{512,128}', got '2'" },
    { "hidden", "log(1,2)", "ranges are for numbers" },
  } do
    lu.assertErrorMsgContains(case[3], read, case[1], case[2])
  end
end

-- ---- trials ----

local grid = {
  { name = "a", values = { "1", "2", "3" } }, { name = "b", values = { "x" } }, { name = "c", values = { "y", "z" } },
}

function TestSweepSpace:testSizes()
  lu.assertEquals(space.size(grid), 6)
  lu.assertEquals(space.varying(grid), { "a", "c" })
  lu.assertEquals(space.size { { kind = "int", low = 3, high = 7 }, grid[1] }, 15)
  lu.assertEquals(space.size { { kind = "log", low = 3, high = 7 }, grid[1] }, math.huge)
end

function TestSweepSpace:testAGridGoesThroughItsPointsInOrder()
  lu.assertEquals(sample.grid(grid), {
    { "1", "x", "y" }, { "1", "x", "z" }, { "2", "x", "y" }, { "2", "x", "z" }, { "3", "x", "y" }, { "3", "x", "z" },
  })
end

local function keys_of(points)
  local keys, count = {}, 0
  for _, point in ipairs(points) do
    local key = table.concat(point, " ")
    count = count + (keys[key] and 0 or 1)
    keys[key] = true
  end
  return count, keys
end

function TestSweepSpace:testPointsAtRandom()
  local ranges = {
    { kind = "log", low = 1e-4, high = 0.1 }, { kind = "uniform", low = -1, high = 2 },
    { kind = "int", low = 2, high = 3 }, grid[1],
  }
  for _, dimensions in ipairs { grid, ranges } do
    local many = sample.random(dimensions, 5, 7)
    lu.assertEquals(#many, 5)
    lu.assertEquals((keys_of(many)), 5)
    lu.assertEquals(sample.random(dimensions, 5, 7), many)
    lu.assertEquals(sample.random(dimensions, 3, 7), table.move(many, 1, 3, 1, {}))
    lu.assertNotEquals(sample.random(dimensions, 5, 8), many)
  end
  for _, point in ipairs(sample.random(ranges, 200, 1)) do
    local log, uniform, int = tonumber(point[1]), tonumber(point[2]), tonumber(point[3])
    lu.assertTrue(log >= 1e-4 and log <= 0.1 and uniform >= -1 and uniform <= 2 and (int == 2 or int == 3))
    lu.assertTrue(#point[1] <= 9 and #point[2] <= 11)
  end
end

function TestSweepSpace:testASmallSpaceIsUsedUp()
  lu.assertEquals((keys_of(sample.random(grid, 100, 3))), 6)
  lu.assertEquals((keys_of(sample.random({ { kind = "int", low = 1, high = 4 } }, 10, 3))), 4)
end

-- Ends are never left by rounding; the middle of a log range is the geometric mean.
function TestSweepSpace:testValues()
  local log = { kind = "log", low = 1e-4, high = 1e-2 }
  lu.assertEquals({ sample.value(log, 0), sample.value(log, 0.5) }, { "0.0001", "0.001" })
  local third = { kind = "uniform", low = 1 / 3, high = 2 / 3 }
  lu.assertEquals(tonumber(sample.value(third, 0)), 1 / 3)
  lu.assertEquals(sample.value(third, 0.5), "0.5")
  lu.assertEquals(sample.value({ kind = "int", low = -1, high = 1 }, 0.999), "1")
  lu.assertEquals(sample.value(grid[1], 0.34), "2")
end

-- SplitMix64's mean and spread over streams and within one.
function TestSweepSpace:testStreams()
  local sum, squares, first = 0, 0, sample.stream(5, 1)
  for i = 1, 2000 do
    local u, v = sample.stream(5, i)(), first()
    sum, squares = sum + u + v, squares + u * u + v * v
    lu.assertTrue(u >= 0 and u < 1 and v >= 0 and v < 1)
  end
  lu.assertAlmostEquals(sum / 4000, 0.5, 0.02)
  lu.assertAlmostEquals(squares / 4000, 1 / 3, 0.02)
end

-- ---- metrics ----

function TestSweepSpace:testMetrics()
  for text, wanted in pairs {
    ["val.acc"] = { "val.acc", 1 }, ["val.loss"] = { "val.loss", -1 }, ["val.loss:max"] = { "val.loss", 1 },
    ["user.error:min"] = { "user.error", -1 }, ["user.x"] = { "user.x", 1 },
  } do
    local parsed = metric.parse(text)
    lu.assertEquals({ parsed.name, parsed.sign }, wanted)
  end
  for text, message in pairs {
    ["val.ac"] = "did you mean 'val.acc'", ["val.acc:best"] = "NAME:min or NAME:max", [""] = "expected a metric",
  } do
    local parsed, problem = metric.parse(text)
    lu.assertNil(parsed)
    lu.assertStrContains(problem, message)
  end
end

function TestSweepSpace:testWhatTrialsAreComparedBy()
  local both, loss = { ["val.acc"] = 0.9, ["test.loss"] = 2 }, { ["val.loss"] = 1, ["test.loss"] = 3 }
  lu.assertEquals(metric.choose({ both }).name, "val.acc")
  lu.assertEquals(metric.choose({ both, loss }).name, "test.loss")
  lu.assertNil(metric.choose {})
  lu.assertNil(metric.choose { both, {} })
  lu.assertEquals(metric.score(metric.choose { both, loss }, loss), -3)
  lu.assertNil(metric.score(metric.parse "val.acc", loss))
  lu.assertNil(metric.score(metric.parse "val.acc", { ["val.acc"] = 0 / 0 }))
end
