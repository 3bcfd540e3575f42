-- Checkpoints as files: when they are saved, which are kept and which one is read, what is refused, what a changed
-- experiment takes over.
local lu = require "luaunit"
local aid = require "resume_aid"
local ml = require "mnistlua"
local checkpoint = require "mnistlua.train.checkpoint"
local core = require "mnistlua.core"
local facts = require "mnistlua.train.checkpoint_facts"
local file = require "mnistlua.train.checkpoint_file"
local restore = require "mnistlua.train.restore"
local trainer = require "mnistlua.trainer"
local nn, optim, sched = ml.nn, ml.optim, ml.sched

-- ---- files ----

TestCheckpoint = {}

function TestCheckpoint:setUp()
  local name = os.tmpname()
  os.remove(name)
  self.dir = (core.is_dir "/dev/shm" and "/dev/shm" or "/tmp") .. name:match "/[^/]+$"
  assert(core.make_dirs(self.dir))
  self.said = {}
  self.say = function(text) self.said[#self.said + 1] = text end
end

function TestCheckpoint:tearDown()
  local names = core.is_dir(self.dir) and core.list_dir(self.dir) or {}
  for _, name in ipairs(names) do os.remove(self.dir .. "/" .. name) end
  os.remove(self.dir)
end

local function tiny(changes)
  return function()
    local e = {
      data = ml.data.digits { n = 80, test = 16, val = 16, seed = 5 }, batch = 16, epochs = 3,
      model = nn.Sequential { nn.Flatten(), nn.Linear(6), nn.ReLU(), nn.Linear(10) },
      loss = nn.CrossEntropyLoss(), optimizer = optim.SGD { lr = 0.1, momentum = 0.9 },
    }
    for key, value in pairs(changes or {}) do e[key] = value end
    return e
  end
end

function TestCheckpoint:train(changes, given)
  given = given or {}
  given.dir, given.say = self.dir, self.say
  return aid.train(tiny(changes), given)
end

function TestCheckpoint:path(step) return self.dir .. "/" .. file.name(step) end

function TestCheckpoint:damage(step, change)
  local bytes = assert(core.read_file(self:path(step)))
  assert(core.write_file(self:path(step), change(bytes)))
end

local function flip(bytes)
  local at = #bytes - 100
  return bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 16) .. bytes:sub(at + 1)
end

local function cut(bytes) return bytes:sub(1, #bytes // 2) end

function TestCheckpoint:testWhen()
  for _, case in ipairs {
    { 4, { 4, 8, 12 } }, { 7, { 7, 12 } }, { "epoch", { 4, 8, 12 } }, { "10m", { 12 } }, { false, {} }, { "never", {} },
    { nil, { 12 } }, { { every = 3, keep = 2 }, { 9, 12 } }, { { every = 1, keep = 5 }, { 8, 9, 10, 11, 12 } },
  } do
    self:train { checkpoint = case[1] }
    lu.assertEquals(file.steps(self.dir), case[2])
    for _, step in ipairs(case[2]) do os.remove(self:path(step)) end
  end
  self:train({ checkpoint = 4 }, { every = { never = true } })
  lu.assertEquals(file.steps(self.dir), {})
end

function TestCheckpoint:testOnRequest()
  self:train { on = { batch_start = function(run) if run.step == 6 then run:request_checkpoint() end end } }
  lu.assertEquals(file.steps(self.dir), { 6, 12 })
end

function TestCheckpoint:testTheEventNamesTheFile()
  local heard = {}
  self:train { checkpoint = 6, on = { checkpoint = function(_, path) heard[#heard + 1] = path end } }
  lu.assertEquals(heard, { self:path(6), self:path(12) })
end

-- An accuracy that goes down after the first epoch.
function TestCheckpoint:testTheBestIsKept()
  local value = { 0.5, 0.9, 0.7, 0.6, 0.8, 0.1, 0.2 }
  local _, run = self:train {
    epochs = 7, checkpoint = { every = "epoch", best = "user.x", mode = "max", keep = 2 }, metrics = { "user.x" },
    on = { epoch_end = function(run) run.metrics["user.x"] = value[run.epoch] end },
  }
  lu.assertEquals(file.steps(self.dir), { 8, 24, 28 })
  lu.assertEquals(run.best, { metric = "user.x", value = 0.9, step = 8 })
end

function TestCheckpoint:testTheOneThatWasResumedFromIsKept()
  self:train({ checkpoint = 2 }, { stop = 5 })
  lu.assertEquals(file.steps(self.dir), { 2, 4, 5 })
  self:train({ checkpoint = { every = 1, keep = 2 } }, { from = assert(file.read(self:path(4))) })
  lu.assertEquals(file.steps(self.dir), { 4, 11, 12 })
end

function TestCheckpoint:testLaterOnesOfAnEarlierAttemptAreLeftAlone()
  self:train { checkpoint = { every = 3, keep = 4 } }
  self:train({ checkpoint = { every = 1, keep = 2 } }, { from = assert(file.read(self:path(3))), stop = 5 })
  lu.assertEquals(file.steps(self.dir), { 3, 4, 5, 6, 9, 12 })
end

-- What is damaged does not count, and does not push out what is whole.
function TestCheckpoint:testDamagedOnesAreNotCounted()
  self:train({ checkpoint = 1 }, { stop = 3 })
  lu.assertEquals(file.steps(self.dir), { 1, 2, 3 })
  self:damage(2, flip)
  self:damage(3, cut)
  self:train({ checkpoint = { every = 1, keep = 3 } }, { from = assert(file.read(self:path(1))), stop = 2 })
  lu.assertEquals(file.steps(self.dir), { 1, 2, 3 })
  lu.assertTrue(file.is_whole(self:path(2)))
end

function TestCheckpoint:testTheNewestThatCanBeReadIsUsed()
  self:train { checkpoint = 4 }
  local warned = {}
  local function newest() return file.newest(self.dir, function(text) warned[#warned + 1] = text end) end
  lu.assertEquals(newest().path, self:path(12))
  self:damage(12, flip)
  lu.assertEquals(newest().path, self:path(8))
  lu.assertEquals(#warned, 1)
  lu.assertStrContains(warned[1], "000012.safetensors: is damaged: its bytes have the checksum")
  lu.assertStrContains(warned[1], "; the one before it is used")
  self:damage(8, cut)
  lu.assertEquals(newest().path, self:path(4))
  lu.assertStrContains(warned[3], "step-000000000008.safetensors: ")
  self:damage(4, function() return "" end)
  local none, problem = newest()
  lu.assertNil(none)
  lu.assertStrContains(problem, "000012.safetensors: is damaged")
  lu.assertEquals(select(2, file.newest(self.dir .. "/nowhere", error)), self.dir .. "/nowhere: there is no checkpoint")
end

-- Every byte counts, and none is believed.
function TestCheckpoint:testTruncatedAndFlippedAnywhere()
  self:train { epochs = 1 }
  local path = self:path(4)
  local bytes = core.read_file(path)
  math.randomseed(3)
  for _ = 1, 150 do
    local at = math.random(#bytes)
    local flipped = string.char(bytes:byte(at) ~ (1 << math.random(0, 7)))
    core.write_file(path, bytes:sub(1, at - 1) .. flipped .. bytes:sub(at + 1))
    lu.assertNil((file.read(path)))
    core.write_file(path, bytes:sub(1, at - 1))
    lu.assertNil((file.read(path)))
  end
  core.write_file(path, bytes .. "x")
  lu.assertNil((file.read(path)))
end

function TestCheckpoint:testForeignFiles()
  local path = self.dir .. "/step-000000000001.safetensors"
  local function problem_of(bytes)
    core.write_file(path, bytes)
    local read, problem = file.read(path)
    lu.assertNil(read)
    lu.assertStrContains(problem, path .. ": ")
    return problem
  end
  lu.assertStrContains(problem_of "PK\3\4and a zip's content", "looks like a PyTorch zip; refused")
  lu.assertStrContains(problem_of "\x80\2}q\0X\1", "looks like a PyTorch pickle; refused")
  lu.assertStrContains(problem_of "", "has 0 bytes")
  assert(nn.Linear(2, 2):save(path))
  lu.assertStrContains(select(2, file.read(path)), "is not a checkpoint but a file of weights")
  local function with_version(version)
    assert(file.begin(path, {}, "{}", "{}"):wait())
    return (core.read_file(path):gsub('("mnistlua.checkpoint":)"1"', '%1"' .. version .. '"'))
  end
  lu.assertStrContains(problem_of(with_version "2"),
    "was written by a newer mnistlua: format 2, and this one reads up to 1")
  lu.assertStrContains(problem_of(with_version "x"), "is of format 'x'; expected 1")
  lu.assertStrContains(problem_of(with_version "0"), "is of format '0'; expected 1")
end

function TestCheckpoint:testLeftOversAreSwept()
  for _, name in ipairs {
    "step-000000000001.safetensors.12.3.tmp", "model.safetensors.9.0.tmp", "notes.tmp", "a.tmp.txt",
  } do
    core.write_file(self.dir .. "/" .. name, "x")
  end
  file.sweep(self.dir)
  lu.assertEquals(core.list_dir(self.dir), { "a.tmp.txt", "notes.tmp" })
end

-- ---- what goes wrong while a run goes on ----

function TestCheckpoint:testAFolderThatVanishesIsToldAndTheRunGoesOn()
  local dir = self.dir
  local result, _, unsaved = self:train { checkpoint = 1, on = { batch_start = function(run)
    if run.step == 2 then os.execute("rm -r " .. dir) end
  end } }
  lu.assertEquals(result.steps, 12)
  lu.assertStrContains(unsaved, "cannot create a file beside it: No such file or directory")
  lu.assertEquals(#self.said, 1)                      -- said once
  lu.assertStrContains(self.said[1], "warning: no checkpoint was saved: " .. dir)
end

function TestCheckpoint:testAnOptimizerOfOnesOwn()
  local function own()
    return {
      lr = 0.1, sum = 0, bind = function(o, model) o.params = model:parameters() end,
      zero_grad = function(o) for _, p in ipairs(o.params) do p.grad = nil end end,
      step = function(o)
        o.sum = o.sum + 1
        for _, p in ipairs(o.params) do p:add_(p.grad, -o.lr / o.sum) end
      end,
    }
  end
  self:train { optimizer = own() }
  lu.assertEquals(#self.said, 1)
  lu.assertStrContains(self.said[1], "the optimizer has no state_dict()")
  local function saving()
    local optimizer = own()
    function optimizer.state_dict(o) return { sum = o.sum, last = o.params[1].grad:clone() } end
    function optimizer.load_state_dict(o, s) o.sum = s.sum end
    return optimizer
  end
  self:train { optimizer = saving() }
  local whole = core.read_file(self:path(12))
  self:train({ optimizer = saving() }, { stop = 6 })
  self:train({ optimizer = saving() }, { from = assert(file.read(self:path(6))) })
  lu.assertTrue(core.read_file(self:path(12)) == whole)
  lu.assertEquals(#self.said, 1)
end

function TestCheckpoint:testWhatCannotBeSavedIsTold()
  local _, _, unsaved = self:train { on = { start = function(run) run.state.f = print end } }
  lu.assertStrContains(unsaved, "state.script.f is a function")
  lu.assertEquals(#self.said, 1)
end

function TestCheckpoint:testWeightsThatAreNoNumbersReplaceNothing()
  local function spoil(run)
    if run.step == 10 then run.model[2].weight:fill_(0 / 0) end
  end
  local function loop(run)
    for _ in run:batches() do run:log { ["train.loss"] = 1 } end
  end
  lu.assertErrorMsgContains("diverged at step 12", self.train, self,
    { checkpoint = { every = 1, keep = 3 }, on = { batch_end = spoil }, loop = loop })
  lu.assertEquals(file.steps(self.dir), { 7, 8, 9 })
end

function TestCheckpoint:testSettings()
  for _, case in ipairs {
    { { every = 0 }, "every is 0; expected a number of steps" }, { "10x", "every is '10x'" },
    { { keep = 1 }, "keep is 1" },
    { { evry = 1 }, "did you mean 'every'" }, { { mode = "max" }, "there is no best" }, { -3, "every is -3" },
    { { best = "val.los" }, "did you mean 'val.loss'" },
    { { best = "test.acc" }, "measured at the end only; follow val.acc" },
    { print, "every is a function" }, { { best = "user.x" }, "is not declared" },
  } do
    lu.assertErrorMsgContains(case[2], self.train, self, { checkpoint = case[1] })
  end
  lu.assertEquals(checkpoint.read_every "90s", { seconds = 90 })
  lu.assertEquals(checkpoint.read_every "1.5h", { seconds = 5400 })
  lu.assertEquals(checkpoint.check({ best = "val.acc" }).mode, "max")
  lu.assertEquals(checkpoint.check({ best = "val.loss" }).mode, "min")
end

-- ---- another experiment ----

local function prepared(changes, seed)
  ml.manual_seed(seed or 0)
  return trainer.prepare(ml.experiment(tiny(changes)()), { seed = seed or 0 })
end

function TestCheckpoint:testWhatDiffersIsNamed()
  local before = facts.of(prepared())
  lu.assertEquals(facts.differences(before, facts.of(prepared())), {})
  local function differences(changes, seed)
    return table.concat(facts.differences(before, facts.of(prepared(changes, seed))), "; ")
  end
  lu.assertEquals(differences(nil, 3), "seed was 0 and is 3")
  lu.assertEquals(differences { precision = "bf16" }, "precision was f32 and is bf16")
  lu.assertStrContains(differences { data = ml.data.digits { n = 96, test = 16, val = 16, seed = 5 } },
    "data: train was 64 samples")
  lu.assertEquals(differences { epochs = 4 }, "steps: 12 before, 16 now")
  local now = facts.of(prepared())
  before.config, now.config = "a\nb  \nc", "a\nb  \nd"
  lu.assertEquals(facts.differences(before, now), { "line 3 of the config was 'c' and is 'd'" })
  now.config = before.config .. "\n" .. ("x"):rep(100)
  lu.assertEquals(facts.differences(before, now), { "line 4 of the config was '' and is '" .. ("x"):rep(57) .. "...'" })
  before.params, now.params = { lr = 0.1, hidden = { 1, 2 }, old = true }, { lr = 0.2, hidden = { 1, 2 } }
  now.config = before.config
  lu.assertEquals(facts.differences(before, now), { "lr was 0.1 and is 0.2", "old was true and is not there" })
  lu.assertNil(facts.foreign(before, now))
  before.isa = "sse"
  lu.assertStrContains(facts.foreign(before, now), "the checkpoint is from instruction set sse, this is " .. core.isa())
end

-- The state of a run is refused by an experiment that it does not fit; with adapt only weights that do not fit are.
function TestCheckpoint:testWhatDoesNotFit()
  self:train({ callbacks = { { seen = 0, epoch_end = function(c) c.seen = c.seen + 1 end } } }, { stop = 5 })
  local saved = assert(file.read(self:path(5)))
  local callbacks = { { seen = 0, epoch_end = print } }
  local function check(changes, adapt)
    return restore.check(prepared(changes), saved.tensors, saved.state, adapt)
  end
  lu.assertTrue(check { callbacks = callbacks })
  for _, case in ipairs {
    { { optimizer = optim.Adam {} }, "optimizer: optim.Adam: the state does not fit: it is one of SGD" },
    { { schedule = sched.plateau { lr = 0.1 } }, "schedule: there is no state in it" },
    { { average = optim.EMA {} }, "average: there is none in it" },
    { { callbacks = { print } }, "callbacks: callback 1 is another one there" },
  } do
    case[1].callbacks = case[1].callbacks or callbacks
    local ok, problem = check(case[1])
    lu.assertNil(ok)
    lu.assertEquals(problem, case[2])
    local notes = assert(restore.put(prepared(case[1]), saved.tensors, saved.state, true))
    lu.assertStrContains(notes[1], "not taken over")
  end
  local wide = nn.Sequential { nn.Flatten(), nn.Linear(7), nn.ReLU(), nn.Linear(10) }
  for _, adapt in ipairs { false, true } do
    local ok, problem = check({ model = wide, callbacks = callbacks }, adapt)
    lu.assertNil(ok)
    lu.assertStrContains(problem, "model: '1.weight' is 6x784 where the model has 7x784")
  end
  local ok, problem = check({ callbacks = callbacks, batch = 8 }, true)
  lu.assertNil(ok)
  lu.assertStrContains(problem, "it is of step 5, inside an epoch of 4 steps, which has 8 now")
end

-- New settings hold and the momentum stays; a slot that was not there begins at zero.
function TestCheckpoint:testAChangedOptimizerKeepsItsTensors()
  self:train(nil, { stop = 5 })
  local saved = assert(file.read(self:path(5)))
  local run = prepared { optimizer = optim.SGD { lr = 0.3, momentum = 0.5 } }
  lu.assertEquals(restore.put(run, saved.tensors, saved.state, true), {})
  local state = run.optimizer:state_dict()
  lu.assertEquals({ state.settings.lr, state.settings.momentum, state.step, run.step }, { 0.3, 0.5, 5, 5 })
  lu.assertTrue(state.tensors[1][2]:abs():sum():item() > 0)
  local plain = prepared { optimizer = optim.SGD { lr = 0.3 } }
  lu.assertEquals(restore.put(plain, saved.tensors, saved.state, true), {})
  lu.assertEquals(#plain.optimizer:state_dict().tensors, 0)
end

-- An epoch that is over is one with other batches, too.
function TestCheckpoint:testAForkMayHaveOtherBatchesAfterAnEpoch()
  self:train { checkpoint = "epoch", epochs = 2 }
  local saved = assert(file.read(self:path(8)))
  local run = prepared { batch = 8, epochs = 4 }
  assert(restore.put(run, saved.tensors, saved.state, true))
  lu.assertEquals({ run.step, run.epoch, run.stopping }, { 16, 2, false })
  local ok, problem = restore.check(prepared { epochs = 2 }, saved.tensors, saved.state, true)
  lu.assertNil(ok)
  lu.assertEquals(problem, "it is of step 8, and the run is to end at step 8; give it more epochs")
end
