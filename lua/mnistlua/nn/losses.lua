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

-- ---- losses of two tensors of one shape ----

-- A loss without options that forward(x, y) computes.
local function plain(name, forward)
  local class = Module:extend(name)
  class.takes_tensor, class.forward = true, function(_, x, y) return forward(x, y) end
  function class:init(...) options.read(self.typename, options.gather(...), {}) end
  return class
end

--- Mean of squared differences: loss(x, y) with two f32 tensors of the same shape.
m.MSELoss = plain("nn.MSELoss", core.mse)

--- Mean of absolute differences: loss(x, y) with two f32 tensors of the same shape.
m.L1Loss = plain("nn.L1Loss", function(x, y) return core.smooth_l1(x, y, 0) end)

--- Half the squared difference over beta (1) where the difference is below beta, its size less beta / 2 elsewhere.
m.SmoothL1Loss = Module:extend "nn.SmoothL1Loss"
m.SmoothL1Loss.takes_tensor = true

function m.SmoothL1Loss:init(...)
  self.beta = options.read(self.typename, options.gather(...), {
    "beta", beta = { type = "number", default = 1, min = 0 },
  }).beta
end

function m.SmoothL1Loss:forward(x, y) return core.smooth_l1(x, y, self.beta) end

function m.SmoothL1Loss:settings() return self.beta ~= 1 and tostring(self.beta) or "" end

--- Half the squared difference where it is below delta (1), delta times its size less delta / 2 elsewhere (Huber 1964).
m.HuberLoss = Module:extend "nn.HuberLoss"
m.HuberLoss.takes_tensor = true

function m.HuberLoss:init(...)
  self.delta = options.read(self.typename, options.gather(...), {
    "delta", delta = { type = "number", default = 1, above = 0 },
  }).delta
end

function m.HuberLoss:forward(x, y) return core.smooth_l1(x, y, self.delta) * self.delta end

function m.HuberLoss:settings() return self.delta ~= 1 and tostring(self.delta) or "" end

--- Sigmoid and binary cross-entropy in one: loss(logits, target) with two f32 tensors of the same shape, the target
--- being 0, 1 or between. Option: pos_weight (what a positive weighs, a number for each place of the last dimension).
m.BCEWithLogitsLoss = Module:extend "nn.BCEWithLogitsLoss"
m.BCEWithLogitsLoss.takes_tensor = true

function m.BCEWithLogitsLoss:init(...)
  self.pos_weight = class_weights(options.read(self.typename, options.gather(...), { pos_weight = weight_rule })
    .pos_weight)
end

function m.BCEWithLogitsLoss:forward(x, y) return core.bce_with_logits(x, y, self.pos_weight) end

--- The divergence of the target from what a model says: loss(log_probs, target) with f32 tensors of the same shape, the
--- target being probabilities. Options: log_target (false: the target is log-probabilities), reduction ("mean" over all
--- elements, as in PyTorch, or "batchmean": over samples, which is what the formula means).
m.KLDivLoss = Module:extend "nn.KLDivLoss"
m.KLDivLoss.takes_tensor = true

function m.KLDivLoss:init(...)
  local o = options.read(self.typename, options.gather(...), {
    log_target = { type = "boolean", default = false },
    reduction = { default = "mean", choices = { "mean", "batchmean" } },
  })
  self.arguments = { log_target = o.log_target, batch_mean = o.reduction == "batchmean" }
end

function m.KLDivLoss:forward(log_probs, target) return core.kl_div(log_probs, target, self.arguments) end

-- ---- further losses of classes ----

--- The multi-class hinge loss (Crammer and Singer 2001): loss(scores [b, C], labels [b]). Options: p (1, or 2), margin
--- (1), weight (one number a class).
m.MultiMarginLoss = Module:extend "nn.MultiMarginLoss"
m.MultiMarginLoss.takes_tensor = true

function m.MultiMarginLoss:init(...)
  local o = options.read(self.typename, options.gather(...), {
    p = { type = "integer", default = 1, min = 1, max = 2 }, margin = { type = "number", default = 1 },
    weight = weight_rule,
  })
  self.weight = class_weights(o.weight)
  self.arguments = { p = o.p, margin = o.margin, weight = self.weight }
end

function m.MultiMarginLoss:forward(scores, target) return core.multi_margin(scores, target, self.arguments) end

--- What a student learns from a teacher (Hinton et al. 2015): loss(logits, labels, teacher_logits) is
--- (1 - alpha) cross-entropy + alpha T^2 KL(softmax(teacher / T) || softmax(logits / T)). Without the teacher's logits,
--- as in an evaluation, it is the cross-entropy. Options: alpha (0.9), temperature (4), label_smoothing (0, of the
--- labels).
m.DistillationLoss = Module:extend "nn.DistillationLoss"
m.DistillationLoss.takes_tensor = true

function m.DistillationLoss:init(...)
  local o = options.read(self.typename, options.gather(...), {
    alpha = { type = "number", default = 0.9, min = 0, max = 1 },
    temperature = { type = "number", default = 4, above = 0 },
    label_smoothing = { type = "number", default = 0, min = 0, max = 1 },
  })
  self.alpha, self.temperature = o.alpha, o.temperature
  self.arguments = { label_smoothing = o.label_smoothing }
end

function m.DistillationLoss:forward(logits, labels, teacher)
  local hard = core.cross_entropy(logits, labels, self.arguments)
  if teacher == nil then return hard end
  if options.kind(teacher) ~= "tensor" then
    options.fail(("%s: the teacher's logits are %s; expected a tensor"):format(self.typename, options.show(teacher)))
  end
  local t = self.temperature
  local soft = core.kl_div((logits * (1 / t)):log_softmax(), (teacher:detach() * (1 / t)):log_softmax(), {
    log_target = true, batch_mean = true,
  })
  return hard * (1 - self.alpha) + soft * (self.alpha * t * t)
end

function m.DistillationLoss:settings()
  return ("{ alpha = %g, temperature = %g }"):format(self.alpha, self.temperature)
end

return m
