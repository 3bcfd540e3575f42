-- The prompt: reads what is typed, runs it, shows its value, and goes on, whatever goes wrong. At a terminal lines are
-- edited, with a history and completion; otherwise they are read from standard input, without a prompt. Called by
-- `mnistlua repl`, by -i, and by a run that is paused.
local chunk = require "mnistlua.repl.chunk"
local complete = require "mnistlua.repl.complete"
local core = require "mnistlua.core"
local help = require "mnistlua.repl.help"
local options = require "mnistlua.options"
local text_table = require "mnistlua.cli.text_table"
local value = require "mnistlua.repl.value"

local m = {}

-- ---- what is at hand ----

local leaving = setmetatable({}, { __tostring = function() return "the prompt is left" end })

--- Ends the prompt from inside a statement; `reason` is what m.run returns.
function m.leave(reason)
  leaving.reason = reason or "quit"
  error(leaving, 0)
end

--- The variables of a prompt: Lua's, the library's, help, quit, and those of `more`.
function m.environment(more)
  local ml = require "mnistlua"
  local env = { ml = ml, nn = ml.nn, optim = ml.optim, sched = ml.sched, show = rawget(ml, "show") }
  function env.help(x) print(value.text(help.text(x))) end
  function env.quit() m.leave "quit" end
  for name, each in pairs(more or {}) do env[name] = each end
  return setmetatable(env, { __index = _G })
end

-- ---- completion ----

local function list(names)
  local width, room = 0, text_table.room()
  for _, name in ipairs(names) do width = math.max(width, #name + 2) end
  local per_line = math.max(1, (room == math.huge and 80 or room) // width)
  io.stdout:write "\n"
  for i, name in ipairs(names) do
    local last = i % per_line == 0 or i == #names
    io.stdout:write(last and name .. "\n" or text_table.pad(name, width))
  end
  io.stdout:flush()
end

-- The editor's: the text to put in, and whether something was listed.
local function completer(env)
  return function(line, cursor)
    local names, prefix = complete.candidates(line:sub(1, cursor), env)
    if #names == 0 then return nil, false end
    local more = complete.common(names):sub(#prefix + 1)
    if more ~= "" or #names == 1 then return more, false end
    list(names)
    return nil, true
  end
end

-- ---- history ----

local function history_path()
  local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
  if (state or "") == "" then state = (home or "") ~= "" and home .. "/.local/state" or nil end
  return state and state .. "/mnistlua/history"
end

-- An editor of lines with its history, or nil where there is no terminal. A history that cannot be read or written is
-- done without.
local function open_editor(env)
  if not (core.isatty(0) and core.isatty(1)) then return nil end
  local editor = core.editor(completer(env))
  local path = editor and history_path()
  if path then editor:load(path) end
  return editor, path
end

local function save_history(editor, path)
  if not path or not core.make_dirs(path:match "^(.*)/") then return end
  editor:save(path)
end

-- ---- reading ----

-- Reads one line; nil and "end" or "interrupt".
local function read_line(self, continued)
  if self.editor then
    local line, why = self.editor:read(continued and "..  " or self.prompt)
    if not line then io.stdout:write "\n" end
    return line, why
  end
  local line = io.read "l"
  if not line then return nil, "end" end
  return line
end

-- Reads until what was typed is whole. Returns the text; nil and "end" or "interrupt".
local function read_statement(self)
  local text
  while true do
    local line, why = read_line(self, text ~= nil)
    if not line then
      if why == "end" and text then return text end
      return nil, why
    end
    text = text and text .. "\n" .. line or line
    local compiled, problem = chunk.compile(text, self.env)
    if compiled or problem ~= "incomplete" then return text end
  end
end

-- ---- running ----

local function tick()
  if core.interrupts() > 0 then error(value.interrupted, 0) end
end

-- What an error that is no string says of itself.
local function message_of(problem)
  local ok, text = pcall(tostring, problem)
  return ok and text or "an error value of type " .. type(problem)
end

local function traced(problem)
  if problem == leaving then return problem end
  return { message = message_of(options.located(problem)), trace = debug.traceback(nil, 2) }
end

-- Runs one statement: signals end it and not the program, a second one ends the program.
local function run_guarded(self, compiled)
  local held = core.hold_signals(true)
  core.interrupts(true)
  local results = table.pack(xpcall(chunk.run, traced, compiled, self.env, tick))
  core.interrupts(true)
  core.hold_signals(held)
  return results
end

local function show_results(self, results)
  results = table.pack(table.unpack(results, 2, results.n))
  if results.n > 0 then rawset(self.env, "_", results[1]) end
  if results.n == 1 and results[1] == nil then return end
  local ok, text = pcall(value.texts, results)
  if text then print(ok and text or value.problem(message_of(text))) end
end

--- Runs a piece of text as if it had been typed. Returns whether it was without error.
function m.evaluate(self, text)
  local compiled, expression = chunk.compile(text, self.env)
  if not compiled then
    local problem = expression == "incomplete" and "the statement is not whole" or expression
    print(value.problem(problem))
    return false
  end
  if self.before then self.before(text) end
  local results = run_guarded(self, compiled)
  if results[1] then
    if expression then show_results(self, results) end
    return true
  end
  local problem = results[2]
  if problem == leaving then error(leaving, 0) end
  print(value.problem(problem.message, problem.trace))
  return false
end

-- ---- the loop ----

local function loop(self)
  while true do
    local text, why = read_statement(self)
    if not text and why == "end" then return "end" end
    if text and text:find "%S" then
      if self.editor then self.editor:add(text) end
      self.fine = m.evaluate(self, text) and self.fine
    end
    io.stdout:flush()
  end
end

--- Reads and runs statements until the input ends or quit() is called. given: env (m.environment), prompt ("> "),
--- greeting (a line, shown at a terminal), before (called with each statement before it is run). Returns why it ended,
--- "end", "quit" or what was given to m.leave; and whether every statement was without error.
function m.run(given)
  local editor, path = open_editor(given.env)
  local self = { env = given.env, editor = editor, before = given.before, fine = true, prompt = given.prompt or "> " }
  if editor and given.greeting then print(given.greeting) end
  local results = table.pack(pcall(loop, self))
  if editor then
    save_history(editor, path)
    editor:close()
  end
  if results[1] then return results[2], self.fine end
  if results[2] == leaving then return leaving.reason, self.fine end
  error(results[2], 0)
end

return m
