-- nn.BatchNorm1d and nn.BatchNorm2d: every channel is normalised over the batch in training, and by its running
-- statistics in evaluation. The number of channels may be left out; it is then inferred as nn.Linear's inputs are.
local core = require "mnistlua.core"
local activations = require "mnistlua.nn.activations"
local flow = require "mnistlua.nn.flow"
local Module = require "mnistlua.nn.module"
local options = require "mnistlua.options"
local Parameter = require("mnistlua.nn.parameter").mark
local pooling = require "mnistlua.nn.pooling"
local window = require "mnistlua.nn.window"

local spec = {
  "num_features",
  num_features = { type = "integer", min = 1 },
  eps = { type = "number", default = 1e-5, above = 0 },
  momentum = { type = "number|string", default = 0.1, min = 0, max = 1 },
  affine = { type = "boolean", default = true },
  track_running_stats = { type = "boolean", default = true },
}

--- What both share: y = (x - mean) / sqrt(var + eps) weight + bias for each channel of x [b, c, ...]. Options: eps
--- (1e-5); momentum, the weight of the new value in the running statistics (0.1), or "cumulative" for their plain mean;
--- affine (true): whether there are weight and bias; track_running_stats (true): without them evaluation uses the
--- batch's too. State, as PyTorch names it: weight, bias, running_mean, running_var (unbiased), num_batches_tracked
--- (i32 here). Ioffe and Szegedy 2015, "Batch normalization".
local BatchNorm = Module:extend "nn.BatchNorm"
BatchNorm.takes_tensor, BatchNorm.transparent = true, true

-- Sizes of one sample that a class takes: from `least` to `most` dimensions; `wants` is their text.
BatchNorm.least, BatchNorm.most, BatchNorm.wants = 1, 5, "channels"

function BatchNorm:init(...)
  local o = options.read(self.typename, options.gather(...), spec)
  if type(o.momentum) == "string" then
    options.check(self.typename, "momentum", o.momentum, { choices = { "cumulative" } })
  end
  self.eps, self.momentum, self.affine, self.track_running_stats = o.eps, o.momentum, o.affine, o.track_running_stats
  self.built = false
  if o.num_features then self:create(o.num_features) end
end

--- Gives the layer its parameters and statistics, for this many channels.
function BatchNorm:create(num_features)
  self.num_features = num_features
  if self.affine then
    self.weight = Parameter(core.ones(num_features))
    self.bias = Parameter(core.zeros(num_features))
  end
  if self.track_running_stats then
    self:register_buffer("running_mean", core.zeros(num_features))
    self:register_buffer("running_var", core.ones(num_features))
    self:register_buffer("num_batches_tracked", core.tensor(0, "i32"))
  end
  self.built = true
end

--- Takes the number of channels from a weight that is about to be loaded.
function BatchNorm:infer_from_weight(weight)
  if weight:dim() == 1 then self:create(weight:size(1)) end
end

--- Makes the statistics those of no batch: mean 0, variance 1.
function BatchNorm:reset_running_stats()
  if not self.built or not self.track_running_stats then return end
  self.running_mean:zero_()
  self.running_var:fill_(1)
  self.num_batches_tracked:zero_()
end

--- Weight 1, bias 0, and the statistics of no batch.
function BatchNorm:reset_parameters()
  self:reset_running_stats()
  if self.built and self.affine then
    self.weight:fill_(1)
    self.bias:zero_()
  end
end

function BatchNorm:settings()
  local parts = { self.num_features and tostring(self.num_features) }
  local extra = {}
  for _, name in ipairs { "eps", "momentum", "affine", "track_running_stats" } do
    local value = self[name]
    if value ~= spec[name].default then
      extra[#extra + 1] = ("%s = %s"):format(name, type(value) == "string" and '"' .. value .. '"' or tostring(value))
    end
  end
  if #extra > 0 then parts[#parts + 1] = "{ " .. table.concat(extra, ", ") .. " }" end
  return table.concat(parts, ", ")
end

-- input is a tensor or a shape; dims counts its dimensions without the batch, channels is the first of them.
local function check(self, input, dims, channels)
  if dims < self.least or dims > self.most then
    flow.mismatch(self, input, self.wants, flow.shape_text(flow.shape_of(input)), self.hint)
  end
  if self.num_features == channels then return end
  if self.built then
    flow.mismatch(self, input, self.num_features .. " channels", tostring(channels),
      ("write %s() to infer it"):format(self.typename))
  end
  self:create(channels)
end

function BatchNorm:infer(shape)
  check(self, shape, #shape, shape[1])
  self.values_per_sample = flow.count(shape) // shape[1]
  return shape
end

local function refuse_single(self)
  options.fail(("%s: a batch of 1 leaves 1 value per channel, which has no variance to train with; use a larger batch, "
    .. "or drop_last = true where only the last one is so small"):format(self:signature()), self.where)
end

--- Raises if training on batches of n samples would leave a single value per channel. The trainer asks before the first
--- step, with the run's smallest batch; a module without this method takes any.
function BatchNorm:check_batch(n)
  if n == 1 and self.values_per_sample == 1 then refuse_single(self) end
end

-- The weight of the batch at hand in the running statistics.
local function advance(self)
  if not self.training or not self.track_running_stats then return 0 end
  self.num_batches_tracked:fill_(self.num_batches_tracked:item() + 1)
  return self.momentum == "cumulative" and 1 / self.num_batches_tracked:item() or self.momentum
end

local function compute(self, x, operation)
  check(self, x, x:dim() - 1, x:size(2))
  local by_batch = self.training or not self.track_running_stats
  if by_batch and x:numel() == self.num_features then refuse_single(self) end
  return operation(x, self.weight, self.bias, {
    training = by_batch, momentum = advance(self), eps = self.eps,
    running_mean = self.running_mean, running_var = self.running_var,
  })
end

function BatchNorm:forward(x)
  if x:dim() < 2 then check(self, x, x:dim() - 1) end
  return compute(self, x, core.batch_norm)
end

-- Whether a layer takes the greatest of 2x2 windows, two apart.
local function halves(layer)
  return layer.forward == pooling.MaxPool2d.forward and window.text(layer.kernel_size) == "2"
    and window.text(layer.stride) == "2" and window.text(layer.padding) == "0"
end

--- What nn.Sequential calls in place of this layer, a ReLU after it and, if it halves images, the layer after that,
--- with the same result; and how many layers that are.
function BatchNorm:fused_with(following, third, x)
  if self.forward ~= BatchNorm.forward or following.forward ~= activations.ReLU.forward then return nil end
  if third and halves(third) and x:dim() == 4 and x:size(3) >= 2 and x:size(4) >= 2 then
    return BatchNorm.forward_relu_halve, 3
  end
  return BatchNorm.forward_relu, 2
end

function BatchNorm:forward_relu(x)
  if x:dim() < 2 then check(self, x, x:dim() - 1) end
  return compute(self, x, core.batch_norm_relu)
end

function BatchNorm:forward_relu_halve(x) return compute(self, x, core.batch_norm_relu_halve) end

--- Batch norm of rows of features x [b, c], or of sequences [b, c, l].
local BatchNorm1d = BatchNorm:extend "nn.BatchNorm1d"
BatchNorm1d.least, BatchNorm1d.most = 1, 2
BatchNorm1d.wants = "samples of c features, or of c x l"
BatchNorm1d.hint = "write nn.BatchNorm2d() for images"

--- Batch norm of images x [b, c, h, w].
local BatchNorm2d = BatchNorm:extend "nn.BatchNorm2d"
BatchNorm2d.least, BatchNorm2d.most = 3, 3
BatchNorm2d.wants = "images of c x h x w"
BatchNorm2d.hint = "write nn.BatchNorm1d() for rows of features, or put nn.Reshape(1, h, w) before it"

return { BatchNorm1d = BatchNorm1d, BatchNorm2d = BatchNorm2d }
