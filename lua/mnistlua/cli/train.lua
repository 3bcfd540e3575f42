-- mnistlua CONFIG.lua: trains what the config describes; or runs it, or -e STATEMENT, as a script.
local arguments = require "mnistlua.cli.arguments"
local config = require "mnistlua.cli.config"
local core = require "mnistlua.core"
local facts = require "mnistlua.train.facts"
local failure = require "mnistlua.failure"
local metrics = require "mnistlua.train.metrics"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"

local m = { about = "train what a config describes" }

function m.options(parser)
  parser:argument("config", "the experiment to train"):args "?"
  parser:argument("parameters", "key=value: sets a parameter that the config declares with ml.params"):args "*"
  arguments.add(parser, "seed", "threads", "precision", "data_dir", "data", "out", "max_time", "assert", "json",
    "quiet")
  parser:flag("--no-progress", "one line per epoch, also on a terminal")
  arguments.option(parser, "-e", "run a Lua statement (with ml, nn, optim and sched at hand) instead of a config")
    :argname "STATEMENT"
end

--- Whether --help is about the config's parameters.
function m.own_help(args) return args.config ~= nil end

local function new_progress(args)
  local terminal = core.isatty(2) and not args.quiet and not args.no_progress
  return require("mnistlua.train.progress").new { terminal = terminal, quiet = args.quiet }
end

-- The conditions of the config, then those of the command line.
local function conditions_of(experiment, args)
  local list = table.move(experiment.conditions, 1, #experiment.conditions, 1, {})
  return table.move(args.assert or {}, 1, #(args.assert or {}), #list + 1, list)
end

local function train(run, args)
  local trainer = require "mnistlua.trainer"
  local report = require "mnistlua.train.result"
  local experiment = run.experiment
  local store <close>, problem = require("mnistlua.train.store").create(args.out, facts.of(run))
  if not store then
    error(failure.new("runtime", ("the output folder %s cannot be used: %s"):format(args.out, problem)), 0)
  end
  local progress = new_progress(args)
  if not args.quiet then report.opening(run, progress) end
  local result, unsaved = trainer.train(run, {
    progress = progress, store = store, deadline = args.max_time and core.clock() + args.max_time,
  })
  local saved, why = store:save_result(result)
  report.show(result, run, args.json)
  if unsaved or not saved then error(failure.new("runtime", unsaved or why), 0) end
  local missed = metrics.missed(conditions_of(experiment, args), result)
  for _, line in ipairs(missed) do io.stderr:write("mnistlua: missed: " .. line .. "\n") end
  if run.interrupted then return 128 + run.interrupted end
  return #missed > 0 and outcome.exit.missed or outcome.exit.done
end

local function run_statement(text)
  local ml = require "mnistlua"
  rawset(_G, "ml", ml)
  for _, name in ipairs { "nn", "optim", "sched" } do rawset(_G, name, ml[name]) end
  local chunk, problem = load(text, "=-e", "t")
  if not chunk then options.usage(core.escape(problem)) end
  chunk()
  return outcome.exit.done
end

--- Mistakes of the command line and the config end it before the first step, with the exit code for usage; from then on
--- what goes wrong is a failure at run time.
function m.run(args)
  if args.e and args.config then options.usage "give a config or -e STATEMENT, not both" end
  if args.e then return run_statement(args.e) end
  if not args.config then
    options.usage "no config given: mnistlua CONFIG.lua (try configs/mlp512.lua; mnistlua --help lists the options)"
  end
  config.override(args.parameters)
  local experiment, code = config.run(args.config, args.help)
  if experiment then
    local run = require("mnistlua.trainer").prepare(experiment, { seed = args.seed or 0 })
    return outcome.guarded("runtime", args.traceback, train, run, args)
  end
  if not code and #(args.assert or {}) > 0 then
    options.usage(args.config .. ": --assert needs a config that returns an experiment")
  end
  return code or outcome.exit.done
end

return m
