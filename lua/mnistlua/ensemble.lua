-- ml.ensemble: several models as one, whose prediction is the mean of theirs. It is an nn.Module, so it can be
-- evaluated, saved and loaded as any other.
local average = require "mnistlua.average"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"

local Ensemble = Module:extend "ml.ensemble"
Ensemble.takes_tensor = true

--- Several models as one: ml.ensemble { a, b, c, mean = "probabilities" }. Its output is logits whose softmax is the
--- mean of the models' probabilities (with mean = "logits", the mean of their logits).
function Ensemble:init(given)
  local o = { mean = type(given) == "table" and given.mean or nil }
  self.mean = options.read("ml.ensemble", o, { mean = average.rule }).mean
  if type(given) ~= "table" or #given == 0 then options.fail "ml.ensemble: expected a list of models" end
  for _, key in ipairs(options.sorted_keys(given)) do
    if math.type(key) ~= "integer" then options.check_key("ml.ensemble", key, { "mean" }) end
  end
  for i, model in ipairs(given) do self:add_module(tostring(i - 1), model) end
end

function Ensemble:forward(x)
  local outputs = {}
  for i, model in ipairs((self:children())) do outputs[i] = model(x) end
  return average.of(outputs, self.mean)
end

return Ensemble
