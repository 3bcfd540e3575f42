-- nn.GaussianNoise and nn.Dropout2d: noise against overfitting, in training only. Both draw from counter-based streams
-- clocked by the training step, so runs repeat and resume to the bit.
local flow = require "mnistlua.nn.flow"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"

local m = {}

--- Adds normal noise with mean 0 and deviation std (0.1) to its input; in evaluation it returns its input.
m.GaussianNoise = Module:extend "nn.GaussianNoise"
local GaussianNoise = m.GaussianNoise
GaussianNoise.takes_tensor, GaussianNoise.transparent = true, true

local noise_spec = { "std", std = { type = "number", default = 0.1, min = 0 } }

function GaussianNoise:init(...)
  self.std = options.read(self.typename, options.gather(...), noise_spec).std
end

function GaussianNoise:forward(x)
  if not self.training or self.std == 0 then return x end
  return x:gaussian_noise(self.std)
end

function GaussianNoise.infer(_, shape) return shape end

function GaussianNoise:settings() return tostring(self.std) end

--- Sets whole channels of x [b, c, ...] to zero with probability p (0.5) and multiplies the others by 1 / (1 - p); in
--- evaluation it returns its input. Tompson et al. 2015, "Efficient object localization using convolutional networks".
m.Dropout2d = Module:extend "nn.Dropout2d"
local Dropout2d = m.Dropout2d
Dropout2d.takes_tensor, Dropout2d.transparent = true, true

local dropout_spec = { "p", p = { type = "number", default = 0.5, min = 0, below = 1 } }

function Dropout2d:init(...)
  self.p = options.read(self.typename, options.gather(...), dropout_spec).p
end

local function check(self, input)
  local shape = flow.shape_of(input)
  if #shape < 2 then
    flow.mismatch(self, input, "images of c x h x w", flow.shape_text(shape), "write nn.Dropout() for single values")
  end
end

function Dropout2d:forward(x)
  check(self, x)
  if not self.training or self.p == 0 then return x end
  return x:dropout2d(self.p)
end

function Dropout2d:infer(shape)
  check(self, shape)
  return shape
end

function Dropout2d:settings() return tostring(self.p) end

return m
