-- callbacks.StopOnTarget { "val.acc>=0.98", ... }: ends the run after the first epoch in which all these conditions
-- hold.
local base = require "mnistlua.callbacks.base"
local core = require "mnistlua.core"
local followed = require "mnistlua.callbacks.followed"
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"

local StopOnTarget = base.class "callbacks.StopOnTarget"

local m = {}

local function check_list(given)
  local list = type(given) == "string" and { given } or given
  if type(list) ~= "table" or #list == 0 or #options.sorted_keys(list) ~= #list then
    options.fail(StopOnTarget.what .. ": expected conditions such as { \"val.acc>=0.98\" }")
  end
  return list
end

function m.new(given)
  local self = setmetatable({ conditions = {}, memory = {}, where = core.where() }, StopOnTarget)
  for i, text in ipairs(check_list(given)) do
    self.conditions[i] = metrics.parse_condition(text, function(message) options.fail(self.what .. ": " .. message) end)
  end
  return self
end

function StopOnTarget:check_experiment(experiment)
  for _, condition in ipairs(self.conditions) do followed.check_measured(self, condition.name, experiment) end
end

function StopOnTarget:epoch_end(run)
  local texts = {}
  for i, condition in ipairs(self.conditions) do
    local value = run.metrics[condition.name]
    if type(value) ~= "number" or not condition.holds(value) then return end
    texts[i] = condition.text
  end
  if not run.stopping then run:stop("target reached: " .. table.concat(texts, ", ")) end
end

return m
