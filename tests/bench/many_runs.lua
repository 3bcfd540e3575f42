-- Makes OUT with many finished runs, to see how fast the commands that list them answer:
--
--   mnistlua tests/bench/many_runs.lua out=/tmp/many runs=10000
--   time mnistlua runs --out /tmp/many 'test.acc>=0.98' --sort test.acc
--
-- Each run is a folder with run.json and result.json, as a training leaves it but without weights, and rows of epochs
-- and of some steps in runs.db.
local ml = require "mnistlua"
local core = require "mnistlua.core"
local folder = require "mnistlua.store.folder"
local index = require "mnistlua.store.index"
local json = require "mnistlua.json"
local metrics = require "mnistlua.store.metrics"
local store = require "mnistlua.store"

local p = ml.params {
  out   = { "many", "the folder to fill; it must not be there" },
  runs  = { 10000, "how many", min = 1 },
  steps = { 20, "rows of steps for each" },
}

local names = { "mlp512", "cnn", "lenet5", "fast98" }
local began = 1750000000

local function make(i)
  local lr, seed, acc = 0.01 * (1 + i % 30), i % 5, 0.95 + 0.049 * math.random()
  local started = began + 613 * i
  local name = ("%s-%s"):format(os.date("%Y%m%d-%H%M%S", started), names[i % #names + 1])
  local dir = p.out .. "/" .. name
  assert(core.make_dirs(dir))
  local function put(file, value)
    local f = assert(io.open(dir .. "/" .. file, "w"))
    f:write(json.encode(value), "\n")
    f:close()
  end
  put("run.json", {
    format = 1, name = names[i % #names + 1], config = "configs/" .. names[i % #names + 1] .. ".lua", seed = seed,
    params = { lr = ("%g"):format(lr), epochs = "10", batch = "128", hidden = "{512,128,64}" }, changed = { "lr" },
    precision = "f32", options = { epochs = 10, steps = 4690, batch = 128 }, data = "mnist: 60000 train, 10000 test",
    data_hash = "0123456789abcdef", version = core.version, isa = "avx2", threads = 2, started = started,
    tags = i % 100 == 0 and { "hundredth" } or {}, note = "",
  })
  put("result.json", {
    name = names[i % #names + 1], status = i % 50 == 0 and "interrupted" or "done", epochs = 10, steps = 4690,
      seed = seed,
    seconds = 24.5, ["train.loss"] = 0.0015, ["train.acc"] = 0.9997, ["test.loss"] = 0.06, ["test.acc"] = acc,
    ["test.errors"] = math.floor((1 - acc) * 10000), ["test.count"] = 10000, lr = 4e-07, images_per_s = 25994.125,
  })
  return name, acc
end

local function record(db, name, acc)
  local id, steps, epochs = index.put(db, folder.read(p.out, name)), {}, {}
  for step = 1, p.steps do
    for _, value in ipairs { id, step, 1, 2.3 / step, 1 - 1 / step, 0.1 } do steps[#steps + 1] = value end
  end
  for epoch = 1, 10 do
    for _, value in ipairs { id, "test.acc", epoch, 469 * epoch, acc - 0.1 / epoch } do epochs[#epochs + 1] = value end
  end
  metrics.put(db, steps, #steps, {}, 0, epochs, #epochs)
end

assert(not core.exists(p.out), p.out .. " is there already")
assert(core.make_dirs(p.out))
local db = assert(store.open(p.out, {}))
db:transaction(function()
  for i = 1, p.runs do record(db, make(i)) end
end)
db:close()
print(("%d runs in %s"):format(p.runs, p.out))
