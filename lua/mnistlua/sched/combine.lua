-- Schedules made from schedules: a warm-up, one after the other, products.
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local stateful = require "mnistlua.sched.stateful"
local time = require "mnistlua.sched.time"

local m = {}

-- ---- warm-up ----

-- How many steps a warm-up takes in this run.
local function warmup_steps(o, step, progress, info)
  if o.steps then return o.steps end
  if o.fraction then return o.fraction * time.total_steps(step, progress, info) end
  return o.epochs * time.steps_per_epoch("sched.LinearWarmup", info)
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
  return stateful.combine(function(step, progress, info)
    local factor = math.min((step + 1) / warmup_steps(o, step, progress, info), 1)
    local value = o.schedule(step, progress, info)
    return type(value) == "number" and factor * value or value     -- what is no number is told by who asked
  end, { o.schedule }, core.where())
end

-- ---- what the others share ----

-- The list part of an option table, schedules all, and the rest of it.
local function split(what, given)
  local list, rest = {}, {}
  if type(given) ~= "table" or stateful.is(given) then given = { given } end
  for key, value in pairs(given) do
    if math.type(key) ~= "integer" then rest[key] = value end
  end
  for i, schedule in ipairs(given) do
    list[i] = options.check(what, ("schedule %d"):format(i), schedule, { type = "function" })
  end
  if #list < 2 then options.fail(("%s: needs at least two schedules, got %d"):format(what, #list)) end
  return list, rest
end

-- ---- one after the other ----

-- Where the parts end, ascending; checked.
local function check_ends(what, name, ends, count, rule)
  if #ends ~= count - 1 then
    options.fail(("%s: %d schedules need %d %s, got %d"):format(what, count, count - 1, name, #ends))
  end
  local before = 0
  for i, at in ipairs(ends) do
    rule.above = before
    before = options.check(what, ("%s[%d]"):format(name, i), at, rule)
  end
  return table.move(ends, 1, #ends, 1, {})
end

-- The first step of part i (from 1) in this run.
local function first_step(o, i, step, progress, info)
  if i == 1 then return 0 end
  if o.fractions then return math.ceil(o.fractions[i - 1] * time.total_steps(step, progress, info)) end
  return math.ceil(o.milestones[i - 1] * time.steps_per_epoch("sched.SequentialLR", info))
end

-- What the run looks like to a part that has it from `first` to `last` (not its own).
local function seen_by_part(seen, step, first, last, info)
  seen.total_steps, seen.steps_per_epoch = last - first, info and info.steps_per_epoch
  if seen.steps_per_epoch then
    seen.epoch = (step - first) // seen.steps_per_epoch
    seen.epoch_progress = (step - first) % seen.steps_per_epoch / seen.steps_per_epoch
  end
  return seen
end

--- One schedule after the other: sched.SequentialLR { a, b, c, milestones = { 5, 20 } } changes after 5 and after 20
--- epochs, with fractions = { 0.1, 0.8 } after these shares of the run. To each, its part is a run of its own: steps,
--- epochs and progress begin at 0, and progress ends at 1.
function m.SequentialLR(given)
  local what = "sched.SequentialLR"
  local list, rest = split(what, given)
  local o = options.read(what, rest, { milestones = { type = "table" }, fractions = { type = "table" } })
  if (o.milestones == nil) == (o.fractions == nil) then
    options.fail(what .. ": needs milestones or fractions, one of them")
  end
  if o.milestones then
    o.milestones = check_ends(what, "milestones", o.milestones, #list, { type = "number" })
  else
    o.fractions = check_ends(what, "fractions", o.fractions, #list, { type = "number", below = 1 })
  end
  local seen = {}
  return stateful.combine(function(step, progress, info)
    local i, total = 1, time.total_steps(step, progress, info)
    while i < #list and step >= first_step(o, i + 1, step, progress, info) do i = i + 1 end
    local first = first_step(o, i, step, progress, info)
    local last = i < #list and math.min(first_step(o, i + 1, step, progress, info), total) or total
    local part = last > first and last < math.huge and (step - first) / (last - first) or 0
    return list[i](step - first, part, seen_by_part(seen, step, first, last, info))
  end, list, core.where())
end

-- ---- products ----

--- The product of schedules: sched.ChainedScheduler { sched.cosine { lr = 0.1 }, sched.StepLR { lr = 1, step_size = 30
--- } }. The first gives the rate, the others, made with lr = 1, factors.
function m.ChainedScheduler(given)
  local what = "sched.ChainedScheduler"
  local list, rest = split(what, given)
  options.read(what, rest, {})
  return stateful.combine(function(step, progress, info)
    local product = 1
    for _, schedule in ipairs(list) do
      local value = schedule(step, progress, info)
      if type(value) ~= "number" then return value end
      product = product * value
    end
    return product
  end, list, core.where())
end

return m
