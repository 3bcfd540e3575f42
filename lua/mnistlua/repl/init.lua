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

--- The variables of a prompt: Lua's, the library's, help, quit, and those of `more`; `about`, lines on these, is what
--- help() ends with.
function m.environment(more, about)
  local ml = require "mnistlua"
  local env = { ml = ml, nn = ml.nn, optim = ml.optim, sched = ml.sched, show = rawget(ml, "show") }
  function env.help(...)
    print(value.text(help.text(...)))
    if select("#", ...) == 0 and about then print(about) end
  end
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

-- Reads one line; nil and "end", "interrupt" or "stop" (SIGTERM).
local function read_line(self, continued)
  if self.editor then
    local line, why = self.editor:read(continued and ".. " or self.prompt())
    if not line then io.stdout:write "\n" end
    return line, why
  end
  local held = core.hold_signals(false)     -- what comes while it waits for input ends the program
  local line = io.read "l"
  core.hold_signals(held)
  if not line then return nil, "end" end
  return line
end

-- Reads until what was typed is whole. Returns the text; nil and "end", "interrupt" or "stop".
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

local SIGINT, SIGTERM = 2, 15

-- Whether this process is asked to end; forgets a Ctrl-C.
local function asked_to_end()
  local count, signal = core.interrupts()
  if count > 0 and signal == SIGINT then core.interrupts(true) end
  return count > 0 and signal ~= SIGINT
end

local function tick()
  local count, signal = core.interrupts()
  if count == 0 then return end
  if signal ~= SIGINT then m.leave "stop" end
  error(value.interrupted, 0)
end

-- An error that is no string, as far as it can say what it is.
local function message_of(problem)
  local meta = debug.getmetatable(problem)
  local ok, text = pcall(tostring, problem)
  if type(problem) == "string" or ok and type(meta) == "table" and meta.__tostring then return ok and text end
  return "an error value of type " .. type(problem)
end

local function traced(problem)
  if problem == leaving then return problem end
  return { message = message_of(options.located(problem)), trace = debug.traceback(nil, 2) }
end

-- "; did you mean 'x'?" for a variable that is not there.
local function hint(message, env)
  local name = message:match "a nil value %(global '([%w_]+)'%)"
  if not name then return "" end
  local names = options.sorted_keys(env)
  table.move(options.sorted_keys(_G), 1, #options.sorted_keys(_G), #names + 1, names)
  return options.hint(name, names)
end

local function complain(self, message, trace)
  io.stdout:flush()
  io.stderr:write(value.problem(message .. hint(message, self.env), trace), "\n")
end

local function show(self, ...)
  if select("#", ...) == 0 then return end
  rawset(self.env, "_", (...))
  if select("#", ...) == 1 and (...) == nil then return end
  print(value.texts(table.pack(...)))
end

-- Runs one statement and shows its values: Ctrl-C ends it and not the program, a second one ends the program.
local function run_guarded(self, compiled, expression)
  core.interrupts(true)
  local use = expression and function(...) return show(self, ...) end
  local recording = core.recording()
  local fine, problem = xpcall(chunk.run, traced, compiled, self.env, tick, use)
  if not fine then core.recording(recording) end          -- an evaluation may have been ended in its middle
  return fine, problem
end

--- Runs a piece of text as if it had been typed. Returns whether it was without error.
function m.evaluate(self, text)
  local compiled, expression = chunk.compile(text, self.env)
  if not compiled then
    complain(self, expression == "incomplete" and "the statement is not whole" or expression)
    return false
  end
  if self.before then self.before(text) end
  local fine, problem = run_guarded(self, compiled, expression)
  if not fine and problem ~= leaving then complain(self, problem.message, problem.trace) end
  if self.after then self.after(text) end
  if problem == leaving then error(leaving, 0) end
  return fine
end

-- ---- the loop ----

local function loop(self)
  while not asked_to_end() do
    local text, why = read_statement(self)
    if not text and why ~= "interrupt" then return why end
    if text and text:find "%S" then
      if self.editor then self.editor:add(text) end
      if self.history then save_history(self.editor, self.history) end
      self.fine = m.evaluate(self, text) and self.fine
    end
    io.stdout:flush()
  end
  return "stop"
end

local function closing(f) return setmetatable({}, { __close = f }) end

-- Signals are held while it runs: a Ctrl-C that comes when no statement runs has no effect.
local function run_held(self)
  local held = core.hold_signals(true)
  local _ <close> = closing(function()
    if self.editor then self.editor:close() end
    core.hold_signals(held)
  end)
  local ok, result = pcall(loop, self)
  if ok then return result end
  if result == leaving then return leaving.reason end
  error(result, 0)
end

--- Reads and runs statements until the input ends or quit() is called. given: env (m.environment), prompt (a function
--- that returns it; "> "), greeting (lines, shown at a terminal), before and after (called with a statement's text
--- before it is run and after). Returns why it ended, "end", "quit" or what was given to m.leave; and whether every
--- statement was without error. SIGTERM ends the program, or if signals were held before, the prompt: "stop".
function m.run(given)
  local editor, path = open_editor(given.env)
  local self = {
    env = given.env, editor = editor, history = path, before = given.before, after = given.after, fine = true,
    prompt = given.prompt or function() return "> " end,
  }
  if editor and given.greeting then print(given.greeting) end
  local reason = run_held(self)
  if reason == "stop" and not core.hold_signals() then core.raise_signal(SIGTERM) end
  return reason, self.fine
end

return m
