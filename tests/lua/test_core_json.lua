-- core.json_decode: every kind of value, what is refused and how, limits; and that it reads what mnistlua.json writes.
local lu = require "luaunit"
local aid = require "core_aid"
local core = require "mnistlua.core"
local json = require "mnistlua.json"

TestCoreJson = {}

function TestCoreJson:testValues()
  for text, value in pairs {
    ["3"] = 3, ["-7"] = -7, ["2.385"] = 2.385, ["1e3"] = 1000.0, ["true"] = true, ["false"] = false,
    ['"a\\u00e9\\n"'] = "aé\n", ["[]"] = {}, ["{}"] = {}, [" [1, [2.5], {}] "] = { 1, { 2.5 }, {} },
    ['{"a": {"b": [null, 1]}, "c": null}'] = { a = { b = { nil, 1 } } },
  } do
    lu.assertEquals(core.json_decode(text), value, text)
  end
  lu.assertEquals(math.type(core.json_decode "9007199254740993"), "integer")
  lu.assertEquals(math.type(core.json_decode "1.0"), "float")
  lu.assertNil(core.json_decode "null")
  lu.assertNil(select(2, core.json_decode "null"))
end

function TestCoreJson:testWhatIsWritten()
  local value = { name = "a\"\\\1é", list = { 1, 2.385, 1e300, -0.1 }, yes = true, none = {} }
  lu.assertEquals(core.json_decode(json.encode(value)), value)
end

function TestCoreJson:testRefused()
  for text, message in pairs {
    [""] = "line 1", ["["] = "line 1, column 1", ['{\n"a":1,\n}'] = "line 3",
    ['{"a":1,"a":2}'] = "duplicate object key",
    ["1 2"] = "end of file expected", ["nul"] = "invalid token", ["\0"] = "invalid token", ["1e999"] = "overflow",
    ["99999999999999999999"] = "too big integer", ['"\xff"'] = "unable to decode byte", ['"\\u0000"'] = "not allowed",
    ["'a'"] = "invalid token", ["[1,]"] = "unexpected token", ["NaN"] = "invalid token",
  } do
    local value, problem = core.json_decode(text)
    lu.assertNil(value, text)
    lu.assertStrContains(problem, message)
  end
end

function TestCoreJson:testLimits()
  local function nested(depth) return ("["):rep(depth) .. ("]"):rep(depth) end
  lu.assertIsTable(core.json_decode(nested(64)))
  lu.assertStrContains(select(2, core.json_decode(nested(65))), "deeper than 64 levels")
  lu.assertStrContains(select(2, core.json_decode(('{"a":'):rep(65) .. "1" .. ("}"):rep(65))), "deeper than 64 levels")
  lu.assertStrContains(select(2, core.json_decode(nested(1e5))), "depth")
  lu.assertStrContains(select(2, core.json_decode("[" .. ("1,"):rep(2e6) .. "1]")), "more than the 2000000 values")
  lu.assertStrContains(select(2, core.json_decode((" "):rep((64 << 20) + 1))), "67108865 bytes")
  lu.assertEquals(#core.json_decode('["' .. (","):rep(3e6) .. '"]')[1], 3e6)      -- inside a string they are no values
end

function TestCoreJson:testMisuse()
  for _, bad in ipairs { 3, {}, true } do
    aid.assert_raises("expected a string", function() core.json_decode(bad) end)
  end
end
