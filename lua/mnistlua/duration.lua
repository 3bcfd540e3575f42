-- Times that people write: "90s", "10m", "2h".
local m = {}

local units = { s = 1, m = 60, h = 3600, [""] = 1 }

--- A text such as 90s, 10m or 2h, or a number of seconds, in seconds; nil if it is none, or not above 0.
function m.read(value)
  local amount, unit = tostring(value):match "^(%d+%.?%d*)([smh]?)$"
  if amount and tonumber(amount) > 0 then return tonumber(amount) * units[unit] end
end

return m
