-- What an experiment does with ml.augment and ml.tta: the strength's schedule, mixed targets, results told apart.
local lu = require "luaunit"
local ml = require "mnistlua"
local trainer = require "mnistlua.trainer"
local nn = ml.nn

TestAugmentRun = {}

local function train(extra, data)
  local model = nn.Sequential { nn.Flatten(), nn.Linear(10) }
  local given = {
    name = "t", data = data or ml.data.digits { n = 300, test = 100 }, model = model, loss = nn.CrossEntropyLoss(),
    optimizer = ml.optim.SGD { lr = 0.05 }, epochs = 2, batch = 64,
  }
  for k, v in pairs(extra) do given[k] = v end
  local e = ml.experiment(given)
  local quiet = setmetatable({}, { __index = function() return function() end end })
  ml.manual_seed(1)
  local run = trainer.prepare(e, { seed = 5 })
  return trainer.train(run, { progress = quiet }), run
end

function TestAugmentRun:testStrengthFollowsItsSchedule()
  local asked = {}
  local function strength(step, progress, info)
    asked[#asked + 1] = step
    lu.assertAlmostEquals(progress, step / 10, 1e-12)
    lu.assertEquals(info.epoch, step // 5)
    return step < 5 and 1 or 0
  end
  local seen = {}
  train {
    augment = ml.augment { shift = { x = { 9, 9 } }, strength = strength },
    on = { batch_start = function(run)       -- with a shift of 9 the first 9 columns are background
      seen[run.step] = run.batch_x:slice(3, 1, 7):max():item() - run.batch_x:min():item() > 0.5
    end },
  }
  for step = 1, 10 do lu.assertEquals(seen[step], step > 5) end
  table.sort(asked)
  lu.assertEquals(asked[1], 0)
  lu.assertEquals(asked[#asked], 9)
end

function TestAugmentRun:testBadScheduleAndKey()
  lu.assertErrorMsgContains("ml.augment: the strength's schedule gave 2 at step 0; expected a number from 0 to 1",
    train, { augment = ml.augment { rotate = 3, strength = function() return 2 end } })
  lu.assertErrorMsgContains("augment: expected ml.augment { ... }, got a table", train, { augment = { rotate = 3 } })
  lu.assertErrorMsgContains("views: expected ml.tta { ... }, got a table", train, { views = { shift = 1 } })
end

function TestAugmentRun:testMixedTargetsTrain()
  local result = train { augment = ml.augment { mixup = 0.5, shift = 1 } }
  lu.assertNotNil(result["train.loss"])
  lu.assertNotNil(result["test.acc"])
  lu.assertNil(result["train.acc"])
end

function TestAugmentRun:testEvaluateApart()
  local result, run = train { views = ml.tta { shift = 1 } }
  local single = run:evaluate(run.data.test)
  lu.assertEquals(result["test.acc"], single.acc)
  local nine = run:evaluate(run.data.test, { views = run.experiment.views })
  lu.assertEquals(result["test.views.acc"], nine.acc)
  lu.assertEquals(result["test.views"], 9)
  lu.assertNotEquals(nine.loss, single.loss)
  local same = run:evaluate(run.data.test, { model = ml.ensemble { run.model, run.model } })
  lu.assertEquals(same.errors, single.errors)
  lu.assertAlmostEquals(same.loss, single.loss, 1e-5)
  lu.assertErrorMsgContains("run:evaluate: views: expected ml.tta { ... }, got a table", run.evaluate, run,
    run.data.test, { views = {} })
end
