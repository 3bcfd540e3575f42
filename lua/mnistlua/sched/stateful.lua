-- Schedules that remember: called like a function, shown the metrics of each evaluated epoch by the trainer, and with a
-- state that a checkpoint can hold. ReduceLROnPlateau is one, and so is whatever is made from it.
local options = require "mnistlua.options"

local m = {}

local Schedule = {}

--- Shows it the metrics of an evaluated epoch.
function Schedule:observe(metrics)
  for _, part in ipairs(self.parts) do part:observe(metrics) end
end

--- The names of the metrics that it follows.
function Schedule:followed()
  local names = {}
  for _, part in ipairs(self.parts) do table.move(part:followed(), 1, #part:followed(), #names + 1, names) end
  return names
end

--- What continuing needs, as plain data.
function Schedule:state_dict()
  local states = {}
  for i, part in ipairs(self.parts) do states[i] = part:state_dict() end
  return states
end

--- Puts it back. Raises if it is not one of this schedule. Returns the schedule.
function Schedule:load_state_dict(given)
  if type(given) ~= "table" or #given ~= #self.parts then
    options.fail("the schedule's state does not fit: it is of another schedule")
  end
  for i, part in ipairs(self.parts) do part:load_state_dict(given[i]) end
  return self
end

local meta = { __name = "Schedule", __index = Schedule, __call = function(self, ...) return self.value(...) end }

--- Makes one; `object` has value(step, progress, info), `where`, and `parts` or methods of its own.
function m.new(object) return setmetatable(object, meta) end

function m.is(value) return debug.getmetatable(value) == meta end

--- A schedule by the function `value`, made from `children`: a plain function if none of them remembers.
function m.combine(value, children, where)
  local parts = {}
  for _, child in ipairs(children) do
    if m.is(child) then parts[#parts + 1] = child end
  end
  if #parts == 0 then return value end
  return m.new { value = value, parts = parts, where = where }
end

return m
