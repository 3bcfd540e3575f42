-- What the exports write, byte by byte: Protocol Buffers' encoding, the parts that an ONNX file must have, C's names.
-- That the files give mnistlua's answers is tested in tests/cli/test_export.sh.
local lu = require "luaunit"
local c = require "mnistlua.export.c"
local ml = require "mnistlua"
local numbers = require "mnistlua.export.numbers"
local onnx = require "mnistlua.export.onnx"
local pb = require "mnistlua.export.protobuf"
local subjects = require "mnistlua.export.subject"
local nn = ml.nn

TestExport = {}

function TestExport:setUp() ml.manual_seed(7) end

-- ---- encodings ----

function TestExport:testProtobuf()
  lu.assertEquals(pb.int(1, 150), "\x08\x96\x01")
  lu.assertEquals(pb.int(20, 7), "\xa0\x01\x07")
  lu.assertEquals(pb.int(3, 0), "\x18\x00")
  lu.assertEquals(pb.int(3, -1), "\x18" .. ("\xff"):rep(9) .. "\x01")
  lu.assertEquals(pb.bytes(2, "testing"), "\x12\x07testing")
  lu.assertEquals(pb.bytes(2, ("x"):rep(300)), "\x12\xac\x02" .. ("x"):rep(300))
  lu.assertEquals(pb.float(2, 0.5), "\x15\x00\x00\x00\x3f")
  lu.assertEquals(pb.ints(8, { 3, 270 }), "\x40\x03\x40\x8e\x02")
end

function TestExport:testNumbers()
  local values = {}
  for i = 1, 300 do values[i] = i / 4 end
  local bytes = numbers.f32(values)
  lu.assertEquals(#bytes, 1200)
  for _, i in ipairs { 1, 128, 129, 256, 257, 300 } do
    lu.assertEquals((string.unpack("<f", bytes, 4 * i - 3)), i / 4)
  end
  lu.assertEquals(numbers.i64 { -1, 258 }, ("\xff"):rep(8) .. "\2\1\0\0\0\0\0\0")
  lu.assertEquals(numbers.list(ml.tensor { { 1, 2 }, { 3, 4 } }), { 1, 2, 3, 4 })
end

-- ---- ONNX: a reader of its own ----

local function varint(bytes, at)
  local n, shift = 0, 0
  while true do
    local byte = bytes:byte(at)
    n, shift, at = n | (byte & 0x7f) << shift, shift + 7, at + 1
    if byte < 0x80 then return n, at end
  end
end

-- A message as a table: field number -> list of values.
local function message(bytes)
  local fields, at = {}, 1
  while at <= #bytes do
    local key, value
    key, at = varint(bytes, at)
    if key & 7 == 0 then
      value, at = varint(bytes, at)
    elseif key & 7 == 5 then
      value, at = string.unpack("<f", bytes, at)
    else
      lu.assertEquals(key & 7, 2)
      local size
      size, at = varint(bytes, at)
      value, at = bytes:sub(at, at + size - 1), at + size
      lu.assertEquals(#value, size)
    end
    fields[key >> 3] = fields[key >> 3] or {}
    table.insert(fields[key >> 3], value)
  end
  return fields
end

local function messages(list)
  local out = {}
  for i, bytes in ipairs(list or {}) do out[i] = message(bytes) end
  return out
end

local function value_info(bytes)
  local info = message(bytes)
  local tensor = message(message(info[2][1])[1][1])
  local shape = {}
  for i, dim in ipairs(messages(message(tensor[2][1])[1])) do shape[i] = (dim[1] or dim[2])[1] end
  return { name = info[1][1], kind = tensor[1][1], shape = shape }
end

local function subject(model, shape, given)
  local of = { name = "n\xe9", shape = shape, normalise = { 0.25, 0.5 } }
  for key, value in pairs(given or {}) do of[key] = value end
  return subjects.of(model, of)
end

local function small() return nn.Sequential { nn.Flatten(), nn.Linear(3), nn.ReLU(), nn.Linear(2) } end

function TestExport:testOnnxModel()
  local model = message(assert(onnx.bytes(assert(subject(small(), { 2, 2 }, { class_names = { "cat", "dog" } })))))
  lu.assertEquals(model[1], { 7 })
  lu.assertEquals(model[2], { "mnistlua" })
  local opset = message(model[8][1])
  lu.assertEquals({ opset[1][1], opset[2][1] }, { "", 13 })
  local properties = {}
  for _, each in ipairs(messages(model[14])) do properties[each[1][1]] = each[2][1] end
  lu.assertEquals(properties.class_names, '["cat","dog"]')
  lu.assertEquals(properties.experiment, "n?")
  local graph = message(model[7][1])
  lu.assertEquals(graph[2], { "n?" })
  lu.assertEquals(value_info(graph[11][1]), { name = "pixels", kind = 1, shape = { "N", 2, 2 } })
  lu.assertEquals(value_info(graph[12][1]), { name = "logits", kind = 1, shape = { "N", 2 } })
  lu.assertEquals(value_info(graph[12][2]), { name = "probabilities", kind = 1, shape = { "N", 2 } })
end

-- Every input is there before its node, every output is new, and both outputs of the graph are made.
function TestExport:testOnnxOrder()
  local model = nn.Sequential { nn.Conv2d(2, 3), nn.BatchNorm2d(), nn.GELU(), nn.MaxPool2d(2), nn.BatchNorm2d(),
    nn.Flatten(), nn.Linear(2), nn.Softmax() }
  local graph = message(message(assert(onnx.bytes(assert(subject(model, { 6, 6 })))))[7][1])
  local known, kinds = { pixels = true }, {}
  for _, tensor in ipairs(messages(graph[5])) do
    lu.assertNil(known[tensor[8][1]])
    known[tensor[8][1]] = true
    local size = 1
    for _, n in ipairs(tensor[1] or {}) do size = size * n end
    lu.assertEquals(#tensor[9][1], size * (tensor[2][1] == 7 and 8 or 4))
  end
  for _, node in ipairs(messages(graph[1])) do
    for _, name in ipairs(node[1]) do lu.assertTrue(known[name], name) end
    lu.assertNil(known[node[2][1]])
    known[node[2][1]] = true
    kinds[#kinds + 1] = node[4][1]
    for _, attribute in ipairs(messages(node[5])) do lu.assertNotNil(attribute[20], attribute[1][1]) end
  end
  lu.assertTrue(known.logits and known.probabilities and known["6.weight"])
  lu.assertEquals(table.concat(kinds, " "), "Sub Div Reshape Conv Mul Erf Add Mul Mul MaxPool Mul Add Flatten Gemm "
    .. "Softmax Identity Identity")
end

-- ---- C ----

function TestExport:testNamesInC()
  local of = assert(subject(small(), { 2, 2 }))
  for path, name in pairs {
    ["a/b/digit.c"] = "digit", ["my-net.v2.c"] = "my_net_v2", ["3.c"] = "model", ["x/"] = "model", ["\xe9.c"] = "model",
  } do
    local text, got = c.text(of, path)
    lu.assertEquals(got, name)
    lu.assertStrContains(text, ("int %s_classify(const unsigned char pixels[4], float probabilities[2]);"):format(name))
  end
end

function TestExport:testHostileNamesInC()
  local of = assert(subject(small(), { 2, 2 }, { name = "*/ int x; /*\n#error \"??/\\" }))
  lu.assertStrContains(c.text(of, "d.c"), "/* * / int x; / *.#error .../.: a network of 23 parameters ")
end

-- ---- what cannot be exported ----

function TestExport:testRefused()
  local broken = small()
  broken:build { 2, 2 }
  broken[2].weight:fill_(0 / 0)
  for _, case in ipairs {
    { broken, "layer '1': its weight holds NaN or infinity" },
    { nn.Sequential { nn.Dropout(0.5) }, "the model has no layers that compute anything" },
    { nn.Sequential { nn.Flatten(), nn.LayerNorm(4) }, "nn.LayerNorm (layer '1') cannot be exported; " },
  } do
    local of, problem = subject(case[1], { 2, 2 })
    lu.assertNil(of)
    lu.assertStrContains(problem, case[2])
  end
end
