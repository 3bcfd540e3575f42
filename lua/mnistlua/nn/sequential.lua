-- nn.Sequential: layers one after the other, each on what the one before it returned.
--
--   local model = nn.Sequential { nn.Flatten(), nn.Linear(128), nn.ReLU() }
--   model:add(nn.Linear(10))
--
-- model[1] is the first layer, #model their number; in state-dict keys layers count from 0, as PyTorch's do.
--
-- Neighbours that can be computed at once (nn.Linear, nn.Conv2d or batch norm, and nn.ReLU) are; the result is the
-- same, bit for bit.
local flow = require "mnistlua.nn.flow"
local ModuleList = require "mnistlua.nn.module_list"

--- Layers in a row: nn.Sequential { a, b, c }; model:add(d) appends one. x [b, ...] goes through all of them.
local Sequential = ModuleList:extend "nn.Sequential"

-- How layer and the one after it are computed at once, or nil.
local function fusion(layer, following, x)
  return following and layer.fused_with and type(x) == "userdata" and layer:fused_with(following)
end

function Sequential:forward(x)
  local list, i = self._list, 1
  while list[i] do
    local layer, following = list[i], list[i + 1]
    local fused = fusion(layer, following, x)
    if fused then
      local handed_on = layer.transparent and flow.is_last(x)
      x = flow.leave(following, true, flow.leave(layer, handed_on, fused(layer, x)))
      i = i + 2
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
