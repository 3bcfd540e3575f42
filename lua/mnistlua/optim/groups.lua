-- How an optimizer's parameters become groups. Declared groups are Lua patterns on parameter names, the first that
-- matches wins; with parameters given, they are PyTorch's list of tables. Where a kind is for matrices only (Muon),
-- what has fewer dimensions, and groups with rest = true, go to the optimizer that it names for the rest.
local Group = require "mnistlua.optim.group"
local options = require "mnistlua.options"
local parameter = require "mnistlua.nn.parameter"
local settings = require "mnistlua.optim.settings"

local m = {}

local function fail(fmt, ...) options.fail(fmt:format(...)) end

-- ---- settings of a group ----

local scale_rule = { type = "number", min = 0 }

-- The lr of a group as a share of the optimizer's, so that both follow a schedule: own.lr, own.lr_scale, or that of the
-- optimizer for the rest.
local function lr_scale(self, what, base, own)
  if own.lr and own.lr_scale then fail("%s: give lr or lr_scale, not both", what) end
  local scale = own.lr_scale and options.check(what, "lr_scale", own.lr_scale, scale_rule) or 1
  local lr = own.lr or scale * base.lr
  if lr == self._values.lr * scale then return scale, lr end
  if self._values.lr == 0 then fail("%s: lr is a share of the optimizer's, which is 0; use lr_scale", what) end
  return lr / self._values.lr, lr
end

-- The settings of a group of this kind: the base's with the group's own in their place.
local function merged(self, what, kind, own)
  local base, values = kind == self._kind and self._values or self._rest._values, {}
  for _, name in ipairs(settings.names(kind)) do
    values[name] = base[name]
    if own[name] ~= nil then values[name] = settings.check_value(kind, what, name, own[name]) end
  end
  values.lr_scale, values.lr = lr_scale(self, what, base, own)
  return settings.check_together(what, values)
end

-- The names of settings that a group may have: those of either kind, where there are two.
local function setting_names(self)
  local names, seen = settings.names(self._kind), {}
  for _, name in ipairs(names) do seen[name] = true end
  for _, name in ipairs(self._rest and settings.names(self._rest._kind) or {}) do
    if not seen[name] then names[#names + 1] = name end
  end
  if self._rest then names[#names + 1] = "rest" end
  return names
end

local function check_keys(self, what, own, extra)
  if options.kind(own) ~= "table" then fail("%s: expected a table, got %s", what, options.show(own)) end
  local allowed = setting_names(self)
  table.move(extra, 1, #extra, #allowed + 1, allowed)
  for _, key in ipairs(options.sorted_keys(own)) do options.check_key(what, key, allowed) end
  if own.rest ~= nil then options.check(what, "rest", own.rest, { type = "boolean" }) end
end

-- Refuses values that no group of the optimizer could have.
local function check_settings(self, what, own)
  if not own.rest then merged(self, what, self._kind, own) end
  if self._rest then merged(self, what, self._rest._kind, own) end
end

-- Groups of the parameters that share `own` settings: one, or two where the kind is for matrices only.
local function make(self, what, names, params, own)
  local parts = { { kind = self._kind, names = {}, params = {} } }
  if self._rest then parts[2] = { kind = self._rest._kind, names = {}, params = {} } end
  for i, p in ipairs(params) do
    local part = parts[self._rest and (own.rest or #p.shape < 2) and 2 or 1]
    part.names[#part.names + 1], part.params[#part.params + 1] = names[i], p
  end
  local groups = {}
  for _, part in ipairs(parts) do
    if #part.params > 0 then
      groups[#groups + 1] = Group.new(part.kind, part.names, part.params, merged(self, what, part.kind, own), own)
    end
  end
  return groups
end

local function append(list, more) return table.move(more, 1, #more, #list + 1, list) end

-- ---- by pattern ----

--- Refuses declared groups that cannot be right, before there is a model.
function m.check_patterns(self, patterns)
  for i, own in ipairs(patterns) do
    local what = ("%s: group %d"):format(self._what, i)
    check_keys(self, what, own, { 1, "lr_scale" })
    local pattern = own[1]
    if type(pattern) ~= "string" then
      fail("%s: expected a pattern of parameter names first, got %s", what, options.show(pattern))
    end
    local ok, problem = pcall(string.find, "", pattern)
    if not ok then fail("%s: %s: %s", what, options.show(pattern), tostring(problem):gsub("^.-:%d+: ", "")) end
    check_settings(self, what, own)
  end
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

--- The groups of a model's parameters.
function m.by_pattern(self, names, params)
  local parts, groups = {}, {}
  for i = 1, #self._patterns + 1 do parts[i] = { names = {}, params = {} } end
  for i, name in ipairs(names) do
    local part = parts[group_number(self._patterns, name)]
    part.names[#part.names + 1], part.params[#part.params + 1] = name, params[i]
  end
  for i, part in ipairs(parts) do
    local own = self._patterns[i] or {}
    if #part.names == 0 and self._patterns[i] then refuse_empty(self, i, own, names) end
    append(groups, make(self, self._what, part.names, part.params, own))
  end
  return groups
end

-- ---- as given ----

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
local function numbered(self, what, params, own, first, seen)
  check_tensors(what, params, seen)
  local names = {}
  for i in ipairs(params) do names[i] = tostring(first + i - 1) end
  return make(self, what, names, params, own)
end

--- The groups of a list of parameters, or of a list of { params = list, settings }.
function m.as_given(self, given)
  if options.kind(given[1]) ~= "table" then return numbered(self, self._what, given, {}, 0, {}) end
  local groups, first, seen = {}, 0, {}
  for i, own in ipairs(given) do
    local what = ("%s: group %d"):format(self._what, i)
    check_keys(self, what, own, { "params", "lr_scale" })
    append(groups, numbered(self, what, own.params, own, first, seen))
    first = first + #own.params
  end
  return groups
end

return m
