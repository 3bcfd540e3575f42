-- Option tables: one reader for everything that a script can configure, so that a misspelt key, a wrong type or a value
-- out of range is told the same way everywhere, at the script's line and before anything runs. Also the place that a
-- message begins with, and the "did you mean" of every closed list of names. It knows no option by name and never
-- changes the table that it reads.
--
-- A spec maps each option to its rule; its list part names the positional values:
--
--   { "p", p = { type = "number", default = 0.5, min = 0, below = 1 } }
--
-- Members of a rule: `type` ("number", "integer", "string", "boolean", "table", "function", "tensor", "module", or
-- several as "string|function"; any value if missing), `default`, `required`, `min`, `max` (allowed), `above`, `below`
-- (not allowed themselves), `integer`, `choices` (a list of the allowed values).
local core = require "mnistlua.core"
local context = require "mnistlua.context"

local m = {}

--- Raises `message` at the line of the script that is running; `where` (text like "configs/a.lua:14: ") replaces it.
function m.fail(message, where)
  if (where or "") == "" then where = m.where() end
  error(where .. message, 0)
end

--- Raises a mistake of the command line: a message that belongs to no line of a script.
function m.usage(message)
  error(message, 0)
end

-- ---- places ----

local deepest = 200    -- levels of the stack that are searched

-- The line where an object was made, which modules, losses, optimizers and experiments keep as `where`; a run's is its
-- experiment's. nil for anything else.
local function made_at(value)
  if type(value) ~= "table" or not debug.getmetatable(value) then return nil end
  local experiment = rawget(value, "experiment")
  local where = rawget(type(experiment) == "table" and experiment or value, "where")
  return type(where) == "string" and where:find ":%d+: $" and where or nil
end

--- The place that a message raised now begins with ("configs/a.lua:14: "): the line of the script that is running;
--- where none is, the line that made the innermost object at work, which is the first argument of its methods; failing
--- that the config's name, "" without one. Costs nothing until something is wrong.
function m.where()
  local where, level = core.where(), 2
  while where == "" and level < deepest and debug.getinfo(level, "l") do
    local _, first = debug.getlocal(level, 1)
    where, level = made_at(first) or "", level + 1
  end
  if where == "" and context.config then return context.config .. ": " end
  return where
end

local library = debug.getinfo(1, "S").source:match "^@(.*/)options%.lua$" or ""

-- Whether a position in a message is in the library; Lua cuts long names as "...rk/lua/mnistlua/nn/linear.lua".
local function is_own(file)
  local cut = file:match "^%.%.%.(.*)$"
  if not cut then return library ~= "" and file:sub(1, #library) == library end
  local inside = cut:match "mnistlua/([%w_/]+%.lua)$"
  return inside ~= nil and (library .. inside):sub(-#cut) == cut and core.exists(library .. inside)
end

--- A message handler for xpcall. What the core refused while no script was running begins with a line of the library;
--- it begins with m.where() instead. A defect of the library itself ("attempt to ...") keeps its line.
function m.located(problem)
  if type(problem) ~= "string" then return problem end
  local file, what = problem:match "^([^\n:]+):%d+: (.*)$"
  if not file or what:find "^attempt to " or not is_own(file) then return problem end
  local where = m.where()
  return (where ~= "" and where or "mnistlua: ") .. what
end

-- ---- kinds of values ----

-- By the metatable's __name.
local kinds = {
  Module = "module", Class = "class", Tensor = "tensor", ["mnistlua.Tensor"] = "tensor", Schedule = "function",
}

--- What a value is, in the words of messages: "tensor", "module", "class" (a module's class, not called yet), or Lua's
--- type.
function m.kind(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return kinds[name] or type(value)
end

--- A value as a message shows it: numbers and booleans as they are, text quoted, anything else by its kind.
function m.show(value)
  local kind = m.kind(value)
  if kind == "string" then return "'" .. core.escape(value) .. "'" end
  if value ~= value then return "nan" end
  if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(value) end
  if kind == "class" then return "the class " .. value.typename end
  return "a " .. kind
end

--- "nn.ReLU is a class; write nn.ReLU()" for a module's class, nil for anything else.
function m.class_hint(value)
  if m.kind(value) ~= "class" then return nil end
  return ("%s is a class; write %s()"):format(value.typename, value.typename)
end

-- ---- did you mean ----

-- Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, substitutions, swapped neighbours.
local function distance(a, b)
  local before, previous = {}, {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, previous = previous, row
  end
  return previous[#b]
end

-- How many slips a word of this length may hold and still be recognised.
local function tolerance(length)
  return math.max(1, length // 3)
end

--- The name in `list` that `word` was probably meant to be, or nil if none is close: few slips of the keyboard, or a
--- part of a longer name ("smoothing" for "label_smoothing"). Upper and lower case are the same.
function m.nearest(word, list)
  if type(word) ~= "string" or #word > 64 then return nil end
  local typed = word:lower()
  local best, best_distance
  for _, name in ipairs(list) do
    local text = tostring(name):lower()
    local d = distance(typed, text)
    if d > tolerance(#typed) or d >= #typed and d > 0 then
      d = #typed >= 4 and text:find(typed, 1, true) and tolerance(#typed) + 1
    end
    if d and (not best or d < best_distance) then best, best_distance = tostring(name), d end
  end
  return best
end

--- "; did you mean 'x'?" if a name in `list` is close to `word`, "" otherwise.
function m.hint(word, list)
  local name = m.nearest(word, list)
  return name and ("; did you mean '%s'?"):format(name) or ""
end

-- The keys of a table, sorted as text: what may be said or done in their order never depends on `pairs`.
local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end
m.sorted_keys = sorted_keys

local function known_names(list)
  if #list == 0 then return "; it takes none" end
  return #list <= 12 and "; it takes " .. table.concat(list, ", ") or ""
end

--- Raises "what: unknown noun 'key'" unless key is in `list`; noun is "option" if not given.
function m.check_key(what, key, list, noun)
  for _, name in ipairs(list) do
    if name == key then return end
  end
  local hint = m.hint(key, list)
  if hint == "" then hint = known_names(list) end
  m.fail(("%s: unknown %s %s%s"):format(what, noun or "option", m.show(key), hint))
end

--- Makes reading a name that `t` does not have an error ("nn has no 'Liner'; did you mean 'Linear'?"). Returns t.
function m.strict(what, t)
  return setmetatable(t, {
    __index = function(_, key)
      m.fail(("%s has no %s%s"):format(what, m.show(key), m.hint(key, sorted_keys(t))))
    end,
  })
end

-- ---- one value against its rule ----

local function range_text(rule)
  local parts = {}
  if rule.min then parts[#parts + 1] = ">= " .. rule.min end
  if rule.above then parts[#parts + 1] = "> " .. rule.above end
  if rule.max then parts[#parts + 1] = "<= " .. rule.max end
  if rule.below then parts[#parts + 1] = "< " .. rule.below end
  return #parts > 0 and " " .. table.concat(parts, " and ") or ""
end

local articles = { integer = "a whole number", ["function"] = "a function", any = "a value" }

-- "a number >= 0 and < 1", "text or a function", "one of 'a', 'b'".
local function expectation(rule)
  if rule.choices then
    local shown = {}
    for i, choice in ipairs(rule.choices) do shown[i] = m.show(choice) end
    return "one of " .. table.concat(shown, ", ")
  end
  local parts = {}
  for kind in (rule.type or "any"):gmatch "%a+" do
    if kind == "number" and rule.integer then kind = "integer" end
    parts[#parts + 1] = articles[kind] or "a " .. kind
  end
  return table.concat(parts, " or ") .. range_text(rule)
end

local function in_range(rule, x)
  return x == x and x < math.huge and x > -math.huge
     and not (rule.min and x < rule.min or rule.max and x > rule.max)
     and not (rule.above and x <= rule.above or rule.below and x >= rule.below)
end

-- The value if the rule allows it (3.0 becomes 3 where a whole number is wanted), nil otherwise.
local function accept_number(rule, kind, value)
  if rule.integer or kind == "integer" then value = math.tointeger(value) end
  return value and in_range(rule, value) and value or nil
end

local function among(list, value)
  for _, each in ipairs(list) do
    if each == value then return value end
  end
end

--- The value if the rule allows it (a whole number as an integer), nil otherwise.
function m.accept(rule, value)
  if rule.choices then return among(rule.choices, value) end
  if not rule.type then return value end
  local found = m.kind(value)
  for kind in rule.type:gmatch "%a+" do
    if found == "number" and (kind == "number" or kind == "integer") then return accept_number(rule, kind, value) end
    if found == kind then return value end
  end
  return nil
end

--- Checks one value against its rule and returns it; raises "what: name is 2; expected a number < 1".
function m.check(what, name, value, rule)
  local accepted = m.accept(rule, value)
  if accepted == nil then
    local class = m.class_hint(value)
    if class then m.fail(("%s: %s: %s"):format(what, name, class)) end
    local hint = rule.choices and m.hint(value, rule.choices) or ""
    m.fail(("%s: %s is %s; expected %s%s"):format(what, name, m.show(value), expectation(rule), hint))
  end
  return accepted
end

-- ---- option tables ----

local function is_plain(value)
  return type(value) == "table" and getmetatable(value) == nil
end

--- Gathers a call's arguments into one option table: (784, 128, { bias = false }) gives { 784, 128, bias = false }. A
--- last argument that is a plain table holds options, if it has no list part or is the only argument.
function m.gather(...)
  local given, count = { ... }, select("#", ...)
  local last = given[count]
  if not is_plain(last) or (count > 1 and #last > 0) then return given end
  given[count] = nil
  for key, value in pairs(last) do given[key] = value end
  return given
end

local function place_positional(what, given, spec, values)
  for i, name in ipairs(spec) do
    if given[i] ~= nil then
      if given[name] ~= nil then m.fail(("%s: %s is given twice, by position and by name"):format(what, name)) end
      values[name] = given[i]
    end
  end
end

local function option_names(spec)
  local names = {}
  for _, key in ipairs(sorted_keys(spec)) do
    if type(key) == "string" then names[#names + 1] = key end
  end
  return names
end

local function check_keys(what, given, spec, names)
  for _, key in ipairs(sorted_keys(given)) do
    if math.type(key) ~= "integer" then
      m.check_key(what, key, names)
    elseif key < 1 or key > #spec then
      local most = #spec == 0 and "no values" or #spec == 1 and "1 value" or ("at most %d values"):format(#spec)
      m.fail(("%s: takes %s without a name, but value %d is %s"):format(what, most, key, m.show(given[key])))
    end
  end
end

--- Reads the options `given` to `what` ("nn.Dropout", for messages) by `spec` (above) and returns a table with a value
--- for each option that was given or has a default. A value that is not a table stands for { value }; nil for none.
--- Raises at the script's line: unknown and doubled options, missing required ones, wrong types and ranges.
function m.read(what, given, spec)
  if given == nil then given = {} end
  if not is_plain(given) then given = { given } end
  local names, values = option_names(spec), {}
  check_keys(what, given, spec, names)
  place_positional(what, given, spec, values)
  for _, name in ipairs(names) do
    local value = values[name]
    if value == nil then value = given[name] end
    if value ~= nil then
      values[name] = m.check(what, name, value, spec[name])
    elseif spec[name].required then
      m.fail(("%s: needs %s, %s"):format(what, name, expectation(spec[name])))
    else
      values[name] = spec[name].default
    end
  end
  return values
end

return m
