-- mnistlua replay RUN|MODEL: trains once more from what the run's folder or the model's metadata says, and tells
-- whether the same comes out, bit for bit; if not, the first step or tensor that differs. It writes no file.
local arguments = require "mnistlua.cli.arguments"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local json = require "mnistlua.json"
local metrics = require "mnistlua.store.metrics"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local run_text = require "mnistlua.cli.run_text"
local progress = require "mnistlua.train.progress"
local repeat_run = require "mnistlua.inspect.repeat_run"
local resume = require "mnistlua.train.resume"
local sources = require "mnistlua.cli.source"
local store = require "mnistlua.store"

local m = { about = "train a run again and compare it bit for bit", usage = "RUN|MODEL [options]" }

function m.options(parser)
  parser:argument("model", "a run (last, its number, its folder's name) or a .safetensors file of mnistlua"):args "?"
  arguments.add(parser, "threads", "data_dir", "out", "json", "quiet")
  parser:flag("--no-progress", "one line per epoch, also on a terminal")
end

-- ---- what there is to compare ----

-- The losses that the run recorded, by step: none where there is no database.
local function recorded_losses(source)
  local losses, out = {}, source.dir and (source.dir:match "^(.*)/" or ".")
  if not out or not core.exists(out .. "/runs.db") then return losses end
  local steps, values = store.with(out, {}, function(db)
    local row = db:row("SELECT id FROM runs WHERE folder = ?", source.dir:match "[^/]+$")
    if row then return metrics.over_steps(db, row.id, "train.loss") end
  end)
  for i, step in ipairs(steps or {}) do losses[step] = values[i] end
  return losses
end

-- After how many steps the run ended, and how, where that was not its own doing.
local function end_of(source)
  local result = sources.result(source)
  local how = result.status == "interrupted" and "interrupted" or result.stopped == "time limit reached" and "time"
  return source.steps, how or nil
end

-- Where a fork began.
local function origin_of(source, args)
  local r = source.record
  if not r or not r.parent_step then return nil end
  if not r.parent then
    error(failure.new("runtime", ("%s began with the state of another run's step %d, which is not known"):format(
      core.escape(source.path), r.parent_step)), 0)
  end
  local out = source.dir:match "^(.*)/" or args.out
  local origin = resume.open_at(out, ("%s@%d"):format(r.parent, r.parent_step))
  origin.adapt, origin.continues, origin.forced = true, false, false
  return origin
end

-- ---- what may make a difference ----

local function differences(source, run)
  local list = {}
  local function compare(what, before, now)
    if before and before ~= now then list[#list + 1] = ("%s was %s and is %s"):format(what, before, now) end
  end
  compare("the instruction set", source.isa, core.isa())
  compare("the version", source.version, core.version)
  compare("the hash of the training data", source.data_hash, run.data:hash())
  compare("the precision", source.precision and not source.precision:find "+" and source.precision, run.precision)
  for _, text in ipairs(run_text.changes(source.changes)) do
    list[#list + 1] = "the run was changed by hand at " .. text
  end
  if sources.result(source).forced then list[#list + 1] = "the run went on by force after something had changed" end
  return list
end

local function warn(list)
  for _, text in ipairs(list) do
    io.stderr:write(("mnistlua: warning: the bits may differ: %s\n"):format(core.escape(text)))
  end
end

-- ---- what is shown ----

local function line(label, fmt, ...) print(("%-14s %s"):format(label, fmt:format(...))) end

-- With as many digits as tell two doubles apart.
local function exact(x) return x and json.encode(x) or "none" end

local function weights_text(d)
  if d.why then return ("differ: %s: %s"):format(core.escape(d.tensor), d.why) end
  local most = d.largest and (", by %.3g at most"):format(d.largest) or ""
  return ("differ, first in %s: %s of %s values%s"):format(core.escape(d.tensor), progress.thousands(d.different),
    progress.thousands(d.values), most)
end

local function show(r, source, run)
  line("replay", "%s (%s), seed %d", core.escape(source.dir or source.path), core.escape(run.experiment.name), run.seed)
  if r.difference then
    line("steps", "differ, first at step %d (epoch %d): train.loss was %s and is %s", r.difference.step,
      r.difference.epoch, exact(r.difference.expected), exact(r.difference.found))
    return
  end
  local compared = r.compared > 0 and ("the losses of %s are the same"):format(progress.thousands(r.compared))
    or "their losses were not recorded"
  line("steps", "%s; %s", progress.thousands(r.steps), compared)
  if r.interrupted then return line("weights", "not compared: interrupted") end
  line("weights", "%s", r.weights and weights_text(r.weights) or "the same to the last bit")
end

-- ---- the command ----

local function new_progress(args)
  local terminal = core.isatty(2) and not args.quiet and not args.no_progress
  return progress.new { terminal = terminal, quiet = args.quiet }
end

local function replay(run, source, args)
  local steps, how = end_of(source)
  local r = repeat_run.run(run, {
    tensors = source.tensors, losses = recorded_losses(source), steps = steps, how = how,
    progress = new_progress(args), resume = origin_of(source, args),
  })
  r.same = not r.difference and not r.weights and not r.interrupted
  if args.json then
    local model = source.dir or source.path
    print(json.encode { same = r.same, steps = r.steps, compared = r.compared, difference = r.difference,
      weights = r.weights, model = model, name = run.experiment.name })
  else
    show(r, source, run)
  end
  if r.interrupted then return 128 + r.interrupted end
  return r.same and outcome.exit.done or outcome.exit.missed
end

function m.run(args)
  if not args.model then options.usage "replay: expected RUN or MODEL.safetensors; mnistlua runs lists the runs" end
  local source = sources.open(args.out, args.model)
  if source.checkpoint then
    options.usage(("replay: %s is a checkpoint; give the run, or its weights"):format(core.escape(source.path)))
  end
  local experiment = sources.experiment(source, args)
  local run = repeat_run.prepare(experiment, source.seed or 0)
  warn(differences(source, run))
  return outcome.guarded("runtime", args.traceback, replay, run, source, args)
end

return m
