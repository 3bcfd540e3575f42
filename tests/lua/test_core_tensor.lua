-- mnistlua.core: making, reading, changing and printing tensors, operations as methods, and every kind of misuse.
local lu = require "luaunit"
local aid = require "core_aid"
local core = require "mnistlua.core"

local raises = aid.assert_raises

-- ---- making and reading ----

TestCoreTensorMake = {}

function TestCoreTensorMake:testNestedTables()
  local t = core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  lu.assertEquals(t.shape, { 2, 3 })
  lu.assertEquals(t.dtype, "f32")
  lu.assertEquals(t:totable(), { { 1, 2, 3 }, { 4, 5, 6 } })
  lu.assertEquals(core.tensor(2.5).shape, {})
  lu.assertEquals(core.tensor({}).shape, { 0 })
  lu.assertEquals(core.tensor({ { {} }, { {} } }).shape, { 2, 1, 0 })
  lu.assertEquals(core.tensor({ 1, 255 }, "u8"):totable(), { 1, 255 })
  lu.assertEquals(math.type(core.tensor({ 7 }, "i32")[1]), "integer")
end

function TestCoreTensorMake:testBadTables()
  raises("rows of a nested table differ: expected 2 elements, got 1", function() core.tensor { { 1, 2 }, { 3 } } end)
  raises("element 3: expected a number, got a table", function() core.tensor { 1, 2, {} } end)
  raises("expected a table, got 3", function() core.tensor { { 1 }, 3 } end)
  raises("element 1: expected a number, got the string '3'", function() core.tensor { "3" } end)
  raises("element 2: expected a whole number from 0 to 255 for a u8 tensor, got 256", function()
    core.tensor({ 1, 256 }, "u8")
  end)
  raises("of 32 bits for an i32 tensor, got 0.5", function() core.tensor({ 0.5 }, "i32") end)
  raises("at most 6 dimensions", function() core.tensor { { { { { { { 1 } } } } } } } end)
  raises("expected a dtype", function() core.tensor({ 1 }, "f64") end)
  local endless = {}
  endless[1] = endless
  raises("at most 6 dimensions", function() core.tensor(endless) end)
  raises("expected a number or a nested table", function() core.tensor "3" end)
end

-- What is finite stays finite; infinities and NaN come only from themselves.
function TestCoreTensorMake:testNumbersBeyondF32()
  local t, message = core.ones(2), "expected a number that f32 can hold (up to 3.4e38), got "
  local below = 0x1.fffffep127
  lu.assertEquals(core.tensor({ below, -below, 0x1.fffffefp127 }):totable(), { below, -below, below })
  lu.assertEquals(core.tensor({ 1 / 0, -1 / 0, 1e-300 }):totable(), { 1 / 0, -1 / 0, 0 })
  lu.assertNotEquals(core.tensor(0 / 0):item(), core.tensor(0 / 0):item())
  lu.assertEquals((t * (1 / 0)):totable(), { 1 / 0, 1 / 0 })
  for _, bad in ipairs { 1e39, -1e39, 0x1.ffffffp127, 1e308 } do
    raises("element 2: " .. message, function() core.tensor { 1, bad } end)
    raises("value: " .. message, function() core.full({ 2 }, bad) end)
    raises("value: " .. message, function() t[1] = bad end)
    for _, name in ipairs { "fill_", "add_", "mul_", "uniform_", "normal_", "mul", "maximum" } do
      raises(message, function() t[name](t, bad) end)
    end
    raises(message, function() t:add_(t, bad) end)
    raises(message, function() return t * bad end)
    raises(message, function() return bad - t end)
  end
  lu.assertEquals(t:totable(), { 1, 1 })
end

function TestCoreTensorMake:testFilled()
  lu.assertEquals(core.zeros(2, 1):totable(), { { 0 }, { 0 } })
  lu.assertEquals(core.zeros({ 2 }, "u8").dtype, "u8")
  lu.assertEquals(core.ones({ 2, 1 }):totable(), { { 1 }, { 1 } })
  lu.assertEquals(core.ones({ 2 }, "i32"):totable(), { 1, 1 })
  lu.assertEquals(core.full({ 2 }, 2.5):totable(), { 2.5, 2.5 })
  lu.assertEquals(core.full({ 2 }, 7, "u8"):totable(), { 7, 7 })
  lu.assertEquals(core.arange(3):totable(), { 0, 1, 2 })
  lu.assertEquals(core.zeros({}):item(), 0)
end

function TestCoreTensorMake:testBadSizes()
  for _, make in ipairs { core.zeros, core.ones, core.rand, core.randn } do
    for _, size in ipairs { -1, 3.5, 0 / 0, 2 ^ 63, "3", { "3" }, { -1 }, true, print } do
      raises("expected", function() make(size) end)
    end
    raises("expected", function() make() end)
    raises("at most 6 dimensions", function() make(1, 1, 1, 1, 1, 1, 1) end)
    raises("more elements than can be counted", function() make(2 ^ 40, 2 ^ 40) end)
  end
  raises("out of memory", function() core.zeros(2 ^ 50) end)
  raises("expected a number, got nil", function() core.full({ 2 }) end)
  raises("for a u8 tensor, got 256", function() core.full({ 2 }, 256, "u8") end)
  raises("at least 0, got -1", function() core.arange(-1) end)
end

function TestCoreTensorMake:testRandomDependsOnSeedAndOrderOnly()
  core.manual_seed(7)
  local a, b, w = core.rand(1000), core.randn(1000), core.zeros(5):normal_(0, 1)
  core.manual_seed(7)
  lu.assertEquals(core.zeros(5):normal_(0, 1):totable(), w:totable())
  lu.assertEquals(core.rand(1000):totable(), a:totable())
  local state = core.random_state()
  lu.assertEquals(core.randn(1000):totable(), b:totable())
  core.random_state(state)
  lu.assertEquals(core.randn(1000):totable(), b:totable())
  lu.assertNotEquals(core.randn(1000):totable(), b:totable())
  lu.assertAlmostEquals(a:mean():item(), 0.5, 0.05)
  lu.assertAlmostEquals(b:mean():item(), 0, 0.1)
  local u = core.zeros(1000):uniform_(-2, 3)
  lu.assertTrue(u:min():item() >= -2 and u:max():item() < 3)
  for _, seed in ipairs { -1, 2 ^ 32, 0.5, "1", {} } do raises("expected", function() core.manual_seed(seed) end) end
  raises("did you mean 'seed'", function() core.random_state { sede = 1 } end)
end

-- ---- fields and rows ----

TestCoreTensorAccess = {}

function TestCoreTensorAccess:testFields()
  local t = core.zeros(2, 3)
  lu.assertNil(t.grad)
  lu.assertFalse(t.requires_grad)
  t.requires_grad = true
  lu.assertTrue(t.requires_grad)
  t.shape[1] = 9
  lu.assertEquals(t.shape, { 2, 3 })
  raises("the shape of a Tensor cannot be set", function() t.shape = { 6 } end)
  raises("grad: expected nil", function() t.grad = 3 end)
  raises("requires_grad: expected true or false, got nil", function() t.requires_grad = nil end)
  raises("only an f32 tensor", function() core.zeros({ 2 }, "u8").requires_grad = true end)
end

function TestCoreTensorAccess:testUnknownNames()
  local t = core.zeros(2)
  raises("a Tensor has no field or method 'reul'; did you mean 'relu'?", function() return t:reul() end)
  raises("did you mean 'requires_grad'?", function() return t.require_grad end)
  raises("did you mean 'shape'?", function() t.shap = 1 end)
  raises("no field or method 'qqqqqqqqqq'", function() return t.qqqqqqqqqq end)
  raises("\\x1b", function() return t["\27[0m"] end)
end

function TestCoreTensorAccess:testRows()
  local t = core.tensor { { 1, 2, 3 }, { 4, 5, 6 } }
  lu.assertEquals(t[2]:totable(), { 4, 5, 6 })
  lu.assertEquals(t[2][3], 6)
  lu.assertEquals(t[2.0][1], 4)
  lu.assertNil(t[3])
  lu.assertEquals(#t, 2)
  local sum = 0
  for _, row in ipairs(t) do
    for _, x in ipairs(row) do sum = sum + x end
  end
  lu.assertEquals(sum, 21)
  t[1][2] = 20
  t[2] = core.tensor { 7, 8, 9 }
  lu.assertEquals(t:totable(), { { 1, 20, 3 }, { 7, 8, 9 } })
  t[1] = 0
  lu.assertEquals(t:totable(), { { 0, 0, 0 }, { 7, 8, 9 } })
  t[1] = t[2]
  t[2] = t[2]
  lu.assertEquals(t[1]:totable(), { 7, 8, 9 })
  for _, i in ipairs { -1, 0, 4, 3.5, 0 / 0, 2 ^ 63, math.mininteger } do
    raises(math.type(i) == "integer" and "out of range" or "expected", function() return t[i] end)
    raises(math.type(i) == "integer" and "out of range" or "expected", function() t[i] = 1 end)
  end
  raises("no field or method '3'", function() return t["3"] end)
  raises("expected a row number or a name, got a table", function() return t[{}] end)
  raises("rows cannot be added", function() t[3] = 1 end)
  raises("value: expected a number, got the string '1'", function() t[1] = "1" end)
  raises("expected an f32 tensor of 3, got f32 of 2", function() t[1] = core.zeros(2) end)
  raises("whole number from 0 to 255", function() core.zeros({ 2 }, "u8")[1] = -1 end)
  raises("a scalar has no rows", function() return core.tensor(1)[1] end)
  raises("a scalar has no length", function() return #core.tensor(1) end)
end

function TestCoreTensorAccess:testAGradientCanBeGiven()
  local w, g = core.ones(2, 2):requires_grad_(), core.full({ 2, 2 }, 3)
  w.grad = g
  g:zero_()
  lu.assertEquals(w.grad:totable(), { { 3, 3 }, { 3, 3 } })        -- a copy
  w:sum():backward()
  lu.assertEquals(w.grad:totable(), { { 4, 4 }, { 4, 4 } })
  raises("expected an f32 tensor of 2x2, got f32 of 2", function() w.grad = core.ones(2) end)
  raises("only a leaf", function() (w * 2).grad = core.ones(2, 2) end)
  lu.assertEquals(w.grad:totable(), { { 4, 4 }, { 4, 4 } })
end

function TestCoreTensorAccess:testReleasedAndExpired()
  local gone = { ["has been released"] = aid.released(), ["has expired; keep it with :clone()"] = aid.expired() }
  for text, t in pairs(gone) do
    raises(text, function() return t.shape end)
    raises(text, function() return t[1] end)
    raises(text, function() return #t end)
    raises(text, function() return t + 1 end)
    raises(text, function() return t:sum() end)
    raises(text, function() return t:item() end)
    raises(text, function() t[1] = 1 end)
    raises(text, function() core.ones(2, 3):copy_(t) end)
    lu.assertStrContains(tostring(t), text:find "released" and "released" or "expired")
    lu.assertIsFunction(t.sum)
  end
end

function TestCoreTensorAccess:testEquality()
  local w = core.ones(2):requires_grad_()
  w:sum():backward()
  lu.assertTrue(w.grad == w.grad)
  lu.assertFalse(w == core.ones(2))
end

-- ---- methods ----

TestCoreTensorMethods = {}

function TestCoreTensorMethods:testArithmetic()
  local a, b = core.tensor { { 1, 2 }, { 3, 4 } }, core.tensor { 10, 20 }
  lu.assertEquals((a + b):totable(), { { 11, 22 }, { 13, 24 } })
  lu.assertEquals((b - a):totable(), { { 9, 18 }, { 7, 16 } })
  lu.assertEquals((2 * a):totable(), { { 2, 4 }, { 6, 8 } })
  lu.assertEquals((12 / a):totable(), { { 12, 6 }, { 4, 3 } })
  lu.assertEquals((a ^ 2):totable(), { { 1, 4 }, { 9, 16 } })
  lu.assertEquals((-a):totable(), { { -1, -2 }, { -3, -4 } })
  lu.assertEquals(a:eq(2):totable(), { { 0, 1 }, { 0, 0 } })
  lu.assertEquals(a:maximum(2):totable(), { { 2, 2 }, { 3, 4 } })
  raises("argument #2 of 'add': expected a Tensor or a number, got the string '1'", function() return a + "1" end)
  raises("argument #1 of 'mul': expected a Tensor or a number, got nil", function() return nil * a end)
  raises("2x2", function() return a + core.zeros(3) end)
end

function TestCoreTensorMethods:testReductions()
  local a = core.tensor { { 1, 5, 3 }, { 4, 2, 6 } }
  lu.assertEquals(a:sum():item(), 21)
  lu.assertEquals(a:sum(1):totable(), { 5, 7, 9 })
  lu.assertEquals(a:sum(-1, true):totable(), { { 9 }, { 12 } })
  lu.assertEquals(a:mean(2):totable(), { 3, 4 })
  lu.assertEquals(a:max():item(), 6)
  local values, places = a:max(2)
  lu.assertEquals(values:totable(), { 5, 6 })
  lu.assertEquals(places:totable(), { 1, 2 })
  lu.assertEquals(places.dtype, "i32")
  values, places = a:min(1, true)
  lu.assertEquals(values:totable(), { { 1, 2, 3 } })
  lu.assertEquals(places:totable(), { { 0, 1, 0 } })
  lu.assertEquals(a:argmax(2):totable(), { 1, 2 })
  for _, dim in ipairs { 0, 3, -3, 1.5, 0 / 0, 2 ^ 63, "1", {} } do
    raises("expected a dimension from 1 to 2 or -2 to -1", function() a:sum(dim) end)
    raises("expected a dimension from 1 to 2 or -2 to -1", function() a:max(dim) end)
  end
  raises("argument #2 of 'sum': expected true or false, got 1", function() a:sum(1, 1) end)
  raises("a scalar has no dimension", function() core.tensor(1):sum(1) end)
end

function TestCoreTensorMethods:testShapes()
  local a = core.arange(6):reshape(2, 3)
  lu.assertEquals(a:t():totable(), { { 0, 3 }, { 1, 4 }, { 2, 5 } })
  lu.assertEquals(a:reshape { 3, -1 }.shape, { 3, 2 })
  lu.assertEquals(a:reshape(-1).shape, { 6 })
  lu.assertEquals(core.zeros(2, 3, 4):flatten().shape, { 2, 12 })
  lu.assertEquals(core.zeros(4):flatten().shape, { 4 })
  lu.assertEquals(a:rows(2, 2):totable(), { { 3, 4, 5 } })
  lu.assertEquals(a:rows(2, 1).shape, { 0, 3 })
  lu.assertEquals(a:slice(2, 1, 2):totable(), { { 0, 1 }, { 3, 4 } })
  lu.assertEquals(a:slice(-1, 3, 3):totable(), { { 2 }, { 5 } })
  lu.assertEquals(a:gather_rows(core.tensor({ 1, 1 }, "i32")):totable(), { { 3, 4, 5 }, { 3, 4, 5 } })
  lu.assertEquals(core.concat({ a, a }, 1).shape, { 4, 3 })
  lu.assertEquals(core.concat({ a, a, a }, -1).shape, { 2, 9 })
  raises("only one size may be -1", function() a:reshape(-1, -1) end)
  raises("no size in place of -1", function() a:reshape(4, -1) end)
  raises("reshape", function() a:reshape(7) end)
  raises("2 to 3 is out of range: dimension 1 has 1 to 2", function() a:rows(2, 3) end)
  raises("out of range", function() a:rows(0, 1) end)
  raises("expected a whole number, got nil", function() a:rows(1) end)
  raises("out of range", function() a:slice(2, 3, 1) end)
  raises("concat: tensor 2: expected a Tensor, got 3", function() core.concat({ a, 3 }, 1) end)
  raises("expected a table of 1 to 8 tensors, got 0", function() core.concat({}, 1) end)
end

function TestCoreTensorMethods:testProductsAndLosses()
  local a, b = core.tensor { { 1, 2 }, { 3, 4 } }, core.tensor { { 5, 6 }, { 7, 8 } }
  lu.assertEquals(a:matmul(b):totable(), { { 19, 22 }, { 43, 50 } })
  lu.assertEquals(a:matmul(b, { transpose_b = true }):totable(), { { 17, 23 }, { 39, 53 } })
  lu.assertEquals(core.linear(a, b, core.tensor { 1, 1 }):totable(), { { 18, 24 }, { 40, 54 } })
  lu.assertEquals(core.mse(a, b):item(), 16)
  local labels = core.tensor({ 1, 0 }, "i32")
  local plain = core.cross_entropy(a, labels):item()
  lu.assertAlmostEquals(plain, (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1))) / 2, 1e-6)
  lu.assertAlmostEquals(core.nll(a:log_softmax(), labels):item(), plain, 1e-6)
  lu.assertAlmostEquals(core.cross_entropy(a, labels:to "u8"):item(), plain, 1e-6)
  local options = { label_smoothing = 0.1, weight = core.tensor { 1, 2 } }
  lu.assertNotEquals(core.cross_entropy(a, labels, options):item(), plain)
  lu.assertAlmostEquals(a:softmax(-1):sum(2):totable()[1], 1, 1e-6)
  raises("unknown option 'transpose_c'", function() a:matmul(b, { transpose_c = true }) end)
  raises("did you mean 'label_smoothing'?", function() core.cross_entropy(a, labels, { label_smothing = 1 }) end)
  raises("weight: expected a Tensor, got 3", function() core.nll(a, labels, { weight = 3 }) end)
  raises("expected a table of options, got 3", function() a:matmul(b, 3) end)
  raises("an option's name: expected a string, got 1", function() a:matmul(b, { true }) end)
  raises("linear", function() core.linear(a) end)
  raises("expected at most 2 inputs", function() core.mse(a, b, a) end)
end

function TestCoreTensorMethods:testInPlace()
  local t = core.tensor { 1, 2, 3 }
  lu.assertTrue(rawequal(t:add_(t, 2), t))
  lu.assertEquals(t:totable(), { 3, 6, 9 })
  lu.assertEquals(t:add_(1):mul_(2):totable(), { 8, 14, 20 })
  lu.assertEquals(t:mul_(core.tensor { 1, 0, 2 }):totable(), { 8, 0, 40 })
  lu.assertEquals(t:fill_(4):totable(), { 4, 4, 4 })
  lu.assertEquals(t:zero_():totable(), { 0, 0, 0 })
  lu.assertEquals(core.zeros({ 3 }, "i32"):fill_(-7):totable(), { -7, -7, -7 })
  local copy = t:clone()
  copy:fill_(1)
  lu.assertEquals(t:copy_(copy):totable(), { 1, 1, 1 })
  lu.assertEquals(t[2], 1)
  raises("expected an f32 tensor of 3, got f32 of 2", function() t:add_(core.zeros(2)) end)
  raises("expected an f32 Tensor", function() core.zeros({ 2 }, "u8"):mul_(2) end)
  raises("expected a Tensor or a number, got no value", function() t:add_() end)
  raises("whole number from 0 to 255", function() core.zeros({ 2 }, "u8"):fill_(1.5) end)
end

function TestCoreTensorMethods:testAskingAndConverting()
  local t = core.tensor { { 1.5, -2 }, { 3, 4 } }
  lu.assertEquals(t:numel(), 4)
  lu.assertEquals(t:dim(), 2)
  lu.assertEquals(t:size(), { 2, 2 })
  lu.assertEquals(t:size(-1), 2)
  lu.assertEquals(t:to("i32"):totable(), { { 1, -2 }, { 3, 4 } })
  lu.assertTrue(rawequal(t:to "f32", t))
  lu.assertTrue(t:isfinite())
  lu.assertFalse(core.tensor({ 1, 1 / 0 }):isfinite())
  lu.assertFalse(core.tensor({ 0 / 0 }):isfinite())
  lu.assertEquals(core.tensor({ { 5 } }):item(), 5)
  raises("item: expected a tensor of one element, got 2x2", function() t:item() end)
  raises("to: element 2 is -2, which does not fit u8", function() t:to "u8" end)
  raises("does not fit i32", function() core.tensor({ 0 / 0 }):to "i32" end)
  raises("expected a dtype", function() t:to() end)
end
