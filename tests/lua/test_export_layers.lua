-- A model as a plain list of layers: computed by the test's own loops, the list gives what the model gives.
local lu = require "luaunit"
local ml = require "mnistlua"
local layers = require "mnistlua.export.layers"
local nn = ml.nn

TestExportLayers = {}

-- ---- an interpreter of records, one sample, plain Lua ----

local function count(shape)
  local n = 1
  for _, each in ipairs(shape) do n = n * each end
  return n
end

local function flat(t) return t and t:reshape(-1):totable() end

local run = {}

function run.linear(l, x)
  local w, b, y = flat(l.weight), flat(l.bias), {}
  for o = 1, l.output[1] do
    local sum = b and b[o] or 0
    for i = 1, #x do sum = sum + w[(o - 1) * #x + i] * x[i] end
    y[o] = sum
  end
  return y
end

-- Calls visit(value or nil outside, index in the window) for the window of output (r, c) in one channel.
local function window(l, x, channel, r, c, size, visit)
  local h, w = l.input[2], l.input[3]
  for i = 0, size[1] - 1 do
    for j = 0, size[2] - 1 do
      local row, col = r * l.stride[1] + i - l.padding[1], c * l.stride[2] + j - l.padding[2]
      local inside = row >= 0 and row < h and col >= 0 and col < w
      visit(inside and x[(channel * h + row) * w + col + 1] or nil, i * size[2] + j + 1)
    end
  end
end

local function each_output(l, f)
  local y = {}
  for o = 0, l.output[1] - 1 do
    for r = 0, l.output[2] - 1 do
      for c = 0, l.output[3] - 1 do y[#y + 1] = f(o, r, c) end
    end
  end
  return y
end

function run.conv2d(l, x)
  local w, b, shape = flat(l.weight), flat(l.bias), l.weight.shape
  local taps = shape[3] * shape[4]
  return each_output(l, function(o, r, c)
    local sum = b and b[o + 1] or 0
    local first = o // (shape[1] // l.groups) * shape[2]
    for k = 0, shape[2] - 1 do
      window(l, x, first + k, r, c, { shape[3], shape[4] }, function(value, at)
        sum = sum + (value or 0) * w[(o * shape[2] + k) * taps + at]
      end)
    end
    return sum
  end)
end

function run.max_pool2d(l, x)
  return each_output(l, function(o, r, c)
    local best = -math.huge
    window(l, x, o, r, c, l.size, function(value) best = math.max(best, value or best) end)
    return best
  end)
end

function run.avg_pool2d(l, x)
  return each_output(l, function(o, r, c)
    local sum, n = 0, 0
    window(l, x, o, r, c, l.size, function(value)
      sum = sum + (value or 0)
      if value or l.count_include_pad then n = n + 1 end
    end)
    return sum / n
  end)
end

function run.global_avg_pool(l, x)
  local n, y = l.input[2] * l.input[3], {}
  for o = 0, l.input[1] - 1 do
    y[o + 1] = 0
    for i = 1, n do y[o + 1] = y[o + 1] + x[o * n + i] / n end
  end
  return y
end

function run.scale(l, x)
  local s, t, n, y = flat(l.scale), flat(l.shift), #x // l.input[1], {}
  for i = 1, #x do
    local c = (i - 1) // n + 1
    y[i] = x[i] * s[c] + t[c]
  end
  return y
end

function run.prelu(l, x)
  local s, n, y = flat(l.slope), #x // l.input[1], {}
  for i = 1, #x do y[i] = x[i] > 0 and x[i] or x[i] * (s[(i - 1) // n + 1] or s[1]) end
  return y
end

local function by_element(f)
  return function(l, x)
    local y = {}
    for i, v in ipairs(x) do y[i] = f(v, l) end
    return y
  end
end

run.relu = by_element(function(v) return math.max(v, 0) end)
run.leaky_relu = by_element(function(v, l) return v > 0 and v or v * l.slope end)
run.elu = by_element(function(v, l) return v > 0 and v or l.alpha * (math.exp(v) - 1) end)
run.silu = by_element(function(v) return v / (1 + math.exp(-v)) end)
run.sigmoid = by_element(function(v) return 1 / (1 + math.exp(-v)) end)
run.tanh = by_element(function(v) return 1 - 2 / (math.exp(2 * v) + 1) end)
run.flatten, run.reshape = by_element(function(v) return v end), by_element(function(v) return v end)

function run.softmax(l, x)
  local sum, n = 0, l.output[#l.output]
  lu.assertEquals(#x, n)
  local y = {}
  for i, v in ipairs(x) do y[i] = math.exp(v); sum = sum + y[i] end
  for i in ipairs(y) do y[i] = y[i] / sum end
  return y
end

local function interpret(list, x)
  for _, l in ipairs(list) do
    lu.assertEquals(#x, count(l.input), l.kind)
    x = run[l.kind](l, x)
    lu.assertEquals(#x, count(l.output), l.kind)
  end
  return x
end

-- ---- models ----

-- A model in evaluation whose batch norms have seen something.
local function made(model, shape)
  model:build(shape)
  model:train()
  for _ = 1, 3 do model(ml.randn(16, table.unpack(shape)) * 2 + 0.5) end
  return model:eval()
end

local function kinds(list)
  local names = {}
  for i, l in ipairs(list) do names[i] = l.kind end
  return table.concat(names, " ")
end

local function check(model, shape, expected, folded_kinds)
  made(model, shape)
  local list = assert(layers.of(model, shape))
  lu.assertEquals(kinds(list), expected)
  local folded = layers.folded(list)
  if folded_kinds then lu.assertEquals(kinds(folded), folded_kinds) end
  local x = ml.randn(1, table.unpack(shape))
  local want, pixels = flat(model(x)), flat(x)
  for _, each in ipairs { list, folded } do
    local got = interpret(each, pixels)
    for i, value in ipairs(want) do lu.assertAlmostEquals(got[i], value, 2e-5 * math.max(1, math.abs(value))) end
  end
end

function TestExportLayers:setUp() ml.manual_seed(3) end

function TestExportLayers:testRowsOfFeatures()
  check(nn.Sequential {
    nn.Flatten(), nn.Linear(12), nn.BatchNorm1d(), nn.Dropout(0.3), nn.ReLU(),
    nn.Sequential { nn.Linear(8, { bias = false }), nn.BatchNorm1d { affine = false }, nn.SiLU() },
    nn.GaussianNoise(0.2), nn.PReLU(8), nn.Linear(5), nn.Softmax(),
  }, { 4, 5 }, "flatten linear scale relu linear scale silu prelu linear softmax",
    "flatten linear relu linear silu prelu linear softmax")
end

function TestExportLayers:testImagesWithoutChannels()
  check(nn.Sequential {
    nn.Conv2d(6, { 4, 3 }, { padding = "same", bias = false }), nn.BatchNorm2d(), nn.LeakyReLU(0.2), nn.MaxPool2d(2),
    nn.Conv2d(4, 3, { stride = { 2, 1 }, padding = { 1, 0 }, groups = 2 }), nn.ELU(0.7), nn.AvgPool2d(2, 1, 1),
    nn.Conv2d(8, 1), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3), nn.Sigmoid(),
  }, { 12, 11 }, "reshape conv2d scale leaky_relu max_pool2d conv2d elu avg_pool2d conv2d tanh global_avg_pool flatten "
    .. "linear sigmoid", "reshape conv2d leaky_relu max_pool2d conv2d elu avg_pool2d conv2d tanh global_avg_pool "
    .. "flatten linear sigmoid")
end

function TestExportLayers:testAScaleThatFollowsNoWeights()
  check(nn.Sequential {
    nn.MaxPool2d(3, 2, 1), nn.Reshape(1, 4, 4), nn.BatchNorm2d(), nn.AvgPool2d { 2, count_include_pad = false },
    nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(2),
  }, { 8, 8 }, "reshape max_pool2d reshape reshape scale avg_pool2d avg_pool2d flatten linear")
end

function TestExportLayers:testNames()
  local model = made(nn.Sequential { nn.Flatten(), nn.Sequential { nn.Linear(4), nn.ReLU() }, nn.Linear(2) }, { 3, 3 })
  local names = {}
  for i, l in ipairs(layers.of(model, { 3, 3 })) do names[i] = l.name end
  lu.assertEquals(names, { "0", "1.0", "1.1", "2" })
end

function TestExportLayers:testWhatCannotBeTold()
  local Own = nn.Module "Own"
  function Own.forward(_, x) return x end
  local changed = nn.ReLU()
  changed.forward = function(_, x) return x end
  for _, case in ipairs {
    { Own(), "^Own %(layer '1'%) cannot be exported; expected a chain of " },
    { changed, "^nn.ReLU %(layer '1'%) cannot" },
    { nn.LayerNorm(9), "^nn.LayerNorm %(layer '1'%) cannot" },
    { nn.BatchNorm1d { track_running_stats = false }, "cannot be exported: it has no running statistics; " },
    { nn.Residual { nn.Linear(9) }, "^nn.Residual %(layer '1'%) cannot" },
  } do
    local model = nn.Sequential { nn.Flatten(), case[1] }
    model:build { 3, 3 }
    local list, why = layers.of(model, { 3, 3 })
    lu.assertNil(list)
    lu.assertStrContains(why, case[2], true)
  end
end
