-- Following a metric: which names can be followed, whether more or less of it is better, and whether a value is the
-- best so far. For callbacks that stop, or keep weights, by a metric.
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"

local m = {}

--- The options `metric` and `mode`.
m.rules = {
  "metric", metric = { type = "string", default = "val.acc" }, mode = { choices = { "min", "max" } },
}

--- Checks the name of a metric as far as that can be done before there is an experiment.
function m.check_name(what, name)
  if not name:find "^user%." then metrics.check_name(what .. ": metric", name) end
end

--- "max" or "min": what is told, or what the name says.
function m.mode(what, o)
  if o.mode then return o.mode end
  if o.metric:find "acc$" then return "max" end
  if o.metric:find "^user%." and not o.metric:find "loss$" then
    options.fail(("%s: is more of %s better? write mode = \"max\" or mode = \"min\""):format(what, o.metric))
  end
  return "min"
end

--- Raises if an experiment does not measure the metric after its epochs.
function m.check_measured(callback, name, experiment)
  metrics.check_name(callback.what .. ": metric", name, experiment.metrics)
  local part = name:match "^(%a+)%."
  if part ~= "val" and part ~= "test" then return end
  if not rawget(experiment.data, part) then
    callback:fail("it follows %s, but the data has no %s part", name, part)
  elseif part == "test" and rawget(experiment.data, "val") then
    callback:fail("it follows %s, which is measured at the end only; follow val%s", name, name:match "%..*")
  end
end

--- Whether a value is better than the best so far (nil: any is) by more than min_delta.
function m.is_better(mode, value, best, min_delta)
  if value ~= value then return false end
  if best == nil then return true end
  if mode == "max" then return value > best + min_delta end
  return value < best - min_delta
end

--- A value for people: "98.31%" of an accuracy.
function m.text(name, value)
  return name:find "acc$" and ("%.2f%%"):format(100 * value) or ("%.6g"):format(value)
end

return m
