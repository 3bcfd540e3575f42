-- nn.Sequential: layers one after the other, each on what the one before it returned.
--
--   local model = nn.Sequential { nn.Flatten(), nn.Linear(128), nn.ReLU() }
--   model:add(nn.Linear(10))
--
-- model[1] is the first layer, #model their number; in state-dict keys layers count from 0, as PyTorch's do.
--
-- Neighbours that can be computed at once (nn.Linear, nn.Conv2d or batch norm, and nn.ReLU; batch norm, nn.ReLU and
-- nn.MaxPool2d(2)) are; the result is the same, bit for bit.
local flow = require "mnistlua.nn.flow"
local ModuleList = require "mnistlua.nn.module_list"

--- Layers in a row: nn.Sequential { a, b, c }; model:add(d) appends one. x [b, ...] goes through all of them.
local Sequential = ModuleList:extend "nn.Sequential"

-- How layer and the one after it, or the two, are computed at once, and how many layers those are (2, if it does not
-- say); or nil.
local function fusion(layer, following, third, x)
  if following and layer.fused_with and type(x) == "userdata" then return layer:fused_with(following, third, x) end
end

-- Notes what the fused layers would have returned one by one: the first two keep x's shape if there is a third.
local function leave(layer, following, third, x, result)
  local handed_on = layer.transparent and flow.is_last(x)
  if not third then return flow.leave(following, true, flow.leave(layer, handed_on, result)) end
  flow.leave(following, true, flow.leave(layer, handed_on, x))
  return flow.leave(third, false, result)
end

function Sequential:forward(x)
  local list, i = self._list, 1
  while list[i] do
    local layer, following, third = list[i], list[i + 1], list[i + 2]
    local fused, count = fusion(layer, following, third, x)
    if fused then
      x = leave(layer, following, count == 3 and third, x, fused(layer, x))
      i = i + (count or 2)
    else
      x = layer(x)
      i = i + 1
    end
  end
  return x
end

function Sequential:infer(shape)
  for _, layer in ipairs(self._list) do
    shape = shape and layer:output_shape(shape)    -- nil once a layer returned no tensor
  end
  return shape
end

return Sequential
