-- nn.ModuleList: modules in a list that their owner's training sees. Its elements are numbered from 1 in Lua and from 0
-- in state-dict keys, as PyTorch's. It has no forward; nn.Sequential extends it with one.
local options = require "mnistlua.options"
local Module = require "mnistlua.nn.module"

local ModuleList = Module:extend "nn.ModuleList"
ModuleList.container = true

local function check_element(self, i, value)
  if options.kind(value) == "module" then return value end
  local class = options.class_hint(value)
  if class then options.fail(("%s: element %d: %s"):format(self.typename, i, class)) end
  options.fail(("%s: element %d is %s; expected a module"):format(self.typename, i, options.show(value)))
end

-- The elements of a call: either one list of them or the arguments.
local function elements(self, ...)
  local count, first = select("#", ...), ...
  if count ~= 1 or options.kind(first) ~= "table" then return { ... }, count end
  count = 0
  for _, key in ipairs(options.sorted_keys(first)) do
    if math.type(key) ~= "integer" or key < 1 then
      options.fail(("%s: expected a list of modules, found the key %s"):format(self.typename, options.show(key)))
    end
    count = math.max(count, key)
  end
  return first, count
end

--- A list of modules: nn.ModuleList { a, b }. Its parameters are trained with those of the module that it is
--- assigned to.
function ModuleList:init(...)
  local given, count = elements(self, ...)
  for i = 1, count do self:put(i, check_element(self, i, given[i])) end
end

--- Appends a module. Returns the list, so that calls can be chained.
function ModuleList:add(module)
  return self:put(#self._list + 1, module)
end

--- list[i] = module: replaces element i, or appends at #list + 1.
function ModuleList:put(i, module)
  if i < 1 or i > #self._list + 1 then
    options.fail(("%s: element %d of %d cannot be set"):format(self.typename, i, #self._list))
  end
  self:add_module(tostring(i - 1), check_element(self, i, module))
  self._list[i] = module
  return self
end

--- list[i]: element i, from the end if i is negative; nil if there is none.
function ModuleList:at(i)
  if math.type(i) == "integer" and i < 0 then i = #self._list + 1 + i end
  return self._list[i]
end

ModuleList.instance.__len = function(self) return #self._list end

return ModuleList
