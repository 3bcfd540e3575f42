-- ml.show: which values are pictures, and as what they are drawn.
local core = require "mnistlua.core"
local lu = require "luaunit"
local ml = require "mnistlua"
local picture = require "mnistlua.picture"
local show = require "mnistlua.picture.show"

TestShow = {}

local function plain(options)
  options.mode, options.width = "ascii", 80
  return options
end

-- What a value is drawn as: value, options of show, tensor, options of picture.text.
function TestShow.testTensors()
  local pixels, matrix, kernels = core.rand(3, 784), core.rand(20, 64), core.rand(6, 4, 3, 3)
  local weights = core.randn(5, 784)
  local cases = {
    { pixels, {}, pixels:reshape(3, 28, 28), {} },
    { pixels[2], {}, pixels[2]:reshape(1, 28, 28), {} },
    { core.concat({ pixels, pixels }, 1), {}, core.concat({ pixels, pixels }, 1):reshape(6, 28, 28), { scale = 0.5 } },
    { matrix, {}, matrix:reshape(1, 20, 64), {} },
    { matrix, { shape = { 8, 8 }, n = 4 }, matrix:rows(1, 4):reshape(4, 8, 8), {}, "and 16 more\n" },
    { matrix[1], {}, matrix[1]:reshape(1, 1, 64), {} },
    { kernels, {}, kernels:reshape(24, 3, 3), { scale = 3, columns = 4 } },
    { weights, { n = 2 }, weights:rows(1, 2):reshape(2, 28, 28), { signed = true }, "and 3 more\n" },
    { weights, { signed = false, scale = 1 }, weights:reshape(5, 28, 28), {} },
    { core.rand(2, 3, 9, 9), {}, nil },
  }
  for i, case in ipairs(cases) do
    local found = show.text(case[1], plain(case[2]))
    if case[3] then
      lu.assertEquals(found, picture.text(case[3], plain(case[4])) .. (case[5] or ""), "case " .. i)
    else
      lu.assertIsString(found)
    end
  end
end

-- The pixels of a normalised batch are hardly below zero: grey. Weights are on both sides of it.
function TestShow.testSigned()
  local batch = core.tensor { { -0.4, 0, 2.8 } }
  lu.assertEquals(show.text(batch, plain {}), picture.text(batch, plain { scale = 3 }))
  lu.assertEquals(show.text(batch * -1, plain {}), picture.text(batch * -1, plain { signed = true, scale = 3 }))
end

function TestShow.testSamplesAndDataSets()
  local data = ml.data.digits { n = 40, test = 3 }
  local sample = data.train[5]
  local title = "label " .. sample.label
  lu.assertEquals(show.text(sample, plain {}), picture.text(sample.image, plain { titles = { title } }))
  lu.assertStrContains(show.text(data, plain { n = 2 }), "and 38 more\n")
  lu.assertStrContains(show.text(data.train, plain {}), "and 8 more\n")
  local titles = show.text(data.test, plain {}):match "^[^\n]*"
  lu.assertEquals({ titles:match "^(%d) +(%d)$" }, { tostring(data.test[1].label), tostring(data.test[2].label) })
  local colours = ml.data.tensors { x = core.zeros({ 2, 3, 4, 4 }, "u8"), y = core.zeros({ 2 }, "i32") }
  lu.assertIsString(show.text(colours.train[1], plain {}))
  lu.assertIsString(show.text(colours, plain {}))
  local numbers = ml.data.tensors { x = core.rand(2, 5), y = core.zeros({ 2 }, "i32") }
  lu.assertNil(show.text(numbers, plain {}))
end

function TestShow.testModules()
  ml.manual_seed(1)
  local layer = ml.nn.Linear(784, 4)
  local model = ml.nn.Sequential { ml.nn.Flatten(), layer, ml.nn.ReLU() }
  lu.assertEquals(show.text(model, plain {}), show.text(layer.weight, plain {}))
  lu.assertNil(show.text(ml.nn.ReLU(), plain {}))
  lu.assertTrue(layer.weight.requires_grad)
end

function TestShow.testAnythingElse()
  for _, value in ipairs { "text", 3, true, {}, { image = 3 }, print, core.tensor(3), core.zeros(0, 4) } do
    lu.assertNil(show.text(value, plain {}))
    lu.assertFalse(show.is_picture(value))
  end
  lu.assertNil(show.text(nil))
end

function TestShow.testIsPicture()
  lu.assertTrue(show.is_picture(core.zeros({ 28, 28 }, "u8")))
  lu.assertTrue(show.is_picture(ml.data.digits { n = 2 }[1]))
  lu.assertTrue(show.is_picture(core.zeros({ 5, 3, 8, 8 }, "u8")))
  lu.assertFalse(show.is_picture(core.zeros({ 5, 2 }, "u8")))
  lu.assertFalse(show.is_picture(core.zeros(28, 28)))
end

function TestShow.testMistakes()
  local t = core.zeros(4, 4)
  local cases = {
    { { n = 0 }, "n is 0; expected" }, { { colums = 3 }, "did you mean 'columns'" }, { { shape = 3 }, "shape" },
  }
  for _, case in ipairs(cases) do
    local ok, problem = pcall(show.text, t, case[1])
    lu.assertFalse(ok)
    lu.assertStrContains(problem, case[2])
  end
end
