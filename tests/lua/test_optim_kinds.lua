-- Every kind of optimizer but Muon against PyTorch's values (tests/golden) or, where it has none, its formula in plain
-- Lua; what they keep from step to step; clipping, max-norm, closures, momentum by a schedule.
local lu = require "luaunit"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"
local optim = require "mnistlua.optim"
local numbers = require "numbers_aid"

local golden = numbers.golden "optim_more"
local x, y = core.tensor(golden.x), core.tensor(golden.labels, "i32")

TestOptimKinds = {}

local function mlp()
  local dict = {}
  for name, value in pairs(golden.params) do dict[name] = core.tensor(value) end
  return nn.Sequential { nn.Linear(5), nn.ReLU(), nn.Linear(3) }:build(7):load_state_dict(dict)
end

-- A step with a closure; returns the loss before it.
local function train_step(model, optimizer)
  return optimizer:step(function()
    optimizer:zero_grad()
    local loss = nn.CrossEntropyLoss()(model(x), y)
    loss:backward()
    return loss:item()
  end)
end

local function assert_params(what, model, expected, tolerance)
  for name, p in model:named_parameters() do
    numbers.assert_close(what .. ": " .. name, p, expected[name], tolerance)
  end
end

local function flat(model)
  local list = {}
  for _, entry in ipairs(model:state_dict()) do
    table.move(entry[2]:reshape(-1):totable(), 1, entry[2]:numel(), #list + 1, list)
  end
  return list
end

function TestOptimKinds.testTenStepsArePyTorchs()
  for _, case in ipairs(golden.cases) do
    local model, tolerance = mlp(), case.optimizer == "LBFGS" and 1e-4 or 1e-5
    local optimizer = optim[case.optimizer](case.hyper):bind(model)
    for i, loss in ipairs(case.losses) do
      local found = train_step(model, optimizer)
      if math.abs(found - loss) > tolerance then
        lu.fail(("%s: the loss before step %d is %.9g, expected %.9g"):format(case.name, i, found, loss))
      end
      if i == 1 then assert_params(case.name .. ", step 1", model, case.first, tolerance) end
    end
    assert_params(case.name, model, case.last, tolerance)
  end
end

function TestOptimKinds.testClippingIsPyTorchs()
  for _, case in ipairs(golden.clipping) do
    local model = mlp()
    nn.CrossEntropyLoss()(model(x), y):backward()
    local norm = optim["clip_grad_" .. case.kind](model:parameters(), case.limit)
    if case.norm then lu.assertAlmostEquals(norm, case.norm, 1e-6) end
    for name, p in model:named_parameters() do numbers.assert_close(name, p.grad, case.gradients[name], 1e-6) end
  end
end

-- ---- formulas ----

local gradients = { { 0.731, -0.284 }, { -0.5, 0.3 }, { 0.1, 0.9 }, { 0.4, -0.2 } }

function TestOptimKinds.testLion()
  local function lion(p) return optim.Lion(p, { lr = 0.1, betas = { 0.5, 0.8 }, weight_decay = 0.2 }) end
  local found = numbers.follow(lion, { 2.385, -1.1 }, gradients)
  local w, m = { 2.385, -1.1 }, { 0, 0 }
  for step, g in ipairs(gradients) do
    for i = 1, 2 do
      local u = 0.5 * m[i] + 0.5 * g[i]
      w[i] = w[i] * (1 - 0.02) - 0.1 * (u > 0 and 1 or -1)
      m[i] = 0.8 * m[i] + 0.2 * g[i]
      lu.assertAlmostEquals(found[step][i], w[i], 1e-6)
    end
  end
end

-- Schedule-free with the three points themselves: z, the mean x, and y between them; a warm-up in the learning rate.
local function schedule_free(beta, rates, slope_of)
  local z, mean, points, sum = { 2.385, -1.1 }, { 2.385, -1.1 }, {}, 0
  local point = { 2.385, -1.1 }
  for step, g in ipairs(gradients) do
    local most = math.max(table.unpack(rates, 1, step))
    sum = sum + most ^ 2
    local c, after = most ^ 2 / sum, {}
    for i = 1, 2 do
      z[i] = z[i] - rates[step] * (slope_of(i, g[i], step) + 0.05 * point[i])
      mean[i] = (1 - c) * mean[i] + c * z[i]
      after[i] = beta * mean[i] + (1 - beta) * z[i]
    end
    point = after
    points[step] = { point, { mean[1], mean[2] } }
  end
  return points
end

local function check_schedule_free(make, beta, slope_of)
  local rates = { 0.02, 0.1, 0.1, 0.05 }
  local expected = schedule_free(beta, rates, slope_of)
  local w = nn.Parameter(core.tensor { 2.385, -1.1 })
  local optimizer = make { w }
  for step, g in ipairs(gradients) do
    optimizer.lr = rates[step]
    w.grad = nil
    (w * core.tensor(g)):sum():backward()
    optimizer:step()
    local before = w:totable()
    for i = 1, 2 do lu.assertAlmostEquals(w[i], expected[step][1][i], 2e-6) end
    optimizer:eval():eval()
    for i = 1, 2 do lu.assertAlmostEquals(w[i], expected[step][2][i], 2e-6) end
    lu.assertErrorMsgContains("call optimizer:train() before a step", optimizer.step, optimizer)
    lu.assertEquals(optimizer:train():train() and w:totable(), before)
  end
end

function TestOptimKinds.testScheduleFreeSGD()
  check_schedule_free(function(p) return optim.SGDScheduleFree(p, { momentum = 0.9, weight_decay = 0.05 }) end, 0.9,
    function(_, g) return g end)
end

function TestOptimKinds.testScheduleFreeAdamW()
  local v = { 0, 0 }
  check_schedule_free(function(p)
    return optim.AdamWScheduleFree(p, { betas = { 0.8, 0.9 }, weight_decay = 0.05 })
  end, 0.8, function(i, g, step)
    v[i] = 0.9 * v[i] + 0.1 * g * g
    return g / (math.sqrt(v[i] / (1 - 0.9 ^ step)) + 1e-8)
  end)
end

-- ---- SAM ----

-- The loss is sum(c w^2) / 2, with gradient c w.
function TestOptimKinds.testSAM()
  for _, adaptive in ipairs { false, true } do
    local w = nn.Parameter(core.tensor { 2, -1 })
    local c = core.tensor { 0.5, 3 }
    local optimizer = optim.SAM(optim.SGD({ w }, { lr = 0.1 }), { rho = 0.2, adaptive = adaptive })
    local calls = 0
    local loss = optimizer:step(function()
      calls = calls + 1
      optimizer:zero_grad()
      local value = (c * w * w):sum() * 0.5
      value:backward()
      return value:item()
    end)
    lu.assertEquals({ calls, loss }, { 2, 2.5 })
    local g, scale = { 1, -3 }, adaptive and { 4, 1 } or { 1, 1 }
    local norm = math.sqrt(adaptive and (2 * 1) ^ 2 + (1 * 3) ^ 2 or 1 + 9)
    for i, start in ipairs { 2, -1 } do
      local there = start + 0.2 * scale[i] * g[i] / norm
      lu.assertAlmostEquals(w[i], start - 0.1 * c[i] * there, 1e-6)
    end
  end
end

function TestOptimKinds.testSAMIsTheOptimizerInside()
  local model = mlp()
  local optimizer = optim.SAM(optim.SGD { lr = 0.1, momentum = 0.9, clip_norm = 1 }, { rho = 0.1 }):bind(model)
  lu.assertEquals({ optimizer.lr, optimizer.rho, optimizer.needs_closure, #optimizer.groups }, { 0.1, 0.1, true, 1 })
  optimizer.lr, optimizer.rho = 0.05, 0.2
  lu.assertEquals({ optimizer.groups[1].lr, optimizer.rho }, { 0.05, 0.2 })
  lu.assertEquals(#optimizer:parameters(), 4)
  train_step(model, optimizer)
  lu.assertStrContains(tostring(optimizer), "optim.SAM(optim.SGD { clip_norm = 1")
  local plain = optim.SGD { lr = 0.1, momentum = 0.9 }:bind(mlp())
  lu.assertErrorMsgContains("it is not one of SAM", optimizer.load_state_dict, optimizer, plain:state_dict())
end

-- A buffer that counts evaluations is counted once a step.
function TestOptimKinds.testSAMKeepsBuffersOfTheFirstEvaluation()
  local Counting = nn.Module "Counting"
  function Counting:init()
    self.inner = nn.Linear(7, 3)
    self:register_buffer("seen", core.zeros(1))
  end
  function Counting:forward(input)
    self.seen:add_(1)
    return self.inner(input)
  end
  local model = Counting()
  train_step(model, optim.SAM(optim.SGD { lr = 0.1 }):bind(model))
  lu.assertEquals(model.seen:item(), 1)
end

-- ---- states ----

local makers = {
  function() return optim.NAdam { lr = 0.02 } end,
  function() return optim.RMSprop { lr = 0.01, momentum = 0.5, centered = true } end,
  function() return optim.Adagrad { lr = 0.05, lr_decay = 0.1 } end,
  function() return optim.Lion { lr = 0.01 } end,
  function() return optim.SGDScheduleFree { lr = 0.1 } end,
  function() return optim.AdamWScheduleFree { lr = 0.01, clip_value = 0.1, max_norm = 1 } end,
  function() return optim.Muon { lr = 0.02, groups = { { "bias", lr = 0.01 } } } end,
  function() return optim.LBFGS { lr = 0.3, max_iter = 2, history_size = 3 } end,
  function() return optim.SAM(optim.SGD { lr = 0.1, momentum = 0.9 }) end,
}

-- State dicts hold the tensors themselves; this keeps a moment.
local function snapshot(state)
  local copy = {}
  for key, value in pairs(state) do copy[key] = value end
  copy.tensors = {}
  for i, entry in ipairs(state.tensors) do copy.tensors[i] = { entry[1], entry[2]:clone() } end
  return copy
end

function TestOptimKinds.testStatesContinueToTheSameBits()
  for _, make in ipairs(makers) do
    local a, b = mlp(), mlp()
    local first, second = make():bind(a), make():bind(b)
    for _ = 1, 5 do train_step(a, first) end
    lu.assertTrue(first:check_state_dict(first:state_dict()))
    second:load_state_dict(snapshot(first:state_dict()))
    b:load_state_dict(a:state_dict())
    for _ = 1, 3 do
      train_step(a, first)
      train_step(b, second)
    end
    lu.assertEquals(flat(a), flat(b))
    lu.assertEquals(second:state_dict().step, 8)
  end
end

function TestOptimKinds.testStatesThatDoNotFit()
  local model = mlp()
  local lbfgs = optim.LBFGS { lr = 0.3, max_iter = 3 }:bind(model)
  train_step(model, lbfgs)
  local state = lbfgs:state_dict()
  state.groups[1].ro = {}
  local _, problem = lbfgs:check_state_dict(state)
  lu.assertStrContains(problem, "it has a history of 1 pairs and 0 factors")
  local nadam = optim.NAdam():bind(model)
  state = nadam:state_dict()
  state.groups[1].mu_product = nil
  _, problem = nadam:check_state_dict(state)
  lu.assertStrContains(problem, "it lacks NAdam's 'mu_product'")
end

-- ---- clipping, max-norm, momentum ----

function TestOptimKinds.testClippingByAnOptimizer()
  local w = nn.Parameter(core.tensor { 0, 0 })
  local optimizer = optim.SGD({ w }, { lr = 1, clip_norm = 0.5 })
  local function step(gx, gy)
    w:zero_()
    optimizer:zero_grad();
    (w * core.tensor { gx, gy }):sum():backward()
    optimizer:step()
    return w:totable()
  end
  local moved = step(3, -4)
  lu.assertAlmostEquals(moved[1], -0.3, 1e-6)
  lu.assertAlmostEquals(moved[2], 0.4, 1e-6)
  lu.assertEquals(step(0.25, 0), { -0.25, 0 })
  optimizer.clip_norm, optimizer.clip_value = nil, 0.5
  lu.assertEquals(step(3, -0.25), { -0.5, 0.25 })
  optimizer.clip_value = nil
  lu.assertEquals(step(3, -4), { -3, 4 })
end

function TestOptimKinds.testMaxNorm()
  local w, b = nn.Parameter(core.tensor { { 3, 4 }, { 0.6, 0.8 } }), nn.Parameter(core.tensor { 30, 40 })
  local optimizer = optim.SGD({ w, b }, { lr = 0, max_norm = 2 });
  (w:sum() + b:sum()):backward()
  optimizer:step()
  local found = w:reshape(-1):totable()
  for i, value in ipairs { 1.2, 1.6, 0.6, 0.8 } do lu.assertAlmostEquals(found[i], value, 1e-6) end
  lu.assertEquals(b:totable(), { 30, 40 })
  local by_group = optim.SGD { lr = 0.1, groups = { { "0.weight", max_norm = 0.5 } } }:bind(mlp())
  lu.assertEquals({ by_group.groups[1].max_norm, by_group.groups[2].max_norm }, { 0.5, nil })
end

function TestOptimKinds.testMomentumCanBeScheduled()
  local cases = {
    { optim.SGD { lr = 0.1, momentum = 0.9 }, function(o) return o.momentum end },
    { optim.SGD { lr = 0.1 }, function(o) return o.momentum end },
    { optim.Adam(), function(o) return o.betas[1] end },
    { optim.SAM(optim.SGD { lr = 0.1, momentum = 0.9 }), function(o) return o.momentum end },
  }
  for _, case in ipairs(cases) do
    local optimizer, read = case[1]:bind(mlp()), case[2]
    optimizer:set_momentum(0.75)
    lu.assertEquals({ read(optimizer), read(optimizer.groups[1]) }, { 0.75, 0.75 })
  end
  lu.assertErrorMsgContains("optim.Adagrad has no momentum", function() optim.Adagrad():set_momentum(0.5) end)
  local a, b = mlp(), mlp()
  local first, second = optim.SGD { lr = 0.1, momentum = 0.9 }:bind(a), optim.SGD { lr = 0.1, momentum = 0.8 }:bind(b)
  first:set_momentum(0.8)
  for _ = 1, 3 do
    train_step(a, first)
    train_step(b, second)
  end
  lu.assertEquals(flat(a), flat(b))
end

function TestOptimKinds.testComplaints()
  local w = nn.Parameter(core.ones(2))
  local lbfgs, sam = optim.LBFGS({ w }), optim.SAM(optim.SGD({ w }, { lr = 1 }))
  local cases = {
    { "optim has no 'RMSProp'; did you mean 'RMSprop'?", function() return optim.RMSProp end },
    { "optim.RMSprop: alpha is 1; expected a number >= 0 and < 1", optim.RMSprop, { alpha = 1 } },
    { "optim.Lion: unknown option 'eps'", optim.Lion, { eps = 1 } },
    { "optim.NAdam: unknown option 'momentum_decy'; did you mean 'momentum_decay'?", optim.NAdam,
      { momentum_decy = 1 } },
    { "optim.SGD: clip_norm is 0; expected a number > 0", optim.SGD, { lr = 1, clip_norm = 0 } },
    { "optim.SGD: unknown option 'clip_nrom'; did you mean 'clip_norm'?", optim.SGD, { lr = 1, clip_nrom = 1 } },
    { "optim.SGD: group 1: unknown option 'clip_norm'", optim.SGD, { lr = 1, groups = { { "x", clip_norm = 1 } } } },
    { "optim.LBFGS: unknown option 'clip_norm'", optim.LBFGS, { clip_norm = 1 } },
    { "optim.LBFGS: unknown option 'groups'", optim.LBFGS, { groups = {} } },
    { "optim.LBFGS: has one group", optim.LBFGS, { { params = { w } } }, {} },
    { "optim.LBFGS: line_search_fn is 'wolfe'; expected one of 'strong_wolfe'", optim.LBFGS,
      { line_search_fn = "wolfe" } },
    { "optim.LBFGS: step needs a closure", lbfgs.step, lbfgs },
    { "optim.SAM: step needs a closure", sam.step, sam },
    { "optim.SAM: expected an optimizer first", optim.SAM, { lr = 1 } },
    { "optim.SAM: unknown option 'roh'; did you mean 'rho'?", optim.SAM, optim.SGD { lr = 1 }, { roh = 1 } },
    { "optim.SAM: optim.LBFGS cannot be wrapped", optim.SAM, lbfgs },
    { "optim.SAM: rho is -1", function() sam.rho = -1 end },
    { "optim.SGD: unknown setting 'lrr'", function() sam.lrr = 1 end },
    { "optim.Muon: rest is 3; expected an optimizer", optim.Muon, { rest = 3 } },
    { "optim.Muon: rest: optim.LBFGS cannot be used", optim.Muon, { rest = optim.LBFGS() } },
    { "optim.Muon: rest: give optim.SGD its options only", optim.Muon, { rest = optim.SGD({ w }, { lr = 1 }) } },
    { "optim.Muon: group 1: unknown option 'epps'; did you mean 'eps'?", optim.Muon,
      { groups = { { "x", epps = 1 } } } },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
end
