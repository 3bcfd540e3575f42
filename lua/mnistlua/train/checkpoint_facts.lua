-- What a run is, as far as its result depends on it: the config's text and parameters, the seed, the data, the
-- precision. Every checkpoint carries it, and a run goes on only where it is the same.
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local params = require "mnistlua.params"

local m = {}

local function hashes(data)
  local found = {}
  for _, part in ipairs { "train", "val", "test" } do
    local d = rawget(data, part)
    if d then found[part] = ("%d samples, hash %s"):format(#d, d:hash()) end
  end
  return found
end

local function copy(values)
  local result = {}
  for name, value in pairs(values or {}) do result[name] = value end
  return result
end

local function facts_of(run)
  local e = run.experiment
  return {
    name = e.name, config = context.config_text, params = copy(context.params and context.params.values),
    overrides = copy(context.overrides), seed = run.seed, precision = run.precision, stand_in = context.data,
    asked_precision = context.precision, data = hashes(run.data), batch = e.batch, steps = run.total_steps,
    parameters = run.model:num_parameters(), version = core.version, isa = core.isa(),
  }
end

local known = setmetatable({}, { __mode = "k" })    -- by run: to hash MNIST takes 50 ms

--- The facts of a prepared run, as plain data; not a copy. `overrides` are the parameters as key=value gave them.
function m.of(run)
  known[run] = known[run] or facts_of(run)
  return known[run]
end

-- ---- what differs ----

-- The first line in which two texts differ, from both.
local function line_that_differs(a, b)
  local next_a, next_b, number = a:gmatch "([^\n]*)\n?", b:gmatch "([^\n]*)\n?", 0
  repeat
    local line_a, line_b = next_a(), next_b()
    number = number + 1
    if line_a ~= line_b then return number, line_a or "", line_b or "" end
  until not line_a
  return number, "", ""
end

local function shorten(text)
  text = text:gsub("^%s+", ""):gsub("%s+$", "")
  if utf8.len(text) and utf8.len(text) > 60 then return text:sub(1, utf8.offset(text, 58) - 1) .. "..." end
  return text
end

local function compare_configs(list, before, now)
  if before == now or not before or not now then return end
  local number, a, b = line_that_differs(before, now)
  list[#list + 1] = ("line %d of the config was '%s' and is '%s'"):format(number, shorten(a), shorten(b))
end

local function text(value)
  if value == nil then return "not there" end
  return params.text(value)
end

local function compare_tables(list, before, now, what)
  local names = copy(before)
  for name in pairs(now) do names[name] = true end
  for _, name in ipairs(options.sorted_keys(names)) do
    local a, b = before[name], now[name]
    local same = a == b or type(a) == "table" and type(b) == "table" and text(a) == text(b)
    if not same then list[#list + 1] = ("%s%s was %s and is %s"):format(what, name, text(a), text(b)) end
  end
end

--- What differs between the facts of a checkpoint and those of a run, in words: an empty list if it can go on.
function m.differences(before, now)
  local list = {}
  compare_tables(list, before.params, now.params, "")
  compare_configs(list, before.config, now.config)
  for _, name in ipairs { "seed", "precision" } do
    if before[name] ~= now[name] then
      list[#list + 1] = ("%s was %s and is %s"):format(name, text(before[name]), text(now[name]))
    end
  end
  compare_tables(list, before.data, now.data, "data: ")
  if #list > 0 then return list end
  for _, name in ipairs { "batch", "steps", "parameters" } do      -- what a config may take from elsewhere
    if before[name] ~= now[name] then
      list[#list + 1] = ("%s: %s before, %s now"):format(name, text(before[name]), text(now[name]))
    end
  end
  return list
end

--- What may give other bits although nothing else does, in words; or nil.
function m.foreign(before, now)
  for _, name in ipairs { "isa", "version" } do
    if before[name] ~= now[name] then
      return ("the checkpoint is from %s %s, this is %s: what follows may differ in its bits from a run never stopped")
        :format(name == "isa" and "instruction set" or "version", core.escape(tostring(before[name])), now[name])
    end
  end
end

return m
