-- mnistlua eval RUN|MODEL: what the weights of a run, or those in a file, are worth on its test data or on other data:
-- loss, accuracy, a table of the classes, the confusion matrix. It writes no file.
local arguments = require "mnistlua.cli.arguments"
local color = require "mnistlua.color"
local core = require "mnistlua.core"
local json = require "mnistlua.json"
local measure = require "mnistlua.inspect.measure"
local measure_text = require "mnistlua.inspect.measure_text"
local options = require "mnistlua.options"
local other_data = require "mnistlua.inspect.other_data"
local outcome = require "mnistlua.cli.outcome"
local precision = require "mnistlua.precision"
local progress = require "mnistlua.train.progress"
local sources = require "mnistlua.cli.source"
local text_table = require "mnistlua.cli.text_table"

local m = { about = "loss, accuracy, classes and confusion matrix of a model", usage = "RUN|MODEL [options]" }

function m.options(parser)
  parser:argument("model", "a run (last, its number, its folder's name) or a .safetensors file of mnistlua"):args "?"
  arguments.option(parser, "--data", "in place of the run's own: a data set's name, a folder of PNGs, a CSV file")
    :argname "DATA"
  arguments.part(parser)
  arguments.add(parser, "threads", "precision", "data_dir", "out", "json")
end

-- ---- model and data ----

--- Evaluates args.model, on args.data or the run's own data. Returns what measure.evaluate does, with name, model, part
--- and data, and the names of the classes or nil.
function m.evaluate(args)
  local source = sources.open(args.out, args.model)
  local experiment = sources.experiment(source, args)
  local model, bundle = sources.model(source, experiment), experiment.data
  local d, part
  if args.data then d = other_data.read(args.data, bundle.train) else d, part = sources.part(bundle, args.part) end
  local before = precision.begin(precision.of(experiment))
  local result = measure.evaluate(model, experiment.loss, d, bundle:sample_shape(), experiment.eval_batch)
  core.precision(before)
  result.name, result.model, result.part, result.data = experiment.name, source.path, part, d.name
  return result, d.class_names or bundle.class_names
end

-- ---- what is shown ----

local function line(label, fmt, ...) print(("%-14s %s"):format(label, fmt:format(...))) end

local function heading(text)
  print ""
  print(color.paint_stdout("bold", text))
end

local function print_lines(lines)
  for _, text in ipairs(lines) do print(text) end
end

local function show_classes(result, names)
  local room = math.min(text_table.room(), 100)
  heading "classes"
  print_lines(measure_text.classes(result.classes, names, room))
  local lines = measure_text.matrix(result.confusion, names, core.isatty(1) and room or 80)
  if lines then
    heading "confusion matrix: a row for each class, a column for what it was taken for"
    print_lines(lines)
  end
  lines = measure_text.mistakes(result.confusion, names, 5)
  if #lines > 0 then
    heading "most frequent mistakes"
    print_lines(lines)
  end
end

local function show(result, names)
  line("model", "%s (%s)", core.escape(result.model), core.escape(result.name))
  line("data", "%s%s, %s samples", core.escape(result.data), result.part and ": " .. result.part or "",
    progress.thousands(result.count))
  line("loss", "%s", progress.loss(result.loss))
  if not result.confusion then return end
  line("accuracy", "%s  (%s errors)", progress.percent(result.acc), progress.thousands(result.errors))
  show_classes(result, names)
end

-- The names of the classes go into their entries; how often one was predicted can be read off the matrix.
local function as_json(result, names)
  for i, class in ipairs(result.classes or {}) do class.name, class.predicted = names and names[i] or nil, nil end
  print(json.encode(result))
end

-- ---- the command ----

function m.run(args)
  if not args.model then options.usage "eval: expected RUN or MODEL.safetensors; mnistlua runs lists the runs" end
  if args.data and args.part then options.usage "eval: --part is of the run's own data; give it or --data, not both" end
  local result, names = m.evaluate(args)
  if args.json then as_json(result, names) else show(result, names) end
  return outcome.exit.done
end

return m
