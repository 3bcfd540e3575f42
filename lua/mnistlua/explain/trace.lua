-- One picture's way through a model, forward and backward, with everything in between kept. The model is taken apart
-- into its layers; each is run alone on what the one before it returned, and its gradients are asked for with the
-- gradient that came back to its output, which is the chain rule one step at a time. Called by `mnistlua explain`.
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"

local m = {}

-- ---- taking apart ----

local function collect(steps, name, module)
  if module.forward ~= nn.Sequential.forward then
    steps[#steps + 1] = { name = name, module = module }
    return
  end
  local children, names = module:children()
  for i, child in ipairs(children) do collect(steps, name == "" and names[i] or name .. "." .. names[i], child) end
end

--- The layers of a model in the order in which they run, a list of { name, module }; what is no nn.Sequential is one.
function m.steps(model)
  local steps = {}
  collect(steps, "", model)
  return steps
end

--- The number of the last step that has parameters, whose input is what the model knows of a picture; or nil.
function m.last_trained(steps)
  for i = #steps, 1, -1 do
    if #steps[i].module:parameters() > 0 then return i end
  end
end

--- What comes out of the first `count` steps for a batch x.
function m.features(steps, count, x)
  for i = 1, count do x = steps[i].module(x) end
  return x
end

-- ---- there and back ----

local function as_leaf(x)
  local leaf = x:detach():clone()
  if leaf.dtype == "f32" then leaf.requires_grad = true end
  return leaf
end

local function parameters_of(step)
  local list = {}
  for _, entry in ipairs(step.module:named_parameters()) do
    local p = entry[2]
    list[#list + 1] = { name = entry[1], value = p, grad = p.grad and p.grad:clone() }
  end
  return list
end

-- Runs one step on its input again and hands the gradient of its output back through it.
local function step_back(step, gradient)
  local leaf = as_leaf(step.input)
  step.module:zero_grad()
  local output = step.module(leaf)
  if output.requires_grad then (output * gradient):sum():backward() end
  step.output_grad, step.input_grad = gradient, leaf.grad and leaf.grad:clone()
  step.parameters = parameters_of(step)
  step.module:zero_grad()
  return step.input_grad
end

local function there(steps, x)
  local recording = core.recording(false)
  for _, step in ipairs(steps) do
    step.input = x
    x = step.module(x):clone()
    step.output = x
  end
  core.recording(recording)
  return x
end

-- The gradient of f(output), a scalar, at the output; and its value.
local function gradient_of(f, output)
  local leaf = as_leaf(output)
  local value = f(leaf)
  value:backward()
  return leaf.grad:clone(), value:item()
end

-- The gradient of one of its values at an output [1, classes].
local function one_hot(output, at)
  local values = {}
  for i = 1, output:numel() do values[i] = i == at + 1 and 1 or 0 end
  return core.tensor(values):reshape(1, -1)
end

--- Runs a batch of one, x with its label y (i32 [1]), through `model`, in evaluation, and the loss back. Returns a
--- table: steps, output, loss, output_grad, saliency. steps has for each layer input, output, input_grad, output_grad
--- and parameters, a list of { name, value, grad }; saliency is the gradient of the output's largest value at x, or nil
--- where none reaches it.
function m.run(model, loss, x, y)
  model:eval()
  local t = { steps = m.steps(model) }
  t.output = there(t.steps, x)
  local gradient = one_hot(t.output, t.output:argmax(2):item())
  for i = #t.steps, 1, -1 do gradient = gradient and step_back(t.steps[i], gradient) end
  t.saliency = gradient
  t.output_grad, t.loss = gradient_of(function(output) return loss(output, y) end, t.output)
  gradient = t.output_grad
  for i = #t.steps, 1, -1 do gradient = gradient and step_back(t.steps[i], gradient) end
  return t
end

return m
