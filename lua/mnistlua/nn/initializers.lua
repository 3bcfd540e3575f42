-- nn.init: how weights begin. Each is a function (tensor, fan_in, fan_out) that fills the tensor from the run's init
-- stream; a layer takes one by name or as a function, init = "kaiming". Biases begin at zero, except with "pytorch".
--
-- He et al. 2015, "Delving deep into rectifiers" (kaiming); Glorot and Bengio 2010, "Understanding the difficulty of
-- training deep feedforward neural networks" (xavier); LeCun et al. 1998, "Efficient backprop" (lecun).
local context = require "mnistlua.context"
local options = require "mnistlua.options"

local m = {}

local function uniform(tensor, bound) return tensor:uniform_(-bound, bound) end

--- U(-b, b) with b = 1 / sqrt(fan_in), for weights and biases: PyTorch's default for Linear and Conv.
function m.pytorch(tensor, fan_in) return uniform(tensor, 1 / math.sqrt(fan_in)) end

--- N(0, 2 / fan_in), given as the variance: keeps the scale of activations through ReLUs.
function m.kaiming_normal(tensor, fan_in) return tensor:normal_(0, math.sqrt(2 / fan_in)) end

--- U(-b, b) with b = sqrt(6 / fan_in): the variance of kaiming_normal.
function m.kaiming_uniform(tensor, fan_in) return uniform(tensor, math.sqrt(6 / fan_in)) end

--- N(0, 2 / (fan_in + fan_out)), given as the variance: for tanh and sigmoid.
function m.xavier_normal(tensor, fan_in, fan_out) return tensor:normal_(0, math.sqrt(2 / (fan_in + fan_out))) end

--- U(-b, b) with b = sqrt(6 / (fan_in + fan_out)).
function m.xavier_uniform(tensor, fan_in, fan_out) return uniform(tensor, math.sqrt(6 / (fan_in + fan_out))) end

--- N(0, 1 / fan_in), given as the variance.
function m.lecun(tensor, fan_in) return tensor:normal_(0, 1 / math.sqrt(fan_in)) end

--- All zeros. In two layers that follow each other it stops them from learning.
function m.zeros(tensor) return tensor:zero_() end

--- All ones.
function m.ones(tensor) return tensor:fill_(1) end

--- An initializer that fills with v: init = nn.init.constant(0.1).
function m.constant(v)
  v = options.check("nn.init.constant", "the value", v, { type = "number" })
  return function(tensor) return tensor:fill_(v) end
end

--- Short names, and the one of the notebook, which is LeCun's: N(0, 1 / fan_in) weights and zero biases.
m.kaiming, m.xavier, m.notebook = m.kaiming_normal, m.xavier_uniform, m.lecun

local names = {
  "pytorch", "kaiming", "kaiming_normal", "kaiming_uniform", "xavier", "xavier_normal", "xavier_uniform", "lecun",
  "notebook", "zeros", "ones",
}

-- The rule of a layer's `init` option.
local rule = { type = "string|function", default = "pytorch" }

--- The initializer that a layer's `init` option stands for; raises for a name that is none.
local function find(what, init)
  if type(init) == "function" then return init end
  options.check(what, "init", init, { choices = names })
  return m[init]
end

--- Fills a layer's weight and, where it has one, bias. Where data is only described, weights are about to be loaded:
--- there is nothing to begin with.
local function fill(init, weight, bias, fan_in, fan_out)
  if context.described then return end
  init(weight, fan_in, fan_out)
  if not bias then return end
  if init == m.pytorch then init(bias, fan_in, fan_out) else bias:zero_() end
end

return { public = options.strict("nn.init", m), rule = rule, find = find, fill = fill }
