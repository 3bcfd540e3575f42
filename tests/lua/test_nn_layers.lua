-- Layers that move, join, add or disturb: Reshape, Permute, Residual, Parallel, Concat, Maxout, Embedding, Dropout2d,
-- GaussianNoise; and the gradient of the input through every layer.
local lu = require "luaunit"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"

local function assert_close(what, actual, expected, tolerance)
  local a, e = actual:reshape(-1):totable(), expected:reshape(-1):totable()
  lu.assertEquals(#a, #e, what)
  for i, value in ipairs(e) do
    lu.assertAlmostEquals(a[i], value, tolerance, ("%s, element %d"):format(what, i))
  end
end

local function refused(cases)
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
end

TestLayers = {}

function TestLayers.testReshape()
  local x = core.arange(24):reshape(2, 12)
  lu.assertEquals(nn.Reshape(3, 4)(x):totable(), x:reshape(2, 3, 4):totable())
  lu.assertEquals(nn.Reshape(-1, 2)(x).shape, { 2, 6, 2 })
  lu.assertEquals(nn.Reshape { 12 }(x).shape, { 2, 12 })
  lu.assertEquals(nn.Reshape(2, -1):output_shape(3, 4), { 2, 6 })
  lu.assertEquals(tostring(nn.Reshape(1, 28, 28)), "nn.Reshape(1, 28, 28)")
  refused {
    { "nn.Reshape(5, 5) expects 25 values a sample but receives 12 (input 2x12", nn.Reshape(5, 5), x },
    { "nn.Reshape(5, -1) expects a multiple of 5 values a sample but receives 12", nn.Reshape(5, -1), x },
    { "nn.Reshape: only one size may be -1", nn.Reshape, -1, -1 },
    { "nn.Reshape: size 2 is 0", nn.Reshape, 3, 0 },
    { "nn.Reshape: size 1 is '3'", nn.Reshape, "3" },
    { "nn.Reshape: at most 5 sizes, got 6", nn.Reshape, 1, 1, 1, 1, 1, 1 },
    { "nn.Reshape: unknown option 'size'", nn.Reshape, { size = 3 } },
  }
end

function TestLayers.testPermute()
  local x = core.arange(24):reshape(2, 3, 4)
  local y = nn.Permute(2, 1)(x)
  lu.assertEquals(y.shape, { 2, 4, 3 })
  for b = 1, 2 do lu.assertEquals(y[b]:totable(), x[b]:t():totable()) end
  lu.assertEquals(nn.Permute(3, 1, 2):output_shape(5, 6, 7), { 7, 5, 6 })
  lu.assertEquals(tostring(nn.Permute { 3, 1, 2 }), "nn.Permute(3, 1, 2)")
  lu.assertEquals(x:permute(3, 1, 2).shape, { 4, 2, 3 })
  lu.assertEquals(x:permute(-1, 1, 2):totable(), x:permute({ 3, 1, 2 }):totable())
  lu.assertEquals(core.tensor({ { 1, 2 }, { 3, 4 } }, "u8"):permute(2, 1):totable(), { { 1, 3 }, { 2, 4 } })
  refused {
    { "nn.Permute(2, 1) expects samples of 2 dimensions but receives 12", nn.Permute(2, 1), core.zeros(2, 12) },
    { "nn.Permute: dimension 1 is named twice", nn.Permute, 1, 1 },
    { "nn.Permute: dimension 1 is missing", nn.Permute, 2, 3 },
    { "nn.Permute: dimension 1 is 0", nn.Permute, 0, 1 },
    { "permute: expected the 3 dimensions of 2x3x4 in another order, received 2", x.permute, x, 1, 2 },
    { "permute: dimension 2 is named twice", x.permute, x, 1, 2, 2 },
    { "at most 6 dimensions, got 7", x.permute, x, 1, 1, 1, 1, 1, 1, 1 },
  }
end

function TestLayers.testResidual()
  local body = nn.Linear(4, 4)
  local x = core.randn(3, 4)
  lu.assertEquals(nn.Residual(body)(x):totable(), (x + body(x)):totable())
  local layer = nn.Residual { nn.Linear(8), nn.ReLU(), nn.Linear(6), shortcut = nn.Linear(6) }
  lu.assertEquals(layer:build(4):output_shape(4), { 6 })
  lu.assertEquals(layer(x):totable(), (layer.shortcut(x) + layer.body(x)):totable())
  local names = {}
  for i, entry in ipairs(layer:named_parameters()) do names[i] = entry[1] end
  lu.assertEquals(table.concat(names, " "), "body.0.weight body.0.bias body.2.weight body.2.bias shortcut.weight "
    .. "shortcut.bias")
  lu.assertEquals(#nn.Residual { body = body, shortcut = nn.Identity() }:modules(), 3)
end

function TestLayers.testResidualRefuses()
  local line = debug.getinfo(1, "l").currentline + 1
  local wrong = nn.Residual(nn.Linear(4, 5))
  local expected = ("test_nn_layers.lua:%d: nn.Residual() expects its body to return 4, as the input does, but "
    .. "receives 5"):format(line)
  refused {
    { expected, wrong, core.zeros(2, 4) },
    { expected, wrong.build, wrong, 4 },
    { "give it a shortcut", wrong.build, wrong, 4 },
    { "as the shortcut does, but receives 5", nn.Residual(nn.Linear(4, 5), nn.Linear(4, 3)), core.zeros(2, 4) },
    { "nn.Residual: needs a body", nn.Residual, {} },
    { "nn.Residual: body is nil", nn.Residual },
    { "nn.Residual: layer 1: nn.ReLU is a class; write nn.ReLU()", nn.Residual, { nn.ReLU } },
    { "nn.Residual: unknown option 'shortcutt'; did you mean 'shortcut'?", nn.Residual,
      { nn.ReLU(), shortcutt = nn.ReLU() } },
    { "nn.Residual: takes a body and a shortcut", nn.Residual, nn.ReLU(), nn.ReLU(), nn.ReLU() },
  }
end

function TestLayers.testParallelAndConcat()
  local a, b, x = nn.Linear(4, 3), nn.Linear(4, 2), core.randn(5, 4)
  lu.assertEquals(nn.Concat { a, b }(x):totable(), core.concat({ a(x), b(x) }, 2):totable())
  lu.assertEquals(nn.Parallel(a, b):output_shape(4), { 5 })
  local c = nn.Linear(4, 3)
  lu.assertEquals(nn.Parallel { a, c, join = "sum" }(x):totable(), (a(x) + c(x)):totable())
  lu.assertEquals(nn.Parallel { a, c, join = "mean" }(x):totable(), ((a(x) + c(x)) / 2):totable())
  local images = core.randn(2, 3, 4, 5)
  lu.assertEquals(nn.Concat { nn.Identity(), nn.ReLU(), dim = -1 }(images).shape, { 2, 3, 4, 10 })
  lu.assertEquals(nn.Concat { nn.Identity(), nn.ReLU(), dim = 2 }:output_shape(3, 4, 5), { 3, 8, 5 })
  lu.assertEquals(#nn.Concat { a, b }:parameters(), 4)
end

function TestLayers.testConcatOfManyBranches()
  local branches, x = {}, core.randn(3, 2):requires_grad_()
  for i = 1, 19 do branches[i] = nn.Linear(2, 1) end
  local model = nn.Concat(branches)
  local y = model(x)
  lu.assertEquals(y.shape, { 3, 19 })
  for i = 1, 19 do lu.assertEquals(y:slice(2, i, i):totable(), branches[i](x):totable()) end
  y:sum():backward()
  lu.assertEquals(x.grad.shape, { 3, 2 })
end

function TestLayers.testParallelRefuses()
  local images = core.zeros(2, 3, 4, 4)
  local uneven = nn.Concat { nn.Identity(), nn.Reshape(3, 8, 2) }
  refused {
    { "nn.Concat() expects branch 2 to return 3x4x4, as branch 1 does (all but dimension 1), but receives 3x8x2",
      uneven, images },
    { "branch 2 to return 3x4x4", uneven.build, uneven, { 3, 4, 4 } },
    { 'nn.Parallel(join = "sum") expects branch 2 to return 4, as branch 1 does, but receives 5',
      nn.Parallel { nn.Linear(3, 4), nn.Linear(3, 5), join = "sum" }, core.zeros(2, 3) },
    { "branches whose samples have a dimension 2", nn.Concat { nn.ReLU(), nn.ReLU(), dim = 2 }, core.zeros(2, 3) },
    { "nn.Concat: needs at least one branch", nn.Concat, {} },
    { "nn.Concat: dim is 0", nn.Concat, { nn.ReLU(), dim = 0 } },
    { "nn.Parallel: join is 'add'", nn.Parallel, { nn.ReLU(), join = "add" } },
    { "nn.Concat: element 1: nn.ReLU is a class", nn.Concat, { nn.ReLU } },
    { "nn.Concat: unknown option 'join'", nn.Concat, { nn.ReLU(), join = "sum" } },
  }
end

function TestLayers.testMaxout()
  local layer, x = nn.Maxout(4, 3, { pieces = 2 }), core.randn(5, 4)
  lu.assertEquals(layer.weight.shape, { 6, 4 })
  local z = core.linear(x, layer.weight, layer.bias)
  lu.assertEquals(layer(x):totable(), core.maximum(z:slice(2, 1, 3), z:slice(2, 4, 6)):totable())
  lu.assertEquals(nn.Maxout(7):build(4):output_shape(4), { 7 })
  lu.assertEquals(layer(core.randn(2, 5, 4)).shape, { 2, 5, 3 })
  lu.assertEquals(tostring(layer), "nn.Maxout(4, 3, { pieces = 2 })")
  local model = nn.Sequential { nn.Maxout(5, { pieces = 3, bias = false }), nn.ReLU(), nn.Linear(2) }:build(4)
  lu.assertEquals(model(x).shape, { 5, 2 })
  refused {
    { "nn.Maxout(4, 3, { pieces = 2 }) expects 4 inputs but receives 5", layer, core.zeros(2, 5) },
    { "nn.Maxout: pieces is 1", nn.Maxout, 4, 3, { pieces = 1 } },
    { "nn.Maxout: needs out_features", nn.Maxout },
  }
end

function TestLayers.testEmbedding()
  local layer = nn.Embedding(10, 3)
  local x = core.tensor({ { 0, 9 }, { 4, 4 } }, "i32")
  local y = layer(x)
  lu.assertEquals(y.shape, { 2, 2, 3 })
  lu.assertEquals(y[1][2]:totable(), layer.weight[10]:totable())
  lu.assertEquals(layer(x:to "u8"):totable(), y:totable())
  y:sum():backward()
  lu.assertEquals(layer.weight.grad[5]:totable(), { 2, 2, 2 })
  lu.assertEquals(layer:output_shape(7), { 7, 3 })
  lu.assertEquals(nn.Embedding(4, 2, { init = "ones" }).weight:sum():item(), 8)
  refused {
    { "nn.Embedding(10, 3) expects i32 or u8 numbers from 0 but receives f32", layer, core.zeros(2, 2) },
    { "row number 10 at place 1, expected 0 to 9", layer, core.tensor({ 10 }, "i32") },
    { "nn.Embedding: needs embedding_dim", nn.Embedding, 3 },
  }
end

-- ---- noise ----

function TestLayers.testDropout2dDropsWholeChannels()
  core.manual_seed(4)
  local layer, x = nn.Dropout2d(0.25), core.ones(20, 30, 2, 3)
  local kept = 0
  for _, sample in ipairs(layer(x):totable()) do
    for _, plane in ipairs(sample) do
      local v = plane[1][1]
      for _, row in ipairs(plane) do lu.assertEquals(row, { v, v, v }) end
      if v ~= 0 then lu.assertAlmostEquals(v, 1 / 0.75, 1e-6) end
      kept = kept + (v ~= 0 and 1 or 0)
    end
  end
  lu.assertTrue(kept > 600 * 0.68 and kept < 600 * 0.82)
  lu.assertIs(layer:eval()(x), x)
  lu.assertIs(nn.Dropout2d(0)(x), x)
  refused {
    { "nn.Dropout2d(0.25) expects images of c x h x w but receives 4", nn.Dropout2d(0.25), core.zeros(2, 4) },
    { "nn.Dropout2d: p is 1", nn.Dropout2d, 1 },
    { "dropout2d: expected a probability of 0 to 1, received 2", core.dropout2d, x, 2 },
    { "dropout2d: expected an input of n x c or more, received 3", core.dropout2d, core.zeros(3), 0.5 },
  }
end

function TestLayers.testGaussianNoise()
  core.manual_seed(4)
  local layer, x = nn.GaussianNoise(0.3), core.full({ 100, 100 }, 2)
  local noise = layer(x) - x
  lu.assertAlmostEquals(noise:mean():item(), 0, 0.01)
  lu.assertAlmostEquals((noise * noise):mean():item(), 0.09, 0.005)
  lu.assertIs(layer:eval()(x), x)
  lu.assertIs(nn.GaussianNoise(0)(x), x)
  refused {
    { "nn.GaussianNoise: std is -1", nn.GaussianNoise, -1 },
    { "gaussian_noise: expected a deviation >= 0, received -1", core.gaussian_noise, x, -1 },
    { "gaussian_noise: expected a deviation >= 0, received ", core.gaussian_noise, x, 0 / 0 },
  }
end

function TestLayers.testNoiseIsAFunctionOfTheStep()
  local x = core.zeros(4, 6, 2, 2)
  local model = nn.Sequential { nn.GaussianNoise(1), nn.Dropout2d(0.5), nn.GaussianNoise(1), nn.Dropout(0.5) }
  local function at(epoch, step)
    core.step_begin(epoch, step)
    local values = model(x):totable()
    core.step_end()
    return values
  end
  core.manual_seed(9)
  local first, second = at(2, 3), at(2, 4)
  lu.assertNotEquals(first, second)
  core.manual_seed(9)
  lu.assertEquals(at(2, 4), second)
  lu.assertEquals(at(2, 3), first)
  core.manual_seed(10)
  lu.assertNotEquals(at(2, 3), first)
end

-- Noise has a stream of its own: a layer of it changes nothing in the masks of dropout.
function TestLayers.testNoiseLeavesDropoutsMasksAlone()
  local x = core.ones(50, 50)
  local function mask(model)
    core.manual_seed(2)
    core.step_begin(1, 1)
    local values = model(x)
    core.step_end()
    return values:eq(0):totable()
  end
  lu.assertEquals(mask(nn.Sequential { nn.GaussianNoise(0.1), nn.Dropout(0.5) }), mask(nn.Dropout(0.5)))
end

-- ---- input gradients ----

-- A fresh model in every call, with the same weights and noise.
local function makers()
  return {
    { "Linear", { 6 }, function() return nn.Linear(5) end },
    { "Maxout", { 6 }, function() return nn.Maxout(5) end },
    { "BatchNorm1d", { 6 }, function() return nn.BatchNorm1d() end },
    { "BatchNorm2d", { 3, 4, 4 }, function() return nn.BatchNorm2d() end },
    { "BatchNorm2d in evaluation", { 3, 4, 4 }, function() return nn.BatchNorm2d():eval() end },
    { "BatchNorm2d and ReLU", { 3, 4, 4 }, function() return nn.Sequential { nn.BatchNorm2d(), nn.ReLU() } end },
    { "LayerNorm", { 6 }, function() return nn.LayerNorm() end },
    { "GroupNorm", { 4, 3, 3 }, function() return nn.GroupNorm(2) end },
    { "PReLU", { 6 }, function() return nn.PReLU() end },
    { "Dropout", { 6 }, function() return nn.Dropout(0.5) end },
    { "Dropout2d", { 4, 3, 3 }, function() return nn.Dropout2d(0.5) end },
    { "GaussianNoise", { 6 }, function() return nn.GaussianNoise(0.3) end },
    { "Reshape", { 6 }, function() return nn.Reshape(2, 3) end },
    { "Permute", { 2, 3, 2 }, function() return nn.Permute(3, 1, 2) end },
    { "Flatten", { 2, 3 }, function() return nn.Flatten() end },
    { "Residual", { 6 }, function() return nn.Residual { nn.Linear(6), nn.Tanh() } end },
    { "Parallel", { 6 }, function() return nn.Parallel { nn.Linear(6), nn.Tanh(), join = "mean" } end },
    { "Concat", { 6 }, function() return nn.Concat { nn.Linear(4), nn.Tanh() } end },
    { "ReLU", { 6 }, function() return nn.ReLU() end }, { "LeakyReLU", { 6 }, function() return nn.LeakyReLU() end },
    { "ELU", { 6 }, function() return nn.ELU() end }, { "GELU", { 6 }, function() return nn.GELU() end },
    { "SiLU", { 6 }, function() return nn.SiLU() end }, { "Sigmoid", { 6 }, function() return nn.Sigmoid() end },
    { "Tanh", { 6 }, function() return nn.Tanh() end }, { "Softmax", { 6 }, function() return nn.Softmax() end },
    { "LogSoftmax", { 6 }, function() return nn.LogSoftmax() end },
    { "Identity", { 6 }, function() return nn.Identity() end },
  }
end

-- The gradient of sum(r y) in x beside central differences along a few directions.
local function check_input_gradient(name, shape, make)
  local function run(x, r)
    core.manual_seed(7)
    local model = make():build(shape)
    core.manual_seed(7)
    local y = model(x)
    return (y * (r or core.ones(y.shape))):sum(), y
  end
  core.manual_seed(21)
  local x = core.randn(5, table.unpack(shape)):requires_grad_()
  local _, y = run(x)
  core.manual_seed(22)
  local r = core.randn(y.shape)
  run(x, r):backward()
  lu.assertEquals(x.grad.shape, x.shape, name)
  for seed = 1, 3 do
    core.manual_seed(30 + seed)
    local direction, h = core.randn(x.shape), 1e-3
    local up, down = run(x:detach() + direction * h, r), run(x:detach() - direction * h, r)
    local expected = (up:item() - down:item()) / (2 * h)
    lu.assertAlmostEquals((x.grad * direction):sum():item(), expected, 0.02 * (1 + math.abs(expected)), name)
  end
end

function TestLayers.testInputGradientsReachEveryLayersInput()
  for _, maker in ipairs(makers()) do check_input_gradient(table.unpack(maker)) end
end

function TestLayers.testInputGradientsOfAFrozenModel()
  local model = nn.Sequential { nn.Linear(6), nn.BatchNorm1d(), nn.ReLU(), nn.LayerNorm(), nn.PReLU(), nn.Linear(3) }
    :build(4):requires_grad_(false):eval()
  local x = core.randn(3, 4):requires_grad_()
  model(x):sum():backward()
  assert_close("finite", (x.grad - x.grad), core.zeros(3, 4), 0)
  lu.assertNil(model[1].weight.grad)
  lu.assertNil(model[2].bias.grad)
end
