-- ml.augment, ml.tta, ml.ensemble: options and refusals, batches that do not depend on threads, views, the means of
-- predictions; deskewing and centring. What an experiment does with them is in test_augment_run.lua.
local lu = require "luaunit"
local core = require "mnistlua.core"
local augment = require "mnistlua.data.augment"
local average = require "mnistlua.average"
local ml = require "mnistlua"
local nn = ml.nn

TestAugment = {}

local function close(a, b, tolerance)
  a, b = a:flatten():totable(), b:flatten():totable()
  if type(a[1]) == "table" then a, b = a[1], b[1] end
  for i = 1, #a do lu.assertAlmostEquals(a[i], b[i], tolerance or 1e-5) end
end

function TestAugment:testNumbersAndRanges()
  local v = ml.augment { rotate = 12, shear = { 0, 0.1 }, scale = 0.13, zoom = { 0.9, 1 }, shift = 2 }.values
  lu.assertEquals(v.rotate, { -12, 12 })
  lu.assertEquals(v.shear, { 0, 0.1 })
  lu.assertAlmostEquals(v.scale[1], 0.87, 1e-12)
  lu.assertAlmostEquals(v.scale[2], 1.13, 1e-12)
  lu.assertEquals(v.zoom, { 0.9, 1 })
  lu.assertEquals(v.shift_x, { -2, 2 })
  lu.assertEquals(v.shift_y, { -2, 2 })
  v = ml.augment {
    shift = { x = 1, y = { 0, 3 } }, elastic = { rms = 0.8 }, erase = { p = 0.25, size = { 3, 9 } },
  }.values
  lu.assertEquals(v.shift_x, { -1, 1 })
  lu.assertEquals(v.shift_y, { 0, 3 })
  lu.assertEquals({ v.elastic_rms, v.elastic_sigma, v.erase_p }, { 0.8, 4, 0.25 })
  lu.assertEquals(v.erase_size, { 3, 9 })
  lu.assertEquals(ml.augment({ elastic = 1.5 }).values.elastic_rms, 1.5)
end

function TestAugment:testMistakes()
  local bad = {
    { { rotat = 3 }, "ml.augment: unknown option 'rotat'; did you mean 'rotate'?" },
    { { rotate = 200 }, "ml.augment: rotate is 200; expected a number from 0 to 180" },
    { { rotate = -5 }, "rotate is -5; expected a number from 0" },
    { { rotate = "12" }, "rotate is '12'" },
    { { rotate = { 5, -5 } }, "rotate is { 5, -5 }; expected a number from 0 to 180 or a range" },
    { { scale = 1.13 }, "scale is 1.13; expected a number from 0 to 0.9 or a range { low, high } within 0.1 to 10" },
    { { scale = { 0, 1 } }, "scale is { 0, 1 }; expected" },
    { { shear = { 0, 3 } }, "within -2 to 2" },
    { { shift = { z = 1 } }, "ml.augment: shift: unknown option 'z'" },
    { { shift = { x = 1000 } }, "shift.x is 1000" },
    { { elastic = { rms = -1 } }, "ml.augment: elastic: rms is -1; expected a number >= 0" },
    { { elastic = { rms = 1, sigma = 0 } }, "sigma is 0; expected a number >= 1" },
    { { elastic = true }, "elastic is true; expected a number or a table" },
    { { erase = { p = 2 } }, "ml.augment: erase: p is 2; expected a number >= 0 and <= 1" },
    { { erase = { size = 2.5 } }, "erase: size is 2.5; expected a whole number" },
    { { noise = -0.1 }, "noise is -0.1" },
    { { mixup = 0 / 0 }, "mixup is nan" },
    { { cutmix = "x" }, "cutmix is 'x'; expected a number" },
    { { strength = 1.5 }, "strength is 1.5; expected a number or a function >= 0 and <= 1" },
    { { by_class = { [-1] = 0.5 } }, "by_class: a key, which is a label, is -1" },
    { { by_class = { [3] = "half" } }, "by_class: [3] is 'half'" },
  }
  for _, case in ipairs(bad) do lu.assertErrorMsgContains(case[2], ml.augment, case[1]) end
end

function TestAugment:testFitOfTheData()
  local d = ml.data.digits { n = 20 }.train
  local function batches(a) return function() return d:batches { augment = a } end end
  lu.assertErrorMsgContains("ml.augment: erase: size is 30, but the pictures of digits are 28x28",
    batches(ml.augment { erase = { size = 30 } }))
  lu.assertErrorMsgContains("by_class: there is no label 10: those of digits are 0 to 9",
    batches(ml.augment { rotate = 5, by_class = { [10] = 0.5 } }))
  lu.assertErrorMsgContains("augment: expected ml.augment { ... }, got a table", batches {})
  lu.assertErrorMsgContains("its strength is a schedule, which only ml.experiment follows",
    batches(ml.augment { rotate = 5, strength = function() return 1 end }))
  local flat = require("mnistlua.data.dataset").dataset(
    core.dataset(core.zeros { 4, 784 }, core.tensor({ 0, 1, 0, 1 }, "i32")), "flat", "none")
  lu.assertErrorMsgContains("ml.augment: shift needs pictures of height x width, but a sample of flat is 784",
    function() return flat:batches { augment = ml.augment { shift = 1 } } end)
  for x in flat:batches { augment = ml.augment { noise = 1 } } do lu.assertTrue(x:abs():sum():item() > 0) end
end

local function first_batch(d, a, threads)
  local before = core.threads()
  core.threads(threads or before)
  local x, y = d:batches { batch = 50, shuffle = true, seed = 3, augment = a }()
  x, y = x:clone(), y:clone()
  core.threads(before)
  return x, y
end

function TestAugment:testBatches()
  local d = ml.data.digits { n = 60, seed = 2 }.train
  local all = ml.augment {
    rotate = 12, scale = 0.13, shear = 0.15, shift = 2, elastic = 0.8, noise = 0.1, mixup = 0.2, cutmix = 1,
    erase = { size = 6 },
  }
  local x1, y1 = first_batch(d, all, 1)
  local x3, y3 = first_batch(d, all, 3)
  lu.assertEquals(x1.shape, { 50, 28, 28 })
  lu.assertEquals(y1.shape, { 50, 10 })
  lu.assertEquals(y1.dtype, "f32")
  lu.assertEquals(x1:totable(), x3:totable())
  lu.assertEquals(y1:totable(), y3:totable())
  close(y1:sum(2), ml.ones { 50 }, 1e-6)
  local plain, labels = first_batch(d)
  lu.assertEquals(labels.dtype, "i32")
  local still = first_batch(d, ml.augment { rotate = 12, elastic = 2, strength = 0 })
  close(still:reshape(1, -1), plain:reshape(1, -1), 1e-5)
end

-- ---- views and ensembles ----

function TestAugment:testViews()
  lu.assertEquals(#ml.tta { shift = 1 }, 9)
  local list = ml.tta { views = { {}, { rotate = 5, scale = 1.1 }, { shift = { 0, 1 }, scale = { 1, 0.9 } } } }
  lu.assertEquals(#list, 3)
  lu.assertEquals(list.views[3].shift_y, 1)
  lu.assertEquals(tostring(list), "mean of 3 views, by probabilities")
  local bad = {
    { {}, "ml.tta: needs shift or views, one of them" },
    { { shift = 1, views = { {} } }, "needs shift or views, one of them" },
    { { shift = 0 }, "shift is 0; expected a number > 0" },
    { { views = {} }, "ml.tta: views is empty" },
    { { views = { { rotat = 1 } } }, "ml.tta: view 1: unknown option 'rotat'; did you mean 'rotate'?" },
    { { views = { {}, 3 } }, "ml.tta: view 2: expected a table such as { shift = { 1, 0 } }, got 3" },
    { { views = { { shift = { 1 } } } }, "view 1: shift: expected { x, y }, got 1 numbers" },
    { { views = { { scale = { 1, 0 } } } }, "view 1: scale[2] is 0" },
    { { shift = 1, mean = "median" }, "mean is 'median'; expected one of 'probabilities', 'logits'" },
  }
  for _, case in ipairs(bad) do lu.assertErrorMsgContains(case[2], ml.tta, case[1]) end
end

function TestAugment:testMeanOfPredictions()
  ml.manual_seed(3)
  local a, b = ml.randn(4, 5), ml.randn(4, 5)
  local mean = average.of({ a, b }, "probabilities")
  close(mean:softmax(), (a:softmax() + b:softmax()) * 0.5, 1e-6)
  close(average.of({ a, b }, "logits"), (a + b) * 0.5, 1e-6)
  local far = average.of({ ml.tensor { { 0, -1000 } }, ml.tensor { { 0, -2000 } } }, "probabilities")
  lu.assertAlmostEquals(far[1][2], -1000 - math.log(2), 1e-2)
  lu.assertErrorMsgContains("needs logits of samples x classes", average.of, { ml.zeros(3) }, "logits")
end

function TestAugment:testViewsSeeMovedPictures()
  local seen = {}
  local function model(x)
    seen[#seen + 1] = x:clone()
    return ml.zeros(#x, 3)
  end
  local x = ml.rand(2, 4, 4)
  ml.tta { views = { {}, { shift = { 1, 0 } } } }(model, x, -1)
  lu.assertEquals(seen[1]:totable(), x:totable())
  lu.assertEquals(seen[2][1][1]:totable(), { -1, x[1][1][1], x[1][1][2], x[1][1][3] })
  lu.assertErrorMsgContains("x: expected a tensor of pictures, got 3", ml.tta { shift = 1 }, model, 3)
  lu.assertTrue(core.recording())
end

function TestAugment:testEnsemble()
  ml.manual_seed(4)
  local a, b = nn.Linear(6, 3), nn.Linear(6, 3)
  local both = ml.ensemble { a, b }
  local x = ml.rand(5, 6)
  close(both(x):softmax(), (a(x):softmax() + b(x):softmax()) * 0.5, 1e-6)
  close(ml.ensemble { a, b, mean = "logits" }(x), (a(x) + b(x)) * 0.5, 1e-6)
  lu.assertEquals(#both:parameters(), 4)
  lu.assertErrorMsgContains("ml.ensemble: expected a list of models", ml.ensemble, {})
  lu.assertErrorMsgContains("unknown option 'maen'; did you mean 'mean'?", ml.ensemble, { a, maen = 1 })
  lu.assertErrorMsgContains("mean is 'x'", ml.ensemble, { a, mean = "x" })
end

-- ---- preprocessing ----

function TestAugment:testDeskewAndCentre()
  local b = ml.data.digits { n = 30, test = 10 }
  local straight = b:deskew()
  lu.assertEquals(#straight.train, 30)
  lu.assertEquals(#straight.test, 10)
  lu.assertEquals(straight.train.normalise, b.train.normalise)
  lu.assertEquals(straight.train[4].label, b.train[4].label)
  lu.assertNotEquals(straight:hash(), b:hash())
  lu.assertEquals(straight.train:subset(3, 5):hash(), b.train:subset(3, 5):deskew():hash())
  local image = b.train:centre()[1].image:to "f32"
  local weight = image:sum(2):totable()
  local sum, moment = 0, 0
  for i, w in ipairs(weight) do sum, moment = sum + w, moment + w * i end
  lu.assertAlmostEquals(moment / sum, 14.5, 0.05)
  lu.assertFalse(augment.is_augment(b))
end
