-- The mean of several predictions of the same samples: what ml.tta and ml.ensemble have in common. It knows no model.
local options = require "mnistlua.options"

local m = {}

m.rule = { default = "probabilities", choices = { "probabilities", "logits" } }

local function mean_logits(list)
  local sum = list[1]
  for i = 2, #list do sum = sum + list[i] end
  return sum * (1 / #list)
end

-- ln of the mean of the softmax of each, by way of the greatest: what is too small for a float does not become ln 0.
local function log_mean_probability(list)
  local logs, greatest = {}, nil
  for i, logits in ipairs(list) do
    logs[i] = logits:log_softmax()
    greatest = greatest and greatest:maximum(logs[i]) or logs[i]
  end
  local sum = (logs[1] - greatest):exp()
  for i = 2, #logs do sum = sum + (logs[i] - greatest):exp() end
  return sum:log() + greatest - math.log(#logs)
end

--- The mean of a list of logits [n, classes]. By "probabilities": ln of the mean probability, which serves as logits
--- itself (its softmax is the mean probability); by "logits": the mean of the logits.
function m.of(list, by)
  for _, logits in ipairs(list) do
    if options.kind(logits) ~= "tensor" or logits:dim() ~= 2 then
      options.fail("the mean of predictions needs logits of samples x classes from every model")
    end
  end
  return by == "logits" and mean_logits(list) or log_mean_probability(list)
end

return m
