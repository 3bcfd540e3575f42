-- What `mnistlua CONFIG`, `--resume` and `mnistlua fork` share: a prepared run is given its folder, trained and
-- reported. A source (train/resume.lua) is where it goes on from.
local config = require "mnistlua.cli.config"
local arguments = require "mnistlua.cli.arguments"
local context = require "mnistlua.context"
local core = require "mnistlua.core"
local facts = require "mnistlua.train.checkpoint_facts"
local failure = require "mnistlua.failure"
local file = require "mnistlua.train.checkpoint_file"
local metrics = require "mnistlua.train.metrics"
local outcome = require "mnistlua.cli.outcome"
local pack = require "mnistlua.train.pack"
local resume = require "mnistlua.train.resume"
local restore = require "mnistlua.train.restore"
local run_facts = require "mnistlua.train.facts"

local m = {}

-- ---- the experiment of an earlier run ----

--- The command line's settings where given, else those that the source's run had.
function m.adopt(source, args)
  local before = source.checkpoint.facts
  context.seed = args.seed or before.seed
  context.data = args.data or before.stand_in
  context.precision = args.precision or before.asked_precision
  arguments.apply_seed_and_precision()
end

--- The experiment of the source's run, with its parameters but for those of the command line.
function m.experiment_of(source)
  local before = source.checkpoint.facts
  if not before.config then
    error(failure.new("runtime", core.escape(source.checkpoint.path) .. ": holds no config; give one"), 0)
  end
  config.default_overrides(before.overrides)
  local path = resume.config_path(source)
  if path then config.search_beside(path) end          -- for what it requires from there
  local here = source.dir and source.dir .. "/config.lua" or source.checkpoint.path
  local experiment = config.run(here, nil, before.config)
  context.config = path or here
  return experiment
end

-- ---- the run ----

-- folder: of the run, which the lines for programs name.
local function new_progress(args, folder)
  local json = args.progress == "json"
  local terminal = core.isatty(2) and not args.quiet and not args.no_progress and not json
  return require("mnistlua.train.progress").new {
    terminal = terminal, quiet = args.quiet, json = json, folder = folder,
  }
end

local function refuse_folder(out, problem)
  error(failure.new("runtime", ("the output folder %s cannot be used: %s"):format(out, problem)), 0)
end

-- What run.json says of the run that this one goes on from in a folder of its own.
local function parent_of(source)
  if not source or source.continues then return nil end
  return { run = source.dir and source.dir:match "[^/]+$" or nil, step = source.step }
end

-- The run's folder: a new one, or that of the run that goes on.
local function open_store(run, args, source)
  local stores = require "mnistlua.train.store"
  local store, problem
  if source and source.continues then store, problem = stores.open(source.dir)
  else store, problem = stores.create(args.out, run_facts.of(run, parent_of(source))) end
  if not store then refuse_folder(source and source.continues and source.dir or args.out, problem) end
  return store
end

-- A run that goes on although its config has changed: the config's text is replaced, and what was saved after the
-- checkpoint is of another course.
local function mark_change(store, source)
  if context.config_text then core.write_file(store.dir .. "/config.lua", context.config_text) end
  local folder = file.folder(store.dir)
  for _, step in ipairs(file.steps(folder)) do
    local path = folder .. "/" .. file.name(step)
    if step > source.step then os.rename(path, path .. ".old") end
  end
end

-- Its folder of checkpoints, tried for writing.
local function checkpoint_folder(store)
  local folder = file.folder(store.dir)
  local ok, problem = core.check_writable(folder)
  if not ok then refuse_folder(store.dir, problem) end
  file.sweep(folder)
  file.sweep(store.dir)
  return folder
end

-- The command that goes on with the run.
local function resume_command(store, args)
  local name = store.dir:match "[^/]+$"
  return "mnistlua --resume " .. name .. (args.out ~= "runs" and " --out " .. args.out or "")
end

local function checkpoints_of(run, args, store, source, display)
  return {
    dir = checkpoint_folder(store), facts = assert(pack.text(facts.of(run), "run", {})), every = args.checkpoint_every,
    resumed = source and source.continues and source.step,
    say = function(message) display:message(message) end,
  }
end

-- The conditions of the config, then those of the command line.
local function conditions_of(experiment, args)
  local list = table.move(experiment.conditions, 1, #experiment.conditions, 1, {})
  return table.move(args.assert or {}, 1, #(args.assert or {}), #list + 1, list)
end

local function exit_code(run, result, args)
  local missed = metrics.missed(conditions_of(run.experiment, args), result)
  for _, line in ipairs(missed) do io.stderr:write("mnistlua: missed: " .. line .. "\n") end
  if run.interrupted then return 128 + run.interrupted end
  return #missed > 0 and outcome.exit.missed or outcome.exit.done
end

-- Before there is a folder of a run that cannot begin.
local function check_fit(run, source)
  local read = source.checkpoint
  local ok, problem = restore.check(run, read.tensors, read.state, source.adapt)
  if ok then return end
  error(failure.new("usage", ("%s cannot be used: %s"):format(core.escape(read.path), problem)), 0)
end

-- Writes the run's report. Whatever goes wrong there is a warning: the weights are saved. It comes before result.json,
-- so that a kill meanwhile leaves a run that can go on, and nothing that belongs to none.
local function write_report(run, result, store)
  local ok, path, problem = pcall(require("mnistlua.report").at_end, run, result, store)
  if ok and path then return path end
  local why = tostring(ok and problem or path)
  io.stderr:write(("mnistlua: warning: the report was not written: %s\n"):format(core.escape(why)))
end

-- Who listens to the run besides: a person at a terminal, the report.
local function attend(run, args, store)
  local display = new_progress(args, store.dir)
  if not (args.quiet or args.json or args.progress == "json") then
    run.pause = require("mnistlua.repl.pause").at_terminal(store) or false
  end
  if args.wants_report then require("mnistlua.report").listen(run) end
  return display
end

-- Everything that a run leaves: what is shown, its report, result.json. Raises what could not be saved.
local function leave(run, result, unsaved, args, store)
  local report = require "mnistlua.train.result"
  if unsaved and result.status == "done" then result.status, result.error = "failed", unsaved end
  report.show(result, run, args.json)
  local page = args.wants_report and write_report(run, result, store)
  local saved, why = store:save_result(result)
  if page and not args.json then report.line("report", page) end
  if unsaved or not saved then error(failure.new("runtime", unsaved or why), 0) end
end

-- The prompt of -i, after the run's folder is free.
local function open_prompt(run, result)
  require("mnistlua.cli.repl").open({
    run = run, model = run.model:eval(), data = run.data, loss = run.loss, optimizer = run.optimizer, result = result,
    experiment = run.experiment, config = context.config_text, params = context.params and context.params.values or {},
  }, "run, model, data, loss, optimizer, result, experiment, params and config are those of the run that ended")
end

-- Trains in the run's folder. Returns the exit code and the result.
local function train(run, args, source)
  local store <close> = open_store(run, args, source)
  store.resume = resume_command(store, args)
  if source and source.forced and source.continues then mark_change(store, source) end
  args.wants_report = run.experiment.report and not args.no_report
  local display = attend(run, args, store)
  if not args.quiet then require("mnistlua.train.result").opening(run, display, source) end
  local result, unsaved = require("mnistlua.trainer").train(run, {
    progress = display, store = store, deadline = args.max_time and core.clock() + args.max_time,
    checkpoints = checkpoints_of(run, args, store, source, display), resume = source,
  })
  leave(run, result, unsaved, args, store)
  return exit_code(run, result, args), result
end

--- Trains a prepared run and reports. Returns the exit code.
function m.train(run, args, source)
  if source then check_fit(run, source) end
  local code, result = train(run, args, source)
  if args.i then open_prompt(run, result) end
  return code
end

return m
