-- Three networks like that of cnn.lua side by side, a committee: each learns from its own third of every batch, and
-- their mean probability decides. A module of one's own.
--
-- Try:  mnistlua configs/cnn_best.lua members=5 epochs=30
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local p = ml.params {
  members   = { 3, "networks in the committee", min = 1 },
  widths    = { { 32, 64, 128 }, "channels of the blocks" },
  lr        = { 1e-2, "peak learning rate", min = 0 },
  smoothing = { 0.05, "label smoothing", min = 0, max = 1 },
  epochs    = { 18, "passes over the training set, of which each member sees its share", min = 1 },
  batch     = { 256, "images per step and member", min = 2 },
  val       = { 0, "training images held out for validation", min = 0 },
}

local function network()
  local model = nn.Sequential {}
  for i, channels in ipairs(p.widths) do
    model:add(nn.Conv2d(channels, i == 1 and 5 or 3, { padding = "same", bias = false }))
    model:add(nn.MaxPool2d(2)):add(nn.BatchNorm2d()):add(nn.ReLU())
  end
  return model:add(nn.Flatten()):add(nn.Linear(10))
end

local Committee = nn.Module "Committee"

function Committee:init(count)
  self.members = nn.ModuleList {}
  for _ = 1, count do self.members:add(network()) end
end

-- Training: what each member makes of its own part of the batch; otherwise the logarithm of their mean probability.
-- Members that saw the same pictures in the same order would make much the same mistakes.
function Committee:forward(x)
  local count, n, outputs, mean = #self.members, x:size(1), {}, 0
  if self.training and n >= 2 * count then
    for i = 1, count do outputs[i] = self.members[i](x:rows((i - 1) * n // count + 1, i * n // count)) end
    return ml.concat(outputs, 1)
  end
  for i = 1, count do mean = mean + self.members[i](x):softmax(-1) / count end
  return mean:log()
end

return ml.experiment {
  name      = "cnn_best",
  data      = ml.data.mnist { val = p.val },
  augment   = ml.augment {
    rotate = 10, scale = 0.1, shift = 2,
    strength = function(_, progress) return progress < 0.85 and 1 or 0.3 end,
  },
  model     = Committee(p.members),
  loss      = nn.CrossEntropyLoss { label_smoothing = p.smoothing },
  optimizer = optim.AdamW { lr = p.lr, betas = { 0.9, 0.99 }, weight_decay = 5e-4 },
  schedule  = sched.OneCycleLR { max_lr = p.lr },
  average   = optim.EMA { decay = 0.999 },
  epochs    = p.epochs,
  batch     = p.batch * p.members,
  eval_every = 6,
}
