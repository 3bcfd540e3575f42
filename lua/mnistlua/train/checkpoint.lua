-- When a run's state is saved, and which checkpoints are kept. The trainer attaches one of these to a run, which
-- calls it after every step and epoch. Saving happens in the background; the trainer waits for it only when it has
-- to, at the end and before the next one.
--
-- Kept are the last `keep`, the best, and the one that the run was resumed from; older ones go once a newer one is
-- safe on the disk. So there are always two that can be read, once there were two.
local core = require "mnistlua.core"
local diagnose = require "mnistlua.train.diagnose"
local file = require "mnistlua.train.checkpoint_file"
local options = require "mnistlua.options"
local state = require "mnistlua.train.state"

local m = {}

-- Seconds between checkpoints where nothing is said: at the end of an epoch, and in the middle of a long one.
local epoch_seconds, step_seconds = 30, 120

-- ---- settings ----

local units = { s = 1, m = 60, h = 3600 }

--- Reads when: a number of steps, a time such as "10m", "epoch", or "never". Returns { steps = } or { seconds = } or
--- { epochs = true } or { never = true }; nil if it is none of these.
function m.read_every(value)
  if value == "epoch" then return { epochs = true } end
  if value == "never" then return { never = true } end
  local steps = math.tointeger(tonumber(value))
  if steps then return steps >= 1 and { steps = steps } or nil end
  local amount, unit = tostring(value):match "^(%d+%.?%d*)([smh])$"
  return amount and tonumber(amount) > 0 and { seconds = tonumber(amount) * units[unit] } or nil
end

local what = "ml.experiment: checkpoint"
local spec = {
  "every", every = { type = "integer|string" }, keep = { type = "integer", default = 3, min = 2 },
  best = { type = "string" }, mode = { choices = { "min", "max" } },
}

--- Checks an experiment's `checkpoint`: a table of options, or just `every`; false for none. Returns the options.
function m.check(given)
  if given == false then given = { every = "never" } end
  local o = options.read(what, given, spec)
  if o.every ~= nil then
    local every = m.read_every(o.every)
    if not every then
      options.fail(("%s: every is %s; expected a number of steps, a time as '10m', 'epoch' or 'never'"):format(what,
        options.show(o.every)))
    end
    o.every = every
  end
  if o.mode and not o.best then options.fail(what .. ": mode: there is no best = \"metric\" that it could be of") end
  if o.best then o.mode = o.mode or o.best:find "acc$" and "max" or "min" end
  return o
end

-- ---- one for a run ----

local Checkpoints = {}
Checkpoints.__index = Checkpoints

--- One for a run. given: dir (of the checkpoints), facts (a text), every (overrules the experiment's), say(message),
--- resumed (the step of the checkpoint that the run goes on from, or nil).
function m.new(run, given)
  local o = run.experiment.checkpoint
  if run.optimizer and not run.optimizer.state_dict and not (given.every or o.every or {}).never then
    given.say "mnistlua: warning: the optimizer has no state_dict(): checkpoints do not hold what it remembers"
  end
  return setmetatable({
    dir = given.dir, facts = given.facts, every = given.every or o.every or {}, keep = o.keep, best = o.best or false,
    mode = o.mode, say = given.say, resumed = given.resumed or false, good = { [given.resumed or -1] = true },
    saving = false, asked = false, last = core.clock(), newest = given.resumed or false, problem = false,
    warned = false,
  }, Checkpoints)
end

-- ---- saving ----

-- Deals with a file that is done, or with why it is not.
local function settle(self)
  local saving = self.saving
  self.saving = false
  local ok, problem = saving.save:wait()
  if not ok then return nil, problem end
  self.good[saving.step], self.newest = true, saving.step
  self:prune(saving.step, saving.best)
  return true
end

local function note(self, problem)
  self.problem = problem or false
  if not problem then
    self.warned = false
  elseif not self.warned then
    self.warned = true
    self.say("mnistlua: warning: no checkpoint was saved: " .. core.escape(problem))
  end
end

--- Waits for what is being saved. Returns true, or nil and why the last checkpoint could not be saved.
function Checkpoints:wait()
  if self.saving then
    local _, problem = settle(self)
    note(self, problem)
  end
  if self.problem then return nil, self.problem end
  return true
end

-- Weights that hold NaN never take the place of good ones; the run tells of them.
local function save(self, run, at)
  self:wait()
  self.last, self.asked = core.clock(), false
  if diagnose.bad_parameter(run.model) then return end
  local path = self.dir .. "/" .. file.name(run.step)
  local recorder = rawget(run, "recorder")
  if recorder then recorder:flush() end             -- no step of it may lack its metrics
  local began, problem = state.take(run, at, function(tensors, text)
    return file.begin(path, tensors, text, self.facts)
  end)
  if not began then return note(self, problem) end
  self.saving = { save = began, step = run.step, best = run.best and run.best.step }
  return path
end

-- Who listens may remember that there was a checkpoint, and where the run goes on from it, there was.
local function save_and_tell(self, run, at)
  run:emit("checkpoint", self.dir .. "/" .. file.name(run.step))
  save(self, run, at)
end

-- A stop leaves no trace in the state: who listens hears of it afterwards.
local function save_at_stop(self, run)
  if self.every.never then return end
  if save(self, run, "step") and self:wait() then run:emit("checkpoint", self.dir .. "/" .. file.name(run.step)) end
end

-- ---- when ----

--- Asks for one at the end of the step.
function Checkpoints:request() self.asked = true end

local function waited(self, seconds) return core.clock() - self.last >= seconds end

local function due_in_epoch(self, run)
  local every = self.every
  if self.asked then return true end
  if every.steps then return run.step % every.steps == 0 end
  if every.epochs or every.never then return false end
  return waited(self, every.seconds or step_seconds)
end

--- After every step; `stopping`: whether the run is about to be cut short here.
function Checkpoints:after_step(run, stopping)
  if self.saving and self.saving.save:done() then self:wait() end
  if not run.stopping and run.step_in_epoch < run.steps_per_epoch and due_in_epoch(self, run) then
    save_and_tell(self, run, "step")
    if stopping then self:wait() end
  elseif stopping then
    save_at_stop(self, run)
  end
end

-- Whether this epoch's value of the metric is the best so far.
local function improved(self, run)
  local value, best = self.best and run.metrics[self.best], run.best
  if type(value) ~= "number" or value ~= value then return false end
  if best and (self.mode == "max" and value <= best.value or self.mode == "min" and value >= best.value) then
    return false
  end
  run.best = { metric = self.best, value = value, step = run.step }
  return true
end

local function due_after_epoch(self, run)
  local every = self.every
  if every.never then return false end
  if run.stopping or self.asked or every.epochs then return true end
  if every.steps then return run.step % every.steps == 0 end
  return waited(self, every.seconds or epoch_seconds)
end

--- After every epoch, evaluated or not.
function Checkpoints:after_epoch(run)
  local better = improved(self, run)
  if due_after_epoch(self, run) or better and not self.every.never then save_and_tell(self, run, "epoch") end
end

-- ---- keeping ----

local function is_good(self, step)
  if self.good[step] == nil then self.good[step] = file.is_whole(self.dir .. "/" .. file.name(step)) end
  return self.good[step]
end

--- Removes what is no longer needed. Those of later steps, from before the run was resumed, are left alone.
function Checkpoints:prune(newest, best)
  local steps, kept = file.steps(self.dir), 0
  for i = #steps, 1, -1 do
    local step = steps[i]
    if step <= newest then
      local wanted = kept < self.keep and is_good(self, step)
      if wanted then kept = kept + 1 end
      if not wanted and kept >= 2 and step ~= best and step ~= self.resumed then
        os.remove(self.dir .. "/" .. file.name(step))
      end
    end
  end
end

return m
