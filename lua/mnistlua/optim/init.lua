-- ml.optim: the optimizers. A config declares one (optim.SGD { lr = 0.1 }) and the trainer binds it to the model; a
-- loop of one's own gives the parameters (optim.SGD(model:parameters(), { lr = 0.1 })), as in PyTorch.
--
-- Groups give parameters settings of their own. Declared, they are Lua patterns on parameter names, the first that
-- matches wins; with parameters given, they are PyTorch's list of tables:
--
--   optim.AdamW { lr = 4e-3, weight_decay = 1e-4, groups = { { "%.bias$", weight_decay = 0 } } }
--   optim.SGD({ { params = a }, { params = b, lr = 0.01 } }, { lr = 0.1 })
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local Group = require "mnistlua.optim.group"
local settings = require "mnistlua.optim.settings"
local parameter = require "mnistlua.nn.parameter"
local state = require "mnistlua.optim.state"

local Optimizer = {}

local function fail(fmt, ...) options.fail(fmt:format(...)) end

local function bound(self)
  if not self._groups then
    fail("%s has no parameters yet; give them (%s(model:parameters(), { ... })) or bind it to a model (:bind(model))",
      self._what, self._what)
  end
  return self._groups
end

-- ---- groups ----

local scale_rule = { type = "number", min = 0 }

-- The base settings with a group's own in their place. Its lr is kept as a share of the base's, so that both follow
-- a schedule.
local function merged(self, what, own)
  local values = {}
  for _, name in ipairs(settings.names(self._kind)) do
    values[name] = self._values[name]
    if own[name] ~= nil then values[name] = settings.check_value(self._kind, what, name, own[name]) end
  end
  if own.lr and own.lr_scale then fail("%s: give lr or lr_scale, not both", what) end
  values.lr_scale = own.lr_scale and options.check(what, "lr_scale", own.lr_scale, scale_rule) or 1
  if own.lr then
    if self._values.lr == 0 then fail("%s: lr is a share of the optimizer's, which is 0; use lr_scale", what) end
    values.lr_scale = own.lr / self._values.lr
  else
    values.lr = values.lr * values.lr_scale
  end
  return settings.check_together(what, values)
end

local function check_group_keys(self, what, own, extra)
  if options.kind(own) ~= "table" then fail("%s: expected a table, got %s", what, options.show(own)) end
  local allowed = settings.names(self._kind)
  table.move(extra, 1, #extra, #allowed + 1, allowed)
  for _, key in ipairs(options.sorted_keys(own)) do options.check_key(what, key, allowed) end
end

local function check_pattern_group(self, i, own)
  local what = ("%s: group %d"):format(self._what, i)
  check_group_keys(self, what, own, { 1, "lr_scale" })
  local pattern = own[1]
  if type(pattern) ~= "string" then
    fail("%s: expected a pattern of parameter names first, got %s", what, options.show(pattern))
  end
  local ok, problem = pcall(string.find, "", pattern)
  if not ok then fail("%s: %s: %s", what, options.show(pattern), tostring(problem):gsub("^.-:%d+: ", "")) end
  merged(self, what, own)
end

-- The number of the first pattern that finds itself in name; one more than there are if none does.
local function group_number(patterns, name)
  for i, own in ipairs(patterns) do
    if name:find(own[1]) then return i end
  end
  return #patterns + 1
end

local function refuse_empty(self, i, own, names)
  options.fail(("%s: group %d: '%s' matches no parameter%s of %s"):format(self._what, i, own[1],
    i > 1 and " that earlier groups left" or "", table.concat(names, ", ", 1, math.min(#names, 12))), self.where)
end

local function groups_by_pattern(self, names, params)
  local parts, groups = {}, {}
  for i = 1, #self._patterns + 1 do parts[i] = { names = {}, params = {} } end
  for i, name in ipairs(names) do
    local part = parts[group_number(self._patterns, name)]
    part.names[#part.names + 1], part.params[#part.params + 1] = name, params[i]
  end
  for i, part in ipairs(parts) do
    local own = self._patterns[i] or {}
    if #part.names == 0 and self._patterns[i] then refuse_empty(self, i, own, names) end
    if #part.names > 0 then
      groups[#groups + 1] = Group.new(self._kind, part.names, part.params, merged(self, self._what, own), own)
    end
  end
  return groups
end

-- A parameter that is frozen at the moment may be given, as in PyTorch; a tensor that never wanted a gradient may not.
local function check_tensor(what, i, p, seen)
  if options.kind(p) ~= "tensor" then fail("%s: parameter %d is %s; expected a tensor", what, i, options.show(p)) end
  if seen[p] then fail("%s: parameter %d is given twice, also as number %d of %s", what, i, table.unpack(seen[p])) end
  if not p.requires_grad and not parameter.is(p) then
    fail("%s: parameter %d does not require a gradient; write nn.Parameter(t)", what, i)
  end
  if not p.is_leaf then
    fail("%s: parameter %d is computed from others, it cannot be optimized; use nn.Parameter(t:detach())", what, i)
  end
  seen[p] = { i, what }
end

-- `seen` has the tensors of earlier groups.
local function check_tensors(what, params, seen)
  if options.kind(params) ~= "table" or #params == 0 then fail("%s: expected a list of parameters, got none", what) end
  for i, p in ipairs(params) do check_tensor(what, i, p, seen) end
end

-- Parameters given without names are called by their number from 0, as in PyTorch's state dicts.
local function numbered_group(self, what, params, own, first, seen)
  check_tensors(what, params, seen)
  local names = {}
  for i in ipairs(params) do names[i] = tostring(first + i - 1) end
  return Group.new(self._kind, names, table.move(params, 1, #params, 1, {}), merged(self, what, own), own)
end

local function groups_as_given(self, given)
  if options.kind(given[1]) ~= "table" then return { numbered_group(self, self._what, given, {}, 0, {}) } end
  local groups, first, seen = {}, 0, {}
  for i, own in ipairs(given) do
    local what = ("%s: group %d"):format(self._what, i)
    check_group_keys(self, what, own, { "params", "lr_scale" })
    groups[i] = numbered_group(self, what, own.params, own, first, seen)
    first = first + #own.params
  end
  return groups
end

-- ---- methods ----

-- Takes the model's names for parameters that were given without; the trainer would train nothing if it had none of
-- them.
local function learn_names(self, name_of)
  local known = 0
  for _, group in ipairs(self._groups) do
    for i, p in ipairs(group.params) do
      if name_of[p] then group.names[i], known = name_of[p], known + 1 end
    end
  end
  if known == 0 then
    options.fail(("%s: none of its parameters is one of the model's, so the model would not be trained; give it "
      .. "model:parameters(), or only the options"):format(self._what), self.where)
  end
end

--- Takes a model's parameters, as the trainer does: declared groups are matched with their names. An optimizer that was
--- made with parameters keeps them and learns their names; at least one of them must be the model's. Returns the
--- optimizer.
function Optimizer:bind(model)
  local names, params, name_of = {}, {}, {}
  for name, p in model:named_parameters() do
    names[#names + 1], params[#params + 1], name_of[p] = name, p, name
  end
  if #names == 0 then
    options.fail(("%s: %s has no parameters to train"):format(self._what, model:signature()), self.where)
  end
  if not self._explicit then
    rawset(self, "_groups", groups_by_pattern(self, names, params))
    rawset(self, "_step", 0)
    return self
  end
  learn_names(self, name_of)
  return self
end

--- All parameters, group by group.
function Optimizer:parameters()
  local all = {}
  for _, group in ipairs(bound(self)) do table.move(group.params, 1, #group.params, #all + 1, all) end
  return all
end

--- Moves every parameter that has a gradient.
function Optimizer:step()
  local groups = bound(self)
  self._step = self._step + 1
  for _, group in ipairs(groups) do group:step(self._step) end
end

--- Drops the gradients of all parameters.
function Optimizer:zero_grad()
  for _, group in ipairs(bound(self)) do core.zero_grad(group.params) end
end

--- What continuing needs, as plain data and tensors: { type, step, settings, groups = { settings of each }, tensors =
--- list of { "<parameter>.<slot>", tensor } }. The tensors are the optimizer's own, not copies.
function Optimizer:state_dict()
  return state.take(self._kind, self._step, self._values, bound(self))
end

--- Whether a state fits this optimizer: true, or nil and what does not.
function Optimizer:check_state_dict(given)
  local problem = state.misfit(self._kind, bound(self), given)
  if problem then return nil, ("%s: the state does not fit: %s"):format(self._what, problem) end
  return true
end

--- Puts a state back: settings, step and tensors. Raises, changing nothing, if it does not fit. Returns the optimizer.
function Optimizer:load_state_dict(given)
  local ok, problem = self:check_state_dict(given)
  if not ok then options.fail(problem) end
  state.restore(self._groups, given)
  rawset(self, "_values", settings.copy(given.settings))
  rawset(self, "_step", math.tointeger(given.step))
  return self
end

-- ---- the object ----

-- Sets the learning rate for all groups, in proportion to their lr_scale.
local function assign_lr(self, lr)
  self._values.lr = settings.check_lr(self._kind, self._what, lr)
  for _, group in ipairs(self._groups or {}) do group:set("lr", lr * group.lr_scale) end
end

-- Sets a setting for all groups; those that have one of their own keep it.
local function assign(self, name, value)
  if name == "lr" then return assign_lr(self, value) end
  options.check_key(self._what, name, settings.names(self._kind), "setting")
  local values = settings.copy(self._values)
  values[name] = settings.check_value(self._kind, self._what, name, value)
  self._values = settings.check_together(self._what, values)
  for _, group in ipairs(self._groups or {}) do
    if group.own[name] == nil then group:set(name, value) end
  end
end

local function lookup(self, key)
  if Optimizer[key] then return Optimizer[key] end
  if key == "groups" then return bound(self) end
  if self._values[key] == nil then
    options.check_key(self._what, key, settings.names(self._kind), "setting")
  end
  return self._values[key]
end

local function describe(self)
  local parts = {}
  for _, name in ipairs(settings.names(self._kind)) do
    local value, rule = self._values[name], settings.kinds[self._kind][name]
    if value ~= rule.default and name ~= "betas" then parts[#parts + 1] = ("%s = %s"):format(name, tostring(value)) end
  end
  return ("%s { %s }"):format(self._what, table.concat(parts, ", "))
end

local meta = { __name = "Optimizer", __index = lookup, __newindex = assign, __tostring = describe }

-- (params, options), (model, options) or (options).
local function split_arguments(what, first, second)
  local kind = options.kind(first)
  if kind == "module" then return first, nil, second end
  local head = kind == "table" and first[1]
  local is_params = options.kind(head) == "tensor" or options.kind(head) == "table" or second ~= nil
  if not is_params then return nil, nil, first end
  if kind ~= "table" then fail("%s: expected a list of parameters, got %s", what, options.show(first)) end
  if #first == 0 then fail("%s: expected a list of parameters, got an empty one", what) end
  return nil, first, second
end

local function construct(kind, ...)
  local what = "optim." .. kind
  local model, params, given = split_arguments(what, ...)
  local o = settings.read(kind, what, given, params and {} or { groups = { type = "table", default = {} } })
  local patterns = o.groups or {}
  o.groups = nil
  local self = setmetatable({
    _kind = kind, _what = what, _values = o, _patterns = patterns, _explicit = params ~= nil, _step = 0,
    _groups = false, where = core.where(),
  }, meta)
  for i, own in ipairs(patterns) do check_pattern_group(self, i, own) end
  if params then rawset(self, "_groups", groups_as_given(self, params)) end
  if model then self:bind(model) end
  return self
end

local m = {}

--- Stochastic gradient descent: optim.SGD { lr = 0.1 }, or optim.SGD(model:parameters(), { lr = 0.1 }). Options: lr
--- (required), momentum (0), dampening (0), nesterov (false), weight_decay (0), groups (declared form only).
function m.SGD(...) return construct("SGD", ...) end

--- Adam (Kingma and Ba 2015). Options: lr (1e-3), betas ({ 0.9, 0.999 }), eps (1e-8), weight_decay (0, added to the
--- gradient), groups.
function m.Adam(...) return construct("Adam", ...) end

--- Adam with decoupled weight decay (Loshchilov and Hutter 2019). Options as optim.Adam's; weight_decay is 0.01.
function m.AdamW(...) return construct("AdamW", ...) end

return options.strict("optim", m)
