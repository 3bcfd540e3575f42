-- Attention, encoder layers and positions: PyTorch's values, forms and state, inference, what is refused, determinism;
-- and the layers that go with them on samples of tokens.
local lu = require "luaunit"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"

local folder = debug.getinfo(1, "S").source:match "^@(.*)lua/[^/]*$" or "tests/"
local golden = dofile(folder .. "golden/attention.lua")

local function assert_close(what, actual, expected, tolerance)
  local a, e = actual:reshape(-1):totable(), core.tensor(expected):reshape(-1):totable()
  lu.assertEquals(#a, #e, what)
  for i, value in ipairs(e) do
    lu.assertAlmostEquals(a[i], value, tolerance * (1 + math.abs(value)), ("%s, element %d"):format(what, i))
  end
end

local function leaf(values) return core.tensor(values):requires_grad_() end

local function backward_from(y, dy) (y * core.tensor(dy)):sum():backward() end

local function where(offset)
  return debug.getinfo(2, "l").currentline + offset
end

TestAttention = {}

function TestAttention:setUp() core.manual_seed(0) end

function TestAttention.testDotProductsArePyTorchs()
  for i, case in ipairs(golden.dot) do
    local what = "case " .. i
    local q, k, v = leaf(case.q), leaf(case.k), leaf(case.v)
    local y = q:attention(k, v, { heads = case.heads, causal = case.causal })
    assert_close(what, y, case.y, 1e-6)
    backward_from(y, case.dy)
    assert_close(what .. ": dq", q.grad, case.dq, 2e-6)
    assert_close(what .. ": dk", k.grad, case.dk, 2e-6)
    assert_close(what .. ": dv", v.grad, case.dv, 2e-6)
  end
end

function TestAttention.testOneTensorGivesTheSameBitsAsThree()
  local parts = { core.randn(3, 7, 8):requires_grad_(), core.randn(3, 7, 8):requires_grad_(),
    core.randn(3, 7, 8):requires_grad_() }
  local all = core.concat(parts, 3):detach():requires_grad_()
  local how = { heads = 2, causal = true }
  local three, one = parts[1]:attention(parts[2], parts[3], how), all:attention(nil, nil, how)
  lu.assertEquals(one:totable(), three:totable())
  local dy = core.randn(3, 7, 8);
  (three * dy):sum():backward();
  (one * dy):sum():backward()
  for i, part in ipairs(parts) do
    lu.assertEquals(all.grad:slice(3, 8 * i - 7, 8 * i):totable(), part.grad:totable())
  end
end

local function load(layer, params)
  local state = {}
  for name, value in pairs(params) do state[name] = core.tensor(value) end
  return layer:load_state_dict(state)
end

local function check_gradients(what, layer, expected, tolerance)
  for name, p in layer:named_parameters() do
    assert_close(("%s: d%s"):format(what, name), p.grad, expected[name], tolerance)
  end
end

function TestAttention.testLayersArePyTorchs()
  for i, case in ipairs(golden.layers) do
    local what = "case " .. i
    local layer = load(nn.MultiheadAttention(case.embed, case.heads, { bias = case.bias, causal = case.causal }),
      case.params)
    local x, k, v = leaf(case.x), case.k and leaf(case.k), case.v and leaf(case.v)
    local y = layer(x, k, v)
    assert_close(what, y, case.y, 2e-6)
    backward_from(y, case.dy)
    assert_close(what .. ": dx", x.grad, case.dx, 5e-6)
    if k then
      assert_close(what .. ": dk", k.grad, case.dk, 5e-6)
      assert_close(what .. ": dv", v.grad, case.dv, 5e-6)
    end
    check_gradients(what, layer, case.gradients, 1e-5)
  end
end

function TestAttention.testEncoderLayersArePyTorchs()
  for i, case in ipairs(golden.encoders) do
    local o, what = { dropout = 0 }, "case " .. i
    for key, value in pairs(case.options) do o[key] = value end
    local layer = load(nn.TransformerEncoderLayer(o), case.params)
    local x = leaf(case.x)
    local y = layer(x)
    assert_close(what, y, case.y, 5e-6)
    backward_from(y, case.dy)
    assert_close(what .. ": dx", x.grad, case.dx, 1e-5)
    check_gradients(what, layer, case.gradients, 2e-5)
  end
end

local function names(layer)
  local list = {}
  for i, entry in ipairs(layer:state_dict()) do list[i] = entry[1] end
  return table.concat(list, " ")
end

function TestAttention.testStateHasPyTorchsNames()
  lu.assertEquals(names(nn.MultiheadAttention(4, 2)), "in_proj_weight in_proj_bias out_proj.weight out_proj.bias")
  lu.assertEquals(names(nn.MultiheadAttention(4, 2, { bias = false })), "in_proj_weight out_proj.weight")
  lu.assertEquals(names(nn.TransformerEncoderLayer(4, 2)), "self_attn.in_proj_weight self_attn.in_proj_bias "
    .. "self_attn.out_proj.weight self_attn.out_proj.bias linear1.weight linear1.bias linear2.weight linear2.bias "
    .. "norm1.weight norm1.bias norm2.weight norm2.bias")
end

function TestAttention.testForms()
  local cases = {
    { nn.MultiheadAttention(4), "nn.MultiheadAttention(4)" },
    { nn.MultiheadAttention { embed_dim = 8, num_heads = 2, bias = false, dropout = 0.5, causal = true },
      "nn.MultiheadAttention(8, 2, { bias = false, dropout = 0.5, causal = true }) {\n"
        .. "  out_proj = nn.Linear(8, 8, { bias = false })\n}" },
    { nn.TransformerEncoderLayer(2), "nn.TransformerEncoderLayer(2)" },
    { nn.TransformerEncoderLayer { 2, dim_feedforward = 5, activation = "relu", norm_first = false },
      'nn.TransformerEncoderLayer(2, { dim_feedforward = 5, activation = "relu", norm_first = false })' },
    { nn.PositionalEmbedding(), "nn.PositionalEmbedding()" },
    { nn.PositionalEmbedding(16, 8, { std = 0.5 }), "nn.PositionalEmbedding(16, 8, { std = 0.5 })" },
  }
  for _, case in ipairs(cases) do lu.assertEquals(tostring(case[1]), case[2]) end
end

-- Of images of 8x8: four tokens.
local function vit()
  return nn.Sequential { nn.Conv2d(6, 4, { stride = 4 }), nn.Reshape(6, -1), nn.Permute(2, 1),
    nn.PositionalEmbedding(), nn.TransformerEncoderLayer(2, { dropout = 0.25 }), nn.MultiheadAttention(3),
    nn.LayerNorm() }
end

function TestAttention.testSizesAreInferred()
  local model = vit()
  lu.assertFalse(model[4].built or model[5].built or model[6].built)
  lu.assertEquals(model:build(1, 8, 8):output_shape(1, 8, 8), { 4, 6 })
  lu.assertEquals({ model[4].num_embeddings, model[5].d_model, model[6].embed_dim }, { 4, 6, 6 })
  local text = model:summary()
  for _, row in ipairs {
    "nn%.PositionalEmbedding%(4, 6%) +4x6 +24\n", "nn%.TransformerEncoderLayer%(6, 2, { dropout = 0%.25 }%) +4x6 +0\n",
    "4%.self_attn +nn%.MultiheadAttention%(6, 2, { dropout = 0%.25 }%) +4x6 +126\n",
    "4%.self_attn%.out_proj +nn%.Linear%(6, 6%) +4x6 +42\n", "4%.linear1 +nn%.Linear%(6, 24%) +4x24 +168\n",
    "4%.norm2 +nn%.LayerNorm%(6%) +4x6 +12\n", "5%.out_proj +nn%.Linear%(6, 6%) +4x6 +42\n",
  } do lu.assertStrMatches(text, "^.*" .. row .. ".*$") end
  lu.assertEquals(model(core.randn(3, 1, 8, 8)).shape, { 3, 4, 6 })
  local layer = nn.TransformerEncoderLayer(2)
  layer(core.randn(3, 5, 4))
  lu.assertEquals(layer.d_model, 4)
end

function TestAttention.testSizesComeWithTheState()
  local a, b = vit():build(1, 8, 8), vit()
  b[1]:build(1, 8, 8)
  b:load_state_dict(a:state_dict())
  local x = core.randn(2, 1, 8, 8)
  lu.assertEquals(b:eval()(x):totable(), a:eval()(x):totable())
end

function TestAttention.testBeginsAsPyTorchs()
  local layer, bound = nn.MultiheadAttention(32, 4), math.sqrt(6 / 128)
  local w = layer.in_proj_weight
  lu.assertTrue(w:max():item() <= bound and w:max():item() > 0.95 * bound and w:min():item() < -0.95 * bound)
  lu.assertTrue(layer.out_proj.weight:max():item() <= 1 / math.sqrt(32))
  lu.assertEquals(layer.in_proj_bias:abs():sum():item() + layer.out_proj.bias:abs():sum():item(), 0)
  local places = nn.PositionalEmbedding(100, 50).weight
  lu.assertAlmostEquals(math.sqrt((places * places):mean():item()), 0.02, 0.001)
end

function TestAttention.testValuesDefaultToKeys()
  local layer = nn.MultiheadAttention(4, 2)
  local q, k = core.randn(2, 3, 4), core.randn(2, 5, 4)
  lu.assertEquals(layer(q, k):totable(), layer(q, k, k):totable())
  assert_close("self-attention", layer(q), layer(q, q, q):totable(), 1e-6)
end

function TestAttention.testDropoutInTrainingOnly()
  local layer = nn.MultiheadAttention(4, 2, { dropout = 0.5 })
  local x = core.randn(3, 5, 4)
  local function at(step, training)
    core.step_begin(1, step)
    local y = layer:train(training)(x):totable()
    core.step_end()
    return y
  end
  local plain = nn.MultiheadAttention(4, 2):load_state_dict(layer:state_dict())
  lu.assertEquals(at(1, false), plain(x):totable())
  lu.assertEquals(at(1, true), at(1, true))
  lu.assertNotEquals(at(1, true), at(2, true))
  lu.assertNotEquals(at(1, true), at(1, false))
end

function TestAttention.testTheSameBitsOnAnyNumberOfThreads()
  local before, seen = core.threads(), nil
  for threads = 1, 3 do
    core.threads(threads)
    core.manual_seed(3)
    core.step_begin(1, 1)
    local model = vit():build(1, 8, 8)
    local x = core.randn(70, 1, 8, 8):requires_grad_()
    local y = model(x);
    (y * y):sum():backward()
    local found = { y:totable(), x.grad:totable() }
    for _, p in model:named_parameters() do found[#found + 1] = p.grad:totable() end
    core.step_end()
    seen = seen or found
    lu.assertEquals(found, seen)
  end
  core.threads(before)
end

function TestAttention.testShapesThatDoNotFit()
  local x, images = core.zeros(2, 3, 4), core.zeros(2, 3, 4, 4)
  local layer = nn.MultiheadAttention(4, 2)
  local cases = {
    { "nn.MultiheadAttention: 3 heads do not divide a width of 4", nn.MultiheadAttention, 4, 3 },
    { "nn.MultiheadAttention(3) expects a number of features that 3 heads divide but receives 4",
      nn.MultiheadAttention(3), x },
    { "nn.MultiheadAttention(6, 3) expects 6 features a token but receives 4 (input 2x3x4",
      nn.MultiheadAttention(6, 3), x },
    { "expects samples of tokens x features but receives 3x4x4 (input 2x3x4x4", layer, images },
    { "put nn.Reshape(channels, -1) and nn.Permute(2, 1) before it", layer, images },
    { "expects samples of tokens x features but receives 4 (input 2x4", layer, core.zeros(2, 4) },
    { "expects keys for 2 samples, as there are queries, but receives 3", layer, x, core.zeros(3, 5, 4) },
    { "expects a value for each of 2x5 keys but receives 2x6", layer, x, core.zeros(2, 5, 4), core.zeros(2, 6, 4) },
    { "nn.MultiheadAttention(4, 2): expected a tensor, got nil", layer },
    { "nn.MultiheadAttention: needs num_heads", nn.MultiheadAttention },
    { "nn.MultiheadAttention: unknown option 'head'", nn.MultiheadAttention, 4, 2, { head = 2 } },
    { "nn.MultiheadAttention: dropout is 1; expected a number >= 0 and < 1", nn.MultiheadAttention,
      { 4, 2, dropout = 1 } },
    { "nn.TransformerEncoderLayer: 3 heads do not divide a width of 4", nn.TransformerEncoderLayer, 4, 3 },
    { "nn.TransformerEncoderLayer(6, 2) expects 6 features a token but receives 4",
      nn.TransformerEncoderLayer(6, 2), x },
    { "nn.TransformerEncoderLayer(3) expects a number of features that 3 heads divide but receives 4",
      nn.TransformerEncoderLayer(3), x },
    { "nn.TransformerEncoderLayer: activation is 'gelo'; expected one of 'gelu', 'relu'; did you mean 'gelu'?",
      nn.TransformerEncoderLayer, 4, 2, { activation = "gelo" } },
    { "nn.PositionalEmbedding(5, 4) expects 5x4 but receives 3x4", nn.PositionalEmbedding(5, 4), x },
    { "expects samples of tokens x features but receives 3x4x4", nn.PositionalEmbedding(), images },
    { "nn.PositionalEmbedding: takes the numbers of tokens and of features, or neither", nn.PositionalEmbedding, 5 },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
  local line = where(1)
  local model = nn.Sequential { nn.Conv2d(10, 4, { stride = 4 }), nn.Reshape(10, -1), nn.Permute(2, 1),
    nn.TransformerEncoderLayer(4) }
  lu.assertErrorMsgContains(("test_nn_attention.lua:%d: nn.TransformerEncoderLayer(4) expects a number of features "
    .. "that 4 heads divide but receives 10 (10x2x2 from nn.Conv2d, line %d)"):format(line + 1, line), model.build,
    model, 1, 8, 8)
end

function TestAttention.testCoreChecksItsArguments()
  local x = core.ones(2, 3, 4)
  local cases = {
    { "attention: 3 heads do not divide 4 features", core.attention, x, x, x, { heads = 3 } },
    { "attention: 0 heads do not divide 4 features", core.attention, x, x, x, { heads = 0 } },
    { "attention: expected n x t x 3d, q, k and v side by side, received 2x3x4", core.attention, x },
    { "attention: expected n x t x 3d, q, k and v side by side, received 2x3", core.attention, core.ones(2, 3) },
    { "attention: expected q of n x t x d and k of n x s x d, received 2x3x4 and 3x3x4", core.attention, x,
      core.ones(3, 3, 4), core.ones(3, 3, 4) },
    { "attention: expected v of 2x5x4, as k, received 2x3x4", core.attention, x, core.ones(2, 5, 4), x },
    { "v: expected a Tensor, got nil", core.attention, x, x },
    { "attention: expected a dropout >= 0 and < 1, received 1", core.attention, x, x, x, { dropout = 1 } },
    { "attention: there are queries but no keys", core.attention, x, core.ones(2, 0, 4), core.ones(2, 0, 4) },
    { "attention: input 1 must be f32, it is i32", core.attention, core.zeros({ 2, 3, 4 }, "i32"), x, x },
    { "did you mean 'heads'", core.attention, x, x, x, { haeds = 2 } },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
end

-- What applies to rows of features applies to every token by itself.
function TestAttention.testLayersOnTokens()
  local x = core.randn(5, 3, 4)
  for _, layer in ipairs { nn.Linear(4, 6), nn.LayerNorm(4), nn.GELU(), nn.ReLU(), nn.Softmax(), nn.Identity(),
    nn.Sequential { nn.Linear(4, 6), nn.ReLU() }, nn.Residual(nn.Sequential { nn.LayerNorm(), nn.Linear(4, 4) }) } do
    local whole = layer(x)
    lu.assertEquals(layer:output_shape(3, 4), { 3, whole:size(3) }, tostring(layer))
    assert_close(tostring(layer), whole:reshape(15, -1), layer(x:reshape(15, 4)):totable(), 1e-6)
  end
  local y = nn.Dropout(0.5)(core.ones(50, 20, 10))
  lu.assertEquals(y.shape, { 50, 20, 10 })
  lu.assertAlmostEquals(y:mean():item(), 1, 0.05)
end
