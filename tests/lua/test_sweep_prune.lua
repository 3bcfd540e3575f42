-- The rules by which a sweep stops trials, on histories with fixed numbers.
local lu = require "luaunit"
local prune = require "mnistlua.sweep.prune"

TestSweepPrune = {}

-- A history from the scores of epochs 1, 2, ...; nil epochs are left out by `every`.
local function history(scores, every)
  local list = {}
  for i, score in ipairs(scores) do list[i] = { epoch = i * (every or 1), score = score } end
  return list
end

local function done(scores) return { history = history(scores), done = true } end
local function running(scores, every) return { history = history(scores, every), done = false } end

function TestSweepPrune:testTheMedian()
  lu.assertEquals(prune.median { 3 }, 3)
  lu.assertEquals(prune.median { 5, 1, 4 }, 4)
  lu.assertEquals(prune.median { 5, 1, 4, 2 }, 3)
end

-- Means until epoch 2: 0.5, 0.7, 0.3; their median is 0.5.
function TestSweepPrune:testTheMedianRule()
  local others = { done { 0.4, 0.6, 0.9 }, done { 0.6, 0.8, 0.9 }, done { 0.2, 0.4, 0.5 } }
  for _, case in ipairs {
    { { 0.45, 0.49 }, true }, { { 0.1, 0.5 }, false }, { { 0.6, 0.1 }, false }, { { 0.39 }, true }, { { 0.41 }, false },
    { {}, false },
  } do
    lu.assertEquals(prune.rules.median(history(case[1]), others), case[2], table.concat(case[1], " "))
  end
end

function TestSweepPrune:testTheMedianRuleNeedsThreeCompletedTrials()
  local own = history { 0.1 }
  local others = { done { 0.5 }, done { 0.6 }, running { 0.7 } }
  lu.assertFalse(prune.rules.median(own, others))
  others[4] = done {}
  lu.assertFalse(prune.rules.median(own, others))
  others[4] = done { 0.7 }
  lu.assertTrue(prune.rules.median(own, others))
end

-- Losses are scores with their sign turned.
function TestSweepPrune:testScoresBelowZero()
  local others = { done { -0.4 }, done { -0.6 }, done { -0.5 } }
  lu.assertTrue(prune.rules.median(history { -0.51 }, others))
  lu.assertFalse(prune.rules.median(history { -0.5 }, others))
end

function TestSweepPrune:testAshaKeepsTheBestThird()
  local others = {}
  lu.assertFalse(prune.rules.asha(history { 0.1 }, others))             -- the first at the rung
  others[1] = done { 0.5, 0.6, 0.7 }
  lu.assertTrue(prune.rules.asha(history { 0.4 }, others))              -- of two the better one
  lu.assertFalse(prune.rules.asha(history { 0.5 }, others))
  for i = 2, 5 do others[i] = running { i / 10 } end                    -- 0.5, then 0.2, 0.3, 0.4, 0.5
  lu.assertFalse(prune.rules.asha(history { 0.5 }, others))             -- of six two
  lu.assertTrue(prune.rules.asha(history { 0.4 }, others))
end

-- Rungs are at epochs 1, 3, 9; between them nothing is decided, and only those that got there count.
function TestSweepPrune:testAshasRungs()
  local others = { done { 0.9, 0.9, 0.9, 0.9, 0.9 } }
  lu.assertTrue(prune.rules.asha(history { 0.1 }, others))
  lu.assertFalse(prune.rules.asha(history { 0.1, 0.1 }, others))
  lu.assertTrue(prune.rules.asha(history { 0.1, 0.1, 0.1 }, others))
  lu.assertFalse(prune.rules.asha(history { 0.1, 0.1, 0.1, 0.1 }, others))
  lu.assertFalse(prune.rules.asha(history { 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1 }, others))
  lu.assertFalse(prune.rules.asha(history { 0.1, 0.1, 0.1 }, { running { 0.9, 0.9 } }))
end

-- Evaluated every second epoch, the reports at 2, 4 and 10 are those of the rungs 1, 3 and 9.
function TestSweepPrune:testAshaWithSparseReports()
  local others = { running({ 0.9, 0.9, 0.9, 0.9, 0.9 }, 2) }
  for count, stops in ipairs { true, true, false, false, true } do
    local scores = {}
    for i = 1, count do scores[i] = 0.1 end
    lu.assertEquals(prune.rules.asha(history(scores, 2), others), stops, ("%d reports"):format(count))
  end
end

function TestSweepPrune:testNamesAreThoseOfTheRules()
  for _, name in ipairs(prune.names) do lu.assertFalse(prune.rules[name]({}, {})) end
end
