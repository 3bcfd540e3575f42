-- ml.sched: schedules, for the learning rate or anything else. A schedule is a pure function
--
--   schedule(step, progress, info) -> number
--
-- of the step (0 is the first), of progress = step / total steps (0 to 1), and of info = { epoch (0 is the first),
-- epoch_progress (0 to 1 within it), steps_per_epoch, total_steps }. A plain Lua function is as good as those made
-- here: schedule = function(step, progress) return 0.1 * (1 - progress) end. Only ReduceLROnPlateau, and what is made
-- from it, keeps state (stateful.lua), so a resumed run goes on with the same values.
--
-- Names and formulas are PyTorch's; what counts epochs there (step_size, milestones, gamma, total_iters) counts epochs
-- here, while what spans the run (OneCycleLR, CosineAnnealingLR, linear, polynomial, warmup) changes at every step.
local options = require "mnistlua.options"
local stateful = require "mnistlua.sched.stateful"

local m = {}

for _, file in ipairs { "curves", "cycles", "combine", "plateau" } do
  for name, make in pairs(require("mnistlua.sched." .. file)) do m[name] = make end
end

--- Short names.
m.step, m.multi_step, m.exponential, m.cosine = m.StepLR, m.MultiStepLR, m.ExponentialLR, m.CosineAnnealingLR
m.warmup, m.one_cycle, m.one_cycle_momentum = m.LinearWarmup, m.OneCycleLR, m.OneCycleMomentum
m.cyclic, m.warm_restarts, m.plateau = m.CyclicLR, m.CosineAnnealingWarmRestarts, m.ReduceLROnPlateau
m.sequential, m.chained = m.SequentialLR, m.ChainedScheduler

local function check_function(schedule)
  if type(schedule) ~= "function" and not stateful.is(schedule) then
    options.fail(("the schedule is %s; expected a function(step, progress) or one of sched, such as "
      .. "sched.OneCycleLR { max_lr = 0.1 }"):format(options.show(schedule)))
  end
end

local own_folder = debug.getinfo(1, "S").source:match "^(.*)init%.lua$"

-- The line where a script's schedule is written ("configs/a.lua:9: "); nil for one that is made here.
local function place_of(schedule)
  if stateful.is(schedule) then return schedule.where end
  local info = debug.getinfo(schedule, "S")
  if info.what ~= "Lua" or info.source:sub(1, #own_folder) == own_folder then return nil end
  return ("%s:%d: "):format(info.source:match "^[@=](.*)" or info.short_src, info.linedefined)
end

--- A schedule's learning rate for a step, as the trainer uses it; raises, where the schedule is written, if that is not
--- a finite number of at least 0.
function m.value(schedule, step, progress, info)
  local value = schedule(step, progress, info)
  if type(value) == "number" and value >= 0 and value < math.huge then return value end
  options.fail(("the schedule gave %s at step %d; expected a learning rate of at least 0"):format(options.show(value),
    step), place_of(schedule))
end

--- The same for a momentum.
function m.momentum_value(schedule, step, progress, info)
  local value = schedule(step, progress, info)
  if type(value) == "number" and value >= 0 and value < 1 then return value end
  options.fail(("the schedule gave %s at step %d; expected a momentum of at least 0 and below 1"):format(
    options.show(value), step), place_of(schedule))
end

--- Shows the metrics of an evaluated epoch to a schedule that follows one.
function m.observe(schedule, metrics)
  if stateful.is(schedule) then schedule:observe(metrics) end
end

--- The names of the metrics that a schedule follows: none for most.
function m.followed(schedule) return stateful.is(schedule) and schedule:followed() or {} end

-- Raises if a schedule's value at this step is no number.
local function check_at(f, step, epochs, per_epoch)
  local total = epochs * per_epoch
  local value = f(step, step / total, {
    epoch = step // per_epoch, epoch_progress = step % per_epoch / per_epoch, steps_per_epoch = per_epoch,
    total_steps = total,
  })
  if type(value) ~= "number" or value ~= value or value == math.huge or value == -math.huge then
    local found = options.show(value)
    options.fail(("the schedule returned %s at step %d of %d; expected a number"):format(found, step, total))
  end
end

local count_rule = { type = "integer", min = 1 }

--- Calls a schedule at a few points of a run of `epochs` (10) of `steps_per_epoch` (100) and raises if it does not
--- return finite numbers. Returns the schedule.
function m.check(schedule, epochs, steps_per_epoch)
  check_function(schedule)
  epochs = options.check("sched.check", "epochs", epochs or 10, count_rule)
  steps_per_epoch = options.check("sched.check", "steps_per_epoch", steps_per_epoch or 100, count_rule)
  local last = epochs * steps_per_epoch - 1
  for i = 0, 4 do check_at(schedule, last * i // 4, epochs, steps_per_epoch) end
  return schedule
end

return options.strict("sched", m)
