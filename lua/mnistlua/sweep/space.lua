-- The space of a sweep: key=value words, where a value may be a list (0.03,0.1,0.3) or a range (log(1e-4,1e-1)),
-- checked against what the config declares. Called by the command; it knows neither trials nor files.
--
-- A dimension is plain data, as sweep.json keeps it: { name =, values = { "0.03", "0.1" } }, texts as they were typed,
-- or { name =, kind = "log", low =, high = }. Kinds: log (uniform in the logarithm), uniform, int (whole numbers, both
-- ends included).
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local params = require "mnistlua.params"

local m = {}

m.kinds = { "int", "log", "uniform" }

local closing = { ["{"] = "}", ["("] = ")", ["["] = "]" }

--- The parts of a text between its commas, but for those within brackets or quotes.
function m.split(text)
  local parts, open, first = {}, {}, 1
  for at = 1, #text do
    local c, top = text:sub(at, at), open[#open]
    local in_quotes = top == '"' or top == "'"
    if c == top then
      open[#open] = nil
    elseif not in_quotes and (c == '"' or c == "'" or closing[c]) then
      open[#open + 1] = closing[c] or c
    elseif c == "," and not top then
      parts[#parts + 1], first = text:sub(first, at - 1), at + 1
    end
  end
  parts[#parts + 1] = text:sub(first)
  return parts
end

-- ---- ranges ----

local function refuse_range(name, text, expected, hint)
  options.usage(("parameter %s: expected %s, got '%s'%s"):format(name, expected, core.escape(text), hint or ""))
end

local function check_ends(name, text, range)
  local low, high = range.low, range.high
  local ordered = low and high and low < high and low > -math.huge and high < math.huge      -- no NaN either
  if not ordered then
    refuse_range(name, text, ("%s(LOW,HIGH) with two numbers, LOW < HIGH"):format(range.kind))
  elseif range.kind == "log" and low <= 0 then
    refuse_range(name, text, "log(LOW,HIGH) with LOW above 0")
  elseif range.kind == "int" and not (math.tointeger(low) and math.tointeger(high)) then
    refuse_range(name, text, "int(LOW,HIGH) with whole numbers")
  end
end

-- The dimension of a text like "log(1e-4,1e-1)", nil if it is not one.
local function read_range(name, spec, text)
  local kind, inner = text:match "^%s*(%a+)%s*(%b())%s*$"
  if not kind or type(spec[1]) == "string" and not options.accept({ choices = m.kinds }, kind) then return nil end
  if not options.accept({ choices = m.kinds }, kind) then
    refuse_range(name, text, "a value, or a range: int, log or uniform(LOW,HIGH)", options.hint(kind, m.kinds))
  elseif type(spec[1]) ~= "number" or spec.choices then
    options.usage(("parameter %s: ranges are for numbers%s; list its values: %s=%s"):format(name,
      spec.choices and " without choices" or "", name, params.text(spec[1])))
  end
  local ends = m.split(inner:sub(2, -2))
  local range = { name = name, kind = kind, low = tonumber(ends[1]), high = tonumber(ends[2]) }
  if #ends ~= 2 then range.low = nil end
  check_ends(name, text, range)
  for _, x in ipairs { range.low, range.high } do params.read(name, spec, ("%.17g"):format(x)) end
  if kind == "int" then range.low, range.high = math.tointeger(range.low), math.tointeger(range.high) end
  return range
end

-- ---- the whole ----

-- The values of a list that differ; 0.1 and 1e-1 do not.
local function read_list(name, spec, text)
  local values, seen = {}, {}
  for _, part in ipairs(m.split(text)) do
    local canonical = params.text(params.read(name, spec, part))
    if not seen[canonical] then values[#values + 1], seen[canonical] = part, true end
  end
  return { name = name, values = values }
end

--- The dimensions of key=value texts (`order` lists the keys, `texts` has the values), checked against the declared
--- parameters { names =, specs = }. Mistakes are raised as those of the command line.
function m.read(declared, order, texts)
  local dimensions = {}
  for i, name in ipairs(order) do
    local spec = declared.specs[name]
    dimensions[i] = read_range(name, spec, texts[name]) or read_list(name, spec, texts[name])
  end
  return dimensions
end

--- Whether a dimension is a range.
function m.is_range(dimension) return dimension.kind ~= nil end

--- How many points the space has; math.huge with a range (but int).
function m.size(dimensions)
  local size = 1
  for _, d in ipairs(dimensions) do
    size = size * (d.values and #d.values or d.kind == "int" and d.high - d.low + 1.0 or math.huge)
  end
  return size
end

--- The names of the parameters that vary.
function m.varying(dimensions)
  local names = {}
  for _, d in ipairs(dimensions) do
    if not d.values or #d.values > 1 then names[#names + 1] = d.name end
  end
  return names
end

return m
