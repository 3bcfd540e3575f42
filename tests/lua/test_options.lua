-- Option tables and "did you mean": every rule, every complaint.
local lu = require "luaunit"
local options = require "mnistlua.options"
local core = require "mnistlua.core"

TestOptions = {}

local spec = {
  "width", "rate",
  width = { type = "integer", min = 1, required = true },
  rate  = { type = "number", default = 0.5, min = 0, below = 1 },
  bias  = { type = "boolean", default = true },
  init  = { type = "string|function", default = "pytorch" },
  mode  = { choices = { "cos", "linear", false } },
  scale = { type = "number", above = 0, max = 10 },
  value = { type = "tensor" },
}

local function read(given) return options.read("thing", given, spec) end

function TestOptions.testDefaultsAndPositions()
  lu.assertEquals(read { 3 }, { width = 3, rate = 0.5, bias = true, init = "pytorch" })
  lu.assertEquals(read(3).width, 3)
  local o = read { 3, 0.25, bias = false, mode = false, scale = 10 }
  lu.assertEquals({ o.width, o.rate, o.bias, o.mode, o.scale }, { 3, 0.25, false, false, 10 })
  lu.assertEquals(math.type(read { 3.0 }.width), "integer")
end

function TestOptions.testTheGivenTableStaysAsItIs()
  local given = { 3, bias = false }
  read(given)
  lu.assertEquals(given, { 3, bias = false })
end

function TestOptions.testComplaints()
  local cases = {
    { nil, "thing: needs width, a whole number >= 1" },
    { { 3, bais = true }, "thing: unknown option 'bais'; did you mean 'bias'?" },
    { { 3, zzz = 1 }, "thing: unknown option 'zzz'; it takes bias, init, mode, rate, scale, value, width" },
    { { 3, 0.1, 7 }, "thing: takes at most 2 values without a name, but value 3 is 7" },
    { { 3, width = 4 }, "thing: width is given twice, by position and by name" },
    { { 3.5 }, "thing: width is 3.5; expected a whole number >= 1" },
    { { "3" }, "thing: width is '3'; expected a whole number >= 1" },
    { { 0 }, "thing: width is 0" },
    { { 2 ^ 63 }, "thing: width is 9.2233720368548e+18" },
    { { 3, 1 }, "thing: rate is 1; expected a number >= 0 and < 1" },
    { { 3, 0 / 0 }, "nan; expected a number" },
    { { 3, 1 / 0 }, "inf; expected a number" },
    { { 3, bias = 1 }, "thing: bias is 1; expected a boolean" },
    { { 3, init = {} }, "thing: init is a table; expected a string or a function" },
    { { 3, mode = "cosine" }, "thing: mode is 'cosine'; expected one of 'cos', 'linear', false" },
    { { 3, mode = "linaer" }, "did you mean 'linear'?" },
    { { 3, scale = 0 }, "thing: scale is 0; expected a number > 0 and <= 10" },
    { { 3, value = 1 }, "thing: value is 1; expected a tensor" },
    { { 3, [{}] = 1 }, "thing: unknown option a table" },
    { { 3, ["a\27b"] = 1 }, "thing: unknown option 'a\\x1bb'" },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[2], read, case[1]) end
end

function TestOptions.testMessagesBeginWithTheScriptsLine()
  local line = debug.getinfo(1, "l").currentline + 2
  local _, message = pcall(function()
    local o = options.read("thing", { 3, bais = 1 }, spec)
    return o
  end)
  lu.assertStrContains(message, ("test_options.lua:%d: thing: unknown option"):format(line))
end

function TestOptions.testKinds()
  local nn = require "mnistlua.nn"
  lu.assertEquals(options.kind(core.zeros(1)), "tensor")
  lu.assertEquals(options.kind(nn.ReLU()), "module")
  lu.assertEquals(options.kind(nn.ReLU), "class")
  lu.assertEquals(options.kind "text", "string")
  lu.assertEquals(options.kind(nil), "nil")
  lu.assertEquals(options.show(nn.ReLU), "the class nn.ReLU")
end

function TestOptions.testClassesThatWereNotCalled()
  local nn = require "mnistlua.nn"
  lu.assertEquals(options.class_hint(nn.ReLU), "nn.ReLU is a class; write nn.ReLU()")
  lu.assertNil(options.class_hint(nn.ReLU()))
  lu.assertErrorMsgContains("thing: layer: nn.ReLU is a class; write nn.ReLU()", options.check, "thing", "layer",
    nn.ReLU, { type = "module" })
end

-- The message of f(...) where no line of a script is on the stack, as when the trainer calls it.
local function without_script(f, ...)
  return select(3, coroutine.resume(coroutine.create(xpcall), f, options.located, ...))
end

function TestOptions.testPlacesWithoutAScriptsLine()
  local nn, optim = require "mnistlua.nn", require "mnistlua.optim"
  local line = debug.getinfo(1, "l").currentline
  local loss = nn.MSELoss()
  local layer = nn.Linear(3, 2)
  local model = nn.Sequential { layer }
  local optimizer = optim.SGD { lr = 1, groups = { { "biass" } } }
  local x = core.zeros(2, 3)
  local call = getmetatable(loss).__call
  local cases = {
    { 1, "mse: input 2 must be f32", call, loss, x, x:to "i32" },
    { 1, "nn.MSELoss(): expected a tensor, got nil", call, loss },
    { 2, "nn.Linear(3, 2) expects 3 inputs", getmetatable(model).__call, model, core.zeros(2, 4) },
    { 4, "optim.SGD: group 1: 'biass' matches no parameter", optimizer.bind, optimizer, model },
  }
  for _, case in ipairs(cases) do
    local message = without_script(table.unpack(case, 3))
    lu.assertStrContains(message, ("test_options.lua:%d: %s"):format(line + case[1], case[2]))
  end
end

function TestOptions.testLocatedLeavesOtherMessagesAlone()
  for _, message in ipairs { "a.lua:3: no", "no", ("%s:3: attempt to index"):format(core.root), {} } do
    lu.assertIs(options.located(message), message)
  end
end

function TestOptions.testNearest()
  local names = { "Linear", "ReLU", "lr", "p", "label_smoothing", "momentum", "CosineAnnealingLR", "weight_decay" }
  local cases = {
    { "Liner", "Linear" }, { "linear", "Linear" }, { "relu", "ReLU" }, { "lrr", "lr" }, { "pp", "p" }, { "rl", "lr" },
    { "smoothing", "label_smoothing" }, { "momentun", "momentum" }, { "mometnum", "momentum" },
    { "decay", "weight_decay" }, { "CosineAnealingLR", "CosineAnnealingLR" }, { "x" }, { "Conv2d" }, { "" },
    { "dog" }, { ("x"):rep(1000) }, { 3 },
  }
  for _, case in ipairs(cases) do lu.assertEquals(options.nearest(case[1], names), case[2]) end
  lu.assertEquals(options.hint("Liner", names), "; did you mean 'Linear'?")
  lu.assertEquals(options.hint("zebra", names), "")
end

function TestOptions.testNearestPrefersTheFirstOfEquallyNear()
  lu.assertEquals(options.nearest("bat", { "cat", "rat" }), "cat")
end

function TestOptions.testGather()
  lu.assertEquals(options.gather(784, 128, { bias = false }), { 784, 128, bias = false })
  lu.assertEquals(options.gather { 784, 128, bias = false }, { 784, 128, bias = false })
  lu.assertEquals(options.gather(), {})
  lu.assertEquals(options.gather(3, { 5, 5 }), { 3, { 5, 5 } })
end

function TestOptions.testStrictTables()
  local t = options.strict("nn", { Linear = 1 })
  lu.assertEquals(t.Linear, 1)
  lu.assertErrorMsgContains("nn has no 'Liner'; did you mean 'Linear'?", function() return t.Liner end)
  lu.assertErrorMsgContains("nn has no 5", function() return t[5] end)
end

function TestOptions.testFailAndUsage()
  lu.assertErrorMsgEquals("configs/a.lua:3: no", options.fail, "no", "configs/a.lua:3: ")
  lu.assertErrorMsgEquals("--threads: no", options.usage, "--threads: no")
  lu.assertErrorMsgContains("on: unknown event 'epoch_edn'; did you mean 'epoch_end'?", options.check_key, "on",
    "epoch_edn", { "epoch_end" }, "event")
end
