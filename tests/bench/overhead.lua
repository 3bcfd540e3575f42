-- What a training step costs besides arithmetic: mnistlua tests/bench/overhead.lua [rounds=7] [steps=4000].
--
-- Four layers, one unit each and ten outputs, images of 2x2, a batch of one and one thread leave the kernels next to
-- nothing to do, so the time of a step (the processor's, which busy neighbours disturb least) is an upper bound. It is
-- measured at the three depths that a script can work at, which all call the same kernels:
--
--   trainer   ml.experiment and its own loop, with SGD: counters, metrics, events, progress, signals
--   recorded  the same, with the metrics of every step written to a database of runs
--   own loop  the same run, with the loop written out in the config: run:batches()
--   core      no run, no modules: a loader, the operations one by one, backward, optim_step
--
-- `recorded - trainer` is what recording costs, the writing included;
-- `trainer - core` is what the trainer, nn and optim cost in Lua; `core` is the tape, the bindings and the kernels.
-- Beside the medians: what a step asks of the allocators.
local ml = require "mnistlua"
local core = require "mnistlua.core"
local dataset = require "mnistlua.data.dataset"
local progress = require "mnistlua.train.progress"
local recorder = require "mnistlua.train.recorder"
local trainer = require "mnistlua.trainer"
local nn, optim = ml.nn, ml.optim

local p = ml.params {
  rounds = { 7, "measurements of each, taken in turn", min = 1 },
  steps  = { 4000, "steps of each measurement", min = 10 },
}

local warm = 200        -- steps before each measurement
local images = core.make_digits(p.steps + warm + 1, 1)

-- The digits' corners as images of 2x2: what is in them does not matter.
local function small_data()
  local pixels, labels = {}, {}
  for i = 1, #images do
    local _, label = images:get(i)
    pixels[i], labels[i] = { { i % 256, i * 7 % 256 }, { i * 31 % 256, i * 89 % 256 } }, label
  end
  return dataset.dataset(core.dataset(core.tensor(pixels, "u8"), core.tensor(labels, "i32"), 10), "corners", "unit")
end

local data = small_data()

-- ---- the stop watch ----

local watch = {}

local function begin_watch()
  collectgarbage()
  collectgarbage "stop"                            -- to count what a step leaves behind
  watch.lua, watch.memory = collectgarbage "count", core.memory()
end

-- After `warm` steps: some hundred to count, the rest to time.
local function tick(step, run)
  if step == warm then
    begin_watch()
  elseif step == warm + 50 then
    local now = core.memory()
    watch.lua = (collectgarbage "count" - watch.lua) * 1024 / 50
    watch.allocations = (now.allocations - watch.memory.allocations) / 50
    watch.mallocs = now.system_calls - watch.memory.system_calls
    collectgarbage "restart"
    watch.started = os.clock()
  elseif step == p.steps + warm then
    if run and run.recorder then run.recorder:flush() end
    watch.microseconds = (os.clock() - watch.started) / (p.steps - 50) * 1e6
    return true
  end
end

-- ---- the depths ----

local function experiment(loop)
  local model = nn.Sequential { nn.Flatten() }
  for _ = 1, 3 do model:add(nn.Linear(1)):add(nn.ReLU()) end
  return ml.experiment {
    data = data, model = model:add(nn.Linear(10)), loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.05 },
    batch = 1, steps = p.steps + warm + 1, loop = loop, on = { batch_end = function(run) tick(run.step, run) end },
  }
end

local function train(loop)
  trainer.train(trainer.prepare(experiment(loop), { seed = 0 }), { progress = progress.new { quiet = true } })
end

-- What would be a run's folder; its weights are not saved.
local function train_recorded()
  local out = os.tmpname()
  os.remove(out)
  assert(core.make_dirs(out .. "/20260101-000000-unit"))
  local store = { recorder = recorder.new(out, "20260101-000000-unit"), save_weights = function() return "none" end }
  trainer.train(trainer.prepare(experiment(), { seed = 0 }), {
    progress = progress.new { quiet = true }, store = store,
  })
  store.recorder:close()
  os.execute(("rm -r '%s'"):format(out))
end

local function own_loop(run)
  for x, y in run:batches() do
    run.optimizer:zero_grad()
    local loss = run.loss(run.model(x), y)
    loss:backward()
    run.optimizer:step()
    run:log { ["train.loss"] = loss:item() }
  end
end

local function core_loop()
  local loader = data:loader { batch = 1, shuffle = true, seed = 0 }
  local params, slots = {}, {}
  for i, shape in ipairs { { 1, 4 }, { 1 }, { 1, 1 }, { 1 }, { 1, 1 }, { 1 }, { 10, 1 }, { 10 } } do
    params[i], slots[i] = core.randn(shape):requires_grad_(), {}
  end
  local w1, b1, w2, b2, w3, b3, w4, b4 = table.unpack(params)
  local hyper = { lr = 0.05 }
  loader:start(1, 1)
  for step = 1, #data do
    core.step_begin(1, step)
    local x, y = loader:next()
    x = x:flatten()
    for _, layer in ipairs { { w1, b1 }, { w2, b2 }, { w3, b3 } } do x = core.linear_relu(x, layer[1], layer[2]) end
    local loss = core.cross_entropy(core.linear(x, w4, b4), y)
    core.zero_grad(params)
    loss:backward()
    hyper.step = step
    core.optim_step("SGD", params, slots, hyper)
    if tick(step) then break end
  end
  core.step_end()
end

-- ---- the table ----

local depths = {
  { "trainer", function() train() end }, { "recorded", train_recorded },
  { "own loop", function() train(own_loop) end }, { "core", core_loop },
}

local function median(list)
  table.sort(list)
  return (list[(#list + 1) // 2] + list[#list // 2 + 1]) / 2
end

local threads = core.threads()
core.threads(1)
for _ = 1, p.rounds do
  for _, depth in ipairs(depths) do
    watch = {}
    depth[2]()
    depth.times = depth.times or {}
    table.insert(depth.times, watch.microseconds)
    depth.last = watch
  end
end
core.threads(threads)

print(("a step besides arithmetic, one thread, %s; median of %d"):format(core.isa(), p.rounds))
print(("%-10s %8s %12s %14s %14s"):format("", "us", "allocations", "bytes of Lua", "mallocs in 50"))
for _, depth in ipairs(depths) do
  local last = depth.last
  print(("%-10s %8.1f %12.0f %14.0f %14d"):format(depth[1], median(depth.times), last.allocations, last.lua,
    last.mallocs))
end
print(("%-10s %8.1f"):format("trainer - core", median(depths[1].times) - median(depths[4].times)))
print(("%-10s %5.1f"):format("recorded - trainer", median(depths[2].times) - median(depths[1].times)))
