-- The notebook's network, 784-512-128-64-10, on all of MNIST: SGD with momentum under a one-cycle learning rate.
--
-- Try:  mnistlua configs/mlp512.lua lr=0.05 hidden='{256,64}' epochs=3
local ml = require "mnistlua"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local p = ml.params {                     -- each is a key=value override and a line of --help
  lr     = { 0.1, "peak learning rate", min = 0 },
  epochs = { 10, "passes over the training set", min = 1 },
  batch  = { 128, "images per step", min = 1 },
  hidden = { {512, 128, 64}, "hidden widths" },
  val    = { 0, "training images held out for validation", min = 0 },
}

local model = nn.Sequential { nn.Flatten() }
for _, width in ipairs(p.hidden) do
  model:add(nn.Linear(width)):add(nn.ReLU())     -- input sizes are inferred
end
model:add(nn.Linear(10))

return ml.experiment {
  name      = "mlp512",
  data      = ml.data.mnist { val = p.val },
  model     = model,
  loss      = nn.CrossEntropyLoss(),
  optimizer = optim.SGD { lr = p.lr, momentum = 0.9 },
  schedule  = sched.OneCycleLR { max_lr = p.lr },
  epochs    = p.epochs,
  batch     = p.batch,
}
