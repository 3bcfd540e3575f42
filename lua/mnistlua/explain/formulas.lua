-- What a layer did to one picture, as formulas with their numbers: for each class of layers what it computes forward,
-- and how gradients go back through it, each with one value worked out. Takes the steps of trace.lua and returns lines
-- of text. Indices count from 1; d stands for the gradient of the loss, so dW is dL/dW.
local nn = require "mnistlua.nn"

local m = {}

-- ---- numbers ----

-- Four digits, as short as they can be.
local function number(x) return ("%.4g"):format(x) end
m.number = number

local function values(t) return t:reshape(-1):totable() end

-- The place of the value that is largest, by size(v), in a list.
local function largest(list, size)
  local best, at = -math.huge, 1
  for i, v in ipairs(list) do
    local s = size and size(v) or v
    if s > best then best, at = s, i end
  end
  return at
end

-- "3" or "3,1,14" for the i-th value of a tensor of this shape (without the batch).
local function place(i, shape)
  local parts, rest = {}, i - 1
  for d = #shape, 1, -1 do
    table.insert(parts, 1, rest % shape[d] + 1)
    rest = rest // shape[d]
  end
  return table.concat(parts, ",")
end

local function sample_shape(t) return table.move(t.shape, 2, t:dim(), 1, {}) end

-- " + 0.5", " - 0.5"
local function plus(x) return (x < 0 and " - " or " + ") .. number(math.abs(x)) end

local function parameter(step, name)
  for _, p in ipairs(step.parameters or {}) do
    if p.name == name then return p end
  end
end

-- ---- linear ----

local linear = {}

function linear.forward(step)
  local w, x, z = step.module.weight, values(step.input), values(step.output)
  local k = largest(z)
  local row, bias = w[k]:totable(), step.module.bias and step.module.bias[k]
  local products, sum = {}, 0
  for j, v in ipairs(x) do
    products[j] = row[j] * v
    sum = sum + products[j]
  end
  local j = largest(products, math.abs)
  local bias_text = bias and (" + b[%d] = %s%s"):format(k, number(sum), plus(bias)) or ""
  return {
    bias and "z = W x + b" or "z = W x",
    ("z[%d] = sum over j of W[%d,j] x[j]%s = %s, the largest"):format(k, k, bias_text, number(z[k])),
    ("its largest part: W[%d,%d] x[%d] = %s * %s = %s"):format(k, j, j, number(row[j]), number(x[j]),
      number(products[j])),
  }
end

function linear.backward(step)
  local dz, x, dw = values(step.output_grad), values(step.input), parameter(step, "weight")
  local lines = { "dW = dz x^T" .. (step.module.bias and ", db = dz" or "") .. ", dx = W^T dz" }
  if dw and dw.grad then
    local i, j = largest(dz, math.abs), largest(x, math.abs)
    lines[2] = ("dW[%d,%d] = dz[%d] x[%d] = %s * %s = %s, the largest"):format(i, j, i, j, number(dz[i]), number(x[j]),
      number(dw.grad[i][j]))
  end
  return lines
end

-- ---- convolution ----

local conv = {}

function conv.forward(step)
  local z, shape = values(step.output), sample_shape(step.output)
  local at = largest(z)
  local o = (at - 1) // (shape[2] * shape[3]) + 1
  local w, bias = step.module.weight.shape, step.module.bias and step.module.bias[o]
  local lines = {
    ("z[o,r,c] = sum over i,u,v of W[o,i,u,v] x[i,..,..] under the window at r,c%s"):format(bias and ", + b[o]" or ""),
    ("z[%s] = %s, the largest: %d products"):format(place(at, shape), number(z[at]), w[2] * w[3] * w[4]),
  }
  if bias then lines[2] = ("%s, %s, and b[%d] = %s"):format(lines[2], number(z[at] - bias), o, number(bias)) end
  return lines
end

function conv.backward(step)
  local dw, db = parameter(step, "weight"), parameter(step, "bias")
  local lines = { "dW[o,i,u,v] = sum over r,c of dz[o,r,c] x[i,..,..]; dx: every dz[o,r,c] spread by W[o]" }
  if dw and dw.grad then
    local g = values(dw.grad)
    local at = largest(g, math.abs)
    lines[2] = ("dW[%s] = %s, the largest"):format(place(at, dw.value.shape), number(g[at]))
  end
  if db and db.grad then
    local at = largest(values(db.grad), math.abs)
    lines[#lines + 1] = ("db[%d] = sum of dz[%d] = %s, the largest"):format(at, at, number(db.grad[at]))
  end
  return lines
end

-- ---- batch norm ----

local batch_norm = {}

function batch_norm.forward(step)
  local l, x, y = step.module, values(step.input), values(step.output)
  local shape, at = sample_shape(step.output), largest(y)
  local c = (at - 1) // (#y // shape[1]) + 1
  local lines = { "y = (x - mean) / sqrt(var + eps)" .. (l.affine and " * weight + bias" or "")
    .. ", by the running statistics of each channel" }
  if not l.track_running_stats then return lines end
  local text = ("(%s%s) / sqrt(%s)"):format(number(x[at]), plus(-l.running_mean[c]), number(l.running_var[c] + l.eps))
  if l.affine then text = ("%s * %s%s"):format(text, number(l.weight[c]), plus(l.bias[c])) end
  lines[2] = ("y[%s] = %s = %s, the largest"):format(place(at, shape), text, number(y[at]))
  return lines
end

function batch_norm.backward(step)
  return { step.module.affine and "dx = dy weight / sqrt(var + eps)" or "dx = dy / sqrt(var + eps)" }
end

-- ---- activations ----

local relu = {}

function relu.forward(step)
  local on, list = 0, values(step.output)
  for _, v in ipairs(list) do on = on + (v > 0 and 1 or 0) end
  return { "a = max(z, 0)", ("%d of %d are above 0"):format(on, #list) }
end

function relu.backward() return { "dz = da where z > 0, else 0" } end

-- An activation by its formula, with its largest value worked out, and its derivative.
local function activation(formula, derivative)
  return {
    forward = function(step)
      local z, a, shape = values(step.input), values(step.output), sample_shape(step.output)
      local at = largest(a)
      local where = place(at, shape)
      return { formula(step.module),
        ("z[%s] = %s gives a[%s] = %s, the largest"):format(where, number(z[at]), where, number(a[at])) }
    end,
    backward = function(step) return { derivative(step.module) } end,
  }
end

local function text(t) return function() return t end end

-- ---- what only moves or picks values ----

local function plain(forward, backward)
  return { forward = function(step) return { forward(step.module) } end,
    backward = function(step) return { backward(step.module) } end }
end

local same = plain(text "y = x: it does nothing in evaluation", text "dx = dy")
local moved = plain(text "the same values in another shape", text "dx = dy, in the old shape")

local function window(layer)
  local k = layer.kernel_size
  return k[1] .. "x" .. k[2]
end

-- ---- the table ----

local kinds = {
  [nn.Linear] = linear, [nn.Conv2d] = conv, [nn.BatchNorm1d] = batch_norm, [nn.BatchNorm2d] = batch_norm,
  [nn.ReLU] = relu, [nn.Flatten] = moved, [nn.Reshape] = moved, [nn.Permute] = moved,
  [nn.Identity] = same, [nn.Dropout] = same, [nn.Dropout2d] = same, [nn.GaussianNoise] = same,
  [nn.Sigmoid] = activation(text "a = 1 / (1 + exp(-z))", text "dz = da a (1 - a)"),
  [nn.Tanh] = activation(text "a = tanh(z)", text "dz = da (1 - a^2)"),
  [nn.SiLU] = activation(text "a = z s, s = 1 / (1 + exp(-z))", text "dz = da s (1 + z (1 - s))"),
  [nn.GELU] = activation(text "a = z Phi(z), Phi the normal distribution", text "dz = da (Phi(z) + z phi(z))"),
  [nn.LeakyReLU] = activation(
    function(l) return ("a = z where z > 0, else %s z"):format(number(l.negative_slope)) end,
    function(l) return ("dz = da where z > 0, else %s da"):format(number(l.negative_slope)) end),
  [nn.ELU] = activation(
    function(l) return ("a = z where z > 0, else %s (exp(z) - 1)"):format(number(l.alpha)) end,
    function(l) return ("dz = da where z > 0, else %s exp(z) da"):format(number(l.alpha)) end),
  [nn.PReLU] = activation(text "a = z where z > 0, else weight z", text "dz = da where z > 0, else weight da"),
  [nn.Softmax] = activation(text "a = exp(z) / sum of exp(z)", text "dz = a (da - sum of a da)"),
  [nn.LogSoftmax] = activation(text "a = z - log(sum of exp(z))", text "dz = da - exp(a) sum of da"),
  [nn.MaxPool2d] = plain(
    function(l) return ("y = the largest of each window of %s"):format(window(l)) end,
    text "dx = dy where a window's largest value was, else 0"),
  [nn.AvgPool2d] = plain(
    function(l) return ("y = the mean of each window of %s"):format(window(l)) end,
    text "dx = the mean's share of dy, for each window that a value is in"),
  [nn.AdaptiveAvgPool2d] = plain(
    function(l) return ("y = means over %dx%d bins of each channel"):format(l.output_size[1], l.output_size[2]) end,
    text "dx = dy / values in the bin"),
}

-- A class of a script's own, and those that are not in the table.
local other = { forward = function(step) return { "y = " .. step.module:signature() .. " of x" } end,
  backward = function() return { "dx by the chain rule through its operations" } end }

local function kind_of(module)
  local class = getmetatable(module).class
  return module.forward == class.forward and kinds[class] or other
end

--- Lines on what the step computed, the formula first.
function m.forward(step) return kind_of(step.module).forward(step) end

--- Lines on the gradients that went back through it, the formula first; none where no gradient reached it.
function m.backward(step)
  if not step.output_grad then return {} end
  return kind_of(step.module).backward(step)
end

return m
