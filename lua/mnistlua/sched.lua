-- ml.sched: schedules, for the learning rate or anything else. A schedule is a pure function
--
--   schedule(step, progress, info) -> number
--
-- of the step (0 is the first), of progress = step / total steps (0 to 1), and of info = { epoch (0 is the first),
-- epoch_progress (0 to 1 within it), steps_per_epoch, total_steps }. A plain Lua function is as good as those made
-- here: schedule = function(step, progress) return 0.1 * (1 - progress) end. Nothing here keeps state, so a resumed run
-- goes on with the same values.
--
-- Names and formulas are PyTorch's; what counts epochs there (step_size, milestones, gamma, total_iters) counts epochs
-- here, while what spans the run (OneCycleLR, CosineAnnealingLR, linear, warmup) changes at every step.
local options = require "mnistlua.options"

local m = {}

local rate = { type = "number", min = 0, required = true }
local decay = { type = "number", default = 0.1, min = 0 }

-- The run's total number of steps; without info, what step and progress say. At step 0 they say nothing, and no
-- schedule depends on it there.
local function total_steps(step, progress, info)
  if info and info.total_steps then return info.total_steps end
  return progress > 0 and math.floor(step / progress + 0.5) or math.huge
end

local function epoch_of(what, info)
  if not (info and info.epoch) then options.fail(what .. ": counts epochs; its third argument needs an epoch") end
  return info.epoch
end

-- From a to b by a half cosine, as t goes from 0 to 1.
local function half_cosine(a, b, t) return b + (a - b) / 2 * (1 + math.cos(math.pi * t)) end

local function straight(a, b, t) return a + (b - a) * t end

--- The same value at every step: sched.constant(0.1) or sched.constant { lr = 0.1 }.
function m.constant(given)
  local o = options.read("sched.constant", given, { "lr", lr = rate })
  return function() return o.lr end
end

--- lr times gamma (0.1) every step_size epochs: sched.StepLR { lr = 0.1, step_size = 5, gamma = 0.5 }.
function m.StepLR(given)
  local o = options.read("sched.StepLR", given, {
    lr = rate, step_size = { type = "integer", min = 1, required = true }, gamma = decay,
  })
  return function(_, _, info) return o.lr * o.gamma ^ (epoch_of("sched.StepLR", info) // o.step_size) end
end

local function check_milestones(list)
  local before = 0
  for i, epoch in ipairs(list) do
    local rule = { type = "integer", above = before }
    before = options.check("sched.MultiStepLR", ("milestones[%d]"):format(i), epoch, rule)
  end
  return list
end

--- lr times gamma (0.1) at each of the milestones, which are numbers of epochs done, ascending:
--- sched.MultiStepLR { lr = 0.1, milestones = { 30, 80 } }.
function m.MultiStepLR(given)
  local o = options.read("sched.MultiStepLR", given, {
    lr = rate, milestones = { type = "table", required = true }, gamma = decay,
  })
  local milestones = table.move(check_milestones(o.milestones), 1, #o.milestones, 1, {})
  return function(_, _, info)
    local epoch, passed = epoch_of("sched.MultiStepLR", info), 0
    for _, at in ipairs(milestones) do passed = passed + (epoch >= at and 1 or 0) end
    return o.lr * o.gamma ^ passed
  end
end

--- lr times gamma for each epoch done: sched.ExponentialLR { lr = 0.1, gamma = 0.95 }.
function m.ExponentialLR(given)
  local o = options.read("sched.ExponentialLR", given, {
    lr = rate, gamma = { type = "number", min = 0, required = true },
  })
  return function(_, _, info) return o.lr * o.gamma ^ epoch_of("sched.ExponentialLR", info) end
end

--- From lr (or max_lr) to min_lr (0) over the run by a half cosine; Loshchilov and Hutter 2017, without restarts.
function m.CosineAnnealingLR(given)
  local o = options.read("sched.CosineAnnealingLR", given, {
    "lr", lr = { type = "number", min = 0 }, max_lr = { type = "number", min = 0 },
    min_lr = { type = "number", default = 0, min = 0 },
  })
  if (o.lr == nil) == (o.max_lr == nil) then
    options.fail "sched.CosineAnnealingLR: needs lr or max_lr, one of them"
  end
  local from = o.lr or o.max_lr
  return function(_, progress) return half_cosine(from, o.min_lr, progress) end
end

--- From lr * start_factor (1/3) to lr * end_factor (1) along a line of total_iters (5) epochs, and constant after it.
function m.LinearLR(given)
  local o = options.read("sched.LinearLR", given, {
    lr = rate, start_factor = { type = "number", default = 1 / 3, above = 0, max = 1 },
    end_factor = { type = "number", default = 1, min = 0, max = 1 },
    total_iters = { type = "integer", default = 5, min = 1 },
  })
  return function(_, _, info)
    local t = math.min(epoch_of("sched.LinearLR", info) / o.total_iters, 1)
    return o.lr * straight(o.start_factor, o.end_factor, t)
  end
end

--- From lr to final_lr (0) over the run along a line: sched.linear { lr = 0.1 }.
function m.linear(given)
  local o = options.read("sched.linear", given, {
    "lr", lr = rate, final_lr = { type = "number", default = 0, min = 0 },
  })
  return function(_, progress) return straight(o.lr, o.final_lr, progress) end
end

local curves = { cos = half_cosine, linear = straight }

--- One cycle (Smith and Topin 2018), PyTorch's values: from max_lr / div_factor (25) up to max_lr in the first
--- pct_start (0.3) of the steps, then down to max_lr / div_factor / final_div_factor (1e4) at the last; by half
--- cosines, or by lines with anneal_strategy = "linear".
function m.OneCycleLR(given)
  local o = options.read("sched.OneCycleLR", given, {
    "max_lr", max_lr = rate, pct_start = { type = "number", default = 0.3, min = 0, max = 1 },
    div_factor = { type = "number", default = 25, above = 0 },
    final_div_factor = { type = "number", default = 1e4, above = 0 },
    anneal_strategy = { default = "cos", choices = { "cos", "linear" } },
  })
  local curve = curves[o.anneal_strategy]
  local first = o.max_lr / o.div_factor
  local final = first / o.final_div_factor
  return function(step, progress, info)
    local last = total_steps(step, progress, info) - 1
    local top = o.pct_start * (last + 1) - 1           -- the step of the peak, not whole as a rule
    if step <= top and top > 0 then return curve(first, o.max_lr, step / top) end
    return curve(o.max_lr, final, last > top and math.min((step - top) / (last - top), 1) or 0)
  end
end

-- How many steps a warm-up takes in this run.
local function warmup_steps(o, step, progress, info)
  if o.steps then return o.steps end
  if o.fraction then return o.fraction * total_steps(step, progress, info) end
  if not (info and info.steps_per_epoch) then
    options.fail "sched.LinearWarmup: epochs = needs info.steps_per_epoch as part of the third argument"
  end
  return o.epochs * info.steps_per_epoch
end

--- Another schedule, multiplied by a factor that grows along a line to 1 in the first `steps` steps (or `fraction` of
--- the run, or `epochs`): sched.LinearWarmup { steps = 200, sched.cosine { lr = 0.1 } }.
function m.LinearWarmup(given)
  local o = options.read("sched.LinearWarmup", given, {
    "schedule", schedule = { type = "function", required = true }, steps = { type = "integer", min = 1 },
    fraction = { type = "number", above = 0, max = 1 }, epochs = { type = "number", above = 0 },
  })
  local ways = (o.steps and 1 or 0) + (o.fraction and 1 or 0) + (o.epochs and 1 or 0)
  if ways ~= 1 then options.fail("sched.LinearWarmup: needs steps, fraction or epochs, one of them") end
  return function(step, progress, info)
    local factor = math.min((step + 1) / warmup_steps(o, step, progress, info), 1)
    local value = o.schedule(step, progress, info)
    return type(value) == "number" and factor * value or value     -- what is no number is told by who asked
  end
end

--- Short names.
m.step, m.multi_step, m.exponential, m.cosine = m.StepLR, m.MultiStepLR, m.ExponentialLR, m.CosineAnnealingLR
m.warmup, m.one_cycle = m.LinearWarmup, m.OneCycleLR

local function check_function(schedule)
  if type(schedule) ~= "function" then
    options.fail(("the schedule is %s; expected a function(step, progress) or one of sched, such as "
      .. "sched.OneCycleLR { max_lr = 0.1 }"):format(options.show(schedule)))
  end
end

-- The line where a script's schedule is written ("configs/a.lua:9: "); nil for one that is made here.
local function place_of(schedule)
  local info = debug.getinfo(schedule, "S")
  local own = debug.getinfo(1, "S").source
  if info.what ~= "Lua" or info.source == own then return nil end
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
  if type(schedule) == "table" and schedule.observe then schedule:observe(metrics) end
end

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
