-- A short trial of an experiment, as `mnistlua check` wants it: one batch learned by heart, and what a step takes. No
-- callbacks, no averages, no evaluation, no file.
local core = require "mnistlua.core"
local measure = require "mnistlua.inspect.measure"
local optim = require "mnistlua.optim"
local sched = require "mnistlua.sched"

local m = {}

-- ---- one batch ----

--- A batch of n training samples, drawn by the seed, without augmentation: x, y that stay.
function m.batch(run, n)
  local train = run.data.train
  local loader = train:loader { batch = math.min(n, #train), shuffle = true, seed = run.seed }
  loader:start(1, 1)
  local x, y = loader:next()
  return x:clone(), y:clone()
end

--- The learning rate that a trial begins with and the one that it comes to: the first and the greatest of the schedule;
--- the optimizer's own twice without one.
function m.rates(run, schedule)
  if not schedule then return run.optimizer.lr, run.optimizer.lr end
  local first, most, per_epoch = nil, 0, run.steps_per_epoch
  for i = 0, 100 do
    local step = (run.total_steps - 1) * i // 100
    local lr = sched.value(schedule, step, step / run.total_steps, {
      epoch = step // per_epoch, epoch_progress = step % per_epoch / per_epoch, steps_per_epoch = per_epoch,
      total_steps = run.total_steps,
    })
    first, most = first or lr, math.max(most, lr)
  end
  return first, most
end

local function is_number(x) return x == x and math.abs(x) < math.huge end

-- Whether a batch is known by heart: a tenth of the first loss, or every label right and the loss halved.
local function is_learned(r)
  return r.last <= 0.1 * r.first or r.right == r.count and r.last <= 0.5 * r.first
end

-- Whether the loss falls, if too slowly for the time there was.
local function is_on_its_way(r)
  return is_number(r.last) and r.last <= (r.all_steps and 0.5 or 0.9) * r.first
end

-- Trains on x, y until it is learned, for at most `most` steps and `seconds`. set_rate(step) sets the learning rate.
local function learn(run, x, y, most, seconds, set_rate)
  local r, started = { steps = 0, count = #x, right = false }, core.clock()
  run.model:train()
  while r.steps < most and core.clock() - started < seconds do
    core.step_begin(1, r.steps + 1)
    set_rate(r.steps)
    local loss, output = run:train_step(x, y)
    r.last = loss:item()
    r.first = r.first or r.last
    if run:is_classification(output, y) then r.right = core.count_correct(output, y) end
    core.step_end()
    if not is_number(r.last) then break end
    r.learned = r.first > 0 and is_learned(r)
    if r.learned then break end
    r.steps = r.steps + 1
  end
  r.all_steps = r.steps >= most
  r.broken, r.falls = not is_number(r.last), r.learned or is_on_its_way(r)
  return r
end

local function copies(model)
  local list = {}
  for i, entry in ipairs(model:state_dict()) do list[i] = { entry[1], entry[2]:clone() } end
  return list
end

-- From the first rate to the last in 20 steps.
local function warm_up(run, first, last)
  return function(step)
    if type(last) == "number" then run.optimizer.lr = first + (last - first) * math.min(1, step / 20) end
  end
end

-- The same from the same weights with Adam in the optimizer's place.
local function learn_with_adam(run, x, y, start, seconds)
  local own = run.optimizer
  run.model:load_state_dict(start)
  run.optimizer, run.needs_closure = optim.Adam { lr = 0.001 }, false
  run.optimizer:bind(run.model)
  local r = learn(run, x, y, 200, seconds, function() end)
  run.optimizer, run.needs_closure = own, own.needs_closure or false
  return r
end

--- Learns one batch by heart with the run's own optimizer at the rates of m.rates; where that comes to nothing, with
--- Adam. Returns { first, last, steps, count, right, learned, falls, broken, all_steps }, and the same of Adam or nil.
function m.overfit(run, x, y, first, last, seconds)
  local start = copies(run.model)
  local r, other = learn(run, x, y, 200, seconds, warm_up(run, first, last)), nil
  if not r.falls then other = learn_with_adam(run, x, y, start, seconds) end
  run.model:load_state_dict(start)
  return r, other
end

-- ---- speed ----

local function next_batch(run)
  if run.epoch == 0 then run:begin_epoch() end
  local x, y = run:begin_step()
  if x then return x, y end
  run:begin_epoch()
  return run:begin_step()
end

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

--- Seconds of a step as the run takes them, loader and augmentation included: the median of those that fit in.
function m.step_seconds(run, seconds)
  local times, started = {}, core.clock()
  while #times < 2 or #times < 100 and core.clock() - started < seconds do
    local before = core.clock()
    local x, y = next_batch(run)
    run:train_step(x, y)
    run.in_step = false
    times[#times + 1] = core.clock() - before
  end
  table.remove(times, 1)           -- it made what the others find made
  run:release()
  return median(times)
end

--- Seconds that an evaluation of a data set takes, from a small batch of it.
function m.evaluation_seconds(run, d)
  local batch = math.min(#d, run.experiment.eval_batch, 256)
  local some, before = d:subset(1, batch), core.clock()
  measure.evaluate(run.model, run.loss, some, d:sample_shape(), batch)
  run.model:train()
  return (core.clock() - before) * #d / batch
end

return m
