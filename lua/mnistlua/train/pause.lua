-- A run that a person stops for a moment: Ctrl-C at a terminal asks whether to go on, to save, to look around in a
-- prompt, or to quit. What is changed in the prompt is written down with the run, for it cannot be repeated from its
-- config any more. Run:end_step asks here; how questions and prompts look is given.
--
-- The prompt is a coroutine: step(n) leaves it in the middle of a statement, which goes on after those steps.
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local options = require "mnistlua.options"
local watches = require "mnistlua.train.watch"

local m = {}

local Pause = {}
Pause.__index = Pause

local SIGINT = 2

--- given: ask(run) -> "continue", "save", "prompt", "quit", "stop" (a signal came) or "now" (a second Ctrl-C);
--- prompt(run, variables, before, after) runs one, calls before(text) and after(text) around each statement, and
--- returns "continue", "quit", "end" or "stop"; leave(reason) ends it from inside; interrupted: the error that Ctrl-C
--- makes of a statement; noted(changes) is told of changes, to keep them at once.
function m.new(given)
  local self = setmetatable({ at = false, quit = false, thread = false, begun = false }, Pause)
  for _, name in ipairs { "ask", "prompt", "leave", "interrupted", "noted" } do self[name] = assert(given[name]) end
  return self
end

-- ---- what was changed ----

-- A rate that was set by hand stays, whatever the schedule says.
local function hold_lr(run, before)
  local now = run.optimizer and run.optimizer.lr
  if not run.experiment.schedule or not now or now == before then return before end
  run.held_lr = now
  run:print(("lr stays %.6g; the schedule sets it again after run.held_lr = false"):format(now))
  return now
end

-- Statements at the same step stand together.
local function note(self, run, statement)
  run.changes = run.changes or {}
  local last = run.changes[#run.changes]
  if not last or last.step ~= run.step then
    last = { step = run.step, epoch = run.epoch, statements = {} }
    run.changes[#run.changes + 1] = last
  end
  if last.statements[#last.statements] ~= statement then last.statements[#last.statements + 1] = statement end
  self.noted(run.changes)
end

-- What a change is to be followed by, once it is there.
local function check(self, run, talk)
  local held = run.held_lr
  if talk.watch:changed() or run.held_lr ~= talk.held then
    note(self, run, talk.statement)
    run:print "this changes the run, and is noted with it"
    run:request_checkpoint()
  end
  if held == talk.held then talk.lr = hold_lr(run, talk.lr) end
  talk.held = run.held_lr
end

local function begin(run, talk)
  talk.watch:begin()
  talk.lr, talk.held = run.optimizer and run.optimizer.lr, run.held_lr
end

-- ---- what is at hand in the prompt ----

-- Lets the run go on for n steps. The hook by which Ctrl-C ends a statement is off meanwhile: nothing here may be left
-- half done. Returns whether Ctrl-C came in one of the steps.
local function go_on(self, run, talk, n)
  local hook, mask, count = debug.gethook()
  debug.sethook()
  check(self, run, talk)
  talk.watch:finish()
  local interrupted = coroutine.yield(n)
  begin(run, talk)
  debug.sethook(hook, mask, count)
  return interrupted
end

local function stepper(self, run, talk)
  return function(n)
    n = n == nil and 1 or n
    if math.type(n) ~= "integer" or n < 1 then
      error("step: expected a number of steps, got " .. options.show(n), 2)
    end
    if coroutine.running() ~= self.thread then error("step: cannot be called in a coroutine", 2) end
    if go_on(self, run, talk, n) then error(self.interrupted, 0) end
  end
end

local function variables_of(self, run, talk)
  return {
    run = run, model = run.model, data = run.data, optimizer = run.optimizer, loss = run.loss,
    experiment = run.experiment, config = context.config_text, params = context.params and context.params.values or {},
    step = stepper(self, run, talk),
    continue = function() self.leave "continue" end,
    save = function()
      run:request_checkpoint()
      run:print(run.checkpoints and "a checkpoint is saved when the run goes on" or "this run has no checkpoints")
    end,
  }
end

-- ---- the prompt ----

local function talk_with(self, run)
  local talk = { watch = watches.new(run), statement = "" }
  begin(run, talk)
  local reason = self.prompt(run, variables_of(self, run, talk), function(text) talk.statement = text end,
    function() check(self, run, talk) end)
  talk.watch:finish()
  return reason
end

-- Begins a prompt, or goes on with the one that step left. Returns why it ended, nil if the run is to go on for some
-- steps.
local function converse(self, run, interrupted)
  self.thread = self.thread or coroutine.create(talk_with)
  run.progress_display:clear()
  local fine, result
  if coroutine.status(self.thread) == "suspended" and self.begun then
    fine, result = coroutine.resume(self.thread, interrupted)
  else
    self.begun = true
    fine, result = coroutine.resume(self.thread, self, run)
  end
  if fine and coroutine.status(self.thread) == "suspended" then
    self.at = run.step + result
    return nil
  end
  self:close()
  if not fine then error(result, 0) end
  return result
end

--- Ends a prompt that step left, as when the run has come to its end.
function Pause:close()
  if self.thread then coroutine.close(self.thread) end
  self.thread, self.begun, self.at = false, false, false
end

local function end_at_once()
  for _ = 1, 2 do core.raise_signal(SIGINT) end      -- the second one ends the program, whatever it does
end

-- Does what was chosen. Returns whether the run is to stop.
local function follow(self, run, choice, interrupted)
  if choice == "now" then end_at_once() end
  if choice == "save" then run:request_checkpoint() end
  if choice == "continue" then self:close() end
  if choice == "prompt" then choice = converse(self, run, interrupted) end
  self.quit = choice == "quit"
  return self.quit or choice == "stop"
end

--- Called after each step: whether the run is to stop, `asked` being the answer so far. `quit` is set if a person
--- said so.
function Pause:consider(run, asked)
  local count, signal = core.interrupts()
  local due = self.at and run.step >= self.at
  if run.interrupted or count > 0 and signal ~= SIGINT or count == 0 and not due then return asked end
  local began = core.clock()
  core.interrupts(true)
  local stop = follow(self, run, count == 0 and "prompt" or self.ask(run), count > 0)
  local paused = core.clock() - began                    -- which is no time of the run
  run.started = run.started + paused
  if run.deadline then run.deadline = run.deadline + paused end
  return stop
end

return m
