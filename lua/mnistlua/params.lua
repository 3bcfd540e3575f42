-- ml.params: the numbers and choices of a config that can be changed from the command line.
--
--   local p = ml.params {
--     lr     = { 0.1, "peak learning rate", min = 0 },
--     hidden = { {512, 128, 64}, "hidden widths" },
--   }
--
-- Each entry is `{ default, description, min=, max=, choices= }`. An override takes the type of the default.
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local options = require "mnistlua.options"

local m = {}

local function fail(fmt, ...) options.fail(fmt:format(...)) end

--- A parameter's value as one would type it: 0.1, true, {512,128,64}, text.
function m.text(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for i, v in ipairs(value) do parts[i] = m.text(v) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function parse_list(name, text)
  -- Only numbers, words, quotes and braces: a table of constants, and nothing that runs.
  local chunk
  if text:find "^%s*{[%w%s%.,{}\"'+-]*}%s*$" then chunk = load("return " .. text, "=" .. name, "t", {}) end
  local ok, value = pcall(chunk or error)
  if not ok then
    options.usage(("parameter %s: expected a list such as %s=%s, got '%s'"):format(name, name, "'{512,128}'", text))
  end
  return value
end

local function parse(name, spec, text)
  local kind = type(spec[1])
  if kind == "string" then return text end
  if kind == "table" then return parse_list(name, text) end
  if kind == "boolean" then
    if text == "true" or text == "false" then return text == "true" end
    options.usage(("parameter %s: expected true or false, got '%s'"):format(name, text))
  end
  local value = tonumber(text)
  if not value or value ~= value then
    options.usage(("parameter %s: expected a number, got '%s'"):format(name, text))
  end
  return value
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
    complain(("parameter %s: expected one of %s, got '%s'"):format(name, table.concat(spec.choices, ", "),
      m.text(value)))
  end
end

local kinds = { number = true, string = true, boolean = true, table = true }

local function check_spec(name, spec)
  if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" then
    fail("ml.params: a parameter's name is a word, got '%s'", tostring(name))
  end
  if type(spec) ~= "table" or not kinds[type(spec[1])] then
    fail("ml.params: parameter %s: expected { default, \"description\" }, got %s", name, type(spec))
  end
  for key in pairs(spec) do
    if key ~= 1 and key ~= 2 then
      options.check_key("ml.params: parameter " .. name, key, { "min", "max", "choices" })
    end
  end
  if (spec.min or spec.max) and type(spec[1]) ~= "number" then
    fail("ml.params: parameter %s: min and max are for numbers, the default is a %s", name, type(spec[1]))
  end
  check_range(name, spec, spec[1], options.fail)
end

local function sorted_keys(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

--- Refuses overrides of parameters that the config does not have.
function m.check_overrides(names)
  for _, key in ipairs(context.override_order) do
    local known = false
    for _, name in ipairs(names) do known = known or name == key end
    if not known then
      local has = #names > 0 and "it has " .. table.concat(names, ", ") or "it declares none (ml.params)"
      options.usage(("%s has no parameter '%s'%s; %s"):format(context.config or "the config", key,
        options.hint(key, names), has))
    end
  end
end

--- Declares the config's parameters and returns their values, overrides of the command line applied. Reading or setting
--- one that was not declared is an error. Call it once, at the top of a config.
function m.declare(specs)
  if type(specs) ~= "table" then fail("ml.params: expected a table of parameters, got %s", type(specs)) end
  if context.params then fail "ml.params: called a second time; a config declares its parameters in one place" end
  local names, values = sorted_keys(specs), {}
  for _, name in ipairs(names) do check_spec(name, specs[name]) end
  context.params = { names = names, specs = specs, values = values }
  if context.listing then error(m.listing_done, 0) end
  m.check_overrides(names)
  for _, name in ipairs(names) do
    local text = context.overrides[name]
    values[name] = specs[name][1]
    if text then
      values[name] = parse(name, specs[name], text)
      check_range(name, specs[name], values[name], options.usage)
    end
  end
  local function unknown(_, key)
    fail("the config's parameters have no '%s'%s", tostring(key), options.hint(key, names))
  end
  return setmetatable({}, {
    __index = function(t, key)
      if values[key] == nil then unknown(t, key) end
      return values[key]
    end,
    __newindex = unknown,
    __pairs = function() return next, values end,
  })
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
    if spec.choices then limits[#limits + 1] = "one of " .. table.concat(spec.choices, ", ") end
    lines[#lines + 1] = ("  %-24s %s%s"):format(name .. "=" .. m.text(spec[1]), core.escape(spec[2] or ""),
      #limits > 0 and " (" .. table.concat(limits, ", ") .. ")" or "")
  end
  return lines
end

return m
