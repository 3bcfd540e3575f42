-- ml.experiment: what is to be trained, checked as a whole before the first step.
local core = require "mnistlua.core"
local augment = require "mnistlua.data.augment"
local context = require "mnistlua.context"
local dataset = require "mnistlua.data.dataset"
local events = require "mnistlua.train.events"
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"
local precision = require "mnistlua.precision"
local sched = require "mnistlua.sched"
local step_options = require "mnistlua.train.step_options"
local tta = require "mnistlua.tta"

local m = {}

local Experiment = {}
Experiment.__index = Experiment
Experiment.__name = "Experiment"

local function fail(fmt, ...) options.fail("ml.experiment: " .. fmt:format(...)) end

local function whole(default)
  return { default = default, type = "number", integer = true, min = 1 }
end

local spec = {
  name = { type = "string", default = "experiment" },
  data = {}, model = {}, loss = {}, optimizer = {}, schedule = {}, loop = {},
  epochs = whole(10), steps = whole(nil), batch = { default = 128 }, eval_batch = whole(1000), eval_every = whole(1),
  shuffle = { type = "boolean", default = true }, drop_last = { type = "boolean", default = false },
  precision = precision.rule,
  augment = {}, views = {},
  average = {}, checkpoint = {}, clip = {}, momentum = {}, accumulate = whole(1),
  report = { type = "boolean", default = true },
  on = { type = "table" }, callbacks = { type = "table" }, metrics = { type = "table" }, expect = {},
}

local function check_data(o)
  if o.data == nil and context.last_fault then error(context.last_fault, 0) end
  if dataset.is_dataset(o.data) then o.data = dataset.bundle { name = o.data.name, train = o.data } end
  if not dataset.is_bundle(o.data) then
    fail("data: expected what a function of ml.data returns, got %s", type(o.data))
  end
  for _, part in ipairs { "val", "test" } do
    local d = rawget(o.data, part)
    if d and d.classes > o.data.train.classes then
      fail("data: the %s part has labels up to %d, the training part only up to %d", part, d.classes - 1,
        o.data.train.classes - 1)
    end
  end
end

local function check_parts(o)
  for _, part in ipairs { "model", "loss", "optimizer" } do
    local hint = options.class_hint(o[part])
    if hint then fail("%s: %s", part, hint) end
  end
  if type(o.model) ~= "table" or type(o.model.parameters) ~= "function" then
    fail("model: expected an nn.Module, got %s", type(o.model))
  end
  if o.optimizer == nil and o.loop then
    o.optimizer = false                  -- a loop that moves the weights itself
  elseif type(o.optimizer) ~= "table" or type(o.optimizer.step) ~= "function" then
    fail("optimizer: expected one of ml.optim, got %s", type(o.optimizer))
  end
  local loss = getmetatable(o.loss)
  if type(o.loss) ~= "function" and not (loss and loss.__call) then
    fail("loss: expected a loss such as nn.CrossEntropyLoss() or a function(output, target), got %s", type(o.loss))
  end
  if o.loop ~= nil and type(o.loop) ~= "function" then fail("loop: expected a function(run), got %s", type(o.loop)) end
  if o.schedule ~= nil and not o.optimizer then
    fail "schedule: there is no optimizer whose learning rate it could set"
  end
  if o.schedule ~= nil then o.schedule = sched.check(o.schedule) or o.schedule end
end

local function check_augment(o)
  if o.augment ~= nil then
    if not augment.is_augment(o.augment) then
      fail("augment: expected ml.augment { ... }, got %s", options.show(o.augment))
    end
    o.augment:core_options(o.data.train)     -- tells what does not fit the pictures
  end
  if o.views ~= nil and not tta.is_views(o.views) then
    fail("views: expected ml.tta { ... }, got %s", options.show(o.views))
  end
end

local function check_sizes(o)
  local n = #o.data.train
  if o.batch == "all" then o.batch = n end
  local batch = math.tointeger(o.batch)
  if not batch or batch < 1 then
    fail("batch: expected a whole number of images, at least 1, or \"all\", got %s", tostring(o.batch))
  end
  o.batch = math.min(batch, n)
end

local function check_metrics(o)
  for _, name in ipairs(o.metrics or {}) do metrics.check_name("ml.experiment: metrics", name, o.metrics) end
  local expect = type(o.expect) == "string" and { o.expect } or o.expect or {}
  o.conditions = {}
  for i, text in ipairs(expect) do
    o.conditions[i] = metrics.parse_condition(text, function(msg) fail("expect: %s", msg) end)
  end
end

--- Describes an experiment; a config returns it. Keys:
---   data, model, loss, optimizer   required (the optimizer not where a loop of one's own does without)
---   name          of the run's folder ("experiment")
---   schedule      a function of ml.sched, or any function(step, progress) -> learning rate
---   momentum      the same for the optimizer's momentum (the first beta of Adam and its kin)
---   clip          the greatest norm of the gradients, or { norm = , value = }: the optimizer's clip_norm, clip_value
---   accumulate    batches (1) whose gradients are added up before the optimizer moves, as one large batch
---   average       optim.EMA { ... } or optim.SWA { ... }: averaged weights are evaluated and saved
---   epochs (10)   or steps, where the run is to end elsewhere
---   batch (128)   images per step, or "all"; eval_batch (1000); drop_last (false); shuffle (true)
---   augment       ml.augment { ... }: how the training pictures are varied
---   views         ml.tta { ... }: at the end the test set is measured with these views, too ("test.views.acc")
---   eval_every    epochs between two evaluations (1)
---   checkpoint    when the run's state is saved: a number of steps, a time such as "10m", "epoch" or "never", or
---                 { every = , keep = 3, best = "val.acc" }; at the ends of epochs, at most every 30 s, if not given
---   precision     of matrix products: "f32", "bf16", "bf16x3", or "auto" (bf16 on AMX, else f32); f32 if it is not
---                 given, unless ml.precision was called before
---   loop          a training loop of one's own: function(run)
---   on            functions by event; callbacks: a list of functions and tables (mnistlua.train.events, ml.callbacks)
---   metrics       further metrics to show: "grad_norm", or one's own, named "user...."
---   report        whether the run's end writes report.html (true)
---   expect        conditions on the result, such as "test.acc>=0.97"; missing one is exit code 3
function m.new(given)
  local o = options.read("ml.experiment", given, spec)
  if o.steps and given.epochs then fail "give epochs or steps, not both" end
  check_data(o)
  check_parts(o)
  check_augment(o)
  events.check_experiment(o)
  step_options.check(o)
  check_sizes(o)
  check_metrics(o)
  o.where = core.where()
  o.listeners = events.listeners(o.on, o.callbacks)
  context.pending = o.where
  return setmetatable(o, Experiment)
end

function m.is_experiment(x) return getmetatable(x) == Experiment end

return m
