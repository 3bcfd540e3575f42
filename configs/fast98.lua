-- 98.0% on MNIST's test images as soon after the process's start as can be, the data unpacked from its .gz files: a
-- convolution that takes large steps over the picture, batch norm, and less than one pass over the training set.
--
-- Expected: 98.5%, and over 98.0% with every seed. Measured once on the test images, seeds 1 to 10, weights of the last
-- step: f32 98.47 +- 0.09, lowest 98.37; bf16 98.48 +- 0.09, lowest 98.28 (emulated, to the bits of AMX). Repeat with
--   tests/bench/precision_study.sh configs/fast98.lua
--
-- On another split of the 70,000 pictures (tests/bench/other_split.lua, SEED=1), --seed 1 to 5: 98.25 +- 0.09, lowest
-- 98.13.
--
-- Time, process start to end, of those ten in f32: 0.65 s (median; 0.51 to 0.72) on 2 cores of a Zen 4, 0.25 s of it
-- start-up, evaluation and end; 0.8 s on one core. On a processor with AMX it was not measured.
--
-- How it was found: trained on the first 50,000 training images, judged on the last 10,000 (val=10000). Accuracy there
-- (+-: deviation between seeds) and time, process start to end, the fastest of those seeds, on the same machine:
--
--   784-256-10, 150,000 images, batch 128                   98.12           1.17 s    3 seeds
--   784-256-10 with batch norm, 100,000 images              98.05           0.81 s    3 seeds
--   8c5s2-16c3s2-64-10 with batch norm, 35,000 images       98.03           0.64 s    3 seeds
--   the same, batch 64                                      98.38           0.64 s    3 seeds
--   16c5s2-64-10, batch 64                                  98.34           0.71 s    3 seeds
--   16c5s3-64-10, batch 64                                  98.24           0.44 s    3 seeds
--   the same, learning rate 0.02                            98.34           0.52 s    3 seeds
--   16c7s3-64-10, 32,000 images                             98.33 +- 0.11   0.44 s    10 seeds, lowest 98.07
--   16c7s3-64-10, 38,400 images: this                       98.46 +- 0.11   0.50 s    10 seeds, lowest 98.33
--   the same, kernel 5 / 6                                  98.41 / 98.46             10 seeds
--   the same, kernel 6, learning rate 0.015 / 0.03          98.43 / 98.47             10 seeds
--   the same, kernel 6, smoothing 0.02 / 0.1                98.42 / 98.48             10 seeds
--
-- A kernel of 7 every 3 pixels covers the 28 exactly.
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local p = ml.params {
  lr       = { 0.02, "peak learning rate", min = 0 },
  epochs   = { 0.64, "passes over the training set, a part of one too", min = 0.01 },
  batch    = { 64, "images per step", min = 2 },
  channels = { 16, "channels of the convolution", min = 1 },
  hidden   = { { 64 }, "hidden widths" },
  val      = { 0, "training images held out, for tuning", min = 0 },
}

local model = nn.Sequential {
  nn.Conv2d(p.channels, 7, { stride = 3, bias = false }), nn.BatchNorm2d(), nn.ReLU(),
  nn.Flatten(),
}
for _, width in ipairs(p.hidden) do
  model:add(nn.Linear(width, { init = "kaiming", bias = false })):add(nn.BatchNorm1d()):add(nn.ReLU())
end
model:add(nn.Linear(10, { init = "kaiming" }))

return ml.experiment {
  name       = "fast98",
  data       = ml.data.mnist { val = p.val },
  model      = model,
  loss       = nn.CrossEntropyLoss { label_smoothing = 0.05 },
  optimizer  = optim.Adam { lr = p.lr, betas = { 0.9, 0.99 } },
  schedule   = sched.LinearWarmup { sched.linear(p.lr), fraction = 0.1 },
  steps      = math.ceil(p.epochs * (60000 - p.val) / p.batch),
  batch      = p.batch,
  eval_every = math.ceil(p.epochs),       -- once, at the end
  expect     = "test.acc>=0.98",
}
