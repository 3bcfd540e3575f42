-- ml.data: bundles, splits, subsets, batches, normalisation.
local lu = require "luaunit"
local ml = require "mnistlua"

TestData = {}

local function labels(d)
  local list = {}
  for i = 1, #d do list[i] = d[i].label end
  return list
end

function TestData:testDigits()
  local d = ml.data.digits { n = 100, seed = 1 }
  lu.assertEquals(#d, 100)
  lu.assertEquals(d:sample_shape(), { 28, 28 })
  lu.assertEquals(d[1].image.shape, { 28, 28 })
  lu.assertEquals(d[1].image.dtype, "u8")
  lu.assertEquals(d[7][2], d[7].label)
  lu.assertNil(d[101])
  lu.assertEquals(d.classes, 10)
  lu.assertNil(d.test)
  lu.assertEquals(d:hash(), ml.data.digits({ n = 100, seed = 1 }):hash())
  lu.assertNotEquals(d:hash(), ml.data.digits({ n = 100, seed = 2 }):hash())
end

function TestData:testIndexMistakes()
  local d = ml.data.digits { n = 10 }
  for _, bad in ipairs { 0, -1, 12, 1.5 } do
    lu.assertErrorMsgContains("digits: sample numbers are 1..10, got " .. bad, function() return d[bad] end)
  end
  lu.assertEquals(d[2.0].label, d[2].label)
end

function TestData:testSplitTakesFromTheEnd()
  local d = ml.data.digits { n = 50, seed = 4 }
  local s = d:split { val = 10, test = 5 }
  local all = labels(d)
  lu.assertEquals(#s.train, 35)
  lu.assertEquals(labels(s.train), table.move(all, 1, 35, 1, {}))
  lu.assertEquals(labels(s.val), table.move(all, 36, 45, 1, {}))
  lu.assertEquals(labels(s.test), table.move(all, 46, 50, 1, {}))
  lu.assertEquals(#d:split { val = 0.2 }.val, 10)
  lu.assertErrorMsgContains("leave no training samples", d.split, d, { val = 50 })
  lu.assertErrorMsgContains("did you mean 'val'", d.split, d, { vla = 5 })
  for _, bad in ipairs { 3.5, -1, -0.5 } do
    lu.assertErrorMsgContains("digits:split: val: expected a number of samples or a share below 1, got " .. bad,
      d.split, d, { val = bad })
  end
end

function TestData:testShuffledSplitIsAPermutation()
  local d = ml.data.digits { n = 200, seed = 4 }
  local a, b = d:split { val = 50, shuffle = true, seed = 1 }, d:split { val = 50, shuffle = true, seed = 1 }
  lu.assertEquals(a.train:hash(), b.train:hash())
  lu.assertNotEquals(a.train:hash(), d:split { val = 50, shuffle = true, seed = 2 }.train:hash())
  local counts, whole = a.train:label_counts(), d:label_counts()
  for c, n in ipairs(a.val:label_counts()) do lu.assertEquals(counts[c] + n, whole[c]) end
end

function TestData:testSubset()
  local d = ml.data.digits { n = 20 }
  local all = labels(d)
  lu.assertEquals(labels(d:subset(3, 5)), { all[3], all[4], all[5] })
  lu.assertEquals(labels(d:subset { 9, 1, 9 }), { all[9], all[1], all[9] })
  lu.assertEquals(labels(d:subset(2, 10):subset(2, 3)), { all[3], all[4] })
  lu.assertErrorMsgContains("empty", d.subset, d, 5, 4)
  lu.assertError(d.subset, d, { 21 })
  lu.assertErrorMsgContains("the list of sample numbers is empty", d.subset, d, {})
  lu.assertErrorMsgContains("sample numbers are 1..20, got 21", d.subset, d, 21)
  lu.assertErrorMsgContains("sample numbers are 1..20, got '3'", d.subset, d, "3")
  lu.assertErrorMsgContains("sample numbers are 1..20, got false", d.subset, d, 3, false)
end

function TestData:testBatches()
  local d = ml.data.digits { n = 50, normalise = "unit" }
  local sizes, seen = {}, 0
  for x, y in d:batches { batch = 16 } do
    sizes[#sizes + 1] = #y
    lu.assertEquals(x.shape, { #y, 28, 28 })
    lu.assertEquals(y.dtype, "i32")
    for i = 1, #y do
      seen = seen + 1
      lu.assertEquals(y[i], d[seen].label)
    end
  end
  lu.assertEquals(sizes, { 16, 16, 16, 2 })
  local n = 0
  for _ in d:batches { batch = 16, drop_last = true } do n = n + 1 end
  lu.assertEquals(n, 3)
  for x in d:batches { batch = "all" } do lu.assertEquals(#x, 50) end
end

function TestData:testNormalisation()
  local d = ml.data.digits { n = 64, normalise = "standard" }
  for x in d:batches { batch = "all" } do
    lu.assertAlmostEquals(x:mean():item(), 0, 1e-4)
    lu.assertAlmostEquals((x * x):mean():item(), 1, 1e-3)
  end
  local pixel = d[1].image:to("f32"):reshape(-1)
  for name, scale in pairs { unit = 1 / 255, none = 1 } do
    local first = ml.data.digits({ n = 64, normalise = name }):batches { batch = 1 }()
    lu.assertTrue((first:reshape(-1) - pixel * scale):abs():max():item() < 1e-4)
  end
  lu.assertErrorMsgContains("normalise is", ml.data.digits, { n = 4, normalise = { 1, 0 } })
end

function TestData:testShuffledBatchesDependOnSeedAndEpoch()
  local d = ml.data.digits { n = 40 }
  local function order(options)
    local list = {}
    options.batch, options.shuffle = 40, true
    for _, y in d:batches(options) do list = y:totable() end
    return list
  end
  lu.assertEquals(order { seed = 1 }, order { seed = 1 })
  lu.assertNotEquals(order { seed = 1 }, order { seed = 2 })
  lu.assertNotEquals(order { seed = 1, epoch = 1 }, order { seed = 1, epoch = 2 })
end

function TestData:testBundleActsAsItsTrainingPart()
  local b = ml.data.digits { n = 30, test = 10, val = 5 }
  lu.assertEquals(#b, 25)
  lu.assertEquals(#b.val, 5)
  lu.assertEquals(#b.test, 10)
  lu.assertEquals(b[1].label, b.train[1].label)
  lu.assertStrContains(tostring(b), "25 train, 5 val, 10 test")
  lu.assertEquals(b.test.normalise, b.train.normalise)
end

function TestData:testCuttingABundleKeepsItsOtherParts()
  local b = ml.data.digits { n = 30, test = 10 }
  local s = b:split { val = 5, shuffle = true, seed = 3 }
  lu.assertEquals({ #s.train, #s.val, #s.test }, { 25, 5, 10 })
  lu.assertEquals(s.test:hash(), b.test:hash())
  lu.assertEquals(s.test.normalise, s.train.normalise)
  lu.assertEquals(tostring(s), "digits: 25 train, 5 val, 10 test")
  local few = s:subset(1, 8)
  lu.assertEquals({ #few.train, #few.val, #few.test }, { 8, 5, 10 })
  lu.assertEquals(few.train:hash(), s.train:subset(1, 8):hash())
  local mixed = s:shuffled(4)
  lu.assertEquals({ #mixed.train, #mixed.val, #mixed.test }, { 25, 5, 10 })
  lu.assertEquals(mixed.train:hash(), s.train:shuffled(4):hash())
  lu.assertEquals({ #s.train, #b.train }, { 25, 30 })      -- none of this changed what it came from
end

function TestData:testAPartIsMadeOnce()
  local b = ml.data.digits { n = 30, test = 10, val = 5 }
  lu.assertErrorMsgContains("digits:split: test: there is a test part already, of 10 samples", b.split, b, { test = 3 })
  lu.assertErrorMsgContains("digits:split: val: there is a val part already, of 5 samples", b.split, b, { val = 3 })
  lu.assertEquals(tostring(b:split { shuffle = true }), "digits: 25 train, 5 val, 10 test")
end

function TestData:testFewerTrainingSamples()
  local all, some = ml.data.digits { n = 30, val = 10 }, ml.data.digits { n = 20 }
  lu.assertEquals(all.train:hash(), some.train:hash())
  lu.assertErrorMsgContains(">= 1", ml.data.mnist, { n = 0 })
end

function TestData:testFaultsReturnNilAndWhy()
  local d, why = ml.data.idx { images = "/nonexistent/images", labels = "/nonexistent/labels" }
  lu.assertNil(d)
  lu.assertStrContains(why, "/nonexistent/images")
  d, why = ml.data.csv { path = "/nonexistent.csv" }
  lu.assertNil(d)
  lu.assertStrContains(why, "/nonexistent.csv")
end
