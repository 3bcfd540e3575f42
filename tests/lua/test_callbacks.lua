-- ml.callbacks that end a run or keep its weights: early stopping, targets, time limits, the best weights however a run
-- ends, averages; and what is said of options that do not fit.
local lu = require "luaunit"
local ml = require "mnistlua"
local aid = require "callbacks_aid"
local core = require "mnistlua.core"
local duration = require "mnistlua.duration"
local files = require "files_aid"
local optim, cb = ml.optim, ml.callbacks

TestCallbacks = {}

function TestCallbacks:setUp() self.folder = files.folder() end

function TestCallbacks:tearDown() files.remove(self.folder) end

-- ---- early stopping ----

-- The epoch after which a callback stops a run with these values of val.acc (false: not measured), or nil.
local function stopped_after(callback, values)
  local run = aid.made_up()
  callback:start(run)
  for epoch, value in ipairs(values) do
    run.epoch, run.step = epoch, 10 * epoch
    run.metrics["val.acc"] = value or nil
    callback:epoch_end(run)
    if run.stopping then return epoch, run.stopping end
  end
end

local nan = 0 / 0

function TestCallbacks:testEarlyStoppingCountsEvaluationsWithoutProgress()
  local cases = {
    { { patience = 1 }, { 0.5, 0.6, 0.6 }, 3 },
    { { patience = 2 }, { 0.5, 0.6, 0.6, 0.7, 0.7, 0.65 }, 6 },
    { { patience = 2 }, { 0.5, 0.4, 0.5, 0.9 }, 3 },
    { { patience = 2 }, { 0.5, 0.4, false, false, 0.9, 0.8, false, 0.9 }, 8 },
    { { patience = 2, min_delta = 0.25 }, { 0.5, 0.625, 0.75, 0.9 }, 3 },
    { { patience = 2, min_delta = 0.125 }, { 0.5, 0.75, 0.8125, 0.9375, 0.9, 0.9 }, 6 },
    { { patience = 2, mode = "min" }, { 0.5, 0.4, 0.6, 0.6 }, 4 },
    { { patience = 2 }, { 0.5, nan, nan }, 3 },
    { { patience = 2 }, { nan, nan }, 2 },
    { { patience = 3 }, { 0.1, 0.2, 0.3, 0.4, 0.5 }, nil },
  }
  for i, case in ipairs(cases) do
    lu.assertEquals(stopped_after(cb.EarlyStopping(case[1]), case[2]), case[3], "case " .. i)
  end
end

function TestCallbacks:testEarlyStoppingSaysWhyAndBeginsAnew()
  local callback = cb.EarlyStopping { patience = 1 }
  local _, why = stopped_after(callback, { 0.5, 0.625, 0.5 })
  lu.assertEquals(why, "val.acc has not improved since epoch 2 (62.50%)")
  lu.assertNil(stopped_after(callback, { 0.25 }))
  _, why = stopped_after(callback, { nan })
  lu.assertEquals(why, "val.acc was never a number")
end

function TestCallbacks:testEarlyStoppingRemembersInPlainData()
  local whole, first, second = cb.EarlyStopping { patience = 3 }, cb.EarlyStopping { patience = 3 },
    cb.EarlyStopping { patience = 3 }
  lu.assertNil(stopped_after(first, { 0.5, 0.4 }))
  local run = aid.made_up()
  second:start(run)
  second:load_state { best = first:state().best, epoch = first:state().epoch, bad = first:state().bad }
  for epoch = 3, 4 do
    run.epoch, run.metrics["val.acc"] = epoch, 0.4
    second:epoch_end(run)
  end
  lu.assertEquals(stopped_after(whole, { 0.5, 0.4, 0.4, 0.4 }), 4)
  lu.assertEquals(run.stopping, "val.acc has not improved since epoch 1 (50.00%)")
  lu.assertEquals(second:state(), whole:state())
end

function TestCallbacks:testEarlyStoppingEndsATraining()
  local callback = cb.EarlyStopping { "train.loss", min_delta = 1e3, patience = 2 }
  local result = aid.train { epochs = 40, callbacks = { callback } }
  lu.assertEquals(result.epochs, 3)
  lu.assertStrContains(result.stopped, "train.loss has not improved since epoch 1")
end

-- ---- targets and time ----

function TestCallbacks:testStopOnTarget()
  local result = aid.train { epochs = 40, callbacks = { cb.StopOnTarget { "train.acc>=0.5", "val.loss<10" } } }
  lu.assertTrue(result["train.acc"] >= 0.5 and result.epochs < 40)
  lu.assertEquals(result.stopped, "target reached: train.acc>=0.5, val.loss<10")
  lu.assertEquals(aid.train({ callbacks = { cb.StopOnTarget "val.acc>1" } }).epochs, 4)
end

function TestCallbacks:testTimeLimit()
  local times = {
    { "90s", 90 }, { "1.5m", 90 }, { "2h", 7200 }, { 3, 3 }, { 0.25, 0.25 }, { "0s" }, { -1 }, { "soon" }, { "1d" },
  }
  for _, case in ipairs(times) do lu.assertEquals(duration.read(case[1]), case[2]) end
  local result = aid.train { epochs = 4000, callbacks = { cb.TimeLimit { 0.001 } } }
  lu.assertEquals(result.stopped, "time limit reached")
  local run = aid.made_up()
  run.deadline = core.clock() + 5
  local before = run.deadline
  cb.TimeLimit("10m"):start(run)
  lu.assertEquals(run.deadline, before)
  cb.TimeLimit("1s"):start(run)
  lu.assertTrue(run.deadline < before)
end

-- ---- the best weights ----

-- Learning goes wrong from the third epoch on; what happens then is up to `at_last`, in its second step.
local function going_wrong(at_last)
  return {
    epoch_start = function(run) run.optimizer.lr = run.epoch < 3 and 0.1 or 30 end,
    batch_end = function(run) if run.epoch == 4 and run.step_in_epoch == 2 and at_last then at_last(run) end end,
  }
end

local endings = {
  ["the end"] = { "done" },
  ["a signal"] = { "interrupted", function() os.execute "kill -TERM $PPID" end },
  ["a time limit"] = { "done", function(run) run.deadline = core.clock() end },
  ["stop()"] = { "done", function(run) run:stop() end },
  ["an error"] = { false, function() error "the script's own" end, "the script's own" },
  ["divergence"] = { false, function(run) run.model[2].weight:fill_(1e38) run.model[5].weight:fill_(1e38) end, "loss" },
}

local ways = {
  plain = function() return {} end,
  EMA = function() return { average = optim.EMA { decay = 0.5 } } end,
  ["schedule-free"] = function() return { optimizer = optim.SGDScheduleFree { lr = 0.5 } } end,
}

-- The best of val.loss among a run's evaluations is what the model gives in the end, and the saved one, too.
local function check_ending(name, folder, changes, ending)
  local best, at, seen = math.huge, nil, nil
  changes.on = going_wrong(ending[2])
  changes.on.eval_end = function(run, part, result)
    seen = run
    if part == "val" and result.loss < best then best, at = result.loss, run.step end
  end
  changes.callbacks = { cb.BestWeights { "val.loss" } }
  local store = aid.store(folder)
  local ok, result = pcall(aid.train, changes, { store = store })
  lu.assertEquals(ok, ending[1] and true, name)
  if ok then
    lu.assertEquals(result.status, ending[1], name)
    lu.assertEquals(result["val.loss"], best, name)
    lu.assertEquals(result["test.acc"], seen:evaluate(seen.data.test).acc, name)
  else
    lu.assertStrContains(tostring(result), ending[3], name)
  end
  lu.assertEquals(seen:evaluate(seen.data.val).loss, best, name)
  lu.assertEquals(store.metadata["mnistlua.step"], tostring(at), name)
  seen.model:load(store.weights)
  lu.assertEquals(seen:evaluate(seen.data.val).loss, best, name)
end

function TestCallbacks:testTheBestWeightsAreLeftHoweverARunEnds()
  for ending, facts in pairs(endings) do
    for way, changes in pairs(ways) do
      check_ending(("%s, %s"):format(way, ending), self.folder, changes(), { facts[1] or false, facts[2], facts[3] })
    end
  end
end

function TestCallbacks:testBestWeightsChangeNoBitOfTheTraining()
  local function losses(changes)
    local list = {}
    changes.average = optim.EMA { decay = 0.5 }
    changes.on = { batch_end = function(run) list[#list + 1] = run.board.means.last["train.loss"] end }
    aid.train(changes)
    return list
  end
  local plain = losses {}
  lu.assertEquals(#plain, 12)
  lu.assertEquals(losses { callbacks = { cb.BestWeights {} } }, plain)
end

function TestCallbacks:testBestWeightsFollowAMetricOfTraining()
  local result, run = aid.train {
    metrics = { "user.height" }, callbacks = { cb.BestWeights { "user.height", mode = "max" } },
    on = { batch_end = function(r) r:log { ["user.height"] = -(r.epoch - 2) ^ 2 } end },
  }
  lu.assertEquals(run.keeper:step(), 6)
  lu.assertEquals(run.keeper:state().epoch, 2)
  lu.assertEquals(result["test.acc"], run:evaluate(run.data.test).acc)
end

function TestCallbacks:testWhatIsSavedOnTheWayIsTheBest()
  local averaging = require "mnistlua.train.averaging"
  local checked = 0
  aid.train { callbacks = { cb.BestWeights { "val.loss" } }, on = going_wrong(function(run)
    local training = run.model[2].weight:totable()
    do
      local _ <close> = averaging.enter_to_save(run)
      lu.assertEquals(run.model[2].weight:totable(), run.keeper:state().weights["1.weight"]:totable())
      lu.assertNotEquals(run.model[2].weight:totable(), training)
    end
    lu.assertEquals(run.model[2].weight:totable(), training)
    checked = checked + 1
  end) }
  lu.assertEquals(checked, 1)
end

function TestCallbacks:testAFailureBeforeAnyEvaluationIsJustThat()
  local store = aid.store(self.folder)
  lu.assertErrorMsgContains("early", aid.train, {
    callbacks = { cb.BestWeights {} }, on = { batch_end = function() error "early" end },
  }, { store = store })
  lu.assertEquals(store.saves, 0)
end

-- ---- averages ----

function TestCallbacks:testEMAIsTheExperimentsAverage()
  local result, run = aid.train { callbacks = { cb.EMA { decay = 0.5 } } }
  lu.assertEquals(run.average.decay, 0.5)
  lu.assertEquals(result["val.loss"], (aid.train { average = optim.EMA { decay = 0.5 } })["val.loss"])
  lu.assertErrorMsgContains("has an average already", aid.experiment,
    { average = optim.EMA {}, callbacks = { cb.EMA {} } })
end

function TestCallbacks:testCheckpointIsTheExperimentsOption()
  local experiment = aid.experiment { callbacks = { cb.Checkpoint { every = "10m", keep = 2 } } }
  lu.assertEquals(experiment.checkpoint, aid.experiment({ checkpoint = { every = "10m", keep = 2 } }).checkpoint)
  lu.assertEquals(experiment.checkpoint.every.seconds, 600)
  lu.assertErrorMsgContains("says already when there are checkpoints", aid.experiment,
    { checkpoint = 5, callbacks = { cb.Checkpoint {} } })
  lu.assertErrorMsgContains("every is 'soon'", cb.Checkpoint, { every = "soon" })
end

-- ---- bad input ----

local function given(make, changes)
  return function()
    changes = changes or {}
    changes.callbacks = { make() }
    aid.experiment(changes)
  end
end

function TestCallbacks:testMistakesAreToldBeforeTheRun()
  local no_val = ml.data.digits { n = 20, test = 10, seed = 5 }
  local train_only = ml.data.digits { n = 20, seed = 5 }
  local cases = {
    { "callbacks has no 'EarlyStoping'; did you mean 'EarlyStopping'?", function() return cb.EarlyStoping end },
    { "unknown metric 'val.ac'; did you mean 'val.acc'?", given(function() return cb.EarlyStopping { "val.ac" } end) },
    { "callbacks.EarlyStopping: patience is 0; expected a whole number >= 1",
      function() cb.EarlyStopping { patience = 0 } end },
    { "patience is 1.5", function() cb.EarlyStopping { patience = 1.5 } end },
    { "min_delta is -1", function() cb.EarlyStopping { min_delta = -1 } end },
    { "unknown option 'patince'; did you mean 'patience'?", function() cb.EarlyStopping { patince = 1 } end },
    { "mode is 'mx'; expected one of 'min', 'max'", function() cb.BestWeights { mode = "mx" } end },
    { "is more of user.f1 better?", function() cb.BestWeights { "user.f1" } end },
    { "'user.loss' is not declared", given(function() return cb.BestWeights { "user.loss" } end) },
    { "follows val.acc, but the data has no val part", given(cb.EarlyStopping, { data = no_val }) },
    { "follows test.acc, which is measured at the end only; follow val.acc",
      given(function() return cb.BestWeights { "test.acc" } end) },
    { "no test part", given(function() return cb.StopOnTarget { "test.acc>0" } end, { data = train_only }) },
    { "expected conditions such as", function() cb.StopOnTarget {} end },
    { "expected conditions such as", function() cb.StopOnTarget { metric = "val.acc" } end },
    { "'val.acc=>1': expected a condition", function() cb.StopOnTarget "val.acc=>1" end },
    { "unknown metric 'val.ac'; did you mean 'val.acc'?", function() cb.StopOnTarget "val.ac>=1" end },
    { "expected a time such as \"90s\", \"10m\" or \"2h\", got 'soon'", function() cb.TimeLimit { "soon" } end },
    { "callbacks.TimeLimit: needs time", function() cb.TimeLimit {} end },
    { "there are two in the experiment's callbacks", function()
      aid.experiment { callbacks = { cb.BestWeights {}, cb.BestWeights { "val.loss" } } }
    end },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], case[2]) end
end

function TestCallbacks:testTheyFollowTestWhereThereIsNoVal()
  local data = ml.data.digits { n = 60, test = 20, seed = 5 }
  local result, run = aid.train { data = data, callbacks = { cb.BestWeights { "test.loss" } } }
  lu.assertEquals(result["test.loss"], run.keeper:state().value)

end
