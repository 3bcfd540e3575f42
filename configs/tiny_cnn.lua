-- A convolutional network of 7,330 parameters: pairs of 3x3 convolutions with few channels, each with batch norm and
-- ReLU, and the mean over the picture in place of a large last layer.
--
-- Test accuracy of the final weights: 99.49% +- 0.05, mean and deviation of --seed 1 to 5 (99.46, 99.50, 99.42, 99.54,
-- 99.52), f32.
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local p = ml.params {
  lr     = { 2e-2, "peak learning rate", min = 0 },
  epochs = { 20, "passes over the training set", min = 1 },
  batch  = { 128, "images per step", min = 1 },
  val    = { 0, "training images held out for validation", min = 0 },
}

local model = nn.Sequential {}
local function conv(channels)
  model:add(nn.Conv2d(channels, 3, { padding = "same", bias = false })):add(nn.BatchNorm2d()):add(nn.ReLU())
end
conv(8); conv(8); model:add(nn.MaxPool2d(2))
conv(16); conv(16); model:add(nn.MaxPool2d(2))
conv(20)
model:add(nn.AdaptiveAvgPool2d(1)):add(nn.Flatten()):add(nn.Linear(10))

return ml.experiment {
  name      = "tiny_cnn",
  data      = ml.data.mnist { val = p.val },
  augment   = ml.augment {
    rotate = 10, scale = 0.1, shift = 1.5,
    strength = function(_, progress) return progress < 0.9 and 1 or 0 end,
  },
  model     = model,
  loss      = nn.CrossEntropyLoss(),
  optimizer = optim.AdamW { lr = p.lr, betas = { 0.9, 0.99 }, weight_decay = 1e-4 },
  schedule  = sched.OneCycleLR { max_lr = p.lr },
  average   = optim.EMA { decay = 0.999 },
  epochs    = p.epochs,
  batch     = p.batch,
  eval_every = 5,
}
