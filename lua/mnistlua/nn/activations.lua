-- Activation layers: one class for each row of the table. Each calls the tensor method of the same meaning, element by
-- element or, for the softmaxes, along the last dimension; shapes stay as they are.
local options = require "mnistlua.options"
local Module = require "mnistlua.nn.module"

-- class name, tensor method, and for those that have one the option: its name and rule.
local kinds = {
  { "ReLU",       "relu" },
  { "LeakyReLU",  "leaky_relu",  "negative_slope", { type = "number", default = 0.01 } },
  { "ELU",        "elu",         "alpha",          { type = "number", default = 1.0 } },
  { "GELU",       "gelu" },
  { "SiLU",       "silu" },
  { "Sigmoid",    "sigmoid" },
  { "Tanh",       "tanh" },
  { "Softmax",    "softmax",     "dim",            { type = "integer", default = -1 } },
  { "LogSoftmax", "log_softmax", "dim",            { type = "integer", default = -1 } },
}

local function define(name, method, option, rule)
  local class = Module:extend("nn." .. name)
  class.takes_tensor, class.transparent = true, true
  local spec = { option, [option or false] = rule }

  function class:init(...)
    local o = options.read(self.typename, options.gather(...), spec)
    if option then self[option] = o[option] end
  end

  function class:forward(x)
    return x[method](x, option and self[option])
  end

  function class.infer(_, shape) return shape end

  function class:settings()
    return option and self[option] ~= rule.default and tostring(self[option]) or ""
  end

  return class
end

local m = {}
for _, kind in ipairs(kinds) do m[kind[1]] = define(table.unpack(kind, 1, 4)) end
return m
