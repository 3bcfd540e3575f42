-- mnistlua repl [RUN|MODEL]: a prompt with the library, and of a run or model its config, data and weights at hand.
-- `mnistlua` alone at a terminal is the same without one.
local arguments = require "mnistlua.cli.arguments"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local outcome = require "mnistlua.cli.outcome"
local progress = require "mnistlua.train.progress"
local repl = require "mnistlua.repl"
local sources = require "mnistlua.cli.source"

local m = { about = "a prompt: try things, look at a model", usage = "[RUN|MODEL] [options]" }

function m.options(parser)
  parser:argument("model", "a run (last, its number, its folder's name) or a .safetensors file of mnistlua"):args "?"
  arguments.add(parser, "threads", "precision", "data_dir", "out")
end

-- The run as it ended, as far as its weights and metrics: what was averaged over steps is in the weights already.
local function run_of(source, experiment)
  local run = require("mnistlua.trainer").prepare(experiment, { seed = source.seed or 0 })
  local record = source.record or {}
  run:attach(progress.new {})
  run.dir, run.average = source.dir or false, false
  run.step, run.epoch = source.steps or 0, math.tointeger(record.epoch) or 0
  run.progress = run.step / run.total_steps
  for name, result in pairs(record.results or {}) do run.board.values[name] = result end
  return run
end

-- What is at hand of a run.
local function variables_of(args)
  local source = sources.open(args.out, args.model)
  local experiment = sources.experiment(source, args)
  local run = run_of(source, experiment)
  local model = sources.model(source, experiment)
  return {
    run = run, experiment = experiment, model = model:eval(), data = experiment.data, loss = experiment.loss,
    config = source.config_text, params = context.params and context.params.values or {},
  }, ("run, model, data, loss, experiment, params and config are those of %s"):format(core.escape(source.path))
end

--- Opens the prompt with more variables, a table by name. Returns the exit code: of input that is no terminal's, 1 if a
--- statement failed.
function m.open(variables, about)
  local greeting = ("mnistlua %s: help() tells what can be done here, Ctrl-D leaves%s"):format(core.version,
    about and "\n" .. about or "")
  local _, fine = repl.run { env = repl.environment(variables), greeting = greeting }
  if core.isatty(0) then return outcome.exit.done end
  return fine and outcome.exit.done or outcome.exit.runtime
end

function m.run(args)
  local variables, about
  if args.model then variables, about = variables_of(args) end
  return m.open(variables, about)
end

return m
