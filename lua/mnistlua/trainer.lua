-- The trainer: an experiment from data to report. This file is the order of things; how each is done is in train/.
--
--   file -> dataset -> loader (shuffle, normalise) -> batch -> model(x) -> loss -> loss:backward()
--        -> optimizer:step(lr from schedule) -> metrics -> callbacks -> weights on disk -> result
local core = require "mnistlua.core"
local context = require "mnistlua.context"
local failure = require "mnistlua.failure"
local options = require "mnistlua.options"
local params = require "mnistlua.params"
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

--- Makes everything ready that can be ready before the first step, so that mistakes are told there: weights for the
--- data's shape, labels that fit the outputs, the optimizer's parameters. given: seed. Returns the run.
function m.prepare(experiment, given)
  experiment.model:build(experiment.data:sample_shape())
  check_labels(experiment)
  if experiment.optimizer then experiment.optimizer:bind(experiment.model) end
  return Run.new(experiment, given)
end

local function metadata(run)
  local entries = {
    format = "pt", ["mnistlua.version"] = core.version, ["mnistlua.experiment"] = run.experiment.name,
    ["mnistlua.data"] = tostring(run.data), ["mnistlua.seed"] = tostring(run.seed), ["mnistlua.isa"] = core.isa(),
    ["mnistlua.step"] = tostring(run.step),
  }
  local declared = context.params
  for _, name in ipairs(declared and declared.names or {}) do
    entries["mnistlua.param." .. name] = params.text(declared.values[name])
  end
  return entries
end

-- Weights reach the disk after an epoch (at most every ten seconds) and at the end, and never when they hold NaN.
local function saver(store)
  local last = core.clock()
  return function(run, always)
    if not store or not (always or core.clock() - last > 10) then return end
    for _, p in ipairs(run.model:parameters()) do
      if not p:isfinite() then return end
    end
    local path, problem = store:save_weights(run.model, metadata(run))
    if not path then error(failure.new("runtime", problem), 0) end
    last = core.clock()
    run:emit("checkpoint", path)
  end
end

local function result_of(run, store, test)
  local r = {}
  for name, value in pairs(run.metrics) do r[name] = value end
  if test then r["test.errors"], r["test.count"] = test.errors, test.count end
  r.name, r.data, r.seed = run.experiment.name, tostring(run.data), run.seed
  r.data_hash = run.data:hash()
  r.epochs, r.steps, r.seconds, r.train_seconds = run.epoch, run.step, run:seconds(), run.train_seconds
  r.images_per_s = run.train_seconds > 0 and run.images / run.train_seconds or 0
  r.parameters, r.threads, r.isa = run.model:num_parameters(), core.threads(), core.isa()
  r.weights = store and store.saved and store.weights or nil
  r.status = run.interrupted and "interrupted" or "done"
  r.stopped = run.stopping ~= "done" and run.stopping or nil
  r.config, r.params = context.config, context.params and context.params.values
  return r
end

--- Trains what m.prepare made ready. given: progress (a display), store (a run folder, or nil), deadline (on
--- core.clock, or nil). Returns the result: a flat table of metrics and facts.
function m.train(run, given)
  local save = saver(given.store)
  run:attach(given.progress, given.deadline, save)
  run:emit "start"
  local loop = run.experiment.loop or m.loop
  loop(run)
  run:finish_early()
  given.progress:clear()
  save(run, true)
  local test = rawget(run.data, "test") and run:evaluate_part "test"
  run:emit "finish"
  return result_of(run, given.store, test)
end

return m
