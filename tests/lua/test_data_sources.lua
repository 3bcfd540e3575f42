-- ml.data: the named sets beside MNIST, folders of pictures, and tensors of the script's own.
local aid = require "files_aid"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local lu = require "luaunit"
local ml = require "mnistlua"

local function labels(d)
  local list = {}
  for i = 1, #d do list[i] = d[i].label end
  return list
end

-- ---- named sets ----

TestNamedSets = {}

function TestNamedSets:setUp()
  self.dir = aid.folder()
  context.data_dir = self.dir
end

function TestNamedSets:tearDown()
  context.data_dir, context.data, context.last_fault = nil, nil, nil
  aid.remove(self.dir)
end

-- Three pictures of 2x2 for training, one for test; files begin with these prefixes.
function TestNamedSets:write(name, train, test)
  for prefix, n in pairs { [train] = 3, [test] = 1 } do
    local pixels, digits = {}, {}
    for i = 1, n do pixels[i], digits[i] = string.char(10 * i, 10 * i + 1, 10 * i + 2, 10 * i + 3), string.char(i) end
    local path = ("%s/%s/%s-"):format(self.dir, name, prefix)
    aid.write(path .. "images-idx3-ubyte", aid.idx({ n, 2, 2 }, table.concat(pixels)))
    aid.write(path .. "labels-idx1-ubyte", aid.idx({ n }, n == 1 and "\1" or table.concat(digits)))
  end
end

function TestNamedSets:testRelativesOfMnist()
  for name, class_name in pairs { fashion_mnist = "Trouser", kmnist = "ki" } do
    self:write(name, "train", "t10k")
    local d = ml.data[name] { normalise = "none" }
    lu.assertEquals(tostring(d), name .. ": 3 train, 1 test")
    lu.assertEquals({ d.classes, d.class_names[2], d:subset(1, 2).class_names[2] }, { 10, class_name, class_name })
    lu.assertEquals(d[2].image:totable(), { { 20, 21 }, { 22, 23 } })
    lu.assertEquals(ml.data[name]({ from = "t10k" })[1].label, 1)
    local mean = (11.5 + 21.5 + 31.5) / 3 / 255
    lu.assertAlmostEquals(ml.data[name]({}).train.normalise[1], mean, 1e-12)
  end
end

function TestNamedSets:testEmnistIsTurnedUpright()
  self:write("emnist_digits", "emnist-digits-train", "emnist-digits-test")
  local d = ml.data.emnist_digits()
  lu.assertEquals(d[1].image:totable(), { { 10, 12 }, { 11, 13 } })
  lu.assertEquals(d[3].image:totable(), { { 30, 32 }, { 31, 33 } })
  lu.assertEquals(d.test[1].image:totable(), { { 10, 12 }, { 11, 13 } })
  local path = self.dir .. "/emnist_digits/emnist-digits-train-images-idx3-ubyte"
  aid.write(path, aid.idx({ 3, 1, 4 }, "\7"))
  local none, why = ml.data.emnist_digits()
  lu.assertNil(none)
  lu.assertStrContains(why, path .. ": expected square pictures of bytes, found 3x1x4 of u8")
end

function TestNamedSets:testMissingSetsSayHowToFetchThem()
  for _, name in ipairs { "fashion_mnist", "kmnist", "emnist_digits" } do
    local d, why = ml.data[name]()
    lu.assertNil(d)
    lu.assertStrContains(why, ("is not in %s/%s: fetch it with '"):format(self.dir, name))
    lu.assertStrContains(why, ("data/fetch %s --to %s' ("):format(name, self.dir))
  end
end

function TestNamedSets:testOneInPlaceOfAnother()
  self:write("kmnist", "train", "t10k")
  context.data, context.notes = "kmnist", {}
  lu.assertEquals(tostring(ml.data.mnist()), "kmnist: 3 train, 1 test")
  lu.assertEquals(context.notes, { "KMNIST in place of MNIST (--data kmnist)" })
  context.notes = {}
end

function TestNamedSets:testUnknownNames()
  for wrong, hint in pairs {
    fashion = "'fashion_mnist'?", fashon_mnist = "'fashion_mnist'?", kmnst = "'kmnist'?",
    emnist = "'emnist_digits', 'kmnist' or 'mnist'?", tensor = "'tensors'?", image = "'images'?",
  } do
    lu.assertErrorMsgContains(("ml.data has no '%s'; did you mean %s"):format(wrong, hint), function()
      return ml.data[wrong]
    end)
  end
end

-- ---- folders of pictures ----

TestImages = {}

function TestImages:setUp()
  self.dir, context.notes = aid.folder(), {}
end

function TestImages:tearDown()
  context.last_fault, context.notes = nil, {}
  aid.remove(self.dir)
end

-- n pictures of each class, all pixels of picture i of class c being 20 c + i.
function TestImages:write(folder, classes, n, side)
  for c, class in ipairs(classes) do
    for i = 1, n do
      aid.write(("%s/%s/%s/%d.png"):format(self.dir, folder, class, i),
        aid.png(side, side, string.char(20 * c + i):rep(side * side)))
    end
  end
  return self.dir .. "/" .. folder
end

local function pixels(d)
  local list = {}
  for i = 1, #d do list[i] = d[i].image:reshape(-1):totable()[1] end
  return list
end

function TestImages:testFolder()
  local dir = self:write("a", { "2", "10", "ä" }, 4, 3)
  local d = ml.data.images { dir }
  lu.assertEquals(#d, 12)
  lu.assertEquals(d.class_names, { "2", "10", "ä" })
  lu.assertEquals(d:sample_shape(), { 3, 3 })
  lu.assertEquals(d:label_counts(), { 4, 4, 4 })
  for i, value in ipairs(pixels(d)) do lu.assertEquals(value // 20 - 1, d[i].label) end
  lu.assertEquals(d:hash(), ml.data.images({ dir = dir, seed = 0 }):hash())
  lu.assertNotEquals(d:hash(), ml.data.images({ dir, seed = 1 }):hash())
end

function TestImages:testSplits()
  local dir = self:write("a", { "x", "y" }, 10, 2)
  local d = ml.data.images { dir, val = 0.1, test = 6, n = 8 }
  lu.assertEquals({ #d.train, #d.val, #d.test }, { 8, 2, 6 })
  local all, seen = ml.data.images { dir, val = 0.1, test = 6 }, {}
  for _, part in ipairs { all.train, all.val, all.test } do
    for _, value in ipairs(pixels(part)) do
      lu.assertNil(seen[value])
      seen[value] = true
    end
  end
  local sum = 0
  for _, value in ipairs(pixels(all.train)) do sum = sum + value end
  lu.assertAlmostEquals(all.test.normalise[1], sum / 12 / 255, 1e-12)   -- of the training pictures alone
  lu.assertErrorMsgContains("leave no training samples", ml.data.images, { dir, val = 0.5, test = 0.5 })
  lu.assertErrorMsgContains("more than the 20 training samples", ml.data.images, { dir, n = 21 })
end

function TestImages:testAFolderForTest()
  local dir, test = self:write("a", { "x", "y", "z" }, 3, 2), self:write("t", { "z", "x" }, 2, 2)
  local d = ml.data.images { dir, test = test, val = 2 }
  lu.assertEquals({ #d.train, #d.val, #d.test, d.test.classes }, { 7, 2, 4, 3 })
  lu.assertEquals(labels(d.test), { 0, 0, 2, 2 })
  lu.assertEquals(d.test.normalise, d.train.normalise)
  local other = self:write("o", { "x", "q" }, 1, 2)
  local none, why = ml.data.images { dir, test = other }
  lu.assertNil(none)
  lu.assertEquals(why, other .. "/q: expected one of the training set's classes, got 'q'")
  local large = self:write("l", { "x", "y" }, 1, 5)
  none, why = ml.data.images { dir, val = large }
  lu.assertNil(none)
  lu.assertStrContains(why, large .. ": the pictures are 5x5, expected 2x2 as in " .. dir)
  lu.assertEquals(ml.data.images({ dir, val = large, size = 4 }).val:sample_shape(), { 4, 4 })
end

function TestImages:testSizeChannelsInvert()
  local dir = self:write("a", { "x", "y" }, 2, 6)
  lu.assertEquals(ml.data.images({ dir, size = { 2, 3 } }):sample_shape(), { 2, 3 })
  lu.assertEquals(ml.data.images({ dir, size = 28, channels = 3 }):sample_shape(), { 3, 28, 28 })
  lu.assertEquals(context.notes, {})
  local first = pixels(ml.data.images { dir })
  for i, value in ipairs(pixels(ml.data.images { dir, invert = true })) do lu.assertEquals(value, 255 - first[i]) end
  lu.assertEquals(pixels(ml.data.images { dir, invert = "auto" }), first)
  lu.assertEquals(context.notes, { dir .. ": dark background, kept as it is" })
  aid.write(dir .. "/z/1.png", aid.png(2, 2, ("\100\150\200"):rep(4)))
  local d = ml.data.images { dir, size = 1, channels = 3, test = 0, seed = 3 }
  for i = 1, #d do
    if d[i].label == 2 then lu.assertEquals(d[i].image:reshape(-1):totable(), { 100, 150, 200 }) end
  end
end

function TestImages:testMistakes()
  local dir = self:write("a", { "x", "y" }, 1, 2)
  for _, case in ipairs {
    { { dir, size = 0 }, "ml.data.images: size is 0; expected { height, width }" },
    { { dir, size = { 28 } }, "size is a table; expected { height, width }" },
    { { dir, size = { 28, 5000 } }, "whole numbers from 1 to 4096" },
    { { dir, channels = 2 }, "channels is 2; expected one of 1, 3" },
    { { dir, invert = "yes" }, "invert is 'yes'; expected one of false, true, 'auto'" },
    { { dir, chanels = 1 }, "did you mean 'channels'?" },
    { {}, "ml.data.images: needs dir" },
    { { dir, val = -1 }, "val: expected a number of samples or a share below 1" },
  } do
    lu.assertErrorMsgContains(case[2], ml.data.images, case[1])
  end
  local one = "expected 2 sub-folders or more, one for each class, found 1 entry ('1.png')"
  for path, message in pairs {
    [self.dir .. "/absent"] = "absent: cannot be opened", [dir .. "/x"] = one,
  } do
    local d, why = ml.data.images { path }
    lu.assertNil(d)
    lu.assertStrContains(why, message)
  end
end

-- ---- tensors ----

TestTensors = {}

function TestTensors:testListsAndTensors()
  local x = { { 1, 2.5 }, { 3, 4 }, { 5, 6 }, { 7, 8 } }
  for _, y in ipairs { { 0, 1, 2, 1 }, ml.tensor { 0, 1, 2, 1 }, ml.tensor({ 0, 1, 2, 1 }, "i32"),
                       ml.tensor({ 0, 1, 2, 1 }, "u8") } do
    for _, values in ipairs { x, ml.tensor(x) } do
      local d = ml.data.tensors { x = values, y = y }
      lu.assertEquals({ #d, d.classes, d:sample_shape() }, { 4, 3, { 2 } })
      lu.assertEquals(labels(d), { 0, 1, 2, 1 })
      for batch, target in d:batches { batch = 4 } do
        lu.assertEquals(batch:totable(), x)                 -- as they are, unless asked for
        lu.assertEquals(target:totable(), { 0, 1, 2, 1 })
      end
    end
  end
  local d = ml.data.tensors { x = x, y = { 0, 1, 1, 0 }, normalise = "standard", val = 1, classes = 5 }
  lu.assertEquals({ #d.train, #d.val, d.classes }, { 3, 1, 5 })
  lu.assertTrue(d.train.normalise[2] > 1)
end

-- Floats have no 255 to be divided by: "none" and "unit" leave them as they are.
function TestTensors:testFloatsAsTheyAre()
  for _, normalise in ipairs { "none", "unit" } do
    local d = ml.data.tensors { x = { { 0.5, 300 } }, y = { 0 }, normalise = normalise }
    lu.assertEquals(d:batches { batch = 1 }():totable(), { { 0.5, 300 } })
  end
end

function TestTensors:testPictures()
  local x = ml.zeros(3, 1, 4, 4)
  local d = ml.data.tensors { x = x, y = { 0, 1, 0 }, test_x = ml.ones(2, 1, 4, 4), test_y = { 1, 1 } }
  lu.assertEquals(tostring(d), "tensors: 3 train, 2 test")
  lu.assertEquals(d.test.classes, 2)
  local bytes = ml.data.tensors { x = ml.tensor({ { { 0, 255 } }, { { 0, 255 } } }, "u8"), y = { 0, 1 } }
  lu.assertAlmostEquals(bytes.train.normalise[1], 0.5, 1e-12)
end

function TestTensors:testMistakes()
  local x, y, nan = { { 1, 2 }, { 3, 4 }, { 5, 6 } }, { 0, 1, 2 }, 0 / 0
  for _, case in ipairs {
    { { x = x }, "ml.data.tensors: needs y" },
    { { y = y }, "ml.data.tensors: needs x" },
    { { x = 5, y = y }, "x is 5; expected a tensor or a table" },
    { { x = { 1, 2, 3 }, y = y }, "x has shape {3}; expected {samples, features}" },
    { { x = { { 1, 2 }, { 3 } }, y = y }, "ml.data.tensors: x: rows of a nested table differ" },
    { { x = { { 1, "a" } }, y = { 0 } }, "ml.data.tensors: x: element 2: expected a number, got the string 'a'" },
    { { x = { { 1, 2 }, { 3, nan }, { 5, 6 } }, y = y }, "x[2] holds nan; expected finite numbers" },
    { { x = { { 1, 2 }, { 3, 4 }, { -1 / 0, 6 } }, y = y }, "x[3] holds -inf; expected finite numbers" },
    { { x = x, y = { 0, 1 } }, "x has 3 samples but y has 2 labels" },
    { { x = x, y = { { 1, 0 }, { 0, 1 }, { 0, 1 } } }, "y has shape {3, 2}; expected one label for each sample, {3}" },
    { { x = x, y = { 0, 1.5, 2 } }, "y[2] is 1.5; expected a whole number >= 0" },
    { { x = x, y = { 0, -1, 2 } }, "y[2] is -1" },
    { { x = x, y = { 0, nan, 2 } }, "expected a whole number >= 0" },
    { { x = x, y = y, classes = 2 }, "y[3] is 2.0; expected a whole number from 0 to 1" },
    { { x = x, y = y, test_x = x }, "test_x and test_y go together" },
    { { x = x, y = y, test_x = { { 1, 2, 3 } }, test_y = { 0 } },
      "test_x is {1, 3} of f32; expected samples as in x, {3, 2} of f32" },
    { { x = x, y = y, test_x = x, test_y = { 0, 1, 3 } }, "test_y[3] is 3.0; expected a whole number from 0 to 2" },
    { { x = x, y = y, test_x = { { nan, 1 } }, test_y = { 0 } }, "test_x[1] holds nan" },
    { { x = x, y = y, vla = 1 }, "did you mean 'val'?" },
    { { x = x, y = y, n = 4 }, "n = 4 is more than the 3 training samples" },
  } do
    lu.assertErrorMsgContains(case[2], ml.data.tensors, case[1])
  end
end

function TestTensors:testTheScriptsOwnGradientsAreLeftAlone()
  local x = ml.randn(4, 3):requires_grad_()
  local d = ml.data.tensors { x = x, y = { 0, 1, 0, 1 } }
  lu.assertNil(x.grad)
  lu.assertTrue(core.recording(true))
  lu.assertEquals(#d, 4)
end
