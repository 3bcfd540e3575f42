-- What schedules read from their arguments (step, progress, info), and curves between two values.
local options = require "mnistlua.options"

local m = {}

--- The run's total number of steps; without info, what step and progress say. At step 0 they say nothing, and no
--- schedule depends on it there.
function m.total_steps(step, progress, info)
  if info and info.total_steps then return info.total_steps end
  return progress > 0 and math.floor(step / progress + 0.5) or math.huge
end

--- The epoch, from 0; `what` is the schedule that asks.
function m.epoch(what, info)
  if not (info and info.epoch) then options.fail(what .. ": counts epochs; its third argument needs an epoch") end
  return info.epoch
end

--- The epoch with the share of it that is done: 2.5 in the middle of the third.
function m.exact_epoch(what, info) return m.epoch(what, info) + (info.epoch_progress or 0) end

--- Steps per epoch.
function m.steps_per_epoch(what, info)
  if not (info and info.steps_per_epoch) then
    options.fail(what .. ": epochs need info.steps_per_epoch as part of the third argument")
  end
  return info.steps_per_epoch
end

--- From a to b along a line, as t goes from 0 to 1.
function m.straight(a, b, t) return a + (b - a) * t end

--- From a to b by a half cosine.
function m.half_cosine(a, b, t) return b + (a - b) / 2 * (1 + math.cos(math.pi * t)) end

--- Both by the name that anneal_strategy has.
m.curves = { cos = m.half_cosine, linear = m.straight }

return m
