-- ml.params: the numbers and choices of a config that can be changed from the command line.
--
--   local p = ml.params {
--     lr     = { 0.1, "peak learning rate", min = 0 },
--     hidden = { {512, 128, 64}, "hidden widths" },
--   }
--
-- Each entry is `{ default, description, min=, max=, choices= }`. An override takes the type of the default; one of a
-- list has elements of the kinds that the default has, {256,64} or {relu,tanh}, nested where the default is.
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local options = require "mnistlua.options"

local m = {}

local function fail(fmt, ...) options.fail(fmt:format(...)) end

-- With as many digits as it takes to read the same number again.
local function number_text(x)
  local text = tostring(x)
  return tonumber(text) == x and text or ("%.17g"):format(x)
end

-- Text in a list, quoted unless it is a bare word.
local function element_text(value)
  if type(value) ~= "string" or value:find "^[%a_][%w_.-]*$" then return m.text(value) end
  return value:find('"', 1, true) and "'" .. value .. "'" or '"' .. value .. '"'
end

--- A parameter's value as one would type it: 0.1, true, {512,128,64}, text.
function m.text(value)
  if type(value) == "number" then return number_text(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for i, v in ipairs(value) do parts[i] = element_text(v) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function finite(text)
  local value = tonumber(text)
  return value and value == value and math.abs(value) < math.huge and value or nil
end

-- What the elements of a list may be: the kinds of the elements of some default lists, and of those the lists; nil, for
-- anything, where the defaults are empty.
local function element_kinds(lists)
  local allowed = { inner = {}, any = true }
  for _, list in ipairs(lists) do
    for _, element in ipairs(list) do
      allowed[type(element)], allowed.any = true, false
      if type(element) == "table" then table.insert(allowed.inner, element) end
    end
  end
  return not allowed.any and allowed or nil
end

-- The constant at a position, and the position after it: a number, true, false, quoted text or a bare word; nil if
-- there is none of an allowed kind.
local function read_constant(text, at, allowed)
  local function may(kind) return not allowed or allowed[kind] end
  local _, quoted, after = text:match("^([\"'])(.-)%1()", at)
  if quoted then return may "string" and quoted or nil, after end
  local span = text:match("^[^,{}]*", at)
  local word, value = span:match "^(.-)%s*$", nil
  if may "number" then value = finite(word) end
  if value == nil and may "boolean" and (word == "true" or word == "false") then value = word == "true" end
  if value == nil and may "string" and word:find "^[%a_][%w_.-]*$" then value = word end
  return value, at + #span
end

-- The list that begins at a position, and the position after it; nil if there is none. Nothing of the text is run.
local function read_list(text, from, allowed)
  local list, at = {}, text:match("^%s*{%s*()", from)
  while at and text:sub(at, at) ~= "}" do
    local value, after
    if text:sub(at, at) ~= "{" then
      value, after = read_constant(text, at, allowed)
    elseif not allowed or allowed.table then
      value, after = read_list(text, at, allowed and element_kinds(allowed.inner))
    end
    if value == nil then return nil end
    list[#list + 1] = value
    at = text:match("^%s*,%s*()", after) or text:match("^%s*()}", after)
  end
  if at then return list, at + 1 end
end

local function parse_list(name, default, text)
  local list, after = read_list(text, 1, element_kinds { default })
  if list and text:find("^%s*$", after) then return list end
  local example = #default > 0 and m.text(default) or "{512,128}"
  options.usage(("parameter %s: expected a list such as %s='%s', got '%s'"):format(name, name, example, text))
end

local function parse(name, spec, text)
  local kind = type(spec[1])
  if kind == "string" then return text end
  if kind == "table" then return parse_list(name, spec[1], text) end
  if kind == "boolean" then
    if text == "true" or text == "false" then return text == "true" end
    options.usage(("parameter %s: expected true or false, got '%s'"):format(name, text))
  end
  local value = finite(text)
  if not value then
    options.usage(("parameter %s: expected a number, got '%s'"):format(name, text))
  end
  return value
end

local function choices_text(choices)
  local parts = {}
  for i, choice in ipairs(choices) do parts[i] = m.text(choice) end
  return table.concat(parts, ", ")
end

local function check_range(name, spec, value, complain)
  if spec.min and value < spec.min then
    complain(("parameter %s: expected at least %s, got %s"):format(name, spec.min, m.text(value)))
  elseif spec.max and value > spec.max then
    complain(("parameter %s: expected at most %s, got %s"):format(name, spec.max, m.text(value)))
  elseif spec.choices then
    for _, choice in ipairs(spec.choices) do
      if choice == value then return end
    end
    complain(("parameter %s: expected one of %s, got '%s'%s"):format(name, choices_text(spec.choices), m.text(value),
      options.hint(m.text(value), spec.choices)))
  end
end

--- The value that `text` gives a parameter, by its declaration; a wrong type, or one out of range, is raised as a
--- mistake of the command line.
function m.read(name, spec, text)
  local value = parse(name, spec, text)
  check_range(name, spec, value, options.usage)
  return value
end

local kinds = { number = true, string = true, boolean = true, table = true }

local function check_choices(name, choices, kind)
  if type(choices) ~= "table" or #choices == 0 then
    fail("ml.params: parameter %s: choices: expected a list of values, got %s", name,
      type(choices) == "table" and "an empty one" or options.show(choices))
  end
  if kind == "table" then fail("ml.params: parameter %s: choices are for single values, not for a list", name) end
  for i, choice in ipairs(choices) do
    if type(choice) ~= kind then
      fail("ml.params: parameter %s: choices[%d] is %s; expected a %s, as the default is", name, i,
        options.show(choice), kind)
    end
  end
end

local function check_members(name, spec)
  if spec[2] ~= nil and type(spec[2]) ~= "string" then
    fail("ml.params: parameter %s: expected { default, \"description\" }, but the description is %s%s", name,
      options.show(spec[2]), type(spec[1]) == "number" and type(spec[2]) == "number"
        and ("; write { {%s, %s}, \"description\" } for a list"):format(spec[1], spec[2]) or "")
  end
  if (spec.min ~= nil or spec.max ~= nil) and type(spec[1]) ~= "number" then
    fail("ml.params: parameter %s: min and max are for numbers, the default is a %s", name, type(spec[1]))
  end
  for _, key in ipairs { "min", "max" } do
    if spec[key] ~= nil then options.check("ml.params: parameter " .. name, key, spec[key], { type = "number" }) end
  end
  if spec.choices ~= nil then check_choices(name, spec.choices, type(spec[1])) end
end

local function check_spec(name, spec)
  if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
    fail("ml.params: a parameter's name is a word, got '%s'", tostring(name))
  end
  if type(spec) ~= "table" or not kinds[type(spec[1])] then
    fail("ml.params: parameter %s: expected { default, \"description\" }, got %s", name, type(spec))
  end
  for _, key in ipairs(options.sorted_keys(spec)) do
    if key ~= 1 and key ~= 2 then
      options.check_key("ml.params: parameter " .. name, key, { "min", "max", "choices" })
    end
  end
  check_members(name, spec)
  check_range(name, spec, spec[1], options.fail)
end

--- Refuses overrides of parameters that the config does not have.
function m.check_overrides(names)
  for _, key in ipairs(context.override_order) do
    local known = false
    for _, name in ipairs(names) do known = known or name == key end
    if not known then
      local hint = options.hint(key, names)
      if hint == "" then
        hint = "; it " .. (#names > 0 and "has " .. table.concat(names, ", ") or "declares none (ml.params)")
      end
      options.usage(("%s has no parameter '%s'%s"):format(context.config or "the config", key, hint))
    end
  end
end

-- The values as a config sees them: pairs goes by name, in alphabetical order.
local function read_only(names, values)
  local function check_name(key)
    if values[key] == nil then
      fail("the config's parameters have no '%s'%s", core.escape(tostring(key)), options.hint(key, names))
    end
  end
  return setmetatable({}, {
    __index = function(_, key)
      check_name(key)
      return values[key]
    end,
    __newindex = function(_, key, value)
      check_name(key)
      fail("parameters are read-only; set %s on the command line (%s=%s), or its default in ml.params", key, key,
        type(value) == "table" and "'{...}'" or core.escape(tostring(value)))
    end,
    __pairs = function()
      local i = 0
      return function()
        i = i + 1
        return names[i], values[names[i]]
      end
    end,
  })
end

--- Declares the config's parameters and returns their values, overrides of the command line applied. Reading one that
--- was not declared, or setting any, is an error. Call it once, at the top of a config.
function m.declare(specs)
  if type(specs) ~= "table" then fail("ml.params: expected a table of parameters, got %s", type(specs)) end
  if context.params then fail "ml.params: called a second time; a config declares its parameters in one place" end
  local names, values = options.sorted_keys(specs), {}
  for _, name in ipairs(names) do check_spec(name, specs[name]) end
  context.params = { names = names, specs = specs, values = values }
  if context.listing then error(m.listing_done, 0) end
  m.check_overrides(names)
  for _, name in ipairs(names) do
    local text = context.overrides[name]
    values[name] = specs[name][1]
    if text then values[name] = m.read(name, specs[name], text) end
  end
  return read_only(names, values)
end

-- What stops a config whose parameters are only to be listed.
m.listing_done = setmetatable({}, { __tostring = function() return "parameters listed" end })

--- The lines of --help for the declared parameters.
function m.help()
  local lines = {}
  for _, name in ipairs(context.params and context.params.names or {}) do
    local spec = context.params.specs[name]
    local limits = {}
    if spec.min then limits[#limits + 1] = "at least " .. spec.min end
    if spec.max then limits[#limits + 1] = "at most " .. spec.max end
    if spec.choices then limits[#limits + 1] = "one of " .. choices_text(spec.choices) end
    lines[#lines + 1] = ("  %-24s %s%s"):format(name .. "=" .. m.text(spec[1]), core.escape(spec[2] or ""),
      #limits > 0 and " (" .. table.concat(limits, ", ") .. ")" or "")
  end
  return lines
end

return m
