-- mnistlua sweep CONFIG key=VALUES ...: trains a config with many values of its parameters and tells the best. The
-- parts of a sweep are in ../sweep; what it shows at the end is in sweep_report.lua.
local arguments = require "mnistlua.cli.arguments"
local config = require "mnistlua.cli.config"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local folders = require "mnistlua.sweep.folder"
local metric = require "mnistlua.sweep.metric"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local params = require "mnistlua.params"
local prune = require "mnistlua.sweep.prune"
local report = require "mnistlua.cli.sweep_report"
local sample = require "mnistlua.sweep.sample"
local space = require "mnistlua.sweep.space"

local m = {
  about = "train with many values of parameters, tell the best",
  usage = "CONFIG.lua key=VALUES ... [options]",
}

local function metric_name(text)
  local parsed, problem = metric.parse(text)
  if parsed then return text end
  return nil, "--metric: " .. core.escape(problem)
end

function m.options(parser)
  local option = arguments.option
  parser:argument("config", "the experiment to train"):args "?"
  parser:argument("parameters", "key=a,b,c: each of these; key=log(1e-4,1e-1), uniform(a,b), int(a,b): at random")
    :args "*"
  option(parser, "--trials", "how many, at random (default: all of a grid of lists)")
    :convert(arguments.whole("--trials", 1, 100000))
  option(parser, "--jobs", "trials at a time (default: one for each processor, which they share)")
    :convert(arguments.whole("--jobs", 1, 256))
  option(parser, "--metric", "what to compare by: val.acc, or NAME:min or NAME:max (default: val.acc, val.loss, "
    .. "test.acc, ..., the first there is)"):argname("NAME"):convert(metric_name)
  option(parser, "--prune", "stop trials early that are not worth it: median or asha"):choices(prune.names)
  option(parser, "--resume", "go on with a sweep: last, or its folder"):argname "SWEEP"
  arguments.add(parser, "seed", "threads", "precision", "data_dir", "data", "out", "max_time", "json", "quiet")
end

--- Whether --help is about the config's parameters.
function m.own_help(args) return args.config ~= nil end

-- ---- the plan: what sweep.json holds ----

local function check_size(dimensions, trials)
  local size = space.size(dimensions)
  if trials then return end
  for _, d in ipairs(dimensions) do
    if space.is_range(d) then
      options.usage(("parameter %s is a range; say how many values to try with --trials N"):format(d.name))
    end
  end
  if size > 100000 then
    options.usage(("these lists give %.0f trials; say how many of them to try with --trials N"):format(size))
  end
end

-- The plan of a new sweep; mistakes are told before anything is made.
local function new_plan(args)
  config.override(args.parameters)
  local declared = config.declared(args.config)
  params.check_overrides(declared.names)
  local dimensions = space.read(declared, context.override_order, context.overrides)
  check_size(dimensions, args.trials)
  return {
    version = folders.version, config = args.config, space = dimensions, seed = args.seed or 0, trials = args.trials,
    prune = args.prune, metric = args.metric, data = args.data, data_dir = args.data_dir, precision = args.precision,
    started = os.time(),
  }
end

local function refuse(problem) error(failure.new("runtime", core.escape(problem)), 0) end

local function create(args)
  if not args.config then options.usage "no config given: mnistlua sweep CONFIG.lua lr=0.03,0.1,0.3" end
  local plan = new_plan(args)
  local name = args.config:match "([^/]+)$":gsub("%.lua$", "")
  local folder, problem = folders.create(args.out, name, plan, context.config_text)
  if not folder then refuse(("the output folder %s cannot be used: %s"):format(args.out, problem)) end
  return folder, {}
end

-- ---- going on ----

local kept = { "seed", "precision", "data", "prune", "metric" }

local function check_resumed(args)
  if args.config then options.usage "a sweep that goes on keeps its config and parameters; leave them out" end
  for _, name in ipairs(kept) do
    if args[name] ~= nil then options.usage(("a sweep that goes on keeps its --%s; leave it out"):format(name)) end
  end
end

-- A changed config would give other results under the same numbers.
local function check_config(folder)
  local path = folder.plan.config
  local now, problem = core.read_file(path, 1 << 24)
  if not now then refuse(problem) end
  local before, damage = core.read_file(folder.dir .. "/config.lua", 1 << 24)
  if not before then refuse(damage) end
  if now ~= before then
    refuse(("%s has changed since the sweep began; %s/config.lua is what it was: restore it, or begin a new sweep")
      :format(path, folder.dir))
  end
end

-- More trials continue the same random order, so none is done again.
local function resume(args)
  check_resumed(args)
  local dir, problem = folders.find(args.out, args.resume)
  if not dir then options.usage(core.escape(problem)) end
  local folder, records = folders.open(dir)
  if not folder then refuse(records) end
  check_config(folder)
  local plan = folder.plan
  if args.trials and not plan.trials then
    options.usage "this sweep goes through a grid; --trials is for those at random"
  end
  plan.trials, plan.data_dir = args.trials or plan.trials, args.data_dir or plan.data_dir
  local ok, why = core.write_file(dir .. "/sweep.json", require("mnistlua.json").encode(plan) .. "\n")
  if not ok then refuse(why) end
  return folder, records
end

-- ---- trials ----

-- key=value of a trial's point.
local function settings_of(plan, point)
  local words = {}
  for i, d in ipairs(plan.space) do words[i] = d.name .. "=" .. point[i] end
  return words
end

-- Options that change a trial's result.
local function result_options(plan)
  local words = {}
  local function add(option, value)
    if value then words[#words + 1], words[#words + 2] = option, ("%s"):format(value) end
  end
  add("--seed", plan.seed ~= 0 and ("%d"):format(plan.seed))
  add("--data", plan.data)
  add("--precision", plan.precision)
  add("--data-dir", plan.data_dir)
  return words
end

-- The words of a trial's command line: what repeats it or, where there is a run of it that can go on, takes that up;
-- and what only a sweep wants.
local function words_of(plan, point, run, folder, threads)
  local words = { plan.config }
  if run and core.exists(("%s/%s/checkpoints"):format(folder.dir, run)) then
    words = { "--resume", run, plan.data_dir and "--data-dir", plan.data_dir }
  else
    table.move(settings_of(plan, point), 1, #point, 2, words)
    local rest = result_options(plan)
    table.move(rest, 1, #rest, #words + 1, words)
  end
  local own = { "--threads", ("%d"):format(threads), "--out", folder.dir, "--json", "--quiet", "--progress", "json",
    "--no-report" }
  return table.move(own, 1, #own, #words + 1, words)
end

-- Trials at a time, and the threads of each: no more than processors, unless both are given.
local function share_threads(args, count)
  local processors = core.processors()
  local jobs = args.jobs or math.max(1, processors // (args.threads or 1))
  jobs = math.max(1, math.min(jobs, count))
  return jobs, args.threads or math.max(1, processors // jobs)
end

local function points_of(plan)
  if plan.trials then return sample.random(plan.space, plan.trials, plan.seed) end
  return sample.grid(plan.space)
end

-- Numbers stand for the points of the plan; records that say otherwise are of another one.
local function check_records(folder, points, records)
  for number, record in pairs(records) do
    for i, d in ipairs(points[number] and folder.plan.space or {}) do
      if type(record.params) ~= "table" or record.params[d.name] ~= points[number][i] then
        refuse(("%s/trials.jsonl: trial %d is not the one that sweep.json gives"):format(folder.dir, number))
      end
    end
  end
end

local function new_runner(args, folder, records)
  local plan = folder.plan
  local points = points_of(plan)
  check_records(folder, points, records)
  local varying = {}
  for _, name in ipairs(space.varying(plan.space)) do varying[name] = true end
  local function label(number)
    local words = {}
    for i, d in ipairs(plan.space) do
      if varying[d.name] then words[#words + 1] = d.name .. "=" .. points[number][i] end
    end
    return core.escape(table.concat(words, " "))
  end
  local jobs, threads = share_threads(args, #points)
  local runner = require("mnistlua.sweep.runner").new {
    points = points, records = records, jobs = jobs, threads = threads, rule = plan.prune, label = label,
    metric = plan.metric and metric.parse(plan.metric), deadline = args.max_time and core.clock() + args.max_time,
    command = function(number, run) return words_of(plan, points[number], run, folder, threads) end,
    save = function(record)
      record.params = {}
      for i, d in ipairs(plan.space) do record.params[d.name] = points[record.trial][i] end
      return folder:append(record)
    end,
    display = require("mnistlua.cli.sweep_display").new {
      terminal = core.isatty(2) and not args.quiet, quiet = args.quiet, label = label,
    },
  }
  function runner.repeating(number)
    local words = { "mnistlua", plan.config }
    for _, list in ipairs { settings_of(plan, points[number]), result_options(plan) } do
      table.move(list, 1, #list, #words + 1, words)
    end
    return words
  end
  return runner
end

local function exit_code(runner, ended)
  if ended == "interrupted" then return 128 + runner.signal end
  return runner:best() and outcome.exit.done or outcome.exit.runtime
end

local function sweep(args, folder, records)
  local _ <close> = folder
  local runner = new_runner(args, folder, records)
  if not args.quiet then report.opening(runner, folder, args) end
  local ended = runner:run()
  report.show(runner, folder, args, ended)
  return exit_code(runner, ended)
end

--- Mistakes of the command line and the parameters end it before the first trial.
function m.run(args)
  if args.help then
    local _, code = config.run(args.config, true)
    return code or outcome.exit.done
  end
  local folder, records
  if args.resume then folder, records = resume(args) else folder, records = create(args) end
  return outcome.guarded("runtime", args.traceback, sweep, args, folder, records)
end

return m
