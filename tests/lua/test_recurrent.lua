-- Recurrent layers: PyTorch's values and gradients, names and forms, what they make of images, what is refused.
local lu = require "luaunit"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"

local folder = debug.getinfo(1, "S").source:match "^@(.*)lua/[^/]*$" or "tests/"

local function assert_close(what, actual, expected, tolerance)
  local a, e = actual:reshape(-1):totable(), core.tensor(expected):reshape(-1):totable()
  lu.assertEquals(#a, #e, what)
  for i, value in ipairs(e) do
    lu.assertAlmostEquals(a[i], value, tolerance * (1 + math.abs(value)), ("%s, element %d"):format(what, i))
  end
end

local function where(offset)
  return debug.getinfo(2, "l").currentline + offset
end

TestRecurrent = {}

local function make(case)
  local o = case.options
  return nn[case.layer] {
    o.hidden_size, layers = o.num_layers, bidirectional = o.bidirectional, bias = o.bias, nonlinearity = o.nonlinearity,
    output = case.output,
  }
end

function TestRecurrent.testIsPyTorchs()
  for i, case in ipairs(dofile(folder .. "golden/recurrent.lua")) do
    local what = ("case %d, %s"):format(i, case.layer)
    local layer, params = make(case), {}
    for name, value in pairs(case.params) do params[name] = core.tensor(value) end
    layer:load_state_dict(params)                      -- which also says how many features there are
    local x = core.tensor(case.x):requires_grad_()
    local y = layer(x)
    assert_close(what .. ": y", y, case.y, 1e-6);
    (y * core.tensor(case.dy)):sum():backward()
    assert_close(what .. ": dx", x.grad, case.dx, 2e-6)
    for name, expected in pairs(case.gradients) do
      assert_close(what .. ": d" .. name, layer[name].grad, expected, 3e-6)
    end
  end
end

function TestRecurrent.testStateHasPyTorchsNames()
  local names = {}
  for i, entry in ipairs(nn.LSTM(3, 2, { layers = 2, bidirectional = true }):state_dict()) do
    names[i] = ("%s %s"):format(entry[1], table.concat(entry[2].shape, "x"))
  end
  lu.assertEquals(names, {
    "weight_ih_l0 8x3", "weight_hh_l0 8x2", "bias_ih_l0 8", "bias_hh_l0 8",
    "weight_ih_l0_reverse 8x3", "weight_hh_l0_reverse 8x2", "bias_ih_l0_reverse 8", "bias_hh_l0_reverse 8",
    "weight_ih_l1 8x4", "weight_hh_l1 8x2", "bias_ih_l1 8", "bias_hh_l1 8",
    "weight_ih_l1_reverse 8x4", "weight_hh_l1_reverse 8x2", "bias_ih_l1_reverse 8", "bias_hh_l1_reverse 8",
  })
end

function TestRecurrent.testForms()
  local cases = {
    { nn.LSTM(8), "nn.LSTM(8)" }, { nn.GRU(28, 8), "nn.GRU(28, 8)" },
    { nn.RNN { 8, nonlinearity = "relu" }, 'nn.RNN(8, { nonlinearity = "relu" })' },
    { nn.LSTM { hidden = 8, layers = 2, dropout = 0.5, output = "all", bidirectional = true },
      'nn.LSTM(8, { layers = 2, bidirectional = true, dropout = 0.5, output = "all" })' },
    { nn.GRU(3, 8, { bias = false, init = "kaiming" }), 'nn.GRU(3, 8, { bias = false, init = "kaiming" })' },
  }
  for _, case in ipairs(cases) do lu.assertEquals(case[1]:signature(), case[2]) end
  lu.assertEquals(nn.LSTM(28, 128):num_parameters(), 4 * 128 * (28 + 128 + 2))
end

-- The greatest absolute value.
local function greatest(tensor) return tensor:abs():max():item() end

function TestRecurrent.testStarts()
  local layer = nn.LSTM(100, 25)
  for _, p in layer:named_parameters() do
    lu.assertTrue(greatest(p) <= 0.2 and greatest(p) > 0.18)
  end
  local chosen = nn.GRU(10, 5, { init = "zeros" })
  for _, p in chosen:named_parameters() do lu.assertEquals(greatest(p), 0) end
end

function TestRecurrent.testRowsOfImages()
  local layer, x = nn.GRU(6), core.randn(3, 1, 5, 4)
  lu.assertEquals(layer:output_shape(1, 5, 4), { 6 })
  lu.assertEquals(layer(x):totable(), layer(x:reshape(3, 5, 4)):totable())
  local all = nn.GRU { 6, output = "all", bidirectional = true }
  lu.assertEquals(all:output_shape(5, 4), { 5, 12 })
  lu.assertEquals(all(x).shape, { 3, 5, 12 })
  lu.assertEquals(nn.RNN(6)(core.randn(1, 1, 3)).shape, { 1, 6 })
end

function TestRecurrent.testLastIsTheEndOfAll()
  for _, kind in ipairs { "RNN", "LSTM", "GRU" } do
    local all = nn[kind](4, 3, { output = "all", bidirectional = true })
    local last = nn[kind](4, 3, { bidirectional = true })
    last:load_state_dict(all:state_dict())
    local x = core.randn(2, 5, 4)
    local y, z = all(x), last(x)
    lu.assertEquals(z:slice(2, 1, 3):totable(), y:slice(2, 5, 5):slice(3, 1, 3):reshape(2, 3):totable())
    lu.assertEquals(z:slice(2, 4, 6):totable(), y:slice(2, 1, 1):slice(3, 4, 6):reshape(2, 3):totable())
  end
end

function TestRecurrent.testDropoutIsBetweenLayersInTraining()
  local layer, x = nn.LSTM(4, 8, { layers = 2, dropout = 0.5 }), core.randn(3, 5, 4)
  local one = nn.LSTM(4, 8, { dropout = 0.5 })
  lu.assertEquals(one(x):totable(), one(x):totable())
  lu.assertNotEquals(layer(x):totable(), layer(x):totable())
  layer:eval()
  lu.assertEquals(layer(x):totable(), layer(x):totable())
end

function TestRecurrent.testWhatIsRefused()
  local cases = {
    { function() nn.LSTM(0) end, "nn.LSTM: hidden is 0; expected a whole number >= 1" },
    { function() nn.LSTM {} end, "nn.LSTM: needs hidden, a whole number >= 1" },
    { function() nn.GRU { 8, layers = 0 } end, "nn.GRU: layers is 0; expected a whole number >= 1" },
    { function() nn.GRU { 8, dropout = 1 } end, "nn.GRU: dropout is 1; expected a number >= 0 and < 1" },
    { function() nn.RNN { 8, output = "lats" } end,
      "nn.RNN: output is 'lats'; expected one of 'last', 'all'; did you mean 'last'?" },
    { function() nn.LSTM { 8, nonlinearity = "relu" } end,
      "nn.LSTM: unknown option 'nonlinearity'; it takes bias, bidirectional, dropout, hidden, init, input, layers, " ..
      "output" },
    { function() core.lstm(core.ones(2, 3), core.ones(4, 3), core.ones(4, 1)) end,
      "lstm: expected an input of n x steps x features, received 2x3" },
    { function() core.gru(core.ones(2, 3, 2), core.ones(6, 2), core.ones(6, 2), nil, nil, { last = 1 }) end,
      "last: expected true or false, got 1" },
    { function() core.gru(core.ones(2, 3, 2), core.ones(6, 2), core.ones(6, 2), nil, nil, { relu = true }) end,
      "gru: relu is an option of rnn" },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[2], case[1]) end
end

function TestRecurrent.testShapesAreToldAtTheLayersLine()
  local cases = {
    { where(0), function() nn.Sequential { nn.Flatten(), nn.LSTM(8) }:build(28, 28) end,
      "nn.LSTM(8) expects samples of steps x features but receives 784 (from nn.Flatten, line %d); put " ..
      "nn.Reshape(steps, features) before it" },
    { where(0), function() nn.LSTM(27, 8):build(28, 28) end,
      "nn.LSTM(27, 8) expects 27 features a step but receives 28 (samples of 28x28, line %d); write nn.LSTM(8) to " ..
      "infer them" },
    { where(0), function() nn.Sequential { nn.Conv2d(3, 3), nn.GRU(8) }:build(28, 28) end,
      "nn.GRU(8) expects samples of steps x features but receives 3x26x26 (from nn.Conv2d, line %d); put " ..
      "nn.Reshape(steps, features) before it" },
  }
  for _, case in ipairs(cases) do
    lu.assertErrorMsgContains(("test_recurrent.lua:%d: %s"):format(case[1], case[3]:format(case[1])), case[2])
  end
end

-- Two layers learn which of two steps was the greater.
function TestRecurrent.testLearns()
  for _, kind in ipairs { "RNN", "LSTM", "GRU" } do
    core.manual_seed(3)
    local model = nn.Sequential { nn[kind](1, 8, { layers = 2 }), nn.Linear(8, 2) }
    local optimizer = require("mnistlua.optim").Adam(model:parameters(), { lr = 0.02 })
    local x, greater, correct = core.randn(64, 2, 1), {}, nil
    for i, sample in ipairs(x:totable()) do greater[i] = sample[1][1] > sample[2][1] and 1 or 0 end
    local labels = core.tensor(greater, "i32")
    for _ = 1, 80 do
      optimizer:zero_grad()
      local scores = model(x)
      correct = core.count_correct(scores, labels)
      core.cross_entropy(scores, labels):backward()
      optimizer:step()
    end
    lu.assertTrue(correct >= 60, ("%s: %d of 64"):format(kind, correct))
  end
end
