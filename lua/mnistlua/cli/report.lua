-- mnistlua report RUN: writes the run's report, one HTML file (../report). What is missing of the run - weights, a
-- config that still runs, its data - is missing in the report, too, which then says so.
local arguments = require "mnistlua.cli.arguments"
local core = require "mnistlua.core"
local failure = require "mnistlua.failure"
local folder = require "mnistlua.store.folder"
local options = require "mnistlua.options"
local outcome = require "mnistlua.cli.outcome"
local precision = require "mnistlua.precision"
local report = require "mnistlua.report"
local resume = require "mnistlua.train.resume"
local sources = require "mnistlua.cli.source"
local store = require "mnistlua.store"

local m = { about = "a run as one HTML file, with its network to draw for", usage = "RUN [--output FILE] [options]" }

function m.options(parser)
  parser:argument("run", "a run: last (default), its number, its folder's name"):args "?"
  arguments.option(parser, "--output -o", "the file to write (default: report.html in the run's folder)")
    :argname "FILE"
  arguments.add(parser, "threads", "data_dir", "out")
end

-- The run's experiment with its weights, the dataset and part to measure it on; or nil and why not.
local function open_model(dir, args)
  local ok, experiment, dataset, part = pcall(function()
    local source = sources.open(args.out, dir)
    local experiment = sources.experiment(source, args)
    sources.model(source, experiment)
    return experiment, sources.part(experiment.data)
  end)
  if not ok then return nil, "the model could not be opened: " .. tostring(experiment) end
  return experiment, dataset, part
end

local function write(path, record, db, args)
  local given = { record = record, db = db, notes = {} }
  local experiment, dataset, part = open_model(record.dir, args)
  if experiment then
    given.experiment, given.dataset, given.part = experiment, dataset, part
  else
    given.notes[1] = dataset
    io.stderr:write("mnistlua: warning: " .. core.escape(dataset) .. "\n")
  end
  local before = experiment and precision.begin(precision.of(experiment))
  local ok, problem = report.write(path, given)
  if before then core.precision(before) end
  if not ok then error(failure.new("runtime", core.escape(problem)), 0) end
end

-- The run's record and its database, if it is in one.
local function with_record(args, f)
  local dir = resume.find_run(args.out, args.run or "last")
  local out, name = dir:match "^(.*)/([^/]+)$"
  out = out or "."
  store.with(out, {}, function(db)
    local record = store.find(db, name or dir)
    f(record and record.dir == dir and record or folder.read(out, name or dir), db)
  end)
end

function m.run(args)
  if args.output == "" then options.usage "--output: expected the name of a file" end
  with_record(args, function(record, db)
    local path = args.output or record.dir .. "/report.html"
    write(path, record, db, args)
    print(("%-14s %s"):format("report", core.escape(path)))
  end)
  return outcome.exit.done
end

return m
