-- The optimizer object of every kind: it owns groups of parameters, moves them, and keeps what a checkpoint needs. Made
-- by optim.SGD and the like in init.lua; optim.SAM wraps one.
local core = require "mnistlua.core"
local groups = require "mnistlua.optim.groups"
local kinds = require "mnistlua.optim.kinds"
local options = require "mnistlua.options"
local settings = require "mnistlua.optim.settings"
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

local function take_groups(self, list)
  local all = {}
  for _, group in ipairs(list) do table.move(group.params, 1, #group.params, #all + 1, all) end
  rawset(self, "_groups", list)
  rawset(self, "_all", all)
end

-- ---- parameters ----

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
    take_groups(self, groups.by_pattern(self, names, params))
    rawset(self, "_step", 0)
    return self
  end
  learn_names(self, name_of)
  return self
end

--- All parameters, group by group.
function Optimizer:parameters()
  bound(self)
  return table.move(self._all, 1, #self._all, 1, {})
end

-- ---- steps ----

local function refuse_step(self)
  if self._definition.run then
    fail("%s: step needs a closure: optimizer:step(function() ... return loss end), which drops the gradients, runs "
      .. "the model, calls backward and returns the loss", self._what)
  end
  fail("%s: the weights are those to evaluate (optimizer:eval()); call optimizer:train() before a step", self._what)
end

--- Moves every parameter that has a gradient. A closure is a function that drops the gradients, runs the model, calls
--- backward and returns the loss; it is called first, and its loss returned. LBFGS needs one and calls it several
--- times.
function Optimizer:step(closure)
  local list, values, run = bound(self), self._values, self._definition.run
  if self._away or run and not closure then refuse_step(self) end
  self._step = self._step + 1
  if run then return run(self, closure) end
  local loss = closure and closure()
  if values.clip_norm then core.clip_grad_norm(self._all, values.clip_norm) end
  if values.clip_value then core.clip_grad_value(self._all, values.clip_value) end
  for _, group in ipairs(list) do group:step(self._step) end
  return loss
end

--- Drops the gradients of all parameters.
function Optimizer:zero_grad()
  for _, group in ipairs(bound(self)) do core.zero_grad(group.params) end
end

--- Sets the momentum of all groups (the first beta where there are betas), as a schedule for it does in every step.
function Optimizer:set_momentum(value)
  local name = self._definition.momentum
  if not name then fail("%s has no momentum that could be scheduled", self._what) end
  if name == "betas" then self._values.betas[1] = value else self._values.momentum = value end
  for _, group in ipairs(self._groups or {}) do group:set_momentum(value) end
end

-- ---- the weights to evaluate, where they are not those that gradients are taken at ----

local function shift(group, kept)
  local away = kinds[group._kind].away(group._values)
  for i, p in ipairs(group.params) do
    kept[#kept + 1] = { p, p:clone() }
    p:add_(group._slots[i][1], -away)
  end
end

--- Puts the weights to evaluate in place (schedule-free: the mean x); nothing for other kinds. Returns the optimizer.
function Optimizer:eval()
  if not self._definition.away or self._away then return self end
  local kept, recording = {}, core.recording(false)
  for _, group in ipairs(bound(self)) do shift(group, kept) end
  core.recording(recording)
  rawset(self, "_away", kept)
  return self
end

--- Takes that back, to the bit. Returns the optimizer.
function Optimizer:train()
  for _, entry in ipairs(self._away or {}) do entry[1]:copy_(entry[2]) end
  rawset(self, "_away", false)
  return self
end

-- ---- state ----

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

-- Sets a setting for all groups of this kind; those that have one of their own keep it.
local function assign(self, name, value)
  if name == "lr" then return assign_lr(self, value) end
  options.check_key(self._what, name, settings.all_names(self._kind), "setting")
  local values = settings.copy(self._values)
  values[name] = settings.check_value(self._kind, self._what, name, value)
  self._values = settings.check_together(self._what, values)
  if settings.is_whole(name) then return end
  for _, group in ipairs(self._groups or {}) do
    if group._kind == self._kind and group.own[name] == nil then group:set(name, value) end
  end
end

local function lookup(self, key)
  if Optimizer[key] then return Optimizer[key] end
  if key == "groups" then return bound(self) end
  if key == "needs_closure" then return self._definition.run ~= nil end    -- its step evaluates the loss itself
  if key == "clips" then return self._definition.run == nil end            -- has clip_norm and clip_value
  if key == "averages" then return self._definition.away ~= nil end        -- eval() puts other weights in place
  if self._values[key] == nil then
    options.check_key(self._what, key, settings.all_names(self._kind), "setting")
  end
  return self._values[key]
end

local function describe(self)
  local parts = {}
  for _, name in ipairs(settings.all_names(self._kind)) do
    local value, rule = self._values[name], kinds[self._kind].rules[name] or {}
    if value ~= rule.default and name ~= "betas" then parts[#parts + 1] = ("%s = %s"):format(name, tostring(value)) end
  end
  return #parts > 0 and ("%s { %s }"):format(self._what, table.concat(parts, ", ")) or self._what .. " {}"
end

local meta = { __name = "Optimizer", __index = lookup, __newindex = assign, __tostring = describe }

-- ---- making one ----

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

local m = {}

function m.is(value) return debug.getmetatable(value) == meta end

-- The optimizer for what a kind for matrices leaves over.
local function check_rest(what, rest)
  if not m.is(rest) then fail("%s: rest is %s; expected an optimizer such as optim.AdamW { lr = 1e-3 }", what,
    options.show(rest)) end
  if rest._groups or #rest._patterns > 0 then
    fail("%s: rest: give %s its options only; parameters and groups are given to %s", what, rest._what, what)
  end
  if rest._definition.run or rest._definition.away or rest._rest then
    fail("%s: rest: %s cannot be used for this", what, rest._what)
  end
  return rest
end

-- One search along a line moves all parameters at once.
local function refuse_groups(self, params)
  if self._definition.run and params and options.kind(params[1]) == "table" then
    fail("%s: has one group; give it a list of parameters", self._what)
  end
end

--- An optimizer of this kind from a script's arguments: (options), (parameters, options) or (model, options). `rest` is
--- the default optimizer of what a kind for matrices leaves over.
function m.new(kind, rest, ...)
  local what, definition = "optim." .. kind, kinds[kind]
  local model, params, given = split_arguments(what, ...)
  local extra = not (params or definition.run) and { groups = { type = "table", default = {} } } or {}
  if rest then extra.rest = { default = rest } end
  local o = settings.read(kind, what, given, extra)
  local patterns = o.groups or {}
  if rest then rest = check_rest(what, o.rest) end
  o.groups, o.rest = nil, nil
  local self = setmetatable({
    _kind = kind, _definition = definition, _what = what, _values = o, _patterns = patterns, _rest = rest or false,
    _explicit = params ~= nil, _step = 0, _groups = false, _all = false, _away = false, where = core.where(),
  }, meta)
  refuse_groups(self, params)
  groups.check_patterns(self, patterns)
  if params then take_groups(self, groups.as_given(self, params)) end
  if model then self:bind(model) end
  return self
end

return m
