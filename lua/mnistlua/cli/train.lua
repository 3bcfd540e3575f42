-- mnistlua CONFIG.lua: trains what the config describes, or goes on with a run (--resume); or runs it, or -e STATEMENT,
-- as a script.
local arguments = require "mnistlua.cli.arguments"
local config = require "mnistlua.cli.config"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local facts = require "mnistlua.train.checkpoint_facts"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local resume = require "mnistlua.train.resume"
local training = require "mnistlua.cli.training"

local m = { about = "train what a config describes" }

function m.options(parser)
  parser:argument("config", "the experiment to train"):args "?"
  parser:argument("parameters", "key=value: sets a parameter that the config declares with ml.params"):args "*"
  arguments.add(parser, "seed", "threads", "precision", "data_dir", "data", "out", "max_time",
    "checkpoint_every", "resume", "force", "assert", "json", "quiet", "no_report")
  parser:flag("--no-progress", "one line per epoch, also on a terminal")
  arguments.option(parser, "--progress", "auto, or json: an object per epoch and second on stderr, for other programs")
    :choices { "auto", "json" }:default "auto"
  parser:flag("-i", "open a prompt when the run, or the script, has ended")
  arguments.option(parser, "-e", "run a Lua statement (with ml, nn, optim, sched and show at hand) instead of a config")
    :argname "STATEMENT"
end

--- Whether --help is about the config's parameters.
function m.own_help(args) return args.config ~= nil end

local function run_statement(text)
  local ml = require "mnistlua"
  rawset(_G, "ml", ml)
  for _, name in ipairs { "nn", "optim", "sched", "show" } do rawset(_G, name, ml[name]) end
  local chunk, problem = load(text, "=-e", "t")
  if not chunk then options.usage(core.escape(problem)) end
  chunk()
  return outcome.exit.done
end

local function is_parameter(text) return text ~= nil and text:find "^[%a_][%w_]*=" ~= nil and not core.exists(text) end

-- The RUN of --resume: last if none was given. The word after it may have been meant as a parameter or the config, and
-- the first word without a config as a parameter.
local function run_to_resume(args)
  if is_parameter(args.config) then
    table.insert(args.parameters, 1, args.config)
    args.config = nil
  end
  local text = type(args.resume) == "table" and args.resume[1] or args.resume
  if type(text) ~= "string" then return "last" end
  if is_parameter(text) then
    table.insert(args.parameters, 1, text)
    return "last"
  elseif text:find "%.lua$" and not args.config then
    args.config = text
    return "last"
  end
  return text
end

-- Goes on with a run; without a config with its own.
local function resumed(args)
  local text = run_to_resume(args)
  config.override(args.parameters)
  local source = resume.open(args.out, text)
  resume.check_unfinished(source)
  training.adopt(source, args)
  local experiment = args.config and config.run(args.config) or not args.config and training.experiment_of(source)
  if not experiment then options.usage "--resume: the config returns no experiment" end
  local run = require("mnistlua.trainer").prepare(experiment, { seed = context.seed })
  source.forced = resume.compare(source, facts.of(run), args.force)
  source.adapt, source.continues = source.forced, source.dir ~= nil
  return outcome.guarded("runtime", args.traceback, training.train, run, args, source)
end

local function train(args)
  local experiment, code = config.run(args.config, args.help)
  if experiment then
    local run = require("mnistlua.trainer").prepare(experiment, { seed = args.seed or 0 })
    return outcome.guarded("runtime", args.traceback, training.train, run, args)
  end
  if not code and #(args.assert or {}) > 0 then
    options.usage(args.config .. ": --assert needs a config that returns an experiment")
  end
  if not code and args.i then return require("mnistlua.cli.repl").open() end
  return code or outcome.exit.done
end

--- Mistakes of the command line and the config end it before the first step, with the exit code for usage; from then on
--- what goes wrong is a failure at run time.
function m.run(args)
  if args.e and args.config then options.usage "give a config or -e STATEMENT, not both" end
  if args.e then
    local code = run_statement(args.e)
    return args.i and require("mnistlua.cli.repl").open() or code
  end
  if args.resume then return resumed(args) end
  config.override(args.parameters)
  if not args.config and core.isatty(0) and core.isatty(1) then return require("mnistlua.cli.repl").open() end
  if not args.config then
    options.usage "no config given: mnistlua CONFIG.lua (try configs/mlp512.lua; mnistlua --help lists the options)"
  end
  return train(args)
end

return m
