-- mnistlua fork RUN[@STEP] [key=value ...]: a new run that begins with the state of another one, with other
-- parameters or another seed. The other run stays as it is.
local arguments = require "mnistlua.cli.arguments"
local config = require "mnistlua.cli.config"
local context = require "mnistlua.context"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local resume = require "mnistlua.train.resume"
local training = require "mnistlua.cli.training"

local m = { about = "a new run from the state of an earlier one", usage = "RUN[@STEP] [key=value ...] [options]" }

local epilog = [[
  mnistlua fork last epochs=20           as many epochs more as there are to 20, from where the last run ended
  mnistlua fork mlp512@9380 lr=0.01      from the checkpoint of step 9380
  mnistlua fork last@best                from the best one

RUN is last, the number in the list of `mnistlua runs`, a folder's name or a part of it that no other has, a path, or a
checkpoint's file. What fits no longer, such as the state of another optimizer, begins anew; the weights have to fit.]]

function m.options(parser)
  parser:argument("run", "the run, and the step of its checkpoint (the newest one if not given; best)"):args "?"
  parser:argument("parameters", "key=value: sets a parameter of its config; the others are as they were"):args "*"
  arguments.add(parser, "seed", "threads", "precision", "data_dir", "data", "out", "max_time", "checkpoint_every",
    "assert", "json", "quiet", "no_report")
  parser:flag("--no-progress", "one line per epoch, also on a terminal")
  parser:epilog(epilog)
end

function m.run(args)
  if not args.run then options.usage "fork: expected RUN or RUN@STEP; mnistlua runs lists them" end
  config.override(args.parameters)
  local source = resume.open_at(args.out, args.run)
  training.adopt(source, args)
  local experiment = training.experiment_of(source)
  if not experiment then options.usage(args.run .. ": its config returned no experiment") end
  local run = require("mnistlua.trainer").prepare(experiment, { seed = context.seed })
  source.adapt = true
  resume.warn_if_foreign(source, require("mnistlua.train.checkpoint_facts").of(run))
  return outcome.guarded("runtime", args.traceback, training.train, run, args, source)
end

return m
