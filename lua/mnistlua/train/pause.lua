-- A run that a person stops for a moment: Ctrl-C at a terminal asks whether to go on, to save, to look around in a
-- prompt, or to quit. What is changed in the prompt is written down with the run, for it cannot be repeated from its
-- config any more. Run:end_step asks here; how questions and prompts look is given (`ask`, `prompt`).
local compare = require "mnistlua.train.compare"
local core = require "mnistlua.core"
local state = require "mnistlua.train.state"

local m = {}

local Pause = {}
Pause.__index = Pause

local SIGINT = 2

--- given: ask(run) -> "continue", "save", "prompt" or "quit"; prompt(run, variables, note) runs one and returns
--- "quit" if the run is to end; noted(changes) is told of changes, to keep them at once.
function m.new(given)
  return setmetatable({ ask = given.ask, prompt = given.prompt, noted = given.noted, at = false, quit = false }, Pause)
end

-- ---- what was changed ----

-- All that makes the run what it is, copied; nil where it cannot be taken.
local function snapshot(run)
  local recording = core.recording(false)
  local taken = state.take(run, "step", function(tensors, text)
    local copies = {}
    for i, entry in ipairs(tensors) do copies[i] = { entry[1], entry[2]:detach():clone() } end
    return { tensors = copies, text = text }
  end)
  core.recording(recording)
  return taken
end

-- Whoever looks at a model puts it into evaluation: returns a function that puts all modules back.
local function keep_modes(model)
  local modes = {}
  for i, module in ipairs(model:modules()) do modes[i] = { module, module.training } end
  return function()
    for _, mode in ipairs(modes) do rawset(mode[1], "training", mode[2]) end
  end
end

local function differ(before, now)
  if not before or not now then return true end
  return now.text ~= before.text or compare.first_difference(before.tensors, now.tensors) ~= nil
end

-- Follows the statements of a prompt: returns a function that is called before each of them with its text, and once
-- more, without one, at the end; and the list of those that changed something.
local function watch(run)
  local before, last, changing = snapshot(run), nil, {}
  return function(text)
    local now = last and snapshot(run)
    if last and differ(before, now) then changing[#changing + 1] = last end
    before, last = last and now or before, text
  end, changing
end

-- A rate that was set by hand stays, whatever the schedule says.
local function hold_lr(run, before)
  local now = run.optimizer and run.optimizer.lr
  if not run.experiment.schedule or not now or now == before then return end
  run.held_lr = now
  run:print(("lr stays %.6g; the schedule sets it again after run.held_lr = false"):format(now))
end

local function note_changes(self, run, statements)
  run.changes = run.changes or {}
  run.changes[#run.changes + 1] = { step = run.step, epoch = run.epoch, statements = statements }
  self.noted(run.changes)
end

-- ---- the prompt ----

-- Runs the prompt. Returns "quit", or nil if the run goes on.
local function look_around(self, run)
  local lr, put_modes_back = run.optimizer and run.optimizer.lr, keep_modes(run.model)
  local next_statement, changing = watch(run)
  local variables = { run = run, model = run.model, data = run.data, optimizer = run.optimizer, loss = run.loss }
  local leave
  function variables.step(n)
    n = n == nil and 1 or n
    if math.type(n) ~= "integer" or n < 1 then error(("step: expected a number of steps, got %s"):format(n), 2) end
    self.at = run.step + n
    leave "step"
  end
  function variables.continue() leave "continue" end
  function variables.save() run:request_checkpoint() end
  local reason = self.prompt(run, variables, function(given) leave = given end, function(text)
    put_modes_back()
    next_statement(text)
  end)
  put_modes_back()
  next_statement(nil)
  hold_lr(run, lr)
  if #changing > 0 then note_changes(self, run, changing) end
  return reason == "quit" and "quit" or nil
end

local function choose(self, run, choice)
  if choice == "save" then run:request_checkpoint() end
  if choice == "prompt" then choice = look_around(self, run) end
  self.quit = choice == "quit"
  core.interrupts(true)
  return self.quit
end

--- Called after each step: whether the run is to stop, `asked` being the answer so far. `quit` is set if a person
--- said so.
function Pause:consider(run, asked)
  local count, signal = core.interrupts()
  local due = self.at and run.step >= self.at
  if run.interrupted or count > 0 and signal ~= SIGINT or count == 0 and not due then return asked end
  self.at = false
  local began = core.clock()
  local quit = choose(self, run, count == 0 and "prompt" or self.ask(run))
  run.started = run.started + (core.clock() - began)      -- the pause is no time of the run
  return quit
end

return m
