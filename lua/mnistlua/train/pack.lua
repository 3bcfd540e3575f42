-- Plain data as text and back, to the bit: what a checkpoint keeps besides weights. The text is JSON with every
-- double in full and integers apart from floats; tables that JSON has no form for, texts that are not UTF-8, NaN and
-- infinity stand as objects with one key that begins with "%". Tensors in the data are put in a list, and their place
-- names them. The same data is the same text.
local core = require "mnistlua.core"
local options = require "mnistlua.options"

local m = {}

local deepest = 20     -- levels; each may be three of JSON's, of which the reader takes 64

-- ---- to text ----

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function text_of(s)
  if utf8.len(s) and not s:find("\0", 1, true) then return quote(s) end
  return '{"%bytes":"' .. s:gsub(".", function(c) return ("%02x"):format(c:byte()) end) .. '"}'
end

local function number(x)
  if math.type(x) == "integer" then return ("%d"):format(x) end
  if x ~= x then return '{"%number":"nan"}' end
  if x == math.huge then return '{"%number":"inf"}' end
  if x == -math.huge then return '{"%number":"-inf"}' end
  local text = ("%.17g"):format(x)
  return text:find "[.e]" and text or text .. ".0"
end

local function is_list(t)
  local n = 0
  for key in pairs(t) do
    if math.type(key) ~= "integer" then return false end
    n = n + 1
  end
  return n == #t and n > 0
end

local function is_object(t)
  for key in pairs(t) do
    if type(key) ~= "string" or key:find "^%%" or key:find("\0", 1, true) or not utf8.len(key) then return false end
  end
  return true
end

local encode

local function list_text(t, to, path, depth)
  local parts = {}
  for i, v in ipairs(t) do parts[i] = encode(v, to, path .. "." .. i, depth) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function object_text(t, to, path, depth)
  local parts = {}
  for i, key in ipairs(options.sorted_keys(t)) do
    parts[i] = quote(key) .. ":" .. encode(t[key], to, path .. "." .. key, depth)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- Keys of other kinds: sorted by their own text, which tells 1 from "1".
local function pairs_text(t, to, path, depth)
  local texts, values = {}, {}
  for key in pairs(t) do
    local text = encode(key, nil, path, depth)
    texts[#texts + 1], values[text] = text, t[key]
  end
  table.sort(texts)
  for i, text in ipairs(texts) do
    texts[i] = "[" .. text .. "," .. encode(values[text], to, path .. "." .. i, depth) .. "]"
  end
  return '{"%pairs":[' .. table.concat(texts, ",") .. "]}"
end

local function tensor_text(t, to, path)
  to[#to + 1] = { path, t }
  return '{"%tensor":' .. quote(path) .. "}"
end

function encode(v, to, path, depth)
  local kind = options.kind(v)
  if kind == "number" then return number(v) end
  if kind == "string" then return text_of(v) end
  if kind == "boolean" then return tostring(v) end
  if kind == "tensor" and to then return tensor_text(v, to, path) end
  if kind ~= "table" or getmetatable(v) ~= nil then
    error { path = path, kind = kind == "table" and "an object with a metatable" or "a " .. kind }
  end
  if depth >= deepest then error { path = path, kind = false } end
  local form = is_list(v) and list_text or is_object(v) and object_text or pairs_text
  return form(v, to, path, depth + 1)
end

--- The text of a value. Tensors are appended to the list `tensors` as { name, tensor }; their names begin with `name`.
--- Returns nil and why if there is something in it that is neither plain data nor a tensor, or if it nests without end.
function m.text(value, name, tensors)
  local found = {}
  local ok, result = pcall(encode, value, found, name, 0)
  if not ok then
    if type(result) ~= "table" then error(result, 0) end
    return nil, not result.kind and name .. " nests too deep, or holds itself"
      or ("%s is %s; expected plain data or a tensor"):format(result.path, result.kind)
  end
  table.move(found, 1, #found, #tensors + 1, tensors)
  return result
end

local simple = { number = true, string = true, boolean = true, tensor = true }

local function is_plain(v, depth)
  if simple[options.kind(v)] then return true end
  if type(v) ~= "table" or getmetatable(v) ~= nil or depth >= deepest then return false end
  for key, each in next, v do
    if not is_plain(key, depth + 1) or not is_plain(each, depth + 1) then return false end
  end
  return true
end

--- Whether m.text would take a value.
function m.is_plain(value) return is_plain(value, 0) end

-- ---- and back ----

local numbers = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

local restore

local special = {
  ["%number"] = function(name) return numbers[name] end,
  ["%bytes"] = function(hex) return (hex:gsub("%x%x", function(c) return string.char(tonumber(c, 16)) end)) end,
  ["%tensor"] = function(name, tensors) return tensors[name] or error { missing = name } end,
  ["%pairs"] = function(list, tensors)
    local t = {}
    for _, pair in ipairs(list) do t[restore(pair[1], tensors)] = restore(pair[2], tensors) end
    return t
  end,
}

function restore(v, tensors)
  if type(v) ~= "table" then return v end
  local key, content = next(v)
  if type(key) == "string" and special[key] then return special[key](content, tensors) end
  local t = {}
  for k, each in pairs(v) do t[k] = restore(each, tensors) end
  return t
end

--- The value of a text; `tensors` maps names to tensors. nil and a message if it is damaged.
function m.value(text, tensors)
  local tree, problem = core.json_decode(text)
  if tree == nil then return nil, problem end
  local ok, value = pcall(restore, tree, tensors)
  if ok then return value end
  return nil, type(value) == "table" and ("it lacks the tensor '%s'"):format(core.escape(tostring(value.missing)))
    or "its values are not what this program writes"
end

return m
