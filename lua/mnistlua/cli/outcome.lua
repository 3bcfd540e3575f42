-- How a command ends: the exit codes, and the one line on stderr that an error becomes.
local color = require "mnistlua.color"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local options = require "mnistlua.options"

local m = {}

m.exit = { done = 0, runtime = 1, usage = 2, missed = 3, diverged = 4 }

--- Error values that are no mistake but an early end: each with a function that returns the exit code.
m.endings = {}

-- One line for whatever an error value is: strings, tables with a message, nil, and what fails to say what it is.
local function describe(problem)
  if failure.is(problem) then return problem.message end
  if problem == nil then return "an error without a value (error(nil))" end
  local meta = debug.getmetatable(problem)
  local ok, text = pcall(tostring, problem)
  if type(problem) ~= "string" and not (ok and type(meta) == "table" and meta.__tostring) then
    return "an error value of type " .. type(problem)
  end
  return (text:gsub("%s*\n%s*", " "))
end

-- A config that ignores nil, message stumbles over the nil sooner or later; then what it ignored is the message.
local function comes_from_fault(message)
  return context.last_fault and (message:find("nil value", 1, true) or message:find("got nil", 1, true))
end

--- Says what went wrong, as one line on stderr; returns the exit code, that of `kind` unless the problem has its own.
function m.report(problem, kind)
  local message = describe(problem)
  if failure.is(problem) then
    kind = m.exit[problem.kind] and problem.kind or kind
  elseif kind == "usage" and comes_from_fault(message) then
    message, kind = context.last_fault, "runtime"
  elseif message == context.last_fault then
    kind = "runtime"
  end
  io.stderr:write("mnistlua: " .. color.paint("red", "error:") .. " " .. core.escape(message) .. "\n")
  return m.exit[kind]
end

--- Calls f(...) and returns what it returns. An error becomes its line on stderr, with a traceback if that is wanted,
--- and its exit code: that of `kind` ("usage", "runtime") unless the error says otherwise.
function m.guarded(kind, traceback, f, ...)
  local trace
  local results = table.pack(xpcall(f, function(problem)
    if traceback and not m.endings[problem] then trace = debug.traceback(nil, 2) end
    return options.located(problem)
  end, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local problem = results[2]
  local ending = problem ~= nil and m.endings[problem]
  if ending then return ending() end
  local code = m.report(problem, kind)
  for text in (trace or ""):gmatch "[^\n]+" do io.stderr:write(core.escape((text:gsub("\t", "  "))), "\n") end
  return code
end

return m
