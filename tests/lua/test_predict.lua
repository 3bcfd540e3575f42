-- Pictures of digits as people make them, prepared and classified: drawn by strokes_aid, plain and as photographed,
-- read by a network trained here on MNIST, or on synthetic digits where MNIST is not there. Also what is described of
-- a data set, and models that no picture fits.
local lu = require "luaunit"
local aid = require "core_aid"
local classify = require "mnistlua.inspect.classify"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local described = require "mnistlua.data.described"
local ml = require "mnistlua"
local strokes = require "strokes_aid"
local nn = ml.nn

local reader, source     -- made once, by the first test that needs them

local function training_data()
  local data = ml.data.mnist { n = 10000 } or ml.data.digits { n = 10000 }
  context.last_fault = nil
  source = data.name
  return data
end

local function trained_reader()
  if reader then return reader end
  ml.manual_seed(3)
  local data = training_data()
  local model = nn.Sequential { nn.Flatten(), nn.Linear(128), nn.ReLU(), nn.Linear(10) }:build { 28, 28 }
  local optimizer, loss = ml.optim.AdamW(model:parameters(), { lr = 2e-3 }), nn.CrossEntropyLoss()
  for epoch = 1, 3 do
    optimizer.lr = 2e-3 * 0.4 ^ (epoch - 1)
    for x, y in data:batches { batch = 100, shuffle = true, seed = 1, epoch = epoch } do
      core.scope(function()
        optimizer:zero_grad()
        loss(model(x), y):backward()
        optimizer:step()
      end)
    end
  end
  reader = assert(classify.new(model, described.of(data)))
  return reader
end

local function on_mnist() return trained_reader() and source == "mnist" end

-- How many of n drawn digits are read right.
local function count_right(n, seed, photo)
  local r, right = strokes.random(seed), 0
  for i = 1, n do
    local digit = i % 10
    local picture = strokes.draw(digit, strokes.options(r, photo), r)
    local result = trained_reader():classify(assert(core.decode_png(strokes.png(picture, i % 3 == 0))))
    if result and result.ranking[1] == digit then right = right + 1 end
  end
  return right
end

TestPredict = {}

-- Of 60 each, after training on 10,000 of MNIST's digits: 58 plain and 58 photographed; on synthetic ones: 54 and 52.
function TestPredict:testDrawnDigits() lu.assertTrue(count_right(60, 1, false) >= (on_mnist() and 56 or 50)) end

function TestPredict:testPhotographedDigits() lu.assertTrue(count_right(60, 2, true) >= (on_mnist() and 56 or 48)) end

function TestPredict:testResult()
  local r = strokes.random(9)
  local grey = core.decode_png(strokes.png(strokes.draw(3, strokes.options(r), r)))
  local result = assert(trained_reader():classify(grey))
  lu.assertEquals(result.picture.shape, { 28, 28 })
  lu.assertEquals(result.picture.dtype, "u8")
  lu.assertEquals(#result.probabilities, 10)
  local sum, p = 0, result.probabilities
  for _, each in ipairs(p) do sum = sum + each end
  lu.assertAlmostEquals(sum, 1, 1e-5)
  for i = 2, 10 do lu.assertTrue(p[result.ranking[i - 1] + 1] >= p[result.ranking[i] + 1]) end
  lu.assertNil(result.names)
  lu.assertEquals(trained_reader():classify(grey).probabilities, p)
end

-- The model on a prepared picture is what it would say of a sample of its data set.
function TestPredict:testNormalisation()
  local r = trained_reader()
  local grey = core.decode_png(strokes.png(strokes.draw(7, strokes.options(strokes.random(4)), strokes.random(5))))
  local picture = core.prepare_digit(grey)
  local mean, std = table.unpack(r.described.normalise)
  local want = r.model(((picture:to "f32" / 255 - mean) / std):reshape(1, 28, 28)):softmax(-1)[1]:totable()
  lu.assertEquals(r:classify(grey).probabilities, want)
end

function TestPredict:testWhitePaper()
  local d = { shape = { 28, 28 }, normalise = { 0, 1 }, classes = 2, paper = "white" }
  local model = nn.Sequential { nn.Flatten(), nn.Linear(784, 2, { bias = false }) }
  model:load_state_dict { { "1.weight", ml.concat({ ml.full({ 1, 784 }, 0.01), ml.zeros(1, 784) }, 1) } }
  local grey = core.decode_png(strokes.png(strokes.draw(1, strokes.options(strokes.random(4)), strokes.random(5))))
  local white = assert(classify.new(model, d)):classify(grey).probabilities[1]
  d.paper = "black"
  local black = assert(classify.new(model, d)):classify(grey).probabilities[1]
  lu.assertTrue(white > 0.99 and black < 0.95)
end

-- A picture goes the way that the training pictures went.
function TestPredict:testDeskewedData()
  local model = nn.Sequential { nn.Flatten(), nn.Linear(10) }:build { 28, 28 }
  for _, way in ipairs { "centre", "deskew" } do
    local plain = ml.data.digits { n = 20, seed = 4 }
    local data = plain[way](plain)
    local reader_of_them = assert(classify.new(model, described.of(data)))
    local want = {}
    for x in data:batches { batch = 20 } do want = model(x):softmax(-1):totable() end
    for i = 1, 20 do
      local p = reader_of_them:probabilities(plain[i].image)
      for c = 1, 10 do lu.assertAlmostEquals(p[c], want[i][c], 1e-5) end
    end
  end
  local entries = described.entries(ml.data.digits { n = 5 }:deskew())
  entries["mnistlua.straightened"] = "something else"
  lu.assertNil(described.read(entries).straightened)
end

function TestPredict:testNoInk()
  local result, problem = trained_reader():classify(core.full({ 50, 40 }, 200, "u8"))
  lu.assertNil(result)
  lu.assertStrContains(problem, "no ink: expected a digit that differs from the paper around it")
end

function TestPredict:testModelsOfOtherShapes()
  local function refused(shape, model, part)
    local got, problem = classify.new(model:build(shape), { shape = shape, normalise = { 0, 1 }, classes = 10 })
    lu.assertNil(got)
    lu.assertStrContains(problem, part)
  end
  local flat = nn.Sequential { nn.Flatten(), nn.Linear(10) }
  refused({ 3, 32, 32 }, flat, "it takes samples of 3x32x32, and a picture is prepared as 28x28 grey pixels")
  refused({ 28, 28 }, nn.Sequential { nn.Linear(28, 4) }, "its output is 28x4, expected a score for each of 10 classes")
  local got, problem = classify.new(flat, nil)
  lu.assertNil(got)
  lu.assertStrContains(problem, "numbers that are no bytes")
  for _, shape in ipairs { { 784 }, { 28, 28 }, { 1, 28, 28 } } do
    local model = nn.Sequential { nn.Flatten(), nn.Linear(10) }:build(shape)
    lu.assertNotNil(classify.new(model, { shape = shape, normalise = { 0, 1 }, classes = 10 }))
  end
end

-- ---- the core's functions ----

function TestPredict:testCore()
  aid.assert_raises("expected a picture of bytes (u8, height x width), got a Tensor", core.prepare_digit,
    core.zeros(28, 28))
  aid.assert_raises("expected a picture of bytes", core.prepare_digit, core.full({ 2, 28, 28 }, 0, "u8"))
  aid.assert_raises("expected a Tensor, got 3", core.prepare_digit, 3)
  local grey, problem = core.decode_png ""
  lu.assertNil(grey)
  lu.assertEquals(problem, "expected a PNG file, but it is empty")
  grey, problem = core.read_png "/nowhere.png"
  lu.assertNil(grey)
  lu.assertStrContains(problem, "/nowhere.png: ")
  local picture = { width = 3, height = 2, bytes = "\1\2\3\253\254\255" }
  lu.assertEquals(core.decode_png(strokes.png(picture)):totable(), { { 1, 2, 3 }, { 253, 254, 255 } })
  lu.assertEquals(core.decode_png(strokes.png(picture, true)):totable(), { { 1, 2, 3 }, { 253, 254, 255 } })
end

-- ---- descriptions ----

TestDescribed = {}

function TestDescribed:testWrittenAndRead()
  local data = ml.data.digits { n = 50 }
  local d = described.of(data)
  lu.assertEquals(d.shape, { 28, 28 })
  lu.assertEquals(d.normalise, data.train.normalise)
  lu.assertEquals(d.classes, 10)
  lu.assertEquals(d.paper, "black")
  lu.assertNil(d.class_names)
  data.train.class_names = { "a", "b\"\27", "c", "d", "e", "f", "g", "h", "i", "\u{e9}" }
  lu.assertEquals(described.of(data).class_names, data.train.class_names)
  local floats = ml.data.tensors { x = ml.zeros(4, 3), y = { 0, 1, 0, 1 } }
  lu.assertNil(described.of(floats))
end

function TestDescribed:testDamaged()
  local good = described.entries(ml.data.digits { n = 50 })
  lu.assertNotNil(described.read(good))
  for _, bad in ipairs {
    { "sample_shape", nil }, { "sample_shape", "28xtall" }, { "sample_shape", "0x3" }, { "sample_shape", "1x2x3x4" },
    { "sample_shape", "99999x1" }, { "normalise", "0.1" }, { "normalise", "0.1 0" }, { "normalise", "a b" },
    { "normalise", "0.1 nan" }, { "classes", "" }, { "classes", "-1" }, { "classes", "1.5" }, { "classes", "1e9" },
  } do
    local entries = {}
    for key, value in pairs(good) do entries[key] = value end
    entries["mnistlua." .. bad[1]] = bad[2]
    lu.assertNil(described.read(entries))
  end
  good["mnistlua.class_names"] = "[1,2]"
  lu.assertNil(described.read(good).class_names)
end

function TestDescribed:testStandsForAnySource()
  local d = { shape = { 1, 5, 4 }, normalise = { 0.25, 0.5 }, classes = 7 }
  context.described = d
  local ok, problem = pcall(function()
    for _, data in ipairs { ml.data.mnist { val = 5000 }, ml.data.csv { path = "/nowhere.csv" } } do
      lu.assertEquals(data:sample_shape(), d.shape)
      lu.assertEquals(data.classes, 7)
      lu.assertEquals(data.test.normalise, d.normalise)
    end
  end)
  context.described = nil
  lu.assertTrue(ok, problem)
end
