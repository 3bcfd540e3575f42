-- The networks that are measured and what they cost. All but the convolutions' rows are measured on the MLP
-- 784-512-128-64-10 with ReLU; lenet5 and cnn are those of configs/lenet5.lua and configs/cnn.lua.
--
-- A linear layer of a x b weights does 2ab FLOP an image going forward, 2ab for its weights' gradient and 2ab for its
-- input's, which the first layer has no use for; a convolution does that at each place of its output. Biases, ReLU,
-- pooling, batch norm, loss and update are not counted.
local nn = require "mnistlua.nn"

local m = {}

m.widths = { 784, 512, 128, 64, 10 }

-- ---- FLOP an image ----

-- macs: multiply-adds of each layer, the first one first.
local function total(macs)
  local sum = 0
  for _, n in ipairs(macs) do sum = sum + n end
  return sum
end

local function training(macs) return 6 * total(macs) - 2 * macs[1] end

local function linear_macs(widths)
  local macs = {}
  for i = 2, #widths do macs[i - 1] = widths[i - 1] * widths[i] end
  return macs
end

-- convolutions: { { inputs, outputs, kernel, size of the output }, ... }; then linear layers of these widths.
local function cnn_macs(convolutions, widths)
  local macs = {}
  for i, c in ipairs(convolutions) do macs[i] = c[1] * c[2] * c[3] * c[3] * c[4] * c[4] end
  return table.move(linear_macs(widths), 1, #widths - 1, #macs + 1, macs)
end

m.forward_flops = 2 * total(linear_macs(m.widths))               -- an image: 951,552
m.training_flops = training(linear_macs(m.widths))               -- an image: 2,051,840

--- FLOP an image, in training, of the convolutional networks.
m.cnn_training_flops = {
  lenet5 = training(cnn_macs({ { 1, 6, 5, 28 }, { 6, 16, 5, 10 } }, { 400, 120, 84, 10 })),
  cnn    = training(cnn_macs({ { 1, 32, 5, 28 }, { 32, 64, 3, 14 }, { 64, 128, 3, 7 } }, { 1152, 10 })),
}

--- FLOP an image of a 3x3 convolution that keeps the picture's size.
function m.conv_flops(c) return 2 * 9 * c.channels * c.outputs * c.size * c.size end

-- ---- models, their weights not drawn yet ----

local function build(widths)
  local model = nn.Sequential { nn.Flatten() }
  for i = 2, #widths - 1 do model:add(nn.Linear(widths[i])):add(nn.ReLU()) end
  return model:add(nn.Linear(widths[#widths]))
end

--- The network of most rows.
function m.new() return build(m.widths) end

--- The same layers with hardly anything to compute.
function m.thin() return build { 784, 1, 1, 1, 10 } end

m.cnns = {}

function m.cnns.lenet5()
  return nn.Sequential {
    nn.Conv2d(6, 5, { padding = "same" }), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(16, 5), nn.MaxPool2d(2), nn.ReLU(),
    nn.Flatten(), nn.Linear(120), nn.ReLU(), nn.Linear(84), nn.ReLU(), nn.Linear(10),
  }
end

function m.cnns.cnn()
  local model = nn.Sequential {}
  for i, channels in ipairs { 32, 64, 128 } do
    model:add(nn.Conv2d(channels, i == 1 and 5 or 3, { padding = "same", bias = false }))
    model:add(nn.MaxPool2d(2)):add(nn.BatchNorm2d()):add(nn.ReLU())
  end
  return model:add(nn.Flatten()):add(nn.Linear(10))
end

return m
