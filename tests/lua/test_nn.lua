-- Layers and losses: values against PyTorch's (tests/golden), settings, lazily sized layers, messages about shapes.
local lu = require "luaunit"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"
local numbers = require "numbers_aid"

local golden = numbers.golden

local function assert_close(actual, expected, tolerance)
  local a, e = actual:reshape(-1):totable(), core.tensor(expected):reshape(-1):totable()
  lu.assertEquals(#a, #e)
  for i, value in ipairs(e) do lu.assertAlmostEquals(a[i], value, tolerance or 1e-6) end
end

local function labels(target)
  return core.tensor(target, type(target[1]) == "number" and "i32" or "f32")
end

TestNN = {}

function TestNN.testLinearIsPyTorchs()
  for _, case in ipairs(golden "linear") do
    local layer = nn.Linear(#case.w[1], #case.w)
    layer:load_state_dict { weight = core.tensor(case.w), bias = core.tensor(case.b) }
    local x = core.tensor(case.x):requires_grad_()
    local y = layer(x)
    assert_close(y, case.y, 1e-5);
    (y * core.tensor(case.dy)):sum():backward()
    assert_close(x.grad, case.dx, 1e-5)
    assert_close(layer.weight.grad, case.dw, 1e-5)
    assert_close(layer.bias.grad, case.db, 1e-5)
  end
end

function TestNN.testCrossEntropyIsPyTorchs()
  for _, case in ipairs(golden "cross_entropy") do
    local loss = nn.CrossEntropyLoss { label_smoothing = case.smoothing, weight = case.weight }
    local logits = core.tensor(case.logits):requires_grad_()
    local value = loss(logits, labels(case.target))
    lu.assertAlmostEquals(value:item(), case.loss, 1e-5 * math.max(1, math.abs(case.loss)))
    value:backward()
    assert_close(logits.grad, case.dlogits)
  end
end

function TestNN.testMlpIsPyTorchs()
  local g = golden "mlp"
  local model = nn.Sequential { nn.Linear(5), nn.ReLU(), nn.Linear(3) }:build(7)
  local params = {}
  for name, value in pairs(g.params) do params[name] = core.tensor(value) end
  model:load_state_dict(params)
  local logits = model(core.tensor(g.x))
  assert_close(logits, g.logits)
  local loss = nn.CrossEntropyLoss()(logits, labels(g.labels))
  lu.assertAlmostEquals(loss:item(), g.loss, 1e-6)
  loss:backward()
  for name, p in model:named_parameters() do assert_close(p.grad, g.gradients[name]) end
end

-- The gradients of a model's parameters by the sum of its outputs' squares, and the outputs.
local function gradients(model, forward, x)
  model:zero_grad()
  local y = forward(x)
  core.mul(y, y):sum():backward()
  local list = { y:totable() }
  for _, p in model:named_parameters() do list[#list + 1] = p.grad:totable() end
  return list
end

function TestNN.testFusedNeighboursGiveTheSameBits()
  local model = nn.Sequential { nn.Linear(33), nn.ReLU(), nn.Linear(20), nn.ReLU(), nn.Linear(3) }:build(17)
  local x = core.randn(9, 17)
  local function one_by_one(v)
    for i = 1, #model do v = model[i](v) end
    return v
  end
  lu.assertEquals(gradients(model, model, x), gradients(model, one_by_one, x))
end

function TestNN.testReplacedForwardIsNotFused()
  local Shifted = nn.ReLU:extend "Shifted"
  function Shifted.forward(_, x) return x + 100 end
  local Doubled = nn.Linear:extend "Doubled"
  function Doubled:forward(x) return nn.Linear.forward(self, x) * 2 end
  local x = core.ones(1, 2)
  local function set(layer)
    layer.weight:fill_(-1)
    layer.bias:fill_(0)
    return layer
  end
  lu.assertEquals(nn.Sequential { set(nn.Linear(2, 1)), Shifted() }(x):item(), 98)
  lu.assertEquals(nn.Sequential { set(Doubled(2, 1)), nn.ReLU() }(-x):item(), 4)
  local relu = nn.ReLU()
  function relu.forward(_, v) return v * 10 end
  lu.assertEquals(nn.Sequential { set(nn.Linear(2, 1)), relu }(x):item(), -20)
end

function TestNN.testNllOfLogSoftmaxIsCrossEntropy()
  local logits, y = core.tensor { { 0.3, -2.1, 1.7 }, { 2.385, 0.1, -0.4 } }, labels { 2, 0 }
  local weight = { 1, 2, 0.5 }
  lu.assertAlmostEquals(nn.NLLLoss { weight = weight }(nn.LogSoftmax()(logits), y):item(),
    nn.CrossEntropyLoss { weight = weight }(logits, y):item(), 1e-6)
end

function TestNN.testMse()
  local x, y = core.tensor { { 1, 2 }, { 3, 5 } }, core.tensor { { 1, 4 }, { 2, 5 } }
  lu.assertAlmostEquals(nn.MSELoss()(x, y):item(), (0 + 4 + 1 + 0) / 4, 1e-7)
end

function TestNN.testActivations()
  local v = { -2.385, -0.4, 0.3, 1.7 }
  local function sigmoid(x) return 1 / (1 + math.exp(-x)) end
  local function tanh(x) return 2 * sigmoid(2 * x) - 1 end
  local cases = {
    { nn.ReLU(), function(x) return math.max(x, 0) end },
    { nn.LeakyReLU(), function(x) return x > 0 and x or 0.01 * x end },
    { nn.LeakyReLU(0.2), function(x) return x > 0 and x or 0.2 * x end },
    { nn.ELU { alpha = 0.5 }, function(x) return x > 0 and x or 0.5 * (math.exp(x) - 1) end },
    { nn.SiLU(), function(x) return x * sigmoid(x) end },
    { nn.Sigmoid(), sigmoid },
    { nn.Tanh(), tanh },
    { nn.Identity(), function(x) return x end },
  }
  for _, case in ipairs(cases) do
    local expected = {}
    for i, x in ipairs(v) do expected[i] = case[2](x) end
    assert_close(case[1](core.tensor { v }), { expected })
    lu.assertEquals(case[1]:output_shape { 3, 4 }, { 3, 4 })
  end
  -- PyTorch 1.13: torch.nn.functional.gelu, of the same values
  assert_close(nn.GELU()(core.tensor { v }), { { -0.02036685, -0.13783130, 0.18537343, 1.62423871 } })
  assert_close(nn.Softmax()(core.tensor { v }):sum(-1), { 1 })
  assert_close(nn.LogSoftmax()(core.tensor { v }):exp(), nn.Softmax()(core.tensor { v }):totable())
end

function TestNN.testDropoutOnlyWhileTraining()
  local x = core.ones { 50, 50 }
  local layer = nn.Dropout(0.25)
  local y = layer(x)
  local kept = y:sum():item() * 0.75 / 2500
  lu.assertTrue(kept > 0.7 and kept < 0.8)
  layer:eval()
  lu.assertIs(layer(x), x)
  lu.assertIs(nn.Dropout(0)(x), x)
end

function TestNN.testFlatten()
  lu.assertEquals(nn.Flatten()(core.zeros { 2, 3, 4, 5 }).shape, { 2, 60 })
  lu.assertEquals(nn.Flatten():output_shape(3, 4, 5), { 60 })
end

function TestNN.testLinearsForms()
  local cases = {
    { nn.Linear(7), "nn.Linear(7)" }, { nn.Linear(4, 7), "nn.Linear(4, 7)" }, { nn.Linear { 7 }, "nn.Linear(7)" },
    { nn.Linear { 4, 7, bias = false }, "nn.Linear(4, 7, { bias = false })" },
    { nn.Linear(7, { bias = false, init = "kaiming" }), 'nn.Linear(7, { bias = false, init = "kaiming" })' },
    { nn.Linear { in_features = 4, out_features = 7 }, "nn.Linear(4, 7)" },
    { nn.Linear(4, 7, { init = function() end }), "nn.Linear(4, 7, { init = function })" },
  }
  for _, case in ipairs(cases) do lu.assertEquals(tostring(case[1]), case[2]) end
  lu.assertNil(nn.Linear(4, 7, { bias = false }).bias)
  lu.assertEquals(nn.Linear(4, 7).weight.shape, { 7, 4 })
end

function TestNN.testLinearInfersFromItsFirstInput()
  local layer = nn.Linear(3)
  lu.assertFalse(layer.built)
  lu.assertEquals(layer(core.zeros { 2, 5 }).shape, { 2, 3 })
  lu.assertEquals(layer.in_features, 5)
end

function TestNN.testLinearAppliesToTheLastDimension()
  lu.assertEquals(nn.Linear(5, 3)(core.zeros { 2, 4, 5 }).shape, { 2, 4, 3 })
  lu.assertEquals(nn.Linear(5, 3):output_shape { 4, 5 }, { 4, 3 })
end

local function rows(shape, n)
  local sum, squares, low, high = 0, 0, math.huge, -math.huge
  for _, v in ipairs(shape:reshape(-1):totable()) do
    sum, squares, low, high = sum + v, squares + v * v, math.min(low, v), math.max(high, v)
  end
  return sum / n, squares / n, low, high
end

function TestNN.testInitializers()
  local fan_in, fan_out = 400, 100
  local n = fan_in * fan_out
  local cases = {                                     -- variance, bound
    { "pytorch", 1 / fan_in / 3, 1 / math.sqrt(fan_in) }, { "kaiming", 2 / fan_in }, { "kaiming_normal", 2 / fan_in },
    { "kaiming_uniform", 2 / fan_in, math.sqrt(6 / fan_in) }, { "xavier_normal", 2 / (fan_in + fan_out) },
    { "xavier", 2 / (fan_in + fan_out), math.sqrt(6 / (fan_in + fan_out)) }, { "lecun", 1 / fan_in },
    { "notebook", 1 / fan_in }, { "zeros", 0, 0 }, { nn.init.constant(0.25), 0.0625, 0.25 }, { "ones", 1, 1 },
  }
  core.manual_seed(3)
  for _, case in ipairs(cases) do
    local layer = nn.Linear(fan_in, fan_out, { init = case[1] })
    local _, variance, low, high = rows(layer.weight, n)
    lu.assertAlmostEquals(variance, case[2], 0.05 * case[2])
    if case[3] then lu.assertTrue(high <= case[3] + 1e-7 and low >= -case[3] - 1e-7) end
    local _, bias = rows(layer.bias, fan_out)
    lu.assertEquals(bias > 0, case[1] == "pytorch")
  end
end

function TestNN.testAnInitializerOfOnesOwn()
  local seen
  local layer = nn.Linear(4, 3, { init = function(w, fan_in, fan_out) seen = { fan_in, fan_out } w:fill_(7) end })
  lu.assertEquals(seen, { 4, 3 })
  lu.assertEquals(layer.weight:sum():item(), 84)
  lu.assertEquals(layer.bias:sum():item(), 0)
end

function TestNN.testTheSameSeedGivesTheSameWeights()
  local function make()
    core.manual_seed(11)
    return nn.Sequential { nn.Linear(8), nn.Linear(3) }:build(5):state_dict()
  end
  local a, b = make(), make()
  for i, entry in ipairs(a) do lu.assertEquals(entry[2]:totable(), b[i][2]:totable()) end
end

function TestNN.testOptionsAreChecked()
  local cases = {
    { "nn has no 'Liner'; did you mean 'Linear'?", function() return nn.Liner end },
    { "nn has no 'Relu'; did you mean 'ReLU'?", function() return nn.Relu end },
    { "nn.init has no 'kaimin'; did you mean 'kaiming'?", function() return nn.init.kaimin end },
    { "nn.Linear: needs out_features", nn.Linear },
    { "nn.Linear: out_features is 0; expected a whole number >= 1", nn.Linear, 0 },
    { "nn.Linear: in_features is -3", nn.Linear, -3, 4 },
    { "nn.Linear: takes at most 2 values", nn.Linear, 3, 4, 5 },
    { "nn.Linear: unknown option 'bais'; did you mean 'bias'?", nn.Linear, 3, { bais = false } },
    { "nn.Linear: init is 'kaimin'", nn.Linear, 3, { init = "kaimin" } },
    { "nn.Dropout: unknown option 'pp'; did you mean 'p'?", nn.Dropout, { pp = 0.5 } },
    { "nn.Dropout: p is 1; expected a number >= 0 and < 1", nn.Dropout, 1 },
    { "nn.ReLU: unknown option 'inplace'; it takes none", nn.ReLU, { inplace = true } },
    { "nn.LeakyReLU: negative_slope is 'x'", nn.LeakyReLU, "x" },
    { "nn.CrossEntropyLoss: unknown option 'smoothing'; did you mean 'label_smoothing'?", nn.CrossEntropyLoss,
      { smoothing = 0.1 } },
    { "nn.CrossEntropyLoss: label_smoothing is 2", nn.CrossEntropyLoss, { label_smoothing = 2 } },
    { "nn.Linear(3, 4): expected a tensor, got 5", nn.Linear(3, 4), 5 },
    { "nn.ReLU(): expected a tensor, got nil", nn.ReLU() },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
end

local function where(offset)
  return debug.getinfo(2, "l").currentline + offset
end

function TestNN.testShapesThatDoNotFitNameBothLines()
  local line = where(1)
  local model = nn.Sequential { nn.Flatten(),
    nn.Linear(784, 20),
    nn.ReLU(), nn.Dropout(),
    nn.Linear(30, 5) }
  local expected = ("test_nn.lua:%d: nn.Linear(30, 5) expects 30 inputs but receives 20 (from nn.Linear, line %d); "
    .. "write nn.Linear(5) to infer it"):format(line + 3, line + 1)
  lu.assertErrorMsgContains(expected, model.build, model, { 28, 28 })
  lu.assertErrorMsgContains(expected, model, core.zeros { 2, 28, 28 })
end

function TestNN.testShapesBeforeFlattenAreShown()
  local Pool = nn.Module "Pool"
  function Pool.forward(_, x) return x:slice(-1, 1, 14) end
  local line = where(1)
  local model = nn.Sequential { Pool(), nn.Flatten(), nn.Linear(784, 10) }
  local expected = ("expects 784 inputs but receives 392 (28x14 from Pool, line %d)"):format(line)
  lu.assertErrorMsgContains(expected, model.build, model, 28, 28)
  lu.assertErrorMsgContains(expected, model, core.zeros { 3, 28, 28 })
end

function TestNN.testAMissingFlattenIsNamed()
  local model = nn.Sequential { nn.Linear(10) }
  lu.assertErrorMsgContains("nn.Linear(10) expects rows of features but receives 28x28 (samples of 28x28", model.build,
    model, 28, 28)
  lu.assertErrorMsgContains("put nn.Flatten() before it", model, core.zeros { 2, 28, 28 })
  lu.assertErrorMsgContains("nn.Linear(784, 10) expects 784 inputs but receives 28 (input 2x28x28, ",
    nn.Linear(784, 10), core.zeros { 2, 28, 28 })
end
