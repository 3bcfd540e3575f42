-- Trains an experiment once more as a run was trained and compares the two on the way: the loss of every step that the
-- run recorded, the weights at the end, bit for bit. It ends at the first step that differs. Called by `mnistlua
-- replay`; no run folder, no checkpoints, no log files.
local compare = require "mnistlua.train.compare"
local core = require "mnistlua.core"
local events = require "mnistlua.train.events"
local trainer = require "mnistlua.trainer"

local m = {}

-- ---- what the trainer is given in place of a run's folder ----

-- Takes the recorder's place (train/recorder.lua): compares each step's loss with the recorded one.
local Comparer = {}
Comparer.__index = Comparer

function Comparer:attach(run) run.recorder = self end

function Comparer.flush() end
function Comparer.epoch() end
function Comparer.rewind() end

function Comparer:step(run)
  local last, expected = run.board.means.last, self.losses[run.step]
  local found = last["train.loss"]
  last["train.loss"] = false
  if not expected then return end
  self.compared = self.compared + 1
  if found == expected then return end
  self.difference = { step = run.step, epoch = run.epoch, expected = expected, found = found or nil }
  run:stop "it differs"
end

-- Takes the folder's place (train/store.lua): keeps the weights that would be saved.
local Keeper = {}
Keeper.__index = Keeper

function Keeper:save_weights(model)
  local list = {}
  for i, entry in ipairs(model:state_dict()) do list[i] = { entry[1], entry[2]:clone() } end
  self.tensors = list
  return true
end

-- ---- the run's end ----

-- Callbacks that only write files, and the one that goes by the clock.
local silent = {
  ["callbacks.CSVLogger"] = true, ["callbacks.TensorBoard"] = true, ["callbacks.TimeLimit"] = true,
}

local function without_silent(callbacks)
  local list = {}
  for _, callback in ipairs(callbacks or {}) do
    if type(callback) ~= "table" or not silent[callback.what] then list[#list + 1] = callback end
  end
  return list
end

-- Stops as the run stopped: after `steps` steps; how: "interrupted", "time" or nil for an epoch's ordinary end.
local function end_alike(run, steps, how)
  local asked, stop = run.asked_to_stop, run.stop_as_asked
  function run.asked_to_stop(self)
    return asked(self) or steps and self.step >= steps and not self.stopping and not self.interrupted
  end
  function run.stop_as_asked(self)
    if core.interrupts() > 0 then return stop(self) end
    self.stopping, self.cut_short = "as the run did", how ~= nil
    if how == "interrupted" then
      self.interrupted = 2
      self:emit "interrupt"
    end
  end
end

-- ---- the whole ----

--- The experiment's run, made ready.
function m.prepare(experiment, seed)
  experiment.listeners = events.listeners(experiment.on, without_silent(experiment.callbacks))
  return trainer.prepare(experiment, { seed = seed })
end

--- Trains it. given: tensors (the weights to compare with), losses (by step), steps and how (of the run's end, or nil),
--- progress (a display), resume (where it began, or nil). Returns { steps, compared, difference (of a step), weights (a
--- difference of weights), interrupted }; without any difference the run is the same.
function m.run(run, given)
  local comparer = setmetatable({ losses = given.losses, compared = 0, difference = false }, Comparer)
  local keeper = setmetatable({ dir = false, recorder = comparer, saved = false, tensors = false }, Keeper)
  end_alike(run, given.steps, given.how)
  trainer.train(run, { progress = given.progress, store = keeper, resume = given.resume })
  local count = core.interrupts()
  local r = { steps = run.step, compared = comparer.compared, difference = comparer.difference or nil }
  if r.difference then return r end
  if count > 0 then
    r.interrupted = run.interrupted
  elseif not keeper.tensors then
    r.weights = { tensor = "all", why = "they hold NaN or infinity now" }
  else
    r.weights = compare.first_difference(given.tensors, keeper.tensors)
  end
  return r
end

return m
