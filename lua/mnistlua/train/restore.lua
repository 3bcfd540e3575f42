-- Brings a prepared run to a state that state.lua has taken: checked as a whole first, since it may come from a file
-- and the experiment may have changed. Called by the trainer before the first step.
local adapt_optimizer = require("mnistlua.optim.state").adapt
local callback_state = require "mnistlua.train.callback_state"
local core = require "mnistlua.core"
local pack = require "mnistlua.train.pack"
local precision = require "mnistlua.precision"
local state = require "mnistlua.train.state"
local stateful = require "mnistlua.sched.stateful"

local m = {}

-- ---- what must fit ----

-- The tensors whose names begin with a prefix, without it: a list in the order of the file.
local function part(tensors, prefix)
  local list = {}
  for _, entry in ipairs(tensors) do
    if entry[1]:sub(1, #prefix) == prefix then list[#list + 1] = { entry[1]:sub(#prefix + 1), entry[2] } end
  end
  return list
end

local function by_name(list)
  local map = {}
  for _, entry in ipairs(list) do map[entry[1]] = entry[2] end
  return map
end

-- A state dict that was split into plain data and tensors.
local function join(rest, tensors, prefix)
  if not rest then return nil end
  local dict = {}
  for key, value in pairs(rest) do dict[key] = value end
  if rest.tensors then dict.tensors = part(tensors, prefix) end
  return dict
end

-- Something with state dicts of its own: a model, an optimizer, an average. `dict` is nil where the file has none.
local function owner_part(what, owner, dict)
  return {
    what = what,
    check = function()
      if not owner then return nil, "the experiment has none" end
      if not dict then return nil, "there is none in it" end
      if owner.check_state_dict then return owner:check_state_dict(dict) end
      return true
    end,
    load = function() owner:load_state_dict(dict) end,
  }
end

local function loss_part(run, tensors)
  local loss, dict = state.loss_of(run), part(tensors, "loss.")
  local own = loss and loss:state_dict() or {}
  if #own == 0 and #dict == 0 then return nil end
  return owner_part("loss", loss, dict)
end

local function optimizer_part(run, tensors, s, adapt)
  local optimizer = run.optimizer and run.optimizer.state_dict and run.optimizer or nil
  local dict = join(s.optimizer, tensors, "optimizer.")
  if not optimizer and not dict then return nil end
  local own = adapt and optimizer and dict and optimizer:state_dict()
  if own and own.groups then dict = adapt_optimizer(own, dict) end
  return owner_part("optimizer", optimizer, dict)
end

local function average_part(run, tensors, s)
  if not run.average and not s.average then return nil end
  return owner_part("average", run.average or nil, join(s.average, tensors, "average."))
end

-- Parameters beside the model's.
local function others_part(run, tensors)
  local own, given = state.others(run), part(tensors, "parameter.")
  local map = by_name(given)
  return {
    what = "optimizer's own parameters",
    check = function()
      if #own ~= #given then return nil, ("%d where the experiment has %d"):format(#given, #own) end
      for _, entry in ipairs(own) do
        local t = map[entry[1]]
        if not t or table.concat(t.shape, "x") ~= table.concat(entry[2].shape, "x") then
          return nil, ("number %s has another shape"):format(entry[1])
        end
      end
      return true
    end,
    load = function()
      for _, entry in ipairs(own) do entry[2]:copy_(map[entry[1]]) end
    end,
  }
end

local function schedule_part(run, s)
  local schedule = run.experiment.schedule
  local remembers = stateful.is(schedule)
  if not remembers and s.schedule == nil then return nil end
  return {
    what = "schedule",
    check = function()
      if remembers == (s.schedule ~= nil) then return true end
      return nil, remembers and "there is no state in it" or "the experiment's has no state"
    end,
    load = function() schedule:load_state_dict(s.schedule) end,
  }
end

local function callbacks_part(run, s)
  local callbacks = run.experiment.callbacks
  return {
    what = "callbacks",
    check = function()
      local problem = callback_state.misfit(callbacks, s.callbacks)
      return not problem, problem
    end,
    load = function() callback_state.put(callbacks, s.callbacks) end,
  }
end

local function parts_of(run, tensors, s, adapt)
  local list = { owner_part("model", run.model, part(tensors, "model.")) }
  list[1].needed = true
  list[#list + 1] = loss_part(run, tensors)
  list[#list + 1] = others_part(run, tensors)
  list[#list + 1] = optimizer_part(run, tensors, s, adapt)
  list[#list + 1] = average_part(run, tensors, s)
  list[#list + 1] = schedule_part(run, s)
  list[#list + 1] = callbacks_part(run, s)
  return list
end

-- ---- counters ----

local function copy_into(to, from)
  for name, value in pairs(from) do to[name] = value end
end

local function put_modes(run, saved)
  local evaluating, frozen = {}, {}
  for _, i in ipairs(saved.evaluating) do evaluating[i] = true end
  for _, i in ipairs(saved.frozen) do frozen[i] = true end
  for i, module in ipairs(run.model:modules()) do rawset(module, "training", not evaluating[i]) end
  for i, p in ipairs(run.model:parameters()) do p.requires_grad = not frozen[i] end
end

local function put_gradients(run, tensors)
  local map = by_name(part(tensors, "gradient."))
  for name, p in run.model:named_parameters() do p.grad = map[name] end
end

-- Where the run goes on: step and step_in_epoch, or nil and why it cannot. Where epochs have another number of steps
-- now, an epoch that is over is one all the same.
local function position(run, s)
  if s.steps_per_epoch == run.steps_per_epoch then return s.step, s.step_in_epoch end
  if s.at == "epoch" then return s.epoch * run.steps_per_epoch, run.steps_per_epoch end
  return nil, ("it is of step %d, inside an epoch of %d steps, which has %d now; take one from the end of an epoch")
    :format(s.step, s.steps_per_epoch, run.steps_per_epoch)
end

local function put_counters(run, s)
  copy_into(run.board.values, s.values)
  copy_into(run.board.means.sum, s.sum)
  copy_into(run.board.means.weight, s.weight)
  run.window, run.best, run.tested = s.window or false, s.best or false, s.tested or false
  run.forced = run.forced or s.forced or false
  run.changes, run.held_lr = s.changes or false, s.held_lr or false
  callback_state.refill(run.state, s.script)
end

-- ---- all of it ----

local members = {
  at = "string", step = "number", epoch = "number", step_in_epoch = "number", steps_per_epoch = "number",
  values = "table", sum = "table", weight = "table", random = "table", modes = "table", precision = "table",
  callbacks = "table", script = "table",
}

local function is_state(s)
  if type(s) ~= "table" then return false end
  for name, kind in pairs(members) do
    if type(s[name]) ~= kind then return false end
  end
  return true
end

-- The parts that fit. Raises no error: nil and what does not fit, or the parts and notes on those that begin anew.
local function fitting(list, adapt)
  local fit, notes = {}, {}
  for _, each in ipairs(list) do
    local ok, problem = each.check()
    if ok then
      fit[#fit + 1] = each
    elseif each.needed or not adapt then
      return nil, each.what .. ": " .. problem
    else
      notes[#notes + 1] = ("its %s is not taken over: %s"):format(each.what, problem)
    end
  end
  return fit, notes
end

local function plan_of(run, tensors, text, adapt)
  local s, problem = pack.value(text, by_name(tensors))
  if not is_state(s) then return nil, problem or "it is not the state of a run" end
  local parts, notes = fitting(parts_of(run, tensors, s, adapt), adapt)
  if not parts then return nil, notes end
  local step, in_epoch = position(run, s)
  if not step then return nil, in_epoch end
  if adapt and step >= run.total_steps then
    return nil, ("it is of step %d, and the run is to end at step %d; give it more epochs"):format(step,
      run.total_steps)
  end
  return { s = s, parts = parts, notes = notes, step = step, step_in_epoch = in_epoch }
end

--- Whether a state fits a run, without changing anything: true, or nil and what does not. Arguments as m.put's.
function m.check(run, tensors, text, adapt)
  local plan, problem = plan_of(run, tensors, text, adapt)
  return plan and true, problem
end

--- Puts a state (tensors: a list of { name, tensor }; text) back into a run, which then goes on from there. With
--- `adapt` the experiment may have changed: its own settings hold, and what does not fit begins anew. Returns a list of
--- notes on that; or nil and a message, with nothing changed, if it does not fit.
function m.put(run, tensors, text, adapt)
  local plan, problem = plan_of(run, tensors, text, adapt)
  if not plan then return nil, problem end
  local s = plan.s
  for _, each in ipairs(plan.parts) do each.load() end
  if s.away and run.optimizer then run.optimizer:eval() end
  run.epoch, run.step, run.step_in_epoch = s.epoch, plan.step, plan.step_in_epoch
  run.stopping = not adapt and s.stopping or run.step >= run.total_steps and "done"
  put_gradients(run, tensors)
  put_counters(run, s)
  put_modes(run, s.modes)
  if adapt then s.random.seed = run.seed else precision.restore(s.precision) end
  core.random_state(s.random)
  run:go_on(s.at)
  return plan.notes
end

return m
