-- A network that is right on 99% of MNIST after one pass over the training set: 16c5-P-32c3-P-128-10 with batch norm,
-- Adam under a one-cycle learning rate, pictures shifted by up to a pixel, the mean of the weights.
--
-- Test accuracy of the final weights: 99.32%, the mean of seeds 1 to 10 (deviation 0.05), the lowest 99.23%, f32. Time,
-- process start to end: 3.8 s (median of seeds 1 to 7; 3.8 to 4.4) on 2 cores of a Zen 4, 5.9 s on a busy Zen 3.
--
-- On another split of the 70,000 pictures (tests/bench/other_split.lua, SEED=1), --seed 1 to 5: 99.20 +- 0.06, lowest
-- 99.11.
--
-- How it was found: trained on the first 50,000 training images, judged on the last 10,000 (val=10000), seeds 1 to 3,
-- where it reaches 99.2%. Steps from 24c5-P-32c3-P-256-10 without all this (lr 0.01, batch 256, betas 0.7 and 0.9),
-- 98.93%: batch norm with betas 0.9 and 0.99 98.94%, with smoothing and the mean of the weights 99.09%, with batches of
-- 128 99.21%, with shifts 99.28%; then with two thirds of the units, in two thirds of the time, this.
--
-- Try:  mnistlua configs/fast99.lua widths='{24,32,256}' --seed 1
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local p = ml.params {
  widths    = { { 16, 32, 128 }, "channels of the two convolutions, hidden units" },
  lr        = { 0.01, "peak learning rate", min = 0 },
  smoothing = { 0.05, "label smoothing", min = 0, max = 1 },
  shift     = { 1, "pixels that pictures are moved by at most", min = 0, max = 14 },
  epochs    = { 1, "passes over the training set", min = 1 },
  batch     = { 128, "images per step", min = 2 },
  val       = { 0, "training images held out for validation", min = 0 },
}

local c1, c2, hidden = table.unpack(p.widths)

return ml.experiment {
  name      = "fast99",
  data      = ml.data.mnist { val = p.val },
  augment   = ml.augment { shift = p.shift },
  model     = nn.Sequential {
    nn.Conv2d(c1, 5, { bias = false }), nn.MaxPool2d(2), nn.BatchNorm2d(), nn.ReLU(),
    nn.Conv2d(c2, 3, { bias = false }), nn.MaxPool2d(2), nn.BatchNorm2d(), nn.ReLU(),
    nn.Flatten(), nn.Linear(hidden, { bias = false }), nn.BatchNorm1d(), nn.ReLU(), nn.Linear(10),
  },
  loss      = nn.CrossEntropyLoss { label_smoothing = p.smoothing },
  optimizer = optim.Adam { lr = p.lr, betas = { 0.9, 0.99 } },
  schedule  = sched.OneCycleLR { max_lr = p.lr },
  average   = optim.EMA { decay = 0.98, recompute_bn = false },
  epochs    = p.epochs,
  batch     = p.batch,
}
