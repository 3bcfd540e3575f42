-- What the trainer does with a loss: gradients, over one batch or several (`accumulate`), then a step of the optimizer,
-- which may want the loss evaluated again (LBFGS, SAM). Called by Run:train_step only.
local core = require "mnistlua.core"

local m = {}

-- Images in the batches that this one is accumulated with: the last ones of an epoch may be fewer.
local function images_together(run)
  local e, k = run.experiment, run.experiment.accumulate
  local first = (run.step_in_epoch - 1) // k * k
  local all = e.drop_last and run.steps_per_epoch * e.batch or #run.data.train
  return math.min((first + k) * e.batch, all) - first * e.batch
end

--- Computes the gradients of a batch of `images`, or adds its share to those of the batches before it, so that k
--- batches move the weights as one large one would.
function m.backward(run, loss, images)
  local k = run.experiment.accumulate
  if k == 1 then
    run.optimizer:zero_grad()
    loss:backward()
    return
  end
  local window = { run.epoch, (run.step_in_epoch - 1) // k }
  if not run.window or run.window[1] ~= window[1] or run.window[2] ~= window[2] then run.optimizer:zero_grad() end
  run.window = window
  local share = loss * (images / images_together(run))
  share:backward()
end

--- Whether this batch is the last before a step of the optimizer.
function m.due(run)
  local k = run.experiment.accumulate
  return k == 1 or run.step_in_epoch % k == 0 or run.step_in_epoch == run.steps_per_epoch
      or run.step == run.total_steps
end

local function evaluate_again(run, x, y)
  run.optimizer:zero_grad()
  local loss = run.loss(run.model(x), y)
  loss:backward()
  return loss:item()
end

--- Moves the weights. `value` is the loss whose gradients are there; they serve as the first evaluation of an optimizer
--- that asks for several.
function m.move(run, x, y, value)
  if not run.needs_closure then return run.optimizer:step() end
  local known = value
  run.optimizer:step(function()
    local loss = known or core.scope(evaluate_again, run, x, y)
    known = nil
    return loss
  end)
end

return m
