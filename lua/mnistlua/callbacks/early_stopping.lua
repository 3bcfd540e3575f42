-- callbacks.EarlyStopping { metric = "val.acc", patience = 5, min_delta = 0, mode }: ends the run once the metric has
-- not got better by more than min_delta in `patience` evaluations in a row. It leaves the weights alone: BestWeights
-- keeps the best ones.
local base = require "mnistlua.callbacks.base"
local followed = require "mnistlua.callbacks.followed"

local EarlyStopping = base.class "callbacks.EarlyStopping"

local spec = {
  "metric", metric = followed.rules.metric, mode = followed.rules.mode,
  patience = { type = "integer", default = 5, min = 1 }, min_delta = { type = "number", default = 0, min = 0 },
}

local m = {}

function m.new(given)
  local self = base.new(EarlyStopping, given, spec)
  followed.check_name(self.what, self.options.metric)
  self.mode = followed.mode(self.what, self.options)
  return self
end

function EarlyStopping:check_experiment(experiment)
  followed.check_measured(self, self.options.metric, experiment)
end

-- An epoch that was broken off, or not evaluated, says nothing.
function EarlyStopping:epoch_end(run)
  local o, memory = self.options, self.memory
  local value = run.metrics[o.metric]
  if run.interrupted or type(value) ~= "number" then return end
  if followed.is_better(self.mode, value, memory.best, o.min_delta) then
    memory.best, memory.epoch, memory.bad = value, run.epoch, 0
    return
  end
  memory.bad = (memory.bad or 0) + 1
  if memory.bad < o.patience or run.stopping then return end
  run:stop(memory.best and ("%s has not improved since epoch %d (%s)"):format(o.metric, memory.epoch,
    followed.text(o.metric, memory.best)) or ("%s was never a number"):format(o.metric))
end

return m
