-- What a checkpoint keeps besides weights: plain data as text, to the bit, and the state of callbacks.
local lu = require "luaunit"
local ml = require "mnistlua"
local callback_state = require "mnistlua.train.callback_state"
local pack = require "mnistlua.train.pack"
local nn, optim = ml.nn, ml.optim

-- ---- plain data ----

TestPack = {}

local function round_trip(value)
  local tensors, by_name = {}, {}
  local text = assert(pack.text(value, "x", tensors))
  for _, entry in ipairs(tensors) do by_name[entry[1]] = entry[2] end
  return assert(pack.value(text, by_name)), text
end

function TestPack:testValuesComeBackAsTheyWere()
  local value = {
    1, 1.0, 0.1, -0.0, 1e300, 5e-324, math.mininteger, math.maxinteger, true, false,
    "text \"\\\n\127 \u{e4}", "\xff\0bytes",
    { list = { 1, { 2 } }, [1.5] = "key", [true] = 0 }, { ["%number"] = "not one" }, { [1] = "a", [3] = "hole" },
    { ["1"] = "text", [1] = "number" }, {}, math.huge, -math.huge,
  }
  local back, text = round_trip { value }
  lu.assertEquals(back[1], value)
  for i, each in ipairs(value) do lu.assertEquals(math.type(back[1][i]), math.type(each)) end
  lu.assertEquals(1 / back[1][4], -math.huge)
  lu.assertEquals(select(2, round_trip { back[1] }), text)
  local nan = round_trip { 0 / 0 }
  lu.assertTrue(nan[1] ~= nan[1])
end

function TestPack:testEveryDoubleIsExact()
  math.randomseed(11)
  for _ = 1, 2000 do
    local x = (math.random() - 0.5) * 10 ^ math.random(-300, 300)
    lu.assertTrue(round_trip { x }[1] == x)
  end
end

function TestPack:testTensorsAreNamedByTheirPlace()
  local tensors = {}
  local t = ml.ones(2)
  lu.assertEquals(pack.text({ best = { weight = t } }, "state", tensors),
    '{"best":{"weight":{"%tensor":"state.best.weight"}}}')
  lu.assertEquals(tensors, { { "state.best.weight", t } })
  lu.assertEquals(select(2, pack.value('{"%tensor":"gone"}', {})), "it lacks the tensor 'gone'")
end

function TestPack:testWhatIsNoPlainDataIsNamed()
  local loop = {}
  loop.loop = loop
  for _, case in ipairs {
    { { a = { print } }, "x.a.1 is a function; expected plain data or a tensor" },
    { setmetatable({}, {}), "x is an object with a metatable" }, { nn.ReLU(), "x is a module" },
    { loop, "x nests too deep" },
  } do
    local text, problem = pack.text(case[1], "x", {})
    lu.assertNil(text)
    lu.assertStrContains(problem, case[2])
    lu.assertFalse(pack.is_plain(case[1]))
  end
  lu.assertTrue(pack.is_plain { 1, { a = ml.ones(1) } })
end

function TestPack:testDamagedText()
  for _, text in ipairs { "", "{", "nonsense", '{"a":}', '{"%pairs":[1]}', '{"%pairs":[[{"%number":"nan"},1]]}' } do
    local value, problem = pack.value(text, {})
    lu.assertNil(value)
    lu.assertIsString(problem)
  end
end

-- ---- callbacks ----

TestCallbackState = {}

function TestCallbackState:testFieldsAreFilledWhereTheyAre()
  local history, weight = { 1, 2, 3 }, ml.zeros(2)
  local callback = { history = history, weight = weight, extra = 1, output = io.stdout, epoch_end = print }
  local saved = { { kind = "fields", data = { history = { 7 }, weight = ml.ones(2), new = "x" } } }
  lu.assertNil(callback_state.misfit({ callback }, saved))
  callback_state.put({ callback }, saved)
  lu.assertEquals(history, { 7 })
  lu.assertEquals(weight:totable(), { 1, 1 })
  lu.assertNil(callback.extra)
  lu.assertEquals({ callback.new, callback.output, callback.epoch_end }, { "x", io.stdout, print })
end

function TestCallbackState:testMisfits()
  local list = callback_state.take { print, { a = 1 } }
  lu.assertEquals(list, { { kind = "function" }, { kind = "fields", data = { a = 1 } } })
  lu.assertStrContains(callback_state.misfit({}, list), "it has 2 callbacks where the experiment has 0")
  lu.assertStrContains(callback_state.misfit({ {}, {} }, list), "callback 1 is another one there")
  local half = { state = function() end, epoch_end = print }
  lu.assertErrorMsgContains("callback 1 has the method state and no load_state", ml.experiment, {
    data = ml.data.digits { n = 8 }, model = nn.Flatten(), loss = print, optimizer = optim.SGD { lr = 1 },
    callbacks = { half },
  })
end
