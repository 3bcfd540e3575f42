-- callbacks.TimeLimit { "10m" }: ends the run as --max-time does, after the step in which the time is over; of the two
-- the earlier one counts. A run that goes on later has the whole time again.
local base = require "mnistlua.callbacks.base"
local core = require "mnistlua.core"
local duration = require "mnistlua.duration"

local TimeLimit = base.class "callbacks.TimeLimit"

local spec = { "time", time = { type = "string|number", required = true } }

local m = {}

function m.new(given)
  local self = base.new(TimeLimit, given, spec)
  self.seconds = duration.read(self.options.time)
  if not self.seconds then
    self:fail("expected a time such as \"90s\", \"10m\" or \"2h\", got '%s'", core.escape(tostring(self.options.time)))
  end
  return self
end

function TimeLimit:begin(run)
  local ends = core.clock() + self.seconds
  if not run.deadline or ends < run.deadline then run.deadline = ends end
end

return m
