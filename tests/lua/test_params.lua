-- ml.params, JSON, metrics' conditions, and the texts of progress.
local lu = require "luaunit"
local context = require "mnistlua.context"
local json = require "mnistlua.json"
local metrics = require "mnistlua.train.metrics"
local params = require "mnistlua.params"
local progress = require "mnistlua.train.progress"

TestParams = {}

function TestParams:setUp()
  self.saved = { context.overrides, context.override_order, context.params }
  context.overrides, context.override_order, context.params = {}, {}, nil
end

function TestParams:tearDown()
  context.overrides, context.override_order, context.params = table.unpack(self.saved, 1, 3)
end

local function override(values)
  context.overrides, context.override_order = values, {}
  for key in pairs(values) do table.insert(context.override_order, key) end
  table.sort(context.override_order)
end

function TestParams:testDefaultsAndOverrides()
  override { lr = "0.5", name = "x=y", deep = "{{1,2},{3}}", on = "false" }
  local p = params.declare { lr = { 0.1, "rate" }, n = { 3, "count" }, name = { "a", "text" }, deep = { {}, "list" },
    on = { true, "switch" } }
  lu.assertEquals(p.lr, 0.5)
  lu.assertEquals(p.n, 3)
  lu.assertEquals(p.name, "x=y")
  lu.assertEquals(p.deep, { { 1, 2 }, { 3 } })
  lu.assertEquals(p.on, false)
end

-- What the text of a value says is read as the same value again, to the last bit.
function TestParams:testTextOfValuesIsReadAgain()
  local specs = {
    rate = { 1 / 3 }, whole = { 7 }, big = { 1e300 }, list = { { 0.1 + 0.2, "two words", true, "word" } },
  }
  local first = params.declare(specs)
  local texts = {}
  for name, value in pairs(first) do texts[name] = params.text(value) end
  lu.assertEquals(texts, { rate = "0.33333333333333331", whole = "7", big = "1e+300",
    list = '{0.30000000000000004,"two words",true,word}' })
  context.params = nil
  override(texts)
  local again = params.declare(specs)
  for name, value in pairs(first) do lu.assertEquals(again[name], value) end
  lu.assertTrue(again.rate == 1 / 3 and again.list[1] == 0.1 + 0.2)
end

function TestParams:testUnknownNamesRaise()
  local p = params.declare { width = { 3, "w" } }
  lu.assertErrorMsgContains("did you mean 'width'", function() return p.widht end)
  lu.assertErrorMsgContains("no 'depth'", function() p.depth = 3 end)
end

function TestParams:testListsAreConstantsOnly()
  for _, text in ipairs { "{os.exit()}", "{1", "1", "{function() end}", "{('x'):rep(9)}", "{a=b}", "{abc}", "{1,{2}}",
                          "{1,,2}", "{,}", "{1} {2}", "{{1}}", "{true}", "{'1'}", "{nan}", "{1e999}", "{1 2}", "" } do
    override { list = text }
    context.params = nil
    lu.assertErrorMsgEquals(("parameter list: expected a list such as list='{1}', got '%s'"):format(text),
      params.declare, { list = { { 1 }, "l" } })
  end
end

function TestParams:testElementsAreOfTheDefaultsKinds()
  local cases = {
    { { 1 }, "{}", {} }, { { 1 }, " { 2 , 3, } ", { 2, 3 } }, { { 1 }, "{-1.5,0x10}", { -1.5, 16 } },
    { { "a" }, "{relu, 'x, y',\"\"}", { "relu", "x, y", "" } }, { { "a" }, "{3}" }, { { "a" }, "{true}", { "true" } },
    { { true }, "{false,true}", { false, true } }, { { true }, "{no}" },
    { { 1, "a" }, "{b,2}", { "b", 2 } }, { { { 1 }, { 2 } }, "{{3,4},{}}", { { 3, 4 }, {} } },
    { { { 1 } }, "{3}" }, { { { 1 } }, "{{{1}}}" }, { {}, "{1,a,true,{'b'}}", { 1, "a", true, { "b" } } },
  }
  for _, case in ipairs(cases) do
    override { list = case[2] }
    context.params = nil
    if case[3] then
      lu.assertEquals(params.declare({ list = { case[1], "l" } }).list, case[3])
    else
      lu.assertErrorMsgContains("expected a list such as", params.declare, { list = { case[1], "l" } })
    end
  end
end

function TestParams:testPairsGoByName()
  local specs, expected = {}, {}
  for i = 1, 26 do
    local name = string.char(96 + i)
    specs[name], expected[i] = { i, "letter" }, name .. "=" .. i
  end
  local seen = {}
  for name, value in pairs(params.declare(specs)) do seen[#seen + 1] = name .. "=" .. value end
  lu.assertEquals(seen, expected)
end

function TestParams:testParametersAreReadOnly()
  local p = params.declare { lr = { 0.1, "rate" } }
  lu.assertErrorMsgContains("parameters are read-only; set lr on the command line (lr=3)", function() p.lr = 3 end)
  lu.assertEquals(p.lr, 0.1)
end

function TestParams:testUnknownOverrides()
  override { lrr = "1" }
  lu.assertErrorMsgMatches(".* has no parameter 'lrr'; did you mean 'lr'%?", params.check_overrides, { "lr" })
  lu.assertErrorMsgMatches(".* has no parameter 'lrr'; it has width", params.check_overrides, { "width" })
  lu.assertErrorMsgMatches(".* has no parameter 'lrr'; it declares none %(ml.params%)", params.check_overrides, {})
end

function TestParams:testSpecMistakes()
  local cases = {
    { 3, "expected a table" },
    { { lr = 0.1 }, "expected { default" },
    { { lr = { 0.1, "x", mni = 0 } }, "did you mean 'min'" },
    { { lr = { -1, "x", min = 0 } }, "at least 0, got -1" },
    { { lr = { "a", "x", min = 0 } }, "min and max are for numbers" },
    { { [1] = { 1 } }, "a word" },
    { { lr = { 0.1, 3 } }, "the description is 3; write { {0.1, 3}, \"description\" } for a list" },
    { { lr = { "a", {} } }, "the description is a table" },
    { { lr = { 0.1, "x", min = "0" } }, "min is '0'; expected a number" },
    { { lr = { 0.1, "x", choices = 3 } }, "choices: expected a list of values, got 3" },
    { { lr = { 0.1, "x", choices = {} } }, "choices: expected a list of values, got an empty one" },
    { { lr = { 0.1, "x", choices = { "a" } } }, "choices[1] is 'a'; expected a number, as the default is" },
    { { lr = { {}, "x", choices = { 1 } } }, "choices are for single values" },
    { { on = { true, "x", choices = { false } } }, "expected one of false, got 'true'" },
  }
  for _, case in ipairs(cases) do
    context.params = nil
    lu.assertErrorMsgContains(case[2], params.declare, case[1])
  end
end

TestJson = {}

function TestJson:testValues()
  lu.assertEquals(json.encode { b = 1, a = { 1, 2.5, "x" }, c = {} }, '{"a":[1,2.5,"x"],"b":1,"c":[]}')
  lu.assertEquals(json.encode(0 / 0), "null")
  lu.assertEquals(json.encode(-math.huge), "null")
  lu.assertEquals(json.encode 'a"\\\n\1\127', '"a\\"\\\\\\n\\u0001\\u007f"')
  lu.assertEquals(json.encode "\xff\xc3\xa9", '"???"')
  lu.assertEquals(json.encode(0.1), "0.1")
  lu.assertEquals(tonumber(json.encode(1 / 3)), 1 / 3)
  lu.assertEquals(json.encode(true), "true")
end

TestMetrics = {}

function TestMetrics:testMeansAreWeighted()
  local means = metrics.means()
  means:add("train.loss", 1, 3)
  means:add("train.loss", 5, 1)
  lu.assertEquals(means:get "train.loss", 2)
  lu.assertNil(means:get "train.acc")
end

function TestMetrics:testConditions()
  local table_of = { [">="] = { true, true, false }, ["<="] = { false, true, true }, [">"] = { true, false, false },
    ["<"] = { false, false, true }, ["=="] = { false, true, false }, ["~="] = { true, false, true } }
  for op, holds in pairs(table_of) do
    local c = metrics.parse_condition("test.acc" .. op .. "0.5", error)
    lu.assertEquals({ c.holds(0.6), c.holds(0.5), c.holds(0.4) }, holds, op)
  end
  for _, bad in ipairs { "", "test.acc", "test.acc=0.5", "test.acc>=x", ">=0.5", "tset.acc>0.5" } do
    lu.assertError(metrics.parse_condition, bad, error)
  end
  lu.assertEquals(metrics.missed({ metrics.parse_condition("test.acc>0.5", error) }, { ["test.acc"] = 0.6 }), {})
end

TestProgress = {}

function TestProgress:testTexts()
  local grouped = { [0] = "0", [999] = "999", [1000] = "1,000", [71234.4] = "71,234", [1234567] = "1,234,567" }
  for value, text in pairs(grouped) do
    lu.assertEquals(progress.thousands(value), text)
  end
  local times = { [0.04] = "0.0 s", [9.94] = "9.9 s", [42.4] = "42 s", [187] = "3:07", [3753] = "1:02:33" }
  for value, text in pairs(times) do
    lu.assertEquals(progress.duration(value), text)
  end
  lu.assertEquals(progress.percent(0.98314), "98.31%")
  lu.assertEquals(progress.percent(0 / 0), "n/a")
end
