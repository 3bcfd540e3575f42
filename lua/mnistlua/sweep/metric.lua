-- What the trials of a sweep are compared by: which metric, and whether more of it is better. Pure.
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"

local m = {}

-- Without --metric: the first that all results have.
local candidates = { "val.acc", "val.loss", "test.acc", "test.loss", "train.acc", "train.loss" }

local smaller_is_better = { ["val.loss"] = true, ["test.loss"] = true, ["train.loss"] = true, grad_norm = true }

local function of(name, direction)
  local less = direction == "min" or not direction and smaller_is_better[name]
  return { name = name, sign = less and -1 or 1 }
end

--- The metric of a text: NAME, NAME:min or NAME:max; nil and a message if there is none.
function m.parse(text)
  local name, direction = text:match "^([%w_.]+):?(%a*)$"
  local names = table.move(metrics.names, 1, #metrics.names, 1, {})
  if not name or direction ~= "" and direction ~= "min" and direction ~= "max" then
    return nil, ("expected a metric such as val.acc, or NAME:min or NAME:max, got '%s'"):format(text)
  end
  if not name:find "^user%." and not options.accept({ choices = names }, name) then
    return nil, ("unknown metric '%s'%s"):format(name, options.hint(name, names))
  end
  return of(name, direction ~= "" and direction)
end

--- The metric to compare these results by, which are tables by name; nil if there is none that all of them have.
function m.choose(results)
  if #results == 0 then return nil end
  for _, name in ipairs(candidates) do
    local all = true
    for _, result in ipairs(results) do all = all and type(result[name]) == "number" end
    if all then return of(name) end
  end
end

--- A value of the metric as a score, of which more is always better; nil for what is no number.
function m.score(metric, result)
  local value = metric and result[metric.name]
  if type(value) ~= "number" or value ~= value then return nil end
  return metric.sign * value
end

return m
