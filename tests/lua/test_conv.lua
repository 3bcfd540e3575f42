-- Convolution and pooling layers: values against PyTorch's (tests/golden), settings, inferred channels, images without
-- channels, fusion with ReLU, messages.
local lu = require "luaunit"
local aid = require "core_aid"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"
local numbers = require "numbers_aid"

local golden = numbers.golden

TestConv = {}

function TestConv.testConv2dIsPyTorchs()
  for _, case in ipairs(golden "conv2d") do
    local kernel = { #case.w[1][1], #case.w[1][1][1] }
    local layer = nn.Conv2d(#case.w, kernel, { stride = case.stride, padding = case.padding, groups = case.groups })
    layer:load_state_dict { weight = core.tensor(case.w), bias = core.tensor(case.b) }
    local x = core.tensor(case.x):requires_grad_()
    local y = layer(x)
    lu.assertEquals(y.shape, core.tensor(case.y).shape, case.name)
    lu.assertEquals(layer:output_shape(table.unpack(x.shape, 2)), { table.unpack(y.shape, 2) }, case.name)
    numbers.assert_close(case.name, y, case.y, 2e-6);
    (y * core.tensor(case.dy)):sum():backward()
    numbers.assert_close(case.name, x.grad, case.dx, 2e-6)
    numbers.assert_close(case.name, layer.weight.grad, case.dw, 2e-6)
    numbers.assert_close(case.name, layer.bias.grad, case.db, 2e-6)
  end
end

function TestConv.testPoolingIsPyTorchs()
  for _, case in ipairs(golden "pooling") do
    local layer, x = nn[case.layer](case.options), core.tensor(case.x):requires_grad_()
    local y = layer(x)
    lu.assertEquals(y.shape, core.tensor(case.y).shape, tostring(layer))
    lu.assertEquals(layer:output_shape(table.unpack(x.shape, 2)), { table.unpack(y.shape, 2) }, tostring(layer))
    numbers.assert_close(tostring(layer), y, case.y, 2e-6);
    (y * core.tensor(case.dy)):sum():backward()
    numbers.assert_close(tostring(layer), x.grad, case.dx, 2e-6)
  end
end

function TestConv.testArguments()
  local cases = {
    { nn.Conv2d(8, 3), "nn.Conv2d(8, 3)" },
    { nn.Conv2d(4, 8, 3), "nn.Conv2d(4, 8, 3)" },
    { nn.Conv2d(4, 8, 3, 2, 1), "nn.Conv2d(4, 8, 3, { stride = 2, padding = 1 })" },
    { nn.Conv2d(8, { 3, 5 }), "nn.Conv2d(8, { 3, 5 })" },
    { nn.Conv2d { 8, { 3, 5 }, groups = 2 }, "nn.Conv2d(8, { 3, 5 }, { groups = 2 })" },
    { nn.Conv2d(8, { kernel_size = 3 }), "nn.Conv2d(8, 3)" },
    { nn.Conv2d(4, 8, { kernel_size = 3 }), "nn.Conv2d(4, 8, 3)" },
    { nn.Conv2d { in_channels = 4, out_channels = 8, kernel_size = 3 }, "nn.Conv2d(4, 8, 3)" },
    { nn.Conv2d(8, 3, { padding = "same", bias = false }),
      'nn.Conv2d(8, 3, { padding = "same", bias = false })' },
    { nn.Conv2d(8, 3, { padding = "valid", init = "kaiming" }), 'nn.Conv2d(8, 3, { init = "kaiming" })' },
    { nn.MaxPool2d(2), "nn.MaxPool2d(2)" },
    { nn.MaxPool2d(3, 2, 1), "nn.MaxPool2d(3, { stride = 2, padding = 1 })" },
    { nn.MaxPool2d { kernel_size = { 3, 2 } }, "nn.MaxPool2d({ 3, 2 })" },
    { nn.MaxPool2d { 2, 2 }, "nn.MaxPool2d(2)" },
    { nn.AvgPool2d(2, { count_include_pad = false }), "nn.AvgPool2d(2, { count_include_pad = false })" },
    { nn.AdaptiveAvgPool2d(1), "nn.AdaptiveAvgPool2d(1)" },
    { nn.AdaptiveAvgPool2d { 2, 3 }, "nn.AdaptiveAvgPool2d({ 2, 3 })" },
  }
  for _, case in ipairs(cases) do lu.assertEquals(tostring(case[1]), case[2]) end
end

function TestConv.testImagesWithoutChannels()
  local model = nn.Sequential { nn.Conv2d(3, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(2) }:build(9, 11)
  local x = core.randn(4, 9, 11)
  lu.assertEquals(model(x):totable(), model(x:reshape(4, 1, 9, 11)):totable())
  local pool = nn.MaxPool2d(2)
  lu.assertEquals(pool(x):totable(), pool(x:reshape(4, 1, 9, 11)):reshape(4, 4, 5):totable())
end

function TestConv.testSummary()
  local model = nn.Sequential { nn.Conv2d(16, 3, { padding = "same" }), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 3, { groups = 16 }), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10) }
  local text = model:summary { 28, 28 }
  for _, row in ipairs { "16x28x28 +160", "16x14x14 +0", "32x12x12 +320", "32x1x1 +0", "10 +330", "total: 810" } do
    lu.assertStrMatches(text:gsub("\n", " "), ".*" .. row .. ".*")
  end
end

function TestConv.testStateDict()
  local a = nn.Sequential { nn.Conv2d(2, 6, { 3, 2 }, { groups = 2 }) }
  lu.assertEquals(a:state_dict()["0.weight"].shape, { 6, 1, 3, 2 })
  lu.assertEquals(a:state_dict()["0.bias"].shape, { 6 })
  local b = nn.Sequential { nn.Conv2d(6, { 3, 2 }, { groups = 2 }) }:load_state_dict(a:state_dict())
  lu.assertEquals(b[1].in_channels, 2)
  lu.assertEquals(b[1].weight:totable(), a[1].weight:totable())
  lu.assertErrorMsgContains("has no sizes yet", function()
    nn.Conv2d(6, 3, { groups = 2 }):load_state_dict(a[1]:state_dict())
  end)
end

-- fan_in is in / groups * kh * kw, for weights and biases.
function TestConv.testInitialisation()
  local seen
  nn.Conv2d(8, 6, { 3, 5 }, { groups = 2, bias = false, init = function(_, fan_in, fan_out)
    seen = { fan_in, fan_out }
  end })
  lu.assertEquals(seen, { 60, 90 })
  local layer, bound = nn.Conv2d(8, 64, 5), 1 / math.sqrt(200)
  for _, p in ipairs { layer.weight, layer.bias } do
    lu.assertTrue(p:abs():max():item() <= bound)
    lu.assertTrue(p:abs():max():item() > 0.9 * bound)
  end
end

-- What the gradients of a model's parameters and inputs are by the sum of its outputs' squares, and the outputs.
local function gradients(model, forward, x)
  model:zero_grad()
  x.grad = nil
  local y = forward(x)
  core.mul(y, y):sum():backward()
  local list = { y:totable(), x.grad:totable() }
  for _, p in model:named_parameters() do list[#list + 1] = p.grad:totable() end
  return list
end

function TestConv.testFusedNeighboursGiveTheSameBits()
  local model = nn.Sequential { nn.Conv2d(7, 3), nn.ReLU(), nn.Conv2d(40, 3, { padding = 1 }), nn.ReLU(),
    nn.Conv2d(12, 3, { bias = false, stride = 2 }), nn.ReLU(), nn.Flatten(), nn.Linear(3) }:build { 2, 11, 9 }
  local x = core.randn(5, 2, 11, 9):requires_grad_()
  local function one_by_one(v)
    for i = 1, #model do v = model[i](v) end
    return v
  end
  lu.assertEquals(gradients(model, model, x), gradients(model, one_by_one, x))
end

function TestConv.testReplacedForwardIsNotFused()
  local Doubled = nn.Conv2d:extend "Doubled"
  function Doubled:forward(x) return nn.Conv2d.forward(self, x) * 2 end
  local layer = Doubled(1, 1, 1, { bias = false })
  layer.weight:fill_(3)
  lu.assertEquals(nn.Sequential { layer, nn.ReLU() }(core.ones(1, 1, 1)):item(), 6)
end

function TestConv.testMessages()
  local x = core.ones(2, 3, 8, 8)
  local cases = {
    { "nn.Conv2d: needs kernel_size, a whole number >= 1 or { h, w }", function() nn.Conv2d(32) end },
    { "nn.Conv2d: kernel_size is 0; expected a whole number >= 1 or { h, w }", function() nn.Conv2d(32, 0) end },
    { "nn.Conv2d: kernel_size is { 3, 2.5 }; expected", function() nn.Conv2d(32, { 3, 2.5 }) end },
    { "nn.Conv2d: kernel_size is { 3 }; expected", function() nn.Conv2d(32, { 3 }) end },
    { "nn.Conv2d: stride is 0; expected", function() nn.Conv2d(32, 3, { stride = 0 }) end },
    { "nn.Conv2d: stride is { 1, 0 }; expected", function() nn.Conv2d(32, 3, { stride = { 1, 0 } }) end },
    { "nn.Conv2d: padding is 'sane'; expected a whole number >= 0, { h, w }, \"same\" or \"valid\"; did you mean "
      .. "'same'?", function() nn.Conv2d(32, 3, { padding = "sane" }) end },
    { "nn.Conv2d: padding is -1; expected", function() nn.Conv2d(32, 3, { padding = -1 }) end },
    { 'nn.Conv2d: padding = "same" needs a stride of 1, got 2',
      function() nn.Conv2d(32, 3, { padding = "same", stride = 2 }) end },
    { "nn.Conv2d: unknown option 'kernel'; did you mean 'kernel_size'?", function() nn.Conv2d(8, { kernel = 3 }) end },
    { "nn.Conv2d: groups is 5, which does not divide 32 output channels",
      function() nn.Conv2d(32, 3, { groups = 5 }) end },
    { "nn.Conv2d: groups is 2, which does not divide 3 input channels",
      function() nn.Conv2d(3, 32, 3, { groups = 2 }) end },
    { "nn.Conv2d(32, 3, { groups = 2 }) expects a multiple of 2 channels, its groups, but receives 3 (input 2x3x8x8",
      function() nn.Conv2d(32, 3, { groups = 2 })(x) end },
    { "nn.Conv2d(1, 6, 3) expects 1 channel but receives 3 (input 2x3x8x8",
      function() nn.Conv2d(1, 6, 3)(x) end },
    { "nn.Conv2d(6, 9) expects images of at least 9x9 but receives 8x8 (samples of 3x8x8",
      function() nn.Conv2d(6, 9):output_shape { 3, 8, 8 } end },
    { "nn.MaxPool2d(5) expects images of at least 5x5 but receives 4x4 (3x4x4 from nn.MaxPool2d",
      function() nn.Sequential { nn.MaxPool2d(2), nn.MaxPool2d(5) }(x) end },
    { "nn.Conv2d(6, 3) expects images (channels x height x width, or height x width) but receives 784 (from nn.Flatten",
      function() nn.Sequential { nn.Flatten(), nn.Conv2d(6, 3) }:build { 28, 28 } end },
    { "nn.AvgPool2d(2) expects images", function() nn.AvgPool2d(2)(core.ones(2, 8)) end },
    { "nn.AdaptiveAvgPool2d(1) expects images", function() nn.AdaptiveAvgPool2d(1)(core.ones(2, 8)) end },
    { "nn.MaxPool2d: { 3, 2 } may be a kernel of h x w, or kernel and stride", function() nn.MaxPool2d { 3, 2 } end },
    { "nn.MaxPool2d: padding is 2; expected at most half of the kernel, 3", function() nn.MaxPool2d(3, 2, 2) end },
    { "nn.MaxPool2d: needs kernel_size", function() nn.MaxPool2d() end },
    { "nn.MaxPool2d: unknown option 'count_include_pad'",
      function() nn.MaxPool2d(2, { count_include_pad = true }) end },
    { "nn.AvgPool2d: count_include_pad is 1; expected a boolean",
      function() nn.AvgPool2d(2, { count_include_pad = 1 }) end },
    { "nn.AdaptiveAvgPool2d: output_size is { 1, 0 }; expected a whole number >= 1 or { h, w }",
      function() nn.AdaptiveAvgPool2d { 1, 0 } end },
    { "nn.AdaptiveAvgPool2d: output_size is { 1, 2, 3 }; expected", function() nn.AdaptiveAvgPool2d { 1, 2, 3 } end },
  }
  for _, case in ipairs(cases) do aid.assert_raises(case[1], case[2]) end
end

-- The operations as scripts call them by hand.
function TestConv.testByHand()
  local x, w = core.ones(2, 1, 4, 4), core.ones(1, 1, 3, 3)
  lu.assertEquals(x:conv2d(w).shape, { 2, 1, 2, 2 })
  lu.assertEquals(x:conv2d(w, core.full({ 1 }, 0.5), { padding = "same" })[1][1]:totable()[1], { 4.5, 6.5, 6.5, 4.5 })
  lu.assertEquals(x:conv2d(w, nil, { stride = { 2, 1 }, padding = { 1, 0 } }).shape, { 2, 1, 2, 2 })
  lu.assertEquals(core.conv2d_relu(x, -w):sum():item(), 0)
  lu.assertEquals(x:max_pool2d(2).shape, { 2, 1, 2, 2 })
  lu.assertEquals(x:avg_pool2d({ 4, 2 }, { stride = 1, padding = 1 })[1][1]:totable()[1],
    { 0.375, 0.75, 0.75, 0.75, 0.375 })
  lu.assertEquals(x:adaptive_avg_pool2d(1):totable(), { { { { 1 } } }, { { { 1 } } } })
  for _, case in ipairs {
    { "conv2d: a kernel of 3x3 is larger than the images, 2x4 with their padding",
      function() core.ones(1, 1, 2, 4):conv2d(w) end },
    { "conv2d: unknown padding 'sam'; did you mean 'same'?", function() x:conv2d(w, nil, { padding = "sam" }) end },
    { "conv2d: the stride is 0x1; expected 1 to 65536", function() x:conv2d(w, nil, { stride = { 0, 1 } }) end },
    { "unknown option 'pading'; did you mean 'padding'?", function() x:conv2d(w, nil, { pading = 1 }) end },
    { "max_pool2d: the padding 2x2 is more than half of the kernel, 3x3",
      function() x:max_pool2d(3, { padding = 2 }) end },
    { "unknown option 'count_include_pad'", function() x:max_pool2d(3, { count_include_pad = true }) end },
    { "adaptive_avg_pool2d: the output's size is 0x0; expected 1 to 32767",
      function() x:adaptive_avg_pool2d(0) end },
  } do aid.assert_raises(case[1], case[2]) end
end

function TestConv.testHostileArguments()
  local x, w = core.ones(2, 1, 4, 4), core.ones(1, 1, 3, 3)
  for _, name in ipairs { "conv2d", "conv2d_relu", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d" } do
    aid.torment(core[name])
    aid.torment(core[name], x)
    aid.torment(core[name], x, w)
    for _, option in ipairs { "stride", "padding", "groups", "count_include_pad" } do
      aid.torment(function(v) return core[name](x, w, nil, { [option] = v }) end)
      aid.torment(function(v) return core[name](x, 2, { [option] = v }) end)
    end
  end
end

-- No step after the first ones asks the system for memory, however large the images are.
function TestConv.testSteadySteps()
  if core.memory().cached == 0 then lu.skip "built to give every freed block back, for a sanitizer" end
  local model = nn.Sequential { nn.Conv2d(64, 1), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(16, 3), nn.ReLU(),
    nn.AvgPool2d(2), nn.Flatten(), nn.Linear(10) }:build { 28, 28 }
  local x, y = core.randn(200, 28, 28), core.zeros({ 200 }, "i32")
  local function step(i)
    core.step_begin(1, i)
    model:zero_grad()
    nn.CrossEntropyLoss()(model(x), y):backward()
  end
  for i = 1, 4 do step(i) end
  local before = core.memory()
  for i = 5, 8 do step(i) end
  lu.assertEquals(core.memory().system_calls, before.system_calls)
  core.step_end()
end
