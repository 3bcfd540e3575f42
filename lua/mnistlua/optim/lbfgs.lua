-- L-BFGS (Nocedal and Wright, "Numerical Optimization", chapter 7), with PyTorch's settings, stopping rules and values:
-- a step of the optimizer is up to max_iter iterations, each of which evaluates the closure once, or as often as the
-- line search asks. Meant for full batches.
--
-- State: the tensors of each parameter are the direction d, the gradient before, and `history` pairs of a change of
-- gradient y and a change of weights s, oldest first; `ro` holds 1 / (y s) of each pair.
local core = require "mnistlua.core"
local strong_wolfe = require "mnistlua.optim.strong_wolfe"
local vectors = require "mnistlua.optim.vectors"

local m = {}

function m.memory() return { n_iter = 0, func_evals = 0, t = 0, h_diag = 1, history = 0, ro = {} } end

--- What is wrong with a state's memory, or nil.
function m.problem(values)
  local history = math.tointeger(values.history)
  if not history or history < 0 or history > values.history_size or #values.ro ~= history then
    return ("it has a history of %s pairs and %d factors"):format(values.history, #values.ro)
  end
end

function m.slots(values)
  local names = { "d", "prev_grad" }
  for i = 1, values.history do
    names[#names + 1] = "y" .. i
    names[#names + 1] = "s" .. i
  end
  return names
end

-- State tensor j of every parameter, as one vector.
local function column(group, j)
  local list = {}
  for i, slots in ipairs(group._slots) do list[i] = slots[j] end
  return list
end

-- Adds a pair to the history; the oldest makes room.
local function remember(group, y, s, ys)
  local v = group._values
  for i, slots in ipairs(group._slots) do
    if v.history == v.history_size then
      table.remove(slots, 3)
      table.remove(slots, 3)
    end
    slots[#slots + 1] = y[i]
    slots[#slots + 1] = s[i]
  end
  if v.history == v.history_size then table.remove(v.ro, 1) else v.history = v.history + 1 end
  v.ro[#v.ro + 1], v.h_diag = 1 / ys, ys / vectors.dot(y, y)
  group._slot_names = m.slots(v)
end

-- The direction: minus the gradient times the inverse Hessian that the pairs stand for (the two-loop recursion).
local function direction(group, grad)
  local v, al = group._values, {}
  local q = vectors.scale(vectors.clone(grad), -1)
  for i = v.history, 1, -1 do
    al[i] = vectors.dot(column(group, 2 * i + 2), q) * v.ro[i]
    vectors.add(q, column(group, 2 * i + 1), -al[i])
  end
  vectors.scale(q, v.h_diag)
  for i = 1, v.history do
    local be = vectors.dot(column(group, 2 * i + 1), q) * v.ro[i]
    vectors.add(q, column(group, 2 * i + 2), al[i] - be)
  end
  return q
end

-- Puts the direction of the next iteration, and the gradient that it comes from, into the state.
local function turn(group, grad)
  local v, d, before = group._values, column(group, 1), column(group, 2)
  v.n_iter = v.n_iter + 1
  if v.n_iter > 1 then
    local y = vectors.add(vectors.clone(grad), before, -1)
    local s = vectors.scale(vectors.clone(d), v.t)
    local ys = vectors.dot(y, s)
    if ys > 1e-10 then remember(group, y, s, ys) end
    vectors.copy(d, direction(group, grad))
  else
    vectors.scale(vectors.copy(d, grad), -1)
  end
  vectors.copy(before, grad)
  v.t = v.n_iter == 1 and math.min(1, 1 / vectors.abs_sum(grad)) * v.lr or v.lr
  return d
end

-- The loss and the gradient as the weights are now. Counts the evaluation.
local function evaluate(group, closure)
  group._values.func_evals = group._values.func_evals + 1
  core.recording(true)
  local loss = closure()
  core.recording(false)
  return type(loss) == "number" and loss or loss:item(), vectors.gradients(group.params)
end

-- Moves the weights along d by the step that the line search finds. Returns the loss and the gradient there.
local function search(group, closure, d, point)
  local v, params = group._values, group.params
  local start = vectors.clone(params)
  local function at(t)
    vectors.add(vectors.copy(params, start), d, t)
    local loss, grad = evaluate(group, closure)
    return { t = t, loss = loss, grad = grad, slope = vectors.dot(grad, d) }
  end
  local found = strong_wolfe(at, point, v.t, vectors.abs_max(d), v.tolerance_change)
  v.t = found.t
  vectors.add(vectors.copy(params, start), d, v.t)
  return found.loss, found.grad
end

-- Iterates until a stopping rule holds.
local function iterate(group, closure, loss, grad)
  local v, evals_before = group._values, group._values.func_evals - 1
  local most = v.max_eval or v.max_iter * 5 // 4
  for i = 1, v.max_iter do
    local d, before = turn(group, grad), loss
    local slope = vectors.dot(grad, d)
    if slope > -v.tolerance_change then return end
    if v.line_search_fn then
      loss, grad = search(group, closure, d, { t = 0, loss = loss, grad = grad, slope = slope })
    else
      vectors.add(group.params, d, v.t)
      if i < v.max_iter then loss, grad = evaluate(group, closure) end
    end
    if v.func_evals - evals_before >= most or vectors.abs_max(grad) <= v.tolerance_grad
       or vectors.abs_max(d) * math.abs(v.t) <= v.tolerance_change
       or math.abs(loss - before) < v.tolerance_change then
      return
    end
  end
end

--- One step of the optimizer. Returns the first loss.
function m.run(optimizer, closure)
  local group, recording = optimizer.groups[1], core.recording(false)
  local loss, grad = evaluate(group, closure)
  if vectors.abs_max(grad) > group._values.tolerance_grad then iterate(group, closure, loss, grad) end
  core.recording(recording)
  return loss
end

return m
