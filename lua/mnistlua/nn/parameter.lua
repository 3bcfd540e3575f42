-- nn.Parameter: marks the tensors that training changes. nn.Module asks `is` to find them among its fields, because a
-- tensor that was computed from a parameter wants a gradient too and is not one.
local options = require "mnistlua.options"

local m = {}

local marked = setmetatable({}, { __mode = "k" })

--- Marks a tensor as a parameter, to be trained: it wants a gradient, and a module that it is assigned to owns it.
--- Returns the tensor.
function m.mark(tensor)
  if options.kind(tensor) ~= "tensor" then
    options.fail("nn.Parameter: expected a tensor, got " .. options.show(tensor))
  end
  tensor:requires_grad_(true)
  if not tensor.is_leaf then
    options.fail "nn.Parameter: the tensor is computed from others that want a gradient; use :detach() or ml.no_grad"
  end
  marked[tensor] = true
  return tensor
end

--- Whether a value was marked.
function m.is(value)
  return value ~= nil and marked[value] == true
end

return m
