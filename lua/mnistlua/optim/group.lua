-- A parameter group: parameters that share settings, and their optimizer state. Optimizers own groups; scripts see them
-- as optimizer.groups[i], whose settings can be read and set by name.
local core = require "mnistlua.core"
local kinds = require "mnistlua.optim.kinds"
local options = require "mnistlua.options"
local settings = require "mnistlua.optim.settings"

local Group = {}

local function field_names(group)
  local names = settings.names(group._kind)
  names[#names + 1] = "lr_scale"
  return names
end

--- The names of a kind's state tensors with these settings.
function Group.slot_names(kind, values)
  local slots = kinds[kind].slots
  if slots then return slots(values) end
  return core.optim_slots(kind, settings.hyper(values))
end

-- Gives every parameter as many state tensors as these settings use. Those that exist are kept.
local function fit_slots(group)
  group._slot_names = Group.slot_names(group._kind, group._values)
  for i, p in ipairs(group.params) do
    local slots = group._slots[i] or {}
    for j in ipairs(group._slot_names) do slots[j] = slots[j] or core.zeros(p.shape) end
    for j = #slots, #group._slot_names + 1, -1 do slots[j] = nil end
    group._slots[i] = slots
  end
end

-- Takes a whole set of settings over.
local function adopt(group, values)
  group._values = settings.check_together("optim." .. group._kind, values)
  group._hyper = settings.hyper(values)
  fit_slots(group)
end

--- Sets one of the group's settings, checked. lr_scale is what the optimizer's lr is multiplied by for this group.
function Group:set(name, value)
  local what = "optim." .. self._kind
  if name == "lr" then
    value = settings.check_lr(self._kind, what, value)
    self._values.lr, self._hyper.lr = value, value
    return
  end
  if name == "lr_scale" then
    self._values.lr_scale = options.check(what, name, value, { type = "number", min = 0 })
    return
  end
  options.check_key(what, name, field_names(self), "setting")
  local values = self:settings()
  values[name] = settings.check_value(self._kind, what, name, value)
  adopt(self, values)
end

--- Sets the momentum, or the first of the betas, at little cost: a schedule sets it in every step.
function Group:set_momentum(value)
  local name, values, hyper = kinds[self._kind].momentum, self._values, self._hyper
  if name == "betas" then
    values.betas[1], hyper.beta1 = value, value
  elseif name and value > 0 and values.momentum > 0 then
    values.momentum, hyper.momentum = value, value
  elseif name then
    self:set("momentum", value)
  end
end

--- One step for the group's parameters that have a gradient; `step` counts from 1.
function Group:step(step)
  local kind, hyper = self._definition, self._hyper
  hyper.step = step
  if kind.advance then kind.advance(self._values, hyper, step) end
  if kind.step then kind.step(self, step) else core.optim_step(self._kind, self.params, self._slots, hyper) end
  if self._values.max_norm then core.limit_rows(self.params, self._values.max_norm) end
end

--- The state tensors as a list of { "<parameter>.<slot>", tensor }.
function Group:tensors()
  local list = {}
  for i, name in ipairs(self.names) do
    for j, slot in ipairs(self._slot_names) do list[#list + 1] = { name .. "." .. slot, self._slots[i][j] } end
  end
  return list
end

--- A copy of the settings, and of what the kind carries from step to step.
function Group:settings() return settings.copy(self._values) end

--- Puts settings that were checked before back.
function Group:restore(values)
  adopt(self, values)
end

local meta = {
  __name = "Group",
  __index = function(group, key)
    local value = group._values[key]
    if value == nil then value = Group[key] end
    if value == nil then options.check_key("optim." .. group._kind, key, field_names(group), "setting") end
    return value
  end,
  __newindex = Group.set,
}

--- A group of `params` named `names`, with settings `values` (lr_scale among them); `own` has the names of those that
--- the group does not share with its optimizer as keys.
function Group.new(kind, names, params, values, own)
  local group = {
    _kind = kind, _definition = kinds[kind], names = names, params = params, own = own, _slots = {},
  }
  adopt(group, settings.begin_memory(kind, values))
  return setmetatable(group, meta)
end

return Group
