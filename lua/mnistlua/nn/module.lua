-- nn.Module, the base of every layer, loss and model, built in or of a script's own:
--
--   local Scale = nn.Module "Scale"                       -- a class
--   function Scale:init(width) self.weight = nn.Parameter(ml.ones(width)) end
--   function Scale:forward(x) return x * self.weight end
--   model:add(Scale(64))
--
-- Fields that hold parameters or modules are registered when they are assigned, in that order, which is the order of
-- parameters(), of the state dict, and of everything derived from them. (So assign one at a time: Lua does not say in
-- which order self.a, self.b = x, y happens.) What a Module can do beyond owning and walking
-- lives in state.lua (state dicts and files), shapes.lua (inference) and summary.lua.
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local flow = require "mnistlua.nn.flow"
local parameter = require "mnistlua.nn.parameter"

-- transparent: its output says where its input came from in messages (flow.lua). container: shown by its children in a
-- summary. takes_tensor: its input is one tensor. built: whether it has its parameters; a layer whose sizes are
-- inferred sets it to false until then. sizing: in a state dict, the layer's tensor that tells these sizes.
local Module = {
  typename = "nn.Module", built = true, transparent = false, container = false, takes_tensor = false,
  sizing = "weight",
}

local function fail(where, fmt, ...) options.fail(fmt:format(...), where) end

-- ---- fields ----

-- What a field with this value is to its module: "parameter", "buffer", "module" or nil for plain values. While init
-- runs any tensor that wants a gradient counts as a parameter: nothing was computed from one yet that is worth keeping.
local function role(self, key, value)
  local kind, known = options.kind(value), self._roles[key]
  if kind == "module" then return "module" end
  if kind ~= "tensor" then return nil end
  if known == "parameter" or known == "buffer" then return known end
  return (parameter.is(value) or self._building and value.requires_grad) and "parameter" or nil
end

local function position(list, name)
  for i, other in ipairs(list) do
    if other == name then return i end
  end
end

local function refuse_cycle(self, module)
  for _, inner in ipairs(module:modules()) do
    if rawequal(inner, self) then
      fail(nil, "%s: a module cannot contain itself%s", self.typename,
        rawequal(module, self) and "" or (", and this %s contains it"):format(module.typename))
    end
  end
end

local function register(self, key, value, kind)
  if kind == "module" then refuse_cycle(self, value) end
  if kind == "parameter" and not parameter.is(value) then parameter.mark(value) end
  if self._roles[key] and not kind then table.remove(self._order, position(self._order, key)) end
  if kind and not self._roles[key] then self._order[#self._order + 1] = key end
  self._roles[key], self._values[key] = kind, value
end

local function assign(self, key, value)
  if type(key) ~= "string" then
    if math.type(key) == "integer" and self.put then return self:put(key, value) end
    fail(nil, "%s: a field's name is text, got %s", self.typename, options.show(key))
  end
  if type(Module[key]) == "function" and type(value) ~= "function" then
    fail(nil, "%s: a field named '%s' would hide the method of that name", self.typename, key)
  end
  register(self, key, value, role(self, key, value))
end

-- The metatable of one module: its fields are found in its values, what is not there in its class. Tables all the way,
-- because every step of a training looks up some dozens; only the elements of a list ask a function.
local function own_meta(self, class)
  local meta = {}
  for key, value in pairs(class.instance) do meta[key] = value end
  local rest = class.at and function(_, key)
    if type(key) == "string" then return class[key] end
    return class.at(self, key)
  end
  meta.__index = setmetatable(self._values, { __index = rest or class })
  return meta
end

--- Keeps a tensor that is saved with the module but not trained (running statistics). Returns the module.
function Module:register_buffer(name, tensor)
  if options.kind(tensor) ~= "tensor" then
    fail(nil, "%s:register_buffer: expected a tensor, got %s", self.typename, options.show(tensor))
  end
  register(self, name, tensor, "buffer")
  return self
end

--- Registers `module` under a name that need not be a Lua name ("0"). Returns the module that it was added to.
function Module:add_module(name, module)
  if options.kind(module) ~= "module" then
    fail(nil, "%s:add_module: %s", self.typename,
      options.class_hint(module) or "expected a module, got " .. options.show(module))
  end
  register(self, name, module, "module")
  return self
end

-- ---- classes ----

-- Parameters in a plain table would not be found and so not be trained.
local function refuse_plain_tables(self)
  for _, key in ipairs(options.sorted_keys(self._values)) do
    local value = self._values[key]
    for _, item in ipairs(type(value) == "table" and not self._roles[key] and value or {}) do
      if options.kind(item) == "module" or parameter.is(item) then
        fail(nil, "%s.%s is a plain table with a %s, which training would not see; write nn.ModuleList { ... }",
          self.typename, key, options.kind(item) == "module" and "module" or "parameter")
      end
    end
  end
end

local function construct(class, ...)
  if rawget(class, "takes_tensor") and options.kind((...)) == "tensor" then
    fail(nil, "%s is a class, not yet a layer or a loss; write %s()(...)", class.typename, class.typename)
  end
  local self = {
    training = true, where = core.where(), _building = true, _values = {}, _roles = {}, _order = {},
    _list = class.container and {} or nil,       -- the elements of an nn.ModuleList
  }
  setmetatable(self, own_meta(self, class))
  self:init(...)
  self._building = false
  refuse_plain_tables(self)
  return self
end

-- The __call of a class's instances.
local function caller(class)
  return function(self, input, ...)
    if class.takes_tensor and type(input) ~= "userdata" then
      fail(nil, "%s: expected a tensor, got %s", self:signature(), options.show(input))
    end
    local handed_on = class.transparent and flow.is_last(input)
    return flow.leave(self, handed_on, self:forward(input, ...))
  end
end

local function describe(self)
  local modules, names = self:children()
  if #modules == 0 then return self:signature() end
  local lines = { self:signature():gsub("%(%)$", "") .. " {" }
  for i, child in ipairs(modules) do
    local label = names[i]:find "^%d+$" and ("[%d] "):format(names[i] + 1) or names[i] .. " = "
    lines[#lines + 1] = "  " .. label .. tostring(child):gsub("\n", "\n  ")
  end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n")
end

-- What a class has where its modules have their fields, so that a class that was not called is told wherever it is used
-- as a module.
local function not_called(class)
  local function refuse() fail(nil, "%s", options.class_hint(class)) end
  return setmetatable({}, { __index = refuse, __newindex = refuse, __len = refuse })
end

local function class_meta(parent)
  return {
    __name = "Class", __index = parent, __call = construct,
    __tostring = function(class) return "class " .. class.typename end,
  }
end

-- What the metatables of a class's instances have in common; metamethods of the parent (__len of a Sequential) are
-- taken over.
local function instance_meta(class, parent)
  local meta = {}
  for key, value in pairs(parent and parent.instance or {}) do meta[key] = value end
  meta.__name, meta.class, meta.__newindex = "Module", class, assign
  meta.__call, meta.__tostring = caller(class), describe
  return meta
end

--- A new class that inherits from this one: nn.Module:extend "Scale", or nn.Module "Scale" for short. Give it
--- init(self, ...), which its call runs (Scale(64)), and forward(self, x, ...).
function Module:extend(typename)
  if type(typename) ~= "string" or typename == "" then
    options.fail(("%s:extend: expected the class's name, got %s"):format(self.typename, options.show(typename)))
  end
  local class = setmetatable({ typename = typename, is_class = true }, class_meta(self))
  class.instance = instance_meta(class, self)
  local trap = not_called(class)
  class._order, class._roles, class._values, class._list = trap, trap, trap, trap
  return class
end

Module.instance = instance_meta(Module)
setmetatable(Module, class_meta(nil))
getmetatable(Module).__call = Module.extend

--- Sets a new module up; a class's own replaces it.
function Module:init(...)
  if select("#", ...) > 0 then fail(nil, "%s takes no arguments: it has no method init", self.typename) end
end

-- What a script called its forward, if that is close: "; 'foward' may be meant".
local function slip(self)
  local own = {}
  for _, key in ipairs(options.sorted_keys(getmetatable(self).class)) do own[#own + 1] = key end
  local name = options.nearest("forward", own)
  return name and ("; did you mean it by '%s'?"):format(name) or ""
end

--- What the module computes; every class has its own.
function Module:forward()
  fail(self.where, "%s has no method forward%s", self.typename, slip(self))
end

--- The settings shown between the parentheses when a module is printed.
function Module.settings() return "" end

--- The module in one line, as messages name it: "nn.Linear(784, 128)".
function Module:signature()
  return ("%s(%s)"):format(self.typename, self:settings())
end

-- ---- walking ----

--- The module's own children in order: a list, and beside it the list of their names.
function Module:children()
  local modules, names = {}, {}
  for _, name in ipairs(self._order) do
    if self._roles[name] == "module" then
      modules[#modules + 1], names[#names + 1] = self._values[name], name
    end
  end
  return modules, names
end

local function join(prefix, name)
  return prefix == "" and name or prefix .. "." .. name
end
Module.join_names = join

-- Visits self and everything below it once, parents first.
local function walk(self, prefix, visit, seen)
  if seen[self] then return end
  seen[self] = true
  visit(prefix, self)
  local modules, names = self:children()
  for i, child in ipairs(modules) do walk(child, join(prefix, names[i]), visit, seen) end
end

-- A list of { name, value } that a generic for can also walk as it is: for name, value in list do.
local function pairs_of(names, values)
  local list, i = {}, 0
  for k, name in ipairs(names) do list[k] = { name, values[k] } end
  return setmetatable(list, { __call = function()
    i = i < #list and i + 1 or 0
    return names[i], values[i]
  end })
end

local function collect_modules(self)
  local names, modules = {}, {}
  walk(self, "", function(name, module)
    names[#names + 1], modules[#modules + 1] = name, module
  end, {})
  return names, modules
end

--- All modules as a list: this one, then its children, depth first. A shared module is listed once.
function Module:modules()
  local _, modules = collect_modules(self)
  return modules
end

--- All modules with their names; this module's own is "". Walk it as `for name, module in model:named_modules() do`, or
--- take it as a list of { name, module }.
function Module:named_modules()
  return pairs_of(collect_modules(self))
end

--- The first module that has no parameters yet because its sizes are to be inferred, and its name; or nil.
function Module:unbuilt()
  for name, module in self:named_modules() do
    if not module.built then return module, name end
  end
end

local function refuse_unbuilt(self, method)
  local module, name = self:unbuilt()
  if module then
    fail(nil, "%s:%s: %s%s has no sizes yet; run model:build { sizes of one sample } or give its input size",
      self.typename, method, module:signature(), name ~= "" and " ('" .. name .. "')" or "")
  end
end
Module.refuse_unbuilt = refuse_unbuilt

local function collect_parameters(self)
  local names, tensors, seen = {}, {}, {}
  for prefix, module in self:named_modules() do
    for _, name in ipairs(module._order) do
      local value = module._values[name]
      if module._roles[name] == "parameter" and not seen[value] then
        seen[value] = true
        names[#names + 1], tensors[#tensors + 1] = join(prefix, name), value
      end
    end
  end
  return names, tensors
end

--- All parameters as a list, in the order of named_parameters. A shared one is listed once. Raises if a layer's sizes
--- are still to be inferred.
function Module:parameters()
  refuse_unbuilt(self, "parameters")
  local _, tensors = collect_parameters(self)
  return tensors
end

--- All parameters with PyTorch's names ("0.weight", "encoder.0.weight"). Walk it as
--- `for name, p in model:named_parameters() do`, or take it as a list of { name, p }.
function Module:named_parameters()
  refuse_unbuilt(self, "named_parameters")
  return pairs_of(collect_parameters(self))
end

--- The number of trainable values in all parameters.
function Module:num_parameters()
  local total = 0
  for _, p in ipairs(self:parameters()) do total = total + p:numel() end
  return total
end

-- ---- modes and bulk changes ----

--- Switches this module and all below it to training (train(false): to evaluation). Returns the module.
function Module:train(on)
  for _, module in ipairs(self:modules()) do rawset(module, "training", on ~= false) end
  return self
end

--- Switches this module and all below it to evaluation: no dropout, stored statistics. Returns the module.
function Module:eval() return self:train(false) end

local function apply(self, f, seen)
  if seen[self] then return end
  seen[self] = true
  for _, child in ipairs((self:children())) do apply(child, f, seen) end
  f(self)
end

--- Calls f(module) for every module, children first. Returns the module.
function Module:apply(f)
  apply(self, f, {})
  return self
end

--- Drops the gradients of all parameters.
function Module:zero_grad()
  local _, tensors = collect_parameters(self)
  core.zero_grad(tensors)
end

--- Freezes (false) or unfreezes all parameters: a frozen one gets no gradient and stays as it is. Returns the module.
function Module:requires_grad_(on)
  for _, p in ipairs(self:parameters()) do p:requires_grad_(on ~= false) end
  return self
end

for _, part in ipairs { "shapes", "state", "summary" } do
  require("mnistlua.nn." .. part)(Module)
end

return Module
