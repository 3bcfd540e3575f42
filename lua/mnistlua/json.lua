-- JSON out of Lua values, for --json and result.json. Keys are sorted, so the same table gives the same bytes. It never
-- reads JSON: what strangers wrote is jansson's work, in C.
local m = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quote(text)
  if not utf8.len(text) then             -- not UTF-8: keep what can be kept, byte by byte
    text = text:gsub("[\x80-\xff]", "?")
  end
  return '"' .. text:gsub('[%c"\\\x7f]', function(c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function number(x)
  if x ~= x or x == math.huge or x == -math.huge then return "null" end
  if math.type(x) == "integer" then return ("%d"):format(x) end
  for digits = 6, 17 do                  -- the shortest text that reads back as the same number
    local text = ("%." .. digits .. "g"):format(x)
    if tonumber(text) == x then return text end
  end
end

-- Text that is JSON already.
local Raw = {}

local encode

local function array(t)
  local parts = {}
  for i, v in ipairs(t) do parts[i] = encode(v) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function object(t)
  local keys, parts = {}, {}
  for k in pairs(t) do keys[#keys + 1] = tostring(k) end
  table.sort(keys)
  for i, k in ipairs(keys) do parts[i] = quote(k) .. ":" .. encode(t[k]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

function encode(v)
  local kind = type(v)
  if kind == "nil" then return "null" end
  if kind == "boolean" then return tostring(v) end
  if kind == "number" then return number(v) end
  if getmetatable(v) == Raw then return v[1] end
  if kind == "table" then return (#v > 0 or next(v) == nil) and array(v) or object(v) end
  return quote(tostring(v))
end

--- The JSON text of a value: a table with elements 1..n is an array, an empty table too, any other an object. NaN and
--- infinity become null, whatever has no JSON form its tostring.
m.encode = encode

--- A value whose JSON is this text of letters, digits and such, quoted: for long ones that need no escaping (base64).
function m.plain(text) return setmetatable({ '"' .. text .. '"' }, Raw) end

return m
