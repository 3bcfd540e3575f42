-- The prompt's parts: statements and expressions, completion, values as text, help.
local lu = require "luaunit"
local chunk = require "mnistlua.repl.chunk"
local complete = require "mnistlua.repl.complete"
local help = require "mnistlua.repl.help"
local ml = require "mnistlua"
local repl = require "mnistlua.repl"
local value = require "mnistlua.repl.value"

TestRepl = {}

local function nothing() end

local function evaluated(text, env)
  local f, expression = chunk.compile(text, env)
  return chunk.run(f, env, nothing), expression
end

-- ---- statements ----

function TestRepl:testExpressionsAndStatements()
  local env = repl.environment {}
  local result, expression = evaluated("1 + 2", env)
  lu.assertEquals({ result, expression }, { 3, true })
  result, expression = evaluated("x = 5", env)
  lu.assertEquals({ result, expression }, { nil, false })
  lu.assertEquals((evaluated("x * 2", env)), 10)
  lu.assertNil(rawget(_G, "x"))
end

function TestRepl:testLocalVariablesStay()
  local env = repl.environment {}
  evaluated("local a, b = 1, 'two'", env)
  evaluated("local function double(n) local hidden = 2 return hidden * n end", env)
  lu.assertEquals((evaluated("double(a) .. b", env)), "2two")
  lu.assertEquals((evaluated("local c = 4 -- of use", env)), nil)
  lu.assertEquals((evaluated("c", env)), 4)
  lu.assertEquals((evaluated("do local d = 5 end return c", env)), 4)
  lu.assertNil(env.d)
  lu.assertNil(rawget(env, "hidden"))
  lu.assertNil(rawget(env, "n"))
end

function TestRepl:testWhatIsNotWhole()
  for _, text in ipairs { "for i = 1, 2 do", "f(", "x = {", "function f()", "x =", "if a then b()", "s = [[a" } do
    local f, problem = chunk.compile(text, {})
    lu.assertNil(f)
    lu.assertEquals(problem, "incomplete", text)
  end
  for _, text in ipairs { "x = = 1", "end", "for", "1 +* 2" } do
    local f, problem = chunk.compile(text, {})
    lu.assertNil(f)
    if text ~= "for" then lu.assertStrContains(problem, "prompt:1:") end
  end
end

function TestRepl:testTheTickEndsAStatement()
  local env = repl.environment {}
  local ticks = 0
  lu.assertErrorMsgEquals("enough", chunk.run, chunk.compile("while true do end", env), env, function()
    ticks = ticks + 1
    if ticks == 3 then error("enough", 0) end
  end)
  lu.assertNil(debug.gethook())
end

-- ---- completion ----

local function names(line, env) return table.concat((complete.candidates(line, env)), " ") end

function TestRepl:testCompletion()
  local env = repl.environment {
    x = ml.zeros(2), model = ml.nn.Sequential { ml.nn.Linear(3, 2), ml.nn.ReLU() }, opt = ml.optim.SGD { lr = 0.1 },
    data = ml.data.digits { n = 20, test = 10 }, plain = { alpha = 1, alphabet = print, beta = 2 },
  }
  for line, expected in pairs {
    ["nn.Line"] = "Linear", ["print(nn.Line"] = "Linear", ["plain.al"] = "alpha alphabet", ["plain:al"] = "alphabet",
    ["x:resh"] = "reshape", ["model:add_"] = "add_module", ["model[1].wei"] = "weight", ["model[1]:sig"] = "signature",
    ["opt.l"] = "load_state_dict lr", ["data.trai"] = "train", ["data.train:batc"] = "batches", ["prin"] = "print",
    ["string.form"] = "format", ["whil"] = "while", ["nothing.a"] = "", ["3 + "] = "", ["plain.beta.x"] = "",
  } do
    lu.assertEquals(names(line, env), expected, line)
  end
  lu.assertEquals(select(2, complete.candidates("nn.Line", env)), "Line")
end

function TestRepl:testCompletionRunsNothing()
  local trap = setmetatable({}, { __index = function() error "called" end })
  lu.assertEquals(names("trap.a", repl.environment { trap = trap }), "")
  lu.assertEquals(names("trap.b.c", repl.environment { trap = trap }), "")
end

function TestRepl:testWhatCompletionsShare()
  lu.assertEquals(complete.common { "alpha", "alphabet" }, "alpha")
  lu.assertEquals(complete.common { "a", "b" }, "")
  lu.assertEquals(complete.common { "one" }, "one")
end

-- ---- values ----

function TestRepl:testValues()
  for text, given in pairs {
    ["3"] = 3, ["a text"] = "a text", ["{}"] = {}, ['{ 1, 2, a = "b", [\'not a name\'] = true }'] = { 1, 2, a = "b",
      ["not a name"] = true }, ["{ { { { ... } } } }"] = { { { { 1 } } } }, ["nn.Linear(3, 2)"] = ml.nn.Linear(3, 2),
    ["bell \\x07"] = "bell \7",
  } do
    lu.assertEquals(value.text(given), text)
  end
  local cycle = {}
  cycle.me = cycle
  lu.assertEquals(value.text(cycle), "{ me = { ... } }")
  local long = {}
  for i = 1, 100 do long[i] = i end
  lu.assertStrContains(value.text(long), "... 60 more")
end

function TestRepl:testObjectsWithoutATextShowTheirFields()
  local meta = { __name = "Point" }
  lu.assertEquals(value.text(setmetatable({ x = 1 }, meta)), "Point { x = 1 }")
  local view = setmetatable({}, { __pairs = function() return next, { loss = 0.5 } end })
  lu.assertEquals(value.text(view), "{ loss = 0.5 }")
end

function TestRepl:testAToStringThatFails()
  local broken = setmetatable({}, { __tostring = function() error("no text", 0) end })
  lu.assertEquals(value.text(broken), "<table: no text>")
end

function TestRepl:testPicturesAreDrawn()
  local sample = ml.data.digits { n = 3 }[1]
  local lines = select(2, value.text(sample):gsub("\n", "\n"))
  lu.assertTrue(lines > 8)
  lu.assertStrContains(value.text(sample), "tensor 28x28 u8")
  lu.assertStrContains(value.text(sample), "label " .. sample.label)
  lu.assertNotStrContains(value.text(ml.zeros(28, 28)), "⠀")
end

function TestRepl:testErrors()
  local own = "\n\tprompt:1: in local 'chunk'\n\tx/repl/chunk.lua:3: in\n\tmore"
  lu.assertEquals(value.problem("oh", "stack traceback:\n\t[C]: in function 'error'" .. own), "error: oh")
  lu.assertEquals(value.problem("oh", "stack traceback:\n\ta.lua:3: in function 'f'" .. own),
    "error: oh\n  a.lua:3: in function 'f'")
  lu.assertEquals(value.problem(value.interrupted, "stack traceback:\n\t[C]: x"), "error: interrupted")
end

-- ---- help ----

function TestRepl:testHelp()
  for _, case in ipairs {
    { ml.nn.Linear, "^nn.Linear\nA fully connected layer" }, { ml.nn.Linear(2, 3), "^nn.Linear\nA fully connected" },
    { "Linear", "^nn.Linear\n" }, { "OneCycleLR", "^sched.OneCycleLR\nOne cycle" },
    { "ml.data.mnist", "MNIST from the" },
    { ml.optim.SGD, "^optim.SGD\nStochastic gradient" }, { "xyzzy", "there is nothing called 'xyzzy'" },
    { "clone", "^tensor:clone\n:clone%(%) %(own storage" }, { ml.zeros, "^ml.zeros\nzeros%(d1" },
    { nil, "Tab completes names" }, { ml.nn.ReLU, "^nn.ReLU\nActivation layers" },
  } do
    lu.assertStrContains(help.text(case[1]), case[2], true)
  end
end
