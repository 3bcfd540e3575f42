-- math.random and math.randomseed as scripts have them here: Lua's behaviour, with a state that can be kept.
local lu = require "luaunit"
local core = require "mnistlua.core"
local raises = require("core_aid").assert_raises

TestCoreRandom = {}

function TestCoreRandom:testAStateThatCanBeKept()
  local function draws()
    local list = {}
    for i = 1, 20 do list[i] = { math.random(), math.random(6), math.random(-3, 3), math.random(0) } end
    return list
  end
  math.randomseed(5)
  math.random()
  local state = core.random_state()
  local a, b = draws(), draws()
  lu.assertNotEquals(a, b)
  core.random_state(state)
  lu.assertEquals(draws(), a)
  math.randomseed(5)
  lu.assertEquals(core.random_state().math_draws, 0)
  math.random()
  lu.assertEquals(draws(), a)
  core.manual_seed(9)
  math.randomseed()                                   -- the run's seed, not the clock
  local x = math.random()
  math.randomseed(9)
  lu.assertEquals(math.random(), x)
end

function TestCoreRandom:testItIsLuas()
  math.randomseed(1)
  local counts, low, high = {}, 1, 0
  for _ = 1, 6000 do
    local die, unit = math.random(6), math.random()
    counts[die] = (counts[die] or 0) + 1
    low, high = math.min(low, unit), math.max(high, unit)
  end
  lu.assertEquals(#counts, 6)
  for _, count in ipairs(counts) do lu.assertTrue(count > 850 and count < 1150) end
  lu.assertTrue(low >= 0 and low < 0.01 and high < 1 and high > 0.99)
  lu.assertEquals(math.type(math.random(0)), "integer")
  lu.assertEquals(math.random(4, 4), 4)
  lu.assertEquals(math.type(math.random(math.mininteger, math.maxinteger)), "integer")
  raises("interval is empty", function() math.random(2, 1) end)
  raises("interval is empty", function() math.random(-1) end)
  raises("wrong number of arguments", function() math.random(1, 2, 3) end)
  raises("no integer representation", function() math.random(1.5) end)
end
