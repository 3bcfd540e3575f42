-- The benchmark: an ordinary experiment (784-512-128-64-10, SGD) through the ordinary trainer, and one full-batch step
-- of the notebook's, each beside NumPy and PyTorch (peers.py) measured in turn with it. Medians over the rounds; a
-- ratio above 1 means that mnistlua is faster.
local ml = require "mnistlua"
local core = require "mnistlua.core"
local trainer = require "mnistlua.trainer"
local progress = require "mnistlua.train.progress"
local nn, optim = ml.nn, ml.optim

local p = ml.params {
  rounds  = { 3, "measurements of each, taken in turn", min = 1 },
  seconds = { 1.5, "seconds of each measurement", min = 0.1 },
}

local cases = {
  { name = "train, batch 64", batch = 64 }, { name = "train, batch 128", batch = 128 },
  { name = "train, batch 1024", batch = 1024 }, { name = "notebook step (9,000 images)", batch = 9000 },
}

local images = ml.data.digits { n = 20000, seed = 1 }
local quiet = progress.new { quiet = true }

local function model(widths, outputs)
  local m = nn.Sequential { nn.Flatten() }
  for _, width in ipairs(widths) do m:add(nn.Linear(width)):add(nn.ReLU()) end
  return m:add(nn.Linear(outputs))
end

-- Trains for about `seconds` after a warm-up and returns images/s and seconds per step.
local function measure(net, data, batch, seconds)
  local warm, started, first, steps = math.max(3, 6400 // batch), nil, 0, 0
  local experiment = ml.experiment {
    data = data, model = net, loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.05 }, batch = batch,
    drop_last = true, epochs = 100000,
    on = {
      batch_end = function(run)
        if run.step == warm then started, first = core.clock(), run.step end
        if started and core.clock() - started >= seconds and run.step > first + 1 then
          steps = run.step - first
          started = core.clock() - started
          run:stop()
        end
      end,
    },
  }
  trainer.train(trainer.prepare(experiment, { seed = 0 }), { progress = quiet })
  return steps * batch / started, started / steps
end

local function ours(case)
  local data = case.batch == 9000 and images:subset(1, 9000) or images.train
  local rate, step = measure(model({ 512, 128, 64 }, 10), data, case.batch, p.seconds)
  return case.batch == 9000 and step or rate
end

-- ---- the peers ----

local folder = core.root .. "/tests/bench"

local function cpu_has(flag)
  local text = core.read_file("/proc/cpuinfo", 1 << 24) or ""
  return text:find(flag, 1, true) ~= nil
end

-- Every setting that may be a library's best here: one thread or all, and OpenBLAS told of AVX-512 where there is one.
local function settings()
  local list = {}
  for _, threads in ipairs(core.threads() > 1 and { 1, core.threads() } or { 1 }) do
    list[#list + 1] = ("OMP_NUM_THREADS=%d OPENBLAS_NUM_THREADS=%d"):format(threads, threads)
    if cpu_has "avx512f" then list[#list + 1] = list[#list] .. " OPENBLAS_CORETYPE=SKYLAKEX" end
  end
  return list
end

-- Runs peers.py for one library and setting; returns its figures by batch, or nil if the library is not there.
local function peer(name, setting)
  local command = ("%s /usr/bin/python3 '%s/peers.py' %s %g 2>/dev/null"):format(setting, folder, name, p.seconds)
  local pipe = assert(io.popen(command))
  local figures
  for line in pipe:lines() do
    local batch, value = line:match "^(%d+) (%S+)$"
    if batch then
      figures = figures or {}
      figures[tonumber(batch)] = tonumber(value)
    end
  end
  pipe:close()
  return figures
end

local function better(a, b, batch)
  if not a then return b end
  if batch == 9000 then return math.min(a, b) end     -- seconds a step
  return math.max(a, b)                               -- images/s
end

local function best_peer(name)
  local best
  for _, setting in ipairs(settings()) do
    local figures = peer(name, setting)
    if not figures then return nil end
    best = best or {}
    for batch, value in pairs(figures) do best[batch] = better(best[batch], value, batch) end
  end
  return best
end

-- ---- the table ----

local function median(list)
  table.sort(list)
  local n = #list
  return n % 2 == 1 and list[n // 2 + 1] or (list[n // 2] + list[n // 2 + 1]) / 2
end

local function collect()
  local figures = { mnistlua = {}, numpy = {}, torch = {} }
  for _ = 1, p.rounds do
    for _, case in ipairs(cases) do
      figures.mnistlua[case.batch] = figures.mnistlua[case.batch] or {}
      table.insert(figures.mnistlua[case.batch], ours(case))
    end
    for _, name in ipairs { "numpy", "torch" } do
      for batch, value in pairs(best_peer(name) or {}) do
        figures[name][batch] = figures[name][batch] or {}
        table.insert(figures[name][batch], value)
      end
    end
  end
  return figures
end

local function cell(list, batch)
  if not list then return "-" end
  local value = median(list)
  if batch == 9000 then return ("%.0f ms"):format(value * 1e3) end
  return progress.thousands(value) .. "/s"
end

local function ratio(figures, name, batch)
  if not figures[name][batch] then return "-" end
  local r = median(figures.mnistlua[batch]) / median(figures[name][batch])
  return ("%.1fx"):format(batch == 9000 and 1 / r or r)
end

local figures = collect()
print(("784-512-128-64-10, SGD, f32; %d threads, %s; images/s, median of %d"):format(core.threads(), core.isa(),
  p.rounds))
print(("%-30s %14s %14s %7s %14s %7s"):format("", "mnistlua", "NumPy", "ratio", "PyTorch", "ratio"))
for _, case in ipairs(cases) do
  local b = case.batch
  print(("%-30s %14s %14s %7s %14s %7s"):format(case.name, cell(figures.mnistlua[b], b), cell(figures.numpy[b], b),
    ratio(figures, "numpy", b), cell(figures.torch[b], b), ratio(figures, "torch", b)))
end

-- What a step costs besides arithmetic: the same calls on layers of one unit and a batch of one.
local _, overhead = measure(model({ 1, 1, 1 }, 10), images:subset(1, 1000), 1, p.seconds / 2)
local step = 128 / median(figures.mnistlua[128])
print(("a step's cost besides arithmetic (layers of width 1, batch 1): %.0f us, %.1f%% of a step at batch 128"):format(
  overhead * 1e6, 100 * overhead / step))
