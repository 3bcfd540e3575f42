-- callbacks.Checkpoint { every = "10m", keep = 3, best = "val.acc" }: the experiment's `checkpoint = { ... }`, written
-- among the callbacks. It hears no event.
local base = require "mnistlua.callbacks.base"
local checkpoint = require "mnistlua.train.checkpoint"

local Checkpoint = base.class "callbacks.Checkpoint"

local m = {}

function m.new(given)
  local self = base.new(Checkpoint, nil, {})
  checkpoint.check(given)
  self.given = given or {}
  return self
end

function Checkpoint:check_experiment(experiment)
  if experiment.checkpoint ~= nil then self:fail "the experiment says already when there are checkpoints" end
  experiment.checkpoint = self.given
end

return m
