-- What an experiment says about its steps besides model, loss and optimizer: clipping, accumulation, averages of the
-- weights, a schedule for the momentum. Called by ml.experiment; what they do is in update.lua and averaging.lua.
local average = require "mnistlua.optim.average"
local checkpoint = require "mnistlua.train.checkpoint"
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"
local sched = require "mnistlua.sched"

local m = {}

local function fail(fmt, ...) options.fail("ml.experiment: " .. fmt:format(...)) end

-- Gradient clipping is the optimizer's; `clip` sets it there.
local function check_clip(o)
  local given = type(o.clip) == "table" and o.clip or { norm = o.clip }
  local clip = options.read("ml.experiment: clip", given, {
    norm = { type = "number", above = 0 }, value = { type = "number", above = 0 },
  })
  if not o.optimizer or not o.optimizer.clips then
    fail("clip: %s", o.optimizer and tostring(o.optimizer) .. " cannot clip gradients" or "there is no optimizer")
  end
  for name, limit in pairs(clip) do
    local setting = "clip_" .. name
    if o.optimizer[setting] and o.optimizer[setting] ~= limit then
      fail("clip: the optimizer has %s = %g already", setting, o.optimizer[setting])
    end
    o.optimizer[setting] = limit
  end
end

-- What follows a metric (a schedule, the best checkpoint) needs one that is measured after epochs.
local function check_followed(o, what, name)
  metrics.check_name("ml.experiment: " .. what, name, o.metrics)
  local part = name:match "^(%a+)%."
  if (part == "val" or part == "test") and not rawget(o.data, part) then
    fail("%s: it follows %s, but the data has no %s part", what, name, part)
  elseif part == "test" and rawget(o.data, "val") then
    fail("%s: it follows %s, which is measured at the end only; follow val%s", what, name, name:match "%..*")
  end
end

--- Checks them.
function m.check(o)
  for _, name in ipairs(sched.followed(o.schedule)) do check_followed(o, "schedule", name) end
  o.checkpoint = checkpoint.check(o.checkpoint)
  if o.checkpoint.best then check_followed(o, "checkpoint: best", o.checkpoint.best) end
  local closure = o.optimizer and o.optimizer.needs_closure
  if o.clip ~= nil then check_clip(o) end
  if o.accumulate > 1 and o.loop then fail "accumulate: a loop of one's own adds gradients up itself" end
  if o.accumulate > 1 and closure then fail("accumulate: %s evaluates one batch at a time", tostring(o.optimizer)) end
  if o.average and not average.is(o.average) then
    fail("average: expected optim.EMA { ... } or optim.SWA { ... }, got %s", options.show(o.average))
  end
  if o.average and o.optimizer and o.optimizer.averages then
    fail("average: %s keeps an average of the weights itself", tostring(o.optimizer))
  end
  if o.momentum ~= nil then
    if not o.optimizer or not o.optimizer.set_momentum then
      fail "momentum: there is no optimizer whose momentum it could set"
    end
    sched.check(o.momentum)
    o.optimizer:set_momentum(sched.momentum_value(o.momentum, 0, 0, {
      epoch = 0, epoch_progress = 0, steps_per_epoch = 100, total_steps = 1000,
    }))
  end
end

return m
