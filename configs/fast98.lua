-- 98.0% on MNIST's test images as soon after the process's start as can be, the data unpacked from its .gz files. The
-- aim: under a second on two cores with AMX, with 9 seeds of 10.
--
-- Expected: 98.3%, and over 98.0% with every seed. Measured once on the test images, seeds 1 to 10, weights of
-- the last step: f32 98.31 +- 0.06, lowest 98.22; bf16 98.30 +- 0.09, lowest 98.16 (emulated, to the bits of AMX).
-- Repeat it with  tests/bench/precision_study.sh configs/fast98.lua
--
-- Time, process start to end: 2.0 s (median of 7, fastest 1.5) in f32 on 2 cores of a busy Zen 3 without AMX; 0.3 s of
-- it is start-up, evaluation and end. On a processor with AMX it was NOT measured. The estimate for two such cores:
-- 784-512-128-64-10, with 2.5 times the arithmetic, is expected to train there at 450,000 images/s or more under plain
-- SGD; at that rate, and half as long again for Adam, 180,000 images take 0.6 s; with start-up (0.15 s), evaluation
-- and end about 0.8 s.
--
-- How it was found: trained on the first 50,000 training images, judged on the last 10,000 (val=10000), with a few
-- amounts of arithmetic. One layer of 256 costs 0.82 MFLOP an image; 180,000 images and one evaluation, 151 GFLOP.
-- Accuracy on the held-out images (+-: deviation between seeds):
--
--   256, Adam, smoothing 0.02, 150,000 images   123 GFLOP   98.13 +- 0.07, lowest 98.03   10 seeds
--   the same, 175,000 images                    143 GFLOP   98.22 +- 0.08, lowest 98.13   10 seeds
--   the same, smoothing 0 / 0.05                143 GFLOP   98.01 / 98.14                 3 seeds
--   256-64, Nesterov 0.9, batch 64              181 GFLOP   98.18                         3 seeds, no smoothing
--   384-128-64, Nesterov 0.9                    233 GFLOP   98.05                         3 seeds, no smoothing
--   512-128-64, Adam, 100,000 / 150,000 images  205 / 308   97.85 / 98.22                 1 seed, no smoothing
--
-- Three passes over all 60,000 keep a margin of 0.2 points. Seeds 1 to 3 took part in the choice, 4 to 10
-- only confirmed it.
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local p = ml.params {
  lr     = { 0.006, "peak learning rate", min = 0 },
  epochs = { 3, "passes over the training set", min = 1 },
  batch  = { 128, "images per step", min = 1 },
  hidden = { {256}, "hidden widths" },
  val    = { 0, "training images held out, for tuning", min = 0 },
}

local model = nn.Sequential { nn.Flatten() }
for _, width in ipairs(p.hidden) do
  model:add(nn.Linear(width, { init = "kaiming" })):add(nn.ReLU())
end
model:add(nn.Linear(10, { init = "kaiming" }))

return ml.experiment {
  name       = "fast98",
  data       = ml.data.mnist { val = p.val },
  model      = model,
  loss       = nn.CrossEntropyLoss { label_smoothing = 0.02 },
  optimizer  = optim.Adam { lr = p.lr, betas = { 0.9, 0.99 } },
  schedule   = sched.LinearWarmup { sched.linear(p.lr), fraction = 0.1 },
  epochs     = p.epochs,
  batch      = p.batch,
  eval_every = p.epochs,                  -- once, at the end
  precision  = "auto",                    -- bf16 where there is AMX, f32 elsewhere
  expect     = "test.acc>=0.98",
}
