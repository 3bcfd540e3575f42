-- What a paused run shows at a terminal: the question after Ctrl-C, and the prompt. Which of them comes when is
-- train/pause.lua's.
local core = require "mnistlua.core"
local folder = require "mnistlua.store.folder"
local json = require "mnistlua.json"
local pause = require "mnistlua.train.pause"
local progress = require "mnistlua.train.progress"
local repl = require "mnistlua.repl"

local m = {}

local choices = { c = "continue", s = "save", p = "prompt", q = "quit" }

-- A second Ctrl-C while it waits for the answer ends the program, as it always does.
local function ask(run)
  run.progress_display:clear()
  while true do
    io.stderr:write(("step %s: (c)ontinue, (s)ave and continue, (p)rompt, (q)uit? "):format(
      progress.thousands(run.step)))
    local answer = io.read "l"
    if not answer then return "quit" end
    local choice = choices[answer:lower():match "^%s*(%a?)"] or answer:find "^%s*$" and "continue"
    if choice then return choice end
  end
end

local function prompt(run, variables, set_leave, before)
  run.progress_display:clear()
  set_leave(repl.leave)
  local env = repl.environment(variables)
  return (repl.run {
    env = env, before = before, prompt = ("step %d> "):format(run.step),
    greeting = "run, model, optimizer, loss and data are at hand; step(5), save(), continue(), quit()",
  })
end

-- Written into run.json at once, so that even a run that is killed tells it.
local function noter(dir)
  return function(changes)
    local facts = folder.facts(dir)
    if not facts then return end
    facts.changes = changes
    core.write_file(dir .. "/run.json", json.encode(facts) .. "\n")
  end
end

--- What a run in the folder `dir` is given as its pause, where somebody is there to answer; otherwise nil.
function m.at_terminal(dir)
  if not (core.isatty(0) and core.isatty(1) and core.isatty(2)) then return nil end
  return pause.new { ask = ask, prompt = prompt, noted = noter(dir) }
end

return m
