-- The state of a run between two steps: everything that going on to the same bits takes, as tensors and as text. It
-- holds no time, no path and nothing of the machine, so the same state is the same bytes. restore.lua brings a
-- prepared run to it; files are checkpoint_file.lua's.
local callback_state = require "mnistlua.train.callback_state"
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local pack = require "mnistlua.train.pack"
local precision = require "mnistlua.precision"
local stateful = require "mnistlua.sched.stateful"
local update = require "mnistlua.train.update"

local m = {}

-- Metrics that are measured times.
local timed = { images_per_s = true }

local function without_times(t)
  local kept = {}
  for name, value in pairs(t) do
    if not timed[name] then kept[name] = value end
  end
  return kept
end

local function add_all(tensors, prefix, list)
  for _, entry in ipairs(list) do tensors[#tensors + 1] = { prefix .. entry[1], entry[2] } end
end

-- ---- parts of a run ----

-- Whether gradients are carried over to the next step: in the middle of an accumulation, or who knows in a loop of
-- one's own.
local function carries_gradients(run)
  return run.experiment.loop ~= nil or run.experiment.accumulate > 1 and run.step > 0 and not update.due(run)
end

local function gradients(run)
  local list = {}
  for name, p in run.model:named_parameters() do
    if carries_gradients(run) and p.grad then list[#list + 1] = { name, p.grad } end
  end
  return list
end

--- The run's loss if it is a module, which may have tensors; or nil.
function m.loss_of(run) return options.kind(run.loss) == "module" and run.loss or nil end

--- Parameters that the optimizer moves and neither the model nor the loss has, as { number, tensor }.
function m.others(run)
  local list, known, optimizer = {}, {}, run.optimizer
  if not optimizer or not optimizer.parameters then return list end
  for _, owner in ipairs { run.model, m.loss_of(run) } do
    for _, entry in ipairs(owner:state_dict()) do known[entry[2]] = true end
  end
  for _, p in ipairs(optimizer:parameters()) do
    if not known[p] then list[#list + 1] = { tostring(#list), p } end
  end
  return list
end

-- Which modules are in evaluation and which parameters are frozen, by number: scripts may change both on the way.
local function modes(run)
  local evaluating, frozen = {}, {}
  for i, module in ipairs(run.model:modules()) do
    if not module.training then evaluating[#evaluating + 1] = i end
  end
  for i, p in ipairs(run.model:parameters()) do
    if not p.requires_grad then frozen[#frozen + 1] = i end
  end
  return { evaluating = evaluating, frozen = frozen }
end

-- A state dict { ..., tensors = list } without its tensors, which are added under the prefix.
local function split(dict, prefix, tensors)
  local rest = {}
  for key, value in pairs(dict) do rest[key] = value end
  if rest.tensors then
    add_all(tensors, prefix, rest.tensors)
    rest.tensors = true
  end
  return rest
end

local function optimizer_state(run, tensors)
  local optimizer = run.optimizer
  if not optimizer or not optimizer.state_dict then return nil end
  return split(optimizer:state_dict(), "optimizer.", tensors)
end

-- ---- taking ----

-- Calls f(away) while the optimizer's training weights are in place: a loop of one's own may have put others there.
local function with_training_weights(run, f)
  local optimizer = run.optimizer
  local away = optimizer and rawget(optimizer, "_away") and true or nil
  if away then optimizer:train() end
  local result, problem = f(away)
  if away then optimizer:eval() end
  return result, problem
end

local function counters(run, at)
  return {
    at = at, step = run.step, epoch = run.epoch, step_in_epoch = run.step_in_epoch,
    steps_per_epoch = run.steps_per_epoch, stopping = run.stopping or nil, window = run.window or nil,
    best = run.best or nil, forced = run.forced or nil, tested = run.tested or nil,
    changes = run.changes or nil, held_lr = run.held_lr or nil,
    values = without_times(run.board.values), sum = without_times(run.board.means.sum),
    weight = without_times(run.board.means.weight),
  }
end

local function gather(run, at, away)
  local tensors, s = {}, counters(run, at)
  add_all(tensors, "model.", run.model:state_dict())
  if m.loss_of(run) then add_all(tensors, "loss.", m.loss_of(run):state_dict()) end
  add_all(tensors, "parameter.", m.others(run))
  add_all(tensors, "gradient.", gradients(run))
  s.optimizer, s.away = optimizer_state(run, tensors), away
  s.average = run.average and split(run.average:state_dict(), "average.", tensors) or nil
  local schedule = run.experiment.schedule
  s.schedule = stateful.is(schedule) and schedule:state_dict() or nil
  s.random, s.modes, s.precision = core.random_state(), modes(run), precision.state()
  s.callbacks, s.script = callback_state.take(run.experiment.callbacks), run.state
  local text, problem = pack.text(s, "state", tensors)
  if not text then return nil, problem end
  return tensors, text
end

--- Takes the state of a run: calls use(tensors, text) with a list of { name, tensor }, not copies, and a text, and
--- returns what that returns. `at` is "step" where the epoch goes on or is to be evaluated, "epoch" after that. nil
--- and a message if the script keeps what cannot be saved.
function m.take(run, at, use)
  return with_training_weights(run, function(away)
    local tensors, text = gather(run, at, away)
    if not tensors then return nil, text end
    return use(tensors, text)
  end)
end

return m
