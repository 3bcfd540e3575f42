-- callbacks.EMA { decay = 0.999, ... }: the experiment's `average = optim.EMA { ... }`, written among the callbacks. It
-- hears no event.
local base = require "mnistlua.callbacks.base"
local optim = require "mnistlua.optim"

local EMA = base.class "callbacks.EMA"

local m = {}

function m.new(given)
  local self = base.new(EMA, nil, {})
  self.average = optim.EMA(given)
  return self
end

function EMA:check_experiment(experiment)
  if experiment.average ~= nil then self:fail "the experiment has an average already" end
  experiment.average = self.average
end

return m
