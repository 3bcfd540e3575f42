-- The optimizers' settings (PyTorch's names, meanings and defaults) and how a script gives them: one list of kinds, one
-- rule per setting. The steps themselves are in src/optim.
local options = require "mnistlua.options"

local m = {}

local function number(default, min) return { type = "number", default = default, min = min } end

local function adam(weight_decay)
  return {
    lr = number(1e-3, 0), betas = { type = "table", default = { 0.9, 0.999 } }, eps = number(1e-8, 0),
    weight_decay = number(weight_decay, 0),
  }
end

-- Name -> its settings' rules. SGD's learning rate has no default: none suits most problems.
m.kinds = {
  SGD = {
    lr = { type = "number", min = 0, required = true }, momentum = number(0, 0), dampening = number(0),
    weight_decay = number(0, 0), nesterov = { type = "boolean", default = false },
  },
  Adam = adam(0),
  AdamW = adam(0.01),
}

--- The names of a kind's settings, sorted.
function m.names(kind) return options.sorted_keys(m.kinds[kind]) end

local beta_rule = { type = "number", min = 0, below = 1 }

local function check_betas(what, betas)
  if #betas ~= 2 then
    options.fail(("%s: betas is a list of %d; expected { beta1, beta2 }"):format(what, #betas))
  end
  return {
    options.check(what, "betas[1]", betas[1], beta_rule), options.check(what, "betas[2]", betas[2], beta_rule),
  }
end

--- One setting's value, checked; a list of betas is copied.
function m.check_value(kind, what, name, value)
  value = options.check(what, name, value, m.kinds[kind][name])
  return name == "betas" and check_betas(what, value) or value
end

--- The same for a learning rate, at little cost: a schedule sets it in every step.
function m.check_lr(kind, what, value)
  if math.type(value) and value >= 0 and value < math.huge then return value end
  return m.check_value(kind, what, "lr", value)
end

local function clash(values)
  return values.nesterov and (values.momentum == 0 or values.dampening ~= 0)
end

--- Refuses settings that do not go together. Returns them.
function m.check_together(what, values)
  if clash(values) then
    options.fail(("%s: nesterov needs a momentum above 0 and no dampening, got momentum = %s, dampening = %s"):format(
      what, values.momentum, values.dampening))
  end
  return values
end

--- Reads an option table: the settings, and what `extra` rules allow besides.
function m.read(kind, what, given, extra)
  local spec = {}
  for name, rule in pairs(m.kinds[kind]) do spec[name] = rule end
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

--- nil if `values` are settings of this kind, complete and in range; otherwise what is wrong, in words.
function m.problem(kind, values)
  if type(values) ~= "table" then return "settings are missing" end
  for _, name in ipairs(m.names(kind)) do
    local value = values[name]
    local ok = options.accept(m.kinds[kind][name], value) ~= nil
    if ok and name == "betas" then
      ok = options.accept(beta_rule, value[1]) and options.accept(beta_rule, value[2])
    end
    if not ok then return ("setting '%s' is %s"):format(name, options.show(value)) end
  end
  if clash(values) then return "nesterov without momentum, or with dampening" end
end

--- The settings as the core's optimizers take them.
function m.hyper(values)
  return {
    lr = values.lr, momentum = values.momentum, dampening = values.dampening, nesterov = values.nesterov,
    weight_decay = values.weight_decay, eps = values.eps,
    beta1 = values.betas and values.betas[1], beta2 = values.betas and values.betas[2],
  }
end

return m
