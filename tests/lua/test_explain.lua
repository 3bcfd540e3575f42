-- What `mnistlua explain` finds out: gradients layer by layer against one backward pass through the whole model, the
-- numbers in the formulas, neighbours against a search in plain Lua.
local lu = require "luaunit"
local core = require "mnistlua.core"
local formulas = require "mnistlua.explain.formulas"
local ml = require "mnistlua"
local neighbours = require "mnistlua.explain.neighbours"
local trace = require "mnistlua.explain.trace"
local nn = ml.nn

TestExplain = {}

function TestExplain:setUp() ml.manual_seed(11) end

-- A model in evaluation whose batch norms have seen something.
local function made(model, shape)
  model:build(shape):train()
  for _ = 1, 3 do model(ml.randn(16, table.unpack(shape)) + 0.3) end
  return model:eval()
end

local function mlp()
  return made(nn.Sequential { nn.Flatten(), nn.Linear(7, { bias = false }), nn.BatchNorm1d(), nn.ReLU(),
    nn.Dropout(0.4), nn.Sequential { nn.Linear(6), nn.Tanh() }, nn.Linear(4) }, { 3, 3 })
end

local function cnn()
  return made(nn.Sequential { nn.Conv2d(3, 3, { padding = 1 }), nn.BatchNorm2d(), nn.GELU(), nn.MaxPool2d(2),
    nn.Conv2d(5, 2), nn.LeakyReLU(0.1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4) }, { 8, 8 })
end

local function distance(a, b) return (a - b):abs():max():item() end

local function label(c) return ml.tensor({ c }, "i32") end

-- ---- the trace ----

local function check_trace(model, shape)
  local loss, x = nn.CrossEntropyLoss(), ml.randn(1, table.unpack(shape))
  local t = trace.run(model, loss, x, label(2))
  local leaf = x:clone()
  leaf.requires_grad = true
  model:zero_grad()
  local output = model(leaf)
  local value = loss(output, label(2))
  value:backward()
  lu.assertAlmostEquals(t.loss, value:item(), 1e-6)
  lu.assertTrue(distance(t.output, output) < 1e-6)
  lu.assertTrue(distance(t.steps[1].input_grad, leaf.grad) < 1e-6)
  local found = {}
  for _, step in ipairs(t.steps) do
    for _, p in ipairs(step.parameters) do found[step.name .. "." .. p.name] = p.grad end
  end
  local count = 0
  for name, p in model:named_parameters() do
    lu.assertTrue(distance(found[name], p.grad) < 1e-6, name)
    count = count + 1
  end
  lu.assertTrue(count > 1)
  return t
end

function TestExplain:testTheChainIsTheWholeBackwardPass()
  local t = check_trace(mlp(), { 3, 3 })
  local names = {}
  for i, step in ipairs(t.steps) do names[i] = step.name end
  lu.assertEquals(names, { "0", "1", "2", "3", "4", "5.0", "5.1", "6" })
  check_trace(cnn(), { 8, 8 })
end

function TestExplain:testSaliencyIsTheGradientOfTheLargestOutput()
  local model, x = cnn(), ml.randn(1, 8, 8)
  local t = trace.run(model, nn.CrossEntropyLoss(), x, label(0))
  local leaf = x:clone()
  leaf.requires_grad = true
  model(leaf):max(2):sum():backward()
  lu.assertTrue(distance(t.saliency, leaf.grad) < 1e-6)
end

function TestExplain:testAModelThatIsNoSequential()
  local Own = nn.Module "Own"
  function Own:init() self.a = nn.Linear(9, 4) end
  function Own:forward(x) return self.a(x:flatten()) * 2 end
  local t = check_trace(nn.Sequential { Own() }, { 3, 3 })
  lu.assertEquals(#t.steps, 1)
  lu.assertEquals(formulas.forward(t.steps[1]), { "y = Own() of x" })
end

-- ---- formulas ----

-- Every formula's numbers: "... = 1.2 - 0.3 = 0.9, the largest" or "a * b = c" must add up.
local function check_arithmetic(lines, count)
  local checked = 0
  for _, line in ipairs(lines) do
    local a, b, c = line:match "= ([-%d.e+]+) %* ([-%d.e+]+) = ([-%d.e+]+)"
    if a then
      lu.assertAlmostEquals(a * b, tonumber(c), 2e-3 * math.abs(c) + 1e-9, line)
      checked = checked + 1
    end
    local s, sign, t, u = line:match "= ([-%d.e]+) ([-+]) ([%d.e-]+) = ([-%d.e]+), the largest"
    if s then
      lu.assertAlmostEquals(tonumber(s) + (sign == "-" and -t or t), tonumber(u), 2e-3, line)
      checked = checked + 1
    end
  end
  lu.assertTrue(checked >= count, checked .. " checked")
end

function TestExplain:testTheNumbersOfTheFormulas()
  for _, case in ipairs { { mlp(), { 3, 3 }, 6 }, { cnn(), { 8, 8 }, 3 } } do
    local t, lines = trace.run(case[1], nn.CrossEntropyLoss(), ml.randn(1, table.unpack(case[2])), label(1)), {}
    for _, step in ipairs(t.steps) do
      for _, part in ipairs { formulas.forward(step), formulas.backward(step) } do
        lu.assertTrue(#part > 0, step.module.typename)
        table.move(part, 1, #part, #lines + 1, lines)
      end
    end
    check_arithmetic(lines, case[3])
  end
end

function TestExplain:testBatchNormWorkedOut()
  local t = trace.run(mlp(), nn.CrossEntropyLoss(), ml.randn(1, 3, 3), label(1))
  local x, sign, mean, var, w, s2, b, y = formulas.forward(t.steps[3])[2]:match
    "= %(([-%d.]+) ([-+]) ([%d.]+)%) / sqrt%(([%d.]+)%) %* ([-%d.]+) ([-+]) ([%d.]+) = ([-%d.]+), the largest"
  local want = (x + (sign == "-" and -mean or mean)) / math.sqrt(var) * w + (s2 == "-" and -b or b)
  lu.assertAlmostEquals(want, tonumber(y), 5e-3)
end

-- A layer without a formula of its own is shown all the same.
function TestExplain:testEveryLayerHasLines()
  local model = made(nn.Sequential { nn.Residual { nn.Linear(9), nn.Sigmoid() }, nn.LayerNorm(9), nn.PReLU(),
    nn.ELU(), nn.SiLU(), nn.GaussianNoise(), nn.Linear(3), nn.LogSoftmax() }, { 9 })
  local t = trace.run(model, nn.NLLLoss(), ml.randn(1, 9), label(1))
  for _, step in ipairs(t.steps) do
    lu.assertTrue(#formulas.forward(step) > 0 and #formulas.backward(step) > 0, step.module.typename)
  end
end

-- ---- neighbours ----

local function digits() return ml.data.digits { n = 700, test = 600, seed = 2 } end

local function prepared()
  local data = digits()
  local model = made(nn.Sequential { nn.Flatten(), nn.Linear(12), nn.ReLU(), nn.Linear(10) }, { 28, 28 })
  return data, model, trace.steps(model)
end

local function batch_of(d, i)
  local x = d:subset(i, i):batches { batch = 1 }()
  return x:reshape(1, 28, 28):clone()
end

-- The numbers and distances of the nearest rows, slowly.
local function search(rows, q, count, skip)
  local list = {}
  for i, row in ipairs(rows) do
    local sum = 0
    for j, v in ipairs(row) do sum = sum + (v - q[j]) ^ 2 end
    if i ~= skip then list[#list + 1] = { i, math.sqrt(sum) } end
  end
  table.sort(list, function(a, b) return a[2] < b[2] end)
  return table.move(list, 1, count, 1, {})
end

local function same(found, want)
  lu.assertEquals(#found, #want)
  for i, entry in ipairs(found) do
    lu.assertEquals(entry.index, want[i][1])
    lu.assertAlmostEquals(entry.distance, want[i][2], 1e-3 * want[i][2])
  end
end

local function rows_of(d, f)
  local rows = {}
  for i = 1, #d do rows[i] = f(d, i) end
  return rows
end

local function pixels_of(d, i) return (d[i].image:reshape(-1):to "f32" / 255):totable() end

function TestExplain:testNearestPictures()
  local data, model, steps = prepared()
  local x = batch_of(data.test, 7)
  local found = neighbours.nearest(steps, data.train, { 28, 28 }, x, 4)
  same(found.pixels, search(rows_of(data.train, pixels_of), pixels_of(data.test, 7), 4))
  local function hidden(d, i) return model[3](model[2](model[1](batch_of(d, i)))):totable()[1] end
  same(found.features, search(rows_of(data.train, hidden), hidden(data.test, 7), 4))
  lu.assertEquals(found.pixels[1].label, data.train[found.pixels[1].index].label)
end

function TestExplain:testItIsNotItsOwnNeighbour()
  local data, _, steps = prepared()
  local x = batch_of(data.train, 9)
  lu.assertEquals(neighbours.nearest(steps, data.train, { 28, 28 }, x, 1).pixels[1].index, 9)
  lu.assertNotEquals(neighbours.nearest(steps, data.train, { 28, 28 }, x, 1, 9).pixels[1].index, 9)
end

function TestExplain:testMistakes()
  local data, model, steps = prepared()
  local list, total = neighbours.mistakes(steps, data.test, { 28, 28 }, batch_of(data.test, 3), 1000)
  local wrong = {}
  for i = 1, #data.test do
    local predicted = model(batch_of(data.test, i)):argmax(2):item()
    if predicted ~= data.test[i].label then wrong[i] = predicted end
  end
  local count = 0
  for _ in pairs(wrong) do count = count + 1 end
  lu.assertEquals(total, count)
  lu.assertEquals(#list, count)
  for i, entry in ipairs(list) do
    lu.assertEquals(entry.predicted, wrong[entry.index])
    lu.assertTrue(i == 1 or list[i - 1].distance <= entry.distance)
  end
end

function TestExplain:testTheWorstMistake()
  local data, model = prepared()
  local at, worst = neighbours.worst(model, data.test, { 28, 28 }), -1
  local best
  for i = 1, #data.test do
    local loss = -model(batch_of(data.test, i)):log_softmax(-1):totable()[1][data.test[i].label + 1]
    if loss > worst then worst, best = loss, i end
  end
  lu.assertEquals(at, best)
end

function TestExplain:testRecordingStaysAsItWas()
  local data, model, steps = prepared()
  local x = batch_of(data.test, 1)
  trace.run(model, nn.CrossEntropyLoss(), x, label(1))
  neighbours.nearest(steps, data.train:subset(1, 9), { 28, 28 }, x, 1)
  lu.assertTrue(core.recording(true))
end
