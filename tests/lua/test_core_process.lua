-- Child processes from Lua: words, streams, exit codes, ends; misuse, and what cannot be started.
local lu = require "luaunit"
local aid = require "core_aid"
local core = require "mnistlua.core"

local read_all, code_of = aid.read_all, aid.exit_code

TestCoreProcess = {}

local function shell(script, ...) return assert(core.spawn("/bin/sh", { "sh", "-c", script, "name", ... })) end

function TestCoreProcess:testStreamsAndCodes()
  local p <close> = shell([[printf '<%s>' "$@"; echo oh >&2; exit 3]], "a b", "", "$HOME;'\"")
  lu.assertTrue(p:pid() > 1)
  lu.assertEquals(read_all(p, "out"), "<a b><><$HOME;'\">")
  lu.assertEquals(read_all(p, "err"), "oh\n")
  lu.assertEquals(code_of(p), 3)
  lu.assertNil(p:read "out")
end

function TestCoreProcess:testStopAndClose()
  local p, q = shell "while :; do sleep 0.01; done", shell "trap '' TERM; echo; while :; do sleep 0.01; done"
  lu.assertNil(p:ended())
  p:stop()
  lu.assertEquals(code_of(p), 143)
  core.wait_processes({ q }, 10)
  q:stop()
  q:close()
  q:close()
  lu.assertEquals(q:ended(), 137)
  lu.assertNil(q:read "out")
end

function TestCoreProcess:testWaitingForNothingIsTheTime()
  lu.assertTrue(core.wait_processes({}, 0))
  local p <close> = shell "sleep 5"
  lu.assertTrue(core.wait_processes({ p, p }, 0.001))
  lu.assertEquals(p:read "out", "")
end

function TestCoreProcess:testWhatCannotBeStarted()
  local p, problem = core.spawn("/nowhere/x", { "x" })
  lu.assertNil(p)
  lu.assertStrContains(problem, "/nowhere/x: cannot be started: No such file or directory")
end

function TestCoreProcess:testMisuse()
  local p <close> = shell "exit 0"
  for _, case in ipairs {
    { "expected 1 to 4096 words, got 0", core.spawn, "/bin/sh", {} },
    { "a word of the command: expected", core.spawn, "/bin/sh", { "sh", 5 } },
    { "expected", core.spawn, "/bin/sh", "sh" },
    { 'expected "out" or "err"', p.read, p, "in" },
    { "expected a Process", p.read, {}, "out" },
    { "expected a Process", core.wait_processes, { 1 }, 0 },
    { "expected", core.wait_processes, { p }, 0 / 0 },
  } do
    lu.assertErrorMsgContains(case[1], table.unpack(case, 2))
  end
end
