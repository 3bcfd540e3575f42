-- Run: one training in progress, as a loop of one's own and the callbacks see it. It hands out batches, keeps count of
-- steps, epochs and metrics, evaluates, shows progress, and stops when it is time.
local averaging = require "mnistlua.train.averaging"
local core = require "mnistlua.core"
local dataset = require "mnistlua.data.dataset"
local evaluation = require "mnistlua.train.evaluation"
local events = require "mnistlua.train.events"
local follow = require "mnistlua.train.follow"
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"
local sched = require "mnistlua.sched"
local tta = require "mnistlua.tta"
local update = require "mnistlua.train.update"

local Run = {}

-- Read with run.x: step and epoch count from 1, progress runs from 0 to 1 over the whole run, epoch_progress over the
-- epoch; model, loss, optimizer, data, metrics; total_steps, steps_per_epoch, epochs; state, a table for what a loop of
-- one's own remembers, which checkpoints keep. A run has all its fields (false stands for none) and methods itself; any
-- other name is a mistake.
local strict = { __index = function(self, key)
  options.fail(("run has no field or method '%s'%s"):format(tostring(key), options.hint(key, self:names())))
end }

function strict.__tostring(self)
  return ("run of %s: step %d of %d, epoch %d of %d"):format(self.experiment.name, self.step, self.total_steps,
    self.epoch, self.epochs)
end

function Run:names() return options.sorted_keys(self) end

--- Prepares a run of an experiment: builds the model for the data's shape, binds the optimizer, makes the loader.
--- given: seed.
function Run.new(experiment, given)
  local e = experiment
  local board = metrics.board(e.metrics)
  local self = {
    experiment = e, data = e.data, model = e.model, loss = e.loss, optimizer = e.optimizer, listeners = e.listeners,
    seed = given.seed, progress_display = false, deadline = false, on_epoch = false, recorder = false,
    step = 0, epoch = 0, progress = 0, epoch_progress = 0, step_in_epoch = 0,
    metrics = board:view(), board = board, train_seconds = 0, images = 0, in_step = false,
    stopping = false, interrupted = false, diverged = false,
    finished = false, working = false, batch_x = false, tested = false, schedule_info = {},
    average = e.average or false, averaging = averaging.new(), window = false, keeper = false, dir = false,
    checkpoints = false, go_on_at = false, first_step = 0, best = false, forced = false, cut_short = false, state = {},
    pause = false, changes = false, held_lr = false,
    needs_closure = e.optimizer and e.optimizer.needs_closure or false,
    keep_answers = false, answers = {},
    eval_loaders = setmetatable({}, { __mode = "k" }), started = core.clock(), wants_grad_norm = false,
  }
  for name, method in pairs(Run) do self[name] = method end
  setmetatable(self, strict)
  for _, name in ipairs(e.metrics or {}) do self.wants_grad_norm = self.wants_grad_norm or name == "grad_norm" end
  self.loader = e.data.train:loader {
    batch = e.batch, shuffle = e.shuffle, drop_last = e.drop_last, seed = given.seed, augment = e.augment,
  }
  self.steps_per_epoch = self.loader:steps()
  if self.steps_per_epoch == 0 then
    options.fail(("ml.experiment: drop_last leaves no batch: %d training images are fewer than batch = %d"):format(
      #e.data.train, e.batch))
  end
  self.total_steps = e.steps or e.epochs * self.steps_per_epoch
  self.epochs = math.ceil(self.total_steps / self.steps_per_epoch)
  return self
end

-- What a run talks to while it trains: a display, the time to stop at (or nil), and what saves the weights.
function Run:attach(progress, deadline, on_epoch)
  self.progress_display, self.deadline, self.on_epoch = progress, deadline or false, on_epoch
  self.started = core.clock()
end

-- Ends the step that is under way, however the run ended.
function Run:release()
  self.in_step, self.batch_x, self.working = false, false, false
  core.step_end()
end

-- ---- the course of a run ----

function Run:emit(event, ...)
  if self.listeners[event][1] then return events.emit(self.listeners, event, self, ...) end
end

--- Ends the run after this step; reason is shown.
function Run:stop(reason) self.stopping = reason or "stopped by the script" end

--- Prints a line above the progress display.
function Run:print(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  self.progress_display:message(table.concat(parts, "  "))
end

--- Seconds since the run began.
function Run:seconds() return core.clock() - self.started end

--- An estimate of the seconds left, or nil in the first steps.
function Run:seconds_left()
  local done = self.step - self.first_step
  if done < 3 then return nil end
  return self:seconds() / done * (self.total_steps - self.step)
end

function Run:begin_epoch()
  self.epoch = self.epoch + 1
  self.step_in_epoch, self.epoch_progress = 0, 0
  self.board:turn()
  self.model:train()
  follow.strength(self, self.step)
  self.loader:start(self.epoch, 1)
  self:emit "epoch_start"
end

-- The next batch, with the step's clock, learning rate and counters set; nil at the end of the epoch.
function Run:begin_step()
  self.step_started = core.clock()
  self.batch_x = false
  core.step_begin(self.epoch, self.step_in_epoch + 1)
  follow.strength(self, self.step + 1)
  local x, y = self.loader:next()
  if not x then return nil end
  self.progress = self.step / self.total_steps
  follow.schedules(self)
  self.step, self.step_in_epoch, self.batch_x = self.step + 1, self.step_in_epoch + 1, x
  if self.optimizer then self.board.values["lr"] = self.optimizer.lr end
  self.in_step = #x
  self:emit "batch_start"
  return x, y
end

function Run:end_step()
  self.progress = self.step / self.total_steps
  self.epoch_progress = self.step_in_epoch / self.steps_per_epoch
  local images, seconds = self.in_step, core.clock() - self.step_started
  self.images, self.train_seconds, self.in_step = self.images + images, self.train_seconds + seconds, false
  self.board.means:add_sum("images_per_s", images, seconds)
  if self.average and update.due(self) then self.average:after_step(self) end
  self:emit "batch_end"
  if self.recorder then self.recorder:step(self) end
  self.progress_display:step(self)
  if self.step >= self.total_steps and not self.stopping then self.stopping = "done" end
  local asked = self:asked_to_stop()
  if self.pause then asked = self.pause:consider(self, asked) end
  if self.checkpoints then self.checkpoints:after_step(self, asked) end      -- the state without a trace of the stop
  if asked then self:stop_as_asked() end
end

--- Asks for a checkpoint at the end of this step, whatever else says when there is one.
function Run:request_checkpoint()
  if self.checkpoints then self.checkpoints:request() end
end

-- Whether a signal or the time limit is to end the run now, once a step.
function Run:asked_to_stop()
  if self.interrupted then return false end
  return core.interrupts() > 0 or self.deadline and not self.stopping and core.clock() >= self.deadline
end

function Run:stop_as_asked()
  local count, signal = core.interrupts()
  local quit = self.pause and self.pause.quit
  if count > 0 or quit then
    self.interrupted = quit and 2 or signal
    self.stopping = "interrupted"
    self:emit "interrupt"
  else
    self.stopping = "time limit reached"
  end
  self.cut_short = true
end

-- The part that is evaluated after epochs, or nil.
function Run:watched_part() return rawget(self.data, "val") and "val" or rawget(self.data, "test") and "test" end

function Run:end_epoch()
  if self.cut_short then return self:leave_epoch() end
  local due, part = self.epoch % self.experiment.eval_every == 0 or self.stopping, self:watched_part()
  if self.average then self.average:after_epoch(self) end
  if due and part then
    self:check_loss(self:evaluate_part(part).loss)
  elseif part then
    self.metrics[part .. ".loss"], self.metrics[part .. ".acc"] = nil, nil    -- those of an earlier epoch
  end
  if due then
    sched.observe(self.experiment.schedule, self.metrics)
    self.progress_display:epoch(self)
  end
  self:emit "epoch_end"
  if self.recorder then self.recorder:epoch(self) end
  if self.checkpoints then self.checkpoints:after_epoch(self) end
  if self.on_epoch and due then self.on_epoch(self) end
end

-- In place of an epoch's end where the run is cut short: the epoch is not over, it goes on when the run is resumed.
function Run:leave_epoch()
  local part = self:watched_part()
  if self.average then self.average:after_epoch(self) end
  if part and not self.interrupted then
    self:evaluate_part(part)
  elseif part then
    self.metrics[part .. ".loss"], self.metrics[part .. ".acc"] = nil, nil
  end
  self.progress_display:epoch(self)
end

-- Puts the loader where the run goes on, whose counters restore.lua has set: at "step" in an epoch, at "epoch" after
-- one.
function Run:go_on(at)
  self.go_on_at, self.first_step = at, self.step
  self.progress, self.epoch_progress = self.step / self.total_steps, self.step_in_epoch / self.steps_per_epoch
  if at == "epoch" then return end
  follow.strength(self, self.step)
  self.loader:start(self.epoch, self.step_in_epoch + 1)
end

local function after_epoch(self)
  self.go_on_at = false
  if self.stopping then
    core.step_end()
    self.finished = true
    return nil
  end
  self:begin_epoch()
  return self:begin_step()
end

local function next_batch(self)
  if self.finished then return nil end
  if self.in_step then self:end_step() end
  if self.epoch == 0 then self:begin_epoch() end
  if self.go_on_at == "epoch" then return after_epoch(self) end
  if not self.stopping then
    local x, y = self:begin_step()
    if x then return x, y end
  end
  self:end_epoch()
  return after_epoch(self)
end

function Run:next_batch()
  if self.working then options.fail "run:batches() cannot be used in a callback of the same run" end
  self.working = true
  local x, y = next_batch(self)
  self.working = false
  return x, y
end

-- After a loop: if it was left with `break`, closes the step and the epoch that were under way.
function Run:finish_early()
  if self.finished then return end
  if self.in_step then
    self.stopping = self.stopping or "the loop ended"
    self:end_step()
  end
  if not self.stopping or self.stopping == "done" then self:stop "the loop ended" end
  if self.epoch > 0 and self.go_on_at ~= "epoch" then self:end_epoch() end
  core.step_end()
end

--- Iterates over all batches of all epochs: `for x, y in run:batches() do`. Between batches the run counts, evaluates
--- at the end of an epoch, shows progress, and stops at the end, at a time limit or on Ctrl-C.
function Run:batches()
  return function() return self:next_batch() end
end

-- ---- one step of the usual kind ----

-- Deals with a loss that is not a number: true if the step is to be skipped, otherwise raises.
function Run:check_loss(value)
  if value == value and math.abs(value) ~= math.huge then return false end
  if self:emit("diverged", value) == "skip" then return true end
  self.diverged = require("mnistlua.train.diagnose").diverged(self, value)
  error(self.diverged, 0)
end

--- Records a step's loss (a number) and, where the output has a column for each class, its accuracy: what the trainer
--- does after a step, for a loop of one's own.
function Run:count(value, output, y)
  local n = #y
  self.board.means:add("train.loss", value, n)
  if self:is_classification(output, y) then self.board.means:add("train.acc", core.count_correct(output, y) / n, n) end
end

function Run:is_classification(output, y)
  return type(output) == "userdata" and y.dtype ~= "f32" and output:dim() == 2
end

local function check_scalar(run, loss)
  if type(loss) == "userdata" and loss:numel() == 1 then return end
  options.fail(("the loss function must return a tensor of one element, got %s"):format(type(loss) == "userdata"
    and "one of " .. table.concat(loss.shape, "x") or type(loss)), run.experiment.where)
end

--- Forward, loss, backward, update: what the trainer does with a batch. Returns the loss and the model's output.
function Run:train_step(x, y)
  local output = self.model(x)
  local loss = self.loss(output, y)
  check_scalar(self, loss)
  self:emit("after_forward", loss, output)
  local value = loss:item()
  if self:check_loss(value) then return loss, output end

  update.backward(self, loss, #y)
  self:emit("after_backward", loss, output)
  if self.wants_grad_norm then self:log { grad_norm = core.grad_norm(self.model:parameters()) } end

  if update.due(self) then
    self:emit("before_step", loss, output)
    update.move(self, x, y, value)
  end
  self:count(value, output, y)
  return loss, output
end

--- Records metrics of this step by name; an epoch shows their mean. `train.loss` that is not a number ends the run.
function Run:log(values)
  for name, value in pairs(values) do
    metrics.check_name("run:log", name, self.experiment.metrics)
    if type(value) ~= "number" then
      options.fail(("run:log: %s: expected a number, got %s; write loss:item()"):format(name, type(value)))
    end
    if name == "train.loss" then self:check_loss(value) end
    self.board.means:add(name, value, self.in_step or 1)
  end
end

-- ---- evaluation ----

--- Loss, accuracy and number of errors of the model, as it is now (with an average, of the averaged weights) and
--- without dropout, over a whole dataset. Draws no random number and leaves the training mode as it was. Outputs that
--- are no numbers have no accuracy. Options:
--- `model`, another one (an ml.ensemble); `views`, an ml.tta, whose mean prediction takes the place of the model's own.
function Run:evaluate(d, given)
  if not dataset.is_dataset(d) then
    options.fail("run:evaluate: expected a dataset such as run.data.test, got " .. options.show(d))
  end
  local o = options.read("run:evaluate", given, { model = { type = "module", default = self.model }, views = {} })
  if o.views ~= nil and not tta.is_views(o.views) then
    options.fail("run:evaluate: views: expected ml.tta { ... }, got " .. options.show(o.views))
  end
  return evaluation.over(self, d, o)
end

--- Evaluates data.val or data.test into metrics "val.loss", "val.acc" and so on, and returns them.
function Run:evaluate_part(part)
  local answers = self.keep_answers and { step = self.step } or nil
  local result = evaluation.over(self, rawget(self.data, part), { model = self.model }, answers)
  self.answers[part] = answers
  self.metrics[part .. ".loss"], self.metrics[part .. ".acc"] = result.loss, result.acc
  if part == "test" then self.tested = { step = self.step, result = result } end
  self:emit("eval_end", part, result)
  return result
end

--- The test result of the weights as they are at the end: measured, unless the last epoch's evaluation just did.
function Run:final_test()
  if not rawget(self.data, "test") then return nil end
  if self.tested and self.tested.step == self.step then return self.tested.result end
  return self:evaluate_part "test"
end

--- The test result with the experiment's views (ml.tta), or nil without them.
function Run:final_views()
  local views = self.experiment.views
  return views and rawget(self.data, "test") and self:evaluate(self.data.test, { views = views }) or nil
end

return Run
