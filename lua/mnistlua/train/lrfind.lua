-- The learning-rate range test (Smith, WACV 2017): some steps of training with a rate that grows from step to step by
-- the same factor, and what the loss says about it. Called by `mnistlua lrfind`; it prints nothing and writes nothing.
local core = require "mnistlua.core"
local events = require "mnistlua.train.events"
local options = require "mnistlua.options"
local precision = require "mnistlua.precision"
local trainer = require "mnistlua.trainer"

local m = {}

-- Makes the experiment's run one of the sweep's: its own schedule, no callbacks, no averages, no evaluation.
local function prepare(experiment, o)
  if experiment.loop then
    options.fail("lrfind: the experiment has a loop of its own; it sweeps with the trainer's", experiment.where)
  elseif not experiment.optimizer or options.kind(experiment.optimizer.lr) ~= "number" then
    options.fail("lrfind: the experiment has no optimizer with a learning rate", experiment.where)
  elseif experiment.optimizer.needs_closure and not experiment.optimizer.clips then
    options.fail(("lrfind: %s searches for its step size itself"):format(tostring(experiment.optimizer)),
      experiment.where)
  end
  local k = experiment.accumulate
  experiment.steps, experiment.average, experiment.momentum = o.steps * k, false, nil
  experiment.schedule = function(step) return o.from * (o.to / o.from) ^ (step // k / math.max(o.steps - 1, 1)) end
  experiment.listeners = events.listeners({ diverged = function() return "skip" end }, nil)
  return trainer.prepare(experiment, { seed = o.seed })
end

local function next_batch(run)
  if run.epoch == 0 then run:begin_epoch() end
  local x, y = run:begin_step()
  if x then return x, y end
  run:begin_epoch()
  return run:begin_step()
end

-- The mean loss of the batches of one step of the optimizer.
local function step_loss(run)
  local sum, k = 0, run.experiment.accumulate
  for _ = 1, k do
    local x, y = next_batch(run)
    sum = sum + run:train_step(x, y):item()
  end
  return sum / k
end

-- Steps until the rates are through or the loss is past all hope: four times the best so far, or no number.
local function sweep(run, o, watch)
  local points, mean, best = {}, 0, math.huge
  for i = 1, o.steps do
    local loss = step_loss(run)
    mean = o.smooth * mean + (1 - o.smooth) * loss
    local smoothed = mean / (1 - o.smooth ^ i)
    if smoothed ~= smoothed or math.abs(smoothed) == math.huge then return points, "the loss stopped being a number" end
    points[i] = { lr = run.optimizer.lr, loss = loss, smoothed = smoothed }
    best = math.min(best, smoothed)
    if smoothed > 4 * best and i > 10 then return points, "the loss was four times the lowest" end
    watch(i)
  end
  return points
end

--- Sweeps an experiment. o: from, to, steps, smooth (the share of the mean so far in the smoothed loss), seed. watch(i)
--- is called after each step. Returns the points { lr, loss, smoothed }, and why it ended early or nil.
function m.run(experiment, o, watch)
  local run = prepare(experiment, o)
  local before = precision.begin(run.precision)
  local points, early = sweep(run, o, watch)
  run:release()
  core.precision(before)
  return points, early
end

-- The slope of the smoothed loss over ln lr around point i.
local function slope(points, i)
  local a, b = points[math.max(i - 2, 1)], points[math.min(i + 2, #points)]
  return (b.smoothed - a.smoothed) / math.log(b.lr / a.lr)
end

--- What the points suggest: { steepest, lowest, suggestion }, rates all, or nil where the loss never fell. The
--- suggestion is the rate of the steepest fall, but at most a third of the rate of the lowest loss.
function m.suggest(points)
  local lowest, steepest, most = 1, nil, 0
  for i, point in ipairs(points) do
    if point.smoothed < points[lowest].smoothed then lowest = i end
  end
  for i = math.max(3, #points // 10), lowest do
    local s = slope(points, i)
    if s < most then steepest, most = i, s end
  end
  if not steepest then return nil end
  local low, steep = points[lowest].lr, points[steepest].lr
  return { lowest = low, steepest = steep, suggestion = math.min(steep, low / 3) }
end

return m
