-- Schedules that go one way: constant, by steps, exponential, along a line, a power or a half cosine.
local options = require "mnistlua.options"
local time = require "mnistlua.sched.time"

local m = {}

local rate = { type = "number", min = 0, required = true }
local decay = { type = "number", default = 0.1, min = 0 }
local final = { type = "number", default = 0, min = 0 }

--- The same value at every step: sched.constant(0.1) or sched.constant { lr = 0.1 }.
function m.constant(given)
  local o = options.read("sched.constant", given, { "lr", lr = rate })
  return function() return o.lr end
end

--- lr times factor (1/3) for total_iters (5) epochs, then lr.
function m.ConstantLR(given)
  local o = options.read("sched.ConstantLR", given, {
    lr = rate, factor = { type = "number", default = 1 / 3, min = 0, max = 1 },
    total_iters = { type = "integer", default = 5, min = 1 },
  })
  return function(_, _, info)
    return time.epoch("sched.ConstantLR", info) < o.total_iters and o.lr * o.factor or o.lr
  end
end

--- lr times gamma (0.1) every step_size epochs: sched.StepLR { lr = 0.1, step_size = 5, gamma = 0.5 }.
function m.StepLR(given)
  local o = options.read("sched.StepLR", given, {
    lr = rate, step_size = { type = "integer", min = 1, required = true }, gamma = decay,
  })
  return function(_, _, info) return o.lr * o.gamma ^ (time.epoch("sched.StepLR", info) // o.step_size) end
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
    local epoch, passed = time.epoch("sched.MultiStepLR", info), 0
    for _, at in ipairs(milestones) do passed = passed + (epoch >= at and 1 or 0) end
    return o.lr * o.gamma ^ passed
  end
end

--- lr times gamma for each epoch done: sched.ExponentialLR { lr = 0.1, gamma = 0.95 }.
function m.ExponentialLR(given)
  local o = options.read("sched.ExponentialLR", given, {
    lr = rate, gamma = { type = "number", min = 0, required = true },
  })
  return function(_, _, info) return o.lr * o.gamma ^ time.epoch("sched.ExponentialLR", info) end
end

--- From lr (or max_lr) to min_lr (0) over the run by a half cosine; Loshchilov and Hutter 2017, without restarts.
function m.CosineAnnealingLR(given)
  local o = options.read("sched.CosineAnnealingLR", given, {
    "lr", lr = { type = "number", min = 0 }, max_lr = { type = "number", min = 0 }, min_lr = final,
  })
  if (o.lr == nil) == (o.max_lr == nil) then
    options.fail "sched.CosineAnnealingLR: needs lr or max_lr, one of them"
  end
  local from = o.lr or o.max_lr
  return function(_, progress) return time.half_cosine(from, o.min_lr, progress) end
end

--- From lr * start_factor (1/3) to lr * end_factor (1) along a line of total_iters (5) epochs, and constant after it.
function m.LinearLR(given)
  local o = options.read("sched.LinearLR", given, {
    lr = rate, start_factor = { type = "number", default = 1 / 3, above = 0, max = 1 },
    end_factor = { type = "number", default = 1, min = 0, max = 1 },
    total_iters = { type = "integer", default = 5, min = 1 },
  })
  return function(_, _, info)
    local t = math.min(time.epoch("sched.LinearLR", info) / o.total_iters, 1)
    return o.lr * time.straight(o.start_factor, o.end_factor, t)
  end
end

--- From lr to final_lr (0) over the run along a line: sched.linear { lr = 0.1 }.
function m.linear(given)
  local o = options.read("sched.linear", given, { "lr", lr = rate, final_lr = final })
  return function(_, progress) return time.straight(o.lr, o.final_lr, progress) end
end

local power = { type = "number", default = 1, above = 0 }

--- lr (1 - epochs done / total_iters (5)) ^ power (1), then 0.
function m.PolynomialLR(given)
  local o = options.read("sched.PolynomialLR", given, {
    lr = rate, power = power, total_iters = { type = "integer", default = 5, min = 1 },
  })
  return function(_, _, info)
    return o.lr * (1 - math.min(time.epoch("sched.PolynomialLR", info) / o.total_iters, 1)) ^ o.power
  end
end

--- From lr to final_lr (0) over the run, in step with (1 - progress) ^ power: sched.polynomial { lr = 0.1, power = 2 }.
function m.polynomial(given)
  local o = options.read("sched.polynomial", given, { "lr", lr = rate, power = power, final_lr = final })
  return function(_, progress) return time.straight(o.final_lr, o.lr, (1 - progress) ^ o.power) end
end

return m
