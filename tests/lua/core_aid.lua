-- Shared by the tests of mnistlua.core: values that scripts pass by mistake, and checks of the errors they get.
local core = require "mnistlua.core"
local lu = require "luaunit"

local m = {}

function m.released()
  local t = core.zeros(2, 3)
  getmetatable(t).__gc(t)
  getmetatable(t).__gc(t)
  return t
end

function m.expired()
  local w = core.ones(2, 3):requires_grad_()
  core.step_begin(1, 1)
  local t = w * 2
  core.step_end()
  return t
end

--- What is passed where something else is wanted; entry n + 1 is nil.
function m.hostile()
  local digits = core.make_digits(4, 1)
  local list = {
    -1, 0, 1, 3.5, 0 / 0, 1 / 0, 2 ^ 63, math.maxinteger, math.mininteger, "3", "relu", "", "a\0b", {}, { {} }, { -1 },
    { 2, 3 }, { x = 1 }, true, false, type, coroutine.create(type), io.stdout, setmetatable({}, { __index = error }),
    core.tensor(1), core.zeros(0, 3), core.ones(2, 3), core.ones(3), core.zeros({ 2 }, "u8"), core.zeros({ 2 }, "i32"),
    core.ones(2, 3):requires_grad_(), m.released(), m.expired(), digits, core.loader(digits, { batch = 2 }),
  }
  return list, #list + 1
end

--- Asserts that f(...) raises a message that begins with the line of f's only call and contains text.
function m.assert_raises(text, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok, "no error, expected: " .. text)
  lu.assertIsString(message)
  lu.assertStrContains(message, text)
  local info = debug.getinfo(f, "S")
  if info.what ~= "C" then
    local file, line = message:match "^([^:]+):(%d+): "
    lu.assertEquals(file, info.source:sub(2))
    line = tonumber(line)
    lu.assertTrue(line >= info.linedefined and line <= info.lastlinedefined, message)
  end
end

--- Calls f with every hostile value, alone and in pairs after the given first arguments. Errors are fine if they are
--- strings; what may not happen is a crash.
function m.torment(f, ...)
  local values, count = m.hostile()
  local first = table.pack(...)
  local function call(...)
    local ok, message = pcall(f, ...)
    if not ok then lu.assertIsString(message) end
  end
  for i = 1, count do
    first[first.n + 1] = values[i]
    call(table.unpack(first, 1, first.n + 1))
    for j = 1, count, 3 do
      first[first.n + 2] = values[j]
      call(table.unpack(first, 1, first.n + 2))
    end
  end
end

--- Everything that a stream of a child process has: "out" or "err".
function m.read_all(process, stream)
  local parts = {}
  while true do
    local text = process:read(stream)
    if not text then return table.concat(parts) end
    parts[#parts + 1] = text
    if text == "" then assert(core.wait_processes({ process }, 10)) end
  end
end

--- The exit code of a child process, once it has ended.
function m.exit_code(process)
  while not process:ended() do core.wait_processes({ process }, 0.01) end
  return process:ended()
end

--- Runs a script in a process of its own: its exit code, and what it wrote to stdout and to stderr.
function m.run_program(script)
  local process <close> = assert(core.spawn("/proc/self/exe", { "mnistlua", script }))
  local out, err = m.read_all(process, "out"), m.read_all(process, "err")
  return m.exit_code(process), out, err
end

return m
