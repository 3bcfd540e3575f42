-- nn.Sequential: layers one after the other, each on what the one before it returned.
--
--   local model = nn.Sequential { nn.Flatten(), nn.Linear(128), nn.ReLU() }
--   model:add(nn.Linear(10))
--
-- model[1] is the first layer, #model their number; in state-dict keys layers count from 0, as PyTorch's do.
local ModuleList = require "mnistlua.nn.module_list"

--- Layers in a row: nn.Sequential { a, b, c }; model:add(d) appends one. x [b, ...] goes through all of them.
local Sequential = ModuleList:extend "nn.Sequential"

function Sequential:forward(x)
  for _, layer in ipairs(self._list) do x = layer(x) end
  return x
end

function Sequential:infer(shape)
  for _, layer in ipairs(self._list) do
    shape = shape and layer:output_shape(shape)    -- nil once a layer returned no tensor
  end
  return shape
end

return Sequential
