-- nn.Dropout: noise against overfitting, in training only.
local options = require "mnistlua.options"
local Module = require "mnistlua.nn.module"

--- Sets each value to zero with probability p (0.5) and multiplies the others by 1 / (1 - p); in evaluation it returns
--- its input. Srivastava et al. 2014.
local Dropout = Module:extend "nn.Dropout"
Dropout.takes_tensor, Dropout.transparent = true, true

local spec = { "p", p = { type = "number", default = 0.5, min = 0, below = 1 } }

function Dropout:init(...)
  self.p = options.read(self.typename, options.gather(...), spec).p
end

function Dropout:forward(x)
  if not self.training or self.p == 0 then return x end
  return x:dropout(self.p)
end

function Dropout.infer(_, shape) return shape end

function Dropout:settings() return tostring(self.p) end

return Dropout
