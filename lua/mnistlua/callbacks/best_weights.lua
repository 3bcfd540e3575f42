-- callbacks.BestWeights { metric = "val.acc", mode }: keeps the weights with the best value of a metric and puts them
-- in place when the run ends, however it does: at its end, on Ctrl-C, at a time limit, by an error or a loss that is
-- no number. While the run lasts, what is saved for use is the best so far. With an average, or a schedule-free
-- optimizer, it is the averaged weights that are measured and kept. averaging.lua asks for them; checkpoints go on
-- from the weights that train, and hold the best as this callback's memory.
local averaging = require "mnistlua.train.averaging"
local base = require "mnistlua.callbacks.base"
local core = require "mnistlua.core"
local followed = require "mnistlua.callbacks.followed"

local BestWeights = base.class "callbacks.BestWeights"

local m = {}

function m.new(given)
  local self = base.new(BestWeights, given, followed.rules)
  followed.check_name(self.what, self.options.metric)
  self.mode = followed.mode(self.what, self.options)
  return self
end

function BestWeights:check_experiment(experiment)
  followed.check_measured(self, self.options.metric, experiment)
  for _, other in ipairs(experiment.callbacks) do
    if other ~= self and getmetatable(other) == BestWeights then
      self:fail "there are two in the experiment's callbacks; only one can put its weights in place"
    end
  end
end

function BestWeights:begin(run)
  run.keeper, self.placed = self, false
end

-- ---- keeping ----

local function keep(self, run)
  local kept = self.memory.weights or {}
  local _ <close> = averaging.enter(run)
  local recording = core.recording(false)
  for _, entry in ipairs(run.model:state_dict()) do
    local name, tensor = entry[1], entry[2]
    if kept[name] then kept[name]:copy_(tensor) else kept[name] = tensor:clone() end
  end
  core.recording(recording)
  self.memory.weights = kept
end

-- The metrics of an evaluation belong to its weights.
local function consider(self, run, part)
  local memory, name = self.memory, self.options.metric
  local value = run.metrics[name]
  if self.placed or type(value) ~= "number" then return end
  if not followed.is_better(self.mode, value, memory.value, 0) then return end
  keep(self, run)
  memory.value, memory.step, memory.epoch = value, run.step, run.epoch
  memory.part = part
  memory.loss, memory.acc = part and run.metrics[part .. ".loss"], part and run.metrics[part .. ".acc"]
end

function BestWeights:eval_end(run, part)
  if self.options.metric:match "^%a+" == part then consider(self, run, part) end
end

function BestWeights:epoch_end(run)
  local part = self.options.metric:match "^%a+"
  if part ~= "val" and part ~= "test" and not run.interrupted then consider(self, run, nil) end
end

-- ---- in place ----

--- Whether there are weights to put in place.
function BestWeights:has_weights() return self.memory.weights ~= nil end

--- The step that they are of.
function BestWeights:step() return self.memory.step end

--- Copies them into the model.
function BestWeights:fill(model)
  for _, entry in ipairs(model:state_dict()) do entry[2]:copy_(self.memory.weights[entry[1]]) end
end

--- Puts them in place for good: the run's metrics become theirs.
function BestWeights:put(run)
  local memory = self.memory
  self.placed = true
  self:fill(run.model)
  if memory.step ~= run.step then run.tested = false end
  if memory.part then
    run.metrics[memory.part .. ".loss"], run.metrics[memory.part .. ".acc"] = memory.loss, memory.acc
  end
  if (run.progress_display.options or {}).quiet then return end
  run:print(("best weights: %s %s, of epoch %d"):format(self.options.metric,
    followed.text(self.options.metric, memory.value), memory.epoch))
end

return m
