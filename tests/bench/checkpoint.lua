-- What a checkpoint of the network of configs/mlp512.lua costs, part by part, in processor time and on the clock:
-- mnistlua tests/bench/checkpoint.lua. Training waits for the state to be gathered and copied; the thread in the
-- background writes meanwhile. Other processes show in the clock, hardly in the processor time.
local ml = require "mnistlua"
local core = require "mnistlua.core"
local file = require "mnistlua.train.checkpoint_file"
local progress = require "mnistlua.train.progress"
local state = require "mnistlua.train.state"
local trainer = require "mnistlua.trainer"
local nn, optim = ml.nn, ml.optim

core.threads(1)
local path = os.tmpname()
local data = ml.data.digits { n = 4000 }

local function prepare(optimizer)
  local model = nn.Sequential { nn.Flatten() }
  for _, width in ipairs { 512, 128, 64 } do model:add(nn.Linear(width)):add(nn.ReLU()) end
  return trainer.prepare(ml.experiment {
    data = data, model = model:add(nn.Linear(10)), loss = nn.CrossEntropyLoss(), optimizer = optimizer, epochs = 2,
  }, { seed = 0 })
end

local function median(list)
  table.sort(list)
  return list[#list // 2 + 1] * 1e3
end

local function measure(name, optimizer)
  local run, times = prepare(optimizer), {}
  local function note(part, cpu, clock)
    times[part] = times[part] or { cpu = {}, clock = {} }
    table.insert(times[part].cpu, os.clock() - cpu)
    table.insert(times[part].clock, core.clock() - clock)
    return os.clock(), core.clock()
  end
  table.insert(run.listeners.batch_end, function()
    local cpu, clock = os.clock(), core.clock()
    local save = state.take(run, "step", function(tensors, text)
      cpu, clock = note("gather", cpu, clock)
      local begun = file.begin(path, tensors, text, "{}")
      cpu, clock = note("copy", cpu, clock)
      return begun
    end)
    assert(save:wait())
    note("write", cpu, clock)
  end)
  trainer.train(run, { progress = progress.new { quiet = true } })
  local parts = {}
  for i, part in ipairs { "gather", "copy", "write" } do
    parts[i] = ("%s %.2f ms (%.2f on the clock)"):format(part, median(times[part].cpu), median(times[part].clock))
  end
  print(name .. ": " .. table.concat(parts, ", "))
end

measure("SGD", optim.SGD { lr = 0.05, momentum = 0.9 })
measure("Adam", optim.Adam {})
os.remove(path)
