-- help(x): what a class, function or method is for, from the comments above it in the library's own sources: the lines
-- that begin with "---". Functions of the C core are described in src/bind/README.md; where that is not at hand, their
-- name is all there is.
local core = require "mnistlua.core"

local m = {}

local longest = 1 << 22

-- ---- sources ----

local cache = {}

local function lines_of(path)
  if cache[path] == nil then
    local text, lines = core.exists(path) and core.read_file(path, longest), {}
    for line in ((text or "") .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
    cache[path] = text and lines or false
  end
  return cache[path]
end

-- The comment that ends right above a line, without its dashes; nil if there is none.
local function comment_above(lines, at)
  local first = at
  while lines[first - 1] and lines[first - 1]:find "^%s*%-%-" do first = first - 1 end
  local parts, begun = {}, false
  for i = first, at - 1 do
    begun = begun or lines[i]:find "^%s*%-%-%-" ~= nil
    if begun then parts[#parts + 1] = lines[i]:match "^%s*%-%-%-?%s?(.*)$" end
  end
  return #parts > 0 and table.concat(parts, "\n") or nil
end

local function source_of(f)
  local info = debug.getinfo(f, "S")
  local path = info.source:match "^@(.*)$"
  return path and lines_of(path), info.linedefined
end

-- What a file opens with, for what has no comment of its own.
local function opening(lines)
  local parts = {}
  for _, line in ipairs(lines or {}) do
    if not line:find "^%-%-" then break end
    parts[#parts + 1] = line:match "^%-%-+%s?(.*)$"
  end
  return #parts > 0 and table.concat(parts, "\n") or nil
end

-- What a function of ml.data goes around, which has the comment.
local function inner(f)
  local name, value = debug.getupvalue(f, 1)
  for i = 2, 5 do
    if name == "source_of" then return value end
    name, value = debug.getupvalue(f, i)
  end
end

local function of_function(f)
  local lines, at = source_of(inner(f) or f)
  if lines then return comment_above(lines, at) or opening(lines) end
end

-- ---- classes ----

-- Files in which a class may be made: those of its methods.
local function files_of(class)
  local files, seen = {}, {}
  for _, value in next, class do
    local path = type(value) == "function" and debug.getinfo(value, "S").source:match "^@(.*)$"
    if path and not seen[path] then
      seen[path], files[#files + 1] = true, path
    end
  end
  table.sort(files)
  return files
end

local function of_class(class)
  local name = class.typename
  for _, path in ipairs(files_of(class)) do
    for i, line in ipairs(lines_of(path) or {}) do
      local makes = line:find(('"%s"'):format(name), 1, true)
      local found = makes and comment_above(lines_of(path), i)
      if found then return found end
    end
  end
  for _, path in ipairs(files_of(class)) do
    local found = opening(lines_of(path))
    if found then return found end
  end
end

-- ---- names ----

-- How a function of the core is called, and the remark on that, from src/bind/README.md: the piece of code that begins
-- with its name, up to the next one.
local function call_of(name)
  local lines = core.root and lines_of(core.root .. "/src/bind/README.md")
  local text = lines and table.concat(lines, " ")
  for _, pattern in ipairs { "`%%a*[:.]?%s%%b()[^`]*`", "`[^`]*%%f[%%w_]%s%%b()[^`]*`", "`[^`]*:%s%%f[^%%w_][^`]*`" } do
    local from, to = (text or ""):find(pattern:format(name))
    if from then
      local call, remark = text:sub(from, to):gsub("`", ""), text:match("^[^`]*", to + 1)
      remark = remark:match "^%s*%b()" or remark:match "^: [^.]*%." or remark:match "^ %->[^.]*" or ""
      return call .. remark
    end
  end
end

-- What an operation's own source opens with: its formula and shapes.
local function contract_of(name)
  local lines = core.root and lines_of(("%s/src/ops/%s.c"):format(core.root, name))
  local parts = {}
  for i, line in ipairs(lines or {}) do
    if i == 1 and not line:find "^/%*" then return nil end
    parts[i] = line:gsub("^/%*%s*", ""):gsub("^ %*%s?", ""):gsub("%s*%*/%s*$", "")
    if line:find "%*/" then return table.concat(parts, "\n") end
  end
end

local function of_core(name)
  local call, contract = call_of(name), contract_of(name)
  return call and contract and call .. "\n" .. contract or call or contract
end

local function name_of(value, places)
  for prefix, t in pairs(places) do
    for key, each in next, t do
      if rawequal(each, value) and type(key) == "string" then return prefix .. key end
    end
  end
end

-- The methods of tensors.
local function methods()
  local _, list = debug.getupvalue(debug.getmetatable(core.zeros(1)).__index, 1)
  return list
end

-- The value that "Linear", "nn.Linear" or "ml.data.mnist" names.
local function find(text, ml)
  local value, at = { ml = ml }, text
  for part in text:gmatch "[^.:]+" do
    if type(value) ~= "table" then return nil end
    value = rawget(value, part) or rawget(ml, part)
    at = part
  end
  if value ~= nil then return value, text end
  if methods()[at] then return methods()[at], "tensor:" .. at end
  for prefix, t in pairs { ["nn."] = ml.nn, ["optim."] = ml.optim, ["sched."] = ml.sched, ["ml."] = ml,
    ["ml.data."] = ml.data, ["callbacks."] = ml.callbacks } do
    if rawget(t, at) ~= nil then return rawget(t, at), prefix .. at end
  end
end

local general = [[
Type a statement or an expression; its value is shown. Lines go on until they are whole. Tab completes names.
  help(nn.Linear), help "OneCycleLR", help(ml.data.mnist)    what something is for
  show(data.train[5]), show(model[2].weight)                 pictures
  quit() or Ctrl-D                                           leave; Ctrl-C ends a statement that runs
ml, nn, optim and sched are at hand.]]

-- ---- the function ----

local function describe(value, ml)
  local kind = type(value)
  if kind == "table" and rawget(value, "is_class") then return value.typename, of_class(value) end
  local meta = debug.getmetatable(value)
  if kind == "table" and meta and meta.class then return meta.class.typename, of_class(meta.class) end
  if kind == "function" then
    local name = name_of(value, { ["ml."] = ml, ["ml.data."] = ml.data, ["optim."] = ml.optim, ["sched."] = ml.sched,
      ["callbacks."] = ml.callbacks, ["tensor:"] = methods() })
    return name or "function", of_function(value) or name and of_core(name:match "[^.:]+$")
  end
  local call = kind == "table" and meta and rawget(meta, "__call")
  return kind, type(call) == "function" and of_function(call) or nil
end

--- The text of help(x); without x, what the prompt can do.
function m.text(x)
  local ml = require "mnistlua"
  if x == nil then return general end
  local shown
  if type(x) == "string" then
    local value, name = find(x, ml)
    if value == nil then return ("there is nothing called '%s'"):format(core.escape(x)) end
    x, shown = value, name
  end
  local name, text = describe(x, ml)
  if not text then return ("%s: nothing is written about it"):format(shown or name) end
  return ("%s\n%s"):format(shown or name, text)
end

return m
