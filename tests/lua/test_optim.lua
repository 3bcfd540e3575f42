-- Optimizers as scripts see them: values against PyTorch's (tests/golden), groups, settings, states, messages.
local lu = require "luaunit"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"
local optim = require "mnistlua.optim"
local numbers = require "numbers_aid"

TestOptim = {}

local function mlp()
  return nn.Sequential { nn.Linear(5), nn.ReLU(), nn.Linear(3) }:build(7)
end

local function load(model, params)
  local dict = {}
  for name, value in pairs(params) do dict[name] = core.tensor(value) end
  return model:load_state_dict(dict)
end

local function assert_params(model, expected)
  for name, p in model:named_parameters() do
    local a, e = p:reshape(-1):totable(), core.tensor(expected[name]):reshape(-1):totable()
    for i, value in ipairs(e) do lu.assertAlmostEquals(a[i], value, 1e-5) end
  end
end

local function train_step(model, optimizer, x, y)
  optimizer:zero_grad()
  local loss = nn.CrossEntropyLoss()(model(x), y)
  loss:backward()
  optimizer:step()
  return loss:item()
end

function TestOptim.testStepsArePyTorchs()
  local g = numbers.golden "optim"
  local x, y = core.tensor(g.x), core.tensor(g.labels, "i32")
  for _, case in ipairs(g.cases) do
    local model = load(mlp(), g.params)
    local optimizer = optim[case.optimizer](case.hyper):bind(model)
    for i, expected in ipairs(case.steps) do
      lu.assertAlmostEquals(train_step(model, optimizer, x, y), case.losses[i], 1e-5)
      assert_params(model, expected)
    end
  end
end

local x, y = core.tensor { { 0.5, -1, 2 }, { 1, 0.3, -0.7 } }, core.tensor({ 1, 0 }, "i32")

local function small(seed)
  core.manual_seed(seed or 1)
  return nn.Sequential { nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2) }
end

local function flat(model)
  local list = {}
  for _, entry in ipairs(model:state_dict()) do list[#list + 1] = entry[2]:totable() end
  return list
end

function TestOptim.testDeclaredAndGivenParametersAreTheSame()
  local a, b, c = small(), small(), small()
  local optimizers = {
    optim.SGD { lr = 0.1, momentum = 0.9 }:bind(a), optim.SGD(b:parameters(), { lr = 0.1, momentum = 0.9 }),
    optim.SGD(c, { lr = 0.1, momentum = 0.9 }),
  }
  for _ = 1, 3 do
    for i, model in ipairs { a, b, c } do train_step(model, optimizers[i], x, y) end
  end
  lu.assertEquals(flat(a), flat(b))
  lu.assertEquals(flat(a), flat(c))
end

function TestOptim.testPlainGradientDescent()
  local w = nn.Parameter(core.tensor { 2, -3 })
  local optimizer = optim.SGD({ w }, { lr = 0.25 });
  (w * w):sum():backward()
  optimizer:step()
  lu.assertEquals(w:totable(), { 1, -1.5 })
  optimizer:zero_grad()
  lu.assertNil(w.grad)
  optimizer:step()                                     -- without a gradient nothing moves
  lu.assertEquals(w:totable(), { 1, -1.5 })
end

function TestOptim.testGroupsByPattern()
  local model = small()
  local optimizer = optim.SGD { lr = 0.2, weight_decay = 0.5, groups = {
    { "%.bias$", weight_decay = 0 }, { "^2%.", lr = 0.1 }, { "weight", lr_scale = 3 },
  } }:bind(model)
  local seen = {}
  for i, group in ipairs(optimizer.groups) do
    seen[i] = { table.concat(group.names, " "), group.lr, group.weight_decay }
  end
  lu.assertEquals(seen[1], { "0.bias 2.bias", 0.2, 0 })
  lu.assertEquals(seen[2], { "2.weight", 0.1, 0.5 })
  lu.assertEquals(seen[3][1], "0.weight")
  lu.assertAlmostEquals(seen[3][2], 0.6, 1e-12)
  optimizer.lr = 0.4                                   -- all in proportion
  lu.assertAlmostEquals(optimizer.groups[2].lr, 0.2, 1e-12)
  lu.assertAlmostEquals(optimizer.groups[3].lr, 1.2, 1e-12)
  optimizer.weight_decay = 0.25                        -- where a group has none of its own
  lu.assertEquals({ optimizer.groups[1].weight_decay, optimizer.groups[2].weight_decay }, { 0, 0.25 })
end

function TestOptim.testGroupsAsLists()
  local a, b = nn.Parameter(core.ones { 1 }), nn.Parameter(core.ones { 1 })
  local optimizer = optim.SGD({ { params = { a } }, { params = { b }, lr = 0.5 } }, { lr = 1 });
  (a + b):sum():backward()
  optimizer:step()
  lu.assertEquals({ a:item(), b:item() }, { 0, 0.5 })
  lu.assertEquals({ optimizer.groups[1].names[1], optimizer.groups[2].names[1] }, { "0", "1" })
end

function TestOptim.testGroupsMoveAsAlone()
  local a, b = small(), small()
  local together = optim.AdamW { lr = 0.1, groups = { { "bias" } } }:bind(a)
  local alone = optim.AdamW { lr = 0.1 }:bind(b)
  for _ = 1, 3 do
    train_step(a, together, x, y)
    train_step(b, alone, x, y)
  end
  lu.assertEquals(flat(a), flat(b))
end

function TestOptim.testSettingsCanBeReadAndSet()
  local optimizer = optim.Adam { betas = { 0.8, 0.9 } }
  lu.assertEquals({ optimizer.lr, optimizer.betas, optimizer.weight_decay }, { 1e-3, { 0.8, 0.9 }, 0 })
  lu.assertEquals(optim.AdamW().weight_decay, 0.01)
  optimizer.lr = 0.5
  lu.assertEquals(optimizer:bind(small()).groups[1].lr, 0.5)
  lu.assertEquals(tostring(optim.SGD { lr = 0.1, momentum = 0.9 }), "optim.SGD { lr = 0.1, momentum = 0.9 }")
end

function TestOptim.testMomentumCanBeginLate()
  local model = small()
  local optimizer = optim.SGD { lr = 0.1 }:bind(model)
  train_step(model, optimizer, x, y)
  lu.assertEquals(#optimizer:state_dict().tensors, 0)
  optimizer.momentum = 0.9
  train_step(model, optimizer, x, y)
  lu.assertEquals(#optimizer:state_dict().tensors, 4)
  lu.assertEquals(optimizer:state_dict().tensors[1][1], "0.weight.momentum_buffer")
end

-- State dicts hold the tensors themselves; this keeps a moment.
local function snapshot(state)
  local copy = { type = state.type, step = state.step, settings = state.settings, groups = state.groups, tensors = {} }
  for i, entry in ipairs(state.tensors) do copy.tensors[i] = { entry[1], entry[2]:clone() } end
  return copy
end

function TestOptim.testAStateContinuesToTheSameBits()
  for _, make in ipairs {
    function() return optim.Adam { lr = 0.05, groups = { { "bias", weight_decay = 0.1 } } } end,
    function() return optim.SGD { lr = 0.05, momentum = 0.9, dampening = 0.5 } end,
  } do
    local a, b = small(), small(2)
    local first, second = make():bind(a), make():bind(b)
    for _ = 1, 3 do train_step(a, first, x, y) end
    first.lr = 0.02
    second:load_state_dict(snapshot(first:state_dict()))
    b:load_state_dict(a:state_dict())
    for _ = 1, 3 do
      train_step(a, first, x, y)
      train_step(b, second, x, y)
    end
    lu.assertEquals(flat(a), flat(b))
    lu.assertEquals({ second.lr, second:state_dict().step }, { 0.02, 6 })
  end
end

function TestOptim.testStatesThatDoNotFit()
  local model = small()
  local optimizer = optim.Adam { lr = 0.1 }:bind(model)
  local function changed(f)
    local state = snapshot(optimizer:state_dict())
    f(state)
    return state
  end
  local cases = {
    { "it is not what state_dict returns", 3 },
    { "it is one of SGD", changed(function(s) s.type = "SGD" end) },
    { "it has 0 parameter groups where the optimizer has 1", changed(function(s) s.groups = {} end) },
    { "it lacks '0.weight.exp_avg'", changed(function(s) table.remove(s.tensors, 1) end) },
    { "unexpected 'x'", changed(function(s) table.insert(s.tensors, { "x", core.ones(1) }) end) },
    { "'0.weight.exp_avg' is 1 where the parameter is 4x3", changed(function(s) s.tensors[1][2] = core.ones(1) end) },
    { "setting 'lr' is -1", changed(function(s) s.groups[1].lr = -1 end) },
    { "setting 'eps' is nil", changed(function(s) s.settings.eps = nil end) },
    { "setting 'betas' is a table", changed(function(s) s.settings.betas = { 0.9, 1 } end) },
  }
  for _, case in ipairs(cases) do
    local ok, message = optimizer:check_state_dict(case[2])
    lu.assertNil(ok)
    lu.assertStrContains(message, case[1])
    lu.assertErrorMsgContains(case[1], optimizer.load_state_dict, optimizer, case[2])
  end
end

function TestOptim.testBindingNamesGivenParameters()
  local model = small()
  local optimizer = optim.SGD(model:parameters(), { lr = 0.1, momentum = 0.9 })
  lu.assertEquals(optimizer:state_dict().tensors[1][1], "0.momentum_buffer")
  optimizer:bind(model)
  lu.assertEquals(optimizer:state_dict().tensors[1][1], "0.weight.momentum_buffer")
end

function TestOptim.testOptimizersOfAnotherModel()
  local model = small()
  local line = debug.getinfo(1, "l").currentline + 1
  local optimizer = optim.SGD(nn.Linear(3, 3):parameters(), { lr = 0.1 })
  local _, message = pcall(optimizer.bind, optimizer, model)
  lu.assertStrContains(message, ("test_optim.lua:%d: optim.SGD: none of its parameters is one of the model's"):format(
    line))
  optim.SGD(model[3]:parameters(), { lr = 0.1 }):bind(model)          -- the first layer stays as it is
  local bare = nn.Sequential { nn.ReLU() }
  lu.assertErrorMsgContains("nn.Sequential() has no parameters to train", optim.SGD { lr = 1 }.bind,
    optim.SGD { lr = 1 }, bare)
end

function TestOptim.testTensorsThatCannotBeTrained()
  local w, v = nn.Parameter(core.ones(2)), core.ones(2):requires_grad_()
  lu.assertEquals(#optim.SGD({ w, v }, { lr = 1 }):parameters(), 2)
  w:requires_grad_(false)
  lu.assertEquals(#optim.SGD({ w, v }, { lr = 1 }):parameters(), 2)   -- frozen at the moment
  local cases = {
    { "optim.SGD: parameter 2 does not require a gradient; write nn.Parameter(t)", { v, core.ones(2) } },
    { "optim.SGD: parameter 1 does not require a gradient", { v:detach() } },
    { "optim.SGD: parameter 1 is computed from others, it cannot be optimized", { v * 2 } },
    { "optim.SGD: parameter 2 is given twice, also as number 1 of optim.SGD", { v, v } },
    { "optim.SGD: group 2: parameter 2 is given twice, also as number 1 of optim.SGD: group 1",
      { { params = { v } }, { params = { w, v } } } },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], optim.SGD, case[2], { lr = 1 }) end
end

function TestOptim.testPatternsAreToldWhereTheyAreWritten()
  local line = debug.getinfo(1, "l").currentline + 1
  local optimizer = optim.Adam { groups = { { "biass$", lr = 1 } } }
  lu.assertErrorMsgContains(("test_optim.lua:%d: optim.Adam: group 1: 'biass$' matches no parameter"):format(line),
    optimizer.bind, optimizer, small())
end

function TestOptim.testComplaints()
  local model = small()
  local w = nn.Parameter(core.ones(1))
  local bound = optim.SGD { lr = 1 }:bind(model)
  local function groups(list) return function() optim.SGD { lr = 1, groups = list }:bind(model) end end
  local cases = {
    { "optim has no 'Sgd'; did you mean 'SGD'?", function() return optim.Sgd end },
    { "optim.SGD: needs lr, a number >= 0", optim.SGD, {} },
    { "optim.SGD: needs lr", optim.SGD },
    { "optim.SGD: lr is -1; expected a number >= 0", optim.SGD, { lr = -1 } },
    { "optim.SGD: unknown option 'momentun'; did you mean 'momentum'?", optim.SGD, { lr = 1, momentun = 0.9 } },
    { "nesterov needs a momentum above 0 and no dampening", optim.SGD, { lr = 1, nesterov = true } },
    { "optim.Adam: betas[2] is 1; expected a number >= 0 and < 1", optim.Adam, { betas = { 0.9, 1 } } },
    { "optim.Adam: betas is a list of 1; expected { beta1, beta2 }", optim.Adam, { betas = { 0.9 } } },
    { "optim.SGD: expected a list of parameters, got an empty one", optim.SGD, {}, { lr = 1 } },
    { "optim.SGD: expected a list of parameters, got a tensor", optim.SGD, w, { lr = 1 } },
    { "optim.SGD: parameter 2 is 3; expected a tensor", optim.SGD, { w, 3 }, { lr = 1 } },
    { "optim.SGD: unknown option 'groups'", optim.SGD, { w }, { lr = 1, groups = {} } },
    { "optim.SGD has no parameters yet", optim.SGD { lr = 1 }.step, optim.SGD { lr = 1 } },
    { "optim.SGD: unknown setting 'lrr'; did you mean 'lr'?", function() bound.lrr = 1 end },
    { "optim.SGD: unknown setting 'lrr'; did you mean 'lr'?", function() return bound.lrr end },
    { "optim.SGD: lr is nan", function() bound.lr = 0 / 0 end },
    { "optim.SGD: unknown setting 'lrr'", function() bound.groups[1].lrr = 1 end },
    { "nesterov needs a momentum above 0", function() bound.nesterov = true end },
    { "group 1: '%.bais$' matches no parameter of 0.weight, 0.bias, 2.weight, 2.bias", groups { { "%.bais$" } } },
    { "group 2: 'bias' matches no parameter that earlier groups left", groups { { "bias" }, { "bias" } } },
    { "group 1: '%': malformed pattern", groups { { "%" } } },
    { "group 1: unknown option 'wd'", groups { { "bias", wd = 1 } } },
    { "group 1: expected a pattern of parameter names first, got nil", groups { { lr = 1 } } },
    { "group 1: expected a table, got 'bias'", groups { "bias" } },
    { "give lr or lr_scale, not both", groups { { "bias", lr = 1, lr_scale = 1 } } },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
  lu.assertEquals(bound.nesterov, false)               -- a refused setting changes nothing
end
