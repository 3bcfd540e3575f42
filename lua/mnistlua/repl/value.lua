-- Values as the prompt shows them: what describes itself does; pictures are drawn; tables are listed, a few levels
-- deep. It returns text and prints nothing.
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local picture = require "mnistlua.picture"
local text_table = require "mnistlua.cli.text_table"

local m = {}

local deepest, most = 3, 40    -- levels of tables; entries of one

m.interrupted = "interrupted"    -- the error that Ctrl-C makes of a statement

-- ---- tensors ----

-- Pixels: bytes of h x w, or of one channel.
local function is_picture(t)
  local dims = t:dim()
  if t.dtype ~= "u8" or dims < 2 or dims > 3 or dims == 3 and t:size(1) ~= 1 then return false end
  local h, w = t:size(-2), t:size(-1)
  return h >= 5 and w >= 5 and h <= 256 and w <= 256
end

local function drawn(t)
  return ("%s\n%s"):format((tostring(t):match "^[^\n]*"), (picture.text(t):gsub("\n$", "")))
end

-- ---- tables ----

local function is_name(key) return type(key) == "string" and key:find "^[%a_][%w_]*$" end

local function key_text(key) return is_name(key) and key or ("[%s]"):format(options.show(key)) end

local function sorted_keys(t)
  local keys = {}
  for key in next, t do
    if math.type(key) ~= "integer" or key < 1 or key > #t then keys[#keys + 1] = key end
  end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

local show

local function entries_of(t, level, seen)
  local parts = {}
  for i = 1, #t do parts[i] = show(rawget(t, i), level + 1, seen) end
  for _, key in ipairs(sorted_keys(t)) do
    parts[#parts + 1] = ("%s = %s"):format(key_text(key), show(rawget(t, key), level + 1, seen))
  end
  return parts
end

-- On one line where it fits, else an entry a line.
local function table_text(t, level, seen)
  if seen[t] then return "{ ... }" end
  if next(t) == nil then return "{}" end
  if level >= deepest then return "{ ... }" end
  seen[t] = true
  local parts = entries_of(t, level, seen)
  seen[t] = nil
  if #parts > most then
    parts[most + 1] = ("... %d more"):format(#parts - most)
    parts = table.move(parts, 1, most + 1, 1, {})
  end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if #line + 2 * level <= math.min(text_table.room(), 100) and not line:find "\n" then return line end
  local inner, outer = ("  "):rep(level + 1), ("  "):rep(level)
  return ("{\n%s%s\n%s}"):format(inner, table.concat(parts, ",\n" .. inner), outer)
end

-- The fields of what has no text of its own, as pairs gives them where that is told how.
local function fields_of(value, meta)
  local fields = {}
  local next_of, state, first = next, value, nil
  if type(meta.__pairs) == "function" then next_of, state, first = meta.__pairs(value) end
  for key, each in next_of, state, first do fields[key] = each end
  return fields
end

-- Objects with fields and without a text of their own.
local function object_text(value, meta, level, seen)
  local name = type(meta.__name) == "string" and meta.__name .. " " or ""
  return name .. table_text(fields_of(value, meta), level, seen)
end

-- What has a text of its own. A __tostring that fails shows its message.
local function described(value)
  local ok, text = pcall(tostring, value)
  return ok and text or ("<%s: %s>"):format(type(value), core.escape(tostring(text)))
end

local function function_text(f)
  local info = debug.getinfo(f, "S")
  return info.what == "C" and "function (C)" or ("function: %s:%d"):format(info.short_src, info.linedefined)
end

function show(value, level, seen)
  local kind = type(value)
  if kind == "string" then return level == 0 and value or ("%q"):format(value):gsub("\\\n", "\\n") end
  if kind == "function" then return function_text(value) end
  if kind == "table" and not debug.getmetatable(value) then return table_text(value, level, seen) end
  if options.kind(value) == "tensor" and level > 0 then return (tostring(value):match "^[^\n]*") end
  local meta = debug.getmetatable(value)
  if kind == "table" and type(meta) == "table" and not meta.__tostring then
    return object_text(value, meta, level, seen)
  end
  return (described(value):gsub("\n", "\n" .. ("  "):rep(level)))
end

-- ---- what the prompt calls ----

-- A sample of a dataset: its picture and its label.
local function is_sample(value)
  return type(value) == "table" and not debug.getmetatable(value) and rawget(value, "label") ~= nil
    and options.kind(rawget(value, "image")) == "tensor" and is_picture(value.image)
end

-- Bytes that a terminal would obey are shown; line breaks stay.
local function safe(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = utf8.len(line) and not line:find "%c" and line or core.escape((line:gsub("\t", "  ")))
  end
  return table.concat(lines, "\n")
end

--- The text of a value.
function m.text(value)
  if options.kind(value) == "tensor" and is_picture(value) then return drawn(value) end
  if is_sample(value) then return ("%s\nlabel %s"):format(drawn(value.image), options.show(value.label)) end
  return safe(show(value, 0, {}))
end

--- The text of several values, a line or more for each; nil for none.
function m.texts(values)
  local parts = {}
  for i = 1, values.n do parts[i] = m.text(values[i]) end
  if #parts > 0 then return table.concat(parts, "\n") end
end

-- The lines of a traceback above what was typed: the functions that it called, in the order of calls back.
local function callers(trace)
  local lines = {}
  for line in trace:gmatch "[^\n]+" do
    if line:find "repl/chunk%.lua" then break end
    if not line:find "^stack traceback" then lines[#lines + 1] = safe(line) end
  end
  if lines[#lines] and lines[#lines]:find "^%s*prompt:" then lines[#lines] = nil end    -- the typed line itself
  if #lines == 1 and lines[1]:find "^%s*%[C%]" then lines[1] = nil end                  -- error, or what refused
  return lines
end

--- An error as the prompt shows it: the message, then through which functions it came, if there were any.
function m.problem(message, trace)
  local lines = { color.paint("red", "error: ") .. safe(message) }
  for _, line in ipairs(message ~= m.interrupted and callers(trace or "") or {}) do
    lines[#lines + 1] = color.paint("dim", line)
  end
  return table.concat(lines, "\n")
end

return m
