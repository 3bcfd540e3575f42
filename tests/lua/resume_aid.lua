-- For the tests of checkpoints: experiments of a few steps that between them use everything that has a state, each made
-- anew by its function; and training one, whole or from a checkpoint.
local ml = require "mnistlua"
local checkpoint_facts = require "mnistlua.train.checkpoint_facts"
local core = require "mnistlua.core"
local file = require "mnistlua.train.checkpoint_file"
local pack = require "mnistlua.train.pack"
local progress = require "mnistlua.train.progress"
local trainer = require "mnistlua.trainer"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

local m = {}

-- 72 to train on: batches of 16, 16, 16, 16 and 8.
local data = ml.data.digits { n = 96, test = 24, val = 24, seed = 5 }
m.steps_per_epoch = 5

-- ---- experiments ----

local function mlp(...)
  local model = nn.Sequential { nn.Flatten(), nn.Linear(12) }
  for _, layer in ipairs { ... } do model:add(layer) end
  return model:add(nn.ReLU()):add(nn.Linear(10))
end

local function base(changes)
  local e = {
    data = data, model = mlp(), loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1, momentum = 0.9 },
    batch = 16, epochs = 3,
  }
  for key, value in pairs(changes) do e[key] = value end
  if e.steps then e.epochs = nil end
  e.optimizer = e.optimizer or nil
  return e
end

m.experiments = {}

local function add(name, changes)
  m.experiments[#m.experiments + 1] = { name, function() return base(changes()) end }
end

local optimizers = {
  SGD = function() return optim.SGD { lr = 0.1 } end,
  nesterov = function() return optim.SGD { lr = 0.1, momentum = 0.9, nesterov = true, weight_decay = 1e-3 } end,
  Adam = function() return optim.Adam {} end,
  AdamW = function() return optim.AdamW { groups = { { "%.bias$", weight_decay = 0, lr = 1e-2 } } } end,
  NAdam = function() return optim.NAdam {} end,
  RMSprop = function() return optim.RMSprop { centered = true, momentum = 0.5 } end,
  Adagrad = function() return optim.Adagrad { lr_decay = 0.1 } end,
  Lion = function() return optim.Lion { lr = 1e-3 } end,
  Muon = function() return optim.Muon { lr = 0.01 } end,
  ["schedule-free SGD"] = function() return optim.SGDScheduleFree { lr = 0.5 } end,
  ["schedule-free AdamW"] = function() return optim.AdamWScheduleFree {} end,
  LBFGS = function() return optim.LBFGS { lr = 0.1, max_iter = 3, history_size = 4 } end,
  ["LBFGS with a line search"] = function() return optim.LBFGS { max_iter = 2, line_search_fn = "strong_wolfe" } end,
  SAM = function() return optim.SAM(optim.SGD { lr = 0.1, momentum = 0.9 }, { rho = 0.1 }) end,
}
for _, name in ipairs(require("mnistlua.options").sorted_keys(optimizers)) do
  add(name, function() return { optimizer = optimizers[name]() } end)
end

add("EMA with batch norm", function()
  return { average = optim.EMA { decay = 0.9 }, model = mlp(nn.BatchNorm1d()) }
end)
add("SWA at epochs", function() return { average = optim.SWA { start = 0.3 } } end)
add("SWA at steps", function()
  return { average = optim.SWA { start = 0.3, every = 2 }, model = mlp(nn.BatchNorm1d()) }
end)
add("schedule-free with batch norm", function()
  return { optimizer = optim.SGDScheduleFree { lr = 0.5 }, model = mlp(nn.BatchNorm1d()) }
end)
local function plateau() return sched.plateau { lr = 0.1, patience = 0, threshold = 0.5 } end
add("plateau", function() return { schedule = plateau(), epochs = 4 } end)
add("a sequence with a plateau", function()
  return { schedule = sched.SequentialLR { sched.constant(0.05), plateau(), milestones = { 1 } } }
end)
add("one cycle for rate and momentum", function()
  return { schedule = sched.OneCycleLR { max_lr = 0.2 }, momentum = sched.OneCycleMomentum {} }
end)
add("dropout and noise", function()
  return { model = mlp(nn.Dropout(0.3), nn.GaussianNoise(0.1), nn.BatchNorm1d()) }
end)
add("augmentation with mixup", function()
  return { augment = ml.augment { rotate = 15, shift = 2, elastic = { rms = 0.7 }, mixup = 0.3, noise = 0.05 } }
end)
add("augmentation by a schedule", function()
  return { augment = ml.augment { shift = 3, cutmix = 0.5, strength = function(_, p) return p end } }
end)
add("accumulation", function() return { accumulate = 2, clip = 0.5, optimizer = optim.Adam {} } end)
add("accumulation over more", function() return { accumulate = 4, average = optim.EMA { decay = 0.5 } } end)
add("a limit of steps", function() return { steps = 12, drop_last = false } end)
add("drop_last, rare evaluation, no shuffling", function()
  return { drop_last = true, eval_every = 2, epochs = 4, shuffle = false }
end)
add("the best by validation", function() return { checkpoint = { every = 4, best = "val.loss", keep = 2 } } end)
add("emulated bf16, then f32", function()
  return { precision = "bf16", on = { epoch_start = function(run) if run.epoch == 2 then ml.precision "f32" end end } }
end)
add("random numbers of the script", function()
  return { metrics = { "user.noise" }, on = {
    batch_end = function(run)
      run:log { ["user.noise"] = math.random() + ml.rand(2):sum():item() }
      run.model[2].bias:add_(ml.randn(12), 1e-3)
    end,
  } }
end)

-- ---- callbacks ----

local Best = {}
Best.__index = Best
function Best:epoch_end(run)
  self.seen = self.seen + 1
  self.history[#self.history + 1] = run.metrics["val.loss"]
  if run.metrics["val.loss"] < self.best then
    self.best, self.weight = run.metrics["val.loss"], run.model[2].weight:clone()
  end
end

local function counter()
  local c = { private = 0 }
  function c.state() return { private = c.private, tensor = ml.full({ 2 }, c.private) } end
  function c.load_state(_, s)
    assert(math.abs(s.tensor[1] - s.private) < 1e-4)
    c.private = s.private
  end
  function c.batch_end(_, run)
    c.private = c.private + run.metrics["train.loss"]
    run.model[2].bias:add_(c.private * 1e-4)
  end
  return c
end

add("callbacks with a state", function()
  return { callbacks = {
    setmetatable({ seen = 0, best = math.huge, history = {}, unsaved = io.stdout }, Best), function() end, counter(),
    { checkpoint = function(c) c.count = (c.count or 0) + 1 end },
  }, checkpoint = 4 }
end)
add("early stopping", function()
  return { epochs = 9, callbacks = { { bad = 0, epoch_end = function(c, run)
    c.bad = c.bad + 1
    if c.bad == 3 then run:stop "enough" end
  end } } }
end)
add("callbacks of the library", function()
  local cb = ml.callbacks
  return { epochs = 6, model = mlp(nn.BatchNorm1d()), callbacks = {
    cb.EMA { decay = 0.5 }, cb.EarlyStopping { "val.loss", min_delta = 0.7, patience = 2 }, cb.BestWeights {},
    cb.StopOnTarget "val.acc>1", cb.TimeLimit "1h", cb.Checkpoint { every = 4 },
  } }
end)
add("layers that thaw", function()
  return { on = {
    start = function(run) run.model[2]:requires_grad_(false) end,
    epoch_start = function(run) if run.epoch == 2 then run.model[2]:requires_grad_(true) end end,
  } }
end)

-- ---- loops of one's own ----

local function step(run, x, y)
  local loss = run.loss(run.model(x), y)
  loss:backward()
  return loss:item()
end

add("a loop of one's own", function()
  return { loop = function(run)
    for x, y in run:batches() do
      run.optimizer:zero_grad()
      run.state.sum = (run.state.sum or 0) + step(run, x, y)
      run.optimizer.lr = 0.1 / (1 + run.state.sum)
      run.optimizer:step()
      run:log { ["train.loss"] = run.state.sum }
    end
  end }
end)
add("a loop that accumulates", function()
  return { loop = function(run)
    for x, y in run:batches() do
      run:log { ["train.loss"] = step(run, x, y) }
      if run.step % 3 == 0 then
        run.optimizer:step()
        run.optimizer:zero_grad()
      end
    end
  end }
end)
add("a loop that puts averages in place", function()
  return { optimizer = optim.SGDScheduleFree { lr = 0.5 }, loop = function(run)
    for x, y in run:batches() do
      run.optimizer:train()
      run.optimizer:zero_grad()
      run:log { ["train.loss"] = step(run, x, y) }
      run.optimizer:step()
      run.optimizer:eval()
    end
  end }
end)
add("a loop with a break and momentum by hand", function()
  return { optimizer = false, loop = function(run)
    local v = run.state
    for x, y in run:batches() do
      run.model:zero_grad()
      local loss = step(run, x, y)
      for i, p in ipairs(run.model:parameters()) do
        v[i] = v[i] or ml.zeros(p.shape)
        v[i]:mul_(0.9):add_(p.grad)
        p:add_(v[i], -0.1)
      end
      run:log { ["train.loss"] = loss }
      if run.step == 13 then break end
    end
  end }
end)
add("a parameter beside the model", function()
  local model, scale = mlp(), nn.Parameter(ml.ones(1))
  local list = model:build(data:sample_shape()):parameters()
  list[#list + 1] = scale
  local ce = nn.CrossEntropyLoss()
  local function loss(out, y) return ce(out * scale, y) end
  return { model = model, optimizer = optim.Adam(list, { lr = 1e-2 }), loss = loss }
end)

-- ---- training ----

--- Trains what a function describes. given: dir (of checkpoints), seed, stop (the step in which it is sent SIGTERM),
--- from (a checkpoint as checkpoint_file.read gives it), every, adapt, say. Returns the result, the run and what
--- could not be saved.
function m.train(make, given)
  ml.manual_seed(given.seed or 0)
  local run = trainer.prepare(ml.experiment(make()), { seed = given.seed or 0 })
  if given.stop then
    table.insert(run.listeners.batch_start, function(r)
      if r.step == given.stop then os.execute "kill -TERM $PPID" end
    end)
  end
  local from = given.from
  local result, unsaved = trainer.train(run, {
    progress = progress.new { quiet = true }, resume = from and { checkpoint = from, adapt = given.adapt },
    checkpoints = {
      dir = given.dir, facts = pack.text(checkpoint_facts.of(run), "run", {}), every = given.every,
      say = given.say or error, resumed = from and file.step_of(from.path:match "[^/]+$"),
    },
  })
  return result, run, unsaved
end

--- The bytes of the newest checkpoint in a folder, its step, and its path.
function m.newest(dir)
  local steps = file.steps(dir)
  local path = dir .. "/" .. file.name(steps[#steps])
  return core.read_file(path), steps[#steps], path
end

--- The weights as they are saved for use, as bytes.
function m.weights(run, dir)
  assert(run.model:save(dir .. "/weights"))
  local bytes = core.read_file(dir .. "/weights")
  os.remove(dir .. "/weights")
  return bytes
end

return m
