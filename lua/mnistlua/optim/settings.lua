-- The optimizers' settings as a script gives them, by the rules of kinds.lua: reading, checking, and what the core's
-- optimizers take.
local kinds = require "mnistlua.optim.kinds"
local options = require "mnistlua.options"

local m = {}

--- The names of a kind's settings that a group can have, sorted.
function m.names(kind) return options.sorted_keys(kinds[kind].rules) end

-- Whether a kind can clip gradients: not where it evaluates the loss as often as it likes.
local function clips(kind) return kinds[kind].run == nil end

--- These and what only the whole optimizer has, sorted.
function m.all_names(kind)
  local names = m.names(kind)
  for name in pairs(clips(kind) and kinds.whole or {}) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- Whether a setting is the whole optimizer's.
function m.is_whole(name) return kinds.whole[name] ~= nil end

local function rule_of(kind, name) return kinds[kind].rules[name] or kinds.whole[name] end

local beta_rule = { type = "number", min = 0, below = 1 }

local function check_betas(what, betas)
  if #betas ~= 2 then
    options.fail(("%s: betas is a list of %d; expected { beta1, beta2 }"):format(what, #betas))
  end
  return {
    options.check(what, "betas[1]", betas[1], beta_rule), options.check(what, "betas[2]", betas[2], beta_rule),
  }
end

local function is_optional(rule) return rule.default == nil and not rule.required end

--- One setting's value, checked; a list of betas is copied. nil takes back one that need not be set.
function m.check_value(kind, what, name, value)
  local rule = rule_of(kind, name)
  if value == nil and is_optional(rule) then return nil end
  value = options.check(what, name, value, rule)
  return name == "betas" and check_betas(what, value) or value
end

--- The same for a learning rate, at little cost: a schedule sets it in every step.
function m.check_lr(kind, what, value)
  if math.type(value) and value >= 0 and value < math.huge then return value end
  return m.check_value(kind, what, "lr", value)
end

local function clash(values)
  return values.nesterov and (values.momentum == 0 or values.dampening and values.dampening ~= 0)
end

--- Refuses settings that do not go together. Returns them.
function m.check_together(what, values)
  if clash(values) then
    options.fail(("%s: nesterov needs a momentum above 0 and no dampening, got momentum = %s, dampening = %s"):format(
      what, values.momentum, values.dampening or 0))
  end
  return values
end

--- Reads an option table: the settings, and what `extra` rules allow besides.
function m.read(kind, what, given, extra)
  local spec = {}
  for _, name in ipairs(m.all_names(kind)) do spec[name] = rule_of(kind, name) end
  for name, rule in pairs(extra) do spec[name] = rule end
  local o = options.read(what, given, spec)
  if o.betas then o.betas = check_betas(what, o.betas) end
  return m.check_together(what, o)
end

--- A copy of settings, lists included.
function m.copy(values)
  local copy = {}
  for name, value in pairs(values) do
    copy[name] = type(value) == "table" and table.move(value, 1, #value, 1, {}) or value
  end
  return copy
end

--- Adds what a kind carries from step to step, as it is before the first, to a group's values.
function m.begin_memory(kind, values)
  for name, value in pairs(kinds[kind].memory and kinds[kind].memory() or {}) do values[name] = value end
  return values
end

local function value_problem(kind, name, value)
  local rule = rule_of(kind, name)
  local ok = value == nil and is_optional(rule) or options.accept(rule, value) ~= nil
  if ok and name == "betas" then
    ok = options.accept(beta_rule, value[1]) and options.accept(beta_rule, value[2])
  end
  if not ok then return ("setting '%s' is %s"):format(name, options.show(value)) end
end

--- nil if `values` are settings of this kind, complete and in range; otherwise what is wrong, in words. With `grouped`
--- they are a group's, with its memory.
function m.problem(kind, values, grouped)
  if type(values) ~= "table" then return "settings are missing" end
  for _, name in ipairs(grouped and m.names(kind) or m.all_names(kind)) do
    local problem = value_problem(kind, name, values[name])
    if problem then return problem end
  end
  for name, value in pairs(grouped and m.begin_memory(kind, {}) or {}) do
    if type(values[name]) ~= type(value) then return ("it lacks %s's '%s'"):format(kind, name) end
  end
  if clash(values) then return "nesterov without momentum, or with dampening" end
  return grouped and kinds[kind].problem and kinds[kind].problem(values) or nil
end

--- The settings as the core's optimizers take them.
function m.hyper(values)
  return {
    lr = values.lr, momentum = values.momentum, dampening = values.dampening, nesterov = values.nesterov,
    weight_decay = values.weight_decay, eps = values.eps, alpha = values.alpha, centered = values.centered,
    lr_decay = values.lr_decay, initial_accumulator_value = values.initial_accumulator_value,
    beta1 = values.betas and values.betas[1], beta2 = values.betas and values.betas[2],
  }
end

return m
