-- A training loop of one's own: forward, backward and update are written out; the trainer still brings the batches, the
-- progress, the evaluation, the weights' file and Ctrl-C.
--
-- configs/by_hand.lua trains the same network with the same settings and no autograd at all; the weights agree.
local ml = require "mnistlua"
local nn, optim = ml.nn, ml.optim

local p = ml.params {
  lr     = { 0.1, "learning rate of the first epoch", min = 0 },
  decay  = { 0.95, "factor on the learning rate after each epoch", min = 0, max = 1 },
  epochs = { 3, "passes over the training set", min = 1 },
  batch  = { 128, "images per step", min = 1 },
  n      = { 60000, "training images", min = 1 },
}

local model = nn.Sequential {
  nn.Flatten(),
  nn.Linear(512), nn.ReLU(),
  nn.Linear(128), nn.ReLU(),
  nn.Linear(64),  nn.ReLU(),
  nn.Linear(10),
}

local function loop(run)
  for x, y in run:batches() do                   -- run.step, run.epoch, run.progress, run.metrics
    run.optimizer:zero_grad()
    local loss = run.loss(run.model(x), y)
    loss:backward()
    run.optimizer.lr = p.lr * p.decay ^ (run.epoch - 1)
    run.optimizer:step()
    run:log { ["train.loss"] = loss:item() }
  end
end

return ml.experiment {
  name      = "own_loop",
  data      = ml.data.mnist { n = p.n },
  model     = model,
  loss      = nn.CrossEntropyLoss(),
  optimizer = optim.SGD { lr = p.lr },
  epochs    = p.epochs,
  batch     = p.batch,
  loop      = loop,
}
