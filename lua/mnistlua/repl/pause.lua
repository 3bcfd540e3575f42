-- What a paused run shows at a terminal: the question after Ctrl-C, and the prompt. Which of them comes when is
-- train/pause.lua's.
local core = require "mnistlua.core"
local pause = require "mnistlua.train.pause"
local progress = require "mnistlua.train.progress"
local repl = require "mnistlua.repl"
local value = require "mnistlua.repl.value"

local m = {}

local SIGINT = 2

local choices = { c = "continue", s = "save", p = "prompt", q = "quit" }

-- What it means that there is no answer.
local without = { ["end"] = "quit", interrupt = "now", stop = "stop" }

local about = [[
run, model, optimizer, loss, data, experiment, config and params are at hand.
  step(5)       go on for 5 steps, then come back
  continue()    go on, as Ctrl-D does
  save()        a checkpoint; quit() ends the run
What you change is noted with the run.]]

-- Reads the answer with an editor of lines, which puts the terminal back whatever ends it.
local function ask(run)
  run.progress_display:clear()
  local editor <close> = core.editor(function() end)
  local question = ("step %s: (c)ontinue, (s)ave and continue, (p)rompt, (q)uit? "):format(progress.thousands(run.step))
  while editor do
    if core.interrupts() > 0 then return select(2, core.interrupts()) == SIGINT and "now" or "stop" end
    io.stdout:write "\r"                  -- over the ^C that the terminal has shown
    io.stdout:flush()
    local answer, why = editor:read(question)
    if not answer then
      io.stdout:write "\n"
      return without[why]
    end
    local choice = choices[answer:lower():match "^%s*(%a?)"] or answer:find "^%s*$" and "continue"
    if choice then return choice end
  end
  return "quit"
end

-- The prompts of one run, with the same variables in all of them.
local function prompter()
  local env
  return function(run, variables, before, after)
    local first = not env
    env = env or repl.environment({}, about)
    for name, each in pairs(variables) do env[name] = each end
    return (repl.run {
      env = env, before = before, after = after, greeting = first and about or nil,
      prompt = function() return ("step %d> "):format(run.step) end,
    })
  end
end

--- What a run that is kept in `store` (train/store.lua) is given as its pause, where somebody is there to answer;
--- otherwise nil.
function m.at_terminal(store)
  if not (core.isatty(0) and core.isatty(1) and core.isatty(2)) then return nil end
  return pause.new {
    ask = ask, prompt = prompter(), leave = repl.leave, interrupted = value.interrupted,
    noted = function(changes) store:save_changes(changes) end,      -- at once, so that even a run that is killed tells
  }
end

return m
