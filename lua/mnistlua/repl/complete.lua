-- What the Tab key at the prompt may put in: names of variables, fields and methods behind a cursor. It runs no code of
-- the user's: fields are looked up without calling functions, through tables only.
local m = {}

local keywords = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not",
  "or", "repeat", "return", "then", "true", "until", "while",
}

-- ---- looking things up ----

-- Where a function that stands for __index looks: beside a tensor's are its methods; in the library a class is a
-- variable with a capital.
local function behind(index)
  local list, i = {}, 1
  while true do
    local name, value = debug.getupvalue(index, i)
    if not name then return list end
    if type(value) == "table" and (name == "" or name:find "^%u") then list[#list + 1] = value end
    i = i + 1
  end
end

-- The tables in which a value's fields are found, the first of them first: the value, and what its metatable hands on
-- to. No function is called.
local function places(value)
  local list, seen = {}, {}
  local function add(at)
    if type(at) ~= "table" or seen[at] or #list > 20 then return end
    seen[at], list[#list + 1] = true, at
    add(rawget(at, "_values"))                   -- settings, of modules and optimizers
    return at
  end
  local function follow(at)
    if type(at) == "table" and not add(at) then return end
    local meta = debug.getmetatable(at)
    if type(meta) ~= "table" then return end
    local index = rawget(meta, "__index")
    for _, t in ipairs(type(index) == "function" and behind(index) or { index }) do follow(t) end
    follow(rawget(meta, "class") or nil)
  end
  follow(value)
  return list
end

local function field(value, key)
  for _, t in ipairs(places(value)) do
    local found = rawget(t, key)
    if found ~= nil then return found end
  end
end

-- The names in one table that begin with `prefix` and may stand behind the separator.
local function names_in(t, prefix, methods, into)
  for key, value in next, t do
    local fits = type(key) == "string" and key:find "^[%a_][%w_]*$" and key:sub(1, #prefix) == prefix
    local hidden = key == "_" or type(key) == "string" and key:sub(1, 1) == "_" and prefix == ""
    if fits and not hidden and (not methods or type(value) == "function") then into[key] = true end
  end
end

-- Those of a value.
local function names_of(value, prefix, methods)
  local names = {}
  for _, t in ipairs(places(value)) do names_in(t, prefix, methods, names) end
  return names
end

local function sorted(names)
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- ---- the text before the cursor ----

-- The value of "a.b[2]:c" without its last name: nil where it cannot be had without running code.
local function resolve(path, env)
  local name, rest = path:match "^([%a_][%w_]*)(.*)$"
  local value = name and field(env, name)
  while value ~= nil and rest ~= "" do
    local key, more = rest:match "^%.([%a_][%w_]*)(.*)$"
    local index = rest:match "^%[(%d+)%]"
    if key then
      value, rest = field(value, key), more
    elseif index then
      local elements = field(value, "_list")     -- of an nn.ModuleList
      value = field(type(elements) == "table" and elements or value, math.tointeger(index))
      rest = rest:sub(#index + 3)
    else
      return nil
    end
  end
  return value
end

--- The completions of a line up to its cursor: a list of names in order, and the beginning of the name that is there.
function m.candidates(line, env)
  local path, separator, prefix = line:match "([%a_][%w_%.%[%]]*)([%.:])([%w_]*)$"
  if path then
    local value = resolve(path, env)
    if value == nil then return {}, prefix end
    if type(value) == "string" then value = string end
    return sorted(names_of(value, prefix, separator == ":")), prefix
  end
  prefix = line:match "([%a_][%w_]*)$" or ""
  if prefix == "" or line:find("%.%s*" .. prefix .. "$") then return {}, prefix end
  local names = names_of(env, prefix, false)
  for _, word in ipairs(keywords) do
    if word:sub(1, #prefix) == prefix then names[word] = true end
  end
  return sorted(names), prefix
end

--- What all of a list begin with.
function m.common(list)
  local common = list[1] or ""
  for _, name in ipairs(list) do
    while name:sub(1, #common) ~= common do common = common:sub(1, -2) end
  end
  return common
end

return m
