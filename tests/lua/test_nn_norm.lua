-- Normalising layers and PReLU: PyTorch's values in both modes, running statistics, what is refused, ml.recompute_bn.
local lu = require "luaunit"
local core = require "mnistlua.core"
local ml = require "mnistlua"
local nn = require "mnistlua.nn"
local numbers = require "numbers_aid"

local golden = numbers.golden

local function where(offset)
  return debug.getinfo(2, "l").currentline + offset
end

TestNorm = {}

local function make(case)
  local args, options = { table.unpack(case.args) }, {}
  for key, value in pairs(case.options) do options[key] = value end
  if type(args[1]) == "table" then args = args[1] end
  args[#args + 1] = options
  return nn[case.kind](table.unpack(args))
end

local function check_step(what, layer, step)
  layer:train(step.training):zero_grad()
  local x = core.tensor(step.x):requires_grad_()
  local y = layer(x)
  numbers.assert_close(what .. ": y", y, step.y, 2e-6);
  (y * core.tensor(step.dy)):sum():backward()
  numbers.assert_close(what .. ": dx", x.grad, step.dx, 1e-5)
  for name, expected in pairs(step.gradients) do
    numbers.assert_close(what .. ": d" .. name, layer[name].grad, expected, 1e-5)
  end
  for name, expected in pairs(step.buffers) do
    numbers.assert_close(what .. ": " .. name, layer[name], expected, 1e-6)
  end
end

function TestNorm.testIsPyTorchs()
  for i, case in ipairs(golden "norms") do
    local layer, params = make(case), {}
    for name, value in pairs(case.params) do params[name] = core.tensor(value) end
    layer:load_state_dict(params, false)
    for k, step in ipairs(case.steps) do
      check_step(("case %d, %s, step %d"):format(i, case.kind, k), layer, step)
    end
  end
end

function TestNorm.testStateHasPyTorchsNames()
  local function names(layer)
    local list = {}
    for i, entry in ipairs(layer:state_dict()) do list[i] = entry[1] end
    return table.concat(list, " ")
  end
  lu.assertEquals(names(nn.BatchNorm2d(3)), "weight bias running_mean running_var num_batches_tracked")
  lu.assertEquals(names(nn.BatchNorm1d(3, { affine = false })), "running_mean running_var num_batches_tracked")
  lu.assertEquals(names(nn.BatchNorm1d(3, { track_running_stats = false })), "weight bias")
  lu.assertEquals(names(nn.LayerNorm(3)), "weight bias")
  lu.assertEquals(nn.BatchNorm2d(3):num_parameters(), 6)
  local a, b = nn.BatchNorm1d(3), nn.BatchNorm1d()
  a(core.randn(5, 3))
  b:load_state_dict(a:state_dict())
  for i, entry in ipairs(a:state_dict()) do lu.assertEquals(b:state_dict()[i][2]:totable(), entry[2]:totable()) end
  lu.assertEquals(b.num_batches_tracked:item(), 1)
end

function TestNorm.testForms()
  local cases = {
    { nn.BatchNorm1d(), "nn.BatchNorm1d()" }, { nn.BatchNorm2d(8), "nn.BatchNorm2d(8)" },
    { nn.BatchNorm2d { 8, momentum = "cumulative", eps = 0.5 },
      'nn.BatchNorm2d(8, { eps = 0.5, momentum = "cumulative" })' },
    { nn.BatchNorm1d { affine = false }, "nn.BatchNorm1d({ affine = false })" },
    { nn.LayerNorm(), "nn.LayerNorm()" }, { nn.LayerNorm(28, 28), "nn.LayerNorm(28, 28)" },
    { nn.LayerNorm { 28, 28, eps = 0.5 }, "nn.LayerNorm(28, 28, { eps = 0.5 })" },
    { nn.LayerNorm { normalized_shape = 4 }, "nn.LayerNorm(4)" },
    { nn.LayerNorm(4, { elementwise_affine = false }), "nn.LayerNorm(4, { elementwise_affine = false })" },
    { nn.GroupNorm(4), "nn.GroupNorm(4)" }, { nn.GroupNorm(4, 8), "nn.GroupNorm(4, 8)" },
    { nn.PReLU(), "nn.PReLU()" }, { nn.PReLU(3, { init = 0.5 }), "nn.PReLU(3, { init = 0.5 })" },
  }
  for _, case in ipairs(cases) do lu.assertEquals(tostring(case[1]), case[2]) end
end

function TestNorm.testSizesAreInferred()
  local model = nn.Sequential { nn.Reshape(4, 6, 2), nn.BatchNorm2d(), nn.GroupNorm(2), nn.LayerNorm(), nn.Flatten(),
    nn.BatchNorm1d(), nn.LayerNorm() }
  lu.assertFalse(model[2].built)
  lu.assertEquals(model:build(48):output_shape(48), { 48 })
  lu.assertEquals({ model[2].num_features, model[3].num_channels, model[4].normalized_shape[1], model[6].num_features },
    { 4, 4, 2, 48 })
  lu.assertStrContains(model:summary(), "nn.BatchNorm2d(4)     4x6x2           8")
  local layer = nn.BatchNorm1d()
  layer(core.randn(3, 5))
  lu.assertEquals(layer.num_features, 5)
end

function TestNorm.testReluAndPoolingAfterwardsGiveTheSameBits()
  local function gradients(layer, forward, x)
    layer:reset_running_stats()
    layer:zero_grad()
    x.grad = nil
    local y = forward(x);
    (y * y):sum():backward()
    return { y:totable(), x.grad:totable(), layer.weight.grad:totable(), layer.bias.grad:totable(),
      layer.running_mean:totable(), layer.running_var:totable() }
  end
  for _, shape in ipairs { { 9, 37 }, { 4, 5, 7, 6 } } do
    local layer = #shape == 2 and nn.BatchNorm1d(shape[2]) or nn.BatchNorm2d(shape[2])
    layer.weight:uniform_(-1, 2)
    layer.bias:uniform_(-1, 1)
    local model = nn.Sequential { layer, nn.ReLU() }
    local x = core.randn(shape):requires_grad_()
    for _, training in ipairs { true, false } do
      model:train(training)
      local expected = gradients(layer, function(v) return layer(v):relu() end, x)
      lu.assertEquals(gradients(layer, model, x), expected)
    end
  end
  for _, shape in ipairs { { 9, 3, 28, 28 }, { 4, 19, 7, 5 }, { 3, 2, 70, 61 }, { 2, 2, 1, 4 } } do
    local layer = nn.BatchNorm2d(shape[2])
    layer.weight:uniform_(-1, 2)
    layer.bias:uniform_(-1, 1)
    local pool = nn.MaxPool2d { kernel_size = shape[3] == 1 and { 1, 2 } or 2 }
    local model = nn.Sequential { layer, nn.ReLU(), pool }
    local x = core.randn(shape):requires_grad_()
    for _, training in ipairs { true, false } do
      model:train(training)
      local expected = gradients(layer, function(v) return pool(layer(v):relu()) end, x)
      lu.assertEquals(gradients(layer, model, x), expected)
    end
  end
end

function TestNorm.testWhichLayersAreComputedAtOnce()
  local layer, relu, x = nn.BatchNorm2d(3), nn.ReLU(), core.ones(2, 3, 4, 4)
  local function count(third, input) return select(2, layer:fused_with(relu, third, input or x)) end
  lu.assertEquals(count(nn.MaxPool2d(2)), 3)
  for _, other in ipairs { nn.MaxPool2d(3), nn.MaxPool2d(2, 1), nn.MaxPool2d(2, { padding = 1 }), nn.AvgPool2d(2) } do
    lu.assertEquals(count(other), 2)
  end
  lu.assertEquals(count(nil), 2)
  lu.assertEquals(count(nn.MaxPool2d(2), core.ones(2, 3, 4, 1)), 2)
  lu.assertNil(layer:fused_with(nn.Tanh(), nn.MaxPool2d(2), x))
  lu.assertErrorMsgContains("is larger than", nn.Sequential { layer, relu, nn.MaxPool2d(2) }, core.ones(2, 3, 4, 1))
end

function TestNorm.testTwoForwardsBeforeOneBackward()
  local layer = nn.BatchNorm1d(3)
  local x = core.randn(4, 3):requires_grad_()
  local y = layer(x) + layer(x * 2)
  y:sum():backward()
  lu.assertEquals(layer.num_batches_tracked:item(), 2)
end

function TestNorm.testEvaluationChangesNothing()
  local layer = nn.BatchNorm2d(2):eval()
  layer(core.randn(3, 2, 4, 4))
  lu.assertEquals(layer.running_mean:totable(), { 0, 0 })
  lu.assertEquals(layer.num_batches_tracked:item(), 0)
  layer(core.randn(1, 2, 1, 1))                            -- a single value is no matter here
end

function TestNorm.testABatchOfOneIsRefused()
  local line = where(1)
  local model = nn.Sequential { nn.Linear(4), nn.BatchNorm1d() }:build(3)
  local expected = ("test_nn_norm.lua:%d: nn.BatchNorm1d(4): a batch of 1 leaves 1 value per channel"):format(line)
  lu.assertErrorMsgContains(expected, model, core.randn(1, 3))
  lu.assertErrorMsgContains(expected, model[2].check_batch, model[2], 1)
  model[2]:check_batch(2)
  nn.Sequential { nn.BatchNorm2d() }:build(1, 2, 2)[1]:check_batch(1)
  lu.assertErrorMsgContains("expected more than 1 value per channel in training, received 1x4", core.batch_norm,
    core.ones(1, 4), nil, nil, { training = true })
end

function TestNorm.testShapesThatDoNotFit()
  local x2, x4 = core.zeros(2, 4), core.zeros(2, 4, 3, 3)
  local cases = {
    { "nn.BatchNorm2d() expects images of c x h x w but receives 4 (input 2x4", nn.BatchNorm2d(), x2 },
    { "write nn.BatchNorm2d() for images", nn.BatchNorm1d(), x4 },
    { "nn.BatchNorm1d(5) expects 5 channels but receives 4", nn.BatchNorm1d(5), x2 },
    { "nn.BatchNorm1d() expects samples of c features", nn.BatchNorm1d(), core.zeros(3) },
    { "nn.LayerNorm(5) expects samples that end in 5 but receives 4", nn.LayerNorm(5), x2 },
    { "nn.LayerNorm(4, 3) expects samples that end in 4x3 but receives 4x3x3", nn.LayerNorm(4, 3), x4 },
    { "nn.GroupNorm(3) expects channels that 3 groups divide but receives 4", nn.GroupNorm(3), x4 },
    { "nn.GroupNorm(2, 6) expects 6 channels but receives 4", nn.GroupNorm(2, 6), x4 },
    { "nn.PReLU(3) expects 3 channels but receives 4", nn.PReLU(3), x4 },
    { "nn.GroupNorm: 4 groups do not divide 6 channels", nn.GroupNorm, 4, 6 },
    { "nn.GroupNorm: needs num_groups", nn.GroupNorm },
    { "nn.BatchNorm1d: momentum is 'x'", nn.BatchNorm1d, { momentum = "x" } },
    { "nn.BatchNorm1d: momentum is 2", nn.BatchNorm1d, { momentum = 2 } },
    { "nn.BatchNorm2d: unknown option 'afine'; did you mean 'affine'?", nn.BatchNorm2d, 3, { afine = false } },
    { "nn.LayerNorm: size 1 is 0", nn.LayerNorm, 0 },
    { "nn.BatchNorm1d(): expected a tensor, got nil", nn.BatchNorm1d() },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
  local line = where(1)
  local model = nn.Sequential { nn.Linear(7), nn.ReLU(),
    nn.BatchNorm1d(5) }
  lu.assertErrorMsgContains(("test_nn_norm.lua:%d: nn.BatchNorm1d(5) expects 5 channels but receives 7 (from "
    .. "nn.Linear, line %d)"):format(line + 1, line), model.build, model, 3)
end

function TestNorm.testAfterFusedNeighboursTheSourceIsStillNamed()
  local model = nn.Sequential { nn.Linear(7), nn.BatchNorm1d(), nn.ReLU(), nn.Linear(5, 2) }
  lu.assertErrorMsgContains("receives 7 (from nn.Linear, line", model, core.zeros(4, 3))
end

function TestNorm.testCoreChecksItsArguments()
  local x, ones = core.ones(2, 3), core.ones(3)
  local cases = {
    { "batch_norm: expected a running mean and variance outside training", core.batch_norm, x },
    { "batch_norm: a running mean and variance go together", core.batch_norm, x, nil, nil,
      { training = true, running_mean = ones } },
    { "expected a running variance of f32 3, one per channel, received i32 3", core.batch_norm, x, nil, nil,
      { running_mean = ones, running_var = core.zeros({ 3 }, "i32") } },
    { "bias: expected a Tensor, got nil", core.batch_norm, x, ones },
    { "expected a weight of f32 3, one per channel, received f32 2", core.batch_norm, x, core.ones(2), ones,
      { training = true } },
    { "expected an input of n x c or more, received 3", core.batch_norm, ones, nil, nil, { training = true } },
    { "batch_norm: expected a momentum of 0 to 1, received 2", core.batch_norm, x, nil, nil,
      { training = true, momentum = 2 } },
    { "batch_norm: expected an eps >= 0, received -1", core.batch_norm, x, nil, nil, { training = true, eps = -1 } },
    { "did you mean 'momentum'", core.batch_norm, x, nil, nil, { momentun = 0.1 } },
    { "batch_norm: ", core.batch_norm, core.zeros({ 2, 3 }, "i32"), nil, nil, { training = true } },
    { "group_norm: 2 groups do not divide the 3 channels of 2x3", core.group_norm, x, 2 },
    { "group_norm: expected an input of n x c or more", core.group_norm, ones, 1 },
    { "group_norm: expected a bias of 3, received 2", core.group_norm, x, 1, ones, core.ones(2) },
    { "layer_norm: expected 1 to 2 dimensions of 2x3, received 3", core.layer_norm, x, 3 },
    { "layer_norm: expected a weight of 2x3, received 3", core.layer_norm, x, 2, ones, ones },
    { "prelu: expected one weight, or one per channel of 2x3, received 2", core.prelu, x, core.ones(2) },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
  lu.assertErrorMsgContains("changed in place", core.batch_norm, x, nil, nil,
    { training = true, running_mean = ones * core.ones(3):requires_grad_(), running_var = ones })
end

-- ---- ml.recompute_bn ----

local function noisy_model()
  core.manual_seed(5)
  return nn.Sequential { nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(), nn.Linear(3), nn.BatchNorm1d() }:build(28, 28)
end

function TestNorm.testRecomputeTakesTheMeanOverBatches()
  local data = ml.data.digits { n = 101, seed = 3 }
  local train, model = data.train, noisy_model()
  model[3].running_mean:fill_(7)
  lu.assertIs(ml.recompute_bn(model, train, { batch = 50 }), model)
  lu.assertTrue(model.training and model[3].training and model[3].momentum == 0.1)
  lu.assertTrue(core.recording())
  lu.assertEquals(model[3].num_batches_tracked:item(), #train // 50)
  local sum, squares, count = core.zeros(784), core.zeros(784), 0
  for x in train:batches { batch = 50, drop_last = true } do
    local v = x:flatten()
    local mean = v:mean(1)
    local off = v - mean
    sum, squares, count = sum + mean, squares + (off * off):sum(1) / 49, count + 1
  end
  numbers.assert_close("mean", model[3].running_mean, (sum / count):totable(), 1e-5)
  numbers.assert_close("variance", model[3].running_var, (squares / count):totable(), 1e-5)
end

function TestNorm.testRecomputeTakesIteratorsAndBundles()
  local x, n = core.randn(8, 28, 28), 0
  local model = noisy_model()
  ml.recompute_bn(model, function()
    n = n + 1
    return n <= 3 and x or nil
  end)
  lu.assertEquals(model[5].num_batches_tracked:item(), 3)
  ml.recompute_bn(model, ml.data.digits { n = 60, seed = 3 }, { batch = 10, batches = 2 })
  lu.assertEquals(model[5].num_batches_tracked:item(), 2)
  local plain = nn.Linear(3, 2)
  lu.assertIs(ml.recompute_bn(plain, x), plain)            -- nothing to do
end

function TestNorm.testRecomputeRefusesAndRestores()
  local model = noisy_model()
  local cases = {
    { "ml.recompute_bn: data: expected a dataset or an iterator of batches, got 5", model, 5 },
    { "ml.recompute_bn: data gave no batch", model, function() end },
    { "ml.recompute_bn: unknown option 'bacth'; did you mean 'batch'?", model, 5, { bacth = 4 } },
    { "ml.recompute_bn: model is 3", 3, 4 },
    { "has no sizes yet", nn.BatchNorm1d(), function() end },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], ml.recompute_bn, table.unpack(case, 2)) end
  lu.assertErrorMsgContains("no data today", ml.recompute_bn, model, function() error "no data today" end)
  lu.assertTrue(model[3].training and model[2].training and model[3].momentum == 0.1 and core.recording())
end
