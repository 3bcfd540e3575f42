-- Two lists of tensors compared to the bit: what a replay came to, and whether a paused run was changed.
local core = require "mnistlua.core"

local m = {}

-- Numbers that are equal and, where they are zeros, of the same sign.
local function same_bits(a, b)
  if a.dtype ~= b.dtype or table.concat(a.shape, "x") ~= table.concat(b.shape, "x") then return false end
  if a:numel() == 0 then return true end
  return core.scope(function()
    if a:eq(b):min():item() ~= 1 then return false end
    return a.dtype ~= "f32" or (1 / a):eq(1 / b):min():item() == 1
  end)
end

local function by_name(list)
  local map = {}
  for _, entry in ipairs(list) do map[entry[1]] = entry[2] end
  return map
end

local function describe(name, a, b)
  local shape_a, shape_b = table.concat(a.shape, "x"), table.concat(b.shape, "x")
  if a.dtype ~= b.dtype or shape_a ~= shape_b then
    return { tensor = name, why = ("%s %s was %s %s"):format(b.dtype, shape_b, a.dtype, shape_a) }
  end
  return core.scope(function()
    local n = a:numel()
    local equal = math.tointeger(a:eq(b):sum():item())
    local largest = a.dtype == "f32" and (a - b):abs():max():item() or nil
    return { tensor = name, values = n, different = n - equal, largest = largest }
  end)
end

--- The first tensor of `before` that is another one in `now` (both lists of { name, tensor }): { tensor, values,
--- different, largest } or { tensor, why }; nil if all are the same to the bit.
function m.first_difference(before, now)
  local recording, map = core.recording(false), by_name(now)
  local found
  for _, entry in ipairs(before) do
    local name, a = entry[1], entry[2]
    local b = map[name]
    if not b then
      found = { tensor = name, why = "there is none now" }
    elseif not same_bits(a, b) then
      found = describe(name, a, b)
    end
    if found then break end
  end
  core.recording(recording)
  if not found and #now ~= #before then found = { tensor = now[#now][1], why = "there was none" } end
  return found
end

return m
