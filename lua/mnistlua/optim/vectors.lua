-- Lists of tensors as one long vector each, for optimizers that think in vectors. Nothing here is recorded for
-- gradients if the caller has recording off; sums are the core's, so they are the same on any number of threads.
local core = require "mnistlua.core"

local m = {}

local function sum_over(list, other, f)
  local total = 0
  for i, t in ipairs(list) do total = total + f(t, other and other[i]) end
  return total
end

local function product(t, u) return (t * u):sum():item() end
local function magnitude(t) return t:abs():sum():item() end

--- The inner product.
function m.dot(a, b) return core.scope(sum_over, a, b, product) end

--- The sum of magnitudes.
function m.abs_sum(a) return core.scope(sum_over, a, nil, magnitude) end

--- The greatest magnitude.
function m.abs_max(a)
  return core.scope(function()
    local most = 0
    for _, t in ipairs(a) do most = math.max(most, t:abs():max():item()) end
    return most
  end)
end

--- a = a + factor b. Returns a.
function m.add(a, b, factor)
  for i, t in ipairs(a) do t:add_(b[i], factor) end
  return a
end

--- a = factor a. Returns a.
function m.scale(a, factor)
  for _, t in ipairs(a) do t:mul_(factor) end
  return a
end

function m.copy(to, from)
  for i, t in ipairs(to) do t:copy_(from[i]) end
  return to
end

--- New tensors with the same values.
function m.clone(a)
  local copies = {}
  for i, t in ipairs(a) do copies[i] = t:clone() end
  return copies
end

--- The gradients of parameters as new tensors; zeros where there is none.
function m.gradients(params)
  local list = {}
  for i, p in ipairs(params) do list[i] = p.grad and p.grad:clone() or core.zeros(p.shape) end
  return list
end

return m
