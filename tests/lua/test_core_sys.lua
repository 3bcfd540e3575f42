-- mnistlua.core: files, time, threads, signals, escaping; and what the program does to Lua itself.
local lu = require "luaunit"
local aid = require "core_aid"
local core = require "mnistlua.core"

local raises = aid.assert_raises

TestCoreSys = {}

function TestCoreSys:setUp()
  self.folder = os.tmpname()
  os.remove(self.folder)
  assert(core.make_dirs(self.folder))
end

function TestCoreSys:tearDown()
  for _, name in ipairs(core.list_dir(self.folder)) do os.remove(self.folder .. "/" .. name) end
  os.remove(self.folder)
end

function TestCoreSys:testFiles()
  local path = self.folder .. "/b.txt"
  lu.assertFalse(core.exists(path))
  lu.assertTrue(core.write_file(path, "one\0two"))
  lu.assertTrue(core.write_file(self.folder .. "/a.txt", ""))
  lu.assertTrue(core.exists(path))
  lu.assertFalse(core.is_dir(path))
  lu.assertTrue(core.is_dir(self.folder))
  lu.assertEquals(core.read_file(path, 100), "one\0two")
  lu.assertEquals(core.read_file(path), "one\0two")
  lu.assertEquals(core.list_dir(self.folder), { "a.txt", "b.txt" })
  lu.assertTrue(core.same_file(path, self.folder .. "/./b.txt"))
  lu.assertFalse(core.same_file(path, self.folder .. "/a.txt"))
  lu.assertTrue(core.make_dirs(self.folder))
  lu.assertTrue(core.check_writable(self.folder))
end

-- That what it writes runs is tested in tests/cli/test_export_exe.sh.
function TestCoreSys:testWriteProgram()
  lu.assertNil(core.carried)
  local path = self.folder .. "/program"
  lu.assertTrue(core.write_program(path, { { "a", "1\0" }, { "b", "" } }))
  lu.assertEquals(#core.read_file(path) - #core.read_file "/proc/self/exe", 12 + 1 + 2 + 12 + 1 + 32)
  lu.assertStrContains(select(2, core.write_program("/nonexistent/x", {})), "/nonexistent/x")
  raises("expected a table, got 3", function() core.write_program(path, 3) end)
  raises("an entry of the list: expected a table, got 3", function() core.write_program(path, { 3 }) end)
  raises("the name of a piece: expected a string", function() core.write_program(path, { { 3, "x" } }) end)
  raises("a: expected a string, got 3", function() core.write_program(path, { { "a", 3 } }) end)
  aid.torment(core.write_program, "/nonexistent/x")
end

function TestCoreSys:testFaultsComeBack()
  local path = self.folder .. "/a.txt"
  assert(core.write_file(path, "12345"))
  for text, result in pairs {
    ["larger"] = { core.read_file(path, 4) },
    ["/nonexistent/x"] = { core.read_file("/nonexistent/x", 4) },
    ["the name of the file is empty"] = { core.write_file("", "text") },
    ["/nonexistent/y"] = { core.write_file("/nonexistent/y", "") },
    ["/nonexistent: "] = { core.list_dir "/nonexistent" },
    ["a.txt"] = { core.make_dirs(path .. "/b") },
    ["expected a folder"] = { core.check_writable(path .. "/b") },
    ["/dev/zero"] = { core.read_file("/dev/zero", 10) },
  } do
    lu.assertNil(result[1])
    lu.assertIsString(result[2])
    if text ~= "larger" then lu.assertStrContains(result[2], text) end
  end
end

function TestCoreSys:testMisuse()
  local with_path = { "exists", "is_dir", "make_dirs", "check_writable", "read_file", "list_dir", "write_file" }
  for _, name in ipairs(with_path) do
    for _, bad in ipairs { 3, {}, true, "a\0b", core.zeros(1) } do
      raises("expected a string", function() core[name](bad, "") end)
    end
    raises("expected a string, got nil", function() core[name](nil) end)
  end
  raises("expected a string, got nil", function() core.write_file("/nonexistent/x", nil) end)
  raises("expected a string, got 3", function() core.same_file("/", 3) end)
  for _, name in ipairs { "clock", "isatty", "terminal_width", "exists", "is_dir", "read_file", "list_dir",
      "interrupts", "memory", "escape", "where", "recording", "scope", "manual_seed" } do
    aid.torment(core[name])
  end
  core.recording(true)
  raises("expected true or false, got 1", function() core.hold_signals(1) end)
end

function TestCoreSys:testMachine()
  lu.assertTrue(core.terminal_width() > 0)
  local before = core.clock()
  lu.assertTrue(core.clock() >= before)
  lu.assertAlmostEquals(core.wall_clock(), os.time(), 60)
  lu.assertEquals((core.interrupts()), 0)
  local held = core.hold_signals(true)
  lu.assertTrue(core.hold_signals())
  lu.assertTrue(core.hold_signals(false))
  lu.assertFalse(core.hold_signals(held))
  lu.assertIsString(core.version)
  lu.assertTrue(core.is_dir(core.root))
  for _, name in ipairs { "live", "live_blocks", "peak", "cached", "allocations", "system_calls" } do
    lu.assertEquals(math.type(core.memory()[name]), "integer")
  end
end

function TestCoreSys:testEscape()
  lu.assertEquals(core.escape "plain \u{e9}\u{1F600} text", "plain \u{e9}\u{1F600} text")
  lu.assertEquals(core.escape "a\n\27[0m\0\127", "a\\x0a\\x1b[0m\\x00\\x7f")
  lu.assertEquals(core.escape "\u{9b}x", "\\xc2\\x9bx")
  lu.assertEquals(core.escape "\xc2", "\xc2")
end

-- ---- Lua as the program sets it up ----

TestCoreLua = {}

local bytecode = string.dump(function() return 1 end)

function TestCoreLua:testBytecodeIsRefused()
  lu.assertNil((load(bytecode)))
  lu.assertNil((load(bytecode, "name")))
  lu.assertIsFunction(load(bytecode, "name", "b"))
  local path = os.tmpname()
  assert(core.write_file(path, bytecode))
  lu.assertNil((loadfile(path)))
  lu.assertFalse((pcall(dofile, path)))
  local before = package.path
  package.path = path
  local ok, message = pcall(require, "some.module")
  package.path = before
  os.remove(path)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "attempt to load a binary chunk")
end

function TestCoreLua:testLoadingTextIsAsEver()
  lu.assertEquals(load "return 1 + 1"(), 2)
  lu.assertEquals(load("return x", "chunk", "t", { x = 7 })(), 7)
  lu.assertEquals(load("return x", "chunk", nil, { x = 7 })(), 7)
  local parts = { "return ", "5" }
  lu.assertEquals(load(function() return table.remove(parts, 1) end)(), 5)
  lu.assertFalse((pcall(load("return x()", "chunk", "t", nil))))
  local path = os.tmpname()
  assert(core.write_file(path, "#!/usr/bin/env lua\nlocal a = coroutine.yield(1)\nreturn a, 2"))
  local co = coroutine.wrap(function() return dofile(path) end)
  lu.assertEquals(co(), 1)
  lu.assertEquals({ co "back" }, { "back", 2 })
  lu.assertIsFunction(loadfile(path))
  os.remove(path)
  lu.assertFalse((pcall(require, "no.such.module")))
end

function TestCoreLua:testEndlessRecursionIsAnError()
  local function f(t) return #t + f(t) end
  lu.assertFalse((pcall(f, core.zeros(1))))
  local t = setmetatable({}, {})
  getmetatable(t).__index = function(_, k) return t[k .. "x"] end
  lu.assertFalse((pcall(function() return t.a end)))
  lu.assertFalse((pcall(core.scope, function() local function g() core.scope(g) end g() end)))
  lu.assertEquals((core.ones(2) * 2):totable(), { 2, 2 })
end
