-- What an optimizer must keep to continue to the same bits: settings, step, and the state tensors by parameter name. A
-- state is checked as a whole before anything is changed, because it may come from a file.
local core = require "mnistlua.core"
local kinds = require "mnistlua.optim.kinds"
local options = require "mnistlua.options"
local Group = require "mnistlua.optim.group"
local settings = require "mnistlua.optim.settings"

local m = {}

--- The state of an optimizer of this kind with these groups.
function m.take(kind, step, values, groups)
  local state = { type = kind, step = step, settings = settings.copy(values), groups = {}, tensors = {} }
  for i, group in ipairs(groups) do
    state.groups[i] = group:settings()
    if group._kind ~= kind then state.groups[i].kind = group._kind end
    local own = group:tensors()
    table.move(own, 1, #own, #state.tensors + 1, state.tensors)
  end
  return state
end

local function by_name(list)
  local map = {}
  for _, entry in ipairs(list) do map[entry[1]] = entry[2] end
  return map
end

local function tensor_problem(given, name, parameter)
  if options.kind(given) ~= "tensor" then return ("it lacks '%s'"):format(name) end
  local has, wants = table.concat(given.shape, "x"), table.concat(parameter.shape, "x")
  if has ~= wants then return ("'%s' is %s where the parameter is %s"):format(name, has, wants) end
end

-- Settings decide which slots there are, so those of the state are asked. Notes the names in `wanted`.
local function group_problem(kind, group, given, map, wanted)
  local own = type(given) == "table" and given.kind or kind
  if own ~= group._kind then return ("a group is of %s where the optimizer's is of %s"):format(own, group._kind) end
  local problem = settings.problem(own, given, true)
  if problem or type(given.lr_scale) ~= "number" then return problem or "a group lacks its lr_scale" end
  for _, slot in ipairs(Group.slot_names(own, given)) do
    for i, name in ipairs(group.names) do
      local full = name .. "." .. slot
      wanted[full] = true
      problem = tensor_problem(map[full], full, group.params[i])
      if problem then return problem end
    end
  end
end

local function is_state(given)
  return type(given) == "table" and type(given.groups) == "table" and type(given.tensors) == "table"
     and math.tointeger(given.step) ~= nil
end

--- nil if the state fits an optimizer of this kind with these groups; otherwise what does not, in words.
function m.misfit(kind, groups, given)
  if not is_state(given) then return "it is not what state_dict returns" end
  if given.type ~= kind then return ("it is one of %s"):format(tostring(given.type)) end
  if #given.groups ~= #groups then
    return ("it has %d parameter groups where the optimizer has %d"):format(#given.groups, #groups)
  end
  local map, wanted, problem = by_name(given.tensors), {}, settings.problem(kind, given.settings)
  for i, group in ipairs(groups) do
    problem = problem or group_problem(kind, group, given.groups[i], map, wanted)
  end
  for _, entry in ipairs(given.tensors) do
    if not problem and not wanted[entry[1]] then problem = ("unexpected '%s'"):format(core.escape(entry[1])) end
  end
  return problem
end

--- Puts a state that fits back into the groups.
function m.restore(groups, given)
  local map = by_name(given.tensors)
  for i, group in ipairs(groups) do
    local values = settings.copy(given.groups[i])
    values.kind = nil
    group:restore(values)
    for _, entry in ipairs(group:tensors()) do entry[2]:copy_(map[entry[1]]) end
  end
end

-- The settings `own` with what the kind carries from step to step as `saved` has it.
local function with_memory(kind, own, saved)
  local values = settings.copy(own)
  for name in pairs(settings.begin_memory(own.kind or kind, {})) do values[name] = saved[name] end
  return values
end

--- A state with the settings of the state `own` and the tensors and memory of the state `saved`: how an optimizer
--- goes on whose settings were changed. Slots that these settings do not use are left out, new ones are as in `own`.
function m.adapt(own, saved)
  if type(saved) ~= "table" or saved.type ~= own.type or #saved.groups ~= #own.groups then return saved end
  local state = settings.copy(saved)
  state.settings, state.sam, state.groups, state.tensors = own.settings, own.sam, {}, {}
  for i, group in ipairs(own.groups) do state.groups[i] = with_memory(own.type, group, saved.groups[i]) end
  local map, known = by_name(saved.tensors), {}
  for i, entry in ipairs(own.tensors) do
    known[entry[1]] = true
    state.tensors[i] = { entry[1], map[entry[1]] or entry[2] }
  end
  for _, entry in ipairs(saved.tensors) do          -- those of a memory that grows
    if not known[entry[1]] and kinds[own.type].run then state.tensors[#state.tensors + 1] = entry end
  end
  return state
end

return m
