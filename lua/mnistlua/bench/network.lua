-- The network that everything but the convolution is measured on, 784-512-128-64-10 with ReLU, and what it costs.
--
-- A linear layer of a x b weights does 2ab FLOP an image going forward, 2ab for its weights' gradient and 2ab for its
-- input's, which the first layer has no use for. Biases, ReLU, loss and update are not counted.
local nn = require "mnistlua.nn"

local m = {}

m.widths = { 784, 512, 128, 64, 10 }

local function weights()
  local total = 0
  for i = 2, #m.widths do total = total + m.widths[i - 1] * m.widths[i] end
  return total
end

m.forward_flops = 2 * weights()                                            -- an image: 951,552
m.training_flops = 6 * weights() - 2 * m.widths[1] * m.widths[2]           -- an image: 2,051,840

--- FLOP an image of a 3x3 convolution that keeps the picture's size.
function m.conv_flops(c) return 2 * 9 * c.channels * c.outputs * c.size * c.size end

local function build(widths)
  local model = nn.Sequential { nn.Flatten() }
  for i = 2, #widths - 1 do model:add(nn.Linear(widths[i])):add(nn.ReLU()) end
  return model:add(nn.Linear(widths[#widths]))
end

--- The network, its weights not drawn yet.
function m.new() return build(m.widths) end

--- The same layers with hardly anything to compute.
function m.thin() return build { 784, 1, 1, 1, 10 } end

return m
