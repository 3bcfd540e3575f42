-- ml.predictor against the model itself in evaluation, on normalised pixels.
local lu = require "luaunit"
local core = require "mnistlua.core"
local ml = require "mnistlua"
local nn = ml.nn

TestPredictor = {}

function TestPredictor:setUp() ml.manual_seed(5) end

local normalise = { 0.1307, 0.3081 }

local function pictures(n, shape)
  local values = {}
  local size = 1
  for _, each in ipairs(shape) do size = size * each end
  for i = 1, n * size do values[i] = i % 5 == 0 and i * 37 % 256 or 0 end
  return ml.tensor(values, "u8"):reshape(n, table.unpack(shape))
end

local function trained(model, shape)
  model:build(shape):train()
  for _ = 1, 3 do model(ml.randn(16, table.unpack(shape))) end
  return model:eval()
end

-- The largest difference of two tensors.
local function distance(a, b) return (a - b):abs():max():item() end

local function check(model, shape, expected)
  trained(model, shape)
  local pixels = pictures(4, shape)
  local x = (pixels:to "f32" / 255 - normalise[1]) / normalise[2]
  local want = (expected or function(y) return y:softmax(-1) end)(model(x))
  local p = ml.predictor(model, { shape = shape, normalise = normalise })
  local got = p:probabilities(pixels)
  lu.assertEquals(got.shape, want.shape)
  lu.assertTrue(distance(got, want) < 1e-5)
  lu.assertTrue(distance(p:probabilities(pixels[2]), want[2]:reshape(1, -1)) < 1e-5)
  lu.assertTrue(distance(p:probabilities(pixels:to "f32" / 255), want) < 1e-5)
end

function TestPredictor:testAnMLP()
  check(nn.Sequential { nn.Flatten(), nn.Linear(32), nn.ReLU(), nn.Linear(16, { bias = false }), nn.BatchNorm1d(),
    nn.ReLU(), nn.Dropout(0.5), nn.Linear(10) }, { 9, 8 })
end

function TestPredictor:testAFirstLayerWithoutBias()
  check(nn.Sequential { nn.Flatten(), nn.Linear(6, { bias = false }) }, { 4, 4 })
end

function TestPredictor:testConvolutions()
  check(nn.Sequential { nn.Conv2d(6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(),
    nn.Conv2d(8, 4, { padding = "same" }), nn.PReLU(8), nn.AvgPool2d(2, 2, 1), nn.LeakyReLU(0.1),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5) },
    { 14, 14 })
end

function TestPredictor:testPaddingKeepsTheNormalisationApart()
  check(nn.Sequential { nn.Conv2d(6, 5, { padding = "same", bias = false }), nn.MaxPool2d(2), nn.BatchNorm2d(),
    nn.ELU(), nn.Flatten(), nn.Linear(5), nn.LogSoftmax() }, { 8, 8 }, function(y) return y:exp() end)
end

function TestPredictor:testAModelOfItsOwn()
  local Twice = nn.Module "Twice"
  function Twice.forward(_, x) return x * 2 end
  local model = nn.Sequential { nn.Flatten(), Twice(), nn.Linear(4), nn.Softmax() }
  check(model, { 4, 4 }, function(y) return y:softmax(-1) end)
end

function TestPredictor:testAModelThatEndsInProbabilities()
  check(nn.Sequential { nn.Flatten(), nn.Linear(4), nn.Softmax() }, { 4, 4 }, function(y) return y end)
end

function TestPredictor:testWeightsOfItsOwn()
  local model = trained(nn.Sequential { nn.Flatten(), nn.Linear(4) }, { 4, 4 })
  local p = ml.predictor(model, { shape = { 4, 4 } })
  local pixels = pictures(1, { 4, 4 })
  local before = p:probabilities(pixels):clone()
  model[2].weight:fill_(0)
  lu.assertEquals(p:probabilities(pixels):totable(), before:totable())
end

-- Training may go on around it: gradients are recorded as before.
function TestPredictor:testRecordingStaysAsItWas()
  local model = trained(nn.Sequential { nn.Flatten(), nn.Linear(4) }, { 4, 4 })
  local p = ml.predictor(model, { shape = { 4, 4 } })
  lu.assertErrorMsgContains("expected pixels of 4x4, or several of them, got 3x3", p.probabilities, p,
    pictures(1, { 3, 3 })[1])
  local was = core.recording(true)
  core.recording(was)
  p:probabilities(pictures(1, { 4, 4 }))
  lu.assertEquals(core.recording(was), was)
end

function TestPredictor:testNoPictures()
  local p = ml.predictor(trained(nn.Sequential { nn.Flatten(), nn.Linear(4) }, { 3, 2 }), { shape = { 3, 2 } })
  lu.assertEquals(p:probabilities(ml.zeros(0, 3, 2)).shape, { 0, 4 })
  lu.assertEquals(p:probabilities(ml.zeros(3, 2)).shape, { 1, 4 })
  lu.assertEquals(p:probabilities(ml.zeros(1, 3, 2)).shape, { 1, 4 })
end

function TestPredictor:testPixelsOfOtherSizes()
  local p = ml.predictor(trained(nn.Sequential { nn.Flatten(), nn.Linear(4) }, { 3, 2 }), { shape = { 3, 2 } })
  local function refused(pixels, got)
    lu.assertErrorMsgContains("expected pixels of 3x2, or several of them, got " .. got, p.probabilities, p, pixels)
  end
  refused(ml.zeros(2, 3), "2x3")
  refused(ml.zeros(6), "6")
  refused(ml.zeros(1, 1, 3, 2), "1x1x3x2")
  refused(ml.zeros {}, "scalar")
  refused(7, "7")
  refused(nil, "nil")
end

function TestPredictor:testMisuse()
  lu.assertErrorMsgContains("expected a model, got 3", ml.predictor, 3, { shape = { 2 } })
  lu.assertErrorMsgContains("shape", ml.predictor, nn.Sequential { nn.Linear(2) }, {})
end
