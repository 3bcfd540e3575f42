-- The 784-512-128-64-10 network of mlp512.lua, trained as well as it can be without new pictures: the slant of the
-- writing is taken out beforehand, batch norm, noise on the input and before each ReLU, AdamW under one cycle, smoothed
-- labels, the mean of the weights.
--
-- Test accuracy of the final weights: 99.17% +- 0.03, mean and deviation of --seed 1 to 5 (99.19, 99.13, 99.19, 99.18,
-- 99.15), f32. On another split of the 70,000 pictures (tests/bench/other_split.lua): 99.17% (seed 1).
--
-- How it was found: trained on the first 50,000 training images, judged on the last 10,000 (val=10000), one seed each,
-- 60 epochs, the deviation of both noises / the peak learning rate:
--
--   deskew=false   0.3 / 4e-3: 98.83   0.3 / 8e-3: 98.90   0.5 / 4e-3: 98.95   0.7 / 4e-3: 99.00   0.5 / 8e-3: 98.97
--                  with mixup 0.2: 98.73   with dropout 0.2: 98.87   with weight decay 0.05: 98.87
--   deskew=true    0.5 / 4e-3: 99.18 (40 epochs)
--
-- Try:  mnistlua configs/mlp512_best.lua deskew=false epochs=20
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local p = ml.params {
  hidden    = { { 512, 128, 64 }, "widths of the hidden layers" },
  deskew    = { true, "take the slant of the writing out" },
  noise     = { 0.5, "deviation of the noise on the input and before each ReLU", min = 0 },
  lr        = { 4e-3, "peak learning rate", min = 0 },
  smoothing = { 0.05, "label smoothing", min = 0, max = 1 },
  epochs    = { 80, "passes over the training set", min = 1 },
  batch     = { 256, "images per step", min = 1 },
  val       = { 0, "training images held out for validation", min = 0 },
}

local model = nn.Sequential { nn.Flatten(), nn.GaussianNoise(p.noise) }
for _, width in ipairs(p.hidden) do
  model:add(nn.Linear(width, { bias = false })):add(nn.BatchNorm1d())
  model:add(nn.GaussianNoise(p.noise)):add(nn.ReLU())
end
model:add(nn.Linear(10))

local data = ml.data.mnist { val = p.val }

return ml.experiment {
  name      = "mlp512_best",
  data      = p.deskew and data:deskew() or data,
  model     = model,
  loss      = nn.CrossEntropyLoss { label_smoothing = p.smoothing },
  optimizer = optim.AdamW { lr = p.lr, betas = { 0.9, 0.99 }, weight_decay = 1e-4,
                            groups = { { "bias$", weight_decay = 0 } } },
  schedule  = sched.OneCycleLR { max_lr = p.lr, pct_start = 0.25 },
  average   = optim.EMA { decay = 0.999 },
  epochs    = p.epochs,
  batch     = p.batch,
  eval_every = 10,
}
