-- Failures: error values that carry how a run ended, so that the command line can choose the exit code. Everything else
-- that is raised is text.
local m = {}

local Failure = { __name = "Failure" }
Failure.__tostring = function(self) return self.message end

--- An error value; kind is "runtime", "usage", "missed" or "diverged".
function m.new(kind, message) return setmetatable({ kind = kind, message = message }, Failure) end

--- Whether an error value is one of these.
function m.is(value) return rawequal(debug.getmetatable(value), Failure) end

return m
