-- Muon against its formula in plain Lua, and the optimizer that moves what it leaves over.
local lu = require "luaunit"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"
local optim = require "mnistlua.optim"
local numbers = require "numbers_aid"

TestOptimMuon = {}

local function transposed(a)
  local t = {}
  for j = 1, #a[1] do
    t[j] = {}
    for i = 1, #a do t[j][i] = a[i][j] end
  end
  return t
end

local function product(a, b)
  local c = {}
  for i = 1, #a do
    c[i] = {}
    for j = 1, #b[1] do
      c[i][j] = 0
      for k = 1, #b do c[i][j] = c[i][j] + a[i][k] * b[k][j] end
    end
  end
  return c
end

local function mix(a, fa, b, fb)
  local c = {}
  for i = 1, #a do
    c[i] = {}
    for j = 1, #a[1] do c[i][j] = fa * a[i][j] + fb * b[i][j] end
  end
  return c
end

local function orthogonal(u)
  local sum = 0
  for _, row in ipairs(u) do for _, value in ipairs(row) do sum = sum + value * value end end
  local a = mix(u, 1 / (math.sqrt(sum) + 1e-7), u, 0)
  for _ = 1, 5 do
    local square = product(a, transposed(a))
    a = mix(a, 3.4445, product(mix(square, -4.7750, product(square, square), 2.0315), a), 1)
  end
  return a
end

local function check_muon(start, grads, tall)
  local zero = mix(start, 0, start, 0)
  local w, m = start, zero
  local found = numbers.follow(function(p) return optim.Muon(p, { lr = 0.1, weight_decay = 0.2 }) end, start, grads)
  for step, g in ipairs(grads) do
    m = mix(m, 0.95, g, 0.05)
    local u = mix(g, 0.05, m, 0.95)
    local direction = tall and transposed(orthogonal(transposed(u))) or orthogonal(u)
    w = mix(w, 1 - 0.02, direction, -0.1 * math.sqrt(math.max(1, #start / #start[1])))
    local flat_w = core.tensor(w):reshape(-1):totable()
    for i, value in ipairs(flat_w) do lu.assertAlmostEquals(found[step][i], value, 2e-5) end
  end
end

function TestOptimMuon.testMuon()
  local a = { { 0.5, -1.1, 0.3 }, { 0.7, 0.2, -0.4 } }
  local g = { { { 0.731, -0.284, 0.1 }, { 0.2, 0.4, -0.3 } }, { { -0.1, 0.6, 0.25 }, { 0.9, -0.5, 0.15 } } }
  check_muon(a, g, false)
  check_muon(transposed(a), { transposed(g[1]), transposed(g[2]) }, true)
end

function TestOptimMuon.testMuonLeavesTheRestToAnother()
  local model = nn.Sequential { nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3) }
  local optimizer = optim.Muon { lr = 0.04, rest = optim.AdamW { lr = 0.01, betas = { 0.8, 0.9 } }, groups = {
    { "^2%.", rest = true, weight_decay = 0.3 },
  } }:bind(model)
  local seen = {}
  for i, group in ipairs(optimizer.groups) do
    seen[i] = { table.concat(group.names, " "), group.lr, group.weight_decay }
  end
  lu.assertEquals(seen, { { "2.weight 2.bias", 0.01, 0.3 }, { "0.weight", 0.04, 0 }, { "0.bias", 0.01, 0.01 } })
  optimizer.lr = 0.02
  lu.assertEquals({ optimizer.groups[1].lr, optimizer.groups[2].lr, optimizer.groups[3].lr }, { 0.005, 0.02, 0.005 })
  local names = {}
  for i, entry in ipairs(optimizer:state_dict().tensors) do names[i] = entry[1] end
  lu.assertEquals(names, { "2.weight.exp_avg", "2.weight.exp_avg_sq", "2.bias.exp_avg", "2.bias.exp_avg_sq",
    "0.weight.momentum_buffer", "0.bias.exp_avg", "0.bias.exp_avg_sq" })
  local state = optimizer:state_dict()
  state.groups[1].kind = "SGD"
  local _, problem = optimizer:check_state_dict(state)
  lu.assertStrContains(problem, "a group is of SGD where the optimizer's is of AdamW")
end

function TestOptimMuon.testMuonOfAConvolution()
  local w = nn.Parameter(core.randn { 4, 2, 3, 3 })
  local optimizer = optim.Muon({ w }, { lr = 0.1 })
  local before = w:clone();
  (w * w):sum():backward()
  optimizer:step()
  local moved = (w:detach() - before):reshape(4, 18)
  local square = moved:matmul(moved, { transpose_b = true }):totable()
  for i = 1, 4 do
    for j = 1, 4 do lu.assertTrue(math.abs(square[i][j] * 100 - (i == j and 1 or 0)) < 0.6) end
  end
end
