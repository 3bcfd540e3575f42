-- mnistlua.core under scripts that misuse it: every method on every wrong type, finalizers that interfere, an
-- aggressive collector, memory that runs out.
local lu = require "luaunit"
local aid = require "core_aid"
local core = require "mnistlua.core"

local raises = aid.assert_raises

TestCoreMisuse = {}

local function methods()
  local _, list = debug.getupvalue(getmetatable(core.zeros(1)).__index, 1)
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  return list, names
end

function TestCoreMisuse:testEveryMethodOnEveryWrongType()
  local list, names = methods()
  lu.assertTrue(#names > 50)
  for _, name in ipairs(names) do
    aid.torment(list[name])
    for _, t in ipairs { core.ones(2, 3), core.zeros({ 2 }, "u8"), core.tensor(1), core.ones(2, 2):requires_grad_() } do
      aid.torment(list[name], t)
    end
  end
end

function TestCoreMisuse:testEveryMetamethodOnEveryWrongType()
  for _, f in pairs(getmetatable(core.zeros(1))) do
    if type(f) == "function" then
      aid.torment(f)
      aid.torment(f, core.ones(2, 3))
      aid.torment(f, core.ones(2, 3), "grad")
      aid.torment(f, core.ones(2, 3), 1)
    end
  end
end

function TestCoreMisuse:testNoMethodTakesAnotherObject()
  local list, names = methods()
  local values = aid.hostile()
  for _, name in ipairs(names) do
    for _, value in ipairs(values) do
      local fitting = type(value) == "number" or tostring(value):sub(1, 6) == "tensor"
        or name == "concat" and type(value) == "table"
      if not fitting then
        lu.assertFalse((pcall(list[name], value, core.ones(2, 3))), name)
      end
    end
  end
end

function TestCoreMisuse:testMessagesNameTheScriptNotTheLibrary()
  local function library_function(path)
    return assert(load("local core = ...\nreturn function(...) return (core.zeros(...)) end", path))(core)
  end
  local prefix = package.path:match "^[^;]*tests/lua/%?%.lua;" and package.searchpath("mnistlua.init", package.path)
    or package.searchpath("mnistlua.cli", package.path)
  local inside = library_function("@" .. prefix:match "^(.*)/" .. "/somewhere.lua")
  raises("size 1 of a shape", function() inside(-1) end)
  local ok, message = pcall(library_function "@other/place.lua", -1)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "other/place.lua:2: ")
end

function TestCoreMisuse:testWhere()
  local line = debug.getinfo(1, "l").currentline + 1
  local text = core.where()
  lu.assertStrContains(text, ("test_core_misuse.lua:%d: "):format(line))
end

function TestCoreMisuse:testAHundredThousandTemporaries()
  collectgarbage()
  local before = core.memory().peak
  local x = core.zeros(64, 1024)
  for _ = 1, 1000 do local _ = x + 1 end            -- 256 MB
  local small = core.zeros(4)
  for _ = 1, 100000 do local _ = small + 1 end
  lu.assertTrue(core.memory().peak - before < 80 * 2 ^ 20, "peak grew by " .. (core.memory().peak - before))
end

function TestCoreMisuse:testFinalizersMayDoAnything()
  local w = core.ones(50, 50):requires_grad_()
  for i = 1, 300 do
    core.step_begin(1, i)
    local y = w * 2
    setmetatable({}, { __gc = function()
      core.step_end()
      core.zeros(10)
      getmetatable(y).__gc(y)
    end })
    pcall(function()
      for _ = 1, 40 do local _ = { tostring(y), y:totable(), y + w, y[1] } end
    end)
  end
  core.step_end()
  collectgarbage()
end

function TestCoreMisuse:testAggressiveCollectors()
  local folder = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
  local code, out, err = aid.run_program(folder .. "/collector_work.lua")
  lu.assertEquals({ code, err }, { 0, "" })
  lu.assertTrue(tonumber(out:match "^(%d+) tests\n$") >= 74, out)
end

function TestCoreMisuse:testTheNthAllocationFails()
  local function work()
    local w = core.ones(3, 2):requires_grad_()
    local x = core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
    core.step_begin(1, 1)
    local loss = core.cross_entropy((x:matmul(w) + 1):relu(), core.tensor({ 0, 1 }, "u8"), { weight = core.ones(2) })
    loss:backward()
    core.optim_step("SGD", { w }, { { core.zeros(3, 2) } }, { lr = 0.1, momentum = 0.9 })
    local _ = { w:max(2), w[1][2], tostring(w), w:totable(), w:clone():detach() }
    core.scope(function() return x * 2 end)
    core.step_end()
  end
  work()
  collectgarbage()
  collectgarbage "stop"                             -- a finalizer cannot be called without memory
  local n, ok, message = 0
  repeat
    n = n + 1
    core.fail_allocations(n)
    ok, message = pcall(work)
    core.fail_allocations(0)
    core.step_end()
    lu.assertTrue(ok or tostring(message):find "memory" ~= nil, tostring(message))
  until ok or n > 10000
  collectgarbage "restart"
  lu.assertTrue(n > 50 and n < 10000, "allocations: " .. n)
end
