-- The trainer: an experiment from data to report. This file is the order of things; how each is done is in train/.
--
--   file -> dataset -> loader (shuffle, normalise) -> batch -> model(x) -> loss -> loss:backward()
--        -> optimizer:step(lr from schedule) -> metrics -> callbacks -> weights on disk -> result
local averaging = require "mnistlua.train.averaging"
local checkpoint = require "mnistlua.train.checkpoint"
local core = require "mnistlua.core"
local described = require "mnistlua.data.described"
local diagnose = require "mnistlua.train.diagnose"
local context = require "mnistlua.context"
local failure = require "mnistlua.failure"
local json = require "mnistlua.json"
local options = require "mnistlua.options"
local params = require "mnistlua.params"
local precision = require "mnistlua.precision"
local restore = require "mnistlua.train.restore"
local Run = require "mnistlua.train.run"

local m = {}

--- The loop of an experiment that brings none of its own.
function m.loop(run)
  for x, y in run:batches() do      -- loader, schedule and counters: Run:begin_step, Run:end_step
    run:train_step(x, y)            -- model, loss, backward, optimizer, metrics
  end
end

local function check_labels(experiment)
  local outputs = experiment.model:output_shape(experiment.data:sample_shape())
  local classes, width = experiment.data.classes, outputs[#outputs]
  if #outputs == 1 and classes > width and experiment.loop == nil then
    options.fail(("ml.experiment: the model has %d outputs but %s has %d classes (labels 0..%d)"):format(width,
      experiment.data.name, classes, classes - 1), experiment.where)
  end
end

-- Tells the layers how few samples a step may have: batch normalisation cannot do with one.
local function check_batch(experiment)
  local count, batch = #experiment.data.train, experiment.batch
  local left = count % batch
  local smallest = (experiment.drop_last or left == 0) and batch or left
  for _, module in ipairs(experiment.model:modules()) do
    if module.check_batch then module:check_batch(smallest) end
  end
end

--- Makes everything ready that can be ready before the first step, so that mistakes are told there: weights for the
--- data's shape, labels that fit the outputs, the optimizer's parameters. given: seed. Returns the run.
function m.prepare(experiment, given)
  experiment.model:build(experiment.data:sample_shape())
  check_labels(experiment)
  check_batch(experiment)
  if experiment.optimizer then experiment.optimizer:bind(experiment.model) end
  if experiment.average then experiment.average:bind(experiment.model) end
  context.pending = nil
  local run = Run.new(experiment, given)
  run.precision = precision.of(experiment)
  return run
end

local function metadata(run)
  local entries = {
    format = "pt", ["mnistlua.version"] = core.version, ["mnistlua.experiment"] = run.experiment.name,
    ["mnistlua.data"] = tostring(run.data), ["mnistlua.seed"] = tostring(run.seed), ["mnistlua.isa"] = core.isa(),
    ["mnistlua.step"] = tostring(run.keeper and run.keeper:step() or run.step),
    ["mnistlua.precision"] = precision.used(), ["mnistlua.config"] = context.config_text,
    ["mnistlua.steps"] = tostring(run.step), ["mnistlua.stand_in"] = context.data,
    ["mnistlua.data_hash"] = run.data:hash(), ["mnistlua.changes"] = run.changes and json.encode(run.changes) or nil,
  }
  for name, text in pairs(described.entries(run.data)) do entries[name] = text end
  local declared = context.params
  for _, name in ipairs(declared and declared.names or {}) do
    entries["mnistlua.param." .. name] = params.text(declared.values[name])
  end
  return entries
end

-- Weights reach the disk after an epoch (at most every ten seconds) and at the end, and never when they hold NaN. What
-- goes wrong in between is said once and tried again; at the end it is returned.
local function saver(store, progress)
  local last, warned = core.clock(), false
  local function save(run)
    if store.recorder then store.recorder:flush() end      -- no step that is saved may lack its metrics
    local _ <close> = averaging.enter_to_save(run)
    if diagnose.bad_parameter(run.model) then return nil, "the weights hold NaN or infinity and were not saved" end
    local path, problem = store:save_weights(run.model, metadata(run))
    if not path then return nil, problem end
    last = core.clock()
    return path
  end
  local function after_epoch(run)
    if core.clock() - last < 10 then return end
    local path, problem = save(run)
    if not path and not warned then progress:message("mnistlua: warning: " .. core.escape(problem)) end
    warned = warned or not path
  end
  if not store then return function() end, function() end end
  return after_epoch, save
end

local function result_of(run, store, test, views)
  local r = {}
  for name, value in pairs(run.metrics) do r[name] = value end
  if test then r["test.errors"], r["test.count"] = test.errors, test.count end
  if views then
    r["test.views.acc"], r["test.views.loss"], r["test.views.errors"] = views.acc, views.loss, views.errors
    r["test.views"] = #run.experiment.views
  end
  r.name, r.data, r.seed = run.experiment.name, tostring(run.data), run.seed
  r.data_hash = run.data:hash()
  r.epochs, r.steps, r.seconds, r.train_seconds = run.epoch, run.step, run:seconds(), run.train_seconds
  r.images_per_s = run.train_seconds > 0 and run.images / run.train_seconds or 0
  r.parameters, r.threads, r.isa = run.model:num_parameters(), core.threads(), core.isa()
  r.precision = precision.used()
  r.weights = store and store.saved and store.weights or nil
  r.status = run.interrupted and "interrupted" or "done"
  r.stopped = run.stopping ~= "done" and run.stopping or nil
  r.forced, r.changes = run.forced or nil, run.changes or nil
  r.resume = run.cut_short and run.checkpoints and run.checkpoints.newest and store and store.resume or nil
  r.config, r.params = context.config, context.params and context.params.values
  return r
end

-- One run at a time: the steps of two would expire each other's values. While it lasts, the first Ctrl-C only asks it
-- to stop.
local active = false

local function begin(run)
  if active then options.fail "a run cannot begin inside another run" end
  active = true
  core.interrupts(true)
  core.hold_signals(true)
  local before = precision.begin(run.precision)
  return setmetatable({}, { __close = function()
    active = false
    core.precision(before)
    if run.pause then run.pause:close() end
    core.hold_signals(false)
    run:release()
  end })
end

-- Brings the run to where it was.
local function go_on(run, resume, progress)
  local notes, problem = restore.put(run, resume.checkpoint.tensors, resume.checkpoint.state, resume.adapt)
  if not notes then
    local path = core.escape(resume.checkpoint.path)
    error(failure.new("runtime", ("%s cannot be used: %s"):format(path, problem)), 0)
  end
  run.forced = run.forced or resume.forced or false
  if run.recorder and resume.continues then run.recorder:rewind(run.step) end
  if run.changes then
    progress:message(("the run was changed by hand, first at step %d: its config alone does not repeat it"):format(
      run.changes[1].step))
  end
  for _, note in ipairs(notes) do progress:message("mnistlua: warning: " .. note) end
end

-- A run that fails leaves the weights behind that a callback keeps, if there are any.
local function rescue(run, save)
  return setmetatable({}, { __close = function(_, problem)
    if problem == nil or not run.keeper or not run.keeper:has_weights() or run.averaging.depth > 0 then return end
    local ok, saved, why = pcall(function()
      averaging.settle(run)
      return save(run)
    end)
    if not ok or why then run:print("mnistlua: warning: the best weights: " .. core.escape(tostring(why or saved))) end
  end })
end

--- Trains what m.prepare made ready. given: progress (a display), store (a run folder, or nil), deadline (on
--- core.clock, or nil), checkpoints (what checkpoint.new takes, or nil), resume ({ checkpoint, adapt, forced,
--- continues }, or nil). Returns the result: a flat table of metrics and facts, and what could not be saved, or nil.
function m.train(run, given)
  local _ <close> = begin(run)
  local save_after_epoch, save = saver(given.store, given.progress)
  run:attach(given.progress, given.deadline, save_after_epoch)
  run.dir = given.store and given.store.dir or false
  local _ <close> = rescue(run, save)
  if given.store and given.store.recorder then given.store.recorder:attach(run) end
  if given.checkpoints then run.checkpoints = checkpoint.new(run, given.checkpoints) end
  run:emit "start"
  if given.resume then
    go_on(run, given.resume, given.progress)
    if run.dir then given.store:save_changes(run.changes) end    -- those after the checkpoint are of another course
  end
  local loop = run.experiment.loop or m.loop
  loop(run)
  run:finish_early()
  averaging.settle(run)
  given.progress:clear()
  local _, problem = save(run)
  if run.checkpoints then
    local safe, why = run.checkpoints:wait()
    if not safe then problem = problem or why end
  end
  local test, views = run:final_test(), run:final_views()
  run:emit "finish"
  return result_of(run, given.store, test, views), problem
end

return m
