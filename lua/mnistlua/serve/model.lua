-- What the page's draw pad asks: a digit of 28x28 pixels through the model of a run. A run that still trains answers
-- by its newest checkpoint. The model is read when it is first asked for, and again when the run has newer weights;
-- one is kept at a time. It writes nothing.
local answer = require "mnistlua.serve.answer"
local checkpoint_file = require "mnistlua.train.checkpoint_file"
local classify = require "mnistlua.inspect.classify"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local pixels = require "mnistlua.serve.pixels"
local precision = require "mnistlua.precision"
local sources = require "mnistlua.cli.source"

local m = {}

local side = 28

-- ---- which weights ----

-- The newest weights of a run: their path, and a name for them that changes when they do.
local function newest(record)
  local path = record.dir .. "/model.safetensors"
  if record.status ~= "running" and core.exists(path) then
    return path, ("%s %s %s"):format(path, record.step, record.seconds), "the weights of the run"
  end
  local checkpoints = checkpoint_file.folder(record.dir)
  local steps = checkpoint_file.steps(checkpoints)
  local last = steps[#steps]
  if not last then answer.fail(409, "this run has no weights yet: its first checkpoint is still to come") end
  path = checkpoints .. "/" .. checkpoint_file.name(last)
  return path, path, ("its checkpoint of step %d"):format(last)
end

-- ---- reading them ----

local function load(out, path)
  local experiment, model, described = sources.classifier(sources.open(out, path), {})
  local classifier, problem = classify.new(model, described)
  if not classifier then answer.fail(409, "this run's model cannot be asked: " .. problem) end
  precision.begin(precision.of(experiment))
  return classifier
end

-- A config that cannot be run again, or weights that cannot be read, are the run's fault, not the server's.
local function loaded(out, path)
  local ok, model = xpcall(load, function(problem)
    if answer.of_failure(problem) or failure.is(problem) or type(problem) == "string" then return problem end
    return debug.traceback(tostring(problem))
  end, out, path)
  if ok then return model end
  if answer.of_failure(model) then error(model, 0) end
  answer.fail(409, "its model cannot be used: " .. core.escape(tostring(model)))
end

local kept = {}    -- { classifier, key }

local function classifier_of(out, record)
  local path, key, what = newest(record)
  if kept.key ~= key then
    kept = {}
    kept = { classifier = loaded(out, path), key = key }
    collectgarbage()                 -- the data, where the config had to read it
  end
  return kept.classifier, what
end

-- ---- asking ----

--- The probabilities of a picture, 784 bytes from 0 (paper) to 255 (ink), by a run's model: { probabilities, names (of
--- the classes, or nil), weights (which they are, in words) }.
function m.classify(out, record, bytes)
  if #bytes ~= side * side then
    answer.fail(400, ("expected %d bytes, the pixels of 28x28, got %d"):format(side * side, #bytes))
  end
  local classifier, what = classifier_of(out, record)
  local digit = pixels.tensor(bytes, { side, side })
  return { probabilities = classifier:probabilities(digit), names = classifier.described.class_names, weights = what }
end

return m
