-- For test_export.sh: models of every kind of layer as C and ONNX files (case1.c, case1.onnx, ...), each with pictures
-- (case1.pixels, bytes) and the probabilities that the model gives them in evaluation (case1.expected, f32). Prints a
-- line for each: its number, its sample's shape.
local core = require "mnistlua.core"
local c = require "mnistlua.export.c"
local ml = require "mnistlua"
local numbers = require "mnistlua.export.numbers"
local onnx = require "mnistlua.export.onnx"
local subjects = require "mnistlua.export.subject"
local nn = ml.nn

local function chain(...) return nn.Sequential { ... } end

local cases = {
  { { 4, 5 }, chain(nn.Flatten(), nn.Linear(12), nn.BatchNorm1d(), nn.Dropout(0.3), nn.ReLU(),
    chain(nn.Linear(8, { bias = false }), nn.BatchNorm1d { affine = false }, nn.SiLU()), nn.GaussianNoise(0.2),
    nn.PReLU(8), nn.Linear(7), nn.GELU(), nn.Linear(5), nn.Softmax()) },
  { { 12, 11 }, chain(nn.Conv2d(6, { 4, 3 }, { padding = "same", bias = false }), nn.BatchNorm2d(), nn.LeakyReLU(0.2),
    nn.MaxPool2d(2), nn.Conv2d(4, 3, { stride = { 2, 1 }, padding = { 1, 0 }, groups = 2 }), nn.ELU(0.7),
    nn.AvgPool2d(2, 1, 1), nn.Conv2d(8, 1), nn.PReLU(8), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3),
    nn.Sigmoid()) },
  { { 8, 8 }, chain(nn.MaxPool2d(3, 2, 1), nn.Reshape(1, 4, 4), nn.BatchNorm2d(), nn.PReLU(),
    nn.AvgPool2d { 3, stride = 1, padding = 1, count_include_pad = false }, nn.AdaptiveAvgPool2d(2), nn.Flatten(),
    nn.Linear(4), nn.LogSoftmax()) },
  { { 28, 28 }, chain(nn.Conv2d(3, 5, { stride = 3 }), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.LogSoftmax(),
    nn.Linear(6)) },
  { { 6 }, nn.Linear(2) },
}

local function trained(model, shape)
  model:build(shape):train()
  for _ = 1, 3 do model(ml.randn(16, table.unpack(shape)) * 2 + 0.5) end
  return model:eval()
end

-- What evaluation computes of bytes.
local function expected(model, pixels, normalise, last)
  local y = model((pixels:to "f32" / 255 - normalise[1]) / normalise[2])
  if last == "softmax" then return y end
  return last == "log_softmax" and y:exp() or y:softmax(-1)
end

ml.manual_seed(11)
local normalise = { 0.25, 0.5 }
for i, case in ipairs(cases) do
  local shape, model = case[1], trained(case[2], case[1])
  local subject = assert(subjects.of(model, { name = "case " .. i, shape = shape, normalise = normalise,
    class_names = i == 1 and { "a", "b*/", "\"c\\", "??/", "\xc3\xa91" } or nil }))
  local path, pixels = "case" .. i, subject.vectors.pixels
  assert(core.write_file(path .. ".c", (assert(c.text(subject, path .. ".c")))))
  assert(core.write_file(path .. ".onnx", assert(onnx.bytes(subject))))
  local p = expected(model, pixels, normalise, subject.layers[#subject.layers].kind)
  assert(core.write_file(path .. ".expected", numbers.f32(numbers.list(p))))
  local bytes = {}
  for at, byte in ipairs(numbers.list(pixels)) do bytes[at] = string.char(byte) end
  assert(core.write_file(path .. ".pixels", table.concat(bytes)))
  print(("case%d %s %d %d"):format(i, table.concat(shape, "x"), numbers.count(shape), p:size(2)))
end
