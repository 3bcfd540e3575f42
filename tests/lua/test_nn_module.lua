-- nn.Module and its containers: registration, names, modes, state dicts, files, shape inference, summaries.
local lu = require "luaunit"
local core = require "mnistlua.core"
local nn = require "mnistlua.nn"

TestModule = {}

local Block = nn.Module "Block"
function Block:init(width)
  self.first = nn.Linear(width)
  self.gain = nn.Parameter(core.ones { width })
  self.second = nn.Linear(width, width, { bias = false })
end
function Block:forward(x) return self.second(self.first(x):relu()) * self.gain end

local function names(model)
  local list = {}
  for name in model:named_parameters() do list[#list + 1] = name end
  return table.concat(list, " ")
end

function TestModule.testNamesAreOrderedAsAssigned()
  local model = nn.Sequential { nn.Flatten(), Block(4), nn.Sequential { nn.ReLU(), nn.Linear(4, 2) } }:build(6)
  lu.assertEquals(names(model), "1.gain 1.first.weight 1.first.bias 1.second.weight 2.1.weight 2.1.bias")
  lu.assertEquals(#model:parameters(), 6)
  lu.assertEquals(model:num_parameters(), 4 + 24 + 4 + 16 + 8 + 2)
  lu.assertEquals(#model:modules(), 8)
  lu.assertIs(model[2].first.weight, model:state_dict()["1.first.weight"])
end

function TestModule.testNamedListsCanBeWalkedOrIndexed()
  local list = nn.Linear(2, 3):named_parameters()
  lu.assertEquals({ #list, list[1][1], list[2][1] }, { 2, "weight", "bias" })
  for _ = 1, 2 do
    local seen = {}
    for name, p in list do seen[#seen + 1] = name .. #p end
    lu.assertEquals(seen, { "weight3", "bias3" })
  end
  local modules = nn.Sequential { nn.ReLU() }:named_modules()
  lu.assertEquals({ modules[1][1], modules[2][1] }, { "", "0" })
end

function TestModule.testWhatCountsAsAParameter()
  local M = nn.Module "M"
  function M:init()
    self.marked = nn.Parameter(core.ones { 2 })
    self.wants = core.ones { 3 }:requires_grad_()
    self.plain, self.text, self.off = core.ones { 4 }, "text", false
  end
  function M:forward(x)
    self.kept = x * self.marked                           -- computed, wants a gradient, is no parameter
    return self.kept
  end
  local m = M()
  m(core.ones { 2 })
  lu.assertEquals(names(m), "marked wants")
  lu.assertEquals(m.off, false)
  m.plain = nn.Parameter(m.plain)
  m.off = nn.Linear(1, 1)
  lu.assertEquals(names(m), "marked wants plain off.weight off.bias")
  m.marked, m.off = nil, nil
  lu.assertEquals(names(m), "wants plain")
  m.wants = core.ones { 5 }                                -- takes the parameter's place
  lu.assertTrue(m.wants.requires_grad)
  lu.assertEquals(m:num_parameters(), 9)
end

function TestModule.testSharedParametersAreListedOnce()
  local a = nn.Linear(3, 3)
  local model = nn.Sequential { a, nn.ReLU(), a }
  lu.assertEquals(names(model), "0.weight 0.bias")
  lu.assertEquals(#model:state_dict(), 4)
  lu.assertEquals(model:num_parameters(), 12)
end

function TestModule.testAModuleCannotContainItself()
  local a, b = nn.Linear(2, 2), nn.Linear(2, 2)
  a.other = b
  local model = nn.Sequential { nn.Sequential { a } }
  local cases = {
    { "nn.Linear: a module cannot contain itself", function() a.me = a end },
    { "nn.Linear: a module cannot contain itself, and this nn.Linear contains it", function() b.other = a end },
    { "nn.Sequential: a module cannot contain itself", model.add, model, model },
    { "and this nn.Sequential contains it", model[1].add, model[1], model },
    { "nn.Sequential: a module cannot contain itself", function() model[1] = model end },
    { "nn.Linear: a module cannot contain itself", a.add_module, a, "me", a },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
  lu.assertEquals(names(model), "0.0.weight 0.0.bias 0.0.other.weight 0.0.other.bias")   -- refused before it changed
  lu.assertEquals({ #model, #model[1] }, { 1, 1 })
end

function TestModule.testAClassThatWasNotCalledSaysSo()
  local linear = "nn.Linear is a class; write nn.Linear()"
  local cases = {
    { linear, nn.Linear.parameters, nn.Linear }, { linear, nn.Linear.build, nn.Linear, 784 },
    { linear, nn.Linear.train, nn.Linear }, { linear, nn.Linear.state_dict, nn.Linear },
    { linear, nn.Linear.summary, nn.Linear }, { linear, nn.Linear.add_module, nn.Linear, "x", nn.ReLU() },
    { "nn.Sequential is a class; write nn.Sequential()", nn.Sequential.add, nn.Sequential, nn.ReLU() },
    { "Block is a class; write Block()", Block.parameters, Block },
    { "nn.Linear:add_module: nn.ReLU is a class; write nn.ReLU()", nn.Linear.add_module, nn.Linear(1), "x", nn.ReLU },
    { "nn.ReLU is a class, not yet a layer or a loss; write nn.ReLU()(...)", nn.ReLU, core.ones(1) },
    { "write nn.CrossEntropyLoss()(...)", nn.CrossEntropyLoss, core.ones { 1, 2 }, core.tensor({ 0 }, "i32") },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], table.unpack(case, 2)) end
end

function TestModule.testContainersOfOnesOwnMayHaveAnInit()
  local Net = nn.Sequential:extend "Net"
  function Net:init(width) self:add(nn.Linear(width)):add(nn.ReLU()) end
  lu.assertEquals(Net(3):output_shape(2), { 3 })
end

function TestModule.testClasses()
  local Twice = Block:extend "Twice"
  function Twice:forward(x) return Block.forward(self, x) * 2 end
  local m = Twice(3)
  lu.assertEquals(m(core.ones { 1, 3 }).shape, { 1, 3 })
  lu.assertEquals(m.typename, "Twice")
  lu.assertEquals(tostring(Twice), "class Twice")
  local Net = nn.Sequential:extend "Net"
  lu.assertEquals(#Net { nn.ReLU(), nn.ReLU() }, 2)
  lu.assertErrorMsgContains("expected the class's name, got 3", nn.Module, 3)
end

function TestModule.testMistakesInAClass()
  local M = nn.Module "M"
  function M.foward(_, x) return x end
  lu.assertErrorMsgContains("M takes no arguments: it has no method init", M, 3)
  lu.assertErrorMsgContains("M has no method forward; did you mean it by 'foward'?", M(), core.ones(1))
  local List = nn.Module "List"
  function List:init() self.layers = { nn.ReLU(), nn.Linear(3) } end
  lu.assertErrorMsgContains("List.layers is a plain table with a module, which training would not see", List)
  lu.assertErrorMsgContains("M: a field named 'train' would hide the method of that name",
    function() M().train = true end)
  lu.assertErrorMsgContains("nn.Parameter: expected a tensor, got 3", nn.Parameter, 3)
  lu.assertErrorMsgContains("nn.Parameter: the tensor is computed from others", nn.Parameter,
    nn.Parameter(core.ones(1)) * 2)
end

function TestModule.testContainers()
  local model = nn.Sequential { nn.Linear(4) }
  lu.assertIs(model:add(nn.ReLU()), model)
  lu.assertEquals(#model, 2)
  local seen = {}
  for i, layer in ipairs(model) do seen[i] = layer.typename end
  lu.assertEquals(seen, { "nn.Linear", "nn.ReLU" })
  lu.assertIs(model[-1], model[2])
  lu.assertNil(model[3])
  model[2] = nn.Tanh()
  model[3] = nn.Linear(2)
  lu.assertEquals(tostring(model),
    "nn.Sequential {\n  [1] nn.Linear(4)\n  [2] nn.Tanh()\n  [3] nn.Linear(2)\n}")
  lu.assertEquals(names(model:build(5)), "0.weight 0.bias 2.weight 2.bias")
  lu.assertEquals(#nn.Sequential(nn.ReLU(), nn.ReLU()), 2)
  lu.assertEquals(#nn.Sequential {}, 0)
end

function TestModule.testContainersRefuseWhatIsNoModule()
  local cases = {
    { "nn.Sequential: element 2 is 3; expected a module", nn.Sequential, { nn.ReLU(), 3 } },
    { "nn.Sequential: element 2 is nil; expected a module", nn.Sequential, { nn.ReLU(), nil, nn.ReLU() } },
    { "nn.Sequential: element 1: nn.ReLU is a class; write nn.ReLU()", nn.Sequential, { nn.ReLU } },
    { "found the key 'act'", nn.Sequential, { act = nn.ReLU() } },
    { "nn.ModuleList: element 1 is nil", nn.ModuleList, nil },
    { "nn.Sequential: element 1 is nil", nn.Sequential().add, nn.Sequential() },
    { "element 5 of 0 cannot be set", function() nn.Sequential()[5] = nn.ReLU() end },
  }
  for _, case in ipairs(cases) do lu.assertErrorMsgContains(case[1], case[2], case[3]) end
end

function TestModule.testModuleList()
  local Net = nn.Module "Net"
  function Net:init(n)
    self.layers = nn.ModuleList {}
    for _ = 1, n do self.layers:add(nn.Linear(3, 3)) end
  end
  function Net:forward(x)
    for _, layer in ipairs(self.layers) do x = layer(x) end
    return x
  end
  lu.assertEquals(names(Net(2)), "layers.0.weight layers.0.bias layers.1.weight layers.1.bias")
  lu.assertEquals(Net(2):output_shape(3), { 3 })
end

function TestModule.testModes()
  local model = nn.Sequential { nn.Dropout(0.5), nn.Sequential { nn.Dropout(0.5) } }
  lu.assertTrue(model.training)
  lu.assertIs(model:eval(), model)
  lu.assertFalse(model[2][1].training)
  model:train()
  lu.assertTrue(model[2][1].training)
end

function TestModule.testApplyZeroGradAndFreezing()
  local model = nn.Sequential { nn.Linear(2, 3), nn.Linear(3, 1) }
  local order = {}
  model:apply(function(m) order[#order + 1] = m.typename end)
  lu.assertEquals(order, { "nn.Linear", "nn.Linear", "nn.Sequential" })
  model[1]:requires_grad_(false)
  model(core.ones { 4, 2 }):sum():backward()
  lu.assertNil(model[1].weight.grad)
  lu.assertNotNil(model[2].weight.grad)
  model:zero_grad()
  lu.assertNil(model[2].weight.grad)
end

function TestModule.testUnbuiltModelsSaySo()
  local model = nn.Sequential { nn.Linear(3) }
  local expected = "nn.Linear(3) ('0') has no sizes yet; run model:build { sizes of one sample } or give its input size"
  for _, method in ipairs { "parameters", "named_parameters", "num_parameters", "state_dict" } do
    lu.assertErrorMsgContains(expected, model[method], model)
  end
end

function TestModule.testBuildInfersThroughModulesOfOnesOwn()
  local model = nn.Sequential { nn.Flatten(), nn.Linear(8), Block(8), nn.Dropout(0.5), nn.Linear(3) }
  lu.assertIs(model:build { 4, 4 }, model)
  lu.assertEquals(model:output_shape { 4, 4 }, { 3 })
  lu.assertEquals(model[3].first.in_features, 8)
  lu.assertTrue(model[4].training)                      -- a trial leaves modes as they were
  lu.assertTrue(core.recording())
end

function TestModule.testATrialThatFailsLeavesModesAsTheyWere()
  local Bad = nn.Module "Bad"
  function Bad:init() self.drop = nn.Dropout(0.5) end
  function Bad.forward() error("no", 0) end
  local bad = Bad()
  lu.assertErrorMsgContains("no", bad.build, bad, 3)
  lu.assertTrue(bad.training and bad.drop.training and core.recording())
end

function TestModule.testBuildRefusesNonsense()
  local model = nn.Sequential { nn.Linear(3) }
  lu.assertErrorMsgContains("nn.Sequential:build: size 2 is 0; expected a whole number", model.build, model, 3, 0)
  lu.assertErrorMsgContains("size 1 is 'a'", model.build, model, { "a" })
  local Unused = nn.Module "Unused"
  function Unused:init() self.spare = nn.Linear(3) end
  function Unused.forward(_, x) return x end
  local unused = Unused()
  lu.assertErrorMsgContains("nn.Linear(3) was not reached with samples of 5", unused.build, unused, 5)
end

function TestModule.testBuffersAreSavedAndNotTrained()
  local M = nn.Module "M"
  function M:init()
    self:register_buffer("mean", core.zeros { 3 })
    self.w = nn.Parameter(core.ones { 3 })
  end
  local m = M()
  lu.assertEquals(names(m), "w")
  m.mean = core.ones { 3 }
  lu.assertEquals({ m:state_dict()[1][1], m:state_dict()[2][1] }, { "w", "mean" })
  lu.assertEquals(m:state_dict().mean:totable(), { 1, 1, 1 })
  lu.assertErrorMsgContains("M:register_buffer: expected a tensor", m.register_buffer, m, "x", 1)
end

function TestModule.testStateDicts()
  local a, b = nn.Sequential { nn.Linear(3, 2) }, nn.Sequential { nn.Linear(3, 2) }
  b:load_state_dict(a:state_dict())
  lu.assertEquals(b[1].weight:totable(), a[1].weight:totable())
  lu.assertNotEquals(b[1].weight, a[1].weight)
  lu.assertTrue(b:check_state_dict(a:state_dict()))
  b:load_state_dict({ ["0.bias"] = core.ones { 2 }, other = core.ones(1) }, false)
  lu.assertEquals(b[1].bias:totable(), { 1, 1 })
end

function TestModule.testStateDictsThatDoNotFitChangeNothing()
  local model = nn.Sequential { nn.Linear(3, 2), nn.Linear(2, 2) }
  local before = model[1].weight:totable()
  local w, b = core.ones { 2, 3 }, core.ones { 2 }
  local cases = {
    { { ["0.weight"] = w }, "missing '0.bias', '1.weight', '1.bias'" },
    { { ["0.weight"] = w, ["0.bais"] = b, ["1.weight"] = core.ones { 2, 2 }, ["1.bias"] = b },
      "missing '0.bias'; unexpected '0.bais' (did you mean '0.bias'?)" },
    { { ["0.weight"] = w, ["0.bias"] = core.ones { 3 }, ["1.weight"] = core.ones { 2, 2 }, ["1.bias"] = b },
      "'0.bias' is 3 where the model has 2" },
    { { ["0.weight"] = w, ["0.bias"] = b:to "i32", ["1.weight"] = core.ones { 2, 2 }, ["1.bias"] = b },
      "'0.bias' holds i32 where the model has f32" },
    { { ["0.weight"] = 3 }, "'0.weight' is 3; expected a tensor" },
    { 3, "expected a table, got 3" },
  }
  for _, case in ipairs(cases) do
    lu.assertErrorMsgContains(case[2], model.load_state_dict, model, case[1])
    lu.assertEquals(model[1].weight:totable(), before)
  end
end

function TestModule.testFiles()
  local path = os.tmpname()
  local a, b = nn.Sequential { nn.Linear(3, 2) }, nn.Sequential { nn.Linear(3, 2) }
  lu.assertEquals(a:save(path, { note = "x", n = 3 }), true)
  local model, metadata = b:load(path)
  lu.assertIs(model, b)
  lu.assertEquals({ metadata.note, metadata.n, metadata.format }, { "x", "3", "pt" })
  lu.assertEquals(b[1].weight:totable(), a[1].weight:totable())
  local other = nn.Sequential { nn.Flatten(), nn.Linear(3, 2) }
  local before = other[2].weight:totable()
  local result, message = other:load(path)
  lu.assertNil(result)
  lu.assertStrContains(message, "does not fit nn.Sequential: missing '1.weight', '1.bias'; unexpected '0.weight' (did")
  lu.assertEquals(other[2].weight:totable(), before)
  os.remove(path)
  result, message = b:load(path)
  lu.assertNil(result)
  lu.assertStrContains(message, path)
  result = b:save(path .. "/no/such/folder")
  lu.assertNil(result)
  lu.assertErrorMsgContains("metadata maps names to text, but 'x' is a table", b.save, b, path, { x = {} })
  lu.assertErrorMsgContains("nn.Sequential:save: expected a path, got nil", b.save, b)
end

function TestModule.testSummary()
  local model = nn.Sequential { nn.Flatten(), nn.Linear(128), nn.ReLU(), nn.Linear(10) }
  lu.assertStrContains(model:summary(), "sizes shown as ? are inferred on first use")
  lu.assertEquals(model:summary { 28, 28 }, table.concat({
    "layer  type                 output  parameters",
    "----------------------------------------------",
    "0      nn.Flatten()            784           0",
    "1      nn.Linear(784, 128)     128     100,480",
    "2      nn.ReLU()               128           0",
    "3      nn.Linear(128, 10)       10       1,290",
    "total: 101,770 parameters (0.4 MiB)",
  }, "\n"))
  lu.assertEquals(model:summary(), model:summary { 28, 28 })
end

function TestModule.testSummaryShowsTheInsideOfModulesOfOnesOwn()
  local text = Block(4):build(6):summary()
  for _, row in ipairs { "model   Block%(%) +4 +4\n", "first   nn.Linear%(6, 4%) +4 +28\n", "second .- 4 +16\n" } do
    lu.assertStrMatches(text, ".*" .. row .. ".*")
  end
end
