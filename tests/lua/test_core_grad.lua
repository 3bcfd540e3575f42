-- mnistlua.core: recording, backward passes, training steps, scopes, dropout's clock, optimizer steps.
local lu = require "luaunit"
local aid = require "core_aid"
local core = require "mnistlua.core"

local raises = aid.assert_raises

local function leaf(values) return core.tensor(values):requires_grad_() end

TestCoreGrad = {}

function TestCoreGrad:tearDown()
  core.step_end()
  core.recording(true)
end

function TestCoreGrad:testWhatIsALeaf()
  local w = leaf { 1, 2 }
  lu.assertTrue(w.is_leaf)
  lu.assertTrue(core.tensor({ 1, 2 }).is_leaf)
  lu.assertFalse((w * 2).is_leaf)
  lu.assertFalse(w:rows(1, 1).is_leaf)
  lu.assertTrue(w:detach().is_leaf)
  core.recording(false)
  lu.assertTrue((w * 2).is_leaf)
  core.recording(true)
  lu.assertFalse(pcall(function() w.is_leaf = false end))
end

function TestCoreGrad:testBackwardFillsLeaves()
  local w, b, x = leaf { { 1, 2 }, { 3, 4 } }, leaf { 10, 20 }, core.tensor { { 1, 1 } }
  core.linear(x, w, b):sum():backward()
  lu.assertEquals(w.grad:totable(), { { 1, 1 }, { 1, 1 } })
  lu.assertEquals(b.grad:totable(), { 1, 1 })
  lu.assertNil(x.grad)
  core.linear(x, w, b):sum():backward()
  lu.assertEquals(b.grad:totable(), { 2, 2 })
  b.grad = nil
  lu.assertNil(b.grad)
  core.zero_grad { w, b }
  lu.assertNil(w.grad)
end

function TestCoreGrad:testRowsAndNumbersAreRecorded()
  local w = leaf { { 1, 2 }, { 3, 4 } }
  local loss = (2 * w[2] ^ 2 - 1):sum()
  loss:backward()
  lu.assertEquals(w.grad:totable(), { { 0, 0 }, { 12, 16 } })
end

function TestCoreGrad:testMisuse()
  local w = leaf { 1, 2 }
  raises("must have one element, not 2", function() (w * 2):backward() end)
  raises("was not recorded", function() core.tensor(1):backward() end)
  local loss = w:sum()
  loss:backward()
  raises("already", function() loss:backward() end)
  local y = w * 2
  for _, name in ipairs { "fill_", "add_", "zero_", "mul_", "copy_", "normal_", "uniform_" } do
    raises("a recorded value cannot be changed in place", function() y[name](y, 1) end)
  end
  raises("a recorded value cannot be changed in place", function() y[1] = 3 end)
  raises("requires_grad of a computed value", function() y.requires_grad = false end)
  raises("only an f32 tensor", function() core.zeros({ 2 }, "i32"):requires_grad_() end)
  raises("expected true or false, got 1", function() w:requires_grad_(1) end)
end

function TestCoreGrad:testLeavesMayBeChangedInPlace()
  local w = leaf { { 1, 2 }, { 3, 4 } }
  w:sum():backward()
  w:add_(w.grad, -0.5)
  w[1] = 9
  lu.assertEquals(w:totable(), { { 9, 9 }, { 2.5, 3.5 } })
  lu.assertTrue(w.requires_grad)
end

-- Every way to change a tensor in place, between a product and its backward pass, and after it.
function TestCoreGrad:testChangesBeforeBackwardAreRefused()
  local changes = {
    function(w) w:zero_() end, function(w) w:fill_(3) end, function(w) w:copy_(core.ones(2)) end,
    function(w) w:add_(1) end, function(w) w:add_(w, 0.5) end, function(w) w:mul_(2) end,
    function(w) w:mul_(core.ones(2)) end, function(w) w:uniform_() end, function(w) w:normal_() end,
    function(w) w[2] = 7 end, function(w) w:detach():zero_() end, function(w) w:detach():rows(1, 1):fill_(2) end,
    function(w) w:reshape(1, 2):detach()[1] = core.ones(2) end,
    function(w) w:sum():backward() core.optim_step("SGD", { w }, {}, { lr = 0.1 }) end,
    function(w) pcall(w.copy_, w, core.zeros({ 2 }, "i32")) w:fill_(1) end,
  }
  for _, change in ipairs(changes) do
    local w = core.ones(2):requires_grad_()
    local y = (w * w):sum()
    change(w)
    w.grad = nil
    raises("backward: input 1 of mul was changed in place after it was used; its gradient would be wrong",
      function() y:backward() end)
    lu.assertNil(w.grad)
    y = (w * w):sum()
    y:backward()
    change(w)
    y = w:sum() + (w + 1):mean() - w:reshape(2, 1):max()
    change(w)
    y:backward()
  end
  local w = core.ones(2):requires_grad_()
  local y = (w * w):sum()
  lu.assertFalse((pcall(w.fill_, w, {})))
  lu.assertFalse((pcall(w.add_, w, core.ones(3))))
  lu.assertFalse((pcall(w.mul_, w, 1e39)))
  w:clone():zero_()
  y:backward()
  lu.assertEquals(w.grad:totable(), { 2, 2 })
end

-- The state of an optimizer counts as changed, too.
function TestCoreGrad:testOptimizerStateIsChangedByAStep()
  local w, buffer = leaf { 1, 2 }, core.ones(2)
  local y = (w * buffer):sum()
  w:sum():backward()
  core.optim_step("SGD", { w }, { { buffer } }, { lr = 0.1, momentum = 0.9 })
  raises("backward: input 2 of mul was changed in place", function() y:backward() end)
end

function TestCoreGrad:testRecordingAndDetach()
  local w = leaf { 1, 2 }
  lu.assertTrue(core.recording(false))
  lu.assertFalse((w * 2).requires_grad)
  lu.assertFalse(core.recording(true))
  lu.assertTrue((w * 2).requires_grad)
  local d = (w * 2):detach()
  lu.assertFalse(d.requires_grad)
  lu.assertEquals(d:totable(), { 2, 4 })
  lu.assertFalse((w * 2):clone().requires_grad)
  raises("expected true or false, got 0", function() core.recording(0) end)
end

-- ---- steps and scopes ----

function TestCoreGrad:testStepsExpireWhatTheyComputed()
  local w = leaf { 1, 2 }
  core.step_begin(1, 1)
  local y, plain = w * 2, core.tensor { 5 }
  local kept = y:clone()
  lu.assertEquals(y:totable(), { 2, 4 })
  core.step_begin(1, 2)
  raises("was computed in an earlier step and has expired", function() return y:item() end)
  lu.assertEquals(kept:totable(), { 2, 4 })
  lu.assertEquals(plain:item(), 5)
  core.step_end()
  for _, bad in ipairs { 0, -1, 1.5, "1", 0 / 0 } do
    raises("expected a whole number of at least 1", function() core.step_begin(bad, 1) end)
    raises("expected a whole number of at least 1", function() core.step_begin(1, bad) end)
  end
end

function TestCoreGrad:testMemoryIsFlatOverSteps()
  local w, x = core.randn(64, 64):requires_grad_(), core.randn(32, 64)
  local function step(i)
    core.step_begin(1, i)
    core.linear(x, w):relu():mean():backward()
    core.optim_step("SGD", { w }, {}, { lr = 0.1 })
    core.zero_grad { w }
  end
  for i = 1, 50 do step(i) end
  local before = core.memory()
  for i = 1, 200 do step(i) end
  lu.assertTrue(core.memory().peak - before.peak < 2 ^ 20)
end

function TestCoreGrad:testScopesExpireWhatWasComputedInside()
  local x, computed, made, inner = core.ones(3), nil, nil, nil
  local a, b = core.scope(function(p, q)
    computed, made = x * 2, core.zeros(3)
    core.scope(function() inner = x + 1 end)
    raises("has expired", function() return inner:item() end)
    lu.assertEquals(computed:totable(), { 2, 2, 2 })
    return p, q
  end, 1, 2)
  lu.assertEquals({ a, b }, { 1, 2 })
  raises("has expired", function() return computed:item() end)
  lu.assertEquals(made:totable(), { 0, 0, 0 })
  lu.assertEquals((x * 3):totable(), { 3, 3, 3 })
  lu.assertErrorMsgContains("on purpose", core.scope, function() computed = x * 2; error "on purpose" end)
  raises("has expired", function() return computed:item() end)
  raises("expected a function, got 3", function() core.scope(3) end)
end

function TestCoreGrad:testDropoutFollowsTheStep()
  local x = core.ones(1000)
  local function draw(epoch, step)
    core.step_begin(epoch, step)
    return { x:dropout(0.5):totable(), x:dropout(0.5):totable() }
  end
  core.manual_seed(3)
  local first, second = draw(1, 1), draw(1, 2)
  lu.assertNotEquals(first[1], first[2])
  lu.assertNotEquals(first, second)
  core.randn(10)
  lu.assertEquals(draw(1, 2), second)
  core.manual_seed(4)
  lu.assertNotEquals(draw(1, 2), second)
  for _, p in ipairs { -0.1, 1.5, 0 / 0 } do raises("dropout", function() x:dropout(p) end) end
end

function TestCoreGrad:testCountCorrectIsArgmaxEqSum()
  core.manual_seed(3)
  local nan = 0 / 0
  for _, scores in ipairs {
    core.randn(40, 10), core.randn(30, 3):mul(2):to "i32":to "f32", core.ones(7, 4), core.randn(5, 1),
    core.tensor { { nan, 1, nan }, { 1, nan, 2 }, { 1, 1, 0 }, { 0, 1 / 0, 1 / 0 }, { -1 / 0, -1 / 0, -1 / 0 } },
  } do
    local n, classes = scores:size(1), scores:size(2)
    for _, dtype in ipairs { "i32", "u8" } do
      for shift = 0, classes do
        local labels = {}
        for i = 1, n do labels[i] = (i * 7 + shift) % (classes + 1) end
        labels = core.tensor(labels, dtype)
        local count = core.count_correct(scores, labels)
        lu.assertEquals(count, math.tointeger(scores:argmax(2):eq(labels):sum():item()))
        lu.assertEquals(math.type(count), "integer")
      end
    end
  end
  raises("expected scores [n, classes] and n labels, got 2x3 and 3", function()
    core.count_correct(core.ones(2, 3), core.zeros({ 3 }, "i32"))
  end)
  aid.torment(core.count_correct)
  aid.torment(core.count_correct, core.ones(2, 3))
end

-- ---- optimizers ----

TestCoreOptim = {}

function TestCoreOptim:testSteps()
  local w, idle = leaf { 1, 2 }, leaf { 5 }
  w:sum():backward()
  lu.assertAlmostEquals(core.grad_norm { w, idle }, math.sqrt(2), 1e-9)
  core.optim_step("SGD", { w, idle }, {}, { lr = 0.5 })
  lu.assertEquals(w:totable(), { 0.5, 1.5 })
  lu.assertEquals(idle:totable(), { 5 })
  local slots = { { core.zeros(2) } }
  core.optim_step("SGD", { w }, slots, { lr = 0.5, momentum = 0.9 })
  lu.assertEquals(slots[1][1]:totable(), { 1, 1 })
  lu.assertEquals(core.optim_slots("SGD", { lr = 1 }), {})
  lu.assertEquals(core.optim_slots("SGD", { lr = 1, momentum = 0.9 }), { "momentum_buffer" })
  lu.assertEquals(core.optim_slots("Adam", {}), { "exp_avg", "exp_avg_sq" })
end

function TestCoreOptim:testMisuseMovesNothing()
  local a, b = leaf { 1, 2 }, leaf { 3 }
  local loss = a:sum() + b:sum()
  loss:backward()
  local h = { lr = 1, momentum = 0.9 }
  raises("state of parameter 2: expected a table, got nil", function()
    core.optim_step("SGD", { a, b }, { { core.zeros(2) } }, h)
  end)
  raises("expected an f32 tensor of 1, got f32 of 2", function()
    core.optim_step("SGD", { a, b }, { { core.zeros(2) }, { core.zeros(2) } }, h)
  end)
  raises("parameter 2: expected a Tensor, got 7", function() core.optim_step("SGD", { a, 7 }, {}, { lr = 1 }) end)
  raises("parameter 1: expected an f32 tensor", function() core.grad_norm { core.zeros({ 1 }, "u8") } end)
  raises("is a computed value", function() core.grad_norm { a * 2 } end)
  raises("unknown optimizer 'Adom'; did you mean 'Adam'?", function() core.optim_step("Adom", {}, {}, {}) end)
  raises("unknown option 'momentun'; did you mean 'momentum'?", function()
    core.optim_slots("SGD", { momentun = 1 })
  end)
  raises("lr: expected a finite number, got ", function() core.optim_step("SGD", { a }, {}, { lr = 0 / 0 }) end)
  raises("lr: expected a number, got the string '1'", function() core.optim_step("SGD", { a }, {}, { lr = "1" }) end)
  raises("step: expected a whole number", function() core.optim_step("SGD", { a }, {}, { step = 0 }) end)
  lu.assertEquals(a:totable(), { 1, 2 })
  for _, name in ipairs { "optim_step", "optim_slots", "grad_norm", "zero_grad" } do aid.torment(core[name]) end
  aid.torment(core.optim_step, "SGD")
  aid.torment(core.optim_step, "Adam", { a, b })
end

function TestCoreOptim:testOptionsMayBeLeftOut()
  local w = leaf { 1, 2 }
  w:sum():backward()
  core.optim_step("SGD", { w }, {}, nil)
  lu.assertEquals(w:totable(), { 1, 2 })
  raises("argument #4 of 'optim_step': expected a table of options, got 1", function()
    core.optim_step("SGD", { w }, {}, 1)
  end)
  raises("an option's name: expected a string, got 1", function() core.optim_step("SGD", { w }, {}, { 1 }) end)
  raises("nesterov: expected true or false", function() core.optim_step("SGD", { w }, {}, { nesterov = 1 }) end)
  raises("state of parameter 1: expected a Tensor, got nil", function()
    core.optim_step("SGD", { w }, { {} }, { momentum = 0.9 })
  end)
end

-- More parameters than are moved at once, some of which share memory: they are moved in order, whatever the threads.
function TestCoreOptim:testSharedMemoryIsMovedInOrder()
  local threads = core.threads()
  local function run(n)
    core.threads(n)
    local base, params, slots = core.ones(40000), {}, {}
    for i = 1, 40 do
      params[i] = (i % 3 == 0 and core.ones(i) or base:detach()):requires_grad_()
      local loss = (params[i] * i):sum()
      loss:backward()
      slots[i] = { core.zeros(params[i].shape) }
    end
    core.optim_step("SGD", params, slots, { lr = 0.001, momentum = 0.9, weight_decay = 0.01 })
    return base[1], base[40000], params[39]:totable(), slots[40][1][777]
  end
  local one = { run(1) }
  for _, n in ipairs { 2, 3 } do lu.assertEquals({ run(n) }, one) end
  core.threads(threads)
end

function TestCoreOptim:testThreadsLeaveNoTrace()
  local threads = core.threads()
  local function run(n)
    core.threads(n)
    core.manual_seed(1)
    local w, x = core.randn(300, 200):requires_grad_(), core.randn(70, 200)
    core.linear(x, w):tanh():sum():backward()
    core.optim_step("AdamW", { w }, { { core.zeros(300, 200), core.zeros(300, 200) } },
      { lr = 0.01, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.1 })
    return w:totable()
  end
  local one = run(1)
  for _, n in ipairs { 2, 3, 5 } do lu.assertEquals(run(n), one) end
  core.threads(threads)
end
