-- What a handler gives back: { status =, type =, body =, policy = (nil: the page's) }, made by one of these. `fail`
-- raises one, so that a handler can stop wherever it finds a mistake of the request.
local json = require "mnistlua.json"

local m = {}

local Refusal = { __name = "Refusal" }
Refusal.__tostring = function(self) return self.message end

--- Bytes of a type, as a page with another policy than the page's (guard.lua).
function m.bytes(kind, body, policy) return { status = 200, type = kind, body = body, policy = policy } end

--- A value as JSON.
function m.json(value, status)
  return { status = status or 200, type = "application/json; charset=utf-8", body = json.encode(value) .. "\n" }
end

--- { error = message } with a status.
function m.error(status, message) return m.json({ error = message }, status) end

--- Ends the handler: the request is answered with m.error(status, message).
function m.fail(status, message) error(setmetatable({ status = status, message = message }, Refusal), 0) end

--- The answer of an error value that m.fail raised, or nil.
function m.of_failure(value)
  if not rawequal(debug.getmetatable(value), Refusal) then return nil end
  return m.error(value.status, value.message)
end

return m
