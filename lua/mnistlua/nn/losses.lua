-- Losses: modules called with what a model returned and what it should have returned; the mean over the batch.
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local Module = require "mnistlua.nn.module"

local m = {}

-- The class weights of an option as an f32 tensor, or nil.
local function class_weights(weight)
  if type(weight) == "table" then return core.tensor(weight) end
  return weight
end

local weight_rule = { type = "table|tensor" }

--- Softmax and negative log-likelihood in one: loss(logits [b, C], labels). Labels are classes 0..C-1 (i32 or u8, [b])
--- or probabilities (f32, [b, C]). Options: label_smoothing (0), weight (one number a class).
m.CrossEntropyLoss = Module:extend "nn.CrossEntropyLoss"
m.CrossEntropyLoss.takes_tensor = true

function m.CrossEntropyLoss:init(...)
  local o = options.read(self.typename, options.gather(...), {
    label_smoothing = { type = "number", default = 0, min = 0, max = 1 }, weight = weight_rule,
  })
  self.label_smoothing, self.weight = o.label_smoothing, class_weights(o.weight)
  if o.label_smoothing > 0 or self.weight then
    self.arguments = { label_smoothing = o.label_smoothing, weight = self.weight }
  end
end

function m.CrossEntropyLoss:forward(logits, target)
  return core.cross_entropy(logits, target, self.arguments)
end

function m.CrossEntropyLoss:settings()
  return self.label_smoothing > 0 and ("{ label_smoothing = %g }"):format(self.label_smoothing) or ""
end

--- Negative log-likelihood of log-probabilities: loss(log_probs [b, C], labels [b]). Option: weight (one number a
--- class).
m.NLLLoss = Module:extend "nn.NLLLoss"
m.NLLLoss.takes_tensor = true

function m.NLLLoss:init(...)
  self.weight = class_weights(options.read(self.typename, options.gather(...), { weight = weight_rule }).weight)
  if self.weight then self.arguments = { weight = self.weight } end
end

function m.NLLLoss:forward(log_probs, target)
  return core.nll(log_probs, target, self.arguments)
end

--- Mean of squared differences: loss(x, y) with two f32 tensors of the same shape.
m.MSELoss = Module:extend "nn.MSELoss"
m.MSELoss.takes_tensor = true

function m.MSELoss:init(...)
  options.read(self.typename, options.gather(...), {})
end

function m.MSELoss.forward(_, x, y)
  return core.mse(x, y)
end

return m
