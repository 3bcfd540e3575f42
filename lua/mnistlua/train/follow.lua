-- What changes from step to step of a run by a schedule: the learning rate, the momentum, how strongly pictures are
-- varied. Called by run.lua when a step begins.
local sched = require "mnistlua.sched"

local m = {}

--- Sets how strongly the batch of this step (0 is the first) is augmented, which the loader begins one step ahead.
function m.strength(run, step)
  local augment = run.experiment.augment
  if not augment or type(augment.strength) ~= "function" or step >= run.total_steps then return end
  local per_epoch = run.steps_per_epoch
  run.loader:strength(augment:strength_at(step, step / run.total_steps, {
    epoch = step // per_epoch, epoch_progress = step % per_epoch / per_epoch, steps_per_epoch = per_epoch,
    total_steps = run.total_steps,
  }))
end

--- Sets the learning rate and the momentum of the step that begins; a rate that is held (pause.lua) is left alone. The
--- table that schedules are given is the same in every step.
function m.schedules(run)
  local schedule, momentum = run.experiment.schedule, run.experiment.momentum
  if not (schedule or momentum) then return end
  local info = run.schedule_info
  info.epoch, info.epoch_progress = run.epoch - 1, run.step_in_epoch / run.steps_per_epoch
  info.steps_per_epoch, info.total_steps = run.steps_per_epoch, run.total_steps
  if run.held_lr then
    run.optimizer.lr = run.held_lr
  elseif schedule then
    run.optimizer.lr = sched.value(schedule, run.step, run.progress, info)
  end
  if momentum then run.optimizer:set_momentum(sched.momentum_value(momentum, run.step, run.progress, info)) end
end

return m
