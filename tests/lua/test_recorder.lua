-- What a training leaves: the run's folder with run.json, lock and result, and its metrics in the database; and that it
-- goes on where the database cannot be used.
local lu = require "luaunit"
local ml = require "mnistlua"
local core = require "mnistlua.core"
local facts = require "mnistlua.train.facts"
local folder = require "mnistlua.store.folder"
local metrics = require "mnistlua.store.metrics"
local progress = require "mnistlua.train.progress"
local run_folder = require "mnistlua.train.store"
local store = require "mnistlua.store"
local trainer = require "mnistlua.trainer"
local nn, optim = ml.nn, ml.optim

TestRecorder = {}

local data = ml.data.digits { n = 80, test = 20, val = 16, seed = 5 }
local out, said

local function remove_tree(path)
  if os.remove(path) or not core.is_dir(path) then return end
  for _, name in ipairs(core.list_dir(path)) do remove_tree(path .. "/" .. name) end
  os.remove(path)
end

function TestRecorder:setUp()
  out, said = os.tmpname(), {}
  os.remove(out)
end

function TestRecorder:tearDown() remove_tree(out) end

local function prepare(changes)
  ml.manual_seed(0)
  local e = {
    name = "small", data = data, loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1 }, batch = 32,
      epochs = 2,
    model = nn.Sequential { nn.Flatten(), nn.Linear(8), nn.ReLU(), nn.Linear(10) },
  }
  for k, v in pairs(changes or {}) do e[k] = v end
  return trainer.prepare(ml.experiment(e), { seed = 0 })
end

local function display()
  local p = progress.new { quiet = true }
  p.message = function(_, text) said[#said + 1] = text end
  return p
end

-- Trains with a run folder; returns the result, the folder, and the recorder's view of it.
local function train(changes, prepared_store)
  local run = prepare(changes)
  local s <close> = prepared_store or assert(run_folder.create(out, facts.of(run)))
  local result = trainer.train(run, { progress = display(), store = s })
  assert(s:save_result(result))
  return result, s, run
end

local function last(f)
  return store.with(out, {}, function(db)
    local record = assert(store.find(db, "last"))
    return f(record, db)
  end)
end

function TestRecorder:testEveryStepAndEpoch()
  local seen = {}
  local result = train { metrics = { "user.x", "grad_norm" }, on = {
    batch_end = function(run) if run.step % 2 == 0 then run:log { ["user.x"] = run.step / 4 } end end,
    after_forward = function(run, loss) seen[run.step] = loss:item() end,
  } }
  last(function(record, db)
    local steps, losses = metrics.over_steps(db, record.id, "train.loss")
    lu.assertEquals(steps, { 1, 2, 3, 4 })
    lu.assertEquals(losses, seen)
    lu.assertEquals({ metrics.over_steps(db, record.id, "user.x") }, { { 2, 4 }, { 0.5, 1.0 } })
    lu.assertEquals(#metrics.over_steps(db, record.id, "grad_norm"), 4)
    lu.assertEquals({ metrics.over_steps(db, record.id, "lr") }, { { 1, 2, 3, 4 }, { 0.1, 0.1, 0.1, 0.1 } })
    local epochs, values = metrics.over_epochs(db, record.id, "val.acc")
    lu.assertEquals(epochs, { 1, 2 })
    lu.assertEquals(values[2], result["val.acc"])
    lu.assertEquals(metrics.epochs(db, record.id)[2]["test.acc"], result["test.acc"])   -- measured at the end only
    lu.assertEquals({ record.status, record.epoch, record.epochs, record.step, record.steps }, { "done", 2, 2, 4, 4 })
    lu.assertEquals(record.results["test.acc"], result["test.acc"])
    lu.assertEquals(record.results["train.loss"], result["train.loss"])
  end)
  lu.assertEquals(said, {})
end

function TestRecorder:testAnOwnLoop()
  train { epochs = 1, loop = function(run)
    for x, y in run:batches() do
      run.optimizer:zero_grad()
      local loss = run.loss(run.model(x), y)
      loss:backward()
      run.optimizer:step()
      if run.step ~= 2 then run:log { ["train.loss"] = run.step } end
    end
  end }
  last(function(record, db)
    lu.assertEquals({ metrics.over_steps(db, record.id, "train.loss") }, { { 1 }, { 1.0 } })
    lu.assertEquals({ metrics.over_steps(db, record.id, "lr") }, { { 1, 2 }, { 0.1, 0.1 } })
  end)
end

function TestRecorder:testTheFolder()
  local _, s = train()
  local read = assert(core.json_decode(assert(core.read_file(s.dir .. "/run.json"))))
  lu.assertStrMatches(s.name, "%d%d%d%d%d%d%d%d%-%d%d%d%d%d%d%-small")
  lu.assertEquals({ read.name, read.seed, read.precision, read.isa, read.version, read.threads },
    { "small", 0, core.precision(), core.isa(), core.version, core.threads() })
  lu.assertEquals({ read.data, read.data_hash }, { tostring(data), data:hash() })
  lu.assertEquals(read.options, { epochs = 2, steps = 4, batch = 32 })
  lu.assertEquals(folder.read(out, s.name).status, "done")
  lu.assertNil(core.lock_holder(s.dir .. "/lock"))
end

function TestRecorder:testARunUnderWay()
  local statuses = {}
  train { on = { epoch_start = function(run)
    last(function(record) statuses[#statuses + 1] = ("%s %d"):format(record.status, record.epoch or 0) end)
    if run.epoch == 1 then
      local other, problem = run_folder.open(last(function(record) return record.dir end))
      lu.assertNil(other)
      lu.assertStrMatches(problem, ".*%-small: process %d+ trains in this folder")
    end
  end } }
  lu.assertEquals(statuses, { "running 0", "running 1" })
end

function TestRecorder:testFoldersOfOneSecond()
  local run = prepare()
  local given = facts.of(run)
  local a <close> = assert(run_folder.create(out, given))
  local b <close> = assert(run_folder.create(out, given))
  local c <close> = assert(run_folder.create(out, given))
  lu.assertEquals({ b.name, c.name }, { a.name .. "-2", a.name .. "-3" })
end

function TestRecorder:testErrorsAreResults()
  local function failing(message)
    return pcall(train, { on = { before_step = function(run) if run.step == 3 then error(message, 0) end end } })
  end
  lu.assertFalse(failing "on purpose")
  last(function(record)
    lu.assertEquals({ record.status, record.step, record.epoch }, { "failed", 3, 2 })
    local result = assert(core.json_decode(assert(core.read_file(record.dir .. "/result.json"))))
    lu.assertEquals({ result.status, result.error, result.steps }, { "failed", "on purpose", 3 })
  end)
  remove_tree(out)
  lu.assertFalse(pcall(train, { optimizer = optim.SGD { lr = 1e30 }, epochs = 20 }))
  last(function(record) lu.assertEquals(record.status, "diverged") end)
end

-- ---- going on with a run ----

function TestRecorder:testRewind()
  local _, s = train()
  local again = assert(run_folder.open(s.dir))
  lu.assertFalse(core.exists(s.dir .. "/result.json"))
  lu.assertEquals(last(function(record) return record.status end), "running")
  again.recorder:rewind(3)
  last(function(record, db)
    lu.assertEquals(metrics.over_steps(db, record.id, "train.loss"), { 1, 2, 3 })
    lu.assertEquals(#metrics.epochs(db, record.id), 1)
  end)
  again:close()
  lu.assertEquals(last(function(record) return record.status end), "killed")
end

-- ---- databases that cannot be used ----

function TestRecorder:testADatabaseThatFailsOnTheWay()
  local result = train { on = { epoch_start = function(run)
    if run.epoch == 2 then
      local db = assert(store.open(out, {}))
      db:exec "DROP TABLE epochs"
      db:close()
    end
  end } }
  lu.assertEquals(result.status, "done")
  lu.assertEquals(#said, 1)
  lu.assertStrContains(said[1], "warning: this run is not recorded: ")
end

-- What others keep busy is written later.
function TestRecorder:testABusyDatabase()
  local other
  train { on = {
    epoch_start = function(run)
      if run.epoch == 2 then
        other = assert(store.open(out, {}))
        other:exec "BEGIN IMMEDIATE"
      end
    end,
    finish = function() other:exec "COMMIT" end,
  } }
  other:close()
  lu.assertEquals(said, {})
  last(function(record, db) lu.assertEquals(#metrics.over_steps(db, record.id, "train.loss"), 4) end)
end
