-- A few seconds on synthetic digits: does everything work on this machine? No files are needed.
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local p = ml.params {
  lr     = { 0.05, "peak learning rate", min = 0 },
  epochs = { 3, "passes over the training set", min = 1 },
  n      = { 12000, "training images", min = 1 },
}

return ml.experiment {
  name      = "smoke",
  data      = ml.data.digits { n = p.n, test = 2000 },
  model     = nn.Sequential { nn.Flatten(), nn.Linear(128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(10) },
  loss      = nn.CrossEntropyLoss { label_smoothing = 0.02 },
  optimizer = optim.AdamW { lr = p.lr / 10 },
  schedule  = sched.OneCycleLR { max_lr = p.lr / 10 },
  epochs    = p.epochs,
  batch     = 128,
  expect    = "test.acc>=0.8",
}
